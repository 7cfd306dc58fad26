"""Languages, themes, keys and the phone."""

from __future__ import annotations

from typing import Any

LON, LAT = 105.3, 27.3
AT = f"/?w=respond&view=12.5,{LON},{LAT}&at={LON},{LAT}&lang=zh"


def test_language_changes_words_lang_and_link(app: Any) -> None:
    app.open()
    assert app.page.locator("html").get_attribute("lang") == "zh-Hans"
    app.page.get_by_role("button", name="Switch to English").click()
    app.page.get_by_role("button", name="Incident here").wait_for()
    assert app.page.locator("html").get_attribute("lang") == "en"
    assert "lang=en" in app.page.url
    assert app.page.locator(".sample-notice").inner_text() == "SAMPLE DATA, not real"


def test_theme_follows_the_system_and_the_switch(app: Any) -> None:
    app.page.emulate_media(color_scheme="dark")
    app.open()
    assert app.page.locator("html").get_attribute("data-theme") == "dark"
    app.page.get_by_label("外观").select_option("light")
    assert app.page.locator("html").get_attribute("data-theme") == "light"
    app.until("leeward.map.getPaintProperty('land', 'background-color') === '#F3F1EA'")
    assert app.drawn("hazard_points") > 0


def test_keys(app: Any) -> None:
    page = app.page
    app.open(f"/?w=respond&view=13,{LON},{LAT}&lang=zh")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    page.locator(".cross").wait_for()
    before = page.evaluate("leeward.map.getCenter().lng")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("leeward.map.getCenter().lng") > before
    page.keyboard.press("Enter")
    page.locator(".row .rank").first.wait_for()
    assert page.locator(".cross").count() == 0
    page.keyboard.press("]")
    page.locator(".row.selected").wait_for()
    first = page.locator(".selected [data-row]").get_attribute("data-row")
    page.keyboard.press("]")
    app.until(f"document.querySelector('.selected [data-row]')?.dataset.row !== '{first}'")
    page.keyboard.press("[")
    app.until(f"document.querySelector('.selected [data-row]')?.dataset.row === '{first}'")
    page.keyboard.press("Escape")
    app.until("!document.querySelector('.row.selected')")
    page.keyboard.press("l")
    app.until("document.activeElement.matches('.legend input')")
    page.keyboard.press("g")
    page.locator(".legend-chip").wait_for()
    page.keyboard.press("m")
    app.until("document.activeElement.matches('canvas')")
    page.keyboard.press("m")
    app.until("document.activeElement.matches('[data-row]')")
    page.keyboard.press("?")
    page.locator("dialog[open]").wait_for()
    page.keyboard.press("Escape")
    app.until("!document.querySelector('dialog[open]')")


def test_single_keys_can_be_switched_off(app: Any) -> None:
    app.open()
    app.page.keyboard.press("?")
    app.page.locator("dialog[open] input").uncheck()
    app.page.keyboard.press("Escape")
    app.page.keyboard.press("i")
    app.page.keyboard.press("F6")
    assert app.page.locator(".cross").count() == 0


OVERLAPS = """names => {
    const boxes = names.map(name => [name, document.querySelector(name)?.getBoundingClientRect()])
        .filter(([, box]) => box && box.width > 0);
    const hits = [];
    for (const [i, [one, a]] of boxes.entries()) for (const [other, b] of boxes.slice(i + 1))
        if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
            hits.push(`${one} over ${other}`);
    return hits;
}"""
ON_MAP = [".controls", ".legend-chip", ".sample-notice", ".maplibregl-ctrl-scale", ".maplibregl-ctrl-attrib"]
ON_PHONE = [".search", ".menu-button", ".panel", *ON_MAP]
ON_DESKTOP = [".bar", ".panel", ".legend", *ON_MAP]


def test_nothing_lies_over_anything_on_the_desktop(app: Any) -> None:
    app.open()
    assert app.page.evaluate(OVERLAPS, ON_DESKTOP) == []
    app.open(AT)
    app.page.locator(".row .rank").first.wait_for()
    assert app.page.evaluate(OVERLAPS, ON_DESKTOP) == []


def test_phone_has_no_sideways_scroll_and_covers_no_control(phone: Any) -> None:
    phone.open("/?lang=zh")
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
    assert phone.page.evaluate(OVERLAPS, ON_PHONE) == []
    phone.open(AT)
    phone.page.locator(".row .rank").first.wait_for()
    phone.until("document.querySelector('.panel').getBoundingClientRect().height > 370")
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
    assert phone.page.evaluate("document.querySelector('.panel').scrollWidth") <= 390
    assert phone.page.evaluate(OVERLAPS, ON_PHONE) == []


def test_phone_targets_are_large_enough(phone: Any) -> None:
    phone.open(AT)
    phone.page.locator(".row .rank").first.wait_for()
    small = phone.page.evaluate(
        """[...document.querySelectorAll('button, select, input')].filter(one => one.checkVisibility())
            .map(one => [one.className || one.id || one.innerText, one.getBoundingClientRect()])
            .filter(([name, box]) => box.width > 0 && (box.height < 44 || box.width < 44)
                && !/maplibregl|handle/.test(name)).map(([name]) => name)"""
    )
    assert small == []


def test_phone_fit_spares_the_sheet(phone: Any) -> None:
    phone.open("/?lang=zh")
    phone.page.evaluate(f"leeward.act.setIncident([{LON}, {LAT}])")
    phone.page.locator(".row .rank").first.wait_for()
    phone.until("leeward.map.queryRenderedFeatures({ layers: ['answer:incident'] }).length === 1")
    top = phone.page.evaluate("document.querySelector('.panel').getBoundingClientRect().top")
    for feature in phone.get("/nearest", lon=LON, lat=LAT)["features"]:
        if feature["properties"]["layer"] == "shelters":
            x, y = phone.screen_point(*feature["geometry"]["coordinates"])
            assert 0 < x < 390
            assert 52 < y < top


def test_phone_sheet_steps(phone: Any) -> None:
    phone.open(AT)
    heights = []
    for _ in range(3):
        before = phone.page.evaluate("document.querySelector('.panel').clientHeight")
        phone.page.locator(".handle").tap()
        phone.until(f"document.querySelector('.panel').clientHeight !== {before}")
        heights.append(phone.page.evaluate("document.querySelector('.panel').clientHeight"))
    assert heights == [780, 120, 380]
