"""Bring a database up to date: migrations forward, then the tables of the definitions."""

from __future__ import annotations

import re
from pathlib import Path

from layers.catalog import catalog
from layers.cluster import MINIMUM_POSTGIS, MINIMUM_VERSION
from layers.database import ROLES, Cursor, DatabaseError, one, refusal, rows, sql, statement, transaction
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
        _make_roles(cursor)
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


def _make_roles(cursor: Cursor) -> None:
    """The roles as which the service reads and writes."""
    there = {name for (name,) in rows(cursor, "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", (list(ROLES),))}
    missing = [role for role in ROLES if role not in there]
    if missing and not one(cursor, "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"):
        making = " ".join(f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO this user;" for role in missing)
        raise Unavailable(
            f"the database has no role {' and no role '.join(missing)}, and this user may not make one",
            expected=f"by its administrator: {making}",
        )
    for role in missing:
        # roles belong to the whole cluster: another database's migration may make it at the same moment
        cursor.execute(
            sql.SQL(
                "DO $$ BEGIN CREATE ROLE {} NOLOGIN;"
                " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            ).format(sql.Identifier(role))
        )
    # since PostgreSQL 16 a role's maker is its member and yet may not act as it
    right = "SET" if one(cursor, "SELECT current_setting('server_version_num')::int") >= 160000 else "MEMBER"
    lacking = [role for role in ROLES if not one(cursor, "SELECT pg_has_role(current_user, %s, %s)", (role, right))]
    if lacking:
        _grant_roles(cursor, lacking)


def _grant_roles(cursor: Cursor, roles: list[str]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, roles))
    try:
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(names))
    except DatabaseError as error:
        raise Unavailable(
            f"this user may not act as the role {', '.join(roles)}: {refusal(error)}",
            expected=f"by the database's administrator: GRANT {', '.join(roles)} TO this user",
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
    return done
