"""Proves, offline, that a store still holds what was signed: with nothing but the store and a public key.

Every day's signature, the chain of days, the tree's root, and each package's history, inventories and bytes against them.
Writes nothing, needs no ledger. Findings are data; the command line decides what to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from cryptography.x509 import Certificate

from actions.errors import PreservationError
from worker.evidence.journal import Journal, Sheet
from worker.evidence.names import TIMESTAMP, is_evidence, package_prefix, read_evidence_id, read_package_id
from worker.evidence.packages import Problem
from worker.evidence.shelf import object_ids
from worker.evidence.timestamp import check
from worker.evidence.trust import KeyHistory, Trusted
from worker.evidence.verify_package import PackageCheck
from worker.evidence.verify_renewal import check_renewal
from worker.fixity.findings import Finding, Severity
from worker.store.contract import Store

_REPLACED = "Compare this store with another copy and with the printed sheets; find out who could write here."
_REMEDIES = {
    "evidence-unreadable": "Check the disk and the rights, then verify again; restore it from another copy.",
    "key-unknown": "Verify with the public key of that time; if there never was one, somebody else signed.",
    "key-revoked": "Do not rely on it. The same day in another copy, or on paper, shows what was signed before.",
}


@dataclass(slots=True)
class Report:
    """What a run covered, for the sentence at the end.

    Attributes:
        days: How many days were read; ``first`` and ``last`` name them, "" when there was none.
        made: When the newest was signed.
        packages: How many packages were compared with what was signed; ``files`` bytes streams were read anew.
    """

    days: int = 0
    first: str = ""
    last: str = ""
    made: str = ""
    packages: int = 0
    files: int = 0
    unsigned: int = 0
    stamped: int = 0
    findings: list[Finding] = field(default_factory=list)


def tenants(store: Store) -> list[str]:
    """Whose evidence and packages a store holds."""
    found = set()
    for name in object_ids(store):
        part = read_evidence_id(name)
        found.add(part[0] if part else read_package_id(name))
    return sorted(name for name in found if name)


def verify(
    store: Store,
    tenant: str,
    anchors: Collection[str],
    *,
    content: bool = True,
    until: str = "",
    report: Report | None = None,
    roots: Sequence[Certificate] = (),
) -> Iterator[Finding]:
    """Every finding about a tenant's evidence in *store*, and about the packages that it tells of.

    Args:
        anchors: Ids (fingerprints) of the public keys that the verifier trusts.
        content: Read every byte of the files anew. Without: histories and inventories only.
        until: A day that the evidence must reach, for example that of the newest printed sheet.
        report: Filled in on the way.
        roots: Certificates that time stamps must lead to; without, time stamps are not looked at.
    """
    report = report or Report()
    names = list(object_ids(store))
    known = [part[1] for part in map(read_evidence_id, names) if part and part[0] == tenant]
    journal, sheets = Journal(store, tenant), list[Sheet]()
    try:
        for sheet in journal.sheets(sorted(day for day in known if not day.startswith("renewal-"))):
            yield from (_day_finding(sheet.day, problem) for problem in sheet.problems)
            if sheet.document:
                report.days, report.first, report.last = report.days + 1, report.first or sheet.day, sheet.day
                report.made = sheet.document.made
                sheets.append(sheet)
        if until > report.last:
            what = f"the evidence ends with {report.last or 'nothing'}, and was said to reach {until}: the days after it are gone"
            yield _day_finding(until, Problem("evidence-day-missing", 0, what))
        yield from _signatures(sheets, anchors)
        yield from _stamps(sheets, roots, report)
        for day in (day for day in known if day.startswith("renewal-")):
            yield from check_renewal(store, tenant, day, lambda history: _trusted(history, sheets, anchors), content=content)
        yield from _packages(journal, {name for name in names if name.startswith(package_prefix(tenant))}, report, content=content)
    finally:
        journal.register.close()


def _day_finding(day: str, problem: Problem, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(problem.code, f"evidence of {day}", problem.what, _REMEDIES.get(problem.code, _REPLACED), severity)


def _trusted(history: KeyHistory | None, sheets: list[Sheet], anchors: Collection[str]) -> dict[str, Trusted]:
    """The keys that are trusted: those of *history*, and with every rotation and revocation that a later day tells of."""
    newest = next((sheet.keys for sheet in reversed(sheets) if sheet.keys), None)
    found = newest.trusted(anchors) if newest else {}
    for name, one in (history.trusted({*anchors, *found}) if history else {}).items():
        found[name] = Trusted(one.key, one.revoked or (found[name].revoked if name in found else None))
    return found


def _signatures(sheets: list[Sheet], anchors: Collection[str]) -> Iterator[Finding]:
    """Whether each day was signed, and by whom; a later good day vouches for the days that it follows."""
    vouched = False
    findings: list[Finding] = []
    cache: dict[bytes, dict[str, Trusted]] = {}
    for sheet in reversed(sheets):
        document = sheet.document
        if document is None:
            continue
        known = sheet.keys.text() if sheet.keys else b""
        if known not in cache:
            cache[known] = _trusted(sheet.keys, sheets, anchors)
        key = cache[known].get(document.key)
        if key is None:
            what = f"was signed with key {document.key[:16]}, which your key does not vouch for"
            findings.append(_day_finding(sheet.day, Problem("key-unknown", 0, what)))
        elif not key.key.signed(sheet.signature, sheet.text):
            findings.append(_day_finding(sheet.day, Problem("signature-bad", 0, "the signature is not of this document")))
            vouched = False
        elif key.revoked and document.made >= key.revoked:
            what = f"was signed at {document.made} with key {document.key[:16]}, which was revoked at {key.revoked}"
            findings.append(_day_finding(sheet.day, Problem("key-revoked", 0, what)))
        elif key.revoked and not vouched:
            what = f"key {document.key[:16]} was revoked at {key.revoked}, and no later day with a good key vouches for its time"
            findings.append(_day_finding(sheet.day, Problem("key-revoked", 0, what)))
        else:
            vouched = vouched or not key.revoked
    yield from reversed(findings)


def _stamps(sheets: list[Sheet], roots: Sequence[Certificate], report: Report) -> Iterator[Finding]:
    """Whether the time stamps hold, and are not from before the day was signed."""
    for sheet in sheets if roots else ():
        try:
            response = sheet.shelf.read(TIMESTAMP) if sheet.shelf else None
            if response is None:
                continue
            said = check(sheet.text, response, roots)
        except (PreservationError, OSError) as broken:
            yield _day_finding(sheet.day, Problem("timestamp-bad", 0, getattr(broken, "what", None) or str(broken)))
            continue
        report.stamped += 1
        if sheet.document and said.time.strftime("%Y-%m-%d") < sheet.document.made[:10]:
            when = f"{said.time:%Y-%m-%dT%H:%M:%SZ}"
            what = f"was stamped at {when}, but says it was signed at {sheet.document.made}: a clock was set wrong"
            yield _day_finding(sheet.day, Problem("clock-ahead", 0, what))


def _packages(journal: Journal, names: set[str], report: Report, *, content: bool) -> Iterator[Finding]:
    last = journal.last.document if journal.last else None
    for entries in journal.register.packages():
        check = PackageCheck(journal.store, entries, content=content)
        yield from check.run()
        names.discard(entries[0].leaf.object)
        report.packages, report.files = report.packages + 1, report.files + check.read
        if check.unsigned and last:
            report.unsigned += 1
            yield from _late(entries[0].leaf.object, check.unsigned, last.made)
    for name in sorted(name for name in names if not is_evidence(name)):
        report.unsigned += 1
        try:
            created = PackageCheck.created(journal.store, name)
        except (PreservationError, OSError):
            continue  # `bevara verify` names it; nothing was signed that could be compared
        if last:
            yield from _late(name, created, last.made)


def _late(name: str, created: dict[int, str], made: str) -> Iterator[Finding]:
    """Versions that no day tells of, though they say that they were there before the newest day was signed."""
    early = sorted(version for version, day in created.items() if day < made[:10])
    if early:
        what = f"version {early[0]} says it was made on {created[early[0]]}, but the evidence signed at {made} does not know it"
        remedy = "A clock was set back, or its history did not hold on that day. Run `bevara verify`, then `bevara evidence make`."
        yield Finding("backdated", name, what, remedy, Severity.WARNING)
