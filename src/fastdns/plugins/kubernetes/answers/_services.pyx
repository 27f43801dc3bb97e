"""Services: their ClusterIPs, ports and endpoints; names of three labels and more that end in svc."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastdns.serve._context cimport Context
from fastdns.memory._store cimport Record, record_payload
from fastdns._wire cimport TYPE_A, TYPE_AAAA, TYPE_SRV, put_u16
from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, FLAG_HAS_ENDPOINTS, FLAG_MAY_REPEAT, TYPE_CLUSTER_IP, TYPE_EXTERNAL_NAME, TYPE_HEADLESS,
    NO_ZONE, TYPE_SLICES_ONLY, SectionView, SectionWalk, ServiceHead, blob_text, next_section, nth_by_name,
    target_name, walk_sections, wire_name_bytes,
)
from fastdns.plugins.kubernetes.records._ports cimport matching_ports
from fastdns.plugins.kubernetes.answers._request cimport (
    EMPTY, EXISTS, LOOKS, NAME_ERROR, SCANNED_A_LOOK, Alias, Conf, Found, Request, Seen, add_address, add_srv,
    external_name, find_service, label_is, label_of, may_look, same_lowered, seen_before, seen_start, service_name,
    spelled_zone, srv_weight,
)
from fastdns.plugins.kubernetes.records._endpoints cimport Named, endpoint_text, find_named
from fastdns.plugins.kubernetes.records._names cimport undashed

cdef enum:
    MAX_PORTS = 1024            # different numbers of ports in an answer


# ---------------------------------------------------------------------------------------------- endpoints

cdef bint zone_is(const Request* r, const uint8_t* text, uint32_t size) noexcept nogil:
    """Whether a topology zone is the one that the leftmost labels name, dots between them."""
    cdef const uint8_t* label
    cdef uint32_t j, pos = 0
    for j in range(r.topology_labels):
        label = label_of(r, j)
        if j:
            if pos >= size or text[pos] != 46:
                return False
            pos += 1
        if pos + label[0] > size or memcmp(text + pos, label + 1, label[0]) != 0:
            return False
        pos += label[0]
    return pos == size


cdef inline bint cluster_is(const Request* r, const uint8_t* cluster, uint32_t size) noexcept nogil:
    """Whether an endpoint's cluster is the one asked for; none asked for is that without a name."""
    if r.cluster == NULL:
        return size == 0
    return r.cluster[0] == size and same_lowered(r.cluster + 1, cluster, size)


# Which endpoints of a section a question is about: a range of them, a range of those by name, or those of a zone.
cdef struct Wanted:
    bint every
    uint32_t next               # of the endpoints
    uint32_t end
    uint32_t next_named         # of by_name
    uint32_t end_named
    bint by_zone
    bint zone_known             # then zone is the place of its text
    uint16_t zone
    uint16_t others[16]         # places of the texts of other zones, as they were seen


cdef void start_wanted(const Request* r, const SectionView* v, bint any_zone, Wanted* w) noexcept nogil:
    cdef Named named
    w.every = False
    w.by_zone = False
    w.zone_known = False
    w.next = 0
    w.end = 0
    w.next_named = 0
    w.end_named = 0
    w.zone = 0
    if r.endpoint != NULL:
        find_named(v, r.endpoint, r.endpoint_address, r.endpoint_address_len, &named)
        w.next = named.first_address
        w.end = named.end_address
        w.next_named = named.first
        w.end_named = named.end
    elif r.topology_labels and not any_zone:
        w.by_zone = True
        memset(w.others, 0xFF, sizeof(w.others))
        w.end = v.count if v.zones != NULL else 0
    else:
        w.every = True
        w.end = v.count


cdef inline bint next_wanted(Context* ctx, const Request* r, const SectionView* v, Wanted* w, Seen* seen,
                             uint32_t* i) noexcept nogil:
    """The next endpoint; False at the end, or where the work has reached its bound."""
    cdef const uint8_t* text
    cdef uint32_t size, scanned = 0
    cdef uint16_t place
    if not w.by_zone:
        if not may_look(ctx, seen, 1):
            return False
        if w.next < w.end:
            i[0] = w.next
            w.next += 1
            return True
        if w.next_named < w.end_named:
            i[0] = nth_by_name(v, w.next_named)
            w.next_named += 1
            return True
        return False
    while w.next < w.end:
        place = v.zones[w.next]
        w.next += 1
        scanned += 1
        if scanned == SCANNED_A_LOOK:
            scanned = 0
            if not may_look(ctx, seen, 1):
                return False
        if w.zone_known:
            # Equal texts are one in the blob.
            if place != w.zone:
                continue
        else:
            if place == NO_ZONE or place == w.others[place & 15]:
                continue
            if not may_look(ctx, seen, 1):
                return False
            size = blob_text(v, place, &text)
            if size == 0 or not zone_is(r, text, size):
                w.others[place & 15] = place
                continue
            w.zone_known = True
            w.zone = place
        i[0] = w.next - 1
        return True
    return False


cdef uint64_t count_wanted(Context* ctx, const Request* r, const SectionView* v, bint any_zone,
                           Seen* seen) noexcept nogil:
    """How many endpoints of a section a question is about."""
    cdef Wanted w
    cdef uint64_t count = 0
    cdef uint32_t i
    start_wanted(r, v, any_zone, &w)
    if not w.by_zone:
        return <uint64_t>(w.end - w.next) + (w.end_named - w.next_named)
    while next_wanted(ctx, r, v, &w, seen, &i):
        count += 1
    return count


cdef uint64_t count_candidates(Context* ctx, const Request* r, const Record* record, bint any_zone,
                               Seen* seen) noexcept nogil:
    """The (port, address) pairs of any family that a question is about."""
    cdef SectionWalk walk
    cdef SectionView v
    cdef uint32_t distinct
    cdef uint64_t matched, candidates = 0
    walk_sections(record_payload(record), record.payload_len, &walk)
    while next_section(&walk, &v) and may_look(ctx, seen, 1):
        if v.count == 0 or not in_cluster(r, &v):
            continue
        matched = matching_ports(v.ports, v.s.ports_len, v.s.port_count, &r.wanted, NULL, 0, &distinct, &seen.looks)
        if matched:
            candidates += matched * count_wanted(ctx, r, &v, any_zone, seen)
    return candidates


cdef inline bint in_cluster(const Request* r, const SectionView* v) noexcept nogil:
    return r.endpoint == NULL or not r.zone.multicluster or cluster_is(r, v.cluster, v.cluster_len)


cdef uint64_t answer_addresses(Context* ctx, const Conf* conf, const Request* r, const Record* record,
                               uint32_t want, bint any_zone, Alias* alias) noexcept nogil:
    """The addresses of want bytes of a service's endpoints, no records where it is 0.

    Returns whether there are endpoints of any family. alias gets the first name that stands in an FQDN slice.
    """
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef SectionWalk walk
    cdef SectionView v
    cdef Wanted w
    cdef Seen seen
    cdef const uint8_t* address
    cdef uint32_t distinct, i, _i, room
    cdef bint found = False
    seen_start(&seen, head.flags & FLAG_MAY_REPEAT != 0)
    walk_sections(record_payload(record), record.payload_len, &walk)
    while next_section(&walk, &v) and may_look(ctx, &seen, 1):
        if v.count == 0 or not in_cluster(r, &v):
            continue
        if found and v.address_len != want and (v.address_len != ADDRESS_IS_NAME or alias.target != NULL):
            # It is known that the name exists.
            continue
        if matching_ports(v.ports, v.s.ports_len, v.s.port_count, &r.wanted, NULL, 0, &distinct, &seen.looks) == 0:
            continue
        start_wanted(r, &v, any_zone, &w)
        if w.every and want == v.address_len:
            # The common case: every address of the slice.
            found = True
            address = v.addresses
            room = v.count if v.count < seen.looks else seen.looks
            for _i in range(room):
                # The length is spelled out: its hash is made without a loop then, and that is most of the work.
                if seen.needed and (seen_before(ctx, &seen, address, 4) if want == 4
                                    else seen_before(ctx, &seen, address, 16)):
                    address += want
                    continue
                if not add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, address, want, conf.ttl_s):
                    return True
                address += want
            if not may_look(ctx, &seen, v.count):
                return True
            continue
        while next_wanted(ctx, r, &v, &w, &seen, &i):
            found = True
            if v.address_len == ADDRESS_IS_NAME:
                if alias.target == NULL:
                    alias.target_len = target_name(&v, i, &alias.target)
                    if alias.target_len == 0:
                        alias.target = NULL
                break
            if v.address_len != want:
                break
            address = v.addresses + <size_t>i * want
            if not seen_before(ctx, &seen, address, want) and not add_address(
                    ctx, &ctx.reply.answer, r.owner, r.owner_len, address, want, conf.ttl_s):
                return True
    return found


cdef uint64_t answer_srv(Context* ctx, const Conf* conf, const Request* r, const Record* record,
                         bint any_zone) noexcept nogil:
    """SRV records of a service's endpoints, and the addresses of their targets. Returns the candidates."""
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef SectionWalk walk
    cdef SectionView v
    cdef Wanted w
    cdef Seen seen
    cdef const uint8_t* address
    cdef const uint8_t* text
    cdef const uint8_t* target
    cdef uint8_t derived[64]
    # A target's name, or an endpoint's with a cluster's, then a port, an address or the slice's place.
    cdef uint8_t identity[256 + 64 + 16]
    cdef uint16_t numbers[MAX_PORTS]
    cdef uint16_t target_len = 0, weight
    cdef uint32_t i, j, distinct, size, identity_len
    cdef uint64_t candidates
    cdef bint name
    seen_start(&seen, head.flags & FLAG_MAY_REPEAT != 0)
    # The weight needs the number of candidates first.
    candidates = count_candidates(ctx, r, record, any_zone, &seen)
    if candidates == 0:
        return 0
    weight = srv_weight(candidates)
    seen.looks = LOOKS
    walk_sections(record_payload(record), record.payload_len, &walk)
    while next_section(&walk, &v) and may_look(ctx, &seen, 1):
        if v.count == 0 or not in_cluster(r, &v):
            continue
        if matching_ports(v.ports, v.s.ports_len, v.s.port_count, &r.wanted, numbers, MAX_PORTS, &distinct,
                          &seen.looks) == 0 or distinct == 0:
            continue
        name = v.address_len == ADDRESS_IS_NAME
        start_wanted(r, &v, any_zone, &w)
        while next_wanted(ctx, r, &v, &w, &seen, &i):
            if name:
                size = target_name(&v, i, &text)
                target = text
                target_len = <uint16_t>size
                if size == 0:
                    continue
            else:
                size = endpoint_text(&v, i, derived, &text)
                target = service_name(ctx, record, text, size, v.cluster, v.cluster_len,
                                      r.zone.outside, spelled_zone(ctx, r), r.zone.name_len, &target_len)
                if target == NULL:
                    if ctx.reply.tc:
                        return candidates
                    # Longer than a domain name may be.
                    continue
            if not seen.needed:
                for j in range(distinct):
                    if not add_srv(ctx, r, weight, numbers[j], target, target_len, conf.ttl_s):
                        return candidates
                if not name and not add_address(ctx, &ctx.reply.additional, target, target_len,
                                                v.addresses + <size_t>i * v.address_len, v.address_len, conf.ttl_s):
                    return candidates
                continue
            # What tells targets of one service apart: endpoint name and cluster.
            memcpy(identity, text, size)
            identity_len = size
            identity[identity_len] = 0
            memcpy(identity + identity_len + 1, v.cluster, v.cluster_len)
            identity_len += 1 + v.cluster_len
            # The ports of a target that another endpoint of this slice has as well are there already.
            memcpy(identity + identity_len, &walk.left, 4)
            if not seen_before(ctx, &seen, identity, identity_len + 4):
                for j in range(distinct):
                    put_u16(identity + identity_len, numbers[j])
                    if not may_look(ctx, &seen, 1):
                        return candidates
                    if not seen_before(ctx, &seen, identity, identity_len + 2):
                        if not add_srv(ctx, r, weight, numbers[j], target, target_len, conf.ttl_s):
                            return candidates
            if name:
                # What a name outside of the service has for addresses, its own question says.
                continue
            address = v.addresses + <size_t>i * v.address_len
            memcpy(identity + identity_len, address, v.address_len)
            if not seen_before(ctx, &seen, identity, identity_len + v.address_len):
                if not add_address(ctx, &ctx.reply.additional, target, target_len, address, v.address_len,
                                   conf.ttl_s):
                    return candidates
    return candidates


cdef uint64_t answer_endpoints(Context* ctx, const Conf* conf, const Request* r, const Record* record,
                               uint16_t qtype, bint any_zone, Alias* alias) noexcept nogil:
    if qtype == TYPE_SRV:
        return answer_srv(ctx, conf, r, record, any_zone)
    return answer_addresses(ctx, conf, r, record, 4 if qtype == TYPE_A else 16 if qtype == TYPE_AAAA else 0,
                            any_zone, alias)


# ----------------------------------------------------------------------------------------------- services

cdef uint32_t answer_fixed(Context* ctx, const Conf* conf, const Request* r, const Record* record, uint16_t qtype,
                           const Fixed* fixed) noexcept nogil:
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef const uint8_t* ports = (<const uint8_t*>head + sizeof(ServiceHead) + 4 * head.ip4_count
                                 + 16 * head.ip6_count)
    cdef uint16_t numbers[MAX_PORTS]
    cdef uint32_t distinct, i, matched, name_at = 0, name_len
    cdef uint32_t looks = LOOKS
    cdef uint16_t target_len = 0, weight
    cdef uint8_t* target
    cdef uint32_t _n
    matched = matching_ports(ports, head.ports_len, head.port_count, &r.wanted,
                             numbers if qtype == TYPE_SRV else NULL, MAX_PORTS, &distinct, &looks)
    if matched == 0:
        return 0
    if qtype == TYPE_A:
        for i in range(fixed.ip4_count):
            add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, fixed.ip4 + 4 * i, 4, conf.ttl_s)
    elif qtype == TYPE_AAAA:
        for i in range(fixed.ip6_count):
            add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, fixed.ip6 + 16 * i, 16, conf.ttl_s)
    elif qtype == TYPE_SRV and distinct:
        weight = srv_weight(<uint64_t>matched * (fixed.ip4_count + fixed.ip6_count + fixed.name_count))
        for _n in range(fixed.name_count):
            name_len = wire_name_bytes(fixed.names + name_at, fixed.names_len - name_at)
            for i in range(distinct if name_len else 0):
                add_srv(ctx, r, weight, numbers[i], fixed.names + name_at, <uint16_t>name_len, conf.ttl_s)
            name_at += name_len
        if fixed.ip4_count + fixed.ip6_count == 0:
            return matched
        target = service_name(ctx, record, NULL, 0, NULL, 0, r.zone.outside, spelled_zone(ctx, r), r.zone.name_len,
                              &target_len)
        if target == NULL:
            return matched
        for i in range(distinct):
            add_srv(ctx, r, weight, numbers[i], target, target_len, conf.ttl_s)
        for i in range(fixed.ip4_count):
            add_address(ctx, &ctx.reply.additional, target, target_len, fixed.ip4 + 4 * i, 4, conf.ttl_s)
        for i in range(fixed.ip6_count):
            add_address(ctx, &ctx.reply.additional, target, target_len, fixed.ip6 + 16 * i, 16, conf.ttl_s)
    return matched


cdef bint answer_cluster_ips(Context* ctx, const Conf* conf, const Request* r, const Record* record,
                             uint16_t qtype) noexcept nogil:
    """Records of a service's ClusterIPs. False where no port matches."""
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef Fixed fixed
    fixed.ip4 = <const uint8_t*>head + sizeof(ServiceHead)
    fixed.ip4_count = head.ip4_count
    fixed.ip6 = fixed.ip4 + 4 * head.ip4_count
    fixed.ip6_count = head.ip6_count
    fixed.names = NULL
    fixed.names_len = 0
    fixed.name_count = 0
    return answer_fixed(ctx, conf, r, record, qtype, &fixed) != 0


cdef bint read_shape(const Conf* conf, Request* r) noexcept nogil:
    cdef uint32_t extra = r.labels - (2 if r.zone.outside else 3)
    cdef const uint8_t* left
    cdef const uint8_t* right
    r.endpoint = NULL
    r.cluster = NULL
    r.wanted.name = NULL
    r.wanted.protocol = NULL
    r.wanted.name_len = 0
    r.wanted.protocol_len = 0
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
        r.wanted.name = left + (2 if left[1] == 95 else 1)
        r.wanted.name_len = left[0] - (left[1] == 95)
        r.wanted.protocol = right + (2 if right[1] == 95 else 1)
        r.wanted.protocol_len = right[0] - (right[1] == 95)
        return True
    if not conf.zonal or r.zone.multicluster or r.zone.outside or not label_is(label_of(r, extra - 1), b"_zone", 5):
        return False
    right = label_of(r, extra - 2)
    if label_is(right, b"prefer", 6):
        r.prefer = True
    elif not label_is(right, b"pin", 3):
        return False
    r.topology_labels = extra - 2
    return True


cdef Found answer_service(Context* ctx, const Conf* conf, Request* r, uint16_t qtype,
                          Alias* alias) noexcept nogil:
    cdef const Record* record
    cdef const ServiceHead* head
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
        if r.endpoint != NULL or r.wanted.name_len or r.wanted.protocol_len:
            return NAME_ERROR
        external_name(record, alias)
        return NAME_ERROR if alias.target == NULL else EXISTS
    if head.svc_type == TYPE_HEADLESS or r.endpoint != NULL:
        if r.endpoint != NULL:
            r.endpoint_address_len = undashed(r.endpoint + 1, r.endpoint[0], r.endpoint_address)
        candidates = answer_endpoints(ctx, conf, r, record, qtype, False, alias)
        if candidates == 0 and r.prefer:
            candidates = answer_endpoints(ctx, conf, r, record, qtype, True, alias)
        if candidates == 0:
            return EMPTY if r.topology_labels else NAME_ERROR
        return EXISTS
    if not answer_cluster_ips(ctx, conf, r, record, qtype):
        return NAME_ERROR
    return EXISTS if head.ip4_count + head.ip6_count else EMPTY
