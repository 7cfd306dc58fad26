"""Signing in and out, what changes with it, and a session that ends in the middle of work."""

from __future__ import annotations

from typing import Any

REGISTRY = "/?w=registry&lang=zh"


def _dialog(app: Any) -> Any:
    return app.page.locator("dialog.sign-in")


def _fill(app: Any, name: str, password: str) -> None:
    app.page.get_by_label("用户名").fill(name)
    app.page.get_by_label("密码").fill(password)


def _fields(app: Any) -> list[str]:
    return app.page.evaluate("leeward.act.collection('hazard_points').layer.fields.map(field => field.name)")


def test_anonymous_sees_no_registry(app: Any) -> None:
    app.open()
    assert app.page.locator(".workspace").all_inner_texts() == ["处置"]
    assert "responsible_name" not in _fields(app)


def test_sign_in_and_out(app: Any) -> None:
    app.open()
    app.page.get_by_role("button", name="登录").click()
    app.until("document.activeElement.id === 'sign-in-name'")
    _fill(app, "demo-editor", app.accounts["demo-editor"])
    app.page.keyboard.press("Enter")
    app.page.get_by_role("button", name="台账").wait_for()
    app.until("!document.querySelector('dialog.sign-in')")
    app.until("leeward.act.collection('hazard_points').layer.fields.some(field => field.name === 'responsible_name')")
    app.page.get_by_role("button", name="demo-editor").click()
    assert "编辑员" in app.page.locator(".account .popup").inner_text()
    app.page.get_by_role("button", name="退出登录").click()
    app.page.get_by_role("button", name="登录").wait_for()
    app.until("!leeward.act.collection('hazard_points').layer.fields.some(field => field.name === 'responsible_name')")
    assert app.page.locator(".workspace").all_inner_texts() == ["处置"]


def test_fields_of_the_card_and_tiles_follow_the_account(app: Any) -> None:
    app.sign_in("demo-editor")
    item = app.ask("/collections/hazard_points/items", state="overdue", limit=1)["features"][0]
    app.page.context.clear_cookies()
    app.open(f"/?sel=hazard_points.{item['id']}&lang=zh")
    app.page.locator(".fields").wait_for()
    assert "责任人" not in app.page.locator(".card-body").inner_text()
    with app.page.expect_request(lambda one: ".mvt?v=" in one.url):
        app.page.get_by_role("button", name="登录").click()
        _fill(app, "demo-reader", app.accounts["demo-reader"])
        app.page.keyboard.press("Enter")
    app.until("document.querySelector('.card-body').innerText.includes('责任人')")


def test_wrong_password_is_said_and_typed_again(app: Any) -> None:
    app.open()
    app.page.get_by_role("button", name="登录").click()
    _dialog(app).get_by_role("button", name="登录").click()
    assert "请填写用户名和密码" in _dialog(app).inner_text()
    _fill(app, "demo-planner", "not the password")
    app.page.keyboard.press("Enter")
    app.page.locator(".sign-in .problem", has_text="不对").wait_for()
    app.until("document.activeElement.id === 'sign-in-password'")
    app.page.keyboard.type(app.accounts["demo-planner"])
    app.page.keyboard.press("Enter")
    app.page.get_by_role("button", name="demo-planner").wait_for()


def test_too_many_attempts_are_told_with_the_wait(app: Any) -> None:
    refusal = {"title": "x", "status": 429, "detail": "too often", "retry_after_s": 7}
    app.page.route("**/session", lambda route: route.fulfill(status=429, json=refusal))
    app.open()
    app.page.get_by_role("button", name="登录").click()
    _fill(app, "someone", "something")
    app.page.keyboard.press("Enter")
    app.page.locator(".sign-in .problem", has_text="秒后再试").wait_for()
    assert app.page.locator(".sign-in .primary").is_disabled()
    app.page.keyboard.press("Escape")
    app.until("!document.querySelector('dialog.sign-in')")


def test_a_link_to_the_registry_asks_to_sign_in(app: Any) -> None:
    app.open(REGISTRY)
    _fill(app, "demo-reader", app.accounts["demo-reader"])
    app.page.keyboard.press("Enter")
    app.page.locator(".board-card").first.wait_for()
    assert "w=registry" in app.page.url
    assert app.page.get_by_role("button", name="新增", exact=True).count() == 0
    assert app.page.locator(".next").count() == 0


def test_refusing_to_sign_in_leaves_a_locked_page(app: Any) -> None:
    app.open(REGISTRY)
    app.page.keyboard.press("Escape")
    app.until("!document.querySelector('dialog.sign-in')")
    assert "台账须登录后查看" in app.page.locator(".registry-main").inner_text()
    assert app.page.locator(".board-card").count() == 0


def test_a_session_that_ends_loses_nothing_that_was_typed(app: Any) -> None:
    app.sign_in("demo-editor")
    app.open(REGISTRY)
    card = app.page.locator("[data-state=assigned] .board-card").last
    number = card.get_attribute("data-card")
    card.locator(".next").click()
    app.page.locator(".step").wait_for()
    app.page.get_by_label("责任人").fill("会话中断的人")
    app.page.context.clear_cookies()
    app.page.locator(".step .primary").click()
    app.page.get_by_text("请重新登录").wait_for()
    assert app.page.get_by_label("用户名").input_value() == "demo-editor"
    app.until("document.activeElement.id === 'sign-in-password'")
    app.page.keyboard.type(app.accounts["demo-editor"])
    app.page.keyboard.press("Enter")
    card = app.page.locator(f"[data-state=rectifying] [data-card='{number}']")
    card.or_(app.page.locator(".notice")).first.wait_for()
    written = app.ask(f"/collections/hazard_points/items/{number}")["properties"]
    assert written["stage"] == "rectifying"
    assert written["responsible_name"] == "会话中断的人"
