"""Just enough DER to ask a time stamping authority, and to read what it answers. Strict, and it decides nothing.

Source: ITU-T X.690 (DER).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

BOOLEAN, INTEGER, OCTETS, NULL, OID, TIME, SEQUENCE, SET = 0x01, 0x02, 0x04, 0x05, 0x06, 0x18, 0x30, 0x31
CONTEXT_0, CONTEXT_1 = 0xA0, 0xA1


@dataclass(frozen=True, slots=True)
class Node:
    """One value: its tag, its content, and all its bytes as they stand."""

    tag: int
    content: bytes
    raw: bytes

    def __iter__(self) -> Iterator[Node]:
        """The values inside."""
        rest = self.content
        while rest:
            node = first(rest)
            rest = rest[len(node.raw) :]
            yield node

    def parts(self, *tags: int) -> list[Node]:
        """The values inside, the first of which must have *tags*.

        Raises:
            ValueError: They have others.
        """
        found = list(self)
        if [node.tag for node in found[: len(tags)]] != list(tags):
            raise ValueError("is not laid out as it must be")
        return found


def first(data: bytes) -> Node:
    """The first value in *data*.

    Raises:
        ValueError: It is cut short, or not DER.
    """
    if len(data) < 2 or data[0] & 0x1F == 0x1F:
        raise ValueError("is not DER")
    size, start = data[1], 2
    if size & 0x80:
        digits = size & 0x7F
        if not 1 <= digits <= 4 or len(data) < 2 + digits:
            raise ValueError("is not DER")
        size, start = int.from_bytes(data[2 : 2 + digits], "big"), 2 + digits
    if len(data) < start + size:
        raise ValueError("is cut short")
    return Node(data[0], data[start : start + size], data[: start + size])


def whole(data: bytes) -> Node:
    """The only value in *data*.

    Raises:
        ValueError: It is not DER, or more follows.
    """
    node = first(data)
    if len(node.raw) != len(data):
        raise ValueError("has something after its end")
    return node


def put(tag: int, *parts: bytes) -> bytes:
    """Write a value."""
    content = b"".join(parts)
    size = len(content)
    digits = b"" if size < 0x80 else size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)] if digits else [tag, size]) + digits + content


def put_oid(dotted: str) -> bytes:
    """Write an object identifier."""
    numbers = [int(part) for part in dotted.split(".")]
    out = bytearray()
    for number in [numbers[0] * 40 + numbers[1], *numbers[2:]]:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(number & 0x7F | 0x80)
        out += bytes(reversed(digits))
    return put(OID, bytes(out))


def put_integer(number: int) -> bytes:
    """Write a whole number from 0 on."""
    return put(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))
