"""How a slice is packed: what a decoder of EndpointSlices calls, object by object. See _layout.pxd for the bytes.

    start_slice, then for each port add_port (of ports), for each endpoint start_endpoint and for each of its
    addresses add_address, then finish_slice.

Texts are bytes with a length, as they stand in the object. What does not fit is left out, and counted in Packing.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.plugins.kubernetes.records._ports cimport PortTable

# One address of an endpoint.
cdef struct PackedEndpoint:
    uint8_t address[16]
    uint16_t name               # as in Section's names
    uint16_t zone
    uint32_t place              # in the slice, from 0

# One slice while it is collected; the arrays grow and are used again.
cdef struct Packing:
    PortTable ports
    uint32_t address_len        # 4, 16 or ADDRESS_IS_NAME
    uint32_t count
    uint32_t room
    uint32_t blob_len
    uint32_t blob_room
    PackedEndpoint* endpoints
    uint8_t* blob
    uint16_t* texts             # where texts of the blob stand, by their hash
    uint32_t text_mask
    uint32_t text_count
    uint16_t name               # of the endpoint whose addresses come
    uint16_t zone
    bint has_zones
    # What was left out.
    uint32_t addresses_left_out     # beyond MAX_SLICE_ADDRESSES, or no addresses of the slice's family
    uint32_t names_left_out         # no label, or no room: named after the address
    uint32_t zones_left_out

# address_type: as the API spells it; anything but IPv6 and FQDN is IPv4.
cdef void start_slice(Packing* p, const char* address_type, uint32_t size, bint with_zones) noexcept nogil
# name: the hostname or, with endpoint_pod_names, the pod's; 0 bytes: named after its address. Raises MemoryError.
cdef int start_endpoint(Packing* p, const uint8_t* name, uint32_t name_len, const uint8_t* zone,
                        uint32_t zone_len) except -1 nogil
cdef int add_address(Packing* p, const uint8_t* text, uint32_t size) except -1 nogil
# The section of what has been added.
cdef bytes finish_slice(Packing* p, uint64_t slice_id, const uint8_t* cluster, uint32_t cluster_len)
cdef void free_slice(Packing* p) noexcept nogil


# An EndpointSlice that was not made an object: its decoder adds it to the packing by itself.
cdef class EncodedSlice:
    cdef readonly object metadata       # as in objects.py

    # start_slice, and all that follows up to finish_slice. Endpoints that are not ready are left out.
    cdef int feed(self, Packing* p, bint pod_names, bint zonal) except -1

# The same of an EndpointSlice of objects.py.
cdef int feed_object(Packing* p, obj, bint pod_names, bint zonal) except -1
