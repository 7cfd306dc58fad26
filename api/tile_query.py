"""What a tile is asked with: filters, the features' own time, and the moment that is looked back to."""

from __future__ import annotations

from api.parameters import unknown_parameter
from api.tiles import Conditions
from layers import features
from layers.catalog import Catalog
from layers.database import Scope
from layers.features import Page

OWN = ("as_of", "v")


def conditions_of(known: Catalog, layers: tuple[str, ...], given: dict[str, str], scope: Scope) -> Conditions:
    """The conditions of each layer of a tile, from the parameters of its address.

    Raises
    ------
    UnknownParameter
        When one of the layers has no such field, or it may not be read.
    """
    filters = {name: value for name, value in given.items() if name not in OWN}
    if not filters:
        return {}
    return {layer: [features.where(known, known[layer], Page(filters=filters), scope)] for layer in layers}


def refuse(given: dict[str, str]) -> None:
    """Refuse every parameter.

    Raises
    ------
    UnknownParameter
        When there is one.
    """
    for name in given:
        raise unknown_parameter(name, "no parameters")
