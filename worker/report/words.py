"""The report's vocabulary in Swedish and English: statuses, families, checks, steps and verdicts.

A word that is not here is shown as it stands in the record, so a new action or check never breaks a report.
Reason codes have their own table: ``reasons``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actions.contract import Level, Verdict
from worker.policy.plan import Text
from worker.record import Status

NEED_A_PERSON = (Status.REVIEW, Status.RETURNED, Status.FAILED)
SETTLED = (Status.KEPT, Status.MIGRATED, Status.RETAINED)


@dataclass(frozen=True, slots=True)
class StatusWord:
    """A status as a person reads it: the word, and one line on what it means."""

    word: Text
    meaning: Text


STATUSES: Mapping[Status, StatusWord] = {
    Status.KEPT: StatusWord(
        Text("Behållen", "Kept"),
        Text("Var redan i bevarandeformat, och har validerats.", "Was already in a preservation format, and was validated."),
    ),
    Status.MIGRATED: StatusWord(
        Text("Migrerad", "Migrated"),
        Text("En bevarandekopia har validerats och jämförts med originalet.", "A preservation copy was validated and compared."),
    ),
    Status.RETAINED: StatusWord(
        Text("Oförändrad bevarad", "Retained"),
        Text("Policyn säger: bevara som den är, konvertera inte.", "The policy says: preserve as it is, convert nothing."),
    ),
    Status.REVIEW: StatusWord(
        Text("Att granska", "To review"),
        Text("En arkivarie behöver ta ställning.", "An archivist has to decide."),
    ),
    Status.RETURNED: StatusWord(
        Text("Åter till producent", "Back to producer"),
        Text("Den som levererade behöver åtgärda filen.", "Whoever delivered the file has to act."),
    ),
    Status.FAILED: StatusWord(
        Text("Misslyckad", "Failed"),
        Text("Tekniskt fel. Kan köras om när orsaken är avhjälpt.", "Technical fault. Can be run again once it is mended."),
    ),
}

FAMILIES: Mapping[str, Text] = {
    "office-text": Text("Textdokument", "Text documents"),
    "presentation": Text("Presentationer", "Presentations"),
    "spreadsheet": Text("Kalkylblad", "Spreadsheets"),
    "pdf": Text("PDF", "PDF"),
    "pdfa": Text("PDF/A", "PDF/A"),
    "picture": Text("Bilder", "Pictures"),
    "text": Text("Ren text", "Plain text"),
    "email": Text("E-post", "E-mail"),
    "audio": Text("Ljud", "Audio"),
    "video": Text("Video", "Video"),
    "database": Text("Databaser", "Databases"),
    "archive": Text("Packade arkiv", "Compressed archives"),
    "web": Text("Webb", "Web"),
    "cad": Text("CAD och ritningar", "CAD and drawings"),
    "gis": Text("Kartor och GIS", "Maps and GIS"),
    "ebook": Text("E-böcker", "E-books"),
    "software": Text("Program", "Programs"),
    "other": Text("Övrigt", "Other"),
}

CHECKS: Mapping[str, Text] = {
    "pages": Text("Antal sidor", "Pages"),
    "slides": Text("Antal presentationsbilder", "Slides"),
    "page_sizes": Text("Sidstorlek", "Page sizes"),
    "rotation": Text("Sidvridning", "Page rotation"),
    "blank_pages": Text("Tomma sidor", "Blank pages"),
    "text": Text("Text", "Text"),
    "added_text": Text("Tillkommen text", "Added text"),
    "passages": Text("Förlorade textavsnitt", "Lost passages"),
    "numbers": Text("Siffror", "Numbers"),
    "headers_footers": Text("Sidhuvud och sidfot", "Headers and footers"),
    "hidden_text": Text("Dold text", "Hidden text"),
    "tracked_changes": Text("Spårade ändringar", "Tracked changes"),
    "notes": Text("Talarmanus", "Speaker notes"),
    "comments": Text("Kommentarer", "Comments"),
    "fonts": Text("Teckensnitt", "Fonts"),
    "pixels": Text("Sidor som ser likadana ut", "Pages that look alike"),
    "pixels sha256": Text("Bildpunkter, kontrollsumma", "Pixels, digest"),
    "pictures": Text("Bilder", "Pictures"),
    "links": Text("Länkar", "Links"),
    "bookmarks": Text("Bokmärken", "Bookmarks"),
    "annotations": Text("Anteckningar", "Annotations"),
    "form_fields": Text("Formulärfält", "Form fields"),
    "attachments": Text("Bilagor", "Attachments"),
    "frames": Text("Antal bilder i filen", "Frames"),
    "size": Text("Bildstorlek", "Picture size"),
    "mode": Text("Färgläge", "Colour mode"),
    "alpha": Text("Genomskinlighet", "Transparency"),
    "bits per sample": Text("Bitdjup", "Bit depth"),
    "colour profile sha256": Text("Färgprofil, kontrollsumma", "Colour profile, digest"),
    "resolution": Text("Upplösning", "Resolution"),
    "second decoder": Text("Andra avkodare", "Second decoder"),
    "characters": Text("Tecken", "Characters"),
    "characters sha256": Text("Tecken, kontrollsumma", "Characters, digest"),
    "way back": Text("Tillbaka till originalet", "Way back"),
    "encoding": Text("Teckenkodning", "Encoding"),
}

ACTIONS: Mapping[str, Text] = {
    "identify": Text("Identifiering", "Identification"),
    "probe": Text("Undersökning", "Probe"),
    "pdfa_validate": Text("Validering av PDF/A", "PDF/A validation"),
    "pdf_surgery": Text("Lagning av PDF-strukturen", "PDF surgery"),
    "pdf_redraw": Text("Omritning av PDF", "PDF redraw"),
    "pdf_ocr": Text("Texttolkning (OCR)", "OCR"),
    "pdf_compare": Text("Jämförelse av PDF", "PDF comparison"),
    "office_to_pdfa": Text("Omvandling till PDF/A", "Conversion to PDF/A"),
    "office_compare": Text("Jämförelse av dokument", "Document comparison"),
    "picture_check": Text("Fullständig avkodning av bild", "Full decode of picture"),
    "picture_to_tiff": Text("Omvandling till TIFF", "Conversion to TIFF"),
    "picture_compare": Text("Jämförelse av bild", "Picture comparison"),
    "text_check": Text("Kontroll av teckenkodning", "Encoding check"),
    "text_to_utf8": Text("Omkodning till UTF-8", "Conversion to UTF-8"),
    "text_compare": Text("Jämförelse av text", "Text comparison"),
}

OUTCOMES: Mapping[str, Text] = {
    "accepted": Text("godtagen", "accepted"),
    "refused": Text("underkänd", "refused"),
    "crashed": Text("kraschade", "crashed"),
    "timeout": Text("tiden tog slut", "timed out"),
}

REPRESENTATIONS: Mapping[str, Text] = {
    "preservation": Text("Bevarandekopia", "Preservation copy"),
    "access": Text("Visningskopia", "Access copy"),
    "metadata": Text("Metadata", "Metadata"),
}

LEVELS: Mapping[Level, StatusWord] = {
    Level.IDENTICAL: StatusWord(
        Text("identisk", "identical"),
        Text("Samma bildpunkter eller text, styrkt med kontrollsumma.", "The same pixels or text, shown by digest."),
    ),
    Level.EQUIVALENT: StatusWord(
        Text("likvärdig", "equivalent"), Text("Uppmätt inom policyns gränser.", "Measured within the policy's thresholds.")
    ),
    Level.UNPROVEN: StatusWord(Text("ej bevisad", "unproven"), Text("Inget kunde jämföras.", "Nothing could be compared.")),
    Level.DIFFERENT: StatusWord(
        Text("avvikande", "different"), Text("Kopian är inte samma handling.", "The copy is not the same record.")
    ),
}

VERDICTS: Mapping[Verdict, Text] = {
    Verdict.VALID: Text("giltig", "valid"),
    Verdict.INVALID: Text("ogiltig", "invalid"),
    Verdict.UNKNOWN: Text("ej avgjort", "not decided"),
}


def word(table: Mapping[str, Text], key: str) -> Text:
    """Return *key* in both languages, or as it stands, with spaces for underscores, where the table does not know it."""
    plain = key.replace("_", " ")
    return table.get(key) or Text(plain, plain)
