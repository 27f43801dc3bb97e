"""Reading the text of a hosts file (hosts(5)) into a draft of a zone of RRsets, without the GIL.

The draft's zone is the root. A name gets its addresses as A and AAAA records; the reverse name of an address gets
the names as PTR records, but for wildcards (``*.example.com``). A line is an address and its names, up to a ``#``;
white space is that of ASCII. What cannot be used is skipped, and its line counted: one without an address or a
name, and one with a name that is no domain name.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memset

from fastdns._wire cimport TYPE_A, TYPE_AAAA, TYPE_PTR
from fastdns.dns._cursor cimport lower
from fastdns.memory._hash cimport hash_bytes
from fastdns.rrsets._draft cimport Draft
from fastdns.rrsets._layout cimport MAX_SET_BYTES, MAX_SET_RRS

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char* text, void* address)
    int AF_INET
    int AF_INET6

cdef enum:
    MAX_ADDRESS_CHARS = 45          # of IPv6 with an IPv4 address in it
    MAX_REVERSE_BYTES = 80
    # Block lists have all their names at few addresses: so many are remembered.
    REVERSE_PLACES = 256

# What the reverse names of an address take so far.
cdef struct ReverseSet:
    uint8_t address[16]
    uint32_t count
    uint32_t bytes

cdef struct Field:
    const uint8_t* at
    uint32_t size


cdef inline bint is_space(uint8_t byte) noexcept nogil:
    return byte == 32 or 9 <= byte <= 13


cdef inline bint next_field(const uint8_t** at, const uint8_t* end, Field* field) noexcept nogil:
    """The next word of a line."""
    cdef const uint8_t* p = at[0]
    while p < end and is_space(p[0]):
        p += 1
    field.at = p
    while p < end and not is_space(p[0]):
        p += 1
    at[0] = p
    # What is longer than any name is cut off, and still no name.
    field.size = <uint32_t>min(<size_t>(p - field.at), <size_t>4096)
    return field.size != 0


cdef uint32_t read_address(const Field* field, uint8_t* out) noexcept nogil:
    """An address of 4 or 16 bytes, or 0. The zone of an IPv6 address is left out, as Go's programs leave it."""
    cdef char text[MAX_ADDRESS_CHARS + 1]
    cdef const void* zone = memchr(field.at, b"%", field.size)
    cdef size_t size = <const uint8_t*>zone - field.at if zone != NULL else field.size
    cdef uint32_t i
    if size > MAX_ADDRESS_CHARS or memchr(field.at, 0, size) != NULL:
        return 0
    memcpy(text, field.at, size)
    text[size] = 0
    if inet_pton(AF_INET, text, out) == 1:
        return 4
    if inet_pton(AF_INET6, text, out) != 1:
        return 0
    for i in range(10):
        if out[i]:
            return 16
    if out[10] == 255 and out[11] == 255:
        # An IPv4 address that is mapped.
        memcpy(out, out + 12, 4)
        return 4
    return 16


cdef inline bint is_digit(uint8_t byte) noexcept nogil:
    return 48 <= byte <= 57


cdef uint32_t read_name(const Field* field, uint8_t* out) noexcept nogil:
    """A domain name in lowercased wire form, or 0. out: 256 bytes. Escapes are RFC 1035's (section 5.1)."""
    cdef uint32_t i = 0, label = 0, size = 1, number
    cdef uint8_t byte
    if field.size == 1 and field.at[0] == 46:
        out[0] = 0
        return 1
    while i < field.size:
        byte = field.at[i]
        i += 1
        if byte == 46:
            if size == label + 1 or size - label > 64:
                return 0
            out[label] = <uint8_t>(size - label - 1)
            label = size
            size += 1
        else:
            if byte == 92:
                if i == field.size:
                    return 0
                byte = field.at[i]
                i += 1
                if is_digit(byte):
                    if i + 2 > field.size or not is_digit(field.at[i]) or not is_digit(field.at[i + 1]):
                        return 0
                    number = 100 * (byte - <uint32_t>48) + 10 * (field.at[i] - <uint32_t>48) + field.at[i + 1] - 48
                    if number > 255:
                        return 0
                    byte = <uint8_t>number
                    i += 2
            elif byte < 32 or byte == 127:
                return 0
            if size > 254:
                return 0
            out[size] = lower(byte)
            size += 1
        if size > 255:
            return 0
    if size > label + 1:
        # Without a dot at its end.
        if size - label > 64 or size > 254:
            return 0
        out[label] = <uint8_t>(size - label - 1)
        label = size
        size += 1
    out[label] = 0
    return size


cdef inline uint32_t put_decimal(uint8_t value, uint8_t* out) noexcept nogil:
    """A label that is a number. Returns its size."""
    cdef uint32_t digits = 1 + (value > 9) + (value > 99), i
    out[0] = <uint8_t>digits
    for i in range(digits, 0, -1):
        out[i] = 48 + value % 10
        value //= 10
    return 1 + digits


cdef inline uint32_t put_nibble(uint8_t nibble, uint8_t* out) noexcept nogil:
    out[0] = 1
    out[1] = nibble + (48 if nibble < 10 else 87)
    return 2


cdef uint32_t reverse_name(const uint8_t* address, uint32_t address_len, uint8_t* out) noexcept nogil:
    """The name that an address has in in-addr.arpa or ip6.arpa (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    cdef uint32_t at = 0, i
    for i in range(address_len, 0, -1):
        if address_len == 4:
            at += put_decimal(address[i - 1], out + at)
        else:
            at += put_nibble(address[i - 1] & 15, out + at)
            at += put_nibble(address[i - 1] >> 4, out + at)
    if address_len == 4:
        memcpy(out + at, b"\7in-addr\4arpa", 14)
        return at + 14
    memcpy(out + at, b"\3ip6\4arpa", 10)
    return at + 10


cdef class HostsReader:
    """What was read of the texts of one draft.

    addresses, pointers: how many address and PTR records they make, with those that are there twice. skipped: lines
    and names that cannot be used; first_skipped: the number of the first such line, 0 for none.
    """
    cdef readonly uint32_t addresses
    cdef readonly uint32_t pointers
    cdef readonly uint32_t skipped
    cdef readonly uint32_t first_skipped
    cdef ReverseSet reverse[REVERSE_PLACES]

    def __cinit__(self):
        memset(self.reverse, 0, sizeof(self.reverse))

    def read(self, Draft draft not None, const uint8_t[::1] text not None):
        """Add a text. draft: of the root; one thread at a time has it."""
        cdef const uint8_t* at = &text[0] if text.shape[0] else NULL
        cdef size_t size = text.shape[0]
        if draft.zone_len != 1:
            raise ValueError("names of a hosts file are below the root")
        with nogil:
            self.read_lines(draft, at, size)

    cdef int read_lines(self, Draft draft, const uint8_t* at, size_t left) except -1 nogil:
        cdef const uint8_t* ends
        cdef const uint8_t* line_ends
        cdef size_t size
        cdef uint32_t number = 0
        while left:
            number += 1
            ends = <const uint8_t*>memchr(at, 10, left)
            size = ends - at if ends != NULL else left
            line_ends = <const uint8_t*>memchr(at, b"#", size)
            if not self.read_line(draft, at, line_ends if line_ends != NULL else at + size):
                self.skipped += 1
                if not self.first_skipped:
                    self.first_skipped = number
            at += size
            left -= size
            if ends != NULL:
                at += 1
                left -= 1
        return 0

    cdef bint read_line(self, Draft draft, const uint8_t* at, const uint8_t* end) except -1 nogil:
        """Returns whether all of it can be used."""
        cdef uint8_t address[16]
        cdef uint8_t name[256]
        cdef uint8_t reverse[MAX_REVERSE_BYTES]
        cdef Field field
        cdef uint32_t address_len, size, reverse_len
        cdef bint good = True, named = False
        if not next_field(&at, end, &field):
            return True
        address_len = read_address(&field, address)
        if not address_len:
            return False
        reverse_len = reverse_name(address, address_len, reverse)
        while next_field(&at, end, &field):
            named = True
            size = read_name(&field, name)
            if not size:
                good = False
                continue
            draft.put(name, size, TYPE_A if address_len == 4 else TYPE_AAAA, 0, address, address_len)
            self.addresses += 1
            if size > 2 and name[0] == 1 and name[1] == 42:
                continue
            self.pointers += 1
            if self.has_room(address, address_len, size):
                draft.put(reverse, reverse_len, TYPE_PTR, 0, name, size)
        return good and named

    cdef bint has_room(self, const uint8_t* address, uint32_t address_len, uint32_t size) noexcept nogil:
        """Whether a message that holds the names of an address has room for one more. Drafts keep no more than
        that; here it is known before they take memory."""
        cdef uint8_t whole[16]
        cdef ReverseSet* s
        memset(whole, 0, 16)
        memcpy(whole, address, address_len)
        # So that no IPv6 address is the same.
        if address_len == 4:
            memset(whole + 10, 255, 2)
        s = &self.reverse[hash_bytes(0, whole, 16) % REVERSE_PLACES]
        if memcmp(s.address, whole, 16) != 0:
            memcpy(s.address, whole, 16)
            s.count = 0
            s.bytes = 0
        if s.count >= MAX_SET_RRS or s.bytes + 2 + size > MAX_SET_BYTES:
            return False
        s.count += 1
        s.bytes += 2 + size
        return True
