"""The web app's files."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from api import pages
from api.routes.service import landing_page
from layers.errors import NotFound
from layers.settings import settings

router = APIRouter(include_in_schema=False)
HASHED = re.compile(r"-[A-Za-z0-9_-]{8,}\.[a-z0-9.]+$")
NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Leeward</title>
<h1>Leeward</h1>
<p>The service answers, but the web app has not been built. Build it with <code>./dev setup</code>,
or <code>npm ci &amp;&amp; npm run build</code> in the folder <code>web</code>.</p>
<p>网页尚未构建：请运行 <code>./dev setup</code>。</p>
<p><a href="/api">The interface</a></p>
</html>
"""


KEPT = {"Cache-Control": "no-cache", "Vary": "Accept"}


@router.get("/")
def index(request: Request, f: str | None = None) -> Response:
    """The web app, or how to build it; for programs that ask for JSON the landing page of the OGC API."""
    if pages.wants_json(request, f):
        return pages.negotiated(Response(orjson.dumps(landing_page()), media_type="application/json"))
    page = settings().web / "index.html"
    if not page.is_file():
        return HTMLResponse(NOT_BUILT, headers=KEPT)
    return FileResponse(page, headers=KEPT)


@router.get("/{path:path}")
def asset(path: str) -> Response:
    """A file of the web app; one whose name holds its hash may be kept for ever."""
    file = _file(path)
    if file is None:
        raise NotFound("there is nothing at this address", expected="an address of /api")
    hashed = HASHED.search(file.name) is not None
    kept = "public, max-age=31536000, immutable" if hashed else "no-cache"
    return FileResponse(file, headers={"Cache-Control": kept})


def _file(path: str) -> Path | None:
    """The file of a path, when it lies in the web app's folder."""
    root = settings().web.resolve()
    try:
        file = (root / path).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None
    except (OSError, ValueError):
        return None
