"""Relief shading and slope, by hand."""

from __future__ import annotations

import doctest
import math

import numpy
import pyproj
import pytest

import gis.terrain
from gis.terrain import hillshade, mercator_cell_m, slope

FLAT = math.sin(math.radians(45))


def test_flat_ground_has_the_sine_of_the_lights_altitude() -> None:
    assert hillshade(numpy.full((4, 5), 100.0), 30.0) == pytest.approx(numpy.full((2, 3), FLAT))


@pytest.mark.parametrize(
    ("towards", "lit"),
    [((-1, -1), 0.0), ((1, 1), 1.0)],  # rising towards north-west: turned from the light; towards south-east: facing it
)
def test_a_slope_of_45_degrees(towards: tuple[int, int], lit: float) -> None:
    """Horn's differences of a plane are exact: a rise of 1 in 1 along the diagonal, light at 45° from 315°."""
    rows, columns = numpy.mgrid[0:3, 0:3].astype(float)
    plane = (rows * towards[0] + columns * towards[1]) * 10 / math.sqrt(2)
    assert hillshade(plane, 10.0)[0, 0] == pytest.approx(lit, abs=1e-12)


def test_unknown_cells_and_their_neighbours_stay_unknown() -> None:
    grid = numpy.zeros((5, 6))
    grid[1, 1] = numpy.nan
    unknown = numpy.isnan(hillshade(grid, 30.0))
    assert unknown.sum() == 4
    assert unknown[:2, :2].all()


@pytest.mark.parametrize(
    ("east", "north", "degrees"),
    [
        (0.0, 0.0, 0.0),
        (1.0, 0.0, 45.0),
        (0.0, -1.0, 45.0),
        (math.tan(math.radians(30)), 0.0, 30.0),
        (3.0, 4.0, math.degrees(math.atan(5.0))),  # 78.69: the gradient is 5, as of a right triangle of 3 and 4
    ],
)
def test_the_slope_of_a_plane(east: float, north: float, degrees: float) -> None:
    """A plane that rises so many metres a metre; cells of 20 m by 10 m on 3 × 3."""
    rows, columns = numpy.mgrid[0:3, 0:3].astype(float)
    plane = columns * 20.0 * east - rows * 10.0 * north
    assert slope(plane, 20.0, 10.0) == pytest.approx(numpy.array([[degrees]]), abs=1e-9)


def test_cells_that_change_with_latitude() -> None:
    """Each row rises 10 m towards east; its cells are 10 m long in the first inner row, 20 m in the second."""
    plane = numpy.tile(numpy.arange(3.0) * 10, (4, 1))
    steepness = slope(plane, numpy.array([[10.0], [20.0]]), numpy.array([[10.0], [20.0]]))
    assert steepness[:, 0] == pytest.approx([45.0, math.degrees(math.atan(0.5))])


def test_slope_is_unknown_beside_what_is_unknown() -> None:
    grid = numpy.zeros((5, 6))
    grid[1, 1] = numpy.nan
    unknown = numpy.isnan(slope(grid, 30.0, 30.0))
    assert unknown.sum() == 4
    assert unknown[:2, :2].all()


def test_cells_of_the_web_mercator_grid_are_geodesic() -> None:
    """Against geodesic lines: a cell of 100 m of EPSG:3857 at the equator, in Guizhou and far north."""
    geod = pyproj.Geod(ellps="WGS84")
    to_degrees = pyproj.Transformer.from_crs(3857, 4326, always_xy=True)
    to_metres = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)
    for latitude in (0.0, 27.0, 70.0):
        x, y = to_metres.transform(105.0, latitude)
        west, south, east, north = (*to_degrees.transform(x - 50, y - 50), *to_degrees.transform(x + 50, y + 50))
        across, up = mercator_cell_m(numpy.array([latitude]), 100.0)
        assert float(across[0]) == pytest.approx(geod.inv(west, latitude, east, latitude)[2], rel=1e-6)
        assert float(up[0]) == pytest.approx(geod.inv(105.0, south, 105.0, north)[2], rel=1e-6)


def test_the_answer_does_not_depend_on_the_datum_of_heights() -> None:
    grid = numpy.random.default_rng(1).uniform(0, 500, (8, 8))
    assert hillshade(grid, 30.0) == pytest.approx(hillshade(grid + 1000, 30.0))


@pytest.mark.parametrize(("shape", "cell"), [((2, 5), 30.0), ((3, 3), 0.0), ((3, 3), math.nan)])
def test_what_cannot_be_shaded_is_refused(shape: tuple[int, int], cell: float) -> None:
    with pytest.raises(ValueError, match=r"cell|3 x 3"):
        hillshade(numpy.zeros(shape), cell)
    with pytest.raises(ValueError, match=r"cell|3 x 3"):
        slope(numpy.zeros(shape), 1.0, cell)


def test_the_examples_are_right() -> None:
    assert doctest.testmod(gis.terrain).failed == 0
