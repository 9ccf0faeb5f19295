"""A day's evidence on one page of plain text, to print, sign by hand and keep in a binder: it needs no computer to be compared.

In Swedish and English. Says only what the signed document says.
"""

from __future__ import annotations

from worker.evidence.documents import Day
from worker.evidence.trust import PublicKey, grouped

_PAGE = """\
BEVISBLAD / EVIDENCE SHEET                                        bevara.evidence/1

Arkivbildare / Tenant        {tenant}
Dag (UTC) / Day (UTC)        {day}
Undertecknat / Signed        {made}

Paket i arkivet / Packages   {packages}
Med nyheter / With news      {news}
Utelämnade / Left out        {left_out}
Trädets storlek / Tree size  {size}

Trädets rot / Root of the tree ({algorithm})
{root}

Föregående dags dokument / The day before's document (SHA-256)
{previous}

Nyckelns fingeravtryck / Fingerprint of the key (SHA-256)
{key}

Underskrift / Signature ({signature_kind})
{signature}

Bladet visar vad arkivet innehöll denna dag. Om en fil, en händelse eller ett helt
paket senare ändras eller tas bort stämmer arkivet inte längre med roten ovan.
Förvara bladet skilt från arkivet. Jämför siffrorna grupp för grupp, eller kör
    bevara evidence verify ARKIV --key PUBLIK-NYCKEL

This sheet shows what the archive held on this day. If a file, an event or a whole
package is later changed or removed, the archive no longer agrees with the root above.
Keep the sheet apart from the archive. Compare the digits group by group, or run
    bevara evidence verify ARCHIVE --key PUBLIC-KEY
"""


def page(document: Day, signature: bytes, key: PublicKey) -> str:
    """The page of *document*."""
    return _PAGE.format(
        tenant=document.tenant,
        day=document.day,
        made=document.made,
        packages=document.packages,
        news=document.news,
        left_out=document.left_out,
        size=document.size,
        algorithm=document.algorithm,
        root=_inset(document.root),
        previous=_inset(document.previous) if document.previous else "    - (första dagen / the first day)",
        key=_inset(key.id),
        signature_kind=document.signature,
        signature=_inset(signature.hex()),
    )


def _inset(digest: str) -> str:
    return "\n".join(f"    {line}" for line in grouped(digest).splitlines())
