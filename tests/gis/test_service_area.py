"""Service areas and matrices on the town of straight roads (see test_nearest_by_road.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import pytest
import shapely

from gis.access import access
from gis.matrix import matrix, matrix_s
from gis.network import metres_a_degree
from gis.roads import Roads, Situation
from gis.service_area import service_area
from layers.database import Readers, transaction
from layers.errors import InvalidValue
from tests.gis.rows import put

KM_EAST, KM_NORTH = (float(1000.0 / one) for one in metres_a_degree(0.0))
NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
M_S = 12.5


def at(x_km: float, y_km: float) -> tuple[float, float]:
    return float(x_km * KM_EAST), float(y_km * KM_NORTH)


def line(*places: tuple[float, float]) -> str:
    return f"LINESTRING({', '.join(f'{x!r} {y!r}' for x, y in places)})"


@pytest.fixture
def here(database: str, readers: Readers, tmp_path: Path) -> Any:
    """The town's roads: 4 km east, 2 km north, as a rectangle; as they may be used."""
    corners = [at(0, 0), at(4, 0), at(4, 2), at(0, 2)]
    put(
        database, "roads",
        *({"class": "primary", "from_node": n, "to_node": (n + 1) % 4, "at": line(corners[n], corners[(n + 1) % 4])}
          for n in range(4)),
    )  # fmt: skip
    roads = Roads(readers, tmp_path)

    def situation(**given: Any) -> Situation:
        layers = ("settlements", "shelters")
        return roads.situation(
            readers, given.get("profile"), NOW, given.get("hazard"), layers, wait=True
        )  # fmt: skip

    return situation


def near(value: float, tolerance: float = 0.2) -> Any:
    return pytest.approx(value, abs=tolerance)


def claims(ground: Any, place: tuple[float, float]) -> bool:
    """Whether a place lies on the ground, to a cell of the grid, 25 m."""
    return float(ground.distance(shapely.Point(place))) <= 0.025 * KM_EAST


def test_a_matrix_by_hand(here: Any) -> None:
    places = [at(0, 0), at(2, 0), at(4, 2)]
    table = matrix_s(here(), numpy.array(places), numpy.array(places))
    assert table == near(numpy.array([[0, 2000, 6000], [2000, 0, 4000], [6000, 4000, 0]]) / M_S)
    told = matrix(here(), [at(0, 0)], [at(2, 0), at(2, -3)])
    assert told["travel_time_s"] == [[near(160), None]]
    assert told["network"]["profile"] == "fire_engine"


def test_a_matrix_keeps_the_direction(database: str, here: Any) -> None:
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.roads SET one_way = 'forward'")  # round the rectangle, against the clock
    one, other = at(1, 0), at(3, 0)
    ring = 12_000
    expected = near(numpy.array([[0, 2000], [ring - 2000, 0]]) / M_S)
    assert matrix_s(here(), numpy.array([one, other]), numpy.array([one, other])) == expected
    many = numpy.array([one, other, at(3.5, 0)])
    assert matrix_s(here(), many, numpy.array([one]))[:, 0] == near(numpy.array([0, 10_000, 9500]) / M_S)


def test_what_ten_minutes_reach(database: str, here: Any) -> None:
    put(
        database, "settlements", {"name": "a", "at": at(1, 0), "population_persons": 100},
        {"name": "b", "at": at(3.9, 0), "population_persons": None},
        {"name": "c", "at": at(4, 1.9), "population_persons": 40}, {"name": "d", "at": at(2, -9)},
    )  # fmt: skip
    answer = service_area(here(), [at(0, 0)], [100, 320])
    first, second = answer["features"]
    assert (first["properties"]["settlements"], first["properties"]["persons"]) == (1, 100)
    assert second["properties"] | {"area_m2": 0} == {
        "from_s": 100, "to_s": 320, "area_m2": 0, "settlements": 1, "persons": None, "persons_unknown": 1,
    }  # fmt: skip
    assert answer["beyond"] == {"settlements": 2, "persons": 40, "persons_unknown": 1}
    one, other = (shapely.geometry.shape(f["geometry"]) for f in (first, second))
    assert claims(one, at(1.2, 0))
    assert not claims(one, at(1.3, 0))
    assert claims(other, at(3.9, 0))
    assert not claims(one.union(other), at(2, 1))  # within the rectangle no road leads
    assert not claims(one.union(other), at(4, 0.3))
    assert one.intersection(other).area == near(0, 1e-12)
    # along both roads for 1.25 km: 85 m to both sides where one starts, as far as one walks in 100 s, then less
    wedges = 2 * 1250 * 100 / 1.3 * 4 / 3.6
    assert first["properties"]["area_m2"] == pytest.approx(wedges, rel=0.15)


def test_ground_behind_a_closure_is_not_claimed(database: str, here: Any) -> None:
    put(database, "road_closures", {"effect": "forbid", "at": line(at(1, -0.1), at(1, 0.1))})
    put(database, "settlements", {"name": "a", "at": at(2, 0), "population_persons": 100})
    answer = service_area(here(), [at(0, 0)], [600])
    (band,) = answer["features"]
    ground = shapely.geometry.shape(band["geometry"])
    assert claims(ground, at(0.9, 0))
    assert not claims(ground, at(1.5, 0))
    assert claims(ground, at(3.8, 2))
    assert (band["properties"]["settlements"], answer["beyond"]["persons"]) == (0, 100)


def test_from_and_to_differ_by_one_way_streets(database: str, here: Any) -> None:
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.roads SET one_way = 'forward'")
    away, home = (service_area(here(), [at(2, 0)], [100], travel) for travel in ("from_place", "to_place"))
    one, other = (shapely.geometry.shape(answer["features"][0]["geometry"]) for answer in (away, home))
    assert claims(one, at(3, 0))
    assert not claims(one, at(1, 0))
    assert claims(other, at(1, 0))
    assert not claims(other, at(3, 0))


def test_several_places_and_none_within_reach(here: Any) -> None:
    both = service_area(here(), [at(0, 0), at(4, 2)], [60])
    ground = shapely.geometry.shape(both["features"][0]["geometry"])
    assert claims(ground, at(0.5, 0))
    assert claims(ground, at(3.5, 2))
    nowhere = service_area(here(), [at(2, -9)], [60])
    assert nowhere["features"][0]["properties"]["area_m2"] == 0


@pytest.mark.parametrize(
    ("places", "bands"),
    [([], [60]), ([[0, 0]], []), ([[0, 0]], [60, 60]), ([[0, 0]], [-1]), ([[200, 0]], [60]),
     ([[0, float("nan")]], [60]), ([[0, 0, 0]], [60]), ([[0, 0]], [1e9])],
)  # fmt: skip
def test_what_is_not_valid_is_refused(here: Any, places: Any, bands: Any) -> None:
    with pytest.raises(InvalidValue):
        service_area(here(), places, bands)


def test_how_long_each_settlement_needs_to_its_nearest_open_shelter(database: str, here: Any) -> None:
    one, two, shut = put(
        database, "shelters", {"name": "one", "class": "short", "status": "open", "at": at(0, 0)},
        {"name": "two", "class": "short", "status": "open", "at": at(4, 2)},
        {"name": "shut", "class": "short", "status": "closed", "at": at(2, 0)},
    )  # fmt: skip
    put(
        database, "settlements", {"name": "a", "at": at(1, 0), "population_persons": 10},
        {"name": "b", "at": at(4, 1), "population_persons": 20}, {"name": "c", "at": at(2, -9)},
    )  # fmt: skip
    answer = access(here(), "shelters")
    told = {f["properties"]["name"]: f["properties"] for f in answer["features"]}
    assert (told["a"]["travel_time_s"], told["a"]["nearest"]) == (near(80), f"shelters.{one}")
    assert (told["b"]["travel_time_s"], told["b"]["nearest"]) == (near(80), f"shelters.{two}")
    assert (told["c"]["travel_time_s"], told["c"]["nearest"]) == (None, None)
    assert f"shelters.{shut}" not in {one["nearest"] for one in told.values()}
    assert told["a"]["persons"] == 10
    assert told["c"]["persons"] is None
