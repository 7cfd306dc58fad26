"""Public buildings, shelters, depots with their stock, rescue teams and incidents of the sample county."""

from __future__ import annotations

from datetime import datetime, timedelta

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from layers.sample import tables
from layers.sample.hazards import COSINE, INCIDENT, beside
from layers.sample.places import Areas, Mask
from layers.sample.terrain import Floats, Terrain

SEAT_FACILITIES = (
    ("城关体育馆", "stadium"),
    ("云岭广场", "square"),
    ("人民广场", "square"),
    ("滨河公园", "square"),
    ("云岭县第一中学", "school"),
    ("云岭县第二中学", "school"),
    ("城关中学", "school"),
    ("城关第一小学", "school"),
    ("城关第二小学", "school"),
    ("城关第三小学", "school"),
    ("大湾小学", "school"),
    ("学府路小学", "school"),
    ("云岭职业技术学院", "college"),
    ("云岭县文化馆", "community"),
    ("城关社区服务中心", "community"),
    ("东环社区服务中心", "community"),
    ("云岭县人民医院", "hospital"),
    ("云岭县中医院", "hospital"),
    ("云岭县妇幼保健院", "hospital"),
    ("城关社区卫生院", "clinic"),
    ("云岭县人民政府", "government"),
    ("云岭县应急管理局", "government"),
    ("云岭县自然资源局", "government"),
    ("城关镇人民政府", "government"),
    ("城关派出所", "police"),
    ("东环派出所", "police"),
    ("云岭县消防救援大队", "fire_station"),
    ("云岭县第一幼儿园", "kindergarten"),
    ("云岭县第二幼儿园", "kindergarten"),
    ("城关幼儿园", "kindergarten"),
    ("云岭寺", "worship"),
    ("城关诊所", "clinic"),
)
TOWNSHIP_FACILITIES = (
    ("中心学校", "school"),
    ("文化广场", "square"),
    ("人民政府", "government"),
    ("卫生院", "hospital"),
    ("派出所", "police"),
    ("中学", "school"),
    ("文化站", "community"),
    ("中心幼儿园", "kindergarten"),
)
VILLAGE_FACILITIES = (("村委会", "government"), ("小学", "school"), ("卫生室", "clinic"), ("文化活动室", "community"))
SHELTER_KINDS = ("stadium", "square", "school", "community", "college")
SQUARE_METRES_PER_PERSON = {"emergency": 0.5, "short": 2.0, "long": 4.5}
TEAMS = (
    ("消防救援大队", ("fire", "general"), "county"),
    ("矿山救护队", ("mine",), "county"),
    ("山地救援队", ("mountain",), "county"),
    ("医疗救援队", ("medical",), "county"),
    ("地质灾害应急技术队", ("geological",), "county"),
    ("水域救援队", ("water",), "county"),
    ("公路抢通队", ("engineering",), "county"),
    ("应急通信保障队", ("comms",), "county"),
    ("森林消防中队", ("forest", "fire"), "county"),
    ("危化品处置队", ("chemical",), "county"),
    ("地震搜救队", ("earthquake", "general"), "city"),
)
TOWNSHIP_TEAMS = (
    ("应急救援队", ("general",)),
    ("民兵应急分队", ("general", "forest")),
    ("地质灾害巡查队", ("geological",)),
    ("卫生应急小队", ("medical",)),
    ("道路抢险队", ("engineering",)),
)
EQUIPMENT: dict[str | None, float] = {
    "破拆工具、照明": 30,
    "绳索、担架": 25,
    "冲锋舟、救生衣": 12,
    "挖掘机、装载机": 13,
    "无人机": 20,
}
# The form of the codes (seven digits, first digit 1 to 3) is that of GB/T 38565-2020; the numbers are only examples.
ITEMS = (
    ("1010101", "12平方米帐篷", "顶", 90, 0),
    ("1010201", "折叠床", "张", 220, 0),
    ("1010301", "棉被", "床", 420, 0),
    ("1010401", "棉大衣", "件", 300, 0),
    ("1020101", "饮用水", "瓶", 3600, 360),
    ("1020201", "方便食品", "箱", 260, 270),
    ("1020301", "大米", "千克", 2400, 420),
    ("1030101", "家庭应急包", "套", 180, 900),
    ("1030201", "移动厕所", "座", 8, 0),
    ("1040101", "急救药品", "箱", 40, 540),
    ("2010101", "安全帽", "顶", 160, 1100),
    ("2010201", "救生衣", "件", 120, 1500),
    ("2020101", "发电机", "台", 9, 0),
    ("2020201", "应急照明灯", "台", 26, 0),
    ("2030101", "卫星电话", "部", 4, 0),
    ("2030201", "对讲机", "部", 36, 0),
    ("3010101", "编织袋", "条", 5200, 0),
    ("3010201", "铁锹", "把", 240, 0),
    ("3010301", "块石", "立方米", 180, 0),
    ("3020101", "水泵", "台", 8, 0),
    ("3020201", "油锯", "台", 12, 0),
    ("3020301", "挖掘机", "台", 2, 0),
)


def facilities(
    terrain: Terrain, land: Areas, within: Mask, homes: pd.DataFrame, count: int, rng: np.random.Generator
) -> geopandas.GeoDataFrame:
    """Exactly ``count`` public buildings: the county seat's, each township's, then the villages' until all are made."""
    towns = len(land.names) - 1
    villages = np.flatnonzero((homes["kind"] == "village").to_numpy())
    spare = max(0, count - len(SEAT_FACILITIES) - towns * len(TOWNSHIP_FACILITIES))
    rounds = min(len(VILLAGE_FACILITIES), -(-spare // len(villages)))
    home = np.concatenate(
        [
            np.zeros(len(SEAT_FACILITIES), dtype=int),
            np.repeat(np.arange(1, towns + 1), len(TOWNSHIP_FACILITIES)),
            np.tile(villages, rounds),
        ]
    )[:count]
    stems = homes["name"].to_numpy(dtype=object)[home]
    stems[: len(SEAT_FACILITIES)] = ""
    listed = [*SEAT_FACILITIES, *TOWNSHIP_FACILITIES * towns]
    listed += [entry for entry in VILLAGE_FACILITIES[:rounds] for _ in range(len(villages))]
    ends = np.array([end for end, _ in listed[: len(home)]], dtype=object)
    in_village = np.char.startswith(ends.astype(str), "村")
    stems[in_village] = pd.Series(stems[in_village]).str.removesuffix("村").to_numpy(dtype=object)
    near = homes.iloc[home].reset_index(drop=True)
    radius = near["kind"].map({"county_seat": 1100, "township_seat": 420, "village": 220}).to_numpy()
    lon, lat = beside(near, radius, terrain, within, rng)
    frame = pd.DataFrame({"name": tables.numbered(stems, ends), "kind": [kind for _, kind in listed[: len(home)]]})
    frame["home"] = home
    people = (
        np.exp(rng.normal(np.log(150), 0.7, len(home)))
        * near["kind"].map({"county_seat": 5, "township_seat": 2.5, "village": 1}).to_numpy()
    )
    frame["area_m2"] = np.round(people * rng.uniform(6, 16, len(home)), -1)
    counted = frame["kind"].isin(["school", "kindergarten", "college", "hospital", "stadium"]).to_numpy()
    frame["capacity_persons"] = tables.whole(people, ~counted | (rng.random(len(home)) < 0.05))
    frame["admin_area"] = land.label(land.township_of(lon, lat))
    frame["address"] = _addresses(near, land, rng)
    frame["phone"] = tables.phones(len(home), start=50_000_001)
    return geopandas.GeoDataFrame(frame, geometry=shapely.points(lon, lat), crs=4326)


def _addresses(near: pd.DataFrame, land: Areas, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    """Township and street in towns, township and village elsewhere."""
    town = np.array(land.names, dtype=object)[near["township"].to_numpy()]
    streets = np.array(["云岭大道", "人民路", "建设路", "文化路", "滨河路", "解放路", "学府路"], dtype=object)
    number = pd.Series(rng.integers(1, 180, len(near))).astype(str).to_numpy(dtype=object)
    street = streets[rng.integers(0, len(streets), len(near))] + number + "号"
    in_seat = (near["kind"] == "county_seat").to_numpy()
    in_town = (near["kind"] == "township_seat").to_numpy()
    place = np.where(in_seat, street, np.where(in_town, "场镇" + number + "号", near["name"].to_numpy(dtype=object)))
    return np.asarray(town + place)


def shelters(
    terrain: Terrain,
    land: Areas,
    within: Mask,
    homes: pd.DataFrame,
    buildings: geopandas.GeoDataFrame,
    zones: geopandas.GeoDataFrame,
    count: int,
    now: datetime,
    rng: np.random.Generator,
) -> geopandas.GeoDataFrame:
    """Exactly ``count`` shelters, at public buildings and squares first, then at the assembly points of villages.

    About 5 % are moved into a risk zone, as careless registers have it.
    """
    suited = buildings[buildings["kind"].isin(SHELTER_KINDS)]
    in_towns = suited[suited["home"] < len(land.names)].iloc[: count // 2]
    elsewhere = suited.drop(in_towns.index)
    at_school = elsewhere.iloc[: round(0.25 * count)]
    based = pd.concat([in_towns, at_school])
    rest = count - len(based)
    gathering = homes.iloc[len(land.names) : len(land.names) + rest]
    lon, lat = beside(gathering, 160, terrain, within, rng)
    home = np.concatenate([based["home"].to_numpy(), np.arange(len(land.names), len(land.names) + rest)])
    near = homes.iloc[home].reset_index(drop=True)
    lon = np.concatenate([based.geometry.x.to_numpy(), lon])
    lat = np.concatenate([based.geometry.y.to_numpy(), lat])
    frame = pd.DataFrame(
        {
            "name": np.concatenate(
                [
                    based["name"] + "避难场所",
                    tables.numbered(
                        gathering["name"].to_numpy(dtype=object), np.full(rest, "应急避难点", dtype=object)
                    ),
                ]
            ),
            "kind": np.concatenate([based["kind"], np.full(rest, "square")]),
            "address": np.concatenate([based["address"], _addresses(gathering, land, rng)]),
            "village": near["name"].where(near["kind"].isin(["village", "hamlet"])),
        }
    )
    frame["level"] = _levels(near, frame["kind"])
    frame["class"] = _classes(frame, rng)
    _move_into_zones(frame, lon, lat, zones, rng)
    frame["admin_area"] = land.label(land.township_of(lon, lat))
    _add_capacity(frame, rng)
    _add_fitness(frame, near, rng)
    _stage_comparison(frame, lon, lat)
    _add_times(frame, lon, lat, now, rng)
    return geopandas.GeoDataFrame(frame.drop(columns="kind"), geometry=shapely.points(lon, lat), crs=4326)


def _levels(near: pd.DataFrame, kind: pd.Series) -> npt.NDArray[np.object_]:
    level = (
        near["kind"]
        .map({"county_seat": "county", "township_seat": "township", "village": "village", "hamlet": "village"})
        .to_numpy(dtype=object)
    )
    seat = np.flatnonzero(level == "county")
    level[seat[8:]] = "township"
    level[seat[kind.to_numpy()[seat] == "stadium"]] = "city"
    return level


def _classes(frame: pd.DataFrame, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    usual = {"stadium": "long", "square": "emergency", "school": "short", "community": "short", "college": "long"}
    result = frame["kind"].map(usual).to_numpy(dtype=object)
    change = (rng.random(len(frame)) < 0.12) & (result == "short")
    result[change] = np.where(frame["level"].to_numpy()[change] == "village", "emergency", "long")
    return result


def _move_into_zones(
    frame: pd.DataFrame, lon: Floats, lat: Floats, zones: geopandas.GeoDataFrame, rng: np.random.Generator
) -> None:
    """Put one village shelter in twenty into the nearest zone, at most one shelter a zone."""
    village = np.flatnonzero((frame["level"] == "village").to_numpy())
    tree = shapely.STRtree(zones.geometry.to_numpy())
    points = shapely.points(lon[village], lat[village])
    zone = np.asarray(tree.nearest(points))
    away = shapely.distance(points, zones.geometry.to_numpy()[zone])
    order = np.argsort(away, kind="stable")
    _, first = np.unique(zone[order], return_index=True)
    moved = order[np.sort(first)][: round(0.05 * len(frame))]
    inner = shapely.point_on_surface(zones.geometry.to_numpy()[zone[moved]])
    lon[village[moved]] = shapely.get_x(inner) + rng.normal(0, 2e-5, len(moved))
    lat[village[moved]] = shapely.get_y(inner) + rng.normal(0, 2e-5, len(moved))


def _add_capacity(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    count = len(frame)
    kind = frame["class"]
    middle = kind.map({"emergency": 420, "short": 1300, "long": 9000}).to_numpy(dtype=float)
    scale = frame["level"].map({"city": 2.4, "county": 1.6, "township": 1.2, "village": 0.8}).to_numpy(dtype=float)
    effective = np.round(middle * scale * np.exp(rng.normal(0, 0.45, count)), -1) + 60
    unknown = rng.random(count) < 0.05
    per_person = kind.map(SQUARE_METRES_PER_PERSON).to_numpy(dtype=float)
    capacity = np.floor(effective / per_person)
    frame["effective_area_m2"] = pd.Series(effective).mask(unknown)
    frame["area_m2"] = np.round(effective * rng.uniform(1.5, 3.2, count), -1)
    frame["capacity_persons"] = tables.whole(capacity, unknown)
    frame["status"] = tables.chosen({"open": 70, "standby": 18, "closed": 7, None: 5}, count, rng)
    is_open = frame["status"].to_numpy() == "open"
    full = (rng.random(count) < 0.085) & is_open & ~unknown
    share = np.where(full, 1, np.where(rng.random(count) < 0.55, 0, rng.beta(1.3, 4, count)))
    told = full | (is_open & (rng.random(count) < 0.75) & ~unknown)
    frame["occupancy_persons"] = tables.whole(np.floor(capacity * share), ~told)


def _add_fitness(frame: pd.DataFrame, near: pd.DataFrame, rng: np.random.Generator) -> None:
    count = len(frame)
    every = np.array(["landslide", "rockfall", "debris_flow", "flood", "earthquake"])
    fits = rng.random((count, len(every))) < (0.86, 0.84, 0.72, 0.68, 0.8)
    ruled_out = ~fits & (rng.random((count, len(every))) < 0.5)
    silent = rng.random(count) < 0.08
    frame["suitable_hazards"] = tables.lists([every[row].tolist() for row in fits & ~silent[:, None]])
    frame["unsuitable_hazards"] = tables.lists([every[r].tolist() for r in ruled_out])
    frame["designated"] = True
    square = (frame["kind"] == "square").to_numpy()
    frame["indoor"], frame["outdoor"] = ~square, square | (frame["kind"] == "school").to_numpy()
    for field, share in (("accessible", 0.6), ("water_supply", 0.85), ("power_supply", 0.8)):
        frame[field] = pd.Series(rng.random(count) < share).astype("boolean").mask(rng.random(count) < 0.06)
    frame["villages_served"] = near["name"]
    managers = {"county_seat": "云岭县应急管理局", "township_seat": "乡镇人民政府"}
    frame["manager"] = near["kind"].map(managers).fillna("村民委员会")
    frame["contact_name"] = tables.people("联系人", count)
    frame["contact_phone"] = tables.phones(count, start=20_000_001)
    frame["withheld"] = np.zeros(count, dtype=bool)


def _add_times(frame: pd.DataFrame, lon: Floats, lat: Floats, now: datetime, rng: np.random.Generator) -> None:
    """When status and occupancy were stated; one occupancy in eight is stale, none near the exercise."""
    count = len(frame)
    near = np.argsort(np.hypot((lon - INCIDENT[0]) * COSINE, lat - INCIDENT[1]), kind="stable")[:8]
    for field, stale, hours in (("status", 0.06, 168), ("occupancy_persons", 0.12, 24)):
        minutes = tables.stated_minutes(count, stale, hours, rng)
        minutes[near] = rng.integers(5, 60, len(near))
        name = f"{field.removesuffix('_persons')}_stated_at"
        frame[name] = tables.moments(now, minutes, frame[field].isna())


def _stage_comparison(frame: pd.DataFrame, lon: Floats, lat: Floats) -> None:
    """Of the shelters nearest to the exercise, one is closed, one full, one unsuitable; the next ones have room."""
    away = np.hypot((lon - INCIDENT[0]) * COSINE, lat - INCIDENT[1])
    near = np.argsort(away, kind="stable")[:8]
    capacity = np.maximum(frame["capacity_persons"].fillna(600).to_numpy(dtype=np.int64)[near], 200)
    occupancy = capacity // 5
    occupancy[1] = capacity[1]
    per_person = frame["class"].iloc[near].map(SQUARE_METRES_PER_PERSON).to_numpy(dtype=float)
    fits = [["landslide", "rockfall", "debris_flow", "flood", "earthquake"] for _ in near]
    fits[2] = ["flood", "earthquake"]
    staged = {
        "status": ["closed", *["open"] * 7],
        "capacity_persons": tables.whole(capacity),
        "occupancy_persons": tables.whole(occupancy, np.arange(8) == 0),
        "effective_area_m2": capacity * per_person,
        "area_m2": 2 * capacity * per_person,
        "suitable_hazards": tables.lists(fits),
        "unsuitable_hazards": tables.lists([["landslide", "debris_flow"] if i == 2 else [] for i in range(8)]),
        "withheld": np.zeros(8, dtype=bool),
    }
    for field, values in staged.items():
        column = frame[field].array.copy()
        column[near] = values
        frame[field] = column


def depots(
    terrain: Terrain, land: Areas, within: Mask, homes: pd.DataFrame, count: int, rng: np.random.Generator
) -> geopandas.GeoDataFrame:
    """``count`` depots: the city's and the county's at the county seat, then townships', then villages'."""
    towns = min(len(land.names) - 1, round(0.7 * count))
    level = np.array(["city", "county", *["township"] * towns, *["village"] * count], dtype=object)[:count]
    villages = np.arange(len(land.names), len(land.names) + count)
    home = np.concatenate([[0, 0], np.arange(1, towns + 1), villages])[:count]
    near = homes.iloc[home].reset_index(drop=True)
    lon, lat = beside(near, np.where(level == "village", 150, 900), terrain, within, rng)
    stems = near["name"].to_numpy(dtype=object)
    stems[:2] = ["示例市云岭", "云岭县"]
    ends = np.where(level == "village", "应急物资储备点", "应急物资储备库").astype(object)
    managers = {"village": "村民委员会", "township": "乡镇人民政府"}
    size = np.array([{"city": 6.0, "county": 4.0, "township": 1.3}.get(str(one), 0.4) for one in level])
    frame = pd.DataFrame(
        {
            "name": tables.numbered(stems, ends),
            "level": level,
            "status": tables.chosen({"open": 78, "standby": 14, "closed": 5, None: 3}, count, rng),
            "area_m2": np.round(np.exp(rng.normal(np.log(180), 0.5, count)) * size, 0),
            "admin_area": land.label(land.township_of(lon, lat)),
            "address": _addresses(near, land, rng),
            "manager": [managers.get(str(one), "应急管理局") for one in level],
            "contact_name": tables.people("库管员", count),
            "contact_phone": tables.phones(count, start=30_000_001),
        }
    )
    frame.loc[:1, "status"] = "open"
    return geopandas.GeoDataFrame(frame, geometry=shapely.points(lon, lat), crs=4326)


def stock(stores: geopandas.GeoDataFrame, now: datetime, rng: np.random.Generator) -> pd.DataFrame:
    """Six to twelve lines a depot; some expired or expiring, some below their minimum. ``stores`` has source_id."""
    lines = rng.integers(6, 13, len(stores))
    depot = np.repeat(np.arange(len(stores)), lines)
    item = np.concatenate([np.sort(rng.permutation(len(ITEMS))[:n]) for n in lines])
    code, name, unit, usual, life = (np.array(column, dtype=object)[item] for column in zip(*ITEMS, strict=True))
    sizes = stores["level"].map({"city": 4.0, "county": 2.5, "township": 0.7, "village": 0.25})
    size = sizes.to_numpy(dtype=float)[depot]
    count = len(item)
    minimum = np.ceil(usual.astype(float) * size * 0.6)
    quantity = np.ceil(minimum * rng.gamma(5, 0.34, count))
    left = np.round(rng.uniform(-0.06, 1, count) * life.astype(float)).astype(int)
    year = pd.Series(rng.integers(2022, now.year + 1, count)).astype(str)
    batch = year + "-" + pd.Series(rng.integers(1, 13, count)).astype(str).str.zfill(2)
    counted = pd.Series(quantity).mask(rng.random(count) < 0.03)
    minutes = tables.stated_minutes(count, 0.1, 720, rng)
    return pd.DataFrame(
        {
            "depot": stores["source_id"].to_numpy(dtype=object)[depot],
            "item_code": code,
            "item_name": name,
            "unit": unit,
            "batch": batch,
            "quantity": counted,
            "quantity_stated_at": tables.moments(now, minutes, counted.isna()),
            "minimum_quantity": pd.Series(minimum).mask(rng.random(count) < 0.1),
            "expires_on": tables.dates(now, -left, life.astype(int) == 0),
        }
    )


def kinds_kept(stores: geopandas.GeoDataFrame, lines: pd.DataFrame) -> pd.Series:
    """The first items of each depot in one text."""
    first = lines.groupby("depot", sort=False).head(4).groupby("depot")["item_name"].agg("、".join)
    return pd.Series(stores["source_id"].map(first))


def teams(
    terrain: Terrain,
    land: Areas,
    within: Mask,
    homes: pd.DataFrame,
    count: int,
    now: datetime,
    rng: np.random.Generator,
) -> geopandas.GeoDataFrame:
    """``count`` teams: the county's specialists at the county seat, then general teams in townships and villages."""
    listed: list[tuple[str, tuple[str, ...], str, int]] = []
    listed += [("云岭县" + name, skills, level, 0) for name, skills, level in TEAMS]
    number = 0
    while len(listed) < count:
        home = 1 + number % (len(homes) - 1)
        kind, skills = TOWNSHIP_TEAMS[(number // (len(land.names) - 1) + number) % len(TOWNSHIP_TEAMS)]
        level = "township" if home < len(land.names) else "village"
        listed.append((str(homes["name"].iat[home]) + kind, skills, level, home))
        number += 1
    listed = listed[:count]
    near = homes.iloc[[home for *_, home in listed]].reset_index(drop=True)
    lon, lat = beside(near, np.where(near.index < len(TEAMS), 1200, 350), terrain, within, rng)
    frame = pd.DataFrame(
        {
            "name": tables.numbered([name for name, *_ in listed], [""] * count),
            "speciality": tables.lists([list(skills) for _, skills, _, _ in listed]),
            "level": [level for _, _, level, _ in listed],
            "members_persons": tables.whole(rng.integers(8, 45, count), rng.random(count) < 0.04),
            "vehicles": tables.whole(rng.integers(1, 9, count)),
            "equipment": tables.chosen(EQUIPMENT, count, rng),
            "status": tables.chosen({"available": 74, "deployed": 9, "off_duty": 14, None: 3}, count, rng),
            "admin_area": land.label(land.township_of(lon, lat)),
            "address": _addresses(near, land, rng),
            "duty_phone": tables.phones(count, start=60_000_001),
            "contact_name": tables.people("队长", count),
            "contact_phone": tables.phones(count, start=70_000_001),
        }
    )
    minutes = tables.stated_minutes(count, 0.1, 24, rng)
    frame["status_stated_at"] = tables.moments(now, minutes, frame["status"].isna())
    return geopandas.GeoDataFrame(frame, geometry=shapely.points(lon, lat), crs=4326)


def incidents(land: Areas, now: datetime) -> geopandas.GeoDataFrame:
    """A landslide exercise under way near the county seat, and a rockfall that has ended."""
    last = int(min(2, len(land.names) - 1))
    lon = np.array([INCIDENT[0], land.seat_lon[last] + 0.004])
    lat = np.array([INCIDENT[1], land.seat_lat[last] + 0.003])
    place = land.names[last]
    frame = pd.DataFrame(
        {
            "name": ["S307 滑坡（演练）", f"{place}崩塌（示例）"],
            "hazard": ["landslide", "rockfall"],
            "status": ["active", "ended"],
            "occurred_at": pd.to_datetime([now - timedelta(minutes=25), now - timedelta(days=12, hours=5)], utc=True),
            "exercise": [True, False],
            "admin_area": land.label(land.township_of(lon, lat)),
            "description": ["演练：城关镇西侧滑坡，需转移安置约120人。", "示例：公路边坡崩塌，已清理通车。"],
            "reporter": ["示例报告人001", "示例报告人002"],
        }
    )
    return geopandas.GeoDataFrame(frame, geometry=shapely.points(lon, lat), crs=4326)


def road_closures(land: Areas, net: geopandas.GeoDataFrame, now: datetime) -> geopandas.GeoDataFrame:
    """On minor roads far from the incident: one closed until further notice, one slow, one opened again."""
    minor = net[net["class"] == "minor"]
    away = shapely.distance(minor.geometry.to_numpy(), shapely.Point(*INCIDENT))
    edges = minor.iloc[np.argsort(-away, kind="stable")[[0, 10, 20]]]
    places = shapely.line_interpolate_point(edges.geometry.to_numpy(), 0.5, normalized=True)
    lon, lat = shapely.get_x(places), shapely.get_y(places)
    townships = land.label(land.township_of(lon, lat))
    hours = [now - timedelta(hours=one) for one in (5, 30, 74)]
    frame = pd.DataFrame(
        {
            "name": [f"{township}村道（示例）" for township in townships],
            "effect": ["forbid", "slow", "forbid"],
            "slow_factor": [np.nan, 3.0, np.nan],
            "reason": ["rockfall", "works", "landslide"],
            "starts_at": pd.to_datetime(hours, utc=True),
            "ends_at": pd.Series(
                [pd.NaT, now + timedelta(days=6), now - timedelta(hours=50)], dtype="datetime64[ns, UTC]"
            ),
            "admin_area": townships,
            "reporter": [f"示例报告人{number:03}" for number in (3, 4, 5)],
        }
    )
    return geopandas.GeoDataFrame(frame, geometry=places, crs=4326)
