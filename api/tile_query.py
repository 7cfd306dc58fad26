"""What a tile is asked with: the same filters as its items, and the moment that is looked back to."""

from __future__ import annotations

from api.parameters import unknown_parameter
from api.tiles import Conditions
from layers import features, filtering
from layers.catalog import Catalog
from layers.database import Scope, sql
from layers.errors import InvalidValue
from layers.features import Page
from layers.times import interval_of

NOT_CONDITIONS = ("as_of", "v", "f")
OWN = ("filter", "filter-lang", "datetime")


def conditions_of(known: Catalog, layers: tuple[str, ...], given: dict[str, str], scope: Scope) -> Conditions:
    """The conditions of each layer of a tile, from the parameters of its address.

    Parameters
    ----------
    given : dict of str to str
        ``filter`` with ``filter-lang``, ``datetime``, and fields with the value that they must have.

    Raises
    ------
    InvalidValue
        When a value cannot be read.
    UnknownParameter
        When one of the layers has no such field, or it may not be read.
    """
    filters = {name: value for name, value in given.items() if name not in NOT_CONDITIONS}
    if not filters:
        return {}
    if "filter" not in filters and "filter-lang" in filters:
        raise InvalidValue("filter-lang goes with filter", parameter="filter-lang", expected="a filter")
    return {layer: [_condition(known, layer, filters, scope)] for layer in layers}


def _condition(known: Catalog, layer: str, filters: dict[str, str], scope: Scope) -> sql.Composable:
    definition, text = known[layer], filters.get("filter")
    language = filters.get("filter-lang", "cql2-text")
    asked = Page(
        time=interval_of(filters["datetime"]) if "datetime" in filters else None,
        filters={name: value for name, value in filters.items() if name not in OWN},
        conditions=() if text is None else (filtering.condition_of(known, definition, scope, text, language),),
    )
    return features.where(known, definition, asked, scope)


def refuse(given: dict[str, str]) -> None:
    """Refuse every parameter.

    Raises
    ------
    UnknownParameter
        When there is one.
    """
    for name in given:
        raise unknown_parameter(name, "no parameters")
