"""The sample county in the database: loaded whole, taken away whole."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from layers.catalog import catalog
from layers.database import one, rows, sql, transaction
from layers.definition import Source
from layers.importing import import_frames
from layers.rasters import add, remove
from layers.tables import SAMPLE_SOURCE, table

SOURCE = Source(
    name="示例数据（虚构） / Sample data (fictional)",
    licence="Apache-2.0",
    attribution="Leeward 示例数据，非真实 / Leeward sample data, not real",
)
RASTER = "sample_elevation"


def load(
    url: str, *, scale: float = 1, seed: int | None = None, progress: Callable[[float], None] | None = None
) -> dict[str, int]:
    """Load the sample county, if it is not there at this scale; the number of sample rows by layer.

    Parameters
    ----------
    scale : float
        Multiplies the rows; 1 is 1000 danger points, 200 shelters and 1000 pieces of road.
    seed : int, optional
        Another county.
    """
    from layers.sample import county

    tell = progress or (lambda _: None)
    mark = f"sample county, scale {scale:g}, seed {seed if seed is not None else 'default'}"
    with transaction(url) as cursor:
        if (
            one(
                cursor,
                "SELECT file_name FROM leeward.imports WHERE source = %s ORDER BY id DESC LIMIT 1",
                (SAMPLE_SOURCE,),
            )
            == mark
        ):
            return count(url)
    given = {} if seed is None else {"seed": seed}
    made = county.make(scale=scale, progress=lambda _, ratio: tell(0.6 * ratio), **given)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "elevation.tif"
        made.write_elevation(path)
        add(RASTER, path, sample=True)
    order = sorted(made.layers, key=lambda layer: any(f.layer for f in catalog()[layer].fields.values()))
    with transaction(url) as cursor:
        _delete(cursor)
        import_frames(
            cursor, {layer: made.layers[layer] for layer in order}, SAMPLE_SOURCE, SOURCE, lambda r: tell(0.6 + 0.4 * r)
        )
        cursor.execute("UPDATE leeward.imports SET file_name = %s WHERE source = %s", (mark, SAMPLE_SOURCE))
    return count(url)


def count(url: str) -> dict[str, int]:
    """Sample rows by layer."""
    with transaction(url) as cursor:
        found = {
            d.id: one(cursor, sql.SQL("SELECT count(*) FROM {} WHERE sample").format(table(d)))
            for d in catalog().values()
        }
    return {layer: number for layer, number in found.items() if number}


def clear(url: str) -> dict[str, int]:
    """Take the sample data away, and nothing else; the rows gone by layer."""
    with transaction(url) as cursor:
        gone = _delete(cursor)
    remove(RASTER)
    return gone


def _delete(cursor) -> dict[str, int]:  # type: ignore[no-untyped-def]
    gone = {}
    pointing_first = sorted(catalog().values(), key=lambda d: not any(f.layer for f in d.fields.values()))
    known = {name for (name,) in rows(cursor, "SELECT id FROM leeward.layers")}
    for definition in pointing_first:
        if definition.id in known:
            cursor.execute(sql.SQL("DELETE FROM {} WHERE sample").format(table(definition)))
            if cursor.rowcount:
                gone[definition.id] = cursor.rowcount
    cursor.execute("DELETE FROM leeward.imports WHERE source = %s", (SAMPLE_SOURCE,))
    cursor.execute("DELETE FROM leeward.sources WHERE id = %s", (SAMPLE_SOURCE,))
    return gone
