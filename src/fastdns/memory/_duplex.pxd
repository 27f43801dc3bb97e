"""Two rings of records between two threads, one each way, with an eventfd that wakes who reads.

The serving thread puts requests and takes replies; the event-loop thread takes requests and puts replies. Each side
wakes the other one once for many records.
"""

from libc.stdint cimport uint64_t
from fastdns.memory._mapping cimport map_private, unmap
from fastdns.memory._ring cimport ByteRing
from fastdns.memory._syscalls cimport EFD_CLOEXEC, EFD_NONBLOCK, c_close, c_eventfd, c_read, c_write

cdef struct Duplex:
    ByteRing* requests
    ByteRing* replies
    int request_fd              # readable: there may be requests
    int reply_fd
    bint unsent                 # there are requests of which the other side was not told

# False where the kernel refuses; close_duplex is right in any case.
cdef inline bint open_duplex(Duplex* d) noexcept nogil:
    d.unsent = False
    d.replies = NULL
    d.requests = <ByteRing*>map_private(2 * sizeof(ByteRing))
    if d.requests != NULL:
        d.replies = d.requests + 1
    d.request_fd = c_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    d.reply_fd = c_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    return d.requests != NULL and d.request_fd >= 0 and d.reply_fd >= 0

cdef inline void close_duplex(Duplex* d) noexcept nogil:
    unmap(d.requests, 2 * sizeof(ByteRing))
    if d.request_fd >= 0:
        c_close(d.request_fd)
    if d.reply_fd >= 0:
        c_close(d.reply_fd)

cdef inline void wake_reader(int fd) noexcept nogil:
    cdef uint64_t one = 1
    c_write(fd, &one, 8)

# Before what is there is read: what comes afterwards wakes again.
cdef inline void begin_to_read(int fd) noexcept nogil:
    cdef uint64_t ignored
    c_read(fd, &ignored, 8)
