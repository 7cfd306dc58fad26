"""Importing through the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from layers import accounts
from layers.database import transaction

HEADING = "编号,名称,经度,纬度,可容纳人数"


@pytest.fixture
def editor(client: TestClient, database: str) -> Iterator[TestClient]:
    with transaction(database) as cursor:
        accounts.add(cursor, "wang", "editor", "correct horse battery")
        token = accounts.make_token(cursor, "wang")
    client.headers["Authorization"] = f"Bearer {token}"
    yield client
    with transaction(database) as cursor:
        cursor.execute("DELETE FROM leeward.accounts")


def csv(*lines: str) -> bytes:
    return "\n".join([HEADING, *lines, ""]).encode()


def send(client: TestClient, data: bytes, name: str = "a.csv", layer: str = "shelters", **fields: str) -> Any:
    return client.post(f"/imports?layer={layer}", files={"file": (name, data)}, data=fields)


def test_smoke(editor: TestClient) -> None:
    import time
    t=time.time()
    answer = send(editor, csv("1,甲,105,27,10", "2,乙,0,27,10"))
    print(time.time()-t)
    print(answer.text)
    assert answer.status_code == 200
    token = answer.json()["id"]
    print(editor.get(f"/imports/{token}").text[:300])
    t=time.time()
    done = editor.post(f"/imports/{token}/commit", json={"reason": "because"})
    print(done.text, time.time()-t)
    again = editor.post(f"/imports/{token}/commit", json={"reason": "because"})
    assert again.text == done.text
    print(editor.get(f"/imports/{token}/rejects.csv").text)
    print(editor.get("/imports").text)
    print(editor.get("/changes").text)
    print(editor.post(f"/imports/{done.json()['import_id']}/undo", json={"reason": "oops"}).text)
    assert 0
