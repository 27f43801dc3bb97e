"""Services, Namespaces and Pods in protobuf, as far as DNS needs them: they become the structs of objects.py.

Field numbers: generated.proto of k8s.io/api (core/v1) and k8s.io/apimachinery (meta/v1). Everything else is skipped
unread. Messages nest only as deep as the functions below call each other.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcmp

from fastdns.plugins.kubernetes.api.protobuf._fields cimport (
    BYTES, VARINT, Cursor, Field, inside, next_field, text_of, text_or_none, whole,
)
from fastdns.plugins.kubernetes.objects import (
    Ingress, LoadBalancer, Metadata, Namespace, Pod, PodStatus, Port, Service, ServiceSpec, ServiceStatus,
)

# Labels and annotations that are read; all others are skipped.
cdef tuple KEYS = (
    b"kubernetes.io/service-name", b"multicluster.kubernetes.io/service-name",
    b"multicluster.kubernetes.io/source-cluster", b"endpoints.kubernetes.io/last-change-trigger-time",
    b"k8s.io/initial-events-end",
)
cdef tuple KEY_TEXTS = tuple(key.decode() for key in KEYS)


cdef dict with_pair(const Field* f, dict found):
    """found with an entry of a map of strings, where its key is one of KEYS. found: None where it is empty."""
    cdef Cursor c = inside(f)
    cdef Field part
    cdef Field key
    cdef Field value
    cdef Py_ssize_t i
    cdef bytes known
    key.data = key.end = value.data = value.end = NULL
    key.type = value.type = BYTES
    while next_field(&c, &part):
        if part.number == 1:
            key = part
        elif part.number == 2:
            value = part
    whole(&c)
    for i in range(5):
        known = <bytes>KEYS[i]
        if key.end - key.data == PyBytes_GET_SIZE(known) and \
                memcmp(key.data, PyBytes_AS_STRING(known), key.end - key.data) == 0:
            if found is None:
                found = {}
            found[KEY_TEXTS[i]] = text_of(&value)
    return found


cdef object metadata_of(const Field* f):
    cdef Cursor c = inside(f)
    cdef Field part
    cdef str name = ""
    cdef str namespace = ""
    cdef str version = ""
    cdef object deleted = None
    cdef object created = None
    cdef dict labels = None
    cdef dict annotations = None
    while next_field(&c, &part):
        if part.number == 1:
            name = text_of(&part)
        elif part.number == 3:
            namespace = text_of(&part)
        elif part.number == 6:
            version = text_of(&part)
        elif part.number == 8:
            created = seconds_of(&part)
        elif part.number == 9:
            deleted = seconds_of(&part)
        elif part.number == 11:
            labels = with_pair(&part, labels)
        elif part.number == 12:
            annotations = with_pair(&part, annotations)
    whole(&c)
    return Metadata(name, namespace, version, labels, annotations, deleted, created)


cdef object seconds_of(const Field* f):
    """A meta/v1 Time, as text: its seconds since 1970."""
    cdef Cursor c = inside(f)
    cdef Field part
    cdef uint64_t seconds = 0
    while next_field(&c, &part):
        if part.number == 1:
            seconds = part.value
    whole(&c)
    return str(seconds)


cdef object port_of(const Field* f):
    """A core/v1 ServicePort."""
    cdef Cursor c = inside(f)
    cdef Field part
    cdef object name = None
    cdef object protocol = None
    cdef object number = None
    while next_field(&c, &part):
        if part.number == 1:
            name = text_or_none(&part)
        elif part.number == 2:
            protocol = text_or_none(&part)
        elif part.number == 3:
            if part.type != VARINT:
                raise ValueError("its protobuf has no number where a port is expected")
            number = <int32_t>part.value
    whole(&c)
    return Port(name, protocol, number)


cdef object service_of(Cursor c):
    cdef Field part
    cdef object meta = None
    cdef object spec = None
    cdef object status = None
    while next_field(&c, &part):
        if part.number == 1:
            meta = metadata_of(&part)
        elif part.number == 2:
            spec = service_spec_of(&part)
        elif part.number == 3:
            status = service_status_of(&part)
    whole(&c)
    return Service(meta or Metadata(), spec or ServiceSpec(), status)


cdef object service_status_of(const Field* f):
    cdef Cursor c = inside(f)
    cdef Field part
    cdef list ingress = None
    while next_field(&c, &part):
        if part.number == 1:
            ingress = ingress_of(&part)
    whole(&c)
    return ServiceStatus(LoadBalancer(ingress)) if ingress else None


cdef list ingress_of(const Field* f):
    """A core/v1 LoadBalancerStatus."""
    cdef Cursor c = inside(f)
    cdef Cursor one
    cdef Field entry
    cdef Field part
    cdef object address
    cdef object name
    cdef list found = []
    while next_field(&c, &entry):
        if entry.number == 1:
            address = None
            name = None
            one = inside(&entry)
            while next_field(&one, &part):
                if part.number == 1:
                    address = text_or_none(&part)
                elif part.number == 2:
                    name = text_or_none(&part)
            whole(&one)
            found.append(Ingress(address, name))
    whole(&c)
    return found


cdef object service_spec_of(const Field* f):
    cdef Cursor c = inside(f)
    cdef Field part
    cdef object kind = None
    cdef object address = None
    cdef object external = None
    cdef list addresses = []
    cdef list ports = []
    cdef list outside = []
    while next_field(&c, &part):
        if part.number == 1:
            ports.append(port_of(&part))
        elif part.number == 3:
            address = text_or_none(&part)
        elif part.number == 4:
            kind = text_or_none(&part)
        elif part.number == 5:
            outside.append(text_of(&part))
        elif part.number == 10:
            external = text_or_none(&part)
        elif part.number == 18:
            addresses.append(text_of(&part))
    whole(&c)
    return ServiceSpec(kind, address, addresses or None, external, ports or None, outside or None)


cdef object namespace_of(Cursor c):
    cdef Field part
    cdef object meta = None
    while next_field(&c, &part):
        if part.number == 1:
            meta = metadata_of(&part)
    whole(&c)
    return Namespace(meta or Metadata())


cdef object pod_of(Cursor c):
    cdef Field part
    cdef object meta = None
    cdef object status = None
    while next_field(&c, &part):
        if part.number == 1:
            meta = metadata_of(&part)
        elif part.number == 3:
            status = pod_status_of(&part)
    whole(&c)
    return Pod(meta or Metadata(), status)


cdef object pod_status_of(const Field* f):
    cdef Cursor c = inside(f)
    cdef Field part
    cdef object address = None
    cdef object phase = None
    while next_field(&c, &part):
        if part.number == 1:
            phase = text_or_none(&part)
        elif part.number == 6:
            address = text_or_none(&part)
    whole(&c)
    return PodStatus(address, phase)
