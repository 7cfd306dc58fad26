"""Relief shading, by hand."""

from __future__ import annotations

import doctest
import math

import numpy
import pytest

import gis.terrain
from gis.terrain import hillshade

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


def test_the_answer_does_not_depend_on_the_datum_of_heights() -> None:
    grid = numpy.random.default_rng(1).uniform(0, 500, (8, 8))
    assert hillshade(grid, 30.0) == pytest.approx(hillshade(grid + 1000, 30.0))


@pytest.mark.parametrize(("shape", "cell"), [((2, 5), 30.0), ((3, 3), 0.0), ((3, 3), math.nan)])
def test_what_cannot_be_shaded_is_refused(shape: tuple[int, int], cell: float) -> None:
    with pytest.raises(ValueError, match=r"cell|3 x 3"):
        hillshade(numpy.zeros(shape), cell)


def test_the_examples_are_right() -> None:
    assert doctest.testmod(gis.terrain).failed == 0
