"""EDNS options of a question: see _options.pxd."""

from libc.string cimport memcpy, memmove

from fastdns._wire cimport (
    MAX_OPT_ECHO_BYTES, MAX_SUBNET_BYTES, OPT_FIXED_BYTES, echoed_option, options_without, put_u16, scratch,
)
from fastdns.plugins.rewrite._rules cimport APPEND, REPLACE, UNSET

cdef enum:
    OPTION_SUBNET = 8
    OPTION_BYTES = 4            # its code and its length


cdef inline uint32_t code_at(const uint8_t* option) noexcept nogil:
    return (<uint32_t>option[0] << 8) | option[1]


cdef inline uint32_t size_at(const uint8_t* option) noexcept nogil:
    return OPTION_BYTES + ((<uint32_t>option[2] << 8) | option[3])


cdef const uint8_t* find_option(const uint8_t* options, uint32_t length, uint16_t code) noexcept nogil:
    """The first option with a code. They are well-formed: accept has read the client's."""
    cdef uint32_t at = 0
    while at < length:
        if code_at(options + at) == code:
            return options + at
        at += size_at(options + at)
    return NULL


cdef inline uint32_t put_option(uint8_t* out, uint16_t code, const uint8_t* data, uint32_t length) noexcept nogil:
    put_u16(out, code)
    put_u16(out + 2, <uint16_t>length)
    if length:
        memcpy(out + OPTION_BYTES, data, length)
    return OPTION_BYTES + length


cdef bint begin(Context* ctx, Draft* d) noexcept nogil:
    cdef uint32_t length = ctx.q.opt_len - OPT_FIXED_BYTES - ctx.q.sent_len if ctx.q.has_opt else 0
    if d.begun:
        return True
    d.changed = False
    d.sent_len = 0
    d.reverted = NULL
    d.kept = scratch(ctx.reply, length + OPTION_BYTES + MAX_SUBNET_BYTES)
    if d.kept == NULL:
        return False
    d.begun = True
    d.kept_len = length
    if length:
        memcpy(d.kept, ctx.q.msg + ctx.q.opt_at + OPT_FIXED_BYTES, length)
    if ctx.q.has_opt and ctx.q.sent_len:
        d.sent_len = ctx.q.sent_len
        memcpy(d.sent, ctx.q.msg + ctx.q.opt_at + ctx.q.opt_len - ctx.q.sent_len, d.sent_len)
    return True


cdef bint note(Context* ctx, Draft* d, uint16_t code, const uint8_t* old) noexcept nogil:
    """Remember what an option was."""
    cdef uint32_t length = size_at(old) - OPTION_BYTES if old != NULL else 0
    cdef uint8_t* room = scratch(ctx.reply, sizeof(Reverted) + length + 7)
    cdef Reverted* r
    if room == NULL:
        return False
    r = <Reverted*>((<size_t>room + 7) & ~<size_t>7)
    r.older = d.reverted
    r.code = code
    r.was_there = old != NULL
    r.data = <const uint8_t*>(r + 1)
    r.length = length
    if length:
        memcpy(r + 1, old + OPTION_BYTES, length)
    d.reverted = r
    return True


cdef void take_out(Draft* d, uint16_t code) noexcept nogil:
    d.kept_len = options_without(d.kept, d.kept_len, code, d.kept)
    d.sent_len = options_without(d.sent, d.sent_len, code, d.sent)


cdef bint change_option(Context* ctx, Draft* d, const OptionRule* rule, const uint8_t* data,
                        uint32_t length) noexcept nogil:
    cdef const uint8_t* old
    cdef uint16_t code = rule.code
    old = find_option(d.kept, d.kept_len, code)
    if old == NULL:
        old = find_option(d.sent, d.sent_len, code)
    if rule.action == UNSET:
        d.changed |= old != NULL
        take_out(d, code)
        return True
    if (old != NULL and rule.action == APPEND) or (old == NULL and rule.action == REPLACE):
        return False
    if code == OPTION_SUBNET:
        # Upstreams are told a client subnet wherever it comes from: no need to name it twice.
        if length > MAX_SUBNET_BYTES:
            return False
    elif options_without(d.sent, d.sent_len, code, NULL) + OPTION_BYTES + length > MAX_SENT_BYTES:
        return False
    if rule.revert and not note(ctx, d, code, old):
        return False
    d.changed = True
    take_out(d, code)
    if code == OPTION_SUBNET:
        d.kept_len += put_option(d.kept + d.kept_len, code, data, length)
    else:
        d.sent_len += put_option(d.sent + d.sent_len, code, data, length)
    return True


cdef bint join(Context* ctx, const Draft* d, Options* options) noexcept nogil:
    cdef uint8_t* out = scratch(ctx.reply, d.kept_len + d.sent_len)
    if out == NULL:
        return False
    memcpy(out, d.kept, d.kept_len)
    memcpy(out + d.kept_len, d.sent, d.sent_len)
    options.data = out
    options.length = d.kept_len + d.sent_len
    options.sent_len = d.sent_len
    return True


cdef bint is_shown(const Conf* c, uint16_t code) noexcept nogil:
    cdef uint32_t i
    if echoed_option(code):
        return True
    for i in range(c.local_count):
        if c.local_codes[i] == code:
            return True
    return False


cdef uint32_t leave_shown(const Conf* c, uint8_t* options, uint32_t length) noexcept nogil:
    """Leave only those that the client is shown, and no more than a reply would repeat. Returns their size."""
    cdef uint32_t at = 0, kept = 0, size
    while at < length:
        size = size_at(options + at)
        if is_shown(c, <uint16_t>code_at(options + at)) and kept + size <= MAX_OPT_ECHO_BYTES:
            memmove(options + kept, options + at, size)
            kept += size
        at += size
    return kept


cdef uint16_t shown(Context* ctx, const Draft* d, const Conf* c, const uint8_t** out) noexcept nogil:
    cdef uint32_t size = d.kept_len + d.sent_len
    cdef const Reverted* r = d.reverted
    cdef uint8_t* at
    while r != NULL:
        size += OPTION_BYTES + r.length
        r = r.older
    out[0] = at = scratch(ctx.reply, size)
    if at == NULL:
        return 0
    memcpy(at, d.kept, d.kept_len)
    memcpy(at + d.kept_len, d.sent, d.sent_len)
    size = d.kept_len + d.sent_len
    r = d.reverted
    while r != NULL:
        size = options_without(at, size, r.code, at)
        if r.was_there:
            size += put_option(at + size, r.code, r.data, r.length)
        r = r.older
    return <uint16_t>leave_shown(c, at, size)
