"""What may be uploaded: by what a file holds, whatever it is called, and nothing that reaches further than itself."""

from __future__ import annotations

import json
import sqlite3
import stat
import struct
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import geopandas
import openpyxl
import pytest
from shapely import Point

from layers import screening
from layers.errors import ImportRefused
from layers.screening import screen

FRAME = geopandas.GeoDataFrame({"name": ["甲"], "n": [1]}, geometry=[Point(105, 27)], crs=4326)
FEATURE = {"type": "Feature", "properties": {"name": "a"}, "geometry": {"type": "Point", "coordinates": [105, 27]}}


def write(folder: Path, data: str | bytes, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def zipped(folder: Path, contents: dict[str, bytes], name: str = "file.zip") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in contents.items():
            archive.writestr(entry, data)
    return path


def shapefile(folder: Path) -> dict[str, bytes]:
    (folder / "shape").mkdir()
    FRAME.to_file(folder / "shape" / "a.shp", encoding="utf-8")
    return {part.name: part.read_bytes() for part in sorted((folder / "shape").iterdir())}


def refused(path: Path) -> str:
    with pytest.raises(ImportRefused) as error:
        screen(path)
    assert path.name in error.value.detail
    return str(error.value)


# --- what is let in


@pytest.mark.parametrize(
    ("name", "data", "by_gdal"),
    [
        ("a.csv", "名称,经度\n甲,105\n", False),
        ("a.tsv", "名称\t经度\n甲\t105\n", False),
        ("a.txt", "名称;经度\n甲;105\n".encode("gb18030"), False),
        ("a.csv", "名称,经度\n甲,105\n".encode("utf-16"), False),
        ("a.csv", "a,b\n1,2\n".encode("utf-16-le"), False),  # refused later, in words about encodings
        ("a.geojson", json.dumps(FEATURE), True),
        ("a.json", "\ufeff \n" + json.dumps({"type": "FeatureCollection", "features": [FEATURE]}), True),
        ("a.geojsonl", json.dumps(FEATURE) + "\n" + json.dumps(FEATURE), True),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", False),
    ],
)
def test_text_is_let_in(tmp_path: Path, name: str, data: str | bytes, by_gdal: bool) -> None:
    assert screen(write(tmp_path, data, name)) == by_gdal


@pytest.mark.parametrize("name", ["a.gpkg", "a.fgb", "a.geojson", "a.geojsonl"])
def test_vector_formats_are_let_in(tmp_path: Path, name: str) -> None:
    FRAME.to_file(tmp_path / name)
    assert screen(tmp_path / name)


def test_parquet_is_let_in(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "a.parquet")
    assert not screen(tmp_path / "a.parquet")


def test_a_zipped_shapefile_is_let_in(tmp_path: Path) -> None:
    parts = shapefile(tmp_path)
    assert screen(zipped(tmp_path, parts))
    assert screen(zipped(tmp_path, {f"data/{name}": data for name, data in parts.items()}))
    assert screen(zipped(tmp_path, {**parts, "__MACOSX/._a.shp": b"", "readme.txt": b"x", "sub/": b""}))


def test_spreadsheets_are_let_in(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["名称", "经度"])
    book.save(tmp_path / "a.xlsx")
    assert not screen(tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx", "a") as archive:  # a chart's own table, which nobody opens
        archive.writestr("xl/embeddings/sheet1.xlsx", b"PK\x03\x04")
    assert not screen(tmp_path / "a.xlsx")
    parts = {"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"<x/>"}
    assert not screen(zipped(tmp_path, parts, "a.ods"))


# --- what is something else


@pytest.mark.parametrize("name", ["a.csv", "a.geojson", "a.gpkg", "a.vrt", "a.zip"])
@pytest.mark.parametrize(
    "data",
    [
        '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer>',
        '\ufeff\n <?xml version="1.0"?><kml><NetworkLink><href>http://127.0.0.1/</href></NetworkLink></kml>',
        '<!DOCTYPE gml [<!ENTITY x SYSTEM "file:///etc/passwd">]><gml>&x;</gml>',
    ],
)
def test_xml_is_refused_whatever_it_is_called(tmp_path: Path, name: str, data: str) -> None:
    assert "XML" in refused(write(tmp_path, data, name))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"[1, 2]", "JSON list"),
        (b"\x1f\x8b\x08\x00", "packed (gzip)"),
        (b"7z\xbc\xaf\x27\x1c", "packed (7z)"),
        (b"Rar!\x1a\x07", "packed (RAR)"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "no file of a kind"),
        (b"\x89PNG\r\n\x1a\n", "no file of a kind"),
        (bytes(range(256)), "no file of a kind"),
        (b"SQLite format 3\x00" + b"x" * 200, "GeoPackage"),
        (b"PK\x03\x04" + b"x" * 200, "no end"),
        (b"PK\x05\x06" + bytes(18), "packed (ZIP)"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    assert words in refused(write(tmp_path, data, "a.dat"))


@pytest.mark.parametrize(
    "crs",
    [
        {"type": "link", "properties": {"href": "http://127.0.0.1/crs"}},
        {"properties": {"href": "file:///etc/passwd", "x": {"y": {}}}, "type": "LINK"},
        {"type": "url", "properties": {"url": "http://127.0.0.1/crs"}},
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_geojson_whose_crs_stands_elsewhere_is_refused(tmp_path: Path, crs: dict[str, Any], first: bool) -> None:
    rest = {"type": "FeatureCollection", "features": [FEATURE] * 1000}
    whole = {"crs": crs, **rest} if first else {**rest, "crs": crs}
    assert "another address" in refused(write(tmp_path, json.dumps(whole), "a.geojson"))


def test_a_geojson_that_names_its_crs_is_let_in(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}
    assert screen(write(tmp_path, json.dumps({"type": "FeatureCollection", "crs": crs, "features": [FEATURE]})))
    deep = b'{"type": "FeatureCollection", "crs": ' + b'{"a":' * 100_000
    assert screen(write(tmp_path, deep))  # GDAL refuses it, at a depth of 1024


# --- archives


@pytest.mark.parametrize(
    "name",
    ["../a.shp", "data/../../a.shp", "/etc/a.shp", "C:a.shp", "C:\\a.shp", "x\\..\\..\\a.shp", "\\\\host\\a.shp"],
)
def test_names_that_lead_out_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    assert "leads out" in refused(zipped(tmp_path, {"b.shp": b"", name: b""}))


def test_names_with_nul_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"a.shpX/../etc": b""})
    path.write_bytes(path.read_bytes().replace(b"a.shpX/../etc", b"a.shp\x00/../etc"))
    refused(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "file.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("a.shp")
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    assert "link or device" in refused(path)


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path, {"a.shp": bytes(3 << 20), "b.shp": bytes(3 << 20)})
    assert screen(path)
    monkeypatch.setattr(screening, "UNPACKED_AT_MOST", 5 << 20)
    assert "unpacks to more than 5 MB" in refused(path)
    book = zipped(tmp_path, {"xl/workbook.xml": b"", "xl/worksheets/sheet1.xml": bytes(6 << 20)}, "a.xlsx")
    assert "unpacks to more than 5 MB" in refused(book)


def test_a_gigabyte_of_zeros_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.shp", "w") as file:
        for _ in range(1024):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < 2 << 20
    assert "unpacks to more than 200 MB" in refused(path)


def test_what_an_archive_says_of_its_size_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path, {"a.shp": bytes(6 << 20)})
    said = struct.pack("<I", 6 << 20)
    path.write_bytes(path.read_bytes().replace(said, struct.pack("<I", 100)))
    assert "not as long as it says" in refused(path)
    monkeypatch.setattr(screening, "UNPACKED_AT_MOST", 5 << 20)
    assert "unpacks to more than 5 MB" in refused(path)


def test_archives_of_many_files_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, {f"{number}.shp": b"" for number in range(1001)})
    assert "more than 1000 files" in refused(path)
    hidden = path.read_bytes()
    end = hidden.rfind(b"PK\x05\x06")
    path.write_bytes(hidden[: end + 8] + struct.pack("<HH", 1, 1) + hidden[end + 12 :])
    assert "more than 1000 files" in refused(path)


@pytest.mark.parametrize(
    "entry",
    [("inner.zip", b""), ("inner.dat", b"PK\x03\x04xx"), ("a.tar", b"x"), ("a.kmz", b""), ("b.shp", b"\x1f\x8b")],
)
def test_archives_within_archives_are_refused(tmp_path: Path, entry: tuple[str, bytes]) -> None:
    name, data = entry
    if not data:
        data = b"x"
    assert "another archive" in refused(zipped(tmp_path, {"a.shp": b"x", name: data}))


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"a.shp": b"x"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in refused(path)


def test_an_archive_packed_in_another_way_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.shp", b"x")
    assert "rare way" in refused(path)


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"a.shp": b"x", "b.shp": b"y"})
    path.write_bytes(path.read_bytes().replace(b"b.shp", b"a.shp"))
    assert "twice" in refused(path)


def test_an_archive_without_a_shapefile_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    assert "holds no Shapefile but a.csv" in refused(zipped(tmp_path, {"a.csv": b"a,b"}))
    assert "holds no Shapefile but nothing" in refused(zipped(tmp_path, {"sub/": b""}))


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9, 0.99])
def test_half_an_archive_is_refused(tmp_path: Path, cut: float) -> None:
    data = zipped(tmp_path, shapefile(tmp_path)).read_bytes()
    refused(write(tmp_path, data[: int(len(data) * cut)], "half.zip"))


def test_an_archive_with_a_wrong_byte_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path, {"a.shp": bytes(range(256)) * 10}).read_bytes())
    data[60] ^= 0xFF
    assert "damaged" in refused(write(tmp_path, bytes(data), "wrong.zip"))


# --- GeoPackage


def geopackage(folder: Path, *statements: str) -> Path:
    path = folder / "a.gpkg"
    FRAME.to_file(path, layer="a")
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()
    return path


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE VIEW v AS SELECT load_extension('x.so') FROM a", "the view 'v' computes (load_extension)"),
        ("""CREATE VIEW v AS SELECT "ogr_geocode"(name) FROM a""", "the view 'v' computes"),
        ("CREATE VIEW v AS SELECT [gdal_get_pixel_value] ('/etc/passwd') FROM a", "the view 'v' computes"),
        ("CREATE VIEW v AS SELECT /* a */ readfile /* b */ ('/etc/passwd') AS x", "the view 'v' computes (readfile)"),
        (
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT load_extension('x.so'); END",
            "the trigger 't' calls load_extension",
        ),
        ("CREATE VIRTUAL TABLE f USING fts4(x)", "the table 'f' is a virtual table"),
        ("CREATE TABLE g (a, b AS (upper(a)))", "the table 'g' has computed columns"),
    ],
)
def test_a_geopackage_that_does_more_than_hold_rows_is_refused(tmp_path: Path, statement: str, words: str) -> None:
    assert words in refused(geopackage(tmp_path, statement))


def test_a_virtual_table_of_gdal_is_refused(tmp_path: Path) -> None:
    path = geopackage(
        tmp_path,
        "PRAGMA writable_schema = ON",
        "INSERT INTO sqlite_master VALUES"
        " ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING VirtualOGR(''/vsicurl/http://127.0.0.1/x'')')",
    )
    refused(path)


def test_a_plain_view_is_let_in(tmp_path: Path) -> None:
    assert screen(geopackage(tmp_path, """CREATE VIEW v AS SELECT a.fid, "name" AS 名称, 'x (y)' AS t FROM a"""))


def test_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE a (b)")
    assert "no GeoPackage" in refused(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA application_id = 0x47504B47")
    assert "no GeoPackage" in refused(path)


@pytest.mark.parametrize("make", [geopackage, lambda folder: zipped(folder, shapefile(folder))])
def test_damaged_files_end_in_a_refusal_or_not_at_all(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    data = make(tmp_path).read_bytes()
    step = len(data) // 60
    for place in range(0, len(data), step):
        changed = bytearray(data)
        changed[place] ^= 0x55
        with suppress(ImportRefused):
            screen(write(tmp_path, bytes(changed), "changed.dat"))
        with suppress(ImportRefused):
            screen(write(tmp_path, data[:place], "half.dat"))
