"""From an accepted query to its reply: what all plugins and transports use.

``_context``   what a step sees of a query, and the shapes of steps, chains and zones
``_zones``     the zone that a question belongs to, and how chains are built
``_chain``     from bytes to bytes: the chain of steps, there and back
``_question``  another question in the place of the client's
``_nested``    a step asks another question inside a query
``_suspend``   a query waits for a service, and how it is resumed
``_replies``   what a query has waited for
``_slots``     what plugins have for each thread
``_shares``    what each client holds of what is bounded
``_errors``    why a reply is an error, on its way to the log
``_worker``    all that one thread needs to serve
``python/``    steps in Python: what a query waits for while a coroutine works on it
"""
