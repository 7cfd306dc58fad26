"""The sample county: loaded whole, taken away whole, never mixed with real rows."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from layers import demo
from layers.database import rows, transaction
from layers.errors import Unavailable
from layers.importing import import_file
from layers.settings import settings

STATE = """
    SELECT 'shelters', count(*), max(xmin::text) FROM layers.shelters
    UNION ALL SELECT 'stock', count(*), max(xmin::text) FROM layers.stock
    UNION ALL SELECT 'sources', count(*), max(xmin::text) FROM leeward.sources
    UNION ALL SELECT 'imports', count(*), max(xmin::text) FROM leeward.imports
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEEWARD_HOME", str(tmp_path))
    settings.cache_clear()


def state(url: str) -> list[tuple[object, ...]]:
    with transaction(url) as cursor:
        return rows(cursor, STATE)


def put(url: str, tmp_path: Path, layer: str, text: str) -> None:
    path = tmp_path / f"{layer}.csv"
    path.write_text(text, encoding="utf-8")
    assert import_file(url, layer, path).rejected == 0


def test_loaded_twice_and_cleared(database: str, tmp_path: Path) -> None:
    put(database, tmp_path, "shelters", "名称,经度,纬度\n东河中学,105.1,27.2\n")
    before = state(database)
    counts = demo.load(database)
    assert counts["shelters"] == 200
    assert (tmp_path / "rasters" / "sample_elevation.tif").exists()
    loaded = state(database)
    with transaction(database) as cursor:
        query = "SELECT DISTINCT author FROM leeward.imports WHERE source = 'sample'"
        assert rows(cursor, query) == [("leeward demo",)]
    assert demo.load(database) == counts
    assert state(database) == loaded
    assert demo.clear(database) == counts
    assert state(database) == before
    assert not (tmp_path / "rasters" / "sample_elevation.tif").exists()
    assert demo.clear(database) == {}
    # two at once
    threads = [threading.Thread(target=demo.load, args=(database,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert demo.count(database) == counts
    # a real row may point to a sample row: then nothing is taken away, and the message says why
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.stock SET source = 'mine' WHERE fid = (SELECT min(fid) FROM layers.stock)")
    with pytest.raises(Unavailable, match="not sample data points to a sample row of supply_depots"):
        demo.clear(database)
    assert sum(demo.count(database).values()) == sum(counts.values()) - 1
