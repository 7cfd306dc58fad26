"""Vector tiles of the layers, made by PostGIS: one query and one round trip a tile, however many layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from layers import legend, pyramid
from layers.catalog import Catalog
from layers.database import Readers, Scope, sql
from layers.definition import Definition
from layers.errors import InvalidValue, NotFound
from layers.features import Box
from layers.pyramid import CELLS_ZOOM
from layers.tables import view

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
EDITION = "tiles 2"
"""Part of each tile's tag: another one when the same rows make another tile."""
LAYERS_AT_MOST = 32
ZOOM_AT_MOST = 22
ZOOM_ADVERTISED = 16
EXTENT = 4096
BUFFER = 64
UNITS_PER_PX = EXTENT / 512
HALF_WORLD_M = math.pi * 6_378_137.0
TYPES = ", ".join(["float8"] * 8 + ["int"] * 2)
BOX = sql.SQL("ST_MakeEnvelope($1, $2, $3, $4, 3857)")
BUFFERED = sql.SQL("ST_MakeEnvelope($5, $6, $7, $8, 3857)")
BUDGET_BYTES = 500_000
ITEMS_AT_MOST = 50_000
"""More of one layer are over the budget whatever they are."""
COARSEST = 5
TEXTS_AT_MOST = 1024
Conditions = Mapping[str, Sequence[sql.Composable]]
NONE: Conditions = MappingProxyType({})


@dataclass(frozen=True)
class Tile:
    """A tile, and how it came about.

    Parameters
    ----------
    content : bytes
        The tile in the Mapbox Vector Tile format; empty when nothing lies on it.
    coarser : tuple of str
        The layers that were too large for it, and are drawn coarser than at this zoom.
    """

    content: bytes
    coarser: tuple[str, ...] = ()


def tile(
    readers: Readers, known: Catalog, layers: tuple[str, ...], z: int, x: int, y: int, conditions: Conditions = NONE
) -> Tile:
    """A tile of some layers in the Mapbox Vector Tile format.

    Parameters
    ----------
    layers : tuple of str
        The layers, each of which becomes a layer of the tile.
    z, x, y : int
        Zoom, column from the west, row from the north, of the Web Mercator grid.
    conditions : mapping of str to sequence of sql.Composable
        Layer to the conditions over its view that an item must meet.

    Notes
    -----
    Nothing is dropped but what the definition hides at the zoom. Up to zoom 9 points that lie in one of 8 × 8 cells of
    the tile are one cluster, and so are areas of less than four square pixels; both come from the pyramid
    (``layers.pyramid``), or are counted where conditions or an earlier moment ask for other items. Other areas, and
    lines, are simplified to half a pixel; strips narrower than half a pixel are widened to one. From zoom 10 on every
    item is drawn, areas smaller than two pixels as squares of two pixels.

    A layer that takes more than 500 KB is drawn coarser: first points in cells of 16 pixels, areas under 64 square
    pixels as dots, lines simplified to 2 pixels and left out when they are shorter; then four times as coarse, and so
    on.
    """
    drawn = tuple(layer for layer in layers if z >= known[layer].tiles.min_zoom)
    if not drawn:
        return Tile(b"")
    values = values_of(z, x, y)
    content = _asked(readers, known, drawn, z, values, conditions)
    if len(content) <= BUDGET_BYTES:
        return Tile(content)
    parts, coarser = [], []
    for layer in drawn:
        part = _asked(readers, known, (layer,), z, values, conditions)
        for coarseness in range(1, COARSEST + 1):
            if len(part) <= BUDGET_BYTES / len(drawn):
                break
            part = _asked(readers, known, (layer,), z, values, conditions, coarseness)
            coarser.append(layer)
        parts.append(part)
    return Tile(b"".join(parts), tuple(dict.fromkeys(coarser)))


def plain_text(readers: Readers, known: Catalog, layers: tuple[str, ...], z: int) -> str | None:
    """The statement of a tile as it is asked for first, when it was put together before; None else, and when nothing
    is drawn at the zoom. Its values are ``values_of``, their types ``TYPES``."""
    drawn = tuple(layer for layer in layers if z >= known[layer].tiles.min_zoom)
    return _texts.get((readers, known, drawn, z))


def _asked(
    readers: Readers, known: Catalog, layers: tuple[str, ...], z: int, values: tuple[float, ...],
    conditions: Conditions, coarseness: int = 0,
) -> bytes:  # fmt: skip
    """The bytes of some layers."""
    if any(conditions.get(layer) for layer in layers):
        text = readers.text(_query(readers, known, layers, z, conditions, coarseness))
    else:
        text = _text(readers, known, layers, z, coarseness)
    ((content,),) = readers.prepared(text, values, TYPES)
    return bytes(content)


def values_of(z: int, x: int, y: int) -> tuple[float, ...]:
    """The values that the statement of a tile is asked with: its bounds and its cells."""
    return (*bounds(z, x, y), *cells_of(z, x, y))


def bounds(z: int, x: int, y: int) -> tuple[float, ...]:
    """West, south, east, north of a tile and of the tile with its buffer, in metres of EPSG:3857."""
    size = 2 * HALF_WORLD_M / 2**z
    west, north = x * size - HALF_WORLD_M, HALF_WORLD_M - y * size
    margin = size * BUFFER / EXTENT
    box = (west, north - size, west + size, north)
    return (*box, box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)


def cells_of(z: int, x: int, y: int) -> tuple[int, int]:
    """The first and the last cell of a tile in its level of the pyramid; none beyond its zooms."""
    if z > pyramid.ZOOM_AT_MOST:
        return 0, -1
    first = sum((x >> bit & 1) << 2 * bit | (y >> bit & 1) << 2 * bit + 1 for bit in range(z)) << 2 * CELLS_ZOOM
    return first, first + 4**CELLS_ZOOM - 1


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


def address_of(
    z: str, x: str, y: str, zoom_at_most: int = ZOOM_AT_MOST, names: tuple[str, str, str] = ("z", "x", "y")
) -> tuple[int, int, int]:
    """Zoom, column and row of a tile.

    Parameters
    ----------
    names : tuple of str
        What zoom, column and row are called in the address.

    Raises
    ------
    InvalidValue
        When one is not a number, or outside the grid.
    """
    numbers = []
    for name, text in zip(names, (z, x, y), strict=True):
        if not (text.isascii() and text.isdecimal() and len(text) < 9):
            raise InvalidValue(f"{name} is not a whole number", parameter=name, expected="a whole number")
        numbers.append(int(text))
    zoom, column, row = numbers
    if zoom > zoom_at_most:
        detail = f"{names[0]} must lie in 0…{zoom_at_most}"
        raise InvalidValue(detail, parameter=names[0], expected=f"0 to {zoom_at_most}")
    for name, number in ((names[1], column), (names[2], row)):
        if number >= 2**zoom:
            expected = f"0 to {2**zoom - 1} at zoom {zoom}"
            raise InvalidValue(f"{name} lies outside the grid", parameter=name, expected=expected)
    return zoom, column, row


def tilejson(
    known: Catalog, layers: tuple[str, ...], base_url: str, attribution: str, *, bounds: Box | None, version: int
) -> dict[str, Any]:
    """The TileJSON 3.0 of some layers.

    Parameters
    ----------
    bounds : tuple of float, optional
        West, south, east, north in degrees; None when they hold nothing.
    version : int
        Of the change log: it makes the addresses of the tiles new.
    """
    definitions = [known[layer] for layer in layers]
    told: dict[str, Any] = {"bounds": bounds} if bounds is not None else {}
    return told | {
        "tilejson": "3.0.0",
        "name": ", ".join(definition.title.zh for definition in definitions),
        "scheme": "xyz",
        "tiles": [f"{base_url}/tiles/{','.join(layers)}/{{z}}/{{x}}/{{y}}.mvt?v={version}"],
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
                    **(CLUSTER_FIELDS if pyramid.has_pyramid(definition) else {}),
                },
            }
            for definition in definitions
        ],
    }


def fields_at(definition: Definition, z: int) -> tuple[str, ...]:
    """The fields that a layer's tiles carry at a zoom."""
    further = definition.tiles.detail_fields if z >= definition.tiles.detail_zoom else ()
    return tuple(dict.fromkeys((*definition.tiles.fields, *further)))


_texts: dict[tuple[Readers, Catalog, tuple[str, ...], int], str] = {}


def _text(readers: Readers, known: Catalog, layers: tuple[str, ...], z: int, coarseness: int = 0) -> str:
    if coarseness:
        return readers.text(_query(readers, known, layers, z, NONE, coarseness))
    text = _texts.get((readers, known, layers, z))
    if text is None:
        if len(_texts) >= TEXTS_AT_MOST:
            _texts.clear()
        text = _texts[readers, known, layers, z] = readers.text(_query(readers, known, layers, z, NONE, 0))
    return text


def _query(
    readers: Readers, known: Catalog, layers: tuple[str, ...], z: int, conditions: Conditions, coarseness: int
) -> sql.Composable:
    """The statement for some layers of a tile."""
    parts = [
        _Layer(known[layer], z, readers.scope, tuple(conditions.get(layer, ())), coarseness).query() for layer in layers
    ]
    return sql.SQL("SELECT {}").format(sql.SQL(" || ").join(parts))


@dataclass(frozen=True)
class _Layer:
    """One layer of a tile.

    Parameters
    ----------
    conditions : tuple of sql.Composable
        What an item must meet.
    coarseness : int
        How many times it was too large: cells and limits are four times as coarse with each.
    """

    definition: Definition
    z: int
    scope: Scope
    conditions: tuple[sql.Composable, ...]
    coarseness: int

    def query(self) -> sql.Composable:
        """The layer as bytes; no bytes when it is empty."""
        parts = []
        if not (self.clustered and self.definition.dimension == 0):
            parts.append(self._items())
        if self.clustered:
            parts += [self._clusters(), self._singles()]
        cells = sql.SQL("WITH clusters AS MATERIALIZED ({}) ").format(self._cells()) if self.clustered else sql.SQL("")
        return sql.SQL(
            "(SELECT coalesce(ST_AsMVT(t, {layer}, {extent}, 'geom', 'fid'), ''::bytea) FROM ({cells}{parts}) AS t)"
        ).format(
            layer=sql.Literal(self.definition.id), extent=sql.Literal(EXTENT), cells=cells,
            parts=sql.SQL(" UNION ALL ").join(parts),
        )  # fmt: skip

    @property
    def clustered(self) -> bool:
        """Whether items that lie close together are shown as one."""
        if self.definition.dimension == 1:
            return False
        if self.coarseness:
            return True
        return self.z <= pyramid.ZOOM_AT_MOST and (self.definition.dimension != 0 or self.definition.tiles.clusters)

    @property
    def _dots_from(self) -> int:
        """Items whose ``dot_zoom`` is that or more are dots: a step coarser is two zooms further out."""
        return self.z - 2 * self.coarseness

    def _items(self) -> sql.Composable:
        """What is drawn one by one."""
        limit = sql.SQL(" LIMIT {}").format(sql.Literal(ITEMS_AT_MOST)) if not self.coarseness else sql.SQL("")
        return sql.SQL(
            "(SELECT fid, ST_AsMVTGeom({geometry}, {box}, {extent}, {buffer}, true) AS geom,"
            " nullif(sample, false) AS sample{columns}{blank} FROM {view} AS i WHERE {where}{limit})"
        ).format(
            geometry=self._geometry(),
            box=BOX,
            extent=sql.Literal(EXTENT),
            buffer=sql.Literal(BUFFER),
            columns=self._columns(),
            blank=self._blank(),
            view=view(self.definition, self.scope),
            where=sql.SQL(" AND ").join([*self._drawn_here(), *self.conditions]),
            limit=limit,
        )

    def _drawn_here(self) -> list[sql.Composable]:
        column = sql.Identifier(self._drawn or "geom_3857")
        conditions = [sql.SQL("{} && {}").format(column, BUFFERED), legend.shown(self.definition, self.z)]
        if self._drawn is not None:  # the condition of the index
            conditions.append(sql.SQL("{} IS NOT NULL").format(column))
        if self.clustered:
            conditions.append(sql.SQL("{} < {}").format(self._dots["dot_zoom"], sql.Literal(self._dots_from)))
        if self.definition.dimension == 1 and self.coarseness:
            extent = "greatest(ST_XMax({0}) - ST_XMin({0}), ST_YMax({0}) - ST_YMin({0})) >= {1}"
            conditions.append(sql.SQL(extent).format(column, sql.Literal(self._px_m)))
        return conditions

    @property
    def _px_m(self) -> float:
        return pyramid.px_m(self.z) * 4.0**self.coarseness

    @property
    def _stored(self) -> bool:
        """Whether the view has the columns that the database fills for low zooms."""
        return not self.scope.then

    @property
    def _drawn(self) -> str | None:
        """The column with the geometry as it is drawn at a low zoom."""
        if not self._stored or self.definition.dimension == 0 or self.z > pyramid.ZOOM_AT_MOST:
            return None
        return pyramid.drawn_column(self.z)

    @property
    def _dots(self) -> Mapping[str, sql.Composable]:
        return pyramid.dots(self.definition, stored=self._stored)

    def _geometry(self) -> sql.Composable:
        """The geometry as drawn, in EPSG:3857."""
        if self._drawn is not None and not self.coarseness:
            return sql.Identifier(self._drawn)
        if self.definition.dimension == 0:
            return sql.SQL("geom_3857")
        drawn = sql.SQL("leeward.drawn({}, {})").format(
            sql.Identifier(self._drawn or "geom_3857"), sql.Literal(self._px_m)
        )
        if self.clustered:
            return drawn
        small = sql.SQL(
            "CASE WHEN ST_Dimension(geom_3857) = 2 AND"
            " greatest(ST_XMax(geom_3857) - ST_XMin(geom_3857), ST_YMax(geom_3857) - ST_YMin(geom_3857)) < {}"
            " THEN ST_Expand(ST_Centroid(ST_Envelope(geom_3857)), {}) ELSE {} END"
        )
        return small.format(sql.Literal(2 * self._px_m), sql.Literal(self._px_m), drawn)

    # --- clusters

    def _cells(self) -> sql.Composable:
        """The cells of the tile, each with what its items add up to."""
        unknown = legend.unknown_rules(self.definition)
        return sql.SQL(_CELLS).format(
            summands=self._stored_summands() if self._from_pyramid else self._counted_summands(),
            hidden=self._not_hidden(),
            worst=self._worst(),
            **self._persons(),
            unknown=sql.SQL("coalesce(sum(count) FILTER (WHERE rule = ANY ({})), 0)::bigint").format(
                sql.Literal(unknown)
            )
            if unknown
            else sql.SQL("NULL::bigint"),
            by_rule=sql.SQL("").join(
                sql.SQL(", (sum(count) FILTER (WHERE rule = {}))::bigint AS {}").format(
                    sql.Literal(number), sql.Identifier(f"n{number}")
                )
                for number in range(len(legend.rules(self.definition)))
            ),
        )

    def _persons(self) -> dict[str, sql.Composable]:
        """The people of a cell's items as far as they are known, and of how many they are not."""
        if self.definition.tiles.persons is None:
            return dict.fromkeys(("persons", "persons_unknown"), sql.SQL("NULL::bigint"))
        known = sql.SQL("(CASE WHEN sum(persons_unknown) < sum(count) THEN sum(persons) END)::bigint")
        return {"persons": known, "persons_unknown": sql.SQL("sum(persons_unknown)::bigint")}

    @property
    def _from_pyramid(self) -> bool:
        return self._stored and not self.conditions and not self.coarseness

    def _not_hidden(self) -> sql.Composable:
        out_of_sight = sorted(legend.hidden(self.definition, self.z))
        return sql.SQL("rule <> ALL ({})").format(sql.Literal(out_of_sight)) if out_of_sight else sql.SQL("true")

    def _worst(self) -> sql.Composable:
        """The gravest rule of a cell's items."""
        ordered = sorted((rank, rule) for rule, rank in legend.ranks(self.definition).items())
        array = sql.Literal([rule for _, rule in ordered])
        return sql.SQL("({array}::int[])[min(array_position({array}::int[], rule::int))]").format(array=array)

    def _stored_summands(self) -> sql.Composable:
        return sql.SQL(
            "SELECT cell, rule, sample, count, x, y, fid, persons, persons_unknown, area_m2 FROM {}"
            " WHERE level = {} AND cell BETWEEN $9 AND $10"
        ).format(pyramid.view(self.definition, self.scope), sql.Literal(self.z + CELLS_ZOOM))

    def _counted_summands(self) -> sql.Composable:
        """The same, counted from the items: for conditions and moments that the pyramid does not hold."""
        dots = self._dots
        finer = min(CELLS_ZOOM + 3 - self.coarseness, 5) if self.coarseness else CELLS_ZOOM
        conditions = [sql.SQL("geom_3857 && {}").format(BOX), *self.conditions]
        if self.definition.dimension != 0:
            conditions.append(sql.SQL("{} >= {}").format(dots["dot_zoom"], sql.Literal(self._dots_from)))
        return sql.SQL(_COUNTED).format(
            rule=legend.rule_number(self.definition),
            cells=sql.Literal(2 ** max(finer, 0)),
            where=sql.SQL(" AND ").join(conditions),
            view=view(self.definition, self.scope),
            **{name: dots[name] for name in ("at", "persons", "area_m2")},
        )

    def _clusters(self) -> sql.Composable:
        """Cells with several items, as points at the middle of these."""
        blank = [sql.SQL(", NULL::{} AS {}").format(self._type(n), sql.Identifier(n)) for n in self._fields]
        return sql.SQL(
            "SELECT NULL::bigint AS fid, {place} AS geom, nullif(sample, false) AS sample{blank}, {sums}"
            " FROM clusters WHERE point_count > 1"
        ).format(place=self._place("x / point_count", "y / point_count"), blank=sql.SQL("").join(blank),
                 sums=self._sums())  # fmt: skip

    def _singles(self) -> sql.Composable:
        """The item of a cell that has but one: a point as it is, an area as a dot."""
        sums = self._sums() if self.definition.dimension != 0 else self._blank(comma=False)
        return sql.SQL(
            "SELECT i.fid, {place} AS geom, nullif(i.sample, false) AS sample{columns}, {sums}"
            " FROM clusters AS c JOIN {view} AS i ON i.fid = c.only WHERE c.point_count = 1"
        ).format(
            place=self._place("ST_X({})", "ST_Y({})", self._dots_at),
            columns=self._columns("i"),
            sums=sums,
            view=view(self.definition, self.scope),
        )

    @property
    def _dots_at(self) -> sql.Composable:
        point = self.definition.dimension == 0
        return sql.SQL("i.geom_3857" if point else "ST_Centroid(ST_Envelope(i.geom_3857))")

    def _place(self, x: str, y: str, of: sql.Composable | None = None) -> sql.Composable:
        """A point on the tile, inside of its edges: it is on no other tile."""
        unit = 2 * HALF_WORLD_M / 2**self.z / EXTENT
        inside = sql.SQL(
            "ST_AsMVTGeom(ST_SetSRID(ST_MakePoint(least(greatest({x}, $1), $3 - {edge}),"
            " least(greatest({y}, $2 + {edge}), $4)), 3857), {box}, {extent}, 0, false)"
        )
        x_at, y_at = (sql.SQL(text).format(of) if of is not None else sql.SQL(text) for text in (x, y))
        return inside.format(x=x_at, y=y_at, edge=sql.Literal(0.75 * unit), box=BOX, extent=sql.Literal(EXTENT))

    # --- columns

    @property
    def _fields(self) -> tuple[str, ...]:
        return fields_at(self.definition, self.z)

    def _columns(self, of: str | None = None) -> sql.Composable:
        return sql.SQL("").join(sql.SQL(", {}").format(_column(self.definition, name, of)) for name in self._fields)

    def _type(self, name: str) -> sql.Composable:
        kind = self.definition.fields[name]
        return sql.SQL("text" if kind.type in ("codes", "date", "datetime") else kind.column_type)

    @property
    def _sum_columns(self) -> dict[str, str]:
        numbers = {f"n{number}": "bigint" for number in range(len(legend.rules(self.definition)))}
        return SUM_COLUMNS | numbers

    def _sums(self) -> sql.Composable:
        return sql.SQL(", ").join(map(sql.Identifier, self._sum_columns))

    def _blank(self, *, comma: bool = True) -> sql.Composable:
        """What items have in place of sums, where clusters stand beside them."""
        if not self.clustered:
            return sql.SQL("")
        blank = sql.SQL(", ").join(
            sql.SQL("NULL::{} AS {}").format(sql.SQL(kind), sql.Identifier(name))
            for name, kind in self._sum_columns.items()
        )
        return sql.SQL(", {}" if comma else "{}").format(blank)


SUM_COLUMNS = {
    "point_count": "bigint",
    "rule": "int",
    "unknown": "bigint",
    "persons": "bigint",
    "persons_unknown": "bigint",
    "area_m2": "bigint",
}
CLUSTER_FIELDS = {
    "point_count": "items that the point stands for; n0, n1 … how many of them each rule of the legend draws",
    "rule": "the gravest rule of the legend among them, from 0",
    "unknown": "how many of them have no known grade",
    "persons": "the people concerned, as far as they are known",
    "persons_unknown": "items of which the people are not known, left out of persons",
    "area_m2": "their area, m²",
}
_CELLS = """
SELECT cell, sum(count)::bigint AS point_count, sum(x)::float8 AS x, sum(y)::float8 AS y, bit_xor(fid) AS only,
    bool_or(sample) AS sample, {worst} AS rule, {unknown} AS unknown, {persons} AS persons,
    {persons_unknown} AS persons_unknown, nullif(sum(area_m2), 0)::bigint AS area_m2{by_rule}
FROM (
    SELECT cell, rule, sample, sum(count) AS count, sum(x) AS x, sum(y) AS y, bit_xor(fid) AS fid,
        sum(persons) AS persons, sum(persons_unknown) AS persons_unknown, sum(area_m2) AS area_m2
    FROM ({summands}) AS s
    WHERE {hidden}
    GROUP BY cell, rule, sample HAVING sum(count) <> 0
) AS r
GROUP BY cell
"""
_COUNTED = """
SELECT floor((ST_X({at}) - $1) / ($3 - $1) * {cells})::int * {cells}
        + floor(($4 - ST_Y({at})) / ($3 - $1) * {cells})::int AS cell,
    {rule} AS rule, sample, 1 AS count, ST_X({at}) AS x, ST_Y({at}) AS y, fid, {persons} AS persons,
    ({persons} IS NULL)::int AS persons_unknown, {area_m2} AS area_m2
FROM {view} AS i
WHERE {where} AND ST_X({at}) >= $1 AND ST_X({at}) < $3 AND ST_Y({at}) > $2 AND ST_Y({at}) <= $4
"""


def _column(definition: Definition, name: str, of: str | None = None) -> sql.Composable:
    kind = definition.fields[name].type
    form = {"codes": "array_to_string({0}, ',') AS {1}", "date": "{0}::text AS {1}", "datetime": "{0}::text AS {1}"}
    column = sql.Identifier(of, name) if of else sql.Identifier(name)
    return sql.SQL(form.get(kind, "{0}")).format(column, sql.Identifier(name))
