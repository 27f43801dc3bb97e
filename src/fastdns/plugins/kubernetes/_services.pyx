"""Services: their ClusterIPs, ports and endpoints; names of three labels and more that end in svc."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns._chain cimport Context
from fastdns._store cimport Record, record_payload
from fastdns._wire cimport TYPE_A, TYPE_AAAA, TYPE_SRV, put_u16
from fastdns.plugins.kubernetes._layout cimport (
    FLAG_HAS_ENDPOINTS, FLAG_MAY_REPEAT, NO_ZONE, PORT_NONE, TYPE_CLUSTER_IP, TYPE_EXTERNAL_NAME, TYPE_HEADLESS,
    TYPE_SLICES_ONLY, PortHead, Section, ServiceHead, name_tag, section_addresses, section_blob,
    section_tags, section_zones,
)
from fastdns.plugins.kubernetes._packing cimport endpoint_text
from fastdns.plugins.kubernetes._request cimport (
    EMPTY, EXISTS, NAME_ERROR, Conf, Found, Request, Seen, add_address, add_srv, external_name, find_service,
    label_is, label_of, same_lowered, seen_before, seen_start, service_name, spelled_zone, srv_weight,
)

cdef enum:
    MAX_PORTS = 1024            # of one service or slice that an answer looks at


# -------------------------------------------------------------------------------------------------- ports

cdef inline const PortHead* next_port(const PortHead* port) noexcept nogil:
    return <const PortHead*>(<const uint8_t*>port + sizeof(PortHead) + port.protocol_len + port.name_len)


cdef inline bint port_matches(const Request* r, const PortHead* port) noexcept nogil:
    cdef const uint8_t* text = <const uint8_t*>port + sizeof(PortHead)
    if r.protocol_len and (r.protocol_len != port.protocol_len
                           or memcmp(text, r.protocol, r.protocol_len) != 0):
        return False
    if r.port_len and (r.port_len != port.name_len
                       or memcmp(text + port.protocol_len, r.port, r.port_len) != 0):
        return False
    return True


cdef uint32_t matching_ports(const Request* r, const PortHead* port, uint32_t count, uint16_t* numbers,
                             uint32_t* distinct) noexcept nogil:
    """How many ports match; numbers gets each different port number once, the stand-in not at all."""
    cdef uint32_t _i, j, matched = 0
    distinct[0] = 0
    for _i in range(count):
        if port_matches(r, port):
            matched += 1
            if not port.flags & PORT_NONE and distinct[0] < MAX_PORTS:
                j = 0
                while j < distinct[0] and numbers[j] != port.port:
                    j += 1
                if j == distinct[0]:
                    numbers[j] = port.port
                    distinct[0] += 1
        port = next_port(port)
    return matched


# ---------------------------------------------------------------------------------------------- endpoints

cdef inline bint endpoint_is(const Section* s, uint32_t i, const uint8_t* label, uint16_t tag) noexcept nogil:
    cdef uint8_t derived[64]
    cdef const uint8_t* text
    if section_tags(s)[i] != tag:
        return False
    return endpoint_text(s, i, derived, &text) == label[0] and same_lowered(label + 1, text, label[0])


cdef bint in_topology_zone(const Request* r, const Section* s, uint32_t i) noexcept nogil:
    """Whether endpoint i is in the topology zone that the leftmost labels name, dots between them."""
    cdef uint16_t at
    cdef const uint8_t* entry
    cdef const uint8_t* label
    cdef uint32_t j, pos = 1
    if not s.has_zones:
        return False
    at = section_zones(s)[i]
    if at == NO_ZONE:
        return False
    entry = section_blob(s) + at
    for j in range(r.topology_labels):
        label = label_of(r, j)
        if j:
            if pos > entry[0] or entry[pos] != 46:
                return False
            pos += 1
        if pos + label[0] > <uint32_t>entry[0] + 1 or memcmp(entry + pos, label + 1, label[0]) != 0:
            return False
        pos += label[0]
    return pos == <uint32_t>entry[0] + 1


cdef inline bint cluster_is(const Request* r, const uint8_t* cluster, uint32_t size) noexcept nogil:
    """Whether an endpoint's cluster is the one asked for; none asked for is that without a name."""
    if r.cluster == NULL:
        return size == 0
    return r.cluster[0] == size and same_lowered(r.cluster + 1, cluster, size)


cdef inline bint endpoint_wanted(const Request* r, const Section* s, uint32_t i, uint16_t tag,
                                 bint any_zone) noexcept nogil:
    if r.topology_labels and not any_zone and not in_topology_zone(r, s, i):
        return False
    return r.endpoint == NULL or endpoint_is(s, i, r.endpoint, tag)


cdef uint64_t answer_endpoints(Context* ctx, const Conf* conf, const Request* r, const Record* record,
                               uint16_t qtype, bint any_zone) noexcept nogil:
    """Records of a service's endpoints; returns the candidates: (port, address) pairs of any family."""
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef const uint8_t* first = <const uint8_t*>head + head.sections_at
    cdef const uint8_t* at = first
    cdef const Section* s
    cdef const uint8_t* address
    cdef const uint8_t* text
    cdef uint8_t* target
    cdef uint8_t derived[64]
    cdef uint8_t identity[64 + 64 + 16]
    cdef uint16_t numbers[MAX_PORTS]
    cdef uint16_t target_len = 0, tag = 0, weight = 0
    cdef uint32_t _i, _k, i, j, distinct, size, cluster_len, identity_len
    cdef uint64_t candidates = 0
    cdef uint64_t matched
    cdef const uint8_t* cluster
    cdef Seen seen
    cdef bint srv = qtype == TYPE_SRV
    cdef uint32_t want = 4 if qtype == TYPE_A else 16 if qtype == TYPE_AAAA else 0
    if r.endpoint != NULL:
        tag = name_tag(r.endpoint + 1, r.endpoint[0])
    if srv:
        # The weight needs the number of candidates first.
        candidates = answer_endpoints(ctx, conf, r, record, 0, any_zone)
        if candidates == 0:
            return 0
        weight = srv_weight(candidates)
    seen_start(&seen, head.flags & FLAG_MAY_REPEAT != 0)
    for _k in range(head.section_count):
        s = <const Section*>at
        at += s.total_len
        if s.count == 0:
            continue
        cluster = <const uint8_t*>s + sizeof(Section) + s.ports_len
        cluster_len = s.cluster_len
        if r.endpoint != NULL and r.zone.multicluster and not cluster_is(r, cluster, cluster_len):
            continue
        matched = matching_ports(r, <const PortHead*>(<const uint8_t*>s + sizeof(Section)), s.port_count,
                                 numbers, &distinct)
        if matched == 0:
            continue
        address = section_addresses(s)
        if want and r.endpoint == NULL and r.topology_labels == 0:
            # The common case: every address of the slice.
            candidates += matched * s.count
            if want == s.address_len:
                for _i in range(s.count):
                    if not seen_before(ctx, &seen, address, want):
                        if not add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, address, want,
                                           conf.ttl_s):
                            return candidates
                    address += want
            continue
        for i in range(s.count):
            if not endpoint_wanted(r, s, i, tag, any_zone):
                address += s.address_len
                continue
            if want:
                candidates += matched
                if want == s.address_len and not seen_before(ctx, &seen, address, want):
                    if not add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, address, want, conf.ttl_s):
                        return candidates
            elif not srv:
                candidates += matched
            elif distinct:
                size = endpoint_text(s, i, derived, &text)
                target = service_name(ctx, record, text, size, cluster, cluster_len, spelled_zone(ctx, r),
                                      r.zone.name_len, &target_len)
                if target == NULL:
                    if ctx.reply.tc:
                        return candidates
                    # Longer than a domain name may be.
                    address += s.address_len
                    continue
                # What tells targets of one service apart: endpoint name and cluster.
                memcpy(identity, text, size)
                identity_len = size
                identity[identity_len] = 0
                memcpy(identity + identity_len + 1, cluster, cluster_len)
                identity_len += 1 + cluster_len
                for j in range(distinct):
                    put_u16(identity + identity_len, numbers[j])
                    if not seen_before(ctx, &seen, identity, identity_len + 2):
                        if not add_srv(ctx, r, weight, numbers[j], target, target_len, conf.ttl_s):
                            return candidates
                memcpy(identity + identity_len, address, s.address_len)
                if not seen_before(ctx, &seen, identity, identity_len + s.address_len):
                    if not add_address(ctx, &ctx.reply.additional, target, target_len, address, s.address_len,
                                       conf.ttl_s):
                        return candidates
            address += s.address_len
    return candidates


# ----------------------------------------------------------------------------------------------- services

cdef bint answer_cluster_ips(Context* ctx, const Conf* conf, const Request* r, const Record* record,
                             uint16_t qtype) noexcept nogil:
    """Records of a service's ClusterIPs. False where no port matches."""
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef const uint8_t* ip4 = <const uint8_t*>head + sizeof(ServiceHead)
    cdef const uint8_t* ip6 = ip4 + 4 * head.ip4_count
    cdef const PortHead* ports = <const PortHead*>(ip6 + 16 * head.ip6_count)
    cdef uint16_t numbers[MAX_PORTS]
    cdef uint32_t distinct, i, matched
    cdef uint16_t target_len = 0, weight
    cdef uint8_t* target
    if r.port_len | r.protocol_len or qtype == TYPE_SRV:
        matched = matching_ports(r, ports, head.port_count, numbers, &distinct)
    else:
        # Without a filter every port matches, and their numbers do not matter.
        matched = head.port_count
    if matched == 0:
        return False
    if qtype == TYPE_A:
        for i in range(head.ip4_count):
            add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, ip4 + 4 * i, 4, conf.ttl_s)
    elif qtype == TYPE_AAAA:
        for i in range(head.ip6_count):
            add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, ip6 + 16 * i, 16, conf.ttl_s)
    elif qtype == TYPE_SRV and distinct and head.ip4_count + head.ip6_count:
        target = service_name(ctx, record, NULL, 0, NULL, 0, spelled_zone(ctx, r), r.zone.name_len, &target_len)
        if target == NULL:
            return True
        weight = srv_weight(<uint64_t>matched * (head.ip4_count + head.ip6_count))
        for i in range(distinct):
            add_srv(ctx, r, weight, numbers[i], target, target_len, conf.ttl_s)
        for i in range(head.ip4_count):
            add_address(ctx, &ctx.reply.additional, target, target_len, ip4 + 4 * i, 4, conf.ttl_s)
        for i in range(head.ip6_count):
            add_address(ctx, &ctx.reply.additional, target, target_len, ip6 + 16 * i, 16, conf.ttl_s)
    return True


cdef bint read_shape(const Conf* conf, Request* r) noexcept nogil:
    """What the labels left of SVC.NS.svc mean. False where they mean nothing."""
    cdef uint32_t extra = r.labels - 3
    cdef const uint8_t* left
    cdef const uint8_t* right
    r.endpoint = NULL
    r.port = NULL
    r.protocol = NULL
    r.cluster = NULL
    r.port_len = 0
    r.protocol_len = 0
    r.topology_labels = 0
    r.prefer = False
    if extra == 0:
        return True
    if extra == 1:
        r.endpoint = label_of(r, 0)
        return True
    left = label_of(r, 0)
    right = label_of(r, 1)
    if extra == 2:
        if r.zone.multicluster and left[1] != 95 and right[1] != 95:
            r.endpoint = left
            r.cluster = right
            return True
        r.port = left + (2 if left[1] == 95 else 1)
        r.port_len = left[0] - (left[1] == 95)
        r.protocol = right + (2 if right[1] == 95 else 1)
        r.protocol_len = right[0] - (right[1] == 95)
        return True
    if not conf.zonal or r.zone.multicluster or not label_is(label_of(r, extra - 1), b"_zone", 5):
        return False
    right = label_of(r, extra - 2)
    if label_is(right, b"prefer", 6):
        r.prefer = True
    elif not label_is(right, b"pin", 3):
        return False
    r.topology_labels = extra - 2
    return True


cdef Found answer_service(Context* ctx, const Conf* conf, Request* r, uint16_t qtype,
                          const Record** external) noexcept nogil:
    """A name of at least three labels that ends in svc. external gets the record of an ExternalName."""
    cdef const Record* record
    cdef const ServiceHead* head
    cdef uint32_t size
    cdef uint64_t candidates
    if not read_shape(conf, r):
        return NAME_ERROR
    record = find_service(ctx, conf, label_of(r, r.labels - 3), r.zone.multicluster)
    if record == NULL:
        return NAME_ERROR
    head = <const ServiceHead*>record_payload(record)
    if head.svc_type == TYPE_SLICES_ONLY:
        return NAME_ERROR
    if conf.ignore_empty_service and head.svc_type == TYPE_CLUSTER_IP and not head.flags & FLAG_HAS_ENDPOINTS:
        return NAME_ERROR
    if r.topology_labels and head.svc_type != TYPE_HEADLESS:
        return NAME_ERROR
    if head.svc_type == TYPE_EXTERNAL_NAME:
        if r.endpoint != NULL or r.port_len or r.protocol_len:
            return NAME_ERROR
        external_name(record, &size)
        if size == 0:
            return NAME_ERROR
        external[0] = record
        return EXISTS
    if head.svc_type == TYPE_HEADLESS or r.endpoint != NULL:
        candidates = answer_endpoints(ctx, conf, r, record, qtype, False)
        if candidates == 0 and r.prefer:
            candidates = answer_endpoints(ctx, conf, r, record, qtype, True)
        if candidates == 0:
            return EMPTY if r.topology_labels else NAME_ERROR
        return EXISTS
    if not answer_cluster_ips(ctx, conf, r, record, qtype):
        return NAME_ERROR
    return EXISTS if head.ip4_count + head.ip6_count else EMPTY
