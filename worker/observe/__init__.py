"""Seeing the service run: metrics, logs, traces. Ids, counts and codes; never a file's name or content (P7)."""
