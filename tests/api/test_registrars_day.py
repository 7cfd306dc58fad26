"""A registrar's day with 5973 real shelters: import, mend the rejects, import again, correct ten, export.

The same day as in docs/how-to/registrars-day.md.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pyogrio
import pytest
from starlette.testclient import TestClient

from api.app import create_app
from layers import accounts
from layers.database import transaction
from layers.importing import import_file

pytestmark = pytest.mark.real_data

BOX = "118,21.5,122.5,26.5"
ITEMS = "/collections/shelters/items"


class Registrar:
    """A client that is signed in as an editor."""

    def __init__(self, client: TestClient, token: str) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, *, status: int = 200, **given: Any) -> Any:
        headers = {**self.headers, **given.pop("headers", {})}
        answer = self.client.request(method, path, headers=headers, **given)
        assert answer.status_code == status, answer.text[:2000]
        return answer

    def upload(self, path: Path) -> dict[str, Any]:
        """A file sent, tried, and not yet imported."""
        with path.open("rb") as file:
            answer = self.ask("POST", f"/imports?layer=shelters&area={BOX}", files={"file": (path.name, file)})
        told: dict[str, Any] = answer.json()
        return told

    def count(self) -> int:
        layer = self.ask("GET", "/collections/shelters").json()
        return int(layer["counts"]["real"])


@pytest.fixture
def registrar(module_database: str, home: object) -> Iterator[Registrar]:
    with transaction(module_database) as cursor:
        accounts.add(cursor, "registrar", "editor", "correct horse battery")
        token = accounts.make_token(cursor, "registrar")
    with TestClient(create_app(module_database), raise_server_exceptions=False) as client:
        yield Registrar(client, token)


def places(registrar: Registrar) -> dict[str, list[float]]:
    """A point in each township, by the name that a shelter declares."""
    found: dict[str, list[float]] = {}
    page = registrar.ask("GET", "/collections/admin_areas/items?limit=1000").json()
    for one in page["features"]:
        ring = one["geometry"]["coordinates"][0][0]
        lon, lat = (sum(position[axis] for position in ring[:-1]) / len(ring[:-1]) for axis in (0, 1))
        properties = one["properties"]
        found[f"{properties['parent_name']}{properties['name']}".replace("臺", "台")] = [lon, lat]
    return found


def mended(rejects: str, known: dict[str, list[float]], target: Path) -> int:
    """The rejected rows in a spreadsheet, each put right as a registrar would; how many there are."""
    rows = list(csv.DictReader(io.StringIO(rejects.removeprefix("\ufeff"))))
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(rows[0]))
    for number, row in enumerate(rows):
        declared = row["縣市及鄉鎮市區"].replace("臺", "台")
        if "the same key" in row["leeward_reason"]:
            row["避難收容處所名稱"] += f"（{number}）"
        elif row["leeward_proposal"]:
            row["經度"], row["緯度"] = row["leeward_proposal"].split(",")
        else:
            near = next(
                (at for name, at in known.items() if name == declared or name.startswith(declared)), [121, 23.7]
            )
            row["經度"], row["緯度"] = map(str, near)
        sheet.append(list(row.values()))
    book.save(target)
    return len(rows)


def test_a_registrars_day(registrar: Registrar, module_database: str, real_data: Path, tmp_path: Path) -> None:
    import_file(module_database, "admin_areas", real_data / "taiwan" / "townships.geojson")

    # morning: the file is tried first; nothing is written before the registrar says so
    tried = registrar.upload(real_data / "taiwan" / "shelters.csv")
    report = tried["report"]
    assert report["read"] == 5973
    assert report["read"] == report["imported"] + report["updated"] + report["unchanged"] + report["rejected"]
    assert tried["columns"]["避難收容處所名稱"] == "name"
    assert registrar.count() == 0
    done = registrar.ask("POST", f"/imports/{tried['id']}/commit").json()
    assert done["report"]["imported"] == report["imported"]
    first = registrar.count()
    assert first == report["imported"]

    # the rejects: 28 places that cannot be, and rows with the key of another
    text = registrar.ask("GET", f"/imports/{tried['id']}/rejects.csv").content.decode()
    spreadsheet = tmp_path / "mended.xlsx"
    rejected = mended(text, places(registrar), spreadsheet)
    assert rejected == report["rejected"]
    again = registrar.upload(spreadsheet)
    assert again["report"]["rejected"] == 0, again["rejected"]
    registrar.ask("POST", f"/imports/{again['id']}/commit")
    assert registrar.count() == first + again["report"]["imported"]
    assert again["report"]["imported"] + again["report"]["unchanged"] == rejected

    # afternoon: ten shelters that lie in another county than they declare are put where they belong
    doubtful = registrar.ask("GET", f"{ITEMS}?flags=location_doubt&limit=10").json()["features"]
    known = places(registrar)
    corrected = {}
    for one in doubtful:
        path = f"{ITEMS}/{one['id']}"
        item = registrar.ask("GET", path)
        declared = one["properties"]["admin_area"].replace("臺", "台")
        at = known.get(declared) or next(at for name, at in known.items() if name.startswith(declared[:3]))
        patch = {"geometry": {"type": "Point", "coordinates": at}, "reason": "looked up on the map"}
        answer = registrar.ask("PATCH", path, content=json.dumps(patch), headers={"If-Match": item.headers["etag"]})
        corrected[one["id"]] = answer.json()["geometry"]["coordinates"]
        step = registrar.ask("GET", f"{path}/history").json()["changes"][0]
        assert (step["author"], step["reason"]) == ("registrar", "looked up on the map")
    assert len(corrected) == 10
    left = registrar.ask("GET", f"{ITEMS}?flags=location_doubt&limit=1000").json()["numberReturned"]
    assert left < 69

    # evening: the register as a file, read with another reader
    target = tmp_path / "shelters.gpkg"
    target.write_bytes(registrar.ask("GET", "/collections/shelters/export?format=gpkg").content)
    rows = pyogrio.read_dataframe(target, fid_as_index=True)
    assert len(rows) == registrar.count()
    by_number = rows.geometry
    for fid, (lon, lat) in corrected.items():
        assert (by_number[fid].x, by_number[fid].y) == pytest.approx((lon, lat), abs=1e-6)
    assert registrar.ask("GET", "/imports").json()["imports"][0]["author"] == "registrar"
