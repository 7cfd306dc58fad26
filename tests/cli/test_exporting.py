"""``leeward export``: a file, and what is said about it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.cli.conftest import Run
from tests.gis.rows import put


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_layer_is_exported(run: Run, database: str, tmp_path: Path) -> None:
    put(database, "shelters", {"source_id": "1", "name": "甲", "contact_phone": "139", "at": (105, 27)})
    done = run("export", "shelters", "a.csv")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("1 rows, version ")
    assert "note: the file holds personal data: contact_name, contact_phone" in done.stderr
    assert "lost: an empty text and an unknown one are the same" in done.stderr
    assert "source test, 1 rows: Source test; CC0-1.0; © test" in done.stderr
    assert rows(tmp_path / "a.csv")[0]["contact_phone"] == "139"
    told = json.loads(run("export", "shelters", "b.xlsx", "--headings", "zh", "--crs", "CGCS2000", "--json").stdout)
    assert (told["rows"], told["crs"], told["format"]) == (1, "EPSG:4490", "xlsx")
    assert run("import", "shelters", "b.xlsx").stdout.strip().startswith("read 1, imported 0, updated 0, unchanged 1")
    assert run("export", "shelters", "c.csv", "--public").exit_code == 0
    assert "contact_phone" not in rows(tmp_path / "c.csv")[0]


def test_increments_and_earlier_moments(run: Run, database: str, tmp_path: Path) -> None:
    put(database, "shelters", {"source_id": "1", "at": (105, 27)})
    version = json.loads(run("export", "shelters", "a.csv", "--json").stdout)["version"]
    put(database, "shelters", {"source_id": "2", "at": (105, 27)})
    done = run("export", "shelters", "b.csv", "--since", str(version))
    assert done.stdout.startswith("1 rows, 0 of them deleted, version ")
    assert [row["source_id"] for row in rows(tmp_path / "b.csv")] == ["2"]
    assert run("export", "shelters", "c.csv", "--as-of", "2020-01-01T00:00:00Z").exit_code == 0
    assert rows(tmp_path / "c.csv") == []


def test_what_is_wrong_is_said_in_a_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    for arguments, words in (
        (("nothing", "a.csv"), "there is no layer 'nothing'"),
        (("shelters", "a.txt"), "no format has the ending '.txt'"),
        (("shelters", "a.csv", "--format", "dxf"), "there is no format 'dxf'"),
        (("shelters", "a.csv", "--headings", "fr"), "there are no headings 'fr'"),
        (("shelters", "a.csv", "--as-of", "2026-01-01"), "has no offset"),
        (("shelters", "a.csv", "--as-of", "soon"), "is not a moment"),
        (("shelters", "there.csv"), "is there"),
        (("shelters", "a.geojson", "--crs", "BD-09"), "GeoJSON is in WGS 84 alone"),
        (("shelters", "a.csv", "--profile", "x"), "no exchange profile 'x'"),
    ):
        done = run("export", *arguments)
        assert (done.exit_code, done.stderr.count("leeward: ")) == (2, 1)
        assert words in done.stderr
    assert run("export", "shelters", "there.csv", "--force").exit_code == 0
    assert run("export", "shelters", "missing/a.csv").exit_code == 1
