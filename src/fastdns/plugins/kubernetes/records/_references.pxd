"""The records of addresses: which services and pods have an address. See _layout.pxd, kinds C, A, P and E.

A reference is the hash of a service's key; of a pod, the label of its namespace and the hash of its name.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastdns.memory._store cimport Writer

# Add a reference to the record of an address, or take it away; a record without references is removed.
cdef int set_reference(Writer writer, int source, int kind, const uint8_t* address, uint32_t address_len,
                       const uint8_t* reference, uint32_t reference_len, bint present) except -1

# Add or remove the references of one Service: those of one kind from what its head has, as head_addresses and
# exposed_addresses give it, and those from the endpoints of the slice that was old and is new (None: there is
# none). record: what is published now, or NULL.
cdef int refer_to_head(Writer writer, int source, int kind, uint64_t reference, set before, set after) except -1
cdef int refer_to_slice(Writer writer, int source, uint64_t reference, bytes old, bytes new,
                        const uint8_t* record, uint32_t record_len) except -1

# Add the references of a whole service record, which does not lie in the store.
cdef int refer_to_record(Writer writer, int source, uint64_t reference, const uint8_t* record,
                         uint32_t record_len) except -1

# Make all references agree with the services in the store and with pods: a dict from addresses to the references
# that their P records must have. Descriptions of other pods are removed. Returns how many were.
cdef int mend_references(Writer writer, int source, dict pods) except -1
