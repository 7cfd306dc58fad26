"""Relief shading and slope as raster tiles, and the store of rasters."""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from starlette.testclient import TestClient

from api.rasters import SLOPE_CLASSES, coloured, mean_of_blocks, png, shadow
from gis.terrain import mercator_cell_m
from layers import rasters
from layers.errors import InvalidValue, NotFound


def cone(path: Path, *, west: float = 105.0, south: float = 27.0, side: float = 1.0, nodata: bool = False) -> Path:
    """A hill in EPSG:4326, 400 cells a side; with a hole in it when asked for."""
    rows, columns = numpy.mgrid[0:400, 0:400]
    heights = (30_000 - 100 * numpy.hypot(rows - 200, columns - 200)).astype("int16")
    if nodata:
        heights[150:170, 150:170] = -32768
    profile = {
        "driver": "GTiff",
        "width": 400,
        "height": 400,
        "count": 1,
        "dtype": "int16",
        "crs": "EPSG:4326",
        "nodata": -32768,
        "transform": Affine(side / 400, 0, west, 0, -side / 400, south + side),
    }
    with rasterio.open(path, "w", **profile) as file:
        file.write(heights, 1)
    return path


def pixels(content: bytes) -> numpy.ndarray:
    with warnings.catch_warnings(), MemoryFile(content) as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open() as file:
            return file.read()


TILE = "/rasters/hillshade/9/405/215.png"  # 104.77 to 105.47 E, 27.06 to 27.68 N: its west lies off the raster


def test_no_terrain_no_tile(client: TestClient) -> None:
    assert client.get(TILE).status_code == 204
    assert client.get("/service").json()["rasters"] == []


def test_shading_of_a_hill(home: Path, client: TestClient, tmp_path: Path) -> None:
    rasters.add("elevation", cone(tmp_path / "cone.tif"))
    answer = client.get(TILE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    red, green, blue, alpha = pixels(answer.content)
    assert alpha.shape == (256, 256)
    assert (int(red[0, 0]), int(green[0, 0]), int(blue[0, 0])) == (0x6C, 0x64, 0x54)
    assert alpha.max() <= round(0.38 * 255)
    assert alpha[:, :80].max() == 0  # off the raster: transparent
    raster = client.get("/service").json()["rasters"][0]
    assert (raster["id"], raster["sample"]) == ("hillshade", False)
    assert raster["bbox"] == pytest.approx([105, 27, 106, 28])
    assert raster["minzoom"] < raster["maxzoom"] <= 15
    assert client.get("/rasters/hillshade/9/100/100.png").status_code == 204


def test_the_side_away_from_the_light_is_dark(home: Path, client: TestClient, tmp_path: Path) -> None:
    """On tile 9/406/215 the summit, 105.5° E 27.5° N, lies at pixel (11, 75)."""
    rasters.add("elevation", cone(tmp_path / "cone.tif"))
    alpha = pixels(client.get("/rasters/hillshade/9/406/215.png").content)[3].astype(int)
    assert alpha[75 + 40, 11 + 40] > 20  # south-east
    assert alpha[75 - 8, 11 - 8] == 0  # north-west


def test_unknown_heights_are_transparent(home: Path, client: TestClient, tmp_path: Path) -> None:
    rasters.add("elevation", cone(tmp_path / "hole.tif", nodata=True))
    lit = numpy.full((3, 3), numpy.nan)
    assert shadow(lit)[..., 3].max() == 0
    assert client.get(TILE).status_code == 200


def test_the_sample_terrain_is_marked_and_gives_way(home: Path, client: TestClient, tmp_path: Path) -> None:
    rasters.add("sample_elevation", cone(tmp_path / "cone.tif"), sample=True)
    raster = client.get("/service").json()["rasters"][0]
    assert raster["sample"] is True
    assert client.get(TILE).status_code == 200
    rasters.add("elevation", cone(tmp_path / "real.tif", west=0, south=0))
    raster = client.get("/service").json()["rasters"][0]
    assert raster["sample"] is False


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("elevation/0/0/0", 404),
        ("..%2f..%2fetc%2fpasswd/0/0/0", 404),
        ("hillshade/0/1/0", 400),
        ("hillshade/40/0/0", 400),
        ("hillshade/x/0/0", 400),
        ("/etc/passwd/0/0/0", 404),
        ("%00/0/0/0", 404),
        ("slope/0/0/0/0", 404),
        ("slope,hillshade/0/0/0", 404),
        ("slope/0/0/0.png?url=file:///etc/passwd&x=", 400),
    ],
)
def test_wrong_addresses(client: TestClient, path: str, status: int) -> None:
    answer = client.get(f"/rasters/{path}.png")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def ramp(path: Path, degrees: float) -> Path:
    """A plane in EPSG:3857 at 27° N that rises towards east at a true angle; cells of 30 m of the projection."""
    north = 3_130_000.0
    latitude = math.degrees(math.atan(math.sinh((north - 256 * 30 / 2) / 6_378_137)))
    cell_m = float(mercator_cell_m(numpy.array([latitude]), 30.0)[0][0])
    heights = numpy.tile(numpy.arange(1024) * cell_m * math.tan(math.radians(degrees)), (1024, 1)).astype("float32")
    profile = {
        "driver": "GTiff", "width": 1024, "height": 1024, "count": 1, "dtype": "float32", "crs": "EPSG:3857",
        "transform": Affine(30, 0, 11_700_000, 0, -30, north),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(heights, 1)
    return path


@pytest.mark.parametrize(("degrees", "number"), [(2, 0), (10, 1), (20, 2), (30, 3), (40, 4), (60, 5)])
@pytest.mark.parametrize("tile", ["13/6488/3457", "11/1622/864", "14/12976/6914"])
def test_slope_of_a_plane(
    home: Path, client: TestClient, tmp_path: Path, degrees: float, number: int, tile: str
) -> None:
    rasters.add("elevation", ramp(tmp_path / "ramp.tif", degrees))
    answer = client.get(f"/rasters/slope/{tile}.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    middle = pixels(answer.content)[:, 128, 128]
    color, opacity = SLOPE_CLASSES[number].color, SLOPE_CLASSES[number].opacity
    assert tuple(middle) == (*bytes.fromhex(color[1:]), round(opacity * 255))
    again = client.get(f"/rasters/slope/{tile}.png", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_slope_where_nothing_is_known(home: Path, client: TestClient, tmp_path: Path) -> None:
    assert client.get("/rasters/slope/9/405/215.png").status_code == 204
    rasters.add("elevation", cone(tmp_path / "hole.tif", nodata=True))
    alpha = pixels(client.get("/rasters/slope/9/405/215.png").content)[3]
    assert alpha[:, :80].max() == 0  # off the raster
    assert alpha[150:, 90:].min() > 0
    assert client.get("/rasters/slope/9/100/100.png").status_code == 204
    assert client.get("/rasters/slope/0/0/0.png").status_code in (200, 204)


def test_colours_of_values() -> None:
    """A class begins with its least value; below the first, and unknown, is transparent."""
    told = coloured(numpy.array([[-1.0, 0.0, 4.999, 5.0, 90.0, numpy.nan]]), SLOPE_CLASSES)
    assert told[0, :, 3].tolist() == [0, 89, 89, 140, 191, 0]


def test_the_mean_of_what_is_known() -> None:
    grid = numpy.array([[1.0, 3, numpy.nan, numpy.nan], [5, numpy.nan, numpy.nan, numpy.nan]])
    mean = mean_of_blocks(grid, 2)
    assert mean[0, 0] == 3.0
    assert numpy.isnan(mean[0, 1])


def test_what_a_map_is_told(home: Path, client: TestClient, tmp_path: Path) -> None:
    rasters.add("sample_elevation", cone(tmp_path / "cone.tif"), sample=True)
    told = {raster["id"]: raster for raster in client.get("/service").json()["rasters"]}
    assert {name: one["visible"] for name, one in told.items()} == {"hillshade": True, "slope": False}
    slope = told["slope"]
    assert slope["title"] == {"zh": "坡度", "en": "Slope"}
    assert slope["legend"] == client.get("/rasters/slope/legend").json()
    assert slope["legend"]["unit"] == "°"
    assert [(one["from"], one["to"]) for one in slope["legend"]["classes"]] == [
        (0, 5), (5, 15), (15, 25), (25, 35), (35, 45), (45, None),
    ]  # fmt: skip
    assert told["hillshade"]["legend"]["classes"] == []
    assert slope["maxzoom"] == 9  # cells of 1/400 degree: about 245 m on the ground
    assert slope["minzoom"] == 5
    assert client.get(slope["tiles"].format(z=9, x=405, y=215)).status_code == 200


@pytest.mark.parametrize("raster", ["hillshade", "slope"])
def test_tilejson_of_a_raster(home: Path, client: TestClient, tmp_path: Path, raster: str) -> None:
    assert client.get(f"/rasters/{raster}.json").status_code == 404
    rasters.add("sample_elevation", cone(tmp_path / "cone.tif"), sample=True)
    told = client.get(f"/rasters/{raster}.json").json()
    assert told["tilejson"] == "3.0.0"
    assert told["bounds"] == pytest.approx([105, 27, 106, 28])
    assert "Sample data" in told["attribution"]
    (template,) = told["tiles"]
    assert client.get(template.format(z=9, x=405, y=215)).status_code == 200


@pytest.mark.parametrize(
    "path", ["elevation.json", "..%2fx.json", "elevation/legend", "slope/legend?x=1", "slope.json?url=x"]
)
def test_only_what_can_be_shown(home: Path, client: TestClient, tmp_path: Path, path: str) -> None:
    rasters.add("elevation", cone(tmp_path / "cone.tif"))
    answer = client.get(f"/rasters/{path}")
    assert answer.status_code == (400 if "?" in path else 404)
    assert answer.headers["content-type"] == "application/problem+json"


def test_many_threads_get_the_same_tile(home: Path, client: TestClient, tmp_path: Path) -> None:
    rasters.add("elevation", cone(tmp_path / "cone.tif"))
    box = (11_720_000.0, 3_120_000.0, 11_760_000.0, 3_160_000.0)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: rasters.read_mercator("elevation", box, 64, 64), range(64)))
    assert all(numpy.array_equal(one, read[0], equal_nan=True) for one in read)


def test_a_raster_is_replaced_at_once(home: Path, tmp_path: Path) -> None:
    first = rasters.add("elevation", cone(tmp_path / "a.tif"))
    second = rasters.add("elevation", cone(tmp_path / "b.tif", west=10))
    assert first.version != second.version
    assert rasters.raster("elevation").bbox[0] == pytest.approx(10)
    with rasterio.open(second.path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert [path.name for path in rasters.folder().iterdir()] == ["elevation.tif"]


def test_what_is_no_raster_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("not a raster")
    for name, path in (("elevation", tmp_path / "text.tif"), ("elevation", tmp_path / "none.tif"), ("../x", tmp_path)):
        with pytest.raises(InvalidValue):
            rasters.add(name, path)
    with pytest.raises(NotFound):
        rasters.raster("elevation")


def test_png_is_read_back_as_it_was() -> None:
    given = numpy.random.default_rng(1).integers(0, 255, (5, 7, 4)).astype(numpy.uint8)
    assert numpy.array_equal(pixels(png(given)), numpy.moveaxis(given, 2, 0))
