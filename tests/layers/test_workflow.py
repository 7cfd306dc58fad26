"""The loop of hidden dangers: every step and refusal by hand; the board's numbers against their lists and a count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import workflow
from layers.accounts import ROLES
from layers.catalog import HERE, Catalog, catalog
from layers.database import INTERNAL, RELEASED, Readers, rows, sql, transaction
from layers.definition import Definition
from layers.errors import DefinitionError, InvalidValue, NotFound, SignInNeeded, StepRefused
from layers.features import Page, page
from layers.grades import computed_values
from tests.gis.rows import rows_of

TODAY = date(2026, 11, 22)
EDITOR, REVIEWER, BOTH = frozenset({"read", "edit"}), frozenset({"read", "review"}), ROLES["admin"]
POINTS, STAGES = catalog()["hazard_points"], list(catalog().codes["stage"])
REVIEW = {"county_review": "同意", "county_reviewed_by": "示例甲"}
CITY_REVIEW = {"city_review": "同意", "city_reviewed_by": "示例乙", "struck_off_reason": "工程治理完成"}
FIXED = {
    "responsible_name": "示例丙", "monitor_name": "示例丁", "measures": "排危除险", "funds_cny": 0, "has_plan": True,
    "deadline_on": "2026-12-31",
}  # fmt: skip


def step(before: dict[str, Any] | None, patch: dict[str, Any], rights: frozenset[str] = BOTH) -> dict[str, Any]:
    """The row after a patch and what the step sets besides."""
    after = {**(before or {}), **patch}
    return {**after, **workflow.check_step(POINTS, before, after, rights, TODAY)}


def refusal(before: dict[str, Any] | None, patch: dict[str, Any], rights: frozenset[str] = BOTH) -> StepRefused:
    with pytest.raises(StepRefused) as raised:
        step(before, patch, rights)
    return raised.value


def test_a_life_from_found_to_struck_off_to_reopened() -> None:
    row = step(None, {"record_kind": "hidden_danger", "found_on": "2026-10-01"}, EDITOR)
    assert row["stage"] == "found"

    refused = refusal(row, {"stage": "assessed"}, EDITOR)
    assert refused.further["missing"] == ["hazard", "threat_grade"]
    assert refused.further["clause"] == {
        "zh": "《地质灾害防治条例》第四条：险情分级",
        "en": "Regulation on the Prevention of Geological Disasters, art. 4: grades",
    }
    assert refused.further["certainty"] == "verified"
    row = step(row, {"stage": "assessed", "hazard": "landslide", "threatened_persons": 0}, EDITOR)

    refused = refusal(row, {"stage": "assigned", "has_plan": False, "responsible_name": " "}, EDITOR)
    assert refused.further["missing"] == [
        "responsible_name", "monitor_name", "measures", "funds_cny", "deadline_on", "has_plan",
    ]  # fmt: skip
    assert refused.further["clause"]["zh"].startswith("五落实")
    assert refused.further["certainty"] == "secondary"
    row = step(row, {"stage": "assigned", **FIXED}, EDITOR)
    row = step(row, {"stage": "rectifying"}, EDITOR)
    row = step(row, {"stage": "to_accept", "county_review": "旧"}, EDITOR)

    assert refusal(row, {"stage": "accepted"}).further["missing"] == ["county_reviewed_by"]
    assert refusal(row, {"stage": "accepted", **REVIEW}, EDITOR).further["roles"] == ["publisher", "admin"]
    row = step(row, {"stage": "accepted", **REVIEW}, REVIEWER)
    assert row["county_reviewed_on"] == TODAY

    assert refusal(row, {"stage": "struck_off"}).further["missing"] == list(CITY_REVIEW)
    row = step(row, {"stage": "struck_off", "struck_off_on": "2026-11-20", **CITY_REVIEW}, REVIEWER)
    assert (row["struck_off_on"], row["city_reviewed_on"]) == ("2026-11-20", TODAY)

    refused = refusal(row, {"stage": "reopened"})
    assert (refused.further["missing"], refused.further["certainty"]) == (["reopened_reason"], "unverified")
    assert refusal(row, {"stage": "reopened", "reopened_reason": "新裂缝"}, EDITOR).further["roles"]
    row = step(row, {"stage": "reopened", "reopened_reason": "新裂缝"}, REVIEWER)
    cleared = ("struck_off_on", "struck_off_reason", "deadline_on", "county_review", "city_review", "city_reviewed_on")
    assert {row[name] for name in cleared} == {None}
    assert row["reopened_on"] == TODAY

    # the second time round: old answers do not count again
    row = step(row, {"stage": "assessed"}, EDITOR)
    assert refusal(row, {"stage": "assigned"}).further["missing"] == ["deadline_on"]
    row = step(row, {"stage": "assigned", "deadline_on": date(2027, 1, 31)}, EDITOR)
    for stage, more in (("rectifying", {}), ("to_accept", {}), ("accepted", REVIEW), ("struck_off", CITY_REVIEW)):
        row = step(row, {"stage": stage, **more})
    assert row["struck_off_on"] == TODAY
    assert row["reopened_reason"] is None
    assert refusal(row, {"stage": "reopened"}).further["missing"] == ["reopened_reason"]


def test_work_that_is_not_accepted_goes_back() -> None:
    row = {"stage": "to_accept", **FIXED}
    assert refusal(row, {"stage": "rectifying"}).further["missing"] == list(REVIEW)
    row = step(row, {"stage": "rectifying", **REVIEW, "county_review": "排水沟未完成"}, REVIEWER)
    assert row["county_reviewed_on"] == TODAY
    row = step(row, {"stage": "to_accept"}, EDITOR)
    assert {row[name] for name in (*REVIEW, "county_reviewed_on")} == {None}


def test_a_day_given_with_the_step_stays_and_an_old_one_does_not() -> None:
    row: dict[str, Any] = {"stage": "accepted", "struck_off_on": "2020-01-01", "city_reviewed_on": "2020-01-01"}
    row = step(row, {"stage": "struck_off", "city_reviewed_on": "2026-11-21", **CITY_REVIEW})
    assert (row["struck_off_on"], row["city_reviewed_on"]) == (TODAY, "2026-11-21")


def test_steps_that_there_are() -> None:
    known = {**FIXED, **REVIEW, **CITY_REVIEW, "hazard": "landslide", "threatened_persons": 3, "reopened_reason": "r"}
    new_words = {name: f"{value} (new)" for name, value in {**REVIEW, **CITY_REVIEW, "reopened_reason": "r"}.items()}
    taken, refused = set(), []
    for old, new in product(STAGES, STAGES):
        try:
            step({"stage": old, **known}, {"stage": new, **new_words})
            taken.add((old, new))
        except StepRefused as error:
            refused.append(error)
    assert all("no step leads" in error.detail and error.expected for error in refused)
    assert taken - {(stage, stage) for stage in STAGES} == {
        ("found", "assessed"), ("reopened", "assessed"), ("assessed", "assigned"), ("assigned", "rectifying"),
        ("rectifying", "to_accept"), ("to_accept", "rectifying"), ("accepted", "rectifying"), ("to_accept", "accepted"),
        ("accepted", "struck_off"), ("struck_off", "reopened"),
    }  # fmt: skip


def test_new_items_begin_as_found() -> None:
    assert workflow.check_step(POINTS, None, {}, EDITOR, TODAY) == {"stage": "found"}
    assert workflow.check_step(POINTS, None, {"stage": "found"}, EDITOR, TODAY) == {}
    assert refusal(None, {"stage": "struck_off"}).expected == "found"


def test_past_events_have_no_loop() -> None:
    event = {"record_kind": "past_event"}
    assert workflow.check_step(POINTS, None, event, EDITOR, TODAY) == {}
    assert workflow.check_step(POINTS, event, {**event, "name": "x"}, EDITOR, TODAY) == {}
    assert "not in the loop" in refusal(None, {**event, "stage": "found"}).detail
    assert "not in the loop" in refusal(event, {"stage": "found"}).detail
    assert step(event, {"record_kind": "hidden_danger"}, EDITOR)["stage"] == "found"
    assert step(event, {"record_kind": None}, EDITOR)["stage"] == "found"  # an unknown kind is in the loop


def test_an_imported_row_without_a_state_begins_the_loop() -> None:
    assert step({"stage": None}, {"stage": "found"}, EDITOR)["stage"] == "found"
    assert refusal({"stage": None}, {"stage": "rectifying"}).expected == "found"
    assert refusal({"stage": None}, {"stage": "found"}, REVIEWER).further["roles"] == ["editor", "admin"]
    assert "no step leads from found to an unknown state" in refusal({"stage": "found"}, {"stage": None}).detail


def test_days_that_cannot_be() -> None:
    row = {"stage": "rectifying", "found_on": date(2026, 6, 1), "deadline_on": date(2026, 12, 1)}
    assert "lies before 2026-06-01" in refusal(row, {"deadline_on": "2026-05-31"}).detail
    assert step(row, {"deadline_on": "2026-06-01"})["deadline_on"] == "2026-06-01"
    assert refusal(row, {"found_on": "2026-12-02"}).parameter == "deadline_on"
    assert "has not come yet" in refusal(row, {"struck_off_on": "2026-11-23"}).detail
    assert "when it was found" in refusal(row, {"struck_off_on": "2026-05-31"}).detail
    wrong = {**row, "deadline_on": date(2026, 5, 1)}  # as it was imported: other edits are not held up
    assert step(wrong, {"name": "x"})["deadline_on"] == date(2026, 5, 1)
    assert step(row, {"deadline_on": "soon"})["deadline_on"] == "soon"  # the field's own validation refuses it


def test_a_layer_without_workflow_has_no_steps() -> None:
    shelters = catalog()["shelters"]
    assert workflow.check_step(shelters, None, {"status": "open"}, EDITOR, TODAY) == {}
    with pytest.raises(NotFound):
        workflow.workflow_of(shelters)


def test_whoever_may_take_a_step_may_write_what_it_needs() -> None:
    strike_off = workflow.transition(POINTS, "accepted", "struck_off")
    assert strike_off is not None
    assert workflow.fields_of_step(POINTS, strike_off) == {
        "stage", "city_review", "city_reviewed_by", "city_reviewed_on", "struck_off_reason", "struck_off_on",
        "reopened_on", "reopened_reason",
    }  # fmt: skip
    assert workflow.transition(POINTS, "found", "struck_off") is None
    assert workflow.changes_state(POINTS, {"stage": "found"}, {"stage": "assessed"})
    assert not workflow.changes_state(POINTS, None, {"stage": "found"})


@given(
    st.dictionaries(st.sampled_from(list(POINTS.entered_fields)), st.none() | st.just("x"), max_size=9),
    st.sampled_from([None, *STAGES]),
    st.sampled_from([None, *STAGES]),
    st.frozensets(st.sampled_from(["read", "edit", "review"])),
)
def test_whatever_is_written_only_a_step_changes_the_state(
    row: dict[str, Any], old: str | None, new: str | None, rights: frozenset[str]
) -> None:
    before = {**row, "record_kind": "hidden_danger", "stage": old}
    after = {**before, "stage": new}
    besides: dict[str, Any] | None = None
    further: dict[str, Any] = {}
    try:
        besides = workflow.check_step(POINTS, before, after, rights, TODAY)
    except StepRefused as error:
        further = error.further
    if besides is None:
        assert set(further) == {"missing", "clause", "certainty", "roles"}
        return
    assert "stage" not in besides
    taken = workflow.transition(POINTS, old, new)
    if old != new and (old, new) != (None, "found"):
        assert taken is not None
        assert taken.right in rights
        final = {**after, **besides}
        final.update(computed_values(POINTS, final))
        assert not [name for name in taken.needs if workflow.is_missing(final.get(name))]
    assert set(besides) <= set(POINTS.entered_fields)


def test_production_dangers_go_the_same_way() -> None:
    definition = catalog()["safety_hazards"]
    row: dict[str, Any] = {"found_on": "2026-10-01"}
    row |= workflow.check_step(definition, None, row, EDITOR, TODAY)
    assert row["stage"] == "found"
    for patch in (
        {"stage": "assessed", "grade": "major"},
        {"stage": "assigned", **FIXED, "inspector_name": "示例戊"},
        {"stage": "rectifying"},
        {"stage": "to_accept"},
        {"stage": "accepted", "review": "同意", "reviewed_by": "示例己"},
        {"stage": "struck_off", "struck_off_reason": "已整改"},
        {"stage": "reopened", "reopened_reason": "复发"},
    ):
        after = {**row, **patch}
        row = {**after, **workflow.check_step(definition, row, after, BOTH, TODAY)}
    assert (row["stage"], row["struck_off_on"], row["deadline_on"]) == ("reopened", None, None)


# --- the board

Put = Callable[..., int]


@pytest.fixture
def put(database: str) -> Put:
    """Writes a row and returns its number."""

    def write(layer: str = "hazard_points", **values: Any) -> int:
        geom = values.pop("geom", "POINT(105.3 27.3)")
        names = sql.SQL(", ").join(map(sql.Identifier, values))
        with transaction(database) as cursor:
            query = sql.SQL(
                "INSERT INTO {} (source, geom, {}) VALUES ('s', ST_GeomFromText({}, 4326), {}) RETURNING fid"
            ).format(
                sql.Identifier("layers", layer), names, sql.Literal(geom),
                sql.SQL(", ").join(map(sql.Literal, values.values())),
            )  # fmt: skip
            ((fid,),) = rows(cursor, query)
        return int(fid)

    return write


@pytest.fixture
def members(database: str) -> Iterator[Readers]:
    """Readers of every field."""
    pool = Readers(database, INTERNAL, size=1)
    yield pool
    pool.close()


def board(members: Readers, limit: int = 50, definition: Definition = POINTS) -> dict[str, Any]:
    return workflow.board(members, catalog(), definition, limit, TODAY)


def listed(members: Readers, **asked: str) -> list[int]:
    conditions = workflow.list_conditions(catalog(), POINTS, INTERNAL, TODAY, **asked)
    return [row["id"] for row in rows_of(page(members, catalog(), POINTS, Page(limit=10_000, conditions=conditions)))]


def square(west: float, south: float, side: float) -> str:
    east, north = west + side, south + side
    return f"MULTIPOLYGON((({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south})))"


def test_an_empty_board(members: Readers) -> None:
    found = board(members)
    assert [state["code"] for state in found["states"]] == STAGES
    assert set(found["counts"].values()) == {0}
    assert found["by_area"] == []
    assert [(one["id"], one["count"], one["unknown"]) for one in found["gaps"]] == [
        (name, 0, 0) for name in ("no_responsible", "no_monitor", "no_phone", "no_plan", "no_notice_card")
    ]
    assert found["threatened_persons"] == {"sum": 0, "unknown": 0}
    assert found["today"] == "2026-11-22"


def test_a_board_by_hand(members: Readers, put: Put) -> None:
    put("admin_areas", name="甲县", level="county", geom=square(105, 27, 1))
    put("admin_areas", name="甲县甲镇", level="township", geom=square(105, 27, 0.5))
    put("admin_areas", name="乙县", level="county", geom=square(106, 27, 1))
    put("admin_areas", name="丙县", level="county", geom=square(106, 27, 1))  # over 乙县: the first one counts
    day = TODAY - timedelta(days=1)
    late = put(stage="rectifying", deadline_on=day, threatened_persons=10, threatened_property_cny=1)
    later = put(stage="rectifying", deadline_on=day - timedelta(days=30), geom="POINT(106.5 27.5)")
    due = put(stage="rectifying", deadline_on=TODAY, threatened_persons=5)
    soon = put(stage="rectifying", deadline_on=TODAY + timedelta(days=9), geom="POINT(100 27)")
    never = put(stage="rectifying", threatened_persons=7)
    put(stage="struck_off", struck_off_on=date(2026, 11, 1), deadline_on=day, threatened_persons=1000)
    put(stage="struck_off", struck_off_on=date(2026, 10, 31))
    put(stage="struck_off")
    put(record_kind="past_event", threatened_persons=9999)
    unknown = put(stage=None, geom="POINT(106 27.5)")  # of unknown stage, on the border of two counties

    found = board(members)
    assert found["counts"] == {
        "registered": 9, "open": 6, "overdue": 2, "closed_this_month": 1, "grade_unknown": 3, "deadline_unknown": 2,
    }  # fmt: skip
    states = {state["code"]: state for state in found["states"]}
    assert [item["id"] for item in states["rectifying"]["items"]] == [later, late, due, soon, never]
    rectifying = states["rectifying"]
    assert (rectifying["count"], rectifying["overdue"], rectifying["more"]) == (5, 2, False)
    assert states[None]["label"] == {"zh": "整改状态不详", "en": "Stage unknown"}
    assert [item["id"] for item in states[None]["items"]] == [unknown]
    assert states["struck_off"]["items"][0]["properties"]["struck_off_on"] == "2026-11-01"
    assert states["rectifying"]["items"][0]["properties"]["monitor_name"] is None  # a private field
    assert found["by_area"] == [
        {"name": "甲县", "open": 4, "overdue": 1, "closed_this_month": 1},
        {"name": "乙县", "open": 1, "overdue": 1, "closed_this_month": 0},
        {"name": None, "open": 1, "overdue": 0, "closed_this_month": 0},
    ]
    assert found["threatened_persons"] == {"sum": 22, "unknown": 3}

    short = {state["code"]: state for state in board(members, limit=2)["states"]}
    assert [item["id"] for item in short["rectifying"]["items"]] == [later, late]
    assert (short["rectifying"]["count"], short["rectifying"]["more"]) == (5, True)


def test_gaps_by_hand(members: Readers, put: Put) -> None:
    complete = {
        "responsible_name": "甲", "responsible_phone": "000-1", "monitor_name": "乙", "monitor_phone": "000-2",
        "has_plan": True, "notice_cards_issued": 3, "stage": "found",
    }  # fmt: skip
    put(**complete)
    put(**{**complete, "has_plan": False, "notice_cards_issued": 0, "monitor_name": " "})
    put(**{**complete, "has_plan": None, "notice_cards_issued": None, "responsible_phone": None})
    put(**{**complete, "stage": "struck_off", "monitor_name": None})  # closed: nothing is lacking any more
    found = {one["id"]: (one["count"], one["unknown"]) for one in board(members)["gaps"]}
    assert found == {
        "no_responsible": (0, 0), "no_monitor": (1, 0), "no_phone": (1, 1), "no_plan": (2, 1), "no_notice_card": (2, 1),
    }  # fmt: skip
    assert len(listed(members, missing="no_plan")) == 2


def test_nothing_known_is_not_zero(members: Readers, put: Put) -> None:
    put(stage="found")
    assert board(members)["threatened_persons"] == {"sum": None, "unknown": 1}


def test_what_is_private_is_not_counted_in_public(database: str, put: Put) -> None:
    put(stage="found")
    readers = Readers(database, RELEASED, size=1)
    with pytest.raises(SignInNeeded):
        workflow.board(readers, catalog(), POINTS, 50, TODAY)
    with pytest.raises(SignInNeeded):
        workflow.list_conditions(catalog(), POINTS, RELEASED, TODAY, missing="no_monitor")
    readers.close()


def test_words_that_the_lists_do_not_know(members: Readers) -> None:
    for asked in ({"state": "late"}, {"missing": "no_dog"}):
        with pytest.raises(InvalidValue):
            workflow.list_conditions(catalog(), POINTS, INTERNAL, TODAY, **asked)
    with pytest.raises(NotFound):
        board(members, definition=catalog()["shelters"])


def test_every_number_has_its_list(members: Readers, put: Put) -> None:
    put("admin_areas", name="甲县", level="county", geom=square(105, 27, 1))
    choices = product(
        (None, *STAGES), (None, TODAY - timedelta(days=3), TODAY, TODAY + timedelta(days=3)), (None, 3), (None, 0, 4)
    )
    for number, (stage, deadline, persons, cards) in enumerate(choices):
        put(
            stage=stage, deadline_on=deadline, threatened_persons=persons, notice_cards_issued=cards,
            struck_off_on=TODAY - timedelta(days=number % 60), monitor_name=["甲", None][number % 2],
            has_plan=[True, None, False][number % 3], geom=f"POINT({104.9 + number % 7 / 30} 27.5)",
            record_kind="past_event" if number % 11 == 0 else "hidden_danger",
        )  # fmt: skip
    found = board(members, limit=1000)
    for name, number in found["counts"].items():
        assert len(listed(members, **({} if name == "registered" else {"state": name}))) == number, name
    for one in found["gaps"]:
        assert len(listed(members, missing=one["id"])) == one["count"], one["id"]
    for one in found["by_area"]:
        for name in ("open", "overdue", "closed_this_month"):
            assert len(listed(members, state=name, area=one["name"] or "")) == one[name], one
    for state in found["states"]:
        ids: list[int] = [item["id"] for item in state["items"]]
        assert len(ids) == state["count"]
        if state["code"] is not None:
            assert sorted(ids) == listed(members, state=state["code"])
    assert sum(state["count"] for state in found["states"]) == found["counts"]["registered"]
    assert sum(state["overdue"] for state in found["states"]) == found["counts"]["overdue"]
    assert sum(one["open"] for one in found["by_area"]) == found["counts"]["open"]
    assert found["counts"]["overdue"] > 0
    assert found["counts"]["closed_this_month"] > 0


def test_the_board_of_an_earlier_moment(database: str, members: Readers, put: Put) -> None:
    fid = put(stage="found")
    with transaction(database) as cursor:
        ((moment,),) = rows(cursor, "SELECT max(recorded_at) FROM leeward.changes")
    with transaction(database) as cursor:
        cursor.execute("UPDATE layers.hazard_points SET stage = 'assessed' WHERE fid = %s", (fid,))
    then = {state["code"]: state["count"] for state in board(members.at(moment))["states"]}
    now = {state["code"]: state["count"] for state in board(members)["states"]}
    assert (then["found"], now["found"], now["assessed"]) == (1, 0, 1)


# --- definitions that are wrong

TEXT = (HERE / "definitions" / "safety_hazards.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('initial   = "found"', 'initial   = "begun"', "workflow.initial: no code 'begun'"),
        ('closed    = ["struck_off"]', 'closed    = ["gone"]', "workflow.closed: no code 'gone'"),
        ('state     = "stage"', 'state     = "name"', "workflow.state: name is not of type code"),
        ('state     = "stage"', 'state     = "step"', "workflow.state: no field step"),
        ('closed_on = "struck_off_on"', 'closed_on = "stage"', "workflow.closed_on: stage is not of type date"),
        ('closed_on = "struck_off_on"', 'closd_on = "struck_off_on"', "workflow.closd_on: unknown key"),
        ('deadline  = "deadline_on"', "", "workflow.deadline: missing"),
        ('persons   = "threatened_persons"', 'persons   = "name"', "workflow.persons: name is not a number"),
        ('certainty = "secondary"\n\n[[workflow.tr', '\n[[workflow.tr', "`clause` and `certainty` go together"),
        ('from      = ["assessed"]', 'from      = []', "workflow.transitions.1.from: "),
        ('from      = ["assessed"]', 'from      = ["seen"]', "workflow.transitions.1.from: no code 'seen'"),
        ('from      = ["assessed"]', 'from      = ["assigned"]', "`to` is one of `from`"),
        ('from      = ["assigned"]', 'from      = ["to_accept"]', "another step leads from to_accept to rectifying"),
        ('to        = "to_accept"', 'to        = "accept"', "workflow.transitions.3.to: no code 'accept'"),
        ('right     = "edit"\nneeds', 'right     = "write"\nneeds', "workflow.transitions.0.right: "),
        ('needs     = ["grade"]', 'needs     = ["grad"]', "workflow.transitions.0.needs: no field grad"),
        ('clears    = ["reopened_on"', 'clears    = ["opened_on"', "workflow.transitions.6.clears: no field opened_on"),
        ('dated     = "reopened_on"', 'dated     = "stage"', "workflow.transitions.7.dated: stage is not of type date"),
        ('certainty = "verified"', 'certainty = "sure"', "certainty: "),
        ('missing = ["inspector_name"]', 'missing = ["inspector"]', "workflow.gaps.1.missing: no field inspector"),
        ('id      = "no_plan"', 'id      = "no_phone"', "workflow.gaps.3.id: no_phone is there twice"),
        ('fields = ["measures"]', 'fields = ["measure"]', "workflow.fixed_items.1.fields: no field measure"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TEXT
    (tmp_path / "wrong.toml").write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DefinitionError) as raised:
        Catalog((HERE / "definitions", tmp_path))
    assert words in str(raised.value)
    assert str(raised.value).startswith("wrong.toml:")
