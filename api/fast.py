"""The way ahead of FastAPI: tiles and nearest answered with few steps, and what every answer has in common.

A tile that is kept costs one look-up and one send. What is kept is dropped when the change log says that it has
changed (``api.followed``), in every process; the tag of a tile is the version of the log that it was made at, so that a
question whether it is still the same needs no database.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

from isal import isal_zlib
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api import rasters, tiles, tilesets
from api.access import bears_credentials, identify, view_of
from api.cache import Cache, Entry, Headers, TileCache
from api.context import Context, View
from api.errors import problem_of
from api.followed import Change, Followed, Place
from api.links import BASE, base_of
from api.parameters import given_in, moment_of
from api.routes import nearest
from api.tile_query import conditions_of, refuse
from layers.catalog import Catalog
from layers.database import ASKER, RELEASED, Asker, Heard, LoopReaders
from layers.errors import NotFound, Unavailable
from layers.rasters import rasters as all_rasters
from layers.settings import settings

RASTER_CACHE_BYTES = 32 << 20
WAITING_AT_MOST = 500
SENDING_AT_MOST_S = 60.0
CHUNK_BYTES = 1 << 16
FIRST_READ_S = 2.0
PACKED_AT_ONCE_BYTES = 100_000
"""A larger tile is packed in a thread: others wait meanwhile."""
REMEMBERED_S, REMEMBERED_AT_MOST = 600.0, 1000
"""How long, and of how many askers, it is remembered what they may see, for when the database is away."""
FOLD_EVERY = 500
"""After so many changes of a layer its pyramid is folded."""
VARY = (b"vary", b"Cookie, Authorization")
VARY_ENCODING = (b"vary", b"Accept-Encoding")
VARY_TILE = (b"vary", b"Accept-Encoding, Cookie, Authorization")
NO_CACHE = (b"cache-control", b"no-cache")
PRIVATE = (b"cache-control", b"private, no-cache")
GZIP = (b"content-encoding", b"gzip")
STALE = (b"warning", b'110 - "Response is Stale"')
TileKey = tuple[str, bytes]
"""The path and the query of a tile."""
Result = TypeVar("Result")


class Made(NamedTuple):
    """A tile that was just made: as it is kept, and as it came from PostgreSQL."""

    entry: Entry
    content: bytes


@dataclass
class Work:
    """A tile that is being made, for all who ask for it meanwhile."""

    task: asyncio.Task[Made]
    asker: Asker
    waiting: int = 0


@dataclass
class Door:
    """What one scope has to do with tiles: those that are kept, the log as it sees it, since when nothing was heard."""

    view: View
    followed: Followed
    readers: LoopReaders
    tiles: TileCache[TileKey]
    lost_at: float | None = field(default_factory=time.monotonic)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    works: dict[TileKey, Work] = field(default_factory=dict)
    unfolded: dict[str, int] = field(default_factory=dict)

    def kept(self, path: str, query: bytes) -> Entry | None:
        """A tile that may be given out as it is."""
        entry = self.tiles.get((path, _without_version(query)))
        return None if entry is None or (entry.stale and self.lost_at is None) else entry


class FastPath:
    """Answers tiles and nearest; everything else goes on to the application."""

    def __init__(self, app: ASGIApp, context: Callable[[], Context], headers: list[tuple[bytes, bytes]]) -> None:
        self.app = app
        self.context = context
        self.headers = headers
        self.rasters: Cache[str] = Cache(RASTER_CACHE_BYTES)
        self._threads = ThreadPoolExecutor(settings().pool_size, thread_name_prefix="fast")
        self._waiting = 0
        self._doors: dict[str, Door] = {}
        self._seen: OrderedDict[bytes, tuple[View, float]] = OrderedDict()
        self._epochs: dict[str, str] = {}
        self._known: Catalog | None = None
        self._tile_headers = [header for header in headers if header[0] != b"content-security-policy"]
        self._proxied = cast(  # uvicorn's own types of ASGI are not Starlette's
            ASGIApp, ProxyHeadersMiddleware(cast(Any, self._answer), trusted_hosts=settings().forwarded_allow_ips)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = tilesets.as_fast(scope)
        path: str = scope["path"]
        if scope["method"] == "GET" and path.startswith("/tiles/"):
            private, tag, packed = _asked(scope["headers"])
            if not private:
                door = self._doors.get(RELEASED.schema)
                entry = door.kept(path, scope["query_string"]) if door is not None else None
                if door is not None and entry is not None:
                    with suppress(ReadsTooSlowly):
                        await self._send_tile(send, entry, tag, packed=packed, private=False, door=door)
                    return
        with suppress(ReadsTooSlowly):  # the server closes the connection, since the answer is not whole
            await self._proxied(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        private = bears_credentials(scope["headers"])
        sending = self._with_headers(send, bodiless=scope["method"] == "HEAD", private=private)
        BASE.set(base_of(scope))
        method = scope["method"]
        reading = method in ("GET", "HEAD")
        if reading:
            scope = {**scope, "method": "GET"}
        try:
            if "\0" in scope["path"]:
                raise NotFound(
                    "there is nothing here: the address holds a NUL character", expected="an address of /api"
                )
            if scope["method"] == "GET" and scope["path"].startswith("/tiles/") and scope["path"].endswith(".mvt"):
                await self._vector_tile(scope, receive, send if method == "GET" else sending, given=method != "GET")
                return
            response = await self._response(scope, receive, given_in(scope["query_string"]))
        except Exception as error:
            response = problem_of(error)
        if response is not None or not reading:
            await (response or self.app)(scope, receive, sending)
            return
        with Watched(receive) as watched:
            ASKER.set(watched.asker)
            await self.app(scope, watched.receive, sending)

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
            await _send_in_parts(send, message)

        return sending

    async def _response(self, scope: Scope, receive: Receive, given: dict[str, str]) -> Response | None:
        """The answer to a request that has a fast path; None for the others."""
        path: str = scope["path"]
        if scope["method"] != "GET":
            return None
        if path == "/nearest":
            view = await self._view(scope)
            asker = Asker()
            ASKER.set(asker)
            work = asyncio.create_task(self._run(nearest.answer, view.readers, self.context().roads, given))
            if not await _is_waited_for(work, receive):
                await self._leave(asker)
            return await work
        if path.startswith("/rasters/") and path.endswith(".png"):
            refuse({name: value for name, value in given.items() if name != "v"})
            return await self._raster_tile(scope, path)
        return None

    async def _view(self, scope: Scope) -> View:
        """What the asker may see; somebody without credentials costs no look-up."""
        context = self.context()
        if not bears_credentials(scope["headers"]):
            return context.public
        return view_of(context, await self._run(identify, context, scope["headers"], scope["method"]))

    async def _view_of_tiles(self, scope: Scope) -> View:
        """The same; while the database is away, what the asker might see the last time: kept tiles alone can follow."""
        who = _credentials(scope["headers"])
        try:
            view = await self._view(scope)
        except Unavailable:
            seen, at = self._seen.get(who, (None, 0.0))
            if seen is None or time.monotonic() - at > REMEMBERED_S:
                raise
            return seen
        if who:
            self._seen[who] = (view, time.monotonic())
            self._seen.move_to_end(who)
            if len(self._seen) > REMEMBERED_AT_MOST:
                self._seen.popitem(last=False)
        return view

    async def _run(self, function: Callable[..., Result], *values: object) -> Result:
        """What a function returns that waits for the database, in a thread; refused when too many wait already."""
        if self._waiting >= WAITING_AT_MOST:
            raise Unavailable("too many questions at once; the queue is full")
        self._waiting += 1
        try:
            here = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(self._threads, here.run, function, *values)
        finally:
            self._waiting -= 1

    # --- vector tiles

    async def _vector_tile(self, scope: Scope, receive: Receive, send: Send, *, given: bool) -> None:
        """Send a tile that is not kept, or whose asker has signed in."""
        private, tag, packed = _asked(scope["headers"])
        path, query = scope["path"], _without_version(scope["query_string"])
        names, zoom, column, row = _parts(path, "/tiles/", ".mvt")
        asked = given_in(query) if query else {}
        view = await self._view_of_tiles(scope)
        layers = tiles.layers_of(view.catalog, names)
        place = Place(*tiles.address_of(zoom, column, row))
        door = self._door(view)
        key = (path, query)
        entry, content, kept = door.kept(*key), None, True
        if entry is None and self._is_unchanged(door, tag, layers, None if "as_of" in asked else place):
            known_tag = tag.decode("latin-1")
            entry = Entry(b"", known_tag, self._headers_of(known_tag, ()))
        if entry is None:
            try:
                (entry, content), kept = await self._made(key, door, layers, place, asked, receive), False
            except Unavailable:
                entry = door.tiles.get(key)
                if entry is None:
                    raise
        await self._send_tile(
            send, entry, tag, packed=packed, private=private, door=door, kept=kept, given=given, content=content
        )

    def _is_unchanged(self, door: Door, tag: bytes, layers: tuple[str, ...], place: Place | None) -> bool:
        """Whether a tag is that of a tile which has not changed since; as far as the log was followed."""
        epoch, _, mark = tag.decode("latin-1").strip().removeprefix("W/").strip('"').partition("-")
        if door.lost_at is not None or not mark or epoch != self._epoch_of(door):
            return False
        version = door.followed.version_of(mark)
        return version is not None and not door.followed.changed_since(version, layers, place)

    async def _made(
        self, key: TileKey, door: Door, layers: tuple[str, ...], place: Place, given: dict[str, str], receive: Receive
    ) -> Made:
        """A tile made anew: once, however many ask for it; ended when all of them have gone away."""
        work = door.works.get(key)
        if work is None:
            asker = Asker()
            ASKER.set(asker)
            work = Work(asyncio.create_task(self._make(key, door, layers, place, given)), asker)
            door.works[key] = work
            work.task.add_done_callback(lambda task: self._done(door, key, task))
        work.waiting += 1
        if not await _is_waited_for(work.task, receive):
            work.waiting -= 1
            if work.waiting == 0:
                door.works.pop(key, None)
                await self._leave(work.asker)
        return await asyncio.shield(work.task)

    def _done(self, door: Door, key: TileKey, task: asyncio.Task[Made]) -> None:
        work = door.works.get(key)
        if work is not None and work.task is task:
            del door.works[key]
        if not task.cancelled():
            task.exception()  # those who asked may all have gone away

    async def _leave(self, asker: Asker) -> None:
        """End what nobody waits for any more."""
        await asyncio.get_running_loop().run_in_executor(None, asker.leave)

    async def _make(
        self, key: TileKey, door: Door, layers: tuple[str, ...], place: Place, given: dict[str, str]
    ) -> Made:
        view, known = door.view, door.view.catalog
        moment = moment_of(given["as_of"], "as_of") if "as_of" in given else None
        conditions = conditions_of(known, layers, given, view.readers.scope)
        if not door.heard.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(door.heard.wait(), FIRST_READ_S)
        version = door.followed.version

        def make() -> tuple[bytes, tuple[str, ...], bytes]:
            readers = view.readers if moment is None else view.readers.at(moment)
            made = tiles.tile(readers, known, layers, place.z, place.x, place.y, conditions)
            return made.content, made.coarser, _gzipped(made.content)

        quick = await self._made_by_loop(door, layers, place) if moment is None and not conditions else None
        content, coarser, body = quick if quick is not None else await self._run(make)
        etag = f'"{self._epoch_of(door)}-{door.followed.mark(version)}"' if version is not None else ""
        entry = Entry(
            body, etag, self._headers_of(etag, coarser), layers=layers, place=None if moment is not None else place
        )
        heard_of = version is not None and door.lost_at is None
        if heard_of and not door.followed.changed_since(version or 0, layers, entry.place):
            door.tiles.put(key, entry)
        return Made(entry, content)

    async def _made_by_loop(
        self, door: Door, layers: tuple[str, ...], place: Place
    ) -> tuple[bytes, tuple[str, ...], bytes] | None:  # fmt: skip
        """A tile that one statement answers, as it is and packed; None when it was not asked before, or is large."""
        text = tiles.plain_text(door.view.readers, door.view.catalog, layers, place.z)
        if text is None:
            return None
        values = tiles.values_of(place.z, place.x, place.y)
        ((found,),) = await door.readers.answer(text, values, tiles.TYPES, ASKER.get() or Asker())
        if len(found) > tiles.BUDGET_BYTES:
            return None
        content = bytes(found)
        large = len(content) > PACKED_AT_ONCE_BYTES
        return content, (), await self._run(_gzipped, content) if large else _gzipped(content)

    def _headers_of(self, etag: str, coarser: tuple[str, ...]) -> Headers:
        headers = [(b"content-type", tiles.MEDIA_TYPE.encode()), *self._tile_headers]
        if etag:
            headers.append((b"etag", etag.encode()))
        if coarser:
            headers.append((b"leeward-coarser", ",".join(coarser).encode()))
        return headers

    async def _send_tile(
        self, send: Send, entry: Entry, tag: bytes, *, packed: bool, private: bool, door: Door, kept: bool = True,
        given: bool = False, content: bytes | None = None,
    ) -> None:  # fmt: skip
        """Send a tile; of a kept one that may have changed, how old it is.

        Parameters
        ----------
        given : bool
            Whether ``send`` adds what every answer has.
        content : bytes, optional
            The tile as it is, when it was just made.
        """
        headers = list(entry.headers)
        headers.append(VARY_ENCODING if given else VARY_TILE)
        headers.append(PRIVATE if private else NO_CACHE)
        if kept and door.lost_at is not None:
            age = int(time.monotonic() - (entry.made_at if entry.stale else max(door.lost_at, entry.made_at)))
            headers += [(b"age", str(age).encode()), STALE]
        body, status = entry.body, 200
        if entry.etag and (entry.etag.encode() in tag or tag.strip() == b"*"):
            body, status = b"", 304
        elif not body:
            status = 204
        elif packed:
            headers += [GZIP, (b"content-length", str(len(body)).encode())]
        else:
            body = content if content is not None else isal_zlib.decompress(body, 31)
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await _send_in_parts(send, {"type": "http.response.body", "body": body})

    # --- the change log

    def _door(self, view: View) -> Door:
        """What a view has to do with tiles; the first call begins to follow the change log."""
        if not self._doors:
            context = self.context()
            for each, quarters in ((context.public, 3), (context.internal, 1)):
                size = settings().tile_cache_mb << 18
                door = Door(each, Followed(context.follower(each)), context.for_loop(each), TileCache(quarters * size))
                self._doors[each.readers.scope.schema] = door
            loop = asyncio.get_running_loop()
            context.feed.follow(lambda heard: self._heard(heard, loop))
        return self._doors[view.readers.scope.schema]

    def _heard(self, heard: Heard, loop: asyncio.AbstractEventLoop) -> None:
        """Read what is new, in the thread of the feed."""
        for door in self._doors.values():
            rows = None
            if heard == "lost":
                door.followed.let_go()
            else:
                with suppress(Unavailable):
                    rows = door.followed.read()
            with suppress(RuntimeError):  # the service has ended
                loop.call_soon_threadsafe(self._take, door, rows)

    def _take(self, door: Door, rows: list[dict[str, object]] | None) -> None:
        """Drop what has changed."""
        door.heard.set()
        if rows is None:
            door.lost_at = door.lost_at or time.monotonic()
            return
        for change in door.followed.apply(rows):
            self._drop(door, change)
        door.lost_at = None

    def _drop(self, door: Door, change: Change) -> None:
        door.tiles.drop(change, keep_added=True)
        if door.view.readers.scope.public:
            return
        door.unfolded[change.layer] = door.unfolded.get(change.layer, 0) + 1
        if door.unfolded[change.layer] >= FOLD_EVERY:
            door.unfolded[change.layer] = 0
            self._threads.submit(self.context().fold, change.layer)

    def _epoch_of(self, door: Door) -> str:
        """A digest of the definitions, and of who may see the tile: with others the same rows make other tiles."""
        known, schema = door.view.catalog, door.view.readers.scope.schema
        if self._known is not known:
            text = "".join(definition.model_dump_json() for definition in known.values()) + tiles.EDITION
            self._epochs = {
                name: hashlib.blake2b((name + text).encode(), digest_size=4).hexdigest() for name in self._doors
            }
            self._known = known
        return self._epochs[schema]

    # --- rasters

    async def _raster_tile(self, scope: Scope, path: str) -> Response:
        name, zoom, column, row = _parts(path, "/rasters/", ".png")
        z, x, y = tiles.address_of(zoom, column, row)
        version = ",".join(f"{raster.id}:{raster.version}" for raster in all_rasters().values())
        key = f"{path}?{version}"
        entry = self.rasters.get(key)
        if entry is None:
            body = await self._run(rasters.raster_tile, name, z, x, y)
            entry = Entry(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"', [], packed=False)
            self.rasters.put(key, entry)
        headers = {"ETag": entry.etag, "Cache-Control": "no-cache"}
        if entry.etag.encode() in _asked(scope["headers"])[1]:
            return Response(status_code=304, headers=headers)
        if not entry.body:
            return Response(status_code=204, headers=headers)
        return Response(entry.body, headers=headers, media_type=rasters.MEDIA_TYPE)


class ReadsTooSlowly(asyncio.CancelledError):
    """Who asked reads so slowly that the answer is given up; like a cancellation, it is nobody's error."""


async def _send_in_parts(send: Send, message: Message) -> None:
    """Send a message; a large body in parts, each of which waits until the ones before it are read.

    Raises
    ------
    ReadsTooSlowly
        When a part is not read in time.
    """
    body = message.get("body", b"")
    if len(body) <= CHUNK_BYTES:
        await send(message)
        return
    view = memoryview(body)
    for start in range(0, len(body), CHUNK_BYTES):
        more = start + CHUNK_BYTES < len(body) or message.get("more_body", False)
        part = {**message, "body": bytes(view[start : start + CHUNK_BYTES]), "more_body": more}
        try:
            async with asyncio.timeout(SENDING_AT_MOST_S):
                await send(part)
        except TimeoutError:
            raise ReadsTooSlowly from None


async def _is_waited_for(work: asyncio.Task[Result], receive: Receive) -> bool:
    """Whether somebody is still there when a piece of work is done; returns as soon as they are not."""
    await receive()  # the request itself
    while not work.done():
        message = asyncio.ensure_future(receive())
        await asyncio.wait({work, message}, return_when=asyncio.FIRST_COMPLETED)
        if not message.done():
            message.cancel()
        elif message.result()["type"] == "http.disconnect":
            return work.done()
    return True


class Watched:
    """A request that is handed on: when its asker goes away, nobody works for it any more."""

    def __init__(self, receive: Receive) -> None:
        self.asker = Asker()
        self._receive = receive
        self._messages: asyncio.Queue[Message] = asyncio.Queue()

    def __enter__(self) -> Watched:
        self._task = asyncio.create_task(self._look())
        return self

    def __exit__(self, *_: object) -> None:
        self._task.cancel()

    async def receive(self) -> Message:
        """The next message of the request."""
        return await self._messages.get()

    async def _look(self) -> None:
        message: Message = {"type": ""}
        while message["type"] != "http.disconnect":
            message = await self._receive()
            self._messages.put_nowait(message)
        await asyncio.get_running_loop().run_in_executor(None, self.asker.leave)


def _asked(headers: list[tuple[bytes, bytes]]) -> tuple[bool, bytes, bool]:
    """Of a request: whether it may be somebody's who has signed in, the tag that it knows, whether it takes gzip."""
    private, tag, packed = False, b"", False
    for name, value in headers:
        if name == b"accept-encoding":
            packed = b"gzip" in value
        elif name == b"if-none-match":
            tag = value
        elif name in (b"cookie", b"authorization"):
            private = True
    return private, tag, packed


def _credentials(headers: list[tuple[bytes, bytes]]) -> bytes:
    """A digest of what a request says about who it is from; empty when it says nothing."""
    said = [name + b":" + value for name, value in headers if name in (b"cookie", b"authorization")]
    return hashlib.blake2b(b"\n".join(said), digest_size=16).digest() if said else b""


def _without_version(query: bytes) -> bytes:
    """The query without ``v``, which only makes an address new for browsers."""
    if not query.startswith(b"v="):
        return query
    return query.partition(b"&")[2]


def _parts(path: str, before: str, after: str) -> list[str]:
    """What stands between the slashes: a name, zoom, column, row."""
    parts = path.removeprefix(before).removesuffix(after).split("/")
    if len(parts) != 4:
        raise NotFound("there is no such tile", expected=f"{before}{{id}}/{{z}}/{{x}}/{{y}}{after}")
    return parts


def _gzipped(content: bytes) -> bytes:
    """Gzip at its quickest; of nothing, nothing."""
    if not content:
        return b""
    packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    return bytes(packer.compress(content) + packer.flush())
