"""Values of a file as values of a field: numbers, dates, codes, and the columns they come from."""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.catalog import Catalog
from layers.definition import Definition, Field
from layers.errors import InvalidValue

MISSING = {
    "", "-", "--", "—", "/", "n/a", "na", "nan", "null", "none", "unknown", "unk",
    "不详", "未知", "不明", "无数据", "暂无", "待定", "待核实", "待查",
}  # fmt: skip
TRUE = {"是", "有", "yes", "y", "true", "t", "1", "√", "✓", "○", "◯", "对", "已", "有り", "あり"}
FALSE = {"否", "无", "無", "没有", "no", "n", "false", "f", "0", "×", "✗", "未", "無し", "なし"}
SEPARATORS = re.compile(r"[,，、;；/|\n]+")
IN_BRACKETS = re.compile(r"[（(\[【]([^）)\]】]*)[）)\]】]")
NUMBER = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?$")
EASY_NUMBER = r"^[-+]?[0-9]{1,300}(\.[0-9]{1,300})?$"
GROUPED = re.compile(r"^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$")
UNIT_FACTORS: dict[str, dict[str, float]] = {
    "CNY": {"元": 1, "cny": 1, "rmb": 1, "人民币": 1, "千元": 1e3, "万元": 1e4, "百万元": 1e6, "亿元": 1e8},
    "m²": {
        "m²": 1,
        "m2": 1,
        "平方米": 1,
        "㎡": 1,
        "平米": 1,
        "亩": 2000 / 3,
        "公顷": 1e4,
        "ha": 1e4,
        "km²": 1e6,
        "km2": 1e6,
        "平方公里": 1e6,
    },
    "m³": {
        "m³": 1,
        "m3": 1,
        "立方米": 1,
        "方": 1,
        "万立方米": 1e4,
        "万m³": 1e4,
        "万m3": 1e4,
        "万方": 1e4,
        "10⁴m³": 1e4,
        "104m3": 1e4,
    },
    "m": {"m": 1, "米": 1, "km": 1000, "公里": 1000, "千米": 1000, "cm": 0.01, "厘米": 0.01},
    "persons": {"人": 1, "persons": 1, "人数": 1, "名": 1, "万人": 1e4},
    "households": {"户": 1, "households": 1},
    "km/h": {"km/h": 1, "公里/小时": 1, "千米/时": 1},
    "t": {"t": 1, "吨": 1},
}
DATE_FORMS = (
    re.compile(r"^(?P<y>\d{4})[-/.年](?P<m>\d{1,2})[-/.月](?P<d>\d{1,2})日?(?:[T\s]*(?P<time>\d.*))?$"),
    re.compile(r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})$"),
)
REPUBLIC = re.compile(r"^(?:民國|民国)(?P<y>\d{2,3})[年./-](?P<m>\d{1,2})[月./-](?P<d>\d{1,2})日?$")
YEAR_LAST = re.compile(r"^(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y>\d{4})(?:[T\s]+(?P<time>\d.*))?$")
TIME = re.compile(
    r"^(?P<h>\d{1,2})[:时](?P<m>\d{2})分?(?::?(?P<s>\d{2})(?:\.(?P<f>\d+))?秒?)?\s*(?P<half>[AaPp][Mm])?\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?$"
)
LOCAL_ZONE = datetime.timezone(datetime.timedelta(hours=8))
EARLIEST_YEAR = 1000
EXCEL_EPOCH = datetime.datetime(1899, 12, 30)


def plain(text: str) -> str:
    """A word as it is compared: one form of each letter, small, without blanks or marks."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("臺", "台")
    return re.sub(r"[\s_\-:：*]+", "", text)


# --- columns ----------------------------------------------------------------------------------------------------------

PLACES: dict[str, tuple[str, ...]] = {
    "x": (
        "x", "lon", "lng", "long", "longitude", "经度", "經度", "経度", "东经", "X坐标", "X座标", "X座標", "point_x",
        "coord_x", "lon_wgs84", "wgs84_lon", "easting",
    ),
    "y": (
        "y", "lat", "latitude", "纬度", "緯度", "北纬", "Y坐标", "Y座标", "Y座標", "point_y", "coord_y", "lat_wgs84",
        "wgs84_lat", "northing",
    ),
    "wkt": ("wkt", "geom", "geometry", "the_geom", "wkt_geom", "几何", "shape"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Which column of a file fills what.

    Parameters
    ----------
    fields : dict of field name to column number
    places : dict of ``x``, ``y`` or ``wkt`` to column number
    flags : dict of column number to (field name, codes that the column's "yes" stands for)
    factors : dict of field name to the number that turns the heading's unit into the field's
    unused : list of headings that fill nothing
    notes : list of sentences about what was found
    """

    fields: dict[str, int]
    places: dict[str, int]
    flags: dict[int, tuple[str, tuple[str, ...]]]
    factors: dict[str, float]
    unused: list[str]
    notes: list[str]


def columns(
    definition: Definition, headings: Sequence[str], given: Mapping[str, str], own: Mapping[str, str]
) -> Columns:
    """The columns of a file matched to the fields of a layer.

    Parameters
    ----------
    definition : Definition
    headings : sequence of str
        The file's headings.
    given : mapping of heading to field
        From a profile; counts before aliases.
    own : mapping of heading to field
        From the user (``--map``); counts before everything, ``-`` leaves a column out.

    Raises
    ------
    InvalidValue
        When ``own`` names a heading or field that is not there, or fills a field twice.
    """
    fields: dict[str, int] = {}
    places: dict[str, int] = {}
    flags: dict[int, tuple[str, tuple[str, ...]]] = {}
    taken: set[int] = set()

    def take(number: int, target: str) -> None:
        taken.add(number)
        if target in PLACES and target not in definition.fields:
            places.setdefault(target, number)
        else:
            fields.setdefault(target, number)

    by_heading = {heading: number for number, heading in reversed(list(enumerate(headings)))}
    for heading, target in own.items():
        if heading not in by_heading:
            raise InvalidValue(f"the file has no column {heading!r}", parameter="map", expected=", ".join(headings))
        target = {"lon": "x", "lat": "y"}.get(target, target)
        known = target in definition.entered_fields or (definition.has_geometry and target in PLACES)
        if target != "-" and not known:
            raise InvalidValue(
                f"{definition.id} has no field {target!r} to be filled",
                parameter="map",
                expected=", ".join(definition.entered_fields),
            )
        if target in fields or target in places:
            raise InvalidValue(f"two columns for the field {target!r}", parameter="map")
        if target == "-":
            taken.add(by_heading[heading])
        else:
            take(by_heading[heading], target)
    for heading, target in given.items():
        if heading in by_heading and by_heading[heading] not in taken and target not in fields and target not in places:
            take(by_heading[heading], target)
    for name, field in definition.fields.items():
        for heading, codes in field.flag_columns.items():
            if heading in by_heading and by_heading[heading] not in taken and name not in fields:
                taken.add(by_heading[heading])
                flags[by_heading[heading]] = (name, codes)
    by_flags = {name for name, _ in flags.values()}
    every = _words(definition)
    # a field's name and labels count before aliases, a heading with its unit or remark in brackets after one without
    for words, exact in ((_words(definition, aliases=False), True), (every, True), (every, False)):
        for number, heading in enumerate(headings):
            key = plain(heading if exact else IN_BRACKETS.sub("", heading))
            for target in words.get(key, ()):
                if number not in taken and not {target} & (fields.keys() | places.keys() | by_flags):
                    take(number, target)
    factors, notes = _factors(definition, headings, fields)
    unused = [heading for number, heading in enumerate(headings) if number not in taken and heading]
    return Columns(fields, places, flags, factors, unused, notes)


def _words(definition: Definition, *, aliases: bool = True) -> dict[str, list[str]]:
    """Every word under which a field is known, to the fields it may mean, likeliest first."""
    words: dict[str, list[str]] = {}
    for name, field in definition.entered_fields.items():
        for word in (name, field.label.zh, field.label.en, *(field.aliases if aliases else ())):
            targets = words.setdefault(plain(word), [])
            if name not in targets:
                targets.append(name)
    if definition.has_geometry and aliases:
        for place, place_words in PLACES.items():
            for word in place_words:
                words.setdefault(plain(word), []).append(place)
    return words


def _factors(
    definition: Definition, headings: Sequence[str], fields: dict[str, int]
) -> tuple[dict[str, float], list[str]]:
    """What the unit in a heading's brackets makes of its numbers; a unit nobody knows takes the column out."""
    factors: dict[str, float] = {}
    notes: list[str] = []
    for name, number in list(fields.items()):
        unit = definition.fields[name].unit if name in definition.fields else None
        found = IN_BRACKETS.search(headings[number])
        if unit is None or not found or unit not in UNIT_FACTORS:
            continue
        factor = UNIT_FACTORS[unit].get(plain(found[1]))
        if factor is None and re.search(r"[元亩顷方米里吨]|m|km|ha", found[1]):
            notes.append(f"column {headings[number]!r}: unit {found[1]!r} is not known, the column is left out")
            del fields[name]
        elif factor is not None and factor != 1:
            factors[name] = factor
            notes.append(f"column {headings[number]!r}: read in {found[1]}, kept in {unit}")
    return factors, notes


# --- values -----------------------------------------------------------------------------------------------------------


@dataclass
class Values:
    """The values of one column as those of a field.

    Parameters
    ----------
    values : Arrow array, length n
        As PostgreSQL takes them in: texts, numbers, booleans, ISO dates, arrays such as ``{landslide,flood}``; null is
        missing or unreadable.
    unread : dict of position to the text that could not be read
    wrong : dict of position to a reason to reject the row
    """

    values: pa.Array
    unread: dict[int, str] = member(default_factory=dict)
    wrong: dict[int, str] = member(default_factory=dict)


Reader = Callable[[pa.StringArray], Values]


def reader(
    catalog: Catalog,
    definition: Definition,
    name: str,
    factor: float = 1,
    items: Mapping[str, int | None] | None = None,
    whole_column: Callable[[], Iterable[pa.StringArray]] | None = None,
    verbatim: bool = False,
) -> Reader:
    """A function that reads a column of texts for a field.

    Parameters
    ----------
    factor : float
        What numbers are multiplied by.
    items : mapping of str to int or None
        For a field that points to another layer: source id or name to fid, None where several bear it.
    whole_column : callable, optional
        For dates, see ``DateReader``.
    verbatim : bool
        Whether a text is one even when it is empty, and keeps the blanks at its ends.
    """
    field = definition.fields[name]
    match field.type:
        case "text":
            return lambda column: _texts(field, column, verbatim=verbatim)
        case "integer" | "number":
            return lambda column: _numbers(field, column, factor)
        case "boolean":
            return lambda column: mapped(column, truth, pa.bool_())
        case "date":
            return DateReader(with_time=False, whole_column=whole_column)
        case "datetime":
            return DateReader(with_time=True, whole_column=whole_column)
        case "code":
            lookup = code_lookup(catalog, definition, field)
            return lambda column: mapped(column, lambda text: lookup.get(plain(text)), pa.string())
        case "codes":
            lookup = code_lookup(catalog, definition, field)
            return lambda column: _code_lists(column, lookup, verbatim=verbatim)
        case "item":
            assert items is not None
            return lambda column: _items(field, column, items)


def code_lookup(catalog: Catalog, definition: Definition, field: Field) -> dict[str, str]:
    """Every word for a code to the code."""
    lookup: dict[str, str] = {}
    for code, words in catalog.codes_of(definition, field).items():
        for word in (code, words.zh, words.en, re.sub(r"\s*[(（].*$", "", words.en), *words.aliases):
            lookup.setdefault(plain(word), code)
    return lookup


def is_missing(text: str | None) -> bool:
    """Whether a text says that nothing is known."""
    return text is None or not text or text.strip().casefold() in MISSING


def positions(mask: pa.BooleanArray) -> list[int]:
    """Where a mask is true."""
    found: list[int] = np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False)).tolist()
    return found


def array_text(values: Sequence[str]) -> str:
    """A PostgreSQL array of plain words."""
    return "{" + ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values) + "}"


def _texts(field: Field, column: pa.StringArray, *, verbatim: bool) -> Values:
    text = column if verbatim else pc.utf8_trim_whitespace(column)
    if not verbatim:
        text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    read = Values(text)
    for position in positions(pc.match_substring(text, "\x00")):
        read.wrong[position] = "a NUL character in a text"
    if field.pattern:
        off = positions(pc.invert(pc.match_substring_regex(text, field.pattern)))
        read.unread = {position: text[position].as_py() for position in off if not is_missing(text[position].as_py())}
        read.values = _with_nulls(text, off)
    return read


def _with_nulls(array: pa.Array, where: Sequence[int]) -> pa.Array:
    """An array with nulls at some positions."""
    if not len(where):
        return array
    mask = np.zeros(len(array), bool)
    mask[list(where)] = True
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def numbers(
    column: pa.StringArray, read_one: Callable[[str], float | None]
) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Numbers of a column of texts, NaN where there is none, and the texts that could not be read.

    Parameters
    ----------
    read_one : callable
        Reads what is no plain number.
    """
    text = pc.utf8_trim_whitespace(column)
    easy = pc.match_substring_regex(text, EASY_NUMBER).fill_null(False)
    array = pc.cast(pc.if_else(easy, text, pa.scalar(None, pa.string())), pa.float64())
    result = array.to_numpy(zero_copy_only=False).astype(np.float64, copy=True)
    unread = {}
    for position in positions(pc.and_(pc.invert(easy), text.is_valid())):
        one = text[position].as_py()
        number = read_one(one)
        if number is not None:
            result[position] = number
        elif not is_missing(one):
            unread[position] = one
    return result, unread


def _numbers(field: Field, column: pa.StringArray, factor: float) -> Values:
    array, unread = numbers(column, number_of)
    whole = field.type == "integer"
    exact = _exact_integers(column, array) if whole and factor == 1 else {}
    with np.errstate(over="ignore", invalid="ignore"):
        if factor != 1:  # a product of decimal numbers has no more digits than they, but floats have
            array = np.array([float(f"{number:.15g}") for number in array * factor])
        odd = np.isinf(array)
        if whole:
            rounded = np.round(array)
            odd |= (np.abs(array - rounded) > 1e-6) | (np.abs(array) > 2**53)
            odd[list(exact)] = False
            array = rounded
    for position in np.flatnonzero(odd):
        unread[int(position)] = column[int(position)].as_py()
        array[position] = np.nan
    read = Values(pa.nulls(0), unread)
    low = -np.inf if field.minimum is None else field.minimum
    high = np.inf if field.maximum is None else field.maximum
    for position in np.flatnonzero((array < low) | (array > high)):
        read.wrong[int(position)] = f"a number that cannot be: {column[int(position)].as_py()}, not {low:g} to {high:g}"
    missing = np.isnan(array)
    array[missing] = 0
    if whole:
        array[list(exact)] = 0
        integers = array.astype(np.int64)
        integers[list(exact)] = list(exact.values())
    read.values = pa.array(integers if whole else array, mask=missing)
    return read


def _exact_integers(column: pa.StringArray, array: NDArray[np.float64]) -> dict[int, int]:
    """Whole numbers of 64 bits that a float does not hold, by position."""
    found = {}
    for position in np.flatnonzero(np.abs(array) >= 2**53).tolist():
        text = column[position].as_py().strip()
        if re.fullmatch(r"[-+]?[0-9]{1,19}", text) and abs(int(text)) < 2**63:
            found[position] = int(text)
    return found


def number_of(text: str) -> float | None:
    """A number as people write it (``1,844``, ``１２０``, ``120人``, ``1.2万``), or None.

    Examples
    --------
    >>> number_of("1,844"), number_of("1.2万"), number_of("约30"), number_of("3,5")
    (1844.0, 12000.0, None, None)
    """
    plain_text = unicodedata.normalize("NFKC", text).strip().replace(" ", "")
    factor = 1.0
    plain_text = re.sub(r"(人|户|名|元|m²|m2|㎡|平方米|处|km/h)$", "", plain_text)
    if plain_text.endswith("万"):
        plain_text, factor = plain_text[:-1], 1e4
    if GROUPED.match(plain_text):
        plain_text = plain_text.replace(",", "")
    return float(plain_text) * factor if NUMBER.match(plain_text) else None


def mapped(column: pa.StringArray, read_one: Callable[[str], Any], kind: pa.DataType) -> Values:
    """A column whose different texts are each read once.

    Parameters
    ----------
    read_one : callable
        Gives the value of a text; None when it cannot be read; an ``Unread`` when only part of it can.
    kind : Arrow type of the values
    """
    encoded = column.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    results = [read_one(word.strip()) if word is not None and word.strip() else None for word in words]
    odd = {
        number
        for number, word in enumerate(words)
        if not is_missing(word) and (results[number] is None or isinstance(results[number], Unread))
    }
    results = [result.value if isinstance(result, Unread) else result for result in results]
    read = Values(pa.array(results, kind).take(encoded.indices) if words else pa.nulls(len(column), kind))
    if odd:
        where = positions(pc.is_in(encoded.indices, pa.array(sorted(odd), encoded.indices.type)))
        read.unread = {position: column[position].as_py().strip() for position in where}
    return read


@dataclass(frozen=True)
class Unread:
    """A value of which some part could not be read."""

    value: Any


def truth(text: str) -> bool | None:
    """What a word for yes or no says; None when it is neither."""
    word = plain(text)
    return True if word in TRUE else False if word in FALSE else None


def _code_lists(column: pa.StringArray, lookup: Mapping[str, str], *, verbatim: bool) -> Values:
    read = mapped(column, lambda text: _code_list(text, lookup), pa.string())
    if verbatim:
        read.values = pc.if_else(pc.equal(column, ""), pa.scalar("{}"), read.values)
    return read


def _code_list(text: str, lookup: Mapping[str, str]) -> str | Unread | None:
    if text.startswith("["):
        listed = _json_words(text)
        if listed == []:
            return "{}"
        text = text if listed is None else ",".join(listed)
    known = [(part.strip(), lookup.get(plain(part))) for part in SEPARATORS.split(text)]
    codes = [code for part, code in known if code is not None or not is_missing(part)]
    found = list(dict.fromkeys(code for code in codes if code is not None))
    value = array_text(found) if found else None
    return Unread(value) if None in codes else value


def _json_words(text: str) -> list[str] | None:
    """The texts of a list in JSON, which is how vector formats without lists hold one; None when it is none."""
    try:
        listed = json.loads(text)
    except ValueError:
        return None
    return listed if isinstance(listed, list) and all(isinstance(word, str) for word in listed) else None


def _items(field: Field, column: pa.StringArray, items: Mapping[str, int | None]) -> Values:
    read = mapped(column, items.get, pa.int64())
    for position, text in read.unread.items():
        several = text in items
        read.wrong[position] = f"{'several items' if several else 'no item'} of {field.layer} so called: {text!r}"
    read.unread = {}
    return read


class DateReader:
    """Reads dates; the order of 3/4/2020 is settled by the first day over 12 in the whole file.

    Parameters
    ----------
    whole_column : callable, optional
        Gives all of the column, chunk by chunk; asked once, when a chunk holds such dates and none that decides.
    """

    def __init__(self, *, with_time: bool, whole_column: Callable[[], Iterable[pa.StringArray]] | None = None) -> None:
        self.with_time = with_time
        self.whole_column = whole_column
        self.day_first: bool | None = None
        self.ambiguous = False

    def __call__(self, column: pa.StringArray) -> Values:
        if self.day_first is None and not self.ambiguous:
            self._settle(column)
        return mapped(column, self._one, pa.string())

    def _settle(self, column: pa.StringArray) -> None:
        self._look_at(column)
        if self.ambiguous and self.day_first is None and self.whole_column is not None:
            for other in self.whole_column():
                self._look_at(other)
                if self.day_first is not None:
                    break
        if self.day_first is not None:
            self.ambiguous = False

    def _look_at(self, column: pa.StringArray) -> None:
        for text in column.unique().to_pylist():
            found = YEAR_LAST.match(unicodedata.normalize("NFKC", text).strip()) if text else None
            if found:
                first, second = int(found["a"]), int(found["b"])
                self.ambiguous = first != second or self.ambiguous
                if first > 12 or second > 12:
                    self.day_first = first > 12
                    return

    def _one(self, text: str) -> str | None:
        text = unicodedata.normalize("NFKC", text).strip()
        try:
            day, time = self._split(text)
            if day is None or not EARLIEST_YEAR <= day.year < datetime.MAXYEAR:
                return None
            if not self.with_time:
                return day.isoformat()
            moment = _moment(day, time)
            return None if moment is None else moment.isoformat()
        except (ValueError, OverflowError):
            return None

    def _split(self, text: str) -> tuple[datetime.date | None, str | None]:
        for form in DATE_FORMS:
            if found := form.match(text):
                groups = found.groupdict()
                return datetime.date(int(groups["y"]), int(groups["m"]), int(groups["d"])), groups.get("time")
        if found := REPUBLIC.match(text):
            return datetime.date(int(found["y"]) + 1911, int(found["m"]), int(found["d"])), None
        if found := YEAR_LAST.match(text):
            first, second = int(found["a"]), int(found["b"])
            day, month = (first, second) if self.day_first else (second, first)
            return datetime.date(int(found["y"]), month, day), found["time"]
        if re.fullmatch(r"\d{5}(\.\d+)?", text):  # a spreadsheet's serial number of the day
            moment = EXCEL_EPOCH + datetime.timedelta(seconds=round(float(text) * 86400))
            return moment.date(), moment.time().isoformat()
        return None, None


def _moment(day: datetime.date, time: str | None) -> datetime.datetime | None:
    """A moment; without a zone of its own it is in China's time."""
    if not time:
        return datetime.datetime(day.year, day.month, day.day, tzinfo=LOCAL_ZONE)
    found = TIME.match(time.strip())
    if not found:
        return None
    hour = int(found["h"])
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
    zone: datetime.tzinfo = LOCAL_ZONE
    if found["zone"]:
        zone = (
            datetime.datetime.strptime(found["zone"].replace(":", "").replace("Z", "+0000"), "%z").tzinfo or LOCAL_ZONE
        )
    second, microsecond = int(found["s"] or 0), int(f"{found['f'] or '0':0<6.6}")
    return datetime.datetime(day.year, day.month, day.day, hour, int(found["m"]), second, microsecond, tzinfo=zone)
