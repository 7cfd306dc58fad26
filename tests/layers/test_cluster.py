"""The embedded PostGIS: started, shared, stopped, killed, and kept from others; every server here is a real one."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from layers import cluster as module
from layers.cluster import ELSEWHERE, Cluster, newest_programs
from layers.errors import ClusterError

ROOT = Path(__file__).parents[2]
HOLD = """
import os, pwd, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from layers.cluster import Cluster
if len(sys.argv) > 3:  # another user, who may not be able to read this Python
    account = pwd.getpwnam(sys.argv[3])
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
with Cluster(Path(sys.argv[2])).running() as url:
    print(url, flush=True)
    sys.stdin.read()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to act as several users")


def clean(home: Path) -> None:
    home.chmod(0o755)
    cluster = Cluster(home)
    cluster.stop()
    for folder in (home, cluster.socket, ELSEWHERE / cluster.tag):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A home with a cluster that was made and stopped."""
    folder = Path(tempfile.mkdtemp(prefix="lw-made-", dir="/tmp"))
    folder.chmod(0o755)
    with Cluster(folder).running():
        pass
    yield folder
    clean(folder)


@pytest.fixture
def new_home(made: Path) -> Iterator[Callable[..., Path]]:
    """A function that makes a home of a name, with a copy of the made cluster or empty."""
    homes = []

    def make(name: str = "home", *, empty: bool = False) -> Path:
        above = Path(tempfile.mkdtemp(prefix="lw-", dir="/tmp"))
        above.chmod(0o755)
        homes.append(above / name)
        homes[-1].mkdir(parents=True)
        if not empty:
            subprocess.run(["cp", "-a", f"{made}/.", homes[-1]], check=True)
        return homes[-1]

    yield make
    for home in homes:
        clean(home)
        shutil.rmtree(Path("/tmp", home.parts[2]), ignore_errors=True)


@pytest.fixture
def home(new_home: Callable[..., Path]) -> Path:
    """A home with a cluster that does not run."""
    return new_home()


class Holder:
    """Another process that uses a cluster."""

    def __init__(self, home: Path, *user: str) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", HOLD, str(ROOT), str(home), *user]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd="/")

    def url(self) -> str:
        assert self.process.stdout is not None
        line: str = self.process.stdout.readline().strip()
        assert line, self.process.communicate()[1]
        return line

    def leave(self) -> None:
        _, errors = self.process.communicate("")
        assert self.process.returncode == 0, errors

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.communicate()


def value(url: str, query: str) -> object:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def postmaster(home: Path) -> int:
    folders = (home / "postgres", ELSEWHERE / Cluster(home).tag)
    lock = next(path for folder in folders if (path := folder / "data" / "postmaster.pid").exists())
    return int(lock.read_text().split("\n")[0])


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def gone(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def psql_as(user: str, url: str) -> subprocess.CompletedProcess[str]:
    account = pwd.getpwnam(user)
    return subprocess.run(
        [newest_programs() / "psql", "-X", url, "-c", "SELECT 1"], capture_output=True, text=True, check=False,
        user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/", env={"LC_ALL": "C"},
    )  # fmt: skip


# --- started and stopped


def test_first_start(new_home: Callable[..., Path]) -> None:
    cluster = Cluster(new_home(empty=True))
    with cluster.running() as url:
        assert cluster.is_running()
        assert str(value(url, "SELECT postgis_lib_version()")) >= "3.3"
        assert value(url, "SHOW listen_addresses") == ""
        assert value(url, "SELECT current_user || ' ' || rolsuper FROM pg_roles WHERE rolname = current_user") == (
            "leeward false"
        )
        number = postmaster(cluster.home)
    assert not cluster.is_running()
    assert gone(number)
    assert not cluster.socket.exists()


def test_only_peers_may_connect(home: Path) -> None:
    with Cluster(home).running() as url:
        administrator = url.replace("leeward@", "postgres@")
        assert value(administrator, "SELECT string_agg(type || ' ' || auth_method, ',') FROM pg_hba_file_rules") == (
            "local peer"
        )
        users = value(administrator, "SELECT string_agg(DISTINCT sys_name, ',') FROM pg_ident_file_mappings")
        assert users == ",".join(sorted({Cluster(home).owner.pw_name, "root"}))


def test_environment_of_the_asker_does_not_matter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"PGPORT": "1", "PGUSER": "x", "PGDATABASE": "x", "PGDATA": "/x", "PGHOST": "x"}.items():
        monkeypatch.setenv(name, text)
    with Cluster(home).running() as url:
        assert value(url, "SELECT 1") == 1


def test_last_user_stops_it(home: Path) -> None:
    first, second = Holder(home), Holder(home)
    url = first.url()
    assert second.url() == url
    first.leave()
    assert value(url, "SELECT 1") == 1
    second.leave()
    assert not Cluster(home).is_running()


def test_kept_until_stopped(home: Path) -> None:
    cluster = Cluster(home)
    with cluster.running(keep=True):
        pass
    with cluster.running():
        pass
    assert cluster.is_running()
    assert cluster.stop()
    assert not cluster.stop()
    with cluster.running():
        pass
    assert not cluster.is_running()


def test_stop_makes_no_home(tmp_path: Path) -> None:
    assert not Cluster(tmp_path / "absent").stop()
    assert not (tmp_path / "absent").exists()


def test_two_homes_do_not_meet(new_home: Callable[..., Path]) -> None:
    one, other = new_home(), new_home()
    with Cluster(one).running() as url, Cluster(other).running() as other_url:
        assert url != other_url
        value(url, "CREATE TABLE mine ()")
        assert value(other_url, "SELECT to_regclass('mine')") is None


@pytest.mark.parametrize("name", ["long/" + "/".join(["x" * 60] * 3), "it's a höme 避难"])
def test_awkward_homes(new_home: Callable[..., Path], name: str) -> None:
    with Cluster(new_home(name)).running() as url:
        assert value(url, "SELECT 1") == 1


def test_path_that_pg_ctl_would_misread(new_home: Callable[..., Path]) -> None:
    with pytest.raises(ClusterError, match="takes no path"), Cluster(new_home('a"; touch b; "', empty=True)).running():
        pass


# --- killed


def test_killed_server_starts_again(home: Path) -> None:
    holder = Holder(home)
    url = holder.url()
    value(url, "CREATE TABLE kept AS SELECT 7 AS number")
    busy = psycopg2.connect(url)
    number = postmaster(home)
    os.kill(number, signal.SIGKILL)
    until(lambda: gone(number))
    with Cluster(home).running():
        assert value(url, "SELECT number FROM kept") == 7
    busy.close()
    holder.leave()
    assert not Cluster(home).is_running()


def test_killed_user_is_taken_over_from(home: Path) -> None:
    holder = Holder(home)
    holder.url()
    number = postmaster(home)
    holder.kill()
    assert Cluster(home).is_running()
    with Cluster(home).running() as url:
        assert value(url, "SELECT 1") == 1
        assert postmaster(home) == number
    assert gone(number)


@pytest.mark.parametrize("bearer", ["same user", "this process", "another postgres"])
def test_number_of_a_dead_server_that_another_process_bears(
    home: Path, new_home: Callable[..., Path], bearer: str
) -> None:
    cluster = Cluster(home)
    holder = Holder(home)
    holder.url()
    lock = cluster.data / "postmaster.pid"
    left = lock.read_text()
    holder.leave()
    account = {"user": cluster.owner.pw_uid, "group": cluster.owner.pw_gid, "extra_groups": []}
    sleeper = subprocess.Popen(["sleep", "60"], **(account if os.geteuid() == 0 else {}))
    other = new_home()
    try:
        with Cluster(other).running():
            numbers = {"same user": sleeper.pid, "this process": os.getpid(), "another postgres": postmaster(other)}
            lock.write_text(left.replace(left.split("\n")[0], str(numbers[bearer]), 1))
            shutil.chown(lock, cluster.owner.pw_uid)
            assert not cluster.is_running()
            with cluster.running() as url:
                assert value(url, "SELECT 1") == 1
            assert Cluster(other).is_running()
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_initdb(new_home: Callable[..., Path], how: signal.Signals) -> None:
    home = new_home(empty=True)
    holder = Holder(home)
    until(lambda: list(home.glob("postgres/data.new*/*")))
    holder.kill(how)
    cluster = Cluster(home)
    if how == signal.SIGINT:
        assert not cluster.is_running()
    with cluster.running() as url:
        assert value(url, "SELECT 1") == 1
    assert [path.name for path in cluster.folder.glob("data*")] == ["data"]


def test_interrupted_preparation_keeps_data(home: Path) -> None:
    cluster = Cluster(home)
    with cluster.running() as url:
        value(url, "CREATE TABLE kept AS SELECT 7 AS number")
    (cluster.folder / "ready").unlink()
    with cluster.running() as url:
        assert value(url, "SELECT number FROM kept") == 7


def test_copy_of_a_running_home(home: Path, new_home: Callable[..., Path]) -> None:
    with Cluster(home).running() as url:
        copy = new_home(empty=True)
        subprocess.run(["cp", "-a", f"{home}/.", copy], check=True)
        with Cluster(copy).running() as copied_url:
            assert value(copied_url, "SELECT 1") == 1
        assert value(url, "SELECT 1") == 1


# --- whose it is


@as_root
def test_home_that_the_server_cannot_reach(new_home: Callable[..., Path]) -> None:
    home = new_home(empty=True)
    home.chmod(0o700)
    cluster = Cluster(home)
    with cluster.running() as url:
        assert value(url, "SELECT 1") == 1
        value(url, "CREATE TABLE kept ()")
    assert cluster.elsewhere() == (
        f"{home} cannot be reached by the user postgres: the database lies in {ELSEWHERE / cluster.tag}"
    )
    home.chmod(0o755)  # the data stay where they are
    with Cluster(home).running() as url:
        assert value(url, "SELECT to_regclass('kept')") == "kept"


@as_root
def test_home_that_was_closed_later(home: Path) -> None:
    home.chmod(0o700)
    with pytest.raises(ClusterError, match="can no longer get there"), Cluster(home).running():
        pass


@as_root
def test_ordinary_user(new_home: Callable[..., Path]) -> None:
    home = new_home(empty=True)
    shutil.chown(home, "nobody")
    home.chmod(0o700)
    holder = Holder(home, "nobody")
    url = holder.url()
    number = postmaster(home)
    assert Path(f"/proc/{number}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert psql_as("nobody", url).returncode == 0
    assert "Permission denied" in psql_as("daemon", url).stderr
    holder.leave()
    assert gone(number)
    home.chmod(0o755)
    with pytest.raises(ClusterError, match="belongs to somebody else"), Cluster(home).running():
        pass


@as_root
def test_other_users_stay_out(home: Path) -> None:
    cluster = Cluster(home)
    with cluster.running() as url:
        assert "Permission denied" in psql_as("nobody", url).stderr
        cluster.socket.chmod(0o755)  # even when somebody opens the folder and the socket
        (cluster.socket / ".s.PGSQL.5432").chmod(0o777)
        assert "Peer authentication failed" in psql_as("nobody", url).stderr
        assert psql_as("postgres", url).returncode == 0
        assert psql_as("root", url).returncode == 0


@as_root
@pytest.mark.parametrize("trap", ["folder", "link", "file"])
def test_socket_folder_that_somebody_else_made(home: Path, tmp_path: Path, trap: str) -> None:
    cluster = Cluster(home)
    cluster.socket.rmdir() if cluster.socket.exists() else None
    if trap == "link":
        cluster.socket.symlink_to(tmp_path)
    elif trap == "file":
        cluster.socket.touch()
    else:
        cluster.socket.mkdir()
        shutil.chown(cluster.socket, "nobody")
    try:
        with pytest.raises(ClusterError, match="belongs to somebody else"), cluster.running():
            pass
    finally:
        cluster.socket.rmdir() if trap == "folder" else cluster.socket.unlink()


def test_home_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClusterError) as raised, Cluster(tmp_path / "file").running():
        pass
    assert raised.value.parameter == "LEEWARD_HOME"


# --- which PostgreSQL


def programs(folder: Path, version: str, postgis: str | None) -> Path:
    folder = folder / version / "bin"
    share = folder.parent / "share" / "extension"
    share.mkdir(parents=True)
    folder.mkdir()
    if postgis:
        (share / "postgis.control").write_text(f"comment = ''\ndefault_version = '{postgis}'\n")
    for name, line in {"initdb": "", "postgres": f"(PostgreSQL) {version}.1", "pg_config": share.parent}.items():
        (folder / name).write_text(f"#!/bin/sh\necho '{line}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_newest_with_postgis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [programs(tmp_path, "14", "3.4.1"), programs(tmp_path, "15", "3.3.2"), programs(tmp_path, "16", None)]
    monkeypatch.setattr(module, "_program_folders", lambda: iter(found))
    assert newest_programs() == found[1]
    found.append(programs(tmp_path, "17", "3.10.0"))
    assert newest_programs() == found[3]
    assert newest_programs(15) == found[1]
    with pytest.raises(ClusterError, match="made by PostgreSQL 16, which is not installed here with PostGIS"):
        newest_programs(16)


@pytest.mark.parametrize(
    ("version", "postgis", "words"),
    [("14", "3.4.1", "PostgreSQL 15 or newer"), ("15", "3.2.9", "PostGIS 3.3 or newer"), ("16", None, "PostGIS 3.3")],
)
def test_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, postgis: str | None, words: str
) -> None:
    found = programs(tmp_path, version, postgis)
    monkeypatch.setattr(module, "_program_folders", lambda: iter([found]))
    with pytest.raises(ClusterError, match=words):
        newest_programs()


def test_data_of_another_version(home: Path) -> None:
    (Cluster(home).data / "PG_VERSION").write_text("13\n")
    with pytest.raises(ClusterError, match="made by PostgreSQL 13"), Cluster(home).running():
        pass
