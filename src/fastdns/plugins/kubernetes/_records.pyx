"""The one writer of a cluster's records: objects in, what changed out to the store. See _layout.pxd."""

import logging
import os
import time

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy

from fastdns._store cimport (
    Record, SourceState, Writer, find, hash_bytes, next_record, record_key, record_payload, source_state,
)
from fastdns.plugins.kubernetes._layout cimport (
    KIND_CLUSTER_IP, KIND_ENDPOINT_IP, KIND_IMPORT, KIND_NAMESPACE, KIND_POD, KIND_SERVICE, NAME_FROM_ADDRESS,
    NO_ZONE, TYPE_CLUSTER_IP, TYPE_EXTERNAL_NAME, TYPE_HEADLESS, TYPE_SLICES_ONLY, Section, ServiceHead, name_tag,
    section_addresses,
)
from fastdns.plugins.kubernetes._packing cimport (
    Packing, as_section, changed_addresses, dashed_name, endpoints_have, finish_section, head_addresses, head_has,
    into_blob, join_record, lowered, make_room, pack_head, split_sections,
)
from fastdns.errors import SourceError, StoreFull
from fastdns.plugins.kubernetes._packing import address_bytes, label, seconds_since, wire_name
from fastdns.sources.base import Resource

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char* src, void* dst)
    enum:
        AF_INET
        AF_INET6

log = logging.getLogger("plugin/kubernetes")

cdef bytes EMPTY_HEAD = pack_head(0, [], [], [], b"")
cdef dict SERVICE_TYPES = {"ClusterIP": 1, "NodePort": 1, "LoadBalancer": 1, "ExternalName": 3, "": 1}
SLICE_SERVICE_LABEL = "kubernetes.io/service-name"
IMPORT_SERVICE_LABEL = "multicluster.kubernetes.io/service-name"
IMPORT_CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


cdef class ClusterWriter:
    """The sink of one cluster: turns objects into records of its source, and nothing that is the same again.

    source: 0 to 62; multicluster objects count their serial on source + 1. needed: the resources that make
    the cluster synced. on_latency(kind, seconds) gets the DNS programming latency of a slice's change: from the
    time in its annotation (what triggered the change) to now, where the annotation is there and one Service
    matches; kind is cluster_ip or headless_with_selector. guard: decides whether a listing that lacks much of what
    is known is followed at once (see guard.py); None: always.

    A StoreFull is logged once until it is over; what was published before goes on being served. It, and the
    death of a predecessor in the midst of a change, may leave references (C, A and P records) that disagree
    with the services and pods: they are mended at the end of the next listing of a synced cluster.
    """

    def __init__(self, Writer writer not None, int source, needed, *, bint endpoint_pod_names=False,
                 bint zonal=False, on_latency=None, guard=None, clock=time.time):
        cdef SourceState* state = source_state(writer.h, source)
        self.writer = writer
        self.source = source
        self.endpoint_pod_names = endpoint_pod_names
        self.zonal = zonal
        self.slices = {}
        self.pods = {}
        self.listing = {}
        self.held = {}
        self.unsynced = set(needed)
        self.guard = guard
        self.on_latency = on_latency
        self.clock = clock
        self.full = False
        self.doubtful = self.has_records()
        if state.id_seed == 0:
            state.id_seed = int.from_bytes(os.urandom(8), "little") | 1

    def __dealloc__(self):
        free(self.packing.addresses)
        free(self.packing.tags)
        free(self.packing.names)
        free(self.packing.zones)
        free(self.packing.blob)

    # ------------------------------------------------------------------------------------ the sink's calls

    def begin(self, resource):
        """A full listing of resource begins."""
        self.listing[resource] = set()

    def end(self, resource):
        """The listing is complete: what was not in it is gone, if the guard agrees, and the resource is synced."""
        seen = self.listing.pop(resource, None)
        if seen is not None:
            self.compare(resource, seen)
        self.unsynced.discard(resource)
        self.mend_if_due()
        if not self.unsynced:
            self.writer.set_source(self.source, synced=True)
            self.writer.set_source(self.source + 1, synced=True)
        self.writer.reclaim()

    def settle(self):
        """Follow the listings that the guard has held for long enough. Returns whether to list anew, to be sure."""
        if self.guard is None or not self.held:
            return False
        for resource in self.guard.over():
            self.follow(resource)
        return self.guard.asks()

    def distrust(self):
        """What is known came from another cluster: the next listings are followed, whatever they lack."""
        if self.guard is not None:
            self.guard.stand_down(self.unsynced)
            for resource in list(self.held):
                self.follow(resource)

    cdef int is_full(self, error) except -1:
        if not self.full:
            log.error("%s", error)
        self.full = True
        self.doubtful = True
        return 0

    @property
    def id_seed(self):
        """The seed of the hashes by which records name slices and pods."""
        return source_state(self.writer.h, self.source).id_seed

    @property
    def synced(self):
        """Whether every needed resource has been listed once."""
        return not self.unsynced

    def upsert(self, resource, obj):
        """An object is as given. What cannot be served is logged and left out."""
        try:
            if resource == Resource.SLICE:
                self.upsert_slice(obj, KIND_SERVICE)
            elif resource == Resource.SERVICE:
                self.upsert_service(obj)
            elif resource == Resource.NAMESPACE:
                self.upsert_namespace(obj)
            elif resource == Resource.POD:
                self.upsert_pod(obj)
            elif resource == Resource.IMPORT:
                self.upsert_import(obj)
            elif resource == Resource.IMPORT_SLICE:
                self.upsert_slice(obj, KIND_IMPORT)
            self.full = False
        except StoreFull as error:
            self.is_full(error)
        except SourceError as error:
            log.warning("%s %s/%s is not served: %s", resource.name.lower(), obj.metadata.namespace,
                        obj.metadata.name, error)

    def delete(self, resource, obj):
        """An object is gone."""
        meta = obj.metadata
        try:
            if resource == Resource.SLICE or resource == Resource.IMPORT_SLICE:
                slice_id = self.slice_id(resource, meta.namespace, meta.name)
                key = self.slices.get(slice_id)
                self.drop_slice(slice_id)
                if key is not None and resource == Resource.SLICE:
                    self.observe_latency(key, meta)
            elif resource == Resource.SERVICE:
                self.set_head(self.service_key(KIND_SERVICE, meta.namespace, meta.name), EMPTY_HEAD)
            elif resource == Resource.IMPORT:
                self.set_head(self.service_key(KIND_IMPORT, meta.namespace, meta.name), EMPTY_HEAD)
            elif resource == Resource.NAMESPACE:
                if self.writer.remove(self.key(KIND_NAMESPACE, label(meta.name))):
                    self.changed(0)
            elif resource == Resource.POD:
                self.set_pod((meta.namespace, meta.name), None)
        except StoreFull as error:
            self.is_full(error)
        except SourceError:
            # What could not be served has left nothing.
            pass

    def flush(self):
        """Call after a batch of changes: gives memory that no reader sees any more back to the store."""
        self.writer.reclaim()

    cdef bint has_records(self) noexcept:
        cdef const Record* record
        cdef uint64_t position = 0
        while True:
            record = next_record(self.writer.h, &position)
            if record == NULL:
                return False
            if record.key_len and record_key(record)[0] == self.source:
                return True

    # ------------------------------------------------------------------------------------------------ keys

    cdef bytes key(self, int kind, bytes rest):
        return bytes((self.source, kind)) + rest

    cdef bytes service_key(self, int kind, str namespace, str name):
        return self.key(kind, label(name) + label(namespace))

    cdef object slice_id(self, object resource, str namespace, str name):
        cdef bytes text = f"{int(resource)}/{namespace}/{name}".encode()
        return hash_bytes(source_state(self.writer.h, self.source).id_seed, text, len(text))

    cdef void saw(self, object resource, object what):
        seen = self.listing.get(resource)
        if seen is not None:
            seen.add(what)
        seen = self.held.get(resource)
        if seen is not None:
            seen.add(what)

    cdef int changed(self, int multicluster) except -1:
        self.writer.set_source(self.source + multicluster, soa_serial=int(self.clock()))
        return 0

    # --------------------------------------------------------------------------------------------- services

    cdef int set_head(self, bytes key, bytes head) except -1:
        cdef bytes old = self.writer.store.get(key)
        return self.publish(key, old, head, split_sections(old) if old is not None else [], None, None)

    cdef int publish(self, bytes key, bytes old, bytes head, list sections, bytes old_section,
                     bytes new_section) except -1:
        """Publish a service record, and the references that differ from what old said.

        old_section became new_section: either may be None, and both are where no slice changed.
        """
        cdef bytes payload
        cdef const ServiceHead* published = NULL
        cdef const uint8_t* at
        cdef uint64_t reference
        cdef bint imported = key[1] == KIND_IMPORT
        if not sections and head == EMPTY_HEAD:
            if old is None:
                return 0
            self.writer.remove(key)
        else:
            payload = join_record(head, sections)
            if payload == old:
                return 0
            self.writer.publish(key, payload)
            published = <const ServiceHead*><const uint8_t*>payload
        self.changed(1 if imported else 0)
        if imported:
            # Imports have no reverse names.
            return 0
        reference = hash_bytes(self.writer.h.seed, key, len(key))
        if old_section is None and new_section is None:
            before = head_addresses(old) if old is not None else set()
            after = head_addresses(head)
            for address in before - after:
                self.edit_references(KIND_CLUSTER_IP, <bytes>address, len(address), reference, False)
            for address in after - before:
                self.edit_references(KIND_CLUSTER_IP, <bytes>address, len(address), reference, True)
            return 0
        removed, added = changed_addresses(old_section, new_section)
        for address in removed:
            # Another slice may still have it.
            at = <bytes>address
            if published == NULL or not endpoints_have(published, at, len(address)):
                self.edit_references(KIND_ENDPOINT_IP, at, len(address), reference, False)
        for address in added:
            self.edit_references(KIND_ENDPOINT_IP, <bytes>address, len(address), reference, True)
        return 0

    cdef int edit_references(self, int kind, const uint8_t* where, uint32_t where_len, uint64_t reference,
                             bint present) except -1:
        """Add a hash to, or take it from, a record that is a list of hashes; an empty list is no record.

        where: the rest of its key, an address and (in P records) a namespace's label.
        """
        cdef uint8_t key[2 + 16 + 64]
        cdef uint32_t key_len = 2 + where_len
        cdef const Record* record
        cdef const uint8_t* hashes = NULL
        cdef uint32_t i, count = 0
        cdef bytes made
        cdef uint8_t* out
        key[0] = self.source
        key[1] = kind
        memcpy(key + 2, where, where_len)
        record = find(self.writer.h, hash_bytes(self.writer.h.seed, key, key_len), key, key_len)
        if record != NULL:
            hashes = record_payload(record)
            count = record.payload_len // 8
        i = 0
        while i < count and memcmp(hashes + 8 * i, &reference, 8) != 0:
            i += 1
        if present == (i < count):
            return 0
        if not present and count == 1:
            self.writer.drop(key, key_len)
            return 0
        made = PyBytes_FromStringAndSize(NULL, 8 * (count + 1 if present else count - 1))
        out = <uint8_t*><const uint8_t*>made
        if i:
            memcpy(out, hashes, 8 * i)
        if present:
            memcpy(out + 8 * i, &reference, 8)
        else:
            memcpy(out + 8 * i, hashes + 8 * i + 8, 8 * (count - i - 1))
        self.writer.put(key, key_len, out, len(made))
        return 0

    cdef int upsert_service(self, obj) except -1:
        spec = obj.spec
        key = self.service_key(KIND_SERVICE, obj.metadata.namespace, obj.metadata.name)
        self.saw(Resource.SERVICE, key)
        svc_type = SERVICE_TYPES.get(spec.type or "", 1)
        addresses = list(spec.clusterIPs or ()) or [spec.clusterIP or ""]
        external = b""
        if svc_type == TYPE_EXTERNAL_NAME:
            addresses = []
            name = spec.externalName or ""
            # A target that is an address makes no name at all.
            external = b"" if address_bytes(name) is not None else wire_name(name) or b""
        elif addresses[0] == "None":
            svc_type = TYPE_HEADLESS
            addresses = []
        packed = [a for a in map(address_bytes, addresses) if a is not None]
        ports = [(p.port, p.protocol or "", p.name or "") for p in spec.ports or ()] or [(None, "", "")]
        self.set_head(key, pack_head(svc_type, [a for a in packed if len(a) == 4],
                                     [a for a in packed if len(a) == 16], ports, external))
        return 0

    cdef int upsert_import(self, obj) except -1:
        spec = obj.spec
        key = self.service_key(KIND_IMPORT, obj.metadata.namespace, obj.metadata.name)
        self.saw(Resource.IMPORT, key)
        packed = [a for a in map(address_bytes, spec.ips or ()) if a is not None]
        ports = [(p.port, p.protocol or "", p.name or "") for p in spec.ports or ()]
        svc_type = TYPE_HEADLESS if spec.type == "Headless" else TYPE_CLUSTER_IP
        self.set_head(key, pack_head(svc_type, [a for a in packed if len(a) == 4],
                                     [a for a in packed if len(a) == 16], ports, b""))
        return 0

    # ----------------------------------------------------------------------------------------------- slices

    cdef int upsert_slice(self, obj, int kind) except -1:
        meta = obj.metadata
        resource = Resource.SLICE if kind == KIND_SERVICE else Resource.IMPORT_SLICE
        slice_id = self.slice_id(resource, meta.namespace, meta.name)
        labels = meta.labels or {}
        service = labels.get(SLICE_SERVICE_LABEL if kind == KIND_SERVICE else IMPORT_SERVICE_LABEL)
        self.saw(resource, slice_id)
        if not service:
            self.drop_slice(slice_id)
            return 0
        key = self.service_key(kind, meta.namespace, service)
        previous = self.slices.get(slice_id)
        if previous is not None and previous != key:
            self.drop_slice(slice_id)
        self.slices[slice_id] = key
        cluster = labels.get(IMPORT_CLUSTER_LABEL, "") if kind == KIND_IMPORT else ""
        # As the value of a label in Kubernetes. Whoever reads it has room for 63 bytes.
        if not (cluster.isascii() and len(cluster) <= 63):
            raise SourceError(f"the cluster id {cluster!r} is not a DNS label")
        section = self.make_section(slice_id, obj, cluster)
        self.set_section(key, slice_id, section)
        if kind == KIND_SERVICE:
            self.observe_latency(key, meta)
        return 0

    cdef bytes make_section(self, object slice_id, obj, str cluster):
        """The section of a slice: its ready endpoints of its own family."""
        cdef Packing* p = &self.packing
        cdef uint32_t address_len = 16 if obj.addressType == "IPv6" else 4
        cdef int family = AF_INET6 if address_len == 16 else AF_INET
        cdef const char* text
        cdef const char* name_text
        cdef Py_ssize_t name_len
        cdef uint8_t address[16]
        cdef uint8_t derived[64]
        cdef uint8_t plain[64]
        cdef uint32_t size
        cdef uint16_t zone_offset
        zone_at = {}
        p.count = 0
        p.blob_len = 0
        for endpoint in obj.endpoints or ():
            conditions = endpoint.conditions
            if conditions is not None and conditions.ready is False:
                continue
            name = endpoint.hostname or None
            if name is None and self.endpoint_pod_names and endpoint.targetRef is not None:
                name = endpoint.targetRef.name or None
            name_len = 0
            name_text = NULL
            if name is not None:
                name_text = PyUnicode_AsUTF8AndSize(name, &name_len)
                if name_len > 63:
                    name_len = 0
            zone_offset = NO_ZONE
            if self.zonal and endpoint.zone is not None:
                zone = endpoint.zone.lower()
                if zone not in zone_at:
                    raw = zone.encode()[:255]
                    zone_at[zone] = into_blob(p, <const uint8_t*><bytes>raw, len(raw))
                zone_offset = zone_at[zone]
            for spelled in endpoint.addresses or ():
                text = PyUnicode_AsUTF8AndSize(spelled, NULL)
                if inet_pton(family, text, address) != 1 or (
                        address_len == 16 and memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0):
                    continue
                make_room(p, p.count + 1, 0)
                size = dashed_name(address, address_len, derived)
                if name_len and (<uint32_t>name_len != size or memcmp(name_text, derived, size) != 0):
                    p.names[p.count] = into_blob(p, <const uint8_t*>name_text, name_len)
                    size = lowered(<const uint8_t*>name_text, name_len, plain)
                    p.tags[p.count] = name_tag(plain, size)
                else:
                    p.names[p.count] = NAME_FROM_ADDRESS
                    p.tags[p.count] = name_tag(derived, size)
                memcpy(p.addresses + p.count * address_len, address, address_len)
                p.zones[p.count] = zone_offset
                p.count += 1
        ports = [(one.port, one.protocol or "", one.name or "") for one in obj.ports or ()] or [(None, "", "")]
        return finish_section(p, slice_id, ports, cluster.encode(), address_len, self.zonal)

    cdef int set_section(self, bytes key, object slice_id, bytes section) except -1:
        """Put, replace or (section None) drop one slice of a service record."""
        cdef bytes old = self.writer.store.get(key)
        cdef bytes head = EMPTY_HEAD
        cdef bytes old_section = None
        cdef uint64_t number = slice_id
        sections = []
        if old is not None:
            head = old[:(<const ServiceHead*><const uint8_t*>old).sections_at]
            head = head[:1] + b"\0" + head[2:6] + b"\0\0" + head[8:]
            for one in split_sections(old):
                if as_section(<bytes>one).slice_id != number:
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

    cdef int drop_slice(self, object slice_id) except -1:
        key = self.slices.get(slice_id)
        if key is not None:
            self.set_section(key, slice_id, None)
            del self.slices[slice_id]
        return 0

    cdef int observe_latency(self, bytes key, meta) except -1:
        cdef const Record* record
        if self.on_latency is None or not meta.annotations:
            return 0
        stamp = meta.annotations.get(TRIGGER_TIME)
        if not stamp:
            return 0
        record = find(self.writer.h, hash_bytes(self.writer.h.seed, key, len(key)), key, len(key))
        if record == NULL or (<const ServiceHead*>record_payload(record)).svc_type == TYPE_SLICES_ONLY:
            return 0
        seconds = seconds_since(stamp, self.clock())
        if seconds is None:
            log.warning("the programming latency of %s/%s is unknown: %s is %r, not an RFC 3339 time",
                        meta.namespace, meta.name, TRIGGER_TIME, stamp)
            return 0
        headless = (<const ServiceHead*>record_payload(record)).svc_type == TYPE_HEADLESS
        self.on_latency("headless_with_selector" if headless else "cluster_ip", seconds)
        return 0

    # ------------------------------------------------------------------------------------ namespaces, pods

    cdef int upsert_namespace(self, obj) except -1:
        key = self.key(KIND_NAMESPACE, label(obj.metadata.name))
        self.saw(Resource.NAMESPACE, key)
        if self.writer.store.get(key) is None:
            self.writer.publish(key, b"")
            self.changed(0)
        return 0

    cdef int upsert_pod(self, obj) except -1:
        meta = obj.metadata
        who = (meta.namespace, meta.name)
        self.saw(Resource.POD, who)
        status = obj.status
        if meta.deletionTimestamp is not None:
            # What is known of a pod that is being deleted stays until it is gone; nothing new is learnt.
            return 0
        if status is not None and status.phase in ("Succeeded", "Failed", "Unknown"):
            self.set_pod(who, None)
            return 0
        address = address_bytes(status.podIP) if status is not None and status.podIP else None
        self.set_pod(who, None if address is None else address + label(meta.namespace))
        return 0

    cdef int set_pod(self, tuple who, bytes place) except -1:
        """place: its address and its namespace's label, or None where it has no address any more."""
        cdef uint64_t reference
        previous = self.pods.get(who)
        if previous == place:
            return 0
        reference = self.pod_reference(who)
        if place is not None:
            self.edit_references(KIND_POD, place, len(place), reference, True)
            self.pods[who] = place
        else:
            del self.pods[who]
        self.changed(0)
        if previous is not None:
            self.edit_references(KIND_POD, <bytes>previous, len(previous), reference, False)
        return 0

    cdef uint64_t pod_reference(self, tuple who) except? 0:
        cdef bytes name = who[1].encode()
        return hash_bytes(source_state(self.writer.h, self.source).id_seed, name, len(name))

    # ------------------------------------------------------------------------------------------------ sweep

    cdef int compare(self, object resource, set seen) except -1:
        """A complete listing had what was seen: the rest goes, now or as the guard says."""
        gone = self.missing(resource, seen)
        self.held.pop(resource, None)
        if self.guard is not None:
            weighed = 0, 0, 0
            if gone or (resource == Resource.POD and self.doubtful):
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
            self.writer.reclaim()
        return 0

    cdef int mend_if_due(self) except -1:
        if self.doubtful and not self.unsynced and not self.listing and not self.held:
            try:
                self.mend()
            except StoreFull as error:
                self.is_full(error)
        return 0

    cdef list missing(self, object resource, set seen):
        """What a complete listing did not have. Looks at the store, so also at a predecessor's work.

        Names of pods; else (key, slice id), the id None where it is not about slices.
        """
        cdef const Record* record
        cdef const uint8_t* key
        cdef const ServiceHead* head
        cdef const Section* section
        cdef const uint8_t* at
        cdef uint64_t position = 0
        cdef uint32_t _i
        cdef int kind
        gone = []
        if resource == Resource.POD:
            return [who for who in self.pods if who not in seen]
        if resource == Resource.NAMESPACE:
            kind = KIND_NAMESPACE
        elif resource == Resource.IMPORT or resource == Resource.IMPORT_SLICE:
            kind = KIND_IMPORT
        else:
            kind = KIND_SERVICE
        slices = resource == Resource.SLICE or resource == Resource.IMPORT_SLICE
        while True:
            record = next_record(self.writer.h, &position)
            if record == NULL:
                break
            key = record_key(record)
            if record.key_len < 2 or key[0] != self.source or key[1] != kind:
                continue
            name = key[:record.key_len]
            if not slices:
                if name not in seen and (kind == KIND_NAMESPACE
                                         or record_payload(record)[0] != TYPE_SLICES_ONLY):
                    gone.append((name, None))
                continue
            head = <const ServiceHead*>record_payload(record)
            at = <const uint8_t*>head + head.sections_at
            for _i in range(head.section_count):
                section = <const Section*>at
                at += section.total_len
                # In the listing, but of another service: a predecessor saw it before it moved.
                if section.slice_id not in seen or self.slices.get(section.slice_id) != name:
                    gone.append((name, section.slice_id))
        return gone

    cdef tuple weigh(self, object resource, list gone, set seen):
        """How much a listing would remove: (removed, of how many, services in the store).

        Of a listing of namespaces, the services in them; else objects of the resource.
        """
        cdef const Record* record
        cdef const uint8_t* key
        cdef const ServiceHead* head
        cdef uint64_t position = 0
        cdef uint64_t services = 0, imports = 0, slices = 0, import_slices = 0, pods = 0, exposed = 0, removed = 0
        names = {name for name, _ in gone} if resource == Resource.NAMESPACE else set()
        while True:
            record = next_record(self.writer.h, &position)
            if record == NULL:
                break
            key = record_key(record)
            if record.key_len < 2 or key[0] != self.source:
                continue
            if key[1] == KIND_SERVICE:
                head = <const ServiceHead*>record_payload(record)
                slices += head.section_count
                if head.svc_type != TYPE_SLICES_ONLY:
                    services += 1
                    if resource == Resource.NAMESPACE:
                        name = self.key(KIND_NAMESPACE, key[3 + key[2]:record.key_len])
                        exposed += self.writer.store.get(name) is not None
                        removed += name in names
            elif key[1] == KIND_IMPORT:
                head = <const ServiceHead*>record_payload(record)
                import_slices += head.section_count
                imports += head.svc_type != TYPE_SLICES_ONLY
            elif key[1] == KIND_POD:
                pods += record.payload_len // 8
        if resource == Resource.NAMESPACE:
            return removed, exposed, services
        if resource == Resource.POD:
            # A predecessor's, too, of which there is nothing but references.
            kept = len({(self.pods[who], who[1]) for who in seen if who in self.pods})
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
                    self.set_pod(one, None)
                elif resource == Resource.NAMESPACE:
                    self.writer.remove(one[0])
                    self.changed(0)
                elif slices:
                    self.set_section(one[0], one[1], None)
                else:
                    self.set_head(one[0], EMPTY_HEAD)
            except StoreFull as error:
                # A smaller record needs room as well; the next listing tries again.
                self.is_full(error)
        if slices:
            for slice_id in [one for one in self.slices if one not in seen]:
                if self.slices[slice_id][1] == kind:
                    del self.slices[slice_id]
        return 0

    cdef int remove_all(self) except -1:
        """Remove every record of the source. It must not have been listed."""
        for key, _ in self.writer.store.items(bytes((self.source,))):
            self.writer.remove(key)
        return 0

    cdef int mend(self) except -1:
        """Make the references agree with the services and pods, whatever a predecessor or a full store left."""
        cdef const Record* record
        cdef const Record* service
        cdef const uint8_t* key
        cdef const uint8_t* hashes
        cdef const uint8_t* at
        cdef const ServiceHead* head
        cdef const Section* section
        cdef uint64_t position = 0, reference
        cdef uint32_t i, size
        cdef bint holds
        expected = {}
        for who, place in self.pods.items():
            expected.setdefault(place, set()).add(self.pod_reference(who))
        stale = []
        missing = []
        while True:
            record = next_record(self.writer.h, &position)
            if record == NULL:
                break
            key = record_key(record)
            if record.key_len < 2 or key[0] != self.source:
                continue
            if key[1] == KIND_CLUSTER_IP or key[1] == KIND_ENDPOINT_IP or key[1] == KIND_POD:
                hashes = record_payload(record)
                size = record.key_len - 2
                for i in range(record.payload_len // 8):
                    memcpy(&reference, hashes + 8 * i, 8)
                    if key[1] == KIND_POD:
                        holds = reference in expected.get(key[2:record.key_len], ())
                    else:
                        service = find(self.writer.h, reference, NULL, 0)
                        holds = service != NULL and record_key(service)[0] == self.source \
                            and record_key(service)[1] == KIND_SERVICE
                        if holds:
                            head = <const ServiceHead*>record_payload(service)
                            if key[1] == KIND_CLUSTER_IP:
                                holds = head_has(head, key + 2, size)
                            else:
                                holds = endpoints_have(head, key + 2, size)
                    if not holds:
                        stale.append((key[1], key[2:record.key_len], reference))
            elif key[1] == KIND_SERVICE:
                reference = record.hash
                head = <const ServiceHead*>record_payload(record)
                at = <const uint8_t*>head + sizeof(ServiceHead)
                for i in range(<uint32_t>head.ip4_count + head.ip6_count):
                    size = 4 if i < head.ip4_count else 16
                    if not self.refers(KIND_CLUSTER_IP, at, size, reference):
                        missing.append((KIND_CLUSTER_IP, at[:size], reference))
                    at += size
                at = <const uint8_t*>head + head.sections_at
                for _ in range(head.section_count):
                    section = <const Section*>at
                    at += section.total_len
                    key = section_addresses(section)
                    for _ in range(section.count):
                        if not self.refers(KIND_ENDPOINT_IP, key, section.address_len, reference):
                            missing.append((KIND_ENDPOINT_IP, key[:section.address_len], reference))
                        key += section.address_len
        for where, references in expected.items():
            for one in references:
                missing.append((KIND_POD, where, one))
        for kind, where, one in stale:
            self.edit_references(kind, <bytes>where, len(where), one, False)
            self.changed(0)
        for kind, where, one in missing:
            self.edit_references(kind, <bytes>where, len(where), one, True)
        self.doubtful = False
        return 0

    cdef bint refers(self, int kind, const uint8_t* address, uint32_t size, uint64_t reference) noexcept:
        """Whether the record of an address has a hash."""
        cdef uint8_t key[2 + 16]
        cdef const Record* record
        cdef const uint8_t* hashes
        cdef uint32_t i
        key[0] = self.source
        key[1] = kind
        memcpy(key + 2, address, size)
        record = find(self.writer.h, hash_bytes(self.writer.h.seed, key, 2 + size), key, 2 + size)
        if record == NULL:
            return False
        hashes = record_payload(record)
        for i in range(record.payload_len // 8):
            if memcmp(hashes + 8 * i, &reference, 8) == 0:
                return True
        return False
