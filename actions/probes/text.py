"""Facts of a plain text: its encoding, named with care, and whether it bears a byte order mark.

Whether the text decodes to its end is ``text_check``'s measurement, not the probe's.
"""

from __future__ import annotations

from pathlib import Path

from actions.contract import Fact
from actions.text.encoding import name_encoding


def probe(source: Path) -> dict[str, Fact]:
    """``encoding`` is left out when the bytes are not text or their encoding cannot be told."""
    named = name_encoding(source)
    if named.name is None:
        return {"binary": named.binary}
    return {"encoding": named.name, "encoding_confidence": named.confidence.value, "bom": named.bom}
