"""A database that can be away: a socket before it that can be cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

from psycopg2.extensions import make_dsn, parse_dsn


class Cut:
    """A Unix socket that leads to another one until it is cut."""

    def __init__(self, url: str, folder: Path) -> None:
        parts = parse_dsn(url)
        name = f".s.PGSQL.{parts['port']}"
        self._target, self._path = f"{parts['host']}/{name}", folder / name
        self.url = make_dsn(url, host=str(folder))
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.mend()

    def mend(self) -> None:
        """Lead to the database again."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and let nobody connect."""
        assert self._listener is not None
        self._path.unlink()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(1 << 16):
            target.sendall(part)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
