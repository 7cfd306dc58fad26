"""Rasters, kept as cloud-optimised GeoTIFF under ``LEEWARD_HOME/rasters``, one file a raster."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import rasterio
import rasterio.errors
import rasterio.shutil
import rasterio.warp
import rasterio.windows
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from layers.errors import InvalidValue, NotFound
from layers.features import Box
from layers.settings import settings

NAME = re.compile(r"^[a-z][a-z0-9_]{0,47}$")
SAMPLE_TAG = "SAMPLE"
WEB_MERCATOR = "EPSG:3857"
STRIPE_ROWS = 512


@dataclass(frozen=True)
class Raster:
    """A raster of the store.

    Parameters
    ----------
    id : str
        Its name.
    path : Path
        Its file.
    version : int
        Changes whenever the file does.
    bbox : tuple of float
        West, south, east, north in degrees, WGS 84.
    cell_m : float
        About how long the side of a cell is, metres.
    sample : bool
        Whether it is sample data, not real.
    """

    id: str
    path: Path
    version: int
    bbox: Box
    cell_m: float
    sample: bool


def folder() -> Path:
    """Where the rasters lie."""
    return settings().home / "rasters"


def rasters() -> dict[str, Raster]:
    """The rasters that there are, by id: only what the folder lists can be asked for."""
    if not folder().is_dir():
        return {}
    found = {}
    for path in sorted(folder().glob("*.tif")):
        if NAME.match(path.stem):
            found[path.stem] = _raster(path, path.stat().st_mtime_ns)
    return found


def raster(raster_id: str) -> Raster:
    """A raster by id.

    Raises
    ------
    NotFound
        When the store has none of that name.
    """
    found = rasters()
    if raster_id not in found:
        raise NotFound(f"there is no raster {raster_id[:80]!r}", parameter="raster", expected=", ".join(found) or None)
    return found[raster_id]


def add(raster_id: str, path: Path, *, sample: bool = False) -> Raster:
    """Take a raster into the store, or a new version of it.

    Parameters
    ----------
    raster_id : str
        Small letters, digits and underscores; ``elevation`` is shaded on the map.
    path : Path
        A file that GDAL reads, with a coordinate reference system.
    sample : bool
        Whether it is sample data, not real; also so when the file has a tag ``SAMPLE``.

    Raises
    ------
    InvalidValue
        When the file is not such a raster.

    Notes
    -----
    Written beside the old version and then put in its place at once, so that readers see one or the other.
    """
    if not NAME.match(raster_id):
        raise InvalidValue(f"{raster_id!r} names no raster", parameter="id", expected="small letters, digits and _")
    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder(), prefix=".new-") as work:
        target = Path(work) / f"{raster_id}.tif"
        try:
            with rasterio.open(path) as given:
                if given.crs is None:
                    expected = "one with a CRS"
                    detail = f"{path} has no coordinate reference system"
                    raise InvalidValue(detail, parameter="file", expected=expected)
                if sample and not given.tags().get(SAMPLE_TAG):
                    _convert_tagged(given, target)
                else:
                    _convert(given, target)
        except rasterio.errors.RasterioError as error:
            raise InvalidValue(f"{path} is not a raster: {error}", parameter="file", expected="GeoTIFF, HGT") from None
        os.replace(target, folder() / target.name)
    return raster(raster_id)


def _convert_tagged(given: Any, target: Path) -> None:
    """Convert by way of a copy that is tagged: a finished COG is not to be written to."""
    plain = target.with_name("plain.tif")
    rasterio.shutil.copy(given, plain, driver="GTiff")
    with rasterio.open(plain, "r+") as tagged:
        tagged.update_tags(**{SAMPLE_TAG: "1"})
    with rasterio.open(plain) as tagged:
        _convert(tagged, target)


def _convert(given: Any, target: Path) -> None:
    rasterio.shutil.copy(
        given, target, driver="COG", compress="DEFLATE", predictor="YES", blocksize=256, overview_resampling="average"
    )


def read_mercator(raster_id: str, bounds: Box, width: int, height: int) -> NDArray[numpy.float64]:
    """The first band of a raster in a box of EPSG:3857, bilinear.

    Parameters
    ----------
    raster_id : str
        The raster.
    bounds : tuple of float
        West, south, east, north in metres of EPSG:3857.
    width, height : int
        Cells.

    Returns
    -------
    array of float, shape (height, width)
        NaN where the raster has no value.
    """
    west, south, east, north = bounds
    transform = Affine((east - west) / width, 0.0, west, 0.0, (south - north) / height, north)
    with _opened(raster(raster_id)) as source:
        view = WarpedVRT(
            source, crs=WEB_MERCATOR, transform=transform, width=width, height=height,
            resampling=Resampling.bilinear, dtype="float64", nodata=numpy.nan,
        )  # fmt: skip
        with view:
            values: NDArray[numpy.float64] = view.read(1)
    return values


def elevations(raster_id: str, places: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    """The first band of a raster at places, bilinear; NaN where it has no value.

    Parameters
    ----------
    raster_id : str
        The raster.
    places : array of float, shape (N, 2)
        Longitude and latitude, WGS 84, degrees.

    Notes
    -----
    Read in stripes of 512 rows: the raster may be of any size. Beside a void the value is unknown.
    """
    found = numpy.full(len(places), numpy.nan)
    with _opened(raster(raster_id)) as source:
        xs, ys = rasterio.warp.transform("EPSG:4326", source.crs, places[:, 0], places[:, 1])
        columns, rows = ~source.transform * (numpy.asarray(xs), numpy.asarray(ys))
        columns, rows = numpy.asarray(columns) - 0.5, numpy.asarray(rows) - 0.5
        inside = (columns >= 0) & (columns <= source.width - 1) & (rows >= 0) & (rows <= source.height - 1)
        for first in range(0, source.height, STRIPE_ROWS):
            which = numpy.flatnonzero(inside & (rows >= first) & (rows < first + STRIPE_ROWS))
            if len(which) == 0:
                continue
            left, right = int(columns[which].min()), min(int(columns[which].max()) + 2, source.width)
            last = min(first + STRIPE_ROWS + 1, source.height)
            window = rasterio.windows.Window(left, first, right - left, last - first)
            values = source.read(1, window=window, masked=True).astype(float).filled(numpy.nan)
            found[which] = _between(values, columns[which] - left, rows[which] - first)
    return found


def _between(values: NDArray[Any], columns: NDArray[Any], rows: NDArray[Any]) -> NDArray[numpy.float64]:
    """Values between the middles of cells, bilinear."""
    left = columns.astype(int).clip(0, max(values.shape[1] - 2, 0))
    upper = rows.astype(int).clip(0, max(values.shape[0] - 2, 0))
    right, lower = (left + 1).clip(0, values.shape[1] - 1), (upper + 1).clip(0, values.shape[0] - 1)
    along, down = columns - left, rows - upper
    north = values[upper, left] * (1 - along) + values[upper, right] * along
    south = values[lower, left] * (1 - along) + values[lower, right] * along
    between: NDArray[numpy.float64] = north * (1 - down) + south * down
    return between


_open_datasets = threading.local()


@contextmanager
def _opened(found: Raster) -> Iterator[Any]:
    """The raster's dataset, opened once a thread, since datasets must not be shared between threads."""
    known: dict[str, tuple[int, Any]] = _open_datasets.__dict__.setdefault("by_path", {})
    version, dataset = known.get(str(found.path), (None, None))
    if version != found.version:
        if dataset is not None:
            dataset.close()
        dataset = rasterio.open(found.path, sharing=False)
        known[str(found.path)] = (found.version, dataset)
    yield dataset


_described: dict[tuple[str, int], Raster] = {}


def _raster(path: Path, version: int) -> Raster:
    key = (str(path), version)
    if key not in _described:
        with rasterio.open(path) as dataset:
            box = rasterio.warp.transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds)
            middle = rasterio.warp.transform_bounds(dataset.crs, WEB_MERCATOR, *dataset.bounds)
            cell_m = (middle[3] - middle[1]) / dataset.height * float(numpy.cos(numpy.radians((box[1] + box[3]) / 2)))
            sample = bool(dataset.tags().get(SAMPLE_TAG))
        if len(_described) > 100:
            _described.clear()
        _described[key] = Raster(path.stem, path, version, (box[0], box[1], box[2], box[3]), cell_m, sample)
    return _described[key]


def remove(raster_id: str) -> bool:
    """Take a raster away; whether it was there."""
    path = folder() / f"{raster_id}.tif"
    found = path.exists()
    path.unlink(missing_ok=True)
    return found
