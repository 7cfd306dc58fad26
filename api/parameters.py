"""The parameters that routes share: their types, limits and words for the OpenAPI document."""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from layers.crs import CRS84, Crs
from layers.errors import InvalidValue, UnknownParameter
from layers.features import CURSOR, LARGEST, Box, Place, SortKey

SWAPPED = ": are longitude and latitude swapped?"
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


class Query(BaseModel):
    """The query parameters of a route; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, given: Any) -> Any:
        names = [field.alias or name for name, field in cls.model_fields.items()]
        for name in given:
            if name not in names:
                raise unknown_parameter(name, ", ".join(names))
        return given


def given_in(query_string: bytes) -> dict[str, str]:
    """The parameters of a query string, by name.

    Raises
    ------
    InvalidValue
        When one is given twice, or holds a NUL character.
    """
    given: dict[str, str] = {}
    for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
        if name in given:
            raise InvalidValue(f"{name[:80]} is given more than once", parameter=name[:80], expected="one value")
        if "\0" in name or "\0" in value:
            raise InvalidValue("a NUL character is not text", parameter=name[:80].replace("\0", ""), expected="none")
        given[name] = value
    return given


def unknown_parameter(name: str, expected: str | None = None) -> UnknownParameter:
    """The problem of a parameter that does not exist, or that the asker may not use: the two are not told apart."""
    return UnknownParameter(f"there is no parameter {name[:80]!r}", parameter=name[:80], expected=expected)


def _plain(value: Any) -> Any:
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError("is not a number")
    return value


Number = Annotated[float, BeforeValidator(_plain)]


def numbers(text: str, parameter: str, counts: tuple[int, ...], expected: str) -> list[float]:
    """Finite numbers parted by commas.

    Raises
    ------
    InvalidValue
        When they are not numbers, or not as many as they should be.
    """
    parts = text.split(",")
    values = [float(part) for part in parts if NUMBER.fullmatch(part.strip())]
    if len(values) != len(parts) or len(values) not in counts or not all(map(math.isfinite, values)):
        raise InvalidValue(f"{text[:80]!r} is not {expected}", parameter=parameter, expected=expected)
    return values


def box_of(text: str, parameter: str = "bbox", crs: Crs = CRS84) -> Box:
    """West, south, east, north from four numbers, or from six with heights; west > east crosses the antimeridian.

    Parameters
    ----------
    crs : Crs
        Whose axes the numbers follow: south,west,north,east where latitude stands first.
    """
    expected = ("south,west,north,east" if crs.north_first else "west,south,east,north") + (
        " in degrees" if crs.is_degrees else " in metres"
    )
    values = numbers(text, parameter, (4, 6), expected)
    first, second, third, fourth = values if len(values) == 4 else (values[0], values[1], values[3], values[4])
    box = (second, first, fourth, third) if crs.north_first else (first, second, third, fourth)
    if crs.is_degrees:
        _refuse_outside(box, parameter, expected)
    if box[1] > box[3]:
        raise InvalidValue("south lies north of north", parameter=parameter, expected=expected)
    return box


def _refuse_outside(box: Box, parameter: str, expected: str) -> None:
    """Refuse a box that does not lie on the globe."""
    west, south, east, north = box
    if not all(-180 <= value <= 180 for value in (west, east)):
        raise InvalidValue("west and east must lie in -180…180", parameter=parameter, expected=expected)
    if not all(-90 <= value <= 90 for value in (south, north)):
        raise InvalidValue(f"south and north must lie in -90…90{SWAPPED}", parameter=parameter, expected=expected)


def place_of(text: str, parameter: str = "near") -> tuple[float, float]:
    """Longitude and latitude in degrees."""
    lon, lat = numbers(text, parameter, (2,), "lon,lat in degrees")
    if not -90 <= lat <= 90:
        raise InvalidValue(f"latitude must lie in -90…90{SWAPPED}", parameter=parameter, expected="lon,lat in degrees")
    if not -180 <= lon <= 180:
        raise InvalidValue("longitude must lie in -180…180", parameter=parameter, expected="lon,lat in degrees")
    return lon, lat


def moment_of(text: str, parameter: str) -> datetime:
    """A moment with its offset from UTC.

    Raises
    ------
    InvalidValue
        When it is none, or without an offset.
    """
    expected = "a moment with its offset such as 2026-11-20T14:20:00+08:00 (+ is written %2B) or 2026-11-20T06:20:00Z"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue(f"{text[:40]!r} is not a moment", parameter=parameter, expected=expected) from None
    if moment.tzinfo is None:
        raise InvalidValue(f"{text[:40]!r} has no offset", parameter=parameter, expected=expected)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidValue(f"{text[:40]!r} is out of range", parameter=parameter, expected=expected) from None


def names_of(text: str) -> tuple[str, ...]:
    """The words between commas, in order and once each."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def sort_of(text: str) -> tuple[SortKey, ...]:
    """The properties to sort by, each once; ``-`` before one turns its order round, ``+`` (or a space) does not."""
    keys: dict[str, SortKey] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name = part.lstrip("+-").strip() if part[0] in "+-" else part
        keys.setdefault(name, SortKey(name, descending=part.startswith("-")))
    return tuple(keys.values())


def cursor_of(place: Place, sort: tuple[SortKey, ...]) -> str:
    """The opaque text of a place in a list of features that are in some order."""
    return base64.urlsafe_b64encode(orjson.dumps([_order(sort), place.fid, *place.keys])).decode().rstrip("=")


def after_of(cursor: str, sort: tuple[SortKey, ...] = ()) -> Place:
    """The place that a cursor stands for.

    Raises
    ------
    InvalidValue
        When it is none of ours, or of a list in another order.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        order, fid, *keys = orjson.loads(text)
    except (binascii.Error, ValueError, TypeError):
        order, fid, keys = None, -1, []
    whole = isinstance(fid, int) and not isinstance(fid, bool) and 0 <= fid <= LARGEST
    if not whole or order != _order(sort) or len(keys) != len(sort) or not all(map(_is_key, keys)):
        raise InvalidValue("the cursor cannot be read", parameter="cursor", expected=CURSOR)
    return Place(fid, tuple(keys))


def _order(sort: tuple[SortKey, ...]) -> str:
    return ",".join(f"{'-' if key.descending else ''}{key.name}" for key in sort)


def _is_key(value: Any) -> bool:
    return value is None or (isinstance(value, str) and "\0" not in value)
