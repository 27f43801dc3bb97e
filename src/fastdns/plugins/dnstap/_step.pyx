"""The dnstap step, and the block's observer: each message becomes a frame in the ring of each tap's destination.

The client's query is told when the step first sees it, the reply as its bytes leave: also one that the server makes
by itself for want of an answer. What upstreams are asked, and what they reply, is told by who asks them.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastdns._wire cimport HEADER_BYTES, MIN_UDP_BYTES, MAX_MESSAGE_BYTES
from fastdns.dns._texts cimport (
    put_address, put_byte, put_bytes, put_class, put_decimal, put_name, put_type,
)
from fastdns.memory._atomics cimport load_relaxed
from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._syscalls cimport AF_INET6
from fastdns.plugins.dnstap._message cimport (
    CLIENT_QUERY, CLIENT_RESPONSE, FORWARDER_QUERY, FORWARDER_RESPONSE, PROTOCOL_DOH, PROTOCOL_DOQ, PROTOCOL_DOT,
    PROTOCOL_TCP, PROTOCOL_UDP, Address, Envelope, Message, inner_bytes, message_bytes, put_message,
)
from fastdns.plugins.dnstap._ring cimport Ring, commit, reserve
from fastdns.plugins.dnstap._thread cimport Thread, time_of_day
from fastdns.serve._arrival cimport server_address
from fastdns.serve._context cimport (
    NEXT, OVER_HTTPS, OVER_HTTPS3, OVER_QUIC, OVER_TLS, OVER_UDP, Context, Outcome, over_stream, proto_of,
)
from fastdns.serve._exchanges cimport Exchange, NativeObserver
from fastdns.serve._replies cimport was_here
from fastdns.serve._slots cimport slot_of
from fastdns.serve._values cimport BlockValue, Value, read_value
from fastdns.serve._zones cimport NativeStep

from fastdns.plugins.dnstap._message import envelope_head
from fastdns.plugins.dnstap.extra import LABELS

# In the order of LABELS.
cdef enum Op:
    OP_LITERAL = 0
    OP_VALUE = 1
    OP_TYPE = 2
    OP_NAME = 3
    OP_CLASS = 4
    OP_PROTO = 5
    OP_SIZE = 6
    OP_REMOTE = 7
    OP_PORT = 8
    OP_LOCAL = 9
    OP_ID = 10
    OP_OPCODE = 11
    OP_DO = 12
    OP_UDP_BYTES = 13

OPS = {label: number for number, label in enumerate(LABELS, start=OP_TYPE)}

cdef enum:
    MAX_EXTRA_BYTES = 4096      # what is longer is left out from a piece on
    MAX_PIECE_BYTES = 1024      # of any other piece than a literal: a name, a value
    MAX_NAME_BYTES = 255

cdef struct Part:
    Op op
    const char* literal
    uint32_t literal_len
    const Value* value

cdef struct Tap:
    uint32_t destination
    bint full
    const uint8_t* head
    uint32_t head_len
    uint32_t part_count
    Part* parts

cdef struct Conf:
    uint32_t slot               # of the thread's rings
    uint32_t count
    Tap* taps

# What extra can show of a message. The name is in wire form.
cdef struct Subject:
    Context* ctx                # NULL: of a query that is no client's
    const uint8_t* name
    uint16_t qtype
    uint16_t qclass
    uint16_t id
    uint8_t opcode
    uint8_t transport
    uint32_t size
    const Value* named          # the value that names the server of an exchange
    const Address* server


cdef inline uint8_t protocol_of(uint8_t transport) noexcept nogil:
    if transport == OVER_UDP:
        return PROTOCOL_UDP
    if transport == OVER_TLS:
        return PROTOCOL_DOT
    if transport == OVER_HTTPS or transport == OVER_HTTPS3:
        return PROTOCOL_DOH
    return PROTOCOL_DOQ if transport == OVER_QUIC else PROTOCOL_TCP


# --------------------------------------------------------------------------------------------------- extra

cdef inline uint8_t* put_true(uint8_t* out, bint value) noexcept nogil:
    return put_bytes(out, b"true", 4) if value else put_bytes(out, b"false", 5)


cdef uint8_t* put_value(uint8_t* out, const Subject* s, const Value* value) noexcept nogil:
    cdef const uint8_t* text
    cdef uint32_t length
    if s.ctx != NULL:
        length = read_value(s.ctx, value, &text)
        if length:
            return put_bytes(out, <const char*>text, length)
    elif value == s.named and s.server != NULL and s.server.bytes != NULL:
        out = put_address(out, s.server.bytes, s.server.length)
        out = put_byte(out, b":")
        return put_decimal(out, s.server.port)
    return put_byte(out, b"-")


cdef uint8_t* put_clients(uint8_t* out, const Subject* s, Op op) noexcept nogil:
    """What only a client's query has."""
    cdef const Context* ctx = s.ctx
    cdef const uint8_t* address
    cdef uint32_t size = 0
    if ctx == NULL:
        return put_byte(out, b"-")
    if op == OP_REMOTE:
        return put_address(out, ctx.client, ctx.client_len)
    if op == OP_PORT:
        return put_decimal(out, ctx.client_port)
    if op == OP_DO:
        return put_true(out, ctx.q.do_bit)
    if op == OP_UDP_BYTES:
        if over_stream(ctx.transport):
            return put_decimal(out, MAX_MESSAGE_BYTES)
        return put_decimal(out, ctx.q.udp_bytes if ctx.q.udp_bytes > MIN_UDP_BYTES else MIN_UDP_BYTES)
    address = server_address(ctx, &size)
    return put_byte(out, b"-") if address == NULL else put_address(out, address, size)


cdef uint8_t* put_part(uint8_t* out, const Subject* s, const Part* part) noexcept nogil:
    if part.op == OP_LITERAL:
        return put_bytes(out, part.literal, part.literal_len)
    if part.op == OP_VALUE:
        return put_value(out, s, part.value)
    if part.op == OP_TYPE:
        return put_type(out, s.qtype)
    if part.op == OP_NAME:
        return put_name(out, s.name)
    if part.op == OP_CLASS:
        return put_class(out, s.qclass)
    if part.op == OP_PROTO:
        return put_bytes(out, b"tcp", 3) if proto_of(s.transport) else put_bytes(out, b"udp", 3)
    if part.op == OP_SIZE:
        return put_decimal(out, s.size)
    if part.op == OP_ID:
        return put_decimal(out, s.id)
    if part.op == OP_OPCODE:
        return put_decimal(out, s.opcode)
    return put_clients(out, s, part.op)


cdef uint32_t put_extra(uint8_t* out, const Subject* s, const Tap* tap) noexcept nogil:
    cdef uint8_t* at = out
    cdef uint32_t i, need
    for i in range(tap.part_count):
        need = tap.parts[i].literal_len if tap.parts[i].op == OP_LITERAL else MAX_PIECE_BYTES
        if (at - out) + need > MAX_EXTRA_BYTES:
            break
        at = put_part(at, s, &tap.parts[i])
    return at - out


# ------------------------------------------------------------------------------------------------ messages

cdef void tell(const Conf* conf, Thread* thread, const Subject* s, Message* m, const uint8_t* msg,
               uint32_t msg_len) noexcept nogil:
    """Write a message into the ring of each tap. msg: for those that are full."""
    cdef uint8_t extra[MAX_EXTRA_BYTES]
    cdef Envelope envelope
    cdef const Tap* tap
    cdef Ring* ring
    cdef uint8_t* out
    cdef uint32_t i, inner
    envelope.extra = extra
    for i in range(conf.count):
        tap = &conf.taps[i]
        if tap.destination >= thread.count:
            continue
        ring = thread.rings[tap.destination]
        if not load_relaxed(&ring.wanted):
            continue
        m.msg = msg if tap.full else NULL
        m.msg_len = msg_len
        envelope.head = tap.head
        envelope.head_len = tap.head_len
        envelope.extra_len = put_extra(extra, s, tap) if tap.part_count else 0
        inner = inner_bytes(m)
        out = reserve(ring, message_bytes(&envelope, inner))
        if out != NULL:
            put_message(&envelope, m, inner, out)
            commit(ring)


cdef bint any_wanted(const Conf* conf, const Thread* thread) noexcept nogil:
    """Whether anybody takes what would be told: nobody may be connected to a listener."""
    cdef uint32_t i
    for i in range(conf.count):
        if conf.taps[i].destination < thread.count and load_relaxed(&thread.rings[conf.taps[i].destination].wanted):
            return True
    return False


cdef void tell_clients(Context* ctx, const Conf* conf, Thread* thread, const uint8_t* reply,
                       uint32_t size) noexcept nogil:
    """The client's query; or the reply to it, where that is not NULL."""
    cdef Message m
    cdef Subject s
    cdef uint32_t address_len = 0
    memset(&s, 0, sizeof(s))
    s.ctx = ctx
    s.name = ctx.q.name
    s.qtype = ctx.q.qtype
    s.qclass = ctx.q.qclass
    s.id = ctx.q.id
    s.opcode = ctx.q.opcode
    s.transport = ctx.transport
    s.size = ctx.msg_len
    m.type = CLIENT_QUERY if reply == NULL else CLIENT_RESPONSE
    m.protocol = protocol_of(ctx.transport)
    m.is_response = reply != NULL
    m.asker.bytes = ctx.client
    m.asker.length = <uint8_t>ctx.client_len
    m.asker.port = ctx.client_port
    m.responder.bytes = server_address(ctx, &address_len)
    m.responder.length = <uint8_t>address_len
    m.responder.port = ctx.server.port
    m.query_ns = time_of_day(thread, ctx.received_ns)
    m.response_ns = time_of_day(thread, monotonic_ns()) if reply != NULL else 0
    m.id = NULL
    if reply != NULL:
        tell(conf, thread, &s, &m, reply, size)
    else:
        tell(conf, thread, &s, &m, ctx.msg, ctx.msg_len)


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef Thread* thread = <Thread*>ctx.slots[conf.slot]
    # What steps ask inside a query is nobody's message.
    if thread != NULL and ctx.depth == 0 and not ctx.background and not was_here(ctx) and any_wanted(conf, thread):
        tell_clients(ctx, conf, thread, NULL, 0)
    return NEXT


cdef uint32_t finish(Context* ctx, uint8_t* out, uint32_t size, uint32_t room, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef Thread* thread = <Thread*>ctx.slots[conf.slot]
    if thread != NULL and any_wanted(conf, thread):
        tell_clients(ctx, conf, thread, out, size)
    return size


cdef void take_address(const uint8_t* sockaddr, Address* address) noexcept nogil:
    """struct sockaddr_in or struct sockaddr_in6; NULL: none."""
    address.bytes = NULL
    address.length = 0
    address.port = 0
    if sockaddr == NULL:
        return
    address.port = (<uint16_t>sockaddr[2] << 8) | sockaddr[3]
    if (<const uint16_t*>sockaddr)[0] == AF_INET6:
        address.bytes = sockaddr + 8
        address.length = 16
    else:
        address.bytes = sockaddr + 4
        address.length = 4


cdef bint take_question(const uint8_t* msg, uint32_t size, uint8_t* name, Subject* s) noexcept nogil:
    """The one question of a message, whose name is not compressed. False where it is none."""
    cdef uint32_t at = HEADER_BYTES
    cdef uint32_t i, length = 1
    while length:
        if at >= size:
            return False
        length = msg[at]
        if length > 63 or at + length >= size or at - HEADER_BYTES + length >= MAX_NAME_BYTES:
            return False
        name[at - HEADER_BYTES] = length
        for i in range(at + 1, at + length + 1):
            name[i - HEADER_BYTES] = msg[i] + 32 if 65 <= msg[i] <= 90 else msg[i]
        at += length + 1
    if at + 4 > size:
        return False
    s.qtype = (<uint16_t>msg[at] << 8) | msg[at + 1]
    s.qclass = (<uint16_t>msg[at + 2] << 8) | msg[at + 3]
    s.opcode = (msg[2] >> 3) & 0xF
    return True


cdef void observe(const Exchange* exchange, void** slots, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef Thread* thread
    cdef Message m
    cdef Subject s
    cdef uint8_t name[MAX_NAME_BYTES + 1]
    cdef const uint8_t* id = exchange.id if exchange.id != NULL else exchange.msg
    if slots == NULL:
        return
    thread = <Thread*>slots[conf.slot]
    if thread == NULL or exchange.msg_len < HEADER_BYTES or not any_wanted(conf, thread):
        return
    memset(&s, 0, sizeof(s))
    name[0] = 0
    s.name = name
    if not take_question(exchange.msg, exchange.msg_len, name, &s):
        name[0] = 0
    s.id = (<uint16_t>id[0] << 8) | id[1]
    s.transport = exchange.transport
    s.size = exchange.msg_len
    s.named = exchange.named
    s.server = &m.responder
    m.type = FORWARDER_RESPONSE if exchange.is_reply else FORWARDER_QUERY
    m.protocol = protocol_of(exchange.transport)
    m.is_response = exchange.is_reply
    take_address(exchange.local, &m.asker)
    take_address(exchange.server, &m.responder)
    m.query_ns = time_of_day(thread, exchange.sent_ns)
    m.response_ns = time_of_day(thread, exchange.received_ns) if exchange.is_reply else 0
    m.id = exchange.id
    tell(conf, thread, &s, &m, exchange.msg, exchange.msg_len)


# ---------------------------------------------------------------------------------------------- for Python

cdef class TapStep(NativeStep):
    """taps: (number of the destination, full, identity, version, pieces) each. A piece is the bytes of a literal, a
    label of extra.LABELS, or a BlockValue."""
    cdef Conf conf
    cdef list keep

    def __cinit__(self, list taps not None):
        self.conf.taps = <Tap*>calloc(len(taps) + 1, sizeof(Tap))
        if self.conf.taps == NULL:
            raise MemoryError

    def __init__(self, list taps not None):
        cdef Tap* tap
        self.keep = []
        for destination, full, identity, version, pieces in taps:
            tap = &self.conf.taps[self.conf.count]
            tap.destination = destination
            tap.full = full
            head = envelope_head(identity, version)
            self.keep.append(head)
            tap.head = <const uint8_t*><bytes>head
            tap.head_len = len(head)
            self.take_pieces(tap, pieces)
            self.conf.count += 1
        self.conf.slot = slot_of("dnstap")
        self.step.before = before
        self.step.finish = finish
        self.step.conf = &self.conf

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.conf.count):
            free(self.conf.taps[i].parts)
        free(self.conf.taps)

    cdef int take_pieces(self, Tap* tap, pieces) except -1:
        cdef Part* part
        cdef BlockValue value
        tap.parts = <Part*>calloc(len(pieces) + 1, sizeof(Part))
        if tap.parts == NULL:
            raise MemoryError
        for piece in pieces:
            part = &tap.parts[tap.part_count]
            self.keep.append(piece)
            if isinstance(piece, bytes):
                part.op = OP_LITERAL
                part.literal = <const char*><bytes>piece
                part.literal_len = len(piece)
            elif isinstance(piece, str):
                part.op = OPS[piece]
            else:
                part.op = OP_VALUE
                value = piece
                part.value = &value.value
            tap.part_count += 1
        return 0


cdef class TapObserver(NativeObserver):
    """What upstreams are asked is told as the step tells what clients ask."""
    cdef TapStep step

    def __init__(self, TapStep step not None):
        self.step = step
        self.observer.observe = observe
        self.observer.conf = &step.conf
