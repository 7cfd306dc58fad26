"""The application: routes, errors, headers, and the pool of readers that lives as long as it does."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

from api import errors, openapi
from api.context import Context
from api.fast import FastPath
from api.routes import (
    changes,
    collections,
    editing,
    export,
    imports,
    nearest,
    processes,
    rasters,
    search,
    service,
    session,
    tiles,
    tilesets,
    web,
)
from api.sign_in import SignIn
from layers.cluster import Cluster
from layers.settings import settings

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "parameter": {"type": "string", "description": "The parameter at fault"},
        "expected": {"type": "string", "description": "What would be right"},
    },
    "example": {
        "type": "/problems/invalid-value",
        "title": "A value is not valid",
        "status": 400,
        "detail": "lat must lie in -90…90: are longitude and latitude swapped?",
        "parameter": "lat",
        "expected": "degrees north, WGS 84",
    },
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {errors.MEDIA_TYPE: {"schema": PROBLEM}}}
    for status, words in (
        (400, "A parameter is wrong"),
        (401, "Signing in is needed, or a token is wrong"),
        (403, "The role may not do this"),
        (404, "There is nothing here"),
        (409, "It cannot be done as things stand"),
        (412, "Somebody else has written in the meantime; both states are told"),
        (422, "A feature is not valid, or a step cannot be taken"),
        (428, "If-Match is missing"),
        (503, "The database is away or the queue is full; see Retry-After"),
    )
}


class Service(FastAPI):
    """FastAPI behind the fast path, which also gives every answer its headers."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.as_3_0(super().openapi())
        return self.openapi_schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the fast path, or hand on to FastAPI."""
        await self.state.fast(scope, receive, send)


def create_app(url: str) -> FastAPI:
    """The application on a database.

    Parameters
    ----------
    url : str
        The database, brought up to date with ``layers.migrate``. It is first asked when a request comes, so the
        service starts, and says that it is not ready, while the database is away.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.context = Context(url)
        _before_the_end(app.state.context.feed.stop)
        try:
            yield
        finally:
            app.state.context.close()

    app = Service(
        title="Leeward",
        description="A hazard and shelter mapping service",
        version=service.release(),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=REFUSALS,
    )
    app.state.fast = FastPath(partial(FastAPI.__call__, app), lambda: app.state.context, _headers())
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=1)
    app.state.sign_in = SignIn()
    errors.install(app)
    routes = (service, session, collections, editing, imports, export, changes, tiles, tilesets, rasters)
    for module in (*routes, nearest, processes, search, web):
        app.include_router(module.router)
    return app


def _before_the_end(act: Callable[[], None]) -> None:
    """Act when the server is told to end: it waits for open streams, which do not end by themselves."""
    if threading.current_thread() is not threading.main_thread():
        return

    def wrap(then: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            act()
            then(number, frame)

        return handle

    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, wrap(before))


def app_from_environment() -> FastAPI:
    """The application for a server's worker: on LEEWARD_SERVED_DATABASE_URL, else the usual database."""
    configured = settings().served_database_url or settings().database_url
    app = create_app(configured or Cluster(settings().home).url)
    # what is there now stays for as long as the process: to look through it again and again for garbage took a fifth of
    # the time of a short answer
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    return app


def _headers() -> list[tuple[bytes, bytes]]:
    """What every answer says to browsers."""
    basemap = _basemap_host()
    policy = {
        "default-src": "'self'",
        "script-src": "'self'",
        "worker-src": "'self' blob:",
        "child-src": "blob:",
        "img-src": f"'self' data: blob:{basemap}",
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self' data:",
        "connect-src": f"'self'{basemap}",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    text = "; ".join(f"{name} {value}" for name, value in policy.items())
    return [
        (b"content-security-policy", text.encode("latin-1")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]


def _basemap_host() -> str:
    """The basemap's host as a source of the policy, with a space before it; nothing when there is none."""
    basemap = settings().checked_basemap()
    if basemap is None:
        return ""
    parts = urlsplit(str(basemap["url"]))
    host = parts.netloc
    if "{" in host:  # one of several hosts, such as t{s}.example.org
        host = "*." + host.split(".", 1)[1]
    return f" {parts.scheme}://{host}"
