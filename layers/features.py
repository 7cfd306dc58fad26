"""Read features: pages of GeoJSON, single items, GeoDataFrames, search, and what the layers hold in all.

Everything is read through the views of the readers' scope: of schema ``released`` the public fields of public rows, of
schema ``internal`` every field of every row; as things are, or as they were recorded at an earlier moment.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import shapely

from layers.catalog import Catalog
from layers.crs import CRS84, Crs
from layers.database import RELEASED, Readers, Scope, sql
from layers.definition import COLUMN_TYPES, Definition
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
SORTED_BY_AT_MOST = 4
SORTED_LETTERS = 100
SORTABLE_SYSTEM = {"source": "text", "sample": "boolean", "recorded_at": "datetime"}
COUNTED_AT_MOST = 100_000
COST_AT_MOST = 100_000  # in the planner's unit: some hundred milliseconds
CURSOR = "the cursor of a `next` link, with the same sortby"
FEATURE = b'{"type":"Feature","id":'
SEPARATOR = b"\x1f"


@dataclass(frozen=True)
class SortKey:
    """A field by which items are put in order; unknown values come last either way."""

    name: str
    descending: bool = False


@dataclass(frozen=True)
class Place:
    """Where a page of items ends: the number of its last one, and what that is sorted by, as text."""

    fid: int
    keys: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Page:
    """Which features of a layer are asked for.

    Parameters
    ----------
    limit : int
        Features at most, 1 to 10 000.
    after : Place, optional
        Only features behind that one; None for the first page.
    sort : tuple of SortKey
        The order, and behind it that of ``fid``.
    bbox : tuple of float, optional
        West, south, east, north in ``bbox_crs``; west > east crosses the antimeridian.
    bbox_crs, crs : Crs
        Of the box, and of the geometries that are given out.
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
    after: Place | None = None
    sort: tuple[SortKey, ...] = ()
    bbox: Box | None = None
    bbox_crs: Crs = CRS84
    crs: Crs = CRS84
    time: Interval | None = None
    filters: dict[str, str] = field(default_factory=dict)
    q: str | None = None
    properties: tuple[str, ...] | None = None
    as_of: datetime.datetime | None = None
    conditions: tuple[sql.Composable, ...] = ()


@dataclass(frozen=True)
class Found:
    """A page of features.

    Parameters
    ----------
    features : bytes
        Their GeoJSON in UTF-8, parted by commas.
    count : int
        How many they are.
    more : Place, optional
        Where the next page starts; None on the last.
    """

    features: bytes
    count: int
    more: Place | None


def page(readers: Readers, known: Catalog, definition: Definition, asked: Page) -> Found:
    """A page of GeoJSON features in their order.

    Raises
    ------
    InvalidValue
        When a value does not fit its field.
    UnknownParameter
        When a field does not exist or is not public.

    Notes
    -----
    The features are made to text by PostgreSQL and only joined here. The next page starts by value behind the last
    feature and its sort keys, so it costs what the first does, and a feature that stays where it is is met exactly once
    whatever becomes of the others.
    """
    readers = readers if asked.as_of is None else readers.at(asked.as_of)
    keys = sort_columns(definition, asked.sort, readers.scope)
    order = _order(asked.sort, keys)
    columns: list[sql.Composable] = [feature(definition, asked.crs)]
    if keys:
        columns.append(
            sql.SQL("jsonb_build_array({})::text").format(
                sql.SQL(", ").join([sql.SQL("({})::text").format(key) for key in keys])
            )
        )
    query = sql.SQL("SELECT {} FROM (SELECT * FROM {} AS i WHERE {} ORDER BY {} LIMIT {}) AS i, {} ORDER BY {}").format(
        sql.SQL(", ").join(columns),
        view(definition, readers.scope),
        where(known, definition, asked, readers.scope),
        order,
        sql.Literal(asked.limit + 1),
        properties_of(definition, asked.properties, readers.scope),
        order,
    )
    return _found(readers.lines(query), asked.limit, sorts=bool(keys))


def _found(lines: bytes, limit: int, *, sorts: bool) -> Found:
    """The page in the lines of a query, which may hold one line more than the page."""
    count = lines.count(b"\n")
    over = count > limit
    end = lines.rfind(b"\n", 0, len(lines) - 1) if over else len(lines) - 1
    features = lines[: max(end, 0)]
    more = _place(features[features.rfind(b"\n") + 1 :], sorts=sorts) if over else None
    if sorts:
        features = b"\n".join([line[: line.index(SEPARATOR)] for line in features.splitlines()])
    return Found(features.replace(b"\n", b",\n"), min(count, limit), more)


def _place(line: bytes, *, sorts: bool) -> Place:
    """Where the feature of a line stands."""
    number = line[len(FEATURE) : line.index(b",", len(FEATURE))]
    keys = orjson.loads(line[line.index(SEPARATOR) + 1 :]) if sorts else []
    return Place(int(number), tuple(keys))


def sort_columns(definition: Definition, sort: Sequence[SortKey], scope: Scope) -> list[sql.Composable]:
    """What rows ``i`` of the layer's view are sorted by: fields as they are, texts by their first hundred letters.

    Raises
    ------
    UnknownParameter
        When a field does not exist, may not be read or has no order: they are not told apart.
    InvalidValue
        When there are more than four.
    """
    kinds = sortables(definition, scope)
    if len(sort) > SORTED_BY_AT_MOST:
        expected = f"{SORTED_BY_AT_MOST} properties at most"
        raise InvalidValue("too many properties to sort by", parameter="sortby", expected=expected)
    for key in sort:
        if key.name not in kinds:
            words = f"the layer {definition.id} has no property {key.name[:80]!r} to sort by"
            raise UnknownParameter(words, parameter="sortby", expected=", ".join(kinds))
    form = {"text": f"left({{}}, {SORTED_LETTERS})"}
    return [sql.SQL(form.get(kinds[key.name], "{}")).format(sql.Identifier("i", key.name)) for key in sort]


def sortables(definition: Definition, scope: Scope) -> dict[str, str]:
    """The properties that items may be sorted by, each with its type."""
    own = {name: str(definition.fields[name].type) for name in fields_of(definition, scope)}
    return {name: kind for name, kind in {**own, **SORTABLE_SYSTEM}.items() if kind != "codes"}


def _order(sort: Sequence[SortKey], columns: Sequence[sql.Composable]) -> sql.Composable:
    """The order of rows ``i``: by the columns, unknown values last, and then by number."""
    parts = [
        sql.SQL("{} DESC NULLS LAST" if key.descending else "{}").format(column)
        for key, column in zip(sort, columns, strict=True)
    ]
    return sql.SQL(", ").join([*parts, sql.SQL("i.fid")])


def _behind(definition: Definition, asked: Page, scope: Scope) -> sql.Composable:
    """That a row comes behind the place after which the page starts."""
    place = asked.after or Place(-1)
    columns = sort_columns(definition, asked.sort, scope)
    if len(columns) != len(place.keys):
        raise InvalidValue("the cursor is of another order", parameter="cursor", expected=CURSOR)
    condition: sql.Composable = sql.SQL("i.fid > {}").format(sql.Literal(place.fid))
    kinds = sortables(definition, scope)
    for key, column, text in reversed(list(zip(asked.sort, columns, place.keys, strict=True))):
        if text is None:
            condition = sql.SQL("({} IS NULL AND {})").format(column, condition)
            continue
        sign = sql.SQL("<" if key.descending else ">")
        value = _sorted_by(kinds[key.name], text)
        form = "({0} {1} {2} OR {0} IS NULL OR ({0} = {2} AND {3}))"
        condition = sql.SQL(form).format(column, sign, value, condition)
    return condition


def _sorted_by(kind: str, text: str) -> sql.Composable:
    """A value that a cursor bears, as PostgreSQL wrote it."""
    try:
        _typed("cursor", kind, text)
    except InvalidValue:
        raise InvalidValue("the cursor cannot be read", parameter="cursor", expected=CURSOR) from None
    return sql.SQL("{}::{}").format(sql.Literal(text), sql.SQL(COLUMN_TYPES[kind]))


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
    crs: Crs = CRS84,
) -> Item | None:
    """One item; None when there is none or it is withheld from these readers."""
    if not 0 <= fid <= LARGEST:
        return None
    readers = readers if as_of is None else readers.at(as_of)
    query = sql.SQL("SELECT {}, change FROM {} AS i, {} WHERE i.fid = {}").format(
        feature(definition, crs),
        view(definition, readers.scope),
        properties_of(definition, properties, readers.scope),
        sql.Literal(fid),
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
    query = sql.SQL("SELECT {}, {} FROM {} AS i WHERE {} ORDER BY fid LIMIT {}").format(
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


def feature(definition: Definition, crs: Crs = CRS84) -> sql.Composable:
    """A row ``i`` of the layer's view, with its properties ``p``, as the text of a GeoJSON feature.

    Notes
    -----
    Texts are put together here: ``json_build_object`` takes half as long again.
    """
    geometry: sql.Composable = sql.SQL("'null'")
    if definition.has_geometry:
        shape = sql.SQL("ST_FlipCoordinates({})" if crs.north_first else "{}").format(sql.Identifier("i", crs.column))
        geometry = sql.SQL("coalesce(ST_AsGeoJSON({}, {}, 0), 'null')").format(shape, sql.Literal(crs.decimals))
    return sql.SQL("{} || i.fid || ',\"geometry\":' || {} || ',\"properties\":' || row_to_json(p) || '}}'").format(
        sql.Literal(FEATURE.decode()), geometry
    )


def properties_of(definition: Definition, chosen: Sequence[str] | None, scope: Scope) -> sql.Composable:
    """The properties ``p`` of a row ``i``, to stand in FROM behind it."""
    columns = [sql.Identifier("i", name) for name in property_columns(definition, chosen, scope)]
    return sql.SQL("LATERAL (SELECT {}) AS p").format(sql.SQL(", ").join(columns))


def matched(readers: Readers, known: Catalog, definition: Definition, asked: Page) -> tuple[int, bool]:
    """How many features a question fits, and whether that is an estimate.

    Returns
    -------
    tuple of int and bool
        Counted up to 100 000 features, where the planner takes that for cheap; else the planner's estimate. The limit,
        the order and the place of the page do not count.
    """
    readers = readers if asked.as_of is None else readers.at(asked.as_of)
    every = sql.SQL("SELECT FROM {} AS i WHERE {}").format(
        view(definition, readers.scope),
        where(known, definition, dataclasses.replace(asked, after=None, sort=()), readers.scope),
    )
    few = sql.SQL("{} LIMIT {}").format(every, sql.Literal(COUNTED_AT_MOST + 1))
    count = 0
    if _plan(readers, few)["Total Cost"] <= COST_AT_MOST:
        row = readers.one(sql.SQL("SELECT count(*) FROM ({}) AS few").format(few))
        count = int(row[0]) if row else 0
        if count <= COUNTED_AT_MOST:
            return count, False
    return max(count, int(_plan(readers, every)["Plan Rows"])), True


def _plan(readers: Readers, query: sql.Composable) -> dict[str, Any]:
    """The uppermost node of a query's plan."""
    ((plan,),) = readers.rows(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(query))
    found: dict[str, Any] = plan[0]["Plan"]
    return found


def where(known: Catalog, definition: Definition, asked: Page, scope: Scope) -> sql.Composable:
    """The conditions of a page over the columns of the layer's view, its rows called ``i``."""
    conditions: list[sql.Composable] = list(asked.conditions)
    if asked.after is not None:
        conditions.append(_behind(definition, asked, scope))
    if asked.bbox is not None and definition.has_geometry:  # features without a place lie in every box: requirement 23
        conditions.append(_in_box(asked.bbox, asked.bbox_crs))
    if asked.time is not None:
        conditions.append(within(definition, asked.time))
    if asked.q is not None:
        conditions.append(matches(definition, asked.q))
    conditions += [condition(known, definition, name, value, scope) for name, value in asked.filters.items()]
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def _in_box(box: Box, crs: Crs) -> sql.Composable:
    west, south, east, north = box
    parts = [(west, east)] if west <= east else [(west, crs.half_world), (-crs.half_world, east)]
    boxes = [
        # the envelope of a line, since a box without area would be an invalid polygon, which nothing intersects
        sql.SQL(
            "ST_Intersects({}, ST_Envelope(ST_SetSRID(ST_MakeLine(ST_MakePoint({}, {}), ST_MakePoint({}, {})), {})))"
        ).format(sql.Identifier(crs.column), *map(sql.Literal, (w, south, e, north, crs.srid)))
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
    if name == "recorded_at":
        return sql.SQL("{} = {}").format(column, sql.Literal(_datetime(name, value)))
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
    return sql.SQL("{} = {}").format(column, sql.Literal(_typed(name, shape.type, value)))


def _typed(name: str, kind: str, value: str) -> Any:
    readers: dict[str, Callable[[str, str], Any]] = {
        "integer": _integer, "item": _integer, "number": _number, "boolean": _boolean, "date": _date,
        "datetime": _datetime,
    }  # fmt: skip
    return readers.get(kind, _text)(name, value)


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
