"""When the database breaks off or too many ask at once: 503 with Retry-After, and well again afterwards."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

import api.fast
import layers.database
from layers.database import Readers, transaction
from tests.gis.rows import put


def test_after_a_break_one_answer_fails_at_most(database: str, client: TestClient) -> None:
    put(database, "shelters", {"name": "s", "at": (1, 0)})
    paths = ("/nearest?lon=0&lat=0", "/collections/shelters/items", "/tiles/shelters/2/2/2.mvt", "/search?q=s")
    assert [client.get(path).status_code for path in paths] == [200] * 4
    with transaction(database) as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    statuses = [client.get(path).status_code for path in paths]
    assert statuses.count(503) <= 1
    assert set(statuses) <= {200, 503}
    assert [client.get(path).status_code for path in paths] == [200] * 4


def test_too_many_at_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.fast, "WAITING_AT_MOST", 0)
    answer = client.get("/nearest?lon=0&lat=0")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert client.get("/healthz").status_code == 200


def test_prepared_statements_do_not_pile_up(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers.database, "PREPARED_AT_MOST", 3)
    readers = Readers(database, size=1)
    for n in (*range(6), *range(6)):
        assert readers.prepared(f"SELECT $1 + {n}", (1,), "int") == [(n + 1,)]
    assert len(readers.rows("SELECT FROM pg_prepared_statements")) == 3
    readers.close()
