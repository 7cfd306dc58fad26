"""CQL2 text as CQL2 JSON: one pass without a way back, its depth bounded.

The parser at hand (cql2 0.6) goes back at each parenthesis: thirty unfinished ones take hours, and two thousand nested
ones overflow the stack of the process. This one takes time in proportion to the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson
import shapely

from layers.errors import InvalidValue

BYTES_AT_MOST = 8192
DEPTH_AT_MOST = 100
TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?(?![\w"']))
      | (?P<text>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")+")
      | (?P<word>[^\W\d][\w.:]*)
      | (?P<sign><>|!=|<=|>=|[=<>(),+*/%^-])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
GEOMETRIES = (
    "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION",
)  # fmt: skip
FUNCTIONS = {"A_CONTAINEDBY": "a_containedBy"}
RESERVED = ("AND", "OR", "NOT", "LIKE", "BETWEEN", "IN", "IS", "NULL")
Node = Any


def parsed_text(text: str, parameter: str = "filter") -> Node:
    """CQL2 text as the objects of CQL2 JSON.

    Raises
    ------
    InvalidValue
        When it is no CQL2 text, or longer than 8192 bytes, or nested deeper than 100. Arithmetic is not understood.

    References
    ----------
    OGC 21-065r2, Common Query Language (CQL2), annex B.

    Examples
    --------
    >>> parsed_text("name = 'O''Brien' AND NOT beds > 5")
    {'op': 'and', 'args': [{'op': '=', 'args': [{'property': 'name'}, "O'Brien"]}, \
{'op': 'not', 'args': [{'op': '>', 'args': [{'property': 'beds'}, 5]}]}]}
    """
    refuse_large(text, parameter)
    return _Parser(text, parameter).whole()


def parsed_json(text: str, parameter: str = "filter") -> Node:
    """The objects of CQL2 JSON.

    Raises
    ------
    InvalidValue
        When it is no JSON, or longer than 8192 bytes, or nested deeper than 100.
    """
    refuse_large(text, parameter)
    if _brackets(text) > 2 * DEPTH_AT_MOST:
        raise too_deep(parameter)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        words = f"the filter is not JSON: {error}"
        raise InvalidValue(words, parameter=parameter, expected="CQL2 JSON, or filter-lang=cql2-text") from None


def refuse_large(text: str, parameter: str) -> None:
    """Refuse a text that is too long, or holds a NUL character."""
    if len(text) > BYTES_AT_MOST or len(text.encode(errors="replace")) > BYTES_AT_MOST:
        raise InvalidValue("the filter is too long", parameter=parameter, expected=f"{BYTES_AT_MOST} bytes at most")
    if "\0" in text:
        raise InvalidValue("a NUL character is not text", parameter=parameter, expected="none")


def too_deep(parameter: str) -> InvalidValue:
    """The problem of a filter that is nested too deeply."""
    return InvalidValue("the filter is nested too deeply", parameter=parameter, expected=f"{DEPTH_AT_MOST} levels")


def _brackets(text: str) -> int:
    """How many brackets are open at most, outside the strings of a JSON text."""
    depth = deepest = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
        deepest = max(deepest, depth)
    return deepest


@dataclass(frozen=True)
class _Token:
    """A word or sign, its kind, and where it stands; ``upper`` is the word in capitals."""

    kind: str
    text: str
    start: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind in ("word", "sign") else ""


class _Parser:
    """A recursive descent over the tokens, each of which is looked at once."""

    def __init__(self, text: str, parameter: str) -> None:
        self.text = text
        self.parameter = parameter
        self.tokens = self._tokens()
        self.at = 0
        self.depth = 0

    def _tokens(self) -> list[_Token]:
        tokens: list[_Token] = []
        place = 0
        while not tokens or tokens[-1].kind != "end":
            found = TOKEN.match(self.text, place)
            if found is None or found.lastgroup is None:
                raise self._wrong(place, "an expression")
            tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
            place = found.end()
        return tokens

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def whole(self) -> Node:
        node = self._either()
        if self.token.kind != "end":
            raise self._wrong(self.token.start, "AND, OR or the end")
        return node

    def _wrong(self, place: int, wanted: str) -> InvalidValue:
        near = self.text[place : place + 20]
        if near[:1] in ("+", "-", "*", "/", "%", "^") and near:
            wanted += "; arithmetic is not understood"
        words = f"the filter is not CQL2 text: at character {place + 1}, {near!r}" if near else "the filter ends early"
        return InvalidValue(words, parameter=self.parameter, expected=wanted)

    def _take(self, *words: str) -> bool:
        """Go past the next tokens when they are these words."""
        found = self.tokens[self.at : self.at + len(words)]
        if tuple(token.upper for token in found) != words:
            return False
        self.at += len(words)
        return True

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise self._wrong(self.token.start, word)

    def _descend(self) -> None:
        self.depth += 1
        if self.depth > DEPTH_AT_MOST:
            raise too_deep(self.parameter)

    def _either(self) -> Node:
        """Conditions joined by OR, each of conditions joined by AND: in one frame, since it stands in each level."""
        either: list[Node] = []
        while not either or self._take("OR"):
            every: list[Node] = []
            while not every or self._take("AND"):
                every.append(self._negated())
            either.append(_joined("and", every))
        return _joined("or", either)

    def _negated(self) -> Node:
        count = 0
        while self._take("NOT"):
            self._descend()
            count += 1
        node = self._predicate()
        self.depth -= count
        for _ in range(count):
            node = _not(node)
        return node

    def _predicate(self) -> Node:
        left = self._operand()
        sign = self.token.text if self.token.kind == "sign" else ""
        if sign in COMPARISONS:
            self.at += 1
            return {"op": COMPARISONS[sign], "args": [left, self._operand()]}
        if self._take("IS", "NOT", "NULL"):
            return _not({"op": "isNull", "args": [left]})
        if self._take("IS", "NULL"):
            return {"op": "isNull", "args": [left]}
        for word, parse in (("LIKE", self._like), ("BETWEEN", self._between), ("IN", self._in)):
            if self._take("NOT", word):
                return _not(parse(left))
            if self._take(word):
                return parse(left)
        return left

    def _like(self, left: Node) -> Node:
        return {"op": "like", "args": [left, self._operand()]}

    def _between(self, left: Node) -> Node:
        low = self._operand()
        self._need("AND")
        return {"op": "between", "args": [left, low, self._operand()]}

    def _in(self, left: Node) -> Node:
        self._need("(")
        nodes = self._list()
        if not nodes:
            raise self._wrong(self.token.start, "at least one value in the list")
        return {"op": "in", "args": [left, nodes]}

    def _list(self) -> list[Node]:
        """What stands between parentheses, parted by commas; the first of them is behind us."""
        if self._take(")"):
            return []
        self._descend()
        nodes = [self._either()]
        while self._take(","):
            nodes.append(self._either())
        self._need(")")
        self.depth -= 1
        return nodes

    def _operand(self) -> Node:
        token = self.token
        self.at += 1
        if token.kind == "sign" and token.text in "+-" and self.token.kind == "number":
            self.at += 1
            return self._number(f"{token.text}{self.tokens[self.at - 1].text}", token)
        if token.kind == "number":
            return self._number(token.text, token)
        if token.kind == "text":
            return token.text[1:-1].replace("''", "'")
        if token.kind == "quoted":
            return {"property": token.text[1:-1].replace('""', '"')}
        if token.text == "(":
            nodes = self._list()
            return nodes[0] if len(nodes) == 1 else nodes
        if token.kind == "word" and token.upper not in RESERVED:
            return self._named(token)
        raise self._wrong(token.start, "a property, a value, a function or (")

    def _number(self, text: str, token: _Token) -> int | float:
        digits = text.lstrip("+-")
        if len(digits) > 300:
            raise self._wrong(token.start, "a number of fewer digits")
        return int(text) if digits.isdecimal() else float(text)

    def _named(self, token: _Token) -> Node:
        word = token.upper
        if word in ("TRUE", "FALSE"):
            return word == "TRUE"
        if word in GEOMETRIES:
            return self._geometry(token)
        if not self._take("("):
            return {"property": token.text}
        nodes = self._list()
        if word in ("DATE", "TIMESTAMP"):
            if len(nodes) != 1:
                raise self._wrong(token.start, f"{word}('…')")
            return {word.lower(): nodes[0]}
        if word in ("INTERVAL", "BBOX"):
            return {word.lower(): nodes}
        if word.startswith("A_"):  # ('flood') is a list of one here, and not a word in parentheses
            nodes = [[node] if isinstance(node, str) else node for node in nodes]
        return {"op": FUNCTIONS.get(word, token.text.lower()), "args": nodes}

    def _geometry(self, token: _Token) -> Node:
        """A geometry, as GeoJSON, from its well-known text up to the parenthesis that ends it."""
        depth = 0
        while True:
            here = self.token
            self.at += 1
            allowed = here.kind == "number" or here.upper in (*GEOMETRIES, "Z", "(", ")", ",", "-", "+")
            depth += {"(": 1, ")": -1}.get(here.text, 0)
            if not allowed or depth > DEPTH_AT_MOST:
                raise self._wrong(here.start, "a geometry as well-known text")
            if here.text == ")" and depth <= 0:
                break
        try:
            shape = shapely.from_wkt(self.text[token.start : here.start + 1])
        except shapely.errors.ShapelyError:
            raise self._wrong(token.start, "a geometry as well-known text") from None
        return orjson.loads(shapely.to_geojson(shape))


def _joined(word: str, nodes: list[Node]) -> Node:
    return {"op": word, "args": nodes} if len(nodes) > 1 else nodes[0]


def _not(node: Node) -> Node:
    return {"op": "not", "args": [node]}
