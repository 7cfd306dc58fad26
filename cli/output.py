"""What the command line prints: text for people, JSON for machines, progress on a terminal, errors in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from layers.errors import ClusterError, DefinitionError, InvalidValue, LeewardError, NotFound, UnknownParameter

errors = Console(stderr=True, highlight=False)
WRONG_USAGE = (InvalidValue, NotFound, UnknownParameter, DefinitionError)


def print_json(value: Any) -> None:
    """One line of JSON."""
    print(json.dumps(value, ensure_ascii=False, default=str))


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None]]:
    """A function that moves a progress bar to a share of 0 to 1; the bar shows on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda ratio: bar.update(task, completed=ratio)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors that the user can put right become one line and an exit code: 2 wrong usage, else 1."""
    try:
        yield
    except LeewardError as error:
        name = f"{error.parameter}: " if error.parameter else ""
        errors.print(f"leeward: {name}{error.detail}", markup=False, soft_wrap=True)
        if error.expected:
            errors.print(f"  expected: {error.expected}", markup=False, soft_wrap=True)
        raise typer.Exit(2 if isinstance(error, WRONG_USAGE) else 1) from None


__all__ = ["ClusterError", "errors", "plain_errors", "print_json", "progress"]
