"""The OpenAPI document against the service: whatever fits it, or does not, is answered as it says."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import CHECKS as EVERY_CHECK
    from schemathesis.checks import load_all_checks
    from schemathesis.core.transport import Response

from api.app import create_app
from layers import accounts
from layers.database import transaction
from tests.gis.rows import put, square

load_all_checks()
# that whatever fits the document is accepted cannot hold: a layer, an item or a right may not be there, and KNOWN has
# some on purpose that are not
CHECKS = [check for check in EVERY_CHECK.get_all() if check.__name__ != "positive_data_acceptance"]
LAYERS = ["shelters", "stock", "risk_zones", "incidents", "nothing"]
KNOWN = {
    "process_id": ["nearest", "matrix", "service-area", "access", "x"],
    "collection": LAYERS,
    "layers": ["shelters", "shelters,risk_zones", "x"],
    "fid": ["1", "2", "999", "x"],
}
LEFT_OUT = {
    "/events": "never ends",
    "/session": "its own tests lock a guesser out, and it signs the asker out",
    "/imports": "takes files in parts, which are not made up here; see test_imports.py",
}
EXAMPLES = 6


def document() -> dict[str, Any]:
    """The document; where an address names a layer or an item, mostly one that is there."""
    told = create_app("postgresql:///none").openapi()
    for path in told["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in KNOWN:
                    parameter["schema"] = {"type": "string", "enum": KNOWN[parameter["name"]]}
    return told


DOCUMENT = document()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [
    (method, path)
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
    if path not in LEFT_OUT
]  # fmt: skip


@pytest.fixture(scope="module")
def peopled(module_database: str) -> str:
    """A database with some rows and an editor's account."""
    put(module_database, "shelters", {"name": "a", "at": (105, 27), "status": "open"}, {"name": "b", "at": (106, 28)})
    put(module_database, "risk_zones", {"name": "z", "at": square(105, 27, 1)})
    with transaction(module_database) as cursor:
        accounts.add(cursor, "editor", "editor", "correct horse battery")
    return module_database


@pytest.fixture(scope="module")
def token(peopled: str) -> str:
    """A token of the editor's."""
    with transaction(peopled) as cursor:
        return accounts.make_token(cursor, "editor")


@pytest.fixture
def service(peopled: str, home: object) -> Iterator[TestClient]:
    """The service on the peopled database."""
    with TestClient(create_app(peopled), raise_server_exceptions=False) as running:
        yield running


def ask(client: TestClient, method: str, path: str, headers: dict[str, str]) -> None:
    """Ask one operation some questions that fit the document and some that do not, and check each answer."""
    operation = SCHEMA[path][method.upper()]
    fitting = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    unfit = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE) if operation.query else fitting

    @given(case=st.one_of(fitting, unfit))
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def answered(case: Any) -> None:
        request = case.as_transport_kwargs(base_url=str(client.base_url))
        request["headers"] = {**dict(request.pop("headers", {})), **headers}
        given_json = {name: request[name] for name in ("json", "data", "files", "params") if name in request}
        answer = client.request(request["method"], request["url"], headers=request["headers"], **given_json)
        answer.request.read()
        case.validate_response(Response.from_any(answer), checks=CHECKS)

    answered()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: part)
def test_anyone_is_answered_as_the_document_says(service: TestClient, method: str, path: str) -> None:
    ask(service, method, path, {})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: part)
def test_an_editor_is_answered_as_the_document_says(service: TestClient, token: str, method: str, path: str) -> None:
    ask(service, method, path, {"Authorization": f"Bearer {token}"})


def test_every_operation_is_asked_but_for_a_reason() -> None:
    assert set(LEFT_OUT) <= set(DOCUMENT["paths"])
    assert len(OPERATIONS) > 30
    assert len(CHECKS) > 10
