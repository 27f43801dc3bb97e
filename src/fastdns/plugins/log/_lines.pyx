"""Events to lines, as CoreDNS writes them: ``[INFO] `` and the format filled in, one query a line.

What a client has sent reaches a line only as numbers and as the qname, whose bytes are escaped: no query can
begin a line of its own or send a terminal commands.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from fastdns.dns._texts cimport (
    put_address, put_byte, put_bytes, put_class, put_decimal, put_label, put_name, put_rcode, put_type,
)
from fastdns.memory._atomics cimport load, publish_u64
from fastdns.serve._zones cimport ServerTable
from fastdns.plugins.log._ring cimport (
    LOG_DO, LOG_SILENT, LOG_TCP, LogEvent, LogRing, Ring, event_name, read_event,
)
from fastdns.plugins.log._values cimport put_duration, put_flags

from fastdns.plugins.log.format import PLACEHOLDERS, max_line_bytes

cdef enum Op:
    OP_LITERAL = 0
    OP_TYPE = 1
    OP_NAME = 2
    OP_CLASS = 3
    OP_PROTO = 4
    OP_SIZE = 5
    OP_REMOTE = 6
    OP_PORT = 7
    OP_LOCAL = 8
    OP_ID = 9
    OP_OPCODE = 10
    OP_DO = 11
    OP_BUFSIZE = 12
    OP_RCODE = 13
    OP_RSIZE = 14
    OP_DURATION = 15
    OP_RFLAGS = 16
    OP_VALUE = 17
    OP_JSON_NAME = 18
    OP_JSON_VALUE = 19
    OP_JSON_DURATION = 20

OPS = {
    "": OP_LITERAL, "{type}": OP_TYPE, "{name}": OP_NAME, "{class}": OP_CLASS, "{proto}": OP_PROTO,
    "{size}": OP_SIZE, "{remote}": OP_REMOTE, "{port}": OP_PORT, "{local}": OP_LOCAL, "{>id}": OP_ID,
    "{>opcode}": OP_OPCODE, "{>do}": OP_DO, "{>bufsize}": OP_BUFSIZE, "{rcode}": OP_RCODE, "{rsize}": OP_RSIZE,
    "{duration}": OP_DURATION, "{>rflags}": OP_RFLAGS,
}
assert OPS.keys() - {""} == PLACEHOLDERS.keys()
# In a line that is a JSON object, of these what is written differs.
JSON_OPS = {"{name}": OP_JSON_NAME, "{duration}": OP_JSON_DURATION}

cdef enum:
    LINES_BYTES = 131072        # of one call of read
    MAX_ADDRESS_BYTES = 47
    PREFIX_BYTES = 7
    MAX_NAME_TEXT_BYTES = 1024

cdef const char* PREFIX = b"[INFO] "
cdef const char* HEX_DIGITS = b"0123456789abcdef"

cdef struct Piece:
    Op op
    const char* literal
    uint32_t literal_len

cdef struct Format:
    uint32_t count
    uint32_t max_bytes          # of a line, prefix and newline included
    bint in_json                # it has no prefix
    Piece* pieces

# The formats of one server block, by the number of the rule.
cdef struct BlockFormats:
    uint32_t count
    Format* formats

# The address that a listener was told to listen at, as text.
cdef struct ListenerAddress:
    uint64_t listener           # const Server*
    uint8_t length
    char text[MAX_ADDRESS_BYTES]


cdef uint8_t* put_local(uint8_t* out, const ListenerAddress* known, uint32_t count,
                        uint64_t listener) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        if known[i].listener == listener:
            return put_bytes(out, known[i].text, known[i].length)
    return put_byte(out, b"-")


cdef uint8_t* put_value(uint8_t* out, const uint8_t* value) noexcept nogil:
    """A value behind its length byte. Control characters are escaped as in names: a line stays one line."""
    cdef uint32_t i
    if value[0] == 0:
        return put_byte(out, b"-")
    for i in range(1, <uint32_t>value[0] + 1):
        if value[i] < 32 or value[i] == 127:
            out = put_label(out, &value[i], 1)
        else:
            out = put_byte(out, value[i])
    return out


cdef uint8_t* put_json_name(uint8_t* out, const uint8_t* name) noexcept nogil:
    """A name inside a JSON string (RFC 8259 section 7). As text it has no control characters."""
    cdef uint8_t text[MAX_NAME_TEXT_BYTES]
    cdef uint32_t i
    cdef uint32_t size = put_name(text, name) - text
    for i in range(size):
        if text[i] == 34 or text[i] == 92:
            out = put_byte(out, 92)
        out = put_byte(out, text[i])
    return out


cdef uint32_t utf8_bytes(const uint8_t* at, uint32_t left) noexcept nogil:
    """How many bytes the character at ``at`` has (RFC 3629 section 4); 0: it is none."""
    cdef uint32_t i, size
    cdef uint8_t first = at[0]
    if first < 0x80:
        return 1
    size = 2 if 0xC2 <= first < 0xE0 else 3 if 0xE0 <= first < 0xF0 else 4 if 0xF0 <= first < 0xF5 else 0
    if size == 0 or size > left:
        return 0
    for i in range(1, size):
        if at[i] & 0xC0 != 0x80:
            return 0
    # Too long a form, a surrogate, or beyond the last character.
    if (first == 0xE0 and at[1] < 0xA0) or (first == 0xED and at[1] > 0x9F):
        return 0
    if (first == 0xF0 and at[1] < 0x90) or (first == 0xF4 and at[1] > 0x8F):
        return 0
    return size


cdef uint8_t* put_json_value(uint8_t* out, const uint8_t* value) noexcept nogil:
    """A value behind its length byte, inside a JSON string. A byte that is no UTF-8 is the character U+FFFD."""
    cdef uint32_t i = 1
    cdef uint32_t size, end = <uint32_t>value[0] + 1
    if value[0] == 0:
        return put_byte(out, b"-")
    while i < end:
        size = utf8_bytes(&value[i], end - i)
        if size == 0:
            out = put_bytes(out, b"\\ufffd", 6)
            size = 1
        elif value[i] < 32 or value[i] == 127:
            out = put_bytes(out, b"\\u00", 4)
            out = put_byte(out, HEX_DIGITS[value[i] >> 4])
            out = put_byte(out, HEX_DIGITS[value[i] & 15])
        else:
            if value[i] == 34 or value[i] == 92:
                out = put_byte(out, 92)
            out = put_bytes(out, <const char*>&value[i], size)
        i += size
    return out


cdef uint8_t* put_query_value(uint8_t* out, Op op, const LogEvent* event) noexcept nogil:
    if op == OP_TYPE:
        return put_type(out, event.qtype)
    if op == OP_NAME:
        return put_name(out, event_name(event))
    if op == OP_CLASS:
        return put_class(out, event.qclass)
    if op == OP_PROTO:
        return put_bytes(out, b"tcp" if event.bits & LOG_TCP else b"udp", 3)
    if op == OP_SIZE:
        return put_decimal(out, event.query_bytes)
    if op == OP_REMOTE:
        return put_address(out, event.client, event.client_len)
    if op == OP_PORT:
        return put_decimal(out, event.client_port)
    if op == OP_ID:
        return put_decimal(out, event.id)
    if op == OP_OPCODE:
        return put_decimal(out, event.opcode)
    if op == OP_BUFSIZE:
        return put_decimal(out, event.udp_bytes)
    if event.bits & LOG_DO:
        return put_bytes(out, b"true", 4)
    return put_bytes(out, b"false", 5)


cdef uint8_t* put_reply_value(uint8_t* out, Op op, const LogEvent* event) noexcept nogil:
    if op == OP_DURATION:
        return put_duration(out, event.took_ns)
    if op == OP_RSIZE:
        return put_decimal(out, event.reply_bytes)
    if event.bits & LOG_SILENT:
        return put_byte(out, b"-")
    if op == OP_RCODE:
        return put_rcode(out, event.rcode)
    return put_flags(out, event.flags)


cdef Op op_of(part) except *:
    """What is written for a part of a format."""
    if part.value:
        return OP_JSON_VALUE if part.in_json else OP_VALUE
    if part.in_json and part.placeholder in JSON_OPS:
        return <Op><int>JSON_OPS[part.placeholder]
    return <Op><int>OPS[part.placeholder]


cdef class LineReader:
    """Makes lines of the events of any number of rings.

    formats: block number to the parts (format.Part) of each of its rules' formats.
    """
    cdef BlockFormats* blocks
    cdef uint32_t block_count
    cdef ListenerAddress* listeners
    cdef uint32_t listener_count
    cdef uint8_t* lines
    cdef list keep

    def __cinit__(self, dict formats not None):
        cdef uint32_t block
        self.keep = []
        self.block_count = max(formats, default=-1) + 1
        self.blocks = <BlockFormats*>calloc(self.block_count + 1, sizeof(BlockFormats))
        self.lines = <uint8_t*>malloc(LINES_BYTES)
        if self.blocks == NULL or self.lines == NULL:
            raise MemoryError
        for block, rules in formats.items():
            self.add_block(&self.blocks[block], list(rules))

    def __dealloc__(self):
        cdef uint32_t i, j
        for i in range(self.block_count if self.blocks != NULL else 0):
            for j in range(self.blocks[i].count):
                free(self.blocks[i].formats[j].pieces)
            free(self.blocks[i].formats)
        free(self.blocks)
        free(self.listeners)
        free(self.lines)

    cdef int add_block(self, BlockFormats* block, list rules) except -1:
        cdef uint32_t i
        block.formats = <Format*>calloc(len(rules) + 1, sizeof(Format))
        if block.formats == NULL:
            raise MemoryError
        block.count = len(rules)
        for i in range(block.count):
            self.add_format(&block.formats[i], tuple(rules[i]))
        return 0

    cdef int add_format(self, Format* format, tuple parts) except -1:
        cdef uint32_t i
        cdef bytes literal
        if max_line_bytes(parts) + PREFIX_BYTES + 1 > LINES_BYTES:
            raise ValueError(f"a line has to fit into {LINES_BYTES} bytes")
        format.max_bytes = max_line_bytes(parts) + PREFIX_BYTES + 1
        format.pieces = <Piece*>calloc(len(parts) + 1, sizeof(Piece))
        if format.pieces == NULL:
            raise MemoryError
        format.count = len(parts)
        for i in range(format.count):
            literal = parts[i].literal.encode()
            self.keep.append(literal)
            format.pieces[i].op = op_of(parts[i])
            format.in_json |= parts[i].in_json
            format.pieces[i].literal = literal
            format.pieces[i].literal_len = len(literal)
        return 0

    def add_listener(self, ServerTable table not None, str address not None):
        """What {local} says of queries that a table answers. address: IP text; "": every address."""
        cdef bytes text = (f"[{address}]" if ":" in address else address or "[::]").encode()
        cdef ListenerAddress* grown
        if len(text) > MAX_ADDRESS_BYTES:
            raise ValueError(f"an address expected, got {address!r}")
        grown = <ListenerAddress*>realloc(self.listeners, (self.listener_count + 1) * sizeof(ListenerAddress))
        if grown == NULL:
            raise MemoryError
        self.listeners = grown
        grown[self.listener_count].listener = <uint64_t>&table.server
        grown[self.listener_count].length = len(text)
        memcpy(grown[self.listener_count].text, <const char*>text, len(text))
        self.listener_count += 1
        # A table that were freed could leave its place to another.
        self.keep.append(table)

    def read(self, LogRing ring not None):
        """The lines of what a ring holds, as many as fit into one piece of LINES_BYTES; b"" where it is empty."""
        cdef uint32_t size
        with nogil:
            size = self.read_lines(ring.ring)
        return self.lines[:size]

    cdef uint32_t read_lines(self, Ring* ring) noexcept nogil:
        cdef uint64_t head = load(&ring.head)
        cdef uint64_t at = ring.tail
        cdef uint64_t read_to = at
        cdef uint8_t* out = self.lines
        cdef const LogEvent* event
        cdef const Format* format
        while True:
            event = read_event(ring, &at, head)
            if event == NULL:
                break
            format = &self.blocks[event.block].formats[event.rule]
            if out + format.max_bytes > self.lines + LINES_BYTES:
                break
            out = self.put_line(out, format, event)
            read_to = at
        publish_u64(&ring.tail, read_to)
        return out - self.lines

    cdef uint8_t* put_line(self, uint8_t* out, const Format* format, const LogEvent* event) noexcept nogil:
        cdef uint32_t i
        cdef const Piece* piece
        cdef const uint8_t* value = event_name(event) + event.name_len
        cdef uint32_t values = event.value_count
        if not format.in_json:
            out = put_bytes(out, PREFIX, PREFIX_BYTES)
        for i in range(format.count):
            piece = &format.pieces[i]
            if piece.op == OP_LITERAL:
                out = put_bytes(out, piece.literal, piece.literal_len)
            elif piece.op == OP_LOCAL:
                out = put_local(out, self.listeners, self.listener_count, event.listener)
            elif piece.op == OP_JSON_NAME:
                out = put_json_name(out, event_name(event))
            elif piece.op == OP_JSON_DURATION:
                # A number has no unit.
                out = put_duration(out, event.took_ns) - 1
            elif (piece.op == OP_VALUE or piece.op == OP_JSON_VALUE) and values == 0:
                out = put_byte(out, b"-")
            elif piece.op == OP_VALUE or piece.op == OP_JSON_VALUE:
                out = put_value(out, value) if piece.op == OP_VALUE else put_json_value(out, value)
                value += value[0] + 1
                values -= 1
            elif piece.op >= OP_RCODE:
                out = put_reply_value(out, piece.op, event)
            else:
                out = put_query_value(out, piece.op, event)
        # A format that ends in a newline of its own gets no second one.
        return out if (out - 1)[0] == b"\n" else put_byte(out, b"\n")
