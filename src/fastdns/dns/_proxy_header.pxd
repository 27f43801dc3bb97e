"""The header of the PROXY protocol: a proxy tells whose message or connection it passes on.

    version 1   PROXY TCP4 192.0.2.1 198.51.100.1 56324 53\\r\\n       before the first byte of a connection
    version 2   12 bytes of signature, 4 of what follows, addresses, values of types that are skipped
                                                     before a connection, or at the start of each datagram

The source: "The PROXY protocol, versions 1 & 2" (haproxy, doc/proxy-protocol.txt), sections 2.1 and 2.2. As a
DNS message, the signature would begin an inverse query of 13 questions, which nobody sends. On a stream the first
two bytes are a length: messages of 3,338 and 20,562 bytes begin as a header does, and no query is so long.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    MAX_PROXY_HEADER_BYTES = 2048   # a longer one is malformed; proxies add some tens of bytes
    MAX_TEXT_BYTES = 107            # of version 1, its end of line included

cdef enum HeaderFound:
    NO_HEADER = 0
    HEADER = 1
    NOT_WHOLE = 2                   # so far: more bytes decide
    MALFORMED = 3

# size: the bytes of the header. version: 1 or 2. address_len: 4, 16, or 0: it speaks of the connection itself, as
# proxies do that look whether the server lives.
cdef struct ProxyHeader:
    uint32_t size
    uint8_t version
    uint8_t address_len
    uint16_t port
    uint8_t address[16]

cdef HeaderFound read_proxy_header(const uint8_t* data, uint32_t size, ProxyHeader* header) noexcept nogil
