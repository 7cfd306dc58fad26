"""Read features: pages of GeoJSON, single items, GeoDataFrames, search, and what the layers hold in all.

Everything is read through the views of the readers' scope: of schema ``released`` the public fields of public rows, of
schema ``internal`` every field of every row; as things are, or as they were recorded at an earlier moment.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import shapely

from layers.catalog import Catalog
from layers.database import RELEASED, Readers, Scope, sql
from layers.definition import Definition, Field
from layers.errors import InvalidValue, UnknownParameter
from layers.tables import fields_of, view
from layers.times import Interval, within

if TYPE_CHECKING:
    import geopandas

Box = tuple[float, float, float, float]
SYSTEM_PROPERTIES = ("source", "sample", "flags", "recorded_at")
FURTHER_NAMES = ("name_en", "ref")
SUBTITLES = ("address", "parent_name", "ref")
LARGEST = 2**63 - 1
PAGE_AT_MOST = 10_000
TEXT_AT_MOST = 1000


@dataclass(frozen=True)
class Page:
    """Which features of a layer are asked for.

    Parameters
    ----------
    limit : int
        Features at most, 1 to 10 000.
    after : int
        Only features whose ``fid`` is greater; -1 for the first page.
    bbox : tuple of float, optional
        West, south, east, north in degrees, WGS 84; west > east crosses the antimeridian.
    time : Interval, optional
        The stretch that the feature's own time must meet.
    filters : mapping of str to str
        Public field to the value it must have; for a field of several codes, a code it must hold.
    q : str, optional
        Text that the name, or its pinyin initials, must contain.
    properties : tuple of str, optional
        The properties to give; None: all that may be read.
    as_of : datetime, optional
        What was recorded at that moment, and not what is now.
    conditions : tuple of sql.Composable
        Further conditions, over the columns of the layer's view.
    """

    limit: int = 100
    after: int = -1
    bbox: Box | None = None
    time: Interval | None = None
    filters: dict[str, str] = field(default_factory=dict)
    q: str | None = None
    properties: tuple[str, ...] | None = None
    as_of: datetime.datetime | None = None
    conditions: tuple[sql.Composable, ...] = ()


def page(readers: Readers, known: Catalog, definition: Definition, asked: Page) -> tuple[list[str], int | None]:
    """GeoJSON features as text, in the order of ``fid``, and the ``fid`` after which the next page starts.

    Raises
    ------
    InvalidValue
        When a value does not fit its field, or the layer has no geometry for the box.
    UnknownParameter
        When a field does not exist or is not public.
    """
    readers = readers if asked.as_of is None else readers.at(asked.as_of)
    query = sql.SQL("SELECT fid, {}::text FROM {} AS i WHERE {} ORDER BY fid LIMIT {}").format(
        feature(definition, asked.properties, readers.scope),
        view(definition, readers.scope),
        where(known, definition, asked, readers.scope),
        sql.Literal(asked.limit + 1),
    )
    found = readers.rows(query)
    more = found[asked.limit - 1][0] if len(found) > asked.limit else None
    return [text for _, text in found[: asked.limit]], more


@dataclass(frozen=True)
class Item:
    """One item: its GeoJSON feature as text, and the change that wrote it."""

    text: str
    change: int


def item(
    readers: Readers,
    definition: Definition,
    fid: int,
    properties: tuple[str, ...] | None = None,
    as_of: datetime.datetime | None = None,
) -> Item | None:
    """One item; None when there is none or it is withheld from these readers."""
    if not 0 <= fid <= LARGEST:
        return None
    readers = readers if as_of is None else readers.at(as_of)
    query = sql.SQL("SELECT {}::text, change FROM {} AS i WHERE fid = {}").format(
        feature(definition, properties, readers.scope), view(definition, readers.scope), sql.Literal(fid)
    )
    row = readers.one(query)
    return Item(*row) if row else None


def frame(
    readers: Readers, known: Catalog, definition: Definition, asked: Page | None = None
) -> geopandas.GeoDataFrame:
    """Features as a GeoDataFrame in EPSG:4326, indexed by ``fid``; all of them when no page is asked for.

    Parameters
    ----------
    asked : Page, optional
        Its limit counts, above 10 000 too.

    Returns
    -------
    GeoDataFrame
        One column a public property; unknown values are None or NaN, never zero.
    """
    readers = readers if asked is None or asked.as_of is None else readers.at(asked.as_of)
    columns = property_columns(definition, asked.properties if asked is not None else None, readers.scope)
    names = [sql.Identifier(name) for name in ("fid", *columns)]
    shape = sql.SQL("ST_AsBinary(geom)") if definition.has_geometry else sql.SQL("NULL::bytea")
    query = sql.SQL("SELECT {}, {} FROM {} WHERE {} ORDER BY fid LIMIT {}").format(
        sql.SQL(", ").join(names),
        shape,
        view(definition, readers.scope),
        where(known, definition, asked, readers.scope) if asked is not None else sql.SQL("true"),
        sql.Literal(asked.limit) if asked is not None else sql.SQL("ALL"),
    )
    found = readers.rows(query)
    geometry = shapely.from_wkb([bytes(row[-1]) if row[-1] is not None else None for row in found])
    data = {name: [row[number] for row in found] for number, name in enumerate(("fid", *columns))}
    import geopandas  # only here: it takes two seconds and 100 MB, which the service does without

    return geopandas.GeoDataFrame(data, geometry=geometry, crs="EPSG:4326").set_index("fid")


def property_columns(
    definition: Definition, chosen: Iterable[str] | None = None, scope: Scope = RELEASED
) -> tuple[str, ...]:
    """The properties that may be read in a scope: all, or the chosen ones.

    Raises
    ------
    UnknownParameter
        When one does not exist or may not be read: the two are not told apart.
    """
    readable = (*fields_of(definition, scope), *SYSTEM_PROPERTIES)
    if chosen is None:
        return readable
    for name in chosen:
        if name not in readable:
            raise UnknownParameter(
                f"the layer {definition.id} has no property {name!r}",
                parameter="properties",
                expected=", ".join(readable),
            )
    return tuple(dict.fromkeys(chosen))


def feature(definition: Definition, chosen: Sequence[str] | None, scope: Scope = RELEASED) -> sql.Composable:
    """A row ``i`` of the layer's view as a GeoJSON feature."""
    columns = [sql.Identifier("i", name) for name in property_columns(definition, chosen, scope)]
    geometry = sql.SQL("ST_AsGeoJSON(i.geom, 7)::json" if definition.has_geometry else "NULL::json")
    properties = sql.SQL("(SELECT row_to_json(p) FROM (SELECT {}) AS p)").format(sql.SQL(", ").join(columns))
    if not columns:
        properties = sql.SQL("json_build_object()")
    return sql.SQL("json_build_object('type', 'Feature', 'id', i.fid, 'geometry', {}, 'properties', {})").format(
        geometry, properties
    )


def where(known: Catalog, definition: Definition, asked: Page, scope: Scope) -> sql.Composable:
    """The conditions of a page over the columns of the layer's view."""
    conditions: list[sql.Composable] = list(asked.conditions)
    if asked.after >= 0:
        conditions.append(sql.SQL("fid > {}").format(sql.Literal(asked.after)))
    if asked.bbox is not None:
        conditions.append(_in_box(definition, asked.bbox))
    if asked.time is not None:
        conditions.append(within(definition, asked.time))
    if asked.q is not None:
        conditions.append(matches(definition, asked.q))
    conditions += [condition(known, definition, name, value, scope) for name, value in asked.filters.items()]
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def _in_box(definition: Definition, box: Box) -> sql.Composable:
    if not definition.has_geometry:
        raise InvalidValue("the layer has no geometry", parameter="bbox", expected="no bbox")
    west, south, east, north = box
    parts = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    boxes = [
        # the envelope of a line, since a box without area would be an invalid polygon, which nothing intersects
        sql.SQL(
            "ST_Intersects(geom,"
            " ST_Envelope(ST_SetSRID(ST_MakeLine(ST_MakePoint({}, {}), ST_MakePoint({}, {})), 4326)))"
        ).format(*map(sql.Literal, (w, south, e, north)))
        for w, e in parts
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(boxes))


def condition(known: Catalog, definition: Definition, name: str, value: str, scope: Scope = RELEASED) -> sql.Composable:
    """That a field equals a value, or holds it.

    Raises
    ------
    InvalidValue
        When the value cannot be one of the field's.
    UnknownParameter
        When there is no such field or it may not be read: the two are not told apart.
    """
    column = sql.Identifier(name)
    if name == "source":
        return sql.SQL("{} = {}").format(column, sql.Literal(_text(name, value)))
    if name == "sample":
        return sql.SQL("{} = {}").format(column, sql.Literal(_boolean(name, value)))
    if name == "flags":
        return sql.SQL("{} @> {}").format(column, sql.Literal([_text(name, value)]))
    if name not in fields_of(definition, scope):
        raise UnknownParameter(
            f"there is no parameter {name!r}", parameter=name, expected="a field of the layer: see its schema"
        )
    shape = definition.fields[name]
    if shape.type in ("code", "codes"):
        codes = known.codes_of(definition, shape)
        if value not in codes:
            raise InvalidValue(f"there is no code {value!r}", parameter=name, expected=", ".join(codes))
    if shape.type == "codes":
        return sql.SQL("{} @> {}").format(column, sql.Literal([value]))
    return sql.SQL("{} = {}").format(column, sql.Literal(_typed(name, shape, value)))


def _typed(name: str, shape: Field, value: str) -> Any:
    readers: dict[str, Callable[[str, str], Any]] = {
        "integer": _integer, "item": _integer, "number": _number, "boolean": _boolean, "date": _date,
        "datetime": _datetime,
    }  # fmt: skip
    return readers.get(shape.type, _text)(name, value)


def _text(name: str, value: str) -> str:
    if "\0" in value or len(value) > TEXT_AT_MOST:
        expected = f"{TEXT_AT_MOST} characters at most"
        raise InvalidValue("the text cannot be looked for", parameter=name, expected=expected)
    return value


def _integer(name: str, value: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,19}", value) and abs(int(value)) <= LARGEST:
        return int(value)
    raise InvalidValue(f"{value[:40]!r} is not a whole number", parameter=name, expected="a whole number")


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidValue(f"{value[:40]!r} is not a number", parameter=name, expected="a finite number")
    return number


def _boolean(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise InvalidValue(f"{value[:40]!r} is neither true nor false", parameter=name, expected="true or false")
    return value == "true"


def _date(name: str, value: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(value)
    except ValueError:
        expected = "a date such as 2026-11-20"
        raise InvalidValue(f"{value[:40]!r} is not a date", parameter=name, expected=expected) from None


def _datetime(name: str, value: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        expected = "a moment such as 2026-11-20T14:20:00+08:00"
        raise InvalidValue(f"{value[:40]!r} is not a moment", parameter=name, expected=expected) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def union(boxes: Sequence[Box]) -> Box:
    """The box around boxes: west, south, east, north in degrees."""
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def like(text: str) -> str:
    """A text as a LIKE pattern that fits the text itself alone."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def name_columns(definition: Definition) -> list[str]:
    """The public fields under which an item is looked for, its name first."""
    own = [definition.name_field] if definition.name_field is not None else []
    return [name for name in dict.fromkeys([*own, *FURTHER_NAMES]) if name in definition.public_fields]


def matches(definition: Definition, q: str) -> sql.Composable:
    """That a name of the item, or the pinyin initials of its name, contains a text, whatever the case."""
    pattern = sql.Literal(f"%{like(_text('q', q))}%")
    columns = [sql.SQL("{} ILIKE {}").format(sql.Identifier(name), pattern) for name in name_columns(definition)]
    columns.append(sql.SQL("name_initials LIKE lower({})").format(pattern))
    return sql.SQL("({})").format(sql.SQL(" OR ").join(columns))


def search(
    readers: Readers, definitions: Iterable[Definition], q: str, limit: int, near: tuple[float, float] | None = None
) -> list[dict[str, Any]]:
    """The items whose name contains a text, or whose pinyin initials do.

    Parameters
    ----------
    definitions : iterable of Definition
        The layers to look in; those without a name or geometry are passed over.
    q : str
        What is looked for.
    limit : int
        Items at most.
    near : tuple of float, optional
        Longitude and latitude, degrees: of equally good matches the nearer comes first.

    Returns
    -------
    list of dict
        Equal names first, then names that start with the text, then the others; lines, of which many bear one name,
        come last and one a name. ``geometry`` is the item's point or a point on it, ``bbox`` its box in degrees.
    """
    text = " ".join(_text("q", q).split())
    named = [d for d in definitions if d.has_geometry and name_columns(d)]
    if not text or not named:
        return []
    parts = [sql.SQL("({})").format(_search_in(definition, text, limit, near, readers.scope)) for definition in named]
    answer = readers.rows(
        sql.SQL("SELECT found FROM ({}) AS every ORDER BY is_line, how, distance, length, layer, fid LIMIT {}").format(
            sql.SQL(" UNION ALL ").join(parts), sql.Literal(limit)
        )
    )
    return [found for (found,) in answer]


def _search_in(
    definition: Definition, q: str, limit: int, near: tuple[float, float] | None, scope: Scope
) -> sql.Composable:
    names = name_columns(definition)
    pattern = like(q)
    equal = sql.SQL(" OR ").join(
        sql.SQL("lower({}) = lower({})").format(sql.Identifier(name), sql.Literal(q)) for name in names
    )
    starts = sql.SQL(" OR ").join(
        sql.SQL("{} ILIKE {}").format(sql.Identifier(name), sql.Literal(f"{pattern}%")) for name in names
    )
    distance = sql.SQL("0::float8")
    if near is not None:
        distance = sql.SQL("(geom <-> ST_SetSRID(ST_MakePoint({}, {}), 4326))").format(*map(sql.Literal, near))
    is_line = definition.dimension == 1
    return sql.SQL(_SEARCH).format(
        layer=sql.Literal(definition.id),
        name=sql.SQL("coalesce({})").format(sql.SQL(", ").join(map(sql.Identifier, names))),
        subtitle=_subtitle(definition),
        is_line=sql.Literal(is_line),
        at_most=sql.Literal(1 if is_line else limit),
        equal=equal,
        starts=starts,
        initials=sql.Literal(pattern.lower() + "%"),
        distance=distance,
        view=view(definition, scope),
        matches=matches(definition, q),
        limit=sql.Literal(limit),
    )


_SEARCH = """
SELECT {is_line} AS is_line, how, distance, length(name) AS length, {layer} AS layer, fid, json_build_object(
    'layer', {layer}, 'fid', fid, 'id', {layer} || '.' || fid, 'name', name, 'subtitle', subtitle,
    'geometry', ST_AsGeoJSON(CASE ST_Dimension(geom) WHEN 0 THEN geom ELSE ST_PointOnSurface(geom) END, 7)::json,
    'bbox', json_build_array(ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), ST_YMax(geom)), 'sample', sample) AS found
FROM (
    SELECT *, row_number() OVER (PARTITION BY name ORDER BY how, distance, fid) AS number
    FROM (
        SELECT fid, geom, sample, {name} AS name, {subtitle} AS subtitle, {distance} AS distance,
            CASE WHEN {equal} THEN 0 WHEN {starts} THEN 1 WHEN name_initials LIKE {initials} THEN 2 ELSE 3 END AS how
        FROM {view} WHERE {matches}
    ) AS matching
) AS numbered
WHERE number <= {at_most}
ORDER BY how, distance, length(name), fid LIMIT {limit}
"""


def _subtitle(definition: Definition) -> sql.Composable:
    declared = [name for name, shape in definition.fields.items() if shape.declares_area]
    own = name_columns(definition)[:1]
    names = [name for name in (*declared, *SUBTITLES) if name in definition.public_fields and name not in own]
    if not names:
        return sql.SQL("NULL::text")
    return sql.SQL("coalesce({})").format(sql.SQL(", ").join(map(sql.Identifier, names)))


@dataclass(frozen=True)
class Holding:
    """What a layer holds from one source.

    Parameters
    ----------
    layer, source : str
        Their ids.
    sample : bool
        Whether the rows are sample data.
    count : int
        Rows that the reader may see.
    bbox : tuple of float, optional
        West, south, east, north, degrees; None without geometry.
    """

    layer: str
    source: str
    sample: bool
    count: int
    bbox: Box | None


def holdings(readers: Readers, known: Catalog) -> list[Holding]:
    """What every layer holds, by source; layers without rows are not in it."""
    parts = []
    for definition in known.values():
        box = sql.SQL("ST_Extent(geom)" if definition.has_geometry else "NULL::box2d")
        parts.append(
            sql.SQL(
                "SELECT {} AS layer, source, sample, count(*) AS count, {} AS box FROM {} GROUP BY source, sample"
            ).format(sql.Literal(definition.id), box, view(definition, readers.scope))
        )
    query = sql.SQL(
        "SELECT layer, source, sample, count, ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box) FROM ({}) AS h"
        " ORDER BY layer, sample, source"
    ).format(sql.SQL(" UNION ALL ").join(parts))
    return [
        Holding(layer, source, sample, count, None if box[0] is None else (box[0], box[1], box[2], box[3]))
        for layer, source, sample, count, *box in readers.rows(query)
    ]


def sources(readers: Readers) -> dict[str, dict[str, Any]]:
    """Where data come from and on what terms, by the source's id."""
    query = sql.SQL("SELECT id, name, licence, attribution, url FROM {}")
    found = readers.rows(query.format(sql.Identifier(readers.scope.schema, "sources")))
    return {row[0]: dict(zip(("id", "name", "licence", "attribution", "url"), row, strict=True)) for row in found}


def area(readers: Readers, known: Catalog, code: str) -> tuple[Box, str, str | None] | None:
    """The box, name and Latin name of an administrative area by its code; None when there is none."""
    for definition in known.values():
        if definition.parent is None or definition.dimension != 2:
            continue
        latin = sql.Identifier("name_en") if "name_en" in definition.public_fields else sql.SQL("NULL")
        query = sql.SQL(
            "SELECT ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), ST_YMax(geom), {}, {} FROM {} WHERE source_id = %s"
            " ORDER BY fid LIMIT 1"
        ).format(sql.Identifier(definition.name_field or "source_id"), latin, view(definition, readers.scope))
        row = readers.one(query, (code,))
        if row is not None:
            return (row[0], row[1], row[2], row[3]), row[4], row[5]
    return None
