"""``leeward VERB``."""

from __future__ import annotations

import signal
from types import FrameType

import typer

from cli import accounts, data, database, exporting, questions, service

app = typer.Typer(
    name="leeward",
    help="Leeward: a hazard and shelter mapping service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(database.app, name="db")
app.add_typer(accounts.app, name="user")
for module in (data, exporting, questions, service):
    module.register(app)


def main() -> None:
    """Run the command line."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(name) is signal.SIG_DFL:  # nohup ignores SIGHUP: so it stays
            signal.signal(name, _end)
    app()


def _end(number: int, _: FrameType | None) -> None:
    """End as on Ctrl-C: what was started is stopped on the way out."""
    raise SystemExit(128 + number)
