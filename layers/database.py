"""Connections to PostgreSQL: the only importer of psycopg2.

Three kinds: ``transaction`` for imports and upkeep (the owner's role); ``Readers``, a bounded pool whose connections
read in a scope: as the role that may read the views of one schema and nothing else; and ``Writers``, a bounded pool
that acts as the service's role, which may write rows of layers, but neither their history nor the log: triggers do.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import io
import logging
import queue
import re
import select
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2 import sql
from psycopg2.extras import execute_values

from layers.cluster import Cluster
from layers.errors import Conflict, InvalidValue, LeewardError, StoreFailed, Unavailable
from layers.settings import settings

log = logging.getLogger("leeward")

__all__ = [
    "ANONYMOUS", "ASKER", "AWAY", "INTERNAL", "INTERNAL_THEN", "MEMBER", "RELEASED", "RELEASED_THEN",
    "SERVICE", "Asker", "Connection", "Cursor", "DatabaseError", "Heard", "LoopReaders", "Pool", "Readers", "Scope",
    "Writers", "copy_rows", "database_url", "execute_values", "look_back", "notifications", "one", "prepared_rows",
    "refusal", "rows", "sign", "sql", "statement", "transaction", "without_password",
]  # fmt: skip

Connection: TypeAlias = psycopg2.extensions.connection
Cursor: TypeAlias = psycopg2.extensions.cursor
DatabaseError = psycopg2.Error
ANONYMOUS = "leeward_anonymous"
MEMBER = "leeward_member"
SERVICE = "leeward_service"
ROLES = {
    ANONYMOUS: "reads the public fields of public rows",
    MEMBER: "reads every field of every row",
    SERVICE: "writes rows of layers",
}
AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError)
BAD_VALUE = (psycopg2.DataError, psycopg2.errors.UntranslatableCharacter)
LOST_RACES = (
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.LockNotAvailable,
)
LOOK_BACK = """
SELECT set_config('leeward.then_top', top::text, false), set_config('leeward.then_late', late::text, false),
       set_config('leeward.then_low', least(top, (SELECT min(number) FROM unnest(late) AS number))::text, false),
       set_config('leeward.then_moment', {}, false)
FROM {}(%s)
"""
LINES = r"COPY ({}) TO STDOUT (FORMAT csv, DELIMITER E'\x1f', QUOTE E'\x1e')"
PREPARED_AT_MOST = 200
BEAT_S = 2.0
Heard = Literal["message", "beat", "lost"]
SIGNS = "in a password, @ is written %40, : %3A, / %2F, # %23, % %25"
Query: TypeAlias = str | sql.Composable


@dataclass(frozen=True)
class Scope:
    """What a reader may see: the views of one schema, as one role.

    Parameters
    ----------
    schema : str
        The schema of the views.
    role : str
        The role that may read them.
    public : bool
        Whether it is what anyone may see.
    then : bool
        Whether the views show what was recorded at an earlier moment.
    """

    schema: str
    role: str
    public: bool
    then: bool = False

    @property
    def past(self) -> str:
        """The schema of the views of what was replaced or deleted."""
        return "released_past" if self.public else "internal_past"

    @property
    def pyramid(self) -> str:
        """The schema of the views of counts by cell."""
        return "released_pyramid" if self.public else "internal_pyramid"


RELEASED = Scope("released", ANONYMOUS, public=True)
INTERNAL = Scope("internal", MEMBER, public=False)
RELEASED_THEN = Scope("released_then", ANONYMOUS, public=True, then=True)
INTERNAL_THEN = Scope("internal_then", MEMBER, public=False, then=True)


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
        return psycopg2.connect(
            url, connect_timeout=5, application_name="leeward", options=options, connection_factory=Reader, **further
        )
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
def transaction(url: str, author: str | None = None, reason: str | None = None) -> Iterator[Cursor]:
    """A cursor of the owner's role in one transaction: committed at the end, rolled back on any error.

    Parameters
    ----------
    author, reason : str, optional
        Who writes, and why, for the change log; without an author: the database's user.
    """
    connection = connect(url, options="-c jit=off -c timezone=UTC")
    try:
        with connection, connection.cursor() as cursor:
            if author is not None:
                sign(cursor, author, reason)
            yield cursor
    except psycopg2.errors.InsufficientPrivilege as error:
        raise Unavailable(f"the database's user may not do this: {refusal(error)}") from error
    finally:
        connection.close()


def sign(
    cursor: Cursor, author: str, reason: str | None = None, import_id: int | None = None, before: str = ""
) -> None:  # fmt: skip
    """Say for the change log who writes in the cursor's transaction, and why; with what goes before, in one trip."""
    cursor.execute(
        f"{before}SELECT set_config('leeward.author', %s, true), set_config('leeward.reason', %s, true),"
        " set_config('leeward.import_id', %s, true)",
        (author, reason or "", "" if import_id is None else str(import_id)),
    )


class Asker:
    """Somebody who waits for answers of the database, and may go away before they come.

    Within ``asking`` the connections of pools are held in the asker's name, so that ``leave`` ends their queries.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[Connection] = set()
        self.left = False

    def leave(self) -> None:
        """End what is under way; connects to the database, and so waits for it."""
        with self._lock:
            self.left = True
            for connection in self._held:
                connection.cancel()

    def hold(self, connection: Connection) -> None:
        """Ask on a connection.

        Raises
        ------
        Unavailable
            When the asker has gone away.
        """
        with self._lock:
            if self.left:
                raise Unavailable("who asked has gone away")
            self._held.add(connection)

    def release(self, connection: Connection) -> None:
        """Ask on a connection no more; one whose query was to be ended is closed, since the end may still come."""
        with self._lock:
            self._held.discard(connection)
            if self.left:
                connection.close()


ASKER: ContextVar[Asker | None] = ContextVar("asker", default=None)


class Reader(Connection):  # type: ignore[misc]  # psycopg2 ships no types
    """A connection that knows which statements it has prepared, by text."""

    def __init__(self, dsn: str, *options: Any, **further: Any) -> None:
        super().__init__(dsn, *options, **further)
        self.prepared: dict[str, str] = {}


def _conflict(error: psycopg2.IntegrityError) -> LeewardError:
    """What a constraint of the database refuses, in words."""
    if isinstance(error, psycopg2.errors.ForeignKeyViolation):
        return Conflict("another row points to the item, or it points to one that is not there")
    if isinstance(error, psycopg2.errors.UniqueViolation):
        return Conflict("there is an item with the same key already", expected="another key, or an edit of that item")
    return InvalidValue(f"the database refuses a value: {refusal(error)}")


class Pool:
    """A bounded pool of connections that act as one role.

    Parameters
    ----------
    url : str
        The database.
    role : str
        The role as which the connections act.
    size : int
        Connections at most.
    deadline_s : float
        How long a caller waits for a free one before Unavailable.
    """

    read_only = True

    def __init__(self, url: str, role: str, *, size: int, deadline_s: float = 5.0, timeout_ms: int = 15_000) -> None:
        self.url = url
        self.deadline_s = deadline_s
        # without workers in parallel: to start them takes longer than most answers
        self._options = (
            f"-c role={role} -c default_transaction_read_only={'on' if self.read_only else 'off'} -c jit=off"
            f" -c timezone=UTC -c statement_timeout={timeout_ms} -c idle_in_transaction_session_timeout=60000"
            " -c extra_float_digits=1 -c max_parallel_workers_per_gather=0"
        )
        self._free: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A free connection, each statement its own transaction.

        Raises
        ------
        Unavailable
            When none comes free in time, the database is away, or a statement takes too long.
        InvalidValue
            When PostgreSQL cannot read a value that the asker sent.
        """
        asker = ASKER.get() if self.read_only else None
        try:
            connection = self._free.get(timeout=self.deadline_s)
        except queue.Empty:
            raise Unavailable("too many questions at once; the queue is full") from None
        try:
            with self._explained():
                if connection is None or connection.closed:
                    connection = self._connect()
                if asker is not None:
                    asker.hold(connection)
                yield connection
        except AWAY as error:
            if connection is not None:
                connection.close()
            self._forget_free()
            raise self._away(error) from None
        finally:
            if asker is not None and connection is not None:
                asker.release(connection)
            self._free.put(connection if connection is not None and not connection.closed else None)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """PostgreSQL's errors as ours, but for those that say that it is away."""
        try:
            yield
        except psycopg2.errors.QueryCanceled:
            raise Unavailable("the answer took too long to compute") from None
        except psycopg2.errors.UndefinedTable:
            raise Unavailable("the database has not been brought up to date", expected="leeward db migrate") from None
        except psycopg2.errors.InternalError_ as error:
            raise StoreFailed(refusal(error)) from None
        except BAD_VALUE as error:
            raise InvalidValue(f"a value cannot be read: {refusal(error)}") from None
        except psycopg2.IntegrityError as error:
            raise _conflict(error) from None
        except LOST_RACES:
            raise Unavailable("two writers met; nothing was written", expected="the same request again") from None

    def _away(self, error: Exception) -> Unavailable:
        """That the database is away; why is told to the log, and not to who asks."""
        log.warning("the database is away: %s", _without_password(refusal(error), self.url))
        return Unavailable("the database is away")

    def _connect(self) -> Connection:
        """A new connection; why there is none is told to the log, and not to who asks."""
        try:
            connection = connect(self.url, options=self._options)
        except Unavailable as error:
            log.warning("%s", error.detail)
            raise Unavailable("the database is away") from None
        connection.autocommit = True
        return connection

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


class Writers(Pool):
    """A bounded pool of connections in which the service writes, as its own role."""

    read_only = False

    def __init__(self, url: str, *, size: int, deadline_s: float = 5.0, timeout_ms: int = 15_000) -> None:
        super().__init__(url, SERVICE, size=size, deadline_s=deadline_s, timeout_ms=timeout_ms)

    @contextmanager
    def transaction(self, author: str = "leeward", reason: str | None = None) -> Iterator[Cursor]:
        """A cursor in one transaction: committed at the end, rolled back on any error.

        Parameters
        ----------
        author, reason : str
            Who writes, and why, for the change log.
        """
        with self.connection() as connection, connection.cursor() as cursor:
            try:
                sign(cursor, author, reason, before="BEGIN;")
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if not connection.closed:
                    cursor.execute("ROLLBACK")
                raise


class Readers(Pool):
    """A bounded pool of read-only connections for the service, in one scope.

    Parameters
    ----------
    url : str
        The database.
    scope : Scope
        What they may see.
    size, deadline_s, timeout_ms
        As for ``Pool``.
    """

    def __init__(
        self, url: str, scope: Scope = RELEASED, *, size: int, deadline_s: float = 5.0, timeout_ms: int = 15_000
    ) -> None:
        super().__init__(url, scope.role, size=size, deadline_s=deadline_s, timeout_ms=timeout_ms)
        self.scope = scope

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor on a free connection, each statement its own transaction."""
        with self.connection() as connection, connection.cursor() as cursor:
            yield cursor

    def at(self, moment: datetime.datetime) -> Readers:
        """The same connections, reading what was recorded at an earlier moment."""
        return Looking(self, moment)

    def rows(self, query: Query, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._asking(query, values) as cursor:
            return list(cursor.fetchall())

    def one(self, query: Query, values: Mapping[str, Any] | Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        with self._asking(query, values) as cursor:
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    @contextmanager
    def snapshot(self) -> Iterator[Cursor]:
        """A cursor all of whose statements see the same moment."""
        with self.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            try:
                yield cursor
            finally:
                if not cursor.connection.closed:
                    cursor.execute("COMMIT")

    def lines(self, query: sql.Composable, cursor: Cursor | None = None) -> bytes:
        """All rows of a query as UTF-8 lines, each ended by a newline: the quickest way out of the database.

        Parameters
        ----------
        query : sql.Composable
            Its columns are texts without control characters, such as JSON; they are parted by U+001F.
        cursor : Cursor, optional
            Of these readers, such as that of a snapshot; without it, one of its own.
        """
        found = io.BytesIO()
        with nullcontext(cursor) if cursor is not None else self.cursor() as asked:
            asked.copy_expert(sql.SQL(LINES).format(query), found)
        return found.getvalue()

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
        with self._asking(query, values, types) as cursor:
            return list(cursor.fetchall())

    @contextmanager
    def _asking(self, query: Query, values: Any, types: str | None = None) -> Iterator[Cursor]:
        """A cursor with the answer to one query, which is prepared when the types of its values are given."""
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(*_prepared(cursor, query, values, types))
            yield cursor

    def text(self, query: sql.Composable) -> str:
        """The text of a composed query, its names quoted."""
        with self.cursor() as cursor:
            return str(query.as_string(cursor))


class LoopReaders(Readers):
    """The same for an event loop that waits for PostgreSQL itself: no thread is woken for an answer.

    Parameters
    ----------
    url, scope, size, deadline_s, timeout_ms
        As for ``Readers``.
    """

    def __init__(self, url: str, scope: Scope, *, size: int, deadline_s: float = 5.0, timeout_ms: int = 15_000) -> None:
        super().__init__(url, scope, size=0, deadline_s=deadline_s, timeout_ms=timeout_ms)
        self._turn = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    async def answer(self, query: str, values: Sequence[Any], types: str, asker: Asker) -> list[tuple[Any, ...]]:
        """All rows of a query that each connection prepares once and executes from then on (see ``prepared``).

        Raises
        ------
        Unavailable, InvalidValue
            As ``connection``.
        """
        try:
            async with asyncio.timeout(self.deadline_s):
                await self._turn.acquire()
        except TimeoutError:
            raise Unavailable("too many questions at once; the queue is full") from None
        connection: Connection | None = None
        try:
            with self._explained():
                connection = self._idle.pop() if self._idle else await self._connected()
                asker.hold(connection)
                try:
                    rows = await self._answered(connection, query, values, types)
                finally:
                    asker.release(connection)
        except AWAY as error:
            self.close()
            raise self._away(error) from None
        finally:
            self._turn.release()
        if not connection.closed:
            self._idle.append(connection)
        return rows

    async def _answered(
        self, connection: Connection, query: str, values: Sequence[Any], types: str
    ) -> list[tuple[Any, ...]]:  # fmt: skip
        """The rows; a connection on which something went wrong is closed."""
        try:
            with connection.cursor() as cursor:
                for text, given in _preparation(cursor, query, values, types):
                    cursor.execute(text, given)
                    await _ready(connection)
                return list(cursor.fetchall())
        except BaseException:
            connection.close()
            raise

    async def _connected(self) -> Connection:
        parts = f"{_parts(self.url).get('options', '')} {self._options}"
        connection = psycopg2.connect(
            self.url, application_name="leeward", options=parts, connection_factory=Reader, async_=1
        )
        try:
            async with asyncio.timeout(5):
                await _ready(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise Unavailable("the database is away") from None
            raise
        return connection

    def close(self) -> None:
        """Close the connections that are free."""
        while self._idle:
            self._idle.pop().close()


async def _ready(connection: Connection) -> None:
    """Wait until an asynchronous connection has done what it was told to do."""
    loop = asyncio.get_running_loop()
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        done: asyncio.Future[None] = loop.create_future()
        number = connection.fileno()
        reading = state == psycopg2.extensions.POLL_READ
        (loop.add_reader if reading else loop.add_writer)(number, _done, done)
        try:
            await done
        finally:
            (loop.remove_reader if reading else loop.remove_writer)(number)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Looking(Readers):
    """The connections of other readers, looking back to a moment."""

    def __init__(self, readers: Readers, moment: datetime.datetime) -> None:
        self.scope = RELEASED_THEN if readers.scope.public else INTERNAL_THEN
        self._readers = readers
        self._moment = moment

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor on a connection of the other readers that looks back to the moment.

        Which changes were committed then and the rows that they wrote are read in one snapshot: a change that is
        committed in between would be taken for one of that time.
        """
        with self._readers.cursor() as cursor:
            try:
                look_back(cursor, self._moment, "BEGIN ISOLATION LEVEL REPEATABLE READ;")
                yield cursor
            finally:
                if not cursor.connection.closed:
                    cursor.execute("COMMIT")

    @contextmanager
    def _asking(self, query: Query, values: Any, types: str | None = None) -> Iterator[Cursor]:
        """The same for one query, in one trip: statements that are sent together are one transaction."""
        with self._readers.cursor() as cursor:
            text = cursor.mogrify(*_prepared(cursor, query, values, types))
            look_back(cursor, self._moment, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;", f";{text.decode()}")
            yield cursor

    def __hash__(self) -> int:
        return hash((self._readers, self.scope))

    def __eq__(self, other: object) -> bool:
        """Texts of statements are the same whatever the moment."""
        return isinstance(other, Looking) and (self._readers, self.scope) == (other._readers, other.scope)

    def close(self) -> None:
        """The connections belong to the other readers."""


def look_back(cursor: Cursor, when: datetime.datetime | int, before: str = "", after: str = "") -> None:
    """Let the views of schemas ``…_then`` show a moment or a version on this connection.

    Parameters
    ----------
    before, after : str
        Statements that go to the database with it, in one trip.
    """
    function = sql.Identifier("leeward", "snapshot_of" if isinstance(when, int) else "snapshot_at")
    moment = sql.SQL("now()::text") if isinstance(when, int) else sql.Literal(when.isoformat())
    text = cursor.mogrify(sql.SQL(LOOK_BACK).format(moment, function), (when,)).decode()
    cursor.execute(f"{before}{text}{after}")


def _prepared(cursor: Cursor, query: Query, values: Any, types: str | None) -> tuple[Query, Any]:
    """A query and its values; of a query with types, the statement that executes it, prepared."""
    if types is None:
        return query, values or None
    *before, last = _preparation(cursor, str(query), values, types)
    for text, _ in before:
        cursor.execute(text)
    return last


def _preparation(cursor: Cursor, query: str, values: Sequence[Any], types: str) -> Iterator[tuple[str, Any]]:
    """What is to be executed, one after another, for the answer of a query that is prepared on the connection once.

    The statement used longest ago goes when there are too many.
    """
    known: dict[str, str] = cursor.connection.prepared
    name = known.get(query)
    if name is None:
        if len(known) >= PREPARED_AT_MOST:
            yield f"DEALLOCATE {known.pop(next(iter(known)))}", None
        name = "s" + hashlib.blake2b(query.encode(), digest_size=12).hexdigest()
        yield f"PREPARE {name} ({types}) AS {query}", None
    else:
        del known[query]
    known[query] = name
    yield f"EXECUTE {name} ({', '.join(['%s'] * len(values))})", values


def rows(cursor: Cursor, query: Query, values: Any = None) -> list[tuple[Any, ...]]:
    """All rows of a query on a cursor."""
    cursor.execute(query, values)
    return list(cursor.fetchall())


def prepared_rows(cursor: Cursor, query: str, values: Sequence[Any], types: str) -> list[tuple[Any, ...]]:
    """All rows of a query on a cursor of a pool, prepared on its connection (see ``Readers.prepared``)."""
    cursor.execute(*_prepared(cursor, query, values, types))
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


def notifications(url: str, channel: str, stop: threading.Event) -> Iterator[Heard]:
    """Yields when the channel is listened to, with each message, every two seconds without one, and when it is lost.

    Ends within a second of ``stop``.
    """
    while not stop.is_set():
        try:
            connection = connect(url)
        except Unavailable:
            yield "lost"
            stop.wait(0.5)
            continue
        try:
            connection.autocommit = True
            connection.cursor().execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            yield "message"
            beat = time.monotonic()
            while not stop.is_set():
                if select.select([connection], [], [], 0.5)[0]:
                    connection.poll()
                    if connection.notifies:
                        connection.notifies.clear()
                        yield "message"
                        beat = time.monotonic()
                if time.monotonic() - beat >= BEAT_S:
                    yield "beat"
                    beat = time.monotonic()
        except AWAY:
            yield "lost"
            stop.wait(0.2)
        finally:
            connection.close()


@lru_cache(maxsize=64)
def statement(path: Path) -> str:
    """The text of an .sql file."""
    return path.read_text(encoding="utf-8")


def refusal(error: Exception) -> str:
    """What PostgreSQL says is wrong, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
