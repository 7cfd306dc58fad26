"""Clusters: they add up to the whole, part when clicked, and leave alone what stands alone; the map follows changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

LAYER = "hazard_points"
OTHERS = "risk_zones,shelters,rescue_teams,supply_depots,incidents,settlements"
ONLY = f"hide={OTHERS}&lang=zh"
SEEN = f"leeward.act.state.seen.clusters.{LAYER}"
DRAWN_ITEMS = f"leeward.map.queryRenderedFeatures().filter(one => one.sourceLayer === '{LAYER}')"
LIVE = "leeward.act.state.live.on"


def _link(zoom: float, lon: float = 105.28, lat: float = 27.3, more: str = ONLY) -> str:
    return f"/?w=respond&view={zoom},{lon},{lat}&{more}"


def _total(app: Any, layer: str) -> int:
    counts = app.get("/collections")["collections"]
    return sum(next(one["counts"] for one in counts if one["id"] == layer).values())


@pytest.mark.parametrize("zoom", [5, 7, 9])
def test_clusters_add_up_to_the_whole(app: Any, zoom: int) -> None:
    app.open(_link(zoom, more="hide=settlements&lang=zh"))
    for layer in (LAYER, "shelters", "risk_zones"):
        total = _total(app, layer)
        app.until(f"leeward.act.state.seen.counts.{layer}?.reduce((sum, n) => sum + n, 0) === {total}")
    total = _total(app, LAYER)
    drawn = app.page.evaluate(f"{DRAWN_ITEMS}.reduce((sum, one) => sum + (one.properties.point_count ?? 1), 0)")
    assert drawn == total
    rows = app.page.locator(f'[data-layer="{LAYER}"] .entries .count').all_inner_texts()
    assert sum(int(row.replace(",", "")) for row in rows) == total


def test_counts_of_the_legend_are_those_of_the_items(app: Any) -> None:
    app.open(_link(6))
    app.until(f"{SEEN}?.length > 0")
    of_rules = app.page.evaluate(f"leeward.act.state.seen.counts.{LAYER}")
    items = [one["properties"] for one in app.get(f"/collections/{LAYER}/items", limit=1000)["features"]]
    past = sum(one["record_kind"] == "past_event" for one in items)
    grades = [one["threat_grade"] for one in items if one["record_kind"] != "past_event"]
    named = [grades.count(grade) for grade in ("very_large", "large", "medium", "small", None)]
    assert of_rules == [past, *named]


def test_click_parts_a_cluster(app: Any) -> None:
    app.open(_link(7))
    app.until(f"{SEEN}?.length > 0")
    largest = app.page.evaluate(f"{SEEN}[0]")
    spot = app.screen_point(*largest["at"])
    app.page.mouse.move(*spot)
    tooltip = app.page.locator(".tooltip")
    expect(tooltip).to_contain_text(f"{largest['count']} 处")
    expect(tooltip).to_contain_text("示例")
    expect(tooltip).to_contain_text("威胁人数")
    expect(tooltip.locator(".count")).to_have_text([str(n) for n in largest["counts"] if n > 0])
    app.page.mouse.click(*spot)
    app.until(f"leeward.map.getZoom() === 9 && leeward.map.loaded() && {SEEN}?.[0].count < {largest['count']}")
    app.page.evaluate("at => leeward.map.jumpTo({ center: at, zoom: 8.5 })", largest["at"])
    app.until(f"leeward.map.loaded() && {SEEN}?.length > 0")
    app.page.mouse.click(*app.screen_point(*app.page.evaluate(f"{SEEN}[0].at")))
    app.until(f"leeward.map.getZoom() === 10 && leeward.map.loaded() && {SEEN} === undefined")
    assert all(one is not None for one in app.page.evaluate(f"{DRAWN_ITEMS}.map(one => one.id ?? null)"))


def test_list_twin_names_clusters_and_parts_them(app: Any) -> None:
    app.open(_link(7).replace("lang=zh", "lang=en"))
    app.until(f"{SEEN}?.length > 0")
    largest = app.page.evaluate(f"{SEEN}[0]")
    app.page.keyboard.press("m")
    app.page.keyboard.press("m")
    row = app.page.locator(".row-main:focus")
    expect(row).to_contain_text(f"{largest['count']} here")
    expect(row).to_contain_text("worst: Danger point")
    expect(app.page.locator(".list-head .digits")).to_have_text("1,000")
    app.page.keyboard.press("Enter")
    app.until(f"leeward.map.getZoom() === 9 && {SEEN}?.[0].count < {largest['count']}")
    expect(app.page.locator(".row-main:focus")).to_be_visible()


def test_what_stands_alone_keeps_its_number_and_its_symbol(app: Any) -> None:
    app.open(_link(9))
    app.until(f"{SEEN}?.length > 0")
    alone = app.page.evaluate(f"leeward.act.state.seen.alone.{LAYER}")
    assert alone
    for one in alone:
        assert app.get(f"/collections/{LAYER}/items/{one['fid']}")["id"] == one["fid"]
    item = app.get(f"/collections/{LAYER}/items/{alone[0]['fid']}")
    app.page.evaluate("at => leeward.map.jumpTo({ center: at, zoom: 9 })", item["geometry"]["coordinates"])
    app.until("leeward.map.loaded()")
    app.page.mouse.click(*app.screen_point(*item["geometry"]["coordinates"]))
    app.page.locator(".card .fields").wait_for()
    assert f"sel={LAYER}.{item['id']}" in app.page.url


def test_a_finger_asks_before_it_parts_a_cluster(phone: Any) -> None:
    phone.open(_link(7))
    phone.until(f"{SEEN}?.length > 0")
    largest = phone.page.evaluate(f"{SEEN}[0]")
    spot = phone.screen_point(*largest["at"])
    phone.page.touchscreen.tap(*spot)
    expect(phone.page.locator(".tooltip")).to_contain_text(f"{largest['count']} 处")
    assert phone.page.evaluate("leeward.map.getZoom()") == 7
    phone.page.touchscreen.tap(*spot)
    phone.until("leeward.map.getZoom() > 7")


# --- the open map follows changes


@pytest.fixture
def editor(app: Any, new_page: Callable[..., Any]) -> Iterator[Callable[[int, list[float]], None]]:
    """A function with which somebody else moves a danger point; it is moved back in the end."""
    other = new_page()
    session = other.page.request.post(
        f"{other.server}/session", data={"name": "demo-editor", "password": other.accounts["demo-editor"]}
    )
    csrf = session.json()["csrf"]
    first: dict[int, list[float]] = {}

    def move(fid: int, to: list[float]) -> None:
        path = f"{other.server}/collections/{LAYER}/items/{fid}"
        first.setdefault(fid, other.page.request.get(path).json()["geometry"]["coordinates"])
        answer = other.page.request.patch(
            path,
            data={"geometry": {"type": "Point", "coordinates": to}},
            headers={"X-CSRF-Token": csrf, "If-Match": "*"},
        )
        assert answer.ok, answer.text()

    yield move
    for fid, back in list(first.items()):
        move(fid, back)


def _is_at(fid: int, at: list[float]) -> str:
    return (
        f"(p => leeward.map.queryRenderedFeatures([[p.x - 8, p.y - 8], [p.x + 8, p.y + 8]])"
        f".some(one => one.sourceLayer === '{LAYER}' && one.id === {fid}))(leeward.map.project({json.dumps(at)}))"
    )


def test_open_map_shows_the_edit_of_another(app: Any, editor: Callable[[int, list[float]], None]) -> None:
    fid = 7
    old = app.get(f"/collections/{LAYER}/items/{fid}")["geometry"]["coordinates"]
    app.open(_link(14, *old))
    app.until(f"{LIVE} && {_is_at(fid, old)}")
    asked: list[str] = []
    app.page.on("request", lambda request: asked.append(request.url) if "/tiles/" in request.url else None)
    new = [old[0] + 0.004, old[1] + 0.003]
    editor(fid, new)
    app.until(f"{_is_at(fid, new)} && !{_is_at(fid, old)}")
    assert all(f"/tiles/{LAYER}/" in url for url in asked), "no other layer is asked for"
    assert len(asked) <= 4, "only the tiles that the change touches"


def test_clusters_follow_the_edit_of_another(app: Any, editor: Callable[[int, list[float]], None]) -> None:
    """The item leaves a cluster, and far from all others it stands alone."""
    app.open(_link(8))
    app.until(f"{LIVE} && {SEEN}?.length > 0")
    alone = app.page.evaluate(f"leeward.act.state.seen.alone.{LAYER}?.map(one => one.fid) ?? []")
    fid = next(number for number in range(1, 50) if number not in alone)
    editor(fid, [106.2, 27.3])
    app.until(f"leeward.act.state.seen.alone.{LAYER}?.some(one => one.fid === {fid})")
    app.until(f"leeward.act.state.seen.counts.{LAYER}.reduce((sum, n) => sum + n, 0) === {_total(app, LAYER)}")
    editor(fid, [105.28, 27.3])
    app.until(f"!leeward.act.state.seen.alone.{LAYER}?.some(one => one.fid === {fid})")


def test_tiles_out_of_sight_follow_too(app: Any, editor: Callable[[int, list[float]], None]) -> None:
    fid = 11
    old = app.get(f"/collections/{LAYER}/items/{fid}")["geometry"]["coordinates"]
    app.open(_link(14, *old))
    app.until(f"{LIVE} && {_is_at(fid, old)}")
    app.page.evaluate("at => leeward.map.jumpTo({ center: [at[0] + 0.5, at[1]] })", old)
    app.until("leeward.map.loaded()")
    app.page.evaluate("window.version = leeward.act.live.last")
    editor(fid, [old[0] + 0.004, old[1] + 0.003])
    app.until("leeward.act.live.last !== window.version")
    app.page.evaluate("at => leeward.map.jumpTo({ center: at })", old)
    app.until(f"{_is_at(fid, [old[0] + 0.004, old[1] + 0.003])} && !{_is_at(fid, old)}")


# --- old tiles, missing tiles, grouped tiles


def _with_headers(**headers: str) -> Callable[[Any], None]:
    def answer(route: Any) -> None:
        fetched = route.fetch()
        route.fulfill(response=fetched, headers={**fetched.headers, **headers})

    return answer


def test_map_says_that_it_is_old_and_recovers_by_itself(app: Any) -> None:
    app.page.route("**/tiles/**", _with_headers(warning='110 - "Response is Stale"', age="7200"))
    app.open(_link(9))
    banner = app.page.locator(".as-of")
    expect(banner).to_contain_text("离线，数据截至")
    expect(app.page.locator(".live")).to_have_class("live off")
    app.until(f"{SEEN}?.length > 0")
    app.page.unroute("**/tiles/**")
    app.page.evaluate("leeward.act.view.tryAgain()")
    expect(banner).to_have_count(0)
    expect(app.page.locator(".live")).to_have_class("live on")
    assert app.page.evaluate(f"{SEEN}.length") > 0


def test_missing_tiles_are_told_in_their_row_and_come_by_themselves(app: Any) -> None:
    problem = {"title": "Unavailable", "status": 503, "detail": "the database does not answer"}
    app.page.route(
        f"**/tiles/{LAYER}/**",
        lambda route: route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(problem)),
    )
    app.open(_link(9, more="lang=zh"))
    row = app.page.locator(f'[data-layer="{LAYER}"] .problem')
    expect(row).to_contain_text("the database does not answer")
    assert app.drawn("shelters") > 0
    app.page.unroute(f"**/tiles/{LAYER}/**")
    app.page.evaluate("leeward.act.view.tryAgain()")
    expect(row).to_have_count(0)
    app.until(f"{SEEN}?.length > 0")


def test_legend_says_that_a_layer_is_grouped(app: Any) -> None:
    app.page.route(f"**/tiles/{LAYER}/**", _with_headers(**{"leeward-coarser": LAYER}))
    app.open(_link(11))
    expect(app.page.locator(f'[data-layer="{LAYER}"]')).to_contain_text("数量过多，合并显示")
    assert app.page.locator('[data-layer="roads"]').get_by_text("数量过多").count() == 0
