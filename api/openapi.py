"""The OpenAPI document in version 3.0, which OGC API Features and its clients read; FastAPI writes 3.1."""

from __future__ import annotations

from typing import Any

VERSION = "3.0.3"
MEDIA_TYPE = "application/vnd.oai.openapi+json;version=3.0"
BBOX = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
HTML = {"text/html": {"schema": {"type": "string"}}}
CONTENT_CRS = {"Content-Crs": {"description": "The CRS of the coordinates", "schema": {"type": "string"}}}
Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]
LIMITS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
LINKS = {"type": "array", "items": _object("href rel type", href=TEXT, rel=TEXT, type=TEXT, title=TEXT)}
FEATURE = _object(
    "type id geometry properties",
    type={"type": "string", "enum": ["Feature"]},
    id=COUNT,
    geometry={"type": "object", "nullable": True},
    properties={"type": "object"},
    links=LINKS,
)
FEATURES = _object(
    "type features numberReturned timeStamp links",
    type={"type": "string", "enum": ["FeatureCollection"]},
    features={"type": "array", "items": FEATURE},
    numberMatched={**COUNT, "description": "Exact; not there where counting is dear"},
    numberMatchedEstimate={**COUNT, "description": "The planner's estimate, in place of numberMatched"},
    numberReturned=COUNT,
    timeStamp={"type": "string", "format": "date-time"},
    links=LINKS,
)
COLLECTION = _object(
    "id title description links crs storageCrs itemType",
    id=TEXT, title=TEXT, description=TEXT, links=LINKS, crs={"type": "array", "items": TEXT}, storageCrs=TEXT,
    itemType=TEXT, extent={"type": "object"},
)  # fmt: skip
COLLECTIONS = _object("collections links", collections={"type": "array", "items": COLLECTION}, links=LINKS)
LANDING = _object("links", title=TEXT, description=TEXT, links=LINKS)
CLASSES = _object("conformsTo", conformsTo={"type": "array", "items": TEXT})


def told_as(schema: Schema, media_type: str = "application/json", **further: Any) -> Responses:
    """The answer 200 of a route: JSON by a schema, or a page to be read."""
    return {200: {"content": {media_type: {"schema": schema}, **HTML}, **further}}


def as_3_0(document: dict[str, Any]) -> dict[str, Any]:
    """A document of version 3.1 as one of version 3.0.

    Notes
    -----
    A parameter that may be left out is no parameter that may be null; lists of types become ``nullable``; constants
    become enumerations of one; examples of a schema become its first. A box is an array of numbers parted by commas, as
    the standard has it.
    """
    converted: dict[str, Any] = {**_converted(document), "openapi": VERSION}
    for path in converted["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "bbox":
                    told = {key: value for key, value in parameter["schema"].items() if key in ("title", "description")}
                    parameter |= {"schema": {**told, **BBOX}, "style": "form", "explode": False}
    return converted


def _converted(value: Any) -> Any:
    if isinstance(value, list):
        return [_converted(part) for part in value]
    if not isinstance(value, dict):
        return value
    told = {key: _converted(part) for key, part in value.items()}
    return _schema(told)


def _schema(told: dict[str, Any]) -> dict[str, Any]:
    """A schema without what version 3.0 does not know; other objects stay as they are."""
    options = told.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        del told["anyOf"]
        told = {**rest[0], **told} if len(rest) == 1 else {**told, "anyOf": rest}
    if isinstance(told.get("type"), list):
        told["nullable"] = "null" in told["type"]
        told["type"] = next(kind for kind in told["type"] if kind != "null")
    if "const" in told:
        told["enum"] = [told.pop("const")]
    if isinstance(told.get("examples"), list):
        told["example"] = told.pop("examples")[0]
    for strict, limit in LIMITS.items():
        if isinstance(told.get(strict), int | float) and not isinstance(told[strict], bool):
            told[limit], told[strict] = told[strict], True
    return told
