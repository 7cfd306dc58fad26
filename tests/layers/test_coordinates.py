"""Coordinates: angles as people write them, Chinese datums, CRS names, boxes."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import coordinates
from layers.errors import InvalidValue

BIJIE = (105.2839, 27.3026)


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("27°18′30″N", 27 + 18 / 60 + 30 / 3600),
        ("27°18'30\"", 27 + 18 / 60 + 30 / 3600),
        ("27°18'30''", 27 + 18 / 60 + 30 / 3600),
        ("东经105度18分", 105.3),
        ("105°17'W", -(105 + 17 / 60)),
        ("-27°30′", -27.5),
        ("105.5°", 105.5),
    ],
)
def test_angles(text: str, degrees: float) -> None:
    assert coordinates.angle(text) == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize("text", ["", "27", "27°60′", "27°18′75″", "北", "27°18′30″N 105°", "abc°"])
def test_no_angles(text: str) -> None:
    assert coordinates.angle(text) is None


def scalar_gcj02(lon: float, lat: float) -> tuple[float, float]:
    """GCJ-02 written down once more, one point at a time, in the form in which it is usually published."""
    a, ee, pi = 6378245.0, 0.00669342162296594323, math.pi
    x, y = lon - 105.0, lat - 35.0
    d_lat = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x))
    d_lat += (20.0 * math.sin(6.0 * x * pi) + 20.0 * math.sin(2.0 * x * pi)) * 2.0 / 3.0
    d_lat += (20.0 * math.sin(y * pi) + 40.0 * math.sin(y / 3.0 * pi)) * 2.0 / 3.0
    d_lat += (160.0 * math.sin(y / 12.0 * pi) + 320 * math.sin(y * pi / 30.0)) * 2.0 / 3.0
    d_lon = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x))
    d_lon += (20.0 * math.sin(6.0 * x * pi) + 20.0 * math.sin(2.0 * x * pi)) * 2.0 / 3.0
    d_lon += (20.0 * math.sin(x * pi) + 40.0 * math.sin(x / 3.0 * pi)) * 2.0 / 3.0
    d_lon += (150.0 * math.sin(x / 12.0 * pi) + 300.0 * math.sin(x / 30.0 * pi)) * 2.0 / 3.0
    magic = math.sin(lat / 180.0 * pi)
    magic = 1 - ee * magic * magic
    root = math.sqrt(magic)
    d_lat = d_lat * 180.0 / (a * (1 - ee) / (magic * root) * pi)
    d_lon = d_lon * 180.0 / (a / root * math.cos(lat / 180.0 * pi) * pi)
    return lon + d_lon, lat + d_lat


def scalar_bd09(lon: float, lat: float) -> tuple[float, float]:
    """BD-09 of a GCJ-02 point, as it is usually published."""
    x_pi = math.pi * 3000.0 / 180.0
    z = math.sqrt(lon * lon + lat * lat) + 0.00002 * math.sin(lat * x_pi)
    theta = math.atan2(lat, lon) + 0.000003 * math.cos(lon * x_pi)
    return z * math.cos(theta) + 0.0065, z * math.sin(theta) + 0.006


def metres(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    return float(pyproj.Geod(ellps="WGS84").inv(lon, lat, other_lon, other_lat)[2])


@given(lon=st.floats(74, 134), lat=st.floats(18, 53))
def test_chinese_datums_and_back(lon: float, lat: float) -> None:
    gcj = scalar_gcj02(lon, lat)
    bd = scalar_bd09(*gcj)
    for datum, shifted in (("GCJ-02", gcj), ("BD-09", bd)):
        back = coordinates.to_wgs84(datum, np.array([shifted[0]]), np.array([shifted[1]]))
        assert metres(lon, lat, float(back[0][0]), float(back[1][0])) < 0.5


def test_shifts_in_guizhou_are_those_known() -> None:
    lon, lat = (np.array([value]) for value in BIJIE)
    gcj = coordinates.wgs84_to_gcj02(lon, lat)
    bd = coordinates.gcj02_to_bd09(*gcj)
    assert 390 < metres(*BIJIE, float(gcj[0][0]), float(gcj[1][0])) < 590
    assert 900 < metres(*BIJIE, float(bd[0][0]), float(bd[1][0])) < 1180


def test_chinese_datums_hold_in_china_only() -> None:
    lon, lat = coordinates.to_wgs84("GCJ-02", np.array([2.35]), np.array([48.86]))
    assert np.isnan(lon).all()
    assert np.isnan(lat).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EPSG:3826", "EPSG:3826"),
        ("epsg:4326", "EPSG:4326"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"),
        ("OGC:CRS84", "EPSG:4326"),
        ("gcj02", "GCJ-02"),
        ("GCJ_02", "GCJ-02"),
        ("bd-09", "BD-09"),
        ("EPSG:4490", "EPSG:4490"),
    ],
)
def test_crs_names(text: str, expected: str) -> None:
    assert coordinates.normal_crs(text) == expected


@pytest.mark.parametrize("text", ["", "EPSG:99999", "nonsense", "EPSG:5773", "EPSG:4978"])
def test_crs_that_cannot_be_used(text: str) -> None:
    with pytest.raises(InvalidValue):
        coordinates.normal_crs(text)


def test_a_crs_without_a_number_is_used_as_written() -> None:
    written = pyproj.CRS("+proj=tmerc +lon_0=105.7 +x_0=500000 +ellps=GRS80 +units=m").to_wkt()
    crs = coordinates.normal_crs(written)
    lon, lat = coordinates.points_to_wgs84(crs, np.array([500000.0]), np.array([0.0]))
    assert (float(lon[0]), float(lat[0])) == (pytest.approx(105.7), pytest.approx(0))


def test_cgcs2000_degrees_keep_longitude_before_latitude() -> None:
    lon, lat = coordinates.points_to_wgs84("EPSG:4490", np.array([BIJIE[0]]), np.array([BIJIE[1]]))
    assert (float(lon[0]), float(lat[0])) == (pytest.approx(BIJIE[0]), pytest.approx(BIJIE[1]))


def test_points_beyond_the_reach_of_a_crs_are_nan() -> None:
    x = np.array([11_000_000.0, 20_037_600.0, 1e30, np.inf])
    lon, _ = coordinates.points_to_wgs84("EPSG:3857", x, np.full(4, 3_000_000.0))
    assert np.isnan(lon).tolist() == [False, True, True, True]


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "2,0,1,1", "0,0,181,1", "0,-91,1,1", "0,0,nan,1", ""])
def test_what_is_no_box(text: str) -> None:
    with pytest.raises(InvalidValue):
        coordinates.box(text)


def test_a_box() -> None:
    assert coordinates.box("118,21.5,122.5,26.5") == (118, 21.5, 122.5, 26.5)
