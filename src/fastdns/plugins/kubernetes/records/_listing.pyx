"""Listings: what a complete one lacks goes, now or as the guard says. Looks at the store, and keeps no objects."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastdns.memory._store cimport SOURCE_BYTES, Record, next_record, record_key, record_payload
from fastdns.plugins.kubernetes.records._cluster cimport ClusterRecords
from fastdns.plugins.kubernetes.records._layout cimport (
    HASH_BYTES, KEY_HEAD_BYTES, KIND_IMPORT, KIND_NAMESPACE, KIND_POD, KIND_SERVICE, TYPE_SLICES_ONLY,
    SectionView, SectionWalk, ServiceHead, kind_in, next_section, reference_bytes, walk_sections,
)
from fastdns.errors import StoreFull
from fastdns.plugins.kubernetes.sink import Resource


cdef class Listings:
    """The listings of one cluster. needed: the resources that make it synced; guard: see guard.py, or None.

    What is seen of a resource is named as its records name it: services, imports and namespaces by their keys,
    slices by their ids, pods by (namespace, name).
    """

    def __init__(self, ClusterRecords records not None, needed, guard):
        self.records = records
        self.listing = {}
        self.held = {}
        self.unsynced = set(needed)
        self.guard = guard

    cdef int begin(self, object resource) except -1:
        """A full listing of resource begins."""
        self.listing[resource] = set()
        return 0

    cdef int saw(self, object resource, object what) except -1:
        """An object is there: in a listing, or by an event."""
        seen = self.listing.get(resource)
        if seen is not None:
            (<set>seen).add(what)
        seen = self.held.get(resource)
        if seen is not None:
            (<set>seen).add(what)
        return 0

    cdef int end(self, object resource) except -1:
        """The listing is complete: what was not in it is gone, if the guard agrees, and the resource is synced."""
        seen = self.listing.pop(resource, None)
        if seen is not None:
            self.compare(resource, seen)
        self.unsynced.discard(resource)
        self.mend_if_due()
        if not self.unsynced:
            self.records.writer.set_source(self.records.source, synced=True)
            self.records.writer.set_source(self.records.source + 1, synced=True)
        self.records.writer.reclaim(at_once=False)
        return 0

    cdef bint settle(self) except -1:
        """Follow the listings that the guard has held for long enough. Returns whether to list anew, to be sure."""
        if self.guard is None or not self.held:
            return False
        for resource in self.guard.over():
            self.follow(resource)
        return self.guard.asks()

    cdef int distrust(self) except -1:
        """What is known came from another cluster: the next listings are followed, whatever they lack."""
        if self.guard is not None:
            self.guard.stand_down(self.unsynced)
            for resource in list(self.held):
                self.follow(resource)
        return 0

    cdef int compare(self, object resource, set seen) except -1:
        """A complete listing had what was seen: the rest goes, now or as the guard says."""
        gone = self.missing(resource, seen)
        self.held.pop(resource, None)
        if self.guard is not None:
            weighed = 0, 0, 0
            if gone or (resource == Resource.POD and self.records.doubtful):
                weighed = self.weigh(resource, gone, seen)
            if self.guard.holds(resource, *weighed):
                self.held[resource] = seen
                return 0
        self.sweep(resource, gone, seen)
        return 0

    cdef int follow(self, object resource) except -1:
        """Remove what was held."""
        seen = self.held.pop(resource, None)
        if seen is not None:
            self.sweep(resource, self.missing(resource, seen), seen)
            self.mend_if_due()
            self.records.writer.reclaim(at_once=False)
        return 0

    cdef int mend_if_due(self) except -1:
        if self.records.doubtful and not self.unsynced and not self.listing and not self.held:
            try:
                self.records.mend()
            except StoreFull as error:
                self.records.note_full(error)
        return 0

    # ------------------------------------------------------------------------------------- what a listing lacks

    cdef list missing(self, object resource, set seen):
        """What a complete listing did not have. Looks at the store, so also at a predecessor's work.

        Names of pods; else (key, slice id), the id None where it is not about slices.
        """
        cdef const Record* record
        cdef const uint8_t* key
        cdef SectionWalk walk
        cdef SectionView v
        cdef uint64_t position = 0
        cdef int kind
        gone = []
        if resource == Resource.POD:
            return [who for who in self.records.pods if who not in seen]
        if resource == Resource.NAMESPACE:
            kind = KIND_NAMESPACE
        elif resource == Resource.IMPORT or resource == Resource.IMPORT_SLICE:
            kind = KIND_IMPORT
        else:
            kind = KIND_SERVICE
        slices = resource == Resource.SLICE or resource == Resource.IMPORT_SLICE
        while True:
            record = next_record(self.records.writer.h, &position)
            if record == NULL:
                break
            if kind_in(record, self.records.source) != kind:
                continue
            key = record_key(record)
            name = key[:record.key_len]
            if not slices:
                if name not in seen and (kind == KIND_NAMESPACE
                                         or record_payload(record)[0] != TYPE_SLICES_ONLY):
                    gone.append((name, None))
                continue
            walk_sections(record_payload(record), record.payload_len, &walk)
            while next_section(&walk, &v):
                # In the listing, but of another service: a predecessor saw it before it moved.
                if v.s.slice_id not in seen or self.records.slices.get(v.s.slice_id) != name:
                    gone.append((name, v.s.slice_id))
        return gone

    cdef tuple weigh(self, object resource, list gone, set seen):
        """How much a listing would remove: (removed, of how many, services in the store).

        Of a listing of namespaces, the services in them; else objects of the resource.
        """
        cdef const Record* record
        cdef const uint8_t* key
        cdef const ServiceHead* head
        cdef uint64_t position = 0
        cdef uint32_t at
        cdef uint8_t kind
        cdef uint64_t services = 0, imports = 0, slices = 0, import_slices = 0, pods = 0, exposed = 0, removed = 0
        names = {name for name, _ in gone} if resource == Resource.NAMESPACE else set()
        while True:
            record = next_record(self.records.writer.h, &position)
            if record == NULL:
                break
            key = record_key(record)
            kind = kind_in(record, self.records.source)
            if kind == KIND_SERVICE:
                head = <const ServiceHead*>record_payload(record)
                slices += head.section_count
                if head.svc_type != TYPE_SLICES_ONLY:
                    services += 1
                    if resource == Resource.NAMESPACE:
                        key += KEY_HEAD_BYTES
                        name = self.records.key(KIND_NAMESPACE, key[1 + key[0]:record.key_len - KEY_HEAD_BYTES])
                        exposed += self.records.writer.store.get(name) is not None
                        removed += name in names
            elif kind == KIND_IMPORT:
                head = <const ServiceHead*>record_payload(record)
                import_slices += head.section_count
                imports += head.svc_type != TYPE_SLICES_ONLY
            elif kind == KIND_POD:
                at = 0
                while at < record.payload_len:
                    at += reference_bytes(kind, record_payload(record) + at, record.payload_len - at) or HASH_BYTES
                    pods += 1
        if resource == Resource.NAMESPACE:
            return removed, exposed, services
        if resource == Resource.POD:
            # A predecessor's, too, of which there is nothing but references.
            kept = sum([who in self.records.pods for who in seen])
            return pods - min(pods, kept), pods, services
        of = {Resource.SERVICE: services, Resource.SLICE: slices, Resource.IMPORT: imports,
              Resource.IMPORT_SLICE: import_slices}[resource]
        return len(gone), of, services

    cdef int sweep(self, object resource, list gone, set seen) except -1:
        """Remove what is missing from a listing."""
        cdef int kind = KIND_IMPORT if resource == Resource.IMPORT_SLICE else KIND_SERVICE
        slices = resource == Resource.SLICE or resource == Resource.IMPORT_SLICE
        for one in gone:
            try:
                if resource == Resource.POD:
                    self.records.set_pod(one, None, None)
                elif resource == Resource.NAMESPACE:
                    self.records.set_namespace(one[0], False)
                elif slices:
                    self.records.set_section(one[0], one[1], None)
                else:
                    self.records.set_head(one[0], None)
            except StoreFull as error:
                # A smaller record needs room as well; the next listing tries again.
                self.records.note_full(error)
        if slices:
            for slice_id in [one for one in self.records.slices if one not in seen]:
                if self.records.slices[slice_id][SOURCE_BYTES] == kind:
                    del self.records.slices[slice_id]
        return 0
