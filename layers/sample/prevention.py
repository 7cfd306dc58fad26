"""Production dangers, experts, response plans, drills and grid cells of the sample county."""

from __future__ import annotations

from datetime import datetime

import geopandas
import numpy as np
import pandas as pd
import shapely

from layers.sample import tables
from layers.sample.hazards import beside
from layers.sample.names import COUNTY
from layers.sample.places import Areas, Mask
from layers.sample.terrain import Terrain

STAGES: dict[str | None, float] = {
    "found": 10,
    "assessed": 8,
    "assigned": 14,
    "rectifying": 34,
    "to_accept": 8,
    "accepted": 4,
    "struck_off": 20,
    "reopened": 2,
}
DANGERS = (
    ("储罐区围堰破损", "chemicals", "chemical"),
    ("安全阀未按期校验", "chemicals", "chemical"),
    ("疏散通道堆放杂物", "crowded", "building_fire"),
    ("消防设施停用", "crowded", "building_fire"),
    ("脚手架连墙件缺失", "construction", None),
    ("深基坑支护位移超限", "construction", "ground_collapse"),
    ("采空区未封闭", "mine", "ground_collapse"),
    ("尾矿库排洪沟堵塞", "mine", "debris_flow"),
    ("燃气管道被占压", "gas", "building_fire"),
    ("临水临崖路段无护栏", "transport", None),
    ("粉尘清扫不及时", "industry", "building_fire"),
)
PLACES = ("示例化工厂", "示例加油站", "示例商场", "示例工地", "示例煤矿", "示例石材厂", "示例客运站")
INSTITUTIONS: tuple[tuple[str, str, list[str]], ...] = (
    ("示例地质环境监测站", "geological", ["landslide", "rockfall", "debris_flow"]),
    ("示例水文水资源局", "hydrology", ["flood", "flash_flood"]),
    ("示例建筑设计院", "structures", ["earthquake", "building_fire"]),
    ("示例化工研究所", "chemicals", ["chemical"]),
    ("示例矿山救援中心", "mine", ["ground_collapse"]),
    ("示例林业局", "forest_fire", ["wildfire"]),
    ("示例人民医院", "medical", []),
    ("示例应急管理学院", "management", ["landslide", "flood", "earthquake"]),
)
TITLES: dict[str | None, float] = {"高级工程师": 50, "正高级工程师": 20, "工程师": 25, "教授": 5}
PLANS: tuple[tuple[str, str, list[str]], ...] = (
    ("突发地质灾害应急预案", "special", ["landslide", "rockfall", "debris_flow"]),
    ("防汛抗旱应急预案", "special", ["flood", "flash_flood"]),
    ("地震应急预案", "special", ["earthquake"]),
    ("森林火灾应急预案", "special", ["wildfire"]),
    ("危险化学品事故应急预案", "special", ["chemical"]),
    ("应急避难场所启用方案", "department", []),
    ("自然灾害救助应急预案", "special", []),
    ("应急通信保障预案", "department", []),
)
TOWNSHIP_PLANS: tuple[tuple[str, str, list[str]], ...] = (
    ("突发事件总体应急预案", "township", []),
    ("地质灾害防御预案", "township", ["landslide", "debris_flow"]),
    ("山洪灾害防御预案", "township", ["flash_flood"]),
)
CELLS_A_TOWNSHIP = 6


def safety_hazards(
    terrain: Terrain,
    land: Areas,
    within: Mask,
    homes: pd.DataFrame,
    count: int,
    now: datetime,
    rng: np.random.Generator,
) -> geopandas.GeoDataFrame:
    """``count`` production dangers near settlements; some are overdue, some lack what they need."""
    near = homes.iloc[np.arange(count) % len(homes)].reset_index(drop=True)
    lon, lat = beside(near, 600, terrain, within, rng)
    what = rng.integers(0, len(DANGERS), count)
    name, industry, hazard = (np.array(column, dtype=object)[what] for column in zip(*DANGERS, strict=True))
    township = land.township_of(lon, lat)
    stage = tables.chosen(STAGES, count, rng)
    age = rng.integers(20, 400, count)
    early = np.isin(stage.astype(str), ["found", "assessed"])
    struck, reopened = stage == "struck_off", stage == "reopened"
    until = np.where(rng.random(count) < 0.2, rng.integers(1, 15, count), -rng.integers(3, 120, count))
    days = np.minimum(rng.integers(0, 60, count), age)
    reviewed = struck | (stage == "accepted")
    nobody = rng.random(count) < np.where(early, 0.3, 0.03)
    plan = pd.Series(rng.random(count) < np.where(early, 0.5, 0.97)).astype("boolean")
    frame = pd.DataFrame(
        {
            "name": tables.numbered(near["name"], name),
            "grade": pd.Series(tables.chosen({"general": 84, "major": 16}, count, rng)).mask(stage == "found"),
            "industry": industry,
            "hazard": hazard,
            "enterprise": np.array(PLACES, dtype=object)[rng.integers(0, len(PLACES), count)],
            "description": name + "（示例）",
            "admin_area": land.label(township),
            "address": np.array(land.names, dtype=object)[township] + near["name"].to_numpy(dtype=object),
            "threatened_persons": tables.whole(rng.integers(1, 400, count), rng.random(count) < 0.25),
            "found_on": tables.dates(now, age),
            "found_by": tables.chosen({"云岭县应急管理局": 70, "乡镇巡查": 30}, count, rng),
            "measures": pd.Series(np.full(count, "停用整改、专人看守（示例）", dtype=object)).mask(early),
            "funds_cny": pd.Series(np.round(np.exp(rng.normal(np.log(30_000), 1.0, count)), -2)).mask(early),
            "has_plan": plan.mask(rng.random(count) < 0.03),
            "stage": stage,
            "deadline_on": tables.dates(now, until, early | struck | reopened),
            "struck_off_on": tables.dates(now, days, ~struck),
            "struck_off_reason": pd.Series(np.full(count, "整改完成（示例）", dtype=object)).where(struck),
            "reopened_on": tables.dates(now, np.minimum(days, 15), ~reopened),
            "reopened_reason": pd.Series(np.full(count, "复查又现（示例）", dtype=object)).where(reopened),
            "responsible_name": pd.Series(tables.people("整改责任人", count)).mask(nobody),
            "responsible_phone": pd.Series(tables.phones(count, start=80_000_001)).mask(nobody),
            "inspector_name": pd.Series(tables.people("监管人员", count, several=4)).mask(early),
            "inspector_phone": pd.Series(tables.phones(count, start=81_000_001, several=4)).mask(early),
            "review": pd.Series(np.full(count, "同意（示例）", dtype=object)).where(reviewed),
            "reviewed_by": pd.Series(tables.people("验收人", count, several=10)).where(reviewed),
            "reviewed_on": tables.dates(now, days, ~reviewed),
            "withheld": np.zeros(count, dtype=bool),
        }
    )
    return geopandas.GeoDataFrame(frame, geometry=shapely.points(lon, lat), crs=4326)


def experts(count: int, now: datetime, rng: np.random.Generator) -> pd.DataFrame:
    """``count`` experts, of plainly invented institutions."""
    which = np.arange(count) % len(INSTITUTIONS)
    status = tables.chosen({"available": 82, "unavailable": 10, "retired": 4, None: 4}, count, rng)
    minutes = tables.stated_minutes(count, 0.15, 720, rng)
    appointed = rng.integers(60, 1500, count)
    return pd.DataFrame(
        {
            "person_name": tables.people("专家", count),
            "institution": [INSTITUTIONS[n][0] for n in which],
            "expertise": tables.lists([[INSTITUTIONS[n][1]] for n in which]),
            "hazards": tables.lists([INSTITUTIONS[n][2] for n in which]),
            "title": tables.chosen(TITLES, count, rng),
            "level": tables.chosen({"county": 40, "city": 45, "province": 15}, count, rng),
            "status": status,
            "status_stated_at": tables.moments(now, minutes, pd.isna(status)),
            "admin_area": COUNTY,
            "appointed_on": tables.dates(now, appointed),
            "appointed_until": tables.dates(now, appointed - 1826),
            "phone": tables.phones(count, start=82_000_001),
        }
    )


def plans(land: Areas, count: int, now: datetime, rng: np.random.Generator) -> pd.DataFrame:
    """``count`` plans: the county's, then those of the townships, one kind after the other, then of sites."""
    towns = len(land.names)
    listed = [(COUNTY, end, kind, hazards, "county") for end, kind, hazards in PLANS]
    listed += [(land.names[n], end, kind, hz, "township") for end, kind, hz in TOWNSHIP_PLANS for n in range(towns)]
    listed += [
        (land.names[n % towns], f"第{n + 1}号隐患点现场处置方案", "site", ["landslide"], "village")
        for n in range(max(0, count - len(listed)))
    ]
    listed = listed[:count]
    issued = rng.integers(200, 1800, count)
    revised = np.where(rng.random(count) < 0.4, issued // 3, -1)
    number = pd.Series(np.arange(1, count + 1)).astype(str).to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "name": [place + end for place, end, *_ in listed],
            "kind": [kind for _, _, kind, _, _ in listed],
            "hazards": tables.lists([hazards for *_, hazards, _ in listed]),
            "level": [level for *_, level in listed],
            "issuer": [f"{place}人民政府" for place, *_ in listed],
            "document_number": "示例发〔" + str(now.year - 2) + "〕" + number + "号",
            "issued_on": tables.dates(now, issued),
            "revised_on": tables.dates(now, revised, revised < 0),
            "revision_due_on": tables.dates(now, np.where(revised < 0, issued, revised) - 1096),
            "admin_area": [place for place, *_ in listed],
            "contact_name": tables.people("预案联系人", count),
            "contact_phone": tables.phones(count, start=83_000_001),
            "withheld": np.zeros(count, dtype=bool),
        }
    )


def drills(
    terrain: Terrain,
    land: Areas,
    within: Mask,
    homes: pd.DataFrame,
    known_plans: pd.DataFrame,
    count: int,
    now: datetime,
    rng: np.random.Generator,
) -> geopandas.GeoDataFrame:
    """``count`` drills, three in four held, the others planned or cancelled. ``known_plans`` has source_id."""
    near = homes.iloc[np.arange(count) % len(homes)].reset_index(drop=True)
    lon, lat = beside(near, 300, terrain, within, rng)
    township = land.township_of(lon, lat)
    status = tables.chosen({"held": 76, "planned": 20, "cancelled": 4}, count, rng)
    held = status == "held"
    hazard = tables.chosen({"landslide": 60, "flash_flood": 22, "earthquake": 10, "wildfire": 8}, count, rng)
    words = {"landslide": "滑坡", "flash_flood": "山洪", "earthquake": "地震", "wildfire": "森林火灾"}
    ends = np.array([words[str(one)] + "应急演练" for one in hazard], dtype=object)
    day = np.where(held, rng.integers(3, 500, count), -rng.integers(5, 150, count))
    plan = known_plans["source_id"].to_numpy(dtype=object)[rng.integers(0, len(known_plans), count)]
    plan[rng.random(count) < 0.2] = None
    frame = pd.DataFrame(
        {
            "name": tables.numbered(near["name"], ends),
            "form": tables.chosen({"tabletop": 25, "field": 30, "evacuation": 38, "combined": 7}, count, rng),
            "hazard": hazard,
            "status": status,
            "held_on": tables.dates(now, day),
            "organiser": np.array(land.names, dtype=object)[township] + "人民政府",
            "participants_persons": tables.whole(rng.integers(20, 260, count), ~held | (rng.random(count) < 0.1)),
            "duration_min": tables.whole(rng.integers(8, 90, count), ~held | (rng.random(count) < 0.2)),
            "scenario": np.full(count, "预警、转移、清点、安置（示例）", dtype=object),
            "plan": plan,
            "admin_area": land.label(township),
            "address": near["name"].to_numpy(dtype=object),
            "evaluation": pd.Series(np.full(count, "达到预期（示例）", dtype=object)).where(held),
            "contact_name": tables.people("演练联系人", count),
            "contact_phone": tables.phones(count, start=84_000_001),
        }
    )
    return geopandas.GeoDataFrame(frame, geometry=shapely.points(lon, lat), crs=4326)


def grid_cells(land: Areas, homes: pd.DataFrame, rng: np.random.Generator) -> geopandas.GeoDataFrame:
    """Each township parted among its first settlements: what lies nearest to one is its cell."""
    shapes, township = [], []
    for number, area in enumerate(land.townships):
        seeds = homes.loc[homes["township"] == number, ["lon", "lat"]].to_numpy(dtype=float)[:CELLS_A_TOWNSHIP]
        cells = [area]
        if len(seeds) > 1:
            parts = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(seeds), extend_to=area))
            cells = [_polygons(shapely.intersection(part, area)) for part in parts]
        kept = [cell for cell in cells if not shapely.is_empty(cell)]
        shapes += kept
        township += [number] * len(kept)
    count = len(shapes)
    of = np.array(township)
    place = pd.Series(of).groupby(of).cumcount().to_numpy()
    name = [f"{land.names[t]}第{n + 1}网格" for t, n in zip(of, place, strict=True)]
    households = rng.integers(60, 420, count)
    frame = pd.DataFrame(
        {
            "name": name,
            "level": "township",
            "admin_area": land.label(of),
            "households": tables.whole(households, rng.random(count) < 0.05),
            "population_persons": tables.whole(np.round(households * 3.8), rng.random(count) < 0.08),
            "vulnerable_persons": tables.whole(np.round(households * 0.7), rng.random(count) < 0.15),
            "manager_name": pd.Series(tables.people("网格员", count)).mask(rng.random(count) < 0.03),
            "manager_phone": tables.phones(count, start=85_000_001),
            "deputy_name": pd.Series(tables.people("副网格员", count)).mask(rng.random(count) < 0.5),
        }
    )
    return geopandas.GeoDataFrame(frame, geometry=shapes, crs=4326)


def _polygons(shape: shapely.Geometry) -> shapely.MultiPolygon:
    """The polygons of a geometry, as one MultiPolygon."""
    return shapely.MultiPolygon([part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"])
