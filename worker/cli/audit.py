"""``bevara audit``: read copies whose turn it is, or some on demand; findings, approvals and repair."""

from __future__ import annotations

import argparse
import getpass
import json
import random
import signal
from collections.abc import Callable
from dataclasses import asdict
from types import FrameType

from sqlalchemy import ColumnElement

from worker.archive_copies import ArchiveCopies, CopiesError
from worker.cli import audit_report, audit_watch, interrupt
from worker.cli.copies import WHERE, opened_copies, refresh, show_places
from worker.fixity import coverage
from worker.fixity.auditor import Auditor, Ran
from worker.fixity.bound import sentence
from worker.fixity.copies import Copy
from worker.fixity.known import Reading
from worker.fixity.period import SampleSums
from worker.fixity.repair import Outcome, Repaired, Repairer
from worker.fixity.rules import RepairMode
from worker.fixity.verdicts import BAD, Verdict
from worker.ledger.ledger import object_id
from worker.ledger.schema_fixity import copies, findings
from worker.service_copies import ServiceCopies

_SAMPLE = 300
INTERRUPTED = 130  # as ``worker.cli.main`` ends after Ctrl-C
_READ = ("run", "package", "prefix", "sample", "repair")
"""Sub-commands after which the day's coverage is kept anew."""


def add(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of ``audit``."""
    commands = parser.add_subparsers(
        dest="what", required=True, metavar="run|status|sample|package|prefix|findings|approve|repair|clear|report|watch"
    )
    run = _sub(commands, "run", "read every copy whose turn it is; then repair what may be repaired by itself")
    run.add_argument("--bytes", type=int, default=0, metavar="N", help="stop after so many bytes; the next run goes on from there")
    run.add_argument("--all", action="store_true", help="every copy, whatever its turn")
    _sub(commands, "status", "deadlines, findings and breakers")
    sample = _sub(commands, "sample", "read copies chosen at random, and say what that proves of the rest")
    sample.add_argument("--count", type=int, default=_SAMPLE, metavar="N", help="how many (default: %(default)s)")
    sample.add_argument("--seed", type=int, metavar="N", help="choose the same ones again")
    package = _sub(commands, "package", "read every copy of one package now")
    package.add_argument("tenant")
    package.add_argument("package")
    prefix = _sub(commands, "prefix", "read every package whose name begins so now")
    prefix.add_argument("tenant")
    prefix.add_argument("prefix")
    listing = _sub(commands, "findings", "show findings that are open")
    listing.add_argument("--all", action="store_true", help="those that ended, too")
    listing.add_argument("--json", action="store_true", help="one JSON object a finding")
    approve = _sub(commands, "approve", "agree to the repair of a finding, by name")
    approve.add_argument("finding", type=int)
    approve.add_argument("--as", dest="who", metavar="NAME", default=None, help="who agrees (default: who is logged in)")
    repair = _sub(commands, "repair", "repair what is approved, from copies that are proven good")
    repair.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    repair.add_argument("--finding", type=int, metavar="N", help="this one only")
    clear = _sub(commands, "clear", "a store was looked at by a person: let repair go on")
    clear.add_argument("tenant")
    clear.add_argument("place")
    clear.add_argument("--as", dest="who", metavar="NAME", default=None)
    audit_report.add(_sub(commands, "report", "one tenant's audits in a period: a page that prints, CSV and JSON"))
    watch = "the service's auditor, for ever: reads, replicates, repairs, tells, signs each day"
    audit_watch.add(commands.add_parser("watch", help=watch, description=watch[0].upper() + watch[1:] + ".", allow_abbrev=False))


def _sub(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, line: str) -> argparse.ArgumentParser:
    sub = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".", allow_abbrev=False)
    sub.add_argument("--archive", metavar="DIR", help=WHERE)
    return sub


def run(args: argparse.Namespace) -> int:
    """Carry out a sub-command; 1 when something needs a person, or could not be read; 130 when it was stopped."""
    if args.what == "watch":
        return audit_watch.run(args)
    with opened_copies(args.archive) as at:
        asked = _Asked()
        auditor = Auditor(at.ledger.transactions, at.places, at.rules, stop=asked.stop)
        refresh(at, auditor)
        code = _COMMANDS[args.what](args, at, auditor, asked)
        if args.what in _READ:
            for tenant in at.tenants():
                coverage.keep(at.ledger.transactions, tenant, auditor.clock.now(), lambda place, t=tenant: at.rules(t, place))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        return code


class _Asked:
    """Ctrl-C and SIGTERM: the reading stops where it is, and goes on there the next time."""

    def __init__(self) -> None:
        self.stopped = interrupt.was_asked()

    def stop(self) -> bool:
        """Whether it was asked to stop."""
        return self.stopped

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopped = True


At = ArchiveCopies | ServiceCopies


def _run(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    if args.all:
        auditor.copies.forward("asked for", copies.c.id > 0)
    with asked:
        ran = auditor.run(most_bytes=args.bytes)
    _tell(ran)
    bad = sum(ran.verdicts.get(verdict, 0) for verdict in BAD)
    if not asked.stopped and any(at.rules(*key).repair is RepairMode.AUTOMATIC for key in at.stores()):
        repaired = Repairer(at.ledger.transactions, auditor, guard=at.alone).run()
        _tell_repairs(repaired)
        if any(one.outcome is Outcome.REPAIRED for one in repaired):
            with asked:
                _tell(auditor.run())
    if asked.stopped:
        return INTERRUPTED
    return 1 if bad or ran.unread or auditor.book.some(findings.c.state == "open", limit=1) else 0


def _tell(ran: Ran) -> None:
    if ran.clock:
        print(f"WARNING: {ran.clock}")
    rate = ran.size_bytes / ran.seconds / 1e6 if ran.seconds else 0.0
    verdicts = ", ".join(f"{number:,} {verdict}" for verdict, number in sorted(ran.verdicts.items())) or "nothing's turn"
    read = f"{ran.copies:,} copies read, {ran.files:,} files, {ran.size_bytes:,} bytes in {ran.seconds:.1f} s"
    print(f"{read} ({rate:,.0f} MB/s): {verdicts}")
    if ran.stopped:
        print("Stopped before the end; the next run goes on from here.")


def _status(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    del args, asked
    wrong = show_places(at.ledger.transactions, auditor)
    number = len(auditor.book.some(findings.c.state == "open", limit=100_000))
    print(f"{number} findings are open" + (": bevara audit findings" if number else ""))
    for tripped in Repairer(at.ledger.transactions, auditor).breaker.tripped():
        wrong += 1
        print(f"Repair of {tripped.tenant} {tripped.place} is stopped since {tripped.since}: {tripped.why}")
    return 1 if wrong or number else 0


def _sample(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    chosen = random.Random(args.seed)  # noqa: S311 -- a sample, not a secret
    tenants = {copy.id: copy.tenant for copy in auditor.copies.some(copies.c.state == "held", limit=10_000_000)}
    numbers = list(tenants)
    picked = chosen.sample(numbers, min(args.count, len(numbers)))
    kept = SampleSums(tenants)
    ran = _these(auditor, asked, picked, kept.add)
    kept.keep(at.ledger.transactions, auditor.clock.now())
    bad = sum(ran.verdicts.get(verdict, 0) for verdict in BAD)
    read = ran.verdicts.get(Verdict.OK, 0) + bad  # one that is bad as far as it could be read is bad
    _tell(ran)
    if read:
        every = read >= len(numbers)
        print(f"bad copies: {bad:,} of all {read:,}" if every else f"bad copies: {sentence(bad, read)}, of {len(numbers):,} copies")
    return _ended(asked, ran, len(picked))


def _ended(asked: _Asked, ran: Ran, wanted: int) -> int:
    """0 only when every copy that was asked for was read in full and is right."""
    if asked.stopped:
        return INTERRUPTED
    if ran.copies < wanted:
        print(f"{wanted - ran.copies:,} copies were not read: another auditor has them in hand. Ask again.")
    return 0 if ran.copies == wanted and set(ran.verdicts) <= {Verdict.OK} else 1


def _these(auditor: Auditor, asked: _Asked, numbers: list[int], told: Callable[[Copy, Reading], None] = lambda _c, _r: None) -> Ran:
    ran = Ran()
    with asked:
        for number in numbers:
            if asked.stopped:
                ran.stopped = True
                break
            if copy := auditor.copies.take(number, auditor.name, lease_s=300):
                reading, new = auditor.audit(copy)
                ran.add(reading, new)
                told(copy, reading)
    auditor.book.tell()
    return ran


def _package(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    del at
    return _now(auditor, asked, f"{args.tenant} {args.package}", copies.c.object_id == object_id(args.tenant, args.package))


def _prefix(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    del at
    begin = object_id(args.tenant, args.prefix)
    return _now(auditor, asked, f"{args.tenant} {args.prefix}", copies.c.object_id >= begin, copies.c.object_id < begin + "\x7f")


def _now(auditor: Auditor, asked: _Asked, subject: str, *where: ColumnElement[bool]) -> int:
    numbers = [copy.id for copy in auditor.copies.some(copies.c.state == "held", *where, limit=1_000_000)]
    if not numbers:
        raise CopiesError("has no copies", subject, "Look at the names with `bevara audit status`.")
    ran = _these(auditor, asked, numbers)
    _tell(ran)
    return _ended(asked, ran, len(numbers))


def _findings(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    del at, asked
    where = () if args.all else (findings.c.state == "open",)
    listed = auditor.book.some(*where, limit=100_000)
    for one in listed:
        if args.json:
            print(json.dumps(asdict(one), ensure_ascii=False))
        else:
            print(f"{one.id}: {one.verdict} ({one.state}): {one.tenant} {one.place}: {one.object_id} {one.path}: {one.detail}")
            if one.remedy:
                print(f"    {one.remedy}")
    return 1 if any(one.state == "open" for one in listed) else 0


def _approve(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    del asked
    found = auditor.book.get(args.finding)
    if found is None:
        raise CopiesError("is no finding", str(args.finding), "`bevara audit findings` lists them.")
    if found.state != "open" or found.verdict not in BAD or found.about != "bytes":
        raise CopiesError("has ended, or is no matter of bytes", f"finding {found.id}", "There is nothing to agree to.")
    who = getpass.getuser() if args.who is None else args.who
    if not who.strip():
        raise CopiesError("is nobody's name", "--as", "Name the person who agrees.")
    agree = auditor.book.approve(found.id, found.tenant, who, auditor.clock.now())
    needed = at.rules(found.tenant, found.place).repair.approvals
    print(f"{agree} agree, {needed} are needed" + (": run `bevara audit repair`" if agree >= needed else ""))
    return 0


def _repair(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    done = Repairer(at.ledger.transactions, auditor, guard=at.alone).run(dry=args.dry_run, only=args.finding)
    if args.finding is not None and not done:
        raise CopiesError("is no open finding of a place at hand", f"finding {args.finding}", "`bevara audit findings` lists them.")
    _tell_repairs(done)
    if not done:
        print("nothing is open that could be repaired")
    if not args.dry_run and any(one.outcome is Outcome.REPAIRED for one in done):
        with asked:
            _tell(auditor.run())  # the repaired copies are next, and are whole only when they were read in full
    if asked.stopped:
        return INTERRUPTED
    return 0 if all(one.outcome in (Outcome.REPAIRED, Outcome.WOULD) for one in done) else 1


def _tell_repairs(done: list[Repaired]) -> None:
    for one in done:
        print(f"{one.finding}: {one.place} {one.object_id} {one.path}: {one.outcome}: {one.detail}")


def _clear(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    del asked
    cleared = Repairer(at.ledger.transactions, auditor).breaker.clear(
        args.tenant, args.place, args.who or getpass.getuser(), auditor.clock.now()
    )
    print("repair may go on" if cleared else "was not stopped")
    return 0


def _report(args: argparse.Namespace, at: At, auditor: Auditor, asked: _Asked) -> int:
    del auditor, asked
    return audit_report.run(args, at)


_COMMANDS = {
    "run": _run,
    "status": _status,
    "sample": _sample,
    "package": _package,
    "prefix": _prefix,
    "findings": _findings,
    "approve": _approve,
    "repair": _repair,
    "clear": _clear,
    "report": _report,
}
