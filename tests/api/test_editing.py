"""Writing items over HTTP: nothing of others is lost, nothing is written twice, and each refusal says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from layers import accounts
from layers.accounts import ROLES
from layers.database import transaction
from tests.gis.rows import put, square

ITEMS = "/collections/shelters/items"
DANGERS = "/collections/hazard_points/items"
PLACE = {"type": "Point", "coordinates": [105.3, 27.3]}
Send = Callable[..., Any]


def feature(name: str = "a", **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": PLACE, "properties": {"name": name, **properties}}


@pytest.fixture(scope="module")
def tokens(module_database: str) -> dict[str, str]:
    """A token for each role."""
    with transaction(module_database) as cursor:
        for role in ROLES:
            accounts.add(cursor, role, role, "correct horse battery")
        return {role: accounts.make_token(cursor, role) for role in ROLES}


@pytest.fixture
def client(database: str, tokens: dict[str, str], home: object) -> Iterator[TestClient]:
    with TestClient(create_app(database), raise_server_exceptions=False) as running:
        yield running


@pytest.fixture
def send(client: TestClient, tokens: dict[str, str]) -> Send:
    """A function that sends JSON as a role."""

    def sending(method: str, path: str, body: Any = None, role: str = "editor", **headers: str) -> Any:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if role:
            given["authorization"] = f"Bearer {tokens[role]}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        return client.request(method, path, content=content, headers=given)

    return sending


def test_an_item_is_made_read_changed_and_deleted(send: Send) -> None:
    made = send("POST", ITEMS, feature(capacity_persons=50) | {"reason": "new hall"})
    assert made.status_code == 201
    path, etag = made.headers["location"], made.headers["etag"]
    assert path == f"{ITEMS}/{made.json()['id']}"
    read = send("GET", path)
    assert read.headers["etag"] == etag
    assert read.json()["properties"]["capacity_persons"] == 50
    assert read.json()["properties"]["occupancy_persons"] is None
    changed = send("PATCH", path, {"properties": {"address": "x", "capacity_persons": None}}, if_match=etag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag
    assert changed.json()["properties"]["capacity_persons"] is None
    assert send("DELETE", f"{path}?reason=closed", if_match=changed.headers["etag"]).status_code == 204
    assert send("GET", path).status_code == 404
    gone, edited, begun = send("GET", f"{path}/history").json()["changes"]
    assert (gone["reason"], edited["reason"], begun["reason"]) == ("closed", None, "new hall")
    assert {step["author"] for step in (gone, edited, begun)} == {"editor"}


def test_a_lost_race_tells_both_states_and_writes_nothing(send: Send) -> None:
    made = send("POST", ITEMS, feature())
    path, etag = made.headers["location"], made.headers["etag"]
    mine = {"properties": {"address": "mine"}}
    assert send("PATCH", path, {"properties": {"address": "theirs"}}, if_match=etag).status_code == 200
    lost = send("PATCH", path, mine, if_match=etag)
    assert lost.status_code == 412
    assert lost.json()["current"]["properties"]["address"] == "theirs"
    assert lost.json()["yours"] == mine
    again = send("PATCH", path, mine, if_match=lost.json()["etag"])
    assert again.json()["properties"]["address"] == "mine"
    assert send("PUT", path, feature(), if_match=etag).status_code == 412
    assert send("DELETE", path, if_match=etag).status_code == 412
    current = send("GET", path).headers["etag"]
    assert send("DELETE", path, if_match=current).status_code == 204
    late = send("PATCH", path, mine, if_match=current)
    assert late.status_code == 412
    assert late.json()["current"] is None


def test_a_write_says_which_state_it_saw(send: Send) -> None:
    path = send("POST", ITEMS, feature()).headers["location"]
    for method in ("PUT", "PATCH", "DELETE"):
        assert send(method, path, feature()).status_code == 428
    assert send("PATCH", path, feature("b"), if_match="*").status_code == 200
    assert send("PATCH", path, feature("c"), if_match='W/"1", "0"').status_code == 412


def test_of_twenty_writers_at_once_one_wins_each_round(send: Send) -> None:
    made = send("POST", ITEMS, feature())
    path = made.headers["location"]

    def write(n: int) -> Any:
        return send("PATCH", path, {"properties": {"address": f"by {n}"}}, if_match=made.headers["etag"])

    with ThreadPoolExecutor(8) as pool:
        codes = [answer.status_code for answer in pool.map(write, range(20))]
    assert sorted(codes) == [200] + [412] * 19
    assert len(send("GET", f"{path}/history").json()["changes"]) == 2


def test_a_put_makes_unknown_what_it_does_not_say(send: Send) -> None:
    made = send("POST", ITEMS, feature(address="x", capacity_persons=5))
    whole = send("GET", made.headers["location"]).json()
    whole["properties"].pop("address")
    answer = send("PUT", made.headers["location"], whole, if_match=made.headers["etag"])  # what was read, sent back
    assert answer.status_code == 200
    assert answer.json()["properties"]["address"] is None
    assert answer.json()["properties"]["capacity_persons"] == 5


def test_a_write_that_changes_nothing_is_no_change(send: Send) -> None:
    made = send("POST", ITEMS, feature(address="x"))
    same = send("PATCH", made.headers["location"], feature(address="x"), if_match=made.headers["etag"])
    assert (same.status_code, same.headers["etag"]) == (200, made.headers["etag"])


@pytest.mark.parametrize(
    ("properties", "field", "words"),
    [
        ({"capacity_persons": -1}, "capacity_persons", "less than 0"),
        ({"capacity_persons": 1.5}, "capacity_persons", "whole number"),
        ({"capacity_persons": True}, "capacity_persons", "whole number"),
        ({"capacity_persons": "7"}, "capacity_persons", "whole number"),
        ({"capacity_persons": 2**63}, "capacity_persons", "whole number"),
        ({"class": "palace"}, "class", "no code 'palace'"),
        ({"suitable_hazards": ["flood", "boredom"]}, "suitable_hazards", "no code 'boredom'"),
        ({"suitable_hazards": "flood"}, "suitable_hazards", "no list"),
        ({"indoor": "yes"}, "indoor", "neither true nor false"),
        ({"stated_at": "yesterday"}, "stated_at", "not a moment"),
        ({"stated_at": "2999-01-01T00:00:00Z"}, "stated_at", "lies in the future"),
        ({"occupancy_stated_at": "2999-01-01T00:00:00Z"}, "occupancy_stated_at", "lies in the future"),
        ({"name": 5}, "name", "no text"),
        ({"name": "a\x00b"}, "name", "cannot be kept"),
        ({"name": "\ud800"}, "name", "half a character"),
        ({"capacity": 5}, "capacity", "no field"),
    ],
)
def test_each_field_says_what_is_wrong(send: Send, properties: dict[str, Any], field: str, words: str) -> None:
    answer = send("POST", ITEMS, {**feature(), "properties": {"name": "a", **properties}})
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert fault["field"] == field
    assert words in fault["detail"]
    assert send("GET", ITEMS).json()["numberReturned"] == 0


def test_what_ends_before_it_starts_is_refused(send: Send) -> None:
    path = "/collections/road_closures/items"
    times = {"starts_at": "2026-11-28T10:00:00Z", "ends_at": "2026-11-28T08:00:00Z"}
    body = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [105, 27]}, "properties": times}
    refused = send("POST", path, body)
    assert (refused.status_code, refused.json()["parameter"]) == (422, "ends_at")
    assert refused.json()["expected"] == "2026-11-28T10:00:00+00:00 or later"
    made = send("POST", path, {**body, "properties": {"starts_at": times["starts_at"]}})
    change = {"properties": {"ends_at": times["ends_at"]}}
    ended = send("PATCH", f"{path}/{made.json()['id']}", change, **{"if-match": made.headers["etag"]})
    assert ended.status_code == 422, ended.text


def test_all_faults_are_told_at_once(send: Send) -> None:
    answer = send("POST", ITEMS, {"type": "Feature", "geometry": None, "properties": {"class": "x", "indoor": 1}})
    assert {fault["field"] for fault in answer.json()["errors"]} == {"class", "indoor", "geometry"}


@pytest.mark.parametrize(
    ("layer", "geometry", "words"),
    [
        ("shelters", {"type": "Point", "coordinates": [27.3, 105.3]}, "swapped"),
        ("shelters", {"type": "Point", "coordinates": [0, 27]}, "exactly 0"),
        ("shelters", {"type": "Point", "coordinates": []}, "no geometry"),
        ("shelters", {"type": "Point", "coordinates": ["a", "b"]}, "no geometry"),
        ("shelters", {"type": "LineString", "coordinates": [[105, 27], [106, 27]]}, "no place"),
        ("shelters", "POINT (105 27)", "no geometry"),
        (
            "risk_zones",
            {"type": "Polygon", "coordinates": [[[105, 27], [106, 28], [106, 27], [105, 28], [105, 27]]]},
            "Self-intersection",
        ),
    ],
)
def test_a_place_that_cannot_be_is_refused(send: Send, layer: str, geometry: Any, words: str) -> None:
    answer = send("POST", f"/collections/{layer}/items", {"type": "Feature", "geometry": geometry, "properties": {}})
    assert answer.status_code == 422, answer.text
    assert any(fault["field"] == "geometry" and words in fault["detail"] for fault in answer.json()["errors"])


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b'{"type": NaN}', b"\xff\xfe", b"[" * 100_000, b'{"properties": []}'],
)
def test_a_body_that_is_no_feature_is_refused(send: Send, body: bytes) -> None:
    assert send("POST", ITEMS, body).status_code in (400, 422)


def test_polygons_keep_their_holes(send: Send) -> None:
    ring = [[105, 27], [105.1, 27], [105.1, 27.1], [105, 27.1], [105, 27]]
    hole = [[105.02, 27.02], [105.02, 27.04], [105.04, 27.04], [105.04, 27.02], [105.02, 27.02]]
    shape = {"type": "Polygon", "coordinates": [ring, hole]}
    made = send("POST", "/collections/risk_zones/items", {"type": "Feature", "geometry": shape, "properties": {}})
    assert made.status_code == 201
    assert made.json()["geometry"]["type"] == "MultiPolygon"
    assert len(made.json()["geometry"]["coordinates"][0]) == 2


def test_the_same_key_is_done_once(send: Send) -> None:
    first = send("POST", ITEMS, feature(), idempotency_key="k1")
    again = send("POST", ITEMS, feature(), idempotency_key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.headers["etag"] == again.headers["etag"]
    assert send("GET", ITEMS).json()["numberReturned"] == 1
    assert send("POST", ITEMS, feature("b"), idempotency_key="k1").status_code == 409
    other = send("POST", ITEMS, feature("b"), role="admin", idempotency_key="k1")  # each author has keys of his own
    assert other.status_code == 201
    refused = send("POST", ITEMS, {"type": "Feature", "geometry": None}, idempotency_key="k2")
    assert refused.status_code == 422
    assert send("POST", ITEMS, feature("c"), idempotency_key="k2").status_code == 201  # a refusal used no key up


def test_the_same_key_at_the_same_time_is_done_once(send: Send) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send("POST", ITEMS, feature("x"), idempotency_key="race"), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_some_items_at_once_or_none(send: Send) -> None:
    made = [send("POST", ITEMS, feature(f"n{n}")) for n in range(3)]
    items = [
        {"fid": one.json()["id"], "if_match": one.headers["etag"], "properties": {"address": "moved"}} for one in made
    ]
    send("PATCH", made[1].headers["location"], {"properties": {"address": "theirs"}}, if_match="*")
    lost = send("PATCH", ITEMS, {"items": items})
    assert lost.status_code == 412
    assert [conflict["fid"] for conflict in lost.json()["conflicts"]] == [made[1].json()["id"]]
    assert [send("GET", one.headers["location"]).json()["properties"]["address"] for one in made] == [
        None, "theirs", None,
    ]  # fmt: skip
    items[1]["if_match"] = "*"
    done = send("PATCH", ITEMS, {"items": items, "reason": "batch"})
    assert done.status_code == 200
    assert len(done.json()["items"]) == 3
    assert send("PATCH", ITEMS, {"items": [*items, items[0]]}).status_code == 400
    assert send("PATCH", ITEMS, {"items": [{"fid": 999_999, "properties": {}}]}).status_code in (404, 428)


def test_monitored_numbers_are_light_and_dated(send: Send) -> None:
    path = send("POST", ITEMS, feature(capacity_persons=100)).headers["location"]
    said = send("PATCH", path, {"properties": {"occupancy_persons": 40}}, role="responder")
    assert said.status_code == 200
    first = said.json()["properties"]["occupancy_stated_at"]
    assert first is not None
    same = send("PATCH", path, {"properties": {"occupancy_persons": 40}}, role="responder")  # still 40: stated again
    assert same.json()["properties"]["occupancy_stated_at"] > first
    told = send(
        "PATCH", path, role="responder",
        body={"properties": {"occupancy_persons": 41, "occupancy_stated_at": "2026-11-20T14:20:00+08:00"}},
    )  # fmt: skip
    assert told.json()["properties"]["occupancy_stated_at"] == "2026-11-20T06:20:00+00:00"
    more = send("PATCH", path, {"properties": {"occupancy_persons": 1, "name": "b"}}, role="responder", if_match="*")
    assert more.status_code == 403


@pytest.mark.parametrize("role", ["", "reader", "planner", "publisher", "responder"])
def test_who_may_not_edit(send: Send, role: str) -> None:
    path = send("POST", ITEMS, feature()).headers["location"]
    wanted = 401 if not role else 403
    assert send("POST", ITEMS, feature("b"), role=role).status_code == wanted
    assert send("PATCH", path, {"properties": {"name": "b"}}, role=role, if_match="*").status_code == wanted
    assert send("PUT", path, feature("b"), role=role, if_match="*").status_code == wanted
    assert send("DELETE", path, role=role, if_match="*").status_code == wanted
    assert send("POST", f"{path}/restore", {"version": 1}, role=role, if_match="*").status_code == wanted
    assert send("GET", path).json()["properties"]["name"] == "a"


def test_anonymous_readers_see_public_fields_of_public_rows_in_every_answer(send: Send) -> None:
    made = send("POST", ITEMS, feature("known", contact_phone="000-123"))
    send("POST", ITEMS, feature("hidden one", withheld=True))
    assert send("GET", made.headers["location"]).json()["properties"]["contact_phone"] == "000-123"
    paths = [ITEMS, made.headers["location"], f"{made.headers['location']}/history", "/changes", "/collections"]
    paths += [f"{ITEMS}?as_of=2999-01-01T00:00:00Z", "/nearest?lon=105.3&lat=27.3&layers=shelters", "/search?q=hidden"]
    for path in paths:
        text = send("GET", path, role="").text
        assert "000-123" not in text, path
        assert "hidden one" not in text, path
        assert "editor" not in text, path
    assert send("GET", f"{ITEMS}?contact_phone=000-123", role="").status_code == 400
    assert send("GET", ITEMS, role="").json()["numberReturned"] == 1
    assert send("GET", ITEMS).json()["numberReturned"] == 2


def test_an_earlier_state_comes_back_as_a_new_change(send: Send) -> None:
    made = send("POST", ITEMS, feature("first", capacity_persons=5))
    path = made.headers["location"]
    moved = {"properties": {"name": "second"}, "geometry": {"type": "Point", "coordinates": [105.5, 27.5]}}
    second = send("PATCH", path, moved, if_match=made.headers["etag"])
    *_, begun = send("GET", f"{path}/history").json()["changes"]
    assert send("POST", f"{path}/restore", {"version": begun["version"]}).status_code == 428
    assert send("POST", f"{path}/restore", {"version": begun["version"]}, if_match='"0"').status_code == 412
    back = send("POST", f"{path}/restore", {"version": begun["version"]}, if_match=second.headers["etag"])
    assert back.status_code == 200
    assert back.json()["properties"]["name"] == "first"
    assert back.json()["geometry"]["coordinates"] == PLACE["coordinates"]
    assert len(send("GET", f"{path}/history").json()["changes"]) == 3
    send("DELETE", path, if_match="*")
    again = send("POST", f"{path}/restore", {"version": begun["version"], "reason": "deleted by mistake"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    before = send("POST", f"{path}/restore", {"version": begun["version"] - 1}, if_match="*")
    assert before.status_code == 204  # it was not there then
    assert send("POST", f"{path}/restore", {"version": "x"}, if_match="*").status_code == 400


def test_as_of_is_answered_everywhere(send: Send) -> None:
    made = send("POST", ITEMS, feature("then"))
    path = made.headers["location"]
    (step,) = send("GET", f"{path}/history").json()["changes"]
    moment = step["recorded_at"].replace("+00:00", "Z")
    send("DELETE", path, if_match="*")
    for role in ("", "editor"):
        assert send("GET", path, role=role).status_code == 404
        assert send("GET", f"{path}?as_of={moment}", role=role).json()["properties"]["name"] == "then"
        assert send("GET", f"{ITEMS}?as_of={moment}", role=role).json()["numberReturned"] == 1
        near = send("GET", f"/nearest?lon=105.3&lat=27.3&layers=shelters&as_of={moment}", role=role).json()
        assert [one["properties"]["name"] for one in near["features"]] == ["then"]
        assert send("GET", f"/tiles/shelters/12/3246/1724.mvt?as_of={moment}", role=role).status_code == 200
        assert send("GET", "/tiles/shelters/12/3246/1724.mvt", role=role).status_code == 204
    for wrong in ("yesterday", "2026-11-20", "2026-11-20T14:20:00", "0001-01-01T00:00:00%2B14:00"):
        for address in (
            f"{path}?as_of=",
            f"{ITEMS}?as_of=",
            "/nearest?lon=1&lat=1&as_of=",
            "/tiles/roads/1/1/1.mvt?as_of=",
        ):
            assert send("GET", f"{address}as_of={wrong}").status_code == 400, address + wrong


def test_flags_follow_what_was_edited(database: str, send: Send) -> None:
    put(database, "admin_areas", {"source_id": "1", "name": "甲县", "level": "county", "at": square(105, 27, 0.5)})
    put(database, "admin_areas", {"source_id": "2", "name": "乙县", "level": "county", "at": square(106, 27, 0.5)})
    made = send("POST", ITEMS, feature(admin_area="乙县", capacity_persons=0))
    assert set(made.json()["properties"]["flags"]) == {"location_doubt", "capacity_zero"}
    path = made.headers["location"]
    put_right = {"properties": {"capacity_persons": 10}, "geometry": {"type": "Point", "coordinates": [106.2, 27.2]}}
    assert send("PATCH", path, put_right, if_match="*").json()["properties"]["flags"] == []
    wrong = send("PATCH", path, {"properties": {"admin_area": "甲县"}}, if_match="*")
    assert wrong.json()["properties"]["flags"] == ["location_doubt"]
    assert len(send("GET", f"{path}/history").json()["changes"]) == 3  # one edit is one change


def test_an_item_to_which_another_points_is_not_deleted(send: Send) -> None:
    depot = send("POST", "/collections/supply_depots/items", feature("depot"))
    stock = {"type": "Feature", "geometry": None, "properties": {"depot": depot.json()["id"], "item_name": "tent"}}
    assert send("POST", "/collections/stock/items", stock).status_code == 201
    assert send("DELETE", depot.headers["location"], if_match="*").status_code == 409
    stock["properties"] = {"depot": 999_999, "item_name": "tent"}
    assert send("POST", "/collections/stock/items", stock).status_code == 422


def test_the_same_item_twice_is_refused(send: Send) -> None:
    assert send("POST", ITEMS, feature("same", address="here")).status_code == 201
    assert send("POST", ITEMS, feature("same", address="here")).status_code == 409


def test_a_manual_grade_needs_a_reason_and_shows_both(send: Send) -> None:
    grade = {"hazard": "landslide", "threatened_persons": 120, "threatened_property_cny": 1000}
    made = send("POST", DANGERS, feature(**grade))
    assert made.json()["properties"]["threat_grade"] == "medium"
    assert made.json()["properties"]["threat_grade_at_least"] is False
    path = made.headers["location"]
    refused = send("PATCH", path, {"properties": {"threat_grade_stated": "large"}}, if_match="*")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "threat_grade_reason"
    given = {"threat_grade_stated": "large", "threat_grade_reason": "a school stands below"}
    told = send("PATCH", path, {"properties": given}, if_match="*").json()["properties"]
    assert (told["threat_grade"], told["threat_grade_computed"]) == ("large", "medium")


def test_the_log_is_paged_and_public_readers_see_less_of_it(send: Send) -> None:
    start = send("GET", "/changes?limit=1").json()["latest"]
    for n in range(5):
        send("POST", ITEMS, feature(f"p{n}", withheld=n == 2))
    found, since = [], start
    while page := send("GET", f"/changes?since={since}&limit=2").json()["changes"]:
        found += page
        since = page[-1]["version"]
    assert [one["version"] for one in found] == list(range(start + 1, start + 6))
    public = send("GET", f"/changes?since={start}", role="").json()["changes"]
    assert len(public) == 4
    assert {one["author"] for one in public} == {None}
    assert send("GET", f"/changes?since={start}&layer=roads").json()["changes"] == []
    assert send("GET", "/changes?layer=nonsense").status_code == 404
    assert send("GET", "/changes?since=-1").status_code == 400
