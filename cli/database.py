"""``leeward db``: the database itself."""

from __future__ import annotations

import typer

from cli.output import errors, plain_errors
from layers.cluster import Cluster
from layers.database import database_url
from layers.errors import InvalidValue
from layers.migrate import migrate
from layers.settings import settings

app = typer.Typer(help="Start, stop and migrate the database.", no_args_is_help=True)


def _embedded() -> Cluster:
    if settings().database_url is not None:
        raise InvalidValue(
            "LEEWARD_DATABASE_URL names a database of its own", expected="start and stop that with its own tools"
        )
    return Cluster(settings().home)


@app.command()
def start() -> None:
    """Start the embedded PostGIS and leave it running."""
    with plain_errors():
        cluster = _embedded()
        with cluster.running(keep=True) as url:
            migrate(url)
        if sentence := cluster.elsewhere():
            errors.print(sentence, markup=False)
        print(cluster.url)


@app.command()
def stop() -> None:
    """Stop the embedded PostGIS."""
    with plain_errors():
        print("stopped" if _embedded().stop() else "was not running")


@app.command()
def url() -> None:
    """Print the database's URL."""
    with plain_errors():
        configured = settings().database_url
        print(configured if configured is not None else Cluster(settings().home).url)


@app.command(name="migrate")
def migrate_command() -> None:
    """Bring the database up to date with the migrations and the layer definitions."""
    with plain_errors(), database_url() as address:
        done = migrate(address)
        print("\n".join(done) if done else "up to date")
