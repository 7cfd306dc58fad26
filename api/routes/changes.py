"""The change log, in pages and as it grows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter
from fastapi import Query as QueryParameters
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.access import InView
from api.context import InContext, View
from api.parameters import Query
from layers import changes as log
from layers.changes import PAGE_AT_MOST, Feed
from layers.errors import InvalidValue, Unavailable
from layers.features import LARGEST

router = APIRouter(tags=["Changes"])
PING_S = 15.0
AGAIN_S = 1.0
STREAM_PAGE = 200


class ChangesQuery(Query):
    """Which part of the log is asked for."""

    since: Annotated[int, Field(ge=0, le=LARGEST, description="The last version that is known already")] = 0
    limit: Annotated[int, Field(ge=1, le=PAGE_AT_MOST, description="Changes at most")] = 100
    layer: Annotated[str | None, Field(max_length=60, description="Only changes of this layer")] = None


class EventsQuery(Query):
    """From where the events go on."""

    since: Annotated[
        int | None, Field(ge=0, le=LARGEST, description="The last version known already; else from now on")
    ] = None


@router.get("/changes", summary="The change log")
def changes(context: InView, query: Annotated[ChangesQuery, QueryParameters()]) -> Response:
    """What was written since a version, in the order in which it was committed: `since` of the next page is the last.

    In public it tells of public rows only, and no authors.
    """
    if query.layer is not None:
        context.catalog[query.layer]
    latest = log.latest(context.readers)
    found = log.page(context.readers, query.since, query.limit, query.layer)
    told = {"changes": found, "latest": max([latest, *(one["version"] for one in found)])}
    return Response(orjson.dumps(told), media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get("/events", summary="The change log as it grows", responses={200: {"content": {"text/event-stream": {}}}})
async def events(
    request: Request, context: InContext, view: InView, query: Annotated[EventsQuery, QueryParameters()]
) -> Response:
    """Server-sent events, one a change; `Last-Event-ID` goes on where a lost connection ended."""
    since = query.since
    given = request.headers.get("last-event-id")
    if given is not None:
        if not (given.isascii() and given.isdecimal() and len(given) < 19):
            raise InvalidValue("Last-Event-ID is no version", parameter="Last-Event-ID", expected="an id of an event")
        since = int(given)
    if since is None:
        since = await context.run(log.latest, view.readers)
    stream = _stream(context, view, context.feed, since)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(context: InContext, view: View, feed: Feed, since: int) -> AsyncIterator[bytes]:
    """The events after a version: what the log holds is read again at each wake, so a lost message loses nothing."""
    yield f"retry: 2000\nid: {since}\nevent: ready\ndata: {{}}\n\n".encode()
    with feed.waking() as awake:
        while not feed.stopped:
            awake.clear()
            try:
                page = await context.run(log.page, view.readers, since, STREAM_PAGE)
            except Unavailable:  # the stream goes on when the database is back
                await asyncio.sleep(AGAIN_S)
                continue
            for change in page:
                since = change["version"]
                yield _event(since, change)
            if len(page) == STREAM_PAGE:
                continue
            try:
                await asyncio.wait_for(awake.wait(), PING_S)
            except TimeoutError:
                yield b": still here\n\n"


def _event(version: int, change: dict[str, Any]) -> bytes:
    return f"id: {version}\nevent: change\ndata: ".encode() + orjson.dumps(change) + b"\n\n"
