"""A layer as a file, over HTTP: who gets what, names, filters, refusals, and how many at once."""

from __future__ import annotations

import csv
import io
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from api.routes import export
from layers import accounts
from layers.database import transaction
from tests.gis.rows import put

PATH = "/collections/shelters/export"


def bearer(url: str) -> dict[str, str]:
    """The header of somebody who may read everything."""
    with transaction(url) as cursor:
        cursor.execute("DELETE FROM leeward.accounts")
        accounts.add(cursor, "reader", "reader", "correct horse battery")
        return {"Authorization": f"Bearer {accounts.make_token(cursor, 'reader')}"}


def shelters(url: str) -> None:
    put(
        url, "shelters",
        {"source_id": "1", "name": "河东小学", "status": "open", "contact_phone": "13900000000", "at": (105.25, 27.5)},
        {"source_id": "2", "name": "=1+1", "status": "closed", "at": (106, 28)},
        {"source_id": "3", "name": "保密", "withheld": True, "at": (105.25, 27.5)},
    )  # fmt: skip


def cells(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def report(answer: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(answer.headers["leeward-report"])
    return told


@pytest.mark.parametrize(
    ("form", "mark"),
    [
        ("gpkg", b"SQLite format 3"), ("geojson", b'{"type":"FeatureCollection"'), ("parquet", b"PAR1"),
        ("fgb", b"fgb"), ("shp", b"PK"), ("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK"),
    ],
)  # fmt: skip
def test_every_format(client: TestClient, database: str, form: str, mark: bytes) -> None:
    shelters(database)
    answer = client.get(PATH, params={"format": form})
    assert answer.status_code == 200
    assert answer.content.startswith(mark)
    assert answer.headers["content-type"] == export.MEDIA_TYPES[form]
    assert answer.headers["cache-control"] == "no-store"
    assert report(answer)["rows"] == 2


def test_the_files_name_is_chinese(client: TestClient, database: str) -> None:
    shelters(database)
    name = client.get(PATH, params={"format": "shp"}).headers["content-disposition"]
    assert name.startswith("attachment; filename=\"shelters.zip\"; filename*=UTF-8''")
    assert name.isascii()
    assert unquote(name).rpartition("'")[2].startswith("应急避难场所_20")
    put(database, "shelters", {"source_id": "4", "at": (105, 27)}, source="sample")
    name = client.get(PATH, params={"format": "csv"}).headers["content-disposition"]
    assert unquote(name).rpartition("'")[2].startswith("样例_应急避难场所_")


def test_who_signs_in_gets_everything(client: TestClient, database: str) -> None:
    shelters(database)
    public = client.get(PATH, params={"format": "csv"})
    assert {row["source_id"] for row in cells(public)} == {"1", "2"}
    assert "13900000000" not in public.text
    assert "contact_phone" not in cells(public)[0]
    inside = client.get(PATH, params={"format": "csv"}, headers=bearer(database))
    assert {row["source_id"] for row in cells(inside)} == {"1", "2", "3"}
    assert cells(inside)[0]["contact_phone"] == "13900000000"
    assert "authorization" in inside.headers["vary"].lower()


def test_filters_and_headings(client: TestClient, database: str) -> None:
    shelters(database)
    given = {"format": "csv", "headings": "zh", "status": "open"}
    (row,) = cells(client.get(PATH, params=given))
    assert (row["名称"], row["经度"]) == ("河东小学", "105.25")
    assert len(cells(client.get(PATH, params={"format": "csv", "bbox": "105,27,105.5,28"}))) == 1
    (row,) = cells(client.get(PATH, params={"format": "csv", "status": "closed"}))
    assert row["name"] == "'=1+1"
    answer = client.get(PATH, params={"format": "csv", "crs": "GCJ-02"})
    assert {row["leeward_crs"] for row in cells(answer)} == {"GCJ-02"}
    assert any("GCJ-02" in note for note in report(answer)["notes"])


def test_moments_and_increments(client: TestClient, database: str) -> None:
    shelters(database)
    version = report(client.get(PATH, params={"format": "csv"}))["version"]
    with transaction(database) as cursor:
        cursor.execute("SELECT to_char(max(recorded_at), 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF:00') FROM leeward.changes")
        then = cursor.fetchone()[0]
    with transaction(database) as cursor:
        cursor.execute("DELETE FROM layers.shelters WHERE source_id = '1'")
    assert len(cells(client.get(PATH, params={"format": "csv"}))) == 1
    assert len(cells(client.get(PATH, params={"format": "csv", "as_of": then}))) == 2
    (row,) = cells(client.get(PATH, params={"format": "csv", "since": version}))
    assert (row["source_id"], row["leeward_operation"]) == ("1", "delete")


@pytest.mark.parametrize(
    "given",
    [
        {}, {"format": "dxf"}, {"format": "csv", "crs": "nonsense"}, {"format": "geojson", "crs": "EPSG:4490"},
        {"format": "csv", "headings": "fr"}, {"format": "csv", "profile": "nobody"}, {"format": "csv", "since": "x"},
        {"format": "csv", "since": "999999999"}, {"format": "csv", "since": "-1"}, {"format": "csv", "limit": "3"},
        {"format": "csv", "cursor": "x"}, {"format": "csv", "properties": "name"}, {"format": "csv", "no_such": "x"},
        {"format": "csv", "contact_phone": "13900000000"}, {"format": "csv", "as_of": "yesterday"},
        {"format": "csv", "status": "nonsense"}, {"format": "csv", "bbox": "1,2"},
        {"format": "csv", "since": "0", "as_of": "2026-01-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_a_problem(client: TestClient, database: str, given: dict[str, str]) -> None:
    shelters(database)
    answer = client.get(PATH, params=given)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"detail", "parameter"} <= set(answer.json())


def test_layers_that_there_are_none(client: TestClient) -> None:
    assert client.get("/collections/nothing/export?format=csv").status_code == 404


def test_a_layer_without_geometry(client: TestClient, database: str) -> None:
    (depot,) = put(database, "supply_depots", {"source_id": "d", "name": "库", "at": (105, 27)})
    put(database, "stock", {"depot": depot, "item_name": "帐篷"})
    (row,) = cells(client.get("/collections/stock/export?format=csv"))
    assert (row["depot"], row["item_name"]) == ("d", "帐篷")
    assert "lon" not in row
    with zipfile.ZipFile(io.BytesIO(client.get("/collections/stock/export?format=shp").content)) as archive:
        assert "stock.dbf" in archive.namelist()


def test_few_files_are_written_at_once(client: TestClient, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shelters(database)
    writing, go_on = threading.Semaphore(0), threading.Event()
    true = export.export_file

    def slow(*given: Any) -> Any:
        writing.release()
        assert go_on.wait(60)
        return true(*given)

    monkeypatch.setattr(export, "export_file", slow)
    with ThreadPoolExecutor(export.AT_ONCE) as pool:
        running = [pool.submit(client.get, PATH, params={"format": "csv"}) for _ in range(export.AT_ONCE)]
        for _ in running:
            assert writing.acquire(timeout=60)
        refused = client.get(PATH, params={"format": "csv"})
        go_on.set()
        assert [one.result().status_code for one in running] == [200] * export.AT_ONCE
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert client.get(PATH, params={"format": "csv"}).status_code == 200  # the places are free again


def test_no_file_is_left_behind(
    client: TestClient, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelters(database)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    assert client.get(PATH, params={"format": "gpkg"}).status_code == 200
    assert client.get(PATH, params={"format": "gpkg", "crs": "nonsense"}).status_code == 400
    assert set(tmp_path.iterdir()) == before
