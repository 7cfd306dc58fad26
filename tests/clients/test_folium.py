"""Folium and Leaflet: the items as GeoJSON above the slope as tiles, in a page that a browser draws.

A page of folium loads Leaflet from the internet; here it comes from the package libjs-leaflet, and what else the page
would load (jQuery, Bootstrap, icons) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folium
import pytest
from playwright.sync_api import Browser, Route

LEAFLET = Path("/usr/share/javascript/leaflet")


def page_of(server: str, ask: Callable[[str], Any]) -> folium.Map:
    """A map of the shelters that are open."""
    items = ask("/collections/shelters/items?limit=10000&status=open")
    page = folium.Map(location=[27.25, 105.32], zoom_start=11, tiles=None)
    slope = ask("/rasters/slope.json")
    folium.TileLayer(
        tiles=f"{server}/rasters/slope/{{z}}/{{x}}/{{y}}.png", attr="slope", min_zoom=slope["minzoom"],
        max_native_zoom=slope["maxzoom"],
    ).add_to(page)  # fmt: skip
    folium.GeoJson(items, marker=folium.CircleMarker(radius=4), tooltip=folium.GeoJsonTooltip(["name"])).add_to(page)
    return page


def test_the_page_holds_the_items(server: str, ask: Callable[[str], Any]) -> None:
    text = page_of(server, ask).get_root().render()
    assert text.count("\\u907f\\u96be\\u6240") == 125  # 避难所
    assert f"{server}/rasters/slope/" in text


@pytest.mark.skipif(not LEAFLET.is_dir(), reason="Leaflet is missing: install the package libjs-leaflet")
def test_leaflet_draws_the_page(server: str, ask: Callable[[str], Any], browser: Browser, tmp_path: Path) -> None:
    page_of(server, ask).save(tmp_path / "map.html")
    context = browser.new_context()
    page = context.new_page()

    def elsewhere(route: Route) -> None:
        name = route.request.url.split("/")[-1]
        if name in ("leaflet.js", "leaflet.css"):
            route.fulfill(path=LEAFLET / name)
        else:
            route.fulfill(body="")

    page.route(re.compile("^https:"), elsewhere)
    page.goto((tmp_path / "map.html").as_uri())
    page.wait_for_function(
        "document.querySelectorAll('img.leaflet-tile-loaded').length > 0"
        " && document.querySelectorAll('path.leaflet-interactive').length > 0"
    )
    assert page.locator("path.leaflet-interactive").count() == 125
    assert page.locator("img.leaflet-tile-loaded").evaluate_all("all => all.every(one => one.naturalWidth === 256)")
    context.close()
