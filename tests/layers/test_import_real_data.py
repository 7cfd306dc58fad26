"""Import of real files: the right counts, each known from outside."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from layers.database import transaction
from layers.importing import Options, Report, import_file

pytestmark = pytest.mark.real_data

TAIWAN = "118,21.5,122.5,26.5"
REPEATED = "the same key as an earlier row, with other values"


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    with transaction(url) as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def take(url: str, layer: str, path: Path, folder: Path, **options: Any) -> Report:
    report = import_file(url, layer, path, Options(rejects=folder / "rejects.csv", **options))
    assert report.read == report.imported + report.updated + report.unchanged + report.rejected
    return report


def test_taiwans_shelters(database: str, real_data: Path, tmp_path: Path) -> None:
    path = real_data / "taiwan" / "shelters.csv"
    townships = take(database, "admin_areas", real_data / "taiwan" / "townships.geojson", tmp_path)
    assert (townships.read, townships.imported, townships.flags) == (368, 368, {"geometry_repaired": 8})

    anywhere = take(database, "shelters", path, tmp_path, dry_run=True)
    repeated = anywhere.reasons.pop(REPEATED)
    assert anywhere.reasons == {
        "longitude or latitude is exactly 0": 3,
        "longitude and latitude are swapped": 1,
    }
    assert anywhere.imported + anywhere.unchanged + repeated == 5969
    with (tmp_path / "rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        swapped = [row for row in csv.DictReader(file) if row["leeward_proposal"]]
    assert [row["leeward_proposal"] for row in swapped] == ["120.8095154,24.26590994"]
    assert (float(swapped[0]["經度"]), float(swapped[0]["緯度"])) == pytest.approx((24.26590994, 120.8095154))

    report = take(database, "shelters", path, tmp_path, area=TAIWAN)
    repeated = report.reasons.pop(REPEATED)
    assert sum(report.reasons.values()) == 28
    assert report.imported + report.unchanged + repeated == 5945
    assert report.flags == {"capacity_zero": 58, "location_doubt": 69}
    assert report.unread == {}
    assert query(database, "SELECT count(*), max(capacity_persons) FROM layers.shelters") == [(report.imported, 47_436)]
    hualien = "SELECT count(*), sum(capacity_persons) FROM layers.shelters WHERE admin_area LIKE '花蓮%'"
    assert query(database, hualien) == [(198, 20_561)]

    again = take(database, "shelters", path, tmp_path, area=TAIWAN)
    assert (again.imported, again.unchanged, again.flags) == (0, report.imported + report.unchanged, {})


def test_taiwans_rescue_units_in_big5_with_a_heading_that_lies(database: str, real_data: Path, tmp_path: Path) -> None:
    report = take(database, "rescue_teams", real_data / "taiwan" / "rescue_units_big5.csv", tmp_path)
    assert (report.read, report.imported) == (770, 764)
    assert report.reasons == {"longitude or latitude is exactly 0": 6}
    assert report.crs == "EPSG:4326"
    assert "encoding found: big5" in report.notes
    assert any("but the values are degrees" in note for note in report.notes)
    first = "SELECT name, speciality, round(ST_X(geom)::numeric, 6)::text FROM layers.rescue_teams WHERE row_no = 2"
    assert query(database, first) == [("宜蘭縣政府消防局", ["fire"], "121.755092")]


def test_taiwans_police_in_metres(database: str, real_data: Path, tmp_path: Path) -> None:
    report = take(database, "facilities", real_data / "taiwan" / "police_twd97.csv.json", tmp_path)
    assert (report.read, report.imported, report.rejected, report.crs) == (1687, 1687, 0, "EPSG:3826")
    assert query(database, "SELECT DISTINCT kind FROM layers.facilities") == [("police",)]


def test_one_of_taiwans_police_stations_lies_off_borneo(database: str, real_data: Path, tmp_path: Path) -> None:
    path = real_data / "taiwan" / "police_twd97.csv.json"
    report = take(database, "facilities", path, tmp_path, area=TAIWAN)  # a digit is missing from its northing
    assert (report.imported, report.rejected) == (1686, 1)
    with (tmp_path / "rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [(row["中文單位名稱"], row["leeward_crs"]) for row in csv.DictReader(file)] == [
            ("豐丘派出所", "EPSG:3826")
        ]


def test_nasas_landslides_in_guizhou(database: str, real_data: Path, tmp_path: Path) -> None:
    landslides = take(database, "hazard_points", real_data / "landslides" / "nasa_glc_2018.csv", tmp_path)
    assert (landslides.read, landslides.imported) == (9564, 9564)
    assert landslides.unread == {"landslide_type": 101}
    assert "encoding found: cp1252" in landslides.notes
    counties = take(
        database, "admin_areas", real_data / "guizhou" / "guizhou_counties_pop_mapchina_gpl3.geojson", tmp_path
    )
    assert (counties.read, counties.imported) == (88, 88)
    bijie = "SELECT count(*) FROM layers.admin_areas WHERE parent_name = '毕节市'"
    assert query(database, bijie) == [(8,)]
    inside = (
        "SELECT count(DISTINCT point.fid), count(DISTINCT point.fid) FILTER (WHERE area.parent_name = '毕节市')"
        " FROM layers.hazard_points AS point JOIN layers.admin_areas AS area ON ST_Intersects(point.geom, area.geom)"
    )
    assert query(database, inside) == [(31, 8)]
    events = "SELECT min(occurred_on)::text, count(*) FROM layers.hazard_points WHERE record_kind = 'past_event'"
    assert query(database, events) == [("1988-11-07", 9564)]
    assert query(database, "SELECT count(*) FROM layers.hazard_points WHERE source_id = '1,844'") == [(1,)]


def test_numazus_zones_and_sites(database: str, real_data: Path, tmp_path: Path) -> None:
    numazu = real_data / "numazu"
    zones = take(database, "risk_zones", numazu / "sediment_zones_523857.geojson", tmp_path)
    assert (zones.read, zones.imported, zones.flags) == (81, 81, {"geometry_repaired": 1})
    kinds = "SELECT hazard, zone_kind, count(*) FROM layers.risk_zones GROUP BY 1, 2"
    totals: dict[str, int] = {}
    for hazard, kind, count in query(database, kinds):
        totals[hazard] = totals.get(hazard, 0) + count
        totals[kind] = totals.get(kind, 0) + count
    assert totals == {"rockfall": 75, "debris_flow": 6, "warning": 39, "special_warning": 42}
    sites = take(database, "shelters", numazu / "emergency_sites_222038.json", tmp_path)
    shelters = take(database, "shelters", numazu / "shelters_222038.json", tmp_path)
    assert (sites.imported, shelters.imported) == (105, 51)
    inside = (
        "SELECT DISTINCT shelter.name, class FROM layers.shelters AS shelter"
        " JOIN layers.risk_zones AS zone ON ST_Intersects(shelter.geom, zone.geom)"
    )
    assert query(database, inside) == [("第三地区センター", "emergency")]
    assert query(database, "SELECT count(capacity_persons) FROM layers.shelters") == [(0,)]
