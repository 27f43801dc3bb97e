"""What a primary says, read message by message: AXFR (RFC 5936) and IXFR (RFC 1995) become a draft, or changes.

    AXFR                        SOA, all other records, the same SOA
    IXFR, the version is older  SOA; of each difference the old SOA and what is removed, the new SOA and what is
                                added; SOA. Or as AXFR
    IXFR, it is the same        SOA

Nothing in a message is trusted. Whatever is not as it should be ends the transfer (SourceError), and nothing of
it is used: another ID, question, class or rcode; a record that is cut off; a name whose pointers do not lead
backwards; rdata that has not the form of its type; a type that no zone has; an SOA record where none belongs, or
with another serial; differences that do not lead from the known serial to the new one; records behind the end; more
records, bytes or changes than allowed. Bytes count unpacked: a message of 64 KiB may unpack to 3 MB.

What cannot be served is left out, and said: names that are not in the zone, and what zonefiles/reading.py leaves
out of files. NSEC3 records go on their shelf (authoritative/_denial.pxd); their signatures follow in finish, when
all shelves are known.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.rrsets._draft cimport Buffer, Draft

cdef enum Part:
    OPENING = 0             # the first SOA record is awaited
    SECOND = 1              # of IXFR: the second record, which says what follows
    NAMES = 2               # of the whole zone
    REMOVED = 3             # by a difference
    ADDED = 4
    COMPLETE = 5

cdef enum:
    # The names of rdata may take more than its bytes in the message: two of them, of 255 bytes.
    RDATA_ROOM = 66560

# One record, unpacked; the owner in lower case.
cdef struct Record:
    uint8_t owner[256]
    uint8_t rdata[RDATA_ROOM]
    uint32_t owner_len
    uint32_t rdata_len
    uint32_t ttl_s
    uint16_t rrtype
    uint16_t rrclass


cdef class Incoming:
    cdef readonly Draft draft
    cdef readonly bint whole
    cdef readonly list changes
    cdef readonly list kept
    cdef readonly uint32_t serial
    cdef readonly uint32_t soa_ttl_s
    cdef readonly bytes soa
    cdef readonly uint64_t rrs
    cdef readonly uint64_t unpacked_bytes
    cdef readonly bint is_partial
    cdef readonly uint64_t left_out
    cdef readonly list said
    cdef bytes zone
    cdef const uint8_t* zone_bytes
    cdef uint32_t zone_len
    cdef uint16_t qtype
    cdef uint16_t message_id
    cdef bint has_known
    cdef uint32_t known
    cdef frozenset wanted
    cdef uint64_t max_rrs
    cdef uint64_t max_bytes
    cdef uint32_t max_changes
    cdef Part part
    cdef uint32_t current               # the serial that the differences have come to
    cdef Buffer unshelved               # signatures of NSEC3 records: UnshelvedHead, label, rdata
    cdef set shelves
    cdef Record* rr

    cdef int take_record(self) except -1
    cdef int keep(self) except -1
    cdef int change(self, bint added) except -1
    cdef int read_soa(self) except -1
    # The owner becomes that of the shelf. False where the record is left out, or a signature that has to wait.
    cdef bint shelve(self) except -1
    cdef int leave_out(self, object why, bint is_partial) except -1
    cdef int place_signatures(self) except -1
