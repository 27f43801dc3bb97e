"""One thread's way to serve: see _worker.pxd."""

import os

from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._store cimport Store, enter_epoch, expect_reader, leave_epoch
from fastdns.metrics._stats cimport Stats
from fastdns.serve._chain cimport begin_message, serve
from fastdns.serve._context cimport OVER_TCP, OVER_UDP
from fastdns.serve._errors cimport take_events
from fastdns.serve._errors import learn_reasons
from fastdns._wire cimport MAX_MESSAGE_BYTES

# What the queries of a thread may keep of what they have waited for; as much as 128 of the longest messages.
cdef uint64_t MOST_KEPT_BYTES = 8388608


cdef class Worker:
    """One thread's way to serve. store: Store | None; stats: Stats | None with this thread's counter slot."""

    def __cinit__(self, ServerTable table not None, Store store=None, uint32_t reader_slot=0, Stats stats=None,
                  uint32_t counter_slot=0):
        self.reply = <Reply*>malloc(sizeof(Reply))
        if self.reply == NULL:
            raise MemoryError
        memset(&self.ctx, 0, sizeof(Context))
        memset(self.slots, 0, sizeof(self.slots))
        self.table = table
        self.store = store
        self.stats = stats
        self.reader_slot = reader_slot
        if store is not None:
            expect_reader(store.header, reader_slot)
        self.kept.most_bytes = MOST_KEPT_BYTES
        learn_reasons()
        self.ctx.q = &self.query
        self.ctx.reply = self.reply
        self.ctx.server = &table.server
        self.ctx.store = store.header if store is not None else NULL
        self.ctx.counters = stats.block(counter_slot) if stats is not None else NULL
        if stats is not None:
            stats.banks_of(counter_slot, self.zone_banks)
            self.ctx.zone_banks = self.zone_banks
        self.expect_counters(table)
        self.ctx.slots = self.slots
        self.ctx.kept = &self.kept
        self.ring = <ErrorRing*>calloc(1, sizeof(ErrorRing))
        if self.ring == NULL:
            raise MemoryError
        self.ctx.errors = self.ring
        self.ctx.random = int.from_bytes(os.urandom(8), "little") | 1

    cdef int expect_counters(self, ServerTable table) except -1:
        if self.stats is not None and table.zone_room > (<Stats>self.stats).zone_room:
            raise ValueError(f"counters for {table.zone_room} zones expected, got {self.stats.zone_room}")
        return 0

    def __dealloc__(self):
        free(self.reply)
        free(self.ring)

    def serve(self, bytes message not None, *, bytes client=b"\x7f\0\0\1", int client_port=0, bint tcp=False):
        """The reply to one message, or None for silence. client: 4 or 16 address bytes."""
        cdef uint8_t* out = <uint8_t*>malloc(MAX_MESSAGE_BYTES + 1)
        cdef int32_t size
        if out == NULL:
            raise MemoryError
        begin_message(&self.ctx, OVER_TCP if tcp else OVER_UDP, monotonic_ns(), 0, <const uint8_t*>client,
                      len(client), client_port, NULL, 0, NULL, 0)
        if self.ctx.store != NULL:
            enter_epoch(self.ctx.store, self.reader_slot)
        size = serve(&self.ctx, <const uint8_t*>message, len(message), out, MAX_MESSAGE_BYTES)
        if self.ctx.store != NULL:
            leave_epoch(self.ctx.store, self.reader_slot)
        try:
            return out[:size] if size > 0 else None
        finally:
            free(out)

    @property
    def kept_bytes(self):
        """What queries that wait keep of what they have waited for."""
        return self.kept.bytes

    def take_errors(self):
        """What the errors plugin has to log since the last call: (block, rcode, qname wire form, qtype, text,
        slot of the upstream that {} in text stands for)."""
        return take_events(self.ring)
