"""Bad input through the real command line: each file a clear reason, nothing lost, the others well (issue 2, "Bad input")."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actions.errors import ToolMissingError
from actions.tools import libreoffice
from tests import hostile, samples
from tests.conftest import PROJECT, SHARED, Ran, bevara, files_of, missing, report
from worker.paths import archival_path, raw_path

GOOD = {"bra/a.txt": "kept", "bra/b.pdf": "migrated", "bra/c.png": "kept", "bra/d.bmp": "migrated"}
RANDOM = ("docx", "pdf", "jpg", "txt", "odt", "pptx", "tif")


def sha256(path: Path | bytes) -> str:
    with open(path, "rb") as stream:  # noqa: PTH123 -- some names are bytes
        return hashlib.file_digest(stream, "sha256").hexdigest()


def good(folder: Path) -> None:
    """What must end well whatever lies beside it."""
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("Ärendet bordlades. Å ä ö.\n", "utf-8")
    (folder / "b.pdf").write_bytes(samples.born_digital_pdf("Beslut", pages=1))
    (folder / "c.png").write_bytes(samples.picture(120, 90))
    (folder / "d.bmp").write_bytes(samples.picture(120, 90, "BMP"))


def stored(archive: Path) -> dict[str, str]:
    """Logical path to SHA-512, as the newest inventory of the archive's one package says."""
    (path,) = (archive / "store").glob("*/*/*/*/inventory.json")
    found = json.loads(path.read_text("utf-8"))
    return {path: digest for digest, paths in found["versions"][found["head"]]["state"].items() for path in paths}


def assert_whole(archive: Path) -> None:
    ran = bevara("verify", archive)
    assert ran.code == 0, ran.said


def assert_good_ended_well(files: dict[str, dict[str, Any]], above: str = "bra/") -> None:
    for path, status in GOOD.items():
        assert files[path.replace("bra/", above)]["status"] == status, files[path.replace("bra/", above)]


def fill(root: Path, docx: Path) -> None:
    """One folder with all that can be told of in one run."""
    bad, links = root / "trasig", root / "länkar"
    for folder in (bad, links, root / "namn"):
        folder.mkdir(parents=True)
    good(root / "bra")
    for extension in ("docx", "pdf", "jpg", "txt", "unknown"):
        (bad / f"tom.{extension}").write_bytes(b"")
    for seed, extension in enumerate(RANDOM):
        (bad / f"slump.{extension}").write_bytes(hostile.noise(5000, seed))
    whole = {"docx": docx.read_bytes(), "pdf": samples.born_digital_pdf("Kapad"), "tif": samples.tiff(3)}
    whole |= {"jpg": samples.picture(640, 480, "JPEG"), "png": samples.picture(640, 480)}
    for extension, data in whole.items():
        (bad / f"kapad.{extension}").write_bytes(data[: len(data) * 2 // 3])
    (bad / "låst.pdf").write_bytes(samples.encrypted_pdf())
    (bad / "signerad.pdf").write_bytes(hostile.signed_pdf())
    (bad / "sidträd.pdf").write_bytes(hostile.broken_page_tree())
    (bad / "inga sidor.pdf").write_bytes(hostile.torn_page_tree())
    (bad / "mord.pdf").write_bytes(hostile.killing_pdf())
    (bad / "jätte.png").write_bytes(hostile.huge_png())
    (bad / "lögn.bmp").write_bytes(hostile.lying_bmp())
    for number, name in enumerate(hostile.names()):
        with open(os.path.join(os.fsencode(root / "namn"), name), "wb") as stream:  # noqa: PTH118, PTH123 -- names are bytes
            stream.write(f"Innehåll {number}\n".encode())
    targets = {"in": "../bra/a.txt", "ut": "/etc/passwd", "ut2": "../" * 12 + "etc/passwd", "borta": "finns inte"}
    for name, target in (targets | {"ring1": "ring2", "ring2": "ring1", "mapp": "../bra", "här": "."}).items():
        (links / name).symlink_to(target)
    os.mkfifo(links / "rör")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(links / "sockel"))  # a socket's path may have 107 bytes


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory, sample_folder: Path) -> Path:
    root = tmp_path_factory.mktemp("dåligt") / "in"
    fill(root, sample_folder / "Skola" / "Slutbetyg.docx")
    try:
        locked = hostile.locked_office(tmp_path_factory.mktemp("locked"), libreoffice.program())
    except ToolMissingError:
        locked = {}
    for name, data in locked.items():
        (root / "trasig" / name).write_bytes(data)
    for name in ("testPPT_protected_passtika.pptx", "password.xls"):
        if (SHARED / "corpus" / "encrypted" / name).is_file():
            shutil.copy(SHARED / "corpus" / "encrypted" / name, root / "trasig" / f"laast {name}")
    return root


@pytest.fixture(scope="module")
def before(delivered: Path) -> dict[bytes, object]:
    return tree(delivered)


@pytest.fixture(scope="module")
def ended(delivered: Path, before: object, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    archive = tmp_path_factory.mktemp("ended") / "archive"
    return archive, bevara("preserve", delivered, "--archive", archive)


def tree(root: Path) -> dict[bytes, object]:
    """All that can be changed below *root*: names, kinds, times and bytes."""
    found: dict[bytes, object] = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for path in (os.path.join(folder, name) for name in (b"", *folders, *files)):  # noqa: PTH118 -- bytes
            facts = os.lstat(path)
            data = sha256(path) if os.path.isfile(path) and not os.path.islink(path) else ""  # noqa: PTH113, PTH114
            found[path] = (facts.st_mode, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_nlink, data)
    return found


def test_all_files_of_a_bad_folder_end_and_the_good_ones_end_well(ended, delivered) -> None:
    """Exactly one status per name, and an exit code that calls for a person."""
    archive, ran = ended
    files = files_of(archive)

    assert ran.code == 1, ran.said
    assert "Traceback" not in ran.said
    assert len(files) == len(report(archive)["files"])
    assert sum(not path.is_dir() or path.is_symlink() for path in delivered.rglob("*")) == len(files)
    assert_good_ended_well(files)
    assert_whole(archive)
    assert all(entry["message"] and entry["reason"] for entry in files.values())


def test_every_byte_of_a_bad_folder_is_stored(ended, delivered) -> None:
    """Promise P1: whatever became of its conversion, the original is in the store, unchanged."""
    archive, _ = ended
    state = stored(archive)
    for path in delivered.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha512").hexdigest()
            name = archival_path(os.fsencode(path.relative_to(delivered)))
            assert state[f"original/{name}"] == digest, path


def test_the_source_folder_is_never_written_to(ended, delivered, before) -> None:
    """Not its bytes, its times, its modes nor its link counts."""
    assert tree(delivered) == before


def test_other_tools_accept_a_store_of_bad_files(ended) -> None:
    for path in (ended[0] / "store", *(home.parent for home in (ended[0] / "store").glob("*/*/*/*/inventory.json"))):
        tool = Path(sys.executable).with_name("ocfl-validate.py")
        done = subprocess.run([tool, path], capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "status", "reason", "says"),
    [
        *((f"tom.{extension}", "review", "empty", "0 bytes") for extension in ("docx", "pdf", "jpg", "txt", "unknown")),
        *((f"kapad.{extension}", "returned", "damaged", "") for extension in ("docx", "pdf", "jpg", "png", "tif")),
        ("låst.pdf", "returned", "encrypted", "password"),
        ("signerad.pdf", "review", "signed", "never rewritten"),
        ("sidträd.pdf", "returned", "damaged", ""),
        ("inga sidor.pdf", "returned", "damaged", "no pages"),
        ("lögn.bmp", "returned", "damaged", ""),
        ("mord.pdf", "failed", "poison", "probe"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(ended, name: str, status: str, reason: str, says: str) -> None:
    entry = files_of(ended[0])[f"trasig/{name}"]

    assert (status, reason) == (entry["status"], entry["reason"]), entry["message"]
    assert says in entry["message"]
    assert entry["outputs"] == []


@pytest.mark.parametrize("extension", RANDOM)
def test_an_extension_is_not_believed(ended, extension: str) -> None:
    """Random bytes stay what they are: unknown, or in contradiction to their name; nobody converts them."""
    entry = files_of(ended[0])[f"trasig/slump.{extension}"]

    assert entry["status"] == "review", entry["message"]
    assert entry["reason"] in ("unidentified", "disagreement")
    assert entry["outputs"] == []


def test_office_files_with_a_password_go_back(ended) -> None:
    locked = {path: entry for path, entry in files_of(ended[0]).items() if path.startswith("trasig/laast")}
    if not locked:
        missing("LibreOffice")
    for path, entry in locked.items():
        assert (entry["status"], entry["reason"]) == ("returned", "encrypted"), path


def test_a_file_that_kills_its_parser_is_set_aside_after_two_tries(ended) -> None:
    """design.md §5: two attempts, each told, with the library and version that crashed; the next files went on in new hosts."""
    entry = files_of(ended[0])["trasig/mord.pdf"]

    assert [attempt["outcome"] for attempt in entry["attempts"]] == ["crashed", "crashed"]
    said = re.compile(r"died \(SIG[A-Z]+\) during probe in [Pp]y[Mm]u[Pp][Dd][Ff] \d")
    assert all(said.search(attempt["why"]) for attempt in entry["attempts"]), entry["attempts"]


def test_nine_hundred_million_pixels_end_in_bounds(ended) -> None:
    """Decoded whole or refused as too large: both are answers, a crash is none."""
    entry = files_of(ended[0])["trasig/jätte.png"]

    assert (entry["status"], entry["reason"]) in {("kept", "ok"), ("review", "too-large")}, entry["message"]


def test_every_name_comes_back_byte_by_byte(ended, delivered) -> None:
    """The record's path gives back the very name, and no name moves the cursor or opens markup."""
    told = {raw_path(path) for path in files_of(ended[0])}
    page = next((ended[0] / "reports").glob("*/report.html")).read_bytes()

    assert {b"namn/" + name for name in hostile.names()} <= told
    assert all(files_of(ended[0])[archival_path(b"namn/" + name)]["status"] == "kept" for name in hostile.names())
    assert "\x1b" not in ended[1].said
    assert b"\x1b" not in page
    assert b"<img src=x" not in page
    assert sum(path.startswith("original/namn/") for path in stored(ended[0])) == len(list(hostile.names()))


@pytest.mark.parametrize("name", ["ut", "ut2", "borta", "ring1", "ring2", "mapp", "här"])
def test_a_link_out_of_the_folder_or_to_nothing_is_named_and_not_followed(ended, name: str) -> None:
    entry = files_of(ended[0])[f"länkar/{name}"]

    assert (entry["status"], entry["reason"]) == ("review", "symlink")
    assert "sha256" not in entry or entry["sha256"] is None
    assert f"original/länkar/{name}" not in stored(ended[0])


def test_a_link_within_the_folder_is_followed(ended, delivered) -> None:
    entry = files_of(ended[0])["länkar/in"]

    assert ("kept", sha256(delivered / "bra" / "a.txt")) == (entry["status"], entry["sha256"])


def test_a_folder_that_became_a_link_since_the_scan_is_not_followed(tmp_path) -> None:
    """A name is not trusted to stay what it was: every part of its path counts, not only the last."""
    from worker.pipeline.scan import Kind
    from worker.pipeline.stage import NotStagedError, stage
    from worker.store.directory import DirectoryStore

    (tmp_path / "ute").mkdir()
    (tmp_path / "ute" / "a.txt").write_text("hör inte hit")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "mapp").symlink_to("../ute")
    draft = DirectoryStore(tmp_path / "store", tmp_path / "scratch").open_draft("urn:x")
    with pytest.raises(NotStagedError, match="out of the folder") as refused:
        stage(os.fsencode(tmp_path / "in"), b"mapp/a.txt", Kind.FILE, draft, "original/mapp/a.txt")
    draft.close()

    assert refused.value.reason == "symlink"


@pytest.mark.parametrize(("name", "kind"), [("rör", "pipe"), ("sockel", "socket")])
def test_a_socket_and_a_pipe_are_named_and_not_read(ended, name: str, kind: str) -> None:
    entry = files_of(ended[0])[f"länkar/{name}"]

    assert (entry["status"], entry["reason"]) == ("review", "not-a-regular-file")
    assert kind in entry["message"]


# Files that need a run of their own


def test_a_file_that_hangs_is_ended_by_its_time_limit(tmp_path) -> None:
    """2^40 drawings, and shapes in shapes in shapes: both are ended, both are told, the next files go on."""
    folder, archive = tmp_path / "in", tmp_path / "archive"
    good(folder / "bra")
    (folder / "a hänger.pdf").write_bytes(hostile.hanging_pdf())
    (folder / "a hänger.odt").write_bytes(hostile.hanging_odt())
    ran = bevara("preserve", folder, "--archive", archive, env=os.environ | {"BEVARA_TIME_FACTOR": "0.1"})
    files = files_of(archive)

    assert ran.code == 1, ran.said
    for name in ("a hänger.pdf", "a hänger.odt"):
        assert (files[name]["status"], files[name]["reason"]) == ("failed", "tool-timeout"), files[name]
        assert files[name]["attempts"][-1]["outcome"] == "timeout"
    assert_good_ended_well(files)
    assert_whole(archive)


@pytest.mark.faults
def test_ten_thousand_pages_end(tmp_path) -> None:
    """Many pages are work, not a fault."""
    folder, archive = tmp_path / "in", tmp_path / "archive"
    good(folder / "bra")
    (folder / "lång.pdf").write_bytes(hostile.long_pdf(10_000))
    ran = bevara("preserve", folder, "--archive", archive, timeout_s=1200)
    files = files_of(archive)
    entry = files["lång.pdf"]

    assert entry["status"] in ("migrated", "review"), entry["message"]
    assert entry["facts"]["pages"] == 10_000
    assert_good_ended_well(files)
    assert "Traceback" not in ran.said
    assert_whole(archive)


@pytest.mark.faults
def test_a_document_that_unpacks_to_gigabytes_is_refused(tmp_path) -> None:
    folder, archive = tmp_path / "in", tmp_path / "archive"
    good(folder / "bra")
    (folder / "bomb.odt").write_bytes(hostile.bomb_odt())
    ran = bevara("preserve", folder, "--archive", archive)
    files = files_of(archive)

    assert ran.code == 1, ran.said
    assert (files["bomb.odt"]["status"], files["bomb.odt"]["reason"]) == ("returned", "damaged"), files["bomb.odt"]
    assert "would unpack to 1500" in files["bomb.odt"]["message"]
    assert files["bomb.odt"]["outputs"] == []
    assert_good_ended_well(files)


# A source that is not at rest, or not for us to read


def test_a_file_that_changes_while_it_is_read_is_not_taken(tmp_path) -> None:
    """Neither the old bytes nor the new ones would be the record."""
    folder, archive = tmp_path / "in", tmp_path / "archive"
    good(folder / "bra")
    busy, stop = folder / "logg.txt", threading.Event()
    busy.write_bytes(b"0123456789abcde\n" * 3_000_000)  # 48 MB: on a busy machine the writer must get its turn meanwhile

    def scribble() -> None:
        with busy.open("r+b", buffering=0) as stream:
            while not stop.is_set():
                stream.seek(0)
                stream.write(b"%015d" % random.randrange(10**15))

    writer = threading.Thread(target=scribble)
    writer.start()
    try:
        ran = bevara("preserve", folder, "--archive", archive)
    finally:
        stop.set()
        writer.join()
    entry = files_of(archive)["logg.txt"]

    assert ran.code == 1, ran.said
    assert (entry["status"], entry["reason"]) == ("failed", "changed-while-read")
    assert "original/logg.txt" not in stored(archive)
    assert_good_ended_well(files_of(archive))
    assert_whole(archive)

    assert bevara("preserve", folder, "--archive", archive).code == 0, "at rest, the same command takes it"
    assert "original/logg.txt" in stored(archive)


def test_a_file_that_vanishes_after_the_scan_is_told(tmp_path) -> None:
    folder, archive = tmp_path / "in", tmp_path / "archive"
    good(folder / "bra")
    for number in range(400):
        (folder / f"{number:04}.txt").write_text(f"Rad {number}\n")
    (folder / "zz borta.txt").write_text("snart borta\n")
    command = [sys.executable, "-m", "worker.cli", "preserve", folder, "--archive", archive, "--jobs", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=PROJECT, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if "405 files" in line:  # the folder was listed
                (folder / "zz borta.txt").unlink()
                break
        rest = child.stderr.read()
    entry = files_of(archive)["zz borta.txt"]

    assert child.returncode == 1, rest
    assert (entry["status"], entry["reason"]) == ("failed", "unreadable")
    assert_good_ended_well(files_of(archive))
    assert_whole(archive)


def bound_by_rights(*args: object) -> Ran:
    """``bevara`` as a user whom rights bind: root reads everything, unless it gives that capability up."""
    under = without_root_rights()
    command = [*under, sys.executable, "-m", "worker.cli", *map(str, args)]
    done = subprocess.run(command, capture_output=True, timeout=120, cwd=PROJECT, check=False)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def without_root_rights() -> list[str]:
    """How to start a child without root's right to read everything."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        missing("setpriv (util-linux), to run a child that may not read everything,")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


def test_what_may_not_be_read_is_told_and_the_rest_goes_on(tmp_path) -> None:
    folder, archive = tmp_path / "in", tmp_path / "archive"
    good(folder / "bra")
    (folder / "hemlig.txt").write_text("får inte läsas\n")
    (folder / "hemlig.txt").chmod(0)
    (folder / "stängd").mkdir(mode=0o000)
    ran = bound_by_rights("preserve", folder, "--archive", archive)
    files = files_of(archive)

    assert ran.code == 1, ran.said
    for name in ("hemlig.txt", "stängd"):
        assert (files[name]["status"], files[name]["reason"]) == ("failed", "unreadable")
        assert "right to read" in files[name]["message"]
    assert_good_ended_well(files)
    assert_whole(archive)

    (folder / "hemlig.txt").chmod(0o644)
    (folder / "stängd").chmod(0o755)
    (folder / "stängd" / "a.txt").write_text("nu går det\n")
    ran = bound_by_rights("preserve", folder, "--archive", archive)

    assert ran.code == 0, ran.said
    assert {"original/hemlig.txt", "original/stängd/a.txt"} <= set(stored(archive))


# A full disk


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], capture_output=True, check=False)
    if done.returncode:
        missing("the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("left_kb", [900, *(pytest.param(kb, marks=pytest.mark.faults) for kb in (3000, 400, 150, 40))])
def test_a_full_disk_stops_the_job_and_the_same_command_goes_on(tmp_path, left_kb: int) -> None:
    """Exit code 3 and a sentence; nothing lost, no file blamed; when there is room again, all ends as it should."""
    folder = tmp_path / "in"
    good(folder / "bra")
    for number in range(8):
        (folder / f"{number}.pdf").write_bytes(samples.born_digital_pdf(f"Beslut {number}", pages=1))
        (folder / f"{number}.bin").write_bytes(hostile.noise(250_000, number))
    with small_disk(tmp_path / "disk", 160) as disk:
        archive, ballast = disk / "archive", disk / "ballast"
        ballast.write_bytes(b"x" * ((160 << 20) - left_kb * 1000))
        ran = bevara("preserve", folder, "--archive", archive)
        assert ran.code == 3, ran.said
        assert "Traceback" not in ran.said
        assert "run the same command again" in ran.err

        ballast.unlink()
        ran = bevara("preserve", folder, "--archive", archive)
        files = files_of(archive)
        assert {"migrated"} == {files[f"{number}.pdf"]["status"] for number in range(8)}, ran.said
        assert_good_ended_well(files)
        assert {entry["status"] for entry in files.values()} <= {"kept", "migrated", "review"}
        assert len(stored(archive)) >= len(files)
        assert_whole(archive)


# Wrong use: exit code 2, and nothing is made or touched


def assert_refused(ran: Ran, *says: str, code: int = 2) -> None:
    assert ran.code == code, ran.said
    assert "Traceback" not in ran.said
    for words in says:
        assert words in ran.err


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path) -> None:
    good(tmp_path / "in")
    other = tmp_path / "annat"
    other.mkdir()
    (other / "viktigt.txt").write_text("rör mig inte")
    was = tree(other)

    assert_refused(bevara("preserve", tmp_path / "in", "--archive", other), "viktigt.txt")
    assert tree(other) == was
    assert_refused(bevara("preserve", tmp_path / "in", "--archive", other / "viktigt.txt"), "not a folder")
    assert tree(other) == was


def test_archive_and_source_must_be_apart(tmp_path) -> None:
    folder = tmp_path / "in"
    good(folder)
    was = tree(folder)

    for archive in (folder, folder / "archive", tmp_path):
        assert_refused(bevara("preserve", folder, "--archive", archive), "apart")
    (tmp_path / "länk").symlink_to(folder)
    assert_refused(bevara("preserve", folder, "--archive", tmp_path / "länk" / "archive"), "apart")
    (tmp_path / "länk").unlink()
    assert tree(folder) == was
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_policy_with_a_typo_stops_before_anything_is_made(tmp_path) -> None:
    """File and line, and what to do."""
    good(tmp_path / "in")
    text = (PROJECT / "policies" / "skanearkiv.yaml").read_text("utf-8")
    policy = tmp_path / "egen.yaml"
    policy.write_text(text.replace("verb: migrate", "verb: migrat", 1), "utf-8")
    line = text[: text.index("verb: migrate")].count("\n") + 1

    assert_refused(bevara("preserve", tmp_path / "in", "--archive", tmp_path / "a", "--policy", policy), f"egen.yaml:{line}")
    assert_refused(bevara("preserve", tmp_path / "in", "--archive", tmp_path / "a", "--policy", "finns-inte"))
    policy.write_text("rules: [", "utf-8")
    assert_refused(bevara("preserve", tmp_path / "in", "--archive", tmp_path / "a", "--policy", policy), "egen.yaml:")
    policy.write_bytes(b"\xff\x00\xfe")
    assert_refused(bevara("preserve", tmp_path / "in", "--archive", tmp_path / "a", "--policy", policy))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--jobs", "0"],
        ["--jobs", "-1"],
        ["--jobs", "två"],
        ["--polcy", "x"],
        ["--tenant", "../annan"],
        ["--tenant", ""],
        ["--package", ""],
        ["en till mapp"],
    ],
)
def test_wrong_options_are_told_and_nothing_is_made(tmp_path, wrong: list[str]) -> None:
    good(tmp_path / "in")

    assert_refused(bevara("preserve", tmp_path / "in", "--archive", tmp_path / "a", *wrong))
    assert not (tmp_path / "a").exists()


def test_a_source_that_is_not_there_is_told(tmp_path) -> None:
    os.mkfifo(tmp_path / "rör")

    assert_refused(bevara("preserve", tmp_path / "borta", "--archive", tmp_path / "a"), "does not exist")
    assert_refused(bevara("preserve", tmp_path / "rör", "--archive", tmp_path / "a"), "neither a folder nor a file")
    assert_refused(bevara("preserve", "", "--archive", tmp_path / "a"))
    assert_refused(bevara("preserve", tmp_path))
    assert not (tmp_path / "a").exists()


def test_a_wrong_time_factor_is_told(tmp_path) -> None:
    good(tmp_path / "in")
    ran = bevara("preserve", tmp_path / "in", "--archive", tmp_path / "a", env=os.environ | {"BEVARA_TIME_FACTOR": "snabbt"})

    assert_refused(ran, "BEVARA_TIME_FACTOR=snabbt")
    assert not (tmp_path / "a").exists()


def test_two_processes_on_one_archive_are_one_too_many(tmp_path) -> None:
    """The second one says who is there, waits for nothing, and changes nothing."""
    from worker.archive import Archive

    good(tmp_path / "in")
    with Archive(tmp_path / "a"):
        ran = bevara("preserve", tmp_path / "in", "--archive", tmp_path / "a")

        assert_refused(ran, f"number {os.getpid()}", code=3)
    assert bevara("preserve", tmp_path / "in", "--archive", tmp_path / "a").code == 0


def test_an_empty_folder_is_an_answer(tmp_path) -> None:
    (tmp_path / "in").mkdir()

    assert bevara("preserve", tmp_path / "in", "--archive", tmp_path / "a").code == 0
    assert_whole(tmp_path / "a")


def test_one_file_may_be_the_source(tmp_path) -> None:
    (tmp_path / "Beslut å.txt").write_text("Å ä ö\n", "utf-8")

    assert bevara("preserve", tmp_path / "Beslut å.txt", "--archive", tmp_path / "a").code == 0
    assert "original/Beslut å.txt" in stored(tmp_path / "a")
