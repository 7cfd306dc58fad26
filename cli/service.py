"""Verbs that serve and check."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import typer

from cli.database import opened
from cli.output import Json, plain_errors, print_json, say
from layers.errors import InvalidValue, Unavailable

if TYPE_CHECKING:
    from fastapi import FastAPI

PR_SET_PDEATHSIG = 1


def run(url: str) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    import uvicorn

    from layers.settings import settings

    chosen = settings()
    os.environ["LEEWARD_SERVED_DATABASE_URL"] = url
    if not chosen.is_loopback:
        say(f"listening on {chosen.host}: anyone who reaches it can read the public data")
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    print(f"Leeward serves http://{host}:{chosen.port} (Ctrl-C stops it)", flush=True)
    try:
        uvicorn.run(
            "cli.service:application", factory=True, host=chosen.host, port=chosen.port, workers=chosen.workers,
            log_level="warning", access_log=False, server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=5,
        )  # fmt: skip
    except SystemExit as end:
        if end.code != 128 + signal.SIGTERM:
            raise


def application() -> FastAPI:
    """The application in a server's worker, which ends when its parent is killed."""
    from api.app import app_from_environment

    parent = multiprocessing.parent_process()
    if parent is not None and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent.pid:  # killed before that
            raise SystemExit(1)
    return app_from_environment()


def check_address() -> None:
    """Refuse an address that cannot be listened on, or a basemap that must not be shown, before any work."""
    from layers.settings import settings

    chosen = settings()
    chosen.checked_basemap()
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((chosen.host, chosen.port))
        except OSError as error:
            raise Unavailable(
                f"port {chosen.port} of {chosen.host} cannot be used: {error.strerror}",
                parameter="LEEWARD_PORT",
                expected=f"a free port, such as LEEWARD_PORT={chosen.port % 65535 + 1}",
            ) from None


def check_demo_accounts(url: str) -> None:
    """Refuse to listen where others can come while an account of the demo works: its password lies in a file."""
    from layers.accounts import demo_names
    from layers.database import transaction
    from layers.settings import settings

    if settings().is_loopback:
        return
    with transaction(url) as cursor:
        names = demo_names(cursor)
    if names:
        raise InvalidValue(
            f"{settings().host} can be reached by others, and the accounts of the demo work: {', '.join(names)}",
            parameter="LEEWARD_HOST",
            expected="leeward user revoke --demo first; or LEEWARD_HOST=127.0.0.1",
        )


def serve() -> None:
    """Serve the layers and the web map."""
    with plain_errors():
        check_address()
        with opened() as url:
            check_demo_accounts(url)
            run(url)


def check(as_json: Json = False) -> None:
    """Check the set-up: database, layers, web app."""
    with plain_errors():
        from layers.settings import settings

        with opened() as url:
            answer = _state(url)
        answer["web_app"] = (settings().web / "index.html").is_file()
        if as_json:
            print_json(answer)
        else:
            print(f"PostgreSQL {answer['postgresql']}, PostGIS {answer['postgis']}, {len(answer['layers'])} layers")
            for layer, counts in answer["layers"].items():
                if counts["rows"]:
                    print(f"{layer}: {counts['rows']} rows, {counts['sample']} of them sample data")
        if not answer["web_app"]:
            raise Unavailable("the web app is not built", expected="./dev setup")


def _state(url: str) -> dict[str, Any]:
    """The versions of the database, and the rows of each layer, in all and sample rows."""
    from layers.catalog import catalog
    from layers.database import one, rows, sql, transaction
    from layers.tables import table

    counted = sql.SQL("SELECT count(*), count(*) FILTER (WHERE sample) FROM {}")
    with transaction(url) as cursor:
        counts = {d.id: rows(cursor, counted.format(table(d)))[0] for d in catalog().values()}
        return {
            "postgresql": one(cursor, "SHOW server_version"),
            "postgis": one(cursor, "SELECT postgis_lib_version()"),
            "layers": {layer: {"rows": number, "sample": sample} for layer, (number, sample) in counts.items()},
        }


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(serve)
    app.command()(check)
