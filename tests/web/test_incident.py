"""From an incident to the nearest shelters, teams and depots by straight line, in the list and on the map."""

from __future__ import annotations

from typing import Any

import pytest

LON, LAT = 105.3, 27.3
QUESTION = {"lon": LON, "lat": LAT, "hazard": "landslide", "places": 120}
LINK = f"/?w=respond&view=12.5,{LON},{LAT}&at={LON},{LAT}&by=line&hazard=landslide&places=120&lang=zh"


def _answer_of(app: Any, layer: str) -> tuple[list[Any], list[Any]]:
    answer = app.get("/nearest", **QUESTION)
    ranked = [one for one in answer["features"] if one["properties"]["layer"] == layer]
    skipped = [one for one in answer["skipped"] if one["layer"] == layer]
    ranked.sort(key=lambda one: one["properties"]["rank"])
    return ranked, sorted(skipped, key=lambda one: one["distance_m"])


def _names(app: Any) -> list[str]:
    return [text.strip() for text in app.page.locator(".row .row-text strong").all_inner_texts()]


def _ready(app: Any) -> None:
    app.until("leeward.act.state.answer.status === 'ready'")
    app.page.locator(".row .rank").first.wait_for()


def test_lists_equal_the_service_in_order(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    for layer in ("shelters", "rescue_teams", "supply_depots"):
        app.page.locator(f"#tab-{layer}").click()
        ranked, _ = _answer_of(app, layer)
        assert _names(app) == [one["properties"]["name"] for one in ranked]
        assert app.page.locator(".row .rank").all_inner_texts() == [str(n + 1) for n in range(len(ranked))]


def test_unknown_places_are_never_zero(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    ranked, _ = _answer_of(app, "shelters")
    for item in ranked:
        row = app.page.locator(f'.row:has([data-row="{item["id"]}"])').inner_text()
        places = item["properties"]["places_persons"]
        assert ("余量不详" if places is None else f"余 {places:,} 人") in row


def test_places_say_how_old_they_are(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    words = {item["id"]: item["properties"] for item in _answer_of(app, "shelters")[0]}
    aged = {key: one for key, one in words.items() if one["places_persons"] is not None}
    assert aged
    for key, one in aged.items():
        row = app.page.locator(f'.row:has([data-row="{key}"])').inner_text()
        age = app.page.evaluate("seconds => leeward.act.text.age(seconds)", one["occupancy_age_s"])
        assert age in row


def test_nearer_ones_not_chosen_stand_under_the_first(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    ranked, skipped = _answer_of(app, "shelters")
    assert skipped, "the sample county has shelters that are not chosen here"
    first = ranked[0]["properties"]["distance_m"]
    nearer = [one["id"] for one in skipped if one["distance_m"] <= first]
    farther = [one["id"] for one in skipped if one["distance_m"] > first]
    for head in app.page.locator(".why-head[aria-expanded=false]").all():
        head.click()
    shown = [one.get_attribute("data-row") for one in app.page.locator(".skipped [data-row]").all()]
    assert shown == nearer + farther
    rows = [one.get_attribute("data-row") for one in app.page.locator("[data-row]").all()]
    assert rows == [ranked[0]["id"], *nearer, *(one["id"] for one in ranked[1:]), *farther]
    for one in app.page.locator(".skipped .reason").all_inner_texts():
        assert one.strip()


def _badges(app: Any) -> set[str]:
    app.until("leeward.map.loaded()")
    drawn = "leeward.map.queryRenderedFeatures({ layers: ['answer:badge'] }).map(one => one.properties.badge)"
    return set(app.page.evaluate(drawn))


def test_answer_is_drawn_on_the_map(app: Any) -> None:
    app.open("/?w=respond&by=line&lang=zh")
    app.page.evaluate(f"leeward.act.setIncident([{LON}, {LAT}])")
    _ready(app)
    app.until("leeward.map.queryRenderedFeatures({ layers: ['answer:badge'] }).length > 0")
    answer = app.get("/nearest", lon=LON, lat=LAT)["features"]
    ranks = {one["properties"]["rank"] for one in answer if one["properties"]["layer"] == "shelters"}
    assert {f"rank|{rank}" for rank in ranks} <= _badges(app)
    assert app.page.evaluate("leeward.map.queryRenderedFeatures({ layers: ['answer:incident'] }).length") == 1
    assert app.page.evaluate("leeward.map.queryRenderedFeatures({ layers: ['answer:line'] }).length") >= 1


def test_row_flies_there_and_is_highlighted(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    ranked, _ = _answer_of(app, "shelters")
    third = ranked[2]
    app.page.locator(f'[data-row="{third["id"]}"]').click()
    app.page.locator(".row.selected .fields").wait_for()
    centre = app.page.evaluate("leeward.map.getCenter().toArray()")
    assert centre == pytest.approx(third["geometry"]["coordinates"], abs=1e-4)
    app.until("leeward.map.queryRenderedFeatures({ layers: ['chosen:point'] }).length > 0")
    assert f"sel={third['id']}" in app.page.url


def test_hazard_and_persons_change_the_question(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    with app.page.expect_response(lambda one: "/nearest" in one.url and "places=500" in one.url):
        app.page.get_by_label("需安置").select_option("500")
    with app.page.expect_response(lambda one: "/nearest" in one.url and "hazard=flood" in one.url):
        app.page.get_by_label("灾种").select_option("flood")
    assert "hazard=flood" in app.page.url
    assert "places=500" in app.page.url


def test_copy_as_text_gives_a_line_for_each_shelter(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    app.page.get_by_role("button", name="复制为文字").click()
    lines = app.page.locator(".copied textarea").input_value().splitlines()
    ranked, _ = _answer_of(app, "shelters")
    assert len(lines) == len(ranked) == 5
    for line, item in zip(lines, ranked, strict=True):
        assert item["properties"]["name"] in line
        assert "直线" in line
        assert "方向" in line
        assert "余" in line
        assert "前" in line or "未更新" in line or "时间不详" in line
        assert "示例数据，非真实" in line


def test_right_click_sets_the_incident_and_back_takes_it_away(app: Any) -> None:
    app.open(f"/?w=respond&view=13,{LON},{LAT}&lang=zh")
    app.page.mouse.click(*app.screen_point(LON, LAT), button="right")
    _ready(app)
    assert "at=105.3" in app.page.url
    app.page.go_back()
    app.page.get_by_role("button", name="此处为事发点").wait_for()
    assert "at=" not in app.page.url
    app.page.go_forward()
    _ready(app)


def test_link_restores_everything(app: Any) -> None:
    ranked, _ = _answer_of(app, "shelters")
    app.open(f"{LINK}&sel={ranked[1]['id']}")
    _ready(app)
    app.page.locator(".row.selected").wait_for()
    view = app.page.evaluate("[leeward.map.getZoom(), ...leeward.map.getCenter().toArray()]")
    assert view == pytest.approx([12.5, LON, LAT], abs=1e-4)
    assert app.page.get_by_label("灾种").input_value() == "landslide"
    assert app.page.get_by_label("需安置").input_value() == "120"
    assert app.page.locator(".row.selected [data-row]").get_attribute("data-row") == ranked[1]["id"]


def test_refusal_is_told_in_the_services_words(app: Any) -> None:
    refusal = {"title": "x", "detail": "no such hazard"}
    app.page.route("**/nearest?**", lambda route: route.fulfill(status=400, json=refusal))
    app.page.goto(app.server + LINK)
    app.page.locator(".scroll .problem").wait_for()
    assert "no such hazard" in app.page.locator(".scroll .problem").inner_text()


def test_result_is_announced_once_for_screen_readers(app: Any) -> None:
    app.open(LINK)
    _ready(app)
    ranked, _ = _answer_of(app, "shelters")
    said = app.page.locator("[aria-live=polite]")
    assert said.count() == 1
    assert ranked[0]["properties"]["name"] in said.inner_text()


def test_a_link_without_a_view_shows_the_whole_answer(app: Any) -> None:
    app.open("/?at=105.286,27.304&by=line&hazard=landslide&lang=zh")
    app.until("leeward.act.state.answer.value && !leeward.map.isMoving() && leeward.map.getZoom() > 11")
    answer = app.get("/nearest", lon=105.286, lat=27.304, hazard="landslide")
    shelters = [
        one["geometry"]["coordinates"] for one in answer["features"] if one["properties"]["layer"] == "shelters"
    ]
    assert shelters
    for lon, lat in shelters:
        x, y = app.screen_point(lon, lat)
        assert 400 < x < 1280, "not under the panel"
        assert 48 < y < 720, "not under the bar"
