"""Export: what comes out is what is there, and import reads it back."""

from __future__ import annotations

import csv
import datetime
import json
import math
import sqlite3
import string
import uuid
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
from layers.database import INTERNAL, RELEASED, Readers, sql, transaction
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
headings  = ["隐患点统一编号", "省份", "隐患点全称", "灾害代码", "适用灾害", "受威胁财产", "受威胁人口(万人)",
             "是否开放", "百度经度", "百度纬度", "查明日期", "核查时间"]
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
    queries = [sql.SQL("DELETE FROM {}").format(sql.Identifier("layers", layer)) for layer in layers]
    query(url, sql.SQL("; ").join([*queries, sql.SQL("DELETE FROM leeward.imports; DELETE FROM leeward.sources")]))


def query(url: str, text: str | sql.Composable) -> list[tuple[Any, ...]]:
    with transaction(url) as cursor:
        cursor.execute(text)
        return list(cursor.fetchall()) if cursor.description else []


def stored(url: str, layer: str) -> list[tuple[Any, ...]]:
    """The rows of a layer: all fields, and the geometry."""
    shape = sql.SQL("NULL" if layer == "all_tables" else "encode(ST_AsBinary(geom), 'hex')")
    shelter = sql.SQL("(SELECT s.source_id FROM layers.shelters AS s WHERE s.fid = shelter)")
    names = [shelter if name == "shelter" else sql.Identifier(name) for name in FIELDS]
    text = sql.SQL("SELECT {}, source, {} FROM {} ORDER BY 1")
    return query(url, text.format(sql.SQL(", ").join(names), shape, sql.Identifier("layers", layer)))


def write(readers: Readers, layer: str, path: Path, progress: Any = None, **options: Any) -> Report:
    return export_file(readers, layer, path, Options(force=True, **options), progress)


def take(url: str, layer: str, path: Path, **options: Any) -> ImportReport:
    """Import a file, all of its rows."""
    report = import_file(url, layer, path, ImportOptions(rejects=path.with_suffix(".rejects.csv"), **options))
    assert report.rejected == 0, report.reasons
    assert not report.unread, report.unread_examples
    return report


def clear(url: str, layer: str) -> None:
    query(url, sql.SQL("DELETE FROM {}").format(sql.Identifier("layers", layer)))


def new_file(folder: Path, form: Any) -> Path:
    """A name that was never used: GDAL remembers what stands in a ZIP of the same name, size and second."""
    return folder / f"{uuid.uuid4().hex}{ENDINGS[form]}"


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
    found = [dict(row) for row in connection.execute(f'SELECT * FROM "{layer}"')]  # noqa: S608  a layer of this file
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
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_nothing_is_lost(url: str, members: Readers, tmp_path: Path, form: str, stem: str, data: st.DataObject) -> None:
    made, layer = data.draw(rows(stem)), f"all_{stem}"
    put_rows(url, layer, made)
    before = stored(url, layer)
    path = new_file(tmp_path, form)
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
    smallest, largest = {"shp": (1e-5, 1e22), "xlsx": (0, 1e308)}.get(form, (0, 2e308))
    kept_whole = {"shp": 2**53, "geojson": 2**53}.get(form, 2**63)
    told: list[Any] = []
    for name, value in zip((*FIELDS, "source", "geom"), row, strict=True):
        if name == "geom" and value is not None:
            value = shapely.normalize(shapely.set_precision(shapely.from_wkb(value), 1e-9))
        elif isinstance(value, str) and name not in ("source", "source_id", "hazard", "word", "shelter"):
            value = kept_text(form, value)
        elif form != "geojson" and value == []:
            value = None
        elif isinstance(value, float):
            value = value if smallest <= abs(value) < largest else "beyond"
        elif isinstance(value, int) and abs(value) >= kept_whole:
            value = "beyond"
        told.append(value)
    return tuple(told)


def kept_text(form: str, text: str) -> str | None:
    if form == "geojson":
        return text
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
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data(), headings=st.sampled_from(["names", "zh", "en"]))
def test_the_rest_comes_back(
    url: str, members: Readers, tmp_path: Path, form: str, stem: str, data: st.DataObject, headings: Any
) -> None:
    made, layer = data.draw(rows(stem)), f"all_{stem}"
    put_rows(url, layer, made)
    path = new_file(tmp_path, form)
    report = write(members, layer, path, headings=headings)
    assert report.rows == len(made)
    if form == "geojson" and not made:  # without features it has no columns
        return
    before = stored(url, layer)
    clear(url, layer)
    options = ImportOptions(rejects=tmp_path / "rejects.csv")
    back = import_file(url, layer, path, options)
    wholes = {"persons", "人数（人）", "People (persons)"}
    numbers = {"worth", "财产（元）", "Property (CNY)"}
    assert set(back.unread) <= {"shp": wholes, "geojson": wholes, "xlsx": numbers}.get(form, set())
    assert back.imported == len(made), (back, made)
    for old, new in zip(before, stored(url, layer), strict=True):
        expected, found = kept(form, old), kept(form, new)
        for name, one, other in zip((*FIELDS, "source", "geom"), expected, found, strict=True):
            if isinstance(one, float) and other is not None:
                other = one if math.isclose(one, other, rel_tol={"shp": 1e-9, "xlsx": 1e-14}.get(form, 0)) else other
            assert one in (other, "beyond"), name


# --- headings, words, and what a spreadsheet would take for a formula


@pytest.mark.parametrize("kind", exchange.HEADINGS)
def test_headings_are_unique_and_lead_back_to_their_fields(url: str, kind: exchange.HeadingKind) -> None:
    for definition in catalog().values():
        given = exchange.headings(definition, kind)
        assert list(given) == list(definition.fields)
        assert len(set(given.values())) == len(given)
        assert not {*given.values()} & {*exchange.places(definition, kind).values()}
        back = exchange.own_fields(definition, list(given.values()))
        assert back == {given[name]: "-" if field.computed else name for name, field in definition.fields.items()}


@pytest.mark.parametrize("kind", ["zh", "en"])
def test_words_for_codes_lead_back_to_the_codes(url: str, kind: exchange.HeadingKind) -> None:
    import pyarrow as pa

    from layers import values

    for definition in catalog().values():
        for name, field in definition.fields.items():
            words = exchange.words(catalog(), definition, name, kind)
            if field.codes is None or words is None:
                continue
            read = values.reader(catalog(), definition, name)(pa.array(list(words.values()), pa.string()))
            expected = [values.array_text([code]) if field.type == "codes" else code for code in words]
            assert read.values.to_pylist() == expected, (definition.id, name)


def test_labels_are_headings_with_their_units(store: str, members: Readers, tmp_path: Path) -> None:
    put(store, "all_points", {"source_id": "1", "at": (105, 27), "hazard": "flood", "open": True, "persons": 3})
    write(members, "all_points", tmp_path / "a.csv", headings="zh")
    (row,) = table(tmp_path / "a.csv")
    assert (row["灾种"], row["开放"], row["人数（人）"]) == ("洪水", "是", "3")
    assert (row["经度"], row["纬度"]) == ("105", "27")
    assert "经度 same" in row  # a field with the label of a column of coordinates
    write(members, "all_points", tmp_path / "a.csv", headings="en")
    (row,) = table(tmp_path / "a.csv")
    assert (row["Hazard"], row["open"] if "open" in row else row["Open"]) == ("Flood", "true")


def test_formulas_are_texts(store: str, members: Readers, tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'=1", "plain", "'quoted'", "＝1"]
    put(
        store, "all_points",
        *({"source_id": f"{n}", "name": text, "at": (-1, 2), "persons": -3} for n, text in enumerate(texts)),
    )  # fmt: skip
    write(members, "all_points", tmp_path / "a.csv")
    rows_there = table(tmp_path / "a.csv")
    assert [row["name"] for row in rows_there] == [
        "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", "''=1", "plain", "'quoted'", "'＝1",
    ]  # fmt: skip
    assert {(row["persons"], row["lon"]) for row in rows_there} == {("-3", "-1")}
    write(members, "all_points", tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").worksheets[0]
    column = next(n for n, cell in enumerate(sheet[1]) if cell.value == "name")
    cells = [row[column] for row in sheet.iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.quotePrefix for cell in cells[:4])
    assert [cell.value for cell in cells[:4]] == texts[:4]
    for name in ("a.csv", "a.xlsx"):
        clear(store, "all_points")
        take(store, "all_points", tmp_path / name)
        assert {name for (name,) in query(store, "SELECT name FROM layers.all_points")} >= {"=1+1", "+1", "'=1"}


def test_guards_are_taken_away_once(url: str) -> None:
    import pyarrow as pa

    texts = [*ODD_TEXTS, None]
    column = pa.array(texts, pa.string())
    assert exchange.unguarded(exchange.guarded(column)).to_pylist() == texts
    assert exchange.guarded(column).to_pylist() == [exchange.guarded_text(text) for text in texts]


# --- what else a file says


def test_private_fields_and_withheld_rows_stay_inside(
    store: str, members: Readers, anyone: Readers, tmp_path: Path
) -> None:
    put(
        store, "all_points",
        {"source_id": "1", "name": "甲", "secret": "geheim", "phone": "13900000000", "at": (105, 27)},
        {"source_id": "2", "name": "乙", "withheld": True, "at": (105, 27)},
    )  # fmt: skip
    for form in FORMATS:
        path = tmp_path / f"a{ENDINGS[form]}"
        report = write(anyone, "all_points", path)
        assert report.rows == 1
        found = reading.table(path)
        assert not {"secret", "phone", "withheld", "note"} & set(found.headings)
        content = path.read_bytes()
        if form in ("shp", "xlsx"):
            with zipfile.ZipFile(path) as archive:
                content = b"".join(archive.read(name) for name in archive.namelist())
        assert b"geheim" not in content
        assert b"13900000000" not in content
        assert write(members, "all_points", path).rows == 2
        assert "secret" in reading.table(path).headings
    assert any("personal" in note and "phone" in note for note in write(members, "all_points", path).notes)


def test_what_points_to_a_withheld_item_points_nowhere(
    store: str, members: Readers, anyone: Readers, tmp_path: Path
) -> None:
    (shelter,) = put(store, "shelters", {"source_id": "s1", "withheld": True, "at": (1, 1)})
    put(store, "all_tables", {"source_id": "1", "shelter": shelter})
    report = write(anyone, "all_tables", tmp_path / "a.csv")
    assert table(tmp_path / "a.csv")[0]["shelter"] == ""
    assert any(loss.startswith("shelter:") for loss in report.losses)
    assert not write(members, "all_tables", tmp_path / "b.gpkg").losses


def test_items_that_no_word_tells_apart_are_counted(store: str, members: Readers, tmp_path: Path) -> None:
    one, two = put(store, "shelters", {"name": "同名", "at": (1, 1)}, {"name": "同名", "at": (1, 2)})
    put(store, "all_tables", {"source_id": "1", "shelter": one}, {"source_id": "2", "shelter": two})
    report = write(members, "all_tables", tmp_path / "a.parquet")
    assert report.losses == ["shelter: the item pointed to has no id or name of its own, or may not be seen: 2"]


@pytest.mark.parametrize("form", FORMATS)
def test_sample_data_say_so_and_are_not_imported(store: str, members: Readers, tmp_path: Path, form: str) -> None:
    put(store, "all_points", {"source_id": "1", "name": "假", "at": (105, 27)}, source="sample")
    put(store, "all_points", {"source_id": "2", "name": "真", "at": (105, 27)})
    path = tmp_path / f"a{ENDINGS[form]}"
    report = write(members, "all_points", path, headings="zh")
    assert (report.rows, report.sample) == (2, 1)
    assert "SAMPLE DATA, NOT REAL: 1 of 2 rows" in report.notes[0]
    assert said(path, "SAMPLE DATA, NOT REAL")
    back = import_file(store, "all_points", path, ImportOptions(rejects=tmp_path / "r.csv"))
    assert (back.unchanged, back.rejected) == (1, 1)
    assert back.reasons == {exchange.SAMPLE_REFUSED.partition(": ")[0]: 1}


def said(path: Path, words: str) -> bool:
    """Whether a file says something, in the place that its format has for it; CSV has none."""
    if path.suffix == ".csv":
        return "leeward_sample" in path.read_text(encoding="utf-8-sig")
    if path.suffix in (".zip", ".xlsx"):
        with zipfile.ZipFile(path) as archive:
            return any(words.encode() in archive.read(name) for name in archive.namelist())
    return words.encode() in path.read_bytes()


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "csv"])
def test_licences_go_along(store: str, members: Readers, tmp_path: Path, form: str) -> None:
    put(store, "all_points", {"source_id": "1", "at": (105, 27)})
    path = tmp_path / f"a{ENDINGS[form]}"
    report = write(members, "all_points", path)
    assert [(s["id"], s["licence"], s["attribution"], s["count"]) for s in report.sources] == [
        ("test", "CC0-1.0", "© test", 1)
    ]
    assert said(path, "CC0-1.0")


def test_rows_keep_their_sources(store: str, members: Readers, tmp_path: Path) -> None:
    put(store, "all_points", {"source_id": "1", "name": "甲", "at": (105, 27)}, source="office")
    put(store, "all_points", {"source_id": "1", "name": "乙", "at": (105, 28)}, source="bureau")
    write(members, "all_points", tmp_path / "a.gpkg")
    report = take(store, "all_points", tmp_path / "a.gpkg", update=True)
    assert report.unchanged == 2
    wipe(store)
    take(store, "all_points", tmp_path / "a.gpkg")
    assert query(store, "SELECT name, source, sample FROM layers.all_points ORDER BY 1") == [
        ("乙", "bureau", False), ("甲", "office", False),
    ]  # fmt: skip
    assert query(store, "SELECT count(*) FROM leeward.sources WHERE id IN ('office', 'bureau')") == [(2,)]


def test_a_registrar_mends_an_export_and_imports_it(store: str, members: Readers, tmp_path: Path) -> None:
    put(store, "all_points", *({"source_id": f"{n}", "name": f"n{n}", "at": (105, 27)} for n in range(3)))
    write(members, "all_points", tmp_path / "a.xlsx", headings="zh")
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    sheet = book.worksheets[0]
    by_heading = {cell.value: cell.column for cell in sheet[1]}
    sheet.cell(2, by_heading["名称"], "改名")
    sheet.cell(3, by_heading["纬度"], 0)
    book.save(tmp_path / "a.xlsx")
    rejects = tmp_path / "rejects.csv"
    options = ImportOptions(update=True, rejects=rejects)
    report = import_file(store, "all_points", tmp_path / "a.xlsx", options)
    assert (report.updated, report.unchanged, report.rejected) == (1, 1, 1)
    text = rejects.read_text(encoding="utf-8-sig").replace(",105,0,", ",105,28,")
    rejects.write_text(text, encoding="utf-8-sig")
    report = import_file(store, "all_points", rejects, ImportOptions(update=True, rejects=tmp_path / "r2.csv"))
    assert (report.updated, report.rejected) == (1, 0)
    assert query(store, "SELECT source_id, name, ST_Y(geom), source FROM layers.all_points ORDER BY 1") == [
        ("0", "改名", 27, "test"), ("1", "n1", 28, "test"), ("2", "n2", 27, "test"),
    ]  # fmt: skip


def test_a_moment_changed_in_the_file_counts(store: str, members: Readers, tmp_path: Path) -> None:
    moment = datetime.datetime(2026, 11, 20, 6, 20, 0, 123456, datetime.UTC)
    put(store, "all_points", *({"source_id": f"{n}", "seen_at": moment, "at": (105, 27)} for n in range(2)))
    write(members, "all_points", tmp_path / "a.gpkg")
    connection = sqlite3.connect(tmp_path / "a.gpkg")
    assert connection.execute("SELECT seen_at, leeward_exact FROM all_points").fetchone() == (
        "2026-11-20T06:20:00.123Z", '{"seen_at": "2026-11-20T06:20:00.123456Z"}',
    )  # fmt: skip
    for function in ("IsEmpty", "MinX", "MaxX", "MinY", "MaxY"):  # which triggers name
        connection.create_function(f"ST_{function}", 1, lambda _: 0)
    connection.execute("UPDATE all_points SET seen_at = '2026-11-20T07:00:00Z' WHERE source_id = '1'")
    connection.commit()
    connection.close()
    take(store, "all_points", tmp_path / "a.gpkg", update=True)
    assert query(store, "SELECT seen_at FROM layers.all_points ORDER BY source_id") == [
        (moment,), (datetime.datetime(2026, 11, 20, 7, tzinfo=datetime.UTC),),
    ]  # fmt: skip


# --- coordinates


@pytest.mark.parametrize("stem", ["points", "lines", "areas", "shapes"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("crs", ["EPSG:4490", "EPSG:4545", "EPSG:3857", "GCJ-02", "BD-09"])
def test_other_crss_lead_back(store: str, members: Readers, tmp_path: Path, form: str, stem: str, crs: str) -> None:
    shapes = {
        "points": ["POINT (105.28633 27.30412)"],
        "lines": ["LINESTRING (105.28 27.3, 105.29 27.31)"],
        "areas": [square(105.28, 27.3, 0.01)],
        "shapes": ["POINT (105.28633 27.30412)", square(105.28, 27.3, 0.01), "MULTILINESTRING ((105 27, 105.1 27.1))"],
    }[stem]
    put(store, f"all_{stem}", *({"source_id": f"{n}", "at": shape} for n, shape in enumerate(shapes)))
    path = tmp_path / f"a{ENDINGS[form]}"
    if form == "geojson":
        with pytest.raises(InvalidValue, match="RFC 7946"):
            write(members, f"all_{stem}", path, crs=crs)
        return
    report = write(members, f"all_{stem}", path, crs=crs)
    assert report.crs == crs
    assert any("hundreds of metres" in note for note in report.notes) == (crs in ("GCJ-02", "BD-09"))
    before = stored(store, f"all_{stem}")
    clear(store, f"all_{stem}")
    assert take(store, f"all_{stem}", path).imported == len(shapes)
    for old, new in zip(before, stored(store, f"all_{stem}"), strict=True):
        assert shapely.from_wkb(old[-1]).hausdorff_distance(shapely.from_wkb(new[-1])) < 1e-8


def test_longitude_comes_first_in_cgcs2000(store: str, members: Readers, tmp_path: Path) -> None:
    put(store, "all_points", {"source_id": "1", "at": (105.25, 27.5)})
    for form in ("gpkg", "parquet", "fgb", "shp"):
        path = tmp_path / f"a{ENDINGS[form]}"
        write(members, "all_points", path, crs="CGCS2000")
        frame = geopandas.read_parquet(path) if form == "parquet" else geopandas.read_file(path)
        assert frame.crs.to_epsg() == 4490
        assert (frame.geometry[0].x, frame.geometry[0].y) == (105.25, 27.5)


def test_offset_coordinates_are_where_the_datum_puts_them(store: str, members: Readers, tmp_path: Path) -> None:
    from layers.coordinates import from_wgs84

    put(store, "all_points", {"source_id": "1", "at": (105.28633, 27.30412)})
    for form in ("gpkg", "parquet", "fgb", "shp"):
        path = tmp_path / f"a{ENDINGS[form]}"
        write(members, "all_points", path, crs="GCJ-02")
        frame = geopandas.read_parquet(path) if form == "parquet" else geopandas.read_file(path)
        assert frame.crs is None
        lon, lat = from_wgs84(105.28633, 27.30412, "GCJ-02")
        assert (frame.geometry[0].x, frame.geometry[0].y) == (float(lon), float(lat))


def test_what_a_crs_does_not_reach_is_refused(store: str, members: Readers, tmp_path: Path) -> None:
    put(store, "all_points", {"source_id": "1", "at": (105, 27)}, {"source_id": "2", "at": (-70, -33)})
    for crs in ("GCJ-02", "BD-09", "EPSG:4214"):
        with pytest.raises(InvalidValue):
            write(members, "all_points", tmp_path / "a.gpkg", crs=crs)
    assert list(tmp_path.iterdir()) == []
    for crs in ("nonsense", "EPSG:1"):
        with pytest.raises(InvalidValue):
            write(members, "all_points", tmp_path / "a.gpkg", crs=crs)


# --- earlier moments, increments


def test_an_earlier_moment(store: str, members: Readers, tmp_path: Path) -> None:
    put(store, "all_points", {"source_id": "1", "name": "旧", "at": (105, 27)}, {"source_id": "2", "at": (105, 27)})
    ((then,),) = query(store, "SELECT max(recorded_at) FROM leeward.changes")
    query(store, "UPDATE layers.all_points SET name = '新' WHERE source_id = '1'")
    query(store, "DELETE FROM layers.all_points WHERE source_id = '2'")
    put(store, "all_points", {"source_id": "3", "at": (105, 27)})
    report = write(members, "all_points", tmp_path / "then.csv", asked=Page(as_of=then))
    assert {(row["source_id"], row["name"]) for row in table(tmp_path / "then.csv")} == {("1", "旧"), ("2", "")}
    assert report.as_of is not None
    assert any("recorded at" in note for note in report.notes)
    write(members, "all_points", tmp_path / "now.csv")
    assert {(row["source_id"], row["name"]) for row in table(tmp_path / "now.csv")} == {("1", "新"), ("3", "")}


def test_increments_tell_what_has_changed(store: str, members: Readers, anyone: Readers, tmp_path: Path) -> None:
    put(store, "all_points", *({"source_id": f"{n}", "name": "旧", "at": (105, 27)} for n in range(5)))
    base = write(members, "all_points", tmp_path / "base.csv").version
    query(store, "UPDATE layers.all_points SET name = '新' WHERE source_id = '1'")
    query(store, "DELETE FROM layers.all_points WHERE source_id = '2'")
    query(store, "UPDATE layers.all_points SET withheld = true WHERE source_id = '3'")
    put(store, "all_points", {"source_id": "6", "at": (105, 27)}, {"source_id": "7", "at": (105, 27)})
    query(store, "DELETE FROM layers.all_points WHERE source_id = '7'")  # nobody was ever handed it
    report = write(members, "all_points", tmp_path / "more.csv", since=base)
    told = {row["source_id"]: (row["leeward_operation"], row["name"]) for row in table(tmp_path / "more.csv")}
    assert told == {"1": ("update", "新"), "2": ("delete", "旧"), "3": ("update", "旧"), "6": ("insert", "")}
    assert (report.rows, report.deleted, report.since) == (4, 1, base)
    assert report.version > base
    public = write(anyone, "all_points", tmp_path / "public.csv", since=base)
    told = {row["source_id"]: row["leeward_operation"] for row in table(tmp_path / "public.csv")}
    assert told == {"1": "update", "2": "delete", "6": "insert"}
    ((hidden,),) = query(store, "SELECT fid FROM layers.all_points WHERE source_id = '3'")
    assert hidden in public.withdrawn
    again = write(members, "all_points", tmp_path / "none.csv", since=report.version)
    assert (again.rows, table(tmp_path / "none.csv")) == (0, [])


@pytest.mark.parametrize("form", FORMATS)
def test_increments_in_every_format(store: str, members: Readers, tmp_path: Path, form: str) -> None:
    put(store, "all_points", *({"source_id": f"{n}", "name": "旧", "at": (105, 27)} for n in range(2)))
    base = write(members, "all_points", tmp_path / "base.csv").version
    query(store, "UPDATE layers.all_points SET name = '新' WHERE source_id = '0'")
    query(store, "DELETE FROM layers.all_points WHERE source_id = '1'")
    path = tmp_path / f"a{ENDINGS[form]}"
    write(members, "all_points", path, since=base)
    report = import_file(store, "all_points", path, ImportOptions(rejects=tmp_path / "r.csv"))
    assert (report.unchanged, report.rejected) == (1, 1)
    assert next(iter(report.reasons)) == exchange.DELETED.partition(": ")[0]


def test_versions_that_are_not_there(store: str, members: Readers, tmp_path: Path) -> None:
    put(store, "all_points", {"source_id": "1", "at": (105, 27)})
    last = write(members, "all_points", tmp_path / "a.csv").version
    for since in (-1, last + 1):
        with pytest.raises(InvalidValue, match="no version"):
            write(members, "all_points", tmp_path / "a.csv", since=since)
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    with pytest.raises(InvalidValue, match="together"):
        write(members, "all_points", tmp_path / "a.csv", since=0, asked=Page(as_of=moment))


def test_filters(store: str, members: Readers, anyone: Readers, tmp_path: Path) -> None:
    rows_put = [{"source_id": f"{n}", "hazard": HAZARDS[n % 2], "at": (105 + n, 27)} for n in range(4)]
    put(store, "all_points", *rows_put)
    path = tmp_path / "a.csv"
    assert write(members, "all_points", path, asked=Page(filters={"hazard": "flood"})).rows == 2
    assert write(members, "all_points", path, asked=Page(bbox=(104, 26, 105.5, 28))).rows == 1
    with pytest.raises(UnknownParameter):
        write(anyone, "all_points", path, asked=Page(filters={"secret": "x"}))
    with pytest.raises(InvalidValue):
        write(anyone, "all_points", path, asked=Page(filters={"hazard": "x"}))


# --- the other side's form


def province_rows(url: str) -> None:
    moment = datetime.datetime(2026, 11, 20, 6, 20, 5, tzinfo=datetime.UTC)
    common = {"remark": "已核", "found_on": datetime.date(2026, 11, 20), "seen_at": moment}
    put(
        url, "all_points",
        {"source_id": "A1", "name": "李家湾, \"滑坡\"\n甲", "hazard": "landslide", "hazards": ["flood", "landslide"],
         "worth": 123456.78, "persons": 132, "open": True, "at": (105.28633, 27.30412), **common},
        {"source_id": "A2", "name": "乙", "hazard": "rockfall", "hazards": ["rockfall"], "worth": 0.07, "persons": 0,
         "open": False, "at": (105.3, 27.4), **common},
        {"source_id": "A3", "name": "丙", "at": (105.4, 27.5), **common},
        {"source_id": "A4", "name": "未核", "at": (105.4, 27.5)},
        source="province",
    )  # fmt: skip


def province_state(url: str) -> list[tuple[Any, ...]]:
    return query(
        url,
        "SELECT source_id, name, hazard, hazards, worth, persons, open, found_on, seen_at, remark, source,"
        " round(ST_X(geom)::numeric, 8), round(ST_Y(geom)::numeric, 8) FROM layers.all_points"
        " WHERE remark = '已核' ORDER BY 1",
    )


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "geojson"])
def test_a_round_trip_in_the_provinces_form(store: str, members: Readers, tmp_path: Path, form: str) -> None:
    province_rows(store)
    path = tmp_path / f"a{ENDINGS[form]}"
    report = write(members, "all_points", path, profile="province")
    assert (report.rows, report.crs) == (3, "BD-09")
    assert any("have only" in loss or "has only those with remark = 已核: 1" in loss for loss in report.losses)
    assert any(loss.startswith("fields that the form does not have: same, secret") for loss in report.losses)
    before = province_state(store)
    wipe(store)
    back = take(store, "all_points", path)
    assert (back.source, back.crs, back.imported) == ("province", "BD-09", 3)
    assert not back.unused
    assert province_state(store) == before


def test_the_provinces_form_itself(store: str, members: Readers, anyone: Readers, tmp_path: Path) -> None:
    from layers.coordinates import from_wgs84

    province_rows(store)
    write(members, "all_points", tmp_path / "a.csv", profile="province")
    first, second, third = table(tmp_path / "a.csv")
    assert list(first) == [*profiles()["province"].headings, "操作"]
    lon, lat = from_wgs84(105.28633, 27.30412, "BD-09")
    assert (float(first.pop("百度经度")), float(first.pop("百度纬度"))) == (float(lon), float(lat))
    assert first == {
        "隐患点统一编号": "A1", "省份": "某某省", "隐患点全称": "李家湾, \"滑坡\"\n甲", "灾害代码": "01",
        "适用灾害": "03、01", "受威胁财产": "12.345678", "受威胁人口(万人)": "0.0132", "是否开放": "Y",
        "查明日期": "2026年11月20日", "核查时间": "2026年11月20日 14:20:05", "操作": "新增",
    }  # fmt: skip
    assert (second["受威胁财产"], second["是否开放"], second["受威胁人口(万人)"]) == ("0.000007", "N", "0") or (
        second["受威胁财产"],
        second["受威胁人口(万人)"],
    ) == ("7e-06", "0")
    assert (third["灾害代码"], third["受威胁财产"], third["是否开放"]) == ("", "", "")


def test_words_that_the_province_does_not_have(store: str, members: Readers, tmp_path: Path) -> None:
    put(
        store,
        "all_points",
        {"source_id": "1", "hazard": "wildfire", "remark": "已核", "at": (105, 27)},
        source="province",
    )
    report = write(members, "all_points", tmp_path / "a.csv", profile="province")
    assert table(tmp_path / "a.csv")[0]["灾害代码"] == "森林火灾"
    assert any(loss.startswith("灾害代码: no words for") for loss in report.losses)
    wipe(store)
    take(store, "all_points", tmp_path / "a.csv")
    assert query(store, "SELECT hazard FROM layers.all_points") == [("wildfire",)]


def test_increments_in_the_provinces_form(store: str, members: Readers, tmp_path: Path) -> None:
    province_rows(store)
    base = write(members, "all_points", tmp_path / "a.csv", profile="province").version
    query(store, "UPDATE layers.all_points SET name = '改' WHERE source_id = 'A1'")
    query(store, "DELETE FROM layers.all_points WHERE source_id = 'A2'")
    put(store, "all_points", {"source_id": "A5", "remark": "已核", "at": (105, 27)}, source="province")
    report = write(members, "all_points", tmp_path / "b.csv", profile="province", since=base)
    told = {row["隐患点统一编号"]: row["操作"] for row in table(tmp_path / "b.csv")}
    assert told == {"A1": "变更", "A2": "注销", "A5": "新增"}
    assert report.deleted == 1
    back = import_file(store, "all_points", tmp_path / "b.csv", ImportOptions(rejects=tmp_path / "r.csv"))
    assert (back.unchanged, back.rejected) == (2, 1)


@pytest.mark.parametrize("profile", ["no such", "nasa_glc"])
def test_profiles_in_which_nothing_is_written(store: str, members: Readers, tmp_path: Path, profile: str) -> None:
    with pytest.raises(InvalidValue, match="no exchange profile") as refused:
        write(members, "all_points", tmp_path / "a.csv", profile=profile)
    assert refused.value.expected == "province"


# --- the file


def test_a_file_that_is_there_is_not_replaced(store: str, members: Readers, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("mine")
    with pytest.raises(InvalidValue, match="is there"):
        export_file(members, "all_points", path)
    assert path.read_text() == "mine"
    export_file(members, "all_points", path, Options(force=True))
    assert path.read_text() != "mine"
    assert [found.name for found in tmp_path.iterdir()] == ["a.csv"]


def test_nothing_is_left_when_writing_fails(
    store: str, members: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "all_points", *({"source_id": f"{n}", "name": "x" * 1000, "at": (105, 27)} for n in range(200)))
    monkeypatch.setattr(copying, "BLOCK_BYTES", 1000)

    def failing(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "guarded", failing)
    path = tmp_path / "a.csv"
    path.write_text("before")
    with pytest.raises(OSError, match="No space"):
        write(members, "all_points", path)
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
    assert write(members, "all_points", tmp_path / "b.gpkg").rows == 200  # the readers serve on


def test_many_blocks(store: str, members: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(writing, "GROUP_ROWS", 50)
    put(store, "all_shapes", *(
        {"source_id": f"{n:03}", "name": f"n{n}", "at": (100 + n / 10, 27) if n % 2 else square(100, n / 10 + 1, 0.1)}
        for n in range(200)
    ))  # fmt: skip
    for form in FORMATS:
        before = stored(store, "all_shapes")
        path = tmp_path / f"a{ENDINGS[form]}"
        shares: list[float] = []
        assert write(members, "all_shapes", path, shares.append).rows == 200
        assert shares == sorted(shares)
        assert (len(shares) > 5, shares[-1]) == (True, 1)
        clear(store, "all_shapes")
        assert take(store, "all_shapes", path).imported == 200
        if form not in ("shp", "geojson"):  # which turn rings
            assert stored(store, "all_shapes") == before
        assert [row[:-1] for row in stored(store, "all_shapes")] == [row[:-1] for row in before]


def test_a_sheet_holds_so_many_rows(
    store: str, members: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "all_points", *({"source_id": f"{n}", "at": (105, 27)} for n in range(3)))
    monkeypatch.setattr(writing, "SHEET_ROWS", 3)
    with pytest.raises(InvalidValue, match="do not fit"):
        write(members, "all_points", tmp_path / "a.xlsx")


def test_shapes_and_texts_too_long_for_a_cell(store: str, members: Readers, tmp_path: Path) -> None:
    line = ", ".join(f"{100 + n / 1e4} 27" for n in range(5000))
    put(store, "all_lines", {"source_id": "1", "name": "x" * 40_000, "at": f"LINESTRING ({line})"})
    report = write(members, "all_lines", tmp_path / "a.xlsx")
    assert any(loss.startswith("texts cut to") for loss in report.losses)
    assert any(loss.startswith("geometries of more than") for loss in report.losses)


def test_days_beyond_the_calendar_are_left_out(store: str, members: Readers, tmp_path: Path) -> None:
    put(store, "all_points", {"source_id": "1", "found_on": "infinity", "seen_at": "-infinity", "at": (105, 27)})
    write(members, "all_points", tmp_path / "a.csv")
    assert table(tmp_path / "a.csv")[0]["found_on"] == ""


def test_names_of_a_shapefile(url: str) -> None:
    names = writing.short_names(["threatened_persons", "threatened_property", "名称名称", "名称名声", "a"])
    assert names == {
        "threatened_persons": "threatened", "threatened_property": "threaten_2", "名称名称": "名称名",
        "名称名声": "名称_2", "a": "a",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "form"), [("a.txt", None), ("a.shp", None), ("a.csv", "dxf")])
def test_formats_that_there_are_none(name: str, form: str | None) -> None:
    with pytest.raises(InvalidValue):
        exporting.format_of(form, Path(name))
    with pytest.raises(InvalidValue):
        exporting.headings_of("fr")


def test_layers_that_there_are_none(members: Readers, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        write(members, "no_such_layer", tmp_path / "a.csv")
