"""Uploads: kept for an hour for one account, read in a process that can do no harm, imported once."""

from __future__ import annotations

import asyncio
import fcntl
import http.server
import io
import json
import os
import shutil
import sqlite3
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import openpyxl
import pytest
import shapely
from shapely import Point

from layers import uploads
from layers.database import transaction
from layers.errors import Conflict, ImportRefused, InvalidValue, NotFound, StoreFailed
from layers.settings import settings
from layers.uploads import Reading, Upload, options_of, safe_name
from tests.conftest import finished

HEADING = "编号,名称,经度,纬度,可容纳人数"
FRAME = geopandas.GeoDataFrame({"name": ["甲"]}, geometry=[Point(105, 27)], crs=4326)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without uploads."""
    monkeypatch.setenv("LEEWARD_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    monkeypatch.undo()
    settings.cache_clear()


def csv(*lines: str) -> bytes:
    return "\n".join([HEADING, *lines, ""]).encode()


def put(data: bytes, name: str = "a.csv", account: str = "wang", layer: str = "shelters", **options: Any) -> Upload:
    folder = uploads.begin(account)
    (folder / "incoming").write_bytes(data)
    return uploads.take(folder, account, layer, name, options_of(options))


def check(url: str, upload: Upload) -> dict[str, Any]:
    return dict(json.loads(finished(Reading(url).check(upload))))


def commit(url: str, upload: Upload, reason: str | None = None) -> dict[str, Any]:
    return dict(json.loads(finished(Reading(url).commit(upload, reason))))


def refusal(url: str, data: bytes, name: str) -> str:
    upload = put(data, name)
    with pytest.raises(ImportRefused) as error:
        check(url, upload)
    assert str(settings().home) not in str(error.value)
    assert uploads.status(upload)["state"] == "failed"
    return error.value.detail


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    with transaction(url) as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def age(upload: Upload, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(upload.folder / "upload.json", (then, then))


# --- names and options


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("避难所 2024（新）.xlsx", "避难所 2024（新）.xlsx"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\wang\\a.csv", "a.csv"),
        ("a\0b.csv", "ab.csv"),
        ("a.zip!b.csv", "a.zip_b.csv"),
        ("/vsicurl/http:/x?y.csv", "x_y.csv"),
        ("-rf", "rf"),
        ("...", "upload"),
        ("", "upload"),
        ("名" * 200 + ".csv", "名" * 33 + ".csv"),
        ('a"b$c`d;e|f\n.csv', "a_b_c_d_e_f_.csv"),
    ],
)
def test_names(sent: str, kept: str) -> None:
    assert safe_name(sent) == kept


def test_options() -> None:
    given = {"crs": "GCJ-02", "area": None, "sheet": "", "map": '{"a": "name"}', "on_conflict": "update"}
    assert options_of(given) == {"crs": "GCJ-02", "map": {"a": "name"}, "on_conflict": "update"}


@pytest.mark.parametrize(
    "given",
    [
        {"dry_run": "no"}, {"rejects": "/etc/x"}, {"author": "root"}, {"on_conflict": "fight"}, {"crs": 1},
        {"crs": "a" * 300}, {"sheet": "a\0"}, {"map": "x"}, {"map": "[1]"}, {"map": {"a": 1}}, {"map": {"a": "\0"}},
        {"set": '{"a":' * 100_000}, {"map": {str(n): "name" for n in range(2000)}},
    ],
)  # fmt: skip
def test_options_that_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as error:
        options_of(given)
    assert error.value.parameter == next(iter(given))


# --- who, how long, how many


def test_an_upload_is_found_by_its_token_and_account_alone() -> None:
    upload = put(csv("1,甲,105,27,10"))
    assert uploads.find(upload.token, "wang") == upload
    for token, account in [
        (upload.token, "li"), (upload.token, None), ("x" * 32, "wang"), ("..", "wang"), ("", "wang"),
        (upload.token + "/../" + upload.token, "wang"), (upload.token[:-1], "wang"),
    ]:  # fmt: skip
        with pytest.raises(NotFound):
            uploads.find(token, account)


def test_the_folder_is_for_the_service_alone(home: Path) -> None:
    upload = put(b"x")
    for folder in (home / "uploads", upload.folder, upload.file.parent):
        assert folder.stat().st_mode & 0o077 == 0


def test_uploads_are_forgotten_after_an_hour() -> None:
    old, begun, new = put(b"x"), uploads.begin("wang"), put(b"x")
    age(old, 3601)
    age(new, 3599)
    os.utime(begun, (time.time() - 3601,) * 2)
    with pytest.raises(NotFound):
        uploads.find(old.token, "wang")
    uploads.sweep()
    assert (old.folder.exists(), begun.exists(), new.folder.exists()) == (False, False, True)


def test_an_upload_that_is_being_read_is_not_forgotten() -> None:
    upload = put(b"x")
    age(upload, 3601)
    with (upload.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        uploads.sweep()
        assert upload.folder.exists()
    uploads.sweep()
    assert not upload.folder.exists()


def test_an_account_has_ten_uploads_at_most() -> None:
    other = put(b"x", account="li")
    mine = [put(b"x") for _ in range(12)]
    assert [u.folder.exists() for u in mine] == [False] * 2 + [True] * 10
    assert other.folder.exists()


def test_a_layer_that_is_not_there(database: str) -> None:
    folder = uploads.begin("wang")
    (folder / "incoming").write_bytes(b"x")
    with pytest.raises(NotFound):
        uploads.take(folder, "wang", "absent", "a.csv", {})


# --- checked, then imported


def test_nothing_is_written_before_the_commit(database: str) -> None:
    upload = put(csv("1,甲,105,27,10", "2,乙,0,27,10"))
    told = check(database, upload)
    assert (told["id"], told["layer"], told["file"]) == (upload.token, "shelters", "a.csv")
    assert query(database, "SELECT count(*) FROM layers.shelters") == [(0,)]
    for table in ("imports", "sources", "changes", "requests"):
        assert query(database, f"TABLE leeward.{table}") == []
    assert uploads.status(upload) == {"state": "ready", "ratio": 1.0}
    done = commit(database, upload, "spring survey")
    assert (done["report"]["imported"], done["report"]["rejected"]) == (1, 1)
    assert query(database, "SELECT id, author, file_name FROM leeward.imports") == [
        (done["import_id"], "wang", "a.csv")
    ]
    assert query(database, "SELECT author, reason, import_id FROM leeward.changes") == [
        ("wang", "spring survey", done["import_id"])
    ]
    assert uploads.status(upload) == {"state": "done", "ratio": 1.0}
    assert not upload.file.exists()
    assert upload.rejects.exists()


def test_rows_are_shown_as_they_would_stand(database: str) -> None:
    commit_first = put(csv("1,甲,105,27,10", "2,乙,105,27,10", "3,丙,105,27,10"))
    check(database, commit_first)
    commit(database, commit_first)
    lines = [
        "1,甲,105,27,10",
        "2,乙,105,27,99",
        "4,丁,105,27.5,约30",
        "5,戊,0,27,1",
        "4,丁,105,27.5,约30",
        "6,己,105,27,0",
    ]
    told = check(database, put(csv(*lines), on_conflict="update"))
    report = told["report"]
    assert [report[n] for n in ("read", "imported", "updated", "unchanged", "rejected")] == [6, 2, 1, 2, 1]
    shown = [(f["id"], f["properties"]["leeward_verdict"], f["properties"]) for f in told["sample"]["features"]]
    assert [(row, verdict) for row, verdict, _ in shown] == [
        (2, "unchanged"), (3, "updated"), (4, "new"), (7, "new"),
    ]  # fmt: skip
    assert [p["capacity_persons"] for *_, p in shown] == [10, 99, None, 0]
    assert [p["flags"] for *_, p in shown] == [[], [], ["unread"], ["capacity_zero"]]
    assert shown[2][2]["leeward_unread"] == {"可容纳人数": "约30"}
    assert [p["leeward_fid"] for *_, p in shown] == [1, 2, None, None]
    assert told["sample"]["features"][2]["geometry"] == {"type": "Point", "coordinates": [105, 27.5]}
    assert told["rejected"] == [
        {
            "row": 5, "column": "经度, 纬度", "reason": "longitude or latitude is exactly 0", "proposal": None,
            "cells": ["5", "戊", "0", "27", "1"],
        }
    ]  # fmt: skip
    assert told["headings"] == HEADING.split(",")
    assert told["columns"]["可容纳人数"] == "capacity_persons"


def test_computed_values_stand_in_the_sample(database: str) -> None:
    text = "编号,名称,灾种,经度,纬度,威胁人数,威胁财产\n1,甲,滑坡,105,27,150,\n"
    told = check(database, put(text.encode(), layer="hazard_points"))
    (feature,) = told["sample"]["features"]
    assert feature["properties"]["threatened_persons"] == 150
    assert feature["properties"]["threat_grade_computed"] is not None


def test_of_a_large_file_some_rows_are_shown(database: str) -> None:
    told = check(database, put(csv(*(f"{n},甲,105,{n % 90 if n < 9000 else 0},1" for n in range(1, 10_000)))))
    rows = [feature["id"] for feature in told["sample"]["features"]]
    assert 1000 < len(rows) <= 2000
    assert rows == sorted(rows)
    assert rows[-1] > 8000
    assert len(told["rejected"]) == 500
    assert told["report"]["rejected"] == 1099


def test_a_file_of_large_geometries_shows_fewer(database: str, tmp_path: Path) -> None:
    circles = [Point(105 + n / 100, 27).buffer(0.01, quad_segs=25_000) for n in range(5)]
    frame = geopandas.GeoDataFrame({"编号": ["1", "2", "3", "4", "5"]}, geometry=circles, crs=4326)
    frame["name"] = frame["编号"]
    frame.to_file(tmp_path / "a.fgb")
    told = check(database, put((tmp_path / "a.fgb").read_bytes(), "a.fgb", layer="admin_areas"))
    assert told["report"]["imported"] == 5
    shown = told["sample"]["features"]
    assert 1 <= len(shown) < 5
    assert sum(shapely.get_num_coordinates(shapely.from_geojson(json.dumps(f["geometry"]))) for f in shown) <= 200_000


def test_a_layer_without_geometry(database: str) -> None:
    told = check(database, put("姓名,工作单位\n王,省院\n".encode(), layer="experts"))
    assert [feature["geometry"] for feature in told["sample"]["features"]] == [None] * told["report"]["imported"]


def test_other_options_for_the_same_file(database: str) -> None:
    upload = put("编号,叫什么,经度,纬度\n1,甲,105,27\n".encode())
    assert "叫什么" in check(database, upload)["report"]["unused"]
    upload = replace(upload, options=options_of({"map": {"叫什么": "name"}, "crs": "GCJ-02"}))
    told = check(database, upload)
    assert told["columns"]["叫什么"] == "name"
    assert told["report"]["crs"] == "GCJ-02"
    assert commit(database, uploads.find(upload.token, "wang"))["report"]["crs"] == "GCJ-02"
    assert query(database, "SELECT name, ST_X(geom) <> 105 FROM layers.shelters") == [("甲", True)]


def test_a_commit_is_done_once(database: str) -> None:
    upload = put(csv("1,甲,105,27,10"))
    check(database, upload)

    async def twice() -> list[str]:
        reading, other = Reading(database), Reading(database)
        return list(await asyncio.gather(*(r.commit(upload, None) for r in (reading, other, reading))))

    first, second, third = finished(twice())
    assert first == second == third
    assert query(database, "SELECT count(*) FROM leeward.imports") == [(1,)]
    with pytest.raises(Conflict):
        check(database, upload)


def test_a_commit_whose_answer_was_lost_is_not_done_again(database: str) -> None:
    upload = put(csv("1,甲,105,27,10"))
    check(database, upload)
    shutil.copytree(upload.file.parent, upload.folder / "kept")
    done = commit(database, upload)
    (upload.folder / "committed.json").unlink()  # as if the process had ended before that was written
    (upload.folder / "kept").rename(upload.file.parent)
    assert commit(database, upload) == done
    assert query(database, "SELECT count(*) FROM leeward.imports") == [(1,)]
    assert query(database, "SELECT count(*) FROM leeward.changes") == [(1,)]


def test_what_was_refused_is_not_imported(database: str) -> None:
    upload = put(b"a,b\n1,2\n")
    with pytest.raises(ImportRefused):
        check(database, upload)
    with pytest.raises(Conflict):
        commit(database, upload)
    assert uploads.status(upload)["problem"]["kind"] == "ImportRefused"


def test_a_check_that_was_broken_off_says_so(database: str) -> None:
    upload = put(csv("1,甲,105,27,10"))
    status = uploads.status(upload)
    assert status["state"] == "failed"
    assert "broken off" in status["problem"]["detail"]


def test_how_far_it_is_can_be_seen(database: str) -> None:
    upload = put(csv(*(f"{n},甲,105,27,1" for n in range(60_000))))
    seen: list[dict[str, Any]] = []

    async def watch() -> None:
        task = asyncio.create_task(Reading(database).check(upload))
        while not task.done():
            seen.append(uploads.status(upload))
            await asyncio.sleep(0.02)
        await task

    finished(watch())
    ratios = [status["ratio"] for status in seen]
    assert ratios == sorted(ratios)
    assert {status["state"] for status in seen[1:-1]} == {"checking"}
    assert any(0 < ratio < 1 for ratio in ratios)


def test_a_fault_of_the_program_is_no_refusal(database: str) -> None:
    upload = put(csv("1,甲,105,27,10"))
    (upload.folder / "rejects.csv").mkdir()
    shutil.rmtree(upload.folder / "rejects.csv")
    upload = replace(upload, options={"nonsense": "x"})
    with pytest.raises(StoreFailed):
        check(database, upload)


# --- files made to harm


@pytest.fixture
def visited() -> Iterator[tuple[str, list[str]]]:
    """The address of a server of this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_no_address_is_visited(module_database: str, tmp_path: Path, visited: tuple[str, list[str]]) -> None:
    address, asked = visited
    layer = f"/vsicurl/{address}/layer"
    FRAME.to_file(tmp_path / "a.gpkg", layer="L" * len(layer))
    package = (tmp_path / "a.gpkg").read_bytes().replace(b"L" * len(layer), layer.encode())
    assert check(module_database, put(package, "/vsicurl/a.gpkg"))["report"]["imported"] == 1
    (tmp_path / "shape").mkdir()
    FRAME.to_file(tmp_path / "shape" / "a.shp")
    (tmp_path / "shape" / "a.prj").write_text(f"/vsicurl/{address}/prj")
    shape = io.BytesIO()
    with zipfile.ZipFile(shape, "w") as archive:
        for part in (tmp_path / "shape").iterdir():
            archive.write(part, part.name)
    check(module_database, put(shape.getvalue(), "a.zip"))
    feature = {"type": "Feature", "properties": {"name": "a"}, "geometry": {"type": "Point", "coordinates": [105, 27]}}
    for crs in ({"type": "name", "properties": {"name": f"{address}/crs"}}, {"type": "proj4", "href": f"{address}/p"}):
        text = json.dumps({"type": "FeatureCollection", "features": [feature], "crs": crs})
        check(module_database, put(text.encode(), "a.geojson"))
    command = f"gdal vector pipeline ! read /vsicurl/{address}/g ! filter"
    for data, name in [
        (json.dumps({"type": "gdal_streamed_alg", "command_line": command}), "a.gdalg.json"),
        (f'{{"type": "FeatureCollection", "crs": {{"type": "link", "href": "{address}"}}, "features": []}}', "a.json"),
        (f"<OGRVRTDataSource><SrcDataSource>/vsicurl/{address}/v</SrcDataSource></OGRVRTDataSource>", "a.csv"),
        (f'{{"geometryType": "esriGeometryPoint", "features": [], "next": "{address}/e"}}', "a.json"),
    ]:
        refusal(module_database, data.encode(), name)
    assert asked == []


def sparse() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    for cell, value in {"A1": "名称", "B1": "经度", "C1": "纬度", "XFD1048576": "x"}.items():
        sheet[cell] = value
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


NESTED = b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":{"coordinates":'
HARMFUL: list[tuple[str, Callable[[], bytes], str]] = [
    ("nested.geojson", lambda: NESTED + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}}]}", "nested"),
    ("nested_property.geojson", lambda: NESTED.replace(b"{}", b"[" * 1_000_000), "nested"),
    ("sparse.xlsx", sparse, "broken off"),
    ("text.vrt", lambda: csv("1,甲,105,27,10"), "something else than its ending says"),
    ("half.fgb", lambda: b"fgb\x03fgb\x01" + b"\xff" * 400, "no file of a kind that can be read"),
    ("half.parquet", lambda: b"PAR1" + b"\xff" * 400, "GeoParquet"),
    ("word.xls", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "spreadsheet"),
    ("empty.csv", lambda: b"", "is empty"),
]


@pytest.mark.parametrize(("name", "make", "words"), HARMFUL, ids=[name for name, *_ in HARMFUL])
def test_a_file_made_to_harm(module_database: str, name: str, make: Callable[[], bytes], words: str) -> None:
    assert words in refusal(module_database, make(), name)


WORKBOOK = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="a" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="a" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"'
    ' Target="worksheets/sheet1.xml"/>'
    '<Relationship Id="b" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"'
    ' Target="sharedStrings.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
    '<sheet name="s" sheetId="1" r:id="a"/></sheets></workbook>',
}


def test_a_file_that_needs_too_much_memory(module_database: str) -> None:
    rows = "".join(f'<row><c t="s"><v>{0 if row else 1}</v></c></row>' for row in range(3000))
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    texts = f"<si><t>{'x' * (2 << 20)}</t></si><si><t>名称</t></si>"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in WORKBOOK.items():
            archive.writestr(name, text)
        archive.writestr("xl/sharedStrings.xml", f"<sst {main}>{texts}</sst>")
        archive.writestr("xl/worksheets/sheet1.xml", f"<worksheet {main}><sheetData>{rows}</sheetData></worksheet>")
    upload = put(data.getvalue(), "a.xlsx", layer="experts")
    with pytest.raises(ImportRefused, match="4 GB"):
        check(module_database, upload)


def test_gdal_has_no_drivers_but_those_on_the_list(module_database: str, tmp_path: Path) -> None:
    FRAME.to_file(tmp_path / "a.kml", driver="KML")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:  # let in for its .shp, which holds something else
        archive.write(tmp_path / "a.kml", "a.shp")
    assert "read" in refusal(module_database, (tmp_path / "a.zip").read_bytes(), "a.zip")


def test_a_database_that_attaches_another(module_database: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    FRAME.to_file(path, layer="a")
    connection = sqlite3.connect(path)
    connection.execute("CREATE VIEW v AS SELECT readfile('/etc/passwd') AS name, geom FROM a")
    connection.execute("INSERT INTO gpkg_contents (table_name, data_type, srs_id) VALUES ('v', 'features', 4326)")
    connection.commit()
    connection.close()
    assert "computes (readfile)" in refusal(module_database, path.read_bytes(), "a.gpkg")
