"""The bounds of one record, for the native program and for Python alike."""

from __future__ import annotations

# Of the text that a template comes to, and of the strings on the way there.
MAX_RR_TEXT_BYTES = 16384
# Nodes, operands, commands and rounds of loops that are looked at.
MAX_STEPS = 20000
# Records of one template, all sections together.
MAX_RECORDS = 256
