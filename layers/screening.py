"""What a file from others is, by what it holds, before anything opens it; refused unless its kind is on the list.

A kind is let in when reading it can reach no other file and no other machine. Archives are unpacked once without being
kept, to see how large they are: what their own tables say of that may be wrong.
"""

from __future__ import annotations

import codecs
import json
import mmap
import re
import sqlite3
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from layers.errors import ImportRefused

UNPACKED_AT_MOST = 200 << 20
ENTRIES_AT_MOST = 1000
DIRECTORY_AT_MOST = 1 << 20
HEAD_BYTES = 4096
BLOCK_BYTES = 1 << 20
DRIVERS = ("ESRI Shapefile", "FlatGeobuf", "GPKG", "GeoJSON", "GeoJSONSeq")
"""What GDAL may read; text, spreadsheets and Parquet are read without it."""
READ = "CSV, TSV, XLSX, XLS, ODS, GeoJSON, GeoPackage, FlatGeobuf, GeoParquet, or a Shapefile in a ZIP archive"
TEXT_ENDINGS = (".csv", ".tsv", ".txt")
ZIP, OLE, SQLITE, FLATGEOBUF, PARQUET = b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"SQLite format 3\x00", b"fgb\x03", b"PAR1"
ARCHIVES = {
    ZIP: "ZIP", b"PK\x05\x06": "ZIP", b"\x1f\x8b": "gzip", b"7z\xbc\xaf": "7z", b"Rar!": "RAR", b"BZh": "bzip2",
    b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
ARCHIVE_ENDINGS = {".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".bz2", ".xz", ".zst", ".kmz", ".shz"}
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a]")
"""Signs that stand in no text of a table."""
SPREADSHEETS = ("xl/workbook.xml", "xl/workbook.bin")
CRS = re.compile(rb'"crs"\s*:\s*(?=\{)')
CRS_BYTES = 1 << 16
GEOPACKAGES = (0x47504B47, 0x47503130, 0x47503131)
CALL = re.compile(r"([a-z_]\w*)\s*\(", re.IGNORECASE)
TEXTS = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
QUOTED_NAMES = re.compile(r'"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]')
TRIGGERS_CALL = {
    "abs", "and", "check", "count", "coalesce", "exists", "glob", "ifnull", "in", "into", "like", "lower", "max", "min",
    "not", "of", "on", "or", "raise", "select", "set", "st_isempty", "st_maxx", "st_maxy", "st_minx", "st_miny",
    "strftime", "typeof", "using", "values", "when", "where",
}  # fmt: skip


def screen(path: Path) -> bool:
    """Refuse a file whose kind is not on the list, or that is not what it seems; whether GDAL is needed to read it.

    Raises
    ------
    ImportRefused
        Says what is wrong with it, and what would be right.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise ImportRefused(f"{path.name} is empty")
    if head.startswith(ZIP):
        return _screen_archive(path)
    if head.startswith(SQLITE):
        _screen_geopackage(path)
        return True
    if head.startswith((OLE, PARQUET)):
        return False
    return head.startswith(FLATGEOBUF) or _screen_text(path, head)


def _screen_text(path: Path, head: bytes) -> bool:
    for mark, name in ARCHIVES.items():
        if head.startswith(mark):
            raise ImportRefused(f"{path.name} is packed ({name})", expected="the file within it, or a ZIP archive")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"<"):
        raise ImportRefused(
            f"{path.name} is XML (KML, GML, GPX or a virtual file), which may name other files and addresses",
            expected=f"the data itself: {READ}",
        )
    if start.startswith(b"["):
        raise ImportRefused(f"{path.name} is a JSON list", expected="GeoJSON: a FeatureCollection")
    if start.startswith(b"{"):
        _screen_geojson(path)
        return True
    if CONTROL.search(head[:512]) and path.suffix.lower() not in TEXT_ENDINGS:
        raise ImportRefused(f"{path.name} is no file of a kind that can be uploaded", expected=READ)
    return False


def _screen_geojson(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if any(_is_elsewhere(text[found.end() : found.end() + CRS_BYTES]) for found in CRS.finditer(text)):
            raise ImportRefused(
                f"{path.name} leaves its CRS to another address, which is not asked",
                parameter="crs",
                expected="a GeoJSON without the member crs, and EPSG:n as the option crs",
            )


def _is_elsewhere(text: bytes) -> bool:
    """Whether a JSON object, with what follows it, is a CRS that stands at another address."""
    try:
        found, _ = json.JSONDecoder().raw_decode(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return str(found.get("type")).lower() in ("link", "url")


# --- archives ---------------------------------------------------------------------------------------------------------


def _screen_archive(path: Path) -> bool:
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = _checked_names(path, archive)
            spreadsheet = any(name in SPREADSHEETS for name in names) or _is_open_document(archive, names)
            if not spreadsheet and not any(name.lower().endswith(".shp") for name in names):
                listed = ", ".join(names[:5]) or "nothing"
                raise ImportRefused(
                    f"{path.name} holds no Shapefile but {listed}",
                    expected="a ZIP archive with a Shapefile (.shp, .shx, .dbf, .prj); any other file by itself",
                )
            _check_contents(path, archive, nested=spreadsheet)
            return not spreadsheet
    except DAMAGED as error:
        raise ImportRefused(f"{path.name} is a damaged archive: {str(error)[:100]}") from None


def _check_directory(path: Path) -> None:
    """Refuse an archive whose table of contents alone is too long to be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 65_557))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise ImportRefused(f"{path.name} is a damaged archive: it has no end")
    count, length = struct.unpack("<HI", tail[end + 10 : end + 16])
    if count > ENTRIES_AT_MOST or length > DIRECTORY_AT_MOST:
        raise ImportRefused(f"{path.name} holds more than {ENTRIES_AT_MOST} files", expected="one Shapefile an archive")


def _checked_names(path: Path, archive: zipfile.ZipFile) -> list[str]:
    """The names of the files in an archive."""
    names: set[str] = set()
    for entry in archive.infolist():
        name = entry.orig_filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if "\0" in name or name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
            raise ImportRefused(f"{path.name} holds {name[:80]!r}, a name that leads out of the archive")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.create_system == 3 and kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ImportRefused(f"{path.name} holds {name[:80]!r}, which is a link or device and no file")
        if entry.flag_bits & 0x1:
            raise ImportRefused(f"{path.name} is encrypted", expected="an archive without a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ImportRefused(f"{path.name} is packed in a rare way", expected="a plain ZIP archive (deflate)")
        if name in names:
            raise ImportRefused(f"{path.name} holds {name[:80]!r} twice")
        names.add(name)
    if len(names) > ENTRIES_AT_MOST:
        raise ImportRefused(f"{path.name} holds more than {ENTRIES_AT_MOST} files")
    return sorted(name for name in names if not name.endswith("/"))


def _is_open_document(archive: zipfile.ZipFile, names: list[str]) -> bool:
    if "mimetype" not in names or archive.getinfo("mimetype").file_size > 200:
        return False
    return archive.read("mimetype").startswith(b"application/vnd.oasis.opendocument.spreadsheet")


def _check_contents(path: Path, archive: zipfile.ZipFile, *, nested: bool) -> None:
    """Refuse archives that unpack to too much, and archives within archives unless nobody opens these."""
    total = 0
    for entry in archive.infolist():
        size = 0
        for block in _blocks(archive, entry):
            if not size and not nested and _is_archive(entry.filename, block):
                raise ImportRefused(f"{path.name} holds another archive, {entry.filename[:80]!r}")
            size += len(block)
            if total + size > UNPACKED_AT_MOST:
                limit = f"{UNPACKED_AT_MOST >> 20} MB"
                raise ImportRefused(f"{path.name} unpacks to more than {limit}", expected=f"{limit} at most")
        if size != entry.file_size:
            raise ImportRefused(f"{path.name} is a damaged archive: {entry.filename[:80]!r} is not as long as it says")
        total += size


def _blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """What a file of an archive unpacks to, however long the archive says it is."""
    said = entry.file_size
    entry.file_size = 1 << 40  # else zipfile stops where the archive says that the file ends
    try:
        with archive.open(entry) as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    finally:
        entry.file_size = said


def _is_archive(name: str, start: bytes) -> bool:
    return PurePosixPath(name.lower()).suffix in ARCHIVE_ENDINGS or start.startswith(tuple(ARCHIVES))


# --- GeoPackage -------------------------------------------------------------------------------------------------------


def _screen_geopackage(path: Path) -> None:
    """Refuse a database of SQLite that is no GeoPackage, or that does more than hold rows."""
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            (mark,) = database.execute("PRAGMA application_id").fetchone()
            schema = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
            names = {str(name).lower() for _, name, _ in schema}
            if mark not in GEOPACKAGES or not {"gpkg_contents", "gpkg_spatial_ref_sys"} <= names:
                raise ImportRefused(f"{path.name} is a database of SQLite and no GeoPackage", expected=READ)
            for kind, name, text in schema:
                if reason := _more_than_rows(database, str(kind), str(name), str(text or "")):
                    raise ImportRefused(
                        f"{path.name}: the {kind} {str(name)[:80]!r} {reason}",
                        expected="a GeoPackage with tables alone: export the layer to a new one",
                    )
    except (sqlite3.Error, UnicodeError, ValueError) as error:
        raise ImportRefused(f"{path.name} cannot be read as a GeoPackage: {str(error)[:100]}") from None


def _more_than_rows(database: sqlite3.Connection, kind: str, name: str, text: str) -> str | None:
    """What a member of a GeoPackage does besides holding rows; None when it does nothing else."""
    plain = QUOTED_NAMES.sub(" quoted ", TEXTS.sub(" ", text))
    calls = {call.lower() for call in CALL.findall(plain)}
    if kind == "view" and calls:
        return f"computes ({', '.join(sorted(calls))})"
    if kind == "trigger" and calls - TRIGGERS_CALL:
        return f"calls {', '.join(sorted(calls - TRIGGERS_CALL))}"
    if kind == "table" and re.match(r"\s*CREATE\s+VIRTUAL\b", plain, re.IGNORECASE):
        return None if re.search(r"\bUSING\s+rtree\b", plain, re.IGNORECASE) else "is a virtual table"
    if kind == "table":
        columns = database.execute("SELECT hidden FROM pragma_table_xinfo(?)", (name,)).fetchall()
        if any(hidden in (2, 3) for (hidden,) in columns):
            return "has computed columns"
    return None
