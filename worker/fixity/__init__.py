"""Checks of what an archive holds: bytes, structure, history, and the ledger against them."""
