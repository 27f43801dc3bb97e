"""Another question in the place of the client's: as a message of its own, and what its records are to the client's.

A record by reference (RR) may have its owner, and ends of names in its rdata, in the question. Before it is shown
under another question, detach gives it names of its own.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns.serve._context cimport Context, Outcome
from fastdns._wire cimport RR, Query, Reply

# EDNS options of a question, whole ones. Upstreams are told the last sent_len bytes of them; else they get DO and
# the client subnet alone, because EDNS is hop by hop.
cdef struct Options:
    const uint8_t* data
    uint32_t length
    uint32_t sent_len

# A question as a message in the reply's scratch: the header is that of ``like``, and so is the OPT record, unless
# options say what is in it. False where there is no room, name (uncompressed wire form, any case) is none, or an
# option is malformed.
cdef bint make_question(Reply* reply, const Query* like, const uint8_t* name, uint32_t name_len, uint16_t qtype,
                        uint16_t qclass, const Options* options, Query* into) noexcept nogil

# Give count records of a reply to q names of their own. Where scratch runs out, the records behind are left out: it
# returns how many are left, and sets TC.
cdef uint32_t detach(Reply* reply, const Query* q, RR* rr, uint32_t count) noexcept nogil

# For the running step's before: the steps below are asked this from now on. On the way up the question is put back,
# and the records' names are made their own, before this step's after. NEXT; or what becomes of the query instead:
# the step returns it.
cdef Outcome change_question(Context* ctx, const uint8_t* name, uint32_t name_len, uint16_t qtype,
                             uint16_t qclass) noexcept nogil

# The same, with these EDNS options in place of those that the question has.
cdef Outcome change_question_and_options(Context* ctx, const uint8_t* name, uint32_t name_len, uint16_t qtype,
                                         uint16_t qclass, const Options* options) noexcept nogil

# Whether the steps of the chain that runs, before one, let the question of ctx pass: NEXT, or what becomes of it.
cdef Outcome judge_question(Context* ctx, uint32_t behind) noexcept nogil

# Put back the question that the last change took away, and detach the reply's records.
cdef void restore_question(Context* ctx) noexcept nogil
