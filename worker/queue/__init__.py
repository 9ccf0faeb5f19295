"""dramatiq actors: thin shells around pipeline functions."""
