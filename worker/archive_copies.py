"""An embedded archive's other places: ``copies.json`` beside the store, and what audits need to work on them.

The archive's own folder is the primary place. Opens the ledger without the archive's lock: audits read, and may run beside a
job; only a repair asks for the lock, because a job's commit must not come in between.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from actions.errors import PermanentError
from worker.archive import LEDGER, MARKER
from worker.fixity.bucket_place import BucketPlace
from worker.fixity.folder_place import FolderPlace
from worker.fixity.place import Place
from worker.fixity.rules import Rules
from worker.ledger.ledger import Ledger
from worker.ledger.schema import packages
from worker.service_settings import ServiceSettings
from worker.store import durable
from worker.store.bucket_s3 import S3Endpoint
from worker.store.bucket_store import BucketStore
from worker.store.open_bucket import open_bucket

COPIES = "copies.json"
PRIMARY = "primary"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SCHEMA = "bevara.copies/1"


class CopiesError(PermanentError):
    """The archive's list of places, or what was asked of it, is wrong."""

    code: ClassVar[str] = "copies"


@dataclass(frozen=True, slots=True)
class Beside:
    """A place beside the archive.

    Attributes:
        url: ``file:///absolute/folder`` or ``s3://bucket/prefix``; ``store/`` is below it.
        endpoint: Name of the S3 server in the settings (``BEVARA_S3_<NAME>_…``).
        is_store: It holds copies; False: others keep objects there, which are only read.
    """

    name: str
    url: str
    endpoint: str | None = None
    is_store: bool = True


@dataclass(frozen=True, slots=True)
class Configured:
    """What ``copies.json`` says."""

    places: tuple[Beside, ...] = ()
    audit: Mapping[str, object] | None = None

    @classmethod
    def read(cls, archive: Path) -> Self:
        """From the archive's folder.

        Raises:
            CopiesError: The file is not one of ours.
        """
        path = archive / COPIES
        if not path.is_file():
            return cls()
        try:
            data = json.loads(path.read_bytes())
            schema, said = data["schema"], cls(tuple(Beside(**one) for one in data.get("places", ())), data.get("audit"))
        except (ValueError, TypeError, KeyError) as wrong:
            raise CopiesError(f"cannot be read: {wrong}", str(path), "Correct it, or take it from a backup.") from wrong
        if schema != _SCHEMA:
            raise CopiesError(f"is of another schema: {schema}", str(path), "Use the bevara that wrote it.")
        return said

    def write(self, archive: Path) -> None:
        """To the archive's folder, durable."""
        data = {"schema": _SCHEMA, "places": [asdict(one) for one in self.places], "audit": dict(self.audit or {})}
        durable.write_file(archive / COPIES, [json.dumps(data, indent=1).encode() + b"\n"], mode=0o644)

    def rules(self) -> Rules:
        """What the archive promises."""
        return Rules.of(json.dumps({"audit": dict(self.audit or {})}))

    def with_place(self, one: Beside) -> Configured:
        """The same and one place more.

        Raises:
            CopiesError: The name is taken, or none.
        """
        if not _NAME.fullmatch(one.name) or one.name == PRIMARY:
            raise CopiesError("is not a place's name", one.name, f"Use a-z, 0-9 and hyphens, and not {PRIMARY!r}.")
        if any(other.name == one.name for other in self.places):
            raise CopiesError("is a place of this archive already", one.name, "Choose another name.")
        return Configured((*self.places, one), self.audit)

    def without(self, name: str) -> Configured:
        """The same and one place less."""
        return Configured(tuple(one for one in self.places if one.name != name), self.audit)


class ArchiveCopies:
    """An archive with its places, for ``bevara audit`` and ``bevara copies``. Use as a context manager.

    Raises:
        CopiesError: The folder is no archive.
    """

    def __init__(self, archive: Path) -> None:
        if not (archive / MARKER[0]).is_file() or not (archive / LEDGER).is_file():
            raise CopiesError("is not an archive", str(archive), "Name an archive that `bevara preserve` made.")
        self.folder = archive.absolute()
        self.configured = Configured.read(archive)
        rules = self.configured.rules()
        self.ledger = Ledger.open(archive / LEDGER)
        self.rules = lambda _tenant, _place: rules
        self.places = self._places()
        self.primary = dict.fromkeys(self.tenants(), PRIMARY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for place in self.places.values():
            place.close()
        self.ledger.close()

    def tenants(self) -> list[str]:
        """Whose packages the archive holds."""
        stmt = sa.select(packages.c.tenant).distinct().order_by(packages.c.tenant)
        return list(self.ledger.transactions.read(lambda db: list(db.scalars(stmt))))

    def used(self, tenant: str) -> set[str]:
        """Names of the places as ``copies.json`` has them at this moment."""
        del tenant
        return {PRIMARY, *(one.name for one in Configured.read(self.folder).places)}

    def _places(self) -> dict[tuple[str, str], Place]:
        named: dict[str, Place] = {PRIMARY: FolderPlace(PRIMARY, self.folder)}
        for one in self.configured.places:
            named[one.name] = opened(one)
        return {(tenant, name): place for tenant in self.tenants() for name, place in named.items()}

    def stores(self) -> dict[tuple[str, str], Place]:
        """Places that hold copies."""
        others = {one.name for one in self.configured.places if not one.is_store}
        return {key: place for key, place in self.places.items() if key[1] not in others}

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the archive's lock; yields whether it could be had: a job may be writing."""
        fd = os.open(self.folder / "scratch" / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(fd)


def opened(one: Beside) -> Place:
    """The place that is meant.

    Raises:
        CopiesError: Its S3 server is not in the settings.
        PermanentError: Its URL is none.
    """
    parts = urlsplit(one.url)
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return FolderPlace(one.name, Path(unquote(parts.path)), is_store=one.is_store)
    endpoint = _endpoint(one)
    return BucketPlace(one.name, lambda: open_bucket(one.url, endpoint), is_store=one.is_store)


def stores_beside(archive: Path, new: Callable[[str], bool]) -> dict[str, BucketStore]:
    """The archive's other stores by their names, to write into what is not a package: evidence.

    Args:
        new: Whether a place never held copies, by its name: only such a one is given a storage root.

    Raises:
        CopiesError: As ``opened``.
    """
    found = {}
    for one in Configured.read(archive).places:
        if one.is_store:
            endpoint = _endpoint(one) if urlsplit(one.url).scheme == "s3" else None
            found[one.name] = BucketStore(
                open_bucket(one.url, endpoint), archive / "scratch" / "beside", new=partial(new, one.name)
            )
    return found


def _endpoint(one: Beside) -> S3Endpoint:
    endpoints = ServiceSettings.load(needs=()).s3
    endpoint = endpoints.get(one.endpoint or "")
    if endpoint is None:
        name = (one.endpoint or "NAME").upper().replace("-", "_")
        remedy = f"Set BEVARA_S3_{name}_ENDPOINT, _ACCESS_KEY and _SECRET_KEY."
        raise CopiesError(f"its S3 endpoint {one.endpoint!r} is not in the settings", one.name, remedy)
    return endpoint
