"""Backups: the store's schemas in pg_dump's custom format, and back."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from layers.catalog import catalog
from layers.cluster import newest_programs
from layers.database import one, rows, sql, transaction, without_password
from layers.errors import InvalidValue, Unavailable
from layers.migrate import migrate
from layers.tables import is_empty

SCHEMAS = (
    "leeward",
    "layers",
    "history",
    "released",
    "internal",
    "released_then",
    "internal_then",
    "released_past",
    "internal_past",
    "pyramid",
    "released_pyramid",
    "internal_pyramid",
)
IN_EVERY_BACKUP = SCHEMAS[:9]
"""Schemas that are in the oldest backups too; the others are made when a backup is brought up to date."""


def write_backup(url: str, path: Path, *, force: bool = False) -> None:
    """Write a backup of the database, readable by its owner alone; the file is there when it is whole.

    Parameters
    ----------
    force : bool
        Replace a file that is there.
    """
    if path.exists() and not force:
        raise InvalidValue(f"{path} is there", parameter="file", expected="another name, or --force")
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            schemas = [f"--schema={name}" for name in SCHEMAS]
            _run(["pg_dump", "--format=custom", "--no-owner", *schemas], url, stdout=file)
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def restore_backup(url: str, path: Path, *, force: bool = False) -> None:
    """Put a backup in the place of what the database holds, in one transaction, and bring it up to date.

    Parameters
    ----------
    force : bool
        Also when the database holds rows: they are gone then.
    """
    if not path.is_file():
        raise InvalidValue(f"there is no file {path}", parameter="file")
    if not force and (layer := _layer_with_rows(url)):
        raise InvalidValue(f"the database holds rows, of {layer} for one", expected="an empty database, or --force")
    if not all(f" SCHEMA - {name} " in _listing(path) for name in IN_EVERY_BACKUP):
        raise InvalidValue(f"{path} is no backup of Leeward", parameter="file", expected="a file of leeward db backup")
    drop = "".join(f"DROP SCHEMA IF EXISTS {name} CASCADE;\n" for name in SCHEMAS)
    with tempfile.TemporaryFile() as script:
        script.write(f"SET client_min_messages = warning;\n{drop}".encode())
        script.flush()
        _run(["pg_restore", "--no-owner", "--file=-", str(path)], stdout=script)
        script.seek(0)
        single = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "--output=/dev/null"]
        _run(single, url, stdin=script)
    migrate(url)


def _layer_with_rows(url: str) -> str | None:
    with transaction(url) as cursor:
        made = {layer for (layer,) in rows(cursor, "SELECT id FROM leeward.layers")}
        full = [d.id for d in catalog().values() if d.id in made and not is_empty(cursor, d)]
        gone = [
            layer
            for layer in made - set(catalog())
            if one(cursor, sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier("layers", layer)))
        ]
    return next(iter([*full, *gone]), None)


def _listing(path: Path) -> str:
    with tempfile.TemporaryFile("w+") as file:
        try:
            _run(["pg_restore", "--list", str(path)], stdout=file)
        except Unavailable as error:
            raise InvalidValue(f"{path} is no backup: {error.detail}", parameter="file") from None
        file.seek(0)
        return file.read()


def _run(command: list[str], url: str = "", **files: Any) -> None:
    """Run one of PostgreSQL's programs, on a database when there is one."""
    program, *options = command
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    if url:
        target, password = without_password(url)
        options.append(f"--dbname={target}")
        environment |= {"PGPASSWORD": password} if password else {}
    command = [str(newest_programs() / program), *options]
    done = subprocess.run(command, stderr=subprocess.PIPE, env=environment, check=False, **files)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise Unavailable(f"{program} failed: {lines[-1] if lines else done.returncode}")
