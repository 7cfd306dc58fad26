"""Odd files, one a case: each ends in a clear refusal or in counts that add up, never in an error nobody foresaw."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from layers.errors import LeewardError
from layers.importing import Options, import_file

HEADING = "编号,名称,经度,纬度,可容纳人数"


def features(*geometries: Any, **members: Any) -> str:
    listed = [
        {"type": "Feature", "properties": {"name": f"n{number}"}, "geometry": geometry}
        for number, geometry in enumerate(geometries)
    ]
    return json.dumps({"type": "FeatureCollection", "features": listed, **members})


def point(*position: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": position}


def many(*rows: str) -> str:
    return "\n".join([HEADING, *rows]) + "\n"


WIDE = ",".join(["编号", "经度", "纬度", *map(str, range(10_000))])
EPSG_3826 = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3826"}}

# name of the file, its contents, and (read, imported, rejected) or None where it is refused as a whole
CASES: list[tuple[str, str | bytes, tuple[int, int, int] | None]] = [
    ("empty.csv", b"", None),
    ("blank_lines_alone.csv", b"\n\r\n\n", None),
    ("heading_alone.csv", many(), (0, 0, 0)),
    ("blank_lines_within.csv", many("1,甲,105,27,1", "", ",,,,", "2,乙,105,27,1"), (2, 2, 0)),
    ("trailing_commas.csv", many("1,甲,105,27,1,,,", "2,乙,105,27,1,"), (2, 2, 0)),
    ("ragged.csv", many("1,甲,105,27", "2,乙,105,27,1,9", "3", "4,丁,105,27,1"), (4, 2, 2)),
    ("quoted_newlines.csv", many('1,"甲\n甲",105,27,1', "2,乙,105,27,1"), (2, 2, 0)),
    ("open_quote.csv", many('1,"甲,105,27,1', "2,乙,105,27,1"), None),
    ("open_quote_in_the_last_column.csv", many('1,甲,105,27,"1', "2,乙,105,27,1"), None),
    ("quote_within_a_cell.csv", many('1,5" pipe,105,27,1', '2,7",105,27,1'), (2, 2, 0)),
    ("old_macintosh.csv", many("1,甲,105,27,1", "2,乙,105,27,1").replace("\n", "\r"), (2, 2, 0)),
    ("semicolons.csv", many("1,甲,105,27,1").replace(",", ";"), (1, 1, 0)),
    ("utf16.csv", many("1,甲,105,27,1").encode("utf-16"), (1, 1, 0)),
    ("utf16_without_mark.csv", many("1,甲,105,27,1").encode("utf-16-le"), None),
    ("ten_thousand_columns.csv", f"{WIDE}\n{WIDE.replace('编号,经度,纬度', '1,105,27')}\n", (1, 1, 0)),
    ("two_columns_of_one_heading.csv", "编号,名称,名称,经度,纬度\n1,甲,乙,105,27\n", (1, 1, 0)),
    ("not_numbers.csv", many("1,甲,nan,27,1", "2,乙,inf,27,1", "3,丙,1e400,27,1", "4,丁,105,27,1e400"), (4, 1, 3)),
    ("nul.csv", many("1,甲\x00,105,27,1", "2,乙,105,27,1\x00", "3,丙,105\x00,27,1"), (3, 1, 2)),
    ("long_cells.csv", many(f"1,{'长' * 200_000},105,27,{'9' * 200_000}", f"2,乙,105,27,1,{'x' * 200_000}"), (2, 1, 1)),
    ("full_width.csv", many("1,甲,１０５．５,２７．５,１，８４４"), (1, 1, 0)),
    ("angles.csv", many("1,甲,东经105度18分,27°18′30″N,1"), (1, 1, 0)),
    ("one_wrong_of_three.csv", many("1,甲,105,27,1", "2,乙,1055,27,1", "3,丙,105,27,1"), (3, 2, 1)),
    ("binary.csv", bytes(range(256)) * 20, None),
    ("binary.bin", bytes(range(256)) * 20, None),
    ("features.csv", features(point(105, 27)), None),
    ("text.geojson", many("1,甲,105,27,1"), (1, 1, 0)),
    ("text.xlsx", many("1,甲,105,27,1"), (1, 1, 0)),
    ("half.geojson", features(point(105, 27), point(105, 27))[:-60], None),
    ("array.json", '[{"name": "a", "lon": 105, "lat": 27}]', None),
    ("no_features.geojson", features(), None),
    ("no_geometry.geojson", features(point(105, 27), None), (2, 1, 1)),
    ("height.geojson", features(point(105, 27, 900)), (1, 1, 0)),
    ("swapped.geojson", features(point(105, 27), point(27, 105)), (2, 1, 1)),
    ("metres.geojson", features(point(250_000, 2_700_000)), None),
    ("metres_said.geojson", features(point(250_000, 2_700_000), crs=EPSG_3826), (1, 1, 0)),
    ("metres_falsely_said.geojson", features(point(121, 24), crs=EPSG_3826), (1, 1, 0)),
    ("empty_point.geojson", features(point(105, 27), point()), (2, 1, 1)),
    ("line.geojson", features({"type": "LineString", "coordinates": [[105, 27], [106, 27]]}), (1, 0, 1)),
    ("null_in_text.geojson", features(point(105, 27)).replace("n0", "a\\u0000\\ud800b"), (1, 1, 0)),
    ("broken.gpkg", b"SQLite format 3\x00" + b"x" * 200, None),
    ("broken.vrt", b"<OGRVRTDataSource>", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "contents", "expected"), CASES, ids=[name for name, _, _ in CASES])
def test_odd_file(
    module_database: str, tmp_path: Path, name: str, contents: str | bytes, expected: tuple[int, int, int] | None
) -> None:
    path = tmp_path / name
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    options = Options(dry_run=True, rejects=tmp_path / "rejects.csv")
    if expected is None:
        with pytest.raises(LeewardError) as refused:
            import_file(module_database, "shelters", path, options)
        assert refused.value.detail
    else:
        report = import_file(module_database, "shelters", path, options)
        assert (report.read, report.imported, report.rejected) == expected


def custom_crs(folder: Path) -> Path:
    """A Shapefile in a projection that has no EPSG number."""
    crs = "+proj=tmerc +lon_0=105.7 +x_0=500000 +ellps=GRS80 +units=m"
    frame = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[shapely.Point(105, 27)], crs=4326).to_crs(crs)
    frame.to_file(folder / "a.shp")
    return folder / "a.shp"


def vrt(folder: Path) -> Path:
    """A virtual file over a text file."""
    (folder / "a.csv").write_text("name,x,y\na,105,27\nb,0,27\n")
    path = folder / "a.vrt"
    path.write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource relativeToVRT="1">a.csv</SrcDataSource>'
        "<GeometryType>wkbPoint</GeometryType><LayerSRS>EPSG:4326</LayerSRS>"
        '<GeometryField encoding="PointFromColumns" x="x" y="y"/></OGRVRTLayer></OGRVRTDataSource>'
    )
    return path


def folder_of_shapefiles(folder: Path) -> Path:
    """A folder that GDAL reads as one data set."""
    frame = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[shapely.Point(105, 27)], crs=4326)
    (folder / "set").mkdir()
    frame.to_file(folder / "set" / "a.shp")
    return folder / "set"


@pytest.mark.parametrize(
    ("make", "expected"), [(custom_crs, (1, 1, 0)), (vrt, (2, 1, 1)), (folder_of_shapefiles, (1, 1, 0))]
)
def test_odd_vector_file(
    module_database: str, tmp_path: Path, make: Callable[[Path], Path], expected: tuple[int, int, int]
) -> None:
    options = Options(dry_run=True, rejects=tmp_path / "rejects.csv")
    report = import_file(module_database, "shelters", make(tmp_path), options)
    assert (report.read, report.imported, report.rejected) == expected
