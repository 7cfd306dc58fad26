"""Kept tiles: an edit drops those that it touches and no others; what is kept is shown while the database is away."""

from __future__ import annotations

import asyncio
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import psycopg2
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from starlette.testclient import TestClient

from api import fast
from api.app import create_app
from api.cache import Entry, TileCache
from api.followed import Change, Place, areas_of, tiles_of, touches
from layers import accounts
from layers.catalog import catalog
from layers.database import one, rows, transaction
from tests.api.away import Cut
from tests.api.test_tiles import count_in, layers_at, tile_of
from tests.gis.rows import empty, put, square

PATH = "/tiles/shelters/{}/{}/{}.mvt"


def until(holds: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.02)


def run(url: str, query: str, *values: Any) -> None:
    with transaction(url, "test") as cursor:
        cursor.execute(query, values or None)


def tag(client: TestClient, place: tuple[int, int, int], layer: str = "shelters", query: str = "") -> str:
    answer = client.get(f"/tiles/{layer}/{'/'.join(map(str, place))}.mvt{query}")
    assert answer.status_code in (200, 204)
    return str(answer.headers["etag"])


def settled(client: TestClient) -> None:
    """Wait until the service has read the whole log: then tags change no more by what came before."""
    latest = client.get("/changes?limit=1000").json()["changes"][-1]["version"]
    until(lambda: f"-{latest}-" in tag(client, (0, 0, 0), query="?sample=true"))


def around(lon: float, lat: float) -> list[tuple[int, int, int]]:
    """At each zoom the tile of a place and the eight around it."""
    found = set()
    for z in range(15):
        _, x, y = tile_of(lon, lat, z)
        for column in (x - 1, x, x + 1):
            for row in (y - 1, y, y + 1):
                if 0 <= column < 2**z and 0 <= row < 2**z:
                    found.add((z, column, row))
    return sorted(found)


# --- what an edit drops


def test_an_edit_drops_the_tiles_of_both_its_places_and_no_others(database: str, client: TestClient) -> None:
    (moved,) = put(database, "shelters", {"name": "moved", "at": (105, 27)})
    put(database, "shelters", {"name": "stays", "at": (105.2, 27.2)})
    settled(client)
    places = {*around(105, 27), *around(106, 28), *around(105.2, 27.2)}
    before = {place: tag(client, place) for place in places}
    assert {place: tag(client, place) for place in places} == before, "nothing has changed"
    run(database, "UPDATE layers.shelters SET geom = ST_SetSRID(ST_MakePoint(106, 28), 4326) WHERE fid = %s", moved)
    touched = {place for place in places for at in ((105, 27), (106, 28)) if tile_of(*at, place[0]) == place}
    until(lambda: tag(client, tile_of(106, 28, 14)) != before[tile_of(106, 28, 14)])
    after = {place: tag(client, place) for place in places}
    changed = {place for place in places if after[place] != before[place]}
    assert touched <= changed
    margin = 64 / 4096 + 1e-4
    for z, x, y in changed - touched:  # only those in whose buffers one of the places lies
        near = [
            (((lon + 180) / 360) * 2**z, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z)
            for lon, lat in ((105, 27), (106, 28))
        ]
        assert any(x - margin <= a <= x + 1 + margin and y - margin <= b <= y + 1 + margin for a, b in near)
    assert layers_at(client, "shelters", 105, 27, 14) == {}
    assert layers_at(client, "shelters", 106, 28, 14)["shelters"]["features"][0]["id"] == moved


def test_an_edit_of_one_layer_leaves_the_tiles_of_another(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "s", "at": (105, 27)})
    settled(client)
    place = tile_of(105, 27, 12)
    tags = {layers: tag(client, place, layers) for layers in ("shelters", "risk_zones", "risk_zones,shelters")}
    put(database, "risk_zones", {"name": "z", "hazard": "flood", "at": square(105, 27, 0.01)})
    until(lambda: tag(client, place, "risk_zones") != tags["risk_zones"])
    assert tag(client, place, "risk_zones,shelters") != tags["risk_zones,shelters"]
    assert tag(client, place, "shelters") == tags["shelters"]


def test_a_bulk_statement_drops_at_most_the_tiles_of_its_cells(database: str, client: TestClient) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (105 + n / 10_000, 27)} for n in range(80)))
    settled(client)
    far, here = tile_of(105.5, 27.5, 13), tile_of(105, 27, 13)
    before = {place: tag(client, place) for place in (far, here)}
    run(database, "UPDATE layers.shelters SET capacity_persons = 7")
    until(lambda: tag(client, here) != before[here])
    assert tag(client, far) == before[far]


def test_what_is_withheld_is_on_no_kept_tile_of_the_public(database: str, client: TestClient) -> None:
    (fid,) = put(database, "shelters", {"name": "s", "at": (105, 27)})
    settled(client)
    place = tile_of(105, 27, 14)
    before = tag(client, place)
    run(database, "UPDATE layers.shelters SET withheld = true WHERE fid = %s", fid)
    until(lambda: tag(client, place) != before)
    assert client.get(PATH.format(*place)).status_code == 204


def test_a_change_that_the_public_may_not_see_leaves_its_tags(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "s", "at": (105, 27)})
    settled(client)
    place = tile_of(105, 27, 14)
    before = tag(client, place)
    with transaction(database) as cursor:
        accounts.add(cursor, "tile-reader", "reader", accounts.new_password())
        token = accounts.make_token(cursor, "tile-reader")
    mine = {"Authorization": f"Bearer {token}"}
    path = PATH.format(*place)
    inside = client.get(path, headers=mine)
    assert inside.headers["cache-control"] == "private, no-cache"
    put(database, "shelters", {"name": "secret", "at": (105, 27), "withheld": True})
    until(lambda: client.get(path, headers=mine).headers["etag"] != inside.headers["etag"])
    assert count_in(mapbox_vector_tile.decode(client.get(path, headers=mine).content)["shelters"]) == 2
    assert count_in(layers_at(client, "shelters", 105, 27, 14)["shelters"]) == 1
    assert tag(client, place) == before
    for headers, of_the_other in (({}, inside.headers["etag"]), (mine, before)):
        assert client.get(path, headers={**headers, "If-None-Match": of_the_other}).status_code == 200


def test_an_earlier_moment_is_kept_until_its_layer_changes(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "old", "at": (105, 27)})
    with transaction(database) as cursor:
        then = one(cursor, "SELECT max(recorded_at) FROM leeward.changes").isoformat()
    put(database, "shelters", {"name": "new", "at": (105, 27)})
    query = f"?as_of={then.replace('+', '%2B')}"
    for z in (8, 14):
        place = tile_of(105, 27, z)
        assert tag(client, place, query=query) == tag(client, place, query=query)
        told = mapbox_vector_tile.decode(client.get(PATH.format(*place) + query).content)
        assert count_in(told["shelters"]) == 1
    before = tag(client, place, query=query)
    put(database, "shelters", {"name": "elsewhere", "at": (10, 10)})
    until(lambda: tag(client, place, query=query) != before)


def test_a_tag_is_known_again_without_a_kept_tile(database: str, client: TestClient, monkeypatch: Any) -> None:
    monkeypatch.setenv("LEEWARD_TILE_CACHE_MB", "0")
    put(database, "shelters", {"name": "s", "at": (105, 27)})
    path, far = PATH.format(*tile_of(105, 27, 14)), PATH.format(*tile_of(106, 28, 14))
    with TestClient(create_app(database)) as other:
        known = {"If-None-Match": client.get(path).headers["etag"]}
        assert other.get(far, headers={"If-None-Match": client.get(far).headers["etag"]}).status_code == 304
        assert other.get(path, headers=known).status_code == 304
        put(database, "shelters", {"name": "t", "at": (105, 27)})
        until(lambda: other.get(path, headers=known).status_code == 200)
        assert other.get(far, headers={"If-None-Match": client.get(far).headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    "value", ["", "*", '"', 'W/"x-y-z"', '"a", "b"', "\x80", '"' + "9" * 5000 + '"', '"0-99999999999999999999-0"']
)
def test_odd_tags(database: str, client: TestClient, value: str) -> None:
    put(database, "shelters", {"name": "s", "at": (105, 27)})
    path = PATH.format(*tile_of(105, 27, 14))
    client.get(path)
    answer = client.get(path, headers={"If-None-Match": value.encode("latin-1")})
    assert answer.status_code == (304 if value == "*" else 200)


# --- the parts, by hand and by chance


def test_tiles_of_an_area_by_hand() -> None:
    """The middle of the world lies on the four tiles of zoom 1; at zoom 2 on four of sixteen."""
    assert tiles_of((0.5, 0.5, 0.5, 0.5), 1) == (0, 1, 0, 1)
    assert tiles_of((0.5, 0.5, 0.5, 0.5), 2) == (1, 2, 1, 2)
    assert tiles_of((0.1, 0.1, 0.1, 0.1), 1) == (0, 0, 0, 0)
    assert tiles_of((0.99, 0.0, 1.0, 0.3), 1) == (1, 1, 0, 0)
    assert tiles_of((0.0, 0.0, 1.0, 1.0), 3) == (0, 7, 0, 7)


BOXES = st.tuples(*[st.floats(-180, 180), st.floats(-85, 85)] * 2).map(
    lambda b: [min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])]
)
TILES = st.integers(0, 6).flatmap(lambda z: st.tuples(st.just(z), st.integers(0, 2**z - 1), st.integers(0, 2**z - 1)))


@trials(deadline=None, max_examples=200)
@given(kept=st.sets(TILES, max_size=30), boxes=st.lists(BOXES, min_size=1, max_size=3), added=st.booleans())
def test_dropped_are_those_that_are_touched(
    kept: set[tuple[int, int, int]], boxes: list[list[float]], added: bool
) -> None:
    cache: TileCache[tuple[int, int, int]] = TileCache(1 << 20)
    for place in kept:
        cache.put(place, Entry(b"x", "", [], layers=("a", "b"), place=Place(*place)))
    cache.put((9, 0, 0), Entry(b"x", "", [], layers=("c",), place=Place(9, 0, 0)))
    areas = areas_of({"boxes": boxes, "cells": None, "bbox": None})
    touched = {place for place in kept if any(touches(area, Place(*place)) for area in areas)}
    assert cache.drop(Change(1, "b", areas, added), keep_added=True) == len(touched)
    for place in kept:
        entry = cache.get(place)
        if place not in touched:
            assert entry is not None
            assert not entry.stale
        else:
            assert (entry is None) != added
            assert entry is None or entry.stale
    assert cache.get((9, 0, 0)) is not None
    for place in kept:
        cache.remove(place)
    assert (cache.bytes == cache.get((9, 0, 0)) and 0) or cache.bytes == 1501


def test_the_cache_keeps_to_its_bytes() -> None:
    cache: TileCache[int] = TileCache(10_000)
    for number in range(50):
        cache.put(number, Entry(b"x" * 1000, "", [], layers=("a",), place=Place(6, number, 0)))
    assert len(cache) == 4
    assert cache.get(49) is not None
    cache.put(99, Entry(b"x" * 20_000, "", [], layers=("a",), place=Place(0, 0, 0)))
    assert (len(cache), cache.bytes) == (0, 0)


# --- too many for a tile


def test_a_tile_over_the_budget_is_drawn_coarser_and_says_so(database: str, client: TestClient) -> None:
    with transaction(database) as cursor:
        cursor.execute(
            "INSERT INTO layers.shelters (source, name, geom) SELECT 'test', 'a rather long name of shelter ' || n,"
            " ST_SetSRID(ST_MakePoint(105.01 + random() * 0.05, 27.0 + random() * 0.05), 4326)"
            " FROM generate_series(1, 30000) AS n"
        )
        cursor.execute(
            "INSERT INTO layers.risk_zones (source, name, hazard, geom)"
            " SELECT 'test', 'zone of some kind ' || n, 'flood',"
            " ST_Multi(ST_Buffer(geom, 0.0002)) FROM (SELECT n,"
            " ST_SetSRID(ST_MakePoint(105.01 + random() * 0.05, 27.0 + random() * 0.05), 4326) AS geom"
            " FROM generate_series(1, 12000) AS n) AS points"
        )
        total = one(cursor, "SELECT count(*) FROM layers.shelters")
    for layer, count in (("shelters", total), ("risk_zones", 12000)):
        _, x, y = tile_of(105.03, 27.03, 11)
        answer = client.get(f"/tiles/{layer}/11/{x}/{y}.mvt")
        assert answer.headers["leeward-coarser"] == layer
        assert len(answer.content) <= 500_000
        assert count_in(mapbox_vector_tile.decode(answer.content)[layer]) == count
    both = client.get(f"/tiles/shelters,risk_zones/11/{x}/{y}.mvt")
    assert set(both.headers["leeward-coarser"].split(",")) == {"shelters", "risk_zones"}
    assert len(both.content) <= 500_000


@pytest.mark.parametrize("layer", ["shelters", "risk_zones"])
def test_counts_add_up_to_the_whole_at_every_zoom(database: str, client: TestClient, layer: str) -> None:
    shapes = {
        "shelters": lambda n: (100 + n * 0.37 % 11, 20 + n * 0.73 % 13),
        "risk_zones": lambda n: square(100 + n * 0.37 % 11, 20 + n * 0.73 % 13, 0.0005 * 1.05**n),
    }
    further = {"hazard": "flood"} if layer == "risk_zones" else {}
    put(database, layer, *({"name": f"n{n}", "at": shapes[layer](n), **further} for n in range(150)))
    seen = {}
    for z in range(11):
        west, north = tile_of(99.9, 33.5, z)[1:]
        east, south = tile_of(112, 19.9, z)[1:]
        dots, drawn = 0, set()
        for x in range(west, east + 1):
            for y in range(north, south + 1):
                answer = client.get(f"/tiles/{layer}/{z}/{x}/{y}.mvt")
                features = mapbox_vector_tile.decode(answer.content)[layer]["features"] if answer.content else []
                for feature in features:
                    if "point_count" in feature["properties"]:
                        dots += feature["properties"]["point_count"]
                    else:
                        drawn.add(feature["id"])
        seen[z] = dots + len(drawn)
    assert seen == dict.fromkeys(range(11), 150)


def test_a_cluster_says_what_it_stands_for(database: str, client: TestClient) -> None:
    put(
        database, "hazard_points",
        *(
            {"name": name, "hazard": "landslide", "record_kind": kind, "threatened_persons": persons, "at": (105, 27)}
            for name, kind, persons in (
                ("a", "hidden_danger", 5), ("b", "hidden_danger", 2000), ("c", "hidden_danger", None),
                ("d", "past_event", 9000),
            )
        ),
    )  # fmt: skip
    (cluster,) = layers_at(client, "hazard_points", 105, 27, 5)["hazard_points"]["features"]
    grades = [rule.when.get("threat_grade") for rule in catalog()["hazard_points"].map.rules]
    told = cluster["properties"]
    assert told["point_count"] == 4
    assert told["rule"] == grades.index("very_large")
    assert (told["persons"], told["persons_unknown"], told["unknown"]) == (11_005, 1, 1)
    assert sum(told.get(f"n{number}", 0) for number in range(len(grades))) == 4
    assert (told["n0"], told[f"n{told['rule']}"]) == (1, 1)


def test_the_own_time_of_features(database: str, client: TestClient) -> None:
    definition = catalog()["incidents"]
    assert definition.time is not None
    start = definition.time.start
    moments = ("2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z")
    put(database, "incidents", *({"name": m, "hazard": "flood", start: m, "at": (105, 27)} for m in moments))
    for z in (6, 12):
        _, x, y = tile_of(105, 27, z)
        answer = client.get(f"/tiles/incidents/{z}/{x}/{y}.mvt?datetime=2026-05-01T00:00:00Z/..")
        assert count_in(mapbox_vector_tile.decode(answer.content)["incidents"]) == 1


def test_filters_are_counted(database: str, client: TestClient) -> None:
    for name, status in (("a", "open"), ("b", "open"), ("c", "closed")):
        put(database, "shelters", {"name": name, "status": status, "at": (105, 27)})
    for z in (4, 9, 13):
        _, x, y = tile_of(105, 27, z)
        answer = client.get(f"/tiles/shelters/{z}/{x}/{y}.mvt?status=open")
        assert count_in(mapbox_vector_tile.decode(answer.content)["shelters"]) == 2
        for query in (
            "filter=status='open'",
            "filter=status%3D'open'%20AND%20name%20LIKE%20'%25'&filter-lang=cql2-text",
        ):
            told = client.get(f"/tiles/shelters/{z}/{x}/{y}.mvt?{query}")
            assert count_in(mapbox_vector_tile.decode(told.content)["shelters"]) == 2
    for query in ("status=nonsense", "filter=status=", "filter-lang=cql2-text", "datetime=x", f"filter={'(' * 5000}"):
        assert client.get(f"/tiles/shelters/{z}/{x}/{y}.mvt?{query}").status_code == 400
    assert client.get(f"/tiles/shelters/{z}/{x}/{y}.mvt?contact_phone=1").status_code == 400


# --- when the database is away


@pytest.fixture
def cut(module_database: str, home: Path) -> Iterator[Cut]:
    empty(module_database)
    with tempfile.TemporaryDirectory() as folder:
        yield Cut(module_database, Path(folder))


def test_the_last_good_tile_with_its_age_and_well_again(cut: Cut, module_database: str) -> None:
    put(module_database, "shelters", {"name": "s", "at": (105, 27)})
    known, other = PATH.format(*tile_of(105, 27, 13)), PATH.format(*tile_of(105, 27, 12))
    with TestClient(create_app(cut.url), raise_server_exceptions=False) as client:
        fresh = client.get(known)
        assert "age" not in fresh.headers
        cut.cut()
        until(lambda: "age" in client.get(known).headers)
        stale = client.get(known)
        assert (stale.status_code, stale.content) == (200, fresh.content)
        assert stale.headers["warning"].startswith("110")
        assert int(stale.headers["age"]) >= 0
        for path in (other, "/collections/shelters/items"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["detail"] == "the database is away", "where it is, is nobody's business"
        cut.mend()
        until(lambda: "age" not in client.get(known).headers, seconds=2)
        assert client.get(other).status_code == 200
        assert client.get("/collections/shelters/items").status_code == 200


def test_a_member_keeps_the_map_while_the_database_is_away(cut: Cut, module_database: str) -> None:
    put(module_database, "shelters", {"name": "s", "at": (105, 27), "withheld": True})
    with transaction(module_database) as cursor:
        accounts.add(cursor, "away-reader", "reader", accounts.new_password())
        token = accounts.make_token(cursor, "away-reader")
    mine, path = {"Authorization": f"Bearer {token}"}, PATH.format(*tile_of(105, 27, 13))
    with TestClient(create_app(cut.url), raise_server_exceptions=False) as client:
        inside = client.get(path, headers=mine)
        assert inside.status_code == 200
        cut.cut()
        until(lambda: "age" in client.get(path, headers=mine).headers)
        assert client.get(path, headers=mine).content == inside.content
        for headers in ({}, {"Authorization": f"Bearer {token[:-1]}x"}, {"Cookie": "leeward_session=x"}):
            assert client.get(path, headers=headers).content != inside.content


def test_what_changed_while_nobody_heard_it_is_dropped(cut: Cut, module_database: str) -> None:
    (fid,) = put(module_database, "shelters", {"name": "s", "at": (105, 27)})
    path = PATH.format(*tile_of(105, 27, 13))
    with TestClient(create_app(cut.url), raise_server_exceptions=False) as client:
        before = client.get(path).content
        cut.cut()
        until(lambda: "age" in client.get(path).headers)
        run(module_database, "UPDATE layers.shelters SET name = 'while away' WHERE fid = %s", fid)
        assert client.get(path).content == before
        cut.mend()
        until(lambda: b"while away" in client.get(path).content)


# --- when who asked has gone away


def test_an_asker_who_goes_away_ends_the_query(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "s", "at": (105, 27)})
    z, x, y = tile_of(105, 27, 13)
    client.get(f"/tiles/shelters/{z}/{x}/{y}.mvt")

    def waiting() -> int:
        with transaction(database) as cursor:
            return len(
                rows(
                    cursor,
                    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    " AND application_name = 'leeward'",
                )
            )

    with psycopg2.connect(database) as lock, lock.cursor() as cursor:
        cursor.execute("LOCK TABLE layers.shelters IN ACCESS EXCLUSIVE MODE")
        for path in (f"/tiles/shelters/{z}/{x}/{y - 1}.mvt", "/nearest", "/collections/shelters/items"):
            query = b"lon=105&lat=27&layers=shelters" if path == "/nearest" else b""
            asked = threading.Thread(target=_ask_and_leave, args=(client, path, query, waiting))
            asked.start()
            asked.join(20)
            assert not asked.is_alive()
            until(lambda: waiting() == 0)
    lock.close()
    assert client.get(f"/tiles/shelters/{z}/{x}/{y - 1}.mvt").status_code == 204


def _ask_and_leave(client: TestClient, path: str, query: bytes, waiting: Callable[[], int]) -> None:
    """Ask the application as a server would, and go away once the query waits."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        while not await asyncio.to_thread(waiting):
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        return

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
        "raw_path": path.encode(), "query_string": query, "headers": [], "root_path": "", "scheme": "http",
        "server": ("testserver", 80), "client": ("testclient", 1), "state": {},
    }  # fmt: skip
    assert client.portal is not None
    client.portal.call(client.app, scope, receive, send)


@pytest.mark.parametrize("path", [PATH.format(*tile_of(105, 27, 13)), "/collections/shelters/items"])
def test_a_slow_reader_is_let_go(database: str, client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(fast, "SENDING_AT_MOST_S", 0.2)
    monkeypatch.setattr(fast, "CHUNK_BYTES", 16)
    put(database, "shelters", *({"name": f"s{n}", "at": (105, 27)} for n in range(50)))
    sent: list[Any] = []
    client.get(path)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 2:
            await asyncio.sleep(60)

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": path, "query_string": b"", "headers": [],
        "root_path": "", "scheme": "http", "server": ("testserver", 80), "client": ("testclient", 1), "state": {},
    }  # fmt: skip
    assert client.portal is not None
    started = time.monotonic()
    client.portal.call(client.app, scope, receive, send)
    assert time.monotonic() - started < 30
    assert sent[-1]["more_body"]
