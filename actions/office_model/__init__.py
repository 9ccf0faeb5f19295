"""What LibreOffice itself read of a document, as plain facts: the converter's own voice, not an independent one."""
