"""The one writer of a cluster's records: objects in, what changed out to the store. See _layout.pxd."""

import logging
import os
import time

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns._store cimport (
    Record, SourceState, Writer, find, hash_bytes, next_record, record_key, record_payload, source_state,
)
from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, KIND_CLUSTER_IP, KIND_ENDPOINT_IP, KIND_IMPORT, KIND_NAMESPACE, KIND_POD, KIND_SERVICE,
    MAX_CLUSTER_IPS, TYPE_CLUSTER_IP, TYPE_EXTERNAL_NAME, TYPE_HEADLESS, TYPE_SLICES_ONLY, Section, SectionView,
    SectionWalk, ServiceHead, next_section, walk_sections,
)
from fastdns.plugins.kubernetes.records._packing cimport (
    changed_addresses, endpoints_have, head_addresses, head_has, head_of, join_record, pack_head, split_sections,
)
from fastdns.plugins.kubernetes.records._ports cimport PortTable, add_port, add_port_objects, start_ports
from fastdns.plugins.kubernetes.records._slices cimport (
    Packing, add_address, finish_slice, free_slice, is_label, start_endpoint, start_slice,
)
from fastdns.errors import SourceError, StoreFull
from fastdns.plugins.kubernetes.records._packing import address_bytes, label, seconds_since, wire_name
from fastdns.plugins.kubernetes.sink import Resource

log = logging.getLogger("plugin/kubernetes")

cdef enum:
    MAX_SAID = 1024             # objects of which it is remembered that something was left out

cdef bytes EMPTY_HEAD = pack_head(0, [], NULL, b"")
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
    matches; kind is cluster_ip or headless_with_selector. on_left_out(resource, what) gets each object of which
    something cannot be served: what is object, addresses, names, ports or zones. guard: decides whether a listing
    that lacks much of what is known is followed at once (see guard.py); None: always.

    A StoreFull is logged once until it is over; what was published before goes on being served. It, and the
    death of a predecessor in the midst of a change, may leave references (C, A and P records) that disagree
    with the services and pods: they are mended at the end of the next listing of a synced cluster.
    """

    def __init__(self, Writer writer not None, int source, needed, *, bint endpoint_pod_names=False,
                 bint zonal=False, on_latency=None, on_left_out=None, guard=None, clock=time.time):
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
        self.on_left_out = on_left_out
        self.said = set()
        self.clock = clock
        self.full = False
        self.doubtful = self.has_records()
        if state.id_seed == 0:
            state.id_seed = int.from_bytes(os.urandom(8), "little") | 1

    def __dealloc__(self):
        free_slice(&self.packing)

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
        except (SourceError, UnicodeError) as error:
            self.left_out(resource, obj.metadata, "object", f"not served: {error}")
            # What it was before is not what it is.
            self.delete(resource, obj)
        except (TypeError, ValueError, AttributeError) as error:
            # Whatever else is odd about one object is no reason to stop.
            self.left_out(resource, obj.metadata, "object", f"not served: {type(error).__name__}: {error}")

    cdef int left_out(self, object resource, object meta, str what, str why) except -1:
        """Something of an object is not served: counted, and said once for an object."""
        if self.on_left_out is not None:
            self.on_left_out(resource.name.lower(), what)
        one = (int(resource), meta.namespace, meta.name, what)
        if one in self.said or len(self.said) >= MAX_SAID:
            return 0
        self.said.add(one)
        log.warning("%s %s/%s: %s", resource.name.lower(), meta.namespace, meta.name, why)
        if len(self.said) == MAX_SAID:
            log.warning("%d objects have something that is not served: further ones are only counted", MAX_SAID)
        return 0

    cdef int say_ports(self, object resource, object meta) except -1:
        """What was left out of the ports that were packed."""
        cdef const PortTable* ports = &self.packing.ports
        if ports.left_out:
            self.left_out(resource, meta, "ports", f"{ports.left_out} ports are not served: numbers of 0 to 65535 "
                          "are, and of one object the first 20,000")
        elif ports.nameless:
            self.left_out(resource, meta, "names", f"{ports.nameless} names of ports and protocols are not served: "
                          "they have over 63 bytes")
        return 0

    cdef int say_slice(self, object resource, object meta) except -1:
        """What was left out of the slice that was packed."""
        cdef const Packing* p = &self.packing
        self.say_ports(resource, meta)
        if p.addresses_left_out:
            self.left_out(resource, meta, "addresses", f"{p.addresses_left_out} addresses are not served: they are "
                          "none of the slice's type, or beyond the first 100,000")
        if p.names_left_out:
            self.left_out(resource, meta, "names", f"{p.names_left_out} endpoints are named after their addresses: "
                          "their own names are no DNS labels, or all names take over 131,068 bytes")
        if p.zones_left_out:
            self.left_out(resource, meta, "zones", f"{p.zones_left_out} endpoints have no zone: its name is too "
                          "long, or all names take over 131,068 bytes")
        return 0

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
        except (SourceError, UnicodeError, TypeError, ValueError, AttributeError):
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
        cdef bytes payload = None
        cdef const uint8_t* published = NULL
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
            published = payload
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
            if published == NULL or not endpoints_have(published, len(payload), at, len(address)):
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
            if address_bytes(name) is None:
                external = wire_name(name) or b""
                if not external:
                    self.left_out(Resource.SERVICE, obj.metadata, "names",
                                  f"the external name {name[:80]!r} is not served: it is no domain name")
        elif addresses[0] == "None":
            svc_type = TYPE_HEADLESS
            addresses = []
        elif addresses == [""]:
            addresses = []
        start_ports(&self.packing.ports)
        add_port_objects(&self.packing.ports, spec.ports)
        if self.packing.ports.count == 0:
            # It stands in for no ports: addresses, but no SRV records.
            add_port(&self.packing.ports, -1, NULL, 0, NULL, 0)
        self.say_ports(Resource.SERVICE, obj.metadata)
        addresses = self.cluster_addresses(Resource.SERVICE, obj.metadata, addresses)
        self.set_head(key, pack_head(svc_type, addresses, &self.packing.ports, external))
        return 0

    cdef list cluster_addresses(self, object resource, object meta, list addresses):
        """The addresses of a Service or an import that are served: each once."""
        found = []
        left_out = 0
        counts = {4: 0, 16: 0}
        for one in dict.fromkeys(map(address_bytes, addresses)):
            if one is None or counts[len(one)] == MAX_CLUSTER_IPS:
                left_out += 1
                continue
            counts[len(one)] += 1
            found.append(one)
        if left_out:
            self.left_out(resource, meta, "addresses", f"{left_out} addresses are not served: they are none, or "
                          f"beyond the first {MAX_CLUSTER_IPS} of a family")
        return found

    cdef int upsert_import(self, obj) except -1:
        spec = obj.spec
        key = self.service_key(KIND_IMPORT, obj.metadata.namespace, obj.metadata.name)
        self.saw(Resource.IMPORT, key)
        start_ports(&self.packing.ports)
        add_port_objects(&self.packing.ports, spec.ports)
        self.say_ports(Resource.IMPORT, obj.metadata)
        svc_type = TYPE_HEADLESS if spec.type == "Headless" else TYPE_CLUSTER_IP
        addresses = self.cluster_addresses(Resource.IMPORT, obj.metadata, list(spec.ips or ()))
        self.set_head(key, pack_head(svc_type, addresses, &self.packing.ports, b""))
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
        if cluster and not is_label(cluster.encode(), len(cluster.encode())):
            raise SourceError(f"the cluster id {cluster[:80]!r} is not a DNS label")
        section = self.make_section(slice_id, obj, cluster)
        self.say_slice(resource, meta)
        self.set_section(key, slice_id, section)
        if kind == KIND_SERVICE:
            self.observe_latency(key, meta)
        return 0

    cdef bytes make_section(self, object slice_id, obj, str cluster):
        """The section of a slice: its ready endpoints of its own family."""
        cdef Packing* p = &self.packing
        cdef const char* text
        cdef const char* name_text
        cdef const char* zone_text
        cdef Py_ssize_t size, name_len, zone_len
        cdef bytes cluster_id = cluster.encode()
        text = PyUnicode_AsUTF8AndSize(obj.addressType, &size)
        start_slice(p, text, <uint32_t>size, self.zonal)
        for endpoint in obj.endpoints or ():
            conditions = endpoint.conditions
            if conditions is not None and conditions.ready is False:
                continue
            name = endpoint.hostname or None
            if name is None and self.endpoint_pod_names and endpoint.targetRef is not None:
                name = endpoint.targetRef.name or None
            name_text = NULL
            name_len = 0
            if name is not None:
                name_text = PyUnicode_AsUTF8AndSize(name, &name_len)
            zone_text = NULL
            zone_len = 0
            if self.zonal and endpoint.zone is not None:
                zone_text = PyUnicode_AsUTF8AndSize(endpoint.zone, &zone_len)
            start_endpoint(p, <const uint8_t*>name_text, <uint32_t>name_len, <const uint8_t*>zone_text,
                           <uint32_t>zone_len)
            for spelled in endpoint.addresses or ():
                text = PyUnicode_AsUTF8AndSize(spelled, &size)
                add_address(p, <const uint8_t*>text, <uint32_t>size)
        add_port_objects(&p.ports, obj.ports)
        return finish_slice(p, slice_id, cluster_id, <uint32_t>len(cluster_id))

    cdef int set_section(self, bytes key, object slice_id, bytes section) except -1:
        """Put, replace or (section None) drop one slice of a service record."""
        cdef bytes old = self.writer.store.get(key)
        cdef bytes head = EMPTY_HEAD
        cdef bytes old_section = None
        cdef uint64_t number = slice_id
        sections = []
        if old is not None:
            head = head_of(old)
            for one in split_sections(old):
                if (<const Section*><const uint8_t*><bytes>one).slice_id != number:
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
        cdef SectionWalk walk
        cdef SectionView v
        cdef uint64_t position = 0
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
            walk_sections(record_payload(record), record.payload_len, &walk)
            while next_section(&walk, &v):
                # In the listing, but of another service: a predecessor saw it before it moved.
                if v.s.slice_id not in seen or self.slices.get(v.s.slice_id) != name:
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
        cdef SectionWalk walk
        cdef SectionView v
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
                                holds = endpoints_have(record_payload(service), service.payload_len, key + 2, size)
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
                walk_sections(record_payload(record), record.payload_len, &walk)
                while next_section(&walk, &v):
                    if v.address_len == ADDRESS_IS_NAME:
                        continue
                    key = v.addresses
                    size = v.address_len
                    for i in range(v.count):
                        if (i == 0 or memcmp(key - size, key, size) != 0) \
                                and not self.refers(KIND_ENDPOINT_IP, key, size, reference):
                            missing.append((KIND_ENDPOINT_IP, key[:size], reference))
                        key += size
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
