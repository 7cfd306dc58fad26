"""Names made searchable: pinyin initials."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=1)
def _initial_of() -> dict[int, str]:
    """Chinese character to the first letter of its commonest reading."""
    from pypinyin.constants import PINYIN_DICT

    table = {}
    for code, readings in PINYIN_DICT.items():
        letter = unicodedata.normalize("NFD", readings[:1])[:1].lower()
        if letter.isascii():
            table[code] = letter
    return table


def initials(name: str | None) -> str | None:
    """A name with each Chinese character replaced by its pinyin initial, in small letters.

    Examples
    --------
    >>> initials("马鞍中学")
    'mazx'
    >>> initials("S307 滑坡")
    's307 hp'
    """
    if not name:
        return None
    return name.lower() if name.isascii() else name.translate(_initial_of()).lower()
