"""Search over HTTP."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.gis.rows import put


def found(client: TestClient, query: str) -> list[str]:
    answer = client.get(f"/search?{query}")
    assert answer.status_code == 200, answer.text
    return [result["name"] for result in answer.json()["results"]]


def test_what_a_result_tells(database: str, client: TestClient) -> None:
    (number,) = put(
        database, "shelters", {"name": "马鞍中学", "at": (105, 27), "admin_area": "云岭县"}, source="sample"
    )
    (result,) = client.get("/search?q=马鞍").json()["results"]
    assert result == {
        "layer": "shelters", "fid": number, "id": f"shelters.{number}", "name": "马鞍中学", "subtitle": "云岭县",
        "geometry": {"type": "Point", "coordinates": [105, 27]}, "bbox": [105, 27, 105, 27], "sample": True,
    }  # fmt: skip


def test_limit_and_layers(database: str, client: TestClient) -> None:
    put(database, "shelters", *({"name": f"大湾{n}", "at": (n, 0)} for n in range(9)))
    put(database, "settlements", {"name": "大湾村", "at": (5, 5)})
    assert len(found(client, "q=大湾")) == 8
    assert len(found(client, "q=大湾&limit=3")) == 3
    assert found(client, "q=大湾&layers=settlements") == ["大湾村"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "q"), ("q=", "q"), ("q=%00", "q"), ("q=" + "a" * 1001, "q"), ("q=a&limit=0", "limit"),
        ("q=a&limit=101", "limit"), ("q=a&near=1", "near"), ("q=a&near=27,105", "near"), ("q=a&near=x,y", "near"),
        ("q=a&layers=castles", "layers"), ("q=a&colour=red", "colour"), ("q=a&q=b", "q"),
    ],
)  # fmt: skip
def test_wrong_questions(client: TestClient, query: str, parameter: str) -> None:
    answer = client.get(f"/search?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


@pytest.mark.parametrize("q", ["%25", "_", "%5C", "%27", "%FF", "%ED%A0%80", "%20", "%F0%9F%98%80"])
def test_signs_stand_for_themselves(database: str, client: TestClient, q: str) -> None:
    put(database, "shelters", {"name": "abc", "at": (1, 1)})
    assert found(client, f"q={q}") == []
