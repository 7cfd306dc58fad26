"""The command line, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.main import app
from layers.settings import settings

Run = Callable[..., Result]


@pytest.fixture
def run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A function that runs a verb in a folder and on a database of its own; a traceback is a failure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEEWARD_DATABASE_URL", database)
    monkeypatch.setenv("LEEWARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def leeward(*arguments: str, **environment: str) -> Result:
        for name, text in environment.items():
            monkeypatch.setenv(name, text)
        settings.cache_clear()
        done = CliRunner().invoke(app, arguments)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    yield leeward
    settings.cache_clear()
