"""CQL2 filters: answers by hand, an oracle in Python on random rows, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.catalog import catalog
from layers.crs import CRS84, KNOWN, Crs, crs_of
from layers.database import INTERNAL, Readers, sql
from layers.errors import InvalidValue, UnknownParameter
from layers.features import Page, page
from layers.filtering import condition_of
from tests.gis.rows import empty, put, rows_of, square

CHINA = crs_of("EPSG:4490")
MERCATOR = crs_of("EPSG:3857")


@pytest.fixture
def database(module_database: str) -> str:
    empty(module_database)
    return module_database


@pytest.fixture(scope="module")
def module_readers(module_database: str) -> Iterator[Readers]:
    pool = Readers(module_database, size=2)
    yield pool
    pool.close()


@pytest.fixture
def readers(database: str, module_readers: Readers) -> Readers:
    return module_readers


def found(
    readers: Readers, text: str, layer: str = "shelters", language: str = "cql2-text", crs: Crs = CRS84
) -> list[str]:
    definition = catalog()[layer]
    condition = condition_of(catalog(), definition, readers.scope, text, language, crs)
    return [
        row["properties"]["name"]
        for row in rows_of(page(readers, catalog(), definition, Page(conditions=(condition,))))
    ]


@pytest.fixture
def shelters(database: str) -> None:
    put(
        database,
        "shelters",
        {
            "name": "Alpha_1", "at": (105, 27), "status": "open", "capacity_persons": 100, "occupancy_persons": 100,
            "indoor": True, "suitable_hazards": ["landslide", "flood"], "area_m2": 1.5,
            "stated_at": "2026-11-20T06:20:00Z",
        },
        {
            "name": "beta's", "at": (106, 28), "status": "closed", "capacity_persons": 50, "occupancy_persons": 60,
            "indoor": False, "suitable_hazards": ["flood"], "address": "beta's",
            "stated_at": "2026-11-21T00:00:00+08:00",
        },
        {"name": "学校", "at": (179.5, -10)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name = 'Alpha_1'", ["Alpha_1"]),
        ("'Alpha_1' = name", ["Alpha_1"]),
        ("name = 'beta''s'", ["beta's"]),
        ("name <> '学校'", ["Alpha_1", "beta's"]),
        ("capacity_persons > 50", ["Alpha_1"]),
        ("50 < capacity_persons", ["Alpha_1"]),
        ("capacity_persons >= 50.0", ["Alpha_1", "beta's"]),
        ("capacity_persons < 1e30", ["Alpha_1", "beta's"]),
        ("capacity_persons = 9007199254740993", []),
        ("area_m2 = 1.5", ["Alpha_1"]),
        ("capacity_persons IS NULL", ["学校"]),
        ("capacity_persons IS NOT NULL", ["Alpha_1", "beta's"]),
        ("NOT capacity_persons = 100", ["beta's"]),
        ("geometry IS NULL", []),
        ("suitable_hazards IS NULL", ["学校"]),
        ("indoor", ["Alpha_1"]),
        ("NOT indoor", ["beta's"]),
        ("indoor = true OR status = 'closed'", ["Alpha_1", "beta's"]),
        ("true", ["Alpha_1", "beta's", "学校"]),
        ("name LIKE 'Al%'", ["Alpha_1"]),
        (r"name LIKE '%\_1'", ["Alpha_1"]),
        ("name LIKE '_eta''s'", ["beta's"]),
        ("name NOT LIKE 'Al%'", ["beta's", "学校"]),
        ("CASEI(name) = CASEI('ALPHA_1')", ["Alpha_1"]),
        ("CASEI(name) LIKE casei('ALPHA%')", ["Alpha_1"]),
        ("CASEI(name) IN (casei('ALPHA_1'), casei('BETA''S'))", ["Alpha_1", "beta's"]),
        ("capacity_persons BETWEEN 50 AND 99", ["beta's"]),
        ("status IN ('open', 'closed')", ["Alpha_1", "beta's"]),
        ("status NOT IN ('open')", ["beta's"]),
        ("capacity_persons IN (1, 2.5, 100)", ["Alpha_1"]),
        ("capacity_persons = occupancy_persons", ["Alpha_1"]),
        ("occupancy_persons > capacity_persons", ["beta's"]),
        ("name = address", ["beta's"]),
        ("A_CONTAINS(suitable_hazards, ('flood'))", ["Alpha_1", "beta's"]),
        ("A_CONTAINS(suitable_hazards, ('flood', 'landslide'))", ["Alpha_1"]),
        ("A_CONTAINEDBY(suitable_hazards, ('flood', 'wildfire'))", ["beta's"]),
        ("A_CONTAINEDBY(('flood', 'landslide'), suitable_hazards)", ["Alpha_1"]),
        ("A_OVERLAPS(suitable_hazards, ('landslide', 'wildfire'))", ["Alpha_1"]),
        ("A_EQUALS(suitable_hazards, ('flood'))", ["beta's"]),
        ("A_CONTAINS(suitable_hazards, ())", ["Alpha_1", "beta's"]),
        ("stated_at = TIMESTAMP('2026-11-20T14:20:00+08:00')", ["Alpha_1"]),
        ("stated_at = DATE('2026-11-21')", ["beta's"]),
        ("stated_at <> DATE('2026-11-21')", ["Alpha_1"]),
        ("stated_at < DATE('2026-11-21')", ["Alpha_1"]),
        ("stated_at <= DATE('2026-11-21')", ["Alpha_1", "beta's"]),
        ("stated_at > DATE('2026-11-20')", ["beta's"]),
        ("stated_at IN (DATE('2026-11-20'), DATE('2026-11-21'))", ["Alpha_1", "beta's"]),
        ("stated_at BETWEEN DATE('2026-11-20') AND DATE('2026-11-20')", ["Alpha_1"]),
        ("T_AFTER(stated_at, DATE('2026-11-20'))", ["beta's"]),
        ("T_BEFORE(stated_at, TIMESTAMP('2026-11-20T16:00:00Z'))", ["Alpha_1"]),
        ("T_DURING(stated_at, INTERVAL('2026-11-20', '..'))", ["Alpha_1", "beta's"]),
        ("T_INTERSECTS(INTERVAL(stated_at, '..'), DATE('2026-11-20'))", ["Alpha_1"]),
        ("T_DISJOINT(stated_at, INTERVAL('..', '2026-11-20'))", ["beta's"]),
        ("source = 'test' AND sample = false", ["Alpha_1", "beta's", "学校"]),
        ("recorded_at > DATE('2020-01-01')", ["Alpha_1", "beta's", "学校"]),
        ("S_INTERSECTS(geometry, POINT(105 27))", ["Alpha_1"]),
        ("S_INTERSECTS(geometry, BBOX(104, 26, 107, 29))", ["Alpha_1", "beta's"]),
        ("S_INTERSECTS(BBOX(104, 26, 107, 29), geom)", ["Alpha_1", "beta's"]),
        ("S_INTERSECTS(geometry, BBOX(105, 27, 105, 27))", ["Alpha_1"]),
        ("S_INTERSECTS(geometry, BBOX(104, 26, 0, 107, 29, 9))", ["Alpha_1", "beta's"]),
        ("S_INTERSECTS(geometry, BBOX(170, -20, -170, 20))", ["学校"]),
        ("S_INTERSECTS(geometry, GEOMETRYCOLLECTION(POINT(105 27), POINT(106 28)))", ["Alpha_1", "beta's"]),
        ("S_WITHIN(geometry, POLYGON((104 26, 105.5 26, 105.5 27.5, 104 27.5, 104 26)))", ["Alpha_1"]),
        ("S_DISJOINT(geometry, POLYGON((104 26, 105.5 26, 105.5 27.5, 104 27.5, 104 26)))", ["beta's", "学校"]),
        ("S_EQUALS(geometry, POINT(106 28))", ["beta's"]),
    ],
)  # fmt: skip
def test_by_hand(readers: Readers, shelters: None, text: str, names: list[str]) -> None:
    assert found(readers, text) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("S_CONTAINS(geometry, POINT(0.5 0.5))", ["zone"]),
        ("S_WITHIN(POINT(0.5 0.5), geometry)", ["zone"]),
        ("S_TOUCHES(geometry, POLYGON((1 0, 2 0, 2 1, 1 1, 1 0)))", ["zone"]),
        ("S_OVERLAPS(geometry, POLYGON((0.5 0, 2 0, 2 1, 0.5 1, 0.5 0)))", ["zone"]),
        ("S_CROSSES(geometry, LINESTRING(-1 0.5, 0.5 0.5))", ["zone"]),
        ("S_CROSSES(geometry, LINESTRING(0.1 0.5, 0.5 0.5))", []),
    ],
)
def test_areas(database: str, readers: Readers, text: str, names: list[str]) -> None:
    put(database, "risk_zones", {"name": "zone", "at": square(0, 0, 1)})
    assert found(readers, text, "risk_zones") == names


def test_days_of_a_field(database: str, readers: Readers) -> None:
    put(database, "drills", {"name": "d", "at": (1, 1), "held_on": "2026-05-12"})
    for text, holds in (
        ("held_on = DATE('2026-05-12')", True),
        ("held_on = TIMESTAMP('2026-05-11T16:00:00Z')", True),
        ("held_on < TIMESTAMP('2026-05-12T00:00:00Z')", False),
        ("held_on > '2026-05-11'", True),
        ("T_INTERSECTS(held_on, TIMESTAMP('2026-05-12T15:59:59Z'))", True),
        ("T_INTERSECTS(held_on, TIMESTAMP('2026-05-12T16:00:00Z'))", False),
        ("T_EQUALS(held_on, DATE('2026-05-12'))", True),
        ("T_CONTAINS(INTERVAL('2026-05-11', '2026-05-13'), held_on)", True),
    ):
        assert bool(found(readers, text, "drills")) is holds, text


@pytest.mark.parametrize(
    ("node", "names"),
    [
        ({"op": "=", "args": [{"property": "status"}, "open"]}, ["Alpha_1"]),
        ({"op": "and", "args": [{"property": "indoor"}, True]}, ["Alpha_1"]),
        ({"op": "in", "args": [{"property": "status"}, ["open", "closed"]]}, ["Alpha_1", "beta's"]),
        ({"op": "isNull", "args": [{"property": "status"}]}, ["学校"]),
        ({"op": "a_containedBy", "args": [{"property": "suitable_hazards"}, ["flood"]]}, ["beta's"]),
        ({"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [104, 26, 105.5, 28]}]}, ["Alpha_1"]),
        (
            {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": [105, 27, 9]}]},
            ["Alpha_1"],
        ),
    ],
)  # fmt: skip
def test_json(readers: Readers, shelters: None, node: Any, names: list[str]) -> None:
    assert found(readers, json.dumps(node), language="cql2-json") == names


@pytest.mark.parametrize(
    ("crs", "text"),
    [
        (CHINA, "S_INTERSECTS(geometry, BBOX(26, 104, 27.5, 105.5))"),
        (CHINA, "S_INTERSECTS(geometry, POLYGON((26 104, 26 105.5, 27.5 105.5, 27.5 104, 26 104)))"),
        (MERCATOR, "S_INTERSECTS(geometry, BBOX(11600000, 3100000, 11700000, 3200000))"),
    ],
)
def test_coordinates_in_another_crs(readers: Readers, shelters: None, crs: Crs, text: str) -> None:
    assert found(readers, text, crs=crs) == ["Alpha_1"]


@pytest.mark.parametrize("crs", KNOWN.values(), ids=lambda crs: str(crs.uri[-6:]))
def test_the_antimeridian_in_every_crs(readers: Readers, shelters: None, crs: Crs) -> None:
    box = "-19000000, -2000000, -19900000, 0" if crs == MERCATOR else "170, -20, -170, 0"
    if crs == MERCATOR:
        box = "19000000, -2000000, -19900000, 0"
    elif crs.north_first:
        box = "-20, 170, 0, -170"
    assert found(readers, f"S_INTERSECTS(geometry, BBOX({box}))", crs=crs) == ["学校"]


@pytest.mark.parametrize(
    "text",
    [
        "capacity_persons = 'x'", "capacity_persons = true", "name = 1", "status = 'opened'", "status IN ('open', 'x')",
        "suitable_hazards = 'flood'", "A_CONTAINS(suitable_hazards, ('meteor'))", "A_CONTAINS(name, ('x'))",
        "indoor > true", "name", "'a' = 'a'", "1 = 1", "name = capacity_persons", "geometry = 1", "capacity_persons",
        "stated_at = DATE('2026-13-01')", "stated_at > 5", "stated_at = 'yesterday'", "foo(name) = 1", "NOT name",
        "S_INTERSECTS(name, POINT(1 2))", "S_INTERSECTS(POINT(1 2), POINT(1 2))", "S_INTERSECTS(geometry, name)",
        "S_INTERSECTS(geometry, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))", "S_INTERSECTS(geometry, BBOX(1, 2, 3))",
        "S_TOUCHES(geometry, GEOMETRYCOLLECTION(POINT(1 2)))", "S_INTERSECTS(geometry, BBOX(0, 2, 1, 1))",
        "S_INTERSECTS(geometry)", "T_AFTER(name, DATE('2026-01-01'))", "T_AFTER(stated_at, 5)", "name LIKE 5",
        "capacity_persons LIKE 'x'", "CASEI(capacity_persons) = 'x'", "CASEI(name, name) = 'x'", "name IS NULL = true",
        "S_DWITHIN(geometry, POINT(1 2), 5, meters)", "(name, name)", "name IN (1)", "indoor = 1",
        f"name = '{'x' * 1001}'", "A_CONTAINS(suitable_hazards, (1))", "T_DURING(stated_at, INTERVAL('2026-01-01'))",
        "stated_at = TIMESTAMP('2026-01-01T00:00:00')", "stated_at = DATE('2026-01-01/2026-01-02')",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(readers: Readers, text: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        found(readers, text)
    assert raised.value.parameter == "filter"
    assert raised.value.expected


@pytest.mark.parametrize(
    "node",
    [
        None, 1, "x", [], {}, {"op": "="}, {"op": "=", "args": 1}, {"op": "=", "args": []}, {"op": [], "args": []},
        {"op": "=", "args": [{"property": "name"}, None]},
        {"op": "=", "args": [{"property": "name"}, {"a": 1}]}, {"op": "and", "args": [True]},
        {"op": "and", "args": [1, 2]},
        {"op": "in", "args": [{"property": "name"}, []]}, {"op": "in", "args": [{"property": "name"}, "x"]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": "x"}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point"}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": []}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Polygon", "coordinates": [[[0, 0]]]}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [1, 2, 3, "x"]}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [1, 2, 3, 1e999]}]},
        {"op": "t_after", "args": [{"property": "stated_at"}, {"interval": 5}]},
        {"op": "t_after", "args": [{"property": "stated_at"}, {"date": {"date": 1}}]},
        {"op": "a_contains", "args": [{"property": "suitable_hazards"}, [["flood"]]]},
        {"op": "like", "args": [{"property": "name"}, {"property": "name"}]},
    ],
)  # fmt: skip
def test_json_that_makes_no_sense_is_refused(readers: Readers, node: Any) -> None:
    with pytest.raises(InvalidValue) as raised:
        found(readers, json.dumps(node), language="cql2-json")
    assert raised.value.parameter == "filter"


def test_private_and_missing_properties_are_answered_alike(readers: Readers, module_database: str) -> None:
    told = []
    for name in ("contact_phone", "no_such_phone", "fid", "change", "geom_3857", "name_initials"):
        with pytest.raises(UnknownParameter) as raised:
            found(readers, f"{name} = '1'")
        told.append(str(raised.value).replace(name, "X"))
    assert len(set(told)) == 1
    assert condition_of(catalog(), catalog()["shelters"], INTERNAL, "contact_phone = '1'")


INJECTIONS = (
    "x' OR '1'='1", "'; DROP TABLE layers.shelters; --", "\\'; --", "%s", "{}", "%(name)s", "$1", "x\\", "\x01", "/**/",
    "''", "\u2028", "😀", "$$", "E'\\\\x'",
)  # fmt: skip


@pytest.mark.parametrize("value", INJECTIONS)
def test_values_are_bound(database: str, readers: Readers, value: str) -> None:
    put(database, "shelters", {"name": value, "at": (1, 1)}, {"name": "other", "at": (1, 1)})
    quoted = value.replace("'", "''")
    assert found(readers, f"name = '{quoted}'") == [value]
    assert found(readers, json.dumps({"op": "=", "args": [{"property": "name"}, value]}), language="cql2-json") == [
        value
    ]
    for name in (value, [value]):
        with pytest.raises(UnknownParameter):
            found(readers, json.dumps({"op": "=", "args": [{"property": name}, value]}), language="cql2-json")


def test_a_pattern_that_ends_with_its_escape_is_refused(readers: Readers, shelters: None) -> None:
    with pytest.raises(InvalidValue):
        found(readers, "name LIKE 'x\\'")


def test_spatial_filters_use_the_index(database: str, readers: Readers) -> None:
    definition = catalog()["shelters"]
    for crs, box, index in (
        (CRS84, "104,26,105,27", "shelters_geom"),
        (MERCATOR, "11600000,3100000,11700000,3200000", "shelters_geom_3857"),
    ):
        text = f"S_INTERSECTS(geometry, BBOX({box}))"
        condition = condition_of(catalog(), definition, readers.scope, text, crs=crs)
        query = sql.SQL("SELECT fid FROM released.shelters AS i WHERE {}").format(condition)
        with readers.cursor() as cursor:
            cursor.execute("BEGIN; SET LOCAL enable_seqscan = off")
            cursor.execute(sql.SQL("EXPLAIN {}").format(query))
            plan = "\n".join(line for (line,) in cursor.fetchall())
            cursor.execute("ROLLBACK")
        assert index in plan


# --- the oracle

Row = dict[str, Any]
Test = Callable[[Row], bool | None]
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b, ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b,
}  # fmt: skip
ROWS = st.fixed_dictionaries(
    {
        "capacity_persons": st.none() | st.integers(0, 5), "occupancy_persons": st.none() | st.integers(0, 5),
        "address": st.none() | st.text("ab%", max_size=2), "indoor": st.none() | st.booleans(),
        "suitable_hazards": st.none() | st.lists(st.sampled_from(["flood", "landslide"]), unique=True),
    }
)  # fmt: skip


def compared(name: str, sign: str, value: Any) -> tuple[str, Test]:
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return f"{name} {sign} {text}", lambda row: None if row[name] is None else SIGNS[sign](row[name], value)


def crowded(sign: str) -> tuple[str, Test]:
    def test(row: Row) -> bool | None:
        pair = row["occupancy_persons"], row["capacity_persons"]
        return None if None in pair else SIGNS[sign](*pair)

    return f"occupancy_persons {sign} capacity_persons", test


def one_of(values: list[int]) -> tuple[str, Test]:
    listed = ", ".join(map(str, values))
    return (
        f"capacity_persons IN ({listed})",
        lambda row: None if row["capacity_persons"] is None else row["capacity_persons"] in values,
    )


def holds(code: str) -> tuple[str, Test]:
    return (
        f"A_CONTAINS(suitable_hazards, ('{code}'))",
        lambda row: None if row["suitable_hazards"] is None else code in row["suitable_hazards"],
    )


def unknown(name: str) -> tuple[str, Test]:
    return f"{name} IS NULL", lambda row: row[name] is None


def joined(word: str, left: tuple[str, Test], right: tuple[str, Test]) -> tuple[str, Test]:
    def test(row: Row) -> bool | None:
        sides = left[1](row), right[1](row)
        decisive = word == "OR"
        return decisive if decisive in sides else (None if None in sides else not decisive)

    return f"({left[0]} {word} {right[0]})", test


def negated(inner: tuple[str, Test]) -> tuple[str, Test]:
    def test(row: Row) -> bool | None:
        answer = inner[1](row)
        return None if answer is None else not answer

    return f"NOT ({inner[0]})", test


LEAVES = (
    st.builds(compared, st.just("capacity_persons"), st.sampled_from(list(SIGNS)), st.integers(0, 5))
    | st.builds(compared, st.just("address"), st.sampled_from(["=", "<>"]), st.text("ab%", max_size=2))
    | st.builds(crowded, st.sampled_from(list(SIGNS)))
    | st.builds(one_of, st.lists(st.integers(0, 5), min_size=1, max_size=3))
    | st.builds(holds, st.sampled_from(["flood", "landslide"]))
    | st.builds(unknown, st.sampled_from(["capacity_persons", "address", "indoor", "suitable_hazards"]))
    | st.just(("indoor", lambda row: row["indoor"]))
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.builds(joined, st.sampled_from(["AND", "OR"]), inner, inner) | st.builds(negated, inner),
    max_leaves=8,
)


@given(rows=st.lists(ROWS, min_size=1, max_size=5), filters=st.lists(FILTERS, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_a_filter_equals_an_oracle(
    module_database: str, module_readers: Readers, rows: list[Row], filters: list[tuple[str, Test]]
) -> None:
    empty(module_database)
    names = [str(number) for number in range(len(rows))]
    put(module_database, "shelters", *({"name": n, "at": (1, 1), **row} for n, row in zip(names, rows, strict=True)))
    for text, test in filters:
        meant = [name for name, row in zip(names, rows, strict=True) if test(row) is True]
        assert found(module_readers, text) == meant, text
