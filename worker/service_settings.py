"""The service's settings: one list, checked as a whole at start, from the environment or a TOML file.

Every setting is a field here, with its default, its kind and its line for the operator; the table in
``docker/README.md`` is made from them. How texts are parsed is in ``setting_kinds``, where they are found in
``setting_sources``. The embedded use has ``worker.settings`` and needs none of this.
"""

# ruff: noqa: RUF009 -- _setting() is dataclasses.field() with the words that every setting has
from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from actions.errors import PermanentError
from worker import setting_kinds as kinds
from worker.setting_sources import CONFIG, PREFIX, Found, SettingProblem, collect

if TYPE_CHECKING:
    from worker.store.bucket_s3 import S3Endpoint

OTHERS = frozenset(
    {"BEVARA_VERAPDF_LIB", "BEVARA_TIME_FACTOR", "BEVARA_LIBREOFFICE", "BEVARA_SEED", "BEVARA_API_KEY", "BEVARA_API_URL"}
)
"""Read elsewhere: by ``worker.settings``, the tools, the tests, the client."""


class SettingsError(PermanentError):
    """Settings are wrong; ``problems`` has one entry for each, so that all can be corrected at once."""

    code: ClassVar[str] = "settings"

    def __init__(self, problems: Iterable[SettingProblem]) -> None:
        self.problems = tuple(problems)
        several = len(self.problems) != 1
        super().__init__(
            f"{len(self.problems)} setting{'s are' if several else ' is'} wrong",
            "the service's settings",
            f"Correct {'these' if several else 'this'} and start again:",
        )

    def __reduce__(self) -> tuple[type[SettingsError], tuple[tuple[SettingProblem, ...]]]:
        return type(self), (self.problems,)

    def __str__(self) -> str:
        return "\n".join((super().__str__(), *map(str, self.problems)))


def _setting(default: object, parse: Callable[[str], object], meaning: str, *, shown: str = "", secret: bool = False) -> Any:
    """One setting. *shown*: its default in words; *secret*: may hold one, so it is in no repr and no message."""
    metadata = {"parse": parse, "meaning": meaning, "shown": shown, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What the service's processes need to know. The addresses hold passwords: never print, log or send them."""

    ledger_url: str = _setting(
        "", kinds.ledger_url, "The ledger: `postgresql://USER@HOST/DATABASE`, or `sqlite:////path`", secret=True
    )
    ledger_password: str | None = _setting(None, kinds.text, "The ledger's password, when it is not in the address", secret=True)
    ledger_ca_file: Path | None = _setting(
        None, kinds.readable_file, "Certificate authority of the ledger; asks for TLS with a checked name"
    )
    ledger_pool: int = _setting(10, kinds.whole(1, 1000), "Connections to the ledger that a process may hold")
    redis_url: str = _setting("", kinds.redis_url, "The queue: `redis://HOST:6379/0`, or `rediss://…` for TLS", secret=True)
    redis_password: str | None = _setting(None, kinds.text, "The queue's password, when it is not in the address", secret=True)
    redis_ca_file: Path | None = _setting(None, kinds.readable_file, "Certificate authority of the queue's server")
    scratch: Path = _setting(
        Path("/var/lib/bevara/scratch"), kinds.folder, "Folder for what is being worked on; may be lost at any time"
    )
    scratch_bytes: int = _setting(20 * 1024**3, kinds.size, "How much of it a process may use; full means wait", shown="20GiB")
    api_host: str = _setting("127.0.0.1", kinds.text, "Address that the API listens on")
    api_port: int = _setting(8600, kinds.whole(0, 65535), "Its port; 0: any that is free")
    admin_host: str = _setting(
        "127.0.0.1", kinds.text, "Address for `/metrics`, `/healthz` and `/readyz`. No key is asked: keep it inside"
    )
    admin_port: int = _setting(8601, kinds.whole(0, 65535), "Its port; 0: none. Processes on one machine need one each")
    threads: int = _setting(0, kinds.whole(0, 1024), "Files that a worker has in hand at once; 0: two for each core", shown="0")
    hosts: int = _setting(0, kinds.whole(0, 256), "Action hosts (sandboxes) of a worker; 0: one for each core", shown="0")
    window: int = _setting(500, kinds.whole(1, 100_000), "Files that wait in Redis at once, of all tenants")
    window_tenant: int = _setting(200, kinds.whole(1, 100_000), "The same, of one tenant")
    lease_s: float = _setting(
        60.0, kinds.seconds(1, 86_400), "After how long without a sign of life work is taken from a worker, in seconds", shown="60"
    )
    grace_s: float = _setting(
        60.0,
        kinds.seconds(0, 86_400),
        "How long a process that was told to end may finish what it has in hand, in seconds",
        shown="60",
    )
    limit_body_bytes: int = _setting(4 * 1024**2, kinds.size, "Largest body of a request that is no upload", shown="4MiB")
    limit_file_bytes: int = _setting(64 * 1024**3, kinds.size, "Largest file of an upload", shown="64GiB")
    limit_upload_bytes: int = _setting(1024**4, kinds.size, "Largest upload, all files together", shown="1TiB")
    limit_upload_files: int = _setting(200_000, kinds.whole(1, 10_000_000), "Files of one upload")
    limit_open_jobs: int = _setting(1000, kinds.whole(1, 1_000_000), "Unfinished jobs of one tenant")
    limit_requests_per_s: int = _setting(
        50, kinds.whole(1, 100_000), "Requests per second of one key, at all API processes together"
    )
    upload_days: int = _setting(7, kinds.whole(1, 365), "Days until an upload that no job took is removed")
    callback_private: tuple[kinds.Network, ...] = _setting(
        (), kinds.networks, "Private networks that callbacks may go to, such as `10.20.0.0/16`"
    )
    callback_http: bool = _setting(False, kinds.flag, "Allow callbacks without TLS")
    callback_ca_file: Path | None = _setting(
        None, kinds.readable_file, "Certificate authorities for callbacks, beside the system's own"
    )
    evidence_keys: Path | None = _setting(
        None, kinds.folder, "Folder of the keys that sign each day's evidence, for the auditor alone; unset: none is made"
    )
    evidence_passphrase: str | None = _setting(None, kinds.text, "Passphrase of those keys, when they have one", secret=True)
    evidence_tsa: str | None = _setting(
        None, kinds.http_url, "Time stamping authority (RFC 3161) for evidence; only a hash is sent"
    )
    evidence_tsa_root: Path | None = _setting(None, kinds.readable_file, "Certificates that its time stamps must lead to, in PEM")
    log: str = _setting("json", kinds.one_of("json", "text"), "How logs are written: `json` lines, or `text` for a terminal")
    log_level: str = _setting(
        "info", kinds.one_of("debug", "info", "warning", "error"), "What is logged: `debug`, `info`, `warning` or `error`"
    )
    otlp_endpoint: str | None = _setting(
        None, kinds.http_url, "Where traces go (OTLP over HTTP); needs the extra `bevara[traces]`", secret=True
    )
    s3: Mapping[str, S3Endpoint] = field(default_factory=dict)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, needs: Iterable[str] = ("ledger_url",)) -> ServiceSettings:
        """Settings of this process, all checked.

        Args:
            environ: None: the process's own.
            needs: Settings that must be there, such as ``redis_url`` for a worker.

        Raises:
            SettingsError: With every setting that is wrong, missing or unknown.
        """
        settable = _settable()
        secrets = {name for name, one in settable.items() if one.metadata["secret"]}
        found = collect(os.environ if environ is None else environ, settable, secrets, OTHERS)
        values: dict[str, Any] = {
            name: value for name in found.settings if (value := _parsed(found, name, settable[name])) is not None
        }
        for name in needs:
            if name not in found.named:
                found.wrong(variable(name), "is not set", f"{settable[name].metadata['meaning']}.")
        values["s3"] = _endpoints(found)
        if not found.problems:
            _secure(values, found)
        if found.problems:
            raise SettingsError(found.problems)
        return cls(**values)


def configured(environ: Mapping[str, str] | None = None) -> bool:
    """Whether anybody has set up the service here: the embedded use has no ledger's address."""
    given = os.environ if environ is None else environ
    return CONFIG in given or any(name in given for name in (variable("ledger_url"), f"{variable('ledger_url')}_FILE"))


def variable(name: str) -> str:
    """A setting's name in the environment."""
    return f"{PREFIX}{name.upper()}"


def table() -> str:
    """All settings as a Markdown table, for ``docker/README.md`` and ``bevara doctor --settings``."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, one in _settable().items():
        secret = one.metadata["secret"]
        default = one.metadata["shown"] or _shown(one.default)
        rows.append(f"| `{variable(name)}`{' *' if secret else ''} | {default} | {one.metadata['meaning']} |")
    s3 = ("ENDPOINT", "an S3 server, `https://HOST:PORT`"), ("ACCESS_KEY", "who asks *"), ("SECRET_KEY", "and the proof *")
    more = ("REGION", "its region, when it has one"), ("SECURE", "`false`: no TLS"), ("CA_FILE", "its certificate authority")
    rows += [f"| `{PREFIX}S3_<NAME>_{key}` | | Endpoint NAME: {meaning} |" for key, meaning in (*s3, *more)]
    return "\n".join(rows) + "\n"


def _shown(default: object) -> str:
    if default is None or default in ("", ()):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _settable() -> dict[str, dataclasses.Field[Any]]:
    return {one.name: one for one in dataclasses.fields(ServiceSettings) if "parse" in one.metadata}


def _parsed(found: Found, name: str, one: dataclasses.Field[Any]) -> object:
    """The setting's value; None when its text is wrong, which is noted."""
    given = found.settings[name]
    try:
        value: object = one.metadata["parse"](given)
    except ValueError as problem:
        shown = "" if one.metadata["secret"] else f" (it is {given[:80]!r})"
        found.wrong(found.named[name], f"{problem}{shown}", f"{one.metadata['meaning']}.")
        return None
    return value


def _secure(values: dict[str, Any], found: Found) -> None:
    """Put passwords and certificate authorities into the addresses, which is where the drivers look for them."""
    for name, secured in (("ledger", kinds.ledger_secured), ("redis", kinds.redis_secured)):
        password, ca_file = values.get(f"{name}_password"), values.get(f"{name}_ca_file")
        if url := values.get(f"{name}_url"):
            try:
                values[f"{name}_url"] = secured(url, password, ca_file)
            except ValueError as problem:
                found.wrong(
                    variable(f"{name}_ca_file"), str(problem), f"Write rediss:// in {variable(f'{name}_url')}, or unset it."
                )


def _endpoints(found: Found) -> dict[str, S3Endpoint]:
    made = {name: _endpoint(found, name, given) for name, given in sorted(found.s3.items())}
    return {name: endpoint for name, endpoint in made.items() if endpoint is not None}


def _endpoint(found: Found, name: str, given: Mapping[str, str]) -> S3Endpoint | None:
    before = len(found.problems)
    for key in ("endpoint", "access_key", "secret_key"):
        if not given.get(key):
            found.wrong(f"{PREFIX}S3_{name.upper().replace('-', '_')}_{key.upper()}", "is not set", f"Endpoint {name} needs it.")
    scheme, _, host = given.get("endpoint", "").rstrip("/").rpartition("://")
    if scheme not in ("", "http", "https") or "/" in host or "@" in host:
        found.wrong(
            found.named[f"s3.{name}.endpoint"], "must be https://HOST:PORT", "Write no user, bucket or path: a place names those."
        )
    secure, ca_file = scheme != "http", None
    try:
        secure = kinds.flag(given["secure"]) if "secure" in given else secure
    except ValueError as problem:
        found.wrong(found.named[f"s3.{name}.secure"], str(problem), "Leave it out for TLS.")
    try:
        ca_file = kinds.readable_file(given["ca_file"]) if "ca_file" in given else None
    except ValueError as problem:
        found.wrong(found.named[f"s3.{name}.ca_file"], str(problem), "Name a PEM file.")
    if len(found.problems) > before:
        return None
    from worker.store.bucket_s3 import S3Endpoint  # noqa: PLC0415 -- loads an S3 client, which few commands need

    return S3Endpoint(
        name=name,
        endpoint=host,
        access_key=given["access_key"],
        secret_key=given["secret_key"],
        region=given.get("region", ""),
        secure=secure,
        ca_file=ca_file,
    )
