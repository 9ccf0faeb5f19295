"""Prove that a UTF-8 copy is the same text: the same characters, and a way back to the same bytes.

The way back is the stronger check: it needs no trust in how the source was decoded, only that the copy still holds
everything. Whether the encoding was the right one is ``text.encoding``'s answer, not provable by comparison.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from actions.catalog import TextCompareParams
from actions.contract import Check, Level, Outcome
from actions.errors import RefusedError
from actions.text.encoding import CHUNK_BYTES, name_encoding
from actions.text.stream import NotThisEncodingError, decoded, mark

TOOL = "bevara text 1"


def run(source: Path, workdir: Path, params: TextCompareParams) -> Outcome:
    """IDENTICAL when characters and way back agree, DIFFERENT otherwise.

    Raises:
        RefusedError: The source's encoding cannot be told.
    """
    encoding = params.encoding or name_encoding(source).name
    if encoding is None:
        raise RefusedError(
            "has an encoding that cannot be told", source.name, "Name the encoding by hand.", code="encoding-uncertain"
        )
    result = workdir / params.result  # an absolute path stays itself
    try:
        digests = _characters(source, encoding), _characters(result, "utf-8")
    except NotThisEncodingError as wrong:
        check = Check("characters", None, None, ok=False, why=str(wrong))
        return Outcome(tool=TOOL, checks=(check,), level=Level.DIFFERENT)
    checks = (
        Check("characters", digests[0][0], digests[1][0], digests[0][0] == digests[1][0]),
        Check(
            "characters sha256", digests[0][1], digests[1][1], digests[0][1] == digests[1][1], "SHA-256 of the code points in UTF-8"
        ),
        _way_back(source, result, encoding),
    )
    level = Level.IDENTICAL if all(check.ok for check in checks) else Level.DIFFERENT
    return Outcome(tool=TOOL, checks=checks, level=level, facts={"encoding": encoding})


def _characters(path: Path, encoding: str) -> tuple[int, str]:
    digest, count = hashlib.sha256(), 0
    for text in decoded(path, encoding):
        digest.update(text.encode("utf-8", errors="surrogatepass"))
        count += len(text)
    return count, digest.hexdigest()


def _way_back(source: Path, result: Path, encoding: str) -> Check:
    """Encode the copy in the source's encoding again: every byte must come back."""
    original, returned = hashlib.sha256(), hashlib.sha256()
    with source.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            original.update(chunk)
    try:
        returned.update(mark(source, encoding))
        for piece in _encoded(result, encoding):
            returned.update(piece)
    except UnicodeEncodeError as wrong:
        return Check(
            "way back",
            original.hexdigest(),
            None,
            ok=False,
            why=f"the copy holds a character that {encoding} lacks: {wrong.reason}",
        )
    same = original.digest() == returned.digest()
    return Check(
        "way back", original.hexdigest(), returned.hexdigest(), same, f"the copy encoded as {encoding} gives the source's bytes"
    )


def _encoded(result: Path, encoding: str) -> Iterator[bytes]:
    for text in decoded(result, "utf-8"):
        yield text.encode(encoding)
