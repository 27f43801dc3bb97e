"""Datagrams for the event-loop thread: many in one call of the kernel; where each comes from, and has come to."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t
from libc.string cimport memset

from fastdns.memory._syscalls cimport MSG_DONTWAIT, MSG_TRUNC, iovec, mmsghdr, recvmmsg, sendmmsg

cdef enum:
    BATCH = 32
    DATAGRAM_BYTES = 2048
    NAME_BYTES = 28             # struct sockaddr_in6, the longest one here
    CONTROL_BYTES = 64          # struct cmsghdr with struct in6_pktinfo


cdef class DatagramSocket:
    """A UDP socket that does not block. The descriptor stays the caller's."""
    cdef int fd
    cdef mmsghdr headers[BATCH]
    cdef iovec parts[BATCH]
    cdef uint8_t names[BATCH][NAME_BYTES]
    cdef uint8_t controls[BATCH][CONTROL_BYTES]
    cdef uint8_t data[BATCH][DATAGRAM_BYTES]

    def __cinit__(self, int fd):
        self.fd = fd

    def receive(self):
        """What has come, BATCH datagrams at most: of each its bytes, the sender's struct sockaddr, and what the
        kernel tells of it (struct cmsghdr). Those over DATAGRAM_BYTES are left out. [] where there is nothing."""
        cdef int count, i
        cdef bytes name, control
        cdef list found = []
        for i in range(BATCH):
            self.parts[i].iov_base = self.data[i]
            self.parts[i].iov_len = DATAGRAM_BYTES
            memset(&self.headers[i], 0, sizeof(mmsghdr))
            self.headers[i].msg_hdr.msg_name = self.names[i]
            self.headers[i].msg_hdr.msg_namelen = NAME_BYTES
            self.headers[i].msg_hdr.msg_iov = &self.parts[i]
            self.headers[i].msg_hdr.msg_iovlen = 1
            self.headers[i].msg_hdr.msg_control = self.controls[i]
            self.headers[i].msg_hdr.msg_controllen = CONTROL_BYTES
        while True:
            count = recvmmsg(self.fd, self.headers, BATCH, MSG_DONTWAIT, NULL)
            if count >= 0 or errno != EINTR:
                break
        # Also where an earlier datagram has met an error: the event loop calls again for what has come.
        for i in range(count):
            if self.headers[i].msg_hdr.msg_flags & MSG_TRUNC or self.headers[i].msg_len == 0:
                continue
            name = PyBytes_FromStringAndSize(<const char*>self.names[i], self.headers[i].msg_hdr.msg_namelen)
            control = PyBytes_FromStringAndSize(
                <const char*>self.controls[i], self.headers[i].msg_hdr.msg_controllen
            )
            found.append(
                (PyBytes_FromStringAndSize(<const char*>self.data[i], self.headers[i].msg_len), name, control)
            )
        return found

    def send(self, bytes data not None, bytes name not None, bytes control not None):
        """Send a datagram to a struct sockaddr, from where control says. What the kernel does not take is lost."""
        cdef mmsghdr header
        cdef iovec part
        part.iov_base = PyBytes_AS_STRING(data)
        part.iov_len = PyBytes_GET_SIZE(data)
        memset(&header, 0, sizeof(mmsghdr))
        header.msg_hdr.msg_name = PyBytes_AS_STRING(name)
        header.msg_hdr.msg_namelen = PyBytes_GET_SIZE(name)
        header.msg_hdr.msg_iov = &part
        header.msg_hdr.msg_iovlen = 1
        if PyBytes_GET_SIZE(control):
            header.msg_hdr.msg_control = PyBytes_AS_STRING(control)
            header.msg_hdr.msg_controllen = PyBytes_GET_SIZE(control)
        sendmmsg(self.fd, &header, 1, MSG_DONTWAIT)
