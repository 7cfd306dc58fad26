"""History and as-of reads: what was recorded at any moment can be read again, and withheld rows leak nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import changes, features
from layers.catalog import catalog
from layers.database import INTERNAL, Cursor, Readers, Writers, one, rows, transaction
from layers.features import Page
from tests.gis.rows import put, rows_of

SHELTERS = catalog()["shelters"]
Model = dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def public(module_database: str) -> Iterator[Readers]:
    pool = Readers(module_database, size=1)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def members(module_database: str) -> Iterator[Readers]:
    pool = Readers(module_database, INTERNAL, size=1)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def writers(module_database: str) -> Iterator[Writers]:
    pool = Writers(module_database, size=1)
    yield pool
    pool.close()


def seen(readers: Readers, as_of: datetime | None = None) -> Model:
    """The rows of the layer, by number."""
    found = rows_of(features.page(readers, catalog(), SHELTERS, Page(limit=10_000, as_of=as_of)))
    return {
        row["id"]: {
            "at": tuple(row["geometry"]["coordinates"]),
            "name": row["properties"]["name"],
            "capacity_persons": row["properties"]["capacity_persons"],
        }
        for row in found
    }


def last(readers: Readers) -> dict[str, Any]:
    return changes.page(readers, changes.latest(readers) - 1)[-1]


ROWS = st.fixed_dictionaries({
    "name": st.sampled_from(["甲", "乙", "丙"]),
    "capacity_persons": st.none() | st.integers(0, 5),
    "at": st.tuples(st.integers(104, 107), st.integers(26, 28)).map(lambda at: (float(at[0]), float(at[1]))),
})  # fmt: skip
ACTS = st.lists(
    st.lists(
        st.tuples(st.just("insert"), ROWS) | st.tuples(st.just("update"), st.integers(0, 9), ROWS)
        | st.tuples(st.just("delete"), st.integers(0, 9)),
        min_size=1, max_size=4,
    ),
    min_size=1, max_size=6,
)  # fmt: skip


def play(cursor: Cursor, model: Model, act: tuple[Any, ...]) -> None:
    """One act in the database and in the model."""
    if act[0] == "insert":
        row = act[1]
        cursor.execute(
            "INSERT INTO layers.shelters (source, source_id, name, capacity_persons, geom)"
            " VALUES ('t', gen_random_uuid()::text, %s, %s, ST_SetSRID(ST_MakePoint(%s, %s), 4326)) RETURNING fid",
            (row["name"], row["capacity_persons"], *row["at"]),
        )
        model[cursor.fetchone()[0]] = row
        return
    if not model:
        return
    fid = sorted(model)[act[1] % len(model)]
    if act[0] == "delete":
        cursor.execute("DELETE FROM layers.shelters WHERE fid = %s", (fid,))
        del model[fid]
        return
    row = act[2]
    cursor.execute(
        "UPDATE layers.shelters SET name = %s, capacity_persons = %s,"
        " geom = ST_SetSRID(ST_MakePoint(%s, %s), 4326) WHERE fid = %s",
        (row["name"], row["capacity_persons"], *row["at"], fid),
    )
    model[fid] = row


@settings(max_examples=40, deadline=None)
@given(transactions=ACTS)
def test_every_moment_can_be_read_again(
    writers: Writers, members: Readers, public: Readers, transactions: list[list[tuple[Any, ...]]]
) -> None:
    """A model in Python is played beside the database, and kept after each transaction."""
    with writers.transaction("test") as cursor:
        cursor.execute("DELETE FROM layers.shelters")
    model: Model = {}
    kept: list[tuple[datetime, Model]] = []
    for acts in transactions:
        with writers.transaction("test") as cursor:
            for act in acts:
                play(cursor, model, act)
        (moment,) = members.one("SELECT max(recorded_at) FROM internal.changes")
        kept.append((moment, dict(model)))
    for moment, then in dict(kept).items():
        assert seen(members, moment) == then
        assert seen(public, moment) == then
    assert seen(members) == model


def test_an_insert_leaves_no_copy_and_a_transaction_no_trace_of_what_it_took_back(
    module_database: str, writers: Writers
) -> None:
    with transaction(module_database) as cursor:
        cursor.execute("DELETE FROM layers.shelters")
        before = one(cursor, "SELECT count(*) FROM history.shelters")
    with writers.transaction("test") as cursor:
        cursor.execute(
            "INSERT INTO layers.shelters (source, name, geom) VALUES ('t', 'a', 'SRID=4326;POINT(105 27)')"
            " RETURNING fid"
        )
        fid = cursor.fetchone()[0]
        cursor.execute("UPDATE layers.shelters SET name = 'b' WHERE fid = %s", (fid,))
        cursor.execute("UPDATE layers.shelters SET name = 'c' WHERE fid = %s", (fid,))
    with transaction(module_database) as cursor:
        assert one(cursor, "SELECT count(*) FROM history.shelters") == before
        assert one(cursor, "SELECT name FROM layers.shelters WHERE fid = %s", (fid,)) == "c"


def test_a_statement_is_one_row_of_the_log_however_many_rows_it_writes(writers: Writers, members: Readers) -> None:
    before = changes.latest(members)
    with writers.transaction("registrar", "the spring count") as cursor:
        cursor.execute(
            "INSERT INTO layers.shelters (source, source_id, name, geom) SELECT 't', 'm' || n, 's' || n,"
            " ST_SetSRID(ST_MakePoint(105 + n / 1e6, 27), 4326) FROM generate_series(1, 2000) AS n"
        )
    (told,) = changes.page(members, before)
    assert told["count"] == 2000
    assert told["fids"] is None
    assert (told["author"], told["reason"], told["operation"]) == ("registrar", "the spring count", "insert")
    # by hand: x = (105 + 180) / 360 * 4096 = 3242.7
    # y = (1 - asinh(tan 27°) / π) / 2 * 4096 = (1 - 0.15588) * 2048 = 1728.8
    assert told["cells"] == [[3242, 1728]]
    assert told["bbox"] == pytest.approx([105.000001, 27, 105.002, 27])


def test_many_cells_are_told_as_one_box(writers: Writers, members: Readers) -> None:
    with writers.transaction("test") as cursor:
        cursor.execute(
            "INSERT INTO layers.shelters (source, source_id, name, geom) SELECT 't', 'w' || n, 's' || n,"
            " ST_SetSRID(ST_MakePoint(-150 + n, 27), 4326) FROM generate_series(1, 300) AS n"
        )
    assert last(members)["cells"] is None
    assert last(members)["bbox"] == [-149, 27, 150, 27]


def test_a_moved_point_changes_both_cells(writers: Writers, members: Readers, module_database: str) -> None:
    (fid,) = put(module_database, "shelters", {"name": "moved", "at": (105.0, 27.0)})
    with writers.transaction("test") as cursor:
        cursor.execute("UPDATE layers.shelters SET geom = 'SRID=4326;POINT(106 27)' WHERE fid = %s", (fid,))
    assert last(members)["cells"] == [[3242, 1728], [3254, 1728]]
    assert (last(members)["count"], last(members)["fids"]) == (1, [fid])


def test_a_country_is_not_told_by_cells(writers: Writers, members: Readers) -> None:
    with writers.transaction("test") as cursor:
        cursor.execute(
            "INSERT INTO layers.risk_zones (source, name, geom) VALUES ('t', 'large',"
            " ST_Multi(ST_MakeEnvelope(75, 20, 130, 50, 4326))), ('t', 'small', ST_Multi(ST_MakeEnvelope(105, 27,"
            " 105.01, 27.01, 4326)))"
        )
    assert last(members)["cells"] is None
    assert last(members)["bbox"] == [75, 20, 130, 50]


def texts(public: Readers, fid: int) -> str:
    """All that the public can read of the store, as one text."""
    everything: list[Any] = [changes.page(public, 0, 1000), changes.history(public, SHELTERS, fid)]
    (moments,) = [[m for (m,) in public.rows("SELECT DISTINCT recorded_at FROM released.changes")]]
    for moment in [*moments, *(m + timedelta(milliseconds=1) for m in moments)]:
        item = features.item(public, SHELTERS, fid, as_of=moment)
        everything.append(item.text if item else None)
    everything.append([str(row) for row in public.rows("SELECT * FROM released_past.shelters WHERE fid = %s", (fid,))])
    return str(everything)


def test_what_is_withheld_is_withheld_in_every_past(database: str) -> None:
    """Public first, changed, then withheld, then deleted: at the end nothing of it can be read in public."""
    (fid,) = put(database, "shelters", {"name": "秘密", "at": (105.77, 27.77), "contact_phone": "000-1"})
    public, members, writers = Readers(database, size=1), Readers(database, INTERNAL, size=1), Writers(database, size=1)
    with writers.transaction("t") as cursor:
        cursor.execute("UPDATE layers.shelters SET name = '秘密二' WHERE fid = %s", (fid,))
    assert "秘密" in texts(public, fid)
    assert "000-1" not in texts(public, fid)
    with writers.transaction("t") as cursor:
        cursor.execute("UPDATE layers.shelters SET withheld = true WHERE fid = %s", (fid,))
    after = texts(public, fid)
    assert "秘密" not in after
    assert changes.history(public, SHELTERS, fid) == []
    hidden = changes.latest(members)
    with writers.transaction("t") as cursor:  # what is written while it is withheld is not even counted
        cursor.execute("UPDATE layers.shelters SET geom = 'SRID=4326;POINT(106.66 27)' WHERE fid = %s", (fid,))
    assert changes.latest(members) == hidden + 1
    assert changes.latest(public) == hidden
    with writers.transaction("t") as cursor:
        cursor.execute("DELETE FROM layers.shelters WHERE fid = %s", (fid,))
    after = texts(public, fid)
    assert "秘密" not in after
    assert "106.66" not in after
    assert [step["operation"] for step in changes.history(members, SHELTERS, fid)] == [
        "delete", "update", "update", "update", "insert",
    ]  # fmt: skip
    for pool in (public, members, writers):
        pool.close()


def test_history_says_what_changed_by_whom_and_why(database: str) -> None:
    writers, members, public = Writers(database, size=1), Readers(database, INTERNAL, size=1), Readers(database, size=1)
    (fid,) = put(database, "shelters", {"name": "a", "at": (105.0, 27.0), "capacity_persons": 5})
    with writers.transaction("李", "counted again") as cursor:
        cursor.execute(
            "UPDATE layers.shelters SET capacity_persons = 7, contact_name = '王',"
            " geom = 'SRID=4326;POINT(105.5 27)' WHERE fid = %s",
            (fid,),
        )
    with writers.transaction("李") as cursor:
        cursor.execute("DELETE FROM layers.shelters WHERE fid = %s", (fid,))
    gone, edited, made = changes.history(members, SHELTERS, fid)
    assert (gone["operation"], edited["operation"], made["operation"]) == ("delete", "update", "insert")
    assert (edited["author"], edited["reason"]) == ("李", "counted again")
    assert edited["changed"] == {
        "capacity_persons": {"old": 5, "new": 7}, "contact_name": {"old": None, "new": "王"},
    }  # fmt: skip
    assert edited["geometry"]["new"]["coordinates"] == [105.5, 27]
    assert made["author"].startswith("psql: ")
    told = changes.history(public, SHELTERS, fid)
    assert [step["author"] for step in told] == [None, None, None]
    assert told[1]["changed"] == {"capacity_persons": {"old": 5, "new": 7}}
    for pool in (public, members, writers):
        pool.close()


def test_before_everything_there_is_nothing(members: Readers) -> None:
    assert seen(members, datetime.fromisoformat("1999-01-01T00:00:00+00:00")) == {}


def test_the_log_cannot_be_left_out(module_database: str) -> None:
    """The column that says by which change a row was written is the database's own."""
    with pytest.raises(Exception, match="filled by the database"), transaction(module_database) as cursor:
        cursor.execute(
            "INSERT INTO layers.shelters (source, name, geom, change) VALUES ('t', 'x', 'SRID=4326;POINT(1 1)', 7)"
        )
    with pytest.raises(Exception, match="leaves no history"), transaction(module_database) as cursor:
        cursor.execute("TRUNCATE layers.shelters CASCADE")
    with transaction(module_database) as cursor:
        assert rows(cursor, "SELECT 1 FROM layers.shelters WHERE name = 'x'") == []
