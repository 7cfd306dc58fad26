"""Bodies of requests: JSON objects, read no further than is allowed."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from layers.errors import InvalidValue


async def json_object(request: Request, at_most: int, expected: str, further: str = "") -> dict[str, Any]:
    """The JSON object that a request bears.

    Parameters
    ----------
    at_most : int
        How many bytes are read.
    expected : str
        What it should be, for who sends something else.
    further : str
        What else can be done with a body that is too large.

    Raises
    ------
    InvalidValue
        When it is too large, no JSON, or no object.
    """
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > at_most:
            raise InvalidValue("the body is too large", expected=f"{at_most >> 20} MB at most{further}")
        parts.append(part)
    try:
        given = json.loads(b"".join(parts), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"the body is no JSON: {str(error)[:100]}", expected=expected) from None
    if not isinstance(given, dict):
        raise InvalidValue("the body is no JSON object", expected=expected)
    return given


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
