"""The parameters that routes share: their types, limits and words for the OpenAPI document."""

from __future__ import annotations

import base64
import binascii
import math

from pydantic import BaseModel, ConfigDict

from layers.errors import InvalidValue
from layers.features import LARGEST, Box

SWAPPED = ": are longitude and latitude swapped?"


class Query(BaseModel):
    """The query parameters of a route; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def numbers(text: str, parameter: str, counts: tuple[int, ...], expected: str) -> list[float]:
    """Finite numbers parted by commas.

    Raises
    ------
    InvalidValue
        When they are not numbers, or not as many as they should be.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in counts or not all(map(math.isfinite, values)):
        raise InvalidValue(f"{text[:80]!r} is not {expected}", parameter=parameter, expected=expected)
    return values


def box_of(text: str, parameter: str = "bbox") -> Box:
    """West, south, east, north from four numbers, or from six with heights; west > east crosses the antimeridian."""
    values = numbers(text, parameter, (4, 6), "west,south,east,north in degrees")
    west, south, east, north = values if len(values) == 4 else (values[0], values[1], values[3], values[4])
    if not all(-180 <= value <= 180 for value in (west, east)):
        raise InvalidValue(
            "west and east must lie in -180…180", parameter=parameter, expected="west,south,east,north in degrees"
        )
    if not all(-90 <= value <= 90 for value in (south, north)):
        raise InvalidValue(
            f"south and north must lie in -90…90{SWAPPED}", parameter=parameter, expected="west,south,east,north in degrees"
        )
    if south > north:
        raise InvalidValue("south lies north of north", parameter=parameter, expected="west,south,east,north in degrees")
    return west, south, east, north


def place_of(text: str, parameter: str = "near") -> tuple[float, float]:
    """Longitude and latitude in degrees."""
    lon, lat = numbers(text, parameter, (2,), "lon,lat in degrees")
    if not -90 <= lat <= 90:
        raise InvalidValue(f"latitude must lie in -90…90{SWAPPED}", parameter=parameter, expected="lon,lat in degrees")
    if not -180 <= lon <= 180:
        raise InvalidValue("longitude must lie in -180…180", parameter=parameter, expected="lon,lat in degrees")
    return lon, lat


def names_of(text: str) -> tuple[str, ...]:
    """The words between commas, in order and once each."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def cursor_of(fid: int) -> str:
    """The opaque text of a place in a list of features."""
    return base64.urlsafe_b64encode(f"fid {fid}".encode()).decode().rstrip("=")


def after_of(cursor: str) -> int:
    """The place that a cursor stands for.

    Raises
    ------
    InvalidValue
        When it is none of ours.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        word, _, number = text.partition(" ")
        if word == "fid" and number.isdecimal() and len(number) < 20 and int(number) <= LARGEST:
            return int(number)
    except (binascii.Error, ValueError):
        pass
    raise InvalidValue("the cursor cannot be read", parameter="cursor", expected="the cursor of a `next` link")
