"""Grades: by hand at every limit; PostgreSQL's columns and the Python say the same of any row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers import tables
from layers.catalog import HERE, Catalog, catalog, grade, standard
from layers.database import rows, sql, transaction
from layers.errors import DefinitionError
from layers.grades import computed_values, described, generated_columns, unreasoned

GRADES = ("very_large", "large", "medium", "small")
ENTERED = (
    "hazard", "threatened_persons", "threatened_property_cny", "threat_grade_stated", "threat_grade_reason",
    "volume_m3", "size_class_stated", "size_class_reason",
)  # fmt: skip
MADE = (
    "threat_grade", "threat_grade_computed", "threat_grade_at_least", "size_class", "size_class_computed",
)  # fmt: skip


def computed(**row: Any) -> dict[str, Any]:
    return computed_values(catalog()["hazard_points"], row)


def threat(persons: int | None = None, cny: float | None = None, **further: Any) -> tuple[str | None, bool | None]:
    made = computed(threatened_persons=persons, threatened_property_cny=cny, **further)
    return made["threat_grade"], made["threat_grade_at_least"]


@pytest.mark.parametrize(
    ("persons", "cny", "expected"),
    [
        (None, None, (None, None)),
        (0, 0, ("small", False)),
        (99, 4_999_999, ("small", False)),
        (100, 0, ("medium", False)),
        (0, 5_000_000, ("medium", False)),
        (500, 0, ("large", False)),
        (0, 50_000_000, ("large", False)),
        (999, 99_999_999, ("large", False)),
        (1000, 0, ("very_large", False)),
        (0, 100_000_000, ("very_large", False)),
        (99, None, ("small", True)),
        (None, 5_000_000, ("medium", True)),
        (1000, None, ("very_large", False)),  # no grade is higher
        (None, 100_000_000, ("very_large", False)),
    ],
)
def test_threat_grades(persons: int | None, cny: float | None, expected: tuple[str | None, bool | None]) -> None:
    assert threat(persons, cny) == expected


def test_a_stated_grade_counts_when_a_reason_is_given_or_nothing_is_computed() -> None:
    assert threat(150, 0, threat_grade_stated="large") == ("medium", False)
    assert threat(150, 0, threat_grade_stated="large", threat_grade_reason=" \u3000\n") == ("medium", False)
    assert threat(150, None, threat_grade_stated="large", threat_grade_reason="学校在内") == ("large", False)
    assert threat(None, None, threat_grade_stated="large") == ("large", False)
    assert threat(150, 0, threat_grade_reason="学校在内") == ("medium", False)
    assert computed(threatened_persons=150, threat_grade_stated="large", threat_grade_reason="r") == {
        "threat_grade": "large", "threat_grade_computed": "medium", "threat_grade_at_least": False,
        "size_class": None, "size_class_computed": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (0, "small"), (99_999, "small"), (100_000, "medium"), (999_999.5, "medium"), (1_000_000, "large"),
        (10_000_000, "large"), (10_000_000.5, "very_large"), (None, None),
    ],
)  # fmt: skip
def test_size_classes_of_landslides(volume: float | None, expected: str | None) -> None:
    assert computed(hazard="landslide", volume_m3=volume)["size_class"] == expected


def test_other_hazards_take_the_stated_class() -> None:
    for hazard in ("debris_flow", None):
        made = computed(hazard=hazard, volume_m3=20_000_000, size_class_stated="small")
        assert (made["size_class"], made["size_class_computed"]) == ("small", None)
    assert computed(hazard="landslide", volume_m3=20_000_000, size_class_stated="small")["size_class"] == "very_large"


def test_grades_without_a_reason_are_found() -> None:
    definition = catalog()["hazard_points"]
    row = {"threatened_persons": 150, "threat_grade_stated": "small"}
    assert [(c.field, by) for c, by in unreasoned(definition, row)] == [("threat_grade", "medium")]
    assert unreasoned(definition, row | {"threat_grade_reason": "搬迁中"}) == []
    assert unreasoned(definition, row | {"threat_grade_stated": "medium"}) == []
    assert unreasoned(definition, {"threat_grade_stated": "small"}) == []


def test_the_standard_is_told_with_its_clauses() -> None:
    told = described(catalog()["hazard_points"])
    assert [one["field"] for one in told] == ["threat_grade", "size_class"]
    assert told[0]["standard"]["thresholds"][0] == {
        "grade": "very_large", "more_than": {}, "clause": "art. 4; plan §4", "certainty": "verified",
        "at_least": {
            "threatened_persons": 1000, "threatened_property_cny": 1e8,
            "fatalities_persons": 30, "direct_loss_cny": 1e7,
        },
    }  # fmt: skip
    assert told[1]["standard"]["edition"]
    assert {t["certainty"] for t in told[1]["standard"]["thresholds"]} == {"secondary"}


def limits(measure: str) -> list[float]:
    tables_ = [standard(name) for name in ("geological_danger_grades", "landslide_size_classes")]
    found = [t.at_least.get(measure, t.more_than.get(measure)) for one in tables_ for t in one.thresholds]
    return [limit + by for limit in found if limit is not None for by in (-1, 0, 1)]


persons = st.none() | st.sampled_from([int(n) for n in limits("threatened_persons")]) | st.integers(0, 2**62)
cny = st.none() | st.sampled_from(limits("threatened_property_cny")) | st.floats(0, 1e15)
volumes = st.none() | st.sampled_from(limits("volume_m3")) | st.floats(0, 1e15)
reasons = st.none() | st.sampled_from(["", " ", "\u3000", "\t\r\n", "校舍", " x ", "\u00a0", "'; --", "%s {}"])
grades = st.none() | st.sampled_from(GRADES)
hazards = st.none() | st.sampled_from(["landslide", "debris_flow", "rockfall"])


@given(st.lists(st.tuples(hazards, persons, cny, grades, reasons, volumes, grades, reasons), min_size=1, max_size=50))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_postgresql_and_python_agree(module_database: str, made: list[tuple[Any, ...]]) -> None:
    definition = catalog()["hazard_points"]
    names = sql.SQL(", ").join(map(sql.Identifier, ENTERED))
    with transaction(module_database) as cursor:
        insert = sql.SQL(
            "INSERT INTO layers.hazard_points (source, geom, {}) VALUES ('s', ST_SetSRID(ST_MakePoint(105, 27), 4326),"
            " %s, %s, %s, %s, %s, %s, %s, %s) RETURNING {}"
        ).format(names, sql.SQL(", ").join(map(sql.Identifier, MADE)))
        for row in made:
            values = dict(zip(ENTERED, row, strict=True))
            (found,) = rows(cursor, insert, row)
            assert dict(zip(MADE, found, strict=True)) == {
                name: computed_values(definition, values)[name] for name in MADE
            }
        cursor.execute("DELETE FROM layers.hazard_points")


def test_the_database_refuses_what_no_measure_can_be(module_database: str) -> None:
    for column, value in (("threatened_persons", "-1"), ("volume_m3", "'NaN'"), ("threatened_property_cny", "-0.5")):
        text = "INSERT INTO layers.hazard_points (source, geom, {}) VALUES ('s', 'SRID=4326;POINT(1 1)', {})"
        query = sql.SQL(text).format(sql.Identifier(column), sql.SQL(value))
        with pytest.raises(Exception, match="violates check"), transaction(module_database) as cursor:
            cursor.execute(query)


# --- the columns follow the definition

POINTS = """\
title    = { zh = "点", en = "Points" }
abstract = { zh = "点", en = "Points" }
geometry = "none"
key      = [["source_id"]]
name_field = "name"
source   = { name = "s", licence = "CC0-1.0", attribution = "s" }

[fields]
name   = { type = "text", label = { zh = "名", en = "Name" }, public = true }
class  = { type = "code", label = { zh = "级", en = "Class" }, codes = "grade", public = true, index = true }
volume_m3 = { type = "number", label = { zh = "体积", en = "Volume" }, minimum = 0, public = true }
"""
COMPUTED = (
    POINTS.replace("public = true, index = true }", "public = true, computed = true, index = true }")
    + """\
stated = { type = "code", label = { zh = "填报", en = "Stated" }, codes = "grade", public = true }
reason = { type = "text", label = { zh = "理由", en = "Reason" }, public = true }

[fields.by_standard]
type     = "code"
label    = { zh = "计算", en = "Computed" }
codes    = "grade"
public   = true
computed = true

[[computed]]
field    = "class"
stated   = "stated"
reason   = "reason"
computed = "by_standard"
standard = "landslide_size_classes"
measures = ["volume_m3"]
"""
)

Synchronise = Callable[[str], Catalog]


@pytest.fixture
def synchronise(database: str, tmp_path: Path) -> Synchronise:
    """Writes the definition of the layer ``points`` and makes the database follow."""

    def follow(text: str) -> Catalog:
        (tmp_path / "points.toml").write_text(text, encoding="utf-8")
        known = Catalog((HERE / "definitions", tmp_path))
        with transaction(database) as cursor:
            tables.synchronise(cursor, known)
        return known

    return follow


def held(database: str, *columns: str) -> list[tuple[Any, ...]]:
    with transaction(database) as cursor:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        return rows(cursor, sql.SQL("SELECT {} FROM released.points ORDER BY fid").format(names))


def write(database: str, **values: Any) -> None:
    with transaction(database) as cursor:
        query = sql.SQL("INSERT INTO layers.points (source, {}) VALUES ('s', {})").format(
            sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Literal, values.values()))
        )
        cursor.execute(query)


def test_what_was_entered_becomes_what_was_stated(database: str, synchronise: Synchronise) -> None:
    synchronise(POINTS)
    write(database, **{"name": "a", "class": "large", "volume_m3": 10})
    write(database, **{"name": "b", "class": "large"})
    synchronise(COMPUTED)
    assert held(database, "name", "class", "stated", "by_standard") == [
        ("a", "small", "large", "small"), ("b", "large", "large", None),
    ]  # fmt: skip
    with pytest.raises(Exception, match="generated column"):
        write(database, **{"class": "small"})
    synchronise(COMPUTED)  # again changes nothing
    synchronise(POINTS)  # back: the values stay
    assert held(database, "name", "class") == [("a", "small"), ("b", "large")]
    write(database, **{"name": "c", "class": "medium"})
    with pytest.raises(DefinitionError, match=r"fields.class.computed: 3 rows hold a value that was entered"):
        synchronise(COMPUTED)


def test_columns_are_made_anew_when_the_standard_changes(
    database: str, synchronise: Synchronise, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronise(COMPUTED)
    write(database, volume_m3=50)
    assert held(database, "class") == [("small",)]
    changed = standard("landslide_size_classes")
    (*others, lowest) = changed.thresholds
    thresholds = (*others[:-1], others[-1].model_copy(update={"at_least": {"volume_m3": 40}}), lowest)
    monkeypatch.setattr("layers.grades.standard", lambda _: changed.model_copy(update={"thresholds": thresholds}))
    synchronise(COMPUTED)
    assert held(database, "class", "by_standard") == [("medium", "medium")]


def test_columns_are_made_anew_when_a_measure_becomes_of_another_type(database: str, synchronise: Synchronise) -> None:
    synchronise(COMPUTED.replace('volume_m3 = { type = "number"', 'volume_m3 = { type = "integer"'))
    write(database, volume_m3=50)
    synchronise(COMPUTED)
    assert held(database, "class") == [("small",)]


def test_each_column_says_what_it_is() -> None:
    columns = generated_columns(catalog()["hazard_points"])
    assert set(columns) == set(MADE)
    assert columns["threat_grade_at_least"].type == "boolean"
    assert columns["threat_grade"].comment.startswith("险情等级 / Threat grade, computed (")
    assert grade("landslide_size_classes", {"volume_m3": 10_000_000}) == "large"
