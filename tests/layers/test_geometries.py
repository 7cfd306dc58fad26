"""Geometries: what is repaired, refused or turned into the layer's kind, and which CRS they are in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from layers import geometries
from layers.catalog import catalog
from layers.errors import ImportRefused
from layers.geometries import Area, Placed

POINTS, ZONES, ROADS, SOURCES = (catalog()[name] for name in ("shelters", "risk_zones", "roads", "hazard_sources"))
SQUARE = "POLYGON ((105 27, 106 27, 106 28, 105 28, 105 27))"


def place(text: str | None, definition: Any = ZONES, crs: str = "EPSG:4326", area: Area | None = None) -> Placed:
    return geometries.placed(definition, np.array([shapely.from_wkt(text)], dtype=object), crs, area)


def points(x: float, y: float, crs: str = "EPSG:4326", area: Area | None = None) -> Placed:
    return geometries.placed_points(POINTS, np.array([x]), np.array([y]), crs, area)


@pytest.mark.parametrize(
    ("x", "y", "reason", "proposal"),
    [
        (np.nan, 27, "no coordinates", None),
        (0, 27, "exactly 0", None),
        (105, 0, "exactly 0", None),
        (181, 27, "outside −180", None),
        (181, 91, "outside −180", None),
        (27, 105, "swapped", "105,27"),
        (np.inf, 27, "outside −180", None),
    ],
)
def test_points_that_cannot_be(x: float, y: float, reason: str, proposal: str | None) -> None:
    found = points(x, y)
    assert found.geometries[0] is None
    assert reason in found.wrong[0][0]
    assert found.wrong[0][1] == proposal


@pytest.mark.parametrize(("x", "y"), [(180, 90), (-180, -90), (105, 27)])
def test_points_that_can_be(x: float, y: float) -> None:
    assert points(x, y).wrong == {}


def test_zero_metres_are_no_place_either() -> None:
    assert "exactly 0" in points(250_000, 0, "EPSG:3826").wrong[0][0]
    assert "exactly 0" in place("POINT (0 2700000)", POINTS, "EPSG:3826").wrong[0][0]


def test_a_point_outside_the_area_is_wrong_and_its_swap_proposed_when_that_lies_inside() -> None:
    area = Area.from_box("100,20,110,30")
    assert points(105, 27, area=area).wrong == {}
    assert points(120, 27, area=area).wrong[0] == ("outside the box 100,20,110,30", None)
    box = Area.from_box("40,50,60,80")
    assert points(70, 45, area=box).wrong[0] == (
        "outside the box 40,50,60,80; longitude and latitude seem swapped",
        "45,70",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no geometry"),
        ("POLYGON EMPTY", "no geometry"),
        ("POLYGON ((105 27, 106 28, 106 27, 105 28, 105 27))", "cannot safely be repaired"),
        ("POLYGON ((105 27, 106 27, 105 27, 105 27))", "cannot safely be repaired"),
        ("POLYGON ((179 27, 181 27, 181 28, 179 28, 179 27))", "outside −180"),
        ("POLYGON ((27 105, 28 105, 28 106, 27 105))", "swapped"),
        ("POINT (105 27)", "no place in a layer of MultiPolygon"),
        (f"GEOMETRYCOLLECTION ({SQUARE}, POINT (105 27))", "no place in a layer of MultiPolygon"),
    ],
)
def test_polygons_that_are_refused(text: str | None, reason: str) -> None:
    assert reason in place(text).wrong[0][0]


@pytest.mark.parametrize(
    ("text", "flags", "area"),
    [
        (SQUARE, {}, 1),
        ("POLYGON Z ((105 27 9, 106 27 9, 106 28 9, 105 28 9, 105 27 9))", {}, 1),
        ("POLYGON ((105 27, 106 27, 106 28, 106 30, 106 28, 105 28, 105 27))", {0: "geometry_repaired"}, 1),
        ("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))", {}, 15),
        (f"GEOMETRYCOLLECTION ({SQUARE}, POLYGON ((105.5 27, 106.5 27, 106.5 28, 105.5 28, 105.5 27)))", {}, 1.5),
    ],
)
def test_polygons_that_are_kept(text: str, flags: dict[int, str], area: float) -> None:
    found = place(text)
    assert (found.wrong, found.flags) == ({}, flags)
    kept = found.geometries[0]
    assert kept.geom_type == "MultiPolygon"
    assert kept.is_valid
    assert not kept.has_z
    assert kept.area == pytest.approx(area)


@pytest.mark.parametrize(
    ("text", "definition", "expected"),
    [
        ("MULTIPOINT ((105 27))", POINTS, "POINT (105 27)"),
        ("MULTIPOINT ((105 27), (106 27))", POINTS, None),
        ("LINESTRING (105 27, 106 27)", POINTS, None),
        ("MULTILINESTRING ((105 27, 106 27), (106 27, 107 27))", ROADS, "LINESTRING (105 27, 106 27, 107 27)"),
        ("MULTILINESTRING ((105 27, 106 27), (108 27, 107 27))", ROADS, None),
        ("POINT (105 27)", SOURCES, "POINT (105 27)"),
        (SQUARE, SOURCES, "MULTIPOLYGON (((105 27, 106 27, 106 28, 105 28, 105 27)))"),
    ],
)
def test_kinds(text: str, definition: Any, expected: str | None) -> None:
    found = place(text, definition)
    if expected is None:
        assert "no place" in found.wrong[0][0]
    else:
        assert shapely.equals_identical(found.geometries[0], shapely.from_wkt(expected))


def test_an_area_given_for_a_point_becomes_a_point_on_its_surface() -> None:
    found = place("POLYGON ((0 0, 4 0, 4 4, 3 4, 3 1, 1 1, 1 4, 0 4, 0 0))", POINTS)
    assert found.flags == {0: "point_of_area"}
    assert shapely.from_wkt("POLYGON ((0 0, 4 0, 4 4, 3 4, 3 1, 1 1, 1 4, 0 4, 0 0))").contains(found.geometries[0])


LATITUDE_FIRST = "EPSG:4490 (north first)"


def test_latitudes_that_come_first_are_put_behind() -> None:
    assert shapely.equals_identical(points(27, 105, LATITUDE_FIRST).geometries[0], shapely.Point(105, 27))
    hole = "POLYGON ((27 105, 28 105, 28 106, 27 106, 27 105), (27.4 105.4, 27.5 105.6, 27.6 105.4, 27.4 105.4))"
    kept = place(hole, ZONES, LATITUDE_FIRST).geometries[0]
    assert kept.bounds == (105, 27, 106, 28)
    assert len(kept.geoms[0].interiors) == 1


def test_proposals_stand_in_the_order_of_the_file() -> None:
    assert points(105, 27, LATITUDE_FIRST).wrong[0][1] == "27,105"
    assert place("POINT (105 27)", POINTS, LATITUDE_FIRST).wrong[0][1] == "27,105"


def test_geometries_change_to_degrees() -> None:
    found = place("POINT (250000 2655023.124)", POINTS, "EPSG:3826")
    assert (found.geometries[0].x, found.geometries[0].y) == (pytest.approx(121), pytest.approx(24, abs=1e-6))


METRES, DEGREES = (np.array([250_000.0]), np.array([2_700_000.0])), (np.array([105.0]), np.array([27.0]))


@pytest.mark.parametrize(
    ("xy", "stated", "asked", "expected"),
    [
        (DEGREES, None, False, "EPSG:4326"),
        (DEGREES, "GCJ-02", True, "GCJ-02"),
        (METRES, "EPSG:3826", True, "EPSG:3826"),
        (DEGREES, "EPSG:3826", False, "EPSG:4326"),
    ],
)
def test_the_crs(xy: Any, stated: str | None, asked: bool, expected: str) -> None:
    crs, note = geometries.crs_of(*xy, stated, asked)
    assert crs == expected
    assert (note is not None) == (stated == "EPSG:3826" and not asked)


@pytest.mark.parametrize(
    ("xy", "stated", "asked"), [(METRES, None, False), (METRES, "EPSG:4326", False), (DEGREES, "EPSG:3826", True)]
)
def test_a_crs_that_cannot_be_is_refused(xy: Any, stated: str | None, asked: bool) -> None:
    with pytest.raises(ImportRefused):
        geometries.crs_of(*xy, stated, asked)


@pytest.mark.parametrize("asked", [False, True])
def test_the_order_of_cgcs2000_is_found_and_said(asked: bool) -> None:
    lon, lat = DEGREES
    for xy, crs, said in (
        ((lon, lat), "EPSG:4490", "longitude before"),
        ((lat, lon), LATITUDE_FIRST, "latitude before"),
    ):
        found, note = geometries.crs_of(*xy, "EPSG:4490", asked)
        assert found == crs
        assert note is not None
        assert said in note
    assert geometries.crs_of(lat, lon, LATITUDE_FIRST, asked) == (LATITUDE_FIRST, None)
    assert geometries.crs_of(np.array([np.nan]), np.array([np.nan]), "EPSG:4490", asked) == ("EPSG:4490", None)


@pytest.mark.parametrize(
    ("crs", "x", "y", "message"),
    [
        ("GCJ-02", 2.35, 48.86, "GCJ-02 is defined in China only"),
        ("BD-09", 2.35, 48.86, "BD-09 is defined in China only"),
        ("EPSG:4214", 105.3, 27.3, "no way from EPSG:4214 to WGS 84 is published for where"),
    ],
)
def test_coordinates_out_of_the_reach_of_a_datum_are_refused(crs: str, x: float, y: float, message: str) -> None:
    with pytest.raises(ImportRefused, match=message):
        geometries.crs_of(np.array([x]), np.array([y]), crs, True)
    inside = geometries.crs_of(np.array([x, 108.0]), np.array([y, 38.8]), crs, True)
    assert inside == (crs, None)


def test_one_wrong_number_does_not_make_degrees_metres() -> None:
    x, y = np.array([105.0, 1052.0]), np.array([27.0, 27.0])
    assert geometries.crs_of(x, y, None, False) == ("EPSG:4326", None)
