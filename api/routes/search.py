"""Search by name."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter
from fastapi import Query as QueryParameters
from pydantic import Field
from starlette.responses import Response

from api.access import InView
from api.parameters import Query, names_of, place_of
from layers import features
from layers.catalog import Catalog
from layers.definition import Definition
from layers.errors import InvalidValue
from layers.features import TEXT_AT_MOST

router = APIRouter(tags=["Search"])


class SearchQuery(Query):
    """What is looked for, and where."""

    q: Annotated[
        str,
        Field(
            min_length=1, max_length=TEXT_AT_MOST, description="Part of a name, or pinyin initials", examples=["ylx"]
        ),
    ]
    limit: Annotated[int, Field(ge=1, le=100, description="Results at most")] = 8
    near: Annotated[str | None, Field(description="lon,lat: nearer ones first", examples=["105.55,27.31"])] = None
    layers: Annotated[str | None, Field(max_length=2000, description="Layers, parted by commas; without it: all")] = (
        None
    )


@router.get("/search", summary="Items by name")
def search(context: InView, query: Annotated[SearchQuery, QueryParameters()]) -> Response:
    """Items whose name contains the text, or whose pinyin initials do; equal names first."""
    near = place_of(query.near) if query.near else None
    definitions = _definitions(context.catalog, names_of(query.layers or ""))
    found = features.search(context.readers, definitions, query.q, query.limit, near)
    return Response(orjson.dumps({"results": found}), media_type="application/json")


def _definitions(known: Catalog, names: tuple[str, ...]) -> list[Definition]:
    for name in names:
        if name not in known:
            raise InvalidValue(f"there is no layer {name[:80]!r}", parameter="layers", expected=", ".join(known))
    return [known[name] for name in names or known]
