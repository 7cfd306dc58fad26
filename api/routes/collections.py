"""Collections and their items: OGC API Features."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api import openapi, pages, tilesets
from api.access import InView
from api.context import OfCollection, View
from api.links import absolute
from api.parameters import Query as Parameters
from api.parameters import cursor_of, moment_of, unknown_parameter
from api.questions import SAME_ITEMS, AsOf, ItemQuery, ItemsQuery, MomentQuery
from layers import changes, crs, features, grades, workflow
from layers.catalog import Catalog
from layers.database import Scope
from layers.definition import Definition
from layers.definition import Field as LayerField
from layers.editing import etag, monitoring_fields
from layers.errors import NotFound
from layers.features import SYSTEM_PROPERTIES, Found, Holding, Page, union
from layers.tables import fields_of
from layers.times import moment_text

router = APIRouter(tags=["Collections"])
GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
AS_SCHEMA: dict[int | str, dict[str, Any]] = {200: {"content": {SCHEMA: {}}}}
HTML = "text/html"
FORM_PARTS = (
    "public", "personal", "required", "minimum", "maximum", "pattern", "default", "computed", "aliases", "example",
)  # fmt: skip
JSON_TYPES: dict[str, dict[str, str]] = {
    "text": {"type": "string"}, "integer": {"type": "integer"}, "number": {"type": "number"},
    "boolean": {"type": "boolean"}, "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"}, "code": {"type": "string"}, "codes": {"type": "array"},
    "item": {"type": "integer"},
}  # fmt: skip

SYSTEM_SCHEMA: dict[str, dict[str, Any]] = {
    "source": {"title": "Source", "type": "string"},
    "sample": {"title": "Sample data, not real", "type": "boolean"},
    "flags": {"title": "What is doubtful", "type": "array", "items": {"type": "string"}},
    "recorded_at": {"title": "Recorded at", "type": "string", "format": "date-time"},
}


class SchemaQuery(Parameters):
    """In which form the schema is wanted."""

    f: Annotated[Literal["json"] | None, Field(description="json")] = None


class BoardQuery(Parameters):
    """How much of the board is asked for, and of when."""

    limit: Annotated[int, Field(ge=0, le=1000, description="Items a state")] = 50
    as_of: AsOf = None


@router.get("/collections", summary="The layers", responses=openapi.told_as(openapi.COLLECTIONS))
def collections(request: Request, context: InView, query: Annotated[MomentQuery, Query()]) -> Response:
    """Every layer: what it is, how it is drawn, how much it holds. Sample and real data are counted apart."""
    context = context.at(query.moment())
    found = [_collection(context, definition) for definition in context.catalog.values()]
    links = [_link("/collections", "self", "The layers"), _link("/collections?f=html", "alternate", "As a page", HTML)]
    if pages.wants_html(request, query.f):
        return pages.collections(found)
    return pages.negotiated(_json({"crs": list(crs.KNOWN), "collections": found, "links": links}))


@router.get("/collections/{collection}", summary="One layer", responses=openapi.told_as(openapi.COLLECTION))
def collection(
    request: Request, context: InView, definition: OfCollection, query: Annotated[MomentQuery, Query()]
) -> Response:
    """One layer: what it is, how it is drawn, how much it holds."""
    told = _collection(context.at(query.moment()), definition)
    return pages.collection(told) if pages.wants_html(request, query.f) else pages.negotiated(_json(told))


@router.get("/collections/{collection}/board", summary="The workflow of a layer, counted and listed")
def board(context: InView, definition: OfCollection, query: Annotated[BoardQuery, Query()]) -> Response:
    """The items in the loop by state, overdue first, and the counts; for those who have signed in."""
    moment = moment_of(query.as_of, "as_of") if query.as_of is not None else None
    readers = context.readers if moment is None else context.readers.at(moment)
    return _json(workflow.board(readers, context.catalog, definition, query.limit, workflow.day_of(moment)))


@router.get("/collections/{collection}/schema", summary="A layer's fields as JSON Schema", responses=AS_SCHEMA)
def schema(context: InView, definition: OfCollection, query: Annotated[SchemaQuery, Query()]) -> Response:
    """The fields that may be read: types, units, codes."""
    return _json(_schema(context.catalog, definition, "schema", context.readers.scope), SCHEMA)


@router.get(
    "/collections/{collection}/queryables", summary="The properties that items can be asked by", responses=AS_SCHEMA
)
def queryables(context: InView, definition: OfCollection, query: Annotated[SchemaQuery, Query()]) -> Response:
    """What `filter` may name; all but the geometry may be parameters of `items` as well."""
    return _json(_schema(context.catalog, definition, "queryables", context.readers.scope), SCHEMA)


@router.get(
    "/collections/{collection}/sortables", summary="The properties that items can be sorted by", responses=AS_SCHEMA
)
def sortables(context: InView, definition: OfCollection, query: Annotated[SchemaQuery, Query()]) -> Response:
    """What `sortby` may name."""
    return _json(_schema(context.catalog, definition, "sortables", context.readers.scope), SCHEMA)


@router.get(
    "/collections/{collection}/items",
    summary="A layer's items",
    responses=openapi.told_as(openapi.FEATURES, GEOJSON, headers=openapi.CONTENT_CRS),
)
def items(
    request: Request, context: InView, definition: OfCollection, query: Annotated[ItemsQuery, Query()]
) -> Response:
    """Items as GeoJSON, in the order of their numbers or of `sortby`; `next` leads to the following page.

    `numberMatched` is there up to 100 000 items; beyond, there is `numberMatchedEstimate`, the planner's, in its place.
    """
    asked = query.page(context.catalog, definition, context.readers)
    found = features.page(context.readers, context.catalog, definition, asked)
    rest = {
        **_matched(context, definition, query, asked, found),
        "numberReturned": found.count,
        "timeStamp": _now(),
        "links": _page_links(definition, query, asked, found),
    }
    if pages.wants_html(request, query.f):
        return pages.items(definition, orjson.loads(b"[" + found.features + b"]"), rest)
    body = b'{"type":"FeatureCollection","features":[' + found.features + b"]," + orjson.dumps(rest)[1:]
    headers = {"Content-Crs": f"<{asked.crs.uri}>"}
    return pages.negotiated(Response(body, media_type=GEOJSON, headers=headers))


def _matched(context: View, definition: Definition, query: ItemsQuery, asked: Page, found: Found) -> dict[str, int]:
    """How many items there are in all, as a member of the answer."""
    if found.more is None and asked.after is None:
        return {"numberMatched": found.count}
    question = f"{definition.id}?{query.query(*SAME_ITEMS)}"
    version = changes.latest(context.readers) if asked.as_of is None else 0
    count, estimated = context.counts(
        question, version, lambda: features.matched(context.readers, context.catalog, definition, asked)
    )
    return {"numberMatchedEstimate" if estimated else "numberMatched": max(count, found.count)}


def _page_links(definition: Definition, query: ItemsQuery, asked: Page, found: Found) -> list[dict[str, str]]:
    path = f"/collections/{definition.id}/items"

    def to(query_string: str) -> str:
        return f"{path}?{query_string}" if query_string else path

    links = [
        _link(to(query.query("f")), "self", "This page", GEOJSON),
        _link(to(query.query(f="html")), "alternate", "This page to be read", HTML),
    ]
    if found.more is not None:
        following = query.query("f", cursor=cursor_of(found.more, asked.sort))
        links.append(_link(to(following), "next", "The next page", GEOJSON))
    links.append(_link(f"/collections/{definition.id}", "collection", definition.title.en))
    return links


@router.get(
    "/collections/{collection}/items/{fid}",
    summary="One item",
    responses=openapi.told_as(openapi.FEATURE, GEOJSON, headers=openapi.CONTENT_CRS),
)
def item(
    request: Request,
    context: InView,
    definition: OfCollection,
    fid: Annotated[str, Path(description="The item's number", examples=["1"])],
    query: Annotated[ItemQuery, Query()],
) -> Response:
    """One item as GeoJSON. An item that is withheld is answered like one that does not exist."""
    given = crs.crs_of(query.crs) if query.crs is not None else crs.CRS84
    found = features.item(context.readers, definition, number_of(fid), as_of=query.moment(), crs=given)
    if found is None:
        raise no_item(definition, fid)
    if pages.wants_html(request, query.f):
        return pages.item(definition, orjson.loads(found.text))
    response = item_response(definition.id, found.text, int(fid), found.change)
    response.headers["Content-Crs"] = f"<{given.uri}>"
    return pages.negotiated(response)


@router.get("/collections/{collection}/items/{fid}/history", summary="What became of an item")
def history(
    request: Request,
    context: InView,
    definition: OfCollection,
    fid: Annotated[str, Path(description="The item's number", examples=["1"])],
) -> Response:
    """Every change of an item, the newest first: what changed, when, and for those who have signed in by whom and why.

    An item that was deleted has its history too; of one that is withheld nothing is told in public.
    """
    refuse_query(request)
    told = changes.history(context.readers, definition, number_of(fid))
    if not told:
        raise no_item(definition, fid)
    return _json({"changes": told})


def number_of(fid: str) -> int:
    """The number of an item, from an address; -1 when it is none."""
    return int(fid) if fid.isascii() and fid.isdecimal() and len(fid) < 20 else -1


def no_item(definition: Definition, fid: str) -> NotFound:
    """The problem of an item that is not there, or withheld."""
    detail = f"the layer {definition.id} has no item {fid[:40]!r}"
    return NotFound(detail, parameter="fid", expected="an item's number")


def item_response(layer: str, text: str, fid: int, change: int, status: int = 200) -> Response:
    """An item as GeoJSON with its links and its entity tag."""
    path = f"/collections/{layer}/items/{fid}"
    links = [
        _link(path, "self", "This item", GEOJSON),
        _link(f"{path}?f=html", "alternate", "This item to be read", HTML),
        _link(f"{path}/history", "version-history", "What became of it"),
        _link(f"/collections/{layer}", "collection", layer),
    ]
    body = text[:-1].encode() + b',"links":' + orjson.dumps(links) + b"}"
    headers = {"ETag": etag(change)}
    if status == HTTPStatus.CREATED:
        headers["Location"] = path
    return Response(body, status_code=status, media_type=GEOJSON, headers=headers)


def refuse_query(request: Request) -> None:
    """Refuse any query parameter, on a route that has none."""
    for name in request.query_params:
        raise unknown_parameter(name, "no parameters")


def _json(content: Any, media_type: str = "application/json") -> Response:
    return Response(orjson.dumps(content), media_type=media_type)


def _now() -> str:
    return moment_text(datetime.now(UTC), "seconds")


def _link(href: str, rel: str, title: str, media_type: str = "application/json") -> dict[str, str]:
    return {"href": absolute(href), "rel": rel, "type": media_type, "title": title}


def _collection(context: View, definition: Definition) -> dict[str, Any]:
    held = [holding for holding in context.holdings() if holding.layer == definition.id]
    path = f"/collections/{definition.id}"
    links = [
        _link(path, "self", definition.title.en),
        _link(f"{path}?f=html", "alternate", definition.title.en, HTML),
        _link(f"{path}/items", "items", "Items", GEOJSON),
        _link(f"{path}/items?f=html", "items", "Items to be read", HTML),
        _link(f"{path}/schema", "http://www.opengis.net/def/rel/ogc/1.0/schema", "Schema", SCHEMA),
        _link(f"{path}/queryables", "http://www.opengis.net/def/rel/ogc/1.0/queryables", "Queryables", SCHEMA),
        _link(f"{path}/sortables", "http://www.opengis.net/def/rel/ogc/1.0/sortables", "Sortables", SCHEMA),
    ]
    if definition.has_geometry:
        links += [_link(f"/tiles/{definition.id}.json", "tiles", "TileJSON"), tilesets.vector_link(definition.id)]
    known = {
        "id": definition.id,
        "title": definition.title.zh,
        "titles": definition.title.model_dump(),
        "description": definition.abstract.zh,
        "abstracts": definition.abstract.model_dump(),
        "itemType": "feature",
        "crs": list(crs.KNOWN),
        "storageCrs": crs.CRS84.uri,
        "counts": {
            "real": sum(h.count for h in held if not h.sample),
            "sample": sum(h.count for h in held if h.sample),
        },
        "sources": _sources(context, held),
        "layer": _layer(context.catalog, definition, context.readers.scope),
        "links": links,
    }
    boxes = [holding.bbox for holding in held if holding.bbox is not None]
    if boxes:
        known["extent"] = {"spatial": {"bbox": [union(boxes)], "crs": crs.CRS84.uri}}
    return known


def _sources(context: View, held: list[Holding]) -> list[dict[str, Any]]:
    if not held:
        return []
    terms = context.sources()
    unknown = {"name": "", "licence": "", "attribution": "", "url": None}
    return [{**unknown, **terms.get(h.source, {}), "id": h.source, "sample": h.sample, "count": h.count} for h in held]


def _layer(known: Catalog, definition: Definition, scope: Scope) -> dict[str, Any]:
    nearest = definition.nearest
    told: dict[str, Any] = {
        "geometry": definition.geometry,
        "name_field": definition.name_field,
        "fields": [_field(known, definition, name, scope) for name in fields_of(definition, scope)],
        "map": definition.map.model_dump(mode="json") if definition.map is not None else None,
        "time": definition.time.model_dump() if definition.time is not None else None,
        "closes": definition.closes and {"effect": definition.closes.effect},
        "tiles": definition.tiles.model_dump(include={"min_zoom", "detail_zoom", "worst", "persons"}),
        "nearest": {"default": nearest.default, "k": nearest.k} if nearest is not None else None,
    }
    if not scope.public:
        loop = definition.workflow
        told["workflow"] = loop.model_dump(mode="json", by_alias=True) if loop is not None else None
        told["computed"] = grades.described(definition)
        told["monitoring"] = monitoring_fields(definition)
    return told


def _field(known: Catalog, definition: Definition, name: str, scope: Scope) -> dict[str, Any]:
    field = definition.fields[name]
    told: dict[str, Any] = {
        "name": name,
        "type": field.type,
        "label": field.label.model_dump(),
        "unit": field.unit,
        "note": field.note.model_dump() if field.note is not None else None,
    }
    if field.codes is not None:
        codes = known.codes_of(definition, field)
        told["codes"] = [{"code": code, "label": {"zh": words.zh, "en": words.en}} for code, words in codes.items()]
    if field.layer is not None:
        told["layer"] = field.layer
    if field.stated_at is not None:
        told |= {"stated_at": field.stated_at, "stale_after_h": field.stale_after_h}
    if not scope.public:
        told |= {part: getattr(field, part) for part in FORM_PARTS}
    return told


def _schema(known: Catalog, definition: Definition, kind: str, scope: Scope) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if kind == "schema":
        properties["fid"] = {"title": "Number", "type": "integer", "x-ogc-role": "id", "readOnly": True}
    if definition.has_geometry and kind != "sortables":
        shape = "geometry-any" if definition.geometry == "Geometry" else f"geometry-{definition.geometry.lower()}"
        properties["geometry"] = {"x-ogc-role": "primary-geometry", "format": shape}
    for name in fields_of(definition, scope):
        properties[name] = _property(known, definition, definition.fields[name])
    for name, role in _roles(definition):
        properties[name]["x-ogc-role"] = role
    properties |= {name: {**SYSTEM_SCHEMA[name], "readOnly": True} for name in SYSTEM_PROPERTIES}
    if kind == "sortables":
        properties = {name: properties[name] for name in features.sortables(definition, scope)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/collections/{definition.id}/{kind}",
        "type": "object",
        "title": definition.title.zh,
        "description": definition.abstract.zh,
        "properties": properties,
        "additionalProperties": False,
    }


def _roles(definition: Definition) -> list[tuple[str, str]]:
    """The fields that are a feature's own time, each with its role."""
    time = definition.time
    if time is None:
        return []
    if time.end is None:
        return [(time.start, "primary-instant")]
    return [(time.start, "primary-interval-start"), (time.end, "primary-interval-end")]


def _property(known: Catalog, definition: Definition, field: LayerField) -> dict[str, Any]:
    told: dict[str, Any] = {"title": field.label.zh, "x-title-en": field.label.en, **JSON_TYPES[field.type]}
    if field.unit is not None:
        told["x-ogc-unit"] = field.unit
    if field.note is not None:
        told["description"] = field.note.zh
    if field.minimum is not None:
        told["minimum"] = field.minimum
    if field.maximum is not None:
        told["maximum"] = field.maximum
    if field.pattern is not None:
        told["pattern"] = field.pattern
    if field.codes is not None:
        codes = {"type": "string", "enum": list(known.codes_of(definition, field))}
        told |= {"items": codes} if field.type == "codes" else codes
    if field.layer is not None:
        told["x-layer"] = field.layer
    return told
