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
from layers.definition import Standard, load
from layers.errors import DefinitionError, InvalidValue
from layers.grades import computed_values, described, generated_columns, unreasoned
from layers.importing import Options, import_file

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


# --- import

REGISTER = """名称,灾种,经度,纬度,险情等级,威胁人数,威胁财产（万元）,险情等级理由,规模等级,体积（万立方米）
甲,滑坡,105.1,27.1,大型,150,100,,小型,5
乙,滑坡,105.2,27.2,大型,150,100,学校在内,,
丙,泥石流,105.3,27.3,,,,,大型,50
丁,崩塌,105.4,27.4,中型,150,,,,
戊,滑坡,105.5,27.5,大型,,,,中型,2
"""


def test_an_import_keeps_both_grades_and_flags_where_they_differ(database: str, tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text(REGISTER, encoding="utf-8")
    report = import_file(database, "hazard_points", path)
    assert report.line() == "read 5, imported 5, updated 0, unchanged 0, rejected 0"
    assert report.columns["险情等级"] == "threat_grade_stated"
    assert report.columns["规模等级"] == "size_class_stated"
    assert report.flags == {"grade_differs": 2}
    with transaction(database) as cursor:
        found = rows(
            cursor,
            "SELECT name, threat_grade, threat_grade_stated, threat_grade_computed, threat_grade_at_least, size_class,"
            " flags FROM layers.hazard_points ORDER BY row_no",
        )
    assert found == [
        ("甲", "medium", "large", "medium", False, "small", ["grade_differs"]),
        ("乙", "large", "large", "medium", False, None, []),
        ("丙", None, None, None, None, "large", []),
        ("丁", "medium", "medium", "medium", True, None, []),
        ("戊", "large", "large", None, False, "small", ["grade_differs"]),
    ]
    assert import_file(database, "hazard_points", path).unchanged == 5


def test_computed_fields_cannot_be_filled(database: str, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        "名称,填报险情等级,险情等级,threat_grade_computed,经度,纬度\n甲,小型,大型,large,105,27\n", encoding="utf-8"
    )
    report = import_file(database, "hazard_points", path)  # its own export: the stated grade is what was stated
    assert report.columns["填报险情等级"] == "threat_grade_stated"
    assert report.unused == ["险情等级", "threat_grade_computed"]
    for options in (Options(columns={"名称": "threat_grade"}), Options(constants={"threat_grade": "large"})):
        with pytest.raises(InvalidValue, match="hazard_points has no field 'threat_grade'"):
            import_file(database, "hazard_points", path, options)


def test_when_an_occupancy_was_stated_is_imported(database: str, tmp_path: Path) -> None:
    path = tmp_path / "shelters.csv"
    text = "名称,经度,纬度,已安置人数,安置人数时间,状态时间\n甲,105,27,30,2026-11-20 14:20,2026-11-19\n"
    path.write_text(text, encoding="utf-8")
    import_file(database, "shelters", path)
    with transaction(database) as cursor:
        (found,) = rows(cursor, "SELECT occupancy_stated_at, status_stated_at FROM layers.shelters")
    assert [moment.isoformat() for moment in found] == ["2026-11-20T06:20:00+00:00", "2026-11-18T16:00:00+00:00"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('reason   = "reason"', 'reasn    = "reason"', "computed.0.reasn: unknown key"),
        ('stated   = "stated"', 'stated   = "state"', "computed.0.stated: no field state"),
        ('reason   = "reason"', 'reason   = "volume_m3"', "computed.0.reason: volume_m3 is not of type text"),
        ('stated   = "stated"', 'stated   = "name"', "computed.0: field, stated and computed are codes of one list"),
        ('measures = ["volume_m3"]', 'measures = ["name"]', "computed.0.measures: name is not a number"),
        ('measures = ["volume_m3"]', 'measures = []', "computed.0.measures: "),
        ("volume_m3 = {", "size = {", "computed.0.measures: no field volume_m3"),
        ('standard = "landslide_size_classes"', 'standard = "sizes"', "computed.0.standard: no standard sizes"),
        (
            'standard = "landslide_size_classes"', 'standard = "geological_danger_grades"',
            "computed.0.measures: volume_m3 is no measure of the standard geological_danger_grades",
        ),
        ("computed = true, index", "index", "fields.class: needs `computed = true`"),
        ("computed = true, index", 'computed = true, aliases = ["c"], index', "fields.class: a computed field is not"),
        ('computed = "by_standard"', 'computed = "class"', "no entry of [[computed]] says how it is computed"),
        ('key      = [["source_id"]]', 'key      = [["class"]]', "key.0: class is computed, which makes no key"),
        ('measures = ["volume_m3"]', 'measures = ["volume_m3"]\nwhen = { class = "large" }', "class is itself"),
        ('measures = ["volume_m3"]', 'measures = ["volume_m3"]\nwhen = { stated = "l" }', "when.stated: no code 'l'"),
        ("minimum = 0,", 'stated_at = "name",', "fields.volume_m3.stated_at: name is not of type datetime"),
        ("minimum = 0,", 'stated_at = "counted_at",', "fields.volume_m3.stated_at: no field counted_at"),
        ("minimum = 0,", "stale_after_h = 24,", "fields.volume_m3: `stale_after_h` needs `stated_at`"),
        ("minimum = 0,", 'stated_at = "stated_at", stale_after_h = 0,', "fields.volume_m3.stale_after_h: "),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert COMPUTED.count(old) == 1
    (tmp_path / "points.toml").write_text(COMPUTED.replace(old, new), encoding="utf-8")
    with pytest.raises(DefinitionError) as raised:
        Catalog((HERE / "definitions", tmp_path))
    assert words in str(raised.value)
    assert str(raised.value).startswith("points.toml:")


def test_a_public_value_has_a_public_age(tmp_path: Path) -> None:
    private = 'at = { type = "datetime", label = { zh = "时", en = "At" }, public = false }\n'
    text = POINTS.replace("minimum = 0,", 'stated_at = "at",') + private
    (tmp_path / "points.toml").write_text(text, encoding="utf-8")
    with pytest.raises(
        DefinitionError, match=r"points.toml:\d+: fields.volume_m3.stated_at: at tells the age of a public"
    ):
        Catalog((HERE / "definitions", tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("more_than = { volume_m3", "more_than = { volume", "no unit for volume"),
        ("more_than", "more", "thresholds.0.more: unknown key"),
        ('grade     = "small"\n', 'grade     = "small"\nat_least = { volume_m3 = 1 }\n', "the last threshold"),
        ("at_least  = { volume_m3 = 1_000_000 }", "", "the last threshold"),
    ],
)
def test_standards_that_are_wrong(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = (HERE / "standards" / "landslide_size_classes.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "sizes.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DefinitionError, match=words):
        load(Standard, path)
