"""Files as chunks of rows: delimited text, spreadsheets, and every vector format that GDAL reads.

Nothing is interpreted here but the file's own form: encoding, delimiter, heading, CRS. A row number is the one that a
spreadsheet would show (the heading is row 1); for vector formats it is the feature's place in the file, from 1.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from layers.errors import ImportRefused

CHUNK_ROWS = 50_000
BLOCK_BYTES = 8 << 20
NOTES_AT_MOST = 20
TITLES_AT_MOST = 3
IS_NUMBER = re.compile(r"\s*[-+]?[\d.,]+\s*$")
ENCODINGS = ["utf_8", "big5", "gb18030", "cp932", "cp1252"]
DELIMITERS = ",\t;|"
SHEETS = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}
SPREADSHEET_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
PARQUET_MARK = b"PAR1"
FLATGEOBUF_MARK = b"fgb\x03"
COLUMNS_FILE = "columns.csv"
"""In a zipped Shapefile of ours: the whole headings, which a Shapefile cuts to ten letters."""
VECTOR_TEXT = {".mif", ".tab", ".gpx", ".gml", ".kml", ".geojsonl", ".geojsons", ".dxf", ".vrt"}
OFFLINE = {  # a file may name an address, of its CRS for one: curl gets nowhere but to a port where nobody listens
    "GDAL_HTTP_PROXY": "http://127.0.0.1:9",
    "GDAL_HTTPS_PROXY": "http://127.0.0.1:9",
    "GDAL_HTTP_TIMEOUT": "1",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
}
csv.field_size_limit(BLOCK_BYTES)


Broken = tuple[int, str, Sequence[str | None]]


@dataclass
class Chunk:
    """Some rows of a file.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        Row numbers.
    columns : list of Arrow string arrays, each of length n
        One for each heading; null means missing.
    geometries : ndarray of shapely geometries, shape (n,), or None
        In the file's CRS; None for a format without geometries.
    broken : sequence of (row number, reason, cells)
        Rows that do not fit the heading; they stand in no other member.
    done_ratio : float
        How much of the file is read, 0 to 1.
    """

    numbers: NDArray[np.int64]
    columns: list[pa.StringArray]
    geometries: NDArray[Any] | None = None
    broken: Sequence[Broken] = field(default_factory=list)
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
    parts: list[str] = field(default_factory=list)
    """The sheets of a spreadsheet, or the layers of a vector file."""


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
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(4096)
        if head.startswith(PARQUET_MARK):
            return _parquet(path)
        if _is_spreadsheet(path, head):
            return _spreadsheet(path, sheet)
        if _is_text_table(path, head):
            return _delimited(path, encoding)
    return _vector(path, encoding, layer)


def _is_spreadsheet(path: Path, head: bytes) -> bool:
    """Whether a file is a workbook: by what it holds, whatever its ending says."""
    if not head.startswith(SPREADSHEET_MARKS):
        return False
    if path.suffix.lower() in SHEETS:
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "xl/workbook.xml" in archive.namelist()


def _is_text_table(path: Path, head: bytes) -> bool:
    if path.suffix.lower() in VECTOR_TEXT or head.startswith(FLATGEOBUF_MARK):
        return False
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if b"\x00" in head[:512] or head.startswith(SPREADSHEET_MARKS):
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

    def best(names: list[str]) -> str:
        found = from_bytes(data, cp_isolation=names, steps=5, chunk_size=2048).best()
        return found.encoding if found is not None else "cp1252"

    name = best(ENCODINGS)
    if name == "cp932":  # Chinese bytes read as half-width katakana, which people hardly write any more
        text = data.decode(name, "replace")
        if sum("\uff61" <= sign <= "\uff9f" for sign in text) > sum("\u3040" <= sign <= "\u9fff" for sign in text):
            return best([other for other in ENCODINGS if other != name])
    return name


def _delimited(path: Path, encoding: str | None) -> Table:
    notes = []
    found = encoding or found_encoding(path)
    if encoding is None and found != "utf-8":
        notes.append(f"encoding found: {found}")
    try:
        "".encode(found)
    except (LookupError, UnicodeError, AssertionError):  # the last two from codecs that are none for text
        raise ImportRefused(f"unknown encoding {found!r}") from None
    row, delimiter, cells, titles = _heading(path, found)
    notes += _title_notes(titles)
    if delimiter != ",":
        notes.append(f"delimiter found: {delimiter!r}")
    headings = [text.strip() for text in cells]
    while headings and not headings[-1]:
        headings.pop()
    if not headings:
        raise ImportRefused(f"{path.name} has no heading row")
    if any("\x00" in heading for heading in headings):
        raise ImportRefused(
            f"{path.name} has NUL characters in its heading", expected="text; UTF-16 without a mark needs --encoding"
        )
    as_it_stands = encoding is None and found in ("utf-8", "utf-8-sig")

    def chunks() -> Iterator[Chunk]:
        with _utf8(path, None if as_it_stands else found) as file:
            yield from _text_chunks(path, file, delimiter, row, len(cells), len(headings))

    return Table("delimited text", headings, None, notes, chunks)


def _heading(path: Path, encoding: str) -> tuple[int, str, list[str], list[str]]:
    """The row number of the heading, the delimiter, the heading's cells, and the titles above it."""
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        first = list(islice((line for line in file if line.strip()), TITLES_AT_MOST + 1)) or [""]
    told = first[:1] if set(DELIMITERS) & set(first[0]) else first  # a line without any may be a title
    found = []
    for delimiter in dict.fromkeys(max(DELIMITERS, key=_outside_quotes(line).count) for line in told):
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            try:
                row, cells, titles = heading_among(csv.reader(file, delimiter=delimiter))
            except csv.Error as error:
                raise _unreadable(path, error) from None
        found.append((row, delimiter, cells, titles))
    return next((one for one in found if one[3]), found[0])


def heading_among(rows: Iterable[Sequence[Any]]) -> tuple[int, list[Any], list[str]]:
    """The first row that is not blank, or the one below it where it is the title of a table.

    Returns
    -------
    tuple
        The row's number, from 1; its cells; the titles above it. A title is a text alone in its row, or one of two (a
        title and a unit, say), above a row of at least three texts and more than twice as many.
    """
    found: tuple[int, list[Any]] | None = None
    titles: list[str] = []
    most = 0
    for number, cells in enumerate(rows, 1):
        filled = [cell for cell in cells if str(cell).strip()]
        if not filled:
            continue
        found = found or (number, list(cells))
        words = all(isinstance(cell, str) and not IS_NUMBER.match(cell) for cell in filled)
        if words and titles and len(filled) > 2 * most:
            return number, list(cells), titles
        if not words or len(filled) > 2 or len(titles) == TITLES_AT_MOST:
            break
        titles.append(" ".join(filled))
        most = max(most, len(filled))
    return *(found or (1, [])), []


def _title_notes(titles: Sequence[str]) -> list[str]:
    return [f"title above the heading, not read: {title[:100]}" for title in titles]


@contextmanager
def _utf8(path: Path, encoding: str | None) -> Iterator[Any]:
    """A text file as UTF-8 bytes; what cannot be read becomes the replacement character. None: it is UTF-8."""
    with path.open("rb") as raw:
        yield raw if encoding is None else codecs.EncodedFile(raw, "utf-8", encoding, errors="replace")


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _text_chunks(path: Path, file: Any, delimiter: str, row: int, cells: int, width: int) -> Iterator[Chunk]:
    """Chunks of a delimited text whose heading, record ``row``, has ``cells`` columns, the first ``width`` with a name.

    Records that do not fit the heading come to the handler when their block is read, which is before the batch of the
    block before is given out: they are kept until their place is reached.
    """
    size = path.stat().st_size
    ragged: list[pyarrow.csv.InvalidRow] = []

    def put_aside(record: pyarrow.csv.InvalidRow) -> str:
        ragged.append(record)
        return "skip"

    names = [str(number) for number in range(cells)]
    nothing = pa.record_batch([pa.array([], pa.string())] * cells, names)
    read = 0  # records so far, blank ones and the heading too
    last = nothing
    try:
        batches = pyarrow.csv.open_csv(
            pa.PythonFile(file, mode="r"),
            pyarrow.csv.ReadOptions(use_threads=False, column_names=names, block_size=BLOCK_BYTES),
            pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=put_aside
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""],
                check_utf8=False,
            ),
        )  # fmt: skip
        for batch in batches:
            places = _places_without(read, batch.num_rows, {record.number - 1 for record in ragged})
            if len(places):
                read, last = int(places[-1]) + 1, batch
            reached = [record for record in ragged if record.number <= read]
            ragged = [record for record in ragged if record.number > read]
            if read >= row:
                keep = places >= row
                batch, places = (batch, places) if keep.all() else (batch.filter(pa.array(keep)), places[keep])
                reached = [record for record in reached if record.number > row]
                yield from _whole_and_ragged(batch, places + 1, reached, delimiter, width, file.tell() / size)
    except pa.ArrowInvalid as error:
        raise _unreadable(path, error) from None
    rest = [record for record in ragged if record.number > row]
    _check_last_quote(path, last, rest, delimiter)
    yield from _whole_and_ragged(nothing, np.array([], np.int64), rest, delimiter, width, 1.0)


def _check_last_quote(path: Path, last: pa.RecordBatch, ragged: Sequence[Any], delimiter: str) -> None:
    """Refuse a file whose last record begins a quoted cell that goes on to the end of the file."""
    if ragged:
        try:
            _cells_of(ragged[-1].text, delimiter, strict=True)
            open_quote = False
        except csv.Error as error:
            open_quote = "unexpected end" in str(error)
    else:
        cell = last.column(last.num_columns - 1)[-1].as_py() if last.num_rows else None
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8))
            closed = b'"' in file.read().replace(b"\x00", b"").rstrip(b"\r\n ")[-1:]
        open_quote = cell is not None and "\n" in cell and not closed
    if open_quote:
        raise _unreadable(path, "a quote is opened and never closed; the rest of the file would be one cell")


def _unreadable(path: Path, error: object) -> ImportRefused:
    return ImportRefused(
        f"{path.name} cannot be split into rows and columns: {str(error).splitlines()[0]}",
        expected="quotes that are closed, and one delimiter throughout",
    )


def _places_without(start: int, count: int, taken: set[int]) -> NDArray[np.int64]:
    """The first ``count`` places from ``start`` on that are not taken."""
    here = np.arange(start, start + count + len(taken), dtype=np.int64)
    if taken:
        here = here[~np.isin(here, list(taken))]
    return here[:count]


def _whole_and_ragged(
    batch: pa.RecordBatch,
    numbers: NDArray[np.int64],
    ragged: Sequence[Any],
    delimiter: str,
    width: int,
    done: float,
) -> Iterator[Chunk]:
    """The rows of a batch, then those that have more or fewer columns than the heading; blank ones are left out."""
    columns = [batch.column(number) for number in range(batch.num_columns)]
    rows = [(record.number, _cells_of(record.text, delimiter)) for record in ragged]
    blank = _all_null(columns, len(numbers))
    extra = np.zeros(len(numbers), bool)
    for column in columns[width:]:
        if column.null_count < len(column):
            extra |= column.is_valid().to_numpy(zero_copy_only=False)
    if extra.any():
        rows += [(int(numbers[i]), [column[int(i)].as_py() for column in columns]) for i in np.flatnonzero(extra)]
    if blank.any() or extra.any():
        keep = ~(blank | extra)
        columns, numbers = [column.filter(pa.array(keep)) for column in columns], numbers[keep]
    broken = [
        (number, f"more cells than the heading: {len(cells)} against {width}", cells)
        for number, cells in rows
        if any(cells[width:])
    ]
    yield Chunk(numbers, columns[:width], None, broken, min(done, 1.0))
    short = [(number, cells) for number, cells in rows if any(cells) and not any(cells[width:])]
    if short:
        filled = [[cell or None for cell in [*cells, *[None] * width][:width]] for _, cells in short]
        yield _chunk([number for number, _ in short], filled, width, [], min(done, 1.0))


def _cells_of(record: str, delimiter: str, *, strict: bool = False) -> list[str]:
    return next(csv.reader(io.StringIO(record, newline=""), delimiter=delimiter, strict=strict), [])


def _all_null(columns: list[pa.StringArray], count: int) -> NDArray[np.bool_]:
    blank = np.ones(count, bool)
    for column in columns:
        if column.null_count == 0:
            return np.zeros(count, bool)
        blank &= column.is_null().to_numpy(zero_copy_only=False)
    return blank


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
    hidden = {m.name for m in book.sheets_metadata if m.visible != python_calamine.SheetVisibleEnum.Visible}
    shown_first = sorted(names, key=hidden.__contains__)
    chosen = sheet or next((name for name in shown_first if book.get_sheet_by_name(name).height > 0), None)
    if chosen is None:
        raise ImportRefused(f"{path.name} is empty")
    opened = book.get_sheet_by_name(chosen)
    row, cells, titles = heading_among(opened.iter_rows())
    headings = [str(cell).strip() for cell in cells]
    while headings and not headings[-1]:
        headings.pop()
    if not headings:
        raise ImportRefused(f"{path.name}, sheet {chosen}: no heading row")
    notes = [*([f"sheet read: {chosen}"] if len(names) > 1 else []), *_title_notes(titles)]

    def chunks() -> Iterator[Chunk]:
        return _sheet_chunks(opened, row, len(headings))

    return Table("spreadsheet", headings, None, notes, chunks, parts=names)


def _sheet_chunks(sheet: Any, heading: int, width: int) -> Iterator[Chunk]:
    numbers, rows, broken = [], [], []  # type: list[int], list[list[str | None]], list[Broken]
    for number, cells in enumerate(sheet.iter_rows(), 1):
        if number <= heading or not any(cell != "" for cell in cells):
            continue
        if any(cell != "" for cell in cells[width:]):
            reason = f"more cells than the heading: {len(cells)} against {width}"
            broken.append((number, reason, [cell_text(cell) for cell in cells]))
            continue
        numbers.append(number)
        rows.append([cell_text(cell) for cell in [*cells[:width], *[""] * (width - len(cells))]])
        if len(rows) >= CHUNK_ROWS:
            yield _chunk(numbers, rows, width, broken, number / max(sheet.total_height, 1))
            numbers, rows, broken = [], [], []
    yield _chunk(numbers, rows, width, broken, 1.0)


def cell_text(value: Any) -> str | None:
    """A cell as text: whole numbers without a point, moments in ISO 8601; None when it is empty."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is None and value.time() == datetime.time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def _chunk(
    numbers: list[int], rows: list[list[str | None]], width: int, broken: Sequence[Broken], done_ratio: float
) -> Chunk:
    columns = (
        [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        if rows
        else [pa.array([], pa.string())] * width
    )
    return Chunk(np.array(numbers, dtype=np.int64), columns, None, broken, done_ratio)


# --- vector formats ---------------------------------------------------------------------------------------------------


def _vector(path: Path, encoding: str | None, layer: str | None) -> Table:
    import pyogrio

    pyogrio.set_gdal_config_options(OFFLINE)
    notes: list[str] = []
    try:
        place = _place(path, notes)
        with _warnings_noted(notes):
            names = [str(name) for name, _ in pyogrio.list_layers(place)]
            whole_headings = _whole_headings(path) if layer is None else {}
            if layer is not None and layer not in names:
                raise ImportRefused(f"{path.name} has no layer {layer!r}", expected=", ".join(names))
            chosen = layer or names[0]
            if len(names) > 1 and layer is None and not whole_headings:
                others = ", ".join(name for name in names if name != chosen)
                notes.append(f"layer read: {chosen}; the file also has {others}")
            if encoding is None and (data := _dbf_without_encoding(path)):
                encoding = encoding_of(data)
                notes.append(f"encoding found: {encoding}")
            information = pyogrio.read_info(place, layer=chosen, encoding=encoding, force_feature_count=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, IndexError, LookupError) as error:
        raise ImportRefused(f"{path.name} is no file of a kind that can be read here: {_said(error)}") from None
    fields = [str(name) for name in information["fields"]]
    total = max(int(information["features"]), 1)
    together = names if whole_headings else [chosen]  # of one layer of ours, a Shapefile for each kind of geometry

    def chunks() -> Iterator[Chunk]:
        start = 1
        for name in together:
            for chunk in _vector_chunks(path, place, name, encoding, fields, total, notes, start):
                start += len(chunk.numbers)
                yield chunk

    headings = [whole_headings.get(name, name) for name in fields]
    return Table(str(information["driver"]), headings, information["crs"], notes, chunks, True, names)


def _place(path: Path, notes: list[str]) -> Path | str:
    """What GDAL is to open: the file, or the folder within a ZIP archive in which its Shapefiles stand."""
    if path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        names = [PurePosixPath(name) for name in archive.namelist() if name.lower().endswith(".shp")]
    folders = list(dict.fromkeys(str(name.parent) for name in names if name.parts[0] != "__MACOSX"))
    if not folders or "." in folders:
        return path
    if len(folders) > 1:
        notes.append(f"folder read: {folders[0]}; the archive also has {', '.join(folders[1:])}")
    return f"/vsizip/{path.absolute()}/{folders[0]}"


def _said(error: Exception) -> str:
    """What GDAL says is wrong, without its advice to programmers."""
    return str(error).partition("; It might help")[0]


def _whole_headings(path: Path) -> dict[str, str]:
    """The headings of a zipped Shapefile of ours by their short names; nothing in any other file."""
    if path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        if COLUMNS_FILE not in archive.namelist() or archive.getinfo(COLUMNS_FILE).file_size > BLOCK_BYTES:
            return {}
        text = archive.read(COLUMNS_FILE).decode("utf-8-sig", "replace")
    rows = [row for row in csv.reader(io.StringIO(text)) if len(row) == 2]
    return dict(rows[1:])


@contextmanager
def _warnings_noted(notes: list[str]) -> Iterator[None]:
    """GDAL's warnings, which may say that something was left out, as notes; each once, the first twenty."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        if text not in notes and len(notes) < NOTES_AT_MOST:
            notes.append(text)


def _vector_chunks(
    path: Path,
    place: Path | str,
    layer: str,
    encoding: str | None,
    headings: list[str],
    total: int,
    notes: list[str],
    start: int,
) -> Iterator[Chunk]:
    import pyogrio
    import shapely

    # as text, a moment keeps its zone in every format, and a text of a GeoJSON that looks like a day stays what it is
    options = {"DATE_AS_STRING": "YES"} if _driver_of(place, layer) == "GeoJSON" else {}
    try:
        with pyogrio.raw.open_arrow(
            place, layer=layer, encoding=encoding, batch_size=CHUNK_ROWS, use_pyarrow=True, datetime_as_string=True,
            **options,
        ) as (meta, reader):  # fmt: skip
            geometry_name = meta["geometry_name"] or "wkb_geometry"
            while True:
                with _warnings_noted(notes):
                    batch = next(iter(reader), None)
                if batch is None:
                    return
                count = batch.num_rows
                names = batch.schema.names
                columns = [_as_text(batch.column(names.index(name))) for name in headings]
                geometries: NDArray[Any] = np.full(count, None, dtype=object)
                if geometry_name in names:
                    wkb = np.array(batch.column(names.index(geometry_name)).to_pylist(), dtype=object)
                    geometries = shapely.from_wkb(wkb, on_invalid="fix")
                numbers = np.arange(start, start + count)
                start += count
                yield Chunk(numbers, columns, geometries, [], min(1.0, start / total))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, RuntimeError, pa.ArrowException) as error:
        raise ImportRefused(f"{path.name}: cannot be read to its end: {error}") from None


def _driver_of(path: Path | str, layer: str) -> str:
    import pyogrio

    return str(pyogrio.read_info(path, layer=layer)["driver"])


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet(path: Path) -> Table:
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            schema, count, metadata = file.schema_arrow, file.metadata.num_rows, file.metadata.metadata or {}
        geo = json.loads(metadata.get(b"geo", b"{}"))
        geometry, crs = _geometry_column(path, geo)
    except (pa.ArrowException, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ImportRefused(f"{path.name} cannot be read as GeoParquet: {str(error).splitlines()[0]}") from None
    headings = [name for name in schema.names if name != geometry]

    def chunks() -> Iterator[Chunk]:
        return _parquet_chunks(path, headings, geometry, max(count, 1))

    return Table("Parquet", headings, crs, [], chunks, vector=True)


def _geometry_column(path: Path, geo: dict[str, Any]) -> tuple[str | None, str | None]:
    """The column with the geometries of a GeoParquet file, and their CRS."""
    if not geo:
        return None, None
    name = str(geo["primary_column"])
    column = geo["columns"][name]
    if column["encoding"] != "WKB":
        raise ImportRefused(f"{path.name} has geometries encoded as {column['encoding']}", expected="WKB")
    if "crs" not in column:
        return name, "EPSG:4326"  # the standard's default, longitude first
    return name, None if column["crs"] is None else json.dumps(column["crs"])


def _parquet_chunks(path: Path, headings: list[str], geometry: str | None, total: int) -> Iterator[Chunk]:
    import shapely
    from pyarrow import parquet

    start = 1
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(CHUNK_ROWS):
                numbers = np.arange(start, start + batch.num_rows)
                start += batch.num_rows
                geometries: NDArray[Any] = np.full(batch.num_rows, None, dtype=object)
                if geometry is not None:
                    wkb = np.array(batch.column(geometry).to_pylist(), dtype=object)
                    geometries = shapely.from_wkb(wkb, on_invalid="fix")
                columns = [_as_text(batch.column(name)) for name in headings]
                yield Chunk(numbers, columns, geometries, [], min(1.0, start / total))
    except (pa.ArrowException, OSError) as error:
        raise ImportRefused(f"{path.name}: cannot be read to its end: {str(error).splitlines()[0]}") from None


def _as_text(column: pa.Array) -> pa.StringArray:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type):
        return _as_utf8(column)
    if pa.types.is_integer(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string())
    if pa.types.is_list(column.type):
        return pa.array(
            [None if value is None else ",".join(map(str, value)) for value in column.to_pylist()], pa.string()
        )
    return pa.array([cell_text(value) for value in column.to_pylist()], pa.string())


def _as_utf8(column: pa.StringArray) -> pa.StringArray:
    """A column of texts; bytes that are no UTF-8 become the replacement character."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        texts = column.cast(pa.binary()).to_pylist()
        return pa.array([None if text is None else text.decode("utf-8", "replace") for text in texts], pa.string())
    return column


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
