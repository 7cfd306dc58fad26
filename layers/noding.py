"""A routable network out of lines that share nodes: where lines are cut, and which nodes are one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple


class Edge(NamedTuple):
    """One piece of a chain between two junctions: the chain's index, and the positions of both ends in it."""

    chain: int
    start: int
    end: int


def edges(chains: Sequence[Sequence[int]]) -> list[Edge]:
    """The edges of the network that the chains make.

    Parameters
    ----------
    chains : sequence of sequence of int
        The nodes along each line, at least two, no node twice in a row.

    Returns
    -------
    list of Edge
        In the order of the chains and along each of them; together they cover every chain exactly once, and no
        edge begins and ends at the same node.

    Notes
    -----
    A node is a junction when it ends a chain or is visited more than once, by several chains or twice by one.
    Lines that cross without a shared node (a bridge) are not joined. A piece that would return to the node it
    left (a closed loop) is cut once more half-way along its nodes, because a graph kept as a matrix has no room
    for an edge from a node to itself.

    Examples
    --------
    >>> edges([[1, 2, 3], [4, 2]])
    [Edge(chain=0, start=0, end=1), Edge(chain=0, start=1, end=2), Edge(chain=1, start=0, end=1)]
    >>> edges([[1, 2, 3, 1]])
    [Edge(chain=0, start=0, end=1), Edge(chain=0, start=1, end=3)]
    """
    visits = Counter(node for chain in chains for node in chain)
    found: list[Edge] = []
    for index, chain in enumerate(chains):
        last = len(chain) - 1
        cuts = [0, *(i for i in range(1, last) if visits[chain[i]] > 1), last]
        for start, end in pairwise(cuts):
            if chain[start] == chain[end]:
                middle = (start + end) // 2
                found += [Edge(index, start, middle), Edge(index, middle, end)]
            else:
                found.append(Edge(index, start, end))
    return found


def merged(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Which node stands for each of the nodes that pairs declare to be one: the smallest of its group.

    Parameters
    ----------
    pairs : iterable of (int, int)
        Nodes that are one.

    Returns
    -------
    dict of int to int
        Only the nodes that another one stands for.

    Examples
    --------
    >>> merged([(5, 4), (4, 3)])
    {5: 3, 4: 3}
    """
    stands_for: dict[int, int] = {}

    def root(node: int) -> int:
        while node in stands_for:
            node = stands_for[node]
        return node

    for left, right in pairs:
        low, high = sorted((root(left), root(right)))
        if low != high:
            stands_for[high] = low
    return {node: root(node) for node in stands_for}
