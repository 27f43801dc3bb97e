"""Queries and answers over UDP: a batch of messages in one system call."""

from libc.stdint cimport uint8_t, uint32_t

from fastdns.bench._asking cimport Asking
from fastdns.bench._lanes cimport Lane
from fastdns.bench._sockets cimport iovec, mmsghdr

cdef struct Datagrams:
    uint8_t* room
    uint8_t* slots
    uint32_t slot_bytes
    mmsghdr* headers_in
    mmsghdr* headers_out
    iovec* iovecs_in
    iovec* iovecs_out


cdef int make_datagrams(Datagrams* d, uint32_t query_bytes) noexcept nogil
cdef void free_datagrams(Datagrams* d) noexcept nogil
cdef uint32_t take_answers(Datagrams* d, Asking* a, Lane* lane) noexcept nogil
cdef uint32_t send_queries(Datagrams* d, Asking* a, Lane* lane, uint32_t n) noexcept nogil
