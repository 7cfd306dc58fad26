"""What may be asked of collections and items: the query parameters of OGC API Features."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime as Moment
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from api.parameters import Query, after_of, box_of, moment_of, names_of, sort_of
from layers import filtering, workflow
from layers.catalog import Catalog
from layers.cql import BYTES_AT_MOST
from layers.crs import CRS84, KNOWN, crs_of
from layers.database import Readers, Scope, sql
from layers.definition import Definition
from layers.features import PAGE_AT_MOST, TEXT_AT_MOST, Page
from layers.times import interval_of

Form = Annotated[
    Literal["json", "html"] | None, Field(description="json or html; without it as the header Accept says, or json")
]
Crs = Annotated[
    str | None,
    Field(max_length=200, description="Of the coordinates given out: " + ", ".join(KNOWN), examples=[*KNOWN]),
]
AsOf = Annotated[
    str | None,
    Field(max_length=50, description="What was recorded at that moment", examples=["2026-11-20T14:20:00+08:00"]),
]
SAME_ITEMS = ("limit", "cursor", "sortby", "properties", "crs", "f")


class FormQuery(Query):
    """In which form the answer is wanted."""

    f: Form = None


class MomentQuery(FormQuery):
    """The moment that is asked for."""

    as_of: AsOf = None

    def moment(self) -> Moment | None:
        """The moment; None for what is now."""
        return moment_of(self.as_of, "as_of") if self.as_of is not None else None


class ItemQuery(MomentQuery):
    """How an item is wanted."""

    crs: Crs = None


class FilterQuery(BaseModel):
    """Which items are asked for. Any public field of the layer may be given as well, and must then be equal."""

    model_config = ConfigDict(extra="allow", frozen=True)

    bbox: Annotated[
        str | None,
        Field(
            description="west,south,east,north in degrees, or as `bbox-crs` says; west > east crosses the antimeridian",
            examples=["105,27,106,28"],
        ),
    ] = None
    bbox_crs: Annotated[
        str | None, Field(alias="bbox-crs", max_length=200, description="Of `bbox`", examples=[*KNOWN])
    ] = None
    datetime: Annotated[
        str | None,
        Field(
            max_length=100,
            description="The feature's own time: a date, a moment, or an interval of two, open where one is `..`",
            examples=["2026-06-01/.."],
        ),
    ] = None
    filter: Annotated[
        str | None,
        Field(
            description=f"CQL2, {BYTES_AT_MOST} bytes at most; its properties are those of `queryables`",
            examples=["status = 'open' AND capacity_persons >= 100"],
        ),
    ] = None
    filter_lang: Annotated[
        Literal["cql2-text", "cql2-json"], Field(alias="filter-lang", description="The language of `filter`")
    ] = "cql2-text"
    filter_crs: Annotated[
        str | None,
        Field(alias="filter-crs", max_length=200, description="Of the coordinates in `filter`", examples=[*KNOWN]),
    ] = None
    q: Annotated[str | None, Field(max_length=TEXT_AT_MOST, description="Part of the name, or its pinyin initials")] = (
        None
    )
    as_of: AsOf = None
    state: Annotated[
        str | None,
        Field(
            max_length=60,
            description="Of a layer with a workflow: the items behind that number of its board: a state's code, or "
            + ", ".join(workflow.STATES),
        ),
    ] = None
    missing: Annotated[str | None, Field(max_length=60, description="Open items with this gap, as the board says")] = (
        None
    )
    area: Annotated[str | None, Field(max_length=200, description="Items in the county of this name")] = None

    def page(self, known: Catalog, definition: Definition, readers: Readers) -> Page:
        """The question as the store understands it."""
        bbox_crs = crs_of(self.bbox_crs, "bbox-crs") if self.bbox_crs is not None else CRS84
        return Page(
            bbox=box_of(self.bbox, crs=bbox_crs) if self.bbox is not None else None,
            bbox_crs=bbox_crs,
            time=interval_of(self.datetime) if self.datetime is not None else None,
            q=self.q or None,
            as_of=moment_of(self.as_of, "as_of") if self.as_of is not None else None,
            conditions=(
                *self._of_board(known, definition, readers.scope),
                *self._of_filter(known, definition, readers.scope),
            ),
            filters={name: str(value) for name, value in (self.model_extra or {}).items()},
        )

    def _of_filter(self, known: Catalog, definition: Definition, scope: Scope) -> tuple[sql.Composable, ...]:
        crs = crs_of(self.filter_crs, "filter-crs") if self.filter_crs is not None else CRS84
        if self.filter is None:
            return ()
        return (filtering.condition_of(known, definition, scope, self.filter, self.filter_lang, crs),)

    def _of_board(self, known: Catalog, definition: Definition, scope: Scope) -> tuple[sql.Composable, ...]:
        if self.state is None and self.missing is None and self.area is None:
            return ()
        today = workflow.day_of(moment_of(self.as_of, "as_of") if self.as_of is not None else None)
        return workflow.list_conditions(
            known, definition, scope, today, state=self.state, missing=self.missing, area=self.area
        )


class ItemsQuery(FilterQuery):
    """Which items are asked for, how many at a time, in which order and form."""

    limit: Annotated[
        int,
        Field(
            ge=1,
            description=f"Items at most; above {PAGE_AT_MOST} as many as that",
            json_schema_extra={"maximum": PAGE_AT_MOST},
        ),
    ] = 100
    cursor: Annotated[str | None, Field(max_length=4000, description="From a `next` link")] = None
    sortby: Annotated[
        str | None,
        Field(
            max_length=500,
            description="Properties of `sortables`, parted by commas; - before one turns its order round",
            examples=["-capacity_persons,name"],
        ),
    ] = None
    properties: Annotated[
        str | None,
        Field(max_length=5000, description="The properties to give, parted by commas", examples=["name,status"]),
    ] = None
    crs: Crs = None
    f: Form = None

    def page(self, known: Catalog, definition: Definition, readers: Readers) -> Page:
        """The question as the store understands it."""
        asked = super().page(known, definition, readers)
        sort = sort_of(self.sortby or "")
        return replace(
            asked,
            limit=min(self.limit, PAGE_AT_MOST),
            sort=sort,
            after=after_of(self.cursor, sort) if self.cursor is not None else None,
            properties=names_of(self.properties) if self.properties is not None else None,
            crs=crs_of(self.crs) if self.crs is not None else CRS84,
        )

    def query(self, *but: str, **changes: str) -> str:
        """What was asked as a query string, but for some parameters, and with changes."""
        given = {**self.model_dump(exclude_unset=True, by_alias=True), **(self.model_extra or {}), **changes}
        return urlencode({name: value for name, value in given.items() if name not in but})
