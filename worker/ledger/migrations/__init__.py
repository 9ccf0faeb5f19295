"""Alembic migrations of the ledger. Never changed once released: a new one is added."""
