"""The domain errors. Each says what is wrong, where, and what would be right."""

from __future__ import annotations


class LeewardError(Exception):
    """Something the asker can put right.

    Parameters
    ----------
    detail : str
        What is wrong, in one sentence.
    parameter : str, optional
        The argument, field or column at fault, in the asker's own word.
    expected : str, optional
        What would be right.
    """

    slug = "error"
    title = "The request could not be answered"

    def __init__(self, detail: str, *, parameter: str | None = None, expected: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.parameter = parameter
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.detail} ({self.expected})" if self.expected else self.detail


class InvalidValue(LeewardError):
    """A value that cannot be read or lies outside what is allowed."""

    slug = "invalid-value"
    title = "A value is not valid"


class UnknownParameter(LeewardError):
    """A parameter or field that does not exist, or that the asker may not read."""

    slug = "unknown-parameter"
    title = "There is no such parameter"


class NotFound(LeewardError):
    """A layer, item, raster or file that is not there."""

    slug = "not-found"
    title = "Not found"


class DefinitionError(LeewardError):
    """A layer definition, code list, profile or standard that is wrong."""

    slug = "definition"
    title = "A definition is wrong"


class ImportRefused(LeewardError):
    """A file that cannot be imported as a whole; nothing was written."""

    slug = "import-refused"
    title = "The file was not imported"


class ClusterError(LeewardError):
    """The embedded PostGIS cannot be made, started or reached."""

    slug = "cluster"
    title = "The embedded PostGIS is not available"


class StoreFailed(LeewardError):
    """PostgreSQL or PostGIS failed inside, for no fault of the asker."""

    slug = "internal"
    title = "The service failed"


class Unavailable(LeewardError):
    """The database is away, too slow, or its queue is full: worth another try."""

    slug = "unavailable"
    title = "The service is not available just now"
