"""The change log: every way of writing is logged, and versions become visible in the order of commits."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import psycopg2
import pytest

from api.tiles import tile
from layers import changes, editing, features, importing
from layers.catalog import catalog
from layers.database import INTERNAL, Readers, rows, sql, transaction
from layers.features import Page
from tests.conftest import free_port, wait_until_ready
from tests.gis.rows import rows_of

ROOT = Path(__file__).parents[2]
Listen = Callable[[int], Any]
WRITERS, TRANSACTIONS = 8, 200
INSERT = """
INSERT INTO {0} (source, name, geom) VALUES ('t', gen_random_uuid(), ST_Point(105.5, 27.5, 4326))
"""
UPDATE = "UPDATE {0} SET note = {by} WHERE fid % 40 = {fid}"
DELETE = "DELETE FROM {0} WHERE fid = (SELECT min(fid) FROM {0} WHERE fid % 40 = {fid})"
LISTENING = """
SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND datname = current_database()
"""
SHELTERS = catalog()["shelters"]


@pytest.fixture
def members(database: str) -> Iterator[Readers]:
    pool = Readers(database, INTERNAL, size=3)
    yield pool
    pool.close()


@pytest.fixture
def connect(database: str) -> Iterator[Callable[[], Any]]:
    """A function that opens a connection like psql's: nothing said about who writes, and why."""
    opened = []

    def make() -> Any:
        opened.append(psycopg2.connect(database))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def psql(connect: Callable[[], Any]) -> Callable[..., list[tuple[Any, ...]]]:
    """A function that executes a statement in a transaction of its own, and returns its rows."""
    connection = connect()

    def execute(query: str, *values: Any) -> list[tuple[Any, ...]]:
        with connection, connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    return execute


@pytest.fixture
def agreed(database: str, audit: Callable[..., list[str]]) -> Iterator[None]:
    """After the test, table, history and log agree."""
    yield
    with transaction(database) as cursor:
        assert audit(cursor) == []


@pytest.fixture
def five(psql: Callable[..., list[tuple[Any, ...]]]) -> list[int]:
    """Five shelters."""
    made = psql(
        "INSERT INTO layers.shelters (source, name, geom) SELECT 't', 's' || n, ST_SetSRID(ST_MakePoint(105 + n / 10.0,"
        " 27), 4326) FROM generate_series(1, 5) AS n RETURNING fid"
    )
    return [fid for (fid,) in made]


def managers(readers: Readers, at: datetime | None = None) -> dict[int, str | None]:
    found = rows_of(features.page(readers, catalog(), SHELTERS, Page(limit=10_000, as_of=at)))
    return {row["id"]: row["properties"]["manager"] for row in found}


def versions(readers: Readers, since: int = 0) -> list[int]:
    return [row["version"] for row in changes.page(readers, since)]


def set_manager(connection: Any, fid: int, text: str) -> None:
    connection.cursor().execute("UPDATE layers.shelters SET manager = %s WHERE fid = %s", (text, fid))


def times(connection: Any) -> dict[int, datetime]:
    with connection, connection.cursor() as cursor:
        return dict(rows(cursor, "SELECT version, recorded_at FROM leeward.changes"))


# --- the order of versions


@pytest.mark.usefixtures("agreed")
def test_who_begins_first_and_commits_last_has_the_later_version(
    connect: Callable[[], Any], members: Readers, five: list[int]
) -> None:
    early, quick, reader = connect(), connect(), connect()
    since = changes.latest(members)
    set_manager(early, five[0], "early")
    set_manager(quick, five[1], "quick")
    assert versions(members, since) == []
    quick.commit()
    (seen,) = versions(members, since)
    between = times(reader)[seen]
    assert managers(members, between) == managers(members) == {**dict.fromkeys(five), five[1]: "quick"}
    early.commit()
    assert versions(members, since) == [seen, seen + 1]
    with reader, reader.cursor() as cursor:
        query = "SELECT version, change, top_change, late FROM leeward.changes WHERE version >= %s ORDER BY 1"
        (_, two, top, late), (_, one, top_again, overtaken) = rows(cursor, query, (seen,))
    assert one < two == top == top_again
    assert late is None
    assert (overtaken.lower, overtaken.upper) == (seen, seen + 1)
    # what was committed with the smaller number was not there at the moment between, and is not there now
    assert managers(members, between) == {**dict.fromkeys(five), five[1]: "quick"}
    assert managers(members, times(reader)[seen + 1]) == {**dict.fromkeys(five), five[0]: "early", five[1]: "quick"}


@pytest.mark.usefixtures("agreed")
def test_a_row_is_ended_by_a_change_with_a_smaller_number(
    connect: Callable[[], Any], members: Readers, five: list[int]
) -> None:
    early, quick, reader = connect(), connect(), connect()
    fid = five[1]
    set_manager(early, five[0], "early")
    set_manager(quick, fid, "quick")
    quick.commit()
    (seen,) = versions(members)[-1:]
    set_manager(early, fid, "early")
    early.commit()
    told = changes.history(members, SHELTERS, fid)
    assert [step["operation"] for step in told] == ["update", "update", "insert"]
    assert [step["changed"].get("manager") for step in told[:2]] == [
        {"old": "quick", "new": "early"}, {"old": None, "new": "quick"},
    ]  # fmt: skip
    assert [step["version"] for step in told] == sorted((step["version"] for step in told), reverse=True)
    moments = times(reader)
    assert managers(members, moments[seen - 1])[fid] is None
    assert managers(members, moments[seen]) == {**dict.fromkeys(five), fid: "quick"}
    assert managers(members, moments[seen + 1]) == {**dict.fromkeys(five), fid: "early", five[0]: "early"}
    drawn = mapbox_vector_tile.decode(tile(members.at(moments[seen]), catalog(), ("shelters",), 5, 25, 13).content)
    assert sum(shown["properties"].get("point_count", 1) for shown in drawn["shelters"]["features"]) == len(five)


@pytest.mark.usefixtures("agreed")
def test_a_change_of_several_statements_is_there_as_a_whole_or_not(
    connect: Callable[[], Any], members: Readers, five: list[int]
) -> None:
    """Also when it was overtaken, and the moment is that of the first of its log rows."""
    early, quick, reader = connect(), connect(), connect()
    for fid in five[:2]:
        set_manager(early, fid, "early")
    early.cursor().execute(
        "INSERT INTO layers.rescue_teams (source, name, geom) VALUES ('t', 'team', ST_Point(105.5, 27.5, 4326))"
    )
    set_manager(quick, five[4], "quick")
    quick.commit()
    early.commit()
    overtaking, first, second, third = versions(members)[-4:]
    moments = times(reader)
    assert managers(members, moments[overtaking]) == {**dict.fromkeys(five), five[4]: "quick"}
    whole = {**dict.fromkeys(five), **dict.fromkeys(five[:2], "early"), five[4]: "quick"}
    for version in (first, second, third):
        assert managers(members, moments[version]) == whole


def test_what_is_committed_while_a_moment_is_read_is_not_of_that_moment(
    connect: Callable[[], Any], members: Readers, five: list[int]
) -> None:
    early, quick, reader = connect(), connect(), connect()
    set_manager(early, five[0], "early")
    set_manager(quick, five[1], "quick")
    quick.commit()
    moment = max(times(reader).values())
    with members.at(moment).cursor() as cursor:
        early.commit()
        found = rows(cursor, "SELECT fid FROM internal_then.shelters WHERE manager IS NOT NULL")
    assert found == [(five[1],)]
    level = "SELECT current_setting('transaction_isolation')"  # and so it is with a query sent in one trip
    assert members.at(moment).one(level) == ("repeatable read",)
    assert members.at(moment).prepared(level + " WHERE $1", [True], "boolean") == [("repeatable read",)]
    assert members.one(level) == ("read committed",)


@pytest.mark.usefixtures("agreed")
def test_a_rolled_back_transaction_leaves_nothing(
    connect: Callable[[], Any], members: Readers, five: list[int]
) -> None:
    connection, reader = connect(), connect()
    before = versions(members)
    set_manager(connection, five[0], "nothing")
    connection.cursor().execute("DELETE FROM layers.shelters WHERE fid = %s", (five[1],))
    connection.rollback()
    assert versions(members) == before
    with reader, reader.cursor() as cursor:
        assert rows(cursor, "SELECT count(*) FROM leeward.changes WHERE version IS NULL") == [(0,)]
        assert rows(cursor, "SELECT count(*) FROM history.shelters") == [(0,)]
    assert managers(members) == dict.fromkeys(five)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_other_isolation_levels_are_refused(connect: Callable[[], Any], five: list[int], level: str) -> None:
    cursor = connect().cursor()
    cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
    with pytest.raises(psycopg2.errors.FeatureNotSupported, match="READ COMMITTED"):
        cursor.execute("UPDATE layers.shelters SET manager = 'm' WHERE fid = %s", five[:1])


# --- many writers at once


class Writer(threading.Thread):
    """Commits transactions of one to three statements over two layers; some are rolled back."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.url, self.number = url, number
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            with closing(psycopg2.connect(self.url)) as connection:
                for step in range(TRANSACTIONS):
                    self._transaction(connection, random.Random(self.number * TRANSACTIONS + step))
        except Exception as error:
            self.failure = error

    def _transaction(self, connection: Any, random_: random.Random) -> None:
        while True:
            try:
                with connection.cursor() as cursor:
                    for _ in range(random_.randrange(1, 4)):
                        cursor.execute(self._statement(random_))
                        time.sleep(random_.random() * 0.004)
                if random_.random() < 0.1:
                    connection.rollback()
                else:
                    connection.commit()
                return
            except psycopg2.errors.DeadlockDetected:
                connection.rollback()

    def _statement(self, random_: random.Random) -> sql.Composable:
        layer, kind = random_.choice(("shelters", "rescue_teams")), random_.random()
        fid = random_.randrange(1, 40)
        text = UPDATE
        if kind < 0.3:
            text = INSERT
        elif kind > 0.9:
            text = DELETE
        return sql.SQL(text).format(sql.Identifier("layers", layer), by=sql.Literal(self.number), fid=sql.Literal(fid))


@pytest.fixture
def port(database: str) -> Iterator[int]:
    """The port of a service on the database."""
    number = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "api.app:app_from_environment", "--factory", "--port", str(number),
        "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    environment = {**os.environ, "LEEWARD_SERVED_DATABASE_URL": database}
    process = subprocess.Popen(command, env=environment, cwd=ROOT)
    wait_until_ready(f"http://127.0.0.1:{number}", process)
    yield number
    process.terminate()
    process.wait(30)


def polled(readers: Readers, done: threading.Event, found: list[int]) -> None:
    """All versions, as one gets them who asks for what is new since the last."""
    since = 0
    while True:
        last_time = done.is_set()
        for version in (row["version"] for row in changes.page(readers, since, 50)):
            found.append(version)
            since = version
        if last_time and len(found) and since == changes.latest(readers):
            return


@pytest.mark.usefixtures("agreed")
def test_readers_see_each_version_once_and_in_order(
    database: str, connect: Callable[[], Any], members: Readers, five: list[int], port: int, listen: Listen
) -> None:
    writers = [Writer(database, number) for number in range(WRITERS)]
    listener, done, found = listen(port), threading.Event(), []
    poller = threading.Thread(target=polled, args=(members, done, found), daemon=True)
    for thread in (poller, *writers):
        thread.start()
    hang_up(connect(), listener, writers)
    for writer in writers:
        writer.join(120)
        assert writer.failure is None
    done.set()
    poller.join(30)
    with connect() as connection, connection.cursor() as cursor:
        every = [version for (version,) in rows(cursor, "SELECT version FROM leeward.changes ORDER BY recorded_at")]
        ((late,),) = rows(cursor, "SELECT count(*) FROM leeward.changes WHERE late IS NOT NULL")
    until(lambda: listener.last == every[-1])
    assert every == sorted(set(every))
    assert found == every
    assert listener.versions == every
    assert late > TRANSACTIONS / 10  # it was put to the test
    assert listener.connections > 1


def hang_up(connection: Any, listener: Any, writers: list[Writer]) -> None:
    """While writers are at work, cut the service's connection to the database, and the listener's to the service."""
    connection.autocommit = True
    while any(writer.is_alive() for writer in writers):
        time.sleep(0.4)
        with connection.cursor() as cursor:
            for (pid,) in rows(cursor, LISTENING):
                cursor.execute("SELECT pg_terminate_backend(%s)", (pid,))
        time.sleep(0.4)
        if listener.response is not None:
            listener.response.close()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_nothing_is_missed_after_a_lost_connection(
    psql: Callable[..., list[tuple[Any, ...]]], five: list[int], port: int, listen: Listen
) -> None:
    """One change while nobody listens: the service hears of it when it listens again."""
    listener = listen(port)
    until(lambda: listener.last == 1)
    until(lambda: len(psql(LISTENING)) == 1)
    ((pid,),) = psql(LISTENING)
    assert psql("SELECT pg_terminate_backend(%s, 5000)", pid) == [(True,)]
    psql("UPDATE layers.shelters SET manager = 'm' WHERE fid = %s", five[0])
    until(lambda: listener.versions == [1, 2], 10)
    psql("UPDATE layers.shelters SET manager = 'n' WHERE fid = %s", five[0])
    until(lambda: listener.versions == [1, 2, 3], 10)
    assert listener.connections == 1


def test_changes_over_http_come_in_order(connect: Callable[[], Any], five: list[int], port: int) -> None:
    def told(since: int) -> tuple[list[int], int]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/changes?since={since}") as answer:
            found = json.load(answer)
        assert all(row["author"] is None for row in found["changes"])
        return [row["version"] for row in found["changes"]], found["latest"]

    early, quick = connect(), connect()
    set_manager(early, five[0], "early")
    set_manager(quick, five[1], "quick")
    assert told(0) == ([1], 1)
    quick.commit()
    assert told(1) == ([2], 2)
    early.commit()
    assert told(2) == ([3], 3)
    assert told(0) == ([1, 2, 3], 3)


# --- every way of writing


WAYS: dict[str, tuple[str, list[tuple[str, str, int]]]] = {
    "several rows": (
        "INSERT INTO layers.shelters (source, name, geom)"
        " VALUES ('t', 'a', ST_Point(105.5, 27.5, 4326)), ('t', 'b', ST_Point(105.5, 27.5, 4326))",
        [("shelters", "insert", 2)],
    ),
    "insert or update": (
        "INSERT INTO layers.shelters (source, name, geom) SELECT source, name, geom FROM layers.shelters WHERE fid < 3"
        " UNION ALL SELECT 't', 'new', ST_Point(105.5, 27.5, 4326)"
        " ON CONFLICT (item_key) DO UPDATE SET manager = 'known'",
        [("shelters", "update", 2), ("shelters", "insert", 1)],
    ),
    "insert or nothing": (
        "INSERT INTO layers.shelters (source, name, geom) SELECT source, name, geom FROM layers.shelters"
        " ON CONFLICT DO NOTHING",
        [],
    ),
    "update": ("UPDATE layers.shelters SET manager = 'm' WHERE fid <= 3", [("shelters", "update", 3)]),
    "update of none": ("UPDATE layers.shelters SET manager = 'm' WHERE fid > 99", []),
    "delete": ("DELETE FROM layers.shelters WHERE fid = 4", [("shelters", "delete", 1)]),
    "two layers in one statement": (
        "WITH gone AS (DELETE FROM layers.shelters WHERE fid <= 2 RETURNING source, name, geom)"
        " INSERT INTO layers.rescue_teams (source, name, geom) SELECT source, name, geom FROM gone",
        [("shelters", "delete", 2), ("rescue_teams", "insert", 2)],
    ),
    "savepoint rolled back": (
        "SAVEPOINT a; UPDATE layers.shelters SET manager = 'x'; ROLLBACK TO a;"
        "UPDATE layers.shelters SET manager = 'y' WHERE fid = 1; SAVEPOINT b; DELETE FROM layers.shelters;"
        "ROLLBACK TO b; UPDATE layers.shelters SET manager = 'z' WHERE fid = 2",
        [("shelters", "update", 1), ("shelters", "update", 1)],
    ),
    "merge": (
        "MERGE INTO layers.shelters AS s USING (VALUES (1, 'u'), (2, NULL), (99, 'i')) AS n (fid, name)"
        " ON s.fid = n.fid WHEN MATCHED AND n.name IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET manager = n.name"
        " WHEN NOT MATCHED THEN INSERT (source, name, geom) VALUES ('t', n.name, ST_Point(105.5, 27.5, 4326))",
        [("shelters", "insert", 1), ("shelters", "update", 1), ("shelters", "delete", 1)],
    ),
    "written twice": (
        "UPDATE layers.shelters SET manager = 'm' WHERE fid = 1;"
        "UPDATE layers.shelters SET manager = 'n' WHERE fid = 1;"
        "DELETE FROM layers.shelters WHERE fid = 1",
        [("shelters", "update", 1), ("shelters", "update", 1), ("shelters", "delete", 1)],
    ),
    "deleted and made again": (
        "DELETE FROM layers.shelters WHERE fid = 1;"
        "INSERT INTO layers.shelters (fid, source, name, geom) VALUES (1, 't', 'again', ST_Point(105.5, 27.5, 4326))",
        [("shelters", "delete", 1), ("shelters", "insert", 1)],
    ),
    "made and deleted": (
        "INSERT INTO layers.shelters (fid, source, name, geom) VALUES (77, 't', 'short', ST_Point(105.5, 27.5, 4326));"
        "DELETE FROM layers.shelters WHERE fid = 77",
        [("shelters", "insert", 1), ("shelters", "delete", 1)],
    ),
    "many": (
        "INSERT INTO layers.shelters (source, source_id, geom) SELECT 't', n::text, ST_SetSRID(ST_MakePoint(105, 27),"
        " 4326) FROM generate_series(1, 1001) AS n",
        [("shelters", "insert", 1001)],
    ),
}  # fmt: skip


@pytest.mark.usefixtures("five", "agreed")
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_is_logged(psql: Callable[..., list[tuple[Any, ...]]], members: Readers, way: str) -> None:
    statement, expected = WAYS[way]
    since = changes.latest(members)
    psql(statement)
    told = changes.page(members, since)
    assert sorted((row["layer"], row["operation"], row["count"]) for row in told) == sorted(expected)
    ((user,),) = psql("SELECT session_user")
    for row in told:
        assert (row["author"], row["reason"], row["import_id"]) == (f"psql: {user}", None, None)
        assert (row["fids"] is None) == (row["count"] > 1000)
        assert row["fids"] is None or len(row["fids"]) == row["count"]
        west, south, east, north = row["bbox"]
        assert 105 <= west <= east <= 105.5
        assert 27 <= south <= north <= 27.5
        assert all(3242 <= x <= 3248 and 1722 <= y <= 1728 for x, y in row["cells"]), row["cells"]
    assert len({row["version"] for row in told}) == len(told)


@pytest.mark.usefixtures("agreed")
def test_copy_is_logged(connect: Callable[[], Any], members: Readers, five: list[int]) -> None:
    connection = connect()
    with connection, connection.cursor() as cursor:
        lines = "".join(f"t\tc{number}\tSRID=4326;POINT(105 27)\n" for number in range(3))
        cursor.copy_expert("COPY layers.shelters (source, name, geom) FROM STDIN", io.StringIO(lines))
    (told,) = changes.page(members, changes.latest(members) - 1)
    assert (told["operation"], told["count"], len(told["fids"])) == ("insert", 3, 3)
    assert not {*told["fids"]} & {*five}


@pytest.mark.usefixtures("agreed")
@pytest.mark.parametrize("large_bytes", [0, 1 << 40])
def test_imports_are_logged_and_can_be_taken_back(
    database: str, members: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large_bytes: int
) -> None:
    """Straight into an empty layer, or by way of staging; then a second import that replaces some rows."""
    monkeypatch.setattr(importing, "LARGE_BYTES", large_bytes)
    path = tmp_path / "shelters.csv"
    for capacity in (1, 2):
        lines = [f"{n},s{n},{105 + n / 1000},27,{capacity if n % 2 else 0}\n" for n in range(2000, 3000 + capacity)]
        path.write_text("编号,名称,经度,纬度,可容纳人数\n" + "".join(lines))
        report = importing.import_file(database, "shelters", path, importing.Options(update=True))
    told = changes.page(members)
    assert [(row["operation"], row["count"]) for row in told] == [("insert", 1001), ("insert", 1), ("update", 500)]
    assert [row["import_id"] for row in told] == [report.import_id - 1, report.import_id, report.import_id]
    with transaction(database, "editor") as cursor:
        editor = editing.Editor(frozenset({"edit"}), date.today())
        taken_back = editing.take_back(cursor, SHELTERS, report.import_id, editor)
    assert (taken_back.deleted, taken_back.restored) == (1, 500)
    with transaction(database) as cursor:
        assert rows(cursor, "SELECT capacity_persons, count(*) FROM layers.shelters GROUP BY 1 ORDER BY 1") == [
            (0, 501), (1, 500),
        ]  # fmt: skip


REFUSED = {
    "TRUNCATE layers.shelters": "DELETE FROM layers.shelters",
    "INSERT INTO layers.shelters (source, geom, change) VALUES ('t', ST_Point(105.5, 27.5, 4326), 1)": "column change",
    "UPDATE layers.shelters SET fid = 900 WHERE fid = 1": "does not change",
}


@pytest.mark.usefixtures("five", "agreed")
@pytest.mark.parametrize("statement", REFUSED)
def test_what_would_leave_no_true_history_is_refused(
    psql: Callable[..., list[tuple[Any, ...]]], members: Readers, statement: str
) -> None:
    with pytest.raises(psycopg2.Error, match=REFUSED[statement]):
        psql(statement)
    assert versions(members) == [1]


@pytest.mark.usefixtures("agreed")
def test_a_forged_change_does_not_count_in_an_update(
    psql: Callable[..., list[tuple[Any, ...]]], members: Readers, five: list[int]
) -> None:
    psql("UPDATE layers.shelters SET manager = 'm', change = 999, recorded_at = '2001-01-01' WHERE fid = %s", five[0])
    ((change, recorded_at),) = psql("SELECT change, recorded_at FROM layers.shelters WHERE fid = %s", five[0])
    assert change < 999
    assert recorded_at.year > 2001


# --- the audit itself


@pytest.mark.parametrize(
    "sabotage",
    [
        "DELETE FROM history.shelters WHERE fid = 2",
        "UPDATE history.shelters SET ended_change = change + 100 WHERE fid = 2",
        "INSERT INTO history.shelters SELECT * FROM history.shelters WHERE fid = 2",
        "DELETE FROM leeward.changes WHERE version = 2",
        "UPDATE leeward.changes SET count = 2 WHERE version = 2",
        "UPDATE leeward.changes SET fids = '{3}' WHERE version = 2",
        "UPDATE leeward.changes SET version = 100 WHERE version = 2",
        "UPDATE leeward.changes SET recorded_at = now() + interval '1 day' WHERE version = 2",
        "UPDATE leeward.changes SET late = '[1,2)' WHERE version = 2",
        "ALTER TABLE layers.shelters DISABLE TRIGGER USER; UPDATE layers.shelters SET change = 1 WHERE fid = 2",
        "ALTER TABLE layers.shelters DISABLE TRIGGER USER; DELETE FROM layers.shelters WHERE fid = 5",
    ],
)
def test_the_audit_finds_what_is_wrong(
    connect: Callable[[], Any], five: list[int], audit: Callable[..., list[str]], sabotage: str
) -> None:
    connection = connect()
    with connection:
        set_manager(connection, five[1], "m")
    with connection:
        set_manager(connection, five[2], "m")
    with connection.cursor() as cursor:
        assert audit(cursor) == []
        cursor.execute(sabotage)
        assert audit(cursor) != []
    connection.rollback()
