"""Objects to records, and the one writer of a cluster's records: see _records.pxd for the layout."""

import logging
import socket
import struct
import time

from libc.string cimport memset

from fastdns._store cimport Writer, hash_bytes
from fastdns.errors import SourceError, StoreFull
from fastdns.sources.base import Resource

cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int family, const void* src, char* dst, unsigned int size)
    enum:
        AF_INET
        AF_INET6

log = logging.getLogger("plugin/kubernetes")

cdef object HEAD = struct.Struct("<BBBBHHHHI")
cdef object SECTION = struct.Struct("<IIQHHBBBB")
cdef object PORT = struct.Struct("<HBBB")
cdef dict SERVICE_TYPES = {"ClusterIP": 1, "NodePort": 1, "LoadBalancer": 1, "ExternalName": 3, "": 1}
SLICE_SERVICE_LABEL = "kubernetes.io/service-name"
IMPORT_SERVICE_LABEL = "multicluster.kubernetes.io/service-name"
IMPORT_CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


cdef uint32_t dashed_name(const uint8_t* address, uint32_t address_len, uint8_t* out) noexcept nogil:
    cdef char text[64]
    cdef uint32_t size = 0
    inet_ntop(AF_INET if address_len == 4 else AF_INET6, address, text, 64)
    while text[size] != 0:
        out[size] = 45 if text[size] == 46 or text[size] == 58 else text[size]
        size += 1
    if address_len == 16 and out[size - 1] == 45:
        # A label may not end in a dash: RFC 1123 section 2.1; CoreDNS appends a zero.
        out[size] = 48
        size += 1
    return size


def address_bytes(text: str) -> bytes | None:
    """4 or 16 bytes of an address in text form (IPv4-mapped IPv6 as IPv4), or None."""
    try:
        if ":" not in text:
            return socket.inet_pton(socket.AF_INET, text)
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError, UnicodeEncodeError):
        return None
    if packed[:12] == b"\0\0\0\0\0\0\0\0\0\0\xff\xff":
        return packed[12:]
    return packed


def endpoint_name(address: bytes) -> str:
    """The name of an endpoint without hostname: its address with dashes."""
    cdef uint8_t out[64]
    cdef uint32_t size = dashed_name(<const uint8_t*>address, len(address), out)
    return out[:size].decode()


def label(text: str) -> bytes:
    """One label in wire form, lowercased. Raises SourceError where it is none."""
    raw = text.encode()
    if not 0 < len(raw) < 64:
        raise SourceError(f"{text!r} is not a DNS label: 1 to 63 bytes expected")
    return bytes((len(raw),)) + raw.lower()


def wire_name(text: str) -> bytes | None:
    """A domain name in uncompressed wire form, or None where it is none. No escapes: Kubernetes has none."""
    out = bytearray()
    for part in text.rstrip(".").split("."):
        raw = part.encode()
        if not 0 < len(raw) < 64:
            return None
        out.append(len(raw))
        out += raw
    out.append(0)
    return bytes(out) if len(out) <= 255 else None


cdef bytes pack_ports(list ports):
    """ports: (number | None, protocol, name). None at all gives the stand-in."""
    out = bytearray()
    for number, protocol, name in ports:
        protocol_raw = protocol.lower().encode()[:255]
        name_raw = name.lower().encode()[:255]
        none = number is None
        out += PORT.pack(0 if none else number & 0xFFFF, 1 if none else 0, len(protocol_raw), len(name_raw))
        out += protocol_raw
        out += name_raw
    return bytes(out)


cdef bytes pack_section(uint64_t slice_id, list ports, str cluster, list endpoints, uint32_t address_len,
                        bint zones):
    """endpoints: (address bytes, name | None, zone | None)."""
    cdef bytes ports_raw = pack_ports(ports)
    cdef bytes cluster_raw = cluster.encode()
    cdef bytes text
    cdef uint8_t derived[64]
    cdef uint32_t size
    blob = bytearray()
    zone_at = {}
    addresses = bytearray()
    tags = []
    names = []
    zone_offsets = []
    for address, name, zone in endpoints:
        addresses += address
        size = dashed_name(<const uint8_t*>(<bytes>address), address_len, derived)
        text = derived[:size]
        if name is not None and name.encode() != text:
            names.append(len(blob))
            text = name.encode()
            blob.append(len(text))
            blob += text
        else:
            names.append(NAME_FROM_ADDRESS)
        text = text.lower()
        tags.append(name_tag(text, len(text)))
        if zones:
            if zone is None:
                zone_offsets.append(NO_ZONE)
            else:
                if zone not in zone_at:
                    zone_at[zone] = len(blob)
                    raw = zone.lower().encode()[:255]
                    blob.append(len(raw))
                    blob += raw
                zone_offsets.append(zone_at[zone])
    if len(blob) >= 0xFFFF:
        raise SourceError(f"an EndpointSlice holds {len(blob)} bytes of names; at most 65,534 are served")
    body = ports_raw + cluster_raw
    body += b"\0" * (-(SECTION.size + len(body)) % 4)
    body += bytes(addresses)
    count = len(tags)
    body += struct.pack(f"<{count}H{count}H{len(zone_offsets)}H", *tags, *names, *zone_offsets)
    body += bytes(blob)
    body += b"\0" * (-(SECTION.size + len(body)) % 8)
    return SECTION.pack(SECTION.size + len(body), count, slice_id, len(ports), len(ports_raw), address_len,
                        len(cluster_raw), 1 if zones else 0, 0) + body


cdef bytes pack_head(int svc_type, list ip4, list ip6, list ports, bytes external):
    """The part of a service record that its Service object gives; flags and section fields still zero."""
    cdef bytes ports_raw = pack_ports(ports)
    body = b"".join(ip4) + b"".join(ip6) + ports_raw + external
    body += b"\0" * (-(HEAD.size + len(body)) % 8)
    return HEAD.pack(svc_type, 0, len(ip4), len(ip6), len(ports), 0, len(ports_raw), len(external),
                     HEAD.size + len(body)) + body


cdef bytes EMPTY_HEAD = pack_head(0, [], [], [], b"")


cdef list split_sections(bytes payload):
    """The sections of a service record, each as bytes."""
    cdef const uint8_t* base = payload
    cdef const ServiceHead* head = <const ServiceHead*>base
    cdef uint32_t at = head.sections_at
    cdef uint32_t size
    sections = []
    for _ in range(head.section_count):
        size = (<const Section*>(base + at)).total_len
        sections.append(payload[at:at + size])
        at += size
    return sections


cdef list section_address_list(bytes section):
    cdef const Section* s = <const Section*><const uint8_t*>section
    cdef const uint8_t* at = section_addresses(s)
    cdef uint32_t i
    return [at[i * s.address_len:(i + 1) * s.address_len] for i in range(s.count)]


cdef list head_address_list(bytes payload):
    cdef const ServiceHead* head = <const ServiceHead*><const uint8_t*>payload
    cdef const uint8_t* at = <const uint8_t*>payload + sizeof(ServiceHead)
    cdef uint32_t i
    found = [at[i * 4:(i + 1) * 4] for i in range(head.ip4_count)]
    at += 4 * head.ip4_count
    found += [at[i * 16:(i + 1) * 16] for i in range(head.ip6_count)]
    return found


cdef bytes join_record(bytes head, list sections):
    """A service record of a head and sections, its flags found."""
    cdef uint8_t seen[8192]         # a bit a tag
    cdef const Section* s
    cdef const uint16_t* tags
    cdef uint32_t i, flags = 0
    cdef uint8_t* out
    memset(seen, 0, sizeof(seen))
    for section in sections:
        s = <const Section*><const uint8_t*>(<bytes>section)
        tags = section_tags(s)
        if s.count:
            flags |= FLAG_HAS_ENDPOINTS
        for i in range(s.count):
            if seen[tags[i] >> 3] >> (tags[i] & 7) & 1:
                flags |= FLAG_MAY_REPEAT
            seen[tags[i] >> 3] |= 1 << (tags[i] & 7)
    if len(sections) > 1 and not flags & FLAG_MAY_REPEAT and repeats_address(sections):
        # Under different names.
        flags |= FLAG_MAY_REPEAT
    elif len(sections) == 1 and not flags & FLAG_MAY_REPEAT and repeats_address(sections):
        flags |= FLAG_MAY_REPEAT
    payload = b"".join([head, *sections])
    out = <uint8_t*><const uint8_t*>payload
    (<ServiceHead*>out).flags = flags
    (<ServiceHead*>out).section_count = len(sections)
    return payload


cdef bint repeats_address(list sections):
    addresses = [a for section in sections for a in section_address_list(section)]
    return len(set(addresses)) != len(addresses)


cdef class ClusterWriter:
    """The sink of one cluster: turns objects into records of its source, and nothing that is the same again.

    source: 0 to 63; multicluster objects count their serial on source + 1. needed: the resources that make
    the cluster synced. options: endpoint_pod_names, zonal, pods_verified. on_latency(kind, seconds) is called
    with the DNS programming latency of a slice's change where the annotation is there and one Service matches.

    A StoreFull is logged once until it is over; what was published before goes on being served.
    """

    cdef readonly Writer writer
    cdef readonly int source
    cdef bint endpoint_pod_names
    cdef bint zonal
    cdef dict slices            # slice id -> service key; what no record says: which service a slice was in
    cdef dict pods              # (ns, name) -> key of its P record
    cdef dict listing           # resource -> what was seen since begin
    cdef set unsynced
    cdef object on_latency
    cdef object clock
    cdef bint full

    def __init__(self, Writer writer not None, int source, needed, *, bint endpoint_pod_names=False,
                 bint zonal=False, on_latency=None, clock=time.time):
        self.writer = writer
        self.source = source
        self.endpoint_pod_names = endpoint_pod_names
        self.zonal = zonal
        self.slices = {}
        self.pods = {}
        self.listing = {}
        self.unsynced = set(needed)
        self.on_latency = on_latency
        self.clock = clock
        self.full = False

    # ------------------------------------------------------------------------------------ the sink's calls

    def begin(self, resource):
        """A full listing of resource begins."""
        self.listing[resource] = set()

    def end(self, resource):
        """The listing is complete: what was not in it is gone, and the resource is synced."""
        seen = self.listing.pop(resource, None)
        if seen is not None:
            self.sweep(resource, seen)
        self.unsynced.discard(resource)
        if not self.unsynced:
            self.writer.set_source(self.source, synced=True)
            self.writer.set_source(self.source + 1, synced=True)
        self.writer.reclaim()

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
            if not self.full:
                log.error("%s", error)
            self.full = True
        except SourceError as error:
            log.warning("%s %s/%s is not served: %s", resource.name.lower(), obj.metadata.namespace,
                        obj.metadata.name, error)

    def delete(self, resource, obj):
        """An object is gone."""
        meta = obj.metadata
        try:
            if resource == Resource.SLICE or resource == Resource.IMPORT_SLICE:
                self.drop_slice(self.slice_id(resource, meta.namespace, meta.name))
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
            log.error("%s", error)
        except SourceError:
            pass

    def flush(self):
        """Call after a batch of changes: gives memory that no reader sees any more back to the store."""
        self.writer.reclaim()

    # ------------------------------------------------------------------------------------------------ keys

    cdef bytes key(self, int kind, bytes rest):
        return bytes((self.source, kind)) + rest

    cdef bytes service_key(self, int kind, str namespace, str name):
        return self.key(kind, label(name) + label(namespace))

    cdef object slice_id(self, object resource, str namespace, str name):
        cdef bytes text = f"{int(resource)}/{namespace}/{name}".encode()
        return hash_bytes(self.writer.h.seed, text, len(text))

    cdef void saw(self, object resource, object what):
        seen = self.listing.get(resource)
        if seen is not None:
            seen.add(what)

    cdef int changed(self, int multicluster) except -1:
        self.writer.set_source(self.source + multicluster, soa_serial=int(self.clock()))
        return 0

    # --------------------------------------------------------------------------------------------- services

    cdef int set_head(self, bytes key, bytes head) except -1:
        cdef bytes old = self.writer.store.get(key)
        sections = split_sections(old) if old is not None else []
        return self.publish(key, old, head, sections, sections)

    cdef int publish(self, bytes key, bytes old, bytes head, list old_sections, list sections) except -1:
        """Publish a service record and the reverse records that differ from what old said."""
        cdef bytes payload
        cdef uint64_t reference = hash_bytes(self.writer.h.seed, key, len(key))
        cdef bint imported = key[1] == KIND_IMPORT
        if head == EMPTY_HEAD and not sections:
            payload = None
            if old is None:
                return 0
            self.writer.remove(key)
        else:
            payload = join_record(head, sections)
            if payload == old:
                return 0
            self.writer.publish(key, payload)
        if not imported:
            before = set(head_address_list(old)) if old is not None else set()
            after = set(head_address_list(head))
            self.move_references(KIND_CLUSTER_IP, reference, before - after, after - before)
            if old_sections is not sections:
                gone = [s for s in old_sections if s not in sections]
                come = [s for s in sections if s not in old_sections]
                before = {a for s in gone for a in section_address_list(s)}
                after = {a for s in come for a in section_address_list(s)}
                removed = before - after
                if removed:
                    # Another slice may still have it.
                    removed -= {a for s in sections for a in section_address_list(s)}
                self.move_references(KIND_ENDPOINT_IP, reference, removed, after - before)
        self.changed(1 if imported else 0)
        return 0

    cdef int move_references(self, int kind, uint64_t reference, set removed, set added) except -1:
        for address in removed:
            self.edit_references(self.key(kind, address), reference, False)
        for address in added:
            self.edit_references(self.key(kind, address), reference, True)
        return 0

    cdef int edit_references(self, bytes key, uint64_t reference, bint present) except -1:
        """Add a hash to, or take it from, a record that is a list of hashes; an empty list is no record."""
        cdef bytes packed = reference.to_bytes(8, "little")
        cdef bytes old = self.writer.store.get(key) or b""
        parts = [old[i:i + 8] for i in range(0, len(old), 8)]
        if present == (packed in parts):
            return 0
        if present:
            parts.append(packed)
        else:
            parts.remove(packed)
        if parts:
            self.writer.publish(key, b"".join(parts))
        else:
            self.writer.remove(key)
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
        if len(cluster) > 63:
            raise SourceError(f"the cluster id {cluster!r} is not a DNS label")
        section = self.make_section(slice_id, obj, cluster)
        self.set_section(key, slice_id, section)
        if self.on_latency is not None and kind == KIND_SERVICE:
            self.observe_latency(key, meta)
        return 0

    cdef bytes make_section(self, object slice_id, obj, str cluster):
        address_len = 16 if obj.addressType == "IPv6" else 4
        endpoints = []
        for endpoint in obj.endpoints or ():
            if endpoint.conditions is not None and endpoint.conditions.ready is False:
                continue
            name = endpoint.hostname or None
            if name is None and self.endpoint_pod_names and endpoint.targetRef is not None:
                pod = endpoint.targetRef.name or ""
                name = pod if 0 < len(pod) < 64 else None
            for text in endpoint.addresses or ():
                address = address_bytes(text)
                if address is not None and len(address) == address_len:
                    endpoints.append((address, name, endpoint.zone if self.zonal else None))
        ports = [(p.port, p.protocol or "", p.name or "") for p in obj.ports or ()] or [(None, "", "")]
        return pack_section(slice_id, ports, cluster, endpoints, address_len, self.zonal)

    cdef int set_section(self, bytes key, object slice_id, bytes section) except -1:
        """Put, replace or (section None) drop one slice of a service record."""
        cdef bytes old = self.writer.store.get(key)
        cdef bytes head = EMPTY_HEAD
        old_sections = []
        if old is not None:
            head = old[:(<const ServiceHead*><const uint8_t*>old).sections_at]
            head = head[:1] + b"\0" + head[2:6] + b"\0\0" + head[8:]
            old_sections = split_sections(old)
        packed = slice_id.to_bytes(8, "little")
        sections = []
        for one in old_sections:
            if one[8:16] != packed:
                sections.append(one)
            elif section is not None:
                sections.append(section)
                section = None
        if section is not None:
            sections.append(section)
        return self.publish(key, old, head, old_sections, sections)

    cdef int drop_slice(self, object slice_id) except -1:
        key = self.slices.pop(slice_id, None)
        if key is not None:
            self.set_section(key, slice_id, None)
        return 0

    cdef int observe_latency(self, bytes key, meta) except -1:
        stamp = (meta.annotations or {}).get(TRIGGER_TIME)
        if not stamp:
            return 0
        cdef bytes payload = self.writer.store.get(key)
        if payload is None:
            return 0
        svc_type = payload[0]
        if svc_type not in (TYPE_CLUSTER_IP, TYPE_HEADLESS):
            return 0
        self.on_latency("cluster_ip" if svc_type == TYPE_CLUSTER_IP else "headless_with_selector", stamp)
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
        self.set_pod(who, None if address is None else self.key(KIND_POD, address + label(meta.namespace)))
        return 0

    cdef int set_pod(self, tuple who, bytes key) except -1:
        cdef bytes name = who[1].encode()
        cdef uint64_t reference = hash_bytes(self.writer.h.seed, name, len(name))
        previous = self.pods.get(who)
        if previous == key:
            return 0
        if previous is not None:
            del self.pods[who]
            self.edit_references(previous, reference, False)
        if key is not None:
            self.edit_references(key, reference, True)
            self.pods[who] = key
        self.changed(0)
        return 0

    # ------------------------------------------------------------------------------------------------ sweep

    cdef int sweep(self, object resource, set seen) except -1:
        """Remove what a complete listing did not have. Looks at the store, so also at a predecessor's work."""
        if resource == Resource.SERVICE or resource == Resource.IMPORT:
            kind = KIND_SERVICE if resource == Resource.SERVICE else KIND_IMPORT
            for key, payload in self.writer.store.items(bytes((self.source, kind))):
                if key not in seen and payload[0] != TYPE_SLICES_ONLY:
                    self.set_head(key, EMPTY_HEAD)
        elif resource == Resource.SLICE or resource == Resource.IMPORT_SLICE:
            kind = KIND_SERVICE if resource == Resource.SLICE else KIND_IMPORT
            for key, payload in self.writer.store.items(bytes((self.source, kind))):
                for section in split_sections(payload):
                    slice_id = int.from_bytes(section[8:16], "little")
                    # In the listing, but of another service: a predecessor saw it before it moved.
                    if slice_id not in seen or self.slices.get(slice_id) != key:
                        self.set_section(key, slice_id, None)
                        if slice_id not in seen:
                            self.slices.pop(slice_id, None)
        elif resource == Resource.NAMESPACE:
            for key, _ in self.writer.store.items(bytes((self.source, KIND_NAMESPACE))):
                if key not in seen:
                    self.writer.remove(key)
                    self.changed(0)
        elif resource == Resource.POD:
            for who in [who for who in self.pods if who not in seen]:
                self.set_pod(who, None)
            known = set(self.pods.values())
            for key, _ in self.writer.store.items(bytes((self.source, KIND_POD))):
                if key not in known:
                    self.writer.remove(key)
        return 0
