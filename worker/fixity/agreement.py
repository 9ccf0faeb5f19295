"""Whether ledger, inventory and PREMIS tell the same of one object. Streams everything; changes nothing.

The store proves and the ledger indexes: where they differ and the store's bytes are right, it is the ledger that was changed.
``worker.fixity.ledger_check`` does the same and more for a whole archive, offline.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

import sqlalchemy as sa
from lxml import etree

from worker.fixity.manifest import Manifest
from worker.fixity.verdicts import Fault, Verdict
from worker.ledger.events import canonical, first_prev, hash_of
from worker.ledger.schema import contents, entries, events, packages

_NS = "{http://www.loc.gov/premis/v3}"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_OURS = ("original/", "preservation/", "access/")
_PAGE = 2000


def check_ledger(db: sa.Connection, package_key: int, manifest: Manifest, bad: set[str]) -> Iterator[Fault]:
    """Compare the ledger's rows of one package with its inventory.

    Args:
        bad: Content paths that are known to be bad: their sizes tell nothing.
    """
    c, e = contents.c, entries.c
    stmt = sa.select(c.sha512, c.sha256, c.content_path, c.size_bytes).where(c.package_id == package_key, c.version.is_not(None))
    manifest.tell(tuple(row) for row in db.execute(stmt.execution_options(yield_per=_PAGE)))
    for sha512, path, what in manifest.told_otherwise():
        if path not in bad:
            yield _ledger(f"tells another {what} for content than the inventory", sha512)
    for sha512 in manifest.untold():
        yield _ledger("does not know content of the newest version", sha512)
    rows = sa.select(e.logical_path, e.sha512).where(e.package_id == package_key, e.version.is_not(None), e.dropped.is_(False))
    for path, sha512 in db.execute(rows.execution_options(yield_per=_PAGE)):
        if (place := manifest.place_of(path)) is None or place[1] != sha512:
            yield _ledger("names other bytes for a file than the newest version", place[1] if place else None, sha512)


def check_chain(db: sa.Connection, package_key: int, stored: Iterator[tuple[int, str]]) -> Iterator[Fault]:
    """Compare the ledger's chain of events with itself and with the store's.

    Args:
        stored: (number, hash) of the store's events, in order.
    """
    home = db.execute(sa.select(packages).where(packages.c.id == package_key)).one()
    stmt = sa.select(events.c.seq, events.c.prev_hash, events.c.hash, events.c.body, events.c.version)
    rows = db.execute(stmt.where(events.c.package_id == package_key).order_by(events.c.seq).execution_options(yield_per=_PAGE))
    prev, last = first_prev(home.object_id), 0
    for row in rows:
        if row.seq != last + 1 or row.prev_hash != prev or hash_of(row.body) != row.hash:
            yield _ledger("does not hold the chain of events: one was changed, removed or added")
            return
        prev, last = row.hash, row.seq
        if row.version is not None and next(stored, None) != (row.seq, row.hash):
            yield _ledger("tells an event otherwise than the store")
            return
    if next(stored, None) is not None:
        yield _ledger("lacks events that the store has")
    elif (home.last_seq, home.last_hash) != (last, prev):
        yield _ledger("lacks its newest event, or has one too many")


def events_of(lines: Iterator[BinaryIO]) -> Iterator[tuple[int, str]]:
    """(number, hash) of events, from the package's JSON Lines files in order; a line that is none ends it."""
    for stream in lines:
        with stream:
            for line in stream:
                try:
                    body = json.loads(line)["body"]
                    yield int(body["seq"]), hash_of(canonical(body))
                except (ValueError, KeyError, TypeError):
                    yield -1, ""


def check_premis(stream: BinaryIO, object_id: str, manifest: Manifest, bad: set[str]) -> Iterator[Fault]:
    """Compare the package's PREMIS document with its inventory. It is the same bytes as digested, so one fault says it all.

    Args:
        bad: As for ``check_ledger``.
    """
    files = 0
    try:
        found = etree.iterparse(stream, tag=f"{_NS}object", resolve_entities=False, no_network=True, huge_tree=True)
        for _, node in found:
            if node.get(_XSI_TYPE) == "file":
                name = (node.findtext(f".//{_NS}objectIdentifierValue") or "").removeprefix(f"{object_id}/")
                files += name.startswith(_OURS)
                place = manifest.place_of(name)
                if not _describes(node, manifest.described(name), sized=place is None or place[0] not in bad):
                    yield _premis("gives other digests or another size for a file than the inventory")
                    return
            node.clear()
            while node.getprevious() is not None:  # keeps memory flat: read siblings are let go
                del node.getparent()[0]
    except etree.XMLSyntaxError:
        yield _premis("is no XML")
        return
    if files != sum(1 for prefix in _OURS for _ in manifest.state(prefix)):
        yield _premis("does not describe every file")


def _describes(node: etree._Element, held: tuple[str, str | None, int | None] | None, *, sized: bool) -> bool:
    digests = {
        one.findtext(f"{_NS}messageDigestAlgorithm"): one.findtext(f"{_NS}messageDigest") for one in node.iter(f"{_NS}fixity")
    }
    if held is None or digests != {"SHA-512": held[0], "SHA-256": held[1]}:
        return False
    return not sized or held[2] is None or node.findtext(f".//{_NS}size") == str(held[2])


def _ledger(what: str, expected: str | None = None, found: str | None = None) -> Fault:
    return Fault("", Verdict.MISMATCH, f"the ledger {what}", expected, found, about="ledger")


def _premis(what: str) -> Fault:
    return Fault("metadata/premis.xml", Verdict.MISMATCH, f"the PREMIS document {what}", about="premis")
