"""Rasters as layers of a map: TileJSON and legend, and the words about their tiles, which come from ``api.fast``."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from api import rasters, tiles
from api.routes.collections import refuse_query

router = APIRouter(tags=["Rasters"])
RasterId = Annotated[str, Path(description="Which raster", examples=["slope"])]
Zoom = Annotated[str, Path(description="Zoom", examples=["12"])]
Column = Annotated[str, Path(description="Column, from the west", examples=["3248"])]
Row = Annotated[str, Path(description="Row, from the north", examples=["1722"])]


@router.get("/rasters/{raster}.json", summary="TileJSON of a raster")
def tilejson(request: Request, raster: RasterId) -> Response:
    """Where the tiles are, at which zooms, and how far the raster reaches."""
    refuse_query(request)
    return _json(rasters.tilejson(raster))


@router.get("/rasters/{raster}/legend", summary="Legend of a raster")
def legend(request: Request, raster: RasterId) -> Response:
    """What its colours mean, with the unit; a class holds what is at least `from` and less than `to`."""
    refuse_query(request)
    return _json(rasters.legend(raster))


@router.get(
    "/rasters/{raster}/{z}/{x}/{y}.png",
    summary="A raster tile",
    responses={200: {"content": {rasters.MEDIA_TYPE: {}}}, 204: {"description": "No terrain lies on the tile"}},
)
def raster_tile(raster: RasterId, z: Zoom, x: Column, y: Row) -> Response:
    """256 × 256 pixels: `hillshade`, shadow on transparent ground; `slope`, in the colours of its legend.

    What is unknown is transparent.
    """
    content = rasters.raster_tile(raster, *tiles.address_of(z, x, y))
    return Response(content, status_code=200 if content else 204, media_type=rasters.MEDIA_TYPE)


def _json(told: Any) -> Response:
    return Response(orjson.dumps(told), media_type="application/json", headers={"Cache-Control": "no-cache"})
