"""Any PostGIS by its URL: with a password, with options of its own, and never with the password in a message."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from layers.cluster import Cluster
from layers.database import ROLES, Readers, one, transaction, without_password
from layers.errors import Unavailable
from layers.migrate import migrate

PASSWORD = "p@ss:w/rd#1"


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    """The URL of a database of another cluster, whose role signs in by password and may make no roles."""
    home = Path(tempfile.mkdtemp(prefix="lw-", dir="/tmp"))
    home.chmod(0o755)
    cluster = Cluster(home)
    with cluster.running() as url:
        administrator = url.replace("leeward@", "postgres@")
        for text in (
            f"CREATE ROLE town LOGIN PASSWORD '{PASSWORD}'",
            *(f"CREATE ROLE {role} NOLOGIN" for role in ROLES),
            *(f"GRANT {role} TO town" for role in ROLES),
            "CREATE DATABASE town OWNER town",
        ):
            connection = psycopg2.connect(administrator)
            connection.autocommit = True
            connection.cursor().execute(text)
            connection.close()
        rules = cluster.data / "pg_hba.conf"
        rules.write_text("local all town scram-sha-256\n" + rules.read_text())
        with transaction(administrator) as cursor:
            cursor.execute("SELECT pg_reload_conf()")
        yield url.replace("leeward@/leeward", "town:p%40ss%3Aw%2Frd%231@/town")
    shutil.rmtree(home)


def test_foreign_database(foreign: str) -> None:
    assert "shelters" in migrate(foreign)
    assert migrate(foreign) == []
    readers = Readers(foreign, size=1)
    assert readers.one("SELECT current_user::text, count(*) FROM released.shelters") == ("leeward_anonymous", 0)
    readers.close()


def test_wrong_password(foreign: str) -> None:
    with (
        pytest.raises(Unavailable, match="password authentication failed") as raised,
        transaction(foreign.replace("%231", "%232")),
    ):
        pass
    assert PASSWORD[:-1] not in str(raised.value)


def test_options_of_the_url_count(foreign: str) -> None:
    with transaction(foreign + "&options=-c%20work_mem%3D5MB") as cursor:
        assert one(cursor, "SHOW work_mem") == "5MB"
        assert one(cursor, "SHOW jit") == "off"


def test_password_apart(foreign: str) -> None:
    text, password = without_password(foreign)
    assert password == PASSWORD
    assert "p@ss" not in text
    assert "dbname=town" in text
