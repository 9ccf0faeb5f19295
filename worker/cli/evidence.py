"""``bevara evidence``: sign what the archive holds, prove later that it still does, give out proofs of single files."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sa
from cryptography.x509 import Certificate, load_pem_x509_certificates

from worker.archive import MARKER, Archive
from worker.archive_copies import PRIMARY, Configured, stores_beside
from worker.cli import evidence_keys
from worker.cli.preserve import UsageError
from worker.evidence.daily import make
from worker.evidence.documents import NotADocumentError
from worker.evidence.names import PAGE, evidence_id
from worker.evidence.proof import VERIFIER, prove
from worker.evidence.proof_page import proof_page
from worker.evidence.renew import STRONGER, renew
from worker.evidence.shelf import days, find
from worker.evidence.signing import REMEDY, EvidenceDamagedError
from worker.evidence.timestamp import asker
from worker.evidence.trust import PublicKey
from worker.evidence.verify import Report, tenants, verify
from worker.fixity.copies import Copies
from worker.fixity.evidence_copies import note_evidence
from worker.fixity.findings import Finding, Severity
from worker.ledger.events import now
from worker.ledger.ledger import object_id
from worker.ledger.schema import packages
from worker.store.contract import Store
from worker.store.directory import DirectoryStore
from worker.store.layout import ROOT_NAMASTE

_NOTHING = "no evidence in this store: nothing can be proven"
_ELSEWHERE = "Verify another copy; if there is none with evidence, it was never signed, or was taken away."


def add(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of ``evidence``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="make|verify|proof|print|renew|key")
    making = commands.add_parser("make", help="sign what every package holds today; once a day")
    _options(making, keys=True)
    making.add_argument("--day", default="", metavar="YYYY-MM-DD", help="up to and with this day, UTC (default: today)")
    making.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="STORE",
        help="a store that is not among the archive's copies, to put the evidence into as well",
    )
    making.add_argument("--tsa", default="", metavar="URL", help="a time stamping authority (RFC 3161); only a hash is sent to it")
    making.add_argument("--tsa-root", default="", metavar="PEM", help="certificates that its time stamps must lead to")
    checking = commands.add_parser("verify", help="prove, offline, that a store still holds what was signed")
    _options(checking)
    checking.add_argument("--key", action="append", required=True, metavar="PEM", help="a public key that you trust")
    checking.add_argument("--until", default="", metavar="YYYY-MM-DD", help="a day that the evidence must reach")
    checking.add_argument("--tsa-root", default="", metavar="PEM", help="check time stamps too, against these certificates")
    checking.add_argument("--no-content", action="store_true", help="do not read every file anew: histories and inventories only")
    checking.add_argument("--json", action="store_true", help="one JSON object a finding")
    proving = commands.add_parser("proof", help="write a proof of one file, for a court or an inspector")
    _options(proving)
    proving.add_argument("package", metavar="PACKAGE", help="the package's name, or its id")
    proving.add_argument("path", metavar="FILE", help="the file's path in the package, e.g. original/brev.txt")
    proving.add_argument(
        "--out", required=True, metavar="DIR", help="a new folder: the proof, a page for people, the verifier, the file"
    )
    printing = commands.add_parser("print", help="show a day's evidence as a page to print")
    _options(printing)
    printing.add_argument("--day", default="", metavar="YYYY-MM-DD", help="which (default: the newest)")
    renewing = commands.add_parser("renew", help="digest everything anew with a stronger algorithm, and sign that")
    _options(renewing, keys=True)
    renewing.add_argument(
        "--algorithm", default=STRONGER, metavar="NAME", help="sha512, sha3_256 or sha3_512 (default: %(default)s)"
    )
    keying = commands.add_parser("key", help="make, show or change the key that signs")
    keying.add_argument("do", choices=("new", "show", "rotate", "protect"), help="protect: give keys that have none a passphrase")
    evidence_keys.options(keying)
    keying.add_argument("--revoke", metavar="REASON", help="with rotate: why the old key must not be believed from now on")


def _options(parser: argparse.ArgumentParser, *, keys: bool = False) -> None:
    parser.add_argument("archive", metavar="ARCHIVE", help="an archive, or only its store")
    parser.add_argument(
        "--tenant", default="", metavar="T", help="whose (default: all in the archive; where one is needed, the only one)"
    )
    if keys:
        evidence_keys.options(parser)


def run(args: argparse.Namespace) -> int:
    """One sub-command."""
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "make": _make,
        "verify": _verify,
        "proof": _proof,
        "print": _print,
        "renew": _renew,
        "key": evidence_keys.run,
    }
    return commands[args.what](args)


def _make(args: argparse.Namespace) -> int:
    keys, code = evidence_keys.opened(args), 0
    if bool(args.tsa) != bool(args.tsa_root):
        raise UsageError("go together", "--tsa and --tsa-root", "A time stamp that cannot be checked proves nothing: name both.")
    stamp = asker(args.tsa, _roots(args.tsa_root)) if args.tsa else None
    with Archive(_archive(args.archive)) as archive:
        with archive.ledger.engine.connect() as db:
            rows = db.execute(sa.select(packages.c.tenant, packages.c.object_id, packages.c.version)).all()
        named = _named(archive)
        stores = [*named.values(), *map(_writable, args.also)]
        for tenant in [args.tenant] if args.tenant else sorted({row.tenant for row in rows}):
            heads = [(row.object_id, row.version) for row in rows if row.tenant == tenant]
            made = make(stores, tenant, keys, heads, day=args.day, stamp=stamp)
            last = keys.remembered(tenant)
            signed = days(archive.store, tenant, hint=last.day if last else "")
            _note(archive, tenant, named, [evidence_id(tenant, day) for day in signed])
            for day in made.days:
                print(f"{tenant} {day.day}: {day.news} packages with news, {day.packages} in all; root {day.root}")
            if not made.days:
                print(f"{tenant}: signed already; what came since is told of on the next day")
            if made.copied:
                print(f"{tenant}: {made.copied} days were copied to a store that lacked them")
            for line in [
                *made.behind,
                *filter(None, [made.unstamped]),
                *(f"{name}: left out: {why}" for name, why in made.left_out),
            ]:
                print(line)
                code = 1
    return code


def _verify(args: argparse.Namespace) -> int:
    store, wrong, days = _store(args.archive), 0, 0
    anchors, roots = {_public(name).id for name in args.key}, _roots(args.tsa_root)
    for tenant in [args.tenant] if args.tenant else tenants(store):
        report = Report()
        for finding in verify(store, tenant, anchors, content=not args.no_content, until=args.until, report=report, roots=roots):
            wrong += finding.severity is Severity.ERROR
            _tell(finding, as_json=args.json)
        days += report.days
        if not report.days:
            wrong += 1
            _tell(Finding("no-evidence", tenant, _NOTHING, _ELSEWHERE), as_json=args.json)
            continue
        if args.json:
            continue
        what = "histories and bytes" if not args.no_content else "histories"
        print(
            f"{tenant}: {report.days} days, {report.first} to {report.last}, newest signed at {report.made};"
            f" {what} of {report.packages} packages compared, {report.files} files read; {report.unsigned} have unsigned news"
        )
    if not days and not wrong:  # not even a package: whoever empties a store must not leave one that is proven
        wrong += 1
        _tell(Finding("no-evidence", args.archive, _NOTHING, _ELSEWHERE), as_json=args.json)
    if not args.json:
        print(f"{args.archive}: {f'{wrong} findings: see above' if wrong else 'proven: it holds what was signed'}")
    return 1 if wrong else 0


def _tell(finding: Finding, *, as_json: bool) -> None:
    print(json.dumps(asdict(finding), ensure_ascii=False) if as_json else finding)


def _proof(args: argparse.Namespace) -> int:
    store, out = _store(args.archive), Path(args.out)
    tenant = _tenant(args, store)
    name = args.package if args.package.startswith("urn:bevara:") else object_id(tenant, args.package)
    proof = prove(store, tenant, name, args.path)
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise UsageError("is there already", args.out, "Name a new folder for the proof.") from None
    (out / "proof.json").write_text(json.dumps(proof, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (out / "proof.txt").write_text(proof_page(proof), "utf-8")
    shutil.copyfile(VERIFIER, out / VERIFIER.name)
    target = out / Path(args.path).name
    with store.read(name, args.path, _version(proof)) as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy)
    print(f"{out}: proof.json, proof.txt, {VERIFIER.name} and {target.name}")
    return 0


def _version(proof: dict[str, object]) -> int:
    witnesses = proof["witnesses"]
    assert isinstance(witnesses, list)  # noqa: S101 -- made a line above, by our own hand
    return int(json.loads(witnesses[-1]["leaf"])["version"])


def _print(args: argparse.Namespace) -> int:
    store = _store(args.archive)
    tenant = _tenant(args, store)
    known = days(store, tenant)
    day = args.day or (known[-1] if known else "")
    shelf = find(store, evidence_id(tenant, day)) if day in known else None
    text = shelf.read(PAGE) if shelf else None
    if text is None:
        raise UsageError(f"has no evidence of {day or 'any day'}", args.archive, "Run `bevara evidence make`.")
    print(text.decode("utf-8"), end="")
    return 0


def _renew(args: argparse.Namespace) -> int:
    keys = evidence_keys.opened(args)
    with Archive(_archive(args.archive)) as archive:
        for tenant in [args.tenant] if args.tenant else tenants(archive.store):
            _must_hold(archive.store, tenant, keys.signer().public.id)
            made = renew([archive.store], tenant, keys, algorithm=args.algorithm)
            _note(archive, tenant, _named(archive), [evidence_id(tenant, f"renewal-{made.number:04d}")])
            print(f"{tenant}: renewal {made.number}: {made.count} byte streams digested with {made.algorithm}; root {made.root}")
    return 0


def _must_hold(store: Store, tenant: str, anchor: str) -> None:
    """A renewal vouches for what it digests: only what was signed may be digested anew.

    Raises:
        EvidenceDamagedError: Histories or inventories are not those that were signed.
    """
    wrong = next((one for one in verify(store, tenant, {anchor}, content=False) if one.severity is Severity.ERROR), None)
    if wrong is not None:
        raise EvidenceDamagedError(wrong.what, wrong.where, "Nothing was signed. " + REMEDY)


def _named(archive: Archive) -> dict[str, Store]:
    """The archive's stores by the names of their places, its own first."""
    copies = Copies(archive.ledger.transactions)
    return {PRIMARY: archive.store, **stores_beside(archive.folder, lambda place: not copies.were_read(place))}


def _note(archive: Archive, tenant: str, stores: dict[str, Store], names: list[str]) -> None:
    """Have it audited from now on."""
    rules = Configured.read(archive.folder).rules()
    note_evidence(archive.ledger.transactions, tenant, stores, names, now=now(), rules=rules)


def _archive(name: str) -> Path:
    folder = Path(name)
    if not (folder / MARKER[0]).is_file():
        raise UsageError("is not an archive", name, "Name an archive that `bevara preserve` made.")
    return folder


def _writable(name: str) -> DirectoryStore:
    """Another store, named by its folder or by the place that it is in; made when there is nothing yet."""
    place = Path(name)
    root = place / "store" if (place / "store" / ROOT_NAMASTE[0]).is_file() else place
    return DirectoryStore(root, root.with_name(f"{root.name}.scratch"))


def _store(name: str) -> DirectoryStore:
    """The store of an archive, or a store alone; nothing is written to it."""
    for root in (Path(name) / "store", Path(name)):
        if (root / ROOT_NAMASTE[0]).is_file():
            return DirectoryStore(root, root.parent / "scratch")
    raise UsageError(
        "is neither an archive nor a store", name, "Name an archive that `bevara preserve` made, or its folder `store`."
    )


def _tenant(args: argparse.Namespace, store: DirectoryStore) -> str:
    if args.tenant:
        return str(args.tenant)
    known = tenants(store)
    if len(known) != 1:
        raise UsageError(f"holds the records of {len(known)} tenants", args.archive, "Name one with --tenant.")
    return known[0]


def _roots(name: str) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(Path(name).read_bytes()) if name else []
    except (OSError, ValueError) as broken:
        why = broken.strerror if isinstance(broken, OSError) else "holds no certificate in PEM"
        raise UsageError(f"cannot be used: {why}", name, "Name the authority's root certificate, in PEM.") from None


def _public(name: str) -> PublicKey:
    try:
        return PublicKey.parse(Path(name).read_bytes())
    except (OSError, NotADocumentError) as broken:
        why = broken.strerror if isinstance(broken, OSError) else str(broken)
        raise UsageError(
            f"cannot be used: {why}", name, "Name the public key in PEM that `bevara evidence key show` prints."
        ) from None
