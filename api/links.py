"""Links. They are told as absolute addresses: QGIS 3.22 and many later ones follow no others (qgis/QGIS#58089)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from starlette.types import Scope

BASE: ContextVar[str] = ContextVar("base", default="")
"""Where the service is, as who asks has addressed it."""


def base_of(scope: Scope) -> str:
    """Where a request was sent to: scheme, host and port."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), None)
    if host is None:
        return ""
    return f"{scope.get('scheme', 'http')}://{host}{scope.get('root_path', '')}"


def absolute(path: str) -> str:
    """The address of a path of the service, for the request that is being answered."""
    return BASE.get() + path


def link(href: str, rel: str, title: str, media_type: str = "application/json") -> dict[str, Any]:
    """A link to a path of the service."""
    return {"href": absolute(href), "rel": rel, "type": media_type, "title": title}
