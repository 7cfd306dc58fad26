"""Rows as files: GeoPackage, GeoJSON, GeoParquet, FlatGeobuf, zipped Shapefile, CSV, XLSX.

The counterpart of ``layers.reading``. Batches come in one after the other, so that memory stays bounded; what a format
cannot hold is counted in ``Plan.losses``.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from layers.coordinates import DATUMS
from layers.definition import Words
from layers.errors import InvalidValue, Unavailable
from layers.exchange import EXACT, SAMPLE, guarded
from layers.reading import COLUMNS_FILE
from layers.values import LOCAL_ZONE

Kind = Literal["text", "integer", "number", "boolean", "date", "datetime", "codes"]
Format = Literal["gpkg", "geojson", "parquet", "fgb", "shp", "csv", "xlsx"]
WKB = "geometry"
"""The column of a batch that holds its geometries, as WKB in the plan's CRS."""
ARROW_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
    "codes": pa.string(),
}
SHEET_ROWS, CELL_LETTERS, DBF_BYTES, DBF_NAME = 1_048_576, 32_767, 254, 10
DBF_NUMBER = 1e22  # beyond, GDAL writes other numbers into the 24 letters of a column
WHOLE_AT_MOST = 10**15  # a spreadsheet shows fifteen digits
FIRST_YEAR = 1901  # of days that a spreadsheet counts right
EPOCH = pa.scalar(0, pa.int64()).cast(pa.timestamp("us", "UTC"))
GROUP_ROWS, GROUP_BYTES = 65_536, 64 << 20
NOT_IN_XML = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
"""Letters that a sheet holds only in the form ``_x000D_``, and what would be taken for that form."""
TYPES_BY_DIMENSION = {0: "Point", 1: "MultiLineString", 2: "MultiPolygon"}


@dataclass(frozen=True)
class Column:
    """A column of a file.

    Parameters
    ----------
    heading : str
    kind : str
        What its values are; ``codes`` are words with commas between.
    field : str, optional
        The layer's field that it holds.
    """

    heading: str
    kind: Kind
    field: str | None = None


@dataclass(frozen=True)
class Terms:
    """A source of rows, and the terms on which they are given on."""

    id: str
    name: str
    licence: str
    attribution: str
    url: str | None
    _: KW_ONLY
    count: int

    def line(self) -> str:
        """The terms in one line."""
        return "; ".join(part for part in (self.name, self.licence, self.attribution, self.url) if part)


@dataclass
class Plan:
    """What a file is to hold.

    Parameters
    ----------
    layer : str
        The layer's id, the name of the table in the file.
    title : Words
    geometry : str
        The kind of geometries, ``none`` without.
    crs : str
        ``EPSG:n``, ``GCJ-02`` or ``BD-09``.
    columns : list of Column
        In the order of each batch's columns.
    count : int
        Rows in all.
    sample : int
        How many of them are sample data.
    terms : list of Terms
        The sources of the rows.
    exact : tuple of str
        Fields with moments that GDAL does not hold to their last digit.
    notes : list of str
        Sentences that go into the file, where it has a place for them.
    losses : Counter
        What the format loses, and how many values that was; 0 where it is not counted.
    """

    layer: str
    title: Words
    geometry: str
    crs: str
    columns: list[Column]
    count: int
    sample: int = 0
    terms: list[Terms] = field(default_factory=list)
    exact: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    losses: Counter[str] = field(default_factory=Counter)

    @property
    def has_geometry(self) -> bool:
        """Whether the rows have geometries."""
        return self.geometry != "none"

    def about(self) -> list[str]:
        """What a reader of the file must know, and the terms of its sources."""
        return [*self.notes, *(f"{terms.id} ({terms.count}): {terms.line()}" for terms in self.terms)]

    def lost(self, what: str, count: int = 0) -> None:
        """Note a loss; of one that is counted only when there is any."""
        self.losses[what] += count


Batches = Iterator[pa.RecordBatch]
Writer = Callable[[Path, Plan, Batches], None]


# --- by GDAL ----------------------------------------------------------------------------------------------------------


def _gpkg(path: Path, plan: Plan, batches: Batches) -> None:
    options = {"IDENTIFIER": plan.title.zh, "DESCRIPTION": "\n".join(plan.about())}
    _write_vector(path, "GPKG", plan, _to_milliseconds(plan, batches), options)


def _fgb(path: Path, plan: Plan, batches: Batches) -> None:
    options = {"TITLE": plan.title.zh, "DESCRIPTION": "\n".join(plan.about()), "TEMPORARY_DIR": str(path.parent)}
    if not plan.has_geometry or not plan.count:
        options["SPATIAL_INDEX"] = "NO"
    _write_vector(path, "FlatGeobuf", plan, _to_milliseconds(plan, batches), options)


def _to_milliseconds(plan: Plan, batches: Batches) -> Batches:
    """Moments cut to the millisecond, all that GDAL keeps; those with more digits stand in a column of their own."""
    for batch in batches:
        exact: dict[int, dict[str, str]] = {}
        columns, names = [], []
        for column, array in zip(plan.columns, batch.columns, strict=False):
            if column.kind == "datetime":
                cut = _cut_moments(array)
                if column.field in plan.exact:
                    for position in np.flatnonzero(pc.not_equal(array, cut).fill_null(False)).tolist():
                        exact.setdefault(position, {})[str(column.field)] = _moment(array[position].as_py())
                array = cut.cast(pa.timestamp("ms", "UTC"))
            columns.append(array)
            names.append(column.heading)
        if plan.exact:
            told = [json.dumps(exact[position]) if position in exact else None for position in range(batch.num_rows)]
            columns.append(pa.array(told, pa.string()))
            names.append(EXACT)
        if plan.has_geometry:
            columns.append(batch.column(WKB))
            names.append(WKB)
        yield pa.RecordBatch.from_arrays(columns, names)


def _cut_moments(column: pa.TimestampArray) -> pa.TimestampArray:
    """Moments to the millisecond; before 1970 to the second, for there GDAL rounds 59.001 seconds to a minute."""
    to_second, to_millisecond = (pc.floor_temporal(column, unit=unit) for unit in ("second", "millisecond"))
    return pc.if_else(pc.less(column, EPOCH), to_second, to_millisecond)


def _moment(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _write_vector(
    path: Path, driver: str, plan: Plan, batches: Batches, options: Mapping[str, str], *, append: bool = False
) -> None:
    """Write batches by GDAL; it takes them one by one."""
    import pyogrio

    failed: list[Exception] = []
    first = next(batches)

    def noting() -> Batches:
        yield first
        try:
            yield from batches
        except Exception as error:  # it would come out of GDAL without its kind and words
            failed.append(error)
            raise

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a CRS that nobody knows, and of short names
            pyogrio.write_arrow(
                pa.RecordBatchReader.from_batches(first.schema, noting()),
                path,
                driver=driver,
                layer=path.stem if driver == "ESRI Shapefile" else plan.layer,
                geometry_name=WKB if plan.has_geometry else None,
                geometry_type=_geometry_type(plan.geometry),
                crs=None if plan.crs in DATUMS or not plan.has_geometry else plan.crs,
                encoding="UTF-8",
                append=append,
                **options,
            )
    except Exception as error:
        if failed:
            raise failed[0] from None
        if isinstance(error, pyogrio.errors.DataSourceError | pyogrio.errors.DataLayerError | RuntimeError):
            raise Unavailable(f"the file could not be written: {str(error).splitlines()[0]}") from None
        raise


def _geometry_type(geometry: str) -> str | None:
    return {"none": None, "Geometry": "Unknown"}.get(geometry, geometry)


# --- Shapefile --------------------------------------------------------------------------------------------------------


def _shp(path: Path, plan: Plan, batches: Batches) -> None:
    """A ZIP of one Shapefile, or of one for each kind of geometry, with the whole headings and the terms beside it."""
    names = short_names([column.heading for column in plan.columns])
    if plan.has_geometry:
        plan.lost("rings of polygons run the other way round, parts may be in another order")
    plan.lost(f"names cut to {DBF_NAME} letters (the whole ones stand in {COLUMNS_FILE})")
    plan.lost("an empty text and an unknown one are the same, blanks at the ends of texts are gone")
    if any(column.kind == "number" for column in plan.columns):
        plan.lost("numbers keep 15 digits behind the point")
    if any(column.kind == "integer" for column in plan.columns):
        plan.lost("whole numbers beyond 2^53 may be rounded")
    if any(column.kind == "datetime" for column in plan.columns):
        plan.lost("moments are texts")
    parts: dict[str, Path] = {}
    for batch in batches:
        formed = _dbf_batch(plan, batch, list(names.values()))
        for stem, kind, part in _by_dimension(plan, formed):
            target = path.parent / f"{stem}{'.shp' if plan.has_geometry else '.dbf'}"
            kind_plan = Plan(plan.layer, plan.title, kind, plan.crs, plan.columns, plan.count)
            _write_vector(target, "ESRI Shapefile", kind_plan, iter([part]), {}, append=stem in parts)
            parts[stem] = target
    _zip_parts(path, plan, list(parts), names)


def short_names(headings: list[str]) -> dict[str, str]:
    """Headings to names of ten bytes, none of them twice."""
    given: dict[str, str] = {}
    for heading in headings:
        short = _cut(heading, DBF_NAME)
        number = 1
        while short.upper() in (name.upper() for name in given.values()):
            number += 1
            short = _cut(heading, DBF_NAME - len(str(number)) - 1) + f"_{number}"
        given[heading] = short
    return given


def _cut(text: str, size: int) -> str:
    """The text cut to as many bytes, at a letter's end."""
    return text.encode()[:size].decode("utf-8", "ignore")


def _dbf_batch(plan: Plan, batch: pa.RecordBatch, names: list[str]) -> pa.RecordBatch:
    columns = []
    for column, array in zip(plan.columns, batch.columns, strict=False):
        if column.kind == "datetime":
            array = pc.strftime(array, format="%Y-%m-%dT%H:%M:%SZ")  # with microseconds
        if column.kind == "number":
            large = pc.greater_equal(pc.abs(array), DBF_NUMBER).fill_null(False)
            if count := _count(large):
                plan.lost("numbers of 10^22 and more are left out", count)
                array = pc.if_else(large, pa.scalar(None, pa.float64()), array)
        if column.kind in ("text", "codes"):
            long = pc.greater(pc.binary_length(array), DBF_BYTES).fill_null(False)
            if count := _count(long):
                plan.lost(f"texts cut to {DBF_BYTES} bytes", count)
                array = pa.array([None if t is None else _cut(t, DBF_BYTES) for t in array.to_pylist()], pa.string())
        columns.append(array)
    if plan.has_geometry:
        return pa.RecordBatch.from_arrays([*columns, batch.column(WKB)], [*names, WKB])
    return pa.RecordBatch.from_arrays(columns, names)


def _count(mask: pa.BooleanArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _by_dimension(plan: Plan, batch: pa.RecordBatch) -> Iterator[tuple[str, str, pa.RecordBatch]]:
    """The rows of a batch for each Shapefile: its name, its kind of geometry, the rows."""
    if plan.geometry != "Geometry":
        yield plan.layer, plan.geometry, batch
        return
    dimensions = shapely.get_dimensions(shapely.from_wkb(batch.column(WKB).to_numpy(zero_copy_only=False)))
    for dimension, kind in TYPES_BY_DIMENSION.items():
        here = dimensions == dimension
        if here.any() or (dimension == 0 and not len(here)):
            yield f"{plan.layer}_{kind}", kind, batch.filter(pa.array(here))


def _zip_parts(path: Path, plan: Plan, stems: list[str], names: Mapping[str, str]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["name", "heading"], *((short, heading) for heading, short in names.items())])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for stem in stems:
            for part in sorted(path.parent.glob(f"{stem}.*")):
                if part != path:
                    archive.write(part, part.name)
                    part.unlink()
        archive.writestr(COLUMNS_FILE, "\ufeff" + text.getvalue())
        archive.writestr("LICENCE.txt", "\ufeff" + "\r\n".join([plan.title.zh, plan.title.en, *plan.about(), ""]))


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet(path: Path, plan: Plan, batches: Batches) -> None:
    from pyarrow import parquet

    types = {column.heading: ARROW_TYPES[column.kind] for column in plan.columns}
    types |= {column.heading: pa.list_(pa.string()) for column in plan.columns if column.kind == "codes"}
    if plan.has_geometry:
        types[WKB] = pa.binary()
    schema = pa.schema(types)
    box: NDArray[np.float64] = np.full(4, np.nan)
    kinds: set[str] = set()
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _gathered(batches):
            columns = [
                _lists(array) if column.kind == "codes" else array
                for column, array in zip(plan.columns, batch.columns, strict=False)
            ]
            if plan.has_geometry:
                columns.append(batch.column(WKB))
                shapes = shapely.from_wkb(batch.column(WKB).to_numpy(zero_copy_only=False))
                first_of_kind = np.unique(shapely.get_type_id(shapes), return_index=True)[1]
                kinds |= {str(shape.geom_type) for shape in shapes[first_of_kind]}
                box = _joined(box, shapely.total_bounds(shapes)) if len(shapes) else box
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        if plan.has_geometry:
            writer.add_key_value_metadata({"geo": json.dumps(_geo(plan, kinds, box))})
        writer.add_key_value_metadata({"leeward": json.dumps(plan.about(), ensure_ascii=False)})


def _gathered(batches: Batches) -> Batches:
    """Larger batches, each of which becomes a row group."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= GROUP_ROWS or sum(one.nbytes for one in waiting) >= GROUP_BYTES:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


def _lists(column: pa.StringArray) -> pa.ListArray:
    """Words with commas between as lists; an empty text is an empty list."""
    lists = pc.split_pattern(column, ",").to_pylist()
    return pa.array([[] if words == [""] else words for words in lists], pa.list_(pa.string()))


def _joined(box: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([np.fmin(box[:2], other[:2]), np.fmax(box[2:], other[2:])])


def _geo(plan: Plan, kinds: set[str], box: NDArray[np.float64]) -> dict[str, Any]:
    import pyproj

    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": sorted(kinds)}
    if plan.crs in DATUMS:
        column["crs"] = None  # the standard's word for one that nobody knows
    elif plan.crs != "EPSG:4326":  # the default is WGS 84 with longitude first
        column["crs"] = pyproj.CRS.from_user_input(plan.crs).to_json_dict()
    if np.isfinite(box).all():
        column["bbox"] = box.tolist()
    return {"version": "1.1.0", "primary_column": WKB, "columns": {WKB: column}}


# --- GeoJSON ----------------------------------------------------------------------------------------------------------


def _geojson(path: Path, plan: Plan, batches: Batches) -> None:
    import orjson

    if plan.geometry in ("MultiPolygon", "Geometry"):
        plan.lost("rings of polygons run as RFC 7946 asks: the outer ones counter-clockwise")
    if any(column.kind == "integer" for column in plan.columns):
        plan.lost("whole numbers beyond 2^53 are rounded by most readers")
    head = {"type": "FeatureCollection", "name": plan.layer, "leeward": {"about": plan.about()}}
    fid = next((number for number, column in enumerate(plan.columns) if column.heading == "leeward_fid"), None)
    headings = [column.heading for column in plan.columns]
    with path.open("wb") as file:
        file.write(orjson.dumps(head)[:-1] + b',"features":[\n')
        separator = b""
        for batch in batches:
            columns = [_json_values(column, array) for column, array in zip(plan.columns, batch.columns, strict=False)]
            shapes = _geojson_shapes(batch) if plan.has_geometry else [None] * batch.num_rows
            lines = []
            for shape, *cells in zip(shapes, *columns, strict=True):
                feature: dict[str, Any] = {"type": "Feature"}
                if fid is not None:
                    feature["id"] = cells[fid]
                feature |= {"geometry": shape, "properties": dict(zip(headings, cells, strict=True))}
                lines.append(orjson.dumps(feature))
            if lines:
                file.write(separator + b",\n".join(lines))
                separator = b",\n"
        file.write(b"\n]}\n")


def _json_values(column: Column, array: pa.Array) -> list[Any]:
    if column.kind == "codes":
        array = _lists(array)
    if column.kind == "datetime":
        array = pc.strftime(array, format="%Y-%m-%dT%H:%M:%SZ")
    if column.kind == "date":
        array = array.cast(pa.string())
    values: list[Any] = array.to_pylist()
    return values


def _geojson_shapes(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    shapes = shapely.orient_polygons(shapely.from_wkb(batch.column(WKB).to_numpy(zero_copy_only=False)))
    if (shapely.get_type_id(shapes) == 0).all():
        return [{"type": "Point", "coordinates": point} for point in shapely.get_coordinates(shapes).tolist()]
    return [shapely.geometry.mapping(shape) for shape in shapes]


# --- tables -----------------------------------------------------------------------------------------------------------


def _csv(path: Path, plan: Plan, batches: Batches) -> None:
    import pyarrow.csv

    plan.lost("an empty text and an unknown one are the same, blanks at the ends of texts are gone")
    plan.lost("texts that begin with = + - @ or a tab have an apostrophe before them, which import takes away")
    headings = [column.heading for column in plan.columns]
    schema = pa.schema([(column.heading, ARROW_TYPES[column.kind]) for column in plan.columns])
    with path.open("wb") as file:
        file.write(b"\xef\xbb\xbf")
        with pyarrow.csv.CSVWriter(file, schema) as writer:
            for batch in batches:
                columns = [
                    guarded(array) if column.kind in ("text", "codes") else array
                    for column, array in zip(plan.columns, batch.columns, strict=False)
                ]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, headings))


def _xlsx(path: Path, plan: Plan, batches: Batches) -> None:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.comments import Comment
    from openpyxl.styles import Font, PatternFill

    if plan.count >= SHEET_ROWS:
        raise InvalidValue(
            f"{plan.count} rows do not fit on a sheet, which holds {SHEET_ROWS - 1} and a heading",
            parameter="format",
            expected="csv, gpkg, or fewer rows",
        )
    plan.lost("an empty text and an unknown one are the same, blanks at the ends of texts are gone")
    plan.lost("numbers keep 16 digits")
    book = Workbook(write_only=True)
    sheet, about = book.create_sheet(plan.title.zh[:31]), book.create_sheet("说明 about")
    sheet.freeze_panes = "A2"
    heading_cells = []
    for column in plan.columns:
        cell = WriteOnlyCell(sheet, column.heading)
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="DDE6EE")
        if column.heading == SAMPLE and plan.sample:
            cell.font = Font(bold=True, color="A3001C")
            cell.comment = Comment("\n".join(plan.notes), "Leeward")
        heading_cells.append(cell)
    sheet.append(heading_cells)
    cells = _Cells(plan, sheet)
    for batch in batches:
        columns = [array.to_pylist() for array in batch.columns[: len(plan.columns)]]
        for row in zip(*columns, strict=True):
            sheet.append([cells.cell(value) for value in row])
    for line in (plan.title.zh, plan.title.en, *plan.about()):
        about.append([cells.text(line)])
    book.save(path)


class _Cells:
    """Values as cells of a sheet."""

    def __init__(self, plan: Plan, sheet: Any) -> None:
        self.plan = plan
        self.sheet = sheet

    def cell(self, value: Any) -> Any:
        """A value as a cell: a text is never a formula, and nothing is shown otherwise than it is."""
        if isinstance(value, datetime.datetime):
            return self.text(value.astimezone(LOCAL_ZONE).isoformat(" "))
        if isinstance(value, datetime.date):
            return value if value.year >= FIRST_YEAR else self.text(value.isoformat())
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= WHOLE_AT_MOST:
            return self.text(str(value))
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> Any:
        """A text as a cell."""
        from openpyxl.cell import WriteOnlyCell

        if len(text) > CELL_LETTERS:
            self.plan.lost(f"texts cut to {CELL_LETTERS} letters", 1)
            text = text[:CELL_LETTERS]
        kept = NOT_IN_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
        if not text or text[0].isalnum():
            return kept or None
        cell = WriteOnlyCell(self.sheet, kept)
        cell.data_type = "s"
        cell.quotePrefix = True
        return cell


WRITERS: dict[Format, Writer] = {
    "gpkg": _gpkg, "geojson": _geojson, "parquet": _parquet, "fgb": _fgb, "shp": _shp, "csv": _csv, "xlsx": _xlsx,
}  # fmt: skip


def write(path: Path, form: Format, plan: Plan, batches: Batches) -> None:
    """Write a plan's rows to a file.

    Parameters
    ----------
    path : Path
        In a folder of its own, where further files may come and go.
    form : str
        The format.
    batches : iterator of RecordBatch
        At least one, which may be empty; each with the plan's columns, and ``geometry``.

    Raises
    ------
    InvalidValue
        When the format cannot hold them at all.
    Unavailable
        When the file cannot be written.
    """
    WRITERS[form](path, plan, batches)
