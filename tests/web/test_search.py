"""Search by name, by pinyin initials and by coordinates."""

from __future__ import annotations

from typing import Any

import pytest

from layers.names import initials_of


def _search(app: Any, text: str) -> Any:
    app.page.keyboard.press("/")
    app.page.locator("#search").fill(text)
    found = app.page.locator(".found [role=option]")
    found.first.wait_for()
    return found


@pytest.fixture
def shelter(app: Any) -> Any:
    app.open()
    return app.get("/collections/shelters/items", limit=1)["features"][0]


def test_name_is_found_and_shown(app: Any, shelter: Any) -> None:
    name = shelter["properties"]["name"]
    found = _search(app, name)
    assert name in found.first.inner_text()
    app.page.keyboard.press("Enter")
    app.page.locator(".card .fields").wait_for()
    centre = app.page.evaluate("leeward.map.getCenter().toArray()")
    assert centre == pytest.approx(shelter["geometry"]["coordinates"], abs=1e-3)


def test_pinyin_initials_find_the_name(app: Any, shelter: Any) -> None:
    name = shelter["properties"]["name"]
    found = _search(app, initials_of([name])[0] or "")
    assert name in " ".join(found.all_inner_texts())


def test_nothing_found_says_what_to_try(app: Any) -> None:
    app.open("/?lang=en")
    app.page.locator("#search").fill("zzzzqqq")
    app.page.locator(".found .none").wait_for()
    assert "27.3, 105.3" in app.page.locator(".found .none").inner_text()


def test_coordinates_set_the_incident(app: Any) -> None:
    app.open()
    _search(app, "27°18′30″N 105°17′E")
    app.page.keyboard.press("Enter")
    app.page.locator(".row .rank").first.wait_for()
    assert "at=105.283333,27.308333" in app.page.url
