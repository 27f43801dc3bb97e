"""Values by name: see _values.pxd."""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns._wire cimport in_zone
from fastdns.dns.names import wire_name
from fastdns.serve._context cimport add_memory, find_memory

cdef struct KeptValue:
    uint32_t length                 # its bytes follow


cdef bint may_be_read(const Context* ctx, const Value* value) noexcept nogil:
    cdef uint32_t i
    if value.everywhere:
        return True
    for i in range(value.zone_count):
        if in_zone(ctx.q, value.zones[i].name, value.zones[i].name_len):
            return True
    return False


cdef uint32_t read_value(Context* ctx, const Value* value, const uint8_t** text) noexcept nogil:
    cdef uint8_t room[MAX_VALUE_BYTES]
    cdef uint32_t length
    cdef KeptValue* kept
    text[0] = NULL
    if value.compute == NULL or not may_be_read(ctx, value):
        return 0
    kept = <KeptValue*>find_memory(ctx, value)
    if kept == NULL:
        length = value.compute(ctx, value.conf, room, MAX_VALUE_BYTES)
        if length == 0 or length > MAX_VALUE_BYTES:
            return 0
        kept = <KeptValue*>add_memory(ctx, value, sizeof(KeptValue) + length)
        if kept == NULL:
            return 0
        kept.length = length
        memcpy(kept + 1, room, length)
    text[0] = <const uint8_t*>(kept + 1)
    return kept.length


cdef class NativeValue:
    def __cinit__(self, *args, **kwargs):
        self.value.compute = NULL
        self.value.conf = NULL
        self.value.everywhere = False


cdef class BlockValue:
    """provided: NativeValue | None. zones: the fully qualified zones in which the block has values."""

    def __cinit__(self, NativeValue provided, list zones not None):
        cdef uint32_t i
        self.provided = provided
        self.names = [wire_name(zone) for zone in zones]
        self.value.zones = <ValueZone*>calloc(max(1, len(zones)), sizeof(ValueZone))
        if self.value.zones == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(self.names)):
            self.value.zones[i].name = <const uint8_t*><bytes>self.names[i]
            self.value.zones[i].name_len = len(self.names[i])
        self.value.zone_count = len(self.names)
        if provided is not None:
            self.value.compute = provided.value.compute
            self.value.conf = provided.value.conf
            self.value.everywhere = provided.value.everywhere

    def __dealloc__(self):
        free(self.value.zones)
