"""Travel times over the network: from a place or to it, with what is closed, and the ways there.

The search is scipy's Dijkstra over the CSR arrays of ``gis.network``. A search begins at a place, which is a row of its
own in the graph: its arcs lead to the nodes around it, each with the time until there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy
from numpy.typing import NDArray
from scipy.sparse import csgraph, csr_matrix

from gis.network import STARTS_AT_MOST, Bools, Floats, Ints, Near, Network

WALK_M_S = 4 / 3.6
"""How fast one walks between a place and the road, a planning default."""
WALK_DETOUR = 1.3
"""How much longer that walk is than the straight line, a planning default."""
REMEMBERED_FROM, REMEMBERED_AT_MOST = 50, 32
ONE_BY_ONE_AT_MOST = 300
FOREVER_S = 1e9
"""Longer than any way. A search always has a limit: without one it would visit what cannot be reached."""
SAME_M = 0.01
"""Places on an edge that are no further apart are the same."""
NO_NODE = -9999
"""What scipy writes where there is no node before."""
_searching = threading.Lock()


@dataclass(frozen=True)
class Stop:
    """A place beside the network: the places on it from where it can be reached on foot, the nearest first.

    Parameters
    ----------
    nears : tuple of Near
        The nearest edge, and the nearest one of the part of the network where most edges are; none when all are too
        far away.
    """

    nears: tuple[Near, ...]

    @property
    def walk_m(self) -> float | None:
        """How far it is to the nearest edge, metres."""
        return self.nears[0].distance_m if self.nears else None


@dataclass(frozen=True)
class Tree:
    """The times of one search.

    Parameters
    ----------
    seconds : array of float, shape (N + 1,)
        From the place to each node, or from each node to the place; infinite beyond the limit.
    before : array of int32, shape (N + 1,), optional
        The node before each one on the way from the place (of a search towards the place: the next one).
    limit_s : float
        Nothing further away was looked at.
    """

    seconds: Floats
    before: Ints | None
    limit_s: float


@dataclass(frozen=True)
class Ways:
    """A network as somebody may use it at a moment.

    Parameters
    ----------
    network : Network
        With N nodes and E edges.
    edge_s : array of float, shape (E, 2)
        Seconds along each edge and against it when nothing is closed; infinite where it is barred.
    closed : dict of int to tuple of float
        Of the edges that are closed: from where to where along them, metres.
    slowed : dict of int to list of (float, float, float)
        Of the edges that are slow: from where to where along them, metres, and how many times as long that takes.
    """

    network: Network
    edge_s: Floats
    closed: dict[int, tuple[float, float]]
    slowed: dict[int, list[tuple[float, float, float]]]

    @cached_property
    def now_s(self) -> Floats:
        """Seconds along each edge and against it, shape (E, 2), with what is closed and slow."""
        if not self.closed and not self.slowed:
            return self.edge_s
        times = self.edge_s.copy()
        whole = [self.longer(edge, 0.0, numpy.inf) for edge in self.slowed]
        times[numpy.fromiter(self.slowed, int)] *= numpy.array(whole)[:, None] if whole else 1.0
        times[numpy.fromiter(self.closed, int)] = numpy.inf
        return times

    def longer(self, edge: int, begin_m: float, end_m: float) -> float:
        """How many times as long a stretch of an edge takes as when nothing were slow."""
        length = float(self.network.edge_length_m[edge])
        low, high = sorted((max(begin_m, 0.0), min(end_m, length)))
        if high <= low:
            return 1.0
        slow_m = sum(
            (factor - 1) * max(min(high, last) - max(low, first), 0.0)
            for first, last, factor in self.slowed.get(edge, ())
        )
        return 1.0 + slow_m / (high - low)

    @cached_property
    def forward(self) -> csr_matrix:
        """The graph in the direction of travel."""
        return self._graph(self.now_s)

    @cached_property
    def backward(self) -> csr_matrix:
        """The graph against the direction of travel."""
        return self._graph(self.now_s[:, ::-1])

    def _graph(self, times: Floats) -> csr_matrix:
        network = self.network
        data = numpy.full(2 * network.edges + STARTS_AT_MOST, numpy.inf)
        data[network.edge_arcs] = times
        return graph_of(network, data)

    @cached_property
    def usable(self) -> Bools:
        """The edges that may be used at least one way, as if nothing were closed."""
        return numpy.asarray(numpy.isfinite(self.edge_s).any(axis=1))

    @cached_property
    def in_main_part(self) -> Bools:
        """The edges of the greatest part of the network in which every node can be reached from every other."""
        network = self.network
        data = numpy.zeros(2 * network.edges)
        data[network.edge_arcs] = numpy.isfinite(self.edge_s)
        keep = data > 0
        tails = numpy.repeat(numpy.arange(network.nodes), numpy.diff(network.indptr[:-1]))[keep]
        graph = csr_matrix(
            (numpy.ones(len(tails), dtype=numpy.int8), (tails, network.heads[: 2 * network.edges][keep])),
            shape=(network.nodes, network.nodes),
        )
        _, labels = csgraph.connected_components(graph, connection="strong")
        sizes = numpy.bincount(labels[network.edge_nodes[self.usable, 0]], minlength=1)
        main = labels == sizes.argmax()
        inside: Bools = self.usable & main[network.edge_nodes].all(axis=1)
        return inside

    # --- places

    def stop(self, lon: float, lat: float, at_most_m: float) -> Stop:
        """A place beside the network; without nearby edges when none that may be used lies within reach."""
        near = self.network.near(lon, lat, self.usable, at_most_m)
        if near is None:
            return Stop(())
        if self.in_main_part[near.edge]:
            return Stop((near,))
        main = self.network.near(lon, lat, self.in_main_part, at_most_m)
        return Stop((near,) if main is None else (near, main))

    def arcs(self, stop: Stop, *, towards: bool) -> list[tuple[int, float]]:
        """The nodes around a place, each with the time from the place to it; of ``towards``, from it to the place."""
        return [arc for arc in self.arcs_of_ends(stop, towards=towards) if numpy.isfinite(arc[1])]

    def arcs_of_ends(self, stop: Stop, *, towards: bool) -> list[tuple[int, float]]:
        """The same for both ends of each edge, in their order; the time is infinite where there is no way."""
        return [
            (int(self.network.edge_nodes[near.edge, end]), walk_s(near.distance_m) + seconds)
            for near in stop.nears
            for end, seconds in self.ends_s(near, towards=towards)
        ]

    def ends_s(self, near: Near, *, towards: bool) -> list[tuple[int, float]]:
        """Time from a place on an edge to its first and its last node, or from them to it."""
        length = self.network.edge_length_m[near.edge]
        part = near.offset_m / length if length > 0 else 0.0
        along, against = self.edge_s[near.edge]
        to_first, to_last = (along, against) if towards else (against, along)
        first_s = _part_of(to_first * self.longer(near.edge, 0.0, near.offset_m), part)
        last_s = _part_of(to_last * self.longer(near.edge, near.offset_m, numpy.inf), 1 - part)
        shut = self.closed.get(near.edge)
        if shut is not None:  # what lies before the closure can still be left by the near end
            first_s = first_s if near.offset_m < shut[0] else numpy.inf
            last_s = last_s if near.offset_m > shut[1] else numpy.inf
        return [(0, first_s), (1, last_s)]

    def stops(self, places: Floats, at_most_m: float) -> Stops:
        """Many places beside the network, of shape (S, 2): longitude and latitude, degrees."""
        if len(places) <= ONE_BY_ONE_AT_MOST:
            return Stops.of([self.stop(float(lon), float(lat), at_most_m) for lon, lat in places])
        edge, offset, distance = self.network.near_many(places, self.usable, at_most_m)
        found = numpy.flatnonzero(edge >= 0)
        aside = found[~self.in_main_part[edge[found]]]
        other, along, away = self.network.near_many(places[aside], self.in_main_part, at_most_m)
        also = other >= 0
        place = numpy.concatenate([found, aside[also]])
        order = numpy.argsort(place, kind="stable")
        return Stops(
            len(places),
            place[order],
            numpy.concatenate([edge[found], other[also]])[order],
            numpy.concatenate([offset[found], along[also]])[order],
            numpy.concatenate([distance[found], away[also]])[order],
        )

    # --- searches

    def tree(self, starts: Sequence[tuple[int, float]], *, towards: bool, limit_s: float, ways: bool) -> Tree:
        """Times from a place to all nodes within a limit, or of ``towards`` from all nodes to it.

        Parameters
        ----------
        starts : sequence of (int, float)
            The nodes around the place with the times until there.
        limit_s : float
            How far to look, seconds.
        ways : bool
            Whether to tell by which nodes.
        """
        return search(self.network, self.backward if towards else self.forward, starts, limit_s=limit_s, ways=ways)

    def seconds_to(self, tree: Tree, stops: Stops, *, towards: bool) -> Floats:
        """Times from the place of a tree to stops, or of ``towards`` from the stops to it; infinite when there is none.

        Returns
        -------
        array of float, shape (S,)
        """
        return stops.best(self.times_by_ends_s(tree, stops, towards=towards))

    def times_by_ends_s(self, tree: Tree, stops: Stops, *, towards: bool) -> Floats:
        """The same by both ends of each entry of the stops, shape (K, 2)."""
        # of a search from the place, the time from an edge's ends to the stop is asked; of one towards it, the reverse
        nodes, ends = self._ends_of(stops, towards=not towards)
        return ends + tree.seconds[nodes]

    def _ends_of(self, stops: Stops, *, towards: bool) -> tuple[Ints, Floats]:
        """The nodes of the stops' edges, and the times between them and the stops; remembered for large layers."""
        key = (id(stops), towards)
        kept = self._remembered.get(key)
        if kept is None or kept[0] is not stops:
            kept = (stops, self.network.edge_nodes[stops.edge], stops.ends_s(self, towards=towards))
            if stops.count >= REMEMBERED_FROM:
                if len(self._remembered) >= REMEMBERED_AT_MOST:
                    self._remembered.clear()
                self._remembered[key] = kept
        return kept[1], kept[2]

    @cached_property
    def _remembered(self) -> dict[tuple[int, bool], tuple[Stops, Ints, Floats]]:
        return {}

    def direct_s(self, stop: Stop, stops: Stops, *, towards: bool) -> Floats:
        """The same for stops on the edge of the place itself, along that edge alone."""
        least: Floats = numpy.full(stops.count, numpy.inf)
        for near in stop.nears:
            length = max(float(self.network.edge_length_m[near.edge]), 1e-9)
            along, against = self.edge_s[near.edge] / length
            shut = self.closed.get(near.edge)
            for entry in numpy.flatnonzero(stops.edge == near.edge):
                begin, end = near.offset_m, float(stops.offset_m[entry])
                if shut is not None and min(begin, end) <= shut[1] and max(begin, end) >= shut[0]:
                    continue
                pace = along if (end >= begin) != towards else against
                pace *= self.longer(near.edge, begin, end)
                apart = abs(end - begin) if abs(end - begin) > SAME_M else 0.0
                seconds = _part_of(pace, apart) + walk_s(near.distance_m + float(stops.walk_m[entry]))
                place = stops.place[entry]
                least[place] = min(least[place], seconds)
        return least


@dataclass(frozen=True)
class Stops:
    """Many places beside the network, each with up to two edges.

    Parameters
    ----------
    count : int
        How many places there are, S.
    place : array of int64, shape (K,)
        Which place each entry belongs to, ascending.
    edge : array of int64, shape (K,)
        Its edge.
    offset_m, walk_m : array of float, shape (K,)
        How far along the edge, and how far away from it.
    """

    count: int
    place: NDArray[numpy.int64]
    edge: NDArray[numpy.int64]
    offset_m: Floats
    walk_m: Floats

    @classmethod
    def of(cls, stops: Sequence[Stop]) -> Stops:
        """Places as arrays."""
        entries = [(place, *near) for place, stop in enumerate(stops) for near in stop.nears]
        table = numpy.array(entries, dtype=float).reshape(-1, 4)
        return cls(
            len(stops), table[:, 0].astype(numpy.int64), table[:, 1].astype(numpy.int64), table[:, 2], table[:, 3]
        )

    def only(self, entries: slice) -> Stops:
        """Some entries, each as a place of its own."""
        edge = self.edge[entries]
        return Stops(len(edge), numpy.arange(len(edge)), edge, self.offset_m[entries], self.walk_m[entries])

    def walk_of(self, place: int) -> float | None:
        """How far a place is from the nearest edge, metres; None when it is too far away."""
        first, last = numpy.searchsorted(self.place, [place, place + 1])
        return float(self.walk_m[first:last].min()) if last > first else None

    def ends_s(self, ways: Ways, *, towards: bool) -> Floats:
        """Time from both ends of its edge to each place (``towards``), or from the place to them; shape (K, 2)."""
        length = ways.network.edge_length_m[self.edge]
        part = numpy.divide(self.offset_m, length, out=numpy.zeros_like(length), where=length > 0)
        whole = ways.edge_s[self.edge] if towards else ways.edge_s[self.edge][:, ::-1]
        share = numpy.stack([part, 1 - part], axis=1)
        times = numpy.where(share > 0, whole * numpy.maximum(share, 1e-300), 0.0)
        touched = ways.closed.keys() | ways.slowed.keys()
        if touched:
            for entry in numpy.flatnonzero(numpy.isin(self.edge, list(touched))):
                near = Near(int(self.edge[entry]), float(self.offset_m[entry]), 0.0)
                times[entry] = [seconds for _, seconds in ways.ends_s(near, towards=towards)]
        times += self.walk_m[:, None] * (WALK_DETOUR / WALK_M_S)
        return times

    def best(self, times: Floats) -> Floats:
        """The least of the times of each place; times of shape (K, 2)."""
        least: Floats = numpy.full(self.count, numpy.inf)
        if len(times):
            firsts = numpy.flatnonzero(numpy.diff(self.place, prepend=-1))
            least[self.place[firsts]] = numpy.minimum.reduceat(times.min(axis=1), firsts)
        return least


def walk_s(distance_m: float) -> float:
    """How long it takes to walk to the road."""
    return distance_m * WALK_DETOUR / WALK_M_S


def _part_of(seconds: float, part: float) -> float:
    """A part of a time, which may be infinite; no part of it takes no time."""
    return float(seconds * part) if part > 0 else 0.0


def graph_of(network: Network, data: Floats) -> csr_matrix:
    """The graph with a time for each arc; the arrays are taken as they are."""
    size = network.nodes + 1
    graph = csr_matrix((size, size))
    graph.data, graph.indices, graph.indptr = data, network.heads, network.indptr
    return graph


def search(
    network: Network, graph: csr_matrix, starts: Sequence[tuple[int, float]], *, limit_s: float, ways: bool
) -> Tree:
    """Times from a place to all nodes within a limit (see ``Ways.tree``)."""
    least = sorted(_least(starts).items(), key=lambda start: start[1])
    nodes, times = [node for node, _ in least], [seconds for _, seconds in least]
    first, place = 2 * network.edges, network.nodes
    limit_s = min(limit_s, FOREVER_S)
    if len(least) > STARTS_AT_MOST:
        graph = _with_starts(network, graph, nodes, times)
        found = csgraph.dijkstra(graph, indices=place, limit=limit_s, return_predecessors=ways)
    else:
        with _searching:  # the place's own row is shared
            end = first + len(least)
            network.heads[first:end] = nodes
            graph.data[first:end] = times
            network.indptr[place + 1] = end
            try:
                found = csgraph.dijkstra(graph, indices=place, limit=limit_s, return_predecessors=ways)
            finally:
                network.indptr[place + 1] = first
    seconds, before = found if ways else (found, None)
    return Tree(seconds, before, limit_s)


def _with_starts(network: Network, graph: csr_matrix, nodes: Sequence[int], times: Sequence[float]) -> csr_matrix:
    """The graph with more arcs from the place than there is room for: a copy."""
    first = 2 * network.edges
    indptr = network.indptr.copy()
    indptr[network.nodes + 1] = first + len(nodes)
    wider = csr_matrix(graph.shape)
    wider.data = numpy.concatenate([graph.data[:first], times])
    wider.indices = numpy.concatenate([network.heads[:first], numpy.array(nodes, dtype=numpy.int32)])
    wider.indptr = indptr
    return wider


def _least(starts: Iterable[tuple[int, float]]) -> dict[int, float]:
    least: dict[int, float] = {}
    for node, seconds in starts:
        least[node] = min(seconds, least.get(node, numpy.inf))
    return least
