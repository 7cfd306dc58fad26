"""The sample county in the database: loaded whole, taken away whole."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from layers.catalog import catalog
from layers.database import AWAY, Cursor, DatabaseError, one, refusal, sql, transaction
from layers.definition import Source
from layers.errors import Unavailable
from layers.settings import settings
from layers.tables import SAMPLE_SOURCE, in_order, table

LOCK = 7_305_105_274
SOURCE = Source(
    name="示例数据（虚构） / Sample data (fictional)",
    licence="Apache-2.0",
    attribution="Leeward 示例数据，非真实 / Leeward sample data, not real",
)
RASTER = "sample_elevation"
AUTHOR = "leeward demo"


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
    tell = progress or (lambda _: None)
    mark = f"sample county {_edition()}, scale {scale:g}, seed {seed if seed is not None else 'default'}"
    with transaction(url, AUTHOR) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        if _mark(cursor) != mark or not (settings().home / "rasters" / f"{RASTER}.tif").exists():
            _make(cursor, scale, seed, tell)
            cursor.execute("UPDATE leeward.imports SET file_name = %s WHERE source = %s", (mark, SAMPLE_SOURCE))
    return count(url)


def _mark(cursor: Cursor) -> str | None:
    """Which sample county is in the database."""
    query = "SELECT file_name FROM leeward.imports WHERE source = %s ORDER BY id DESC LIMIT 1"
    mark: str | None = one(cursor, query, (SAMPLE_SOURCE,))
    return mark


def _edition() -> str:
    """A digest of the modules that make the county: another edition of them is loaded anew."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "sample").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _make(cursor: Cursor, scale: float, seed: int | None, tell: Callable[[float], None]) -> None:
    from layers.importing import import_frames
    from layers.rasters import add
    from layers.sample import county

    make = partial(county.make, scale=scale, progress=lambda _, ratio: tell(0.6 * ratio))
    made = make() if seed is None else make(seed=seed)
    frames = {d.id: made.layers[d.id] for d in in_order(catalog()) if d.id in made.layers}
    _delete(cursor)
    import_frames(cursor, frames, SAMPLE_SOURCE, SOURCE, lambda ratio: tell(0.6 + 0.4 * ratio))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "elevation.tif"
        made.write_elevation(path)
        add(RASTER, path, sample=True)


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
    from layers.rasters import remove

    with transaction(url, AUTHOR) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        gone = _delete(cursor)
    remove(RASTER)
    return gone


def _delete(cursor: Cursor) -> dict[str, int]:
    gone = {}
    for definition in reversed(in_order(catalog())):
        try:
            cursor.execute(sql.SQL("DELETE FROM {} WHERE sample").format(table(definition)))
        except AWAY:
            raise
        except DatabaseError as error:
            raise Unavailable(
                f"a row that is not sample data points to a sample row of {definition.id}: {refusal(error)}",
                expected="import that row again with an item of your own",
            ) from None
        if cursor.rowcount:
            gone[definition.id] = cursor.rowcount
    cursor.execute("DELETE FROM leeward.imports WHERE source = %s", (SAMPLE_SOURCE,))
    cursor.execute("DELETE FROM leeward.sources WHERE id = %s", (SAMPLE_SOURCE,))
    return gone
