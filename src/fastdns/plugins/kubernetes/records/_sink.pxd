"""The one writer of a cluster's records, for what writes them from elsewhere than objects: see snapshot/_records.pyx."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastdns._store cimport Writer
from fastdns.plugins.kubernetes.records._slices cimport Packing


cdef class ClusterWriter:
    cdef readonly Writer writer
    cdef readonly int source
    cdef bint endpoint_pod_names
    cdef bint zonal
    cdef dict slices            # slice id -> service key; what no record says: which service a slice was in
    cdef dict pods              # (ns, name) -> its address and the label of ns, as in the key of its P record
    cdef dict listing           # resource -> what was seen since begin
    cdef dict held              # resource -> what its last listing had and later events brought; see guard
    cdef set unsynced
    cdef object guard
    cdef object on_latency
    cdef object on_left_out
    cdef set said               # of what it was said that something of it is left out
    cdef object clock
    cdef bint full
    cdef bint doubtful          # references may disagree with what they refer to
    cdef Packing packing

    cdef int is_full(self, error) except -1
    cdef bint has_records(self) noexcept
    cdef bytes key(self, int kind, bytes rest)
    cdef bytes service_key(self, int kind, str namespace, str name)
    cdef object slice_id(self, object resource, str namespace, str name)
    cdef int left_out(self, object resource, object meta, str what, str why) except -1
    cdef int say_ports(self, object resource, object meta) except -1
    cdef int say_slice(self, object resource, object meta) except -1
    cdef list cluster_addresses(self, object resource, object meta, list addresses)
    cdef void saw(self, object resource, object what)
    cdef int changed(self, int multicluster) except -1
    cdef int set_head(self, bytes key, bytes head) except -1
    cdef int publish(self, bytes key, bytes old, bytes head, list sections, bytes old_section,
                     bytes new_section) except -1
    cdef int edit_references(self, int kind, const uint8_t* where, uint32_t where_len, uint64_t reference,
                             bint present) except -1
    cdef int upsert_service(self, obj) except -1
    cdef int upsert_import(self, obj) except -1
    cdef int upsert_slice(self, obj, int kind) except -1
    cdef bytes make_section(self, object slice_id, obj, str cluster)
    cdef int set_section(self, bytes key, object slice_id, bytes section) except -1
    cdef int drop_slice(self, object slice_id) except -1
    cdef int observe_latency(self, bytes key, meta) except -1
    cdef int upsert_namespace(self, obj) except -1
    cdef int upsert_pod(self, obj) except -1
    cdef int set_pod(self, tuple who, bytes place) except -1
    cdef uint64_t pod_reference(self, tuple who) except? 0
    cdef int compare(self, object resource, set seen) except -1
    cdef int follow(self, object resource) except -1
    cdef int mend_if_due(self) except -1
    cdef list missing(self, object resource, set seen)
    cdef tuple weigh(self, object resource, list gone, set seen)
    cdef int sweep(self, object resource, list gone, set seen) except -1
    cdef int remove_all(self) except -1
    cdef int mend(self) except -1
    cdef bint refers(self, int kind, const uint8_t* address, uint32_t size, uint64_t reference) noexcept
