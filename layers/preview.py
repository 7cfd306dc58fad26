"""What an import would leave behind, for a look before it is done: some rows as they would stand, some as they fail."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import Any

from layers.database import INTERNAL, Cursor, rows, sql
from layers.definition import Definition
from layers.features import property_columns
from layers.tables import table

VERTICES_AT_MOST = 200_000
CHOSEN = """
CREATE TEMPORARY TABLE chosen ON COMMIT DROP AS
SELECT row_no, verdict, fid
FROM (SELECT row_no, coalesce(v.verdict, 'new') AS verdict, v.fid,
             row_number() OVER (ORDER BY row_no) - 1 AS place, count(*) OVER () AS count
      FROM staging LEFT JOIN verdict AS v USING (row_no)
      WHERE v.verdict IS NULL OR v.verdict = 'update' OR (v.verdict = 'unchanged' AND v.fid IS NOT NULL)) AS kept
WHERE place % ceil(count / {most}::float8)::bigint = 0
"""
FEATURES = """
SELECT feature FROM (
    SELECT c.row_no, sum({vertices}) OVER (ORDER BY c.row_no) AS vertices, json_build_object(
        'type', 'Feature', 'id', c.row_no, 'geometry', {geometry}, 'properties', (SELECT row_to_json(p) FROM (
            SELECT {columns}, c.row_no AS leeward_row, {verdict} AS leeward_verdict, c.fid AS leeward_fid,
                   i.unread AS leeward_unread) AS p)) AS feature
    FROM chosen AS c JOIN (
        SELECT {names}, n.row_no AS number FROM standing AS s JOIN chosen AS n USING (row_no)
        WHERE verdict <> 'unchanged'
        UNION ALL
        SELECT {names}, n.row_no AS number FROM {layer} AS s JOIN chosen AS n USING (fid)
        WHERE verdict = 'unchanged'
    ) AS i ON i.number = c.row_no
) AS f
WHERE vertices <= {vertices_at_most} ORDER BY row_no
"""
VERDICT = "CASE c.verdict WHEN 'update' THEN 'updated' ELSE c.verdict END"


def standing(cursor: Cursor, definition: Definition, most: int) -> list[dict[str, Any]]:
    """Rows of a dry run as they would stand: GeoJSON features in the order of the file, evenly chosen from it.

    Each has the properties of an item, and ``leeward_row``, ``leeward_verdict`` (new, updated or unchanged),
    ``leeward_fid`` (the item that is there, or None) and ``leeward_unread`` (texts that could not be read, by heading).

    Parameters
    ----------
    cursor : Cursor
        In the transaction of the dry run, before its end.
    most : int
        Features at most; fewer where their geometries are large.
    """
    cursor.execute(sql.SQL(CHOSEN).format(most=sql.Literal(most)))
    names = [name for name in property_columns(definition, None, INTERNAL) if name != "recorded_at"]
    shaped = definition.has_geometry
    query = sql.SQL(FEATURES).format(
        vertices=sql.SQL("ST_NPoints(i.geom)" if shaped else "0"),
        geometry=sql.SQL("ST_AsGeoJSON(i.geom, 7)::json" if shaped else "NULL::json"),
        columns=sql.SQL(", ").join(sql.Identifier("i", name) for name in names),
        verdict=sql.SQL(VERDICT),
        names=sql.SQL(", ").join(sql.Identifier("s", n) for n in [*names, "unread", *(["geom"] if shaped else [])]),
        layer=table(definition),
        vertices_at_most=sql.Literal(VERTICES_AT_MOST),
    )
    return [feature for (feature,) in rows(cursor, query)]


def rejected(path: Path | None, most: int) -> list[dict[str, Any]]:
    """The first rows of a file of rejected rows: row, column, reason, proposal, cells in the order of the headings."""
    if path is None or not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        next(lines, None)
        return [
            {
                "row": int(row), "column": column or None, "reason": reason, "proposal": proposal or None,
                "cells": cells,
            }
            for row, column, reason, proposal, _, *cells in islice(lines, most)
        ]  # fmt: skip
