"""A service on a free port with few items and a hill, for programs that read it as their users would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import rasterio
from affine import Affine

from tests.conftest import free_port, wait_until_ready
from tests.gis.rows import put, square

LEEWARD = shutil.which("leeward", path=str(Path(sys.executable).parent))
SHELTERS = 250


def fill(url: str) -> None:
    """250 shelters in 10 rows of 25, the first at 105.2° E 27.2° N; zones and roads around them."""
    places = [(105.2 + n % 25 / 100, 27.2 + n // 25 / 100) for n in range(SHELTERS)]
    put(
        url,
        "shelters",
        *(
            {"name": f"避难所{n}", "at": at, "class": "long", "status": "open" if n % 2 else "closed"}
            for n, at in enumerate(places)
        ),
    )
    zones = ({"name": f"z{n}", "hazard": "flood", "at": square(105.2 + n / 20, 27.3, 0.03)} for n in range(4))
    put(url, "risk_zones", *zones)
    put(url, "roads", {"source_id": "r", "class": "motorway", "at": "LINESTRING(105.1 27.1, 105.5 27.5)"})


def hill(path: Path) -> Path:
    """A cone around 105.3° E 27.3° N, on a grid of 0.0005°."""
    rows, columns = numpy.mgrid[0:800, 0:800]
    heights = (2000 - 5 * numpy.hypot(rows - 400, columns - 400)).astype("float32")
    profile = {"driver": "GTiff", "width": 800, "height": 800, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", transform=Affine(0.0005, 0, 105.1, 0, -0.0005, 27.5), **profile) as file:
        file.write(heights, 1)
    return path


@pytest.fixture(scope="session")
def server(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service."""
    assert LEEWARD, "leeward is not installed in this environment: ./dev setup"
    home, url, port = tmp_path_factory.mktemp("home"), new_database(), free_port()
    fill(url)
    environment = {
        **os.environ, "LEEWARD_DATABASE_URL": url, "LEEWARD_PORT": str(port), "LEEWARD_WORKERS": "1",
        "LEEWARD_HOME": str(home),
    }  # fmt: skip
    subprocess.run([LEEWARD, "import-raster", "elevation", hill(home / "hill.tif")], env=environment, check=True)
    process = subprocess.Popen([LEEWARD, "serve"], env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def ask(server: str) -> Callable[[str], Any]:
    """A function that returns the service's own answer at a path."""

    def answer(path: str) -> Any:
        with urllib.request.urlopen(server + path, timeout=20) as response:
            return json.load(response)

    return answer
