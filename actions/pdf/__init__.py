"""Shared pieces of the PDF actions: one module per family of repairs. Not actions themselves."""
