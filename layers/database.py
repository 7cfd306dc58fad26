"""Connections to PostgreSQL: the only importer of psycopg2.

Two kinds: ``transaction`` for those who write (the owner's role), and ``Readers``, a bounded pool whose connections
act as the anonymous role, read only. That role may read the views of schema ``released`` and nothing else.
"""

from __future__ import annotations

import hashlib
import queue
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2 import sql
from psycopg2.extras import execute_values

from layers.cluster import Cluster
from layers.errors import InvalidValue, StoreFailed, Unavailable
from layers.settings import settings

__all__ = [
    "ANONYMOUS", "AWAY", "Connection", "Cursor", "DatabaseError", "Readers", "copy_rows", "database_url",
    "execute_values", "one", "refusal", "rows", "sql", "statement", "transaction", "without_password",
]  # fmt: skip

Connection: TypeAlias = psycopg2.extensions.connection
Cursor: TypeAlias = psycopg2.extensions.cursor
DatabaseError = psycopg2.Error
ANONYMOUS = "leeward_anonymous"
AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError)
BAD_VALUE = (psycopg2.DataError, psycopg2.errors.UntranslatableCharacter)
PREPARED_AT_MOST = 200
SIGNS = "in a password, @ is written %40, : %3A, / %2F, # %23, % %25"
Query: TypeAlias = str | sql.Composable


@contextmanager
def database_url() -> Iterator[str]:
    """The database's URL: LEEWARD_DATABASE_URL, else the embedded cluster's, which runs inside the block."""
    configured = settings().database_url
    if configured is not None:
        yield configured
        return
    with Cluster(settings().home).running() as url:
        yield url


def connect(url: str, options: str = "", **further: Any) -> Connection:
    """A connection with options besides those of the URL, or Unavailable when the database cannot be reached."""
    options = f"{_parts(url).get('options', '')} {options}"
    try:
        return psycopg2.connect(url, connect_timeout=5, application_name="leeward", options=options, **further)
    except psycopg2.OperationalError as error:
        raise Unavailable(f"the database cannot be reached: {_without_password(refusal(error), url)}") from None


def without_password(url: str) -> tuple[str, str | None]:
    """A connection string for a command line, which everybody on the machine can read; and the password apart."""
    parts = _parts(url)
    password = parts.pop("password", None)
    return psycopg2.extensions.make_dsn(**parts), password


def _parts(url: str) -> dict[str, str]:
    try:
        return dict(psycopg2.extensions.parse_dsn(url))
    except psycopg2.ProgrammingError:
        raise InvalidValue(
            "the database's URL cannot be read",
            parameter="LEEWARD_DATABASE_URL",
            expected=f"postgresql://USER:PASSWORD@HOST:PORT/DATABASE; {SIGNS}",
        ) from None


def _without_password(message: str, url: str) -> str:
    """The message, unless libpq took a part of a password with a bare @ or / for the host, and tells it."""
    if "://" in url and not re.fullmatch(r"\w+://([^@/?#]*@)?[^@]*", url):
        return f"its URL cannot be read; {SIGNS}"
    return message


@contextmanager
def transaction(url: str) -> Iterator[Cursor]:
    """A cursor of the owner's role in one transaction: committed at the end, rolled back on any error."""
    connection = connect(url, options="-c jit=off -c timezone=UTC")
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    except psycopg2.errors.InsufficientPrivilege as error:
        raise Unavailable(f"the database's user may not do this: {refusal(error)}") from error
    finally:
        connection.close()


class Reader(Connection):  # type: ignore[misc]  # psycopg2 ships no types
    """A connection that knows which statements it has prepared, by text."""

    def __init__(self, dsn: str, **options: Any) -> None:
        super().__init__(dsn, **options)
        self.prepared: dict[str, str] = {}


class Readers:
    """A bounded pool of read-only connections for the service.

    Parameters
    ----------
    url : str
        The database.
    size : int
        Connections at most.
    deadline_s : float
        How long a caller waits for a free one before Unavailable.
    """

    def __init__(
        self, url: str, *, size: int, deadline_s: float = 5.0, timeout_ms: int = 15_000, role: str = ANONYMOUS
    ) -> None:
        self.url = url
        self.deadline_s = deadline_s
        self._options = (
            f"-c role={role} -c default_transaction_read_only=on -c jit=off -c timezone=UTC "
            f"-c statement_timeout={timeout_ms} -c idle_in_transaction_session_timeout=60000 -c extra_float_digits=1"
        )
        self._free: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor on a free connection, each statement its own transaction.

        Raises
        ------
        Unavailable
            When none comes free in time, the database is away, or a statement takes too long.
        InvalidValue
            When PostgreSQL cannot read a value that the asker sent.
        """
        try:
            connection = self._free.get(timeout=self.deadline_s)
        except queue.Empty:
            raise Unavailable("too many questions at once; the queue is full") from None
        try:
            if connection is None or connection.closed:
                connection = connect(self.url, options=self._options, connection_factory=Reader)
                connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor
        except psycopg2.errors.QueryCanceled:
            raise Unavailable("the answer took too long to compute") from None
        except psycopg2.errors.UndefinedTable:
            raise Unavailable("the database has not been brought up to date", expected="leeward db migrate") from None
        except psycopg2.errors.InternalError_ as error:
            raise StoreFailed(refusal(error)) from None
        except BAD_VALUE as error:
            raise InvalidValue(f"a value cannot be read: {refusal(error)}") from None
        except AWAY as error:
            if connection is not None:
                connection.close()
            self._forget_free()
            raise Unavailable(f"the database is away: {refusal(error)}") from None
        finally:
            self._free.put(connection if connection is not None and not connection.closed else None)

    def rows(self, query: Query, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

    def one(self, query: Query, values: Mapping[str, Any] | Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        with self.cursor() as cursor:
            cursor.execute(query, values or None)
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    def prepared(self, query: str, values: Sequence[Any], types: str) -> list[tuple[Any, ...]]:
        """All rows of a query that each connection prepares once and executes from then on.

        Parameters
        ----------
        query : str
            The text, with ``$1``, ``$2`` … for the values.
        values : sequence
            One for each parameter.
        types : str
            The parameters' PostgreSQL types, separated by commas.
        """
        with self.cursor() as cursor:
            name = _prepare(cursor, query, types)
            cursor.execute(f"EXECUTE {name} ({', '.join(['%s'] * len(values))})", values)
            return list(cursor.fetchall())

    def text(self, query: sql.Composable) -> str:
        """The text of a composed query, its names quoted."""
        with self.cursor() as cursor:
            return str(query.as_string(cursor))

    def close(self) -> None:
        """Close the connections that are free."""
        self._forget_free()

    def _forget_free(self) -> None:
        """Close the connections that are free: when one has broken, the others have broken as well."""
        taken = []
        while True:
            try:
                taken.append(self._free.get_nowait())
            except queue.Empty:
                break
        for connection in taken:
            if connection is not None:
                connection.close()
            self._free.put(None)


def _prepare(cursor: Cursor, query: str, types: str) -> str:
    """The name of the statement on the cursor's connection; the oldest goes when there are too many."""
    known: dict[str, str] = cursor.connection.prepared
    if query not in known:
        if len(known) >= PREPARED_AT_MOST:
            cursor.execute(f"DEALLOCATE {known.pop(next(iter(known)))}")
        name = "s" + hashlib.blake2b(query.encode(), digest_size=12).hexdigest()
        cursor.execute(f"PREPARE {name} ({types}) AS {query}")
        known[query] = name
    return known[query]


def rows(cursor: Cursor, query: Query, values: Any = None) -> list[tuple[Any, ...]]:
    """All rows of a query on a cursor."""
    cursor.execute(query, values)
    return list(cursor.fetchall())


def one(cursor: Cursor, query: Query, values: Any = None) -> Any:
    """The first column of the first row of a query on a cursor; None when there is no row."""
    cursor.execute(query, values)
    row = cursor.fetchone()
    return row[0] if row else None


def is_unique(cursor: Cursor, make_index: sql.Composable) -> bool:
    """Whether a unique index can be made; it is there then, and else nothing has happened."""
    cursor.execute("SAVEPOINT unique_index")
    try:
        cursor.execute(make_index)
    except psycopg2.errors.UniqueViolation:
        cursor.execute("ROLLBACK TO SAVEPOINT unique_index")
        return False
    return True


def copy_rows(cursor: Cursor, target: sql.Composable, columns: Sequence[str], file: Any) -> None:
    """COPY a CSV file (UTF-8, empty means NULL, quoted empty means an empty text) into a table."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv, NULL '')").format(target, names)
    cursor.copy_expert(query, file, size=1 << 20)


@lru_cache(maxsize=64)
def statement(path: Path) -> str:
    """The text of an .sql file."""
    return path.read_text(encoding="utf-8")


def refusal(error: Exception) -> str:
    """What PostgreSQL says is wrong, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
