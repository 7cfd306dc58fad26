"""Files as rows: encodings, delimiters, headings, row numbers, and files that are not what they seem."""

from __future__ import annotations

import csv
import datetime
import io
import json
import socket
import zipfile
from pathlib import Path
from typing import Any

import geopandas
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import Point

from layers import reading
from layers.errors import ImportRefused


def write(folder: Path, data: str | bytes, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def contents(path: Path, **options: Any) -> tuple[dict[int, list[str | None]], dict[int, list[str | None]]]:
    """Row number to cells, of the whole rows and of the broken ones."""
    rows, broken = {}, {}
    for chunk in reading.table(path, **options).chunks():
        cells = list(zip(*(column.to_pylist() for column in chunk.columns), strict=True))
        numbers = chunk.numbers.tolist()
        assert not rows.keys() & set(numbers)
        rows |= {number: list(row) for number, row in zip(numbers, cells, strict=True)}
        broken |= {number: list(row) for number, _, row in chunk.broken}
    return rows, broken


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "名称,地址\n马鞍中学,城关镇\n"),
        ("utf-8-sig", "名称,地址\n马鞍中学,城关镇\n"),
        ("utf-16", "名称,地址\n马鞍中学,城关镇\n"),
        ("gb18030", "隐患点名称,地址\n李家湾滑坡,城关镇\n"),
        ("big5", "避難收容處所名稱,地址\n活動中心,中山路一號\n"),
        ("cp932", "施設名,住所\n第三地区センター,静岡県沼津市\n"),
        ("cp1252", "name,address\nCafé Müller,Straße 5\n"),
    ],
)
def test_encodings_are_found(tmp_path: Path, encoding: str, text: str) -> None:
    path = write(tmp_path, text.encode(encoding))
    lines = [line.split(",") for line in text.splitlines()]
    assert reading.table(path).headings == lines[0]
    assert contents(path) == ({2: lines[1]}, {})


def test_big5_is_not_taken_for_half_width_katakana() -> None:
    assert reading.encoding_of("編號,名稱,經度,緯度\n1,甲,121,24\n".encode("big5")) == "big5"


def test_a_given_encoding_counts(tmp_path: Path) -> None:
    path = write(tmp_path, "名称\n甲乙\n".encode("gb18030"))
    assert contents(path, encoding="gbk") == ({2: ["甲乙"]}, {})


def test_bytes_that_are_not_of_the_given_encoding_are_replaced(tmp_path: Path) -> None:
    assert contents(write(tmp_path, b"name\na\xff\n"), encoding="utf-8") == ({2: ["a\ufffd"]}, {})


@pytest.mark.parametrize("encoding", ["nonsense", "base64", "undefined", "rot13"])
def test_unknown_encodings_are_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(ImportRefused, match="unknown encoding"):
        reading.table(write(tmp_path, "a,b\n1,2\n"), encoding=encoding)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, f'name{delimiter}"a,b;c"{delimiter}x\n甲{delimiter}{delimiter}1\n')
    assert reading.table(path).headings == ["name", "a,b;c", "x"]
    assert contents(path) == ({2: ["甲", None, "1"]}, {})


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, ending.join(["a,b", "1,2", "", "3,4"]))
    assert contents(path) == ({2: ["1", "2"], 4: ["3", "4"]}, {})


def test_row_numbers_are_those_of_a_spreadsheet(tmp_path: Path) -> None:
    text = '\n\na,b\n1,"two\nlines"\n\n3,4\n,\n5\n6,7,8\n9,10,,\n'
    rows, broken = contents(write(tmp_path, text))
    assert rows == {4: ["1", "two\nlines"], 6: ["3", "4"], 8: ["5", None], 10: ["9", "10"]}
    assert broken == {9: ["6", "7", "8"]}


def test_a_value_under_a_column_without_heading_breaks_the_row(tmp_path: Path) -> None:
    rows, broken = contents(write(tmp_path, "a,b,,\n1,2,,\n3,4,5,\n6,7,,\n"))
    assert rows == {2: ["1", "2"], 4: ["6", "7"]}
    assert broken == {3: ["3", "4", "5", None]}


def test_a_quote_within_a_heading_or_cell_stands_for_itself(tmp_path: Path) -> None:
    path = write(tmp_path, 'pipe 5",name\n1,6" tube\n2,b\n')
    assert reading.table(path).headings == ['pipe 5"', "name"]
    assert contents(path) == ({2: ["1", '6" tube'], 3: ["2", "b"]}, {})


def test_a_heading_may_go_over_two_lines(tmp_path: Path) -> None:
    path = write(tmp_path, '"a\nb",c\n1,2\n')
    assert reading.table(path).headings == ["a\nb", "c"]
    assert contents(path) == ({2: ["1", "2"]}, {})


@pytest.mark.parametrize(
    "text",
    ['a,b\n1,"2\n3,4\n', 'a,b\n"1,2\n3,4\n', 'a,b,c\n1,2,"3', 'a,b\n1,2\n"3,4', 'a,b\n1,"2\n', '"a,b\n1,2\n'],
)
def test_a_quote_that_is_never_closed_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ImportRefused, match=r"closed|no columns|heading"):
        contents(write(tmp_path, text if text.count("\n") > 1 else text + '"x"\n"'))


@pytest.mark.parametrize("text", ['a,b\n1,"2\n3"\n', 'a,b\n1,"2\n3"', 'a,b\n1,"2\n""3"""\n', 'a,b\n"1\n2",3\n'])
def test_a_quoted_cell_at_the_end_is_no_open_quote(tmp_path: Path, text: str) -> None:
    rows, broken = contents(write(tmp_path, text))
    assert list(rows) == [2]
    assert broken == {}
    assert rows[2] == next(csv.reader(io.StringIO(text.partition("\n")[2])))


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b",,,\n", b" \n"])
def test_files_without_a_heading_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ImportRefused):
        contents(write(tmp_path, data))


@pytest.mark.parametrize("text", ["a,b", "a,b\n", "a,b\n\n\n", "\ufeffa,b\n"])
def test_a_heading_alone_has_no_rows(tmp_path: Path, text: str) -> None:
    assert contents(write(tmp_path, text)) == ({}, {})


def test_ten_thousand_columns(tmp_path: Path) -> None:
    wide = ",".join(map(str, range(10_000)))
    assert len(contents(write(tmp_path, f"{wide}\n{wide}\n"))[0][2]) == 10_000


def test_very_long_cells(tmp_path: Path) -> None:
    rows, broken = contents(write(tmp_path, f"a,b\n{'x' * 300_000}\n1,2,{'y' * 300_000}\n"))
    assert rows == {2: ["x" * 300_000, None]}
    assert broken[3][2] == "y" * 300_000


def test_utf16_without_a_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="encoding"):
        reading.table(write(tmp_path, "a,b\n1,2\n".encode("utf-16-le")))


CELL = st.text(st.sampled_from('ab1,"\n \r;甲'), max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELL, min_size=1, max_size=6), max_size=40), block=st.sampled_from([64, 300, 1 << 20]))
def test_no_row_is_lost_wherever_the_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[list[str]], block: int
) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", block)
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["h1", "h2", "h3"], *rows])
    whole, broken = contents(write(tmp_path, text.getvalue()))
    expected = {number: row for number, row in enumerate(rows, 2) if any(row)}
    assert broken == {number: row for number, row in expected.items() if any(row[3:])}
    assert whole == {
        number: [cell or None for cell in [*row, "", ""][:3]] for number, row in expected.items() if not any(row[3:])
    }


# --- spreadsheets


def workbook(folder: Path, *sheets: tuple[str, list[list[Any]], str]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows, state in sheets:
        sheet = book.create_sheet(title)
        sheet.sheet_state = state
        for row in rows:
            sheet.append(row)
    path = folder / "book.xlsx"
    book.save(path)
    return path


def test_cells_of_a_spreadsheet(tmp_path: Path) -> None:
    day, moment = datetime.datetime(2024, 5, 6), datetime.datetime(2024, 5, 6, 7, 8)
    rows = [[], ["name", "n", "x", "on", "at", "ok"], ["甲", 10, 105.25, day, moment, True], [], ["乙", "#N/A", "=1+1"]]
    assert contents(workbook(tmp_path, ("s", rows, "visible"))) == (
        {3: ["甲", "10", "105.25", "2024-05-06", "2024-05-06T07:08:00", "true"], 5: ["乙", *[None] * 5]},
        {},
    )


def test_the_first_sheet_that_is_shown_is_read(tmp_path: Path) -> None:
    path = workbook(
        tmp_path, ("hidden", [["a"], [1]], "hidden"), ("empty", [], "visible"), ("data", [["b"], [2]], "visible")
    )
    assert reading.table(path).headings == ["b"]
    assert reading.table(path, sheet="hidden").headings == ["a"]
    with pytest.raises(ImportRefused, match="no sheet"):
        reading.table(path, sheet="other")


def test_a_spreadsheet_row_with_more_cells_than_headings_is_broken_and_kept(tmp_path: Path) -> None:
    path = workbook(tmp_path, ("s", [["a", "b"], [1, 2], [3, 4, "stray"]], "visible"))
    assert contents(path) == ({2: ["1", "2"]}, {3: ["3", "4", "stray"]})


HEAD = ["编号", "名称", "经度", "纬度", "备注"]
TITLES: list[tuple[str, list[list[Any]], int]] = [
    ("one title", [["某县避难场所一览表"], HEAD], 1),
    ("title, blank row", [["某县避难场所一览表"], [], HEAD], 1),
    ("a blank row first", [[], ["", "某县避难场所一览表"], HEAD], 1),
    ("title and unit", [["某县避难场所一览表", "", "", "", "单位：人"], HEAD], 1),
    ("title, then who and when", [["某县避难场所一览表"], ["填报单位：应急局", "", "", "2026年"], HEAD], 2),
    ("no title", [HEAD], 0),
]


@pytest.mark.parametrize(("rows", "titles"), [row[1:] for row in TITLES], ids=[row[0] for row in TITLES])
@pytest.mark.parametrize("delimiter", [None, ",", "\t", ";"])
def test_titles_above_the_heading_are_passed_over(
    tmp_path: Path, rows: list[list[Any]], titles: int, delimiter: str | None
) -> None:
    data = ["1", "甲", "105", "27", "x"]
    if delimiter is None:
        path = workbook(tmp_path, ("s", [*rows, data], "visible"))
    else:
        path = write(tmp_path, "\n".join(delimiter.join(row) for row in [*rows, data]) + "\n")
    table = reading.table(path)
    assert table.headings == HEAD
    assert sum(note.startswith("title above the heading") for note in table.notes) == titles
    assert contents(path) == ({len(rows) + 1: data}, {})


@pytest.mark.parametrize(
    "rows",
    [
        [["名称"], ["甲"], ["乙"]],
        [["名称"], ["甲", "105", "27"]],
        [["名称", "地址"], ["甲", "东街"], ["乙", "西街", "旧", "无"]],
        [["名称"], ["甲"], ["乙"], ["丙"], ["丁", "多", "余", "的"]],
    ],
)
def test_what_is_no_title_is_the_heading(tmp_path: Path, rows: list[list[str]]) -> None:
    assert reading.table(workbook(tmp_path, ("s", rows, "visible"))).headings == rows[0]
    assert reading.table(write(tmp_path, "\n".join(",".join(row) for row in rows))).headings == rows[0]


def test_empty_spreadsheets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="empty"):
        reading.table(workbook(tmp_path, ("s", [], "visible")))


# --- what a file is


def test_what_a_file_holds_counts_and_not_its_ending(tmp_path: Path) -> None:
    assert contents(write(tmp_path, "a,b\n1,2\n", "text.xlsx")) == ({2: ["1", "2"]}, {})
    assert contents(write(tmp_path, "a,b\n1,2\n", "text.json")) == ({2: ["1", "2"]}, {})
    book = workbook(tmp_path, ("s", [["a"], [1]], "visible")).rename(tmp_path / "book.csv")
    assert contents(book) == ({2: ["1"]}, {})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("junk.bin", bytes(range(256))),
        ("junk.gpkg", b"SQLite format 3\x00" + b"x" * 200),
        ("half.geojson", b'{"type":"FeatureCollection","features":[{"type":"Fea'),
        ("list.json", b'[{"name": "a", "lon": 105, "lat": 27}]'),
        ("junk.xlsx", b"PK\x03\x04" + b"x" * 200),
        ("junk.zip", b"PK\x03\x04" + b"x" * 200),
        ("broken.vrt", b"<OGRVRTDataSource><OGRVRTLayer"),
    ],
)
def test_what_nobody_can_read_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(ImportRefused):
        contents(write(tmp_path, data, name))


def test_missing_files_and_empty_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(ImportRefused):
            reading.table(path)


# --- vector formats

FRAME = geopandas.GeoDataFrame(
    {"name": ["马鞍中学", "城关镇第一小学"], "capacity": [10, 20]},
    geometry=[Point(105, 27), Point(105.1, 27.1)],
    crs=4326,
)


@pytest.mark.parametrize("name", ["a.gpkg", "a.fgb", "a.kml", "a.gml", "a.shp", "a.geojson", "a.geojsonl", "a.tab"])
def test_vector_formats(tmp_path: Path, name: str) -> None:
    FRAME.to_file(tmp_path / name)
    table = reading.table(tmp_path / name)
    chunk = next(iter(table.chunks()))
    columns = dict(zip(table.headings, chunk.columns, strict=True))
    names = next(columns[heading] for heading in ("name", "Name") if heading in columns).to_pylist()
    assert set(names) == {"马鞍中学", "城关镇第一小学"}
    assert set(columns["capacity"].to_pylist()) == {"10", "20"}
    assert sorted(chunk.numbers.tolist()) == [1, 2]
    assert {point.x for point in chunk.geometries} == {105, 105.1}


def test_a_shapefile_in_gbk_that_does_not_say_so(tmp_path: Path) -> None:
    FRAME.to_file(tmp_path / "a.shp", encoding="gbk")
    (tmp_path / "a.cpg").unlink()
    assert [row[0] for row in contents(tmp_path / "a.shp")[0].values()] == ["马鞍中学", "城关镇第一小学"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for part in tmp_path.glob("a.[sdp]*"):
            archive.write(part, part.name)
    assert [row[0] for row in contents(tmp_path / "a.zip")[0].values()] == ["马鞍中学", "城关镇第一小学"]


def test_a_zipped_shapefile_in_a_folder(tmp_path: Path) -> None:
    FRAME.to_file(tmp_path / "a.shp", encoding="utf-8")
    parts = {part.suffix: part.read_bytes() for part in tmp_path.glob("a.*")}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("__MACOSX/避难场所/._a.shp", b"x")
        for ending, data in parts.items():
            archive.writestr(f"避难场所/a{ending}", data)
    assert [row[0] for row in contents(tmp_path / "a.zip")[0].values()] == ["马鞍中学", "城关镇第一小学"]
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("旧/b.shp", b"x")
    assert reading.table(tmp_path / "a.zip").notes == ["folder read: 避难场所; the archive also has 旧"]


def test_no_address_named_by_a_file_is_visited(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        crs = {"type": "link", "properties": {"href": f"http://127.0.0.1:{server.getsockname()[1]}/crs"}}
        feature = {"type": "Feature", "properties": {"name": "a"}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
        text = json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]})
        assert len(contents(write(tmp_path, text, "a.geojson"))[0]) == 1
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_first_of_several_layers_is_read_and_the_others_named(tmp_path: Path) -> None:
    FRAME.to_file(tmp_path / "a.gpkg", layer="one")
    FRAME.iloc[:1].to_file(tmp_path / "a.gpkg", layer="two")
    table = reading.table(tmp_path / "a.gpkg")
    assert table.notes == ["layer read: one; the file also has two"]
    assert len(contents(tmp_path / "a.gpkg", layer="two")[0]) == 1
    with pytest.raises(ImportRefused, match="no layer"):
        reading.table(tmp_path / "a.gpkg", layer="three")


def test_what_gdal_warns_of_becomes_a_note(tmp_path: Path) -> None:
    ring = "[[[105,27],[106,27],[106,28],[105,28]]]"
    feature = f'{{"type":"Feature","properties":{{"name":"a"}},"geometry":{{"type":"Polygon","coordinates":{ring}}}}}'
    table = reading.table(write(tmp_path, f'{{"type":"FeatureCollection","features":[{feature}]}}', "a.geojson"))
    assert len(list(table.chunks())) == 1
    assert any("Non closed ring" in note for note in table.notes)
