"""Signatures of callbacks: those of the specification, so that any Standard Webhooks library accepts them."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.callbacks import sign
from worker.callbacks.sign import Signer, SigningSecretError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_specifications_example_comes_out_as_it_stands_there() -> None:
    """The vector that the specification and its libraries share."""
    assert Signer.of([SECRET], "hoor").headers(EVENT, AT, BODY) == {
        "webhook-id": EVENT,
        "webhook-timestamp": str(AT),
        "webhook-signature": SIGNED,
    }


def test_a_receiver_with_nothing_but_the_specification_can_verify_it() -> None:
    """Computed here by hand: base64(HMAC-SHA256(base64-decoded secret, id.timestamp.body))."""
    secret = sign.new_secret()
    headers = Signer.of([secret], "hoor").headers("evt_1", 1_700_000_000, "Höör".encode())

    key = base64.b64decode(secret[len("whsec_") :])
    mac = hmac.new(key, b"evt_1.1700000000." + "Höör".encode(), hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()


def test_while_a_secret_is_changed_both_the_old_and_the_new_receiver_believe() -> None:
    old, new = sign.new_secret(), sign.new_secret()
    headers = Signer.of([new, old], "hoor").headers(EVENT, AT, BODY)

    assert sign.verified([old], headers, BODY, AT)
    assert sign.verified([new], headers, BODY, AT)
    assert not sign.verified([sign.new_secret()], headers, BODY, AT)


@given(st.data())
def test_whatever_is_changed_on_the_way_shows(data) -> None:
    headers = Signer.of([SECRET], "hoor").headers(EVENT, AT, BODY)
    part = data.draw(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "body"]))
    original = BODY.decode() if part == "body" else headers[part]
    changed = data.draw(st.text(max_size=60).filter(lambda text: text != original and original not in text.split(" ")))
    body = changed.encode("utf-8", "replace") if part == "body" else BODY

    assert not sign.verified([SECRET], headers if part == "body" else {**headers, part: changed}, body, AT)


@pytest.mark.parametrize("off_s", [-301, 301])
def test_an_old_callback_cannot_be_played_again(off_s) -> None:
    headers = Signer.of([SECRET], "hoor").headers(EVENT, AT, BODY)

    assert not sign.verified([SECRET], headers, BODY, AT + off_s)


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "whsec_åäö", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"],
)
def test_a_secret_that_is_none_is_told_and_not_shown(text) -> None:
    with pytest.raises(SigningSecretError) as raised:
        Signer.of([text], "hoor")

    assert text in {"", "whsec_"} or text not in str(raised.value)


def test_nothing_goes_out_unsigned() -> None:
    with pytest.raises(SigningSecretError, match="no signing secret"):
        Signer.of([], "hoor")


def test_a_secret_is_in_no_repr() -> None:
    assert "MfKQ" not in repr(Signer.of([SECRET], "hoor"))
    assert repr(Signer.of([SECRET], "hoor")) == "Signer()"
