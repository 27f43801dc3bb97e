"""The answer to a question from a zone (RFC 1034 section 4.3.2, RFC 4592, RFC 6672).

A name's alias is followed inside the zone, at most MAX_ALIASES times; each alias is shown once, so loops end. For
what an alias leads to elsewhere (another zone, below a cut, another server) the whole server is asked
(serve/_nested.pxd). The work is one look-up of each alias, of each host whose addresses are added, and of each
proof.
"""

from fastdns.rrsets._lookup cimport ZoneView
from fastdns.serve._context cimport Context, Outcome

# ctx.q is in the zone. falls: a question for a name that does not exist, or that has nothing but names below it, is
# the next step's: NEXT.
cdef Outcome answer_from(Context* ctx, const ZoneView* z, bint falls) noexcept nogil
