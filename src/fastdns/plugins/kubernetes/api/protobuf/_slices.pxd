"""EndpointSlices in protobuf."""

from libc.stdint cimport uint8_t

from fastdns.plugins.kubernetes.api.protobuf._fields cimport Cursor
from fastdns.plugins.kubernetes.records._slices cimport EncodedSlice


cdef class ProtobufSlice(EncodedSlice):
    cdef bytes data             # in which at and end lie
    cdef const uint8_t* at
    cdef const uint8_t* end
    cdef const uint8_t* address_type
    cdef const uint8_t* address_type_end

# The slice whose message c covers, within data. Raises ValueError where it is none.
cdef ProtobufSlice slice_of(bytes data, Cursor c)
