"""Empty spreadsheets to be filled in: headings, drop-downs of coded values, one example row."""

from __future__ import annotations

from pathlib import Path

from layers.catalog import Catalog
from layers.definition import Definition, Field
from layers.importing import EXAMPLE_NOTE

ROWS = 5000


def write_template(catalog: Catalog, definition: Definition, path: Path) -> None:
    """Write an XLSX that ``import`` reads back without further options.

    Parameters
    ----------
    catalog : Catalog
    definition : Definition
    path : Path
        Overwritten when it is there.
    """
    from openpyxl import Workbook
    from openpyxl.comments import Comment
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet = book.active
    sheet.title = definition.title.zh
    lists = book.create_sheet("代码 codes")
    places = [("经度", "Longitude, degrees, WGS 84", "105.28633"), ("纬度", "Latitude, degrees, WGS 84", "27.30412")]
    columns: list[tuple[str, str, object, Field | None]] = [
        (field.label.zh, field.label.en, _example(field), field) for field in definition.entered_fields.values()
    ]
    if definition.has_geometry:
        shapes = places if definition.dimension == 0 else [("WKT", "Geometry as WKT, EPSG:4326", "")]
        columns[1:1] = [(zh, en, float(text) if text else "", None) for zh, en, text in shapes]
    for number, (zh, en, example, field) in enumerate(columns, 1):
        cell = sheet.cell(1, number, zh)
        cell.font = Font(bold=True, color="FFFFFF" if field is not None and field.required else "000000")
        colour = "005350" if field is not None and field.required else "DDE6EE"
        cell.fill = PatternFill("solid", fgColor=colour)
        cell.comment = Comment(_remark(en, field), "Leeward")
        sheet.column_dimensions[get_column_letter(number)].width = max(12, 2.4 * len(zh))
        if example is not None:
            sheet.cell(2, number, example).font = Font(italic=True, color="7A838D")
        labels = _labels(catalog, definition, field)
        if labels:
            letter = get_column_letter(number)
            for row, label in enumerate((zh, *labels), 1):
                lists.cell(row, number, label)
            choice = DataValidation(
                "list", formula1=f"'{lists.title}'!${letter}$2:${letter}${len(labels) + 1}", allow_blank=True,
                showErrorMessage=field is not None and field.type != "codes",
            )  # fmt: skip
            choice.add(f"{letter}2:{letter}{ROWS}")
            sheet.add_data_validation(choice)
    note = next(i for i, (_, _, _, field) in enumerate(columns, 1) if field is definition.fields["note"])
    sheet.cell(2, note, EXAMPLE_NOTE).font = Font(italic=True, color="A3001C")
    sheet.freeze_panes = "B2"
    book.save(path)


def _example(field: Field) -> object:
    if field.personal:
        return None
    return field.example


def _labels(catalog: Catalog, definition: Definition, field: Field | None) -> list[str]:
    if field is None:
        return []
    if field.type == "boolean":
        return ["是", "否"]
    if field.codes is None:
        return []
    return [words.zh for words in catalog.codes_of(definition, field).values()]


def _remark(en: str, field: Field | None) -> str:
    if field is None:
        return en
    parts = [en, f"unit: {field.unit}" if field.unit else "", "required" if field.required else ""]
    parts += [
        "several values, with commas between" if field.type == "codes" else "",
        field.note.en if field.note else "",
    ]
    return "\n".join(part for part in parts if part)
