"""What audits cost beside what reading alone costs: large files, small ones, S3, choosing what is due, memory.

Ours are whole audits of an OCFL object, as an auditor runs them: every name, every byte, both digests, from the disk and not
from the page cache. The yardsticks find the cache without these files too: who checks memory checks no disk.
``BENCH_SCALE=0.05``: a trial with little, whose figures mean nothing.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa

from tests.bench import inputs
from tests.bench.measure import BIN, RUNS, Row, in_turn, timed, times
from tests.servers import postgres, s3
from worker.fixity.arrivals import Arrivals
from worker.fixity.auditor import Auditor
from worker.fixity.bucket_place import BucketPlace
from worker.fixity.copies import Copies
from worker.fixity.folder_place import FolderPlace
from worker.fixity.known import Known
from worker.fixity.object_audit import ObjectAudit, Surroundings
from worker.fixity.place import Place
from worker.fixity.reading import THREADS
from worker.fixity.replicate import Replicator
from worker.fixity.rules import Rules
from worker.ledger import uncommitted
from worker.ledger.engine import open_engine, sqlite_url
from worker.ledger.events import now
from worker.ledger.schema import packages
from worker.ledger.schema_fixity import sweeps
from worker.ledger.transactions import Transactions
from worker.store import inventory
from worker.store.bucket_s3 import S3Bucket, client_of
from worker.store.contract import VersionNote
from worker.store.layout import INVENTORY, OBJECT_NAMASTE, ROOT_FILES, SIDECAR, object_path, sidecar

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
OBJECT = "urn:example:bench"  # of another program: its ledger is not asked
HOME = f"store/{object_path(OBJECT)}"
RAW_THREADS = 2
DUE = [int(float(word)) for word in os.environ.get("BENCH_DUE", "1e5 1e6").split()]
"""Copies in the register. ``BENCH_DUE="1e5 1e6 1e7"`` takes a quarter of an hour more, to fill the table."""


def large(work: Path) -> list[Row]:
    """Eight large files, both digests and SHA-256 alone."""
    files = [inputs.large(work / f"{number}.bin", round((512 << 20) * SCALE)) for number in range(8)]
    for number, path in enumerate(files):
        _mark(path, number)
    place, folder = _stored(work, files), work / HOME / "v1/content"
    sums = work / "sums"
    sums.write_text("".join(f"{_digest(path, 'sha256')}  {path.name}\n" for path in files))
    each = ["sh", "-c", 'printf "%s\\n" "$1" | sha256sum --check --quiet -', "_"]
    check = ["xargs", "-d", "\\n", "-n1", "-P2", "-a", str(sums), *each]
    both, alone, checked, raw = in_turn(
        lambda: _read(place),
        lambda: _read(place, ("sha256",)),
        lambda: _cold(files, lambda: _timed_in(folder, check)),
        lambda: _cold(files, lambda: _raw(files)),
    )
    size = f"{sum(path.stat().st_size for path in files) / 1e9:.1f} GB"
    return [
        times(f"audit of {size} in large files, SHA-256 + SHA-512", both, "xargs -P2 sha256sum -c", checked, 1.5),
        times(f"audit of {size}, SHA-256 alone", alone, "hashlib, two threads", raw, 0.9),
        _memory(work),
    ]


def small(work: Path) -> list[Row]:
    """Fifty thousand files of 4 kB, against the same files as a bag."""
    count = round(50_000 * SCALE)
    bag, files = work / "bag", []
    for number in range(count):
        path = bag / f"{number // 500:03d}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8, "big") * 512)
        files.append(path)
    place = _stored(work, files)
    tool = [sys.executable, BIN / "bagit.py", "--quiet"]
    timed([*tool, "--sha256", "--processes", "2", bag])
    files = sorted((work / HOME / "v1/content").iterdir())  # the tool has moved its names
    ours, theirs = in_turn(
        lambda: _cold(files, lambda: _read(place)),
        lambda: _cold(files, lambda: timed([*tool, "--validate", "--processes", "2", bag])),
    )
    return [times(f"audit of {count:,} files of 4 kB", ours, "bagit.py --validate --processes 2", theirs, 1.5)]


def over_s3(work: Path) -> list[Row]:
    """The same client and threads that download, into files; and that read, and look at nothing."""
    name = s3.available()[0]
    with s3.running(name, _folder(work / "server")) as server:
        files = [inputs.large(work / f"{number}.bin", round((128 << 20) * SCALE)) for number in range(8)]
        for number, path in enumerate(files):
            _mark(path, number)
        _stored(work, files)
        bucket = server.new_bucket()

        def connect() -> S3Bucket:
            return S3Bucket(client_of(server.endpoint), bucket, "")

        place = BucketPlace("s3", connect)
        for path in sorted((work / "store").rglob("*")):
            if path.is_file():
                place.put_file(path.relative_to(work).as_posix(), path)
        keys, down = [f"{HOME}/v1/content/{path.name}" for path in files], _folder(work / "down")
        client = client_of(server.endpoint)
        ours, plain, thrown = in_turn(
            lambda: _read(place),
            lambda: _each(keys, lambda key: client.fget_object(bucket, key, str(down / Path(key).name))),
            lambda: _each(keys, lambda key: _thrown_away(place, key)),
        )
        place.close()
    name = f"audit of {8 * (128 << 20) * SCALE / 1e9:.1f} GB over S3 ({name})"
    return [
        times(name, ours, "plain download (fget_object)", plain, 0.85),
        times(name, ours, "the same bytes read and thrown away", thrown, 0),
    ]


def due(work: Path) -> list[Row]:
    """Choosing the next copy among more and more, and seeing to what was committed."""
    rows = _due(sqlite_url(work / "due.sqlite3"), "SQLite", [count for count in DUE if count <= 1_000_000])
    server = postgres.new_server(options=())
    try:
        return rows + _due(server.empty_database(), "PostgreSQL", DUE, server)
    finally:
        postgres.end(server)


def _due(url: str, name: str, counts: list[int], server: postgres.PostgresServer | None = None) -> list[Row]:
    engine, rows, before = open_engine(url), [], 0
    transactions = Transactions(engine)
    for count in counts:
        _fill(engine, before, round(count * SCALE))
        if server:  # what the filling left to do is not the choosing's: a register grows over years
            with server.admin() as db:
                db.execute("CHECKPOINT")
        before = round(count * SCALE)
        register, numbers = Copies(transactions), iter(range(10**6))
        [seconds] = in_turn(lambda r=register, n=numbers: _median_claim(r, n))
        value = round(seconds * 1000, 2)
        rows.append(Row(f"choosing what is due among {before:,} ({name})", value, "ms", "–", None, "≤ 50 ms", value <= 50))
        [seconds] = in_turn(lambda t=transactions: _median_look(t))
        value = round(seconds * 1000, 2)
        rows.append(Row(f"seeing to a new version among {before:,} ({name})", value, "ms", "–", None, "–", True))
    engine.dispose()
    return rows


def _median_look(transactions: Transactions) -> float:
    """A version that was committed comes to the front of the line, and is found to lack in the other store."""
    auditor = Auditor(transactions, dict.fromkeys([("lund", f"place{number}") for number in range(3)], None), lambda *_: Rules())
    arrivals, replicator = Arrivals(transactions), Replicator(transactions, auditor)
    stores = '["place0", "place1", "place2"]'  # the slow round is at its end: it is no part of what is measured
    whole = {"tenant": "lund", "after": 1 << 40, "stores": stores, "done": stores}

    def commit(db: sa.Connection) -> None:
        db.execute(sa.delete(sweeps))
        db.execute(sa.insert(sweeps).values(**whole))
        home = db.execute(sa.select(packages).where(packages.c.version > 0).order_by(packages.c.id).limit(1)).one()
        uncommitted.carry(db, home.id, home.version + 1)

    def one() -> float:
        transactions.write(commit)
        return _seconds(
            lambda: (arrivals.look(auditor, "lund", "place0", Rules()), *(replicator.behind("lund", f"place{n}") for n in (1, 2)))
        )

    return statistics.median(one() for _ in range(15))


def _median_claim(register: Copies, numbers: Iterator[int]) -> float:
    def one(number: int) -> float:
        return _seconds(lambda: register.claim("lund", f"place{number % 3}", f"w{number}", now(), lease_s=600))

    return statistics.median(one(next(numbers)) for _ in range(31))


def _fill(engine: sa.Engine, first: int, end: int) -> None:
    """Copies whose turns lie from a day ago to ninety days on."""
    on_server = engine.dialect.name == "postgresql"
    moment = (
        'to_char(now() + make_interval(secs => random() * 7776000 - 86400), \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'
        if on_server
        else "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('%+f seconds', (abs(random()) % 7776000) - 86400))"
    )
    numbers = (
        f"generate_series({first}, {end - 1}) AS g(i)"
        if on_server
        else f"(WITH RECURSIVE g(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM g WHERE i < {end - 1}) SELECT i FROM g)"  # noqa: S608 -- numbers
    )
    columns = "tenant, place, object_id, kind, state, version, size_bytes, files, due, turn, tries"
    values = f"'lund', 'place' || (i % 3), 'urn:bevara:lund:p' || i, 'object', 'held', 1, 1, 1, {moment}, {moment}, 0"
    with engine.begin() as db:
        db.exec_driver_sql(
            f"INSERT INTO copies ({columns}) SELECT {values} FROM {numbers}".replace("%", "%%" if on_server else "%")  # noqa: S608 -- our own words
        )
        homes = f"'urn:bevara:lund:p' || i, 'lund', 'p' || i, 1, 0, '{'0' * 64}'"
        db.exec_driver_sql(
            f"INSERT INTO packages (object_id, tenant, package, version, last_seq, last_hash) SELECT {homes} FROM {numbers}"  # noqa: S608 -- as above
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.exec_driver_sql("VACUUM (ANALYZE) copies, packages" if on_server else "ANALYZE")


def _stored(work: Path, files: list[Path]) -> FolderPlace:
    """The files as one OCFL object, by hard links: nothing is written twice."""
    home, entries = work / HOME, []
    for path in files:
        target = home / "v1/content" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target)
        entries.append((f"v1/content/{path.name}", _digest(path, "sha512"), _digest(path, "sha256")))
    text = b"".join(
        inventory.write(
            OBJECT,
            1,
            fixity=sorted((sha256, path) for path, _, sha256 in entries),
            manifest=sorted((sha512, path) for path, sha512, _ in entries),
            state=sorted((sha512, path.removeprefix("v1/content/")) for path, sha512, _ in entries),
            note=VersionNote("2026-01-01T00:00:00Z", "bench", "bench"),
            before=None,
        )
    )
    for folder in (home, home / "v1"):
        (folder / INVENTORY).write_bytes(text)
        (folder / SIDECAR).write_bytes(sidecar(hashlib.sha512(text).hexdigest()))
    (home / OBJECT_NAMASTE[0]).write_bytes(OBJECT_NAMASTE[1])
    for name, data in ROOT_FILES.items():
        (work / "store" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "store" / name).write_bytes(data)
    os.sync()  # what is still on its way to the disk would be paid for by whoever is measured first
    return FolderPlace("bench", work)


def _audit(place: Place, algorithms: tuple[str, ...]) -> None:
    reading = ObjectAudit(place, HOME, Known(OBJECT), Surroundings(algorithms=algorithms), now()).run()
    if reading.faults or reading.why_not:
        sys.exit(f"bench: the audit found {reading.verdict}: {reading.why_not or reading.faults[0].detail}")


def _read(place: Place, algorithms: tuple[str, ...] = ("sha256", "sha512")) -> float:
    return _seconds(lambda: _audit(place, algorithms))


def _memory(work: Path) -> Row:
    """The highest resident memory (VmHWM) of a process that audits the object and does nothing else."""
    peaks = []
    for _ in range(RUNS):
        done = subprocess.run([sys.executable, "-m", __name__, work], capture_output=True, check=True, cwd=inputs.PROJECT)
        peaks.append(int(done.stdout) / 1000)
    return Row("memory of an auditor, large files", round(max(peaks), 1), "MB", "–", None, "≤ 200 MB", max(peaks) <= 200)


def _cold(files: list[Path], measure: Callable[[], float]) -> float:
    """Measure with none of *files* in the page cache."""
    for path in files:
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return measure()


def _raw(files: list[Path]) -> float:
    return _seconds(lambda: _shared(files, lambda path: _digest(path, "sha256"), RAW_THREADS))


def _thrown_away(place: Place, key: str) -> None:
    stream, buffer = place.open(key), memoryview(bytearray(1 << 20))
    while stream.readinto(buffer):
        pass
    stream.close()


def _each(keys: list[str], work: Callable[[str], object]) -> float:
    return _seconds(lambda: _shared(keys, work, THREADS))


def _shared(parts: list, work: Callable, count: int) -> None:
    """By *count* threads, each its share of the parts."""

    def some(mine: list) -> None:
        for part in mine:
            work(part)

    threads = [threading.Thread(target=some, args=(parts[first::count],)) for first in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _digest(path: Path, name: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, name).hexdigest()


def _mark(path: Path, number: int) -> None:
    """No two files alike."""
    with path.open("r+b") as stream:
        stream.write(b"file %d" % number)


def _timed_in(folder: Path, argv: list[str]) -> float:
    return _seconds(lambda: subprocess.run(argv, cwd=folder, check=True, stdin=subprocess.DEVNULL))


def _seconds(work: Callable) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


ROWS = {"audit-large": large, "audit-small": small, "audit-s3": over_s3, "audit-due": due}


if __name__ == "__main__":
    _audit(FolderPlace("bench", Path(sys.argv[1])), ("sha256", "sha512"))
    print(Path("/proc/self/status").read_text("ascii").split("VmHWM:")[1].split()[0])
