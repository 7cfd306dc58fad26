"""OGC API Tiles: tilesets, their tile matrix set, TileJSON, and the standard's address of a tile."""

from __future__ import annotations

import math
import re
from typing import Any

from starlette.types import Scope

from api import tiles
from api.context import View
from api.links import absolute, link
from layers import changes
from layers.catalog import Catalog, catalog
from layers.definition import Definition
from layers.features import Box, union

MATRIX_SET = "WebMercatorQuad"
MATRIX_SET_URI = f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{MATRIX_SET}"
MATRIX_SET_TITLE = "Google Maps Compatible for the World"
WEB_MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
TILEJSON = "application/vnd.mapbox.tile+json"
RELATION = "http://www.opengis.net/def/rel/ogc/1.0/"
TILES = "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/"
MATRICES = "http://www.opengis.net/spec/tms/2.0/conf/"
CONFORMANCE = [
    *(
        TILES + name
        for name in ("core", "tileset", "tilesets-list", "dataset-tilesets", "geodata-tilesets", "mvt")
    ),
    *(
        MATRICES + name
        for name in (
            "tilematrixset", "json-tilematrixset", "tilematrixsetlimits", "json-tilematrixsetlimits",
            "tilesetmetadata", "json-tilesetmetadata",
        )
    ),
]  # fmt: skip
"""The classes of OGC API Tiles and of its tile matrix sets that hold; version 1.0 has none for TileJSON."""
ORIGIN = (-20_037_508.342_789_2, 20_037_508.342_789_2)
REGISTERED = (
    (559082264.028717, 156543.033928041),
    (279541132.014358, 78271.5169640204),
    (139770566.007179, 39135.7584820102),
    (69885283.0035897, 19567.8792410051),
    (34942641.5017948, 9783.93962050256),
    (17471320.7508974, 4891.96981025128),
    (8735660.37544871, 2445.98490512564),
    (4367830.18772435, 1222.99245256282),
    (2183915.09386217, 611.49622628141),
    (1091957.54693108, 305.748113140704),
    (545978.773465544, 152.874056570352),
    (272989.386732772, 76.4370282851762),
    (136494.693366386, 38.2185141425881),
    (68247.346683193, 19.109257071294),
    (34123.6733415964, 9.55462853564703),
    (17061.8366707982, 4.77731426782351),
    (8530.91833539913, 2.38865713391175),
    (4265.45916769956, 1.19432856695587),
    (2132.72958384978, 0.597164283477939),
    (1066.36479192489, 0.29858214173897),
    (533.182395962445, 0.149291070869485),
    (266.591197981222, 0.0746455354347424),
    (133.295598990611, 0.0373227677173712),
    (66.6477994953056, 0.0186613838586856),
    (33.3238997476528, 0.0093306919293428),
)
"""Scale denominator and side of a cell in metres of each zoom, as the OGC has registered them: rounded."""
ADDRESS = re.compile(rf"(?:/collections/([^/]+))?/tiles/{MATRIX_SET}/([0-9]{{1,8}})/([0-9]{{1,8}})/([0-9]{{1,8}})")


def as_fast(scope: Scope) -> Scope:
    """A request for a tile at the standard's address as one at ``/tiles/{id}/{z}/{x}/{y}.mvt``; others as they are.

    An address that is wrong is left as it is, for the route to say what is wrong in the standard's own words.
    """
    if f"/tiles/{MATRIX_SET}/" not in scope["path"]:
        return scope
    found = ADDRESS.fullmatch(scope["path"])
    query = _without_format(scope["query_string"])
    if found is None or query is None:
        return scope
    layers = _layers_of(catalog(), found[1])
    zoom, row, column = map(int, found.groups()[1:])
    if not layers or zoom > tiles.ZOOM_AT_MOST or max(row, column) >= 2**zoom:
        return scope
    return {**scope, "path": f"/tiles/{layers}/{zoom}/{column}/{row}.mvt", "query_string": query}


def _without_format(query: bytes) -> bytes | None:
    """A query without ``f=mvt``; None when another format is asked for."""
    if query == b"f=mvt":
        return b""
    parts = [part for part in query.split(b"&") if part != b"f=mvt"]
    return None if any(part.startswith(b"f=") for part in parts) else b"&".join(parts)


def _layers_of(known: Catalog, collection: str | None) -> str | None:
    """The layers of a tileset, parted by commas; None when there is no such one."""
    if collection is None:
        return ",".join(dataset(known))
    return collection if collection in known and known[collection].has_geometry else None


def dataset(known: Catalog) -> tuple[str, ...]:
    """The layers of the tileset of the whole service: those with geometry."""
    return tuple(definition.id for definition in known.values() if definition.has_geometry)


def address(collection: str | None) -> str:
    """Where the tilesets of a collection, or of the whole service, are listed."""
    return "/tiles" if collection is None else f"/collections/{collection}/tiles"


def vector_link(collection: str | None = None) -> dict[str, Any]:
    """The link to the tilesets of a collection, or of the whole service."""
    return link(address(collection), f"{RELATION}tilesets-vector", "Vector tilesets")


def landing_links() -> list[dict[str, Any]]:
    """What the landing page says about tiles."""
    schemes = link("/tileMatrixSets", f"{RELATION}tiling-schemes", "Tile matrix sets")
    return [vector_link(), schemes]


# --- tile matrix sets


def matrix_sets() -> dict[str, Any]:
    """The list of tile matrix sets."""
    href = f"/tileMatrixSets/{MATRIX_SET}"
    listed = {
        "id": MATRIX_SET,
        "title": MATRIX_SET_TITLE,
        "uri": MATRIX_SET_URI,
        "crs": WEB_MERCATOR,
        "links": [link(href, "self", MATRIX_SET_TITLE)],
    }
    return {"tileMatrixSets": [listed], "links": [link("/tileMatrixSets", "self", "Tile matrix sets")]}


def matrix_set() -> dict[str, Any]:
    """The definition of WebMercatorQuad, with the numbers of the OGC's register.

    References
    ----------
    OGC 17-083r4, Two Dimensional Tile Matrix Set and Tile Set Metadata 2.0, annex D.
    """
    return {
        "id": MATRIX_SET,
        "title": MATRIX_SET_TITLE,
        "uri": MATRIX_SET_URI,
        "crs": WEB_MERCATOR,
        "orderedAxes": ["X", "Y"],
        "wellKnownScaleSet": "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
        "tileMatrices": [
            {
                "id": str(zoom),
                "scaleDenominator": scale_denominator,
                "cellSize": cell_m,
                "cornerOfOrigin": "topLeft",
                "pointOfOrigin": ORIGIN,
                "tileWidth": 256,
                "tileHeight": 256,
                "matrixWidth": 2**zoom,
                "matrixHeight": 2**zoom,
            }
            for zoom, (scale_denominator, cell_m) in enumerate(REGISTERED)
        ],
    }


# --- tilesets


def tilesets(context: View, collection: str | None) -> dict[str, Any]:
    """The list of tilesets of a collection, or of the whole service: one."""
    whole = tileset(context, collection)
    listed = {name: whole[name] for name in ("title", "dataType", "crs", "tileMatrixSetURI", "tileMatrixSetId")}
    listed["links"] = [one for one in whole["links"] if one["rel"] != "item"]
    own = link(address(collection), "self", "Vector tilesets")
    return {"tilesets": [listed], "links": [own]}


def tileset(context: View, collection: str | None) -> dict[str, Any]:
    """The metadata of a tileset."""
    names = (collection,) if collection is not None else dataset(context.catalog)
    box = _box_of(context, names)
    told: dict[str, Any] = {
        "title": context.catalog[collection].title.zh if collection is not None else "Leeward",
        "dataType": "vector",
        "crs": WEB_MERCATOR,
        "tileMatrixSetId": MATRIX_SET,
        "tileMatrixSetURI": MATRIX_SET_URI,
        "mediaTypes": [tiles.MEDIA_TYPE],
        "tileMatrixSetLimits": [_limits(zoom) for zoom in range(tiles.ZOOM_AT_MOST + 1)],
        "layers": [_layer(context.catalog[name]) for name in names],
        "links": _links(collection),
    }
    attribution = _attribution(context, names)
    if attribution:
        told["attribution"] = attribution
    if box is not None:
        corners = {"lowerLeft": _metres(*box[:2]), "upperRight": _metres(*box[2:])}
        told["boundingBox"] = {**corners, "crs": WEB_MERCATOR, "orderedAxes": ["X", "Y"]}
    return told


def _metres(lon: float, lat: float) -> tuple[float, float]:
    """A position in EPSG:3857, drawn to the edge of the grid where it lies beyond."""
    y = math.asinh(math.tan(math.radians(max(-89.9, min(89.9, lat))))) / math.pi
    return lon / 180 * tiles.HALF_WORLD_M, max(-1.0, min(1.0, y)) * tiles.HALF_WORLD_M


def _limits(zoom: int) -> dict[str, Any]:
    last = 2**zoom - 1
    return {"tileMatrix": str(zoom), "minTileRow": 0, "maxTileRow": last, "minTileCol": 0, "maxTileCol": last}


def _layer(definition: Definition) -> dict[str, Any]:
    fields = tiles.fields_at(definition, tiles.ZOOM_ADVERTISED)
    told: dict[str, Any] = {
        "id": definition.id,
        "title": definition.title.zh,
        "description": definition.abstract.zh,
        "dataType": "vector",
        "minTileMatrix": str(definition.tiles.min_zoom),
        "maxTileMatrix": str(tiles.ZOOM_ADVERTISED),
        "propertiesSchema": {
            "type": "object",
            "properties": {name: {"title": definition.fields[name].label.zh} for name in fields},
        },
        "links": [link(f"/collections/{definition.id}", "collection", definition.title.en)],
    }
    if definition.dimension in (0, 1, 2):
        told["geometryDimension"] = definition.dimension
    return told


def _links(collection: str | None) -> list[dict[str, Any]]:
    own = f"{address(collection)}/{MATRIX_SET}"
    template = f"{own}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}?f=mvt"
    return [
        link(own, "self", "This tileset"),
        link(f"{own}?f=tilejson", "alternate", "This tileset as TileJSON", TILEJSON),
        {**link(template, "item", "Tiles", tiles.MEDIA_TYPE), "templated": True},
        link(f"/tileMatrixSets/{MATRIX_SET}", f"{RELATION}tiling-scheme", MATRIX_SET_TITLE),
    ]


def tilejson(context: View, names: tuple[str, ...]) -> dict[str, Any]:
    """The TileJSON of some layers; its tiles have another address whenever anything has changed."""
    return tiles.tilejson(
        context.catalog, names, absolute(""), _attribution(context, names),
        bounds=_box_of(context, names), version=changes.latest(context.readers),
    )  # fmt: skip


def _attribution(context: View, names: tuple[str, ...]) -> str:
    """To whom the data of some layers are owed."""
    held = {holding.source for holding in context.holdings() if holding.layer in names}
    terms = context.sources()
    return ", ".join(dict.fromkeys(terms[source]["attribution"] for source in sorted(held) if source in terms))


def _box_of(context: View, names: tuple[str, ...]) -> Box | None:
    """The extent of some layers, degrees; None when they hold nothing."""
    boxes = [one.bbox for one in context.holdings() if one.layer in names and one.bbox is not None]
    return union(boxes) if boxes else None
