"""Which senders are proxies: see _proxies.pxd."""

import secrets

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from fastdns.dns._networks cimport in_prefix, put_mapped
from fastdns.dns._proxy_header cimport HEADER, NO_HEADER, ProxyHeader, read_proxy_header
from fastdns.memory._hash cimport hash_bytes

cdef enum:
    SENDER_BYTES = 18


cdef Policy policy_of(const ProxyRules* rules, const uint8_t* mapped) noexcept nogil:
    cdef uint32_t i
    for i in range(rules.count):
        if in_prefix(mapped, &rules.allowed[i]):
            return USE
    return rules.others


# Sessions: the newest at one end of a list, the oldest at the other. All last equally long from their last use, so
# that this is the order in which they expire, too.

cdef inline uint32_t* bucket_of(ProxyRules* rules, const uint8_t* sender) noexcept nogil:
    return &rules.buckets[<uint32_t>hash_bytes(rules.seed, sender, SENDER_BYTES) & rules.bucket_mask]


cdef uint32_t session_of(ProxyRules* rules, const uint8_t* sender) noexcept nogil:
    cdef uint32_t at = bucket_of(rules, sender)[0]
    while at != NO_SESSION and memcmp(rules.sessions[at].sender, sender, SENDER_BYTES) != 0:
        at = rules.sessions[at].next
    return at


cdef void take_out(ProxyRules* rules, uint32_t at) noexcept nogil:
    cdef Session* s = &rules.sessions[at]
    if s.older != NO_SESSION:
        rules.sessions[s.older].newer = s.newer
    else:
        rules.oldest = s.newer
    if s.newer != NO_SESSION:
        rules.sessions[s.newer].older = s.older
    else:
        rules.newest = s.older


cdef void put_newest(ProxyRules* rules, uint32_t at, uint64_t now_ns) noexcept nogil:
    cdef Session* s = &rules.sessions[at]
    s.older = rules.newest
    s.newer = NO_SESSION
    if rules.newest != NO_SESSION:
        rules.sessions[rules.newest].newer = at
    else:
        rules.oldest = at
    rules.newest = at
    s.expires_ns = now_ns + rules.session_ns


cdef uint32_t new_session(ProxyRules* rules, const uint8_t* sender) noexcept nogil:
    """A place for a sender: of none, or of the one that was silent for longest."""
    cdef uint32_t at = rules.session_count
    cdef uint32_t* link
    if at < rules.most_sessions:
        rules.session_count += 1
    else:
        at = rules.oldest
        take_out(rules, at)
        link = bucket_of(rules, rules.sessions[at].sender)
        while link[0] != at:
            link = &rules.sessions[link[0]].next
        link[0] = rules.sessions[at].next
    memcpy(rules.sessions[at].sender, sender, SENDER_BYTES)
    link = bucket_of(rules, sender)
    rules.sessions[at].next = link[0]
    link[0] = at
    return at


cdef void keep_session(ProxyRules* rules, const uint8_t* sender, const ProxyHeader* header,
                       uint64_t now_ns) noexcept nogil:
    cdef uint32_t at = session_of(rules, sender)
    if at == NO_SESSION:
        at = new_session(rules, sender)
    else:
        take_out(rules, at)
    put_newest(rules, at, now_ns)
    memcpy(rules.sessions[at].address, header.address, 16)
    rules.sessions[at].address_len = header.address_len
    rules.sessions[at].port = header.port


cdef bint find_session(ProxyRules* rules, const uint8_t* sender, uint64_t now_ns,
                       ProxiedClient* client) noexcept nogil:
    cdef uint32_t at = session_of(rules, sender)
    cdef const Session* s
    if at == NO_SESSION or rules.sessions[at].expires_ns < now_ns:
        return False
    take_out(rules, at)
    put_newest(rules, at, now_ns)
    s = &rules.sessions[at]
    memcpy(client.address, s.address, 16)
    client.address_len = s.address_len
    client.port = s.port
    return True


cdef inline void unserved(ProxiedClient* client, Unserved why) noexcept nogil:
    client.address_len = 0
    client.counts = why


cdef void find_client(ProxyRules* rules, const uint8_t* address, uint32_t address_len, uint16_t port,
                      const uint8_t* data, uint32_t size, uint64_t now_ns, ProxiedClient* client) noexcept nogil:
    cdef uint8_t sender[SENDER_BYTES]
    cdef ProxyHeader header
    cdef Policy policy
    put_mapped(sender, address, address_len)
    sender[16] = port >> 8
    sender[17] = port & 0xFF
    client.header_bytes = 0
    memcpy(client.address, address, address_len)
    client.address_len = address_len
    client.port = port
    policy = policy_of(rules, sender)
    if policy == SKIP or size == 0:
        return
    found = read_proxy_header(data, size, &header)
    if found == NO_HEADER:
        if policy == USE and rules.session_ns:
            find_session(rules, sender, now_ns, client)
        return
    if found != HEADER or header.version == 1:
        # A header that is cut; and the first version's are for connections alone.
        unserved(client, MALFORMED_HEADER)
        return
    client.header_bytes = header.size
    if policy == REJECT:
        unserved(client, REJECTED_HEADER)
    elif policy == USE and header.address_len:
        memcpy(client.address, header.address, header.address_len)
        client.address_len = header.address_len
        client.port = header.port
        if rules.session_ns:
            keep_session(rules, sender, &header, now_ns)
            if header.size == size:
                unserved(client, NOTHING)


cdef class Proxies:
    """allowed: networks as (address of 16 bytes, bits); none: everybody. others: Policy. session_ns: 0 for none."""

    def __cinit__(self, list allowed not None, int others, uint64_t session_ns=0, uint32_t most_sessions=0):
        cdef ProxyRules* rules = &self.rules
        cdef uint32_t i, buckets
        cdef bytes address
        if others not in (USE, IGNORE, REJECT, SKIP):
            raise ValueError(f"no policy: {others}")
        rules.others = <Policy>others
        rules.session_ns = session_ns
        rules.most_sessions = most_sessions
        rules.oldest = rules.newest = NO_SESSION
        rules.seed = secrets.randbits(64)
        rules.allowed = <Prefix*>calloc(max(1, len(allowed)), sizeof(Prefix))
        if rules.allowed == NULL:
            raise MemoryError
        for i, (address, bits) in enumerate(allowed):
            if len(address) != 16 or not 0 <= bits <= 128:
                raise ValueError(f"no network: {address!r}/{bits}")
            memcpy(rules.allowed[i].address, <const uint8_t*>address, 16)
            rules.allowed[i].bits = bits
        rules.count = len(allowed)
        if not session_ns:
            return
        if not 0 < most_sessions < NO_SESSION >> 1:
            raise ValueError(f"number of sessions out of range: {most_sessions}")
        buckets = 1 << (most_sessions - 1).bit_length()
        rules.bucket_mask = buckets - 1
        # Pages are taken as sessions come.
        rules.sessions = <Session*>calloc(most_sessions, sizeof(Session))
        rules.buckets = <uint32_t*>malloc(buckets * sizeof(uint32_t))
        if rules.sessions == NULL or rules.buckets == NULL:
            raise MemoryError
        for i in range(buckets):
            rules.buckets[i] = NO_SESSION

    def __dealloc__(self):
        free(self.rules.allowed)
        free(self.rules.sessions)
        free(self.rules.buckets)

    def policy(self, bytes address not None):
        """Of a peer, 4 or 16 address bytes: the number of its Policy."""
        cdef uint8_t mapped[16]
        if len(address) not in (4, 16):
            raise ValueError("an address has 4 or 16 bytes")
        put_mapped(mapped, address, len(address))
        return policy_of(&self.rules, mapped)

    def client(self, bytes address not None, uint16_t port, bytes datagram not None, uint64_t now_ns):
        """Who has sent a datagram, as (address, port, bytes of its header); None where it is not served."""
        cdef ProxiedClient client
        if len(address) not in (4, 16):
            raise ValueError("an address has 4 or 16 bytes")
        find_client(&self.rules, address, len(address), port, datagram, len(datagram), now_ns, &client)
        if client.address_len == 0:
            return None
        return client.address[:client.address_len], client.port, client.header_bytes

    @property
    def sessions(self):
        """How many senders are remembered."""
        return self.rules.session_count
