"""Import: files and frames into layers, every row accounted for, in one transaction."""

from __future__ import annotations

import csv
import gc
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from layers import coordinates, datums, exchange, geometries, reading, values
from layers.catalog import catalog, profile_of
from layers.database import Cursor, DatabaseError, one, refusal, rows, sql, transaction
from layers.definition import Definition, Profile, Source
from layers.errors import ImportRefused, InvalidValue, Unavailable
from layers.geometries import Area, Placed
from layers.settings import settings
from layers.staging import Batch, Staging, arrow, lock
from layers.tables import SAMPLE_SOURCE, table

OWN_COLUMNS = ("leeward_row", "leeward_column", "leeward_reason", "leeward_proposal", "leeward_crs")
OWN_GEOMETRY = "leeward_wkt"
EXAMPLE_NOTE = "示例行，导入前请删除 / example row, delete before importing"
NOTED_VALUES = 1000
DATABASE_TROUBLE = ("08", "40", "53", "57")  # SQLSTATE: connection, rollback, resources, operator
LARGE_BYTES, LARGE_ROWS = 8 << 20, 50_000

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row was not imported."""

    row: int
    column: str
    reason: str
    proposal: str | None = None


@dataclass
class Report:
    """What became of an import: ``read`` is the sum of the four counts after it."""

    layer: str
    file: str
    source: str
    crs: str | None = None
    read: int = 0
    imported: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    dry_run: bool = False
    columns: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    flags: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)
    unread_examples: list[dict[str, Any]] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    rejects_file: str | None = None
    datum: dict[str, Any] | None = None
    import_id: int | None = None

    def line(self) -> str:
        """The counts in one line."""
        return (
            f"read {self.read}, imported {self.imported}, updated {self.updated}, "
            f"unchanged {self.unchanged}, rejected {self.rejected}"
        )


@dataclass(frozen=True)
class Options:
    """How a file is to be read.

    Parameters
    ----------
    crs : str, optional
        ``EPSG:n``, ``GCJ-02`` or ``BD-09``; else the file's own, or found out.
    area : str, optional
        An admin area's code, ``w,s,e,n``, or ``any``; else LEEWARD_AREA.
    columns : mapping of heading to field
        Counts before aliases; ``-`` leaves a column out.
    constants : mapping of field to text
        A value for every row that the file leaves empty.
    update : bool
        Whether a row whose key is there with other values replaces them.
    sheet : str, optional
        The sheet of a spreadsheet, or the layer of a file with several; else the first with data.
    source : str, optional
        The id of the source; else the profile's, else the layer's own.
    author, reason : str, optional
        Who imports, and why, for the change log; without an author: the database's user.
    beside_readers : bool
        Whether nobody who reads the layer may be kept waiting: a large file does not go straight into an empty layer.
    """

    crs: str | None = None
    area: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    update: bool = False
    rejects: Path | None = None
    dry_run: bool = False
    encoding: str | None = None
    sheet: str | None = None
    source: str | None = None
    licence: str | None = None
    attribution: str | None = None
    author: str | None = None
    reason: str | None = None
    beside_readers: bool = False


class DryRun(Exception):
    """Ends a transaction that is not to be kept."""


def import_file(
    url: str,
    layer: str,
    path: Path,
    options: Options | None = None,
    progress: Progress | None = None,
    before_end: Callable[[Cursor, Run], None] | None = None,
) -> Report:
    """Import a file into a layer, wholly or not at all.

    Parameters
    ----------
    url : str
        The database.
    layer : str
        The layer's id.
    path : Path
        Any vector file that GDAL reads, or CSV or a spreadsheet with coordinates.
    progress : callable, optional
        Given the share done, 0 to 1.
    before_end : callable, optional
        Called in the transaction when everything is written, before it is committed, or undone after a dry run.

    Returns
    -------
    Report
        ``read = imported + updated + unchanged + rejected``; each rejected row stands in the rejects file.

    Raises
    ------
    ImportRefused, InvalidValue, NotFound
        When the file as a whole cannot be imported. Nothing was written then.
    """
    options = options or Options()
    definition = catalog()[layer]
    tell = progress or (lambda _: None)
    with _clear_errors(path):
        run = Run(definition, path, options)
        try:
            with transaction(url, options.author, options.reason) as cursor:
                run.prepare(cursor)
                with _no_garbage_collection():
                    run.stage(cursor, tell)
                run.merge(cursor)
                rejects = run.write_rejects()
                if before_end is not None:
                    before_end(cursor, run)
                if options.dry_run:
                    raise DryRun
        except DryRun:
            pass
        run.keep_rejects(rejects)
    tell(1.0)
    return run.report


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """What the database or the file system refuses, as a domain error."""
    try:
        yield
    except DatabaseError as error:
        if error.pgcode is None or error.pgcode[:2] in DATABASE_TROUBLE:
            raise Unavailable(f"{path.name} was not imported: {refusal(error)}") from None
        raise ImportRefused(f"{path.name}: the database refuses a row: {refusal(error)}") from None
    except OSError as error:
        raise ImportRefused(f"{error.filename or path.name}: {error.strerror or error}") from None


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Rows make millions of lists and no cycles: collecting them over and over doubles the time of reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Run:
    """One import of one file."""

    def __init__(self, definition: Definition, path: Path, options: Options) -> None:
        self.definition = definition
        self.path = path
        self.options = options
        self.table = reading.table(path, encoding=options.encoding, sheet=options.sheet, layer=options.sheet)
        own_file = exchange.is_own(self.table.headings)
        self.profile: Profile | None = None if own_file else profile_of(definition.id, self.table.headings)
        self.own_file = exchange.OwnFile(definition, self.table.headings, self.table.kind, self.profile)
        self.source_id, self.source = self._source()
        self.report = Report(
            definition.id, path.name, self.source_id, dry_run=options.dry_run, notes=list(self.table.notes)
        )
        aside = (*(name for name in OWN_COLUMNS if name in self.table.headings), *self.own_file.aside)
        own = {**dict.fromkeys(aside, "-"), **options.columns}
        if OWN_GEOMETRY in self.table.headings:
            own = {OWN_GEOMETRY: "wkt", **own}
        given = dict(self.profile.columns) if self.profile else self.own_file.fields
        self.columns = values.columns(definition, self.table.headings, given, own)
        if OWN_GEOMETRY in self.table.headings:  # a rejects file of a vector file: its geometry counts, as it did there
            self.columns.places.pop("x", None)
            self.columns.places.pop("y", None)
        if self.profile is not None:
            fields = {self.table.headings[number]: name for name, number in self.columns.fields.items()}
            factors = exchange.unit_factors(definition, self.profile, fields)
            self.columns.factors.update({fields[heading]: factor for heading, factor in factors.items()})
        self.sources: set[str] = set()
        self.crs: str | None = None
        self.sample = datums.Sample()
        self.rejections: list[Rejection] = []
        self._note_columns()

    def _source(self) -> tuple[str, Source]:
        options, profile = self.options, self.profile
        if options.source == SAMPLE_SOURCE:
            raise InvalidValue("`sample` is the source of the sample county", parameter="source")
        source = profile.source if profile else self.definition.source
        source_id = options.source or (profile.source_id if profile else f"local_{self.definition.id}")
        changes = {"licence": options.licence, "attribution": options.attribution}
        changes |= {"name": options.source} if options.source else {}
        return source_id, source.model_copy(update={k: v for k, v in changes.items() if v})

    def _note_columns(self) -> None:
        report, headings = self.report, self.table.headings
        matched = {
            headings[number]: name for name, number in (*self.columns.fields.items(), *self.columns.places.items())
        }
        matched |= {headings[number]: name for number, (name, _) in self.columns.flags.items()}
        report.columns = matched
        report.unused = [heading for heading in self.columns.unused if heading not in OWN_COLUMNS]
        report.notes += self.columns.notes
        if self.profile:
            report.notes.append(f"file recognised: {self.profile.title.en} ({self.profile.source.licence})")
        places = self.columns.places
        if (
            self.definition.has_geometry
            and not self.table.vector
            and "wkt" not in places
            and not {"x", "y"} <= set(places)
        ):
            raise ImportRefused(
                f"{self.path.name} has no columns for longitude and latitude; it has {', '.join(headings)[:500]}",
                parameter="map",
                expected="--map COLUMN=lon --map COLUMN=lat, or a column with WKT",
                further=self._headings(),
            )
        if not self.columns.fields and not self.columns.flags:
            raise ImportRefused(
                f"no column of {self.path.name} fits a field of {self.definition.id}",
                parameter="map",
                expected="--map COLUMN=FIELD; fields: " + ", ".join(self.definition.entered_fields),
                further=self._headings(),
            )

    def _headings(self) -> dict[str, Any]:
        """What the file has, for those who then say what its columns are."""
        headings = [heading for heading in self.table.headings if heading not in OWN_COLUMNS]
        return {"headings": headings, "columns": self.report.columns, "sheets": self.table.parts}

    # --- reading

    def prepare(self, cursor: Cursor) -> None:
        """Set up what reading a chunk needs: area, constants, readers."""
        self.area = settled_area(cursor, self.options.area)
        definition, book = self.definition, catalog()
        self.constants = self._constants(cursor)
        names = {*self.columns.fields, *(name for name, _ in self.columns.flags.values()), *self.constants}
        self.fields = [name for name in definition.fields if name in names]
        self.fallbacks = {n: definition.fields[n].default for n in self.fields} | self.constants
        self.readers = {
            name: values.reader(
                book,
                definition,
                name,
                self.columns.factors.get(name, 1),
                _items(cursor, definition, name, self.source_id),
                # the ignore: mypy cannot infer a lambda whose default binds the loop variable
                lambda number=number: (chunk.columns[number] for chunk in self.table.chunks()),  # type: ignore[misc]
                verbatim=self.own_file.verbatim,
            )
            for name, number in self.columns.fields.items()
        }
        self.translations = {
            self.table.headings.index(heading): table
            for heading, table in (self.profile.values if self.profile else {}).items()
            if heading in self.table.headings
        }

    def _constants(self, cursor: Cursor) -> dict[str, Any]:
        definition = self.definition
        given: dict[str, Any] = dict(self.profile.set) if self.profile else {}
        for name, text in {**given, **self.options.constants}.items():
            if name not in definition.entered_fields:
                expected = ", ".join(definition.entered_fields)
                raise InvalidValue(
                    f"{definition.id} has no field {name!r} to be set", parameter="set", expected=expected
                )
            items = _items(cursor, definition, name, self.source_id)
            read = values.reader(catalog(), definition, name, 1, items)(pa.array([str(text)]))
            if read.unread or read.wrong:
                raise InvalidValue(f"{text!r} is no value of {name}", parameter="set")
            given[name] = read.values[0]
        return given

    def stage(self, cursor: Cursor, progress: Progress) -> None:
        """Read the file chunk by chunk; PostgreSQL takes one in while the next is being read."""
        self._record(cursor)
        large = self.path.stat().st_size >= LARGE_BYTES and not self.options.beside_readers
        self.staging = Staging(
            cursor, self.definition, self.fields, self.source_id, self.import_id,
            large=large, dry_run=self.options.dry_run,
        )  # fmt: skip
        pending: Future[None] | None = None
        with ThreadPoolExecutor(1) as pool:
            for chunk in self.table.chunks():
                form = self.staging.form(self._batch(chunk))
                if pending is not None:
                    pending.result()
                pending = pool.submit(self.staging.copy, form)
                progress(0.7 * chunk.done_ratio)
            if pending is not None:
                pending.result()
        self.report.notes += [note for note in self.table.notes if note not in self.report.notes]
        if self.report.read == 0:
            self.report.notes.append("the file has a heading and no rows")
        for name, reader in self.readers.items():
            if isinstance(reader, values.DateReader) and reader.ambiguous and reader.day_first is None:
                self.report.notes.append(f"{name}: no day is over 12, so 3/4/2020 was read as month/day/year")

    def _batch(self, chunk: reading.Chunk) -> Batch:
        self.report.read += len(chunk.numbers) + len(chunk.broken)
        self.rejections += [Rejection(number, "", reason) for number, reason, _ in chunk.broken]
        chunk = self.own_file.plain(chunk)
        batch = Batch(chunk.numbers, {}, sources=self._sources(chunk))
        wrong: dict[int, Rejection] = {}
        for name, number in self.columns.fields.items():
            column = chunk.columns[number]
            if number in self.translations:
                several = self.definition.fields[name].type == "codes"
                column = exchange.translated(column, self.translations[number], several=several)
            self._read_column(batch, chunk, name, number, self.readers[name](column), wrong)
        self._read_flag_columns(batch, chunk)
        self._fill_constants(batch)
        if self.definition.has_geometry:
            self._place(batch, chunk, wrong)
        self._flag_zeros(batch)
        self._check_required(batch, wrong)
        self._check_time(batch, wrong)
        for position, (heading, reason) in self.own_file.refused(chunk).items():
            wrong[position] = Rejection(int(chunk.numbers[position]), heading, reason)
        self.rejections += wrong.values()
        return batch.without(set(wrong))

    def _sources(self, chunk: reading.Chunk) -> pa.StringArray | None:
        """The source of each row of a file that Leeward wrote, unless the user names one for all."""
        sources = None if self.options.source else self.own_file.sources(chunk, self.source_id)
        if sources is not None:
            self.sources |= set(sources.unique().to_pylist())
        return sources

    def _read_column(
        self,
        batch: Batch,
        chunk: reading.Chunk,
        name: str,
        number: int,
        read: values.Values,
        wrong: dict[int, Rejection],
    ) -> None:
        heading = self.table.headings[number]
        batch.values[name] = read.values
        for position, reason in read.wrong.items():
            wrong.setdefault(position, Rejection(int(chunk.numbers[position]), heading, reason))
        self._note_unread(batch, heading, read.unread)

    def _note_unread(self, batch: Batch, heading: str, unread: Mapping[int, str]) -> None:
        """Keep the texts that could not be read with their rows, and count them."""
        for position, text in unread.items():
            batch.unread.setdefault(position, {})[heading] = text.replace("\x00", "\ufffd")  # jsonb holds no NUL
            flags = batch.flags.setdefault(position, [])
            if "unread" not in flags:
                flags.append("unread")
            self.report.unread[heading] = self.report.unread.get(heading, 0) + 1
            if len(self.report.unread_examples) < NOTED_VALUES:
                self.report.unread_examples.append(
                    {"row": int(batch.numbers[position]), "column": heading, "value": text}
                )

    def _read_flag_columns(self, batch: Batch, chunk: reading.Chunk) -> None:
        lists: dict[str, list[list[str]]] = {}
        for number, (name, codes) in self.columns.flags.items():
            found = lists.setdefault(name, [[] for _ in range(len(chunk.numbers))])
            read = values.mapped(chunk.columns[number], values.truth, pa.bool_())
            self._note_unread(batch, self.table.headings[number], read.unread)
            for position in values.positions(read.values):
                found[position] += codes
        for name, found in lists.items():
            batch.values[name] = pa.array([values.array_text(codes) if codes else None for codes in found], pa.string())

    def _fill_constants(self, batch: Batch) -> None:
        for name in self.fields:
            fallback = self.fallbacks[name]
            if name not in batch.values:
                batch.values[name] = pa.repeat(fallback, len(batch.numbers))
            elif fallback is not None:
                batch.values[name] = batch.values[name].fill_null(fallback)

    def _place(self, batch: Batch, chunk: reading.Chunk, wrong: dict[int, Rejection]) -> None:
        places = self.columns.places
        if chunk.geometries is not None and not (
            {"x", "y"} <= set(places) and shapely.is_missing(chunk.geometries).all()
        ):
            found, column = self._place_geometries(chunk, chunk.geometries), "geometry"
        elif "wkt" in places and not {"x", "y"} <= set(places):
            texts = np.array(chunk.columns[places["wkt"]].to_pylist(), dtype=object)
            found = self._place_geometries(chunk, shapely.from_wkt(texts, on_invalid="ignore"))
            column = self.table.headings[places["wkt"]]
        else:
            found = self._place_points(chunk)
            column = f"{self.table.headings[places['x']]}, {self.table.headings[places['y']]}"
        batch.geometries = found.geometries
        self.sample.add(found.geometries)
        for position, (reason, proposal) in found.wrong.items():
            wrong[position] = Rejection(int(chunk.numbers[position]), column, reason, proposal)
        for position, flag in found.flags.items():
            batch.flags.setdefault(position, []).append(flag)

    def _place_points(self, chunk: reading.Chunk) -> Placed:
        x, y = (geometries.coordinate_numbers(chunk.columns[self.columns.places[name]]) for name in ("x", "y"))
        return geometries.placed_points(self.definition, x, y, self._crs(chunk, x, y), self.area)

    def _place_geometries(self, chunk: reading.Chunk, parsed: Any) -> Placed:
        crs = self._crs(chunk, *geometries.corners(parsed))
        return geometries.placed(self.definition, parsed, crs, self.area)

    def _crs(self, chunk: reading.Chunk, x: Any, y: Any) -> str:
        """The CRS of the file, settled by the first chunk that holds coordinates."""
        if self.crs is not None:
            return self.crs
        asked = self.options.crs
        stated = asked or self._noted_crs(chunk) or self.table.crs or (self.profile.crs if self.profile else None)
        crs, note = geometries.crs_of(x, y, coordinates.normal_crs(stated) if stated else None, asked is not None)
        self.report.crs = coordinates.crs_name(crs)
        if not (np.isfinite(x) & np.isfinite(y)).any():
            return crs
        self.crs = crs
        if note is None and stated and not asked and not self.table.vector:
            note = f"coordinates read in {self.report.crs}"
        elif note is None and not stated and self.table.vector:
            note = "the file states no CRS: read as EPSG:4326"
        if note is not None:
            self.report.notes.append(note)
        return crs

    def _noted_crs(self, chunk: reading.Chunk) -> str | None:
        """The CRS that a rejects file notes for its coordinates."""
        if OWN_COLUMNS[-1] not in self.table.headings:
            return None
        column = chunk.columns[self.table.headings.index(OWN_COLUMNS[-1])].drop_null()
        return str(column[0].as_py()) if len(column) else None

    def _flag_zeros(self, batch: Batch) -> None:
        for name, field_ in self.definition.fields.items():
            if field_.flag_zero and name in self.columns.fields:
                flag = f"{name.split('_')[0]}_zero"
                for position in values.positions(pc.equal(batch.values[name], 0)):
                    batch.flags.setdefault(position, []).append(flag)

    def _check_required(self, batch: Batch, wrong: dict[int, Rejection]) -> None:
        headings = self.table.headings
        for name, field_ in self.definition.fields.items():
            if not field_.required or (field_.default is not None and name not in batch.values):
                continue
            heading = headings[self.columns.fields[name]] if name in self.columns.fields else name
            present = batch.values.get(name)
            missing = range(len(batch.numbers)) if present is None else values.positions(present.is_null())
            for position in missing:
                wrong.setdefault(position, Rejection(int(batch.numbers[position]), heading, f"{name} is missing"))
        if "note" in batch.values:
            for position in values.positions(pc.equal(batch.values["note"], EXAMPLE_NOTE)):
                wrong[position] = Rejection(int(batch.numbers[position]), "note", "the template's example row")

    def _check_time(self, batch: Batch, wrong: dict[int, Rejection]) -> None:
        """Reject rows that end before they start."""
        time = self.definition.time
        if time is None or time.end is None or not {time.start, time.end} <= batch.values.keys():
            return
        heading = self.table.headings[self.columns.fields[time.end]] if time.end in self.columns.fields else time.end
        for position in values.positions(pc.less(batch.values[time.end], batch.values[time.start])):
            reason = f"{time.end} lies before {time.start}"
            wrong.setdefault(position, Rejection(int(batch.numbers[position]), heading, reason))

    # --- writing

    def _record(self, cursor: Cursor) -> None:
        """Record the source and the import itself; a dry run leaves no trace, and nobody waits for it."""
        self.import_id: int = 0
        if self.options.dry_run:
            return
        put_source(cursor, self.source_id, self.source)
        self.import_id = one(
            cursor,
            "INSERT INTO leeward.imports (layer, source, file_name, file_sha256, author)"
            " VALUES (%s, %s, %s, %s, leeward.author()) RETURNING id",
            (self.definition.id, self.source_id, self.path.name, _digest(self.path)),
        )
        self.report.import_id = self.import_id

    def merge(self, cursor: Cursor) -> None:
        """Write what is new, and the import itself."""
        report = self.report
        if not self.options.dry_run:
            _put_unknown_sources(cursor, self.sources - {self.source_id, SAMPLE_SOURCE})
        fit = datums.fit(cursor, self.definition, self.sample.points, self.crs)
        if fit is not None:
            report.datum = fit.report()
            report.notes += fit.notes()
        merged = self.staging.merge(update=self.options.update)
        report.imported, report.updated, report.unchanged = merged.imported, merged.updated, merged.unchanged
        report.flags = merged.flags
        self.rejections += [Rejection(number, "", reason) for number, reason in merged.rejected]
        report.rejected = len(self.rejections)
        report.reasons = dict(Counter(_kind(rejection.reason) for rejection in self.rejections).most_common())
        if report.read != report.imported + report.updated + report.unchanged + report.rejected:
            raise AssertionError(f"the counts do not add up: {report.line()}")
        cursor.execute(
            "UPDATE leeward.imports SET counts = %s, crs = %s WHERE id = %s",
            (_counts(report), report.crs, self.import_id),
        )

    def write_rejects(self) -> Path | None:
        """Write the rejected rows as they stood in the file, with what is wrong, to a file not yet in its place.

        The file is a CSV file that can be mended and imported: it notes the CRS of its coordinates, and holds the
        geometries of a vector file as WKT.
        """
        if not self.rejections:
            return None
        target = self.options.rejects or Path(f"{self.path.stem}.rejects.csv")
        if target.resolve() == self.path.resolve():
            target = target.with_name(f"{target.stem}.again.csv")
        self.report.rejects_file = str(target)
        headings = self.table.headings
        kept = [number for number, heading in enumerate(headings) if heading not in OWN_COLUMNS]
        reasons = {rejection.row: rejection for rejection in self.rejections}
        unfinished = target.with_name(f".{target.name}.new")
        with unfinished.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            own = [*OWN_COLUMNS, *(headings[n] for n in kept)]
            writer.writerow([*own, OWN_GEOMETRY] if self.table.vector else own)
            for chunk in self.table.chunks():
                for number, cells in _rejected(chunk, kept, np.array(list(reasons))):
                    one = reasons[number]
                    if self.own_file.is_own and not self.own_file.is_guarded:
                        cells = [exchange.guarded_text(cell) for cell in cells]
                    writer.writerow([one.row, one.column, one.reason, one.proposal, self.crs or "", *cells])
        return unfinished

    def keep_rejects(self, unfinished: Path | None) -> None:
        """Put the file of rejected rows in its place, once the rest is in the database."""
        if unfinished is not None and self.report.rejects_file is not None:
            unfinished.replace(self.report.rejects_file)


def _rejected(
    chunk: reading.Chunk, kept: Sequence[int], numbers: NDArray[np.int64]
) -> Iterator[tuple[int, list[str | None]]]:
    """The rows of a chunk that were rejected: number, cells of the kept columns as they stand in the file, geometry."""
    here = np.flatnonzero(np.isin(chunk.numbers, numbers))
    columns = [chunk.columns[n].take(pa.array(here)).to_pylist() for n in kept]
    if chunk.geometries is not None:
        columns.append(shapely.to_wkt(chunk.geometries[here], rounding_precision=-1).tolist())
    for position, number in enumerate(chunk.numbers[here].tolist()):
        yield number, [column[position] for column in columns]
    for number, _, cells in chunk.broken:
        yield number, [*(cells[n] if n < len(cells) else None for n in kept), *cells[len(chunk.columns) :]]


def _kind(reason: str) -> str:
    """A reason without what is particular to the row, for counting."""
    return reason.partition(": ")[0]


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put_source(cursor: Cursor, source_id: str, source: Source) -> None:
    """Record a source, its licence and attribution."""
    cursor.execute(
        "INSERT INTO leeward.sources (id, name, licence, attribution, url) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, licence = EXCLUDED.licence,"
        " attribution = EXCLUDED.attribution, url = EXCLUDED.url",
        (source_id, source.name, source.licence, source.attribution, source.url),
    )


def _put_unknown_sources(cursor: Cursor, sources: set[str]) -> None:
    """Record the sources that a file of Leeward's names and this store does not know."""
    for source in sorted(sources):
        cursor.execute(
            "INSERT INTO leeward.sources (id, name, licence, attribution) VALUES (%s, %s, 'Not stated', %s)"
            " ON CONFLICT (id) DO NOTHING",
            (source, source, source),
        )


def settled_area(cursor: Cursor, asked: str | None = None) -> Area | None:
    """The area that rows must lie in: what was asked for, else LEEWARD_AREA, else None."""
    text = asked or settings().area
    if text is None or text == "any":
        return None
    if "," in text:
        return Area.from_box(text)
    shape = one(
        cursor,
        "SELECT ST_AsBinary(ST_Union(geom)) FROM layers.admin_areas WHERE NOT sample AND source_id = %s",
        (text,),
    ) or one(
        cursor,
        "SELECT ST_AsBinary(ST_Union(geom)) FROM layers.admin_areas WHERE NOT sample AND parent_code = %s",
        (text,),
    )
    if shape is None:
        raise InvalidValue(
            f"there is no admin area with the code {text!r}",
            parameter="area",
            expected="any, west,south,east,north, or a code of the layer admin_areas (import that first)",
        )
    return Area(shapely.from_wkb(bytes(shape)), f"the admin area {text}")


def _items(cursor: Cursor, definition: Definition, name: str, source_id: str) -> dict[str, int | None] | None:
    """Source ids and names of the layer that a field points to, with their fids; None where two share a name.

    Real rows point to real items, and sample rows to sample items.
    """
    pointed = definition.fields[name].layer
    if pointed is None:
        return None
    target = catalog()[pointed]
    query = sql.SQL("SELECT fid, source_id, {} FROM {} WHERE sample = %s ORDER BY source = %s DESC").format(
        sql.Identifier(target.name_field or "source_id"), table(target)
    )
    names: dict[str, int | None] = {}
    ids: dict[str, int | None] = {}
    for fid, item_id, item_name in rows(cursor, query, (source_id == SAMPLE_SOURCE, source_id)):
        if item_id is not None:
            ids.setdefault(item_id, fid)
        if item_name is not None:
            names[item_name] = None if item_name in names else fid
    return {**names, **ids}


def import_frames(
    cursor: Cursor, frames: Mapping[str, Any], source_id: str, source: Source, progress: Progress | None = None
) -> dict[str, Report]:
    """Write frames whose values are already those of the fields, in the transaction of ``cursor``.

    Parameters
    ----------
    frames : mapping of layer id to GeoDataFrame or DataFrame
        EPSG:4326; columns are field names; a field that points to an item holds its source id.

    Returns
    -------
    dict of layer id to Report
    """
    put_source(cursor, source_id, source)
    lock(cursor, [catalog()[layer] for layer in frames])
    reports = {}
    for number, (layer, frame) in enumerate(frames.items()):
        reports[layer] = _import_frame(cursor, catalog()[layer], frame, source_id)
        if progress:
            progress((number + 1) / len(frames))
    return reports


def _import_frame(cursor: Cursor, definition: Definition, frame: Any, source_id: str) -> Report:
    report = Report(definition.id, source_id, source_id, crs="EPSG:4326", read=len(frame))
    columns = {name: arrow(frame[name]) for name in definition.entered_fields if name in frame}
    wrong: dict[int, str] = {}
    for name, field_ in definition.fields.items():
        if field_.layer is not None and name in columns:
            known = _items(cursor, definition, name, source_id) or {}
            ids = columns[name].to_pylist()
            columns[name] = arrow([known.get(value) for value in ids])
            wrong |= {
                n: f"no item of {field_.layer} so called" for n, i in enumerate(ids) if i and known.get(i) is None
            }
        if field_.default is not None and name in columns:
            columns[name] = columns[name].fill_null(field_.default)
    batch = Batch(np.arange(1, len(frame) + 1), columns)
    if definition.has_geometry:
        if frame.crs is None or frame.crs.to_epsg() != 4326:
            raise ImportRefused(f"the frame for {definition.id} is not in EPSG:4326")
        found = geometries.placed(definition, frame.geometry.to_numpy(), "EPSG:4326", None)
        batch.geometries = found.geometries
        batch.flags = {position: [flag] for position, flag in found.flags.items()}
        wrong |= {position: reason for position, (reason, _) in found.wrong.items()}
    import_id = one(
        cursor,
        "INSERT INTO leeward.imports (layer, source, crs, author) VALUES (%s, %s, 'EPSG:4326', leeward.author())"
        " RETURNING id",
        (definition.id, source_id),
    )
    staging = Staging(cursor, definition, list(columns), source_id, import_id, large=len(frame) >= LARGE_ROWS)
    staging.copy(staging.form(batch.without(set(wrong))))
    merged = staging.merge(update=True)
    cursor.execute("DROP TABLE IF EXISTS staging, verdict, repeated")
    report.imported, report.updated, report.unchanged = merged.imported, merged.updated, merged.unchanged
    reasons = [*wrong.values(), *(reason for _, reason in merged.rejected)]
    report.rejected = len(reasons)
    report.reasons = dict(Counter(map(_kind, reasons)).most_common())
    report.flags = merged.flags
    cursor.execute("UPDATE leeward.imports SET counts = %s WHERE id = %s", (_counts(report), import_id))
    return report


def _counts(report: Report) -> str:
    """The counts of a report as JSON, for the record of imports."""
    names = ("read", "imported", "updated", "unchanged", "rejected", "flags", "unread", "reasons")
    return json.dumps({name: getattr(report, name) for name in names})
