"""The catalog: definitions, code lists, profiles and standards, read from TOML files when first asked for."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from layers.definition import Code, Codes, Definition, Field, Profile, Standard, load
from layers.errors import DefinitionError, NotFound
from layers.settings import settings

HERE = Path(__file__).parent


class Catalog(Mapping[str, Definition]):
    """The layer definitions by id, in the order of their files' names."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = folders
        self.codes = {path.stem: _code_list(path) for path in sorted((HERE / "codes").glob("*.toml"))}
        self._definitions = self._read()
        for definition in self._definitions.values():
            self._check(definition)

    def _read(self) -> dict[str, Definition]:
        found: dict[str, Path] = {}
        for folder in self.folders:
            for path in sorted(folder.glob("*.toml")):
                if path.stem in found:
                    raise DefinitionError(f"{path}: the layer {path.stem} is already defined in {found[path.stem]}")
                found[path.stem] = path
        return {stem: load(Definition, path) for stem, path in sorted(found.items())}

    def _check(self, definition: Definition) -> None:
        for name, field in definition.fields.items():
            if field.codes is not None and field.codes not in definition.codes and field.codes not in self.codes:
                raise DefinitionError(f"{definition.id}.toml: fields.{name}.codes: no code list {field.codes}")
            if field.layer is not None and field.layer not in self._definitions:
                raise DefinitionError(f"{definition.id}.toml: fields.{name}.layer: no layer {field.layer}")

    def __getitem__(self, layer: str) -> Definition:
        try:
            return self._definitions[layer]
        except KeyError:
            raise NotFound(f"there is no layer {layer!r}", parameter="layer", expected=", ".join(self)) from None

    def __contains__(self, layer: object) -> bool:
        return layer in self._definitions

    def __iter__(self):  # type: ignore[no-untyped-def]
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
    further = [Path(folder) for folder in (settings().definitions or "").split(os.pathsep) if folder]
    return _catalog((HERE / "definitions", *further))


@lru_cache(maxsize=1)
def profiles() -> dict[str, Profile]:
    """The profiles of known files by id."""
    return {path.stem: load(Profile, path) for path in sorted((HERE / "profiles").glob("*.toml"))}


def profile_of(layer: str, headings: list[str]) -> Profile | None:
    """The profile whose headings all stand in the file; the one with most headings where several fit."""
    fitting = [p for p in profiles().values() if p.layer == layer and set(p.headings) <= set(headings)]
    return max(fitting, key=lambda profile: len(profile.headings), default=None)


def _code_list(path: Path) -> Codes:
    try:
        return TypeAdapter(dict[str, Code]).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise DefinitionError(f"{path.name}: {error}") from None


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
    >>> grade("geological_danger_grades", {"threatened_persons": None}) is None
    True
    """
    known = {name: value for name, value in measures.items() if value is not None}
    if not known:
        return None
    for threshold in standard(standard_id).thresholds:
        if not threshold.at_least or any(known.get(name, -1) >= limit for name, limit in threshold.at_least.items()):
            return threshold.grade
    return None
