"""The service on one database a module, emptied for each test."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # Starlette would rather have httpx2
    warnings.simplefilter("ignore", UserWarning)
    from starlette.testclient import TestClient

from api.app import create_app
from layers.settings import settings
from tests.gis.rows import empty


@pytest.fixture
def database(module_database: str) -> str:
    """The URL of a migrated database without rows."""
    empty(module_database)
    return module_database


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without rasters, and a folder for the web app that is not built."""
    monkeypatch.setenv("LEEWARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEEWARD_WEB", str(tmp_path / "web"))
    settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def client(database: str, home: Path) -> Iterator[TestClient]:
    """The service on ``database``."""
    with TestClient(create_app(database), raise_server_exceptions=False) as running:
        yield running
