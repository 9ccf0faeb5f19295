"""The first thing that report and terminal say: what happened, in a sentence or two, in both languages."""

from __future__ import annotations

from worker.policy.plan import Text
from worker.report.header import ReportHeader
from worker.report.present import numeral
from worker.report.tally import Tally


def opening(counted: Tally, *, interrupted: bool) -> Text:
    """Return the one sentence that tells how the job went."""
    if interrupted:
        total = numeral(counted.total)
        return Text(
            f"Körningen avbröts. {total.sv} {_files(counted.total).sv} hann behandlas.",
            f"The run was interrupted. {total.en} {_files(counted.total).en} had been handled.",
        )
    if not counted.total:
        return Text("Paketet innehöll inga filer.", "The package held no files.")
    if not counted.waiting:
        return _all_settled(counted.total)
    return _some_wait(counted)


def second(header: ReportHeader, counted: Tally) -> list[Text]:
    """Return what else must be known at once: where the package is, and what is not in it."""
    said = [_stored(header)]
    if counted.unchanged:
        shown, noun = numeral(counted.unchanged), _files(counted.unchanged)
        said.append(
            Text(
                f"{shown.sv} {noun.sv} fanns redan i arkivet med samma resultat.",
                f"{shown.en} {noun.en} already stood in the archive with the same result.",
            )
        )
    if counted.without_checksum:
        said.append(_unread(counted.without_checksum))
    return said


def _all_settled(total: int) -> Text:
    if total == 1:
        return Text(
            "Paketets enda fil är klar. Ingenting behöver åtgärdas.", "The package's one file is settled. Nothing needs a person."
        )
    shown = numeral(total)
    return Text(
        f"Alla {shown.sv} filer är klara. Ingenting behöver åtgärdas.", f"All {shown.en} files are settled. Nothing needs a person."
    )


def _some_wait(counted: Tally) -> Text:
    settled, total, waiting = numeral(counted.settled), numeral(counted.total), numeral(counted.waiting)
    need = "needs" if counted.waiting == 1 else "need"
    are = "is" if counted.settled == 1 else "are"
    return Text(
        f"{settled.sv} av {total.sv} {_files(counted.total).sv} är klara. {waiting.sv} behöver åtgärd.",
        f"{settled.en} of {total.en} {_files(counted.total).en} {are} settled. {waiting.en} {need} a person.",
    )


def _stored(header: ReportHeader) -> Text:
    if header.version is None:
        return Text("Ingenting nytt skrevs till arkivet.", "Nothing new was written to the archive.")
    return Text(
        f"Paketet är lagrat i arkivet som version {header.version}.",
        f"The package is stored in the archive as version {header.version}.",
    )


def _unread(count: int) -> Text:
    shown = numeral(count)
    sv, en = ("post", "entry") if count == 1 else ("poster", "entries")
    return Text(
        f"{shown.sv} {sv} kunde inte tas emot och finns inte i arkivet.",
        f"{shown.en} {en} could not be taken in, and {'is' if count == 1 else 'are'} not in the archive.",
    )


def _files(count: int) -> Text:
    return Text("fil", "file") if count == 1 else Text("filer", "files")
