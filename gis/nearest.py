"""The items nearest to an incident in a straight line, with those that were left out and why.

What makes an item unfit stands in the layer's definition (``[nearest]``, and ``[zones]`` of the polygon layers); no
layer is named here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import orjson

from gis.judging import (
    CODE_FILTERS,
    FALSE,
    MAX_M,
    TRUE,
    Shape,
    bearing_of,
    candidate_of,
    codes_of,
    column_of,
    evidence_of,
    hazards_of,
    is_coded,
    place_of,
    properties_of,
    reasons_of,
    rules_of,
    stock_of,
    template,
)
from layers.catalog import Catalog, catalog
from layers.database import Readers, sql
from layers.definition import Definition
from layers.errors import InvalidValue, StoreFailed
from layers.features import like
from layers.tables import view
from layers.times import moment_text

LAYERS_AT_MOST = 32
K_AT_MOST = 100
TYPES = "float8, float8, text, bigint, float8, text[], text[], text[], text, text"
BY_INDEX = sql.SQL("i.geom::geography <-> (SELECT point FROM question)")
BY_DISTANCE = sql.SQL("ST_Distance(i.geom::geography, (SELECT point FROM question), false)")


@dataclass(frozen=True)
class Question:
    """What is asked for.

    Parameters
    ----------
    lon, lat : float
        The incident, WGS 84, degrees.
    layers : tuple of str
        The layers to ask; empty: those whose definition says so.
    k : int, optional
        Items a layer, 1 to 100; None: as the layer's definition says.
    hazard : str, optional
        Code of the hazard; None: suitability and danger zones are not judged.
    places : int, optional
        Places needed, in persons.
    open : bool
        Rank only what is stated to be open.
    level, class_, speciality : tuple of str
        Any of these codes; empty: all. Each applies to the layers that have the field.
    item : str, optional
        Depots that hold this: the start of an item's code, or a part of its name.
    max_m : float, optional
        The greatest distance, in metres.
    include_all : bool
        Rank everything, and leave nothing out.
    by : str
        ``line``: how far in a straight line; ``road``: how long by road (``gis.nearest_by_road``).
    profile : str, optional
        Who travels; None: a fire engine. This and what follows is about roads only.
    max_s : float, optional
        The longest travel time, in seconds.
    at : datetime, optional
        The moment for which closures are judged; None: now.
    route : bool
        Whether the way to each ranked item is told.
    """

    lon: float
    lat: float
    layers: tuple[str, ...] = ()
    k: int | None = None
    hazard: str | None = None
    places: int | None = None
    open: bool = False
    level: tuple[str, ...] = ()
    class_: tuple[str, ...] = ()
    speciality: tuple[str, ...] = ()
    item: str | None = None
    max_m: float | None = None
    include_all: bool = False
    by: Literal["line", "road"] = "line"
    profile: str | None = None
    max_s: float | None = None
    at: datetime | None = None
    route: bool = False

    def codes(self, name: str) -> tuple[str, ...]:
        """The codes asked for by a filter of CODE_FILTERS."""
        return {"level": self.level, "class": self.class_, "speciality": self.speciality}[name]

    def echo(self) -> dict[str, Any]:
        """The question as parameters, those that were given."""
        given = {
            "lon": self.lon, "lat": self.lat, "layers": list(self.layers), "k": self.k, "by": self.by,
            "hazard": self.hazard, "places": self.places, "open": self.open or None, "level": list(self.level),
            "class": list(self.class_), "speciality": list(self.speciality), "item": self.item, "max_m": self.max_m,
            "include": "all" if self.include_all else None, "profile": self.profile, "max_s": self.max_s,
            "at": moment_text(self.at) if self.at is not None else None,
            "route": self.route or None,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value not in (None, [])}


def nearest(readers: Readers, question: Question) -> dict[str, Any]:
    """The items nearest to an incident: a GeoJSON FeatureCollection in rank order, with what was left out beside it.

    Parameters
    ----------
    readers : Readers
        The pool of reading connections.
    question : Question
        What is asked for.

    Returns
    -------
    dict
        ``features`` in the order of the layers and of ``rank``: each has ``distance_m`` (metres on the WGS 84
        spheroid), ``bearing_deg`` (from the incident, clockwise from north), ``places_persons`` (capacity less
        occupancy, None when either is unknown; an occupancy stated too long ago, or nobody knows when, is),
        ``occupancy_age_s``, ``suitability`` when a hazard is given, ``age_s``. ``skipped``: the items nearer than the
        last ranked one that were left out, with reason and evidence, 20 a layer;
        ``skipped_counts``: all of them by layer. ``place``: the areas that contain the incident, from large to small.
        ``hazards_here``: the danger zones that contain it.

    Raises
    ------
    InvalidValue
        When a layer, code or number of the question is not valid.
    Unavailable
        When the database is away.

    Notes
    -----
    The k nearest on the sphere are found along the index; everything that could be nearer on the spheroid is then
    measured on the spheroid (Karney 2013) and ranked, equal distances by ``fid``. What is not known never leaves an
    item out. Relief, rivers and roads are ignored: this is the straight line.

    References
    ----------
    Karney, C. F. F. (2013): Algorithms for geodesics. Journal of Geodesy 87, 43-55. doi:10.1007/s00190-012-0578-z
    """
    answer: dict[str, Any] = orjson.loads(nearest_json(readers, question))
    return answer


def nearest_json(readers: Readers, question: Question) -> bytes:
    """The answer of ``nearest`` as JSON in UTF-8, put together from PostgreSQL's own texts."""
    known = catalog()
    question = checked(question, known)
    row = _row(readers, known, question)
    place, hazards_here, *columns = row
    ranked = [columns[i] for i in range(0, len(columns), 3) if columns[i]]
    skipped = [columns[i] for i in range(1, len(columns), 3) if columns[i]]
    counts = dict(zip(question.layers, columns[2::3], strict=True))
    rest = {
        "skipped_counts": counts,
        "query": question.echo(),
        "answered_at": moment_text(datetime.now(UTC), "milliseconds"),
    }
    text = (
        f'{{"type":"FeatureCollection","features":[{",".join(ranked)}],"skipped":[{",".join(skipped)}],'
        f'"place":{place or "[]"},"hazards_here":{hazards_here or "[]"},'
    )
    return text.encode() + orjson.dumps(rest)[1:]


def _row(readers: Readers, known: Catalog, question: Question) -> tuple[Any, ...]:
    """The one row of the answer.

    PostGIS calls two points less than 6 µm apart the same, but its index can find them apart; PostgreSQL then stops
    with "index returned tuples in wrong order". The question is asked again without the order of the index.
    """
    shape = replace(shape_of(question), scope=readers.scope)
    try:
        (row,) = readers.prepared(_text(readers, known, shape), values_of(question), TYPES)
    except StoreFailed:
        (row,) = readers.prepared(_text(readers, known, replace(shape, by_index=False)), values_of(question), TYPES)
    return row


def statement_text(readers: Readers, question: Question) -> str:
    """The statement that answers a question, with ``$1`` and ``$2`` for longitude and latitude."""
    return _text(readers, catalog(), replace(shape_of(checked(question)), scope=readers.scope))


def checked(question: Question, known: Catalog | None = None) -> Question:
    """The question with its layers filled in.

    Raises
    ------
    InvalidValue
        When a layer, code or number is not valid.
    """
    known = catalog() if known is None else known
    _check_numbers(question)
    layers = question.layers or default_layers(known)
    for layer in layers:
        if layer not in known or not known[layer].has_geometry:
            expected = ", ".join(d.id for d in known.values() if d.has_geometry)
            raise InvalidValue(f"there is no layer {layer!r} to rank", parameter="layers", expected=expected)
    layers = tuple(dict.fromkeys(layers))
    definitions = [known[layer] for layer in layers]
    _check_codes(question, definitions, known)
    if question.places is not None and not any(rules_of(d).capacity for d in definitions):
        raise InvalidValue("none of the layers has places", parameter="places", expected="a layer with a capacity")
    if question.item is not None and not any(stock_of(known, d) for d in definitions):
        raise InvalidValue("none of the layers holds stock", parameter="item", expected="a layer of depots")
    if question.open and not any(rules_of(d).closed for d in definitions):
        raise InvalidValue("none of the layers is open or closed", parameter="open", expected="a layer with a status")
    return replace(question, layers=layers)


def default_layers(known: Catalog) -> tuple[str, ...]:
    """The layers that are ranked when none is named, in the order of the legend."""
    chosen = [d for d in known.values() if d.nearest is not None and d.nearest.default]
    return tuple(d.id for d in sorted(chosen, key=lambda d: d.map.order if d.map is not None else 1000))


def _check_numbers(question: Question) -> None:
    if not (math.isfinite(question.lon) and -180 <= question.lon <= 180):
        raise InvalidValue("lon must lie in -180…180", parameter="lon", expected="degrees east, WGS 84")
    if not (math.isfinite(question.lat) and -90 <= question.lat <= 90):
        swapped = ": are longitude and latitude swapped?" if abs(question.lon) <= 90 else ""
        raise InvalidValue(f"lat must lie in -90…90{swapped}", parameter="lat", expected="degrees north, WGS 84")
    if question.k is not None and not 1 <= question.k <= K_AT_MOST:
        raise InvalidValue(f"k must lie in 1…{K_AT_MOST}", parameter="k", expected=f"1 to {K_AT_MOST} items a layer")
    if question.places is not None and not 0 <= question.places <= 10**9:
        raise InvalidValue("places must lie in 0…10⁹", parameter="places", expected="a number of persons")
    if question.max_s is not None and not (math.isfinite(question.max_s) and 0 <= question.max_s <= 1e7):
        raise InvalidValue("max_s must lie in 0…10 000 000", parameter="max_s", expected="seconds")
    if question.max_m is not None and not (math.isfinite(question.max_m) and 0 <= question.max_m <= 2.1e7):
        raise InvalidValue("max_m must lie in 0…21 000 000", parameter="max_m", expected="metres")
    if question.item is not None and not question.item.strip():
        raise InvalidValue("item is empty", parameter="item", expected="an item's code or a part of its name")
    if len(question.layers) > LAYERS_AT_MOST:
        raise InvalidValue("too many layers", parameter="layers", expected=f"{LAYERS_AT_MOST} at most")


def _check_codes(question: Question, definitions: Sequence[Definition], known: Catalog) -> None:
    if question.hazard is not None and question.hazard not in known.codes["hazard"]:
        expected = ", ".join(known.codes["hazard"])
        raise InvalidValue(f"there is no hazard {question.hazard!r}", parameter="hazard", expected=expected)
    for name in CODE_FILTERS:
        asked = question.codes(name)
        if not asked:
            continue
        valid: list[str] = []
        for definition in definitions:
            if is_coded(definition, name):
                valid += known.codes_of(definition, definition.fields[name])
        if not valid:
            raise InvalidValue(f"none of the layers has a {name}", parameter=name, expected="a layer that has it")
        for code in asked:
            if code not in valid:
                expected = ", ".join(dict.fromkeys(valid))
                raise InvalidValue(f"there is no {name} {code!r}", parameter=name, expected=expected)


def shape_of(question: Question) -> Shape:
    return Shape(
        layers=question.layers,
        k=question.k,
        hazard=question.hazard is not None,
        places=question.places is not None,
        open=question.open,
        codes=tuple(name for name in CODE_FILTERS if question.codes(name)),
        undesignated=frozenset(code for name in CODE_FILTERS for code in question.codes(name)),
        item=question.item is not None,
        max_m=question.max_m is not None,
        include_all=question.include_all,
    )


def values_of(question: Question) -> tuple[Any, ...]:
    item = question.item.strip() if question.item is not None else None
    start, part = (f"{like(item)}%", f"%{like(item)}%") if item is not None else (None, None)
    codes = (list(question.codes(name)) for name in CODE_FILTERS)
    return (question.lon, question.lat, question.hazard, question.places, question.max_m, *codes, start, part)


@lru_cache(maxsize=256)
def _text(readers: Readers, known: Catalog, shape: Shape) -> str:
    """The statement for a shape of question."""
    return readers.text(_statement(known, shape))


def _statement(known: Catalog, shape: Shape) -> sql.Composable:
    layers = [known[layer] for layer in shape.layers]
    columns = [
        sql.SQL("l{0}.ranked, l{0}.skipped, l{0}.skipped_count").format(sql.SQL(str(n))) for n in range(len(layers))
    ]
    tables = [
        sql.SQL("({}) AS l{}").format(_layer(known, definition, shape), sql.SQL(str(n)))
        for n, definition in enumerate(layers)
    ]
    return sql.SQL(
        "WITH question AS MATERIALIZED (SELECT ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography AS point)"
        " SELECT ({place}), ({zones}), {columns} FROM {tables}"
    ).format(
        place=place_of(known, shape.scope),
        zones=hazards_of(known, shape.scope),
        columns=sql.SQL(", ").join(columns),
        tables=sql.SQL(", ").join(tables),
    )


def _layer(known: Catalog, definition: Definition, shape: Shape) -> sql.Composable:
    reasons = reasons_of(known, definition, shape)
    return template("nearest_layer").format(
        view=view(definition, shape.scope),
        layer=sql.Literal(definition.id),
        name=column_of(definition.name_field),
        k=sql.Literal(shape.k or rules_of(definition).k),
        max_m=MAX_M if shape.max_m else sql.SQL("NULL::float8"),
        order=BY_INDEX if shape.by_index else BY_DISTANCE,
        candidate=candidate_of(known, definition, shape),
        all_ranked=TRUE if shape.include_all else FALSE,
        bearing=bearing_of(definition),
        properties=properties_of(known, definition, shape, reasons),
        evidence=evidence_of(known, definition, shape, reasons),
        reasons=codes_of(reasons),
        **reasons,
    )
