"""The change log as far as one process has read it: which tiles changed since which version, without the database."""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from typing import Any

from api.tiles import BUFFER, EXTENT
from layers import changes
from layers.changes import CELLS_A_ROW
from layers.database import Readers

KEPT_AT_MOST = 2000
"""Changes of a layer that are remembered."""
EVERYWHERE = ((0.0, 0.0, 1.0, 1.0),)
Area = tuple[float, float, float, float]
"""West, north, east, south as parts of the world's width in EPSG:3857, from its north-west corner."""


@dataclass(frozen=True)
class Change:
    """A row of the log: where it touched a layer, and whether it only added to it."""

    version: int
    layer: str
    areas: tuple[Area, ...]
    only_added: bool


@dataclass(frozen=True)
class Place:
    """A tile."""

    z: int
    x: int
    y: int


class Followed:
    """The end of the change log as one scope sees it.

    ``read`` waits for the database and may be called in any thread; what it returns is given to ``apply`` in the thread
    that asks.
    """

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._read_to: int | None = None
        self.version: int | None = None
        """The last version that was applied; None before the log was first read."""
        self._stamps: OrderedDict[int, str] = OrderedDict()
        self._changes: dict[str, deque[Change]] = defaultdict(lambda: deque(maxlen=KEPT_AT_MOST))
        self._floors: dict[str, int] = {}
        self._floor = 0

    def let_go(self) -> None:
        """Close the connection, which is of no use when others have broken."""
        self._readers.close()

    def read(self) -> list[dict[str, Any]]:
        """The rows of the log that are new since the last call; at first, the last ones that there are."""
        since = self._read_to
        if since is None:
            since = max(changes.latest(self._readers) - KEPT_AT_MOST, 0)
            self._floor = since
        found: list[dict[str, Any]] = []
        while True:
            rows = changes.page(self._readers, since)
            found += rows
            if len(rows) < changes.PAGE_AT_MOST:
                break
            since = rows[-1]["version"]
        self._read_to = found[-1]["version"] if found else since
        return found

    def apply(self, rows: list[dict[str, Any]]) -> list[Change]:
        """Take note of rows; what they changed on the map."""
        applied = []
        for row in rows:
            self._stamps[row["version"]] = f"{int(row['recorded_at'].timestamp() * 1_000_000):x}"
            while len(self._stamps) > KEPT_AT_MOST:
                self._stamps.popitem(last=False)
            change = Change(row["version"], row["layer"], areas_of(row), row["operation"] == "insert")
            known = self._changes[change.layer]
            if len(known) == KEPT_AT_MOST:
                self._floors[change.layer] = known[0].version
            known.append(change)
            applied.append(change)
        self.version = rows[-1]["version"] if rows else self.version if self.version is not None else self._floor
        return applied

    def mark(self, version: int) -> str:
        """A version as it stands in an ETag: with the moment of its commit, so that it fits one log only."""
        return f"{version}-{self._stamps.get(version, '0')}"

    def version_of(self, mark: str) -> int | None:
        """The version of a mark; None when it is none of this log, or too old to be known."""
        number, _, stamp = mark.partition("-")
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            return None
        version = int(number)
        return version if self._stamps.get(version) == stamp else None

    def changed_since(self, version: int, layers: tuple[str, ...], place: Place | None) -> bool:
        """Whether one of the layers changed on a tile after a version; anywhere, without a tile."""
        for layer in layers:
            if version < self._floors.get(layer, self._floor):
                return True
            for change in reversed(self._changes.get(layer, ())):
                if change.version <= version:
                    break
                if place is None or any(touches(area, place) for area in change.areas):
                    return True
        return False


def areas_of(row: dict[str, Any]) -> tuple[Area, ...]:
    """Where a row of the log touched its layer: its boxes, else its cells of zoom 12, else its box."""
    if row["boxes"] is not None:
        return tuple(_area(*box) for box in row["boxes"])
    if row["cells"] is not None:
        size = 1 / CELLS_A_ROW
        return tuple((x * size, y * size, (x + 1) * size, (y + 1) * size) for x, y in row["cells"])
    return (_area(*row["bbox"]),) if row["bbox"] is not None else ()


def _area(west: float, south: float, east: float, north: float) -> Area:
    return (west + 180) / 360, _from_north(north), (east + 180) / 360, _from_north(south)


def _from_north(latitude: float) -> float:
    sine = math.sin(math.radians(max(-85.06, min(85.06, latitude))))
    return 0.5 - math.log((1 + sine) / (1 - sine)) / (4 * math.pi)


def tiles_of(area: Area, z: int) -> tuple[int, int, int, int]:
    """The first and last column, the first and last row of the tiles that an area touches, their buffers counted."""
    size, margin, last = 2**z, BUFFER / EXTENT + 1e-6, 2**z - 1
    west, north, east, south = (edge * size for edge in area)
    columns = max(math.floor(west - margin), 0), min(math.floor(east + margin), last)
    rows = max(math.floor(north - margin), 0), min(math.floor(south + margin), last)
    return (*columns, *rows)


def touches(area: Area, place: Place) -> bool:
    """Whether an area touches a tile or its buffer."""
    first_x, last_x, first_y, last_y = tiles_of(area, place.z)
    return first_x <= place.x <= last_x and first_y <= place.y <= last_y
