"""Coordinates as people have them, read in the page itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layers import coordinates

Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def read(browser: Any, sample_server: str) -> Iterator[Read]:
    """A function that gives every reading of a text, for a service area and a view."""
    page = browser.new_page()
    page.goto(sample_server)
    page.locator(".map canvas").wait_for()

    def readings(text: str, area: list[float] | None = None, view: list[float] | None = None) -> list[dict[str, Any]]:
        given = [text, area, view or [105.3, 27.3]]
        return page.evaluate("([text, area, view]) => leeward.readingsOf(text, area, view)", given)

    yield readings
    page.close()


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


@pytest.mark.parametrize(("text", "expected"), FORMS.items())
def test_usual_forms_are_read(read: Read, text: str, expected: tuple[float, float, str]) -> None:
    lon, lat, datum = expected
    (reading,) = read(text, [105, 27, 105.6, 27.6])
    assert reading["position"] == pytest.approx([lon, lat], abs=1e-6)
    assert reading["datum"] == datum


@pytest.mark.parametrize("text", ["马鞍", "S307", "27.3", "91,181", "27°75′N 105°17′E", "1,2,3", "200 N 300 E"])
def test_other_text_is_no_coordinate(read: Read, text: str) -> None:
    assert read(text) == []


def test_both_readings_are_listed_the_likelier_first(read: Read) -> None:
    by_area = read("28.2, 84.7", [84, 28, 85, 29], [0, 0])
    assert [(one["position"], one["likely"]) for one in by_area] == [([84.7, 28.2], True), ([28.2, 84.7], False)]
    by_view = read("84.7, 28.2", None, [85, 28])
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


@pytest.mark.parametrize(("text", "datum"), SHARED.items())
def test_shared_links_are_turned_into_wgs84(read: Read, text: str, datum: str) -> None:
    (reading,) = read(text)
    assert reading["datum"] == datum
    assert reading["position"] == pytest.approx(WGS84, abs=2e-6)


def test_baidu_coordinates_are_turned_back(read: Read) -> None:
    """Baidu's point 116.41036949, 39.92133699 is the GCJ-02 point 116.404, 39.915."""
    (gcj,) = read("https://uri.amap.com/marker?position=116.404,39.915")
    (bd,) = read("http://api.map.baidu.com/marker?location=39.92133699351021,116.41036949371029")
    assert bd["datum"] == "BD-09"
    assert bd["position"] == pytest.approx(gcj["position"], abs=1e-8)


def test_outside_china_nothing_is_shifted(read: Read) -> None:
    (reading,) = read("https://uri.amap.com/marker?position=2.35,48.85")
    assert reading["position"] == [2.35, 48.85]


ROOT = Path(__file__).parents[2]
CONVERT = """
import { registerHooks } from "node:module";
registerHooks({ resolve: (name, context, next) => next(/^\\.\\/\\w+$/.test(name) ? `${name}.ts` : name, context) });
const { fromWgs84, toWgs84 } = await import(process.argv[1]);
let text = "";
for await (const part of process.stdin) text += part;
const change = (one, datum) => ({ from: fromWgs84(one, datum), to: toWgs84(one, datum) });
const { positions, datums } = JSON.parse(text);
console.log(JSON.stringify(datums.map((datum) => positions.map((one) => change(one, datum)))));
"""


def converted(positions: list[list[float]], datums: list[str]) -> list[list[dict[str, list[float] | None]]]:
    """For each datum and position, what the page's own functions make of it, run without a page."""
    node = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
    assert node, "no node: ./dev setup"
    command = [node, "--input-type=module", "--eval", CONVERT, (ROOT / "web" / "src" / "coordinates.ts").as_uri()]
    question = json.dumps({"positions": positions, "datums": datums})
    done = subprocess.run(command, input=question, capture_output=True, text=True, check=True)
    answer: list[list[dict[str, list[float] | None]]] = json.loads(done.stdout)
    return answer


def test_datums_are_changed_as_the_service_changes_them() -> None:
    """Over a grid of all China and beyond: the same numbers within 0.1 mm, and the same refusals."""
    lon, lat = (part.ravel() for part in np.meshgrid(np.linspace(70, 140, 71), np.linspace(0, 57, 58)))
    names = ["WGS 84", "CGCS2000", "GCJ-02", "BD-09"]
    for datum, found in zip(names, converted(np.column_stack([lon, lat]).tolist(), names), strict=True):
        ways = {
            "from": lambda at, datum=datum: coordinates.from_wgs84(at[0], at[1], datum),
            "to": lambda at, datum=datum: coordinates.to_wgs84(at[0], at[1], datum),
        }
        for way, change in ways.items():
            refused = np.array([one[way] is None for one in found])
            here = np.array([one[way] for one, no in zip(found, refused, strict=True) if not no])
            expected = np.column_stack(change(np.array([lon, lat])[:, ~refused]))
            np.testing.assert_allclose(here, expected, rtol=0, atol=1e-9)
            assert refused.any() == (datum in coordinates.DATUMS)
            for at in zip(lon[refused], lat[refused], strict=True):
                with pytest.raises(coordinates.InvalidValue):
                    change(np.array(at)[:, None])


def test_a_datum_and_back_is_where_it_was() -> None:
    random = np.random.default_rng(5)
    places = random.uniform([73.5, 3.4], [135.1, 53.6], (500, 2)).tolist()
    for datum in ("GCJ-02", "BD-09"):
        there = [one["from"] for one in converted(places, [datum])[0]]
        back = [one["to"] for one in converted(there, [datum])[0]]  # type: ignore[arg-type]  # none is refused
        np.testing.assert_allclose(back, places, rtol=0, atol=1e-9)
