"""Names made searchable: pinyin initials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LETTERS = (range(0x3000), range(0xFF00, 0xFFF0))


@lru_cache(maxsize=1)
def _initial_of() -> NDArray[np.uint32]:
    """Code point to the code point of its initial: a Chinese character's commonest reading, else the small letter."""
    import unicodedata

    from pypinyin.constants import PINYIN_DICT

    table = np.arange(0x110000, dtype=np.uint32)
    for codes in LETTERS:
        for code in codes:
            small = chr(code).lower()
            if len(small) == 1:
                table[code] = ord(small)
    for code, readings in PINYIN_DICT.items():
        letter = unicodedata.normalize("NFD", readings[:1])[:1].lower()
        if letter.isascii():
            table[code] = ord(letter)
    return table


def initials_of(names: Sequence[str | None]) -> list[str | None]:
    """Names with each Chinese character replaced by its pinyin initial, in small letters; None for none.

    Examples
    --------
    >>> initials_of(["马鞍中学", "S307 滑坡", None])
    ['mazx', 's307 hp', None]
    """
    if not names:
        return []
    # one text for all of them, since a step for each of a million names takes a second
    points = np.frombuffer("\0".join(name or "" for name in names).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    text = _initial_of()[points].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return [initials or None for initials in text.split("\0")]
