"""The sample county: counts, determinism, geometry and values against the definitions."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from scipy import sparse
from scipy.sparse import csgraph

from layers import grades
from layers.definition import Definition, load
from layers.sample import SampleCounty, hazards, make, roads

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
LAYERS = Path(hazards.__file__).parents[1]
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
    "incidents": 2,
    "road_closures": 3,
}
FEW = ("incidents", "road_closures")
POINT_LAYERS = (
    "settlements", "facilities", "hazard_points", "shelters", "supply_depots", "rescue_teams", "incidents",
    "safety_hazards", "drills", "road_closures",
)  # fmt: skip
COMMON = {"source_id", "stated_at", "note", "geometry"}


@pytest.fixture(scope="module")
def county() -> SampleCounty:
    return make(now=NOW)


@pytest.fixture(scope="module")
def outline(county: SampleCounty) -> Any:
    return county.layers["admin_areas"].geometry.iloc[0]


def definition(layer: str) -> Definition:
    return load(Definition, LAYERS / "definitions" / f"{layer}.toml")


def codes_of(layer: Definition, name: str) -> set[str]:
    if name in layer.codes:
        return set(layer.codes[name])
    return set(tomllib.loads((LAYERS / "codes" / f"{name}.toml").read_text(encoding="utf-8")))


def known(values: pd.Series) -> list[Any]:
    return [value for value in values if isinstance(value, list) or not pd.isna(value)]


def test_every_layer_of_the_definitions_is_there(county: SampleCounty) -> None:
    assert set(county.layers) == {path.stem for path in (LAYERS / "definitions").glob("*.toml")}


@pytest.mark.parametrize(("layer", "count"), COUNTS.items())
def test_counts_at_scale_1(county: SampleCounty, layer: str, count: int) -> None:
    assert len(county.layers[layer]) == count


def test_counts_grow_with_the_scale() -> None:
    larger = make(2, now=NOW)
    assert {layer: len(larger.layers[layer]) for layer in COUNTS if layer not in FEW} == {
        layer: 2 * count for layer, count in COUNTS.items() if layer not in FEW
    }


def test_the_scale_is_at_least_1() -> None:
    with pytest.raises(ValueError, match="scale"):
        make(0.5)


def test_same_seed_same_county(county: SampleCounty) -> None:
    again = make(now=NOW)
    np.testing.assert_array_equal(again.elevation, county.elevation)
    for layer, frame in county.layers.items():
        pd.testing.assert_frame_equal(pd.DataFrame(again.layers[layer]), pd.DataFrame(frame))


@pytest.mark.parametrize("seed", [1, 4])
def test_other_seeds_give_other_counties_of_the_same_size(county: SampleCounty, seed: int) -> None:
    other = make(seed=seed, now=NOW)
    assert len(other.layers["roads"]) == COUNTS["roads"]
    assert not np.array_equal(other.elevation[:1000, :1000], county.elevation[:1000, :1000])
    assert_reach(other.layers["admin_areas"].geometry.iloc[0])


def assert_reach(polygon: Any) -> None:
    west, south, east, north = polygon.bounds
    assert west <= 105.0
    assert east >= 105.6
    assert south <= 27.0
    assert north >= 27.6


def test_the_county_reaches_a_third_of_a_degree_each_way(outline: Any) -> None:
    assert_reach(outline)


def test_the_terrain_covers_the_county(county: SampleCounty, outline: Any) -> None:
    rows, columns = county.elevation.shape
    west, north = county.transform @ (0, 0)
    east, south = county.transform @ (columns, rows)
    assert shapely.box(west, south, east, north).contains(outline)
    assert county.elevation.min() > 800
    assert county.elevation.max() < 2800


def test_townships_partition_the_county(county: SampleCounty, outline: Any) -> None:
    townships = county.layers["admin_areas"].iloc[1:]
    assert 16 <= len(townships) <= 20
    assert shapely.coverage_is_valid(townships.geometry.to_numpy())
    assert shapely.area(townships.geometry.to_numpy()).sum() == pytest.approx(outline.area, rel=1e-12)
    assert townships.union_all().symmetric_difference(outline).area == pytest.approx(0, abs=1e-12)
    assert set(townships["parent_code"]) == {county.layers["admin_areas"]["source_id"].iloc[0]}


@pytest.mark.parametrize("layer", [path.stem for path in sorted((LAYERS / "definitions").glob("*.toml"))])
def test_values_follow_the_definition(county: SampleCounty, layer: str) -> None:
    frame, contract = county.layers[layer], definition(layer)
    assert set(frame.columns) <= set(contract.fields) | COMMON
    for name, field in contract.fields.items():
        if name not in frame:
            assert not field.required, name
            continue
        values = known(frame[name])
        if field.required:
            assert len(values) == len(frame), name
        if field.codes:
            used = {code for value in values for code in (value if isinstance(value, list) else [value])}
            assert used <= codes_of(contract, field.codes), name
        if field.minimum is not None:
            assert min(values, default=field.minimum) >= field.minimum, name
        if field.maximum is not None:
            assert max(values, default=field.maximum) <= field.maximum, name
        if field.pattern:
            assert frame[name].str.match(field.pattern).all(), name
        if field.type == "date":
            assert {type(value) for value in values} <= {date}, name


@pytest.mark.parametrize("layer", [path.stem for path in sorted((LAYERS / "definitions").glob("*.toml"))])
def test_rows_are_unique_and_labelled(county: SampleCounty, layer: str) -> None:
    frame = county.layers[layer]
    assert frame["source_id"].is_unique
    assert frame["note"].str.contains("示例").all()
    assert frame["note"].str.contains("ample").all()
    if {"name", "address"} <= set(frame.columns):
        assert not frame.duplicated(["name", "address"]).any()


@pytest.mark.parametrize("layer", POINT_LAYERS)
def test_points_lie_in_the_county(county: SampleCounty, outline: Any, layer: str) -> None:
    assert county.layers[layer].geometry.within(outline).all()


def test_geometries_are_valid_and_of_the_declared_type(county: SampleCounty) -> None:
    for layer, frame in county.layers.items():
        if isinstance(frame, geopandas.GeoDataFrame):
            assert frame.crs.to_epsg() == 4326
            assert frame.geometry.is_valid.all()
            assert not frame.geometry.is_empty.any(), layer
            declared = definition(layer).geometry
            assert declared == "Geometry" or set(frame.geom_type) == {declared}, layer


def test_the_road_network_is_noded_and_connected(county: SampleCounty) -> None:
    net = county.layers["roads"]
    lines = net.geometry.to_numpy()
    ends = np.concatenate([shapely.get_coordinates(shapely.get_point(lines, place)) for place in (0, -1)])
    nodes = np.concatenate([net["from_node"], net["to_node"]])
    spread = pd.DataFrame(ends).groupby(nodes).agg(["min", "max"])
    assert (spread[0]["min"] == spread[0]["max"]).all()
    assert (spread[1]["min"] == spread[1]["max"]).all()
    size = nodes.max() + 1
    graph = sparse.coo_matrix((np.ones(len(net)), (net["from_node"], net["to_node"])), shape=(size, size))
    _, part = csgraph.connected_components(graph, directed=False)
    in_use = part[np.unique(nodes)]
    assert np.bincount(in_use).max() / len(in_use) > 0.98
    np.testing.assert_allclose(net["length_m"], roads.lengths_m(lines), atol=0.06)
    assert net["bridge"].sum() > 5
    assert {"motorway", "trunk", "primary", "secondary", "tertiary", "minor"} == set(net["class"])


def test_roads_cross_only_at_junctions_or_over_the_motorway(county: SampleCounty) -> None:
    ordinary = county.layers["roads"].query("`class` != 'motorway'").geometry.to_numpy()
    left, right = shapely.STRtree(ordinary).query(ordinary, predicate="crosses")
    assert not len(left), list(zip(left, right, strict=True))


def test_settlements_are_reached_by_road(county: SampleCounty) -> None:
    tree = shapely.STRtree(county.layers["roads"].geometry.to_numpy())
    homes = county.layers["settlements"].geometry.to_numpy()
    nearest = county.layers["roads"].geometry.to_numpy()[tree.nearest(homes)]
    assert (shapely.distance(homes, nearest) < 0.003).all()


def slopes(county: SampleCounty, layer: geopandas.GeoDataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Slope in degrees of all cells, and at the layer's points."""
    size = county.transform.a * 111_195
    y, x = np.gradient(county.elevation, size, size * np.cos(np.radians(27.3)))
    slope = np.degrees(np.arctan(np.hypot(x, y)))
    column, row = ~county.transform @ (layer.geometry.x.to_numpy(), layer.geometry.y.to_numpy())
    return slope, slope[row.astype(int), column.astype(int)]


def test_dangers_are_steep_and_settlements_are_not(county: SampleCounty) -> None:
    everywhere, at_dangers = slopes(county, county.layers["hazard_points"])
    _, at_homes = slopes(county, county.layers["settlements"])
    assert at_dangers.mean() > everywhere.mean() + 3
    assert at_homes.mean() < everywhere.mean() - 3
    collapse = (county.layers["hazard_points"]["hazard"] == "ground_collapse").to_numpy()
    assert ((at_dangers[~collapse] > 14.5) & (at_dangers[~collapse] < 45.5)).all()


def test_grades_by_the_standard() -> None:
    measured = pd.DataFrame(
        {
            "threatened_persons": pd.array([1000, 500, 100, 99, None, None, 12], dtype="Int64"),
            "threatened_property_cny": [0.0, 0.0, 4_999_999.0, 4_999_999.0, 5_000_000.0, None, 100_000_000.0],
        }
    )
    assert hazards.threat_grades(measured).tolist() == [
        "very_large",
        "large",
        "medium",
        "small",
        "medium",
        None,
        "very_large",
    ]


def test_past_events_have_a_day_and_dangers_a_stage(county: SampleCounty) -> None:
    points = county.layers["hazard_points"]
    event = points["record_kind"] == "past_event"
    assert 0.03 < event.mean() < 0.09
    assert points.loc[event, "occurred_on"].notna().all()
    assert points.loc[~event, "occurred_on"].isna().all()
    assert points.loc[~event, "stage"].notna().all()
    late = [day for day in points["deadline_on"] if isinstance(day, date) and day < NOW.date()]
    assert 10 < len(late) < 200


def test_unknown_stays_unknown(county: SampleCounty) -> None:
    for frame in county.layers.values():
        for name in frame.columns.difference(["geometry"]):
            if frame[name].dtype == object:
                assert not any(isinstance(value, float) for value in frame[name]), name
    assert 5 <= county.layers["settlements"]["population_persons"].isna().sum() <= 40
    assert 2 <= county.layers["shelters"]["capacity_persons"].isna().sum() <= 25
    assert county.layers["shelters"]["stated_at"].isna().any()


def test_shelters_are_fresh_and_capacity_follows_area(county: SampleCounty) -> None:
    shelters = county.layers["shelters"]
    stated = shelters["stated_at"].dropna()
    assert stated.between(NOW - timedelta(days=10), NOW - timedelta(minutes=5)).all()
    full = shelters["occupancy_persons"] == shelters["capacity_persons"]
    assert 3 <= full.sum() <= 30
    told = shelters.dropna(subset=["capacity_persons"])
    area = told["class"].map({"emergency": 0.5, "short": 2.0, "long": 4.5})
    assert (np.floor(told["effective_area_m2"] / area) == told["capacity_persons"].astype(float)).all()


def test_the_nearer_shelters_cannot_take_people_in(county: SampleCounty) -> None:
    shelters = county.layers["shelters"].to_crs(4547)
    incident = geopandas.GeoSeries([shapely.Point(*hazards.INCIDENT)], crs=4326).to_crs(4547).iloc[0]
    away_m = shelters.distance(incident)
    near = shelters[away_m < 5000].loc[away_m.sort_values().index.intersection(shelters.index[away_m < 5000])]
    assert len(near) >= 8
    assert near["status"].iloc[0] == "closed"
    assert near["occupancy_persons"].iloc[1] == near["capacity_persons"].iloc[1]
    assert "landslide" in near["unsuitable_hazards"].iloc[2]


def test_some_shelters_stand_in_a_risk_zone(county: SampleCounty) -> None:
    zones = county.layers["risk_zones"].union_all()
    inside = county.layers["shelters"].within(zones).mean()
    assert 0.03 < inside < 0.15


def test_zones_are_of_a_likely_size(county: SampleCounty) -> None:
    km2 = county.layers["risk_zones"].to_crs(6933).area / 1e6
    assert km2.between(0.01, 4).all()
    assert 0.1 < km2.median() < 1.5


def test_stock_belongs_to_depots(county: SampleCounty) -> None:
    lines = county.layers["stock"]
    assert set(lines["depot"]) == set(county.layers["supply_depots"]["source_id"])
    assert lines.groupby("depot").size().between(6, 12).all()
    assert (lines["quantity"] < lines["minimum_quantity"]).any()
    assert not lines.duplicated(["depot", "item_code", "item_name", "batch"]).any()


def test_closures_are_one_closed_one_slow_and_one_that_has_ended(county: SampleCounty) -> None:
    closures = county.layers["road_closures"]
    assert closures["effect"].tolist() == ["forbid", "slow", "forbid"]
    assert (closures["ends_at"] < NOW).tolist() == [False, False, True]
    assert county.layers["roads"].geometry.union_all().distance(closures.geometry.union_all()) < 1e-9


def test_incidents_are_an_exercise_and_an_ended_one(county: SampleCounty) -> None:
    incidents = county.layers["incidents"]
    assert incidents["status"].tolist() == ["active", "ended"]
    assert incidents["exercise"].tolist() == [True, False]


def test_people_and_numbers_are_plainly_invented(county: SampleCounty) -> None:
    points = county.layers["hazard_points"]
    assert points["responsible_name"].dropna().str.match("示例责任人").all()
    for layer in county.layers.values():
        for name in layer.columns[layer.columns.str.contains("phone")]:
            assert layer[name].dropna().str.match(r"^000-\d{4}-\d{4}$").all()


def test_elevation_is_written_as_a_tiled_geotiff(county: SampleCounty, tmp_path: Path) -> None:
    path = tmp_path / "elevation.tif"
    county.write_elevation(path)
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 4326
        assert file.profile["tiled"]
        assert file.compression is not None
        assert file.overviews(1)
        assert "示例" in file.tags()["SAMPLE"]
        assert "Sample" in file.tags()["SAMPLE"]
        np.testing.assert_array_equal(file.read(1), county.elevation)


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    make(now=NOW, progress=lambda part, share: told.append((part, share)))
    assert told[0][1] == 0
    assert told[-1][1] == 1
    assert [share for _, share in told] == sorted(share for _, share in told)


def test_every_danger_has_what_its_stage_asks_for_but_for_a_few(county: SampleCounty) -> None:
    points = county.layers["hazard_points"]
    dangers = points[points["record_kind"] == "hidden_danger"]
    loop = definition("hazard_points").workflow
    assert loop is not None
    assert set(dangers["stage"]) == {code.split(" ")[0] for code in codes_of(definition("hazard_points"), "stage")}
    handed_over = dangers[dangers["stage"].isin(["assigned", "rectifying", "to_accept"])]
    (assign,) = (step for step in loop.transitions if step.to == "assigned")
    for name in assign.needs:
        assert 0.9 < handed_over[name].notna().mean() < 1, name  # a register has gaps
    struck_off = dangers[dangers["stage"] == "struck_off"]
    for name in ("struck_off_on", "struck_off_reason", "county_review", "city_review", "city_reviewed_on"):
        assert struck_off[name].notna().all(), name
    this_month = [day for day in struck_off["struck_off_on"] if (day.year, day.month) == (NOW.year, NOW.month)]
    assert 3 <= len(this_month) <= 60
    assert dangers.loc[dangers["stage"] == "reopened", "reopened_reason"].notna().all()
    for before, after in (("found_on", "deadline_on"), ("found_on", "struck_off_on"), ("found_on", "reopened_on")):
        both = dangers[[before, after]].dropna()
        assert (both[before] <= both[after]).all(), after
    assert (points.loc[points["record_kind"] == "past_event", "stage"].isna()).all()


def test_some_grades_are_stated_with_a_reason_and_a_few_without(county: SampleCounty) -> None:
    points = county.layers["hazard_points"].astype(object).where(lambda frame: frame.notna(), None)
    contract = definition("hazard_points")
    rows = [{str(name): value for name, value in row.items()} for row in points.to_dict("records")]
    differing = [row for row in rows if grades.unreasoned(contract, row)]
    reasoned = [row for row in rows if row["threat_grade_reason"]]
    assert 2 <= len(differing) <= 30
    assert 10 <= len(reasoned) <= 60
    assert sum(bool(grades.computed_values(contract, row)["threat_grade_at_least"]) for row in rows) > 20


def test_monitoring_values_say_when_they_were_stated(county: SampleCounty) -> None:
    for layer in ("shelters", "rescue_teams", "stock", "experts"):
        contract, frame = definition(layer), county.layers[layer]
        for name, stated_at in contract.monitoring_fields.items():
            assert (frame[name].notna() == frame[stated_at].notna()).all(), name
            hours = (pd.Timestamp(NOW) - frame[stated_at].dropna()).dt.total_seconds() / 3600
            stale = (hours > contract.fields[name].stale_after_h).mean()
            assert 0 < stale < 0.35, name
    shelters = county.layers["shelters"]
    away = shapely.distance(shelters.geometry.to_numpy(), shapely.Point(*hazards.INCIDENT))
    fresh = shelters["occupancy_stated_at"].iloc[np.argsort(away)[:3]].dropna()
    assert ((pd.Timestamp(NOW) - fresh).dt.total_seconds() < 3600).all()


def test_grid_cells_part_the_townships(county: SampleCounty) -> None:
    cells, outline = county.layers["grid_cells"], county.layers["admin_areas"].geometry.iloc[0]
    assert 80 <= len(cells) <= 130
    assert shapely.area(cells.geometry.to_numpy()).sum() == pytest.approx(outline.area, rel=1e-6)


def test_drills_follow_plans(county: SampleCounty) -> None:
    drills, plans = county.layers["drills"], county.layers["response_plans"]
    assert set(drills["plan"].dropna()) <= set(plans["source_id"])
    assert drills.loc[drills["status"] == "planned", "held_on"].map(lambda day: day > NOW.date()).all()
