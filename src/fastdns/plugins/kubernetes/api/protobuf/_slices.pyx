"""EndpointSlices in protobuf, straight from their bytes to the packing: no object is made of an endpoint or a port.

Field numbers: generated.proto of k8s.io/api, discovery/v1. The decoder checks the whole slice: one that cannot be
read is refused before anything of it is packed, as its JSON would be. Where a field that is no list stands twice,
the last one counts.
"""

from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, uint8_t, uint32_t

from fastdns.plugins.kubernetes.api.protobuf._fields cimport (
    BYTES, VARINT, Cursor, Field, inside, next_field, whole,
)
from fastdns.plugins.kubernetes.api.protobuf._objects cimport metadata_of
from fastdns.plugins.kubernetes.records._ports cimport PortTable, add_port
from fastdns.plugins.kubernetes.records._slices cimport Packing, add_address, start_endpoint, start_slice
from fastdns.plugins.kubernetes.objects import Metadata

cdef enum:
    MAX_SLICE_BYTES = 0x7FFFFFFF


cdef class ProtobufSlice(EncodedSlice):
    """One EndpointSlice; its decoder makes it."""

    cdef int feed(self, Packing* p, bint pod_names, bint zonal) except -1:
        cdef Cursor c
        cdef Field part
        c.at = self.at
        c.end = self.end
        c.failed = False
        start_slice(p, <const char*>self.address_type, size_of(self.address_type, self.address_type_end), zonal)
        while next_field(&c, &part):
            if part.number == 2:
                feed_endpoint(p, &part, pod_names)
            elif part.number == 3:
                feed_port(&p.ports, &part)
        return whole(&c)


cdef ProtobufSlice slice_of(bytes data, Cursor c):
    cdef ProtobufSlice made = ProtobufSlice.__new__(ProtobufSlice)
    cdef Field part
    if c.end - c.at > MAX_SLICE_BYTES:
        raise ValueError(f"it has {c.end - c.at} bytes")
    made.data = data
    made.at = c.at
    made.end = c.end
    made.address_type = made.address_type_end = c.at
    while next_field(&c, &part):
        if part.number == 1:
            made.metadata = metadata_of(&part)
        elif part.number == 2:
            check_endpoint(&part)
        elif part.number == 3:
            check_port(&part)
        elif part.number == 4:
            check_text(&part)
            made.address_type = part.data
            made.address_type_end = part.end
    whole(&c)
    if made.metadata is None:
        made.metadata = Metadata()
    return made


# ----------------------------------------------------------------------------------------------- is it right

cdef int check_text(const Field* f) except -1:
    """Raises ValueError unless a field is text in UTF-8."""
    cdef const uint8_t* at = f.data
    if f.type != BYTES:
        raise ValueError("its protobuf has a number where text is expected")
    while at < f.end and at[0] < 0x80:
        at += 1
    if at < f.end:
        PyUnicode_DecodeUTF8(<const char*>f.data, f.end - f.data, NULL)
    return 0


cdef int check_endpoint(const Field* f) except -1:
    cdef Cursor c = inside(f)
    cdef Field part
    while next_field(&c, &part):
        if part.number == 1 or part.number == 3 or part.number == 7:
            check_text(&part)
        elif part.number == 2:
            check_conditions(&part)
        elif part.number == 4:
            check_target(&part)
    return whole(&c)


cdef int check_conditions(const Field* f) except -1:
    cdef Cursor c = inside(f)
    cdef Field part
    while next_field(&c, &part):
        if part.number == 1 and part.type != VARINT:
            raise ValueError("its protobuf has no truth value where ready is expected")
    return whole(&c)


cdef int check_target(const Field* f) except -1:
    cdef Cursor c = inside(f)
    cdef Field part
    while next_field(&c, &part):
        if part.number == 3:
            check_text(&part)
    return whole(&c)


cdef int check_port(const Field* f) except -1:
    cdef Cursor c = inside(f)
    cdef Field part
    while next_field(&c, &part):
        if part.number == 1 or part.number == 2:
            check_text(&part)
        elif part.number == 3 and part.type != VARINT:
            raise ValueError("its protobuf has no number where a port is expected")
    return whole(&c)


# ---------------------------------------------------------------------------------------------- to the packing

cdef inline uint32_t size_of(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """The size of a text within a slice, which is bounded."""
    return <uint32_t>(end - at)


cdef bint is_unready(const Field* f) noexcept nogil:
    """Whether conditions say that an endpoint is not ready; those that do not say are ready."""
    cdef Cursor c = inside(f)
    cdef Field part
    cdef bint unready = False
    while next_field(&c, &part):
        if part.number == 1:
            unready = part.value == 0
    return unready


cdef void target_name(const Field* f, const uint8_t** name, uint32_t* size) noexcept nogil:
    """The name of an ObjectReference."""
    cdef Cursor c = inside(f)
    cdef Field part
    size[0] = 0
    while next_field(&c, &part):
        if part.number == 3:
            name[0] = part.data
            size[0] = size_of(part.data, part.end)


cdef int feed_endpoint(Packing* p, const Field* f, bint pod_names) except -1:
    """Its addresses stand before what says how they are named, and whether they are served."""
    cdef Cursor c = inside(f)
    cdef Field part
    cdef const uint8_t* name = NULL
    cdef const uint8_t* pod = NULL
    cdef const uint8_t* zone = NULL
    cdef uint32_t name_len = 0, pod_len = 0, zone_len = 0
    cdef bint unready = False
    while next_field(&c, &part):
        if part.number == 2:
            unready = is_unready(&part)
        elif part.number == 3:
            name = part.data
            name_len = size_of(part.data, part.end)
        elif part.number == 4:
            target_name(&part, &pod, &pod_len)
        elif part.number == 7:
            zone = part.data
            zone_len = size_of(part.data, part.end)
    if unready:
        return 0
    if name_len == 0 and pod_names:
        name = pod
        name_len = pod_len
    start_endpoint(p, name, name_len, zone, zone_len)
    c = inside(f)
    while next_field(&c, &part):
        if part.number == 1:
            add_address(p, part.data, size_of(part.data, part.end))
    return 0


cdef int feed_port(PortTable* t, const Field* f) except -1:
    cdef Cursor c = inside(f)
    cdef Field part
    cdef const uint8_t* name = NULL
    cdef const uint8_t* protocol = NULL
    cdef uint32_t name_len = 0, protocol_len = 0
    cdef long number = -1
    while next_field(&c, &part):
        if part.number == 1:
            name = part.data
            name_len = size_of(part.data, part.end)
        elif part.number == 2:
            protocol = part.data
            protocol_len = size_of(part.data, part.end)
        elif part.number == 3:
            number = <int32_t>part.value
            if number < 0:
                # -1 would say that the slice gives no number.
                number = -2
    return add_port(t, number, protocol, protocol_len, name, name_len)
