"""Nearest over HTTP: how a question is read, and that both ways in give the same answer."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import Service
from api.context import Context
from tests.gis.rows import put


def test_the_answer_is_a_feature_collection(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "closed", "at": (0, 0), "status": "closed"}, {"name": "open", "at": (1, 0)})
    answer = client.get("/nearest?lon=0&lat=0&layers=shelters&k=1&hazard=flood&places=3")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/geo+json"
    told = answer.json()
    assert told["type"] == "FeatureCollection"
    assert [(f["properties"]["name"], f["properties"]["rank"]) for f in told["features"]] == [("open", 1)]
    assert [(s["name"], s["reason"]) for s in told["skipped"]] == [("closed", "closed")]
    assert told["query"] == {
        "lon": 0,
        "lat": 0,
        "layers": ["shelters"],
        "k": 1,
        "by": "line",
        "hazard": "flood",
        "places": 3,
    }
    assert told["answered_at"].endswith("Z")


def test_the_route_answers_as_the_fast_path_does(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "s", "at": (1, 0)})
    assert isinstance(client.app, Service)
    context = Context(database)
    plain = Service.__mro__[1]()  # FastAPI, without the fast path
    plain.include_router(client.app.router)
    plain.state.context = context
    fast, slow = (TestClient(app).get("/nearest?lon=0&lat=0&class=long,hut").json() for app in (client.app, plain))
    context.close()
    for told in (fast, slow):
        told.pop("answered_at")
    assert fast == slow


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "lon"),
        ("lon=1", "lat"),
        ("lon=abc&lat=1", "lon"),
        ("lon=nan&lat=1", "lon"),
        ("lon=inf&lat=1", "lon"),
        ("lon=1_0&lat=1", "lon"),
        ("lon=1e400&lat=1", "lon"),
        (f"lon={'1' * 40}&lat=1", "lon"),
        ("lon=27&lat=105", "lat"),
        ("lon=1&lat=1&k=0", "k"),
        ("lon=1&lat=1&k=101", "k"),
        (f"lon=1&lat=1&k={'9' * 5000}", "k"),
        ("lon=1&lat=1&k=1.5", "k"),
        ("lon=1&lat=1&by=road", "by"),
        ("lon=1&lat=1&by=crow", "by"),
        ("lon=1&lat=1&max_s=60", "max_s"),
        ("lon=1&lat=1&hazard=meteor", "hazard"),
        ("lon=1&lat=1&hazard=%00", "hazard"),
        ("lon=1&lat=1&layers=x", "layers"),
        ("lon=1&lat=1&layers=shelters%27", "layers"),
        ("lon=1&lat=1&places=-1", "places"),
        ("lon=1&lat=1&open=perhaps", "open"),
        ("lon=1&lat=1&class=palace", "class"),
        ("lon=1&lat=1&max_m=-1", "max_m"),
        ("lon=1&lat=1&max_m=nan", "max_m"),
        ("lon=1&lat=1&include=some", "include"),
        ("lon=1&lat=1&colour=red", "colour"),
        ("lon=1&lon=2&lat=1", "lon"),
        ("lon=%F0%9F&lat=1", "lon"),
        ("lon=1&lat=1&class_=long", "class_"),
    ],
)
def test_wrong_questions(client: TestClient, query: str, parameter: str) -> None:
    answer = client.get(f"/nearest?{query}")
    assert answer.status_code == 400, answer.text
    told: dict[str, Any] = answer.json()
    assert told["parameter"] == parameter
    assert told["expected"]


def test_swapped_coordinates_are_suspected(client: TestClient) -> None:
    assert "swapped?" in client.get("/nearest?lon=27&lat=105").json()["detail"]


def test_text_is_only_ever_a_value(database: str, client: TestClient) -> None:
    (depot,) = put(database, "supply_depots", {"name": "d", "at": (1, 0)})
    put(database, "stock", {"depot": depot, "item_name": "tent"})
    for item in ("%27%3B%20DROP%20TABLE%20x--", "%25", "_", "%5C", "%F0%9F%98%80", "%FF"):
        answer = client.get(f"/nearest?lon=0&lat=0&layers=supply_depots&item={item}")
        assert (answer.status_code, answer.json()["features"]) == (200, [])
    assert len(client.get("/nearest?lon=0&lat=0&layers=supply_depots&item=TENT").json()["features"]) == 1
