"""Road network of the sample county: least-cost paths between settlements, cut into edges at their junctions.

The network is built in one pass over the grid: a search from all settlements at once divides the land into
their neighbourhoods; the cheapest crossing between two neighbourhoods joins their settlements. Of these joins
the relative neighbourhood graph is kept, which contains the minimum spanning tree.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import pairwise

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import shapely.ops
from pyproj import Geod
from scipy import ndimage, sparse, spatial
from scipy.sparse import csgraph

from layers.sample.places import Areas, Mask
from layers.sample.terrain import Floats, Grid, Ints, Terrain, cost_graph
from layers.sample.water import RIVER_M2

CLASSES = ("trunk", "primary", "secondary", "tertiary", "minor")
SPEED_KM_H = {"motorway": 80, "trunk": 60, "primary": 50, "secondary": 40, "tertiary": 30, "minor": 20}
WIDTH_M = {"motorway": 24.5, "trunk": 12.0, "primary": 9.0, "secondary": 7.0, "tertiary": 5.5, "minor": 4.0}
SURFACE = {kind: "水泥" if kind in ("tertiary", "minor") else "沥青" for kind in SPEED_KM_H}
MOST_BASE_SETTLEMENTS = 10_000
GEODESIC = Geod(ellps="WGS84")


@dataclass
class Network:
    """Edges under construction: lines as arrays of positions, ends as numbers of nodes."""

    lines: list[Floats]
    ends: list[tuple[int, int]]
    kinds: list[str]
    names: list[str]
    bridges: list[bool]
    positions: list[tuple[float, float]]

    def node(self, lon: float, lat: float) -> int:
        """Number of a new node."""
        self.positions.append((lon, lat))
        return len(self.positions) - 1

    def add(self, line: Floats, start: int, end: int, kind: str, name: str, bridge: bool = False) -> None:
        """One more edge; its line begins and ends exactly at its nodes."""
        line = np.array(line, dtype=float)
        line[0], line[-1] = self.positions[start], self.positions[end]
        self.lines.append(line)
        self.ends.append((start, end))
        self.kinds.append(kind)
        self.names.append(name)
        self.bridges.append(bridge)


def roads(
    terrain: Terrain, land: Areas, mask: Mask, homes: pd.DataFrame, count: int, rng: np.random.Generator
) -> geopandas.GeoDataFrame:
    """Exactly ``count`` edges of a network that joins all settlements.

    Notes
    -----
    Above 10 000 settlements the rest is joined by straight local edges: a spanning tree and the shortest further
    edges of a Delaunay triangulation. Not modelled: grade separation other than the motorway's, turn restrictions.
    """
    base = homes.iloc[:MOST_BASE_SETTLEMENTS]
    seed = int(rng.integers(2**32))
    for loops in (1.0, 0.5, 0.0):
        network = _base(terrain, land, mask, base, loops, np.random.default_rng(seed))
        _add_streets(network, terrain, homes.iloc[0], np.random.default_rng(seed + 1))
        _join_crossings(network)
        _add_motorway(network, terrain, mask, land)
        _add_bridges(network, terrain, limit=min(count // 40, (count - len(network.lines)) // 2))
        if len(network.lines) <= count:
            break
    else:
        raise ValueError(f"the network needs {len(network.lines)} edges, more than {count}")
    rest = homes.iloc[MOST_BASE_SETTLEMENTS:]
    spare = min(count, max(len(network.lines), round(1.5 * len(network.lines)))) if len(rest) else count
    _split(network, spare)
    frame = _frame(network)
    if len(rest):
        frame = pd.concat([frame, _local(network, rest, terrain, count - len(frame))], ignore_index=True)
    return _finished(frame)


def _base(
    terrain: Terrain, land: Areas, mask: Mask, homes: pd.DataFrame, loops: float, rng: np.random.Generator
) -> Network:
    """The network of least-cost paths; ``loops`` is the share kept of the joins beyond a spanning tree."""
    grid = terrain.coarse
    graph = cost_graph(_cost(terrain, mask), grid)
    row, column = grid.rowcolumn(homes["lon"], homes["lat"])
    cells, first, place = np.unique(row * grid.columns + column, return_index=True, return_inverse=True)
    exits = _exits(terrain, mask, land)
    cells, sources = _with_exits(cells, exits)
    cost, before, nearest = csgraph.dijkstra(graph, indices=cells, min_only=True, return_predecessors=True)
    joins = _joins(graph, cost, nearest, cells)
    joins = joins[_kept(joins, len(cells), loops)].reset_index(drop=True)
    rank = _ranks(joins, sources[place[: len(land.names)]], np.searchsorted(cells, exits), len(cells))
    head, tail, kind = _edges(joins, rank, before, grid)
    position = _positions(grid, cells[sources], homes.take(first), rng)
    title = dict(zip(cells[sources].tolist(), homes["name"].iloc[first], strict=True))
    network = Network([], [], [], [], [], [])
    _trace(network, head, tail, kind, position, set(cells.tolist()), title)
    return network


def _with_exits(cells: Ints, exits: Ints) -> tuple[Ints, Ints]:
    """All cells to be joined, sorted, and where each of the settlements' ``cells`` stands among them."""
    every = np.union1d(cells, exits)
    return every, np.searchsorted(every, cells)


def _cost(terrain: Terrain, mask: Mask) -> Floats:
    """Cost of a metre of road: steep ground, rivers and the land outside the county are avoided."""
    cost = 1 + (terrain.coarse_slope_deg / 7) ** 2
    river = terrain.area_m2 >= RIVER_M2
    thick = ndimage.binary_dilation(river)
    cost = cost * np.where(thick, 2.5, 1) * np.where(river, 4, 1)
    cost[~np.asarray(ndimage.binary_erosion(mask, iterations=2))] = np.inf
    return np.asarray(cost)


def _exits(terrain: Terrain, mask: Mask, land: Areas) -> Ints:
    """Cells at the county's edge where main roads leave: the lowest rim cell in four quarters of the compass."""
    grid = terrain.coarse
    rim = ndimage.binary_erosion(mask, iterations=2) & ~ndimage.binary_erosion(mask, iterations=4)
    rim = np.flatnonzero(rim.ravel())
    lon, lat = grid.lonlat(*np.divmod(rim, grid.columns))
    angle = np.degrees(np.arctan2(lat - land.seat_lat[0], lon - land.seat_lon[0]))
    height = terrain.coarse_elevation_m.ravel()[rim]
    chosen = []
    for middle in (45.0, 130.0, -140.0, -50.0):
        off = np.abs((angle - middle + 180) % 360 - 180)
        chosen.append(int(rim[np.argmin(height + 25 * off)]))
    return np.array(chosen)


def _joins(graph: sparse.csr_matrix, cost: Floats, nearest: Ints, cells: Ints) -> pd.DataFrame:
    """The cheapest way between each two neighbouring sources: left, right, cost and the two cells where they meet."""
    edges = graph.tocoo()
    keep = (edges.row < edges.col) & (nearest[edges.row] != nearest[edges.col])
    keep &= (nearest[edges.row] >= 0) & (nearest[edges.col] >= 0)
    a, b, weight = edges.row[keep], edges.col[keep], edges.data[keep]
    left, right = np.searchsorted(cells, nearest[a]), np.searchsorted(cells, nearest[b])
    frame = pd.DataFrame(
        {
            "left": np.minimum(left, right),
            "right": np.maximum(left, right),
            "cost": cost[a] + weight + cost[b],
            "a": a,
            "b": b,
        }
    )
    frame = frame.sort_values(["left", "right", "cost", "a", "b"], kind="stable")
    return frame.drop_duplicates(["left", "right"]).reset_index(drop=True)


def _kept(joins: pd.DataFrame, count: int, loops: float) -> npt.NDArray[np.bool_]:
    """Joins of the minimum spanning tree and the share ``loops`` of the other relative neighbours, cheapest first."""
    tree = csgraph.minimum_spanning_tree(_sparse(joins, count)).tocoo()
    pairs = joins["left"].to_numpy() * count + joins["right"].to_numpy()
    spans = np.isin(pairs, np.minimum(tree.row, tree.col) * count + np.maximum(tree.row, tree.col))
    further = np.flatnonzero(_relative_neighbours(joins) & ~spans)
    cheapest = further[np.argsort(joins["cost"].to_numpy()[further], kind="stable")]
    spans[cheapest[: round(loops * len(further))]] = True
    return np.asarray(spans)


def _relative_neighbours(joins: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Joins (x, y) for which no third place is nearer to both x and y than they are to each other.

    References
    ----------
    Toussaint 1980, doi:10.1016/0031-3203(80)90066-7.
    """
    both = pd.concat(
        [
            joins[["left", "right", "cost"]].set_axis(["x", "z", "cost"], axis=1),
            joins[["right", "left", "cost"]].set_axis(["x", "z", "cost"], axis=1),
        ]
    )
    paths = joins.reset_index()[["index", "left", "right", "cost"]].merge(both, left_on="left", right_on="x")
    paths = paths[paths["cost_y"] < paths["cost_x"]]
    paths = paths.merge(both.rename(columns={"x": "right", "cost": "cost_z"}), on=["right", "z"])
    blocked = paths.loc[paths["cost_z"] < paths["cost_x"], "index"]
    return np.asarray(~np.isin(np.arange(len(joins)), blocked))


def _sparse(joins: pd.DataFrame, count: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((joins["cost"], (joins["left"], joins["right"])), shape=(count, count))


def _ranks(joins: pd.DataFrame, seats: Ints, exits: Ints, count: int) -> Ints:
    """Class of each join as an index into ``CLASSES``, by what it connects."""
    graph = _sparse(joins, count)
    number = sparse.csr_matrix((np.arange(1, len(joins) + 1), (joins["left"], joins["right"])), shape=(count, count))
    number = number + number.T
    rank = np.full(len(joins), 4)
    cost, before = csgraph.dijkstra(graph, directed=False, indices=seats, return_predecessors=True)
    tree = csgraph.minimum_spanning_tree(sparse.csr_matrix(cost[:, seats])).tocoo()
    close = [(i, int(j)) for i in range(len(seats)) for j in np.argsort(cost[i, seats], kind="stable")[1:3]]
    _, nearest_before, _ = csgraph.dijkstra(
        graph, directed=False, indices=seats, min_only=True, return_predecessors=True
    )
    _mark(rank, number, nearest_before, _busy(nearest_before, count), 3)
    for start, end in [*zip(tree.row.tolist(), tree.col.tolist(), strict=True), *close]:
        _mark(rank, number, before[start], [int(seats[end])], 2)
    for position, end in enumerate(exits.tolist()):
        _mark(rank, number, before[0], [end], 0 if position in (0, 2) else 1)
    return rank


def _busy(before: Ints, count: int) -> list[int]:
    """Places through which at least three others reach their township seat."""
    users = np.zeros(count)
    pointer = before.copy()
    while (pointer >= 0).any():
        moving = pointer >= 0
        np.add.at(users, pointer[moving], 1)
        pointer = np.where(moving, before[np.maximum(pointer, 0)], -1)
    return [int(place) for place in np.flatnonzero(users >= 3)]


def _mark(rank: Ints, number: sparse.csr_matrix, before: Ints, ends: list[int], value: int) -> None:
    """Raise the class of all joins on the way from each end back to the root."""
    for end in ends:
        place = end
        while before[place] >= 0:
            join = int(number[place, before[place]]) - 1
            rank[join] = min(int(rank[join]), value)
            place = int(before[place])


def _edges(joins: pd.DataFrame, rank: Ints, before: Ints, grid: Grid) -> tuple[Ints, Ints, Ints]:
    """Grid edges that carry a road, with the best class among the joins that use them."""
    heads, tails, ranks = [joins["a"].to_numpy()], [joins["b"].to_numpy()], [rank]
    for side in ("a", "b"):
        cell, kind = joins[side].to_numpy(), rank
        while len(cell):
            down = before[cell]
            on = down >= 0
            cell, down, kind = cell[on], down[on], kind[on]
            heads.append(cell)
            tails.append(down)
            ranks.append(kind)
            cell = down
    head, tail = np.concatenate(heads).astype(np.int64), np.concatenate(tails).astype(np.int64)
    return _without_crossings(np.minimum(head, tail), np.maximum(head, tail), np.concatenate(ranks), grid)


def _without_crossings(head: Ints, tail: Ints, kind: Ints, grid: Grid) -> tuple[Ints, Ints, Ints]:
    """Unique edges; where two diagonals cross, one goes round by the corner that both then share."""
    frame = pd.DataFrame({"head": head, "tail": tail, "kind": kind}).groupby(["head", "tail"], as_index=False).min()
    falling = frame["tail"] - frame["head"] == grid.columns + 1
    rising = frame["tail"] - frame["head"] == grid.columns - 1
    crossed = falling & frame["head"].isin(frame.loc[rising, "head"] - 1)
    corner = frame.loc[crossed, "head"] + 1
    detour = pd.concat(
        [
            pd.DataFrame({"head": frame.loc[crossed, "head"], "tail": corner, "kind": frame.loc[crossed, "kind"]}),
            pd.DataFrame({"head": corner, "tail": frame.loc[crossed, "tail"], "kind": frame.loc[crossed, "kind"]}),
        ]
    )
    frame = pd.concat([frame[~crossed], detour]).groupby(["head", "tail"], as_index=False).min()
    return frame["head"].to_numpy(), frame["tail"].to_numpy(), frame["kind"].to_numpy()


def _positions(grid: Grid, cells: Ints, homes: pd.DataFrame, rng: np.random.Generator) -> Floats:
    """Longitude and latitude of each cell's road point: the settlement, or a point somewhat off the middle."""
    count = grid.rows * grid.columns
    row, column = np.divmod(np.arange(count), grid.columns)
    shift = rng.uniform(-0.22, 0.22, (2, count))
    position = np.column_stack(grid.lonlat(row + shift[0], column + shift[1]))
    position[cells] = homes[["lon", "lat"]].to_numpy()
    return position


def _trace(
    network: Network, head: Ints, tail: Ints, kind: Ints, position: Floats, stops: set[int], title: dict[int, str]
) -> None:
    """Add the chains between junctions, settlements and changes of class as edges."""
    around: dict[int, list[tuple[int, int]]] = {}
    for a, b, k in zip(head.tolist(), tail.tolist(), kind.tolist(), strict=True):
        around.setdefault(a, []).append((b, k))
        around.setdefault(b, []).append((a, k))
    is_node = {c for c, ways in around.items() if c in stops or len(ways) != 2 or ways[0][1] != ways[1][1]}
    number = {cell: network.node(*position[cell]) for cell in sorted(is_node)}
    done: set[tuple[int, int]] = set()
    for start in sorted(is_node):
        for step, k in sorted(around[start]):
            if (start, step) in done:
                continue
            chain = [start, step]
            while chain[-1] not in is_node:
                ways = around[chain[-1]]
                chain.append(ways[0][0] if ways[0][0] != chain[-2] else ways[1][0])
            done.update({(start, step), (chain[-1], chain[-2])})
            name = title.get(start) or title.get(chain[-1]) or ""
            line = _smooth(position[chain])
            network.add(line, number[start], number[chain[-1]], CLASSES[k], _road_name(CLASSES[k], name))


def _road_name(kind: str, place: str) -> str:
    if kind in ("trunk", "primary"):
        return ""
    return f"{place}{'路' if kind == 'secondary' else '村道' if kind == 'minor' else '公路'}" if place else ""


def _smooth(line: Floats) -> Floats:
    """The line without the grid's steps: simplified, then its corners cut twice; the ends stay."""
    size = float(np.abs(np.diff(line, axis=0)).max())
    line = shapely.get_coordinates(shapely.simplify(shapely.LineString(line), 0.45 * size))
    for _ in range(2):
        if len(line) < 3:
            break
        near, far = 0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]
        middle = np.empty((2 * len(near), 2))
        middle[0::2], middle[1::2] = near, far
        line = np.vstack([line[:1], middle[1:-1], line[-1:]])
    return line


def _add_streets(network: Network, terrain: Terrain, seat: pd.Series, rng: np.random.Generator) -> None:
    """A small turned grid of streets round the county seat, tied to the network at the seat."""
    centre = np.argmin(np.hypot(*(np.array(network.positions) - (seat["lon"], seat["lat"])).T))
    turn = rng.uniform(0.2, 0.6)
    node: dict[tuple[int, int], int] = {(0, 0): int(centre)}
    for i in range(-3, 4):
        for j in range(-2, 3):
            x, y = 0.0031 * i + rng.normal(0, 0.0002), 0.0026 * j + rng.normal(0, 0.0002)
            lon = seat["lon"] + x * np.cos(turn) - y * np.sin(turn)
            lat = seat["lat"] + (x * np.sin(turn) + y * np.cos(turn)) * 0.9
            if (i, j) != (0, 0) and abs(i) + abs(j) < 5 and terrain.slope_at(lon, lat) < 13:
                node[i, j] = network.node(float(lon), float(lat))
    lines = {-2: "滨河路", -1: "建设路", 0: "云岭大道", 1: "人民路", 2: "文化路"}
    rows = {-3: "西环路", -2: "迎宾路", -1: "和平路", 0: "解放路", 1: "中山路", 2: "学府路", 3: "东环路"}
    for (i, j), here in node.items():
        for other, name in (((i + 1, j), lines[j]), ((i, j + 1), rows[i])):
            if other in node:
                line = np.array([network.positions[here], network.positions[node[other]]])
                network.add(line, here, node[other], "tertiary" if 0 in (i, j) else "minor", name)


def _join_crossings(network: Network) -> None:
    """Make a junction wherever two roads cross."""
    for _ in range(12):
        lines = _linestrings(network.lines)
        left, right = shapely.STRtree(lines).query(lines, predicate="crosses")
        touched: set[int] = set()
        for i, j in zip(left.tolist(), right.tolist(), strict=True):
            point = None if i > j or {i, j} & touched else _inner_crossing(lines[i], lines[j])
            if point is not None:
                touched |= {i, j}
                junction = network.node(*point)
                _cut(network, i, lines[i], point, junction)
                _cut(network, j, lines[j], point, junction)
        if not touched:
            return


def _inner_crossing(left: shapely.LineString, right: shapely.LineString) -> Floats | None:
    """The first point in which the lines cross away from their ends."""
    points = shapely.get_coordinates(shapely.intersection(left, right))
    ends = shapely.multipoints([*left.boundary.geoms, *right.boundary.geoms])
    inner = points[shapely.distance(shapely.points(points), ends) > 1e-7]
    return inner[0] if len(inner) else None


def _cut(network: Network, i: int, line: shapely.LineString, point: Floats, junction: int) -> None:
    """Cut edge ``i`` in two at the junction."""
    along = shapely.line_locate_point(line, shapely.Point(point))
    first, last = _part(line, 0, along), _part(line, along, line.length)
    start, end = network.ends[i]
    first[-1] = network.positions[junction]
    network.lines[i], network.ends[i] = first, (start, junction)
    network.add(last, junction, end, network.kinds[i], network.names[i])


def _add_motorway(network: Network, terrain: Terrain, mask: Mask, land: Areas) -> None:
    """A motorway across the county, tied to other roads only at interchanges."""
    grid = terrain.coarse
    cost = 1 + (terrain.coarse_slope_deg / 16) ** 2
    cost[~np.asarray(ndimage.binary_erosion(mask, iterations=3))] = np.inf
    row, column = grid.rowcolumn(land.seat_lon[0], land.seat_lat[0])
    seat_row, seat_column = int(row) + 14, int(column)
    seat = seat_row * grid.columns + seat_column
    flat = np.isfinite(cost)
    rows, columns = np.nonzero(flat)
    west = _end(rows, columns, seat_row, int(columns.min()), grid)
    east = _end(rows, columns, seat_row, int(columns.max()), grid)
    _, before = csgraph.dijkstra(cost_graph(cost, grid), indices=seat, return_predecessors=True)
    path = [*_path(before, west), *_path(before, east)[::-1][1:]]
    position = np.column_stack(grid.lonlat(*np.divmod(np.array(path), grid.columns)))
    line = ndimage.gaussian_filter1d(position, 9, axis=0, mode="nearest")
    line = shapely.get_coordinates(shapely.simplify(shapely.LineString(line), 0.1 * grid.cell_deg))
    _add_with_interchanges(network, line, land)


def _end(rows: Ints, columns: Ints, row: int, column: int, grid: Grid) -> int:
    best = int(np.argmin(np.abs(columns - column) * 4 + np.abs(rows - row)))
    return int(rows[best] * grid.columns + columns[best])


def _path(before: Ints, end: int) -> list[int]:
    path = [end]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return path


def _add_with_interchanges(network: Network, line: Floats, land: Areas) -> None:
    known = np.array(network.positions)
    seats = np.column_stack([land.seat_lon, land.seat_lat])
    away, vertex = spatial.cKDTree(line[3:-3]).query(seats)
    near = [(int(v) + 3, int(s)) for s, (d, v) in enumerate(zip(away, vertex, strict=True)) if s == 0 or d < 0.05]
    stops: dict[int, int] = {}
    for place, seat in sorted(near):
        if all(abs(place - other) > 4 for other in stops):
            stops[place] = seat
    cuts = sorted({0, len(line) - 1, *stops})
    nodes = {cut: network.node(*line[cut]) for cut in cuts}
    for first, last in pairwise(cuts):
        network.add(line[first : last + 1], nodes[first], nodes[last], "motorway", "云岭高速")
    tree = spatial.cKDTree(known)
    for cut in stops:
        _, target = tree.query(line[cut])
        link = np.array([line[cut], (line[cut] + known[target]) / 2, known[target]])
        network.add(link, nodes[cut], int(target), "secondary", "高速连接线")


def _add_bridges(network: Network, terrain: Terrain, limit: int) -> None:
    """Cut out a bridge where a road crosses a river, for at most ``limit`` roads, the larger classes first."""
    order = sorted(range(len(network.lines)), key=lambda i: (list(SPEED_KM_H).index(network.kinds[i]), i))
    lines = _linestrings(network.lines)
    rivers = _river_lines(terrain)
    found, which = shapely.STRtree(rivers).query(lines, predicate="intersects")
    partners = dict(zip(found.tolist(), which.tolist(), strict=True))
    made = 0
    for i in order:
        if made >= limit:
            break
        if i in partners:
            point = shapely.get_coordinates(shapely.intersection(lines[i], rivers[partners[i]]))
            made += _cut_bridge(network, i, lines[i], point[0])


def _river_lines(terrain: Terrain) -> npt.NDArray[np.object_]:
    grid = terrain.coarse
    cell = np.flatnonzero(terrain.area_m2.ravel() >= RIVER_M2 / 3)
    down = terrain.drainage.receiver[cell]
    cell, down = cell[down >= 0], down[down >= 0]
    start = np.column_stack(grid.lonlat(*np.divmod(cell, grid.columns)))
    end = np.column_stack(grid.lonlat(*np.divmod(down, grid.columns)))
    return np.asarray(shapely.linestrings(np.stack([start, end], axis=1)))


def _cut_bridge(network: Network, i: int, line: shapely.LineString, point: Floats) -> int:
    """1 if edge ``i`` was replaced by road, bridge, road; 0 if it is too short."""
    middle = shapely.line_locate_point(line, shapely.Point(point))
    half = 0.00045
    if middle < 3 * half or line.length - middle < 3 * half:
        return 0
    start, end = network.ends[i]
    kind, name = network.kinds[i], network.names[i]
    first = _part(line, 0, middle - half)
    bridge = _part(line, middle - half, middle + half)
    last = _part(line, middle + half, line.length)
    a, b = network.node(*bridge[0]), network.node(*bridge[-1])
    first[-1], last[0] = bridge[0], bridge[-1]
    network.lines[i], network.ends[i] = first, (start, a)
    network.add(bridge, a, b, kind, name, bridge=True)
    network.add(last, b, end, kind, name)
    return 1


def _part(line: shapely.LineString, start: float, end: float) -> Floats:
    part = shapely.ops.substring(line, start, end)
    return np.array(part.coords)


def _split(network: Network, count: int) -> None:
    """Halve the longest edges until there are ``count``."""
    heap = [(-_size(line), i) for i, line in enumerate(network.lines) if not network.bridges[i]]
    heapq.heapify(heap)
    while len(network.lines) < count:
        _, i = heapq.heappop(heap)
        line = shapely.LineString(network.lines[i])
        middle = shapely.get_coordinates(line.interpolate(0.5, normalized=True))[0]
        _cut(network, i, line, middle, network.node(*middle))
        heapq.heappush(heap, (-_size(network.lines[i]), i))
        heapq.heappush(heap, (-_size(network.lines[-1]), len(network.lines) - 1))


def _size(line: Floats) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def _frame(network: Network) -> pd.DataFrame:
    ends = np.array(network.ends)
    return pd.DataFrame(
        {
            "name": network.names,
            "class": network.kinds,
            "bridge": network.bridges,
            "from_node": ends[:, 0] + 1,
            "to_node": ends[:, 1] + 1,
            "geometry": _linestrings(network.lines),
        }
    )


def _linestrings(lines: list[Floats]) -> npt.NDArray[np.object_]:
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    return np.asarray(shapely.linestrings(np.concatenate(lines), indices=owner))


def _local(network: Network, homes: pd.DataFrame, terrain: Terrain, count: int) -> pd.DataFrame:
    """``count`` local edges that join further settlements to the network, without least-cost paths."""
    known = np.array(network.positions)
    points = np.vstack([known, homes[["lon", "lat"]].to_numpy()])
    triangles = spatial.Delaunay(points).simplices
    pairs = np.sort(np.vstack([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]]), axis=1)
    pairs = np.unique(pairs[:, 0].astype(np.int64) * len(points) + pairs[:, 1])
    left, right = np.divmod(pairs, len(points))
    length = np.hypot(*((points[left] - points[right]) * (0.89, 1)).T)
    middle = (points[left] + points[right]) / 2
    cost = length * (1 + (terrain.slope_at(middle[:, 0], middle[:, 1]) / 12) ** 2)
    cost = cost * np.where(_crossing(points[left], points[right], network), 60, 1)
    both_known = right < len(known)
    weight = np.where(both_known, 1e-9, cost + 1e-8)
    chain = np.arange(len(known) - 1)
    graph = sparse.csr_matrix(
        (
            np.concatenate([weight, np.full(len(chain), 1e-10)]),
            (np.concatenate([left, chain]), np.concatenate([right, chain + 1])),
        ),
        shape=(len(points), len(points)),
    )
    tree = csgraph.minimum_spanning_tree(graph).tocoo()
    low, high = np.minimum(tree.row, tree.col).astype(np.int64), np.maximum(tree.row, tree.col)
    in_tree = np.isin(pairs, low * len(points) + high)
    order = np.lexsort((cost, ~in_tree, both_known))[:count]
    if both_known[order].any():
        raise ValueError(f"only {int((~both_known).sum())} local edges for {count}")
    left, right = left[order], right[order]
    lines = np.stack([points[left], points[right]], axis=1)
    called = np.concatenate([np.full(len(known), "", dtype=object), homes["name"].to_numpy(dtype=object)])
    return pd.DataFrame(
        {
            "name": called[right] + "村道",
            "class": "minor",
            "bridge": False,
            "from_node": left + 1,
            "to_node": right + 1,
            "geometry": shapely.linestrings(lines),
        }
    )


def _crossing(start: Floats, end: Floats, network: Network) -> npt.NDArray[np.bool_]:
    """Whether each straight line crosses a road of the network."""
    straight = shapely.linestrings(np.stack([start, end], axis=1))
    crossing = np.zeros(len(start), dtype=bool)
    crossing[shapely.STRtree(_linestrings(network.lines)).query(straight, predicate="crosses")[0]] = True
    return crossing


def _finished(frame: pd.DataFrame) -> geopandas.GeoDataFrame:
    """The edges with the fields of the layer; lengths are geodesic."""
    kind = frame["class"]
    number = {"motorway": "G9901", "trunk": "G999", "primary": "S307"}
    frame["ref"] = kind.map(number)
    named = {"trunk": "国道999线", "primary": "省道307线"}
    frame["name"] = frame["name"].where(frame["name"] != "", kind.map(named))
    frame["speed_km_h"] = kind.map(SPEED_KM_H).astype(float)
    frame["width_m"] = kind.map(WIDTH_M)
    frame["surface"] = kind.map(SURFACE)
    frame["one_way"] = "no"
    frame["access"] = "public"
    frame["tunnel"] = False
    frame["layer_level"] = pd.array(np.where(frame["bridge"], 1, 0), dtype="Int64")
    frame["length_m"] = np.round(lengths_m(frame["geometry"].to_numpy()), 1)
    return geopandas.GeoDataFrame(frame, geometry="geometry", crs=4326)


def lengths_m(lines: npt.NDArray[np.object_]) -> Floats:
    """Geodesic lengths in metres."""
    position, owner = shapely.get_coordinates(lines, return_index=True)
    same = owner[1:] == owner[:-1]
    start, end = position[:-1][same], position[1:][same]
    _, _, length = GEODESIC.inv(start[:, 0], start[:, 1], end[:, 0], end[:, 1])
    return np.bincount(owner[1:][same], weights=length, minlength=len(lines)).astype(np.float64)
