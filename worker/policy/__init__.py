"""Policies: YAML that officers write, checked at load; and the pure decision from facts to a plan."""
