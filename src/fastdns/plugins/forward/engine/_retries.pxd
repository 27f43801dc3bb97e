"""An attempt has failed or is silent: who is asked next, and when it is enough (decision 5).

A failed attempt leads to the next upstream at once. A silent one is hedged: if no reply arrives within the adaptive
timeout of the upstream, the next upstream is asked as well; where none is left, the same datagram is sent again,
twice at most.
"""

from libc.stdint cimport uint8_t, uint32_t
from fastdns.plugins.forward.engine._state cimport Engine

# Start an attempt at the next upstream that may be asked. False where there is none. asked_too: also one that was
# asked before and is not out any more. Where all upstreams are down, one of them gets a last chance, unless the
# stanza says otherwise.
cdef bint ask_next(Engine* e, uint32_t place, bint asked_too) noexcept nogil
# An attempt has ended without a good reply: ask another upstream, wait for those that are out, or end.
cdef void go_on(Engine* e, uint32_t place, bint asked_too) noexcept nogil
# The upstream gave nothing that can be used; or, shortage, it was not even asked, as something of ours was used up.
cdef void attempt_failed(Engine* e, uint32_t place, uint32_t which, uint8_t error, bint shortage) noexcept nogil
# The upstream that was asked last has been silent for longer than is usual; or a pause has ended.
cdef void hedge(Engine* e, uint32_t place) noexcept nogil
