"""Which upstream of a stanza is asked next.

An upstream stands at a place in the stanza's list. The policy says where a query begins; from there on the places
follow in turn. Passed over are upstreams that are cut off or down; those that are suspect come after the others,
and those that this query has asked before come last.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from fastdns.memory._random cimport random_u32
from fastdns.plugins.forward.engine._health cimport is_doubtful, is_down
from fastdns.plugins.forward.engine._shared cimport is_cut
from fastdns.plugins.forward.engine._stanza cimport RANDOM, ROUND_ROBIN, Stanza
from fastdns.plugins.forward.engine._state cimport FREE, MAX_ATTEMPTS, NONE, Engine, Outstanding, Upstream

cdef inline Upstream* upstream_at(Engine* e, const Stanza* stanza, uint32_t at) noexcept nogil:
    return &e.upstreams[stanza.upstreams[at]]

cdef inline bint was_asked(const Outstanding* o, uint32_t at) noexcept nogil:
    return (o.passed[at >> 6] >> (at & 63)) & 1

# The next in turn that may be asked, or NONE.
cdef inline uint32_t candidate(Engine* e, Outstanding* o, bint asked_too, bint suspects_too) noexcept nogil:
    cdef const Stanza* stanza = o.stanza
    cdef uint32_t i, at, k
    cdef Upstream* u
    cdef bint out
    for i in range(stanza.upstream_count):
        at = (o.first + o.turn + i) % stanza.upstream_count
        u = upstream_at(e, stanza, at)
        if is_cut(u.shared) or is_down(&u.health, stanza):
            continue
        if not suspects_too and is_doubtful(&u.health, e.now_ns):
            continue
        if was_asked(o, at):
            if not asked_too:
                continue
            out = False
            for k in range(MAX_ATTEMPTS):
                if o.attempts[k].state != FREE and o.attempts[k].upstream == stanza.upstreams[at]:
                    out = True
            if out:
                continue
        o.turn = (o.turn + i) % stanza.upstream_count
        return at
    return NONE

# The place in the list where a query begins, by the stanza's policy.
cdef inline uint16_t first_of(Engine* e, const Stanza* stanza) noexcept nogil:
    if stanza.policy == ROUND_ROBIN:
        e.turns[stanza.number] += 1
        return e.turns[stanza.number] % stanza.upstream_count
    if stanza.policy == RANDOM and stanza.upstream_count > 1:
        return random_u32(&e.random) % stanza.upstream_count
    return 0

# The next one to ask, or NONE. asked_too: also one that was asked before and is not out any more.
cdef inline uint32_t next_of(Engine* e, Outstanding* o, bint asked_too) noexcept nogil:
    cdef uint32_t at = candidate(e, o, False, False)
    if at == NONE:
        at = candidate(e, o, False, True)
    if at == NONE and asked_too:
        at = candidate(e, o, True, True)
    return at

# Where all are down: any one that is not cut off, or NONE.
cdef inline uint32_t last_chance_of(Engine* e, const Stanza* stanza) noexcept nogil:
    cdef uint32_t first = random_u32(&e.random) % stanza.upstream_count
    cdef uint32_t i, at
    for i in range(stanza.upstream_count):
        at = (first + i) % stanza.upstream_count
        if not is_cut(upstream_at(e, stanza, at).shared):
            return at
    return NONE

# Whether there is an upstream that is neither down nor cut off.
cdef inline bint any_up(Engine* e, const Stanza* stanza) noexcept nogil:
    cdef uint32_t i
    cdef Upstream* u
    for i in range(stanza.upstream_count):
        u = upstream_at(e, stanza, i)
        if not (is_down(&u.health, stanza) or is_cut(u.shared)):
            return True
    return False

# The place of an upstream in the list.
cdef inline uint32_t place_of(const Stanza* stanza, uint32_t upstream) noexcept nogil:
    cdef uint32_t i
    for i in range(stanza.upstream_count):
        if stanza.upstreams[i] == upstream:
            return i
    return 0

# This one is asked now.
cdef inline void passes(Outstanding* o, uint32_t at) noexcept nogil:
    o.passed[at >> 6] |= <uint64_t>1 << (at & 63)
    o.turn = (at + o.stanza.upstream_count - o.first + 1) % o.stanza.upstream_count
