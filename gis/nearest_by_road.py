"""The items nearest to an incident by road: how long it takes, by which way, and why not the nearer one.

Who goes where is said by the layer: teams and depots travel to the incident, people travel from it to shelters
(``[nearest]`` of the definition). Closures and danger zones are laid over the network (``gis.closures``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy
import orjson
from numpy.typing import NDArray

from gis.closures import Closure
from gis.journey import Journey, Passage, too_late
from gis.judging import (
    FALSE,
    TRUE,
    Shape,
    bearing_of,
    candidate_of,
    codes_of,
    column_of,
    evidence_of,
    hazards_of,
    place_of,
    properties_of,
    reasons_of,
    rules_of,
    template,
)
from gis.nearest import TYPES, Question, checked, shape_of, values_of
from gis.network import Floats, metres_a_degree
from gis.roads import SNAP_AT_MOST_M, Places, Roads
from gis.travel import FOREVER_S, Tree
from layers.catalog import Catalog, catalog
from layers.database import Readers, sql
from layers.definition import Definition
from layers.tables import view
from layers.times import moment_text

FIRST_LIMIT_S = 900.0
JUDGED_AT_ONCE, NEARER_AT_MOST, SKIPPED_AT_MOST = 12, 100, 20
SAME_S = 1.0
"""Times that differ by less are the same."""


@dataclass(frozen=True)
class Judged:
    """What the database says of an item."""

    fid: int
    distance_m: float
    reasons: list[str]
    feature: str | None
    about: str
    evidence: str | None


@dataclass
class Layer:
    """One layer of a question, with the times of its items.

    Parameters
    ----------
    definition : Definition
        The layer.
    places : Places
        Its items beside the network, S of them.
    k : int
        How many are ranked.
    journey : Journey
        The times between the incident and its items, in the direction in which they are travelled.
    away_m : array of float, shape (S,)
        About how far away each item is in a straight line.
    judged : dict of int to Judged
        By number; None for those that are not asked about.
    """

    definition: Definition
    places: Places
    k: int
    journey: Journey
    away_m: Floats
    judged: dict[int, Judged | None] = field(default_factory=dict)
    ranked: list[int] = field(default_factory=list)

    def index(self, fid: int) -> int:
        """The place of an item among the places."""
        return int(numpy.searchsorted(self.places.fid, fid))


def nearest_by_road(readers: Readers, roads: Roads, question: Question, *, wait: bool = True) -> dict[str, Any]:
    """The items nearest to an incident by road: a GeoJSON FeatureCollection in rank order, and what was left out.

    Parameters
    ----------
    readers : Readers
        The pool of reading connections.
    roads : Roads
        The network.
    question : Question
        What is asked for.
    wait : bool
        Whether to wait for the network of the last version of the roads; else the one before is used, and that is said.

    Returns
    -------
    dict
        As ``gis.nearest.nearest``; each feature also has ``travel_time_s`` (seconds, the walk between the road and
        both places included), ``road_m`` and ``walk_m`` (metres by road and on foot), ``travel`` (``to_incident`` or
        ``from_incident``), and ``route`` when asked for. ``skipped`` also holds items nearer in a straight line, or
        nearer if nothing were closed, with the reasons ``unreachable``, ``detour`` (longer because of a closure) and
        ``slower``; the evidence names the closures. ``network``: the version of the roads, the profile, what was left
        out of the search, the closures that hold, and how the incident lies to the road.

    Raises
    ------
    InvalidValue
        When a part of the question is not valid, or there are no roads.
    Unavailable
        When the network is still being read, or the database is away.

    Notes
    -----
    Travel time is the least sum of edge times on the network (Dijkstra), plus the walk to and from the road at 4 km/h
    over 1.3 times the straight line. A closure that begins on the way counts when it begins before it is passed.
    """
    return _Answer(readers, roads, question, wait=wait).told()


class _Answer:
    """One question, answered."""

    def __init__(self, readers: Readers, roads: Roads, question: Question, *, wait: bool) -> None:
        self.readers = readers
        self.catalog = catalog()
        self.question = checked(question, self.catalog)
        asked = self.question
        self.here = roads.situation(readers, asked.profile, asked.at, asked.hazard, asked.layers, wait=wait)
        self.ways, self.cuts = self.here.ways, self.here.known.cuts
        self.stop = self.ways.stop(asked.lon, asked.lat, SNAP_AT_MOST_M)
        self.passage = Passage.of(self.ways, self.here.mask, self.stop)
        self._further: dict[tuple[int, float], Floats] = {}
        self._trees: dict[tuple[bool, float], Tree] = {}

    def told(self) -> dict[str, Any]:
        """The whole answer."""
        layers = [self._layer(self.catalog[layer]) for layer in self.question.layers]
        limit = FIRST_LIMIT_S
        most = self._most_s
        unfinished = layers
        while unfinished:
            self._search(unfinished, min(limit, most))
            self._rank(unfinished)
            if limit >= most:
                break
            unfinished = [layer for layer in unfinished if len(layer.ranked) < layer.k]
            limit = limit * 4 if limit < 60_000 else FOREVER_S
        self._judge_nearer(layers)
        features = [feature for layer in layers for feature in self._features(layer)]
        skipped = {layer.definition.id: self._skipped(layer) for layer in layers}
        place, hazards = self._around()
        return {
            "type": "FeatureCollection",
            "features": features,
            "skipped": [one for of_layer in skipped.values() for one in of_layer[:SKIPPED_AT_MOST]],
            "place": place,
            "hazards_here": hazards,
            "skipped_counts": {layer: len(of_layer) for layer, of_layer in skipped.items()},
            "network": self._network(),
            "query": self.question.echo(),
            "answered_at": moment_text(datetime.now(UTC), "milliseconds"),
        }

    def _layer(self, definition: Definition) -> Layer:
        places = self.here.places(definition)
        rules = rules_of(definition)
        scale = metres_a_degree(self.question.lat)
        east = (places.at[:, 0] - self.question.lon + 180) % 360 - 180
        away = numpy.hypot(east * scale[0], (places.at[:, 1] - self.question.lat) * scale[1])
        journey = Journey(self.ways, self.passage, places.stops, towards=rules.travel == "to_incident")
        return Layer(definition, places, self.question.k or rules.k, journey, away)

    # --- times and ranks

    def _search(self, layers: Sequence[Layer], limit_s: float) -> None:
        """The times within a limit: one search for each direction."""
        for towards in (True, False):
            of_direction = [layer for layer in layers if layer.journey.towards == towards]
            if not of_direction:
                continue
            first = of_direction[0].journey
            ways, tree = first.ways, first.search(limit_s)
            if not towards and self.here.later_s:
                ways, tree = too_late(self.cuts, first, tree, self.here.later_s)
            for layer in of_direction:
                layer.journey.found(ways, tree)

    def _rank(self, layers: Sequence[Layer]) -> None:
        """The first k items of each layer that fit and can be reached within the limit."""
        count = JUDGED_AT_ONCE
        unfinished = list(layers)
        while unfinished:
            self._judge({id(layer): self._asked_about(layer, count) for layer in unfinished}, unfinished)
            further = []
            for layer in unfinished:
                reached = self._first(layer, count)
                fit = [fid for fid in reached.tolist() if self._fits(layer, fid)]
                fit = self._in_time(layer, fit)
                layer.ranked = fit[: layer.k]
                if len(layer.ranked) < layer.k and len(reached) == count:
                    further.append(layer)
            unfinished, count = further, count * 4

    def _asked_about(self, layer: Layer, count: int) -> NDArray[numpy.int64]:
        """Those that are reached first; at first also those that are nearest in a straight line."""
        first = self._first(layer, count)
        if layer.judged:
            return first
        near = layer.away_m.argpartition(layer.k)[: layer.k + 1] if len(layer.away_m) > layer.k + 1 else slice(None)
        return numpy.union1d(first, layer.places.fid[near])

    def _first(self, layer: Layer, count: int) -> NDArray[numpy.int64]:
        """The items that are reached first, by number; equal times by number."""
        seconds = layer.journey.seconds
        reached = numpy.flatnonzero(seconds <= layer.journey.limit_s)
        if len(reached) > count:
            most = numpy.partition(seconds[reached], count - 1)[count - 1]
            reached = reached[seconds[reached] <= most]
        order = numpy.lexsort((layer.places.fid[reached], seconds[reached]))[:count]
        fids: NDArray[numpy.int64] = layer.places.fid[reached[order]]
        return fids

    def _fits(self, layer: Layer, fid: int) -> bool:
        judged = layer.judged.get(fid)
        return judged is not None and judged.feature is not None

    def _in_time(self, layer: Layer, fids: list[int]) -> list[int]:
        """Of teams that come: those whose way closes before they have passed take another one, or come later."""
        if not (layer.journey.towards and self.here.later_s):
            return fids
        for fid in fids[: layer.k + JUDGED_AT_ONCE]:
            layer.journey.check(layer.index(fid), self.cuts, self.here.later_s)
        seconds = layer.journey.seconds
        limit = layer.journey.limit_s
        kept = [fid for fid in fids if seconds[layer.index(fid)] <= limit]
        return sorted(kept, key=lambda fid: (seconds[layer.index(fid)], fid))

    # --- what the database says

    def _judge(self, wanted: dict[int, NDArray[numpy.int64]], layers: Sequence[Layer]) -> None:
        """Ask the database about items that were not asked about before."""
        ask = {
            layer.definition.id: [fid for fid in wanted[id(layer)].tolist() if fid not in layer.judged]
            for layer in layers
        }
        ask = {layer: fids for layer, fids in ask.items() if fids}
        if not ask:
            return
        shape = replace(shape_of(self.question), layers=tuple(ask), scope=self.readers.scope, k=None)
        types = TYPES + ", bigint[]" * len(ask)
        values = (*values_of(self.question), *ask.values())
        rows = self.readers.prepared(_text(self.readers, self.catalog, shape), values, types)
        by_layer = {layer.definition.id: layer for layer in layers}
        for layer, fids in ask.items():
            by_layer[layer].judged.update(dict.fromkeys(fids))
        for name, fid, *said in rows:
            by_layer[name].judged[fid] = Judged(fid, *said)

    def _judge_nearer(self, layers: Sequence[Layer]) -> None:
        """Ask about the items that are nearer in a straight line than those ranked, or would be if all were open."""
        wanted: dict[int, NDArray[numpy.int64]] = {}
        for layer in layers:
            last_m = max((layer.away_m[layer.index(fid)] for fid in layer.ranked), default=0.0)
            if len(layer.ranked) < layer.k:
                last_m = max(last_m, float(numpy.sort(layer.away_m)[: layer.k][-1:].sum()))
            nearer = numpy.flatnonzero(layer.away_m <= last_m)
            nearer = nearer[numpy.argsort(layer.away_m[nearer], kind="stable")][:NEARER_AT_MOST]
            wanted[id(layer)] = layer.places.fid[numpy.union1d(nearer, self._if_open(layer))]
        self._judge(wanted, layers)

    def _if_open(self, layer: Layer) -> NDArray[numpy.int64]:
        """The items that would be reached as soon as the last one ranked if nothing were closed."""
        journey = layer.journey
        if not self.here.mask.by_edge and not self.here.later_s:
            return numpy.zeros(0, dtype=numpy.int64)
        last_s = self._last_s(layer)
        open_s = journey.open(self.here.open_ways, self.stop, journey.limit_s)
        cut = numpy.flatnonzero((open_s <= last_s) & (open_s < journey.seconds - SAME_S))
        found: NDArray[numpy.int64] = cut[numpy.argsort(open_s[cut], kind="stable")][:NEARER_AT_MOST]
        return found

    def _last_s(self, layer: Layer) -> float:
        """When the last item ranked is reached; infinite when there are fewer than were asked for."""
        if len(layer.ranked) < layer.k:
            return float("inf")
        return float(layer.journey.seconds[layer.index(layer.ranked[-1])])

    # --- what is told

    def _features(self, layer: Layer) -> list[dict[str, Any]]:
        features = []
        for rank, fid in enumerate(layer.ranked, start=1):
            judged = layer.judged[fid]
            assert judged is not None
            assert judged.feature is not None
            feature = orjson.loads(judged.feature)
            way = layer.journey.way(layer.index(fid))
            told: dict[str, Any] = {
                "rank": rank,
                "travel_time_s": round(float(layer.journey.seconds[layer.index(fid)]), 1),
                "road_m": round(way.road_m, 1),
                "walk_m": round(way.walk_m, 1),
                "travel": rules_of(layer.definition).travel,
            }
            if self.question.route:
                told["route"] = way.geometry()
            feature["properties"] |= told
            features.append(feature)
        return features

    def _skipped(self, layer: Layer) -> list[dict[str, Any]]:
        """The items that were left out though they are nearer, the nearest in a straight line first."""
        last_s = self._last_s(layer)
        last_m = max((self._judged(layer, fid).distance_m for fid in layer.ranked), default=float("inf"))
        if len(layer.ranked) < layer.k:
            last_m = float("inf")
        found = []
        for fid, judged in layer.judged.items():
            if judged is None or fid in layer.ranked:
                continue
            seconds = float(layer.journey.seconds[layer.index(fid)])
            if judged.feature is None:
                if seconds <= last_s or judged.distance_m < last_m:
                    found.append((judged, judged.reasons, orjson.loads(judged.evidence or "{}"), seconds))
                continue
            open_s = layer.journey.open_s
            if judged.distance_m < last_m or (open_s is not None and open_s[layer.index(fid)] <= last_s):
                reason, evidence = self._why(layer, fid, seconds)
                told_s = evidence["travel_time_s"]
                found.append((judged, [reason], evidence, float("inf") if told_s is None else float(told_s)))
        found.sort(key=lambda one: (one[0].distance_m, one[0].fid))
        return [self._left_out(*one) for one in found]

    def _judged(self, layer: Layer, fid: int) -> Judged:
        judged = layer.judged[fid]
        assert judged is not None
        return judged

    def _left_out(
        self, judged: Judged, reasons: Sequence[str], evidence: dict[str, Any], seconds: float
    ) -> dict[str, Any]:  # fmt: skip
        told: dict[str, Any] = orjson.loads(judged.about)
        told["travel_time_s"] = round(seconds, 1) if numpy.isfinite(seconds) else None
        return told | {"reason": reasons[0], "also": list(reasons[1:]), "evidence": evidence}

    def _why(self, layer: Layer, fid: int, seconds: float) -> tuple[str, dict[str, Any]]:
        """Why an item that fits was not ranked."""
        journey, index = layer.journey, layer.index(fid)
        if not self._is_reached(layer, seconds) and journey.limit_s < self._most_s:
            seconds = float(self._at_most(journey)[index])
        evidence: dict[str, Any] = {"travel_time_s": round(seconds, 1) if numpy.isfinite(seconds) else None}
        open_s = float(journey.open_s[index]) if journey.open_s is not None else float("inf")
        reached = seconds <= self._most_s
        if numpy.isfinite(open_s) and open_s < seconds - SAME_S:
            evidence["travel_time_open_s"] = round(open_s, 1)
            cuts = self._cut_by(journey.open_edges(index))
            evidence["cut_by"] = [closure.evidence() for closure in cuts]
            return ("detour" if reached else "unreachable"), evidence
        if reached:
            return "slower", evidence
        if layer.places.stops.walk_of(index) is None:
            evidence |= {"cause": "too_far_from_road", "road_within_m": SNAP_AT_MOST_M}
        elif not self.stop.nears:
            evidence["cause"] = "incident_too_far_from_road"
        elif self.question.max_s is not None and numpy.isfinite(float(self._at_most(journey, FOREVER_S)[index])):
            evidence |= {"cause": "beyond_max_s", "max_s": self.question.max_s}
        else:
            evidence["cause"] = "no_road"
        return "unreachable", evidence

    @property
    def _most_s(self) -> float:
        """The longest time that is asked for."""
        return min(self.question.max_s if self.question.max_s is not None else FOREVER_S, FOREVER_S)

    def _at_most(self, journey: Journey, limit_s: float | None = None) -> Floats:
        """The times of a journey within a larger limit: for items that the answer did not need to reach."""
        limit = self._most_s if limit_s is None else limit_s
        key = (id(journey), limit)
        if key not in self._further:
            way = (journey.towards, limit)
            if way not in self._trees:  # one for all layers that are travelled to alike
                self._trees[way] = journey.search(limit, journey.ways, ways_wanted=False)
            further = journey.ways.seconds_to(self._trees[way], journey.stops, towards=journey.towards)
            self._further[key] = numpy.minimum(further, journey.seconds)
        return self._further[key]

    def _is_reached(self, layer: Layer, seconds: float) -> bool:
        return seconds <= layer.journey.limit_s

    def _cut_by(self, edges: Iterable[int]) -> list[Closure]:
        """The closures on a way, those that begin later included."""
        edges = list(edges)
        found = self.here.mask.on(edges)
        if self.here.later_s:
            wanted = set(edges)
            found += [closure for closure in self.here.later_s if wanted & self.cuts(closure).keys()]
        return list(dict.fromkeys(found))

    def _network(self) -> dict[str, Any]:
        """What the answer rests on, and how the incident lies to it."""
        walk_m = self.stop.walk_m
        return self.here.told() | {
            "walk_to_road_m": None if walk_m is None else round(walk_m, 1),
            "inside": [closure.evidence() for closure in self.passage.inside],
        }

    def _around(self) -> tuple[Any, Any]:
        place, hazards = self.readers.prepared(
            _text_here(self.readers, self.catalog), (self.question.lon, self.question.lat), "float8, float8"
        )[0]
        return orjson.loads(place or "[]"), orjson.loads(hazards or "[]")


@lru_cache(maxsize=256)
def _text(readers: Readers, known: Catalog, shape: Shape) -> str:
    """The statement that judges items of some layers; the numbers of the items are $11 and what follows."""
    parts = [
        _layer_query(known, known[layer], shape, sql.SQL(f"${11 + number}"))
        for number, layer in enumerate(shape.layers)
    ]
    return readers.text(_QUESTION + sql.SQL(" UNION ALL ").join(sql.SQL("({})").format(part) for part in parts))


_QUESTION = sql.SQL(
    "WITH question AS MATERIALIZED (SELECT ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography AS point) "
)


@lru_cache(maxsize=16)
def _text_here(readers: Readers, known: Catalog) -> str:
    """The statement that tells in which areas and danger zones the incident lies."""
    return readers.text(
        _QUESTION
        + sql.SQL("SELECT ({}), ({})").format(place_of(known, readers.scope), hazards_of(known, readers.scope))
    )


def _layer_query(known: Catalog, definition: Definition, shape: Shape, fids: sql.Composable) -> sql.Composable:
    reasons = reasons_of(known, definition, shape)
    return template("nearest_road").format(
        view=view(definition, shape.scope),
        layer=sql.Literal(definition.id),
        name=column_of(definition.name_field),
        fids=fids,
        candidate=candidate_of(known, definition, shape),
        all_ranked=TRUE if shape.include_all else FALSE,
        bearing=bearing_of(definition),
        properties=properties_of(known, definition, shape, reasons),
        evidence=evidence_of(known, definition, shape, reasons),
        reasons=codes_of(reasons),
    )
