"""Rows on their way into a layer: copied to a temporary table, compared by key, then written in one transaction."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import shapely
from numpy.typing import NDArray

from layers.database import Cursor, copy_rows, one, rows, sql, statement
from layers.definition import Definition
from layers.names import initials
from layers.tables import index_expressions, index_statements, is_empty, key_expression, table

SQL = Path(__file__).parent / "sql"
STAGING = sql.Identifier("pg_temp", "staging")
LARGE_ROWS = 20_000


@dataclass
class Batch:
    """Rows whose values are those of the layer's fields.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        Row numbers in the file.
    values : dict of field name to list of length n
    geometries : ndarray of shapely geometries, shape (n,), EPSG:4326, or None
    flags : dict of position to list of flags
    unread : dict of position to {column of the file: its text}
    """

    numbers: NDArray[np.int64]
    values: dict[str, list[Any]]
    geometries: NDArray[Any] | None = None
    flags: dict[int, list[str]] = field(default_factory=dict)
    unread: dict[int, dict[str, str]] = field(default_factory=dict)

    def without(self, positions: set[int]) -> Batch:
        """The batch less some of its rows."""
        if not positions:
            return self
        keep = [position for position in range(len(self.numbers)) if position not in positions]
        place = {old: new for new, old in enumerate(keep)}
        return Batch(
            self.numbers[keep],
            {name: [values[position] for position in keep] for name, values in self.values.items()},
            None if self.geometries is None else self.geometries[keep],
            {place[p]: flags for p, flags in self.flags.items() if p in place},
            {place[p]: texts for p, texts in self.unread.items() if p in place},
        )


@dataclass
class Merged:
    """What became of the staged rows."""

    imported: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)
    flags: dict[str, int] = field(default_factory=dict)


class Staging:
    """The temporary table of one import.

    Parameters
    ----------
    cursor : Cursor
        In the transaction in which all of it happens.
    definition : Definition
    fields : sequence of str
        The fields that the file fills; others keep what they have when a row is updated.
    source : str
        The source, ``leeward.sources.id``.
    """

    def __init__(self, cursor: Cursor, definition: Definition, fields: Sequence[str], source: str) -> None:
        self.cursor = cursor
        self.definition = definition
        self.fields = list(fields)
        self.source = source
        self.count = 0
        columns = [sql.SQL("row_no bigint"), sql.SQL("source text DEFAULT {}").format(sql.Literal(source))]
        columns += [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(field.column_type))
            for name, field in definition.fields.items()
        ]
        columns += [sql.SQL("flags text[] NOT NULL DEFAULT '{}', unread jsonb, name_initials text")]
        if definition.has_geometry:
            columns.append(sql.SQL("geom geometry"))
        columns.append(sql.SQL("item_key uuid GENERATED ALWAYS AS ({}) STORED").format(key_expression(definition)))
        cursor.execute(sql.SQL("CREATE TEMPORARY TABLE staging ({}) ON COMMIT DROP").format(sql.SQL(", ").join(columns)))
        cursor.execute(
            "CREATE TEMPORARY TABLE verdict (row_no bigint PRIMARY KEY, verdict text NOT NULL, fid bigint, first_row bigint)"
            " ON COMMIT DROP"
        )

    def copy(self, batch: Batch) -> None:
        """Put rows into the temporary table."""
        self.count += len(batch.numbers)
        if not len(batch.numbers):
            return
        arrays: dict[str, pa.Array] = {"row_no": pa.array(batch.numbers)}
        for name in self.fields:
            arrays[name] = _array(batch.values[name])
        if batch.flags:
            arrays["flags"] = pa.array([_array_text(batch.flags.get(i, [])) for i in range(len(batch.numbers))])
        if batch.unread:
            texts = [json.dumps(batch.unread[i], ensure_ascii=False) if i in batch.unread else None for i in range(len(batch.numbers))]
            arrays["unread"] = pa.array(texts, pa.string())
        name_field = self.definition.name_field
        if name_field in batch.values:
            arrays["name_initials"] = pa.array([initials(name) for name in batch.values[name_field]], pa.string())
        if batch.geometries is not None:
            arrays["geom"] = pa.array(shapely.to_wkb(shapely.set_srid(batch.geometries, 4326), hex=True, include_srid=True))
        buffer = io.BytesIO()
        options = pyarrow.csv.WriteOptions(include_header=False)
        pyarrow.csv.write_csv(pa.table(arrays), buffer, options)
        buffer.seek(0)
        copy_rows(self.cursor, sql.Identifier("staging"), list(arrays), buffer)

    def merge(self, *, update: bool, import_id: int) -> Merged:
        """Compare the staged rows with each other and with the layer, and write what is new.

        Parameters
        ----------
        update : bool
            Whether a row whose key is there with other values replaces them; else it is rejected.
        import_id : int
        """
        # one import of a layer at a time; readers go on
        self.cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table(self.definition)))
        self.cursor.execute("SET LOCAL work_mem = '256MB'; SET LOCAL maintenance_work_mem = '512MB'; ANALYZE staging")
        merged = Merged()
        self._judge_repeated(merged)
        if not is_empty(self.cursor, self.definition):
            self._judge_known(merged, update)
        self._check_location()
        merged.imported = self._insert(import_id)
        if update:
            merged.updated = self._update(import_id)
        merged.unchanged = one(self.cursor, "SELECT count(*) FROM verdict WHERE verdict = 'unchanged'")
        merged.flags = dict(rows(self.cursor, statement(SQL / "flag_counts.sql")))
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
        query = sql.SQL(statement(SQL / "judge_repeated.sql")).format(same=self._same("staged", "first"), whole=self._whole())
        self.cursor.execute(query)
        query_text = "SELECT v.row_no, v.first_row FROM verdict v WHERE verdict = 'duplicate' ORDER BY 1"
        for number, first in rows(self.cursor, query_text):
            merged.rejected.append((number, f"the same key as row {first}, which was taken, with other values"))

    def _judge_known(self, merged: Merged, update: bool) -> None:
        query = sql.SQL(statement(SQL / "judge_known.sql")).format(
            layer=table(self.definition), same=self._same("staged", "known"), whole_staged=self._whole("staged"),
            whole_known=self._whole("known"), verdict=sql.Literal("update" if update else "conflict"),
        )  # fmt: skip
        self.cursor.execute(query)
        for number, fid in rows(self.cursor, "SELECT row_no, fid FROM verdict WHERE verdict = 'conflict' ORDER BY 1"):
            merged.rejected.append(
                (number, f"{self.definition.id} {fid} has this key with other values; --on-conflict update would replace them")
            )

    def _whole(self, name: str = "staged") -> sql.Composable:
        """A digest of all that a row says, for rows without a key."""
        names = [*self.fields, *(["geom"] if self.definition.has_geometry else [])]
        columns = sql.SQL(", ").join(sql.SQL("{}.{}").format(sql.SQL(name), sql.Identifier(n)) for n in names)
        return sql.SQL("md5(ROW({})::text)::uuid").format(columns)

    def _check_location(self) -> None:
        """Flag rows that lie in another admin area than they declare."""
        declared = [n for n, f in self.definition.fields.items() if f.declares_area and n in self.fields]
        if not declared or self.definition.id == "admin_areas":
            return
        query = sql.SQL(statement(SQL / "location_doubt.sql")).format(
            declared=sql.SQL(" || ").join(sql.SQL("coalesce({}, '')").format(sql.Identifier(n)) for n in declared),
            sample=sql.Literal(self.source == "sample"),
        )
        self.cursor.execute(query)

    def _insert(self, import_id: int) -> int:
        fields = [*self.fields, "source", "flags", "unread", "name_initials", *(["geom"] if self.definition.has_geometry else [])]
        names = sql.SQL(", ").join(map(sql.Identifier, fields))
        order = sql.SQL("geom, row_no") if self.definition.has_geometry else sql.SQL("row_no")
        query = sql.SQL(
            "INSERT INTO {} ({}, import_id) SELECT {}, {} FROM staging"
            " WHERE NOT EXISTS (SELECT FROM verdict WHERE verdict.row_no = staging.row_no) ORDER BY {}"
        ).format(table(self.definition), names, names, sql.Literal(import_id), order)
        rebuild = self.count >= LARGE_ROWS and is_empty(self.cursor, self.definition)
        if rebuild:
            self._drop_indexes()
        self.cursor.execute(query)
        count = self.cursor.rowcount
        if rebuild:
            self._make_indexes()
        return count

    def _drop_indexes(self) -> None:
        for name in index_expressions(self.definition):
            self.cursor.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier("layers", name)))

    def _make_indexes(self) -> None:
        for query in index_statements(self.definition):
            self.cursor.execute(query)

    def _update(self, import_id: int) -> int:
        names = [*self.fields, "flags", "unread", "name_initials", *(["geom"] if self.definition.has_geometry else [])]
        changes = sql.SQL(", ").join(
            sql.SQL("{} = staging.{}").format(sql.Identifier(name), sql.Identifier(name)) for name in names
        )
        query = sql.SQL(
            "UPDATE {} AS known SET {}, source = staging.source, import_id = {}, recorded_at = now()"
            " FROM staging JOIN verdict USING (row_no) WHERE verdict.verdict = 'update' AND verdict.fid = known.fid"
        ).format(table(self.definition), changes, sql.Literal(import_id))
        self.cursor.execute(query)
        return int(self.cursor.rowcount)


def _array(values: list[Any]) -> pa.Array:
    first = next((value for value in values if value is not None), None)
    if isinstance(first, list | tuple):
        return pa.array([None if value is None else _array_text(value) for value in values], pa.string())
    if isinstance(first, bool):
        return pa.array(values, pa.bool_())
    if isinstance(first, int | float):
        whole = all(value is None or isinstance(value, int) for value in values)
        return pa.array(values, pa.int64() if whole else pa.float64())
    if isinstance(first, str) or first is None:
        return pa.array(values, pa.string())
    return pa.array([None if value is None else value.isoformat() for value in values], pa.string())


def _array_text(values: Sequence[str]) -> str:
    """A PostgreSQL array of plain words."""
    return "{" + ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values) + "}"


def typed(definition: Definition, frame: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The columns of a frame whose values are already those of the fields, as lists with None for missing."""
    for name in definition.fields:
        if name not in frame:
            continue
        yield name, [_known(value) for value in frame[name]]


def _known(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray):
        return [str(part) for part in value] or None
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return None
    return value.item() if isinstance(value, np.generic) else value
