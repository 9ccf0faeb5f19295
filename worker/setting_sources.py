"""Where settings are written: the environment and a TOML file; and what in there is no setting at all.

Gives each setting's text by name, environment before file, secrets also from files of their own, and names every
word that nothing reads: a misspelt setting that is silently ignored costs a night. What a text means is not known here.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "BEVARA_"
CONFIG = "BEVARA_CONFIG"
_S3 = re.compile(r"BEVARA_S3_([A-Z0-9]+(?:_[A-Z0-9]+)*?)_(ENDPOINT|REGION|SECURE|ACCESS_KEY|SECRET_KEY|CA_FILE)(_FILE)?")
_S3_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
S3_KEYS = ("endpoint", "region", "secure", "access_key", "secret_key", "ca_file")
S3_SECRETS = frozenset({"access_key", "secret_key"})


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One setting that is wrong. Never holds the value of a secret."""

    name: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"  {self.name}: {self.what}. {self.remedy}"


@dataclass(slots=True)
class Found:
    """What is written, by setting. ``s3`` is by endpoint, then by key; texts as a person wrote them."""

    settings: dict[str, str] = field(default_factory=dict, repr=False)
    s3: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    named: dict[str, str] = field(default_factory=dict)  # setting → the name under which it was found, for messages
    problems: list[SettingProblem] = field(default_factory=list)

    def wrong(self, name: str, what: str, remedy: str) -> None:
        """Note a problem and go on: all are told at once."""
        self.problems.append(SettingProblem(name, what, remedy))


def collect(environ: Mapping[str, str], known: Collection[str], secrets: Collection[str], others: Collection[str]) -> Found:
    """Everything that is written about the settings *known*.

    Args:
        environ: The process's environment.
        known: Names as in TOML: ``ledger_url``.
        secrets: Those of *known* that may also be given as ``NAME_file``.
        others: ``BEVARA_`` names that other parts read.
    """
    found = Found()
    names = {name: name for name in known} | {f"{name}_file": name for name in secrets}
    if path := environ.get(CONFIG):
        _from_file(Path(path), names, found)
    _from_environment(environ, names, others, found)
    return found


def _from_environment(environ: Mapping[str, str], names: Mapping[str, str], others: Collection[str], found: Found) -> None:
    given: dict[str, dict[str, str]] = {}  # setting → names of the environment that give it
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        key = variable.removeprefix(PREFIX).lower()
        if key in names:
            given.setdefault(names[key], {})[variable] = environ[variable]
        elif s3 := _S3.fullmatch(variable):
            _s3_value(
                found, s3[1].lower().replace("_", "-"), f"{s3[2].lower()}{'_file' if s3[3] else ''}", environ[variable], variable
            )
        elif variable != CONFIG and variable not in others:
            known = [*(PREFIX + name.upper() for name in names), *others]
            found.wrong(variable, "is no setting of bevara", _nearest(variable, known))
    for setting, variables in given.items():
        _take(found, setting, variables)


def _from_file(path: Path, names: Mapping[str, str], found: Found) -> None:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        found.wrong(
            CONFIG, f"{path} cannot be read ({type(problem).__name__})", "Name a TOML file that this user may read, or unset it."
        )
        return
    except tomllib.TOMLDecodeError as problem:  # its message tells the place, not the line's text
        found.wrong(CONFIG, f"{path} is not TOML: {problem}", "Correct the file.")
        return
    given: dict[str, dict[str, str]] = {}
    for key, value in document.items():
        where = f"{key} in {path}"
        if key == "s3" and isinstance(value, dict):
            _s3_tables(path, value, found)
        elif key not in names:
            found.wrong(where, "is no setting of bevara", _nearest(key, [*names, "s3"]))
        elif (written := _written(value)) is None:
            found.wrong(where, "must be a text, a number, true, false or a list of texts", "Correct the file.")
        else:
            given.setdefault(names[key], {})[where] = written
    for setting, places in given.items():
        _take(found, setting, places)


def _take(found: Found, setting: str, places: Mapping[str, str]) -> None:
    """Note *setting*; given under both its names, directly and as a file, it is a mistake."""
    if len(places) > 1:
        found.named[setting] = " and ".join(places)
        found.wrong(found.named[setting], "are both set", "Keep one of them.")
        return
    ((where, value),) = places.items()
    found.named[setting] = where
    if where.lower().removeprefix(PREFIX.lower()).split(" ")[0] == f"{setting}_file":
        read = _secret(found, where, value)
        if read is None:
            return
        value = read
    found.settings[setting] = value


def _s3_tables(path: Path, tables: Mapping[str, object], found: Found) -> None:
    for name, table in tables.items():
        if not isinstance(table, dict) or not _S3_NAME.fullmatch(name):
            found.wrong(
                f"s3.{name} in {path}",
                "must be a table with a name of a-z, 0-9 and -",
                "Write [s3.main], and below it endpoint = …",
            )
            continue
        for key, value in table.items():
            where = f"s3.{name}.{key} in {path}"
            if (written := _written(value)) is None:
                found.wrong(where, "must be a text, true or false", "Correct the file.")
            else:
                _s3_value(found, name, key, written, where)


def _s3_value(found: Found, name: str, key: str, value: str, where: str) -> None:
    bare = key.removesuffix("_file")
    if bare in S3_SECRETS and key != bare:
        read = _secret(found, where, value)
        if read is None:
            return
        key, value = bare, read
    if key not in S3_KEYS:
        known = [*S3_KEYS, *(f"{secret}_file" for secret in sorted(S3_SECRETS))]
        found.wrong(where, "is no setting of an S3 endpoint", _nearest(key, known))
        return
    found.s3.setdefault(name, {})[key] = value
    found.named[f"s3.{name}.{key}"] = where


def _secret(found: Found, where: str, path: str) -> str | None:
    try:
        value = Path(path).read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError, ValueError) as problem:
        found.wrong(where, f"names a file that cannot be read ({type(problem).__name__})", "Check the path and its permissions.")
        return None
    if not value:
        found.wrong(where, "names an empty file", "Write the secret into it, on one line.")
        return None
    return value


def _written(value: object) -> str | None:
    """A TOML value as a person would write it into the environment; None for what no setting takes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return None


def _nearest(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f"Did you mean {near[0]}?" if near else "Remove it, or see the list of settings: `bevara doctor --settings`."
