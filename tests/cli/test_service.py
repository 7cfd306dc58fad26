"""``leeward serve``: its port, its signals, and what is left behind: nothing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from layers.cluster import Cluster

LEEWARD = str(Path(sys.executable).parent / "leeward")


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lw-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    Cluster(folder).stop()
    shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def is_free(port: int) -> bool:
    """Whether nobody listens on a port; one of two workers may be gone before the other."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_signals_end_it_and_leave_nothing(home: Path) -> None:
    for number, workers, whole_group, code in (
        (signal.SIGINT, "2", True, 0),
        (signal.SIGTERM, "2", False, 0),
        (signal.SIGINT, "1", True, 0),
        (signal.SIGTERM, "1", False, 0),
    ):
        port = free_port()
        environment = {**os.environ, "LEEWARD_HOME": str(home), "LEEWARD_PORT": str(port), "LEEWARD_WORKERS": workers}
        process = subprocess.Popen(
            [LEEWARD, "serve"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        until(lambda port=port, process=process: answers(port) or process.poll() is not None)
        asked = time.monotonic()
        os.killpg(process.pid, number) if whole_group else process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - asked < 10
        assert process.returncode == code, errors
        assert "Traceback" not in errors
        assert not Cluster(home).is_running()
        assert not answers(port)


def test_killed_service_leaves_its_port(home: Path) -> None:
    port = free_port()
    environment = {**os.environ, "LEEWARD_HOME": str(home), "LEEWARD_PORT": str(port), "LEEWARD_WORKERS": "2"}
    process = subprocess.Popen([LEEWARD, "serve"], env=environment, stdout=subprocess.DEVNULL)
    until(lambda: answers(port))
    process.kill()
    process.wait()
    until(lambda: is_free(port), 20)
    again = subprocess.Popen([LEEWARD, "serve"], env=environment, stdout=subprocess.DEVNULL)
    until(lambda: answers(port))
    again.terminate()
    assert again.wait(30) == 0
    assert not Cluster(home).is_running()


def test_port_that_is_taken(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {**os.environ, "LEEWARD_HOME": str(home), "LEEWARD_PORT": str(port)}
        for verb in ("serve", "demo"):
            done = subprocess.run([LEEWARD, verb], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 1
            assert f"port {port} of 127.0.0.1 cannot be used: Address already in use" in done.stderr
    assert list(home.iterdir()) == []  # before any work
