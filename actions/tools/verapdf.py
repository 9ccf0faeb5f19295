"""veraPDF, the PDF/A validator, kept warm in one Java machine.

A cold start costs ~1.5 s and a warm validation ~20 ms (design.md §5), so one server-mode process
answers for many files. What a verdict means for the archive is decided in ``actions.pdfa_validate``.

The protocol (read from veraPDF 1.30.2, ``--servermode``): one path per line in; for each, one line out
with the path of a report that veraPDF wrote. One such line also comes unasked at the start. So that no
name of ours can put the lines out of step, veraPDF only ever sees ``<private folder>/<n>.pdf``, and each
report must name the file that was asked for.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import select
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from actions.errors import ToolCrashedError, ToolFailedError, ToolMissingError, ToolTimeoutError
from actions.tools import process
from actions.tools.verapdf_report import Report, parse

LIB_VARIABLE = "BEVARA_VERAPDF_LIB"
ARCHIVE_NAME = "verapdf.jsa"
MAIN_CLASS = "org.verapdf.apps.GreenfieldCliWrapper"
HEAP_MB = 1024  # real records of 500 MB validate within it; the host's own memory limit must be above
START_LIMIT_S = 60.0  # 1-2 s measured; a loaded machine with a cold disk needs many times that
FAILURES_SHOWN = 3  # per rule; a scan of 5,000 pages otherwise gives a report of 100 MB


@dataclass(slots=True)
class _Server:
    """A running Java machine: its pipes, its private folder, and how far the conversation is."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    folder: Path
    running: Callable[[], bool]
    end: Callable[[], None]
    greeted: bool = False
    asked: int = 0
    pending: bytes = b""

    def log_tail(self) -> str:
        """The last words of its error stream."""
        log = self.folder / "log"
        return log.read_text(errors="replace")[-process.STDERR_TAIL_CHARS :].strip() if log.exists() else ""


class VeraPdf:
    """One veraPDF server process: started when first needed, restarted after its death."""

    def __init__(self, lib: Path | None = None) -> None:
        """*lib* is the folder of veraPDF's jars; without it, the environment says where."""
        self._lib = lib
        self._server: _Server | None = None

    def warm(self) -> None:
        """Start the Java machine without waiting for it.

        Raises:
            ToolMissingError: No Java, or no jars.
        """
        self._running()

    def validate(self, path: Path, *, timeout_s: float) -> Report:
        """Validate *path* against the profile of its own claim; without a claim, against PDF/A-2b.

        Raises:
            ToolMissingError: No Java, or no jars.
            ToolTimeoutError: No answer within *timeout_s*; the Java machine was ended.
            ToolCrashedError: The Java machine ended by itself.
            ToolFailedError: The answer could not be understood.
        """
        server = self._running()
        try:
            if not server.greeted:
                Path(_line(server, path.name, START_LIMIT_S)).unlink(missing_ok=True)
                server.greeted = True
            return _ask(server, path, timeout_s)
        except (OSError, ValueError, KeyError, TypeError) as odd:
            self.close()
            raise ToolFailedError(f"veraPDF's answer could not be read: {odd}", path.name, "Run veraPDF by hand on it.") from odd
        except BaseException:
            self.close()  # never go on with a server that may be out of step
            raise

    def close(self) -> None:
        """End the Java machine and remove its folder. Harmless when nothing runs."""
        server, self._server = self._server, None
        if server is not None:
            server.end()
            for pipe in (server.stdin, server.stdout):
                with contextlib.suppress(OSError):  # unsent bytes to a dead process
                    pipe.close()
            shutil.rmtree(server.folder, ignore_errors=True)

    def _running(self) -> _Server:
        if self._server is not None and self._server.running():
            return self._server
        self.close()
        argv = _command(self._lib)
        folder = Path(tempfile.mkdtemp(prefix="verapdf-"))
        argv[1:1] = [f"-Djava.io.tmpdir={folder}"]
        with (folder / "log").open("wb") as log:
            child = process.start(argv, cwd=folder, stdin=process.PIPE, stdout=process.PIPE, stderr=log)
        if child.stdin is None or child.stdout is None:
            raise ToolFailedError("veraPDF started without pipes", "veraPDF", "Report this.")
        self._server = _Server(
            child.stdin, child.stdout, folder, running=lambda: child.poll() is None, end=lambda: process.end_group(child)
        )
        return self._server


def _ask(server: _Server, path: Path, timeout_s: float) -> Report:
    """One question and its answer. The link's name is ours, so a line break in the file's name does no harm."""
    server.asked += 1
    link = server.folder / f"{server.asked}.pdf"
    link.symlink_to(path.resolve())
    try:
        server.stdin.write(f"{link}\n".encode())
        server.stdin.flush()
    except OSError as broken:
        raise _died(server, path.name) from broken
    answer = Path(_line(server, path.name, timeout_s))
    text = answer.read_text("utf-8", errors="replace")
    answer.unlink(missing_ok=True)
    link.unlink(missing_ok=True)
    return parse(text, link, path.name)


def _line(server: _Server, subject: str, timeout_s: float) -> str:
    """The next line that names a report in our folder; other lines (a JVM's warnings) are passed over."""
    deadline = time.monotonic() + timeout_s
    while True:
        while b"\n" in server.pending:
            line, server.pending = server.pending.split(b"\n", 1)
            text = line.decode(errors="replace").strip()
            if text.startswith(f"{server.folder}/"):
                return text
        ready, _, _ = select.select([server.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise ToolTimeoutError(f"veraPDF gave no answer within {timeout_s:g} s", subject, "Validate it by hand with more time.")
        data = os.read(server.stdout.fileno(), 65536)
        if not data:
            raise _died(server, subject)
        server.pending += data


def _died(server: _Server, subject: str) -> ToolCrashedError:
    return ToolCrashedError(f"veraPDF's Java machine ended: {server.log_tail()}", subject, "Run veraPDF by hand on this file.")


_shared = VeraPdf()
atexit.register(_shared.close)


def shared() -> VeraPdf:
    """The one instance of this process (an action host keeps it warm)."""
    return _shared


def available() -> bool:
    """Whether Java and veraPDF's jars are on this machine; starts nothing."""
    try:
        _command(None)
    except ToolMissingError:
        return False
    return True


def version(lib: Path | None = None) -> str:
    """``"veraPDF 1.30.2"``, from the jar's name: asking Java would cost a start.

    Raises:
        ToolMissingError: No jars.
    """
    for jar in _jars(lib):
        if found := re.fullmatch(r"apps-(.+)", jar.stem) or re.fullmatch(r"greenfield-apps-(.+)", jar.stem):
            return f"veraPDF {found[1]}"
    return "veraPDF of unknown version"


def write_archive(lib: Path, samples: Sequence[Path] = ()) -> Path:
    """Write a class-data archive beside the jars in *lib*, for a faster start; ``make setup`` calls this.

    Java checks by itself whether the archive fits (same Java, same jars) and otherwise ignores it.
    Measured: first answer after 1.3 s in place of 1.6 s, and with a tagged PDF/A with fonts and a picture among the
    *samples* 0.8 s less over the first files, because the classes that they need are there too.

    Raises:
        ToolMissingError: No Java, or no jars.
        ToolFailedError: Java could not write it.
    """
    target = lib / ARCHIVE_NAME
    target.unlink(missing_ok=True)
    argv = _command(lib)
    argv[1:1] = [f"-XX:ArchiveClassesAtExit={target}"]
    with tempfile.TemporaryDirectory(prefix="verapdf-") as folder:
        sample = Path(folder, "sample.pdf")
        sample.write_bytes(_sample())
        argv[1:1] = [f"-Djava.io.tmpdir={folder}"]
        asked = "".join(f"{path}\n" for path in (sample, *samples))
        process.run(argv, subject=str(lib), timeout_s=120, cwd=Path(folder), accept=FINISHED, stdin=asked.encode())
    if not target.exists():
        raise ToolFailedError("Java wrote no class-data archive", str(lib), "veraPDF works without it, only starts slower.")
    target.chmod(0o644)
    return target


FINISHED = (0, 1, 4)  # exit codes: all valid; something is not, as our empty page; no files named at the start (server mode)


def _sample() -> bytes:
    """A PDF of one empty page: enough to load the classes of parser, model, validation and report."""
    bodies = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    )
    data, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for index, body in enumerate(bodies, start=1):
        table += b"%010d 00000 n \n" % len(data)
        data += b"%d 0 obj%sendobj\n" % (index, body)
    return data + b"xref\n0 4\n%strailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (table, len(data))


def _jars(lib: Path | None) -> list[Path]:
    named = os.environ.get(LIB_VARIABLE, "")
    folder = lib or (Path(named) if named else None)
    jars = sorted(folder.glob("*.jar")) if folder is not None and folder.is_dir() else []
    if not jars:
        raise ToolMissingError(
            f"no jars found; {LIB_VARIABLE} is {named!r}", "veraPDF", "Run `bevara doctor` to see how to get it."
        )
    return jars


def _command(lib: Path | None) -> list[str]:
    """The server's command line; the jars sorted, because a class-data archive is bound to their order."""
    jars = _jars(lib)
    java = shutil.which("java")
    if java is None:
        raise ToolMissingError("Java is not on this machine", "java", "Install a Java 17 runtime, or run `bevara doctor`.")
    archive = jars[0].parent / ARCHIVE_NAME
    sharing = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
    return [
        java, f"-Xmx{HEAP_MB}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:disable", *sharing,
        "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8", "-cp", os.pathsep.join(map(str, jars)), MAIN_CLASS,
        "--servermode", "--format", "json", "-f", "0", "-df", "2b", "--maxfailuresdisplayed", str(FAILURES_SHOWN),
    ]  # fmt: skip
