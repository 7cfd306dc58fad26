"""Grades that a standard gives to measures: as SQL for generated columns, and the same in Python.

A definition says which (``[[computed]]``). The grade that counts is the stated one when a reason is given, else the
computed one when it is known, else the stated one. Unknown measures never lower a grade: when all are unknown, so is
the grade; when one is, the grade is a lower bound, unless it is the highest.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layers.catalog import grade, standard
from layers.database import sql
from layers.definition import Computed, Definition, Scalar

BLANKS = " \t\r\n\u3000"


@dataclass(frozen=True)
class Generated:
    """A column that PostgreSQL computes.

    Parameters
    ----------
    type : str
        The column's type.
    expression : sql.Composable
        Over the row's entered columns; immutable.
    comment : str
        Says what it is, with a digest of the expression: another comment is another column.
    """

    type: str
    expression: sql.Composable
    comment: str


def generated_columns(definition: Definition) -> dict[str, Generated]:
    """The columns of a layer that are computed from its others, in the order of the definition."""
    made: dict[str, sql.Composable] = {}
    for computed in definition.computed:
        by_standard = _by_standard(computed)
        made[computed.field] = sql.SQL("CASE WHEN {} THEN {} ELSE coalesce({}, {}) END").format(
            _overruled(computed), sql.Identifier(computed.stated), by_standard, sql.Identifier(computed.stated)
        )
        made[computed.computed] = by_standard
        if computed.at_least is not None:
            made[computed.at_least] = _at_least(computed, by_standard)
    columns: dict[str, Generated] = {}
    for name, field in definition.fields.items():
        if name in made:
            digest = hashlib.sha256(repr(made[name]).encode()).hexdigest()[:12]
            comment = f"{field.label.zh} / {field.label.en}, computed ({digest})"
            columns[name] = Generated(field.column_type, made[name], comment)
    return columns


def differing(computed: Computed) -> sql.Composable:
    """That a row's stated grade is another than the computed one, and no reason is given."""
    return sql.SQL("({} <> {} AND NOT {}) IS TRUE").format(
        sql.Identifier(computed.stated), _by_standard(computed), _reason_given(computed)
    )


def _by_standard(computed: Computed) -> sql.Composable:
    """The standard's grade; NULL when every measure is unknown or the standard does not apply."""
    *thresholds, lowest = standard(computed.standard).thresholds
    columns = {name: sql.Identifier(name) for name in computed.measures}
    unknown = sql.SQL(" AND ").join(sql.SQL("{} IS NULL").format(column) for column in columns.values())
    cases = [sql.SQL("WHEN {} THEN NULL").format(unknown)]
    if computed.when:
        cases.insert(0, sql.SQL("WHEN ({}) IS NOT TRUE THEN NULL").format(_equal(computed.when)))
    for threshold in thresholds:
        limits = [
            sql.SQL("{} {} {}").format(columns[name], sql.SQL(sign), sql.Literal(limit))
            for sign, given in ((">=", threshold.at_least), (">", threshold.more_than))
            for name, limit in given.items() if name in columns
        ]  # fmt: skip
        if limits:
            reached = sql.SQL(" OR ").join(limits)
            cases.append(sql.SQL("WHEN {} THEN {}").format(reached, sql.Literal(threshold.grade)))
    return sql.SQL("CASE {} ELSE {} END").format(sql.SQL(" ").join(cases), sql.Literal(lowest.grade))


def _equal(when: Mapping[str, Scalar]) -> sql.Composable:
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in when.items()
    )


def _reason_given(computed: Computed) -> sql.Composable:
    reason = sql.Identifier(computed.reason)
    return sql.SQL("coalesce(btrim({}, {}) <> '', false)").format(reason, sql.Literal(BLANKS))


def _overruled(computed: Computed) -> sql.Composable:
    return sql.SQL("({} IS NOT NULL AND {})").format(sql.Identifier(computed.stated), _reason_given(computed))


def _at_least(computed: Computed, by_standard: sql.Composable) -> sql.Composable:
    """Whether the grade that counts is a lower bound; NULL when there is none."""
    unknown = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name in computed.measures)
    highest = sql.Literal(standard(computed.standard).thresholds[0].grade)
    return sql.SQL(
        "CASE WHEN {overruled} THEN false WHEN {grade} IS NOT NULL THEN ({unknown}) AND {grade} <> {highest}"
        " WHEN {stated} IS NOT NULL THEN false END"
    ).format(
        overruled=_overruled(computed), grade=by_standard, unknown=unknown, highest=highest,
        stated=sql.Identifier(computed.stated),
    )  # fmt: skip


# --- the same in Python


def computed_values(definition: Definition, row: Mapping[str, Any]) -> dict[str, Any]:
    """What PostgreSQL will compute for a row: computed field to value.

    Parameters
    ----------
    row : mapping of field name to value
        The entered fields; those that are not there are unknown.
    """
    values: dict[str, Any] = {}
    for computed in definition.computed:
        by_standard = standard_grade(computed, row)
        stated = row.get(computed.stated)
        overruled = stated is not None and has_reason(computed, row)
        values[computed.field] = stated if overruled or by_standard is None else by_standard
        values[computed.computed] = by_standard
        if computed.at_least is not None:
            bound = not overruled and by_standard is not None and _is_bound(computed, row, by_standard)
            values[computed.at_least] = bound if values[computed.field] is not None else None
    return values


def standard_grade(computed: Computed, row: Mapping[str, Any]) -> str | None:
    """The grade that the standard gives to a row; None when it gives none."""
    if any(row.get(name) != value for name, value in computed.when.items()):
        return None
    return grade(computed.standard, {name: _measure(row, name) for name in computed.measures})


def _measure(row: Mapping[str, Any], name: str) -> float | None:
    """A measure of a row; what is no number is unknown, as it is in a row that its layer refuses."""
    value = row.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def has_reason(computed: Computed, row: Mapping[str, Any]) -> bool:
    """Whether a row says why its stated grade counts."""
    reason = row.get(computed.reason)
    return isinstance(reason, str) and bool(reason.strip(BLANKS))


def _is_bound(computed: Computed, row: Mapping[str, Any], by_standard: str) -> bool:
    unknown = any(_measure(row, name) is None for name in computed.measures)
    return unknown and by_standard != standard(computed.standard).thresholds[0].grade


def unreasoned(definition: Definition, row: Mapping[str, Any]) -> list[tuple[Computed, str]]:
    """The stated grades of a row that differ from the standard's without a reason, each with the standard's grade."""
    found = []
    for computed in definition.computed:
        by_standard, stated = standard_grade(computed, row), row.get(computed.stated)
        if None not in (by_standard, stated) and by_standard != stated and not has_reason(computed, row):
            assert by_standard is not None
            found.append((computed, by_standard))
    return found


def described(definition: Definition) -> list[dict[str, Any]]:
    """The computed grades of a layer with their standards whole: title, edition, limits, clauses, certainty."""
    return [
        {**computed.model_dump(mode="json"), "standard": standard(computed.standard).model_dump(mode="json")}
        for computed in definition.computed
    ]
