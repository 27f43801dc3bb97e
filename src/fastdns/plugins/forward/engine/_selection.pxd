"""Which upstream of a stanza is asked next.

An upstream stands at a place in the stanza's list. The policy says where a query begins; from there on the places
follow in turn. Passed over are upstreams that are cut off or down; those that are suspect come after the others,
and those that this query has asked before come last.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from fastdns.plugins.forward.engine._stanza cimport Stanza
from fastdns.plugins.forward.engine._state cimport Engine, Outstanding, Upstream

cdef inline Upstream* upstream_at(Engine* e, const Stanza* stanza, uint32_t at) noexcept nogil:
    return &e.upstreams[stanza.upstreams[at]]

# The place in the list where a query begins, by the stanza's policy.
cdef uint16_t first_of(Engine* e, const Stanza* stanza) noexcept nogil
# The next one to ask, or NONE. asked_too: also one that was asked before and is not out any more.
cdef uint32_t next_of(Engine* e, Outstanding* o, bint asked_too) noexcept nogil
# Where all are down: any one that is not cut off, or NONE.
cdef uint32_t last_chance_of(Engine* e, const Stanza* stanza) noexcept nogil
# Whether there is an upstream that is neither down nor cut off.
cdef bint any_up(Engine* e, const Stanza* stanza) noexcept nogil
# The place of an upstream in the list.
cdef uint32_t place_of(const Stanza* stanza, uint32_t upstream) noexcept nogil
# This one is asked now.
cdef void passes(Outstanding* o, uint32_t at) noexcept nogil
