"""How fast a CSV of 10⁶ points goes in, with every value checked, beside ogr2ogr with COPY, which checks nothing.

Both fill an empty table of a database of their own and end with the same indexes: primary key, unique key, two codes,
and three spatial ones, of which one on a stored EPSG:3857 column. ogr2ogr is measured in its best case (load, then make
the indexes). Runs are interleaved; medians count. The cost curve is measured at 10⁴, 10⁵ and 10⁶ rows.
"""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psycopg2

from benchmarks.databases import empty, scratch
from layers.database import database_url, transaction

ROWS = 1_000_000
RUNS = 3
HEADINGS = "编号,名称,灾种,险情等级,地理位置,威胁户数,威胁人数,发现时间,经度,纬度"
HAZARDS = ("滑坡", "崩塌", "泥石流", "不稳定斜坡")
GRADES = ("特大型", "大型", "中型", "小型", "不详")
PEER_INDEXES = (
    "ALTER TABLE peer.points ADD COLUMN geom_3857 geometry(Geometry, 3857)"
    " GENERATED ALWAYS AS (layers.web_mercator(geom)) STORED",
    "CREATE UNIQUE INDEX ON peer.points (编号)",
    "CREATE INDEX ON peer.points (灾种)",
    "CREATE INDEX ON peer.points (险情等级)",
    "CREATE INDEX ON peer.points USING gist (geom)",
    "CREATE INDEX ON peer.points USING gist (geom_3857)",
    "CREATE INDEX ON peer.points USING gist ((geom::geography))",
)


def measures() -> Iterator[dict[str, Any]]:
    """The measures of this group."""
    ogr2ogr = shutil.which("ogr2ogr")
    if ogr2ogr is None:
        raise SystemExit("ogr2ogr is missing: apt-get install gdal-bin")
    with database_url() as url, tempfile.TemporaryDirectory() as folder, scratch(url) as bench:
        files = {rows: points_file(Path(folder) / f"points_{rows}.csv", rows) for rows in (10_000, 100_000, ROWS)}
        curve = {rows: _ours(bench, files[rows]) for rows in (10_000, 100_000)}
        ours, peers = [], []
        for _ in range(RUNS):
            ours.append(_ours(bench, files[ROWS]))
            peers.append(_peer(bench, ogr2ogr, files[ROWS]))
    seconds, peer = median(time_s for time_s, _ in ours), median(peers)
    points = ", ".join(f"{rows:.0e} rows {time_s:.2f} s" for rows, (time_s, _) in curve.items())
    yield {
        "name": "import.csv_points", "value": seconds, "unit": "s", "peer": "ogr2ogr, PG_USE_COPY=YES, same indexes",
        "ratio": peer / seconds, "goal": "≥ 1", "met": peer >= seconds,
        "note": f"ogr2ogr {peer:.1f} s; {points}, {ROWS:.0e} rows {seconds:.1f} s",
    }  # fmt: skip
    memory = max(memory_mb for _, memory_mb in ours)
    yield {
        "name": "import.memory", "value": memory, "unit": "MB", "peer": "limit", "ratio": None, "goal": "< 1000 MB",
        "met": memory < 1000,
    }  # fmt: skip


def points_file(path: Path, rows: int, seed: int = 1) -> Path:
    """A CSV of danger points, the same each time; with another seed other values under the same numbers."""
    random = np.random.default_rng(seed)
    lon, lat = random.uniform(104, 107, rows).round(6), random.uniform(26, 28, rows).round(6)
    persons, hazard, grade = random.integers(0, 2000, rows), random.integers(0, 4, rows), random.integers(0, 5, rows)
    day = random.integers(0, 3000, rows)
    days = [(datetime.date(2015, 1, 1) + datetime.timedelta(days=n)).isoformat() for n in range(3000)]
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADINGS + "\n")
        for n in range(rows):
            kind = HAZARDS[hazard[n]]
            file.write(
                f"52{n:010d},示例{n}号{kind},{kind},{GRADES[grade[n]]},示例乡{n % 400}村{n % 17}组,"
                f"{persons[n] // 4},{persons[n]},{days[day[n]]},{lon[n]},{lat[n]}\n"
            )
    return path


def _ours(bench: str, path: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of one import into an empty layer."""
    with transaction(bench) as cursor:
        empty(cursor, "hazard_points")
    return run_import(bench, path)


def run_import(bench: str, path: Path, before: str = "") -> tuple[float, float]:
    """Seconds and peak memory in MB of one import, in a process of its own.

    Parameters
    ----------
    before : str
        Python statements to be executed first, each ended by a semicolon.
    """
    program = (
        "import resource, sys; from pathlib import Path; from layers.importing import Options, import_file;"
        f" {before} report = import_file(sys.argv[1], 'hazard_points', Path(sys.argv[2]), Options(update=True));"
        " assert report.imported + report.updated == report.read, report.line();"
        " print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", program, bench, str(path)]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return time.perf_counter() - start, float(done.stdout)


def _peer(bench: str, ogr2ogr: str, path: Path) -> float:
    """Seconds that ogr2ogr takes, its indexes included."""
    with transaction(bench) as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS peer CASCADE; CREATE SCHEMA peer")
    start = time.perf_counter()
    subprocess.run(
        [
            ogr2ogr, "-f", "PostgreSQL", f"PG:{psycopg2.extensions.make_dsn(bench)}", str(path), "-nln", "peer.points",
            "-nlt", "POINT", "-a_srs", "EPSG:4326", "-oo", "X_POSSIBLE_NAMES=经度", "-oo", "Y_POSSIBLE_NAMES=纬度",
            "-oo", "AUTODETECT_TYPE=YES", "-lco", "SPATIAL_INDEX=NONE", "-lco", "GEOMETRY_NAME=geom",
            "--config", "PG_USE_COPY", "YES",
        ],
        check=True,
    )  # fmt: skip
    for query in PEER_INDEXES:
        with transaction(bench) as cursor:
            cursor.execute(query)
    return time.perf_counter() - start
