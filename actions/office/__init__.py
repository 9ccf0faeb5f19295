"""Readers of office documents that share no code with LibreOffice: the second voice of a conversion's proof."""
