"""Who asks: from the headers of a request to an identity, and what it may do.

A program sends ``Authorization: Bearer TOKEN``; a browser sends the session's cookie and, with anything but GET, HEAD
and OPTIONS, the session's CSRF token. Each request looks its account up, so that what was revoked ends at once.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import Request

from api.context import Context, InContext, View
from layers import accounts
from layers.accounts import Account
from layers.errors import Forbidden, SignInNeeded
from layers.settings import settings

COOKIE = "leeward_session"
SAFE = ("GET", "HEAD", "OPTIONS")
HOW = "POST /session with name and password, or Authorization: Bearer with a token of `leeward user token`"
PORTS = {"http": 80, "https": 443}
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Identity:
    """Who asks.

    Parameters
    ----------
    name, role : str or None
        None for somebody who has not signed in.
    rights : frozenset of str
        What they may do.
    via : str or None
        How they are known: by a session's cookie or a token.
    csrf : str or None
        What the session's page sends with what it changes.
    """

    name: str | None
    role: str | None
    rights: frozenset[str]
    via: Literal["session", "token"] | None
    csrf: str | None = field(default=None, repr=False)


ANONYMOUS_IDENTITY = Identity(None, None, frozenset(), None)


def bears_credentials(headers: Headers) -> bool:
    """Whether a request says who it is from: if not, ``identify`` asks no database."""
    headers = list(headers)
    return bool(_tokens(headers) or _secrets(headers))


def identify(context: Context, headers: Headers, method: str) -> Identity:
    """Who a request is from.

    Parameters
    ----------
    headers : iterable of pairs of bytes
        As ASGI gives them: names in lower case.
    method : str
        With a method that changes nothing, a session that has ended is nobody's; else it is refused.

    Raises
    ------
    SignInNeeded
        When a token is wrong, or a session has ended. A token is taken before a cookie.
    Forbidden
        When the request may have been made by the page of another site.
    """
    headers = list(headers)
    tokens = _tokens(headers)
    if tokens:
        return _of_token(context, tokens)
    if not _secrets(headers):
        return ANONYMOUS_IDENTITY
    secret = session_secret(headers)
    account = of_session(context, secret) if secret is not None else None
    if secret is None or account is None:
        if method in SAFE:
            return ANONYMOUS_IDENTITY
        raise SignInNeeded("the session has ended", expected=HOW)
    if method not in SAFE:
        refuse_other_sites(headers)
        refuse_without_csrf(headers, secret)
    return of_account(account, "session", accounts.csrf_of(secret))


def of_account(account: Account, via: Literal["session", "token"], csrf: str | None = None) -> Identity:
    """The identity of an account."""
    return Identity(account.name, account.role, account.rights, via, csrf)


def need(identity: Identity, right: str) -> None:
    """Refuse somebody who lacks a right.

    Raises
    ------
    SignInNeeded
        When they have not signed in.
    Forbidden
        When their role does not have it.
    """
    if right in identity.rights:
        return
    roles = accounts.roles_with(right)
    if identity.name is None:
        raise SignInNeeded(f"this needs an account that may {right}: {', '.join(roles)}", expected=HOW)
    raise Forbidden(
        f"the role {identity.role} may not {right}",
        expected=f"an account that may: {', '.join(roles)}",
        further={"roles": roles},
    )


# --- tokens


def _tokens(headers: Headers) -> list[str]:
    """What the Authorization headers say after Bearer; other schemes are a proxy's affair."""
    given = [value.decode("latin-1").strip().partition(" ") for name, value in headers if name == b"authorization"]
    return [token.strip() for scheme, _, token in given if scheme.lower() == "bearer"]


def _of_token(context: Context, tokens: list[str]) -> Identity:
    account = None
    if len(tokens) == 1 and accounts.TOKEN.fullmatch(tokens[0]):
        with context.writers.connection() as connection, connection.cursor() as cursor:
            account = accounts.of_token(cursor, tokens[0], demo=settings().is_loopback)
    if account is None:
        raise SignInNeeded(
            "the token is not valid: it is none of ours, or it was revoked",
            parameter="Authorization",
            expected="Bearer and one token of `leeward user token NAME`",
        )
    return of_account(account, "token")


# --- sessions


def _secrets(headers: Headers) -> list[str]:
    """The values of the session's cookie, as they were sent."""
    cookies = b";".join(value for name, value in headers if name == b"cookie").decode("latin-1").split(";")
    pairs = [cookie.strip().partition("=") for cookie in cookies]
    return [value for name, _, value in pairs if name == COOKIE]


def session_secret(headers: Headers) -> str | None:
    """The session's secret; None when it can be none, or there are several: one may have been slipped in."""
    found = _secrets(headers)
    return found[0] if len(found) == 1 and accounts.SECRET.fullmatch(found[0]) else None


def of_session(context: Context, secret: str) -> Account | None:
    """The account of a session."""
    with context.writers.connection() as connection, connection.cursor() as cursor:
        return accounts.of_session(cursor, secret, demo=settings().is_loopback)


def refuse_other_sites(headers: Headers) -> None:
    """Refuse a request that the page of another site has made.

    Raises
    ------
    Forbidden
        When it has an Origin, and that is not the host that it was sent to.
    """
    origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    if origins and (len(origins) > 1 or len(hosts) != 1 or not _same_host(origins[0], hosts[0])):
        raise Forbidden(
            f"the request was made by a page of {origins[0][:200]!a}",
            parameter="Origin",
            expected="a page of this service; a proxy before it must pass the header Host on",
        )


def _same_host(origin: str, host: str) -> bool:
    """Whether an origin is of a host; the scheme is left to the proxy that speaks TLS."""
    try:
        one, other = urlsplit(origin), urlsplit(f"//{host}")
        default = PORTS.get(one.scheme)
        known = one.hostname is not None and default is not None
        return known and (one.hostname, one.port or default) == (other.hostname, other.port or default)
    except ValueError:
        return False


def refuse_without_csrf(headers: Headers, secret: str) -> None:
    """Refuse a request that does not bring the session's CSRF token.

    Raises
    ------
    Forbidden
        When it is missing or wrong.
    """
    given = [value for name, value in headers if name == b"x-csrf-token"]
    if len(given) != 1 or not hmac.compare_digest(given[0], accounts.csrf_of(secret).encode()):
        raise Forbidden(
            "the request does not bring the session's CSRF token",
            parameter="X-CSRF-Token",
            expected="the csrf that GET /session tells",
        )


def _asker(request: Request, context: InContext) -> Identity:
    return identify(context, request.headers.raw, request.method)


Asker = Annotated[Identity, Depends(_asker)]


def view_of(context: Context, identity: Identity) -> View:
    """What somebody may see: everything with the right to read, else what is public."""
    return context.internal if "read" in identity.rights else context.public


def _view(context: InContext, identity: Asker) -> View:
    return view_of(context, identity)


InView = Annotated[View, Depends(_view)]
