"""The own time of features: what ``datetime=`` asks for, as a condition over the columns of a layer's view."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from layers.database import sql
from layers.definition import Definition
from layers.errors import InvalidValue
from layers.values import LOCAL_ZONE

EXPECTED = (
    "a date, a moment with its offset such as 2026-11-20T14:20:00+08:00 (+ is written %2B), or an interval of two,"
    " parted by / and open where one is .."
)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")
LAST_OF_DAY = datetime.time(23, 59, 59, 999_999, tzinfo=LOCAL_ZONE)


def moment_text(moment: datetime.datetime, timespec: str = "auto") -> str:
    """A moment as answers write it: RFC 3339, with Z for UTC."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


@dataclass(frozen=True)
class Interval:
    """A stretch of time, both ends within it.

    Parameters
    ----------
    start, end : datetime or None
        Moments with their offset; None where it is open.
    """

    start: datetime.datetime | None
    end: datetime.datetime | None


def interval_of(text: str, parameter: str = "datetime") -> Interval:
    """What a text of OGC API Features asks for: a moment, a day in China's time, or an interval.

    Raises
    ------
    InvalidValue
        When it is none, or ends before it starts.

    References
    ----------
    OGC 17-069r4, 7.15.4; RFC 3339, 5.6.
    """
    parts = text.split("/")
    if len(parts) > 2 or all(part in ("", "..") for part in parts):
        raise _wrong(text, parameter)
    ends = [None if len(parts) == 2 and part in ("", "..") else _stretch(part, text, parameter) for part in parts]
    first, last = ends[0], ends[-1]
    found = Interval(first.start if first else None, last.end if last else None)
    if found.start is not None and found.end is not None and found.start > found.end:
        raise InvalidValue("the interval ends before it starts", parameter=parameter, expected=EXPECTED)
    return found


def _stretch(part: str, text: str, parameter: str) -> Interval:
    """A day from its first to its last microsecond, or a moment."""
    try:
        if DAY.fullmatch(part):
            day = datetime.date.fromisoformat(part)
            midnight = datetime.datetime.combine(day, datetime.time(tzinfo=LOCAL_ZONE))
            return Interval(midnight.astimezone(datetime.UTC), datetime.datetime.combine(day, LAST_OF_DAY))
        if MOMENT.fullmatch(part):
            moment = datetime.datetime.fromisoformat(part.upper()).astimezone(datetime.UTC)
            return Interval(moment, moment)
    except (ValueError, OverflowError):
        pass
    raise _wrong(text, parameter)


def _wrong(text: str, parameter: str) -> InvalidValue:
    return InvalidValue(f"{text[:80]!r} is no time", parameter=parameter, expected=EXPECTED)


def within(definition: Definition, asked: Interval) -> sql.Composable:
    """That a feature's own time meets an interval; a feature without a time of its own always does.

    References
    ----------
    OGC 17-069r4, requirement 25: "The datetime parameter SHALL match all features in the collection that are not
    associated with a temporal geometry, too."
    """
    time = definition.time
    if time is None:
        return sql.SQL("true")
    conditions = []
    if asked.end is not None:
        conditions.append(_side(definition, time.start, "<=", asked.end))
    if asked.start is not None:
        conditions.append(_side(definition, time.end or time.start, ">=", asked.start))
    return sql.SQL("({})").format(sql.SQL(" AND ").join(conditions))


def _side(definition: Definition, name: str, sign: str, moment: datetime.datetime) -> sql.Composable:
    value: datetime.date = moment
    if definition.fields[name].type == "date":
        value = moment.astimezone(LOCAL_ZONE).date()
    column = sql.Identifier(name)
    return sql.SQL(f"({{0}} IS NULL OR {{0}} {sign} {{1}})").format(column, sql.Literal(value))
