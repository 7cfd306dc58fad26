"""What the command line prints: text for people, JSON for machines, progress on a terminal, errors in one line."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from layers.errors import DefinitionError, InvalidValue, LeewardError, NotFound, Unavailable, UnknownParameter

WRONG_USAGE = (InvalidValue, NotFound, UnknownParameter, DefinitionError)
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable output.")]


def say(text: str) -> None:
    """One line for people, beside the output proper."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One line of JSON."""
    print(json.dumps(value, ensure_ascii=False, default=str))


def author() -> str:
    """Who writes from the command line, for the change log."""
    try:
        return f"cli: {getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name
        return f"cli: user {os.getuid()}"


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None]]:
    """A function that moves a progress bar to a share of 0 to 1; the bar shows on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, TimeElapsedColumn

    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda ratio: bar.update(task, completed=ratio)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors that the user can put right become one line and an exit code: 2 wrong usage, else 1."""
    try:
        yield
    except Exception as raised:
        error = _plain(raised)
        if error is None:
            raise
        name = f"{error.parameter}: " if error.parameter else ""
        say(f"leeward: {name}{error.detail}")
        if error.expected:
            say(f"  expected: {error.expected}")
        raise typer.Exit(2 if isinstance(error, WRONG_USAGE) else 1) from None


def _plain(error: Exception) -> LeewardError | None:
    """The domain error that an error comes to; None when it is a fault of the program."""
    if isinstance(error, LeewardError):
        return error
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Unavailable(f"{where}{error.strerror or error}")
    from layers.database import AWAY, refusal

    return Unavailable(f"the database is away: {refusal(error)}") if isinstance(error, AWAY) else None
