"""Writing items: one by one, or some at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from api.access import Asker, Identity, need
from api.bodies import json_object
from api.context import InContext, OfCollection
from api.errors import problem_of
from api.routes.collections import GEOJSON, item_response, no_item, number_of, refuse_query
from layers import editing
from layers.database import Cursor
from layers.editing import Editor, Written, etag
from layers.errors import InvalidValue, LeewardError, SignInNeeded
from layers.requests import Answer, once

router = APIRouter(tags=["Editing"])
BYTES_AT_MOST = 32 << 20
KEY_AT_MOST = 200
REASON_AT_MOST = 2000
Fid = Annotated[str, Path(description="The item's number", examples=["1"])]
FEATURE = {
    "type": "object",
    "required": ["type", "geometry", "properties"],
    "properties": {
        "type": {"const": "Feature"},
        "geometry": {"type": ["object", "null"]},
        "properties": {"type": ["object", "null"]},
        "reason": {"type": "string", "description": "Why, for the history"},
    },
}
BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {GEOJSON: {"schema": FEATURE}}}}
PATCH: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/merge-patch+json": {"schema": {"type": "object"}}}}
}
Act = Callable[[Cursor, Editor], Answer]


@router.post("/collections/{collection}/items", summary="A new item", status_code=201, openapi_extra=BODY)
async def create(request: Request, context: InContext, definition: OfCollection, identity: Asker) -> Response:
    """A GeoJSON feature becomes an item of the layer. `Idempotency-Key` makes it safe to send it again."""
    refuse_query(request)
    given = await _body(request, identity)

    def act(cursor: Cursor, editor: Editor) -> Answer:
        return _answer(definition.id, editing.create(cursor, context.catalog, definition, given, editor), 201)

    return await _write(request, context, identity, given, act)


@router.patch("/collections/{collection}/items", summary="Some items at once", openapi_extra=PATCH)
async def patch_many(request: Request, context: InContext, definition: OfCollection, identity: Asker) -> Response:
    """Patches of some items: `{"items": [{"fid", "if_match", "properties", "geometry"}]}`; all of them or none."""
    refuse_query(request)
    given = await _body(request, identity)
    items = given.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InvalidValue("there is no list of items", parameter="items", expected='{"items": [{"fid": 1, …}]}')

    def act(cursor: Cursor, editor: Editor) -> Answer:
        written = editing.patch_many(cursor, context.catalog, definition, items, editor)
        told = {"items": [{"fid": one.fid, "etag": etag(one.change)} for one in written]}
        return Answer(200, orjson.dumps(told).decode(), {"content-type": "application/json"})

    return await _write(request, context, identity, given, act)


@router.put("/collections/{collection}/items/{fid}", summary="An item anew", openapi_extra=BODY)
async def replace(
    request: Request, context: InContext, definition: OfCollection, identity: Asker, fid: Fid
) -> Response:
    """The whole item; properties that are not given become unknown. Needs `If-Match`."""
    refuse_query(request)
    given = await _body(request, identity)
    number, match = number_of(fid), request.headers.get("if-match")

    def act(cursor: Cursor, editor: Editor) -> Answer:
        written = editing.replace(cursor, context.catalog, definition, number, given, match, editor)
        return _answer(definition.id, written)

    return await _write(request, context, identity, given, act)


@router.patch("/collections/{collection}/items/{fid}", summary="Some of an item", openapi_extra=PATCH)
async def patch(request: Request, context: InContext, definition: OfCollection, identity: Asker, fid: Fid) -> Response:
    """A JSON merge patch of the feature. Needs `If-Match`, unless it writes monitoring fields alone."""
    refuse_query(request)
    given = await _body(request, identity)
    number, match = number_of(fid), request.headers.get("if-match")

    def act(cursor: Cursor, editor: Editor) -> Answer:
        return _answer(definition.id, editing.patch(cursor, context.catalog, definition, number, given, match, editor))

    return await _write(request, context, identity, given, act)


@router.delete("/collections/{collection}/items/{fid}", summary="An item no more", status_code=204)
async def delete(
    request: Request, context: InContext, definition: OfCollection, identity: Asker, fid: Fid, reason: str | None = None
) -> Response:
    """Take an item out of the layer; its history stays. Needs `If-Match`."""
    number, match = number_of(fid), request.headers.get("if-match")

    def act(cursor: Cursor, editor: Editor) -> Answer:
        editing.delete(cursor, definition, number, match, editor)
        return Answer(204, "", {})

    return await _write(request, context, identity, {"reason": reason} if reason else {}, act)


@router.post("/collections/{collection}/items/{fid}/restore", summary="An item as it was", openapi_extra=PATCH)
async def restore(
    request: Request, context: InContext, definition: OfCollection, identity: Asker, fid: Fid
) -> Response:
    """The state after a version of its history, `{"version": n}`, written as a new change.

    Needs `If-Match` unless the item was deleted; answers 204 when the item was not there then, and so is no more.
    """
    refuse_query(request)
    given = await _body(request, identity)
    version, number = given.get("version"), number_of(fid)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 2**63:
        raise InvalidValue("version is no whole number", parameter="version", expected="a version of the history")
    if number < 0:
        raise no_item(definition, fid)

    def act(cursor: Cursor, editor: Editor) -> Answer:
        written = editing.restore(cursor, definition, number, version, request.headers.get("if-match"), editor)
        return _answer(definition.id, written) if written is not None else Answer(204, "", {})

    return await _write(request, context, identity, given, act)


def _answer(layer: str, written: Written, status: int = 200) -> Answer:
    response = item_response(layer, written.text, written.fid, written.change, status)
    return Answer(status, bytes(response.body).decode(), dict(response.headers.items()))


async def _body(request: Request, identity: Identity) -> dict[str, Any]:
    """The JSON object of a request of somebody who has signed in."""
    if identity.name is None:
        need(identity, "edit")
    return await json_object(request, BYTES_AT_MOST, "a GeoJSON feature", "; import a file")


async def _write(request: Request, context: InContext, identity: Identity, given: dict[str, Any], act: Act) -> Response:
    """What an act answers, done once for each Idempotency-Key."""
    if identity.name is None:
        need(identity, "edit")
        raise SignInNeeded("sign in to write")
    name, key = identity.name, request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= KEY_AT_MOST:
        expected = f"1 to {KEY_AT_MOST} characters"
        raise InvalidValue("the Idempotency-Key cannot be kept", parameter="Idempotency-Key", expected=expected)
    reason = given.get("reason")
    if reason is not None and (not isinstance(reason, str) or len(reason) > REASON_AT_MOST or "\0" in reason):
        expected = f"a text of {REASON_AT_MOST} characters at most"
        raise InvalidValue("the reason cannot be kept", parameter="reason", expected=expected)
    editor = Editor(identity.rights, date.today())
    text = json.dumps([request.method, request.url.path, request.headers.get("if-match"), given], sort_keys=True)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    def work() -> Response:
        try:
            with context.writers.transaction(name, reason) as cursor:
                answer = once(cursor, name, key, digest, lambda: act(cursor, editor))
        except LeewardError as error:
            return problem_of(error)
        headers = {n: v for n, v in answer.headers.items() if n not in ("content-length", "content-type")}
        return Response(answer.body, answer.status, headers, answer.headers.get("content-type"))

    return await context.run(work)
