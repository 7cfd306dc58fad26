"""Export: what comes out is what is there, and import reads it back."""

from __future__ import annotations

import csv
import datetime
import json
import re
import sqlite3
import string
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas
import openpyxl
import pyarrow.parquet
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from layers import copying, exchange, exporting, reading, writing
from layers.catalog import catalog, profiles
from layers.database import INTERNAL, RELEASED, Readers, transaction
from layers.errors import InvalidValue, NotFound, UnknownParameter
from layers.exporting import ENDINGS, FORMATS, Options, Report, export_file
from layers.features import Page
from layers.importing import Options as ImportOptions
from layers.importing import Report as ImportReport
from layers.importing import import_file
from layers.migrate import migrate
from layers.settings import settings
from tests.gis.rows import put, square

LOSSLESS = ("gpkg", "parquet", "fgb")
KINDS = {"points": "Point", "lines": "LineString", "areas": "MultiPolygon", "shapes": "Geometry", "tables": "none"}
DEFINITION = string.Template("""\
title    = { zh = "各种字段 $id", en = "All kinds of fields, $id" }
abstract = { zh = "测试", en = "For tests" }
geometry = "$geometry"
key      = [["source_id"]]
source   = { name = "Tests", licence = "CC0-1.0", attribution = "Tests" }

[fields]
name      = { type = "text", label = { zh = "名称", en = "Name" }, public = true }
remark    = { type = "text", label = { zh = "说明", en = "Remark" }, public = true }
same      = { type = "text", label = { zh = "经度", en = "Longitude" }, public = true }
secret    = { type = "text", label = { zh = "内部", en = "Internal" }, public = false }
phone     = { type = "text", label = { zh = "电话", en = "Phone" }, public = false, personal = true }
persons   = { type = "integer", label = { zh = "人数", en = "People" }, unit = "persons", public = true }
worth     = { type = "number", label = { zh = "财产", en = "Property" }, unit = "CNY", public = true }
open      = { type = "boolean", label = { zh = "开放", en = "Open" }, public = true }
found_on  = { type = "date", label = { zh = "发现日期", en = "Found on" }, public = true }
seen_at   = { type = "datetime", label = { zh = "核实时间", en = "Seen at" }, public = true }
hazard    = { type = "code", codes = "hazard", label = { zh = "灾种", en = "Hazard" }, public = true }
hazards   = { type = "codes", codes = "hazard", label = { zh = "适用灾种", en = "Hazards" }, public = true }
word      = { type = "code", codes = "word", label = { zh = "词", en = "Word" }, public = true }
shelter   = { type = "item", layer = "shelters", label = { zh = "避难场所", en = "Shelter" }, public = true }
withheld  = { type = "boolean", label = { zh = "不公开", en = "Withheld" }, public = false }

[codes.word]
unknown = { zh = "不详", en = "Unknown" }
no      = { zh = "无", en = "None" }
both    = { zh = "水、电", en = "Water, power" }
twin    = { zh = "无", en = "None" }

[public]
withheld = "withheld"
""")
FIELDS = (
    "source_id", "name", "remark", "same", "secret", "phone", "persons", "worth", "open", "found_on", "seen_at",
    "hazard", "hazards", "word", "shelter", "withheld", "stated_at", "note",
)  # fmt: skip
HAZARDS = ("landslide", "flood", "rockfall", "wildfire")
PROFILE = """\
title     = { zh = "省级隐患点交换表", en = "The province's form for danger points" }
layer     = "all_points"
exchange  = true
source_id = "province"
source    = { name = "The province", licence = "Not stated", attribution = "The province" }
crs       = "BD-09"
headings  = ["隐患点统一编号", "省份", "隐患点全称", "灾害代码", "适用灾害", "受威胁财产", "受威胁人口(万人)", "是否开放",
             "百度经度", "百度纬度", "查明日期", "核查时间"]
dates     = "%Y年%m月%d日"
moments   = "%Y年%m月%d日 %H:%M:%S"
units     = { "受威胁财产" = "万元" }
constants = { "省份" = "某某省" }
set       = { remark = "已核" }
operation = { heading = "操作", insert = "新增", update = "变更", delete = "注销" }

[columns]
"隐患点统一编号" = "source_id"
"隐患点全称" = "name"
"灾害代码" = "hazard"
"适用灾害" = "hazards"
"受威胁财产" = "worth"
"受威胁人口(万人)" = "persons"
"是否开放" = "open"
"百度经度" = "x"
"百度纬度" = "y"
"查明日期" = "found_on"
"核查时间" = "seen_at"

[values."灾害代码"]
"01" = "landslide"
"02" = "rockfall"
"03" = "flood"

[values."适用灾害"]
"01" = "landslide"
"02" = "rockfall"
"03" = "flood"

[values."是否开放"]
"Y" = "true"
"N" = "false"
"""


@pytest.fixture(scope="module")
def url(
    new_database: Callable[[], str], drop_database: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A database with a layer of each kind of geometry, with fields of all types, and the province's profile."""
    folder = tmp_path_factory.mktemp("definitions")
    for stem, geometry in KINDS.items():
        text = DEFINITION.substitute(id=stem, geometry=geometry)
        (folder / f"all_{stem}.toml").write_text(text, encoding="utf-8")
    (folder / "profiles").mkdir()
    (folder / "profiles" / "province.toml").write_text(PROFILE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEEWARD_DEFINITIONS", str(folder))
        settings.cache_clear()
        address = new_database()
        migrate(address)
        yield address
        drop_database(address)
    settings.cache_clear()


@pytest.fixture(scope="module")
def members(url: str) -> Iterator[Readers]:
    pool = Readers(url, INTERNAL, size=2)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def anyone(url: str) -> Iterator[Readers]:
    pool = Readers(url, RELEASED, size=2)
    yield pool
    pool.close()


@pytest.fixture
def store(url: str) -> str:
    """The database without rows."""
    wipe(url)
    return url


def wipe(url: str) -> None:
    layers = [*(f"all_{stem}" for stem in KINDS), "shelters"]
    texts = [*(f"DELETE FROM layers.{layer}" for layer in layers), "DELETE FROM leeward.imports"]
    query(url, "; ".join([*texts, "DELETE FROM leeward.sources"]))


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    with transaction(url) as cursor:
        cursor.execute(text)
        return list(cursor.fetchall()) if cursor.description else []


def stored(url: str, layer: str) -> list[tuple[Any, ...]]:
    """The rows of a layer: all fields, and the geometry."""
    shape = "NULL" if layer == "all_tables" else "encode(ST_AsBinary(geom), 'hex')"
    shelter = "(SELECT s.source_id FROM layers.shelters AS s WHERE s.fid = shelter)"
    names = ", ".join(shelter if name == "shelter" else f'"{name}"' for name in FIELDS)
    return query(url, f"SELECT {names}, source, {shape} FROM layers.{layer} ORDER BY 1")


def write(readers: Readers, layer: str, path: Path, progress: Any = None, **options: Any) -> Report:
    return export_file(readers, layer, path, Options(force=True, **options), progress)


def take(url: str, layer: str, path: Path, **options: Any) -> ImportReport:
    """Import a file, all of its rows."""
    report = import_file(url, layer, path, ImportOptions(rejects=path.with_suffix(".rejects.csv"), **options))
    assert report.rejected == 0, report.reasons
    assert not report.unread, report.unread_examples
    return report


def clear(url: str, layer: str) -> None:
    query(url, f"DELETE FROM layers.{layer}")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# --- what is written, read by others


MOMENTS = st.datetimes(datetime.datetime(1000, 1, 2), datetime.datetime(9998, 12, 30), timezones=st.just(datetime.UTC))
ODD_TEXTS = [
    "", "=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=x", "''=x", "'", "a\r\nb", "a\nb", '"', '""', ",", "不详", "null",
    "NaN", "😀", " a ", "\u3000", "2024/05/06", "_x0041_", "#N/A", "TRUE", "1e5", "0012", "＝x", "\\", "{}", "a;b",
]  # fmt: skip
TEXTS = st.none() | st.sampled_from(ODD_TEXTS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20
)  # fmt: skip
LARGEST = 2**63 - 1
INTEGERS = st.none() | st.integers(-LARGEST, LARGEST) | st.sampled_from([0, 2**53, 2**53 + 1, LARGEST, -LARGEST])
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([5e-324, 0.1, 1e300, -0.5])
DEGREES = st.floats(0.001, 80, allow_subnormal=False)


@st.composite
def boxes(draw: Any) -> Any:
    """A square with a hole, or without."""
    west, south, side = draw(DEGREES), draw(DEGREES), draw(st.floats(0.01, 1))
    square = shapely.box(west, south, west + side, south + side)
    return square.difference(shapely.box(west + side / 3, south + side / 3, west + side / 2, south + side / 2)) if (
        draw(st.booleans())
    ) else square  # fmt: skip


POINTS = st.builds(shapely.Point, DEGREES, DEGREES)
LINES = st.lists(st.tuples(DEGREES, DEGREES), min_size=2, max_size=5, unique=True).map(shapely.LineString)
AREAS = boxes().map(lambda box: shapely.MultiPolygon([box])) | boxes().map(
    lambda box: shapely.MultiPolygon([box, shapely.affinity.translate(box, 3, 3)])
)
SHAPES = {
    "points": POINTS,
    "lines": LINES,
    "areas": AREAS,
    "shapes": POINTS | AREAS | LINES.map(lambda line: shapely.MultiLineString([line])),
}


@st.composite
def rows(draw: Any, stem: str) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(0, 4))):
        row = {
            "source_id": f"n{number}",
            **{name: draw(TEXTS) for name in ("name", "remark", "same", "secret", "phone", "note")},
            "persons": draw(INTEGERS),
            "worth": draw(NUMBERS),
            **{name: draw(st.none() | st.booleans()) for name in ("open", "withheld")},
            "found_on": draw(st.none() | st.dates(datetime.date(1000, 1, 1), datetime.date(9998, 12, 30))),
            **{name: draw(st.none() | MOMENTS) for name in ("seen_at", "stated_at")},
            "hazard": draw(st.none() | st.sampled_from(HAZARDS)),
            "hazards": draw(st.none() | st.lists(st.sampled_from(HAZARDS), unique=True)),
            "word": draw(st.sampled_from([None, "unknown", "no", "both", "twin"])),
            "shelter": draw(st.sampled_from([None, "s1", "s2"])),
            "source": draw(st.sampled_from(["test", "other"])),
        }
        if stem in SHAPES:
            row["at"] = draw(SHAPES[stem])
        made.append(row)
    return made


def put_rows(url: str, layer: str, made: list[dict[str, Any]]) -> None:
    wipe(url)
    shelters = put(url, "shelters", {"source_id": "s1", "at": (1, 1)}, {"source_id": "s2", "at": (1, 2)})
    fids = dict(zip(("s1", "s2"), shelters, strict=True))
    whole = [{**row, "shelter": fids.get(row["shelter"])} for row in made]
    for row in whole:
        if "at" in row:
            row["at"] = shapely.to_wkt(row["at"], rounding_precision=-1)
    put(url, layer, *whole)


def read_gpkg(path: Path, layer: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute(f'SELECT * FROM "{layer}"')]
    connection.close()
    for row in found:
        if "geom" in row:
            envelope = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}[row["geom"][3] >> 1 & 7]
            row["geometry"] = shapely.from_wkb(row["geom"][8 + envelope :])
        exact = json.loads(row.get("leeward_exact") or "{}")
        row |= exact
        for name in ("open", "withheld"):
            row[name] = None if row[name] is None else bool(row[name])
    return found


def read_parquet(path: Path, layer: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    for row in found:
        if "geometry" in row:
            row["geometry"] = shapely.from_wkb(row["geometry"])
    return found


def read_fgb(path: Path, layer: str) -> list[dict[str, Any]]:
    with pyogrio.raw.open_arrow(path, use_pyarrow=True, datetime_as_string=True) as (_, reader):
        found: list[dict[str, Any]] = reader.read_all().to_pylist()
    for row in found:
        row["geometry"] = shapely.from_wkb(row.pop("wkb_geometry", None) or None)
        row |= json.loads(row.get("leeward_exact") or "{}")
    return found


def plain(name: str, value: Any) -> Any:
    """A value as all readers give it."""
    if value is None:
        return None
    if name in ("seen_at", "stated_at"):
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(value)
        return moment.astimezone(datetime.UTC)
    if name == "found_on":
        return str(value)[:10]
    return ",".join(value) if isinstance(value, list) else value


@pytest.mark.parametrize("stem", KINDS)
@pytest.mark.parametrize("form", LOSSLESS)
@hypothesis_settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_nothing_is_lost(url: str, members: Readers, tmp_path: Path, form: str, stem: str, data: st.DataObject) -> None:
    made, layer = data.draw(rows(stem)), f"all_{stem}"
    put_rows(url, layer, made)
    before = stored(url, layer)
    path = tmp_path / f"file{ENDINGS[form]}"
    report = write(members, layer, path)
    assert (report.rows, report.losses) == (len(made), [])
    read = {"gpkg": read_gpkg, "parquet": read_parquet, "fgb": read_fgb}[form]
    found = {row["source_id"]: row for row in read(path, layer)} if made else {}
    assert len(found) == len(made)
    for row, (*_, shape) in zip(made, before, strict=True):
        there = found[row["source_id"]]
        assert {n: plain(n, there[n]) for n in FIELDS} == {n: plain(n, row.get(n)) for n in FIELDS}
        assert (there["leeward_source"], bool(there["leeward_sample"])) == (row["source"], False)
        if "at" in row:
            assert shapely.to_wkb(there["geometry"], hex=True).lower() == shape
    clear(url, layer)
    assert take(url, layer, path).imported == len(made)
    assert stored(url, layer) == before


def kept(form: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """What comes back of a row in a format that does not hold everything."""
    values = []
    for name, value in zip((*FIELDS, "source", "geom"), row, strict=True):
        if name == "geom" and value is not None:
            value = shapely.normalize(shapely.from_wkb(value))
        elif isinstance(value, str) and name not in ("source", "source_id", "hazard", "word", "shelter"):
            value = kept_text(form, value)
        elif form != "geojson" and value == []:
            value = None
        elif form == "shp" and isinstance(value, float):
            value = None if abs(value) >= 1e99 else f"{value:.9g}" if abs(value) > 1e-3 else None
        elif form == "shp" and isinstance(value, int) and abs(value) >= 10**15:
            value = "large"
        values.append(value)
    return tuple(values)


def kept_text(form: str, text: str) -> str | None:
    if form == "geojson":
        return text
    if form == "xlsx":
        text = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", text).replace("\r\n", "\n").replace("\r", "\n")
    if form == "shp":
        text = text.encode()[:254].decode("utf-8", "ignore")
    return blank_ends(text) or None


def blank_ends(text: str) -> str:
    import pyarrow as pa
    import pyarrow.compute as pc

    return str(pc.utf8_trim_whitespace(pa.scalar(text)).as_py())


@pytest.mark.parametrize("stem", KINDS)
@pytest.mark.parametrize("form", [form for form in FORMATS if form not in LOSSLESS])
@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data(), headings=st.sampled_from(["names", "zh", "en"]))
def test_the_rest_comes_back(
    url: str, members: Readers, tmp_path: Path, form: str, stem: str, data: st.DataObject, headings: Any
) -> None:
    made, layer = data.draw(rows(stem)), f"all_{stem}"
    put_rows(url, layer, made)
    path = tmp_path / f"file{ENDINGS[form]}"
    report = write(members, layer, path, headings=headings)
    assert report.rows == len(made)
    if form == "geojson" and not made:  # without features it has no columns
        return
    before = stored(url, layer)
    clear(url, layer)
    options = ImportOptions(rejects=tmp_path / "rejects.csv")
    back = import_file(url, layer, path, options)
    if form == "shp":  # numbers that it cannot hold
        assert set(back.unread) <= {"persons", "人数（人）", "People (persons)"}
    else:
        assert not back.unread
    assert back.imported == len(made), back.reasons
    after = stored(url, layer)
    for old, new in zip(before, after, strict=True):
        if form == "shp" and isinstance(old[6], int) and abs(old[6]) >= 10**15:
            old, new = (*old[:6], None, *old[7:]), (*new[:6], None, *new[7:])
        assert kept(form, new) == kept(form, old)
