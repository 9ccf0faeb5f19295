"""Runs a command under a container engine's seccomp profile, without the engine: by libseccomp, as runc does.

python -m tests.under_seccomp docker/seccomp.json COMMAND…
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
from pathlib import Path

ALLOW, ERRNO, EQUAL = 0x7FFF0000, 0x00050000, 4  # seccomp.h of libseccomp 2
UNKNOWN = -1


class Compare(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("value", ctypes.c_uint64), ("mask", ctypes.c_uint64))


def action(said: dict, fallback: int) -> int:
    return ALLOW if said["action"] == "SCMP_ACT_ALLOW" else ERRNO | said.get("errnoRet", fallback)


def load(profile: dict) -> None:
    """Put this process, and all that it becomes, under *profile*."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    default = profile["defaultErrnoRet"]
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(ERRNO | default)))
    for rule in profile["syscalls"]:
        compares = [Compare(one["index"], EQUAL, one["value"], 0) for one in rule.get("args", [])]
        array = (Compare * len(compares))(*compares)
        for name in rule["names"]:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number == UNKNOWN or action(rule, default) == ERRNO | default:
                continue
            done = lib.seccomp_rule_add_array(context, ctypes.c_uint32(action(rule, default)), number, len(compares), array)
            if done not in {0, -errno.EEXIST, -errno.EDOM}:
                raise OSError(-done, f"seccomp rule {name}")
    if done := lib.seccomp_load(context):
        raise OSError(-done, "seccomp_load")


if __name__ == "__main__":
    load(json.loads(Path(sys.argv[1]).read_text("utf-8")))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 -- that is what it is for
