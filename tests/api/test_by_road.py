"""By road over HTTP: the answer, what is refused, and that a closure counts at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from gis.network import metres_a_degree
from layers.database import transaction
from tests.gis.rows import put

KM = float(1000.0 / metres_a_degree(0.0)[0])
NEAR = f"/nearest?lon={2 * KM}&lat=0&by=road&layers=shelters"


@pytest.fixture
def town(database: str) -> None:
    """A straight road of 4 km; shelters at both of its ends."""
    put(
        database, "roads", {"class": "primary", "from_node": 1, "to_node": 2, "at": f"LINESTRING(0 0, {4 * KM} 0)"},
        {"class": "primary", "from_node": 2, "to_node": 3, "at": f"LINESTRING({4 * KM} 0, {5 * KM} 0)"},
    )  # fmt: skip
    put(
        database, "shelters", {"name": "west", "class": "short", "status": "open", "at": (0.5 * KM, 0)},
        {"name": "east", "class": "short", "status": "open", "at": (3 * KM, 0)},
    )  # fmt: skip
    put(database, "settlements", {"name": "village", "population_persons": 50, "at": (2.5 * KM, 0)})


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [feature["properties"]["name"] for feature in answer.json()["features"]]


def test_the_answer_by_road(town: None, client: TestClient) -> None:
    answer = client.get(f"{NEAR}&route=true&k=2&profile=car")
    assert names(answer) == ["east", "west"]
    told = answer.json()
    assert told["features"][0]["properties"]["route"]["type"] == "LineString"
    assert told["query"] == {
        "lon": 2 * KM, "lat": 0, "layers": ["shelters"], "k": 2, "by": "road", "profile": "car", "route": True,
    }  # fmt: skip
    assert told["network"]["profile"] == "car"


def test_a_closure_is_seen_by_the_next_answer(town: None, database: str, client: TestClient) -> None:
    assert names(client.get(NEAR)) == ["east", "west"]
    put(database, "road_closures", {"effect": "forbid", "at": f"LINESTRING({2.4 * KM} -0.001, {2.4 * KM} 0.001)"})
    started = time.monotonic()
    answer = client.get(NEAR)
    assert names(answer) == ["west"]
    assert answer.json()["skipped"][0]["reason"] == "unreachable"
    assert time.monotonic() - started < 5  # no build: the figure is a benchmark's


def test_many_ask_while_roads_are_closed_and_opened(town: None, database: str, client: TestClient) -> None:
    assert names(client.get(NEAR)) == ["east", "west"]

    def ask(number: int) -> int:
        profile = ("fire_engine", "car", "foot")[number % 3]
        return client.get(f"{NEAR}&profile={profile}&hazard={'landslide' if number % 2 else 'flood'}").status_code

    def close(number: int) -> None:
        x = (0.6 + number / 10) * KM
        put(database, "road_closures", {"effect": "forbid", "at": f"LINESTRING({x} -0.001, {x} 0.001)"})
        if number % 3 == 0:
            with transaction(database) as cursor:
                cursor.execute("DELETE FROM layers.road_closures")

    with ThreadPoolExecutor(8) as pool:
        closed = [pool.submit(close, number) for number in range(12)]
        told = list(pool.map(ask, range(60)))
    assert all(one.result() is None for one in closed)
    assert set(told) == {200}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("&profile=tank", "profile"), ("&max_s=-1", "max_s"), ("&max_s=x", "max_s"), ("&at=yesterday", "at"),
     ("&at=2026-11-28", "at"), ("&hazard=x", "hazard"), ("&route=maybe", "route"),
     ("&as_of=2026-01-01T00:00:00Z", "as_of"), ("&k=0", "k")],
)  # fmt: skip
def test_what_is_not_valid_is_refused(town: None, client: TestClient, query: str, parameter: str) -> None:
    answer = client.get(NEAR + query)
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] == parameter


@pytest.mark.parametrize("name", ["profile", "max_s", "at", "route"])
def test_what_is_about_roads_is_refused_by_line(town: None, client: TestClient, name: str) -> None:
    answer = client.get(f"/nearest?lon=0&lat=0&{name}=1")
    assert (answer.status_code, answer.json()["parameter"]) == (400, name)


def test_without_roads(database: str, client: TestClient) -> None:
    answer = client.get(NEAR)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "by")


def test_what_is_noteworthy_about_the_network(town: None, database: str, client: TestClient) -> None:
    put(database, "roads", {"class": "path", "at": "LINESTRING(1 1, 1.001 1)"})
    told = client.get("/network").json()
    assert told["report"]["edges"] == 3
    assert told["report"]["islands"]["count"] == 1
    assert told["report"]["barred"]["count"] == 1
    assert told["report"]["traps"] == {"count": 0, "examples": []}
    assert told["network"]["profile"] == "fire_engine"


def test_processes_are_listed_and_described(client: TestClient) -> None:
    listed = client.get("/processes").json()["processes"]
    assert [one["id"] for one in listed] == ["nearest", "matrix", "service-area", "access"]
    for one in listed:
        told = client.get(f"/processes/{one['id']}").json()
        assert told["inputs"]
        assert told["jobControlOptions"] == ["sync-execute"]
    assert client.get("/processes/nothing").status_code == 404


def run(client: TestClient, name: str, **inputs: Any) -> Any:
    return client.post(f"/processes/{name}/execution", json={"inputs": inputs})


def test_processes_answer(town: None, client: TestClient) -> None:
    answer = run(client, "nearest", lon=2 * KM, lat=0, layers=["shelters"])
    assert names(answer) == names(client.get(NEAR))
    table = run(client, "matrix", origins=[[0, 0]], destinations=[[KM, 0], [0, 9]]).json()
    assert table["travel_time_s"] == [[pytest.approx(80, abs=0.2), None]]
    area = run(client, "service-area", places=[[0, 0]], bands_s=[100, 250]).json()
    assert [one["properties"]["persons"] for one in area["features"]] == [None, 50]
    (village,) = run(client, "access").json()["features"]
    assert village["properties"]["travel_time_s"] == pytest.approx(40, abs=0.2)


@pytest.mark.parametrize(
    ("name", "inputs"),
    [("matrix", {}), ("matrix", {"origins": [[0]], "destinations": [[0, 0]]}),
     ("matrix", {"origins": [[0, 1e300]], "destinations": [[0, 0]]}), ("nearest", {"lon": 0}),
     ("nearest", {"lon": 0, "lat": 0, "tank": 1}), ("service-area", {"places": [[0, 0]], "bands_s": [9, 3]}),
     ("service-area", {"places": [[0, 95]]}), ("access", {"layer": "roads"}), ("access", {"profile": "tank"}),
     ("matrix", {"origins": [[0, 0]] * 4000, "destinations": [[0, 0]] * 4000})],
)  # fmt: skip
def test_inputs_that_are_not_valid_are_refused(town: None, client: TestClient, name: str, inputs: Any) -> None:
    answer = run(client, name, **inputs)
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"]


def test_what_is_wrong_with_inputs_is_said(town: None, client: TestClient) -> None:
    unknown = run(client, "matrix", orig=[[0, 0]], destinations=[[0, 0]]).json()
    assert (unknown["parameter"], "origins" in unknown["expected"]) == ("orig", True)
    missing = run(client, "matrix", destinations=[[0, 0]]).json()
    assert (missing["parameter"], missing["expected"]) == ("origins", "[[lon, lat], …], WGS 84")
    swapped = run(client, "service-area", places=[[27.3, 105.3]]).json()
    assert swapped["detail"].endswith("a place lies outside the world: [longitude, latitude] in degrees")
    many = run(client, "matrix", origins=[[0, 0]] * 201, destinations=[[0, 0]] * 201).json()
    assert many["expected"] == "200 at most on the shorter side"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"inputs": 3}', b"\xff", b"[" * 100_000, b'{"inputs": {"lon": NaN}}']
)
def test_bodies_that_are_not_inputs_are_refused(client: TestClient, body: bytes) -> None:
    assert client.post("/processes/nearest/execution", content=body).status_code == 400
