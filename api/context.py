"""What the routes of one process share: the readers, the catalog, and what the layers hold in all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends
from starlette.requests import Request

from gis.roads import Roads
from layers.catalog import Catalog, catalog
from layers.changes import Feed
from layers.database import INTERNAL, RELEASED, LoopReaders, Readers, Writers
from layers.definition import Definition
from layers.features import Holding, holdings, sources
from layers.pyramid import fold
from layers.settings import settings

COUNTS_AT_MOST = 256
LOOP_CONNECTIONS = 4
Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """A value that is computed anew when it is ten times as old as computing it took, and 30 s at most."""

    def __init__(self, compute: Callable[[], Value]) -> None:
        self._compute = compute
        self._lock = threading.Lock()
        self._until = 0.0
        self._value: Value | None = None

    def __call__(self) -> Value:
        with self._lock:
            started = time.monotonic()
            if self._value is None or started >= self._until:
                self._value = self._compute()
                finished = time.monotonic()
                self._until = finished + min(30.0, 10 * (finished - started))
            return self._value


class Counted:
    """How many items a question fits, and whether that is an estimate; right until something is written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = -1
        self._until = 0.0
        self._value = (0, False)

    def __call__(self, version: int, count: Callable[[], tuple[int, bool]]) -> tuple[int, bool]:
        """The count at a version of the change log; while writes never cease, it may be ten times as old as it took."""
        with self._lock:
            started = time.monotonic()
            if self._version < version and started >= self._until:
                self._value = count()
                finished = time.monotonic()
                self._version, self._until = version, finished + min(30.0, 10 * (finished - started))
            return self._value


class Counts:
    """The counts of the last questions, by their texts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Counted] = OrderedDict()

    def __call__(self, question: str, version: int, count: Callable[[], tuple[int, bool]]) -> tuple[int, bool]:
        """The count of a question at a version of the change log."""
        with self._lock:
            counted = self._known.setdefault(question, Counted())
            self._known.move_to_end(question)
            if len(self._known) > COUNTS_AT_MOST:
                self._known.popitem(last=False)
        return counted(version, count)


class View:
    """What some readers see, and what is remembered of the layers for them."""

    def __init__(self, readers: Readers) -> None:
        self.readers = readers
        self.catalog = catalog()
        self.holdings: Remembered[list[Holding]] = Remembered(lambda: holdings(readers, self.catalog))
        self.counts = Counts()
        self.sources: Remembered[dict[str, dict[str, Any]]] = Remembered(lambda: sources(readers))

    def at(self, moment: datetime | None) -> View:
        """What the readers saw at an earlier moment; without one, what they see."""
        if moment is None:
            return self
        earlier = View(self.readers.at(moment))
        earlier.sources = self.sources
        earlier.counts = self.counts
        return earlier


class Context:
    """What the routes of one process share: connections to read and write by, and the feed of changes."""

    def __init__(self, url: str) -> None:
        size, timeout_ms = settings().pool_size, settings().statement_timeout_ms
        self.url = url
        self.public = View(Readers(url, RELEASED, size=size, timeout_ms=timeout_ms))
        self.internal = View(Readers(url, INTERNAL, size=size, timeout_ms=timeout_ms))
        self.writers = Writers(url, size=size, timeout_ms=timeout_ms)
        self.feed = Feed(url)
        self.roads = Roads(self.public.readers)
        self._followers: list[Readers] = []
        self._threads = ThreadPoolExecutor(2 * size, thread_name_prefix="slow")

    @property
    def catalog(self) -> Catalog:
        """The layer definitions."""
        return catalog()

    def follower(self, view: View) -> Readers:
        """A connection of its own for who follows the change log: it waits for nobody who asks."""
        readers = Readers(self.url, view.readers.scope, size=1)
        self._followers.append(readers)
        return readers

    def for_loop(self, view: View) -> LoopReaders:
        """Connections that the event loop itself waits for."""
        readers = LoopReaders(
            self.url, view.readers.scope, size=LOOP_CONNECTIONS, timeout_ms=settings().statement_timeout_ms
        )
        self._followers.append(readers)
        return readers

    def fold(self, layer: str) -> None:
        """Fold the pyramid of a layer."""
        with self.writers.transaction() as cursor:
            fold(cursor, self.catalog[layer])

    async def run(self, function: Callable[..., Value], *values: Any) -> Value:
        """What a function returns that waits for the database, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *values)

    def close(self) -> None:
        """Let go of the database."""
        self.feed.close()
        for pool in (self.public.readers, self.internal.readers, self.writers, *self._followers):
            pool.close()


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _definition(collection: str) -> Definition:
    return catalog()[collection]


InContext = Annotated[Context, Depends(_context)]
OfCollection = Annotated[Definition, Depends(_definition)]
