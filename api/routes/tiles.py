"""TileJSON, and the words about tiles for the OpenAPI document: the tiles themselves come from ``api.fast``."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from api import rasters, tiles
from api.access import InView
from api.routes.collections import refuse_query
from layers.errors import NotFound

router = APIRouter(tags=["Tiles"])
Layers = Annotated[str, Path(description="Layers, parted by commas", examples=["shelters,risk_zones"])]
Zoom = Annotated[str, Path(description="Zoom", examples=["12"])]
Column = Annotated[str, Path(description="Column, from the west", examples=["3248"])]
Row = Annotated[str, Path(description="Row, from the north", examples=["1722"])]


@router.get("/tiles/{layers}.json", summary="TileJSON of some layers")
def tilejson(request: Request, context: InView, layers: Layers) -> Response:
    """Where the tiles are, at which zooms, and which fields they carry."""
    refuse_query(request)
    names = tiles.layers_of(context.catalog, layers)
    held = {holding.source for holding in context.holdings() if holding.layer in names}
    terms = context.sources()
    attribution = ", ".join(dict.fromkeys(terms[source]["attribution"] for source in sorted(held) if source in terms))
    told = tiles.tilejson(context.catalog, names, str(request.base_url).rstrip("/"), attribution)
    return Response(orjson.dumps(told), media_type="application/json", headers={"Cache-Control": "no-cache"})


@router.get(
    "/tiles/{layers}/{z}/{x}/{y}.mvt",
    summary="A vector tile",
    responses={200: {"content": {tiles.MEDIA_TYPE: {}}}, 204: {"description": "Nothing lies on the tile"}},
)
def vector_tile(context: InView, layers: Layers, z: Zoom, x: Column, y: Row) -> Response:
    """Some layers in the Mapbox Vector Tile format, each with the fields of its definition at the zoom."""
    names = tiles.layers_of(context.catalog, layers)
    content = tiles.tile(context.readers, context.catalog, names, *tiles.address_of(z, x, y))
    return Response(content, status_code=200 if content else 204, media_type=tiles.MEDIA_TYPE)


@router.get(
    "/rasters/{raster}/{z}/{x}/{y}.png",
    summary="A raster tile",
    responses={200: {"content": {rasters.MEDIA_TYPE: {}}}, 204: {"description": "No terrain lies on the tile"}},
)
def raster_tile(
    raster: Annotated[str, Path(description="Which raster", examples=["hillshade"])], z: Zoom, x: Column, y: Row
) -> Response:
    """Relief shading: shadow on transparent ground, 256 × 256 pixels."""
    content = rasters.raster_tile(raster, *tiles.address_of(z, x, y))
    if not content:
        raise NotFound("no terrain lies on the tile")
    return Response(content, media_type=rasters.MEDIA_TYPE)
