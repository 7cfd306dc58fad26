"""Migrations and changed definitions: nothing is lost, and what cannot be done is refused in words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from layers.backup import SCHEMAS
from layers.catalog import Catalog
from layers.database import one, rows, transaction
from layers.errors import DefinitionError, Unavailable
from layers.migrate import migrate
from layers.tables import synchronise

WELLS = """\
title    = { zh = "水井", en = "Wells" }
abstract = { zh = "水井", en = "Wells" }
geometry = "Point"
key      = [["source_id"], ["name", "geom"]]
source   = { name = "Survey", licence = "CC0-1.0", attribution = "Survey" }

[fields]
name    = { type = "text", label = { zh = "名称", en = "Name" }, public = true }
kind    = { type = "code", label = { zh = "类型", en = "Kind" }, codes = "kind", public = true }
depth_m = { type = "integer", label = { zh = "深度", en = "Depth" }, unit = "m", minimum = 0, public = true }
owner   = { type = "text", label = { zh = "所有人", en = "Owner" }, public = true, required = true }

[codes.kind]
dug   = { zh = "挖井", en = "Dug" }
drill = { zh = "钻井", en = "Drilled" }
"""
ROW = (
    "INSERT INTO layers.wells (source, source_id, name, kind, depth_m, owner, geom)"
    " VALUES ('survey', {0}, 'Well {0}', '{1}', 7, 'Li', ST_Point(105, {0}, 4326))"
)


class Wells:
    """A database with one layer whose definition changes."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def define(self, *changes: tuple[str, str]) -> list[str]:
        text = WELLS
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (self.folder / "wells.toml").write_text(text, encoding="utf-8")
        return self.synchronise()

    def synchronise(self) -> list[str]:
        with transaction(self.url) as cursor:
            return synchronise(cursor, Catalog((self.folder,)))

    def refusal(self, *changes: tuple[str, str]) -> str:
        before = self.schema()
        with pytest.raises(DefinitionError) as raised:
            self.define(*changes)
        assert self.schema() == before
        assert self.one("SELECT count(*) FROM layers.wells") == 2
        return str(raised.value)

    def one(self, query: str) -> object:
        with transaction(self.url) as cursor:
            return one(cursor, query)

    def run(self, query: str) -> None:
        with transaction(self.url) as cursor:
            cursor.execute(query)

    def columns(self, schema: str = "released") -> list[str]:
        return [name for name, _ in self.schema(schema)]

    def schema(self, schema: str = "layers") -> list[tuple[str, str]]:
        query = """
            SELECT column_name, udt_name FROM information_schema.columns
            WHERE table_schema = %s AND table_name = 'wells' ORDER BY ordinal_position
        """
        with transaction(self.url) as cursor:
            return rows(cursor, query, (schema,))


@pytest.fixture
def empty_wells(database: str, tmp_path: Path) -> Wells:
    wells = Wells(database, tmp_path)
    wells.define()
    return wells


@pytest.fixture
def wells(empty_wells: Wells) -> Wells:
    empty_wells.run(ROW.format(1, "dug"))
    empty_wells.run(ROW.format(2, "drill"))
    return empty_wells


def test_second_time_changes_nothing(wells: Wells) -> None:
    assert wells.define() == []
    assert wells.define(('en = "Depth"', 'en = "Depth of the well"')) == ["wells"]
    comment = """
        SELECT col_description(attrelid, attnum) FROM pg_attribute
        WHERE attname = 'depth_m' AND attrelid = 'layers.wells'::regclass
    """
    assert wells.one(comment) == "深度 / Depth of the well [m]"


def test_definition_makes_everything(wells: Wells) -> None:
    assert wells.one("SELECT obj_description('layers.wells'::regclass)") == "水井 / Wells: Wells"
    assert wells.one("SELECT count(*) FROM pg_indexes WHERE schemaname = 'layers' AND tablename = 'wells'") == 5
    assert wells.one("SELECT ST_SRID(geom_3857) FROM released.wells LIMIT 1") == 3857
    for row in (ROW.format(3, "bored"), ROW.format(3, "dug").replace("7", "-1"), ROW.format(91, "dug")):
        with pytest.raises(psycopg2.errors.CheckViolation):
            wells.run(row)


def test_new_field_and_new_code(wells: Wells) -> None:
    field = 'wet = { type = "boolean", label = { zh = "有水", en = "Wet" }, public = true }'
    wells.define(("[codes.kind]", field + '\n[codes.kind]\nspring = { zh = "泉", en = "Spring" }'))
    wells.run(ROW.format(3, "spring"))
    assert wells.one("SELECT count(*) FROM released.wells WHERE wet IS NULL") == 3


def test_removed_code(wells: Wells) -> None:
    without = ('drill = { zh = "钻井", en = "Drilled" }\n', "")
    assert "fields.kind: 1 rows hold what would not be allowed, such as drill" in wells.refusal(without)
    wells.run("UPDATE layers.wells SET kind = 'dug'")
    assert wells.define(without) == ["wells"]


def test_tighter_limit(wells: Wells) -> None:
    assert "2 rows hold what would not be allowed, such as 7" in wells.refusal(("minimum = 0", "minimum = 8"))


def test_private_field_leaves_the_view(wells: Wells) -> None:
    assert "owner" in wells.columns()
    wells.define(("public = true, required", "public = false, required"))
    assert "owner" not in wells.columns()
    assert wells.one("SELECT count(owner) FROM layers.wells") == 2


def test_withheld_rows_leave_the_view(wells: Wells) -> None:
    field = 'closed = { type = "boolean", label = { zh = "不公开", en = "Closed" }, public = false }'
    wells.define(("[fields]", 'public = { withheld = "closed" }\n[fields]\n' + field))
    wells.run("UPDATE layers.wells SET closed = true WHERE source_id = '1'")
    assert wells.one("SELECT count(*) FROM released.wells") == 1


def test_removed_field_keeps_its_values(wells: Wells) -> None:
    line = next(line for line in WELLS.splitlines() if line.startswith("owner"))
    wells.define((line, ""))
    assert "owner" not in wells.columns()
    wells.run(ROW.format(3, "dug").replace(", owner", "").replace(", 'Li'", ""))  # it was required
    wells.run("UPDATE layers.wells SET owner = 'Wang' WHERE owner IS NULL")
    wells.define()
    assert wells.one("SELECT string_agg(owner, ' ' ORDER BY fid) FROM released.wells") == "Li Li Wang"


def test_required_field(wells: Wells) -> None:
    wells.run("UPDATE layers.wells SET name = NULL WHERE source_id = '1'")
    change = ('en = "Name" }, public = true', 'en = "Name" }, public = true, required = true')
    assert "fields.name.required: 1 rows have no value" in wells.refusal(change)
    new = 'use = { type = "text", label = { zh = "用", en = "Use" }, public = true, required = true }\n[codes.kind]'
    assert "fields.use.required: 2 rows have no value" in wells.refusal(("[codes.kind]", new))


def test_default_that_goes(wells: Wells) -> None:
    wells.define(("minimum = 0", "minimum = 0, default = 3"))
    wells.run(ROW.format(3, "dug").replace(", depth_m", "").replace(", 7", ""))
    wells.define()
    wells.run(ROW.format(4, "dug").replace(", depth_m", "").replace(", 7", ""))
    assert wells.one("SELECT array_agg(depth_m ORDER BY fid) FROM layers.wells") == [7, 7, 3, None]


def test_wider_type(wells: Wells) -> None:
    wells.define(('"integer"', '"number"'))
    assert wells.one("SELECT sum(depth_m) FROM released.wells") == 14.0


def test_other_type(wells: Wells) -> None:
    date = ('type = "integer", label = { zh = "深度", en = "Depth" }, unit = "m", minimum = 0',
            'type = "date", label = { zh = "深度", en = "Depth" }')  # fmt: skip
    assert "fields.depth_m.type: 2 rows hold a value" in wells.refusal(date)
    wells.run("UPDATE layers.wells SET depth_m = NULL")
    wells.define(date)
    assert ("depth_m", "date") in wells.schema()


def test_changed_key(wells: Wells) -> None:
    before = wells.one("SELECT string_agg(item_key::text, ' ' ORDER BY fid) FROM layers.wells")
    wells.define(('["name", "geom"]', '["name", "kind"]'))
    assert wells.one("SELECT string_agg(item_key::text, ' ' ORDER BY fid) FROM layers.wells") == before  # by source_id
    wells.define(('[["source_id"], ["name", "geom"]]', '[["name"]]'))
    assert wells.one("SELECT string_agg(item_key::text, ' ' ORDER BY fid) FROM layers.wells") != before
    with pytest.raises(psycopg2.errors.UniqueViolation):
        wells.run(ROW.format(3, "dug").replace("Well 3", "Well 1"))


def test_changed_key_that_rows_share(wells: Wells) -> None:
    change = ('[["source_id"], ["name", "geom"]]', '[["owner"]]')
    assert "could not create unique index" in wells.refusal(change)


def test_type_of_a_key_field(wells: Wells) -> None:
    wells.define(('["name", "geom"]', '["depth_m", "geom"]'))
    wells.define(('["name", "geom"]', '["depth_m", "geom"]'), ('"integer"', '"number"'))
    assert wells.one("SELECT count(DISTINCT item_key) FROM layers.wells") == 2


def test_geometry(wells: Wells) -> None:
    assert "its geometry cannot become MultiPolygon" in wells.refusal(('"Point"', '"MultiPolygon"'))
    wells.define(('"Point"', '"Geometry"'))
    assert wells.one("SELECT count(*) FROM released.wells WHERE GeometryType(geom_3857) = 'POINT'") == 2
    wells.run(ROW.format(3, "dug").replace("ST_Point(105, 3, 4326)", "ST_MakeEnvelope(1, 1, 2, 2, 4326)"))
    wells.define(('"Point"', '"none"'), ('["name", "geom"]', '["name"]'))
    assert "geom" not in wells.columns()
    assert wells.one("SELECT count(geom) FROM layers.wells") == 3


def test_geometry_of_an_empty_layer(empty_wells: Wells) -> None:
    empty_wells.define(('"Point"', '"none"'), ('["name", "geom"]', '["name"]'))
    empty_wells.define(('"Point"', '"MultiPolygon"'))
    area = "ST_Multi(ST_MakeEnvelope(1, 1, 2, 2, 4326))"
    empty_wells.run(ROW.format(3, "dug").replace("ST_Point(105, 3, 4326)", area))
    assert empty_wells.one("SELECT count(geom_3857) FROM released.wells") == 1


def test_definition_that_disappears(wells: Wells) -> None:
    (wells.folder / "wells.toml").unlink()
    assert wells.synchronise() == ["wells: has no definition any more; its rows are kept, and served no more"]
    assert wells.synchronise() == []
    assert wells.columns() == []
    assert wells.one("SELECT count(*) FROM layers.wells") == 2
    assert wells.define() == ["wells"]
    assert wells.one("SELECT count(*) FROM released.wells") == 2


def test_pointer_to_another_layer(wells: Wells) -> None:
    field = 'well = { type = "item", layer = "wells", label = { zh = "井", en = "Well" }, public = true }'
    pump = WELLS.replace("[fields]", f"[fields]\n{field}").replace('geometry = "Point"', 'geometry = "none"')
    pump = pump.replace('["name", "geom"]', '["well", "name"]')
    (wells.folder / "pumps.toml").write_text(pump, encoding="utf-8")
    wells.synchronise()
    wells.run("INSERT INTO layers.pumps (source, owner, well) SELECT 's', 'Li', fid FROM layers.wells LIMIT 1")
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        wells.run("DELETE FROM layers.wells")
    (wells.folder / "pumps.toml").write_text(pump.replace('layer = "wells"', 'layer = "pumps"'), encoding="utf-8")
    wells.run("UPDATE layers.pumps SET well = NULL")
    wells.synchronise()
    wells.run("DELETE FROM layers.wells")


def test_names_that_would_meet(wells: Wells) -> None:
    (wells.folder / "wells_geom.toml").write_text(WELLS, encoding="utf-8")
    with pytest.raises(DefinitionError, match="has the name of one of"):
        wells.synchronise()


def test_name_that_is_too_long(wells: Wells) -> None:
    text = WELLS.replace("depth_m = {", f"{'d' * 40} = {{ index = true,")
    (wells.folder / f"{'w' * 40}.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError, match="more than 63 letters"):
        wells.synchronise()


def test_pattern_that_postgresql_cannot_read(wells: Wells) -> None:
    change = ('en = "Name" }, public = true', 'en = "Name" }, public = true, pattern = "("')
    assert "wells.toml: the database refuses the definition: invalid regular expression" in wells.refusal(change)


# --- the whole


@pytest.fixture
def plain_database(cluster: str, worker_id: str) -> Iterator[str]:
    """The URL of an empty database, in which everybody acts as a role that has no rights of its own."""
    name = f"plain_{worker_id}"
    as_administrator(cluster, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    as_administrator(cluster, f"DROP ROLE IF EXISTS {name}")
    as_administrator(cluster, f"CREATE ROLE {name}")
    as_administrator(cluster, f"GRANT {name} TO leeward")
    as_administrator(cluster, f"CREATE DATABASE {name}")
    as_administrator(cluster, f"ALTER DATABASE {name} SET role = {name}")
    yield cluster.replace("/leeward?", f"/{name}?")
    as_administrator(cluster, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    as_administrator(cluster, f"DROP ROLE IF EXISTS {name}")


def as_administrator(url: str, text: str) -> None:
    connection = psycopg2.connect(url.replace("leeward@", "postgres@"), options="-c role=postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(text)
    connection.close()


def test_many_migrate_at_once(cluster: str, new_database: Callable[[], str]) -> None:
    url = new_database()
    with transaction(url) as cursor:
        cursor.execute(f"DROP SCHEMA {', '.join(SCHEMAS)} CASCADE")
    done: list[list[str]] = []
    threads = [threading.Thread(target=lambda: done.append(migrate(url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, done)) == [0, 0, max(map(len, done))]
    assert migrate(url) == []


def test_newer_database(database: str) -> None:
    with transaction(database) as cursor:
        cursor.execute("INSERT INTO leeward.migrations (name) VALUES ('9999_future')")
    with pytest.raises(Unavailable, match="newer than this Leeward: it has 9999_future"):
        migrate(database)


def test_role_without_rights(plain_database: str, template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable) as raised:
        migrate(plain_database)
    assert "GRANT leeward_anonymous, leeward_member, leeward_service TO this user" in (raised.value.expected or "")
    monkeypatch.setattr("layers.migrate.ROLES", {"leeward_absent": ""})
    with pytest.raises(Unavailable) as raised:
        migrate(plain_database)
    assert "CREATE ROLE leeward_absent NOLOGIN" in (raised.value.expected or "")


def test_role_that_may_not_make_schemas(plain_database: str, template: str, worker_id: str) -> None:
    as_administrator(plain_database, f"GRANT leeward_anonymous, leeward_member, leeward_service TO plain_{worker_id}")
    with pytest.raises(Unavailable, match="may not do this: permission denied for database"):
        migrate(plain_database)
    as_administrator(plain_database, f"GRANT CREATE ON DATABASE plain_{worker_id} TO plain_{worker_id}")
    assert "shelters" in migrate(plain_database)


def test_database_without_postgis(plain_database: str) -> None:
    as_administrator(plain_database, "DROP EXTENSION postgis CASCADE")
    with pytest.raises(Unavailable, match="the database has no PostGIS"):
        migrate(plain_database)


@pytest.mark.parametrize(
    ("name", "value", "words"), [("MINIMUM_POSTGIS", (9, 9), "PostGIS 3"), ("MINIMUM_VERSION", 99, "PostgreSQL 1")]
)
def test_too_old(database: str, monkeypatch: pytest.MonkeyPatch, name: str, value: object, words: str) -> None:
    monkeypatch.setattr(f"layers.migrate.{name}", value)
    with pytest.raises(Unavailable, match=f"the database (has|is) {words}"):
        migrate(database)
