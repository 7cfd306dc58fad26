"""By road on the real roads of Andorra: pgRouting as the judge, and a landslide over the main road."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import psycopg2
import pytest

from gis.nearest import Question
from gis.nearest_by_road import nearest_by_road
from gis.roads import Roads
from layers.database import Readers, transaction
from layers.osm_import import import_osm

pytestmark = pytest.mark.real_data
PAIRS, AT_ONCE = 500, 25
# The fire engine's rules (gis/profiles/fire_engine.toml) once more, in SQL: level ground, for no raster is there.
EDGES = """
SELECT fid AS id, from_node AS source, to_node AS target, CASE WHEN one_way = 'backward' THEN -1 ELSE s END AS cost,
    CASE WHEN one_way = 'forward' THEN -1 ELSE s END AS reverse_cost
FROM (
    SELECT *, ST_Length(geom::geography) * 3.6 / least(80, CASE WHEN speed_km_h > 0 THEN speed_km_h * 0.8
        ELSE CASE class WHEN 'motorway' THEN 80 WHEN 'trunk' THEN 55 WHEN 'primary' THEN 45 WHEN 'secondary' THEN 35
            WHEN 'tertiary' THEN 25 WHEN 'minor' THEN 18 WHEN 'service' THEN 12 WHEN 'track' THEN 8 ELSE 15 END
        END) AS s
    FROM layers.roads
    WHERE class IS DISTINCT FROM 'path' AND access IS DISTINCT FROM 'no' AND NOT coalesce(width_m < 2.5, false)
        AND NOT coalesce(max_height_m < 3.6, false) AND NOT coalesce(max_weight_t < 16, false)
) AS roads
"""


@pytest.fixture(scope="module")
def andorra(module_database: str, real_data: Path) -> str:
    """A database with the country's roads, shelters and teams."""
    import_osm(module_database, real_data / "andorra" / "andorra-2025.osm.pbf")
    return module_database


@pytest.fixture(scope="module")
def asked(andorra: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Readers and the network."""
    readers = Readers(andorra, size=2)
    yield readers, Roads(readers, tmp_path_factory.mktemp("network"))
    readers.close()


def test_the_network_is_whole(asked: Any) -> None:
    readers, roads = asked
    network = roads.situation(readers, None, None, None, wait=True).known.network
    assert network.edges == 14_290
    report = network.report
    assert report["nodes_apart"]["count"] == 0
    assert report["without_length"]["count"] == 0
    assert report["length_km"] == pytest.approx(2088, rel=0.1)
    assert report["noded_rows"] == 0


def test_times_are_those_of_pgrouting(andorra: str, asked: Any) -> None:
    readers, roads = asked
    here = roads.situation(readers, None, None, None, wait=True)
    network = here.known.network
    drivable = numpy.flatnonzero(numpy.bincount(network.edge_nodes[here.ways.in_main_part].ravel(), minlength=1) > 0)
    numbers = numpy.random.default_rng(11)
    origins, ends = (numbers.choice(drivable, AT_ONCE, replace=False) for _ in range(2))
    of_node = _numbers_of_nodes(andorra, network)
    administrator = andorra.replace("leeward@", "postgres@").replace("user=leeward", "user=postgres")
    connection = psycopg2.connect(administrator)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pgrouting CASCADE")
            cursor.execute(
                "SELECT start_vid, end_vid, agg_cost FROM pgr_dijkstraCost(%s, %s::bigint[], %s::bigint[])",
                (EDGES, [of_node[node] for node in origins], [of_node[node] for node in ends]),
            )
            judge = {(one, other): cost for one, other, cost in cursor.fetchall()}
    finally:
        connection.close()
    compared = 0
    for origin in origins:
        tree = here.ways.tree([(int(origin), 0.0)], towards=False, limit_s=1e8, ways=False)
        for end in ends:
            expected = 0.0 if origin == end else judge.get((of_node[origin], of_node[end]), numpy.inf)
            assert tree.seconds[end] == pytest.approx(expected, abs=1.0), (origin, end)
            compared += numpy.isfinite(expected)
    assert compared >= PAIRS


def _numbers_of_nodes(url: str, network: Any) -> dict[int, int]:
    """The layer's number of each node of the network."""
    with transaction(url) as cursor:
        cursor.execute("SELECT fid, from_node, to_node FROM layers.roads")
        by_row = {fid: (first, last) for fid, first, last in cursor.fetchall()}
    found: dict[int, int] = {}
    for edge, fid in enumerate(network.edge_fid.tolist()):
        for side in (0, 1):
            found[int(network.edge_nodes[edge, side])] = by_row[fid][side]
    return found


def test_a_landslide_over_the_main_road(andorra: str, asked: Any) -> None:
    """From Canillo the fire stations of the valley below are cut off by what lies on the road to Encamp."""
    readers, roads = asked
    canillo = {"lon": 1.5976, "lat": 42.5669, "layers": ("rescue_teams",), "by": "road", "k": 4, "route": True}
    before = nearest_by_road(readers, roads, Question(**canillo))
    names = [feature["properties"]["name"] for feature in before["features"]]
    times = [feature["properties"]["travel_time_s"] for feature in before["features"]]
    assert len(names) == 4
    assert times == sorted(times)
    route = before["features"][0]["properties"]["route"]["coordinates"]
    lon, lat = route[len(route) // 2]
    with transaction(andorra) as cursor:
        cursor.execute(
            "INSERT INTO layers.road_closures (source, name, effect, reason, geom)"
            " VALUES ('osm', 'slide', 'forbid', 'landslide', ST_Expand(ST_SetSRID(ST_MakePoint(%s, %s), 4326), 0.001))"
            " RETURNING fid",
            (lon, lat),
        )
        ((fid,),) = cursor.fetchall()
    after = nearest_by_road(readers, roads, Question(**canillo))
    told = {f["properties"]["name"]: f["properties"]["travel_time_s"] for f in after["features"]}
    assert told.get(names[0], numpy.inf) > times[0] + 1
    cut = {
        one["id"]
        for skipped in after["skipped"]
        if skipped["name"] == names[0]
        for one in skipped["evidence"].get("cut_by", [])
    }
    assert cut == {f"road_closures.{fid}"} or names[0] in told
    with transaction(andorra) as cursor:
        cursor.execute("DELETE FROM layers.road_closures")
    again = nearest_by_road(readers, roads, Question(**canillo))
    assert [feature["properties"]["name"] for feature in again["features"]] == names
