"""The map draws the layers, tells what is under the pointer, and says which layer failed."""

from __future__ import annotations

import base64
from typing import Any

COLOURS = """async png => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const counts = new Map();
    for (const pixel of new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer))
        counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
    return [counts.size, Math.max(...counts.values()) / (image.width * image.height)];
}"""
MIDDLE = "/?w=respond&view=13,105.3,27.3&lang=zh"


def test_several_layers_are_drawn(app: Any) -> None:
    app.open()
    assert app.drawn("hazard_points") > 0
    assert app.drawn("shelters") > 0
    assert app.drawn("risk_zones") > 0
    assert app.drawn("roads", "rivers", "admin_areas") > 0


def test_map_is_not_blank(app: Any) -> None:
    app.open(MIDDLE)
    picture = base64.b64encode(app.page.locator(".maplibregl-canvas").screenshot()).decode()
    colours, largest = app.page.evaluate(COLOURS, picture)
    assert colours > 200
    assert largest < 0.9


def test_names_are_written_without_a_font_server(app: Any) -> None:
    asked: list[str] = []
    app.page.on("request", lambda request: asked.append(request.url))
    app.open(MIDDLE)
    assert all(url.startswith((app.server, "blob:", "data:")) for url in asked)
    labels = app.page.evaluate(
        "leeward.map.queryRenderedFeatures().filter(one => one.layer.layout?.['text-field']).length"
    )
    assert labels > 0


def test_sample_data_are_named_on_the_map(app: Any) -> None:
    app.open()
    assert app.page.locator(".sample-notice").inner_text() == "示例数据，非真实"
    assert "Leeward" in app.page.locator(".maplibregl-ctrl-attrib").inner_text()


def _shelter(app: Any) -> Any:
    box = app.page.evaluate("leeward.map.getBounds().toArray().flat()")
    features = app.get("/collections/shelters/items", bbox=",".join(map(str, box)), limit=50)["features"]
    return next(one for one in features if one["properties"]["name"])


def test_hover_names_and_click_opens_a_card(app: Any) -> None:
    app.open(
        "/?w=respond&view=13,105.3,27.3&lang=zh&hide=hazard_points,rescue_teams,supply_depots,incidents,settlements"
    )
    shelter = _shelter(app)
    app.page.evaluate("at => leeward.map.jumpTo({ center: at, zoom: 17 })", shelter["geometry"]["coordinates"])
    app.until("leeward.map.loaded()")
    app.page.mouse.move(*app.screen_point(*shelter["geometry"]["coordinates"]))
    app.page.locator(".tooltip").wait_for()
    assert shelter["properties"]["name"] in app.page.locator(".tooltip").inner_text()
    app.page.mouse.click(*app.screen_point(*shelter["geometry"]["coordinates"]))
    app.page.locator(".card .fields").wait_for()
    assert app.page.locator(".card h2").inner_text() == shelter["properties"]["name"]
    assert "capacity_persons" not in app.page.locator(".card").inner_text()
    assert f"sel=shelters.{shelter['id']}" in app.page.url


def test_unknown_fields_are_called_unknown(app: Any) -> None:
    features = app.get("/collections/shelters/items", limit=200)["features"]
    shelter = next(one for one in features if one["properties"]["occupancy_persons"] is None)
    app.open(f"/?w=respond&sel=shelters.{shelter['id']}&lang=zh")
    app.page.locator(".card .unknown-fields").wait_for()
    assert "已安置人数" in app.page.locator(".unknown-fields").inner_text()
    assert "已安置人数" not in app.page.locator(".card .fields").inner_text()


def test_switch_hides_a_layer_and_the_link_keeps_it(app: Any) -> None:
    app.open()
    app.page.locator('[data-layer="shelters"] input').uncheck()
    app.until("leeward.map.queryRenderedFeatures().every(one => one.sourceLayer !== 'shelters')")
    assert "hide=shelters" in app.page.url
    app.page.reload()
    app.until("window.leeward && leeward.map.loaded()")
    assert app.drawn("shelters") == 0
    assert app.drawn("hazard_points") > 0


def test_failing_layer_says_so_in_its_row_and_others_work(app: Any) -> None:
    app.page.route("**/tiles/shelters/**", lambda route: route.abort())
    app.open()
    row = app.page.locator('[data-layer="shelters"] .problem')
    row.wait_for()
    assert "加载失败" in row.inner_text()
    assert app.drawn("hazard_points") > 0
    assert app.page.locator('[data-layer="hazard_points"] .problem').count() == 0
    app.page.unroute("**/tiles/shelters/**")
    row.get_by_role("button", name="重试").click()
    app.until("leeward.map.queryRenderedFeatures().some(one => one.sourceLayer === 'shelters')")
    assert app.page.locator('[data-layer="shelters"] .problem').count() == 0


def test_layer_from_a_definition_alone_is_drawn(app: Any) -> None:
    """A layer of which the code knows nothing: its definition is all there is."""

    def with_new_layer(route: Any) -> None:
        answer = route.fetch()
        body = answer.json()
        new = next(dict(one) for one in body["collections"] if one["id"] == "facilities")
        rule = {"when": {}, "label": {"zh": "新图层的点", "en": "New point"}}
        symbol = {"shape": "octagon", "color": "#005350", "size": 20, "width": 1}
        symbol |= {"opacity": 1, "pattern": "none", "dash": []}
        new_map = {**new["layer"]["map"], "visible": True, "min_zoom": 0, "rules": [{**rule, "symbol": symbol}]}
        new["titles"] = {"zh": "新图层", "en": "New layer"}
        new["layer"] = {**new["layer"], "map": new_map}
        body["collections"] = [new if one["id"] == "facilities" else one for one in body["collections"]]
        route.fulfill(response=answer, json=body)

    app.page.route("**/collections", with_new_layer)
    app.open(MIDDLE)
    assert app.drawn("facilities") > 0
    app.page.locator('[data-layer="facilities"]').get_by_text("新图层的点").wait_for()


def test_service_that_cannot_be_reached_is_named(app: Any) -> None:
    app.page.route("**/service", lambda route: route.fulfill(status=503, json={"title": "x", "detail": "no database"}))
    app.page.goto(app.server + "/?lang=en")
    app.page.get_by_role("alert").wait_for()
    assert "no database" in app.page.get_by_role("alert").inner_text()


def test_slope_can_be_switched_on(app: Any) -> None:
    app.open(MIDDLE)
    assert app.page.evaluate("leeward.map.getLayoutProperty('raster-slope', 'visibility')") == "none"
    answers: list[int] = []
    app.page.on("response", lambda answer: answers.append(answer.status) if "/rasters/slope/" in answer.url else None)
    app.open(MIDDLE + "&show=slope")
    assert app.page.evaluate("leeward.map.getLayoutProperty('raster-slope', 'visibility')") == "visible"
    assert app.page.evaluate("leeward.map.getPaintProperty('raster-slope', 'raster-brightness-max')") == 1
    assert answers
    assert set(answers) <= {200, 204}
