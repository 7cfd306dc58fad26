"""The history of layers: for each a table of rows as they were, and the triggers that fill it and the change log.

The current row is its own history: an insert writes nothing here. When a row is replaced or deleted, the row as it was
goes to ``history.<layer>``, with the change that ended it. What was written and ended in one transaction was never seen
by anybody and leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from layers import pyramid
from layers.database import Cursor, rows, sql
from layers.definition import Definition

WIDENED = {
    ("bigint", "double precision"),
    ("bigint", "text"),
    ("double precision", "text"),
    ("boolean", "text"),
    ("date", "text"),
}
"""Changes of a column's type that keep every value."""
EDITION = "history 2"
"""Part of each layer's digest: triggers are made anew when it changes."""
IDS_AT_MOST = 1000
CELLS_AT_MOST = 256
BOXES_AT_MOST = 50
OWN_COLUMNS = {
    "ended_change": ("bigint NOT NULL", "The change that replaced or deleted the row"),
    "released": ("boolean NOT NULL", "Whether the public may see it: never again once the item was withheld"),
}
LIFE = "int8range(least(change, ended_change), greatest(change, ended_change), '[]')"
"""The changes between which a row stood; a row is also ended by a change with a smaller number that began before."""
THEN = """
SELECT {columns} FROM {table} WHERE leeward.was_recorded(change) AND {here}
UNION ALL
SELECT {columns} FROM {history}
WHERE {life} && leeward.moment()
  AND leeward.was_recorded(change) AND NOT leeward.was_recorded(ended_change) AND {before}
"""

CELL = """
floor((20037508.342789244 - ST_Y(geom_3857)) / 9783.93962050256)::int * 4096
+ floor((ST_X(geom_3857) + 20037508.342789244) / 9783.93962050256)::int
"""
"""The tile of zoom 12 of a point, as leeward.cells numbers it."""
WIDE_M = 2.5e6 / 16
"""A geometry wider than that, about 16 tiles of zoom 12, is logged by its box alone."""
_SUMMARY = """
SELECT a.count, CASE WHEN a.count <= {ids} THEN (SELECT array_agg(DISTINCT r.fid) FROM {rows} AS r) END, a.bbox,
    CASE WHEN NOT a.wide THEN (
        SELECT CASE WHEN count(*) <= {most} THEN array_agg(c.cell) END
        FROM (SELECT DISTINCT {cell} AS cell FROM {rows} AS r {cells} WHERE r.geom_3857 IS NOT NULL LIMIT {limit}) AS c
    ) END,
    CASE WHEN a.count <= {boxes} THEN (
        SELECT array_agg(DISTINCT ARRAY[ST_XMin(r.geom), ST_YMin(r.geom), ST_XMax(r.geom), ST_YMax(r.geom)])
        FROM {rows} AS r
    ) END
FROM (SELECT count({counted}) AS count, ST_Extent(r.geom)::box2d AS bbox, coalesce(bool_or({wide}), false) AS wide
      FROM {rows} AS r) AS a
"""
_SUMMARY_WITHOUT_GEOMETRY = """
SELECT a.count, CASE WHEN a.count <= {ids} THEN (SELECT array_agg(DISTINCT r.fid) FROM {rows} AS r) END,
    NULL::box2d, NULL::integer[], NULL::double precision[]
FROM (SELECT count({counted}) AS count FROM {rows} AS r) AS a
"""
_LOG = """
INSERT INTO leeward.changes (change, layer, operation, count, fids, bbox, cells, boxes, released_count, released_fids,
    released_bbox, released_cells, released_boxes, import_id, author, reason)
SELECT current_setting('leeward.change')::bigint, {layer}, {operation}, a.count, a.fids, a.bbox, a.cells, a.boxes,
    {released}, nullif(current_setting('leeward.import_id', true), '')::bigint, leeward.author(),
    nullif(current_setting('leeward.reason', true), '')
FROM ({every}) AS a (count, fids, bbox, cells, boxes) {further}
WHERE a.count > 0
"""
_FUNCTION = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE number bigint := current_setting('leeward.change')::bigint;
BEGIN
    {body}
    RETURN NULL;
END $body$
"""
_KEEP = """
    INSERT INTO {history} ({columns}, ended_change, released)
    SELECT {columns}, number, {released} FROM old_rows AS o WHERE o.change <> number;
"""
_HIDE = """
    UPDATE {history} SET released = false WHERE released AND fid IN (SELECT fid FROM {rows} WHERE {withheld});
"""
_UNFORGED = """
    IF EXISTS (SELECT FROM new_rows WHERE change <> number) THEN
        RAISE EXCEPTION 'the column change is filled by the database' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
"""


def table(definition: Definition) -> sql.Identifier:
    """The table of the layer's rows as they were."""
    return sql.Identifier("history", definition.id)


def adoption(definition: Definition) -> Iterator[sql.Composable]:
    """Give the rows that were there before there was a log a change of their own."""
    yield sql.SQL("SELECT leeward.begin_change()")
    yield sql.SQL(
        "ALTER TABLE {} ADD COLUMN change bigint NOT NULL DEFAULT current_setting('leeward.change')::bigint"
    ).format(sql.Identifier("layers", definition.id))
    yield sql.SQL("SELECT set_config('leeward.reason', 'there before the change log', true)")
    yield _logged(definition, sql.Identifier("layers", definition.id), "insert", definition.public.withheld)
    yield sql.SQL("SELECT set_config('leeward.reason', '', true)")


def synchronise(cursor: Cursor, definition: Definition, columns: Sequence[str], withheld: str | None) -> None:
    """Make or alter the layer's table of history, and its triggers."""
    _make_table(cursor, definition, columns)
    for query in _triggers(definition, columns, withheld):
        cursor.execute(query)


def _make_table(cursor: Cursor, definition: Definition, columns: Sequence[str]) -> None:
    layer = definition.id
    own = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, (kind, _) in OWN_COLUMNS.items()
    )
    cursor.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(table(definition), own))
    wanted, there = _types(cursor, f'layers."{layer}"'), _types(cursor, f'history."{layer}"')
    for name in columns:
        kind = "geometry" if name in ("geom", "geom_3857") else wanted[name]
        alter = sql.SQL("ALTER TABLE {} ").format(table(definition))
        if name not in there:
            cursor.execute(alter + sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(name), sql.SQL(kind)))
        elif there[name] != kind:
            cursor.execute(_retyped(definition, name, kind, there))
    indexes = {f"{layer}_history_fid": sql.SQL("(fid, change)")}
    if definition.has_geometry:
        indexes[f"{layer}_history_geom"] = sql.SQL(f"USING gist (geom_3857, {LIFE})")
    for name, what in indexes.items():
        cursor.execute(
            sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} {}").format(sql.Identifier(name), table(definition), what)
        )
    cursor.execute(
        sql.SQL("COMMENT ON TABLE {} IS {}").format(
            table(definition), sql.Literal(f"Rows of layers.{layer} as they were, each with the change that ended it")
        )
    )
    for name, (_, comment) in OWN_COLUMNS.items():
        cursor.execute(
            sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                table(definition), sql.Identifier(name), sql.Literal(comment)
            )
        )


def _retyped(definition: Definition, name: str, kind: str, there: Mapping[str, str]) -> sql.Composable:
    """A column of another type: values that can be kept are, others stay in a column of their own, out of sight."""
    alter, column = sql.SQL("ALTER TABLE {} ").format(table(definition)), sql.Identifier(name)
    if (there[name], kind) in WIDENED:
        return alter + sql.SQL("ALTER COLUMN {0} TYPE {1} USING {0}::{1}").format(column, sql.SQL(kind))
    number = next(n for n in count(1) if f"{name} {n}" not in there)
    aside = sql.Identifier(f"{name} {number}")
    return (
        alter + sql.SQL("RENAME COLUMN {} TO {}; ").format(column, aside)
        + alter + sql.SQL("ADD COLUMN {} {}").format(column, sql.SQL(kind))
    )  # fmt: skip


def _types(cursor: Cursor, name: str) -> dict[str, str]:
    query = """
        SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
    """
    return dict(rows(cursor, query, (name,)))


def log_insert(cursor: Cursor, definition: Definition) -> None:
    """Log all rows of the layer as one insert: for a layer filled while its triggers were off."""
    withheld = definition.public.withheld
    source = sql.Identifier("layers", definition.id)
    hidden = withheld is not None and bool(
        rows(cursor, sql.SQL("SELECT FROM {} WHERE {} LIMIT 1").format(source, sql.Identifier(withheld)))
    )
    cursor.execute(_logged(definition, source, "insert", withheld if hidden else None))


def _logged(definition: Definition, source: sql.Composable, operation: str, withheld: str | None) -> sql.Composable:
    """INSERT of one row of the log about the rows of a table or of a query in brackets."""
    twice = operation == "update"  # each row stands in the source as it was and as it is
    every = _summary(definition, source, twice)
    names = ("count", "fids", "bbox", "cells", "boxes")
    of, further = "a", sql.SQL("")
    if withheld is not None:
        shown = sql.SQL("(SELECT * FROM {} AS s WHERE {} IS NOT TRUE)").format(source, sql.Identifier(withheld))
        of, further = (
            "r",
            sql.SQL(", ({}) AS r (count, fids, bbox, cells, boxes)").format(_summary(definition, shown, twice)),
        )
    return sql.SQL(_LOG).format(
        layer=sql.Literal(definition.id),
        operation=sql.Literal(operation),
        released=sql.SQL(", ").join(sql.Identifier(of, name) for name in names),
        every=every,
        further=further,
    )


def _summary(definition: Definition, source: sql.Composable, twice: bool) -> sql.Composable:
    """Count, numbers, box and tiles of some rows, in one row."""
    counted = sql.SQL("DISTINCT r.fid" if twice else "*")
    if not definition.has_geometry:
        return sql.SQL(_SUMMARY_WITHOUT_GEOMETRY).format(rows=source, counted=counted, ids=sql.Literal(IDS_AT_MOST))
    point = definition.dimension == 0
    wide = (
        sql.SQL("false")
        if point
        else sql.SQL(
            "greatest(ST_XMax(r.geom_3857) - ST_XMin(r.geom_3857), ST_YMax(r.geom_3857) - ST_YMin(r.geom_3857)) > {}"
        ).format(sql.Literal(WIDE_M))
    )
    return sql.SQL(_SUMMARY).format(
        rows=source,
        counted=counted,
        ids=sql.Literal(IDS_AT_MOST),
        most=sql.Literal(CELLS_AT_MOST),
        boxes=sql.Literal(BOXES_AT_MOST),
        limit=sql.Literal(CELLS_AT_MOST + 1),
        cell=sql.SQL(CELL if point else "c.cell"),
        cells=sql.SQL("" if point else ", leeward.cells(r.geom_3857) AS c (cell)"),
        wide=wide,
    )


def _triggers(definition: Definition, columns: Sequence[str], withheld: str | None) -> Iterator[sql.Composable]:
    layer = sql.Identifier("layers", definition.id)
    for name, when, function in (
        ("a_before_write", "BEFORE INSERT OR UPDATE OR DELETE ON {} FOR EACH STATEMENT", "before_write"),
        ("a_before_update", "BEFORE UPDATE ON {} FOR EACH ROW", "before_update"),
        ("a_before_truncate", "BEFORE TRUNCATE ON {} FOR EACH STATEMENT", "before_truncate"),
    ):
        yield sql.SQL("CREATE OR REPLACE TRIGGER {} {} EXECUTE FUNCTION {}()").format(
            sql.Identifier(name), sql.SQL(when).format(layer), sql.Identifier("leeward", function)
        )
    both = sql.SQL("(SELECT {0} FROM new_rows UNION ALL SELECT {0} FROM old_rows)").format(
        sql.SQL(", ").join(map(sql.Identifier, _summarised(definition, withheld)))
    )
    old, new = sql.SQL("old_rows"), sql.SQL("new_rows")
    tables = {"insert": "NEW TABLE AS new_rows", "delete": "OLD TABLE AS old_rows"}
    tables["update"] = f"{tables['delete']} {tables['insert']}"
    for operation, source in (("insert", new), ("update", both), ("delete", old)):
        function = sql.Identifier("history", f"{definition.id}_after_{operation}")
        body = sql.SQL("").join(_body(definition, columns, withheld, operation, source))
        yield sql.SQL(_FUNCTION).format(name=function, body=body)
        yield sql.SQL(
            "CREATE OR REPLACE TRIGGER {} AFTER {} ON {} REFERENCING {} FOR EACH STATEMENT EXECUTE FUNCTION {}()"
        ).format(
            sql.Identifier(f"z_after_{operation}"), sql.SQL(operation.upper()), layer, sql.SQL(tables[operation]),
            function,
        )  # fmt: skip


def _summarised(definition: Definition, withheld: str | None) -> list[str]:
    """The columns that a summary looks at."""
    geometry = ["geom", "geom_3857"] if definition.has_geometry else []
    return ["fid", *geometry, *([withheld] if withheld else [])]


def _body(
    definition: Definition, columns: Sequence[str], withheld: str | None, operation: str, source: sql.Composable
) -> Iterator[sql.Composable]:
    """What happens after a statement: the rows as they were are kept, and the statement is logged."""
    hidden = sql.Identifier(withheld) if withheld else None
    if operation == "insert":
        yield sql.SQL(_UNFORGED)
    else:
        released = sql.SQL("{} IS NOT TRUE").format(hidden) if hidden else sql.SQL("true")
        yield sql.SQL(_KEEP).format(
            history=table(definition), columns=sql.SQL(", ").join(map(sql.Identifier, columns)), released=released
        )
    if hidden is not None:
        rows_now = sql.SQL("old_rows" if operation == "delete" else "new_rows")
        if operation != "insert":
            yield sql.SQL("IF EXISTS (SELECT FROM {} WHERE {}) THEN {} END IF;").format(
                rows_now, hidden, sql.SQL(_HIDE).format(history=table(definition), rows=rows_now, withheld=hidden)
            )
        yield sql.SQL("IF EXISTS (SELECT FROM {} AS s WHERE {}) THEN {}; ELSE {}; END IF;").format(
            source, hidden, _logged(definition, source, operation, withheld),
            _logged(definition, source, operation, None),
        )  # fmt: skip
    else:
        yield _logged(definition, source, operation, None) + sql.SQL(";")
    yield from pyramid.appending(definition, operation)
