"""The user profile that our LibreOffice starts with: a small file instead of a first start.

A fresh profile costs LibreOffice a second start (exit code 81), an extension check and, since 7.x, a
self-test of its drawing code: 0.9 s. Telling it that all of this was done leaves 0.13 s (measured,
7.4.7, two cores). The same file turns off whatever could run code, ask, or reach out.
"""

from __future__ import annotations

import configparser
from pathlib import Path
from xml.sax.saxutils import escape

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
)
COMMON = "/org.openoffice.Office.Common"
RECOVERY = "/org.openoffice.Office.Recovery"

SETTINGS: tuple[tuple[str, str, str], ...] = (
    # no code of the document's or of an extension's
    (f"{COMMON}/Security/Scripting", "DisableMacrosExecution", "true"),
    (f"{COMMON}/Security/Scripting", "MacroSecurityLevel", "3"),
    (f"{COMMON}/Security/Scripting", "DisableActiveContent", "true"),
    ("/org.openoffice.Office.Java/VirtualMachine", "Enable", "false"),
    # nothing from outside the document: a linked picture could be another file of this machine
    (f"{COMMON}/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("/org.openoffice.Office.Writer/Content/Update", "Link", "2"),
    ("/org.openoffice.Office.Calc/Content/Update", "Link", "2"),
    ("/org.openoffice.Inet/Settings", "ooInetProxyType", "0"),
    ("/org.openoffice.Office.Jobs/Jobs/org.openoffice.Office.Jobs:Job['UpdateCheck']/Arguments", "AutoCheckEnabled", "false"),
    # nothing that a person at a screen would want
    (f"{COMMON}/Misc", "FirstRun", "false"),
    (f"{COMMON}/Misc", "ShowTipOfTheDay", "false"),
    (f"{COMMON}/Misc", "CrashReport", "false"),
    (f"{COMMON}/Misc", "CollectUsageInformation", "false"),
    (f"{COMMON}/Misc", "UseOpenCL", "false"),
    (f"{COMMON}/Misc", "UseLocking", "false"),
    (f"{COMMON}/Misc", "UseDocumentSystemFileLocking", "false"),
    (f"{COMMON}/Undo", "Steps", "0"),
    (f"{COMMON}/History", "PickListSize", "0"),
    (f"{RECOVERY}/AutoSave", "Enabled", "false"),
    (f"{RECOVERY}/RecoveryInfo", "Enabled", "false"),
    (f"{RECOVERY}/RecoveryInfo", "Crashed", "false"),
    ("/org.openoffice.Office.Linguistic/SpellChecking", "IsSpellAuto", "false"),
    ("/org.openoffice.Office.Linguistic/GrammarChecking", "IsAutoCheck", "false"),
    # English messages for our error words, Swedish paper (A4), dates and numbers where a document names none
    ("/org.openoffice.Setup/L10N", "ooLocale", "en-US"),
    ("/org.openoffice.Setup/L10N", "ooSetupSystemLocale", "sv-SE"),
    ("/org.openoffice.Setup/Office", "ooSetupInstCompleted", "true"),
)


def write(profile: Path, program: Path) -> None:
    """Write a ready profile for the LibreOffice in *program* below *profile*, an existing empty folder."""
    build, version = _build(program)
    own = (
        ("/org.openoffice.Setup/Office", "LastCompatibilityCheckID", build),
        ("/org.openoffice.Setup/Product", "ooSetupLastVersion", version),
    )
    items = "".join(
        f'<item oor:path="{escape(path)}"><prop oor:name="{name}" oor:op="fuse"><value>{escape(value)}</value></prop></item>\n'
        for path, name, value in (*SETTINGS, *own)
        if value
    )
    extensions = profile / "user" / "extensions"
    extensions.mkdir(parents=True)
    (extensions / "buildid").write_text(build)
    (profile / "user" / "registrymodifications.xcu").write_text(f"{HEAD}{items}</oor:items>\n", encoding="utf-8")


def _build(program: Path) -> tuple[str, str]:
    """The build id and the product version (``7.4``) that this LibreOffice compares its profile with; "" when unknown."""
    setup = configparser.ConfigParser(interpolation=None, strict=False)
    setup.read([program / "bootstraprc", program / "setuprc", program / "versionrc"], encoding="utf-8")
    build = setup.get("Version", "buildid", fallback="") or setup.get("Bootstrap", "buildid", fallback="")
    return build, setup.get("Bootstrap", "ProductKey", fallback="").rpartition(" ")[2]
