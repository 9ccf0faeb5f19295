"""Where bytes are kept: OCFL 1.1 roots behind one contract."""
