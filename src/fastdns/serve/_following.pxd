"""A reply of several messages, over a stream: what the transport asks for one message after the other.

A step finds its thread's place with following_of: NULL where the reply can only be one message. It fills in state
and functions, and returns written(ctx). Then what stands in ctx.reply is not sent. The transport copies the place,
and calls next when the client has room for a message, until that returns 0 or less. Between two calls the thread
leaves its epoch, so state holds no pointers into the store. ended is called once, whatever becomes of the client.

Steps that see the bytes of a reply (``finish``) see none of these messages.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from fastdns.memory._store cimport StoreHeader
from fastdns.serve._context cimport Context, over_stream

cdef enum:
    FOLLOWING_WORDS = 192           # of state, 8 bytes each

cdef struct Following:
    # Write the next message: its size. 0: there is none any more. -1: it cannot go on: the connection is closed.
    int32_t (*next)(Following* following, const StoreHeader* store, uint8_t* out, uint32_t room) noexcept nogil
    # whole: next has returned 0. The caller has the GIL.
    void (*ended)(Following* following, bint whole) noexcept nogil
    uint64_t state[FOLLOWING_WORDS]

# slot: slot_of("following").
cdef inline Following* following_of(const Context* ctx, uint32_t slot) noexcept nogil:
    if not over_stream(ctx.transport) or ctx.inside or ctx.depth or ctx.background:
        return NULL
    return <Following*>ctx.slots[slot]
