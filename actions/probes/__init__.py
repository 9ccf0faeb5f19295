"""What PRONOM cannot see, one family a module: ``probe(source) -> dict[str, Fact]``. Pure readers, no output files."""
