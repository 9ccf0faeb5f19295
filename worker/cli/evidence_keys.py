"""``bevara evidence key``, and how the folder of signing keys is named and opened by the other sub-commands."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from worker.cli.preserve import UsageError
from worker.evidence.keys import KeyFolder
from worker.service_settings import ServiceSettings


def _key_folder() -> str:
    return str(Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "bevara" / "keys")


def options(parser: argparse.ArgumentParser) -> None:
    """Where the keys are, and what opens them."""
    parser.add_argument("--keys", default=_key_folder(), metavar="DIR", help="the folder of keys; never inside an archive")
    parser.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help="holds the passphrase of the private keys (default: the setting BEVARA_EVIDENCE_PASSPHRASE_FILE; without: none)",
    )


def run(args: argparse.Namespace) -> int:
    """Make, show, change or protect keys."""
    keys = KeyFolder(Path(args.keys), _passphrase(args))
    if args.revoke and args.do != "rotate":
        raise UsageError("goes with `rotate` only", "--revoke", "A key is revoked when another takes its place.")
    if args.do == "protect":
        print(f"{keys.protect()} private keys were given the passphrase. Make backups of the folder anew, and remove the old ones")
        return 0
    if args.do == "new":
        shown = keys.new()
    elif args.do == "rotate":
        shown = keys.rotate(revoke=args.revoke)
    else:
        shown = keys.signer().public
    print(f"{shown.groups()}\n{shown.pem}", end="")
    return 0


def opened(args: argparse.Namespace) -> KeyFolder:
    """The folder that is meant.

    Raises:
        UsageError: It lies inside the archive, or the passphrase's file cannot be used.
    """
    folder, archive = Path(args.keys).resolve(), Path(args.archive).resolve()
    if folder.is_relative_to(archive):
        raise UsageError(
            "lies inside the archive", args.keys, "Keep keys apart: who holds an archive must not be able to sign it anew."
        )
    return KeyFolder(folder, _passphrase(args))


def _passphrase(args: argparse.Namespace) -> str:
    """Never an argument itself: other users of the machine see those."""
    if not args.passphrase_file:
        return ServiceSettings.load(needs=()).evidence_passphrase or ""
    try:
        said = Path(args.passphrase_file).read_text("utf-8").strip()
    except (OSError, ValueError) as broken:
        why = broken.strerror if isinstance(broken, OSError) else "it is no text in UTF-8"
        raise UsageError(f"cannot be read: {why}", args.passphrase_file, "Name a file with the passphrase in it.") from None
    if not said:
        raise UsageError("is empty", args.passphrase_file, "Name a file with the passphrase in it.")
    return said
