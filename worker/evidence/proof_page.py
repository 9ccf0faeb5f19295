"""A proof as a page of plain text in Swedish and English, for the person who gets it. The proof itself is the JSON beside it."""

from __future__ import annotations

import json
from typing import Any

from worker.evidence.trust import grouped

_PAGE = """\
BEVIS OM EN ARKIVERAD HANDLING / PROOF OF AN ARCHIVED RECORD

Arkivbildare / Tenant   {tenant}
Paket / Package         {object}
Fil / File              {path}
SHA-512
{sha512}

Filen fanns i arkivet senast / The file was in the archive by      {oldest}
Historiken nedan är oförändrad till / The history below holds until {newest}

Händelser / Events
{events}

Underskrivet med nyckel / Signed with key (SHA-256)
{keys}

Vad beviset visar: arkivet skrev under ett dagsblad över alla sina paket den dag som anges
ovan. Filens digest och dess händelser ingår i det. De kan inte ha ändrats, bytts ut, lagts
till eller tagits bort efteråt utan att underskriften slutar att stämma. Tidpunkten är
arkivets egen klocka{stamp_sv}. Beviset säger inget om andra filer.

What the proof shows: the archive signed a sheet over all its packages on the day above. The
file's digest and its events are part of it. They cannot have been changed, replaced, added
or removed since without the signature failing. The time is by the archive's own
clock{stamp_en}. The proof tells nothing of other files.

Så prövas det / How to check it:

    python3 standalone_verifier.py proof.json [filen / the file]

Jämför nyckelns fingeravtryck med ett utskrivet bevisblad, eller fråga arkivet.
Compare the key's fingerprint with a printed evidence sheet, or ask the archive.
"""


def proof_page(proof: dict[str, Any]) -> str:
    """The page of a proof that ``worker.evidence.proof.prove`` made."""
    documents = [json.loads(witness["document"]) for witness in proof["witnesses"]]
    bodies = [json.loads(event["body"]) for event in proof["witnesses"][-1]["events"]]
    stamped = all(witness["timestamp"] for witness in proof["witnesses"])
    return _PAGE.format(
        tenant=proof["tenant"],
        object=proof["object"],
        path=proof["file"]["path"],
        sha512=_inset(proof["file"]["sha512"]),
        oldest=documents[0]["made"],
        newest=documents[-1]["made"],
        events="\n".join(f"    {body['seq']:>6}  {body['time']}  {body['type']}: {body['outcome']}" for body in bodies) or "    -",
        keys="\n\n".join(_inset(key) for key in dict.fromkeys(document["key"] for document in documents)),
        stamp_sv=", bekräftad av en tidsstämplingstjänst (RFC 3161)" if stamped else "",
        stamp_en=", confirmed by a time stamping authority (RFC 3161)" if stamped else "",
    )


def _inset(digest: str) -> str:
    return "\n".join(f"    {line}" for line in grouped(digest).splitlines())
