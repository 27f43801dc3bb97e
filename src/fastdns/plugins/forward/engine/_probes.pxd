"""Health checks: is an upstream well?

After a failed attempt, and when it is suspect, an upstream is probed: a question that any server can answer, once
an interval until there is a reply, whatever that says. A probe is an outstanding query that nobody waits for; it
is neither hedged nor sent twice.
"""

from libc.stdint cimport uint32_t
from fastdns.plugins.forward.engine._stanza cimport Stanza
from fastdns.plugins.forward.engine._state cimport Engine

# Probe an upstream, unless the stanza has no probes or one is out already.
cdef void start_probe(Engine* e, const Stanza* stanza, uint32_t upstream) noexcept nogil
cdef void probe_answered(Engine* e, uint32_t place) noexcept nogil
# shortage: it was not sent, as something of ours was used up.
cdef void probe_failed(Engine* e, uint32_t place, bint shortage) noexcept nogil
# Time has come for something that may happen to a probe that is not out.
cdef void probe_due(Engine* e, uint32_t place) noexcept nogil
