"""What history and the change log cost: in imports, in writes, and in reads of now and then.

The peer of writes is the same Leeward on a database whose layers have no triggers: no history, no log, no numbers of
changes. Both databases lie in one cluster; runs are interleaved and medians count. The peer of as-of reads is the read
of now on the same rows. Nothing is cached but what PostgreSQL and the operating system keep of their own accord.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from api.tiles import tile
from benchmarks.databases import empty, execute, scratch, without_history
from benchmarks.imports import points_file, run_import
from benchmarks.nearest import serving
from layers import accounts, features, pyramid
from layers.catalog import catalog
from layers.cluster import Cluster
from layers.database import INTERNAL, Readers, database_url, one, rows, sql, transaction
from layers.settings import settings
from layers.tables import index_expressions, index_statements

LAYER = "shelters"
SIZES = (10_000, 100_000, 1_000_000)
RUNS = 3
UPDATED = 100_000
SINGLE, BLOCK = 1000, 100
READS = 300
BOX = (103.5, 24.6, 109.6, 29.3)
ZOOMS = (8, 10, 12)
CLIENTS, RATE, SECONDS = 20, 200, 20
ROWS = """
INSERT INTO layers.shelters (source, name, address, class, status, capacity_persons, geom)
SELECT 'bench', 'shelter ' || n, 'street ' || n, (ARRAY['emergency', 'short', 'long'])[1 + n %% 3],
    (ARRAY['open', 'standby'])[1 + n %% 2], 50 + n %% 900, geom
FROM (
    SELECT n, ST_SetSRID(ST_MakePoint(%(west)s + random() * %(width)s, %(south)s + random() * %(height)s), 4326) AS geom
    FROM generate_series(1, %(rows)s) AS n
) AS points
ORDER BY ST_GeoHash(geom, 6)
"""
SOME = """
UPDATE layers.shelters SET occupancy_persons = (fid + %(step)s) %% 500, occupancy_stated_at = now()
WHERE fid > (SELECT min(fid) - 1 FROM layers.shelters) + %(after)s
  AND fid <= (SELECT min(fid) - 1 FROM layers.shelters) + %(last)s
"""
ONE = "UPDATE layers.shelters SET occupancy_persons = %s WHERE fid = %s"
Measure = dict[str, Any]


def measures() -> Iterator[Measure]:
    """The measures of this group."""
    with database_url() as url:
        with scratch(url, "leeward_bench_kept") as kept, scratch(url, "leeward_bench_plain") as plain:
            without_history(plain)
            yield from _imports(kept, plain)
            yield from _updates(kept, plain)
            yield from _current_reads(kept, plain)
        yield from _past_reads(url)
        with scratch(url, "leeward_bench_writes") as bench:
            yield from _writes(bench)


def _measure(name: str, ours: float, peer: float, unit: str, words: str, at_most: float | None, note: str) -> Measure:
    ratio = ours / peer
    return {
        "name": name, "value": ours, "unit": unit, "peer": words, "ratio": ratio,
        "goal": None if at_most is None else f"≤ {at_most}", "met": None if at_most is None else ratio <= at_most,
        "note": f"peer {peer:.4g} {unit}; {note}",
    }  # fmt: skip


def _seconds(act: Callable[..., Any], *values: Any) -> float:
    started = time.perf_counter()
    act(*values)
    return time.perf_counter() - started


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f}"


# --- imports


def _imports(kept: str, plain: str) -> Iterator[Measure]:
    """A large import into an empty layer, and a second one that replaces a tenth of the rows."""
    unlogged = "from layers import history; history.log_insert = lambda *_: None;"

    def emptied(url: str) -> None:
        with transaction(url) as cursor:
            empty(cursor, "hazard_points")

    with tempfile.TemporaryDirectory() as folder:
        curve, first, second = [], [], []
        for size in SIZES:
            path = points_file(Path(folder) / f"{size}.csv", size)
            first = []
            for _ in range(RUNS):
                emptied(kept)
                emptied(plain)
                first.append((run_import(kept, path)[0], run_import(plain, path, unlogged)[0]))
            ours, peer = (median(times) for times in zip(*first, strict=True))
            curve.append(f"{size:.0e} rows {ours:.1f} s / {peer:.1f} s")
        note = f"{', '.join(curve)}; {_load()}"
        yield _measure("store.import_with_history", ours, peer, "s", "without triggers and log", 1.5, note)
        for run in range(RUNS):
            path = points_file(Path(folder) / "again.csv", UPDATED, seed=2 + run)
            second.append((run_import(kept, path)[0], run_import(plain, path)[0]))
    ours, peer = (median(times) for times in zip(*second, strict=True))
    yield _measure(
        "store.import_again", ours, peer, "s", "without triggers and log", None,
        f"{UPDATED:.0e} of {SIZES[-1]:.0e} rows replaced; {_load()}",
    )  # fmt: skip
    emptied(kept)
    emptied(plain)


# --- writes of the database


def _fill(url: str, count: int) -> None:
    """A layer of so many shelters, with its indexes."""
    west, south, east, north = BOX
    definition = catalog()[LAYER]
    with transaction(url) as cursor:
        empty(cursor, LAYER)
        for name in index_expressions(definition):
            cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier("layers", name)))
        cursor.execute(
            ROWS, {"west": west, "south": south, "width": east - west, "height": north - south, "rows": count}
        )
        for query in index_statements(definition):
            cursor.execute(query)
    _vacuum(url)


def _vacuum(url: str) -> None:
    execute(url, f"VACUUM ANALYZE layers.{LAYER}")
    execute(url, f"VACUUM ANALYZE history.{LAYER}")


def _update(url: str, after: int, last: int, step: int = 0) -> None:
    with transaction(url, "bench") as cursor:
        cursor.execute(SOME, {"after": after, "last": last, "step": step})
        assert cursor.rowcount == last - after


def _updates(kept: str, plain: str) -> Iterator[Measure]:
    """Statements that write many rows, and transactions that write one."""
    curve = []
    for size in SIZES:
        for url in (kept, plain):
            _fill(url, size)
        count, pairs = min(UPDATED, size // 4), []
        for run in range(RUNS):
            part = (run * count, (run + 1) * count)
            pairs.append([_seconds(_update, url, *part) for url in (kept, plain)])
        ours, peer = (median(times) for times in zip(*pairs, strict=True))
        curve.append(f"{count} of {size:.0e} rows {ours:.2f} s / {peer:.2f} s")
    note = f"{', '.join(curve)}; {_load()}"
    yield _measure("store.update_with_history", ours, peer, "s", "without triggers", 2, note)
    ours, peer, note = _single_updates(kept, plain)
    yield _measure("store.update_one_with_history", ours, peer, "ms", "without triggers", 2, f"{note}; {_load()}")


def _single_updates(kept: str, plain: str) -> tuple[float, float, str]:
    """Medians in ms of transactions of one update each, sent by one client; and what the slowest tenth takes."""
    times: dict[str, list[float]] = {kept: [], plain: []}
    for url in (kept, plain):
        _vacuum(url)
    with closing(psycopg2.connect(kept)) as one_end, closing(psycopg2.connect(plain)) as other_end:
        numbers = random.Random(1)
        for connection in (one_end, other_end):
            connection.autocommit = True
        for _ in range(SINGLE // BLOCK):
            for url, connection in ((kept, one_end), (plain, other_end)):
                cursor = connection.cursor()
                first = one(cursor, "SELECT min(fid) FROM layers.shelters")
                for _ in range(BLOCK):
                    values = (numbers.randrange(500), first + numbers.randrange(SIZES[-1]))
                    times[url].append(1000 * _seconds(cursor.execute, ONE, values))
    ours, peer = times[kept], times[plain]
    tenth = [sorted(one)[len(one) * 9 // 10] for one in (ours, peer)]
    return median(ours), median(peer), f"{SINGLE} each; slowest tenth from {tenth[0]:.2f} / {tenth[1]:.2f} ms"


# --- reads


@contextmanager
def _reading(url: str) -> Iterator[Readers]:
    readers = Readers(url, INTERNAL, size=1, timeout_ms=60_000)
    try:
        yield readers
    finally:
        readers.close()


def _addresses(zoom: int) -> list[tuple[int, int, int]]:
    """Tiles of a zoom, each around a point of the box."""
    numbers, size = random.Random(zoom), 2**zoom
    west, south, east, north = BOX
    found = []
    for _ in range(READS // 3):
        lon, lat = numbers.uniform(west, east), numbers.uniform(south, north)
        found.append((zoom, *_tile_at(lon, lat, size)))
    return found


def _tile_at(lon: float, lat: float, size: int) -> tuple[int, int]:
    import math

    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * size), int(y * size)


def _of_pairs(acts: list[tuple[Callable[[], Any], Callable[[], Any]]]) -> tuple[float, float]:
    """Medians in ms of pairs of acts; each pair is done once before it counts."""
    pairs = []
    for ours, peer in acts:
        ours()
        peer()
        pairs.append((1000 * _seconds(ours), 1000 * _seconds(peer)))
    one, other = (median(times) for times in zip(*pairs, strict=True))
    return one, other


def _tiles(ours: Readers, peer: Readers, zoom: int) -> tuple[float, float]:
    known = catalog()
    return _of_pairs([
        (lambda a=address: tile(ours, known, (LAYER,), *a), lambda a=address: tile(peer, known, (LAYER,), *a))
        for address in _addresses(zoom)
    ])  # fmt: skip


def _current_reads(kept: str, plain: str) -> Iterator[Measure]:
    """The same rows, updated as often: with all that they were beside them, and without."""
    for url in (kept, plain):
        _fill(url, UPDATED)
        for step in range(10):
            _update(url, 0, UPDATED, step)
        with transaction(url) as cursor:  # as the service does it; the peer, without triggers, has none to fold
            (pyramid.fold if url == kept else pyramid.fill)(cursor, catalog()[LAYER])
        _vacuum(url)
    definition = catalog()[LAYER]
    with _reading(kept) as ours, _reading(plain) as peer:
        firsts = [readers.one("SELECT min(fid) FROM internal.shelters") for readers in (ours, peer)]
        one_fid, other_fid = (int(first[0]) for first in firsts if first is not None)
        chosen = random.Random(3).sample(range(UPDATED), READS)
        item, bare = _of_pairs([
            (lambda n=n: features.item(ours, definition, one_fid + n),
             lambda n=n: features.item(peer, definition, other_fid + n))
            for n in chosen
        ])  # fmt: skip
        note = f"{UPDATED:.0e} items, each written 11 times; {_load()}"
        yield _measure("store.current_item", item, bare, "ms", "without history", 1.2, note)
        drawn = {zoom: _tiles(ours, peer, zoom) for zoom in ZOOMS}
    worst = max(ZOOMS, key=lambda zoom: drawn[zoom][0] / drawn[zoom][1])
    note = ", ".join(f"z{zoom} {one:.1f} / {other:.1f} ms" for zoom, (one, other) in drawn.items())
    yield _measure("store.current_tile", *drawn[worst], "ms", "without history", 1.2, f"{note}; {_load()}")


def _past_reads(url: str) -> Iterator[Measure]:
    """Reads of what was recorded half-way through the history, beside reads of now; the worst of the forms counts."""
    forms = [(1000, 10), (10_000, 10), (100_000, 10), (1_000_000, 1)]
    found: list[tuple[str, tuple[float, float], dict[int, tuple[float, float]]]] = []
    for items, times in forms:
        with scratch(url, "leeward_bench_past") as bench:
            moment = _grown(bench, items, times)
            found.append((f"{items:.0e} items × {times}", *_past(bench, items, moment)))
    at_full = found[2:]
    item = max((one for _, one, _ in at_full), key=lambda pair: pair[0] / pair[1])
    curve = ", ".join(f"{words} {one:.2f} / {now:.2f} ms" for words, (one, now), _ in found)
    yield _measure("store.as_of_item", *item, "ms", "the current item", 3, f"{curve}; {_load()}")
    drawn = max((pair for _, _, zooms in at_full for pair in zooms.values()), key=lambda pair: pair[0] / pair[1])
    curve = ", ".join(
        f"{words} z{zoom} {one:.1f} / {now:.1f} ms" for words, _, zooms in found for zoom, (one, now) in zooms.items()
    )
    yield _measure("store.as_of_tile", *drawn, "ms", "the current tile", 3, f"{curve}; {_load()}")


def _grown(bench: str, items: int, times: int) -> datetime:
    """Shelters of which each was written so many times more; the moment half-way."""
    _fill(bench, items)
    for step in range(times):
        for after in range(0, items, UPDATED):
            _update(bench, after, min(after + UPDATED, items), step)
    _vacuum(bench)
    with transaction(bench) as cursor:
        assert one(cursor, "SELECT count(*) FROM history.shelters") == items * times
        moments = [moment for (moment,) in rows(cursor, "SELECT recorded_at FROM leeward.changes ORDER BY version")]
    half: datetime = moments[len(moments) // 2]
    return half


def _past(bench: str, items: int, moment: datetime) -> tuple[tuple[float, float], dict[int, tuple[float, float]]]:
    definition = catalog()[LAYER]
    with _reading(bench) as readers:
        first = readers.one("SELECT min(fid) FROM internal.shelters")
        assert first is not None
        item = _of_pairs([
            (lambda n=n: features.item(readers, definition, first[0] + n, as_of=moment),
             lambda n=n: features.item(readers, definition, first[0] + n))
            for n in random.Random(4).sample(range(items), READS)
        ])  # fmt: skip
        return item, {zoom: _tiles(readers.at(moment), readers, zoom) for zoom in ZOOMS}


# --- writes of the service


def _writes(bench: str) -> Iterator[Measure]:
    """Writes at a fixed rate over HTTP: how many were done, and how long they took."""
    _fill(bench, UPDATED)
    with transaction(bench) as cursor:
        accounts.add(cursor, "bench", "editor", accounts.new_password())
        token = accounts.make_token(cursor, "bench")
        first = int(one(cursor, "SELECT min(fid) FROM layers.shelters"))
    with serving(bench) as address:
        clients = [Client(address, token, first, number) for number in range(CLIENTS)]
        rate, waits = _storm(clients)
    (tps, latency), (serial, _) = _pgbench(bench, first, CLIENTS), _pgbench(bench, first, 1)
    ordered = sorted(waits)
    yield {
        "name": "store.writes", "value": rate, "unit": "writes/s", "peer": f"{RATE} writes/s asked for",
        "ratio": rate / RATE, "goal": f"≥ {RATE} writes/s", "met": rate >= 0.99 * RATE,
        "note": f"p50 {median(ordered):.1f} ms, p99 {ordered[len(ordered) * 99 // 100]:.1f} ms from when each was due,"
        f" {CLIENTS} clients, {SECONDS} s; the update of one row by pgbench -M prepared with as many clients:"
        f" {tps:.0f}/s, {latency:.1f} ms, with one: {serial:.0f}/s; {_load()}",
    }  # fmt: skip


class Client(threading.Thread):
    """Writes when it is due, whatever the last write took: new items, edits of what it has read, reports of numbers."""

    def __init__(self, address: str, token: str, first: int, number: int) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(address)
        self.connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.first, self.number, self.random = first, number, random.Random(number)
        self.known: dict[int, str] = {}
        self.waits_ms: list[float] = []
        self.beginning = 0.0

    def run(self) -> None:
        """Write until the time is over."""
        due, step = self.beginning + self.number / RATE, 0
        while due < self.beginning + SECONDS:
            time.sleep(max(0.0, due - time.monotonic()))
            self._write(step)
            self.waits_ms.append((time.monotonic() - due) * 1000)
            due, step = due + CLIENTS / RATE, step + 1

    def _write(self, step: int) -> None:
        key = {"Idempotency-Key": f"{self.number} {step}"}
        fid = self.first + self.number + CLIENTS * self.random.randrange(UPDATED // CLIENTS)
        if step % 4 == 0 or (step % 4 < 3 and not self.known):
            at = [round(self.random.uniform(104, 109), 6), round(self.random.uniform(25, 29), 6)]
            properties = {"manager": f"{self.number} {step}", "capacity_persons": step}
            given = {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": at}}
            fid, tag = self._send("POST", f"/collections/{LAYER}/items", given, key)
        elif step % 4 < 3:
            fid, tag = self.random.choice(list(self.known.items()))
            given = {"properties": {"manager": f"{self.number} {step}"}}
            fid, tag = self._send("PATCH", f"/collections/{LAYER}/items/{fid}", given, key | {"If-Match": tag})
        else:
            given = {"properties": {"occupancy_persons": step}}
            fid, tag = self._send("PATCH", f"/collections/{LAYER}/items/{fid}", given, key)
        self.known[fid] = tag

    def _send(self, method: str, path: str, given: dict[str, Any], headers: dict[str, str]) -> tuple[int, str]:
        self.connection.request(method, path, json.dumps(given), self.headers | headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{answer.status} {text[:300]!r}")
        return int(json.loads(text)["id"]), str(answer.headers["ETag"])


def _storm(clients: list[Client]) -> tuple[float, list[float]]:
    """Writes a second, and the waits in ms."""
    beginning = time.monotonic() + 0.5
    for client in clients:
        client.beginning = beginning
        client.start()
    for client in clients:
        client.join()
    waits = [wait for client in clients for wait in client.waits_ms]
    if len(waits) < CLIENTS:
        raise RuntimeError("the clients failed")
    return len(waits) / (time.monotonic() - beginning), waits


def _pgbench(bench: str, first: int, clients: int) -> tuple[float, float]:
    """Transactions a second that update one row each, and their latency in ms."""
    script = (
        f"\\set fid random({first}, {first + UPDATED - 1})\n"
        f"UPDATE layers.{LAYER} SET occupancy_persons = :fid % 500 WHERE fid = :fid;\n"
    )
    program = Cluster(settings().home).programs / "pgbench"
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            [program, "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", "5", "-f", file.name, bench],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    rate, latency = (re.search(rf"{name} = ([\d.]+)", done.stdout) for name in ("tps", "latency average"))
    if rate is None or latency is None:
        raise RuntimeError(done.stderr)
    return float(rate[1]), float(latency[1])
