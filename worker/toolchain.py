"""Which tools this machine has, in which version, and what they are for.

``bevara doctor`` prints it, and ``digest`` lets a later run see that the tools have changed since a
file was worked on. Asked cheaply: a start of LibreOffice would cost more than many a job.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from actions.errors import PreservationError
from actions.tools import bubblewrap, process
from worker import __version__
from worker.settings import Settings

LIBREOFFICE_HOMES = (Path("/usr/lib/libreoffice/program"), Path("/opt/libreoffice/program"))
PACKAGES = {
    "pygfried": "first identifier (siegfried)",
    "opf-fido": "second identifier",
    "python-magic": "third identifier (libmagic)",
    "pikepdf": "PDF surgery, and PDF/A checks where veraPDF is absent",
    "pymupdf": "rendering of pages for comparison",
    "ocrmypdf": "OCR of scans",
    "pillow": "decoding of pictures",
}


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as found. ``version`` None: it is missing, and ``remedy`` says what to do.

    ``note`` is something to know although the tool is there. ``needed`` False: bevara works without it,
    and says what it then leaves out.
    """

    name: str
    version: str | None
    purpose: str
    remedy: str
    needed: bool = True
    note: str = ""


@cache
def tools(settings: Settings) -> tuple[Tool, ...]:
    """Every tool that bevara uses, missing ones too. Asked once a process."""
    return tuple(_tools(settings))


def _tools(settings: Settings) -> Iterator[Tool]:
    yield _sandbox()
    yield _asked(
        "LibreOffice", _libreoffice, "office text and presentations to PDF/A", "libreoffice-writer-nogui libreoffice-impress-nogui"
    )
    yield _asked("python3-uno", _uno, "keeps LibreOffice warm", "python3-uno")
    yield _verapdf(settings)
    yield _ghostscript()
    yield _asked("Tesseract", _tesseract, "OCR of scans", "tesseract-ocr tesseract-ocr-swe tesseract-ocr-eng")
    for name, purpose in PACKAGES.items():
        yield Tool(name, metadata.version(name), purpose, "make setup")


@cache
def digest(settings: Settings) -> str:
    """SHA-256 over names and versions: the same digest, the same tools."""
    lines = sorted(f"{tool.name} {tool.version}" for tool in tools(settings))
    return hashlib.sha256("\n".join([*lines, __version__]).encode()).hexdigest()


def _asked(name: str, version: Callable[[], str | None], purpose: str, packages: str) -> Tool:
    return Tool(name, version(), purpose, f"apt-get install --no-install-recommends {packages}")


def _sandbox() -> Tool:
    found = bubblewrap.boundary()
    purpose = "shuts parsers and converters in: no network, no other files"
    if found.kind == "bubblewrap":
        return Tool("bubblewrap", _output(["bwrap", "--version"], r"([\d.]+)"), purpose, "")
    remedy = (
        "apt-get install bubblewrap; allow user namespaces (kernel.unprivileged_userns_clone=1, in a container a seccomp profile)"
    )
    return Tool("bubblewrap", None, purpose, remedy, needed=False, note=f"events will say `sandbox: none`: {found.why}")


def _libreoffice() -> str | None:
    """Read from its own registry: starting it would take ten times as long."""
    program = shutil.which("soffice")
    if program is None:
        return None
    for home in (Path(program).resolve().parent, *LIBREOFFICE_HOMES):
        registry = home.parent / "share" / "registry" / "main.xcd"
        if registry.is_file() and (found := re.search(rb'"ooSetupVersionAboutBox"[^>]*><value>([\d.]+)', registry.read_bytes())):
            return found[1].decode()
    return _output([program, "--version"], r"LibreOffice ([\d.]+)")


def _uno() -> str | None:
    for place in (Path("/usr/lib/python3/dist-packages/uno.py"), *(home / "uno.py" for home in LIBREOFFICE_HOMES)):
        if place.is_file():
            return "found"
    return None


def _verapdf(settings: Settings) -> Tool:
    java = shutil.which("java")
    jars = sorted(settings.verapdf_lib.glob("cli-*.jar")) if settings.verapdf_lib else []
    version = jars[-1].stem.removeprefix("cli-") if jars and java else None
    missing = "make setup (needs Maven and Java)" if not jars else "apt-get install default-jre-headless"
    note = "" if version else "PDF/A is claimed only where pikepdf.pdfa approves"
    return Tool("veraPDF", version, "validates PDF/A: without its word nothing is called PDF/A", missing, needed=False, note=note)


def _ghostscript() -> Tool:
    version = _output(["gs", "--version"], r"([\d.]+)")
    faulty = version is not None and re.match(r"10\.0[0-2]?\.", version + ".") is not None
    note = "has known text faults: its result is used only where the comparison passes" if faulty else ""
    return Tool(
        "Ghostscript", version, "redraws a PDF that surgery cannot save", "apt-get install ghostscript", needed=False, note=note
    )


def _tesseract() -> str | None:
    return _output(["tesseract", "--version"], r"tesseract v?([\d.]+)")


def _output(argv: list[str], pattern: str) -> str | None:
    try:
        done = process.run(argv, subject=argv[0], timeout_s=20)
    except PreservationError:
        return None
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown version"
