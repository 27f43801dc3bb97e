"""Databases in the MaxMind DB format 2.0 (https://maxmind.github.io/MaxMind-DB/), read without the GIL.

    search tree | 16 zero bytes | data section | marker | metadata

A node of the tree has two records, one for each value of the next bit of an address. A record is the number of a
node, or node_count for nothing, or beyond that the place of a data field. A field begins with a control byte: its
type and its size. Fields are maps, arrays, texts, numbers, and pointers to other fields.

The file's content is not trusted: what is read lies within it, fields are nested to a bound, and a look-up reads a
bounded number of fields.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns._wire cimport Query
from fastdns.dns._texts cimport put_bytes, put_decimal
from fastdns.expr._value cimport put_float
from fastdns.serve._context cimport Context
from fastdns.serve._values cimport NativeValue

cdef enum:
    SEPARATOR_BYTES = 16
    MAX_KEYS = 4
    MAX_FIELDS = 4096           # that one look-up reads: a record of a city has about 100
    MAX_NESTED = 32
    MAX_NUMBER_BYTES = 400
    NOWHERE = 0xFFFFFFFF

cdef enum Type:
    POINTER = 1
    STRING = 2
    DOUBLE = 3
    BYTES = 4
    UINT16 = 5
    UINT32 = 6
    MAP = 7
    INT32 = 8
    UINT64 = 9
    UINT128 = 10
    ARRAY = 11
    BOOLEAN = 14
    FLOAT = 15

MARKER = b"\xab\xcd\xefMaxMind.com"
# The metadata is in the last part of a file.
MAX_METADATA_BYTES = 131072

cdef struct Section:
    const uint8_t* bytes
    uint64_t size

cdef struct Tree:
    const uint8_t* bytes
    uint32_t node_count
    uint32_t record_bits        # 24, 28 or 32
    uint32_t ip_version
    uint32_t ipv4_at            # of an IPv6 tree: the node at which IPv4 addresses begin

# Where a look-up is in a section.
cdef struct Reader:
    const Section* section
    uint32_t fields_left
    bint failed

# A field: its type and size, and where its content begins.
cdef struct Field:
    uint32_t type
    uint32_t size               # bytes; of maps and arrays what they hold; of a bool its value
    uint64_t at
    uint64_t behind             # where the next one begins; of maps and arrays: where they begin

cdef struct Key:
    const uint8_t* text         # without: each element of an array
    uint32_t length


cdef inline uint64_t read_number(const Section* s, uint64_t at, uint32_t size) noexcept nogil:
    """Big-endian; the caller has checked that it is there."""
    cdef uint64_t value = 0
    cdef uint32_t i
    for i in range(size):
        value = value << 8 | s.bytes[at + i]
    return value


cdef bint has(Reader* r, uint64_t at, uint64_t size) noexcept nogil:
    """Whether so many bytes are there."""
    if at > r.section.size or size > r.section.size - at:
        r.failed = True
        return False
    return True


cdef bint read_field(Reader* r, uint64_t at, bint follow, Field* f) noexcept nogil:
    """The field at a place. follow: of a pointer, what it points to, which is no pointer."""
    cdef uint8_t control
    cdef uint32_t extra
    cdef uint64_t behind
    if r.fields_left == 0 or not has(r, at, 1):
        r.failed = True
        return False
    r.fields_left -= 1
    control = r.section.bytes[at]
    at += 1
    f.type = control >> 5
    if f.type == POINTER:
        extra = (control >> 3 & 3) + 1
        if not has(r, at, extra):
            return False
        f.size = 0
        f.at = read_number(r.section, at, extra)
        if extra < 4:
            f.at |= <uint64_t>(control & 7) << (8 * extra)
        if extra == 2:
            f.at += 2048
        elif extra == 3:
            f.at += 526336
        f.behind = at + extra
        if not follow:
            return True
        behind = f.behind
        if not has(r, f.at, 1) or r.section.bytes[f.at] >> 5 == POINTER or not read_field(r, f.at, False, f):
            r.failed = True
            return False
        # Of a pointer to a map or an array, too, what stands behind the pointer is next.
        f.behind = behind
        return True
    if f.type == 0:
        if not has(r, at, 1):
            return False
        f.type = 7 + <uint32_t>r.section.bytes[at]
        at += 1
    f.size = control & 31
    if f.size >= 29:
        extra = f.size - 28
        if not has(r, at, extra):
            return False
        f.size = <uint32_t>read_number(r.section, at, extra) + (29 if extra == 1 else 285 if extra == 2 else 65821)
        at += extra
    f.at = at
    f.behind = at
    if f.type != MAP and f.type != ARRAY and f.type != BOOLEAN:
        if not has(r, at, f.size):
            return False
        f.behind = at + f.size
    return True


cdef uint64_t pass_over(Reader* r, uint64_t at, uint32_t depth) noexcept nogil:
    """Where the field behind the one at a place begins."""
    cdef Field f
    cdef uint32_t _i, inside
    if depth == MAX_NESTED or not read_field(r, at, False, &f):
        r.failed = True
        return at
    if f.type != MAP and f.type != ARRAY:
        return f.behind
    at = f.behind
    inside = 2 if f.type == MAP else 1
    for _i in range(f.size):
        at = pass_over(r, at, depth + 1)
        if inside == 2:
            at = pass_over(r, at, depth + 1)
        if r.failed:
            break
    return at


cdef bint find_in_map(Reader* r, const Field* map, const Key* key, Field* found) noexcept nogil:
    cdef Field name
    cdef uint64_t at = map.at
    cdef uint32_t _i
    if map.type != MAP:
        return False
    for _i in range(map.size):
        if not read_field(r, at, True, &name) or name.type != STRING:
            r.failed = True
            return False
        at = name.behind
        if name.size == key.length and memcmp(r.section.bytes + name.at, key.text, key.length) == 0:
            return read_field(r, at, True, found)
        at = pass_over(r, at, 0)
        if r.failed:
            return False
    return False


cdef uint32_t put_field(const Reader* r, const Field* f, uint8_t* out, uint32_t room) noexcept nogil:
    """A field as text; 0 where it has none, or no room."""
    cdef uint8_t text[MAX_NUMBER_BYTES]
    cdef uint64_t bits
    cdef uint32_t bits4
    cdef double real = 0
    cdef float single
    cdef uint32_t size
    if f.type == STRING:
        if f.size > room:
            return 0
        if f.size:
            memcpy(out, r.section.bytes + f.at, f.size)
        return f.size
    if f.type == BOOLEAN:
        size = put_bytes(text, b"true" if f.size else b"false", 4 if f.size else 5) - text
    elif (f.type == UINT16 or f.type == UINT32 or f.type == UINT64) and f.size <= 8:
        size = put_decimal(text, read_number(r.section, f.at, f.size)) - text
    elif f.type == DOUBLE and f.size == 8:
        bits = read_number(r.section, f.at, 8)
        memcpy(&real, &bits, 8)
        size = put_float(text, real, b"f")
    elif f.type == FLOAT and f.size == 4:
        bits4 = <uint32_t>read_number(r.section, f.at, 4)
        memcpy(&single, &bits4, 4)
        size = put_float(text, single, b"f")
    else:
        return 0
    if size > room:
        return 0
    memcpy(out, text, size)
    return size


cdef uint32_t put_at(Reader* r, const Field* root, const Key* keys, uint32_t count, uint8_t* out,
                     uint32_t room) noexcept nogil:
    """The text of what keys lead to; of each element of an array, with commas, behind a key without text."""
    cdef Field f = root[0]
    cdef Field found
    cdef uint64_t at
    cdef uint32_t i, j, size = 0, more
    for i in range(count):
        if keys[i].length:
            if not find_in_map(r, &f, &keys[i], &found):
                return 0
            f = found
            continue
        if f.type != ARRAY:
            return 0
        at = f.at
        for j in range(f.size):
            if not read_field(r, at, True, &found):
                return 0
            if j:
                if size == room:
                    return 0
                out[size] = b","
                size += 1
            more = put_at_rest(r, &found, keys + i + 1, count - i - 1, out + size, room - size)
            size += more
            at = pass_over(r, at, 0)
            if r.failed:
                return 0
        return size
    return put_field(r, &f, out, room)


cdef uint32_t put_at_rest(Reader* r, const Field* root, const Key* keys, uint32_t count, uint8_t* out,
                          uint32_t room) noexcept nogil:
    """The same behind an element: keys of maps only."""
    cdef Field f = root[0]
    cdef Field found
    cdef uint32_t i
    for i in range(count):
        if keys[i].length == 0 or not find_in_map(r, &f, &keys[i], &found):
            return 0
        f = found
    return put_field(r, &f, out, room)


cdef uint32_t record_of(const Tree* t, uint32_t node, uint32_t bit) noexcept nogil:
    """A record of a node that there is."""
    cdef const uint8_t* at = t.bytes + <uint64_t>node * t.record_bits // 4
    if t.record_bits == 24:
        at += 3 * bit
        return <uint32_t>at[0] << 16 | <uint32_t>at[1] << 8 | at[2]
    if t.record_bits == 28:
        if bit:
            return <uint32_t>(at[3] & 15) << 24 | <uint32_t>at[4] << 16 | <uint32_t>at[5] << 8 | at[6]
        return <uint32_t>(at[3] >> 4) << 24 | <uint32_t>at[0] << 16 | <uint32_t>at[1] << 8 | at[2]
    at += 4 * bit
    return <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]


cdef uint32_t walk(const Tree* t, uint32_t node, const uint8_t* address, uint32_t bits) noexcept nogil:
    """The record that so many bits of an address lead to."""
    cdef uint32_t i
    for i in range(bits):
        if node >= t.node_count:
            break
        node = record_of(t, node, address[i >> 3] >> (7 - (i & 7)) & 1)
    return node


cdef uint64_t find_record(const Tree* t, const uint8_t* address, uint32_t size, bint* possible) noexcept nogil:
    """Where the record of an address begins in the data section; NOWHERE: it has none. possible: one may be."""
    cdef uint32_t node = 0
    possible[0] = size == 4 or t.ip_version == 6
    if not possible[0]:
        return NOWHERE
    if size == 4 and t.ip_version == 6:
        node = t.ipv4_at
    node = walk(t, node, address, 8 * size)
    if node <= t.node_count or node - t.node_count < SEPARATOR_BYTES:
        return NOWHERE
    return node - t.node_count - SEPARATOR_BYTES


cdef class Database:
    """content: of a file. Raises ValueError where it is none. kind: its database_type."""
    cdef Section data
    cdef Tree tree
    cdef bytes content
    cdef readonly str kind
    cdef readonly int ip_version
    cdef readonly unsigned int node_count

    def __init__(self, bytes content not None):
        cdef const uint8_t* raw = content
        cdef uint64_t tree_bytes
        cdef uint8_t zeros[12]
        at = content.rfind(MARKER, max(0, len(content) - MAX_METADATA_BYTES))
        if at < 0:
            raise ValueError("it is no MaxMind DB file")
        self.content = content
        begin = at + len(MARKER)
        self.data.bytes = raw + <uint64_t>begin
        self.data.size = len(content) - begin
        self.tree.node_count = self.number(b"node_count")
        self.tree.record_bits = self.number(b"record_size")
        self.tree.ip_version = self.number(b"ip_version")
        version = self.number(b"binary_format_major_version")
        self.kind = (self.metadata(b"database_type") or b"").decode("utf-8", "replace")
        tree_bytes = <uint64_t>self.tree.node_count * self.tree.record_bits // 4
        if version != 2 or self.tree.record_bits not in (24, 28, 32) or self.tree.ip_version not in (4, 6):
            raise ValueError("its version, its record size or its IP version is not supported")
        if tree_bytes + SEPARATOR_BYTES > <uint64_t>at:
            raise ValueError("it is cut")
        self.tree.bytes = raw
        self.data.bytes = raw + tree_bytes + SEPARATOR_BYTES
        self.data.size = <uint64_t>at - tree_bytes - SEPARATOR_BYTES
        if self.tree.ip_version == 6:
            for i in range(12):
                zeros[i] = 0
            self.tree.ipv4_at = walk(&self.tree, 0, zeros, 96)
        self.ip_version = self.tree.ip_version
        self.node_count = self.tree.node_count

    cdef object metadata(self, bytes key):
        """A field of the metadata as text; None where there is none. self.data is the metadata."""
        cdef Key one
        cdef Reader r
        cdef Field root
        cdef uint8_t out[1024]
        one.text = key
        one.length = len(key)
        r.section = &self.data
        r.fields_left = MAX_FIELDS
        r.failed = False
        if not read_field(&r, 0, False, &root):
            return None
        size = put_at(&r, &root, &one, 1, out, 1024)
        return out[:size] if size else None

    def number(self, bytes key not None):
        """A number of the metadata."""
        text = self.metadata(key)
        if text is None or not text.isdigit() or int(text) >= 1 << 32:
            raise ValueError(f"its metadata has no {key.decode()}")
        return int(text)

    def text(self, bytes address not None, list keys not None):
        """What keys lead to in the record of an address of 4 or 16 bytes; None where it has none."""
        value = GeoValue(self, keys, b"", False)
        cdef uint8_t out[1024]
        if len(address) not in (4, 16):
            raise ValueError("an address has 4 or 16 bytes")
        cdef uint32_t size = look_up(&(<GeoValue>value).wanted, address, len(address), out, 1024)
        return out[:size] if size else None


cdef struct Wanted:
    const Tree* tree
    const Section* data
    Key keys[MAX_KEYS]
    uint32_t count
    const uint8_t* otherwise
    uint32_t otherwise_len
    bint edns_subnet


cdef uint32_t look_up(const Wanted* w, const uint8_t* address, uint32_t size, uint8_t* out,
                      uint32_t room) noexcept nogil:
    cdef bint possible = False
    cdef uint64_t at = find_record(w.tree, address, size, &possible)
    cdef Reader r
    cdef Field root
    cdef uint32_t length = 0
    r.section = w.data
    r.fields_left = MAX_FIELDS
    r.failed = False
    if not possible:
        return 0
    if at != NOWHERE and read_field(&r, at, True, &root):
        length = put_at(&r, &root, w.keys, w.count, out, room)
    if r.failed:
        return 0
    if length == 0 and w.otherwise_len <= room:
        memcpy(out, w.otherwise, w.otherwise_len)
        length = w.otherwise_len
    return length


cdef uint32_t subnet_address(const Query* q, uint8_t* address) noexcept nogil:
    """The address of the client subnet (RFC 7871 section 6), and its size; 0: there is none."""
    cdef uint32_t i, size, given
    if q.subnet_len < 4:
        return 0
    size = 4 if q.subnet[1] == 1 and q.subnet[0] == 0 else 16 if q.subnet[1] == 2 and q.subnet[0] == 0 else 0
    given = q.subnet_len - 4
    if given > size:
        return 0
    for i in range(size):
        address[i] = q.subnet[4 + i] if i < given else 0
    return size


cdef uint32_t compute(Context* ctx, const void* opaque, uint8_t* out, uint32_t room) noexcept nogil:
    cdef const Wanted* w = <const Wanted*>opaque
    cdef uint8_t subnet[16]
    cdef const uint8_t* address = ctx.client
    cdef uint32_t size = ctx.client_len
    cdef uint32_t other = subnet_address(ctx.q, subnet) if w.edns_subnet else 0
    if other:
        address = subnet
        size = other
    if size == 16 and memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0:
        address += 12
        size = 4
    return look_up(w, address, size, out, room)


cdef class GeoValue(NativeValue):
    """keys: from the record on; b"": each element of an array. otherwise: the text where a record has none."""
    cdef Wanted wanted
    cdef Database database
    cdef list kept

    def __init__(self, Database database not None, list keys not None, bytes otherwise not None,
                 bint edns_subnet):
        cdef uint32_t i
        if len(keys) > MAX_KEYS:
            raise ValueError(f"at most {MAX_KEYS} keys")
        self.database = database
        self.kept = [list(keys), otherwise]
        self.wanted.tree = &database.tree
        self.wanted.data = &database.data
        self.wanted.count = len(keys)
        for i in range(self.wanted.count):
            self.wanted.keys[i].text = <const uint8_t*><bytes>self.kept[0][i]
            self.wanted.keys[i].length = len(self.kept[0][i])
        self.wanted.otherwise = <const uint8_t*><bytes>self.kept[1]
        self.wanted.otherwise_len = len(otherwise)
        self.wanted.edns_subnet = edns_subnet
        self.value.compute = compute
        self.value.conf = &self.wanted
