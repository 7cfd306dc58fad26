"""Vector tiles of the layers, made by PostGIS: one query and one round trip a tile, however many layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from layers.catalog import Catalog
from layers.database import Readers, Scope, sql
from layers.definition import Definition, Rule
from layers.errors import InvalidValue, NotFound
from layers.tables import view

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
LAYERS_AT_MOST = 32
ZOOM_AT_MOST = 22
ZOOM_ADVERTISED = 16
EXTENT = 4096
BUFFER = 64
UNITS_PER_PX = EXTENT / 512
HALF_WORLD_M = math.pi * 6_378_137.0
TYPES = ", ".join(["float8"] * 8)
BOX = sql.SQL("ST_MakeEnvelope($1, $2, $3, $4, 3857)")
BUFFERED = sql.SQL("ST_MakeEnvelope($5, $6, $7, $8, 3857)")


def tile(readers: Readers, known: Catalog, layers: tuple[str, ...], z: int, x: int, y: int) -> bytes:
    """A tile of some layers in the Mapbox Vector Tile format; empty when nothing lies on it.

    Parameters
    ----------
    layers : tuple of str
        The layers, each of which becomes a layer of the tile.
    z, x, y : int
        Zoom, column from the west, row from the north, of the Web Mercator grid.

    Notes
    -----
    Nothing is dropped but what the definition hides at the zoom: lines and polygons are simplified to half a pixel
    before they are clipped, polygons smaller than two pixels become squares of two pixels, and strips narrower than
    half a pixel are widened to one.
    """
    query = _text(readers, known, layers, z)
    if not query:
        return b""
    ((content,),) = readers.prepared(query, bounds(z, x, y), TYPES)
    return bytes(content)


def bounds(z: int, x: int, y: int) -> tuple[float, ...]:
    """West, south, east, north of a tile and of the tile with its buffer, in metres of EPSG:3857."""
    size = 2 * HALF_WORLD_M / 2**z
    west, north = x * size - HALF_WORLD_M, HALF_WORLD_M - y * size
    margin = size * BUFFER / EXTENT
    box = (west, north - size, west + size, north)
    return (*box, box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)


def layers_of(known: Catalog, text: str) -> tuple[str, ...]:
    """The layers of a tile's address.

    Raises
    ------
    InvalidValue
        When there are more than 32.
    NotFound
        When one of them does not exist or has no geometry.
    """
    names = tuple(dict.fromkeys(text.split(",")))
    if len(names) > LAYERS_AT_MOST:
        raise InvalidValue("too many layers in one tile", parameter="layers", expected=f"{LAYERS_AT_MOST} at most")
    for name in names:
        if name not in known or not known[name].has_geometry:
            drawn = ", ".join(d.id for d in known.values() if d.has_geometry)
            raise NotFound(f"there is no layer {name[:80]!r} to draw", parameter="layers", expected=drawn)
    return names


def address_of(z: str, x: str, y: str, zoom_at_most: int = ZOOM_AT_MOST) -> tuple[int, int, int]:
    """Zoom, column and row of a tile.

    Raises
    ------
    InvalidValue
        When one is not a number, or outside the grid.
    """
    numbers = []
    for name, text in (("z", z), ("x", x), ("y", y)):
        if not (text.isascii() and text.isdecimal() and len(text) < 9):
            raise InvalidValue(f"{name} is not a whole number", parameter=name, expected="a whole number")
        numbers.append(int(text))
    zoom, column, row = numbers
    if zoom > zoom_at_most:
        raise InvalidValue(f"z must lie in 0…{zoom_at_most}", parameter="z", expected=f"0 to {zoom_at_most}")
    for name, number in (("x", column), ("y", row)):
        if number >= 2**zoom:
            expected = f"0 to {2**zoom - 1} at zoom {zoom}"
            raise InvalidValue(f"{name} lies outside the grid", parameter=name, expected=expected)
    return zoom, column, row


def tilejson(known: Catalog, layers: tuple[str, ...], base_url: str, attribution: str) -> dict[str, Any]:
    """The TileJSON 3.0 of some layers."""
    definitions = [known[layer] for layer in layers]
    return {
        "tilejson": "3.0.0",
        "name": ", ".join(definition.title.zh for definition in definitions),
        "scheme": "xyz",
        "tiles": [f"{base_url}/tiles/{','.join(layers)}/{{z}}/{{x}}/{{y}}.mvt"],
        "minzoom": min(definition.tiles.min_zoom for definition in definitions),
        "maxzoom": ZOOM_ADVERTISED,
        "attribution": attribution,
        "vector_layers": [
            {
                "id": definition.id,
                "description": definition.abstract.zh,
                "minzoom": definition.tiles.min_zoom,
                "maxzoom": ZOOM_ADVERTISED,
                "fields": {
                    **{name: definition.fields[name].label.zh for name in fields_at(definition, ZOOM_ADVERTISED)},
                    "sample": "true: sample data, not real",
                },
            }
            for definition in definitions
        ],
    }


def fields_at(definition: Definition, z: int) -> tuple[str, ...]:
    """The fields that a layer's tiles carry at a zoom."""
    further = definition.tiles.detail_fields if z >= definition.tiles.detail_zoom else ()
    return tuple(dict.fromkeys((*definition.tiles.fields, *further)))


@lru_cache(maxsize=1024)
def _text(readers: Readers, known: Catalog, layers: tuple[str, ...], z: int) -> str:
    parts = [_layer(known[layer], z, readers.scope) for layer in layers if z >= known[layer].tiles.min_zoom]
    if not parts:
        return ""
    return readers.text(sql.SQL("SELECT {}").format(sql.SQL(" || ").join(parts)))


def _layer(definition: Definition, z: int, scope: Scope) -> sql.Composable:
    """One layer of a tile, as bytes; no bytes when it is empty."""
    columns = sql.SQL(", ").join([_column(definition, name) for name in fields_at(definition, z)])
    return sql.SQL(
        "(SELECT coalesce(ST_AsMVT(t, {layer}, {extent}, 'geom', 'fid'), ''::bytea) FROM (SELECT fid,"
        " ST_AsMVTGeom({geometry}, {box}, {extent}, {buffer}, true) AS geom, nullif(sample, false) AS sample{columns}"
        " FROM {view} WHERE geom_3857 && {buffered} AND {shown}) AS t)"
    ).format(
        layer=sql.Literal(definition.id),
        extent=sql.Literal(EXTENT),
        geometry=_geometry(definition, z),
        box=BOX,
        buffer=sql.Literal(BUFFER),
        columns=sql.SQL(", {}").format(columns) if fields_at(definition, z) else sql.SQL(""),
        view=view(definition, scope),
        buffered=BUFFERED,
        shown=_shown(definition, z),
    )


def _column(definition: Definition, name: str) -> sql.Composable:
    kind = definition.fields[name].type
    form = {"codes": "array_to_string({0}, ',') AS {0}", "date": "{0}::text AS {0}", "datetime": "{0}::text AS {0}"}
    return sql.SQL(form.get(kind, "{0}")).format(sql.Identifier(name))


def _geometry(definition: Definition, z: int) -> sql.Composable:
    """The geometry as drawn at a zoom, in EPSG:3857: lines and polygons simplified to half a pixel."""
    px_m = 2 * HALF_WORLD_M / 2**z / EXTENT * UNITS_PER_PX
    line = sql.SQL("coalesce(ST_Simplify(geom_3857, {}), geom_3857)").format(sql.Literal(px_m / 2))
    polygon = sql.SQL(
        "CASE WHEN greatest(ST_XMax(geom_3857) - ST_XMin(geom_3857), ST_YMax(geom_3857) - ST_YMin(geom_3857)) < {small}"
        " THEN ST_Expand(ST_Centroid(ST_Envelope(geom_3857)), {px})"
        " WHEN ST_Area(geom_3857) < ST_Perimeter(geom_3857) * {narrow} THEN ST_Buffer(geom_3857, {half})"
        " ELSE {line} END"
    ).format(
        small=sql.Literal(2 * px_m), px=sql.Literal(px_m), narrow=sql.Literal(px_m / 4), half=sql.Literal(px_m / 2),
        line=line,
    )  # fmt: skip
    mixed = sql.SQL("CASE ST_Dimension(geom_3857) WHEN 0 THEN geom_3857 WHEN 1 THEN {} ELSE {} END").format(
        line, polygon
    )
    return {0: sql.SQL("geom_3857"), 1: line, 2: polygon, 3: mixed}[definition.dimension]


def _shown(definition: Definition, z: int) -> sql.Composable:
    """Which features are drawn at a zoom: those whose first fitting rule starts no more than one zoom further in."""
    rules = definition.map.rules if definition.map is not None else ()
    if not any(_hidden(rule, z) for rule in rules):
        return sql.SQL("true")
    cases = [
        sql.SQL("WHEN {} THEN {}").format(_fits(definition, rule), sql.SQL("false" if _hidden(rule, z) else "true"))
        for rule in rules
    ]
    return sql.SQL("CASE {} ELSE true END").format(sql.SQL(" ").join(cases))


def _hidden(rule: Rule, z: int) -> bool:
    return rule.min_zoom is not None and rule.min_zoom > z + 1


def _fits(definition: Definition, rule: Rule) -> sql.Composable:
    conditions = list(_conditions(definition, rule))
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def _conditions(definition: Definition, rule: Rule) -> Iterator[sql.Composable]:
    for name, value in rule.when.items():
        column = sql.Identifier(name)
        if value is None:
            yield sql.SQL("{} IS NULL").format(column)
        elif definition.fields[name].type == "codes":
            yield sql.SQL("{} @> {}").format(column, sql.Literal([value]))
        else:
            yield sql.SQL("{} = {}").format(column, sql.Literal(value))
