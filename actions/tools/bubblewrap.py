"""The sandbox around an action host: what it may see, and what it may not (promise P6, design.md §5).

Own mount, PID, IPC, UTS and network namespaces; the system read-only and only the parts of ``/etc`` that
converters read (no accounts, no keys); a private ``/tmp``; one folder to read from and one to write to.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from actions.errors import PreservationError
from actions.tools import process

IN, OUT, CODE = Path("/job/in"), Path("/job/out"), Path("/job/code")
TMP_BYTES = 4 << 30  # LibreOffice and OCRmyPDF keep page pictures here; it is memory
ETC = (
    "alternatives",
    "fonts",
    "fonts.conf",
    "ghostscript",
    "ld.so.cache",
    "libreoffice",
    "localtime",
    "magic",
    "mime.types",
    "papersize",
)
ETC_GLOBS = ("java-*", "ImageMagick-*")
ROOT_LINKS = ("bin", "sbin", "lib", "lib32", "lib64")


@dataclass(frozen=True, slots=True)
class Boundary:
    """How a host is shut in: ``kind`` is "bubblewrap", or "none" with the reason why not."""

    kind: str
    why: str = ""


@cache
def boundary() -> Boundary:
    """Whether bubblewrap works here: tried, not guessed, because containers and kernels forbid it in many ways."""
    program = shutil.which("bwrap")
    if program is None:
        return Boundary("none", "bubblewrap is not installed")
    try:
        process.run([program, *_system(), "--", "/bin/true"], subject="sandbox", timeout_s=10)
    except PreservationError as no:
        return Boundary("none", no.what)
    return Boundary("bubblewrap")


def start_host(
    inbox: Path, outbox: Path, *, verapdf_lib: Path | None, stderr: int, readable: tuple[Path, ...] = ()
) -> process.Child:
    """Start ``actions.host`` with its pipes, shut in as well as this machine can.

    Args:
        inbox: Where the worker links sources; read-only inside.
        outbox: The one folder that the host may write to.
        verapdf_lib: Folder of veraPDF's jars, when there is one.
        stderr: Descriptor for what libraries print.
        readable: Folders or files that the host may read where they stand (``bevara identify``).
    """
    code = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "actions.host"]
    if boundary().kind == "none":
        env = _environment(code, home=outbox, verapdf_lib=verapdf_lib)
        return process.start(command, cwd=outbox, env=env, stdin=process.PIPE, stdout=process.PIPE, stderr=stderr)
    mounts = ["--ro-bind", str(inbox), str(IN), "--bind", str(outbox), str(OUT)]
    mounts += ["--ro-bind", str(code / "actions"), str(CODE / "actions")]
    for folder in (*_python_and_jars(verapdf_lib), *readable):
        mounts += ["--ro-bind", str(folder), str(folder)]
    env = _environment(CODE, home=Path("/tmp/home"), verapdf_lib=verapdf_lib)  # noqa: S108 -- the sandbox's own tmpfs
    settings = [part for name, value in env.items() for part in ("--setenv", name, value)]
    argv = ["bwrap", *_system(), *mounts, "--dir", "/tmp/home", "--clearenv", *settings, "--chdir", str(OUT), "--", *command]  # noqa: S108
    return process.start(argv, stdin=process.PIPE, stdout=process.PIPE, stderr=stderr)


def _system() -> list[str]:
    argv = ["--unshare-all", "--die-with-parent", "--new-session", "--hostname", "bevara-host"]
    argv += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--size", str(TMP_BYTES), "--tmpfs", "/tmp"]  # noqa: S108
    for name in ROOT_LINKS:
        path = Path("/", name)
        if path.is_symlink():
            argv += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            argv += ["--ro-bind", str(path), str(path)]
    for path in _etc():
        argv += ["--ro-bind", str(path), str(path)]
    fontconfig = Path("/var/cache/fontconfig")  # without it each host scans all fonts again
    if fontconfig.is_dir():
        argv += ["--ro-bind", str(fontconfig), str(fontconfig)]
    return argv


def _etc() -> Iterable[Path]:
    etc = Path("/etc")
    yield from (etc / name for name in ETC if (etc / name).exists())
    for pattern in ETC_GLOBS:
        yield from sorted(etc.glob(pattern))
    libreoffice = Path("/var/lib/libreoffice")  # Debian links shared settings there
    if libreoffice.is_dir():
        yield libreoffice


def _python_and_jars(verapdf_lib: Path | None) -> list[Path]:
    """Folders that Python and Java need and that are not below /usr, which is there already."""
    wanted = {Path(sys.prefix), Path(sys.base_prefix)} | ({verapdf_lib} if verapdf_lib else set())
    return sorted(path.resolve() for path in wanted if not path.resolve().is_relative_to("/usr"))


def _environment(code: Path, *, home: Path, verapdf_lib: Path | None) -> Mapping[str, str]:
    env = {
        "HOME": str(home),
        "PATH": f"{Path(sys.prefix, 'bin')}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(code),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_THREAD_LIMIT": "1",  # Tesseract: two hosts share two cores
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MAGICK_THREAD_LIMIT": "1",
        "GOGC": "400",  # siegfried's Go collects less often: its signatures load in 0.07 s instead of 0.11 s, the peak is the same
    }
    if verapdf_lib:
        env["BEVARA_VERAPDF_LIB"] = str(verapdf_lib.resolve())
    return env
