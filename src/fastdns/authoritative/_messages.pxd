"""The messages of a transfer, as they are written: header, question, RRs in the answer section, OPT record.

Owners are compressed: what stands before the zone, and a pointer to the zone in the question, or a pointer to the
owner of the record before. Rdata is written as it is.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

from fastdns.serve._transfers cimport Outgoing
from fastdns._wire cimport Section

cdef enum:
    # Of a message: about 0.1 ms of the thread's time; and compression pointers reach so far.
    TARGET_BYTES = 16384

# A message that is being written.
cdef struct Message:
    Outgoing* t
    uint8_t* out
    uint32_t limit              # as long as it has any records
    uint32_t room
    uint32_t size
    uint16_t count
    uint32_t owner_at           # of the name that was written last; 0: none

cdef void begin_message(Message* m, Outgoing* t, uint8_t* out, uint32_t room) noexcept nogil

# Its size.
cdef int32_t end_message(Message* m) noexcept nogil

# Add an RR. name: of size bytes, relative to the zone; NULL: that of the RR before. Returns whether it has found
# room.
cdef bint write_rr(Message* m, const uint8_t* name, uint32_t size, uint16_t rrtype, uint32_t ttl_s,
                   const uint8_t* rdata, uint32_t rdata_len) noexcept nogil

# Add the RRs of a reply's section that are in the zone, as far as the whole room reaches. Returns whether it has
# found room for all.
cdef bint write_section(Message* m, const Section* section) noexcept nogil
