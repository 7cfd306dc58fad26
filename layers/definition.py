"""Frozen models of a layer definition, its code lists, profiles and standards; extra keys are refused.

A definition is one TOML file. Everything particular to a layer stands there: table, comments,
checks, import aliases, public fields, tiles, legend. Nothing else in the code names a layer's fields
unless the definition gives them a role (``[nearest]``, ``[map]``, ``[time]``, ``[workflow]``, ``[[computed]]``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic import Field as PydanticField

from layers.errors import DefinitionError
from layers.positions import Keys, line_of, lines

COMMON_FIELDS = Path(__file__).parent / "common_fields.toml"
NAME = re.compile(r"^[a-z][a-z0-9_]{0,47}$")
LAYERS_RESERVED = {"sources"}
NO_KEY_TYPES = ("date", "datetime", "codes")
DEFAULT_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "code": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
RESERVED = {
    "tableoid",
    "ctid",
    "xmin",
    "xmax",
    "cmin",
    "cmax",
    "fid",
    "geom",
    "geom_3857",
    "geom_z5",
    "geom_z7",
    "geom_z9",
    "dot_zoom",
    "item_key",
    "import_id",
    "row_no",
    "source",
    "sample",
    "flags",
    "unread",
    "name_initials",
    "recorded_at",
    "declared_crs",
}
Identifier = Annotated[str, PydanticField(pattern=NAME.pattern)]
FieldType = Literal["text", "integer", "number", "boolean", "date", "datetime", "code", "codes", "item"]
GeometryType = Literal["Point", "LineString", "MultiLineString", "MultiPolygon", "Geometry", "none"]
Certainty = Literal["verified", "secondary", "unverified"]
Right = Literal["read", "monitor", "edit", "review", "plan", "publish", "administer"]
Scalar = str | int | float | bool
Problem = tuple[Keys, str]
ValueType = TypeVar("ValueType")
WITHHELD = ("public", "withheld")
FOR_EVERYONE = ("demand", "map", "tiles", "nearest", "name_field", "time", "ways", "closes")
COLUMN_TYPES: dict[str, str] = {
    "text": "text",
    "integer": "bigint",
    "number": "double precision",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp with time zone",
    "code": "text",
    "codes": "text[]",
    "item": "bigint",
}


class Model(BaseModel):
    """A frozen record that refuses keys it does not know and values of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Words(Model):
    """One text in Chinese and English."""

    zh: str
    en: str


class Code(Words):
    """One value of a code list: its labels and the other words under which it is met in files."""

    aliases: tuple[str, ...] = ()


Codes = dict[Identifier, Code]


class Source(Model):
    """Where data come from and on what terms."""

    name: str
    licence: str
    attribution: str
    url: str | None = None


class Field(Model):
    """One column: its type, labels, unit, limits, and whether the public may read it."""

    type: FieldType
    label: Words
    public: bool
    aliases: tuple[str, ...] = ()
    unit: str | None = None
    note: Words | None = None
    required: bool = False
    personal: bool = False
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    codes: str | None = None
    layer: Identifier | None = None
    default: Scalar | None = None
    example: Scalar | None = None
    index: bool = False
    flag_zero: bool = False
    declares_area: bool = False
    flag_columns: dict[str, tuple[str, ...]] = {}
    computed: bool = False
    stated_at: Identifier | None = None
    stale_after_h: float | None = PydanticField(default=None, gt=0)

    @property
    def column_type(self) -> str:
        """The PostgreSQL type of the column."""
        return COLUMN_TYPES[self.type]

    @model_validator(mode="after")
    def _consistent(self) -> Field:
        if (self.type in ("code", "codes")) != (self.codes is not None):
            raise ValueError("`codes` names a code list, and goes with type code or codes")
        if (self.type == "item") != (self.layer is not None):
            raise ValueError("`layer` names the layer pointed to, and goes with type item")
        if self.flag_columns and self.type != "codes":
            raise ValueError("`flag_columns` goes with type codes")
        if self.personal and self.public:
            raise ValueError("a personal field cannot be public")
        numeric = self.type in ("integer", "number")
        if not numeric and (self.minimum is not None or self.maximum is not None or self.flag_zero):
            raise ValueError("`minimum`, `maximum` and `flag_zero` go with type integer or number")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("`minimum` is greater than `maximum`")
        if self.pattern is not None and self.type != "text":
            raise ValueError("`pattern` goes with type text")
        if self.default is not None and type(self.default) not in DEFAULT_TYPES.get(self.type, ()):
            raise ValueError(f"`default` is no value of type {self.type}")
        if self.stale_after_h is not None and self.stated_at is None:
            raise ValueError("`stale_after_h` needs `stated_at`, the field that says when the value was stated")
        if self.computed and (self.aliases or self.required or self.default is not None or self.stated_at):
            raise ValueError("a computed field is not entered: no aliases, required, default or stated_at")
        return self


class Symbol(Model):
    """How one legend entry is drawn. Sizes and widths in CSS pixels, opacity 0 to 1."""

    shape: Literal["circle", "square", "diamond", "triangle", "octagon", "shield", "house", "cross", "line", "fill"]
    color: str = PydanticField(pattern="^#[0-9A-Fa-f]{6}$")
    color_dark: str | None = PydanticField(default=None, pattern="^#[0-9A-Fa-f]{6}$")
    outline: str | None = PydanticField(default=None, pattern="^#[0-9A-Fa-f]{6}$")
    size: float = 18
    width: float = 1.5
    opacity: float = 1
    opacity_dark: float | None = None
    pattern: Literal["none", "lines-8", "lines-12", "dots"] = "none"
    dash: tuple[float, ...] = ()
    icon: str | None = None
    text: str | None = None


class Rule(Model):
    """One legend entry: the features whose fields equal ``when``; the first rule that fits counts."""

    when: dict[str, Scalar | None] = {}
    label: Words
    symbol: Symbol
    min_zoom: float | None = None


class Map(Model):
    """How the layer is drawn and listed in the legend."""

    group: Literal["hazards", "shelters", "response", "people", "basemap"]
    order: int
    visible: bool = True
    min_zoom: float = 0
    label_field: str | None = None
    label_min_zoom: float = 12
    rules: tuple[Rule, ...] = PydanticField(min_length=1)


class Tiles(Model):
    """What a vector tile carries: fields at every zoom, and further ones from ``detail_zoom`` on.

    Parameters
    ----------
    clusters : bool
        Whether points that lie close together are shown as one up to zoom 9.
    worst : str, optional
        The field with the grade; the rules of the legend that name it stand in its order, the gravest first.
    persons : str, optional
        The field with the people concerned, which clusters add up.
    """

    min_zoom: int = 0
    clusters: bool = True
    worst: str | None = None
    persons: str | None = None
    fields: tuple[str, ...] = ()
    detail_zoom: int = 12
    detail_fields: tuple[str, ...] = ()


class Condition(Model):
    """A field that holds one of the values."""

    field: str
    values: tuple[Scalar, ...]


class Nearest(Model):
    """Which fields decide whether an item is ranked for an incident (see ``gis.nearest``)."""

    default: bool = False
    k: int = 5
    closed: Condition | None = None
    not_designated: Condition | None = None
    capacity: str | None = None
    occupancy: str | None = None
    suitable: str | None = None
    unsuitable: str | None = None
    stated_at: str | None = None
    zones: bool = False
    travel: Literal["to_incident", "from_incident"] = "to_incident"

    def conditions(self) -> list[tuple[str, Condition]]:
        """The conditions that there are, by key."""
        given = (("closed", self.closed), ("not_designated", self.not_designated))
        return [(name, condition) for name, condition in given if condition is not None]


class Zones(Model):
    """Which fields make a polygon layer say where a hazard is (used to leave items out of a ranking)."""

    hazard: str
    grade: str | None = None


class Slowing(Condition):
    """Items in which a road takes ``factor`` times as long."""

    factor: float = PydanticField(ge=1)


class Closes(Model):
    """How a layer's items close roads, or slow who travels on them (see ``gis.closures``).

    Parameters
    ----------
    effect, factor : str, optional
        The fields that say it item by item: ``forbid`` or ``slow``, and how many times as long it takes.
    forbid, slow : optional
        Conditions that say it for all items alike.
    of_hazard : bool
        Whether an item counts only for the hazard that it is about (``zones.hazard``).
    """

    effect: str | None = None
    factor: str | None = None
    forbid: Condition | None = None
    slow: Slowing | None = None
    of_hazard: bool = False


class Ways(Model):
    """Which fields of a layer of lines make a road network (see ``gis.roads``)."""

    road_class: str
    from_node: str
    to_node: str
    speed_km_h: str
    one_way: str
    access: str
    bridge: str
    tunnel: str
    level: str
    width_m: str
    height_m: str
    weight_t: str


class Time(Model):
    """Which fields are the own time of a feature: one moment or day, or a start and an end that may be open."""

    start: str
    end: str | None = None


class Public(Model):
    """Which rows the public may see: those in which ``withheld`` is not true."""

    withheld: str | None = None


class Cited(Model):
    """Something that a clause asks for, and how sure that is."""

    clause: Words | None = None
    certainty: Certainty | None = None

    @model_validator(mode="after")
    def _cited(self) -> Self:
        if (self.clause is None) != (self.certainty is None):
            raise ValueError("`clause` and `certainty` go together")
        return self


class Transition(Cited):
    """A step of a workflow: between which states, who may take it, what must be known then.

    ``clears`` are fields that become unknown with the step unless it fills them anew, ``dated`` a date that becomes
    the day of the step unless it is given.
    """

    from_states: tuple[str, ...] = PydanticField(alias="from", min_length=1)
    to: str
    label: Words
    right: Right
    needs: tuple[str, ...] = ()
    clears: tuple[str, ...] = ()
    dated: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Transition:
        if self.to in self.from_states:
            raise ValueError("`to` is one of `from`")
        return self


class Gap(Model):
    """What an open item should have and lacks: it has the gap when one of the fields is unknown, false or 0."""

    id: Identifier
    missing: tuple[str, ...] = PydanticField(min_length=1)
    label: Words


class FixedItem(Model):
    """One of the items that are settled before rectification: it is when all of its fields are known."""

    id: Identifier
    fields: tuple[str, ...] = PydanticField(min_length=1)
    label: Words


class Workflow(Cited):
    """The life of an item as states and steps (see ``layers.workflow``).

    Parameters
    ----------
    state : str
        The field that holds the state.
    initial : str
        The state in which an item begins.
    closed : tuple of str
        The states in which nothing is left to do.
    closed_on : str
        The field with the day on which a closed state was reached.
    deadline : str
        The field with the day by which one must be.
    opened_on : str, optional
        The field with the day on which the item was found; no deadline lies before it.
    grade, persons : str, optional
        The fields with the grade and with the people concerned, for the counts.
    when : dict of field to value
        The rows that are in the loop: those in which each field has the value, or none; empty: all rows.
    """

    state: str
    initial: str
    closed: tuple[str, ...] = PydanticField(min_length=1)
    closed_on: str
    deadline: str
    opened_on: str | None = None
    grade: str | None = None
    persons: str | None = None
    when: dict[str, Scalar] = {}
    transitions: tuple[Transition, ...] = PydanticField(min_length=1)
    gaps: tuple[Gap, ...] = ()
    fixed_items: tuple[FixedItem, ...] = ()

    def states_named(self) -> Iterator[tuple[Keys, tuple[str, ...]]]:
        """The states that are named, and where."""
        yield ("workflow", "initial"), (self.initial,)
        yield ("workflow", "closed"), self.closed
        for number, step in enumerate(self.transitions):
            keys = ("workflow", "transitions", str(number))
            yield (*keys, "from"), step.from_states
            yield (*keys, "to"), (step.to,)

    def fields_named(self) -> Iterator[tuple[Keys, str]]:
        """The fields that are named, and where."""
        for part in ("state", "closed_on", "deadline", "opened_on", "grade", "persons"):
            name = getattr(self, part)
            if name is not None:
                yield ("workflow", part), name
        yield from ((("workflow", "when", name), name) for name in self.when)
        for number, step in enumerate(self.transitions):
            keys = ("workflow", "transitions", str(number))
            yield from (((*keys, "needs"), name) for name in step.needs)
            yield from (((*keys, "clears"), name) for name in step.clears)
            if step.dated is not None:
                yield (*keys, "dated"), step.dated
        for number, gap in enumerate(self.gaps):
            yield from ((("workflow", "gaps", str(number), "missing"), name) for name in gap.missing)
        for number, item in enumerate(self.fixed_items):
            yield from ((("workflow", "fixed_items", str(number), "fields"), name) for name in item.fields)

    def problems(self, fields: dict[str, Field]) -> Iterator[Problem]:
        """What does not fit together; the fields that are named are known to be there."""
        if fields[self.state].type != "code" or fields[self.state].computed:
            yield ("workflow", "state"), f"{self.state} is not of type code, or is computed"
        dates: list[tuple[Keys, str | None]] = [
            (("workflow", part), getattr(self, part)) for part in ("closed_on", "deadline", "opened_on")
        ]
        taken: set[tuple[str, str]] = set()
        for number, step in enumerate(self.transitions):
            keys = ("workflow", "transitions", str(number))
            dates.append(((*keys, "dated"), step.dated))
            steps = {(state, step.to) for state in step.from_states}
            if taken & steps:
                yield keys, f"another step leads from {next(iter(taken & steps))[0]} to {step.to}"
            taken |= steps
            for name in step.clears:
                if fields[name].required or fields[name].computed:
                    yield (*keys, "clears"), f"{name} cannot become unknown: it is required or computed"
        for where, day in dates:
            if day is not None and (fields[day].type != "date" or fields[day].computed):
                yield where, f"{day} is not of type date, or is computed"
        if self.persons is not None and fields[self.persons].type not in ("integer", "number"):
            yield ("workflow", "persons"), f"{self.persons} is not a number"
        for part, entries in (("gaps", self.gaps), ("fixed_items", self.fixed_items)):
            ids = [entry.id for entry in entries]
            for number, name in enumerate(ids):
                if name in ids[:number]:
                    yield ("workflow", part, str(number), "id"), f"{name} is there twice"


class Computed(Model):
    """A grade that a standard gives to measures; one that is stated counts in its place when it has a reason.

    Parameters
    ----------
    field : str
        The grade that counts: the stated one when a reason is given, else the computed one when it is known, else the
        stated one.
    stated, reason : str
        The fields with the grade that somebody stated, and why it counts.
    computed : str
        What the standard gives, NULL when it is unknown.
    at_least : str, optional
        Whether the grade that counts is a computed one that could be higher, since a measure is unknown.
    standard : str
        The standard's id.
    measures : tuple of str
        The fields that are measured; each bears the name of the standard's measure.
    when : dict of field to value
        The rows to which the standard applies; empty: all.
    """

    field: str
    stated: str
    reason: str
    computed: str
    at_least: str | None = None
    standard: str
    measures: tuple[str, ...] = PydanticField(min_length=1)
    when: dict[str, Scalar] = {}

    @property
    def made(self) -> tuple[str, ...]:
        """The fields whose values are computed."""
        return tuple(name for name in (self.field, self.computed, self.at_least) if name is not None)

    def fields_named(self, number: int) -> Iterator[tuple[Keys, str]]:
        """The fields that are named, and where; this is the entry of that number, from 0."""
        keys = ("computed", str(number))
        for part in ("field", "stated", "reason", "computed", "at_least"):
            name = getattr(self, part)
            if name is not None:
                yield (*keys, part), name
        yield from (((*keys, "measures"), name) for name in self.measures)
        yield from (((*keys, "when", name), name) for name in self.when)

    def problems(self, number: int, fields: dict[str, Field]) -> Iterator[Problem]:
        """What does not fit together; the fields that are named are known to be there."""
        keys = ("computed", str(number))
        lists = {fields[name].codes for name in (self.field, self.stated, self.computed)}
        if len(lists) != 1 or None in lists:
            yield keys, "field, stated and computed are codes of one list"
        if fields[self.reason].type != "text":
            yield (*keys, "reason"), f"{self.reason} is not of type text"
        if self.at_least is not None and fields[self.at_least].type != "boolean":
            yield (*keys, "at_least"), f"{self.at_least} is not of type boolean"
        if self.at_least is None and len(self.measures) > 1:
            yield keys, "with several measures one may be unknown: `at_least` names the field that says so"
        for name in self.measures:
            if fields[name].type not in ("integer", "number"):
                yield (*keys, "measures"), f"{name} is not a number"
        for name in self.made:
            if not fields[name].computed:
                yield ("fields", name), "needs `computed = true`: nobody enters it"
        for name in (self.stated, self.reason, *self.measures, *self.when):
            if fields[name].computed:
                yield keys, f"{name} is itself computed"


class Definition(Model):
    """One layer."""

    id: Identifier
    title: Words
    abstract: Words
    geometry: GeometryType
    key: tuple[tuple[str, ...], ...]
    name_field: str | None = "name"
    source: Source
    fields: dict[Identifier, Field]
    codes: dict[Identifier, Codes] = {}
    map: Map | None = None
    tiles: Tiles = Tiles()
    nearest: Nearest | None = None
    zones: Zones | None = None
    demand: str | None = None
    ways: Ways | None = None
    closes: Closes | None = None
    time: Time | None = None
    public: Public = Public()
    parent: str | None = None
    workflow: Workflow | None = None
    computed: tuple[Computed, ...] = ()

    def __hash__(self) -> int:
        return hash(self.id)

    @cached_property
    def entered_fields(self) -> dict[str, Field]:
        """The fields that are written; the database computes the others."""
        return {name: field for name, field in self.fields.items() if not field.computed}

    @cached_property
    def monitoring_fields(self) -> dict[str, str]:
        """The fields whose values change often, each with the field that says when its value was stated."""
        return {name: field.stated_at for name, field in self.fields.items() if field.stated_at is not None}

    @cached_property
    def public_fields(self) -> tuple[str, ...]:
        """The fields that anyone may read, in the order of the definition."""
        return tuple(name for name, field in self.fields.items() if field.public)

    @property
    def has_geometry(self) -> bool:
        """Whether the layer stands on the map."""
        return self.geometry != "none"

    @property
    def dimension(self) -> int:
        """0 for points, 1 for lines, 2 for polygons, 3 for any of them, -1 without geometry."""
        dimensions = {"Point": 0, "LineString": 1, "MultiLineString": 1, "MultiPolygon": 2, "Geometry": 3, "none": -1}
        return dimensions[self.geometry]

    @model_validator(mode="before")
    @classmethod
    def _with_common_fields(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("fields"), dict):
            return data
        common = {name: field for name, field in common_fields().items() if name not in data["fields"]}
        return {**data, "fields": {**data["fields"], **common}}

    def problems(self) -> Iterator[Problem]:
        """What does not fit together within the definition."""
        if self.id in LAYERS_RESERVED:
            yield ("id",), "this name is kept for the store"
        yield from ((("fields", name), "this name is kept for the store") for name in self.fields if name in RESERVED)
        if not self.has_geometry:
            for part in ("map", "nearest", "zones", "ways", "closes"):
                if getattr(self, part) is not None:
                    yield (part,), "a layer without geometry has none"
        yield from self._key_problems()
        for keys, name in self._named_fields():
            field = self.fields.get(name)
            if field is None:
                yield keys, f"no field {name}"
            elif not field.public and keys[0] in FOR_EVERYONE:
                yield keys, f"{name} is drawn, ranked or asked by for everyone, so it must be public"
            elif keys == ("name_field",) and field.type != "text":
                yield keys, f"{name} is not of type text"
            elif keys in (("tiles", "persons"), ("demand",)) and field.type not in ("integer", "number"):
                yield keys, f"{name} is not a number"
            elif keys == WITHHELD and field.type != "boolean":
                yield keys, f"{name} is not of type boolean"
            elif keys[0] == "time" and field.type not in ("date", "datetime"):
                yield keys, f"{name} is not of type date or datetime"
            elif keys[0] == "fields" and field.type != "datetime":
                yield keys, f"{name} is not of type datetime"
            elif keys[0] == "fields" and self.fields[keys[1]].public and not field.public:
                yield keys, f"{name} tells the age of a public value, so it must be public"
        if self.ways is not None and self.geometry != "LineString":
            yield ("ways",), "a road network is made of lines"
        if self.closes is not None and self.closes.of_hazard and self.zones is None:
            yield ("closes", "of_hazard"), "the layer has no [zones] that say which hazard"
        if all(name in self.fields for _, name in self._named_fields()):
            yield from self._part_problems()

    def _part_problems(self) -> Iterator[Problem]:
        """What does not fit in the workflow and the computed fields."""
        if self.workflow is not None:
            yield from self.workflow.problems(self.fields)
        made: set[str] = set()
        for number, computed in enumerate(self.computed):
            yield from computed.problems(number, self.fields)
            for name in made.intersection(computed.made):
                yield ("computed", str(number)), f"{name} is computed twice"
            made.update(computed.made)
        for name, field in self.fields.items():
            if field.computed and name not in made:
                yield ("fields", name), "no entry of [[computed]] says how it is computed"

    def _key_problems(self) -> Iterator[Problem]:
        if not self.key or not all(self.key):
            yield ("key",), "at least one alternative, of at least one field each"
        for number, name in ((number, name) for number, names in enumerate(self.key) for name in names):
            keys = ("key", str(number))
            if name == "geom":
                if not self.has_geometry:
                    yield keys, "the layer has no geometry"
            elif name not in self.fields:
                yield keys, f"no field {name}"
            elif self.fields[name].type in NO_KEY_TYPES:
                yield keys, f"{name} is of type {self.fields[name].type}, which makes no key"
            elif self.fields[name].computed:
                yield keys, f"{name} is computed, which makes no key"

    def _named_fields(self) -> Iterator[tuple[Keys, str]]:
        """The fields that are named outside ``key``, and where."""
        single: list[tuple[Keys, str | None]] = [
            (("name_field",), self.name_field),
            (("parent",), self.parent),
            (("demand",), self.demand),
            (WITHHELD, self.public.withheld),
        ]
        single += [(("tiles", "fields"), name) for name in self.tiles.fields]
        single += [(("tiles", "detail_fields"), name) for name in self.tiles.detail_fields]
        single += [(("tiles", part), getattr(self.tiles, part)) for part in ("worst", "persons")]
        if self.map is not None:
            single.append((("map", "label_field"), self.map.label_field))
            for number, rule in enumerate(self.map.rules):
                single += [(("map", "rules", str(number), "when", name), name) for name in rule.when]
        if self.nearest is not None:
            for part in ("capacity", "occupancy", "suitable", "unsuitable", "stated_at"):
                single.append((("nearest", part), getattr(self.nearest, part)))
            for part, condition in self.nearest.conditions():
                single.append((("nearest", part, "field"), condition.field))
        if self.zones is not None:
            single += [(("zones", "hazard"), self.zones.hazard), (("zones", "grade"), self.zones.grade)]
        if self.ways is not None:
            single += [(("ways", part), name) for part, name in self.ways]
        if self.closes is not None:
            single += [(("closes", part), getattr(self.closes, part)) for part in ("effect", "factor")]
            for part in ("forbid", "slow"):
                if (condition := getattr(self.closes, part)) is not None:
                    single.append((("closes", part, "field"), condition.field))
        if self.time is not None:
            single += [(("time", "start"), self.time.start), (("time", "end"), self.time.end)]
        if self.workflow is not None:
            single += self.workflow.fields_named()
        for number, computed in enumerate(self.computed):
            single += computed.fields_named(number)
        single += [(("fields", name, "stated_at"), field.stated_at) for name, field in self.fields.items()]
        return ((keys, name) for keys, name in single if name is not None)


class Operation(Model):
    """The column in which a profile's file says what became of each item, and its words for that."""

    heading: str
    insert: str
    update: str
    delete: str


class Profile(Model):
    """The other side's form of a file: recognised by its headings, read without further options.

    Parameters
    ----------
    headings : tuple of str
        What a file must have in order to be recognised; in an exchange the columns of the file, in their order.
    columns : dict of heading to field
        Or to ``x``, ``y`` or ``wkt``.
    values : dict of heading to dict of the other side's word to ours
        Of several words for one of ours, export writes the first.
    set : dict of field to value
        What every row is, without the file saying it.
    exchange : bool
        Whether files are written in this form too.
    units : dict of heading to unit
        Units of columns whose headings do not tell them.
    constants : dict of heading to text
        Columns that say the same in every row, and nothing to us.
    dates, moments : str, optional
        How days and moments are written, as in ``strftime``; moments in China's time.
    operation : Operation, optional
        The column that says what became of each item.
    """

    id: Identifier
    title: Words
    layer: Identifier
    headings: tuple[str, ...] = PydanticField(min_length=1)
    source: Source
    source_id: Identifier
    crs: str | None = None
    columns: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    set: dict[str, Scalar] = {}
    exchange: bool = False
    units: dict[str, str] = {}
    constants: dict[str, str] = {}
    dates: str | None = None
    moments: str | None = None
    operation: Operation | None = None


class Threshold(Model):
    """One grade's lower limits: a measure reaches the grade with ``at_least`` the limit, or with ``more_than`` it."""

    grade: str
    at_least: dict[str, float] = {}
    more_than: dict[str, float] = {}
    clause: str
    certainty: Certainty


class Standard(Model):
    """A table of thresholds as data, from the highest grade to the lowest."""

    id: Identifier
    title: Words
    edition: str
    in_force: str | None = None
    units: dict[str, str]
    thresholds: tuple[Threshold, ...] = PydanticField(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Standard:
        for number, threshold in enumerate(self.thresholds, 1):
            named = threshold.at_least.keys() | threshold.more_than.keys()
            if unknown := named - self.units.keys():
                raise ValueError(f"{threshold.grade}: no unit for {', '.join(sorted(unknown))}")
            if bool(named) == (number == len(self.thresholds)):
                raise ValueError("the last threshold, and it alone, has no limit: it takes what reaches no other")
        return self


@lru_cache(maxsize=1)
def common_fields() -> dict[str, dict[str, Any]]:
    """The fields that every layer has, as TOML data by name."""
    data: dict[str, dict[str, Any]] = _with_tuples(tomllib.loads(COMMON_FIELDS.read_text(encoding="utf-8")))
    return data


ModelType = TypeVar("ModelType", bound=Model)


def load(model: type[ModelType], path: Path) -> ModelType:
    """A TOML file as ``model``; the file's stem is its id.

    Raises
    ------
    DefinitionError
        Names file, line and key.
    """
    data = read(path)
    if "id" in model.model_fields:
        if "id" in data:
            raise wrong(path, ("id",), "the file's name is the id; take the key out")
        data = {"id": path.stem, **data}
    return validated(TypeAdapter(model), data, path)


def read(path: Path) -> dict[str, Any]:
    """The data of a TOML file, its arrays as tuples."""
    try:
        data: dict[str, Any] = _with_tuples(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{path.name}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise DefinitionError(f"{path.name}: not UTF-8 text") from None
    return data


def validated(adapter: TypeAdapter[ValueType], data: dict[str, Any], path: Path) -> ValueType:
    """``data`` in the type of ``adapter``, or a DefinitionError that names file, line and key."""
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        # a misspelt key is both unknown and missing: say the former
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        keys = tuple(str(part) for part in first["loc"] if part != "[key]")
        if first["type"] == "extra_forbidden":
            message = "unknown key"
        elif first["type"] == "missing":
            message = "missing"
        else:
            known = {("id",), *lines(path.read_text(encoding="utf-8"))}
            while keys and keys not in known:
                keys = keys[:-1]  # pydantic adds the name of each type it tried
            message = first["msg"].removeprefix("Value error, ").replace("tuple", "array")
            if NAME.pattern in message:
                message = "a name is small letters, digits and _, a letter first, 48 at most"
        raise wrong(path, keys, message) from None


def wrong(path: Path, keys: Keys, message: str) -> DefinitionError:
    """An error that names file, line and key."""
    line = line_of(path.read_text(encoding="utf-8"), keys)
    return DefinitionError(f"{path.name}:{line}: {'.'.join(keys) or 'the file'}: {message}")


def _with_tuples(value: Any) -> Any:
    """The same data with tuples for lists: frozen models hold tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(part) for key, part in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
