"""The audit report's vocabulary in Swedish and English: verdicts, states, what was found, what was done.

Details and remedies stand in the ledger in English; those that are known here are told in Swedish, too. A sentence that is
not here is shown as it stands, so a new one never breaks a report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from worker.policy.plan import Text

VERDICTS: Mapping[str, Text] = {
    "mismatch": Text("Fel innehåll", "Mismatch"),
    "missing": Text("Saknas", "Missing"),
    "unexpected": Text("Hör inte hit", "Unexpected"),
    "unreadable": Text("Kunde inte läsas", "Unreadable"),
    "overdue": Text("Försenad", "Overdue"),
    "ok": Text("Rätt", "OK"),
}

STATES: Mapping[str, Text] = {
    "open": Text("Öppen", "Open"),
    "repaired": Text("Lagad", "Repaired"),
    "vanished": Text("Upphört", "Ended"),
}

ABOUT: Mapping[str, Text] = {
    "bytes": Text("filens innehåll", "the bytes"),
    "ledger": Text("liggaren", "the ledger"),
    "premis": Text("PREMIS", "PREMIS"),
    "unstable": Text("lagringen", "the store"),
    "clock": Text("klockan", "the clock"),
}

MODES: Mapping[str, Text] = {
    "automatic": Text("automatiskt", "automatically"),
    "officer": Text("efter godkännande av en arkivarie", "after an officer has agreed"),
    "two": Text("efter godkännande av två arkivarier", "after two officers have agreed"),
}

_SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(english), swedish)
    for english, swedish in (
        (r"is missing", "saknas"),
        (r"its bytes are not those that were stored \((.+)\)", r"innehållet är inte det som lagrades (\1)"),
        (r"its bytes are not those that were stored", "innehållet är inte det som lagrades"),
        (r"its bytes differ from byte (\d+) on", r"innehållet avviker från byte \1"),
        (r"is a file that no version of this object knows", "är en fil som ingen version av objektet känner till"),
        (r"is an empty folder that no version of this object knows", "är en tom mapp som ingen version av objektet känner till"),
        (
            r"is a link or a special file that no version of this object knows",
            "är en länk eller specialfil som ingen version av objektet känner till",
        ),
        (r"parts of it could not be read", "delar av den kunde inte läsas"),
        (r"was not read to its end", "lästes inte till slutet"),
        (r"the package has no PREMIS document", "paketet saknar PREMIS-dokument"),
        (r"the inventory is missing", "inventariet saknas"),
        (r"the inventory is not one", "inventariet går inte att tolka"),
        (r"the inventory is another object's", "inventariet är ett annat objekts"),
        (r"the inventory is not the one that was committed", "inventariet är inte det som lagrades"),
        (
            r"the inventory is not the one that was committed, although its sidecar agrees",
            "inventariet är inte det som lagrades, fast dess sidofil stämmer: båda är utbytta",
        ),
        (
            r"the inventory is of version (\d+), but this copy held version (\d+)",
            r"inventariet är av version \1, men kopian hade version \2",
        ),
        (r"the inventory and its sidecar do not agree", "inventariet och dess sidofil stämmer inte överens"),
        (r"the inventory's sidecar is not what it must be", "inventariets sidofil är inte vad den ska vara"),
        (r"an older inventory tells other things than the newest", "ett äldre inventarium säger något annat än det nyaste"),
        (
            r"no inventory can be believed, so nothing in this object could be checked",
            "inget inventarium går att lita på, så inget i objektet kunde kontrolleras",
        ),
        (r"the ledger .+", "liggaren säger något annat än paketet"),
        (r"the PREMIS document .+", "PREMIS-dokumentet säger något annat än paketet"),
        (
            r"was \w+ once, and right when it was read again: .+",
            "var fel en gång och rätt vid omläsning: lagringen ger inte samma innehåll varje gång",
        ),
        (r"was \w+, and then could not be read again", "var fel, och kunde sedan inte läsas igen"),
        (r"could not be read(?: or written)?: (.+)", r"kunde inte läsas eller skrivas (\1)"),
        (r"is an empty folder: .+", "mappen är tom: disken är inte monterad, eller flyttad"),
        (r"has no storage root: .+", "lagringens rot saknas: disken är inte monterad, eller flyttad"),
        (r"the package was being written to while it was read", "paketet skrevs medan det lästes"),
        (
            r"the clock of this machine went back by ([\d.]+) days, .+",
            r"maskinens klocka gick bakåt \1 dygn; kopior som det gör osäkra läses om",
        ),
        (r"every copy that it put in doubt was read again", "alla kopior som det gjorde osäkra har lästs om"),
        (
            r"written anew from a copy whose digests match, and read back; what was there is in (.+)",
            r"skriven på nytt från en kopia vars kontrollsummor stämmer, och läst tillbaka; det som låg där finns i \1",
        ),
        (
            r"set aside: nothing belongs there; what was there is in (.+)",
            r"undanlagd: inget hör hemma där; det som låg där finns i \1",
        ),
        (r"waits for approval: (\d+) more must agree.*", r"väntar på godkännande av \1 till"),
        (r"no quorum: (.+)", r"lagas inte: ingen kopia är bevisat rätt (\1)"),
        (r"stopped by the breaker: (.+)", r"lagning stoppad, en människa måste se på lagringen (\1)"),
        (r"the package is being written to: (.+)", "väntar: paketet håller på att skrivas"),
        (r"could not be written or read back: (.+)", r"kunde inte skrivas eller läsas tillbaka (\1)"),
        (r"its place was retired", "lagringen används inte mer"),
        (r"is not a matter of bytes: (.+)", "innehållet är rätt; det är liggaren eller PREMIS som avviker"),
    )
)


def sentence(english: str | None) -> Text:
    """A detail or remedy of a finding, in both languages."""
    said = english or ""
    for pattern, swedish in _SENTENCES:
        if found := pattern.fullmatch(said):
            return Text(found.expand(swedish), said)
    return Text(said, said)


def word(table: Mapping[str, Text], name: str) -> Text:
    """The word for *name*, or the name itself."""
    return table.get(name, Text(name, name))
