"""A step asks another question inside a query: of the whole server, or of the steps behind one of its own chain.

The question has a frame of its own: steps see an empty reply, and what they set of the Context is theirs. What it
comes to is the asker's: all three sections, and the code. A step may ask several questions in turn. Where one has
to wait, the whole query does: the step returns SUSPENDED (an ``after`` just returns), and asks the same ones again
when the query is served again; what they have waited for is there.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns.serve._context cimport ANSWERED, DROPPED, Context, Outcome
from fastdns._wire cimport RR, Reply, Section

cdef enum:
    WHOLE_SERVER = 0xFFFFFFFF       # the question goes to the zone that it belongs to

# Records of one section. Their names are their own; they are good until the client's reply is written.
cdef struct Records:
    RR* rr
    uint32_t count

# What a question has come to. written: by a plugin; else it is a failure without records, see error. asked: nobody
# was, where it is False: MAX_DEPTH, MAX_ASKED, no room.
cdef struct Found:
    bint asked
    uint16_t rcode
    bint aa
    bint ra
    bint ad
    bint tc
    bint written
    bint from_upstream
    uint16_t error
    uint16_t error_upstream
    const uint8_t* options      # an upstream's EDNS options
    uint16_t options_len
    Records answer
    Records authority
    Records additional

# Ask for name (uncompressed wire form, any case), class IN. first: WHOLE_SERVER, or a step of the chain that runs.
# ANSWERED: found has it. SUSPENDED: return this. DROPPED: nothing came back (silence, or nobody was asked), and
# found is an empty SERVFAIL.
cdef Outcome nested(Context* ctx, const uint8_t* name, uint32_t name_len, uint16_t qtype, uint32_t first,
                    Found* found) noexcept nogil

# Whether a step that has nothing else to say is to reply with what was found; else it returns the outcome. Silence
# is passed on. Where nobody was asked, the client is told of a failure.
cdef inline bint is_reply(Outcome outcome, const Found* found) noexcept nogil:
    return outcome == ANSWERED or (outcome == DROPPED and not found.asked)

# Add records to a section of the reply. What is too much is left out, with TC.
cdef void add_records(Reply* reply, Section* section, const Records* records) noexcept nogil

# Add to the answer what the target of its last alias has come to: up to the first alias that the answer has
# already, which closes a loop (RFC 1034 section 3.6.2). What is too much is left out, with TC.
cdef void add_answer_of_alias(Context* ctx, const Records* records) noexcept nogil

# Make what another question has come to the reply to this one, behind the answer that it has already.
cdef Outcome reply_with(Context* ctx, const Found* found) noexcept nogil
