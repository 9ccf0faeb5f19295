"""The service: queue, ledger, stores, policies, pipeline, command line. Never opens a record's content itself."""
