"""Where callbacks may go: nothing that a tenant names can make the service speak to the inside of a network."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.callbacks import address
from worker.callbacks.address import CallbackRefusedError
from worker.callbacks.route import Route, RouteError
from worker.callbacks.sign import SigningSecretError, new_secret

PUBLIC = ["8.8.8.8", "194.47.1.1", "2a00:1450:400f:80a::200e"]
INSIDE = [
    "0.0.0.0", "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # noqa: S104
    "100.64.0.1", "100.100.100.200",  # carrier NAT, and a cloud's metadata there
    "169.254.169.254", "169.254.0.1", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:db8::1",
    "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "3fff::1", "5f00::1",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_the_public_network_can_be_reached(text) -> None:
    assert address.allowed(ip_address(text))


@pytest.mark.parametrize("text", INSIDE)
def test_the_inside_of_a_network_cannot(text) -> None:
    assert not address.allowed(ip_address(text))


@given(st.ip_addresses())
def test_what_python_does_not_call_global_is_never_reached(found) -> None:
    assert found.is_global or not address.allowed(found)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_clothes_is_judged_as_what_it_is(found) -> None:
    private = [ip_network("::/0")]  # an operator who allows all of IPv6 has not allowed any IPv4

    assert address.allowed(ip_address(f"::ffff:{found}")) == address.allowed(found)
    for clothes in (0x64FF9B << 96 | int(found), 0x2002 << 112 | int(found) << 80, int(found)):
        assert not address.allowed(ip_address(clothes.to_bytes(16, "big")), [])
        assert address.allowed(ip_address(clothes.to_bytes(16, "big")), private) <= address.allowed(found)


def test_the_operator_can_allow_a_network_of_its_own_and_only_that() -> None:
    private = [ip_network("10.20.0.0/16"), ip_network("fd00:1::/64")]

    assert address.allowed(ip_address("10.20.3.4"), private)
    assert address.allowed(ip_address("::ffff:10.20.3.4"), private)
    assert address.allowed(ip_address("fd00:1::5"), private)
    assert not address.allowed(ip_address("10.21.0.1"), private)
    assert not address.allowed(ip_address("127.0.0.1"), private)


def test_one_bad_address_among_good_ones_refuses_them_all() -> None:
    """A host with a public and a private address would be a matter of luck."""
    target = address.parse("https://ingest.example/done")

    with pytest.raises(CallbackRefusedError, match="private or special"):
        address.checked(target, resolve=lambda _host, _port: [*PUBLIC, "10.0.0.1"])
    assert address.checked(target, resolve=lambda _host, _port: PUBLIC) == PUBLIC


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "https://[::1]/x", "https://[::ffff:10.0.0.1]/x"])
def test_an_address_as_host_is_judged_without_asking_anybody(url) -> None:
    def nobody(_host: str, _port: int) -> list[str]:
        raise AssertionError

    with pytest.raises(CallbackRefusedError):
        address.checked(address.parse(url), resolve=nobody)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "017700000001", "127.1", "localhost"])
def test_numbers_that_resolvers_take_for_addresses_are_judged_as_such(host) -> None:
    with pytest.raises((CallbackRefusedError, OSError)):
        address.checked(address.parse(f"https://{host}/x"))


@pytest.mark.parametrize(
    "url",
    [
        "", "/done", "ingest.example/done", "ftp://ingest.example/", "file:///etc/passwd", "https://", "https:///x", "https://?x",
        "https://user@ingest.example/", "https://user:password@ingest.example/", "https://ingest.example#@evil.example/",
        "https://ingest.example/a#b", "https://ingest.example\\@evil.example/", "https://ingest.example/a b", "https://ingest.example/å",
        "https://ingest.example/\r\nhost: x", "https://ingest.example\t.evil.example/", "https://ingést.example/",
        "https://ingest.example:0/", "https://ingest.example:99999/", "https://ingest.example:x/", "https://[::1/", "https://[v1.x]/",
        "https://ingest.example/a/../b", "https://ingest.example/%2e%2e/b", "https://ingest.example/%252e%252e/b",
        "https://ingest.example/a%2f..%2fb", "https://ingest.example/a%5c..%5cb", "https://ingest.example/./b", "https://ingest.example//b",
        "https://-x/", "https://[::1]evil.example/", "https://[::1]:443:80/", "https://[127.0.0.1]/", "https://ingest.example:0443/",
        "https://ingest.example./", "https://ingest.example/" + "a" * 2000,
    ],
)  # fmt: skip
def test_what_two_programs_could_read_in_two_ways_is_no_address(url) -> None:
    with pytest.raises(CallbackRefusedError) as raised:
        address.parse(url)

    assert "password" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://ingest.example/", "https://ingest.example"),
        ("https://ingest.example/bevara/done?x=1", "https://ingest.example"),
        ("https://INGEST.example:443/bevara/done", "https://ingest.example/bevara"),
        ("https://ingest.example/bevara", "https://ingest.example/bevara/"),
        ("https://ingest.example:8443/x", "https://ingest.example:8443/"),
        ("https://[2a00::1]/x", "https://[2a00::1]/"),
    ],
)
def test_below_a_registered_address_a_callback_is_taken(url, prefix) -> None:
    assert address.registered(url, ["https://other.example", prefix]).host


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://ingest.example.evil.example/", "https://ingest.example"),
        ("https://evil-ingest.example/", "https://ingest.example"),
        ("https://ingest.example:8443/", "https://ingest.example"),
        ("https://ingest.example/bevara-evil", "https://ingest.example/bevara"),
        ("https://ingest.example/other", "https://ingest.example/bevara"),
        ("http://ingest.example/", "https://ingest.example"),
        ("https://ingest.example/", "not an address"),
        ("https://ingest.example/", ""),
    ],
)
def test_anywhere_else_it_is_not(url, prefix) -> None:
    with pytest.raises(CallbackRefusedError, match="registered"):
        address.registered(url, [prefix], http=True)


def test_without_tls_only_where_the_operator_allows_it() -> None:
    with pytest.raises(CallbackRefusedError, match="no TLS"):
        address.registered("http://ingest.example/x", ["http://ingest.example"])

    assert address.registered("http://ingest.example/x", ["http://ingest.example"], http=True).port == 80


@pytest.mark.parametrize(
    "settings", ["[]", "null", "{", '{"callbacks": "https://x.example"}', '{"callback_secrets": [1]}', '{"callbacks": {"a": "b"}}']
)
def test_settings_that_cannot_be_used_are_told(settings) -> None:
    with pytest.raises(RouteError, match="Correct this tenant's settings"):
        Route.of(settings, "hoor")


def test_what_an_operator_registers_is_checked_when_it_is_registered() -> None:
    Route(("https://ingest.example/bevara",), (new_secret(),)).check("hoor")
    Route().check("hoor")

    with pytest.raises(SigningSecretError):
        Route(("https://ingest.example/bevara",)).check("hoor")
    for prefix in ("http://ingest.example", "https://ingest.example/?a=b", "ingest.example"):
        with pytest.raises(CallbackRefusedError):
            Route((prefix,), (new_secret(),)).check("hoor")
    assert "whsec" not in repr(Route((), (new_secret(),)))
