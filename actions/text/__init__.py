"""Shared craft of the text actions: naming an encoding, and decoding in bounded memory."""
