"""Collections and their items: OGC API Features."""

from __future__ import annotations

from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from api import tilesets
from api.access import InView
from api.context import OfCollection, View
from api.links import absolute
from api.parameters import Query as Parameters
from api.parameters import after_of, box_of, cursor_of, moment_of, names_of, unknown_parameter
from layers import changes, features, grades, workflow
from layers.catalog import Catalog
from layers.database import Readers, Scope, sql
from layers.definition import Definition
from layers.definition import Field as LayerField
from layers.editing import etag, monitoring_fields
from layers.errors import NotFound
from layers.features import PAGE_AT_MOST, SYSTEM_PROPERTIES, TEXT_AT_MOST, Holding, Page, union
from layers.tables import fields_of

router = APIRouter(tags=["Collections"])
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
FORM_PARTS = (
    "public", "personal", "required", "minimum", "maximum", "pattern", "default", "computed", "aliases", "example",
)  # fmt: skip
JSON_TYPES: dict[str, dict[str, str]] = {
    "text": {"type": "string"}, "integer": {"type": "integer"}, "number": {"type": "number"},
    "boolean": {"type": "boolean"}, "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"}, "code": {"type": "string"}, "codes": {"type": "array"},
    "item": {"type": "integer"},
}  # fmt: skip


class ItemsQuery(BaseModel):
    """Which items are asked for. Any public field of the layer may be given as well, and must then be equal."""

    model_config = ConfigDict(extra="allow", frozen=True)

    bbox: Annotated[
        str | None,
        Field(
            description="west,south,east,north in degrees; west > east crosses the antimeridian",
            examples=["105,27,106,28"],
        ),
    ] = None
    limit: Annotated[int, Field(ge=1, le=PAGE_AT_MOST, description="Items at most")] = 100
    cursor: Annotated[str | None, Field(max_length=100, description="From a `next` link")] = None
    q: Annotated[str | None, Field(max_length=TEXT_AT_MOST, description="Part of the name, or its pinyin initials")] = (
        None
    )
    properties: Annotated[
        str | None,
        Field(max_length=5000, description="The properties to give, parted by commas", examples=["name,status"]),
    ] = None
    as_of: Annotated[
        str | None,
        Field(max_length=50, description="What was recorded at that moment", examples=["2026-11-20T14:20:00+08:00"]),
    ] = None
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
        return Page(
            limit=self.limit,
            after=after_of(self.cursor) if self.cursor is not None else -1,
            bbox=box_of(self.bbox) if self.bbox is not None else None,
            q=self.q or None,
            properties=names_of(self.properties) if self.properties is not None else None,
            as_of=moment_of(self.as_of, "as_of") if self.as_of is not None else None,
            conditions=self._of_board(known, definition, readers.scope),
            filters={name: str(value) for name, value in (self.model_extra or {}).items()},
        )

    def _of_board(self, known: Catalog, definition: Definition, scope: Scope) -> tuple[sql.Composable, ...]:
        if self.state is None and self.missing is None and self.area is None:
            return ()
        today = day_of(moment_of(self.as_of, "as_of") if self.as_of is not None else None)
        return workflow.list_conditions(
            known, definition, scope, today, state=self.state, missing=self.missing, area=self.area
        )


class MomentQuery(Parameters):
    """The moment that is asked for."""

    as_of: Annotated[
        str | None,
        Field(max_length=50, description="What was recorded at that moment", examples=["2026-11-20T14:20:00+08:00"]),
    ] = None

    def moment(self) -> datetime | None:
        """The moment; None for what is now."""
        return moment_of(self.as_of, "as_of") if self.as_of is not None else None


class BoardQuery(MomentQuery):
    """How much of the board is asked for, and of when."""

    limit: Annotated[int, Field(ge=0, le=1000, description="Items a state")] = 50


@router.get("/collections", summary="The layers")
def collections(context: InView, query: Annotated[MomentQuery, Query()]) -> Response:
    """Every layer: what it is, how it is drawn, how much it holds. Sample and real data are counted apart."""
    context = context.at(query.moment())
    found = [_collection(context, definition) for definition in context.catalog.values()]
    return _json({"collections": found, "links": [_link("/collections", "self", "The layers")]})


@router.get("/collections/{collection}", summary="One layer")
def collection(context: InView, definition: OfCollection, query: Annotated[MomentQuery, Query()]) -> Response:
    """One layer: what it is, how it is drawn, how much it holds."""
    return _json(_collection(context.at(query.moment()), definition))


@router.get("/collections/{collection}/board", summary="The workflow of a layer, counted and listed")
def board(context: InView, definition: OfCollection, query: Annotated[BoardQuery, Query()]) -> Response:
    """The items in the loop by state, overdue first, and the counts; for those who have signed in."""
    moment = query.moment()
    readers = context.readers if moment is None else context.readers.at(moment)
    return _json(workflow.board(readers, context.catalog, definition, query.limit, day_of(moment)))


@router.get("/collections/{collection}/schema", summary="A layer's fields as JSON Schema")
def schema(request: Request, context: InView, definition: OfCollection) -> Response:
    """The public fields: types, units, codes."""
    refuse_query(request)
    return _json(_schema(context.catalog, definition, "schema", context.readers.scope), SCHEMA)


@router.get("/collections/{collection}/queryables", summary="The fields that items can be asked by")
def queryables(request: Request, context: InView, definition: OfCollection) -> Response:
    """The public fields, each of which may be a parameter of `items`."""
    refuse_query(request)
    return _json(_schema(context.catalog, definition, "queryables", context.readers.scope), SCHEMA)


@router.get("/collections/{collection}/items", summary="A layer's items", responses={200: {"content": {GEOJSON: {}}}})
def items(
    request: Request, context: InView, definition: OfCollection, query: Annotated[ItemsQuery, Query()]
) -> Response:
    """Items as GeoJSON, in the order of their numbers; `next` leads to the following page."""
    asked = query.page(context.catalog, definition, context.readers)
    found, more = features.page(context.readers, context.catalog, definition, asked)
    path = f"/collections/{definition.id}/items"
    links = [_link(_with(path, query), "self", "This page", GEOJSON)]
    if more is not None:
        links.append(_link(_with(path, query, cursor=cursor_of(more)), "next", "The next page", GEOJSON))
    links.append(_link(f"/collections/{definition.id}", "collection", definition.title.en))
    rest = {"numberReturned": len(found), "timeStamp": _now(), "links": links}
    body = f'{{"type":"FeatureCollection","features":[{",".join(found)}],'.encode() + orjson.dumps(rest)[1:]
    return Response(body, media_type=GEOJSON)


@router.get("/collections/{collection}/items/{fid}", summary="One item", responses={200: {"content": {GEOJSON: {}}}})
def item(
    context: InView,
    definition: OfCollection,
    fid: Annotated[str, Path(description="The item's number", examples=["1"])],
    query: Annotated[MomentQuery, Query()],
) -> Response:
    """One item as GeoJSON. An item that is withheld is answered like one that does not exist."""
    found = features.item(context.readers, definition, number_of(fid), as_of=query.moment())
    if found is None:
        raise no_item(definition, fid)
    return item_response(definition.id, found.text, int(fid), found.change)


@router.get("/collections/{collection}/items/{fid}/history", summary="What became of an item")
def history(
    request: Request,
    context: InView,
    definition: OfCollection,
    fid: Annotated[str, Path(description="The item's number", examples=["1"])],
) -> Response:
    """Every change of an item, the newest first: what changed, when, and for those who have signed in by whom and why.

    An item that was deleted has its history too; of one that is withheld nothing is told in public.
    """
    refuse_query(request)
    told = changes.history(context.readers, definition, number_of(fid))
    if not told:
        raise no_item(definition, fid)
    return _json({"changes": told})


def day_of(moment: datetime | None) -> date:
    """The day by which it is judged what is overdue: today, or that of an earlier moment."""
    return date.today() if moment is None else moment.astimezone().date()


def number_of(fid: str) -> int:
    """The number of an item, from an address; -1 when it is none."""
    return int(fid) if fid.isascii() and fid.isdecimal() and len(fid) < 20 else -1


def no_item(definition: Definition, fid: str) -> NotFound:
    """The problem of an item that is not there, or withheld."""
    detail = f"the layer {definition.id} has no item {fid[:40]!r}"
    return NotFound(detail, parameter="fid", expected="an item's number")


def item_response(layer: str, text: str, fid: int, change: int, status: int = 200) -> Response:
    """An item as GeoJSON with its links and its entity tag."""
    path = f"/collections/{layer}/items/{fid}"
    links = [
        _link(path, "self", "This item", GEOJSON),
        _link(f"{path}/history", "version-history", "What became of it"),
        _link(f"/collections/{layer}", "collection", layer),
    ]
    body = text[:-1].encode() + b',"links":' + orjson.dumps(links) + b"}"
    headers = {"ETag": etag(change)}
    if status == HTTPStatus.CREATED:
        headers["Location"] = path
    return Response(body, status_code=status, media_type=GEOJSON, headers=headers)


def refuse_query(request: Request) -> None:
    """Refuse any query parameter, on a route that has none."""
    for name in request.query_params:
        raise unknown_parameter(name, "no parameters")


def _json(content: Any, media_type: str = "application/json") -> Response:
    return Response(orjson.dumps(content), media_type=media_type)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _link(href: str, rel: str, title: str, media_type: str = "application/json") -> dict[str, str]:
    return {"href": absolute(href), "rel": rel, "type": media_type, "title": title}


def _with(path: str, query: ItemsQuery, **changes: str) -> str:
    given = {**query.model_dump(exclude_unset=True), **(query.model_extra or {}), **changes}
    return f"{path}?{urlencode(given)}" if given else path


def _collection(context: View, definition: Definition) -> dict[str, Any]:
    held = [holding for holding in context.holdings() if holding.layer == definition.id]
    path = f"/collections/{definition.id}"
    links = [
        _link(path, "self", definition.title.en),
        _link(f"{path}/items", "items", "Items", GEOJSON),
        _link(f"{path}/schema", "http://www.opengis.net/def/rel/ogc/1.0/schema", "Schema", SCHEMA),
        _link(f"{path}/queryables", "http://www.opengis.net/def/rel/ogc/1.0/queryables", "Queryables", SCHEMA),
    ]
    if definition.has_geometry:
        links += [_link(f"/tiles/{definition.id}.json", "tiles", "TileJSON"), tilesets.vector_link(definition.id)]
    known = {
        "id": definition.id,
        "title": definition.title.zh,
        "titles": definition.title.model_dump(),
        "description": definition.abstract.zh,
        "abstracts": definition.abstract.model_dump(),
        "itemType": "feature",
        "crs": [CRS84],
        "storageCrs": CRS84,
        "counts": {
            "real": sum(h.count for h in held if not h.sample),
            "sample": sum(h.count for h in held if h.sample),
        },
        "sources": _sources(context, held),
        "layer": _layer(context.catalog, definition, context.readers.scope),
        "links": links,
    }
    boxes = [holding.bbox for holding in held if holding.bbox is not None]
    if boxes:
        known["extent"] = {"spatial": {"bbox": [union(boxes)], "crs": CRS84}}
    return known


def _sources(context: View, held: list[Holding]) -> list[dict[str, Any]]:
    if not held:
        return []
    terms = context.sources()
    unknown = {"name": "", "licence": "", "attribution": "", "url": None}
    return [{**unknown, **terms.get(h.source, {}), "id": h.source, "sample": h.sample, "count": h.count} for h in held]


def _layer(known: Catalog, definition: Definition, scope: Scope) -> dict[str, Any]:
    nearest = definition.nearest
    told: dict[str, Any] = {
        "geometry": definition.geometry,
        "name_field": definition.name_field,
        "fields": [_field(known, definition, name, scope) for name in fields_of(definition, scope)],
        "map": definition.map.model_dump(mode="json") if definition.map is not None else None,
        "tiles": {"min_zoom": definition.tiles.min_zoom, "detail_zoom": definition.tiles.detail_zoom},
        "nearest": {"default": nearest.default, "k": nearest.k} if nearest is not None else None,
    }
    if not scope.public:
        loop = definition.workflow
        told["workflow"] = loop.model_dump(mode="json", by_alias=True) if loop is not None else None
        told["computed"] = grades.described(definition)
        told["monitoring"] = monitoring_fields(definition)
    return told


def _field(known: Catalog, definition: Definition, name: str, scope: Scope) -> dict[str, Any]:
    field = definition.fields[name]
    told: dict[str, Any] = {
        "name": name,
        "type": field.type,
        "label": field.label.model_dump(),
        "unit": field.unit,
        "note": field.note.model_dump() if field.note is not None else None,
    }
    if field.codes is not None:
        codes = known.codes_of(definition, field)
        told["codes"] = [{"code": code, "label": {"zh": words.zh, "en": words.en}} for code, words in codes.items()]
    if field.layer is not None:
        told["layer"] = field.layer
    if field.stated_at is not None:
        told |= {"stated_at": field.stated_at, "stale_after_h": field.stale_after_h}
    if not scope.public:
        told |= {part: getattr(field, part) for part in FORM_PARTS}
    return told


def _schema(known: Catalog, definition: Definition, kind: str, scope: Scope) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if kind == "schema":
        properties["fid"] = {"title": "Number", "type": "integer", "x-ogc-role": "id", "readOnly": True}
    if definition.has_geometry:
        shape = "geometry-any" if definition.geometry == "Geometry" else f"geometry-{definition.geometry.lower()}"
        properties["geometry"] = {"x-ogc-role": "primary-geometry", "format": shape}
    for name in fields_of(definition, scope):
        properties[name] = _property(known, definition, definition.fields[name])
    system: dict[str, Any] = {
        "source": {"title": "Source", "type": "string"},
        "sample": {"title": "Sample data, not real", "type": "boolean"},
        "flags": {"title": "What is doubtful", "type": "array", "items": {"type": "string"}},
        "recorded_at": {"title": "Recorded at", "type": "string", "format": "date-time"},
    }
    properties |= {name: {**system[name], "readOnly": True} for name in SYSTEM_PROPERTIES}
    if kind == "queryables":
        properties.pop("recorded_at")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/collections/{definition.id}/{kind}",
        "type": "object",
        "title": definition.title.zh,
        "description": definition.abstract.zh,
        "properties": properties,
        "additionalProperties": False,
    }


def _property(known: Catalog, definition: Definition, field: LayerField) -> dict[str, Any]:
    told: dict[str, Any] = {"title": field.label.zh, "x-title-en": field.label.en, **JSON_TYPES[field.type]}
    if field.unit is not None:
        told["x-ogc-unit"] = field.unit
    if field.note is not None:
        told["description"] = field.note.zh
    if field.minimum is not None:
        told["minimum"] = field.minimum
    if field.maximum is not None:
        told["maximum"] = field.maximum
    if field.pattern is not None:
        told["pattern"] = field.pattern
    if field.codes is not None:
        codes = {"type": "string", "enum": list(known.codes_of(definition, field))}
        told |= {"items": codes} if field.type == "codes" else codes
    if field.layer is not None:
        told["x-layer"] = field.layer
    return told
