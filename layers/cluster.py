"""The embedded PostGIS: a PostgreSQL cluster of Leeward's own, reached through a Unix socket only.

Who runs it: PostgreSQL refuses to run as root, so under root it runs as the system user ``postgres``; otherwise as
the user who asks. Where: under ``LEEWARD_HOME``; when that user cannot get there (a home that is 0700), under
``/var/lib/leeward``. Who may connect: the user of the server and root, by peer authentication, through a socket in a
0700 directory. When it stops: every process that uses it holds a shared lock; the last one stops what was started
for it, unless ``leeward db start`` asked to keep it running.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from layers.errors import ClusterError

MINIMUM_VERSION = 15
MINIMUM_POSTGIS = (3, 3)
INSTALL = "apt-get install postgresql-15-postgis-3"
DATABASE = "leeward"
ROLE = "leeward"
PORT = 5432
ELSEWHERE = Path("/var/lib/leeward")
NO_PROCESS = 99_999_999
"""A number above every system's greatest process number."""
POSTGRES_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)
CONFIGURATION = """
# written by Leeward at initdb; put your own settings below this line in postgresql.conf
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 256MB
work_mem = 16MB
maintenance_work_mem = 256MB
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_compression = on
wal_level = minimal
max_wal_senders = 0
jit = off
random_page_cost = 1.1
logging_collector = off
log_min_duration_statement = 2s
log_parameter_max_length = 0
timezone = 'UTC'
"""
# whatever of this is there stays as it is: made anew after an interruption, never again after that
PREPARATION = r"""
CREATE EXTENSION IF NOT EXISTS postgis;
SELECT 'CREATE ROLE leeward LOGIN CREATEDB CREATEROLE'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'leeward') \gexec
\connect postgres
SELECT 'CREATE DATABASE leeward OWNER leeward TEMPLATE template1'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'leeward') \gexec
"""


@dataclass(frozen=True)
class Cluster:
    """The cluster that belongs to one ``LEEWARD_HOME``."""

    home: Path

    @cached_property
    def tag(self) -> str:
        """A short name that no other home shares."""
        return hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:12]

    @cached_property
    def owner(self) -> pwd.struct_passwd:
        """The system user the server runs as."""
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        try:
            return pwd.getpwnam("postgres")
        except KeyError:
            raise ClusterError(
                "PostgreSQL does not run as root, and there is no user `postgres`",
                expected=f"{INSTALL}, which makes one",
            ) from None

    @cached_property
    def folder(self) -> Path:
        """Where the cluster's data lie: where they were made, wherever they would be made today."""
        inside, outside = self.home / "postgres", ELSEWHERE / self.tag
        if self.owner.pw_uid == os.geteuid():
            return inside
        if _can_reach(self.owner, self.home):
            return outside if (outside / "data").exists() and not (inside / "data").exists() else inside
        if (inside / "data").exists():
            raise ClusterError(
                f"the database lies in {inside}, and the user {self.owner.pw_name} can no longer get there",
                parameter="LEEWARD_HOME",
                expected="chmod o+x for each folder on the way",
            )
        return outside

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @cached_property
    def socket(self) -> Path:
        """The directory of the socket: short, because a socket's path holds 107 bytes at most."""
        return Path("/tmp") / f"leeward-{self.owner.pw_uid}-{self.tag}"

    @property
    def url(self) -> str:
        """The connection string of the service's own role."""
        return f"postgresql://{ROLE}@/{DATABASE}?host={self.socket}&port={PORT}"

    @cached_property
    def programs(self) -> Path:
        """The folder of initdb and pg_ctl: the PostgreSQL that made the data, else the newest that has PostGIS."""
        made_by = self.data / "PG_VERSION"
        wanted = int(made_by.read_text()) if made_by.exists() else None
        return newest_programs(wanted)

    @contextmanager
    def running(self, *, keep: bool = False) -> Iterator[str]:
        """The URL of the running cluster, started if need be and stopped by its last user.

        Parameters
        ----------
        keep : bool
            Leave it running afterwards, until ``stop``.
        """
        with self._locked("users.lock", fcntl.LOCK_SH) as users:
            try:
                with self._locked("start.lock", fcntl.LOCK_EX), _undisturbed():
                    self._start()
                    if keep:
                        (self.home / "keep").touch()
                yield self.url
            finally:
                with _undisturbed():
                    self._stop_if_last(users)

    def stop(self) -> bool:
        """Stop the server; whether it was running."""
        if not self.home.exists():
            return False
        with self._locked("start.lock", fcntl.LOCK_EX):
            (self.home / "keep").unlink(missing_ok=True)
            if not self.is_running():
                return False
            self._control("stop", "-m", "fast", "-w", "-t", "60")
            with suppress(OSError):
                self.socket.rmdir()
            return True

    def is_running(self) -> bool:
        """Whether the server runs, whatever a lock file that was left behind says."""
        try:
            number = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return False
        command = _commands(str(number)).get(number, "")
        program = command.replace("\0", " ").split(" -", 1)[0].rpartition("/")[2]
        return program == "postgres" and (self.tag in command or str(self.data) in command)

    def elsewhere(self) -> str | None:
        """A sentence that says where the data lie when that is not under the home; else None."""
        if self.folder.is_relative_to(self.home):
            return None
        return f"{self.home} cannot be reached by the user {self.owner.pw_name}: the database lies in {self.folder}"

    def _stop_if_last(self, users: IO[str]) -> None:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if not (self.home / "keep").exists():
            self.stop()

    @contextmanager
    def _locked(self, name: str, kind: int) -> Iterator[IO[str]]:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            file = (self.home / name).open("a")
        except OSError as error:
            raise ClusterError(
                f"{self.home} cannot be used: {error.strerror}",
                parameter="LEEWARD_HOME",
                expected="a folder that you may write to, used by one user",
            ) from None
        with file:
            fcntl.flock(file, kind)
            yield file

    def _start(self) -> None:
        if found := set('"\\$`\n') & set(str(self.folder)):
            raise ClusterError(f"{self.folder}: pg_ctl takes no path with {' '.join(found)}", parameter="LEEWARD_HOME")
        self._make_folder(self.folder)
        self._make_folder(self.socket)
        if not (self.data / "PG_VERSION").exists():
            self._create()
        if self.is_running():  # perhaps still starting, for a process that was killed
            self._wait_until_ready()
        else:
            self._clear_away()
            options = f"-k {self.socket} -p {PORT} -c cluster_name=leeward-{self.tag}"
            self._control("start", "-w", "-t", "600", "-l", self.folder / "log", "-o", options)
        if not (self.folder / "ready").exists():
            self._prepare()

    def _wait_until_ready(self, seconds: float = 600) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.is_running():
            if (self.data / "postmaster.pid").read_text().rstrip().endswith("\nready"):
                return
            time.sleep(0.05)
        raise ClusterError(f"PostgreSQL in {self.folder} does not come up", expected=f"see {self.folder / 'log'}")

    def _clear_away(self) -> None:
        """Take away what a killed server left: its children, its sockets, its number, which another may bear now.

        The lock file itself stays: by it PostgreSQL sees whether somebody still uses the shared memory.
        """
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return
        left = f"postgres: leeward-{self.tag}:"
        deadline = time.monotonic() + 10
        while (numbers := [n for n, command in _commands().items() if command.startswith(left)]) and (
            time.monotonic() < deadline
        ):
            for number in numbers:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.02)
        self._write(lock, re.sub(r"^\d+", str(NO_PROCESS), lock.read_text()))
        for path in self.socket.glob(".s.PGSQL.*"):
            path.unlink()

    def _create(self) -> None:
        for unfinished in self.folder.glob("data.new*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        new = self.folder / f"data.new.{os.getpid()}"
        result = self._run(
            [self.programs / "initdb", "-D", new, "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres",
             "--auth-local=peer", "--auth-host=reject", "--data-checksums", "--no-instructions"]
        )  # fmt: skip
        if result.returncode != 0:
            raise ClusterError(f"initdb failed: {result.stderr.strip()[-500:]}")
        automatic = new / "postgresql.auto.conf"
        self._write(automatic, automatic.read_text() + CONFIGURATION)
        self._write(new / "pg_hba.conf", "local all all peer map=leeward\n")
        names = sorted({self.owner.pw_name, "root"})
        lines = [f"leeward {name} {role}\n" for name in names for role in ("postgres", ROLE)]
        self._write(new / "pg_ident.conf", "".join(lines))
        new.rename(self.data)

    def _prepare(self) -> None:
        """Make the role and the database; what is there stays as it is."""
        result = self._run(
            [self.programs / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-p", str(PORT),
             "-U", "postgres", "-d", "template1"],
            PREPARATION,
        )  # fmt: skip
        if result.returncode != 0:
            raise ClusterError(f"the database could not be made: {result.stderr.strip()[-500:]}")
        self._write(self.folder / "ready", "made by Leeward\n")

    def _control(self, verb: str, *options: str | Path) -> None:
        result = self._run([self.programs / "pg_ctl", verb, "-s", "-D", self.data, *options])
        if result.returncode != 0:
            log = self.folder / "log"
            last = log.read_text(errors="replace")[-1000:].strip() if log.exists() else ""
            raise ClusterError(f"pg_ctl {verb} failed: {result.stderr.strip()}\n{last}", expected=f"see {log}")

    def _run(self, command: list[str | Path], given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program as the owner, out of reach of the terminal's Ctrl-C."""
        as_owner: dict[str, object] = {}
        if self.owner.pw_uid != os.geteuid():
            as_owner = {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []}
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": self.owner.pw_dir}
        file = tempfile.TemporaryFile
        with file("w+") as source, file("w+") as output, file("w+") as errors:
            # files, not pipes: the server inherits them and would hold a pipe open; the ignore: mypy takes no keyword
            # arguments of mixed types out of a dict
            source.write(given)
            source.seek(0)
            done = subprocess.run(
                [str(part) for part in command], stdin=source, stdout=output, stderr=errors, cwd="/", umask=0o077,
                env=environment, start_new_session=True, check=False, **as_owner,  # type: ignore[call-overload]
            )  # fmt: skip
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read(), errors.read())

    def _make_folder(self, folder: Path) -> None:
        """A folder that only the owner may enter; refused when somebody else made it."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
            os.chown(folder, self.owner.pw_uid, self.owner.pw_gid)
        except FileExistsError:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.owner.pw_uid:
                raise ClusterError(
                    f"{folder} belongs to somebody else; the database runs as the user {self.owner.pw_name}",
                    expected="another LEEWARD_HOME, or that user",
                ) from None
            folder.chmod(0o700)
        except OSError as error:
            raise ClusterError(f"{folder} cannot be made: {error.strerror}") from None

    def _write(self, path: Path, text: str) -> None:
        """Write a file as the owner: in the owner's folder a link may stand in its place."""
        result = self._run(["tee", path], text)
        if result.returncode != 0:
            raise ClusterError(f"{path} cannot be written: {result.stderr.strip()}")


def newest_programs(version: int | None = None) -> Path:
    """The folder of PostgreSQL's programs, the newest that has PostGIS.

    Parameters
    ----------
    version : int, optional
        Only programs of that major version.

    Raises
    ------
    ClusterError
        When none fits.
    """
    found = [
        (_postgis(folder) >= MINIMUM_POSTGIS, number, folder)
        for folder in _program_folders()
        if (number := _version(folder)) >= MINIMUM_VERSION and version in (None, number)
    ]
    if found and max(found)[0]:
        return max(found)[2]
    if version is not None:
        raise ClusterError(
            f"the data were made by PostgreSQL {version}, which is not installed here with PostGIS",
            expected=f"apt-get install postgresql-{version}-postgis-3",
        )
    what = f"PostGIS {'.'.join(map(str, MINIMUM_POSTGIS))}" if found else f"PostgreSQL {MINIMUM_VERSION}"
    raise ClusterError(f"{what} or newer is not installed", expected=INSTALL)


def _program_folders() -> Iterator[Path]:
    for place in (*POSTGRES_PLACES, *os.environ.get("PATH", "").split(os.pathsep)):
        for folder in Path("/").glob(place.strip("/")) if place.startswith("/") else ():
            if (folder / "initdb").is_file():
                yield folder


def _version(folder: Path) -> int:
    try:
        text = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(\d+)\.", text)
    return int(found[1]) if found else 0


def _postgis(folder: Path) -> tuple[int, ...]:
    """The version of PostGIS that goes with the programs of a folder; () when there is none."""
    places = [Path(f"/usr/share/postgresql/{folder.parent.name}")]
    if (folder / "pg_config").is_file():
        asked = subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=False)
        places.insert(0, Path(asked.stdout.strip()))
    for place in places:
        control = place / "extension" / "postgis.control"
        if control.is_file() and (found := re.search(r"default_version\s*=\s*'(\d+)\.(\d+)", control.read_text())):
            return int(found[1]), int(found[2])
    return ()


def _can_reach(owner: pwd.struct_passwd, folder: Path) -> bool:
    """Whether a user can come to a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["/usr/bin/test", "-x", str(folder)],
        user=owner.pw_uid,
        group=owner.pw_gid,
        extra_groups=[],
        check=False,
        cwd="/",
    )
    return done.returncode == 0


def _commands(which: str = "[0-9]*") -> dict[int, str]:
    """The command lines of the running processes, by number; NUL stands between words."""
    if not Path("/proc/self/cmdline").exists():
        listing = subprocess.run(["ps", "-axo", "pid=,command="], capture_output=True, text=True, check=False).stdout
        return {int(number): command for number, command in (line.split(None, 1) for line in listing.splitlines())}
    found = {}
    for path in Path("/proc").glob(f"{which}/cmdline"):
        with suppress(OSError):
            found[int(path.parent.name)] = path.read_bytes().decode(errors="replace")
    return found


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C and its like wait until the block is done: half a start leaves a server that nobody stops."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.signal(name, lambda number, _: waiting.append(number)) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        for number in waiting:
            signal.raise_signal(number)
