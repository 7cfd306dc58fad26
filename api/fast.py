"""The way ahead of FastAPI: tiles and nearest answered with few steps, and what every answer has in common."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import rasters, tiles
from api.cache import Cache, Entry
from api.context import Context
from api.errors import problem_of, unknown_parameter
from api.routes import nearest
from layers.errors import InvalidValue, NotFound
from layers.rasters import rasters as all_rasters

TILE_CACHE_BYTES = 32 << 20
TILE_AGE_S = 3.0
RASTER_CACHE_BYTES = 32 << 20
RASTER_AGE_S = 300.0
THREADS = 16
Make = Callable[[], bytes]


class FastPath:
    """Answers tiles and nearest; everything else goes on to the application."""

    def __init__(self, app: ASGIApp, context: Callable[[], Context], headers: list[tuple[bytes, bytes]]) -> None:
        self.app = app
        self.context = context
        self.headers = headers
        self.tiles = Cache(TILE_CACHE_BYTES, TILE_AGE_S)
        self.rasters = Cache(RASTER_CACHE_BYTES, RASTER_AGE_S)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fast")
        self._under_way: dict[str, asyncio.Task[Entry]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = self._with_headers(send)
        if b"%00" in scope["query_string"] or "\0" in scope["path"]:
            await problem_of(InvalidValue("the address holds a NUL character", expected="none"))(scope, receive, send)
            return
        response = await self._response(scope)
        await (response or self.app)(scope, receive, send)

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in self.headers if h[0] not in given)]
            await send(message)

        return sending

    async def _response(self, scope: Scope) -> Response | None:
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            return None
        try:
            if path == "/nearest":
                return await self._run(nearest.answer, self.context().readers, scope["query_string"].decode("latin-1"))
            if path.startswith("/tiles/") and path.endswith(".mvt"):
                return await self._vector_tile(scope, path)
            if path.startswith("/rasters/") and path.endswith(".png"):
                return await self._raster_tile(scope, path)
        except Exception as error:
            return problem_of(error)
        return None

    async def _run(self, function: Callable[..., Response], *values: object) -> Response:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *values)

    async def _vector_tile(self, scope: Scope, path: str) -> Response:
        _refuse_query(scope)
        names, zoom, column, row = _parts(path, "/tiles/", ".mvt")
        context = self.context()
        known = context.catalog
        layers = tiles.layers_of(known, names)
        z, x, y = tiles.address_of(zoom, column, row)

        def make() -> bytes:
            content = tiles.tile(context.readers, known, layers, z, x, y)
            return _gzipped(content) if content else b""

        entry = await self._entry(self.tiles, path, make)
        return _tile_response(scope, entry, tiles.MEDIA_TYPE, gzipped=True)

    async def _raster_tile(self, scope: Scope, path: str) -> Response:
        _refuse_query(scope)
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
        body = await asyncio.get_running_loop().run_in_executor(self._threads, make)
        return cache.put(key, body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')


def _parts(path: str, before: str, after: str) -> list[str]:
    """What stands between the slashes: a name, zoom, column, row."""
    parts = path.removeprefix(before).removesuffix(after).split("/")
    if len(parts) != 4:
        raise NotFound("there is no such tile", expected=f"{before}{{id}}/{{z}}/{{x}}/{{y}}{after}")
    return parts


def _refuse_query(scope: Scope) -> None:
    for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        raise unknown_parameter(name)


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
