"""layers.osm and layers.noding: networks worked out by hand, then the extract of Andorra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import quoteattr

import geopandas as gpd
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from layers.catalog import catalog
from layers.errors import ImportRefused
from layers.noding import Edge, edges, merged
from layers.osm import FACILITIES, FIELDS, SETTLEMENTS, SOURCE, TEAMS, OsmExtract, read

STEP_M = 111.31949  # 0.001° along the equator of WGS84: 6378137 m × π / 180 / 1000
Tags = Mapping[str, str]
ROAD = {"highway": "residential"}


@dataclass
class Sketch:
    """A small OSM file; nodes stand on a grid of 0.001°, (east, north) from 0°, 0°."""

    nodes: dict[int, tuple[float, float]] = field(default_factory=dict)
    node_tags: dict[int, Tags] = field(default_factory=dict)
    ways: dict[int, tuple[Sequence[int], Tags]] = field(default_factory=dict)
    relations: dict[int, tuple[Sequence[tuple[int, str]], Tags]] = field(default_factory=dict)

    def square(self, way: int, west: float, south: float, side: float, tags: Tags) -> None:
        """A closed way with nodes of its own."""
        corners = [(west, south), (west + side, south), (west + side, south + side), (west, south + side)]
        numbers = [1000 * way + i for i in range(4)]
        self.nodes |= dict(zip(numbers, corners, strict=True))
        self.ways[way] = ([*numbers, numbers[0]], tags)

    def write(self, folder: Path) -> Path:
        lines = ['<osm version="0.6">']
        for node, (east, north) in sorted(self.nodes.items()):
            place = f'<node id="{node}" version="1" lon="{east / 1000:.7f}" lat="{north / 1000:.7f}">'
            lines.append(f"{place}{_tags(self.node_tags.get(node, {}))}</node>")
        for way, (nodes, tags) in sorted(self.ways.items()):
            refs = "".join(f'<nd ref="{node}"/>' for node in nodes)
            lines.append(f'<way id="{way}" version="1">{refs}{_tags(tags)}</way>')
        for relation, (members, tags) in sorted(self.relations.items()):
            refs = "".join(f'<member type="way" ref="{way}" role="{role}"/>' for way, role in members)
            lines.append(f'<relation id="{relation}" version="1">{refs}{_tags(tags)}</relation>')
        path = folder / "sketch.osm"
        path.write_text("\n".join([*lines, "</osm>"]), encoding="utf-8")
        return path


def _tags(tags: Tags) -> str:
    return "".join(f"<tag k={quoteattr(key)} v={quoteattr(value)}/>" for key, value in tags.items())


def balanced(extract: OsmExtract) -> OsmExtract:
    """The extract, after checking that nothing in it is unaccounted for and every code is one of the layer's."""
    assert extract.of_interest + sum(extract.no_interest.values()) == sum(extract.objects.values())
    for layer, account in extract.account.items():
        frame = extract.layers[layer]
        assert account.read == account.imported + len(account.left_out)
        assert account.rows == len(frame)
        ids = {source_id.partition("#")[0] for source_id in frame["source_id"]}
        assert len(ids) == account.imported
        assert ids.isdisjoint(osm_id for osm_id, _ in account.left_out)
        assert frame["source_id"].is_unique
        assert frame.crs == "EPSG:4326"
        assert list(frame.columns) == ["source_id", *FIELDS[layer], "geometry"]
        assert frame.geometry.is_valid.all()
        _check_codes(layer, frame)
    return extract


def _check_codes(layer: str, frame: gpd.GeoDataFrame) -> None:
    definition = catalog()[layer]
    for name in FIELDS[layer]:
        if definition.fields[name].type in ("code", "codes"):
            values = frame[name].dropna().explode()
            assert set(values) <= set(catalog().codes_of(definition, definition.fields[name]))


def ends(frame: gpd.GeoDataFrame) -> list[tuple[str, int, int]]:
    return list(zip(frame["source_id"], frame["from_node"], frame["to_node"], strict=True))


def roads(folder: Path, sketch: Sketch) -> gpd.GeoDataFrame:
    frame = balanced(read(sketch.write(folder))).layers["roads"]
    assert (frame["length_m"] > 0).all()
    assert (frame["from_node"] != frame["to_node"]).all()
    return frame


CROSS = {1: (0.0, 0.0), 2: (1.0, 0.0), 3: (2.0, 0.0), 4: (1.0, -1.0), 5: (1.0, 1.0)}


# --- where lines are cut


def test_crossroads_make_four_edges_of_known_length(tmp_path: Path) -> None:
    frame = roads(tmp_path, Sketch(CROSS, ways={1: ((1, 2, 3), ROAD), 2: ((4, 2, 5), ROAD)}))
    assert ends(frame) == [("way/1#0", 1, 2), ("way/1#1", 2, 3), ("way/2#0", 4, 2), ("way/2#1", 2, 5)]
    assert frame["length_m"][0] == pytest.approx(STEP_M, abs=1e-4)
    assert list(frame.geometry[1].coords) == [(0.001, 0.0), (0.002, 0.0)]


def test_a_way_without_junction_stays_whole(tmp_path: Path) -> None:
    frame = roads(tmp_path, Sketch(CROSS, ways={1: ((1, 2, 3), ROAD)}))
    assert ends(frame) == [("way/1", 1, 3)]
    assert frame["length_m"][0] == pytest.approx(2 * STEP_M, abs=1e-4)


def test_a_bridge_is_not_joined_to_what_it_crosses(tmp_path: Path) -> None:
    bridge = {**ROAD, "bridge": "viaduct", "layer": "1"}
    nodes = {**CROSS, 6: (1.0, 0.0)}
    frame = roads(tmp_path, Sketch(nodes, ways={1: ((1, 2, 3), ROAD), 2: ((4, 6, 5), bridge)}))
    assert ends(frame) == [("way/1", 1, 3), ("way/2", 4, 5)]
    assert list(frame["bridge"]) == [False, True]
    assert frame["layer_level"].isna()[0]
    assert frame["layer_level"][1] == 1


def test_a_node_shared_with_a_way_that_is_no_road_is_no_junction(tmp_path: Path) -> None:
    sketch = Sketch(CROSS, ways={1: ((1, 2, 3), ROAD), 2: ((4, 2, 5), {"highway": "construction"})})
    assert ends(roads(tmp_path, sketch)) == [("way/1", 1, 3)]


def test_a_roundabout_is_cut_at_its_arms_and_runs_one_way(tmp_path: Path) -> None:
    nodes = {1: (0.0, 0.0), 2: (1.0, -1.0), 3: (2.0, 0.0), 4: (1.0, 1.0), 5: (-1.0, 0.0), 6: (3.0, 0.0)}
    circle = {**ROAD, "junction": "roundabout"}
    ways = {1: ((1, 2, 3, 4, 1), circle), 2: ((5, 1), ROAD), 3: ((3, 6), ROAD)}
    frame = roads(tmp_path, Sketch(nodes, ways=ways))
    assert ends(frame) == [("way/1#0", 1, 3), ("way/1#1", 3, 1), ("way/2", 5, 1), ("way/3", 3, 6)]
    assert list(frame["one_way"]) == ["forward", "forward", "no", "no"]


def test_a_loop_of_its_own_is_cut_in_two(tmp_path: Path) -> None:
    frame = roads(tmp_path, Sketch(CROSS, ways={1: ((1, 4, 3, 5, 1), ROAD)}))
    assert ends(frame) == [("way/1#0", 1, 3), ("way/1#1", 3, 1)]


def test_a_way_that_comes_back_to_its_own_node(tmp_path: Path) -> None:
    frame = roads(tmp_path, Sketch(CROSS, ways={1: ((1, 2, 4, 3, 2, 5), ROAD)}))
    assert ends(frame) == [("way/1#0", 1, 2), ("way/1#1", 2, 4), ("way/1#2", 4, 2), ("way/1#3", 2, 5)]


def test_a_way_out_and_back_gives_parallel_edges(tmp_path: Path) -> None:
    frame = roads(tmp_path, Sketch(CROSS, ways={1: ((1, 2, 3, 2), ROAD)}))
    assert ends(frame) == [("way/1#0", 1, 2), ("way/1#1", 2, 3), ("way/1#2", 3, 2)]


def test_a_node_twice_in_a_row_is_dropped_and_counted(tmp_path: Path) -> None:
    extract = balanced(read(Sketch(CROSS, ways={1: ((1, 2, 2, 3), ROAD)}).write(tmp_path)))
    assert ends(extract.layers["roads"]) == [("way/1", 1, 3)]
    assert extract.account["roads"].notes["nodes dropped that repeat the place before them"] == 1


def test_two_nodes_at_one_place_stay_joined(tmp_path: Path) -> None:
    nodes = {**CROSS, 6: CROSS[2]}
    frame = roads(tmp_path, Sketch(nodes, ways={1: ((1, 2, 6, 3), ROAD), 2: ((6, 5), ROAD), 3: ((4, 2), ROAD)}))
    assert ends(frame) == [("way/1#0", 1, 2), ("way/1#1", 2, 3), ("way/2", 2, 5), ("way/3", 4, 2)]


def test_a_way_that_leaves_the_extract_keeps_what_is_there(tmp_path: Path) -> None:
    ways = {1: ((1, 2, 98, 99, 3, 5), ROAD), 2: ((1, 97), ROAD), 3: ((2, 2), ROAD)}
    extract = balanced(read(Sketch(CROSS, ways=ways).write(tmp_path)))
    assert ends(extract.layers["roads"]) == [("way/1#0", 1, 2), ("way/1#1", 3, 5)]
    account = extract.account["roads"]
    reason = "the file holds fewer than two of its places"
    assert account.left_out == (("way/2", reason), ("way/3", reason))
    assert account.notes["ways cut where the file lacks their nodes"] == 2
    assert account.notes["nodes that the file lacks"] == 3


@given(st.lists(st.lists(st.integers(1, 8), min_size=2, max_size=12), max_size=6))
def test_edges_cover_every_chain_once_and_meet_only_at_ends(lists: list[list[int]]) -> None:
    chains = [[node for i, node in enumerate(chain) if i == 0 or node != chain[i - 1]] for chain in lists]
    chains = [chain for chain in chains if len(chain) > 1]
    found = edges(chains)
    covered = [(edge.chain, i) for edge in found for i in range(edge.start, edge.end)]
    assert covered == [(index, i) for index, chain in enumerate(chains) for i in range(len(chain) - 1)]
    inner = [chains[edge.chain][i] for edge in found for i in range(edge.start + 1, edge.end)]
    tips = {chains[edge.chain][i] for edge in found for i in (edge.start, edge.end)}
    assert len(inner) == len(set(inner))
    assert tips.isdisjoint(inner)
    assert all(chains[edge.chain][edge.start] != chains[edge.chain][edge.end] for edge in found)


def test_merged_nodes_take_the_smallest_of_their_group() -> None:
    assert merged([(7, 5), (9, 8), (5, 9), (3, 3)]) == {7: 5, 8: 5, 9: 5}
    assert edges([[7, 8], [8, 9]]) == [Edge(0, 0, 1), Edge(1, 0, 1)]


# --- what a road's tags say


def road(folder: Path, **tags: str) -> tuple[dict[str, object], dict[str, int]]:
    """The row of one road with these tags (``_`` for ``:``), and the notes on it."""
    named = {key.replace("_", ":") if key != "motor_vehicle" else key: value for key, value in tags.items()}
    sketch = Sketch(CROSS, ways={1: ((1, 2, 3), {"highway": "residential", **named})})
    extract = balanced(read(sketch.write(folder)))
    return extract.layers["roads"].iloc[0].to_dict(), extract.account["roads"].notes


@pytest.mark.parametrize(
    ("text", "km_h"),
    [
        ("50", 50), ("50 mph", 80.4672), ("30mph", 48.28032), ("none", 120), ("walk", 5), ("AD:urban", 50),
        ("AD:rural", 80), ("DE:zone:30", 30), ("FR:zone30", 30), ("60;40", 40), ("12.5", 12.5), ("50 km/h", 50),
    ],
)  # fmt: skip
def test_speed_limits(tmp_path: Path, text: str, km_h: float) -> None:
    row, notes = road(tmp_path, maxspeed=text)
    assert row["speed_km_h"] == pytest.approx(km_h)
    assert not notes


@pytest.mark.parametrize("text", ["fast", "0", "999", "-50", "50 knots", "variable"])
def test_a_limit_not_understood_gives_the_default_and_is_counted(tmp_path: Path, text: str) -> None:
    row, notes = road(tmp_path, maxspeed=text)
    assert row["speed_km_h"] == 30
    assert notes == {f"maxspeed={text} not understood": 1, "speeds by default of the class": 1}


def test_a_limit_for_vehicles_says_nothing_about_a_path(tmp_path: Path) -> None:
    row, _ = road(tmp_path, highway="footway", maxspeed="20")
    assert (row["class"], row["speed_km_h"]) == ("path", 4)


@pytest.mark.parametrize(
    ("tags", "one_way"),
    [
        ({"oneway": "yes"}, "forward"), ({"oneway": "true"}, "forward"), ({"oneway": "1"}, "forward"),
        ({"oneway": "-1"}, "backward"), ({"oneway": "no"}, "no"), ({}, "no"), ({"oneway": "reversible"}, "no"),
        ({"junction": "circular"}, "forward"), ({"junction": "roundabout", "oneway": "no"}, "no"),
        ({"junction": "roundabout", "oneway": "-1"}, "backward"), ({"junction": "approach"}, "no"),
        ({"highway": "motorway"}, "forward"), ({"highway": "motorway", "oneway": "no"}, "no"),
        ({"highway": "motorway_link"}, "no"), ({"oneway": "sometimes"}, "no"),
    ],
)  # fmt: skip
def test_one_way(tmp_path: Path, tags: dict[str, str], one_way: str) -> None:
    row, _ = road(tmp_path, **tags)
    assert row["one_way"] == one_way
    assert (row["from_node"], row["to_node"]) == (1, 3)


@pytest.mark.parametrize(
    ("tags", "access"),
    [
        ({}, "public"), ({"access": "permissive"}, "public"), ({"access": "customers"}, "destination"),
        ({"access": "no", "motor_vehicle": "yes"}, "public"), ({"vehicle": "agricultural"}, "agricultural"),
        ({"vehicle": "no", "motor_vehicle": "private"}, "private"), ({"access": "permit"}, "private"),
        ({"access": "agricultural;forestry"}, "agricultural"), ({"access": "private;destination"}, "private"),
        ({"highway": "path", "motor_vehicle": "no"}, "public"), ({"highway": "path", "access": "no"}, "no"),
        ({"highway": "path", "access": "no", "foot": "yes"}, "public"), ({"access": "perhaps"}, None),
        ({"highway": "busway"}, "no"),
    ],
)  # fmt: skip
def test_access(tmp_path: Path, tags: dict[str, str], access: str | None) -> None:
    row, notes = road(tmp_path, **tags)
    assert row["access"] == access
    assert ("access=perhaps not understood" in notes) == (access is None)


def test_measures_and_names(tmp_path: Path) -> None:
    row, notes = road(
        tmp_path, width="2.5 m", maxheight="6'7\"", maxweight="7500 kg", surface="asphalt", name="云岭大道", ref="S307",
        tunnel="building_passage", layer="-1",
    )  # fmt: skip
    assert row["width_m"] == 2.5
    assert row["max_height_m"] == pytest.approx(6 * 0.3048 + 7 * 0.0254)
    assert row["max_weight_t"] == 7.5
    assert (row["surface"], row["name"], row["ref"]) == ("asphalt", "云岭大道", "S307")
    assert (row["tunnel"], row["bridge"], row["layer_level"]) == (True, False, -1)
    assert notes == {"speeds by default of the class": 1}


def test_measures_without_a_number_are_empty_and_counted_unless_they_say_no_limit(tmp_path: Path) -> None:
    row, notes = road(tmp_path, width="wide", maxheight="default", layer="0;1")
    assert np.isnan(row["width_m"])
    assert np.isnan(row["max_height_m"])
    assert notes.keys() == {"width=wide not understood", "layer=0;1 not understood", "speeds by default of the class"}


def test_classes_follow_the_definition_and_what_is_no_road_is_left_out(tmp_path: Path) -> None:
    words = {1: "trunk_link", 2: "living_street", 3: "steps", 4: "proposed", 5: "platform", 6: "pedestrian"}
    ways = {way: ((1, 2), {"highway": word}) for way, word in words.items()}
    ways[6] = ((1, 2, 5, 1), {"highway": "pedestrian", "area": "yes"})
    sketch = Sketch(CROSS, {3: {"highway": "crossing"}}, ways)
    extract = balanced(read(sketch.write(tmp_path)))
    assert list(extract.layers["roads"]["class"]) == ["trunk", "minor", "path"]
    assert extract.account["roads"].left_out == (
        ("way/4", "highway=proposed is not a way to travel on"),
        ("way/5", "highway=platform is not a way to travel on"),
        ("way/6", "an area (area=yes), walked across and not along"),
    )
    assert extract.no_interest == {"node without tags": 4, "node with highway, of another kind": 1}


# --- rivers


def test_rivers_follow_the_definition_and_keep_what_is_there(tmp_path: Path) -> None:
    ways = {
        1: ((1, 2, 99, 3, 5), {"waterway": "river", "name": "Valira", "width": "12"}),
        2: ((1, 4), {"waterway": "drain"}),
        3: ((1, 5), {"waterway": "weir"}),
    }
    extract = balanced(read(Sketch(CROSS, ways=ways).write(tmp_path)))
    rivers = extract.layers["rivers"]
    assert list(rivers["class"]) == ["river", "canal"]
    assert [len(line.geoms) for line in rivers.geometry] == [2, 1]
    assert (rivers["name"][0], rivers["width_m"][0]) == ("Valira", 12)
    assert extract.no_interest["way with waterway, of another kind"] == 1


# --- places


def test_codes_of_places_are_codes_of_their_layers() -> None:
    assert set(FACILITIES.values()) <= catalog()["facilities"].codes["facility_kind"].keys()
    assert set(SETTLEMENTS.values()) <= catalog()["settlements"].codes["settlement_kind"].keys()
    assert set(TEAMS.values()) <= catalog()["rescue_teams"].codes["speciality"].keys()


def test_a_fire_station_is_a_team_and_not_a_facility(tmp_path: Path) -> None:
    sketch = Sketch(CROSS, {1: {"amenity": "fire_station"}, 2: {"amenity": "police", "name": "Policia"}})
    extract = balanced(read(sketch.write(tmp_path)))
    teams = extract.layers["rescue_teams"]
    assert (teams["name"][0], teams["speciality"][0]) == ("node/1", ["fire"])
    assert list(extract.layers["facilities"]["kind"]) == ["police"]
    assert extract.of_interest == 2


def test_an_area_stands_as_a_point_on_it_with_its_geodesic_size(tmp_path: Path) -> None:
    sketch = Sketch()
    tags = {"amenity": "school", "name": "Escola", "addr:street": "Carrer Major", "addr:housenumber": "3"}
    sketch.square(1, 0, 0, 1, {**tags, "addr:postcode": "AD500", "capacity": "200", "phone": "+376 1"})
    row = balanced(read(sketch.write(tmp_path))).layers["facilities"].iloc[0]
    north_m = 110.57427  # 0.001° of latitude at the equator
    assert row["area_m2"] == pytest.approx(STEP_M * north_m, rel=1e-6)
    assert (row["address"], row["capacity_persons"], row["phone"]) == ("Carrer Major 3, AD500", 200, "+376 1")
    assert 0 < row["geometry"].x < 0.001


def test_places_drawn_twice_give_one_row(tmp_path: Path) -> None:
    sketch = Sketch(
        {1: (1, 1), 2: (2, 2), 3: (21, 1), 4: (41, 1), 5: (61, 1)},
        {
            1: {"amenity": "school"},  # nameless, inside the school Alfa
            2: {"amenity": "school", "name": "Beta"},  # another school inside it
            3: {"amenity": "hospital", "name": "Gamma"},  # the name of the nameless hospital around it
            4: {"amenity": "police", "name": "Delta"},  # of another kind than the area around it
            5: {"office": "government", "name": "comú"},  # the same town hall under another tag
        },
    )
    sketch.square(1, 0, 0, 10, {"amenity": "school", "name": "Alfa"})
    sketch.square(2, 20, 0, 10, {"amenity": "hospital"})
    sketch.square(3, 40, 0, 10, {"amenity": "townhall", "name": "Delta"})
    sketch.square(4, 60, 0, 10, {"amenity": "townhall", "name": "Comú"})
    extract = balanced(read(sketch.write(tmp_path)))
    assert set(extract.layers["facilities"]["source_id"]) == {"node/2", "node/3", "node/4", "way/1", "way/3", "way/4"}
    assert dict(extract.account["facilities"].left_out) == {
        "node/1": "drawn twice: way/1 around it is the same",
        "way/2": "drawn twice: node/3 inside it is the same",
        "node/5": "drawn twice: way/4 around it is the same",
    }


def test_areas_that_cannot_be_built_are_placed_or_left_out_with_the_reason(tmp_path: Path) -> None:
    sketch = Sketch({1: (0, 0), 2: (1, 1), 3: (1, 0), 4: (0, 1), 5: (5, 5), 6: (6, 5)})
    sketch.ways = {
        1: ((1, 2, 3, 4, 1), {"amenity": "clinic", "name": "bow tie"}),
        2: ((5, 6), {"amenity": "clinic", "name": "open"}),
        3: ((98, 99), {"amenity": "clinic", "name": "outside"}),
        4: ((1, 2, 3, 4, 1), {}),
    }
    sketch.relations = {
        1: ([(77, "outer")], {"type": "multipolygon", "amenity": "clinic"}),
        2: ([(2, "")], {"type": "site", "amenity": "clinic"}),
        3: ([(4, "outer")], {"type": "multipolygon", "amenity": "clinic"}),
    }
    extract = balanced(read(sketch.write(tmp_path)))
    assert list(extract.layers["facilities"]["name"]) == ["bow tie", "open"]
    assert extract.layers["facilities"]["area_m2"].isna().all()
    account = extract.account["facilities"]
    assert account.notes == {"ways placed on their line, as they make no polygon": 2}
    assert dict(account.left_out) == {
        "way/3": "the file lacks its place",
        "relation/1": "its outline is not whole in the file",
        "relation/2": "a relation of type site has no area",
        "relation/3": "its rings do not make a polygon",
    }


def test_shelters(tmp_path: Path) -> None:
    sketch = Sketch(
        CROSS,
        {
            1: {"tourism": "wilderness_hut", "capacity": "6", "name": "Cabana"},
            2: {"tourism": "alpine_hut", "capacity": "many", "drinking_water": "no", "electricity": "solar"},
            3: {
                "emergency": "assembly_point", "assembly_point:flood": "yes", "assembly_point:fire": "yes",
                "assembly_point:tsunami": "no", "assembly_point:meteor": "yes",
            },
            4: {"amenity": "school", "emergency:social_facility": "shelter"},
            5: {"amenity": "social_facility", "social_facility": "shelter"},
        },
    )  # fmt: skip
    extract = balanced(read(sketch.write(tmp_path)))
    shelters = extract.layers["shelters"]
    assert list(shelters["class"]) == ["hut", "hut", "emergency", None]
    assert list(shelters["designated"]) == [False, False, True, True]
    assert shelters["capacity_persons"][0] == 6
    assert shelters["capacity_persons"].isna().sum() == 3
    assert (shelters["water_supply"][1], shelters["power_supply"][1]) == (False, True)
    assert shelters["suitable_hazards"][2] == ["building_fire", "flood"]
    assert shelters["unsuitable_hazards"][2] == ["tsunami"]
    assert extract.account["shelters"].notes == {
        "capacity=many not understood": 1, "assembly_point:meteor not understood": 1
    }  # fmt: skip
    assert list(extract.layers["facilities"]["source_id"]) == ["node/4"]
    assert extract.no_interest == {"node with amenity, of another kind": 1}


def test_settlements(tmp_path: Path) -> None:
    town = {"place": "town", "name": "Ordino", "population": "3000", "population:date": "2023-01-01"}
    sketch = Sketch({1: (0.5, 0.5), 2: (9, 9), 3: (8, 8)}, {1: town, 2: {"place": "hamlet"}, 3: {"place": "locality"}})
    sketch.square(1, 0, 0, 1, {"place": "village", "name": "Ordino"})
    extract = balanced(read(sketch.write(tmp_path)))
    row = extract.layers["settlements"].iloc[0]
    assert (row["kind"], row["population_persons"], row["population_year"]) == ("township_seat", 3000, 2023)
    assert dict(extract.account["settlements"].left_out) == {
        "node/2": "it has no name",
        "way/1": "drawn twice: node/1 inside it is the same",
    }


def test_admin_areas_and_their_parents(tmp_path: Path) -> None:
    sketch = Sketch()
    sketch.square(1, 0, 0, 10, {})
    sketch.square(2, 1, 1, 2, {})
    sketch.square(3, 20, 20, 2, {})
    boundary = {"type": "boundary", "boundary": "administrative"}
    sketch.relations = {
        1: ([(1, "outer")], {**boundary, "admin_level": "6", "name": "County"}),
        2: ([(2, "outer")], {**boundary, "admin_level": "8", "name": "Town", "name:en": "Town", "population": "70"}),
        3: ([(3, "outer")], {**boundary, "admin_level": "7", "name": "Elsewhere"}),
        4: ([(3, "outer")], {**boundary, "admin_level": "2", "name": "Country"}),
        5: ([(3, "outer"), (77, "outer")], {**boundary, "admin_level": "7", "name": "Cut"}),
        6: ([(3, "outer")], boundary),
        7: ([(3, "outer")], {**boundary, "admin_level": "8"}),
    }
    path = sketch.write(tmp_path)
    extract = balanced(read(path))
    areas = extract.layers["admin_areas"]
    assert list(areas["level"]) == ["county", "township", "township"]
    assert list(areas["parent_code"]) == [None, "relation/1", None]
    assert list(areas["parent_name"]) == [None, "County", None]
    assert set(areas.geom_type) == {"MultiPolygon"}
    assert dict(extract.account["admin_areas"].left_out) == {
        "relation/4": "admin_level=2 is no level of this layer",
        "relation/5": "its outline is not whole in the file",
        "relation/6": "it has no admin_level",
        "relation/7": "it has no name",
    }
    other = read(path, admin_levels={2: "province"}).layers["admin_areas"]
    assert list(other["name"]) == ["Country"]


# --- the file


def test_a_file_without_anything_gives_empty_layers(tmp_path: Path) -> None:
    extract = balanced(read(Sketch(CROSS).write(tmp_path)))
    assert all(frame.empty for frame in extract.layers.values())
    assert extract.no_interest == {"node without tags": 5}
    assert extract.stated_at is None
    assert extract.source is SOURCE


def test_a_damaged_file_is_refused_without_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "damaged.osm.pbf"
    path.write_bytes(b"not a map")
    with pytest.raises(ImportRefused, match=r"damaged\.osm\.pbf") as refused:
        read(path)
    assert str(tmp_path) not in str(refused.value)
    with pytest.raises(ImportRefused, match="No such file"):
        read(tmp_path / "absent.osm.pbf")


# --- Andorra


@pytest.fixture(scope="module")
def andorra(real_data: Path) -> OsmExtract:
    path = real_data / "andorra" / "andorra-2025.osm.pbf"
    steps: list[int] = []
    extract = balanced(read(path, progress=steps.append))
    assert steps == sorted(steps)
    assert steps[-1] == sum(extract.objects.values())
    return extract


@pytest.mark.real_data
def test_andorra_is_accounted_for(andorra: OsmExtract) -> None:
    assert andorra.objects == {"node": 471_006, "way": 24_607, "relation": 614}
    counts = {layer: (a.read, a.imported, a.rows) for layer, a in andorra.account.items()}
    assert counts == {
        "roads": (7763, 7509, 14290),
        "rivers": (783, 783, 783),
        "facilities": (242, 232, 232),
        "shelters": (34, 34, 34),
        "rescue_teams": (4, 4, 4),
        "settlements": (76, 75, 75),
        "admin_areas": (36, 8, 8),
    }
    assert andorra.stated_at is not None
    assert andorra.stated_at.date().isoformat() == "2025-01-19"


@pytest.mark.real_data
def test_andorra_has_its_places(andorra: OsmExtract) -> None:
    kinds = andorra.layers["facilities"]["kind"].value_counts()
    assert (kinds["hospital"], kinds["police"]) == (10, 8)
    shelters = andorra.layers["shelters"]
    assert set(shelters["class"]) == {"hut"}
    assert not shelters["designated"].any()
    assert sorted(shelters["capacity_persons"].dropna())[-4:] == [43, 48, 50, 50]
    areas = andorra.layers["admin_areas"]
    parishes = {"Andorra la Vella", "Canillo", "Encamp", "Escaldes-Engordany", "La Massana", "Ordino"}
    parishes |= {"Sant Julià de Lòria"}
    assert set(areas["name"]) == {*parishes, "L'Hospitalet-près-l'Andorre"}  # a French commune whole in the file
    metric = areas[areas["name"].isin(parishes)].to_crs("EPSG:25831")
    assert metric.area.sum() / 1e6 == pytest.approx(468, abs=2)  # Andorra's 468 km²


@pytest.mark.real_data
def test_andorra_has_2088_km_of_roads(andorra: OsmExtract) -> None:
    """Geodesic length of all roads, areas left out; 2088 km is the same sum on a sphere."""
    frame = andorra.layers["roads"]
    assert frame["length_m"].sum() / 1000 == pytest.approx(2085.73, abs=0.01)
    assert frame["length_m"].sum() / 1000 == pytest.approx(2088, rel=0.002)
    geod = Geod(ellps="WGS84")
    sample = frame.iloc[::500]
    assert [geod.geometry_length(line) for line in sample.geometry] == pytest.approx(list(sample["length_m"]))


@pytest.mark.real_data
def test_andorra_is_one_network(andorra: OsmExtract) -> None:
    frame = andorra.layers["roads"]
    assert (frame["length_m"] > 0).all()
    assert _share_of_largest(frame) > 0.99
    driven = frame[frame["class"] != "path"]
    assert _share_of_largest(driven) > 0.97
    assert _share_reached_both_ways(driven) > 0.95


@pytest.mark.real_data
def test_andorra_has_its_nodes_at_the_ends_of_its_edges(andorra: OsmExtract) -> None:
    frame = andorra.layers["roads"]
    places: dict[int, tuple[float, float]] = {}
    inner: set[tuple[float, float]] = set()
    for line, start, end in zip(frame.geometry, frame["from_node"], frame["to_node"], strict=True):
        for node, place in ((start, line.coords[0]), (end, line.coords[-1])):
            assert places.setdefault(node, place) == place
        assert all(here != there for here, there in pairwise(line.coords))
        inner |= set(line.coords[1:-1])
    assert len(places) == 10_971
    assert len(inner) > len(places)


def _graph(frame: gpd.GeoDataFrame) -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph()
    for row in frame.itertuples():
        if row.one_way != "backward":
            graph.add_edge(row.from_node, row.to_node, length_m=row.length_m)
        if row.one_way != "forward":
            graph.add_edge(row.to_node, row.from_node, length_m=row.length_m)
    return graph


def _share_of_largest(frame: gpd.GeoDataFrame) -> float:
    """The share of the length that lies in the largest component, whatever the direction of travel."""
    largest = max(nx.weakly_connected_components(_graph(frame)), key=len)
    return float(frame.loc[frame["from_node"].isin(largest), "length_m"].sum() / frame["length_m"].sum())


def _share_reached_both_ways(frame: gpd.GeoDataFrame) -> float:
    """The share of the nodes that reach one another along the directions of travel."""
    graph = _graph(frame)
    return len(max(nx.strongly_connected_components(graph), key=len)) / len(graph)
