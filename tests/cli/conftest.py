"""The command line as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(database: str, tmp_path: Path) -> dict[str, str]:
    """An environment with a fresh database and a home of its own."""
    return {**os.environ, "LEEWARD_DATABASE_URL": database, "LEEWARD_HOME": str(tmp_path / "home")}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """A function that runs a verb in a folder of its own, never with a traceback."""

    def leeward(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "leeward"), *arguments],
            env={**environment, **settings}, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return leeward
