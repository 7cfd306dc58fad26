"""From an incident to the nearest by road: times, routes, closures, and why not the nearer one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import expect

LON, LAT = 105.303, 27.254
AT = f"at={LON},{LAT}"
LINK = f"/?w=respond&view=12.5,{LON},{LAT}&{AT}&lang=zh"
CLOSURES = "/collections/road_closures/items"
BY_ROAD = "leeward.act.state.answer.status === 'ready' && leeward.act.state.answer.value.network"
ORDER = "leeward.act.state.answer.value.features.filter(one => one.properties.layer === 'shelters').map(one => one.id)"
Geometry = dict[str, Any]


def _ready(app: Any) -> None:
    app.until(BY_ROAD)
    app.page.locator(".row .rank").first.wait_for()


def _ranked(app: Any, layer: str = "shelters", **query: Any) -> list[Any]:
    answer = app.get("/nearest", lon=LON, lat=LAT, by="road", route="true", **query)
    return [one for one in answer["features"] if one["properties"]["layer"] == layer]


def _rows(app: Any) -> list[str]:
    return [one.get_attribute("data-row") for one in app.page.locator(".row [data-row]").all()]


def _across(route: Geometry, half: float = 0.0012) -> list[list[float]]:
    """A short line across the longest stretch of a route."""
    line = route["coordinates"]
    (x0, y0), (x1, y1) = max(pairwise(line), key=lambda ab: _square(*ab))
    x, y, long = (x0 + x1) / 2, (y0 + y1) / 2, _square((x0, y0), (x1, y1)) ** 0.5
    dx, dy = -(y1 - y0) / long * half, (x1 - x0) / long * half
    return [[x - dx, y - dy], [x + dx, y + dy]]


def _square(a: Any, b: Any) -> float:
    return float((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)


class Closing:
    """An editor beside the page, who closes roads and opens them again."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.request = app.page.context.request
        credentials = {"name": "demo-editor", "password": app.accounts["demo-editor"]}
        self.headers = {"X-CSRF-Token": self.request.post(f"{app.server}/session", data=credentials).json()["csrf"]}

    def close(self, geometry: Geometry, **properties: Any) -> int:
        feature = {"type": "Feature", "geometry": geometry, "properties": {"effect": "forbid", **properties}}
        answer = self.request.post(self.app.server + CLOSURES, data=feature, headers=self.headers)
        assert answer.status == 201, answer.text()
        return int(answer.json()["id"])

    def end_all(self) -> None:
        for item in self.request.get(self.app.server + CLOSURES).json()["features"]:
            if item["properties"]["sample"]:
                continue
            path = f"{self.app.server}{CLOSURES}/{item['id']}"
            self.request.delete(path, headers={**self.headers, "If-Match": "*"})


@pytest.fixture
def closing(app: Any) -> Iterator[Closing]:
    """What closes roads for one test."""
    editor = Closing(app)
    yield editor
    editor.end_all()


def test_ranked_by_road_with_their_times(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    for layer in ("shelters", "rescue_teams", "supply_depots"):
        app.page.locator(f"#tab-{layer}").click()
        ranked = _ranked(app, layer)
        assert _rows(app) == [one["id"] for one in ranked]
        for item in ranked:
            row = app.page.locator(f'.row:has([data-row="{item["id"]}"]) .row-far').inner_text()
            told = item["properties"]
            assert app.page.evaluate("s => leeward.act.text.minutes(s)", told["travel_time_s"]) in row
            assert app.page.evaluate("m => leeward.act.text.distance(m)", told["road_m"] + told["walk_m"]) in row
            straight = app.page.evaluate("m => leeward.act.text.distance(m)", told["distance_m"])
            assert f"直线 {straight}" in row
    assert "未计转弯限制" in app.page.locator(".basis").inner_text()


def _routes(app: Any) -> dict[int, bool]:
    """The ranks whose route is drawn, and whether it stands out."""
    app.until("leeward.map.loaded() && !leeward.map.isMoving()")
    drawn = app.page.evaluate(
        "leeward.map.queryRenderedFeatures({ layers: ['answer:route'] }).map(one => one.properties)"
    )
    return {one["rank"]: one["first"] for one in drawn}


def test_routes_are_drawn_and_the_chosen_one_stands_out(app: Any) -> None:
    app.open(f"/?{AT}&lang=zh")
    _ready(app)
    app.until("leeward.map.queryRenderedFeatures({ layers: ['answer:route'] }).length > 0")
    ranked = _ranked(app)
    assert _routes(app) == {n + 1: n == 0 for n in range(len(ranked))}
    for item in ranked:
        for lon, lat in item["properties"]["route"]["coordinates"]:
            x, y = app.screen_point(lon, lat)
            assert 400 < x < 1280, "not under the panel"
            assert 48 < y < 720, "not under the bar"
    app.page.locator(f'[data-row="{ranked[1]["id"]}"]').click()
    app.until("leeward.act.state.card.status === 'ready'")
    app.until(
        "leeward.map.queryRenderedFeatures({ layers: ['answer:route'] })"
        ".some(one => one.properties.rank === 2 && one.properties.first)"
    )
    assert not _routes(app)[1]
    for lon, lat in ranked[1]["properties"]["route"]["coordinates"]:
        x, y = app.screen_point(lon, lat)
        assert 400 < x < 1280
        assert 48 < y < 720


def test_switch_between_road_and_straight_line(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    with app.page.expect_response(lambda one: "/nearest" in one.url and "by=road" not in one.url):
        app.page.get_by_role("button", name="按直线距离").click()
    app.until("leeward.act.state.answer.status === 'ready' && !leeward.act.state.answer.value.network")
    assert "by=line" in app.page.url
    by_line = app.get("/nearest", lon=LON, lat=LAT)["features"]
    assert _rows(app) == [one["id"] for one in by_line if one["properties"]["layer"] == "shelters"]
    app.until("leeward.map.queryRenderedFeatures({ layers: ['answer:line'] }).length > 0")
    assert app.page.get_by_label("出行方式").count() == 0
    app.page.get_by_role("button", name="按道路时间").click()
    _ready(app)
    assert "by=road" in app.page.url


def test_link_reproduces_profile_and_moment(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    with app.page.expect_response(lambda one: "profile=foot" in one.url):
        app.page.get_by_label("出行方式").select_option("foot")
    with app.page.expect_response(lambda one: "&at=" in one.url):
        app.page.get_by_label("时刻").select_option("then")
    app.page.locator("input.when").fill("2030-05-01T08:30")
    app.page.locator("input.when").dispatch_event("change")
    app.until("leeward.act.state.answer.status === 'ready'")
    app.until("leeward.act.state.answer.value.network.at.startsWith('2030-0')")
    link = app.page.url.removeprefix(app.server)
    moment = app.page.evaluate("leeward.act.state.answer.value.network.at")
    order = _rows(app)
    assert "profile=foot" in link
    assert "when=2030-0" in link
    app.open(link)
    _ready(app)
    assert app.page.evaluate("leeward.act.state.answer.value.network.at") == moment
    assert app.page.get_by_label("出行方式").input_value() == "foot"
    assert app.page.locator("input.when").input_value() == "2030-05-01T08:30"
    assert _rows(app) == order


def test_closure_over_the_first_route_changes_the_order_and_says_so(app: Any, closing: Closing) -> None:
    app.open(LINK)
    _ready(app)
    before = _ranked(app)
    now = datetime.now(UTC)
    until = now + timedelta(hours=3)
    line = {"type": "LineString", "coordinates": _across(before[0]["properties"]["route"])}
    closing.close(line, name="核桃湾塌方", starts_at=now.isoformat(), ends_at=until.isoformat())
    app.until(f"{ORDER}[0] !== '{before[0]['id']}'")
    after = _ranked(app)
    expect(app.page.locator(".row [data-row]")).to_have_count(len(after))
    assert _rows(app) == [one["id"] for one in after]
    assert app.page.locator(".row[class*=flash-]").count() > 0
    assert "新的次序" in app.page.locator("[aria-live=polite]").inner_text()
    cut = app.page.locator(f'[data-row="{before[0]["id"]}"]')
    expect(cut).to_contain_text("核桃湾塌方")
    words = cut.inner_text()
    assert "绕行" in words or "道路中断，无法到达" in words
    assert app.page.evaluate("at => leeward.act.text.soon(at)", until.isoformat()) in words
    cut.click()
    app.until("leeward.map.queryRenderedFeatures({ layers: ['cut:line'] }).length > 0")
    app.until("leeward.map.queryRenderedFeatures({ layers: ['answer:skipped-line'] }).length > 0")
    closing.end_all()
    app.until(f"{ORDER}[0] === '{before[0]['id']}'")
    assert _rows(app) == [one["id"] for one in before]


def test_closure_is_drawn_in_the_page_and_ended_from_its_card(app: Any, closing: Closing) -> None:
    app.open(f"/?view=14,{LON},{LAT}&{AT}&lang=zh")
    _ready(app)
    before = _ranked(app)
    across = _across(before[0]["properties"]["route"])
    lon, lat = [(a + b) / 2 for a, b in zip(*across, strict=True)]
    app.page.evaluate(f"leeward.map.jumpTo({{ center: [{lon}, {lat}], zoom: 14 }})")
    app.page.get_by_role("button", name="道路封闭", exact=True).click()
    assert app.page.locator("#field-effect").input_value() == "forbid"
    assert app.page.locator("#field-starts_at").input_value() != ""
    app.page.locator("#field-name").fill("画出的封闭")
    app.page.get_by_role("button", name="画线").click()
    for place in across:
        app.page.mouse.click(*app.screen_point(*place))
        app.page.wait_for_timeout(450)
    app.page.get_by_role("button", name="完成", exact=True).click()
    app.page.locator(".edit-foot .primary").click()
    app.until(f"leeward.act.state.editing === null && {ORDER}[0] !== '{before[0]['id']}'")
    expect(app.page.locator(f'[data-row="{before[0]["id"]}"]')).to_contain_text("画出的封闭")
    app.until(
        "leeward.map.queryRenderedFeatures().some(one => one.sourceLayer === 'road_closures') "
        "&& !leeward.map.isMoving()"
    )
    app.page.mouse.click(*app.screen_point(*across[0]))
    app.page.get_by_role("button", name="结束封闭").click()
    app.until(f"leeward.act.state.selected === null && {ORDER}[0] === '{before[0]['id']}'")
    ended = app.get(CLOSURES)["features"]
    drawn = [one["properties"] for one in ended if one["properties"]["name"] == "画出的封闭"]
    assert [one["ends_at"] is None for one in drawn] == [False]


def test_without_the_right_there_is_no_button(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    assert app.page.get_by_role("button", name="道路封闭", exact=True).count() == 0


def test_straight_line_stands_in_while_the_roads_are_read(app: Any) -> None:
    busy = {"title": "Unavailable", "status": 503, "detail": "the road network is being read", "parameter": "by"}
    reading = [True]

    def answer(route: Any) -> None:
        if "by=road" in route.request.url and reading:
            route.fulfill(status=503, json=busy, headers={"Retry-After": "1"})
        else:
            route.continue_()

    app.page.route("**/nearest?**", answer)
    app.open(LINK)
    app.page.locator(".instead").wait_for()
    assert "先按直线" in app.page.locator(".instead").inner_text()
    assert app.page.locator(".row .rank").count() > 0
    reading.clear()
    _ready(app)
    assert app.page.locator(".instead").count() == 0


def test_straight_line_stands_in_while_the_answer_by_road_is_slow(app: Any) -> None:
    app.open(f"/?view=12.5,{LON},{LAT}&lang=zh")
    held: list[Any] = []
    app.page.route("**/nearest?**by=road**", lambda route: held.append(route))
    app.page.evaluate(f"leeward.act.setIncident([{LON}, {LAT}])")
    app.page.locator(".instead").wait_for()
    assert "先按直线" in app.page.locator(".instead").inner_text()
    assert app.page.locator(".row .rank").count() > 0
    held[0].continue_()
    _ready(app)
    assert app.page.locator(".instead").count() == 0


def test_without_roads_the_straight_line_is_the_answer(app: Any) -> None:
    none = {"title": "Invalid value", "status": 400, "detail": "there are no roads", "parameter": "by"}
    app.page.route("**/nearest?**by=road**", lambda route: route.fulfill(status=400, json=none))
    app.open(LINK)
    app.page.locator(".row .rank").first.wait_for()
    assert "没有路网" in app.page.locator(".instead").inner_text()


def test_earlier_records_are_ranked_by_straight_line(app: Any) -> None:
    app.open(f"{LINK}&t={datetime.now(UTC).isoformat(timespec='seconds').replace('+00:00', 'Z')}")
    app.page.locator(".row .rank").first.wait_for()
    assert "过去时刻" in app.page.locator(".instead").inner_text()


def test_phone_folds_the_question_and_fingers_can_reach_it(phone: Any) -> None:
    phone.open(f"/?{AT}&lang=zh")
    _ready(phone)
    assert phone.page.locator(".row .rank").first.bounding_box()["y"] < 844 - 60, "the first row is in sight"
    phone.page.locator(".asked summary").tap()
    for control in phone.page.locator(".asked summary, .asked select, .asked button").all():
        assert control.bounding_box()["height"] >= 44
    phone.page.get_by_role("button", name="按直线距离").tap()
    phone.until("leeward.act.state.answer.status === 'ready' && !leeward.act.state.answer.value.network")
    assert "按直线距离" in phone.page.locator(".asked summary").inner_text()


def test_the_ground_that_is_reached_and_who_lives_there(app: Any, closing: Closing) -> None:
    app.open(f"/?{AT}&lang=zh")
    _ready(app)
    app.page.locator(".reach-switch").click()
    app.until("leeward.act.state.area.status === 'ready'")
    app.until("leeward.map.loaded() && !leeward.map.isMoving()")
    inputs = {"inputs": {"places": [[LON, LAT]], "bands_s": [600, 1200, 1800]}}
    told = app.page.context.request.post(
        f"{app.server}/processes/service-area/execution", data=inputs, headers=closing.headers
    ).json()
    shown = app.page.locator(".reach-band dd").all_inner_texts()
    for text, band in zip(shown, [*(one["properties"] for one in told["features"]), told["beyond"]], strict=True):
        if band["persons"]:
            assert app.page.evaluate("n => leeward.act.text.t('persons_n', { n })", band["persons"]) in text
        if band["persons"] and band["persons_unknown"]:
            assert f"另 {band['persons_unknown']} 处不详" in text
    drawn = app.page.evaluate(
        "leeward.map.queryRenderedFeatures({ layers: ['reach:fill'] }).map(f => f.properties.band)"
    )
    assert {0, 1} <= set(drawn)
    assert "reach=1" in app.page.evaluate("leeward.act.link")
    app.open(app.page.evaluate("leeward.act.link"))  # sharing the link reproduces it
    app.until("leeward.act.state.area.status === 'ready'")
    before = app.page.evaluate("leeward.act.state.area.value.beyond.settlements")
    route = _ranked(app)[0]["properties"]["route"]
    closing.close({"type": "LineString", "coordinates": _across(route)})
    app.until(f"leeward.act.state.area.value.beyond.settlements >= {before} && leeward.act.state.flashes >= 0")
    app.page.locator(".reach-switch").click()
    app.until("leeward.map.queryRenderedFeatures({ layers: ['reach:fill'] }).length === 0")


def test_a_closure_that_has_ended_is_not_drawn(app: Any, closing: Closing) -> None:
    now = datetime.now(UTC)
    ended, on = (
        closing.close(
            {"type": "Point", "coordinates": [LON + east, LAT]},
            starts_at=(now - timedelta(hours=3)).isoformat(),
            ends_at=(now + timedelta(hours=hours)).isoformat(),
        )
        for east, hours in ((0.004, -1), (-0.004, 1))
    )
    app.open(f"/?w=respond&view=14,{LON},{LAT}&lang=zh")
    drawn = "leeward.map.queryRenderedFeatures().filter(one => one.sourceLayer === 'road_closures').map(one => one.id)"
    app.until(f"{drawn}.includes({on})")
    assert ended not in app.page.evaluate(drawn)
