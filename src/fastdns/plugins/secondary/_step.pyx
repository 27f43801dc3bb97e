"""The step of a block: a NOTIFY of a primary is answered, and told to the watcher; other questions are answered
from the zones (authoritative/_step)."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from fastdns._wire cimport OPCODE_NOTIFY, TYPE_SOA, Query
from fastdns.authoritative._step cimport Conf, ZoneStep
from fastdns.rrsets._lookup cimport ZoneView, open_zone
from fastdns.serve._context cimport DROPPED, Context, Outcome, before_fn, written

cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
    struct sockaddr:
        pass
    ssize_t sendto(int fd, const void* data, size_t size, int flags, const sockaddr* address, uint32_t address_len)

cdef enum:
    ADDRESS_BYTES = 17          # of a client, as telling.py has it
    MAPPED_BYTES = 12

cdef const uint8_t* MAPPED = <const uint8_t*>b"\0\0\0\0\0\0\0\0\0\0\xff\xff"

# zone: first, for the functions of ZoneStep, which know no more.
cdef struct Own:
    Conf zone
    before_fn answer
    uint8_t* primaries          # ADDRESS_BYTES each
    uint32_t primary_count
    int descriptor
    const uint8_t* address
    uint32_t address_len


cdef Outcome take_notify(Context* ctx, const Own* own) noexcept nogil:
    """RFC 1996 section 3.11: of others than primaries it is ignored, as CoreDNS does."""
    cdef const Query* q = ctx.q
    cdef uint8_t told[ADDRESS_BYTES + 256]
    cdef uint32_t i, size = ctx.client_len
    cdef const uint8_t* client = ctx.client
    if size == 16 and memcmp(client, MAPPED, MAPPED_BYTES) == 0:
        client += MAPPED_BYTES
        size -= MAPPED_BYTES
    memset(told, 0, ADDRESS_BYTES)
    told[0] = <uint8_t>size
    memcpy(told + 1, client, size)
    for i in range(own.primary_count):
        if memcmp(own.primaries + i * ADDRESS_BYTES, told, ADDRESS_BYTES) == 0:
            memcpy(told + ADDRESS_BYTES, q.name, q.name_len)
            # Where the watcher is gone or busy, the zone is refreshed at its time.
            sendto(own.descriptor, told, ADDRESS_BYTES + q.name_len, MSG_DONTWAIT | MSG_NOSIGNAL,
                   <const sockaddr*>own.address, own.address_len)
            ctx.reply.aa = True
            return written(ctx)
    return DROPPED


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Own* own = <const Own*>opaque
    cdef ZoneView z
    if ctx.q.opcode == OPCODE_NOTIFY and ctx.q.qtype == TYPE_SOA \
            and open_zone(ctx.store, own.zone.source, ctx.q.name, ctx.q.name_len, &z):
        return take_notify(ctx, own)
    return own.answer(ctx, &own.zone)


cdef class SecondaryStep(ZoneStep):
    """primaries: addresses (4 or 16 bytes) of all primaries of the block. descriptor, address: where the watcher is
    told (telling.py). options: those of ZoneStep."""
    cdef Own own
    cdef bytes address

    def __init__(self, list primaries not None, int descriptor, bytes address not None, **options):
        cdef uint32_t i
        cdef bytes primary
        ZoneStep.__init__(self, **options)
        self.address = address
        self.own.zone = self.conf
        self.own.answer = self.step.before
        self.own.primaries = <uint8_t*>calloc(len(primaries) + 1, ADDRESS_BYTES)
        if self.own.primaries == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(primaries)):
            primary = primaries[i]
            self.own.primaries[i * ADDRESS_BYTES] = <uint8_t>len(primary)
            memcpy(&self.own.primaries[i * ADDRESS_BYTES + 1], <const uint8_t*>primary, min(len(primary), 16))
        self.own.primary_count = <uint32_t>len(primaries)
        self.own.descriptor = descriptor
        self.own.address = <const uint8_t*>address
        self.own.address_len = <uint32_t>len(address)
        self.step.before = before
        self.step.conf = &self.own

    def __dealloc__(self):
        free(self.own.primaries)
