"""Pinyin initials."""

from __future__ import annotations

from layers.names import initials_of

EXPECTED = {
    "马鞍中学": "mazx",
    "S307 滑坡": "s307 hp",
    "Café": "café",
    "ABC": "abc",
    "ＡＢ": "ａｂ",
    "🏫": "🏫",
    "": None,
    None: None,
}


def test_initials() -> None:
    assert dict(zip(EXPECTED, initials_of(list(EXPECTED)), strict=True)) == EXPECTED


def test_of_no_names() -> None:
    assert initials_of([]) == []
