"""Pinyin initials."""

from __future__ import annotations

import pytest

from layers.names import initials


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("马鞍中学", "mazx"),
        ("S307 滑坡", "s307 hp"),
        ("Café", "café"),
        ("ABC", "abc"),
        ("", None),
        (None, None),
        ("🏫", "🏫"),
    ],
)
def test_initials(name: str | None, expected: str | None) -> None:
    assert initials(name) == expected
