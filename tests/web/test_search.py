"""Search by name, by pinyin initials, and by coordinates in the forms that people have."""

from __future__ import annotations

from typing import Any

import pytest

from layers.names import initials


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
    found = _search(app, initials(name) or "")
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


FORMS = {
    "27.3,105.3": (105.3, 27.3, "WGS 84"),
    "105.3,27.3": (105.3, 27.3, "WGS 84"),
    "27.3 105.3": (105.3, 27.3, "WGS 84"),
    "２７．３，１０５．３": (105.3, 27.3, "WGS 84"),
    "(27.3°, 105.3°)": (105.3, 27.3, "WGS 84"),
    "27.3N 105.3E": (105.3, 27.3, "WGS 84"),
    "E105.3 N27.3": (105.3, 27.3, "WGS 84"),
    "27°18′30″N 105°17′E": (105.2833333, 27.3083333, "WGS 84"),
    "27°18'30\"N, 105°17'00\"E": (105.2833333, 27.3083333, "WGS 84"),
    "27 18 30 N 105 17 00 E": (105.2833333, 27.3083333, "WGS 84"),
    "27 18 30, 105 17 00": (105.2833333, 27.3083333, "WGS 84"),
    "北纬27度18分30秒，东经105度17分": (105.2833333, 27.3083333, "WGS 84"),
    "经度：105.3 纬度：27.3": (105.3, 27.3, "WGS 84"),
    "lat 27.3, lon 105.3": (105.3, 27.3, "WGS 84"),
    "geo:27.3,105.3": (105.3, 27.3, "WGS 84"),
    "POINT(105.3 27.3)": (105.3, 27.3, "WGS 84"),
    "https://www.openstreetmap.org/#map=15/27.3/105.3": (105.3, 27.3, "WGS 84"),
    "http://api.map.baidu.com/marker?location=27.3,105.3&coord_type=wgs84": (105.3, 27.3, "WGS 84"),
}


def test_usual_forms_are_read(app: Any) -> None:
    app.open()
    read = "text => leeward.readingsOf(text, [105, 27, 105.6, 27.6], [105.3, 27.3])"
    for text, (lon, lat, datum) in FORMS.items():
        readings = app.page.evaluate(read, text)
        assert len(readings) == 1, text
        assert readings[0]["position"] == pytest.approx([lon, lat], abs=1e-6), text
        assert readings[0]["datum"] == datum, text


@pytest.mark.parametrize("text", ["马鞍", "S307", "27.3", "91,181", "27°75′N 105°17′E", "1,2,3", "200 N 300 E"])
def test_other_text_is_no_coordinate(app: Any, text: str) -> None:
    app.open()
    assert app.page.evaluate("text => leeward.readingsOf(text, null, [105.3, 27.3])", text) == []


def test_both_readings_are_listed_the_likelier_first(app: Any) -> None:
    app.open()
    read = "([text, area, view]) => leeward.readingsOf(text, area, view)"
    by_area = app.page.evaluate(read, ["28.2, 84.7", [84, 28, 85, 29], [0, 0]])
    assert [(one["position"], one["likely"]) for one in by_area] == [([84.7, 28.2], True), ([28.2, 84.7], False)]
    by_view = app.page.evaluate(read, ["84.7, 28.2", None, [85, 28]])
    assert [(one["position"], one["likely"]) for one in by_view] == [([84.7, 28.2], True), ([28.2, 84.7], False)]


# A point in Beijing, WGS 84 116.404, 39.915, in the other two systems, from the published algorithms.
WGS84 = [116.404, 39.915]
GCJ02 = "116.41024449916938,39.91640428150164"
GCJ02_LATITUDE_FIRST = "39.91640428150164,116.41024449916938"

SHARED = {
    f"https://uri.amap.com/marker?position={GCJ02}&name=x": "GCJ-02",
    f"https://uri.amap.com/navigation?to={GCJ02},x&mode=car": "GCJ-02",
    f"https://wb.amap.com/?p=B0FFG,{GCJ02_LATITUDE_FIRST},name,address": "GCJ-02",
    f"https://apis.map.qq.com/uri/v1/marker?marker=coord:{GCJ02_LATITUDE_FIRST};title:x": "GCJ-02",
    f"http://api.map.baidu.com/marker?location={GCJ02_LATITUDE_FIRST}&coord_type=gcj02": "GCJ-02",
    f"我在这里 https://uri.amap.com/marker?position={GCJ02.replace(',', '%2C')} 快来": "GCJ-02",
}


def test_shared_links_are_turned_into_wgs84(app: Any) -> None:
    app.open()
    for text, datum in SHARED.items():
        readings = app.page.evaluate("text => leeward.readingsOf(text, null, [105.3, 27.3])", text)
        assert len(readings) == 1, text
        assert readings[0]["datum"] == datum, text
        assert readings[0]["position"] == pytest.approx(WGS84, abs=2e-6), text


def test_baidu_coordinates_are_turned_back(app: Any) -> None:
    """Baidu's point 116.41036949, 39.92133699 is the GCJ-02 point 116.404, 39.915."""
    app.open()
    gcj, bd = app.page.evaluate(
        """() => ["https://uri.amap.com/marker?position=116.404,39.915",
                  "http://api.map.baidu.com/marker?location=39.92133699351021,116.41036949371029"]
            .map(text => leeward.readingsOf(text, null, [105.3, 27.3])[0])"""
    )
    assert bd["datum"] == "BD-09"
    assert bd["position"] == pytest.approx(gcj["position"], abs=1e-8)


def test_outside_china_nothing_is_shifted(app: Any) -> None:
    app.open()
    reading = app.page.evaluate("leeward.readingsOf('https://uri.amap.com/marker?position=2.35,48.85', null, [2, 48])[0]")
    assert reading["position"] == [2.35, 48.85]
