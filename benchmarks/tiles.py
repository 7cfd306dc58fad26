"""How fast tiles and features are served: beside tipg on the same rows, pgbench with the same statement, nginx.

10⁶ danger points and 10⁵ risk zones lie in a database of their own, seven tenths of the points spread evenly over a
province and the rest in two hundred places. The peer's table holds the same rows with the attributes that the tiles of
zoom 12 carry, the stored EPSG:3857 column, its index, in the same order. Tiles are asked for in a shuffled order, each
once; runs are interleaved and medians count. JIT and workers in parallel are off for all. The load comes from wrk, over
loopback only.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import psycopg2
import psycopg2.extensions

from api import tiles
from benchmarks.databases import empty, execute, scratch
from benchmarks.nearest import serving
from layers.catalog import catalog
from layers.cluster import Cluster
from layers.database import ANONYMOUS, Readers, database_url, one, sql, transaction
from layers.settings import settings
from layers.tables import index_expressions, index_statements

Measure = dict[str, Any]
POINTS, AREAS = "hazard_points", "risk_zones"
SIZES = (10_000, 100_000, 1_000_000)
BOX = (103.5, 24.6, 109.6, 29.3)
RUNS, SECONDS, CONNECTIONS = 3, 4, 4
ATTRIBUTES = (
    "record_kind", "threat_grade", "name", "hazard", "threatened_persons", "stage", "threat_grade_at_least",
)  # fmt: skip
FILL_POINTS = """
INSERT INTO layers.hazard_points (source, name, hazard, record_kind, threatened_persons, geom)
SELECT 'bench', 'point ' || n, (ARRAY['landslide', 'rockfall', 'debris_flow'])[1 + n %% 3], 'hidden_danger',
    CASE WHEN n %% 5 > 0 THEN n %% 1500 * 7919 %% 1500 END, geom
FROM (
    SELECT n, ST_SetSRID(CASE WHEN n %% 10 < 7
        THEN ST_MakePoint(%(west)s + random() * %(width)s, %(south)s + random() * %(height)s)
        ELSE ST_MakePoint(
            %(west)s + (n %% 200 * 617 %% 200 + random() + random() + random() - 1) * %(width)s / 200,
            %(south)s + (n %% 200 + random() + random() + random() - 1) * %(height)s / 200)
        END, 4326) AS geom
    FROM generate_series(1, %(rows)s) AS n
) AS points
ORDER BY ST_GeoHash(geom, 6)
"""
FILL_AREAS = """
INSERT INTO layers.risk_zones (source, name, hazard, risk_class, threatened_persons, geom)
SELECT 'bench', 'zone ' || n, (ARRAY['landslide', 'flood'])[1 + n %% 2],
    (ARRAY['very_high', 'high', 'medium', 'low'])[1 + n %% 4], n %% 400,
    ST_SetSRID(ST_Multi(ST_MakePolygon(ST_MakeLine(ARRAY(
        SELECT ST_MakePoint(x + r * lobe * cos(angle), y + r * lobe * sin(angle))
        FROM generate_series(0, 24) AS k, LATERAL (SELECT 6.283185307179586 * (k %% 24) / 24 AS angle) AS a,
            LATERAL (SELECT 0.7 + 0.3 * cos(5 * angle + n) AS lobe) AS l
    )))), 4326)
FROM (
    SELECT n, %(west)s + random() * %(width)s AS x, %(south)s + random() * %(height)s AS y,
        0.0005 * exp(3 * random() * random()) * CASE WHEN n %% 500 = 0 THEN 40 ELSE 1 END AS r
    FROM generate_series(1, %(rows)s) AS n
) AS places
ORDER BY ST_GeoHash(ST_SetSRID(ST_MakePoint(x, y), 4326), 6)
"""
PEER = """
CREATE SCHEMA IF NOT EXISTS peer;
DROP TABLE IF EXISTS peer.points;
CREATE TABLE peer.points AS SELECT fid, {columns}, geom_3857 FROM layers.hazard_points ORDER BY fid;
ALTER TABLE peer.points ADD PRIMARY KEY (fid);
CREATE INDEX ON peer.points USING gist (geom_3857);
"""
NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off; keepalive_requests 100000000; open_file_cache max=10; sendfile on; tcp_nopush on;
    types {{ application/vnd.mapbox-vector-tile mvt; }}
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; root {folder}; add_header Content-Encoding gzip; }}
}}
"""


def measures() -> Iterator[Measure]:
    """The measures of this group."""
    with database_url() as url, scratch(url, "leeward_bench_tiles") as bench:
        # for all alike: to start workers in parallel takes longer than a tile
        execute(url, "ALTER DATABASE leeward_bench_tiles SET jit = off")
        execute(url, "ALTER DATABASE leeward_bench_tiles SET max_parallel_workers_per_gather = 0")
        rates: dict[str, dict[str, list[float]]] = {}
        for size in SIZES:
            _fill(bench, size)
            with peer_serving(bench) as peer, serving(bench, 1, LEEWARD_TILE_CACHE_MB="0") as ours:
                runs = RUNS if size == SIZES[-1] else 1
                rates[f"{size:.0e}"] = _uncached(ours, peer, bench, runs)
                items = _items(ours, peer)
        yield from _told(rates)
        yield from items
        yield from _worst(bench)
        with serving(bench, 1) as ours:
            yield from _cached(ours)
            yield from _edits(ours, bench)
        with serving(bench, 1) as ours:
            yield _memory(ours)


def _measure(
    name: str, value: float, unit: str, peer: str, ratio: float | None, goal: str, met: bool, note: str
) -> Measure:
    return {
        "name": f"tiles.{name}", "value": round(value, 3), "unit": unit, "peer": peer,
        "ratio": None if ratio is None else round(ratio, 3), "goal": goal, "met": met,
        "note": f"{note}; load average {os.getloadavg()[0]:.1f}",
    }  # fmt: skip


# --- the database


def _fill(bench: str, size: int) -> None:
    """So many points, a tenth as many areas, and the peer's table."""
    west, south, east, north = BOX
    values = {"west": west, "south": south, "width": east - west, "height": north - south}
    for layer, query, count in ((POINTS, FILL_POINTS, size), (AREAS, FILL_AREAS, size // 10)):
        definition = catalog()[layer]
        with transaction(bench) as cursor:
            empty(cursor, layer)
            for name in index_expressions(definition):
                cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier("layers", name)))
            cursor.execute(query, {**values, "rows": count})
            for make_index in index_statements(definition):
                cursor.execute(make_index)
        execute(bench, f"VACUUM ANALYZE layers.{layer}")
        execute(bench, f"VACUUM ANALYZE pyramid.{layer}")
    with transaction(bench) as cursor:
        cursor.execute(PEER.format(columns=", ".join(ATTRIBUTES)))
    execute(bench, "VACUUM ANALYZE peer.points")


def addresses(zooms: range, count: int, seed: int) -> list[tuple[int, int, int]]:
    """Different tiles of some zooms within the box, shuffled; fewer where there are not as many."""
    numbers, found = random.Random(seed), dict[tuple[int, int, int], None]()
    west, south, east, north = BOX
    for _ in range(count * 4):
        z = numbers.choice(zooms)
        lon, lat = numbers.uniform(west, east), numbers.uniform(south, north)
        y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
        found[z, int((lon + 180) / 360 * 2**z), int(y * 2**z)] = None
        if len(found) == count:
            break
    return list(found)


# --- servers and clients


@contextmanager
def peer_serving(bench: str) -> Iterator[str]:
    """The address of tipg with one worker, uvloop and httptools."""
    port = _free_port()
    environment = {
        **os.environ, "DATABASE_URL": _as_url(bench), "TIPG_DB_SCHEMAS": '["peer"]',
        "TIPG_MAX_FEATURES_PER_TILE": "1000000", "TIPG_CATALOG_TTL": "0", "TIPG_TILE_BUFFER": str(tiles.BUFFER),
        "DB_MIN_CONN_SIZE": "4", "TIPG_MAX_FEATURES_PER_QUERY": "10000", "TIPG_DB_SPATIAL_EXTENT": "false",
    }  # fmt: skip
    command = [
        ".peers/bin/uvicorn", "tipg.main:app", "--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop",
        "--http", "httptools", "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    with _process(command, environment):
        address = f"http://127.0.0.1:{port}"
        _until(lambda: _get(f"{address}/collections/peer.points"))
        yield address


def _as_url(bench: str) -> str:
    """The database as the peer reads it."""
    parts = psycopg2.extensions.parse_dsn(bench)
    user, name = parts.pop("user"), parts.pop("dbname")
    return f"postgresql://{user}@{quote(parts['host'], safe='')}:{parts['port']}/{name}"


@contextmanager
def _process(command: list[str], environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until(act: Callable[[], Any]) -> None:
    for _ in range(300):
        try:
            act()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("a server did not become ready")


def _get(address: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60) as answer:
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        if error.code == 304:
            return 304, b"", {name.lower(): value for name, value in error.headers.items()}
        raise


def _wrk(address: str, paths: list[str], seconds: float, connections: int, headers: dict[str, str]) -> float:
    """Answers a second; the paths are asked for in turn."""
    script = "local paths = {}\nfor line in io.lines('%s') do paths[#paths + 1] = line end\nlocal n = 0\n" + (
        "request = function() n = n + 1; return wrk.format('GET', paths[(n - 1) % #paths + 1]) end\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        listed, lua = Path(folder, "paths"), Path(folder, "paths.lua")
        listed.write_text("\n".join(paths))
        lua.write_text(script.replace("%s", str(listed), 1))
        given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(lua), *given]
        output = subprocess.run([*command, address], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output and "If-None-Match" not in headers:
        raise RuntimeError(f"not every answer was right: {output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found is not None
    return float(found[1])


# --- uncached tiles

PATH = "/tiles/hazard_points/{z}/{x}/{y}.mvt"
BANDS = {"z12–14": range(12, 15), "z10–11": range(10, 12), "z8–9": range(8, 10)}


def _uncached(ours: str, peer: str, bench: str, runs: int) -> dict[str, list[float]]:
    """By band: answers a second of ours with identity and gzip, of the peer, and of pgbench; medians of the runs."""
    rates: dict[str, list[float]] = {}
    for band, zooms in BANDS.items():
        tables: list[list[float]] = []
        for run in range(runs):
            tables.append(
                [
                    _rate(ours, zooms, 10 * run, "/tiles/hazard_points/{z}/{x}/{y}.mvt", {}),
                    _rate(
                        ours, zooms, 10 * run + 1, "/tiles/hazard_points/{z}/{x}/{y}.mvt", {"Accept-Encoding": "gzip"}
                    ),
                    _rate(peer, zooms, 10 * run + 2, _peer_path(zooms), {}),
                    _pgbench(bench, zooms),
                ]
            )
        rates[band] = [median(column) for column in zip(*tables, strict=True)]
    return rates


def _peer_path(zooms: range) -> str:
    columns = ",".join(tiles.fields_at(catalog()[POINTS], zooms[0]))
    return "/collections/peer.points/tiles/WebMercatorQuad/{z}/{x}/{y}?properties=" + columns


def _rate(address: str, zooms: range, seed: int, path: str, headers: dict[str, str]) -> float:
    """Answers a second for tiles in a shuffled order; the service keeps none of them."""
    paths = [path.format(z=z, x=x, y=y) for z, x, y in addresses(zooms, 20_000, seed)]
    return _wrk(address, paths, SECONDS, CONNECTIONS, headers)


def _pgbench(bench: str, zooms: range) -> float:
    """Transactions a second of the statement of a tile, at random tiles."""
    with closing(Readers(bench, size=1)) as readers:
        lines = [(z, tiles._text(readers, catalog(), (POINTS,), z), addresses(range(z, z + 1), 400, 1)) for z in zooms]
    programs = Cluster(settings().home).programs
    with tempfile.TemporaryDirectory() as folder:
        files: list[str] = []
        for z, text, found in lines:
            for number, (_, x, y) in enumerate(found[:: max(1, len(found) // 40)]):
                names = [f"b{n}" for n in range(10)]
                values = tiles.values_of(z, x, y)
                setting = "".join(f"\\set {n} {v!r}\n" for n, v in zip(names, values, strict=True))
                query = re.sub(
                    r"\$(\d+)",
                    lambda found: f":b{int(found[1]) - 1}::{'float8' if int(found[1]) < 9 else 'int'}",
                    text,
                )
                file = Path(folder, f"{z}-{number}.sql")
                file.write_text(f"{setting}{query};\n")
                files += ["-f", str(file)]
        options = f"-c role={ANONYMOUS} -c jit=off -c default_transaction_read_only=on"
        done = subprocess.run(
            [str(programs / "pgbench"), "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "1", "-T", str(SECONDS),
             *files, bench],
            capture_output=True, text=True, env={**os.environ, "PGOPTIONS": options}, check=False,
        )  # fmt: skip
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    if rate is None:
        raise RuntimeError(done.stderr)
    return float(rate[1])


def _told(rates: dict[str, dict[str, list[float]]]) -> Iterator[Measure]:
    """The measures of uncached tiles, with the curve over the sizes beside them."""
    full = rates[f"{SIZES[-1]:.0e}"]
    for band, slug, of_peer, of_database in (
        ("z12–14", "z12_14", 5, 0.4), ("z10–11", "z10_11", 1.5, 0.7), ("z8–9", "z8_9", 10, None),
    ):  # fmt: skip
        ours, packed, peer, raw = full[band]
        curve = ", ".join(f"{size} points {one[band][0]:.0f} / {one[band][2]:.0f}" for size, one in rates.items())
        what = "ours are clusters, the peer's are points; " if slug == "z8_9" else ""
        note = f"{what}ours / peer: {curve}; gzip {packed:.0f}, pgbench {raw:.0f}"
        yield _measure(
            f"uncached_{slug}", ours, "tiles/s", "tipg", ours / peer, f"≥ {of_peer}", ours / peer >= of_peer, note
        )
        if of_database is not None:
            yield _measure(
                f"uncached_{slug}_of_sql", ours, "tiles/s", "pgbench -M prepared, the same statement", ours / raw,
                f"≥ {of_database}", ours / raw >= of_database, f"pgbench {raw:.0f}/s; gzip {packed / raw:.2f} of it",
            )  # fmt: skip


# --- features


def _items(ours: str, peer: str) -> list[Measure]:
    """Pages of 1000 features: the first, and the thousandth where there are as many."""
    columns = ",".join(ATTRIBUTES)
    first = f"{ours}/collections/hazard_points/items?limit=1000&properties={columns}"
    other = f"{peer}/collections/peer.points/items?limit=1000&properties={columns}&sortby=fid"
    far, page = first, 1
    while page < 1000:
        links = json.loads(_get(far)[1])["links"]
        following = next((link["href"] for link in links if link["rel"] == "next"), None)
        if following is None:
            break
        far, page = urljoin(far, following), page + 1
    times: dict[str, list[float]] = {"first": [], "far": [], "peer": [], "peer far": []}
    addresses_of = {"first": first, "far": far, "peer": other, "peer far": f"{other}&offset={(page - 1) * 1000}"}
    for _ in range(15):
        for name, address in addresses_of.items():
            started = time.perf_counter()
            _get(address)
            times[name].append(1000 * (time.perf_counter() - started))
    mean = {name: median(one) for name, one in times.items()}
    note = ", ".join(f"{name} {one:.1f} ms" for name, one in mean.items()) + f"; the far page is number {page}"
    ratio, depth = mean["peer"] / mean["first"], mean["far"] / mean["first"]
    return [
        _measure("items_1000", mean["first"], "ms", "tipg", ratio, "≥ 3", ratio >= 3, note),
        _measure("items_page_1000", mean["far"], "ms", "page 1", depth, "≤ 1.2", depth <= 1.2, note),
    ]


# --- the worst tile


def _worst(bench: str) -> Iterator[Measure]:
    """The largest and the slowest tile of points and areas at zooms 0 to 7."""
    with closing(Readers(bench, size=1)) as readers:
        sizes, times = [], []
        for z in range(8):
            for address in addresses(range(z, z + 1), 400, z):
                for layers in ((POINTS,), (AREAS,), (POINTS, AREAS)):
                    tiles.tile(readers, catalog(), layers, *address)
                    found = []
                    for _ in range(3):
                        started = time.perf_counter()
                        made = tiles.tile(readers, catalog(), layers, *address)
                        found.append(1000 * (time.perf_counter() - started))
                    sizes.append((len(made.content), address, layers))
                    times.append((median(found), address, layers))
        bare = []
        for _ in range(100):
            started = time.perf_counter()
            readers.one("SELECT 1")
            bare.append(1000 * (time.perf_counter() - started))
    (size, where, what), (slow, at, of) = max(sizes), max(times)
    note = f"{len(sizes)} tiles; {what} at {where}"
    yield _measure("worst_size_z0_7", size / 1000, "KB", "none", None, "≤ 500 KB", size <= 500_000, note)
    note = f"{of} at {at}; one SELECT 1 takes {median(bare):.2f} ms"
    yield _measure("worst_time_z0_7", slow, "ms", "none", None, "≤ 50 ms", slow <= 50, note)


# --- cached tiles


def _cached(ours: str) -> Iterator[Measure]:
    """A cached tile of about 27 KB and its 304, beside nginx serving the same bytes."""
    path = min(
        (f"/tiles/hazard_points/{z}/{x}/{y}.mvt" for z, x, y in addresses(range(10, 12), 300, 5)),
        key=lambda one: abs(len(_get(ours + one, **{"Accept-Encoding": "gzip"})[1]) - 27_000),
    )
    _, body, headers = _get(ours + path, **{"Accept-Encoding": "gzip"})
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        Path(folder, "tile.mvt").write_bytes(body)
        port = _free_port()
        Path(folder, "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None, "nginx is not installed: ./dev bench"
        with _process([program, "-c", f"{folder}/nginx.conf"]):
            file = f"http://127.0.0.1:{port}"
            _until(lambda: _get(f"{file}/tile.mvt"))
            tag = _get(f"{file}/tile.mvt")[2]["etag"]
            pairs, unchanged = [], []
            for _ in range(RUNS):
                packed = {"Accept-Encoding": "gzip"}
                pairs.append((_wrk(ours, [path], SECONDS, 16, packed), _wrk(file, ["/tile.mvt"], SECONDS, 16, packed)))
                unchanged.append(
                    (
                        _wrk(ours, [path], SECONDS, 16, {"If-None-Match": headers["etag"]}),
                        _wrk(file, ["/tile.mvt"], SECONDS, 16, {"If-None-Match": tag}),
                    )
                )
    for name, found, goal in (("cached", pairs, 0.3), ("unchanged_304", unchanged, 0.25)):
        rate, peer = (median(column) for column in zip(*found, strict=True))
        note = f"{len(body) / 1000:.1f} KB gzip; nginx {peer:.0f}/s"
        yield _measure(name, rate, "answers/s", "nginx", rate / peer, f"≥ {goal}", rate / peer >= goal, note)


# --- edits


def _edits(ours: str, bench: str) -> Iterator[Measure]:
    """From the commit of an edit to the fresh tile; and which tiles were dropped."""
    numbers, waits, wrong, dropped = random.Random(8), [], 0, 0
    known = {address: _tag(ours, address) for address in _asked_before()}
    edits = 100
    with closing(psycopg2.connect(bench)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for number in range(edits):
            first = one(cursor, "SELECT min(fid) FROM layers.hazard_points")
            fid = int(first) + numbers.randrange(SIZES[-1])
            lon, lat = numbers.uniform(BOX[0], BOX[2]), numbers.uniform(BOX[1], BOX[3])
            x, y = _tile_at(lon, lat, 14)
            address = (14, x, y)
            known.setdefault(address, _tag(ours, address))
            place = "SELECT ARRAY[ST_X(geom), ST_Y(geom)] FROM layers.hazard_points WHERE fid = %s"
            old = one(cursor, place, (fid,))
            cursor.execute(
                "UPDATE layers.hazard_points SET geom = ST_SetSRID(ST_MakePoint(%s, %s), 4326), name = %s"
                " WHERE fid = %s",
                (lon, lat, f"moved {number}", fid),
            )
            started = time.perf_counter()
            while f"moved {number}".encode() not in _get(f"{ours}/tiles/hazard_points/14/{x}/{y}.mvt")[1]:
                if time.perf_counter() - started > 10:
                    raise RuntimeError("an edit did not appear")
            waits.append(1000 * (time.perf_counter() - started))
            if number % 10 == 0:
                touched = {place for at in (old, (lon, lat)) for place in _touched(*at)}
                for place, before in known.items():
                    tag = _tag(ours, place)
                    dropped += tag != before
                    wrong += tag != before and place not in touched
                    known[place] = tag
            else:
                for place in {*_touched(*old), *_touched(lon, lat)} & known.keys():
                    known[place] = _tag(ours, place)
    slow = sorted(waits)[edits * 95 // 100]
    note = f"median {median(waits):.0f} ms of {edits} edits by psql, asked for without a pause"
    yield _measure("edit_to_tile_p95", slow, "ms", "none", None, "≤ 300 ms", slow <= 300, note)
    note = f"of {len(known)} kept tiles {dropped} were dropped by 10 edits"
    yield _measure("dropped_outside", wrong, "tiles", "none", None, "0", wrong == 0, note)


def _asked_before() -> list[tuple[int, int, int]]:
    return [address for z in range(15) for address in addresses(range(z, z + 1), 120, z)]


def _tag(ours: str, address: tuple[int, int, int]) -> str:
    z, x, y = address
    return _get(f"{ours}/tiles/hazard_points/{z}/{x}/{y}.mvt")[2].get("etag", "")


def _tile_at(lon: float, lat: float, z: int) -> tuple[int, int]:
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * 2**z), int(y * 2**z)


def _touched(lon: float, lat: float) -> Iterator[tuple[int, int, int]]:
    """The tiles of each zoom that a point lies on, or in the buffer of."""
    for z in range(15):
        size, margin = 2**z, tiles.BUFFER / tiles.EXTENT + 1e-5
        x = (lon + 180) / 360 * size
        y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * size
        for column in range(math.floor(x - margin), math.floor(x + margin) + 1):
            for row in range(math.floor(y - margin), math.floor(y + margin) + 1):
                yield z, column, row


# --- memory


def _memory(ours: str) -> Measure:
    """Memory of the worker over 10⁵ requests for 2·10⁴ tiles."""
    found = addresses(range(8, 15), 20_000, 9)
    numbers = random.Random(10)
    paths = [f"/tiles/hazard_points/{z}/{x}/{y}.mvt" for z, x, y in (numbers.choice(found) for _ in range(100_000))]
    half = len(paths) // 2
    _ask(ours, paths[:half])
    middle = _resident_mb(ours)
    _ask(ours, paths[half:])
    end = _resident_mb(ours)
    note = f"{middle:.0f} MB after 50 000 requests, {end:.0f} MB after 100 000"
    met = end - middle < 20 and end < 500
    return _measure("memory", end - middle, "MB", "none", None, "< 20 MB growth, < 500 MB", met, note)


def _ask(ours: str, paths: list[str]) -> None:
    """Ask for each path once, on several connections."""
    parts = urlsplit(ours)

    def work(mine: list[str]) -> None:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        for path in mine:
            connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 204), answer.status
        connection.close()

    threads = [threading.Thread(target=work, args=(paths[n::CONNECTIONS],)) for n in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _resident_mb(ours: str) -> float:
    """The memory of the process that listens at an address."""
    port = int(ours.rsplit(":", 1)[1])
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if str(port) in line and "api.app:app_from_environment" in line:
                status = (folder / "status").read_text()
                resident = re.search(r"VmRSS:\s+(\d+)", status)
                assert resident is not None
                return int(resident[1]) / 1024
    raise RuntimeError("the service is not there")
