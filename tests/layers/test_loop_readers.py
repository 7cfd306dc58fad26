"""Questions that an event loop waits for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from layers.database import RELEASED, Asker, LoopReaders, transaction
from layers.errors import InvalidValue, Unavailable
from tests.conftest import finished

Act = Callable[[LoopReaders], Awaitable[Any]]


def run(url: str, act: Act, **given: Any) -> Any:
    """What an act answers, on connections of its own, in a loop of its own."""

    async def whole() -> Any:
        readers = LoopReaders(url, RELEASED, size=2, **given)
        try:
            return await act(readers)
        finally:
            readers.close()

    return finished(whole())


async def ask(readers: LoopReaders, query: str, *values: Any, types: str = "int", asker: Asker | None = None) -> Any:
    return (await readers.answer(query, values, types, asker or Asker()))[0][0]


def test_answers_are_those_of_the_database_as_the_public_sees_it(module_database: str) -> None:
    async def act(readers: LoopReaders) -> Any:
        double = [await ask(readers, "SELECT 2 * $1", number) for number in range(5)]
        return double, await ask(readers, "SELECT current_user::text || $1", 1)

    assert run(module_database, act) == ([0, 2, 4, 6, 8], "leeward_anonymous1")


def test_more_askers_than_connections(module_database: str) -> None:
    async def act(readers: LoopReaders) -> Any:
        return await asyncio.gather(*(ask(readers, "SELECT $1 FROM pg_sleep(0.01)", n) for n in range(20)))

    assert run(module_database, act) == list(range(20))


def test_who_waits_too_long_for_a_connection_is_told(module_database: str) -> None:
    async def act(readers: LoopReaders) -> Any:
        slow = [asyncio.create_task(ask(readers, "SELECT $1 FROM pg_sleep(1)", n)) for n in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable, match="queue is full"):
            await ask(readers, "SELECT $1", 1)
        return await asyncio.gather(*slow)

    assert run(module_database, act, deadline_s=0.2) == [0, 1]


def test_what_takes_too_long_is_ended_and_the_next_one_answered(module_database: str) -> None:
    async def act(readers: LoopReaders) -> Any:
        with pytest.raises(Unavailable, match="took too long"):
            await ask(readers, "SELECT $1 FROM pg_sleep(5)", 1)
        return await ask(readers, "SELECT $1", 7)

    assert run(module_database, act, timeout_ms=100) == 7


def test_a_value_that_cannot_be_read_is_refused(module_database: str) -> None:
    async def act(readers: LoopReaders) -> Any:
        with pytest.raises(InvalidValue):
            await ask(readers, "SELECT $1", "no number")
        return await ask(readers, "SELECT $1", 7)

    assert run(module_database, act) == 7


def test_who_goes_away_ends_the_query(module_database: str) -> None:
    async def act(readers: LoopReaders) -> Any:
        asker = Asker()
        task = asyncio.create_task(ask(readers, "SELECT $1 FROM pg_sleep(30)", 1, asker=asker))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(asker.leave)
        with pytest.raises(Unavailable):
            await task
        return await ask(readers, "SELECT $1", 7)

    assert run(module_database, act) == 7


def test_a_broken_connection_is_replaced(module_database: str) -> None:
    async def act(readers: LoopReaders) -> Any:
        number = await ask(readers, "SELECT pg_backend_pid() + $1", 0)
        with transaction(module_database) as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", (number,))
        await asyncio.sleep(0.1)
        with pytest.raises(Unavailable, match="away"):
            await ask(readers, "SELECT $1", 1)
        return await ask(readers, "SELECT $1", 7)

    assert run(module_database, act) == 7


def test_a_database_that_is_not_there(module_database: str) -> None:
    async def act(readers: LoopReaders) -> Any:
        with pytest.raises(Unavailable, match="away"):
            await ask(readers, "SELECT $1", 1)

    run(module_database.replace("host=/", "host=/nowhere/"), act)
