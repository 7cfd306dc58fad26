"""Raster tiles: relief shading and slope of the terrain, each with its legend."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from api.links import absolute
from api.tiles import bounds
from gis.terrain import hillshade, mercator_cell_m, slope
from layers.errors import NotFound
from layers.features import Box, union
from layers.rasters import Raster, rasters, read_mercator

MEDIA_TYPE = "image/png"
TILE_PX = 256
SHADE = (0x6C, 0x64, 0x54)
SHADE_ALPHA = 0.38
ELEVATIONS = ("elevation", "sample_elevation")
ZOOM_AT_LEAST = 5
ZOOM_AT_MOST = 15
SLOPE_ZOOMS = 4
"""How many zooms slope can be zoomed out from the one whose pixels are as long as the cells of the terrain."""
FINER_AT_MOST = 4
FLAT = math.sin(math.radians(45))
SAMPLE = "示例数据，非真实 / Sample data, not real"
Pixels = NDArray[numpy.uint8]
Words = dict[str, str]


@dataclass(frozen=True)
class Colour:
    """A class of a legend.

    Parameters
    ----------
    start : float
        The least value that is in it, in the unit of the legend; the next class begins where it ends.
    color : str
        As ``#rrggbb``.
    opacity : float
        0 is transparent.
    """

    start: float
    color: str
    opacity: float


@dataclass(frozen=True)
class Drawing:
    """A raster that can be shown.

    Parameters
    ----------
    title, note : dict
        In Chinese and English: what it is, and what must be known to read it.
    unit : str or None
        Of the classes; None when the colours stand for no number.
    visible : bool
        Whether a map shows it from the start.
    sources : tuple of str
        The rasters of the store that it is drawn from, the one that is taken first where several lie there.
    zooms : int or None
        How many zooms it can be zoomed out from the finest; None for all of them.
    classes : tuple of Colour
        From the least value up.
    draw : callable
        The pixels of a box of EPSG:3857, and the zoom; None when nothing is known of it.
    """

    title: Words
    note: Words
    unit: str | None
    visible: bool
    sources: tuple[str, ...]
    zooms: int | None
    classes: tuple[Colour, ...]
    draw: Callable[[Raster, Box, int], Pixels | None]


def described() -> list[dict[str, Any]]:
    """What a map needs to show the rasters that there are, each with its legend."""
    return [_described(raster_id, found) for raster_id in DRAWINGS if (found := _sources(raster_id))]


def _described(raster_id: str, found: Sequence[Raster]) -> dict[str, Any]:
    least, most = _zooms(DRAWINGS[raster_id], found)
    return {
        "id": raster_id,
        "title": DRAWINGS[raster_id].title,
        "tiles": f"/rasters/{raster_id}/{{z}}/{{x}}/{{y}}.png?v={_version(found)}",
        "tilejson": f"/rasters/{raster_id}.json",
        "tile_size": TILE_PX,
        "minzoom": least,
        "maxzoom": most,
        "bbox": union([raster.bbox for raster in found]),
        "sample": all(raster.sample for raster in found),
        "visible": DRAWINGS[raster_id].visible,
        "legend": legend(raster_id),
    }


def legend(raster_id: str) -> dict[str, Any]:
    """What the colours of a raster mean.

    Raises
    ------
    NotFound
        When there is no such raster to show.
    """
    drawing = _drawing(raster_id)
    ends = [one.start for one in drawing.classes[1:]] + [None]
    return {
        "id": raster_id,
        "title": drawing.title,
        "unit": drawing.unit,
        "note": drawing.note,
        "classes": [
            {"from": one.start, "to": end, "color": one.color, "opacity": one.opacity}
            for one, end in zip(drawing.classes, ends, strict=False)
        ],
    }


def tilejson(raster_id: str) -> dict[str, Any]:
    """The TileJSON 3.0 of a raster.

    Raises
    ------
    NotFound
        When there is no such raster to show, or nothing to draw it from.
    """
    _drawing(raster_id)
    found = _sources(raster_id)
    if not found:
        raise NotFound(f"there is no terrain to draw {raster_id} from", parameter="raster")
    told = _described(raster_id, found)
    attribution = {"attribution": SAMPLE} if told["sample"] else {}
    return attribution | {
        "tilejson": "3.0.0",
        "name": told["title"]["zh"],
        "scheme": "xyz",
        "tiles": [absolute(told["tiles"])],
        "minzoom": told["minzoom"],
        "maxzoom": told["maxzoom"],
        "bounds": told["bbox"],
    }


def raster_tile(raster_id: str, z: int, x: int, y: int) -> bytes:
    """A tile of a raster as PNG, transparent where nothing is known. Empty when nothing at all is known of it.

    Raises
    ------
    NotFound
        When there is no such raster to show.
    """
    drawing = _drawing(raster_id)
    west, south, east, north = bounds(z, x, y)[:4]
    degrees = (_longitude(west), _latitude(south), _longitude(east), _latitude(north))
    for raster in _sources(raster_id):
        if _meets(raster.bbox, degrees):
            pixels = drawing.draw(raster, (west, south, east, north), z)
            return b"" if pixels is None else png(pixels)
    return b""


def _drawing(raster_id: str) -> Drawing:
    if raster_id not in DRAWINGS:
        raise NotFound(f"there is no raster {raster_id[:80]!r}", parameter="raster", expected=", ".join(DRAWINGS))
    return DRAWINGS[raster_id]


def _sources(raster_id: str) -> list[Raster]:
    """The rasters of the store that one is drawn from, the real one first."""
    found = rasters()
    return [found[name] for name in DRAWINGS[raster_id].sources if name in found]


def _version(found: Sequence[Raster]) -> str:
    return f"{max(raster.version for raster in found):x}"


def _zooms(drawing: Drawing, found: Sequence[Raster]) -> tuple[int, int]:
    """The zooms between which a raster is of use."""
    finest = [_finest_zoom(raster) for raster in found]
    most = min(ZOOM_AT_MOST, max(finest))
    least = ZOOM_AT_LEAST if drawing.zooms is None else max(ZOOM_AT_LEAST, min(finest) - drawing.zooms)
    return min(least, most), most


# --- relief shading


def _shaded(raster: Raster, box: Box, z: int) -> Pixels | None:
    """The shading of a box of EPSG:3857."""
    elevation, px = _elevation(raster, box, TILE_PX)
    if numpy.isnan(elevation).all():
        return None
    true_px_m = px * math.cos(math.radians(_latitude((box[1] + box[3]) / 2)))
    return shadow(hillshade(elevation, true_px_m))


def shadow(lit: NDArray[numpy.float64]) -> Pixels:
    """RGBA of a brightness: the darker than flat ground, the more opaque, up to 38 %; lit ground is transparent."""
    darkness = numpy.clip((FLAT - lit) / FLAT, 0.0, 1.0)
    pixels = numpy.zeros((*lit.shape, 4), numpy.uint8)
    pixels[..., :3] = SHADE
    pixels[..., 3] = numpy.nan_to_num(numpy.round(darkness * SHADE_ALPHA * 255), nan=0.0).astype(numpy.uint8)
    return pixels


def _elevation(raster: Raster, box: Box, cells: int) -> tuple[NDArray[numpy.float64], float]:
    """Elevations of a box of EPSG:3857 with a margin of one cell for the slopes, and the side of a cell there."""
    west, south, east, north = box
    side = (east - west) / cells
    wide = (west - side, south - side, east + side, north + side)
    return read_mercator(raster.id, wide, cells + 2, cells + 2), side


# --- slope


def _sloped(raster: Raster, box: Box, z: int) -> Pixels | None:
    """The slope of a box of EPSG:3857 in the colours of its classes.

    Zoomed out, slopes are taken between cells up to four times finer than the pixels, and their mean is shown: a mean
    of heights would make mountains gentle.
    """
    finer = min(max(1, 2 ** (_finest_zoom(raster) - z)), FINER_AT_MOST)
    elevation, side = _elevation(raster, box, TILE_PX * finer)
    rows = box[3] - (numpy.arange(TILE_PX * finer) + 0.5) * side
    latitudes = numpy.degrees(numpy.arctan(numpy.sinh(rows / 6_378_137.0)))
    east_m, north_m = mercator_cell_m(latitudes[:, None], side)
    steepness = mean_of_blocks(slope(elevation, east_m, north_m), finer)
    return None if numpy.isnan(steepness).all() else coloured(steepness, SLOPE_CLASSES)


def mean_of_blocks(values: NDArray[numpy.float64], side: int) -> NDArray[numpy.float64]:
    """The mean of what is known in each block of so many cells a side; NaN where nothing is."""
    rows, columns = values.shape
    blocks = values.reshape(rows // side, side, columns // side, side)
    known = (~numpy.isnan(blocks)).sum(axis=(1, 3))
    total = numpy.nansum(blocks, axis=(1, 3))
    mean: NDArray[numpy.float64] = numpy.where(known > 0, total / numpy.maximum(known, 1), numpy.nan)
    return mean


def coloured(values: NDArray[numpy.float64], classes: Sequence[Colour]) -> Pixels:
    """RGBA of values by their classes; transparent where they are unknown or less than the first class."""
    table = numpy.zeros((len(classes) + 1, 4), numpy.uint8)
    for number, one in enumerate(classes, 1):
        table[number] = (*bytes.fromhex(one.color[1:]), round(one.opacity * 255))
    numbers = numpy.searchsorted([one.start for one in classes], values, side="right")
    return table[numpy.where(numpy.isnan(values), 0, numbers)]


SLOPE_CLASSES = (
    Colour(0, "#ffffd4", 0.35),
    Colour(5, "#fee391", 0.55),
    Colour(15, "#fec44f", 0.6),
    Colour(25, "#fe9929", 0.65),
    Colour(35, "#d95f0e", 0.7),
    Colour(45, "#993404", 0.75),
)
"""Degrees. The colours are ColorBrewer's YlOrBr: darker is steeper, also in grey and for the colour-blind."""
DRAWINGS = {
    "hillshade": Drawing(
        title={"zh": "山体阴影", "en": "Hillshade"},
        note={
            "zh": "光自西北、高45°；越背光越深",
            "en": "Light from the north-west, 45° high; darker is further from it",
        },
        unit=None,
        visible=True,
        sources=ELEVATIONS,
        zooms=None,
        classes=(),
        draw=_shaded,
    ),
    "slope": Drawing(
        title={"zh": "坡度", "en": "Slope"},
        note={
            "zh": "按地形栅格的像元计算，比像元小的陡坎看不出来；无数据处透明。坡度不等于危险性",
            "en": "Between the cells of the terrain: what is smaller is not seen. Transparent where nothing is known."
            " Steepness is not susceptibility",
        },
        unit="°",
        visible=False,
        sources=ELEVATIONS,
        zooms=SLOPE_ZOOMS,
        classes=SLOPE_CLASSES,
        draw=_sloped,
    ),
}
"""What can be shown; a raster that is not in it cannot be asked for."""


def png(pixels: Pixels) -> bytes:
    """RGBA pixels, shape (rows, columns, 4), as PNG."""
    rows, columns = pixels.shape[:2]
    lines = numpy.zeros((rows, 1 + columns * 4), numpy.uint8)
    lines[:, 1:] = pixels.reshape(rows, -1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 3)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _finest_zoom(raster: Raster) -> int:
    """The zoom at which a pixel is about as long as a cell of the raster."""
    latitude = math.radians((raster.bbox[1] + raster.bbox[3]) / 2)
    world_px = 2 * math.pi * 6_378_137.0 * math.cos(latitude) / TILE_PX
    return max(ZOOM_AT_LEAST, math.ceil(math.log2(world_px / raster.cell_m)))


def _meets(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _longitude(x_m: float) -> float:
    return math.degrees(x_m / 6_378_137.0)


def _latitude(y_m: float) -> float:
    return math.degrees(math.atan(math.sinh(y_m / 6_378_137.0)))
