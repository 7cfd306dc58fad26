"""Databases for measures, beside the service's, and gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from layers import pyramid
from layers.catalog import catalog
from layers.database import Cursor, rows, sql, transaction
from layers.history import table as history_table
from layers.migrate import migrate
from layers.tables import table


@contextmanager
def scratch(url: str, name: str = "leeward_bench_scratch") -> Iterator[str]:
    """The URL of a new migrated database beside the service's, gone afterwards."""
    execute(url, f"DROP DATABASE IF EXISTS {name}")
    execute(url, f"CREATE DATABASE {name}")
    bench = psycopg2.extensions.make_dsn(url, dbname=name)
    try:
        migrate(bench)
        yield bench
    finally:
        execute(url, f"DROP DATABASE IF EXISTS {name}")


def execute(url: str, query: str) -> None:
    """Execute a statement outside of a transaction."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
    finally:
        connection.close()


def empty(cursor: Cursor, layer: str) -> None:
    """Take away a layer's rows, their history and sums at once; its triggers, which refuse that, are off meanwhile."""
    definition = catalog()[layer]
    if pyramid.has_pyramid(definition):
        cursor.execute(sql.SQL("TRUNCATE {}").format(pyramid.table(definition)))
    for query in (
        "ALTER TABLE {layer} DISABLE TRIGGER USER",
        "TRUNCATE {layer}, {history}",
        "ALTER TABLE {layer} ENABLE TRIGGER USER",
    ):
        cursor.execute(sql.SQL(query).format(layer=table(definition), history=history_table(definition)))


def without_history(url: str) -> None:
    """Make a database one that keeps no history and no log: layers without triggers, and without numbers of changes."""
    query = """
        SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relnamespace = 'layers'::regnamespace AND NOT tgisinternal
    """
    with transaction(url) as cursor:
        for trigger, layer in rows(cursor, query):
            drop = "DROP TRIGGER {} ON {}"
            cursor.execute(sql.SQL(drop).format(sql.Identifier(trigger), sql.Identifier("layers", layer)))
        for definition in catalog().values():
            alter = "ALTER TABLE {} ALTER COLUMN change SET DEFAULT 0"
            cursor.execute(sql.SQL(alter).format(table(definition)))
