"""Progress and summary are for people; they must never end a job, nor let a file name play with the terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from report_samples import header, migrated, record, waiting

from worker.record import Status
from worker.report.progress import Progress, remaining_s
from worker.report.summary import FILES_SHOWN, Summary

HOSTILE = "r\udce4tt \x1b[2J\nå😀 [bold]\u202e.doc"


class Clock:
    """Seconds that grow only when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def ascii_stream():
    """What Python gives in the C locale: bytes below 128, and an exception for the rest."""
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")


def shown(records, stream=None, **changes):
    stream = stream or io.StringIO()
    summary = Summary()
    for entry in records:
        summary.add(entry)
    summary.show(header(**changes), Path("/arkiv/reports/jobb-1"), stream)
    stream.flush()
    return stream.buffer.getvalue().decode("ascii") if isinstance(stream, io.TextIOWrapper) else stream.getvalue()


def on_a_terminal(act):
    """Run *act* with a real pseudo-terminal as its stream, and return what arrived."""
    primary, secondary = pty.openpty()
    received = []

    def read():
        while True:
            try:
                piece = os.read(primary, 65536)
            except OSError:  # Linux: EIO once the other end is closed
                return
            if not piece:
                return
            received.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(secondary, "w", encoding="utf-8") as stream:
        act(stream)
    reader.join()
    os.close(primary)
    return b"".join(received).decode("utf-8", "replace")


def test_the_summary_counts_by_family_and_status_and_says_where_to_read_on() -> None:
    text = shown([record(), migrated(), migrated("b"), waiting(family="pdf")])
    rows = {line.split("  ")[0]: line.split() for line in text.splitlines() if line.strip()}

    assert rows["Text documents"][-4:] == ["1", "2", "0", "3"]
    assert rows["PDF"][-4:] == ["0", "0", "1", "1"]
    assert "3 of 4 files are settled. 1 needs a person." in text
    assert "Back to producer: Encrypted (1)" in text
    assert "Report:  /arkiv/reports/jobb-1/report.html" in text
    assert "bevara verify /arkiv/kavlinge" in text


def test_no_reason_is_crowded_out_of_the_list() -> None:
    """A thousand encrypted files must not hide the one that was signed."""
    text = shown([*(waiting(f"{number}.doc") for number in range(1000)), waiting("ö.pdf", Status.REVIEW, "signed")])

    assert "ö.pdf" in text
    assert text.count(".doc\n") == FILES_SHOWN - 1
    assert f"... and {1001 - FILES_SHOWN} more" in text


def test_a_file_name_cannot_play_with_the_terminal() -> None:
    hostile = record().model_copy(update={"path": HOSTILE, "status": Status.REVIEW, "reason": HOSTILE})

    for text in (shown([hostile]), on_a_terminal(lambda stream: shown_on(stream, [hostile]))):
        assert "\x1b[2J" not in text
        assert r"\x1b[2J\nå😀 [bold]\u202e.doc" in text


def shown_on(stream, records):
    summary = Summary()
    for entry in records:
        summary.add(entry)
    summary.show(header(), Path("/arkiv"), stream)


def test_summary_and_progress_survive_a_terminal_that_knows_only_ascii() -> None:
    stream = ascii_stream()
    with Progress(1, 10, stream) as progress:
        progress.message(HOSTILE)
        progress.advance(Status.KEPT, 10)
    text = shown([waiting("räksmörgås.doc")], stream)

    assert r"r\xe4ksm\xf6rg\xe5s.doc" in text
    assert r"\udce4tt" in text


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_does_not_end_the_job(stream) -> None:
    """``bevara preserve … | head`` must preserve everything, and end as if nothing had happened."""
    code = (
        "import sys\n"
        "from worker.record import Status\n"
        "from worker.report.progress import Progress\n"
        f"with Progress(20000, 20000, sys.{stream}) as progress:\n"
        "    for _ in range(20000):\n"
        "        progress.advance(Status.KEPT, 1)\n"
        "        progress.message('x' * 50)\n"
        "open(sys.argv[1], 'w').write('finished')\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    marker = f"/tmp/bevara-test-{os.getpid()}-{stream}"
    try:
        where = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | {stream: writing}
        done = subprocess.run([sys.executable, "-c", code, marker], **where, check=False, cwd=Path(__file__).parents[2])
        assert done.returncode == 0
        assert Path(marker).read_text() == "finished"
    finally:
        os.close(writing)
        Path(marker).unlink(missing_ok=True)


def test_a_closed_stream_is_no_reason_to_stop() -> None:
    stream = io.StringIO()
    with Progress(2, 2, stream) as progress:
        stream.close()
        progress.advance(Status.KEPT, 1)


def test_without_a_terminal_a_job_of_any_size_prints_few_lines() -> None:
    """A log is no place for a line per file."""
    stream = io.StringIO()
    with Progress(100_000, 0, stream, clock=Clock()) as progress:
        for _ in range(100_000):
            progress.advance(Status.KEPT, 0)

    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= 12
    assert lines[0].startswith("100000 files")
    assert lines[-1].startswith("done: 100000/100000 files")


def test_a_slow_job_still_shows_that_it_lives() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(1_000_000, 1_000_000, stream, clock=clock) as progress:
        for _ in range(60):
            clock.now_s += 1
            progress.advance(Status.MIGRATED, 1)

    assert len(stream.getvalue().splitlines()) == 2 + 6


def test_threads_may_advance_together() -> None:
    stream = io.StringIO()
    with Progress(4000, 4000, stream) as progress:
        threads = [threading.Thread(target=lambda: [progress.advance(Status.KEPT, 1) for _ in range(1000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert "done: 4000/4000 files" in stream.getvalue()
    assert "(4000 kept)" in stream.getvalue()


def test_a_terminal_gets_a_bar_and_is_left_in_order() -> None:
    def act(stream):
        with Progress(3, 30, stream) as progress:
            progress.message(HOSTILE.replace("\udce4", "ä"))
            for _ in range(3):
                progress.advance(Status.KEPT, 10)

    text = on_a_terminal(act)

    assert "100%" in text
    assert "3/3 files" in text
    assert "\x1b[2J" not in text
    assert "\x1b[?25h" in text  # the cursor is shown again


def test_a_job_that_breaks_says_stopped_and_lets_the_error_through() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Progress(3, 3, stream):
        raise KeyboardInterrupt

    assert "stopped: 0/3 files" in stream.getvalue()


def test_an_empty_job_has_progress_too() -> None:
    stream = io.StringIO()
    with Progress(0, 0, stream):
        pass

    assert "done: 0/0 files" in stream.getvalue()


def test_the_estimate_weighs_files_and_bytes() -> None:
    assert remaining_s(10, 0, 100, 0, 100) is None
    assert remaining_s(10, 100, 100, 100, 100) is None
    assert remaining_s(10, 50, 100, 50, 100) == pytest.approx(10)
    assert remaining_s(10, 50, 100, 90, 100) < 10 < remaining_s(10, 50, 100, 10, 100)
