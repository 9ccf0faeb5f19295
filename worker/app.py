"""The service's composition root: settings become ledger, broker, stores, sources and policies here, and nowhere else.

Nothing is decided here. What a process does with them is ``queue.worker``'s, ``queue.scheduler``'s and ``api``'s.
"""

from __future__ import annotations

import os
import threading
from functools import cached_property, partial
from typing import ClassVar, Self

import redis
from dramatiq import Broker

from actions.catalog import CATALOG
from actions.errors import PermanentError
from worker import toolchain
from worker.api.limits import Rates
from worker.api.shared_rates import SharedRates, connected
from worker.ledger.engine import Pool
from worker.ledger.facts import Job
from worker.ledger.ledger import Ledger
from worker.observe.traces import Tracing
from worker.pipeline.hosts import HostPool
from worker.pipeline.source import Source
from worker.places import Places
from worker.policy.decide import Policy
from worker.policy.inherit import shipped
from worker.policy.load import load_policy
from worker.policy.text import load_text
from worker.queue import broker as brokers
from worker.queue.redis_broker import on_redis
from worker.scratch import Scratch
from worker.service_settings import ServiceSettings
from worker.settings import Settings
from worker.store.bucket import Bucket
from worker.store.bucket_store import BucketStore
from worker.store.spool import Spool

THREADS_PER_CORE = 2  # beside one in a host, one reads, hashes or waits for the network


class PolicyGoneError(PermanentError):
    """The very policy that a job was submitted with cannot be had any more; another one must not decide in its place."""

    code: ClassVar[str] = "policy-gone"


class Service:
    """One process's service. Use as a context manager, or ``close`` it.

    Attributes:
        everything: False in the API: the ledger then shows nothing without naming a tenant.
    """

    def __init__(self, settings: ServiceSettings, ledger: Ledger, broker: Broker) -> None:
        self.settings, self.ledger, self.broker = settings, ledger, broker
        self.machine = Settings.from_environment(settings.hosts or None)
        self.places = Places(ledger.tenants, settings.s3)
        self._stores: dict[tuple[str, str], BucketStore] = {}
        self._policies: dict[str, Policy] = {}
        self._lock = threading.Lock()
        self.tracing = Tracing.off()

    @classmethod
    def open(cls, settings: ServiceSettings, *, everything: bool = True, broker: Broker | None = None) -> Service:
        """Connect to the ledger, and to the queue when first used.

        Args:
            everything: False for the API.
            broker: None: Redis, as the settings say; or in this process, when they name none.

        Raises:
            LedgerUnreachableError: The ledger's server does not answer.
        """
        ledger = Ledger.connect(settings.ledger_url, everything=everything, pool=Pool(settings.ledger_pool, settings.ledger_pool))
        made = on_redis(settings.redis_url) if settings.redis_url else brokers.in_process()
        return cls(settings, ledger, broker or made)

    @property
    def threads(self) -> int:
        """Files that a worker has in hand at once."""
        return self.settings.threads or THREADS_PER_CORE * len(os.sched_getaffinity(0))

    @cached_property
    def scratch(self) -> Scratch:
        """This process's corner of the scratch area, made when first needed."""
        return Scratch(self.settings.scratch)

    @cached_property
    def spool(self) -> Spool:
        """What files pass through on their way into a store: one budget for all stores of the process."""
        return Spool(self.scratch.folder / "spool", self.settings.scratch_bytes)

    def check_scratch(self) -> None:
        """See that what is worked on can be put down.

        Raises:
            ScratchUnusableError: The area cannot be made or written.
            ScratchFullError: It has no room now: work waits.
        """
        area = self.scratch
        with area.told():
            self.spool.check()  # a full disk is told as one that is full
        area.check()

    @cached_property
    def hosts(self) -> HostPool:
        """The action hosts; a worker's alone."""
        return HostPool(self.machine.jobs, self.scratch.folder / "hosts", self.machine.verapdf_lib)

    def abandon_hosts(self) -> None:
        """End every host's process now, whoever uses it, when there are any."""
        if "hosts" in self.__dict__:
            self.hosts.abandon()

    @cached_property
    def toolchain(self) -> str:
        """Digest of this machine's tools."""
        return toolchain.digest(self.machine)

    def broker_alive(self) -> bool:
        """Whether the queue's server answers."""
        client: redis.Redis | None = getattr(self.broker, "client", None)
        try:
            return client is None or bool(client.ping())
        except redis.RedisError:
            return False

    @cached_property
    def rates(self) -> Rates | SharedRates:
        """What counts the API's requests: all its processes together, where there is a queue's server."""
        return SharedRates(self._rate_server) if self._rate_server is not None else Rates()

    @cached_property
    def _rate_server(self) -> redis.Redis | None:
        return connected(self.settings.redis_url) if self.settings.redis_url else None

    def bucket_of(self, tenant: str, place: str | None = None) -> Bucket:
        """A place of *tenant* by its name; None: its primary store's.

        Raises:
            PlaceError: There is no such place.
        """
        return self.places.bucket(self.places.named(tenant, place) if place else self.places.primary(tenant))

    def store_of(self, tenant: str) -> BucketStore:
        """The tenant's primary store.

        Raises:
            PlaceError: It has none.
        """
        place = self.places.primary(tenant)
        known = (tenant, place.url)
        with self._lock:
            if known not in self._stores:
                bucket, spool = self.places.bucket(place), self.spool
                new = partial(self._never_held, tenant)
                self._stores[known] = BucketStore(bucket, spool.folder, spool=spool, new=new)
            return self._stores[known]

    def _never_held(self, tenant: str) -> bool:
        return not self.ledger.tenants.holds(tenant)

    def source_of(self, job: Job) -> Source:
        """Where a job's files come from.

        Raises:
            PlaceError: Nowhere that the tenant has registered, or it is not there.
        """
        return self.places.source(job.tenant, job.source.decode())

    def policy_of(self, job: Job) -> Policy:
        """Exactly the policy that the job was submitted with.

        Raises:
            PolicyGoneError: It is neither shipped nor kept for the tenant in this very form.
        """
        wanted = job.policy
        if wanted.sha256 not in self._policies:
            self._policies[wanted.sha256] = self._policy(job)
        return self._policies[wanted.sha256]

    def _policy(self, job: Job) -> Policy:
        wanted = job.policy
        text = self.ledger.tenants.policy_text(job.tenant, wanted.name, wanted.sha256)
        found = None
        if text is not None:
            found, _ = load_text(wanted.name, text, CATALOG)
        elif wanted.name in shipped():
            found = load_policy(wanted.name, CATALOG)
        if found is None or found.ref.sha256 != wanted.sha256:
            raise PolicyGoneError(
                f"version {wanted.version} ({wanted.sha256[:12]}…) is neither shipped with this bevara nor kept for the tenant",
                f"policy {wanted.name}",
                "Submit the job again: it is then decided by the policy as it stands now.",
            )
        return found

    def close(self) -> None:
        """Let go of everything that was opened."""
        if "hosts" in self.__dict__:
            self.hosts.close()
        self.broker.close()
        if self.__dict__.get("_rate_server") is not None:
            self.__dict__["_rate_server"].close()
        self.ledger.close()
        self.tracing.close()
        if "spool" in self.__dict__:
            self.spool.close()
        if "scratch" in self.__dict__:
            self.scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
