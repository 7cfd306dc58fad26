"""Accounts: names, passwords, sessions, tokens, and who may read their tables."""

from __future__ import annotations

import re
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from layers import accounts
from layers.accounts import DEMO_ACCOUNTS, ROLES, Account
from layers.database import INTERNAL, RELEASED, Cursor, DatabaseError, Writers, one, rows, transaction
from layers.errors import Conflict, InvalidValue, NotFound
from layers.settings import settings

PASSWORD = "correct horse battery"
TABLES = ("accounts", "sessions", "tokens")


@pytest.fixture
def database(module_database: str) -> str:
    """A database without accounts."""
    with transaction(module_database) as cursor:
        cursor.execute("DELETE FROM leeward.accounts")
    return module_database


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LEEWARD_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def cursor(database: str) -> Iterator[Cursor]:
    """The owner's cursor."""
    with transaction(database) as cursor:
        yield cursor


def signed_in(cursor: Cursor, name: str) -> str:
    found = accounts.find(cursor, name, demo=True)
    assert found is not None
    secret = accounts.begin_session(cursor, *found)
    assert secret is not None
    return secret


def test_the_table_takes_the_roles_that_there_are(cursor: Cursor) -> None:
    query = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'accounts_role_check'"
    assert set(re.findall(r"'(\w+)'", one(cursor, query))) == set(ROLES)


def test_roles_are_told_by_right() -> None:
    assert accounts.roles_with("read") == list(ROLES)
    assert accounts.roles_with("edit") == ["editor", "admin"]
    assert accounts.roles_with("review") == ["publisher", "admin"]
    assert accounts.roles_with("administer") == ["admin"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("王立", "王立"),
        ("  Wang   Li ", "Wang Li"),
        ("Re\u0301ne\u0301", "Réné"),
        ("O'Brien; DROP TABLE accounts; --", "O'Brien; DROP TABLE accounts; --"),
        ("a" * 64, "a" * 64),
    ],
)
def test_names(text: str, name: str) -> None:
    assert accounts.name_of(text) == name


@pytest.mark.parametrize(
    "text",
    ["", " ", "a" * 65, "王" * 10**6, "a\0b", "a\nb", "a\x1b[31mb", "a\u200bb", "\u202egnaw", "a\u3000b", "\ud800",
     "a\u00a0b", "leeward", "Leeward", "ＬＥＥＷＡＲＤ", "psql: root", "PSQL： root", "psql"],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        accounts.name_of(text)
    str(refused.value).encode()
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "password", ["", "short", "a" * 11, "a" * 257, "Réné Descartes", "twelve\0signs", "x" * 12 + "\ud800"]
)
def test_passwords_that_will_not_do(password: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        accounts.checked_password(password, "réné  descartes")
    assert not password or password not in str(refused.value)


def test_a_password_is_right_or_wrong(cursor: Cursor) -> None:
    accounts.add(cursor, "王立", "editor", PASSWORD)
    account, password_hash = accounts.find(cursor, "王立", demo=False) or (None, "")
    assert isinstance(account, Account)
    assert (account.name, account.role, account.rights) == ("王立", "editor", {"read", "monitor", "edit"})
    assert password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert PASSWORD not in password_hash
    assert accounts.is_right(PASSWORD, password_hash)
    assert not accounts.is_right(PASSWORD + " ", password_hash)
    assert not accounts.is_right(PASSWORD, None)
    assert not accounts.is_right("", password_hash)


def test_a_password_means_the_same_however_it_is_composed(cursor: Cursor) -> None:
    accounts.add(cursor, "a", "reader", "re\u0301ne\u0301 descartes")
    found = accounts.find(cursor, "a", demo=False)
    assert found is not None
    assert accounts.is_right("réné descartes", found[1])


def test_an_unknown_name_takes_as_long_as_a_wrong_password(cursor: Cursor) -> None:
    accounts.add(cursor, "a", "reader", PASSWORD)
    found = accounts.find(cursor, "a", demo=False)
    assert found is not None
    times: dict[str | None, list[float]] = {found[1]: [], None: []}
    for _ in range(5):
        for known, taken in times.items():
            started = time.perf_counter()
            accounts.is_right("wrong", known)
            taken.append(time.perf_counter() - started)
    there, absent = (statistics.median(taken) for taken in times.values())
    assert 0.5 < there / absent < 2


@pytest.mark.parametrize("same", ["Wang", "wang", "ＷＡＮＧ", " WANG "])
def test_no_two_accounts_look_alike(cursor: Cursor, same: str) -> None:
    accounts.add(cursor, "Wang", "reader", PASSWORD)
    with pytest.raises(Conflict):
        accounts.add(cursor, same, "admin", PASSWORD)
    assert (accounts.find(cursor, same, demo=False) or [None])[0] is not None
    assert [entry.role for entry in accounts.entries(cursor)] == ["reader"]


@pytest.mark.parametrize(("name", "role"), [("demo-x", "reader"), ("DEMO－x", "reader"), ("x", "root"), ("x", "")])
def test_what_cannot_be_added(cursor: Cursor, name: str, role: str) -> None:
    with pytest.raises(InvalidValue):
        accounts.add(cursor, name, role, PASSWORD)


def test_sql_in_a_name_is_a_name(cursor: Cursor) -> None:
    name = "'; DELETE FROM leeward.accounts; --"
    accounts.add(cursor, "a", "reader", PASSWORD)
    assert accounts.find(cursor, name, demo=True) is None
    with pytest.raises(NotFound):
        accounts.revoke(cursor, name)
    accounts.add(cursor, name, "reader", PASSWORD)
    assert [entry.name for entry in accounts.entries(cursor)] == ["a", name]
    assert accounts.find(cursor, "%", demo=True) is None


def test_a_session_begins_and_ends(cursor: Cursor) -> None:
    accounts.add(cursor, "a", "planner", PASSWORD)
    secret = signed_in(cursor, "a")
    assert accounts.SECRET.fullmatch(secret)
    assert accounts.of_session(cursor, secret, demo=False) == accounts.find(cursor, "a", demo=False)[0]
    for wrong in ("", "x", secret[:-1], secret + "x", secret.swapcase(), "é" * 43, "' OR true --"):
        assert accounts.of_session(cursor, wrong, demo=False) is None
    kept = rows(cursor, "SELECT digest, expires_at - created_at FROM leeward.sessions")
    assert len(bytes(kept[0][0])) == 32
    assert kept[0][1].total_seconds() == 12 * 3600
    assert secret not in str(rows(cursor, "SELECT encode(digest, 'escape'), * FROM leeward.sessions"))
    accounts.end_session(cursor, secret)
    assert accounts.of_session(cursor, secret, demo=False) is None


def test_a_session_ends_by_itself(cursor: Cursor) -> None:
    accounts.add(cursor, "a", "planner", PASSWORD)
    secret = signed_in(cursor, "a")
    cursor.execute("UPDATE leeward.sessions SET expires_at = now() - interval '1 second'")
    assert accounts.of_session(cursor, secret, demo=False) is None
    signed_in(cursor, "a")
    assert one(cursor, "SELECT count(*) FROM leeward.sessions") == 1


def test_a_new_session_takes_the_place_of_the_former(cursor: Cursor) -> None:
    accounts.add(cursor, "a", "planner", PASSWORD)
    former = signed_in(cursor, "a")
    found = accounts.find(cursor, "a", demo=False)
    assert found is not None
    secret = accounts.begin_session(cursor, *found, instead_of=former)
    assert secret not in (None, former)
    assert accounts.of_session(cursor, former, demo=False) is None


def test_csrf_tokens_are_a_sessions_own() -> None:
    assert accounts.csrf_of("a") == accounts.csrf_of("a") != accounts.csrf_of("b")
    assert accounts.csrf_of("a") != "a"


def test_tokens(cursor: Cursor) -> None:
    accounts.add(cursor, "a", "responder", PASSWORD)
    token, other = accounts.make_token(cursor, "a"), accounts.make_token(cursor, "A")
    assert accounts.TOKEN.fullmatch(token)
    assert token != other
    account = accounts.of_token(cursor, token, demo=False)
    assert account is not None
    assert account.role == "responder"
    assert accounts.of_token(cursor, token.removeprefix("leeward_"), demo=False) is None
    assert accounts.of_session(cursor, token, demo=False) is None
    assert accounts.entries(cursor)[0].tokens == 2
    assert token not in str(rows(cursor, "SELECT encode(digest, 'escape'), * FROM leeward.tokens"))
    assert accounts.revoke_tokens(cursor, "a") == 2
    assert accounts.of_token(cursor, token, demo=False) is None
    with pytest.raises(NotFound):
        accounts.make_token(cursor, "absent")


def test_when_it_was_last_used_is_written_once_in_five_minutes(database: str, cursor: Cursor) -> None:
    accounts.add(cursor, "a", "responder", PASSWORD)
    token = accounts.make_token(cursor, "a")
    cursor.connection.commit()
    assert accounts.entries(cursor)[0].used_at is None
    query = "SELECT a.used_at, t.used_at FROM leeward.accounts AS a JOIN leeward.tokens AS t ON t.account = a.id"
    with transaction(database) as other:
        accounts.of_token(other, token, demo=False)
    first = rows(cursor, query)
    assert None not in first[0]
    cursor.connection.commit()
    with transaction(database) as other:
        accounts.of_token(other, token, demo=False)
    assert rows(cursor, query) == first
    cursor.execute("UPDATE leeward.tokens SET used_at = used_at - interval '6 minutes'")
    cursor.connection.commit()
    with transaction(database) as other:
        accounts.of_token(other, token, demo=False)
    assert rows(cursor, query)[0][1] > first[0][1]


def test_revoking_ends_everything_at_once(cursor: Cursor) -> None:
    accounts.add(cursor, "a", "admin", PASSWORD)
    secret, token = signed_in(cursor, "a"), accounts.make_token(cursor, "a")
    found = accounts.find(cursor, "a", demo=False)
    assert found is not None
    accounts.revoke(cursor, "a")
    assert accounts.find(cursor, "a", demo=False) is None
    assert accounts.of_session(cursor, secret, demo=False) is None
    assert accounts.of_token(cursor, token, demo=False) is None
    assert accounts.begin_session(cursor, *found) is None
    with pytest.raises(NotFound):
        accounts.revoke(cursor, "a")
    with pytest.raises(NotFound):
        accounts.make_token(cursor, "a")
    # taken up again: for the same person, and nothing of old works
    accounts.add(cursor, "A", "reader", PASSWORD + " new")
    assert accounts.begin_session(cursor, *found) is None
    assert accounts.of_session(cursor, secret, demo=False) is None
    entry = accounts.entries(cursor)[0]
    assert (entry.name, entry.role, entry.revoked_at, entry.tokens) == ("a", "reader", None, 0)


def test_a_session_that_began_while_the_account_was_revoked_is_none(database: str, cursor: Cursor) -> None:
    accounts.add(cursor, "a", "admin", PASSWORD)
    found = accounts.find(cursor, "a", demo=False)
    assert found is not None
    cursor.connection.commit()
    accounts.revoke(cursor, "a")  # not committed
    secrets: list[str | None] = []

    def begin() -> None:
        with transaction(database) as other:
            secrets.append(accounts.begin_session(other, *found))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join(0.5)
    cursor.connection.commit()
    thread.join()
    assert len(secrets) == 1
    assert secrets[0] is None or accounts.of_session(cursor, secrets[0], demo=False) is None


@pytest.mark.parametrize("scope", [RELEASED, INTERNAL])
@pytest.mark.parametrize("table", TABLES)
def test_readers_cannot_read_accounts(cursor: Cursor, scope: object, table: str) -> None:
    cursor.execute(f"SET LOCAL ROLE {scope.role}")
    with pytest.raises(DatabaseError, match="permission denied"):
        cursor.execute(f"SELECT 1 FROM leeward.{table}")  # noqa: S608  a table's name
    cursor.connection.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO leeward.accounts (name, key, role, password_hash) VALUES ('x', 'x', 'admin', '$argon2id$')",
        "UPDATE leeward.accounts SET role = 'admin'",
        "UPDATE leeward.accounts SET password_hash = '$argon2id$'",
        "UPDATE leeward.accounts SET revoked_at = NULL",
        "DELETE FROM leeward.accounts",
        "INSERT INTO leeward.tokens (digest, account) VALUES ('x', 1)",
        "UPDATE leeward.tokens SET account = 1",
        "UPDATE leeward.sessions SET account = 1",
        "UPDATE leeward.sessions SET expires_at = 'infinity'",
        "TRUNCATE leeward.sessions",
    ],
)
def test_the_service_cannot_make_or_change_accounts(database: str, statement: str) -> None:
    writers = Writers(database, size=1)
    try:
        with pytest.raises(DatabaseError, match="permission denied"), writers.transaction() as cursor:
            cursor.execute(statement)
    finally:
        writers.close()


def test_the_service_can_sign_in(database: str, cursor: Cursor) -> None:
    accounts.add(cursor, "a", "admin", PASSWORD)
    token = accounts.make_token(cursor, "a")
    cursor.connection.commit()
    writers = Writers(database, size=1)
    try:
        with writers.transaction("a") as writer:
            secret = signed_in(writer, "a")
        with writers.connection() as connection, connection.cursor() as writer:
            assert accounts.of_session(writer, secret, demo=False)
            assert accounts.of_token(writer, token, demo=False)
            accounts.end_session(writer, secret)
    finally:
        writers.close()


@pytest.mark.parametrize("query", ["digest = '\\x00'", "account = 1", "expires_at < now()"])
def test_sessions_are_found_by_index(cursor: Cursor, query: str) -> None:
    cursor.execute("SET LOCAL enable_seqscan = off")
    plan = str(rows(cursor, f"EXPLAIN SELECT 1 FROM leeward.sessions WHERE {query}"))  # noqa: S608  of this test
    assert "Index" in plan


# --- the demo


def test_demo_accounts_stay_while_they_work(cursor: Cursor, home: Path) -> None:
    path = accounts.make_demo(cursor)
    assert path == home / "demo-accounts.txt"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(home.iterdir()) == [path]
    text = path.read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert {name: role for name, role, _ in lines} == DEMO_ACCOUNTS
    assert sorted(DEMO_ACCOUNTS.values()) == sorted([*ROLES, "publisher"])
    assert len({password for _, _, password in lines}) == 7
    for name, _, password in lines:
        assert accounts.is_right(password, (accounts.find(cursor, name, demo=True) or ("", None))[1])
    secret = signed_in(cursor, "demo-admin")
    accounts.make_demo(cursor)
    assert path.read_text(encoding="utf-8") == text
    assert accounts.of_session(cursor, secret, demo=True)
    assert accounts.of_session(cursor, secret, demo=False) is None
    assert accounts.find(cursor, "demo-admin", demo=False) is None


def test_demo_accounts_that_do_not_work_are_made_anew(cursor: Cursor, home: Path) -> None:
    path = accounts.make_demo(cursor)

    def anew() -> None:
        before = path.read_bytes() if path.exists() else b""
        accounts.make_demo(cursor)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() != before
        assert len(accounts.demo_names(cursor)) == 7

    accounts.revoke(cursor, "demo-editor")
    anew()
    path.unlink()
    anew()
    path.chmod(0o644)
    anew()
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)
    anew()
    path.write_text("# demo\ndemo-reader reader x\n", encoding="utf-8")
    anew()
    path.unlink()
    elsewhere = home / "elsewhere"
    elsewhere.write_text("mine", encoding="utf-8")
    path.symlink_to(elsewhere)
    anew()
    assert elsewhere.read_text(encoding="utf-8") == "mine"
    assert not path.is_symlink()


def test_demo_accounts_go(cursor: Cursor, home: Path) -> None:
    accounts.add(cursor, "a", "admin", PASSWORD)
    path = accounts.make_demo(cursor)
    token = accounts.make_token(cursor, "demo-admin")
    assert accounts.revoke_demo(cursor) == list(DEMO_ACCOUNTS)
    assert accounts.demo_names(cursor) == []
    assert accounts.of_token(cursor, token, demo=True) is None
    assert not path.exists()
    assert accounts.revoke_demo(cursor) == []
    accounts.make_demo(cursor)
    assert accounts.clear_demo(cursor) == 7
    assert not path.exists()
    assert [entry.name for entry in accounts.entries(cursor)] == ["a"]
    assert accounts.clear_demo(cursor) == 0
