"""Accounts: who may do what, passwords, sessions, tokens, and the accounts of the demo.

Of a password the argon2id hash is kept, of a session's secret and of a token the SHA-256: both are 32 random bytes,
which nobody can guess from a digest. Each function works on a cursor: the owner's for keeping accounts (the command
line), the service's for signing in.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import string
import tempfile
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from layers.database import Cursor, one, rows
from layers.errors import Conflict, InvalidValue, NotFound
from layers.settings import settings

if TYPE_CHECKING:
    from argon2 import PasswordHasher

ROLES: Mapping[str, frozenset[str]] = MappingProxyType({
    "reader": frozenset({"read"}),
    "responder": frozenset({"read", "monitor"}),
    "planner": frozenset({"read", "plan"}),
    "editor": frozenset({"read", "monitor", "edit"}),
    "publisher": frozenset({"read", "review", "publish"}),
    "admin": frozenset({"read", "monitor", "edit", "review", "plan", "publish", "administer"}),
})  # fmt: skip
NAME_AT_MOST = 64
PASSWORD_AT_LEAST, PASSWORD_AT_MOST = 12, 256
SESSION_HOURS = 12
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
TOKEN = re.compile(r"leeward_[A-Za-z0-9_-]{43}")
RESERVED = re.compile(r"leeward|psql\b.*")
DEMO = re.compile(r"demo-.*")
DEMO_ACCOUNTS: Mapping[str, str] = MappingProxyType(
    {**{f"demo-{role}": role for role in ROLES}, "demo-publisher-2": "publisher"}
)
DEMO_FILE = "demo-accounts.txt"
DEMO_HEADER = """\
# The accounts of the Leeward demo: name, role, password. Made by `leeward demo`, for this machine only.
# To take them away before others reach the service: leeward user revoke --demo
"""


@dataclass(frozen=True)
class Account:
    """An account that may be used."""

    id: int
    name: str
    role: str

    @property
    def rights(self) -> frozenset[str]:
        """What it may do."""
        return ROLES[self.role]


@dataclass(frozen=True)
class Entry:
    """An account as the list of accounts shows it."""

    name: str
    role: str
    demo: bool
    tokens: int
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


def roles_with(right: str) -> list[str]:
    """The roles that have a right."""
    return [role for role, rights in ROLES.items() if right in rights]


# --- names and passwords


def name_of(text: str) -> str:
    """A name as it is kept: NFC, one space between words.

    Raises
    ------
    InvalidValue
        When it is no name, or one that the change log gives to the command line or to psql.
    """
    name = " ".join(filter(None, unicodedata.normalize("NFC", text[: 4 * NAME_AT_MOST]).split(" ")))
    if not 1 <= len(name) <= NAME_AT_MOST or not name.isprintable():
        raise InvalidValue(
            f"{text[:NAME_AT_MOST]!a} is no name of an account" if not text.isprintable() else "that is no name",
            parameter="name",
            expected=f"1 to {NAME_AT_MOST} printable characters",
        )
    if RESERVED.fullmatch(key_of(name)):
        raise InvalidValue(f"the name {name!r} is Leeward's own", parameter="name", expected="another name")
    return name


def key_of(name: str) -> str:
    """A name without differences of case, width and spacing: 'ＷＡＮＧ' and 'wang' are one account."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def checked_password(text: str, name: str) -> str:
    """A password that may be chosen.

    Raises
    ------
    InvalidValue
        When it is too short or too long, or the name.
    """
    expected = f"{PASSWORD_AT_LEAST} to {PASSWORD_AT_MOST} characters, and not the name"
    if not PASSWORD_AT_LEAST <= len(text) <= PASSWORD_AT_MOST or key_of(text) == key_of(name):
        raise InvalidValue("that password will not do", parameter="password", expected=expected)
    if "\0" in text or not _encodes(text):
        raise InvalidValue("the password holds a character that is no text", parameter="password", expected=expected)
    return text


def _encodes(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def new_password() -> str:
    """A random password that can be read out: five groups of four letters and digits, 99 bits."""
    signs = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("l1o0")))
    return "-".join("".join(secrets.choice(signs) for _ in range(4)) for _ in range(5))


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_urlsafe(32))


def _hash(password: str) -> str:
    return _hasher().hash(unicodedata.normalize("NFC", password).encode())


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether a password belongs to a hash; without a hash it does not, and finding out takes as long."""
    from argon2.exceptions import VerifyMismatchError

    nobodys = _nobodys_hash()
    try:
        right = _hasher().verify(password_hash or nobodys, unicodedata.normalize("NFC", password).encode())
    except VerifyMismatchError:
        return False
    return right and password_hash is not None


# --- keeping accounts


def check(name: str, role: str) -> str:
    """The name of an account that may be added.

    Raises
    ------
    InvalidValue
        When name or role will not do.
    """
    name = name_of(name)
    if DEMO.fullmatch(key_of(name)):
        raise InvalidValue("names with demo- are the demo's own", parameter="name", expected="another name")
    if role not in ROLES:
        raise InvalidValue(f"there is no role {role!a}", parameter="role", expected=", ".join(ROLES))
    return name


def add(cursor: Cursor, name: str, role: str, password: str) -> None:
    """Make an account, or take up a revoked one again: with another role and password, for the same person.

    Raises
    ------
    InvalidValue
        When name, role or password will not do.
    Conflict
        When there is such an account already.
    """
    name = check(name, role)
    _put(cursor, name, role, checked_password(password, name), demo=False)


def _put(cursor: Cursor, name: str, role: str, password: str, *, demo: bool) -> None:
    """Write an account whose name is free, revoked, or another of the demo's."""
    query = """
        INSERT INTO leeward.accounts AS known (name, key, role, password_hash, demo)
        VALUES (%(name)s, %(key)s, %(role)s, %(hash)s, %(demo)s)
        ON CONFLICT (key) DO UPDATE
            SET role = excluded.role, password_hash = excluded.password_hash, revoked_at = NULL
            WHERE known.demo = excluded.demo AND (known.demo OR known.revoked_at IS NOT NULL)
        RETURNING id
    """
    values = {"name": name, "key": key_of(name), "role": role, "hash": _hash(password), "demo": demo}
    number = one(cursor, query, values)
    if number is None:
        raise Conflict(
            f"there is an account {name} already",
            parameter="name",
            expected=f"another name; or leeward user revoke {name}, and then again, for another password or role",
        )
    _end(cursor, number)


def _end(cursor: Cursor, account: int) -> None:
    """End an account's sessions and tokens."""
    cursor.execute("DELETE FROM leeward.sessions WHERE account = %s", (account,))
    cursor.execute("DELETE FROM leeward.tokens WHERE account = %s", (account,))


def revoke(cursor: Cursor, name: str) -> None:
    """Revoke an account: no signing in any more, and its sessions and tokens end at once."""
    number = _number(cursor, name)
    cursor.execute("UPDATE leeward.accounts SET revoked_at = clock_timestamp() WHERE id = %s", (number,))
    _end(cursor, number)


def revoke_tokens(cursor: Cursor, name: str) -> int:
    """End the tokens of an account; how many there were."""
    cursor.execute("DELETE FROM leeward.tokens WHERE account = %s", (_number(cursor, name),))
    return int(cursor.rowcount)


def make_token(cursor: Cursor, name: str) -> str:
    """A new token of an account; it cannot be read again."""
    number = _number(cursor, name)
    token = f"leeward_{secrets.token_urlsafe(32)}"
    cursor.execute("INSERT INTO leeward.tokens (digest, account) VALUES (%s, %s)", (_digest(token), number))
    return token


def _number(cursor: Cursor, name: str) -> int:
    """The number of an account that is not revoked."""
    query = "SELECT id FROM leeward.accounts WHERE key = %s AND revoked_at IS NULL FOR UPDATE"
    number: int | None = one(cursor, query, (key_of(name_of(name)),))
    if number is None:
        raise NotFound(f"there is no account {name!r}", parameter="name", expected="a name of leeward user list")
    return number


def entries(cursor: Cursor) -> list[Entry]:
    """All accounts, in the order in which they were made."""
    query = """
        SELECT name, role, demo, (SELECT count(*) FROM leeward.tokens WHERE account = a.id),
               created_at, used_at, revoked_at
        FROM leeward.accounts AS a ORDER BY id
    """
    return [Entry(*row) for row in rows(cursor, query)]


# --- signing in


def find(cursor: Cursor, name: str, *, demo: bool) -> tuple[Account, str] | None:
    """The account of a name and the hash of its password; None when there is none, or it is revoked.

    Parameters
    ----------
    demo : bool
        Whether the demo's accounts count.
    """
    query = """
        SELECT id, name, role, password_hash FROM leeward.accounts
        WHERE key = %s AND revoked_at IS NULL AND (%s OR NOT demo)
    """
    found = rows(cursor, query, (key_of(name), demo))
    return (Account(*found[0][:3]), found[0][3]) if found else None


def begin_session(cursor: Cursor, account: Account, password_hash: str, *, instead_of: str | None = None) -> str | None:
    """The secret of a new session; None when the account was revoked, or its password changed, in the meantime.

    Parameters
    ----------
    instead_of : str, optional
        The secret of the session that ends with it.
    """
    secret = secrets.token_urlsafe(32)
    query = """
        INSERT INTO leeward.sessions (digest, account, expires_at)
        SELECT %s, id, now() + make_interval(hours => %s) FROM leeward.accounts
        WHERE id = %s AND revoked_at IS NULL AND sha256(convert_to(password_hash, 'UTF8')) = %s
    """  # the digest of the hash, for the database may write slow statements to its log
    cursor.execute(query, (_digest(secret), SESSION_HOURS, account.id, _digest(password_hash)))
    if not cursor.rowcount:
        return None
    cursor.execute("UPDATE leeward.accounts SET used_at = now() WHERE id = %s", (account.id,))
    cursor.execute("DELETE FROM leeward.sessions WHERE expires_at < now()")
    if instead_of is not None:
        end_session(cursor, instead_of)
    return secret


def end_session(cursor: Cursor, secret: str) -> None:
    """End a session."""
    cursor.execute("DELETE FROM leeward.sessions WHERE digest = %s", (_digest(secret),))


def of_session(cursor: Cursor, secret: str, *, demo: bool) -> Account | None:
    """The account of a session's secret; None when it is none, or has ended."""
    query = """
        SELECT a.id, a.name, a.role, a.used_at IS NULL OR a.used_at < now() - interval '5 minutes'
        FROM leeward.sessions AS s JOIN leeward.accounts AS a ON a.id = s.account
        WHERE s.digest = %s AND s.expires_at > now() AND a.revoked_at IS NULL AND (%s OR NOT a.demo)
    """
    return _used(cursor, query, secret, demo)


def of_token(cursor: Cursor, token: str, *, demo: bool) -> Account | None:
    """The account of a token; None when it is none, or has been revoked."""
    query = """
        SELECT a.id, a.name, a.role, t.used_at IS NULL OR t.used_at < now() - interval '5 minutes'
        FROM leeward.tokens AS t JOIN leeward.accounts AS a ON a.id = t.account
        WHERE t.digest = %s AND a.revoked_at IS NULL AND (%s OR NOT a.demo)
    """
    return _used(cursor, query, token, demo)


def _used(cursor: Cursor, query: str, secret: str, demo: bool) -> Account | None:
    """The account that a query finds; that it is used is written down once in five minutes."""
    digest = _digest(secret)
    found = rows(cursor, query, (digest, demo))
    if not found:
        return None
    *known, stale = found[0]
    account = Account(*known)
    if stale:
        cursor.execute("UPDATE leeward.tokens SET used_at = now() WHERE digest = %s", (digest,))
        cursor.execute("UPDATE leeward.accounts SET used_at = now() WHERE id = %s", (account.id,))
    return account


def csrf_of(secret: str) -> str:
    """What a page of this session must send beside the cookie; who knows only this does not know the secret."""
    return hmac.new(secret.encode(), b"leeward csrf", hashlib.sha256).hexdigest()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


# --- the demo


def make_demo(cursor: Cursor) -> Path:
    """Make the demo's accounts, one for each role and a second publisher; the file with their passwords.

    They stay as they are when the file is there and all of them work with it.
    """
    path = settings().home / DEMO_FILE
    known = _read_demo(path)
    if known is not None and all(_works(cursor, name, known[name]) for name in DEMO_ACCOUNTS):
        return path
    made = {name: new_password() for name in DEMO_ACCOUNTS}
    for name, role in DEMO_ACCOUNTS.items():
        _put(cursor, name, role, made[name], demo=True)
    _write_demo(path, made)
    return path


def demo_names(cursor: Cursor) -> list[str]:
    """The demo's accounts that work."""
    query = "SELECT name FROM leeward.accounts WHERE demo AND revoked_at IS NULL ORDER BY id"
    return [name for (name,) in rows(cursor, query)]


def revoke_demo(cursor: Cursor) -> list[str]:
    """Revoke the demo's accounts; those that worked until now."""
    names = demo_names(cursor)
    for name in names:
        revoke(cursor, name)
    (settings().home / DEMO_FILE).unlink(missing_ok=True)
    return names


def clear_demo(cursor: Cursor) -> int:
    """Take the demo's accounts away, and their file; how many there were."""
    cursor.execute("DELETE FROM leeward.accounts WHERE demo")
    (settings().home / DEMO_FILE).unlink(missing_ok=True)
    return int(cursor.rowcount)


def _works(cursor: Cursor, name: str, password: str) -> bool:
    found = find(cursor, name, demo=True)
    return found is not None and found[0].role == DEMO_ACCOUNTS[name] and is_right(password, found[1])


def _read_demo(path: Path) -> dict[str, str] | None:
    """The passwords in the file; None when it is not there, not whole, or others may read it."""
    try:
        if path.stat().st_mode & 0o077:
            return None
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    except (OSError, UnicodeDecodeError):
        return None
    known = {line[0]: line[2] for line in lines if len(line) == 3}
    return known if known.keys() == DEMO_ACCOUNTS.keys() else None


def _write_demo(path: Path, passwords: Mapping[str, str]) -> None:
    """Write the file whole or not at all, for its owner's eyes only."""
    lines = [f"{name:18}{DEMO_ACCOUNTS[name]:11}{password}\n" for name, password in passwords.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{DEMO_FILE}.", dir=path.parent)  # mode 0600
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(DEMO_HEADER + "".join(lines))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
