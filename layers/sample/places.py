"""The county's outline, its townships and its settlements with their people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from rasterio import features
from scipy import ndimage
from scipy.sparse import csgraph
from shapely.geometry.base import BaseGeometry

from layers.sample import names
from layers.sample.terrain import CENTRE, REACH_DEG, SEAT, Floats, Grid, Ints, Terrain, cost_graph, noise, upsampled

Mask = npt.NDArray[np.bool_]
TOWNSHIPS_AT_SCALE_1 = 18
VILLAGE_SHARE = 0.3
BOX_SHARE = 0.57
WAVES = np.arange(2, 9)
YEAR = 2025


@dataclass(frozen=True)
class Areas:
    """County and townships, which share their boundaries exactly; polygons in EPSG:4326."""

    county: BaseGeometry
    townships: npt.NDArray[np.object_]
    names: list[str]
    seat_lon: Floats
    seat_lat: Floats

    @property
    def codes(self) -> list[str]:
        """Area codes of the townships."""
        return [f"{names.COUNTY_CODE}{number:03d}" for number in range(1, len(self.names) + 1)]

    def township_of(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Ints:
        """Number of the township that holds each position, or the nearest one."""
        points = np.asarray(shapely.points(np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)))
        tree = shapely.STRtree(self.townships)
        found = np.full(len(points), -1)
        which, township = tree.query(points, predicate="intersects")
        found[which[::-1]] = township[::-1]
        missing = np.flatnonzero(found < 0)
        found[missing] = tree.nearest(points[missing])
        return found

    def label(self, township: Ints) -> npt.NDArray[np.object_]:
        """County and township in one text."""
        return np.array([names.COUNTY + name for name in self.names], dtype=object)[township]


def outline(grid: Grid, stretch: float, rng: np.random.Generator) -> Mask:
    """Cells of the county: one connected, irregular region that reaches ``REACH_DEG × stretch`` each way."""
    lon, lat = grid.lonlat(*np.indices(grid.shape))
    reach = REACH_DEG * stretch
    x, y = (lon - CENTRE[0]) / reach, (lat - CENTRE[1]) / reach
    warp_m = reach * 111_000 / 4
    warped_x = x + 0.045 * noise(grid, warp_m, rng) + 0.03 * noise(grid, warp_m / 5, rng)
    warped_y = y + 0.045 * noise(grid, warp_m, rng) + 0.03 * noise(grid, warp_m / 5, rng)
    for _ in range(20):
        star = Star.drawn(rng)
        fitted = star.fitted(warped_x[::4, ::4], warped_y[::4, ::4], x[::4, ::4], y[::4, ::4])
        mask = fitted.mask(warped_x, warped_y)
        if np.abs(_reached(mask, x, y) - 1).max() < 0.012:
            return mask
    raise ValueError("no outline found that reaches far enough; take another seed")


@dataclass(frozen=True)
class Star:
    """A star-shaped outline: a circle with waves, stretched along its four half axes."""

    heights: Floats
    phases: Floats
    half_axes: Floats
    contrast: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Star:
        """Waves of random height and phase."""
        heights = rng.normal(0, 0.40, len(WAVES)) / WAVES
        return cls(heights, rng.uniform(0, 2 * np.pi, len(WAVES)), np.full(4, 0.9), 1.0)

    def mask(self, x: Floats, y: Floats) -> Mask:
        """The cells within the outline, as one piece without holes."""
        east, west, north, south = self.half_axes
        u, v = np.where(x > 0, x / east, x / west), np.where(y > 0, y / north, y / south)
        angle = np.arctan2(v, u)
        waves = zip(WAVES, self.heights, self.phases, strict=True)
        radius = 1 + sum(height * np.cos(wave * angle + phase) for wave, height, phase in waves)
        return _one_piece(np.hypot(u, v) < np.maximum(radius, 0.25) ** self.contrast)

    def fitted(self, warped_x: Floats, warped_y: Floats, x: Floats, y: Floats) -> Star:
        """The outline that reaches 1 each way and fills the share ``BOX_SHARE`` of its box, as nearly as can be."""
        star, cell = self, (x[0, -1] - x[0, 0]) / (x.shape[1] - 1)
        for _ in range(36):
            mask = star.mask(warped_x, warped_y)
            share = mask.sum() * cell**2 / 4
            contrast = float(np.clip(star.contrast + 2 * (share - BOX_SHARE), 0.4, 3))
            star = replace(star, half_axes=star.half_axes * _reached(mask, x, y) ** -0.8, contrast=contrast)
        return star


def _reached(mask: Mask, x: Floats, y: Floats) -> Floats:
    """How far the mask reaches to the east, west, north and south."""
    across, up = x[mask], y[mask]
    return np.array([across.max(), -across.min(), up.max(), -up.min()], dtype=float)


def _one_piece(mask: Mask) -> Mask:
    labels, count = ndimage.label(mask)
    sizes = ndimage.sum_labels(mask, labels, np.arange(1, count + 1))
    return np.asarray(ndimage.binary_fill_holes(labels == 1 + int(np.argmax(sizes))))


def areas(terrain: Terrain, mask: Mask, stretch: float, rng: np.random.Generator) -> Areas:
    """County and townships; a township holds the land that is nearest to its seat over the slopes."""
    count = round(TOWNSHIPS_AT_SCALE_1 * stretch**2)
    grid = terrain.coarse
    seats = _seats(terrain, mask, count)
    cost = np.where(mask, 1 + (terrain.coarse_slope_deg / 9) ** 2, np.inf)
    _, _, nearest = csgraph.dijkstra(cost_graph(cost, grid), indices=seats, min_only=True, return_predecessors=True)
    numbers = np.full(mask.size, -1)
    numbers[seats] = np.arange(count)
    labels = np.where(mask.ravel() & (nearest >= 0), numbers[np.maximum(nearest, 0)], -1).reshape(grid.shape)
    labels = _softened(labels, mask, count)
    polygons = _polygons(labels, grid, count)
    county = shapely.coverage_union_all(polygons)
    lon, lat = grid.lonlat(*np.divmod(seats, grid.columns))
    return Areas(county, polygons, names.township_names(count, rng), lon, lat)


def _seats(terrain: Terrain, mask: Mask, count: int) -> Ints:
    """Cells of the township seats, far apart on low ground near rivers; the county seat first."""
    grid = terrain.coarse
    score = -terrain.coarse_slope_deg / 5 - terrain.above_river_m / 90 + 0.35 * np.log10(terrain.area_m2 / 1e4)
    inner = np.asarray(ndimage.binary_erosion(mask, iterations=8))
    row, column = grid.rowcolumn(*SEAT)
    window = np.s_[row - 7 : row + 8, column - 7 : column + 8]
    best = int(np.argmin(terrain.coarse_slope_deg[window] + 0.05 * terrain.above_river_m[window]))
    seats = [(int(row) - 7 + best // 15) * grid.columns + int(column) - 7 + best % 15]
    order = np.flatnonzero(inner)
    order = order[np.argsort(-score.ravel()[order], kind="stable")][: 400 * count]
    everywhere = np.flatnonzero(inner)
    distance_m = 0.78 * sqrt(mask.sum() * grid.cell_x_m * grid.cell_y_m / count)
    while len(seats) < count:
        for pool in (order, everywhere):
            seats = _far_apart(seats, pool, count, distance_m, grid)
        distance_m *= 0.9
    return np.array(seats)


def _far_apart(seats: list[int], pool: Ints, count: int, distance_m: float, grid: Grid) -> list[int]:
    row, column = np.divmod(pool, grid.columns)
    free = np.ones(len(pool), dtype=bool)
    chosen = list(seats)
    for seat in seats:
        free &= _apart(row, column, seat, grid) > distance_m
    while len(chosen) < count and free.any():
        first = int(np.argmax(free))
        chosen.append(int(pool[first]))
        free &= _apart(row, column, chosen[-1], grid) > distance_m
    return chosen


def _apart(row: Ints, column: Ints, cell: int, grid: Grid) -> Floats:
    down, across = (row - cell // grid.columns) * grid.cell_y_m, (column - cell % grid.columns) * grid.cell_x_m
    return np.asarray(np.hypot(down, across))


def _softened(labels: Ints, mask: Mask, count: int) -> Ints:
    """Labels with smoother boundaries: each cell takes the label that weighs most around it."""
    best = np.zeros(labels.shape, dtype=np.float32)
    result = labels.copy()
    pad = 8
    for number, where in enumerate(ndimage.find_objects(labels + 1)[:count]):
        window = tuple(slice(max(0, part.start - pad), part.stop + pad) for part in where)
        weight = ndimage.gaussian_filter((labels[window] == number).astype(np.float32), 2.2)
        wins = weight > best[window]
        best[window][wins] = weight[wins]
        result[window][wins] = number
    return np.where(mask, result, -1)


def _polygons(labels: Ints, grid: Grid, count: int) -> npt.NDArray[np.object_]:
    """One MultiPolygon a label, simplified together so that neighbours keep the same boundary."""
    shapes = features.shapes(labels.astype(np.int32), mask=labels >= 0)
    parts: list[list[BaseGeometry]] = [[] for _ in range(count)]
    for geometry, number in shapes:
        parts[int(number)].append(shapely.geometry.shape(geometry))
    whole = np.array([shapely.union_all(part) for part in parts], dtype=object)
    noded = shapely.transform(shapely.segmentize(whole, 1), np.rint)
    simple = shapely.coverage_simplify(noded, 1.8)
    swayed = shapely.transform(simple, _swayed)
    if not (shapely.coverage_is_valid(swayed) and shapely.is_valid(swayed).all()):
        swayed = simple
    west, north, cell = grid.west, grid.north, grid.cell_deg
    placed = shapely.transform(swayed, lambda xy: np.column_stack([west + cell * xy[:, 0], north - cell * xy[:, 1]]))
    polygons = [item if item.geom_type == "MultiPolygon" else shapely.MultiPolygon([item]) for item in placed]
    return np.array(polygons, dtype=object)


def _swayed(position: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Positions, in cells, moved by less than half a cell, the same way wherever the same position is met."""
    x, y = position[:, 0], position[:, 1]
    shift_x = np.sin(1.1 * y + 0.4 * x) + np.sin(0.37 * y - 0.2 * x)
    shift_y = np.sin(1.2 * x - 0.5 * y) + np.sin(0.41 * x + 0.3 * y)
    return position + 0.22 * np.column_stack([shift_x, shift_y])


def inside(county: BaseGeometry, grid: Grid) -> Mask:
    """Cells that lie wholly inside the county."""
    burnt = features.rasterize([county], out_shape=grid.shape, transform=grid.transform, dtype="uint8")
    return np.asarray(ndimage.binary_erosion(burnt.astype(bool), np.ones((3, 3))))


def settlements(
    terrain: Terrain, land: Areas, mask: Mask, within: Mask, count: int, rng: np.random.Generator
) -> pd.DataFrame:
    """``count`` settlements: county seat, township seats, villages and hamlets, in this order.

    Columns lon, lat, name, kind, persons (true number), population_persons (null where the register does not know
    it), households, vulnerable_persons and township (a number).
    """
    others = count - len(land.names)
    factor = terrain.grid.rows // terrain.coarse.rows
    inner = np.asarray(ndimage.binary_erosion(mask, iterations=3)).repeat(factor, axis=0).repeat(factor, axis=1)
    lon, lat = _dwellings(terrain, within & inner, others, rng)
    frame = pd.DataFrame(
        {
            "lon": np.concatenate([land.seat_lon, lon]),
            "lat": np.concatenate([land.seat_lat, lat]),
        }
    )
    villages = round(VILLAGE_SHARE * count)
    frame["kind"] = np.repeat(
        ["county_seat", "township_seat", "village", "hamlet"],
        [1, len(land.names) - 1, villages, others - villages],
    )
    frame["township"] = land.township_of(frame["lon"], frame["lat"])
    frame.loc[: len(land.names) - 1, "township"] = np.arange(len(land.names))
    stems = names.settlement_names(others, rng)
    ends = np.where(frame["kind"].to_numpy()[len(land.names) :] == "village", "村", "组").astype(object)
    frame["name"] = np.concatenate([np.array(land.names, dtype=object), stems + ends])
    frame["persons"] = _persons(frame["kind"].to_numpy(), rng)
    frame["households"] = np.maximum(1, np.round(frame["persons"] / rng.normal(3.9, 0.3, count))).astype("int64")
    frame["vulnerable_persons"] = np.round(frame["persons"] * rng.uniform(0.16, 0.34, count)).astype("int64")
    unknown = (rng.random(count) < 0.04) & (np.arange(count) >= len(land.names))
    for field, source in (
        ("population_persons", "persons"),
        ("households", "households"),
        ("vulnerable_persons", "vulnerable_persons"),
    ):
        frame[field] = frame[source].astype("Int64").mask(unknown)
    frame["population_year"] = pd.array(np.full(count, YEAR), dtype="Int64").astype("Int64")
    frame["population_year"] = frame["population_year"].mask(unknown)
    return frame


def _dwellings(terrain: Terrain, within: Mask, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Places to live: the best cell of square blocks, drawn with a weight for flat ground near rivers."""
    grid = terrain.grid
    factor = grid.rows // terrain.coarse.rows
    above = upsampled(terrain.above_river_m.astype(np.float32), factor, order=1)
    score = -terrain.slope_deg / 5 - above / 75
    score[~within] = -np.inf
    side = max(1, int(sqrt(within.sum() / (3.2 * count))))
    row, column = _best_of_blocks(score, side)
    value = score[row, column]
    value = value + 0.8 * noise(terrain.coarse, 6000, rng)[row // factor, column // factor]
    chosen = drawn(value, count, rng)
    chosen = chosen[np.argsort(-value[chosen] + rng.normal(0, 2, count), kind="stable")]
    return grid.lonlat(row[chosen] + rng.uniform(-0.4, 0.4, count), column[chosen] + rng.uniform(-0.4, 0.4, count))


def _best_of_blocks(score: Floats, side: int) -> tuple[Ints, Ints]:
    """Row and column of the best cell in each block of ``side`` × ``side`` cells that has any."""
    rows, columns = score.shape[0] // side, score.shape[1] // side
    blocks = score[: rows * side, : columns * side].reshape(rows, side, columns, side).swapaxes(1, 2)
    best = blocks.reshape(rows, columns, side * side).argmax(axis=2)
    row = np.arange(rows)[:, None] * side + best // side
    column = np.arange(columns)[None, :] * side + best % side
    usable = np.isfinite(score[row, column])
    return row[usable], column[usable]


def drawn(log_weight: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Indices of ``count`` different items, drawn with probability proportional to exp(log_weight).

    References
    ----------
    Efraimidis and Spirakis 2006, doi:10.1016/j.ipl.2005.11.003 (in the form with Gumbel noise).
    """
    keys = log_weight + rng.gumbel(size=len(log_weight))
    if count > np.isfinite(keys).sum():
        raise ValueError(f"only {int(np.isfinite(keys).sum())} places for {count} items")
    top = np.argpartition(-keys, count - 1)[:count]
    return np.sort(top)


def _persons(kind: npt.NDArray[np.object_], rng: np.random.Generator) -> Ints:
    """People by the rank-size rule within each kind, with some scatter."""
    persons = np.zeros(len(kind), dtype=np.int64)
    persons[kind == "county_seat"] = 74_320
    for name, smallest, largest, power in (
        ("township_seat", 2000, 8000, 0.5),
        ("village", 480, 3600, 0.42),
        ("hamlet", 55, 700, 0.45),
    ):
        of_kind = np.flatnonzero(kind == name)
        share = np.arange(1, len(of_kind) + 1) / max(len(of_kind), 1)
        size = smallest * share**-power * np.exp(rng.normal(0, 0.2, len(of_kind)))
        persons[of_kind] = np.clip(size, 0.8 * smallest, largest).astype(np.int64)
    return persons


def admin_areas(land: Areas, homes: pd.DataFrame) -> geopandas.GeoDataFrame:
    """The county and its townships with their people, the county first."""
    people = homes.groupby("township")["persons"].sum().reindex(range(len(land.names)), fill_value=0).to_numpy()
    frame = pd.DataFrame(
        {
            "source_id": [names.COUNTY_CODE, *land.codes],
            "name": [names.COUNTY, *land.names],
            "name_en": ["Yunling", *(names.latin(name[:-1]) for name in land.names)],
            "level": ["county", *["township"] * len(land.names)],
            "parent_code": [names.CITY_CODE, *[names.COUNTY_CODE] * len(land.names)],
            "parent_name": [names.CITY, *[names.COUNTY] * len(land.names)],
            "population_persons": pd.array([int(people.sum()), *people.tolist()], dtype="Int64"),
            "population_year": pd.array([YEAR] * (len(land.names) + 1), dtype="Int64"),
        }
    )
    county = shapely.multipolygons(shapely.get_parts(land.county))
    return geopandas.GeoDataFrame(frame, geometry=np.array([county, *land.townships], dtype=object), crs=4326)


def layer(homes: pd.DataFrame, land: Areas) -> geopandas.GeoDataFrame:
    """The settlements as a layer."""
    frame = homes.assign(admin_area=land.label(homes["township"].to_numpy()))
    return geopandas.GeoDataFrame(frame, geometry=shapely.points(frame["lon"], frame["lat"]), crs=4326)
