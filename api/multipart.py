"""A form with one file, received as it comes: the file goes straight to its place and never into memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

from layers.errors import InvalidValue

FIELDS_AT_MOST = 20
FIELD_BYTES = 1 << 20
FORM_BYTES = 4 << 20
EXPECTED = "multipart/form-data with the file as the field `file`"


@dataclass
class Form:
    """What a form held.

    Parameters
    ----------
    fields : dict of str to str
        All but the file.
    file_name : str or None
        The file's name as it was sent; None when there was no file.
    """

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str | None = None


async def receive(request: Request, target: Path, at_most: int) -> Form:
    """The form of a request, its file written to ``target``.

    Parameters
    ----------
    at_most : int
        Bytes that the file may have.

    Raises
    ------
    InvalidValue
        When the body is no form, or has no file, or several.
    HTTPException
        413 when the file is larger.
    """
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    boundary = parameters.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 70:
        raise InvalidValue("the body is no form", parameter="Content-Type", expected=EXPECTED)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > at_most + FORM_BYTES:
        raise _too_large(at_most)
    with target.open("wb") as file:
        receiver = _Receiver(file, at_most)
        parser = MultipartParser(boundary, receiver.callbacks())  # type: ignore[arg-type]  # a TypedDict of them
        try:
            async for block in request.stream():
                parser.write(block)
            parser.finalize()
        except FormParserError as error:
            raise InvalidValue(f"the form cannot be read: {error}", parameter="file", expected=EXPECTED) from None
    if not receiver.ended:
        raise InvalidValue("the form ends in the middle", parameter="file", expected=EXPECTED)
    if receiver.form.file_name is None:
        raise InvalidValue("the form has no file", parameter="file", expected=EXPECTED)
    return receiver.form


def _too_large(at_most: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the file is larger than {at_most >> 20} MB: split it, or import it with the command line on the server",
    )


class _Receiver:
    """What the parser tells, put together."""

    def __init__(self, file: BinaryIO, at_most: int) -> None:
        self.form = Form()
        self.ended = False
        self._file = file
        self._at_most = at_most
        self._size = 0
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""
        self._name = ""
        self._text: bytearray | None = None

    def callbacks(self) -> dict[str, Any]:
        """The functions that the parser calls."""
        return {
            "on_part_begin": self._begin, "on_header_field": lambda d, a, b: self._header[0].extend(d[a:b]),
            "on_header_value": lambda d, a, b: self._header[1].extend(d[a:b]), "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content, "on_part_data": self._content, "on_part_end": self._end,
            "on_end": self._finish,
        }  # fmt: skip

    def _begin(self) -> None:
        self._disposition = b""

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _begin_content(self) -> None:
        kind, parameters = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in parameters:
            raise InvalidValue("a part of the form has no name", parameter="file", expected=EXPECTED)
        self._name = _text(parameters[b"name"])
        if b"filename" in parameters:
            if self._name != "file" or self.form.file_name is not None:
                raise InvalidValue(
                    f"a file is sent as {self._name[:80]!r}", parameter="file", expected=f"one file; {EXPECTED}"
                )
            self.form.file_name = _text(parameters[b"filename"])
            self._text = None
            return
        if self._name in self.form.fields or len(self.form.fields) == FIELDS_AT_MOST:
            raise InvalidValue(f"{self._name[:80]} is given more than once", parameter=self._name[:80])
        self._text = bytearray()

    def _content(self, data: bytes, start: int, end: int) -> None:
        if self._text is None:
            self._size += end - start
            if self._size > self._at_most:
                raise _too_large(self._at_most)
            self._file.write(memoryview(data)[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > FIELD_BYTES:
            raise InvalidValue(f"{self._name[:80]} is too long", parameter=self._name[:80])

    def _end(self) -> None:
        if self._text is not None:
            self.form.fields[self._name] = _text(bytes(self._text))

    def _finish(self) -> None:
        self.ended = True


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
