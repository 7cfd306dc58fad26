"""The network by hand: five edges, then random graphs against networkx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx
import numpy
import pytest
import shapely
from hypothesis import Phase, given, settings
from hypothesis import strategies as some
from pyproj import Geod

from gis.closures import Closure, Cuts
from gis.network import Network, Pieces, build, lengths_m, metres_a_degree, whole_units
from gis.travel import FOREVER_S, WALK_DETOUR, WALK_M_S, Ways, walk_s

GEODESIC = Geod(ellps="WGS84")
CLASSES = ("primary", "minor", "path")
M_S = 10.0


def pieces(lines: list[Any], ends: list[tuple[int, int]], **given: Any) -> Pieces:
    """Lines as pieces: both ways, nothing known about them but what is given."""
    count = len(lines)
    coordinates = [numpy.array(line, dtype=float) for line in lines]
    starts = numpy.concatenate([[0], numpy.cumsum([len(line) for line in coordinates])]).astype(numpy.int64)
    known: dict[str, Any] = {
        "fid": numpy.arange(1, count + 1), "ends": numpy.array(ends, dtype=numpy.int64).reshape(-1, 2),
        "coordinates": whole_units(numpy.concatenate(coordinates) if count else numpy.zeros((0, 2))), "starts": starts,
        "road_class": numpy.full(count, -1, numpy.int16), "access": numpy.full(count, -1, numpy.int16),
        "one_way": numpy.zeros(count, numpy.int8), "speed_km_h": numpy.full(count, numpy.nan, numpy.float32),
        "limits": numpy.full((count, 3), numpy.nan, numpy.float32), "raised": numpy.zeros(count, bool),
    }  # fmt: skip
    return Pieces(**(known | given))


def ways_of(network: Network, one_way: Any = None, closed: Any = None, slowed: Any = None) -> Ways:
    """Everybody at 10 m/s."""
    times = numpy.stack([network.edge_length_m / M_S] * 2, axis=1)
    times[network.edge_one_way < 0, 0] = numpy.inf
    times[network.edge_one_way > 0, 1] = numpy.inf
    return Ways(network, times, closed or {}, slowed or {})


# A square of 1 km and a diagonal road, at the equator, where a degree is 111 319.49 m long towards east:
#
#   3 ──── 2        edges by fid: 1: 0–1, 2: 1–2, 3: 2–3, 4: 3–0, 5: 0–2 (one way, as drawn)
#   │    ╱ │
#   0 ──── 1
EAST, NORTH = (1000.0 / d for d in metres_a_degree(0.0))
CORNERS = numpy.array([[0, 0], [EAST, 0], [EAST, NORTH], [0, NORTH]])
ENDS = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)]


@pytest.fixture
def square() -> Network:
    lines = [CORNERS[list(pair)] for pair in ENDS]
    return build(pieces(lines, ENDS, one_way=numpy.array([0, 0, 0, 0, 1], numpy.int8)))


def node_at(network: Network, corner: int) -> int:
    where = numpy.rint(CORNERS[corner] * 1e7)
    return int(numpy.flatnonzero((network.node_places == where).all(axis=1))[0])


def edge_of(network: Network, fid: int) -> int:
    return int(numpy.flatnonzero(network.edge_fid == fid)[0])


def seconds(ways: Ways, start: int, end: int, *, towards: bool = False) -> float:
    tree = ways.tree([(start, 0.0)], towards=towards, limit_s=FOREVER_S, ways=False)
    return float(tree.seconds[end])


def test_a_network_has_each_edge_and_its_length(square: Network) -> None:
    assert square.nodes == 4
    assert square.edges == 5
    sides = [square.edge_length_m[edge_of(square, fid)] for fid in (1, 2, 3, 4)]
    assert sides == pytest.approx([1000.0] * 4, abs=0.02)
    assert square.edge_length_m[edge_of(square, 5)] == pytest.approx(1000 * 2**0.5, abs=0.02)


def test_the_times_of_the_five_edges(square: Network) -> None:
    ways = ways_of(square)
    nodes = [node_at(square, corner) for corner in range(4)]
    assert seconds(ways, nodes[0], nodes[2]) == pytest.approx(141.42, abs=0.01)  # along the diagonal
    assert seconds(ways, nodes[2], nodes[0]) == pytest.approx(200.0, abs=0.01)  # not against it
    assert seconds(ways, nodes[0], nodes[2], towards=True) == pytest.approx(200.0, abs=0.01)  # from 2 to 0
    assert seconds(ways, nodes[1], nodes[3]) == pytest.approx(200.0, abs=0.01)


def test_a_closed_road_is_not_used_and_a_slow_one_takes_longer(square: Network) -> None:
    nodes = [node_at(square, corner) for corner in range(4)]
    diagonal, side = edge_of(square, 5), edge_of(square, 1)
    length = float(square.edge_length_m[diagonal])
    assert seconds(ways_of(square, closed={diagonal: (0.0, length)}), nodes[0], nodes[2]) == pytest.approx(
        200, abs=0.01
    )
    assert seconds(ways_of(square, slowed={diagonal: [(0.0, length, 1.2)]}), nodes[0], nodes[2]) == pytest.approx(
        169.71, abs=0.01
    )
    shut = dict.fromkeys((diagonal, side, edge_of(square, 4)), (0.0, 1.0))
    assert seconds(ways_of(square, closed=shut), nodes[0], nodes[2]) == numpy.inf


def test_a_place_beside_the_road_is_reached_on_foot(square: Network) -> None:
    ways = ways_of(square)
    stop = ways.stop(EAST / 4, -NORTH / 20, 500.0)  # 50 m south of edge 1, 250 m along it
    (near,) = stop.nears
    assert square.edge_fid[near.edge] == 1
    assert near.distance_m == pytest.approx(50.0, abs=0.01)
    assert near.offset_m == pytest.approx(250.0, abs=0.01)
    assert walk_s(50.0) == pytest.approx(50.0 * WALK_DETOUR / WALK_M_S)
    arcs = dict(ways.arcs(stop, towards=False))
    assert arcs[node_at(square, 0)] == pytest.approx(walk_s(near.distance_m) + 25.0, abs=0.01)
    assert arcs[node_at(square, 1)] == pytest.approx(walk_s(near.distance_m) + 75.0, abs=0.01)
    assert ways.stop(EAST / 4, -NORTH, 500.0).nears == ()
    assert ways.stop(EAST / 4, -NORTH, 500.0).walk_m is None


def test_two_places_on_one_road(square: Network) -> None:
    ways = ways_of(square)
    places = numpy.array([[EAST * 0.9, 0.0], [EAST * 0.2, 0.0]])
    stops = ways.stops(places, 100.0)
    stop = ways.stop(EAST * 0.6, 0.0, 100.0)
    assert ways.direct_s(stop, stops, towards=False) == pytest.approx([30.0, 40.0], abs=0.01)
    half = {edge_of(square, 1): (300.0, 400.0)}
    cut = ways_of(square, closed=half)
    assert cut.direct_s(stop, stops, towards=False) == pytest.approx([30.0, numpy.inf], abs=0.01)
    tree = cut.tree(cut.arcs(stop, towards=False), towards=False, limit_s=FOREVER_S, ways=False)
    around = cut.seconds_to(tree, stops, towards=False)
    assert around[1] == pytest.approx(40.0 + 300.0 + 20.0, abs=0.01)  # by corners 1, 2, 3, 0


def test_a_closure_in_the_middle_of_a_road_is_left_by_the_near_end(square: Network) -> None:
    cut = ways_of(square, closed={edge_of(square, 1): (300.0, 400.0)})
    before, behind, inside = (cut.stop(EAST * share, 0.0, 100.0) for share in (0.2, 0.6, 0.35))
    assert dict(cut.arcs(before, towards=False)) == {node_at(square, 0): pytest.approx(20.0, abs=0.01)}
    assert dict(cut.arcs(behind, towards=True)) == {node_at(square, 1): pytest.approx(40.0, abs=0.01)}
    assert cut.arcs(inside, towards=False) == []


def test_one_way_streets_at_their_own_ends(square: Network) -> None:
    ways = ways_of(square)
    stop = ways.stop(EAST / 2, NORTH / 2, 100.0)  # in the middle of the diagonal
    assert dict(ways.arcs(stop, towards=False)) == {node_at(square, 2): pytest.approx(70.71, abs=0.01)}
    assert dict(ways.arcs(stop, towards=True)) == {node_at(square, 0): pytest.approx(70.71, abs=0.01)}


def test_a_polygon_closes_what_lies_in_it(square: Network) -> None:
    cuts = Cuts(square)
    shape = shapely.box(EAST * 0.3, -NORTH * 0.1, EAST * 0.4, NORTH * 0.1)
    mask = cuts.mask([closure(1, shape), closure(2, shapely.Point(EAST / 2, NORTH / 2), factor=3.0)])
    assert {int(square.edge_fid[edge]): span for edge, span in mask.closed.items()} == {
        1: (pytest.approx(300.0, abs=0.05), pytest.approx(400.0, abs=0.05))
    }
    diagonal = edge_of(square, 5)
    ((first, last, factor),) = mask.slowed[diagonal]
    assert (last - first, factor) == (pytest.approx(50.0, abs=0.05), 3.0)
    assert [one.id for one in mask.on([edge_of(square, 1), diagonal])] == ["road_closures.1", "road_closures.2"]


def test_a_polygon_with_a_hole_leaves_the_hole_open(square: Network) -> None:
    ring = shapely.box(-EAST, -NORTH, EAST * 2, NORTH * 2).difference(
        shapely.box(-EAST / 2, -NORTH / 2, EAST * 1.5, NORTH * 1.5)
    )
    assert Cuts(square)(closure(1, ring)) == {}


def test_a_line_across_a_road_closes_it_there(square: Network) -> None:
    found = Cuts(square)(closure(1, shapely.LineString([(EAST / 2, -NORTH / 10), (EAST / 2, NORTH / 10)])))
    assert {int(square.edge_fid[edge]) for edge in found} == {1}
    (span,) = found.values()
    assert span == (pytest.approx(490.0, abs=0.1), pytest.approx(510.0, abs=0.1))


def test_a_point_closes_the_nearest_road_when_none_is_very_near(square: Network) -> None:
    found = Cuts(square)(closure(1, shapely.Point(EAST / 2, -NORTH * 0.08)))
    assert {int(square.edge_fid[edge]) for edge in found} == {1}
    assert Cuts(square)(closure(1, shapely.Point(EAST / 2, -NORTH * 0.12))) == {}


def closure(fid: int, shape: Any, factor: float = numpy.inf) -> Closure:
    return Closure("road_closures", fid, 1, None, factor, None, None, False, {}, shape)


def test_numbers_that_lie_apart_are_not_one_node() -> None:
    lines = [[(0, 0), (0.01, 0)], [(0.02, 0), (0.03, 0)]]
    network = build(pieces(lines, [(1, 2), (2, 3)]))
    assert network.nodes == 4
    assert network.report["nodes_apart"]["count"] == 1
    assert network.report["islands"]["count"] == 1


def test_what_is_noteworthy_is_reported() -> None:
    lines = [[(0, 0), (0.01, 0)], [(0.01, 0), (0, 0)], [(0.01, 0), (0.01, 0)], [(5, 5), (5.01, 5)]]
    network = build(pieces(lines, [(1, 2), (2, 1), (2, 3), (7, 8)]))
    report = network.report
    assert report["duplicates"]["count"] == 1
    assert report["without_length"] == {"count": 1, "examples": [3]}
    assert report["islands"] == {"count": 1, "edges_count": 1, "edges_examples": [4]}
    assert report["edges"] == 4


def test_an_empty_network_answers() -> None:
    network = build(pieces([], []))
    ways = ways_of(network)
    assert ways.stop(0, 0, 1000.0).nears == ()
    assert ways.stops(numpy.zeros((2, 2)), 1000.0).place.tolist() == []
    assert Cuts(network)(closure(1, shapely.box(-1, -1, 1, 1))) == {}


def test_a_mapped_network_is_the_same(square: Network, tmp_path: Path) -> None:
    square.save(tmp_path / "net")
    mapped = Network.mapped(tmp_path / "net")
    assert mapped.report == square.report
    nodes = [node_at(mapped, corner) for corner in range(4)]
    assert seconds(ways_of(mapped), nodes[0], nodes[2]) == seconds(ways_of(square), nodes[0], nodes[2])
    again = Network.mapped(tmp_path / "net")
    assert (again.heads == square.heads).all()  # a search writes to its own memory only


def test_lengths_are_geodesic() -> None:
    numbers = numpy.random.default_rng(1)
    line = numpy.cumsum(numpy.concatenate([[[105.0, 27.0]], numbers.normal(0, 0.005, (200, 2))]), axis=0)
    line = line.round(7)
    ours = lengths_m(whole_units(line), numpy.array([0, len(line)]))[0]
    assert ours == pytest.approx(GEODESIC.line_length(line[:, 0], line[:, 1]), rel=1e-7)


@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=some.integers(0, 2**32 - 1), count=some.integers(2, 30))
def test_times_are_those_of_networkx(seed: int, count: int) -> None:
    numbers = numpy.random.default_rng(seed)
    places = numpy.array([105.0, 27.0]) + numbers.random((count, 2)) * 0.1
    ends = [tuple(map(int, numbers.choice(count, 2, replace=False))) for _ in range(2 * count)]
    one_way = numbers.choice([-1, 0, 0, 1], len(ends)).astype(numpy.int8)
    network = build(pieces([places[list(pair)] for pair in ends], ends, one_way=one_way))
    shut = {int(edge): (0.0, 1.0) for edge in numbers.choice(len(ends), len(ends) // 4, replace=False)}
    slow = {int(edge): [(0.0, 1e9, 2.5)] for edge in numbers.choice(len(ends), len(ends) // 4, replace=False)}
    ways = ways_of(network, closed=shut, slowed=slow)
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(range(network.nodes))
    for edge, (first, last) in enumerate(network.edge_nodes.tolist()):
        cost = network.edge_length_m[edge] / M_S * (2.5 if edge in slow else 1.0)
        if edge not in shut and network.edge_one_way[edge] >= 0:
            graph.add_edge(first, last, weight=cost)
        if edge not in shut and network.edge_one_way[edge] <= 0:
            graph.add_edge(last, first, weight=cost)
    start = int(numbers.integers(network.nodes))
    expected = networkx.single_source_dijkstra_path_length(graph, start)
    tree = ways.tree([(start, 0.0)], towards=False, limit_s=FOREVER_S, ways=True)
    assert {n for n in range(network.nodes) if numpy.isfinite(tree.seconds[n])} == set(expected)
    assert [tree.seconds[n] for n in expected] == pytest.approx(list(expected.values()))
    reverse = ways.tree([(start, 0.0)], towards=True, limit_s=FOREVER_S, ways=False)
    for node in range(network.nodes):
        assert reverse.seconds[node] == pytest.approx(seconds(ways, node, start))  # A→B is the transposed B→A
    freer = ways_of(network, slowed=slow).tree([(start, 0.0)], towards=False, limit_s=FOREVER_S, ways=False)
    assert (freer.seconds <= tree.seconds + 1e-9).all()  # closing never shortens


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=some.integers(0, 2**32 - 1), count=some.integers(1, 60))
def test_the_nearest_place_is_that_of_brute_force(seed: int, count: int) -> None:
    numbers = numpy.random.default_rng(seed)
    lines = [numpy.array([105.0, 27.0]) + numbers.random((int(numbers.integers(2, 6)), 2)) * 0.05 for _ in range(count)]
    network = build(pieces(lines, [(2 * n, 2 * n + 1) for n in range(count)]))
    usable = numbers.random(network.edges) < 0.8
    places = numpy.array([105.0, 27.0]) + numbers.random((20, 2)) * 0.06
    edges, offsets, distances = network.near_many(places, usable, 3000.0)
    for number, place in enumerate(places):
        scale = numpy.array(metres_a_degree(place[1]))
        flat = [shapely.LineString((network.line(edge) - place) * scale) for edge in range(network.edges)]
        apart = [line.distance(shapely.Point(0, 0)) if usable[edge] else numpy.inf for edge, line in enumerate(flat)]
        near = network.near(*place, usable, 3000.0)
        if min(apart) > 3000.0:
            assert near is None
            assert edges[number] == -1
            continue
        assert near is not None
        assert near.distance_m == pytest.approx(min(apart), abs=0.001)
        assert distances[number] == pytest.approx(min(apart), abs=0.001)
        line = flat[near.edge]
        along = line.project(shapely.Point(0, 0)) / line.length * network.edge_length_m[near.edge]
        assert near.offset_m == pytest.approx(along, abs=0.5)
        assert (int(edges[number]), offsets[number]) == (near.edge, pytest.approx(near.offset_m, abs=0.001))
