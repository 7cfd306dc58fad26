"""Files as chunks of rows: delimited text, spreadsheets, and every vector format that GDAL reads.

Nothing is interpreted here but the file's own form: encoding, delimiter, heading, CRS. A row number is the one that a
spreadsheet would show (the heading is row 1); for vector formats it is the feature's place in the file, from 1.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from layers.errors import ImportRefused

CHUNK_ROWS = 50_000
BLOCK_BYTES = 8 << 20
ENCODINGS = ["utf_8", "big5", "gb18030", "cp932", "cp1252"]
DELIMITERS = ",\t;|"
SHEETS = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}
VECTOR_TEXT = {".mif", ".tab", ".gpx", ".gml", ".kml", ".geojsonl", ".geojsons", ".dxf", ".vrt"}


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
    broken : list of (row number, reason, text)
        Rows that could not be split into columns; they stand in no other member.
    done_ratio : float
        How much of the file is read, 0 to 1.
    """

    numbers: NDArray[np.int64]
    columns: list[pa.StringArray]
    geometries: NDArray[Any] | None = None
    broken: list[tuple[int, str, str]] = field(default_factory=list)
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
    with _utf8(path, encoding) as file:
        first = _first_record(file).decode("utf-8", "replace")
    delimiter = max(DELIMITERS, key=_outside_quotes(first).count)
    if delimiter != ",":
        notes.append(f"delimiter found: {delimiter!r}")
    cells = next(csv.reader([first], delimiter=delimiter), [])
    headings = [text.strip() for text in cells]
    while headings and not headings[-1]:
        headings.pop()
    if not headings:
        raise ImportRefused(f"{path.name} has no heading row")
    read = encoding

    def chunks() -> Iterator[Chunk]:
        return _text_chunks(path, read, delimiter, len(cells), len(headings))

    return Table("delimited text", headings, None, notes, chunks)


@contextmanager
def _utf8(path: Path, encoding: str) -> Iterator[Any]:
    """A text file as UTF-8 bytes without a mark; what cannot be read becomes the replacement character."""
    with path.open("rb") as raw:
        yield raw if encoding == "utf-8" else codecs.EncodedFile(raw, "utf-8", encoding, errors="replace")


def _first_record(file: Any) -> bytes:
    """The first record that is not blank, with the lines that its quotes hold together."""
    text = b""
    while line := file.readline():
        text += line
        if not text.strip():
            text = b""
        elif text.count(b'"') % 2 == 0 or len(text) > BLOCK_BYTES:
            break
    return text


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _text_chunks(path: Path, encoding: str, delimiter: str, cells: int, width: int) -> Iterator[Chunk]:
    """Chunks of a delimited text whose heading has ``cells`` columns, of which the first ``width`` bear a name."""
    size = path.stat().st_size
    ragged: list[pyarrow.csv.InvalidRow] = []

    def put_aside(row: pyarrow.csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    names = [str(number) for number in range(cells)]
    with _utf8(path, encoding) as file:
        start = 2 + _blank_lines(path, encoding)
        _first_record(file)
        try:
            batches = pyarrow.csv.open_csv(
                pa.PythonFile(file, mode="r"),
                pyarrow.csv.ReadOptions(use_threads=False, column_names=names, block_size=BLOCK_BYTES),
                pyarrow.csv.ParseOptions(
                    delimiter=delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=put_aside,
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                    check_utf8=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                yield Chunk(np.array([], dtype=np.int64), [pa.array([], pa.string())] * width, done_ratio=1.0)
                return
            raise _unreadable(path, error) from None
        read = 0
        while True:
            try:
                batch = batches.read_next_batch()
            except StopIteration:
                return
            except pa.ArrowInvalid as error:
                raise _unreadable(path, error) from None
            aside, ragged = ragged, []
            taken = {row.number - 1 for row in aside}
            places = _places_without(read, batch.num_rows, taken)
            read = max([*taken, *(places[-1:].tolist()), read - 1]) + 1
            yield from _whole_and_ragged(batch, places + start, aside, start, delimiter, width, file.tell() / size)


def _unreadable(path: Path, error: Exception) -> ImportRefused:
    return ImportRefused(
        f"{path.name} cannot be split into rows and columns: {str(error).splitlines()[0]}",
        expected="quotes that are closed, and one delimiter throughout",
    )


def _blank_lines(path: Path, encoding: str) -> int:
    """How many blank lines stand before the heading."""
    with _utf8(path, encoding) as file:
        count = 0
        while (line := file.readline()) and not line.strip():
            count += 1
        return count


def _places_without(start: int, count: int, taken: set[int]) -> NDArray[np.int64]:
    """The first ``count`` places from ``start`` on that are not taken."""
    here = np.arange(start, start + count + len(taken), dtype=np.int64)
    if taken:
        here = here[~np.isin(here, list(taken))]
    return here[:count]


def _whole_and_ragged(
    batch: pa.RecordBatch,
    numbers: NDArray[np.int64],
    aside: list[Any],
    start: int,
    delimiter: str,
    width: int,
    done: float,
) -> Iterator[Chunk]:
    columns = [batch.column(number) for number in range(batch.num_columns)]
    broken = []
    short_numbers, short_rows = [], []  # type: list[int], list[list[str | None]]
    for row in aside:
        cells = next(csv.reader([row.text], delimiter=delimiter), [])
        if any(cells[width:]):
            broken.append((row.number - 1 + start, f"has {len(cells)} columns, the heading {width}", row.text))
        elif any(cells):
            short_numbers.append(row.number - 1 + start)
            short_rows.append([cell or None for cell in [*cells, *[""] * width][:width]])
    blank = _all_null(columns, len(numbers))
    if blank.any():
        keep = pa.array(~blank)
        columns, numbers = [column.filter(keep) for column in columns], numbers[~blank]
    for column in columns[width:]:
        if column.null_count < len(column):
            extra = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
            broken += [(int(numbers[i]), "has a value in a column without heading", "") for i in extra]
            keep_here = np.ones(len(numbers), bool)
            keep_here[extra] = False
            columns = [other.filter(pa.array(keep_here)) for other in columns]
            numbers = numbers[keep_here]
    yield Chunk(numbers, columns[:width], None, broken, min(done, 1.0))
    if short_rows:
        shorts = [pa.array(column, pa.string()) for column in zip(*short_rows, strict=True)]
        yield Chunk(np.array(short_numbers, dtype=np.int64), shorts, None, [], min(done, 1.0))


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
    numbers, rows, broken = [], [], []  # type: list[int], list[list[str | None]], list[tuple[int, str, str]]
    heading_seen = False
    for number, cells in enumerate(sheet.iter_rows(), start + 1):
        if not any(cell != "" for cell in cells):
            continue
        if not heading_seen:
            heading_seen = True
            continue
        if any(cell != "" for cell in cells[width:]):
            broken.append((number, f"has a value in column {len(cells)}, which has no heading", ""))
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
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def _chunk(
    numbers: list[int], rows: list[list[str | None]], width: int, broken: list[tuple[int, str, str]], done_ratio: float
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
        with pyogrio.raw.open_arrow(path, layer=layer, encoding=encoding, batch_size=CHUNK_ROWS, use_pyarrow=True) as (
            meta,
            reader,
        ):
            geometry_name = meta["geometry_name"] or "wkb_geometry"
            for batch in reader:
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
    except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, RuntimeError) as error:
        raise ImportRefused(f"{path.name}: cannot be read to its end: {error}") from None


def _as_text(column: pa.Array) -> pa.StringArray:
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_integer(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string())
    if pa.types.is_list(column.type):
        return pa.array(
            [None if value is None else ",".join(map(str, value)) for value in column.to_pylist()], pa.string()
        )
    return pa.array([cell_text(value) for value in column.to_pylist()], pa.string())


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
