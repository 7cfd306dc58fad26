"""Where each key of a TOML text stands: for messages that name the line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Keys = tuple[str, ...]
TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[A-Za-z0-9_+:-]+|[\[\]{}=.,\n]",
    re.DOTALL,
)


def line_of(text: str, keys: Keys) -> int:
    """The line, from 1, of a key in a valid TOML text; when it is not there, of the table it should stand in."""
    known = lines(text)
    while keys and keys not in known:
        keys = keys[:-1]
    return known.get(keys, 1)


def lines(text: str) -> dict[Keys, int]:
    """The line of each key, from 1; an entry of an array bears its number, from 0, as a key."""
    return _Scanner(text).found


class _Scanner:
    """One walk over a text that tomllib has read, so that nothing need be checked."""

    def __init__(self, text: str) -> None:
        self.found: dict[Keys, int] = {}
        self.tokens = list(_tokens(text))
        self.at = 0
        self.table: Keys = ()
        self.entries: dict[Keys, int] = {}
        while self.at < len(self.tokens):
            if self.token == "\n":
                self.at += 1
            elif self.token == "[":
                self._header()
            else:
                self._pair(self.table)

    @property
    def token(self) -> str:
        """The token at hand; empty after the last."""
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def _header(self) -> None:
        line = self.tokens[self.at][1]
        self.at += 1
        repeated = self.token == "["
        self.at += repeated
        *above, last = self._keys()
        path: Keys = ()
        for key in above:
            path = (*path, key)
            self.found.setdefault(path, line)
            if path in self.entries:  # a table below an entry of an array: of the last one
                path = (*path, str(self.entries[path]))
        path = (*path, last)
        self.at += 1 + repeated
        if repeated:
            self.found.setdefault(path, line)
            self.entries[path] = self.entries.get(path, -1) + 1
            path = (*path, str(self.entries[path]))
        self.table = path
        self.found.setdefault(path, line)

    def _keys(self) -> Keys:
        keys = []
        while self.token not in ("=", "]", ""):
            if self.token != ".":
                keys.append(_plain(self.token))
            self.at += 1
        return tuple(keys)

    def _pair(self, above: Keys) -> None:
        line = self.tokens[self.at][1]
        for key in self._keys():
            above = (*above, key)
            self.found.setdefault(above, line)
        self.at += 1
        self._value(above)

    def _value(self, path: Keys) -> None:
        if self.token == "{":
            self._members("}", path)
        elif self.token == "[":
            self._members("]", path)
        else:  # a number such as 1.5 is several tokens
            while self.token not in (",", "]", "}", "\n", ""):
                self.at += 1

    def _members(self, end: str, path: Keys) -> None:
        self.at += 1
        count = 0
        while self.token not in (end, ""):
            if self.token in (",", "\n"):
                self.at += 1
            elif end == "}":
                self._pair(path)
            else:
                entry = (*path, str(count))
                self.found[entry] = self.tokens[self.at][1]
                self._value(entry)
                count += 1
        self.at += 1


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in TOKEN.finditer(text):
        if not match[0].startswith("#"):
            yield match[0], line
        line += match[0].count("\n")


def _plain(token: str) -> str:
    return str(tomllib.loads(f"key = {token}")["key"]) if token[0] in "\"'" else token
