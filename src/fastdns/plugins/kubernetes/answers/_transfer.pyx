"""A cluster's zone as messages, to those who transfer it: the records that CoreDNS gives.

    SOA
    NS of the zone, addresses of its nameservers: as many as one message holds
    of each Service of an exposed namespace, in the order of the store's index:
        addresses of its own, SRV of each port below its name and the port's
        of a headless one of each endpoint: addresses below the Service's name and its own, SRV of each named port
        CNAME of an ExternalName
    SOA

Where names stand outside of the cluster, addresses are those at which a Service is reached from there; a Service
that has only a name there has a CNAME record, and SRV records below the names of ports. With headless the endpoints
of a headless one have SRV records below their names and the Service's, too. Reverse zones are not given.

A cluster has no versions. A transfer of several messages sees what has changed meanwhile, or not. Its serial is
that of its beginning: whoever has it finds a newer one, and asks again. As the serial is the second of the last
change, a zone that has changed in the present second, and may change in it again, is given with the serial before.

Where the store's index is replaced meanwhile, the Services are sent once more from the first one on: the client
ignores records that it has (RFC 5936 section 2.2).

The work of a message is bounded: SLOTS of the index, and of a Service what the message holds. A part of a Service
is found again by the number of records before it (``skipped``), a section or an endpoint at a time.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset
from libc.time cimport time

from fastdns._wire cimport (
    HEADER_BYTES, MAX_NAME_BYTES, TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_NS, TYPE_SOA, TYPE_SRV, Query,
    parse_question_name, put_u16, put_u32,
)
from fastdns.authoritative._messages cimport Message, begin_message, end_message, write_rr, write_section
from fastdns.memory._atomics cimport load
from fastdns.memory._store cimport (
    SLOT_REMOVED, UNIT_BYTES, Record, StoreHeader, record_key, record_payload, source_state,
)
from fastdns.plugins.kubernetes.answers._exposed cimport add_exposed_nameservers
from fastdns.plugins.kubernetes.answers._nameservers cimport answer_nameservers
from fastdns.plugins.kubernetes.answers._options cimport AnswerOptions, zones_of
from fastdns.plugins.kubernetes.answers._request cimport (
    Alias, Conf, Request, Zone, external_name, namespace_exposed, srv_weight, start_request,
)
from fastdns.plugins.kubernetes.answers._soa cimport EXPIRE_S, REFRESH_S, RETRY_S
from fastdns.plugins.kubernetes.records._endpoints cimport endpoint_text
from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, FLAG_HAS_ENDPOINTS, KEY_HEAD_BYTES, KIND_IMPORT, KIND_SERVICE, PORT_NONE, TYPE_CLUSTER_IP,
    TYPE_EXTERNAL_NAME, TYPE_HEADLESS, TYPE_SLICES_ONLY, ExposedView, PortHead, SectionView, SectionWalk,
    ServiceHead, exposed_address, kind_in, next_section, open_exposed, port_at, port_bytes, target_name,
    walk_sections, wire_name_bytes,
)
from fastdns.plugins.kubernetes.records._ports cimport PortsWanted, matching_ports
from fastdns.serve._context cimport Context
from fastdns.serve._following cimport ALL_SENT, LATER
from fastdns.serve._transfers cimport (
    GIVEN, NOT_HERE, NOT_LOADED, TRANSFER_WORDS, UP_TO_DATE, WHOLE_ZONE, Given, NativeTransfer, Outgoing,
    is_up_to_date,
)

REVERSE = (b"\x07in-addr\x04arpa\0", b"\x03ip6\x04arpa\0")

cdef enum:
    SLOTS = 2048                # of the index that a message looks at: about 0.2 ms
    MAX_SOA_TTL_S = 300         # RFC 2308 section 5
    FIXED_WEIGHT = 100          # of the ports of addresses of a Service's own
    SRV_BYTES = 6               # of its rdata, before the target
    WEIGHED_PORTS = 32          # of a slice, whose weight is that of all slices
    PORTS_LOOKED_AT = 1 << 20   # for a weight

# What is sent next.
cdef enum Part:
    OPENING = 0                 # the SOA record
    NAMESERVERS = 1
    SERVICES = 2                # from slot on
    CLOSING = 3                 # the SOA record
    SENT = 4

# The state of an Outgoing.
cdef struct Progress:
    Part part
    bint short                  # only the SOA record is sent
    uint32_t zone               # among conf.zones
    uint32_t skipped            # records of the Service at slot that have been sent
    uint64_t index              # of the store, which slot is of
    uint64_t slot

# What may be transferred of one block.
cdef struct Zones:
    Conf cluster
    const Zone* zones
    uint32_t zone_count
    const uint8_t* nameserver   # labels, left of the zone
    const uint8_t* mailbox
    uint32_t nameserver_len
    uint32_t mailbox_len
    bint outside
    bint headless               # outside: whether endpoints are shown

# A message that is being written, and the Service that it has come to.
cdef struct Pen:
    Message m
    Outgoing* t
    Progress* progress
    Context* ctx
    const Zones* conf
    const Zone* zone
    uint32_t looked             # slots of the index
    uint32_t done               # records of the Service, those before included
    uint32_t owner_len
    uint8_t owner[160]          # of the Service, relative to the zone

# Of SRV records of the endpoints of a slice.
cdef struct Weights:
    uint16_t of_slice
    uint16_t of_all
    uint16_t of_port[WEIGHED_PORTS]


# ------------------------------------------------------------------------------------------------- records


cdef bint put(Pen* p, const uint8_t* name, uint32_t size, uint16_t rrtype, const uint8_t* rdata,
              uint32_t rdata_len) noexcept nogil:
    """A record of the Service; those that have been sent are passed over. False: the message is full."""
    if p.done >= p.progress.skipped and size + p.t.name_len <= MAX_NAME_BYTES \
            and not write_rr(&p.m, name, size, rrtype, p.conf.cluster.ttl_s, rdata, rdata_len):
        p.progress.skipped = p.done
        return False
    p.done += 1
    return True


cdef bint put_address(Pen* p, const uint8_t* name, uint32_t size, const uint8_t* address,
                      uint32_t address_len) noexcept nogil:
    return put(p, name, size, TYPE_A if address_len == 4 else TYPE_AAAA, address, address_len)


cdef uint32_t put_label(uint8_t* at, const uint8_t* text, uint32_t size, bint underscore) noexcept nogil:
    at[0] = <uint8_t>(size + underscore)
    if underscore:
        at[1] = 95
    memcpy(at + 1 + underscore, text, size)
    return size + underscore + 1


cdef uint32_t put_port_name(const Pen* p, const PortHead* port, uint8_t* name) noexcept nogil:
    """_PORT._PROTOCOL and the Service; 0 where that is no name."""
    cdef const uint8_t* protocol = <const uint8_t*>port + sizeof(PortHead)
    cdef uint32_t size
    if port.name_len == 0 or port.name_len > 62 or port.protocol_len > 62:
        return 0
    size = put_label(name, protocol + port.protocol_len, port.name_len, True)
    size += put_label(name + size, protocol, port.protocol_len, True)
    memcpy(name + size, p.owner, p.owner_len)
    return size + p.owner_len


cdef uint32_t put_target(const Pen* p, const uint8_t* name, uint32_t size, uint8_t* target) noexcept nogil:
    """A relative name with the zone; 0 where it is too long."""
    if size + p.t.name_len > MAX_NAME_BYTES:
        return 0
    memcpy(target, name, size)
    memcpy(target + size, p.t.spelled, p.t.name_len)
    return size + p.t.name_len


cdef bint put_srv(Pen* p, const uint8_t* name, uint32_t size, uint16_t weight, uint16_t port, const uint8_t* target,
                  uint32_t target_len) noexcept nogil:
    cdef uint8_t rdata[SRV_BYTES + 256]
    if size == 0 or target_len == 0:
        p.done += 1
        return True
    put_u16(rdata, 0)
    put_u16(rdata + 2, weight)
    put_u16(rdata + 4, port)
    memcpy(rdata + SRV_BYTES, target, target_len)
    return put(p, name, size, TYPE_SRV, rdata, SRV_BYTES + target_len)


# ------------------------------------------------------------------------------------------------ services


cdef bint put_ports(Pen* p, const ServiceHead* head, bint below_service, const uint8_t* target,
                    uint32_t target_len) noexcept nogil:
    """SRV records of all ports of a Service for one target."""
    cdef const uint8_t* ports = (<const uint8_t*>head + sizeof(ServiceHead) + 4 * head.ip4_count
                                 + 16 * head.ip6_count)
    cdef const PortHead* port
    cdef uint8_t name[320]
    cdef uint32_t at = 0
    cdef uint32_t _i
    for _i in range(head.port_count):
        port = port_at(ports, head.ports_len, at)
        if port == NULL:
            break
        at += port_bytes(port)
        if port.flags & PORT_NONE:
            continue
        if below_service and not put_srv(p, p.owner, p.owner_len, FIXED_WEIGHT, port.port, target, target_len):
            return False
        if port.name_len and not put_srv(p, name, put_port_name(p, port, name), FIXED_WEIGHT, port.port, target,
                                         target_len):
            return False
    return True


cdef bint put_cluster_ips(Pen* p, const ServiceHead* head) noexcept nogil:
    cdef const uint8_t* at = <const uint8_t*>head + sizeof(ServiceHead)
    cdef uint8_t target[256]
    cdef uint32_t i, size
    for i in range(<uint32_t>head.ip4_count + head.ip6_count):
        size = 4 if i < head.ip4_count else 16
        if not put_address(p, p.owner, p.owner_len, at, size):
            return False
        at += size
    return put_ports(p, head, True, target, put_target(p, p.owner, p.owner_len, target))


cdef bint put_exposed(Pen* p, const ServiceHead* head, const ExposedView* v) noexcept nogil:
    cdef const uint8_t* address
    cdef uint8_t target[256]
    cdef uint32_t i, size, at = 0
    cdef bint has_addresses = v.ip4_count + v.ip6_count > 0
    for i in range(v.ip4_count + v.ip6_count):
        address = exposed_address(v, i, &size)
        if not put_address(p, p.owner, p.owner_len, address, size):
            return False
    if has_addresses and not put_ports(p, head, True, target, put_target(p, p.owner, p.owner_len, target)):
        return False
    for i in range(v.name_count):
        size = wire_name_bytes(v.names + at, v.names_len - at)
        # An alias has no other data beside it (RFC 1034 section 3.6.2).
        if i == 0 and size and not has_addresses and not put(p, p.owner, p.owner_len, TYPE_CNAME, v.names, size):
            return False
        if not put_ports(p, head, has_addresses, v.names + at, size):
            return False
        at += size
    return True


cdef uint32_t records_of_ports(const Pen* p, const SectionView* v) noexcept nogil:
    """How many SRV records an endpoint of a slice has."""
    cdef const PortHead* port
    cdef uint32_t at = 0, count = 0
    cdef uint32_t _i
    for _i in range(v.s.port_count):
        port = port_at(v.ports, v.s.ports_len, at)
        if port == NULL:
            break
        at += port_bytes(port)
        if not port.flags & PORT_NONE:
            count += (2 if p.conf.outside else 0) + (port.name_len != 0)
    return count


cdef uint16_t weight_of(const Record* record, const PortHead* port) noexcept nogil:
    """The weight of a port of a name outside, of all slices; NULL: of all ports."""
    cdef PortsWanted wanted
    cdef SectionWalk walk
    cdef SectionView v
    cdef uint32_t distinct, looks = PORTS_LOOKED_AT
    cdef uint64_t candidates = 0
    memset(&wanted, 0, sizeof(PortsWanted))
    if port != NULL:
        wanted.protocol = <const uint8_t*>port + sizeof(PortHead)
        wanted.protocol_len = port.protocol_len
        wanted.name = wanted.protocol + port.protocol_len
        wanted.name_len = port.name_len
    walk_sections(record_payload(record), record.payload_len, &walk)
    while next_section(&walk, &v):
        candidates += <uint64_t>v.count * matching_ports(v.ports, v.s.ports_len, v.s.port_count, &wanted, NULL, 0,
                                                         &distinct, &looks)
    return srv_weight(candidates)


cdef void weigh(const Pen* p, const Record* record, const SectionView* v, Weights* weights) noexcept nogil:
    """CoreDNS weighs the endpoints of a cluster's own names slice by slice."""
    cdef const PortHead* port
    cdef uint32_t at = 0, i
    weights.of_slice = srv_weight(v.count)
    weights.of_all = weight_of(record, NULL) if p.conf.outside else 0
    for i in range(WEIGHED_PORTS if p.conf.outside else 0):
        port = port_at(v.ports, v.s.ports_len, at) if i < v.s.port_count else NULL
        if port == NULL:
            break
        at += port_bytes(port)
        weights.of_port[i] = weight_of(record, port)


cdef bint put_endpoint_ports(Pen* p, const SectionView* v, const Weights* weights, const uint8_t* own,
                             uint32_t own_len, const uint8_t* target, uint32_t target_len) noexcept nogil:
    """SRV records of an endpoint. own: its own name, relative."""
    cdef const PortHead* port
    cdef uint8_t name[320]
    cdef uint32_t at = 0, i
    cdef uint16_t weight
    for i in range(v.s.port_count):
        port = port_at(v.ports, v.s.ports_len, at)
        if port == NULL:
            break
        at += port_bytes(port)
        if port.flags & PORT_NONE:
            continue
        if p.conf.outside and not (
                put_srv(p, p.owner, p.owner_len, weights.of_all, port.port, target, target_len)
                and put_srv(p, own, own_len, FIXED_WEIGHT, port.port, target, target_len)):
            return False
        weight = weights.of_port[i] if p.conf.outside and i < WEIGHED_PORTS else weights.of_slice
        if port.name_len and not put_srv(p, name, put_port_name(p, port, name), weight, port.port, target,
                                         target_len):
            return False
    return True


cdef bint put_endpoint(Pen* p, const SectionView* v, uint32_t i, const Weights* weights) noexcept nogil:
    cdef const uint8_t* address = v.addresses + <size_t>i * v.address_len
    cdef const uint8_t* text
    cdef uint8_t derived[64]
    cdef uint8_t own[320]
    cdef uint8_t target[256]
    cdef uint32_t own_len = 0, size
    if v.address_len == ADDRESS_IS_NAME:
        # What that name has for addresses is not the zone's to say.
        size = target_name(v, i, &text)
        return put_endpoint_ports(p, v, weights, own, 0, text, size)
    size = endpoint_text(v, i, derived, &text)
    if size:
        own_len = put_label(own, text, size, False)
        if v.cluster_len:
            own_len += put_label(own + own_len, v.cluster, v.cluster_len, False)
        memcpy(own + own_len, p.owner, p.owner_len)
        own_len += p.owner_len
    if not put_address(p, p.owner, p.owner_len, address, v.address_len):
        return False
    if own_len == 0:
        p.done += 1
    elif not put_address(p, own, own_len, address, v.address_len):
        return False
    return put_endpoint_ports(p, v, weights, own, own_len, target, put_target(p, own, own_len, target))


cdef bint put_endpoints(Pen* p, const Record* record) noexcept nogil:
    """Records of the endpoints of a headless Service. Those that have been sent are not looked at again."""
    cdef SectionWalk walk
    cdef SectionView v
    cdef Weights weights
    cdef uint32_t i, records
    walk_sections(record_payload(record), record.payload_len, &walk)
    while next_section(&walk, &v):
        records = records_of_ports(p, &v) + (0 if v.address_len == ADDRESS_IS_NAME else 2)
        if records == 0:
            continue
        i = 0
        if p.done < p.progress.skipped:
            i = (p.progress.skipped - p.done) // records
            i = i if i < v.count else v.count
            p.done += i * records
        if i < v.count:
            weigh(p, record, &v, &weights)
        while i < v.count:
            if not put_endpoint(p, &v, i, &weights):
                return False
            i += 1
    return True


cdef bint write_service(Pen* p, const Record* record) noexcept nogil:
    """False: the message is full."""
    cdef const Conf* conf = &p.conf.cluster
    cdef const uint8_t* labels = record_key(record) + KEY_HEAD_BYTES
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef uint32_t size = record.key_len - KEY_HEAD_BYTES
    cdef ExposedView v
    cdef Alias alias
    p.done = 0
    if record.payload_len < sizeof(ServiceHead) or head.svc_type == TYPE_SLICES_ONLY or size > 128:
        return True
    if not namespace_exposed(p.ctx, conf, labels + labels[0] + 1):
        return True
    memcpy(p.owner, labels, size)
    p.owner_len = size
    if p.conf.outside:
        if open_exposed(record_payload(record), record.payload_len, &v):
            return put_exposed(p, head, &v)
        return not p.conf.headless or head.svc_type != TYPE_HEADLESS or put_endpoints(p, record)
    memcpy(p.owner + size, b"\x03svc", 4)
    p.owner_len += 4
    if head.svc_type == TYPE_HEADLESS:
        return put_endpoints(p, record)
    if head.svc_type == TYPE_EXTERNAL_NAME:
        external_name(record, &alias)
        return alias.target == NULL or put(p, p.owner, p.owner_len, TYPE_CNAME, alias.target, alias.target_len)
    if head.svc_type != TYPE_CLUSTER_IP or head.ip4_count + head.ip6_count == 0 or head.port_count == 0 \
            or (conf.ignore_empty_service and not head.flags & FLAG_HAS_ENDPOINTS):
        # As questions do not find it, or find nothing.
        return True
    return put_cluster_ips(p, head)


cdef bint write_services(Pen* p) noexcept nogil:
    """The Services from a slot of the index on. False: the message is full, or has looked at enough."""
    cdef const StoreHeader* h = p.ctx.store
    cdef Progress* progress = p.progress
    cdef uint64_t index = load(&h.index)
    cdef const uint64_t* slots = <const uint64_t*>(<const uint8_t*>h + (index >> 8) * UNIT_BYTES)
    cdef uint64_t count = <uint64_t>1 << (index & 0xFF)
    cdef uint8_t kind = KIND_IMPORT if p.zone.multicluster else KIND_SERVICE
    cdef const Record* record
    cdef uint32_t unit
    if progress.index != index:
        progress.index = index
        progress.slot = 0
        progress.skipped = 0
    while progress.slot < count:
        if p.looked == SLOTS:
            return False
        p.looked += 1
        unit = <uint32_t>load(&slots[progress.slot])
        if unit > SLOT_REMOVED:
            record = <const Record*>(<const uint8_t*>h + <uint64_t>unit * UNIT_BYTES)
            if kind_in(record, p.conf.cluster.source) == kind and not write_service(p, record):
                return False
        progress.slot += 1
        progress.skipped = 0
    return True


# ---------------------------------------------------------------------------------------------- the zone


cdef bint write_soa(Pen* p) noexcept nogil:
    cdef uint8_t rdata[2 * 256 + 20]
    cdef uint32_t ttl_s = p.conf.cluster.ttl_s
    cdef uint32_t size = put_target(p, p.conf.nameserver, p.conf.nameserver_len, rdata)
    cdef uint8_t* at
    size += put_target(p, p.conf.mailbox, p.conf.mailbox_len, rdata + size)
    at = rdata + size
    put_u32(at, p.t.serial)
    put_u32(at + 4, REFRESH_S)
    put_u32(at + 8, RETRY_S)
    put_u32(at + 12, EXPIRE_S)
    put_u32(at + 16, ttl_s)
    if not p.conf.outside and ttl_s > MAX_SOA_TTL_S:
        ttl_s = MAX_SOA_TTL_S
    return write_rr(&p.m, b"", 0, TYPE_SOA, ttl_s, rdata, size + 20)


cdef void write_nameservers(Pen* p) noexcept nogil:
    cdef uint8_t name[256]
    cdef uint32_t size
    cdef Query q
    cdef Request r
    if p.conf.outside:
        size = put_target(p, p.conf.nameserver, p.conf.nameserver_len, name)
        write_rr(&p.m, b"", 0, TYPE_NS, p.conf.cluster.ttl_s, name, size)
        add_exposed_nameservers(p.ctx, &p.conf.cluster, &p.ctx.reply.additional, name, <uint16_t>size, 0,
                                p.conf.headless)
    else:
        # Where the zone's own spelling is looked for.
        q.msg = p.t.spelled - HEADER_BYTES
        if not parse_question_name(p.t.spelled, p.t.name_len, &q):
            return
        start_request(&r, &q, p.zone)
        answer_nameservers(p.ctx, &p.conf.cluster, &r, TYPE_NS)
    if write_section(&p.m, &p.ctx.reply.answer):
        write_section(&p.m, &p.ctx.reply.additional)


cdef bint write_part(Pen* p) noexcept nogil:
    """Write what comes next. Returns whether the part is complete."""
    cdef Progress* progress = p.progress
    if progress.part == OPENING:
        if not write_soa(p):
            return False
        progress.part = SENT if progress.short else NAMESERVERS
    elif progress.part == NAMESERVERS:
        write_nameservers(p)
        progress.part = SERVICES
        # It may have used the whole message.
        return False
    elif progress.part == SERVICES:
        if not write_services(p):
            return False
        progress.part = CLOSING
    else:
        if not write_soa(p):
            return False
        progress.part = SENT
    return True


cdef uint32_t serial_now(const Context* ctx, const Conf* conf, const Zone* zone) noexcept nogil:
    cdef uint32_t serial = <uint32_t>load(&source_state(ctx.store, conf.source + zone.multicluster).soa_serial)
    return serial - 1 if is_up_to_date(serial, <uint32_t>time(NULL)) else serial


cdef Given begin(Context* ctx, const void* opaque, Outgoing* t, bint has_serial, uint32_t serial) noexcept nogil:
    cdef const Zones* conf = <const Zones*>opaque
    cdef Progress* progress = <Progress*>t.state
    cdef uint32_t longest = max(conf.nameserver_len, conf.mailbox_len)
    cdef uint32_t i
    for i in range(conf.zone_count):
        if conf.zones[i].name_len == t.name_len and memcmp(t.name, conf.zones[i].name, t.name_len) == 0:
            break
    else:
        return NOT_HERE
    if longest + t.name_len > MAX_NAME_BYTES:
        return NOT_HERE
    if not load(&source_state(ctx.store, conf.cluster.source).synced) & 1:
        return NOT_LOADED
    progress.zone = i
    t.serial = serial_now(ctx, &conf.cluster, &conf.zones[i])
    t.kind = WHOLE_ZONE
    if has_serial and is_up_to_date(serial, t.serial):
        t.kind = UP_TO_DATE
        progress.short = True
    return GIVEN


cdef int32_t next_message(Outgoing* t, Context* ctx, const void* opaque, uint8_t* out,
                          uint32_t room) noexcept nogil:
    cdef const Zones* conf = <const Zones*>opaque
    cdef Progress* progress = <Progress*>t.state
    cdef Pen p
    if progress.part == SENT:
        return ALL_SENT
    p.t = t
    p.progress = progress
    p.ctx = ctx
    p.conf = conf
    p.zone = &conf.zones[progress.zone]
    p.looked = 0
    begin_message(&p.m, t, out, room)
    while progress.part != SENT and write_part(&p):
        pass
    return LATER if p.m.count == 0 else end_message(&p.m)


cdef class ClusterTransfer(NativeTransfer):
    cdef Zones conf
    cdef Zone* zones
    cdef list keep

    def __init__(self, AnswerOptions options not None, *, outside=None, bytes nameserver not None=b"\x02ns\x03dns",
                 bytes mailbox not None=b"\x0ahostmaster", ttl_s=None, bint headless=False):
        cdef uint32_t i
        assert sizeof(Progress) <= TRANSFER_WORDS * 8
        own = {options.conf.zones[i].name[:options.conf.zones[i].name_len]: options.conf.zones[i].multicluster
               for i in range(options.conf.zone_count)}
        zones = [zone for zone in (own if outside is None else outside) if not zone.endswith(REVERSE)]
        self.keep = [options, nameserver, mailbox, zones]
        self.conf.cluster = options.conf
        self.conf.outside = outside is not None
        self.zones = zones_of(zones)
        self.conf.zones = self.zones
        self.conf.zone_count = <uint32_t>len(zones)
        for i in range(self.conf.zone_count):
            self.zones[i].multicluster = outside is None and own[zones[i]]
        if ttl_s is not None:
            self.conf.cluster.ttl_s = ttl_s
        self.conf.nameserver = nameserver
        self.conf.nameserver_len = len(nameserver)
        self.conf.mailbox = mailbox
        self.conf.mailbox_len = len(mailbox)
        self.conf.headless = headless
        self.transfer.begin = begin
        self.transfer.next = next_message
        self.transfer.conf = &self.conf

    def __dealloc__(self):
        free(self.zones)
