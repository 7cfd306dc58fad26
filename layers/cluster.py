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
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from layers.errors import ClusterError

MINIMUM_VERSION = 15
DATABASE = "leeward"
ROLE = "leeward"
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
                expected="apt-get install postgresql-15-postgis-3, which makes one",
            ) from None

    @cached_property
    def folder(self) -> Path:
        """Where the cluster's data lie."""
        wanted = self.home / "postgres"
        if self.owner.pw_uid == os.geteuid() or _can_reach(self.owner, self.home):
            return wanted
        return Path("/var/lib/leeward") / self.tag

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
        return f"postgresql://{ROLE}@/{DATABASE}?host={self.socket}"

    @cached_property
    def programs(self) -> Path:
        """The folder of initdb and pg_ctl, of the newest PostgreSQL that has PostGIS."""
        found = []
        for place in (*POSTGRES_PLACES, *os.environ.get("PATH", "").split(os.pathsep)):
            for folder in Path("/").glob(place.strip("/")) if place else ():
                if (folder / "initdb").is_file() and (version := _version(folder)) >= MINIMUM_VERSION:
                    found.append((_has_postgis(folder), version, folder))
        if not found or not max(found)[0]:
            what = "PostGIS" if found else f"PostgreSQL {MINIMUM_VERSION} or newer"
            raise ClusterError(f"{what} is not installed", expected="apt-get install postgresql-15-postgis-3")
        return max(found)[2]

    @contextmanager
    def running(self, *, keep: bool = False) -> Iterator[str]:
        """The URL of the running cluster, started if need be and stopped by its last user.

        Parameters
        ----------
        keep : bool
            Leave it running afterwards, until ``stop``.
        """
        with self._opened("users.lock") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            with self._opened("start.lock") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                self._start()
                if keep:
                    (self.home / "keep").touch()
            try:
                yield self.url
            finally:
                self._stop_if_last(users)

    def stop(self) -> bool:
        """Stop the server; whether it was running."""
        (self.home / "keep").unlink(missing_ok=True)
        if not self.data.exists() or not self.is_running():
            return False
        self._control("stop", "-m", "fast", "-w", "-t", "60")
        return True

    def is_running(self) -> bool:
        """Whether the server answers to pg_ctl."""
        return self._run([self.programs / "pg_ctl", "status", "-D", self.data]).returncode == 0

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
    def _opened(self, name: str) -> Iterator[IO[str]]:
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / name).open("a") as file:
            yield file

    def _start(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._make_folder(self.socket)
        if not self.is_running():
            if self._control(
                "start", "-w", "-t", "60", "-l", self.folder / "log", "-o", f"-k {self.socket}", check=False
            ):
                self._forget_dead_server()
                self._control("start", "-w", "-t", "60", "-l", self.folder / "log", "-o", f"-k {self.socket}")
        if not (self.folder / "ready").exists():
            self._prepare()

    def _forget_dead_server(self) -> None:
        """Take away the lock file of a server that was killed, whose number another process bears now."""
        lock = self.data / "postmaster.pid"
        with self._reading(lock) as text:
            number = int(text.split("\n", 1)[0] or 0) if text else 0
        if number and not _is_postgres(number):
            lock.unlink()
            for path in self.socket.glob(".s.PGSQL.*"):
                path.unlink()

    @contextmanager
    def _reading(self, path: Path) -> Iterator[str]:
        yield path.read_text() if path.exists() else ""

    def _create(self) -> None:
        self._make_folder(self.folder)
        unfinished = self.folder / "data.new"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        result = self._run(
            [self.programs / "initdb", "-D", unfinished, "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres",
             "--auth-local=peer", "--auth-host=reject", "--data-checksums", "--no-instructions"]
        )  # fmt: skip
        if result.returncode != 0:
            raise ClusterError(f"initdb failed: {result.stderr.strip()[-500:]}")
        self._write(unfinished / "postgresql.auto.conf", CONFIGURATION, append=True)
        names = sorted({self.owner.pw_name, "root"})
        self._write(unfinished / "pg_hba.conf", "local all all peer map=leeward\n")
        self._write(
            unfinished / "pg_ident.conf",
            "".join(f"leeward {name} {role}\n" for name in names for role in ("postgres", ROLE)),
        )
        unfinished.rename(self.data)

    def _prepare(self) -> None:
        self._sql("postgres", f"DROP DATABASE IF EXISTS {DATABASE}; DROP ROLE IF EXISTS {ROLE}")
        self._sql("postgres", f"CREATE ROLE {ROLE} LOGIN CREATEDB CREATEROLE")
        self._sql("postgres", f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        self._sql("template1", "CREATE EXTENSION IF NOT EXISTS postgis; CREATE EXTENSION IF NOT EXISTS pg_trgm")
        self._sql(DATABASE, "CREATE EXTENSION IF NOT EXISTS postgis; CREATE EXTENSION IF NOT EXISTS pg_trgm")
        self._write(self.folder / "ready", "made by Leeward\n")

    def _sql(self, database: str, text: str) -> None:
        for statement in text.split(";"):
            result = self._run(
                [self.programs / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-U", "postgres",
                 "-d", database, "-c", statement]
            )  # fmt: skip
            if result.returncode != 0:
                raise ClusterError(f"{statement.strip()}: {result.stderr.strip()}")

    def _control(self, verb: str, *options: str | Path, check: bool = True) -> int:
        result = self._run([self.programs / "pg_ctl", verb, "-s", "-D", self.data, *options])
        if result.returncode != 0 and check:
            log = (self.folder / "log").read_text(errors="replace") if (self.folder / "log").exists() else ""
            raise ClusterError(f"pg_ctl {verb} failed: {result.stderr.strip()} {log[-500:]}")
        return result.returncode

    def _run(self, command: list[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a program as the owner, out of reach of the terminal's Ctrl-C."""
        as_owner: dict[str, object] = {}
        if self.owner.pw_uid != os.geteuid():
            as_owner = {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []}
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": self.owner.pw_dir}
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            # files, not pipes: the server inherits them and would hold a pipe open
            done = subprocess.run(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd="/",
                env=environment, start_new_session=True, check=False, **as_owner,  # type: ignore[call-overload]
            )  # fmt: skip
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read(), errors.read())

    def _make_folder(self, folder: Path) -> None:
        """A folder that only the owner may enter; refused when somebody else made it."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
            os.chown(folder, self.owner.pw_uid, self.owner.pw_gid)
        except FileExistsError:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.owner.pw_uid:
                raise ClusterError(f"{folder} belongs to somebody else", expected="take it away") from None
            folder.chmod(0o700)

    def _write(self, path: Path, text: str, *, append: bool = False) -> None:
        with path.open("a" if append else "w") as file:
            file.write(text)
        os.chown(path, self.owner.pw_uid, self.owner.pw_gid)
        path.chmod(0o600)


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


def _version(folder: Path) -> int:
    try:
        text = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(\d+)\.", text)
    return int(found[1]) if found else 0


def _has_postgis(folder: Path) -> bool:
    configuration = folder / "pg_config"
    shared = ""
    if configuration.is_file():
        shared = subprocess.run(
            [configuration, "--sharedir"], capture_output=True, text=True, check=False
        ).stdout.strip()
    version = folder.parent.name
    places = [Path(shared) / "extension"] if shared else []
    places.append(Path(f"/usr/share/postgresql/{version}/extension"))
    return any((place / "postgis.control").is_file() for place in places)


def _is_postgres(number: int) -> bool:
    """Whether a process number belongs to a running postgres."""
    try:
        return b"postgres" in Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False
