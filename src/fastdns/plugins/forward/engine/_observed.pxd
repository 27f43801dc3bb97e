"""Tell the observers of a stanza's block what is asked and replied. Probes are nobody's questions."""

from libc.stdint cimport uint8_t, uint32_t
from fastdns.plugins.forward.engine._state cimport Engine, Outstanding

# Whether anybody looks on: of most queries nobody does.
cdef inline bint is_observed(const Outstanding* o) noexcept nogil:
    return o.stanza.observers.count != 0 and not o.probe

# An attempt has been sent. Of one that was sent again, once more.
cdef void tell_sent(Engine* e, const Outstanding* o, uint32_t which) noexcept nogil
# A reply to it has come.
cdef void tell_reply(Engine* e, const Outstanding* o, uint32_t which, const uint8_t* msg,
                     uint32_t size) noexcept nogil
