"""The service: queue, ledger, stores, policies, pipeline, command line. Never opens a record's content itself."""

from importlib.metadata import version

__version__ = version("bevara")
