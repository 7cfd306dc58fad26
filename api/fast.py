"""The way ahead of FastAPI: tiles and nearest answered with few steps, and what every answer has in common."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import rasters, tiles
from api.access import bears_credentials, identify, view_of
from api.cache import Cache, Entry
from api.context import Context, View
from api.errors import problem_of
from api.parameters import given_in, moment_of, unknown_parameter
from api.routes import nearest
from layers.errors import NotFound, Unavailable
from layers.rasters import rasters as all_rasters
from layers.settings import settings

TILE_CACHE_BYTES = 32 << 20
TILE_AGE_S = 3.0
RASTER_CACHE_BYTES = 32 << 20
RASTER_AGE_S = 300.0
WAITING_AT_MOST = 500
VARY = (b"vary", b"Cookie, Authorization")
PRIVATE = (b"cache-control", b"private, no-cache")
Make = Callable[[], bytes]
Result = TypeVar("Result")


class FastPath:
    """Answers tiles and nearest; everything else goes on to the application."""

    def __init__(self, app: ASGIApp, context: Callable[[], Context], headers: list[tuple[bytes, bytes]]) -> None:
        self.app = app
        self.context = context
        self.headers = headers
        self.tiles = Cache(TILE_CACHE_BYTES, TILE_AGE_S)
        self.rasters = Cache(RASTER_CACHE_BYTES, RASTER_AGE_S)
        self._threads = ThreadPoolExecutor(settings().pool_size, thread_name_prefix="fast")
        self._waiting = 0
        self._under_way: dict[str, asyncio.Task[Entry]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        private = bears_credentials(scope["headers"])
        send = self._with_headers(send, bodiless=scope["method"] == "HEAD", private=private)
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        try:
            response = await self._response(scope)
        except Exception as error:
            response = problem_of(error)
        await (response or self.app)(scope, receive, send)

    def _with_headers(self, send: Send, *, bodiless: bool, private: bool) -> Send:
        """Headers that every answer has; an answer to somebody who has signed in is kept by nobody else."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], VARY]
                if private:
                    kept = next((value for name, value in headers if name == b"cache-control"), b"")
                    if not any(word in kept for word in (b"no-store", b"immutable")):
                        headers = [header for header in headers if header[0] != b"cache-control"] + [PRIVATE]
                given = {name for name, _ in headers}
                message["headers"] = [*headers, *(h for h in self.headers if h[0] not in given)]
            elif bodiless:
                message["body"] = b""
            await send(message)

        return sending

    async def _response(self, scope: Scope) -> Response | None:
        """The answer to a request that has a fast path; None for the others."""
        path: str = scope["path"]
        given = given_in(scope["query_string"]) if scope["query_string"] else {}
        if "\0" in path:
            raise NotFound("there is nothing at this address: it holds a NUL character", expected="an address of /api")
        if scope["method"] != "GET":
            return None
        if path == "/nearest":
            view = await self._view(scope)
            return await self._run(nearest.answer, view.readers, given)
        if path.startswith("/tiles/") and path.endswith(".mvt"):
            _refuse(given, "as_of", "v")
            return await self._vector_tile(scope, path, given.get("as_of"))
        if path.startswith("/rasters/") and path.endswith(".png"):
            _refuse(given)
            return await self._raster_tile(scope, path)
        return None

    async def _view(self, scope: Scope) -> View:
        """What the asker may see; somebody without credentials costs no look-up."""
        context = self.context()
        if not bears_credentials(scope["headers"]):
            return context.public
        return view_of(context, await self._run(identify, context, scope["headers"], scope["method"]))

    async def _run(self, function: Callable[..., Result], *values: object) -> Result:
        """What a function returns that waits for the database, in a thread; refused when too many wait already."""
        if self._waiting >= WAITING_AT_MOST:
            raise Unavailable("too many questions at once; the queue is full")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *values)
        finally:
            self._waiting -= 1

    async def _vector_tile(self, scope: Scope, path: str, as_of: str | None) -> Response:
        names, zoom, column, row = _parts(path, "/tiles/", ".mvt")
        moment = moment_of(as_of, "as_of") if as_of is not None else None
        view = await self._view(scope)
        known = view.catalog
        layers = tiles.layers_of(known, names)
        z, x, y = tiles.address_of(zoom, column, row)

        def make() -> bytes:
            readers = view.readers if moment is None else view.readers.at(moment)
            content = tiles.tile(readers, known, layers, z, x, y)
            return _gzipped(content) if content else b""

        key = f"{view.readers.scope.schema}{path}?{as_of or ''}"
        entry = await self._entry(self.tiles, key, make)
        return _tile_response(scope, entry, tiles.MEDIA_TYPE, gzipped=True)

    async def _raster_tile(self, scope: Scope, path: str) -> Response:
        name, zoom, column, row = _parts(path, "/rasters/", ".png")
        z, x, y = tiles.address_of(zoom, column, row)
        version = ",".join(f"{raster.id}:{raster.version}" for raster in all_rasters().values())
        entry = await self._entry(self.rasters, f"{path}?{version}", lambda: rasters.raster_tile(name, z, x, y))
        return _tile_response(scope, entry, rasters.MEDIA_TYPE, gzipped=False)

    async def _entry(self, cache: Cache, key: str, make: Make) -> Entry:
        """The answer kept under a key, else made: once, however many ask for it at the same time."""
        entry = cache.get(key)
        if entry is not None:
            return entry
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._make(cache, key, make))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def _make(self, cache: Cache, key: str, make: Make) -> Entry:
        body = await self._run(make)
        return cache.put(key, body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')


def _parts(path: str, before: str, after: str) -> list[str]:
    """What stands between the slashes: a name, zoom, column, row."""
    parts = path.removeprefix(before).removesuffix(after).split("/")
    if len(parts) != 4:
        raise NotFound("there is no such tile", expected=f"{before}{{id}}/{{z}}/{{x}}/{{y}}{after}")
    return parts


def _refuse(given: dict[str, str], *but: str) -> None:
    for name in given:
        if name not in but:
            raise unknown_parameter(name, " or ".join(but) or "no parameters")


def _tile_response(scope: Scope, entry: Entry, media_type: str, *, gzipped: bool) -> Response:
    headers = {"ETag": entry.etag, "Cache-Control": "no-cache"}
    asked = Headers(scope=scope)
    if entry.etag in asked.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if not entry.body:
        return Response(status_code=204, headers=headers)
    body = entry.body
    if gzipped:
        headers["Vary"] = "Accept-Encoding"
        if "gzip" in asked.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
        else:
            body = zlib.decompress(body, 31)
    return Response(body, headers=headers, media_type=media_type)


def _gzipped(content: bytes) -> bytes:
    """Gzip at its quickest: a tile is sent a few times at most."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    return compressor.compress(content) + compressor.flush()
