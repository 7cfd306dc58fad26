"""By road: answers over HTTP beside one bare search on the same arrays, and beside pgRouting on the same rows.

The roads are a grid of streets, every tenth of them a main road, with a fifth of the pieces missing and the crossings
moved about; each piece is a row with the numbers of its ends. Shelters, teams and depots lie beside them as densely as
in the sample county. The bare search is scipy's Dijkstra from one node to all others, on the CSR arrays that the
service itself uses, in this process, between the questions.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import numpy
import psycopg2
from scipy.sparse import csgraph, csr_matrix

from benchmarks.databases import execute, scratch
from benchmarks.nearest import serving
from gis.matrix import matrix_s
from gis.network import STARTS_AT_MOST
from gis.roads import Roads, Situation
from gis.service_area import service_area
from layers.catalog import catalog
from layers.database import Readers, database_url, sql, transaction
from layers.tables import index_expressions, index_statements

Measure = dict[str, Any]
SIZES = (100_000, 1_000_000)
WEST, SOUTH, STEP = 105.0, 26.0, 0.0015
FACILITIES = {"shelters": 200, "rescue_teams": 40, "supply_depots": 20}
"""A thousand pieces of road, as in the sample county."""
QUESTIONS = 40
ROADS = """
INSERT INTO layers.roads (source, class, speed_km_h, one_way, from_node, to_node, geom)
SELECT 'bench', CASE WHEN main THEN 'primary' ELSE 'minor' END, CASE WHEN main THEN 50 ELSE 30 END,
    CASE WHEN number %% 25 = 0 THEN 'forward' END, one, other,
    ST_SetSRID(ST_MakeLine(ARRAY[
        ST_MakePoint(x1, y1), ST_MakePoint((x1 + x2) / 2 + %(step)s / 20, (y1 + y2) / 2), ST_MakePoint(x2, y2)]), 4326)
FROM (
    SELECT number, one, other, main,
        %(west)s + (one %% %(side)s + 0.4 * (one * 7919 %% 1000) / 1000) * %(step)s AS x1,
        %(south)s + (one / %(side)s + 0.4 * (one * 104729 %% 1000) / 1000) * %(step)s AS y1,
        %(west)s + (other %% %(side)s + 0.4 * (other * 7919 %% 1000) / 1000) * %(step)s AS x2,
        %(south)s + (other / %(side)s + 0.4 * (other * 104729 %% 1000) / 1000) * %(step)s AS y2
    FROM (
        SELECT 2 * n AS number, n AS one, n + 1 AS other, n / %(side)s %% 10 = 0 AS main
        FROM generate_series(0, %(side)s::bigint * %(side)s - 1) AS n WHERE n %% %(side)s < %(side)s - 1
        UNION ALL
        SELECT 2 * n + 1, n, n + %(side)s, n %% %(side)s %% 10 = 0
        FROM generate_series(0, %(side)s::bigint * (%(side)s - 1) - 1) AS n
    ) AS pairs
    WHERE (number * 2654435761 %% 1000) >= 180
) AS pieces
ORDER BY number
LIMIT %(rows)s
"""
ITEMS = """
INSERT INTO layers.{} (source, name, geom)
SELECT 'bench', 'item ' || n, ST_SetSRID(ST_MakePoint(
    %(west)s + random() * %(side)s * %(step)s, %(south)s + random() * %(side)s * %(step)s), 4326)
FROM generate_series(1, %(count)s) AS n
"""
EDGES = """
SELECT fid AS id, from_node AS source, to_node AS target,
    ST_Length(geom::geography) / (least(speed_km_h * 0.8, 80) / 3.6) AS cost,
    CASE WHEN one_way = 'forward' THEN -1 ELSE ST_Length(geom::geography) / (least(speed_km_h * 0.8, 80) / 3.6) END
        AS reverse_cost
FROM layers.roads
"""
OF_EDGES = "SELECT id, source, target, cost, reverse_cost FROM public.edges"
IN_BOX = " WHERE geom && ST_MakeEnvelope(%s, %s, %s, %s, 4326)"


def measures() -> Iterator[Measure]:
    """The measures of this group."""
    with database_url() as url:
        for size in SIZES:
            with scratch(url, "leeward_bench_roads") as bench:
                yield from _of_size(bench, size)


def _of_size(bench: str, size: int) -> Iterator[Measure]:
    _fill(bench, size)
    yield from _build(bench, size)
    with closing(Readers(bench, size=2)) as readers:
        layers = [*FACILITIES, "settlements"]
        here = Roads(readers).situation(readers, None, None, None, layers, wait=True)
        yield from _nearest(bench, here, size)
        if size == SIZES[-1]:
            yield from _matrix(here, size)
            yield from _isochrone(here, size)
            yield from _routing(bench, here, size)


def _measure(
    name: str, value: float, unit: str, peer: str, ratio: float | None, goal: str, met: bool | None, note: str
) -> Measure:
    return {
        "name": f"roads.{name}", "value": round(value, 3), "unit": unit, "peer": peer,
        "ratio": None if ratio is None else round(ratio, 3), "goal": goal, "met": met,
        "note": f"{note}; load average {os.getloadavg()[0]:.1f}",
    }  # fmt: skip


def _side(size: int) -> int:
    """Crossings in a row, so that there are enough pieces."""
    return int((size / 1.64) ** 0.5) + 2


def _fill(bench: str, size: int) -> None:
    values = {"west": WEST, "south": SOUTH, "step": STEP, "side": _side(size)}
    for layer, query, count in (
        ("roads", sql.SQL(ROADS), size),
        *((name, sql.SQL(ITEMS).format(sql.Identifier(name)), size * n // 1000) for name, n in FACILITIES.items()),
        ("settlements", sql.SQL(ITEMS).format(sql.Identifier("settlements")), size // 2),
    ):
        definition = catalog()[layer]
        with transaction(bench) as cursor:
            for name in index_expressions(definition):
                cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier("layers", name)))
            cursor.execute(query, {**values, "rows": count, "count": count})
            for make_index in index_statements(definition):
                cursor.execute(make_index)
        execute(bench, f"VACUUM ANALYZE layers.{layer}")


# --- building


def _build(bench: str, size: int) -> Iterator[Measure]:
    """In a process of its own: how long it takes, and how much memory."""
    code = (
        "import sys, time, tempfile; from pathlib import Path; from gis.roads import load, stamps;"
        " from layers.database import Readers; readers = Readers(sys.argv[1], size=2); started = time.monotonic();"
        " load(readers, Path(tempfile.mkdtemp()), stamps(readers, ['roads'])['roads']);"
        " print(time.monotonic() - started, next(line.split()[1] for line in open('/proc/self/status')"
        " if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", code, bench], capture_output=True, text=True, check=True)
    seconds, memory_mb = float(done.stdout.split()[0]), int(done.stdout.split()[1]) / 1024
    note = f"{size:.0e} noded rows, read from PostGIS, built, written, mapped"
    goal = "≤ 15 s" if size == SIZES[-1] else "–"
    met = seconds <= 15 if size == SIZES[-1] else None
    yield _measure(f"build_{size:.0e}", seconds, "s", "none", None, goal, met, note)
    goal, met = ("≤ 600 MB", memory_mb <= 600) if size == SIZES[-1] else ("–", None)
    note = "the greatest resident size of the process that reads and builds, its libraries included"
    yield _measure(f"memory_{size:.0e}", memory_mb, "MB", "none", None, goal, met, note)


# --- nearest


def _nearest(bench: str, here: Situation, size: int) -> Iterator[Measure]:
    numbers = random.Random(7)
    graph = _bare(here)
    with serving(bench, 1) as address:
        parts = urlsplit(address)
        client = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)
        times, bare = [], []
        for number in range(QUESTIONS + 3):
            path = f"/nearest?by=road&k=5&{_place(numbers, size)}"
            started = time.perf_counter()
            status, answer = _ask(client, path)
            seconds = time.perf_counter() - started
            while status == 503:
                time.sleep(0.5)
                status, answer = _ask(client, path)
            assert status == 200, answer
            assert len(answer["features"]) == 15, len(answer["features"])
            begun = time.perf_counter()
            csgraph.dijkstra(graph, indices=numbers.randrange(here.known.network.nodes))
            if number >= 3:
                times.append(1000 * seconds)
                bare.append(1000 * (time.perf_counter() - begun))
        goal = 2.0 if size == SIZES[0] else 0.6
        ratio = median(times) / median(bare)
        note = (
            f"{QUESTIONS} places at random, 3 layers; slowest tenth from {sorted(times)[-QUESTIONS // 10]:.1f} ms; one"
            f" bare search {median(bare):.1f} ms"
        )
        yield _measure(
            f"nearest_{size:.0e}", median(times), "ms", "one bare scipy search", ratio, f"≤ {goal}", ratio <= goal, note
        )
        if size == SIZES[-1]:
            yield _closure(bench, client, numbers, size)


def _ask(client: http.client.HTTPConnection, path: str) -> tuple[int, dict[str, Any]]:
    client.request("GET", path)
    response = client.getresponse()
    return response.status, json.loads(response.read())


def _place(numbers: random.Random, size: int) -> str:
    span = _side(size) * STEP
    return f"lon={WEST + span * numbers.uniform(0.05, 0.95):.6f}&lat={SOUTH + span * numbers.uniform(0.05, 0.95):.6f}"


def _bare(here: Situation) -> csr_matrix:
    """The graph alone, without the row of the place where a search begins."""
    network = here.known.network
    arcs = 2 * network.edges
    data = here.ways.forward.data[:arcs].copy()
    data[numpy.isinf(data)] = 1e9  # a bare search would visit them all the same
    assert len(network.heads) == arcs + STARTS_AT_MOST
    parts = (data, network.heads[:arcs].copy(), network.indptr[:-1].copy())
    return csr_matrix(parts, shape=(network.nodes, network.nodes))


def _closure(bench: str, client: http.client.HTTPConnection, numbers: random.Random, size: int) -> Measure:
    """From the commit of a closure to an answer that knows it."""
    waits = []
    with closing(psycopg2.connect(bench)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for number in range(1, 11):
            place = _place(numbers, size)
            lon, lat = (float(part.split("=")[1]) for part in place.split("&"))
            cursor.execute(
                "INSERT INTO layers.road_closures (source, effect, geom)"
                " VALUES ('bench', 'forbid', ST_Expand(ST_SetSRID(ST_MakePoint(%s, %s), 4326), 0.003))",
                (lon, lat),
            )
            started = time.perf_counter()
            while True:
                _, answer = _ask(client, f"/nearest?by=road&k=5&{place}")
                if answer["network"]["closures"] == number and answer["network"]["inside"]:
                    break
            waits.append(1000 * (time.perf_counter() - started))
        cursor.execute("DELETE FROM layers.road_closures")
    note = f"the longest of 10, each a square of 600 m around the incident; median {median(waits):.0f} ms; no build"
    return _measure("closure_visible", max(waits), "ms", "none", None, "≤ 1 s", max(waits) <= 1000, note)


# --- matrix, isochrone


def _places(here: Situation, count: int, seed: int) -> numpy.ndarray[Any, Any]:
    numbers = numpy.random.default_rng(seed)
    nodes = numbers.choice(here.known.network.nodes, count)
    places: numpy.ndarray[Any, Any] = here.known.network.node_places[nodes] / 1e7
    return places


def _matrix(here: Situation, size: int) -> Iterator[Measure]:
    origins, destinations = _places(here, 50, 1), _places(here, 100_000, 2)
    graph = _bare(here)
    started = time.perf_counter()
    matrix_s(here, origins, destinations)
    ours = time.perf_counter() - started
    nodes = numpy.random.default_rng(3).choice(here.known.network.nodes, 50, replace=False)
    started = time.perf_counter()
    for node in nodes:
        csgraph.dijkstra(graph, indices=int(node))
    bare = time.perf_counter() - started
    note = f"{size:.0e} rows; 50 bare searches {bare:.1f} s; placing the 10⁵ destinations beside the roads is counted"
    yield _measure("matrix_50_1e5", ours, "s", "50 bare searches", ours / bare, "≤ 1.5", ours / bare <= 1.5, note)


def _isochrone(here: Situation, size: int) -> Iterator[Measure]:
    times = []
    for place in _places(here, 15, 4).tolist():
        started = time.perf_counter()
        answer = service_area(here, [place], [600.0])
        times.append(1000 * (time.perf_counter() - started))
    people = answer["features"][0]["properties"]["settlements"]
    note = f"{size:.0e} rows, 10 min, polygon and settlements ({people} of {size // 2:.0e} in the last one)"
    yield _measure(
        "isochrone_10_min", median(times), "ms", "none", None, "≤ 150 ms", median(times) <= 150, note
    )  # fmt: skip


# --- pgRouting


def _routing(bench: str, here: Situation, size: int) -> Iterator[Measure]:
    """The cost of one pair by pgRouting over the whole table, and over a box around both ends."""
    administrator = bench.replace("user=leeward", "user=postgres").replace("leeward@", "postgres@")
    try:
        execute(administrator, "CREATE EXTENSION IF NOT EXISTS pgrouting CASCADE")
    except psycopg2.Error as error:
        yield _measure("pgrouting", 0, "ms", "pgRouting", None, "≥ 20", False, f"pgRouting is not there: {error}")
        return
    execute(administrator, f"CREATE TABLE public.edges AS {EDGES}")
    execute(administrator, "ALTER TABLE public.edges ADD COLUMN geom geometry; UPDATE public.edges SET geom ="
            " (SELECT geom FROM layers.roads WHERE fid = id); CREATE INDEX ON public.edges USING gist (geom);"
            " ANALYZE public.edges")  # fmt: skip
    numbers = random.Random(5)
    side = _side(size)
    ours, whole, boxed, wrong, compared = [], [], [], 0, 0
    with closing(psycopg2.connect(administrator)) as connection, connection.cursor() as cursor:
        for _ in range(12):
            x, y = numbers.randrange(side // 10, side * 8 // 10), numbers.randrange(side // 10, side * 8 // 10)
            one, other = y * side + x, (y + numbers.randrange(5, 20)) * side + x + numbers.randrange(5, 20)
            places = numpy.array([_crossing(one, side), _crossing(other, side)])
            started = time.perf_counter()
            seconds = matrix_s(here, places[:1], places[1:])[0, 0]
            ours.append(1000 * (time.perf_counter() - started))
            answers = []
            for times, where in ((whole, ""), (boxed, IN_BOX)):
                started = time.perf_counter()
                edges = cursor.mogrify(f"{OF_EDGES}{where}", _box(places) if where else None).decode()
                cursor.execute("SELECT agg_cost FROM pgr_dijkstraCost(%s, %s::bigint, %s::bigint)", (edges, one, other))
                row = cursor.fetchone()
                times.append(1000 * (time.perf_counter() - started))
                answers.append(row[0] if row else None)
            compared += answers[0] is not None
            wrong += answers[0] is not None and (answers[1] is None or answers[1] > answers[0] + 0.01)
            if answers[0] is not None:
                assert abs(answers[0] - seconds) < 1.0, (answers, seconds)
    ratio = median(whole) / median(ours)
    note = (
        f"{len(ours)} pairs; ours {median(ours):.1f} ms; within a box around both ends, 20 % wider, {median(boxed):.1f}"
        f" ms, wrong in {wrong} of {compared}; all times of the whole table agree to 1 s"
    )
    yield _measure("pgrouting", median(whole), "ms", "ours", ratio, "≥ 20", ratio >= 20, note)


def _crossing(node: int, side: int) -> tuple[float, float]:
    return (
        WEST + (node % side + 0.4 * (node * 7919 % 1000) / 1000) * STEP,
        SOUTH + (node // side + 0.4 * (node * 104729 % 1000) / 1000) * STEP,
    )


def _box(places: numpy.ndarray[Any, Any]) -> tuple[float, ...]:
    """West, south, east, north around two places, a tenth further on each side."""
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.1 * (high - low)
    return tuple(float(one) for one in (*(low - margin), *(high + margin)))
