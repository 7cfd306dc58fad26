"""CQL2 text: by hand, against another parser, and what must be refused without delay."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import cql2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.cql import BYTES_AT_MOST, DEPTH_AT_MOST, parsed_json, parsed_text
from layers.errors import InvalidValue


def prop(name: str) -> dict[str, Any]:
    return {"property": name}


def op(name: str, *args: Any) -> dict[str, Any]:
    return {"op": name, "args": list(args)}


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("a = 1", op("=", prop("a"), 1)),
        ("a = -1.5e3", op("=", prop("a"), -1500.0)),
        ("a = 9007199254740993", op("=", prop("a"), 9007199254740993)),
        ("名称 = '学校'", op("=", prop("名称"), "学校")),
        ("a = 'O''Brien'", op("=", prop("a"), "O'Brien")),
        ("\"a b\" <> 'x'", op("<>", prop("a b"), "x")),
        ("a != 1", op("<>", prop("a"), 1)),
        ("a >= 1 and b <= 2", op("and", op(">=", prop("a"), 1), op("<=", prop("b"), 2))),
        ("a OR b AND NOT c", op("or", prop("a"), op("and", prop("b"), op("not", prop("c"))))),
        ("(a OR b) AND c", op("and", op("or", prop("a"), prop("b")), prop("c"))),
        ("a IS NULL", op("isNull", prop("a"))),
        ("a IS NOT NULL", op("not", op("isNull", prop("a")))),
        ("a LIKE 'x%'", op("like", prop("a"), "x%")),
        ("a NOT LIKE 'x%'", op("not", op("like", prop("a"), "x%"))),
        ("a BETWEEN 1 AND 2 AND b", op("and", op("between", prop("a"), 1, 2), prop("b"))),
        ("a NOT IN ('x', 'y')", op("not", op("in", prop("a"), ["x", "y"]))),
        ("CASEI(a) = casei('X')", op("=", op("casei", prop("a")), op("casei", "X"))),
        ("a < DATE('2026-11-20')", op("<", prop("a"), {"date": "2026-11-20"})),
        ("a < TIMESTAMP('2026-11-20T00:00:00Z')", op("<", prop("a"), {"timestamp": "2026-11-20T00:00:00Z"})),
        ("A_CONTAINS(a, ('x'))", op("a_contains", prop("a"), ["x"])),
        ("A_CONTAINEDBY(a, ('x', 'y'))", op("a_containedBy", prop("a"), ["x", "y"])),
        ("S_INTERSECTS(g, POINT(1 -2))", op("s_intersects", prop("g"), {"type": "Point", "coordinates": [1.0, -2.0]})),
        ("S_WITHIN(g, BBOX(1, 2, 3, 4))", op("s_within", prop("g"), {"bbox": [1, 2, 3, 4]})),
        ("T_AFTER(INTERVAL(a, '..'), b)", op("t_after", {"interval": [prop("a"), ".."]}, prop("b"))),
    ],
)
def test_by_hand(text: str, node: Any) -> None:
    assert parsed_text(text) == node


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "(", ")", "a =", "= 1", "a = 1)", "(a = 1", "a = 1 AND", "AND a", "a IN ()", "a IN (1,)", "a = 'x",
        "a = 1; DROP TABLE x", "a = 1 --", "a = 1 /* */", "a = 1 + 1", "a = b * 2", "a LIKE", "a BETWEEN 1", "a IS",
        "1a = 1", "a = .5", "a == 1", "DATE('2026-11-20', 'x')", "POINT(1)", "POINT(1 2", "POINT(nan 2)", "NULL",
        "a = 1\0", "a = " + "9" * 301, "POINT " * 3, "a b", "[1]", "a.b.c d",
    ],
)  # fmt: skip
def test_what_is_no_cql2(text: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        parsed_text(text)
    assert raised.value.parameter == "filter"
    assert raised.value.expected


@pytest.mark.parametrize(
    ("before", "after"),
    [("(", ")"), ("NOT ", ""), ("CASEI(", ")"), ("NOT (", ")"), ("(", ""), ("a IN (", ")"), ("f(a, ", ")"), ("-", ""),
     ("a = (", ")"), ("a AND (b = ", ")"), ("POINT(", ")"), ("GEOMETRYCOLLECTION(", ")"), ("a=", ""),
     ("INTERVAL(", ")")],
)  # fmt: skip
@pytest.mark.parametrize("inside", ["a = 1", "a ="])
@pytest.mark.parametrize("depth", [30, 101, 1000, 10_000])
def test_depth_costs_no_time_and_no_stack(before: str, after: str, inside: str, depth: int) -> None:
    started = time.process_time()
    with contextlib.suppress(InvalidValue):
        parsed_text(before * depth + inside + after * depth)
        assert depth <= DEPTH_AT_MOST or before == "a="
    assert time.process_time() - started < 0.5


def test_size_and_depth_are_bounded() -> None:
    assert parsed_text("(" * 100 + "a" + ")" * 100) == prop("a")
    for refused in ("(" * 101 + "a" + ")" * 101, "a = '" + "字" * BYTES_AT_MOST + "'", "a" * 10**6):
        with pytest.raises(InvalidValue):
            parsed_text(refused)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 500, '{"op":"not","args":[' * 200, "{}x", '"\\ud800"', "9" * 9000, "NaN"]
)
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(InvalidValue):
        parsed_json(text)
    assert parsed_json('{"a": "[[[[{{{{"}') == {"a": "[[[[{{{{"}


NAMES = st.sampled_from(["a", "名称", "x_1", '"a b"'])
VALUES = st.integers(-1000, 1000).map(str) | st.text("ab'学%_\\", max_size=4).map(
    lambda t: "'" + t.replace("'", "''") + "'"
)
SIGNS = st.sampled_from(["=", "<>", "<", ">", "<=", ">=", "LIKE", "NOT LIKE"])
LISTS = st.lists(VALUES, min_size=1, max_size=3)
COMPARED = st.builds(lambda name, sign, value: f"{name} {sign} {value}", NAMES, SIGNS, VALUES)
COMPARED |= st.builds(lambda name, values: f"{name} IN ({', '.join(values)})", NAMES, LISTS)
CONDITIONS = st.recursive(
    COMPARED | NAMES.map(lambda name: f"{name} IS NULL"),
    lambda inner: (
        st.builds(lambda a, b, word: f"({a}) {word} {b}", inner, inner, st.sampled_from(["AND", "OR"]))
        | inner.map(lambda a: f"NOT ({a})")
    ),
    max_leaves=6,
)


def floats(node: Any) -> Any:
    """A node as the other parser gives it: all numbers are floats, and what is joined alike is joined once."""
    if isinstance(node, dict) and node.get("op") in ("and", "or"):
        args = [floats(part) for part in node["args"]]
        parts = [arg["args"] if arg.get("op") == node["op"] else [arg] for arg in args]
        return {"op": node["op"], "args": [one for part in parts for one in part]}
    if isinstance(node, dict):
        return {key: floats(value) for key, value in node.items()}
    if isinstance(node, list):
        return [floats(part) for part in node]
    return float(node) if isinstance(node, int) and not isinstance(node, bool) else node


@given(CONDITIONS)
@settings(max_examples=200, deadline=None)
def test_another_parser_reads_the_same(text: str) -> None:
    assert floats(parsed_text(text)) == cql2.parse_text(text).to_json()
