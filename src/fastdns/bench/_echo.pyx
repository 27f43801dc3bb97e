"""The limit of sockets: recvmmsg, an answer that costs nothing to make, sendmmsg.

A DNS server that sends each reply on its own cannot spend less on a query, so servers are measured in multiples of
it. The answer is the query with QR set and some bytes appended, so that it is as long as the other server's answer.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastdns.bench._sockets cimport (
    ADDRESS_ROOM, BATCH, MSG_DONTWAIT, MSG_WAITFORONE, iovec, mmsghdr, recvmmsg, sendmmsg,
)

cdef enum:
    ROOM = 4096
    HEADER_BYTES = 12
    QR = 0x80


cdef class Echo:
    """fd: a bound UDP socket; its receive timeout (SO_RCVTIMEO) is how long ``run`` may take to see ``stop``."""

    cdef int fd
    cdef uint32_t extra
    cdef bint stopping
    cdef readonly uint64_t answered
    cdef uint8_t* room
    cdef uint8_t* addresses
    cdef mmsghdr* headers
    cdef iovec* iovecs

    def __cinit__(self, int fd, uint32_t extra_bytes=16):
        cdef int i
        if extra_bytes > ROOM // 2:
            raise ValueError(f"extra_bytes must be at most {ROOM // 2}, got {extra_bytes}")
        self.fd = fd
        self.extra = extra_bytes
        self.room = <uint8_t*>calloc(BATCH, ROOM)
        self.addresses = <uint8_t*>calloc(BATCH, ADDRESS_ROOM)
        self.headers = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
        self.iovecs = <iovec*>calloc(BATCH, sizeof(iovec))
        if not (self.room and self.addresses and self.headers and self.iovecs):
            raise MemoryError
        for i in range(BATCH):
            self.iovecs[i].iov_base = self.room + i * ROOM
            self.headers[i].msg_hdr.msg_name = self.addresses + i * ADDRESS_ROOM
            self.headers[i].msg_hdr.msg_iov = &self.iovecs[i]
            self.headers[i].msg_hdr.msg_iovlen = 1

    def __dealloc__(self):
        free(self.room)
        free(self.addresses)
        free(self.headers)
        free(self.iovecs)

    def run(self):
        """Answer until stop is called. Raises OSError if the socket fails."""
        cdef int failed
        with nogil:
            failed = self.answer_all()
        if failed:
            raise OSError(failed, "recvmmsg")

    def stop(self):
        """End run at its next timeout. May be called from any thread."""
        self.stopping = True

    cdef int answer_all(self) noexcept nogil:
        """Returns 0, or the errno of a failed receive."""
        cdef int i, count, first, sent
        cdef uint8_t* message
        while not self.stopping:
            for i in range(BATCH):
                self.iovecs[i].iov_len = ROOM - self.extra
                self.headers[i].msg_hdr.msg_namelen = ADDRESS_ROOM
            count = recvmmsg(self.fd, self.headers, BATCH, MSG_WAITFORONE, NULL)
            if count < 0:
                if errno == EAGAIN or errno == EINTR:
                    continue
                return errno
            for i in range(count):
                message = <uint8_t*>self.iovecs[i].iov_base
                if self.headers[i].msg_len >= HEADER_BYTES:
                    message[2] |= QR
                self.iovecs[i].iov_len = self.headers[i].msg_len + self.extra
            first = 0
            while first < count:
                sent = sendmmsg(self.fd, &self.headers[first], count - first, MSG_DONTWAIT)
                if sent <= 0:
                    # A datagram that the kernel refuses is lost, as datagrams may be.
                    first += 1
                    continue
                first += sent
                self.answered += sent
        return 0
