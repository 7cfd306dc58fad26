"""Which datum points are in: told by roads near by, or not told."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers import datums, osm
from layers.catalog import catalog
from layers.coordinates import from_wgs84
from layers.database import transaction
from layers.definition import Source
from layers.importing import Options, Report, import_file, import_frames

SHELTERS = catalog()["shelters"]
SOURCE = Source(name="Made up", licence="CC0-1.0", attribution="Nobody")
WEST, SOUTH, SIZE_DEG = 105.2, 27.2, 0.1
METRE = 1 / 111_000


def road_grid(random: np.random.Generator) -> geopandas.GeoDataFrame:
    """Roads in Guizhou, 250 to 900 m apart in both directions."""
    lines = []
    for axis in (0, 1):
        places = np.cumsum(random.uniform(250, 900, 40)) * METRE
        for place in places[places < SIZE_DEG]:
            ends = np.array([[0.0, place], [SIZE_DEG, place]])
            lines.append(shapely.linestrings((ends[:, ::-1] if axis else ends) + [WEST, SOUTH]))
    frame = {"source_id": [str(number) for number in range(len(lines))], "geometry": lines}
    return geopandas.GeoDataFrame(frame, crs="EPSG:4326")


@pytest.fixture(scope="module")
def roads(module_database: str) -> tuple[str, Any]:
    """A database with a grid of roads, and the roads."""
    frame = road_grid(np.random.default_rng(7))
    with transaction(module_database) as cursor:
        import_frames(cursor, {"roads": frame}, "made_up", SOURCE)
    return module_database, frame.geometry.to_numpy()


def beside(lines: Any, count: int, metres: float) -> np.ndarray[Any, Any]:
    """Points in WGS 84 beside roads, the same each time."""
    random = np.random.default_rng(1)
    on = shapely.line_interpolate_point(random.choice(lines, count), random.uniform(0.1, 0.9, count), normalized=True)
    return shapely.get_coordinates(on) + random.uniform(-metres, metres, (count, 2)) * METRE


def take(url: str, folder: Path, points: Any, datum: str, **options: Any) -> Report:
    """The report of a dry run with points that a file holds in a datum."""
    lon, lat = from_wgs84(points[:, 0], points[:, 1], datum)
    lines = [f"{n},所{n},{x:.7f},{y:.7f}" for n, (x, y) in enumerate(zip(lon, lat, strict=True), 1)]
    path = folder / "points.csv"
    path.write_text("\n".join(["编号,名称,经度,纬度", *lines]) + "\n", encoding="utf-8")
    return import_file(url, "shelters", path, Options(dry_run=True, **options))


# --- the whole way


@pytest.mark.parametrize("true", datums.READINGS)
@pytest.mark.parametrize("read_as", datums.READINGS)
def test_points_beside_roads_tell_their_datum(roads: tuple[str, Any], tmp_path: Path, true: str, read_as: str) -> None:
    url, lines = roads
    report = take(url, tmp_path, beside(lines, 60, 20), true, crs=datums.OPTIONS[read_as])
    assert report.imported == 60
    assert report.datum is not None
    assert report.datum["read_as"] == read_as
    assert report.datum["n"] == 60
    assert report.datum["shares"][true] > 0.95
    assert all(share < 0.6 for datum, share in report.datum["shares"].items() if datum != true)
    said = [note for note in report.notes if "roads and buildings" in note]
    if true == read_as:
        assert (report.datum["verdict"], said) == ("fits", [])
    else:
        assert report.datum["verdict"] == f"better:{true}"
        assert len(said) == 1
        assert f"better as {true}" in said[0]
        assert f"than as {read_as}" in said[0]
        assert said[0].endswith(f"is --crs {datums.OPTIONS[true]} right?")


def test_the_data_stay_as_they_were_read(roads: tuple[str, Any], tmp_path: Path) -> None:
    url, lines = roads
    points = beside(lines, 30, 20)
    take(url, tmp_path, points, "GCJ-02")
    path = tmp_path / "points.csv"
    report = import_file(url, "shelters", path)
    try:
        assert report.datum is not None
        assert report.datum["verdict"] == "better:GCJ-02"
        with transaction(url) as cursor:
            cursor.execute("SELECT ST_X(geom), ST_Y(geom) FROM layers.shelters ORDER BY source_id::int")
            kept = np.array(cursor.fetchall())
        np.testing.assert_allclose(kept.T, from_wgs84(points[:, 0], points[:, 1], "GCJ-02"), atol=1e-7)
    finally:
        with transaction(url) as cursor:
            cursor.execute("DELETE FROM layers.shelters")


def test_too_few_points_tell_nothing(roads: tuple[str, Any], tmp_path: Path) -> None:
    url, lines = roads
    report = take(url, tmp_path, beside(lines, 19, 20), "GCJ-02")
    assert report.datum is not None
    assert (report.datum["n"], report.datum["verdict"]) == (19, "cannot tell")
    assert any("cannot be told: 19 of its places" in note for note in report.notes)


def test_one_place_many_times_is_one_place(roads: tuple[str, Any], tmp_path: Path) -> None:
    url, lines = roads
    report = take(url, tmp_path, np.repeat(beside(lines, 5, 20), 20, axis=0), "GCJ-02")
    assert report.datum is not None
    assert (report.datum["n"], report.datum["verdict"]) == (5, "cannot tell")


def test_points_far_from_all_roads_tell_nothing(roads: tuple[str, Any], tmp_path: Path) -> None:
    url, lines = roads
    report = take(url, tmp_path, beside(lines, 60, 20) + 1.0, "GCJ-02")
    assert report.datum == {"read_as": "WGS 84", "shares": {}, "n": 0, "verdict": "cannot tell"}


def test_points_that_keep_to_no_road_tell_nothing(roads: tuple[str, Any], tmp_path: Path) -> None:
    url, _ = roads
    points = np.random.default_rng(3).uniform([WEST, SOUTH], [WEST + SIZE_DEG, SOUTH + SIZE_DEG], (300, 2))
    report = take(url, tmp_path, points, "WGS 84")
    assert report.datum is not None
    assert (report.datum["n"], report.datum["verdict"]) == (300, "cannot tell")
    assert any("within 50 m of roads and buildings are" in note for note in report.notes)


def test_a_store_without_roads_tells_nothing(database: str, tmp_path: Path) -> None:
    report = take(database, tmp_path, np.random.default_rng(3).uniform([105, 27], [106, 28], (60, 2)), "WGS 84")
    assert report.datum is not None
    assert report.datum["verdict"] == "cannot tell"


def test_the_sample_county_is_no_evidence(database: str, tmp_path: Path) -> None:
    frame = road_grid(np.random.default_rng(7))
    with transaction(database) as cursor:
        import_frames(cursor, {"roads": frame}, "sample", SOURCE)
    report = take(database, tmp_path, beside(frame.geometry.to_numpy(), 60, 20), "WGS 84")
    assert report.datum is not None
    assert report.datum["n"] == 0


@pytest.mark.parametrize(("lon", "lat"), [(1.52, 42.5), (121.5, 25.03), (138.86, 35.1), (118.32, 24.44)])
def test_where_nothing_is_shifted_nothing_is_said(
    roads: tuple[str, Any], tmp_path: Path, lon: float, lat: float
) -> None:
    url, _ = roads
    points = np.random.default_rng(3).uniform([lon, lat], [lon + 0.04, lat + 0.04], (60, 2))
    report = take(url, tmp_path, points, "WGS 84")
    assert report.datum is None
    assert not any("GCJ-02" in note for note in report.notes)


@pytest.mark.real_data
def test_real_files_of_taiwan_give_no_alarm(database: str, real_data: Path, tmp_path: Path) -> None:
    path = real_data / "taiwan" / "shelters.csv"
    report = import_file(database, "shelters", path, Options(dry_run=True, rejects=tmp_path / "rejects.csv"))
    assert report.imported > 5900
    assert report.datum is None


@pytest.mark.real_data
def test_a_real_road_network_tells_the_datum_of_what_lies_at_it(database: str, real_data: Path, tmp_path: Path) -> None:
    """The roads and public buildings of Andorra, moved to Guizhou."""
    found = osm.read(real_data / "andorra" / "andorra-2025.osm.pbf").layers

    def moved(geometries: Any) -> Any:
        shrunk = np.cos(np.radians(42.5)) / np.cos(np.radians(26.6))
        return shapely.transform(geometries, lambda xy: (xy - [1.52, 42.5]) * [shrunk, 1] + [106.6, 26.6])

    frame = found["roads"]
    with transaction(database) as cursor:
        import_frames(cursor, {"roads": frame.set_geometry(moved(frame.geometry.to_numpy()))}, "osm", osm.SOURCE)
    points = shapely.get_coordinates(moved(found["facilities"].geometry.to_numpy()))
    for true in datums.READINGS:
        start = time.perf_counter()
        report = take(database, tmp_path, points, true)
        assert time.perf_counter() - start < 5
        assert report.datum is not None
        assert report.datum["verdict"] == ("fits" if true == "WGS 84" else f"better:{true}")
        assert report.datum["shares"][true] > 0.95


# --- CGCS2000 in either order


def written(folder: Path, kind: str, first: float, second: float) -> Path:
    """A file that says EPSG:4490 and holds one point."""
    texts = {
        "geojson": json.dumps(
            {
                "type": "FeatureCollection",
                "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}},
                "features": [
                    {
                        "type": "Feature",
                        "properties": {"name": "甲"},
                        "geometry": {"type": "Point", "coordinates": [first, second]},
                    }
                ],
            }
        ),
        "gml": '<?xml version="1.0"?><ogr:FeatureCollection xmlns:ogr="http://ogr.maptools.org/"'
        ' xmlns:gml="http://www.opengis.net/gml/3.2" gml:id="a"><ogr:featureMember><ogr:places gml:id="p.0">'
        f'<ogr:geom><gml:Point srsName="urn:ogc:def:crs:EPSG::4490" gml:id="g"><gml:pos>{first} {second}</gml:pos>'
        "</gml:Point></ogr:geom><ogr:name>甲</ogr:name></ogr:places></ogr:featureMember></ogr:FeatureCollection>",
        "csv": f"名称,x,y\n甲,{first},{second}\n",
    }
    path = folder / f"file.{kind}"
    path.write_text(texts[kind], encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["geojson", "gml", "csv"])
@pytest.mark.parametrize("latitude_first", [False, True])
def test_a_file_in_cgcs2000_is_read_in_either_order(
    module_database: str, tmp_path: Path, kind: str, latitude_first: bool
) -> None:
    path = written(tmp_path, kind, *((27.25, 105.25) if latitude_first else (105.25, 27.25)))
    options = Options(area="105,27,106,28", crs="EPSG:4490" if kind == "csv" else None, dry_run=True)
    report = import_file(module_database, "shelters", path, options)
    assert (report.imported, report.rejected) == (1, 0)
    said = [note for note in report.notes if "coordinates read in EPSG:4490" in note]
    assert len(said) == 1
    if kind != "gml":  # GDAL puts the longitude of GML first by itself
        assert ("latitude before longitude" in said[0]) == latitude_first


def test_eastings_behind_northings_are_read_and_rejected_rows_can_be_mended(
    module_database: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.csv"
    path.write_text("编号,名称,x,y\n1,甲,3020000,500000\n2,乙,3020010,\n", encoding="utf-8")
    rejects = tmp_path / "rejects.csv"
    report = import_file(module_database, "shelters", path, Options(crs="EPSG:4545", rejects=rejects, dry_run=True))
    assert (report.imported, report.rejected) == (1, 1)
    assert "northing before easting" in report.notes[0]
    rejects.write_text(rejects.read_text(encoding="utf-8").replace("3020010,", "3020010,500000"), encoding="utf-8")
    again = import_file(module_database, "shelters", rejects, Options(area="107.9,27.2,108.1,27.4", dry_run=True))
    assert (again.imported, again.crs) == (1, "EPSG:4545 (north first)")


# --- the parts


def test_what_counts_as_roads_and_buildings() -> None:
    book = catalog()
    assert {one.id for one in datums.references(book, book["shelters"])} == {"roads", "facilities", "settlements"}
    assert {one.id for one in datums.references(book, book["facilities"])} == {"roads", "settlements"}


def near(*counts: int) -> np.ndarray[Any, Any]:
    """Of 100 points, how many are near under each reading; under the first the first ones, and so on."""
    return np.array([[number < count for count in counts] for number in range(100)])


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((12, 71, 10), "better:GCJ-02"),
        ((71, 12, 10), "fits"),
        ((12, 10, 71), "better:BD-09"),
        ((12, 71, 65), "cannot tell"),
        ((50, 60, 40), "cannot tell"),
        ((53, 98, 52), "better:GCJ-02"),
        ((0, 14, 0), "cannot tell"),
        ((0, 0, 0), "cannot tell"),
        ((100, 100, 100), "cannot tell"),
        ((0, 100, 0), "better:GCJ-02"),
    ],
)
def test_the_verdict(counts: tuple[int, ...], verdict: str) -> None:
    assert datums.verdict(near(*counts), "WGS 84") == verdict


def test_the_verdict_needs_points_that_could_not_be_chance() -> None:
    assert datums.verdict(near(12, 71, 10)[:19], "WGS 84") == "cannot tell"
    few = np.zeros((20, 3), bool)
    few[:7, 1] = True  # 1 in 128
    assert datums.verdict(few, "WGS 84") == "cannot tell"
    few[:8, 1] = True  # 1 in 256
    assert datums.verdict(few, "WGS 84") == "better:GCJ-02"


@given(sizes=st.lists(st.integers(0, 3000), max_size=8))
def test_the_sample_is_every_kth_point(sizes: list[int]) -> None:
    sample, start = datums.Sample(), 0
    for size in sizes:
        points = shapely.points(np.arange(start, start + size, dtype=float), 0.0)
        sample.add(np.array([None, shapely.from_wkt("LINESTRING (0 0, 1 1)"), *points], dtype=object))
        start += size
    kept = sample.points[:, 0]
    assert min(start, 500) <= len(kept) <= 1000
    assert len(kept) == start or start > 1000
    every = 1 if len(kept) < 2 else int(kept[1] - kept[0])
    np.testing.assert_array_equal(kept, np.arange(0, start, every))


PLACES = {
    "Hong Kong": (114.17, 22.32, True),
    "Macau": (113.55, 22.2, True),
    "Xiamen": (118.19, 24.49, True),
    "Lianjiang": (119.88, 26.33, True),
    "Pingtan": (119.8, 25.5, True),
    "Taipei": (121.56, 25.04, False),
    "Penghu": (119.57, 23.57, False),
    "Kinmen": (118.32, 24.44, False),
    "Matsu": (119.95, 26.16, False),
    "Numazu": (138.86, 35.1, False),
}


@pytest.mark.parametrize(("lon", "lat", "shifted"), PLACES.values(), ids=PLACES)
def test_where_map_services_shift(lon: float, lat: float, shifted: bool) -> None:
    assert datums.shifted_there(np.array([lon]), np.array([lat])).tolist() == [shifted]
