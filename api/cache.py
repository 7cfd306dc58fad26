"""Answers kept for a few seconds, bounded by their bytes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One answer: its bytes as sent, its tag, and until when it may be given out."""

    body: bytes
    etag: str
    until: float


class Cache:
    """The answers used last, no more than so many bytes, none older than its age.

    Parameters
    ----------
    size_bytes : int
        Bytes at most, each entry counted with 200 more.
    age_s : float
        How long an answer may be given out.
    """

    def __init__(self, size_bytes: int, age_s: float) -> None:
        self.size_bytes = size_bytes
        self.age_s = age_s
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Entry | None:
        """The answer, or None when there is none or it is too old."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if time.monotonic() >= entry.until:
                self._remove(key)
                return None
            self._entries.move_to_end(key)
            return entry

    def put(self, key: str, body: bytes, etag: str) -> Entry:
        """Keep an answer; the ones used longest ago go."""
        entry = Entry(body, etag, time.monotonic() + self.age_s)
        with self._lock:
            if key in self._entries:
                self._remove(key)
            self._entries[key] = entry
            self._bytes += len(body) + 200
            while self._bytes > self.size_bytes:
                self._remove(next(iter(self._entries)))
        return entry

    def _remove(self, key: str) -> None:
        self._bytes -= len(self._entries.pop(key).body) + 200
