"""One table from exceptions to problems (RFC 9457, ``application/problem+json``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from layers.errors import (
    Conflict,
    EditConflict,
    Forbidden,
    ImportRefused,
    InvalidFeature,
    InvalidValue,
    LeewardError,
    NotFound,
    PreconditionRequired,
    SignInNeeded,
    StepRefused,
    TooManyAttempts,
    Unavailable,
    UnknownParameter,
)

log = logging.getLogger("leeward")

STATUS: dict[type[LeewardError], HTTPStatus] = {
    InvalidValue: HTTPStatus.BAD_REQUEST,
    UnknownParameter: HTTPStatus.BAD_REQUEST,
    SignInNeeded: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    EditConflict: HTTPStatus.PRECONDITION_FAILED,
    ImportRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidFeature: HTTPStatus.UNPROCESSABLE_ENTITY,
    StepRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    PreconditionRequired: HTTPStatus.PRECONDITION_REQUIRED,
    TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_S = 5
MEDIA_TYPE = "application/problem+json"


def problem(
    status: int, slug: str, title: str, detail: str, further: Mapping[str, Any] | None = None, **members: Any
) -> Response:
    """A problem as a response.

    Parameters
    ----------
    members
        Members that are left out when they are None.
    further : mapping, optional
        Members that are told as they are, None as null.
    """
    said = {"type": f"/problems/{slug}", "title": title, "status": int(status), "detail": detail}
    given = {name: value for name, value in members.items() if value is not None}
    body = {**said, **given, **(further or {}), **said}
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = str(body.get("retry_after_s", RETRY_AFTER_S))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Response:
    """The response to an exception; 500 for those that are not in the table, which are logged."""
    if isinstance(error, ValidationError | RequestValidationError):
        error = invalid(error)
    if isinstance(error, LeewardError) and type(error) in STATUS:
        at_fault = {"parameter": error.parameter, "expected": error.expected}
        return problem(STATUS[type(error)], error.slug, error.title, error.detail, error.further, **at_fault)
    if isinstance(error, HTTPException):
        phrase = HTTPStatus(error.status_code).phrase
        response = problem(error.status_code, phrase.lower().replace(" ", "-"), phrase, error.detail)
        response.headers.update(error.headers or {})
        return response
    if isinstance(error, ClientDisconnect):
        return problem(400, "bad-request", "Bad Request", "the request ended before its body was whole")
    log.error("an answer failed", exc_info=error)
    return problem(500, "internal", "The service failed", "the service failed; the failure is in its log")


def invalid(error: ValidationError | RequestValidationError) -> InvalidValue:
    """The first error of a validation, in our own words."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("query", "path", "header")]
    name = place[0] if place else "query"
    if first["type"] == "missing":
        return InvalidValue(f"{name} is missing", parameter=name, expected=f"a value for {name}")
    expected = _expected(first["type"], first.get("ctx", {}))
    given = str(first.get("input"))[:80]
    return InvalidValue(f"{name}={given} is not {expected}", parameter=name, expected=expected)


def install(app: FastAPI) -> None:
    """Answer every exception of the application with a problem."""

    async def answer(_: Request, error: Exception) -> Response:
        return problem_of(error)

    for kind in (LeewardError, RequestValidationError, ValidationError, HTTPException, ClientDisconnect, Exception):
        app.add_exception_handler(kind, answer)


def _expected(kind: str, context: dict[str, Any]) -> str:
    """What would have been right, from the kind of a validation error and its limits."""
    limits = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}
    for limit, words in limits.items():
        if limit in context:
            return f"{words} {context[limit]}"
    table = {
        "int_parsing": "a whole number", "int_parsing_size": "a whole number", "int_from_float": "a whole number",
        "float_parsing": "a number", "value_error": "a number", "finite_number": "a finite number",
        "bool_parsing": "true or false",
        "string_too_long": f"at most {context.get('max_length')} characters long",
        "string_too_short": "at least one character long",
        "literal_error": str(context.get("expected")).strip("'"),
    }  # fmt: skip
    return table.get(kind, "valid")
