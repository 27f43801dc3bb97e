"""The sink of a cluster: takes objects, and packs each into records. See sink.py and _layout.pxd."""

import logging
import time

from libc.stdint cimport uint32_t, uint64_t

from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport Record, Writer, find, record_payload
from fastdns.plugins.kubernetes.records._cluster cimport ClusterRecords
from fastdns.plugins.kubernetes.records._layout cimport (
    KIND_IMPORT, KIND_NAMESPACE, KIND_SERVICE, MAX_CLUSTER_IPS, MAX_EXPOSED_NAMES, TYPE_CLUSTER_IP,
    TYPE_EXTERNAL_NAME, TYPE_HEADLESS, TYPE_SLICES_ONLY, ServiceHead,
)
from fastdns.plugins.kubernetes.records._listing cimport Listings
from fastdns.plugins.kubernetes.records._names cimport is_label
from fastdns.plugins.kubernetes.records._packing cimport pack_exposed, pack_head
from fastdns.plugins.kubernetes.records._ports cimport PortTable, add_port, add_port_objects, start_ports
from fastdns.plugins.kubernetes.records._slices cimport (
    EncodedSlice, Packing, feed_object, finish_slice, free_slice,
)
from fastdns.errors import SourceError, StoreFull
from fastdns.plugins.kubernetes.records._names import address_bytes, label, wire_name
from fastdns.plugins.kubernetes.records.left_out import LeftOut
from fastdns.plugins.kubernetes.records.times import seconds_since, seconds_since_creation
from fastdns.plugins.kubernetes.sink import Resource

log = logging.getLogger("plugin/kubernetes")

cdef int SERVICE = Resource.SERVICE
cdef int SLICE = Resource.SLICE
cdef int NAMESPACE = Resource.NAMESPACE
cdef int POD = Resource.POD
cdef int IMPORT = Resource.IMPORT
cdef int IMPORT_SLICE = Resource.IMPORT_SLICE

cdef dict SERVICE_TYPES = {"ClusterIP": 1, "NodePort": 1, "LoadBalancer": 1, "ExternalName": 3, "": 1}
SLICE_SERVICE_LABEL = "kubernetes.io/service-name"
IMPORT_SERVICE_LABEL = "multicluster.kubernetes.io/service-name"
IMPORT_CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


cdef class ClusterWriter:
    """Turns the objects of one cluster into records of its source.

    source: 0 to 62; multicluster objects count their serial on source + 1. needed: the resources that make
    the cluster synced. exposed: the records say where Services are reached from outside. described: what they say
    of pods, as Config has it. on_latency(kind, seconds)
    gets the DNS programming latency of each change that answers show, where its time is known (see observe_slice
    and observe_service). on_left_out(resource, what) gets each object of which a part cannot be served: what is
    object, addresses, names, ports or zones. guard: decides whether a listing that lacks much of what is known is
    followed at once (see guard.py); None: always.

    A StoreFull is logged once until it is over; what was published before goes on being served. Answers by address
    may then be wrong until the next listing of a synced cluster ends.
    """

    def __init__(self, Writer writer not None, int source, needed, *, bint endpoint_pod_names=False,
                 bint zonal=False, bint exposed=False, described=(), on_latency=None, on_left_out=None, guard=None,
                 clock=time.time):
        self.records = ClusterRecords(writer, source, clock)
        self.listings = Listings(self.records, needed, guard)
        self.left_out = LeftOut(on_left_out)
        self.endpoint_pod_names = endpoint_pod_names
        self.zonal = zonal
        self.exposed = exposed
        self.described = tuple(described)
        self.on_latency = on_latency
        self.clock = clock
        self.begun_at = clock()

    def __dealloc__(self):
        free_slice(&self.packing)

    # ------------------------------------------------------------------------------------ the sink's calls

    def begin(self, resource):
        """A full listing of resource begins."""
        self.listings.begin(resource)

    def end(self, resource):
        """The listing is complete: what was not in it is gone, if the guard agrees, and the resource is synced."""
        self.listings.end(resource)

    def settle(self):
        """Follow the listings that the guard has held for long enough. Returns whether to list anew, to be sure."""
        return self.listings.settle()

    def distrust(self):
        """What is known came from another cluster: the next listings are followed, whatever they lack."""
        self.listings.distrust()

    def flush(self):
        """Call after a batch of changes: gives memory that no reader sees any more back to the store."""
        self.records.writer.reclaim(at_once=False)

    @property
    def synced(self):
        """Whether every needed resource has been listed once."""
        return not self.listings.unsynced

    def upsert(self, resource, obj):
        """An object is as given. What cannot be served is logged and left out."""
        cdef int kind = resource
        try:
            if kind == SLICE:
                self.upsert_slice(obj, KIND_SERVICE)
            elif kind == SERVICE:
                self.upsert_service(obj)
            elif kind == NAMESPACE:
                self.upsert_namespace(obj)
            elif kind == POD:
                self.upsert_pod(obj)
            elif kind == IMPORT:
                self.upsert_import(obj)
            elif kind == IMPORT_SLICE:
                self.upsert_slice(obj, KIND_IMPORT)
            self.records.full = False
        except StoreFull as error:
            self.records.note_full(error)
        except (SourceError, UnicodeError) as error:
            self.left_out.note(resource, obj.metadata, "object", f"not served: {error}")
            # What it was before is not what it is.
            self.delete(resource, obj)
        except (TypeError, ValueError, AttributeError) as error:
            # Whatever else is odd about one object is no reason to stop.
            self.left_out.note(resource, obj.metadata, "object", f"not served: {type(error).__name__}: {error}")

    def delete(self, resource, obj):
        """An object is gone."""
        cdef int kind = resource
        meta = obj.metadata
        try:
            if kind == SLICE or kind == IMPORT_SLICE:
                slice_id = self.slice_id(resource, meta)
                # What its annotation says is the time of an earlier change.
                self.records.drop_slice(slice_id)
            elif kind == SERVICE:
                self.records.set_head(self.records.service_key(KIND_SERVICE, meta.namespace, meta.name), None)
            elif kind == IMPORT:
                self.records.set_head(self.records.service_key(KIND_IMPORT, meta.namespace, meta.name), None)
            elif kind == NAMESPACE:
                self.records.set_namespace(self.records.key(KIND_NAMESPACE, label(meta.name)), False)
            elif kind == POD:
                self.records.set_pod((meta.namespace, meta.name), None, None)
        except StoreFull as error:
            self.records.note_full(error)
        except (SourceError, UnicodeError, TypeError, ValueError, AttributeError):
            # What could not be served has left nothing.
            pass

    # -------------------------------------------------------------------------------------- Services, imports

    cdef int upsert_service(self, obj) except -1:
        cdef uint64_t before
        cdef int was
        spec = obj.spec
        key = self.records.service_key(KIND_SERVICE, obj.metadata.namespace, obj.metadata.name)
        self.listings.saw(Resource.SERVICE, key)
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
                    self.left_out.note(Resource.SERVICE, obj.metadata, "names",
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
        exposed = self.exposed_of(obj) if self.exposed else b""
        was = self.svc_type_of(key)
        before = self.records.changes
        self.records.set_head(key, pack_head(svc_type, addresses, &self.packing.ports, external, exposed))
        if was == TYPE_SLICES_ONLY and self.records.changes != before:
            self.observe_service(svc_type, obj.metadata)
        return 0

    cdef bytes exposed_of(self, obj):
        """Where a Service is reached from outside: its externalIPs, and its load balancer's addresses and names."""
        addresses = list(obj.spec.externalIPs or ())
        names = []
        left_out = 0
        balancer = obj.status.loadBalancer if obj.status is not None else None
        for one in balancer.ingress or () if balancer is not None else ():
            if one.ip:
                addresses.append(one.ip)
            elif one.hostname:
                name = wire_name(one.hostname) if address_bytes(one.hostname) is None else None
                if not name or len(names) == MAX_EXPOSED_NAMES:
                    left_out += 1
                elif name not in names:
                    names.append(name)
        if left_out:
            self.left_out.note(Resource.SERVICE, obj.metadata, "names", f"{left_out} names of its load balancer "
                               f"are not served: they are none, or beyond the first {MAX_EXPOSED_NAMES}")
        return pack_exposed(self.cluster_addresses(Resource.SERVICE, obj.metadata, addresses), names)

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
            self.left_out.note(resource, meta, "addresses", f"{left_out} addresses are not served: they are none, "
                               f"or beyond the first {MAX_CLUSTER_IPS} of a family")
        return found

    cdef int upsert_import(self, obj) except -1:
        spec = obj.spec
        key = self.records.service_key(KIND_IMPORT, obj.metadata.namespace, obj.metadata.name)
        self.listings.saw(Resource.IMPORT, key)
        start_ports(&self.packing.ports)
        add_port_objects(&self.packing.ports, spec.ports)
        self.say_ports(Resource.IMPORT, obj.metadata)
        svc_type = TYPE_HEADLESS if spec.type == "Headless" else TYPE_CLUSTER_IP
        addresses = self.cluster_addresses(Resource.IMPORT, obj.metadata, list(spec.ips or ()))
        self.records.set_head(key, pack_head(svc_type, addresses, &self.packing.ports, b"", b""))
        return 0

    # ----------------------------------------------------------------------------------------------- slices

    cdef object slice_id(self, object resource, object meta):
        return self.records.id_of(f"{int(resource)}/{meta.namespace}/{meta.name}".encode())

    cdef int upsert_slice(self, obj, int kind) except -1:
        cdef bytes cluster_id
        cdef uint64_t before = self.records.changes
        cdef bint first
        meta = obj.metadata
        resource = Resource.SLICE if kind == KIND_SERVICE else Resource.IMPORT_SLICE
        slice_id = self.slice_id(resource, meta)
        labels = meta.labels or {}
        service = labels.get(SLICE_SERVICE_LABEL if kind == KIND_SERVICE else IMPORT_SERVICE_LABEL)
        self.listings.saw(resource, slice_id)
        if not service:
            self.records.drop_slice(slice_id)
            return 0
        key = self.records.service_key(kind, meta.namespace, service)
        first = slice_id not in self.records.slices
        self.records.move_slice(slice_id, key)
        cluster = labels.get(IMPORT_CLUSTER_LABEL, "") if kind == KIND_IMPORT else ""
        cluster_id = (<str>cluster).encode()
        if cluster_id and not is_label(cluster_id, len(cluster_id)):
            raise SourceError(f"the cluster id {cluster[:80]!r} is not a DNS label")
        if isinstance(obj, EncodedSlice):
            (<EncodedSlice>obj).feed(&self.packing, self.endpoint_pod_names, self.zonal)
        else:
            feed_object(&self.packing, obj, self.endpoint_pod_names, self.zonal)
        section = finish_slice(&self.packing, slice_id, cluster_id, <uint32_t>len(cluster_id))
        self.say_slice(resource, meta)
        self.records.set_section(key, slice_id, section)
        if kind == KIND_SERVICE and self.records.changes != before:
            self.observe_slice(key, meta, first)
        return 0

    # ------------------------------------------------------------------------------------ programming latency

    cdef int svc_type_of(self, bytes key) except -1:
        """The type of a Service by its key; TYPE_SLICES_ONLY where there is no such object."""
        cdef const Record* record = find(
            self.records.writer.h, hash_bytes(self.records.writer.h.seed, key, len(key)), key, len(key)
        )
        return TYPE_SLICES_ONLY if record == NULL else (<const ServiceHead*>record_payload(record)).svc_type

    cdef int observe_slice(self, bytes key, object meta, bint first) except -1:
        """A slice has changed what is answered: its controller has stamped when, or it is new and has none."""
        cdef int svc_type
        if self.on_latency is None:
            return 0
        svc_type = self.svc_type_of(key)
        if svc_type == TYPE_SLICES_ONLY:
            return 0
        stamp = (meta.annotations or {}).get(TRIGGER_TIME)
        if stamp:
            seconds = seconds_since(stamp, self.clock())
            if seconds is None:
                log.warning("the programming latency of %s/%s is unknown: %s is %r, not an RFC 3339 time",
                            meta.namespace, meta.name, TRIGGER_TIME, stamp)
            return self.observe("headless_with_selector" if svc_type == TYPE_HEADLESS else "cluster_ip", seconds)
        if not first:
            return 0
        seconds = seconds_since_creation(meta.creationTimestamp, self.clock())
        return self.observe("headless_without_selector" if svc_type == TYPE_HEADLESS else "cluster_ip", seconds)

    cdef int observe_service(self, int svc_type, object meta) except -1:
        """A Service is new. One without an address of its own answers its endpoints, which have their own times."""
        if self.on_latency is None or svc_type == TYPE_HEADLESS:
            return 0
        seconds = seconds_since_creation(meta.creationTimestamp, self.clock())
        return self.observe("external_name" if svc_type == TYPE_EXTERNAL_NAME else "cluster_ip", seconds)

    cdef int observe(self, str kind, object seconds) except -1:
        """A change that took so long. One from before this writer's start says nothing of it.

        Stamps are mostly whole seconds, so that one of the second of the start may be of a change after it.
        """
        if seconds is not None and self.clock() - seconds > self.begun_at - 1:
            self.on_latency(kind, seconds)
        return 0

    # ------------------------------------------------------------------------------------ namespaces, pods

    cdef int upsert_namespace(self, obj) except -1:
        key = self.records.key(KIND_NAMESPACE, label(obj.metadata.name))
        self.listings.saw(Resource.NAMESPACE, key)
        return self.records.set_namespace(key, True)

    cdef int upsert_pod(self, obj) except -1:
        meta = obj.metadata
        who = (meta.namespace, meta.name)
        self.listings.saw(Resource.POD, who)
        status = obj.status
        if meta.deletionTimestamp is not None:
            # What is known of a pod that is being deleted stays until it is gone; nothing new is learnt.
            return 0
        if status is not None and status.phase in ("Succeeded", "Failed", "Unknown"):
            self.records.set_pod(who, None, None)
            return 0
        address = address_bytes(status.podIP) if status is not None and status.podIP else None
        self.records.set_pod(who, address, self.description_of(meta) if self.described else None)
        return 0

    cdef bytes description_of(self, meta):
        """The texts that are kept of a pod; one that is no value has nothing."""
        labels = meta.labels or {}
        texts = [(labels.get(key, "") if key else meta.name).encode() for key in self.described]
        return b"".join([bytes((len(text),)) + text if len(text) < 256 else b"\0" for text in texts])

    # --------------------------------------------------------------------------------------- what is left out

    cdef int say_ports(self, object resource, object meta) except -1:
        """What was left out of the ports that were packed."""
        cdef const PortTable* ports = &self.packing.ports
        if ports.left_out:
            self.left_out.note(resource, meta, "ports", f"{ports.left_out} ports are not served: numbers of 0 to "
                               "65535 are, and of one object the first 20,000")
        elif ports.nameless:
            self.left_out.note(resource, meta, "names", f"{ports.nameless} names of ports and protocols are not "
                               "served: they have over 63 bytes")
        return 0

    cdef int say_slice(self, object resource, object meta) except -1:
        """What was left out of the slice that was packed."""
        cdef const Packing* p = &self.packing
        self.say_ports(resource, meta)
        if p.addresses_left_out:
            self.left_out.note(resource, meta, "addresses", f"{p.addresses_left_out} addresses are not served: "
                               "they are none of the slice's type, or beyond the first 100,000")
        if p.names_left_out:
            self.left_out.note(resource, meta, "names", f"{p.names_left_out} endpoints are named after their "
                               "addresses: their own names are no DNS labels, or all names take over 131,068 "
                               "bytes")
        if p.zones_left_out:
            self.left_out.note(resource, meta, "zones", f"{p.zones_left_out} endpoints have no zone: its name is "
                               "too long, or all names take over 131,068 bytes")
        return 0
