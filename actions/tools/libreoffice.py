"""LibreOffice, kept warm: one office process and one UNO bridge that serve many files.

A start per file is the field's hidden cost (design.md §5). Both children live in process groups of
their own, with a private profile, and talk over pipes only; after a crash or a timeout both groups
are ended and the next file gets new ones. What an export means is the actions' affair.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import select
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from actions.errors import (
    DamagedError,
    EncryptedError,
    RefusedError,
    ToolCrashedError,
    ToolFailedError,
    ToolMissingError,
    ToolTimeoutError,
)
from actions.tools import libreoffice_profile, process

PROGRAM_ENV = "BEVARA_LIBREOFFICE"
PROGRAMS = ("/usr/lib/libreoffice/program", "/usr/lib64/libreoffice/program", "/opt/libreoffice/program")
BRIDGE = Path(__file__).with_name("uno_bridge.py")
START_LIMIT_S = 60.0  # 0.2 s on a calm machine; a cold disk under load has taken seconds
DOCUMENTS_PER_OFFICE = 200  # then a new one, 0.2 s: what LibreOffice leaks stays bounded
CRASH_PAUSE_S = 2.0  # a crashing office closes its pipe before it is gone

Option = bool | int | str


@dataclass(frozen=True, slots=True)
class ConversionFacts:
    """What LibreOffice said about one document.

    Attributes:
        kind: text, presentation, drawing, spreadsheet, formula or other.
        import_filter: LibreOffice's name of the filter that read it, e.g. ``"MS Word 97"``.
        pages: Pages, slides or drawing pages of its own model; 0 where it has none.
    """

    kind: str
    import_filter: str
    pages: int


@dataclass(slots=True)
class Document:
    """An open document. Good until its ``with`` block ends."""

    _office: LibreOffice
    _deadline_s: float
    kind: str
    import_filter: str

    def read(self, content: Path, styles: Path) -> bool:
        """Write what LibreOffice read as ODF ``content.xml`` and ``styles.xml``, without pictures; to be done before ``export``.

        Returns:
            Whether LibreOffice wrote it without complaint.
        """
        return bool(self._office.ask(self._deadline_s, do="read", content=str(content), styles=str(styles))["complete"])

    def export(
        self, target: Path, filter_name: str, options: Mapping[str, Option], *, still_media: bool = False
    ) -> ConversionFacts:
        """Store as *target* with the export filter *filter_name*.

        Args:
            still_media: Put its still picture in the place of each sound and film on a slide first.
        """
        request = {"target": str(target), "filter_name": filter_name, "options": dict(options), "still_media": still_media}
        answer = self._office.ask(self._deadline_s, do="export", **request)
        return ConversionFacts(self.kind, self.import_filter, answer["pages"])


@dataclass(slots=True)
class _Children:
    """One start of LibreOffice: its two processes and their folder."""

    folder: Path
    office: process.Child
    bridge: process.Child
    version: str = ""
    documents: int = 0
    buffer: bytearray = field(default_factory=bytearray)


class LibreOffice:
    """One warm LibreOffice; starts by itself when first needed. Not for several threads."""

    def __init__(self) -> None:
        self._children: _Children | None = None
        self._subject = "LibreOffice"  # what an error names: the file that is open

    def warm(self) -> None:
        """Start without waiting, so that other work can go on meanwhile; harmless when it runs.

        Raises:
            ToolMissingError: LibreOffice is not on this machine.
        """
        old = self._children
        if old is not None and (old.office.poll() is not None or old.bridge.poll() is not None):
            self.close()  # died while idle: no fault of the next file
        if self._children is None:
            self._children = _start()

    def version(self) -> str:
        """Name and version, e.g. ``"LibreOffice 7.4.7.2"``; starts it when needed."""
        return f"LibreOffice {self._ready().version}"

    @contextmanager
    def open(self, source: Path, *, timeout_s: float, refuse: Collection[str] = ()) -> Iterator[Document]:
        """Load *source*, which is never written to.

        Args:
            timeout_s: Wall-clock seconds for everything done within the ``with`` block.
            refuse: Names of import filters that must not be taken for this source.

        Raises:
            EncryptedError: It asked for a password.
            DamagedError: No import filter could read it, its package is broken, or only a refused filter would have.
            ToolCrashedError: LibreOffice died of it.
            ToolTimeoutError: It took longer than *timeout_s*.
        """
        self._subject = source.name
        self._ready().documents += 1
        deadline_s = time.monotonic() + timeout_s
        try:
            answer = self.ask(deadline_s, do="open", source=str(source.resolve()), refuse=list(refuse))
            yield Document(self, deadline_s, answer["kind"], answer["import_filter"])
        finally:
            self._release(deadline_s)

    def convert(
        self, source: Path, target: Path, *, filters: Mapping[str, str], options: Mapping[str, Option], timeout_s: float
    ) -> ConversionFacts:
        """Open *source* and store it as *target* in one go.

        Args:
            filters: Export filter by kind of document, e.g. ``{"text": "writer_pdf_Export"}``.
            options: The export filter's own.

        Raises:
            RefusedError: It is a kind of document that *filters* does not name. And as ``open``.
        """
        with self.open(source, timeout_s=timeout_s) as document:
            if document.kind not in filters:
                raise RefusedError(f"is a {document.kind} document to LibreOffice", source.name, "Give its format another plan.")
            return document.export(target, filters[document.kind], options)

    def ask(self, deadline_s: float, **request: Any) -> dict[str, Any]:
        """One request to the bridge, and its answer. For ``Document``."""
        children = self._children
        if children is None:
            raise ToolCrashedError("LibreOffice was ended", self._subject, "Try the file again.")
        try:
            assert children.bridge.stdin is not None  # noqa: S101 -- started with a pipe
            children.bridge.stdin.write(json.dumps(request).encode() + b"\n")
            children.bridge.stdin.flush()
        except BrokenPipeError:
            self._crashed(children)
        try:
            answer = self._answer(children, deadline_s)
        except BaseException:
            self.close()  # an answer left unread would be taken for the next request's
            raise
        if not answer["ok"]:
            self._raise(children, answer["word"], answer["message"])
        return answer

    def close(self) -> None:
        """End both process groups and remove the profile; a later call starts anew."""
        children, self._children = self._children, None
        if children is not None:
            for child in (children.bridge, children.office):
                process.end_group(child)
                for pipe in (child.stdin, child.stdout):
                    if pipe is not None:
                        pipe.close()
            shutil.rmtree(children.folder, ignore_errors=True)

    def _ready(self) -> _Children:
        """Running children that have said who they are. Only for the start of a document's work."""
        self.warm()
        children = self._children
        assert children is not None  # noqa: S101 -- warm() made it
        if not children.version:
            children.version = str(self._answer(children, time.monotonic() + START_LIMIT_S)["version"])
        return children

    def _answer(self, children: _Children, deadline_s: float) -> dict[str, Any]:
        """Read one line from the bridge; on silence past the deadline, end everything."""
        assert children.bridge.stdout is not None  # noqa: S101 -- started with a pipe
        descriptor = children.bridge.stdout.fileno()
        while b"\n" not in children.buffer:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
                self.close()
                raise ToolTimeoutError(
                    "LibreOffice was still busy when its time was up",
                    self._subject,
                    "Open it by hand; it may be damaged or very large.",
                )
            chunk = os.read(descriptor, 65536)
            if not chunk:
                self._crashed(children)
            children.buffer += chunk
        line, _, rest = bytes(children.buffer).partition(b"\n")
        children.buffer[:] = rest
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _release(self, deadline_s: float) -> None:
        """Close the document, and the office when it is used up or has taken a font from the document.

        An embedded font stays loaded for the rest of the process, and would dress the next file's text.
        """
        if self._children is None:
            return
        try:
            self.ask(max(deadline_s, time.monotonic() + CRASH_PAUSE_S), do="close")
        except (ToolCrashedError, ToolFailedError, ToolTimeoutError):
            self.close()  # the result is on disk already; the next file gets a new office
            return
        children = self._children
        fonts = children.folder / "user" / "temp" / "embeddedfonts" / "fromdocs"
        if children.documents >= DOCUMENTS_PER_OFFICE or (fonts.is_dir() and any(fonts.iterdir())):
            self.close()

    def _crashed(self, children: _Children) -> NoReturn:
        """Both children are of no use any more: say how the office ended."""
        gone_s = time.monotonic() + CRASH_PAUSE_S
        while (code := children.office.poll()) is None and time.monotonic() < gone_s:
            time.sleep(0.02)
        tail = (children.folder / "bridge.log").read_text(errors="replace").strip()[-process.STDERR_TAIL_CHARS :]
        self.close()
        if "No module named 'uno'" in tail:
            raise ToolMissingError("its Python bridge is not on this machine", "LibreOffice", "Install python3-uno.")
        how = "LibreOffice lost its bridge"
        if code is not None:
            how = f"LibreOffice ended by {process.signal_name(-code)}" if code < 0 else f"LibreOffice ended with code {code}"
        raise ToolCrashedError(": ".join(filter(None, (how, tail))), self._subject, "Open the file by hand; it may be damaged.")

    def _raise(self, children: _Children, word: str, message: str) -> NoReturn:
        """Turn the bridge's word into our error."""
        if word == "lost" or children.office.poll() is not None:
            self._crashed(children)
        if word == "encrypted":
            raise EncryptedError("needs a password", self._subject, "Ask the producer for a copy without one.")
        damages = {
            "broken": "its package is broken, and LibreOffice offered to guess the rest",
            "refused-filter": f"LibreOffice can read it only as “{message}”, not as an office document",
            "unreadable": f"LibreOffice cannot read it: {message}",
        }
        if word in damages:
            raise DamagedError(damages[word], self._subject, "Look at it by hand; ask the producer for another copy.")
        raise ToolFailedError(f"LibreOffice could not {word}: {message}", self._subject, "Open the file by hand.")


@cache
def shared() -> LibreOffice:
    """The one LibreOffice of this process (of an action host); ended with it."""
    office = LibreOffice()
    atexit.register(office.close)
    return office


def program() -> Path:
    """The folder that holds ``soffice.bin``.

    Raises:
        ToolMissingError: LibreOffice is not on this machine.
    """
    on_path = shutil.which("soffice")
    named = (os.environ.get(PROGRAM_ENV, ""), *PROGRAMS, str(Path(on_path).resolve().parent) if on_path else "")
    for folder in map(Path, filter(None, named)):
        if (folder / "soffice.bin").is_file():
            return folder
    raise ToolMissingError(
        "is not on this machine", "LibreOffice", "Install libreoffice-writer, libreoffice-impress and python3-uno."
    )


def _start() -> _Children:
    """Start office and bridge side by side; neither is waited for."""
    home = program()
    folder = Path(tempfile.mkdtemp(prefix="bevara-office."))
    libreoffice_profile.write(folder, home)
    pipe = f"bevara{secrets.token_hex(8)}"
    env = {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "SAL_USE_VCLPLUGIN": "svp",  # draws into memory; needs no display
        "SAL_DISABLE_OPENCL": "1",
    }
    quiet = ["--headless", "--invisible", "--nologo", "--norestore", "--nodefault", "--nolockcheck", "--nofirststartwizard"]
    accept = f"--accept=pipe,name={pipe};urp;StarOffice.ComponentContext"
    office = process.start([home / "soffice.bin", *quiet, f"-env:UserInstallation={folder.as_uri()}", accept], cwd=folder, env=env)
    python = home / "python" if (home / "python").exists() else Path("/usr/bin/python3")
    try:
        with (folder / "bridge.log").open("wb") as log:
            bridge = process.start(
                [python, "-I", BRIDGE, pipe, str(office.pid), str(START_LIMIT_S)],
                cwd=folder,
                env=env,
                stdin=process.PIPE,
                stdout=process.PIPE,
                stderr=log,
            )
    except BaseException:
        process.end_group(office)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _Children(folder, office, bridge)
