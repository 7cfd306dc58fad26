"""Files as chunks of rows: delimited text, spreadsheets, and every vector format that GDAL reads.

Nothing is interpreted here but the file's own form: encoding, delimiter, heading, CRS. A row number is the one that a
spreadsheet would show (the heading is row 1); for vector formats it is the feature's place in the file, from 1.
"""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import ImportRefused

CHUNK_ROWS = 50_000
ENCODINGS = ["utf_8", "big5", "gb18030", "cp932", "cp1252"]
DELIMITERS = ",\t;|"
SHEETS = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}
VECTOR_TEXT = {".mif", ".tab", ".gpx", ".gml", ".kml", ".geojsonl", ".geojsons", ".dxf", ".vrt"}
FIELD_LIMIT = 64 << 20

Progress = Callable[[float], None]


@dataclass
class Chunk:
    """Some rows of a file.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        Row numbers.
    columns : list of sequences, each of length n
        One for each heading; texts or the values that the format holds; None and "" mean missing.
    geometries : ndarray of shapely geometries, shape (n,), or None
        In the file's CRS; None for a format without geometries.
    broken : list of (row number, reason)
        Rows that could not be split into columns; they stand in no other member.
    done_ratio : float
        How much of the file is read, 0 to 1.
    """

    numbers: NDArray[np.int64]
    columns: list[Sequence[Any]]
    geometries: NDArray[Any] | None = None
    broken: list[tuple[int, str]] = field(default_factory=list)
    done_ratio: float = 0.0


@dataclass
class Table:
    """A file that is open for reading: what it is, and its chunks, as often as asked for."""

    kind: str
    headings: list[str]
    crs: str | None
    notes: list[str]
    chunks: Callable[[], Iterator[Chunk]]
    vector: bool = False


def table(path: Path, *, encoding: str | None = None, sheet: str | None = None, layer: str | None = None) -> Table:
    """A file as a table.

    Raises
    ------
    ImportRefused
        When there is no such file, it is empty, or nothing here can read it.
    """
    if not path.exists():
        raise ImportRefused(f"there is no file {path}")
    if path.is_file() and path.stat().st_size == 0:
        raise ImportRefused(f"{path.name} is empty")
    if path.suffix.lower() in SHEETS:
        return _spreadsheet(path, sheet)
    if path.is_file() and _is_text_table(path):
        return _delimited(path, encoding)
    return _vector(path, encoding, layer)


def _is_text_table(path: Path) -> bool:
    if path.suffix.lower() in VECTOR_TEXT:
        return False
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if b"\x00" in head[:512] or head.startswith(b"PK\x03\x04"):
        return path.suffix.lower() in {".csv", ".txt", ".tsv"}
    return not head.removeprefix(codecs.BOM_UTF8).lstrip().startswith((b"{", b"[", b"<"))


# --- delimited text ---------------------------------------------------------------------------------------------------


def found_encoding(path: Path) -> str:
    """The encoding of a text file: by its mark, else UTF-8 when all of it is, else by its non-ASCII lines."""
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := file.read(1 << 22):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(0)
            return encoding_of(b"".join(_not_ascii(file)))
    return "utf-8"


def _not_ascii(file: io.BufferedReader) -> Iterator[bytes]:
    size = 0
    for line in file:
        if not line.isascii():
            yield line
            size += len(line)
            if size > 1 << 17:
                return


def encoding_of(data: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8."""
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=ENCODINGS, steps=5, chunk_size=2048).best()
    return best.encoding if best is not None else "cp1252"


def _delimited(path: Path, encoding: str | None) -> Table:
    notes = []
    if encoding is None:
        encoding = found_encoding(path)
        if encoding != "utf-8":
            notes.append(f"encoding found: {encoding}")
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ImportRefused(f"unknown encoding {encoding!r}") from None
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        first = _first_line(file)
    delimiter = max(DELIMITERS, key=_outside_quotes(first).count)
    if delimiter != ",":
        notes.append(f"delimiter found: {delimiter!r}")
    headings = [text.strip() for text in next(csv.reader([first], delimiter=delimiter), [])]
    while headings and not headings[-1]:
        headings.pop()
    if not headings:
        raise ImportRefused(f"{path.name} has no heading row")
    read = encoding

    def chunks() -> Iterator[Chunk]:
        return _text_chunks(path, read, delimiter, len(headings))

    return Table("delimited text", headings, None, notes, chunks)


def _first_line(file: io.TextIOWrapper) -> str:
    """The first record that is not blank, with the lines that its quotes hold together."""
    text = ""
    for line in file:
        text += line
        if text.strip() and text.count('"') % 2 == 0:
            return text
        if not text.strip():
            text = ""
        if len(text) > FIELD_LIMIT:
            break
    return text


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _text_chunks(path: Path, encoding: str, delimiter: str, width: int) -> Iterator[Chunk]:
    csv.field_size_limit(FIELD_LIMIT)
    size = path.stat().st_size
    with path.open("rb") as raw, io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        number, numbers, rows, broken = 0, [], [], []  # type: int, list[int], list[list[str]], list[tuple[int, str]]
        heading_seen = False
        try:
            for row in reader:
                number += 1
                if len(row) != width:
                    if not any(row):
                        continue
                    if len(row) < width:
                        row += [""] * (width - len(row))
                    elif any(row[width:]) and heading_seen:
                        broken.append((number, f"has {len(row)} columns, the heading {width}"))
                        continue
                    else:
                        del row[width:]
                if not heading_seen:
                    heading_seen = any(row)
                    continue
                numbers.append(number)
                rows.append(row)
                if len(rows) >= CHUNK_ROWS:
                    yield _chunk(numbers, rows, width, broken, raw.tell() / size)
                    numbers, rows, broken = [], [], []
        except csv.Error as error:
            raise ImportRefused(
                f"{path.name}: row {number + 1}: {error}", expected="quotes that are closed, fields under 64 MB"
            ) from None
        yield _chunk(numbers, rows, width, broken, 1.0)


def _chunk(
    numbers: list[int], rows: list[list[Any]], width: int, broken: list[tuple[int, str]], done_ratio: float
) -> Chunk:
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * width
    return Chunk(np.array(numbers, dtype=np.int64), columns, None, broken, done_ratio)


# --- spreadsheets -----------------------------------------------------------------------------------------------------


def _spreadsheet(path: Path, sheet: str | None) -> Table:
    import python_calamine

    try:
        book = python_calamine.load_workbook(str(path))
    except Exception as error:  # calamine raises its own kinds, and zip errors
        raise ImportRefused(f"{path.name} cannot be read as a spreadsheet: {error}") from None
    names = list(book.sheet_names)
    if sheet is not None and sheet not in names:
        raise ImportRefused(f"{path.name} has no sheet {sheet!r}", expected=", ".join(names))
    chosen = sheet or next((name for name in names if book.get_sheet_by_name(name).total_height > 0), None)
    if chosen is None:
        raise ImportRefused(f"{path.name} is empty")
    opened = book.get_sheet_by_name(chosen)
    first_row = next((row for row in opened.iter_rows() if any(cell != "" for cell in row)), [])
    headings = [str(cell).strip() for cell in first_row]
    while headings and not headings[-1]:
        headings.pop()
    if not headings:
        raise ImportRefused(f"{path.name}, sheet {chosen}: no heading row")
    notes = [f"sheet read: {chosen}"] if len(names) > 1 else []
    start = opened.start[0] if opened.start else 0

    def chunks() -> Iterator[Chunk]:
        return _sheet_chunks(opened, len(headings), start)

    return Table("spreadsheet", headings, None, notes, chunks)


def _sheet_chunks(sheet: Any, width: int, start: int) -> Iterator[Chunk]:
    numbers, rows, broken = [], [], []  # type: list[int], list[list[Any]], list[tuple[int, str]]
    heading_seen = False
    for number, cells in enumerate(sheet.iter_rows(), start + 1):
        row = [*cells[:width], *[""] * (width - len(cells))]
        if not any(cell != "" for cell in cells):
            continue
        if not heading_seen:
            heading_seen = True
            continue
        if any(cell != "" for cell in cells[width:]):
            broken.append((number, f"has a value in column {len(cells)}, which has no heading"))
            continue
        numbers.append(number)
        rows.append(row)
        if len(rows) >= CHUNK_ROWS:
            yield _chunk(numbers, rows, width, broken, number / max(sheet.total_height, 1))
            numbers, rows, broken = [], [], []
    yield _chunk(numbers, rows, width, broken, 1.0)


# --- vector formats ---------------------------------------------------------------------------------------------------


def _vector(path: Path, encoding: str | None, layer: str | None) -> Table:
    import pyogrio

    notes: list[str] = []
    try:
        names = [str(name) for name, _ in pyogrio.list_layers(path)]
        if layer is not None and layer not in names:
            raise ImportRefused(f"{path.name} has no layer {layer!r}", expected=", ".join(names))
        chosen = layer or names[0]
        if len(names) > 1 and layer is None:
            notes.append(f"layer read: {chosen}; the file also has {', '.join(n for n in names if n != chosen)}")
        if encoding is None and (data := _dbf_without_encoding(path)):
            encoding = encoding_of(data)
            notes.append(f"encoding found: {encoding}")
        information = pyogrio.read_info(path, layer=chosen, encoding=encoding, force_feature_count=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, IndexError) as error:
        raise ImportRefused(f"{path.name} is no file of a kind that can be read here: {error}") from None
    headings = [str(name) for name in information["fields"]]
    total = max(int(information["features"]), 1)

    def chunks() -> Iterator[Chunk]:
        return _vector_chunks(path, chosen, encoding, headings, total)

    return Table(str(information["driver"]), headings, information["crs"], notes, chunks, vector=True)


def _vector_chunks(path: Path, layer: str, encoding: str | None, headings: list[str], total: int) -> Iterator[Chunk]:
    import pyogrio
    import shapely

    start = 1
    try:
        with pyogrio.raw.open_arrow(
            path, layer=layer, encoding=encoding, batch_size=CHUNK_ROWS, use_pyarrow=True
        ) as (meta, reader):
            geometry_name = meta["geometry_name"] or "wkb_geometry"
            for batch in reader:
                count = batch.num_rows
                names = batch.schema.names
                columns = [batch.column(names.index(name)).to_pylist() for name in headings]
                geometries: NDArray[Any] = np.full(count, None, dtype=object)
                if geometry_name in names:
                    wkb = np.array(batch.column(names.index(geometry_name)).to_pylist(), dtype=object)
                    geometries = shapely.from_wkb(wkb, on_invalid="fix")
                numbers = np.arange(start, start + count)
                start += count
                yield Chunk(numbers, columns, geometries, [], min(1.0, start / total))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, RuntimeError) as error:
        raise ImportRefused(f"{path.name}: cannot be read to its end: {error}") from None


def _dbf_without_encoding(path: Path) -> bytes:
    """Non-ASCII bytes of a Shapefile's table that does not say its encoding; empty when it does or is none."""
    if path.suffix.lower() == ".shp":
        table_file = path.with_suffix(".dbf")
        if path.with_suffix(".cpg").exists() or not table_file.exists():
            return b""
        data = table_file.read_bytes()[: 1 << 22]
    elif path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".dbf")]
            if not names or any(name.lower().endswith(".cpg") for name in archive.namelist()):
                return b""
            with archive.open(names[0]) as file:
                data = file.read(1 << 22)
    else:
        return b""
    header = int.from_bytes(data[8:10], "little")
    record = int.from_bytes(data[10:12], "little") or 1
    rows = (data[i : i + record] for i in range(header, len(data), record))
    names_too = data[32:header]
    return b"\n".join(row for row in (names_too, *rows) if not row.isascii())[: 1 << 17]
