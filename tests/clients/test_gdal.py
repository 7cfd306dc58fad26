"""GDAL: every layer is listed, copied whole and found in its place; also through geopandas."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import geopandas
import pytest

from layers.catalog import catalog

needs_gdal = pytest.mark.skipif(
    shutil.which("ogrinfo") is None, reason="ogrinfo is missing: install the package gdal-bin"
)


def run(*command: str) -> str:
    """What a program prints; it must neither fail nor complain."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@needs_gdal
def test_ogrinfo_lists_every_layer(server: str) -> None:
    told = run("ogrinfo", "-ro", "-al", "-so", f"OAPIF:{server}")
    names = [line.removeprefix("Layer name: ") for line in told.splitlines() if line.startswith("Layer name: ")]
    assert names == list(catalog())
    shelters = told[told.index("Layer name: shelters") :]
    assert "Geometry: Point\nFeature Count: 250\nExtent: (105.200000, 27.200000) - (105.440000, 27.290000)" in shelters
    assert "capacity_persons: Integer" in told or "capacity_persons: String" in told
    assert "Feature Count: 4\nExtent: (105.200000, 27.300000) - (105.380000, 27.330000)" in told


@needs_gdal
def test_ogr2ogr_copies_a_whole_layer(server: str, tmp_path: Path) -> None:
    """250 items are three pages of the service's usual 100: the copy follows the links."""
    run("ogr2ogr", "-f", "GPKG", str(tmp_path / "shelters.gpkg"), f"OAPIF:{server}", "shelters")
    copied = geopandas.read_file(tmp_path / "shelters.gpkg")
    assert len(copied) == copied["name"].nunique() == 250
    assert copied.crs == "EPSG:4326"
    assert set(copied["status"]) == {"open", "closed"}


@needs_gdal
def test_ogr2ogr_asks_for_a_box(server: str, tmp_path: Path) -> None:
    box = ("-spat", "105.195", "27.195", "105.225", "27.215")
    run("ogr2ogr", "-f", "GeoJSON", *box, str(tmp_path / "box.json"), f"OAPIF:{server}", "shelters")
    assert len(geopandas.read_file(tmp_path / "box.json")) == 6


@needs_gdal
def test_ogr2ogr_asks_by_a_filter(server: str, tmp_path: Path) -> None:
    run(
        "ogr2ogr",
        "-f",
        "GeoJSON",
        "-where",
        "name = '避难所7'",
        str(tmp_path / "one.json"),
        f"OAPIF:{server}",
        "shelters",
    )
    assert len(geopandas.read_file(tmp_path / "one.json")) == 1


@needs_gdal
def test_ogrinfo_reads_a_vector_tile(server: str) -> None:
    """Tile 10/811/431 spans 105.117 to 105.469° E: all 250 shelters, each in its place to a few metres."""
    told = run("ogrinfo", "-ro", "-al", "-so", f"MVT:{server}/tiles/shelters,risk_zones/10/811/431.mvt")
    assert "Layer name: shelters" in told
    assert "Layer name: risk_zones" in told
    extent = told[told.index("Extent: ") :].splitlines()[0]
    numbers = [float(part.strip(" ()")) for part in extent.removeprefix("Extent: ").replace(" - ", ",").split(",")]
    expected = geopandas.points_from_xy([105.2, 105.44], [27.2, 27.29], crs=4326).to_crs(3857)
    assert numbers == pytest.approx([*expected[0].coords[0], *expected[1].coords[0]], abs=10)


@needs_gdal
def test_gdal_reads_the_slope_as_a_map(server: str, tmp_path: Path) -> None:
    """The tiles of a raster as one image, by a description of the address."""
    (tmp_path / "slope.xml").write_text(
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{server}/rasters/slope/${{z}}/${{x}}/${{y}}.png</ServerUrl>'
        "</Service>"
        "<DataWindow><UpperLeftX>-20037508.34</UpperLeftX><UpperLeftY>20037508.34</UpperLeftY>"
        "<LowerRightX>20037508.34</LowerRightX><LowerRightY>-20037508.34</LowerRightY><TileLevel>10</TileLevel>"
        "<TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin></DataWindow>"
        "<Projection>EPSG:3857</Projection><BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY>"
        "<BandsCount>4</BandsCount><ZeroBlockHttpCodes>204,404</ZeroBlockHttpCodes></GDAL_WMS>"
    )
    told = run("gdallocationinfo", "-wgs84", "-valonly", str(tmp_path / "slope.xml"), "105.25", "27.25")
    assert told.split() == ["254", "227", "145", "140"]  # 5 m a cell of 0.0005°, 50 to 55 m: 5 to 6 degrees


def test_geopandas_reads_the_items(server: str) -> None:
    read: Any = geopandas.read_file(f"{server}/collections/shelters/items?limit=10000&status=open")
    assert len(read) == 125
    assert read.crs == "EPSG:4326"
    assert read.total_bounds == pytest.approx([105.2, 27.2, 105.44, 27.29])
    assert read["name"].str.startswith("避难所").all()


def test_gdal_finds_the_tiles_by_the_standard(server: str) -> None:
    """From the collection's links to tileset, matrix set and the tile of the world, on which the shelters are clusters.

    GDAL 3.12 takes the extent of a collection for metres and looks for the tiles of further zooms at 0° 0°.
    """
    read: Any = geopandas.read_file(f"OGCAPI:{server}/collections/shelters", layer="Zoom level 0", API="TILES")
    assert read["point_count"].fillna(1).sum() == 250
    assert read.crs == "EPSG:3857"
    assert read.to_crs(4326).total_bounds == pytest.approx([105.3, 27.2, 105.3, 27.2], abs=0.2)
