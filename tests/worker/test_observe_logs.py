"""Logs tell ids, codes and places, and never a file's name, a key or a password (P7)."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.errors import DamagedError
from worker.observe import logs

NAME = "Beslut om vård av Åsa.docx"


@pytest.fixture
def lines(monkeypatch):
    """What a configured process writes; the test process's own logging is put back afterwards."""
    root, manager = logging.getLogger(), logging.root.manager
    before = root.handlers[:], root.level, logging.getLogger("uvicorn.access").disabled
    hooks = sys.excepthook, threading.excepthook
    loggers = [one for one in manager.loggerDict.values() if isinstance(one, logging.Logger)]
    kept = [(one, one.handlers[:], one.propagate) for one in loggers]
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    logs.configure("work")

    def read() -> list[dict]:
        return [json.loads(line) for line in out.getvalue().splitlines()]

    yield read
    root.handlers[:], root.level = before[0], before[1]
    logging.getLogger("uvicorn.access").disabled = before[2]
    sys.excepthook, threading.excepthook = hooks
    for one, handlers, propagate in kept:
        one.handlers[:], one.propagate = handlers, propagate


def test_a_line_is_one_object_with_time_level_event_and_the_ids_in_hand(lines) -> None:
    with logs.bound(job="j1", tenant="hoor"), logs.bound(task=7):
        logging.getLogger("worker.queue").info("done in %.1f s\nand well", 0.5)
    logging.getLogger("worker.queue").warning("idle")

    first, second = lines()
    ids = {"job": "j1", "task": 7, "tenant": "hoor"}
    told = {"level": "info", "event": "done in 0.5 s and well", "logger": "worker.queue", "process": "work", **ids}
    assert {name: first[name] for name in told} == told
    assert first["ts"].endswith("Z")
    assert {"job", "task", "tenant"} & second.keys() == set()


def test_ids_in_hand_belong_to_one_thread(lines) -> None:
    with logs.bound(job="j1"):
        thread = threading.Thread(target=lambda: logging.getLogger("worker").info("elsewhere"))
        thread.start()
        thread.join()

    assert "job" not in lines()[0]


def fail() -> None:
    try:
        Path(NAME).read_text("utf-8")
    except OSError as cause:
        raise DamagedError("cannot be read", NAME, "Ask for another.") from cause


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exception_is_told_by_type_code_and_place_without_its_words(lines, form, monkeypatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    logs.configure("work", form=form)
    log = logging.getLogger("worker.queue")
    try:
        fail()
    except DamagedError as error:
        log.exception("task failed: %s", error)  # noqa: TRY401 -- what must do no harm
        log.warning(error)
        log.info("of %s", Path("/scratch") / NAME)
        log.info("cause %s and %r", error.__cause__, error)

    told = out.getvalue()
    assert "DamagedError" in told
    assert "test_observe_logs.py" in told
    assert "Åsa" not in told
    assert "docx" not in told
    if form == "json":
        first = json.loads(told.splitlines()[0])
        assert first["error"]["code"] == "damaged"
        assert first["error"]["cause"] == "FileNotFoundError"
        assert first["event"] == "task failed: DamagedError [damaged]"


@pytest.mark.parametrize(
    "secret",
    [
        "bvr_a1b2_s3cr3tS3CR3T",
        "key 'bvr_a1b2_s3cr3tS3CR3T' refused",
        "bvr_s3cr3tS3CR3T",
        "whsec_s3cr3tS3CR3T/+=",
        "postgresql+psycopg://bevara:s3cr3tS3CR3T@db/ledger",
        "rediss://:s3cr3tS3CR3T:@redis:6379/0",
        "https://s3cr3tS3CR3T@host/",
        "Authorization: Bearer s3cr3tS3CR3T",
        "password=s3cr3tS3CR3T",
        "secret_key: s3cr3tS3CR3T",
        "-----BEGIN PRIVATE KEY-----\ns3cr3tS3CR3T",
    ],
)
def test_what_looks_like_a_secret_is_struck_out(lines, secret) -> None:
    logging.getLogger("worker").info("%s", secret)
    logging.getLogger("uvicorn.error").error("said %s and more", secret)

    assert all("s3cr3t" not in line["event"] and logs.STRUCK in line["event"] for line in lines())


@given(st.from_regex(r"bvr_[a-z0-9]{8}_[A-Za-z0-9_-]{20,60}", fullmatch=True), st.text(max_size=10), st.text(max_size=10))
def test_no_key_passes_wherever_it_stands(key, before, after) -> None:
    record = logging.LogRecord("worker", logging.INFO, "", 0, "%s", (f"{before} {key} {after}",), None)

    assert key.split("_", 2)[2] not in logs.event(record)


def test_libraries_are_heard_by_their_fixed_words_only(lines) -> None:
    """urllib3 says which address it asks for again, and with it a file's name."""
    urllib3 = logging.getLogger("urllib3.connectionpool")
    urllib3.warning("Retrying (%r) after connection broken by '%r': %s", 1, OSError(NAME), f"/bucket/{NAME}")
    urllib3.warning(f"Retrying /bucket/{NAME}")
    urllib3.info("Starting new connection to %s", NAME)

    told = [line["event"] for line in lines()]
    assert told[0] == "Retrying (%r) after connection broken by '%r': %s"
    assert told[1:] == ["a message of urllib3.connectionpool (its words may hold names)"]


def test_a_library_that_brought_its_own_handler_does_not_go_round(lines, monkeypatch) -> None:
    own = io.StringIO()
    library = logging.getLogger("brought_its_own")
    library.addHandler(logging.StreamHandler(own))
    library.propagate = False
    logs.configure("work")

    library.error("of %s", NAME)

    assert own.getvalue() == ""


def test_uvicorns_access_log_with_its_paths_is_off(lines) -> None:
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "::1", "GET", f"/v1/packages/{NAME}", "1.1", 200)

    assert lines() == []


def test_a_bug_that_nobody_caught_is_a_line_too(lines) -> None:
    def fall() -> None:
        raise RuntimeError(NAME)

    thread = threading.Thread(target=fall)
    thread.start()
    thread.join()
    try:
        fall()
    except RuntimeError:
        sys.excepthook(*sys.exc_info())

    first, second = lines()
    assert first["error"]["type"] == second["error"]["type"] == "RuntimeError"
    assert "Åsa" not in json.dumps([first, second], ensure_ascii=False)


def test_a_message_that_does_not_fit_its_arguments_is_logged_all_the_same() -> None:
    record = logging.LogRecord("worker", logging.INFO, "", 0, "two %s %s", ("one",), None)

    assert logs.event(record) == "two %s %s"
