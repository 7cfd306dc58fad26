"""Terrain: how relief is shaded."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

Grid = NDArray[numpy.float64]


def hillshade(elevation_m: Grid, cell_m: float, *, azimuth_deg: float = 315.0, altitude_deg: float = 45.0) -> Grid:
    """How brightly each cell is lit, 0 (dark) to 1; flat ground has the sine of the light's altitude.

    Parameters
    ----------
    elevation_m : array of float, shape (rows, columns)
        Elevation in metres, north up; NaN where it is unknown.
    cell_m : float
        True side of a cell in metres, the same both ways.
    azimuth_deg, altitude_deg : float
        Where the light comes from: clockwise from north, and above the horizon.

    Returns
    -------
    array of float, shape (rows - 2, columns - 2)
        The inner cells; NaN where a cell or one of its eight neighbours is unknown.

    Raises
    ------
    ValueError
        When the grid is smaller than 3 × 3 or the cell is not positive.

    Notes
    -----
    Slopes are Horn's weighted differences of the 3 × 3 window. Brightness is the cosine of the angle between the
    light and the surface's normal. Shadows that relief casts on other ground are ignored.

    References
    ----------
    Horn, B. K. P. (1981): Hill shading and the reflectance map. Proceedings of the IEEE 69(1), 14-47.
    doi:10.1109/PROC.1981.11918

    Examples
    --------
    >>> flat = hillshade(numpy.zeros((3, 3)), 30.0)
    >>> float(flat[0, 0].round(4))
    0.7071
    >>> rising_to_the_southeast = numpy.add.outer(numpy.arange(3.0), numpy.arange(3.0)) * 30
    >>> bool(hillshade(rising_to_the_southeast, 30.0)[0, 0] > 0.9)  # it faces the light
    True
    """
    if elevation_m.ndim != 2 or min(elevation_m.shape) < 3:
        raise ValueError("elevation must have at least 3 x 3 cells")
    if not cell_m > 0:
        raise ValueError("the side of a cell must be positive")
    east_slope, north_slope = _slopes(elevation_m, cell_m)
    azimuth, altitude = numpy.radians(azimuth_deg), numpy.radians(altitude_deg)
    towards_light = -(east_slope * numpy.sin(azimuth) + north_slope * numpy.cos(azimuth)) * numpy.cos(altitude)
    lit = (towards_light + numpy.sin(altitude)) / numpy.sqrt(1 + east_slope**2 + north_slope**2)
    clipped: Grid = numpy.clip(lit, 0.0, 1.0)
    return clipped


def _slopes(z: Grid, cell_m: float) -> tuple[Grid, Grid]:
    """Rise per metre towards east and towards north, of the inner cells (Horn 1981)."""
    west = z[:-2, :-2] + 2 * z[1:-1, :-2] + z[2:, :-2]
    east = z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:]
    north = z[:-2, :-2] + 2 * z[:-2, 1:-1] + z[:-2, 2:]
    south = z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:]
    known = ~numpy.isnan(z[1:-1, 1:-1])
    unknown = numpy.where(known, 0.0, numpy.nan)
    return (east - west) / (8 * cell_m) + unknown, (north - south) / (8 * cell_m) + unknown
