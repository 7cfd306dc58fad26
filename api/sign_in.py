"""Signing in by name and password: few hashes at once, and ever slower for those who guess."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from api.access import Identity, of_account
from api.context import Context
from layers import accounts
from layers.errors import SignInNeeded, TooManyAttempts, Unavailable
from layers.settings import settings

log = logging.getLogger("leeward")

HASHES_AT_ONCE = 2  # 64 MB each
WAITING_AT_MOST = 20
FREE_OF_ACCOUNT, FREE_OF_ADDRESS = 5, 30
WAIT_AT_MOST_S = 60.0
FORGOTTEN_AFTER_S = 900.0
REMEMBERED_AT_MOST = 20_000


class Attempts:
    """Attempts that failed, by account and by address, and how long each must wait for the next.

    After so many free ones each failure doubles the wait, from 1 s to a minute. Where an account was signed in to
    before, its attempts are counted apart: who guesses elsewhere cannot lock its owner out.

    Parameters
    ----------
    clock : function
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: OrderedDict[tuple[str, ...], tuple[int, float]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, account: str, address: str) -> None:
        """Count an attempt as failed, before it is known: many at once gain nothing.

        Raises
        ------
        TooManyAttempts
            When it comes too early.
        """
        with self._lock:
            keys = self._keys(account, address)
            wait = math.ceil(max(self._wait(key) for key in keys))
            if wait > 0:
                raise TooManyAttempts(
                    f"signing in failed too often: the next attempt may be made in {wait} s",
                    expected="the name and password of an account; who has forgotten them asks an administrator",
                    further={"retry_after_s": wait},
                )
            for key in keys:
                self._put(key, self._count(key) + 1)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the failures of an account here, and of its address this one attempt."""
        with self._lock:
            self._take_back(account, address)
            self._failed.pop(self._keys(account, address)[0], None)
            self._known[account, address] = None
            self._known.move_to_end((account, address))
            while len(self._known) > REMEMBERED_AT_MOST:
                self._known.popitem(last=False)

    def undecided(self, account: str, address: str) -> None:
        """Forget one attempt, which came to no end."""
        with self._lock:
            self._take_back(account, address)

    def _take_back(self, account: str, address: str) -> None:
        for key in self._keys(account, address):
            count, last = self._failed.get(key, (1, 0.0))
            if count > 1:
                self._failed[key] = (count - 1, last)
            else:
                self._failed.pop(key, None)

    def _keys(self, account: str, address: str) -> list[tuple[str, ...]]:
        """Under what an attempt counts: the account, here alone if it was signed in to here; and the address."""
        own = (account, address) if (account, address) in self._known else (account,)
        return [("account", *own), ("address", address)]

    def _count(self, key: tuple[str, ...]) -> int:
        count, last = self._failed.get(key, (0, 0.0))
        return count if self._clock() - last < FORGOTTEN_AFTER_S else 0

    def _wait(self, key: tuple[str, ...]) -> float:
        """Seconds until the next attempt."""
        beyond = self._count(key) - (FREE_OF_ACCOUNT if key[0] == "account" else FREE_OF_ADDRESS)
        if beyond < 0:
            return 0.0
        return min(WAIT_AT_MOST_S, 2.0 ** min(beyond, 10)) - (self._clock() - self._failed[key][1])

    def _put(self, key: tuple[str, ...], count: int) -> None:
        self._failed[key] = (count, self._clock())
        self._failed.move_to_end(key)
        while len(self._failed) > REMEMBERED_AT_MOST:
            self._failed.popitem(last=False)


class SignIn:
    """Where names and passwords are tried; one for each process."""

    def __init__(self, attempts: Attempts | None = None) -> None:
        self.attempts = attempts or Attempts()
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="sign-in")
        self._waiting = 0

    async def __call__(
        self, context: Context, name: str, password: str, address: str, *, instead_of: str | None = None
    ) -> tuple[Identity, str]:
        """The identity that a name and a password belong to, and the secret of its new session.

        Parameters
        ----------
        address : str
            Where the request comes from.
        instead_of : str, optional
            The secret of the session that ends with it.

        Raises
        ------
        SignInNeeded
            When they belong to no account: which of the two is wrong is not told.
        TooManyAttempts
            When too many have failed.
        Unavailable
            When too many are tried at the same time.
        """
        key, place = accounts.key_of(name), place_of(address)
        if self._waiting >= WAITING_AT_MOST:
            raise Unavailable("too many are signing in at once")
        self.attempts.begin(key, place)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            signed_in = await loop.run_in_executor(self._threads, _try, context, name, password, place, instead_of)
        except SignInNeeded:
            raise
        except BaseException:
            self.attempts.undecided(key, place)
            raise
        finally:
            self._waiting -= 1
        self.attempts.succeeded(key, place)
        return signed_in


def _try(context: Context, name: str, password: str, place: str, instead_of: str | None) -> tuple[Identity, str]:
    with context.writers.connection() as connection, connection.cursor() as cursor:
        found = accounts.find(cursor, name, demo=settings().is_loopback)
    account, password_hash = found or (None, None)
    if not accounts.is_right(password, password_hash) or account is None or password_hash is None:
        # what was given as a name may be a password
        log.warning("signing in failed from %s: %s", place, f"account {account.name!r}" if account else "no such name")
        raise SignInNeeded("the name or the password is wrong", expected="those of an account")
    with context.writers.transaction(account.name) as cursor:
        secret = accounts.begin_session(cursor, account, password_hash, instead_of=instead_of)
    if secret is None:
        raise SignInNeeded("the name or the password is wrong", expected="those of an account")
    return of_account(account, "session", accounts.csrf_of(secret)), secret


def place_of(address: str) -> str:
    """The address under which attempts are counted: of IPv6 the network, in which one asker has many addresses."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)
