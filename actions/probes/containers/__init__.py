"""Readers of archive headers, one format a module; for ``probes.container`` only."""
