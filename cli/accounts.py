"""``leeward user``: who may sign in."""

from __future__ import annotations

import dataclasses
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.database import opened
from cli.output import Json, plain_errors, print_json, say
from layers.errors import InvalidValue

if TYPE_CHECKING:
    from datetime import datetime

    from layers.database import Cursor

app = typer.Typer(help="Add, list and revoke accounts; make tokens for programs.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The account's name.")]


@contextmanager
def _transaction() -> Iterator[Cursor]:
    from layers.database import transaction

    with opened() as url, transaction(url) as cursor:
        yield cursor


@app.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="reader, responder, planner, editor, publisher or admin.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
    generate: Annotated[bool, typer.Option("--generate", help="Make a password, and print it once.")] = False,
) -> None:
    """Add an account, or take a revoked one up again; the password is asked for on the terminal."""
    with plain_errors():
        from layers import accounts

        if password_stdin and generate:
            raise InvalidValue("there are two ways to get a password", expected="--password-stdin or --generate")
        accounts.check(name, role)
        password = accounts.new_password() if generate else _password(name, from_input=password_stdin)
        with _transaction() as cursor:
            accounts.add(cursor, name, role, password)
        say(f"{accounts.name_of(name)} may sign in as {role}")
        if generate:
            print(password)


def _password(name: str, *, from_input: bool) -> str:
    """The password for an account: twice from the terminal, or the first line of standard input."""
    from layers.accounts import checked_password

    if from_input:
        try:
            return checked_password(sys.stdin.readline().rstrip("\r\n"), name)
        except UnicodeDecodeError:
            raise InvalidValue("the password is not UTF-8", parameter="password", expected="text") from None
    if not sys.stdin.isatty():
        raise InvalidValue(
            "there is no terminal to ask for the password",
            parameter="password",
            expected="--password-stdin, or --generate",
        )
    first = checked_password(getpass.getpass("Password: "), name)
    if getpass.getpass("The same again: ") != first:
        raise InvalidValue("the two are not the same", parameter="password", expected="the same password twice")
    return first


@app.command()
def token(name: Name) -> None:
    """Make a token with which a program acts for an account, and print it once."""
    with plain_errors():
        from layers import accounts

        with _transaction() as cursor:
            made = accounts.make_token(cursor, name)
        say("Kept nowhere: this is the only time it can be read. To be sent as: Authorization: Bearer TOKEN")
        print(made)


@app.command(name="list")
def list_command(as_json: Json = False) -> None:
    """List the accounts."""
    with plain_errors():
        from layers import accounts

        with _transaction() as cursor:
            found = accounts.entries(cursor)
        if as_json:
            print_json([dataclasses.asdict(entry) for entry in found])
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        listing = Table("name", "role", "created", "last used", "tokens", "revoked", box=None, pad_edge=False)
        for e in found:
            days = _day(e.created_at), _minute(e.used_at), str(e.tokens), _day(e.revoked_at)
            listing.add_row(Text(e.name, overflow="fold"), e.role, *days)
        Console().print(listing)


def _day(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d}" if moment is not None else ""


def _minute(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment is not None else ""


@app.command()
def revoke(
    name: Annotated[str | None, typer.Argument(help="The account's name.")] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="End its tokens; it can still sign in.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Revoke the accounts of the demo.")] = False,
) -> None:
    """Revoke an account: it cannot sign in any more, and its sessions and tokens end at once."""
    with plain_errors():
        from layers import accounts

        if demo == (name is not None) or (demo and tokens):
            raise InvalidValue("which account is meant is not clear", parameter="name", expected="NAME, or --demo")
        with _transaction() as cursor:
            if name is None:
                gone = accounts.revoke_demo(cursor)
                words = f"revoked: {', '.join(gone)}" if gone else "no account of the demo works"
            elif tokens:
                words = f"tokens ended: {accounts.revoke_tokens(cursor, name)}"
            else:
                accounts.revoke(cursor, name)
                words = f"revoked: {accounts.name_of(name)}"
        print(words)
