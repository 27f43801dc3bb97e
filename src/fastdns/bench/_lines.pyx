"""Collects lines and writes them: ``> NXDOMAIN a.example A 0.000218``, ``> T a.example A``."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf

from fastdns.bench.messages import RCODES

cdef extern from "unistd.h" nogil:
    ssize_t write(int fd, const void* data, size_t size)

cdef enum:
    STANDARD_OUTPUT = 1
    LINE_BYTES = 1400           # a name of 255 bytes, each written \\DDD, with what stands around it

cdef tuple names = tuple([name.encode() for name in RCODES])
cdef const char* rcode_names[16]
for i in range(16):
    rcode_names[i] = <bytes>names[i]


cdef void write_lines(Lines* lines) noexcept nogil:
    """Write what has been collected. What nobody reads is dropped."""
    cdef uint32_t at = 0
    cdef ssize_t written
    while at < lines.size:
        written = write(STANDARD_OUTPUT, lines.room + at, lines.size - at)
        if written <= 0:
            break
        at += <uint32_t>written
    lines.size = 0


cdef inline uint32_t room_for_line(Lines* lines) noexcept nogil:
    if LINES_BYTES - lines.size < LINE_BYTES:
        write_lines(lines)
    return LINES_BYTES - lines.size


cdef void answered_line(Lines* lines, uint8_t rcode, const char* text, uint64_t took_ns) noexcept nogil:
    cdef uint32_t room = room_for_line(lines)
    cdef uint64_t us = took_ns // 1000
    lines.size += snprintf(
        lines.room + lines.size, room, b"> %s %s %u.%06u\n", rcode_names[rcode & 0xF], text,
        <unsigned int>(us // 1000000), <unsigned int>(us % 1000000))


cdef void unanswered_line(Lines* lines, const char* why, const char* text) noexcept nogil:
    """why: T for a query that was lost, I for one that was interrupted."""
    cdef uint32_t room = room_for_line(lines)
    lines.size += snprintf(lines.room + lines.size, room, b"> %s %s\n", why, text)
