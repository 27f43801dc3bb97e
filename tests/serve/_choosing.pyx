"""The native parts of the plugins in choosing.py: a filter, a value, and steps that say, ask and wait."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from fastdns._wire cimport RR, Reply, add_rr, in_zone
from fastdns.memory._clock cimport monotonic_ns
from fastdns.serve._arrival cimport server_address
from fastdns.serve._context cimport (
    ANSWERED, NEXT, OVER_TCP, OVER_UDP, SUSPENDED, Context, Outcome, ServiceReply, bare, written,
)
from fastdns.serve._nested cimport WHOLE_SERVER, Found, add_records, nested
from fastdns.serve._replies cimport find_reply
from fastdns.serve._suspend cimport (
    NativeService, Service, Suspended, resume_fn, suspend, suspended_bytes, write_suspended,
)
from fastdns.serve._values cimport BlockValue, NativeValue, Value, read_value
from fastdns.serve._zones cimport NativeFilter, NativeStep
from tests.serve._idle cimport make_idle

cdef enum:
    TYPE_TXT = 16
    SERVFAIL = 2
    MAX_WAITING = 16


cdef struct Criteria:
    const uint8_t* network          # NULL: any client
    uint32_t network_len
    uint32_t bits
    const uint8_t* below            # NULL: any name
    uint16_t below_len
    uint16_t qtype                  # 0: any
    uint16_t qclass                 # 0: any
    bint any_transport
    uint8_t transport
    const uint8_t* server           # NULL: any address of the server
    uint32_t server_len
    const Value* value              # NULL: none is read
    const uint8_t* text
    uint32_t text_len
    uint64_t looked                 # how often


cdef bint in_network(const Criteria* c, const uint8_t* address, uint32_t size) noexcept nogil:
    cdef uint32_t whole = c.bits >> 3
    cdef uint32_t rest = c.bits & 7
    if size != c.network_len or memcmp(address, c.network, whole) != 0:
        return False
    return rest == 0 or (address[whole] ^ c.network[whole]) >> (8 - rest) == 0


cdef bint accepts(Context* ctx, const void* conf) noexcept nogil:
    cdef Criteria* c = <Criteria*>conf
    cdef const uint8_t* at
    cdef uint32_t size
    c.looked += 1
    if c.network != NULL and not in_network(c, ctx.client, ctx.client_len):
        return False
    if c.below != NULL and not in_zone(ctx.q, c.below, c.below_len):
        return False
    if (c.qtype and c.qtype != ctx.q.qtype) or (c.qclass and c.qclass != ctx.q.qclass):
        return False
    if not c.any_transport and c.transport != ctx.transport:
        return False
    if c.server != NULL:
        at = server_address(ctx, &size)
        if at == NULL or size != c.server_len or memcmp(at, c.server, size) != 0:
            return False
    if c.value != NULL:
        size = read_value(ctx, c.value, &at)
        return size == c.text_len and (size == 0 or memcmp(at, c.text, size) == 0)
    return True


cdef class ChoosingFilter(NativeFilter):
    """All of what is given must hold. network: (bytes, bits); value: (BlockValue, bytes)."""
    cdef Criteria criteria
    cdef list keep

    def __init__(self, *, network=None, bytes below=None, uint16_t qtype=0, uint16_t qclass=0, tcp=None,
                 bytes server=None, value=None):
        cdef BlockValue read
        memset(&self.criteria, 0, sizeof(Criteria))
        self.keep = [network, below, server, value]
        if network is not None:
            self.criteria.network = <const uint8_t*><bytes>network[0]
            self.criteria.network_len = len(network[0])
            self.criteria.bits = network[1]
        if below is not None:
            self.criteria.below = <const uint8_t*>below
            self.criteria.below_len = len(below)
        self.criteria.qtype = qtype
        self.criteria.qclass = qclass
        self.criteria.any_transport = tcp is None
        self.criteria.transport = OVER_TCP if tcp else OVER_UDP
        if server is not None:
            self.criteria.server = <const uint8_t*>server
            self.criteria.server_len = len(server)
        if value is not None:
            read = value[0]
            self.criteria.value = &read.value
            self.criteria.text = <const uint8_t*><bytes>value[1]
            self.criteria.text_len = len(value[1])
        self.filter.accepts = accepts
        self.filter.conf = &self.criteria

    @property
    def qtype(self):
        """The type that a question must have; 0: any."""
        return self.criteria.qtype

    @property
    def looked(self):
        """How often it was asked."""
        return self.criteria.looked


cdef struct Fact:
    const uint8_t* text             # NULL: the client's address in hex
    uint32_t length
    uint64_t computed


cdef uint32_t compute(Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil:
    cdef Fact* f = <Fact*>conf
    cdef const char* digits = "0123456789abcdef"
    cdef uint32_t i
    f.computed += 1
    if f.text != NULL:
        memcpy(out, f.text, f.length if f.length < room else room)
        return f.length
    for i in range(ctx.client_len):
        out[2 * i] = digits[ctx.client[i] >> 4]
        out[2 * i + 1] = digits[ctx.client[i] & 15]
    return 2 * ctx.client_len


cdef class FactValue(NativeValue):
    """A text; or, where it is None, the client's address in hex."""
    cdef Fact fact
    cdef bytes text

    def __init__(self, text):
        self.fact.computed = 0
        self.say(text)
        self.value.compute = compute
        self.value.conf = &self.fact

    def say(self, text):
        """Have it be another text from now on."""
        self.text = text
        self.fact.text = <const uint8_t*>self.text if text is not None else NULL
        self.fact.length = len(text) if text is not None else 0

    @property
    def computed(self):
        """How often it was computed."""
        return self.fact.computed


cdef struct Words:
    const uint8_t* text             # a length and so many bytes
    uint16_t length
    const Value* value              # or this value


cdef Outcome say(Context* ctx, const void* conf) noexcept nogil:
    cdef const Words* w = <const Words*>conf
    cdef const uint8_t* text = NULL
    cdef uint32_t length
    cdef RR* rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_TXT, 0)
    if rr == NULL:
        return bare(ctx, SERVFAIL)
    rr.fixed = w.text
    rr.fixed_len = w.length
    if w.value != NULL:
        # Twice, as two steps would.
        length = read_value(ctx, w.value, &text)
        length = read_value(ctx, w.value, &text)
        rr.tail = text
        rr.tail_len = length
    return written(ctx)


cdef class SayStep(NativeStep):
    """Answers any question with a TXT record: a text; or, of a length that is known, a value."""
    cdef Words words
    cdef list keep

    def __init__(self, bytes text not None, BlockValue value=None, uint8_t value_len=0):
        record = bytes([len(text) + value_len]) + text
        self.keep = [record, value]
        self.words.text = <const uint8_t*><bytes>record
        self.words.length = len(record)
        self.words.value = NULL if value is None else &value.value
        self.step.before = say
        self.step.conf = &self.words


cdef struct Other:
    const uint8_t* name
    uint32_t name_len


cdef Outcome ask(Context* ctx, const void* conf) noexcept nogil:
    cdef const Other* other = <const Other*>conf
    cdef Found found
    cdef Outcome outcome
    if ctx.depth:
        return NEXT
    outcome = nested(ctx, other.name, other.name_len, TYPE_TXT, WHOLE_SERVER, &found)
    if outcome != ANSWERED:
        return outcome
    add_records(ctx.reply, &ctx.reply.answer, &found.answer)
    return written(ctx) if found.written else bare(ctx, found.rcode)


cdef class AskStep(NativeStep):
    """Answers with what another name has, asked of the whole server. name: in wire form."""
    cdef Other other
    cdef bytes name

    def __init__(self, bytes name not None):
        self.name = name
        self.other.name = <const uint8_t*>self.name
        self.other.name_len = len(name)
        self.step.before = ask
        self.step.conf = &self.other


cdef struct Desk:
    Service service
    Suspended* waiting[MAX_WAITING]
    uint32_t count
    resume_fn resume
    void* owner


cdef Outcome take(void* state, Context* ctx, const void* request) noexcept nogil:
    cdef Desk* desk = <Desk*>state
    if desk.count == MAX_WAITING:
        return bare(ctx, SERVFAIL)
    desk.waiting[desk.count] = <Suspended*>malloc(suspended_bytes(ctx))
    write_suspended(ctx, desk.waiting[desk.count])
    desk.count += 1
    desk.service.suspended += 1
    return SUSPENDED


cdef class WaitingRoom(NativeService):
    """Keeps queries until they are let go."""
    cdef Desk desk

    def __init__(self):
        memset(&self.desk, 0, sizeof(Desk))
        make_idle(&self.desk.service, &self.desk)
        self.desk.service.suspend = take
        self.service = &self.desk.service
        self.name = "tests.waiting_room"

    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume, void* owner) except -1:
        self.desk.resume = resume
        self.desk.owner = owner
        return 1

    def let_go(self):
        """Resume all that wait, with nothing."""
        cdef ServiceReply reply
        cdef Suspended* query
        cdef Suspended* waiting[MAX_WAITING]
        cdef uint32_t i
        cdef uint32_t count = self.desk.count
        memcpy(waiting, self.desk.waiting, sizeof(waiting))
        self.desk.count = 0
        for i in range(count):
            query = waiting[i]
            memset(&reply, 0, sizeof(reply))
            reply.received_ns = monotonic_ns()
            self.desk.service.suspended -= 1
            self.desk.resume(self.desk.owner, query, &reply)
            free(query)
        return count


cdef Outcome wait(Context* ctx, const void* conf) noexcept nogil:
    if find_reply(ctx, conf) != NULL:
        return NEXT
    return suspend(ctx, <Service*>conf, conf)


cdef class WaitStep(NativeStep):
    """Has each query wait once, then go on."""
    cdef WaitingRoom room

    def __init__(self, WaitingRoom room not None):
        self.room = room
        self.step.before = wait
        self.step.conf = room.service
