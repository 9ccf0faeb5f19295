"""One file's way through (design.md §4)."""
