"""Rows for tests, written as the importer would write them."""

from __future__ import annotations

from typing import Any

import orjson

from layers.catalog import catalog
from layers.database import sql, transaction
from layers.features import Found
from layers.tables import table


def put(url: str, layer: str, *rows: dict[str, Any], source: str = "test") -> list[int]:
    """Write rows and return their numbers. ``at`` is (lon, lat) or WKT; the other keys are columns."""
    numbers = []
    with transaction(url) as cursor:
        cursor.execute(
            "INSERT INTO leeward.sources VALUES (%s, %s, 'CC0-1.0', %s, NULL) ON CONFLICT DO NOTHING",
            (source, f"Source {source}", f"© {source}"),
        )
        for row in rows:
            columns = {"source": source, **row}
            at = columns.pop("at", None)
            names = [sql.Identifier(name) for name in columns]
            values: list[sql.Composable] = [sql.Literal(value) for value in columns.values()]
            if at is not None:
                wkt = at if isinstance(at, str) else f"POINT({at[0]!r} {at[1]!r})"
                names.append(sql.Identifier("geom"))
                values.append(sql.SQL("ST_GeomFromText({}, 4326)").format(sql.Literal(wkt)))
            cursor.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING fid").format(
                    sql.Identifier("layers", layer), sql.SQL(", ").join(names), sql.SQL(", ").join(values)
                )
            )
            numbers.append(cursor.fetchone()[0])
    return numbers


def rows_of(found: Found) -> list[dict[str, Any]]:
    """The features of a page."""
    rows: list[dict[str, Any]] = orjson.loads(b"[" + found.features + b"]")
    assert len(rows) == found.count
    return rows


def square(west: float, south: float, side: float) -> str:
    """A square as MULTIPOLYGON, side in degrees."""
    east, north = west + side, south + side
    ring = f"{west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}"
    return f"MULTIPOLYGON((({ring})))"


def empty(url: str) -> None:
    """Take all rows away, which is quicker than a new database for each test."""
    layers = sorted(catalog().values(), key=lambda d: not any(f.layer for f in d.fields.values()))
    has_rows = sql.SQL("SELECT {0} WHERE EXISTS (SELECT FROM {1})")
    with transaction(url) as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(has_rows.format(sql.Literal(d.id), table(d)) for d in layers))
        filled = {layer for (layer,) in cursor.fetchall()}
        for definition in layers:
            if definition.id in filled:  # a DELETE of nothing runs the triggers all the same
                cursor.execute(sql.SQL("DELETE FROM {}").format(table(definition)))
        cursor.execute("DELETE FROM leeward.sources")
