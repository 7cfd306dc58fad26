"""Raster tiles: relief shading of the terrain."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import numpy
from numpy.typing import NDArray

from api.tiles import bounds
from gis.terrain import hillshade
from layers.errors import NotFound
from layers.features import Box, union
from layers.rasters import Raster, rasters, read_mercator

MEDIA_TYPE = "image/png"
TILE_PX = 256
SHADE = (0x6C, 0x64, 0x54)
SHADE_ALPHA = 0.38
RASTERS = ("hillshade",)
ELEVATIONS = ("elevation", "sample_elevation")
ZOOM_AT_MOST = 15
FLAT = math.sin(math.radians(45))


def elevations() -> list[Raster]:
    """The terrain that can be shaded, the real one first."""
    found = rasters()
    return [found[name] for name in ELEVATIONS if name in found]


def hillshade_source() -> dict[str, Any] | None:
    """What a map needs to show the shading; None when there is no terrain."""
    found = elevations()
    if not found:
        return None
    boxes = [raster.bbox for raster in found]
    return {
        "id": "hillshade",
        "tiles": "/rasters/hillshade/{z}/{x}/{y}.png",
        "tile_size": TILE_PX,
        "minzoom": 5,
        "maxzoom": min(ZOOM_AT_MOST, max(_finest_zoom(raster) for raster in found)),
        "bbox": union(boxes),
        "sample": all(raster.sample for raster in found),
    }


def raster_tile(raster_id: str, z: int, x: int, y: int) -> bytes:
    """A tile of relief shading as PNG: shadow on transparent ground. Empty when no terrain lies on it.

    Raises
    ------
    NotFound
        When there is no such raster to show.
    """
    if raster_id not in RASTERS:
        raise NotFound(f"there is no raster {raster_id[:80]!r}", parameter="raster", expected=", ".join(RASTERS))
    west, south, east, north = bounds(z, x, y)[:4]
    for raster in elevations():
        if _meets(raster.bbox, (_longitude(west), _latitude(south), _longitude(east), _latitude(north))):
            return _shaded(raster, (west, south, east, north))
    return b""


def _shaded(raster: Raster, box: Box) -> bytes:
    """The shading of a box of EPSG:3857, read with a margin of one pixel for the slopes."""
    west, south, east, north = box
    px = (east - west) / TILE_PX
    wide = (west - px, south - px, east + px, north + px)
    elevation = read_mercator(raster.id, wide, TILE_PX + 2, TILE_PX + 2)
    if numpy.isnan(elevation).all():
        return b""
    true_px_m = px * math.cos(math.radians(_latitude((south + north) / 2)))
    return png(shadow(hillshade(elevation, true_px_m)))


def shadow(lit: NDArray[numpy.float64]) -> NDArray[numpy.uint8]:
    """RGBA of a brightness: the darker than flat ground, the more opaque, up to 38 %; lit ground is transparent."""
    darkness = numpy.clip((FLAT - lit) / FLAT, 0.0, 1.0)
    pixels = numpy.zeros((*lit.shape, 4), numpy.uint8)
    pixels[..., :3] = SHADE
    pixels[..., 3] = numpy.nan_to_num(numpy.round(darkness * SHADE_ALPHA * 255), nan=0.0).astype(numpy.uint8)
    return pixels


def png(pixels: NDArray[numpy.uint8]) -> bytes:
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
    return max(5, math.ceil(math.log2(world_px / raster.cell_m)))


def _meets(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _longitude(x_m: float) -> float:
    return math.degrees(x_m / 6_378_137.0)


def _latitude(y_m: float) -> float:
    return math.degrees(math.atan(math.sinh(y_m / 6_378_137.0)))
