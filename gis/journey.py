"""Journeys between one place and many: how long they take, by which edges they lead, and what closes on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy

from gis.closures import Closure, Cuts, Mask
from gis.network import Floats, Near, Network
from gis.travel import NO_NODE, Stop, Stops, Tree, Ways, search, walk_s


@dataclass(frozen=True)
class Way:
    """A way over the network, in the order of travel.

    Parameters
    ----------
    network : Network
        The network.
    parts : list of (int, float, float)
        Edges, each with where along it the way begins and where it ends, metres.
    walk_m : float
        How far one walks between the road and both places.
    """

    network: Network
    parts: list[tuple[int, float, float]]
    walk_m: float

    @property
    def road_m(self) -> float:
        """How long it is by road, metres."""
        return sum(abs(end - begin) for _, begin, end in self.parts)

    def geometry(self) -> dict[str, Any]:
        """The part by road as GeoJSON, WGS 84."""
        lines = [_stretch(self.network, *part) for part in self.parts]
        line = numpy.concatenate(lines) if lines else numpy.zeros((0, 2))
        keep = numpy.ones(len(line), dtype=bool)
        keep[1:] = (numpy.diff(line, axis=0) != 0).any(axis=1)
        line = line[keep]
        if len(line) == 1:
            line = numpy.repeat(line, 2, axis=0)
        return {"type": "LineString", "coordinates": line.round(7).tolist()}


def _stretch(network: Network, edge: int, begin_m: float, end_m: float) -> Floats:
    """The vertices of an edge between two places on it, in that order."""
    line = network.line(edge)
    length = float(network.edge_length_m[edge])
    scale = numpy.array([numpy.cos(numpy.radians(line[0, 1])), 1.0])
    done = numpy.concatenate([[0.0], numpy.cumsum(numpy.hypot(*(numpy.diff(line, axis=0) * scale).T))])
    low, high = (min(begin_m, end_m), max(begin_m, end_m))
    unit = done[-1] / length if length > 0 else 0.0
    low, high = low * unit, high * unit
    inner = line[(done > low) & (done < high)]
    ends = [numpy.array([numpy.interp(at, done, line[:, axis]) for axis in (0, 1)]) for at in (low, high)]
    found: Floats = numpy.vstack([ends[0], inner, ends[1]]).round(7)
    return found if begin_m <= end_m else found[::-1]


@dataclass(frozen=True)
class Passage:
    """How a place is left or reached: by the road beside it, and out of what closes that road.

    Parameters
    ----------
    stop : Stop
        The place.
    inside : list of Closure
        The closures that the place lies in: it may be left and reached through them, and through nothing else closed.
    free : dict of int to tuple of float
        The edges that these alone close.
    """

    stop: Stop
    inside: list[Closure]
    free: dict[int, tuple[float, float]]

    @classmethod
    def of(cls, ways: Ways, mask: Mask, stop: Stop) -> Passage:
        """The passage between a place and the network."""
        inside: list[Closure] = []
        for near in stop.nears[:1]:
            span = ways.closed.get(near.edge)
            if span is not None and span[0] <= near.offset_m <= span[1]:
                inside = [closure for closure in mask.by_edge[near.edge] if numpy.isinf(closure.factor)]
        around = set(inside)
        free = {
            edge: span
            for edge, span in ways.closed.items()
            if around and all(one in around or not numpy.isinf(one.factor) for one in mask.by_edge.get(edge, ()))
        }
        return cls(stop, inside, free)


class Journey:
    """Journeys between a place and many others, all in one direction.

    Parameters
    ----------
    ways : Ways
        The network as it may be used.
    passage : Passage
        The place.
    stops : Stops
        The others, S of them.
    towards : bool
        Whether one travels from the others to the place.

    Attributes
    ----------
    seconds : array of float, shape (S,)
        How long each takes; infinite when there is no way within the limit.
    limit_s : float
        The limit of the last search.
    open_s : array of float, shape (S,), optional
        The same as if nothing were closed.
    """

    def __init__(self, ways: Ways, passage: Passage, stops: Stops, *, towards: bool) -> None:
        self.ways, self.passage, self.stops, self.towards = ways, passage, stops, towards
        self.seconds: Floats = numpy.full(stops.count, numpy.inf)
        self.limit_s = 0.0
        self.open_s: Floats | None = None
        self._tree: Tree | None = None
        self._by_ends: Floats = numpy.zeros((0, 2))
        self._direct: Floats = numpy.zeros(0)
        self._open: tuple[Ways, Tree] | None = None
        self._inner: tuple[Ways, Tree] | None = None
        self._own: dict[int, Journey] = {}

    # --- searches

    def search(self, limit_s: float, ways: Ways | None = None, *, ways_wanted: bool = True) -> Tree:
        """The times within a limit from the place, or to it; and the ways, if they are wanted."""
        ways = ways or self.ways
        return ways.tree(self._starts(limit_s), towards=self.towards, limit_s=limit_s, ways=ways_wanted)

    @property
    def tree(self) -> Tree:
        """The search that was taken last."""
        assert self._tree is not None
        return self._tree

    def _starts(self, limit_s: float) -> list[tuple[int, float]]:
        """The nodes around the place; when it lies in closures, those where these end."""
        if not self.passage.inside:
            return self.ways.arcs(self.passage.stop, towards=self.towards)
        _, tree = self._through(limit_s)
        reached = numpy.flatnonzero(numpy.isfinite(tree.seconds[:-1]))
        return [(int(node), float(tree.seconds[node])) for node in reached if self._leads_on(int(node))]

    def _through(self, limit_s: float) -> tuple[Ways, Tree]:
        """The times within the closures that the place lies in."""
        if self._inner is None or self._inner[1].limit_s < limit_s:
            network = self.ways.network
            free = list(self.passage.free)
            times = numpy.full((network.edges, 2), numpy.inf)
            times[free] = self.ways.edge_s[free]
            inner = replace(self.ways, edge_s=times, closed={})
            starts = replace(self.ways, closed=_without(self.ways.closed, self.passage.free)).arcs(
                self.passage.stop, towards=self.towards
            )
            graph = inner.backward if self.towards else inner.forward
            self._inner = (inner, search(network, graph, starts, limit_s=limit_s, ways=True))
        return self._inner

    def _leads_on(self, node: int) -> bool:
        """Whether a node has an edge that is not closed."""
        network = self.ways.network
        arcs = slice(network.indptr[node], network.indptr[node + 1])
        graph = self.ways.backward if self.towards else self.ways.forward
        return bool(numpy.isfinite(graph.data[arcs]).any())

    def found(self, ways: Ways, tree: Tree) -> None:
        """Take the times of a search."""
        self.ways, self._tree, self.limit_s = ways, tree, tree.limit_s
        self._own.clear()
        self._by_ends = ways.times_by_ends_s(tree, self.stops, towards=self.towards)
        self._direct = ways.direct_s(self.passage.stop, self.stops, towards=self.towards)
        self.seconds = numpy.minimum(self.stops.best(self._by_ends), self._direct)

    def open(self, ways: Ways, stop: Stop, limit_s: float) -> Floats:
        """How long each takes as if nothing were closed."""
        starts = ways.arcs(stop, towards=self.towards)
        tree = ways.tree(starts, towards=self.towards, limit_s=limit_s, ways=True)
        self._open = (ways, tree)
        self.open_s = numpy.minimum(
            ways.seconds_to(tree, self.stops, towards=self.towards),
            ways.direct_s(stop, self.stops, towards=self.towards),
        )
        return self.open_s

    # --- ways

    def way(self, index: int) -> Way:
        """The way to or from one of the others that can be reached."""
        own = self._own.get(index)
        if own is not None:
            return own.way(0)
        assert self._tree is not None
        return self._way(self.ways, self._tree, index, inner=bool(self.passage.inside))

    def open_edges(self, index: int) -> list[int]:
        """The edges of the way to or from one of the others as if nothing were closed."""
        if self._open is None or self.open_s is None or not numpy.isfinite(self.open_s[index]):
            return []
        return [edge for edge, _, _ in self._way(*self._open, index, inner=False).parts]

    def _way(self, ways: Ways, tree: Tree, index: int, *, inner: bool) -> Way:
        """From the place outwards, then turned round when one travels towards it."""
        known = (self._by_ends, self._direct) if tree is self._tree else None
        entry, end, through_nodes = self._best_entry(ways, tree, index, known)
        network = ways.network
        near = self._direct_near(entry) if not through_nodes else None
        parts: list[tuple[int, float, float]]
        offset = float(self.stops.offset_m[entry])
        if near is not None:
            parts = [(near.edge, near.offset_m, offset)]
            walked = near.distance_m
        else:
            node = int(network.edge_nodes[self.stops.edge[entry], end])
            parts, first = self._edges(ways, tree, node)
            if inner:
                through, through_tree = self._through(0.0)
                before, first = self._edges(through, through_tree, first)
                parts = before + parts
                ways = replace(self.ways, closed=_without(self.ways.closed, self.passage.free))
            begin, walked = self._first_part(ways, first)
            length = float(network.edge_length_m[self.stops.edge[entry]])
            parts = [begin, *parts, (int(self.stops.edge[entry]), end * length, offset)]
        parts = [part for part in parts if part[1] != part[2]] or parts[:1]
        if self.towards:
            parts = [(edge, finish, begin) for edge, begin, finish in reversed(parts)]
        return Way(network, parts, walked + float(self.stops.walk_m[entry]))

    def _best_entry(
        self, ways: Ways, tree: Tree, index: int, known: tuple[Floats, Floats] | None
    ) -> tuple[int, int, bool]:  # fmt: skip
        """By which of its edges, and by which end of that, one of the others is reached; and whether by a node."""
        first, last = (int(n) for n in numpy.searchsorted(self.stops.place, [index, index + 1]))
        if known is not None:
            times, direct = known[0][first:last], float(known[1][index])
        else:
            part = self.stops.only(slice(first, last))
            times = ways.times_by_ends_s(tree, part, towards=self.towards)
            direct = float(ways.direct_s(self.passage.stop, part, towards=self.towards).min())
        best = int(times.argmin())
        if direct <= times.min():
            edges = self.stops.edge[first:last]
            same = [n for n, edge in enumerate(edges) if any(edge == near.edge for near in self.passage.stop.nears)]
            return first + same[0], 0, False
        return first + best // 2, best % 2, True

    def _direct_near(self, entry: int) -> Near | None:
        edge = int(self.stops.edge[entry])
        return next((near for near in self.passage.stop.nears if near.edge == edge), None)

    def _edges(self, ways: Ways, tree: Tree, node: int) -> tuple[list[tuple[int, float, float]], int]:
        """The edges between the place and a node, from the place outwards; and the node where they begin."""
        network = ways.network
        graph = ways.backward if self.towards else ways.forward
        assert tree.before is not None
        parts: list[tuple[int, float, float]] = []
        while (before := int(tree.before[node])) not in (network.nodes, NO_NODE):
            arcs = numpy.arange(network.indptr[before], network.indptr[before + 1])
            arcs = arcs[network.heads[arcs] == node]
            arc = int(arcs[graph.data[arcs].argmin()])
            edge = int(network.arc_edge[arc])
            length = float(network.edge_length_m[edge])
            along = int(network.edge_arcs[edge, 0]) == arc
            parts.append((edge, 0.0, length) if along else (edge, length, 0.0))
            node = before
        return parts[::-1], node

    def _first_part(self, ways: Ways, node: int) -> tuple[tuple[int, float, float], float]:
        """The stretch between the place and the first node, and how far one walks to it, metres."""
        network, best = ways.network, (numpy.inf, 0.0, (0, 0.0, 0.0))
        for near in self.passage.stop.nears:
            one = Stop((near,))
            for (found, seconds), end in zip(ways.arcs_of_ends(one, towards=self.towards), (0, 1), strict=True):
                if found == node and seconds < best[0]:
                    length = float(network.edge_length_m[near.edge])
                    best = (seconds, near.distance_m, (near.edge, near.offset_m, end * length))
        return best[2], best[1]

    # --- what closes on the way

    def check(self, index: int, cuts: Cuts, starts_s: Mapping[Closure, float]) -> None:
        """Of one that travels towards the place: take a way that it passes before it closes."""
        if index in self._own or not numpy.isfinite(self.seconds[index]):
            return
        later = _later(cuts, starts_s)
        passed = 0.0
        for edge, begin, end in self.way(index).parts:
            length = max(float(self.ways.network.edge_length_m[edge]), 1e-9)
            pace = float(self.ways.edge_s[edge, 0 if end >= begin else 1]) / length
            if edge in later:
                left = _left_s(self.ways, edge, pace, begin, end, later[edge][1])
                if left is not None and passed + left > later[edge][0]:
                    break
            passed += pace * self.ways.longer(edge, begin, end) * abs(end - begin)
        else:
            return
        first, last = numpy.searchsorted(self.stops.place, [index, index + 1])
        nears = tuple(
            Near(int(self.stops.edge[n]), float(self.stops.offset_m[n]), float(self.stops.walk_m[n]))
            for n in range(first, last)
        )
        freed = replace(self.ways, closed=_without(self.ways.closed, self.passage.free))
        own = Journey(freed, Passage(Stop(nears), [], {}), Stops.of([self.passage.stop]), towards=False)
        own.found(*too_late(cuts, own, own.search(self.limit_s), starts_s))
        self.seconds[index] = own.seconds[0]
        self._own[index] = own


def too_late(cuts: Cuts, journey: Journey, tree: Tree, starts_s: Mapping[Closure, float]) -> tuple[Ways, Tree]:
    """The search of a journey from its place, with what closes before it is passed.

    Notes
    -----
    An edge that the search passes after it has closed is closed, and the search done anew, until none is left. Closing
    makes no time shorter, so an edge that is passed too late in one search is in every later one.
    """
    later = _later(cuts, starts_s)
    ways, shut = journey.ways, dict[int, tuple[float, float]]()
    while True:
        open_still = [edge for edge in later if edge not in shut]
        new = [
            edge
            for edge in open_still
            if _is_late(ways, tree, edge, later) or not _is_passed(journey, ways, tree, edge, later)
        ]
        if not new:
            return ways, tree
        shut |= {edge: later[edge][1] for edge in new}
        ways = replace(journey.ways, closed={**shut, **journey.ways.closed})
        tree = journey.search(tree.limit_s, ways)


def _left_s(
    ways: Ways, edge: int, pace: float, begin: float, end: float, span: tuple[float, float]
) -> float | None:  # fmt: skip
    """How long after the beginning of a stretch a span of its edge is left; None when it does not lie on it."""
    low, high = min(begin, end), max(begin, end)
    if span[0] > high or span[1] < low:
        return None
    leaves = min(span[1], high) if end >= begin else max(span[0], low)
    return pace * ways.longer(edge, begin, leaves) * abs(leaves - begin)


def _is_passed(
    journey: Journey, ways: Ways, tree: Tree, edge: int, later: Mapping[int, tuple[float, tuple[float, float]]]
) -> bool:  # fmt: skip
    """Whether somebody can pass what will be closed of an edge before that, from either end or from the place."""
    seconds, span = later[edge]
    length = max(float(ways.network.edge_length_m[edge]), 1e-9)
    first, last = (int(node) for node in ways.network.edge_nodes[edge])
    along, against = (float(one) / length for one in ways.edge_s[edge])
    begins = [(0.0, tree.seconds[first], (along, length)), (length, tree.seconds[last], (against, 0.0))]
    for near in journey.passage.stop.nears:
        if near.edge == edge:
            walked = walk_s(near.distance_m)
            begins += [(near.offset_m, walked, (along, length)), (near.offset_m, walked, (against, 0.0))]
    for begin, reached, (pace, end) in begins:
        left = _left_s(ways, edge, pace, begin, end, span) if numpy.isfinite(pace) else None
        if left is not None and reached + left <= seconds:
            return True
    return False


def _later(cuts: Cuts, starts_s: Mapping[Closure, float]) -> dict[int, tuple[float, tuple[float, float]]]:
    """Of the edges that will be closed: in how many seconds, and from where to where."""
    later: dict[int, tuple[float, tuple[float, float]]] = {}
    for closure, seconds in starts_s.items():
        if numpy.isinf(closure.factor):
            for edge, span in cuts(closure).items():
                before = later.get(edge)
                later[edge] = (seconds, span) if before is None or seconds < before[0] else before
    return later


def _is_late(ways: Ways, tree: Tree, edge: int, later: Mapping[int, tuple[float, Any]]) -> bool:
    assert tree.before is not None
    first, last = (int(node) for node in ways.network.edge_nodes[edge])
    along, against = ways.now_s[edge]
    for tail, head, seconds in ((first, last, along), (last, first, against)):
        if tree.before[head] == tail and abs(tree.seconds[tail] + seconds - tree.seconds[head]) < 1e-6:
            return bool(tree.seconds[head] > later[edge][0])
    return False


def _without(
    closed: Mapping[int, tuple[float, float]], free: Mapping[int, Any]
) -> dict[int, tuple[float, float]]:  # fmt: skip
    return {edge: span for edge, span in closed.items() if edge not in free}
