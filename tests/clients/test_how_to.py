"""What the how-to says is what the tests do."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
HOW_TO = (HERE.parents[1] / "docs" / "how-to" / "qgis-and-gdal.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("qgis_map.py", "url='{server}' typename='shelters'"),
        ("qgis_map.py", "type=xyz&url={server}/tiles/shelters,risk_zones/{{z}}/{{x}}/{{y}}.mvt&zmin=0&zmax=16"),
        ("qgis_map.py", "type=xyz&url={server}/rasters/slope/{{z}}/{{x}}/{{y}}.png&zmin=8&zmax=12"),
        ("test_gdal.py", "OAPIF:{server}"),
        ("test_gdal.py", "MVT:{server}/tiles/shelters,risk_zones/10/811/431.mvt"),
        ("test_gdal.py", "{server}/collections/shelters/items?limit=10000&status=open"),
        ("test_owslib.py", "bbox=[105.195, 27.195, 105.225, 27.215], limit=100"),
        ("test_maplibre.py", "/tiles/shelters,risk_zones.json"),
        ("test_maplibre.py", "/rasters/slope.json"),
        ("test_folium.py", "{server}/rasters/slope/{{z}}/{{x}}/{{y}}.png"),
    ],
)
def test_the_words_of_the_how_to(test: str, words: str) -> None:
    assert words in (HERE / test).read_text(encoding="utf-8")
    assert words.format(server="http://127.0.0.1:8000") in HOW_TO
