"""Editing in the page: forms, the map, two editors at once, history, several rows, pasted rows, monitoring numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

LON, LAT = 105.3, 27.3
VIEW = f"view=14,{LON},{LAT}"
DRAG_STEPS = 6
CLICK_MS = 450
LON_INPUT = "Number(document.querySelector('input[name=lon]').value)"


class Desk:
    """A page of somebody who has signed in, with what they may ask of the service beside it."""

    def __init__(self, app: Any, account: str) -> None:
        self.app = app
        self.page = app.page
        credentials = {"name": account, "password": app.accounts[account]}
        answer = self.page.request.post(f"{app.server}/session", data=credentials)
        assert answer.ok, answer.text()
        self.csrf = answer.json()["csrf"]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """An answer of the service."""
        return self.page.request.fetch(
            self.app.server + path, method=method, data=body, headers={"X-CSRF-Token": self.csrf, **headers}
        )

    def item(self, layer: str, fid: int) -> tuple[Any, str]:
        """An item and its tag."""
        answer = self.ask("GET", f"/collections/{layer}/items/{fid}")
        assert answer.ok, answer.text()
        return answer.json(), answer.headers["etag"]

    def write(self, layer: str, fid: int, **patch: Any) -> Any:
        """An item changed beside the page."""
        answer = self.ask("PATCH", f"/collections/{layer}/items/{fid}", patch, **{"If-Match": "*"})
        assert answer.ok, answer.text()
        return answer.json()

    def find(self, layer: str, wanted: Callable[[dict[str, Any]], bool]) -> Any:
        """The first item of a layer that fits."""
        for feature in self.ask("GET", f"/collections/{layer}/items?limit=1000").json()["features"]:
            if wanted(feature["properties"]):
                return feature
        raise AssertionError(f"no such item in {layer}")

    def edit(self, feature: Any) -> None:
        """Open the form of an item, with the map at its place."""
        lon, lat = feature["geometry"]["coordinates"] if feature["geometry"]["type"] == "Point" else (LON, LAT)
        self.app.open(f"/?sel={self.ref(feature)}&view=14,{lon},{lat}&lang=zh")
        self.page.locator("[data-edit]").click()
        self.page.locator(".edit form").wait_for()

    def ref(self, feature: Any) -> str:
        """The item as a link names it."""
        layer = next(one["href"] for one in feature["links"] if one["rel"] == "collection").split("/")[-1]
        return f"{layer}.{feature['id']}"

    def field(self, name: str) -> Any:
        """The input of a field."""
        return self.page.locator(f"#field-{name}")

    def wrong(self, name: str) -> Any:
        """Where it is said what is wrong at a field."""
        return self.page.locator(f"#field-{name}-wrong")

    def save(self) -> None:
        """Press the form's button."""
        self.page.locator(".edit-foot .primary").click()

    def saved(self) -> str:
        """What the notice says when something was written."""
        self.page.locator(".notice").wait_for()
        return str(self.page.locator(".notice span").inner_text())

    def undo(self) -> None:
        """Take back what was written, by the notice."""
        self.page.locator(".notice").get_by_role("button", name="撤销").click()
        self.page.locator(".notice", has_text="已撤销").wait_for()

    def click(self, lon: float, lat: float) -> None:
        """Click a place on the map, slowly enough to be no double click."""
        self.page.mouse.click(*self.app.screen_point(lon, lat))
        self.page.wait_for_timeout(CLICK_MS)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one pixel to another."""
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=DRAG_STEPS)
        self.page.mouse.up()


@pytest.fixture
def editor(app: Any) -> Desk:
    """The page of an editor."""
    return Desk(app, "demo-editor")


@pytest.fixture
def other(new_page: Callable[..., Any]) -> Desk:
    """A second editor."""
    return Desk(new_page(), "demo-admin")


@pytest.fixture
def danger(editor: Desk) -> Iterator[Any]:
    """A danger point in the middle of the view, taken away afterwards."""
    properties = {
        "name": "测试隐患点", "record_kind": "hidden_danger", "hazard": "landslide", "threatened_persons": 40,
        "threatened_property_cny": 100000,
    }  # fmt: skip
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [LON, LAT]}, "properties": properties}
    answer = editor.ask("POST", "/collections/hazard_points/items", feature)
    assert answer.status == 201, answer.text()
    yield answer.json()
    editor.ask("DELETE", f"/collections/hazard_points/items/{answer.json()['id']}", None, **{"If-Match": "*"})


# --- forms


def test_item_is_created_by_a_click_on_the_map_and_taken_back(editor: Desk) -> None:
    page = editor.page
    editor.app.open(f"/?w=registry&layer=shelters&as=map&{VIEW}&lang=zh")
    page.get_by_role("button", name="新增", exact=True).click()
    page.locator(".edit form").wait_for()
    editor.field("name").fill("测试避难场所")
    editor.save()
    expect(page.locator("#geometry-wrong")).to_contain_text("请在地图上定位")
    editor.click(LON + 0.002, LAT - 0.003)
    editor.field("capacity_persons").fill("１，２00".replace("，", ","))
    with page.expect_response(lambda one: one.request.method == "POST" and "/items" in one.url) as made:
        editor.save()
    assert editor.saved() == "已新增"
    sent = made.value.request.post_data_json
    assert sent["geometry"]["coordinates"] == pytest.approx([LON + 0.002, LAT - 0.003], abs=1e-4)
    assert sent["properties"] == {"name": "测试避难场所", "capacity_persons": 1200}, "what was not filled in is unknown"
    fid = made.value.json()["id"]
    assert f"sel=shelters.{fid}" in page.url
    editor.undo()
    assert editor.ask("GET", f"/collections/shelters/items/{fid}").status == 404


def test_unknown_is_a_value_and_the_first_one(editor: Desk, danger: Any) -> None:
    editor.edit(danger)
    chosen = editor.page.locator("[data-field=has_plan] .three .on")
    expect(chosen).to_have_text("不详")
    editor.page.locator("[data-field=has_plan]").get_by_label("否", exact=True).check()
    editor.save()
    editor.saved()
    assert editor.item("hazard_points", danger["id"])[0]["properties"]["has_plan"] is False
    editor.undo()
    assert editor.item("hazard_points", danger["id"])[0]["properties"]["has_plan"] is None


def test_what_is_wrong_is_said_at_the_field_before_anything_is_sent(editor: Desk, danger: Any) -> None:
    sent: list[str] = []
    editor.page.on("request", lambda one: sent.append(one.url) if one.method == "PATCH" else None)
    editor.edit(danger)
    editor.field("threatened_persons").fill("四十")
    expect(editor.wrong("threatened_persons")).to_have_text("应为整数，如 12")
    editor.field("threatened_persons").fill("-1")
    expect(editor.wrong("threatened_persons")).to_have_text("不应小于 0")
    editor.field("record_kind").select_option("")
    expect(editor.wrong("record_kind")).to_have_text("必填")
    editor.field("found_on").fill("2026-05-01")
    editor.field("deadline_on").fill("2026-04-01")
    expect(editor.wrong("deadline_on")).to_contain_text("不应早于发现时间")
    editor.save()
    expect(editor.page.locator(".edit-foot")).to_contain_text("3 处需要修改")
    editor.app.until("document.activeElement.id === 'field-record_kind'")
    described = editor.field("record_kind").get_attribute("aria-describedby") or ""
    assert "field-record_kind-wrong" in described.split()
    assert editor.field("record_kind").get_attribute("aria-invalid") == "true"
    assert sent == []


def test_the_services_word_stands_at_the_field(editor: Desk, danger: Any) -> None:
    refusal = {
        "type": "/problems/invalid-feature", "title": "x", "status": 422, "detail": "1 field is not valid",
        "errors": [{"field": "address", "detail": "there is no such street", "expected": "a street"}],
    }  # fmt: skip
    editor.edit(danger)
    editor.field("address").fill("无此路")
    editor.page.route(
        "**/items/*",
        lambda route: route.fulfill(status=422, json=refusal) if route.request.method == "PATCH" else route.continue_(),
    )
    editor.save()
    editor.page.locator("#field-address-wrong").wait_for()
    expect(editor.wrong("address")).to_have_text("there is no such street (a street)")
    editor.app.until("document.activeElement.id === 'field-address'")
    editor.field("address").fill("另一路")
    expect(editor.page.locator("#field-address-wrong")).to_have_count(0)


def test_grade_is_computed_while_typing_and_a_stated_one_needs_a_reason(editor: Desk, danger: Any) -> None:
    grade = editor.page.locator("[data-field=threat_grade]")
    editor.edit(danger)
    expect(grade).to_contain_text("小型")
    editor.field("threatened_persons").fill("620")
    editor.field("threatened_property_cny").fill("")
    expect(grade).to_contain_text("至少 大型")
    expect(grade).to_contain_text("威胁财产不详，实际可能更高")
    expect(grade).to_contain_text("地质灾害险情分级")
    editor.field("threat_grade_stated").select_option("small")
    expect(editor.wrong("threat_grade_reason")).to_contain_text("须写明理由")
    editor.field("threat_grade_reason").fill("已搬迁")
    editor.save()
    editor.saved()
    kept = editor.item("hazard_points", danger["id"])[0]["properties"]
    assert (kept["threat_grade"], kept["threat_grade_computed"]) == ("small", "large")


def test_step_that_lacks_what_it_needs_is_refused_with_the_clause(editor: Desk, danger: Any) -> None:
    editor.write("hazard_points", danger["id"], properties={"stage": "assessed"})
    editor.edit(danger)
    options = editor.field("stage").locator("option").all_inner_texts()
    assert "已交办" in options
    assert "已销号" not in options
    editor.field("stage").select_option("assigned")
    editor.save()
    warning = editor.page.locator(".edit-foot .warning")
    warning.wait_for()
    expect(warning).to_contain_text("责任人")
    expect(warning).to_contain_text("五落实")
    expect(editor.page.locator("[data-field=measures]")).to_contain_text("“交办”需要此项")
    assert editor.item("hazard_points", danger["id"])[0]["properties"]["stage"] == "assessed"


def test_undo_and_redo_within_the_form(editor: Desk, danger: Any) -> None:
    page = editor.page
    editor.edit(danger)
    editor.field("trend").fill("变大")
    editor.field("address").fill("新地址")
    page.keyboard.press("Control+z")
    expect(editor.field("address")).to_have_value("")
    expect(editor.field("trend")).to_have_value("变大")
    page.get_by_role("button", name="撤销").click()
    expect(editor.field("trend")).to_have_value("")
    page.keyboard.press("Control+Shift+z")
    expect(editor.field("trend")).to_have_value("变大")
    expect(page.locator(".edit-foot")).to_contain_text("1 处修改")


def test_draft_outlives_the_form_and_the_page(editor: Desk, danger: Any) -> None:
    page = editor.page
    editor.edit(danger)
    editor.field("trend").fill("草稿")
    page.keyboard.press("Escape")
    page.locator("dialog[open]").get_by_role("button", name="留作草稿并离开").click()
    page.locator("[data-edit]").wait_for()
    editor.app.until("document.activeElement.hasAttribute('data-edit')")
    editor.edit(danger)
    expect(page.locator(".restored")).to_contain_text("已恢复")
    expect(editor.field("trend")).to_have_value("草稿")
    page.get_by_role("button", name="放弃这些修改").click()
    expect(editor.field("trend")).to_have_value("")


def test_without_a_connection_the_changes_stay_and_are_sent_later(editor: Desk, danger: Any) -> None:
    page = editor.page
    editor.edit(danger)
    editor.field("trend").fill("断网")
    page.route("**/items/*", lambda route: route.abort() if route.request.method == "PATCH" else route.continue_())
    editor.save()
    page.locator(".edit-foot .waiting").wait_for()
    expect(page.locator(".edit-foot")).to_contain_text("留作草稿")
    page.unroute("**/items/*")
    page.evaluate("dispatchEvent(new Event('online'))")
    assert editor.saved() == "已保存"
    assert editor.item("hazard_points", danger["id"])[0]["properties"]["trend"] == "断网"


def test_answer_that_was_lost_on_its_way_is_no_conflict(editor: Desk, danger: Any) -> None:
    page = editor.page
    editor.edit(danger)
    editor.field("trend").fill("已到达")

    def written_but_unheard(route: Any) -> None:
        if route.request.method == "PATCH":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/items/*", written_but_unheard)
    editor.save()
    page.locator(".edit-foot .waiting").wait_for()
    page.unroute("**/items/*")
    page.get_by_role("button", name="重试").click()
    assert editor.saved() == "已保存"
    assert page.locator(".conflict").count() == 0


def test_item_is_deleted_with_a_reason_and_comes_back(editor: Desk, danger: Any) -> None:
    page = editor.page
    editor.edit(danger)
    page.get_by_role("button", name="删除").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_role("button", name="删除").click()
    assert "请写明原因" in dialog.inner_text()
    dialog.locator("input").fill("重复登记")
    page.keyboard.press("Enter")
    assert editor.saved() == "已删除"
    assert editor.ask("GET", f"/collections/hazard_points/items/{danger['id']}").status == 404
    editor.undo()
    assert editor.item("hazard_points", danger["id"])[0]["properties"]["name"] == "测试隐患点"
    history = editor.ask("GET", f"/collections/hazard_points/items/{danger['id']}/history").json()["changes"]
    assert [(one["operation"], one["reason"]) for one in history][1] == ("delete", "重复登记")


# --- the map


def test_point_moves_only_after_move_was_pressed(editor: Desk, danger: Any) -> None:
    page = editor.page
    editor.edit(danger)
    x, y = editor.app.screen_point(LON, LAT)
    lon = page.locator("input[name=lon]")
    editor.drag((x, y), (x + 80, y))
    expect(lon).to_have_value(str(LON))
    editor.app.until("!leeward.map.isMoving()")
    x, y = editor.app.screen_point(LON, LAT)
    page.get_by_role("button", name="移动", exact=True).click()
    editor.drag((x, y), (x + 80, y))
    editor.app.until(f"{LON_INPUT} > {LON + 0.001}")
    moved = float(lon.input_value())
    expect(page.locator(".chip.changed")).to_contain_text("移动")
    page.keyboard.press("Control+z")
    expect(lon).to_have_value(str(LON))
    page.keyboard.press("Control+Shift+z")
    expect(lon).to_have_value(str(moved))
    page.locator(".handle-point").focus()
    page.keyboard.press("ArrowRight")
    editor.app.until(f"{LON_INPUT} > {moved}")
    page.get_by_role("button", name="完成移动").click()
    editor.save()
    editor.saved()
    at = editor.item("hazard_points", danger["id"])[0]["geometry"]["coordinates"]
    assert at[0] > moved
    editor.undo()
    assert editor.item("hazard_points", danger["id"])[0]["geometry"]["coordinates"] == [LON, LAT]


def test_coordinates_are_typed_in_each_datum_and_refused_outside_china(editor: Desk, danger: Any) -> None:
    page = editor.page
    editor.edit(danger)
    lon, lat, datum = (
        page.locator("input[name=lon]"),
        page.locator("input[name=lat]"),
        page.locator(".coordinates select"),
    )
    for name in ("CGCS2000", "GCJ-02", "BD-09"):
        before = lon.input_value()
        datum.select_option(name)
        if name != "CGCS2000":
            expect(lon).not_to_have_value(before)
        shown = (float(lon.input_value()), float(lat.input_value()))
        far = max(abs(shown[0] - LON), abs(shown[1] - LAT))
        assert far == 0 if name == "CGCS2000" else 0.001 < far < 0.02
        lon.fill(f"{shown[0]:.7f}")
        lat.fill(f"{shown[1]:.7f}")
        datum.select_option("WGS 84")
        editor.app.until(f"Math.abs({LON_INPUT} - {LON}) < 2e-6")
        assert float(lat.input_value()) == pytest.approx(LAT, abs=2e-6)
    before = lon.input_value()
    datum.select_option("GCJ-02")
    expect(lon).not_to_have_value(before)
    lon.fill("2.35")
    lat.fill("48.85")
    expect(page.locator(".coordinates .wrong")).to_contain_text("只用于中国境内")


def test_polygon_is_drawn_with_undo_a_hole_and_its_crossings(editor: Desk) -> None:
    page = editor.page
    corners = [
        (LON - 0.005, LAT - 0.005),
        (LON + 0.01, LAT - 0.005),
        (LON + 0.01, LAT + 0.005),
        (LON - 0.005, LAT + 0.005),
    ]
    handles = page.locator(".handle-vertex")
    editor.app.open(f"/?w=registry&layer=risk_zones&as=map&{VIEW}&lang=zh")
    page.get_by_role("button", name="新增", exact=True).click()
    page.get_by_role("button", name="画面").click()
    for corner in corners:
        editor.click(*corner)
    page.keyboard.press("Control+z")
    expect(handles).to_have_count(3)
    page.keyboard.press("Control+Shift+z")
    expect(handles).to_have_count(4)
    editor.click(*corners[0])
    page.get_by_role("button", name="挖空").click()
    for corner in [(LON, LAT - 0.002), (LON + 0.004, LAT - 0.002), (LON + 0.004, LAT + 0.002)]:
        editor.click(*corner)
    page.keyboard.press("Enter")
    shown = page.locator(".geometry-input")
    expect(shown).to_contain_text("7 个顶点 · 1 处挖空")
    page.get_by_role("button", name="移动顶点").click()
    editor.drag(editor.app.screen_point(*corners[0]), editor.app.screen_point(LON + 0.014, LAT))
    expect(page.locator("#geometry-wrong")).to_contain_text("相交")
    editor.app.until("leeward.map.queryRenderedFeatures({ layers: ['editing:crossing'] }).length > 0")
    editor.save()
    assert page.locator(".notice").count() == 0, "a boundary that crosses itself is not sent"
    page.keyboard.press("Control+z")
    expect(page.locator("#geometry-wrong")).to_have_count(0)
    page.locator(".handle-middle").first.click()
    expect(shown).to_contain_text("8 个顶点")
    editor.app.until("document.activeElement.dataset.path === '0.0.1'")
    page.keyboard.press("Delete")
    expect(shown).to_contain_text("7 个顶点")
    page.get_by_role("button", name="完成", exact=True).click()
    with page.expect_response(lambda one: one.request.method == "POST" and "/items" in one.url) as made:
        editor.save()
    kept = made.value.json()["geometry"]
    assert kept["type"] == "MultiPolygon"
    assert [len(ring) for ring in kept["coordinates"][0]] == [5, 4]
    editor.undo()


def test_theme_may_change_while_drawing(editor: Desk) -> None:
    page = editor.page
    editor.app.open(f"/?w=registry&layer=risk_zones&as=map&{VIEW}&lang=zh")
    page.get_by_role("button", name="新增", exact=True).click()
    page.get_by_role("button", name="画面").click()
    for corner in [(LON, LAT), (LON + 0.01, LAT), (LON + 0.01, LAT + 0.005)]:
        editor.click(*corner)
    page.get_by_label("外观").select_option("dark")
    editor.app.until("leeward.map.getPaintProperty('land', 'background-color') === '#1A2026'")
    editor.app.until("leeward.map.queryRenderedFeatures({ layers: ['editing:line'] }).length > 0")
    expect(page.locator(".handle-vertex")).to_have_count(3)


# --- two editors at once


def test_lost_race_shows_both_states_and_loses_neither(editor: Desk, other: Desk, danger: Any) -> None:
    page, fid = editor.page, danger["id"]
    editor.edit(danger)
    editor.field("threatened_persons").fill("55")
    editor.field("trend").fill("我写的")
    other.write("hazard_points", fid, properties={"threatened_persons": 66, "address": "他写的"}, reason="复核")
    editor.save()
    conflict = page.locator(".conflict")
    conflict.get_by_text("demo-admin").wait_for()
    shown = conflict.inner_text()
    assert "复核" in shown
    assert "地理位置" in shown, "what only they changed is said to be taken over"
    rows = page.locator(".difference")
    assert rows.count() == 1
    assert ["44" in rows.inner_text(), "66 人" in rows.inner_text(), "55 人" in rows.inner_text()] == [
        False,
        True,
        True,
    ]
    assert conflict.get_by_role("button", name="按所选保存").is_disabled()
    rows.locator(".choice", has_text="我的").click()
    conflict.get_by_role("button", name="按所选保存").click()
    assert editor.saved() == "已保存"
    kept = editor.item("hazard_points", fid)[0]["properties"]
    assert (kept["threatened_persons"], kept["trend"], kept["address"]) == (55, "我写的", "他写的")
    history = editor.ask("GET", f"/collections/hazard_points/items/{fid}/history").json()["changes"]
    assert [one["author"] for one in history[:2]] == ["demo-editor", "demo-admin"]


def test_third_editor_during_the_choice_is_shown_too(editor: Desk, other: Desk, danger: Any) -> None:
    page, fid = editor.page, danger["id"]
    editor.edit(danger)
    editor.field("threatened_persons").fill("55")
    other.write("hazard_points", fid, properties={"threatened_persons": 66})
    editor.save()
    page.locator(".difference .choice", has_text="我的").click()
    other.write("hazard_points", fid, properties={"threatened_persons": 77})
    page.get_by_role("button", name="按所选保存").click()
    page.locator(".difference", has_text="77 人").wait_for()
    expect(page.locator(".difference")).to_contain_text("原为 66 人")
    page.locator(".difference .choice", has_text="对方").click()
    page.get_by_role("button", name="按所选保存").click()
    editor.saved()
    assert editor.item("hazard_points", fid)[0]["properties"]["threatened_persons"] == 77


def test_item_deleted_meanwhile_can_come_back_with_my_changes(editor: Desk, other: Desk, danger: Any) -> None:
    page, fid = editor.page, danger["id"]
    editor.edit(danger)
    editor.field("trend").fill("还在")
    other.ask("DELETE", f"/collections/hazard_points/items/{fid}", None, **{"If-Match": "*"})
    editor.save()
    page.locator(".conflict", has_text="已被他人删除").wait_for()
    page.get_by_role("button", name="恢复并保存我的修改").click()
    page.get_by_role("button", name="按所选保存").click()
    editor.saved()
    assert editor.item("hazard_points", fid)[0]["properties"]["trend"] == "还在"


# --- history


def test_history_tells_what_changed_and_restores_any_state(editor: Desk, danger: Any) -> None:
    page, fid = editor.page, danger["id"]
    moved = {"type": "Point", "coordinates": [LON + 0.001, LAT]}
    editor.write("hazard_points", fid, properties={"hazard": "rockfall"}, geometry=moved, reason="复查")
    editor.app.open(f"/?sel=hazard_points.{fid}&{VIEW}&lang=zh")
    page.get_by_role("button", name="历史", exact=True).click()
    latest = page.locator(".changes > li").first
    latest.wait_for()
    shown = latest.inner_text()
    assert "滑坡 → 崩塌" in shown
    assert re.search(r"位置移动 9\d m", shown)
    assert "demo-editor" in shown
    assert "复查" in shown
    latest.get_by_role("button", name="在地图上显示").click()
    editor.app.until("leeward.map.queryRenderedFeatures({ layers: ['editing:old-point'] }).length > 0")
    page.locator(".changes > li").nth(1).get_by_role("button", name="恢复到此").click()
    page.locator("dialog[open] input").fill("误改")
    page.keyboard.press("Enter")
    page.locator(".changes > li").nth(2).wait_for()
    feature, _ = editor.item("hazard_points", fid)
    assert feature["properties"]["hazard"] == "landslide"
    assert feature["geometry"]["coordinates"] == [LON, LAT]
    assert "误改" in page.locator(".changes > li").first.inner_text()


def test_the_public_sees_no_names_and_edits_nothing(editor: Desk, app: Any, new_page: Any, danger: Any) -> None:
    public = new_page()
    public.open(f"/?sel=hazard_points.{danger['id']}&{VIEW}&lang=zh")
    public.page.get_by_role("button", name="历史", exact=True).click()
    public.page.locator(".changes > li").first.wait_for()
    assert "demo-editor" not in public.page.locator(".panel").inner_text()
    assert public.page.get_by_role("button", name="恢复到此").count() == 0
    assert public.page.locator("[data-edit], .pencil").count() == 0


# --- several rows


def test_several_rows_at_once_all_or_none(editor: Desk, other: Desk) -> None:
    page = editor.page
    page.goto(f"{editor.app.server}/?w=registry&layer=shelters&as=table&lang=zh")
    boxes = page.locator("tbody input[type=checkbox]")
    boxes.first.wait_for()
    names = page.locator("tbody tr").all()[:3]
    for index in range(len(names)):
        boxes.nth(index).check()
    features = editor.ask("GET", "/collections/shelters/items?limit=3").json()["features"]
    fids = [one["id"] for one in features]
    page.get_by_role("button", name="批量修改").click()
    page.locator(".bulk > select").select_option("manager")
    page.locator("#bulk-manager").fill("测试局")
    page.locator(".bulk > select").select_option("capacity_persons")
    expect(page.locator(".bulk [data-field=capacity_persons]")).to_contain_text("将设为不详")
    page.locator("#bulk-capacity_persons").fill("x")
    assert page.locator(".bulk .primary").is_disabled()
    page.get_by_role("button", name="不改此项: 可容纳人数").click()
    page.route(
        "**/collections/shelters/items",
        lambda route: (other.write("shelters", fids[1], properties={"village": "他村"}), route.continue_())[1],
        times=1,
    )
    page.locator(".bulk .primary").click()
    page.locator(".bulk .warning", has_text="1 条已被他人修改").wait_for()
    assert all(editor.item("shelters", fid)[0]["properties"]["manager"] != "测试局" for fid in fids)
    page.get_by_role("button", name="以最新状态再改").click()
    assert editor.saved() == "已修改 3 条"
    assert all(editor.item("shelters", fid)[0]["properties"]["manager"] == "测试局" for fid in fids)
    editor.undo()
    assert [editor.item("shelters", fid)[0]["properties"]["manager"] for fid in fids] == [
        one["properties"]["manager"] for one in features
    ]


TABLE = (
    "场所名称\t容纳人数\t经度\t纬度\t状态\t口头备注\n"
    '"粘贴一所\n（二层）"\t200\t105.31\t27.31\t开放\tx\n'
    "粘贴二所\t很多\t105.32\t27.31\t开放\ty\n"
    "粘贴三所\t50\t205.32\t27.31\t关闭\tz\n"
)


def test_rows_are_pasted_from_a_spreadsheet_and_taken_back(editor: Desk) -> None:
    page = editor.page
    count = f"{editor.app.server}/collections/shelters"
    page.goto(f"{editor.app.server}/?w=registry&layer=shelters&as=table&lang=zh")
    page.get_by_role("button", name="粘贴", exact=True).click()
    page.locator(".paste textarea").fill(TABLE)
    chosen = page.locator(".paste-table thead select").evaluate_all("all => all.map(one => one.value)")
    assert chosen == ["name", "capacity_persons", "lon", "lat", "status", ""]
    before = page.request.get(count).json()["counts"]
    page.get_by_role("button", name="检查").click()
    page.get_by_text("可写入 2 行，退回 1 行").wait_for()
    assert "“很多”读不懂" in page.locator(".paste-table tbody tr").nth(1).inner_text()
    assert page.locator(".paste-table tr.rejected").count() == 1
    assert page.request.get(count).json()["counts"] == before, "nothing is written by a check"
    page.get_by_role("button", name="写入 2 条").click()
    assert editor.saved() == "已写入 2 条"
    pasted = editor.ask("GET", "/collections/shelters/items?q=粘贴").json()["features"]
    kept = {one["properties"]["name"][:4]: one["properties"] for one in pasted}
    assert {name: one["capacity_persons"] for name, one in kept.items()} == {"粘贴一所": 200, "粘贴二所": None}
    assert kept["粘贴一所"]["status"] == "open"
    editor.undo()
    assert editor.ask("GET", "/collections/shelters/items?q=粘贴").json()["features"] == []


# --- monitoring numbers


def test_responder_states_a_monitoring_number_on_the_card(app: Any) -> None:
    desk = Desk(app, "demo-responder")
    page = desk.page
    shelter = desk.find("shelters", lambda one: one["occupancy_persons"] is None)
    app.open(f"/?sel=shelters.{shelter['id']}&{VIEW}&lang=zh")
    row = page.locator("[data-name=occupancy_persons]")
    expect(row).to_contain_text("不详")
    assert page.locator("[data-edit]").count() == 0
    row.get_by_role("button", name="填报已安置人数").click()
    row.locator("input").fill("7x")
    expect(row).to_contain_text("应为整数")
    row.locator("input").fill("77")
    with page.expect_response(lambda one: one.request.method == "PATCH") as sent:
        page.keyboard.press("Enter")
    assert "if-match" not in sent.value.request.headers
    desk.saved()
    page.locator("[data-name=occupancy_persons]", has_text="77 人").wait_for()
    expect(row).to_contain_text("刚刚")
    desk.undo()
    kept = desk.item("shelters", shelter["id"])[0]["properties"]
    assert (kept["occupancy_persons"], kept["occupancy_stated_at"]) == (
        None,
        shelter["properties"]["occupancy_stated_at"],
    )


def test_old_monitoring_number_is_marked(editor: Desk) -> None:
    shelter = editor.find("shelters", lambda one: one["occupancy_persons"] is not None)
    before = shelter["properties"]["occupancy_stated_at"]
    editor.write("shelters", shelter["id"], properties={"occupancy_stated_at": "2026-01-01T00:00:00Z"})
    editor.app.open(f"/?sel=shelters.{shelter['id']}&{VIEW}&lang=zh")
    row = editor.page.locator("[data-name=occupancy_persons]")
    row.locator(".chip.stale").wait_for()
    editor.write("shelters", shelter["id"], properties={"occupancy_stated_at": before})


# --- the phone, English


def test_phone_form_fits_and_a_vertex_goes_by_long_press(phone: Any) -> None:
    desk = Desk(phone, "demo-editor")
    page = desk.page
    phone.open(f"/?{VIEW}&lang=zh")
    page.evaluate("leeward.act.edit({ layer: 'risk_zones', fid: null })")
    page.locator(".edit form").wait_for()
    assert page.evaluate("[document.documentElement.scrollWidth, document.querySelector('.panel').scrollWidth]") == [
        390,
        390,
    ]
    small = page.evaluate(
        """[...document.querySelectorAll('.panel button, .panel input, .panel select, .panel summary')]
            .filter(one => one.checkVisibility()).map(one => [one.id || one.innerText, one.getBoundingClientRect()])
            .filter(([, box]) => box.width > 0 && (box.height < 44 || box.width < 44)).map(([name]) => name)"""
    )
    assert small == [""], "the handle of the sheet alone"
    page.get_by_role("button", name="画面").tap()
    phone.until("document.querySelector('.panel').getBoundingClientRect().height < 160")
    head, foot = (page.locator(one).bounding_box() for one in (".edit h2", ".edit-foot"))
    assert head["y"] + head["height"] <= foot["y"], "the low sheet shows whose form it is"
    for spot in [(100, 300), (280, 300), (250, 480), (120, 460)]:
        page.touchscreen.tap(*spot)
        page.wait_for_timeout(CLICK_MS)
    page.locator(".shape-tools").get_by_role("button", name="完成").tap()
    phone.until("document.querySelector('.panel').getBoundingClientRect().height > 600")
    expect(page.locator(".geometry-input")).to_contain_text("4 个顶点")
    page.get_by_role("button", name="移动顶点").tap()
    vertex = page.locator(".handle-vertex").nth(2)
    vertex.dispatch_event("pointerdown", {"pointerId": 1, "button": 0, "clientX": 250, "clientY": 480})
    page.wait_for_timeout(800)
    expect(page.locator(".handle-vertex")).to_have_count(3)


def test_form_speaks_english_in_the_dark(app: Any, danger: Any) -> None:
    page = app.page
    page.emulate_media(color_scheme="dark")
    app.open(f"/?sel=hazard_points.{danger['id']}&{VIEW}&lang=en")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.locator(".edit form").wait_for()
    page.locator("#field-threatened_persons").fill("many")
    assert page.locator("#field-threatened_persons-wrong").inner_text() == "should be a whole number, such as 12"
    words = page.locator(".edit").inner_text() + page.locator(".edit-foot").inner_text()
    assert not re.search(r"[一-鿿]", words.replace("测试隐患点", ""))
