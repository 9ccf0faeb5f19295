"""The action host: a child process that runs actions, one after another, and keeps its tools warm.

Started by the worker inside bubblewrap (design.md §5). It reads requests from standard input and
answers on the descriptor that was its standard output; what a library prints goes to standard error.
It trusts nothing it reads from a file, and the worker trusts nothing it says beyond that file.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

from actions import wire
from actions.contract import Kind
from actions.errors import PreservationError

MEMORY_BYTES = 8 << 30  # address space of each process in the host: a bomb ends here, not in the machine
FILE_BYTES = 16 << 30  # size of any one file that an action may write
PROCESSES = 4096  # a fork bomb ends here; threads count too, and where the kernel has no own count, the user's others
WRITING = frozenset({Kind.CONVERT, Kind.OCR, Kind.COMPARE})  # the kinds of action that leave files in their workdir
COLLECT_EVERY = 50  # files; reference cycles of parsers are freed in one go, not at random


def main() -> int:
    """Serve requests until standard input ends."""
    faulthandler.enable()  # a crash then says on standard error whose code it was in
    answers = os.dup(1)
    os.dup2(2, 1)
    _limit()
    wire.send(answers, {"hello": "bevara action host", "pid": os.getpid()})
    served = 0
    while True:
        try:
            request = wire.receive(0)
        except wire.PipeClosedError:
            break
        wire.send(answers, _serve(request))
        served += 1
        if served % COLLECT_EVERY == 0:
            gc.collect()
    _close_tools()
    return 0


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one request; every end is an answer."""
    try:
        if "warm" in request:
            return _warm(request["warm"])
        return _formats(request["formats"]) if "formats" in request else _act(request)
    except PreservationError as known:
        kind = type(known).__name__
        return {
            "error": {"kind": kind, "reason": known.reason, "what": known.what, "subject": known.subject, "remedy": known.remedy}
        }
    except MemoryError:
        gc.collect()
        return {"error": _too_much_memory()}
    except RecursionError:
        return {"bug": "RecursionError", "trace": "the file nests deeper than the parser can follow"}
    except Exception as bug:  # noqa: BLE001 -- a bug in an action costs one attempt of one file, and is told with its trace
        return {"bug": f"{type(bug).__name__}: {bug}"[:500], "trace": traceback.format_exc()[-4000:]}


def _act(request: dict[str, Any]) -> dict[str, Any]:
    from actions.catalog import CATALOG  # noqa: PLC0415 -- brings pydantic, 0.1 s, which naming formats does not need

    spec = CATALOG[request["action"]]
    workdir = Path(request["workdir"])
    if spec.kind in WRITING:  # a folder for each of three questions about a small file is a tenth of its time
        workdir.mkdir(parents=True, exist_ok=True)
    outcome = spec.run(Path(request["source"]), workdir, spec.params.model_validate(request["params"]))
    return {"outcome": wire.dumped(outcome)}


def _too_much_memory() -> dict[str, str]:
    what = f"needs more memory than an action may use ({MEMORY_BYTES >> 30} GiB)"
    return {"kind": "TooLargeError", "reason": "too-large", "what": what, "subject": "source", "remedy": "Convert it by hand."}


def _warm(tools: list[str]) -> dict[str, Any]:
    """Start tools without waiting for them, so that their start overlaps with the first files.

    What cannot be started is left to the first file that needs it, which then says so.
    """
    for tool in tools:
        if tool == "libreoffice":
            from actions.tools import libreoffice  # noqa: PLC0415 -- only hosts that meet office files load it

            libreoffice.shared().warm()
        elif tool == "verapdf":
            from actions.tools import verapdf  # noqa: PLC0415 -- only hosts that meet PDF files load it

            verapdf.shared().warm()
        else:
            from actions.identifiers import siegfried  # noqa: PLC0415 -- as above

            siegfried.warm()
    return {"outcome": None}


def _formats(sources: list[str]) -> dict[str, Any]:
    """Name the formats of several files at one go: asking file by file takes longer than the answer."""
    from actions import identify  # noqa: PLC0415 -- as above

    return {"outcomes": [wire.dumped(identify.name_format(Path(source))) for source in sources]}


def _close_tools() -> None:
    for name in ("actions.tools.libreoffice", "actions.tools.verapdf"):
        if module := sys.modules.get(name):
            module.shared().close()


if __name__ == "__main__":
    sys.exit(main())
