"""What the log plugin says of one query, on its way from a serving thread to the one that writes.

A ring of bytes for one producer and one reader, without a lock. Events are 8-byte aligned and in one piece: one
that would not fit before the end begins at the start again, behind a mark. What finds the ring full, or comes
faster than the bound on lines a second, is dropped and counted.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    MIN_RING_BYTES = 1024       # holds one event wherever it begins
    MAX_RING_BYTES = 0x40000000
    CACHE_LINE_BYTES = 64

cdef enum LogBits:
    LOG_DO = 1                  # the query has DO set
    LOG_TCP = 2
    LOG_SILENT = 4              # no reply: response code, flags and size are none

# All numbers are the host's. The qname (lowercased wire form, name_len bytes) follows, and each value of the rule's
# format: a length byte and the text.
cdef struct LogEvent:
    uint16_t size               # of the whole, a multiple of 8; 0: go on at the ring's start
    uint16_t block              # number of the server block, and of its rule
    uint16_t rule
    uint16_t id
    uint16_t qtype
    uint16_t qclass
    uint16_t client_port
    uint16_t query_bytes        # as received
    uint16_t udp_bytes          # what the client takes; 65535 over TCP
    uint16_t rcode
    uint16_t flags              # of the reply, as in a header
    uint16_t name_len
    uint32_t reply_bytes        # without compression, truncation and OPT
    uint8_t opcode
    uint8_t client_len          # 4 or 16
    uint8_t bits                # of LogBits
    uint8_t value_count
    uint64_t took_ns            # from arrival on
    uint64_t listener           # whose address the query came to: const Server*
    uint8_t client[16]

cdef struct Ring:
    # The producer's.
    uint64_t head               # bytes ever written, marks and what they skip included
    uint64_t next_head          # head once the reserved event is whole
    uint64_t used               # bytes in use before the reserved event
    uint64_t dropped            # events; read by the reader, too
    uint64_t due_ns             # when the next line is due at the bounded rate (CLOCK_MONOTONIC)
    uint64_t line_ns            # at that rate
    uint8_t* bytes
    uint8_t* trial              # room to try out how a reply is written: MAX_MESSAGE_BYTES + MAX_OPT_ECHO_BYTES
    uint32_t capacity           # power of two
    int wake_fd                 # an eventfd that is written to where the ring becomes half full; -1: none
    uint8_t apart[CACHE_LINE_BYTES]
    # The reader's.
    uint64_t tail               # bytes ever read

cdef inline const uint8_t* event_name(const LogEvent* event) noexcept nogil:
    return <const uint8_t*>event + sizeof(LogEvent)

# Room for one event with so many bytes behind it, size set; NULL where it is dropped. now_ns: CLOCK_MONOTONIC.
cdef LogEvent* reserve(Ring* ring, uint32_t more, uint64_t now_ns) noexcept nogil
# Show the reserved event, now filled, to the reader.
cdef void commit(Ring* ring) noexcept nogil
# The event at a reader's position, which moves behind it; NULL where there is none before head.
cdef const LogEvent* read_event(const Ring* ring, uint64_t* at, uint64_t head) noexcept nogil


cdef class LogRing:
    cdef Ring* ring
    cdef list workers
