"""The one error of the header readers; apart, so that each can be imported alone."""


class BrokenHeaderError(Exception):
    """A header contradicts itself, or leads outside the file. The message is the fact ``damage``."""
