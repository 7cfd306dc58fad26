"""Importing through the service: tried, looked at, done once, taken back; and only by those who may edit."""

from __future__ import annotations

import csv as csv_files
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import geopandas
import openpyxl
import pytest
from shapely import Point
from starlette.testclient import TestClient

from api.app import create_app
from layers import accounts, uploads
from layers.database import transaction
from layers.importing import Options, import_file
from tests.gis.rows import empty

HEADING = "编号,名称,经度,纬度,可容纳人数"
ROWS = ("1,甲,105,27,10", "2,乙,105.1,27.1,约30", "3,丙,0,27.2,5", "4,丁,27.3,105.3,5", "5,戊,105.4,27.4,0")


def clear(url: str) -> None:
    """Take all rows away, and what is known of imports."""
    with transaction(url) as cursor:
        cursor.execute("DELETE FROM leeward.imports; DELETE FROM leeward.requests")
    empty(url)
    with transaction(url) as cursor:
        cursor.execute("DELETE FROM leeward.changes")


@pytest.fixture
def database(module_database: str) -> Iterator[str]:
    """A database without rows, with two editors and a reader."""
    clear(module_database)
    with transaction(module_database) as cursor:
        for name, role in (("wang", "editor"), ("li", "editor"), ("chen", "reader")):
            accounts.add(cursor, name, role, "correct horse battery")
    yield module_database
    with transaction(module_database) as cursor:
        cursor.execute("DELETE FROM leeward.accounts")


def sign_in(client: TestClient, url: str, name: str) -> TestClient:
    with transaction(url) as cursor:
        client.headers["Authorization"] = f"Bearer {accounts.make_token(cursor, name)}"
    return client


@pytest.fixture
def editor(client: TestClient, database: str) -> TestClient:
    """The service, as an editor sees it."""
    return sign_in(client, database, "wang")


def csv(*lines: str) -> bytes:
    return "\n".join([HEADING, *lines, ""]).encode()


def send(client: TestClient, data: bytes, name: str = "a.csv", *, query: str = "layer=shelters", **form: str) -> Any:
    return client.post(f"/imports?{query}", files={"file": (name, data)}, data=form)


def tried(client: TestClient, *lines: str, **form: str) -> str:
    answer = send(client, csv(*lines), **form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    with transaction(url) as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["type"] == f"/problems/{slug}"
    assert told["detail"]
    return dict(told)


# --- the same as from the command line


def as_csv(folder: Path) -> Path:
    path = folder / "rows.csv"
    path.write_bytes(csv(*ROWS))
    return path


def as_xlsx(folder: Path) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["某县避难场所一览表"])
    sheet.merge_cells("A1:E1")
    for line in (HEADING, *ROWS):
        sheet.append(line.split(","))
    book.save(folder / "rows.xlsx")
    return folder / "rows.xlsx"


def frame() -> geopandas.GeoDataFrame:
    rows = [line.split(",") for line in ROWS]
    columns = {"编号": [r[0] for r in rows], "名称": [r[1] for r in rows], "可容纳人数": [r[4] for r in rows]}
    return geopandas.GeoDataFrame(columns, geometry=[Point(float(r[2]), float(r[3])) for r in rows], crs=4326)


def as_vector(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        if path.suffix == ".parquet":
            frame().to_parquet(path)
        else:
            frame().to_file(path)
        return path

    make.__name__ = name
    return make


def as_zip(folder: Path) -> Path:
    (folder / "parts").mkdir()
    frame().to_file(folder / "parts" / "rows.shp", encoding="gbk")
    with zipfile.ZipFile(folder / "rows.zip", "w") as archive:
        for part in (folder / "parts").iterdir():
            archive.write(part, f"避难场所/{part.name}")
    return folder / "rows.zip"


MADE = [as_csv, as_xlsx, as_zip, *map(as_vector, ["a.geojson", "a.gpkg", "a.fgb", "a.parquet"])]


def rows_of(url: str) -> list[tuple[Any, ...]]:
    return query(
        url,
        "SELECT source_id, name, capacity_persons, ST_AsEWKT(geom), flags, unread, source, row_no, name_initials"
        " FROM layers.shelters ORDER BY source_id",
    )


def comparable(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name not in ("rejects_file", "import_id", "dry_run")}


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_each_format_as_from_the_command_line(
    editor: TestClient, database: str, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path)
    rejects = tmp_path / "rejects.csv"
    by_hand = import_file(database, "shelters", path, Options(rejects=rejects, author="cli: wang"))
    expected = rows_of(database)
    assert [row[0] for row in expected] == ["1", "2", "5"]
    clear(database)
    told = send(editor, path.read_bytes(), path.name).json()
    assert comparable(told["report"]) == comparable(asdict(by_hand))
    assert rows_of(database) == []
    token = told["id"]
    assert editor.get(f"/imports/{token}/rejects.csv").content == rejects.read_bytes()
    done = editor.post(f"/imports/{token}/commit").json()
    assert comparable(done["report"]) == comparable(asdict(by_hand))
    assert rows_of(database) == expected
    assert editor.get(f"/imports/{token}/rejects.csv").content == rejects.read_bytes()
    cells = [one["cells"] for one in told["rejected"]]
    with rejects.open(encoding="utf-8-sig", newline="") as file:
        assert cells == [row[5:] for row in csv_files.reader(file)][1:]


# --- from the first look to taking back


def test_a_whole_import(editor: TestClient, database: str) -> None:
    told = send(editor, csv(*ROWS), "避难场所 2026.csv", map='{"可容纳人数": "-"}').json()
    token = told["id"]
    assert told["file"] == "避难场所 2026.csv"
    assert told["columns"] == {"编号": "source_id", "名称": "name", "经度": "x", "纬度": "y"}
    assert told["headings"] == HEADING.split(",")
    assert [f["properties"]["leeward_row"] for f in told["sample"]["features"]] == [2, 3, 6]
    assert [(one["row"], one["proposal"]) for one in told["rejected"]] == [(4, None), (5, "105.3,27.3")]
    again = editor.post(f"/imports/{token}", json={"map": None, "area": "105,27,105.2,28"}).json()
    assert again["id"] == token
    assert again["options"] == {"area": "105,27,105.2,28"}
    assert (again["report"]["imported"], again["report"]["rejected"]) == (2, 3)
    status = editor.get(f"/imports/{token}").json()
    assert (status["state"], status["ratio"], status["answer"]) == ("ready", 1.0, again)
    done = editor.post(f"/imports/{token}/commit", json={"reason": "spring survey"})
    number = done.json()["import_id"]
    assert done.json()["report"]["imported"] == 2
    assert editor.post(f"/imports/{token}/commit").text == done.text
    assert editor.get(f"/imports/{token}").json() == {"state": "done", "ratio": 1.0, "answer": done.json()}
    problem(editor.post(f"/imports/{token}", json={}), 409, "conflict")
    (listed,) = editor.get("/imports?layer=shelters").json()["imports"]
    assert (listed["id"], listed["author"], listed["file_name"]) == (number, "wang", "避难场所 2026.csv")
    assert (listed["counts"]["imported"], listed["taken_back_at"]) == (2, None)
    assert editor.get("/imports?layer=experts&limit=1").json() == {"imports": []}
    (change,) = editor.get("/changes").json()["changes"]
    assert (change["author"], change["reason"], change["import_id"]) == ("wang", "spring survey", number)
    answer = editor.post(f"/imports/{number}/undo", json={"reason": "wrong file"})
    assert answer.json() == {"deleted": 2, "restored": 0, "left": 0}
    assert rows_of(database) == []
    assert editor.get("/imports").json()["imports"][0]["taken_back_at"] is not None
    assert editor.get("/changes").json()["changes"][-1]["reason"] == "wrong file"
    problem(editor.post(f"/imports/{number}/undo", json={}), 409, "conflict")


def test_a_file_with_strange_headings_is_refused_with_them_and_then_read(editor: TestClient) -> None:
    begun = editor.post(
        "/imports?layer=shelters",
        files={"file": ("a.csv", "场所,东,北\n甲,105.3,27.3\n")},
        headers={"Prefer": "respond-async"},
    )
    token = begun.json()["id"]
    while (status := editor.get(f"/imports/{token}").json())["state"] == "checking":
        time.sleep(0.05)
    assert status["state"] == "failed"
    assert status["problem"]["headings"] == ["场所", "东", "北"]
    assert status["problem"]["columns"] == {}
    read = editor.post(f"/imports/{token}", json={"map": {"场所": "name", "东": "x", "北": "y"}}).json()
    assert read["report"]["imported"] == 1
    assert read["sample"]["features"][0]["geometry"]["coordinates"] == [105.3, 27.3]


def test_an_import_is_taken_back_after_later_edits(editor: TestClient, database: str) -> None:
    first = tried(editor, "1,甲,105,27,10", "2,乙,105,27,20")
    editor.post(f"/imports/{first}/commit")
    second = tried(editor, "1,甲,105,27,11", "2,乙,105,27,21", "3,丙,105,27,30", "4,丁,105,27,40", on_conflict="update")
    number = editor.post(f"/imports/{second}/commit").json()["import_id"]
    edited = query(database, "SELECT fid FROM layers.shelters WHERE source_id IN ('2', '4') ORDER BY 1")
    for (fid,) in edited:
        patch = {"properties": {"capacity_persons": 99}}
        answer = editor.patch(f"/collections/shelters/items/{fid}", json=patch, headers={"If-Match": "*"})
        assert answer.status_code == 200, answer.text
    told = problem(editor.post(f"/imports/{number}/undo"), 409, "conflict")
    assert (told["fids"], told["count"]) == ([fid for (fid,) in edited], 2)
    answer = editor.post(f"/imports/{number}/undo", json={"leave_edited": True})
    assert answer.json() == {"deleted": 1, "restored": 1, "left": 2}
    capacities = "SELECT source_id, capacity_persons FROM layers.shelters ORDER BY 1"
    assert query(database, capacities) == [("1", 10), ("2", 99), ("4", 99)]


def test_imports_are_taken_back_one_after_the_other(editor: TestClient, database: str) -> None:
    numbers = []
    for rows in (["1,甲,105,27,10", "2,乙,105,27,20"], ["1,甲,105,27,11", "2,乙,105,27,21", "3,丙,105,27,30"]):
        token = tried(editor, *rows, on_conflict="update")
        numbers.append(editor.post(f"/imports/{token}/commit").json()["import_id"])
    first, second = numbers
    assert problem(editor.post(f"/imports/{first}/undo"), 409, "conflict")["count"] == 2
    assert editor.post(f"/imports/{second}/undo").json() == {"deleted": 1, "restored": 2, "left": 0}
    assert editor.post(f"/imports/{first}/undo").json() == {"deleted": 2, "restored": 0, "left": 0}
    assert query(database, "SELECT count(*) FROM layers.shelters") == [(0,)]


def test_an_answer_at_once_and_the_rest_later(editor: TestClient) -> None:
    answer = editor.post(
        "/imports?layer=shelters", files={"file": ("a.csv", csv(*ROWS))}, headers={"Prefer": "respond-async"}
    )
    assert answer.status_code == 202
    path = answer.headers["location"]
    assert path == f"/imports/{answer.json()['id']}"
    seen = [answer.json()["state"]]
    while seen[-1] == "checking":
        time.sleep(0.05)
        seen.append(editor.get(path).json()["state"])
    assert seen[-1] == "ready"
    assert editor.get(path).json()["answer"]["report"]["imported"] == 3
    started = editor.post(f"{path}/commit", headers={"Prefer": "respond-async"})
    assert (started.status_code, started.json()["state"]) == (202, "importing")
    while (told := editor.get(path).json())["state"] == "importing":
        time.sleep(0.05)
    assert (told["state"], told["answer"]["report"]["imported"]) == ("done", 3)
    path = f"/imports/{tried(editor, *ROWS)}"
    refused = editor.post(path, json={"crs": "EPSG:4545"}, headers={"Prefer": "respond-async"})
    assert refused.status_code == 202
    while (told := editor.get(path).json())["state"] == "checking":
        time.sleep(0.05)
    assert told["state"] == "failed"
    assert (told["problem"]["status"], told["problem"]["parameter"]) == (422, "crs")


def test_uploads_are_forgotten_while_the_service_runs(database: str, home: Path) -> None:
    old = uploads.begin("wang")
    os.utime(old, (time.time() - 7200,) * 2)
    with TestClient(create_app(database)):
        until = time.monotonic() + 10
        while old.exists():
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_layer_of_a_file_and_a_sheet(editor: TestClient) -> None:
    book = openpyxl.Workbook()
    book.active.append(["编号", "名称", "经度", "纬度"])
    book.active.append(["1", "甲", 105, 27])
    other = book.create_sheet("其他")
    for row in (["编号", "名称", "经度", "纬度"], ["2", "乙", 105, 27], ["3", "丙", 105, 27]):
        other.append(row)
    data = io.BytesIO()
    book.save(data)
    told = send(editor, data.getvalue(), "a.xlsx").json()
    assert (told["sheets"], told["report"]["read"]) == (["Sheet", "其他"], 1)
    assert editor.post(f"/imports/{told['id']}", json={"sheet": "其他"}).json()["report"]["read"] == 2


# --- who may


def test_only_editors_import(client: TestClient, database: str) -> None:
    requests = [
        ("POST", "/imports?layer=shelters"), ("POST", f"/imports/{'x' * 32}"), ("POST", f"/imports/{'x' * 32}/commit"),
        ("GET", f"/imports/{'x' * 32}"), ("GET", f"/imports/{'x' * 32}/rejects.csv"), ("GET", "/imports"),
        ("POST", "/imports/1/undo"),
    ]  # fmt: skip
    for method, path in requests:
        problem(client.request(method, path), 401, "sign-in")
    sign_in(client, database, "chen")
    for method, path in requests:
        problem(client.request(method, path), 403, "forbidden")


def test_a_token_is_good_for_its_account_alone(editor: TestClient, database: str) -> None:
    token = tried(editor, *ROWS)
    sign_in(editor, database, "li")
    for path in (token, "x" * 32, token[:-1], f"{token}%00"):
        problem(editor.get(f"/imports/{path}"), 404, "not-found")
    problem(editor.get(f"/imports/{token}/rejects.csv"), 404, "not-found")
    problem(editor.post(f"/imports/{token}", json={"crs": "GCJ-02"}), 404, "not-found")
    problem(editor.post(f"/imports/{token}/commit"), 404, "not-found")
    assert rows_of(database) == []
    sign_in(editor, database, "wang")
    assert editor.post(f"/imports/{token}/commit").status_code == 200


def test_two_uploads_are_two(editor: TestClient, database: str) -> None:
    one, other = tried(editor, "1,甲,105,27,10"), tried(editor, "2,乙,105,27,10")
    assert one != other
    assert editor.post(f"/imports/{other}/commit").json()["report"]["imported"] == 1
    assert [row[0] for row in rows_of(database)] == ["2"]
    assert editor.post(f"/imports/{one}/commit").json()["report"]["imported"] == 1


def test_an_upload_outlives_the_service(editor: TestClient, database: str) -> None:
    token = tried(editor, *ROWS)
    with TestClient(create_app(database)) as anew:
        anew.headers.update(editor.headers)
        assert anew.post(f"/imports/{token}/commit").json()["report"]["imported"] == 3


# --- requests that are wrong


def multipart(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts) + end


FILE = 'Content-Disposition: form-data; name="file"; filename="a.csv"'
OTHER_FILE = FILE.replace('"file"', '"f"')
WRONG_FORMS: list[tuple[str, str, bytes, str]] = [
    ("JSON", "application/json", b"{}", "no form"),
    ("no boundary", "multipart/form-data", b"", "no form"),
    ("long boundary", "multipart/form-data; boundary=" + "x" * 100, b"", "no form"),
    ("nothing", "multipart/form-data; boundary=x", b"", "middle"),
    ("other boundary", "multipart/form-data; boundary=y", multipart((FILE, b"a")), "cannot be read"),
    ("cut", "multipart/form-data; boundary=x", multipart((FILE, b"a"), end=b""), "middle"),
    ("no file", "multipart/form-data; boundary=x", multipart(), "no file"),
    ("a field", "multipart/form-data; boundary=x",
     multipart(('Content-Disposition: form-data; name="file"', b"a")), "no file"),
    ("two files", "multipart/form-data; boundary=x", multipart((FILE, b"a"), (FILE, b"a")), "a file is sent"),
    ("another name", "multipart/form-data; boundary=x", multipart((OTHER_FILE, b"a")), "sent as 'f'"),
    ("no name", "multipart/form-data; boundary=x", multipart(("Content-Type: text/csv", b"a")), "has no name"),
    ("a field twice", "multipart/form-data; boundary=x",
     multipart(*[('Content-Disposition: form-data; name="crs"', b"a")] * 2), "more than once"),
    ("many fields", "multipart/form-data; boundary=x",
     multipart(*[(f'Content-Disposition: form-data; name="f{n}"', b"a") for n in range(30)]), "more than once"),
    ("a long field", "multipart/form-data; boundary=x",
     multipart(('Content-Disposition: form-data; name="map"', b"a" * (2 << 20))), "too long"),
    ("an unknown field", "multipart/form-data; boundary=x",
     multipart((FILE, b"a"), ('Content-Disposition: form-data; name="rejects"', b"/etc/x")), "no option 'rejects'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body", "words"), [row[1:] for row in WRONG_FORMS], ids=[row[0] for row in WRONG_FORMS]
)
def test_wrong_forms(editor: TestClient, home: Path, kind: str, body: bytes, words: str) -> None:
    answer = editor.post("/imports?layer=shelters", content=body, headers={"Content-Type": kind})
    assert words in problem(answer, 400, "invalid-value")["detail"]
    assert list((home / "home" / "uploads").iterdir()) == []


def test_wrong_parameters(editor: TestClient, home: Path) -> None:
    for parameters, status, slug in [
        ("", 400, "invalid-value"),
        ("layer=absent", 404, "not-found"),
        ("layer=shelters&on_conflict=fight", 400, "invalid-value"),
        ("layer=shelters&dry_run=no", 400, "invalid-value"),
        ("layer=shelters&layer=experts", 400, "invalid-value"),
    ]:
        problem(send(editor, csv(*ROWS), query=parameters), status, slug)
    problem(send(editor, csv(*ROWS), query="layer=shelters&crs=GCJ-02", crs="BD-09"), 400, "invalid-value")
    assert list((home / "home" / "uploads").iterdir()) == []
    problem(send(editor, csv(*ROWS), query="layer=shelters&crs=EPSG:999999"), 400, "invalid-value")
    assert problem(send(editor, b""), 422, "import-refused")["detail"] == "a.csv is empty"


def test_what_is_too_large(editor: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "BYTES_AT_MOST", 1 << 20)
    for size in ((1 << 20) + 1, 6 << 20):  # the second is refused by what it says of its length
        answer = send(editor, b"x" * size)
        told = problem(answer, 413, "request-entity-too-large")
        assert "larger than 1 MB" in told["detail"]
    assert list((home / "home" / "uploads").iterdir()) == []


def test_201_megabytes(editor: TestClient, home: Path) -> None:
    answer = send(editor, bytes(201 << 20))
    assert "larger than 200 MB" in problem(answer, 413, "request-entity-too-large")["detail"]
    assert list((home / "home" / "uploads").iterdir()) == []


def test_wrong_bodies(editor: TestClient) -> None:
    token = tried(editor, *ROWS)
    for body in (
        "x",
        "[]",
        '{"reason": 1}',
        '{"crs": "GCJ-02"}',
        '{"reason": "\\u0000"}',
        json.dumps({"reason": "x" * 3000}),
    ):
        problem(editor.post(f"/imports/{token}/commit", content=body), 400, "invalid-value")
    for body in ("x", "[]", '{"crs": 1}', '{"layer": 1}', '{"file": "/etc/passwd"}', '{"map": []}'):
        problem(editor.post(f"/imports/{token}", content=body), 400, "invalid-value")
    problem(editor.post(f"/imports/{token}", json={"layer": "absent"}), 404, "not-found")
    for number in ("0", "999999", "9" * 30, "x", "-1"):
        problem(editor.post(f"/imports/{number}/undo"), 404, "not-found")
    for body in ("x", '{"leave_edited": 1}', '{"left": true}'):
        problem(editor.post("/imports/1/undo", content=body), 400, "invalid-value")
    problem(editor.get("/imports?limit=0"), 400, "invalid-value")
    problem(editor.get("/imports?layer=absent"), 404, "not-found")
    problem(editor.get(f"/imports/{token}?x=1"), 400, "unknown-parameter")


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/vsicurl/http://x/a.csv", "a\0b.csv", "a.zip!b", "名" * 300])
def test_odd_names_of_files(editor: TestClient, home: Path, name: str) -> None:
    told = send(editor, csv(*ROWS), name)
    assert told.status_code == 200, told.text
    upload = home / "home" / "uploads" / told.json()["id"]
    assert [path.parent for path in upload.rglob("*") if path.is_file() and path.parent.name == "file"] == [
        upload / "file"
    ]
