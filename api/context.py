"""What the routes of one process share: the readers, the catalog, and what the layers hold in all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends
from starlette.requests import Request

from layers.catalog import Catalog, catalog
from layers.database import Readers
from layers.definition import Definition
from layers.features import Holding, holdings, sources

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


class Context:
    """The service's readers, and what is remembered of the layers."""

    def __init__(self, readers: Readers) -> None:
        self.readers = readers
        self.holdings: Remembered[list[Holding]] = Remembered(lambda: holdings(readers, catalog()))
        self.sources: Remembered[dict[str, dict[str, Any]]] = Remembered(lambda: sources(readers))

    @property
    def catalog(self) -> Catalog:
        """The layer definitions."""
        return catalog()


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _definition(collection: str) -> Definition:
    return catalog()[collection]


InContext = Annotated[Context, Depends(_context)]
OfCollection = Annotated[Definition, Depends(_definition)]
