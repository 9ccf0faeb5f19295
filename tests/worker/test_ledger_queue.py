"""The ledger's side of the queue: whatever messages do, and whoever dies, each file ends once and each job ends (promise P5)."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from service_samples import LEASE_S, WORKER, admit, asked, commit, end, found, open_job, scan, submit, take, tenants, whole_job

from worker.ledger.events import first_prev
from worker.ledger.facts import JobState
from worker.ledger.ledger import Ledger, LostTaskError
from worker.ledger.queue_side import MAX_LOSSES, IdempotencyConflictError
from worker.ledger.schema import events, jobs, tasks
from worker.ledger.service_facts import Step
from worker.record import Status


@pytest.fixture
def ledger(ledger_url: str):
    one = Ledger.connect(ledger_url)
    tenants(one, "lund", "malmo")
    yield one
    one.close()


def counts(ledger: Ledger, job_id: str, tenant: str = "lund"):
    return ledger.door(tenant).counts(job_id)


def state(ledger: Ledger, job_id: str) -> JobState:
    found = ledger.job(job_id)
    assert found is not None
    return found.state


def lose(ledger: Ledger, *task_ids: int) -> None:
    """The leases of these run out."""
    with ledger.engine.begin() as db:
        db.execute(sa.update(tasks).where(tasks.c.id.in_(task_ids)).values(lease_until="2000-01-01T00:00:00.000Z"))


def lose_job(ledger: Ledger, job_id: str) -> None:
    with ledger.engine.begin() as db:
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(lease_until="2000-01-01T00:00:00.000Z"))


# A job's way


def test_no_tenants_jobs_keep_anothers_step_waiting(ledger: Ledger) -> None:
    """design.md §9: a thousand jobs at the highest priority are one tenant's matter; its priorities count among them."""
    many = [submit(ledger, package=f"p{n}", priority=10) for n in range(6)]
    urgent = submit(ledger, package="urgent", priority=11)
    assert ledger.queue.to_drive(3) == [urgent, *many[:2]]
    assert ledger.queue.newcomers([urgent, *many[:2]]) == [urgent]

    one = submit(ledger, "malmo")
    given = ledger.queue.to_drive(3)

    assert set(given) == {many[2], one, many[3]}
    assert given.index(one) < 2
    assert ledger.queue.newcomers(given) == [one], "it goes before all that Lund has in the queue"
    assert ledger.queue.newcomers([]) == []


def test_a_job_goes_from_submission_to_its_end(ledger: Ledger) -> None:
    job_id = submit(ledger, delivery="s3://out/x")
    assert ledger.queue.to_drive(10) == [job_id]
    scan(ledger, job_id, 3)
    assert ledger.queue.to_drive(10) == []
    todo = take(ledger)
    assert [task.path for task in todo] == ["000000", "000001", "000002"]
    for task in todo:
        assert ledger.queue.to_drive(10) == []
        end(ledger, task)

    assert ledger.queue.to_drive(10) == [job_id]
    step = ledger.queue.claim_job(job_id, WORKER, LEASE_S)
    assert (step.step, step.delivery, step.job.state) == (Step.COMMIT, "s3://out/x", JobState.COMMITTING)
    ledger.finish_job(step.job, 1)
    assert ledger.queue.job_moved(job_id, WORKER, "delivering")
    assert ledger.queue.claim_job(job_id, WORKER, LEASE_S).step is Step.DELIVER
    assert ledger.queue.job_moved(job_id, WORKER, JobState.FINISHED)
    view = ledger.door("lund").job(job_id)
    assert (view.state, view.version) == (JobState.FINISHED, 1)
    assert view.finished is not None
    assert ledger.queue.to_drive(10) == []


def test_a_job_without_files_ends_too(ledger: Ledger) -> None:
    job_id = open_job(ledger, files=0)

    assert ledger.queue.to_drive(10) == [job_id]
    commit(ledger, job_id)
    assert state(ledger, job_id) is JobState.FINISHED


def test_a_step_is_sent_once_until_it_was_lost(ledger: Ledger) -> None:
    job_id = submit(ledger)

    assert ledger.queue.to_drive(10) == [job_id]
    assert ledger.queue.to_drive(10) == []
    lose_job(ledger, job_id)
    assert ledger.queue.to_drive(10) == [job_id]


def test_a_step_is_taken_by_one_worker(ledger: Ledger) -> None:
    job_id = submit(ledger)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: ledger.queue.claim_job(job_id, f"w{n}", LEASE_S), range(16)))

    assert sum(step is not None for step in taken) == 1


@pytest.mark.parametrize("at", [JobState.SCANNING, JobState.COMMITTING, JobState.DELIVERING])
def test_a_step_whose_worker_died_is_taken_again(ledger: Ledger, at: JobState) -> None:
    job_id = open_job(ledger, files=0) if at is not JobState.SCANNING else submit(ledger)
    first = ledger.queue.claim_job(job_id, "dead", LEASE_S)
    if at is JobState.DELIVERING:
        ledger.queue.job_moved(job_id, "dead", at)
        first = ledger.queue.claim_job(job_id, "dead", LEASE_S)
    assert ledger.queue.claim_job(job_id, WORKER, LEASE_S) is None
    lose_job(ledger, job_id)

    assert ledger.queue.to_drive(10) == [job_id]
    again = ledger.queue.claim_job(job_id, WORKER, LEASE_S)
    assert (again.step, again.attempts) == (first.step, 2)
    assert not ledger.queue.job_moved(job_id, "dead", JobState.FINISHED)
    assert state(ledger, job_id) is at


def test_a_step_that_was_postponed_waits(ledger: Ledger) -> None:
    job_id = submit(ledger)
    ledger.queue.claim_job(job_id, WORKER, LEASE_S)

    assert ledger.queue.postpone_job(job_id, WORKER, 3600, "store-unreachable")
    assert ledger.queue.to_drive(10) == []
    assert ledger.door("lund").job(job_id).error_code == "store-unreachable"
    lose_job(ledger, job_id)
    assert ledger.queue.to_drive(10) == [job_id]
    assert ledger.queue.claim_job(job_id, WORKER, LEASE_S).attempts == 2


def test_jobs_of_one_package_go_one_after_the_other(ledger: Ledger) -> None:
    first, second, other = submit(ledger), submit(ledger), submit(ledger, package="q")

    assert set(ledger.queue.to_drive(10)) == {first, other}
    assert ledger.queue.claim_job(second, WORKER, LEASE_S) is None
    scan(ledger, first, 0)
    assert ledger.queue.claim_job(second, WORKER, LEASE_S) is None
    commit(ledger, first)
    assert ledger.queue.to_drive(10) == [second]
    assert ledger.queue.claim_job(second, WORKER, LEASE_S).step is Step.SCAN


def test_of_jobs_begun_at_once_one_begins(ledger: Ledger) -> None:
    """Also when none of them is the older: the clock gave both the same moment, or one came in late."""
    ids = [submit(ledger) for _ in range(6)]
    with ledger.engine.begin() as db:
        db.execute(sa.update(jobs).values(created="2026-01-01T00:00:00.000Z"))
    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda job_id: ledger.queue.claim_job(job_id, job_id, LEASE_S), ids))

    assert sum(step is not None for step in taken) == 1


def test_the_same_job_submitted_ten_times_is_one_job(ledger: Ledger) -> None:
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda _: ledger.queue.submit(asked(idempotency_key="k", request_sha256="1")), range(10)))

    assert len({one.job_id for one in made}) == 1
    assert sum(one.new for one in made) == 1
    with pytest.raises(IdempotencyConflictError, match="another request"):
        ledger.queue.submit(asked(idempotency_key="k", request_sha256="2"))
    assert ledger.queue.submit(asked("malmo", idempotency_key="k", request_sha256="2")).new


def test_the_end_is_told_once_with_numbers_and_no_names(ledger: Ledger) -> None:
    job_id = open_job(ledger, files=2, callback_url="https://arkiv.example/hook")
    for task in take(ledger):
        end(ledger, task)
    commit(ledger, job_id)
    assert not ledger.queue.job_moved(job_id, WORKER, JobState.FINISHED)

    (told,) = ledger.outbox.due(10)
    body = json.loads(told.body)
    assert (told.event, body["type"], body["data"]["counts"]["kept"]) == ("job.finished", "job.finished", 2)
    assert "00000" not in told.body.replace(body["timestamp"], "")


def test_a_failed_job_gives_up_its_files_and_lets_the_next_one_begin(ledger: Ledger) -> None:
    job_id, following = open_job(ledger, files=5), submit(ledger)
    (in_hand,) = take(ledger, 1)
    with ledger.engine.begin() as db:
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(worker=WORKER))
    assert ledger.queue.job_moved(job_id, WORKER, JobState.FAILED, error_code="source", error="The source is gone.")

    with pytest.raises(LostTaskError):
        end(ledger, in_hand)
    assert admit(ledger) == []
    assert ledger.queue.to_drive(10) == [following]
    assert (ledger.door("lund").job(job_id).error, counts(ledger, job_id).pending) == ("The source is gone.", 0)
    lose(ledger, in_hand.id)
    ledger.queue.reap()
    assert counts(ledger, job_id).leased == 0


# Tasks


def test_a_message_that_comes_three_times_gives_one_task(ledger: Ledger) -> None:
    open_job(ledger, files=1)
    (task_id,) = admit(ledger)

    claims = [ledger.queue.claim_task(task_id, f"w{n}", LEASE_S) for n in range(3)]
    assert [claim is not None for claim in claims] == [True, False, False]
    end(ledger, claims[0])
    assert ledger.queue.claim_task(task_id, WORKER, LEASE_S) is None


def test_two_workers_that_have_the_same_task_give_one_result(ledger: Ledger) -> None:
    """The first was thought dead, and was not: its account comes too late, and changes nothing."""
    job_id = open_job(ledger, files=1)
    (slow,) = take(ledger, worker="slow")
    lose(ledger, slow.id)
    assert ledger.queue.reap() == 1
    (quick,) = take(ledger, worker="quick")
    with pytest.raises(LostTaskError, match="not this worker's"):
        end(ledger, slow, message="slow")
    end(ledger, quick, message="quick")

    assert end(ledger, slow, message="slow").message == "quick"
    assert end(ledger, quick, message="again").message == "quick"
    assert (counts(ledger, job_id).done, counts(ledger, job_id).by_status["kept"]) == (1, 1)
    with ledger.engine.connect() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(events)) == 2


def test_many_workers_finish_files_of_one_package_at_once(ledger: Ledger) -> None:
    """One chain without a gap, counts that agree with the rows, and nobody waits for ever."""
    job_id = open_job(ledger, files=120)
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            while todo := take(ledger, 12, name):
                for task in todo:
                    end(ledger, task, Status.KEPT if task.id % 3 else Status.REVIEW)
        except BaseException as failure:  # noqa: BLE001 -- told by the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (failures, ledger.transactions.repeated) == ([], 0)
    one = ledger.job(job_id)
    with ledger.engine.connect() as db:
        rows = db.execute(sa.select(events.c.seq, events.c.prev_hash, events.c.hash).order_by(events.c.seq)).all()
        true = Counter(db.scalars(sa.select(tasks.c.status)))
    prev = first_prev(one.object_id)
    for number, row in enumerate(rows, 1):
        assert (row.seq, row.prev_hash) == (number, prev)
        prev = row.hash
    assert len(rows) == 240
    told = counts(ledger, job_id)
    assert (told.done, told.by_status["kept"], told.by_status["review"]) == (120, true["kept"], true["review"])


def test_the_same_bytes_in_many_files_deadlock_nobody(ledger: Ledger) -> None:
    """Files that hold the same parts, told in other orders."""
    from worker.ledger.facts import Held
    from worker.record import FileRecord

    open_job(ledger, files=60)
    parts = [Held(f"{n:x}" * 128, "0" * 64, 1, f"v1/content/{n}") for n in range(8)]

    def work(name: str) -> None:
        while todo := take(ledger, 8, name):
            for task in todo:
                held = parts if task.id % 2 else parts[::-1]
                record = FileRecord(path=task.path, size_bytes=1, status=Status.KEPT, reason="ok", message="")
                ledger.finish(task, record, held=held)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [f"w{n}" for n in range(4)]))
    assert (take(ledger), ledger.transactions.repeated) == ([], 0)


def test_a_lease_that_is_kept_is_not_taken_back(ledger: Ledger) -> None:
    job_id = open_job(ledger, files=3)
    mine, theirs, late = take(ledger)
    with ledger.engine.begin() as db:
        db.execute(sa.update(tasks).where(tasks.c.id == theirs.id).values(worker="other"))
    lose(ledger, mine.id, theirs.id)

    assert ledger.queue.heartbeat(WORKER, LEASE_S, {mine.id, theirs.id, late.id}) == {mine.id, late.id}
    assert ledger.queue.reap() == 1
    assert counts(ledger, job_id).leased == 2
    assert end(ledger, mine).message == "Kept."


def test_a_lease_that_its_worker_does_not_know_of_runs_out(ledger: Ledger) -> None:
    """The ledger died between a claim and its answer: no sign of life keeps what nobody works on, a job's step neither."""
    open_job(ledger, files=2)
    waiting = submit(ledger, package="q")
    known, unknown = take(ledger)
    assert ledger.queue.claim_job(waiting, WORKER, LEASE_S) is not None
    lose(ledger, known.id, unknown.id)
    lose_job(ledger, waiting)

    assert ledger.queue.heartbeat(WORKER, LEASE_S, {known.id}) == {known.id}
    assert ledger.queue.reap() == 1
    assert waiting in ledger.queue.to_drive(9, LEASE_S)


def test_a_queued_number_that_was_lost_is_admitted_again(ledger: Ledger) -> None:
    """Redis was emptied: at once by the operator's word, or when its time is over."""
    open_job(ledger, files=4)
    ids = admit(ledger)
    assert admit(ledger) == []

    assert ledger.queue.requeue() == 4
    assert admit(ledger) == ids
    lose(ledger, *ids[:2])
    assert ledger.queue.reap() == 2
    assert admit(ledger) == ids[:2]
    assert ledger.queue.claim_task(ids[0], WORKER, LEASE_S).attempts == 1


def test_what_a_worker_gives_back_is_done_by_another(ledger: Ledger) -> None:
    open_job(ledger, files=2)
    first, second = take(ledger)

    assert ledger.queue.release([first.id, second.id], "other") == 0
    assert ledger.queue.release([first.id, second.id], WORKER) == 2
    with pytest.raises(LostTaskError):
        end(ledger, first)
    assert [task.attempts for task in take(ledger)] == [2, 2]


def test_a_postponed_task_waits_its_time_and_others_go_on(ledger: Ledger) -> None:
    open_job(ledger, files=3)
    first, *_ = take(ledger, 1)

    assert ledger.queue.postpone(first.id, WORKER, 3600, "store-unreachable")
    assert not ledger.queue.postpone(first.id, WORKER, 3600, "store-unreachable")
    assert first.id not in admit(ledger)
    with ledger.engine.begin() as db:
        db.execute(sa.update(tasks).values(not_before="2000-01-01T00:00:00.000Z"))
    assert admit(ledger) == [first.id]


def test_a_file_that_ends_every_worker_is_set_aside(ledger: Ledger) -> None:
    """Or its job would never end."""
    job_id = open_job(ledger, files=2)
    for _ in range(MAX_LOSSES):
        deadly = min(take(ledger), key=lambda task: task.id)
        lose(ledger, deadly.id)
        ledger.queue.release([deadly.id + 1])
        ledger.queue.reap()
    with pytest.raises(LostTaskError):
        end(ledger, take(ledger)[0].__class__(**{**_fields(deadly), "id": deadly.id + 1, "worker": "nobody"}))

    (aside,) = ledger.door("lund").files(job_id, "failed").items
    assert (aside.reason, aside.task_id) == ("worker-died", deadly.id)
    assert str(MAX_LOSSES) in json.loads(aside.record)["message"]
    assert end(ledger, deadly).reason == "worker-died"
    assert counts(ledger, job_id).by_status["failed"] == 1
    with ledger.engine.connect() as db:
        assert json.loads(db.scalar(sa.select(events.c.body)))["outcome"] == "fail"


def _fields(task) -> dict[str, object]:
    return {name: getattr(task, name) for name in task.__slots__}


def test_a_task_of_a_job_that_ended_is_not_begun(ledger: Ledger) -> None:
    job_id = open_job(ledger, files=2)
    first, second = admit(ledger)
    assert ledger.queue.cancel("lund", job_id)

    assert ledger.queue.claim_task(first, WORKER, LEASE_S) is None
    assert ledger.queue.claim_task(second, WORKER, LEASE_S) is None


# Cancelling and retrying


def test_a_cancelled_job_keeps_what_was_finished_and_ends(ledger: Ledger) -> None:
    """Promise P1: what was stored is committed; what waits is not begun; what is in hand is let finish."""
    job_id = open_job(ledger, files=10)
    done, in_hand, *waiting = take(ledger, 4)
    end(ledger, done)
    ledger.queue.release([task.id for task in waiting])

    assert ledger.queue.cancel("lund", job_id)
    assert not ledger.queue.cancel("malmo", job_id)
    assert (counts(ledger, job_id).cancelled, counts(ledger, job_id).leased, counts(ledger, job_id).done) == (8, 1, 1)
    assert admit(ledger) == []
    assert ledger.queue.to_drive(10) == []
    end(ledger, in_hand)
    assert ledger.queue.to_drive(10) == [job_id]
    step = ledger.queue.claim_job(job_id, WORKER, LEASE_S)
    assert step.step is Step.CANCEL
    assert ledger.has_news(step.job)
    lose_job(ledger, job_id)
    commit(ledger, job_id)
    assert (state(ledger, job_id), ledger.door("lund").job(job_id).version) == (JobState.CANCELLED, 1)
    assert (counts(ledger, job_id).cancelled, counts(ledger, job_id).done) == (8, 2)
    assert not ledger.queue.cancel("lund", job_id)


def test_a_cancelled_job_does_not_wait_for_a_dead_worker(ledger: Ledger) -> None:
    job_id = open_job(ledger, files=2)
    first, second = take(ledger)
    ledger.queue.cancel("lund", job_id)
    lose(ledger, first.id, second.id)
    ledger.queue.reap()

    assert ledger.queue.to_drive(10) == [job_id]
    commit(ledger, job_id)
    assert counts(ledger, job_id).cancelled == 2


@pytest.mark.parametrize("at", ["accepted", "scanning"])
def test_a_job_can_be_cancelled_before_it_has_files(ledger: Ledger, at: str) -> None:
    job_id = submit(ledger)
    if at == "scanning":
        step = ledger.queue.claim_job(job_id, "dead", LEASE_S)
        ledger.add_tasks(step.job, found(3))
    assert ledger.queue.cancel("lund", job_id)
    if at == "scanning":
        assert ledger.queue.to_drive(10) == []
        lose_job(ledger, job_id)

    assert ledger.queue.to_drive(10) == [job_id]
    commit(ledger, job_id)
    assert state(ledger, job_id) is JobState.CANCELLED


def test_what_is_being_committed_is_not_cancelled(ledger: Ledger) -> None:
    job_id = open_job(ledger, files=0)
    ledger.queue.claim_job(job_id, WORKER, LEASE_S)

    assert not ledger.queue.cancel("lund", job_id)
    assert ledger.queue.claim_job(job_id, "other", LEASE_S) is None
    lose_job(ledger, job_id)
    assert ledger.queue.claim_job(job_id, "other", LEASE_S).step is Step.COMMIT


def test_failed_files_are_named_for_a_retry(ledger: Ledger) -> None:
    job_id = open_job(ledger, files=4)
    for task, reason in zip(take(ledger), ["tool-timeout", "bug", "tool-timeout", ""], strict=True):
        end(ledger, task, Status.FAILED if reason else Status.KEPT, reason or "ok")
    commit(ledger, job_id)

    assert [one.path for one in ledger.queue.failed_files(job_id)] == ["000000", "000001", "000002"]
    assert [one.path for one in ledger.queue.failed_files(job_id, "tool-timeout")] == ["000000", "000002"]
    assert ledger.door("lund").retry_reasons(job_id) == {"tool-timeout": 2, "bug": 1}
    again = submit(ledger, retry_of=job_id, retry_reason="bug")
    step = ledger.queue.claim_job(again, WORKER, LEASE_S)
    assert (step.retry_of, step.retry_reason) == (job_id, "bug")


def test_a_version_is_kept_when_its_commit_is_told_twice(ledger: Ledger) -> None:
    """Killed between the ledger's two words about a commit: the second time nothing is new, and the version stands."""
    job_id = open_job(ledger, files=1)
    end(ledger, take(ledger)[0])
    step = ledger.queue.claim_job(job_id, "dead", LEASE_S)
    ledger.finish_job(step.job, 1)
    lose_job(ledger, job_id)
    again = ledger.queue.claim_job(job_id, WORKER, LEASE_S)
    assert not ledger.has_news(again.job)
    ledger.finish_job(again.job, None)
    ledger.queue.job_moved(job_id, WORKER, JobState.FINISHED)

    assert ledger.job(job_id).version == 1


# Leading


def test_one_of_several_schedulers_leads(ledger: Ledger) -> None:
    with ThreadPoolExecutor(4) as pool:
        leads = list(pool.map(lambda n: ledger.queue.lead("scheduler", f"s{n}", LEASE_S), range(8)))
    (leader,) = [n for n, yes in enumerate(leads) if yes]

    assert ledger.queue.lead("scheduler", f"s{leader}", -1.0)
    assert ledger.queue.lead("scheduler", "next", LEASE_S)
    assert not ledger.queue.lead("scheduler", f"s{leader}", LEASE_S)


def test_the_depth_says_who_waits_for_what(ledger: Ledger) -> None:
    open_job(ledger, files=5)
    open_job(ledger, "malmo", files=1)
    admitted = admit(ledger, total=3)
    ledger.queue.claim_task(admitted[0], WORKER, LEASE_S)
    whole = {tenant: (one.pending, one.queued + one.leased) for tenant, one in ledger.queue.depth().items()}

    assert whole == {"lund": (3, 2), "malmo": (0, 1)}
    assert ledger.queue.depth()["malmo"].oldest_pending_s == 0.0


def test_a_whole_package_twice_adds_nothing(ledger: Ledger) -> None:
    first, second = whole_job(ledger), whole_job(ledger, version=2)

    assert (ledger.job(first).version, ledger.job(second).version) == (1, 2)
