"""Shipped policies: data that officers read and change. The code that reads them is ``worker.policy``."""
