"""The queries of a run as the generator's loop reads them: one table for all processes, which only read it."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    NOTHING = 0         # expected of a query
    EXACTLY = 1         # these records
    SOME = 2            # any records, at least one

cdef struct Question:
    const uint8_t* message
    const char* text            # name and type, to be printed; NULL unless name_all has been called
    uint32_t size
    uint32_t question_end       # offset behind QCLASS; of a message without one question, behind the header
    uint64_t digest             # of expected records
    uint32_t records
    uint16_t qtype
    uint8_t rcode
    uint8_t expects


cdef class Questions:
    cdef readonly uint32_t count
    cdef readonly uint32_t most_bytes
    cdef Question* table
    cdef uint8_t* arena
    cdef list texts
