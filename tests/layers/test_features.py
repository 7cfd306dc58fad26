"""Reading features: pages, frames, search, and what the layers hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from layers.catalog import catalog
from layers.database import Readers
from layers.errors import InvalidValue, UnknownParameter
from layers.features import (
    Holding,
    Page,
    Place,
    frame,
    holdings,
    item,
    like,
    page,
    property_columns,
    search,
    sources,
    union,
)
from tests.gis.rows import empty, put, rows_of, square

SHELTERS = catalog()["shelters"]


@pytest.fixture
def database(module_database: str) -> str:
    empty(module_database)
    return module_database


@pytest.fixture(scope="module")
def module_readers(module_database: str) -> Iterator[Readers]:
    pool = Readers(module_database, size=2)
    yield pool
    pool.close()


@pytest.fixture
def readers(database: str, module_readers: Readers) -> Readers:
    assert database == module_readers.url
    return module_readers


def found(readers: Readers, q: str, near: tuple[float, float] | None = None, limit: int = 8) -> list[str]:
    return [result["name"] for result in search(readers, catalog().values(), q, limit, near)]


def test_pages_follow_one_another(database: str, readers: Readers) -> None:
    numbers = put(database, "shelters", *({"name": f"s{n}", "at": (n, 0)} for n in range(5)))
    first = page(readers, catalog(), SHELTERS, Page(limit=3))
    assert [row["id"] for row in rows_of(first)] == numbers[:3]
    assert (first.count, first.more) == (3, Place(numbers[2]))
    rest = page(readers, catalog(), SHELTERS, Page(limit=3, after=first.more))
    assert [row["id"] for row in rows_of(rest)] == numbers[3:]
    assert (rest.count, rest.more) == (2, None)


def test_a_page_that_is_just_full_has_no_successor(database: str, readers: Readers) -> None:
    put(database, "shelters", *({"name": f"s{n}", "at": (n, 0)} for n in range(3)))
    assert page(readers, catalog(), SHELTERS, Page(limit=3)).more is None


def test_items_out_of_range_do_not_exist(readers: Readers) -> None:
    assert item(readers, SHELTERS, -1) is None
    assert item(readers, SHELTERS, 2**63) is None


def test_a_frame_keeps_the_unknown_unknown(database: str, readers: Readers) -> None:
    known, unknown = put(
        database, "shelters", {"name": "a", "at": (1, 2), "capacity_persons": 5}, {"name": "b", "at": (3, 4)}
    )
    told = frame(readers, catalog(), SHELTERS)
    assert told.crs.to_epsg() == 4326
    assert list(told.index) == [known, unknown]
    assert (told.geometry[known].x, told.geometry[known].y) == (1, 2)
    assert told.capacity_persons[known] == 5
    assert told.capacity_persons.isna()[unknown]
    assert "contact_phone" not in told.columns
    assert len(frame(readers, catalog(), SHELTERS, Page(bbox=(2, 3, 4, 5)))) == 1


def test_a_frame_without_rows_or_geometry(database: str, readers: Readers) -> None:
    assert len(frame(readers, catalog(), SHELTERS)) == 0
    (depot,) = put(database, "supply_depots", {"name": "d", "at": (1, 1)})
    put(database, "stock", {"depot": depot, "item_name": "tent"})
    told = frame(readers, catalog(), catalog()["stock"])
    assert (len(told), told.geometry.iloc[0]) == (1, None)


def test_properties_are_public(readers: Readers) -> None:
    assert property_columns(SHELTERS, ("name", "name")) == ("name",)
    for name in ("contact_phone", "nothing"):
        with pytest.raises(UnknownParameter):
            property_columns(SHELTERS, (name,))


@pytest.mark.parametrize("filters", [{"capacity_persons": "٣"}, {"q": "x"}, {"status": "OPEN"}, {"name": "\0"}])
def test_wrong_filters(readers: Readers, filters: dict[str, str]) -> None:
    with pytest.raises((InvalidValue, UnknownParameter)):
        page(readers, catalog(), SHELTERS, Page(filters=filters))


def test_equal_names_come_first_then_beginnings_then_initials(database: str, readers: Readers) -> None:
    put(
        database, "shelters", {"name": "云岭大湾", "at": (1, 0)}, {"name": "大湾小学", "at": (2, 0)},
        {"name": "大湾", "at": (3, 0)}, {"name": "小大湾", "at": (4, 0)},
    )  # fmt: skip
    assert found(readers, "大湾")[:2] == ["大湾", "大湾小学"]
    assert len(found(readers, "大湾")) == 4


def test_pinyin_initials_and_latin_names(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": "云岭县城", "name_initials": "ylxc", "at": (1, 0)})
    put(database, "facilities", {"name": "医院", "name_en": "Yunling Hospital", "at": (1, 0)})
    assert found(readers, "ylx") == ["云岭县城"]
    assert found(readers, "LXC") == ["云岭县城"]
    assert found(readers, "yunling") == ["医院"]


def test_the_nearer_of_equal_matches_comes_first(database: str, readers: Readers) -> None:
    put(
        database,
        "shelters",
        {"name": "大湾", "address": "远", "at": (9, 0)},
        {"name": "大湾", "address": "近", "at": (1, 0)},
    )
    results = search(readers, catalog().values(), "大湾", 8, (0, 0))
    assert [result["subtitle"] for result in results] == ["近", "远"]
    results = search(readers, catalog().values(), "大湾", 8, (10, 0))
    assert [result["subtitle"] for result in results] == ["远", "近"]


def test_lines_come_last_and_one_a_name(database: str, readers: Readers) -> None:
    put(
        database,
        "roads",
        *({"source_id": f"{n}", "name": "大湾路", "at": f"LINESTRING({n} 0, {n} 1)"} for n in range(4)),
    )
    put(database, "roads", {"source_id": "s", "name": None, "ref": "S307", "at": "LINESTRING(0 0, 1 1)"})
    put(database, "shelters", {"name": "大湾路避难场所", "at": (1, 0)})
    assert found(readers, "大湾路") == ["大湾路避难场所", "大湾路"]
    assert found(readers, "S307") == ["S307"]


def test_areas_are_found_with_a_point_inside_and_a_box(database: str, readers: Readers) -> None:
    put(database, "admin_areas", {"name": "云岭县", "parent_name": "毕节市", "at": square(1, 2, 2)})
    (result,) = search(readers, catalog().values(), "云岭", 8)
    assert (result["bbox"], result["subtitle"]) == ([1, 2, 3, 4], "毕节市")
    assert result["geometry"]["type"] == "Point"


def test_withheld_rows_are_not_found(database: str, readers: Readers) -> None:
    put(database, "shelters", {"name": "secret", "at": (1, 0), "withheld": True})
    assert found(readers, "secret") == []
    assert found(readers, "  ") == []


def test_what_the_layers_hold(database: str, readers: Readers) -> None:
    assert holdings(readers, catalog()) == []
    put(
        database,
        "shelters",
        {"name": "a", "at": (1, 2)},
        {"name": "b", "at": (3, 4)},
        {"name": "w", "at": (9, 9), "withheld": True},
    )
    put(database, "shelters", {"name": "c", "at": (5, 6)}, source="sample")
    assert holdings(readers, catalog()) == [
        Holding("shelters", "test", False, 2, (1, 2, 3, 4)),
        Holding("shelters", "sample", True, 1, (5, 6, 5, 6)),
    ]
    assert sources(readers)["test"]["attribution"] == "© test"


def test_small_things() -> None:
    assert like(r"50%_\ ") == r"50\%\_\\ "
    assert union([(1, 2, 3, 4), (0, 3, 2, 9)]) == (0, 2, 3, 9)
