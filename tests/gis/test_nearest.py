"""Nearest in a straight line: answers worked by hand, then brute force."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyproj import Geod

from gis.nearest import K_AT_MOST, Question, nearest
from layers.database import Readers, transaction
from layers.errors import InvalidValue
from tests.gis.rows import put, square

GEOD = Geod(ellps="WGS84")
DEGREE_OF_EQUATOR_M = 6_378_137.0 * math.pi / 180


def ids(answer: dict[str, Any]) -> list[str]:
    return [feature["id"] for feature in answer["features"]]


def reasons(answer: dict[str, Any]) -> dict[str, str]:
    return {entry["id"]: entry["reason"] for entry in answer["skipped"]}


def ago(**past: float) -> str:
    """The moment so long ago."""
    return (datetime.now(UTC) - timedelta(**past)).isoformat()


def ask(readers: Readers, lon: float = 0, lat: float = 0, **further: Any) -> dict[str, Any]:
    return nearest(readers, Question(lon, lat, **{"layers": ("shelters",), **further}))


def test_three_on_the_equator(database: str, readers: Readers) -> None:
    put(
        database,
        "shelters",
        {"name": "far", "at": (3, 0)},
        {"name": "near", "at": (1, 0)},
        {"name": "west", "at": (-2, 0)},
    )
    answer = ask(readers)
    assert [f["properties"]["name"] for f in answer["features"]] == ["near", "west", "far"]
    assert [f["properties"]["rank"] for f in answer["features"]] == [1, 2, 3]
    for feature, degrees in zip(answer["features"], (1, 2, 3), strict=True):
        assert feature["properties"]["distance_m"] == round(degrees * DEGREE_OF_EQUATOR_M, 3)
    assert [f["properties"]["bearing_deg"] for f in answer["features"]] == [90, 270, 90]
    assert answer["features"][0]["geometry"] == {"type": "Point", "coordinates": [1, 0]}
    assert answer["features"][0]["properties"]["sample"] is False
    assert answer["skipped"] == []
    assert answer["skipped_counts"] == {"shelters": 0}


def test_the_spheroid_decides_not_the_sphere(database: str, readers: Readers) -> None:
    """One degree north is shorter on the spheroid (110 574 m) than 0.995 degree east (110 763 m); not on a sphere."""
    east, north = put(database, "shelters", {"name": "e", "at": (0.995, 0)}, {"name": "n", "at": (0, 1)})
    answer = ask(readers, k=1)
    assert ids(answer) == [f"shelters.{north}"]
    assert answer["features"][0]["properties"]["distance_m"] == pytest.approx(110_574.389, abs=1e-3)
    assert answer["features"][0]["properties"]["bearing_deg"] == 0
    assert east < north


def test_equal_distances_stand_in_the_order_of_their_numbers(database: str, readers: Readers) -> None:
    numbers = put(database, "shelters", *({"name": f"s{n}", "at": (1, 1)} for n in range(6)))
    assert ids(ask(readers, k=4)) == [f"shelters.{number}" for number in numbers[:4]]


def test_an_item_at_the_incident_has_no_bearing(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": "here", "at": (0, 0)})
    properties = ask(readers)["features"][0]["properties"]
    assert (properties["distance_m"], properties["bearing_deg"]) == (0, None)


def test_each_reason_with_its_evidence(database: str, readers: Readers) -> None:
    zone_low, zone_high = put(
        database, "risk_zones",
        {"name": "low", "hazard": "landslide", "risk_class": "low", "at": square(0.35, -0.05, 0.1)},
        {"name": "high", "hazard": "landslide", "risk_class": "high", "at": square(0.35, -0.05, 0.1)},
    )  # fmt: skip
    put(database, "risk_zones", {"name": "flood", "hazard": "flood", "at": square(0.55, -0.05, 0.1)})
    closed, full, unsuitable, inside, hut, flooded, last = put(
        database, "shelters",
        {
            "name": "closed", "at": (0.1, 0), "status": "closed", "stated_at": "2026-01-01T00:00:00Z",
            "status_stated_at": ago(hours=2),
        },
        {
            "name": "full", "at": (0.2, 0), "capacity_persons": 100, "occupancy_persons": 95,
            "occupancy_stated_at": ago(hours=1),
        },
        {"name": "unsuitable", "at": (0.3, 0), "unsuitable_hazards": ["landslide"]},
        {"name": "inside", "at": (0.4, 0)},
        {"name": "hut", "at": (0.5, 0), "class": "hut"},
        {"name": "flooded", "at": (0.6, 0)},
        {"name": "last", "at": (0.7, 0)},
    )  # fmt: skip
    answer = ask(readers, hazard="landslide", places=10, k=2)
    assert ids(answer) == [f"shelters.{flooded}", f"shelters.{last}"]
    assert reasons(answer) == {
        f"shelters.{closed}": "closed", f"shelters.{full}": "full", f"shelters.{unsuitable}": "unsuitable",
        f"shelters.{inside}": "inside_hazard", f"shelters.{hut}": "not_designated",
    }  # fmt: skip
    evidence = {entry["name"]: entry["evidence"] for entry in answer["skipped"]}
    assert evidence["closed"]["status"] == "closed"
    assert evidence["closed"]["source"] == "test"
    assert evidence["closed"]["age_s"] == pytest.approx(7200, abs=60), "how old the status is, not the item"
    full_up = {"capacity_persons": 100, "occupancy_persons": 95, "places_persons": 5, "places_wanted": 10}
    assert full_up.items() <= evidence["full"].items()
    assert evidence["unsuitable"]["hazard"] == "landslide"
    assert evidence["inside"] == {
        "zone_id": f"risk_zones.{zone_high}", "zone_name": "high", "hazard": "landslide", "risk_class": "high",
        "sample": False,
    }  # fmt: skip
    assert evidence["hut"] == {"class": "hut"}
    assert [entry["distance_m"] for entry in answer["skipped"]] == sorted(e["distance_m"] for e in answer["skipped"])
    assert zone_low != zone_high
    assert answer["skipped_counts"] == {"shelters": 5}


def test_without_a_hazard_zones_and_suitability_are_not_judged(database: str, readers: Readers) -> None:
    put(database, "risk_zones", {"name": "z", "hazard": "landslide", "at": square(-1, -1, 2)})
    (number,) = put(database, "shelters", {"name": "s", "at": (0.1, 0), "unsuitable_hazards": ["landslide"]})
    answer = ask(readers)
    assert ids(answer) == [f"shelters.{number}"]
    assert "suitability" not in answer["features"][0]["properties"]


def test_a_place_on_the_edge_of_a_zone_lies_inside(database: str, readers: Readers) -> None:
    put(database, "risk_zones", {"name": "z", "hazard": "flood", "at": square(1, 0, 1)})
    put(database, "shelters", {"name": "edge", "at": (1, 0.5)}, {"name": "out", "at": (0.999, 0.5)})
    answer = ask(readers, hazard="flood")
    assert [f["properties"]["name"] for f in answer["features"]] == ["out"]
    assert [entry["reason"] for entry in answer["skipped"]] == ["inside_hazard"]


def test_the_gravest_reason_comes_first_and_the_others_are_told(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": "s", "at": (1, 0), "status": "closed", "class": "hut", "capacity_persons": 0})
    (entry,) = ask(readers)["skipped"]
    assert (entry["reason"], entry["also"]) == ("closed", ["full", "not_designated"])


@pytest.mark.parametrize(
    ("capacity", "occupancy", "places", "is_full", "free"),
    [
        (100, 40, None, False, 60),
        (100, 100, None, True, None),
        (100, 120, None, True, None),
        (100, 40, 60, False, 60),
        (100, 40, 61, True, None),
        (100, None, None, False, None),  # occupancy unknown: ranked, and its free places unknown
        (100, None, 100, False, None),
        (100, None, 101, True, None),  # would not fit even were it empty
        (None, 40, 500, False, None),
        (None, None, None, False, None),
        (0, None, None, True, None),  # stated to hold nobody
    ],
)
def test_full(
    database: str, readers: Readers, capacity: int, occupancy: int, places: int, is_full: bool, free: int
) -> None:
    counts = {"capacity_persons": capacity, "occupancy_persons": occupancy, "occupancy_stated_at": ago(hours=23)}
    put(database, "shelters", {"name": "s", "at": (1, 0), **counts})
    answer = ask(readers, places=places)
    assert [entry["reason"] for entry in answer["skipped"]] == (["full"] if is_full else [])
    if not is_full:
        assert answer["features"][0]["properties"]["places_persons"] == free


@pytest.mark.parametrize(
    ("own", "of_the_item", "is_known", "age_h"),
    [
        (1, None, True, 1),
        (23.9, 500, True, 23.9),
        (24.1, 1, False, 24.1),  # its own time counts before the item's
        (None, 1, True, 1),
        (None, 25, False, 25),
        (None, None, False, None),
        (-0.05, None, True, -0.05),  # clocks differ
        (-1, None, False, -1),
    ],
)
def test_a_stale_occupancy_is_unknown(
    database: str, readers: Readers, own: float | None, of_the_item: float | None, is_known: bool, age_h: float | None
) -> None:
    times = {"occupancy_stated_at": own, "stated_at": of_the_item}
    given = {name: ago(hours=hours) for name, hours in times.items() if hours is not None}
    counts = {"capacity_persons": 100, "occupancy_persons": 70}
    put(database, "shelters", {"name": "s", "at": (1, 0), **counts, **given})
    properties = ask(readers)["features"][0]["properties"]
    assert properties["places_persons"] == (30 if is_known else None)
    assert properties["occupancy_persons"] == 70
    assert properties["occupancy_age_s"] == (None if age_h is None else pytest.approx(age_h * 3600, abs=60))
    reasons_ = [entry["reason"] for entry in ask(readers, places=31)["skipped"]]
    assert reasons_ == (["full"] if is_known else [])
    assert [entry["reason"] for entry in ask(readers, places=101)["skipped"]] == ["full"]  # too small even when empty


def test_the_occupancy_of_an_earlier_moment_was_fresh_then(database: str, readers: Readers) -> None:
    counts = {"capacity_persons": 100, "occupancy_persons": 100, "occupancy_stated_at": ago(hours=1)}
    put(database, "shelters", {"name": "s", "at": (1, 0), **counts})
    moment = datetime.now(UTC)
    assert [entry["reason"] for entry in ask(readers.at(moment))["skipped"]] == ["full"]
    later = moment + timedelta(hours=48)
    assert [entry["reason"] for entry in ask(readers.at(later))["skipped"]] == []


def test_what_is_unknown_is_ranked_and_stays_unknown(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": None, "at": (1, 0)})
    properties = ask(readers, hazard="flood", places=10**6)["features"][0]["properties"]
    for name in ("status", "capacity_persons", "occupancy_persons", "places_persons", "age_s", "name"):
        assert properties[name] is None, name
    assert properties["suitability"] == "unknown"


def test_suitability_is_told_when_a_hazard_is_given(database: str, readers: Readers) -> None:
    put(
        database, "shelters",
        {"name": "suits", "at": (1, 0), "suitable_hazards": ["flood", "landslide"]},
        {"name": "other", "at": (2, 0), "suitable_hazards": ["earthquake"]},
    )  # fmt: skip
    told = [f["properties"]["suitability"] for f in ask(readers, hazard="flood")["features"]]
    assert told == ["suitable", "unknown"]


def test_include_all_ranks_everything(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": "closed", "at": (1, 0), "status": "closed"}, {"name": "open", "at": (2, 0)})
    answer = ask(readers, include_all=True)
    assert [(f["properties"]["name"], f["properties"]["reasons"]) for f in answer["features"]] == [
        ("closed", ["closed"]),
        ("open", []),
    ]
    assert answer["skipped"] == []


def test_huts_are_ranked_on_request(database: str, readers: Readers) -> None:
    put(
        database,
        "shelters",
        {"name": "hut", "at": (1, 0), "class": "hut"},
        {"name": "long", "at": (2, 0), "class": "long"},
    )
    assert [f["properties"]["name"] for f in ask(readers, class_=("hut",))["features"]] == ["hut"]
    answer = ask(readers, class_=("long",))
    assert [f["properties"]["name"] for f in answer["features"]] == ["long"]
    assert answer["skipped"] == []  # the filter says who is asked about


def test_open_keeps_what_is_stated_to_be_open(database: str, readers: Readers) -> None:
    put(
        database, "shelters", {"name": "open", "at": (4, 0), "status": "open"},
        {"name": "standby", "at": (1, 0), "status": "standby"}, {"name": "unknown", "at": (2, 0)},
        {"name": "closed", "at": (3, 0), "status": "closed"},
    )  # fmt: skip
    answer = ask(readers, open=True)
    assert [f["properties"]["name"] for f in answer["features"]] == ["open"]
    assert [(e["name"], e["evidence"]["status"]) for e in answer["skipped"]] == [
        ("standby", "standby"), ("unknown", None), ("closed", "closed"),
    ]  # fmt: skip
    assert {e["evidence"]["status_wanted"] for e in answer["skipped"]} == {"open"}


def test_filters_apply_to_the_layers_that_have_the_field(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": "s", "at": (1, 0)})
    put(
        database, "rescue_teams", {"name": "fire", "at": (1, 0), "speciality": ["fire", "water"]},
        {"name": "mine", "at": (1, 0), "speciality": ["mine"]}, {"name": "unknown", "at": (1, 0)},
    )  # fmt: skip
    answer = ask(readers, layers=("rescue_teams", "shelters"), speciality=("fire", "forest"))
    assert [f["properties"]["name"] for f in answer["features"]] == ["fire", "s"]
    assert [f["properties"]["rank"] for f in answer["features"]] == [1, 1]


def test_depots_that_hold_an_item(database: str, readers: Readers) -> None:
    held, none_left, unknown, _ = put(
        database, "supply_depots", *({"name": name, "at": (n, 0)} for n, name in enumerate("abcd"))
    )
    put(
        database, "stock",
        {"depot": held, "item_code": "1010101", "item_name": "帐篷", "quantity": 120},
        {"depot": none_left, "item_code": "1010101", "item_name": "帐篷", "quantity": 0},
        {"depot": unknown, "item_code": "1010102", "item_name": "棉帐篷"},
    )  # fmt: skip
    for item in ("10101", "帐篷"):
        answer = ask(readers, layers=("supply_depots",), item=item)
        told = {f["properties"]["name"]: f["properties"]["stock_state"] for f in answer["features"]}
        assert told == {"a": "held", "c": "unknown"}
    assert answer["features"][0]["properties"]["stock"][0]["quantity"] == 120
    assert ids(ask(readers, layers=("supply_depots",), item="%")) == []


def test_max_m_is_met_on_the_spheroid(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": "in", "at": (0, 1)}, {"name": "out", "at": (1, 0), "status": "closed"})
    assert len(ask(readers, max_m=110_574.39)["features"]) == 1
    assert ask(readers, max_m=110_574.39)["skipped"] == []
    assert ask(readers, max_m=110_574.38)["features"] == []
    assert len(ask(readers, max_m=111_319.5)["skipped"]) == 1


def test_twenty_skipped_are_listed_and_all_are_counted(database: str, readers: Readers) -> None:
    put(database, "shelters", *({"name": f"c{n}", "at": (0.01 * n, 0), "status": "closed"} for n in range(30)))
    put(database, "shelters", {"name": "open", "at": (1, 0)}, {"name": "farther", "at": (2, 0), "status": "closed"})
    answer = ask(readers, k=1)
    assert [entry["name"] for entry in answer["skipped"]] == [f"c{n}" for n in range(20)]
    assert answer["skipped_counts"] == {"shelters": 30}
    assert ask(readers, k=5)["skipped_counts"] == {"shelters": 31}  # too few are ranked: nothing bounds the list


def test_a_rare_item_is_found_beyond_two_thousand_others(database: str, readers: Readers) -> None:
    with transaction(database) as cursor:
        cursor.execute(
            "INSERT INTO layers.shelters (source, name, status, geom) SELECT 'test', 's' || n, 'closed',"
            " ST_SetSRID(ST_MakePoint(n * 0.0001, 0), 4326) FROM generate_series(1, 3000) AS n"
        )
    rare = put(
        database, "shelters", {"name": "a", "at": (5, 0)}, {"name": "b", "at": (4, 0)}, {"name": "c", "at": (6, 0)}
    )
    assert ids(ask(readers, k=2)) == [f"shelters.{rare[1]}", f"shelters.{rare[0]}"]
    assert ids(ask(readers, k=4)) == [f"shelters.{rare[n]}" for n in (1, 0, 2)]
    assert ask(readers, k=2)["skipped_counts"] == {"shelters": 3000}


def test_withheld_rows_are_never_told(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": "secret", "at": (1, 0), "withheld": True, "contact_phone": "1"})
    put(database, "shelters", {"name": "closed secret", "at": (1, 0), "withheld": True, "status": "closed"})
    answer = ask(readers)
    assert (answer["features"], answer["skipped"], answer["skipped_counts"]) == ([], [], {"shelters": 0})


def test_only_public_fields_are_told(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": "s", "at": (1, 0), "contact_phone": "13800000000", "note": "n"})
    assert not {"contact_name", "contact_phone", "note", "withheld"} & set(ask(readers)["features"][0]["properties"])


def test_where_the_incident_lies(database: str, readers: Readers) -> None:
    town, county, _ = put(
        database, "admin_areas", {"name": "town", "level": "township", "at": square(-1, -1, 2)},
        {"name": "county", "level": "county", "at": square(-2, -2, 4)},
        {"name": "elsewhere", "level": "county", "at": square(5, 5, 1)},
    )  # fmt: skip
    put(
        database, "risk_zones", {"name": "unknown", "hazard": "flood", "at": square(-1, -1, 2)},
        {"name": "low", "hazard": "flood", "risk_class": "low", "at": square(-1, -1, 2)},
        {"name": "high", "hazard": "landslide", "risk_class": "high", "at": square(-1, -1, 2)},
    )  # fmt: skip
    answer = ask(readers)
    assert [(p["level"], p["name"]) for p in answer["place"]] == [("county", "county"), ("township", "town")]
    assert {p["id"] for p in answer["place"]} == {f"admin_areas.{town}", f"admin_areas.{county}"}
    assert [(z["name"], z["hazard"], z["risk_class"]) for z in answer["hazards_here"]] == [
        ("high", "landslide", "high"), ("low", "flood", "low"), ("unknown", "flood", None),
    ]  # fmt: skip


def test_lines_and_areas_are_measured_to_their_nearest_part(database: str, readers: Readers) -> None:
    put(database, "rivers", {"name": "r", "at": "MULTILINESTRING((1 -1, 1 1))"})
    put(database, "admin_areas", {"name": "here", "at": square(-1, -1, 2)})
    river, here = ask(readers, layers=("rivers", "admin_areas"))["features"]
    assert river["properties"]["distance_m"] == pytest.approx(DEGREE_OF_EQUATOR_M, abs=0.01)
    assert river["properties"]["bearing_deg"] == 90
    assert here["properties"]["distance_m"] == 0


def test_the_layers_of_the_definitions_are_asked_by_default(database: str, readers: Readers) -> None:
    for layer in ("shelters", "rescue_teams", "supply_depots", "facilities"):
        put(database, layer, {"name": layer, "at": (1, 0)})
    answer = nearest(readers, Question(0, 0))
    assert [f["properties"]["layer"] for f in answer["features"]] == ["shelters", "rescue_teams", "supply_depots"]
    assert answer["query"] == {
        "lon": 0, "lat": 0, "layers": ["shelters", "rescue_teams", "supply_depots"], "by": "line",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        ({"lon": 181}, "lon"), ({"lat": 105, "lon": 27}, "lat"), ({"lat": math.nan}, "lat"), ({"k": 0}, "k"),
        ({"k": K_AT_MOST + 1}, "k"), ({"places": -1}, "places"), ({"max_m": math.inf}, "max_m"),
        ({"hazard": "meteor"}, "hazard"), ({"layers": ("castles",)}, "layers"), ({"layers": ("stock",)}, "layers"),
        ({"class_": ("palace",)}, "class"), ({"layers": ("faults",), "class_": ("long",)}, "class"),
        ({"layers": ("faults",), "places": 1}, "places"), ({"layers": ("faults",), "open": True}, "open"),
        ({"item": "x"}, "item"), ({"item": " ", "layers": ("supply_depots",)}, "item"),
    ],
)  # fmt: skip
def test_wrong_questions(readers: Readers, wrong: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        ask(readers, **wrong)
    assert caught.value.parameter == parameter
    assert caught.value.expected


def brute_force(lon: float, lat: float, points: list[tuple[int, float, float]], k: int) -> list[tuple[int, float]]:
    measured = [(fid, GEOD.inv(lon, lat, x, y)[2]) for fid, x, y in points]
    return sorted(measured, key=lambda one: (round(one[1], 6), one[0]))[:k]


coordinates = st.one_of(
    st.tuples(st.floats(-180, 180), st.floats(-90, 90)),
    st.tuples(
        st.sampled_from([-180.0, 180.0, 179.99, -179.99, 0.0]), st.sampled_from([-90.0, 90.0, 89.999, 0.0, 27.0])
    ),
    st.tuples(st.integers(-2, 2).map(float), st.integers(-2, 2).map(float)),  # many duplicates
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(incident=coordinates, points=st.lists(coordinates, max_size=25), k=st.integers(1, 30))
@example(incident=(-180.0, 90.0), points=[(180.0, 90.0)], k=1)
@example(incident=(0.0, 0.0), points=[(0.0, 1e-11), (0.0, 0.0), (1e-12, 0.0), (0.0, 5e-324)], k=3)
@example(incident=(90.0, 0.0), points=[(90.00000000000001, 0.0), (90.0, 0.0)], k=2)
def test_agrees_with_brute_force(
    module_database: str,
    module_readers: Readers,
    incident: tuple[float, float],
    points: list[tuple[float, float]],
    k: int,
) -> None:
    """All over the globe: the poles, the antimeridian, duplicates, fewer items than asked for."""
    with transaction(module_database) as cursor:
        cursor.execute("DELETE FROM layers.facilities")
    numbers = put(module_database, "facilities", *({"at": point} for point in points))
    answer = nearest(module_readers, Question(*incident, layers=("facilities",), k=k))
    stored = [(fid, *point) for fid, point in zip(numbers, points, strict=True)]
    expected = brute_force(*incident, stored, k)
    found = [(f["properties"]["fid"], f["properties"]["distance_m"]) for f in answer["features"]]
    assert len(found) == len(expected)
    for (_, distance), (_, expected_distance) in zip(found, expected, strict=True):
        assert distance == pytest.approx(expected_distance, abs=1e-3)
    distance_of = {fid: GEOD.inv(*incident, x, y)[2] for fid, x, y in stored}
    assert all(distance_of[fid] == pytest.approx(distance, abs=1e-3) for fid, distance in found)


@pytest.mark.parametrize(("lon", "lat"), [(105.0, 0.0), (105.3, 27.3), (1.5, 45.0), (179.9, 27.0)])
def test_distances_and_order_agree_with_pyproj(
    module_database: str, module_readers: Readers, lon: float, lat: float
) -> None:
    """2500 random pairs at each of four places, one of them across the antimeridian: to one millimetre."""
    chance = random.Random(f"{lon} {lat}")
    points = [((lon + chance.uniform(-1, 1) + 180) % 360 - 180, lat + chance.uniform(-1, 1)) for _ in range(400)]
    with transaction(module_database) as cursor:
        cursor.execute("DELETE FROM layers.facilities")
    numbers = put(module_database, "facilities", *({"at": point} for point in points))
    for _ in range(25):
        incident = ((lon + chance.uniform(-1, 1) + 180) % 360 - 180, lat + chance.uniform(-1, 1))
        answer = nearest(module_readers, Question(*incident, layers=("facilities",), k=100))
        expected = brute_force(*incident, [(n, *point) for n, point in zip(numbers, points, strict=True)], 100)
        assert [f["properties"]["fid"] for f in answer["features"]] == [fid for fid, _ in expected]
        for feature, (_, distance) in zip(answer["features"], expected, strict=True):
            assert abs(feature["properties"]["distance_m"] - distance) <= 1e-3
