"""Writes while the service and PostgreSQL are killed: what was acknowledged is there, once; the rest left no trace."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest

from layers import accounts
from layers.cluster import Cluster
from layers.database import Cursor, rows, transaction
from layers.migrate import migrate

LEEWARD = str(Path(sys.executable).parent / "leeward")
CLIENTS = 20
RATE = 200
SEEDED = 100
PATIENCE_S = 90
ITEMS = "/collections/shelters/items"
LIVES = """
SELECT fid, change, manager, capacity_persons, occupancy_persons FROM layers.shelters
UNION ALL SELECT fid, change, manager, capacity_persons, occupancy_persons FROM history.shelters
"""
LOGGED = """
SELECT reason, change, operation, author, fids FROM leeward.changes WHERE reason LIKE 'client %' ORDER BY version
"""


@dataclass
class Write:
    """A write that was answered: what was sent under which key, and what was answered."""

    key: str
    act: str
    status: int
    changes: dict[int, int | None]
    told: dict[str, Any] = field(default_factory=dict)
    """The values that the items must bear."""


class Items:
    """The items that the clients share: the change that each of them last saw, and what was deleted."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: dict[int, int] = {}
        self.deleted: list[int] = []

    def saw(self, fid: int, change: int) -> None:
        with self.lock:
            self.known[fid] = max(change, self.known.get(fid, 0))

    def some(self, random_: random.Random, count: int) -> dict[int, int]:
        with self.lock:
            chosen = random_.sample(sorted(self.known), min(count, len(self.known)))
            return {fid: self.known[fid] for fid in chosen}

    def gone(self, fid: int, *, now: bool) -> None:
        """An item is there no more; now: this client has deleted it."""
        with self.lock:
            self.known.pop(fid, None)
            if now:
                self.deleted.append(fid)

    def one_deleted(self) -> int | None:
        with self.lock:
            return self.deleted.pop(0) if self.deleted else None


class Client(threading.Thread):
    """Writes at an even pace, and sends again under the same key what was not answered."""

    def __init__(self, number: int, port: int, token: str, items: Items, stop: threading.Event) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.port, self.items, self.halt = port, items, stop
        self.random = random.Random(number)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.connection: http.client.HTTPConnection | None = None
        self.journal: list[Write] = []
        self.trouble: Counter[str] = Counter()
        self.failure: Exception | None = None
        self.new_key_each_time = False
        self.waits_ms: list[float] = []
        acts: list[tuple[Callable[[str], Write | None], int]] = [
            (self.create, 20), (self.edit, 30), (self.read_and_edit, 10), (self.report, 25), (self.edit_some, 5),
            (self.delete, 5), (self.restore, 5),
        ]  # fmt: skip
        self.acts = [act for act, weight in acts for _ in range(weight)]

    def run(self) -> None:
        try:
            due = time.monotonic() + self.random.random() * CLIENTS / RATE
            while not self.halt.is_set():
                time.sleep(max(0.0, due - time.monotonic()))
                due = max(due + CLIENTS / RATE, time.monotonic() - 1)  # what was missed is not made up for
                act = self.random.choice(self.acts)
                key = f"{self.name} write {len(self.journal)}"
                write = act(key)
                if write is not None:
                    self.journal.append(write)
        except Exception as error:
            self.failure = error

    # --- the acts

    def create(self, key: str) -> Write:
        number = self.random.randrange(1, 10**6)
        place = [round(105 + self.random.random(), 6), round(27 + self.random.random(), 6)]
        values = {"manager": key, "capacity_persons": number}  # no name and no number: nothing else forbids doubles
        geometry = {"type": "Point", "coordinates": place}
        given = {"type": "Feature", "properties": values, "geometry": geometry, "reason": key}
        return self._write(key, "insert", "POST", ITEMS, given, values)

    def edit(self, key: str, *, read: bool = False) -> Write | None:
        ((fid, change),) = (self.items.some(self.random, 1) or {0: 0}).items()
        if read:
            status, headers, _ = self._send("GET", f"{ITEMS}/{fid}", None, {})
            if status != 200:
                return None
            change = int(headers["etag"].strip('"'))
        values = {"manager": key}
        given = {"properties": values, "reason": key}
        return self._write(key, "update", "PATCH", f"{ITEMS}/{fid}", given, values, fid, change)

    def read_and_edit(self, key: str) -> Write | None:
        return self.edit(key, read=True)

    def report(self, key: str) -> Write:
        ((fid, _),) = (self.items.some(self.random, 1) or {0: 0}).items()
        values = {"occupancy_persons": self.random.randrange(10**6)}
        return self._write(key, "update", "PATCH", f"{ITEMS}/{fid}", {"properties": values, "reason": key}, values, fid)

    def edit_some(self, key: str) -> Write:
        values = {"manager": key}
        some = self.items.some(self.random, 3)
        items = [{"fid": fid, "if_match": f'"{change}"', "properties": values} for fid, change in some.items()]
        return self._write(key, "update", "PATCH", ITEMS, {"items": items, "reason": key}, values)

    def delete(self, key: str) -> Write:
        ((fid, change),) = (self.items.some(self.random, 1) or {0: 0}).items()
        path = f"{ITEMS}/{fid}?reason={quote(key)}"
        write = self._write(key, "delete", "DELETE", path, None, {}, fid, change)
        if write.status == 204:
            write.changes = {fid: None}
            self.items.gone(fid, now=True)
        return write

    def restore(self, key: str) -> Write | None:
        fid = self.items.one_deleted()
        if fid is None:
            return None
        status, _, text = self._send("GET", f"{ITEMS}/{fid}/history", None, {})
        assert status == 200, text
        deleted, before = json.loads(text)["changes"][:2]
        assert deleted["operation"] == "delete", deleted
        given = {"version": before["version"], "reason": key}
        values = {"manager": deleted["changed"]["manager"]["old"]}
        return self._write(key, "insert", "POST", f"{ITEMS}/{fid}/restore", given, values, fid)

    # --- sending

    def _write(
        self, key: str, act: str, method: str, path: str, given: dict[str, Any] | None, values: dict[str, Any],
        fid: int | None = None, change: int | None = None,
    ) -> Write:  # fmt: skip
        headers = {"Idempotency-Key": key} | ({"If-Match": f'"{change}"'} if change is not None else {})
        status, answered, text = self._send(method, path, given, headers)
        write = Write(key, act, status, {}, values)
        found = json.loads(text) if text else {}
        if status in (200, 201):
            pairs = found["items"] if "items" in found else [{"fid": found["id"], "etag": answered["etag"]}]
            write.changes = {item["fid"]: int(item["etag"].strip('"')) for item in pairs}
            for number, written in write.changes.items():
                assert written is not None
                self.items.saw(number, written)
        elif status == 412 and fid is not None and found.get("etag"):
            self.items.saw(fid, int(found["etag"].strip('"')))
        elif status == 412:
            for conflict in found.get("conflicts", [{"fid": fid}]):
                self.items.gone(conflict["fid"], now=False)
        elif status == 404 and fid is not None:
            self.items.gone(fid, now=False)
        elif status != 204:
            raise AssertionError(f"{method} {path} {given}: {status} {text[:500]!r}")
        return write

    def _send(
        self, method: str, path: str, given: dict[str, Any] | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """The answer, however often the request must be sent for it."""
        deadline = time.monotonic() + PATIENCE_S
        body = json.dumps(given).encode() if given is not None else b"{}"
        attempt = 0
        while True:
            if self.new_key_each_time and "Idempotency-Key" in headers:
                headers = headers | {"Idempotency-Key": f"{headers['Idempotency-Key']} {attempt}"}
            attempt += 1
            started = time.perf_counter()
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                self.connection.request(method, path, body, self.headers | headers)
                response = self.connection.getresponse()
                text = response.read()
                if response.status != 503:
                    if method != "GET":
                        self.waits_ms.append((time.perf_counter() - started) * 1000)
                    return response.status, {n.lower(): v for n, v in response.headers.items()}, text
                self.trouble["503"] += 1
            except (OSError, http.client.HTTPException) as error:
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
                self.trouble[type(error).__name__] += 1
            assert time.monotonic() < deadline, f"{method} {path}: no answer in {PATIENCE_S} s"
            time.sleep(0.05 + 0.2 * self.random.random())


class Service:
    """``leeward serve`` with two workers, and how it is killed."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.home = home
        self.log = (home / "service.log").open("ab")
        self.environment = {
            **os.environ, "LEEWARD_HOME": str(home), "LEEWARD_PORT": str(self.port), "LEEWARD_WORKERS": "2",
        }  # fmt: skip

    def start(self) -> None:
        self.process = subprocess.Popen(
            [LEEWARD, "serve"], env=self.environment, stdout=self.log, stderr=self.log, start_new_session=True
        )
        until(lambda: self.answers() or self.process.poll() is not None)
        assert self.process.poll() is None, (self.home / "service.log").read_text()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """Kill it and its workers, as the kernel does when memory runs out."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.log.close()


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def kill_postgresql(cluster: Cluster) -> None:
    """Kill the postmaster and its children, in the midst of what they do."""
    postmaster = int((cluster.data / "postmaster.pid").read_text().split("\n", 1)[0])
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if path.read_text().rpartition(")")[2].split()[1] == str(postmaster):
                children.append(int(path.parent.name))
    assert children
    for number in (postmaster, *children):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def long_transactions(url: str, stop: threading.Event) -> int:
    """Write by psql, as it were, in transactions that last while others overtake them; how many were committed."""
    random_, count = random.Random(0), 0
    while not stop.is_set():
        try:
            connection = psycopg2.connect(url)
            with connection, connection.cursor() as cursor:
                fids = sorted(fid for (fid,) in rows(cursor, "SELECT fid FROM layers.shelters"))
                for fid in sorted(random_.sample(fids, min(3, len(fids)))):
                    cursor.execute("UPDATE layers.shelters SET area_m2 = random() WHERE fid = %s", (fid,))
                    stop.wait(0.05)
            connection.close()
            count += 1
        except psycopg2.Error:
            pass
        stop.wait(0.1)
    return count


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lw-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    cluster = Cluster(folder)
    cluster.stop()
    shutil.rmtree(cluster.folder, ignore_errors=True)
    shutil.rmtree(folder)


@contextmanager
def running(home: Path) -> Iterator[tuple[str, Service, str]]:
    """The database's URL, the service, and the token of an editor."""
    with Cluster(home).running() as url:
        migrate(url)
        with transaction(url) as cursor:
            accounts.add(cursor, "clerk", "editor", accounts.new_password())
            token = accounts.make_token(cursor, "clerk")
        service = Service(home)
        service.start()
        try:
            yield url, service, token
        finally:
            service.end()


def storm(
    home: Path, url: str, service: Service, token: str, seconds: float, *, faults: bool = True, **further: Any
) -> list[Client]:
    """Let clients write for a while, kill the service in the first half and PostgreSQL in the second."""
    items, stop = Items(), threading.Event()
    clients = [Client(number, service.port, token, items, stop) for number in range(CLIENTS)]
    for number in range(SEEDED):
        client = clients[number % CLIENTS]
        client.journal.append(client.create(f"{client.name} seed {number}"))
    for client in clients:
        client.waits_ms.clear()
        vars(client).update(further)
    overtaken = threading.Thread(target=long_transactions, args=(url, stop), daemon=True)
    for thread in (*clients, overtaken):
        thread.start()
    try:
        if faults:
            time.sleep(seconds / 3)
            service.kill()
            service.start()
            time.sleep(seconds / 3)
            kill_postgresql(Cluster(home))
            time.sleep(0.5)
            environment = {**os.environ, "LEEWARD_HOME": str(home)}
            subprocess.run([LEEWARD, "db", "start"], env=environment, check=True, stdout=subprocess.DEVNULL)
            time.sleep(seconds / 3)
        else:
            time.sleep(seconds)
    finally:
        stop.set()
        for thread in (*clients, overtaken):
            thread.join(PATIENCE_S + 30)
    return clients


def disagreements(cursor: Cursor, clients: list[Client]) -> list[str]:
    """In what the store differs from what the clients were told."""
    names = ("manager", "capacity_persons", "occupancy_persons")
    lives = {(fid, change): dict(zip(names, values, strict=True)) for fid, change, *values in rows(cursor, LIVES)}
    logged: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for reason, *entry in rows(cursor, LOGGED):
        logged[reason].append(tuple(entry))
    wrong = []
    there = 0
    for client in clients:
        for write in client.journal:
            entries = logged.pop(write.key, [])
            if write.status not in (200, 201, 204):
                wrong += [f"{write} was refused and left {entries}"] * bool(entries)
                continue
            if len({change for change, *_ in entries}) != 1:
                wrong.append(f"{write} was acknowledged and stands in the log as {entries}")
                continue
            wrong += _differences(write, entries, lives)
            there += {"insert": 1, "delete": -1}.get(write.act, 0)
    wrong += [f"nobody was told of {key}: {entries}" for key, entries in logged.items()]
    ((count,),) = rows(cursor, "SELECT count(*) FROM layers.shelters")
    if count != there:
        wrong.append(f"{count} items; {there} were acknowledged")
    return wrong


def _differences(
    write: Write, entries: list[tuple[Any, ...]], lives: dict[tuple[int, int], dict[str, Any]]
) -> list[str]:
    wrong = []
    for fid, change in write.changes.items():
        found = [entry for entry in entries if fid in entry[3]]
        if [(operation, author) for _, operation, author, _ in found] != [(write.act, "clerk")]:
            wrong.append(f"{write}: the log says {entries}")
        elif change is not None:
            bears = lives.get((fid, change), {})
            if found[0][0] != change or any(bears.get(name) != value for name, value in write.told.items()):
                wrong.append(f"{write}: item {fid} was recorded as {bears}")
    return wrong


@pytest.mark.parametrize("seconds", [9, pytest.param(60, marks=pytest.mark.long)])
def test_killed_while_writing(
    home: Path, audit: Callable[..., list[str]], listen: Callable[[int], Any], seconds: float
) -> None:
    with running(home) as (url, service, token):
        listener = listen(service.port)
        clients = storm(home, url, service, token, seconds)
        assert [client.failure for client in clients if client.failure] == []
        with transaction(url) as cursor:
            assert disagreements(cursor, clients) == []
            assert audit(cursor) == []
            versions = [version for (version,) in rows(cursor, "SELECT version FROM leeward.changes ORDER BY version")]
        until(lambda: listener.last >= versions[-1])
        assert listener.versions == versions  # through every fault
        _, traceback, text = (home / "service.log").read_text().partition("Traceback")
        assert not traceback, text
        statuses = Counter(write.status for client in clients for write in client.journal)
        trouble = sum((client.trouble for client in clients), Counter())
        print(f"{dict(statuses)} after {dict(trouble)}")
        assert statuses[200] + statuses[201] + statuses[204] > 20 * seconds
        assert trouble["503"] > 0  # PostgreSQL was away
        assert sum(trouble.values()) > trouble["503"]  # and the service
