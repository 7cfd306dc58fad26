"""The standard's address of a tile is another name of the fast path's; TileJSON; what is wrong is said in its words."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from api.tilesets import TILEJSON, as_fast
from tests.gis.rows import put

TILE = "/collections/shelters/tiles/WebMercatorQuad/10/432/810"


def test_the_same_tile_by_both_addresses(database: str, client: TestClient) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (105, 27)} for n in range(50)))
    fast = client.get("/tiles/shelters/10/810/432.mvt")
    for path in (TILE, f"{TILE}?f=mvt", f"{TILE}?v=7", f"{TILE}?f=mvt&v=7"):
        answer = client.get(path)
        assert answer.content == fast.content
        assert {name: answer.headers[name] for name in ("etag", "cache-control", "content-encoding")} == {
            name: fast.headers[name] for name in ("etag", "cache-control", "content-encoding")
        }
        assert client.get(path, headers={"If-None-Match": fast.headers["etag"]}).status_code == 304
    assert client.head(TILE).status_code == 200


def test_a_tile_of_an_earlier_moment(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "s", "at": (105, 27)})
    assert client.get(f"{TILE}?f=mvt&as_of=2000-01-01T00:00:00Z").status_code == 204
    assert client.get(f"{TILE}?f=mvt&status=open").status_code == 204


@pytest.mark.parametrize(
    ("path", "query", "fast", "rest"),
    [
        ("/collections/shelters/tiles/WebMercatorQuad/3/1/2", b"", "/tiles/shelters/3/2/1.mvt", b""),
        ("/collections/roads/tiles/WebMercatorQuad/3/1/2", b"f=mvt&v=1&a=b", "/tiles/roads/3/2/1.mvt", b"v=1&a=b"),
        ("/collections/shelters/tiles/WebMercatorQuad/3/1/2", b"f=png", None, None),
        ("/collections/shelters/tiles/WebMercatorQuad/3/8/2", b"", None, None),
        ("/collections/shelters,roads/tiles/WebMercatorQuad/3/1/2", b"", None, None),
        ("/collections/stock/tiles/WebMercatorQuad/3/1/2", b"", None, None),
        ("/collections/shelters/tiles/WebMercatorQuad/3/1/2/3", b"", None, None),
        ("/collections/shelters/tiles/WebMercatorQuad", b"", None, None),
        ("/collections/shelters/items", b"f=json", None, None),
    ],
)  # fmt: skip
def test_addresses(path: str, query: bytes, fast: str | None, rest: bytes | None) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query}
    taken = as_fast(scope)
    assert (taken["path"], taken["query_string"]) == (fast or path, query if rest is None else rest)


@pytest.mark.parametrize(
    ("path", "status", "parameter"),
    [
        ("WebMercatorQuad/3/8/0", 400, "tileRow"),
        ("WebMercatorQuad/3/0/8", 400, "tileCol"),
        ("WebMercatorQuad/23/0/0", 400, "tileMatrix"),
        ("WebMercatorQuad/x/0/0", 400, "tileMatrix"),
        ("WebMercatorQuad/3/1.5/0", 400, "tileRow"),
        ("WebMercatorQuad/3/%D9%A1/0", 400, "tileRow"),
        ("WebMercatorQuad/3/0/0?f=png", 400, "f"),
        ("WorldCRS84Quad/3/0/0", 404, "tileMatrixSetId"),
        ("WorldCRS84Quad", 404, "tileMatrixSetId"),
        ("WebMercatorQuad?f=html", 400, "f"),
        ("WebMercatorQuad?x=1", 400, "x"),
    ],
)
@pytest.mark.parametrize("base", ["/collections/shelters/tiles", "/tiles"])
def test_what_is_wrong(client: TestClient, base: str, path: str, status: int, parameter: str) -> None:
    answer = client.get(f"{base}/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["parameter"] == parameter


@pytest.mark.parametrize("collection", ["stock", "castles", "shelters,roads", "%00"])
@pytest.mark.parametrize("path", ["", "/WebMercatorQuad", "/WebMercatorQuad/0/0/0"])
def test_no_such_tileset(client: TestClient, collection: str, path: str) -> None:
    assert client.get(f"/collections/{collection}/tiles{path}").status_code == 404


def test_tilejson_of_a_tileset(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "a", "at": (105, 27)}, {"name": "b", "at": (106, 28)})
    path = "/collections/shelters/tiles/WebMercatorQuad"
    asked = client.get(f"{path}?f=tilejson")
    assert asked.headers["content-type"] == TILEJSON
    told = asked.json()
    assert client.get(path, headers={"Accept": TILEJSON}).json() == told
    assert told == client.get("/tiles/shelters.json").json()
    assert (told["bounds"], told["minzoom"], told["maxzoom"]) == ([105, 27, 106, 28], 0, 16)
    assert told["attribution"] == "© test"
    assert {"point_count", "status"} <= set(told["vector_layers"][0]["fields"])
    (template,) = told["tiles"]
    assert client.get(template.format(z=10, x=810, y=432)).status_code == 200


def test_tiles_have_another_address_after_a_change(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "a", "at": (105, 27)})
    before = client.get("/tiles/shelters.json").json()["tiles"]
    put(database, "shelters", {"name": "b", "at": (105, 27)})
    assert client.get("/tiles/shelters.json").json()["tiles"] != before


def test_an_empty_layer_has_no_extent(client: TestClient) -> None:
    assert "bounds" not in client.get("/tiles/shelters.json").json()
    assert "boundingBox" not in client.get("/collections/shelters/tiles/WebMercatorQuad").json()


def test_addresses_in_the_openapi_document(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    tile = paths["/collections/{collection}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}"]["get"]
    assert {parameter["name"] for parameter in tile["parameters"]} == {
        "collection", "tileMatrixSetId", "tileMatrix", "tileRow", "tileCol", "f",
    }  # fmt: skip
    assert "application/vnd.mapbox-vector-tile" in tile["responses"]["200"]["content"]
    fast = paths["/tiles/{layers}/{z}/{x}/{y}.mvt"]["get"]["responses"]
    assert {"200", "204", "304"} <= set(fast)
