"""Values as people write them, and the columns they stand in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

from layers import values
from layers.catalog import catalog
from layers.errors import InvalidValue

HAZARDS = catalog()["hazard_points"]
SHELTERS = catalog()["shelters"]
STOCK = catalog()["stock"]


def read(texts: list[str | None], name: str, definition: Any = HAZARDS, **options: Any) -> values.Values:
    return values.reader(catalog(), definition, name, **options)(pa.array(texts, pa.string()))


def columns(headings: list[str], definition: Any = HAZARDS, own: Mapping[str, str] | None = None) -> values.Columns:
    return values.columns(definition, headings, {}, own or {})


# --- numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1844", 1844), ("1,844", 1844), ("１，８４４", 1844), ("120人", 120), ("1.2万", 12_000), (" 7 ", 7),
        ("1e3", 1000),
        ("+5", 5), ("0", 0), ("1 200", 1200), ("3.0", 3),
    ],
)  # fmt: skip
def test_numbers(text: str, number: int) -> None:
    found = read([text], "threatened_persons")
    assert found.values.to_pylist() == [number]
    assert (found.unread, found.wrong) == ({}, {})


@pytest.mark.parametrize("text", ["", "-", "不详", "N/A", "nan", "待核实", None])
def test_missing_numbers(text: str | None) -> None:
    found = read([text], "threatened_persons")
    assert found.values.to_pylist() == [None]
    assert (found.unread, found.wrong) == ({}, {})


@pytest.mark.parametrize("text", ["约30", "3,5", "1.5", "1e400", "9" * 40, "inf", "1e19", "-inf", "12a", "1\x002"])
def test_unreadable_numbers_are_unknown_and_kept(text: str) -> None:
    found = read([text, "4"], "threatened_persons")
    assert found.values.to_pylist() == [None, 4]
    assert (found.unread, found.wrong) == ({0: text}, {})


@pytest.mark.parametrize("text", ["1e400", "9e307", "inf"])
def test_numbers_beyond_all_bounds_are_unknown(text: str) -> None:
    found = read([text], "volume_m3", factor=1e4)
    assert found.values.to_pylist() == [None]
    assert found.unread == {0: text}


def test_a_number_that_cannot_be_is_wrong() -> None:
    found = read(["5", "-5"], "threatened_persons")
    assert list(found.wrong) == [1]
    assert "-5" in found.wrong[1]


# --- dates


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-06-30", "2024-06-30"), ("2024/6/30", "2024-06-30"), ("2024.6.30", "2024-06-30"),
        ("20240630", "2024-06-30"),
        ("2024年6月30日", "2024-06-30"), ("民國113年6月30日", "2024-06-30"), ("6/30/2024", "2024-06-30"),
        ("30/6/2024", "2024-06-30"), ("２０２４／６／３０", "2024-06-30"), ("45473", "2024-06-30"),
        ("2024-06-30 14:20", "2024-06-30"),
        ("6/30/2024 2:20 PM", "2024-06-30"), ("45473.5", "2024-06-30"), ("45472.999999", "2024-06-30"),
    ],
)  # fmt: skip
def test_dates(text: str, day: str) -> None:
    found = read([text], "occurred_on")
    assert found.values.to_pylist() == [day]
    assert found.unread == {}


@pytest.mark.parametrize(
    "text", ["2024-02-30", "2024-13-01", "0000-01-01", "0001-01-01", "9999-12-31", "20000-01-01", "soon", "31/31/2024"]
)
def test_unreadable_dates_are_unknown_and_kept(text: str) -> None:
    for name in ("occurred_on", "stated_at"):
        found = read([text], name)
        assert found.values.to_pylist() == [None]
        assert found.unread == {0: text}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-06-30 14:20", "2024-06-30T14:20:00+08:00"),
        ("2024-06-30T14:20:05Z", "2024-06-30T14:20:05+00:00"),
        ("2024-06-30T14:20:05+09:00", "2024-06-30T14:20:05+09:00"),
        ("2024/6/30 2:20 PM", "2024-06-30T14:20:00+08:00"),
        ("2024年6月30日 14时20分", "2024-06-30T14:20:00+08:00"),
        ("2024-06-30", "2024-06-30T00:00:00+08:00"),
        ("45473.5", "2024-06-30T12:00:00+08:00"),
        ("45472.9999999", "2024-06-30T00:00:00+08:00"),
    ],
)
def test_moments_without_a_zone_are_in_chinas_time(text: str, moment: str) -> None:
    assert read([text], "stated_at").values.to_pylist() == [moment]


def test_the_order_of_day_and_month_is_settled_by_a_day_over_12() -> None:
    assert read(["3/4/2020", "13/4/2020"], "occurred_on").values.to_pylist() == ["2020-04-03", "2020-04-13"]
    assert read(["3/4/2020", "4/13/2020"], "occurred_on").values.to_pylist() == ["2020-03-04", "2020-04-13"]


def test_a_day_over_12_settles_the_order_for_earlier_chunks_too() -> None:
    chunks = [pa.array(["3/4/2020"]), pa.array(["13/4/2020"])]
    reader = values.reader(catalog(), HAZARDS, "occurred_on", whole_column=lambda: chunks)
    assert [reader(chunk).values.to_pylist() for chunk in chunks] == [["2020-04-03"], ["2020-04-13"]]


def test_the_whole_column_is_asked_for_only_when_a_date_needs_it_and_once() -> None:
    asked = []

    def whole() -> list[pa.Array]:
        asked.append(1)
        return [pa.array(["3/4/2020"])]

    reader = values.reader(catalog(), HAZARDS, "occurred_on", whole_column=whole)
    reader(pa.array(["2020-03-04"]))
    assert asked == []
    for _ in range(2):
        reader(pa.array(["3/4/2020"]))
    assert asked == [1]
    assert isinstance(reader, values.DateReader)
    assert reader.ambiguous


# --- codes, truth, texts


def test_codes_by_label_alias_and_code() -> None:
    found = read(["滑坡", "Landslide", "landslide", "MUDSLIDE", "泥石流 ", "火星", None], "hazard")
    assert found.values.to_pylist() == ["landslide", "landslide", "landslide", "debris_flow", "debris_flow", None, None]
    assert found.unread == {5: "火星"}


def test_the_known_part_of_a_list_of_codes_is_kept() -> None:
    found = read(["水災,震災", "洪水、火星", "火星", "-"], "suitable_hazards", SHELTERS)
    assert found.values.to_pylist() == ['{"flood","earthquake"}', '{"flood"}', None, None]
    assert found.unread == {1: "洪水、火星", 2: "火星"}


def test_truth() -> None:
    found = read(["是", "否", "1", "0", "有", "maybe", ""], "has_plan")
    assert found.values.to_pylist() == [True, False, True, False, True, None, None]
    assert found.unread == {5: "maybe"}


def test_texts_are_trimmed_and_a_nul_character_is_wrong() -> None:
    found = read([" 甲 ", "  ", "a\x00b"], "name")
    assert found.values.to_pylist()[:2] == ["甲", None]
    assert list(found.wrong) == [2]


def test_a_text_off_its_pattern_is_unknown() -> None:
    found = read(["1010101", "9010101", None], "item_code", STOCK)
    assert found.values.to_pylist() == ["1010101", None, None]
    assert found.unread == {1: "9010101"}


def test_items_by_id_or_name() -> None:
    found = read(["D1", "twice", "other"], "depot", STOCK, items={"D1": 7, "twice": None})
    assert found.values.to_pylist()[0] == 7
    assert list(found.wrong) == [1, 2]


# --- columns


def test_columns_by_alias_whatever_their_form() -> None:
    found = columns(["编号", "隐患点名称 ", "威胁人数（人）", "LONGITUDE", "Lat", "其他"])
    assert found.fields == {"source_id": 0, "name": 1, "threatened_persons": 2}
    assert found.places == {"x": 3, "y": 4}
    assert found.unused == ["其他"]


def test_a_unit_in_the_heading_counts() -> None:
    found = columns(["威胁财产(万元)", "规模（10⁴m³）"])
    assert found.factors == {"threatened_property_cny": 1e4, "volume_m3": 1e4}


def test_a_unit_that_nobody_knows_takes_the_column_out() -> None:
    found = columns(["名称", "威胁财产(美元)"])
    assert "threatened_property_cny" not in found.fields
    assert "美元" in found.notes[0]


def test_the_first_of_two_columns_with_one_heading_is_taken() -> None:
    found = columns(["名称", "名称"])
    assert found.fields == {"name": 0}
    assert found.unused == ["名称"]


def test_the_users_columns_count_before_aliases() -> None:
    found = columns(["a", "名称", "o", "n"], own={"a": "name", "o": "lon", "n": "lat", "名称": "-"})
    assert (found.fields, found.places, found.unused) == ({"name": 0}, {"x": 2, "y": 3}, [])


@pytest.mark.parametrize(
    ("definition", "own"),
    [
        (HAZARDS, {"no such column": "name"}),
        (HAZARDS, {"a": "no such field"}),
        (HAZARDS, {"a": "name", "b": "name"}),
        (STOCK, {"a": "lon"}),
    ],
)
def test_columns_that_cannot_be_mapped_are_refused(definition: Any, own: dict[str, str]) -> None:
    with pytest.raises(InvalidValue):
        columns(["a", "b"], definition, own)


def test_flag_columns_fill_a_list_unless_another_column_does() -> None:
    assert columns(["津波", "地震"], SHELTERS).flags == {
        0: ("suitable_hazards", ("tsunami",)),
        1: ("suitable_hazards", ("earthquake",)),
    }
    assert columns(["津波", "kinds"], SHELTERS, {"kinds": "suitable_hazards"}).flags == {}
    assert columns(["津波", "适用灾种"], SHELTERS).unused == ["适用灾种"]
