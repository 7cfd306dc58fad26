"""Items page by page: order, cursors, counts, coordinate reference systems, filters; and as pages to be read."""

from __future__ import annotations

import base64
import math
import random
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from layers import features
from layers.catalog import catalog
from layers.crs import KNOWN
from layers.database import Readers, rows, sql, transaction
from layers.features import Page, Place, SortKey
from tests.gis.rows import empty, put, rows_of

PATH = "/collections/shelters/items"
SHELTERS = catalog()["shelters"]


def told(client: TestClient, query: str, path: str = PATH) -> dict[str, Any]:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def following(page: dict[str, Any]) -> str | None:
    return next((link["href"] for link in page["links"] if link["rel"] == "next"), None)


def pages(client: TestClient, query: str) -> Iterator[dict[str, Any]]:
    url: str | None = f"{PATH}?{query}"
    while url is not None:
        page = client.get(url).json()
        yield page
        url = following(page)


def names(page: dict[str, Any]) -> list[str]:
    return [feature["properties"]["name"] for feature in page["features"]]


def walked(client: TestClient, query: str) -> list[str]:
    return [name for page in pages(client, query) for name in names(page)]


# --- order


@pytest.fixture
def sizes(database: str) -> None:
    """Shelters whose capacity is in their name; two alike, two unknown."""
    sizes = [("b2", 2), ("a1", 1), ("n1", None), ("c2", 2), ("d3", 3), ("n2", None)]
    put(database, "shelters", *({"name": n, "at": (1, 1), "capacity_persons": c} for n, c in sizes))


@pytest.mark.parametrize(
    ("sortby", "order"),
    [
        ("", ["b2", "a1", "n1", "c2", "d3", "n2"]),
        ("capacity_persons", ["a1", "b2", "c2", "d3", "n1", "n2"]),
        ("%2Bcapacity_persons", ["a1", "b2", "c2", "d3", "n1", "n2"]),
        ("+capacity_persons", ["a1", "b2", "c2", "d3", "n1", "n2"]),
        ("-capacity_persons", ["d3", "b2", "c2", "a1", "n1", "n2"]),
        ("-capacity_persons,-name", ["d3", "c2", "b2", "a1", "n2", "n1"]),
        ("name", ["a1", "b2", "c2", "d3", "n1", "n2"]),
        ("-name", ["n2", "n1", "d3", "c2", "b2", "a1"]),
        ("sample,-recorded_at,source,name", ["a1", "b2", "c2", "d3", "n1", "n2"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_items_are_put_in_order(client: TestClient, sizes: None, sortby: str, order: list[str], limit: int) -> None:
    assert walked(client, f"limit={limit}&sortby={sortby}") == order


@pytest.mark.parametrize(
    "field", ["level", "indoor", "area_m2", "stated_at", "name", "address", "class", "occupancy_persons"]
)
def test_every_type_is_put_in_order(database: str, client: TestClient, field: str) -> None:
    values: dict[str, list[Any]] = {
        "level": ["city", "county"], "indoor": [True, False], "area_m2": [0.1, 1e-300, 1e300, -0.0],
        "stated_at": ["2026-01-01T00:00:00.000001Z", "0999-01-01T00:00:00Z", "1969-12-31T23:59:59+08:00"],
        "name": ["学校", "é", "'", '"', "\\", "\n", "\x1f", "\x1e", "😀"],
        "address": ["x" * 101, "x" * 100, "x" * 99 + "y"],
        "class": ["short", "long"], "occupancy_persons": [2**62, 0],
    }  # fmt: skip
    rows = [{field: value} for value in [*values[field], None, *values[field]]]
    numbers = put(database, "shelters", *({"name": str(n), "at": (n, 1), **row} for n, row in enumerate(rows)))
    for sign in ("", "-"):
        seen = [f["id"] for page in pages(client, f"limit=1&sortby={sign}{field}") for f in page["features"]]
        assert sorted(seen) == numbers
        assert seen == [f["id"] for f in told(client, f"limit=100&sortby={sign}{field}")["features"]]


@pytest.mark.parametrize("sortby", ["contact_phone", "no_such", "geometry", "fid", "suitable_hazards", "flags", "'"])
def test_what_has_no_order_is_refused(client: TestClient, sortby: str) -> None:
    answer = client.get(f"{PATH}?sortby={sortby}")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == "sortby"
    assert "capacity_persons" in answer.json()["expected"]


def token(*parts: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(list(parts))).decode().rstrip("=")


@pytest.mark.parametrize(
    "query",
    [
        "cursor=", "cursor=zz", "cursor=%00", f"cursor={'A' * 5000}", f"cursor={token()}", f"cursor={token('', -1)}",
        f"cursor={token('', '1')}", f"cursor={token('', True)}", f"cursor={token('', 1.5)}",
        f"cursor={token('', 2**63)}",
        f"cursor={token('name', 1, 'a')}", f"cursor={token('', 1, 'a')}", f"cursor={token('name', 1)}&sortby=name",
        f"cursor={token('name', 1, 5)}&sortby=name", f"cursor={token('name', 1, 'a')}&sortby=-name",
        f"cursor={token('capacity_persons', 1, 'x')}&sortby=capacity_persons",
        f"cursor={token('stated_at', 1, 'x')}&sortby=stated_at", f"cursor={token('indoor', 1, 'maybe')}&sortby=indoor",
        f"cursor={token('area_m2', 1, 'nan')}&sortby=area_m2", "sortby=name,status,level,class,address",
    ],
)  # fmt: skip
def test_cursors_that_are_none_of_ours(client: TestClient, query: str) -> None:
    answer = client.get(f"{PATH}?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] in ("cursor", "sortby")
    assert answer.json()["expected"]


OPERATIONS = st.lists(st.tuples(st.sampled_from(["insert", "delete", "update"]), st.integers(0, 99)), max_size=12)


@given(
    operations=OPERATIONS,
    limit=st.integers(1, 4),
    sort=st.sampled_from(["", "capacity_persons", "-capacity_persons", "-capacity_persons,name"]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_stays_is_met_once_while_others_come_and_go(
    database: str, client: TestClient, operations: list[tuple[str, int]], limit: int, sort: str, seed: int
) -> None:
    """Rows that stay as they are appear exactly once; no other row appears twice unless its own order changed."""
    empty(database)
    chance = random.Random(seed)
    sizes = [chance.choice([None, 1, 2, 3]) for _ in range(10)]
    numbers = put(
        database, "shelters", *({"name": f"s{n}", "at": (1, 1), "capacity_persons": c} for n, c in enumerate(sizes))
    )
    touched: set[int] = set()
    seen: list[int] = []
    waiting = list(operations)
    for page in pages(client, f"limit={limit}&sortby={sort}"):
        seen += [feature["id"] for feature in page["features"]]
        for kind, number in waiting[:2]:
            one = numbers[number % len(numbers)]
            if kind == "insert":
                put(database, "shelters", {"name": "new", "at": (chance.random(), 2), "capacity_persons": number % 4})
                continue
            touched.add(one)
            change = (
                "DELETE FROM layers.shelters" if kind == "delete" else "UPDATE layers.shelters SET capacity_persons = 2"
            )
            with transaction(database) as cursor:
                cursor.execute(sql.SQL("{} WHERE fid = {}").format(sql.SQL(change), sql.Literal(one)))
        del waiting[:2]
    for number in set(numbers) - touched:
        assert seen.count(number) == 1
    assert all(seen.count(number) == 1 for number in set(seen) - touched)


def test_a_page_far_in_starts_at_its_place(module_database: str) -> None:
    with transaction(module_database) as cursor:
        cursor.execute(
            "INSERT INTO layers.shelters (fid, source, name, geom)"
            " SELECT 400000 + n, 'test', 's' || n, ST_SetSRID(ST_MakePoint(105, 27), 4326)"
            " FROM generate_series(1, 150000) AS n"
        )
        cursor.execute("ANALYZE layers.shelters")
    readers = Readers(module_database, size=1)
    condition = features.where(catalog(), SHELTERS, Page(after=Place(500_000)), readers.scope)
    query = sql.SQL("EXPLAIN SELECT * FROM released.shelters AS i WHERE {} ORDER BY i.fid LIMIT 1000").format(condition)
    with readers.cursor() as cursor:
        plan = "\n".join(line for (line,) in rows(cursor, query))
    readers.close()
    assert "Index Cond: (fid > " in plan
    assert "Sort" not in plan


def test_the_plain_order_by_the_store(database: str) -> None:
    readers = Readers(database, size=1)
    put(database, "shelters", {"name": "b", "at": (1, 1)}, {"name": "a", "at": (1, 1)})
    found = features.page(readers, catalog(), SHELTERS, Page(limit=1, sort=(SortKey("name"),)))
    assert [row["properties"]["name"] for row in rows_of(found)] == ["a"]
    assert found.more is not None
    assert found.more.keys == ("a",)
    readers.close()


# --- how many


def test_every_page_tells_how_many_there_are(database: str, client: TestClient) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (n, 0), "status": "open"} for n in range(7)))
    put(database, "shelters", {"name": "closed", "at": (0, 0), "status": "closed"})
    for page in pages(client, "limit=3&status=open"):
        assert page["numberMatched"] == 7
        assert "numberMatchedEstimate" not in page
        assert page["numberReturned"] == len(page["features"])
    assert told(client, "limit=3&bbox=-1,-1,2,1")["numberMatched"] == 4
    assert told(client, "filter=status='closed'")["numberMatched"] == 1
    assert told(client, "name=nobody")["numberMatched"] == 0


def test_beyond_the_limit_there_is_an_estimate(
    database: str, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (n, 0)} for n in range(7)))
    with transaction(database) as cursor:
        cursor.execute("ANALYZE layers.shelters")
    monkeypatch.setattr(features, "COUNTED_AT_MOST", 5)
    page = told(client, "limit=2")
    assert "numberMatched" not in page
    assert page["numberMatchedEstimate"] >= 6


# --- coordinate reference systems

PLACES = {
    "CRS84": [105.3, 27.3], "4326": [27.3, 105.3], "4490": [27.3, 105.3],
    "3857": [math.radians(105.3) * 6_378_137, math.asinh(math.tan(math.radians(27.3))) * 6_378_137],
}  # fmt: skip
BOXES = {
    "CRS84": "105,27,105.5,27.5", "4326": "27,105,27.5,105.5", "4490": "27,105,27.5,105.5",
    "3857": "11688546,3123471,11744205,3186000",
}  # fmt: skip


@pytest.mark.parametrize("uri", KNOWN)
def test_coordinates_are_given_and_asked_for_in_every_crs(database: str, client: TestClient, uri: str) -> None:
    (number, _) = put(database, "shelters", {"name": "in", "at": (105.3, 27.3)}, {"name": "out", "at": (104.9, 27.3)})
    name = uri.rsplit("/", 1)[1]
    for path in (
        f"{PATH}?bbox={BOXES[name]}&bbox-crs={quote(uri)}&crs={quote(uri)}",
        f"{PATH}/{number}?crs={quote(uri)}",
    ):
        answer = client.get(path)
        assert answer.headers["content-crs"] == f"<{uri}>"
        found = answer.json()
        (feature,) = found.get("features", [found])
        assert feature["geometry"]["coordinates"] == pytest.approx(PLACES[name], abs=0.01)
    assert uri in client.get("/collections/shelters").json()["crs"]


def test_lines_and_areas_are_turned_as_a_whole(database: str, client: TestClient) -> None:
    put(database, "rivers", {"name": "r", "at": "MULTILINESTRING((105 27, 106 28))"})
    page = told(client, "crs=EPSG:4326", "/collections/rivers/items")
    assert page["features"][0]["geometry"] == {"type": "MultiLineString", "coordinates": [[[27, 105], [28, 106]]]}
    assert "crs" not in page["features"][0]["geometry"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("crs=EPSG:9999", "crs"), ("crs=", "crs"), ("crs=%00", "crs"), ("bbox=1,1,2,2&bbox-crs=x", "bbox-crs"),
        ("filter-crs=x", "filter-crs"), ("bbox-crs=x", "bbox-crs"), ("bbox=105,27,106,28&bbox-crs=EPSG:4326", "bbox"),
        ("bbox=1,2,3,1&bbox-crs=EPSG:3857", "bbox"), ("filter-lang=sql", "filter-lang"), ("f=xml", "f"),
        ("crs=EPSG:4326&crs=EPSG:4326", "crs"), ("filter=", "filter"), ("filter=name", "filter"),
        ("filter=colour='red'", "filter"), ("filter=(((((((((((((((((((((((((((((((((((((((((((((a=", "filter"),
        (f"filter={'(' * 4000}1=1{')' * 4000}", "filter"), (f"filter={'NOT+' * 2000}true", "filter"),
        (f"filter-lang=cql2-json&filter={'[' * 8000}", "filter"), ("filter-lang=cql2-json&filter=name='x'", "filter"),
        ("bbox=1e400,1,2,3", "bbox"), (f"bbox={'9' * 4000},1,2,3", "bbox"),
    ],
)  # fmt: skip
def test_wrong_questions_are_refused_with_what_would_be_right(client: TestClient, query: str, parameter: str) -> None:
    answer = client.get(f"{PATH}?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["parameter"] == parameter
    assert answer.json()["expected"]


def test_filters_go_with_the_other_parameters(database: str, client: TestClient) -> None:
    put(
        database,
        "shelters",
        {"name": "a", "at": (1, 1), "status": "open", "capacity_persons": 5},
        {"name": "b", "at": (9, 9), "status": "open", "capacity_persons": 5},
        {"name": "c", "at": (1, 1), "status": "closed", "capacity_persons": 5},
    )
    text = quote("capacity_persons >= 5 AND S_INTERSECTS(geometry, POINT(1 1))")
    assert names(told(client, f"filter={text}&status=open")) == ["a"]
    assert names(told(client, f"filter={text}&bbox=0,0,2,2&sortby=-name&limit=1")) == ["c"]
    assert walked(client, f"filter={text}&limit=1&sortby=-name") == ["c", "a"]
    node = quote('{"op":"=","args":[{"property":"name"},"b"]}')
    assert names(told(client, f"filter={node}&filter-lang=cql2-json")) == ["b"]


def test_an_export_takes_the_same_filter(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "a", "at": (1, 1), "status": "open"}, {"name": "b", "at": (9, 9)})
    answer = client.get("/collections/shelters/export?format=geojson&filter=status='open'")
    assert [f["properties"]["name"] for f in answer.json()["features"]] == ["a"]


# --- pages to be read

READ = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/api", "/conformance", "/collections", "/collections/shelters", PATH, "{item}"])
def test_pages_are_read_by_people_and_json_by_programs(database: str, client: TestClient, path: str) -> None:
    (number,) = put(database, "shelters", {"name": "<script>alert(1)</script>", "address": "'\"&", "at": (1, 1)})
    path = path.replace("{item}", f"{PATH}/{number}")
    for answer in (client.get(path, headers=READ), client.get(f"{path}?f=html")):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "Accept" in answer.headers["vary"]
        assert "<script" not in answer.text
        assert re.search(r"<h1>.+</h1>", answer.text)
    for answer in (client.get(path), client.get(f"{path}?f=json", headers=READ)):
        assert "json" in answer.headers["content-type"]
        assert "Accept" in answer.headers["vary"]


def test_a_page_leads_to_items_and_to_the_next_page(database: str, client: TestClient) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (n, 0)} for n in range(3)))
    first = client.get(f"{PATH}?limit=2&f=html").text
    (item, *_) = re.findall(rf'href="({PATH}/[0-9]+\?f=html)"', first)
    assert "s0" in client.get(item).text
    (forth,) = re.findall(r'rel="next" href="([^"]+)"', first)
    assert "s2" in client.get(forth.replace("&amp;", "&")).text
    assert "应急避难场所 / Shelters" in first


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("*/*", False), ("", False), ("text/html", True), ("application/geo+json, text/html", False),
        ("text/html;q=0.5, application/json", False), ("text/html, application/json;q=0.5", True),
        ("text/html;q=x", False), ("image/png", False),
    ],
)  # fmt: skip
def test_the_form_is_what_accept_wants_most(client: TestClient, accept: str, html: bool) -> None:
    answer = client.get("/collections", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("text/html") is html


def test_the_root_is_the_landing_page_for_programs(client: TestClient) -> None:
    for answer in (client.get("/", headers={"accept": "application/json"}), client.get("/?f=json")):
        assert {link["rel"] for link in answer.json()["links"]} >= {"service-desc", "conformance", "data"}
    assert client.get("/", headers=READ).headers["content-type"].startswith("text/html")
