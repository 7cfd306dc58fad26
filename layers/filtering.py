"""CQL2 filters as conditions over the columns of a layer's view, with bound values.

The text is parsed by ``layers.cql`` to the objects of CQL2 JSON; the walk over them knows the layer's fields, so that a
value of another type is refused with what would be right. A field that may not be read is answered like one that does
not exist. Unknown values make a comparison unknown, as in SQL and CQL2: the item is left out, and by NOT as well.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import shapely
import shapely.geometry

from layers.catalog import Catalog
from layers.cql import Node, parsed_json, parsed_text
from layers.crs import CRS84, Crs
from layers.database import Scope, sql
from layers.definition import Codes, Definition
from layers.errors import InvalidValue, UnknownParameter
from layers.features import TEXT_AT_MOST
from layers.tables import fields_of
from layers.times import Interval, interval_of
from layers.values import LOCAL_ZONE

PARAMETER = "filter"
LANGUAGES: dict[str, Callable[[str], Node]] = {"cql2-text": parsed_text, "cql2-json": parsed_json}
GEOMETRY = ("geometry", "geom")
SYSTEM = {"source": "text", "sample": "boolean", "flags": "codes", "recorded_at": "datetime"}
MIRRORED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
NUMBERS = ("integer", "number", "item")
TEXTS = ("text", "code")
TIMES = ("date", "datetime")
SPATIAL = {
    "s_intersects": "ST_Intersects", "s_disjoint": "NOT ST_Intersects", "s_contains": "ST_Contains",
    "s_within": "ST_Within", "s_crosses": "ST_Crosses", "s_equals": "ST_Equals", "s_overlaps": "ST_Overlaps",
    "s_touches": "ST_Touches",
}  # fmt: skip
SPATIAL_TURNED = {"s_contains": "s_within", "s_within": "s_contains"}
COLLECTIONS_IN = ("s_intersects", "s_disjoint")
ARRAYS = {
    "a_contains": "{0} @> {1}", "a_containedby": "{0} <@ {1}", "a_overlaps": "{0} && {1}",
    "a_equals": "({0} @> {1} AND {0} <@ {1})",
}  # fmt: skip
ARRAYS_TURNED = {"a_contains": "a_containedby", "a_containedby": "a_contains"}
TEMPORAL = {
    "t_after": "{0} > {3}", "t_before": "{1} < {2}", "t_intersects": "({0} <= {3} AND {1} >= {2})",
    "t_disjoint": "({0} > {3} OR {1} < {2})", "t_equals": "({0} = {2} AND {1} = {3})",
    "t_during": "({0} > {2} AND {1} < {3})", "t_contains": "({0} < {2} AND {1} > {3})",
}  # fmt: skip
WORDS = {
    "text": "a text in ' '", "code": "a code in ' '", "boolean": "true or false", "date": "DATE('2026-11-20')",
    "datetime": "TIMESTAMP('2026-11-20T14:20:00+08:00')", "codes": "A_CONTAINS(property, ('code'))",
    **dict.fromkeys(NUMBERS, "a number"),
}  # fmt: skip


def condition_of(
    known: Catalog, definition: Definition, scope: Scope, text: str, language: str = "cql2-text", crs: Crs = CRS84
) -> sql.Composable:
    """The condition of a filter, over the columns of the layer's view.

    Parameters
    ----------
    scope : Scope
        Whose fields may be named.
    text : str
        The filter, 8192 bytes and 100 levels at most.
    language : str
        ``cql2-text`` or ``cql2-json``.
    crs : Crs
        In which the coordinates of the filter are.

    Raises
    ------
    InvalidValue
        When the filter cannot be read, or a value does not fit its property.
    UnknownParameter
        When a property does not exist or may not be read: the two are not told apart.

    References
    ----------
    OGC 21-065r2, Common Query Language (CQL2): basic, advanced comparison, case-insensitive, spatial and array
    functions, property to property; of the temporal functions those that days and moments have in common.
    """
    if language not in LANGUAGES:
        expected = " or ".join(LANGUAGES)
        raise InvalidValue(f"no filter language {language[:40]!r}", parameter="filter-lang", expected=expected)
    return _Walk(known, definition, scope, crs).condition(LANGUAGES[language](text))


def queryables(definition: Definition, scope: Scope) -> dict[str, str]:
    """The properties that a filter may name, each with its type."""
    own = {name: str(definition.fields[name].type) for name in fields_of(definition, scope)}
    return {**({"geometry": "geometry"} if definition.has_geometry else {}), **own, **SYSTEM}


@dataclass(frozen=True)
class _Operand:
    """A side of a comparison that is no plain value.

    ``codes`` is the list of which its values are, where there is one; ``name`` what it is called in a problem.
    """

    sql: sql.Composable
    kind: str
    name: str
    codes: Codes | None = None


class _Walk:
    """From the objects of CQL2 JSON to SQL."""

    def __init__(self, known: Catalog, definition: Definition, scope: Scope, crs: Crs) -> None:
        self.known = known
        self.definition = definition
        self.crs = crs
        self.queryables = queryables(definition, scope)
        self.operations: dict[str, Callable[[str, list[Node]], sql.Composable]] = {
            "and": self._joined, "or": self._joined, "not": self._not, "isnull": self._is_null, "like": self._like,
            "between": self._between, "in": self._in, **dict.fromkeys(MIRRORED, self._comparison),
            **dict.fromkeys(SPATIAL, self._spatial), **dict.fromkeys(ARRAYS, self._array),
            **dict.fromkeys(TEMPORAL, self._temporal),
        }  # fmt: skip

    def condition(self, node: Node) -> sql.Composable:
        """A node that is true or false."""
        if isinstance(node, bool):
            return sql.Literal(node)
        if _is(node, "property"):
            operand = self._property(node)
            if operand.kind != "boolean":
                raise _wrong(f"{operand.name} is not true or false", f"{operand.name} = {WORDS.get(operand.kind)}")
            return operand.sql
        if not _is(node, "op", "args") or not isinstance(node["args"], list):
            raise _wrong("the filter has a part that is no condition", "an object with op and args")
        name = str(node["op"]).lower()
        if name not in self.operations:
            raise _wrong(f"there is no operation {str(node['op'])[:40]!r}", ", ".join(self.operations))
        return self.operations[name](name, node["args"])

    def _joined(self, name: str, args: list[Node]) -> sql.Composable:
        if len(args) < 2:
            raise _wrong(f"{name} joins conditions", "two or more")
        return sql.SQL("({})").format(sql.SQL(f" {name.upper()} ").join([self.condition(node) for node in args]))

    def _not(self, name: str, args: list[Node]) -> sql.Composable:
        (node,) = _counted(name, args, 1)
        return sql.SQL("NOT ({})").format(self.condition(node))

    def _is_null(self, name: str, args: list[Node]) -> sql.Composable:
        (node,) = _counted(name, args, 1)
        if _is(node, "property"):
            column = "geom" if self._kind_of(node) == "geometry" else node["property"]
            return sql.SQL("{} IS NULL").format(sql.Identifier(column))
        return sql.SQL("{} IS NULL").format(self._operand(node).sql)

    # --- comparisons

    def _comparison(self, name: str, args: list[Node]) -> sql.Composable:
        left, right = _counted(name, args, 2)
        if not _is_value(right):
            if not _is_value(left):
                return self._between_properties(name, self._operand(left), self._operand(right))
            name, left, right = MIRRORED[name], right, left
        if _is_value(left):
            raise _wrong("two values are compared", "a property on one side")
        return self._against(name, self._operand(left), right)

    def _between_properties(self, sign: str, left: _Operand, right: _Operand) -> sql.Composable:
        families = [next((f for f in (NUMBERS, TEXTS) if side.kind in f), side.kind) for side in (left, right)]
        if families[0] != families[1]:
            raise _wrong(f"{left.name} and {right.name} are of different types", f"two of type {left.kind}")
        if left.kind == "boolean" and sign not in ("=", "<>"):
            raise _wrong("true and false have no order", "= or <>")
        return sql.SQL(f"{{}} {sign} {{}}").format(left.sql, right.sql)

    def _against(self, sign: str, left: _Operand, value: Node) -> sql.Composable:
        """A property compared with a value."""
        if left.kind in TIMES:
            return _time_condition(sign, left, _time_of(value, left))
        if left.kind == "boolean" and sign not in ("=", "<>"):
            raise _wrong("true and false have no order", "= or <>")
        return sql.SQL(f"{{}} {sign} {{}}").format(
            left.sql, sql.Literal(_fitting(value, left, coded=sign in ("=", "<>")))
        )

    def _like(self, name: str, args: list[Node]) -> sql.Composable:
        left, pattern = _counted(name, args, 2)
        operand = self._operand(left)
        if operand.kind not in TEXTS:
            raise _wrong(f"{operand.name} is no text", "LIKE with a property of type text or code")
        if _is(pattern, "op", "args"):
            for text in pattern["args"] if isinstance(pattern["args"], list) else []:
                _pattern(text)
            right = self._operand(pattern).sql
        else:
            right = sql.Literal(_pattern(pattern))
        return sql.SQL("{} LIKE {}").format(operand.sql, right)

    def _between(self, name: str, args: list[Node]) -> sql.Composable:
        left, low, high = _counted(name, args, 3)
        operand = self._operand(left)
        return sql.SQL("({} AND {})").format(self._against(">=", operand, low), self._against("<=", operand, high))

    def _in(self, name: str, args: list[Node]) -> sql.Composable:
        left, values = _counted(name, args, 2)
        if not isinstance(values, list) or not values:
            raise _wrong("IN needs a list", "a list of values")
        operand = self._operand(left)
        if operand.kind in TIMES or not all(map(_is_value, values)):
            parts = [self._comparison("=", [left, value]) for value in values]
            return sql.SQL("({})").format(sql.SQL(" OR ").join(parts))
        fitting = [_fitting(value, operand, coded=True) for value in values]
        return sql.SQL("{} = ANY ({})").format(operand.sql, sql.Literal(fitting))

    # --- properties and functions of them

    def _kind_of(self, node: Node) -> str:
        name = node["property"]
        kind = self.queryables.get("geometry" if name in GEOMETRY else name) if isinstance(name, str) else None
        if kind is None:
            raise UnknownParameter(
                f"the layer {self.definition.id} has no property {str(name)[:80]!r}",
                parameter=PARAMETER,
                expected=", ".join(self.queryables),
            )
        return kind

    def _property(self, node: Node) -> _Operand:
        kind, name = self._kind_of(node), node["property"]
        if kind == "geometry":
            raise _wrong("a geometry is not compared", ", ".join(SPATIAL))
        field = self.definition.fields.get(name)
        codes = self.known.codes_of(self.definition, field) if field is not None and field.codes is not None else None
        return _Operand(sql.Identifier(name), kind, name, codes)

    def _operand(self, node: Node) -> _Operand:
        """A property, or a function of one or of a value."""
        if _is(node, "property"):
            operand = self._property(node)
            if operand.kind == "codes":
                raise _wrong(f"{operand.name} holds several codes", WORDS["codes"].replace("property", operand.name))
            return operand
        if _is(node, "op", "args") and str(node["op"]).lower() == "casei" and isinstance(node["args"], list):
            return self._without_case(node["args"])
        raise _wrong("a side of a comparison is neither a property nor a value", "a property, CASEI(…) or a value")

    def _without_case(self, args: list[Node]) -> _Operand:
        (node,) = _counted("casei", args, 1)
        if isinstance(node, str):
            return _Operand(sql.SQL("lower({})").format(sql.Literal(_text(node, "CASEI"))), "text", "CASEI(…)")
        operand = self._operand(node)
        if operand.kind not in TEXTS:
            raise _wrong("CASEI is of a text", "a property of type text or code, or a text")
        return _Operand(sql.SQL("lower({})").format(operand.sql), "text", "CASEI(…)")

    # --- places

    def _spatial(self, name: str, args: list[Node]) -> sql.Composable:
        left, right = _counted(name, args, 2)
        if not _is(left, "property"):
            name, left, right = SPATIAL_TURNED.get(name, name), right, left
        if not _is(left, "property") or self._kind_of(left) != "geometry":
            raise _wrong(f"{name} compares the geometry of an item", f"{name.upper()}(geometry, POINT(105.3 27.3))")
        shape = self._shape(right)
        if shape.geom_type == "GeometryCollection" and name not in COLLECTIONS_IN:
            raise _wrong(f"{name} takes no collection of geometries", "one geometry, or S_INTERSECTS")
        value = sql.Literal(shapely.to_wkb(shapely.set_srid(shape, self.crs.srid), hex=True, include_srid=True))
        function = sql.SQL(SPATIAL[name])
        return sql.SQL("{}({}, {}::geometry)").format(function, sql.Identifier(self.crs.column), value)

    def _shape(self, node: Node) -> Any:
        """A geometry of the filter, longitude or easting first."""
        if _is(node, "bbox"):
            return self._box(node["bbox"])
        try:
            shape = shapely.force_2d(shapely.geometry.shape(node))
        except (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError):
            raise _wrong("a geometry cannot be read", "well-known text, GeoJSON or BBOX(w, s, e, n)") from None
        if shape.is_empty or not shapely.is_valid(shape) or not _is_finite(shape):
            reason = "it is empty" if shape.is_empty else shapely.is_valid_reason(shape)
            raise _wrong(f"a geometry is not valid: {reason[:100]}", "a valid geometry")
        return self._eastings_first(shape)

    def _box(self, numbers: Any) -> Any:
        if not isinstance(numbers, list) or len(numbers) not in (4, 6) or not all(map(_is_number, numbers)):
            raise _wrong("BBOX takes four or six numbers", "BBOX(west, south, east, north)")
        half = len(numbers) // 2
        (first, second), (third, fourth) = numbers[:2], numbers[half : half + 2]
        west, south, east, north = (
            (second, first, fourth, third) if self.crs.north_first else (first, second, third, fourth)
        )
        if south > north:
            raise _wrong("the south of the BBOX lies north of its north", "BBOX(west, south, east, north)")
        edge = self.crs.half_world
        parts = [(west, east)] if west <= east else [(west, edge), (-edge, east)]
        boxes = [shapely.MultiPoint([(w, south), (e, north)]).envelope for w, e in parts]
        return shapely.union_all(boxes)

    def _eastings_first(self, shape: Any) -> Any:
        return shapely.transform(shape, lambda xy: xy[:, ::-1]) if self.crs.north_first else shape

    # --- arrays

    def _array(self, name: str, args: list[Node]) -> sql.Composable:
        left, right = _counted(name, args, 2)
        if not _is(left, "property"):
            name, left, right = ARRAYS_TURNED.get(name, name), right, left
        operand = self._property(left) if _is(left, "property") else None
        if operand is None or operand.kind != "codes" or not isinstance(right, list):
            raise _wrong(f"{name} compares a property of several codes with a list", WORDS["codes"])
        values = [_fitting(value, operand, coded=True) for value in right]
        return sql.SQL(ARRAYS[name]).format(operand.sql, sql.SQL("{}::text[]").format(sql.Literal(values)))

    # --- times

    def _temporal(self, name: str, args: list[Node]) -> sql.Composable:
        left, right = _counted(name, args, 2)
        return sql.SQL(TEMPORAL[name]).format(*self._span(left), *self._span(right))

    def _span(self, node: Node) -> tuple[sql.Composable, sql.Composable]:
        """The first and the last moment of a date, a moment or an interval."""
        if _is(node, "interval"):
            start, end = _counted("interval", node["interval"] if isinstance(node["interval"], list) else [], 2)
            return self._end(start, 0), self._end(end, 1)
        return self._end(node, 0), self._end(node, 1)

    def _end(self, node: Node, which: int) -> sql.Composable:
        if node == "..":
            return sql.SQL(("'-infinity'::timestamptz", "'infinity'::timestamptz")[which])
        if _is(node, "property"):
            return self._end_of_property(self._property(node), which)
        span = _time_of(node, None)
        return sql.SQL("{}::timestamptz").format(sql.Literal((span.start, span.end)[which]))

    def _end_of_property(self, operand: _Operand, which: int) -> sql.Composable:
        if operand.kind not in TIMES:
            raise _wrong(f"{operand.name} is no time", "a property of type date or datetime")
        if operand.kind == "datetime":
            return operand.sql
        moment = sql.SQL("({} + {})::timestamp AT TIME ZONE 'UTC' - interval '8 hours'")
        last = sql.SQL(" - interval '1 microsecond'" if which else "")
        return sql.SQL("({}{})").format(moment.format(operand.sql, sql.Literal(which)), last)


# --- values


def _is(node: Node, *keys: str) -> bool:
    return isinstance(node, dict) and all(key in node for key in keys)


def _is_value(node: Node) -> bool:
    return not (_is(node, "property") or _is(node, "op"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_finite(shape: Any) -> bool:
    return bool(all(map(math.isfinite, shape.bounds)))


def _wrong(detail: str, expected: str) -> InvalidValue:
    return InvalidValue(detail, parameter=PARAMETER, expected=expected)


def _counted(name: str, args: Sequence[Node], count: int) -> Iterator[Node]:
    if len(args) != count:
        raise _wrong(f"{name} has {len(args)} arguments", f"{count}")
    return iter(args)


def _fitting(value: Node, left: _Operand, *, coded: bool) -> str | int | float | bool:
    """A value of the type of a property; ``coded``: one of its codes."""
    if left.kind in NUMBERS and _is_number(value):
        return int(value) if isinstance(value, int) or value.is_integer() else float(value)
    if left.kind == "boolean" and isinstance(value, bool):
        return value
    if left.kind in (*TEXTS, "codes") and isinstance(value, str):
        if coded and left.codes is not None and value not in left.codes:
            raise _wrong(f"{left.name} has no code {value[:80]!r}", ", ".join(left.codes))
        return _text(value, left.name)
    raise _wrong(f"{str(value)[:80]!r} is no value of {left.name}", WORDS[left.kind])


def _text(value: Node, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(f"{str(value)[:80]!r} is no text for {name}", WORDS["text"])
    if "\0" in value or len(value) > TEXT_AT_MOST:
        raise _wrong(f"the text for {name} cannot be looked for", f"{TEXT_AT_MOST} characters at most")
    return value


def _pattern(value: Node) -> str:
    """A text that does not end in the middle of an escape, at which PostgreSQL fails in some rows."""
    text = _text(value, "the pattern")
    if (len(text) - len(text.rstrip("\\"))) % 2:
        raise _wrong("the pattern ends with the sign that escapes the next one", "two of them")
    return text


def _time_of(value: Node, left: _Operand | None) -> Interval:
    """The stretch of a date or a moment."""
    text = value
    for key in ("date", "timestamp"):
        text = value[key] if _is(value, key) else text
    if not isinstance(text, str) or "/" in text:
        name = left.name if left is not None else "a time"
        raise _wrong(f"{str(value)[:80]!r} is no value of {name}", WORDS[left.kind if left is not None else "datetime"])
    return interval_of(text, PARAMETER)


def _time_condition(sign: str, left: _Operand, span: Interval) -> sql.Composable:
    """A date or moment compared with a day or a moment: all of a day counts as equal to it."""
    first, last = (_bound(moment, left.kind) for moment in (span.start, span.end))
    if sign == "=":
        return sql.SQL("({0} >= {1} AND {0} <= {2})").format(left.sql, first, last)
    if sign == "<>":
        return sql.SQL("({0} < {1} OR {0} > {2})").format(left.sql, first, last)
    return sql.SQL(f"{{}} {sign} {{}}").format(left.sql, first if sign in ("<", ">=") else last)


def _bound(moment: datetime.datetime | None, kind: str) -> sql.Composable:
    assert moment is not None
    return sql.Literal(moment.astimezone(LOCAL_ZONE).date() if kind == "date" else moment)
