"""Geometries of a file as a layer keeps them: in EPSG:4326, of the right kind, valid, in a place that can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.coordinates import (
    DATUMS,
    HALF,
    OTHERWISE,
    angle,
    base_crs,
    box,
    crs_name,
    geometries_to_wgs84,
    in_order,
    is_geographic,
    points_to_wgs84,
    reach,
)
from layers.definition import Definition
from layers.errors import ImportRefused
from layers.values import number_of, numbers

LARGEST_ANGLE = 1000  # beyond, a number is in metres rather than a wrong angle
SWAPPED = "longitude and latitude are swapped: the latitude is outside −90…90"
ZERO = "longitude or latitude is exactly 0"
OUTSIDE = "outside −180…180 by −90…90 degrees"
REPAIR_TOLERANCE = 0.01
POINT, LINE, POLYGON, MULTIPOINT, MULTILINE, MULTIPOLYGON, COLLECTION = 0, 1, 3, 4, 5, 6, 7


@dataclass
class Placed:
    """Geometries and what is to be said of them.

    Parameters
    ----------
    geometries : ndarray of shapely geometries, shape (n,), EPSG:4326
        None where the row is wrong.
    wrong : dict of position to (reason, proposal or None)
    flags : dict of position to flag
    """

    geometries: NDArray[Any]
    wrong: dict[int, tuple[str, str | None]]
    flags: dict[int, str]


class Area:
    """The area that data must lie in: a box or a polygon in EPSG:4326."""

    def __init__(self, geometry: Any, name: str) -> None:
        self.geometry = geometry
        self.name = name
        shapely.prepare(geometry)

    @classmethod
    def from_box(cls, text: str) -> Area:
        """The area of ``w,s,e,n``."""
        return cls(shapely.box(*box(text)), f"the box {text}")

    def misses(self, geometries: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each geometry lies wholly outside."""
        outside: NDArray[np.bool_] = ~shapely.intersects(self.geometry, geometries)
        return outside


def coordinate_numbers(column: Any) -> NDArray[np.float64]:
    """Numbers of a coordinate column; NaN where there is none or it cannot be read."""
    values, _ = numbers(column, lambda text: number_of(text) if number_of(text) is not None else angle(text))
    return values


def crs_of(x: NDArray[np.float64], y: NDArray[np.float64], stated: str | None, asked: bool) -> tuple[str, str | None]:
    """The CRS in which coordinates are to be read, and a sentence when that is not what was stated.

    Parameters
    ----------
    x, y : ndarray of float
        The first coordinates of the file.
    stated : str or None
        What the file, its heading or the user says.
    asked : bool
        Whether it was the user.

    Raises
    ------
    ImportRefused
        When most values are no degrees and nothing says what they are, or what is stated cannot be true.
    """
    known = np.isfinite(x) & np.isfinite(y)
    in_degrees = (np.abs(x[known]) <= LARGEST_ANGLE) & (np.abs(y[known]) <= LARGEST_ANGLE)
    degrees = not known.any() or float(np.mean(in_degrees)) >= HALF
    first = f"the first is {x[known][0]:g}, {y[known][0]:g}" if known.any() else ""
    if stated is None:
        if not degrees:
            raise ImportRefused(
                f"the coordinates are no degrees ({first}), and nothing says their CRS",
                parameter="crs",
                expected="--crs EPSG:n, such as EPSG:4545 (CGCS2000, 3-degree zone at 108° E) or EPSG:3826 (TWD97)",
            )
        return "EPSG:4326", None
    if not known.any():
        return stated, None
    name = crs_name(stated)
    if is_geographic(stated) == degrees:
        crs, note = in_order(stated, x, y)
        _check_reach(crs, x[known], y[known])
        return crs, note
    if not degrees:
        raise ImportRefused(f"the coordinates are said to be {name}, but are no degrees ({first})", parameter="crs")
    if asked:
        raise ImportRefused(
            f"the coordinates are degrees ({first}); {name} is in metres", parameter="crs", expected="--crs EPSG:4326"
        )
    return "EPSG:4326", f"the file says {name}, in metres, but the values are degrees: read as EPSG:4326"


def _check_reach(crs: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Refuse coordinates of which none lies where the way to WGS 84 is known."""
    if reach(crs) is None or not np.isnan(points_to_wgs84(crs, x, y)[0]).all():
        return
    name, first = crs_name(crs), f"the first is {x[0]:g}, {y[0]:g}"
    if crs in DATUMS:
        raise ImportRefused(
            f"{name} is defined in China only, and no coordinates lie there ({first})",
            parameter="crs",
            expected="--crs EPSG:4326",
        )
    raise ImportRefused(
        f"no way from {name} to WGS 84 is published for where the coordinates lie ({first})",
        parameter="crs",
        expected=OTHERWISE,
    )


def placed_points(
    definition: Definition, x: NDArray[np.float64], y: NDArray[np.float64], crs: str, area: Area | None
) -> Placed:
    """Points from coordinate columns; see ``Placed``."""
    crs, north_first = base_crs(crs)
    x, y = (y, x) if north_first else (x, y)
    lon, lat = points_to_wgs84(crs, x, y)
    wrong: dict[int, tuple[str, str | None]] = {}
    for position in np.flatnonzero(np.isnan(x) | np.isnan(y)):
        wrong[int(position)] = ("no coordinates, or they cannot be read", None)
    for position in np.flatnonzero((x == 0) | (y == 0)):
        wrong.setdefault(int(position), (ZERO, None))
    if is_geographic(crs):
        _check_degrees(x, y, wrong)
    for position in np.flatnonzero(np.isnan(lon) | np.isnan(lat)):
        wrong.setdefault(int(position), (f"outside the reach of {crs_name(crs)}", None))
    good = np.ones(len(x), bool)
    good[list(wrong)] = False
    geometries = np.full(len(x), None, dtype=object)
    geometries[good] = shapely.points(lon[good], lat[good])
    found = Placed(geometries, wrong, {})
    _check_area(found, area, lon, lat)
    return _as_written(found) if north_first else found


def _as_written(found: Placed) -> Placed:
    """With proposals in the order in which the file has its coordinates, north first."""
    for position, (reason, proposal) in found.wrong.items():
        if proposal is not None:
            found.wrong[position] = (reason, ",".join(reversed(proposal.split(","))))
    return found


def _check_degrees(
    lon: NDArray[np.float64], lat: NDArray[np.float64], wrong: dict[int, tuple[str, str | None]]
) -> None:
    outside = (np.abs(lat) > 90) | (np.abs(lon) > 180)
    for position in np.flatnonzero(outside):
        x, y = lon[position], lat[position]
        if abs(y) <= 180 and abs(x) <= 90:
            wrong.setdefault(int(position), (SWAPPED, f"{y:.10g},{x:.10g}"))
        else:
            wrong.setdefault(int(position), (OUTSIDE, None))


def _check_area(
    found: Placed, area: Area | None, lon: NDArray[np.float64] | None, lat: NDArray[np.float64] | None
) -> None:
    if area is None:
        return
    here = np.flatnonzero([geometry is not None for geometry in found.geometries])
    for position in here[area.misses(found.geometries[here])]:
        proposal = None
        if lon is not None and lat is not None and abs(lon[position]) <= 90:
            swapped = shapely.Point(lat[position], lon[position])
            if area.geometry.intersects(swapped):
                proposal = f"{lat[position]:.10g},{lon[position]:.10g}"
        reason = f"outside {area.name}" + ("; longitude and latitude seem swapped" if proposal else "")
        found.wrong[int(position)] = (reason, proposal)
        found.geometries[position] = None


def placed(definition: Definition, geometries: NDArray[Any], crs: str, area: Area | None) -> Placed:
    """Geometries of a vector file or of WKT; see ``Placed``.

    Notes
    -----
    A polygon that is not valid is repaired when that changes its area by less than 1 %; a bow-tie, whose halves
    cancel each other out, is refused. A polygon given for a layer of points becomes a point on its surface.
    """
    found = Placed(np.array(geometries, dtype=object), {}, {})
    for position in np.flatnonzero(shapely.is_missing(found.geometries) | shapely.is_empty(found.geometries)):
        found.wrong[int(position)] = ("no geometry, or it cannot be read", None)
        found.geometries[position] = None
    here = _present(found)
    found.geometries[here] = shapely.force_2d(found.geometries[here])
    crs, north_first = base_crs(crs)
    if north_first:
        found.geometries[here] = shapely.transform(found.geometries[here], lambda points: points[:, ::-1])
    if definition.dimension == 0:
        _check_zero(found, here)
    here = _present(found)
    _check_bounds(found, here, crs)
    here = _present(found)
    changed = geometries_to_wgs84(crs, found.geometries[here])
    finite = np.isfinite(shapely.bounds(changed)).all(axis=1) if len(changed) else np.ones(0, bool)
    found.geometries[here] = changed
    for position in here[~finite]:
        found.wrong[int(position)] = (f"outside the reach of {crs_name(crs)}", None)
        found.geometries[position] = None
    _repair(found)
    _fit_kind(definition, found)
    here = _present(found)
    points = definition.dimension == 0
    lon = lat = None
    if points:
        lon, lat = np.full(len(geometries), np.nan), np.full(len(geometries), np.nan)
        lon[here], lat[here] = shapely.get_x(found.geometries[here]), shapely.get_y(found.geometries[here])
    _check_area(found, area, lon, lat)
    return _as_written(found) if north_first else found


def corners(geometries: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The south-western corners of geometries; NaN where there is none."""
    bounds = shapely.bounds(geometries)
    return bounds[:, 0], bounds[:, 1]


def _present(found: Placed) -> NDArray[np.int64]:
    return np.flatnonzero(~shapely.is_missing(found.geometries))


def _check_zero(found: Placed, here: NDArray[np.int64]) -> None:
    x, y = shapely.get_x(found.geometries[here]), shapely.get_y(found.geometries[here])  # NaN where it is no point
    for position in here[(x == 0) | (y == 0)]:
        found.wrong[int(position)] = (ZERO, None)
        found.geometries[position] = None


def _check_bounds(found: Placed, here: NDArray[np.int64], crs: str) -> None:
    bounds = shapely.bounds(found.geometries[here])
    bad = ~np.isfinite(bounds).all(axis=1)
    if is_geographic(crs):
        bad |= (bounds[:, 0] < -180) | (bounds[:, 2] > 180) | (bounds[:, 1] < -90) | (bounds[:, 3] > 90)
    for position, (west, south, east, north) in zip(here[bad], bounds[bad], strict=True):
        swapped = is_geographic(crs) and np.isfinite([west, south, east, north]).all()
        swapped = swapped and -90 <= west <= east <= 90 and -180 <= south <= north <= 180
        if swapped:
            proposal = f"{south:.10g},{west:.10g}" if west == east and south == north else None
            reason = SWAPPED
        else:
            proposal, reason = None, OUTSIDE
        found.wrong[int(position)] = (reason, proposal)
        found.geometries[position] = None


def _repair(found: Placed) -> None:
    here = _present(found)
    for position in here[~shapely.is_valid(found.geometries[here])]:
        broken = found.geometries[position]
        reason = shapely.is_valid_reason(broken)
        mended = shapely.make_valid(broken, method="structure", keep_collapsed=False)
        before, after = shapely.area(broken), shapely.area(mended)
        if shapely.get_dimensions(broken) == 2 and after > 0 and abs(after - before) <= REPAIR_TOLERANCE * after:
            found.geometries[position] = mended
            found.flags[int(position)] = "geometry_repaired"
        else:
            found.wrong[int(position)] = (f"the geometry is not valid and cannot safely be repaired: {reason}", None)
            found.geometries[position] = None


def _fit_kind(definition: Definition, found: Placed) -> None:
    """Turn what can be turned into the layer's kind of geometry; the rest is wrong."""
    here = _present(found)
    kinds = shapely.get_type_id(found.geometries[here])
    fits = {
        "Point": {POINT}, "LineString": {LINE}, "MultiLineString": {MULTILINE}, "MultiPolygon": {MULTIPOLYGON},
        "Geometry": {POINT, MULTILINE, MULTIPOLYGON},
    }[definition.geometry]  # fmt: skip
    for position, kind in zip(here, kinds, strict=True):
        if kind in fits:
            continue
        geometry = _as_kind(definition.geometry, found.geometries[position], int(kind))
        if geometry is None:
            name = found.geometries[position].geom_type
            found.wrong[int(position)] = (f"a {name} has no place in a layer of {definition.geometry}", None)
        elif definition.geometry == "Point" and kind in (POLYGON, MULTIPOLYGON):
            found.flags[int(position)] = "point_of_area"
        found.geometries[position] = geometry


def _as_kind(wanted: str, geometry: Any, kind: int) -> Any:
    """The geometry as the wanted kind with all its parts, or None."""
    if kind == COLLECTION:
        geometry, kind = _joined(geometry)
    parts = shapely.get_parts(geometry)
    if wanted == "Point":
        if kind == MULTIPOINT and len(parts) == 1:
            return parts[0]
        return shapely.point_on_surface(geometry) if kind in (POLYGON, MULTIPOLYGON) else None
    if kind in (LINE, MULTILINE) and wanted in ("MultiLineString", "Geometry"):
        return shapely.multilinestrings(parts)
    if kind == MULTILINE and wanted == "LineString":
        joined = shapely.line_merge(geometry)
        return joined if joined.geom_type == "LineString" else None
    if kind in (POLYGON, MULTIPOLYGON) and wanted in ("MultiPolygon", "Geometry"):
        return shapely.multipolygons(parts)
    if kind == MULTIPOINT and wanted == "Geometry" and len(parts) == 1:
        return parts[0]
    return None


def _joined(collection: Any) -> tuple[Any, int]:
    """The union of a collection of polygons, or of lines, and its kind; a mixed collection as it is."""
    parts = shapely.get_parts(collection)
    if shapely.get_type_id(parts).max() < COLLECTION and len(set(shapely.get_dimensions(parts))) == 1:
        joined = shapely.union_all(parts)
        return joined, int(shapely.get_type_id(joined))
    return collection, COLLECTION
