"""OGC API Tiles. The tiles themselves come from ``api.fast``, which takes the standard's address for its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api import tiles, tilesets
from api.access import InView
from api.context import OfCollection, View
from api.parameters import Query as Parameters
from layers.definition import Definition
from layers.errors import NotFound

router = APIRouter(tags=["OGC API Tiles"])
MatrixSet = Annotated[str, Path(alias="tileMatrixSetId", description="Tile matrix set", examples=["WebMercatorQuad"])]
Matrix = Annotated[str, Path(alias="tileMatrix", description="Zoom", examples=["12"])]
Row = Annotated[str, Path(alias="tileRow", description="Row, from the north", examples=["1722"])]
Column = Annotated[str, Path(alias="tileCol", description="Column, from the west", examples=["3248"])]
AS_TILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {tiles.MEDIA_TYPE: {}}}, 204: {"description": "Nothing lies on the tile"},
}  # fmt: skip
AS_TILESET: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {}, tilesets.TILEJSON: {}}}}


class JsonQuery(Parameters):
    """The form of an answer that comes as JSON only."""

    f: Annotated[Literal["json"] | None, Field(description="json")] = None


class TilesetQuery(Parameters):
    """The form of a tileset's metadata."""

    f: Annotated[Literal["json", "tilejson"] | None, Field(description="json or tilejson")] = None


class TileQuery(Parameters):
    """The form of a tile."""

    f: Annotated[Literal["mvt"] | None, Field(description="mvt")] = None


@router.get("/tileMatrixSets", summary="The tile matrix sets")
def matrix_sets(query: Annotated[JsonQuery, Query()]) -> Response:
    """By which grids there are tiles: WebMercatorQuad."""
    return _json(tilesets.matrix_sets())


@router.get("/tileMatrixSets/{tileMatrixSetId}", summary="A tile matrix set")
def matrix_set(matrix_set: MatrixSet, query: Annotated[JsonQuery, Query()]) -> Response:
    """Its grid at each zoom, as the OGC has registered it."""
    _check(matrix_set)
    return _json(tilesets.matrix_set())


@router.get("/tiles", summary="The tilesets of the service")
def of_dataset(context: InView, query: Annotated[JsonQuery, Query()]) -> Response:
    """All layers with geometry in one tileset."""
    return _json(tilesets.tilesets(context, None))


@router.get("/tiles/{tileMatrixSetId}", summary="The tileset of the service", responses=AS_TILESET)
def dataset_tileset(
    request: Request, context: InView, matrix_set: MatrixSet, query: Annotated[TilesetQuery, Query()]
) -> Response:
    """Its layers, limits and extent, and where its tiles are."""
    return _tileset(request, context, None, matrix_set, query)


@router.get(
    "/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}", summary="A tile of all layers", responses=AS_TILES
)
def dataset_tile(
    context: InView, matrix_set: MatrixSet, zoom: Matrix, row: Row, column: Column, query: Annotated[TileQuery, Query()]
) -> Response:
    """All layers with geometry in the Mapbox Vector Tile format."""
    return _tile(context, tilesets.dataset(context.catalog), matrix_set, zoom, row, column)


@router.get("/collections/{collection}/tiles", summary="The tilesets of a layer")
def of_collection(context: InView, definition: OfCollection, query: Annotated[JsonQuery, Query()]) -> Response:
    """One for each tile matrix set."""
    return _json(tilesets.tilesets(context, _drawn(definition)))


@router.get("/collections/{collection}/tiles/{tileMatrixSetId}", summary="A tileset of a layer", responses=AS_TILESET)
def collection_tileset(
    request: Request, context: InView, definition: OfCollection, matrix_set: MatrixSet,
    query: Annotated[TilesetQuery, Query()],
) -> Response:  # fmt: skip
    """Its fields, limits and extent, and where its tiles are; as TileJSON with `f=tilejson`."""
    return _tileset(request, context, _drawn(definition), matrix_set, query)


@router.get(
    "/collections/{collection}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}",
    summary="A vector tile of a layer",
    responses=AS_TILES,
)
def collection_tile(
    context: InView, definition: OfCollection, matrix_set: MatrixSet, zoom: Matrix, row: Row, column: Column,
    query: Annotated[TileQuery, Query()],
) -> Response:  # fmt: skip
    """The layer in the Mapbox Vector Tile format: the tile of `/tiles/{id}/{z}/{x}/{y}.mvt`. The row stands first."""
    return _tile(context, (_drawn(definition),), matrix_set, zoom, row, column)


def _json(told: Any, media_type: str = "application/json") -> Response:
    headers = {"Cache-Control": "no-cache", "Vary": "Accept"}
    return Response(orjson.dumps(told), media_type=media_type, headers=headers)


def _check(matrix_set: str) -> None:
    if matrix_set != tilesets.MATRIX_SET:
        detail = f"there is no tile matrix set {matrix_set[:80]!r}"
        raise NotFound(detail, parameter="tileMatrixSetId", expected=tilesets.MATRIX_SET)


def _drawn(definition: Definition) -> str:
    """The id of a layer that has tiles."""
    if not definition.has_geometry:
        raise NotFound(f"the layer {definition.id} has no geometry", parameter="collection")
    return definition.id


def _tileset(request: Request, context: View, collection: str | None, matrix_set: str, query: TilesetQuery) -> Response:
    _check(matrix_set)
    form = query.f or ("tilejson" if tilesets.TILEJSON in request.headers.get("accept", "") else "json")
    if form == "json":
        return _json(tilesets.tileset(context, collection))
    names = (collection,) if collection is not None else tilesets.dataset(context.catalog)
    return _json(tilesets.tilejson(context, names), tilesets.TILEJSON)


def _tile(context: View, names: tuple[str, ...], matrix_set: str, zoom: str, row: str, column: str) -> Response:
    _check(matrix_set)
    place = tiles.address_of(zoom, column, row, names=("tileMatrix", "tileCol", "tileRow"))
    made = tiles.tile(context.readers, context.catalog, names, *place)
    return Response(made.content, status_code=200 if made.content else 204, media_type=tiles.MEDIA_TYPE)
