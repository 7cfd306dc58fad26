"""The change log: pages of it, what became of one item, and a feed that says when it has grown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from layers.database import Heard, Readers, notifications, sql
from layers.definition import Definition
from layers.features import LARGEST, property_columns
from layers.tables import view

CHANNEL = "leeward_changes"
PAGE_AT_MOST = 1000
CELLS_A_ROW = 4096
LOG = """
SELECT version, layer, operation, count, fids, ARRAY[ST_XMin(bbox), ST_YMin(bbox), ST_XMax(bbox), ST_YMax(bbox)],
       cells, boxes, import_id, author, reason, recorded_at
FROM {log} WHERE version > {since} AND {layer} ORDER BY version LIMIT {limit}
"""
NAMES = (
    "version", "layer", "operation", "count", "fids", "bbox", "cells", "boxes", "import_id", "author", "reason",
    "recorded_at",
)  # fmt: skip
LIVES = """
SELECT row_to_json(p), g.shape, g.change, g.ended
FROM (SELECT {columns}, {shape} AS shape, change, NULL::bigint AS ended FROM {now} WHERE fid = {fid}
      UNION ALL
      SELECT {columns}, {shape} AS shape, change, ended_change FROM {past} WHERE fid = {fid}) AS g,
     LATERAL (SELECT {of_g}) AS p
"""
TOLD = """
SELECT DISTINCT ON (change) change, version, recorded_at, author, reason
FROM {log} WHERE change = ANY ({changes}) AND layer = {layer} ORDER BY change, version DESC
"""


def page(readers: Readers, since: int = 0, limit: int = PAGE_AT_MOST, layer: str | None = None) -> list[dict[str, Any]]:
    """The rows of the log after a version, as far as the readers may see them, in the order of versions.

    Parameters
    ----------
    since : int
        The last version that is known already; 0 for the log from its beginning.
    limit : int
        Rows at most.
    layer : str, optional
        Only rows about this layer.

    Returns
    -------
    list of dict
        ``cells`` are columns and rows of Web Mercator tiles of zoom 12; None when they are too many: then ``bbox``
        counts, degrees. ``fids`` is None when they are more than 1000. ``boxes``: of a statement that wrote 50 items at
        most, the boxes of their geometries before and after, degrees.
    """
    query = sql.SQL(LOG).format(
        log=_log(readers),
        since=sql.Literal(since),
        limit=sql.Literal(limit),
        layer=sql.SQL("true") if layer is None else sql.SQL("layer = {}").format(sql.Literal(layer)),
    )
    return [_told(dict(zip(NAMES, row, strict=True))) for row in readers.rows(query)]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    cells = row["cells"]
    return row | {
        "bbox": None if row["bbox"] is None or row["bbox"][0] is None else row["bbox"],
        "cells": None if cells is None else [[cell % CELLS_A_ROW, cell // CELLS_A_ROW] for cell in sorted(cells)],
    }


def latest(readers: Readers) -> int:
    """The last version of the log that the readers may see; 0 when there is none."""
    row = readers.one(sql.SQL("SELECT version FROM {} ORDER BY version DESC LIMIT 1").format(_log(readers)))
    return int(row[0]) if row else 0


def _log(readers: Readers) -> sql.Identifier:
    return sql.Identifier(readers.scope.schema, "changes")


def history(readers: Readers, definition: Definition, fid: int) -> list[dict[str, Any]]:
    """What became of an item, the newest change first; empty when it was never there, or is withheld.

    Returns
    -------
    list of dict
        ``version operation recorded_at author reason``; ``changed``: field to its ``old`` and ``new`` value, of an
        insert only the new and of a deletion only the old ones; ``geometry`` likewise, when it changed.
    """
    if not 0 <= fid <= LARGEST:
        return []
    names = property_columns(definition, None, readers.scope)
    kept = [name for name in names if name != "recorded_at"]
    query = sql.SQL(LIVES).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, kept)),
        of_g=sql.SQL(", ").join(sql.Identifier("g", name) for name in kept),
        shape=sql.SQL("ST_AsGeoJSON(geom, 7)::json" if definition.has_geometry else "NULL::json"),
        now=view(definition, readers.scope),
        past=sql.Identifier(readers.scope.past, definition.id),
        fid=sql.Literal(fid),
    )
    lives = readers.rows(query)
    numbers = {number for _, _, change, ended in lives for number in (change, ended) if number is not None}
    told = _of_changes(readers, definition, numbers)
    lives.sort(key=lambda life: told[life[2]]["version"] if life[2] in told else 0)
    return list(_steps(lives, told))[::-1]


def _of_changes(readers: Readers, definition: Definition, changes: set[int]) -> dict[int, dict[str, Any]]:
    query = sql.SQL(TOLD).format(
        log=_log(readers), changes=sql.Literal(list(changes)), layer=sql.Literal(definition.id)
    )
    names = ("version", "recorded_at", "author", "reason")
    return {change: dict(zip(names, row, strict=True)) for change, *row in readers.rows(query)}


def _steps(lives: list[tuple[Any, ...]], told: dict[int, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The changes between the states of an item, in order."""
    before: tuple[dict[str, Any], Any] | None = None
    ended: int | None = None
    for properties, shape, change, end in lives:
        if before is not None and ended is not None and ended != change:
            yield _step("delete", told.get(ended), before, None)
            before = None
        yield _step("insert" if before is None else "update", told.get(change), before, (properties, shape))
        before, ended = (properties, shape), end
    if before is not None and ended is not None:
        yield _step("delete", told.get(ended), before, None)


def _step(
    operation: str, told: dict[str, Any] | None, before: tuple[dict[str, Any], Any] | None,
    after: tuple[dict[str, Any], Any] | None,
) -> dict[str, Any]:  # fmt: skip
    old, old_shape = before or ({}, None)
    new, new_shape = after or ({}, None)
    changed = {
        name: {"old": old.get(name), "new": new.get(name)}
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    }
    unknown = {"version": None, "recorded_at": None, "author": None, "reason": None}
    step = {**(told or unknown), "operation": operation, "changed": changed}
    return step | ({"geometry": {"old": old_shape, "new": new_shape}} if old_shape != new_shape else {})


class Feed:
    """Says when the log has grown. What is new stands in the log itself: a lost message loses nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._followers: list[Callable[[Heard], None]] = []

    def follow(self, act: Callable[[Heard], None]) -> None:
        """Call a function, in the feed's thread, with all that is heard: it may wait for the database."""
        self._followers.append(act)
        self._start()

    @contextmanager
    def waking(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever the log may have grown, and when the service stops."""
        event = asyncio.Event()
        self._waiting[event] = asyncio.get_running_loop()
        self._start()
        try:
            yield event
        finally:
            del self._waiting[event]

    @property
    def stopped(self) -> bool:
        """Whether the service stops."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let those who wait go."""
        self._stop.set()
        self._wake()

    def close(self) -> None:
        """Stop listening."""
        self.stop()
        if self._thread is not None:
            self._thread.join(2)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)
            self._thread.start()

    def _listen(self) -> None:
        for heard in notifications(self._url, CHANNEL, self._stop):
            for act in list(self._followers):
                act(heard)
            if heard == "message":
                self._wake()

    def _wake(self) -> None:
        for event, loop in list(self._waiting.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
