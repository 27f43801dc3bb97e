"""Kubernetes' protobuf, a message at a time: the objects of lists and watches, and what else the API server says.

Field numbers: generated.proto of k8s.io/apimachinery (meta/v1, runtime). An answer is ``k8s\\0`` and a
runtime.Unknown, whose raw is the object. The frame of a watch is a meta/v1 WatchEvent, whose object is again such
an envelope.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int32_t
from libc.string cimport memcmp

from fastdns.plugins.kubernetes.api.protobuf._fields cimport (
    BYTES, VARINT, Cursor, Field, inside, next_field, over, text_of, whole,
)
from fastdns.plugins.kubernetes.api.protobuf._objects cimport namespace_of, pod_of, service_of
from fastdns.plugins.kubernetes.api.protobuf._slices cimport slice_of
from fastdns.plugins.kubernetes.sink import Resource

MAGIC = b"k8s\0"

cdef int SERVICE = Resource.SERVICE
cdef int SLICE = Resource.SLICE
cdef int NAMESPACE = Resource.NAMESPACE
cdef int POD = Resource.POD
cdef int IMPORT_SLICE = Resource.IMPORT_SLICE


cdef object object_of(object resource, bytes data, Cursor c):
    """The object whose message c covers, within data."""
    cdef int kind = resource
    if kind == SLICE or kind == IMPORT_SLICE:
        return slice_of(data, c)
    if kind == SERVICE:
        return service_of(c)
    if kind == NAMESPACE:
        return namespace_of(c)
    if kind == POD:
        return pod_of(c)
    raise ValueError(f"{resource!r} has no protobuf")


cdef Cursor unwrapped(Cursor c) except *:
    """The object in an envelope."""
    cdef Cursor raw
    cdef Field part
    if c.end - c.at < 4 or memcmp(c.at, PyBytes_AS_STRING(MAGIC), 4) != 0:
        raise ValueError("it does not begin as Kubernetes' protobuf does")
    c.at += 4
    raw.at = raw.end = c.at
    raw.failed = False
    while next_field(&c, &part):
        if part.number == 2 and part.type == BYTES:
            raw = inside(&part)
    whole(&c)
    return raw


cdef Cursor event_envelope(Cursor c, Field* kind) except *:
    """The envelope in the frame of a watch. kind becomes the field with the type of the event."""
    cdef Cursor inner
    cdef Cursor raw
    cdef Field part
    cdef Field field
    raw.at = raw.end = c.at
    raw.failed = False
    kind.type = BYTES
    kind.data = kind.end = c.at
    while next_field(&c, &part):
        if part.number == 1:
            kind[0] = part
        elif part.number == 2:
            inner = inside(&part)
            while next_field(&inner, &field):
                if field.number == 1 and field.type == BYTES:
                    raw = inside(&field)
            whole(&inner)
    whole(&c)
    return raw


cdef bytes bytes_of(Cursor c):
    return c.at[:c.end - c.at]


def decode_object(resource, bytes data not None):
    """One object of a resource. Raises ValueError where it is none."""
    return object_of(resource, data, over(data))


def decode_event(resource, bytes frame not None):
    """(type, object) of a frame of a watch; the object of an ERROR is None. Raises ValueError."""
    cdef Field kind
    cdef Cursor envelope = event_envelope(over(frame), &kind)
    cdef str what = text_of(&kind)
    return what, None if what == "ERROR" else object_of(resource, frame, unwrapped(envelope))


def split_event(bytes frame not None):
    """(type, bytes of the object) of a frame of a watch. Raises ValueError."""
    cdef Field kind
    cdef Cursor envelope = event_envelope(over(frame), &kind)
    return text_of(&kind), bytes_of(unwrapped(envelope))


def unwrap(bytes data not None):
    """The bytes of the object in an envelope. Raises ValueError."""
    return bytes_of(unwrapped(over(data)))


def decode_name(bytes data not None):
    """(namespace, name, resourceVersion) of any object, as far as they can be read. Raises nothing."""
    cdef Cursor c = over(data)
    cdef Cursor inner
    cdef Field part
    cdef Field field
    cdef dict found = {}
    while next_field(&c, &part):
        if part.number != 1 or part.type != BYTES:
            continue
        inner = inside(&part)
        while next_field(&inner, &field):
            if field.type == BYTES and field.number in (1, 3, 6):
                found[field.number] = field.data[:field.end - field.data].decode("utf-8", "replace")
    return found.get(3, ""), found.get(1, ""), found.get(6, "")


def decode_status(bytes data not None):
    """(code, message) of a meta/v1 Status. Raises ValueError."""
    cdef Cursor c = over(data)
    cdef Field part
    cdef str message = ""
    cdef int code = 0
    while next_field(&c, &part):
        if part.number == 3:
            message = text_of(&part)
        elif part.number == 6 and part.type == VARINT:
            code = <int32_t>part.value
    whole(&c)
    return code, message
