"""Answers kept as they are sent, bounded by their bytes; tiles are dropped when what they show has changed."""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from api.followed import Change, Place, tiles_of

Headers = list[tuple[bytes, bytes]]
OVERHEAD_BYTES = 1500
"""What an entry takes besides its body."""


@dataclass
class Entry:
    """One answer.

    Parameters
    ----------
    body : bytes
        As it is sent, packed where ``packed`` is true; empty when there is nothing to tell.
    etag : str
        Its tag.
    headers : list of pairs of bytes
        What is sent with it.
    layers : tuple of str
        What it shows.
    place : Place, optional
        The tile; without one, every change of the layers touches it.
    stale : bool
        Whether something was added since: it is shown while nothing newer can be made.
    """

    body: bytes
    etag: str
    headers: Headers
    packed: bool = True
    layers: tuple[str, ...] = ()
    place: Place | None = None
    stale: bool = False
    made_at: float = field(default_factory=time.monotonic)


Key = TypeVar("Key")


class Cache(Generic[Key]):
    """The answers used last, no more than so many bytes."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.bytes = 0
        self._entries: OrderedDict[Key, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry | None:
        """The answer; None when there is none."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an answer; the ones used longest ago go."""
        self.remove(key)
        self._entries[key] = entry
        self._find(key, entry)
        self.bytes += len(entry.body) + OVERHEAD_BYTES
        while self.bytes > self.size_bytes and self._entries:
            self.remove(next(iter(self._entries)))

    def _find(self, key: Key, entry: Entry) -> None:
        """Make an answer one that can be found by more than its key."""

    def remove(self, key: Key) -> Entry | None:
        """Let an answer go."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= len(entry.body) + OVERHEAD_BYTES
        return entry


class TileCache(Cache[Key]):
    """Tiles, found by the layers and the place that they show."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self._anywhere: dict[str, set[Key]] = defaultdict(set)
        self._placed: dict[str, dict[int, dict[tuple[int, int], set[Key]]]] = {}

    def _find(self, key: Key, entry: Entry) -> None:
        for layer in entry.layers:
            if entry.place is None:
                self._anywhere[layer].add(key)
            else:
                zoom = self._placed.setdefault(layer, {}).setdefault(entry.place.z, {})
                zoom.setdefault((entry.place.x, entry.place.y), set()).add(key)

    def remove(self, key: Key) -> Entry | None:
        """Let a tile go."""
        entry = super().remove(key)
        for layer in entry.layers if entry is not None else ():
            assert entry is not None
            if entry.place is None:
                self._anywhere[layer].discard(key)
                continue
            zoom = self._placed[layer][entry.place.z]
            keys = zoom[entry.place.x, entry.place.y]
            keys.discard(key)
            if not keys:
                del zoom[entry.place.x, entry.place.y]
        return entry

    def drop(self, change: Change, *, keep_added: bool) -> int:
        """Drop the tiles that a change touches; how many.

        Parameters
        ----------
        keep_added : bool
            Whether tiles to which something was only added stay as stale ones; a tile that shows what is there no
            more never does.
        """
        touched = set(self._touched(change))
        for key in touched:
            if keep_added and change.only_added:
                self._entries[key].stale = True
            else:
                self.remove(key)
        return len(touched)

    def _touched(self, change: Change) -> Iterator[Key]:
        yield from self._anywhere.get(change.layer, ())
        for z, tiles in self._placed.get(change.layer, {}).items():
            for area in change.areas:
                for place in _of_those(tiles, tiles_of(area, z)):
                    yield from tiles[place]


def _of_those(tiles: dict[tuple[int, int], set[Key]], bounds: tuple[int, int, int, int]) -> Iterable[tuple[int, int]]:
    """The places of some tiles that lie within bounds."""
    first_x, last_x, first_y, last_y = bounds
    if (last_x - first_x + 1) * (last_y - first_y + 1) <= len(tiles):
        return [(x, y) for x in range(first_x, last_x + 1) for y in range(first_y, last_y + 1) if (x, y) in tiles]
    return [(x, y) for x, y in tiles if first_x <= x <= last_x and first_y <= y <= last_y]
