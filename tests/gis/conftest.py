"""One database a module, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from layers.database import Readers
from tests.gis.rows import empty


@pytest.fixture
def database(module_database: str) -> str:
    """The URL of a migrated database without rows."""
    empty(module_database)
    return module_database


@pytest.fixture(scope="module")
def module_readers(module_database: str) -> Iterator[Readers]:
    """The service's connections to the module's database."""
    pool = Readers(module_database, size=2)
    yield pool
    pool.close()


@pytest.fixture
def readers(database: str, module_readers: Readers) -> Readers:
    """The service's connections to ``database``."""
    assert database == module_readers.url
    return module_readers
