"""Terrain: how relief is shaded, and how steep it is."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

Grid = NDArray[numpy.float64]
EQUATORIAL_RADIUS_M, FIRST_ECCENTRICITY_SQUARED = 6_378_137.0, 0.006_694_379_990_14
"""Of the ellipsoid of WGS 84."""


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
    east_slope, north_slope = _slopes(elevation_m, cell_m, cell_m)
    azimuth, altitude = numpy.radians(azimuth_deg), numpy.radians(altitude_deg)
    towards_light = -(east_slope * numpy.sin(azimuth) + north_slope * numpy.cos(azimuth)) * numpy.cos(altitude)
    lit = (towards_light + numpy.sin(altitude)) / numpy.sqrt(1 + east_slope**2 + north_slope**2)
    clipped: Grid = numpy.clip(lit, 0.0, 1.0)
    return clipped


def slope(elevation_m: Grid, cell_east_m: float | Grid, cell_north_m: float | Grid) -> Grid:
    """How steep each cell is, in degrees: 0 is level, 90 upright.

    Parameters
    ----------
    elevation_m : array of float, shape (rows, columns)
        Elevation in metres, north up; NaN where it is unknown.
    cell_east_m, cell_north_m : float, or array of float of shape (rows - 2, 1)
        True side of a cell in metres towards east and towards north; where it changes with latitude, of each inner
        row (``mercator_cell_m``).

    Returns
    -------
    array of float, shape (rows - 2, columns - 2)
        The inner cells, degrees; NaN where a cell or one of its eight neighbours is unknown.

    Raises
    ------
    ValueError
        When the grid is smaller than 3 × 3 or a cell is not positive.

    Notes
    -----
    The angle whose tangent is the length of the gradient, from Horn's weighted differences of the 3 × 3 window. Of a
    plane it is exact. What is smaller than a cell is not seen: cells of 30 m make cliffs look less steep than they are.

    References
    ----------
    Horn, B. K. P. (1981): Hill shading and the reflectance map. Proceedings of the IEEE 69(1), 14-47.
    doi:10.1109/PROC.1981.11918

    Examples
    --------
    >>> plane = numpy.array([[30.0, 30, 30], [20, 20, 20], [10, 10, 10]])  # rises 10 m a row towards north
    >>> float(slope(plane, 25.0, 10.0)[0, 0].round(9))
    45.0
    """
    east_slope, north_slope = _slopes(elevation_m, cell_east_m, cell_north_m)
    degrees: Grid = numpy.degrees(numpy.arctan(numpy.hypot(east_slope, north_slope)))
    return degrees


def mercator_cell_m(latitude_deg: Grid, cell_m: float) -> tuple[Grid, Grid]:
    """The true sides of a square cell of EPSG:3857 towards east and towards north, in metres on the ellipsoid.

    Parameters
    ----------
    latitude_deg : array of float
        Where the cell lies, degrees.
    cell_m : float
        Its side in metres of EPSG:3857.

    Notes
    -----
    EPSG:3857 takes latitudes of the ellipsoid for those of a sphere, so its cells are not square on the ground: with N
    and M the radii of curvature across and along the meridian and a the equatorial radius, their sides are
    ``cell N cos(latitude) / a`` and ``cell M cos(latitude) / a``; at the equator they differ by 0.67 percent.

    References
    ----------
    IOGP Publication 373-7-2 (2019), 3.5.2: Popular Visualisation Pseudo Mercator.

    Examples
    --------
    >>> east, north = mercator_cell_m(numpy.array([0.0]), 1000.0)
    >>> float(east[0]), float(north[0].round(3))
    (1000.0, 993.306)
    """
    latitude = numpy.radians(latitude_deg)
    flattened = 1 - FIRST_ECCENTRICITY_SQUARED * numpy.sin(latitude) ** 2
    east = cell_m * numpy.cos(latitude) / numpy.sqrt(flattened)
    return east, east * (1 - FIRST_ECCENTRICITY_SQUARED) / flattened


def _slopes(z: Grid, cell_east_m: float | Grid, cell_north_m: float | Grid) -> tuple[Grid, Grid]:
    """Rise per metre towards east and towards north, of the inner cells (Horn 1981)."""
    if z.ndim != 2 or min(z.shape) < 3:
        raise ValueError("elevation must have at least 3 x 3 cells")
    if not (numpy.all(numpy.asarray(cell_east_m) > 0) and numpy.all(numpy.asarray(cell_north_m) > 0)):
        raise ValueError("the side of a cell must be positive")
    west = z[:-2, :-2] + 2 * z[1:-1, :-2] + z[2:, :-2]
    east = z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:]
    north = z[:-2, :-2] + 2 * z[:-2, 1:-1] + z[:-2, 2:]
    south = z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:]
    known = ~numpy.isnan(z[1:-1, 1:-1])
    unknown = numpy.where(known, 0.0, numpy.nan)
    return (east - west) / (8 * cell_east_m) + unknown, (north - south) / (8 * cell_north_m) + unknown
