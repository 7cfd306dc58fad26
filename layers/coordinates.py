"""Coordinates: reading them from text, Chinese datums, and the change to WGS 84.

GCJ-02 shifts WGS 84 by a published-by-use formula of sines of the distance from 105° E, 35° N; BD-09 adds a second
shift to GCJ-02. Both hold in China only. The inverse is found by iteration, to 1e-9 degrees.

A CRS is named by a text: ``EPSG:n``, ``GCJ-02``, ``BD-09`` or WKT, with x (longitude, easting) before y. The mark
``NORTH_FIRST`` behind it says that the values stand in the other order.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.transformer import TransformerGroup

from layers.errors import InvalidValue

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
CHINA: Box = (72.004, 0.8293, 137.8347, 55.8271)
GCJ_AXIS_M = 6378245.0
GCJ_ECCENTRICITY2 = 0.00669342162296594323
BD_PI = np.pi * 3000.0 / 180.0
ROUND_TRIP = 1.0  # in the CRS's own unit
NORTH_FIRST = " (north first)"
CHINA_DEGREES: Box = (
    73.0,
    3.0,
    136.0,
    54.0,
)  # no longitude here is a latitude here, so that the order is never in doubt
HALF = 0.5
OTHERWISE = "the file in EPSG:4326 or, in China, EPSG:4490 (CGCS2000), turned with the survey office's parameters"
NEAR_AREA = 6.0  # degrees around a CRS's area of use in which its values are still taken for true
GEOCENTRIC = (6378137.0, 298.25, 298.26)  # axis, and least and greatest inverse flattening: WGS 84, GRS 80, CGCS2000
DATUMS = ("GCJ-02", "BD-09")
CGCS2000 = "EPSG:4490"
PLAIN_DATUMS = ("WGS 84", "CGCS2000", "EPSG:4326", CGCS2000)
LARGEST_SHIFT = 0.05  # degrees, more than BD-09 moves a point anywhere in the box
PRECISION = 1e-9  # degrees
DECIMALS = 9  # of degrees out of another CRS: so that a way there and back leads to the very same number
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
    """Whether WGS 84 points lie in the box in which the Chinese datums are defined."""
    return _in_box(lon, lat, CHINA)


def _in_box(lon: Floats, lat: Floats, box: Box, margin: float = 0) -> NDArray[np.bool_]:
    west, south, east, north = box
    return (lon >= west - margin) & (lon <= east + margin) & (lat >= south - margin) & (lat <= north + margin)


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


def _forward(lon: Floats, lat: Floats, datum: str) -> tuple[Floats, Floats]:
    shifted = wgs84_to_gcj02(lon, lat)
    return gcj02_to_bd09(*shifted) if datum == "BD-09" else shifted


def _inverse(lon: Floats, lat: Floats, datum: str) -> tuple[Floats, Floats]:
    """As ``to_wgs84`` for an offset datum; NaN where the WGS 84 point would lie outside China."""
    inside = _in_box(lon, lat, CHINA, LARGEST_SHIFT)
    lon, lat = np.where(inside, lon, np.nan), np.where(inside, lat, np.nan)
    guess_lon, guess_lat = lon, lat
    for _ in range(10):
        there_lon, there_lat = _forward(guess_lon, guess_lat, datum)
        guess_lon, guess_lat = guess_lon + lon - there_lon, guess_lat + lat - there_lat
    inside = _in_box(guess_lon, guess_lat, CHINA, PRECISION)
    return np.where(inside, guess_lon, np.nan), np.where(inside, guess_lat, np.nan)


def from_wgs84(lon: Floats, lat: Floats, datum: str) -> tuple[Floats, Floats]:
    """Longitude and latitude of WGS 84 points in a datum, degrees; NaN stays NaN.

    Parameters
    ----------
    lon, lat : ndarray of float
        Degrees in WGS 84.
    datum : str
        ``WGS 84``, ``CGCS2000`` (the same within half a metre, so the values stay), ``GCJ-02`` or ``BD-09``.

    Raises
    ------
    InvalidValue
        When the datum is none of these, or is GCJ-02 or BD-09 and a point lies outside China.
    """
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    if not is_offset(datum):
        return lon, lat
    _refuse_outside(lon, lat, np.isfinite(lon) & np.isfinite(lat) & ~_in_box(lon, lat, CHINA, PRECISION), datum)
    return _forward(lon, lat, datum)


def to_wgs84(lon: Floats, lat: Floats, datum: str) -> tuple[Floats, Floats]:
    """WGS 84 longitude and latitude of points in a datum, degrees; the way back of ``from_wgs84``, which see.

    Notes
    -----
    Fixed-point iteration of the forward formula, ten rounds: below 1e-9 degrees (0.1 mm).
    """
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    if not is_offset(datum):
        return lon, lat
    found = _inverse(lon, lat, datum)
    _refuse_outside(lon, lat, np.isfinite(lon) & np.isfinite(lat) & np.isnan(found[0]), datum)
    return found


def is_offset(datum: str) -> bool:
    """Whether a datum shifts points by hundreds of metres (GCJ-02, BD-09); else it is WGS 84 or as good as that.

    Raises
    ------
    InvalidValue
        When it is no datum known here.
    """
    if datum not in DATUMS and datum not in PLAIN_DATUMS:
        raise InvalidValue(
            f"unknown datum {_short(datum)!r}", parameter="datum", expected="WGS 84, CGCS2000, GCJ-02 or BD-09"
        )
    return datum in DATUMS


def _refuse_outside(lon: Floats, lat: Floats, outside: NDArray[np.bool_], datum: str) -> None:
    if not np.any(outside):
        return
    lon, lat, outside = np.atleast_1d(lon), np.atleast_1d(lat), np.atleast_1d(outside)
    count = int(outside.sum())
    where = f"{lon[outside][0]:.5f}, {lat[outside][0]:.5f}"
    raise InvalidValue(
        f"{datum} is defined in China only; {count} of {outside.size} points lie outside, such as {where}",
        parameter="crs",
        expected="EPSG:4326 or EPSG:4490",
    )


def normal_crs(text: str) -> str:
    """A CRS named in the usual ways as ``EPSG:n``, ``GCJ-02`` or ``BD-09``; a written-out one without a number as WKT.

    Raises
    ------
    InvalidValue
        When nobody knows it, it is neither geographic nor projected, or no way from it to WGS 84 is published.
    """
    plain = text.strip().upper().replace("_", "-")
    if plain.endswith(NORTH_FIRST.upper()):
        return normal_crs(text.strip()[: -len(NORTH_FIRST)]) + NORTH_FIRST
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
    found = f"EPSG:{code}" if code is not None else crs.to_wkt()
    if reach(found) == ():
        raise InvalidValue(
            f"{crs.name} cannot be used: no way from its datum to WGS 84 is published, and points taken as they are "
            "would be tens of metres to over a hundred off",
            parameter="crs",
            expected=OTHERWISE,
        )
    return found


def crs_name(crs: str) -> str:
    """What to call a CRS in a report: as it is, or the name of one that is written out."""
    base, mark = base_crs(crs)
    return (base if base in DATUMS or base.startswith("EPSG:") else pyproj.CRS.from_user_input(base).name) + mark


def base_crs(crs: str) -> tuple[str, str]:
    """A CRS without the mark of its order, and the mark, or an empty text."""
    base = crs.removesuffix(NORTH_FIRST)
    return base, crs[len(base) :]


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


@lru_cache(maxsize=32)
def transformer(crs: str) -> pyproj.Transformer:
    """The way from a CRS to EPSG:4326, x before y on both sides."""
    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


@lru_cache(maxsize=32)
def reach(crs: str) -> tuple[Box, ...] | None:
    """Where a way from a CRS to WGS 84 is published, boxes in degrees; None when it holds everywhere.

    Notes
    -----
    Datums on the ellipsoid of WGS 84 or GRS 80 (CGCS2000, TWD97, JGD2011 …) agree with WGS 84 to a metre or two. Those
    on older ellipsoids (Beijing 1954, Xian 1980, TWD67 …) lie up to hundreds of metres away, and PROJ takes their
    values as they are, or shifts them as in another country, where it knows no better.
    """
    if crs in DATUMS:
        return (CHINA,)
    given = pyproj.CRS.from_user_input(base_crs(crs)[0])
    ellipsoid = given.ellipsoid
    axis, least, greatest = GEOCENTRIC
    if given.is_bound or ellipsoid is None or ellipsoid.inverse_flattening == 0:  # own parameters; a sphere
        return None
    if ellipsoid.semi_major_metre == axis and least <= ellipsoid.inverse_flattening <= greatest:
        return None
    with warnings.catch_warnings():  # that a better grid is not installed
        warnings.simplefilter("ignore")
        ways = TransformerGroup(given, "EPSG:4326", always_xy=True, allow_ballpark=False).transformers
    return tuple(way.area_of_use.bounds for way in ways if way.area_of_use is not None)


@lru_cache(maxsize=32)
def is_geographic(crs: str) -> bool:
    """Whether coordinates in the CRS are degrees."""
    base, _ = base_crs(crs)
    return base in DATUMS or bool(pyproj.CRS.from_user_input(base).is_geographic)


def points_to_wgs84(crs: str, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude of points in a CRS; NaN where it does not reach, so that the way back leads elsewhere."""
    base, mark = base_crs(crs)
    if mark:
        return points_to_wgs84(base, y, x)
    if crs in DATUMS:
        found = _inverse(np.asarray(x, float), np.asarray(y, float), crs)
        return found[0].round(DECIMALS), found[1].round(DECIMALS)
    if crs == "EPSG:4326":
        return x, y
    lon, lat = (np.asarray(part, float) for part in transformer(crs).transform(x, y))
    good = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    boxes = reach(crs)
    if boxes is not None:
        good &= np.any([_in_box(lon, lat, box) for box in boxes], axis=0)
    if not is_geographic(crs):
        with np.errstate(invalid="ignore"):
            back_x, back_y = transformer(crs).transform(lon, lat, direction="INVERSE")
            good &= (np.abs(back_x - x) <= ROUND_TRIP) & (np.abs(back_y - y) <= ROUND_TRIP)
    return np.where(good, lon, np.nan).round(DECIMALS), np.where(good, lat, np.nan).round(DECIMALS)


def in_order(crs: str, x: Floats, y: Floats) -> tuple[str, str | None]:
    """The CRS with the mark ``NORTH_FIRST`` when its values are so, and a sentence about it.

    The authority writes latitude or northing first for many CRSs (EPSG:4490, EPSG:4545), most files last. The order is
    the one in which most points lie in the CRS's area of use; where both or neither do, x comes first.

    Parameters
    ----------
    crs : str
        As ``normal_crs`` gives it.
    x, y : ndarray of float
        The first coordinates of the file.
    """
    area = None if crs.endswith(NORTH_FIRST) else _area_of_use(crs)
    known = np.isfinite(x) & np.isfinite(y)
    if area is None or not known.any():
        return crs, None
    ways = ((x[known], y[known]), (y[known], x[known]))
    here, swapped = (float(np.mean(_in_box(*points_to_wgs84(crs, *way), area))) for way in ways)
    if swapped > here and swapped >= HALF:
        order = "latitude before longitude" if is_geographic(crs) else "northing before easting"
        return crs + NORTH_FIRST, f"coordinates read in {crs}, {order}: only so do they lie in its area"
    read = (
        f"coordinates read in {crs}, {'longitude before latitude' if is_geographic(crs) else 'easting before northing'}"
    )
    if crs == CGCS2000:
        doubt = "" if here >= HALF else "; they do not lie in China, so the order cannot be checked"
        return crs, f"{read}{doubt}"
    return crs, f"{read}; the other order would lie in its area too" if swapped >= HALF else None


@lru_cache(maxsize=32)
def _area_of_use(crs: str) -> Box | None:
    """Where points in a CRS may lie; None when the authority writes x first in it, or it covers the world."""
    if crs == CGCS2000:
        return CHINA_DEGREES
    if crs in (*DATUMS, "EPSG:4326"):
        return None
    given = pyproj.CRS.from_user_input(crs)
    if given.area_of_use is None or given.axis_info[0].direction != "north":
        return None
    west, south, east, north = given.area_of_use.bounds
    return (west - NEAR_AREA, south - NEAR_AREA, east + NEAR_AREA, north + NEAR_AREA) if west < east else None


def geometries_to_wgs84(crs: str, geometries: NDArray[Any]) -> NDArray[Any]:
    """Geometries in EPSG:4326."""
    import shapely

    if crs == "EPSG:4326":
        return geometries

    def change(points: Floats) -> Floats:
        return np.column_stack(points_to_wgs84(crs, points[:, 0], points[:, 1]))

    changed: NDArray[Any] = shapely.transform(geometries, change)
    return changed


def geometries_from_wgs84(crs: str, geometries: NDArray[Any]) -> NDArray[Any]:
    """Geometries of EPSG:4326 in a CRS, x before y; GCJ-02 and BD-09 are refused outside China."""
    import shapely

    if crs == "EPSG:4326":
        return geometries

    def change(points: Floats) -> Floats:
        lon, lat = points[:, 0], points[:, 1]
        if crs in DATUMS:
            return np.column_stack(from_wgs84(lon, lat, crs))
        return np.column_stack(transformer(crs).transform(lon, lat, direction="INVERSE"))

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
