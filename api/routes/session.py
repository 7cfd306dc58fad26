"""Signing in and out, and who one is."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.access import (
    COOKIE,
    Asker,
    Identity,
    of_session,
    refuse_other_sites,
    refuse_without_csrf,
    session_secret,
)
from api.context import Context, InContext
from api.routes.collections import refuse_query
from api.sign_in import SignIn
from layers import accounts
from layers.accounts import NAME_AT_MOST, PASSWORD_AT_MOST, SESSION_HOURS
from layers.errors import InvalidValue

router = APIRouter(tags=["Session"])
BYTES_AT_MOST = 8192
EXPECTED = '{"name": "…", "password": "…"}'
IDENTITY = {
    "type": "object",
    "required": ["name", "role", "rights"],
    "properties": {
        "name": {"type": ["string", "null"]},
        "role": {"type": ["string", "null"], "enum": [*accounts.ROLES, None]},
        "rights": {"type": "array", "items": {"type": "string"}},
        "csrf": {"type": "string", "description": "To be sent as X-CSRF-Token with what changes something"},
    },
}
CREDENTIALS = {
    "type": "object",
    "required": ["name", "password"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "maxLength": NAME_AT_MOST},
        "password": {"type": "string", "maxLength": PASSWORD_AT_MOST, "format": "password"},
    },
}
TOLD: dict[int | str, dict[str, Any]] = {
    200: {"description": "Who one is", "content": {"application/json": {"schema": IDENTITY}}}
}


@router.get("/session", summary="Who one is", responses=TOLD)
def session(request: Request, identity: Asker) -> Response:
    """Name, role and rights of the one who asks; of a session the CSRF token too."""
    refuse_query(request)
    return _told(identity)


@router.post(
    "/session",
    summary="Sign in",
    responses={**TOLD, 401: {"description": "The name or the password is wrong"}, 429: {"description": "Too often"}},
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": CREDENTIALS}}}},
)
async def begin(request: Request, context: InContext) -> Response:
    """Begin a session of twelve hours, kept in a cookie that no script can read."""
    refuse_query(request)
    headers = request.headers.raw
    refuse_other_sites(headers)
    name, password = await _credentials(request)
    sign_in: SignIn = request.app.state.sign_in
    address = request.client.host if request.client is not None else ""
    identity, secret = await sign_in(context, name, password, address, instead_of=session_secret(headers))
    response = _told(identity)
    response.set_cookie(
        COOKIE, secret, max_age=SESSION_HOURS * 3600, path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response


@router.delete("/session", summary="Sign out", status_code=204)
def end(request: Request, context: InContext) -> Response:
    """End the session of the cookie, if there is one."""
    refuse_query(request)
    headers = request.headers.raw
    refuse_other_sites(headers)
    secret = session_secret(headers)
    if secret is not None and of_session(context, secret) is not None:
        refuse_without_csrf(headers, secret)
        _end(context, secret)
    response = Response(status_code=204, headers={"Cache-Control": "no-store"})
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def _end(context: Context, secret: str) -> None:
    with context.writers.connection() as connection, connection.cursor() as cursor:
        accounts.end_session(cursor, secret)


def _told(identity: Identity) -> Response:
    told: dict[str, Any] = {"name": identity.name, "role": identity.role, "rights": sorted(identity.rights)}
    if identity.csrf is not None:
        told["csrf"] = identity.csrf
    return Response(orjson.dumps(told), media_type="application/json", headers={"Cache-Control": "no-store"})


async def _credentials(request: Request) -> tuple[str, str]:
    """Name and password of a body of JSON, which the form of another site's page cannot send.

    Raises
    ------
    InvalidValue
        When the body is something else; what it holds is not told.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidValue("the body is not JSON", parameter="Content-Type", expected="application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BYTES_AT_MOST:
            raise InvalidValue(f"the body is longer than {BYTES_AT_MOST} bytes", parameter="body", expected=EXPECTED)
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict) or given.keys() != {"name", "password"}:
        raise InvalidValue("the body is not a name and a password", parameter="body", expected=EXPECTED)
    return _text(given["name"], "name", NAME_AT_MOST), _text(given["password"], "password", PASSWORD_AT_MOST)


def _text(value: object, name: str, at_most: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= at_most or "\0" in value:
        raise InvalidValue(f"the {name} is no text", parameter=name, expected=f"1 to {at_most} characters")
    return value
