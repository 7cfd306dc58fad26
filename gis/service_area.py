"""Service areas: the ground that is reached by road within some minutes, and the people who live there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

from gis.journey import Journey, Passage
from gis.network import Floats, Network, metres_a_degree
from gis.roads import SNAP_AT_MOST_M, Situation
from gis.travel import WALK_DETOUR, WALK_M_S, Stop, Stops, Tree, Ways
from layers.catalog import catalog
from layers.definition import Definition
from layers.errors import InvalidValue

Travel = Literal["from_place", "to_place"]
BANDS_S = (300.0, 600.0, 900.0)
BANDS_AT_MOST, PLACES_AT_MOST, LIMIT_AT_MOST_S = 10, 200, 4 * 3600.0
ASIDE_M = 150.0
"""Ground further from a road that is reached is not claimed, however much time is left: a planning default."""
CELL_LEAST_M, CELLS_AT_MOST = 25.0, 700


@dataclass(frozen=True)
class Reached:
    """The part of the network that is reached.

    Parameters
    ----------
    places : array of float, shape (P, 2)
        Points along the roads, longitude and latitude, degrees, no further apart than a cell.
    seconds : array of float, shape (P,)
        When each is reached.
    """

    places: Floats
    seconds: Floats


def service_area(
    here: Situation, places: Sequence[Sequence[float]], bands_s: Sequence[float] = BANDS_S,
    travel: Travel = "from_place",
) -> dict[str, Any]:  # fmt: skip
    """The ground reached by road from places, or from where they are reached, by bands of time.

    Parameters
    ----------
    here : Situation
        The network as it may be used.
    places : sequence of (float, float)
        Longitude and latitude, WGS 84, degrees; the first that arrives counts.
    bands_s : sequence of float
        The upper ends of the bands, seconds, ascending.
    travel : str
        ``from_place``: how long from a place; ``to_place``: how long to it.

    Returns
    -------
    dict
        A GeoJSON FeatureCollection, a feature a band: ``from_s``, ``to_s``, ``area_m2``, and of the settlements that
        are reached within it ``settlements``, ``persons`` (as far as they are known; None when of none) and
        ``persons_unknown`` (settlements of which they are not). Bands do not overlap. ``beyond``: the same numbers of
        the settlements that are reached later or not at all; so the bands and ``beyond`` partition all settlements.

    Raises
    ------
    InvalidValue
        When a place or band is not valid.

    Notes
    -----
    Ground is reached when it lies within 150 m of a stretch of road that is, and the walk there (4 km/h, 1.3 times the
    straight line) still fits in; a road that is barred, closed or on the other side of what is closed claims nothing.
    Worked out on a grid of at least 25 m. Settlements are counted by their own time by road, not by the polygon.
    """
    bands = _checked(places, bands_s)
    limit = bands[-1]
    found = [_reached(here, float(lon), float(lat), limit, towards=travel == "to_place") for lon, lat in places]
    features = _polygons(_joined([reached for reached, _ in found]), bands)
    counts, beyond = _people(here, [journey for _, journey in found], bands)
    for feature, count in zip(features, counts, strict=True):
        feature["properties"] |= count
    return {
        "type": "FeatureCollection",
        "features": features,
        "beyond": beyond,
        "travel": travel,
        "network": here.told(),
    }


def _checked(places: Sequence[Sequence[float]], bands_s: Sequence[float]) -> list[float]:
    if not 1 <= len(places) <= PLACES_AT_MOST:
        raise InvalidValue("how many places?", parameter="places", expected=f"1 to {PLACES_AT_MOST} places")
    table = numpy.array(places, dtype=float)
    if table.ndim != 2 or table.shape[1] != 2 or not numpy.isfinite(table).all():
        raise InvalidValue("places are pairs of numbers", parameter="places", expected="[[lon, lat], …]")
    if (numpy.abs(table) > (180, 90)).any():
        raise InvalidValue("a place lies outside the world", parameter="places", expected="[[lon, lat], …], degrees")
    bands = [float(one) for one in bands_s]
    ascending = all(one < other for one, other in pairwise(bands))
    if not (1 <= len(bands) <= BANDS_AT_MOST and ascending and bands[0] > 0 and bands[-1] <= LIMIT_AT_MOST_S):
        expected = f"1 to {BANDS_AT_MOST} ascending numbers of seconds, {LIMIT_AT_MOST_S:.0f} at most"
        raise InvalidValue("the bands are not valid", parameter="bands_s", expected=expected)
    return bands


# --- what is reached


def _reached(here: Situation, lon: float, lat: float, limit_s: float, *, towards: bool) -> tuple[Reached, Journey]:
    stop = here.ways.stop(lon, lat, SNAP_AT_MOST_M)
    nobody = Stops(0, *(numpy.zeros(0, dtype=kind) for kind in (numpy.int64, numpy.int64, float, float)))
    journey = Journey(here.ways, Passage.of(here.ways, here.mask, stop), nobody, towards=towards)
    tree = journey.search(limit_s)
    journey.found(here.ways, tree)
    return along_roads(here.ways, stop, tree, towards=towards, step_m=_cell_m(limit_s)), journey


def _cell_m(limit_s: float) -> float:
    """The grid's cell for a reach: fine enough to see a road, coarse enough for the whole of it."""
    return max(CELL_LEAST_M, limit_s * 40 / CELLS_AT_MOST)


def along_roads(ways: Ways, stop: Stop, tree: Tree, *, towards: bool, step_m: float) -> Reached:
    """Points along the roads that a search reaches, no further apart than a step, with the time at each."""
    network = ways.network
    at_nodes = tree.seconds[:-1]
    reached = numpy.isfinite(at_nodes)
    edges = numpy.flatnonzero(reached[network.edge_nodes].any(axis=1))
    own = numpy.array([near.edge for near in stop.nears], dtype=numpy.int64)
    edges = numpy.union1d(edges, own)
    edges = edges[numpy.isfinite(ways.edge_s[edges]).any(axis=1)]
    if len(edges) == 0:
        return Reached(numpy.zeros((0, 2)), numpy.zeros(0))
    length = network.edge_length_m[edges]
    counts = numpy.maximum(numpy.ceil(length / step_m).astype(int), 1) + 1
    owner = numpy.repeat(numpy.arange(len(edges)), counts)
    share = (numpy.arange(len(owner)) - (numpy.cumsum(counts) - counts)[owner]) / (counts - 1)[owner]
    times = ways.edge_s[edges] if not towards else ways.edge_s[edges][:, ::-1]
    nodes = network.edge_nodes[edges]
    seconds = numpy.minimum(
        at_nodes[nodes[owner, 0]] + _share_of(times[owner, 0], share),
        at_nodes[nodes[owner, 1]] + _share_of(times[owner, 1], 1 - share),
    )
    for place in numpy.flatnonzero(numpy.isin(edges, own) | numpy.isin(edges, [*ways.closed, *ways.slowed])):
        which = owner == place
        seconds[which] = _one_by_one(ways, stop, tree, int(edges[place]), share[which], towards=towards)
    keep = seconds <= tree.limit_s
    return Reached(_places_along(network, edges, owner, share)[keep], seconds[keep])


def _share_of(times: Floats, share: Floats) -> Floats:
    found: Floats = numpy.where(share > 0, times * numpy.maximum(share, 1e-300), 0.0)
    return found


def _one_by_one(ways: Ways, stop: Stop, tree: Tree, edge: int, share: Floats, *, towards: bool) -> Floats:
    """Times along an edge that is closed or slow somewhere, or on which the place itself lies."""
    count = len(share)
    length = float(ways.network.edge_length_m[edge])
    stops = Stops(count, numpy.arange(count), numpy.full(count, edge), share * length, numpy.zeros(count))
    return numpy.minimum(ways.seconds_to(tree, stops, towards=towards), ways.direct_s(stop, stops, towards=towards))


def _places_along(
    network: Network, edges: NDArray[numpy.int64], owner: NDArray[numpy.int64], share: Floats
) -> Floats:  # fmt: skip
    """Longitude and latitude at shares of the lengths of edges."""
    line, of_edge = network.lines(edges)
    sizes = numpy.bincount(of_edge, minlength=len(edges))
    begins = numpy.cumsum(sizes) - sizes
    step = numpy.diff(line, axis=0)
    step[begins[1:] - 1] = 0.0
    east, north = metres_a_degree(line[1:, 1])
    done = numpy.concatenate([[0.0], numpy.cumsum(numpy.hypot(step[:, 0] * east, step[:, 1] * north))])
    first, last = done[begins], done[begins + sizes - 1]
    # a little more for each edge, so that where one ends and the next begins is not the same place
    shift = numpy.arange(len(edges)) * 1e-3
    at = first[owner] + share * (last - first)[owner] + shift[owner]
    along = done + numpy.repeat(shift, sizes)
    return numpy.stack([numpy.interp(at, along, line[:, axis]) for axis in (0, 1)], axis=1)


def _joined(parts: Sequence[Reached]) -> Reached:
    return Reached(numpy.concatenate([p.places for p in parts]), numpy.concatenate([p.seconds for p in parts]))


# --- the ground


def _polygons(reached: Reached, bands: Sequence[float]) -> list[dict[str, Any]]:
    """A feature for each band: the ground that is reached within it."""
    if len(reached.seconds) == 0:
        return [_feature(shapely.MultiPolygon(), low, high) for low, high in _pairs(bands)]
    low, high = reached.places.min(axis=0), reached.places.max(axis=0)
    scale = numpy.array(metres_a_degree(float((low[1] + high[1]) / 2)))
    span = (high - low) * scale + 2 * ASIDE_M
    cell = max(CELL_LEAST_M, float(span.max()) / CELLS_AT_MOST)
    shape = tuple(int(numpy.ceil(one / cell)) + 2 for one in span[::-1])
    corner = low - (ASIDE_M + cell) / scale
    columns, rows = (((reached.places - corner) * scale) / cell).astype(int).T
    grid = numpy.full(shape, numpy.inf)
    numpy.minimum.at(grid, (rows, columns), reached.seconds)
    away, (near_row, near_column) = ndimage.distance_transform_edt(
        numpy.isinf(grid), sampling=cell, return_indices=True
    )  # fmt: skip
    ground = grid[near_row, near_column] + away * (WALK_DETOUR / WALK_M_S)
    ground[away > ASIDE_M] = numpy.inf
    which = numpy.searchsorted(numpy.asarray(bands), ground, side="left").astype(numpy.uint8)
    transform = Affine(cell / scale[0], 0.0, corner[0], 0.0, cell / scale[1], corner[1])
    parts: list[list[Any]] = [[] for _ in bands]
    for geometry, value in rasterio.features.shapes(
        which, mask=which < len(bands), connectivity=4, transform=transform
    ):
        parts[int(value)].append(shapely.geometry.shape(geometry))
    # the steps of the grid are straightened, for all bands alike, so that they still meet
    whole = numpy.array([shapely.MultiPolygon(polygons) for polygons in parts])
    smooth = shapely.coverage_simplify(whole, cell / scale[1])
    return [_feature(shape, low_s, high_s) for shape, (low_s, high_s) in zip(smooth, _pairs(bands), strict=True)]


def _pairs(bands: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip([0.0, *bands], bands, strict=False))


def _feature(shape: Any, from_s: float, to_s: float) -> dict[str, Any]:
    middle = shape.centroid.y if not shape.is_empty else 0.0
    east, north = metres_a_degree(middle)
    geometry = shapely.geometry.mapping(shapely.set_precision(shape, 1e-6, mode="pointwise"))
    properties = {"from_s": from_s, "to_s": to_s, "area_m2": round(shape.area * east * north)}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


# --- the people


def _people(
    here: Situation, journeys: Sequence[Journey], bands: Sequence[float]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:  # fmt: skip
    """What the settlements of each band add up to, and those beyond."""
    seconds, persons = [], []
    for definition in demand_layers():
        places = here.places(definition)
        least = numpy.full(len(places.fid), numpy.inf)
        for journey in journeys:
            journey.stops = places.stops
            journey.found(here.ways, journey.tree)
            least = numpy.minimum(least, journey.seconds)
        seconds.append(least)
        persons.append(places.persons)
    every_s = numpy.concatenate(seconds) if seconds else numpy.zeros(0)
    every_p = numpy.concatenate(persons) if persons else numpy.zeros(0)
    which = numpy.searchsorted(numpy.asarray(bands), every_s, side="left")
    counts = [_count(every_p[which == band]) for band in range(len(bands))]
    return counts, _count(every_p[which >= len(bands)])


def demand_layers() -> list[Definition]:
    """The layers of places where people live."""
    return [definition for definition in catalog().values() if definition.demand is not None]


def _count(persons: Floats) -> dict[str, Any]:
    known = persons[~numpy.isnan(persons)]
    return {
        "settlements": len(persons),
        "persons": int(known.sum()) if len(known) else None,
        "persons_unknown": int(len(persons) - len(known)),
    }
