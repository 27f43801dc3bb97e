"""Replies in a compact form that a cache keeps."""

from libc.stdint cimport uint8_t, uint32_t
from fastdns._wire cimport Query, Reply

# Write the records of a reply (all but OPT) to out, packed. Returns the size, or 0 where room is too small.
cdef uint32_t pack_reply(const Query* q, const Reply* r, uint8_t* out, uint32_t room) noexcept nogil

# What pack_reply wrote, as references into packed, which must outlive r. The caller has reset r, as packed may lie
# in its scratch. Every record gets ttl_s. RA and AD are as they were. Owners that were the question's name are the
# name again, in the spelling of the present question. False where packed is damaged.
cdef bint unpack_reply(const uint8_t* packed, uint32_t length, uint32_t ttl_s, Reply* r) noexcept nogil
