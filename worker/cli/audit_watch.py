"""``bevara audit watch``: the service's auditor. Several may run; one leads, the others wait to follow it."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cryptography.x509 import Certificate, load_pem_x509_certificates

from actions.errors import PreservationError
from worker.app import Service
from worker.cli import service as shared
from worker.evidence.keys import KeyFolder
from worker.evidence.nightly import Nightly
from worker.evidence.timestamp import asker
from worker.fixity.book import Book
from worker.fixity.copies import Copies
from worker.fixity.watch import Watch
from worker.ledger.schema_fixity import findings
from worker.observe.metrics import Metrics
from worker.service_copies import ServiceCopies
from worker.service_settings import SettingsError, variable
from worker.setting_sources import SettingProblem
from worker.store.bucket_store import BucketStore
from worker.store.contract import Store

log = logging.getLogger("bevara")
STUCK_S = 6 * 3600.0  # without a round that came to its end: one very large object may take hours


def add(parser: argparse.ArgumentParser) -> None:
    """Options of ``audit watch``: the settings say the rest."""
    parser.add_argument("--once", action="store_true", help="end when nothing is due any more, for a timer of your own")


def run(args: argparse.Namespace) -> int:
    """Watch until told to end; with ``--once`` 1 when findings are open then."""
    metrics = Metrics("audit")
    with shared.opened("audit") as service:
        watch = Watch(lambda: copies(service), metrics, nightly(service), service.scratch.folder)

        def alive() -> bool:
            return not watch.leads or time.monotonic() - watch.turned_s < STUCK_S

        with shared.admin_port(service, metrics, alive), shared.signals(lambda _: watch.stop()):
            watch.run(once=args.once)
        still_open = args.once and Book(service.ledger.transactions).some(findings.c.state == "open", limit=1)
    return 1 if still_open else 0


def copies(service: Service) -> ServiceCopies:
    """All tenants' places as they are registered now; what cannot be used is said, and left out."""

    def told(wrong: PreservationError) -> None:
        log.warning("audit: left out: %s", wrong)

    return ServiceCopies(service.settings, ledger=service.ledger, wrong=told)


def nightly(service: Service) -> Nightly | None:
    """What signs each day's evidence, where the settings name a folder of keys.

    Raises:
        SettingsError: A time stamping authority without its certificates, or the other way round.
        KeyFolderError: The folder cannot be used.
    """
    settings = service.settings
    if bool(settings.evidence_tsa) != bool(settings.evidence_tsa_root):
        remedy = "A time stamp that cannot be checked proves nothing: set both, or neither."
        raise _wrong(f"goes with {variable('evidence_tsa')}", remedy)
    folder = settings.evidence_keys
    if folder is None:
        log.info("audit: no evidence is signed: %s is not set", variable("evidence_keys"))
        return None

    def keys() -> KeyFolder:
        return KeyFolder(folder, settings.evidence_passphrase or "")

    keys().signer()  # says now what would fail at midnight
    stamp: Callable[[bytes], bytes] | None = None
    if settings.evidence_tsa and settings.evidence_tsa_root:
        stamp = asker(settings.evidence_tsa, _certificates(settings.evidence_tsa_root))
    return Nightly(service.ledger.transactions, keys, lambda tenant: stores(service, tenant), stamp=stamp)


def _certificates(path: Path) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        raise _wrong("names no certificates in PEM", "Name the authority's root certificate.") from None


def _wrong(what: str, remedy: str) -> SettingsError:
    return SettingsError([SettingProblem(variable("evidence_tsa_root"), what, remedy)])


def stores(service: Service, tenant: str) -> Sequence[Store]:
    """A tenant's stores, the primary first."""
    places = [one for one in service.ledger.tenants.places(tenant) if one.is_store]
    copies_of, spool = Copies(service.ledger.transactions), service.spool

    def new(place: str) -> bool:
        return not copies_of.were_read(place, tenant)

    return [BucketStore(service.places.bucket(one), spool.folder, spool=spool, new=partial(new, one.name)) for one in places]
