"""The service as a whole: first view, health, headers, errors, the web app's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from layers.settings import settings
from tests.gis.rows import put, square


def test_an_empty_service_shows_the_world(client: TestClient) -> None:
    told = client.get("/service").json()
    assert (told["name"], told["bbox"], told["area"], told["sample"], told["rasters"]) == (
        "Leeward",
        None,
        None,
        False,
        [],
    )
    assert told["view"]["zoom"] <= 2
    assert told["hazards"][0] == {"code": "landslide", "label": {"zh": "滑坡", "en": "Landslide"}}
    assert told["basemap"] is None


def test_the_view_is_the_sample_countys_when_there_is_one(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "one", "at": (1, 42)}, {"name": "two", "at": (2, 43)})
    told = client.get("/service").json()
    assert (told["sample"], told["bbox"]) == (False, [1, 42, 2, 43])
    assert told["view"]["center"] == pytest.approx([1.5, 42.5], abs=0.01)
    put(database, "shelters", {"name": "a", "at": (105, 27)}, {"name": "b", "at": (106, 28)}, source="sample")
    with TestClient(create_app(database)) as anew:
        told = anew.get("/service").json()
    assert told["sample"] is True
    assert told["view"]["center"] == pytest.approx([105.5, 27.5], abs=0.01)
    assert 7 < told["view"]["zoom"] < 10
    assert told["bbox"] == [1, 27, 106, 43]


@pytest.mark.parametrize(
    ("area", "box", "name"),
    [("520502", [5, 5, 6, 6], {"zh": "县", "en": "County"}), ("1,2,3,4", [1, 2, 3, 4], None), ("nowhere", None, None)],
)
def test_a_settled_area(
    database: str, home: Path, monkeypatch: pytest.MonkeyPatch, area: str, box: list[float], name: dict[str, str]
) -> None:
    put(database, "admin_areas", {"name": "县", "name_en": "County", "source_id": "520502", "at": square(5, 5, 1)})
    monkeypatch.setenv("LEEWARD_AREA", area)
    settings.cache_clear()
    with TestClient(create_app(database)) as running:
        told = running.get("/service").json()
    assert told["area"] == name
    assert told["bbox"] == (box or [5, 5, 6, 6])


def test_alive_and_ready(client: TestClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_without_a_database_the_service_lives_but_is_not_ready(home: Path) -> None:
    with TestClient(create_app("postgresql://nobody@127.0.0.1:1/nothing")) as running:
        assert running.get("/healthz").status_code == 200
        paths = (
            "/readyz",
            "/nearest?lon=0&lat=0",
            "/collections",
            "/service",
            "/tiles/shelters/0/0/0.mvt",
            "/search?q=a",
        )
        for path in paths:
            answer = running.get(path)
            assert answer.status_code == 503, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            assert "nobody" not in answer.text


def test_the_landing_page_leads_on(client: TestClient) -> None:
    links = {link["rel"]: link["href"] for link in client.get("/api").json()["links"]}
    for rel in ("service-desc", "conformance", "data"):
        assert client.get(links[rel]).status_code == 200


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("*/*", "text/html"),
        ("application/json", "application/json"),
        ("application/geo+json, application/json", "application/json"),
    ],
)
def test_the_root_is_the_map_or_the_landing_page(client: TestClient, accept: str, kind: str) -> None:
    answer = client.get("/", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].split(";")[0] == kind
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize("host", ["testserver", "leeward.example.org:8443", "[::1]:8000", 'x"y', "é".encode()])
def test_links_are_absolute(database: str, client: TestClient, host: str | bytes) -> None:
    put(database, "shelters", {"name": "a", "at": (1, 1)}, {"name": "b", "at": (1, 1)})
    expected = "http://" + (host if isinstance(host, str) else host.decode("latin-1")) + "/"
    for path in ("/api", "/collections", "/collections/shelters/items?limit=1", "/tiles", "/tileMatrixSets"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 200
        links = answer.json()["links"]
        assert links
        assert all(link["href"].startswith(expected) for link in links)


def test_the_openapi_document_is_complete(client: TestClient) -> None:
    told = client.get("/api/openapi.json").json()
    paths = told["paths"]
    for path in (
        "/nearest", "/search", "/service", "/collections", "/collections/{collection}/items", "/healthz", "/readyz",
        "/tiles/{layers}/{z}/{x}/{y}.mvt", "/tiles/{layers}.json", "/rasters/{raster}/{z}/{x}/{y}.png",
    ):  # fmt: skip
        operation = paths[path]["get"]
        assert operation["summary"]
        assert "application/problem+json" in operation["responses"]["400"]["content"]
        for parameter in operation.get("parameters", []):
            assert parameter.get("description") or parameter["schema"].get("description") or path.startswith("/coll"), (
                parameter
            )
    named = {parameter["name"] for parameter in paths["/nearest"]["get"]["parameters"]}
    assert {"lon", "lat", "layers", "k", "by", "hazard", "places", "open", "class", "item", "max_m", "include"} <= named


@pytest.mark.parametrize("path", ["/", "/service", "/nearest", "/nothing", "/healthz"])
def test_every_answer_has_its_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["script-src"] == "'self'"
    assert policy["worker-src"] == "'self' blob:"
    assert policy["img-src"] == "'self' data: blob:"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"]


def test_a_tile_has_those_that_count_for_it(client: TestClient) -> None:
    headers = client.get("/tiles/shelters/0/0/0.mvt").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"]
    assert "content-security-policy" not in headers  # it is about pages


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://tiles.example.org/{z}/{x}/{y}.png", "https://tiles.example.org"),
     ("https://t{s}.example.org/{z}/{x}/{y}.png", "https://*.example.org")],
)  # fmt: skip
def test_the_policy_allows_the_basemap(
    database: str, home: Path, monkeypatch: pytest.MonkeyPatch, url: str, host: str
) -> None:
    monkeypatch.setenv("LEEWARD_BASEMAP_URL", url)
    monkeypatch.setenv("LEEWARD_BASEMAP_ATTRIBUTION", "somebody")
    settings.cache_clear()
    with TestClient(create_app(database)) as running:
        answer = running.get("/service")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["connect-src"] == f"'self' {host}"
    assert policy["img-src"].endswith(host)
    assert answer.json()["basemap"]["url"] == url


@pytest.mark.parametrize("path", ["/service", "/collections", "/collections/shelters", "/api", "/conformance"])
def test_unknown_parameters_are_refused(client: TestClient, path: str) -> None:
    answer = client.get(f"{path}?colour=red")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/unknown-parameter")


def test_problems_can_be_looked_up(client: TestClient) -> None:
    told = client.get("/nearest?colour=red").json()
    assert client.get(told["type"]).json()["status"] == 400
    assert client.get("/problems/none").status_code == 404


@pytest.mark.parametrize(
    "path", ["/nothing", "/collections/%00", "/%00", "/" + "a" * 5000, "/%2e%2e/%2e%2e/etc/passwd", "/docs"]
)
def test_nothing_at_an_address(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_methods(client: TestClient) -> None:
    answer = client.post("/nearest")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.headers["content-type"] == "application/problem+json"
    for path in ("/", "/healthz", "/nearest?lon=0&lat=0"):
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")


def test_a_page_says_how_to_build_the_web_app(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "./dev setup" in answer.text


def test_the_web_app_is_served(home: Path, client: TestClient) -> None:
    (home / "web" / "assets").mkdir(parents=True)
    (home / "web" / "index.html").write_text("<!doctype html><title>map</title>")
    (home / "web" / "assets" / "index-CK3I0IzN.js").write_text("1")
    (home / "web" / "plain.json").write_text("{}")
    (home / "secret.txt").write_text("secret")
    (home / "web" / "link.txt").symlink_to(home / "secret.txt")
    assert "map" in client.get("/").text
    assert client.get("/").headers["cache-control"] == "no-cache"
    assert "immutable" in client.get("/assets/index-CK3I0IzN.js").headers["cache-control"]
    assert client.get("/plain.json").headers["cache-control"] == "no-cache"
    for path in (
        "/assets",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/link.txt",
    ):
        assert client.get(path).status_code == 404, path
