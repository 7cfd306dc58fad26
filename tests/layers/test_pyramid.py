"""The pyramid: cells worked out by hand, and the same as counting anew whatever is written in which order."""

from __future__ import annotations

import math
import threading
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from layers import pyramid
from layers.catalog import catalog
from layers.database import INTERNAL, Readers, one, rows, sql, transaction
from layers.definition import Definition
from layers.pyramid import CELLS_ZOOM, FINEST
from tests.gis.rows import empty, put, square

SHELTERS, ZONES, SOURCES = (catalog()[layer] for layer in ("shelters", "risk_zones", "hazard_sources"))
CLOSED = 0
"""The rule of the legend that draws closed shelters; 2 draws those of class short."""


@pytest.fixture
def database(module_database: str) -> str:
    """The URL of a migrated database without rows."""
    empty(module_database)
    with transaction(module_database) as cursor:
        for definition in (SHELTERS, ZONES, SOURCES):
            pyramid.fold(cursor, definition)
    return module_database


def sums(url: str, definition: Definition, level: int | None = None) -> list[tuple[Any, ...]]:
    """What the summands of each cell add up to; nothing where nothing is left."""
    query = sql.SQL(
        "SELECT level, cell, released, sample, rule, sum(count)::int, sum(x)::bigint, sum(y)::bigint, bit_xor(fid),"
        " sum(persons)::bigint, sum(persons_unknown)::int, sum(area_m2)::bigint FROM {} WHERE {} GROUP BY 1, 2, 3, 4, 5"
        " HAVING sum(count) <> 0 ORDER BY 1, 2, 3, 4, 5"
    ).format(pyramid.table(definition), sql.SQL("level = {}").format(sql.Literal(level)) if level else sql.SQL("true"))
    with transaction(url) as cursor:
        return rows(cursor, query)


def run(url: str, query: str, *values: Any) -> None:
    with transaction(url, "test") as cursor:
        cursor.execute(query, values or None)


def test_cells_by_hand(database: str) -> None:
    """Level 3 has 8 × 8 cells of 45°; 10° E 10° N lies in column 4, row 3: bits of 100 and 011 in turn make 011010."""
    one_fid, other = put(
        database, "shelters",
        {"name": "a", "at": (10, 10), "status": "closed", "capacity_persons": 100},
        {"name": "b", "at": (11, 11), "class": "short"},
    )  # fmt: skip
    found = sums(database, SHELTERS, 3)
    cell, x = 0b011010, 20037508.342789244 / 180
    y = [math.log(math.tan(math.radians(45 + lat / 2))) * 6378137 for lat in (10, 11)]
    assert found == [
        (3, cell, True, False, CLOSED, 1, round(10 * x), round(y[0]), one_fid, 100, 0, 0),
        (3, cell, True, False, 2, 1, round(11 * x), round(y[1]), other, 0, 1, 0),
    ]
    cells = [row[1] for row in sums(database, SHELTERS) if row[4] == CLOSED]
    assert cells == [cells[-1] >> 2 * (FINEST - level) for level in range(CELLS_ZOOM, FINEST + 1)]


def test_what_was_moved_or_withheld_or_deleted_is_no_more_there(database: str) -> None:
    moved, hidden, gone = put(
        database,
        "shelters",
        {"name": "m", "at": (10, 10)},
        {"name": "h", "at": (10, 10)},
        {"name": "g", "at": (10, 10)},
    )
    run(database, "UPDATE layers.shelters SET geom = ST_SetSRID(ST_MakePoint(-170, 10), 4326) WHERE fid = %s", moved)
    run(database, "UPDATE layers.shelters SET withheld = true WHERE fid = %s", hidden)
    run(database, "DELETE FROM layers.shelters WHERE fid = %s", gone)
    found = [
        (cell, released, count, fid) for _, cell, released, _, _, count, _, _, fid, *_ in sums(database, SHELTERS, 3)
    ]
    assert found == [(0b001010, True, 1, moved), (0b011010, False, 1, hidden)]


@pytest.mark.parametrize(
    ("side_px", "z", "is_dot"),
    [(1.9, 5, True), (2.1, 5, False), (1.9, 9, True), (2.1, 9, False), (0.5, 0, True), (1.9, 0, True)],
)
def test_an_area_is_a_dot_under_four_square_pixels(database: str, side_px: float, z: int, is_dot: bool) -> None:
    """A square on the equator, so many pixels of 40075017 m / 512 / 2**z wide."""
    degrees = side_px * 360 / 512 / 2**z
    put(database, "risk_zones", {"name": "z", "hazard": "flood", "at": square(0.0001, 0.0001, degrees)})
    levels = {row[0] for row in sums(database, ZONES)}
    assert (z + CELLS_ZOOM in levels) == is_dot
    assert levels == set(range(CELLS_ZOOM, max(levels, default=0) + 1)), "once too small, too small further out"


def test_a_line_is_no_dot_and_a_point_is_one(database: str) -> None:
    put(
        database, "hazard_sources", {"name": "p", "at": (10, 10)}, {"name": "l", "at": "LINESTRING(10 10, 10.001 10)"},
        {"name": "a", "at": "POLYGON((10 10, 10.001 10, 10.001 10.001, 10 10))"},
    )  # fmt: skip
    assert sum(row[5] for row in sums(database, SOURCES, 3)) == 2
    assert sum(row[11] for row in sums(database, SOURCES, 3)) == pytest.approx(6060, rel=0.01)


def test_what_is_beyond_the_mercator_square_is_nowhere(database: str) -> None:
    put(
        database,
        "shelters",
        {"name": "pole", "at": (0, 89)},
        {"name": "edge", "at": (180, 0)},
        {"name": "w", "at": (-180, 0)},
    )
    assert sum(row[5] for row in sums(database, SHELTERS, 3)) == 2
    assert sum(row[5] for row in sums(database, SHELTERS, FINEST)) == 2


PLACES = st.tuples(st.floats(-180, 180), st.floats(-85, 85))
ROW = st.fixed_dictionaries(
    {
        "at": PLACES,
        "capacity_persons": st.none() | st.integers(0, 10**15),
        "status": st.sampled_from([None, "open", "closed"]),
        "class": st.sampled_from([None, "short", "long"]),
        "withheld": st.sampled_from([None, True, False]),
    }
)
ACT = st.tuples(st.sampled_from(["insert", "update", "delete", "fold", "update all"]), ROW, st.integers(0, 10))


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(acts=st.lists(ACT, max_size=12))
def test_the_same_as_counted_anew(database: str, acts: list[tuple[str, dict[str, Any], int]]) -> None:
    empty(database)
    for number, (act, row, which) in enumerate(acts):
        values = [row[name] for name in ("capacity_persons", "status", "class", "withheld")]
        with transaction(database, "test") as cursor:
            fids = [fid for (fid,) in rows(cursor, "SELECT fid FROM layers.shelters ORDER BY fid")]
        if act == "insert":
            put(database, "shelters", {"name": f"s{number}", **row})
        elif act == "fold":
            with transaction(database) as cursor:
                pyramid.fold(cursor, SHELTERS)
        elif act == "update all":
            run(
                database,
                "UPDATE layers.shelters SET capacity_persons = capacity_persons / 2, status = %s",
                row["status"],
            )
        elif fids and act == "delete":
            run(database, "DELETE FROM layers.shelters WHERE fid = %s", fids[which % len(fids)])
        elif fids:
            run(
                database,
                "UPDATE layers.shelters SET (capacity_persons, status, class, withheld, geom)"
                " = (%s, %s, %s, %s, ST_SetSRID(ST_MakePoint(%s, %s), 4326)) WHERE fid = %s",
                *values, *row["at"], fids[which % len(fids)],
            )  # fmt: skip
    kept = sums(database, SHELTERS)
    with transaction(database) as cursor:
        count = one(cursor, "SELECT count(*) FROM layers.shelters")
        pyramid.fill(cursor, SHELTERS)
    assert kept == sums(database, SHELTERS)
    for level in range(CELLS_ZOOM, FINEST + 1):
        assert sum(row[5] for row in kept if row[0] == level) == count


def test_folding_changes_no_sum_and_leaves_one_summand(database: str) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (10, 10)} for n in range(20)))
    run(database, "DELETE FROM layers.shelters WHERE name = 's3'")
    before = sums(database, SHELTERS)
    with transaction(database) as cursor:
        assert pyramid.fold(cursor, SHELTERS, at_least=1000) == 0
        assert pyramid.fold(cursor, SHELTERS) >= 21 * 10
        assert one(cursor, "SELECT count(*) FROM pyramid.shelters") == 10
    assert sums(database, SHELTERS) == before


def test_writers_and_folders_do_not_wait_for_each_other(database: str) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (10, 10)} for n in range(3)))
    done = []

    def write() -> None:
        with transaction(database) as cursor:
            cursor.execute("SET lock_timeout = '5s'")
            cursor.execute(
                "INSERT INTO layers.shelters (source, name, geom)"
                " VALUES ('test', 'x', ST_SetSRID(ST_MakePoint(10, 10), 4326))"
            )
        done.append("written")

    def fold() -> None:
        with transaction(database) as cursor:
            cursor.execute("SET lock_timeout = '5s'")
            done.append(pyramid.fold(cursor, SHELTERS))

    other = psycopg2.connect(database)
    with other, other.cursor() as cursor:
        cursor.execute("UPDATE layers.shelters SET geom = ST_SetSRID(ST_MakePoint(10, 11), 4326) WHERE name = 's1'")
        for work in (write, fold):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join(10)
            assert not thread.is_alive()
    other.close()
    assert done[0] == "written"
    kept = sums(database, SHELTERS)
    with transaction(database) as cursor:
        pyramid.fill(cursor, SHELTERS)
    assert kept == sums(database, SHELTERS)


def test_the_public_does_not_count_what_is_withheld(database: str) -> None:
    put(database, "shelters", {"name": "a", "at": (10, 10)}, {"name": "b", "at": (10, 10), "withheld": True})
    for scope, count in ((None, 1), (INTERNAL, 2)):
        readers = Readers(database, size=1) if scope is None else Readers(database, scope, size=1)
        query = sql.SQL("SELECT sum(count)::int FROM {} WHERE level = 3").format(pyramid.view(SHELTERS, readers.scope))
        assert readers.one(query) == (count,)
        with pytest.raises(Exception, match="permission denied"):
            readers.rows("SELECT * FROM pyramid.shelters")
        readers.close()
