"""The rewrite step: rules change the question on the way down, and the reply on the way up."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastdns._wire cimport (
    HEADER_BYTES, MAX_NAME_BYTES, OPT_FIXED_BYTES, SERVFAIL, Query, Reply, options_without, put_u16, scratch,
)
from fastdns.dns._cursor cimport lower
from fastdns.dns._texts cimport MAX_NAME_TEXT_BYTES, parse_name, put_name
from fastdns.plugins.rewrite._options cimport Draft, begin, change_option, join, shown
from fastdns.plugins.rewrite._replace cimport (
    EXACT, NO_GROUP, NO_MATCH, PREFIX, REGEX, SUBSTRING, SUFFIX, Kind, Piece, Replacing, found_in, replace,
)
from fastdns.plugins.rewrite._reply cimport rewrite_reply
from fastdns.plugins.rewrite._rules cimport (
    APPEND, CLASS, CLIENT_IP, CLIENT_PORT, CNAME, EDNS0, FIXED, NAME, PROTOCOL, QNAME, QTYPE, RCODE, REPLACE,
    SERVER_IP, SERVER_PORT, SET, SUBNET, TTL, TYPE, UNSET, VALUE, Action, Answer, Applied, Conf, Memory, OptionRule,
    Rule, Source,
)
from fastdns.regex._regex cimport Regex
from fastdns.serve._arrival cimport server_address
from fastdns.serve._context cimport NEXT, Context, Outcome, bare, find_memory, proto_of, step_memory
from fastdns.serve._question cimport Options, change_question_and_options
from fastdns.serve._values cimport BlockValue, read_value
from fastdns.serve._zones cimport NativeStep

from fastdns.plugins.rewrite.config import CnameRule, NameRule, NumberRule, RcodeRule, TtlRule
from fastdns.plugins.rewrite.edns0 import OptionRule as OptionConfig
from fastdns.plugins.rewrite.names import Match

cdef enum:
    INVALID_NAME = 0            # of the plugin's reasons
    OPTION_SUBNET = 8
    SUBNET_HEAD_BYTES = 4       # RFC 7871 section 6: family, and two prefix lengths

KINDS = {"exact": EXACT, "prefix": PREFIX, "suffix": SUFFIX, "substring": SUBSTRING, "regex": REGEX}
ACTIONS = {"set": SET, "append": APPEND, "replace": REPLACE, "unset": UNSET}
SOURCES = {
    "qname": QNAME, "qtype": QTYPE, "client_ip": CLIENT_IP, "client_port": CLIENT_PORT, "protocol": PROTOCOL,
    "server_ip": SERVER_IP, "server_port": SERVER_PORT,
}

# What has become of a rule.
cdef enum Result:
    IGNORED
    DONE
    FAILED                      # there is no such name
    NO_SPACE

# The question as the rules so far have made it.
cdef struct Question:
    uint16_t qtype
    uint16_t qclass
    bint renamed
    uint16_t name_len           # of renamed, in wire form
    uint8_t name[MAX_NAME_BYTES + 1]
    uint32_t text_len           # 0: nobody has asked for it
    uint8_t text[MAX_NAME_TEXT_BYTES]
    Applied* newest
    bint rewrites_names         # a rule may change names of the reply
    Draft options


# ------------------------------------------------------------------------------------------------- the rules

cdef void need_text(const Context* ctx, Question* question) noexcept nogil:
    """The name as text, in lower case."""
    if question.text_len == 0:
        question.text_len = <uint32_t>(put_name(question.text, ctx.q.name) - question.text)


cdef Applied* remember(Context* ctx, Question* question, const Rule* rule) noexcept nogil:
    """A rule has something to do with the reply. NULL: there is no room."""
    cdef uint8_t* room = scratch(ctx.reply, sizeof(Applied) + 7)
    cdef Applied* a
    if room == NULL:
        return NULL
    a = <Applied*>((<size_t>room + 7) & ~<size_t>7)
    a.older = question.newest
    a.rule = rule
    a.name = a.old = NULL
    a.name_len = a.old_len = 0
    question.newest = a
    return a


cdef Result remember_names(Context* ctx, Question* question, const Rule* rule, const uint8_t* old,
                           uint16_t old_len) noexcept nogil:
    """The question has got another name."""
    cdef Applied* a
    cdef uint8_t* names
    if not rule.puts_back and rule.answer_count == 0:
        return DONE
    question.rewrites_names = True
    a = remember(ctx, question, rule)
    if a == NULL:
        return NO_SPACE
    if rule.puts_back:
        names = scratch(ctx.reply, question.name_len + old_len)
        if names == NULL:
            return NO_SPACE
        memcpy(names, question.name, question.name_len)
        memcpy(names + question.name_len, old, old_len)
        a.name = names
        a.name_len = question.name_len
        a.old = names + question.name_len
        a.old_len = old_len
    return DONE


cdef Result rename(Context* ctx, Question* question, const Rule* rule) noexcept nogil:
    cdef uint8_t text[MAX_NAME_TEXT_BYTES]
    cdef uint8_t old[MAX_NAME_BYTES + 1]
    cdef uint16_t old_len = question.name_len if question.renamed else ctx.q.name_len
    cdef uint32_t i, length
    cdef int32_t size
    need_text(ctx, question)
    size = replace(&rule.replacing, question.text, question.text_len, text, MAX_NAME_TEXT_BYTES)
    if size == NO_MATCH:
        return IGNORED
    memcpy(old, &question.name[0] if question.renamed else &ctx.q.name[0], old_len)
    length = parse_name(text, <uint32_t>size, question.name) if size > 0 else 0
    if length == 0:
        return FAILED
    for i in range(length):
        question.name[i] = lower(question.name[i])
    question.renamed = True
    question.name_len = <uint16_t>length
    question.text_len = <uint32_t>(put_name(question.text, question.name) - question.text)
    return remember_names(ctx, question, rule, old, old_len)


cdef uint32_t put_subnet(const Context* ctx, const OptionRule* rule, uint8_t* out) noexcept nogil:
    """The client's network (RFC 7871 section 6). Returns the size."""
    cdef uint32_t bits = rule.ipv4_bits if ctx.client_len == 4 else rule.ipv6_bits
    cdef uint32_t octets = (bits + 7) // 8
    put_u16(out, 1 if ctx.client_len == 4 else 2)
    out[2] = <uint8_t>bits
    out[3] = 0
    memcpy(out + SUBNET_HEAD_BYTES, ctx.client, octets)
    if bits & 7:
        out[SUBNET_HEAD_BYTES + octets - 1] &= <uint8_t>(0xFF00 >> (bits & 7))
    return SUBNET_HEAD_BYTES + octets


cdef inline const uint8_t* name_of(const Context* ctx, const Question* question) noexcept nogil:
    """The name in wire form: in the client's spelling where it is the client's."""
    return &question.name[0] if question.renamed else ctx.q.msg + HEADER_BYTES


cdef bint find_data(Context* ctx, const Question* question, const OptionRule* rule, uint8_t* room,
                    const uint8_t** data, uint32_t* length) noexcept nogil:
    """What an option is to say. False: it is not known."""
    cdef uint32_t size
    data[0] = room
    length[0] = 2
    if rule.source == FIXED:
        data[0] = rule.data
        length[0] = rule.length
    elif rule.source == QNAME:
        length[0] = <uint32_t>(put_name(room, name_of(ctx, question)) - room)
    elif rule.source == QTYPE:
        put_u16(room, question.qtype)
    elif rule.source == CLIENT_IP:
        data[0] = ctx.client
        length[0] = ctx.client_len
    elif rule.source == CLIENT_PORT:
        put_u16(room, ctx.client_port)
    elif rule.source == PROTOCOL:
        data[0] = b"tcp" if proto_of(ctx.transport) else b"udp"
        length[0] = 3
    elif rule.source == SERVER_IP:
        data[0] = server_address(ctx, &size)
        length[0] = size
    elif rule.source == SERVER_PORT:
        put_u16(room, ctx.server.port)
    elif rule.source == SUBNET:
        length[0] = put_subnet(ctx, rule, room)
    else:
        length[0] = read_value(ctx, rule.value, data)
        return length[0] != 0
    return data[0] != NULL


cdef Result set_option(Context* ctx, Question* question, const OptionRule* rule) noexcept nogil:
    cdef uint8_t room[MAX_NAME_TEXT_BYTES]
    cdef const uint8_t* data = NULL
    cdef uint32_t length = 0
    if rule.action != UNSET and not find_data(ctx, question, rule, room, &data, &length):
        return IGNORED
    if not begin(ctx, &question.options):
        return NO_SPACE
    return DONE if change_option(ctx, &question.options, rule, data, length) else IGNORED


cdef Result apply(Context* ctx, Question* question, const Rule* rule) noexcept nogil:
    if rule.field == NAME:
        return rename(ctx, question, rule)
    if rule.field == TYPE:
        if question.qtype != rule.number:
            return IGNORED
        question.qtype = rule.to
        return DONE
    if rule.field == CLASS:
        if question.qclass != rule.number:
            return IGNORED
        question.qclass = rule.to
        return DONE
    if rule.field == EDNS0:
        return set_option(ctx, question, &rule.option)
    if rule.field == CNAME:
        # It looks at the targets of the reply.
        question.rewrites_names = True
    else:
        need_text(ctx, question)
        if not found_in(&rule.replacing, question.text, question.text_len):
            return IGNORED
    return DONE if remember(ctx, question, rule) != NULL else NO_SPACE


cdef bint keep(Context* ctx, const Conf* c, Question* question) noexcept nogil:
    """Remember what the reply needs. False: there is no room."""
    cdef Memory* m
    cdef bint shows = ctx.q.has_opt and (
        question.options.begun or (c.local_count != 0 and ctx.q.opt_len > OPT_FIXED_BYTES))
    if question.newest == NULL and not shows:
        return True
    if shows and not begin(ctx, &question.options):
        return False
    m = <Memory*>step_memory(ctx, sizeof(Memory))
    if m == NULL:
        return False
    m.newest = question.newest
    m.names = question.rewrites_names
    m.qtype = question.qtype
    if shows:
        m.echoes = True
        m.echo_len = shown(ctx, &question.options, c, &m.echo)
    return True


cdef inline bint changes_options(const Question* question) noexcept nogil:
    return question.options.begun and question.options.changed


cdef bint same_subnet(const Query* one, const Query* other) noexcept nogil:
    return one.subnet_len == other.subnet_len and memcmp(one.subnet, other.subnet, one.subnet_len) == 0


cdef Outcome ask(Context* ctx, const Question* question, const Options* options) noexcept nogil:
    """Let the steps below see the question that the rules have made."""
    cdef uint32_t name_len = question.name_len if question.renamed else ctx.q.name_len
    cdef const Query* asked = ctx.q
    cdef Outcome outcome = change_question_and_options(ctx, name_of(ctx, question), name_len, question.qtype,
                                                       question.qclass, options)
    cdef Memory* m
    if options != NULL and asked.has_opt and not same_subnet(asked, ctx.q):
        m = <Memory*>find_memory(ctx, &ctx.chain.steps[ctx.step])
        m.other_subnet = True
    return outcome


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    cdef Question question
    cdef Result result
    cdef Options options
    cdef uint32_t i
    question.qtype = ctx.q.qtype
    question.qclass = ctx.q.qclass
    question.renamed = False
    question.name_len = 0
    question.text_len = 0
    question.newest = NULL
    question.rewrites_names = False
    question.options.begun = False
    for i in range(c.count):
        result = apply(ctx, &question, &c.rules[i])
        if result == FAILED:
            ctx.error = c.first_reason + INVALID_NAME
        if result == FAILED or result == NO_SPACE:
            return bare(ctx, SERVFAIL)
        if result == DONE and c.rules[i].stop:
            break
    if not keep(ctx, c, &question):
        return bare(ctx, SERVFAIL)
    if changes_options(&question) and not join(ctx, &question.options, &options):
        return bare(ctx, SERVFAIL)
    if not (question.renamed or changes_options(&question) or question.qtype != ctx.q.qtype
            or question.qclass != ctx.q.qclass):
        return NEXT
    return ask(ctx, &question, &options if changes_options(&question) else NULL)


# ------------------------------------------------------------------------------------------------- the reply

cdef void show_options(Context* ctx, const Memory* m) noexcept nogil:
    """The client is shown its options as the rules have left them, and no subnet but its own."""
    cdef Reply* r = ctx.reply
    cdef uint8_t* out
    if r.options == NULL:
        r.options = m.echo
        r.options_len = m.echo_len
    elif m.other_subnet and r.options_len:
        out = scratch(r, r.options_len)
        if out != NULL:
            r.options_len = <uint16_t>options_without(r.options, r.options_len, OPTION_SUBNET, out)
            r.options = out


cdef void after(Context* ctx, const void* conf) noexcept nogil:
    cdef Memory* m = <Memory*>find_memory(ctx, &ctx.chain.steps[ctx.step])
    if m == NULL:
        return
    if m.newest != NULL:
        rewrite_reply(ctx, <const Conf*>conf, m)
    if m.echoes and not ctx.suspended:
        show_options(ctx, m)


# ------------------------------------------------------------------------------------------------ the object

cdef class RewriteStep(NativeStep):
    """rules: of the plugin's Config. values: by name, those that rules read."""
    cdef Conf conf
    cdef list keep

    def __cinit__(self, tuple rules not None, dict values not None, uint16_t first_reason=0):
        cdef uint32_t i
        self.keep = []
        self.conf.rules = <Rule*>self.room(len(rules), sizeof(Rule))
        self.conf.count = <uint32_t>len(rules)
        self.conf.first_reason = first_reason
        codes = sorted({rule.code for rule in rules if isinstance(rule, OptionConfig) and rule.local})
        self.conf.local_codes = <uint16_t*>self.room(len(codes), sizeof(uint16_t))
        self.conf.local_count = <uint32_t>len(codes)
        for i in range(self.conf.local_count):
            self.conf.local_codes[i] = codes[i]
        for i in range(self.conf.count):
            self.fill(&self.conf.rules[i], rules[i], values)
        self.step.before = before
        self.step.after = after
        self.step.conf = &self.conf

    cdef void* room(self, Py_ssize_t count, size_t size) except NULL:
        """Zeroed memory that lives as long as the step."""
        cdef bytearray memory = bytearray(max(1, count * size))
        self.keep.append(memory)
        return <void*><uint8_t*>memory

    cdef int put_text(self, str text, const uint8_t** at, uint32_t* length) except -1:
        cdef bytes encoded = text.encode("utf-8", "surrogateescape")
        self.keep.append(encoded)
        at[0] = <const uint8_t*>encoded
        length[0] = <uint32_t>len(encoded)
        return 0

    cdef int fill(self, Rule* rule, given, dict values) except -1:
        rule.stop = given.stop
        if isinstance(given, NameRule):
            rule.field = NAME
            self.fill_name(rule, given)
        elif isinstance(given, NumberRule):
            rule.field = TYPE if given.field == "type" else CLASS
            rule.number = given.number
            rule.to = given.to
        elif isinstance(given, TtlRule):
            rule.field = TTL
            self.fill_replacing(&rule.replacing, given.match, ())
            rule.low_s = given.low_s
            rule.high_s = given.high_s
        elif isinstance(given, RcodeRule):
            rule.field = RCODE
            self.fill_replacing(&rule.replacing, given.match, ())
            rule.number = given.rcode
            rule.to = given.to
        elif isinstance(given, CnameRule):
            rule.field = CNAME
            self.fill_replacing(&rule.replacing, given.match, given.to)
        else:
            rule.field = EDNS0
            self.fill_option(&rule.option, given, values)
        return 0

    cdef int fill_name(self, Rule* rule, given) except -1:
        cdef uint32_t i
        self.fill_replacing(&rule.replacing, given.match, given.to)
        answers = [(answer.value, answer.match, answer.to) for answer in given.answers]
        if given.auto and given.match.kind == "suffix":
            # The other way round: it also meets names of the reply that the question does not have.
            back = Match("suffix", given.to[0])
            answers = [(value, back, (given.match.text,)) for value in (False, True)] + answers
        else:
            rule.puts_back = given.auto
        rule.answers = <Answer*>self.room(len(answers), sizeof(Answer))
        rule.answer_count = <uint32_t>len(answers)
        for i in range(rule.answer_count):
            rule.answers[i].value = answers[i][0]
            self.fill_replacing(&rule.answers[i].replacing, answers[i][1], answers[i][2])
        return 0

    cdef int fill_replacing(self, Replacing* r, match, tuple pieces) except -1:
        cdef uint32_t i
        r.kind = <Kind><int>KINDS[match.kind]
        self.put_text(match.text, &r.text, &r.length)
        if match.pattern is not None:
            self.keep.append(match.pattern)
            r.pattern = &(<Regex>match.pattern).pattern
        r.pieces = <Piece*>self.room(len(pieces), sizeof(Piece))
        r.piece_count = <uint32_t>len(pieces)
        for i in range(r.piece_count):
            if isinstance(pieces[i], int):
                r.pieces[i].group = pieces[i]
            else:
                r.pieces[i].group = NO_GROUP
                self.put_text(pieces[i], &r.pieces[i].text, &r.pieces[i].length)
        return 0

    cdef int fill_option(self, OptionRule* option, given, dict values) except -1:
        option.action = <Action><int>ACTIONS[given.action]
        option.code = given.code
        option.revert = given.revert
        option.ipv4_bits, option.ipv6_bits = given.subnet_bits
        if given.variable in SOURCES:
            option.source = <Source><int>SOURCES[given.variable]
        elif given.variable:
            self.keep.append(values[given.variable])
            option.source = VALUE
            option.value = &(<BlockValue>values[given.variable]).value
        elif given.code == OPTION_SUBNET and not given.local:
            option.source = SUBNET
        else:
            self.keep.append(given.data)
            option.source = FIXED
            option.data = <const uint8_t*><bytes>given.data
            option.length = <uint32_t>len(given.data)
        return 0
