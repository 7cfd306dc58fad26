"""What the tests share: a PostGIS of their own, fresh databases, a service with the sample county."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
import pytest
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
HOME = Path(os.environ.get("LEEWARD_TEST_HOME", ROOT / ".leeward" / "test"))
os.environ["LEEWARD_HOME"] = str(HOME)
for name in ("LEEWARD_DATABASE_URL", "LEEWARD_AREA", "LEEWARD_DEFINITIONS", "LEEWARD_PORT", "LEEWARD_HOST"):
    os.environ.pop(name, None)

from layers.cluster import Cluster  # noqa: E402  the environment comes first
from layers.database import Readers  # noqa: E402  the same
from layers.migrate import migrate  # noqa: E402  the same

REAL_DATA = ROOT.parent / "shared" / "data"
absent_data: list[str] = []
Result = TypeVar("Result")
ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the slow tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for, and say why; begin with what takes longest, and cannot be shared out."""
    items.sort(key=lambda item: not _is_outside(item))
    for item in items:
        for folder in ("web", "clients"):  # one service and one browser
            if f"/{folder}/" in item.nodeid:
                item.add_marker(pytest.mark.xdist_group(folder))
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="slow: runs with ./dev test --long"))
        if item.get_closest_marker("real_data") and not REAL_DATA.is_dir():
            absent_data.append(item.nodeid)
            item.add_marker(pytest.mark.skip(reason=f"REAL DATA ABSENT: {os.path.relpath(REAL_DATA, ROOT)}"))


def _is_outside(item: pytest.Item) -> bool:
    """Whether a test looks at a running service from outside, in a browser or another program."""
    return "/web/" in item.nodeid or "/clients/" in item.nodeid


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not REAL_DATA.is_dir():
        terminalreporter.write_sep(
            "!", "the folder of real data is absent: the tests on real files did not run", red=True
        )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data."""
    return REAL_DATA


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The URL of the running cluster of the tests, shared by all workers."""
    with Cluster(HOME).running() as url:
        administrator = url.replace("leeward@", "postgres@")
        for text in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):  # databases of an hour's life
            _execute(administrator, text)
        yield url


def _execute(url: str, text: str, *values: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(text, values or None)
    finally:
        connection.close()


def _drop(url: str, name: str) -> None:
    """Drop a database, with the connections to it; not WITH (FORCE), which autovacuum's own would refuse."""
    mine = "FROM pg_stat_activity WHERE datname = %s AND usename = current_user"
    _execute(url, f"SELECT pg_terminate_backend(pid, 5000) {mine}", name)
    _execute(url, f"DROP DATABASE IF EXISTS {name}")


def _with_name(url: str, name: str) -> str:
    return re.sub(r"/[a-z_0-9]*\?", f"/{name}?", url)


@pytest.fixture(scope="session")
def template(cluster: str, worker_id: str) -> Iterator[str]:
    """The name of a migrated database, to be cloned; one for each worker."""
    name = f"template_{worker_id}"
    _drop(cluster, name)
    _execute(cluster, f"CREATE DATABASE {name}")
    migrate(_with_name(cluster, name))
    yield name
    _drop(cluster, name)


@pytest.fixture(scope="session")
def new_database(cluster: str, template: str, worker_id: str) -> Callable[[], str]:
    """A function that makes a fresh migrated database and returns its URL."""
    count = 0

    def make() -> str:
        nonlocal count
        count += 1
        name = f"test_{worker_id}_{count}"
        _drop(cluster, name)
        _execute(cluster, f"CREATE DATABASE {name} TEMPLATE {template}")
        return _with_name(cluster, name)

    return make


@pytest.fixture(scope="session")
def drop_database(cluster: str) -> Callable[[str], None]:
    """A function that drops a database by its URL."""

    def drop(url: str) -> None:
        found = re.search(r"/([a-z_0-9]*)\?", url)
        assert found
        _drop(cluster, found[1])

    return drop


@pytest.fixture
def database(new_database: Callable[[], str], drop_database: Callable[[str], None]) -> Iterator[str]:
    """The URL of a fresh migrated database, for one test."""
    url = new_database()
    yield url
    drop_database(url)


@pytest.fixture(scope="module")
def module_database(new_database: Callable[[], str], drop_database: Callable[[str], None]) -> Iterator[str]:
    """The URL of a fresh migrated database, for one module."""
    url = new_database()
    yield url
    drop_database(url)


@pytest.fixture
def readers(database: str) -> Iterator[Readers]:
    """The service's connections to ``database``."""
    pool = Readers(database, size=2)
    yield pool
    pool.close()


def finished(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine returns, run in a thread of its own: the browser's driver has a loop in the main one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the service ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{url} was not ready in {seconds} s")


@pytest.fixture(scope="session")
def sample_home(worker_id: str) -> Path:
    """Where the service with the sample county keeps what is not in its database."""
    return HOME / f"sample-{worker_id}"


@pytest.fixture(scope="session")
def sample_server(cluster: str, new_database: Callable[[], str], sample_home: Path) -> Iterator[str]:
    """The URL of the service with the sample county and the built web app."""
    url, port = new_database(), free_port()
    environment = {
        **os.environ, "LEEWARD_DATABASE_URL": url, "LEEWARD_PORT": str(port), "LEEWARD_WORKERS": "1",
        "LEEWARD_HOME": str(sample_home),
    }  # fmt: skip
    leeward = shutil.which("leeward", path=str(Path(sys.executable).parent))
    assert leeward, "leeward is not installed in this environment: ./dev setup"
    process = subprocess.Popen([leeward, "demo"], env=environment, cwd=ROOT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def sample_accounts(sample_server: str, sample_home: Path) -> dict[str, str]:
    """The passwords of the accounts of ``sample_server``, by name."""
    lines = (sample_home / "demo-accounts.txt").read_text(encoding="utf-8").splitlines()
    accounts = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: password for name, _, password in accounts}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium."""
    if CHROMIUM is None:
        pytest.fail("no chromium: install the package `chromium`")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield running
        running.close()
