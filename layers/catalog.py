"""The catalog: definitions, code lists, profiles and standards, read from TOML files when first asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path

from pydantic import TypeAdapter

from layers.definition import (
    Codes,
    Computed,
    Definition,
    Field,
    Problem,
    Profile,
    Scalar,
    Standard,
    load,
    read,
    validated,
    wrong,
)
from layers.errors import DefinitionError, NotFound
from layers.positions import Keys
from layers.settings import settings

HERE = Path(__file__).parent


class Catalog(Mapping[str, Definition]):
    """The layer definitions by id, in the order of their files' names."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = folders
        self.codes = {path.stem: _code_list(path) for path in sorted((HERE / "codes").glob("*.toml"))}
        paths = self._paths()
        self._definitions = {stem: load(Definition, path) for stem, path in sorted(paths.items())}
        for definition in self._definitions.values():
            for keys, message in chain(definition.problems(), self._problems(definition)):
                raise wrong(paths[definition.id], keys, message)

    def _paths(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self.folders:
            if not folder.is_dir():
                raise DefinitionError(f"there is no folder {folder}", parameter="LEEWARD_DEFINITIONS")
            for path in sorted(folder.glob("*.toml")):
                if path.stem in found:
                    raise DefinitionError(f"{path}: the layer {path.stem} is already defined in {found[path.stem]}")
                found[path.stem] = path
        return found

    def _problems(self, definition: Definition) -> Iterator[Problem]:
        """What does not fit the code lists and the other layers."""
        keys: Keys
        for name, field in definition.fields.items():
            keys = ("fields", name)
            if field.codes is not None and field.codes not in definition.codes and field.codes not in self.codes:
                yield (*keys, "codes"), f"no code list {field.codes}"
            if field.layer is not None and field.layer not in self._definitions:
                yield (*keys, "layer"), f"no layer {field.layer}"
            elif field.layer is not None and definition.id in self._pointed_to(field.layer, definition.id):
                yield (*keys, "layer"), f"{definition.id} and {field.layer} point at each other"
            for heading, codes in field.flag_columns.items():
                yield from self._value_problems(definition, (*keys, "flag_columns", heading), name, codes)
            if field.default is not None:
                yield from self._value_problems(definition, (*keys, "default"), name, (field.default,))
        if definition.nearest is not None:
            for part, condition in definition.nearest.conditions():
                where = ("nearest", part, "values")
                yield from self._value_problems(definition, where, condition.field, condition.values)
        for number, rule in enumerate(definition.map.rules if definition.map else ()):
            for name, value in rule.when.items():
                yield from self._value_problems(definition, ("map", "rules", str(number), "when", name), name, (value,))
        if (workflow := definition.workflow) is not None:
            for keys, states in workflow.states_named():
                yield from self._value_problems(definition, keys, workflow.state, states)
            for name, value in workflow.when.items():
                yield from self._value_problems(definition, ("workflow", "when", name), name, (value,))
        for number, computed in enumerate(definition.computed):
            yield from self._computed_problems(definition, number, computed)

    def _computed_problems(self, definition: Definition, number: int, computed: Computed) -> Iterator[Problem]:
        keys = ("computed", str(number))
        for name, value in computed.when.items():
            yield from self._value_problems(definition, (*keys, "when", name), name, (value,))
        if not (HERE / "standards" / f"{computed.standard}.toml").is_file():
            yield (*keys, "standard"), f"no standard {computed.standard}"
            return
        measured = standard(computed.standard)
        for name in computed.measures:
            if name not in measured.units:
                yield (*keys, "measures"), f"{name} is no measure of the standard {computed.standard}"
        grades = [threshold.grade for threshold in measured.thresholds]
        yield from self._value_problems(definition, (*keys, "standard"), computed.field, grades)

    def _value_problems(
        self, definition: Definition, keys: Keys, name: str, values: Iterable[Scalar | None]
    ) -> Iterator[Problem]:
        field = definition.fields[name]
        for value in values:
            if field.codes is not None and value is not None and value not in self.codes_of(definition, field):
                yield keys, f"no code {value!r} in the list {field.codes}"

    def _pointed_to(self, layer: str, besides: str) -> set[str]:
        """The layers that a layer points to, straight or through others; not what it says of itself."""
        found: set[str] = set()
        waiting = [layer] if layer != besides else []
        while waiting:
            definition = self._definitions[waiting.pop()]
            pointed = {
                f.layer for f in definition.fields.values() if f.layer in self._definitions and f.layer is not None
            }
            waiting += pointed - found - {definition.id}
            found |= pointed - {definition.id}
        return found

    def __getitem__(self, layer: str) -> Definition:
        try:
            return self._definitions[layer]
        except KeyError:
            raise NotFound(f"there is no layer {layer!r}", parameter="layer", expected=", ".join(self)) from None

    def __contains__(self, layer: object) -> bool:
        return layer in self._definitions

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)

    __hash__ = object.__hash__

    def codes_of(self, definition: Definition, field: Field) -> Codes:
        """The code list of a field: the definition's own, else the shared one of that name."""
        assert field.codes is not None
        return definition.codes.get(field.codes) or self.codes[field.codes]


@lru_cache(maxsize=8)
def _catalog(folders: tuple[Path, ...]) -> Catalog:
    return Catalog(folders)


def catalog() -> Catalog:
    """The catalog of this process: the built-in definitions and those of LEEWARD_DEFINITIONS."""
    return _catalog((HERE / "definitions", *_further()))


def _further() -> list[Path]:
    return [Path(folder) for folder in (settings().definitions or "").split(os.pathsep) if folder]


@lru_cache(maxsize=8)
def _profiles(folders: tuple[Path, ...]) -> dict[str, Profile]:
    paths = [path for folder in folders for path in sorted(folder.glob("*.toml"))]
    return {path.stem: load(Profile, path) for path in paths}


def profiles() -> dict[str, Profile]:
    """The profiles of known files by id: the built-in ones and those in folders ``profiles`` of LEEWARD_DEFINITIONS."""
    return _profiles((HERE / "profiles", *(folder / "profiles" for folder in _further())))


def profile_of(layer: str, headings: list[str]) -> Profile | None:
    """The profile whose headings all stand in the file; the one with most headings where several fit."""
    fitting = [p for p in profiles().values() if p.layer == layer and set(p.headings) <= set(headings)]
    return max(fitting, key=lambda profile: len(profile.headings), default=None)


def _code_list(path: Path) -> Codes:
    return validated(TypeAdapter(Codes), read(path), path)


@lru_cache(maxsize=16)
def standard(standard_id: str) -> Standard:
    """A standard by id."""
    path = HERE / "standards" / f"{standard_id}.toml"
    if not path.is_file():
        raise NotFound(f"there is no standard {standard_id!r}", parameter="standard")
    return load(Standard, path)


def grade(standard_id: str, measures: Mapping[str, float | None]) -> str | None:
    """The grade that a standard gives to the measures; None when every measure is unknown.

    Parameters
    ----------
    standard_id : str
        The standard, the stem of its file.
    measures : mapping of str to float or None
        Measure name to value in the standard's unit; None means unknown.

    Notes
    -----
    The highest grade that any known measure reaches wins ("or" in the regulation).

    Examples
    --------
    >>> grade("geological_danger_grades", {"threatened_persons": 99, "threatened_property_cny": 5_000_000})
    'medium'
    >>> grade("landslide_size_classes", {"volume_m3": 10_000_000})
    'large'
    >>> grade("geological_danger_grades", {"threatened_persons": None}) is None
    True
    """
    known = {name: value for name, value in measures.items() if value is not None}
    if not known:
        return None
    *thresholds, lowest = standard(standard_id).thresholds
    for threshold in thresholds:
        reached = [known[name] >= limit for name, limit in threshold.at_least.items() if name in known]
        reached += [known[name] > limit for name, limit in threshold.more_than.items() if name in known]
        if any(reached):
            return threshold.grade
    return lowest.grade
