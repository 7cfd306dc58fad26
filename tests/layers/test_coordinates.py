"""Coordinates: angles as people write them, Chinese datums, CRS names, boxes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import example, given
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


IN_CHINA = {"lon": st.floats(73.5, 135.1), "lat": st.floats(3.4, 53.6)}
IN_BOX = {"lon": st.floats(72.004, 137.8347), "lat": st.floats(0.8293, 55.8271)}
MILLIMETRE = 1e-3


@given(**IN_CHINA)
def test_chinese_datums_are_those_published(lon: float, lat: float) -> None:
    gcj = scalar_gcj02(lon, lat)
    for datum, shifted in (("GCJ-02", gcj), ("BD-09", scalar_bd09(*gcj))):
        there = coordinates.from_wgs84(np.array([lon]), np.array([lat]), datum)
        assert metres(*shifted, float(there[0][0]), float(there[1][0])) < MILLIMETRE
        back = coordinates.to_wgs84(np.array([shifted[0]]), np.array([shifted[1]]), datum)
        assert metres(lon, lat, float(back[0][0]), float(back[1][0])) < MILLIMETRE


@given(**IN_BOX, datum=st.sampled_from(coordinates.DATUMS))
@example(lon=72.004, lat=0.8293, datum="GCJ-02")
@example(lon=137.8347, lat=55.8271, datum="BD-09")
@example(lon=105.0, lat=35.0, datum="BD-09")
def test_chinese_datums_and_back(lon: float, lat: float, datum: str) -> None:
    back = coordinates.to_wgs84(*coordinates.from_wgs84(np.array([lon]), np.array([lat]), datum), datum)
    assert metres(lon, lat, float(back[0][0]), float(back[1][0])) < MILLIMETRE


@given(**IN_CHINA, datum=st.sampled_from(coordinates.DATUMS))
def test_chinese_datums_from_wgs84_and_back(lon: float, lat: float, datum: str) -> None:
    there = coordinates.from_wgs84(*coordinates.to_wgs84(np.array([lon]), np.array([lat]), datum), datum)
    assert metres(lon, lat, float(there[0][0]), float(there[1][0])) < MILLIMETRE


@pytest.mark.parametrize("datum", ["WGS 84", "CGCS2000", "EPSG:4326", "EPSG:4490"])
def test_datums_that_shift_nothing(datum: str) -> None:
    lon, lat = np.array([105.3, 2.35, np.nan]), np.array([27.3, 48.86, np.nan])
    for change in (coordinates.from_wgs84, coordinates.to_wgs84):
        np.testing.assert_array_equal(change(lon, lat, datum), (lon, lat))


@pytest.mark.parametrize("change", [coordinates.from_wgs84, coordinates.to_wgs84])
def test_datums_that_are_none(change: Any) -> None:
    with pytest.raises(InvalidValue, match="unknown datum 'Krasnodar'"):
        change(np.array([105.3]), np.array([27.3]), "Krasnodar")


@pytest.mark.parametrize("change", [coordinates.from_wgs84, coordinates.to_wgs84])
@pytest.mark.parametrize("datum", coordinates.DATUMS)
def test_chinese_datums_are_refused_outside_china(change: Any, datum: str) -> None:
    with pytest.raises(InvalidValue, match=r"1 of 3 points lie outside, such as 2.35000, 48.86000"):
        change(np.array([105.3, 2.35, np.nan]), np.array([27.3, 48.86, np.nan]), datum)
    lon, lat = change(np.array([105.3, np.nan]), np.array([27.3, np.nan]), datum)
    assert np.isnan(lon).tolist() == np.isnan(lat).tolist() == [False, True]


def test_an_import_leaves_out_what_lies_outside_china() -> None:
    lon, lat = coordinates.points_to_wgs84("GCJ-02", np.array([2.35, 105.3]), np.array([48.86, 27.3]))
    assert np.isnan(lon).tolist() == np.isnan(lat).tolist() == [True, False]


WITH_HOLE = "POLYGON ((105 27, 106 27, 106 28, 105 28, 105 27), (105.4 27.4, 105.6 27.4, 105.6 27.6, 105.4 27.4))"


@pytest.mark.parametrize("crs", ["GCJ-02", "BD-09", "EPSG:4490", "EPSG:4544", "EPSG:4326"])
@pytest.mark.parametrize(
    "text",
    [
        WITH_HOLE,
        "LINESTRING (105 27, 105.001 27.001, 106 28)",
        "MULTILINESTRING ((105 27, 106 27), (105 28, 106 28))",
        "POINT (105.3 27.3)",
        "POLYGON EMPTY",
    ],
)
def test_lines_and_areas_change_there_and_back(crs: str, text: str) -> None:
    before = np.array([shapely.from_wkt(text), None], dtype=object)
    there = coordinates.geometries_from_wgs84(crs, before)
    after = coordinates.geometries_to_wgs84(crs, there)
    assert after[1] is None
    assert shapely.equals_exact(before[0], after[0], tolerance=1e-8)
    if crs in coordinates.DATUMS and not before[0].is_empty:
        assert 0.003 < shapely.hausdorff_distance(before[0], there[0]) < 0.02


def test_areas_outside_china_are_refused() -> None:
    with pytest.raises(InvalidValue, match="defined in China only"):
        coordinates.geometries_from_wgs84("BD-09", shapely.from_wkt(["POINT (105 27)", "LINESTRING (2 48, 3 49)"]))


def test_shifts_in_guizhou_are_those_known() -> None:
    lon, lat = (np.array([value]) for value in BIJIE)
    gcj = coordinates.wgs84_to_gcj02(lon, lat)
    bd = coordinates.gcj02_to_bd09(*gcj)
    assert 390 < metres(*BIJIE, float(gcj[0][0]), float(gcj[1][0])) < 590
    assert 900 < metres(*BIJIE, float(bd[0][0]), float(bd[1][0])) < 1180


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
        ("EPSG:4490 (north first)", "EPSG:4490 (north first)"),
        ("EPSG:4214", "EPSG:4214"),
    ],
)
def test_crs_names(text: str, expected: str) -> None:
    assert coordinates.normal_crs(text) == expected


@pytest.mark.parametrize("text", ["", "EPSG:99999", "nonsense", "EPSG:5773", "EPSG:4978"])
def test_crs_that_cannot_be_used(text: str) -> None:
    with pytest.raises(InvalidValue):
        coordinates.normal_crs(text)


@pytest.mark.parametrize(
    "text", ["EPSG:4610", "EPSG:2381", "EPSG:4555", "EPSG:3821", "EPSG:3828", "+proj=longlat +ellps=krass"]
)
def test_a_datum_without_a_published_way_to_wgs84_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="no way from its datum to WGS 84 is published"):
        coordinates.normal_crs(text)


def test_a_datum_is_changed_only_where_a_way_is_published() -> None:
    """Beijing 1954 has parameters for the Ordos and a few other basins; Guizhou lies in none of them."""
    lon, lat = coordinates.points_to_wgs84("EPSG:4214", np.array([108.0, 105.3]), np.array([38.8, 27.3]))
    assert np.isnan(lon).tolist() == np.isnan(lat).tolist() == [False, True]
    assert 20 < metres(108.0, 38.8, float(lon[0]), float(lat[0])) < 150


def test_parameters_that_a_crs_brings_with_it_are_used() -> None:
    crs = coordinates.normal_crs("+proj=longlat +ellps=krass +towgs84=15.8,-154.4,-82.3")
    lon, lat = coordinates.points_to_wgs84(crs, np.array([105.3]), np.array([27.3]))
    assert 20 < metres(105.3, 27.3, float(lon[0]), float(lat[0])) < 150


@pytest.mark.parametrize(
    ("crs", "x", "y", "north_first", "said"),
    [
        ("EPSG:4490", 105.3, 27.3, False, "longitude before latitude"),
        ("EPSG:4490", 27.3, 105.3, True, "latitude before longitude: only so"),
        ("EPSG:4490", 73.5, 39.5, False, "longitude before latitude"),
        ("EPSG:4490", 39.5, 73.5, True, "latitude before longitude"),
        ("EPSG:4490", 4.0, 112.3, True, "latitude before longitude"),
        ("EPSG:4490", 2.35, 48.86, False, "cannot be checked"),
        ("EPSG:4545", 500_000, 3_020_000, False, None),
        ("EPSG:4545", 3_020_000, 500_000, True, "northing before easting"),
        ("EPSG:6676", -50_000, 30_000, False, "the other order would lie in its area too"),
        ("EPSG:3826", 250_000, 2_700_000, False, None),
        ("EPSG:4326", 27.3, 105.3, False, None),
        ("GCJ-02", 27.3, 105.3, False, None),
    ],
)
def test_the_order_of_coordinates(crs: str, x: float, y: float, north_first: bool, said: str | None) -> None:
    found, note = coordinates.in_order(crs, np.array([x, np.nan]), np.array([y, np.nan]))
    assert found == crs + (coordinates.NORTH_FIRST if north_first else "")
    assert note is None if said is None else note is not None and said in note
    lon, lat = coordinates.points_to_wgs84(found, np.array([x]), np.array([y]))
    straight = coordinates.points_to_wgs84(crs, *(np.array([part]) for part in ((y, x) if north_first else (x, y))))
    np.testing.assert_array_equal((lon, lat), straight)


@given(**IN_CHINA)
def test_cgcs2000_is_read_in_either_order(lon: float, lat: float) -> None:
    for first, second in ((lon, lat), (lat, lon)):
        crs, _ = coordinates.in_order("EPSG:4490", np.array([first]), np.array([second]))
        found = coordinates.points_to_wgs84(crs, np.array([first]), np.array([second]))
        assert (float(found[0][0]), float(found[1][0])) == (pytest.approx(lon), pytest.approx(lat))


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
