"""Vector tiles: what they carry at which zoom, and that nothing gets lost."""

from __future__ import annotations

import gzip
import math
import re
from typing import Any

import mapbox_vector_tile
import pytest
from starlette.testclient import TestClient

from tests.gis.rows import put, square


def tile_of(lon: float, lat: float, z: int) -> tuple[int, int, int]:
    x = (lon + 180) / 360
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return z, int(x * 2**z), int(y * 2**z)


def layers_at(client: TestClient, layers: str, lon: float, lat: float, z: int) -> dict[str, Any]:
    _, x, y = tile_of(lon, lat, z)
    answer = client.get(f"/tiles/{layers}/{z}/{x}/{y}.mvt")
    if answer.status_code == 204:
        return {}
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    decoded: dict[str, Any] = mapbox_vector_tile.decode(answer.content)
    return decoded


def count_in(layer: dict[str, Any]) -> int:
    """The items that a layer of a tile stands for."""
    return sum(feature["properties"].get("point_count", 1) for feature in layer["features"])


def test_several_layers_with_the_fields_of_the_zoom(database: str, client: TestClient) -> None:
    (shelter,) = put(
        database, "shelters", {"name": "s", "at": (105, 27), "class": "long", "status": "open", "contact_phone": "1"}
    )
    put(database, "rescue_teams", {"name": "t", "at": (105, 27), "speciality": ["fire", "mine"]}, source="sample")
    low, high = (layers_at(client, "shelters,rescue_teams", 105, 27, z) for z in (5, 14))
    assert set(low) == set(high) == {"shelters", "rescue_teams"}
    assert low["shelters"]["features"][0]["properties"] == {"class": "long", "status": "open"}
    assert low["shelters"]["features"][0]["id"] == shelter
    assert high["shelters"]["features"][0]["properties"] == {"class": "long", "status": "open", "name": "s"}
    assert high["rescue_teams"]["features"][0]["properties"] == {"name": "t", "speciality": "fire,mine", "sample": True}
    assert high["shelters"]["extent"] == 4096


def test_the_place_on_the_tile(database: str, client: TestClient) -> None:
    """0° 0° is the north-west corner of tile 1/1/1; 90° E lies in its middle; y grows to the south."""
    put(database, "shelters", {"name": "middle", "at": (90, -66.51326044311186)})
    answer = mapbox_vector_tile.decode(
        client.get("/tiles/shelters/1/1/1.mvt").content, default_options={"y_coord_down": True}
    )
    assert answer["shelters"]["features"][0]["geometry"]["coordinates"] == [2048, 2048]


def test_withheld_rows_have_no_place_on_a_tile(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "secret", "at": (105, 27), "withheld": True})
    assert layers_at(client, "shelters", 105, 27, 14) == {}


def test_an_empty_tile_has_no_content(client: TestClient) -> None:
    answer = client.get("/tiles/shelters/3/1/1.mvt")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("z", [0, 9, 10])
def test_no_point_is_dropped(database: str, client: TestClient, z: int) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (105, 27)} for n in range(300)))
    assert count_in(layers_at(client, "shelters", 105, 27, z)["shelters"]) == 300


def test_roads_come_with_the_zoom(database: str, client: TestClient) -> None:
    put(
        database,
        "roads",
        *(
            {"source_id": name, "class": name, "at": "LINESTRING(105 27, 105.5 27.5)"}
            for name in ("motorway", "secondary", "track", "path", "minor")
        ),
        {"source_id": "none", "at": "LINESTRING(105 27, 105.5 27.5)"},
    )

    def classes(z: int) -> list[str]:
        told = layers_at(client, "roads", 105.001, 27.001, z).get("roads", {"features": []})
        return [feature["properties"].get("class", "none") for feature in told["features"]]

    assert classes(4) == []
    assert classes(5) == ["motorway"]
    assert classes(7) == ["motorway", "secondary"]
    assert classes(10) == ["motorway", "secondary", "minor", "none"]
    assert len(classes(12)) == 6


@pytest.mark.parametrize("z", [0, 3, 8, 12])
def test_no_danger_area_vanishes(database: str, client: TestClient, z: int) -> None:
    """Neither one of ten metres, nor a strip ten kilometres long and two metres wide."""
    strip = "MULTIPOLYGON(((105 27, 105.1 27, 105.1 27.00002, 105 27.00002, 105 27)))"
    put(
        database,
        "risk_zones",
        {"name": "small", "hazard": "flood", "at": square(105, 27, 0.0001)},
        {"name": "strip", "hazard": "flood", "at": strip},
        {"name": "large", "hazard": "flood", "at": square(104, 26, 2)},
    )
    told = layers_at(client, "risk_zones", 105.00005, 27.00001, z)
    assert count_in(told["risk_zones"]) == 3
    drawn = [f for f in told["risk_zones"]["features"] if f["geometry"]["type"] in ("Polygon", "MultiPolygon")]
    assert len(drawn) == (3 if z > 9 else 1)


def test_a_long_line_stays_whole_at_low_zooms(database: str, client: TestClient) -> None:
    points = ", ".join(f"{-170 + n * 0.034:.4f} {20 * math.sin(n / 50):.6f}" for n in range(10_000))
    put(database, "rivers", {"name": "long", "class": "river", "at": f"MULTILINESTRING(({points}))"})
    for z in (5, 6, 8):
        assert len(layers_at(client, "rivers", 0.01, 0.5, z)["rivers"]["features"]) == 1


def test_a_mixed_layer(database: str, client: TestClient) -> None:
    put(
        database,
        "hazard_sources",
        {"name": "p", "at": (105, 27)},
        {"name": "l", "at": "LINESTRING(105 27, 105.2 27.1)"},
        {"name": "a", "at": "POLYGON((105 27, 105.1 27, 105.1 27.1, 105 27))"},
    )
    told = layers_at(client, "hazard_sources", 105.01, 27.005, 12)
    assert sorted(f["geometry"]["type"] for f in told["hazard_sources"]["features"]) == [
        "LineString",
        "Point",
        "Polygon",
    ]


def test_points_beyond_the_mercator_square_have_no_tile(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "pole", "at": (0, 90)})
    assert client.get("/tiles/shelters/0/0/0.mvt").status_code == 204


def test_tags_and_compression(database: str, client: TestClient) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (105, 27)} for n in range(50)))
    path = "/tiles/shelters/0/0/0.mvt"
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
        tag = answer.headers["etag"]
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(packed) == plain.content
    again = client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("shelters/0/1/0", 400),
        ("shelters/0/0/1", 400),
        ("shelters/23/0/0", 400),
        ("shelters/-1/0/0", 400),
        ("shelters/a/0/0", 400),
        ("shelters/" + "9" * 40 + "/0/0", 400),
        ("shelters/1/1.5/0", 400),
        ("castles/0/0/0", 404),
        ("shelters,castles/0/0/0", 404),
        ("stock/0/0/0", 404),
        ("/0/0/0", 404),
        ("shelters/0/0", 404),
        (",".join(f"l{n}" for n in range(33)) + "/0/0/0", 400),
        ("shelters/%D9%A1/0/0", 400),
    ],
)
def test_wrong_addresses(client: TestClient, path: str, status: int) -> None:
    answer = client.get(f"/tiles/{path}.mvt")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_tile_has_no_parameters(client: TestClient) -> None:
    assert client.get("/tiles/shelters/0/0/0.mvt?x=1").status_code == 400


def test_tilejson(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "s", "at": (1, 1)})
    told = client.get("/tiles/shelters,roads.json").json()
    assert told["tilejson"] == "3.0.0"
    (template,) = told["tiles"]
    assert re.fullmatch(r"http://testserver/tiles/shelters,roads/\{z\}/\{x\}/\{y\}\.mvt\?v=\d+", template)
    assert told["bounds"] == [1, 1, 1, 1]
    assert told["attribution"] == "© test"
    assert [layer["id"] for layer in told["vector_layers"]] == ["shelters", "roads"]
    assert {"class", "status", "name", "sample"} <= set(told["vector_layers"][0]["fields"])
    assert client.get("/tiles/castles.json").status_code == 404
