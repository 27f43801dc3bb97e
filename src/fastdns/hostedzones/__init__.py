"""Hosted zones: a provider serves them, and lists their records over an API of its own."""
