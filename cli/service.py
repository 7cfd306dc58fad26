"""Verbs that serve and check."""

from __future__ import annotations

import ipaddress
import os
import socket

import typer

from cli.output import errors, plain_errors
from layers.cluster import Cluster
from layers.database import database_url, rows, transaction
from layers.errors import InvalidValue, Unavailable
from layers.migrate import migrate
from layers.settings import settings


def run(url: str) -> None:
    """Serve until Ctrl-C."""
    import uvicorn

    chosen = settings()
    _check_port(chosen.host, chosen.port)
    chosen.checked_basemap()
    os.environ["LEEWARD_SERVED_DATABASE_URL"] = url
    if not _is_loopback(chosen.host):
        errors.print(f"listening on {chosen.host}: anyone who reaches it can read the public data", markup=False)
    print(f"Leeward serves http://{chosen.host}:{chosen.port} (Ctrl-C stops it)", flush=True)
    uvicorn.run(
        "api.app:app_from_environment", factory=True, host=chosen.host, port=chosen.port, workers=chosen.workers,
        log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5,
    )  # fmt: skip


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Unavailable(
                f"port {port} of {host} cannot be used: {error.strerror}",
                parameter="LEEWARD_PORT",
                expected="a free port",
            ) from None


def serve() -> None:
    """Serve the layers and the web map."""
    with plain_errors(), database_url() as url:
        migrate(url)
        run(url)


def check() -> None:
    """Check the set-up: database, layers, web app."""
    with plain_errors():
        chosen = settings()
        with database_url() as url:
            changed = migrate(url)
            with transaction(url) as cursor:
                (version,) = rows(cursor, "SELECT postgis_lib_version()")[0]
                counts = rows(cursor, "SELECT id FROM leeward.layers ORDER BY 1")
        print(
            f"PostGIS {version}, {len(counts)} layers"
            + (f", brought up to date: {', '.join(changed)}" if changed else "")
        )
        if chosen.database_url is None and (sentence := Cluster(chosen.home).elsewhere()):
            print(sentence)
        built = (chosen.web / "index.html").is_file()
        print("web app built" if built else "web app not built: ./dev setup builds it")
        if not built:
            raise InvalidValue("the web app is not built", expected="./dev setup")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(serve)
    app.command()(check)
