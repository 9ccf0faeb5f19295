"""``make demo``: the main job on samples that the project makes, with the report as its result."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests import samples
from worker.cli.main import main

BUILD = Path(__file__).resolve().parents[1] / "build"


def run() -> int:
    """Preserve the samples in a new archive; 0 unless the job itself could not be done."""
    folder, archive, report = BUILD / "samples", BUILD / "demo", BUILD / "demo-report"
    if not folder.exists():
        print("demo: making samples with LibreOffice, PyMuPDF and Pillow (only the first time)", flush=True)
        samples.make(folder.with_name("samples.new"))
        folder.with_name("samples.new").rename(folder)
    shutil.rmtree(archive, ignore_errors=True)
    code = main(["preserve", str(folder), "--archive", str(archive), "--tenant", "demo", "--report", str(report)])
    if code not in (0, 1):
        return code
    print("\nThe samples hold a locked, a broken and an empty file on purpose: those wait for a person.")
    verified = main(["verify", str(archive)])
    print(f"\nOpen the report:  {report / 'report.html'}")
    return verified


if __name__ == "__main__":
    sys.exit(run())
