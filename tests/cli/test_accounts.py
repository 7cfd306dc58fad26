"""``leeward user``, and the accounts of the demo: who may sign in, and where the service then refuses to listen."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli import data, service
from cli.main import app
from layers import accounts
from layers.database import transaction
from layers.settings import settings

Run = Callable[..., Result]
PASSWORD = "correct horse battery"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The databases that would have been served; no sample county is loaded, which other tests do."""
    urls: list[str] = []
    monkeypatch.setattr("layers.demo.load", lambda *_, **__: {})
    monkeypatch.setattr(service, "run", urls.append)
    monkeypatch.setattr(data, "run", urls.append)
    monkeypatch.setattr(service, "check_address", lambda: None)
    monkeypatch.setattr(data, "check_address", lambda: None)
    return urls


def listed(run: Run) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("user", "list", "--json").stdout)
    return found


def test_an_account_from_adding_to_revoking(run: Run, database: str) -> None:
    done = run("user", "add", "王立", "--role", "editor", "--generate")
    assert done.exit_code == 0, done.stderr
    password = done.stdout.strip()
    assert done.stdout == password + "\n"
    assert password not in done.stderr
    with transaction(database) as cursor:
        found = accounts.find(cursor, "王立", demo=False)
    assert found is not None
    assert accounts.is_right(password, found[1])
    token = run("user", "token", "王立").stdout.strip()
    with transaction(database) as cursor:
        assert accounts.of_token(cursor, token, demo=False) == found[0]
    entry = listed(run)[0]
    assert {**entry, "created_at": "", "used_at": ""} == {
        "name": "王立", "role": "editor", "demo": False, "tokens": 1,
        "created_at": "", "used_at": "", "revoked_at": None,
    }  # fmt: skip
    shown = run("user", "list").stdout
    assert "王立" in shown
    for secret in (password, token, "argon2", found[1]):
        assert secret not in shown + json.dumps(listed(run))
    assert run("user", "revoke", "王立", "--tokens").stdout == "tokens ended: 1\n"
    assert run("user", "revoke", "王立").stdout == "revoked: 王立\n"
    assert listed(run)[0]["revoked_at"] is not None
    assert run("user", "token", "王立").exit_code == 2
    assert run("user", "add", "王立", "--role", "reader", "--generate").exit_code == 0
    assert (listed(run)[0]["role"], listed(run)[0]["revoked_at"]) == ("reader", None)
    again = run("user", "add", "王立", "--role", "reader", "--generate")
    assert again.exit_code == 1
    assert "there is an account 王立 already" in again.stderr
    assert again.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "x"),
        ("add", "x", "--role", "root", "--generate"),
        ("add", "", "--role", "reader", "--generate"),
        ("add", "a\x1b[2Jb", "--role", "reader", "--generate"),
        ("add", "demo-me", "--role", "reader", "--generate"),
        ("add", "leeward", "--role", "reader", "--generate"),
        ("add", "x", "--role", "reader", "--generate", "--password-stdin"),
        ("add", "x", "--role", "reader"),
        ("add", "x", "--role", "reader", "--password", PASSWORD),
        ("token", "absent"),
        ("token",),
        ("revoke", "absent"),
        ("revoke",),
        ("revoke", "x", "--demo"),
        ("revoke", "--demo", "--tokens"),
        ("revoke", "--tokens"),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    done = run("user", *arguments)
    assert done.exit_code == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr
    assert "\x1b[2J" not in done.stderr


@pytest.mark.parametrize(
    ("given", "code"),
    [(f"{PASSWORD}\n", 0), (f"{PASSWORD}\r\nmore\n", 0), (PASSWORD, 0), ("", 2), ("short\n", 2), (b"\xff" * 20, 2)],
)
def test_a_password_from_standard_input(run: Run, database: str, given: str | bytes, code: int) -> None:
    run("layers")
    arguments = ("user", "add", "x", "--role", "reader", "--password-stdin")
    done = CliRunner().invoke(app, arguments, input=given)
    assert done.exit_code == code, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    with transaction(database) as cursor:
        found = accounts.find(cursor, "x", demo=False)
    assert (found is not None) == (code == 0)
    assert found is None or accounts.is_right(PASSWORD, found[1])


def test_a_password_from_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    given: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda _: given.pop(0))
    monkeypatch.setattr("cli.accounts.sys", type("System", (), {"stdin": Terminal()}))
    given[:] = [PASSWORD, PASSWORD + "!"]
    done = run("user", "add", "x", "--role", "reader")
    assert (done.exit_code, listed(run)) == (2, [])
    assert "the two are not the same" in done.stderr
    given[:] = ["short"]
    assert run("user", "add", "x", "--role", "reader").exit_code == 2
    given[:] = [PASSWORD, PASSWORD]
    assert run("user", "add", "x", "--role", "reader").exit_code == 0
    assert [entry["name"] for entry in listed(run)] == ["x"]


def test_names_are_shown_as_they_are(run: Run) -> None:
    name = "[red]x[/red] --"
    assert run("user", "add", name, "--role", "reader", "--generate").exit_code == 0
    assert name in run("user", "list").stdout


def test_bytes_that_are_no_text(run: Run, database: str, tmp_path: Path) -> None:
    environment = {**os.environ, "LEEWARD_DATABASE_URL": database, "LEEWARD_HOME": str(tmp_path / "home")}
    program = str(Path(sys.executable).parent / "leeward")
    command = [program.encode(), b"user", b"add", b"\xff\xfe", b"--role", b"reader", b"--generate"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


# --- the demo


def test_the_demo_makes_accounts_and_says_how_to_sign_in(run: Run, served: list[str], database: str) -> None:
    done = run("demo", "--scale", "1")
    assert done.exit_code == 0, done.stderr
    assert served == [database]
    path = settings().home / "demo-accounts.txt"
    assert f"to sign in: an account for each role stands with its password in {path}\n" in done.stderr
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600
    passwords = [line.split()[2] for line in text.splitlines() if not line.startswith("#")]
    assert not any(password in done.stdout + done.stderr for password in passwords)
    assert len(listed(run)) == 7
    run("demo")
    assert path.read_text(encoding="utf-8") == text

    # where others can come, neither verb serves while they work
    for verb in ("serve", "demo"):
        refused = run(verb, LEEWARD_HOST="0.0.0.0")
        assert refused.exit_code == 2
        assert "LEEWARD_HOST: 0.0.0.0 can be reached by others" in refused.stderr
        assert "leeward user revoke --demo" in refused.stderr
    assert len(served) == 2
    assert run("serve", LEEWARD_HOST="localhost").exit_code == 0
    assert run("serve", LEEWARD_HOST="::1").exit_code == 0
    assert run("user", "revoke", "--demo").stdout.startswith("revoked: demo-reader, ")
    assert not path.exists()
    assert run("user", "revoke", "--demo").stdout == "no account of the demo works\n"
    assert run("serve", LEEWARD_HOST="0.0.0.0").exit_code == 0
    done = run("demo", LEEWARD_HOST="0.0.0.0")
    assert "no demo accounts" in done.stderr
    assert not path.exists()
    assert len(served) == 6

    run("demo", LEEWARD_HOST="127.0.0.1")
    done = run("demo", "--clear")
    assert "7 demo accounts taken away" in done.stderr
    assert listed(run) == []
    assert not path.exists()


def test_loading_alone_makes_no_accounts(run: Run, served: list[str]) -> None:
    assert run("demo", "--load-only").exit_code == 0
    assert listed(run) == []
    assert served == []
