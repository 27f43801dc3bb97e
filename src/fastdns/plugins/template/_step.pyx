"""The template step: the first template of the block that a question belongs to answers it.

Zones, class and type are compared first, then the patterns are searched in the name as text. The records of a
template are made in order: constant ones are there already, the others are programs (_program.pxd) whose text is
read as a record (_records.pxd). The first failure ends in SERVFAIL. What an answer's CNAME record leads to is asked
of the whole server.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastdns.dns.names import wire_name
from fastdns.expr._program cimport Code, Program as ExprProgram
from fastdns.expr._value cimport Run
from fastdns.metrics._labelled cimport LabelledCounters, LabelledTable, count_key, labelled_key
from fastdns.plugins.template._expressions cimport (
    FAILED, HOLDS, MAX_TEMPLATE_VARIABLES, Expressions, Verdict, evaluate_all,
)
from fastdns.plugins.template._printing cimport (
    FIELD_CLASS, FIELD_GROUP, FIELD_MATCH, FIELD_NAME, FIELD_QUESTION_CLASS, FIELD_QUESTION_NAME,
    FIELD_QUESTION_TYPE, FIELD_REGEX, FIELD_REMOTE, FIELD_TYPE, FIELD_ZONE, GROUPS, MATCH, NO_GROUP, STRING,
    UNSIGNED, BlockValueOf, Data, Groups, Key, Value,
)
from fastdns.plugins.template._program cimport FIELD, GROUP, MAX_TEXT_BYTES, NativeProgram, Program, execute
from fastdns.plugins.template._records cimport (
    READ, TOO_LONG, Reading, Record, class_text, fill_rr, read_rdata, read_record, type_text, wire_room,
)
from fastdns.plugins.template._words cimport Written
from fastdns.regex._pattern cimport MAX_SLOTS, Pattern
from fastdns.regex._regex cimport Regex, matches, search
from fastdns.serve._context cimport ANSWERED, NEXT, NO_SLOT, SUSPENDED, Context, Outcome, bare, written
from fastdns.serve._nested cimport WHOLE_SERVER, Found, add_answer_of_alias, nested
from fastdns.serve._replies cimport was_here
from fastdns.serve._values cimport BlockValue
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    HEADER_BYTES, MAX_NAME_BYTES, RR, SERVFAIL, TYPE_A, TYPE_AAAA, TYPE_ANY, TYPE_CNAME, CLASS_ANY, Query, Section,
    add_option, add_rr, forget_records, in_zone, lower, scratch,
)

from fastdns.plugins.template.counters import CLASS_NUMBERS, OTHER_CLASS, record_labels, zone_labels

cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int family, const void* src, char* dst, unsigned int size)
    enum:
        AF_INET
        AF_INET6

cdef enum:
    MAX_NAME_TEXT_BYTES = 4 * MAX_NAME_BYTES + 1
    OPTION_EDE = 15
    MAX_HEADER_RCODE = 15
    # As counters.py has them.
    COUNT_MATCH = 0
    COUNT_TEMPLATE_FAILURE = 1
    COUNT_RR_FAILURE = 2
    # What programs may read, beside what is always there.
    NEEDS_GROUPS = 1
    NEEDS_QUESTION_NAME = 2
    NEEDS_REMOTE = 4

# A zone of a template. labels: of its matches.
cdef struct Zone:
    const uint8_t* name
    uint16_t name_len
    const uint8_t* text
    uint32_t text_len
    uint32_t labels

# section: 0 answer, 1 authority, 2 additional. program NULL: all is constant. headed: owner, TTL and type are
# constant, and the program makes rdata. labels: of failures, by zone of the template.
cdef struct Made:
    uint32_t section
    bint headed
    const Program* program
    Record record
    uint32_t* labels

cdef struct Fall:
    const uint8_t* name
    uint16_t name_len

cdef struct Template:
    uint16_t qclass
    uint16_t qtype
    uint32_t zone_count
    Zone* zones                 # the longest first
    uint32_t pattern_count      # 0: it matches all
    const Pattern** patterns
    Groups* groups              # of each pattern; one where there is none
    uint32_t record_count
    Made* records
    uint32_t fall_count
    Fall* falls
    const BlockValueOf** metas
    Expressions expressions
    uint16_t rcode
    const uint8_t* ede          # code and reason
    uint16_t ede_len
    uint32_t needs

cdef struct Conf:
    uint32_t count
    Template* templates
    const LabelledTable* counters   # NULL: nobody counts
    uint16_t failed             # the reasons: a template, a record
    uint16_t unread

# What is found out of a question, once for all templates.
cdef struct Asked:
    uint32_t name_size          # 0: not yet
    uint8_t name[MAX_NAME_TEXT_BYTES]
    int32_t offsets[MAX_SLOTS]


cdef uint8_t classes[256]
memset(classes, OTHER_CLASS, sizeof(classes))
for _place, _number in enumerate(CLASS_NUMBERS):
    classes[<uint32_t>_number] = _place


# ---------------------------------------------------------------------------------------------------- the question


cdef uint32_t put_text(const uint8_t* name, uint32_t size, bint lowered, uint8_t* out) noexcept nogil:
    """A name as text, with CoreDNS's escapes; MAX_NAME_TEXT_BYTES hold any."""
    cdef uint32_t at = 0, i, end, written_bytes = 0
    cdef uint8_t byte
    if name[0] == 0:
        out[0] = b"."
        return 1
    while at < size and name[at] != 0:
        end = at + 1 + name[at]
        for i in range(at + 1, end):
            byte = lower(name[i]) if lowered else name[i]
            if (byte == b"." or byte == b" " or byte == b"'" or byte == b"@" or byte == b";" or byte == b"("
                    or byte == b")" or byte == b'"' or byte == b"\\"):
                out[written_bytes] = b"\\"
                out[written_bytes + 1] = byte
                written_bytes += 2
            elif 32 <= byte <= 126:
                out[written_bytes] = byte
                written_bytes += 1
            else:
                out[written_bytes] = b"\\"
                out[written_bytes + 1] = 48 + byte // 100
                out[written_bytes + 2] = 48 + byte // 10 % 10
                out[written_bytes + 3] = 48 + byte % 10
                written_bytes += 4
        out[written_bytes] = b"."
        written_bytes += 1
        at = end
    return written_bytes


cdef inline int32_t zone_of(const Template* t, const Query* q) noexcept nogil:
    """The number of the longest zone that the question is in; -1: none."""
    cdef uint32_t i
    for i in range(t.zone_count):
        if in_zone(q, t.zones[i].name, t.zones[i].name_len):
            return <int32_t>i
    return -1


cdef inline bint is_asked(const Template* t, const Query* q) noexcept nogil:
    return ((t.qclass == CLASS_ANY or q.qclass == CLASS_ANY or q.qclass == t.qclass)
            and (t.qtype == TYPE_ANY or q.qtype == TYPE_ANY or q.qtype == t.qtype))


cdef int32_t find_pattern(const Template* t, Asked* asked) noexcept nogil:
    """The number of the first pattern that is found in the name, and where; -1: none is."""
    cdef uint32_t i
    cdef int32_t size = <int32_t>asked.name_size
    if t.pattern_count == 0:
        asked.offsets[0] = 0
        asked.offsets[1] = size
        return 0
    for i in range(t.pattern_count):
        if t.needs & NEEDS_GROUPS:
            if search(t.patterns[i], asked.name, size, asked.offsets):
                return <int32_t>i
        elif matches(t.patterns[i], asked.name, size):
            return <int32_t>i
    return -1


cdef inline bint falls_through(const Template* t, const Query* q) noexcept nogil:
    cdef uint32_t i
    for i in range(t.fall_count):
        if in_zone(q, t.falls[i].name, t.falls[i].name_len):
            return True
    return False


# ------------------------------------------------------------------------------------------------------- counting


cdef void count(Context* ctx, const Conf* c, const Template* t, uint32_t labels, uint32_t what) noexcept nogil:
    cdef uint16_t qclass = ctx.q.qclass if ctx.q.qclass != CLASS_ANY else t.qclass
    cdef uint16_t qtype = ctx.q.qtype if ctx.q.qtype != TYPE_ANY else t.qtype
    cdef uint32_t kind = what << 3 | (classes[qclass] if qclass < 256 else OTHER_CLASS_NUMBER)
    if c.counters != NULL and ctx.zone_slot != NO_SLOT and not was_here(ctx):
        count_key(c.counters, labelled_key(ctx.zone_slot, labels, kind, qtype), ctx.counters)


cdef uint32_t OTHER_CLASS_NUMBER = OTHER_CLASS


# ------------------------------------------------------------------------------------------------------ the answer


cdef inline void set_text(Value* v, const uint8_t* text, uint32_t size) noexcept nogil:
    v.kind = STRING
    v.text = text
    v.size = size


cdef inline void set_number(Value* v, uint16_t number) noexcept nogil:
    v.kind = UNSIGNED
    v.number = number


cdef void fill_data(Context* ctx, const Template* t, uint32_t zone, const Groups* groups, const Asked* asked,
                    uint8_t* question_name, char* remote, Data* data) noexcept nogil:
    """What programs read. question_name and remote: room for these."""
    cdef const Query* q = ctx.q
    cdef uint32_t size
    cdef const uint8_t* text
    data.ctx = ctx
    data.groups = groups
    data.offsets = asked.offsets
    data.metas = t.metas
    data.variables = NULL
    set_text(&data.fields[FIELD_ZONE], t.zones[zone].text, t.zones[zone].text_len)
    set_text(&data.fields[FIELD_NAME], asked.name, asked.name_size)
    text = class_text(q.qclass if q.qclass != CLASS_ANY else t.qclass, &size)
    set_text(&data.fields[FIELD_CLASS], text, size)
    text = type_text(q.qtype if q.qtype != TYPE_ANY else t.qtype, &size)
    set_text(&data.fields[FIELD_TYPE], text, size)
    set_text(&data.fields[FIELD_REGEX], groups.regex, groups.regex_size)
    data.fields[FIELD_MATCH].kind = MATCH
    data.fields[FIELD_MATCH].number = 0
    data.fields[FIELD_MATCH].size = groups.group_count
    data.fields[FIELD_GROUP].kind = GROUPS
    set_number(&data.fields[FIELD_QUESTION_TYPE], q.qtype)
    set_number(&data.fields[FIELD_QUESTION_CLASS], q.qclass)
    size = 0
    if t.needs & NEEDS_QUESTION_NAME:
        size = put_text(q.msg + HEADER_BYTES, q.name_len, False, question_name)
    set_text(&data.fields[FIELD_QUESTION_NAME], question_name, size)
    size = 0
    if t.needs & NEEDS_REMOTE and (ctx.client_len == 4 or ctx.client_len == 16):
        if inet_ntop(AF_INET if ctx.client_len == 4 else AF_INET6, ctx.client, remote, 64) != NULL:
            while remote[size] != 0:
                size += 1
    set_text(&data.fields[FIELD_REMOTE], <const uint8_t*>remote, size)


cdef Reading read_made(Context* ctx, const Made* made, const uint8_t* text, uint32_t size,
                       Record* record) noexcept nogil:
    """The text of a record, or of its rdata, in the query's scratch."""
    cdef Written out
    cdef Reading reading
    cdef uint32_t room = wire_room(size)
    out.at = scratch(ctx.reply, room)
    if out.at == NULL:
        return TOO_LONG
    out.size = 0
    out.room = room
    out.failed = False
    record[0] = made.record
    if made.headed:
        reading = read_rdata(text, size, &out, record)
    else:
        reading = read_record(text, size, &out, record)
    # It was the last to take any.
    ctx.reply.scratch_used -= room - out.size
    return reading


cdef inline Section* section_of(Context* ctx, uint32_t number) noexcept nogil:
    if number == 0:
        return &ctx.reply.answer
    return &ctx.reply.authority if number == 1 else &ctx.reply.additional


cdef Outcome fail(Context* ctx, const Conf* c, const Template* t, const Made* made, uint32_t zone, uint32_t what,
                  uint16_t reason) noexcept nogil:
    cdef uint32_t labels = made.labels[zone]
    count(ctx, c, t, labels, what)
    forget_records(ctx.reply)
    ctx.error = reason
    # The log says which record it was.
    ctx.error_upstream = <uint16_t>labels if labels <= 0xFFFF else 0
    return bare(ctx, SERVFAIL)


cdef bint is_own_name(const Query* q, const RR* rr) noexcept nogil:
    cdef uint32_t i
    if rr.name_len != q.name_len:
        return False
    for i in range(q.name_len):
        if lower(rr.name[i]) != q.name[i]:
            return False
    return True


cdef Outcome chase(Context* ctx, const RR* cname) noexcept nogil:
    """Add what a CNAME record of the answer leads to. NEXT; or SUSPENDED."""
    cdef Found found
    cdef Outcome outcome
    if (ctx.q.qtype != TYPE_A and ctx.q.qtype != TYPE_AAAA) or cname.name == NULL or is_own_name(ctx.q, cname):
        return NEXT
    outcome = nested(ctx, cname.name, cname.name_len, ctx.q.qtype, WHOLE_SERVER, &found)
    if outcome == ANSWERED:
        add_answer_of_alias(ctx, &found.answer)
        ctx.reply.tc = found.tc
    return SUSPENDED if outcome == SUSPENDED else NEXT


cdef Outcome add_made(Context* ctx, const Conf* c, const Template* t, const Made* made, uint32_t zone,
                      const Data* data) noexcept nogil:
    """One record, and what it leads to. NEXT; or what becomes of the query instead."""
    cdef uint8_t text[MAX_TEXT_BYTES]
    cdef uint32_t size = 0
    cdef Record record = made.record
    cdef Reading reading = READ
    cdef RR* rr
    cdef Section* section = section_of(ctx, made.section)
    if made.program != NULL:
        if not execute(made.program, data, text, &size):
            return fail(ctx, c, t, made, zone, COUNT_TEMPLATE_FAILURE, c.failed)
        reading = read_made(ctx, made, text, size, &record)
    if reading == TOO_LONG:
        # No message holds so much: what there is goes out as truncated.
        ctx.reply.tc = True
        return NEXT
    if reading != READ:
        return fail(ctx, c, t, made, zone, COUNT_RR_FAILURE, c.unread)
    rr = add_rr(ctx.reply, section, record.rrtype, record.ttl_s)
    if rr == NULL:
        return NEXT
    fill_rr(rr, &record)
    if made.section == 0 and record.rrtype == TYPE_CNAME:
        return chase(ctx, rr)
    return NEXT


cdef Outcome answer_with(Context* ctx, const Conf* c, const Template* t, uint32_t zone,
                         const Data* data) noexcept nogil:
    cdef Outcome outcome
    cdef uint32_t i
    count(ctx, c, t, t.zones[zone].labels, COUNT_MATCH)
    if t.rcode == SERVFAIL or (t.rcode > MAX_HEADER_RCODE and not ctx.q.has_opt):
        # Only an OPT record has room for all of a code over 15.
        return bare(ctx, SERVFAIL)
    for i in range(t.record_count):
        outcome = add_made(ctx, c, t, &t.records[i], zone, data)
        if outcome != NEXT:
            return outcome
    if t.ede != NULL:
        add_option(ctx.reply, OPTION_EDE, t.ede, t.ede_len)
    ctx.reply.aa = True
    ctx.reply.rcode = t.rcode
    return written(ctx)


cdef Outcome answer_with_variables(Context* ctx, const Conf* c, const Template* t, uint32_t zone,
                                   Data* data) noexcept nogil:
    """NEXT: a condition is not true."""
    cdef Run run
    cdef Value variables[MAX_TEMPLATE_VARIABLES]
    cdef Verdict verdict = evaluate_all(&t.expressions, data, &run, variables)
    if verdict == FAILED:
        return bare(ctx, SERVFAIL)
    data.variables = variables
    return answer_with(ctx, c, t, zone, data) if verdict == HOLDS else NEXT


cdef Outcome answer_match(Context* ctx, const Conf* c, const Template* t, uint32_t zone, uint32_t pattern,
                          const Asked* asked) noexcept nogil:
    """NEXT: a condition is not true."""
    cdef Data data
    cdef uint8_t question_name[MAX_NAME_TEXT_BYTES]
    cdef char remote[64]
    fill_data(ctx, t, zone, &t.groups[pattern], asked, question_name, remote, &data)
    if t.expressions.programs != NULL:
        # Their memory is on the stack only where there are some.
        return answer_with_variables(ctx, c, t, zone, &data)
    return answer_with(ctx, c, t, zone, &data)


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    cdef const Template* t
    cdef Asked asked
    cdef int32_t zone, pattern
    cdef Outcome outcome
    cdef uint32_t i
    asked.name_size = 0
    for i in range(c.count):
        t = &c.templates[i]
        zone = zone_of(t, ctx.q)
        if zone < 0 or not is_asked(t, ctx.q):
            continue
        if asked.name_size == 0:
            asked.name_size = put_text(ctx.q.name, ctx.q.name_len, True, asked.name)
        pattern = find_pattern(t, &asked)
        if pattern >= 0:
            outcome = answer_match(ctx, c, t, <uint32_t>zone, <uint32_t>pattern, &asked)
            if outcome != NEXT:
                return outcome
        if not falls_through(t, ctx.q):
            return bare(ctx, SERVFAIL)
    return NEXT


# ---------------------------------------------------------------------------------------------------- from Python


cdef class TemplateStep(NativeStep):
    """templates: config.Template each, all of whose records have plans. metas: of each, a BlockValue for each name.
    expressions: of each, expressions.Expressions, bound.

    counters: None: nothing is counted. failed, unread: the reasons.
    """

    cdef Conf conf
    cdef list keep
    cdef list memory

    def __cinit__(self):
        self.memory = []

    def __init__(self, templates, metas, expressions, LabelledCounters counters, uint16_t failed,
                 uint16_t unread):
        cdef uint32_t i
        self.keep = [counters]
        self.conf.failed = failed
        self.conf.unread = unread
        self.conf.counters = NULL if counters is None else &counters.table
        self.conf.templates = <Template*>self.room(len(templates), sizeof(Template))
        self.conf.count = <uint32_t>len(templates)
        for i in range(self.conf.count):
            self.fill(&self.conf.templates[i], templates[i], metas[i], counters)
            self.fill_expressions(&self.conf.templates[i], expressions[i])
        self.step.before = before
        self.step.conf = &self.conf

    cdef void* room(self, size_t number, size_t size) except NULL:
        """Zeroed, as long as the step."""
        cdef void* at = calloc(number if number else 1, size)
        if at == NULL:
            raise MemoryError
        self.memory.append(<size_t>at)
        return at

    cdef const uint8_t* kept(self, bytes data) except NULL:
        """The bytes, as long as the step."""
        self.keep.append(data)
        return <const uint8_t*>data

    cdef int fill(self, Template* t, template, metas, LabelledCounters counters) except -1:
        cdef uint32_t i
        cdef BlockValue value
        t.qclass = template.qclass
        t.qtype = template.qtype
        t.rcode = template.rcode
        if template.ede is not None:
            code, reason = template.ede
            data = code.to_bytes(2, "big") + reason.encode("utf-8", "surrogateescape")
            t.ede = self.kept(data)
            t.ede_len = <uint16_t>len(data)
        self.fill_zones(t, template, counters)
        falls = template.fallthrough or ()
        t.falls = <Fall*>self.room(len(falls), sizeof(Fall))
        t.fall_count = <uint32_t>len(falls)
        for i in range(t.fall_count):
            name = wire_name(falls[i])
            t.falls[i].name = self.kept(name)
            t.falls[i].name_len = <uint16_t>len(name)
        self.fill_records(t, template, counters)
        self.fill_patterns(t, template)
        t.metas = <const BlockValueOf**>self.room(len(metas), sizeof(void*))
        self.keep.append(metas)
        for i in range(<uint32_t>len(metas)):
            value = metas[i]
            t.metas[i] = &value.value
        return 0

    cdef int fill_expressions(self, Template* t, expressions) except -1:
        cdef uint32_t i
        cdef ExprProgram program
        programs = expressions.programs
        if not programs:
            return 0
        self.keep.append(programs)
        t.needs |= NEEDS_GROUPS
        t.expressions.variable_count = <uint32_t>len(expressions.variables)
        t.expressions.condition_count = <uint32_t>len(expressions.conditions)
        t.expressions.programs = <const Code**>self.room(len(programs), sizeof(void*))
        for i in range(<uint32_t>len(programs)):
            program = programs[i]
            t.expressions.programs[i] = &program.code
        return 0

    cdef int fill_zones(self, Template* t, template, LabelledCounters counters) except -1:
        cdef uint32_t i
        zones = by_length(template.zones)
        t.zones = <Zone*>self.room(len(zones), sizeof(Zone))
        t.zone_count = <uint32_t>len(zones)
        for i in range(t.zone_count):
            name, text = wire_name(zones[i]), zones[i].encode()
            t.zones[i].name = self.kept(name)
            t.zones[i].name_len = <uint16_t>len(name)
            t.zones[i].text = self.kept(text)
            t.zones[i].text_len = <uint32_t>len(text)
            t.zones[i].labels = 0 if counters is None else counters.number(zone_labels(zones[i]))
        return 0

    cdef int fill_records(self, Template* t, template, LabelledCounters counters) except -1:
        cdef uint32_t i, j
        cdef Made* made
        cdef NativeProgram program
        zones = by_length(template.zones)
        t.records = <Made*>self.room(len(template.records), sizeof(Made))
        t.record_count = <uint32_t>len(template.records)
        # Sections in this order, as CoreDNS makes them: what fails first is what is counted.
        ordered = sorted(template.records, key=lambda record: ORDER.index(record.section))
        for i, record in enumerate(ordered):
            made = &t.records[i]
            made.section = SECTIONS.index(record.section)
            plan = record.plan
            if plan.head is not None:
                made.headed = True
                made.record.ttl_s = plan.head.ttl_s
                made.record.rrtype = plan.head.rrtype
                if plan.head.owner is not None:
                    made.record.owner = self.kept(plan.head.owner)
                    made.record.owner_len = <uint16_t>len(plan.head.owner)
            if plan.rdata is not None:
                fixed, name, tail = plan.rdata
                made.record.fixed = self.kept(fixed)
                made.record.fixed_len = <uint16_t>len(fixed)
                if name:
                    made.record.name = self.kept(name)
                    made.record.name_len = <uint16_t>len(name)
                made.record.tail = self.kept(tail)
                made.record.tail_len = <uint16_t>len(tail)
            if plan.program is not None:
                program = NativeProgram(plan.program.code, plan.program.constants, template.names.keys,
                                        plan.program.formats)
                self.keep.append(program)
                made.program = &program.program
                t.needs |= needs_of(&program.program)
            made.labels = <uint32_t*>self.room(t.zone_count, sizeof(uint32_t))
            for j in range(t.zone_count):
                made.labels[j] = 0 if counters is None else counters.number(record_labels(zones[j], record))
        return 0

    cdef int fill_patterns(self, Template* t, template) except -1:
        cdef uint32_t i
        cdef Regex regex
        patterns = template.patterns
        t.patterns = <const Pattern**>self.room(len(patterns), sizeof(void*))
        t.pattern_count = <uint32_t>len(patterns)
        t.groups = <Groups*>self.room(max(1, len(patterns)), sizeof(Groups))
        self.keep.append(patterns)
        if not patterns:
            self.fill_groups(&t.groups[0], ".*", ("",), template.names.keys)
        for i in range(t.pattern_count):
            regex = patterns[i]
            t.patterns[i] = &regex.pattern
            self.fill_groups(&t.groups[i], regex.text, regex.names, template.names.keys)
        return 0

    cdef int fill_groups(self, Groups* g, str text, names, keys) except -1:
        """names: of the groups, "" where one has none. keys: names that programs read."""
        cdef uint32_t i
        data = text.encode("utf-8", "surrogateescape")
        g.regex = self.kept(data)
        g.regex_size = <uint32_t>len(data)
        g.group_count = <uint32_t>len(names)
        known = group_keys(names)
        g.keys = <Key*>self.room(len(known), sizeof(Key))
        g.key_count = <uint32_t>len(known)
        for i, (name, number) in enumerate(sorted(known.items())):
            g.keys[i].text = self.kept(name)
            g.keys[i].size = <uint32_t>len(name)
            g.keys[i].group = number
        g.by_name = <uint16_t*>self.room(len(keys), sizeof(uint16_t))
        for i in range(<uint32_t>len(keys)):
            g.by_name[i] = known.get(keys[i], NO_GROUP)
        return 0

    def __dealloc__(self):
        if self.memory is not None:
            for at in self.memory:
                free(<void*><size_t>at)


SECTIONS = ("answer", "authority", "additional")
ORDER = ("answer", "additional", "authority")


cdef list by_length(zones):
    """The longest name first: it is the one that counts."""
    return sorted(zones, key=lambda zone: -len(wire_name(zone)))


def group_keys(names):
    """The groups of a pattern by key: their numbers, and the names that they have; of a name, the last one."""
    known = {str(number).encode(): number for number in range(len(names))}
    known.update({name.encode("utf-8", "surrogateescape"): number for number, name in enumerate(names) if name})
    return known


cdef uint32_t needs_of(const Program* program) noexcept:
    cdef uint32_t i, needs = 0
    cdef uint16_t small
    for i in range(program.count):
        small = program.instructions[i].small
        if program.instructions[i].operation == GROUP:
            needs |= NEEDS_GROUPS
        elif program.instructions[i].operation == FIELD:
            if small == FIELD_MATCH or small == FIELD_GROUP:
                needs |= NEEDS_GROUPS
            elif small == FIELD_QUESTION_NAME:
                needs |= NEEDS_QUESTION_NAME
            elif small == FIELD_REMOTE:
                needs |= NEEDS_REMOTE
    return needs
