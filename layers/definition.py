"""Frozen models of a layer definition, its code lists, profiles and standards; extra keys are refused.

A definition is one TOML file. Everything particular to a layer stands there: table, comments,
checks, import aliases, public fields, tiles, legend. Nothing else in the code names a layer's fields
unless the definition gives them a role (``[nearest]``, ``[map]``).
"""

from __future__ import annotations

import re
import tomllib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field as PydanticField, ValidationError, model_validator

from layers.errors import DefinitionError

COMMON_FIELDS = Path(__file__).parent / "common_fields.toml"
NAME = re.compile(r"^[a-z][a-z0-9_]{0,47}$")
RESERVED = {
    "fid",
    "geom",
    "geom_3857",
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
Scalar = str | int | float | bool
COLUMN_TYPES: dict[str, str] = {
    "text": "text",
    "integer": "bigint",
    "number": "double precision",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamptz",
    "code": "text",
    "codes": "text[]",
    "item": "bigint",
}


class Model(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    """What a vector tile carries: fields at every zoom, and further ones from ``detail_zoom`` on."""

    min_zoom: int = 0
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


class Zones(Model):
    """Which fields make a polygon layer say where a hazard is (used to leave items out of a ranking)."""

    hazard: str
    grade: str | None = None


class Public(Model):
    """Which rows the public may see: those in which ``withheld`` is not true."""

    withheld: str | None = None


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
    public: Public = Public()
    parent: str | None = None

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

    @model_validator(mode="after")
    def _consistent(self) -> Definition:
        known = set(self.fields)
        if taken := known & RESERVED:
            raise ValueError(f"field names kept for the store: {', '.join(sorted(taken))}")
        if self.map is not None and not self.has_geometry:
            raise ValueError("a layer without geometry has no [map]")
        if self.name_field is not None and self.name_field not in known:
            raise ValueError(f"name_field: no field {self.name_field}")
        for where, name in self._named_fields():
            if name not in known and not (where == "key" and name == "geom"):
                raise ValueError(f"{where}: no field {name}")
        for where, name in self._public_uses():
            if name in known and not self.fields[name].public:
                raise ValueError(f"{where}: {name} is drawn or ranked for everyone, so it must be public")
        return self

    def _public_uses(self) -> list[tuple[str, str]]:
        uses = [(where, name) for where, name in self._named_fields() if where.startswith(("map", "tiles", "nearest"))]
        return uses + ([("name_field", self.name_field)] if self.name_field else [])

    def _named_fields(self) -> list[tuple[str, str]]:
        named = [("key", name) for names in self.key for name in names]
        named += [("tiles.fields", name) for name in (*self.tiles.fields, *self.tiles.detail_fields)]
        if self.map is not None:
            named += [("map.rules", name) for rule in self.map.rules for name in rule.when]
            named += [("map.label_field", self.map.label_field)] if self.map.label_field else []
        if self.nearest is not None:
            n = self.nearest
            plain = (n.capacity, n.occupancy, n.suitable, n.unsuitable, n.stated_at)
            conditions = (c.field for c in (n.closed, n.not_designated) if c is not None)
            named += [("nearest", name) for name in (*plain, *conditions) if name is not None]
        if self.zones is not None:
            named += [("zones", name) for name in (self.zones.hazard, self.zones.grade) if name is not None]
        if self.public.withheld is not None:
            named.append(("public.withheld", self.public.withheld))
        if self.parent is not None:
            named.append(("parent", self.parent))
        return named


class Profile(Model):
    """The other side's form of a file: recognised by its headings, read without further options."""

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


class Threshold(Model):
    """One grade's lower limits; a measure reaches the grade when it is at least the limit."""

    grade: str
    at_least: dict[str, float] = {}
    clause: str
    certainty: Literal["verified", "secondary", "unverified"]


class Standard(Model):
    """A table of thresholds as data, from the highest grade to the lowest."""

    id: Identifier
    title: Words
    edition: str
    in_force: str
    units: dict[str, str]
    thresholds: tuple[Threshold, ...]


@lru_cache(maxsize=1)
def common_fields() -> dict[str, dict[str, Any]]:
    """The fields that every layer has, as TOML data by name."""
    return tomllib.loads(COMMON_FIELDS.read_text(encoding="utf-8"))


ModelType = TypeVar("ModelType", bound=Model)


def load(model: type[ModelType], path: Path, **given: Any) -> ModelType:
    """One validated record from a TOML file.

    Parameters
    ----------
    model : type
        The record's model.
    path : Path
        The file; its stem is given as ``id`` where the model has one.
    **given
        Values that the file itself does not hold.

    Raises
    ------
    DefinitionError
        With file, line and key of the first thing that is wrong.
    """
    text = path.read_text(encoding="utf-8")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{path.name}: not valid TOML: {error}") from None
    if "id" in model.model_fields:
        if "id" in data:
            raise DefinitionError(
                f"{path.name}:{_line(text, ('id',))}: id: the file's name is the id; take the key out"
            )
        given = {"id": path.stem, **given}
    return validated(model, {**data, **given}, path.name, text)


def validated(model: type[ModelType], data: dict[str, Any], name: str, text: str) -> ModelType:
    """``data`` as a model, or a DefinitionError that names file, line and key."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        keys = tuple(str(part) for part in first["loc"] if part != "[key]")
        message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise DefinitionError(f"{name}:{_line(text, keys)}: {'.'.join(keys) or model.__name__}: {message}") from None


def _line(text: str, keys: tuple[str, ...]) -> int:
    """The 1-based line that comes nearest to ``keys``: its own, or the table's it should stand in."""
    best, deepest = 1, 0
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"^\s*\[(\[)?\s*([^\]]+?)\s*\]", line)
        if header:
            table = tuple(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1]:  # one more entry of an array of tables
                counts[table] = counts.get(table, -1) + 1
                table = (*table, str(counts[table]))
        if keys[: len(table)] != table:
            continue
        depth = len(table) if header else len(table) + _keys_on(line, keys[len(table) :])
        if depth > deepest:
            best, deepest = number, depth
    return best


def _keys_on(line: str, keys: tuple[str, ...]) -> int:
    """How many of the keys stand on a line, one after the other."""
    position = 0
    for count, key in enumerate(keys):
        found = re.search(rf"(^|[\s{{,\[.])[\"']?{re.escape(key)}[\"']?\s*[=.]", line[position:])
        if not found:
            return count
        position += found.end() - 1
    return len(keys)
