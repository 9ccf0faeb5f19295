"""Files whose name the package cannot give: it has a folder of that name, or a file where the name has a folder.

A version that holds both ``a`` and ``a/b`` is forbidden (OCFL 1.1 section 3.5.3.1), and originals never leave the package. So
a delivery whose file became a folder since the last one, or a bucket with both keys, has files that cannot be stored: each is
told, the others go on. Asked once when a scan has ended, not once a file. What is made of a file is named by ``naming``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import sqlalchemy as sa

from worker.ledger.facts import Job, Task, TaskState
from worker.ledger.ledger import Ledger
from worker.ledger.schema import entries, tasks
from worker.pipeline.naming import ORIGINAL, original_path
from worker.pipeline.scan import Kind
from worker.record import FileRecord, Status

NAME_TAKEN = Kind.NAME_TAKEN.value
_HAVE_BYTES = (Kind.FILE.value, Kind.SYMLINK.value)
_CHUNK = 1000  # rows per statement


def bar_taken_names(ledger: Ledger, job: Job) -> None:
    """Mark those of *job*'s files that cannot be stored, after its last task was made and before the first is done.

    What the package holds goes first; of what the job itself brings, the files in the folder go before the file of its name.
    Repeating it changes nothing.
    """
    barred = _barred(ledger.stream(_names(job)))
    while chunk := list(islice(barred, _CHUNK)):
        mine = sa.update(tasks).where(tasks.c.id.in_(chunk), tasks.c.state == TaskState.PENDING).values(kind=NAME_TAKEN)
        ledger.transactions.write(lambda db, stmt=mine: db.execute(stmt))  # type: ignore[misc]


def name_taken(ledger: Ledger, task: Task) -> FileRecord:
    """The record of a file that was marked: nothing of it was read."""
    held = _file_above(ledger, task)
    name = task.path if held is None else held
    what, what_sv = ("folder", "mapp") if held is None else ("file", "fil")
    return FileRecord(
        path=task.path,
        size_bytes=task.size_bytes,
        status=Status.RETURNED,
        reason=NAME_TAKEN,
        message=f"Not preserved: the package has a {what} “{name}”, and a name cannot be both a file and a folder."
        " Deliver the file under another name, or as a package of its own.",
        message_sv=f"Inte bevarad: paketet har en {what_sv} ”{name}”, och ett namn kan inte vara både fil och mapp."
        " Leverera filen under ett annat namn, eller som ett eget paket.",
    )


def _file_above(ledger: Ledger, task: Task) -> str | None:
    """The package's file that stands where *task*'s path has a folder."""
    parts = task.path.split("/")
    above = ["/".join(parts[:number]) for number in range(1, len(parts))]
    e = entries.c
    named = e.logical_path.in_([original_path(path) for path in above])
    stmt = sa.select(e.logical_path).where(e.package_id == task.job.package_key, e.dropped.is_(False), named).limit(1)
    found = ledger.transactions.read(lambda db: db.scalar(stmt))
    return None if found is None else str(found).removeprefix(f"{ORIGINAL}/")


def _names(job: Job) -> sa.Select[Any]:
    """(task, name) of every file that waits and every original that the package holds, committed or not; these have no task.

    A name ends with a slash: in the order of bytes, what lies below it then follows at once. A sort costs the same however
    badly the database knows its tables; a search for each file does not.
    """
    t, e = tasks.c, entries.c
    waiting = sa.select(t.id.label("task"), t.path.concat("/").label("name"))
    waiting = waiting.where(t.job_id == job.id, t.state == TaskState.PENDING, t.kind.in_(_HAVE_BYTES))
    path = sa.func.substr(e.logical_path, len(ORIGINAL) + 2)
    held = sa.select(sa.cast(sa.null(), t.id.type).label("task"), path.concat("/").label("name"))
    originals = (e.logical_path > f"{ORIGINAL}/", e.logical_path < f"{ORIGINAL}0")  # '0' follows '/'
    held = held.where(e.package_id == job.package_key, e.dropped.is_(False), *originals)
    both = sa.union_all(waiting, held).subquery()
    return sa.select(both.c.task, both.c.name).order_by(both.c.name)


def _barred(names: Iterable[tuple[int | None, str]]) -> Iterator[int]:
    """Tasks that cannot be stored. *names* are ``_names``; those that are held do not lie below each other.

    All between a name and something below it lies below it as well, so that the last of each kind is all that counts.
    """
    held, waiting, waiting_task = "", "", 0
    for task, name in names:
        if task is not None and _below(name, held):
            yield task
            continue
        if _below(name, waiting):
            yield waiting_task
            waiting = ""
        if task is None:
            held = name
        else:
            waiting, waiting_task = name, task


def _below(name: str, folder: str) -> bool:
    return bool(folder) and name.startswith(folder) and name != folder
