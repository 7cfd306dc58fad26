"""The built-in definitions, code lists, profiles and standards."""

from __future__ import annotations

import pytest

from layers.catalog import catalog, grade, profile_of, profiles
from layers.errors import NotFound


def test_every_layer_is_complete() -> None:
    for definition in catalog().values():
        assert definition.title.zh
        assert definition.map is not None or not definition.has_geometry
        assert "stated_at" in definition.fields
        for name, field in definition.fields.items():
            assert field.label.zh, f"{definition.id}.{name}"
            assert field.label.en, f"{definition.id}.{name}"
            assert not (field.personal and field.public)


def test_no_two_fields_of_a_layer_share_an_alias() -> None:
    for definition in catalog().values():
        owner: dict[str, str] = {}
        for name, field in definition.fields.items():
            for alias in {name, *field.aliases}:
                assert owner.setdefault(alias.casefold(), name) == name, f"{definition.id}: {alias}"


def test_profiles_name_layers_and_fields_that_there_are() -> None:
    for profile in profiles().values():
        fields = catalog()[profile.layer].fields
        assert set(profile.set) <= set(fields)
        assert set(profile.columns.values()) <= {*fields, "-", "lon", "lat", "x", "y", "wkt"}, profile.id


def test_unknown_layer() -> None:
    with pytest.raises(NotFound) as raised:
        catalog()["shelter"]
    assert "shelters" in (raised.value.expected or "")


def test_profile_of_headings() -> None:
    profile = next(iter(profiles().values()))
    assert profile_of(profile.layer, [*profile.headings, "more"]) is not None
    assert profile_of(profile.layer, ["nothing"]) is None


def test_grades_by_hand() -> None:
    def graded(persons: float | None, property_cny: float | None = None) -> str | None:
        measures = {"threatened_persons": persons, "threatened_property_cny": property_cny}
        return grade("geological_danger_grades", measures)

    assert [graded(n) for n in (0, 99, 100, 499, 500, 999, 1000)] == [
        "small", "small", "medium", "medium", "large", "large", "very_large",
    ]  # fmt: skip
    assert graded(None) is None
    assert graded(9, 5_000_000) == "medium"
