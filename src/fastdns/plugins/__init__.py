"""The plugins: a folder each, and a line each in order.py. api.py says what the server asks of them.

Importing a plugin has no side effect.
"""
