"""What the store holds of one cluster, and the ways to change it. See _layout.pxd for the records."""

import logging
import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport (
    SOURCE_BYTES, Record, SourceState, Writer, next_record, own_source_state, source_of, source_state,
)
from fastdns.plugins.kubernetes.records._layout cimport (
    HASH_BYTES, KEY_HEAD_BYTES, KIND_CLUSTER_IP, KIND_DESCRIBED, KIND_EXPOSED_IP, KIND_IMPORT, KIND_POD, Section,
    begin_key,
)
from fastdns.plugins.kubernetes.records._names cimport put_label
from fastdns.plugins.kubernetes.records._packing cimport (
    exposed_addresses, head_addresses, head_of, join_record, pack_head, split_sections,
)
from fastdns.plugins.kubernetes.records._references cimport (
    mend_references, refer_to_head, refer_to_slice, set_reference,
)

log = logging.getLogger("plugin/kubernetes")

# Of a service record where slices name a Service that is not there.
cdef bytes EMPTY_HEAD = pack_head(0, [], NULL, b"", b"")


cdef class ClusterRecords:
    """The records of one source: changes them, and nothing that is the same again.

    source: an even number below 65,536; multicluster objects count their serial on source + 1. clock: Unix seconds.

    A full store, and the death of a predecessor in the midst of a change, may leave references (C, A and P records)
    that disagree with the services and pods: then doubtful is set, and mend makes them agree.
    """

    def __init__(self, Writer writer not None, int source, clock):
        cdef SourceState* state = own_source_state(writer.h, source)
        self.writer = writer
        self.source = source
        self.clock = clock
        self.slices = {}
        self.pods = {}
        self.full = False
        self.doubtful = self.has_records()
        if state.id_seed == 0:
            state.id_seed = int.from_bytes(os.urandom(8), "little") | 1

    @property
    def id_seed(self):
        """The seed of the hashes by which records name slices and pods."""
        return source_state(self.writer.h, self.source).id_seed

    cdef int note_full(self, error) except -1:
        """The store is full: log it once until it is over."""
        if not self.full:
            log.error("%s", error)
        self.full = True
        self.doubtful = True
        return 0

    cdef bint has_records(self) noexcept:
        cdef const Record* record
        cdef uint64_t position = 0
        while True:
            record = next_record(self.writer.h, &position)
            if record == NULL:
                return False
            if source_of(record) == <uint32_t>self.source:
                return True

    cdef int remove_all(self) except -1:
        """Remove every record of the source. It must not have been listed."""
        self.writer.remove_source(self.source)
        return 0

    # ------------------------------------------------------------------------------------------------ keys

    cdef bytes key(self, int kind, bytes rest):
        return self.source.to_bytes(2, "big") + bytes((kind,)) + rest

    cdef bytes service_key(self, int kind, str namespace, str name):
        cdef uint8_t key[KEY_HEAD_BYTES + 64 + 64]
        cdef uint32_t size = KEY_HEAD_BYTES
        begin_key(key, self.source, <uint8_t>kind)
        size += put_label(name, key + size)
        size += put_label(namespace, key + size)
        return key[:size]

    cdef uint64_t id_of(self, bytes text) noexcept:
        """The hash by which records name a slice or a pod."""
        return hash_bytes(source_state(self.writer.h, self.source).id_seed, text, len(text))

    cdef int changed(self, int multicluster) except -1:
        self.changes += 1
        self.writer.set_source(self.source + multicluster, soa_serial=int(self.clock()))
        return 0

    # --------------------------------------------------------------------------------------------- services

    cdef int set_head(self, bytes key, bytes head) except -1:
        """Put or replace the head of a service record; None: its object is gone."""
        cdef bytes old = self.writer.store.get(key)
        return self.publish(key, old, EMPTY_HEAD if head is None else head,
                            split_sections(old) if old is not None else [], None, None)

    cdef int set_section(self, bytes key, uint64_t slice_id, bytes section) except -1:
        """Put, replace or (section None) drop one slice of a service record."""
        cdef bytes old = self.writer.store.get(key)
        cdef bytes head = EMPTY_HEAD
        cdef bytes old_section = None
        sections = []
        if old is not None:
            head = head_of(old)
            for one in split_sections(old):
                if (<const Section*><const uint8_t*><bytes>one).slice_id != slice_id:
                    sections.append(one)
                else:
                    old_section = one
                    if section is not None:
                        sections.append(section)
        if section is not None and old_section is None:
            sections.append(section)
        if section is None and old_section is None:
            return 0
        return self.publish(key, old, head, sections, old_section, section)

    cdef int publish(self, bytes key, bytes old, bytes head, list sections, bytes old_section,
                     bytes new_section) except -1:
        """Publish a service record, and the references that differ from what old said.

        old_section became new_section: either may be None, and both are where no slice changed.
        """
        cdef bytes payload = None
        cdef const uint8_t* published = NULL
        cdef uint32_t size = 0
        cdef uint64_t reference
        cdef bint imported = key[SOURCE_BYTES] == KIND_IMPORT
        if not sections and head == EMPTY_HEAD:
            if old is None:
                return 0
            self.writer.remove(key)
        else:
            payload = join_record(head, sections)
            if payload == old:
                return 0
            self.writer.publish(key, payload)
            published = payload
            size = <uint32_t>len(payload)
        self.changed(1 if imported else 0)
        if imported:
            # Imports have no reverse names.
            return 0
        reference = hash_bytes(self.writer.h.seed, key, len(key))
        if old_section is None and new_section is None:
            refer_to_head(self.writer, self.source, KIND_CLUSTER_IP, reference,
                          head_addresses(old) if old is not None else set(), head_addresses(head))
            return refer_to_head(self.writer, self.source, KIND_EXPOSED_IP, reference,
                                 exposed_addresses(old) if old is not None else set(), exposed_addresses(head))
        return refer_to_slice(self.writer, self.source, reference, old_section, new_section, published, size)

    cdef int move_slice(self, object slice_id, bytes key) except -1:
        """A slice is of this service from now on: it is dropped from another one that it was of."""
        previous = self.slices.get(slice_id)
        if previous is not None and previous != key:
            self.drop_slice(slice_id)
        self.slices[slice_id] = key
        return 0

    cdef int drop_slice(self, object slice_id) except -1:
        """A slice is of no service any more."""
        key = self.slices.get(slice_id)
        if key is not None:
            self.set_section(key, slice_id, None)
            del self.slices[slice_id]
        return 0

    # ------------------------------------------------------------------------------------ namespaces, pods

    cdef int set_namespace(self, bytes key, bint present) except -1:
        """A namespace, by the key of its record, exists or does not."""
        if not present:
            if self.writer.remove(key):
                self.changed(0)
        elif self.writer.store.get(key) is None:
            self.writer.publish(key, b"")
            self.changed(0)
        return 0

    cdef int set_pod(self, tuple who, bytes address, bytes description) except -1:
        """address: None where it has none any more. description: None where nothing of it is read."""
        cdef bytes reference
        previous = self.pods.get(who)
        if previous == address and description is None:
            return 0
        reference = self.pod_reference(who)
        if address is not None and description is not None:
            # What is said of an address has been said of its pod before.
            key = self.key(KIND_DESCRIBED, reference)
            if self.writer.store.get(key) != description:
                self.writer.publish(key, description)
        if previous == address:
            return 0
        if address is not None:
            set_reference(self.writer, self.source, KIND_POD, address, <uint32_t>len(address), reference,
                          <uint32_t>len(reference), True)
            self.pods[who] = address
        else:
            del self.pods[who]
        self.changed(0)
        if previous is not None:
            set_reference(self.writer, self.source, KIND_POD, <bytes>previous, <uint32_t>len(<bytes>previous),
                          reference, <uint32_t>len(reference), False)
        if address is None:
            self.writer.remove(self.key(KIND_DESCRIBED, reference))
        return 0

    cdef bytes pod_reference(self, tuple who):
        """What the records of addresses say of a pod."""
        cdef uint8_t label[64]
        cdef uint64_t name = self.id_of((<str>who[1]).encode())
        cdef uint32_t size = put_label(who[0], label)
        return label[:size] + (<const uint8_t*>&name)[:HASH_BYTES]

    cdef int mend(self) except -1:
        """Make the references agree with the services and pods, whatever a predecessor or a full store left."""
        expected = {}
        for who, address in self.pods.items():
            expected.setdefault(address, set()).add(self.pod_reference(who))
        if mend_references(self.writer, self.source, expected):
            self.changed(0)
        self.doubtful = False
        return 0
