"""The warm LibreOffice: it must survive its documents, and carry nothing from one to the next."""

from __future__ import annotations

import os
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pymupdf
import pytest

from actions.errors import (
    DamagedError,
    EncryptedError,
    RefusedError,
    ToolCrashedError,
    ToolMissingError,
    ToolTimeoutError,
)
from actions.tools import libreoffice, libreoffice_profile
from actions.tools.libreoffice import LibreOffice

FILTERS = {"text": "writer_pdf_Export", "presentation": "impress_pdf_Export"}
RTF = r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Liberation Serif;}}\f0 R\'e4ksm\'f6rg\'e5s i Lund\par}"


@pytest.fixture(scope="module")
def office() -> Iterator[LibreOffice]:
    try:
        libreoffice.program()
    except ToolMissingError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    one = LibreOffice()
    yield one
    one.close()


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.rtf"
    path.write_text(RTF, encoding="ascii")
    return path


def convert(office: LibreOffice, source: Path, target: Path) -> libreoffice.ConversionFacts:
    return office.convert(source, target, filters=FILTERS, options={"SelectPdfVersion": 2}, timeout_s=60)


def test_one_office_serves_many_files(office: LibreOffice, letter: Path, tmp_path: Path) -> None:
    """Warm means warm: the second file meets the process that served the first."""
    first = convert(office, letter, tmp_path / "1.pdf")
    process_id = office._children.office.pid
    second = convert(office, letter, tmp_path / "2.pdf")

    assert first == second == libreoffice.ConversionFacts("text", "Rich Text Format", 1)
    assert office._children.office.pid == process_id
    with pymupdf.open(tmp_path / "2.pdf") as pdf:
        assert "Räksmörgås i Lund" in pdf[0].get_text()


def test_the_source_is_not_touched(office: LibreOffice, letter: Path, tmp_path: Path) -> None:
    """The source may be a hard link into the archive; nothing may appear beside it either."""
    folder = tmp_path / "in"
    folder.mkdir()
    source = folder / "source.rtf"
    source.write_bytes(letter.read_bytes())
    before = source.stat()
    source.chmod(0o444)
    folder.chmod(0o555)
    convert(office, source, tmp_path / "result.pdf")
    folder.chmod(0o755)

    assert [source] == list(folder.iterdir())
    assert (before.st_mtime_ns, before.st_ino) == (source.stat().st_mtime_ns, source.stat().st_ino)
    assert letter.read_bytes() == source.read_bytes()


def test_a_crash_costs_one_file(office: LibreOffice, letter: Path, tmp_path: Path) -> None:
    """An office that dies under a document is told of that document, and the next one goes on."""
    with office.open(letter, timeout_s=60) as document:
        os.killpg(office._children.office.pid, signal.SIGKILL)
        with pytest.raises(ToolCrashedError, match=r"letter\.rtf: LibreOffice ended by SIGKILL"):
            document.export(tmp_path / "never.pdf", FILTERS["text"], {})

    assert convert(office, letter, tmp_path / "next.pdf").pages == 1


def test_an_office_that_died_idle_is_no_file_s_fault(office: LibreOffice, letter: Path, tmp_path: Path) -> None:
    """The memory killer takes idle processes too; the next file must not be blamed."""
    office.version()
    os.killpg(office._children.office.pid, signal.SIGKILL)
    office._children.office.wait()

    assert convert(office, letter, tmp_path / "next.pdf").pages == 1


def test_a_timeout_ends_both_processes(office: LibreOffice, letter: Path, tmp_path: Path) -> None:
    """A document that never ends must not keep a process, nor the next file."""
    office.version()
    children = office._children
    with pytest.raises(ToolTimeoutError), office.open(letter, timeout_s=0.0):
        pass

    assert children.office.poll() is not None
    assert children.bridge.poll() is not None
    assert not children.folder.exists()
    assert convert(office, letter, tmp_path / "next.pdf").pages == 1


def test_closing_leaves_nothing_behind(letter: Path, office: LibreOffice) -> None:
    """A host is replaced after N files: processes and profile go with it."""
    one = LibreOffice()
    one.warm()
    children = one._children
    one.close()
    one.close()

    assert children.office.poll() is not None
    assert children.bridge.poll() is not None
    assert not children.folder.exists()


def test_a_broken_package_is_damaged_not_guessed(office: LibreOffice, letter: Path, tmp_path: Path) -> None:
    """LibreOffice would repair it by leaving out what it cannot read."""
    whole = tmp_path / "whole.odt"
    office.convert(letter, whole, filters={"text": "writer8"}, options={}, timeout_s=60)
    broken = tmp_path / "broken.odt"
    broken.write_bytes(whole.read_bytes()[:-2000])

    with pytest.raises(DamagedError):
        convert(office, broken, tmp_path / "never.pdf")


def test_a_password_is_not_a_dialog(office: LibreOffice, letter: Path, tmp_path: Path) -> None:
    """No dialog may wait for a person: the answer is a coded error at once."""
    locked = tmp_path / "locked.odt"
    office.convert(letter, locked, filters={"text": "writer8"}, options={}, timeout_s=60)
    with zipfile.ZipFile(locked) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    # what a password-protected ODF package looks like from outside: entries with encryption data
    manifest = parts["META-INF/manifest.xml"].decode()
    entry = 'manifest:full-path="content.xml" manifest:media-type="text/xml"'
    assert entry in manifest
    data = (
        '<manifest:encryption-data manifest:checksum-type="SHA1/1K" manifest:checksum="AAAAAAAAAAAAAAAAAAAAAAAAAAA=">'
        '<manifest:algorithm manifest:algorithm-name="Blowfish CFB" manifest:initialisation-vector="AAAAAAAAAAA="/>'
        '<manifest:key-derivation manifest:key-derivation-name="PBKDF2" manifest:iteration-count="1024"'
        ' manifest:salt="AAAAAAAAAAAAAAAAAAAAAA=="/>'
        "</manifest:encryption-data>"
    )
    manifest = manifest.replace(f"{entry}/>", f'{entry} manifest:size="100">{data}</manifest:file-entry>')
    assert data in manifest
    with zipfile.ZipFile(locked, "w") as package:
        for name, content in (parts | {"META-INF/manifest.xml": manifest.encode()}).items():
            package.writestr(name, content)

    with pytest.raises(EncryptedError):
        convert(office, locked, tmp_path / "never.pdf")


def test_a_kind_without_a_filter_is_refused(office: LibreOffice, tmp_path: Path) -> None:
    """A spreadsheet in a page view would lose columns: nobody asked for that."""
    table = tmp_path / "table.fods"
    table.write_text(
        '<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
        ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" office:version="1.2"'
        ' office:mimetype="application/vnd.oasis.opendocument.spreadsheet"><office:body><office:spreadsheet>'
        '<table:table table:name="A"/></office:spreadsheet></office:body></office:document>',
        encoding="utf-8",
    )
    with pytest.raises(RefusedError, match="spreadsheet"):
        convert(office, table, tmp_path / "never.pdf")


def test_the_profile_forbids_macros_and_links(tmp_path: Path) -> None:
    """Defence in depth: what the sandbox stops, the profile does not even try."""
    libreoffice_profile.write(tmp_path, Path("/nowhere"))
    written = (tmp_path / "user" / "registrymodifications.xcu").read_text(encoding="utf-8")

    for name in ("DisableMacrosExecution", "DisableActiveContent", "BlockUntrustedRefererLinks"):
        assert f'<prop oor:name="{name}" oor:op="fuse"><value>true</value>' in written
