"""From an accepted query to its reply: what all plugins and transports use.

``_chain``    the server block by longest zone, its chain of steps, and back
``_suspend``  a client query that waits for a service, and how it is resumed
"""
