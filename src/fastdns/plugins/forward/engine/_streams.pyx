"""Rings to the event-loop thread and back: see _streams.pxd."""

import os

from libc.string cimport memcpy

from fastdns.memory._syscalls cimport c_close, c_read, c_write
from fastdns._wire cimport put_u16
from fastdns.memory._atomics cimport publish_u64
from fastdns.memory._mapping cimport map_private, unmap
from fastdns.memory._ring cimport ring_done, ring_next, ring_room


cdef bint put_request(Streams* s, const StreamTicket* ticket, const uint8_t* query, uint32_t size) noexcept nogil:
    cdef uint64_t end = 0
    cdef uint8_t* at = ring_room(s.requests, sizeof(StreamTicket) + size, &end)
    if at == NULL:
        return False
    memcpy(at, ticket, sizeof(StreamTicket))
    at += sizeof(StreamTicket)
    memcpy(at, query, size)
    put_u16(at, ticket.id)
    publish_u64(&s.requests.head, end)
    s.unsent = True
    return True


cdef void wake_event_loop(Streams* s) noexcept nogil:
    cdef uint64_t one = 1
    s.unsent = False
    c_write(s.request_event_fd, &one, 8)


cdef void begin_answers(Streams* s) noexcept nogil:
    cdef uint64_t ignored
    c_read(s.answer_event_fd, &ignored, 8)


cdef uint8_t* next_answer(Streams* s, StreamTicket* ticket, uint32_t* size) noexcept nogil:
    cdef uint64_t record = 0
    cdef uint8_t* at = ring_next(s.answers, &record)
    if at == NULL:
        return NULL
    memcpy(ticket, at, sizeof(StreamTicket))
    size[0] = record - sizeof(StreamTicket)
    return at + sizeof(StreamTicket)


cdef void end_answer(Streams* s, uint32_t size) noexcept nogil:
    ring_done(s.answers, sizeof(StreamTicket) + size)


cdef class StreamRings:
    """One serving thread's rings, as the event-loop thread uses them."""

    def __cinit__(self):
        self.streams.request_event_fd = self.streams.answer_event_fd = -1
        self.streams.requests = <ByteRing*>map_private(2 * sizeof(ByteRing))
        if self.streams.requests == NULL:
            raise MemoryError
        self.streams.answers = self.streams.requests + 1
        self.streams.request_event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.streams.answer_event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __dealloc__(self):
        unmap(self.streams.requests, 2 * sizeof(ByteRing))
        if self.streams.request_event_fd >= 0:
            c_close(self.streams.request_event_fd)
        if self.streams.answer_event_fd >= 0:
            c_close(self.streams.answer_event_fd)

    @property
    def request_fd(self):
        """Readable when take_requests has something to give."""
        return self.streams.request_event_fd

    def take_requests(self, uint32_t most):
        """What is to be asked over streams: (ticket, upstream, message, timeout in seconds) each.

        Each is to be answered with give_answer, once. If this returns as many as most there may be more, which do
        not make request_fd readable again.
        """
        cdef uint64_t size = 0
        cdef uint64_t ignored
        cdef uint8_t* at
        cdef StreamTicket* ticket
        c_read(self.streams.request_event_fd, &ignored, 8)
        taken = []
        while <uint32_t>len(taken) < most:
            at = ring_next(self.streams.requests, &size)
            if at == NULL:
                break
            ticket = <StreamTicket*>at
            taken.append((
                at[:sizeof(StreamTicket)], ticket.upstream,
                at[sizeof(StreamTicket):size], ticket.timeout_ns / 1e9,
            ))
            ring_done(self.streams.requests, size)
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
        at = ring_room(self.streams.answers, sizeof(StreamTicket) + size, &end)
        if at == NULL:
            return False
        memcpy(at, <const uint8_t*>ticket, sizeof(StreamTicket))
        (<StreamTicket*>at).failed = REPLIED
        if message is None:
            (<StreamTicket*>at).failed = HAD_NO_ROOM if had_no_room else FAILED
        if size:
            memcpy(at + sizeof(StreamTicket), <const uint8_t*>message, size)
        publish_u64(&self.streams.answers.head, end)
        return True

    def wake(self):
        """Wake the serving thread for all answers that were given."""
        cdef uint64_t one = 1
        c_write(self.streams.answer_event_fd, &one, 8)
