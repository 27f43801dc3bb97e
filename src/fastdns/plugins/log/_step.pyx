"""The log step: one event for each query whose rule asks for it, on the reply's way out.

A reply is one of three: written by a plugin; bare, where a plugin has returned a response code that the server
answers by itself; or none, where the query is dropped.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset, strlen

from fastdns.memory._clock cimport monotonic_ns
from fastdns.dns._texts cimport put_byte, put_bytes
from fastdns.serve._context cimport (
    OVER_TCP, OVER_UDP, Context, Server, add_memory, find_memory, next_random, over_stream, proto_of,
)
from fastdns.serve._slots cimport MAX_SLOTS, slot_of
from fastdns.serve._values cimport BlockValue, NativeValue, Value, read_value
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    ACCEPTED, FLAG_AA, FLAG_AD, FLAG_CD, FLAG_QR, FLAG_RA, FLAG_RD, FLAG_TC, FORMERR, HEADER_BYTES,
    MAX_MESSAGE_BYTES, MAX_OPT_ECHO_BYTES, MIN_UDP_BYTES, NOERROR, NOTIMP, NXDOMAIN, OPCODE_NOTIFY, OPCODE_QUERY,
    OPT_FIXED_BYTES, REFUSED, RR, SERVFAIL, TYPE_AXFR, TYPE_IXFR, TYPE_NS, TYPE_RRSIG, TYPE_SOA, Query, Reply,
    Section, accept, add_rr, in_zone, reply_reset, uncompressed_bytes, write_reply,
)
from fastdns.plugins.log._values cimport SECOND_NS
from fastdns.plugins.log._ring cimport (
    LOG_DO, LOG_SILENT, LOG_TCP, LogEvent, LogRing, Ring, commit, event_name, reserve,
)

cdef extern from "time.h" nogil:
    long c_time "time"(long* at)

cdef enum Class:
    CLASS_SUCCESS = 1
    CLASS_DENIAL = 2
    CLASS_ERROR = 4
    CLASS_ALL = 7

cdef enum Answered:
    SILENT = 0
    BARE = 1
    WRITTEN = 2

cdef enum:
    MAX_UDP_REPLY_BYTES = 65507     # what UDP over IPv4 carries
    RRSIG_TIMES_AT = 8              # expiration, then inception (RFC 4034 section 3.1)
    OPCODE_UPDATE = 5
    MAX_RULES = 65535
    MAX_VALUES = 32             # as many as a line of 32 KiB takes
    MAX_LOGGED_BYTES = 255      # of one value

# As CoreDNS has them.
cdef enum ReplyType:
    NO_ERROR = 0
    NAME_ERROR = 1
    SERVER_ERROR = 2
    NO_DATA = 3
    DELEGATION = 4
    META = 5
    UPDATE = 6
    OTHER_ERROR = 7

cdef const char* TYPE_TEXTS[8]
TYPE_TEXTS[:] = [
    b"NOERROR", b"NXDOMAIN", b"SERVERERROR", b"NODATA", b"DELEGATION", b"META", b"UPDATE", b"OTHERERROR",
]
# By Class.
cdef const char* CLASS_TEXTS[5]
CLASS_TEXTS[:] = [b"", b"success", b"denial", b"", b"error"]
# Whose memory of a question the type of its reply is.
cdef uint8_t REPLY_TYPE = 0

CLASSES = {"success": CLASS_SUCCESS, "denial": CLASS_DENIAL, "error": CLASS_ERROR, "all": CLASS_ALL}

# Lines of some classes: one may be written once it is due, or up to a second before.
cdef struct Limit:
    uint8_t classes             # of Class
    uint64_t line_ns            # at its rate
    uint64_t due_ns             # when the next line is due (CLOCK_MONOTONIC); each serving thread has a copy

cdef struct Rule:
    const uint8_t* name         # lowercased wire form
    uint16_t name_len
    uint8_t classes             # of Class
    uint32_t sample             # of so many queries one is logged
    uint32_t limit_count
    uint32_t first_limit        # in a thread's limits
    uint32_t value_count
    const Value* values[MAX_VALUES]     # that its format shows, in order

cdef struct Conf:
    uint32_t slot               # of the thread's ring
    uint32_t limit_count        # of all rules
    Limit* limits               # limit_count for UDP, as many for other transports: threads of their own
    uint16_t block
    uint32_t rule_count
    Rule* rules


cdef inline Answered answered(const Context* ctx) noexcept nogil:
    # A step that answers either writes a reply or returns one of these codes; dropping does neither.
    cdef uint16_t rcode = ctx.reply.rcode
    if ctx.written:
        return WRITTEN
    if rcode == SERVFAIL or rcode == REFUSED or rcode == FORMERR or rcode == NOTIMP:
        return BARE
    return SILENT


cdef inline uint32_t read_u32_at(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef bint signature_is_out_of_date(const Section* section, uint32_t now_s) noexcept nogil:
    """Whether a signature's time is over, or is still to come (RFC 4034 section 3.1.5: serial numbers)."""
    cdef uint32_t i
    cdef const uint8_t* times
    for i in range(section.count):
        if section.rr[i].rrtype != TYPE_RRSIG or section.rr[i].fixed == NULL or section.rr[i].fixed_len < 16:
            continue
        times = section.rr[i].fixed + RRSIG_TIMES_AT
        if <int32_t>(read_u32_at(times) - now_s) < 0 or <int32_t>(now_s - read_u32_at(times + 4)) < 0:
            return True
    return False


cdef bint has_bad_signature(const Reply* reply) noexcept nogil:
    cdef uint32_t now_s = <uint32_t>c_time(NULL)
    return (signature_is_out_of_date(&reply.answer, now_s) or signature_is_out_of_date(&reply.authority, now_s)
            or signature_is_out_of_date(&reply.additional, now_s))


cdef bint has_type(const Section* section, uint16_t rrtype) noexcept nogil:
    cdef uint32_t i
    for i in range(section.count):
        if section.rr[i].rrtype == rrtype:
            return True
    return False


cdef ReplyType type_of(const Context* ctx, Answered how) noexcept nogil:
    """CoreDNS's type of a reply."""
    cdef const Query* q = ctx.q
    cdef const Reply* reply = ctx.reply
    if how == SILENT:
        return OTHER_ERROR
    if q.opcode == OPCODE_UPDATE:
        return UPDATE
    if q.opcode == OPCODE_NOTIFY or q.qtype == TYPE_AXFR or q.qtype == TYPE_IXFR:
        return META
    # A client that does not ask for signatures does not look at them.
    if how == WRITTEN and q.has_opt and q.do_bit and has_bad_signature(reply):
        return OTHER_ERROR
    if reply.rcode == SERVFAIL or reply.rcode == NOTIMP:
        return SERVER_ERROR
    if how != WRITTEN or q.opcode != OPCODE_QUERY:
        return OTHER_ERROR
    if reply.rcode == NXDOMAIN:
        # A name that does not exist has no answer either.
        return NAME_ERROR if reply.answer.count == 0 else OTHER_ERROR
    if reply.rcode != NOERROR:
        return OTHER_ERROR
    if reply.answer.count != 0:
        return NO_ERROR
    # RFC 2308 section 2.2
    if has_type(&reply.authority, TYPE_SOA):
        return NO_DATA
    return DELEGATION if has_type(&reply.authority, TYPE_NS) else NO_ERROR


cdef Class class_of(ReplyType type) noexcept nogil:
    if type == NO_ERROR or type == DELEGATION:
        return CLASS_SUCCESS
    if type == NAME_ERROR or type == NO_DATA:
        return CLASS_DENIAL
    return CLASS_ERROR


cdef uint32_t type_text(Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil:
    """The value log/type: there is one from when the reply is logged."""
    cdef const ReplyType* found = <const ReplyType*>find_memory(ctx, &REPLY_TYPE)
    cdef const char* text
    if found == NULL:
        return 0
    text = TYPE_TEXTS[<uint32_t>found[0]]
    return put_bytes(out, text, strlen(text)) - out


cdef uint32_t class_text(Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil:
    """The value log/class."""
    cdef const ReplyType* found = <const ReplyType*>find_memory(ctx, &REPLY_TYPE)
    cdef const char* text
    if found == NULL:
        return 0
    text = CLASS_TEXTS[<uint32_t>class_of(found[0])]
    return put_bytes(out, text, strlen(text)) - out


cdef class ReplyValue(NativeValue):
    """A value of the reply that is logged: its "type", or its "class"."""

    def __init__(self, str name not None):
        self.value.compute = type_text if name == "type" else class_text
        self.value.everywhere = True


cdef bint is_truncated(const Context* ctx, uint32_t reply_bytes, uint8_t* trial) noexcept nogil:
    """Whether TC will be set. Compression decides that only for replies that do not fit without: they are tried."""
    cdef const Query* q = ctx.q
    cdef uint32_t limit = MAX_MESSAGE_BYTES
    # As large as it may be: this only spares most replies the trial.
    cdef uint32_t opt_bytes = OPT_FIXED_BYTES + MAX_OPT_ECHO_BYTES if q.has_opt else 0
    if ctx.reply.tc:
        return True
    if not over_stream(ctx.transport):
        limit = q.udp_bytes if q.udp_bytes > MIN_UDP_BYTES else MIN_UDP_BYTES
        if limit > MAX_UDP_REPLY_BYTES:
            limit = MAX_UDP_REPLY_BYTES
    if reply_bytes + opt_bytes <= limit:
        return False
    write_reply(q, ctx.reply, trial, limit)
    return (trial[2] & (FLAG_TC >> 8)) != 0


cdef uint16_t reply_flags(const Context* ctx, Answered how, uint32_t reply_bytes, uint8_t* trial) noexcept nogil:
    """The flags that the reply's header will have."""
    cdef uint16_t flags = FLAG_QR
    if ctx.q.opcode == OPCODE_QUERY:
        flags |= ctx.q.flags & (FLAG_RD | FLAG_CD)
    if how != WRITTEN:
        return flags
    if ctx.reply.aa:
        flags |= FLAG_AA
    if ctx.reply.ra:
        flags |= FLAG_RA
    if ctx.reply.ad:
        flags |= FLAG_AD
    if is_truncated(ctx, reply_bytes, trial):
        flags |= FLAG_TC
    return flags


cdef void fill_query(const Context* ctx, LogEvent* event) noexcept nogil:
    cdef const Query* q = ctx.q
    cdef bint stream = over_stream(ctx.transport)
    event.id = q.id
    event.qtype = q.qtype
    event.qclass = q.qclass
    event.opcode = q.opcode
    event.query_bytes = q.msg_len
    event.udp_bytes = MAX_MESSAGE_BYTES if stream else q.udp_bytes if q.udp_bytes > MIN_UDP_BYTES else MIN_UDP_BYTES
    event.bits = (LOG_TCP if proto_of(ctx.transport) else 0) | (LOG_DO if q.do_bit else 0)
    event.listener = <uint64_t>ctx.server
    event.client_port = ctx.client_port
    event.client_len = ctx.client_len
    memcpy(event.client, ctx.client, ctx.client_len)
    event.name_len = q.name_len
    memcpy(<uint8_t*>event_name(event), q.name, q.name_len)


cdef void fill_reply(const Context* ctx, Answered how, LogEvent* event, uint8_t* trial) noexcept nogil:
    event.rcode = ctx.reply.rcode
    event.flags = 0
    event.reply_bytes = 0
    if how == SILENT:
        event.bits |= LOG_SILENT
        return
    # A bare reply has the question only.
    event.reply_bytes = HEADER_BYTES + ctx.q.name_len + 4
    if how == WRITTEN:
        event.reply_bytes = uncompressed_bytes(ctx.q, ctx.reply)
        # An upstream's OPT record counts; the one that the server adds does not.
        if ctx.reply.options != NULL:
            event.reply_bytes += OPT_FIXED_BYTES + ctx.reply.options_len
    event.flags = reply_flags(ctx, how, event.reply_bytes, trial)


cdef const Rule* rule_for(const Conf* conf, const Query* q) noexcept nogil:
    cdef uint32_t i
    for i in range(conf.rule_count):
        if in_zone(q, conf.rules[i].name, conf.rules[i].name_len):
            return &conf.rules[i]
    return NULL


cdef bint within_limits(const Context* ctx, const Conf* conf, const Rule* rule, Class of,
                        uint64_t now_ns) noexcept nogil:
    """Whether one more line of this class is within all limits. If so it counts for them."""
    cdef Limit* limits = conf.limits + rule.first_limit
    cdef uint32_t i
    if ctx.transport != OVER_UDP:
        limits += conf.limit_count
    for i in range(rule.limit_count):
        if limits[i].classes & of and limits[i].due_ns > now_ns + SECOND_NS - limits[i].line_ns:
            return False
    for i in range(rule.limit_count):
        if limits[i].classes & of:
            limits[i].due_ns = (limits[i].due_ns if limits[i].due_ns > now_ns else now_ns) + limits[i].line_ns
    return True


cdef void after(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef Ring* ring = <Ring*>ctx.slots[conf.slot]
    cdef const Rule* rule
    cdef Answered how
    cdef LogEvent* event
    cdef uint64_t now_ns
    cdef ReplyType type
    cdef uint32_t i, size = ctx.q.name_len
    cdef uint8_t* out
    cdef const uint8_t* texts[MAX_VALUES]
    cdef uint8_t lengths[MAX_VALUES]
    if ring == NULL:
        return
    rule = rule_for(conf, ctx.q)
    if rule == NULL or (rule.sample > 1 and next_random(ctx) % rule.sample != 0):
        return
    how = answered(ctx)
    if rule.classes != CLASS_ALL or rule.value_count or rule.limit_count:
        type = type_of(ctx, how)
        if not rule.classes & class_of(type):
            return
    now_ns = monotonic_ns()
    if rule.limit_count and not within_limits(ctx, conf, rule, class_of(type), now_ns):
        return
    if rule.value_count:
        size += read_values(ctx, rule, type, texts, lengths)
    event = reserve(ring, size, now_ns)
    if event == NULL:
        if ctx.counters != NULL:
            ctx.counters.log_dropped += 1
        return
    event.block = conf.block
    event.rule = rule - conf.rules
    event.took_ns = now_ns - ctx.received_ns
    fill_query(ctx, event)
    fill_reply(ctx, how, event, ring.trial)
    event.value_count = <uint8_t>rule.value_count
    out = <uint8_t*>event_name(event) + event.name_len
    for i in range(rule.value_count):
        out = put_byte(out, lengths[i])
        if lengths[i]:
            out = put_bytes(out, <const char*>texts[i], lengths[i])
    commit(ring)


cdef uint32_t read_values(Context* ctx, const Rule* rule, ReplyType type, const uint8_t** texts,
                          uint8_t* lengths) noexcept nogil:
    """The values that a format shows. Returns the bytes that they take in an event."""
    cdef ReplyType* said = <ReplyType*>add_memory(ctx, &REPLY_TYPE, sizeof(ReplyType))
    cdef uint32_t i, length, size = rule.value_count
    if said != NULL:
        said[0] = type
    for i in range(rule.value_count):
        length = read_value(ctx, rule.values[i], &texts[i])
        lengths[i] = <uint8_t>(length if length < MAX_LOGGED_BYTES else MAX_LOGGED_BYTES)
        size += lengths[i]
    return size


cdef uint8_t mask_of(classes) except? 255:
    """Classes by name."""
    cdef uint8_t mask = 0
    for one in classes:
        mask |= CLASSES[one]
    return mask


cdef class LogStep(NativeStep):
    """block: the number by which the reader tells whose format it is. rules: (name in lowercased wire form,
    classes, each BlockValue that the format shows …), tried in order. bounds: for each of them, of how many queries
    one is logged, and (classes, lines a second of each serving thread) …; None: all are."""
    cdef Conf conf
    cdef list names
    cdef list values

    def __init__(self, uint16_t block, list rules not None, list bounds=None):
        cdef uint32_t i
        if len(rules) > MAX_RULES:
            raise ValueError(f"a server block takes {MAX_RULES} log rules at most")
        self.names = [rule[0] for rule in rules]
        self.values = []
        self.conf.block = block
        self.conf.rules = <Rule*>calloc(len(rules) + 1, sizeof(Rule))
        if self.conf.rules == NULL:
            raise MemoryError
        for i in range(len(rules)):
            self.conf.rules[i].name = <const uint8_t*><bytes>self.names[i]
            self.conf.rules[i].name_len = len(self.names[i])
            self.conf.rules[i].classes = mask_of(rules[i][1])
            self.conf.rules[i].sample = 1
            self.take_values(&self.conf.rules[i], rules[i][2:])
        self.conf.rule_count = len(rules)
        if bounds is not None:
            self.bound(bounds)
        self.conf.slot = slot_of("log")
        self.step.after = after
        self.step.conf = &self.conf

    cdef int take_values(self, Rule* rule, values) except -1:
        cdef BlockValue value
        for value in values:
            if rule.value_count == MAX_VALUES:
                raise ValueError(f"a format shows {MAX_VALUES} values at most")
            rule.values[rule.value_count] = &value.value
            rule.value_count += 1
            self.values.append(value)
        return 0

    cdef int bound(self, list bounds) except -1:
        cdef uint32_t i, j
        cdef uint32_t at = 0
        self.conf.limit_count = sum([len(limits) for _, limits in bounds])
        self.conf.limits = <Limit*>calloc(2 * self.conf.limit_count + 1, sizeof(Limit))
        if self.conf.limits == NULL:
            raise MemoryError
        for i in range(self.conf.rule_count):
            sample, limits = bounds[i]
            self.conf.rules[i].sample = sample
            self.conf.rules[i].first_limit = at
            self.conf.rules[i].limit_count = len(limits)
            for classes, lines_s in limits:
                for j in range(2):
                    self.conf.limits[at + j * self.conf.limit_count].classes = mask_of(classes)
                    self.conf.limits[at + j * self.conf.limit_count].line_ns = SECOND_NS // lines_s
                at += 1
        return 0

    def __dealloc__(self):
        free(self.conf.rules)
        free(self.conf.limits)


# ------------------------------------------------------------------------------- for Python and the tests

cdef bint add_records(Reply* reply, Section* section, records) except -1:
    cdef RR* rr
    for rrtype, rdata in records:
        rr = add_rr(reply, section, rrtype, 0)
        if rr != NULL:
            rr.fixed = <const uint8_t*><bytes>rdata
            rr.fixed_len = len(rdata)
    return True


def log_reply(LogStep step not None, LogRing ring not None, bytes message not None, *, int rcode=0,
              bint written=True, bint aa=False, bint ra=False, bint ad=False, answer=(), authority=(),
              additional=(), bytes options=None, bytes client=b"\x7f\0\0\1", uint16_t client_port=0, bint tcp=False,
              uint64_t took_ns=0, uint32_t times=1):
    """Run the step, so many times and without the GIL, on a reply to a query message as a plugin has left it.

    written: whether the plugin wrote it. Records are (type, rdata), owned by the question's name. options: of an
    upstream's OPT record. Raises ValueError where the message is not accepted.
    """
    cdef Query q
    cdef Context ctx
    cdef Server server
    cdef void* slots[MAX_SLOTS]
    cdef uint32_t _i
    cdef Reply* reply = <Reply*>malloc(sizeof(Reply))
    if reply == NULL:
        raise MemoryError
    try:
        if accept(<const uint8_t*>message, len(message), &q) != ACCEPTED:
            raise ValueError("the message is no query that is accepted")
        memset(&ctx, 0, sizeof(Context))
        ctx.q = &q
        ctx.reply = reply
        ctx.server = &server
        slots[step.conf.slot] = ring.ring
        ctx.slots = slots
        ctx.client = <const uint8_t*>client
        ctx.client_len = len(client)
        ctx.client_port = client_port
        ctx.transport = OVER_TCP if tcp else OVER_UDP
        ctx.written = written
        ctx.random = monotonic_ns() | 1
        reply_reset(reply)
        reply.rcode = rcode
        reply.aa = aa
        reply.ra = ra
        reply.ad = ad
        if options is not None:
            reply.options = <const uint8_t*>options
            reply.options_len = len(options)
        add_records(reply, &reply.answer, answer)
        add_records(reply, &reply.authority, authority)
        add_records(reply, &reply.additional, additional)
        with nogil:
            for _i in range(times):
                ctx.received_ns = monotonic_ns() - took_ns
                after(&ctx, &step.conf)
    finally:
        free(reply)
