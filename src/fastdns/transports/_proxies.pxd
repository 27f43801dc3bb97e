"""Which senders are proxies, and whose clients they speak for (PROXY protocol).

    datagram from an allowed sender     the header's address is the client's; the reply goes to the sender
    from another one                    by the policy for others
    of no header                        the sender is the client, or whom its session stands for

Sessions: some proxies (Cloudflare Spectrum) send the header once, in a datagram of its own, and then datagrams
without one from the same port. Who it spoke for is kept for some time, of the senders used last. They are the
thread's own: the kernel gives all datagrams of one sender to one socket.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.dns._networks cimport Prefix

# As the names in proxied.py.
cdef enum Policy:
    USE = 0
    IGNORE = 1                      # the header is taken off, and says nothing
    REJECT = 2                      # what has one is dropped
    SKIP = 3                        # a header would be part of the message

cdef enum:
    NO_SESSION = 0xFFFFFFFF

cdef struct Session:
    uint8_t sender[18]              # address of 16 bytes, port
    uint8_t address[16]
    uint8_t address_len
    uint16_t port
    uint64_t expires_ns
    uint32_t next                   # in its bucket
    uint32_t older
    uint32_t newer

cdef struct ProxyRules:
    uint32_t count
    Prefix* allowed                 # none: everybody
    Policy others
    uint64_t session_ns             # 0: there are no sessions
    uint32_t most_sessions
    uint32_t session_count
    uint32_t oldest
    uint32_t newest
    uint32_t bucket_mask
    uint32_t* buckets
    Session* sessions
    uint64_t seed

# Of one datagram. address_len: 0 where it is not served. counts: and is counted, by the reason (Unserved).
cdef struct ProxiedClient:
    uint8_t address[16]
    uint8_t address_len
    uint8_t counts
    uint16_t port
    uint32_t header_bytes

cdef enum Unserved:
    REJECTED_HEADER = 0
    MALFORMED_HEADER = 1
    NOTHING = 2                     # not counted: a header that begins a session

# Who has sent a datagram. address: 4 or 16 bytes of the sender.
cdef void find_client(ProxyRules* rules, const uint8_t* address, uint32_t address_len, uint16_t port,
                      const uint8_t* data, uint32_t size, uint64_t now_ns, ProxiedClient* client) noexcept nogil

cdef class Proxies:
    cdef ProxyRules rules
