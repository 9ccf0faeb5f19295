"""Believable records for the report's tests."""

from __future__ import annotations

from actions.contract import Level, Verdict
from worker.record import (
    AttemptRecord,
    CheckRecord,
    FileRecord,
    OutputRecord,
    PolicyRef,
    ProofRecord,
    Status,
    ValidationRecord,
)
from worker.report.header import ReportHeader

DIGEST = "0f" * 64


def header(**changes) -> ReportHeader:
    values = {
        "job": "jobb-1",
        "tenant": "Kävlinge kommun",
        "package": "Leverans 114, Miljönämnden",
        "policy": PolicyRef(name="skanearkiv", version="2026.1", sha256="ab" * 32),
        "started": "2026-11-22T15:58:02Z",
        "finished": "2026-11-22T16:03:41Z",
        "counts": dict.fromkeys(Status, 0),
        "archive": "/arkiv/kavlinge",
        "source": "/inlamning/114",
        "version": "v1",
        "tools": {"veraPDF": "1.30.2"},
    }
    return ReportHeader(**(values | changes))


def record(path="ärende/beslut å.docx", status=Status.KEPT, **changes) -> FileRecord:
    values = {
        "path": path,
        "size_bytes": 1234,
        "sha256": DIGEST[:64],
        "sha512": DIGEST,
        "puid": "fmt/412",
        "status": status,
        "reason": "ok",
        "message": "",
        "family": "office-text",
    }
    return FileRecord(**(values | changes))


def migrated(path="protokoll/möte.docx", level=Level.EQUIVALENT, **changes) -> FileRecord:
    checks = [
        CheckRecord(name="pages", source=3, result=3, ok=True),
        CheckRecord(name="text", source=1.0, result=0.9983, ok=True, why="worst page 2"),
    ]
    output = OutputRecord(
        representation="preservation",
        path=f"preservation/{path}.pdf",
        puid="fmt/477",
        sha256=DIGEST[:64],
        sha512=DIGEST,
        size_bytes=4321,
        validation=ValidationRecord(validator="veraPDF 1.30.2", profile="PDF/A-2b", verdict=Verdict.VALID),
        proof=ProofRecord(level=level, checks=checks),
        notes=["repair: fonts: 3 embedded"],
    )
    attempt = AttemptRecord(action="office_to_pdfa", tool="LibreOffice 7.4.7", outcome="accepted", seconds=0.31)
    return record(path, **({"status": Status.MIGRATED, "outputs": [output], "attempts": [attempt]} | changes))


def waiting(path="bilaga.doc", status=Status.RETURNED, reason="encrypted", **changes) -> FileRecord:
    values = {"message": "The file needs a password.", "message_sv": "Filen kräver lösenord."}
    return record(path, status, reason=reason, **(values | changes))
