"""Import: every row accounted for, in one transaction, whatever the file holds."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers import importing, reading
from layers.catalog import catalog
from layers.database import transaction
from layers.errors import ImportRefused, InvalidValue, NotFound
from layers.importing import Options, Report, import_file, import_frames

HEADING = "编号,名称,经度,纬度,可容纳人数"
SOURCE = catalog()["shelters"].source


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    with transaction(url) as cursor:
        cursor.execute(text)
        return list(cursor.fetchall()) if cursor.description else []


def write(folder: Path, lines: str | Iterable[str], name: str = "file.csv") -> Path:
    path = folder / name
    path.write_text(lines if isinstance(lines, str) else "\n".join(lines) + "\n", encoding="utf-8")
    return path


def take(url: str, path: Path, layer: str = "shelters", **options: Any) -> Report:
    """The report of an import, its counts checked against each other and against the file of rejected rows."""
    options.setdefault("rejects", path.with_suffix(".rejects.csv"))
    report = import_file(url, layer, path, Options(**options))
    assert report.read == report.imported + report.updated + report.unchanged + report.rejected
    assert sum(report.reasons.values()) == report.rejected
    assert (report.rejects_file is None) == (report.rejected == 0)
    if report.rejects_file is not None:
        assert len(rejected(report)) == report.rejected
    return report


def rejected(report: Report) -> list[dict[str, str]]:
    assert report.rejects_file is not None
    with Path(report.rejects_file).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def counts(report: Report) -> tuple[int, int, int, int, int]:
    return report.read, report.imported, report.updated, report.unchanged, report.rejected


def indexes(url: str, layer: str) -> set[str]:
    return {name for table, name in query(url, "SELECT tablename, indexname FROM pg_indexes") if table == layer}


# --- what is imported, flagged and rejected


def test_rows_are_imported_flagged_and_rejected(database: str, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [
            HEADING,
            '1,甲,105.1,27.1,"1,844"',
            "2,乙,105.2,27.2,0",
            "3,丙,105.3,27.3,约30",
            "4,丁,,27.4,1",
            "5,戊,0,27.5,1",
            "6,己,105.6,91,1",
            "7,庚,27.7,105.7,1",
            "8,辛,105.8,27.8,-1",
            "9,壬,105.9,27.9,1,2",
            "",
            "10,癸,105,27",
        ],
    )
    report = take(database, path)
    assert counts(report) == (10, 4, 0, 0, 6)
    assert query(
        database, "SELECT source_id, capacity_persons, flags, unread, row_no FROM layers.shelters ORDER BY 5"
    ) == [
        ("1", 1844, [], None, 2),
        ("2", 0, ["capacity_zero"], None, 3),
        ("3", None, ["unread"], {"可容纳人数": "约30"}, 4),
        ("10", None, [], None, 12),
    ]
    assert (report.flags, report.unread) == ({"capacity_zero": 1, "unread": 1}, {"可容纳人数": 1})
    assert report.unread_examples == [{"row": 4, "column": "可容纳人数", "value": "约30"}]
    found = {row["leeward_row"]: row for row in rejected(report)}
    assert set(found) == {"5", "6", "7", "8", "9", "10"}
    assert found["8"]["leeward_proposal"] == "105.7,27.7"
    assert found["5"]["leeward_column"] == "经度, 纬度"
    assert found["9"]["leeward_column"] == "可容纳人数"
    assert [found["10"][heading] for heading in HEADING.split(",")] == ["9", "壬", "105.9", "27.9", "1"]
    assert found["10"][None] == ["2"]  # type: ignore[index]  # csv keeps surplus cells under None


def test_a_second_import_of_the_same_file_changes_nothing(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, [HEADING, "1,甲,105.1,27.1,0", ",乙,105.2,27.2,x", ",,105.3,27.3,5", "4,丁,0,27.4,1"])
    assert counts(take(database, path)) == (4, 3, 0, 0, 1)
    before = query(database, "SELECT * FROM layers.shelters ORDER BY fid")
    for update in (False, True):
        assert counts(take(database, path, update=update)) == (4, 0, 0, 3, 1)
        assert query(database, "SELECT * FROM layers.shelters ORDER BY fid") == before


def test_two_rows_with_one_key(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, [HEADING, "1,甲,105,27,10", "1,甲,105,27,20", "1,甲,105,27,10", "2,乙,105,27,10"])
    report = take(database, path)
    assert counts(report) == (4, 2, 0, 1, 1)
    assert [row["leeward_row"] for row in rejected(report)] == ["3"]
    assert "row 2 was taken" in rejected(report)[0]["leeward_reason"]


def test_rows_without_an_id_are_matched_by_name_and_address(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, ["名称,地址,经度,纬度", "甲,东街,105,27", "甲,西街,105,27", "甲,东街,105.1,27"])
    assert counts(take(database, path)) == (3, 2, 0, 0, 1)


def test_rows_without_an_id_or_name_are_matched_by_the_whole_row(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, ["经度,纬度,可容纳人数", "105,27,10", "105,27,20", "105,27,10"])
    assert counts(take(database, path)) == (3, 2, 0, 1, 0)
    assert counts(take(database, path)) == (3, 0, 0, 3, 0)


def test_two_places_of_one_name_without_addresses_are_two(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, ["名称,经度,纬度", "活动中心,105.1,27.1", "活动中心,106.1,27.9"])
    assert counts(take(database, path)) == (2, 2, 0, 0, 0)


def test_a_dry_run_reports_and_writes_nothing(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, [HEADING, "1,甲,105,27,10", "2,乙,0,27,10"])
    assert counts(take(database, path, dry_run=True)) == (2, 1, 0, 0, 1)
    assert query(database, "SELECT count(*) FROM layers.shelters") == [(0,)]
    assert query(database, "SELECT count(*) FROM leeward.imports") == [(0,)]


@pytest.mark.parametrize("rows", [[], ["1,甲,105,27,10"]])
def test_nobody_waits_for_a_dry_run(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[str]
) -> None:
    monkeypatch.setattr(importing, "LARGE_BYTES", 0)  # a large file into an empty layer would lock it
    take(database, write(tmp_path, [HEADING, *rows]))
    done = []

    def meanwhile(*_: object) -> None:
        query(database, "SET lock_timeout = '2s'; SELECT count(*) FROM layers.shelters")
        with transaction(database, "li") as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'; LOCK TABLE layers.shelters IN SHARE ROW EXCLUSIVE MODE")
        monkeypatch.undo()
        done.append(take(database, path, update=True, rejects=tmp_path / "other.csv"))

    path = write(tmp_path, [HEADING, "1,甲,105,27,11", "2,乙,105,27,20", "3,丙,0,27,1"])
    options = Options(dry_run=True, update=True, rejects=tmp_path / "rejects.csv")
    tried = import_file(database, "shelters", path, options, before_end=meanwhile)
    assert counts(tried) == counts(done[0]) == (3, 2 - len(rows), len(rows), 0, 1)


def test_readers_need_not_wait_for_an_import(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "LARGE_BYTES", 0)
    counted = []

    def meanwhile(*_: object) -> None:
        counted.extend(query(database, "SET lock_timeout = '2s'; SELECT count(*) FROM layers.shelters"))

    path = write(tmp_path, [HEADING, "1,甲,105,27,11"])
    import_file(database, "shelters", path, Options(beside_readers=True), before_end=meanwhile)
    assert counted == [(0,)]
    assert query(database, "SELECT count(*) FROM layers.shelters") == [(1,)]


def test_what_the_database_would_refuse_is_refused_by_a_dry_run(database: str, tmp_path: Path) -> None:
    with transaction(database) as cursor:
        cursor.execute("ALTER TABLE layers.shelters ADD CONSTRAINT small CHECK (capacity_persons < 100)")
    for dry_run in (True, False):
        with pytest.raises(ImportRefused, match="small"):
            take(database, write(tmp_path, [HEADING, "1,甲,105,27,100"]), dry_run=dry_run)


def test_who_imports_and_why(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, [HEADING, "1,甲,105,27,10"])
    report = take(database, path, author="cli: wang", reason="spring survey")
    assert query(database, "SELECT id, author FROM leeward.imports") == [(report.import_id, "cli: wang")]
    assert query(database, "SELECT author, reason, import_id FROM leeward.changes") == [
        ("cli: wang", "spring survey", report.import_id)
    ]
    assert take(database, path, dry_run=True, author="cli: wang").import_id is None
    take(database, path)
    assert query(database, "SELECT author FROM leeward.imports ORDER BY id DESC LIMIT 1")[0][0].startswith("psql: ")


def test_the_import_is_recorded(database: str, tmp_path: Path) -> None:
    report = take(
        database, write(tmp_path, [HEADING, "1,甲,105,27,10", "2,乙,0,27,10"]), source="office", licence="CC0"
    )
    found = query(
        database, "SELECT file_name, length(file_sha256), crs, counts->>'rejected', source FROM leeward.imports"
    )
    assert found == [("file.csv", 64, "EPSG:4326", "1", "office")]
    assert query(database, "SELECT licence FROM leeward.sources WHERE id = 'office'") == [("CC0",)]
    assert report.source == "office"


# --- rows that are there already


def test_a_row_with_other_values_is_rejected_or_replaces_them(database: str, tmp_path: Path) -> None:
    take(database, write(tmp_path, [HEADING, "1,甲,105,27,10", "2,乙,105,27,10"]))
    newer = write(tmp_path, [HEADING, "1,甲,105,27,99", "2,乙,105,27,10", "3,丙,105,27,10"], "newer.csv")
    report = take(database, newer)
    assert counts(report) == (3, 1, 0, 1, 1)
    assert "--on-conflict update" in rejected(report)[0]["leeward_reason"]
    assert counts(take(database, newer, update=True)) == (3, 0, 1, 2, 0)
    assert query(database, "SELECT capacity_persons FROM layers.shelters WHERE source_id = '1'") == [(99,)]


def test_a_file_that_lacks_a_column_keeps_the_old_values(database: str, tmp_path: Path) -> None:
    first = ["编号,名称,记录类别,灾种,经度,纬度", "1,李家湾,灾害事件,滑坡,105,27"]
    take(database, write(tmp_path, first), "hazard_points")
    newer = write(tmp_path, ["编号,威胁人数,经度,纬度", "1,24,105,27"], "newer.csv")
    assert counts(take(database, newer, "hazard_points", update=True)) == (1, 0, 1, 0, 0)
    assert query(
        database, "SELECT name, name_initials, record_kind, hazard, threatened_persons FROM layers.hazard_points"
    ) == [("李家湾", "ljw", "past_event", "landslide", 24)]


def test_an_empty_cell_of_a_column_makes_the_value_unknown(database: str, tmp_path: Path) -> None:
    take(database, write(tmp_path, [HEADING, "1,甲,105,27,10"]))
    take(database, write(tmp_path, [HEADING, "1,甲,105,27,"], "newer.csv"), update=True)
    assert query(database, "SELECT capacity_persons FROM layers.shelters") == [(None,)]


# --- rejected rows, mended


def mended(report: Report, folder: Path, changes: dict[str, str]) -> Path:
    rows = rejected(report)
    path = folder / "mended.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, **changes} for row in rows)
    return path


def test_what_ends_before_it_starts_is_rejected(database: str, tmp_path: Path) -> None:
    lines = [
        "名称,经度,纬度,起,止",
        "a,105,27,2026-11-28 10:00,2026-11-28 12:00",
        "b,105,27,2026-11-28 10:00,2026-11-28 08:00",
        "c,105,27,,2026-11-28 08:00",
        "d,105,27,2026-11-28 10:00,",
    ]
    report = take(database, write(tmp_path, lines), "road_closures", area="any")
    assert (report.imported, report.rejected) == (3, 1)
    (row,) = rejected(report)
    assert "before" in " ".join(str(value) for value in row.values())


def test_rejected_rows_of_a_csv_file_can_be_mended(database: str, tmp_path: Path) -> None:
    report = take(database, write(tmp_path, [HEADING, "1,甲,105,27,10", '2,"乙, 丙\n丁",27,105,10']))
    assert counts(take(database, mended(report, tmp_path, {"经度": "105", "纬度": "27"}))) == (1, 1, 0, 0, 0)
    assert query(database, "SELECT name, ST_X(geom) FROM layers.shelters WHERE source_id = '2'") == [
        ("乙, 丙\n丁", 105)
    ]


def test_rejected_rows_stay_in_the_crs_of_the_file(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, [HEADING, "1,甲,105.28,27.3,10", "2,乙,105.28,0,10"])
    report = take(database, path, crs="GCJ-02")
    again = take(database, mended(report, tmp_path, {"纬度": "27.3"}))
    assert again.crs == "GCJ-02"
    assert query(database, "SELECT count(DISTINCT geom), count(*) FROM layers.shelters") == [(1, 2)]


def test_rejected_rows_of_a_vector_file_can_be_mended(database: str, tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(
        {"name": ["甲", "乙"], "lon": [1, 2], "lat": [3, 4]},
        geometry=[shapely.Point(250_000, 2_700_000), None],
        crs=3826,
    )
    frame.to_file(tmp_path / "file.gpkg")
    report = take(database, tmp_path / "file.gpkg")
    assert counts(report) == (2, 1, 0, 0, 1)
    again = take(database, mended(report, tmp_path, {"leeward_wkt": "POINT (250000 2700000)"}))
    assert counts(again) == (1, 1, 0, 0, 0)
    assert query(database, "SELECT count(DISTINCT geom), count(*) FROM layers.shelters") == [(1, 2)]


def test_rejects_that_are_not_mended_are_rejected_again_beside_themselves(database: str, tmp_path: Path) -> None:
    report = take(database, write(tmp_path, [HEADING, "1,甲,0,27,10"]))
    path = Path(str(report.rejects_file))
    again = take(database, path, rejects=path)
    assert counts(again) == (1, 0, 0, 0, 1)
    assert again.rejects_file != str(path)
    assert path.exists()


def test_nothing_is_imported_when_the_rejects_cannot_be_written(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, [HEADING, "1,甲,105,27,10", "2,乙,0,27,10"])
    with pytest.raises(ImportRefused, match="No such file"):
        take(database, path, rejects=tmp_path / "missing" / "rejects.csv")
    assert query(database, "SELECT count(*) FROM layers.shelters") == [(0,)]


# --- area and declared area


@pytest.fixture
def counties(database: str, tmp_path: Path) -> str:
    """A database with two counties side by side and a township in each."""
    box = "POLYGON (({0} 27, {1} 27, {1} 28, {0} 28, {0} 27))"
    rows = [
        ["code", "name", "parent_code", "parent_name", "level", "wkt"],
        ["A1", "东镇", "A", "甲县", "township", box.format(105, 106)],
        ["B1", "西镇", "B", "乙县", "township", box.format(106, 107)],
        ["A", "甲县", "", "", "county", box.format(104, 106)],
    ]
    path = tmp_path / "areas.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    assert counts(take(database, path, "admin_areas")) == (3, 3, 0, 0, 0)
    return database


def test_rows_outside_the_area_are_rejected(counties: str, tmp_path: Path) -> None:
    path = write(tmp_path, [HEADING, "1,甲,105.5,27.5,1", "2,乙,106.5,27.5,1", "3,丙,27.5,105.5,1"])
    assert counts(take(counties, path, area="A1", dry_run=True)) == (3, 1, 0, 0, 2)
    assert counts(take(counties, path, area="B", dry_run=True)) == (3, 1, 0, 0, 2)
    assert counts(take(counties, path, area="106,27,107,28", dry_run=True)) == (3, 1, 0, 0, 2)
    assert counts(take(counties, path, area="any", dry_run=True)) == (3, 2, 0, 0, 1)


@pytest.mark.parametrize("area", ["no such code", "1,2", "1,2,3,x"])
def test_areas_that_are_none(database: str, tmp_path: Path, area: str) -> None:
    with pytest.raises(InvalidValue):
        take(database, write(tmp_path, [HEADING, "1,甲,105,27,1"]), area=area)


def test_rows_in_another_area_than_they_declare_are_flagged(counties: str, tmp_path: Path) -> None:
    declared = {
        "1": ("甲县东镇", 105.5), "2": ("乙县西镇", 105.5), "3": ("甲县西镇", 105.5), "4": ("西镇", 105.5),
        "5": ("东镇", 105.5), "6": ("别县", 105.5), "7": ("乙县", 120), "8": ("", 105.5), "9": ("甲县", 106),
        "X": ("甲县东镇", 104.5),
    }  # fmt: skip
    rows = [f"{number},{text},{lon},27.5" for number, (text, lon) in declared.items()]
    report = take(counties, write(tmp_path, ["编号,所在区划,经度,纬度", *rows]))
    flagged = query(counties, "SELECT source_id FROM layers.shelters WHERE 'location_doubt' = ANY (flags) ORDER BY 1")
    assert flagged == [("2",), ("4",)]
    assert report.flags == {"location_doubt": 2}


# --- the whole file


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("名称,地址\n甲,东街\n", {}),
        ("经度,纬度\n105,27\n", {}),
        (f"{HEADING}\n1,甲,250000,2700000,1\n", {}),
        (f"{HEADING}\n1,甲,250000,2700000,1\n", {"crs": "EPSG:4326"}),
        (f"{HEADING}\n1,甲,105,27,1\n", {"crs": "EPSG:3826"}),
    ],
)
def test_files_that_make_no_sense_as_a_whole_are_refused(
    database: str, tmp_path: Path, text: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ImportRefused):
        take(database, write(tmp_path, text), **options)
    assert query(database, "SELECT count(*) FROM leeward.imports") == [(0,)]


@pytest.mark.parametrize(
    "options",
    [
        {"crs": "nonsense"},
        {"source": "sample"},
        {"columns": {"no such": "name"}},
        {"constants": {"no such": "1"}},
        {"constants": {"class": "nonsense"}},
    ],
)
def test_options_that_make_no_sense_are_refused(database: str, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        take(database, write(tmp_path, [HEADING, "1,甲,105,27,1"]), **options)


def test_an_unknown_layer_is_refused(database: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        take(database, write(tmp_path, [HEADING]), "no_such_layer")


def test_what_postgresql_refuses_is_told_in_the_projects_own_words(database: str, tmp_path: Path) -> None:
    code = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))
    box = '"POLYGON ((105 27, 106 27, 106 28, 105 27))"'
    path = write(tmp_path, ["wkt,名称,上级代码", f"{box},甲,1", f"{box},乙,{code}"])
    with pytest.raises(ImportRefused, match="the database refuses a row"):
        take(database, path, "admin_areas")
    assert query(database, "SELECT count(*) FROM layers.admin_areas") == [(0,)]


def test_characters_that_the_database_cannot_hold(database: str, tmp_path: Path) -> None:
    path = write(
        tmp_path, [HEADING, "1,甲\x00,105,27,1", "2,乙,105,27,1\x002", '3,"丙\n\\.\n\\N",105,27,3', "4,🏫,105,27,4"]
    )
    assert counts(take(database, path)) == (4, 3, 0, 0, 1)
    assert query(database, "SELECT source_id, name, unread FROM layers.shelters ORDER BY 1") == [
        ("2", "乙", {"可容纳人数": "1\ufffd2"}),
        ("3", "丙\n\\.\n\\N", None),
        ("4", "🏫", None),
    ]


def test_the_order_of_day_and_month_is_one_for_the_whole_file(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 200)
    rows = [f"{number},3/4/2020,105,27" for number in range(1, 60)]
    path = write(tmp_path, ["编号,发生时间,经度,纬度", *rows, "60,13/4/2020,105,27"])
    take(database, path, "hazard_points")
    assert query(database, "SELECT occurred_on::text, count(*) FROM layers.hazard_points GROUP BY 1 ORDER BY 1") == [
        ("2020-04-03", 59),
        ("2020-04-13", 1),
    ]


def test_constants_fill_what_the_file_leaves_empty(database: str, tmp_path: Path) -> None:
    path = write(tmp_path, ["编号,类别,经度,纬度", "1,长期,105,27", "2,,105,27"])
    take(database, path, constants={"class": "短期", "level": "县级"})
    assert query(database, "SELECT source_id, class, level FROM layers.shelters ORDER BY 1") == [
        ("1", "long", "county"),
        ("2", "short", "county"),
    ]


def test_rows_point_to_items_of_another_layer_by_name(database: str, tmp_path: Path) -> None:
    depots = write(
        tmp_path, ["名称,地址,经度,纬度", "甲库,东街,105,27", "乙库,东街,105,27", "乙库,西街,105,27"], "depots.csv"
    )
    take(database, depots, "supply_depots")
    stock = write(
        tmp_path, ["储备库,物资名称,数量", "甲库,帐篷,120", "乙库,帐篷,1", "丙库,帐篷,1", ",帐篷,1"], "stock.csv"
    )
    report = take(database, stock, "stock")
    assert counts(report) == (4, 1, 0, 0, 3)
    assert set(report.reasons) == {
        "several items of supply_depots so called", "no item of supply_depots so called", "depot is missing",
    }  # fmt: skip


def test_an_item_of_a_frame_that_is_not_there_is_rejected(database: str) -> None:
    stock = pd.DataFrame({"depot": ["none"], "item_name": ["帐篷"], "source_id": ["1"]})
    with transaction(database) as cursor:
        report = import_frames(cursor, {"stock": stock}, "test", SOURCE)["stock"]
    assert (report.read, report.imported, report.rejected) == (1, 0, 1)
    assert report.reasons == {"no item of supply_depots so called": 1}


# --- large files, interruptions, and several imports at once


def messy(folder: Path, count: int = 400, name: str = "messy.csv", prefix: str = "H") -> Path:
    """A file with duplicates, repeats, rejects and rows without a key."""
    rows = []
    for number in range(count):
        odd = number % 10
        key = f"{prefix}{number - odd}" if odd in (3, 4) else "" if odd == 5 else f"{prefix}{number}"
        place = "0,27" if odd == 6 else f"{105 + (number if odd != 4 else number - 4) / 1000},27"
        rows.append(f"{key},{'' if odd == 5 else '同名' if odd == 4 else key},{place},{0 if odd in (0, 4) else 5}")
        if odd == 4:
            rows[-1] = rows[-5]
        if odd == 5:
            rows.append(rows[-1])
    return write(folder, [HEADING, *rows], name)


def test_a_large_file_goes_to_an_empty_layer_with_the_same_result(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = messy(tmp_path)
    what = (
        "SELECT row_no, source_id, name, capacity_persons, flags, geom, name_initials FROM layers.shelters ORDER BY 1"
    )
    before = indexes(database, "shelters")
    results = []
    for large in (0, 1 << 40):
        monkeypatch.setattr(importing, "LARGE_BYTES", large)
        query(database, "DELETE FROM layers.shelters")
        report = take(database, path)
        results.append((counts(report), report.flags, report.reasons, rejected(report), query(database, what)))
        assert indexes(database, "shelters") == before
        assert counts(take(database, path))[3] == report.imported + report.unchanged
    assert results[0] == results[1]
    assert results[0][0] == (440, 280, 0, 80, 80)


def test_a_large_file_into_a_layer_that_others_point_to_deletes_nothing_of_theirs(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "LARGE_BYTES", 0)
    query(database, "CREATE TABLE layers.vehicles (depot bigint REFERENCES layers.supply_depots)")
    query(database, "INSERT INTO layers.vehicles VALUES (NULL)")
    path = write(tmp_path, ["编号,名称,经度,纬度", "1,甲库,105,27", "1,甲库,105,28"])
    assert counts(take(database, path, "supply_depots")) == (2, 1, 0, 0, 1)
    assert query(database, "SELECT count(*) FROM layers.vehicles") == [(1,)]


INTERRUPTED = """
import sys
from pathlib import Path
from layers import importing, reading
importing.LARGE_BYTES, reading.BLOCK_BYTES = int(sys.argv[3]), 4096
def stop(ratio):
    if ratio > 0.3:
        print("copying", flush=True)
        sys.stdin.read()
importing.import_file(sys.argv[1], "shelters", Path(sys.argv[2]), progress=stop)
"""


@pytest.mark.parametrize("large_bytes", [0, 1 << 40])
def test_an_interrupted_import_leaves_nothing(database: str, tmp_path: Path, large_bytes: int) -> None:
    path, before = messy(tmp_path, 2000), indexes(database, "shelters")
    command = [sys.executable, "-c", INTERRUPTED, database, str(path), str(large_bytes)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"copying\n"
        os.kill(process.pid, signal.SIGKILL)
    assert query(database, "SELECT count(*) FROM layers.shelters") == [(0,)]
    assert indexes(database, "shelters") == before
    assert query(database, "SELECT count(*) FROM leeward.imports") == [(0,)]
    assert take(database, path).imported == 1400


@pytest.mark.parametrize("large_bytes", [0, 1 << 40])
def test_two_imports_of_one_layer_at_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large_bytes: int
) -> None:
    monkeypatch.setattr(importing, "LARGE_BYTES", large_bytes)
    paths = [messy(tmp_path, 400, "one.csv"), messy(tmp_path, 800, "two.csv")]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda path: take(database, path), paths))
    assert query(database, "SELECT count(*) FROM layers.shelters") == [(sum(report.imported for report in reports),)]
    assert sum(report.imported for report in reports) == 560


def test_imports_of_several_layers_in_any_order_do_not_wait_for_each_other(database: str) -> None:
    def points(layer: str, prefix: str) -> geopandas.GeoDataFrame:
        numbers = range(500)
        data = {"source_id": [f"{prefix}{n}" for n in numbers], "name": [f"{layer}{prefix}{n}" for n in numbers]}
        return geopandas.GeoDataFrame(data, geometry=shapely.points([105.0] * 500, 27.0), crs=4326)

    def frames(layers: list[str], prefix: str) -> int:
        with transaction(database) as cursor:
            found = import_frames(cursor, {layer: points(layer, prefix) for layer in layers}, prefix, SOURCE)
        return sum(report.imported for report in found.values())

    names = ["shelters", "supply_depots", "hazard_points"]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(frames, [names, names[::-1]] * 3, "abcdef"))
    assert done == [1500] * 6


# --- invariants

ROW = st.tuples(
    st.sampled_from(["", "1", "2", "3", "四"]),
    st.sampled_from(["", "甲", "乙", "a\x00", "-"]),
    st.sampled_from(["", "105", "106.5", "0", "27", "200", "x", "105°30′", "1e400"]),
    st.sampled_from(["", "27", "28", "0", "105", "-91", "27°30′N"]),
    st.sampled_from(["", "0", "5", "1,844", "x", "-1", "1e400"]),
)


def emptied(url: str, folder: Path, rows: list[tuple[str, ...]], name: str = "messy.csv") -> Path:
    query(url, "DELETE FROM layers.shelters")
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADING.split(","), *rows])
    return path


MANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(rows=st.lists(ROW, max_size=25), large=st.booleans())
def test_the_counts_add_up_whatever_the_rows(
    module_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[str, ...]], large: bool
) -> None:
    monkeypatch.setattr(importing, "LARGE_BYTES", 0 if large else 1 << 40)
    report = take(module_database, emptied(module_database, tmp_path, rows))
    assert report.read == sum(any(row) for row in rows)
    assert query(module_database, "SELECT count(*) FROM layers.shelters") == [(report.imported,)]
    again = take(module_database, tmp_path / "messy.csv")
    assert (again.imported, again.unchanged, again.rejected) == (
        0,
        report.imported + report.unchanged,
        report.rejected,
    )


@MANY
@given(rows=st.lists(ROW, max_size=12), random=st.randoms(use_true_random=False))
def test_the_order_of_rows_without_duplicates_does_not_matter(
    module_database: str, tmp_path: Path, rows: list[tuple[str, ...]], random: random.Random
) -> None:
    unique = [(f"{number}", *row[1:]) for number, row in enumerate(rows)]
    what = "SELECT source_id, name, geom, capacity_persons, flags, unread FROM layers.shelters ORDER BY source_id"
    found = []
    for _ in range(2):
        report = take(module_database, emptied(module_database, tmp_path, unique))
        found.append((counts(report), report.reasons, query(module_database, what)))
        random.shuffle(unique)
    assert found[0] == found[1]


@MANY
@given(rows=st.lists(ROW, min_size=1, max_size=12))
def test_rejected_rows_once_mended_are_imported(
    module_database: str, tmp_path: Path, rows: list[tuple[str, ...]]
) -> None:
    unique = [(f"{number}", *row[1:]) for number, row in enumerate(rows)]
    report = take(module_database, emptied(module_database, tmp_path, unique))
    if report.rejected:
        changes = {"名称": "名", "经度": "105", "纬度": "27", "可容纳人数": "5"}
        again = take(module_database, mended(report, tmp_path, changes))
        assert counts(again) == (report.rejected, report.rejected, 0, 0, 0)
    assert query(module_database, "SELECT count(*) FROM layers.shelters") == [(len(rows),)]


# --- size


@pytest.mark.long
def test_a_million_rows_in_less_than_a_gigabyte(database: str, tmp_path: Path) -> None:
    path = tmp_path / "million.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{HEADING}\n")
        for number in range(1_000_000):
            file.write(
                f"H{number},隐患点{number},{104 + number % 1000 / 500},{26 + number // 1000 / 500},{number % 500}\n"
            )
    code = (
        "import json, resource, sys; from pathlib import Path; from layers.importing import import_file\n"
        "report = import_file(sys.argv[1], 'shelters', Path(sys.argv[2]))\n"
        "print(json.dumps([report.imported, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))"
    )
    command = [sys.executable, "-c", code, database, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    imported, kilobytes = json.loads(done.stdout)
    assert imported == 1_000_000
    assert kilobytes < 1_000_000
