"""The service as a whole: what it shows, whether it lives, and the OGC landing page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api import errors, openapi, pages, tilesets
from api.access import InView
from api.context import InContext, View
from api.links import link
from api.parameters import box_of
from api.questions import FormQuery
from api.rasters import described
from api.routes.collections import refuse_query
from layers import features
from layers.errors import InvalidValue
from layers.features import Box, Holding, union
from layers.settings import settings

router = APIRouter(tags=["Service"])
WORLD: Box = (-180.0, -60.0, 180.0, 75.0)
SCREEN_PX = (900, 640)
TILE_PX = 512
FEATURES = "http://www.opengis.net/spec/ogcapi-features-"
CONFORMANCE = [
    *(f"{FEATURES}1/1.0/conf/{name}" for name in ("core", "oas30", "html", "geojson")),
    f"{FEATURES}2/1.0/conf/crs",
    *(f"{FEATURES}3/1.0/conf/{name}" for name in ("queryables", "queryables-query-parameters", "filter")),
    f"{FEATURES}3/1.0/conf/features-filter",
    *(
        f"http://www.opengis.net/spec/cql2/1.0/conf/{name}"
        for name in (
            "cql2-text", "cql2-json", "basic-cql2", "advanced-comparison-operators", "case-insensitive-comparison",
            "basic-spatial-functions", "basic-spatial-functions-plus", "spatial-functions", "array-functions",
            "property-property",
        )
    ),
]  # fmt: skip


@router.get("/service", summary="What the map shows at first")
def service(request: Request, context: InView) -> Response:
    """Name, version, first view, extent of the data, hazards, rasters and basemap."""
    refuse_query(request)
    held = context.holdings()
    box, area = _area(context)
    box = box or _box_of(context, held)
    sample = [holding for holding in held if holding.sample]
    shown = (_box_of(context, sample) if sample else None) or box or WORLD
    told = {
        "name": "Leeward",
        "version": release(),
        "view": _view(shown),
        "bbox": box,
        "area": area,
        "sample": bool(sample),
        "hazards": [
            {"code": code, "label": {"zh": words.zh, "en": words.en}}
            for code, words in context.catalog.codes["hazard"].items()
        ],
        "rasters": described(),
        "basemap": settings().checked_basemap(),
    }
    return Response(orjson.dumps(told), media_type="application/json")


@router.get("/healthz", summary="Whether the service lives")
def healthz() -> Response:
    """Answers without asking the database."""
    return Response(b'{"status":"alive"}', media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get("/readyz", summary="Whether the service can answer")
def readyz(context: InContext) -> Response:
    """Answers 503 while the database is away or has not been brought up to date."""
    context.public.readers.one("SELECT 1 FROM released.sources LIMIT 1")
    return Response(b'{"status":"ready"}', media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get("/api", summary="Landing page of the OGC API", responses=openapi.told_as(openapi.LANDING))
def landing(request: Request, query: Annotated[FormQuery, Query()]) -> Response:
    """Where everything is."""
    told = landing_page()
    if pages.wants_html(request, query.f):
        return pages.landing(told)
    return pages.negotiated(Response(orjson.dumps(told), media_type="application/json"))


def landing_page() -> dict[str, Any]:
    """What the landing page tells."""
    links = [
        link("/api", "self", "This page"),
        link("/api?f=html", "alternate", "This page to be read", "text/html"),
        link("/api/openapi.json", "service-desc", "The interface", openapi.MEDIA_TYPE),
        link("/conformance", "conformance", "What the interface conforms to"),
        link("/collections", "data", "The layers"),
        link("/service", "describedby", "What the map shows at first"),
        {**link("/nearest{?lon,lat,layers,k,hazard,places}", "search", "What is near"), "templated": True},
        link("/", "alternate", "The map", "text/html"),
        link("/changes", "version-history", "The change log"),
        link("/events", "monitor", "The change log as it grows", "text/event-stream"),
        *tilesets.landing_links(),
    ]
    return {"title": "Leeward", "description": "A hazard and shelter mapping service", "links": links}


@router.get("/conformance", summary="What the interface conforms to", responses=openapi.told_as(openapi.CLASSES))
def conformance(request: Request, query: Annotated[FormQuery, Query()]) -> Response:
    """The conformance classes of OGC API Features, CQL2 and OGC API Tiles that hold; each has a test."""
    claimed = CONFORMANCE + tilesets.CONFORMANCE
    if pages.wants_html(request, query.f):
        return pages.conformance(claimed)
    return pages.negotiated(Response(orjson.dumps({"conformsTo": claimed}), media_type="application/json"))


@router.get("/problems/{slug}", summary="What a problem's type means")
def problem_type(slug: str) -> Response:
    """The title and status of a type of problem."""
    for kind, status in errors.STATUS.items():
        if kind.slug == slug:
            told = {"type": f"/problems/{slug}", "title": kind.title, "status": int(status)}
            return Response(orjson.dumps(told), media_type="application/json")
    return errors.problem(404, "not-found", "Not found", "there is no such type of problem")


def release() -> str:
    """The version of the service."""
    try:
        return version("leeward")
    except PackageNotFoundError:
        return "0"


def _area(context: View) -> tuple[Box | None, dict[str, str] | None]:
    """The box and the name of the area that the service is for, where one is settled and known."""
    settled = settings().area
    if settled is None:
        return None, None
    try:
        return box_of(settled, "LEEWARD_AREA"), None
    except InvalidValue:
        pass
    found = features.area(context.readers, context.catalog, settled)
    if found is None:
        return None, None
    box, name, latin = found
    return box, {"zh": name, "en": latin or name}


def _box_of(context: View, held: Iterable[Holding]) -> Box | None:
    """The extent of what is held: of hazards, shelters and help where there are any, else of everything."""
    boxes = [holding for holding in held if holding.bbox is not None]
    first = [holding for holding in boxes if _is_foremost(context, holding.layer)]
    extents = [holding.bbox for holding in first or boxes if holding.bbox is not None]
    return union(extents) if extents else None


def _is_foremost(context: View, layer: str) -> bool:
    drawn = context.catalog[layer].map
    return drawn is not None and drawn.visible and drawn.group not in ("basemap", "people")


def _view(box: Box) -> dict[str, Any]:
    """The centre of a box and the zoom at which it fills a small screen."""
    west, south, east, north = box
    left, right = (west + 180) / 360, (east + 180) / 360
    top, bottom = _mercator(north), _mercator(south)
    widths = (max(right - left, 1e-9), max(bottom - top, 1e-9))
    zoom = min(math.log2(px / TILE_PX / width) for px, width in zip(SCREEN_PX, widths, strict=True))
    middle = math.degrees(math.atan(math.sinh(math.pi * (1 - (top + bottom)))))
    return {
        "center": [round((west + east) / 2, 6), round(middle, 6)],
        "zoom": round(min(max(zoom, 1.0), 15.0), 2),
    }


def _mercator(latitude: float) -> float:
    """The place of a latitude on the world tile: 0 at the north edge, 1 at the south edge."""
    angle = math.radians(max(-85.05, min(85.05, latitude)))
    return (1 - math.asinh(math.tan(angle)) / math.pi) / 2
