"""A layer is one file: written, it is imported, queried, tiled and shown, without a line of Python."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have httpx2
    from starlette.testclient import TestClient

from api.app import create_app
from cli.main import app
from layers.settings import settings

WELLS = """\
title    = { zh = "水井", en = "Wells" }
abstract = { zh = "村民水井", en = "Wells of the villages" }
geometry = "Point"
key      = [["source_id"], ["name", "geom"]]
source   = { name = "Survey of wells", licence = "CC0-1.0", attribution = "Survey of wells" }

[fields]
name    = { type = "text", label = { zh = "井名", en = "Name" }, public = true, aliases = ["井名"] }
kind    = { type = "code", label = { zh = "井型", en = "Kind" }, codes = "kind", public = true, aliases = ["井型"] }
depth_m = { type = "number", label = { zh = "井深", en = "Depth" }, unit = "m", minimum = 0, public = true }
shelter = { type = "item", layer = "shelters", label = { zh = "避难场所", en = "Shelter" }, public = true }
owner   = { type = "text", label = { zh = "户主", en = "Owner" }, public = false, personal = true, aliases = ["户主"] }

[codes.kind]
dug   = { zh = "挖井", en = "Dug" }
drill = { zh = "钻井", en = "Drilled", aliases = ["机井"] }

[tiles]
fields = ["kind"]

[map]
group       = "response"
order       = 50
label_field = "name"

[[map.rules]]
when   = { kind = "drill" }
label  = { zh = "水井 钻井", en = "Well, drilled" }
symbol = { shape = "circle", color = "#123456" }

[[map.rules]]
label  = { zh = "水井", en = "Well" }
symbol = { shape = "circle", color = "#654321" }
"""
PUMPS = """\
title    = { zh = "水泵", en = "Pumps" }
abstract = { zh = "水井的水泵", en = "Pumps of the wells" }
geometry = "none"
key      = [["source_id"]]
source   = { name = "Survey of wells", licence = "CC0-1.0", attribution = "Survey of wells" }

[fields]
name = { type = "text", label = { zh = "泵名", en = "Name" }, public = true, aliases = ["泵名"] }
well = { type = "item", layer = "wells", label = { zh = "水井", en = "Well" }, public = true, aliases = ["水井"] }
"""
SHELTERS_CSV = "编号,名称,经度,纬度\nS1,河东小学,105.28,27.29\n"
WELLS_CSV = """编号,井名,经度,纬度,井型,井深,避难场所,户主
W1,东井,105.28,27.30,机井,35.5,S1,王五
W2,西井,105.20,27.25,挖井,8,,赵六
W3,坏井,105.21,27.26,挖井,-3,,钱七
"""
PUMPS_CSV = "编号,泵名,水井\nP1,一号泵,W1\nP2,二号泵,W9\n"


def leeward(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def service(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The service on a database with the two new layers."""
    definitions = tmp_path / "definitions"
    definitions.mkdir()
    (definitions / "wells.toml").write_text(WELLS, encoding="utf-8")
    (definitions / "pumps.toml").write_text(PUMPS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, text in {"DATABASE_URL": database, "HOME": str(tmp_path), "DEFINITIONS": str(definitions)}.items():
        monkeypatch.setenv(f"LEEWARD_{name}", text)
    settings.cache_clear()
    with TestClient(create_app(database)) as client:
        yield client
    settings.cache_clear()


def test_one_file_makes_a_layer(service: TestClient, tmp_path: Path) -> None:
    assert {"wells", "pumps"} <= {layer["id"] for layer in json.loads(leeward("layers", "--json"))}
    for layer, text, line in (
        ("shelters", SHELTERS_CSV, "read 1, imported 1, updated 0, unchanged 0, rejected 0"),
        ("wells", WELLS_CSV, "read 3, imported 2, updated 0, unchanged 0, rejected 1"),
        ("pumps", PUMPS_CSV, "read 2, imported 1, updated 0, unchanged 0, rejected 1"),
    ):
        (tmp_path / f"{layer}.csv").write_text(text, encoding="utf-8")
        assert leeward("import", layer, f"{layer}.csv").strip() == line
    assert leeward("template", "wells").strip() == "wells.xlsx"

    collection = service.get("/collections/wells").json()
    assert collection["title"]
    assert "Well, drilled" in json.dumps(collection, ensure_ascii=False)  # the legend
    assert "#123456" in json.dumps(collection)
    assert "pumps" in {c["id"] for c in service.get("/collections").json()["collections"]}

    items = service.get("/collections/wells/items?kind=drill").json()
    assert [f["properties"]["name"] for f in items["features"]] == ["东井"]
    properties = items["features"][0]["properties"]
    assert properties["depth_m"] == 35.5
    assert properties["shelter"] is not None
    assert "王五" not in service.get("/collections/wells/items").text  # a personal field
    pumps = [f["properties"] for f in service.get("/collections/pumps/items").json()["features"]]
    assert [(p["name"], p["well"]) for p in pumps] == [("一号泵", 1)]

    tile = service.get(f"/tiles/wells/12/{int((105.28 + 180) / 360 * 4096)}/1724.mvt")
    assert tile.status_code == 200
    assert b"wells" in tile.content
    assert b"drill" in tile.content
    assert service.get("/tiles/pumps/0/0/0.mvt").status_code in (400, 404)
