"""The parts of worker and scheduler one at a time: what a trouble leads to, who gets a host, how wide the window is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from service_samples import whole_job

from actions.errors import PreservationError
from tests.bench.idle import POLICY, fill
from tests.conftest import missing
from worker.app import Service
from worker.ledger.facts import Task
from worker.ledger.results import LostTaskError
from worker.ledger.schema import tasks
from worker.ledger.service_facts import Submission
from worker.observe.metrics import Metrics
from worker.paths import archival_path
from worker.pipeline.expected import Expected, ExpectedError, differs, from_json, from_manifest
from worker.pipeline.hosts import HostPool
from worker.pipeline.services import Services
from worker.places import PlaceError
from worker.queue.files import Bearings, Files
from worker.queue.flying import flying, newcomers
from worker.queue.in_hand import Heartbeat, InHand
from worker.queue.patience import MOST_TRIES, Patience, backoff_s
from worker.queue.scheduler import Scheduler
from worker.queue.window import Window
from worker.record import FileRecord
from worker.scratch import Scratch
from worker.service_settings import ServiceSettings
from worker.settings import Settings
from worker.store.bucket import StoreUnreachableError


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service on SQLite and folders, with one tenant."""
    settings = ServiceSettings(ledger_url=f"sqlite:///{tmp_path / 'ledger.sqlite3'}", scratch=tmp_path / "scratch")
    with Service.open(settings) as one:
        add_tenant(one, "lund", tmp_path)
        yield one


def add_tenant(service: Service, name: str, folder: Path) -> None:
    service.ledger.tenants.add(name, name)
    for place, role in (("store", "is_store"), ("in", "is_source"), ("out", "is_delivery")):
        at = folder / name / place
        at.mkdir(parents=True)
        service.ledger.tenants.add_place(name, place, at.as_uri(), **{role: True})


class _Desk:
    """Services without a store: what is done with a file is the test's."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def at(self, _job: object):
        return nullcontext(Services(self._service.ledger, None, None, None, None, self._service.settings.scratch, ""))  # type: ignore[arg-type]


def taken(service: Service, work: Callable[[Services, Task], FileRecord], *, tries: int = 1) -> tuple[int, Files, InHand]:
    """One task, admitted and taken up with *work*, which is its *tries*-th try."""
    fill(service.ledger, "lund", f"p{tries}", 1)
    (task_id,) = service.ledger.queue.admit(window_total=9, window_tenant=9, lease_s=60)
    with service.ledger.engine.begin() as db:
        db.execute(sa.update(tasks).where(tasks.c.id == task_id).values(attempts=tries - 1))
    in_hand = InHand()
    stopping = threading.Event()
    stopping.set()  # nobody rests
    here = Bearings("w1", 60.0, in_hand, _Desk(service), Patience(stopping))  # type: ignore[arg-type]
    files = Files(service, here, Metrics("test"), work)
    files.message(task_id)
    return task_id, files, in_hand


def state(service: Service, task_id: int) -> tuple[str, str | None, bool]:
    """State, reason, and whether it is to wait."""
    row = next(iter(service.ledger.stream(sa.select(tasks).where(tasks.c.id == task_id))))
    return row.state, row.reason, row.not_before is not None


def raising(error: BaseException) -> Callable[[Services, Task], FileRecord]:
    def work(_services: Services, _task: Task) -> FileRecord:
        raise error

    return work


AWAY = StoreUnreachableError("gives no answer", "the store", "Wait.")


def test_a_store_that_is_away_is_waited_for(service) -> None:
    """Nothing is recorded against the file; it waits its time, and then waits in line again."""
    task_id, _, in_hand = taken(service, raising(AWAY))

    assert state(service, task_id) == ("pending", "store-unreachable", True)
    assert in_hand.now() == {}


def test_a_store_that_held_packages_is_never_begun_anew(service, tmp_path) -> None:
    """A disk that is not mounted leaves an empty folder: what is written there would be on another disk, and then hidden."""
    service.store_of("lund").open_draft("urn:bevara:lund:p")
    assert (tmp_path / "lund/store/store/0=ocfl_1.1").is_file()
    whole_job(service.ledger)
    (tmp_path / "lund/store").rename(tmp_path / "away")
    (tmp_path / "lund/store").mkdir()

    with Service.open(service.settings) as another, pytest.raises(StoreUnreachableError, match="not mounted"):
        another.store_of("lund").open_draft("urn:bevara:lund:p")
    assert list((tmp_path / "lund/store").iterdir()) == []


def test_after_hours_a_file_ends_as_failed_and_says_what_was_away(service) -> None:
    """A job must end: bounded, and replayable by its reason."""
    task_id, _, _ = taken(service, raising(AWAY), tries=MOST_TRIES)

    assert state(service, task_id)[:2] == ("done", "store-unreachable")


def test_a_full_disk_is_waited_for_without_end(service) -> None:
    """It says nothing of the file, however often it was tried."""
    task_id, _, _ = taken(service, raising(OSError(28, "No space left on device")), tries=MOST_TRIES * 3)

    assert state(service, task_id) == ("pending", "disk-full", True)


def test_what_was_lost_is_dropped_without_a_word_in_the_record(service) -> None:
    """Another worker has it, or nobody should."""
    lost = LostTaskError("is not this worker's", "task", "Nothing.")
    task_id, _, _ = taken(service, raising(lost))

    assert state(service, task_id) == ("leased", None, False)  # as it was: the ledger says whose it is


def test_a_permanent_trouble_around_a_file_ends_it_with_its_reason(service) -> None:
    """Such as a place that was retired while the job ran."""
    task_id, _, _ = taken(service, raising(PlaceError("is not a place of this tenant", "in", "Register it.")))

    assert state(service, task_id)[:2] == ("done", "place")


def test_a_file_that_cannot_even_be_set_aside_does_not_stop_the_next(service) -> None:
    """Our own fault, twice: put off a few times, then failed as `bug`."""
    first, _, _ = taken(service, raising(ZeroDivisionError("å")))
    last, _, _ = taken(service, raising(ZeroDivisionError("å")), tries=3)

    assert state(service, first) == ("pending", "bug", True)
    assert state(service, last)[:2] == ("done", "bug")


def test_a_task_taken_away_meanwhile_is_dropped_by_the_next_beat(service) -> None:
    """is_ours says no, so that its result is not written."""
    fill(service.ledger, "lund", "p", 2)
    queue, in_hand, lost = service.ledger.queue, InHand(), []
    numbers = queue.admit(window_total=9, window_tenant=9, lease_s=60)
    mine, others = (queue.claim_task(number, "w1", 60) for number in numbers)
    assert mine is not None
    assert others is not None
    queue.release([others.id], "w1")
    with in_hand.holding(mine), in_hand.holding(others):
        Heartbeat(queue, "w1", in_hand, 60, lost.append).beat()

        assert (in_hand.has(mine), in_hand.has(others), lost) == (True, False, [1])


def test_a_newcomer_goes_before_what_others_have_in_the_queue(service, tmp_path) -> None:
    """design.md §9: a million files of one tenant do not keep another one's single file waiting."""
    add_tenant(service, "hoor", tmp_path)
    fill(service.ledger, "lund", "p", 50)
    scheduler = Scheduler(service, Metrics("test"))
    scheduler.round()
    before = flying(service.ledger)
    fill(service.ledger, "hoor", "q", 1)
    admitted = service.ledger.queue.admit(window_total=before.leased + 50, window_tenant=40, lease_s=60)

    assert before.tenants == {"lund"}
    assert before.queued < 50, "the queue is kept short"
    (first,) = newcomers(service.ledger, admitted, before)
    assert first in admitted[:2]
    assert newcomers(service.ledger, admitted, flying(service.ledger)) == []


def test_only_one_scheduler_leads(service) -> None:
    """And the other one does nothing."""
    fill(service.ledger, "lund", "p", 3)
    one, two = Scheduler(service, Metrics("test")), Scheduler(service, Metrics("test"))
    one.round()
    two.round()

    assert (one.leads, two.leads) == (True, False)


@given(st.integers(1, 50), st.integers(50, 5000), st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.floats(0, 5))))
def test_a_window_stays_between_its_bounds(least, most, looks) -> None:
    """Whatever it sees."""
    window = Window(least, most)
    for waiting, done, seconds in looks:
        window.seen(waiting, done, seconds)

        assert least <= window.size <= most


def test_a_window_grows_until_workers_never_wait_and_shrinks_when_they_are_slow() -> None:
    """Fast work needs a long queue, slow work a short one."""
    window = Window(4, 500)
    for _ in range(6):
        window.seen(0, window.size, 0.1)
    wide = window.size
    for _ in range(40):
        window.seen(wide, 0, 0.1)

    assert wide == 500
    assert window.size == 4


def test_waiting_times_grow_and_are_bounded() -> None:
    """More than four hours over all tries, and never more than a quarter of an hour and a half at once."""
    means = [sum(backoff_s(attempt) for _ in range(200)) / 200 for attempt in range(1, MOST_TRIES)]

    assert sum(means) > 3 * 3600
    assert max(means) < 1350
    assert means[0] < means[3] < means[6]


# Checksums that came along

SHA256 = "ab" * 32


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: "\n" not in name), st.just(SHA256)))
def test_every_path_that_a_list_names_is_found_again(tmp_path_factory, named) -> None:
    """By the name that it has in the archive."""
    expected = Expected(tmp_path_factory.mktemp("e") / "x", iter(named.items()))
    try:
        assert all(expected.of(archival_path(name.encode("utf-8", "surrogateescape"))) == (SHA256,) for name in named)
        assert len(list(expected.paths())) == len(named)
    finally:
        expected.close()


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        (f"{SHA256}  a.txt\n", ("d/a.txt", SHA256)),
        (f"{SHA256} *b/å.txt\r\n", ("d/b/å.txt", SHA256)),
        (f"{'0' * 128}\t./c%25d%0Ae\n", ("d/c%d\ne", "0" * 128)),
    ],
)
def test_manifests_are_read_as_their_tools_write_them(line, pair) -> None:
    """sha256sum, its binary mark, BagIt's escapes; paths count from the manifest's folder."""
    assert list(from_manifest([line.encode()], "d")) == [pair]


@pytest.mark.parametrize("line", [b"nonsense\n", b"\xff\n", b"d41d8cd98f00b204e9800998ecf8427e  md5.txt\n"])
def test_a_list_that_cannot_be_used_is_refused(line) -> None:
    """Also one whose digests we do not measure: silence would be taken for agreement."""
    with pytest.raises(ExpectedError):
        list(from_manifest([line]))
    with pytest.raises(ExpectedError):
        list(from_json(line.decode("latin-1")))


def test_every_digest_must_agree() -> None:
    """Two lists that contradict each other cannot both be right."""
    assert differs((), SHA256, "0" * 128) == ""
    assert differs((SHA256, "0" * 128), SHA256, "0" * 128) == ""
    assert "SHA512" in differs((SHA256, "1" * 128), SHA256, "0" * 128)


# References, scratch, hosts


@pytest.mark.parametrize(
    "reference", ["file://in/../x", "file://in//x", "s3://nowhere/x", "http://in/x", "file://out/x", "in", "file://store/"]
)
def test_a_reference_reaches_nothing_but_what_is_registered_for_reading(service, reference) -> None:
    """P7: no path, no host, no other role's place."""
    with pytest.raises(PreservationError):
        service.places.source("lund", reference)


def test_a_link_in_a_place_does_not_lead_out_of_it(service, tmp_path) -> None:
    """The folder that a job names must be in the place, wherever a link points."""
    (tmp_path / "hemligt").mkdir()
    (tmp_path / "lund" / "in" / "länk").symlink_to(tmp_path / "hemligt")

    with pytest.raises(PlaceError):
        service.places.source("lund", "file://in/länk")


def test_scratch_of_the_dead_is_cleared_and_of_the_living_is_not(tmp_path) -> None:
    """A lock tells them apart."""
    dead, living = Scratch(tmp_path), Scratch(tmp_path)
    os.close(dead._lock)  # as the kernel does when a process ends
    third = Scratch(tmp_path)

    assert not dead.folder.exists()
    assert living.folder.exists()
    for one in (living, third):
        one.close()


def test_a_host_is_replaced_when_the_tenant_changes(tmp_path) -> None:
    """P6: no process that read one tenant's files reads another's."""
    pool = HostPool(1, tmp_path / "hosts", Settings.from_environment().verapdf_lib)
    numbers = []
    try:
        for tenant in ("lund", "lund", "hoor", "lund"):
            with pool.borrow(tenant) as host:
                try:
                    host.start()
                except PreservationError:
                    missing("an action host that starts")
                assert host._child is not None
                numbers.append(host._child.pid)
    finally:
        pool.close()

    assert numbers[0] == numbers[1]
    assert len({numbers[1], numbers[2], numbers[3]}) == 3


def test_a_policy_that_is_gone_is_not_replaced_by_another(service, tmp_path) -> None:
    """A job is decided by the very policy that it was submitted with, or not at all."""
    job_id = service.ledger.queue.submit(Submission("lund", "p", "file://in/p", POLICY)).job_id
    job = service.ledger.job(job_id)
    assert job is not None

    with pytest.raises(PreservationError, match="Submit the job again"):
        service.policy_of(job)
