"""MapLibre GL JS knowing nothing of the service but two TileJSON addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route

MAPLIBRE = Path(__file__).parents[2] / "web" / "node_modules" / "maplibre-gl" / "dist"
PAGE = """<!doctype html><style>#map { width: 512px; height: 512px }</style><div id="map"></div>
<script type="module">
import * as maplibregl from "/maplibre/maplibre-gl.mjs";
window.map = new maplibregl.Map({
  container: "map", center: [105.32, 27.25], zoom: 10, fadeDuration: 0,
  style: { version: 8, sources: {
    shelters: { type: "vector", url: "/tiles/shelters,risk_zones.json" },
    slope: { type: "raster", url: "/rasters/slope.json", tileSize: 256 } },
    layers: [
      { id: "slope", type: "raster", source: "slope" },
      { id: "zones", type: "fill", source: "shelters", "source-layer": "risk_zones" },
      { id: "points", type: "circle", source: "shelters", "source-layer": "shelters" } ] },
});
</script>"""


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """A page that draws both."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def library(route: Route) -> None:
        name = urlsplit(route.request.url).path.split("/")[-1]
        route.fulfill(path=MAPLIBRE / name, content_type="text/javascript")

    page.route("**/maplibre/*", library)
    page.route("**/page.html", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page.goto(f"{server}/page.html")
    page.wait_for_function("window.map && map.loaded() && map.areTilesLoaded()", timeout=30_000)
    yield page
    context.close()
    assert errors == []


def test_a_map_from_tilejson_alone(page: Page) -> None:
    found: list[dict[str, Any]] = page.evaluate(
        """map.querySourceFeatures("shelters", { sourceLayer: "shelters" })
           .map(one => ({ id: one.id, ...one.properties }))"""
    )
    assert len({one["id"] for one in found}) == 250
    assert {one["status"] for one in found} == {"open", "closed"}
    drawn = page.evaluate("map.queryRenderedFeatures({ layers: ['points', 'zones'] }).map(one => one.layer.id)")
    assert {"points", "zones"} == set(drawn)


def test_bounds_and_zooms_are_taken_from_tilejson(page: Page) -> None:
    told = page.evaluate("[map.getSource('slope').maxzoom, map.getSource('shelters').maxzoom]")
    assert told == [12, 16]
    bounds = page.evaluate("map.getSource('shelters').bounds")
    assert bounds == pytest.approx([105.2, 27.2, 105.44, 27.33])
