"""Write a text as UTF-8 without a byte order mark: same characters, same line ends.

Only where the encoding is well founded. A wrong guess would put wrong letters into the archive in an encoding that looks
right, so a guess goes to a person.
"""

from __future__ import annotations

from pathlib import Path

from actions.catalog import TextToUtf8Params
from actions.contract import Outcome, Output, Role
from actions.errors import DamagedError, RefusedError
from actions.text.encoding import Confidence, name_encoding
from actions.text.stream import NotThisEncodingError, decoded

TOOL = "bevara text 1"
_RESULT = "text.utf8.txt"


def run(source: Path, workdir: Path, params: TextToUtf8Params) -> Outcome:
    """Write the UTF-8 copy.

    Raises:
        RefusedError: The encoding cannot be told (``encoding-uncertain``), or the file is no text.
        DamagedError: The bytes stop being text in that encoding.
    """
    encoding, why = _decide(source, params.encoding)
    target = workdir / _RESULT
    try:
        with target.open("wb") as stream:
            for text in decoded(source, encoding):
                stream.write(text.encode("utf-8"))
    except (NotThisEncodingError, UnicodeEncodeError) as wrong:
        target.unlink(missing_ok=True)
        raise DamagedError(
            f"is not {encoding} to its end: {wrong}", source.name, "Ask the producer which encoding it is."
        ) from wrong
    return Outcome(
        tool=TOOL,
        outputs=(Output(_RESULT, Role.PRESERVATION, ".utf8.txt"),),
        notes=(f"Decoded as {encoding}: {why}.",),
        facts={"encoding": encoding},
    )


def _decide(source: Path, encoding: str | None) -> tuple[str, str]:
    if encoding:
        return encoding, "named by the plan"
    named = name_encoding(source)
    if named.name is None or named.confidence is Confidence.UNCERTAIN:
        best = f"perhaps {named.name}: {named.why}" if named.name else named.why
        raise RefusedError(
            f"has an encoding that cannot be told ({best})", source.name, "Name the encoding by hand.", code="encoding-uncertain"
        )
    return named.name, named.why
