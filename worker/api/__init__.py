"""The ingest API: FastAPI under ``/v1``, one module for each resource."""
