"""Who asks: sessions, tokens, CSRF, and those who try to come in another way."""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.access import (
    ANONYMOUS_IDENTITY,
    COOKIE,
    Asker,
    Identity,
    bears_credentials,
    identify,
    need,
    refuse_other_sites,
)
from api.app import create_app
from api.context import Context
from api.errors import problem_of
from api.sign_in import HASHES_AT_ONCE, WAITING_AT_MOST, Attempts, SignIn, place_of
from layers import accounts
from layers.accounts import ROLES
from layers.database import transaction
from layers.errors import EditConflict, Forbidden, InvalidFeature, SignInNeeded, TooManyAttempts, Unavailable
from layers.settings import settings
from tests.conftest import finished

PASSWORD = "correct horse battery"
NOBODY = {"name": None, "role": None, "rights": []}
Sign = Callable[..., Any]


@pytest.fixture(scope="module")
def with_accounts(module_database: str) -> str:
    """A database with an account for each role, named like it."""
    with transaction(module_database) as cursor:
        for role in ROLES:
            accounts.add(cursor, role, role, PASSWORD)
    return module_database


@pytest.fixture
def app(with_accounts: str, home: object) -> FastAPI:
    """The service, with two routes that say who asked."""
    made = create_app(with_accounts)

    def who(identity: Asker) -> dict[str, Any]:
        return {"name": identity.name, "via": identity.via}

    async def edit(identity: Asker) -> dict[str, Any]:
        need(identity, "edit")
        return {"name": identity.name}

    made.router.routes.pop()  # the web app's files answer every other address
    made.add_api_route("/who", who, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    made.add_api_route("/edit", edit, methods=["POST"])
    return made


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as running:
        yield running


def sign_in(client: TestClient, name: str = "editor", password: str = PASSWORD, **headers: str) -> Any:
    return client.post("/session", json={"name": name, "password": password}, headers=headers)


def token_of(url: str, name: str) -> str:
    with transaction(url) as cursor:
        return accounts.make_token(cursor, name)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- sessions


def test_a_session_from_signing_in_to_signing_out(client: TestClient) -> None:
    assert client.get("/session").json() == NOBODY
    answer = sign_in(client)
    assert answer.status_code == 200
    told = answer.json()
    assert {**told, "csrf": ""} == {
        "name": "editor",
        "role": "editor",
        "rights": ["edit", "monitor", "read"],
        "csrf": "",
    }
    cookie = answer.headers["set-cookie"]
    secret = client.cookies[COOKIE]
    assert cookie == f"{COOKIE}={secret}; HttpOnly; Max-Age=43200; Path=/; SameSite=strict"
    assert secret not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert client.get("/session").json() == told
    assert client.get("/who").json() == {"name": "editor", "via": "session"}
    assert client.delete("/session").status_code == 403
    gone = client.delete("/session", headers={"X-CSRF-Token": told["csrf"]})
    assert gone.status_code == 204
    assert f'{COOKIE}="";' in gone.headers["set-cookie"]
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert COOKIE not in client.cookies
    client.cookies.set(COOKIE, secret)
    assert client.get("/session").json() == NOBODY
    assert client.delete("/session").status_code == 204


def test_the_cookie_is_secure_behind_tls(app: FastAPI) -> None:
    with TestClient(app, base_url="https://leeward.example") as client:
        assert "; Secure" in sign_in(client).headers["set-cookie"]


def test_names_are_taken_in_any_case_and_width(client: TestClient) -> None:
    assert sign_in(client, "ＥＤＩＴＯＲ ").json()["name"] == "editor"


@pytest.mark.parametrize(
    ("name", "password"), [("editor", "wrong"), ("nobody", PASSWORD), ("editor' OR 1=1 --", "s3cret"), ("%", "s3cret")]
)
def test_what_was_wrong_is_not_told(
    client: TestClient, caplog: pytest.LogCaptureFixture, name: str, password: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = sign_in(client, name, password)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    told = answer.json()
    assert told["type"] == "/problems/sign-in"
    assert told["detail"] == "the name or the password is wrong"
    assert "set-cookie" not in answer.headers
    assert name == "editor" or name not in caplog.text
    assert password not in caplog.text
    assert "argon2" not in caplog.text + answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"name":"editor"}', b'{"name":"editor","password":null}',
        b'{"name":["editor"],"password":"x"}', b'{"name":"","password":"x"}', b'{"name":"editor","password":""}',
        b'{"name":"editor","password":"x","role":"admin"}', b'{"name":"edit\\u0000or","password":"x"}',
        b'{"name":"editor","password":"x\\u0000"}', b'{"name":"\\ud800","password":"x"}', b"\xff\xfe",
        b'{"name":"editor","password":"' + b"s3cret" * 50 + b'"}',
        b'{"name":"editor","password":"' + b"s3cret" * 200_000 + b'"}',
        b"[" * 8000,
    ],
)  # fmt: skip
def test_bodies_that_are_no_credentials(client: TestClient, body: bytes) -> None:
    answer = client.post("/session", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "s3cret" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_another_sites_form_cannot_sign_in(client: TestClient, kind: str) -> None:
    body = b'{"name":"editor","password":"' + PASSWORD.encode() + b'"}'
    answer = client.post("/session", content=body, headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == 400
    assert answer.json()["parameter"] == "Content-Type"


def test_no_session_is_taken_over(client: TestClient) -> None:
    """Fixation: a cookie that was slipped in before signing in is worth nothing afterwards."""
    slipped_in = "A" * 43
    client.cookies.set(COOKIE, slipped_in, domain="testserver.local", path="/")
    assert sign_in(client).status_code == 200
    first = next(c.value for c in client.cookies.jar if c.value != slipped_in)
    client.cookies.clear()
    client.cookies.set(COOKIE, slipped_in)
    assert client.get("/session").json() == NOBODY
    client.cookies.clear()
    client.cookies.set(COOKIE, first)
    assert client.get("/session").json()["name"] == "editor"
    answer = sign_in(client, "reader")
    second = answer.headers["set-cookie"].split("=", 1)[1].split(";")[0]
    client.cookies.clear()
    assert client.get("/who", headers={"Cookie": f"{COOKIE}={first}"}).json()["name"] is None
    assert client.get("/who", headers={"Cookie": f"{COOKIE}={second}"}).json()["name"] == "reader"


@pytest.mark.parametrize(
    "cookie",
    [
        f"{COOKIE}=", f"{COOKIE}=x", f"{COOKIE}", f"{COOKIE}={'A' * 43}", f"{COOKIE}={'A' * 100_000}",
        f"{COOKIE}={'é' * 43}", f"{COOKIE}=%00", f"{COOKIE}=' OR true --", f'{COOKIE}="{"A" * 43}"',
        f"{COOKIE}={'A' * 43}; {COOKIE}={'B' * 43}",
    ],
)  # fmt: skip
def test_a_cookie_that_is_no_session(client: TestClient, cookie: str) -> None:
    headers = {"Cookie": cookie.encode()}
    assert client.get("/who", headers=headers).json()["name"] is None
    assert client.options("/who", headers=headers).json()["name"] is None
    assert client.head("/who", headers=headers).status_code == 200
    assert client.get("/session", headers=headers).json() == NOBODY
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = client.request(method, "/who", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/sign-in"), method
    assert client.delete("/session", headers=headers).status_code == 204


def test_two_cookies_of_the_name_are_none(client: TestClient) -> None:
    told = sign_in(client).json()
    secret = client.cookies[COOKIE]
    client.cookies.clear()
    right = f"{COOKIE}={secret}"
    wrong = f"{COOKIE}={'A' * 43}"
    assert client.get("/who", headers={"Cookie": f"a=b; {right}; c"}).json()["name"] == "editor"
    for both in (f"{right}; {wrong}", f"{wrong}; {right}"):
        assert client.get("/who", headers={"Cookie": both}).json()["name"] is None
        headers = {"Cookie": both, "X-CSRF-Token": told["csrf"]}
        assert client.post("/who", headers=headers).status_code == 401
    split = [("Cookie", right), ("Cookie", wrong)]
    assert client.get("/who", headers=split).json()["name"] is None
    assert client.get("/who", headers={"Cookie": f"x{right}"}).json()["name"] is None


def test_an_ended_session(client: TestClient, with_accounts: str) -> None:
    csrf = {"X-CSRF-Token": sign_in(client).json()["csrf"]}
    assert client.post("/edit", headers=csrf).status_code == 200
    with transaction(with_accounts) as cursor:
        cursor.execute("UPDATE leeward.sessions SET expires_at = now()")
    assert client.get("/who").json()["name"] is None
    answer = client.post("/edit", headers=csrf)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "the session has ended"


def test_revoking_ends_a_session_at_once(client: TestClient, with_accounts: str) -> None:
    with transaction(with_accounts) as cursor:
        accounts.add(cursor, "leaver", "admin", PASSWORD)
    token = token_of(with_accounts, "leaver")
    sign_in(client, "leaver")
    assert client.get("/who").json()["name"] == "leaver"
    assert client.get("/who", headers=bearer(token)).json()["name"] == "leaver"
    with transaction(with_accounts) as cursor:
        accounts.revoke(cursor, "leaver")
    assert client.get("/who").json()["name"] is None
    assert client.get("/who", headers=bearer(token)).status_code == 401
    assert sign_in(client, "leaver").status_code == 401


# --- CSRF


def test_what_changes_something_needs_the_csrf_token(client: TestClient) -> None:
    csrf = sign_in(client).json()["csrf"]
    for given in (None, "", "x", csrf[:-1], csrf.upper(), csrf + "x", "é"):
        headers = {} if given is None else {"X-CSRF-Token": given.encode()}
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = client.request(method, "/who", headers=headers)
            assert (answer.status_code, answer.json()["parameter"]) == (403, "X-CSRF-Token")
    assert client.post("/who", headers=[("X-CSRF-Token", csrf), ("X-CSRF-Token", csrf)]).status_code == 403
    assert client.post("/who", headers={"X-CSRF-Token": csrf}).json()["name"] == "editor"
    assert client.get("/who").json()["name"] == "editor"


def test_a_csrf_token_is_of_one_session(client: TestClient, app: FastAPI) -> None:
    first = sign_in(client).json()["csrf"]
    client.cookies.clear()
    second = sign_in(client).json()["csrf"]
    assert first != second
    assert client.post("/who", headers={"X-CSRF-Token": first}).status_code == 403


@pytest.mark.parametrize(
    ("origin", "good"),
    [
        ("http://testserver", True), ("http://testserver:80", True), ("http://TESTSERVER", True),
        ("https://testserver", True), ("https://testserver:80", False), ("http://testserver:8000", False),
        ("http://testserver.evil", False), ("http://evil", False), ("null", False), ("", False),
        ("http://testserver@evil", False), ("http://evil/testserver", False),
        ("file://testserver", False), ("http://[", False), ("http://testserver:x", False), ("http://测试", False),
    ],
)  # fmt: skip
def test_another_sites_page_is_refused(client: TestClient, origin: str, good: bool) -> None:
    csrf = sign_in(client).json()["csrf"]
    headers = {"X-CSRF-Token": csrf.encode(), "Origin": origin.encode()}
    assert client.post("/who", headers=headers).status_code == (200 if good else 403)
    assert client.get("/who", headers=headers).status_code == 200
    if not good:
        assert sign_in(client, **{"Origin": origin.encode()}).status_code == 403
        assert client.delete("/session", headers=headers).status_code == 403


def test_hosts_and_origins() -> None:
    for headers in ([(b"origin", b"http://a")], [(b"origin", b"http://a"), (b"host", b"a"), (b"host", b"a")],
                    [(b"origin", b"http://a"), (b"origin", b"http://a"), (b"host", b"a")]):  # fmt: skip
        with pytest.raises(Forbidden):
            refuse_other_sites(headers)
    refuse_other_sites([(b"origin", b"http://[::1]:8000"), (b"host", b"[::1]:8000")])
    refuse_other_sites([(b"origin", b"https://a.example"), (b"host", b"a.example:443")])
    refuse_other_sites([])


# --- tokens


def test_a_token_needs_no_csrf(client: TestClient, with_accounts: str) -> None:
    token = token_of(with_accounts, "editor")
    for scheme in ("Bearer", "bearer", "BEARER "):
        answer = client.post("/edit", headers={"Authorization": f"{scheme} {token}", "Origin": "http://elsewhere"})
        assert answer.json() == {"name": "editor"}
    assert client.get("/session", headers=bearer(token)).json() == {
        "name": "editor",
        "role": "editor",
        "rights": ["edit", "monitor", "read"],
    }
    assert client.get("/who", headers=bearer(token)).json()["via"] == "token"


@pytest.mark.parametrize(
    "given",
    [
        "Bearer", "Bearer ", "Bearer x", f"Bearer leeward_{'A' * 43}", f"Bearer {'A' * 43}", "Bearer leeward_%%%",
        f"Bearer leeward_{'A' * 42}\x00", f"Bearer leeward_{'A' * 60_000}", "Bearer leeward_' OR true --",
        "Bearer é", "bearer\tx", f"Bearer leeward_{base64.b64encode(bytes(32)).decode()}",
    ],
)  # fmt: skip
def test_a_wrong_token_is_never_taken_for_nobody(client: TestClient, given: str) -> None:
    answer = client.get("/who", headers={"Authorization": given.encode("latin-1")})
    if "\t" in given:  # another scheme
        assert answer.json()["name"] is None
        return
    assert (answer.status_code, answer.json()["parameter"]) == (401, "Authorization")
    assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/session", "/edit"):
        assert (
            client.request("GET" if path == "/session" else "POST", path, headers=answer.request.headers).status_code
            == 401
        )


def test_two_tokens_are_none(client: TestClient, with_accounts: str) -> None:
    token = token_of(with_accounts, "editor")
    both = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    assert client.get("/who", headers=both).status_code == 401


def test_another_scheme_is_a_proxys(client: TestClient) -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(f"editor:{PASSWORD}".encode()).decode()}
    assert client.get("/who", headers=headers).json()["name"] is None
    assert client.post("/edit", headers=headers).status_code == 401


def test_a_token_is_taken_before_a_cookie(client: TestClient, with_accounts: str) -> None:
    sign_in(client)
    token = token_of(with_accounts, "reader")
    assert client.get("/who", headers=bearer(token)).json() == {"name": "reader", "via": "token"}
    assert client.post("/edit", headers=bearer(token)).status_code == 403
    assert client.get("/who", headers=bearer("x")).status_code == 401


def test_a_session_is_no_token_and_a_token_no_session(client: TestClient, with_accounts: str) -> None:
    sign_in(client)
    secret = client.cookies[COOKIE]
    client.cookies.clear()
    assert client.get("/who", headers=bearer(secret)).status_code == 401
    assert client.get("/who", headers=bearer(f"leeward_{secret}")).status_code == 401
    token = token_of(with_accounts, "reader")
    for value in (token, token.removeprefix("leeward_")):
        assert client.get("/who", headers={"Cookie": f"{COOKIE}={value}"}).json()["name"] is None


# --- rights


@pytest.mark.parametrize("role", ROLES)
def test_who_may_edit(client: TestClient, with_accounts: str, role: str) -> None:
    answer = client.post("/edit", headers=bearer(token_of(with_accounts, role)))
    if role in ("editor", "admin"):
        assert answer.status_code == 200
        return
    assert answer.status_code == 403
    told = answer.json()
    assert told["type"] == "/problems/forbidden"
    assert told["detail"] == f"the role {role} may not edit"
    assert told["expected"] == "an account that may: editor, admin"
    assert told["roles"] == ["editor", "admin"]


def test_nobody_may_edit(client: TestClient) -> None:
    answer = client.post("/edit")
    assert answer.status_code == 401
    assert answer.json()["detail"] == "this needs an account that may edit: editor, admin"
    with pytest.raises(SignInNeeded):
        need(ANONYMOUS_IDENTITY, "read")
    with pytest.raises(Forbidden):
        need(Identity("x", "reader", ROLES["reader"], "token"), "no such right")


def test_identities_do_not_show_the_csrf_token() -> None:
    assert "s3cret" not in repr(Identity("x", "reader", ROLES["reader"], "session", "s3cret"))


def test_who_bears_no_credentials_costs_nothing() -> None:
    context: Context = None  # it is not asked
    for headers in ([], [(b"cookie", b"a=b; c")], [(b"authorization", b"Basic x")], [(b"cookie", b"")]):
        assert not bears_credentials(headers)
        assert identify(context, headers, "POST") is ANONYMOUS_IDENTITY
    assert bears_credentials([(b"cookie", b"a=b; leeward_session=x")])
    assert bears_credentials([(b"authorization", b"bearer x")])


def test_demo_accounts_work_on_loopback_only(app: FastAPI, with_accounts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction(with_accounts) as cursor:
        path = accounts.make_demo(cursor)
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines() if line[0] != "#")
    passwords = {line[0]: line[2] for line in lines}
    token = token_of(with_accounts, "demo-admin")
    with TestClient(app) as client:
        assert sign_in(client, "demo-admin", passwords["demo-admin"]).json()["role"] == "admin"
        assert client.get("/who", headers=bearer(token)).json()["name"] == "demo-admin"
        monkeypatch.setenv("LEEWARD_HOST", "0.0.0.0")
        settings.cache_clear()
        assert client.get("/who").json()["name"] is None
        assert client.get("/who", headers=bearer(token)).status_code == 401
        assert sign_in(client, "demo-admin", passwords["demo-admin"]).status_code == 401
    with transaction(with_accounts) as cursor:
        accounts.clear_demo(cursor)


# --- caches


def test_no_shared_cache_keeps_what_one_may_see(client: TestClient, with_accounts: str) -> None:
    headers = bearer(token_of(with_accounts, "reader"))
    for path in ("/collections", "/collections/shelters/items", "/tiles/shelters/0/0/0.mvt", "/nearest?lon=1&lat=1"):
        public, private = client.get(path), client.get(path, headers=headers)
        assert (public.status_code, private.status_code) in ((200, 200), (204, 204)), private.text
        assert private.headers["cache-control"] in ("private, no-cache", "no-store"), path
        assert "private" not in public.headers.get("cache-control", "")
        for answer in (public, private):
            assert "Cookie, Authorization" in answer.headers["vary"]
    assert client.get("/nowhere", headers=headers).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/collections", "/service", "/tiles/shelters/0/0/0.mvt", "/nearest?lon=1&lat=1", "/changes"]
)
def test_no_door_takes_a_wrong_token_for_nobody(client: TestClient, path: str) -> None:
    assert client.get(path, headers=bearer("leeward_x")).status_code == 401


def test_who_one_is_is_never_kept(client: TestClient) -> None:
    assert client.get("/session").headers["cache-control"] == "no-store"
    sign_in(client)
    assert client.get("/session").headers["cache-control"] == "no-store"
    assert "Cookie" in client.get("/session").headers["vary"]


# --- guessing


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def wait_s(attempts: Attempts, account: str, address: str) -> int:
    """The seconds to wait; an attempt that need not wait is counted as failed."""
    try:
        attempts.begin(account, address)
    except TooManyAttempts as refused:
        return int(refused.further["retry_after_s"])
    return 0


def test_guessing_at_an_account_becomes_ever_slower() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert [wait_s(attempts, "a", f"address {n}") for n in range(5)] == [0] * 5
    waits = []
    for n in range(9):
        waits.append(wait_s(attempts, "a", f"other {n}"))
        clock.now += waits[-1]
        assert wait_s(attempts, "a", f"other {n}") == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert wait_s(attempts, "b", "address 0") == 0
    clock.now += 900
    assert wait_s(attempts, "a", "address 0") == 0


def test_guessing_at_many_accounts_from_one_address_becomes_ever_slower() -> None:
    attempts = Attempts(Clock())
    assert [wait_s(attempts, f"account {n}", "here") for n in range(30)] == [0] * 30
    assert wait_s(attempts, "another", "here") == 1
    assert wait_s(attempts, "another", "elsewhere") == 0


def test_who_guesses_elsewhere_locks_nobody_out() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    attempts.begin("a", "office")
    attempts.succeeded("a", "office")
    for _ in range(21):
        clock.now += wait_s(attempts, "a", "elsewhere")
    assert wait_s(attempts, "a", "elsewhere") > 0
    assert wait_s(attempts, "a", "office") == 0


def test_success_clears_an_account_and_not_an_address() -> None:
    attempts = Attempts(Clock())
    for n in range(29):
        assert wait_s(attempts, f"account {n}", "here") == 0
    for _ in range(3):  # with an account of one's own, between guesses
        attempts.begin("mine", "here")
        attempts.succeeded("mine", "here")
    assert wait_s(attempts, "another", "here") == 0
    assert wait_s(attempts, "another", "here") == 1
    for _ in range(4):
        attempts.begin("b", "there")
    attempts.succeeded("b", "there")
    assert [wait_s(attempts, "b", "there") for _ in range(5)] == [0] * 5


def test_an_attempt_without_an_end_does_not_count() -> None:
    attempts = Attempts(Clock())
    for _ in range(50):
        attempts.begin("a", "here")
        attempts.undecided("a", "here")
    assert wait_s(attempts, "a", "here") == 0


def test_what_is_remembered_of_guessers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.sign_in.REMEMBERED_AT_MOST", 100)
    attempts = Attempts(Clock())
    for n in range(1000):
        attempts.begin(f"account {n}", f"address {n}")
        attempts.succeeded(f"account {n}", f"address {n}")
        attempts.begin(f"account {n}", f"address {n}")
    assert len(attempts._failed) <= 100
    assert len(attempts._known) <= 100


def test_too_many_attempts_are_told(client: TestClient) -> None:
    for _ in range(5):
        assert sign_in(client, "admin", "wrong").status_code == 401
    answer = sign_in(client, "admin", PASSWORD)
    assert answer.status_code == 429
    assert answer.json()["type"] == "/problems/too-many-attempts"
    assert 1 <= int(answer.headers["retry-after"]) <= 2
    assert client.get("/problems/too-many-attempts").json()["status"] == 429
    time.sleep(int(answer.headers["retry-after"]))
    assert sign_in(client, "admin", PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("address", "place"),
    [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
     ("fe80::1%eth0", "fe80::/64"), ("", ""), ("testclient", "testclient")],
)  # fmt: skip
def test_addresses_of_one_asker(address: str, place: str) -> None:
    assert place_of(address) == place


def test_few_hashes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sign in, the memory is that of a few hashes; those beyond the queue are refused at once."""
    at_once, most, lock = 0, 0, threading.Lock()

    def slow(*_: object) -> tuple[Identity, str]:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.05)
        with lock:
            at_once -= 1
        return ANONYMOUS_IDENTITY, "x"

    monkeypatch.setattr("api.sign_in._try", slow)
    sign = SignIn()
    context: Context = None

    async def all_at_once() -> list[Any]:
        tries = (sign(context, f"a{n}", "x", f"10.0.0.{n}") for n in range(200))
        return await asyncio.gather(*tries, return_exceptions=True)

    ends = finished(all_at_once())
    assert most == HASHES_AT_ONCE
    assert sum(isinstance(end, Unavailable) for end in ends) == 200 - WAITING_AT_MOST
    assert sign._waiting == 0


def test_a_database_that_is_away_counts_no_attempt(home: object) -> None:
    with TestClient(create_app("postgresql://nobody@127.0.0.1:1/nothing"), raise_server_exceptions=False) as client:
        for _ in range(8):
            assert sign_in(client).status_code == 503
        assert client.get("/session").json() == NOBODY
        assert client.get("/session", headers=bearer(f"leeward_{'A' * 43}")).status_code == 503
        assert client.get("/session", headers={"Cookie": f"{COOKIE}={'A' * 43}"}).status_code == 503


# --- problems


def test_a_problem_carries_what_the_asker_needs() -> None:
    further = {"current": None, "yours": {"name": "x"}, "status": 1, "type": "x", "detail": "x", "title": "x"}
    told = problem_of(EditConflict("changed", parameter="If-Match", further=further))
    assert told.status_code == 412
    assert bytes(told.body) == (
        b'{"type":"/problems/edit-conflict","title":"Somebody else has changed this in the meantime","status":412,'
        b'"detail":"changed","parameter":"If-Match","current":null,"yours":{"name":"x"}}'
    )
    errors = [{"field": "name", "detail": "is missing", "expected": "a text"}]
    assert b'"errors":[{"field"' in bytes(problem_of(InvalidFeature("no", further={"errors": errors})).body)


@pytest.mark.parametrize(
    ("slug", "status"),
    [("sign-in", 401), ("forbidden", 403), ("conflict", 409), ("edit-conflict", 412), ("invalid-feature", 422),
     ("step-refused", 422), ("if-match-required", 428), ("too-many-attempts", 429)],
)  # fmt: skip
def test_types_of_problems_are_told(client: TestClient, slug: str, status: int) -> None:
    assert client.get(f"/problems/{slug}").json()["status"] == status
