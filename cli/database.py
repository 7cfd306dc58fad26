"""``leeward db``: the database itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Json, plain_errors, print_json, say

if TYPE_CHECKING:
    from layers.cluster import Cluster

app = typer.Typer(help="Start, stop, migrate, back up and restore the database.", no_args_is_help=True)
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


@contextmanager
def opened() -> Iterator[str]:
    """The URL of the running database, brought up to date."""
    from layers.database import database_url
    from layers.migrate import migrate

    with database_url() as url:
        say_where()
        migrate(url)
        yield url


def say_where() -> None:
    """Say where the embedded database lies when that is not under the home."""
    from layers.cluster import Cluster
    from layers.settings import settings

    if settings().database_url is None and (sentence := Cluster(settings().home).elsewhere()):
        say(sentence)


def _embedded() -> Cluster:
    from layers.cluster import Cluster
    from layers.errors import InvalidValue
    from layers.settings import settings

    if settings().database_url is not None:
        raise InvalidValue(
            "LEEWARD_DATABASE_URL names a database of its own", expected="start and stop that with its own tools"
        )
    return Cluster(settings().home)


@app.command()
def start() -> None:
    """Start the embedded PostGIS and leave it running."""
    with plain_errors():
        from layers.migrate import migrate

        cluster = _embedded()
        with cluster.running(keep=True) as url:
            migrate(url)
        say_where()
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
        from layers.settings import settings

        configured = settings().database_url
        print(configured if configured is not None else _embedded().url)


@app.command(name="migrate")
def migrate_command(as_json: Json = False) -> None:
    """Bring the database up to date with the migrations and the layer definitions."""
    with plain_errors():
        from layers.database import database_url
        from layers.migrate import migrate

        with database_url() as address:
            say_where()
            done = migrate(address)
        if as_json:
            print_json({"done": done})
        else:
            print("\n".join(done) if done else "up to date")


@app.command()
def backup(file: Path, force: Force = False) -> None:
    """Write the database (not the rasters) to a file in pg_dump's custom format."""
    with plain_errors():
        from layers.backup import write_backup

        with opened() as address:
            write_backup(address, file, force=force)
        print(file)


@app.command()
def restore(file: Path, force: Force = False) -> None:
    """Restore a backup: all of it or nothing; a database that holds data is left alone without --force."""
    with plain_errors():
        from layers.backup import restore_backup

        with opened() as address:
            restore_backup(address, file, force=force)
        print(f"restored from {file}")
