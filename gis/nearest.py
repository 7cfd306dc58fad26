"""The items nearest to an incident in a straight line, with those that were left out and why.

What makes an item unfit stands in the layer's definition (``[nearest]``, and ``[zones]`` of the polygon layers); no
layer is named here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from layers.catalog import Catalog, catalog
from layers.database import RELEASED, Readers, Scope, sql, statement
from layers.definition import Definition, Nearest
from layers.errors import InvalidValue, StoreFailed
from layers.features import like
from layers.tables import fields_of, view

SQL = Path(__file__).parent / "sql"
LAYERS_AT_MOST = 32
K_AT_MOST = 100
TYPES = "float8, float8, text, bigint, float8, text[], text[], text[], text, text"
HAZARD, PLACES, MAX_M, LEVEL, CLASS, SPECIALITY, ITEM_CODE, ITEM_NAME = (sql.SQL(f"${n}") for n in range(3, 11))
CODE_FILTERS = {"level": LEVEL, "class": CLASS, "speciality": SPECIALITY}
TRUE, FALSE, NULL = sql.SQL("true"), sql.SQL("false"), sql.SQL("NULL")
BY_INDEX = sql.SQL("i.geom::geography <-> (SELECT point FROM question)")
BY_DISTANCE = sql.SQL("ST_Distance(i.geom::geography, (SELECT point FROM question), false)")
LEVELS_OF_AREAS = "admin_level"
CLOCKS_DIFFER_S = 300


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

    def codes(self, name: str) -> tuple[str, ...]:
        """The codes asked for by a filter of CODE_FILTERS."""
        return {"level": self.level, "class": self.class_, "speciality": self.speciality}[name]

    def echo(self) -> dict[str, Any]:
        """The question as parameters, those that were given."""
        given = {
            "lon": self.lon, "lat": self.lat, "layers": list(self.layers), "k": self.k, "by": "line",
            "hazard": self.hazard, "places": self.places, "open": self.open or None, "level": list(self.level),
            "class": list(self.class_), "speciality": list(self.speciality), "item": self.item, "max_m": self.max_m,
            "include": "all" if self.include_all else None,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value not in (None, [])}


@dataclass(frozen=True)
class Shape:
    """What decides the text of the statement; everything else is bound as a value."""

    layers: tuple[str, ...]
    k: int | None
    hazard: bool
    places: bool
    open: bool
    codes: tuple[str, ...]
    undesignated: frozenset[str]
    item: bool
    max_m: bool
    include_all: bool
    by_index: bool = True
    scope: Scope = RELEASED


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
        "answered_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
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
    shape = replace(_shape(question), scope=readers.scope)
    try:
        (row,) = readers.prepared(_text(readers, known, shape), _values(question), TYPES)
    except StoreFailed:
        (row,) = readers.prepared(_text(readers, known, replace(shape, by_index=False)), _values(question), TYPES)
    return row


def statement_text(readers: Readers, question: Question) -> str:
    """The statement that answers a question, with ``$1`` and ``$2`` for longitude and latitude."""
    return _text(readers, catalog(), replace(_shape(checked(question)), scope=readers.scope))


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
    if question.places is not None and not any(_rules(d).capacity for d in definitions):
        raise InvalidValue("none of the layers has places", parameter="places", expected="a layer with a capacity")
    if question.item is not None and not any(_stock(known, d) for d in definitions):
        raise InvalidValue("none of the layers holds stock", parameter="item", expected="a layer of depots")
    if question.open and not any(_rules(d).closed for d in definitions):
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
            if _is_coded(definition, name):
                valid += known.codes_of(definition, definition.fields[name])
        if not valid:
            raise InvalidValue(f"none of the layers has a {name}", parameter=name, expected="a layer that has it")
        for code in asked:
            if code not in valid:
                expected = ", ".join(dict.fromkeys(valid))
                raise InvalidValue(f"there is no {name} {code!r}", parameter=name, expected=expected)


def _shape(question: Question) -> Shape:
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


def _values(question: Question) -> tuple[Any, ...]:
    item = question.item.strip() if question.item is not None else None
    start, part = (f"{like(item)}%", f"%{like(item)}%") if item is not None else (None, None)
    codes = (list(question.codes(name)) for name in CODE_FILTERS)
    return (question.lon, question.lat, question.hazard, question.places, question.max_m, *codes, start, part)


def _rules(definition: Definition) -> Nearest:
    return definition.nearest or Nearest()


def _is_coded(definition: Definition, name: str) -> bool:
    field = definition.fields.get(name)
    return field is not None and field.public and field.codes is not None


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
        place=_place(known, shape.scope),
        zones=_hazards_here(known, shape.scope),
        columns=sql.SQL(", ").join(columns),
        tables=sql.SQL(", ").join(tables),
    )


def _layer(known: Catalog, definition: Definition, shape: Shape) -> sql.Composable:
    reasons = _reasons(known, definition, shape)
    return _template("nearest_layer").format(
        view=view(definition, shape.scope),
        layer=sql.Literal(definition.id),
        name=_column(definition.name_field),
        k=sql.Literal(shape.k or _rules(definition).k),
        max_m=MAX_M if shape.max_m else sql.SQL("NULL::float8"),
        order=BY_INDEX if shape.by_index else BY_DISTANCE,
        candidate=_candidate(known, definition, shape),
        all_ranked=TRUE if shape.include_all else FALSE,
        bearing=_bearing(definition),
        properties=_properties(known, definition, shape, reasons),
        evidence=_evidence(known, definition, shape, reasons),
        **reasons,
    )


def _column(name: str | None) -> sql.Composable:
    return NULL if name is None else sql.Identifier("i", name)


def _reasons(known: Catalog, definition: Definition, shape: Shape) -> dict[str, sql.Composable]:
    """Why an item i is left out, each a condition that is true or false, never unknown."""
    rules = _rules(definition)
    reasons = dict.fromkeys(("closed", "full_up", "unsuitable", "inside_hazard", "not_designated"), FALSE)
    if rules.closed is not None:
        reasons["closed"] = _closed(known, definition, rules, shape)
    if rules.capacity is not None:
        reasons["full_up"] = sql.SQL("(({} - coalesce({}, 0) < greatest({}::bigint, 1)) IS TRUE)").format(
            _column(rules.capacity), _occupancy(definition, shape.scope), PLACES if shape.places else sql.SQL("1")
        )
    if shape.hazard and rules.unsuitable is not None:
        reasons["unsuitable"] = sql.SQL("(({} = ANY ({})) IS TRUE)").format(HAZARD, _column(rules.unsuitable))
    if shape.hazard and rules.zones and (zones := _zones_of(known, shape.scope, sql.SQL("i.geom"), HAZARD)) is not None:
        reasons["inside_hazard"] = sql.SQL("EXISTS ({})").format(zones)
    if (condition := rules.not_designated) is not None:
        asked = condition.field in shape.codes and shape.undesignated & set(map(str, condition.values))
        reasons["not_designated"] = FALSE if asked else _holds(condition.field, condition.values)
    return reasons


def _holds(field: str, values: Sequence[Any]) -> sql.Composable:
    return sql.SQL("(({} = ANY ({})) IS TRUE)").format(_column(field), sql.Literal(list(values)))


def _closed(known: Catalog, definition: Definition, rules: Nearest, shape: Shape) -> sql.Composable:
    """Closed; when only open items are wanted: not stated to be open."""
    assert rules.closed is not None
    closed = _holds(rules.closed.field, rules.closed.values)
    field = definition.fields[rules.closed.field]
    if not shape.open:
        return closed
    if field.codes is not None and "open" in known.codes_of(definition, field):
        return sql.SQL("({} IS DISTINCT FROM 'open')").format(_column(rules.closed.field))
    return sql.SQL("({} OR {} IS NULL)").format(closed, _column(rules.closed.field))


def _candidate(known: Catalog, definition: Definition, shape: Shape) -> sql.Composable:
    """Which items are asked about."""
    conditions: list[sql.Composable] = []
    for name in shape.codes:
        if _is_coded(definition, name):
            form = "{} && {}" if definition.fields[name].type == "codes" else "{} = ANY ({})"
            conditions.append(sql.SQL(form).format(_column(name), CODE_FILTERS[name]))
    if shape.item and (stock := _stock(known, definition)) is not None:
        conditions.append(
            sql.SQL("EXISTS (SELECT FROM {} AS s WHERE {})").format(view(stock[0], shape.scope), _held(*stock))
        )
    if shape.max_m:
        conditions.append(
            sql.SQL("ST_DWithin(i.geom::geography, (SELECT point FROM question), {}, true)").format(MAX_M)
        )
    return sql.SQL(" AND ").join(conditions) if conditions else TRUE


def _stock(known: Catalog, depots: Definition) -> tuple[Definition, str] | None:
    """The layer that says what the items of a layer hold, and its field that points to them."""
    for definition in known.values():
        if not {"item_code", "item_name", "quantity"} <= set(definition.public_fields):
            continue
        for name, field in definition.fields.items():
            if field.layer == depots.id and field.public:
                return definition, name
    return None


def _held(stock: Definition, depot: str) -> sql.Composable:
    """Stock s of item i that is the one asked for; an unknown quantity may be some."""
    return sql.SQL(
        "s.{} = i.fid AND (s.item_code LIKE {} OR s.item_name ILIKE {}) AND (s.quantity > 0 OR s.quantity IS NULL)"
    ).format(sql.Identifier(depot), ITEM_CODE, ITEM_NAME)


def _bearing(definition: Definition) -> sql.Composable:
    place = sql.SQL("i.geom::geography")
    if definition.dimension != 0:
        place = sql.SQL("ST_ClosestPoint(i.geom, (SELECT point::geometry FROM question))::geography")
    return sql.SQL("round(degrees(ST_Azimuth((SELECT point FROM question), {}))::numeric, 2)").format(place)


def _age(definition: Definition, scope: Scope, field: str | None = None) -> sql.Composable:
    """Seconds since an item i, or one field of it, was stated; NULL when that is unknown."""
    return sql.SQL("round(extract(epoch FROM {} - {}))").format(_moment(scope), _stated_at(definition, field))


def _moment(scope: Scope) -> sql.Composable:
    """Now, or the moment that is looked back to."""
    return sql.SQL("current_setting('leeward.then_moment')::timestamptz" if scope.then else "now()")


def _stated_at(definition: Definition, field: str | None = None) -> sql.Composable:
    """When a field of an item i was stated: the field's own time, else the item's."""
    of_item = _column(_rules(definition).stated_at or "stated_at")
    own = definition.fields[field].stated_at if field is not None else None
    return of_item if own is None else sql.SQL("coalesce({}, {})").format(_column(own), of_item)


def _occupancy(definition: Definition, scope: Scope) -> sql.Composable:
    """The occupancy of an item i, unless it was stated too long ago, in the future, or nobody knows when."""
    name = _rules(definition).occupancy
    hours = definition.fields[name].stale_after_h if name is not None else None
    if hours is None:
        return _column(name)
    age = sql.SQL("extract(epoch FROM {} - {})").format(_moment(scope), _stated_at(definition, name))
    return sql.SQL("CASE WHEN {} BETWEEN {} AND {} THEN {} END").format(
        age, sql.Literal(-CLOCKS_DIFFER_S), sql.Literal(hours * 3600), _column(name)
    )


def _places(definition: Definition, scope: Scope) -> sql.Composable:
    """Free places of an item i, in persons: never below 0, and NULL when capacity or occupancy is unknown."""
    rules = _rules(definition)
    if rules.occupancy is None:
        return _column(rules.capacity)
    return sql.SQL("CASE WHEN {0} < {1} THEN 0 ELSE {0} - {1} END").format(
        _column(rules.capacity), _occupancy(definition, scope)
    )


def _properties(
    known: Catalog, definition: Definition, shape: Shape, reasons: dict[str, sql.Composable]
) -> sql.Composable:
    """The columns that become the properties of a ranked item i."""
    rules = _rules(definition)
    columns: dict[str, sql.Composable] = {name: _column(name) for name in fields_of(definition, shape.scope)}
    columns |= {
        "source": sql.SQL("i.source"), "flags": sql.SQL("i.flags"), "layer": sql.Literal(definition.id),
        "fid": sql.SQL("i.fid"), "rank": sql.SQL("j.rank"),
        "distance_m": sql.SQL("round(j.distance_m::numeric, 3)"), "bearing_deg": _bearing(definition),
    }  # fmt: skip
    if rules.capacity is not None:
        columns["places_persons"] = _places(definition, shape.scope)
    if rules.occupancy is not None:
        columns["occupancy_age_s"] = _age(definition, shape.scope, rules.occupancy)
    if shape.hazard and rules.suitable is not None:
        columns["suitability"] = sql.SQL(
            "CASE WHEN {unsuitable} THEN 'unsuitable' WHEN {hazard} = ANY ({suitable}) THEN 'suitable'"
            " ELSE 'unknown' END"
        ).format(unsuitable=reasons["unsuitable"], hazard=HAZARD, suitable=_column(rules.suitable))
    if shape.item and (stock := _stock(known, definition)) is not None:
        columns |= _stock_columns(*stock, shape.scope)
    if shape.include_all:
        columns["reasons"] = sql.SQL("j.reasons")
    columns |= {"age_s": _age(definition, shape.scope), "sample": sql.SQL("i.sample")}
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(expression, sql.Identifier(name)) for name, expression in columns.items()
    )


def _stock_columns(stock: Definition, depot: str, scope: Scope) -> dict[str, sql.Composable]:
    names = [name for name in stock.public_fields if name not in (depot, "source_id")]
    columns = sql.SQL(", ").join(sql.Identifier("s", name) for name in ["fid", *names, "sample"])
    held = _held(stock, depot)
    return {
        "stock": sql.SQL(
            "(SELECT json_agg(row_to_json(h) ORDER BY h.fid) FROM (SELECT {} FROM {} AS s WHERE {}) AS h)"
        ).format(columns, view(stock, scope), held),
        "stock_state": sql.SQL(
            "(SELECT CASE WHEN bool_or(s.quantity > 0) THEN 'held' ELSE 'unknown' END FROM {} AS s WHERE {})"
        ).format(view(stock, scope), held),
    }


def _evidence(
    known: Catalog, definition: Definition, shape: Shape, reasons: dict[str, sql.Composable]
) -> sql.Composable:
    """What shows the first reason of a skipped item i."""
    rules = _rules(definition)
    cases: dict[str, sql.Composable] = {}
    if rules.closed is not None:
        wanted = sql.SQL(", 'status_wanted', 'open'") if shape.open else sql.SQL("")
        field = rules.closed.field
        cases["closed"] = sql.SQL(
            "json_build_object({}, {}, 'stated_at', {}, 'age_s', {}, 'source', i.source{})"
        ).format(
            sql.Literal(field),
            _column(field),
            _stated_at(definition, field),
            _age(definition, shape.scope, field),
            wanted,
        )
    if rules.capacity is not None:
        cases["full"] = sql.SQL(
            "json_build_object('capacity_persons', {}, 'occupancy_persons', {}, 'places_persons', {},"
            " 'places_wanted', {}, 'stated_at', {}, 'age_s', {}, 'occupancy_age_s', {})"
        ).format(
            _column(rules.capacity), _column(rules.occupancy), _places(definition, shape.scope),
            PLACES if shape.places else sql.SQL("1"), _column(rules.stated_at), _age(definition, shape.scope),
            _age(definition, shape.scope, rules.occupancy) if rules.occupancy else NULL,
        )  # fmt: skip
    if reasons["unsuitable"] is not FALSE:
        cases["unsuitable"] = sql.SQL("json_build_object('hazard', {}, {}, {})").format(
            HAZARD, sql.Literal(rules.unsuitable), _column(rules.unsuitable)
        )
    if reasons["inside_hazard"] is not FALSE:
        zones = _zones_of(known, shape.scope, sql.SQL("i.geom"), HAZARD)
        assert zones is not None
        cases["inside_hazard"] = sql.SQL(
            "(SELECT json_build_object('zone_id', w.zone->>'id', 'zone_name', w.zone->>'name', 'hazard',"
            " w.zone->>'hazard', 'risk_class', w.zone->>'risk_class', 'sample', w.zone->'sample')"
            " FROM ({}) AS w ORDER BY w.worst_first, w.fid LIMIT 1)"
        ).format(zones)
    if rules.not_designated is not None:
        field = rules.not_designated.field
        cases["not_designated"] = sql.SQL("json_build_object({}, {})").format(sql.Literal(field), _column(field))
    if not cases:
        return NULL
    whens = [sql.SQL("WHEN {} THEN {}").format(sql.Literal(reason), case) for reason, case in cases.items()]
    return sql.SQL("CASE j.reasons[1] {} END").format(sql.SQL(" ").join(whens))


def _zones_of(
    known: Catalog, scope: Scope, geometry: sql.Composable, hazard: sql.Composable | None
) -> sql.Composable | None:
    """The danger zones that a geometry touches: those of a hazard, or all; None when no layer has zones."""
    parts = [
        _zones(known, definition, scope, geometry, hazard) for definition in known.values()
        if definition.zones is not None and definition.dimension == 2
    ]  # fmt: skip
    return sql.SQL(" UNION ALL ").join(parts) if parts else None


def _zones(
    known: Catalog, definition: Definition, scope: Scope, geometry: sql.Composable, hazard: sql.Composable | None
) -> sql.Composable:
    assert definition.zones is not None
    field, grade = definition.zones.hazard, definition.zones.grade
    worst: list[str] = []
    if grade is not None and definition.fields[grade].codes is not None:
        worst = list(known.codes_of(definition, definition.fields[grade]))
    grade_column = sql.Identifier("z", grade) if grade is not None else NULL
    of_hazard = sql.SQL("z.{} = {}").format(sql.Identifier(field), hazard) if hazard is not None else TRUE
    return _template("nearest_zones").format(
        view=view(definition, scope),
        layer=sql.Literal(definition.id),
        name=sql.Identifier("z", definition.name_field) if definition.name_field else NULL,
        hazard=sql.Identifier("z", field),
        grade=grade_column,
        worst_first=sql.SQL("coalesce(array_position({}::text[], {}::text), 1000)").format(
            sql.Literal(worst), grade_column
        ),
        of_hazard=of_hazard,
        geometry=geometry,
    )


def _hazards_here(known: Catalog, scope: Scope) -> sql.Composable:
    zones = _zones_of(known, scope, sql.SQL("(SELECT point::geometry FROM question)"), None)
    if zones is None:
        return NULL
    return sql.SQL("SELECT json_agg(h.zone ORDER BY h.worst_first, h.fid)::text FROM ({}) AS h").format(zones)


def _place(known: Catalog, scope: Scope) -> sql.Composable:
    for definition in _areas(known.values()):
        level = next(name for name, field in definition.fields.items() if field.codes == LEVELS_OF_AREAS)
        levels = list(known.codes_of(definition, definition.fields[level]))
        return _template("nearest_place").format(
            view=view(definition, scope),
            layer=sql.Literal(definition.id),
            name=sql.Identifier("a", definition.name_field) if definition.name_field else NULL,
            level=sql.Identifier("a", level),
            levels=sql.Literal(levels),
        )
    return NULL


def _areas(definitions: Iterable[Definition]) -> Iterable[Definition]:
    """The layers of areas that lie within one another."""
    for definition in definitions:
        if definition.parent is not None and definition.dimension == 2:
            levels = (field for field in definition.fields.values() if field.codes == LEVELS_OF_AREAS)
            if next(levels, None) is not None:
                yield definition


def _template(name: str) -> sql.SQL:
    return sql.SQL(statement(SQL / f"{name}.sql"))
