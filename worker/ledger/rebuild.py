"""Makes the ledger again from the store alone: the ledger indexes, the store proves (design.md §8).

Also catches up after a kill between the store's commit and the ledger's. Nothing here judges the store: a chain that does
not hold is indexed as it stands, and ``bevara verify`` names the place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from worker.evidence.names import is_evidence, read_package_id
from worker.ledger import stored
from worker.ledger.ledger import Ledger
from worker.ledger.reindex import begin_again, forget, index_package
from worker.ledger.schema import packages
from worker.store.contract import Store, StoreDamagedError


def reconcile(ledger: Ledger, store: Store) -> list[str]:
    """Bring the ledger up to what the store has committed; one sentence for each package that was behind.

    Raises:
        StoreDamagedError: The ledger knows of versions that the store does not have. Nothing is changed: this is a loss.
    """
    known = {row.object_id: row for row in ledger.stream(sa.select(packages))}
    for name, indexed in known.items():
        _not_lost(name, indexed.version, store.head(name))
    done = []
    for name in store.objects():
        if is_evidence(name):
            continue
        row, head = known.get(name), store.head(name)
        if row is not None and row.version == head:
            continue
        if (row is not None and _told_late(ledger, store, row, head)) or _rebuild_package(ledger, store, name):
            done.append(f"The ledger was brought up to version {head} of {name}.")
    return done


def catch_up(ledger: Ledger, store: Store, name: str) -> bool:
    """``reconcile`` for one package: whether the ledger was behind. A worker that takes up a commit again asks this first.

    Raises:
        StoreDamagedError: As for ``reconcile``.
    """
    stmt = sa.select(packages).where(packages.c.object_id == name)
    row = ledger.transactions.read(lambda db: db.execute(stmt).one_or_none())
    known, head = (0 if row is None else int(row.version)), store.head(name)
    _not_lost(name, known, head)
    if head == known:
        return False
    return (row is not None and _told_late(ledger, store, row, head)) or _rebuild_package(ledger, store, name)


def rebuild_all(ledger: Ledger, stores: Mapping[str, Store]) -> list[str]:
    """Make the service's index again from its tenants' stores; one sentence for each package. Nobody may be at work meanwhile.

    Tenants, keys, places and policies are left alone. Of jobs, what was not committed is done again.

    Args:
        stores: Each tenant's primary store.
    """
    done: list[str] = []
    for tenant, store in stores.items():
        held: set[str] = set()
        for name in store.objects():
            if is_evidence(name):
                continue
            held.add(name)
            if (owner := read_package_id(name)) != tenant:
                done.append(f"{name} lies in the store of {tenant} and was left out: it is {owner or 'another program'}'s.")
            elif _rebuild_package(ledger, store, name):
                done.append(f"{name} was indexed up to version {store.head(name)}.")
        mine = sa.select(packages.c.id, packages.c.object_id, packages.c.version).where(packages.c.tenant == tenant)
        for row in list(ledger.stream(mine)):
            if row.object_id not in held:
                done += _start_over(ledger, row)
    return done


def _start_over(ledger: Ledger, row: Any) -> list[str]:
    """A package that the store does not hold: its jobs begin anew, if any are left to do."""

    def work(db: sa.Connection) -> None:
        forget(db, row.id)
        begin_again(db, row.id)

    ledger.transactions.write(work)
    lost = f"{row.object_id} is not in the store, and the ledger knew version {row.version} of it: that version is lost there."
    return [lost] if row.version else []


def _not_lost(name: str, known: int, head: int) -> None:
    if known > head:
        raise StoreDamagedError(
            f"the ledger knows version {known}, the store has {head}: versions were lost",
            name,
            "Restore the store from another copy. To accept the loss, run `bevara ledger rebuild`.",
        )


def _told_late(ledger: Ledger, store: Store, row: sa.Row[Any], head: int) -> bool:
    """The usual case: the ledger has all that the version carries, and only was not told that it is committed."""
    texts = stored.texts(store, row.object_id)
    if row.version != head - 1 or not texts or texts[-1].version != head:
        return False
    last = ""
    for line in stored.lines(store, row.object_id, texts[-1].events):
        last = line["hash"]
    job = ledger.job(stored.document(store, row.object_id, texts[-1].job)["job"])
    if last != row.last_hash or job is None:
        return False
    ledger.finish_job(job, head)
    return True


def _rebuild_package(ledger: Ledger, store: Store, name: str) -> bool:
    """Index one package; False: another program put it into the store, it is preserved but not our history."""
    texts = stored.texts(store, name)
    if texts:
        ledger.transactions.write(lambda db: index_package(db, store, name, texts))
    return bool(texts)
