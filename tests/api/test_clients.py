"""Programs of others that speak OGC API Features, against the running service: GDAL and OWSLib."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyogrio
import pytest
from owslib.ogcapi.features import Features

from tests.conftest import ROOT, free_port, wait_until_ready
from tests.gis.rows import put


@pytest.fixture(scope="module")
def running(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a service with 250 shelters along a parallel."""
    rows = [{"name": f"s{n}", "at": (105 + n / 1000, 27), "capacity_persons": n} for n in range(250)]
    put(module_database, "shelters", *rows)
    port = free_port()
    home: Path = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "LEEWARD_SERVED_DATABASE_URL": module_database, "LEEWARD_HOME": str(home)}
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.app:app_from_environment", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], env=environment, cwd=ROOT)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.filterwarnings("ignore")
def test_gdal(running: str) -> None:
    source = f"OAPIF:{running}"
    assert "shelters" in [name for name, _ in pyogrio.list_layers(source)]
    every = pyogrio.read_dataframe(source, layer="shelters", PAGE_SIZE="100")
    assert sorted(every["name"]) == sorted(f"s{n}" for n in range(250))
    assert every.crs.to_string() == "OGC:CRS84"
    assert (every.geometry.x.min(), every.geometry.y.min()) == (105, 27)
    some = pyogrio.read_dataframe(source, layer="shelters", bbox=(105, 26, 105.01, 28))
    assert len(some) == 11
    large = pyogrio.read_dataframe(source, layer="shelters", where="capacity_persons >= 240")
    assert len(large) == 10


@pytest.mark.filterwarnings("ignore")
def test_owslib(running: str) -> None:
    service = Features(running, headers={"Accept": "application/json"})
    assert "shelters" in service.feature_collections()
    assert "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text" in service.conformance()["conformsTo"]
    assert "capacity_persons" in service.collection_queryables("shelters")["properties"]
    found = service.collection_items("shelters", limit=10, filter="capacity_persons >= 200")
    assert (found["numberMatched"], found["features"][0]["properties"]["name"]) == (50, "s200")
    number = found["features"][0]["id"]
    assert service.collection_item("shelters", str(number))["properties"]["name"] == "s200"
