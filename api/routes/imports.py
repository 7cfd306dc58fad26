"""Importing files: sent, tried, looked at, then imported or forgotten; and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, FastAPI
from fastapi import Query as QueryParameters
from pydantic import Field
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from api import multipart
from api.access import Asker, Identity, need
from api.context import Context, InContext
from api.errors import problem_of
from api.parameters import Query, given_in
from api.routes.collections import refuse_query
from layers import uploads
from layers.editing import Editor
from layers.errors import InvalidValue, LeewardError, NotFound
from layers.features import LARGEST
from layers.uploads import Reading, Upload

JSON_BYTES = 2 << 20
REASON_AT_MOST = 2000
SWEEP_S = 300
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        **{name: {"type": "string"} for name in uploads.OPTIONS},
                    },
                }
            }
        },
    },
    "parameters": [
        {"name": name, "in": "query", "required": name == "layer", "schema": {"type": "string"}}
        for name in ("layer", *uploads.OPTIONS)
    ],
}
BODY: dict[str, Any] = {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}
_tasks: set[asyncio.Task[Any]] = set()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Forget uploads whose hour is over, as long as the service runs."""

    async def sweep() -> None:
        while True:
            await asyncio.to_thread(uploads.sweep)
            await asyncio.sleep(SWEEP_S)

    task = asyncio.create_task(sweep())
    try:
        yield
    finally:
        task.cancel()


router = APIRouter(tags=["Imports"], lifespan=_lifespan)


class ImportsQuery(Query):
    """Which imports are asked for."""

    layer: Annotated[str | None, Field(max_length=60, description="Only imports into this layer")] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="Imports at most")] = 50


@router.post("/imports", summary="Try a file", openapi_extra=FORM)
async def send(request: Request, context: InContext, identity: Asker) -> Response:
    """Read a file for a layer and write nothing: what would become of its rows, and a token to go on with.

    With `Prefer: respond-async` the answer comes as soon as the file is here; `GET /imports/{token}` tells the rest.
    """
    account = _editor(identity)
    folder = await asyncio.to_thread(uploads.begin, account)
    try:
        form = await multipart.receive(request, folder / "incoming", uploads.BYTES_AT_MOST)
        given = given_in(request.url.query.encode("latin-1", "replace"))
        for name in form.fields:
            if name in given:
                raise InvalidValue(f"{name} is given more than once", parameter=name, expected="one value")
        given |= form.fields
        layer = given.pop("layer", "")
        if not layer:
            raise InvalidValue("layer is missing", parameter="layer", expected="the layer's id")
        upload = uploads.take(folder, account, layer, form.file_name or "", uploads.options_of(given))
    except BaseException:
        await asyncio.to_thread(uploads.discard, folder)
        raise
    return await _done(request, upload, _reading(request, context).check(upload))


@router.post("/imports/{token}", summary="Try a file again", openapi_extra=BODY)
async def again(request: Request, context: InContext, identity: Asker, token: str) -> Response:
    """The file that was sent, tried with other options: those given replace those before, null takes one away."""
    refuse_query(request)
    account = _editor(identity)
    given = await _json(request)
    upload = uploads.find(token, account)
    layer = given.pop("layer", upload.layer)
    if not isinstance(layer, str):
        raise InvalidValue("layer is no text", parameter="layer", expected="the layer's id")
    context.catalog[layer]
    options = {**upload.options, **dict.fromkeys(given), **uploads.options_of(given)}
    upload = replace(upload, layer=layer, options={n: value for n, value in options.items() if value is not None})
    return await _done(request, upload, _reading(request, context).check(upload))


@router.post("/imports/{token}/commit", summary="Import a file that was tried", openapi_extra=BODY)
async def commit(request: Request, context: InContext, identity: Asker, token: str) -> Response:
    """Import the file as it was tried last. Sent again, the answer is the first: nothing is imported twice."""
    refuse_query(request)
    account = _editor(identity)
    given = await _json(request)
    reason = _reason(given)
    if given:
        raise InvalidValue(
            f"{next(iter(given))[:80]!r} is no part of this", expected="reason; options go to POST /imports/{token}"
        )
    upload = uploads.find(token, account)
    return await _done(request, upload, _reading(request, context).commit(upload, reason), "importing")


@router.get("/imports/{token}", summary="How far an upload is")
def status(request: Request, identity: Asker, token: str) -> Response:
    """`state` is checking, ready, importing, done or failed; `ratio` goes from 0 to 1.

    When it is ready or done, the answer to the request that began it stands in `answer`; when it failed, the problem in
    `problem`.
    """
    refuse_query(request)
    upload = uploads.find(token, _editor(identity))
    told = uploads.status(upload)
    if told["state"] in ("ready", "done"):
        told["answer"] = orjson.Fragment(uploads.answer(upload) or "null")
    if "problem" in told:
        told["problem"] = orjson.Fragment(bytes(problem_of(uploads.error_of(told["problem"])).body))
    return _json_response(orjson.dumps(told))


@router.get("/imports/{token}/rejects.csv", summary="The rejected rows", responses={200: {"content": {"text/csv": {}}}})
def rejects(request: Request, identity: Asker, token: str) -> Response:
    """The rejected rows as they stood in the file, with what is wrong: to be mended and sent again."""
    refuse_query(request)
    upload = uploads.find(token, _editor(identity))
    if not upload.rejects.exists():
        raise NotFound("no row was rejected")
    name = f"{upload.file_name.rpartition('.')[0] or upload.file_name}.rejects.csv"
    return FileResponse(upload.rejects, media_type="text/csv", filename=name, headers={"Cache-Control": "no-store"})


@router.get("/imports", summary="The imports that were done")
def imports(context: InContext, identity: Asker, query: Annotated[ImportsQuery, QueryParameters()]) -> Response:
    """The last first: what was read, what became of it, who imported, whether it was taken back."""
    _editor(identity)
    if query.layer is not None:
        context.catalog[query.layer]
    found = uploads.imports(context.internal.readers, query.layer, query.limit)
    return _json_response(orjson.dumps({"imports": found}))


@router.post("/imports/{number}/undo", summary="Take an import back", openapi_extra=BODY)
async def undo(request: Request, context: InContext, identity: Asker, number: str) -> Response:
    """What the import added goes, what it replaced comes back, as one change.

    Rows that were written again since are the reason to refuse, unless `leave_edited` is true: they stay as they are.
    """
    refuse_query(request)
    account = _editor(identity)
    given = await _json(request)
    reason = _reason(given)
    leave_edited = given.pop("leave_edited", False)
    if not isinstance(leave_edited, bool) or given:
        raise InvalidValue(
            "the body cannot be read", parameter="body", expected='{"reason": "…", "leave_edited": true}'
        )
    if not (number.isascii() and number.isdecimal() and int(number[:20]) <= LARGEST):
        raise NotFound(f"there is no import {number[:40]!r}", expected="an id of GET /imports")
    editor = Editor(identity.rights, date.today())

    def work() -> Response:
        known, import_id = context.catalog, int(number[:20])
        taken = uploads.undo(context.url, known, import_id, account, editor, reason, leave_edited=leave_edited)
        return _json_response(orjson.dumps(asdict(taken)))

    return await context.run(work)


def _editor(identity: Identity) -> str:
    """The account of somebody who may import."""
    need(identity, "edit")
    return identity.name or ""


def _reading(request: Request, context: Context) -> Reading:
    """What reads uploads in this process."""
    state = request.app.state
    if not hasattr(state, "reading"):
        state.reading = Reading(context.url)
    reading: Reading = state.reading
    return reading


async def _done(request: Request, upload: Upload, work: Coroutine[Any, Any, str], state: str = "checking") -> Response:
    """The answer to work on an upload, which goes on when the asker goes away; at once, when they would rather."""
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_ended)
    if "respond-async" in request.headers.get("prefer", "").lower():
        await asyncio.sleep(0)  # the lock is taken, so that the state says that work is under way
        headers = {"Location": f"/imports/{upload.token}", "Preference-Applied": "respond-async"}
        told = {"id": upload.token, "state": state, "ratio": 0.0}
        return _json_response(orjson.dumps(told), 202, headers)
    return _json_response((await asyncio.shield(task)).encode())


def _ended(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and task.exception() is not None and not isinstance(task.exception(), LeewardError):
        problem_of(task.exception())  # type: ignore[arg-type]  # logs what nobody may have waited for


async def _json(request: Request) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty object."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > JSON_BYTES:
            raise InvalidValue("the body is too large", parameter="body", expected=f"{JSON_BYTES >> 20} MB at most")
    try:
        given = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise InvalidValue("the body is no JSON object", parameter="body", expected="a JSON object")
    return given


def _reason(given: dict[str, Any]) -> str | None:
    reason = given.pop("reason", None)
    if reason is not None and (not isinstance(reason, str) or len(reason) > REASON_AT_MOST or "\0" in reason):
        expected = f"a text of {REASON_AT_MOST} characters at most"
        raise InvalidValue("the reason cannot be kept", parameter="reason", expected=expected)
    return reason or None


def _json_response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return Response(body, status, kept, media_type="application/json")
