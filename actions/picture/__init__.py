"""Shared craft of the picture actions: bounded decoding, structure walks, digests, colour and depth."""
