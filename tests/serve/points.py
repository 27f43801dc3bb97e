"""The entry points of the plugins in choosing.py. This module imports nothing that is compiled."""

NAMES = ("choose", "gather", "facts", "say", "ask", "wait")
ENTRY_POINTS = {name: f"tests.serve.choosing:{name}" for name in NAMES}
