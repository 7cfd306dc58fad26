"""The registry: board, lists, steps, table, imports, earlier moments, and changes by others."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

REGISTRY = "/?w=registry&lang=zh"
LAYER = "/collections/hazard_points"
LATE = "2026-01-05"  # long overdue: the first card of its column
EDITOR, PUBLISHER, READER = "demo-editor", "demo-publisher", "demo-reader"
HEADINGS = ["名称", "灾种", "经度", "纬度", "威胁人数", "奇怪的列"]


@pytest.fixture
def editor(new_page: Callable[..., Any]) -> Any:
    """A page of somebody who may edit."""
    page = new_page(1440, 900)
    page.sign_in(EDITOR)
    return page


def _count(app: Any, **filters: str) -> int:
    return len(app.ask(f"{LAYER}/items", limit=10_000, **filters)["features"])


def _board(app: Any, link: str = REGISTRY) -> None:
    app.open(link)
    app.page.locator(".board-card").first.wait_for()


def _number(app: Any, label: str) -> int:
    text = app.page.locator(f".figure:has-text('{label}') b").inner_text()
    return int(text.replace(",", ""))


def _new_point(app: Any, name: str, **properties: Any) -> int:
    """A danger point made over the interface, by its number."""
    csrf = app.ask("/session")["csrf"]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [105.3, 27.3]},
        "properties": {"name": name, "record_kind": "hidden_danger", **properties},
    }
    answer = app.page.context.request.post(
        f"{app.server}{LAYER}/items", data=feature, headers={"X-CSRF-Token": csrf, "Content-Type": "application/json"}
    )
    assert answer.status == 201, answer.text()
    return int(answer.json()["id"])


def _patch(app: Any, fid: int, **properties: Any) -> None:
    csrf = app.ask("/session")["csrf"]
    path = f"{app.server}{LAYER}/items/{fid}"
    etag = app.page.context.request.get(path).headers["etag"]
    answer = app.page.context.request.patch(
        path, data={"properties": properties}, headers={"X-CSRF-Token": csrf, "If-Match": etag}
    )
    assert answer.ok, answer.text()


# --- numbers and lists


def test_numbers_of_the_board_equal_their_lists(editor: Any) -> None:
    _board(editor)
    board = editor.ask(f"{LAYER}/board", limit=0)
    page = editor.page
    overdue = int(page.locator(".overdue b").inner_text().replace(",", ""))
    assert overdue == board["counts"]["overdue"] == _count(editor, state="overdue") > 0
    assert "动态清零目标 0" in page.locator(".overdue").inner_text()
    for label, state in (("未销号", "open"), ("本月销号", "closed_this_month"), ("等级不详", "grade_unknown")):
        assert _number(editor, label) == board["counts"][state] == _count(editor, state=state)
    assert _number(editor, "在册") == board["counts"]["registered"] == _count(editor, record_kind="hidden_danger")
    for column in board["states"]:
        if column["count"]:
            shown = page.locator(f"[data-state={column['code']}] header .digits").inner_text()
            assert shown.split(" ")[0].replace(",", "") == str(column["count"])
            assert column["count"] == _count(editor, state=column["code"])
    for gap in board["gaps"]:
        assert f"{gap['label']['zh']} {gap['count']}" in page.locator(".gaps").inner_text()
        assert gap["count"] == _count(editor, missing=gap["id"])


def test_a_number_opens_its_list(editor: Any) -> None:
    _board(editor)
    page = editor.page
    overdue = page.locator(".overdue b").inner_text()
    page.locator(".overdue").click()
    page.locator(".registry-table tbody tr").first.wait_for()
    assert "state=overdue" in page.url
    assert page.locator(".table-bar [role=status]").inner_text() == f"共 {overdue} 条"
    assert page.locator(".chip.filter").inner_text().startswith("逾期")
    page.go_back()
    page.locator(".board-card").first.wait_for()
    gap = page.locator(".gaps .link").nth(1)
    count = gap.locator("b").inner_text()
    gap.click()
    editor.until(f"document.querySelector('.table-bar [role=status]')?.innerText === '共 {count} 条'")


def test_doubtful_items_are_listed_by_what_is_doubtful(editor: Any) -> None:
    editor.open(f"{REGISTRY}&as=table")
    count = _count(editor, flags="grade_differs")
    assert count > 0
    editor.page.get_by_label("存疑").select_option("grade_differs")
    editor.until(f"document.querySelector('.table-bar [role=status]')?.innerText === '共 {count} 条'")
    assert editor.page.locator(".chip.filter").inner_text().startswith("填报等级与计算不符")


def test_counties_open_their_lists(editor: Any) -> None:
    _board(editor)
    area = editor.ask(f"{LAYER}/board", limit=0)["by_area"][0]
    editor.page.get_by_role("button", name="按区县").click()
    row = editor.page.locator(".area-table tbody tr").first
    assert row.locator("th").inner_text() == area["name"]
    row.locator(".danger").click()
    editor.until(f"document.querySelector('.table-bar [role=status]')?.innerText === '共 {area['overdue']} 条'")
    assert "area=" in editor.page.url


def test_overdue_cards_come_first_and_unknown_people_are_said(editor: Any) -> None:
    _board(editor)
    for column in editor.page.locator(".column:not(.none)").all():
        late = ["late" in (card.get_attribute("class") or "") for card in column.locator(".board-card").all()]
        assert late == sorted(late, reverse=True)
    fid = _new_point(editor, "人数不详的点", deadline_on=LATE)
    card = editor.page.locator(f"[data-card='{fid}']")
    card.wait_for()
    text = card.inner_text()
    assert "人数不详" in text
    assert "逾期" in text
    assert "未指定责任人" in text


def test_layers_without_a_workflow_are_tables(editor: Any) -> None:
    editor.open(f"{REGISTRY}&layer=shelters")
    editor.page.locator(".registry-table tbody tr").first.wait_for()
    assert editor.page.locator(".segments button").all_inner_texts() == ["表格", "地图"]
    assert editor.page.locator(".figure b").inner_text() == "200"
    assert editor.page.locator(".unknown-cell").first.inner_text() == "不详"


# --- the life of a danger point


def _open_step(app: Any) -> None:
    """Open the next step of the selected item."""
    app.page.locator(".card .actions").get_by_role("button", name="下一步").click()
    app.page.locator(".step").wait_for()


def _take(app: Any, name: str) -> None:
    app.page.locator(".step").get_by_role("button", name=name, exact=True).click()


def _refused(app: Any) -> str:
    app.page.locator(".refusal").wait_for()
    return app.page.locator(".refusal").inner_text()


def _is(app: Any, state: str) -> None:
    """Wait until the card of the selected item says its state."""
    app.page.locator(".card .fields [data-name=stage] dd").get_by_text(state, exact=True).wait_for()
    app.until("!document.querySelector('dialog[open]')")


def test_the_whole_life_of_a_danger_point(new_page: Callable[..., Any], editor: Any) -> None:
    publisher = new_page(1440, 900)
    publisher.sign_in(PUBLISHER)
    _board(editor)
    page = editor.page

    # found: placed and named in the form
    page.get_by_role("button", name="新增", exact=True).click()
    page.get_by_label("经度").fill("105.31")
    page.get_by_label("纬度").fill("27.31")
    page.get_by_label("名称", exact=True).fill("生命周期测试点")
    page.get_by_role("button", name="保存").click()
    _is(editor, "已发现")
    fid = int(page.evaluate("leeward.act.state.selected.fid"))

    # assessed: needs hazard and grade; the grade is computed from the people
    _open_step(editor)
    _take(editor, "核定")
    refusal = _refused(editor)
    assert "灾种、险情等级" in refusal
    assert "《地质灾害防治条例》第四条" in refusal
    assert page.locator(".field.bad").count() >= 1
    page.locator(".step").get_by_label("灾种").select_option("landslide")
    page.locator(".step").get_by_label("威胁人数").fill("120")
    _take(editor, "核定")
    _is(editor, "已核定")
    assert "120 人" in page.locator(".card .fields").inner_text()
    graded = editor.ask(f"{LAYER}/items/{fid}")["properties"]
    assert (graded["threat_grade"], graded["threat_grade_at_least"]) == ("medium", True), "the property is unknown"

    # assigned: the five fixed items
    _open_step(editor)
    _take(editor, "交办")
    assert "责任人、监测员、治理措施、整改资金、整改期限、有无预案" in _refused(editor)
    step = page.locator(".step")
    step.get_by_label("责任人").fill("测试责任人")
    step.get_by_label("监测员").fill("测试监测员")
    step.get_by_label("治理措施").fill("搬迁避让")
    step.get_by_label("整改资金").fill("250000")
    step.get_by_label("整改期限").fill("2027-05-01")
    step.get_by_role("radio", name="否").check()
    _take(editor, "交办")
    assert "有无预案" in _refused(editor), "a plan that there is not does not count"
    step.get_by_role("radio", name="是").check()
    _take(editor, "交办")
    _is(editor, "已交办")

    _open_step(editor)
    _take(editor, "开始整改")
    _is(editor, "整改中")
    _open_step(editor)
    _take(editor, "提请验收")
    _is(editor, "待验收")

    # accepting is not the editor's
    _open_step(editor)
    assert "仅限审核发布员、管理员" in page.locator(".step .locked").inner_text()
    assert page.locator(".step .primary").is_disabled()
    page.keyboard.press("Escape")

    # sent back by the reviewer, and accepted the second time
    _board(publisher, f"{REGISTRY}&sel=hazard_points.{fid}")
    _open_step(publisher)
    publisher.page.get_by_role("radio", name="退回整改").check()
    _take(publisher, "退回整改")
    assert "县级审核意见、县级审核人" in _refused(publisher)
    publisher.page.locator(".step").get_by_label("县级审核意见").fill("挡墙未完工")
    publisher.page.locator(".step").get_by_label("县级审核人").fill("测试审核人")
    _take(publisher, "退回整改")
    _is(publisher, "整改中")
    _is(editor, "整改中")  # by itself, without a reload
    _open_step(editor)
    _take(editor, "提请验收")
    _is(publisher, "待验收")
    assert editor.ask(f"{LAYER}/items/{fid}")["properties"]["county_review"] is None, "asked for anew"
    _open_step(publisher)
    publisher.page.locator(".step").get_by_label("县级审核意见").fill("验收合格")
    publisher.page.locator(".step").get_by_label("县级审核人").fill("测试审核人")
    _take(publisher, "验收")
    _is(publisher, "已验收")

    # struck off: the number of this month grows
    before = editor.ask(f"{LAYER}/board", limit=0)["counts"]["closed_this_month"]
    _open_step(publisher)
    _take(publisher, "销号")
    assert "市级审核意见" in _refused(publisher)
    step = publisher.page.locator(".step")
    step.get_by_label("市级审核意见").fill("同意销号")
    step.get_by_label("市级审核人").fill("市审核人")
    step.get_by_label("销号原因").fill("已搬迁")
    _take(publisher, "销号")
    _is(publisher, "已销号")
    done = editor.ask(f"{LAYER}/items/{fid}")["properties"]
    assert done["struck_off_on"]
    publisher.until(f"document.querySelectorAll('.figure b')[2].innerText === '{before + 1}'")

    # reopened: needs a reason, and clears what closed it
    _open_step(publisher)
    _take(publisher, "重新列管")
    assert "重新列管原因" in _refused(publisher)
    assert "未经核实" in publisher.page.locator(".refusal").inner_text()
    publisher.page.locator(".step").get_by_label("重新列管原因").fill("汛期复查发现新裂缝")
    _take(publisher, "重新列管")
    _is(publisher, "重新列管")
    again = editor.ask(f"{LAYER}/items/{fid}")["properties"]
    assert (again["struck_off_on"], again["deadline_on"]) == (None, None)
    changes = editor.ask(f"{LAYER}/items/{fid}/history")["changes"]
    assert {EDITOR, PUBLISHER} == {one["author"] for one in changes}


def test_a_lost_race_shows_both_states(editor: Any) -> None:
    fid = _new_point(editor, "抢先修改的点", hazard="landslide", threatened_persons=5, deadline_on=LATE)
    _board(editor)
    editor.page.locator(f"[data-card='{fid}'] .next").click()
    step = editor.page.locator(".step")
    step.get_by_label("威胁人数").fill("7")
    _patch(editor, fid, threatened_persons=9)
    _take(editor, "核定")
    conflict = editor.page.locator(".conflict")
    conflict.wait_for()
    assert "9 人" in conflict.inner_text()
    assert "7 人" in conflict.inner_text()
    conflict.get_by_text("我的").last.click()
    conflict.get_by_role("button", name="按所选保存").click()
    editor.page.locator(f"[data-state=assessed] [data-card='{fid}']").wait_for()
    assert editor.ask(f"{LAYER}/items/{fid}")["properties"]["threatened_persons"] == 7


def test_still_true_is_one_click(editor: Any) -> None:
    fid = _new_point(editor, "情况无变化的点", stated_at="2026-01-05T00:00:00Z", deadline_on=LATE)
    _board(editor)
    still = editor.page.locator(f"[data-card='{fid}'] .still")
    assert "01-05" in still.inner_text()
    still.click()
    editor.page.locator(".toast", has_text="已确认无变化").wait_for()
    today = editor.page.evaluate("leeward.act.text.date(new Date().toISOString()).slice(5)")
    editor.until(f"document.querySelector('[data-card=\"{fid}\"] .still').innerText.includes('{today}')")
    stated = editor.ask(f"{LAYER}/items/{fid}")["properties"]["stated_at"]
    assert abs(time.time() - datetime.fromisoformat(stated).timestamp()) < 120


def test_changes_by_others_show_by_themselves(new_page: Callable[..., Any], editor: Any) -> None:
    reader = new_page(1440, 900)
    reader.sign_in(READER)
    _board(reader)
    reader.page.locator(".live.on").wait_for()
    fid = _new_point(editor, "他人新增的点", deadline_on=LATE)
    reader.page.locator(f"[data-state=found] [data-card='{fid}']").wait_for()
    assert reader.page.locator(".next").count() == 0


# --- table and map


def test_rows_are_picked_by_click_shift_and_keys(editor: Any) -> None:
    editor.open(f"{REGISTRY}&as=table&state=overdue")
    page = editor.page
    rows = page.locator(".registry-table tbody tr[data-fid]")
    rows.nth(1).locator(".pick input").click()
    rows.nth(4).locator(".pick input").click(modifiers=["Shift"])
    editor.until("leeward.act.state.chosen.length === 4")
    assert "批量修改 4 条" in page.locator(".table-bar").inner_text()
    page.keyboard.press("Escape")
    editor.until("leeward.act.state.chosen.length === 0")
    page.locator("tr[tabindex='0']").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    editor.until("leeward.act.state.chosen.length === 2")
    page.keyboard.press("Enter")
    page.locator(".card .fields").wait_for()
    second = rows.nth(1).get_attribute("data-fid")
    assert f"sel=hazard_points.{second}" in page.url


def test_many_rows_are_changed_at_once(editor: Any) -> None:
    fids = [_new_point(editor, f"批量测试点{n}") for n in range(3)]
    editor.open(f"{REGISTRY}&as=table&q=批量测试点")
    page = editor.page
    page.get_by_label("全选已载入的行").click()
    page.get_by_role("button", name="批量修改 3 条").click()
    page.get_by_label("选择要改的项目").select_option("trend")
    page.locator("dialog").get_by_role("textbox", name="发展趋势").fill("基本稳定")
    page.get_by_role("button", name="修改 3 条", exact=True).click()
    editor.until("!document.querySelector('dialog[open]')")
    for fid in fids:
        assert editor.ask(f"{LAYER}/items/{fid}")["properties"]["trend"] == "基本稳定"


def test_a_column_sorts_with_the_unknown_last(editor: Any) -> None:
    editor.open(f"{REGISTRY}&layer=shelters&as=table")
    page = editor.page
    page.get_by_role("button", name="可容纳人数").or_(page.get_by_role("button", name="容量")).first.click()
    editor.until("document.querySelector('[aria-sort=ascending]')")
    order = page.evaluate(
        """() => {
            const at = [...document.querySelectorAll('.registry-table thead th')]
                .findIndex(one => one.ariaSort === 'ascending');
            return [...document.querySelectorAll('.registry-table tbody tr[data-fid]')]
                .map(row => row.children[at + 1].innerText);
        }"""
    )
    numbers = [int(text.split(" ")[0].replace(",", "")) for text in order if text != "不详"]
    assert len(numbers) > 10
    assert numbers == sorted(numbers)
    assert "不详" not in order[: len(numbers)]


def test_a_long_list_is_drawn_in_part_and_loaded_on(editor: Any) -> None:
    editor.open(f"{REGISTRY}&as=table&state=open")
    page = editor.page
    page.locator(".registry-table tbody tr[data-fid]").first.wait_for()
    assert "还有更多" in page.locator(".table-bar [role=status]").inner_text()
    count = _count(editor, state="open")
    page.get_by_role("button", name="全部载入").click()
    editor.until(f"document.querySelector('.table-bar [role=status]').innerText === '共 {count} 条'")
    assert page.locator(".registry-table tbody tr[data-fid]").count() < 100
    page.locator("tr[tabindex='0']").focus()
    page.keyboard.press("End")
    editor.until(f"document.activeElement.dataset.index === '{count - 1}'")


def test_the_map_shows_the_same_list(editor: Any) -> None:
    editor.open(f"{REGISTRY}&as=map&state=overdue")
    count = _count(editor, state="overdue")
    editor.until(f"leeward.map.getSource('listed') && document.querySelectorAll('.panel .row').length === {count}")
    editor.until("leeward.map.queryRenderedFeatures({ layers: ['listed:point'] }).length > 0")
    assert editor.drawn("hazard_points") == 0, "the layer itself makes way for its list"
    editor.page.get_by_role("button", name="清除条件").click()
    editor.until("leeward.map.queryRenderedFeatures({ layers: ['listed:point'] }).length === 0")
    editor.until("leeward.map.queryRenderedFeatures().some(one => one.sourceLayer === 'hazard_points')")


def test_the_list_that_is_shown_is_exported(editor: Any) -> None:
    editor.open(f"{REGISTRY}&as=table&state=overdue")
    page = editor.page
    page.locator(".registry-table tbody tr[data-fid]").first.wait_for()
    page.get_by_role("button", name="导出").click()
    page.get_by_label("格式").select_option("csv")
    with page.expect_download() as download:
        page.get_by_text("下载", exact=True).click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"))))
    assert len(rows) == _count(editor, state="overdue")
    assert rows[0]["整改状态"] in ("已交办", "整改中", "待验收", "已验收", "重新列管", "已发现", "已核定")


def test_workspaces_keep_view_and_selection(editor: Any) -> None:
    fid = editor.ask(f"{LAYER}/items", state="overdue", limit=1)["features"][0]["id"]
    editor.open(f"/?w=respond&view=13,105.3,27.3&sel=hazard_points.{fid}&lang=zh")
    editor.page.locator(".card .fields").wait_for()
    view = editor.page.evaluate("leeward.map.getCenter().toArray()")
    editor.page.get_by_role("button", name="台账").click()
    editor.page.locator(".board-card").first.wait_for()
    assert f"sel=hazard_points.{fid}" in editor.page.url
    assert editor.page.evaluate("leeward.map.getCenter().toArray()") == pytest.approx(view, abs=1e-6)
    editor.page.keyboard.press("w")
    editor.until("location.search.includes('w=respond')")
    assert editor.page.locator(".map").is_visible()


# --- an earlier moment


def test_an_earlier_moment_is_read_only(editor: Any) -> None:
    fid = _new_point(editor, "历史时刻的点", threatened_persons=3, deadline_on=LATE)
    time.sleep(1.1)
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    time.sleep(0.1)
    _patch(editor, fid, threatened_persons=8)
    _board(editor, f"{REGISTRY}&t={moment}&sel=hazard_points.{fid}")
    page = editor.page
    assert "只能查看" in page.locator(".as-of").inner_text()
    page.locator(".card .fields").wait_for()
    assert "3 人" in page.locator(f"[data-card='{fid}']").inner_text()
    assert page.locator(".next, .still").count() == 0
    assert page.get_by_role("button", name="编辑", exact=True).count() == 0
    assert page.get_by_role("button", name="新增", exact=True).count() == 0
    page.get_by_role("button", name="回到现在").click()
    editor.until(f"document.querySelector('[data-card=\"{fid}\"]')?.innerText.includes('8 人')")
    assert "t=" not in page.url.partition("?")[2].replace("state=", "").replace("at=", "")


# --- imports


def _file(path: Path, rows: list[list[Any]]) -> Path:
    text = io.StringIO()
    csv.writer(text).writerows([HEADINGS, *rows])
    path.write_text(text.getvalue(), encoding="utf-8-sig")
    return path


def _points(count: int) -> list[list[Any]]:
    return [[f"导入测试点{n}", "滑坡", 105.2 + n / 500, 27.25 + n / 500, n, "x"] for n in range(count)]


def _send(app: Any, path: Path) -> None:
    app.page.get_by_role("button", name="导入", exact=True).click()
    app.page.locator("input[type=file]").set_input_files(path)
    app.page.locator(".columns-table").wait_for()


def test_import_shows_everything_before_it_writes(editor: Any, tmp_path: Path) -> None:
    bad = [["颠倒的点", "滑坡", 27.3, 105.3, 1, "x"], ["没有坐标的点", "滑坡", "", "", 1, "x"]]
    _board(editor)
    before = _count(editor)
    _send(editor, _file(tmp_path / "danger.csv", [*_points(12), *bad]))
    page = editor.page
    row = page.locator("tr", has_text="奇怪的列")
    assert "未识别" in row.inner_text()
    with page.expect_response(lambda one: "/imports/" in one.url and one.request.method == "POST"):
        row.locator("select").select_option("trend")
    editor.until("!document.querySelector('.uploading')")
    page.get_by_role("button", name="检查各行").click()
    page.locator(".import-counts").wait_for()
    assert page.locator(".import-counts dd").all_inner_texts() == ["12", "0", "0", "2"]
    assert "经纬度颠倒" in page.locator(".rejects").inner_text()
    assert "105.3" in page.locator(".rejects .proposal").inner_text()
    editor.until("leeward.map.queryRenderedFeatures({ layers: ['listed:point'] }).length >= 10")
    assert _count(editor) == before, "nothing is written yet"
    with page.expect_download() as download:
        page.get_by_text("下载退回的行").click()
    rejected = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"))))
    assert [one["名称"] for one in rejected] == ["颠倒的点", "没有坐标的点"]
    page.get_by_role("button", name="写入 12 条").click()
    page.locator(".import-panel").get_by_text("已写入 12 条").wait_for()
    assert _count(editor) == before + 12
    assert {one["properties"]["trend"] for one in editor.ask(f"{LAYER}/items", q="导入测试点")["features"]} == {"x"}
    page.get_by_role("button", name="撤回这次导入").click()
    page.get_by_role("dialog").get_by_label("原因").fill("导错了")
    page.get_by_role("dialog").get_by_role("button", name="撤回这次导入").click()
    page.locator(".import-panel").get_by_text("已撤回，12 条恢复原状").wait_for()
    assert _count(editor) == before


def test_an_import_is_taken_back_from_the_list(editor: Any, tmp_path: Path) -> None:
    _board(editor)
    before = _count(editor)
    _send(editor, _file(tmp_path / "from-list.csv", _points(4)))
    page = editor.page
    page.get_by_role("button", name="检查各行").click()
    page.get_by_role("button", name="写入 4 条").click()
    page.locator(".import-panel").get_by_text("已写入 4 条").wait_for()
    page.get_by_role("button", name="查看台账").click()
    page.locator(".registry-table").wait_for()
    fid = int(editor.ask(f"{LAYER}/items", q="导入测试点3")["features"][0]["id"])
    _patch(editor, fid, trend="导入后改过")
    page.get_by_role("button", name="导入", exact=True).click()
    page.get_by_role("button", name="撤回这次导入: from-list.csv").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="撤回这次导入").click()
    dialog.get_by_text("1 条导入后又被修改过").wait_for()
    dialog.get_by_role("button", name="撤回其余的").click()
    page.locator(".import.taken-back", has_text="from-list.csv").wait_for()
    assert _count(editor) == before + 1
    assert editor.ask(f"{LAYER}/items/{fid}")["properties"]["trend"] == "导入后改过"


def test_columns_that_were_not_recognised_are_said_by_the_user(editor: Any, tmp_path: Path) -> None:
    strange = tmp_path / "strange.csv"
    strange.write_text("代号,东,北\n甲,105.3,27.3\n", encoding="utf-8")
    _board(editor)
    _send(editor, strange)
    page = editor.page
    assert "没有认出经度和纬度列" in page.locator(".import-panel .warning").inner_text()
    assert page.get_by_role("button", name="检查各行").is_disabled()
    for heading, field in (("代号", "name"), ("东", "x"), ("北", "y")):
        page.get_by_label(f"“{heading}”对应到").select_option(field)
    editor.until("!document.querySelector('.import-panel .warning') && !document.querySelector('.uploading')")
    page.get_by_role("button", name="检查各行").click()
    page.locator(".import-counts").wait_for()
    assert page.locator(".import-counts dd").all_inner_texts()[0] == "1"


def test_a_file_that_cannot_be_read_is_refused_in_words(editor: Any, tmp_path: Path) -> None:
    _board(editor)
    wrong = tmp_path / "picture.gpkg"
    wrong.write_bytes(b"\x89PNG\r\n\x1a\n")
    editor.page.get_by_role("button", name="导入", exact=True).click()
    editor.page.locator("input[type=file]").set_input_files(wrong)
    editor.page.locator(".import-panel .warning").wait_for()
    assert "picture.gpkg 不是可以导入的文件" in editor.page.locator(".import-panel .warning").inner_text()
    editor.page.keyboard.press("Escape")
    editor.page.locator(".board-card").first.wait_for()


# --- phone


def test_phone_board_is_one_state_at_a_time(new_page: Callable[..., Any]) -> None:
    phone = new_page(390, 844, has_touch=True, is_mobile=True)
    phone.sign_in(EDITOR)
    _board(phone)
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
    phone.page.get_by_label("状态").select_option("found")
    phone.page.locator(".one-state .board-card").first.wait_for()
    small = phone.page.evaluate(
        """[...document.querySelectorAll('button, select, input')].filter(one => one.checkVisibility())
            .map(one => [one.className || one.innerText, one.getBoundingClientRect()])
            .filter(([name, box]) => box.width > 0 && (box.height < 44 || box.width < 44) && !/maplibregl/.test(name))
            .map(([name]) => name)"""
    )
    assert small == []
    phone.page.locator(".board-card .card-main").first.tap()
    phone.page.locator(".card .fields").wait_for()
    phone.page.get_by_role("button", name="处置").tap()
    phone.until("location.search.includes('w=respond')")


def test_phone_shows_columns_and_the_locked_registry_whole(new_page: Callable[..., Any]) -> None:
    phone = new_page(390, 844, has_touch=True, is_mobile=True)
    phone.open(REGISTRY)
    bar, words = (phone.page.locator(one).bounding_box() for one in (".search input", ".registry-main strong"))
    assert words["y"] >= bar["y"] + bar["height"]
    phone.sign_in(EDITOR)
    phone.open(f"{REGISTRY}&as=table&state=overdue")
    phone.page.get_by_role("button", name="列", exact=False).last.tap()
    box = phone.page.locator(".column-choice .popup").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert box["y"] + box["height"] <= 844 - 56


def test_phone_registry_in_english_and_dark(new_page: Callable[..., Any]) -> None:
    phone = new_page(390, 844, has_touch=True, is_mobile=True, color_scheme="dark")
    phone.sign_in(READER)
    _board(phone, "/?w=registry&lang=en")
    assert "dynamic zeroing: target 0" in phone.page.locator(".overdue").inner_text()
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
