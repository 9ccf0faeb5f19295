# ruff: noqa: T201 -- a program of its own, that prints
"""Checks a proof that an archive gave out. Needs Python 3.9 or later and nothing else: no network, no archive, no other program.

    python3 standalone_verifier.py proof.json [the file itself]

It says what is proven, and shows the fingerprint of the key: compare that with a printed evidence sheet, or ask the archive.
Written apart from the program that makes proofs, so that neither hides a fault of the other.
Sources: RFC 9162 section 2.1.3.2 and 2.1.4.2 (Merkle trees), RFC 8032 section 5.1.7 (Ed25519).
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BX = 15112221349535400772501151409588531511454012693041857206046113283949847762202
Point = tuple[int, int, int, int]
Part = dict[str, Any]
BASE = (BX, 4 * pow(5, P - 2, P) % P, 1, BX * (4 * pow(5, P - 2, P) % P) % P)


def add(p: Point, q: Point) -> Point:
    """Add two points of edwards25519, in extended coordinates."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(s: int, p: Point) -> Point:
    """Multiply a point."""
    q: Point = (0, 1, 1, 0)
    while s:
        q, p, s = add(q, p) if s & 1 else q, add(p, p), s >> 1
    return q


def point(data: bytes) -> Point:
    """A point from its 32 bytes."""
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if (x * x - xx) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    check((x * x - xx) % P == 0 and y < P, "the key or the signature is no point of the curve")
    x = x if x & 1 == sign else P - x
    return (x, y, 1, x * y % P)


def check(good: object, wrong: str) -> None:
    """Stop with a sentence unless *good*."""
    if not good:
        sys.exit(f"NOT PROVEN / INTE BEVISAT: {wrong}.")


def raw(digits: str) -> bytes:
    """Bytes from hexadecimal digits, which are written in one way only."""
    found = bytes.fromhex(digits)
    check(found.hex() == digits, "a number is not written as it must be")
    return found


def signed(one: Part) -> Part:
    """A document whose signature holds, and that names the key which is shown."""
    der = base64.b64decode("".join(one["public"].strip().splitlines()[1:-1]))
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"
    check(one["public"] == pem, "the key is not written as it must be")
    text, key, sig = one["document"].encode(), der[-32:], raw(one["signature"])
    document: Part = json.loads(text)
    check(document["key"] == hashlib.sha256(der).hexdigest() and len(sig) == 64, "the key is not the one that the document names")
    s, h = int.from_bytes(sig[32:], "little"), int.from_bytes(hashlib.sha512(sig[:32] + key + text).digest(), "little")
    p, q = times(s, BASE), add(point(sig[:32]), times(h % L, point(key)))
    check(s < L and (p[0] * q[2] - q[0] * p[2]) % P == 0 == (p[1] * q[2] - q[1] * p[2]) % P, "a signature is not of its document")
    return document


def node(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(entry: bytes, index: int, size: int, path: list[str]) -> str:
    """The root of the tree that *path* leads to from entry number *index* of *size*."""
    found, last = hashlib.sha256(b"\x00" + entry).digest(), size - 1
    check(0 <= index < size, "an entry lies outside its tree")
    for step in map(raw, path):
        check(last > 0, "a path is too long")
        if index & 1 or index == last:
            found = node(step, found)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = node(found, step)
        index, last = index >> 1, last >> 1
    check(last == 0, "a path is too short")
    return found.hex()


def grew(old: Part, new: Part, path: list[str]) -> bool:
    """Whether the tree of one document is the beginning of another's."""
    n, last = old["size"] - 1, new["size"] - 1
    if n == last:
        return bool(old["root"] == new["root"] and not path)
    steps = [raw(step) for step in (path if old["size"] & n else [old["root"], *path])]
    check(0 <= n < last and steps, "the newer tree is not the newer")
    while n & 1:
        n, last = n >> 1, last >> 1
    a = b = steps[0]
    for step in steps[1:]:
        if n & 1 or n == last:
            a, b = node(step, a), node(step, b)
            while not n & 1 and n:
                n, last = n >> 1, last >> 1
        else:
            b = node(b, step)
        n, last = n >> 1, last >> 1
    return bool(last == 0 and (a.hex(), b.hex()) == (old["root"], new["root"]))


def witness(proof: Part, one: Part) -> Part:
    """One signed day that tells of the file; returns its document."""
    document, leaf, file = signed(one), json.loads(one["leaf"]), proof["file"]
    entry = json.dumps({"path": file["path"], "sha512": file["sha512"]}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    check(document["algorithm"] == "sha256", "this verifier knows SHA-256 only; ask the archive for a newer one")
    check(document["tenant"] == proof["tenant"], "a day is another archive's")
    check(leaf["object"] == proof["object"], "a day tells of another package")
    check(
        root(entry.encode(), one["file_index"], leaf["files"], one["file_path"]) == leaf["files_root"],
        "the file is not there",
    )
    for event in one["events"]:
        body = event["body"].encode()
        found = root(hashlib.sha256(body).digest(), json.loads(body)["seq"] - 1, leaf["seq"], event["path"])
        check(found == leaf["events_root"], "an event is not in the history")
    check(
        root(one["leaf"].encode(), one["index"], document["size"], one["path"]) == document["root"],
        "the package is not there",
    )
    days = one["neighbours"]
    check(one["document"] in [day["document"] for day in days], "a day is not among its neighbours")
    for at, previous in enumerate(signed(day)["previous"] for day in days):
        before = hashlib.sha256(days[at - 1]["document"].encode()).hexdigest()
        check(at == 0 or previous == before, "the days do not follow each other")
    return document


def stamped(one: Part) -> str:
    """Which day's document bears a time stamp of somebody else; only a whole tool for time stamps can say whether it holds."""
    stamp, text = base64.b64decode(one["timestamp"], validate=True), one["document"].encode()
    check(base64.b64encode(stamp).decode() == one["timestamp"], "a time stamp is not written as it must be")
    check(hashlib.sha512(text).digest() in stamp, "a time stamp is of something else")
    return str(json.loads(text)["day"])


def main(proof_path: str, file_path: str = "") -> None:
    """Check everything, and say what is proven."""
    try:
        told(json.loads(Path(proof_path).read_text("utf-8")), file_path)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        check(False, "the proof is damaged, or is none")


def told(proof: Part, file_path: str) -> None:
    """As ``main``, of a proof that was read."""
    check(proof["schema"] == "bevara.proof/1" and proof["witnesses"], "this is no proof that this verifier knows")
    days = [witness(proof, one) for one in proof["witnesses"]]
    check(grew(days[0], days[-1], proof["consistency"]), "the older tree is not the beginning of the newer")
    print(f"PROVEN / BEVISAT: {proof['file']['path']}\n  in / i {proof['object']}\n  SHA-512 {proof['file']['sha512']}")
    print(f"  existed by / fanns senast {days[0]['made']}\n  history holds until / historiken gäller till {days[-1]['made']}")
    for event in map(json.loads, (event["body"] for event in proof["witnesses"][-1]["events"])):
        print(f"  event {event['seq']}: {event['time']} {event['type']}: {event['outcome']}")
    for key in dict.fromkeys(day["key"] for day in days):
        print("  key / nyckel:", " ".join(key[at : at + 4] for at in range(0, 64, 4)))
    for day in (stamped(one) for one in proof["witnesses"] if one["timestamp"] is not None):
        print(f"  {day}: a time stamp is enclosed, and not checked here (openssl ts). / tidsstämpel bifogad, inte kontrollerad här")
    if file_path:
        same = hashlib.sha512(Path(file_path).read_bytes()).hexdigest() == proof["file"]["sha512"]
        check(same, "the file at hand is another one than the proof tells of")
        print("The file at hand is that very file. / Filen här är just den filen.")


if __name__ == "__main__":
    main(*sys.argv[1:])
