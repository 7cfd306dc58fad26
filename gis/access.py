"""How long each settlement needs to the nearest item of a layer that is fit to be used, by road."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from gis.judging import rules_of
from gis.network import Floats, Near
from gis.roads import Places, Situation
from gis.service_area import demand_layers
from gis.travel import FOREVER_S, Stop, Stops, Tree, Ways
from layers.catalog import catalog
from layers.database import sql
from layers.definition import Definition
from layers.errors import InvalidValue
from layers.tables import view


def access(here: Situation, layer: str) -> dict[str, Any]:
    """Each settlement with its time to the nearest open item of a layer, or from it to the settlement.

    Parameters
    ----------
    here : Situation
        The network as it may be used.
    layer : str
        The items; those that are stated to be closed, or not designated, do not count. People travel to shelters,
        teams to people (``[nearest] travel`` of the definition).

    Returns
    -------
    dict
        A GeoJSON FeatureCollection of the settlements: ``name``, ``persons`` (None when unknown), ``travel_time_s`` and
        ``nearest`` (both None when there is no way), ``sample``.

    Raises
    ------
    InvalidValue
        When there is no such layer.

    Notes
    -----
    One search from all items at once. Capacity is not looked at: ``gis.siting`` allocates.
    """
    book = catalog()
    if layer not in book or book[layer].nearest is None:
        expected = ", ".join(d.id for d in book.values() if d.nearest is not None)
        raise InvalidValue(f"there is no layer {layer[:80]!r} to travel to", parameter="layer", expected=expected)
    definition = book[layer]
    towards = rules_of(definition).travel == "from_incident"  # from the settlement to the item
    items = here.places(definition)
    open_items = _open_items(here, definition, items)
    starts, item_of = _starts(here.ways, items.stops, open_items, towards=towards)
    tree = here.ways.tree(starts, towards=towards, limit_s=FOREVER_S, ways=True)
    roots = _roots(tree, here.ways)
    features = []
    for demand in demand_layers():
        places = here.places(demand)
        seconds, nearest = _nearest(here, tree, roots, item_of, places, items, towards=towards)
        features += _features(here, demand, places, seconds, nearest, definition)
    return {"type": "FeatureCollection", "features": features, "layer": layer, "network": here.told()}


def _open_items(here: Situation, definition: Definition, items: Places) -> NDArray[numpy.bool_]:
    """Which items are not stated to be closed, nor without designation."""
    conditions = [
        sql.SQL("({} = ANY ({})) IS TRUE").format(sql.Identifier(one.field), sql.Literal(list(one.values)))
        for _, one in rules_of(definition).conditions()
    ]
    unfit = sql.SQL(" OR ").join(conditions) if conditions else sql.SQL("false")
    query = sql.SQL("SELECT fid FROM {} WHERE {}").format(view(definition, here.readers.scope), unfit)
    closed = [fid for (fid,) in here.readers.rows(query)]
    return ~numpy.isin(items.fid, closed)


def _starts(
    ways: Ways, stops: Stops, wanted: NDArray[numpy.bool_], *, towards: bool
) -> tuple[list[tuple[int, float]], dict[int, int]]:  # fmt: skip
    """The nodes around the items with the times from there; and the item of each node."""
    best: dict[int, tuple[float, int]] = {}
    for entry in numpy.flatnonzero(wanted[stops.place]):
        near = Near(int(stops.edge[entry]), float(stops.offset_m[entry]), float(stops.walk_m[entry]))
        for node, seconds in ways.arcs(Stop((near,)), towards=towards):
            if seconds < best.get(node, (numpy.inf, 0))[0]:
                best[node] = (seconds, int(stops.place[entry]))
    return [(node, seconds) for node, (seconds, _) in best.items()], {node: item for node, (_, item) in best.items()}


def _roots(tree: Tree, ways: Ways) -> NDArray[numpy.int64]:
    """Of each node, the one of the search's first nodes that its way leads by; -1 when there is none."""
    assert tree.before is not None
    place = ways.network.nodes
    here = numpy.arange(place)
    before = tree.before[:-1].astype(numpy.int64)
    root = numpy.where(before == place, here, before)
    root[before < 0] = -1
    while True:  # each step doubles how far it looks
        further = numpy.where(root >= 0, root[root], -1)
        if (further == root).all():
            return root
        root = further


def _nearest(
    here: Situation, tree: Tree, roots: NDArray[numpy.int64], item_of: dict[int, int], places: Places, items: Places,
    *, towards: bool,
) -> tuple[Floats, list[int | None]]:  # fmt: skip
    """The time of each place, and the item that it belongs to."""
    stops = places.stops
    ends = here.ways.network.edge_nodes[stops.edge]
    times = stops.ends_s(here.ways, towards=not towards) + tree.seconds[ends]
    least: Floats = numpy.full(stops.count, numpy.inf)
    nearest: list[int | None] = [None] * stops.count
    on_edge: dict[int, list[int]] = {}
    used = set(item_of.values())
    for entry, edge in enumerate(items.stops.edge.tolist()):
        if int(items.stops.place[entry]) in used:
            on_edge.setdefault(edge, []).append(entry)
    for entry in range(len(stops.edge)):
        place, end = int(stops.place[entry]), int(times[entry].argmin())
        if times[entry, end] < least[place]:
            least[place] = times[entry, end]
            nearest[place] = item_of[int(roots[ends[entry, end]])]
        for other in on_edge.get(int(stops.edge[entry]), ()):  # along the same edge, without any node
            stop = _stop(items.stops, other)
            part = stops.only(slice(entry, entry + 1))
            seconds = float(here.ways.direct_s(stop, part, towards=towards)[0])
            if seconds < least[place]:
                least[place], nearest[place] = seconds, int(items.stops.place[other])
    return least, nearest


def _stop(stops: Stops, entry: int) -> Stop:
    return Stop((Near(int(stops.edge[entry]), float(stops.offset_m[entry]), float(stops.walk_m[entry])),))


def _features(
    here: Situation, demand: Definition, places: Places, seconds: Floats, nearest: list[int | None],
    definition: Definition,
) -> list[dict[str, Any]]:  # fmt: skip
    items = here.places(definition)
    persons = places.persons
    name = sql.Identifier(demand.name_field) if demand.name_field else sql.SQL("NULL")
    query = sql.SQL("SELECT fid, {}, sample FROM {}").format(name, view(demand, here.readers.scope))
    known = {fid: (text, sample) for fid, text, sample in here.readers.rows(query)}
    features = []
    for index, fid in enumerate(places.fid.tolist()):
        text, sample = known.get(fid, (None, False))
        item = nearest[index]
        features.append(
            {
                "type": "Feature",
                "id": f"{demand.id}.{fid}",
                "geometry": {"type": "Point", "coordinates": places.at[index].tolist()},
                "properties": {
                    "name": text,
                    "persons": None if numpy.isnan(persons[index]) else int(persons[index]),
                    "travel_time_s": round(float(seconds[index]), 1) if numpy.isfinite(seconds[index]) else None,
                    "nearest": None if item is None else f"{definition.id}.{items.fid[item]}",
                    "sample": sample,
                },
            }
        )
    return features
