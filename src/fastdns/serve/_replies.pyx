"""Replies that a query has waited for: see _replies.pxd."""

import os

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastdns.memory._hash cimport hash_bytes
from fastdns._wire cimport FLAG_CD, FLAG_RD, sent_options

cdef uint64_t SEED = int.from_bytes(os.urandom(8), "little")


cdef uint64_t question_of(const Query* q) noexcept nogil:
    cdef uint64_t kind = (<uint64_t>q.qtype << 48 | <uint64_t>q.qclass << 32 | <uint64_t>q.opcode << 24
                          | <uint64_t>q.do_bit << 16 | (q.flags & (FLAG_RD | FLAG_CD)))
    cdef uint64_t hashed = hash_bytes(SEED ^ kind, q.name, q.name_len)
    if q.subnet_len:
        hashed = hash_bytes(hashed, q.subnet, q.subnet_len)
    if q.sent_len:
        hashed = hash_bytes(hashed, sent_options(q), q.sent_len)
    return hashed


cdef const ServiceReply* find_reply(const Context* ctx, const void* asker) noexcept nogil:
    cdef const ServiceReply* reply = ctx.replies
    cdef uint64_t question
    if reply == NULL:
        return NULL
    question = question_of(ctx.q)
    while reply != NULL:
        if reply.asker == asker and reply.question == question and not reply.followed and not reply.stale:
            return reply
        reply = reply.previous
    return NULL


cdef ServiceReply* reply_to(const Context* ctx) noexcept nogil:
    cdef ServiceReply* reply = ctx.replies
    cdef uint64_t question
    if reply == NULL:
        return NULL
    question = question_of(ctx.q)
    while reply != NULL:
        if reply.question == question and (reply.chain != ctx.chain or reply.step >= ctx.step):
            return reply
        reply = reply.previous
    return NULL


cdef bint was_here(const Context* ctx) noexcept nogil:
    cdef const ServiceReply* newest = ctx.replies
    if not ctx.seen or newest == NULL:
        return ctx.seen
    # Where a step before this one was the last that waited, the question comes here for the first time.
    return newest.chain != ctx.chain or newest.step >= ctx.step or newest.question != question_of(ctx.q)


cdef inline uint64_t kept_bytes(const ServiceReply* reply) noexcept nogil:
    return sizeof(ServiceReply) + reply.msg_len


cdef bint keep_replies(Context* ctx) noexcept nogil:
    cdef ServiceReply* newest = ctx.replies
    cdef ServiceReply* before
    cdef ServiceReply* copy
    cdef uint64_t size
    if newest == NULL or newest.kept:
        return True
    size = kept_bytes(newest)
    if ctx.kept.bytes + size > ctx.kept.most_bytes:
        return False
    before = newest.previous
    while before != NULL:
        size += kept_bytes(before)
        before = before.previous
    if size > MAX_KEPT_BYTES:
        return False
    copy = <ServiceReply*>malloc(kept_bytes(newest))
    if copy == NULL:
        return False
    copy[0] = newest[0]
    copy.kept = True
    if newest.msg != NULL:
        memcpy(copy + 1, newest.msg, newest.msg_len)
        copy.msg = <const uint8_t*>(copy + 1)
    ctx.kept.bytes += kept_bytes(copy)
    ctx.replies = copy
    return True


cdef void forget_replies(KeptReplies* kept, ServiceReply* reply) noexcept nogil:
    cdef ServiceReply* previous
    while reply != NULL:
        previous = reply.previous
        kept.bytes -= kept_bytes(reply)
        free(reply)
        reply = previous
