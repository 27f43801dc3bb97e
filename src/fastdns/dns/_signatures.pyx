"""Transaction signatures: see _signatures.pxd."""

from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from fastdns.dns._cursor cimport Cursor, lower, put_u16, put_u32, read_u16, read_u32, skip
from fastdns.dns._hmac cimport (
    SHA1, SHA224, SHA256, SHA384, SHA512, Hash, hash_add, hmac_begin, hmac_end, hmac_key,
)
from fastdns.dns._numbers cimport CLASS_ANY, HEADER_BYTES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES

import time

cdef enum:
    ALGORITHMS = 8
    LEAST_MAC_BYTES = 10            # RFC 8945 section 5.2.2.1

# RFC 8945 section 6. An algorithm whose name has a number of bits is one with shorter MACs.
cdef struct Algorithm:
    const char* name                # wire form
    uint16_t name_len
    uint8_t digest
    uint16_t mac_len

cdef Algorithm KNOWN[ALGORITHMS]
KNOWN[0] = Algorithm(b"\x09hmac-sha1", 11, SHA1, 20)
KNOWN[1] = Algorithm(b"\x0bhmac-sha224", 13, SHA224, 28)
KNOWN[2] = Algorithm(b"\x0bhmac-sha256", 13, SHA256, 32)
KNOWN[3] = Algorithm(b"\x0bhmac-sha384", 13, SHA384, 48)
KNOWN[4] = Algorithm(b"\x0bhmac-sha512", 13, SHA512, 64)
KNOWN[5] = Algorithm(b"\x0fhmac-sha256-128", 17, SHA256, 16)
KNOWN[6] = Algorithm(b"\x0fhmac-sha384-192", 17, SHA384, 24)
KNOWN[7] = Algorithm(b"\x0fhmac-sha512-256", 17, SHA512, 32)


cdef uint16_t read_name(Cursor* c, uint8_t* out) noexcept nogil:
    """A name, lowercased, and its length; 0 where it is none. Each pointer must lead strictly backwards."""
    cdef uint32_t pos = c.pos
    cdef uint32_t limit = c.pos
    cdef uint32_t at = 0
    cdef uint32_t length, target, i
    cdef bint jumped = False
    while True:
        if pos >= c.length:
            return 0
        length = c.msg[pos]
        if length & 0xC0 == 0xC0:
            if pos + 2 > c.length:
                return 0
            target = (length & 0x3F) << 8 | c.msg[pos + 1]
            if not jumped:
                c.pos = pos + 2
                jumped = True
            if target >= limit or target < HEADER_BYTES:
                return 0
            limit = target
            pos = target
            continue
        if length & 0xC0 or pos + 1 + length > c.length or at + 1 + length > MAX_NAME_BYTES:
            return 0
        out[at] = length
        for i in range(1, length + 1):
            out[at + i] = lower(c.msg[pos + i])
        at += length + 1
        pos += length + 1
        if length == 0:
            if not jumped:
                c.pos = pos
            return at


cdef inline uint64_t read_time(Cursor* c) noexcept nogil:
    cdef uint64_t high = read_u16(c)
    return high << 32 | read_u32(c)


cdef inline void put_time(uint8_t* out, uint64_t time_s) noexcept nogil:
    put_u16(out, <uint16_t>(time_s >> 32))
    put_u32(out + 2, <uint32_t>time_s)


cdef const uint8_t* read_bytes(Cursor* c, uint16_t length) noexcept nogil:
    cdef const uint8_t* at = c.msg + c.pos
    skip(c, length)
    return at


cdef bint read_signature(Cursor* c, uint16_t rclass, Signature* found) noexcept nogil:
    """The RDATA. c ends with it."""
    found.algorithm_len = read_name(c, found.algorithm)
    if found.algorithm_len == 0 or rclass != CLASS_ANY:
        return False
    found.time_s = read_time(c)
    found.fudge_s = read_u16(c)
    found.mac_len = read_u16(c)
    found.mac = read_bytes(c, found.mac_len)
    found.original_id = read_u16(c)
    found.error = read_u16(c)
    found.other_len = read_u16(c)
    found.other = read_bytes(c, found.other_len)
    return not c.failed and c.pos == c.length


cdef Signed find_signature(const uint8_t* msg, uint32_t length, Signature* found) noexcept nogil:
    cdef Cursor c
    cdef uint32_t records, additional
    cdef uint16_t rrtype, rclass, rdlength
    c.msg = msg
    c.length = length
    c.pos = 6
    c.failed = False
    records = read_u16(&c)
    records += read_u16(&c)
    additional = read_u16(&c)
    records += additional
    if records == 0:
        return UNSIGNED
    if read_name(&c, found.name) == 0:
        return MALFORMED
    skip(&c, 4)
    while records and not c.failed:
        records -= 1
        found.at = c.pos
        found.name_len = read_name(&c, found.name)
        if found.name_len == 0:
            return MALFORMED
        rrtype = read_u16(&c)
        rclass = read_u16(&c)
        skip(&c, 4)
        rdlength = read_u16(&c)
        if c.failed or rdlength > c.length - c.pos:
            return MALFORMED
        if rrtype == TYPE_TSIG:
            # RFC 8945 section 5.1: it is the last one, and so the only one.
            if records or additional == 0:
                return MALFORMED
            c.length = c.pos + rdlength
            return SIGNED if read_signature(&c, rclass, found) else MALFORMED
        skip(&c, rdlength)
    return MALFORMED if c.failed else UNSIGNED


cdef inline int compare_names(const uint8_t* a, uint32_t a_len, const uint8_t* b, uint32_t b_len) noexcept nogil:
    """The order of bytes objects."""
    cdef int order = memcmp(a, b, a_len if a_len < b_len else b_len)
    return order if order else <int>a_len - <int>b_len


cdef const Key* key_of(const Keys* keys, const uint8_t* name, uint32_t name_len) noexcept nogil:
    cdef uint32_t low = 0, high = keys.count, middle
    cdef int order
    while low < high:
        middle = (low + high) >> 1
        order = compare_names(name, name_len, keys.keys[middle].name, keys.keys[middle].name_len)
        if order == 0:
            return &keys.keys[middle]
        if order < 0:
            high = middle
        else:
            low = middle + 1
    return NULL


cdef const Algorithm* algorithm_of(const uint8_t* name, uint32_t name_len) noexcept nogil:
    cdef uint32_t i
    for i in range(ALGORITHMS):
        if KNOWN[i].name_len == name_len and memcmp(KNOWN[i].name, name, name_len) == 0:
            return &KNOWN[i]
    return NULL


cdef inline void add_u16(Hash* h, uint16_t value) noexcept nogil:
    cdef uint8_t data[2]
    put_u16(data, value)
    hash_add(h, data, 2)


cdef inline void add_time(Hash* h, uint64_t time_s, uint16_t fudge_s) noexcept nogil:
    cdef uint8_t data[TIME_BYTES]
    put_time(data, time_s)
    hash_add(h, data, TIME_BYTES)
    add_u16(h, fudge_s)


cdef void add_variables(Hash* h, const Signature* s) noexcept nogil:
    """RFC 8945 section 4.3.3."""
    hash_add(h, s.name, s.name_len)
    add_u16(h, CLASS_ANY)
    hash_add(h, b"\0\0\0\0", 4)
    hash_add(h, s.algorithm, s.algorithm_len)
    add_time(h, s.time_s, s.fudge_s)
    add_u16(h, s.error)
    add_u16(h, s.other_len)
    hash_add(h, s.other, s.other_len)


cdef void add_message(Hash* h, const uint8_t* msg, uint32_t length, uint16_t original_id,
                      uint16_t counted) noexcept nogil:
    """RFC 8945 section 4.3.2: as it was before its TSIG record was added. counted: of these in ARCOUNT."""
    cdef uint8_t header[HEADER_BYTES]
    memcpy(header, msg, HEADER_BYTES)
    put_u16(header, original_id)
    put_u16(header + 10, ((<uint16_t>msg[10] << 8) | msg[11]) - counted)
    hash_add(h, header, HEADER_BYTES)
    hash_add(h, msg + HEADER_BYTES, length - HEADER_BYTES)


cdef Signed verify(const uint8_t* msg, const Signature* found, const Keys* keys, uint64_t now_s,
                   Signing* signing) noexcept nogil:
    cdef const Key* key = key_of(keys, found.name, found.name_len)
    cdef const Algorithm* algorithm = algorithm_of(found.algorithm, found.algorithm_len)
    cdef uint8_t mac[MAX_DIGEST_BYTES]
    cdef uint8_t differs = 0
    cdef uint32_t i
    cdef Hash h
    signing.name_len = found.name_len
    memcpy(signing.name, found.name, found.name_len)
    signing.algorithm_len = found.algorithm_len
    memcpy(signing.algorithm, found.algorithm, found.algorithm_len)
    signing.request_time_s = found.time_s
    signing.key = NULL
    signing.mac_len = 0
    signing.previous_len = 0
    signing.continued = False
    if key == NULL or algorithm == NULL:
        signing.error = BADKEY
        return SIGNED
    # Half of a MAC at least: section 5.2.2.1.
    if (found.mac_len > algorithm.mac_len or found.mac_len < LEAST_MAC_BYTES
            or 2 * <uint32_t>found.mac_len < algorithm.mac_len):
        return MALFORMED
    hmac_begin(&h, &key.hmac[algorithm.digest])
    add_message(&h, msg, found.at, found.original_id, 1)
    add_variables(&h, found)
    hmac_end(&h, &key.hmac[algorithm.digest], mac)
    # In a time that does not tell where they differ.
    for i in range(found.mac_len):
        differs |= mac[i] ^ found.mac[i]
    if differs:
        signing.error = BADSIG
        return SIGNED
    signing.key = &key.hmac[algorithm.digest]
    signing.mac_len = algorithm.mac_len
    signing.previous_len = found.mac_len
    memcpy(signing.previous, found.mac, found.mac_len)
    if (now_s - found.time_s if now_s > found.time_s else found.time_s - now_s) > found.fudge_s:
        signing.error = BADTIME
    else:
        signing.error = NO_SIGNATURE_ERROR
    return SIGNED


cdef uint32_t signature_bytes(const Signing* signing) noexcept nogil:
    return (TSIG_FIXED_BYTES + signing.name_len + signing.algorithm_len + signing.mac_len
            + (TIME_BYTES if signing.error == BADTIME else 0))


cdef uint32_t sign(Signing* signing, uint8_t* out, uint32_t size, uint64_t now_s) noexcept nogil:
    cdef Hash h
    cdef uint8_t mac[MAX_DIGEST_BYTES]
    cdef uint8_t server_time[TIME_BYTES]
    cdef uint8_t* rdata
    cdef uint16_t original_id = (<uint16_t>out[0] << 8) | out[1]
    cdef uint16_t other_len = 0
    cdef uint64_t time_s = now_s
    if signing.error == BADTIME:
        # Section 5.2.3: the client's own time, so that it can verify the reply, and the server's.
        time_s = signing.request_time_s
        other_len = TIME_BYTES
        put_time(server_time, now_s)
    if signing.key != NULL:
        hmac_begin(&h, signing.key)
        add_u16(&h, signing.previous_len)
        hash_add(&h, signing.previous, signing.previous_len)
        add_message(&h, out, size, original_id, 0)
        if not signing.continued:
            hash_add(&h, signing.name, signing.name_len)
            add_u16(&h, CLASS_ANY)
            hash_add(&h, b"\0\0\0\0", 4)
            hash_add(&h, signing.algorithm, signing.algorithm_len)
        add_time(&h, time_s, FUDGE_S)
        if not signing.continued:
            add_u16(&h, signing.error)
            add_u16(&h, other_len)
            hash_add(&h, server_time, other_len)
        hmac_end(&h, signing.key, mac)
        # Section 5.3.1: a later message's MAC begins with this one.
        signing.previous_len = signing.mac_len
        memcpy(signing.previous, mac, signing.mac_len)
        signing.continued = True
    put_u16(out + 10, ((<uint16_t>out[10] << 8) | out[11]) + 1)
    out += size
    memcpy(out, signing.name, signing.name_len)
    out += signing.name_len
    put_u16(out, TYPE_TSIG)
    put_u16(out + 2, CLASS_ANY)
    put_u32(out + 4, 0)
    rdata = out + 10
    memcpy(rdata, signing.algorithm, signing.algorithm_len)
    rdata += signing.algorithm_len
    put_time(rdata, time_s)
    put_u16(rdata + TIME_BYTES, FUDGE_S)
    put_u16(rdata + 8, signing.mac_len)
    rdata += 10
    memcpy(rdata, mac, signing.mac_len)
    rdata += signing.mac_len
    put_u16(rdata, original_id)
    put_u16(rdata + 2, signing.error)
    put_u16(rdata + 4, other_len)
    rdata += 6
    memcpy(rdata, server_time, other_len)
    rdata += other_len
    put_u16(out + 8, <uint16_t>(rdata - (out + 10)))
    return size + signature_bytes(signing)


cdef class KeyRing:
    """secrets: names in lowercased wire form, and what is shared."""

    def __init__(self, secrets):
        cdef uint32_t i, digest
        cdef bytes name, secret
        if self.table != NULL:
            raise ValueError("a KeyRing is made once")
        self.names = sorted(secrets)
        self.table = <Key*>calloc(len(self.names) + 1, sizeof(Key))
        if self.table == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(self.names)):
            name = self.names[i]
            secret = secrets[name]
            if not 0 < len(name) <= MAX_NAME_BYTES:
                raise ValueError(f"the name of a key must have 1 to {MAX_NAME_BYTES} bytes, got {len(name)}")
            self.table[i].name = <const uint8_t*>name
            self.table[i].name_len = len(name)
            for digest in range(DIGESTS):
                hmac_key(&self.table[i].hmac[digest], digest, <const uint8_t*>secret, len(secret))
        self.keys.count = len(self.names)
        self.keys.keys = self.table

    def __dealloc__(self):
        free(self.table)

    def verify(self, bytes request not None, now_s=None):
        """What the replies to a request are signed with, or None where it is not signed. now_s: seconds since 1970.

        Raises ValueError where its TSIG record is malformed (FORMERR).
        """
        cdef Signature found
        cdef Signing signing
        cdef Signed how = UNSIGNED
        cdef uint64_t now = <uint64_t>(time.time() if now_s is None else now_s)
        if len(request) >= HEADER_BYTES:
            how = find_signature(<const uint8_t*>request, len(request), &found)
        if how == SIGNED:
            how = verify(<const uint8_t*>request, &found, &self.keys, now, &signing)
        if how == UNSIGNED:
            return None
        if how == MALFORMED:
            raise ValueError("the TSIG record is malformed")
        return make_signer(&signing, self)


cdef Signer make_signer(const Signing* signing, ring):
    cdef Signer signer = Signer.__new__(Signer)
    signer.signing = signing[0]
    signer.ring = ring
    return signer


cdef class Signer:
    @property
    def error(self):
        """What the request's signature comes to: 0, or BADSIG, BADKEY, BADTIME."""
        return self.signing.error

    @property
    def size(self):
        """How many bytes a signature adds to a message."""
        return signature_bytes(&self.signing)

    def sign(self, bytes message not None, now_s=None):
        """The next message of the reply, with its TSIG record. Raises ValueError where there is no room for it."""
        cdef uint32_t length = len(message)
        cdef uint32_t added = signature_bytes(&self.signing)
        cdef uint64_t now = <uint64_t>(time.time() if now_s is None else now_s)
        cdef uint32_t most = MAX_MESSAGE_BYTES - added
        if not HEADER_BYTES <= length <= most:
            raise ValueError(f"a message of {HEADER_BYTES} to {most} bytes expected, got {length}")
        cdef bytearray out = bytearray(message)
        out.extend(bytes(added))
        sign(&self.signing, <uint8_t*>out, length, now)
        return bytes(out)
