"""What the store holds of one cluster, and the ways to change it. Nothing here knows of objects or listings."""

from libc.stdint cimport uint64_t

from fastdns.memory._store cimport Writer


cdef class ClusterRecords:
    cdef readonly Writer writer
    cdef readonly int source
    cdef object clock
    cdef dict slices            # slice id -> service key; what no record says: which service a slice was in
    cdef dict pods              # (ns, name) -> its address
    cdef uint64_t changes       # times that a record of a Service, a namespace or a pod has changed
    cdef bint full
    cdef bint doubtful          # references may disagree with what they refer to

    cdef int note_full(self, error) except -1
    cdef bint has_records(self) noexcept
    cdef int remove_all(self) except -1

    cdef bytes key(self, int kind, bytes rest)
    cdef bytes service_key(self, int kind, str namespace, str name)
    cdef uint64_t id_of(self, bytes text) noexcept
    cdef int changed(self, int multicluster) except -1

    cdef int set_head(self, bytes key, bytes head) except -1
    cdef int set_section(self, bytes key, uint64_t slice_id, bytes section) except -1
    cdef int publish(self, bytes key, bytes old, bytes head, list sections, bytes old_section,
                     bytes new_section) except -1
    cdef int move_slice(self, object slice_id, bytes key) except -1
    cdef int drop_slice(self, object slice_id) except -1
    cdef int set_namespace(self, bytes key, bint present) except -1
    cdef int set_pod(self, tuple who, bytes address, bytes description) except -1
    cdef bytes pod_reference(self, tuple who)
    cdef int mend(self) except -1
