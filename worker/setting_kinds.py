"""How one setting's text becomes a value, and the sentence for a text that does not.

Every function takes the text as a person wrote it and raises ValueError with words that say what it has to be; none
repeats the text, which may hold a password. Which settings there are is ``service_settings``' matter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

Network = IPv4Network | IPv6Network

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE = re.compile(r"(\d{1,15})\s*([a-z]{0,3})")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def text(given: str) -> str:
    """Any text, but not only spaces."""
    if not given.strip():
        raise ValueError("must not be empty")
    return given.strip()


def flag(given: str) -> bool:
    """Yes or no."""
    word = given.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return word in _TRUE


def whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number from *least* to *most*."""

    def parse(given: str) -> int:
        if not re.fullmatch(r"\s*\d{1,12}\s*", given) or not least <= int(given) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(given)

    return parse


def seconds(least: float, most: float) -> Callable[[str], float]:
    """A number of seconds from *least* to *most*."""

    def parse(given: str) -> float:
        try:
            number = float(given)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise ValueError(f"must be a number of seconds from {least:g} to {most:g}")
        return number

    return parse


def size(given: str) -> int:
    """Bytes: a whole number, alone or with a unit (``500MB`` of 1000s, ``20GiB`` of 1024s)."""
    found = _SIZE.fullmatch(given.strip().lower())
    if found is None or found[2] not in _UNITS or int(found[1]) == 0:
        raise ValueError("must be a number of bytes, such as 21474836480, 20GiB or 500MB")
    return int(found[1]) * _UNITS[found[2]]


def one_of(*words: str) -> Callable[[str], str]:
    """One of a few words, in any case."""

    def parse(given: str) -> str:
        word = given.strip().lower()
        if word not in words:
            raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}")
        return word

    return parse


def folder(given: str) -> Path:
    """An absolute path; the folder itself is made when it is first needed."""
    path = Path(text(given))
    if not path.is_absolute():
        raise ValueError("must be an absolute path, because processes start in different folders")
    return path


def readable_file(given: str) -> Path:
    """A file that this process can read now."""
    path = folder(given)
    try:
        with path.open("rb"):
            return path
    except OSError as problem:
        raise ValueError(f"names a file that cannot be read ({problem.strerror})") from None


def networks(given: str) -> tuple[Network, ...]:
    """Networks in CIDR form, apart by commas or spaces."""
    try:
        return tuple(ip_network(word) for word in re.split(r"[,\s]+", given.strip()) if word)
    except ValueError:
        raise ValueError("must be networks such as 10.20.0.0/16, fd00:1::/64, apart by commas") from None


def http_url(given: str) -> str:
    """An address of a web service."""
    try:
        parts = urlsplit(text(given))
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address such as https://collector.example:4318")
    return given.strip()


def ledger_url(given: str) -> str:
    """A database's address in SQLAlchemy's form; plain ``postgresql://`` gets the driver that bevara has."""
    wrong = ValueError("must be postgresql://USER@HOST/DATABASE, or sqlite:////absolute/path.sqlite3")
    try:
        url = sa.make_url(text(given))
    except (ArgumentError, ValueError):
        raise wrong from None
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+psycopg")
    local = url.drivername == "sqlite" and (url.database or "").startswith("/")
    if not local and not (url.drivername == "postgresql+psycopg" and url.database):
        raise wrong
    return url.render_as_string(hide_password=False)


def ledger_secured(url: str, password: str | None, ca_file: Path | None) -> str:
    """*url* with what stands in settings of its own: the password, and whose certificates are believed."""
    made = sa.make_url(url)
    if made.drivername == "sqlite":
        return url
    if password:
        made = made.set(password=password)
    if ca_file:
        made = made.update_query_dict({"sslrootcert": str(ca_file)})
        if "sslmode" not in made.query:
            made = made.update_query_dict({"sslmode": "verify-full"})
    return made.render_as_string(hide_password=False)


def redis_url(given: str) -> str:
    """A Redis server's address."""
    try:
        parts = urlsplit(text(given))
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not re.fullmatch(r"(/\d*)?", parts.path):
        raise ValueError("must be redis://HOST:6379/0, or rediss://HOST:6379/0 for TLS")
    return given.strip()


def redis_secured(url: str, password: str | None, ca_file: Path | None) -> str:
    """*url* with the password and the certificate authority of their own settings.

    Raises:
        ValueError: A certificate authority for a connection that has no TLS.
    """
    parts = urlsplit(url)
    netloc, query = parts.netloc, parts.query
    if password:
        netloc = f"{parts.username or ''}:{quote(password, safe='')}@{netloc.rpartition('@')[2]}"
    if ca_file:
        if parts.scheme != "rediss":
            raise ValueError("is set, but the address does not ask for TLS")
        query = urlencode([*parse_qsl(query), ("ssl_ca_certs", str(ca_file))])
    return urlunsplit((parts.scheme, netloc, parts.path, query, parts.fragment))
