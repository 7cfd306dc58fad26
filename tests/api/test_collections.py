"""Collections and items: OGC API Features."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.gis.rows import put, square


def items(client: TestClient, query: str = "", layer: str = "shelters") -> dict[str, Any]:
    answer = client.get(f"/collections/{layer}/items{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    told: dict[str, Any] = answer.json()
    assert told["numberReturned"] == len(told["features"])
    return told


def names(told: dict[str, Any]) -> list[str]:
    return [feature["properties"]["name"] for feature in told["features"]]


def test_sample_and_real_are_counted_apart(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "real", "at": (105, 27)}, {"name": "withheld", "at": (1, 1), "withheld": True})
    put(database, "shelters", {"name": "a", "at": (106, 28)}, {"name": "b", "at": (106, 28)}, source="sample")
    told = {c["id"]: c for c in client.get("/collections").json()["collections"]}["shelters"]
    assert told["counts"] == {"real": 1, "sample": 2}
    assert [(s["id"], s["sample"], s["count"], s["attribution"]) for s in told["sources"]] == [
        ("test", False, 1, "© test"),
        ("sample", True, 2, "© sample"),
    ]
    assert told["extent"]["spatial"]["bbox"] == [[105, 27, 106, 28]]
    assert client.get("/collections/shelters").json() == told


def test_a_collection_tells_what_the_map_needs(client: TestClient) -> None:
    told = client.get("/collections/shelters").json()
    assert told["titles"] == {"zh": "应急避难场所", "en": "Shelters"}
    layer = told["layer"]
    assert (layer["geometry"], layer["name_field"], layer["nearest"]) == ("Point", "name", {"default": True, "k": 5})
    fields = {field["name"]: field for field in layer["fields"]}
    assert fields["status"]["codes"][0] == {"code": "open", "label": {"zh": "开放", "en": "Open"}}
    assert fields["capacity_persons"]["unit"] == "persons"
    assert not {"contact_phone", "note", "withheld"} & set(fields)
    assert layer["map"]["rules"][0]["symbol"]["shape"] == "square"
    assert client.get("/collections/stock").json()["layer"]["map"] is None
    assert "extent" not in told


def test_the_schema_shows_public_fields_only(client: TestClient) -> None:
    for kind in ("schema", "queryables"):
        properties = client.get(f"/collections/shelters/{kind}").json()["properties"]
        assert properties["status"]["enum"] == ["open", "standby", "closed"]
        assert properties["suitable_hazards"]["items"]["enum"][0] == "landslide"
        assert "contact_phone" not in properties


def test_an_item_as_geojson(database: str, client: TestClient) -> None:
    (number,) = put(
        database,
        "shelters",
        {
            "name": "学校",
            "at": (105.123456789, 27.5),
            "capacity_persons": 5,
            "contact_phone": "1",
            "flags": ["location_doubt"],
        },
    )
    answer = client.get(f"/collections/shelters/items/{number}")
    told = answer.json()
    assert (told["type"], told["id"]) == ("Feature", number)
    assert told["geometry"] == {"type": "Point", "coordinates": [105.1234568, 27.5]}
    properties = told["properties"]
    assert (properties["name"], properties["capacity_persons"], properties["occupancy_persons"]) == ("学校", 5, None)
    assert (properties["source"], properties["sample"], properties["flags"]) == ("test", False, ["location_doubt"])
    assert "contact_phone" not in answer.text
    assert items(client)["features"][0] == {key: told[key] for key in ("type", "id", "geometry", "properties")}


def test_withheld_and_missing_are_answered_alike(database: str, client: TestClient) -> None:
    (number,) = put(database, "shelters", {"name": "secret", "at": (1, 1), "withheld": True})
    withheld = client.get(f"/collections/shelters/items/{number}")
    missing = client.get(f"/collections/shelters/items/{number + 1}")
    assert withheld.status_code == missing.status_code == 404
    assert withheld.json()["detail"].replace(str(number), "N") == missing.json()["detail"].replace(str(number + 1), "N")
    assert items(client)["features"] == []


def test_private_and_missing_fields_are_answered_alike(client: TestClient) -> None:
    for query in ("?{}=1", "?properties={}"):
        private, missing = (
            client.get("/collections/shelters/items" + query.format(name))
            for name in ("contact_phone", "no_such_phone")
        )
        assert private.status_code == missing.status_code == 400
        assert private.text.replace("contact_phone", "X") == missing.text.replace("no_such_phone", "X")


def test_pages_cover_every_item_once(database: str, client: TestClient) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (n, 0), "status": "open"} for n in range(7)))
    put(database, "shelters", {"name": "closed", "at": (0, 0), "status": "closed"})
    url, seen = "/collections/shelters/items?limit=3&status=open", []
    while url:
        told = client.get(url).json()
        seen += names(told)
        url = next((link["href"] for link in told["links"] if link["rel"] == "next"), None)
    assert seen == [f"s{n}" for n in range(7)]
    assert all(link["rel"] != "next" for link in items(client, "?limit=8")["links"])


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ("0,0,10,10", ["a"]),
        ("9,9,9,9", []),
        ("5,5,5,5", ["a"]),
        ("170,-10,-170,10", ["east", "west"]),
        ("-180,-90,180,90", ["a", "east", "west"]),
        ("0,0,-100,10,10,100", ["a"]),
        ("5.0000001,0,10,10", []),
    ],
)
def test_bbox(database: str, client: TestClient, box: str, inside: list[str]) -> None:
    put(
        database,
        "shelters",
        {"name": "a", "at": (5, 5)},
        {"name": "east", "at": (179, 0)},
        {"name": "west", "at": (-179, 0)},
    )
    assert names(items(client, f"?bbox={box}")) == inside


def test_bbox_asks_the_shape_not_its_box(database: str, client: TestClient) -> None:
    put(database, "rivers", {"name": "diagonal", "at": "MULTILINESTRING((0 0, 10 10))"})
    assert names(items(client, "?bbox=6,0,10,4", "rivers")) == []
    assert names(items(client, "?bbox=4,4,6,6", "rivers")) == ["diagonal"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=open", ["a"]),
        ("suitable_hazards=flood", ["a"]),
        ("capacity_persons=10", ["b"]),
        ("indoor=true", ["a"]),
        ("indoor=false", ["b"]),
        ("area_m2=1.5", ["a"]),
        ("stated_at=2026-01-01T08:00:00%2B08:00", ["a"]),
        ("stated_at=2026-01-01", ["a"]),
        ("source=test", ["a", "b"]),
        ("sample=false", ["a", "b"]),
        ("sample=true", []),
        ("flags=capacity_zero", ["b"]),
        ("name=a&status=open", ["a"]),
        ("name=a&status=closed", []),
        ("q=%E5%AD%A6", []),
        ("q=A", ["a"]),
        ("q=xyz", ["b"]),
        ("q=%25", []),
        ("source=none", []),
    ],
)
def test_filters(database: str, client: TestClient, query: str, found: list[str]) -> None:
    put(
        database,
        "shelters",
        {
            "name": "a",
            "at": (1, 1),
            "status": "open",
            "suitable_hazards": ["landslide", "flood"],
            "indoor": True,
            "area_m2": 1.5,
            "stated_at": "2026-01-01T00:00:00Z",
        },
        {
            "name": "b",
            "at": (1, 1),
            "capacity_persons": 10,
            "indoor": False,
            "flags": ["capacity_zero"],
            "name_initials": "xyz",
        },
    )
    assert names(items(client, f"?{query}")) == found


def test_dates_and_items_are_filtered_by_value(database: str, client: TestClient) -> None:
    put(database, "hazard_points", {"name": "p", "at": (1, 1), "found_on": "2024-06-30"})
    assert names(items(client, "?found_on=2024-06-30", "hazard_points")) == ["p"]
    (depot,) = put(database, "supply_depots", {"name": "d", "at": (1, 1)})
    put(database, "stock", {"depot": depot, "item_name": "tent"})
    told = items(client, f"?depot={depot}", "stock")
    assert (told["features"][0]["geometry"], told["features"][0]["properties"]["item_name"]) == (None, "tent")


def test_items_are_asked_by_their_own_time(database: str, client: TestClient) -> None:
    put(
        database,
        "incidents",
        {"name": "slide", "at": (1, 1), "occurred_at": "2026-11-20T13:55:00+08:00"},
        {"name": "flood", "at": (1, 1), "occurred_at": "2026-11-21T13:55:00+08:00"},
    )
    assert names(items(client, "?datetime=2026-11-20", "incidents")) == ["slide"]
    assert names(items(client, "?datetime=2026-11-20T13:55:01%2B08:00/..", "incidents")) == ["flood"]
    assert client.get("/collections/incidents").json()["layer"]["time"] == {"start": "occurred_at", "end": None}


def test_properties_are_chosen(database: str, client: TestClient) -> None:
    put(database, "risk_zones", {"name": "z", "at": square(0, 0, 1), "hazard": "flood"})
    (feature,) = items(client, "?properties=name,sample", "risk_zones")["features"]
    assert feature["properties"] == {"name": "z", "sample": False}
    assert items(client, "?properties=", "risk_zones")["features"][0]["properties"] == {}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("bbox=1,2,3", "bbox"),
        ("bbox=nan,0,1,1", "bbox"),
        ("bbox=27,105,28,106", "bbox"),
        ("bbox=0,2,1,1", "bbox"),
        ("bbox=181,0,182,1", "bbox"),
        ("limit=0", "limit"),
        ("limit=1e3", "limit"),
        ("limit=-9" + "9" * 40, "limit"),
        ("cursor=zz", "cursor"),
        ("cursor=%FF", "cursor"),
        ("cursor=ZmlkIC0x", "cursor"),
        ("datetime=yesterday", "datetime"),
        ("datetime=2026-11-21/2026-11-20", "datetime"),
        ("status=shut", "status"),
        ("suitable_hazards=meteor", "suitable_hazards"),
        ("capacity_persons=x", "capacity_persons"),
        ("capacity_persons=9223372036854775808", "capacity_persons"),
        ("area_m2=inf", "area_m2"),
        ("indoor=1", "indoor"),
        ("stated_at=yesterday", "stated_at"),
        ("sample=2", "sample"),
        ("q=%00", "q"),
        ("name=%00", "name"),
        ("colour=red", "colour"),
        ("fid=1", "fid"),
        ("geom=1", "geom"),
        ("name=a&name=b", "name"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_wrong_values_are_refused_with_what_would_be_right(client: TestClient, query: str, parameter: str) -> None:
    answer = client.get(f"/collections/shelters/items?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["parameter"] == parameter
    assert told["expected"]
    assert told["type"].startswith("/problems/")


def test_items_without_a_place_lie_in_every_box(database: str, client: TestClient) -> None:
    (depot,) = put(database, "supply_depots", {"name": "d", "at": (5, 5)})
    put(database, "stock", {"depot": depot, "item_name": "tent"})
    assert items(client, "?bbox=0,0,1,1", "stock")["numberReturned"] == 1


def test_a_limit_above_the_greatest_is_the_greatest(client: TestClient) -> None:
    for limit in ("10001", "9" * 40):
        items(client, f"?limit={limit}")


@pytest.mark.parametrize(
    "path",
    [
        "/collections/castles",
        "/collections/castles/items",
        "/collections/castles/schema",
        "/collections/shelters/items/x",
        "/collections/shelters/items/" + "9" * 40,
        "/collections/shelters/items/-1",
        "/collections/SHELTERS",
    ],
)
def test_what_is_not_there(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
