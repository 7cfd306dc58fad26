"""Rivers and faults of the sample county, as lines."""

from __future__ import annotations

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from layers.sample import names
from layers.sample.terrain import Drainage, Floats, Ints, Terrain

STREAM_M2 = 3.5e6
RIVER_M2 = 1.5e8
SHORTEST_STREAM_M = 1800.0


def rivers(terrain: Terrain, county: BaseGeometry, rng: np.random.Generator) -> geopandas.GeoDataFrame:
    """Rivers and streams that follow the drained area, cut at the county's boundary.

    A watercourse runs from its head to the point where it meets a larger one; above 150 km² of drained area it is a
    river, before that a stream under the same name. ``area_km2`` is the drained area at the lower end.
    """
    area = terrain.area_m2.ravel()
    stems = _stems(terrain.drainage, area)
    position = _smoothed(terrain, area)
    rows = [part for number, stem in enumerate(stems) for part in _parts(number, stem, area)]
    lines = [shapely.LineString(position[cells]) for _, _, cells in rows]
    frame = pd.DataFrame(
        {
            "stem": [number for number, _, _ in rows],
            "class": [kind for _, kind, _ in rows],
            "area_km2": [area[cells[1]] / 1e6 for _, _, cells in rows],
        }
    )
    frame["width_m"] = np.round(1.6 * frame["area_km2"] ** 0.46 + 1, 1)
    called = names.river_names(len(stems), rng)
    ends = {"river": "河", "stream": "溪"}
    largest = frame.groupby("stem")["class"].transform("min")
    frame["name"] = [called[stem] + ends[kind] for stem, kind in zip(frame["stem"], largest, strict=True)]
    simple = shapely.simplify(np.array(lines), terrain.coarse.cell_deg * 0.06)
    within = shapely.intersection(simple, county)
    result = geopandas.GeoDataFrame(frame, geometry=_multi(within), crs=4326)
    return result[~result.geometry.is_empty].reset_index(drop=True)


def faults(county: BaseGeometry, stretch: float, rng: np.random.Generator) -> geopandas.GeoDataFrame:
    """A few faults that run from south-west to north-east."""
    count = round(6 * stretch)
    west, south, east, north = county.bounds
    lines = []
    for _ in range(count):
        x, y = rng.uniform(west, east), rng.uniform(south, north)
        length = rng.uniform(0.12, 0.35)
        bearing = np.radians(rng.normal(42, 12))
        along = np.linspace(-0.5, 0.5, 24) * length
        across = np.cumsum(rng.normal(0, 0.0016, 24))
        points = np.column_stack(
            [
                x + along * np.sin(bearing) + across * np.cos(bearing),
                y + along * np.cos(bearing) - across * np.sin(bearing),
            ]
        )
        lines.append(shapely.LineString(points))
    called = names.settlement_names(count, rng)
    frame = geopandas.GeoDataFrame(
        {
            "name": called + "断裂",
            "kind": rng.choice(["normal", "reverse", "strike_slip"], count, p=[0.35, 0.4, 0.25]),
            "active": np.arange(count) % 3 == 0,
        },
        geometry=_multi(shapely.intersection(np.array(lines), county)),
        crs=4326,
    )
    return frame[~frame.geometry.is_empty].reset_index(drop=True)


def _stems(drainage: Drainage, area: Floats) -> list[Ints]:
    """Cells of each watercourse, from the cell it flows into up to its head."""
    receiver = drainage.receiver
    channel = np.flatnonzero(area > STREAM_M2)
    channel = channel[np.argsort(area[channel], kind="stable")]
    main = np.full(len(receiver), -1, dtype=np.int64)
    below = channel[receiver[channel] >= 0]
    main[receiver[below]] = below
    is_main = np.zeros(len(receiver), dtype=bool)
    is_main[main[main >= 0]] = True
    stems = []
    for mouth in channel[~is_main[channel]][::-1].tolist():
        stem = [int(receiver[mouth])] if receiver[mouth] >= 0 else []
        cell = mouth
        while cell >= 0:
            stem.append(cell)
            cell = int(main[cell])
        cells = np.array(stem)
        if drainage.distance_m[cells].sum() >= SHORTEST_STREAM_M:
            stems.append(cells)
    return stems


def _smoothed(terrain: Terrain, area: Floats) -> Floats:
    """Longitude and latitude of each cell's channel, averaged along the flow so that lines still meet."""
    grid, receiver = terrain.coarse, terrain.drainage.receiver
    count = len(receiver)
    row, column = np.divmod(np.arange(count), grid.columns)
    position = np.column_stack(grid.lonlat(row, column))
    order = np.argsort(area, kind="stable")
    order = order[receiver[order] >= 0]
    main = np.arange(count)
    main[receiver[order]] = order
    down = np.where(receiver < 0, np.arange(count), receiver)
    for _ in range(4):
        position = 0.5 * position + 0.25 * position[main] + 0.25 * position[down]
    return position


def _parts(number: int, stem: Ints, area: Floats) -> list[tuple[int, str, Ints]]:
    """The river part and the stream part of one watercourse."""
    large = int((area[stem[1:]] >= RIVER_M2).sum()) + 1
    if large < 3:
        return [(number, "stream", stem)]
    if len(stem) - large < 3:
        return [(number, "river", stem)]
    return [(number, "river", stem[: large + 1]), (number, "stream", stem[large:])]


def _multi(lines: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Each geometry's line parts as a MultiLineString."""
    parts, owner = shapely.get_parts(lines, return_index=True)
    is_line = shapely.get_type_id(parts) == 1
    result = np.full(len(lines), shapely.MultiLineString(), dtype=object)
    joined = shapely.multilinestrings(parts[is_line], indices=owner[is_line], out=result)
    return np.asarray(joined)
