"""The road network as arrays: nodes, edges with their attributes and geometry, and a CSR graph over both.

Every edge has two arcs, one each way, whatever may be driven: what is barred has an infinite time. So one structure
serves all profiles, all closures and both directions of search; only the array of times changes. The arrays lie in one
folder, which all workers map into memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import shapely
from numpy.typing import NDArray
from scipy.sparse import csgraph, csr_matrix
from scipy.spatial import cKDTree

from gis.terrain import EQUATORIAL_RADIUS_M, FIRST_ECCENTRICITY_SQUARED

Floats = NDArray[numpy.float64]
Ints = NDArray[numpy.int32]
Bools = NDArray[numpy.bool_]

EDITION = "network 2"
"""Part of the name of a folder of arrays: another one when the same rows make other arrays."""
UNITS_A_DEGREE = 10_000_000
"""Coordinates are whole numbers of 1e-7 degrees: 1 cm."""
CHUNK = 16
"""Edges that lie beside one another and share a box, for the search of what is near."""
STARTS_AT_MOST = 1024
"""Room for the arcs that lead from where a search begins to the network."""
PLACES_AT_ONCE = 20_000
LINES_AT_ONCE = 50_000
APART_M = 20.0
"""Ends that bear the same number but lie further apart are not the same node."""
ONE_WAYS = {"no": 0, "forward": 1, "backward": -1}


@dataclass(frozen=True)
class Pieces:
    """Lines that meet at their ends only: what a network is made of.

    Parameters
    ----------
    fid : array of int64, shape (E,)
        The row of each piece.
    ends : array of int64, shape (E, 2)
        Numbers of the nodes at both ends.
    coordinates : array of int32, shape (V, 2)
        Longitude and latitude of the vertices of all pieces, one piece after another, WGS 84, 1e-7 degrees.
    starts : array of int64, shape (E + 1,)
        Where each piece begins among them, and where the last one ends.
    road_class, access : array of int16, shape (E,)
        Place in the code list; -1 when unknown.
    one_way : array of int8, shape (E,)
        0 both ways or unknown, 1 as drawn, -1 against the drawing.
    speed_km_h : array of float32, shape (E,)
        NaN when unknown.
    limits : array of float32, shape (E, 3)
        Width m, height m, weight t; NaN where there is none or it is unknown.
    raised : array of bool, shape (E,)
        Bridge or tunnel: the ground's slope says nothing about it.
    """

    fid: NDArray[numpy.int64]
    ends: NDArray[numpy.int64]
    coordinates: Ints
    starts: NDArray[numpy.int64]
    road_class: NDArray[numpy.int16]
    access: NDArray[numpy.int16]
    one_way: NDArray[numpy.int8]
    speed_km_h: NDArray[numpy.float32]
    limits: NDArray[numpy.float32]
    raised: Bools


class Near(NamedTuple):
    """A place on the network: an edge, how far along it from its first node, and how far away from it, metres."""

    edge: int
    offset_m: float
    distance_m: float


@dataclass(frozen=True)
class Network:
    """A network of N nodes and E edges, whose graph has 2 E arcs.

    Parameters
    ----------
    node_places : array of int32, shape (N, 2)
        Longitude and latitude, 1e-7 degrees.
    edge_fid : array of int64, shape (E,)
        The row of the layer that the edge is a piece of.
    edge_nodes : array of int32, shape (E, 2)
        First and last node.
    edge_length_m : array of float64, shape (E,)
        Length on the ellipsoid, metres.
    edge_class, edge_access, edge_one_way, edge_speed_km_h, edge_limits, edge_raised
        As of the pieces.
    edge_starts, coordinates
        As of the pieces; coordinates as int32, 1e-7 degrees.
    edge_boxes : array of int32, shape (E, 4)
        West, south, east, north of each edge, 1e-7 degrees.
    boxes : array of int32, shape (ceil(E / 16), 4)
        West, south, east, north of 16 edges each, 1e-7 degrees.
    indptr : array of int32, shape (N + 2,)
        Where the arcs of each node begin in ``heads``; the last row is that of the place where a search begins.
    heads : array of int32, shape (2 E + STARTS_AT_MOST,)
        The node that each arc leads to.
    edge_arcs : array of int32, shape (E, 2)
        The arc along each edge, and the one against it.
    report : dict
        What is noteworthy about the rows, in numbers with examples.
    """

    node_places: Ints
    edge_fid: NDArray[numpy.int64]
    edge_nodes: Ints
    edge_length_m: Floats
    edge_class: NDArray[numpy.int16]
    edge_access: NDArray[numpy.int16]
    edge_one_way: NDArray[numpy.int8]
    edge_speed_km_h: NDArray[numpy.float32]
    edge_limits: NDArray[numpy.float32]
    edge_raised: Bools
    edge_starts: NDArray[numpy.int64]
    coordinates: Ints
    edge_boxes: Ints
    boxes: Ints
    indptr: Ints
    heads: Ints
    edge_arcs: Ints
    report: Mapping[str, Any]

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.node_places)

    @property
    def edges(self) -> int:
        """How many edges there are."""
        return len(self.edge_fid)

    @cached_property
    def arc_edge(self) -> Ints:
        """The edge of each arc, shape (2 E,)."""
        edge_of = numpy.empty(2 * self.edges, dtype=numpy.int32)
        edge_of[self.edge_arcs] = numpy.arange(self.edges, dtype=numpy.int32)[:, None]
        return edge_of

    def line(self, edge: int) -> Floats:
        """Longitude and latitude of an edge's vertices, degrees, shape (V, 2)."""
        part = self.coordinates[self.edge_starts[edge] : self.edge_starts[edge + 1]]
        degrees: Floats = part / UNITS_A_DEGREE
        return degrees

    def near(self, lon: float, lat: float, usable: Bools, at_most_m: float) -> Near | None:
        """The nearest place on an edge that is usable; None when there is none within reach.

        Parameters
        ----------
        lon, lat : float
            WGS 84, degrees.
        usable : array of bool, shape (E,)
            Which edges count.
        at_most_m : float
            How far away it may lie, metres.

        Notes
        -----
        On the plane that touches the ellipsoid at the place: within 10 km the error is below one in ten thousand.
        """
        here = numpy.array([lon * UNITS_A_DEGREE, lat * UNITS_A_DEGREE])
        scale = numpy.array(metres_a_degree(lat)) / UNITS_A_DEGREE
        outside = numpy.maximum(numpy.maximum(self.boxes[:, :2] - here, here - self.boxes[:, 2:]), 0.0) * scale
        distances = numpy.hypot(outside[:, 0], outside[:, 1])
        within = numpy.flatnonzero(distances <= at_most_m)
        best: Near | None = None
        for chunk in within[numpy.argsort(distances[within], kind="stable")]:
            if best is not None and distances[chunk] > best.distance_m:
                break
            found = self._near_in(int(chunk), here, scale, usable)
            if found is not None and found.distance_m <= at_most_m and (best is None or found[2] < best[2]):
                best = found
        return best

    def _near_in(self, chunk: int, here: Floats, scale: Floats, usable: Bools) -> Near | None:
        """The nearest place on the edges of one box."""
        first, last = chunk * CHUNK, min((chunk + 1) * CHUNK, self.edges)
        if not usable[first:last].any():
            return None
        starts = self.edge_starts[first : last + 1] - self.edge_starts[first]
        places = (self.coordinates[self.edge_starts[first] : self.edge_starts[last]] - here) * scale
        begin, step = places[:-1], numpy.diff(places, axis=0)
        squared = numpy.einsum("ij,ij->i", step, step)
        along = numpy.clip(-numpy.einsum("ij,ij->i", begin, step) / numpy.where(squared > 0, squared, 1.0), 0.0, 1.0)
        foot = begin + along[:, None] * step
        distance = numpy.hypot(foot[:, 0], foot[:, 1])
        owner = numpy.repeat(numpy.arange(last - first), numpy.diff(starts))[:-1]
        distance[starts[1:-1] - 1] = numpy.inf  # from one edge's end to the next one's beginning
        distance[~usable[first:last][owner]] = numpy.inf
        segment = int(numpy.argmin(distance))
        if not numpy.isfinite(distance[segment]):
            return None
        edge = int(owner[segment])
        lengths = numpy.sqrt(squared[starts[edge] : starts[edge + 1] - 1])
        done = lengths[: segment - starts[edge]].sum() + along[segment] * lengths[segment - starts[edge]]
        total = lengths.sum()
        offset = float(done / total * self.edge_length_m[first + edge]) if total > 0 else 0.0
        return Near(first + edge, offset, float(distance[segment]))

    def near_many(self, places: Floats, usable: Bools, at_most_m: float) -> tuple[NDArray[numpy.int64], Floats, Floats]:
        """The same for many places: the edges, -1 where there is none, offsets and distances in metres.

        Parameters
        ----------
        places : array of float, shape (S, 2)
            Longitude and latitude, WGS 84, degrees.

        Notes
        -----
        The nearest node bounds how far away the nearest edge can be; edges in boxes within that bound are measured.
        """
        edge = numpy.full(len(places), -1, dtype=numpy.int64)
        offset, distance = numpy.zeros(len(places)), numpy.full(len(places), numpy.inf)
        nodes = numpy.unique(self.edge_nodes[usable])
        if len(nodes) == 0 or len(places) == 0:
            return edge, offset, distance
        east, north = metres_a_degree(places[:, 1])
        scale = numpy.stack([east, north], axis=1)
        plane = numpy.array(metres_a_degree(float(numpy.median(places[:, 1]))))
        at = self.node_places[nodes] / UNITS_A_DEGREE
        _, nearest = cKDTree(at * plane).query(places * plane)
        bound = numpy.minimum(numpy.hypot(*((at[nearest] - places) * scale).T) + 0.01, at_most_m)
        reach = bound[:, None] / scale
        squares = shapely.box(*(places - reach).T, *(places + reach).T)
        for first in range(0, len(places), PLACES_AT_ONCE):
            place, chunk = self._box_tree.query(squares[first : first + PLACES_AT_ONCE])
            place += first
            owner, pair_edge = self._within_bound(place, chunk, places, reach, usable)
            self._measure(place[owner], pair_edge, places, scale, edge, offset, distance)
        edge[distance > at_most_m] = -1
        return edge, offset, distance

    @cached_property
    def _box_tree(self) -> shapely.STRtree:
        boxes: Any = shapely.box(*(self.boxes.T / UNITS_A_DEGREE))
        return shapely.STRtree(boxes)

    def _within_bound(
        self, place: NDArray[numpy.int64], chunk: NDArray[numpy.int64], places: Floats, reach: Floats, usable: Bools
    ) -> tuple[NDArray[numpy.int64], NDArray[numpy.int64]]:  # fmt: skip
        """Of pairs of places and boxes of sixteen: the usable edges whose own box lies within the place's reach."""
        edges = (chunk[:, None] * CHUNK + numpy.arange(CHUNK)).ravel()
        pair = numpy.repeat(numpy.arange(len(chunk)), CHUNK)
        keep = edges < self.edges
        edges, pair = edges[keep], pair[keep]
        low = (places - reach)[place] * UNITS_A_DEGREE
        high = (places + reach)[place] * UNITS_A_DEGREE
        box = self.edge_boxes[edges]
        keep = usable[edges]
        for axis in (0, 1):
            keep &= (box[:, axis] <= high[pair, axis]) & (box[:, axis + 2] >= low[pair, axis])
        return pair[keep], edges[keep]

    def _measure(
        self, pair_place: NDArray[numpy.int64], pair_edge: NDArray[numpy.int64], places: Floats, scale: Floats,
        edge: NDArray[numpy.int64], offset: Floats, distance: Floats,
    ) -> None:  # fmt: skip
        """Measure pairs of places and edges; what is nearest is written to the last three."""
        if len(pair_edge) == 0:
            return
        sizes = self.edge_starts[pair_edge + 1] - self.edge_starts[pair_edge] - 1
        owner = numpy.repeat(numpy.arange(len(pair_edge)), sizes)
        firsts = numpy.cumsum(sizes) - sizes
        vertex = numpy.arange(len(owner)) - firsts[owner] + self.edge_starts[pair_edge][owner]
        here = places[pair_place[owner]]
        metres = scale[pair_place[owner]]
        begin = (self.coordinates[vertex] / UNITS_A_DEGREE - here) * metres
        step = (self.coordinates[vertex + 1] - self.coordinates[vertex]) / UNITS_A_DEGREE * metres
        squared = numpy.einsum("ij,ij->i", step, step)
        along = numpy.clip(-numpy.einsum("ij,ij->i", begin, step) / numpy.where(squared > 0, squared, 1.0), 0.0, 1.0)
        foot = begin + along[:, None] * step
        apart = numpy.hypot(foot[:, 0], foot[:, 1])
        order = numpy.lexsort((apart, pair_place[owner]))
        found, where = numpy.unique(pair_place[owner][order], return_index=True)
        best = order[where]
        lengths = numpy.sqrt(squared)
        done = numpy.concatenate([[0.0], numpy.cumsum(lengths)])
        pair = owner[best]
        total = done[firsts[pair] + sizes[pair]] - done[firsts[pair]]
        before = done[best] - done[firsts[pair]] + along[best] * lengths[best]
        edge[found], distance[found] = pair_edge[pair], apart[best]
        share = numpy.divide(before, total, out=numpy.zeros_like(total), where=total > 0)
        offset[found] = share * self.edge_length_m[pair_edge[pair]]

    def within(self, west: float, south: float, east: float, north: float) -> NDArray[numpy.int64]:
        """The edges whose own box meets a box given in degrees: all edges that touch it, and some more."""
        box = numpy.array([west, south, east, north]) * UNITS_A_DEGREE
        chunks = numpy.flatnonzero(_meet(self.boxes, box))
        edges = (chunks[:, None] * CHUNK + numpy.arange(CHUNK)).ravel()
        edges = edges[edges < self.edges]
        return edges[_meet(self.edge_boxes[edges], box)]

    def lines(self, edges: NDArray[numpy.int64]) -> tuple[Floats, NDArray[numpy.int64]]:
        """Longitude and latitude of the vertices of edges, degrees, and which edge in the list each belongs to."""
        sizes = self.edge_starts[edges + 1] - self.edge_starts[edges]
        owner = numpy.repeat(numpy.arange(len(edges)), sizes)
        vertex = numpy.arange(len(owner)) - (numpy.cumsum(sizes) - sizes)[owner] + self.edge_starts[edges][owner]
        return self.coordinates[vertex] / UNITS_A_DEGREE, owner

    # --- folders

    def save(self, folder: Path) -> None:
        """Write the arrays to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for field in fields(self):
            if field.name != "report":
                numpy.save(folder / f"{field.name}.npy", getattr(self, field.name), allow_pickle=False)
        (folder / "report.json").write_text(json.dumps(dict(self.report), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def mapped(cls, folder: Path) -> Network:
        """The network of a folder, its arrays mapped into memory; what is written to them stays in this process."""
        arrays: dict[str, Any] = {
            field.name: numpy.load(folder / f"{field.name}.npy", mmap_mode="c", allow_pickle=False)
            for field in fields(cls)
            if field.name != "report"
        }
        # plain arrays over the mapped memory: numpy's own class for it makes every small operation slower
        arrays = {name: numpy.asarray(array) for name, array in arrays.items()}
        return cls(**arrays, report=json.loads((folder / "report.json").read_text(encoding="utf-8")))


def _meet(boxes: Ints, box: Floats) -> Bools:
    """Which boxes meet a box."""
    east_west: Bools = (boxes[:, 0] <= box[2]) & (boxes[:, 2] >= box[0])
    both: Bools = east_west & (boxes[:, 1] <= box[3]) & (boxes[:, 3] >= box[1])
    return both


def metres_a_degree(lat: float | Floats) -> tuple[Any, Any]:
    """How long a degree of longitude and one of latitude are, in metres on the ellipsoid of WGS 84."""
    latitude = numpy.radians(lat)
    flattened = 1 - FIRST_ECCENTRICITY_SQUARED * numpy.sin(latitude) ** 2
    east = numpy.radians(EQUATORIAL_RADIUS_M * numpy.cos(latitude) / numpy.sqrt(flattened))
    north = numpy.radians(EQUATORIAL_RADIUS_M * (1 - FIRST_ECCENTRICITY_SQUARED) / flattened**1.5)
    return east, north


def whole_units(degrees: Floats) -> Ints:
    """Degrees as whole numbers of 1e-7 degrees."""
    return numpy.rint(degrees * UNITS_A_DEGREE).astype(numpy.int32)


def lengths_m(coordinates: Ints, starts: NDArray[numpy.int64]) -> Floats:
    """Lengths of lines on the ellipsoid of WGS 84, metres, shape (E,).

    Parameters
    ----------
    coordinates : array of int32, shape (V, 2)
        Longitude and latitude, 1e-7 degrees, of all lines one after another.
    starts : array of int, shape (E + 1,)
        Where each line begins among them, and where the last one ends.

    Notes
    -----
    Each segment is measured with the radii of curvature at its middle: for segments of 1 km the error is below
    1 in 10⁸, for 50 km below 1 in 10⁵.
    """
    lengths: Floats = numpy.zeros(max(len(starts) - 1, 0))
    for first in range(0, len(lengths), LINES_AT_ONCE):
        last = min(first + LINES_AT_ONCE, len(lengths))
        line = coordinates[starts[first] : starts[last]] / UNITS_A_DEGREE
        at = starts[first : last + 1] - starts[first]
        step = numpy.diff(line, axis=0)
        east, north = metres_a_degree((line[1:, 1] + line[:-1, 1]) / 2)
        segments = numpy.hypot(step[:, 0] * east, step[:, 1] * north)
        segments[at[1:-1] - 1] = 0.0
        done = numpy.concatenate([[0.0], numpy.cumsum(segments)])
        lengths[first:last] = done[at[1:] - 1] - done[at[:-1]]
    return lengths


def build(pieces: Pieces, noding: Mapping[str, Any] | None = None) -> Network:
    """The network that pieces make.

    Parameters
    ----------
    pieces : Pieces
        What it is made of.
    noding : mapping, optional
        What was found when they were cut, for the report.

    Notes
    -----
    Edges and nodes are numbered along a space-filling curve, so that what lies close together is close in memory. An
    end that bears another one's number but lies further than 20 m from it is a node of its own; it is reported, for
    such a number would join places that no road joins.
    """
    starts = pieces.starts
    whole = pieces.coordinates
    lengths = lengths_m(pieces.coordinates, starts)
    first, last = whole[starts[:-1]], whole[starts[1:] - 1]
    boxes = _boxes(whole, starts)
    order = numpy.argsort(_along_curve((boxes[:, :2].astype(numpy.int64) + boxes[:, 2:]) // 2), kind="stable")
    nodes, places, apart = _nodes(pieces.ends[order], first[order], last[order])
    sizes = numpy.diff(starts)[order]
    new_starts = numpy.concatenate([[0], numpy.cumsum(sizes)])
    picked = numpy.repeat(starts[:-1][order] - new_starts[:-1], sizes) + numpy.arange(new_starts[-1])
    indptr, heads, arcs = _graph(nodes, len(places))
    report = {
        **_report(pieces.fid[order], nodes, lengths[order], indptr, heads),
        **(noding or {}),
        "nodes_apart": {"count": len(apart), "examples": [int(pieces.fid[order][n]) for n in apart[:10]]},
    }
    return Network(
        node_places=places,
        edge_fid=pieces.fid[order],
        edge_nodes=nodes,
        edge_length_m=lengths[order],
        edge_class=pieces.road_class[order],
        edge_access=pieces.access[order],
        edge_one_way=pieces.one_way[order],
        edge_speed_km_h=pieces.speed_km_h[order],
        edge_limits=pieces.limits[order],
        edge_raised=pieces.raised[order],
        edge_starts=new_starts.astype(numpy.int64),
        coordinates=whole[picked],
        edge_boxes=boxes[order],
        boxes=_united(boxes[order]),
        indptr=indptr,
        heads=heads,
        edge_arcs=arcs,
        report=report,
    )


def _boxes(whole: Ints, starts: NDArray[numpy.int64]) -> Ints:
    """West, south, east, north of each line."""
    if len(starts) < 2:
        return numpy.zeros((0, 4), dtype=numpy.int32)
    least = numpy.minimum.reduceat(whole, starts[:-1], axis=0)
    most = numpy.maximum.reduceat(whole, starts[:-1], axis=0)
    return numpy.concatenate([least, most], axis=1)


def _united(boxes: Ints) -> Ints:
    """The boxes of CHUNK edges each."""
    if len(boxes) == 0:
        return boxes
    firsts = numpy.arange(0, len(boxes), CHUNK)
    least = numpy.minimum.reduceat(boxes[:, :2], firsts, axis=0)
    most = numpy.maximum.reduceat(boxes[:, 2:], firsts, axis=0)
    return numpy.concatenate([least, most], axis=1)


def _along_curve(places: NDArray[numpy.int64]) -> NDArray[numpy.int64]:
    """Places of 1e-7 degrees along the Z-order curve, 16 bits each way: cells of about 600 m."""
    number = numpy.zeros(len(places), dtype=numpy.int64)
    span = numpy.array([360 * UNITS_A_DEGREE, 180 * UNITS_A_DEGREE])
    for axis in (0, 1):
        cell = ((places[:, axis] + span[axis] // 2) * 65535 // span[axis]).astype(numpy.int64)
        for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
            cell = (cell | cell << shift) & mask
        number |= cell << axis
    return number


def _nodes(
    ends: NDArray[numpy.int64], first: Ints, last: Ints
) -> tuple[Ints, Ints, NDArray[numpy.int64]]:  # fmt: skip
    """Of edges: their nodes numbered anew, the nodes' places, and the edges whose ends are nodes of their own."""
    numbers = numpy.concatenate([ends[:, 0], ends[:, 1]])
    at = numpy.concatenate([first, last])
    _, where, nodes = numpy.unique(numbers, return_index=True, return_inverse=True)
    places = at[where]
    moved = numpy.flatnonzero((at != places[nodes]).any(axis=1))
    east, north = metres_a_degree(at[moved, 1] / UNITS_A_DEGREE)
    off = (at[moved].astype(numpy.int64) - places[nodes[moved]]) / UNITS_A_DEGREE
    apart = moved[numpy.hypot(off[:, 0] * east, off[:, 1] * north) > APART_M]
    if len(apart):
        own, inverse = numpy.unique(at[apart], axis=0, return_inverse=True)
        nodes[apart] = len(places) + inverse.ravel()
        places = numpy.concatenate([places, own])
    order = numpy.argsort(_along_curve(places.astype(numpy.int64)), kind="stable")
    rank = numpy.empty(len(order), dtype=numpy.int32)
    rank[order] = numpy.arange(len(order), dtype=numpy.int32)
    edges = len(ends)
    numbered = numpy.stack([rank[nodes[:edges]], rank[nodes[edges:]]], axis=1).astype(numpy.int32)
    return numbered, places[order], numpy.unique(apart % max(edges, 1))


def _graph(nodes: Ints, count: int) -> tuple[Ints, Ints, Ints]:
    """The CSR structure over the arcs of all edges, both ways, with an empty row for where a search begins."""
    edges = len(nodes)
    tails = numpy.concatenate([nodes[:, 0], nodes[:, 1]])
    heads = numpy.concatenate([nodes[:, 1], nodes[:, 0]])
    order = numpy.argsort(tails, kind="stable")
    place = numpy.empty(2 * edges, dtype=numpy.int32)
    place[order] = numpy.arange(2 * edges, dtype=numpy.int32)
    indptr = numpy.zeros(count + 2, dtype=numpy.int32)
    indptr[1 : count + 1] = numpy.cumsum(numpy.bincount(tails, minlength=count))
    indptr[count + 1] = 2 * edges
    room = numpy.zeros(STARTS_AT_MOST, dtype=numpy.int32)
    return (
        indptr,
        numpy.concatenate([heads[order], room]).astype(numpy.int32),
        numpy.stack([place[:edges], place[edges:]], axis=1),
    )


def _report(
    fid: NDArray[numpy.int64], nodes: Ints, lengths: Floats, indptr: Ints, heads: Ints
) -> dict[str, Any]:  # fmt: skip
    """What is noteworthy about a network: islands, arcs that are there twice, edges without length."""
    count, arcs = len(indptr) - 2, 2 * len(nodes)
    graph = csr_matrix((numpy.ones(arcs), heads[:arcs], indptr[:-1]), shape=(count, count))
    islands, labels = csgraph.connected_components(graph, directed=False) if count else (0, numpy.zeros(0, int))
    of_edge = labels[nodes[:, 0]] if len(nodes) else labels
    sizes = numpy.bincount(of_edge, minlength=max(islands, 1))
    main = int(sizes.argmax()) if len(sizes) else 0
    key = nodes.min(axis=1).astype(numpy.int64) * max(count, 1) + nodes.max(axis=1) if len(nodes) else fid[:0]
    order = numpy.lexsort((numpy.rint(lengths), key))
    same = (numpy.diff(key[order]) == 0) & (numpy.diff(numpy.rint(lengths[order])) == 0)
    again = numpy.sort(order[1:][same])
    dead = numpy.flatnonzero(lengths <= 0)
    outside = numpy.flatnonzero(of_edge != main)

    def told(found: NDArray[numpy.int64]) -> dict[str, Any]:
        return {"count": len(found), "examples": [int(fid[n]) for n in found[:10]]}

    return {
        "edges": len(nodes),
        "nodes": count,
        "length_km": round(float(lengths.sum()) / 1000, 3),
        "islands": {"count": max(int(islands) - 1, 0), **{f"edges_{k}": v for k, v in told(outside).items()}},
        "duplicates": told(again),
        "without_length": told(dead),
    }
