"""Rows on their way into a layer: copied to a temporary table, compared by key, then written in one transaction."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import shapely
from numpy.typing import NDArray

from layers import history, pyramid
from layers.database import Cursor, copy_rows, is_unique, one, rows, sql, statement
from layers.definition import Definition
from layers.grades import differing
from layers.names import initials_of
from layers.tables import SAMPLE_SOURCE, index_expressions, index_statements, is_empty, key_expression, table
from layers.values import array_text

SQL = Path(__file__).parent / "sql"
MISSING_TYPES = ("NAType", "NaTType")  # of pandas, which takes a second to import


@dataclass
class Batch:
    """Rows whose values are those of the layer's fields.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        Row numbers in the file.
    values : dict of field name to Arrow array of length n
        As ``layers.values`` reads them.
    geometries : ndarray of shapely geometries, shape (n,), EPSG:4326, or None
    flags : dict of position to list of flags
    unread : dict of position to {column of the file: its text}
    sources : Arrow array of length n, optional
        The source of each row; None: that of the import.
    """

    numbers: NDArray[np.int64]
    values: dict[str, pa.Array]
    geometries: NDArray[Any] | None = None
    flags: dict[int, list[str]] = field(default_factory=dict)
    unread: dict[int, dict[str, str]] = field(default_factory=dict)
    sources: pa.Array | None = None

    def without(self, positions: set[int]) -> Batch:
        """The batch less some of its rows."""
        if not positions:
            return self
        keep = np.ones(len(self.numbers), bool)
        keep[list(positions)] = False
        place = np.cumsum(keep) - 1
        return Batch(
            self.numbers[keep],
            {name: values.filter(pa.array(keep)) for name, values in self.values.items()},
            None if self.geometries is None else self.geometries[keep],
            {int(place[p]): flags for p, flags in self.flags.items() if keep[p]},
            {int(place[p]): texts for p, texts in self.unread.items() if keep[p]},
            None if self.sources is None else self.sources.filter(pa.array(keep)),
        )


@dataclass
class Merged:
    """What became of the staged rows."""

    imported: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)
    flags: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """Rows as the CSV that COPY reads."""

    count: int
    columns: list[str]
    text: io.BytesIO


class Staging:
    """The rows of one import before they are judged.

    They go to a temporary table and from there to the layer. A large file for an empty layer goes to the layer itself,
    without its indexes, which are made afterwards: half the writing, and nobody reads what is not committed.

    Parameters
    ----------
    cursor : Cursor
        In the transaction in which all of it happens.
    definition : Definition
    fields : sequence of str
        The fields that the file fills; others keep what they have when a row is updated.
    source : str
        The source, ``leeward.sources.id``.
    import_id : int
    large : bool
        Whether the file is large.
    """

    def __init__(
        self,
        cursor: Cursor,
        definition: Definition,
        fields: Sequence[str],
        source: str,
        import_id: int,
        *,
        large: bool = False,
        dry_run: bool = False,
    ) -> None:
        self.cursor = cursor
        self.definition = definition
        self.fields = list(fields)
        self.source = source
        self.import_id = import_id
        self.count = 0
        self.flagged = False
        self.dry_run = dry_run
        if not dry_run:
            lock(cursor, [definition])
        self.direct = large and not dry_run and is_empty(cursor, definition)
        self.name: sql.Composable = table(definition) if self.direct else sql.Identifier("staging")
        cursor.execute("SET LOCAL work_mem = '256MB'; SET LOCAL maintenance_work_mem = '512MB'")
        cursor.execute("SELECT leeward.begin_change(), set_config('leeward.import_id', %s, true)", (str(import_id),))
        if self.direct:
            self._switch_triggers("DISABLE")
            if not is_pointed_to(cursor, definition):
                # a table truncated in the same transaction needs no write-ahead log where wal_level is minimal
                cursor.execute(sql.SQL("TRUNCATE {}").format(table(definition)))
            for name in index_expressions(definition):
                cursor.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier("layers", name)))
        else:
            self._make_table()
        self.target: sql.Composable = sql.Identifier("standing") if dry_run else table(definition)
        if dry_run:
            self._make_standing()
        cursor.execute(
            "CREATE TEMPORARY TABLE verdict"
            " (row_no bigint PRIMARY KEY, verdict text NOT NULL, fid bigint, first_row bigint) ON COMMIT DROP;"
            "CREATE TEMPORARY TABLE repeated (key uuid, first_row bigint) ON COMMIT DROP"
        )

    def _switch_triggers(self, how: str) -> None:
        """Nobody has seen the rows that go straight into an empty layer: what becomes of them is logged at the end."""
        self.cursor.execute(sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(table(self.definition), sql.SQL(how)))

    def _make_table(self) -> None:
        columns = [
            sql.SQL("row_no bigint, import_id bigint, source text, flags text[] NOT NULL DEFAULT '{}', unread jsonb")
        ]
        columns += [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(field.column_type))
            for name, field in self.definition.entered_fields.items()
        ]
        columns.append(sql.SQL("name_initials text"))
        if self.definition.has_geometry:
            columns.append(sql.SQL("geom geometry"))
        columns.append(sql.SQL("item_key uuid GENERATED ALWAYS AS ({}) STORED").format(key_expression(self.definition)))
        self.cursor.execute(
            sql.SQL("CREATE TEMPORARY TABLE staging ({}) ON COMMIT DROP").format(sql.SQL(", ").join(columns))
        )

    def _make_standing(self) -> None:
        """What a dry run writes to instead of the layer, so that nobody waits for it: a table of the same make."""
        self.cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE standing (LIKE {} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS)"
                " ON COMMIT DROP; ALTER TABLE standing ALTER fid DROP NOT NULL"
            ).format(table(self.definition))
        )

    def _take_standing(self) -> None:
        """The rows that a dry run updates."""
        query = (
            "SELECT attname FROM pg_attribute WHERE attrelid = 'standing'::regclass AND attnum > 0"
            " AND NOT attisdropped AND attgenerated = ''"
        )
        names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in rows(self.cursor, query))
        self.cursor.execute(
            sql.SQL(
                "INSERT INTO standing ({0}) SELECT {0} FROM {1}"
                " WHERE fid IN (SELECT fid FROM verdict WHERE verdict = 'update')"
            ).format(names, table(self.definition))
        )

    def form(self, batch: Batch) -> Form:
        """Rows in the form in which ``copy`` takes them."""
        count = len(batch.numbers)
        arrays: dict[str, pa.Array] = {
            "row_no": pa.array(batch.numbers),
            "import_id": pa.repeat(self.import_id, count),
            "source": pa.repeat(self.source, count) if batch.sources is None else batch.sources,
        }
        for name in self.fields:
            arrays[name] = batch.values[name]
        if batch.flags:
            self.flagged = True
            arrays["flags"] = pa.array([array_text(batch.flags.get(i, [])) for i in range(count)])
        if batch.unread:
            texts = [
                json.dumps(batch.unread[i], ensure_ascii=False) if i in batch.unread else None for i in range(count)
            ]
            arrays["unread"] = pa.array(texts, pa.string())
        name_field = self.definition.name_field
        if name_field in batch.values:
            arrays["name_initials"] = pa.array(initials_of(batch.values[name_field].to_pylist()), pa.string())
        if batch.geometries is not None:
            arrays["geom"] = _ewkb(batch.geometries)
        buffer = io.BytesIO()
        if count:
            pyarrow.csv.write_csv(pa.table(arrays), buffer, pyarrow.csv.WriteOptions(include_header=False))
        buffer.seek(0)
        return Form(count, list(arrays), buffer)

    def copy(self, form: Form) -> None:
        """Take rows in; the interpreter is free meanwhile."""
        self.count += form.count
        if form.count:
            copy_rows(self.cursor, self.name, form.columns, form.text)

    def merge(self, *, update: bool) -> Merged:
        """Compare the rows with each other and with the layer, and write what is new.

        Parameters
        ----------
        update : bool
            Whether a row whose key is there with other values replaces them; else it is rejected.
        """
        merged = Merged()
        if not self.direct:  # autovacuum sees to the layer itself, not to temporary tables
            self.cursor.execute("ANALYZE staging")
        self._judge_repeated(merged)
        if not self.direct:
            self._judge_known(merged, update)
        self._check_location()
        self._check_grades()
        if self.flagged:
            flags = sql.SQL(statement(SQL / "flag_counts.sql")).format(staging=self.name)
            merged.flags = dict(rows(self.cursor, flags))
        merged.imported = self._keep() if self.direct else self._insert()
        if update and not self.direct:  # into an empty layer all that is kept is new
            merged.updated = self._update()
        merged.unchanged = one(self.cursor, "SELECT count(*) FROM verdict WHERE verdict = 'unchanged'")
        return merged

    def _same(self, left: str, right: str) -> sql.Composable:
        """Whether two rows say the same in the fields that the file fills."""
        names = [*self.fields, *(["geom"] if self.definition.has_geometry else [])]
        pairs = [
            sql.SQL("{}.{} IS NOT DISTINCT FROM {}.{}").format(
                sql.SQL(left), sql.Identifier(name), sql.SQL(right), sql.Identifier(name)
            )
            for name in names
        ]
        return sql.SQL(" AND ").join(pairs)

    def _judge_repeated(self, merged: Merged) -> None:
        """Rows of one file with one key: the first counts; the same again is unchanged, another value is rejected."""
        if self.direct and self._has_distinct_keys():
            return
        names = {"staging": self.name, "same": self._same("staged", "first"), "whole": self._whole()}
        self.cursor.execute(sql.SQL(statement(SQL / "repeated_keys.sql")).format(**names))
        if not self.cursor.rowcount:
            return
        self.cursor.execute(sql.SQL(statement(SQL / "judge_repeated.sql")).format(**names))
        query_text = "SELECT v.row_no, v.first_row FROM verdict v WHERE verdict = 'duplicate' ORDER BY 1"
        for number, first in rows(self.cursor, query_text):
            merged.rejected.append(
                (number, f"the same key as an earlier row, with other values: row {first} was taken")
            )

    def _has_distinct_keys(self) -> bool:
        """Whether every row has a key of its own: the index that has to be made anyway finds out fastest."""
        make_index = index_statements(self.definition)[0]
        without_key = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE item_key IS NULL)").format(self.name)
        return is_unique(self.cursor, make_index) and not one(self.cursor, without_key)

    def _judge_known(self, merged: Merged, update: bool) -> None:
        query = sql.SQL(statement(SQL / "judge_known.sql")).format(
            layer=table(self.definition), same=self._same("staged", "known"), whole_staged=self._whole("staged"),
            whole_known=self._whole("known"), verdict=sql.Literal("update" if update else "conflict"),
        )  # fmt: skip
        self.cursor.execute(query)
        for number, fid in rows(self.cursor, "SELECT row_no, fid FROM verdict WHERE verdict = 'conflict' ORDER BY 1"):
            reason = f"the key is there with other values: fid {fid}; --on-conflict update would replace them"
            merged.rejected.append((number, reason))

    def _whole(self, name: str = "staged") -> sql.Composable:
        """A digest of all that a row says, for rows without a key."""
        names = [*self.fields, *(["geom"] if self.definition.has_geometry else [])]
        columns = sql.SQL(", ").join(sql.SQL("{}.{}").format(sql.SQL(name), sql.Identifier(n)) for n in names)
        return sql.SQL("md5(ROW({})::text)::uuid").format(columns)

    def _check_location(self) -> None:
        """Flag rows that lie in another admin area than they declare."""
        doubtful = location_doubt(self.definition, self.name, self.fields, sample=self.source == SAMPLE_SOURCE)
        if doubtful is None:
            return
        query = sql.SQL(
            "UPDATE {} AS staged SET flags = array_append(staged.flags, 'location_doubt')"
            " FROM ({}) AS doubtful WHERE doubtful.row_no = staged.row_no"
        ).format(self.name, doubtful)
        self.cursor.execute(query)
        self.flagged |= self.cursor.rowcount > 0

    def _check_grades(self) -> None:
        """Flag rows whose stated grade is another than the standard's, and that do not say why."""
        for computed in self.definition.computed:
            if computed.stated in self.fields:
                query = sql.SQL(
                    "UPDATE {} SET flags = array_append(flags, 'grade_differs')"
                    " WHERE {} AND NOT 'grade_differs' = ANY (flags)"
                ).format(self.name, differing(computed))
                self.cursor.execute(query)
                self.flagged |= self.cursor.rowcount > 0

    def _written(self) -> list[str]:
        own = ["flags", "unread", "source", "import_id", "row_no"]
        own += ["name_initials"] if self.definition.name_field in self.fields else []
        return [*self.fields, *own, *(["geom"] if self.definition.has_geometry else [])]

    def _insert(self) -> int:
        """Write the rows on which there is no verdict, in an order that keeps neighbours together."""
        names = sql.SQL(", ").join(map(sql.Identifier, self._written()))
        order = sql.SQL("geom, row_no") if self.definition.has_geometry else sql.SQL("row_no")
        query = sql.SQL(
            "INSERT INTO {} ({}) SELECT {} FROM staging"
            " WHERE NOT EXISTS (SELECT FROM verdict WHERE verdict.row_no = staging.row_no) ORDER BY {}"
        ).format(self.target, names, names, order)
        self.cursor.execute(query)
        return int(self.cursor.rowcount)

    def _keep(self) -> int:
        """Take out of the layer the rows on which there is a verdict, and make its indexes."""
        query = sql.SQL("DELETE FROM {} AS staged USING verdict WHERE verdict.row_no = staged.row_no").format(self.name)
        self.cursor.execute(query)
        taken_out = int(self.cursor.rowcount)
        for make_index in index_statements(self.definition):
            self.cursor.execute(make_index)
        self._switch_triggers("ENABLE")
        history.log_insert(self.cursor, self.definition)
        pyramid.fill(self.cursor, self.definition)
        return self.count - taken_out

    def _update(self) -> int:
        if self.dry_run:
            self._take_standing()
        changes = sql.SQL(", ").join(
            sql.SQL("{} = staging.{}").format(sql.Identifier(name), sql.Identifier(name)) for name in self._written()
        )
        query = sql.SQL(
            "UPDATE {} AS known SET {}"
            " FROM staging JOIN verdict USING (row_no) WHERE verdict.verdict = 'update' AND verdict.fid = known.fid"
        ).format(self.target, changes)
        self.cursor.execute(query)
        return int(self.cursor.rowcount)


def location_doubt(
    definition: Definition, source: sql.Composable, fields: Sequence[str], *, sample: bool
) -> sql.Composable | None:
    """A query for ``row_no`` of the rows that lie in another admin area than one of the fields declares, or None."""
    declared = [name for name, field in definition.fields.items() if field.declares_area and name in fields]
    if not declared or definition.id == "admin_areas":
        return None
    texts = [sql.SQL("coalesce(staged.{}, '')").format(sql.Identifier(name)) for name in declared]
    return sql.SQL(statement(SQL / "location_doubt.sql")).format(
        staging=source, declared=sql.SQL(" || ").join(texts), sample=sql.Literal(sample)
    )


def lock(cursor: Cursor, definitions: Iterable[Definition]) -> None:
    """Let no other import write to the layers until the transaction ends; readers go on.

    Several layers are locked in the order of their ids, so that two imports never wait for each other.
    """
    for definition in sorted(definitions, key=lambda one: one.id):
        cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table(definition)))


def is_pointed_to(cursor: Cursor, definition: Definition) -> bool:
    """Whether another table has a foreign key to the layer's: it cannot be truncated alone."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid <> confrelid"
        " AND confrelid = format('layers.%%I', %s::text)::regclass)"
    )
    return bool(one(cursor, query, (definition.id,)))


def _ewkb(geometries: NDArray[Any]) -> pa.Array:
    """Geometries of EPSG:4326 as PostGIS reads them: extended WKB, in hexadecimal digits."""
    if not (shapely.get_type_id(geometries) == 0).all():
        return pa.array(shapely.to_wkb(shapely.set_srid(geometries, 4326), hex=True, include_srid=True))
    count = len(geometries)
    records = np.empty((count, 25), dtype=np.uint8)  # points: all of one size, so no call for each is needed
    records[:, :9] = np.frombuffer(b"\x01\x01\x00\x00\x20" + (4326).to_bytes(4, "little"), dtype=np.uint8)
    records[:, 9:] = np.ascontiguousarray(shapely.get_coordinates(geometries), dtype="<f8").view(np.uint8)
    digits = records.tobytes().hex().encode()
    offsets = pa.py_buffer(np.arange(0, 50 * count + 1, 50, dtype=np.int32))
    return pa.StringArray.from_buffers(count, offsets, pa.py_buffer(digits))


def arrow(values: Sequence[Any]) -> pa.Array:
    """Python values of one field as the array that a batch holds."""
    known = [_known(value) for value in values]
    first = next((value for value in known if value is not None), None)
    if isinstance(first, list):
        return pa.array([None if value is None else array_text(value) for value in known], pa.string())
    if isinstance(first, bool | str) or first is None:
        return pa.array(known, pa.bool_() if isinstance(first, bool) else pa.string())
    if isinstance(first, int | float):
        whole = all(value is None or isinstance(value, int) for value in known)
        return pa.array(known, pa.int64() if whole else pa.float64())
    return pa.array([None if value is None else value.isoformat() for value in known], pa.string())


def _known(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray):
        return [str(part) for part in value] or None
    if value is None or type(value).__name__ in MISSING_TYPES or value != value:
        return None
    return value.item() if isinstance(value, np.generic) else value
