"""Bring a database up to date: migrations forward, then the tables of the definitions."""

from __future__ import annotations

import re
from pathlib import Path

from layers.catalog import catalog
from layers.cluster import MINIMUM_POSTGIS, MINIMUM_VERSION
from layers.database import ANONYMOUS, Cursor, DatabaseError, one, refusal, rows, sql, statement, transaction
from layers.errors import Unavailable
from layers.tables import synchronise

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_305_105_273


def migrate(url: str) -> list[str]:
    """The migrations and layers that were brought up to date; safe to call at every start, by many at once."""
    with transaction(url) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        cursor.execute("SET LOCAL client_min_messages = warning")
        _check_versions(cursor)
        _make_role(cursor)
        done = _apply_migrations(cursor)
        done += synchronise(cursor, catalog())
        return done


def _check_versions(cursor: Cursor) -> None:
    """Refuse a PostgreSQL or PostGIS that is too old; make the extension when it is not there."""
    if one(cursor, "SELECT current_setting('server_version_num')::int / 10000") < MINIMUM_VERSION:
        version = one(cursor, "SHOW server_version")
        raise Unavailable(f"the database is PostgreSQL {version}", expected=f"PostgreSQL {MINIMUM_VERSION} or newer")
    if not one(cursor, "SELECT 1 FROM pg_extension WHERE extname = 'postgis'"):
        if not one(cursor, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            raise Unavailable("the database has no PostGIS", expected="CREATE EXTENSION postgis, by its administrator")
        cursor.execute("CREATE EXTENSION postgis")
    version = one(cursor, "SELECT extversion FROM pg_extension WHERE extname = 'postgis'")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < MINIMUM_POSTGIS:
        wanted = ".".join(map(str, MINIMUM_POSTGIS))
        raise Unavailable(f"the database has PostGIS {version}", expected=f"PostGIS {wanted} or newer")


def _make_role(cursor: Cursor) -> None:
    """The anonymous role, which may read the released views and nothing else."""
    name = sql.Identifier(ANONYMOUS)
    if not one(cursor, "SELECT 1 FROM pg_roles WHERE rolname = %s", (ANONYMOUS,)):
        if not one(cursor, "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"):
            raise Unavailable(
                f"the database has no role {ANONYMOUS}, and this user may not make one",
                expected=f"by its administrator: CREATE ROLE {ANONYMOUS} NOLOGIN; GRANT {ANONYMOUS} TO this user",
            )
        # roles belong to the whole cluster: another database's migration may make it at the same moment
        cursor.execute(
            sql.SQL(
                "DO $$ BEGIN CREATE ROLE {} NOLOGIN;"
                " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            ).format(name)
        )
    # since PostgreSQL 16 a role's maker is its member and yet may not act as it
    right = "SET" if one(cursor, "SELECT current_setting('server_version_num')::int") >= 160000 else "MEMBER"
    if not one(cursor, "SELECT pg_has_role(current_user, %s, %s)", (ANONYMOUS, right)):
        _grant_role(cursor)


def _grant_role(cursor: Cursor) -> None:
    try:
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(ANONYMOUS)))
    except DatabaseError as error:
        raise Unavailable(
            f"this user may not act as the role {ANONYMOUS}: {refusal(error)}",
            expected=f"by the database's administrator: GRANT {ANONYMOUS} TO this user",
        ) from None


def _apply_migrations(cursor: Cursor) -> list[str]:
    cursor.execute("CREATE SCHEMA IF NOT EXISTS leeward")
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS leeward.migrations"
        " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    applied = {name for (name,) in rows(cursor, "SELECT name FROM leeward.migrations")}
    paths = sorted(MIGRATIONS.glob("*.sql"))
    if newer := applied - {path.stem for path in paths}:
        raise Unavailable(f"the database is newer than this Leeward: it has {', '.join(sorted(newer))}")
    done = []
    for path in paths:
        if path.stem in applied:
            continue
        cursor.execute(statement(path))
        cursor.execute("INSERT INTO leeward.migrations (name) VALUES (%s)", (path.stem,))
        done.append(path.stem)
    name = sql.Identifier(ANONYMOUS)
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA released TO {}").format(name))
    return done
