"""Templates: filled in, they are read back; as they are, they are refused as the template's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from layers.catalog import catalog
from layers.database import Readers, sql, transaction
from layers.database import rows as fetched
from layers.importing import Options, import_file
from layers.tables import table
from layers.template import write_template

Blank = Callable[[str], Path]


@pytest.fixture
def blank(tmp_path: Path) -> Blank:
    def make(layer: str) -> Path:
        path = tmp_path / f"{layer}.xlsx"
        write_template(catalog(), catalog()[layer], path)
        return path

    return make


def fill(path: Path, values: dict[str, Any], row: int = 2) -> None:
    book = openpyxl.load_workbook(path)
    sheet = book.active
    headings = [cell.value for cell in sheet[1]]
    for column, heading in enumerate(headings, 1):
        sheet.cell(row, column).value = values.get(heading)
    assert set(values) <= set(headings)
    book.save(path)


@pytest.mark.parametrize("layer", list(catalog()))
def test_example_row_is_rejected(layer: str, blank: Blank, module_database: str, tmp_path: Path) -> None:
    options = Options(rejects=tmp_path / "rejects.csv")
    report = import_file(module_database, layer, blank(layer), options)
    assert (report.read, report.rejected) == (1, 1)
    assert report.reasons == {"the template's example row": 1}


def test_headings_and_choices(blank: Blank) -> None:
    book = openpyxl.load_workbook(blank("shelters"))
    sheet = book.active
    headings = [cell.value for cell in sheet[1]]
    assert headings[:3] == ["名称", "经度", "纬度"]
    choices = {str(choice.sqref).split(":")[0]: choice for choice in sheet.data_validations.dataValidation}
    level = sheet.cell(2, headings.index("级别") + 1).coordinate
    place = choices[level].formula1.split("!")[1].replace("$", "").split(":")
    offered = [row[0].value for row in book.worksheets[1][place[0] : place[1]]]
    labels = [words.zh for words in catalog().codes["admin_level"].values()]
    assert offered == labels
    indoor = sheet.cell(2, headings.index("室内") + 1).coordinate
    assert indoor in choices
    assert sheet.cell(2, headings.index("联系人") + 1).value is None  # personal: no example


def test_filled_template_round_trips(blank: Blank, database: str) -> None:
    path = blank("shelters")
    fill(path, {
        "名称": "河东小学", "经度": 105.3, "纬度": 27.3, "级别": "县级", "类别": "短期", "状态": "开放",
        "可容纳人数": 350, "适用灾种": "滑坡,地震", "室内": "是", "室外": "否", "联系电话": "0857-1234567",
    })  # fmt: skip
    report = import_file(database, "shelters", path)
    assert report.line() == "read 1, imported 1, updated 0, unchanged 0, rejected 0"
    assert report.unused == []
    assert report.unread == {}
    with transaction(database) as cursor:
        query = """
            SELECT name, level, class, status, capacity_persons, suitable_hazards, indoor, outdoor, contact_phone,
                   ST_X(geom) FROM {}
        """
        found = fetched(cursor, sql.SQL(query).format(table(catalog()["shelters"])))
    assert found == [
        ("河东小学", "county", "short", "open", 350, ["landslide", "earthquake"], True, False, "0857-1234567", 105.3)
    ]


@pytest.mark.parametrize("layer", [d.id for d in catalog().values() if d.has_geometry])
def test_every_example_can_be_read(layer: str, blank: Blank, database: str) -> None:
    path = blank(layer)
    book = openpyxl.load_workbook(path)
    values = {cell.value: book.active.cell(2, cell.column).value for cell in book.active[1]}
    values["备注"] = None
    if "WKT" in values:
        shapes = {1: "LINESTRING (105 27, 106 28)", 2: "POLYGON ((105 27, 106 27, 106 28, 105 27))"}
        values["WKT"] = shapes.get(catalog()[layer].dimension, "POINT (105 27)")
    fill(path, values)
    report = import_file(database, layer, path)
    assert report.imported == 1, report.reasons
    assert report.unread == {}
    readers = Readers(database, size=1)
    assert readers.one(f"SELECT count(*) FROM released.{layer}") == (1,)  # noqa: S608  an id of the catalog
    readers.close()
