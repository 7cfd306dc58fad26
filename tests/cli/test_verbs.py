"""Every verb: exit codes, machine-readable output, and one line instead of a traceback."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
from click.testing import Result

Run = Callable[..., Result]
ROWS = "名称,经度,纬度,可容纳人数\n东河中学,105.1,27.2,100\n西山小学,105.2,27.3,200\n"


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    path = tmp_path / "shelters.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("layers", "absent"),
        ("template", "absent"),
        ("import", "absent", "shelters.csv"),
        ("import", "shelters", "absent.csv"),
        ("import", "shelters", "shelters.csv", "--area", "nowhere"),
        ("import", "shelters", "shelters.csv", "--area", "1,2,x,4"),
        ("import", "shelters", "shelters.csv", "--map", "名称"),
        ("import", "shelters", "shelters.csv", "--map", "名称=absent"),
        ("import", "shelters", "shelters.csv", "--crs", "EPSG:999999"),
        ("import", "shelters", "shelters.csv", "--on-conflict", "fight"),
        ("import-osm", "absent.osm.pbf"),
        ("import-raster", "elevation", "absent.tif"),
        ("import-raster", "elevation", "shelters.csv"),
        ("nearest", "500", "27"),
        ("nearest", "105", "27", "--by", "air"),
        ("nearest", "105", "27", "--layers", "absent"),
        ("nearest", "105", "27", "--bogus"),
        ("nearest", "105"),
        ("nearest", "a", "b"),
        ("demo", "--scale", "0"),
        ("db", "start"),
        ("db", "restore", "absent.dump"),
        ("db", "restore", "shelters.csv"),
    ],
)
def test_wrong_usage(run: Run, rows_file: Path, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.exit_code == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr


@pytest.mark.parametrize("name", ["LEEWARD_PORT", "LEEWARD_WORKERS"])
def test_unreadable_settings(run: Run, name: str) -> None:
    done = run("serve", **{name: "many"})
    assert done.exit_code == 2
    assert done.stderr.startswith(f"leeward: {name}: 'many' will not do")


def test_wrong_definition(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wells.toml").write_text('titel = "x"\n')
    done = run("layers", LEEWARD_DEFINITIONS=str(tmp_path))
    assert done.exit_code == 2
    assert "wells.toml:1: titel: unknown key" in done.stderr


def test_place_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    done = run("template", "shelters", str(tmp_path / "absent" / "x.xlsx"))
    assert done.exit_code == 1
    assert "No such file or directory" in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:s3cr%40t@127.0.0.1:1/x",
        "postgresql://u:s3cr@t@127.0.0.1:1/x",
        "postgresql://u:s3cr/t@127.0.0.1:1/x",
        "postgresql://u:s3cr#t@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?user=u&password=s3cr",
        "host=127.0.0.1 port=1 password=s3cr",
        "postgresql://u:s3cr@127.0.0.1:1/x?nonsense=1",
        "s3cr",
    ],
)
def test_database_away_without_its_password(run: Run, url: str) -> None:
    done = run("db", "migrate", LEEWARD_DATABASE_URL=url)
    assert done.exit_code in (1, 2)
    assert "s3cr" not in done.stderr + done.stdout
    assert done.stderr.startswith("leeward: ")


def test_json(run: Run, rows_file: Path) -> None:
    assert {"id", "title", "geometry"} == set(json.loads(run("layers", "--json").stdout)[0])
    assert json.loads(run("layers", "shelters", "--json").stdout)["geometry"] == "Point"
    assert json.loads(run("import", "shelters", str(rows_file), "--json").stdout)["imported"] == 2
    answer = json.loads(run("nearest", "105.1", "27.2", "--json").stdout)
    assert [f["properties"]["rank"] for f in answer["features"]] == [1, 2]
    assert json.loads(run("db", "migrate", "--json").stdout) == {"done": []}
    assert json.loads(run("demo", "--clear", "--json").stdout) == {}
    state = json.loads(run("check", "--json").stdout)
    assert state["layers"]["shelters"] == {"rows": 2, "sample": 0}


def test_text(run: Run, rows_file: Path) -> None:
    assert "shelters" in run("layers").stdout
    assert "capacity_persons" in run("layers", "shelters").stdout
    done = run("import", "shelters", str(rows_file))
    assert done.stdout == "read 2, imported 2, updated 0, unchanged 0, rejected 0\n"
    assert "\x1b" not in done.stderr  # no progress bar: this is no terminal
    assert "东河中学" in run("nearest", "105.1", "27.2").stdout


def test_the_log_says_who_wrote(run: Run, rows_file: Path, database: str) -> None:
    run("import", "shelters", str(rows_file), "--reason", "spring survey")
    connection = psycopg2.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT author, reason FROM leeward.changes")
        assert cursor.fetchall() == [(f"cli: {getpass.getuser()}", "spring survey")]
        cursor.execute("SELECT author FROM leeward.imports")
        assert cursor.fetchall() == [(f"cli: {getpass.getuser()}",)]
    connection.close()


def test_negative_coordinates(run: Run, tmp_path: Path) -> None:
    (tmp_path / "west.csv").write_text("name,lon,lat\nWest,-105.2,-27.3\n")
    run("import", "shelters", "west.csv")
    answer = json.loads(run("nearest", "-105.2", "-27.3", "--k", "1", "--json").stdout)
    assert answer["features"][0]["properties"]["distance_m"] < 1


def test_url(run: Run, database: str) -> None:
    assert run("db", "url").stdout.strip() == database
    assert run("db", "url", LEEWARD_DATABASE_URL="").stdout.startswith(
        "postgresql://leeward@/leeward?host=/tmp/leeward-"
    )


def test_filled_template_is_not_overwritten(run: Run) -> None:
    assert run("template", "shelters").stdout == "shelters.xlsx\n"
    assert run("template", "shelters").exit_code == 2
    assert run("template", "shelters", "--force").exit_code == 0


def test_backup_and_restore(run: Run, rows_file: Path, tmp_path: Path, new_database: Callable[[], str]) -> None:
    run("import", "shelters", str(rows_file))
    backup = tmp_path / "store.dump"
    assert run("db", "backup", str(backup)).exit_code == 0
    assert backup.stat().st_mode & 0o777 == 0o600
    assert run("db", "backup", str(backup)).exit_code == 2
    assert run("db", "backup", str(backup), "--force").exit_code == 0
    assert [path.name for path in tmp_path.glob("*.dump*")] == ["store.dump"]
    assert list(tmp_path.glob(".store*")) == []
    other = {"LEEWARD_DATABASE_URL": new_database()}
    assert run("db", "restore", str(backup), **other).exit_code == 0
    assert json.loads(run("check", "--json", **other).stdout)["layers"]["shelters"]["rows"] == 2
    assert len(json.loads(run("nearest", "105", "27", "--json", **other).stdout)["features"]) == 2
    assert run("db", "restore", str(backup), **other).exit_code == 2
    broken = tmp_path / "broken.dump"
    broken.write_bytes(backup.read_bytes()[:-500])
    assert run("db", "restore", str(broken), "--force", **other).exit_code != 0
    assert json.loads(run("check", "--json", **other).stdout)["layers"]["shelters"]["rows"] == 2
    assert run("db", "restore", str(backup), "--force", **other).exit_code == 0
    assert run("import", "shelters", str(rows_file), **other).stdout.startswith(
        "read 2, imported 0, updated 0, unchanged 2"
    )


def test_password_authentication(run: Run, cluster: str, worker_id: str, tmp_path: Path) -> None:
    """A role with a password, over a connection string that holds it: it works, and pg_dump never shows it."""
    dump = tmp_path / "x.dump"
    done = run("db", "backup", str(dump), LEEWARD_DATABASE_URL=cluster.replace("leeward@", "leeward:s3cr%27t@"))
    assert done.exit_code == 0, done.stderr
    done = run("db", "migrate", LEEWARD_DATABASE_URL=cluster.replace("leeward@", "nobody_here:s3cr%27t@"))
    assert done.exit_code == 1
    assert "s3cr" not in done.stderr


def test_starts_fast() -> None:
    """Nothing heavy is imported before a verb asks for it."""
    heavy = ("pandas", "geopandas", "pyarrow", "rasterio", "shapely", "numpy", "uvicorn", "fastapi", "psycopg2")
    program = f"import sys, cli.main, layers.catalog as c; c.catalog(); print({{*{heavy}}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "set()\n"


def test_broken_connection_is_one_line(run: Run, database: str) -> None:
    connection = psycopg2.connect(database)
    name = connection.info.dbname
    connection.close()
    done = run("check", LEEWARD_DATABASE_URL=database.replace(f"/{name}?", "/absent?"))
    assert done.exit_code == 1
    assert 'database "absent" does not exist' in done.stderr
