"""Policies over the API: an officer's mistakes come back with their lines, and a policy reaches for nothing."""

from __future__ import annotations

import pytest

from tests.api.archives import code
from worker.policy.inherit import shipped
from worker.policy.text import MOST_BYTES

YAML = {"Content-Type": "application/yaml"}
OWN = """\
schema: bevara.policy/1
name: lund
version: "1.0"
valid_from: 2026-01-01
owner: Lunds stadsarkiv
legal_basis: RA-FS 2009:2
description: {sv: Lunds egen, en: Lund's own}
extends: skanearkiv
"""


def test_an_own_policy_is_kept_shown_and_used(ask, other) -> None:
    answer = ask("PUT", "/v1/policies/lund", content=OWN, headers=YAML)

    assert answer.status_code == 200, answer.text
    assert (answer.json()["origin"], answer.json()["version"]) == ("own", "1.0")
    assert ask("GET", "/v1/policies/lund").json()["text"] == OWN
    assert {one["name"] for one in ask("GET", "/v1/policies").json()["policies"]} == {*shipped(), "lund"}
    job = ask("POST", "/v1/jobs", json={"source": "file://in/x", "package": "p", "policy": "lund"}).json()
    assert job["policy"] == {name: answer.json()[name] for name in ("name", "version", "sha256")}
    assert code(other("GET", "/v1/policies/lund")) == "not-found"
    assert other("GET", "/v1/policies/lund").json() == other("GET", "/v1/policies/nobodys").json()
    assert code(other("POST", "/v1/jobs", json={"source": "file://in/x", "package": "p", "policy": "lund"})) == "policy-unknown"
    newer = ask("PUT", "/v1/policies/lund", content=OWN.replace("1.0", "1.1"), headers=YAML)
    assert ask("GET", "/v1/policies/lund").json()["version"] == newer.json()["version"] == "1.1"


def test_a_shipped_policy_is_shown_with_its_text(ask) -> None:
    found = ask("GET", "/v1/policies/skanearkiv").json()

    assert found["origin"] == "shipped"
    assert "schema: bevara.policy/1" in found["text"]


def test_a_mistake_comes_back_with_its_line(ask) -> None:
    answer = ask("PUT", "/v1/policies/lund", content=OWN + "remove: [no-such-rule]\n", headers=YAML)

    assert code(answer) == "policy-invalid"
    (error,) = answer.json()["errors"]
    assert error["line"] == 9
    assert "no-such-rule" in error["what"]
    assert "/" not in str(answer.json()["errors"]), "no path of this machine"


@pytest.mark.parametrize(
    "text",
    [
        OWN.replace("skanearkiv", "../../policies/skanearkiv.yaml"),
        OWN.replace("skanearkiv", "/etc/x.yaml"),
        OWN.replace("skanearkiv", "lund.yaml"),
        OWN.replace("skanearkiv", "a/b"),
        OWN.replace("skanearkiv", "[skanearkiv]"),
        OWN.replace("name: lund", "name: hoor"),
        OWN + "a: &a [1]\nb: [*a, *a]\n",
        "a: &a [*a]\n",
        "[" * 5000,
        "{" * 2000,
        "- " * 2000,
        "? " * 2000,
        "",
        "\x00",
        "- 1",
        "!!python/object/apply:os.system [id]",
        "%YAML 9.9\n---\n",
        "a: b: c",
        "\t",
        "é" * 10,
        b"\xff\xfe",
        b"a: \xed\xa0\x80",
        "x: " + "1" * 5000,
        "valid_from: 99999999-99-99",
        "a" * (MOST_BYTES + 1),
    ],
)  # fmt: skip
def test_a_policy_that_reaches_out_or_blows_up_is_refused(ask, text) -> None:
    answer = ask("PUT", "/v1/policies/lund", content=text, headers=YAML)

    assert code(answer) in {"policy-invalid", "too-large"}
    assert code(ask("GET", "/v1/policies/lund")) == "not-found"


@pytest.mark.parametrize("name", ["skanearkiv", "Lund", "a.b", "-x", "%C3%A5", "x" * 64, "a%00"])
def test_a_policy_needs_a_name_of_its_own(ask, name) -> None:
    assert code(ask("PUT", f"/v1/policies/{name}", content=OWN, headers=YAML)) in {"policy-invalid", "bad-request"}


def test_a_policy_is_yaml(ask) -> None:
    assert code(ask("PUT", "/v1/policies/lund", content=OWN, headers={"Content-Type": "application/json"})) == "media-type"
    assert code(ask("PUT", "/v1/policies/lund", content=OWN)) == "media-type"
