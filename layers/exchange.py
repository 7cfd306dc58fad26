"""The form of the files that Leeward writes, so that it reads them back: headings, own columns, guards, profiles.

A file of Leeward's own bears, besides the fields, columns that begin with ``leeward_``. They are never values of a
field; they tell where a row comes from, and how the others are to be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from layers import values
from layers.catalog import Catalog, profiles
from layers.definition import Definition, Field, Profile
from layers.errors import DefinitionError, InvalidValue
from layers.reading import Chunk
from layers.tables import SAMPLE_SOURCE

FID, SOURCE, SAMPLE, FLAGS = "leeward_fid", "leeward_source", "leeward_sample", "leeward_flags"
RECORDED_AT, CHANGE, OPERATION = "leeward_recorded_at", "leeward_change", "leeward_operation"
CRS, EXACT = "leeward_crs", "leeward_exact"
EXPORTED_COLUMNS = (FID, SOURCE, SAMPLE, FLAGS, RECORDED_AT, CHANGE, OPERATION, EXACT)
OPERATIONS = ("insert", "update", "delete")
SAMPLE_REFUSED = "sample data, not real: it is not imported"
DELETED = "the file says that the item was deleted: it is not imported; delete it here by hand"
KEEPING = ("GPKG", "FlatGeobuf", "Parquet", "GeoJSON")
"""The kinds of files in which a text comes back as it was, blanks at its ends and all."""
GUARDED = "=+\\-@\t\r\n＝＋－＠"
UNIT_WORDS = {"CNY": "元", "persons": "人", "households": "户"}
HeadingKind = Literal["names", "zh", "en"]
HEADINGS: tuple[HeadingKind, ...] = ("names", "zh", "en")


# --- headings ---------------------------------------------------------------------------------------------------------


def headings(definition: Definition, kind: HeadingKind) -> dict[str, str]:
    """The heading of each field; no two are the same, and none is the name of a column of coordinates."""
    if kind == "names":
        return {name: name for name in definition.fields}
    given: dict[str, str] = {}
    taken = {values.plain(word) for words in values.PLACES.values() for word in words}
    for name, field in definition.fields.items():
        heading = _label(field, kind)
        if values.plain(heading) in taken:
            heading = f"{heading} {name}"
        taken.add(values.plain(heading))
        given[name] = heading
    return given


def _label(field: Field, kind: HeadingKind) -> str:
    """The label with its unit in brackets, where the importer knows that."""
    label = field.label.zh if kind == "zh" else field.label.en
    unit = UNIT_WORDS.get(field.unit, field.unit) if kind == "zh" and field.unit else field.unit
    known = values.UNIT_FACTORS.get(field.unit or "", {})
    if unit is None or known.get(values.plain(unit)) != 1:
        return label
    return f"{label}（{unit}）" if kind == "zh" else f"{label} ({unit})"


def places(definition: Definition, kind: HeadingKind, *, degrees: bool = True) -> dict[str, str]:
    """The headings of the columns with coordinates, in files that have no geometries of their own."""
    if not definition.has_geometry:
        return {}
    if definition.dimension != 0:
        return {"wkt": "wkt"}
    if not degrees:
        return {"x": "x", "y": "y"}
    words = {"names": ("lon", "lat"), "zh": ("经度", "纬度"), "en": ("Longitude", "Latitude")}[kind]
    return dict(zip(("x", "y"), words, strict=True))


def is_own(found: Sequence[str]) -> bool:
    """Whether a file with these headings was written by Leeward."""
    return CHANGE in found


def own_fields(definition: Definition, found: Sequence[str]) -> dict[str, str]:
    """Heading to field of a file that Leeward wrote, by the kind of headings that fits most of them.

    A computed field is ``-``: it is left out.
    """
    best: dict[str, str] = {}
    for kind in HEADINGS:
        pairs = {heading: name for name, heading in headings(definition, kind).items() if heading in found}
        if len(pairs) > len(best):
            best = pairs
    return {heading: "-" if definition.fields[name].computed else name for heading, name in best.items()}


# --- cells that a spreadsheet would take for formulas -----------------------------------------------------------------


def guarded(column: pa.StringArray) -> pa.StringArray:
    """Texts that no spreadsheet takes for a formula: those that begin with = + - @ or a tab get an apostrophe."""
    return pc.replace_substring_regex(column, f"^('*[{GUARDED}])", r"'\1")


def unguarded(column: pa.StringArray) -> pa.StringArray:
    """The texts without the apostrophe that ``guarded`` gave them."""
    return pc.replace_substring_regex(column, f"^'('*[{GUARDED}])", r"\1")


def guarded_text(text: str | None) -> str | None:
    """As ``guarded``, of one text."""
    return f"'{text}" if text and text.lstrip("'")[:1] in tuple("=+-@\t\r\n＝＋－＠") else text


# --- words ------------------------------------------------------------------------------------------------------------


def words(catalog: Catalog, definition: Definition, name: str, kind: HeadingKind) -> dict[str, str] | None:
    """Our words (codes, ``true`` and ``false``) to labels that the importer reads back; None: they stay as they are."""
    field = definition.fields[name]
    if kind == "names":
        return None
    if field.type == "boolean":
        return {"true": "是", "false": "否"} if kind == "zh" else None
    if field.codes is None:
        return None
    lookup = values.code_lookup(catalog, definition, field)
    labels = {}
    for code, label in catalog.codes_of(definition, field).items():
        word = label.zh if kind == "zh" else label.en
        read_back = lookup.get(values.plain(word)) == code
        labels[code] = word if read_back and not values.SEPARATORS.search(word) else code
    return labels


# --- profiles ---------------------------------------------------------------------------------------------------------


def exchange_profile(profile_id: str, layer: str) -> Profile:
    """The profile in whose form a layer is to be written.

    Raises
    ------
    InvalidValue
        When there is none of that name for the layer in which files are written.
    """
    usable = [p.id for p in profiles().values() if p.exchange and p.layer == layer]
    if profile_id not in usable:
        raise InvalidValue(
            f"there is no exchange profile {profile_id[:80]!r} for {layer}",
            parameter="profile",
            expected=", ".join(usable) or "none: a profile with `exchange = true` makes one",
        )
    return profiles()[profile_id]


@dataclass(frozen=True)
class Form:
    """A profile as it stands to a layer: what fills each of its columns.

    Parameters
    ----------
    fields : dict of heading to field
    places : dict of heading to ``x``, ``y`` or ``wkt``
    factors : dict of heading to the number that turns the heading's unit into the field's
    """

    fields: dict[str, str]
    places: dict[str, str]
    factors: dict[str, float]


def form(definition: Definition, profile: Profile) -> Form:
    """What fills each column of a profile's file.

    Raises
    ------
    DefinitionError
        When a heading is filled by nothing, or a unit or word is not known.
    """
    operation = profile.operation.heading if profile.operation else None
    aside = {heading: "-" for heading in (*profile.constants, operation) if heading in profile.headings}
    columns = values.columns(definition, profile.headings, profile.columns, aside)
    fields = {profile.headings[number]: name for name, number in columns.fields.items()}
    stands = {profile.headings[number]: place for place, number in columns.places.items()}
    for heading in profile.headings:
        if heading not in fields and heading not in stands and heading not in aside:
            raise _wrong(profile, f"nothing fills the column {heading!r}", "an entry of `columns` or `constants`")
    factors = {heading: columns.factors[name] for heading, name in fields.items() if name in columns.factors}
    return Form(fields, stands, factors | unit_factors(definition, profile, fields))


def unit_factors(definition: Definition, profile: Profile, fields: Mapping[str, str]) -> dict[str, float]:
    """Heading to the number that turns the unit that the profile says it has into the field's."""
    factors = {}
    for heading, unit in profile.units.items():
        if heading not in fields:
            continue
        own = definition.fields[fields[heading]].unit or ""
        known = values.UNIT_FACTORS.get(own, {})
        if values.plain(unit) not in known:
            raise _wrong(profile, f"the unit {unit!r} of {heading!r} is not known", ", ".join(known) or "no unit")
        factors[heading] = known[values.plain(unit)]
    return factors


def _wrong(profile: Profile, message: str, expected: str) -> DefinitionError:
    return DefinitionError(f"{profile.id}.toml: {message}", parameter="profile", expected=expected)


def profile_words(
    catalog: Catalog, definition: Definition, profile: Profile, heading: str, name: str
) -> tuple[dict[str, str] | None, list[str]]:
    """Our words to the other side's for a column, and those of ours for which it has none: these get our label."""
    field = definition.fields[name]
    table: dict[str, str] = {}
    for theirs, ours in profile.values.get(heading, {}).items():
        table.setdefault(ours, theirs)
    if field.codes is None and field.type != "boolean":
        return table or None, []
    labels = words(catalog, definition, name, "zh") or {}
    return {**labels, **table}, [ours for ours in labels if table and ours not in table]


def translated(column: pa.StringArray, table: Mapping[str, str], *, several: bool) -> pa.StringArray:
    """A column whose words are replaced by ours; others stay as they are.

    Parameters
    ----------
    several : bool
        Whether a cell holds several words.
    """

    def ours(text: str) -> str:
        if text in table or not several:
            return table.get(text, text)
        return ",".join(table.get(part.strip(), part) for part in values.SEPARATORS.split(text))

    return values.mapped(column, ours, pa.string()).values


# --- reading what was written -----------------------------------------------------------------------------------------


class OwnFile:
    """What a file of Leeward's own, or in the form of a profile, says of its rows beside their values.

    Parameters
    ----------
    definition : Definition
    found : sequence of str
        The file's headings.
    kind : str
        What the file is, as ``layers.reading`` tells it.
    profile : Profile, optional
        The profile that it is read by.
    """

    def __init__(self, definition: Definition, found: Sequence[str], kind: str, profile: Profile | None) -> None:
        self.definition = definition
        self.numbers = {heading: number for number, heading in reversed(list(enumerate(found)))}
        self.is_own = is_own(found)
        self.is_guarded = self.is_own and kind == "delimited text"
        self.verbatim = self.is_own and kind in KEEPING
        self.fields = own_fields(definition, found) if self.is_own else {}
        self.aside = [name for name in EXPORTED_COLUMNS if name in found]
        self.aside += [heading for heading, name in self.fields.items() if name == "-"]
        self._operation: tuple[str, str] | None = (OPERATION, OPERATIONS[-1]) if OPERATION in found else None
        if profile is not None:
            self.aside += [heading for heading in profile.constants if heading in found]
            if profile.operation is not None and profile.operation.heading in found:
                self.aside.append(profile.operation.heading)
                self._operation = (profile.operation.heading, profile.operation.delete)

    def plain(self, chunk: Chunk) -> Chunk:
        """The chunk without guards, and with moments to the microsecond where its format cannot hold them."""
        if self.is_guarded:
            chunk.columns = [unguarded(column) for column in chunk.columns]
        if self.is_own and EXACT in self.numbers:
            self._make_exact(chunk)
        return chunk

    def _make_exact(self, chunk: Chunk) -> None:
        """Put the exact moments in their places; one that was changed since in the file stays as it was changed."""
        by_field = {name: self.numbers[heading] for heading, name in self.fields.items()}
        notes = chunk.columns[self.numbers[EXACT]]
        changed: dict[int, list[str | None]] = {}
        for position in np.flatnonzero(notes.is_valid().to_numpy(zero_copy_only=False)).tolist():
            for name, exact in _exact_values(notes[position].as_py()).items():
                number = by_field.get(name)
                if number is None:
                    continue
                cells = changed.setdefault(number, chunk.columns[number].to_pylist())
                if _to_milliseconds(cells[position]) in (_to_milliseconds(exact), f"{exact[:19]}.000"):
                    cells[position] = exact
        for number, cells in changed.items():
            chunk.columns[number] = pa.array(cells, pa.string())

    def refused(self, chunk: Chunk) -> dict[int, tuple[str, str]]:
        """Position to heading and reason of the rows that are not to be imported: sample data and deleted items."""
        found: dict[int, tuple[str, str]] = {}
        if self._operation is not None:
            heading, word = self._operation
            for position in values.positions(pc.equal(chunk.columns[self.numbers[heading]], word)):
                found[position] = (heading, DELETED)
        if self.is_own and SAMPLE in self.numbers:
            read = values.mapped(chunk.columns[self.numbers[SAMPLE]], values.truth, pa.bool_())
            for position in values.positions(read.values):
                found[position] = (SAMPLE, SAMPLE_REFUSED)
        if self.is_own and SOURCE in self.numbers:
            for position in values.positions(pc.equal(chunk.columns[self.numbers[SOURCE]], SAMPLE_SOURCE)):
                found[position] = (SOURCE, SAMPLE_REFUSED)
        return found

    def sources(self, chunk: Chunk, fallback: str) -> pa.StringArray | None:
        """The source of each row; None when the file does not tell."""
        if not self.is_own or SOURCE not in self.numbers:
            return None
        told = pc.utf8_trim_whitespace(chunk.columns[self.numbers[SOURCE]])
        return pc.if_else(pc.equal(told, ""), pa.scalar(fallback), told).fill_null(fallback)


def _exact_values(text: str) -> dict[str, str]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return {name: value for name, value in told.items() if isinstance(value, str)} if isinstance(told, dict) else {}


def _to_milliseconds(moment: str | None) -> str:
    """A moment in UTC as text, cut to the millisecond, however many digits it has."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00(?::?00)?)", moment or "")
    return f"{found[1]}T{found[2]}.{found[3] or '':0<3.3}" if found else f"no moment: {moment}"
