"""Rows out of the database by COPY, as Arrow batches: in bounded memory, ten times as fast as row by row."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import numpy as np
import pyarrow as pa
import pyarrow.csv

from layers.database import Cursor, sql

BLOCK_BYTES = 4 << 20


def parsed(block: bytes, types: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    """A block of the CSV that COPY writes, its columns in their types: NULL is null, and an empty text is one."""
    if not block:
        return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in types.values()], list(types))
    table = pyarrow.csv.read_csv(
        io.BytesIO(block),
        pyarrow.csv.ReadOptions(use_threads=False, column_names=list(types), block_size=len(block) + 1),
        pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        pyarrow.csv.ConvertOptions(
            column_types=dict(types), null_values=[""], true_values=["t"], false_values=["f"], strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )  # fmt: skip
    return table.combine_chunks().to_batches()[0]


def from_hex(column: pa.StringArray) -> pa.BinaryArray:
    """Bytes of hexadecimal digits, all at once."""
    if column.offset:
        column = pa.concat_arrays([column])
    valid, offsets, data = column.buffers()
    count = len(column)
    places = np.frombuffer(offsets, np.int32, count + 1)
    digits = data.to_pybytes()[places[0] : places[-1]] if data is not None else b""
    halved = pa.py_buffer(((places - places[0]) // 2).astype(np.int32))
    return pa.BinaryArray.from_buffers(
        pa.binary(), count, [valid, halved, pa.py_buffer(bytes.fromhex(digits.decode()))]
    )


class _Stopped(Exception):
    """Ends a COPY whose rows nobody wants any more."""


class Blocks:
    """A file to which COPY writes row by row, and from which blocks of rows are taken."""

    def __init__(self) -> None:
        self.blocks: queue.Queue[bytes | None] = queue.Queue(2)
        self.stopped = threading.Event()
        self._rows: list[bytes] = []
        self._size = 0

    def write(self, row: bytes) -> int:
        """Take a row; wait when there are blocks enough."""
        self._rows.append(row)
        self._size += len(row)
        if self._size >= BLOCK_BYTES:
            self.flush()
        return len(row)

    def flush(self) -> None:
        """Give out what there is as a block."""
        if self._rows:
            self.put(b"".join(self._rows))
        self._rows, self._size = [], 0

    def put(self, block: bytes | None) -> None:
        """Give out a block, None at the end."""
        while not self.stopped.is_set():
            try:
                self.blocks.put(block, timeout=0.1)
            except queue.Full:
                continue
            return
        raise _Stopped


@contextmanager
def copied(cursor: Cursor, query: sql.Composable) -> Iterator[Iterator[bytes]]:
    """What a COPY gives, as blocks of whole rows; it runs in a thread of its own, two blocks ahead at most."""
    taken = Blocks()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            cursor.copy_expert(query, taken, size=1 << 16)
            taken.flush()
        except BaseException as error:  # told where the blocks are taken
            failed.append(error)
        with suppress(_Stopped):
            taken.put(None)

    def blocks() -> Iterator[bytes]:
        while (block := taken.blocks.get()) is not None:
            yield block
        if failed:
            raise failed[0]

    thread = threading.Thread(target=run, name="export", daemon=True)
    thread.start()
    try:
        yield blocks()
    finally:
        taken.stopped.set()
        if (
            thread.is_alive()
        ):  # the rest is not wanted, and a connection in the middle of a COPY serves for nothing else
            cursor.connection.cancel()
            thread.join()
            cursor.connection.close()
