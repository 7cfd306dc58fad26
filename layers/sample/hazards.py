"""Danger points, past events, risk zones and hazardous installations of the sample county."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from rasterio import features
from scipy import ndimage, spatial

from layers.definition import Standard, load
from layers.sample import tables
from layers.sample.places import Areas, Mask, drawn
from layers.sample.terrain import CENTRE, METRES_PER_DEGREE, Floats, Ints, Terrain
from layers.sample.water import RIVER_M2

INCIDENT = (105.286, 27.304)
SHARES = {
    "landslide": 0.55,
    "rockfall": 0.20,
    "unstable_slope": 0.12,
    "debris_flow": 0.08,
    "ground_collapse": 0.04,
    "ground_fissure": 0.01,
}
WORDS = {
    "landslide": "滑坡",
    "rockfall": "崩塌",
    "unstable_slope": "不稳定斜坡",
    "debris_flow": "泥石流",
    "ground_collapse": "地面塌陷",
    "ground_fissure": "地裂缝",
    "flood": "洪水",
    "flash_flood": "山洪",
}
STEEP_DEG = (15.0, 45.0)
STAGES: dict[str | None, float] = {
    "found": 8,
    "assessed": 10,
    "assigned": 14,
    "rectifying": 38,
    "to_accept": 6,
    "accepted": 3,
    "struck_off": 17,
    "reopened": 4,
}
GRADES = ("small", "medium", "large", "very_large")
MEASURES = ("threatened_persons", "threatened_property_cny")
COSINE = float(np.cos(np.radians(CENTRE[1])))


@dataclass(frozen=True)
class Surroundings:
    """Where people are: settlements, and metres to the nearest settlement and road on the coarse grid."""

    homes: pd.DataFrame
    home_tree: spatial.cKDTree
    home_m: Floats
    road_m: Floats

    def nearest_home(self, lon: Floats, lat: Floats) -> Ints:
        """Row of the nearest settlement to each position."""
        _, row = self.home_tree.query(np.column_stack([np.asarray(lon) * COSINE, lat]))
        return np.asarray(row)


def surroundings(terrain: Terrain, homes: pd.DataFrame, roads: geopandas.GeoDataFrame) -> Surroundings:
    """Distances to settlements and roads, to place dangers near people."""
    grid = terrain.coarse
    empty = np.ones(grid.shape, dtype=bool)
    empty[grid.rowcolumn(homes["lon"], homes["lat"])] = False
    burnt = features.rasterize(roads.geometry.to_numpy(), out_shape=grid.shape, transform=grid.transform, dtype="uint8")
    size = (grid.cell_y_m, grid.cell_x_m)
    tree = spatial.cKDTree(np.column_stack([homes["lon"] * COSINE, homes["lat"]]))
    return Surroundings(
        homes,
        tree,
        ndimage.distance_transform_edt(empty, sampling=size),
        ndimage.distance_transform_edt(burnt == 0, sampling=size),
    )


def hazard_points(
    terrain: Terrain,
    land: Areas,
    within: Mask,
    around: Surroundings,
    count: int,
    now: datetime,
    rng: np.random.Generator,
) -> geopandas.GeoDataFrame:
    """Exactly ``count`` danger points, about 6 % of them past events, on steep ground near people."""
    counts = {name: int(share * count) for name, share in SHARES.items()}
    counts["landslide"] += count - sum(counts.values())
    places = [_places(terrain, within, around, name, number, rng) for name, number in counts.items()]
    order = rng.permutation(count)
    lon = np.concatenate([x for x, _ in places])[order]
    lat = np.concatenate([y for _, y in places])[order]
    kind = np.repeat(np.array(list(counts), dtype=object), list(counts.values()))[order]
    home = around.homes.iloc[around.nearest_home(lon, lat)].reset_index(drop=True)
    township = land.township_of(lon, lat)
    event = rng.random(count) < 0.06
    frame = pd.DataFrame({"hazard": kind, "record_kind": np.where(event, "past_event", "hidden_danger")})
    words = frame["hazard"].map(WORDS).to_numpy(dtype=object)
    frame["name"] = tables.numbered(home["name"].to_numpy(dtype=object), words)
    frame["admin_area"] = land.label(township)
    frame["address"] = np.array(land.names, dtype=object)[township] + home["name"].to_numpy(dtype=object)
    _add_size(frame, rng)
    _add_threat(frame, event, home, rng)
    _add_grades(frame, event, rng)
    _add_history(frame, event, now, rng)
    _add_watch(frame, event, rng)
    return geopandas.GeoDataFrame(frame, geometry=shapely.points(lon, lat), crs=4326)


def threat_grades(frame: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Grade of each row by the standard; null where every measure is unknown, the known ones' grade otherwise."""
    path = Path(__file__).parents[1] / "standards" / "geological_danger_grades.toml"
    standard = load(Standard, path)
    values = frame[list(MEASURES)].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    known = ~np.isnan(values).all(axis=1)
    grades = np.full(len(frame), None, dtype=object)
    for threshold in reversed(standard.thresholds):
        limits = np.array([threshold.at_least.get(name, np.inf) for name in MEASURES])
        reached = (values >= limits).any(axis=1) if threshold.at_least else known
        grades[reached & known] = threshold.grade
    return grades


def _places(
    terrain: Terrain, within: Mask, around: Surroundings, kind: str, count: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """``count`` positions where this kind of danger is plausible, nearer to people with higher probability."""
    slope, grid = terrain.slope_deg, terrain.grid
    factor = grid.rows // terrain.coarse.rows
    low, high = (0.0, 14.0) if kind == "ground_collapse" else STEEP_DEG
    row, column = np.nonzero(within & (slope >= low) & (slope <= high))
    coarse = row // factor, column // factor
    if kind == "debris_flow":
        area_km2 = terrain.area_m2[coarse] / 1e6
        gully = (area_km2 > 0.12) & (area_km2 < 12)
        row, column = row[gully], column[gully]
        coarse = row // factor, column // factor
    weight = -around.home_m[coarse] / 800 - around.road_m[coarse] / 450
    steepness = {"rockfall": 0.16, "landslide": 0.02, "unstable_slope": 0.03}.get(kind, 0.0)
    weight = weight + steepness * slope[row, column]
    picked = drawn(weight, count, rng)
    lon, lat = grid.lonlat(row[picked] + rng.uniform(-0.4, 0.4, count), column[picked] + rng.uniform(-0.4, 0.4, count))
    return lon, lat


def _add_size(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    count = len(frame)
    volume = np.round(np.exp(rng.normal(np.log(22_000), 1.5, count)), -2) + 100
    limits = [100_000, 1_000_000, 10_000_000]
    frame["size_class_stated"] = np.array(GRADES, dtype=object)[np.digitize(volume, limits)]
    unknown = rng.random(count) < 0.08
    frame["volume_m3"] = pd.Series(volume).mask(unknown)
    frame.loc[unknown, "size_class_stated"] = None
    frame["trend"] = tables.chosen({"稳定": 28, "基本稳定": 40, "欠稳定": 24, "不稳定": 8}, count, rng)
    frame["location_accuracy"] = tables.chosen({"实测": 70, "图上量取": 25, None: 5}, count, rng)


def _add_threat(frame: pd.DataFrame, event: Mask, home: pd.DataFrame, rng: np.random.Generator) -> None:
    count = len(frame)
    crowd = np.clip(home["persons"].to_numpy() / 500, 0.5, 3) ** 0.5
    persons = np.maximum(2, np.round(np.exp(rng.normal(np.log(27), 1.4, count)) * crowd)).astype(int)
    property_cny = np.round(persons * np.exp(rng.normal(np.log(32_000), 0.5, count)), -4) + 10_000
    neither = rng.random(count) < 0.05
    no_persons = neither | (rng.random(count) < 0.02) | event
    no_property = neither | (rng.random(count) < 0.06) | event
    frame["threatened_persons"] = tables.whole(persons, no_persons)
    frame["threatened_households"] = tables.whole(np.maximum(1, np.round(persons / 4.1)), no_persons)
    frame["threatened_property_cny"] = pd.Series(property_cny).mask(no_property)
    frame["threatened_objects"] = tables.chosen(
        {"居民房屋": 60, "居民房屋、公路": 22, "公路": 8, "学校": 3, "居民房屋、农田": 7}, count, rng
    )
    deaths = np.floor(np.exp(rng.normal(-1.2, 1.2, count))).astype(int)
    frame["fatalities_persons"] = tables.whole(deaths, ~event)
    frame["injuries_persons"] = tables.whole(deaths * 2 + rng.poisson(0.7, count), ~event)
    loss = np.round(np.exp(rng.normal(np.log(300_000), 1.3, count)), -3)
    frame["direct_loss_cny"] = pd.Series(loss).mask(~event | (rng.random(count) < 0.1))
    triggers = {"降雨": 72, "切坡建房": 14, "修路切坡": 9, "采矿": 2, "地震": 1, None: 2}
    frame["trigger"] = tables.chosen(triggers, count, rng)


def _add_grades(frame: pd.DataFrame, event: Mask, rng: np.random.Generator) -> None:
    """Stated grades: mostly the standard's or none; some are a grade higher with a reason, a few lower without one."""
    count = len(frame)
    stated = threat_grades(frame)
    place = pd.Series(stated).map(GRADES.index, na_action="ignore").to_numpy(dtype=float, na_value=-1)
    draw = rng.random(count)
    raised = (draw < 0.03) & (place >= 0) & (place < 3) & ~event
    lowered = (draw > 0.99) & (place > 0) & ~event
    grades = np.array(GRADES, dtype=object)
    stated[raised] = grades[place[raised].astype(int) + 1]
    stated[lowered] = grades[place[lowered].astype(int) - 1]
    silent = (rng.random(count) < 0.35) & ~raised & ~lowered
    stated[event | silent] = None
    frame["threat_grade_stated"] = stated
    reason = np.full(count, "学校在威胁范围内，提高一级（示例）", dtype=object)
    frame["threat_grade_reason"] = pd.Series(reason).where(raised)


def _add_watch(frame: pd.DataFrame, event: Mask, rng: np.random.Generator) -> None:
    """Who looks after a danger, and how; what is lacking is lacking more often where nothing is assigned yet."""
    count = len(frame)
    danger = ~event
    early = frame["stage"].isin(["found", "assessed"]).to_numpy()
    methods = {"人工巡查": 60, "群测群防、裂缝计": 24, "普适型监测设备": 16}
    frame["monitoring_method"] = tables.chosen(methods, count, rng)
    means = {"锣、喊话": 38, "高音喇叭": 34, "短信、电话": 20, "报警器": 8}
    frame["warning_means"] = tables.chosen(means, count, rng)
    has_plan = pd.Series(rng.random(count) < np.where(early, 0.7, 0.97)).astype("boolean")
    frame["has_plan"] = has_plan.mask(event | (rng.random(count) < 0.02))
    households = frame["threatened_households"].astype("Float64")
    share = tables.chosen({"1": 80, "0.8": 10, "0.5": 6, "0": 4}, count, rng).astype(float)
    frame["notice_cards_issued"] = (households * share).round().astype("Int64")
    measures: dict[str | None, float] = {"监测预警": 54, "工程治理": 18, "搬迁避让": 17, "排危除险": 9, None: 2}
    frame["measures"] = tables.chosen(measures, count, rng)
    frame["responsible_name"] = tables.people("责任人", count, several=3)
    posts = {"村支书": 45, "村主任": 30, "副乡镇长": 15, "驻村干部": 10}
    frame["responsible_post"] = tables.chosen(posts, count, rng)
    frame["responsible_phone"] = tables.phones(count, several=3)
    frame["monitor_name"] = tables.people("监测员", count)
    frame["monitor_phone"] = tables.phones(count, start=10_000_001)
    for role in ("responsible", "monitor"):
        nobody = rng.random(count) < np.where(early, 0.3, 0.02)
        for field in ("name", "post", "phone"):
            if f"{role}_{field}" in frame:
                frame[f"{role}_{field}"] = frame[f"{role}_{field}"].mask(nobody)
        frame[f"{role}_phone"] = frame[f"{role}_phone"].mask(rng.random(count) < 0.03)
    funds = np.round(np.exp(rng.normal(np.log(180_000), 0.9, count)), -3)
    frame["funds_cny"] = pd.Series(funds).mask(event | early | (rng.random(count) < 0.03))
    frame["withheld"] = np.zeros(count, dtype=bool)
    for field in (
        "monitoring_method",
        "warning_means",
        "responsible_name",
        "responsible_post",
        "responsible_phone",
        "monitor_name",
        "monitor_phone",
    ):
        frame[field] = frame[field].where(danger)


def _add_history(frame: pd.DataFrame, event: Mask, now: datetime, rng: np.random.Generator) -> None:
    count = len(frame)
    age = np.floor(rng.gamma(2.0, 700, count)).astype(int) + 20
    stage = tables.chosen(STAGES, count, rng)
    stage[event] = None
    frame["stage"] = stage
    frame["found_on"] = tables.dates(now, age, event)
    frame["occurred_on"] = tables.dates(now, age, ~event)
    under_way = np.isin(stage.astype(str), ["assigned", "rectifying", "to_accept", "accepted"])
    overdue = rng.random(count) < 0.13
    until = np.where(overdue, np.minimum(rng.integers(1, 90, count), age - 5), -rng.integers(3, 400, count))
    no_deadline = ~under_way | (rng.random(count) < 0.03)
    frame["deadline_on"] = tables.dates(now, until, no_deadline)
    drill = np.minimum(rng.integers(10, 420, count), age)
    frame["drill_on"] = tables.dates(now, drill, event | (rng.random(count) < 0.3))
    _add_end(frame, stage, age, now, rng)


def _add_end(frame: pd.DataFrame, stage: tables.Objects, age: Ints, now: datetime, rng: np.random.Generator) -> None:
    """Reviews, strikings-off, about one in eight of them of late, and reopenings."""
    count = len(frame)
    struck, accepted, reopened = (stage == name for name in ("struck_off", "accepted", "reopened"))
    late = rng.random(count) < 0.12
    days = np.where(late, rng.integers(0, 20, count), np.floor(age * rng.uniform(0.02, 0.7, count))).astype(int)
    frame["struck_off_on"] = tables.dates(now, days, ~struck)
    reason = tables.chosen({"工程治理完成": 45, "搬迁完成，无威胁对象": 40, "稳定性复核达标": 15}, count, rng)
    frame["struck_off_reason"] = pd.Series(reason).where(struck)
    agreed = pd.Series(np.full(count, "同意（示例）", dtype=object))
    for level, label, reviewed, before in (
        ("county", "县级审核人", struck | accepted, 12),
        ("city", "市级审核人", struck, 3),
    ):
        frame[f"{level}_review"] = agreed.where(reviewed)
        frame[f"{level}_reviewed_by"] = pd.Series(tables.people(label, count, several=60)).where(reviewed)
        frame[f"{level}_reviewed_on"] = tables.dates(now, np.minimum(days + before, age), ~reviewed)
    again = np.minimum(rng.integers(1, 60, count), age - 1)
    frame["reopened_on"] = tables.dates(now, again, ~reopened)
    why = tables.chosen({"雨后出现新裂缝": 60, "挡墙变形": 25, "复核发现威胁对象": 15}, count, rng)
    frame["reopened_reason"] = pd.Series(why).where(reopened)


def risk_zones(
    terrain: Terrain,
    land: Areas,
    points: geopandas.GeoDataFrame,
    around: Surroundings,
    count: int,
    now: datetime,
    rng: np.random.Generator,
) -> geopandas.GeoDataFrame:
    """Exactly ``count`` zones: blobs down the slope from danger points, fans below gullies, strips along rivers.

    The first one is a landslide zone at the exercise's incident.
    """
    floods = round(0.14 * count)
    shapes, kind = _slope_zones(terrain, points, count - floods, rng)
    strips = _flood_strips(terrain, land, floods, rng)
    polygons = np.concatenate([shapes, strips])
    kind = np.concatenate([kind, tables.chosen({"flood": 75, "flash_flood": 25}, floods, rng)])
    polygons = _clipped(polygons, land)
    centre = shapely.point_on_surface(polygons)
    lon, lat = shapely.get_x(centre), shapely.get_y(centre)
    home = around.homes.iloc[around.nearest_home(lon, lat)].reset_index(drop=True)
    frame = pd.DataFrame({"hazard": kind})
    words = frame["hazard"].map(WORDS).to_numpy(dtype=object) + "危险区"
    frame["name"] = tables.numbered(home["name"].to_numpy(dtype=object), words)
    frame["risk_class"] = tables.chosen({"very_high": 12, "high": 30, "medium": 37, "low": 19, None: 2}, count, rng)
    frame.loc[0, "risk_class"] = "very_high"
    frame["zone_kind"] = tables.chosen({"warning": 35, "special_warning": 8, None: 57}, count, rng)
    inside = _people_inside(polygons, around.homes)
    crowd = np.maximum(inside, np.round(np.exp(rng.normal(np.log(45), 1.0, count))))
    frame["threatened_persons"] = tables.whole(crowd, rng.random(count) < 0.06)
    frame["designated_on"] = tables.dates(now, rng.integers(60, 2600, count), rng.random(count) < 0.05)
    frame["admin_area"] = land.label(land.township_of(lon, lat))
    return geopandas.GeoDataFrame(frame, geometry=polygons, crs=4326)


def _slope_zones(
    terrain: Terrain, points: geopandas.GeoDataFrame, count: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Blobs, longer than wide, that begin above a danger point and reach down the slope; and their hazards."""
    people = points["threatened_persons"].astype("Float64").fillna(1).to_numpy(dtype=float)
    usable = points["hazard"].isin(["landslide", "rockfall", "debris_flow", "unstable_slope"]).to_numpy()
    picked = drawn(np.where(usable, np.log(people), -np.inf), count, rng)
    lon, lat = points.geometry.x.to_numpy()[picked].copy(), points.geometry.y.to_numpy()[picked].copy()
    kind = points["hazard"].to_numpy(dtype=object)[picked].copy()
    lon[0], lat[0], kind[0] = *INCIDENT, "landslide"
    down_x, down_y = _downhill(terrain, lon, lat)
    half_m = np.clip(np.exp(rng.normal(np.log(380), 0.45, count)), 170, 1100)
    wide_m = half_m * rng.uniform(0.45, 0.8, count)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    along = half_m[:, None] * np.cos(angle)
    across = wide_m[:, None] * np.sin(angle)
    fan = (kind == "debris_flow")[:, None]
    across = across * np.where(fan, 0.62 + 0.38 * np.cos(angle), 1)
    along = along * np.where(fan, 1.35, 1)
    waves = np.arange(2, 7)
    height, phase = rng.normal(0, 0.16, (count, 5)) / waves**0.7, rng.uniform(0, 2 * np.pi, (count, 5))
    swell = 1 + np.einsum("ik,ijk->ij", height, np.cos(angle[:, None] * waves + phase[:, None, :]))
    swell = np.clip(swell, 0.7, 1.6)
    along = along * swell + 0.55 * half_m[:, None]
    across = across * swell
    x_m = along * down_x[:, None] - across * down_y[:, None]
    y_m = along * down_y[:, None] + across * down_x[:, None]
    rings = np.stack([lon[:, None] + x_m / METRES_PER_DEGREE / COSINE, lat[:, None] + y_m / METRES_PER_DEGREE], axis=2)
    return np.asarray(shapely.polygons(np.concatenate([rings, rings[:, :1]], axis=1))), kind


def _downhill(terrain: Terrain, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Unit vector east and north down the slope, on the smoothed coarse elevation."""
    grid = terrain.coarse
    surface = ndimage.gaussian_filter(terrain.coarse_elevation_m, 1.2)
    south, east = np.gradient(surface, grid.cell_y_m, grid.cell_x_m)
    cell = grid.rowcolumn(lon, lat)
    x, y = -east[cell], south[cell]
    length = np.maximum(np.hypot(x, y), 1e-9)
    return x / length, y / length


def _flood_strips(terrain: Terrain, land: Areas, count: int, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    """Strips along reaches of larger rivers, one to two kilometres long."""
    grid, receiver = terrain.coarse, terrain.drainage.receiver
    cells = np.flatnonzero(terrain.area_m2.ravel() >= RIVER_M2 / 4)
    lon, lat = grid.lonlat(*np.divmod(cells, grid.columns))
    inner = shapely.buffer(land.county, -600 / METRES_PER_DEGREE)
    shapely.prepare(inner)
    cells = cells[shapely.contains_xy(inner, lon, lat)]
    cell = rng.choice(cells, count, replace=count > len(cells))
    steps = round(1500 / grid.cell_y_m)
    reach = [cell]
    for _ in range(steps):
        reach.append(np.where(receiver[reach[-1]] < 0, reach[-1], receiver[reach[-1]]))
    row, column = np.divmod(np.stack(reach, axis=1), grid.columns)
    lines = np.stack(grid.lonlat(row, column), axis=2)
    lines = ndimage.gaussian_filter1d(lines, 1.5, axis=1, mode="nearest")
    width_m = rng.uniform(75, 190, count)
    widest = shapely.buffer(shapely.linestrings(lines), width_m / METRES_PER_DEGREE, quad_segs=4)
    return np.asarray(shapely.simplify(widest, 6e-5))


def _clipped(polygons: npt.NDArray[np.object_], land: Areas) -> npt.NDArray[np.object_]:
    """Valid MultiPolygons inside the county; of a polygon cut in pieces, the largest piece."""
    valid = shapely.make_valid(polygons)
    shapely.prepare(land.county)
    outside = ~shapely.contains_properly(land.county, valid)
    valid[outside] = shapely.intersection(valid[outside], land.county)
    parts, owner = shapely.get_parts(valid, return_index=True)
    size = shapely.area(parts)
    order = np.lexsort((-size, owner))
    _, first = np.unique(owner[order], return_index=True)
    largest = parts[order[first]]
    return np.array([shapely.MultiPolygon([polygon]) for polygon in largest], dtype=object)


def _people_inside(polygons: npt.NDArray[np.object_], homes: pd.DataFrame) -> Floats:
    tree = shapely.STRtree(np.asarray(shapely.points(homes["lon"].to_numpy(), homes["lat"].to_numpy())))
    zone, home = tree.query(polygons, predicate="contains")
    people = homes["persons"].to_numpy(dtype=float)
    return np.bincount(zone, weights=people[home], minlength=len(polygons)).astype(np.float64)


def hazard_sources(
    terrain: Terrain,
    land: Areas,
    within: Mask,
    around: Surroundings,
    roads: geopandas.GeoDataFrame,
    count: int,
    rng: np.random.Generator,
) -> geopandas.GeoDataFrame:
    """``count`` installations: filling stations and stores at settlements, power lines and a gas pipeline as lines."""
    lines = max(4, round(0.16 * count))
    sites = around.homes.iloc[: max(count - lines, 0)]
    kinds = ["explosives" if i % 6 == 5 else "chemicals" for i in range(len(sites))]
    stores = ("加油站", "液化气站", "化肥仓库")
    ends = ["民爆器材库" if kind == "explosives" else stores[i % 3] for i, kind in enumerate(kinds)]
    lon, lat = beside(sites, 900, terrain, within, rng)
    cables = _cables(land, lines, rng)
    cable_names = [*(f"云岭{i + 1}号输电线路" for i in range(lines - 1)), "云岭天然气管道"]
    stems = [name.removesuffix("镇").removesuffix("乡") for name in sites["name"]]
    frame = pd.DataFrame(
        {
            "name": [*tables.numbered(stems, ends), *cable_names],
            "kind": [*kinds, *["high_voltage"] * (lines - 1), "pipeline"],
            "level": [*tables.chosen({"四级": 12, "三级": 4, None: 84}, len(sites), rng), *[None] * lines],
            "admin_area": [*land.label(land.township_of(lon, lat)), *["云岭县"] * lines],
            "address": [*sites["name"], *[None] * lines],
            "contact_name": tables.people("联系人", count),
            "contact_phone": tables.phones(count, start=40_000_001),
            "withheld": [*(kind == "explosives" for kind in kinds), *[False] * lines],
        }
    )
    return geopandas.GeoDataFrame(frame, geometry=[*np.asarray(shapely.points(lon, lat)), *cables], crs=4326)


def _cables(land: Areas, count: int, rng: np.random.Generator) -> list[shapely.Geometry]:
    """Lines with long straight spans from one township seat to another, all but the first through the county seat."""
    cables = []
    for number in range(count):
        others = rng.permutation(np.arange(1, len(land.names)))[:2]
        stops = np.column_stack([land.seat_lon, land.seat_lat])[[others[0], 0, others[1]]]
        if number == 0:
            stops = stops[[0, 2]]
        dense = np.concatenate([*(np.linspace(a, b, 9)[:-1] for a, b in pairwise(stops)), stops[-1:]])
        dense = dense + rng.normal(0, 0.003, dense.shape) + rng.uniform(0.006, 0.012)
        inside = shapely.intersection(shapely.LineString(dense), land.county)
        cables.append(max(shapely.get_parts(inside), key=lambda part: part.length))
    return cables


def beside(
    homes: pd.DataFrame,
    radius_m: npt.ArrayLike,
    terrain: Terrain,
    within: Mask,
    rng: np.random.Generator,
    tries: int = 6,
) -> tuple[Floats, Floats]:
    """A position near each settlement, the flattest of some; the settlement itself where all lie outside."""
    lon, lat = homes["lon"].to_numpy(dtype=float), homes["lat"].to_numpy(dtype=float)
    best_lon, best_lat, best = lon.copy(), lat.copy(), np.full(len(lon), np.inf)
    radius = np.broadcast_to(np.asarray(radius_m, dtype=float), lon.shape)
    for _ in range(tries):
        angle, away = rng.uniform(0, 2 * np.pi, len(lon)), radius * np.sqrt(rng.uniform(0.03, 1, len(lon)))
        x = lon + away * np.cos(angle) / METRES_PER_DEGREE / COSINE
        y = lat + away * np.sin(angle) / METRES_PER_DEGREE
        cell = terrain.grid.rowcolumn(x, y)
        slope = np.where(within[cell], terrain.slope_deg[cell], np.inf)
        better = slope < best
        best_lon[better], best_lat[better], best[better] = x[better], y[better], slope[better]
    return best_lon, best_lat
