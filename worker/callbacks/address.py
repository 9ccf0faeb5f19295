"""Where a callback may go: only to what its tenant registered, and only to addresses that are on the public network.

A callback is a request that an outsider can make this service send. So the address is matched against the tenant's
own list, its host is resolved here, every address that comes back is judged, and the connection goes to the one
that was judged: a name that changes its address between the check and the use (DNS rebinding) gains nothing.
Sending is the business of ``deliver``.

Source:
    RFC 6890 and the IANA special-purpose address registries; RFC 3986 section 3; OWASP SSRF prevention.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from actions.errors import PermanentError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

MOST_CHARACTERS = 2000
PORTS = {"https": 443, "http": 80}

# What `ipaddress` calls global in one Python version and not in the next, or in none: named, so that it is always refused.
_SPECIAL: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # a cloud's host agent, on a public address
        "::/96",  # unspecified, loopback, IPv4-compatible
        "64:ff9b::/96", "64:ff9b:1::/48",  # NAT64: leads to the IPv4 address inside
        "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
        "2002::/16",  # 6to4: leads to the IPv4 address inside
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class CallbackRefusedError(PermanentError):
    """A callback's address that this service does not call."""

    code: ClassVar[str] = "callback-refused"


@dataclass(frozen=True, slots=True)
class Target:
    """A callback's address, taken apart once so that what is checked is what is used."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def address(self) -> Address | None:
        """The host, where it is an address and no name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def request_target(self) -> str:
        """Path and query as HTTP sends them."""
        return f"{self.path}?{self.query}" if self.query else self.path


def parse(url: str) -> Target:
    """Take *url* apart, strictly: what two programs could read in two ways is refused.

    Raises:
        CallbackRefusedError: Not a plain https or http address.
    """
    remedy = "Write https://host/path, without user, fragment, spaces, backslashes or dot segments."
    if len(url) > MOST_CHARACTERS or not re.fullmatch(r"[\x21-\x5b\x5d-\x7e]+", url):
        raise CallbackRefusedError("is too long or has characters that an address must not have", "the callback", remedy)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        named = f"[{IPv6Address(host)}]" if "[" in parts.netloc else host
    except ValueError:
        raise CallbackRefusedError("is not an address", "the callback", remedy) from None
    path = parts.path or "/"
    written = parts.netloc.lower() if ":" not in host else named + parts.netloc.rpartition("]")[2]
    plain = written in {named, f"{named}:{port}"} and (":" in host or _HOST.fullmatch(host)) and port != 0
    if parts.scheme not in PORTS or "#" in url or not plain:
        raise CallbackRefusedError("is not a plain https address", "the callback", remedy)
    if {".", ".."} & set(re.split(r"[/\\]", unquote(unquote(path)))) or "//" in path:
        raise CallbackRefusedError("has a path that leads somewhere else than it seems", "the callback", remedy)
    return Target(parts.scheme, host, port or PORTS[parts.scheme], path, parts.query)


def registered(url: str, prefixes: Sequence[str], *, http: bool = False) -> Target:
    """*url* taken apart, when its tenant registered it.

    Args:
        url: As the job names it.
        prefixes: The tenant's own list: ``https://host[:port][/path]``. A path counts as a whole or up to a ``/``.
        http: Whether the operator allows callbacks without TLS.

    Raises:
        CallbackRefusedError: Not an address, without TLS, or not below any prefix.
    """
    target = parse(url)
    if target.scheme != "https" and not http:
        raise CallbackRefusedError("has no TLS", "the callback", "Use https://, or have the operator allow http.")
    if not any(_below(target, prefix) for prefix in prefixes):
        raise CallbackRefusedError(
            "is not below an address that this tenant registered", "the callback", "Ask the operator to register it."
        )
    return target


def checked(target: Target, *, private: Sequence[Network] = (), resolve: Resolver | None = None) -> list[str]:
    """Every address of *target*'s host, judged; a connection must go to one of these and resolve nothing again.

    Args:
        target: Where the callback goes.
        private: Networks that the operator allows beside the public ones.
        resolve: Gives a host's addresses; None: the system's own.

    Raises:
        CallbackRefusedError: One of them is not on the public network: then none is used.
        OSError: The name is not known, or cannot be asked for now.
    """
    found = [str(target.address)] if target.address else list((resolve or system_addresses)(target.host, target.port))
    if not found:
        raise OSError("the host has no address")
    for text in found:
        if not allowed(ip_address(text), private):
            raise CallbackRefusedError(
                "leads to an address inside a private or special network",
                "the callback",
                "Use a host on the public network, or have the operator allow this one's (BEVARA_CALLBACK_PRIVATE).",
            )
    return found


def allowed(address: Address, private: Sequence[Network] = ()) -> bool:
    """Whether *address*, and the IPv4 address that may be inside it, is public or in a network of *private*."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if mapped is not None:  # the kernel connects to the IPv4 address itself
        return allowed(mapped, private)
    inside = _inside(address)
    return all(_public(one) or any(one in network for network in private) for one in (address, inside) if one is not None)


def system_addresses(host: str, port: int) -> list[str]:
    """All addresses of *host*, as this machine resolves names; each once, in the system's order.

    Raises:
        OSError: The name is not known, or cannot be asked for now.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("the host's name is not one") from None
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _public(address: Address) -> bool:
    special = any(address in network for network in _SPECIAL)
    return address.is_global and not special and not (isinstance(address, IPv6Address) and address.scope_id)


def _inside(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one of a transition technique leads to."""
    if not isinstance(address, IPv6Address):
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in ip_network("64:ff9b::/96") or address in ip_network("::/96"):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _below(target: Target, prefix: str) -> bool:
    try:
        allowed_target = parse(prefix)
    except CallbackRefusedError:
        return False
    if (target.scheme, target.host, target.port) != (allowed_target.scheme, allowed_target.host, allowed_target.port):
        return False
    stem = allowed_target.path.rstrip("/")
    return target.path == stem or target.path.startswith(f"{stem}/")
