"""From an accepted query to its reply: what all plugins and transports use.

``_suspend``  a client query that waits, and how it is resumed
"""
