"""Failures that we understand. A finding (invalid, different) is data, not an error: see ``contract``.

An action raises one of these; the host carries it over the pipe, and the worker records ``code`` and
sentence. Anything else that an action raises is a bug, and is recorded as one.
"""

from __future__ import annotations

from typing import ClassVar


class PreservationError(Exception):
    """What happened, to what, and what to do about it.

    ``code`` is a stable kebab-case word that ledger and report keep; never reused for another meaning.
    """

    code: ClassVar[str] = "error"

    def __init__(self, what: str, subject: str, remedy: str, *, code: str | None = None) -> None:
        super().__init__(what, subject, remedy)
        self.what, self.subject, self.remedy = what, subject, remedy
        self.reason = code or self.code

    def __str__(self) -> str:
        return f"[{self.reason}] {self.subject}: {self.what}. {self.remedy}"


class PermanentError(PreservationError):
    """The same input will fail the same way: recorded, not retried."""

    code = "refused"


class RefusedError(PermanentError):
    """A tool or an action looked at this file and will not do it (damaged, unsupported, too large)."""


class EncryptedError(RefusedError):
    """The file needs a password that an archive must not hold: the producer has to remove it."""

    code = "encrypted"


class DamagedError(RefusedError):
    """The format's own decoder cannot read the file to its end."""

    code = "damaged"


class TooLargeError(RefusedError):
    """The file would need more memory or time than the action may use."""

    code = "too-large"


class ToolFailedError(PermanentError):
    """A tool ran and ended in a way that it documents as failure."""

    code = "tool-failed"


class ToolMissingError(PermanentError):
    """A tool that the plan needs is not on this machine; ``bevara doctor`` says how to get it."""

    code = "tool-missing"


class ToolCrashedError(PermanentError):
    """A tool ended by a signal, or its pipe closed in the middle of an answer."""

    code = "tool-crashed"


class ToolTimeoutError(PermanentError):
    """A tool was still running when its time was up, and was ended with its whole process group."""

    code = "tool-timeout"


class TransientError(PreservationError):
    """Trying again later may work (a full scratch area, a store that throttles): back-off, bounded."""

    code = "transient"
