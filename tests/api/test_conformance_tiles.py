"""Each conformance class of OGC API Tiles that is claimed, by its abstract tests."""

from __future__ import annotations

from typing import Any

import mapbox_vector_tile
import pytest
from pyproj import Transformer
from starlette.testclient import TestClient

from api.tilesets import CONFORMANCE
from layers.catalog import catalog
from tests.gis.rows import put, square

TILES = "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/"
MATRICES = "http://www.opengis.net/spec/tms/2.0/conf/"
RELATION = "http://www.opengis.net/def/rel/ogc/1.0/"
MVT = "application/vnd.mapbox-vector-tile"
QUAD = "WebMercatorQuad"
QUAD_URI = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad"
DRAWN = [definition.id for definition in catalog().values() if definition.has_geometry]
TESTED = {
    TILES + "core": "test_core",
    TILES + "tileset": "test_tileset",
    TILES + "tilesets-list": "test_tilesets_list",
    TILES + "dataset-tilesets": "test_dataset_tilesets",
    TILES + "geodata-tilesets": "test_geodata_tilesets",
    TILES + "mvt": "test_mvt",
    MATRICES + "tilematrixset": "test_tile_matrix_set",
    MATRICES + "json-tilematrixset": "test_tile_matrix_set",
    MATRICES + "tilematrixsetlimits": "test_tile_matrix_set_limits",
    MATRICES + "json-tilematrixsetlimits": "test_tile_matrix_set_limits",
    MATRICES + "tilesetmetadata": "test_tileset",
    MATRICES + "json-tilesetmetadata": "test_tileset",
}


def links_of(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {link["rel"]: link for link in told["links"]}


def test_every_claim_is_tested(client: TestClient) -> None:
    assert set(CONFORMANCE) == set(TESTED)
    assert all(name in globals() for name in TESTED.values())
    assert set(CONFORMANCE) <= set(client.get("/conformance").json()["conformsTo"])


def test_core(database: str, client: TestClient) -> None:
    """/conf/core: 200 with what lies on the tile, 204 where nothing does, 400 or 404 outside the grid."""
    put(database, "shelters", {"name": "s", "at": (105, 27)})
    tiles = f"/collections/shelters/tiles/{QUAD}"
    answer = client.get(f"{tiles}/10/432/810")  # column 810 from the west: (105 + 180) / 360 * 1024
    assert (answer.status_code, answer.headers["content-type"]) == (200, MVT)
    assert client.get(f"{tiles}/10/810/432").status_code == 204
    for wrong in ("10/1024/0", "10/0/1024", "23/0/0", "a/0/0", "0/0/b", "0/-1/0", "0/0/99999999999"):
        answer = client.get(f"{tiles}/{wrong}")
        assert answer.status_code in (400, 404), wrong
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("collection", ["shelters", None])
def test_tileset(database: str, client: TestClient, collection: str | None) -> None:
    """/conf/tileset: the matrix set by its registered name and by link, and a template of the tiles that works."""
    put(database, "shelters", {"name": "a", "at": (105, 27)}, {"name": "b", "at": (106, 28)})
    base = f"/collections/{collection}" if collection else ""
    told = client.get(f"{base}/tiles/{QUAD}").json()
    links = links_of(told)
    assert told["dataType"] == "vector"
    assert told["crs"] == "http://www.opengis.net/def/crs/EPSG/0/3857"
    assert told["tileMatrixSetURI"] == QUAD_URI
    assert client.get(links[f"{RELATION}tiling-scheme"]["href"]).json()["uri"] == QUAD_URI
    assert client.get(links["self"]["href"]).json()["title"] == told["title"]
    to_metres = Transformer.from_crs(4326, 3857, always_xy=True)
    assert told["boundingBox"]["crs"] == told["crs"]
    assert told["boundingBox"]["lowerLeft"] == pytest.approx(to_metres.transform(105, 27))
    assert told["boundingBox"]["upperRight"] == pytest.approx(to_metres.transform(106, 28))
    assert [layer["id"] for layer in told["layers"]] == ([collection] if collection else DRAWN)
    template = links["item"]
    assert (template["templated"], template["type"]) == (True, MVT)
    place = {"tileMatrix": "10", "tileRow": "432", "tileCol": "810"}
    assert client.get(template["href"].format(**place)).status_code == 200
    assert told["mediaTypes"] == [MVT]


@pytest.mark.parametrize("base", ["/collections/shelters", ""])
def test_tilesets_list(client: TestClient, base: str) -> None:
    """/conf/tilesets-list: each with data type, CRS, and links to itself and to its matrix set."""
    (told,) = client.get(f"{base}/tiles").json()["tilesets"]
    links = links_of(told)
    assert (told["dataType"], told["tileMatrixSetURI"]) == ("vector", QUAD_URI)
    assert links["self"]["href"].endswith(f"{base}/tiles/{QUAD}")
    assert client.get(links["self"]["href"]).status_code == 200
    assert f"{RELATION}tiling-scheme" in links


def test_dataset_tilesets(client: TestClient) -> None:
    """/conf/dataset-tilesets: the landing page leads to the tilesets of the whole service."""
    links = links_of(client.get("/api").json())
    assert client.get(links[f"{RELATION}tilesets-vector"]["href"]).json()["tilesets"]
    (listed,) = client.get(links[f"{RELATION}tiling-schemes"]["href"]).json()["tileMatrixSets"]
    assert (listed["id"], listed["uri"]) == (QUAD, QUAD_URI)
    assert client.get(links_of(listed)["self"]["href"]).status_code == 200


def test_geodata_tilesets(client: TestClient) -> None:
    """/conf/geodata-tilesets: every collection with geometry leads to its tilesets, and no other does."""
    for told in client.get("/collections").json()["collections"]:
        link = links_of(told).get(f"{RELATION}tilesets-vector")
        assert (link is not None) == (told["id"] in DRAWN)
        if link is not None:
            assert client.get(link["href"]).json()["tilesets"]


def test_mvt(database: str, client: TestClient) -> None:
    """/conf/mvt: features with a geometry and its type; 0, 0 is the north-west corner of the tile."""
    put(database, "shelters", {"name": "middle", "at": (90, -66.51326044311186)})
    put(database, "risk_zones", {"name": "z", "hazard": "flood", "at": square(90, -67, 1)})
    content = client.get(f"/tiles/{QUAD}/1/1/1").content
    told = mapbox_vector_tile.decode(content, default_options={"y_coord_down": True})
    assert set(told) == {"shelters", "risk_zones"}
    (shelter,) = told["shelters"]["features"]
    assert shelter["geometry"] == {"type": "Point", "coordinates": [2048, 2048]}


def test_tile_matrix_set(client: TestClient) -> None:
    """The numbers of the register: 15 digits, halved from zoom to zoom, the side a 0.28 mm pixel at the scale."""
    told = client.get(f"/tileMatrixSets/{QUAD}").json()
    assert (told["id"], told["uri"]) == (QUAD, QUAD_URI)
    assert told["crs"] == "http://www.opengis.net/def/crs/EPSG/0/3857"
    assert told["wellKnownScaleSet"] == "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible"
    assert [matrix["id"] for matrix in told["tileMatrices"]] == [str(zoom) for zoom in range(25)]
    for zoom, matrix in enumerate(told["tileMatrices"]):
        assert matrix["pointOfOrigin"] == [-20037508.3427892, 20037508.3427892]
        assert (matrix["tileWidth"], matrix["tileHeight"]) == (256, 256)
        assert matrix["matrixWidth"] == matrix["matrixHeight"] == 2**zoom
        assert matrix["scaleDenominator"] == pytest.approx(559082264.028717 / 2**zoom, rel=1e-9)
        assert matrix["cellSize"] == pytest.approx(matrix["scaleDenominator"] * 0.00028, rel=1e-12)
        assert len(repr(matrix["scaleDenominator"]).replace(".", "")) <= 15
    assert told["tileMatrices"][0]["scaleDenominator"] == 559082264.028717
    assert told["tileMatrices"][19]["cellSize"] == 0.29858214173897
    assert client.get("/tileMatrixSets/WorldCRS84Quad").status_code == 404


def test_tile_matrix_set_limits(client: TestClient) -> None:
    """What the tileset does not list is not there; the last tile of each limit is."""
    told = client.get(f"/collections/shelters/tiles/{QUAD}").json()
    assert [limits["tileMatrix"] for limits in told["tileMatrixSetLimits"]] == [str(zoom) for zoom in range(23)]
    for limits in told["tileMatrixSetLimits"]:
        path = f"{limits['tileMatrix']}/{limits['maxTileRow']}/{limits['maxTileCol']}"
        assert client.get(f"/collections/shelters/tiles/{QUAD}/{path}").status_code == 204
    assert client.get(f"/collections/shelters/tiles/{QUAD}/23/0/0").status_code == 400
