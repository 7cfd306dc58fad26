"""QGIS without a screen: the service as OGC API Features, as vector tiles and as raster tiles."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

PYTHON = Path("/usr/bin/python3")
SCRIPT = Path(__file__).with_name("qgis_map.py")


@cache
def has_qgis() -> bool:
    """Whether the distribution's Python knows QGIS."""
    command = [PYTHON, "-c", "import qgis.core"]
    return PYTHON.exists() and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.long
def test_qgis_reads_and_draws(server: str, tmp_path: Path) -> None:
    if not has_qgis():
        pytest.skip("QGIS is missing: install the package python3-qgis")
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    tmp_path.chmod(0o700)
    command = [PYTHON, SCRIPT, server]
    done = subprocess.run(command, env={**os.environ, **home}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["valid"] == [True, True, True]
    assert told["names"] == sorted(f"避难所{n}" for n in range(250))
    assert told["crs"] in ("OGC:CRS84", "EPSG:4326")
    assert {"name", "status", "class"} <= set(told["fields"])
    features, tiles, slope = told["drawn"]
    assert features > 500
    assert tiles > 500
    assert slope > 20_000
