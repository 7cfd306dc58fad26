"""Writes that are done once, however often they are sent: the answers to requests with an Idempotency-Key."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from layers.database import Cursor, rows
from layers.errors import Conflict

CLAIM = """
INSERT INTO leeward.requests AS r (author, key, request) VALUES (%s, %s, %s)
ON CONFLICT (author, key) DO UPDATE
SET request = EXCLUDED.request, status = NULL, body = NULL, headers = NULL, received_at = now()
WHERE r.received_at < now() - interval '24 hours'
"""


@dataclass(frozen=True)
class Answer:
    """What was answered to a write."""

    status: int
    body: str
    headers: dict[str, str]


def once(cursor: Cursor, author: str, key: str | None, request: bytes, act: Callable[[], Answer]) -> Answer:
    """What an act answers; when the author has sent the same key within 24 hours, what was answered then.

    Parameters
    ----------
    cursor : Cursor
        In the transaction of the act: both are kept, or neither.
    key : str, optional
        The Idempotency-Key; without it the act is done.
    request : bytes
        A digest of the request.

    Raises
    ------
    Conflict
        When the key was sent with another request.

    Notes
    -----
    A second request with the key waits for the first to end: the row of the key is written first.
    """
    if key is None:
        return act()
    if request[0] < 4:  # of 64 writes one tidies up
        cursor.execute("DELETE FROM leeward.requests WHERE received_at < now() - interval '24 hours'")
    cursor.execute(CLAIM, (author, key, request))
    if cursor.rowcount == 0:
        query = "SELECT request, status, body, headers FROM leeward.requests WHERE author = %s AND key = %s"
        ((before, status, body, headers),) = rows(cursor, query, (author, key))
        if bytes(before) != request:
            raise Conflict(
                "the Idempotency-Key was sent before with another request",
                parameter="Idempotency-Key",
                expected="a new key for a new request",
            )
        return Answer(status, body, headers)
    answer = act()
    cursor.execute(
        "UPDATE leeward.requests SET status = %s, body = %s, headers = %s WHERE author = %s AND key = %s",
        (answer.status, answer.body, json.dumps(answer.headers), author, key),
    )
    return answer
