"""Definitions: what is wrong with one is said by file, line and key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from layers.catalog import HERE, Catalog
from layers.definition import Definition, Standard, load
from layers.errors import DefinitionError
from layers.positions import Keys, line_of, lines

GOOD = """\
title    = { zh = "水井", en = "Wells" }
abstract = { zh = "水井", en = "Wells" }
geometry = "Point"
key      = [["source_id"], ["name", "geom"]]
source   = { name = "Survey", licence = "CC0-1.0", attribution = "Survey" }
public   = { withheld = "withheld" }

[fields]
name = { type = "text", label = { zh = "名称", en = "Name" }, public = true }
kind = { type = "code", label = { zh = "类型", en = "Kind" }, codes = "kind", public = true, aliases = [
    "类型",
    "kind of well",
] }
depth_m  = { type = "number", label = { zh = "深度", en = "Depth" }, unit = "m", minimum = 0, public = true }
withheld = { type = "boolean", label = { zh = "不公开", en = "Withheld" }, public = false }

[fields.owner]
type     = "text"
label.zh = "所有人"
label.en = "Owner"
public   = false
personal = true

[codes.kind]
dug   = { zh = "挖井", en = "Dug" }
drill = { zh = "钻井", en = "Drilled", aliases = ["机井"] }

[map]
group = "response"
order = 5

[[map.rules]]
when   = { kind = "dug" }
label  = { zh = "挖井", en = "Dug" }
symbol = { shape = "circle", color = "#005350" }

[[map.rules]]
label = { zh = "水井", en = "Well" }
[map.rules.symbol]
shape = "square"
color = "#005350"
"""


def catalog_of(folder: Path, text: str = GOOD, name: str = "wells") -> Catalog:
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return Catalog((HERE / "definitions", folder))


def refusal(folder: Path, text: str, name: str = "wells") -> str:
    with pytest.raises(DefinitionError) as raised:
        catalog_of(folder, text, name)
    return str(raised.value)


def test_good_definition(tmp_path: Path) -> None:
    wells = catalog_of(tmp_path)["wells"]
    assert wells.public_fields == ("name", "kind", "depth_m", "source_id", "stated_at")
    assert wells.map is not None
    assert wells.map.rules[1].symbol.shape == "square"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # misspelt keys, at every level
        ("geometry = ", "geometri = ", "wells.toml:3: geometri: unknown key"),
        ('[fields]\nname = { type = "text"', 'extra = 1\n[fields]\nname = { type = "text"', "wells.toml:8: extra: "),
        ("minimum = 0", "minimun = 0", "wells.toml:14: fields.depth_m.minimun: unknown key"),
        ("personal = true", "personel = true", "wells.toml:22: fields.owner.personel: unknown key"),
        ('label.en = "Owner"', 'label.eng = "Owner"', "wells.toml:20: fields.owner.label.eng: unknown key"),
        ('en = "Drilled", aliases', 'en = "Drilled", alias', "wells.toml:26: codes.kind.drill.alias: unknown key"),
        ("order = 5", "order = 5\nordr = 6", "wells.toml:31: map.ordr: unknown key"),
        ('when   = { kind = "dug" }', 'wen   = { kind = "dug" }', "wells.toml:33: map.rules.0.wen: unknown key"),
        ('shape = "square"', 'shap = "square"', "wells.toml:40: map.rules.1.symbol.shap: unknown key"),
        ('color = "#005350"\n', 'color = "#005350"\ncolour = "#005350"\n', "wells.toml:42: map.rules.1.symbol.colour"),
        ('licence = "CC0-1.0"', 'license = "CC0-1.0"', "wells.toml:5: source.license: unknown key"),
        ('withheld = "withheld" }', 'witheld = "withheld" }', "wells.toml:6: public.witheld: unknown key"),
        # values of another type
        ('unit = "m", minimum = 0', 'unit = "m", minimum = "0"', "wells.toml:14: fields.depth_m.minimum: "),
        ("public = true, aliases", 'public = "yes", aliases', "wells.toml:10: fields.kind.public: "),
        ("order = 5", 'order = "5"', "wells.toml:30: map.order: "),
        ('    "kind of well",', "    7,", "wells.toml:12: fields.kind.aliases.1: "),
        ('type = "number"', 'type = "float"', "wells.toml:14: fields.depth_m.type: "),
        ('shape = "square"', 'shape = "star"', "wells.toml:40: map.rules.1.symbol.shape: "),
        ('color = "#005350" }', 'color = "green" }', "wells.toml:35: map.rules.0.symbol.color: "),
        ('geometry = "Point"', 'geometry = "Dot"', "wells.toml:3: geometry: "),
        ('title    = { zh = "水井", en = "Wells" }', 'title = "Wells"', "wells.toml:1: title: "),
        ('key      = [["source_id"], ["name", "geom"]]', 'key = "source_id"', "wells.toml:4: key: "),
        ('label = { zh = "水井", en = "Well" }', 'label = { zh = "水井" }', "wells.toml:38: map.rules.1.label.en: "),
        # what does not fit together
        ("public   = false\npersonal", "public   = true\npersonal", "wells.toml:17: fields.owner: a personal"),
        ('codes = "kind"', 'codes = "kinds"', "wells.toml:10: fields.kind.codes: no code list kinds"),
        ('kind = "dug"', 'kind = "dag"', "wells.toml:33: map.rules.0.when.kind: no code 'dag'"),
        ('when   = { kind = "dug" }', 'when   = { knd = "dug" }', "wells.toml:33: map.rules.0.when.knd: no field knd"),
        ("name = { type", "nome = { type", "wells.toml:4: key.1: no field name"),
        ("withheld = { type", "witheld = { type", "wells.toml:6: public.withheld: no field withheld"),
        ("depth_m  = {", "geom  = {", "wells.toml:14: fields.geom: this name is kept"),
        ("depth_m  = {", "xmin  = {", "wells.toml:14: fields.xmin: this name is kept"),
        ("depth_m  = {", '"x\\"; DROP TABLE y; --"  = {', "wells.toml:14: fields.x"),
        ("depth_m  = {", f"{'d' * 49}  = {{", f"wells.toml:14: fields.{'d' * 49}: "),
        ('["name", "geom"]]', '["name", "gom"]]', "wells.toml:4: key.1: no field gom"),
        ('["name", "geom"]]', "[]]", "wells.toml:4: key: at least one"),
        ('geometry = "Point"', 'geometry = "none"', "wells.toml:28: map: a layer without geometry has none"),
        ('type = "number"', 'type = "text"', "wells.toml:14: fields.depth_m: `minimum`"),
        ('minimum = 0, public = true', 'default = "deep", public = true', "wells.toml:14: fields.depth_m: `default`"),
        ('codes = "kind", public = true', 'codes = "kind", public = true, default = "x"', "kind.default: no code"),
        ('minimum = 0, public = true', 'layer = "shelters", public = true', "wells.toml:14: fields.depth_m: `layer`"),
        ('group = "response"', 'group = "response"\nlabel_field = "owner"', "wells.toml:30: map.label_field: owner"),
        ('public   = {', 'time = { start = "name" }\npublic   = {', "wells.toml:6: time.start: name is not of type"),
        ('public   = {', 'time = { start = "dug_on" }\npublic   = {', "wells.toml:6: time.start: no field dug_on"),
        ('public   = {', 'time = { start = "owner" }\npublic   = {', "wells.toml:6: time.start: owner is drawn, "),
        ('public   = {', 'time = { from = "name" }\npublic   = {', "wells.toml:6: time.from: unknown key"),
        # not TOML at all
        ("order = 5", "order = 5\nrules = []", "wells.toml: not valid TOML: "),
        ("order = 5", "order = ", "wells.toml: not valid TOML: "),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert GOOD.count(old) >= 1
    assert words in refusal(tmp_path, new.join(GOOD.rsplit(old, 1)))


def test_inline_rules_are_counted(tmp_path: Path) -> None:
    inline = (
        GOOD[: GOOD.index("[[map.rules]]")]
        + """rules = [
  { label = { zh = "a", en = "a" }, symbol = { shape = "circle", color = "#005350" } },
  { label = { zh = "b", en = "b" }, symbol = { shape = "circle", colr = "#005350" } },
]
"""
    )
    assert "wells.toml:34: map.rules.1.symbol.colr: unknown key" in refusal(tmp_path, inline)


def test_id_in_the_file(tmp_path: Path) -> None:
    assert "wells.toml:1: id: the file's name is the id" in refusal(tmp_path, 'id = "wells"\n' + GOOD)


@pytest.mark.parametrize("name", ['x"; DROP TABLE y; --', "Wells", "1st", "sources", "a" * 49, "井"])
def test_file_names_that_are_no_ids(tmp_path: Path, name: str) -> None:
    assert f"{name}.toml:1: id: " in refusal(tmp_path, GOOD, name)


def test_duplicate_id(tmp_path: Path) -> None:
    assert "the layer shelters is already defined in" in refusal(tmp_path, GOOD, "shelters")


def test_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "wells.toml").write_bytes(GOOD.encode("gb18030"))
    with pytest.raises(DefinitionError, match=r"wells.toml: not UTF-8"):
        Catalog((tmp_path,))


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="there is no folder"):
        Catalog((tmp_path / "absent",))


def test_layers_that_point_at_each_other(tmp_path: Path) -> None:
    def pointing(at: str) -> str:
        field = f'other = {{ type = "item", layer = "{at}", label = {{ zh = "甲", en = "Other" }}, public = true }}\n'
        return GOOD.replace("[fields]\n", "[fields]\n" + field)

    (tmp_path / "a.toml").write_text(pointing("b"))
    (tmp_path / "b.toml").write_text(pointing("c"))
    (tmp_path / "c.toml").write_text(pointing("a"))
    with pytest.raises(DefinitionError, match=r"a.toml:9: fields.other.layer: a and b point at each other"):
        Catalog((tmp_path,))
    (tmp_path / "c.toml").write_text(pointing("c"))  # at its own kind: a village in a county
    assert len(Catalog((tmp_path,))) == 3


def test_standard_with_a_misspelt_key(tmp_path: Path) -> None:
    text = (HERE / "standards" / "geological_danger_grades.toml").read_text(encoding="utf-8")
    path = tmp_path / "grades.toml"
    path.write_text(text.replace("clause", "claus", 1), encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"grades.toml:\d+: thresholds.0.claus: unknown key"):
        load(Standard, path)


def paths(value: object, above: Keys = ()) -> Iterator[Keys]:
    if above:
        yield above
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield from paths(part, (*above, str(key)))


@pytest.mark.parametrize("path", sorted(HERE.rglob("*.toml")), ids=lambda path: path.stem)
def test_every_key_of_every_file_has_a_line(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = lines(text)
    assert set(found) == set(paths(tomllib.loads(text)))
    rows = text.split("\n")
    for keys, line in found.items():
        assert keys[-1].isdigit() or keys[-1] in rows[line - 1]


def test_lines_of_awkward_toml() -> None:
    text = '''a."b.c" = 1.5 # d = 2
s = """
x = 1
"""
t = 'y = "]"'
[ u . 'v w' ]
n = -1_000e3
w = [ [1,
 2], {k = "}", l.m = 1979-05-27T07:32:00Z} ]
[[u.z]]
[[u.z]]
o = 1
[u.z.p]
q = true
'''
    found = lines(text)
    assert set(found) == set(paths(tomllib.loads(text)))
    assert found[("a", "b.c")] == 1
    assert found[("t",)] == 5
    assert found[("u", "v w", "w", "0", "1")] == 9
    assert found[("u", "v w", "w", "1", "l", "m")] == 9
    assert found[("u", "z", "1", "o")] == 12
    assert line_of(text, ("u", "z", "1", "p", "absent", "deeper")) == 13


def test_definitions_are_frozen() -> None:
    shelters = load(Definition, HERE / "definitions" / "shelters.toml")
    with pytest.raises(ValueError, match="frozen"):
        shelters.geometry = "none"  # type: ignore[misc]  # that it is frozen is the test
