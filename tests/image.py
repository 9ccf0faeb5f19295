"""Tries out the image as a site would run it: API, scheduler and worker, each in a container, and a job through all of them.

``docker/image.sh try`` calls it: ``python -m tests.image IMAGE ENGINE…``, where ENGINE… are the words that call podman.
PostgreSQL, Redis and, where there is one, an S3 server are this machine's own, on loopback, as for the tests. It is no test of
pytest, because it needs an image, which takes minutes to build.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import pikepdf

from tests import samples
from tests.conftest import PROJECT
from tests.servers import postgres, redis, s3

USER, TENANT, PACKAGE = 10001, "lund", "Provleverans åäö"
START_S, JOB_S, STOP_S = 120, 900, 90
INSIDE = Path("/run/bevara")
CONFINED = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"]
SANDBOX = ["--security-opt", f"seccomp={PROJECT / 'docker' / 'seccomp.json'}", "--security-opt", "unmask=ALL"]
CLOSED = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--network", "host", "--runtime", "runc"]
ROOMS = ["--tmpfs", "/tmp:size=1g,mode=1777"]  # scratch is the volume that the image names


class UnfitImageError(RuntimeError):
    """The image does not do what it is for."""


@dataclass
class Trial:
    """One image, the words that call the engine, and what was started."""

    image: str
    engine: list[str]
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)

    def call(self, *words: object, check: bool = True, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        argv = [*self.engine, *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False)
        if check and done.returncode:
            raise UnfitImageError(
                f"{' '.join(map(str, words[:4]))} … ended with {done.returncode}: {done.stderr[-2000:]}{done.stdout[-500:]}"
            )
        return done

    def start(self, name: str, command: str, *more: str, **settings: object) -> int:
        """A long-lived container; returns its admin port, on which it says that it is ready."""
        admin = s3.free_port()
        environ = self.environ | {"BEVARA_ADMIN_PORT": str(admin)} | {key: str(value) for key, value in settings.items()}
        words = [word for key, value in environ.items() for word in ("--env", f"{key}={value}")]
        words += ["--volume", f"{self.folder / 'secrets'}:{INSIDE}:ro", *CONFINED, *ROOMS, *CLOSED, *more]
        self.call("run", "--detach", "--pull", "never", "--name", name, *words, self.image, command)
        self.started[name] = admin
        self._ready(name, admin)
        return admin

    def _ready(self, name: str, admin: int) -> None:
        end, said = time.monotonic() + START_S, "nothing"
        while time.monotonic() < end:
            try:
                answer = httpx.get(f"http://127.0.0.1:{admin}/readyz", timeout=5, trust_env=False)
                if answer.status_code == httpx.codes.OK:
                    return
                said = answer.text
            except httpx.HTTPError as no:
                said = str(no)
            if self.call("inspect", "--format", "{{.State.Running}}", name).stdout.strip() != "true":
                break
            time.sleep(0.2)
        raise UnfitImageError(f"{name} does not get ready ({said}): {self.log(name)}")

    def inside(self, name: str, *command: object, check: bool = True, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        return self.call("exec", name, *command, check=check, timeout_s=timeout_s)

    def log(self, name: str) -> str:
        told = self.call("logs", "--tail", "40", name, check=False)
        return f"{told.stdout}{told.stderr}"

    def stop(self, name: str) -> int:
        """End it as an engine does, by SIGTERM; returns how it ended."""
        self.call("stop", "--time", STOP_S, name, timeout_s=STOP_S + 60)
        return int(self.call("inspect", "--format", "{{.State.ExitCode}}", name).stdout)

    def end(self) -> None:
        for name in self.started:
            self.call("rm", "--force", "--volumes", "--time", "5", name, check=False)


@contextmanager
def surroundings(trial: Trial) -> Iterator[str | None]:
    """PostgreSQL, Redis and perhaps S3 of this machine, with their passwords as files; yields the S3 server's bucket."""
    with ExitStack() as ending:
        secrets = trial.folder / "secrets"
        secrets.mkdir()
        database = postgres.new_server()
        ending.callback(postgres.end, database)
        queue = redis.new_server()
        ending.callback(redis.end, queue)
        address = database.empty_database().replace(f":{postgres.PASSWORD}@", "@")
        (secrets / "ledger").write_text(postgres.PASSWORD)
        trial.environ |= {
            "BEVARA_LEDGER_URL": address,
            "BEVARA_LEDGER_PASSWORD_FILE": str(INSIDE / "ledger"),
            "BEVARA_REDIS_URL": queue.url,
            "BEVARA_API_HOST": "127.0.0.1",
            "BEVARA_ADMIN_HOST": "127.0.0.1",
        }
        bucket = None
        if any(s3.program(name) for name in s3.WANTED):
            name = next(name for name in reversed(s3.WANTED) if s3.program(name))
            (trial.folder / name).mkdir()
            server = ending.enter_context(s3.running(name, trial.folder / name))
            bucket = server.new_bucket()
            (secrets / "access").write_text(s3.ACCESS)
            (secrets / "secret").write_text(s3.SECRET)
            trial.environ |= {
                "BEVARA_S3_MAIN_ENDPOINT": f"http://{server.endpoint.endpoint}",
                "BEVARA_S3_MAIN_REGION": "us-east-1",
                "BEVARA_S3_MAIN_ACCESS_KEY_FILE": str(INSIDE / "access"),
                "BEVARA_S3_MAIN_SECRET_KEY_FILE": str(INSIDE / "secret"),
            }
        yield bucket


def delivery(folder: Path) -> Path:
    """A few files of the usual kinds, made once and kept beside the demo's."""
    made = PROJECT / "build" / "samples"
    if not made.exists():
        samples.make(made.with_name("samples.new")).rename(made)
    wanted = ("*.docx", "*.doc", "*.odt", "*.pptx", "Ritning.pdf", "Inskannat*.pdf", "Fasad.jpg", "Karta.bmp", "Anteckning.txt")
    target = folder / "delivery"
    target.mkdir()
    for pattern in wanted:
        for path in sorted(made.rglob(pattern)):
            if path.stat().st_size:
                shutil.copyfile(path, target / path.name)
    _open_to_all(target)
    return target


def _open_to_all(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def shut_in(trial: Trial, name: str) -> None:
    """Nobody in particular, without a right, on a root that cannot be written to."""
    status = dict(line.split(":\t", 1) for line in trial.inside(name, "cat", "/proc/1/status").stdout.splitlines() if ":\t" in line)
    if set(status["Uid"].split()) != {str(USER)}:
        raise UnfitImageError(f"{name} runs as {status['Uid']}")
    if int(status["CapEff"], 16) or int(status["CapBnd"], 16) or status["NoNewPrivs"] != "1":
        raise UnfitImageError(f"{name} may more than it should: {status['CapEff']} {status['CapBnd']} {status['NoNewPrivs']}")
    for path in ("/here", "/opt/bevara/here", "/var/lib/bevara/here", "/usr/here"):
        if trial.inside(name, "touch", path, check=False).returncode == 0:
            raise UnfitImageError(f"{name} could write {path}")


def tells_its_health(trial: Trial, name: str) -> None:
    """The image's health check says yes of a process that lives, and no of one that answers no more."""
    trial.call("healthcheck", "run", name)
    trial.call("kill", "--signal", "STOP", name)
    try:
        if trial.call("healthcheck", "run", name, check=False).returncode == 0:
            raise UnfitImageError(f"{name} stands still, and its health check finds it well")
    finally:
        trial.call("kill", "--signal", "CONT", name)
    trial.call("healthcheck", "run", name)


def job(trial: Trial, api: str, bucket: str | None) -> dict:
    """A tenant, its store and key by the operator's commands, and a delivery by ``bevara submit``; returns the job."""
    where = ["s3://" + bucket + "/archive", "--endpoint", "main"] if bucket else ["file:///var/lib/bevara/places"]
    trial.inside("bevara-api", "bevara", "tenant", "add", TENANT)
    trial.inside("bevara-api", "bevara", "tenant", "place", "add", TENANT, "archive", *where, "--store")
    key = trial.inside("bevara-api", "bevara", "tenant", "key", "add", TENANT, "trial").stdout.splitlines()[0]
    (trial.folder / "secrets" / "key").write_text(key)
    asked = ["--url", api, "--key-file", INSIDE / "key", "--package", PACKAGE, "--watch", "--json"]
    done = trial.inside("bevara-api", "bevara", "submit", "/delivery", *asked, check=False, timeout_s=JOB_S)
    if done.returncode not in {0, 1} or not done.stdout.startswith("{"):
        raise UnfitImageError(f"bevara submit ended with {done.returncode}: {done.stderr}\n{trial.log('bevara-worker')}")
    return json.loads(done.stdout) | {"key": key}


def looked_at(api: str, ended: dict, sent: set[str], folder: Path) -> Counter[str]:
    """Ask the API what became of it; returns how many attempts were made in which sandbox."""
    with httpx.Client(base_url=api, headers={"Authorization": f"Bearer {ended['key']}"}, trust_env=False, timeout=60) as client:
        files = client.get(f"/v1/jobs/{ended['id']}/files", params={"limit": 1000}).raise_for_status().json()["files"]
        for one in files:
            record = one["record"]
            made = ", ".join(f"{out['representation']} {out['puid']}" for out in record["outputs"])
            print(f"  {one['path']}: {record['status']} ({record['reason']}){': ' if made else ''}{made}")
        if {one["path"] for one in files} != sent or ended["state"] != "finished":
            raise UnfitImageError(f"the job is {ended['state']} with {len(files)} of {len(sent)} files: {ended['error']}")
        lost = [one["path"] for one in files if one["status"] not in {"kept", "migrated"}]
        if lost:
            raise UnfitImageError(f"not preserved: {[one['record'] for one in files if one['path'] in lost]}")
        office = [one for one in files if one["path"].endswith((".docx", ".doc", ".odt", ".pptx"))]
        for one in office:
            package = quote(ended["package_id"], safe="")
            answer = client.get(f"/v1/packages/{package}/files/{quote(one['path'])}", params={"representation": "preservation"})
            pdf = folder / "derivative.pdf"
            pdf.write_bytes(answer.raise_for_status().content)
            claim = next(out["validation"] for out in one["record"]["outputs"] if out["representation"] == "preservation")
            with pikepdf.open(pdf) as opened:
                metadata = opened.open_metadata()  # not as a context: nothing is to be written
                if not metadata.pdfa_status or claim["verdict"] != "valid" or "verapdf" not in claim["validator"].lower():
                    raise UnfitImageError(f"{one['path']}: PDF/A {metadata.pdfa_status or 'none'}, and the validator says {claim}")
        return Counter(attempt["sandbox"] for one in files for attempt in one["record"]["attempts"])


def tried(trial: Trial) -> None:
    """The whole of it, told as it goes."""
    with surroundings(trial) as bucket:
        sent = delivery(trial.folder)
        port, began = s3.free_port(), time.monotonic()
        trial.start("bevara-api", "serve", "--volume", f"{sent}:/delivery:ro", BEVARA_API_PORT=port)
        trial.start("bevara-scheduler", "schedule")
        trial.start("bevara-worker", "work", *SANDBOX)
        print(f"three containers ready after {time.monotonic() - began:.0f} s; store: {'S3' if bucket else 'a folder'}")
        for name in trial.started:
            shut_in(trial, name)
            tells_its_health(trial, name)
        print(trial.inside("bevara-worker", "bevara", "doctor", check=False).stdout)
        api, began = f"http://127.0.0.1:{port}", time.monotonic()
        ended = job(trial, api, bucket)
        took = time.monotonic() - began
        sandboxes = looked_at(api, ended, {path.name for path in sent.iterdir()}, trial.folder)
        print(f"job {ended['state']}: {ended['counts']['total']} files in {took:.0f} s; attempts by sandbox: {dict(sandboxes)}")
        codes = {name: trial.stop(name) for name in reversed(trial.started)}
        if any(codes.values()):
            raise UnfitImageError(
                f"a process did not end well on SIGTERM: {codes}: {[trial.log(name) for name in codes if codes[name]]}"
            )
        print("all ended with 0 on SIGTERM")


def main() -> int:
    image, *engine = sys.argv[1:]
    folder = Path(tempfile.mkdtemp(prefix="bevara-image-"))
    folder.chmod(0o755)
    os.umask(0o022)
    trial = Trial(image, engine, folder)
    try:
        tried(trial)
    except (UnfitImageError, subprocess.TimeoutExpired) as no:
        print(f"image: {no}", file=sys.stderr)
        return 1
    finally:
        trial.end()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
