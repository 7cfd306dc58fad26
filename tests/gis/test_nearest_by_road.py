"""Nearest by road, worked by hand: a town of straight roads at the equator, where a degree is 111.3 km both ways.

::

    T (team) ───── main road, 4 km ───── A (shelter 1)
    │                                    │
    │ 2 km                               │ 2 km
    │                                    │
    C ───── old road, 4 km ── I ──────── D (shelter 2)
                          (incident, in the middle of it)

All roads are primary and level: a fire engine drives 45 km/h, that is 12.5 m/s.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy
import pytest
import shapely

from gis.nearest import Question
from gis.nearest_by_road import nearest_by_road
from gis.network import metres_a_degree
from gis.roads import Roads
from layers.database import Readers, transaction
from layers.errors import InvalidValue
from tests.gis.rows import put

KM_EAST, KM_NORTH = (float(1000.0 / one) for one in metres_a_degree(0.0))
M_S = 12.5
T, A, C, D = ((x * KM_EAST, y * KM_NORTH) for x, y in ((0, 2), (4, 2), (0, 0), (4, 0)))
NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)


def at(x_km: float, y_km: float) -> tuple[float, float]:
    return float(x_km * KM_EAST), float(y_km * KM_NORTH)


def line(*places: tuple[float, float]) -> str:
    return f"LINESTRING({', '.join(f'{x!r} {y!r}' for x, y in places)})"


@pytest.fixture
def town(database: str) -> dict[str, int]:
    """The roads, the team and the shelters of the town: their numbers."""
    road = {"class": "primary"}
    main, east, old, west = put(
        database, "roads",
        {**road, "name": "main", "from_node": 1, "to_node": 2, "at": line(T, A)},
        {**road, "name": "east", "from_node": 2, "to_node": 4, "at": line(A, D)},
        {**road, "name": "old", "from_node": 3, "to_node": 4, "at": line(C, D)},
        {**road, "name": "west", "from_node": 1, "to_node": 3, "at": line(T, C)},
    )  # fmt: skip
    (team,) = put(database, "rescue_teams", {"name": "team", "status": "available", "at": T})
    one, two = put(
        database, "shelters", {"name": "one", "class": "short", "status": "open", "capacity_persons": 100, "at": A},
        {"name": "two", "class": "short", "status": "open", "capacity_persons": 50, "at": D},
    )  # fmt: skip
    return {"main": main, "east": east, "old": old, "west": west, "team": team, "one": one, "two": two}


@pytest.fixture
def ask(database: str, readers: Readers, tmp_path: Path) -> Any:
    """Asks at the incident, half-way along the old road."""
    roads = Roads(readers, tmp_path)

    def asked(**given: Any) -> dict[str, Any]:
        lon, lat = given.pop("at_place", at(2, 0))
        layers = given.pop("layers", ("shelters", "rescue_teams"))
        return nearest_by_road(readers, roads, Question(lon=lon, lat=lat, layers=layers, by="road", at=NOW, **given))

    return asked


def ranks(answer: dict[str, Any]) -> list[tuple[str, float]]:
    return [(f["properties"]["name"], f["properties"]["travel_time_s"]) for f in answer["features"]]


def left_out(answer: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    return {one["name"]: (one["reason"], one["evidence"]) for one in answer["skipped"]}


def close(url: str, where: str, **given: Any) -> int:
    (fid,) = put(url, "road_closures", {"name": "slide", "effect": "forbid", "at": where, **given})
    return fid


def near(seconds: float) -> Any:
    return pytest.approx(seconds, abs=0.2)


def test_times_by_road(town: dict[str, int], ask: Any) -> None:
    answer = ask(route=True)
    assert ranks(answer) == [("two", near(160)), ("one", near(320)), ("team", near(320))]
    two, one, team = (feature["properties"] for feature in answer["features"])
    assert (two["rank"], one["rank"], team["rank"]) == (1, 2, 1)
    assert (two["travel"], team["travel"]) == ("from_incident", "to_incident")
    assert two["road_m"] == pytest.approx(2000, abs=1)
    assert two["walk_m"] == pytest.approx(0, abs=0.1)
    assert two["distance_m"] == pytest.approx(2000, abs=1)
    assert one["route"]["coordinates"] == [pytest.approx(place, abs=1e-7) for place in (at(2, 0), D, A)]
    assert team["route"]["coordinates"] == [pytest.approx(place, abs=1e-7) for place in (T, C, at(2, 0))]
    assert answer["skipped"] == []
    network = answer["network"]
    assert network["profile"] == "fire_engine"
    assert network["left_out"] == ["turn_restrictions"]
    assert (network["is_last"], network["closures"], network["inside"]) == (True, 0, [])


def test_a_closure_changes_the_next_answer_and_says_what_it_cut(database: str, town: dict[str, int], ask: Any) -> None:
    assert ranks(ask())[0] == ("two", near(160))
    fid = close(database, line(at(3, -0.1), at(3, 0.1)), reason="landslide")
    answer = ask(k=1, layers=("shelters",))
    assert ranks(answer) == [("one", near((2000 + 2000 + 4000) / M_S))]
    reason, evidence = left_out(answer)["two"]
    assert reason == "detour"
    assert evidence["travel_time_open_s"] == near(160)
    assert evidence["travel_time_s"] == near((2000 + 2000 + 4000 + 2000) / M_S)
    (cut,) = evidence["cut_by"]
    assert (cut["id"], cut["reason"], cut["effect"]) == (f"road_closures.{fid}", "landslide", "forbid")
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.road_closures SET ends_at = %s", (NOW,))
    assert ranks(ask())[0] == ("two", near(160))  # it has ended


def test_what_is_cut_off_is_unreachable(database: str, town: dict[str, int], ask: Any) -> None:
    close(database, line(at(3, -0.1), at(3, 0.1)))
    close(database, line(at(3.9, 1), at(4.1, 1)))
    answer = ask(layers=("shelters",))
    assert ranks(answer) == [("one", near(640))]
    reason, evidence = left_out(answer)["two"]
    assert reason == "unreachable"
    assert evidence["travel_time_s"] is None
    assert [cut["effect"] for cut in evidence["cut_by"]] == ["forbid"]


def test_a_long_detour_is_not_called_unreachable(database: str, ask: Any) -> None:
    """Two shelters: one near, cut off but for a way of 40 km; the answer need not look that far for the other one."""
    put(
        database, "roads",
        {"class": "primary", "from_node": 1, "to_node": 2, "at": line(at(0, 0), at(4, 0))},
        {"class": "primary", "from_node": 2, "to_node": 3, "at": line(at(4, 0), at(4, 20), at(-1, 20), at(-1, 0))},
        {"class": "primary", "from_node": 3, "to_node": 1, "at": line(at(-1, 0), at(0, 0))},
    )  # fmt: skip
    put(
        database, "shelters", {"name": "east", "class": "short", "status": "open", "at": at(2.6, 0)},
        {"name": "west", "class": "short", "status": "open", "at": at(0.5, 0)},
    )  # fmt: skip
    close(database, line(at(2.3, -0.1), at(2.3, 0.1)))
    answer = ask(layers=("shelters",), k=1)
    assert ranks(answer) == [("west", near(120))]
    reason, evidence = left_out(answer)["east"]
    assert reason == "detour"
    way_m = 2000 + 1000 + 20_000 + 5000 + 20_000 + 1400
    assert evidence["travel_time_s"] == pytest.approx(way_m / M_S, abs=2)
    assert evidence["travel_time_open_s"] == near(48)
    limited = ask(layers=("shelters",), k=1, max_s=600.0)
    assert left_out(limited)["east"][0] == "unreachable"


def test_a_slow_road_takes_longer(database: str, town: dict[str, int], ask: Any) -> None:
    close(database, line(at(2.5, 0), at(3.5, 0)), effect="slow", slow_factor=4)
    assert dict(ranks(ask()))["two"] == pytest.approx(160 + 3 * 1020 / M_S, abs=1)


def test_one_way_streets_tell_to_from_from(database: str, town: dict[str, int], ask: Any) -> None:
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.roads SET one_way = 'forward' WHERE name = 'old'")  # from C to D only
    answer = ranks(ask())
    assert dict(answer)["team"] == near(320)  # from T by C along the one-way street
    close(database, line(at(1, -0.1), at(1, 0.1)))
    answer = ask()
    assert "team" not in dict(ranks(answer))
    assert left_out(answer)["team"][0] == "unreachable"


def test_a_place_inside_a_closure_may_be_left_and_that_is_said(database: str, town: dict[str, int], ask: Any) -> None:
    zone = f"POLYGON(({1.5 * KM_EAST} {-KM_NORTH}, {2.5 * KM_EAST} {-KM_NORTH}, {2.5 * KM_EAST} {KM_NORTH}, " + (
        f"{1.5 * KM_EAST} {KM_NORTH}, {1.5 * KM_EAST} {-KM_NORTH}))"
    )
    fid = close(database, zone)
    answer = ask(route=True)
    assert ranks(answer) == [("two", near(160)), ("one", near(320)), ("team", near(320))]
    assert [one["id"] for one in answer["network"]["inside"]] == [f"road_closures.{fid}"]
    assert answer["features"][0]["properties"]["route"]["coordinates"] == [pytest.approx(at(2, 0)), pytest.approx(D)]
    outside = ask(at_place=at(1, 0))
    assert dict(ranks(outside))["two"] == near((1000 + 2000 + 4000 + 2000) / M_S)  # nothing may pass through it


def test_a_danger_zone_of_the_hazard_closes_roads(database: str, town: dict[str, int], ask: Any) -> None:
    zone = shapely.box(3 * KM_EAST - 0.001, -0.001, 3 * KM_EAST + 0.001, 0.001)
    put(database, "risk_zones", {"name": "zone", "hazard": "landslide", "risk_class": "very_high",
                                 "at": shapely.MultiPolygon([zone]).wkt})  # fmt: skip
    assert dict(ranks(ask()))["two"] == near(160)
    assert dict(ranks(ask(hazard="flood")))["two"] == near(160)
    answer = ask(hazard="landslide")
    assert dict(ranks(answer))["two"] == near(800)


def test_closures_that_begin_on_the_way(database: str, town: dict[str, int], ask: Any) -> None:
    """The road to two is closed at 3 km from C: it is passed at 2 km + 80 s, and left at D after 160 s."""
    close(database, line(at(3, -0.1), at(3, 0.1)), starts_at=NOW + timedelta(seconds=200))
    assert dict(ranks(ask()))["two"] == near(160)  # passed before it begins
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.road_closures SET starts_at = %s", (NOW + timedelta(seconds=40),))
    answer = ask()
    assert dict(ranks(answer))["two"] == near(800)
    assert dict(ranks(ask(at_place=at(2, 0), layers=("rescue_teams",))))["team"] == near(320)
    with transaction(database) as cursor:  # the team's way is cut before it has passed
        cursor.execute("UPDATE layers.road_closures SET starts_at = %s, geom = ST_GeomFromText(%s, 4326)",
                       (NOW + timedelta(seconds=100), line(at(1, -0.1), at(1, 0.1))))  # fmt: skip
    answer = ask(route=True)
    assert dict(ranks(answer))["team"] == near((4000 + 2000 + 2000) / M_S)
    assert answer["features"][-1]["properties"]["route"]["coordinates"][1] == pytest.approx(A)
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.road_closures SET starts_at = %s", (NOW + timedelta(seconds=400),))
    assert dict(ranks(ask()))["team"] == near(320)


def test_closed_and_full_shelters_are_told_with_their_times(database: str, town: dict[str, int], ask: Any) -> None:
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.shelters SET status = 'closed' WHERE name = 'two'")
    answer = ask(layers=("shelters",), k=1)
    assert ranks(answer) == [("one", near(320))]
    assert left_out(answer)["two"][0] == "closed"
    assert answer["skipped"][0]["travel_time_s"] == near(160)
    assert answer["skipped_counts"] == {"shelters": 1}
    assert ranks(ask(layers=("shelters",), k=1, include_all=True)) == [("two", near(160))]
    assert [name for name, _ in ranks(ask(layers=("shelters",), places=80))] == ["one"]


def test_nearer_in_a_straight_line_but_slower_by_road(database: str, town: dict[str, int], ask: Any) -> None:
    put(database, "shelters", {"name": "beyond", "class": "short", "status": "open", "at": at(2, 1.95)})
    answer = ask(layers=("shelters",), k=1)
    assert ranks(answer) == [("two", near(160))]
    reason, evidence = left_out(answer)["beyond"]
    assert reason == "slower"
    assert evidence["travel_time_s"] > 400


def test_too_far_from_any_road(database: str, town: dict[str, int], ask: Any) -> None:
    put(database, "shelters", {"name": "hut", "class": "short", "status": "open", "at": at(2, -3)})
    answer = ask(layers=("shelters",))
    assert left_out(answer)["hut"] == ("unreachable", {"travel_time_s": None, "cause": "too_far_from_road",
                                                       "road_within_m": 2000.0})  # fmt: skip
    far = ask(at_place=at(2, -3))
    assert far["features"] == []
    assert far["network"]["walk_to_road_m"] is None
    assert {one["evidence"]["cause"] for one in far["skipped"] if one["name"] != "hut"} == {
        "incident_too_far_from_road"
    }


def test_the_walk_to_the_road_counts(town: dict[str, int], ask: Any) -> None:
    answer = ask(at_place=at(2, -0.1), layers=("shelters",))
    assert ranks(answer)[0] == ("two", near(160 + 100 * 1.3 / (4 / 3.6)))
    assert answer["network"]["walk_to_road_m"] == pytest.approx(100, abs=0.2)


def test_limits_of_time_and_width(database: str, town: dict[str, int], ask: Any) -> None:
    assert [name for name, _ in ranks(ask(max_s=200))] == ["two"]
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.roads SET width_m = 2.2 WHERE name = 'old'")
    slow = ask()
    assert "two" in dict(ranks(slow))  # it walks, or drives from the nearest road wide enough
    assert dict(ranks(ask(profile="car")))["two"] == near(2000 / (50 / 3.6))


def test_on_foot_one_way_streets_do_not_count(database: str, town: dict[str, int], ask: Any) -> None:
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.roads SET one_way = 'backward' WHERE name = 'old'")
    assert dict(ranks(ask(profile="foot")))["two"] == near(2000 / (4 / 3.6))


def test_edited_roads_are_read_anew(database: str, town: dict[str, int], ask: Any) -> None:
    assert dict(ranks(ask()))["one"] == near(320)
    put(database, "roads", {"class": "primary", "name": "short cut", "at": line(at(2, 0), at(4, 2))})
    assert dict(ranks(ask()))["one"] == near(2000 * 2**0.5 / M_S)  # it has no numbers: joined where it lies on others


def test_a_renewed_network_has_what_the_one_before_was_asked_for(
    database: str, readers: Readers, town: dict[str, int], tmp_path: Path
) -> None:
    roads = Roads(readers, tmp_path)
    question = Question(lon=at(2, 0)[0], lat=0.0, layers=("shelters",), by="road", at=NOW)
    nearest_by_road(readers, roads, question)
    put(database, "roads", {"class": "primary", "name": "short cut", "at": line(at(2, 0), at(4, 2))})
    here = roads.situation(readers, None, NOW, None, wait=True)  # asks nothing of the shelters
    assert here.is_last
    ((_, layer, profile),) = here.known.stops
    assert (layer, profile) == ("shelters", "fire_engine")
    assert "in_main_part" in here.open_ways.__dict__


def test_an_added_shelter_never_makes_the_first_one_later(database: str, town: dict[str, int], ask: Any) -> None:
    before = ranks(ask(layers=("shelters",)))
    numbers = numpy.random.default_rng(3)
    for step in range(5):
        x, y = numbers.random(2) * (4, 2)
        put(database, "shelters", {"name": f"new {step}", "class": "short", "status": "open", "at": at(x, y)})
        after = ranks(ask(layers=("shelters",)))
        assert after[0][1] <= before[0][1] + 0.1
        before = after


def test_no_roads_is_said(database: str, ask: Any) -> None:
    with pytest.raises(InvalidValue, match="no roads"):
        ask()


def test_wrong_questions_are_refused(town: dict[str, int], ask: Any) -> None:
    for given in ({"profile": "tank"}, {"max_s": -1.0}, {"max_s": float("nan")}):
        with pytest.raises(InvalidValue):
            ask(**given)
