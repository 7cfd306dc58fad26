"""Files sent to the service: kept for an hour, tried without writing, then imported or forgotten.

Each stands in a folder of its own under LEEWARD_HOME/uploads, so that all workers of the service know it. It is read in
a process of its own: a file made to harm ends that process and not the service, and a large one does not hold the
service up. That process imports by ``layers.importing``, as the command line does.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import re
import resource
import secrets
import shutil
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from layers import errors
from layers.catalog import Catalog, catalog
from layers.database import INTERNAL, Cursor, Readers, Writers, one, sql
from layers.editing import Editor, TakenBack, take_back
from layers.errors import Conflict, ImportRefused, InvalidValue, LeewardError, NotFound, StoreFailed
from layers.requests import Answer, once
from layers.screening import DRIVERS, READ, screen
from layers.settings import settings

if TYPE_CHECKING:
    from layers.importing import Options

BYTES_AT_MOST = 200 << 20
KEPT_S = 3600
AN_ACCOUNT = 10
AT_ONCE = 2
SAMPLE, REJECTED = 2000, 500
TIME_LIMIT_S, MEMORY_LIMIT, FILE_LIMIT = 1800, 4 << 30, 1 << 30
UNDO_LIMIT_MS = 600_000
LOGGED_AT_MOST = 8000
TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
TEXT_AT_MOST, PAIRS_AT_MOST, NAME_AT_MOST = 200, 1000, 100
NEEDLESS = re.compile(r"[^\w .()（）【】、，·+-]")
TEXTS = ("crs", "area", "encoding", "sheet", "source", "licence", "attribution")
PAIRS = {"map": "a JSON object of heading to field", "set": "a JSON object of field to value"}
OPTIONS = (*TEXTS, "on_conflict", *PAIRS)
Act = Literal["check", "commit"]
log = logging.getLogger("leeward")


# --- the folder of an upload ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    """A file that was sent, and how it is to be read.

    Parameters
    ----------
    token : str
        Known to the one who sent it.
    account : str
        Who sent it: nobody else may do anything with it.
    layer : str
        The layer that it is for.
    file_name : str
        As it was sent, less signs that mean something to a shell or to GDAL.
    options : mapping
        As ``options_of`` gives them.
    """

    token: str
    account: str
    layer: str
    file_name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where all that belongs to it stands."""
        return home() / self.token

    @property
    def file(self) -> Path:
        """The file itself."""
        return self.folder / "file" / self.file_name

    @property
    def rejects(self) -> Path:
        """The rows that were rejected last."""
        return self.folder / "rejects.csv"

    def keep(self) -> None:
        """Write down what is known of it."""
        _write(self.folder / "upload.json", json.dumps(asdict(self)))


def home() -> Path:
    """The folder of all uploads, for the service's own user alone."""
    folder = settings().home / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def begin(account: str) -> Path:
    """A new folder, with a file ``incoming`` to be filled; its name is the token."""
    sweep()
    mine = sorted((upload for upload in _all() if upload.account == account), key=lambda u: _touched(u.folder))
    for upload in mine[: max(0, len(mine) + 1 - AN_ACCOUNT)]:
        _forget(upload.folder)
    folder = home() / secrets.token_urlsafe(24)
    folder.mkdir(mode=0o700)
    return folder


def take(folder: Path, account: str, layer: str, file_name: str, options: Mapping[str, Any]) -> Upload:
    """What was received in a folder that ``begin`` made."""
    catalog()[layer]
    upload = Upload(folder.name, account, layer, safe_name(file_name), options)
    upload.file.parent.mkdir(mode=0o700)
    (folder / "incoming").rename(upload.file)
    upload.keep()
    return upload


def discard(folder: Path) -> None:
    """Forget what was begun and not taken."""
    shutil.rmtree(folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """A file's name without folders and without signs that may mean something to whatever opens it."""
    name = NEEDLESS.sub("_", re.split(r"[/\\]", name)[-1].replace("\0", "")).strip(" .-")
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 10:
        stem, ending = name, ""
    kept = stem.encode()[:NAME_AT_MOST].decode("utf-8", "ignore")
    return f"{kept or 'upload'}.{ending}" if ending else kept or "upload"


def find(token: str, account: str | None) -> Upload:
    """The upload of a token.

    Raises
    ------
    NotFound
        When there is none, it was somebody else's, or its hour is over: the three are not told apart.
    """
    upload = _read(home() / token) if TOKEN.fullmatch(token) else None
    if upload is None or upload.account != account or _is_over(upload.folder):
        raise NotFound(
            "there is no such upload: it is kept for an hour, for the one who sent it",
            expected="POST /imports with the file again",
        )
    return upload


def sweep() -> None:
    """Forget uploads whose hour is over, unless they are being read."""
    for folder in home().iterdir():
        if TOKEN.fullmatch(folder.name) and _is_over(folder):
            _forget(folder)


def _is_over(folder: Path) -> bool:
    return time.time() - _touched(folder) > KEPT_S


def _touched(folder: Path) -> float:
    """When an upload was last tried or begun; 0 when it is gone."""
    for path in (folder / "upload.json", folder):
        with suppress(FileNotFoundError):
            return path.stat().st_mtime
    return 0.0


def _all() -> Iterator[Upload]:
    for folder in home().iterdir():
        upload = _read(folder)
        if upload is not None:
            yield upload


def _read(folder: Path) -> Upload | None:
    try:
        return Upload(**json.loads((folder / "upload.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _forget(folder: Path) -> None:
    with suppress(OSError):
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


# --- options ----------------------------------------------------------------------------------------------------------


def options_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they were sent, checked: those that are not given or null are left out.

    Raises
    ------
    InvalidValue
        When one is unknown, or is not of its kind.
    """
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name not in OPTIONS:
            raise InvalidValue(f"there is no option {name[:80]!r}", parameter=name[:80], expected=", ".join(OPTIONS))
        if value is None or value == "":
            continue
        if name in PAIRS:
            options[name] = _pairs(name, value)
        elif not isinstance(value, str) or len(value) > TEXT_AT_MOST or "\0" in value:
            raise InvalidValue(f"{name} is no text", parameter=name, expected=f"{TEXT_AT_MOST} characters at most")
        else:
            options[name] = value
    if options.get("on_conflict", "skip") not in ("skip", "update"):
        raise InvalidValue("on_conflict cannot be read", parameter="on_conflict", expected="skip or update")
    return options


def _pairs(name: str, value: Any) -> dict[str, str]:
    try:
        pairs = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        pairs = None
    texts = [*pairs, *pairs.values()] if isinstance(pairs, dict) else [None]
    if len(texts) > 2 * PAIRS_AT_MOST or not all(isinstance(t, str) and "\0" not in t for t in texts):
        raise InvalidValue(f"{name} cannot be read", parameter=name, expected=PAIRS[name])
    return dict(pairs)


# --- what becomes of an upload ----------------------------------------------------------------------------------------


def status(upload: Upload) -> dict[str, Any]:
    """How far an upload is.

    Returns
    -------
    dict
        ``state``: checking, ready, importing, done or failed; ``ratio``: 0 to 1; of a failed one ``problem``.
    """
    running = _running(upload)
    if running is not None:
        return {"state": "importing" if running == "commit" else "checking", "ratio": _ratio(upload)}
    if (upload.folder / "committed.json").exists():
        return {"state": "done", "ratio": 1.0}
    problem = _problem(upload)
    if problem is not None:
        return {"state": "failed", "ratio": _ratio(upload), "problem": problem}
    if (upload.folder / "checked.json").exists():
        return {"state": "ready", "ratio": 1.0}
    problem = {"kind": "Unavailable", "detail": "reading the file was broken off", "expected": "the same again"}
    return {"state": "failed", "ratio": _ratio(upload), "problem": problem}


def answer(upload: Upload) -> str | None:
    """What the last check or the import answered, as JSON; None when there is nothing yet."""
    for name in ("committed.json", "checked.json"):
        with suppress(FileNotFoundError):
            return (upload.folder / name).read_text(encoding="utf-8")
    return None


def _running(upload: Upload) -> str | None:
    """What is being done with an upload, or waits to be done."""
    lock = os.open(upload.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        with suppress(FileNotFoundError):
            return (upload.folder / "act").read_text()
        return "check"
    finally:
        os.close(lock)


def _ratio(upload: Upload) -> float:
    try:
        return float((upload.folder / "ratio").read_text() or 0)
    except (OSError, ValueError):
        return 0.0


def _problem(upload: Upload) -> dict[str, Any] | None:
    try:
        problem: dict[str, Any] = json.loads((upload.folder / "problem.json").read_bytes())
        return problem
    except (OSError, ValueError):
        return None


class Reading:
    """Reads uploads in processes of their own, some at a time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def check(self, upload: Upload) -> str:
        """Try the import without writing; the answer as JSON.

        Raises
        ------
        ImportRefused, InvalidValue, NotFound
            When the file as a whole cannot be imported so.
        Conflict
            When it was imported already.
        """
        async with self._alone(upload) as lock:
            if (upload.folder / "committed.json").exists():
                raise Conflict("the file was imported already", expected="POST /imports/{id}/undo takes it back")
            upload.keep()
            (upload.folder / "checked.json").unlink(missing_ok=True)
            return await self._read(upload, "check", lock, {})

    async def commit(self, upload: Upload, reason: str | None) -> str:
        """Import the file as it was checked last; asked again, the answer is the first.

        Raises
        ------
        Conflict
            When the last check did not succeed.
        """
        async with self._alone(upload) as lock:
            with suppress(FileNotFoundError):
                return (upload.folder / "committed.json").read_text(encoding="utf-8")
            if not (upload.folder / "checked.json").exists():
                raise Conflict("the file was not checked, or refused", expected="POST /imports/{token} with options")
            body = await self._read(upload, "commit", lock, {"reason": reason})
            shutil.rmtree(upload.file.parent, ignore_errors=True)
            return body

    @asynccontextmanager
    async def _alone(self, upload: Upload) -> AsyncIterator[int]:
        """The lock of an upload: nobody else reads it, in whatever process."""
        lock = os.open(upload.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.1)
            find(upload.token, upload.account)
            yield lock
        finally:
            os.close(lock)

    async def _read(self, upload: Upload, act: Act, lock: int, further: dict[str, Any]) -> str:
        """What another process answers; it holds the lock too, and so keeps it if this one is killed."""
        _write(upload.folder / "act", act)
        _write(upload.folder / "ratio", "0")
        for name in ("problem.json", "rejects.csv"):
            (upload.folder / name).unlink(missing_ok=True)
        job = {"url": self.url, "folder": str(upload.folder), "act": act, **further}
        try:
            async with self._turn:
                told = await _in_process(job, lock)
        except LeewardError as error:
            _write(upload.folder / "problem.json", json.dumps(_told(error)))
            raise
        if told is not None:
            _write(upload.folder / "problem.json", json.dumps(told))
            raise error_of(told)
        return answer(upload) or "{}"


async def _in_process(job: Mapping[str, Any], lock: int) -> dict[str, Any] | None:
    """The problem that a process of its own met in a job; None when it met none."""
    root = str(Path(__file__).parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "layers.uploads", env={**os.environ, "PYTHONPATH": path}, pass_fds=(lock,),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        output, complaints = await asyncio.wait_for(process.communicate(json.dumps(job).encode()), TIME_LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ImportRefused("reading the file takes too long", expected="a smaller file") from None
    if process.returncode == 0:
        problem: dict[str, Any] | None = json.loads(output)
        return problem
    if process.returncode is not None and process.returncode < 0:
        raise ImportRefused(
            "reading the file was broken off: it is damaged, has cells far away from its table, or needs more than"
            f" {MEMORY_LIMIT >> 30} GB",
            expected="a smaller file, or one that its program has saved anew",
        )
    log.error("reading an upload failed\n%s", complaints.decode("utf-8", "replace")[-LOGGED_AT_MOST:])
    raise StoreFailed("reading the file failed; the failure is in the service's log")


def _told(error: LeewardError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__, "detail": error.detail, "parameter": error.parameter,
        "expected": error.expected, "further": error.further,
    }  # fmt: skip


def error_of(problem: Mapping[str, Any]) -> LeewardError:
    """The domain error that another process has told of."""
    kind = getattr(errors, str(problem["kind"]), LeewardError)
    error: LeewardError = kind(
        problem["detail"], parameter=problem.get("parameter"), expected=problem.get("expected"),
        further=problem.get("further") or {},
    )  # fmt: skip
    return error


# --- imports that were done -------------------------------------------------------------------------------------------

LISTED = ("id", "layer", "source", "file_name", "crs", "counts", "finished_at", "author", "taken_back_at")


def imports(readers: Readers, layer: str | None, limit: int) -> list[dict[str, Any]]:
    """The imports that were done, the last first.

    Parameters
    ----------
    readers : Readers
        In a scope that sees imports.
    layer : str, optional
        Only imports into this layer.
    """
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY id DESC LIMIT {}").format(
        sql.SQL(", ").join(map(sql.Identifier, LISTED)),
        sql.Identifier(INTERNAL.schema, "imports"),
        sql.SQL("true") if layer is None else sql.SQL("layer = {}").format(sql.Literal(layer)),
        sql.Literal(limit),
    )
    return [dict(zip(LISTED, row, strict=True)) for row in readers.rows(query)]


def undo(
    url: str, known: Catalog, import_id: int, author: str, editor: Editor, reason: str | None, *, leave_edited: bool
) -> TakenBack:
    """Take an import back as one change; see ``layers.editing.take_back``.

    Raises
    ------
    NotFound
        When there is no such import.
    """
    writers = Writers(url, size=1, timeout_ms=UNDO_LIMIT_MS)
    try:
        with writers.transaction(author, reason) as cursor:
            layer = one(cursor, "SELECT layer FROM leeward.imports WHERE id = %s", (import_id,))
            if layer is None or layer not in known:
                raise NotFound(f"there is no import {import_id}", parameter="id")
            return take_back(cursor, known[layer], import_id, editor, leave_edited=leave_edited)
    finally:
        writers.close()


# --- in the process of its own ----------------------------------------------------------------------------------------


class _Done(Exception):
    """Ends an import that was done before, with what was answered then."""


def _main() -> None:
    job = json.loads(sys.stdin.buffer.read())
    output = os.dup(1)
    os.dup2(2, 1)  # what a library prints is not taken for the answer
    _limit()
    upload = _read(Path(job["folder"]))
    assert upload is not None
    problem = None
    try:
        _restrict_gdal(needed=screen(upload.file))
        _import(upload, job)
    except ModuleNotFoundError as error:
        if error.name != "pyogrio":
            raise
        refused = ImportRefused(f"{upload.file_name} holds something else than its ending says", expected=READ)
        problem = _told(refused)
    except LeewardError as error:
        problem = json.loads(_without_folder(upload, _told(error)))
    except MemoryError:
        limit = f"{MEMORY_LIMIT >> 30} GB"
        problem = _told(ImportRefused(f"reading the file needs more than {limit}", expected="a smaller file"))
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
    with open(output, "w", encoding="utf-8") as told:
        json.dump(problem, told)


def _limit() -> None:
    """What a file made to harm can take: memory, time, disk."""
    os.umask(0o077)
    for what, limit in (
        (resource.RLIMIT_DATA, MEMORY_LIMIT),
        (resource.RLIMIT_CPU, TIME_LIMIT_S),
        (resource.RLIMIT_FSIZE, FILE_LIMIT),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _restrict_gdal(*, needed: bool) -> None:
    """Leave GDAL the drivers of formats that may be uploaded, and no way to other machines; or none at all."""
    if not needed:
        sys.modules["pyogrio"] = None  # type: ignore[assignment]  # so that it cannot be imported
        return
    import pyogrio

    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ""
    os.environ["PROJ_NETWORK"] = "OFF"
    others = set(pyogrio.list_drivers()) - set(DRIVERS)
    pyogrio.set_gdal_config_options({"GDAL_SKIP": ",".join(sorted(others))})
    pyogrio._ogr._register_drivers()  # reads GDAL_SKIP once more
    if set(pyogrio.list_drivers()) - set(DRIVERS):
        raise RuntimeError("GDAL keeps drivers that are not on the list")


def _import(upload: Upload, job: Mapping[str, Any]) -> None:
    """Check or import a file; what is to be answered is written down beside it."""
    from layers.importing import OWN_COLUMNS, Run, import_file
    from layers.preview import rejected, standing

    check = job["act"] == "check"
    told: dict[str, Any] = {}

    def before_end(cursor: Cursor, run: Run) -> None:
        report = asdict(run.report)
        report["rejects_file"] = f"/imports/{upload.token}/rejects.csv" if run.report.rejects_file else None
        told["report"] = report
        if check:
            told["columns"] = run.report.columns
            told["headings"] = [heading for heading in run.table.headings if heading not in OWN_COLUMNS]
            told["sheets"] = run.table.parts
            told["sample"] = {"type": "FeatureCollection", "features": standing(cursor, run.definition, SAMPLE)}
        else:
            told["import_id"] = run.report.import_id
            _note(cursor, upload, _without_folder(upload, told))

    try:
        import_file(job["url"], upload.layer, upload.file, _options(upload, job), _progress(upload), before_end)
    except _Done as done:
        _write(upload.folder / "committed.json", str(done))
        return
    if not check:
        _write(upload.folder / "committed.json", _without_folder(upload, told))
        return
    known = {"id": upload.token, "layer": upload.layer, "file": upload.file_name, "options": upload.options}
    told["rejected"] = rejected(upload.rejects, REJECTED)
    _write(upload.folder / "checked.json", _without_folder(upload, known | told))


def _options(upload: Upload, job: Mapping[str, Any]) -> Options:
    from layers.importing import Options

    given = dict(upload.options)
    update = given.pop("on_conflict", "skip") == "update"
    return Options(
        columns=given.pop("map", {}), constants=given.pop("set", {}), update=update, rejects=upload.rejects,
        dry_run=job["act"] == "check", author=upload.account, reason=job.get("reason"), beside_readers=True,
        **given,
    )  # fmt: skip


def _note(cursor: Cursor, upload: Upload, body: str) -> None:
    """Write the answer down in the transaction of the import: one that was done already is not done again."""
    key, digest = f"import {upload.token}", upload.token.encode()
    kept = once(cursor, upload.account, key, digest, lambda: Answer(200, body, {}))
    if kept.body != body:
        raise _Done(kept.body)


def _progress(upload: Upload) -> Callable[[float], None]:
    """A function that writes a share down, five times a second at most."""
    last = 0.0

    def tell(ratio: float) -> None:
        nonlocal last
        if time.monotonic() - last > 0.2:
            last = time.monotonic()
            _write(upload.folder / "ratio", f"{ratio:.3f}")

    return tell


def _without_folder(upload: Upload, told: Mapping[str, Any]) -> str:
    """JSON in which nothing says where the file stands."""
    folder = json.dumps(f"{upload.file.parent}/", ensure_ascii=False)[1:-1]
    return json.dumps(told, ensure_ascii=False).replace(folder, "")


if __name__ == "__main__":
    _main()
