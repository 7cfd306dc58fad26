"""Lines that nobody has noded, by hand; then random ones, of which nothing may be lost."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import shapely
from hypothesis import Phase, given, settings
from hypothesis import strategies as some

from gis.noding import Noded, node


def noded(*lines: Any, level: Any = None, known: Any = None) -> Noded:
    made = numpy.array([shapely.LineString(line) for line in lines])
    levels = numpy.zeros(len(lines), dtype=numpy.int64) if level is None else numpy.array(level)
    return node(made, levels, numpy.zeros(len(lines), bool) if known is None else numpy.array(known))


def pieces(found: Noded) -> list[tuple[int, list[tuple[float, float]]]]:
    return [
        (int(line), [(float(x), float(y)) for x, y in found.coordinates[start:end].round(7)])
        for line, start, end in zip(found.line, found.starts, found.starts[1:], strict=False)
    ]


CROSS = ([(0, 0), (2, 2)], [(0, 2), (2, 0)])


def test_lines_that_cross_are_cut_there() -> None:
    found = noded(*CROSS)
    assert pieces(found) == [
        (0, [(0, 0), (1, 1)]), (0, [(1, 1), (2, 2)]), (1, [(0, 2), (1, 1)]), (1, [(1, 1), (2, 0)]),
    ]  # fmt: skip
    assert found.crossings == 1
    assert found.near_misses == []


def test_a_bridge_is_not_joined_to_what_it_crosses() -> None:
    assert len(pieces(noded(*CROSS, level=[0, 2]))) == 2


def test_an_end_on_another_line_is_a_junction() -> None:
    found = noded([(0, 0), (2, 0)], [(1, 0), (1, 1)])
    assert pieces(found) == [(0, [(0, 0), (1, 0)]), (0, [(1, 0), (2, 0)]), (1, [(1, 0), (1, 1)])]


def test_ends_that_meet_need_no_cut() -> None:
    assert len(pieces(noded([(0, 0), (1, 0)], [(1, 0), (2, 0)]))) == 2


def test_lines_upon_one_another_are_cut_at_both_ends_of_that() -> None:
    found = noded([(0, 0), (3, 0)], [(1, 0), (2, 0), (2, 1)])
    assert pieces(found) == [
        (0, [(0, 0), (1, 0)]), (0, [(1, 0), (2, 0)]), (0, [(2, 0), (3, 0)]), (1, [(1, 0), (2, 0)]),
        (1, [(2, 0), (2, 1)]),
    ]  # fmt: skip


def test_a_line_that_crosses_itself() -> None:
    found = noded([(0, 0), (2, 2), (2, 0), (0, 2)])
    assert pieces(found) == [
        (0, [(0, 0), (1, 1)]), (0, [(1, 1), (2, 2), (2, 0), (1, 1)]), (0, [(1, 1), (0, 2)]),
    ]  # fmt: skip


def test_a_near_miss_is_told_and_not_closed() -> None:
    found = noded([(0, 0), (0.01, 0)], [(0.005, 0.00002), (0.005, 0.01)])
    assert len(pieces(found)) == 2
    assert found.near_misses == [1]


def test_lines_with_numbers_are_cut_by_others_alone() -> None:
    found = noded(*CROSS, [(0.5, 0), (0.5, 2)], known=[True, True, False])
    assert [line for line, _ in pieces(found)] == [0, 0, 1, 1, 2, 2, 2]


def test_nothing_at_all() -> None:
    found = noded()
    assert pieces(found) == []


@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=some.integers(0, 2**32 - 1), count=some.integers(1, 12))
def test_no_length_is_lost_and_pieces_meet_at_ends_only(seed: int, count: int) -> None:
    numbers = numpy.random.default_rng(seed)
    lines = [(numbers.random((int(numbers.integers(2, 5)), 2)) * 0.01).round(7) for _ in range(count)]
    found = noded(*lines)
    cut = [shapely.LineString(line) for _, line in pieces(found)]
    for number, line in enumerate(lines):
        whole = sum(piece.length for (owner, _), piece in zip(pieces(found), cut, strict=True) if owner == number)
        assert whole == pytest.approx(shapely.LineString(line).length, abs=1e-6)
    for number, one in enumerate(cut):
        for other in cut[number + 1 :]:
            met = shapely.get_coordinates(one.intersection(other))
            ends = shapely.get_coordinates(shapely.MultiPoint([*one.coords[:1], *one.coords[-1:]]))
            for place in met:
                assert numpy.abs(ends - place).max(axis=1).min() < 5e-7
