"""The own time of features: every shape of interval by hand, and an oracle on random ones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.catalog import catalog
from layers.database import Readers
from layers.errors import InvalidValue
from layers.features import Page, frame
from layers.times import Interval, interval_of
from layers.values import LOCAL_ZONE
from tests.gis.rows import empty, put

HOUR = timedelta(hours=1)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]  # the parts are a date and a time


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11-20T06:20:00Z", at(2026, 11, 20, 6, 20), at(2026, 11, 20, 6, 20)),
        ("2026-11-20t14:20:00.5+08:00", at(2026, 11, 20, 6, 20, 0, 500_000), at(2026, 11, 20, 6, 20, 0, 500_000)),
        ("2026-11-20", at(2026, 11, 19, 16), at(2026, 11, 20, 15, 59, 59, 999_999)),
        ("2026-11-20/2026-11-21", at(2026, 11, 19, 16), at(2026, 11, 21, 15, 59, 59, 999_999)),
        ("../2026-11-20T06:20:00Z", None, at(2026, 11, 20, 6, 20)),
        ("/2026-11-20T06:20:00Z", None, at(2026, 11, 20, 6, 20)),
        ("2026-11-20T06:20:00Z/..", at(2026, 11, 20, 6, 20), None),
        ("2026-11-20T06:20:00Z/", at(2026, 11, 20, 6, 20), None),
    ],
)
def test_what_a_text_asks_for(text: str, start: datetime | None, end: datetime | None) -> None:
    assert interval_of(text) == Interval(start, end)


@pytest.mark.parametrize(
    "text",
    [
        "", "..", "/", "../..", "a", "2026", "2026-13-01", "2026-11-20T06:20:00", "2026-11-20 06:20:00Z",
        "2026-11-20T06:20Z", "2026-11-20/2026-11-19", "2026-11-20/2026-11-21/2026-11-22", "2026-11-20T25:00:00Z",
        "0001-01-01T00:00:00+23:00", "0001-01-01", "9999-12-31T23:59:59-23:00", "２０２６-11-20", "2026-11-20\0",
    ],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        interval_of(text)
    assert raised.value.parameter == "datetime"
    assert raised.value.expected


def found(readers: Readers, layer: str, text: str) -> list[str]:
    return list(frame(readers, catalog(), catalog()[layer], Page(time=interval_of(text)))["name"])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("2026-05-12T00:00:00Z", ["twelfth", "unknown"]),
        ("2026-05-12T16:00:00Z", ["thirteenth", "unknown"]),  # midnight in China: the next day
        ("2026-05-12", ["twelfth", "unknown"]),
        ("2026-05-12/2026-05-13", ["twelfth", "thirteenth", "unknown"]),
        ("../2026-05-12", ["twelfth", "unknown"]),
        ("2026-05-13/..", ["thirteenth", "unknown"]),
        ("2027-01-01/..", ["unknown"]),
    ],
)
def test_days(database: str, readers: Readers, text: str, names: list[str]) -> None:
    put(
        database,
        "drills",
        {"name": "twelfth", "at": (1, 1), "held_on": "2026-05-12"},
        {"name": "thirteenth", "at": (1, 1), "held_on": "2026-05-13"},
        {"name": "unknown", "at": (1, 1)},
    )
    assert found(readers, "drills", text) == names


def test_moments_and_layers_without_a_time(database: str, readers: Readers) -> None:
    put(database, "incidents", {"name": "slide", "at": (1, 1), "occurred_at": "2026-11-20T13:55:00+08:00"})
    assert found(readers, "incidents", "2026-11-20T05:55:00Z") == ["slide"]
    assert found(readers, "incidents", "2026-11-20T05:55:01Z") == []
    assert found(readers, "incidents", "2026-11-20") == ["slide"]
    put(database, "shelters", {"name": "school", "at": (1, 1)})
    assert found(readers, "shelters", "1900-01-01") == ["school"]


DAYS = st.dates(date(2026, 1, 1), date(2026, 1, 9))
SPANS = st.tuples(st.none() | DAYS, st.none() | DAYS)


@given(rows=st.lists(SPANS, max_size=6), asked=st.tuples(DAYS, DAYS).map(sorted))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_spans_meet_as_an_oracle_says(
    database: str, readers: Readers, rows: list[tuple[date | None, date | None]], asked: list[date]
) -> None:
    empty(database)
    names = [str(number) for number in range(len(rows))]
    put(
        database,
        "safety_hazards",
        *({"name": n, "at": (1, 1), "found_on": s, "struck_off_on": e} for n, (s, e) in zip(names, rows, strict=True)),
    )
    first, last = asked
    meeting = [
        name
        for name, (start, end) in zip(names, rows, strict=True)
        if (start is None or start <= last) and (end is None or end >= first)
    ]
    assert found(readers, "safety_hazards", f"{first}/{last}") == meeting


def test_a_day_holds_its_first_and_its_last_moment() -> None:
    day = interval_of("2026-11-20")
    assert day.start is not None
    assert day.end is not None
    assert day.end - day.start == 24 * HOUR - timedelta(microseconds=1)
    assert day.start.astimezone(LOCAL_ZONE).hour == 0
