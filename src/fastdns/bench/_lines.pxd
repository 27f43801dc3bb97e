"""A line on standard output for each query that has ended, as ``dnsperf -v`` prints it."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    # A write of at most this many bytes to a pipe is one piece (PIPE_BUF): processes do not cut each other's lines.
    LINES_BYTES = 4096

cdef struct Lines:
    uint32_t size
    char room[LINES_BYTES]


cdef void answered_line(Lines* lines, uint8_t rcode, const char* text, uint64_t took_ns) noexcept nogil
cdef void unanswered_line(Lines* lines, const char* why, const char* text) noexcept nogil
cdef void write_lines(Lines* lines) noexcept nogil
