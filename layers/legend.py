"""The legend as SQL: which rule draws a row, and which rows are drawn at a zoom."""

from __future__ import annotations

from collections.abc import Iterator

from layers.database import sql
from layers.definition import Definition, Rule


def rules(definition: Definition) -> tuple[Rule, ...]:
    """The layer's rules in the order in which they are tried; none without a map."""
    return definition.map.rules if definition.map is not None else ()


def rule_number(definition: Definition) -> sql.Composable:
    """The number of the first rule that fits a row, from 0; -1 when none does."""
    cases = [
        sql.SQL("WHEN {} THEN {}").format(_fits(definition, rule), sql.Literal(number))
        for number, rule in enumerate(rules(definition))
    ]
    return sql.SQL("CASE {} ELSE -1 END").format(sql.SQL(" ").join(cases)) if cases else sql.SQL("-1")


def shown(definition: Definition, z: int) -> sql.Composable:
    """Which rows are drawn at a zoom: those whose first fitting rule starts no more than one zoom further in."""
    out_of_sight = hidden(definition, z)
    if not out_of_sight:
        return sql.SQL("true")
    cases = [
        sql.SQL("WHEN {} THEN {}").format(_fits(definition, rule), sql.Literal(number not in out_of_sight))
        for number, rule in enumerate(rules(definition))
    ]
    return sql.SQL("CASE {} ELSE true END").format(sql.SQL(" ").join(cases))


def hidden(definition: Definition, z: int) -> set[int]:
    """The numbers of the rules that draw nothing at a zoom."""
    return {n for n, rule in enumerate(rules(definition)) if rule.min_zoom is not None and rule.min_zoom > z + 1}


def fields_of_rules(definition: Definition) -> set[str]:
    """The fields that decide which rule fits."""
    return {name for rule in rules(definition) for name in rule.when}


def ranks(definition: Definition) -> dict[int, int]:
    """How grave the rules are, by number: 0 is the gravest; of the rules that name no grade, the unknown comes first.

    The rules of ``tiles.worst`` stand in the order of their grades, the gravest first. Without that field no rule is
    graver than another, and the order is that of the legend.
    """
    worst = definition.tiles.worst

    def key(number: int) -> tuple[int, int]:
        when = rules(definition)[number].when
        if worst is None or when.get(worst) is not None:
            return 0, number
        return (1 if not when or worst in when else 2), number

    return {number: rank for rank, number in enumerate(sorted(range(len(rules(definition))), key=key))}


def unknown_rules(definition: Definition) -> list[int]:
    """The numbers of the rules of rows whose grade is unknown; none where the layer has no grade."""
    worst = definition.tiles.worst
    if worst is None:
        return []
    return [n for n, rule in enumerate(rules(definition)) if not rule.when or rule.when.get(worst, "") is None]


def _fits(definition: Definition, rule: Rule) -> sql.Composable:
    conditions = list(_conditions(definition, rule))
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def _conditions(definition: Definition, rule: Rule) -> Iterator[sql.Composable]:
    for name, value in rule.when.items():
        column = sql.Identifier(name)
        if value is None:
            yield sql.SQL("{} IS NULL").format(column)
        elif definition.fields[name].type == "codes":
            yield sql.SQL("{} @> {}").format(column, sql.Literal([value]))
        else:
            yield sql.SQL("{} = {}").format(column, sql.Literal(value))
