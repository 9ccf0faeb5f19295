"""What stands in ``docker/`` for containers: sound, and enough for the sandbox inside, as far as no engine is needed to tell."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import sys

import pytest
from ruamel.yaml import YAML

from actions.tools import process
from tests.conftest import PROJECT, missing
from worker.service_settings import ServiceSettings, variable

DOCKER = PROJECT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text("utf-8")
SERVICES = YAML(typ="safe").load((DOCKER / "compose.yaml").read_text("utf-8"))["services"]
PROFILE = DOCKER / "seccomp.json"
SYSTEM = [
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/bin",
    "/bin",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
]
SANDBOX = [
    "bwrap",
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--hostname",
    "inside",
    *SYSTEM,
    "--proc",
    "/proc",
    "--dev",
    "/dev",
]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]


def confined(*command: str) -> str:
    """What *command* says under the profile."""
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        missing("libseccomp")
    argv = [sys.executable, "-m", "tests.under_seccomp", str(PROFILE), *command]
    done = process.run(argv, subject="seccomp", timeout_s=60, cwd=PROJECT, accept=range(256))
    return done.stdout + done.stderr


def test_under_the_profile_a_user_without_any_right_can_make_the_sandbox() -> None:
    """What the image's user is: no capability, no new privileges."""
    if not shutil.which("bwrap"):
        missing("bubblewrap")
    become = NOBODY if os.geteuid() == 0 else []
    free = process.run([*become, *SANDBOX, "--", "/bin/true"], subject="sandbox", timeout_s=60, accept=range(256))
    if free.code:
        missing("user namespaces for users without rights")

    said = confined(*become, *SANDBOX, "--", "/bin/sh", "-c", "cat /proc/net/dev | grep -c : ; echo well")

    assert said.split() == ["1", "well"]


@pytest.mark.parametrize(
    ("number", "name"), [(101, "ptrace"), (250, "keyctl"), (308, "setns"), (321, "bpf"), (425, "io_uring_setup"), (430, "fsopen")]
)
def test_the_profile_keeps_the_kernel_from_what_no_converter_needs(number, name) -> None:
    if os.uname().machine != "x86_64":
        missing("an x86-64 machine: numbers of calls differ")
    call = f"c = ctypes.CDLL(None, use_errno=True); c.syscall({number}, 0, 0, 0, 0)"
    code = f"import ctypes, os; {call}; print(os.strerror(ctypes.get_errno()))"

    assert confined(sys.executable, "-c", code).strip() == "Operation not permitted", name


def test_no_call_is_both_allowed_and_refused() -> None:
    rules = json.loads(PROFILE.read_text("utf-8"))["syscalls"]
    refused = {name for rule in rules if rule["action"] != "SCMP_ACT_ALLOW" for name in rule["names"]}
    allowed = {name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}

    assert refused & allowed == set()


def test_the_dockerfile_passes_its_linter() -> None:
    program = shutil.which("hadolint", path=os.path.dirname(sys.executable)) or shutil.which("hadolint")  # noqa: PTH120
    if program is None:
        missing("hadolint")

    assert process.run([program, str(DOCKER / "Dockerfile")], subject="Dockerfile", timeout_s=60, accept=range(256)).stdout == ""


def test_every_setting_that_the_files_name_is_one() -> None:
    known = {variable(name) for name in ServiceSettings.__dataclass_fields__} | {"BEVARA_VERSION"}
    compose = (DOCKER / "compose.yaml").read_text("utf-8")
    for name in re.findall(r"\bBEVARA_[A-Z0-9_]+", compose + DOCKERFILE):
        assert name.removesuffix("_FILE") in known or name.startswith("BEVARA_S3_MAIN_"), name


def test_the_compose_files_settings_are_ones_that_a_process_starts_with(tmp_path) -> None:
    for service in ("api", "worker", "scheduler"):
        environ = {name: str(value) for name, value in SERVICES[service]["environment"].items()}
        for name, path in environ.items():
            if path.startswith("/run/secrets/"):
                (tmp_path / name).write_text("made-up\n")
                environ[name] = str(tmp_path / name)

        settings = ServiceSettings.load(environ, needs=("ledger_url", "redis_url"))

        assert settings.s3["main"].endpoint == "s3:7070"


def test_nothing_runs_with_more_than_it_needs() -> None:
    for name, service in SERVICES.items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "privileged" not in service
        assert "cap_add" not in service
    for name in ("api", "worker", "scheduler"):
        assert SERVICES[name]["read_only"]
        assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", []))
    assert "USER 10001:10001" in DOCKERFILE


def test_every_engine_makes_the_folders_in_memory_alike() -> None:
    """podman refuses uid= and gid= of a tmpfs, and runc gives it the mode of the image's folder below it: root's alone."""
    for name, service in SERVICES.items():
        for where, _, options in (given.partition(":") for given in service.get("tmpfs", [])):
            assert not re.search(r"\b[ug]id=", options), (name, where)
            assert not where.startswith("/var/lib/bevara"), (name, where)


def test_no_secret_stands_in_the_compose_file() -> None:
    for name, service in SERVICES.items():
        for key, value in (service.get("environment") or {}).items():
            secret = re.search(r"PASSWORD|SECRET|ACCESS_KEY", key)
            assert not secret or str(value).startswith("/run/secrets/"), (name, key)
        assert set(service.get("secrets", [])) <= set(
            YAML(typ="safe").load((DOCKER / "compose.yaml").read_text("utf-8"))["secrets"]
        )


def test_the_image_leaves_out_what_is_only_for_tests() -> None:
    done = process.run([sys.executable, str(DOCKER / "runtime_only.py"), "bevara", "traces"], subject="python", timeout_s=60)

    unneeded = set(done.stdout.split())
    assert {"pytest", "ruff", "mypy", "hypothesis"} <= unneeded
    assert unneeded & {"bevara", "fastapi", "httpcore", "dramatiq", "psycopg-binary", "opentelemetry-sdk", "pip"} == set()
