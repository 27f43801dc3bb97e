"""Rings to the event-loop thread and back: see _streams.pxd."""

from libc.errno cimport errno
from libc.string cimport memcpy

from fastdns._wire cimport put_u16
from fastdns.memory._atomics cimport publish_u64
from fastdns.memory._duplex cimport begin_to_read, close_duplex, open_duplex, wake_reader
from fastdns.memory._ring cimport ring_done, ring_next, ring_room


cdef bint put_request(Duplex* rings, const StreamTicket* ticket, const uint8_t* query,
                      uint32_t size) noexcept nogil:
    cdef uint64_t end = 0
    cdef uint8_t* at = ring_room(rings.requests, sizeof(StreamTicket) + size, &end)
    if at == NULL:
        return False
    memcpy(at, ticket, sizeof(StreamTicket))
    at += sizeof(StreamTicket)
    memcpy(at, query, size)
    put_u16(at, ticket.id)
    publish_u64(&rings.requests.head, end)
    rings.unsent = True
    return True


cdef uint8_t* next_answer(Duplex* rings, StreamTicket* ticket, uint32_t* size) noexcept nogil:
    cdef uint64_t record = 0
    cdef uint8_t* at = ring_next(rings.replies, &record)
    if at == NULL:
        return NULL
    memcpy(ticket, at, sizeof(StreamTicket))
    size[0] = record - sizeof(StreamTicket)
    return at + sizeof(StreamTicket)


cdef void end_answer(Duplex* rings, uint32_t size) noexcept nogil:
    ring_done(rings.replies, sizeof(StreamTicket) + size)


cdef class StreamRings:
    """One serving thread's rings, as the event-loop thread uses them."""

    def __cinit__(self):
        if not open_duplex(&self.rings):
            raise OSError(errno, "the rings to the event loop")

    def __dealloc__(self):
        close_duplex(&self.rings)

    @property
    def request_fd(self):
        """Readable when take_requests has something to give."""
        return self.rings.request_fd

    def take_requests(self, uint32_t most):
        """What is to be asked over streams: (ticket, upstream, message, timeout in seconds) each.

        Each is to be answered with give_answer, once. If this returns as many as most there may be more, which do
        not make request_fd readable again.
        """
        cdef uint64_t size = 0
        cdef uint8_t* at
        cdef StreamTicket* ticket
        begin_to_read(self.rings.request_fd)
        taken = []
        while <uint32_t>len(taken) < most:
            at = ring_next(self.rings.requests, &size)
            if at == NULL:
                break
            ticket = <StreamTicket*>at
            taken.append((
                at[:sizeof(StreamTicket)], ticket.upstream,
                at[sizeof(StreamTicket):size], ticket.timeout_ns / 1e9,
            ))
            ring_done(self.rings.requests, size)
        return taken

    def give_answer(self, bytes ticket not None, bytes message, bint had_no_room=False):
        """Put the reply to a request into the ring; message None: there is none. The serving thread looks at it
        after the next wake. False where the ring is full: try again later.

        had_no_room: the upstream was not asked, for want of a place or a descriptor in this process.
        """
        cdef uint64_t end = 0
        cdef uint32_t size = len(message) if message is not None else 0
        cdef uint8_t* at
        if len(ticket) != sizeof(StreamTicket):
            raise ValueError(f"a ticket has {sizeof(StreamTicket)} bytes, got {len(ticket)}")
        at = ring_room(self.rings.replies, sizeof(StreamTicket) + size, &end)
        if at == NULL:
            return False
        memcpy(at, <const uint8_t*>ticket, sizeof(StreamTicket))
        (<StreamTicket*>at).failed = REPLIED
        if message is None:
            (<StreamTicket*>at).failed = HAD_NO_ROOM if had_no_room else FAILED
        if size:
            memcpy(at + sizeof(StreamTicket), <const uint8_t*>message, size)
        publish_u64(&self.rings.replies.head, end)
        return True

    def wake(self):
        """Wake the serving thread for all answers that were given."""
        wake_reader(self.rings.reply_fd)
