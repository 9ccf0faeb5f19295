"""``delivery.json``: whose delivery lies under a prefix, and of which versions files may lie there.

It is written before the first file and told to be whole after the last, so that whoever delivers there next knows what to
take away, whatever was broken off. It lies beside the files because the place must explain itself without the ledger.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from actions.errors import PermanentError
from worker.store.bucket import Bucket
from worker.store.contract import NotInStoreError

NAME = "delivery.json"
MANIFEST = "manifest-sha512.txt"
SCHEMA = "bevara.delivery/1"
_MOST_BYTES = 1 << 20


class DeliveryTakenError(PermanentError):
    """Something else lies where a job wants its delivery: it would be mixed with that, or take it away."""

    code: ClassVar[str] = "delivery-taken"


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """What lies under a prefix.

    Attributes:
        package: The object's id.
        version: The version that is, or is being, delivered; 0: nothing could be stored of the package yet.
        whole: Whether all of it is there, and nothing of another version.
        versions: Of which versions files may lie there, this one among them.
    """

    package: str
    version: int
    whole: bool
    versions: tuple[int, ...]

    def begun(self, version: int) -> DeliveryRecord:
        """This one, when *version* is about to be delivered over it."""
        return DeliveryRecord(self.package, version, whole=False, versions=tuple(sorted({*self.versions, version})))

    def ended(self) -> DeliveryRecord:
        """This one, when everything is there."""
        return DeliveryRecord(self.package, self.version, whole=True, versions=(self.version,))


def read(bucket: Bucket, prefix: str, package: str) -> DeliveryRecord | None:
    """The record of *package*'s delivery under *prefix*; None: nothing was delivered there.

    Raises:
        DeliveryTakenError: Another package's lies there, or a delivery that is not ours.
        StoreUnreachableError: The place gives no answer.
    """
    try:
        with bucket.get(f"{prefix}/{NAME}") as stream:
            found = _parsed(stream.read(_MOST_BYTES))
    except NotInStoreError:
        if bucket.stat(f"{prefix}/{MANIFEST}") is None:
            return None
        raise _foreign(MANIFEST) from None
    if found is None:
        raise _foreign(NAME)
    if found.package != package:
        remedy = "A prefix is one package's. Submit the job again with a prefix of its own."
        raise DeliveryTakenError(f"holds the delivery of {found.package}", "the job's delivery", remedy)
    return found


def write(bucket: Bucket, prefix: str, record: DeliveryRecord) -> None:
    """Put *record* in place of the one before.

    Raises:
        StoreUnreachableError: The place gives no answer.
    """
    said = {
        "schema": SCHEMA,
        "package": record.package,
        "version": f"v{record.version}",
        "whole": record.whole,
        "versions": [f"v{number}" for number in record.versions],
    }
    bucket.put(f"{prefix}/{NAME}", (json.dumps(said, ensure_ascii=False, indent=2) + "\n").encode())


def _foreign(name: str) -> DeliveryTakenError:
    return DeliveryTakenError(f"holds a {name} that is not bevara's", "the job's delivery", "Submit the job with another prefix.")


def _parsed(text: bytes) -> DeliveryRecord | None:
    try:
        said = json.loads(text)
        numbers = tuple(int(name.removeprefix("v")) for name in said["versions"])
        record = DeliveryRecord(str(said["package"]), int(said["version"].removeprefix("v")), bool(said["whole"]), numbers)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if said.get("schema") == SCHEMA else None
