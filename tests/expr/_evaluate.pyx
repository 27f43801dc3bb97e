"""Expressions over a message, without a server."""

from libc.stdint cimport uint8_t, uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastdns._wire cimport ACCEPTED, Query, Reply, accept, reply_reset
from fastdns.expr._program cimport Program, evaluate as evaluate_native, to_python
from fastdns.expr._value cimport Run, Value
from fastdns.serve._context cimport OVER_TCP, OVER_UDP, Context, Server


def evaluate(Program program not None, bytes message not None, *, bytes client=b"\x7f\0\0\1",
             uint16_t client_port=5353, bint tcp=False, bytes server=b"\x7f\0\0\2", uint16_t server_port=53):
    """(value,), or None where it fails. Raises ValueError where the message is no query that is accepted."""
    cdef Query q
    cdef Context ctx
    cdef Server listener
    cdef Run run
    cdef Value value
    cdef bint done
    cdef Reply* reply = <Reply*>malloc(sizeof(Reply))
    if reply == NULL:
        raise MemoryError
    try:
        if accept(<const uint8_t*>message, len(message), &q) != ACCEPTED:
            raise ValueError("the message is no query that is accepted")
        memset(&ctx, 0, sizeof(Context))
        memset(&listener, 0, sizeof(Server))
        listener.address = <const uint8_t*>server if server else NULL
        listener.address_len = len(server)
        listener.port = server_port
        reply_reset(reply)
        ctx.q = &q
        ctx.reply = reply
        ctx.server = &listener
        ctx.client = <const uint8_t*>client
        ctx.client_len = len(client)
        ctx.client_port = client_port
        ctx.transport = OVER_TCP if tcp else OVER_UDP
        with nogil:
            done = evaluate_native(&ctx, &program.code, &run, &value)
        return (to_python(&value),) if done else None
    finally:
        free(reply)
