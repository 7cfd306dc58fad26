"""TileJSON, and the words about tiles for the OpenAPI document: the tiles themselves come from ``api.fast``."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from api import tiles, tilesets
from api.access import InView
from api.routes.collections import refuse_query

router = APIRouter(tags=["Tiles"])
Layers = Annotated[str, Path(description="Layers, parted by commas", examples=["shelters,risk_zones"])]
Zoom = Annotated[str, Path(description="Zoom", examples=["12"])]
Column = Annotated[str, Path(description="Column, from the west", examples=["3248"])]
Row = Annotated[str, Path(description="Row, from the north", examples=["1722"])]
COARSER = {
    "Leeward-Coarser": {
        "description": "The layers that were too large for the tile and are drawn coarser, parted by commas",
        "schema": {"type": "string"},
    }
}
AS_TILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {tiles.MEDIA_TYPE: {}}, "headers": COARSER}, 204: {"description": "Nothing lies on the tile"},
    304: {"description": "The tile is still that of If-None-Match"},
}  # fmt: skip


@router.get("/tiles/{layers}.json", summary="TileJSON of some layers")
def tilejson(request: Request, context: InView, layers: Layers) -> Response:
    """Where the tiles are, at which zooms, how far the layers reach, and which fields the tiles carry."""
    refuse_query(request)
    names = tiles.layers_of(context.catalog, layers)
    told = tilesets.tilejson(context, names)
    return Response(orjson.dumps(told), media_type="application/json", headers={"Cache-Control": "no-cache"})


@router.get("/tiles/{layers}/{z}/{x}/{y}.mvt", summary="A vector tile", responses=AS_TILES)
def vector_tile(context: InView, layers: Layers, z: Zoom, x: Column, y: Row) -> Response:
    """Some layers in the Mapbox Vector Tile format, each with the fields of its definition at the zoom.

    `filter`, `filter-lang`, `datetime`, any field of the layers and `as_of` may be given, as for items. The column
    stands before the row.
    """
    names = tiles.layers_of(context.catalog, layers)
    made = tiles.tile(context.readers, context.catalog, names, *tiles.address_of(z, x, y))
    headers = {"Leeward-Coarser": ",".join(made.coarser)} if made.coarser else None
    return Response(made.content, 200 if made.content else 204, headers, tiles.MEDIA_TYPE)
