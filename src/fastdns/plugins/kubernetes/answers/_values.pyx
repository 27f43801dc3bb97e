"""What a question's name says, as values: its kind, namespace, service and so on; nothing is looked up for them."""

from libc.stdint cimport uint8_t, uint32_t

from fastdns.dns._texts cimport put_byte, put_bytes, put_label
from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._request cimport (
    Conf, Request, Zone, label_is, label_of, start_request, zone_of,
)
from fastdns.plugins.kubernetes.answers._services cimport read_shape


cdef inline uint8_t* put(uint8_t* out, const uint8_t* label) noexcept nogil:
    return out if label == NULL else put_label(out, label + 1, label[0])


cdef bint is_understood(const Conf* conf, Request* r) noexcept nogil:
    """Whether a name of three labels or more has one of the shapes; then its parts are known."""
    return read_shape(conf, r) and (r.topology_labels == 0 or label_is(label_of(r, r.labels - 1), b"svc", 3))


cdef uint8_t* put_left(uint8_t* out, const Request* r, Part part) noexcept nogil:
    """A part that stands left of the service."""
    cdef uint32_t i
    if part == ENDPOINT:
        return put(out, r.endpoint)
    if part == PORT_NAME:
        return put_label(out, r.wanted.name, r.wanted.name_len)
    if part == PROTOCOL:
        return put_label(out, r.wanted.protocol, r.wanted.protocol_len)
    if part == CLUSTER:
        return put(out, r.cluster)
    for i in range(r.topology_labels):
        if i:
            out = put_byte(out, b".")
        out = put(out, label_of(r, i))
    return out


cdef uint32_t put_part(const Context* ctx, const Conf* conf, Part part, uint8_t* out) noexcept nogil:
    cdef const Zone* zone = zone_of(conf, ctx.q)
    cdef Request request
    cdef Request* r = &request
    cdef const uint8_t* kind
    cdef uint8_t* end = out
    if zone == NULL:
        return 0
    start_request(r, ctx.q, zone)
    if r.labels == 0:
        return 0
    kind = label_of(r, r.labels - 1)
    if not (label_is(kind, b"svc", 3) or label_is(kind, b"pod", 3)) \
            or (r.labels > 2 and not is_understood(conf, r)):
        return put_bytes(out, b"invalid query name", 18) - out if part == PARSE_ERROR else 0
    # The names svc and pod alone are about nothing.
    if part == PARSE_ERROR or r.labels == 1:
        return 0
    if part == KIND:
        end = put(out, kind)
    elif part == NAMESPACE:
        end = put(out, label_of(r, r.labels - 2))
    elif r.labels > 2:
        end = put(out, label_of(r, r.labels - 3)) if part == SERVICE else put_left(out, r, part)
    return end - out
