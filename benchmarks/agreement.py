"""How far the answers of nearest are from an independent computation: pyproj's geodesic, and brute force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyproj

from benchmarks.databases import scratch
from gis.nearest import Question, nearest
from layers.database import Readers, database_url, execute_values, transaction

PAIRS = 10_000
PLACES = {"0°": (105.0, 0.0), "27°": (105.0, 27.0), "45°": (105.0, 45.0), "antimeridian": (180.0, 27.0)}
POINTS, QUESTIONS, K = 10_000, 200, 5
GEODESIC = pyproj.Geod(ellps="WGS84")


def measures() -> Iterator[dict[str, Any]]:
    """The measures of this module."""
    with database_url() as url, scratch(url) as bench:
        worst = max(_worst_mm(bench, lon, lat) for lon, lat in PLACES.values())
        yield {
            "name": "nearest.distance_mm", "value": worst, "unit": "mm", "peer": "pyproj.Geod", "ratio": None,
            "goal": "≤ 1 mm", "met": worst <= 1, "note": f"{PAIRS} random pairs at each of {', '.join(PLACES)}",
        }  # fmt: skip
        wrong = _disagreements(bench)
        yield {
            "name": "nearest.brute_force", "value": wrong, "unit": "wrong answers", "peer": "brute force",
            "ratio": None,
            "goal": "0", "met": wrong == 0, "note": f"{QUESTIONS} questions, {POINTS} points, k = {K}",
        }  # fmt: skip


def _around(random: np.random.Generator, lon: float, lat: float, count: int, reach: float) -> np.ndarray:
    """Points around a place, longitude and latitude in degrees."""
    points = np.column_stack([lon + random.uniform(-reach, reach, count), lat + random.uniform(-reach, reach, count)])
    points[:, 0] = (points[:, 0] + 180) % 360 - 180
    return points


def _worst_mm(bench: str, lon: float, lat: float) -> float:
    random = np.random.default_rng(7)
    one, other = _around(random, lon, lat, PAIRS, 3), _around(random, lon, lat, PAIRS, 3)
    _, _, expected = GEODESIC.inv(one[:, 0], one[:, 1], other[:, 0], other[:, 1])
    with transaction(bench) as cursor:
        query = (
            "SELECT ST_Distance(ST_SetSRID(ST_MakePoint(a, b), 4326)::geography, ST_SetSRID(ST_MakePoint(c, d), 4326)"
            "::geography) FROM (VALUES %s) AS pairs (a, b, c, d)"
        )
        found = execute_values(cursor, query, np.column_stack([one, other]).tolist(), page_size=PAIRS, fetch=True)
    return float(np.abs(np.array(found)[:, 0] - expected).max() * 1000)


def _disagreements(bench: str) -> int:
    random = np.random.default_rng(11)
    points = _around(random, 105.3, 27.3, POINTS, 1.5)
    with transaction(bench) as cursor:
        query = "INSERT INTO layers.rescue_teams (source, name, geom) VALUES %s"
        rows = [(f"team {number}", lon, lat) for number, (lon, lat) in enumerate(points.tolist())]
        form = "('bench', %s, ST_SetSRID(ST_MakePoint(%s, %s), 4326))"
        execute_values(cursor, query, rows, template=form, page_size=POINTS)
    readers = Readers(bench, size=1)
    wrong = 0
    for lon, lat in _around(random, 105.3, 27.3, QUESTIONS, 1.5).tolist():
        answer = nearest(readers, Question(lon=lon, lat=lat, layers=("rescue_teams",), k=K))
        _, _, distances = GEODESIC.inv(np.full(POINTS, lon), np.full(POINTS, lat), points[:, 0], points[:, 1])
        expected = [f"team {number}" for number in np.argsort(distances)[:K]]
        wrong += [feature["properties"]["name"] for feature in answer["features"]] != expected
    readers.close()
    return wrong
