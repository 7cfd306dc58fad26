"""Lines that nobody has noded: cut where they cross, and their ends numbered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import shapely
from numpy.typing import NDArray

from gis.network import UNITS_A_DEGREE, Bools, Floats, metres_a_degree

NEAR_MISS_M = 5.0
"""An end that close to another line, but not on it, is reported."""
SAME_DEGREES = 1.5 / UNITS_A_DEGREE


@dataclass(frozen=True)
class Noded:
    """Pieces of lines.

    Parameters
    ----------
    line : array of int64, shape (P,)
        The line that each piece is a part of, ascending.
    coordinates : array of float64, shape (V, 2)
        Longitude and latitude of all pieces, one after another, degrees.
    starts : array of int64, shape (P + 1,)
        Where each piece begins among them, and where the last one ends.
    crossings : int
        How many places were found where lines are cut.
    near_misses : list of int
        Lines that end less than 5 m from another one without touching it.
    """

    line: NDArray[numpy.int64]
    coordinates: Floats
    starts: NDArray[numpy.int64]
    crossings: int
    near_misses: list[int]


def node(lines: NDArray[numpy.object_], level: NDArray[numpy.int64], noded: Bools) -> Noded:
    """Cut lines where they cross or touch on the same level.

    Parameters
    ----------
    lines : array of shapely LineString, shape (L,)
        WGS 84, degrees.
    level : array of int64, shape (L,)
        Lines of different levels (a bridge, a tunnel, what it crosses) meet only where one ends at the other's end.
    noded : array of bool, shape (L,)
        Lines that are noded among each other: they are cut where others meet them.

    Returns
    -------
    Noded
        Cut to 1e-7 degrees (1 cm): pieces that meet have the same coordinates there.

    Notes
    -----
    Every crossing of two lines of one level is a junction, and so is every end of a line on another one of its level.
    Where lines lie upon one another they are cut at both ends of that. Nothing is moved to close a gap: ends that miss
    another line by less than 5 m are told instead.
    """
    lines = shapely.set_precision(lines, 1 / UNITS_A_DEGREE, mode="pointwise")
    tree = shapely.STRtree(lines)
    left, right = tree.query(lines, predicate="intersects")
    pairs = (left < right) & (level[left] == level[right]) & ~(noded[left] & noded[right])
    left, right = left[pairs], right[pairs]
    met = shapely.intersection(lines[left], lines[right])
    places, owner = shapely.get_coordinates(_ends_of_overlaps(met), return_index=True)
    cut_at = numpy.concatenate([places, places])
    cut_line = numpy.concatenate([left[owner], right[owner]])
    own = _own_crossings(lines, ~noded)
    cut_at = numpy.concatenate([cut_at, own[1]])
    cut_line = numpy.concatenate([cut_line, own[0]])
    cut_at = numpy.rint(cut_at * UNITS_A_DEGREE) / UNITS_A_DEGREE
    order = numpy.argsort(cut_line, kind="stable")
    cut_line, cut_at = cut_line[order], cut_at[order]
    bounds = numpy.searchsorted(cut_line, numpy.arange(len(lines) + 1))
    owners: list[int] = []
    pieces: list[Floats] = []
    for number, line in enumerate(lines):
        vertices = shapely.get_coordinates(line)
        for piece in _cut(vertices, cut_at[bounds[number] : bounds[number + 1]]):
            owners.append(number)
            pieces.append(piece)
    sizes = numpy.array([len(piece) for piece in pieces], dtype=numpy.int64)
    return Noded(
        numpy.array(owners, dtype=numpy.int64),
        numpy.concatenate(pieces) if pieces else numpy.zeros((0, 2)),
        numpy.concatenate([[0], numpy.cumsum(sizes)]).astype(numpy.int64),
        len(numpy.unique(cut_at, axis=0)),
        _near_misses(lines[~noded], level[~noded], lines, level, tree),
    )


def _ends_of_overlaps(met: NDArray[numpy.object_]) -> NDArray[numpy.object_]:
    """Of what lines have in common: the points, and the ends of the stretches."""
    lengthy = shapely.length(met) > 0
    found = met.copy()
    for place in numpy.flatnonzero(lengthy):
        parts = shapely.get_parts(met[place])
        merged = shapely.line_merge(shapely.multilinestrings([p for p in parts if shapely.get_dimensions(p) == 1]))
        ends = [shapely.get_coordinates(part)[[0, -1]] for part in shapely.get_parts(merged)]
        points = [shapely.get_coordinates(p) for p in parts if shapely.get_dimensions(p) == 0]
        found[place] = shapely.multipoints(numpy.concatenate(ends + points))
    return found


def _own_crossings(lines: NDArray[numpy.object_], which: Bools) -> tuple[NDArray[numpy.int64], Floats]:
    """Where lines cross themselves."""
    owners, places = [], []
    for number in numpy.flatnonzero(which & ~shapely.is_simple(lines)):
        vertices = shapely.get_coordinates(lines[number])
        whole = shapely.node(lines[number])
        ends = numpy.concatenate([shapely.get_coordinates(part)[[0, -1]] for part in shapely.get_parts(whole)])
        inner = ends[(numpy.abs(ends - vertices[0]).max(axis=1) > 0) & (numpy.abs(ends - vertices[-1]).max(axis=1) > 0)]
        owners.append(numpy.full(len(inner), number))
        places.append(inner)
    if not owners:
        return numpy.zeros(0, dtype=numpy.int64), numpy.zeros((0, 2))
    return numpy.concatenate(owners), numpy.concatenate(places)


def _cut(vertices: Floats, places: Floats) -> list[Floats]:
    """A line cut at places on it, wherever it passes them."""
    if len(places) == 0:
        return [vertices]
    begin, step = vertices[:-1], numpy.diff(vertices, axis=0)
    squared = numpy.maximum((step**2).sum(axis=1), 1e-30)
    cuts: list[tuple[int, float, Floats]] = []
    for place in numpy.unique(places, axis=0):
        along = numpy.clip(((place - begin) * step).sum(axis=1) / squared, 0.0, 1.0)
        away = numpy.abs(begin + along[:, None] * step - place).max(axis=1)
        for number in numpy.flatnonzero(away <= SAME_DEGREES):
            # the end of one segment is the beginning of the next
            cuts.append((int(number), float(along[number]), place))
            if _same(vertices[number + 1], place):
                cuts[-1] = (int(number) + 1, 0.0, place)
    pieces, piece, done = [], [vertices[0]], 0
    passed = {cut[:2]: cut for cut in cuts}
    for segment, _, place in (passed[key] for key in sorted(passed)):
        piece += list(vertices[done + 1 : segment + 1])
        done = max(done, segment)
        if not _same(piece[-1], place):
            piece.append(place)
        else:
            piece[-1] = place
        if len(piece) > 1:
            pieces.append(numpy.array(piece))
        piece = [place]
    rest = list(vertices[done + 1 :])
    if rest and _same(piece[-1], rest[0]):
        rest = rest[1:]
    if rest:
        pieces.append(numpy.array(piece + rest))
    return pieces or [vertices]


def _same(one: Floats, other: Floats) -> bool:
    return bool(numpy.abs(one - other).max() <= SAME_DEGREES)


def _near_misses(
    lines: NDArray[numpy.object_], level: NDArray[numpy.int64], every: NDArray[numpy.object_],
    levels: NDArray[numpy.int64], tree: shapely.STRtree,
) -> list[int]:  # fmt: skip
    """The lines of which an end nearly meets another one of their level, and touches none."""
    found = []
    for which in (0, -1):
        ends = shapely.get_point(lines, which)
        east, north = metres_a_degree(shapely.get_y(ends))
        line, other = tree.query(ends, predicate="dwithin", distance=NEAR_MISS_M / numpy.minimum(east, north))
        others = ~shapely.equals(lines[line], every[other])
        apart = shapely.distance(ends[line], every[other])
        touching = numpy.zeros(len(lines), dtype=bool)
        touching[line[others & (apart <= SAME_DEGREES)]] = True
        misses = others & (apart > SAME_DEGREES) & (level[line] == levels[other]) & ~touching[line]
        found.append(line[misses])
    return [int(number) for number in numpy.unique(numpy.concatenate(found))]
