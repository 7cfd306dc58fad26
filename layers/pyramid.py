"""The pyramid of a layer: how many items lie in each cell of each level, and what they add up to.

A tile of zoom ``z`` shows what is too small to be drawn there by cells of level ``z + 3``: 8 × 8 cells of a tile. The
table ``pyramid.<layer>`` holds summands: a statement that writes to the layer appends what it adds and takes away, and
whoever reads adds up. So two writers never wait for each other, and nothing has to be counted anew; what stands in one
cell is folded now and then (``leeward.fold_pyramid``). Points are in the pyramid up to zoom 9; areas at the zooms at
which they cover less than four square pixels. Lines are drawn, and are in no pyramid.

For areas and lines the layer's table also holds the geometry as it is drawn at zooms up to 5, 7 and 9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from layers.database import INTERNAL, RELEASED, SERVICE, Cursor, Scope, rows, sql
from layers.definition import Definition
from layers.legend import fields_of_rules, rule_number, shown

ZOOM_AT_MOST = 9
"""The last zoom at which points are shown by cells."""
CELLS_ZOOM = 3
"""A tile is as wide as 2**3 cells."""
FINEST = ZOOM_AT_MOST + CELLS_ZOOM
DRAWN_ZOOMS = (5, 7, 9)
"""The geometry for zooms up to each of them is kept."""
WORLD_M = 40075016.685578488
TILE_PX = 512
EDITION = "pyramid 1"
"""Part of each layer's digest: tables and triggers are made anew when it changes."""
SUMS = ("count", "x", "y", "fid", "persons", "persons_unknown", "area_m2")
COLUMNS = {
    "level": ("smallint NOT NULL", "Cells of that level: 2**level in a row around the world"),
    "cell": ("integer NOT NULL", "The cell's place along the Z-order curve"),
    "released": ("boolean NOT NULL", "Whether the public may see the items"),
    "sample": ("boolean NOT NULL", "Whether they are sample data"),
    "rule": ("smallint NOT NULL", "The rule of the legend that draws them, from 0"),
    "count": ("bigint NOT NULL", "Items added, less items taken away"),
    "x": ("bigint NOT NULL", "Sum of their places from west to east, m of EPSG:3857"),
    "y": ("bigint NOT NULL", "Sum of their places from south to north, m of EPSG:3857"),
    "fid": ("bigint NOT NULL", "Exclusive or of their numbers: the number itself when one is left"),
    "persons": ("bigint NOT NULL", "Sum of the people concerned, as far as they are known"),
    "persons_unknown": ("bigint NOT NULL", "Items of which the people are not known"),
    "area_m2": ("bigint NOT NULL", "Sum of their areas on the ellipsoid, m²"),
}
_SUMMANDS = """
INSERT INTO pyramid.{layer} (level, cell, released, sample, rule, {sums})
SELECT l.level, c.morton >> (2 * ({finest} - l.level)), c.released, c.sample, c.rule, {summed}
FROM (
    SELECT leeward.morton(g.col, g.row) AS morton, g.*
    FROM (
        SELECT least(greatest(floor((ST_X(p.at) + {half}) / {cell_m}), 0), {last})::int AS col,
            least(greatest(floor(({half} - ST_Y(p.at)) / {cell_m}), 0), {last})::int AS row,
            p.released, p.sample, p.rule, p.dot_zoom, sum(p.sign) AS count,
            sum(p.sign * round(ST_X(p.at))::bigint) AS x, sum(p.sign * round(ST_Y(p.at))::bigint) AS y,
            bit_xor(p.fid) AS fid, coalesce(sum(p.sign * p.persons), 0) AS persons,
            coalesce(sum(p.sign) FILTER (WHERE p.persons IS NULL), 0) AS persons_unknown,
            sum(p.sign * p.area_m2) AS area_m2
        FROM ({items}) AS p
        GROUP BY 1, 2, 3, 4, 5, 6
    ) AS g
    WHERE (g.count, g.x, g.y, g.fid, g.persons, g.persons_unknown, g.area_m2) <> (0, 0, 0, 0, 0, 0, 0)
) AS c
JOIN generate_series({coarsest}, {finest}) AS l (level) ON c.dot_zoom >= l.level - {coarsest}
GROUP BY 1, 2, 3, 4, 5
HAVING (sum(c.count), sum(c.x), sum(c.y), bit_xor(c.fid), sum(c.persons), sum(c.persons_unknown), sum(c.area_m2))
    <> (0, 0, 0, 0, 0, 0, 0)
ORDER BY 1, 2
"""
_ITEMS = """
SELECT {sign} AS sign, fid, sample, {released} AS released, {rule} AS rule, {dot_zoom} AS dot_zoom, {at} AS at,
    {persons} AS persons, {area_m2} AS area_m2
FROM {rows} WHERE geom_3857 IS NOT NULL AND {dot_zoom} >= 0
"""
_PERSONS = "CASE WHEN {0} IS NOT NULL THEN least(greatest({0}, 0), 1000000000000)::bigint END"
"""Sums stay within their type, whatever is entered; what is unknown stays so."""


@dataclass(frozen=True)
class Generated:
    """A column that the database fills."""

    type: str
    expression: sql.Composable
    comment: str
    spatial: bool


GENERATED = ("dot_zoom", *(f"geom_z{zoom}" for zoom in DRAWN_ZOOMS))
"""The names of the columns of layers of areas and lines that the database fills for tiles."""


def has_pyramid(definition: Definition) -> bool:
    """Whether the layer has items that are shown by cells: points or areas."""
    return definition.has_geometry and definition.dimension != 1


def table(definition: Definition) -> sql.Identifier:
    """The table of the layer's summands."""
    return sql.Identifier("pyramid", definition.id)


def view(definition: Definition, scope: Scope) -> sql.Identifier:
    """The layer's summands as far as a scope may see them."""
    return sql.Identifier(scope.pyramid, definition.id)


def drawn_column(z: int) -> str:
    """The column with the geometry of areas and lines for a zoom up to 9."""
    return f"geom_z{next(zoom for zoom in DRAWN_ZOOMS if z <= zoom)}"


def px_m(z: int) -> float:
    """How many metres of EPSG:3857 a pixel is wide at a zoom, of tiles of 512 pixels."""
    return WORLD_M / TILE_PX / 2.0**z


def generated_columns(definition: Definition) -> dict[str, Generated]:
    """The columns of a layer of areas or lines that say when and how they are drawn at low zooms."""
    if not definition.has_geometry or definition.dimension == 0:
        return {}
    made: dict[str, Generated] = {}
    mercator = sql.SQL("layers.web_mercator(geom)")
    dot_zoom = sql.SQL("leeward.dot_zoom({})").format(mercator)
    if has_pyramid(definition):
        comment = "The greatest zoom at which it is a dot; -1 when it is at none"
        made["dot_zoom"] = Generated("smallint", dot_zoom, comment, spatial=False)
    computed = any(definition.fields[name].computed for name in fields_of_rules(definition))
    for zoom in DRAWN_ZOOMS:
        conditions = [sql.SQL("{} < {}").format(dot_zoom, sql.Literal(zoom))] if has_pyramid(definition) else []
        if not computed:  # a generated column may not look at another
            conditions.append(shown(definition, zoom))
        expression = sql.SQL("CASE WHEN {} THEN leeward.drawn({}, {}) END").format(
            sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"), mercator, sql.Literal(px_m(zoom))
        )
        digest = hashlib.sha256(repr(expression).encode()).hexdigest()[:8]
        comment = f"Geometry in EPSG:3857 as it is drawn at zooms up to {zoom}; NULL when it is not [{digest}]"
        made[f"geom_z{zoom}"] = Generated("geometry(Geometry, 3857)", expression, comment, spatial=True)
    return made


def synchronise(cursor: Cursor, definition: Definition) -> None:
    """Make the layer's table of summands and its views, and fill it anew."""
    for scope in (RELEASED, INTERNAL):
        cursor.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view(definition, scope)))
    cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table(definition)))
    if not has_pyramid(definition):
        return
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, (kind, _) in COLUMNS.items()
    )
    cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(table(definition), columns))
    cursor.execute(
        sql.SQL("CREATE INDEX {} ON {} (level, cell)").format(
            sql.Identifier(f"{definition.id}_cells"), table(definition)
        )
    )
    cursor.execute(
        sql.SQL("COMMENT ON TABLE {} IS {}").format(
            table(definition), sql.Literal(f"Summands of layers.{definition.id} by cell: who reads adds up")
        )
    )
    for name, (_, comment) in COLUMNS.items():
        cursor.execute(
            sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                table(definition), sql.Identifier(name), sql.Literal(comment)
            )
        )
    for scope in (RELEASED, INTERNAL):
        _make_view(cursor, definition, scope)
    fill(cursor, definition)


def _make_view(cursor: Cursor, definition: Definition, scope: Scope) -> None:
    told = ("level", "cell", "sample", "rule", *SUMS)
    cursor.execute(
        sql.SQL("CREATE VIEW {} AS SELECT {} FROM {} WHERE {}").format(
            view(definition, scope),
            sql.SQL(", ").join(map(sql.Identifier, told)),
            table(definition),
            sql.SQL("released" if scope.public else "true"),
        )
    )
    cursor.execute(
        sql.SQL("COMMENT ON VIEW {} IS {}").format(
            view(definition, scope), sql.Literal(f"Counts and sums of {scope.schema}.{definition.id} by cell")
        )
    )
    roles = [scope.role] if scope.public else [scope.role, SERVICE]
    names = sql.SQL(", ").join(map(sql.Identifier, roles))
    cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(view(definition, scope), names))


def fill(cursor: Cursor, definition: Definition) -> None:
    """Make the layer's summands anew from its rows: for rows that were written while its triggers were off."""
    if not has_pyramid(definition):
        return
    cursor.execute(sql.SQL("DELETE FROM {}").format(table(definition)))
    source = sql.Identifier("layers", definition.id)
    cursor.execute(_summands(definition, _items(definition, source, 1)))


def fold(cursor: Cursor, definition: Definition, at_least: int = 0) -> int:
    """Add up the summands that stand in one cell, when that many cells hold several; how many were added up."""
    if not has_pyramid(definition):
        return 0
    ((folded,),) = rows(cursor, "SELECT leeward.fold_pyramid(%s, %s)", (definition.id, at_least))
    return int(folded)


def appending(definition: Definition, operation: str) -> Iterator[sql.Composable]:
    """What the trigger after a statement appends: what its rows as they are add, and as they were take away."""
    if not has_pyramid(definition):
        return
    items = []
    if operation != "delete":
        items.append(_items(definition, sql.SQL("new_rows"), 1))
    if operation != "insert":
        items.append(_items(definition, sql.SQL("old_rows"), -1))
    yield _summands(definition, sql.SQL(" UNION ALL ").join(items)) + sql.SQL(";")


def _summands(definition: Definition, items: sql.Composable) -> sql.Composable:
    sums = {name: f"sum(c.{name})" for name in SUMS} | {"fid": "bit_xor(c.fid)"}
    return sql.SQL(_SUMMANDS).format(
        layer=sql.Identifier(definition.id),
        sums=sql.SQL(", ").join(map(sql.Identifier, SUMS)),
        summed=sql.SQL(", ".join(sums.values())),
        finest=sql.Literal(FINEST),
        coarsest=sql.Literal(CELLS_ZOOM),
        half=sql.Literal(WORLD_M / 2),
        cell_m=sql.Literal(WORLD_M / 2**FINEST),
        last=sql.Literal(2**FINEST - 1),
        items=items,
    )


def _items(definition: Definition, source: sql.Composable, sign: int) -> sql.Composable:
    """The rows of a source as dots."""
    withheld = definition.public.withheld
    return sql.SQL(_ITEMS).format(
        sign=sql.Literal(sign),
        released=sql.SQL("{} IS NOT TRUE").format(sql.Identifier(withheld)) if withheld else sql.SQL("true"),
        rule=rule_number(definition),
        rows=source,
        **dots(definition, stored=True),
    )


def dots(definition: Definition, *, stored: bool) -> Mapping[str, sql.Composable]:
    """Of a row as a dot: its place, until which zoom it is one, its people, its area in m².

    Parameters
    ----------
    stored : bool
        Whether the column ``dot_zoom`` is there to be read; else it is computed.
    """
    persons = definition.tiles.persons
    point = definition.dimension == 0
    computed = sql.SQL("dot_zoom" if stored else "leeward.dot_zoom(geom_3857)")
    return {
        "at": sql.SQL("geom_3857" if point else "ST_Centroid(ST_Envelope(geom_3857))"),
        "dot_zoom": sql.SQL("22") if point else computed,
        "persons": sql.SQL(_PERSONS).format(sql.Identifier(persons)) if persons else sql.SQL("NULL::bigint"),
        "area_m2": sql.SQL("0::bigint" if point else "round(ST_Area(geom::geography))::bigint"),
    }
