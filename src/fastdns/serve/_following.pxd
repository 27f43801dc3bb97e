"""A reply of several messages, over a stream: what the transport asks for one message after the other.

A step finds its thread's place with following_of: NULL where the reply can only be one message. It fills in state
and functions, and returns written(ctx). Then what stands in ctx.reply is not sent. The transport copies the place,
and calls next when the client has room for a message, until that says that there is none any more. Between two
calls the thread leaves its epoch, so state holds no pointers into the store. ended is called once, whatever becomes
of the client.

Steps that see the bytes of a reply (``finish``) see none of these messages. Where the request was signed, the
transport signs each of them (_signed.pxd).
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from fastdns.serve._context cimport Context, over_stream

cdef enum:
    FOLLOWING_WORDS = 192           # of state, 8 bytes each

# What next returns beside sizes. Numbers below LATER: why the reply cannot go on; they are the step's own.
cdef enum:
    ALL_SENT = 0
    LATER = -1                      # there is no message yet, as the thread has worked on it for long enough

# Why the transport asks for no more.
cdef enum:
    CLIENT_CLOSED = 1
    CLIENT_READS_TOO_SLOWLY = 2
    SERVER_CLOSED = 3               # it makes room for others, or stops

cdef struct Following:
    # Write the next message: its size, or one of the above. ctx: the thread's; its reply is empty.
    int32_t (*next)(Following* following, Context* ctx, uint8_t* out, uint32_t room) noexcept nogil
    # why: ALL_SENT, what else next has returned, or why the transport asks for no more. The caller has the GIL.
    void (*ended)(Following* following, int32_t why) noexcept nogil
    uint64_t state[FOLLOWING_WORDS]

# slot: slot_of("following").
cdef inline Following* following_of(const Context* ctx, uint32_t slot) noexcept nogil:
    if not over_stream(ctx.transport) or ctx.inside or ctx.depth or ctx.background:
        return NULL
    return <Following*>ctx.slots[slot]
