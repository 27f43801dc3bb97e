"""Exchanges, as observers see them: see _observed.pxd."""

from libc.string cimport memset

from fastdns._wire cimport put_u16
from fastdns.plugins.forward.engine._sockets cimport local_address
from fastdns.plugins.forward.engine._state cimport OVER_DATAGRAMS, Attempt, Upstream
from fastdns.serve._context cimport OVER_TCP, OVER_UDP
from fastdns.serve._exchanges cimport Exchange, tell_observers


cdef void begin_exchange(Engine* e, const Outstanding* o, uint32_t which, Exchange* exchange) noexcept nogil:
    cdef const Attempt* a = &o.attempts[which]
    cdef Upstream* u = &e.upstreams[a.upstream]
    memset(exchange, 0, sizeof(Exchange))
    exchange.sent_ns = a.sent_ns
    exchange.server = u.pool.address
    exchange.named = o.stanza.observers.named
    if a.state == OVER_DATAGRAMS:
        exchange.transport = OVER_UDP
        exchange.local = local_address(&u.pool.sockets[a.socket])
    else:
        exchange.transport = u.stream_only if u.stream_only else OVER_TCP


cdef void tell_sent(Engine* e, const Outstanding* o, uint32_t which) noexcept nogil:
    cdef const Attempt* a = &o.attempts[which]
    cdef Exchange exchange
    cdef uint8_t wire_id[2]
    put_u16(wire_id, a.id)
    begin_exchange(e, o, which, &exchange)
    exchange.msg = o.query
    exchange.msg_len = o.query_len
    exchange.id = wire_id
    tell_observers(&o.stanza.observers, &exchange, e.slots)


cdef void tell_reply(Engine* e, const Outstanding* o, uint32_t which, const uint8_t* msg,
                     uint32_t size) noexcept nogil:
    cdef Exchange exchange
    begin_exchange(e, o, which, &exchange)
    exchange.msg = msg
    exchange.msg_len = size
    exchange.is_reply = True
    exchange.received_ns = e.now_ns
    tell_observers(&o.stanza.observers, &exchange, e.slots)
