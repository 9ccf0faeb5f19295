"""Measure every row of the table in turn with its yardstick; print it, and write ``build/bench.json``.

Each figure is the median of ``BENCH_RUNS`` runs (3). Some rows alone: ``python -m tests.bench ROW…``; ``service``,
``audit``: all of those.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.bench import audit, inputs, service
from tests.bench.measure import BIN, RUNS, Row, environment, in_turn, preserve, timed, times
from worker.digests import copy_and_digest

YARDSTICK = inputs.SHARED / "bench" / "baseline.py"
JARS = inputs.PROJECT / "build" / "verapdf" / "lib"


def main(wanted: list[str]) -> int:
    """Run the rows and write the table; 0 even when a row is missed, because a missed row is a result."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench.", dir=inputs.PROJECT / "build") as folder:
        for name, measure in ROWS.items():
            if not wanted or name.startswith(tuple(wanted)):
                print(f"bench: {name} …", file=sys.stderr, flush=True)
                work = Path(folder, name)
                work.mkdir()
                rows += measure(work)
                shutil.rmtree(work, ignore_errors=True)
    target = inputs.PROJECT / "build" / "bench.json"
    target.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, median of {RUNS}\n")
    print("| work | ours | against | ratio | reach | |\n|---|---|---|---|---|---|")
    for row in rows:
        ratio = f"{row.ratio:.2f} ×" if row.ratio is not None else "–"
        print(f"| {row.name} | {row.value:g} {row.unit} | {row.against} | {ratio} | {row.reach} | {'ok' if row.ok else 'MISSED'} |")
    return 0


def yardstick(source: Path, work: Path, mode: str) -> float:
    """Seconds of the plain script over the same folder."""
    script = YARDSTICK if YARDSTICK.is_file() else Path(__file__).with_name("yardstick.py")
    java = f"java -cp {JARS}/* org.verapdf.apps.GreenfieldCliWrapper"
    out = work / "yardstick"
    shutil.rmtree(out, ignore_errors=True)
    return timed([BIN / "python", script, source, "--mode", mode, "--verapdf", java, "--out", out])


def office(work: Path) -> list[Row]:
    """The full path of forty office documents against both honest opponents."""
    source = inputs.office(work / "office")
    ours, each, batch = in_turn(
        lambda: preserve(source, work), lambda: yardstick(source, work, "per-file"), lambda: yardstick(source, work, "batch")
    )
    return [
        times("40 office documents, full path", ours, "yardstick per-file", each, 10),
        times("40 office documents, full path", ours, "yardstick batch", batch, 1),
    ]


def pdf(work: Path) -> list[Row]:
    """The ladder over forty born-digital PDFs; and, with nothing to reach, over PDFs as they come, scans among them."""
    rows = []
    for name, source, reach in (
        ("40 born-digital PDFs, full path", inputs.pdfs(work / "pdf"), 3),
        ("40 PDFs, scans among them, with OCR", inputs.mixed_pdfs(work / "mixed"), 0),
    ):
        ours, each = in_turn(lambda: preserve(source, work), lambda: yardstick(source, work, "per-file"))  # noqa: B023 -- called at once
        rows.append(times(name, ours, "yardstick per-file", each, reach))
    return rows


def identify(work: Path) -> list[Row]:
    """Naming formats, process start included, against fido's command line, which names formats and nothing else."""
    source = inputs.mix(work / "mix")
    ours, fido = in_turn(
        lambda: timed([BIN / "bevara", "identify", "--formats-only", source], accept=(0, 1)),
        lambda: timed([BIN / "fido", "-q", "-recurse", source]),
    )
    return [times("identification, real mix", ours, "fido -recurse", fido, 6)]


def small(work: Path) -> list[Row]:
    """Ten thousand small files that are kept, and what the main process holds meanwhile."""
    few, many = inputs.small(work / "few", 1_000), inputs.small(work / "many", 10_000)
    rates, peaks = [], {few: 0.0, many: 0.0}
    for _ in range(RUNS):
        for source in (few, many):
            seconds, peak = _watched(source, work)
            peaks[source] = max(peaks[source], peak)
            if source is many:
                rates.append(10_000 / seconds)
    rate, growth = statistics.median(rates), peaks[many] / peaks[few]
    return [
        Row("10,000 small files that are kept", round(rate, 1), "files/s", "–", None, "≥ 150 files/s", rate >= 150),
        Row("memory of the main process, 10,000 files", round(peaks[many], 1), "MB", "–", None, "≤ 300 MB", peaks[many] <= 300),
        Row(
            "the same, 10,000 files against 1,000",
            round(peaks[many], 1),
            "MB",
            f"{peaks[few]:.1f} MB",
            round(growth, 3),
            "≤ 1.1 ×",
            growth <= 1.1,
        ),
    ]


def digests(work: Path) -> list[Row]:
    """SHA-256 and SHA-512 of 2 GB in one pass, against the slower of the two alone through hashlib."""
    path = inputs.large(work / "large", 2 << 30)

    def ours() -> float:
        started = time.perf_counter()
        with path.open("rb", buffering=0) as stream:
            copy_and_digest(stream)
        return time.perf_counter() - started

    def alone(name: str) -> float:
        started = time.perf_counter()
        with path.open("rb") as stream:
            hashlib.file_digest(stream, name)
        return time.perf_counter() - started

    both, one, other = in_turn(ours, lambda: alone("sha256"), lambda: alone("sha512"))
    return [times("SHA-256 + SHA-512 of 2 GB", both, "the slower alone (hashlib)", max(one, other), 0.9)]


ROWS = {"office": office, "pdf": pdf, "identify": identify, "small": small, "digests": digests, **service.ROWS, **audit.ROWS}


def _watched(source: Path, work: Path) -> tuple[float, float]:
    """Seconds of a job, and the highest resident memory of its main process in MB (VmHWM)."""
    archive = work / "archive"
    shutil.rmtree(archive, ignore_errors=True)
    started = time.perf_counter()
    child = subprocess.Popen(
        [BIN / "bevara", "preserve", source, "--archive", archive],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    peak = 0
    while child.poll() is None:
        try:
            status = Path(f"/proc/{child.pid}/status").read_text("ascii")
            peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))
        except (OSError, IndexError):
            break
        time.sleep(0.05)
    if child.wait() not in (0, 1):
        sys.exit(f"bench: bevara preserve exited {child.returncode}")
    return time.perf_counter() - started, peak / 1000


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
