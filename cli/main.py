"""``leeward VERB``."""

from __future__ import annotations

import typer

from cli import data, database, questions, service

app = typer.Typer(
    name="leeward",
    help="Leeward: a hazard and shelter mapping service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(database.app, name="db")
for module in (data, questions, service):
    module.register(app)


def main() -> None:
    """Run the command line."""
    app()
