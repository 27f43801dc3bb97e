"""The ports of a Service or a slice: how they are packed, and found again. See _layout.pxd."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from fastdns.plugins.kubernetes.records._layout cimport (
    MAX_LABEL_BYTES, MAX_OBJECT_PORTS, PORT_NONE, PORTS_WITHOUT_INDEX, PortHead, port_at, port_bytes,
)

cdef extern from "stdlib.h" nogil:
    void qsort_r(void* base, size_t count, size_t size,
                 int (*compare)(const void*, const void*, void*) noexcept nogil, void* arg)

cdef enum:
    FEW_NUMBERS = 32            # up to here they are compared one by one


cdef void start_ports(PortTable* t) noexcept nogil:
    t.count = 0
    t.text_len = 0
    t.left_out = 0
    t.nameless = 0


cdef void free_ports(PortTable* t) noexcept nogil:
    free(t.places)
    free(t.text)


cdef inline void lower_into(uint8_t* out, const uint8_t* text, uint32_t size) noexcept nogil:
    cdef uint32_t i
    for i in range(size):
        out[i] = text[i] | 32 if 65 <= text[i] <= 90 else text[i]


cdef int add_port(PortTable* t, long number, const uint8_t* protocol, uint32_t protocol_len, const uint8_t* name,
                  uint32_t name_len) except -1 nogil:
    cdef void* grown
    cdef uint32_t room
    cdef PortHead* head
    if t.count >= MAX_OBJECT_PORTS or number < -1 or number > 0xFFFF:
        t.left_out += 1
        return 0
    if name_len > MAX_LABEL_BYTES:
        # No question can ask for it; the port stays.
        t.nameless += 1
        name_len = 0
    if protocol_len > MAX_LABEL_BYTES:
        t.nameless += 1
        protocol_len = 0
    if t.count == t.room:
        room = 2 * t.room + 8
        grown = realloc(t.places, <size_t>room * 4)
        if grown == NULL:
            raise MemoryError
        t.places = <uint32_t*>grown
        t.room = room
    if t.text_len + sizeof(PortHead) + 2 * MAX_LABEL_BYTES > t.text_room:
        room = 2 * t.text_room + 512
        grown = realloc(t.text, room)
        if grown == NULL:
            raise MemoryError
        t.text = <uint8_t*>grown
        t.text_room = room
    t.places[t.count] = t.text_len
    t.count += 1
    head = <PortHead*>(t.text + t.text_len)
    head.port = 0 if number < 0 else <uint16_t>number
    head.flags = PORT_NONE if number < 0 else 0
    head.protocol_len = <uint8_t>protocol_len
    head.name_len = <uint8_t>name_len
    lower_into(t.text + t.text_len + sizeof(PortHead), protocol, protocol_len)
    lower_into(t.text + t.text_len + sizeof(PortHead) + protocol_len, name, name_len)
    t.text_len += sizeof(PortHead) + protocol_len + name_len
    return 0


cdef int add_port_objects(PortTable* t, ports) except -1:
    """Add the ports of a msgspec object; one that stands in for them where there are none."""
    for one in ports or ():
        number = one.port
        protocol = (one.protocol or "").encode()
        name = (one.name or "").encode()
        add_port(t, -1 if number is None else number if 0 <= number <= 0xFFFF else -2, <bytes>protocol,
                 len(protocol), <bytes>name, len(name))
    return 0


cdef int compare_text(const uint8_t* a, uint32_t a_len, const uint8_t* b, uint32_t b_len) noexcept nogil:
    cdef int order = memcmp(a, b, a_len if a_len < b_len else b_len)
    if order:
        return order
    return -1 if a_len < b_len else 1 if a_len > b_len else 0


cdef int compare_ports(const void* a, const void* b, void* text) noexcept nogil:
    cdef const PortHead* x = <const PortHead*>(<const uint8_t*>text + (<const uint32_t*>a)[0])
    cdef const PortHead* y = <const PortHead*>(<const uint8_t*>text + (<const uint32_t*>b)[0])
    cdef const uint8_t* x_text = <const uint8_t*>x + sizeof(PortHead)
    cdef const uint8_t* y_text = <const uint8_t*>y + sizeof(PortHead)
    cdef int order = compare_text(x_text + x.protocol_len, x.name_len, y_text + y.protocol_len, y.name_len)
    if order == 0:
        order = compare_text(x_text, x.protocol_len, y_text, y.protocol_len)
    if order == 0:
        order = <int>x.port - <int>y.port
    if order == 0:
        order = <int>x.flags - <int>y.flags
    return order


cdef bytes finish_ports(PortTable* t):
    """The table of what was added; count becomes that of different ports."""
    cdef uint32_t i, kept = 0, size = 0, total, one, at
    cdef const PortHead* head
    cdef bytes made
    cdef uint8_t* out
    if t.count > 1:
        qsort_r(t.places, t.count, 4, compare_ports, t.text)
    for i in range(t.count):
        if kept and compare_ports(&t.places[kept - 1], &t.places[i], t.text) == 0:
            continue
        t.places[kept] = t.places[i]
        kept += 1
        size += port_bytes(<const PortHead*>(t.text + t.places[i]))
    t.count = kept
    total = size
    if kept > PORTS_WITHOUT_INDEX:
        total = ((size + 3) & ~3u) + 4 * kept
    made = PyBytes_FromStringAndSize(NULL, total)
    out = <uint8_t*><const uint8_t*>made
    memset(out, 0, total)
    at = 0
    for i in range(kept):
        head = <const PortHead*>(t.text + t.places[i])
        one = port_bytes(head)
        memcpy(out + at, head, one)
        if kept > PORTS_WITHOUT_INDEX:
            memcpy(out + total - 4 * (kept - i), &at, 4)
        at += one
    return made


# ------------------------------------------------------------------------------------------------- reading

cdef inline const PortHead* nth_port(const uint8_t* ports, uint32_t ports_len, uint32_t count,
                                     uint32_t i) noexcept nogil:
    """Port i of a table with an index, which takes 4 * count bytes; NULL where it is none."""
    cdef uint32_t at
    memcpy(&at, ports + ports_len - 4 * (count - i), 4)
    return port_at(ports, ports_len - 4 * count, at)


cdef inline int compare_name(const PortHead* port, const PortsWanted* wanted) noexcept nogil:
    return compare_text(<const uint8_t*>port + sizeof(PortHead) + port.protocol_len, port.name_len, wanted.name,
                        wanted.name_len)


cdef inline bint add_number(uint16_t* numbers, uint32_t room, uint32_t* distinct, uint64_t* seen,
                            uint16_t number) noexcept nogil:
    """seen: a bit a number, used from FEW_NUMBERS on."""
    cdef uint32_t j
    if distinct[0] >= room:
        return False
    if distinct[0] < FEW_NUMBERS:
        for j in range(distinct[0]):
            if numbers[j] == number:
                return True
    else:
        if distinct[0] == FEW_NUMBERS:
            memset(seen, 0, 8192)
            for j in range(FEW_NUMBERS):
                seen[numbers[j] >> 6] |= <uint64_t>1 << (numbers[j] & 63)
        if seen[number >> 6] >> (number & 63) & 1:
            return True
        seen[number >> 6] |= <uint64_t>1 << (number & 63)
    numbers[distinct[0]] = number
    distinct[0] += 1
    return True


cdef uint32_t matching_ports(const uint8_t* ports, uint32_t ports_len, uint32_t count, const PortsWanted* wanted,
                             uint16_t* numbers, uint32_t room, uint32_t* distinct, uint32_t* looks) noexcept nogil:
    cdef uint64_t seen[1024]
    cdef const PortHead* port
    cdef uint32_t at = 0, i = 0, low, high, middle, matched = 0
    cdef bint indexed = count > PORTS_WITHOUT_INDEX
    cdef bint every = not wanted.name_len and not wanted.protocol_len
    distinct[0] = 0
    if indexed and <uint64_t>count * 4 > ports_len:
        return 0
    if indexed and wanted.name_len:
        low = 0
        high = count
        while low < high:
            middle = low + (high - low) // 2
            port = nth_port(ports, ports_len, count, middle)
            if port == NULL:
                return 0
            if compare_name(port, wanted) < 0:
                low = middle + 1
            else:
                high = middle
        i = low
        if i < count:
            memcpy(&at, ports + ports_len - 4 * (count - i), 4)
    elif every and numbers == NULL:
        return count
    if indexed:
        ports_len -= 4 * count
    while i < count and looks[0] and not (every and distinct[0] == room):
        looks[0] -= 1
        port = port_at(ports, ports_len, at)
        if port == NULL:
            break
        if wanted.name_len and compare_name(port, wanted) != 0:
            if indexed:
                break
        elif not wanted.protocol_len or compare_text(<const uint8_t*>port + sizeof(PortHead), port.protocol_len,
                                                     wanted.protocol, wanted.protocol_len) == 0:
            matched += 1
            if numbers != NULL and not port.flags & PORT_NONE:
                # More numbers than there is room for only count.
                add_number(numbers, room, distinct, seen, port.port)
        at += port_bytes(port)
        i += 1
    # Without a filter every port matches, whether it was looked at or not.
    return count if every else matched
