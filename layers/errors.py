"""The domain errors. Each says what is wrong, where, and what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
    further : mapping, optional
        What else the asker needs in order to put it right: further members of the problem.
    """

    slug = "error"
    title = "The request could not be answered"

    def __init__(
        self,
        detail: str,
        *,
        parameter: str | None = None,
        expected: str | None = None,
        further: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.parameter = parameter
        self.expected = expected
        self.further: dict[str, Any] = dict(further or {})

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


class SignInNeeded(LeewardError):
    """Nobody is signed in where somebody must be, or the credentials are wrong."""

    slug = "sign-in"
    title = "Signing in is needed"


class Forbidden(LeewardError):
    """Something that the asker's role may not do."""

    slug = "forbidden"
    title = "Not allowed"


class TooManyAttempts(LeewardError):
    """Signing in failed too often of late; ``further`` says how long to wait, as ``retry_after_s``."""

    slug = "too-many-attempts"
    title = "Too many attempts to sign in"


class Conflict(LeewardError):
    """Something that cannot be done as things stand, whoever asks."""

    slug = "conflict"
    title = "That cannot be done as things stand"


class EditConflict(LeewardError):
    """An edit of an item that somebody else has changed in the meantime."""

    slug = "edit-conflict"
    title = "Somebody else has changed this in the meantime"


class PreconditionRequired(LeewardError):
    """An edit that does not say which state of the item it was made from."""

    slug = "if-match-required"
    title = "The edit must say which state it was made from"


class InvalidFeature(LeewardError):
    """A feature that its layer does not take; ``further`` names the fields, as ``errors``."""

    slug = "invalid-feature"
    title = "The feature is not valid"


class StepRefused(LeewardError):
    """A step of a workflow that lacks what it needs, or is not this asker's."""

    slug = "step-refused"
    title = "The step cannot be taken"


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
