"""The craft: everything that touches a record's content. Knows no queue, ledger, store or tenant."""
