"""``docker/compose.yaml`` without a container engine: each service's own command, environment and secrets, run on this machine.

Where images can be pulled, ``docker compose up`` says more. What this can see: that the commands are ones that the servers take,
that passwords reach both sides, that the settings fit together, and that a job goes through.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
import urllib3
from ruamel.yaml import YAML

from tests.conftest import PROJECT, Ran, bevara, missing
from tests.installation import OVER, wait_for
from tests.servers import postgres as postgres_servers
from tests.servers import s3 as s3_servers
from tests.servers.child import free_port
from tests.servers.postgres import PASSWORD, PostgresServer
from worker.client import Client

DOCKER = PROJECT / "docker"
TEXT = (DOCKER / "README.md").read_text("utf-8")
FILES = ("compose.yaml", "compose.evidence.yaml")
OURS = ("api", "worker", "scheduler", "auditor")


def merged() -> dict[str, Any]:
    """Both files as one: what stands in the second is added."""
    first, second = (YAML(typ="safe").load((DOCKER / name).read_text("utf-8")) for name in FILES)
    auditor, more = first["services"]["auditor"], second["services"]["auditor"]
    auditor["environment"] = {**auditor["environment"], **more["environment"]}
    for name in ("secrets", "volumes"):
        auditor[name] = [*auditor[name], *more[name]]
    return {**first, "secrets": {**first["secrets"], **second["secrets"]}}


COMPOSE = merged()
SERVICES = COMPOSE["services"]


def blocks(heading: str) -> list[list[str]]:
    """The blocks of commands under a heading of the operators' guide."""
    section = re.split(r"^## ", TEXT.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r"(?:^ {4}.*\n)+", section, re.MULTILINE)
    return [[line[4:] for line in block.splitlines()] for block in found]


@dataclass
class Machine:
    """This machine in the place of all containers."""

    folder: Path
    places: dict[str, str]
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def text(self, given: object) -> str:
        """A word of the file as it is here: compose's own escapes undone, addresses and folders of containers replaced."""
        said = str(given).replace("$$", "$")
        for there, here in self.places.items():
            said = said.replace(there, here)
        return said

    def start(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(env), cwd=PROJECT)
        self.children.append(child)

    def said(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in self.folder.glob("*.log"))

    def environment(self, service: str, **more: object) -> dict[str, str]:
        """What a container of bevara's has: the image's own, and the file's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BEVARA_") or name == "BEVARA_VERAPDF_LIB"}
        given = {name: self.text(value) for name, value in SERVICES[service]["environment"].items()}
        image = {"BEVARA_SCRATCH": str(self.folder / f"scratch-{service}"), "BEVARA_ADMIN_PORT": "0", "BEVARA_LOG": "text"}
        return {**kept, **image, **given, **{name: str(value) for name, value in more.items()}}

    def end(self) -> None:
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            try:
                child.wait(60)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """With secrets as the guide makes them."""
    making = [line for line in blocks("Start the service in containers")[0] if "docker compose" not in line]
    (folder / "docker").mkdir()
    subprocess.run(["sh", "-eu"], input="\n".join(making).encode(), cwd=folder, check=True)
    one = Machine(folder, {"/run/secrets/": f"{folder}/docker/secrets/", "/tmp/scratch": f"{folder}/scratch-api"})
    try:
        yield one
    finally:
        one.end()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as one:
        yield one


def secret(here: Machine, name: str) -> str:
    return (here.folder / "docker" / "secrets" / name).read_text()


def test_the_guide_makes_every_secret_that_the_files_name(here: Machine) -> None:
    """Closed to others by their folder; the evidence's is made by the lines about evidence."""
    made = {path.name for path in (here.folder / "docker" / "secrets").iterdir()}
    later = "\n".join("\n".join(block) for block in blocks("Evidence"))

    assert {name for name in COMPOSE["secrets"] if name not in made} == {"evidence_passphrase"}
    assert "docker/secrets/evidence_passphrase" in later
    assert (here.folder / "docker" / "secrets").stat().st_mode & 0o077 == 0
    assert len({secret(here, name) for name in made}) == len(made)
    assert all(given["file"] == f"./secrets/{name}" for name, given in COMPOSE["secrets"].items())


def test_what_a_service_names_is_there() -> None:
    """Volumes, networks, secrets, files beside the compose file; and what others depend on."""
    for name, one in SERVICES.items():
        for volume in one.get("volumes", []):
            source = volume.partition(":")[0]
            there = (
                (DOCKER / source).exists() or source == "./evidence-keys"
                if source.startswith(".")
                else source in COMPOSE["volumes"]
            )
            assert there, (name, volume)
        assert set(one["networks"]) <= set(COMPOSE["networks"]), name
        assert set(one.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        assert set(one.get("depends_on", [])) <= set(SERVICES), name
        used = re.findall(r"/run/secrets/(\w+)", str(one))
        assert set(used) <= set(one.get("secrets", [])), (name, "uses a secret that it is not given")
    assert "seccomp:./seccomp.json" in SERVICES["worker"]["security_opt"]


def test_memory_holds_what_lies_in_it() -> None:
    """A tmpfs counts as its container's memory: a limit below its size would end the process before the disk is full."""
    units = {"m": 1, "g": 1024}
    for name in OURS:
        limit = SERVICES[name]["deploy"]["resources"]["limits"]["memory"]
        sizes = re.findall(r"size=(\d+)([mg])", " ".join(SERVICES[name]["tmpfs"]))
        assert sum(int(number) * units[unit] for number, unit in sizes) + 250 <= int(limit[:-1]) * units[limit[-1]], name


def start_redis(here: Machine) -> None:
    if shutil.which("redis-server") is None:
        missing("redis-server")
    port = free_port()
    here.places |= {"redis:6379": f"127.0.0.1:{port}", "/tmp/redis.conf": f"{here.folder}/redis.conf"}
    *shell, script = SERVICES["redis"]["command"]
    wanted = here.text(script).rstrip() + f" --bind 127.0.0.1 --port {port} --dir {here.folder}"
    here.start("redis", [*shell, wanted], os.environ)
    kind, check = SERVICES["redis"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    healthy = here.text(check).replace("redis-cli", f"redis-cli -p {port}")
    wait_for(lambda: subprocess.run(["sh", "-c", healthy], check=False, capture_output=True).returncode == 0, why=here.said)
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis(port=port, password=secret(here, "redis_password")) as server:
        assert server.config_get("save") == {"save": ""}
        assert server.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert (here.folder / "redis.conf").stat().st_mode & 0o077 == 0


def start_s3(here: Machine) -> None:
    program = s3_servers.program("versitygw")
    if program is None:
        missing("versitygw")
    port, data = free_port(), here.folder / "objects"
    data.mkdir()
    here.places |= {"s3:7070": f"127.0.0.1:{port}", ":7070": f"127.0.0.1:{port}", "/data": str(data)}
    *shell, script = SERVICES["s3"]["entrypoint"]
    path = {"PATH": f"{Path(program).parent}:{os.environ['PATH']}", "HOME": str(here.folder)}
    here.start("s3", [*shell, here.text(script)], {**os.environ, **path})
    _, check = SERVICES["s3"]["healthcheck"]["test"]
    (address,) = re.findall(r"http://\S+", check)
    address = f"http://127.0.0.1:{port}/{address.partition('/health')[1].strip('/')}"
    pool = urllib3.PoolManager(retries=False, timeout=5)

    def well() -> bool:
        try:
            return pool.request("GET", address).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    wait_for(well, why=here.said)
    pool.clear()


def make_database(here: Machine, server: PostgresServer) -> str:
    """As the image does when its volume is empty: the script in ``postgres/``, by its superuser."""
    (volume,) = (one for one in SERVICES["postgres"]["volumes"] if "initdb" in one)
    assert SERVICES["postgres"]["volumes"][0].endswith(":/var/lib/postgresql/data")
    (script,) = (DOCKER / volume.partition(":")[0]).glob("*.sh")
    name = "bevara_compose"  # the tests' own role has the other name
    text = (
        here.text(script.read_text("utf-8")).replace("ROLE bevara", f"ROLE {name}").replace("DATABASE bevara", f"DATABASE {name}")
    )
    text = text.replace("OWNER bevara", f"OWNER {name}")
    here.places |= {"postgresql://bevara@postgres/bevara": f"postgresql://{name}@127.0.0.1:{server.port}/{name}"}
    programs = postgres_servers.programs()
    env = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGPASSWORD": PASSWORD, "POSTGRES_USER": "admin"}
    env["PATH"] = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", text], env={**os.environ, **env}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    with server.admin() as db:
        asked = "SELECT rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = %s"
        assert db.execute(asked, [name]).fetchone() == (False, False, False)
    return name


@pytest.fixture
def database(here: Machine, postgres: PostgresServer) -> Iterator[str]:
    name = make_database(here, postgres)
    yield name
    here.end()
    with postgres.admin() as db:
        db.execute(f"DROP DATABASE {name} WITH (FORCE)")
        db.execute(f"DROP ROLE {name}")


def operator(here: Machine, *words: object) -> Ran:
    """What ``docker compose exec api bevara …`` runs."""
    ran = bevara(*words, env=here.environment("api"))
    assert ran.code == 0, ran.said
    return ran


def test_the_services_of_the_file_take_a_job_from_upload_to_evidence(here: Machine, database: str, tmp_path: Path) -> None:
    """Every command and every setting of ours as they stand there, over the servers as they are started there."""
    del database
    start_redis(here)
    start_s3(here)
    keys, port = here.folder / "evidence-keys", free_port()
    here.places |= {"/var/lib/bevara/evidence-keys": str(keys)}
    (here.folder / "docker" / "secrets" / "evidence_passphrase").write_text("ett lösenord")
    auditor = here.environment("auditor")
    made = bevara("evidence", "key", "new", "--keys", keys, env=auditor)
    assert made.code == 0, made.said
    operator(here, "tenant", "add", "hoor")
    operator(here, "tenant", "place", "add", "hoor", "arkiv", "s3://bevara/hoor", "--endpoint", "main", "--store")
    key = operator(here, "tenant", "key", "add", "hoor", "ingest").out.split()[0]
    for name in OURS:
        more = {"BEVARA_API_PORT": port} if name == "api" else {}
        here.start(name, [sys.executable, "-m", "worker.cli", *SERVICES[name]["command"]], here.environment(name, **more))
    (tmp_path / "leverans").mkdir()
    (tmp_path / "leverans" / "brev.txt").write_text("Räksmörgås\n", "utf-8")

    with Client(f"http://127.0.0.1:{port}", key) as client:
        ended = _sent(client, here, tmp_path / "leverans", port, key)
    wait_for(lambda: "leads" in (here.folder / "auditor.log").read_text(), why=here.said)

    assert ended["state"] == "finished", here.said()
    assert ended["counts"]["by_status"]["kept"] == 1
    assert "no evidence is signed" not in (here.folder / "auditor.log").read_text()
    assert not any(secret(here, name) in here.said() for name in COMPOSE["secrets"])
    for child in here.children[2:]:
        assert child.poll() is None, here.said()


def _sent(client: Client, here: Machine, folder: Path, port: int, key: str) -> dict[str, Any]:
    """The delivery by ``bevara submit``, when the API is up; the job when it is over."""

    def up() -> bool:
        try:
            return urllib3.request("GET", f"http://127.0.0.1:{port}/readyz", retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    wait_for(up, why=here.said)
    env = {**os.environ, "BEVARA_API_KEY": key, "BEVARA_API_URL": f"http://127.0.0.1:{port}", "XDG_STATE_HOME": str(here.folder)}
    sent = bevara("submit", folder, "--watch", "--json", env=env)
    assert '"id"' in sent.out, sent.said + here.said()
    job = client.job(re.findall(r'"id": ?"([0-9a-f]{32})"', sent.out)[0])
    assert job["state"] in OVER
    return job
