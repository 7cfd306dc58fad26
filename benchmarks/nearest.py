"""How fast nearest answers, beside pgbench with the same statement: two workers, k = 5, 10⁶ points, one machine.

    python -m benchmarks.nearest [--json] [--rows N] [--seconds S]

The points lie in a database of their own, ``leeward_bench``, beside the service's. The load comes from wrk, over
loopback only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import psycopg2

from benchmarks.databases import empty
from gis.nearest import Question, statement_text
from layers.catalog import catalog
from layers.cluster import Cluster
from layers.database import ANONYMOUS, Readers, database_url, transaction
from layers.migrate import migrate
from layers.settings import settings
from layers.tables import index_expressions, index_statements

DATABASE = "leeward_bench"
BOX = (103.5, 24.6, 109.6, 29.3)
GOAL = 0.25
RUNS = 3
CLIENTS = 8
CONNECTIONS = 16
ROWS = """
INSERT INTO layers.shelters (
    source, name, class, status, capacity_persons, occupancy_persons, occupancy_stated_at, suitable_hazards, geom
)
SELECT 'bench', 'shelter ' || n, (ARRAY['emergency', 'short', 'long', 'hut'])[1 + n %% 4],
    (ARRAY['open', 'open', 'standby', 'closed'])[1 + n %% 7 %% 4], 50 + n %% 900, n %% 300, now(),
    CASE WHEN n %% 3 > 0 THEN ARRAY['landslide', 'earthquake'] END, geom
FROM (
    SELECT n, ST_SetSRID(ST_MakePoint(%(west)s + random() * %(width)s, %(south)s + random() * %(height)s), 4326) AS geom
    FROM generate_series(1, %(rows)s) AS n
) AS points
ORDER BY ST_GeoHash(geom, 6)
"""
FRESH = "SELECT count(*) FROM layers.shelters WHERE occupancy_stated_at > now() - interval '12 hours'"
"""Rows whose occupancy still counts as known: an older one is unknown, and nothing would be full."""


def measures(rows: int = 1_000_000, seconds: int = 8) -> Iterator[dict[str, Any]]:
    """The measures of this group, each with its peer and its goal."""
    if shutil.which("wrk") is None:
        raise FileNotFoundError("wrk is not installed: apt-get install wrk")
    with database_url() as url:
        bench = _database(url, rows)
        served, raw = [], []
        with serving(bench) as address:
            for _ in range(RUNS):
                raw.append(_pgbench(bench, seconds))
                served.append(_wrk(address, seconds))
    ratio = median(served) / median(raw)
    yield {
        "name": "nearest.line",
        "value": round(ratio, 3),
        "unit": "ratio",
        "peer": "pgbench -M prepared",
        "ratio": round(ratio, 3),
        "goal": f"≥ {GOAL}",
        "met": ratio >= GOAL,
        "note": f"{median(served):.0f} answers/s over HTTP, {median(raw):.0f} transactions/s; {rows} points, k = 5; "
        "answered on the raw ASGI path",
    }


def _database(url: str, rows: int) -> str:
    """The URL of the database with the points, which are made when they are not there or their occupancy is old."""
    bench = re.sub(r"/[^/?]*(\?|$)", rf"/{DATABASE}\1", url, count=1) if "@/" in url else _with_path(url)
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {DATABASE}")
    connection.close()
    migrate(bench)
    with transaction(bench) as cursor:
        cursor.execute(FRESH)
        (present,) = cursor.fetchone()
    if present != rows:
        _fill(bench, rows)
    return bench


def _with_path(url: str) -> str:
    return re.sub(r"^(\w+://[^/]*)/[^?]*", rf"\1/{DATABASE}", url)


def _fill(bench: str, rows: int) -> None:
    definition = catalog()["shelters"]
    west, south, east, north = BOX
    with transaction(bench) as cursor:
        empty(cursor, "shelters")
        for name in index_expressions(definition):
            cursor.execute(f"DROP INDEX IF EXISTS layers.{name}")
        cursor.execute(
            ROWS, {"west": west, "south": south, "width": east - west, "height": north - south, "rows": rows}
        )
        for query in index_statements(definition):
            cursor.execute(query)
        cursor.execute("ANALYZE layers.shelters")


@contextmanager
def serving(bench: str, workers: int = 2, **settings_of_it: str) -> Iterator[str]:
    """The address of the service."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "uvicorn", "api.app:app_from_environment", "--factory", "--host", "127.0.0.1",
        "--port", str(port), "--workers", str(workers), "--no-access-log", "--log-level", "warning",
        "--no-server-header", "--no-proxy-headers",
    ]  # fmt: skip
    environment = {**os.environ, "LEEWARD_SERVED_DATABASE_URL": bench, **settings_of_it}
    process = subprocess.Popen(command, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _wait(address: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError("the service did not become ready")


def _wrk(address: str, seconds: int) -> float:
    """Answers a second over HTTP, at random points; every answer must be 200."""
    west, south, east, north = BOX
    script = f"""
math.randomseed(os.time())
request = function()
  return wrk.format("GET", string.format("/nearest?lon=%.6f&lat=%.6f&layers=shelters&k=5",
    {west} + math.random() * {east - west}, {south} + math.random() * {north - south}))
end
"""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", file.name, address]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise RuntimeError(f"not every answer was right: {output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found is not None
    return float(found[1])


def _pgbench(bench: str, seconds: int) -> float:
    """Transactions a second of the same statement, from pgbench."""
    west, south, east, north = BOX
    readers = Readers(bench, size=1)
    text = statement_text(readers, Question(0, 0, layers=("shelters",), k=5))
    readers.close()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    text = text.replace("$1", ":lon::float8").replace("$2", ":lat::float8")
    script = (
        f"\\set lon random({west * 1e6:.0f}, {east * 1e6:.0f}) / 1000000.0\n"
        f"\\set lat random({south * 1e6:.0f}, {north * 1e6:.0f}) / 1000000.0\n{text};\n"
    )
    program = Cluster(settings().home).programs / "pgbench"
    options = f"-c role={ANONYMOUS} -c jit=off -c default_transaction_read_only=on"
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [
            str(program),
            "-n",
            "-M",
            "prepared",
            "-c",
            str(CLIENTS),
            "-j",
            "2",
            "-T",
            str(seconds),
            "-f",
            file.name,
            bench,
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PGOPTIONS": options}, check=False
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(done.stderr)
    return float(found[1])


def main() -> None:
    """Print the measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON a measure")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=8, help="length of a run; there are three of each")
    given = parser.parse_args()
    for measure in measures(given.rows, given.seconds):
        if given.json:
            print(json.dumps(measure, ensure_ascii=False))
            continue
        verdict = "met" if measure["met"] else "NOT met"
        print(f"{measure['name']}: {measure['ratio']} of {measure['peer']}, goal {measure['goal']}: {verdict}")
        print(f"    {measure['note']}")


if __name__ == "__main__":
    main()
