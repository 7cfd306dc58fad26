"""A layer as a file."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import StreamingResponse

from api.access import InView
from api.context import OfCollection
from api.parameters import unknown_parameter
from api.questions import FilterQuery
from layers.definition import Definition
from layers.errors import Unavailable
from layers.exporting import ENDINGS, Options, Report, export_file, format_of, headings_of
from layers.values import LOCAL_ZONE
from layers.writing import Format

router = APIRouter(tags=["Collections"])
AT_ONCE = 2
PIECE_BYTES = 256 << 10
REPORT_BYTES = 6000
MEDIA_TYPES: dict[Format, str] = {
    "gpkg": "application/geopackage+sqlite3",
    "geojson": "application/geo+json",
    "parquet": "application/vnd.apache.parquet",
    "fgb": "application/octet-stream",
    "shp": "application/zip",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
TOLD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file; the header Leeward-Report says what stands in it and what the format loses",
        "content": {media_type: {} for media_type in MEDIA_TYPES.values()},
    }
}
_slots = threading.BoundedSemaphore(AT_ONCE)


class ExportQuery(FilterQuery):
    """What is to be written, and how. The filters of `items` may be given as well."""

    format: Annotated[str, Field(max_length=40, description=", ".join(MEDIA_TYPES), examples=["gpkg"])]
    headings: Annotated[str, Field(max_length=40, description="names, zh or en")] = "names"
    crs: Annotated[str | None, Field(max_length=100, description="EPSG:n, GCJ-02 or BD-09", examples=["EPSG:4490"])] = (
        None
    )
    profile: Annotated[str | None, Field(max_length=100, description="An exchange profile")] = None
    since: Annotated[
        int | None, Field(description="Only what has changed since that version of the change log, deletions too")
    ] = None


@router.get("/collections/{collection}/export", summary="A layer as a file", responses=TOLD)
def export(view: InView, definition: OfCollection, query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
    """All items that the asker may see, or those that the filters leave, as a file that import reads back."""
    for name in ("limit", "cursor", "sortby", "properties", "f"):
        if name in (query.model_extra or {}):
            raise unknown_parameter(name, "no such parameter: an export holds all items and fields")
    form = format_of(query.format, Path())
    options = Options(
        format=form, headings=headings_of(query.headings), crs=query.crs, profile=query.profile, since=query.since,
        asked=query.page(view.catalog, definition, view.readers),
    )  # fmt: skip
    with _slot(), tempfile.TemporaryDirectory(prefix="leeward-export-") as folder:
        path = Path(folder) / f"{definition.id}{ENDINGS[form]}"
        report = export_file(view.readers, definition.id, path, options)
        size = path.stat().st_size
        file = path.open("rb")  # it is gone with its folder once it is closed
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": _disposition(definition, report),
        "Cache-Control": "no-store",
        "Leeward-Report": _told(report),
    }
    return StreamingResponse(_pieces(file), media_type=MEDIA_TYPES[form], headers=headers)


@contextmanager
def _slot() -> Iterator[None]:
    """One of the few places at which files are written."""
    if not _slots.acquire(blocking=False):
        raise Unavailable(f"{AT_ONCE} files are being written already", expected="the same request a little later")
    try:
        yield
    finally:
        _slots.release()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _disposition(definition: Definition, report: Report) -> str:
    """The file's name: the layer's id for old programs, its Chinese title and the day for others."""
    ending = ENDINGS[report.format]
    title = f"{'样例_' if report.sample else ''}{definition.title.zh}_{datetime.now(LOCAL_ZONE):%Y%m%d}{ending}"
    return f"attachment; filename=\"{definition.id}{ending}\"; filename*=UTF-8''{quote(title, safe='')}"


def _told(report: Report) -> str:
    """The report as JSON in ASCII; a very long one without its notes on sources."""
    told = dataclasses.asdict(report)
    for part in ("sources", "withdrawn", "notes", "losses"):
        text = json.dumps(told)
        if len(text) <= REPORT_BYTES:
            break
        told[part] = []
    return json.dumps(told)
