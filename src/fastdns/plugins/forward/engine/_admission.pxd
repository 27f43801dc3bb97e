"""A client query is suspended, or refused.

It joins an outstanding query whose question is equal, or becomes a new one. Of alike questions (see _questions)
there are MAX_ALIKE at a stanza at most: a query that would make one more waits for one of these to end, and is
then resumed: it asks, if there is room, or finds its answer in a cache. After DEADLINE_MS it is refused.
"""

from fastdns.serve._context cimport Context, Outcome

cdef enum:
    MAX_ALIKE = 64

# The service's suspend: let an upstream answer ctx.q. engine: an Engine; stanza: the Stanza that asks, which stands
# in the reply as its asker.
cdef Outcome admit(void* engine, Context* ctx, const void* stanza) noexcept nogil
