"""What the tests of the store share: a check of table, history and log against each other, and a listener."""

from __future__ import annotations

import http.client
import json
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import pytest

from layers.catalog import catalog
from layers.database import Cursor, look_back, rows, sql

Audit = Callable[..., list[str]]
State = dict[tuple[str, int], int]
LOG = """
SELECT version, change, layer, operation, count, fids, recorded_at, top_change, lower(late), upper(late)
FROM leeward.changes ORDER BY version
"""


class Entry(NamedTuple):
    """A row of the log."""

    version: int | None
    change: int
    layer: str
    operation: str
    count: int
    fids: list[int] | None
    recorded_at: Any
    top_change: int
    late_from: int | None
    late_to: int | None


class Store:
    """Table, history and log of all layers, read in one go."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.faults: list[str] = []
        self.now: State = {}
        self.lives: dict[tuple[str, int, int, int], int] = defaultdict(int)
        self.begun: dict[tuple[str, int], set[int]] = defaultdict(set)
        self.ended: dict[tuple[str, int], set[int]] = defaultdict(set)
        self.log = [Entry(*row) for row in rows(cursor, LOG)]
        for layer in catalog():
            self._read(layer)

    def _read(self, layer: str) -> None:
        query = "SELECT fid, change, NULL FROM {} UNION ALL SELECT fid, change, ended_change FROM {}"
        tables = sql.Identifier("layers", layer), sql.Identifier("history", layer)
        for fid, change, ended in rows(self.cursor, sql.SQL(query).format(*tables)):
            self.begun[layer, change].add(fid)
            if ended is None:
                self.now[layer, fid] = change
            else:
                self.lives[layer, fid, change, ended] += 1
                self.ended[layer, ended].add(fid)

    def say(self, what: str) -> None:
        self.faults.append(what)

    def check_order(self) -> None:
        """Versions as commits: later ones bear later moments, and it is known which changes overtook which."""
        before: Entry | None = None
        tops: list[int] = []  # never falls
        for entry in self.log:
            if entry.version is None:
                self.say(f"a committed log row has no version: {entry}")
                continue
            if before is not None and not (entry.version > before.version and entry.recorded_at > before.recorded_at):
                self.say(f"version {entry.version} does not follow {before.version}")
            top = before.top_change if before is not None else 0
            late: tuple[int | None, int | None] = (None, None)
            if before is not None and entry.change < top and entry.change != before.change:
                seen = bisect_left(tops, entry.change)
                late = (self.log[seen - 1].version + 1 if seen else 1, entry.version)
            if (entry.top_change, entry.late_from, entry.late_to) != (max(top, entry.change), *late):
                self.say(f"{entry}: the greatest change is {max(top, entry.change)}, late is {late}")
            tops.append(entry.top_change)
            before = entry

    def replay(self) -> dict[int, State]:
        """Play the log from its beginning; the state of every item (the change that wrote it) after each version."""
        state: State = {}
        states: dict[int, State] = {}
        used: dict[tuple[str, int, int, int], int] = defaultdict(int)
        written = {change for _, change in (*self.begun, *self.ended)}
        for change, group in groupby((e for e in self.log if e.version is not None), key=lambda e: e.change):
            entries = list(group)
            for entry in entries:
                self._play(entry, state, used, alone=sum(e.layer == entry.layer for e in entries) == 1)
            states |= {entry.version: dict(state) for entry in entries if entry.version is not None}
            traceless = {"insert", "delete"} <= {entry.operation for entry in entries}  # written and deleted again
            if change not in written and not traceless:
                self.say(f"change {change} left no row: {entries}")
        for life, times in self.lives.items():
            if times != 1 or used[life] != 1:
                self.say(f"history has (layer, fid, change, ended) {life} {times} times, the log {used[life]} times")
        for life in used.keys() - self.lives.keys():
            self.say(f"history lacks (layer, fid, change, ended) {life}")
        for key in state.keys() | self.now.keys():
            if state.get(key) != self.now.get(key):
                self.say(f"{key}: the log ends with change {state.get(key)}, the table has {self.now.get(key)}")
        return states

    def _play(self, entry: Entry, state: State, used: dict[tuple[str, int, int, int], int], *, alone: bool) -> None:
        layer, change = entry.layer, entry.change
        fids = self._fids(entry, state)
        if (entry.fids is not None or alone) and {entry.count, len(entry.fids or fids)} != {len(fids)}:
            self.say(f"version {entry.version} counts {entry.count} {entry.operation}s, there are {len(fids)}")
        for fid in fids:
            was = state.get((layer, fid))
            if (was is None) != (entry.operation == "insert"):
                self.say(f"version {entry.version}: {entry.operation} of {layer} {fid}, which was {was}")
            if was is not None and was != change:
                used[layer, fid, was, change] += 1
            if entry.operation == "delete":
                state.pop((layer, fid), None)
            else:
                state[layer, fid] = change

    def _fids(self, entry: Entry, state: State) -> set[int]:
        if entry.fids is not None:
            return set(entry.fids)
        begun, ended = self.begun[entry.layer, entry.change], self.ended[entry.layer, entry.change]
        if entry.operation == "insert":
            return {fid for fid in begun if (entry.layer, fid) not in state}
        return ended - begun if entry.operation == "delete" else ended & begun

    def check_past(self, states: dict[int, State], versions: Iterable[int]) -> None:
        """What the views of earlier moments show, beside the log played as far as that."""
        parts = [
            sql.SQL("SELECT {}, fid, change FROM {}").format(sql.Literal(layer), sql.Identifier("internal_then", layer))
            for layer in catalog()
        ]
        query = sql.SQL(" UNION ALL ").join(parts)
        for version in versions:
            look_back(self.cursor, version)
            shown = {(layer, fid): change for layer, fid, change in rows(self.cursor, query)}
            if shown != states[version]:
                wrong = set(shown.items()) ^ set(states[version].items())
                self.say(f"as of version {version}: {len(wrong)} rows differ, such as {sorted(wrong)[:3]}")


@pytest.fixture(scope="session")
def audit() -> Audit:
    """A function that says in what table, history and log of a cursor's database do not agree."""

    def check(cursor: Cursor, looks: int = 40) -> list[str]:
        store = Store(cursor)
        store.check_order()
        states = store.replay()
        versions = sorted(states)
        store.check_past(states, versions[:: max(1, len(versions) // looks)] + versions[-3:])
        return store.faults

    return check


class Listener(threading.Thread):
    """Reads ``/events``, and goes on with Last-Event-ID when the connection is lost."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.versions: list[int] = []
        self.last = 0
        self.connections = 0
        self.stopped = False
        self.response: http.client.HTTPResponse | None = None

    def run(self) -> None:
        while not self.stopped:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request("GET", "/events", headers={"Last-Event-ID": str(self.last)})
                self.response = connection.getresponse()
                if self.response.status != 200:
                    raise OSError("not ready")
                self.connections += 1
                self._read(self.response)
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                time.sleep(0.05)  # hung up, or the service went away
            finally:
                connection.close()

    def _read(self, response: http.client.HTTPResponse) -> None:
        event: dict[str, str] = {}
        while not self.stopped:
            line = response.readline().decode()
            if not line:
                return
            if line == "\n":
                if event.get("event") == "change":
                    self.last = int(event["id"])
                    self.versions.append(self.last)
                    assert json.loads(event["data"])["version"] == self.last
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                event[name] = value


@pytest.fixture
def listen() -> Iterator[Callable[[int], Listener]]:
    """A function that listens to the service on a port, from the first version on, until the test ends."""
    begun: list[Listener] = []

    def start(port: int) -> Listener:
        begun.append(Listener(port))
        begun[-1].start()
        return begun[-1]

    yield start
    for listener in begun:
        listener.stopped = True
