"""Logs of the service's processes: a line of JSON each, with ids, and without what an archive must not tell (P7).

Three walls: context is bound by id, not by name; exceptions are logged as type and place, because their text may hold a
file's name; and what looks like a key or a password is struck out of whatever is logged. Libraries that we did not
write are only heard from warnings on, and only by their fixed words.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from actions.errors import PreservationError

OURS = frozenset({"worker", "actions", "bevara", "dramatiq", "uvicorn", "__main__"})
"""Loggers whose words are known: dramatiq's messages hold ids, and uvicorn's hold no address once its access log is off."""

FIELDS = ("job", "task", "tenant")
STRUCK = "***"
MOST_CHARACTERS = 2000  # of one event
_PLACES = 8  # innermost calls of an exception
_SECRETS = (
    (re.compile(r"\b(bvr_[A-Za-z0-9]{1,64}_)[^\s\"',;)]+"), rf"\1{STRUCK}"),
    (re.compile(r"\bbvr_(?![A-Za-z0-9]{1,64}_)[^\s\"',;)]+"), f"bvr_{STRUCK}"),
    (re.compile(r"\bwhsec_[^\s\"',;)]+"), f"whsec_{STRUCK}"),
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s]*@"), rf"\1{STRUCK}@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {STRUCK}"),
    (re.compile(r"(?i)\b(password|passwd|secret(?:_key)?|token)(\s*[=:]\s*)\S+"), rf"\1\2{STRUCK}"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL), STRUCK),
)
_bound: ContextVar[dict[str, str | int] | None] = ContextVar("bevara_log", default=None)


@contextlib.contextmanager
def bound(*, job: str | None = None, task: int | None = None, tenant: str | None = None) -> Iterator[None]:
    """Everything that is logged within, in this thread, carries these ids."""
    given = {name: value for name, value in zip(FIELDS, (job, task, tenant), strict=True) if value is not None}
    token = _bound.set({**(_bound.get() or {}), **given})
    try:
        yield
    finally:
        _bound.reset(token)


def configure(process: str, *, form: str = "json", level: str = "info") -> None:
    """Send all logging of this process to standard error, in *form* ``json`` or ``text``. Called once, at start.

    Args:
        process: Its name in each line: ``serve``, ``work``, ``schedule``.
        form: ``json`` for machines, ``text`` for a terminal.
        level: ``debug``, ``info``, ``warning`` or ``error``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process) if form == "json" else TextLines(process))
    handler.addFilter(_heard)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in list(logging.root.manager.loggerDict):  # a library that brought its own handler would go round the walls
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    access = logging.getLogger("uvicorn.access")  # holds paths, and with them names: worker.observe.requests logs routes
    access.disabled = True
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


class JsonLines(logging.Formatter):
    """One JSON object a line: ts, level, event, logger, process, pid, and job, task, tenant, error where there are."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": event(record),
            "logger": record.name,
            "process": self._process,
            "pid": os.getpid(),
            **(_bound.get() or {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = error(record.exc_info[1], record.exc_info[2])
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """The same for a person at a terminal."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line; an exception's places follow it."""
        ids = "".join(f" {name}={value}" for name, value in (_bound.get() or {}).items())
        when = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        line = f"{when} {record.levelname.lower():7} {self._process}: {event(record)}{ids}"
        if record.exc_info and record.exc_info[1] is not None:
            told = error(record.exc_info[1], record.exc_info[2])
            line += f"\n         {told['type']} at {' < '.join(reversed(told['at']))}"
        return line


def event(record: logging.LogRecord) -> str:
    """What a record says, without what it must not say, on one line."""
    if record.name.partition(".")[0] not in OURS:
        said = (
            record.msg if record.args and isinstance(record.msg, str) else f"a message of {record.name} (its words may hold names)"
        )
    else:
        try:
            said = str(record.msg) % _spoken(record.args) if record.args else str(_told(record.msg))
        except (TypeError, ValueError, KeyError):
            said = str(record.msg)
    for pattern, instead in _SECRETS:
        said = pattern.sub(instead, said)
    return said[:MOST_CHARACTERS].replace("\r", " ").replace("\n", " ")


def error(problem: BaseException, trace: TracebackType | None) -> dict[str, list[str] | str]:
    """An exception as type, code and place; its words stay out, because they may hold a file's name."""
    frames = traceback.extract_tb(trace)[-_PLACES:]
    told: dict[str, list[str] | str] = {
        "type": type(problem).__qualname__,
        "at": [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(problem, PreservationError):
        told["code"] = problem.reason
    cause = problem.__cause__ or (None if problem.__suppress_context__ else problem.__context__)
    if cause is not None:
        told["cause"] = type(cause).__qualname__
    return told


def _heard(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in OURS


def _spoken(args: object) -> object:
    """The arguments of a message, with exceptions and paths made harmless."""
    if isinstance(args, tuple):
        return tuple(_told(one) for one in args)
    if isinstance(args, dict):
        return {name: _told(value) for name, value in args.items()}
    return _told(args)


def _told(value: object) -> object:
    if isinstance(value, PreservationError):
        return f"{type(value).__qualname__} [{value.reason}]"
    if isinstance(value, BaseException):
        return type(value).__qualname__
    return "<path>" if isinstance(value, Path) else value


def _short(filename: str) -> str:
    """A module's path from its package on."""
    parts = Path(filename).parts
    start = next((at for at in range(len(parts) - 1, -1, -1) if parts[at] in {"site-packages", "worker", "actions"}), None)
    return "/".join(parts[start:] if start is not None else parts[-2:])


def _uncaught(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("worker").critical("the process ends by a bug", exc_info=(kind, problem, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        told = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger("worker").critical("a thread ended by a bug", exc_info=told)
