"""The yardstick where the shared one is absent: a plain script around the same command-line tools.

The same idea as ``../shared/bench/baseline.py``, and the same options: one process a tool and file ("per-file"), or one
process a tool for all files ("batch"); fido names, LibreOffice or OCRmyPDF converts, veraPDF validates, and everything is
digested twice. No sandbox, no comparison, no records: it does less than bevara must.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import subprocess
import sys
from pathlib import Path

PDFA_2B = 'pdf:writer_pdf_Export:{"SelectPdfVersion":{"type":"long","value":"2"}}'
OFFICE = frozenset(
    {".doc", ".docx", ".odt", ".rtf", ".wpd", ".ppt", ".pptx", ".odp", ".sxw", ".wri", ".wps", ".xls", ".xlsx", ".ods"}
)
LIMIT_S = 300


def quiet(*argv: object) -> None:
    """Run a tool, whatever it says."""
    subprocess.run([str(part) for part in argv], capture_output=True, timeout=LIMIT_S, check=False)


def convert(files: list[Path], out: Path) -> None:
    """Make PDFs of *files* with as few processes as the tools allow."""
    if office := [path for path in files if path.suffix.lower() in OFFICE]:
        quiet("soffice", "--headless", "--convert-to", PDFA_2B, "--outdir", out, *office)
    for path in files:
        if path.suffix.lower() == ".pdf":
            quiet("ocrmypdf", "--quiet", "--skip-text", "--output-type", "pdfa-2", "-l", "eng", path, out / f"{path.stem}.ocr.pdf")


def validate(verapdf: list[str], files: list[Path]) -> None:
    """Ask veraPDF about *files* in one process."""
    if files:
        quiet(*verapdf, "--format", "text", "-f", "2b", *files)


def main() -> int:
    """Do the work; how long it takes is measured from outside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mode", choices=["per-file", "batch"], default="per-file")
    parser.add_argument("--verapdf", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    files = sorted(path for path in args.folder.rglob("*") if path.is_file())
    for group in [files] if args.mode == "batch" else [[path] for path in files]:
        quiet("fido", "-q", "-recurse", *([args.folder] if args.mode == "batch" else group))
        before = set(args.out.iterdir())
        convert(group, args.out)
        validate(shlex.split(args.verapdf), sorted(set(args.out.iterdir()) - before))
    for path in [*files, *args.out.iterdir()]:
        for name in ("sha256", "sha512"):
            with path.open("rb") as stream:
                hashlib.file_digest(stream, name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
