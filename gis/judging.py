"""What makes an item fit or unfit for an incident, and what is told of it, as SQL for one layer.

Everything comes from the layer's definition (``[nearest]``, and ``[zones]`` of the polygon layers). The expressions are
about an item ``i`` that was judged ``j``, in a query that has a table ``question`` with the incident's ``point``; its
values ``$1`` to ``$10`` are those of ``gis.nearest``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layers.catalog import Catalog
from layers.database import RELEASED, Scope, sql, statement
from layers.definition import Definition, Nearest
from layers.tables import fields_of, view

SQL = Path(__file__).parent / "sql"
HAZARD, PLACES, MAX_M, LEVEL, CLASS, SPECIALITY, ITEM_CODE, ITEM_NAME = (sql.SQL(f"${n}") for n in range(3, 11))
CODE_FILTERS = {"level": LEVEL, "class": CLASS, "speciality": SPECIALITY}
TRUE, FALSE, NULL = sql.SQL("true"), sql.SQL("false"), sql.SQL("NULL")
LEVELS_OF_AREAS = "admin_level"
CLOCKS_DIFFER_S = 300


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


def rules_of(definition: Definition) -> Nearest:
    return definition.nearest or Nearest()


def is_coded(definition: Definition, name: str) -> bool:
    field = definition.fields.get(name)
    return field is not None and field.public and field.codes is not None


def column_of(name: str | None) -> sql.Composable:
    return NULL if name is None else sql.Identifier("i", name)


def reasons_of(known: Catalog, definition: Definition, shape: Shape) -> dict[str, sql.Composable]:
    """Why an item i is left out, each a condition that is true or false, never unknown."""
    rules = rules_of(definition)
    reasons = dict.fromkeys(("closed", "full_up", "unsuitable", "inside_hazard", "not_designated"), FALSE)
    if rules.closed is not None:
        reasons["closed"] = _closed(known, definition, rules, shape)
    if rules.capacity is not None:
        reasons["full_up"] = sql.SQL("(({} - coalesce({}, 0) < greatest({}::bigint, 1)) IS TRUE)").format(
            column_of(rules.capacity), _occupancy(definition, shape.scope), PLACES if shape.places else sql.SQL("1")
        )
    if shape.hazard and rules.unsuitable is not None:
        reasons["unsuitable"] = sql.SQL("(({} = ANY ({})) IS TRUE)").format(HAZARD, column_of(rules.unsuitable))
    if shape.hazard and rules.zones and (zones := _zones_of(known, shape.scope, sql.SQL("i.geom"), HAZARD)) is not None:
        reasons["inside_hazard"] = sql.SQL("EXISTS ({})").format(zones)
    if (condition := rules.not_designated) is not None:
        asked = condition.field in shape.codes and shape.undesignated & set(map(str, condition.values))
        reasons["not_designated"] = FALSE if asked else _holds(condition.field, condition.values)
    return reasons


def codes_of(reasons: dict[str, sql.Composable]) -> sql.Composable:
    """The codes of the reasons that hold for an item, as an array: the first one counts."""
    cases = sql.SQL(", ").join(
        sql.SQL("CASE WHEN {} THEN {} END").format(reason, sql.Literal("full" if name == "full_up" else name))
        for name, reason in reasons.items()
    )
    return sql.SQL("array_remove(ARRAY[{}]::text[], NULL)").format(cases)


def _holds(field: str, values: Sequence[Any]) -> sql.Composable:
    return sql.SQL("(({} = ANY ({})) IS TRUE)").format(column_of(field), sql.Literal(list(values)))


def _closed(known: Catalog, definition: Definition, rules: Nearest, shape: Shape) -> sql.Composable:
    """Closed; when only open items are wanted: not stated to be open."""
    assert rules.closed is not None
    closed = _holds(rules.closed.field, rules.closed.values)
    field = definition.fields[rules.closed.field]
    if not shape.open:
        return closed
    if field.codes is not None and "open" in known.codes_of(definition, field):
        return sql.SQL("({} IS DISTINCT FROM 'open')").format(column_of(rules.closed.field))
    return sql.SQL("({} OR {} IS NULL)").format(closed, column_of(rules.closed.field))


def candidate_of(known: Catalog, definition: Definition, shape: Shape) -> sql.Composable:
    """Which items are asked about."""
    conditions: list[sql.Composable] = []
    for name in shape.codes:
        if is_coded(definition, name):
            form = "{} && {}" if definition.fields[name].type == "codes" else "{} = ANY ({})"
            conditions.append(sql.SQL(form).format(column_of(name), CODE_FILTERS[name]))
    if shape.item and (stock := stock_of(known, definition)) is not None:
        conditions.append(
            sql.SQL("EXISTS (SELECT FROM {} AS s WHERE {})").format(view(stock[0], shape.scope), _held(*stock))
        )
    if shape.max_m:
        conditions.append(
            sql.SQL("ST_DWithin(i.geom::geography, (SELECT point FROM question), {}, true)").format(MAX_M)
        )
    return sql.SQL(" AND ").join(conditions) if conditions else TRUE


def stock_of(known: Catalog, depots: Definition) -> tuple[Definition, str] | None:
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


def bearing_of(definition: Definition) -> sql.Composable:
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
    of_item = column_of(rules_of(definition).stated_at or "stated_at")
    own = definition.fields[field].stated_at if field is not None else None
    return of_item if own is None else sql.SQL("coalesce({}, {})").format(column_of(own), of_item)


def _occupancy(definition: Definition, scope: Scope) -> sql.Composable:
    """The occupancy of an item i, unless it was stated too long ago, in the future, or nobody knows when."""
    name = rules_of(definition).occupancy
    hours = definition.fields[name].stale_after_h if name is not None else None
    if hours is None:
        return column_of(name)
    age = sql.SQL("extract(epoch FROM {} - {})").format(_moment(scope), _stated_at(definition, name))
    return sql.SQL("CASE WHEN {} BETWEEN {} AND {} THEN {} END").format(
        age, sql.Literal(-CLOCKS_DIFFER_S), sql.Literal(hours * 3600), column_of(name)
    )


def _places(definition: Definition, scope: Scope) -> sql.Composable:
    """Free places of an item i, in persons: never below 0, and NULL when capacity or occupancy is unknown."""
    rules = rules_of(definition)
    if rules.occupancy is None:
        return column_of(rules.capacity)
    return sql.SQL("CASE WHEN {0} < {1} THEN 0 ELSE {0} - {1} END").format(
        column_of(rules.capacity), _occupancy(definition, scope)
    )


def properties_of(
    known: Catalog, definition: Definition, shape: Shape, reasons: dict[str, sql.Composable]
) -> sql.Composable:
    """The columns that become the properties of a ranked item i."""
    rules = rules_of(definition)
    columns: dict[str, sql.Composable] = {name: column_of(name) for name in fields_of(definition, shape.scope)}
    columns |= {
        "source": sql.SQL("i.source"), "flags": sql.SQL("i.flags"), "layer": sql.Literal(definition.id),
        "fid": sql.SQL("i.fid"), "rank": sql.SQL("j.rank"),
        "distance_m": sql.SQL("round(j.distance_m::numeric, 3)"), "bearing_deg": bearing_of(definition),
    }  # fmt: skip
    if rules.capacity is not None:
        columns["places_persons"] = _places(definition, shape.scope)
    if rules.occupancy is not None:
        columns["occupancy_age_s"] = _age(definition, shape.scope, rules.occupancy)
    if shape.hazard and rules.suitable is not None:
        columns["suitability"] = sql.SQL(
            "CASE WHEN {unsuitable} THEN 'unsuitable' WHEN {hazard} = ANY ({suitable}) THEN 'suitable'"
            " ELSE 'unknown' END"
        ).format(unsuitable=reasons["unsuitable"], hazard=HAZARD, suitable=column_of(rules.suitable))
    if shape.item and (stock := stock_of(known, definition)) is not None:
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


def evidence_of(
    known: Catalog, definition: Definition, shape: Shape, reasons: dict[str, sql.Composable]
) -> sql.Composable:
    """What shows the first reason of a skipped item i."""
    rules = rules_of(definition)
    cases: dict[str, sql.Composable] = {}
    if rules.closed is not None:
        wanted = sql.SQL(", 'status_wanted', 'open'") if shape.open else sql.SQL("")
        field = rules.closed.field
        cases["closed"] = sql.SQL(
            "json_build_object({}, {}, 'stated_at', {}, 'age_s', {}, 'source', i.source{})"
        ).format(
            sql.Literal(field),
            column_of(field),
            _stated_at(definition, field),
            _age(definition, shape.scope, field),
            wanted,
        )
    if rules.capacity is not None:
        cases["full"] = sql.SQL(
            "json_build_object('capacity_persons', {}, 'occupancy_persons', {}, 'places_persons', {},"
            " 'places_wanted', {}, 'stated_at', {}, 'age_s', {}, 'occupancy_age_s', {})"
        ).format(
            column_of(rules.capacity), column_of(rules.occupancy), _places(definition, shape.scope),
            PLACES if shape.places else sql.SQL("1"), column_of(rules.stated_at), _age(definition, shape.scope),
            _age(definition, shape.scope, rules.occupancy) if rules.occupancy else NULL,
        )  # fmt: skip
    if reasons["unsuitable"] is not FALSE:
        cases["unsuitable"] = sql.SQL("json_build_object('hazard', {}, {}, {})").format(
            HAZARD, sql.Literal(rules.unsuitable), column_of(rules.unsuitable)
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
        cases["not_designated"] = sql.SQL("json_build_object({}, {})").format(sql.Literal(field), column_of(field))
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
    return template("nearest_zones").format(
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


def hazards_of(known: Catalog, scope: Scope) -> sql.Composable:
    zones = _zones_of(known, scope, sql.SQL("(SELECT point::geometry FROM question)"), None)
    if zones is None:
        return NULL
    return sql.SQL("SELECT json_agg(h.zone ORDER BY h.worst_first, h.fid)::text FROM ({}) AS h").format(zones)


def place_of(known: Catalog, scope: Scope) -> sql.Composable:
    for definition in _areas(known.values()):
        level = next(name for name, field in definition.fields.items() if field.codes == LEVELS_OF_AREAS)
        levels = list(known.codes_of(definition, definition.fields[level]))
        return template("nearest_place").format(
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


def template(name: str) -> sql.SQL:
    return sql.SQL(statement(SQL / f"{name}.sql"))
