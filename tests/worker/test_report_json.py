"""report.json is what other programs build on: its names, its counts and its being whole are laws."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from report_samples import header, migrated, record, waiting

from worker.record import FileRecord, Status
from worker.report import json_report

NAMES = ["", "å ä ö", 'quo"te\\back', "new\nline\x00\x1b", "\u2028\u202e", "😀" * 60, "</script>", "\ufeff"]


def written(folder, records, **changes):
    path = folder / "report.json"
    json_report.write(path, header(**changes), records)
    return json.loads(path.read_bytes())


def test_the_names_of_the_design_are_all_there(tmp_path) -> None:
    """design.md §10 is a contract with programs that we do not know."""
    report = written(tmp_path, [migrated()])

    assert report["schema"] == "bevara.report/1"
    assert {"job", "tenant", "package", "policy", "started", "finished", "counts", "files"} <= report.keys()
    assert set(report["policy"]) == {"name", "version", "sha256"}
    entry = report["files"][0]
    assert {"path", "size_bytes", "sha256", "sha512", "puid", "mime", "voices", "status", "reason"} <= entry.keys()
    assert {"message", "rule", "attempts", "outputs"} <= entry.keys()
    assert {"action", "tool", "outcome", "why", "seconds"} <= entry["attempts"][0].keys()
    output = entry["outputs"][0]
    assert {"representation", "path", "puid", "sha512", "size_bytes", "validation", "proof"} <= output.keys()
    assert {"validator", "profile", "verdict"} <= output["validation"].keys()
    assert output["proof"]["level"] == "equivalent"
    assert {"name", "source", "result", "ok"} <= output["proof"]["checks"][0].keys()


def test_counts_come_before_the_files_and_are_what_was_counted(tmp_path) -> None:
    """A count that somebody merely passed along is a claim that was not measured (P2)."""
    report = written(tmp_path, iter([record(), record(), waiting()]), counts={Status.FAILED: 99})

    assert list(report).index("counts") < list(report).index("files")
    assert report["counts"] == {"kept": 2, "migrated": 0, "retained": 0, "review": 0, "returned": 1, "failed": 0}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_files_is_valid_json(tmp_path, count) -> None:
    assert len(written(tmp_path, [record()] * count)["files"]) == count


def test_any_file_name_comes_back_as_it_was(tmp_path) -> None:
    report = written(tmp_path, [record(name) for name in NAMES])

    assert [entry["path"] for entry in report["files"]] == NAMES


def test_a_name_that_is_no_text_does_not_break_the_report(tmp_path) -> None:
    """Linux names are bytes; Python shows the others as lone surrogates."""
    odd = FileRecord.model_construct(**(record().model_dump() | {"path": "r\udce4tt.doc"}))

    report = written(tmp_path, [odd])

    assert report["files"][0]["path"] == "r\udce4tt.doc"


def test_an_infinite_measure_is_still_json(tmp_path) -> None:
    """Two equal pictures have an infinite signal-to-noise ratio; JSON has no infinity."""
    report = written(tmp_path, [record(facts={"psnr": float("inf"), "pages": 3})])

    assert report["files"][0]["facts"] == {"psnr": "inf", "pages": 3}


def test_a_report_is_there_whole_or_not_at_all(tmp_path) -> None:
    """A job that dies while reporting leaves the older report, and no half one."""
    written(tmp_path, [record()])
    before = (tmp_path / "report.json").read_bytes()

    def dying():
        yield record()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        json_report.write(tmp_path / "report.json", header(), dying())

    assert (tmp_path / "report.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_memory_does_not_grow_with_the_files(tmp_path) -> None:
    """100,000 files must not need 100,000 records in memory."""

    def peak_bytes(count):
        tracemalloc.start()
        json_report.write(tmp_path / "report.json", header(), (migrated(f"{number}.docx") for number in range(count)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(10)  # what is loaded once

    assert peak_bytes(3000) < peak_bytes(300) + 500_000
