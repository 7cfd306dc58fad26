"""Terrain of the sample county: mountains cut by a river network, as an elevation grid.

The shape comes from the steady state of river incision: on a drainage tree, the slope of a cell falls
with the area it drains, ``slope = steepness × area^-0.45``, and never exceeds a hillside's limit.
Tree and elevation are found in turn, on finer and finer grids.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, cos, radians

import numpy as np
import numpy.typing as npt
from affine import Affine
from scipy import ndimage, sparse
from scipy.sparse import csgraph

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

CENTRE = (105.3, 27.3)
SEAT = (105.29, 27.31)
REACH_DEG = 0.308
MARGIN_DEG = 0.034
FINEST_CELL_DEG = 2 / 3600
MAXIMUM_CELLS_ACROSS = 4000
MAXIMUM_COARSE_CELLS_ACROSS = 1000
METRES_PER_DEGREE = 111_195.0
CONCAVITY = 0.45
LOWEST_M, HIGHEST_M = 900.0, 2600.0
INFLOW_M2 = 2.5e9


@dataclass(frozen=True)
class Grid:
    """A north-up grid in EPSG:4326 with cells that are square in degrees."""

    west: float
    north: float
    cell_deg: float
    rows: int
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def transform(self) -> Affine:
        """From column and row of a cell's corner to longitude and latitude."""
        return Affine(self.cell_deg, 0, self.west, 0, -self.cell_deg, self.north)

    @property
    def cell_y_m(self) -> float:
        """Height of a cell in metres."""
        return self.cell_deg * METRES_PER_DEGREE

    @property
    def cell_x_m(self) -> float:
        """Width of a cell in metres at the middle latitude."""
        return self.cell_y_m * cos(radians(self.north - self.rows * self.cell_deg / 2))

    def lonlat(self, row: npt.ArrayLike, column: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Longitude and latitude of cell centres; fractions of cells are allowed."""
        lon = self.west + (np.asarray(column, dtype=float) + 0.5) * self.cell_deg
        lat = self.north - (np.asarray(row, dtype=float) + 0.5) * self.cell_deg
        return lon, lat

    def rowcolumn(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Ints, Ints]:
        """Row and column of the cells that hold the positions; positions outside give the nearest cell."""
        column = np.floor((np.asarray(lon, dtype=float) - self.west) / self.cell_deg).astype(np.int64)
        row = np.floor((self.north - np.asarray(lat, dtype=float)) / self.cell_deg).astype(np.int64)
        return np.clip(row, 0, self.rows - 1), np.clip(column, 0, self.columns - 1)

    def coarser(self, factor: int) -> Grid:
        """The same extent with cells ``factor`` times as large; ``factor`` divides rows and columns."""
        return Grid(self.west, self.north, self.cell_deg * factor, self.rows // factor, self.columns // factor)


@dataclass(frozen=True)
class Drainage:
    """A tree in which each cell drains to one neighbour; cells are flat indices into the grid.

    ``cells`` run from the outlets upstream, ``starts`` bounds the levels in them; an outlet's receiver is -1.
    """

    cells: Ints
    starts: list[int]
    receiver: Ints
    distance_m: Floats

    def accumulated(self, amount: Floats) -> Floats:
        """Sum of ``amount`` over each cell and all that drain to it."""
        total = amount.astype(np.float64).ravel().copy()
        for first, last in reversed(list(zip(self.starts[1:-1], self.starts[2:], strict=True))):
            level = self.cells[first:last]
            np.add.at(total, self.receiver[level], total[level])
        return total

    def risen(self, drop: Floats, outlet: Floats) -> Floats:
        """Elevation when each cell lies ``drop`` above its receiver, and outlets at ``outlet``."""
        elevation = np.zeros(len(self.receiver))
        roots = self.cells[: self.starts[1]]
        elevation[roots] = outlet[roots]
        for level in self._levels():
            elevation[level] = elevation[self.receiver[level]] + drop[level]
        return elevation

    def inherited(self, value: Floats, fixed: npt.NDArray[np.bool_]) -> Floats:
        """``value`` of the first ``fixed`` cell met downstream, each cell itself included."""
        result = value.astype(np.float64).copy()
        for level in self._levels():
            open_cells = level[~fixed[level]]
            result[open_cells] = result[self.receiver[open_cells]]
        return result

    def _levels(self) -> list[Ints]:
        return [self.cells[a:b] for a, b in zip(self.starts[1:-1], self.starts[2:], strict=True)]


@dataclass(frozen=True)
class Terrain:
    """Elevation on a fine grid, and slope, drainage and drained area on a coarser grid of the same extent.

    ``elevation_m`` float32 and ``slope_deg`` float32 have the shape of ``grid``; ``area_m2`` and ``above_river_m``
    have the shape of ``coarse``.
    """

    grid: Grid
    coarse: Grid
    elevation_m: npt.NDArray[np.float32]
    slope_deg: npt.NDArray[np.float32]
    drainage: Drainage
    area_m2: Floats
    above_river_m: Floats

    @cached_property
    def coarse_slope_deg(self) -> Floats:
        """Mean slope in each coarse cell."""
        factor = self.grid.rows // self.coarse.rows
        blocks = self.slope_deg.reshape(self.coarse.rows, factor, self.coarse.columns, factor)
        return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float64))

    @cached_property
    def coarse_elevation_m(self) -> Floats:
        """Mean elevation in each coarse cell."""
        factor = self.grid.rows // self.coarse.rows
        blocks = self.elevation_m.reshape(self.coarse.rows, factor, self.coarse.columns, factor)
        return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float64))

    def slope_at(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Floats:
        """Slope in degrees at positions."""
        row, column = self.grid.rowcolumn(lon, lat)
        return self.slope_deg[row, column].astype(np.float64)


def make(stretch: float, rng: np.random.Generator) -> Terrain:
    """The terrain of a county ``stretch`` times as long and wide as at scale 1.

    Notes
    -----
    A trunk river enters in the west with a large drained area, passes the county seat and leaves in the east;
    two smaller outlets stand in the north and south. Not modelled: lakes, caves, rock types.
    """
    grid, factor = _grids(stretch)
    coarse = grid.coarser(factor)
    uplift_seed = int(rng.integers(2**32))
    elevation = _start(coarse.coarser(4), rng)
    for divisor, rounds in ((4, 50), (2, 10), (1, 3)):
        level = coarse.coarser(divisor)
        if elevation.shape != level.shape:
            elevation = _warped(upsampled(elevation, 2), level, rng) + 8 * noise(level, 900, rng)
        uplift = _uplift(level, uplift_seed)
        elevation = _incised(elevation, level, uplift, rounds)
    elevation = _stretched(elevation)
    drainage = drained(elevation, coarse, _outlets(coarse))
    area = _area(drainage, coarse)
    elevation, above = _with_valley_floors(elevation, drainage, area, coarse)
    fine = _detailed(elevation, above, grid, coarse, factor, rng)
    return Terrain(grid, coarse, fine, slope_deg(fine, grid), drainage, area.reshape(coarse.shape), above)


def slope_deg(elevation_m: npt.NDArray[np.float32], grid: Grid) -> npt.NDArray[np.float32]:
    """Slope in degrees by central differences."""
    along_y, along_x = np.gradient(elevation_m, np.float32(grid.cell_y_m), np.float32(grid.cell_x_m))
    return np.asarray(np.degrees(np.arctan(np.hypot(along_x, along_y))), dtype=np.float32)


def drained(elevation_m: Floats, grid: Grid, outlets: Ints) -> Drainage:
    """The drainage tree in which water climbs the least on its way to an outlet.

    Notes
    -----
    The minimum spanning tree of the 8-neighbour graph, an edge weighing its higher end, holds for each cell
    the path with the lowest highest point: the result of filling depressions by priority flood. Among lower
    neighbours the steepest wins by a small term.

    References
    ----------
    Barnes, Lehman and Mulla 2014, doi:10.1016/j.cageo.2013.04.024.
    """
    elevation = elevation_m.ravel() - elevation_m.min() + 10
    count = elevation.size
    index = np.arange(count, dtype=np.int32).reshape(grid.shape)
    heads, tails, weights = [], [], []
    for left, right, length in _neighbours(index, grid):
        high = np.maximum(elevation[left], elevation[right])
        fall = np.abs(elevation[left] - elevation[right]) / length
        heads.append(left)
        tails.append(right)
        weights.append(high - 0.05 * np.minimum(fall, 1))
    heads.append(np.full(len(outlets), count, dtype=np.int32))
    tails.append(outlets.astype(np.int32))
    weights.append(np.full(len(outlets), 1e-3))
    graph = sparse.csr_matrix(
        (np.concatenate(weights), (np.concatenate(heads), np.concatenate(tails))), shape=(count + 1, count + 1)
    )
    tree = csgraph.minimum_spanning_tree(graph)
    order, before = csgraph.breadth_first_order(tree, count, directed=False)
    return _tree(order, before, count, grid)


def _tree(order: Ints, before: Ints, count: int, grid: Grid) -> Drainage:
    children = np.bincount(before[order[1:]], minlength=count + 1)
    starts, last = [0, 1], 1
    while last < len(order):
        last = last + int(children[order[starts[-2] : last]].sum())
        starts.append(last)
    receiver = np.where(before[:count] == count, -1, before[:count]).astype(np.int64)
    row, column = np.divmod(np.arange(count), grid.columns)
    down_row, down_column = np.divmod(np.where(receiver < 0, np.arange(count), receiver), grid.columns)
    distance = np.hypot((row - down_row) * grid.cell_y_m, (column - down_column) * grid.cell_x_m)
    return Drainage(order[1:], [0, *(s - 1 for s in starts[2:])], receiver, distance)


def _neighbours(index: Ints, grid: Grid) -> list[tuple[Ints, Ints, float]]:
    """Pairs of neighbouring cells in four directions, with the distance between their centres in metres."""
    x_m, y_m = grid.cell_x_m, grid.cell_y_m
    diagonal = float(np.hypot(x_m, y_m))
    return [
        (index[:, :-1].ravel(), index[:, 1:].ravel(), x_m),
        (index[:-1].ravel(), index[1:].ravel(), y_m),
        (index[:-1, :-1].ravel(), index[1:, 1:].ravel(), diagonal),
        (index[:-1, 1:].ravel(), index[1:, :-1].ravel(), diagonal),
    ]


def cost_graph(cost: Floats, grid: Grid) -> sparse.csr_matrix:
    """Symmetric graph of the 8-neighbour grid: metres times the mean cost of both cells; no way where cost is inf."""
    flat = cost.ravel()
    index = np.arange(flat.size, dtype=np.int32).reshape(grid.shape)
    heads, tails, weights = [], [], []
    for left, right, length in _neighbours(index, grid):
        weight = length * (flat[left] + flat[right]) / 2
        passable = np.isfinite(weight)
        heads.append(left[passable])
        tails.append(right[passable])
        weights.append(weight[passable])
    head, tail, weight = np.concatenate(heads), np.concatenate(tails), np.concatenate(weights)
    both = (np.concatenate([head, tail]), np.concatenate([tail, head]))
    return sparse.csr_matrix((np.concatenate([weight, weight]), both), shape=(flat.size, flat.size))


def _grids(stretch: float) -> tuple[Grid, int]:
    span = 2 * (REACH_DEG * stretch + MARGIN_DEG)
    cell = max(FINEST_CELL_DEG, span / (MAXIMUM_CELLS_ACROSS - 16))
    factor = max(2, ceil(span / cell / MAXIMUM_COARSE_CELLS_ACROSS))
    step = 4 * factor
    across = ceil(span / cell / step) * step
    half = across * cell / 2
    return Grid(CENTRE[0] - half, CENTRE[1] + half, cell, across, across), factor


def _trunk(grid: Grid) -> tuple[Floats, Floats]:
    """Row and column, as fractions of the grid, of the trunk river from west to east through the seat."""
    seat_x = (SEAT[0] - grid.west) / (grid.cell_deg * grid.columns)
    seat_y = (grid.north - SEAT[1]) / (grid.cell_deg * grid.rows)
    x = np.linspace(0, 1, 400)
    wave = 0.10 * np.sin(2 * np.pi * (x - seat_x) * 1.15) + 0.035 * np.sin(2 * np.pi * (x - seat_x) * 3.7)
    return np.clip(seat_y + wave + 0.10 * (x - seat_x), 0.05, 0.95), x


def _start(grid: Grid, rng: np.random.Generator) -> Floats:
    """A rough surface with a trench along the trunk river, in metres."""
    y, x = _trunk(grid)
    trench = np.ones(grid.shape, dtype=bool)
    fine = np.linspace(0, 1, 4 * grid.columns)
    row = np.clip((np.interp(fine, x, y) * grid.rows).astype(int), 0, grid.rows - 1)
    trench[row, np.clip((fine * grid.columns).astype(int), 0, grid.columns - 1)] = False
    away_m = ndimage.distance_transform_edt(trench) * grid.cell_y_m
    eastward = np.linspace(150, 0, grid.columns)[None, :]
    surface: Floats = 0.02 * away_m + eastward + 260 * noise(grid, 14000, rng) * np.minimum(1, away_m / 6000)
    surface += 60 * np.abs(noise(grid, 3000, rng)) * (away_m > 0)
    surface[~trench] = np.broadcast_to(eastward, grid.shape)[~trench] - 400
    return surface


def _outlets(grid: Grid) -> Ints:
    """The trunk river's end first, then one cell in the north and one in the south."""
    y, _ = _trunk(grid)
    end = min(grid.rows - 1, int(y[-1] * grid.rows))
    return np.array(
        [
            end * grid.columns + grid.columns - 1,
            int(0.62 * grid.columns),
            (grid.rows - 1) * grid.columns + int(0.3 * grid.columns),
        ]
    )


def _area(drainage: Drainage, grid: Grid) -> Floats:
    """Drained area in m², with what the trunk river brings from outside."""
    amount = np.full(grid.rows * grid.columns, grid.cell_x_m * grid.cell_y_m)
    y, _ = _trunk(grid)
    amount[min(grid.rows - 1, int(y[0] * grid.rows)) * grid.columns] += INFLOW_M2
    return drainage.accumulated(amount)


def _incised(elevation: Floats, grid: Grid, uplift: Floats, rounds: int) -> Floats:
    outlets = _outlets(grid)
    base = np.zeros(elevation.size)
    base[outlets] = (0, 260, 200)
    for _ in range(rounds):
        drainage = drained(elevation, grid, outlets)
        area = _area(drainage, grid)
        limit = 0.66 * uplift.ravel() ** 0.7
        slope = np.minimum(limit, 0.135 * uplift.ravel() * (area / 1e6) ** -CONCAVITY)
        risen = drainage.risen(drainage.distance_m * slope, base).reshape(grid.shape)
        elevation = ndimage.gaussian_filter(0.2 * elevation + 0.8 * risen, 120 / grid.cell_y_m)
    return elevation


def _uplift(grid: Grid, seed: int) -> Floats:
    """How fast the ground rises, about 1: ranges and basins, the same pattern on every grid."""
    rng = np.random.default_rng(seed)
    uplift: Floats = np.exp(0.36 * noise(grid, 13000, rng) + 0.3 * noise(grid, 4500, rng))
    return uplift


def _stretched(elevation: Floats) -> Floats:
    low, high = np.percentile(elevation, (0.02, 99.98))
    scaled = LOWEST_M + (elevation - low) * (HIGHEST_M - LOWEST_M) / (high - low)
    return np.asarray(np.clip(scaled, LOWEST_M - 15, HIGHEST_M + 40))


def _with_valley_floors(elevation: Floats, drainage: Drainage, area: Floats, grid: Grid) -> tuple[Floats, Floats]:
    """Elevation with flat floors along rivers, and height above the river, both in metres.

    A cell at height h above its river is lowered by d·h/(h+d), where d grows with the river: near the river the
    ground becomes flat, far from it the shape stays.
    """
    flat = elevation.ravel()
    river = area > 2.5e6
    river[drainage.cells[: drainage.starts[1]]] = True
    above = np.maximum(flat - drainage.inherited(flat, river), 0)
    depth = 20 + 30 * np.log10(np.maximum(drainage.inherited(area, river) / 2.5e6, 1))
    lowered = (flat - depth * above / (above + depth)).reshape(grid.shape)
    above = ndimage.gaussian_filter(above.reshape(grid.shape), 0.6)
    return ndimage.gaussian_filter(lowered, 0.7), above


def _detailed(
    elevation: Floats, above: Floats, grid: Grid, coarse: Grid, factor: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Elevation on the fine grid with small ridges and gullies, less of them on valley floors."""
    fine = upsampled(elevation.astype(np.float32), factor)
    rough = upsampled(np.clip(above / 120, 0.02, 1).astype(np.float32), factor, order=1)
    amplitude = 30 * coarse.cell_y_m / 123
    for octave, wave_m in enumerate((8 * coarse.cell_y_m, 4 * coarse.cell_y_m, 2.2 * coarse.cell_y_m)):
        ridges = 0.6 - np.abs(noise(grid, wave_m, rng))
        fine += np.float32(amplitude * 0.5**octave) * rough * ridges
    return fine.astype(np.float32)


def _warped(values: Floats, grid: Grid, rng: np.random.Generator) -> Floats:
    """``values`` pushed to and fro by some hundred metres, so that valleys wind; the edges stay."""
    row, column = np.indices(grid.shape, dtype=np.float32)
    inside = np.minimum(np.minimum(row, grid.rows - 1 - row), np.minimum(column, grid.columns - 1 - column))
    amount = 330 / grid.cell_y_m * np.minimum(1, inside * grid.cell_y_m / 3000)
    shift_y = noise(grid, 2600, rng) + 0.4 * noise(grid, 1100, rng)
    shift_x = noise(grid, 2600, rng) + 0.4 * noise(grid, 1100, rng)
    result: Floats = ndimage.map_coordinates(values, [row + amount * shift_y, column + amount * shift_x], order=1)
    return result


def upsampled(values: Floats, factor: int, order: int = 3) -> Floats:
    result: Floats = ndimage.zoom(values, factor, order=order, mode="nearest", grid_mode=True)
    return result


def noise(grid: Grid, wave_m: float, rng: np.random.Generator) -> Floats:
    """Smooth noise of about unit variance: random values every ``wave_m`` metres, joined by a cubic spline."""
    rows = ceil(grid.rows * grid.cell_y_m / wave_m) + 3
    columns = ceil(grid.columns * grid.cell_x_m / wave_m) + 3
    knots = rng.standard_normal((rows, columns)).astype(np.float32)
    y = np.arange(grid.rows) * grid.cell_y_m / wave_m + 1
    x = np.arange(grid.columns) * grid.cell_x_m / wave_m + 1
    return np.asarray(1.35 * _spline(y, rows) @ knots @ _spline(x, columns).T)


def _spline(positions: Floats, count: int) -> sparse.csr_matrix:
    """Weights of the cubic B-spline's knots at ``positions``, one row a position."""
    base = np.floor(positions).astype(int)
    t = (positions - base).astype(np.float32)
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    columns = np.clip(base[:, None] + np.arange(-1, 3), 0, count - 1)
    rows = np.repeat(np.arange(len(positions)), 4)
    return sparse.csr_matrix((weights.ravel(), (rows, columns.ravel())), shape=(len(positions), count))
