"""Coordinates: reading them from text, Chinese datums, and the change to WGS 84.

GCJ-02 shifts WGS 84 by a published-by-use formula of sines of the distance from 105° E, 35° N; BD-09 adds a second
shift to GCJ-02. Both hold in China only. The inverse is found by iteration, to 1e-9 degrees.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from layers.errors import InvalidValue

Floats = NDArray[np.float64]
CHINA = (72.004, 0.8293, 137.8347, 55.8271)
GCJ_AXIS_M = 6378245.0
GCJ_ECCENTRICITY2 = 0.00669342162296594323
BD_PI = np.pi * 3000.0 / 180.0
ROUND_TRIP = 1.0  # in the CRS's own unit
DATUMS = ("GCJ-02", "BD-09")
MARKS = str.maketrans(
    {"º": "°", "˚": "°", "度": "°", "分": "′", "秒": "″", "'": "′", "’": "′", '"': "″", "”": "″", "，": ","}
)
ANGLE = re.compile(
    r"^\s*(?P<first>[NSEW东西南北])?(?:纬|经)?\s*(?P<sign>[-+])?(?P<d>\d+(?:\.\d+)?)\s*°\s*"
    r"(?:(?P<m>\d+(?:\.\d+)?)\s*′\s*(?:(?P<s>\d+(?:\.\d+)?)\s*(?:″|′′)\s*)?)?(?P<last>[NSEW东西南北])?\s*$",
    re.IGNORECASE,
)


def angle(text: str) -> float | None:
    """Degrees from text such as ``27°18′30″N`` or ``东经105度18分``; None when it is none.

    Examples
    --------
    >>> angle("27°18′30″N")
    27.308333333333334
    >>> angle("105°17'W")
    -105.28333333333333
    """
    found = ANGLE.match(text.translate(MARKS))
    if not found:
        return None
    minutes, seconds = float(found["m"] or 0), float(found["s"] or 0)
    if minutes >= 60 or seconds >= 60:
        return None
    value = float(found["d"]) + minutes / 60 + seconds / 3600
    negative = (found["first"] or found["last"] or "").upper() in ("S", "W", "西", "南") or found["sign"] == "-"
    return -value if negative else value


def in_china(lon: Floats, lat: Floats) -> NDArray[np.bool_]:
    """Whether points lie in the box in which the Chinese datums are defined."""
    west, south, east, north = CHINA
    return (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)


def _gcj_shift(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    x, y = lon - 105.0, lat - 35.0
    root = np.sqrt(np.abs(x))
    common = (20 * np.sin(6 * np.pi * x) + 20 * np.sin(2 * np.pi * x)) * 2 / 3
    north_m = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + common
    north_m += (20 * np.sin(np.pi * y) + 40 * np.sin(np.pi * y / 3)) * 2 / 3
    north_m += (160 * np.sin(np.pi * y / 12) + 320 * np.sin(np.pi * y / 30)) * 2 / 3
    east_m = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + common
    east_m += (20 * np.sin(np.pi * x) + 40 * np.sin(np.pi * x / 3)) * 2 / 3
    east_m += (150 * np.sin(np.pi * x / 12) + 300 * np.sin(np.pi * x / 30)) * 2 / 3
    phi = np.radians(lat)
    magic = 1 - GCJ_ECCENTRICITY2 * np.sin(phi) ** 2
    d_lat = np.degrees(north_m * magic**1.5 / (GCJ_AXIS_M * (1 - GCJ_ECCENTRICITY2)))
    d_lon = np.degrees(east_m * np.sqrt(magic) / (GCJ_AXIS_M * np.cos(phi)))
    return d_lon, d_lat


def wgs84_to_gcj02(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """GCJ-02 longitude and latitude of WGS 84 points in China, degrees."""
    d_lon, d_lat = _gcj_shift(lon, lat)
    return lon + d_lon, lat + d_lat


def gcj02_to_bd09(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """BD-09 longitude and latitude of GCJ-02 points, degrees."""
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * BD_PI)
    theta = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * BD_PI)
    return radius * np.cos(theta) + 0.0065, radius * np.sin(theta) + 0.006


def _forward(datum: str, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    shifted = wgs84_to_gcj02(lon, lat)
    return gcj02_to_bd09(*shifted) if datum == "BD-09" else shifted


def to_wgs84(datum: str, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """WGS 84 longitude and latitude of GCJ-02 or BD-09 points, degrees; NaN outside China.

    Notes
    -----
    Fixed-point iteration of the forward formula, ten rounds: below 1e-9 degrees (0.1 mm).
    """
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    inside = in_china(lon, lat)
    lon, lat = np.where(inside, lon, np.nan), np.where(inside, lat, np.nan)
    guess_lon, guess_lat = lon, lat
    for _ in range(10):
        there_lon, there_lat = _forward(datum, guess_lon, guess_lat)
        guess_lon, guess_lat = guess_lon + lon - there_lon, guess_lat + lat - there_lat
    return guess_lon, guess_lat


def normal_crs(text: str) -> str:
    """A CRS named in the usual ways as ``EPSG:n``, ``GCJ-02`` or ``BD-09``; a written-out one without a number as WKT.

    Raises
    ------
    InvalidValue
        When nobody knows it, or it is neither geographic nor projected.
    """
    plain = text.strip().upper().replace("_", "-")
    if plain.replace("-", "") in ("GCJ02", "BD09"):
        return f"{plain.replace('-', '')[:-2]}-{plain[-2:]}"
    expected = "EPSG:n, GCJ-02 or BD-09"
    try:
        crs = pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError:
        raise InvalidValue(f"unknown CRS {_short(text)!r}", parameter="crs", expected=expected) from None
    if crs.is_compound:
        crs = crs.sub_crs_list[0]
    if not (crs.is_geographic or crs.is_projected):
        raise InvalidValue(f"{crs.name} is no CRS of places on the map", parameter="crs", expected=expected)
    if crs.is_geographic and "CRS84" in crs.name.upper():
        return "EPSG:4326"
    code = crs.to_epsg()
    return f"EPSG:{code}" if code is not None else crs.to_wkt()


def crs_name(crs: str) -> str:
    """What to call a CRS in a report: as it is, or the name of one that is written out."""
    return crs if crs in DATUMS or crs.startswith("EPSG:") else pyproj.CRS.from_user_input(crs).name


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


@lru_cache(maxsize=32)
def transformer(crs: str) -> pyproj.Transformer:
    """The way from a CRS to EPSG:4326, x before y on both sides."""
    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


@lru_cache(maxsize=32)
def is_geographic(crs: str) -> bool:
    """Whether coordinates in the CRS are degrees."""
    return crs in DATUMS or bool(pyproj.CRS.from_user_input(crs).is_geographic)


def points_to_wgs84(crs: str, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude of points in a CRS; NaN where it does not reach, so that the way back leads elsewhere."""
    if crs in DATUMS:
        return to_wgs84(crs, x, y)
    if crs == "EPSG:4326":
        return x, y
    lon, lat = (np.asarray(part, float) for part in transformer(crs).transform(x, y))
    good = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    if not is_geographic(crs):
        with np.errstate(invalid="ignore"):
            back_x, back_y = transformer(crs).transform(lon, lat, direction="INVERSE")
            good &= (np.abs(back_x - x) <= ROUND_TRIP) & (np.abs(back_y - y) <= ROUND_TRIP)
    return np.where(good, lon, np.nan), np.where(good, lat, np.nan)


def geometries_to_wgs84(crs: str, geometries: NDArray[Any]) -> NDArray[Any]:
    """Geometries in EPSG:4326."""
    import shapely

    if crs == "EPSG:4326":
        return geometries

    def change(points: Floats) -> Floats:
        return np.column_stack(points_to_wgs84(crs, points[:, 0], points[:, 1]))

    changed: NDArray[Any] = shapely.transform(geometries, change)
    return changed


def box(text: str) -> tuple[float, float, float, float]:
    """West, south, east, north from ``w,s,e,n`` in degrees.

    Raises
    ------
    InvalidValue
        When it is no box in EPSG:4326.
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidValue(f"{text!r} is no box", parameter="area", expected="west,south,east,north") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise InvalidValue(
            f"{text!r} is no box in degrees",
            parameter="area",
            expected="west < east and south < north, longitude first",
        )
    return west, south, east, north
