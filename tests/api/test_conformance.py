"""Every conformance class that ``/conformance`` claims: its requirements, one test each, named as in the standard.

OGC 17-069r4 (Features Part 1), 18-058r1 (Part 2), 19-079r2 (Part 3), 21-065r2 (CQL2).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from api.routes.service import CONFORMANCE
from layers.catalog import catalog
from tests.gis.rows import put, square

PROVEN: dict[str, list[Callable[..., None]]] = {}
FEATURES = "http://www.opengis.net/spec/ogcapi-features-"
CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf/"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
SHELTERS = "/collections/shelters"
HTML = {"accept": "text/html"}


def proves(*classes: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test as one of those for some conformance classes."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        for name in classes:
            PROVEN.setdefault(name, []).append(test)
        return test

    return mark


CORE, OAS30, HTML_CLASS, GEOJSON = (f"{FEATURES}1/1.0/conf/{name}" for name in ("core", "oas30", "html", "geojson"))
CRS = f"{FEATURES}2/1.0/conf/crs"
QUERYABLES, QUERY_PARAMETERS, FILTER, FEATURES_FILTER = (
    f"{FEATURES}3/1.0/conf/{name}"
    for name in ("queryables", "queryables-query-parameters", "filter", "features-filter")
)


@pytest.fixture
def rows(database: str) -> dict[str, int]:
    """Three shelters, a drill, an incident, a zone and a row without a place; their numbers by name."""
    shelters = put(
        database,
        "shelters",
        {
            "name": "open", "at": (105, 27), "status": "open", "capacity_persons": 100, "occupancy_persons": 100,
            "indoor": True, "suitable_hazards": ["flood", "landslide"], "stated_at": "2026-11-20T06:00:00Z",
        },
        {"name": "closed", "at": (106, 28), "status": "closed", "capacity_persons": 50, "suitable_hazards": ["flood"]},
        {"name": "bare", "at": (107, 29)},
    )  # fmt: skip
    put(
        database,
        "drills",
        {"name": "held", "at": (105, 27), "held_on": "2026-05-12"},
        {"name": "some day", "at": (1, 1)},
    )
    put(database, "risk_zones", {"name": "zone", "at": square(0, 0, 1)})
    (depot,) = put(database, "supply_depots", {"name": "depot", "at": (105, 27)})
    put(database, "stock", {"depot": depot, "item_name": "tent"})
    return dict(zip(("open", "closed", "bare"), shelters, strict=True))


def ok(client: TestClient, path: str, **headers: str) -> Any:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def links_of(told: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    links: dict[str, list[dict[str, str]]] = {}
    for link in told["links"]:
        assert link["rel"]
        assert link["type"]
        links.setdefault(link["rel"], []).append(link)
    return links


def names(client: TestClient, query: str, layer: str = "shelters") -> list[str]:
    found = ok(client, f"/collections/{layer}/items?{query}")["features"]
    return [feature["properties"].get("name", feature["properties"].get("item_name")) for feature in found]


def filtered(client: TestClient, text: str, layer: str = "shelters") -> list[str]:
    return names(client, f"filter={quote(text)}", layer)


def filtered_json(client: TestClient, node: Any, layer: str = "shelters") -> list[str]:
    return names(client, f"filter-lang=cql2-json&filter={quote(json.dumps(node))}", layer)


# --- Features Part 1


@proves(CORE)
def test_root_op_and_success(client: TestClient) -> None:
    for path in ("/", "/api"):
        links = links_of(ok(client, path, accept="application/json"))
        assert {"service-desc", "conformance", "data", "self"} <= set(links)


@proves(CORE, OAS30)
def test_api_definition_op_and_success(client: TestClient) -> None:
    (link,) = links_of(ok(client, "/api"))["service-desc"]
    answer = client.get(link["href"], headers={"accept": link["type"]})
    assert answer.status_code == 200
    assert answer.headers["content-type"].split(";")[0] in ("application/json", link["type"].split(";")[0])
    assert answer.json()["openapi"].startswith("3.0.")


@proves(CORE)
def test_conformance_op_and_success(client: TestClient) -> None:
    assert set(CONFORMANCE) <= set(ok(client, "/conformance")["conformsTo"])


@proves(CORE)
def test_query_param_unknown_and_invalid(client: TestClient, rows: dict[str, int]) -> None:
    paths = ["/api", "/conformance", "/collections", SHELTERS, f"{SHELTERS}/items", f"{SHELTERS}/items/{rows['open']}"]
    for path in paths:
        assert client.get(f"{path}?unknown=1").status_code == 400
    for query in ("limit=0", "limit=x", "bbox=1,2", "datetime=x", "status=x"):
        assert client.get(f"{SHELTERS}/items?{query}").status_code == 400


@proves(CORE)
def test_fc_md(client: TestClient, rows: dict[str, int]) -> None:
    told = ok(client, "/collections")
    assert [one["id"] for one in told["collections"]] == list(catalog())
    assert {"self", "alternate"} <= set(links_of(told))
    for one in told["collections"]:
        items = links_of(one)["items"]
        assert {link["type"] for link in items} == {"application/geo+json", "text/html"}
        for box in one.get("extent", {}).get("spatial", {}).get("bbox", []):
            assert len(box) == 4


@proves(CORE)
def test_sfc_md(client: TestClient, rows: dict[str, int]) -> None:
    listed = {one["id"]: one for one in ok(client, "/collections")["collections"]}
    for name in ("shelters", "stock", "drills"):
        one = ok(client, f"/collections/{name}")
        for part in ("id", "title", "description", "extent"):
            assert one.get(part) == listed[name].get(part)


@proves(CORE)
def test_fc_op_and_response(client: TestClient, rows: dict[str, int]) -> None:
    for name in catalog():
        before = datetime.now(UTC) - timedelta(seconds=1)
        told = ok(client, f"/collections/{name}/items")
        assert {"self", "alternate"} <= set(links_of(told))
        assert before <= datetime.fromisoformat(told["timeStamp"]) <= datetime.now(UTC) + timedelta(seconds=1)
        assert told["numberReturned"] == told["numberMatched"] == len(told["features"])


@proves(CORE)
def test_fc_limit(client: TestClient, rows: dict[str, int]) -> None:
    assert names(client, "limit=2") == ["open", "closed"]
    assert len(names(client, "limit=10001")) == 3
    told = ok(client, f"{SHELTERS}/items?limit=2")
    assert (told["numberReturned"], told["numberMatched"]) == (2, 3)
    (link,) = links_of(told)["next"]
    assert [f["properties"]["name"] for f in ok(client, link["href"])["features"]] == ["bare"]


@proves(CORE)
def test_fc_bbox(client: TestClient, rows: dict[str, int]) -> None:
    assert names(client, "bbox=104,26,106,28") == ["open", "closed"]
    assert names(client, "bbox=104,26,0,105.5,28,100") == ["open"]
    assert names(client, "bbox=0,0,1,1", "stock") == ["tent"]


@proves(CORE)
def test_fc_time(client: TestClient, rows: dict[str, int]) -> None:
    for query in ("2026-05-12T00:00:00Z", "2026-05-12T00:00:00Z/..", "2026-05-11T00:00:00Z/2026-05-13T00:00:00Z"):
        assert names(client, f"datetime={query}", "drills") == ["held", "some day"]
    for query in ("2026-06-01T00:00:00Z/", "/2026-05-01T00:00:00Z"):
        assert names(client, f"datetime={query}", "drills") == ["some day"]
    assert len(names(client, "datetime=1900-01-01T00:00:00Z")) == 3


@proves(CORE, GEOJSON)
def test_f_op_and_success(client: TestClient, rows: dict[str, int]) -> None:
    path = f"{SHELTERS}/items/{rows['open']}"
    answer = client.get(path)
    assert answer.headers["content-type"] == "application/geo+json"
    told = answer.json()
    assert (told["type"], told["id"]) == ("Feature", rows["open"])
    assert {"self", "alternate", "collection"} <= set(links_of(told))


@proves(CORE)
def test_crs84(client: TestClient, rows: dict[str, int]) -> None:
    assert ok(client, f"{SHELTERS}/items?limit=1")["features"][0]["geometry"]["coordinates"] == [105, 27]


@proves(CORE)
def test_http(client: TestClient, rows: dict[str, int]) -> None:
    assert client.get("/collections/nothing").status_code == 404
    assert client.get(f"{SHELTERS}/items/999999999").status_code == 404
    assert client.delete("/conformance").status_code == 405
    assert client.head("/conformance").content == b""


@proves(OAS30)
def test_oas_definition(client: TestClient) -> None:
    told = ok(client, "/api/openapi.json")
    for path in (
        "/api",
        "/conformance",
        "/collections",
        "/collections/{collection}",
        "/collections/{collection}/items",
    ):
        answers = told["paths"][path]["get"]["responses"]
        assert {"200", "400"} <= set(answers)
    parameters = {one["name"]: one for one in told["paths"]["/collections/{collection}/items"]["get"]["parameters"]}
    assert (
        parameters["limit"]["schema"] | {"type": "integer", "minimum": 1, "maximum": 10000}
        == parameters["limit"]["schema"]
    )
    box = parameters["bbox"]
    assert (box["schema"]["type"], box["schema"]["items"], box["style"], box["explode"]) == (
        "array", {"type": "number"}, "form", False,
    )  # fmt: skip
    assert parameters["datetime"]["schema"]["type"] == "string"
    named = {
        "filter",
        "filter-lang",
        "filter-crs",
        "bbox-crs",
        "crs",
        "sortby",
        "cursor",
        "properties",
        "f",
        "as_of",
        "q",
    }
    assert named <= set(parameters)


@proves(OAS30)
def test_oas_has_nothing_of_a_later_version(client: TestClient) -> None:
    def walk(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            yield value
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from walk(part)

    for one in walk(ok(client, "/api/openapi.json")):
        assert not isinstance(one.get("type"), list)
        assert one.get("type") != "null"
        assert not isinstance(one.get("examples"), list)
        assert "const" not in one
        assert not isinstance(one.get("exclusiveMinimum", True), int) or one.get("exclusiveMinimum", True) is True


@proves(HTML_CLASS)
def test_html_definition_and_content(client: TestClient, rows: dict[str, int]) -> None:
    item = f"{SHELTERS}/items/{rows['open']}"
    for path in ("/", "/api", "/conformance", "/collections", SHELTERS, f"{SHELTERS}/items", item):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert "<html" in answer.text
    assert "105" in client.get(item, headers=HTML).text
    assert 'rel="next"' in client.get(f"{SHELTERS}/items?limit=1", headers=HTML).text


@proves(GEOJSON)
def test_geojson_definition_and_content(client: TestClient, rows: dict[str, int]) -> None:
    answer = client.get(f"{SHELTERS}/items", headers={"accept": "application/geo+json"})
    assert answer.headers["content-type"] == "application/geo+json"
    told = answer.json()
    assert told["type"] == "FeatureCollection"
    for feature in told["features"]:
        assert feature["type"] == "Feature"
        assert set(feature) >= {"id", "geometry", "properties"}


# --- Features Part 2


@proves(CRS)
def test_crs_uri_and_list(client: TestClient, rows: dict[str, int]) -> None:
    told = ok(client, "/collections")
    for one in told["collections"]:
        assert CRS84 in one["crs"]
        assert one["storageCrs"] in one["crs"]
        assert set(one["crs"]) == set(told["crs"])


@proves(CRS)
def test_crs_parameter_and_content_crs(client: TestClient, rows: dict[str, int]) -> None:
    wanted = {
        CRS84: [105, 27], "http://www.opengis.net/def/crs/EPSG/0/4326": [27, 105],
        "http://www.opengis.net/def/crs/EPSG/0/4490": [27, 105],
        "http://www.opengis.net/def/crs/EPSG/0/3857": [11688546.53, 3123471.75],
    }  # fmt: skip
    assert set(ok(client, SHELTERS)["crs"]) == set(wanted)
    for uri, place in wanted.items():
        for path in (f"{SHELTERS}/items?crs={quote(uri)}", f"{SHELTERS}/items/{rows['open']}?crs={quote(uri)}"):
            answer = client.get(path)
            assert answer.headers["content-crs"] == f"<{uri}>"
            told = answer.json()
            assert told.get("features", [told])[0]["geometry"]["coordinates"] == pytest.approx(place, abs=0.02)
    assert client.get(f"{SHELTERS}/items").headers["content-crs"] == f"<{CRS84}>"
    assert client.get(f"{SHELTERS}/items?crs=http://www.opengis.net/def/crs/EPSG/0/1").status_code == 400


@proves(CRS)
def test_bbox_crs(client: TestClient, rows: dict[str, int]) -> None:
    for uri, box in (
        (CRS84, "104,26,105.5,27.5"),
        ("http://www.opengis.net/def/crs/EPSG/0/4326", "26,104,27.5,105.5"),
        ("http://www.opengis.net/def/crs/EPSG/0/4490", "26,104,27.5,105.5"),
        ("http://www.opengis.net/def/crs/EPSG/0/3857", "11577227,3000000,11744205,3186000"),
    ):
        assert names(client, f"bbox={box}&bbox-crs={quote(uri)}") == ["open"]
    assert (
        client.get(f"{SHELTERS}/items?bbox=1,1,2,2&bbox-crs=http://www.opengis.net/def/crs/EPSG/0/1").status_code == 400
    )


# --- Features Part 3


@proves(QUERYABLES)
def test_get_queryables(client: TestClient) -> None:
    (link,) = links_of(ok(client, SHELTERS))["http://www.opengis.net/def/rel/ogc/1.0/queryables"]
    answer = client.get(link["href"])
    assert answer.headers["content-type"] == "application/schema+json"
    told = answer.json()
    assert told["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert told["$id"].endswith("/collections/shelters/queryables")
    assert told["type"] == "object"
    assert told["additionalProperties"] is False
    assert "type" not in told["properties"]["geometry"]
    assert told["properties"]["geometry"]["format"] == "geometry-point"
    assert all("type" in one for name, one in told["properties"].items() if name != "geometry")


@proves(QUERY_PARAMETERS)
def test_queryables_are_parameters(client: TestClient, rows: dict[str, int]) -> None:
    values = {
        "string": "flood", "integer": "1", "number": "1", "boolean": "true", "array": "flood",
        "date": "2026-01-01", "date-time": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    for name, one in ok(client, f"{SHELTERS}/queryables")["properties"].items():
        if name != "geometry":
            value = one.get("enum", one.get("items", {}).get("enum", [values[one.get("format", one["type"])]]))[0]
            assert client.get(f"{SHELTERS}/items?{name}={quote(value)}").status_code == 200, name
    assert names(client, "status=open&capacity_persons=100") == ["open"]
    assert client.get(f"{SHELTERS}/items?no_queryable=1").status_code == 400


@proves(FILTER, FEATURES_FILTER)
def test_filter_param(client: TestClient, rows: dict[str, int]) -> None:
    assert filtered(client, "status = 'open'") == ["open"]
    for wrong in ("no_queryable = 1", "status = ", "status"):
        assert client.get(f"{SHELTERS}/items?filter={quote(wrong)}").status_code == 400


@proves(FILTER, FEATURES_FILTER)
def test_filter_lang_param(client: TestClient, rows: dict[str, int]) -> None:
    assert names(client, f"filter-lang=cql2-text&filter={quote('capacity_persons > 60')}") == ["open"]
    assert filtered_json(client, {"op": ">", "args": [{"property": "capacity_persons"}, 60]}) == ["open"]
    assert client.get(f"{SHELTERS}/items?filter-lang=cql-text&filter=true").status_code == 400


@proves(FILTER, FEATURES_FILTER)
def test_filter_crs_param(client: TestClient, rows: dict[str, int]) -> None:
    text = quote("S_INTERSECTS(geometry, POINT(27 105))")
    assert names(client, f"filter={text}&filter-crs=http://www.opengis.net/def/crs/EPSG/0/4326") == ["open"]
    assert names(client, f"filter={text}") == []
    assert client.get(f"{SHELTERS}/items?filter={text}&filter-crs=x").status_code == 400


@proves(FILTER, FEATURES_FILTER)
def test_mixing_expressions(client: TestClient, rows: dict[str, int]) -> None:
    text = quote("A_CONTAINS(suitable_hazards, ('flood'))")
    assert names(client, f"filter={text}&bbox=105.5,27,107,29") == ["closed"]
    assert names(client, f"filter={text}&status=open&datetime=2026-01-01") == ["open"]


# --- CQL2


@proves(f"{CQL2}cql2-text")
def test_cql2_text(client: TestClient, rows: dict[str, int]) -> None:
    text = "(status = 'open' OR (capacity_persons >= 50 AND NOT (indoor = true))) AND name NOT LIKE 'x%'"
    assert filtered(client, text) == ["open"]


@proves(f"{CQL2}cql2-json")
def test_cql2_json(client: TestClient, rows: dict[str, int]) -> None:
    node = {
        "op": "and",
        "args": [
            {"op": ">=", "args": [{"property": "capacity_persons"}, 50]},
            {"op": "not", "args": [{"op": "isNull", "args": [{"property": "indoor"}]}]},
        ],
    }
    assert filtered_json(client, node) == ["open"]


@proves(f"{CQL2}basic-cql2")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("status = 'open'", ["open"]), ("status <> 'open'", ["closed"]), ("capacity_persons < 100", ["closed"]),
        ("capacity_persons <= 50", ["closed"]), ("capacity_persons > 50", ["open"]),
        ("capacity_persons >= 100", ["open"]), ("stated_at = TIMESTAMP('2026-11-20T06:00:00Z')", ["open"]),
        ("capacity_persons IS NULL", ["bare"]), ("capacity_persons IS NOT NULL", ["open", "closed"]),
        ("indoor = true", ["open"]), ("indoor = false", []),
        ("stated_at > TIMESTAMP('2026-11-20T06:00:00Z')", []), ("stated_at >= DATE('2026-11-20')", ["open"]),
        ("status = 'open' AND indoor = true", ["open"]), ("status = 'open' OR status = 'closed'", ["open", "closed"]),
        ("NOT status = 'open'", ["closed"]), ("true", ["open", "closed", "bare"]), ("false", []),
    ],
)  # fmt: skip
def test_basic_cql2(client: TestClient, rows: dict[str, int], text: str, found: list[str]) -> None:
    assert filtered(client, text) == found


@proves(f"{CQL2}advanced-comparison-operators")
def test_like_between_in(client: TestClient, rows: dict[str, int]) -> None:
    assert filtered(client, "name LIKE 'o_e%'") == ["open"]
    assert filtered(client, "name NOT LIKE '%e%'") == []
    assert filtered(client, "capacity_persons BETWEEN 50 AND 99") == ["closed"]
    assert filtered(client, "capacity_persons NOT BETWEEN 50 AND 99") == ["open"]
    assert filtered(client, "name IN ('open', 'bare')") == ["open", "bare"]
    assert filtered(client, "capacity_persons NOT IN (50)") == ["open"]


@proves(f"{CQL2}case-insensitive-comparison")
def test_casei(client: TestClient, rows: dict[str, int]) -> None:
    assert filtered(client, "CASEI(name) = CASEI('OPEN')") == ["open"]
    assert filtered(client, "CASEI(name) LIKE CASEI('CLO%')") == ["closed"]
    assert filtered(client, "name = 'OPEN'") == []


@proves(f"{CQL2}basic-spatial-functions")
def test_s_intersects_point_and_bbox(client: TestClient, rows: dict[str, int]) -> None:
    assert filtered(client, "S_INTERSECTS(geometry, POINT(105 27))") == ["open"]
    assert filtered(client, "S_INTERSECTS(geometry, BBOX(105.5, 27, 107, 29))") == ["closed", "bare"]
    node = {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [105.5, 27, 106.5, 29]}]}
    assert filtered_json(client, node) == ["closed"]


@proves(f"{CQL2}basic-spatial-functions-plus")
@pytest.mark.parametrize(
    "shape",
    [
        "POLYGON((104 26, 105 26, 105 28, 104 28, 104 26))", "LINESTRING(104 26, 106 28)",
        "MULTIPOINT((105 27), (1 1))",
        "MULTILINESTRING((104 26, 106 28), (0 0, 1 1))", "MULTIPOLYGON(((104 26, 105 26, 105 28, 104 28, 104 26)))",
        "GEOMETRYCOLLECTION(POINT(105 27), LINESTRING(0 0, 1 1))",
    ],
)  # fmt: skip
def test_s_intersects_every_geometry(client: TestClient, rows: dict[str, int], shape: str) -> None:
    assert "open" in filtered(client, f"S_INTERSECTS(geometry, {shape})")
    assert "bare" not in filtered(client, f"S_INTERSECTS(geometry, {shape})")


@proves(f"{CQL2}spatial-functions")
@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("S_CONTAINS(geometry, POINT(0.5 0.5))", True), ("S_CONTAINS(geometry, POINT(1.5 0.5))", False),
        ("S_CROSSES(geometry, LINESTRING(-1 0.5, 0.5 0.5))", True),
        ("S_CROSSES(geometry, LINESTRING(0.2 0.5, 0.5 0.5))", False),
        ("S_DISJOINT(geometry, POINT(5 5))", True), ("S_DISJOINT(geometry, POINT(0 0))", False),
        ("S_EQUALS(geometry, POLYGON((0 0, 0 1, 1 1, 1 0, 0 0)))", True), ("S_EQUALS(geometry, POINT(0 0))", False),
        ("S_INTERSECTS(geometry, POINT(1 1))", True), ("S_INTERSECTS(geometry, POINT(1.1 1))", False),
        ("S_OVERLAPS(geometry, POLYGON((0.5 0, 2 0, 2 1, 0.5 1, 0.5 0)))", True),
        ("S_OVERLAPS(geometry, POLYGON((2 0, 3 0, 3 1, 2 1, 2 0)))", False),
        ("S_TOUCHES(geometry, POINT(1 1))", True), ("S_TOUCHES(geometry, POINT(0.5 0.5))", False),
        ("S_WITHIN(geometry, BBOX(-1, -1, 2, 2))", True), ("S_WITHIN(geometry, BBOX(0, 0, 0.5, 0.5))", False),
    ],
)  # fmt: skip
def test_spatial_functions(client: TestClient, rows: dict[str, int], text: str, holds: bool) -> None:
    assert filtered(client, text, "risk_zones") == (["zone"] if holds else [])


@proves(f"{CQL2}array-functions")
def test_array_functions(client: TestClient, rows: dict[str, int]) -> None:
    assert filtered(client, "A_CONTAINS(suitable_hazards, ('flood', 'landslide'))") == ["open"]
    assert filtered(client, "A_CONTAINEDBY(suitable_hazards, ('flood', 'wildfire'))") == ["closed"]
    assert filtered(client, "A_EQUALS(suitable_hazards, ('flood'))") == ["closed"]
    assert filtered(client, "A_OVERLAPS(suitable_hazards, ('landslide', 'wildfire'))") == ["open"]


@proves(f"{CQL2}property-property")
def test_property_property(client: TestClient, rows: dict[str, int]) -> None:
    assert filtered(client, "capacity_persons = occupancy_persons") == ["open"]
    assert filtered(client, "100 = capacity_persons") == ["open"]
    assert filtered(client, "occupancy_persons < capacity_persons") == []


def test_every_claim_is_proven_and_every_proof_claimed() -> None:
    assert set(CONFORMANCE) == set(PROVEN)
    assert len(CONFORMANCE) == len(set(CONFORMANCE))
