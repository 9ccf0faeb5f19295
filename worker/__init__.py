"""The service: queue, ledger, stores, policies, pipeline, command line. Never opens a record's content itself."""

__version__ = "0.1.0"
