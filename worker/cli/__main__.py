"""``python -m worker.cli``: the same as the ``bevara`` command."""

from worker.cli.main import entry

entry()
