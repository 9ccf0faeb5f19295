"""Time stamps by somebody else: that a document existed by a time, said by an authority's signature and not by our clock.

Only a SHA-512 leaves the house. A response is checked against the certificates that the verifier was given; whether the
authority later lost its key (revocation lists) is not asked, because an offline check cannot know it: renew in time.
Source: RFC 3161; RFC 5652 section 5 (signed data); RFC 5816 (ESSCertIDv2).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from actions.errors import TransientError
from worker.evidence import der
from worker.evidence.der import CONTEXT_0, INTEGER, NULL, OCTETS, OID, SEQUENCE, SET, TIME, Node
from worker.evidence.documents import EvidenceError

TIMEOUT_S = 30.0
_MAX_BYTES = 1 << 20
_SHA512, _SIGNED_DATA, _TST_INFO = "2.16.840.1.101.3.4.2.3", "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_CERT_ID, _CERT_ID_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    der.put_oid("2.16.840.1.101.3.4.2.1"): hashes.SHA256(),
    der.put_oid("2.16.840.1.101.3.4.2.2"): hashes.SHA384(),
    der.put_oid(_SHA512): hashes.SHA512(),
}


# What stands in a broken answer can break a reader in any of these ways.
_BROKEN = (
    ValueError,
    IndexError,
    KeyError,
    StopIteration,
    UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class TimestampError(EvidenceError):
    """A time stamp was not given, or does not prove what it should."""

    code: ClassVar[str] = "timestamp"


class NoTimestampError(TransientError):
    """The authority could not be reached."""

    code: ClassVar[str] = "timestamp-unreachable"


@dataclass(frozen=True, slots=True)
class Stamped:
    """What a good time stamp says. ``time`` is UTC; ``authority`` the subject of its certificate."""

    time: datetime
    authority: str
    nonce: int | None


def request(document: bytes, nonce: int) -> bytes:
    """A TimeStampReq for *document*: its SHA-512, a nonce, and the wish for the certificate (RFC 3161 section 2.4.1)."""
    imprint = der.put(
        SEQUENCE, der.put(SEQUENCE, der.put_oid(_SHA512), der.put(NULL)), der.put(OCTETS, hashlib.sha512(document).digest())
    )
    return der.put(SEQUENCE, der.put_integer(1), imprint, der.put_integer(nonce), der.put(der.BOOLEAN, b"\xff"))


def asker(url: str, roots: Sequence[x509.Certificate]) -> Callable[[bytes], bytes]:
    """What asks the authority at *url* for a time stamp of a document, and gives it out once it was checked.

    Raises (when called):
        NoTimestampError: It cannot be reached, or answers with an HTTP error.
        TimestampError: What it answers is no good time stamp of this document.
    """

    def ask(document: bytes) -> bytes:
        nonce = int.from_bytes(os.urandom(8), "big")
        try:
            headers = {"Content-Type": "application/timestamp-query"}
            answer = httpx.post(url, content=request(document, nonce), headers=headers, timeout=TIMEOUT_S)
            answer.raise_for_status()
        except httpx.HTTPError as broken:
            what = f"gave no time stamp ({type(broken).__name__})"
            raise NoTimestampError(what, httpx.URL(url).host, "It is asked again with the next day's evidence.") from broken
        if check(document, answer.content, roots).nonce != nonce:
            raise TimestampError("answers another question than ours", httpx.URL(url).host, "Do not rely on this authority.")
        return answer.content

    return ask


def check(document: bytes, response: bytes, roots: Sequence[x509.Certificate]) -> Stamped:
    """What *response* says of *document*, once everything about it was checked.

    Args:
        roots: Certificates that are trusted; the authority's must lead to one of them, at the time that it says.

    Raises:
        TimestampError: It does not hold, with the reason.
    """
    if len(response) > _MAX_BYTES:
        raise _wrong("is too large")
    try:
        return _check(document, response, roots)
    except InvalidSignature as broken:
        raise _wrong("has a signature that does not hold") from broken
    except _BROKEN as broken:
        raise _wrong(f"cannot be read: {broken}" if not isinstance(broken, ValueError) else str(broken)) from broken


def _wrong(what: str) -> TimestampError:
    return TimestampError(f"the time stamp {what}", "evidence.json.tsr", "Do not rely on it; the day's own signature stands.")


def _check(document: bytes, response: bytes, roots: Sequence[x509.Certificate]) -> Stamped:
    status, *token = der.whole(response).parts(SEQUENCE)
    if next(iter(status)).content not in {b"\x00", b"\x01"} or not token:
        raise ValueError("was refused by the authority")
    kind, wrapped = token[0].parts(OID, CONTEXT_0)[:2]
    if kind.raw != der.put_oid(_SIGNED_DATA):
        raise ValueError("is no signed data")
    signed = list(next(iter(wrapped)))
    content_kind, content = signed[2].parts(OID, CONTEXT_0)[:2]
    info = next(iter(content)).content
    if content_kind.raw != der.put_oid(_TST_INFO):
        raise ValueError("holds no time stamp")
    certificates = [x509.load_der_x509_certificate(node.raw) for part in signed if part.tag == CONTEXT_0 for node in part]
    time, nonce = _told(document, info)
    signers = list(signed[-1])
    if signed[-1].tag != SET or len(signers) != 1:
        raise ValueError("has not exactly one signature")
    signer = _signer(signers[0], info, certificates)
    _chain(signer, [*certificates, *roots], roots, time)
    return Stamped(time, signer.subject.rfc4514_string(), nonce)


def _told(document: bytes, info: bytes) -> tuple[datetime, int | None]:
    """Time and nonce of a TSTInfo that is about *document* (RFC 3161 section 2.4.2)."""
    _, _, imprint, _, time, *rest = der.whole(info).parts(INTEGER, OID, SEQUENCE, INTEGER, TIME)
    algorithm, digest = imprint.parts(SEQUENCE, OCTETS)[:2]
    if next(iter(algorithm)).raw != der.put_oid(_SHA512) or digest.content != hashlib.sha512(document).digest():
        raise ValueError("is of another document")
    text = time.content.decode("ascii")
    stamp = datetime.strptime(text, "%Y%m%d%H%M%S.%fZ" if "." in text else "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    return stamp, next((int.from_bytes(node.content, "big") for node in rest if node.tag == INTEGER), None)


def _signer(info: Node, content: bytes, certificates: list[x509.Certificate]) -> x509.Certificate:
    """The certificate whose key signed, once the signature and the attributes that it is over were checked."""
    parts = list(info)
    digest_kind, attributes, signature = next(iter(parts[2])).raw, parts[3], parts[5]
    if attributes.tag != CONTEXT_0 or digest_kind not in _HASHES:
        raise ValueError("is signed in a way that is not known here")
    algorithm = _HASHES[digest_kind]
    told = {name.raw: next(iter(values)) for name, values in map(list, attributes)}
    meant = told.get(der.put_oid(_CONTENT_TYPE))
    if meant is None or meant.raw != der.put_oid(_TST_INFO):
        raise ValueError("is signed as something else")
    imprint = told.get(der.put_oid(_MESSAGE_DIGEST))
    if imprint is None or imprint.content != hashlib.new(algorithm.name, content).digest():
        raise ValueError("is not what was signed")
    signer = _named(told, certificates)
    text = bytes([SET]) + attributes.raw[1:]  # signed as a SET OF, carried with another tag (RFC 5652 section 5.4)
    key = signer.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature.content, text, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature.content, text, ec.ECDSA(algorithm))
    else:
        raise ValueError("is signed with a kind of key that is not known here")  # noqa: TRY004 -- a fault of the data
    return signer


def _named(told: dict[bytes, Node], certificates: list[x509.Certificate]) -> x509.Certificate:
    """The certificate that the signed attributes name by its digest: so that nobody puts another in its place."""
    for name, fallback in ((_CERT_ID_V2, "sha256"), (_CERT_ID, "sha1")):
        if (attribute := told.get(der.put_oid(name))) is None:
            continue
        identity = list(next(iter(next(iter(attribute)))))
        kind = _HASHES[next(iter(identity[0])).raw].name if identity[0].tag == SEQUENCE else fallback
        digest = next(node.content for node in identity if node.tag == OCTETS)
        for certificate in certificates:
            if hashlib.new(kind, certificate.public_bytes(Encoding.DER)).digest() == digest:
                return certificate
    raise ValueError("does not carry the certificate that it names")


def _chain(signer: x509.Certificate, known: list[x509.Certificate], roots: Sequence[x509.Certificate], time: datetime) -> None:
    """Follow the issuers to a trusted root, each good at *time*."""
    usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise ValueError("is signed by a certificate that is not for time stamps only")
    certificate = signer
    for _ in range(8):
        if not certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc:
            raise ValueError("is signed by a certificate that was not valid then")
        if certificate in roots:
            return
        certificate = _issuer(certificate, known)
    raise ValueError("is signed by an authority that is not trusted")


def _issuer(certificate: x509.Certificate, known: list[x509.Certificate]) -> x509.Certificate:
    for one in known:
        if one.subject != certificate.issuer or one == certificate:
            continue
        try:
            certificate.verify_directly_issued_by(one)
            if one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                return one
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            continue
    raise ValueError("is signed by an authority that is not trusted")
