"""The whole sample county: terrain and all layers, from a scale and a seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import rasterio.shutil
from affine import Affine
from pyproj import CRS

from layers.sample import hazards, names, places, prevention, response, roads, tables, terrain, water

LABEL = {"zh": "示例数据：云岭县为虚构，非真实", "en": "Sample data: Yunling county is fictional"}
Table = pd.DataFrame  # or a GeoDataFrame, which is one
Progress = Callable[[str, float], None]
COUNTS = {
    "hazard_points": 1000,
    "risk_zones": 100,
    "shelters": 200,
    "supply_depots": 20,
    "rescue_teams": 40,
    "settlements": 500,
    "roads": 1000,
    "facilities": 300,
    "hazard_sources": 25,
    "safety_hazards": 60,
    "experts": 30,
    "response_plans": 40,
    "drills": 40,
}
LARGEST_KM2 = 30_000
KM2_AT_SCALE_1 = 2400


@dataclass(frozen=True)
class SampleCounty:
    """A fictional county.

    Attributes
    ----------
    layers : dict
        A frame for each layer id, in EPSG:4326; the columns are the definition's fields, ``source_id``,
        ``stated_at`` and ``note``. Dates are ``datetime.date``; unknown texts, codes and dates are None,
        unknown numbers, booleans and moments are pandas' nulls.
    elevation : numpy.ndarray
        float32, metres above sea level, row 0 in the north.
    transform : affine.Affine
        From column and row to longitude and latitude.
    crs : pyproj.CRS
        EPSG:4326.
    """

    layers: dict[str, Table]
    elevation: npt.NDArray[np.float32]
    transform: Affine
    crs: CRS

    def write_elevation(self, path: Path | str) -> None:
        """Write the elevation as a cloud-optimised GeoTIFF that says it is sample data."""
        rows, columns = self.elevation.shape
        with TemporaryDirectory() as folder:
            plain = Path(folder) / "elevation.tif"
            with rasterio.open(
                plain,
                "w",
                driver="GTiff",
                height=rows,
                width=columns,
                count=1,
                dtype="float32",
                crs=self.crs.to_wkt(),
                transform=self.transform,
                nodata=-9999,
                tiled=True,
                BIGTIFF="IF_SAFER",
            ) as file:
                file.write(self.elevation, 1)
                file.set_band_description(1, "elevation_m")
                file.update_tags(SAMPLE=f"{LABEL['zh']} / {LABEL['en']}", AREA_OR_POINT="Area")
            rasterio.shutil.copy(
                plain,
                path,
                driver="COG",
                COMPRESS="DEFLATE",
                PREDICTOR="3",
                BLOCKSIZE="512",
                OVERVIEW_RESAMPLING="AVERAGE",
                NUM_THREADS="2",
            )


def make(
    scale: float = 1, seed: int = 20261122, progress: Progress | None = None, now: datetime | None = None
) -> SampleCounty:
    """The sample county.

    Parameters
    ----------
    scale : float
        Multiplies the numbers of rows; the area grows with its square root up to 30 000 km².
    seed : int
        The same seed, scale and ``now`` give the same county.
    progress : callable, optional
        Called with the name of the part begun and the share done, 0 to 1.
    now : datetime, optional
        What dates are counted from, with time zone; the present hour by default.

    Raises
    ------
    ValueError
        If the scale is below 1.
    """
    if scale < 1:
        raise ValueError("the scale is 1 or more")
    now = now or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    say = progress or (lambda part, share: None)
    count = {layer: round(number * scale) for layer, number in COUNTS.items()}
    stretch = min(sqrt(sqrt(scale)), sqrt(LARGEST_KM2 / KM2_AT_SCALE_1))

    say("terrain", 0.0)
    ground = terrain.make(stretch, _rng(seed, "terrain"))
    say("townships", 0.15)
    mask = places.outline(ground.coarse, stretch, _rng(seed, "outline"))
    land = places.areas(ground, mask, stretch, _rng(seed, "areas"))
    within = places.inside(land.county, ground.grid)
    say("settlements", 0.2)
    homes = places.settlements(ground, land, mask, within, count["settlements"], _rng(seed, "settlements"))
    say("roads", 0.25)
    net = roads.roads(ground, land, mask, homes, count["roads"], _rng(seed, "roads"))
    say("danger points", 0.45)
    around = hazards.surroundings(ground, homes, net)
    points = hazards.hazard_points(
        ground, land, within, around, count["hazard_points"], now, _rng(seed, "hazard_points")
    )
    say("risk zones", 0.65)
    zones = hazards.risk_zones(ground, land, points, around, count["risk_zones"], now, _rng(seed, "risk_zones"))
    say("response", 0.75)
    buildings = response.facilities(ground, land, within, homes, count["facilities"], _rng(seed, "facilities"))
    refuges = response.shelters(
        ground, land, within, homes, buildings, zones, count["shelters"], now, _rng(seed, "shelters")
    )
    stores = _numbered(
        "supply_depots", response.depots(ground, land, within, homes, count["supply_depots"], _rng(seed, "depots"))
    )
    lines = response.stock(stores, now, _rng(seed, "stock"))
    stores["kinds"] = response.kinds_kept(stores, lines)
    sources = hazards.hazard_sources(
        ground, land, within, around, net, count["hazard_sources"], _rng(seed, "hazard_sources")
    )
    plans = _numbered("response_plans", prevention.plans(land, count["response_plans"], now, _rng(seed, "plans")))
    say("tables", 0.85)
    layers: dict[str, Table] = {
        "admin_areas": places.admin_areas(land, homes),
        "rivers": water.rivers(ground, land.county, _rng(seed, "rivers")),
        "faults": water.faults(land.county, stretch, _rng(seed, "faults")),
        "roads": net,
        "settlements": places.layer(homes, land),
        "facilities": buildings,
        "hazard_sources": sources,
        "hazard_points": points,
        "risk_zones": zones,
        "shelters": refuges,
        "supply_depots": stores,
        "rescue_teams": response.teams(ground, land, within, homes, count["rescue_teams"], now, _rng(seed, "teams")),
        "stock": lines,
        "incidents": response.incidents(land, now),
        "road_closures": response.road_closures(land, net, now),
        "safety_hazards": prevention.safety_hazards(
            ground, land, within, homes, count["safety_hazards"], now, _rng(seed, "safety_hazards")
        ),
        "experts": prevention.experts(count["experts"], now, _rng(seed, "experts")),
        "response_plans": plans,
        "drills": prevention.drills(ground, land, within, homes, plans, count["drills"], now, _rng(seed, "drills")),
        "grid_cells": prevention.grid_cells(land, homes, _rng(seed, "grid_cells")),
    }
    finished = {layer: _finished(layer, frame, now, _rng(seed, f"stated {layer}")) for layer, frame in layers.items()}
    say("done", 1.0)
    return SampleCounty(finished, ground.elevation_m, ground.grid.transform, CRS.from_epsg(4326))


def _rng(seed: int, part: str) -> np.random.Generator:
    """A stream of random numbers of its own for each part, so that a change in one leaves the others."""
    return np.random.default_rng([seed, zlib.crc32(part.encode())])


def _numbered(layer: str, frame: Table) -> Table:
    """The frame with ``source_id``, unless it has codes of its own."""
    if "source_id" not in frame:
        number = pd.Series(np.arange(1, len(frame) + 1), index=frame.index).astype(str).str.zfill(6)
        frame["source_id"] = f"sample-{layer}-" + number
    return frame


def _finished(layer: str, frame: Table, now: datetime, rng: np.random.Generator) -> Table:
    """Only the definition's fields, with ``source_id``, ``stated_at`` and ``note``."""
    frame = _numbered(layer, frame)
    frame["stated_at"] = tables.stated(layer, len(frame), now, rng)
    frame["note"] = names.NOTE
    fields = [name for name in tables.field_names(layer) if name in frame]
    own = [name for name in ("source_id", "stated_at", "note") if name not in fields]
    shape = ["geometry"] if "geometry" in frame else []
    return tables.with_none(frame[[*own, *fields, *shape]].copy())
