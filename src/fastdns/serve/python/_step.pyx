"""The native step in front of a step in Python: see _step.pxd."""

from fastdns.dns._replies cimport answers_question, parse_reply
from fastdns.metrics._stats cimport ERROR_IN_FLIGHT, ERROR_STEP_REPLY, PLUGIN_COUNTERS
from fastdns.serve._context cimport DROPPED, NEXT, Context, Outcome, ServiceReply, bare, written
from fastdns.serve._replies cimport find_reply
from fastdns.serve._slots cimport slot_of
from fastdns.serve._suspend cimport Service, suspend
from fastdns.serve._values cimport BlockValue
from fastdns._wire cimport HEADER_BYTES, OPCODE_QUERY, SERVFAIL, forget_records

# Of the service in the slots of a thread.
NAME = "steps in Python"
TIME_BOUNDS_S = (0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0)
assert len(TIME_BOUNDS_S) == TIME_BUCKETS - 1
RESULT_NAMES = ("answer", "next", "silence", "timeout", "exception", "bad_reply", "drained")
SHED_NAMES = ("places", "ring", "client_share", "tasks")
assert len(RESULT_NAMES) == SHED_PLACES and len(SHED_NAMES) == RESULTS - SHED_PLACES
# The counters of a plugin that has steps in Python, in each zone, behind its own.
COUNTERS = (
    *(f"python_{name}" for name in RESULT_NAMES), *(f"python_shed_{name}" for name in SHED_NAMES),
    *(f"python_time_{number}" for number in range(TIME_BUCKETS)), "python_time_sum_us",
)

cdef uint64_t time_bounds_ns[TIME_BUCKETS - 1]
for _number in range(TIME_BUCKETS - 1):
    time_bounds_ns[_number] = int(TIME_BOUNDS_S[_number] * 1e9)


cdef void count_time(ZoneBank** banks, uint32_t zone_slot, const Handing* h, uint64_t ns) noexcept nogil:
    cdef uint32_t i = 0
    while i < TIME_BUCKETS - 1 and ns > time_bounds_ns[i]:
        i += 1
    count_result(banks, zone_slot, h, RESULTS + i, 1)
    count_result(banks, zone_slot, h, RESULTS + TIME_BUCKETS, ns // 1000)


cdef Outcome take_reply(Context* ctx, const Handing* h, const ServiceReply* reply) noexcept nogil:
    if reply.msg == NULL:
        if reply.verdict == NEXT or reply.verdict == DROPPED:
            return <Outcome>reply.verdict
        ctx.error = reply.error
        # Of an error the log names the step.
        ctx.error_upstream = h.number
        return bare(ctx, SERVFAIL)
    if (reply.msg_len >= HEADER_BYTES
            and answers_question(reply.msg, reply.msg_len, ctx.q.name, ctx.q.name_len, ctx.q.qtype, ctx.q.qclass)
            and parse_reply(reply.msg, reply.msg_len, ctx.q, ctx.reply)):
        ctx.from_upstream = h.cacheable
        return written(ctx)
    forget_records(ctx.reply)
    if reply == ctx.replies:
        # The service cannot read replies, and has counted it as an answer.
        count_result(ctx.zone_banks, ctx.zone_slot, h, ANSWER, <uint64_t>-1)
        count_result(ctx.zone_banks, ctx.zone_slot, h, BAD_REPLY, 1)
    ctx.error = ERROR_STEP_REPLY
    ctx.error_upstream = h.number
    return bare(ctx, SERVFAIL)


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Handing* h = <const Handing*>conf
    cdef const ServiceReply* reply
    cdef Service* service
    if ctx.q.opcode != OPCODE_QUERY:
        return NEXT
    reply = find_reply(ctx, h)
    if reply != NULL:
        return take_reply(ctx, h, reply)
    service = <Service*>ctx.slots[h.slot]
    if service == NULL:
        ctx.error = ERROR_IN_FLIGHT
        return bare(ctx, SERVFAIL)
    return suspend(ctx, service, h)


cdef class HandOver(NativeStep):
    """step: a PythonStep, with timeout_s and cacheable. plugin: its name. first_counter: of COUNTERS, in a zone.

    values: BlockValue for each of the step's values.
    """

    def __init__(self, step, str plugin not None, uint32_t first_counter=0, values=()):
        cdef uint32_t i
        cdef BlockValue value
        if first_counter + len(COUNTERS) > PLUGIN_COUNTERS:
            raise ValueError("counters out of range")
        if not 0 < step.timeout_s <= 3600:
            raise ValueError(f"plugin/{plugin}: timeout_s must be over 0 and at most 3600, got {step.timeout_s}")
        if len(values) > MAX_VALUES:
            raise ValueError(f"plugin/{plugin}: its step reads {len(values)} values; at most {MAX_VALUES}")
        self.values = list(values)
        self.handing.value_count = <uint32_t>len(values)
        for i in range(self.handing.value_count):
            value = values[i]
            self.handing.values[i] = &value.value
        self.python = step
        self.plugin = plugin
        self.handing.slot = slot_of(NAME)
        self.handing.first_counter = first_counter
        self.handing.timeout_ns = int(step.timeout_s * 1e9)
        self.handing.cacheable = step.cacheable
        self.step.before = before
        self.step.conf = &self.handing

    @property
    def number(self):
        """Among all steps in Python of a worker. Whoever builds the chains sets it before anything is served."""
        return self.handing.number

    @number.setter
    def number(self, uint32_t number):
        self.handing.number = number
