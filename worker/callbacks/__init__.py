"""Callbacks: telling an ingest system that its job ended. Signing, where they may go, sending until somebody takes them."""
