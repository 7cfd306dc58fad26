"""Relief shading as raster tiles, and the store of rasters."""

from __future__ import annotations

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

from api.rasters import png, shadow
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
    (raster,) = client.get("/service").json()["rasters"]
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
    (raster,) = client.get("/service").json()["rasters"]
    assert raster["sample"] is True
    assert client.get(TILE).status_code == 200
    rasters.add("elevation", cone(tmp_path / "real.tif", west=0, south=0))
    (raster,) = client.get("/service").json()["rasters"]
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
    ],
)
def test_wrong_addresses(client: TestClient, path: str, status: int) -> None:
    answer = client.get(f"/rasters/{path}.png")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


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
