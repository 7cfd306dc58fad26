"""Export: a layer, as a reader may see it, into a file that ``import`` reads back.

Rows come by COPY in one snapshot, block by block, and go into the file as they come: memory stays bounded. The file is
written beside its place and put there when it is whole.
"""

from __future__ import annotations

import dataclasses
import datetime
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from layers import exchange, writing
from layers.catalog import Catalog, catalog
from layers.coordinates import DATUMS, crs_name, geometries_from_wgs84, is_geographic, normal_crs, points_to_wgs84
from layers.copying import copied, from_hex, parsed
from layers.database import Cursor, Readers, look_back, one, rows, sql
from layers.definition import Definition, Profile
from layers.errors import InvalidValue
from layers.exchange import HEADINGS, HeadingKind
from layers.features import Page, where
from layers.tables import fields_of, view
from layers.values import LOCAL_ZONE
from layers.writing import ARROW_TYPES, CELL_LETTERS, WKB, Column, Format, Kind, Plan, Terms

FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {
    ".gpkg": "gpkg", ".geojson": "geojson", ".json": "geojson", ".parquet": "parquet", ".geoparquet": "parquet",
    ".fgb": "fgb", ".zip": "shp", ".csv": "csv", ".xlsx": "xlsx",
}  # fmt: skip
ENDINGS: dict[Format, str] = {
    "gpkg": ".gpkg", "geojson": ".geojson", "parquet": ".parquet", "fgb": ".fgb", "shp": ".zip", "csv": ".csv",
    "xlsx": ".xlsx",
}  # fmt: skip
TABLES: tuple[Format, ...] = ("csv", "xlsx")
MILLISECOND_FORMATS: tuple[Format, ...] = ("gpkg", "fgb")
TIMEOUT_MS = 3_600_000
NEAR_ENOUGH = 1e-7  # degrees, a centimetre
SAMPLE_NOTE = "样例数据，非真实数据 / SAMPLE DATA, NOT REAL: {} of {} rows"
PERSONAL_NOTE = "the file holds personal data: {}"
DATUM_NOTE = (
    "坐标为{0}，与WGS 84相差数百米 / the coordinates are in {0}, hundreds of metres away from WGS 84; "
    "the column leeward_crs says so, and import reads them back right"
)
FINITE = "CASE WHEN {0} BETWEEN {1} AND {2} THEN {0} END"
DAYS = ("1000-01-01", "9998-12-31")

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Options:
    """How a file is to be written.

    Parameters
    ----------
    format : str, optional
        ``gpkg``, ``geojson``, ``parquet``, ``fgb``, ``shp`` (zipped), ``csv`` or ``xlsx``; else by the file's ending.
    headings : str
        ``names`` of fields, or their labels in ``zh`` or ``en``; words for codes are in the same language.
    crs : str, optional
        ``EPSG:n``, ``GCJ-02`` or ``BD-09``; else the profile's, else EPSG:4326.
    profile : str, optional
        The exchange profile whose form the file has.
    since : int, optional
        Only what has changed since that version of the change log, deleted items too.
    asked : Page
        Which rows: its box, filters, text and conditions count, and the moment that is looked back to.
    force : bool
        Whether a file that is there is replaced.
    """

    format: Format | None = None
    headings: HeadingKind = "names"
    crs: str | None = None
    profile: str | None = None
    since: int | None = None
    asked: Page = field(default_factory=Page)
    force: bool = False


@dataclass
class Report:
    """What was written.

    Parameters
    ----------
    rows : int
        Rows in the file; ``sample`` of them sample data, ``deleted`` of them deleted items.
    version : int
        The version of the change log that the file shows: ``since`` of the next hand-over.
    losses : list of str
        What the format or the profile cannot hold.
    withdrawn : list of int
        Items that the public may see no more, in an increment; their rows are not told.
    """

    layer: str
    file: str
    format: Format
    crs: str | None
    rows: int = 0
    sample: int = 0
    deleted: int = 0
    version: int = 0
    profile: str | None = None
    since: int | None = None
    as_of: str | None = None
    sources: list[dict[str, Any]] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    withdrawn: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """A column of the file on its way: how the database gives it, and how it is dressed.

    Parameters
    ----------
    heading : str
        In the file.
    read : str
        The kind of what the database gives.
    query : sql.Composable, optional
        What it is asked for, over rows ``i``; None for what is the same in each row, or made from the geometry.
    field : str, optional
        The layer's field.
    words : mapping, optional
        Our words to those in the file.
    factor : float
        The file's unit in ours.
    form : str, optional
        How days and moments are written, as in ``strftime``.
    constant : str, optional
        What stands in each row.
    place : str, optional
        ``x``, ``y`` or ``wkt``: made from the geometry.
    """

    heading: str
    read: Kind
    query: sql.Composable | None = None
    field: str | None = None
    words: Mapping[str, str] | None = None
    factor: float = 1
    form: str | None = None
    constant: str | None = None
    place: str | None = None
    mark: str = ","

    @property
    def kind(self) -> Kind:
        """The kind of what stands in the file."""
        if self.form is not None or (self.read == "boolean" and self.words) or self.mark != ",":
            return "text"
        return "number" if self.factor != 1 else self.read


def format_of(name: str | None, path: Path) -> Format:
    """The format of a file: the one that is named, else by the file's ending.

    Raises
    ------
    InvalidValue
        When there is no such format.
    """
    if name is None:
        if path.suffix.lower() in SUFFIXES:
            return SUFFIXES[path.suffix.lower()]
        raise InvalidValue(
            f"no format has the ending {path.suffix!r}", parameter="format", expected=", ".join(ENDINGS.values())
        )
    if name not in FORMATS:
        raise InvalidValue(f"there is no format {name[:40]!r}", parameter="format", expected=", ".join(FORMATS))
    return name


def headings_of(name: str) -> HeadingKind:
    """The kind of headings of that name; InvalidValue when there is none."""
    if name not in HEADINGS:
        raise InvalidValue(f"there are no headings {name[:40]!r}", parameter="headings", expected=", ".join(HEADINGS))
    return name


def export_file(
    readers: Readers, layer: str, path: Path, options: Options | None = None, progress: Progress | None = None
) -> Report:
    """Write what the readers may see of a layer to a file.

    Parameters
    ----------
    readers : Readers
        Their scope decides which rows and fields there are.
    layer : str
        The layer's id.
    path : Path
        Where the file goes; a Shapefile is a ``.zip``.
    progress : callable, optional
        Given the share done, 0 to 1.

    Returns
    -------
    Report
        With what was lost, for no format holds everything but GeoPackage, GeoParquet and FlatGeobuf.

    Raises
    ------
    InvalidValue, NotFound, UnknownParameter
        When what is asked for does not exist or makes no sense. Nothing is written then.
    """
    options = options or Options()
    run = _Run(catalog(), catalog()[layer], path, options, readers)
    if path.exists() and not options.force:
        raise InvalidValue(f"{path} is there", expected="another name, or --force to replace it")
    with tempfile.TemporaryDirectory(prefix=".leeward-export-", dir=path.absolute().parent) as folder:
        unfinished = Path(folder) / f"{layer}{ENDINGS[run.format]}"
        run.write(unfinished, progress or (lambda _: None))
        unfinished.replace(path)
    return run.report


class _Run:
    """One export."""

    def __init__(self, book: Catalog, definition: Definition, path: Path, options: Options, readers: Readers) -> None:
        self.book = book
        self.definition = definition
        self.options = options
        self.format = format_of(options.format, path)
        self.readers = readers if options.asked.as_of is None else readers.at(options.asked.as_of)
        self.scope = self.readers.scope
        self.profile = exchange.exchange_profile(options.profile, definition.id) if options.profile else None
        self.crs = self._crs()
        crs = crs_name(self.crs) if definition.has_geometry else None
        as_of = options.asked.as_of
        self.report = Report(
            definition.id, path.name, self.format, crs, profile=options.profile, since=options.since,
            as_of=as_of.isoformat() if as_of else None,
        )  # fmt: skip
        if options.since is not None and as_of is not None:
            raise InvalidValue("since and as_of do not go together", parameter="since", expected="one of the two")
        self.parts = self._profile_parts(self.profile) if self.profile else self._own_parts()
        columns = [Column(part.heading, part.kind, part.field) for part in self.parts]
        self.plan = Plan(definition.id, definition.title, definition.geometry, self.crs, columns, 0)
        self._note_missing()

    def _crs(self) -> str:
        text = self.options.crs or (self.profile.crs if self.profile else None) or "EPSG:4326"
        crs = normal_crs(text)
        if not self.definition.has_geometry:
            return "EPSG:4326"
        if crs != "EPSG:4326" and self.format == "geojson":
            raise InvalidValue(
                f"GeoJSON is in WGS 84 alone (RFC 7946), not in {crs_name(crs)}",
                parameter="crs",
                expected="EPSG:4326, or another format",
            )
        if crs not in DATUMS and not crs.startswith("EPSG:"):
            raise InvalidValue("a CRS without a number", parameter="crs", expected="EPSG:n, GCJ-02 or BD-09")
        return crs

    # --- the columns of a file

    def _own_parts(self) -> list[Part]:
        """All that may be read, under names or labels, between the columns that only Leeward reads."""
        headings = exchange.headings(self.definition, self.options.headings)
        parts = [self._system("fid", exchange.FID, "integer")]
        parts += [self._field_part(name, headings[name]) for name in fields_of(self.definition, self.scope)]
        if self.format in TABLES:
            degrees = is_geographic(self.crs)
            stands = exchange.places(self.definition, self.options.headings, degrees=degrees)
            parts += [self._place_part(heading, place) for place, heading in stands.items()]
        parts += [
            self._system("source", exchange.SOURCE, "text"),
            self._system("sample", exchange.SAMPLE, "boolean"),
            Part(exchange.FLAGS, "codes", sql.SQL("array_to_string(i.flags, ',')")),
            self._system("recorded_at", exchange.RECORDED_AT, "datetime"),
            self._system("change", exchange.CHANGE, "integer"),
        ]
        if self.options.since is not None:
            parts.append(self._system(exchange.OPERATION, exchange.OPERATION, "text"))
        if self.definition.has_geometry and self.crs != "EPSG:4326":
            parts.append(Part(exchange.CRS, "text", constant=self.crs))
        return parts

    def _system(self, name: str, heading: str, kind: Kind) -> Part:
        return Part(heading, kind, sql.Identifier("i", name))

    def _place_part(self, heading: str, place: str) -> Part:
        return Part(heading, "text" if place == "wkt" else "number", place=place)

    def _field_part(self, name: str, heading: str) -> Part:
        words = exchange.words(self.book, self.definition, name, self.options.headings)
        if self.format not in TABLES and self.definition.fields[name].type == "boolean":
            words = None
        kind, query = self._query(name)
        return Part(heading, kind, query, name, words)

    def _query(self, name: str) -> tuple[Kind, sql.Composable]:
        """The kind of a field's column, and what the database is asked for."""
        column, shape = sql.Identifier("i", name), self.definition.fields[name]
        match shape.type:
            case "code":
                return "text", column
            case "codes":
                return "codes", sql.SQL("array_to_string({}, ',')").format(column)
            case "item":
                return "text", sql.Identifier(f"of_{name}", "word")
            case "date" | "datetime":
                return shape.type, sql.SQL(FINITE).format(column, *map(sql.Literal, DAYS))
            case _:
                return shape.type, column

    def _profile_parts(self, profile: Profile) -> list[Part]:
        """The columns of the other side's form, in its order."""
        form = exchange.form(self.definition, profile)
        operation = profile.operation
        readable = fields_of(self.definition, self.scope)
        parts: list[Part] = []
        for heading in profile.headings:
            if heading in form.places:
                parts.append(self._place_part(heading, form.places[heading]))
            elif heading in profile.constants:
                parts.append(Part(heading, "text", constant=profile.constants[heading]))
            elif operation is not None and heading == operation.heading:
                parts.append(self._operation_part(profile))
            elif form.fields[heading] not in readable:
                self._lost(f"{heading}: not public, left empty")
                parts.append(Part(heading, "text", sql.SQL("NULL::text"), form.fields[heading]))
            else:
                parts.append(self._form_part(profile, heading, form))
        if operation is not None and operation.heading not in profile.headings:
            parts.append(self._operation_part(profile))
        if operation is None and self.options.since is not None:
            parts.append(self._system(exchange.OPERATION, exchange.OPERATION, "text"))
        return parts

    def _operation_part(self, profile: Profile) -> Part:
        operation = profile.operation
        assert operation is not None
        words = {name: getattr(operation, name) for name in exchange.OPERATIONS}
        if self.options.since is None:
            return Part(operation.heading, "text", constant=operation.insert)
        return Part(operation.heading, "text", sql.Identifier("i", exchange.OPERATION), words=words)

    def _form_part(self, profile: Profile, heading: str, form: exchange.Form) -> Part:
        name = form.fields[heading]
        words, without = exchange.profile_words(self.book, self.definition, profile, heading, name)
        if without:
            self._lost(f"{heading}: no words for {', '.join(without)}; our labels are written")
        kind, query = self._query(name)
        looks = {"date": profile.dates, "datetime": profile.moments}.get(kind)
        mark = "、" if kind == "codes" else ","
        return Part(heading, kind, query, name, words, form.factors.get(heading, 1), looks, mark=mark)

    def _note_missing(self) -> None:
        if self.profile is not None:
            there = {part.field for part in self.parts}
            missing = [name for name in fields_of(self.definition, self.scope) if name not in there]
            missing = [name for name in missing if name not in self.profile.set]
            if missing:
                self._lost(f"fields that the form does not have: {', '.join(missing)}")
        personal = [part.heading for part in self.parts if part.field and self.definition.fields[part.field].personal]
        if personal and not self.scope.public:
            self.report.notes.append(PERSONAL_NOTE.format(", ".join(personal)))

    def _lost(self, sentence: str) -> None:
        self.report.losses.append(sentence)

    # --- writing

    def write(self, path: Path, progress: Progress) -> None:
        """Write the file, and say what was written."""
        with self._snapshot() as cursor:
            self._survey(cursor)
            self._note_before()
            with copied(cursor, self._copy()) as blocks:
                writing.write(path, self.format, self.plan, self._batches(blocks, progress))
        self._note_after()
        progress(1.0)

    @contextmanager
    def _snapshot(self) -> Iterator[Cursor]:
        """A cursor in one transaction that sees one state of the database, for as long as it takes."""
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ;"
        with self.readers.cursor() as cursor:
            try:
                if self.options.since is not None:
                    look_back(cursor, self.options.since, begin)
                elif not self.scope.then:  # readers that look back begin, and end, themselves
                    cursor.execute(begin)
                cursor.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
                yield cursor
            finally:
                if not (cursor.connection.closed or self.scope.then):
                    cursor.execute("ROLLBACK")

    def _survey(self, cursor: Cursor) -> None:
        """Ask what there is before it is read: how many rows, of which sources, and the version of the log."""
        log = sql.Identifier("released" if self.scope.public else "internal", "changes")
        until = sql.SQL("recorded_at <= {}").format(sql.Literal(self.options.asked.as_of))
        query = sql.SQL("SELECT coalesce(max(version), 0) FROM {} WHERE {}").format(
            log, until if self.options.asked.as_of else sql.SQL("true")
        )
        self.report.version = one(cursor, query)
        since = self.options.since
        if since is not None and not 0 <= since <= self.report.version:
            raise InvalidValue(
                f"there is no version {since}", parameter="since", expected=f"0 to {self.report.version}, the last"
            )
        exact = self._fields_of_kind("datetime") if self.format in MILLISECOND_FORMATS else []
        finer = sql.SQL("").join(sql.SQL(_FINER).format(sql.Identifier(name)) for name in exact)
        query = sql.SQL(
            "SELECT i.source, count(*), count(*) FILTER (WHERE i.leeward_operation = 'delete'){} FROM ({}) AS i"
            " GROUP BY 1 ORDER BY 1"
        ).format(finer, self._rows())
        counted = rows(cursor, query)
        self.plan.count = sum(row[1] for row in counted)
        self.report.deleted = sum(row[2] for row in counted)
        self.plan.exact = tuple(name for number, name in enumerate(exact, 3) if any(row[number] for row in counted))
        self.plan.sample = sum(row[1] for row in counted if row[0] == "sample")
        self.plan.terms = self._terms(cursor, {row[0]: row[1] for row in counted})
        self._survey_left_out(cursor)
        self._survey_items(cursor)
        if since is not None and self.scope.public:
            self.report.withdrawn = self._withdrawn(cursor)

    def _fields_of_kind(self, kind: Kind) -> list[str]:
        return [part.field for part in self.parts if part.kind == kind and part.field is not None]

    def _terms(self, cursor: Cursor, counts: Mapping[str, int]) -> list[Terms]:
        schema = "released" if self.scope.public else "internal"
        query = sql.SQL("SELECT id, name, licence, attribution, url FROM {} WHERE id = ANY ({})").format(
            sql.Identifier(schema, "sources"), sql.Literal([*counts, ""])
        )
        known = {row[0]: row[1:] for row in rows(cursor, query)}
        return [Terms(source, *known.get(source, ("", "", "", None)), count=count) for source, count in counts.items()]

    def _survey_left_out(self, cursor: Cursor) -> None:
        """Count the rows that the profile's form cannot tell from others, which are left out."""
        if self.profile is None or not self.profile.set:
            return
        query = sql.SQL("SELECT count(*) FROM ({}) AS i").format(self._rows(every=True))
        if left_out := one(cursor, query) - self.plan.count:
            wanted = ", ".join(f"{name} = {value}" for name, value in self.profile.set.items())
            self._lost(f"rows left out, since the form has only those with {wanted}: {left_out}")

    def _survey_items(self, cursor: Cursor) -> None:
        """Count the values that point to items which no word tells from others."""
        for name in [part.field for part in self.parts if part.field and self._pointed(part.field)]:
            query = sql.SQL(
                "SELECT count(*) FROM ({}) AS i LEFT JOIN {} ON {}.fid = i.{}"
                " WHERE i.{} IS NOT NULL AND {}.alone IS NOT TRUE"
            ).format(
                self._rows(), self._words_of_items(name), sql.Identifier(f"of_{name}"), sql.Identifier(name),
                sql.Identifier(name), sql.Identifier(f"of_{name}"),
            )  # fmt: skip
            if count := one(cursor, query):
                self._lost(f"{name}: the item pointed to has no id or name of its own, or may not be seen: {count}")

    def _withdrawn(self, cursor: Cursor) -> list[int]:
        """Items that were public once, changed since and are public no more; only their numbers may be told."""
        query = sql.SQL(
            "SELECT DISTINCT told.fid FROM released.changes, unnest(fids) AS told (fid)"
            " WHERE layer = {} AND version > {} AND operation <> 'insert'"
            " AND NOT EXISTS (SELECT FROM {} AS now WHERE now.fid = told.fid)"
            " AND told.fid NOT IN (SELECT i.fid FROM ({}) AS i) ORDER BY 1"
        ).format(
            sql.Literal(self.definition.id), sql.Literal(self.options.since), view(self.definition, self.scope),
            self._rows(every=True),
        )  # fmt: skip
        return [fid for (fid,) in rows(cursor, query)]

    def _note_before(self) -> None:
        """What the file itself must say."""
        plan = self.plan
        if plan.sample:
            plan.notes.append(SAMPLE_NOTE.format(plan.sample, plan.count))
        if self.crs in DATUMS and plan.has_geometry:
            note = DATUM_NOTE if self.profile is None else DATUM_NOTE.split(";")[0]
            plan.notes.append(note.format(self.crs))
        if self.report.as_of:
            plan.notes.append(f"as it was recorded at {self.report.as_of}")

    def _note_after(self) -> None:
        report, plan = self.report, self.plan
        report.rows, report.sample = plan.count, plan.sample
        report.sources = [dataclasses.asdict(terms) for terms in plan.terms]
        report.notes = plan.notes + report.notes
        report.losses += [f"{what}: {count}" if count else what for what, count in plan.losses.items()]

    # --- what is asked of the database

    def _rows(self, *, every: bool = False) -> sql.Composable:
        """The rows of the view that are wanted, each with what became of it; ``every``: whatever the profile sets."""
        source = (
            self._changed()
            if self.options.since is not None
            else sql.SQL("SELECT *, NULL AS leeward_operation FROM {}").format(view(self.definition, self.scope))
        )
        conditions = [
            where(self.book, self.definition, dataclasses.replace(self.options.asked, after=None), self.scope)
        ]
        if self.profile is not None and not every:
            conditions += [
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
                for name, value in self.profile.set.items()
            ]
        return sql.SQL("SELECT * FROM ({}) AS i WHERE {}").format(source, sql.SQL(" AND ").join(conditions))

    def _changed(self) -> sql.Composable:
        """The rows that are new or other than in the version looked back to, and those that were there then."""
        names = [*self._columns(), *(["geom"] if self.definition.has_geometry else [])]
        return sql.SQL(_CHANGED).format(
            now=view(self.definition, self.scope),
            past=sql.Identifier(self.scope.past, self.definition.id),
            of_now=sql.SQL(", ").join(sql.Identifier("now", name) for name in names),
            of_past=sql.SQL(", ").join(sql.Identifier("past", name) for name in names),
        )

    def _columns(self) -> list[str]:
        system = ["fid", "source", "sample", "flags", "recorded_at", "change", "name_initials"]
        return [*system, *fields_of(self.definition, self.scope)]

    def _pointed(self, name: str) -> str | None:
        return self.definition.fields[name].layer

    def _words_of_items(self, name: str) -> sql.Composable:
        """The items of the layer that a field points to, with the word by which import finds each again."""
        target = self.book[str(self._pointed(name))]
        readable = fields_of(target, self.scope)
        words = [word for word in ("source_id", target.name_field) if word in readable]
        word = sql.SQL("coalesce({})").format(sql.SQL(", ").join(sql.Identifier(str(word)) for word in words))
        return sql.SQL(
            "(SELECT fid, {0} AS word, {0} IS NOT NULL AND count(*) OVER (PARTITION BY sample, {0}) = 1 AS alone"
            " FROM {1}) AS {2}"
        ).format(word, view(target, self.scope), sql.Identifier(f"of_{name}"))

    def _copy(self) -> sql.Composable:
        """The rows as CSV, in the order of their numbers."""
        columns = [part.query for part in self.parts if part.query is not None]
        if self.definition.has_geometry:
            columns.append(sql.SQL("encode(ST_AsBinary(i.geom, 'NDR'), 'hex')"))
        joins = [
            sql.SQL("LEFT JOIN {} ON {}.fid = i.{}").format(
                self._words_of_items(part.field), sql.Identifier(f"of_{part.field}"), sql.Identifier(part.field)
            )
            for part in self.parts
            if part.field is not None
            and self._pointed(part.field)
            and part.field in fields_of(self.definition, self.scope)
        ]
        return sql.SQL("COPY (SELECT {} FROM ({}) AS i {} ORDER BY i.fid) TO STDOUT WITH (FORMAT csv)").format(
            sql.SQL(", ").join(columns), self._rows(), sql.SQL(" ").join(joins)
        )

    # --- from what the database gives to what stands in the file

    def _batches(self, blocks: Iterator[bytes], progress: Progress) -> Iterator[pa.RecordBatch]:
        done = 0
        for block in blocks:
            batch = self._dressed(self._parsed(block))
            done += batch.num_rows
            yield batch
            progress(0.99 * done / max(self.plan.count, done))
        if not done:
            yield self._dressed(self._parsed(b""))

    def _parsed(self, block: bytes) -> pa.RecordBatch:
        """A block of CSV as columns of their kinds."""
        types = {
            str(number): ARROW_TYPES[part.read] for number, part in enumerate(self.parts) if part.query is not None
        }
        if self.definition.has_geometry:
            types[WKB] = pa.string()
        return parsed(block, types)

    def _dressed(self, dug: pa.RecordBatch) -> pa.RecordBatch:
        """The columns as they stand in the file."""
        columns, headings, count = [], [], dug.num_rows
        wkb = shapes = None
        if self.definition.has_geometry:
            wkb, shapes = self._shapes(from_hex(dug.column(WKB)))
        for number, part in enumerate(self.parts):
            if part.place is not None:
                columns.append(self._coordinates(part.place, wkb, shapes))
            elif part.query is None:
                columns.append(pa.repeat(pa.scalar(part.constant, pa.string()), count))
            else:
                columns.append(_dress(part, dug.column(str(number))))
            headings.append(part.heading)
        if wkb is not None:
            columns.append(wkb)
            headings.append(WKB)
        return pa.RecordBatch.from_arrays(columns, headings)

    def _shapes(self, wkb: pa.BinaryArray) -> tuple[pa.BinaryArray, Any]:
        """The geometries in the file's CRS, as WKB and, where they are needed, as such."""
        needed = any(part.place is not None for part in self.parts)
        if self.crs == "EPSG:4326" and not needed:
            return wkb, None
        shapes = shapely.from_wkb(wkb.to_numpy(zero_copy_only=False))
        if self.crs == "EPSG:4326":
            return wkb, shapes
        changed = geometries_from_wgs84(self.crs, shapes)
        self._refuse_out_of_reach(shapes, changed)
        return pa.array(shapely.to_wkb(changed, byte_order=1), pa.binary()), changed

    def _refuse_out_of_reach(self, shapes: Any, changed: Any) -> None:
        """Refuse a CRS that does not lead back to where the geometries are."""
        points, there = shapely.get_coordinates(shapes), shapely.get_coordinates(changed)
        with np.errstate(invalid="ignore"):
            back = np.column_stack(points_to_wgs84(self.crs, there[:, 0], there[:, 1]))
            lost = ~(np.abs(back - points) <= NEAR_ENOUGH).all(axis=1)
        if lost.any():
            lon, lat = points[lost][0]
            raise InvalidValue(
                f"{crs_name(self.crs)} does not reach {lon:.5f}, {lat:.5f}",
                parameter="crs",
                expected="EPSG:4326, or a CRS whose area holds the whole layer",
            )

    def _coordinates(self, place: str, wkb: pa.BinaryArray, shapes: Any) -> pa.Array:
        if place == "wkt":
            texts = shapely.to_wkt(shapes, rounding_precision=-1)
            column = pa.array(texts, pa.string())
            if self.format == "xlsx":
                long = pc.greater(pc.utf8_length(column), CELL_LETTERS).fill_null(False)
                if count := int(pc.sum(long).as_py() or 0):
                    self.plan.lost(f"geometries of more than {CELL_LETTERS} letters are left out", count)
                column = pc.if_else(long, pa.scalar(None, pa.string()), column)
            return column
        if self.definition.dimension != 0:
            shapes = shapely.point_on_surface(shapes)
        return pa.array(
            shapely.get_x(shapes) if place == "x" else shapely.get_y(shapes), pa.float64(), from_pandas=True
        )


_FINER = """
, coalesce(bool_or(
    date_trunc(CASE WHEN {0} < '1970-01-01T00:00:00Z' THEN 'second' ELSE 'milliseconds' END, {0}) <> {0}
), false)
"""
_CHANGED = """
SELECT {of_now}, CASE WHEN EXISTS (
        SELECT FROM {past} AS past WHERE past.fid = now.fid
        AND leeward.was_recorded(past.change) AND NOT leeward.was_recorded(past.ended_change)
    ) THEN 'update' ELSE 'insert' END AS leeward_operation
FROM {now} AS now WHERE NOT leeward.was_recorded(now.change)
UNION ALL
SELECT {of_past}, 'delete' FROM {past} AS past
WHERE leeward.was_recorded(past.change) AND NOT leeward.was_recorded(past.ended_change)
  AND NOT EXISTS (SELECT FROM {now} AS now WHERE now.fid = past.fid)
"""


def _dress(part: Part, column: pa.Array) -> pa.Array:
    """A column in the file's words, unit and form."""
    if part.factor != 1:
        numbers = [None if value is None else float(f"{value / part.factor:.15g}") for value in column.to_pylist()]
        return pa.array(numbers, pa.float64())
    if part.form is not None:
        if part.read == "datetime":
            column = column.cast(pa.timestamp("us", _offset(LOCAL_ZONE)))
        return pa.array(
            [None if value is None else value.strftime(part.form) for value in column.to_pylist()], pa.string()
        )
    if part.words and part.read == "boolean":
        texts = {True: part.words.get("true", "true"), False: part.words.get("false", "false"), None: None}
        return pa.array([texts[value] for value in column.to_pylist()], pa.string())
    if part.words:
        return _in_words(column, part.words, part.mark if part.read == "codes" else None)
    return column


def _offset(zone: datetime.timezone) -> str:
    return zone.tzname(None).removeprefix("UTC")


def _in_words(column: pa.StringArray, words: Mapping[str, str], mark: str | None) -> pa.StringArray:
    """A column of our words in those of the file; ``mark`` parts several in one cell."""
    encoded = column.dictionary_encode()
    ours = encoded.dictionary.to_pylist()
    if mark is None:
        theirs = [words.get(word, word) for word in ours]
    else:
        theirs = [mark.join(words.get(part, part) for part in word.split(",")) for word in ours]
    return pa.array(theirs, pa.string()).take(encoded.indices)
