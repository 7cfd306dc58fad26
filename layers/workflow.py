"""The life of an item as its definition's ``[workflow]`` says: steps that are checked, and the board that counts.

Steps are checked in Python, before anything is written. Numbers and the lists behind them come from the same
conditions, over the same view of the layer.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from layers.accounts import roles_with
from layers.catalog import Catalog
from layers.database import Readers, Scope, sql, statement
from layers.definition import Definition, Transition, Workflow
from layers.errors import InvalidValue, NotFound, SignInNeeded, StepRefused, UnknownParameter
from layers.features import feature, properties_of
from layers.grades import computed_values
from layers.tables import fields_of, view

SQL = Path(__file__).parent / "sql"
LEVELS_OF_AREAS = "admin_level"
AREA_LEVEL = "county"
EDIT = "edit"
Row = Mapping[str, Any]


def workflow_of(definition: Definition) -> Workflow:
    """The layer's workflow.

    Raises
    ------
    NotFound
        When it has none.
    """
    if definition.workflow is None:
        raise NotFound(f"the layer {definition.id} has no workflow", parameter="layer")
    return definition.workflow


# --- steps


def check_step(
    definition: Definition, before: Row | None, after: Row, rights: frozenset[str], today: datetime.date
) -> dict[str, Any]:
    """What a write sets besides, when it is a step that may be taken, or no step at all.

    Parameters
    ----------
    before : mapping, optional
        The row as it is; None for a new one.
    after : mapping
        The row as it would be; fields that are not there are unknown.
    rights : frozenset of str
        The asker's.
    today : date
        The day on which the step is taken.

    Returns
    -------
    dict
        Field to value: the state of a new item, days of steps, and None for what the step clears.

    Raises
    ------
    StepRefused
        When no step leads there, the asker may not take it, something that it needs is unknown, or a day cannot be.
        ``further`` says which fields are ``missing``, the ``clause`` and its ``certainty``, and the ``roles`` that may.

    Notes
    -----
    Not for imports: an existing register brings its items in any state.
    """
    workflow = definition.workflow
    if workflow is None:
        return {}
    if not is_in_loop(workflow, after):
        return _outside(workflow, before, after)
    old = before.get(workflow.state) if before is not None else None
    new = after.get(workflow.state)
    besides: dict[str, Any] = {}
    if before is None or (old is None and not is_in_loop(workflow, before)):
        if new not in (None, workflow.initial):
            raise StepRefused(
                f"an item begins as {workflow.initial}, not as {new}", parameter=workflow.state,
                expected=workflow.initial, further=_further(None),
            )  # fmt: skip
        besides = {} if new == workflow.initial else {workflow.state: workflow.initial}
    elif new != old:
        besides = _step(definition, workflow, before, after, rights, today)
    _check_days(workflow, before, {**after, **besides}, today)
    return besides


def changes_state(definition: Definition, before: Row | None, after: Row) -> bool:
    """Whether a write changes the state of an item that was there."""
    workflow = definition.workflow
    return workflow is not None and before is not None and before.get(workflow.state) != after.get(workflow.state)


def transition(definition: Definition, old: str | None, new: str | None) -> Transition | None:
    """The step from one state to another; None when there is none."""
    steps = definition.workflow.transitions if definition.workflow is not None else ()
    return next((step for step in steps if old in step.from_states and new == step.to), None)


def fields_of_step(definition: Definition, step: Transition) -> frozenset[str]:
    """The fields that whoever may take a step may write with it."""
    workflow = workflow_of(definition)
    own = {workflow.state, *step.needs, *step.clears, *([step.dated] if step.dated else [])}
    return frozenset(own | ({workflow.closed_on} if step.to in workflow.closed else set()))


def is_in_loop(workflow: Workflow, row: Row) -> bool:
    """Whether a row has states at all: past events have none."""
    return all(row.get(name) in (None, value) for name, value in workflow.when.items())


def is_missing(value: Any) -> bool:
    """Whether a value that a step needs is not there: unknown, empty or false; 0 is known."""
    return value is None or value is False or (isinstance(value, str) and not value.strip())


def _outside(workflow: Workflow, before: Row | None, after: Row) -> dict[str, Any]:
    """Refuse a state for a row that is not in the loop."""
    new = after.get(workflow.state)
    if new is not None and (before is None or before.get(workflow.state) != new):
        kinds = ", ".join(f"{name} = {after.get(name)}" for name in workflow.when)
        raise StepRefused(
            f"an item with {kinds} is not in the loop, so it has no {workflow.state}", parameter=workflow.state,
            expected=f"{workflow.state} empty", further=_further(None),
        )  # fmt: skip
    return {}


def _step(
    definition: Definition, workflow: Workflow, before: Row, after: Row, rights: frozenset[str], today: datetime.date
) -> dict[str, Any]:
    old, new = before.get(workflow.state), after.get(workflow.state)
    if old is None and new == workflow.initial:
        _check_right(EDIT, None, rights)
        return {}
    step = transition(definition, old, new)
    if step is None:
        onward = [s.to for s in workflow.transitions if old in s.from_states] if old else [workflow.initial]
        raise StepRefused(
            f"no step leads from {old or 'an unknown state'} to {new or 'an unknown state'}", parameter=workflow.state,
            expected=", ".join(onward), further=_further(None),
        )  # fmt: skip
    _check_right(step.right, step, rights)
    besides: dict[str, Any] = {}
    for name in step.clears:
        if after.get(name) is not None and after.get(name) == before.get(name):
            besides[name] = None
    dated = [name for name in (step.dated, workflow.closed_on if step.to in workflow.closed else None) if name]
    for name in dated:
        if after.get(name) is None or after.get(name) == before.get(name):
            besides[name] = today
    row = {**after, **besides}
    row.update(computed_values(definition, row))
    missing = [name for name in step.needs if is_missing(row.get(name))]
    if missing:
        labels = ", ".join(f"{definition.fields[name].label.en} ({name})" for name in missing)
        raise StepRefused(
            f"{step.label.en} needs {labels}", parameter=missing[0], expected=", ".join(step.needs),
            further=_further(step, missing),
        )  # fmt: skip
    return besides


def _check_right(right: str, step: Transition | None, rights: frozenset[str]) -> None:
    if right not in rights:
        roles = roles_with(right)
        name = step.label.en if step is not None else "to begin the loop"
        raise StepRefused(
            f"{name}: this step is not yours", expected=f"one of the roles {', '.join(roles)}",
            further=_further(step, roles=roles),
        )  # fmt: skip


def _further(step: Transition | None, missing: Sequence[str] = (), roles: Sequence[str] = ()) -> dict[str, Any]:
    clause = step.clause.model_dump() if step is not None and step.clause is not None else None
    certainty = step.certainty if step is not None else None
    return {"missing": list(missing), "clause": clause, "certainty": certainty, "roles": list(roles)}


def _check_days(workflow: Workflow, before: Row | None, row: Row, today: datetime.date) -> None:
    """Refuse days that cannot be, when one of them changes."""
    names = [name for name in (workflow.opened_on, workflow.deadline, workflow.closed_on) if name is not None]
    if before is not None and all(_day(row.get(name)) == _day(before.get(name)) for name in names):
        return
    found = _day(row.get(workflow.opened_on)) if workflow.opened_on is not None else None
    deadline, closed = _day(row.get(workflow.deadline)), _day(row.get(workflow.closed_on))
    if deadline and found and deadline < found:
        raise _no_day(workflow.deadline, f"the deadline {deadline} lies before {found}", f"{found} or later")
    if closed and found and closed < found:
        raise _no_day(workflow.closed_on, f"{closed} lies before {found}, when it was found", f"{found} or later")
    if closed and closed > today:
        raise _no_day(workflow.closed_on, f"{closed} has not come yet", f"{today} or earlier")


def _no_day(name: str, words: str, expected: str) -> StepRefused:
    return StepRefused(words, parameter=name, expected=expected, further=_further(None, [name]))


def _day(value: Any) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value[:10])
        except ValueError:
            return None  # the field's own validation says so
    return value if isinstance(value, datetime.date) else None


# --- conditions over a row of the layer's view


def in_loop(definition: Definition) -> sql.Composable:
    """That a row has states."""
    conditions = [
        sql.SQL("coalesce({} = {}, true)").format(sql.Identifier(name), sql.Literal(value))
        for name, value in workflow_of(definition).when.items()
    ]
    return sql.SQL("({})").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL("true")


def is_closed(definition: Definition) -> sql.Composable:
    """That a row in the loop has come to its end."""
    workflow = workflow_of(definition)
    return sql.SQL("({} AND coalesce({} = ANY ({}), false))").format(
        in_loop(definition), sql.Identifier(workflow.state), sql.Literal(list(workflow.closed))
    )


def is_open(definition: Definition) -> sql.Composable:
    """That a row in the loop has not come to its end; of an unknown state that is not known, so it is open."""
    return sql.SQL("({} AND NOT {})").format(in_loop(definition), is_closed(definition))


def is_overdue(definition: Definition, today: datetime.date) -> sql.Composable:
    """That a row is open on a day after its deadline."""
    deadline = sql.Identifier(workflow_of(definition).deadline)
    return sql.SQL("({} AND coalesce({} < {}, false))").format(is_open(definition), deadline, sql.Literal(today))


def closed_this_month(definition: Definition, today: datetime.date) -> sql.Composable:
    """That a row was closed in the month of a day."""
    first = today.replace(day=1)
    following = (first + datetime.timedelta(days=31)).replace(day=1)
    return sql.SQL("({0} AND coalesce({1} >= {2} AND {1} < {3}, false))").format(
        is_closed(definition), sql.Identifier(workflow_of(definition).closed_on), sql.Literal(first),
        sql.Literal(following),
    )  # fmt: skip


def grade_unknown(definition: Definition) -> sql.Composable:
    """That a row is open and of unknown grade."""
    grade = workflow_of(definition).grade
    if grade is None:
        return sql.SQL("false")
    return sql.SQL("({} AND {} IS NULL)").format(is_open(definition), sql.Identifier(grade))


def deadline_unknown(definition: Definition) -> sql.Composable:
    """That a row is open and has no deadline."""
    return sql.SQL("({} AND {} IS NULL)").format(is_open(definition), sql.Identifier(workflow_of(definition).deadline))


def gap(definition: Definition, gap_id: str) -> sql.Composable:
    """That a row is open and lacks one of the gap's fields: unknown, empty, false or 0.

    Raises
    ------
    InvalidValue
        When there is no such gap.
    """
    lacking = [sql.SQL("coalesce({}, true)").format(_lacks(definition, name)) for name in _missing(definition, gap_id)]
    return sql.SQL("({} AND ({}))").format(is_open(definition), sql.SQL(" OR ").join(lacking))


def gap_not_known(definition: Definition, gap_id: str) -> sql.Composable:
    """That a row has a gap only as far as is known: nothing says that the thing is there, nor that it is not."""
    denied = [sql.SQL("coalesce({}, false)").format(_lacks(definition, name)) for name in _missing(definition, gap_id)]
    return sql.SQL("({} AND NOT ({}))").format(gap(definition, gap_id), sql.SQL(" OR ").join(denied))


def _missing(definition: Definition, gap_id: str) -> tuple[str, ...]:
    gaps = {one.id: one.missing for one in workflow_of(definition).gaps}
    if gap_id not in gaps:
        raise InvalidValue(f"there is no gap {gap_id!r}", parameter="missing", expected=", ".join(gaps))
    return gaps[gap_id]


def _lacks(definition: Definition, name: str) -> sql.Composable:
    """That a field says there is nothing; NULL when it is unknown."""
    kind, column = definition.fields[name].type, sql.Identifier(name)
    forms = {"boolean": "NOT {}", "integer": "{} = 0", "number": "{} = 0", "text": "btrim({}) = ''"}
    return sql.SQL(forms.get(kind, "CASE WHEN {} IS NOT NULL THEN false END")).format(column)


def card_order(definition: Definition, today: datetime.date) -> sql.Composable:
    """Overdue first, the longest overdue first of all, then by deadline, unknown ones last; the closed by day."""
    workflow = workflow_of(definition)
    return sql.SQL("{} DESC, CASE WHEN {} THEN {} END DESC NULLS LAST, {} NULLS LAST, fid").format(
        is_overdue(definition, today), is_closed(definition), sql.Identifier(workflow.closed_on),
        sql.Identifier(workflow.deadline),
    )  # fmt: skip


def area_name(known: Catalog, definition: Definition, scope: Scope) -> sql.Composable:
    """The name of the county in which row ``i`` lies, NULL outside all that are known; one area an item."""
    found = _areas(known)
    if found is None or not definition.has_geometry:
        return sql.SQL("NULL::text")
    areas, level = found
    place = sql.SQL("i.geom" if definition.dimension == 0 else "ST_PointOnSurface(i.geom)")
    return sql.SQL(
        "(SELECT a.{} FROM {} AS a WHERE a.{} = {} AND a.sample = i.sample AND ST_Intersects(a.geom, {})"
        " ORDER BY a.fid LIMIT 1)"
    ).format(
        sql.Identifier(areas.name_field or "source_id"), view(areas, scope), sql.Identifier(level),
        sql.Literal(AREA_LEVEL), place,
    )  # fmt: skip


def _areas(known: Catalog) -> tuple[Definition, str] | None:
    """The layer of areas that lie within one another, and its field with their level."""
    for definition in known.values():
        if definition.parent is not None and definition.dimension == 2:
            for name, field in definition.fields.items():
                if field.codes == LEVELS_OF_AREAS:
                    return definition, name
    return None


STATES: dict[str, Callable[[Definition, datetime.date], sql.Composable]] = {
    "open": lambda definition, _: is_open(definition),
    "closed": lambda definition, _: is_closed(definition),
    "overdue": is_overdue,
    "closed_this_month": closed_this_month,
    "grade_unknown": lambda definition, _: grade_unknown(definition),
    "deadline_unknown": lambda definition, _: deadline_unknown(definition),
}
"""What ``state=`` may ask for in a list of items, besides a code of the state field."""


def list_conditions(
    known: Catalog,
    definition: Definition,
    scope: Scope,
    today: datetime.date,
    *,
    state: str | None = None,
    missing: str | None = None,
    area: str | None = None,
) -> tuple[sql.Composable, ...]:
    """The conditions of the list behind a number of the board, over row ``i`` of the layer's view.

    Parameters
    ----------
    state : str, optional
        A key of STATES, or a code of the state field.
    missing : str, optional
        The id of a gap.
    area : str, optional
        The name of a county; empty: outside every one that is known.

    Raises
    ------
    InvalidValue, SignInNeeded
        When one is not known, or asks for what may not be read in the scope.
    """
    if definition.workflow is None:
        raise UnknownParameter(f"the layer {definition.id} has no workflow", parameter="state")
    workflow = definition.workflow
    _check_scope(definition, scope)
    conditions = [in_loop(definition)]
    if state in STATES:
        conditions.append(STATES[state](definition, today))
    elif state is not None:
        codes = known.codes_of(definition, definition.fields[workflow.state])
        if state not in codes:
            expected = ", ".join([*STATES, *codes])
            raise InvalidValue(f"there is no state {state!r}", parameter="state", expected=expected)
        conditions.append(sql.SQL("{} = {}").format(sql.Identifier(workflow.state), sql.Literal(state)))
    if missing is not None:
        conditions.append(gap(definition, missing))
    if area is not None:
        name = area_name(known, definition, scope)
        conditions.append(sql.SQL("{} IS NOT DISTINCT FROM {}").format(name, sql.Literal(area or None)))
    return tuple(conditions)


# --- the board


def day_of(moment: datetime.datetime | None) -> datetime.date:
    """The day by which it is judged what is overdue: today, or that of an earlier moment."""
    return datetime.date.today() if moment is None else moment.astimezone().date()


def board(readers: Readers, known: Catalog, definition: Definition, limit: int, today: datetime.date) -> dict[str, Any]:
    """All items in the loop by state, with the counts, from one state of the database.

    Parameters
    ----------
    limit : int
        Items a state.
    today : date
        The day on which is judged what is overdue.

    Returns
    -------
    dict
        ``states``: code, label, count, overdue, items (GeoJSON features, overdue first), more; every code of the list,
        and code None for rows of unknown state where there are some. ``counts``. ``by_area``: the same by county, name
        None outside every one that is known. ``gaps``: id, label, count, and of these ``unknown``: not known to be
        missing. ``threatened_persons`` of open items: sum of the known (None when none is), and how many are unknown.

    Raises
    ------
    NotFound
        When the layer has no workflow.
    SignInNeeded
        When the scope does not hold a field that is counted.
    """
    workflow = workflow_of(definition)
    scope = readers.scope
    _check_scope(definition, scope)
    gaps = [one.id for one in workflow.gaps]
    query = sql.SQL(statement(SQL / "board.sql")).format(
        view=view(definition, scope),
        in_loop=in_loop(definition),
        state=sql.Identifier(workflow.state),
        persons=sql.Identifier(workflow.persons) if workflow.persons is not None else sql.SQL("NULL::bigint"),
        area=area_name(known, definition, scope),
        is_open=is_open(definition),
        is_overdue=is_overdue(definition, today),
        closed_this_month=closed_this_month(definition, today),
        grade_unknown=grade_unknown(definition),
        deadline_unknown=deadline_unknown(definition),
        order=card_order(definition, today),
        gaps=_array(gap(definition, one) for one in gaps),
        not_known=_array(gap_not_known(definition, one) for one in gaps),
        gap_count=sql.Literal(len(gaps)),
        feature=feature(definition),
        properties=properties_of(definition, None, scope),
        limit=sql.Literal(limit),
    )
    row = readers.one(query)
    assert row is not None
    counts, states, items, areas, gap_counts, persons = row
    return {
        "states": _states(known, definition, states or [], items or []),
        "counts": counts,
        "by_area": areas or [],
        "gaps": [
            {"id": one.id, "label": one.label.model_dump(), **numbers}
            for one, numbers in zip(workflow.gaps, gap_counts or [], strict=True)
        ],
        "threatened_persons": persons if workflow.persons is not None else None,
        "clause": workflow.clause.model_dump() if workflow.clause is not None else None,
        "certainty": workflow.certainty,
        "today": today.isoformat(),
    }


def _array(conditions: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL("ARRAY[{}]::boolean[]").format(sql.SQL(", ").join(conditions))


def _states(
    known: Catalog, definition: Definition, found: Sequence[dict[str, Any]], items: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    field = definition.fields[workflow_of(definition).state]
    labels: dict[str | None, dict[str, str]] = {
        code: {"zh": words.zh, "en": words.en} for code, words in known.codes_of(definition, field).items()
    }
    numbers = {one["state"]: one for one in found}
    if None in numbers:
        labels[None] = {"zh": f"{field.label.zh}不详", "en": f"{field.label.en} unknown"}
    cards: dict[str | None, list[Any]] = {code: [] for code in labels}
    for one in items:
        cards[one["state"]].append(one["item"])
    return [
        {
            "code": code, "label": label, "count": (count := numbers.get(code, {}).get("count", 0)),
            "overdue": numbers.get(code, {}).get("overdue", 0), "items": cards[code], "more": count > len(cards[code]),
        }
        for code, label in labels.items()
    ]  # fmt: skip


def _check_scope(definition: Definition, scope: Scope) -> None:
    """Refuse to count what may not be read."""
    workflow = workflow_of(definition)
    counted = [workflow.state, workflow.closed_on, workflow.deadline, workflow.grade, workflow.persons, *workflow.when]
    counted += [name for one in workflow.gaps for name in one.missing]
    readable = fields_of(definition, scope)
    if any(name is not None and name not in readable for name in counted):
        raise SignInNeeded(f"the board of {definition.id} counts what is not public", expected="sign in first")
