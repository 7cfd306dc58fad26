"""What closes roads or slows who travels on them: items of the layers whose definition says so (``[closes]``).

Closures are laid over the network when a question is asked: the graph stays as it is. Of each closure it is remembered
which edges it touches, and where along them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy
import shapely
from shapely.geometry.base import BaseGeometry

from gis.network import Floats, Network, metres_a_degree
from layers.catalog import Catalog
from layers.database import Readers, sql
from layers.definition import Condition, Definition
from layers.tables import view
from layers.times import moment_text

ASIDE_M = {0: 25.0, 1: 10.0, 2: 0.0}
"""How far beside a closure that is a point, a line, an area a road is still closed by it, metres."""
NEAREST_M = 100.0
"""A point without a road that near closes the nearest one, when it is no further than that."""
KEPT_AT_MOST = 50_000
UNKNOWN_FACTOR = 3.0
"""How many times as long a road takes that is said to be slow, nobody says how slow: a planning default."""
QUERY = """
SELECT fid, change, {name}, {forbids}, {factor}, {starts}, {ends}, sample, {told}, ST_AsBinary(geom)
FROM {view} AS i WHERE ({forbids} OR {slows}) AND {of_hazard} ORDER BY fid
"""


@dataclass(frozen=True)
class Closure:
    """Something that closes roads, or slows who travels on them.

    Parameters
    ----------
    layer, fid, change : str, int, int
        The item, and the change that wrote it.
    name : str, optional
        What it is called.
    factor : float
        How many times as long a road takes; infinite when it is closed.
    starts_at, ends_at : datetime, optional
        From when until when; None: since ever, until further notice.
    sample : bool
        Whether it is sample data, not real.
    told : dict
        What else is told about it.
    shape : BaseGeometry
        WGS 84, degrees.
    """

    layer: str
    fid: int
    change: int
    name: str | None
    factor: float
    starts_at: datetime | None
    ends_at: datetime | None
    sample: bool
    told: dict[str, Any] = field(compare=False)
    shape: BaseGeometry = field(compare=False)

    @property
    def id(self) -> str:
        """The item as other answers name it."""
        return f"{self.layer}.{self.fid}"

    def is_on(self, at: datetime) -> bool:
        """Whether it holds at a moment."""
        return (self.starts_at is None or self.starts_at <= at) and (self.ends_at is None or at < self.ends_at)

    def evidence(self) -> dict[str, Any]:
        """What an answer says of it."""
        return {
            "id": self.id,
            "name": self.name,
            "effect": "forbid" if numpy.isinf(self.factor) else "slow",
            "starts_at": _text(self.starts_at),
            "ends_at": _text(self.ends_at),
            **self.told,
            "sample": self.sample,
        }


def _text(moment: datetime | None) -> str | None:
    return moment_text(moment) if moment is not None else None


@dataclass(frozen=True)
class Mask:
    """Closures laid over a network.

    Parameters
    ----------
    closed : dict of int to tuple of float
        Of each closed edge: from where to where along it, metres.
    slowed : dict of int to list of (float, float, float)
        Of each slow edge: from where to where along it, metres, and how many times as long that takes.
    by_edge : dict of int to list of Closure
        What closes or slows it.
    """

    closed: dict[int, tuple[float, float]]
    slowed: dict[int, list[tuple[float, float, float]]]
    by_edge: dict[int, list[Closure]]

    def on(self, edges: Iterable[int]) -> list[Closure]:
        """The closures on some edges, each once, in the order of the edges."""
        return list(dict.fromkeys(closure for edge in edges for closure in self.by_edge.get(edge, ())))


def closures(readers: Readers, known: Catalog, hazard: str | None) -> list[Closure]:
    """The closures of all times, as far as the readers may see them.

    Parameters
    ----------
    hazard : str, optional
        Code of the hazard: its zones count. Without it, no zone does.
    """
    found = []
    for definition in closing(known, hazard):
        for row in readers.rows(_query(readers, definition, hazard)):
            fid, change, name, forbids, factor, starts, ends, sample, told, shape = row
            found.append(
                Closure(
                    definition.id, fid, change, name, numpy.inf if forbids else float(factor), starts, ends, sample,
                    told or {}, shapely.from_wkb(bytes(shape)),
                )
            )  # fmt: skip
    return found


def closing(known: Catalog, hazard: str | None) -> list[Definition]:
    """The layers whose items close roads; those that do so for one hazard only when it is given."""
    return [
        definition
        for definition in known.values()
        if definition.closes is not None and definition.has_geometry
        if hazard is not None or not definition.closes.of_hazard
    ]


def _query(readers: Readers, definition: Definition, hazard: str | None) -> sql.Composable:
    closes = definition.closes
    assert closes is not None
    slows = sql.SQL("false")
    factor: sql.Composable = sql.Literal(UNKNOWN_FACTOR)
    if closes.effect is not None:
        effect = sql.Identifier("i", closes.effect)
        forbids: sql.Composable = sql.SQL("(coalesce({}, 'forbid') = 'forbid')").format(effect)
        slows = sql.SQL("({} = 'slow')").format(effect)
        if closes.factor is not None:
            factor = sql.SQL("coalesce({}, {})").format(sql.Identifier("i", closes.factor), factor)
    else:
        forbids = _holds(closes.forbid)
        if closes.slow is not None:
            slows, factor = _holds(closes.slow), sql.Literal(closes.slow.factor)
    time = definition.time if closes.effect is not None else None
    starts = sql.Identifier("i", time.start) if time is not None else sql.SQL("NULL::timestamptz")
    ends = sql.Identifier("i", time.end) if time is not None and time.end else sql.SQL("NULL::timestamptz")
    of_hazard: sql.Composable = sql.SQL("true")
    if closes.of_hazard and definition.zones is not None:
        of_hazard = sql.SQL("{} = {}").format(sql.Identifier("i", definition.zones.hazard), sql.Literal(hazard))
    return sql.SQL(QUERY).format(
        view=view(definition, readers.scope),
        name=sql.Identifier("i", definition.name_field) if definition.name_field else sql.SQL("NULL"),
        forbids=forbids, slows=slows, factor=factor, starts=starts, ends=ends, of_hazard=of_hazard,
        told=_told(definition),
    )  # fmt: skip


def _holds(condition: Condition | None) -> sql.Composable:
    if condition is None:
        return sql.SQL("false")
    return sql.SQL("(({} = ANY ({})) IS TRUE)").format(
        sql.Identifier("i", condition.field), sql.Literal(list(condition.values))
    )


def _told(definition: Definition) -> sql.Composable:
    """Further public fields that an answer tells: the reason, the hazard, the grade, and since when it is stated."""
    assert definition.closes is not None
    names: list[str] = [name for name in ("reason", "stated_at") if name in definition.public_fields]
    if definition.closes.of_hazard and definition.zones is not None:
        names = [name for name in (definition.zones.hazard, definition.zones.grade) if name]
    pairs = sql.SQL(", ").join(sql.SQL("{}, {}").format(sql.Literal(n), sql.Identifier("i", n)) for n in names)
    return sql.SQL("json_build_object({})").format(pairs)


class Cuts:
    """Which edges of a network closures touch, remembered."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._known: OrderedDict[tuple[str, int, int], dict[int, tuple[float, float]]] = OrderedDict()

    def __call__(self, closure: Closure) -> dict[int, tuple[float, float]]:
        """Of each edge that a closure touches: from where to where along it, metres."""
        key = (closure.layer, closure.fid, closure.change)
        found = self._known.get(key)
        if found is None:
            found = touched(self._network, closure.shape)
            self._known[key] = found
            if len(self._known) > KEPT_AT_MOST:
                self._known.popitem(last=False)
        return found

    def mask(self, laid: Sequence[Closure]) -> Mask:
        """Closures laid over the network; an edge that several close is closed from the first to the last of them."""
        closed: dict[int, tuple[float, float]] = {}
        slowed: dict[int, list[tuple[float, float, float]]] = {}
        by_edge: dict[int, list[Closure]] = {}
        for closure in laid:
            for edge, (begin, end) in self(closure).items():
                by_edge.setdefault(edge, []).append(closure)
                if numpy.isinf(closure.factor):
                    before = closed.get(edge, (begin, end))
                    closed[edge] = (min(begin, before[0]), max(end, before[1]))
                else:
                    slowed.setdefault(edge, []).append((begin, end, closure.factor))
        return Mask(closed, slowed, by_edge)


def touched(network: Network, shape: BaseGeometry) -> dict[int, tuple[float, float]]:
    """Of each edge that a geometry touches: from where to where along it, metres.

    Notes
    -----
    A point closes roads within 25 m, else the nearest one within 100 m; a line roads within 10 m of it; an area what
    lies in it. Distances are those of the plane that touches the ellipsoid at the middle of the geometry. A tunnel or a
    bridge is closed like any other road: what lies above or below is not known.
    """
    if shape.is_empty or network.edges == 0:
        return {}
    middle = shapely.box(*shape.bounds).centroid
    origin, scale = numpy.array([middle.x, middle.y]), numpy.array(metres_a_degree(middle.y))

    def plane(places: Floats) -> Floats:
        flat: Floats = (places - origin) * scale
        return flat

    parts = list(shape.geoms) if hasattr(shape, "geoms") else [shape]
    flat = [shapely.transform(part, plane) for part in parts]
    area = shapely.union_all([part.buffer(ASIDE_M[int(shapely.get_dimensions(part))]) for part in flat])
    if not area.is_valid:
        area = shapely.make_valid(area)
    found = _inside(network, area, plane, origin, scale)
    for part in parts:
        if shapely.get_dimensions(part) == 0 and not _reaches(network, found, part, plane):
            every = numpy.ones(network.edges, dtype=bool)
            near = network.near(float(shapely.get_x(part)), float(shapely.get_y(part)), every, NEAREST_M)
            if near is not None:
                found[near.edge] = (near.offset_m - 1.0, near.offset_m + 1.0)
    return found


def _inside(
    network: Network, area: BaseGeometry, plane: Any, origin: Floats, scale: Floats
) -> dict[int, tuple[float, float]]:  # fmt: skip
    west, south, east, north = area.bounds
    low, high = numpy.array([west, south]) / scale + origin, numpy.array([east, north]) / scale + origin
    edges = network.within(low[0], low[1], high[0], high[1])
    if len(edges) == 0:
        return {}
    places, owner = network.lines(edges)
    lines = shapely.linestrings(plane(places), indices=owner)
    shapely.prepare(area)
    hit = numpy.flatnonzero(shapely.intersects(area, lines))
    found = {}
    for place in hit:
        line, edge = lines[place], int(edges[place])
        at = shapely.line_locate_point(line, shapely.points(shapely.get_coordinates(line.intersection(area))))
        stretch = float(network.edge_length_m[edge]) / line.length if line.length > 0 else 0.0
        found[edge] = (float(at.min()) * stretch, float(at.max()) * stretch)
    return found


def _reaches(network: Network, found: dict[int, Any], point: BaseGeometry, plane: Any) -> bool:
    """Whether one of the edges lies as near to a point as it closes roads."""
    place = shapely.transform(point, plane)
    limit = ASIDE_M[0] + 0.01
    return any(shapely.linestrings(plane(network.line(edge))).distance(place) <= limit for edge in found)
