"""Kubernetes' protobuf: lists and watches as they come in, as far as DNS needs them.

Field numbers: generated.proto of k8s.io/api (core/v1, discovery/v1) and k8s.io/apimachinery (meta/v1, runtime).
Everything else is skipped unread. What is read of an object becomes the structs of objects.py. A list is
``k8s\\0`` and a runtime.Unknown, whose raw is the list. A watch is frames, each with its length before it (four
bytes, big-endian) and a meta/v1 WatchEvent in it, whose object is again ``k8s\\0`` and a runtime.Unknown.

Every read is checked against the end of the message that it is in. Lengths are bounded by max_bytes before
anything is kept for them, and messages nest only as deep as the functions below call each other.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from fastdns.plugins.kubernetes.sink import Resource
from fastdns.plugins.kubernetes.objects import (
    Conditions, Endpoint, EndpointSlice, Metadata, Namespace, Pod, PodStatus, Port, Service, ServiceSpec, TargetRef,
)

MAGIC = b"k8s\0"

# Labels and annotations that are read; all others are skipped.
cdef tuple KEYS = (
    b"kubernetes.io/service-name", b"multicluster.kubernetes.io/service-name",
    b"multicluster.kubernetes.io/source-cluster", b"endpoints.kubernetes.io/last-change-trigger-time",
    b"k8s.io/initial-events-end",
)
cdef tuple KEY_TEXTS = tuple(key.decode() for key in KEYS)
cdef object READY = Conditions(ready=True)
cdef object UNREADY = Conditions(ready=False)

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5


cdef struct Cursor:
    const uint8_t* at
    const uint8_t* end
    bint failed

# One field: its number, and its value: a number, or where its bytes are.
cdef struct Field:
    uint32_t number
    uint32_t type
    uint64_t value
    const uint8_t* data
    const uint8_t* end


cdef inline uint64_t read_varint(Cursor* c) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t shift = 0
    cdef uint8_t byte
    while c.at < c.end and shift < 64:
        byte = c.at[0]
        value |= <uint64_t>(byte & 0x7F) << shift
        c.at += 1
        if byte < 0x80:
            return value
        shift += 7
    c.failed = True
    c.at = c.end
    return 0


cdef bint next_field(Cursor* c, Field* f) noexcept nogil:
    """The next field of a message; False at its end, or where it is broken (c.failed)."""
    cdef uint64_t key
    if c.at >= c.end:
        return False
    key = read_varint(c)
    f.number = <uint32_t>(key >> 3)
    f.type = key & 7
    f.value = 0
    f.data = f.end = NULL
    if c.failed or key >> 32 or f.number == 0:
        c.failed = True
        return False
    if f.type == VARINT:
        f.value = read_varint(c)
        return not c.failed
    if f.type == BYTES:
        f.value = read_varint(c)
    elif f.type == FIXED64:
        f.value = 8
    elif f.type == FIXED32:
        f.value = 4
    else:
        # Groups are in no Kubernetes message.
        c.failed = True
        return False
    if c.failed or f.value > <uint64_t>(c.end - c.at):
        c.failed = True
        return False
    f.data = c.at
    c.at += f.value
    f.end = c.at
    return True


cdef inline Cursor inside(const Field* f) noexcept nogil:
    cdef Cursor c
    c.at = f.data
    c.end = f.end
    # A message that is not in the form of one.
    c.failed = f.type != BYTES
    return c


cdef int whole(const Cursor* c) except -1:
    if c.failed:
        raise ValueError("its protobuf is broken")
    return 0


cdef str text_of(const Field* f):
    if f.type != BYTES:
        raise ValueError("its protobuf has a number where text is expected")
    return PyUnicode_DecodeUTF8(<const char*>f.data, f.end - f.data, NULL)


cdef object text_or_none(const Field* f):
    # A string that is not set is written as an empty one; JSON leaves it out.
    return text_of(f) if f.type != BYTES or f.data != f.end else None


cdef int add_pair(const Field* f, dict found) except -1:
    """An entry of a map of strings, where its key is one of KEYS."""
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
            found[KEY_TEXTS[i]] = text_of(&value)
    return 0


cdef object metadata_of(const Field* f):
    cdef Cursor c = inside(f)
    cdef Field part
    cdef str name = ""
    cdef str namespace = ""
    cdef str version = ""
    cdef object deleted = None
    cdef dict labels = {}
    cdef dict annotations = {}
    while next_field(&c, &part):
        if part.number == 1:
            name = text_of(&part)
        elif part.number == 3:
            namespace = text_of(&part)
        elif part.number == 6:
            version = text_of(&part)
        elif part.number == 9:
            deleted = deletion_of(&part)
        elif part.number == 11:
            add_pair(&part, labels)
        elif part.number == 12:
            add_pair(&part, annotations)
    whole(&c)
    return Metadata(name, namespace, version, labels or None, annotations or None, deleted)


cdef object deletion_of(const Field* f):
    """A meta/v1 Time, of which only matters that it is there."""
    cdef Cursor c = inside(f)
    cdef Field part
    cdef uint64_t seconds = 0
    while next_field(&c, &part):
        if part.number == 1:
            seconds = part.value
    whole(&c)
    return str(seconds)


cdef object port_of(const Field* f):
    """core/v1 ServicePort and discovery/v1 EndpointPort have these in common."""
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
    while next_field(&c, &part):
        if part.number == 1:
            meta = metadata_of(&part)
        elif part.number == 2:
            spec = service_spec_of(&part)
    whole(&c)
    return Service(meta or Metadata(), spec or ServiceSpec())


cdef object service_spec_of(const Field* f):
    cdef Cursor c = inside(f)
    cdef Field part
    cdef object kind = None
    cdef object address = None
    cdef object external = None
    cdef list addresses = []
    cdef list ports = []
    while next_field(&c, &part):
        if part.number == 1:
            ports.append(port_of(&part))
        elif part.number == 3:
            address = text_or_none(&part)
        elif part.number == 4:
            kind = text_or_none(&part)
        elif part.number == 10:
            external = text_or_none(&part)
        elif part.number == 18:
            addresses.append(text_of(&part))
    whole(&c)
    return ServiceSpec(kind, address, addresses or None, external, ports or None)


cdef object slice_of(Cursor c):
    cdef Field part
    cdef object meta = None
    cdef str address_type = ""
    cdef list endpoints = []
    cdef list ports = []
    while next_field(&c, &part):
        if part.number == 1:
            meta = metadata_of(&part)
        elif part.number == 2:
            endpoints.append(endpoint_of(&part))
        elif part.number == 3:
            ports.append(port_of(&part))
        elif part.number == 4:
            address_type = text_of(&part)
    whole(&c)
    return EndpointSlice(meta or Metadata(), address_type, endpoints or None, ports or None)


cdef object endpoint_of(const Field* f):
    cdef Cursor c = inside(f)
    cdef Field part
    cdef list addresses = []
    cdef object conditions = None
    cdef object hostname = None
    cdef object target = None
    cdef object zone = None
    while next_field(&c, &part):
        if part.number == 1:
            addresses.append(text_of(&part))
        elif part.number == 2:
            conditions = conditions_of(&part)
        elif part.number == 3:
            hostname = text_or_none(&part)
        elif part.number == 4:
            target = target_of(&part)
        elif part.number == 7:
            zone = text_or_none(&part)
    whole(&c)
    return Endpoint(addresses or None, conditions, hostname, target, zone)


cdef object conditions_of(const Field* f):
    cdef Cursor c = inside(f)
    cdef Field part
    cdef object found = None
    while next_field(&c, &part):
        if part.number == 1:
            found = READY if part.value else UNREADY
    whole(&c)
    return found


cdef object target_of(const Field* f):
    cdef Cursor c = inside(f)
    cdef Field part
    cdef object name = None
    while next_field(&c, &part):
        if part.number == 3:
            name = text_or_none(&part)
    whole(&c)
    return TargetRef(name)


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


cdef Cursor over(bytes data) noexcept:
    cdef Cursor c
    c.at = <const uint8_t*>PyBytes_AS_STRING(data)
    c.end = c.at + PyBytes_GET_SIZE(data)
    c.failed = False
    return c


def decode_object(resource, bytes data not None):
    """One object of a resource. Raises ValueError where it is none."""
    cdef int kind = resource
    if kind == Resource.SLICE or kind == Resource.IMPORT_SLICE:
        return slice_of(over(data))
    if kind == Resource.SERVICE:
        return service_of(over(data))
    if kind == Resource.NAMESPACE:
        return namespace_of(over(data))
    if kind == Resource.POD:
        return pod_of(over(data))
    raise ValueError(f"{resource!r} has no protobuf")


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


def unwrap(bytes data not None):
    """(kind, bytes of the object) of what is in an envelope. Raises ValueError."""
    cdef Cursor c = over(data)
    cdef Cursor inner
    cdef Field part
    cdef Field field
    cdef bytes raw = b""
    cdef str kind = ""
    if not data.startswith(MAGIC):
        raise ValueError("it does not begin as Kubernetes' protobuf does")
    c.at += 4
    while next_field(&c, &part):
        if part.number == 1:
            inner = inside(&part)
            while next_field(&inner, &field):
                if field.number == 2:
                    kind = text_of(&field)
            whole(&inner)
        elif part.number == 2 and part.type == BYTES:
            raw = part.data[:part.end - part.data]
    whole(&c)
    return kind, raw


def decode_event(bytes frame not None):
    """(type, envelope) of a frame of a watch. Raises ValueError."""
    cdef Cursor c = over(frame)
    cdef Cursor inner
    cdef Field part
    cdef Field field
    cdef str kind = ""
    cdef bytes raw = b""
    while next_field(&c, &part):
        if part.number == 1:
            kind = text_of(&part)
        elif part.number == 2:
            inner = inside(&part)
            while next_field(&inner, &field):
                if field.number == 1 and field.type == BYTES:
                    raw = field.data[:field.end - field.data]
            whole(&inner)
    whole(&c)
    return kind, raw


cdef class Frames:
    """Cuts a watch into its frames. max_bytes: of one frame."""

    cdef list parts
    cdef uint64_t held
    cdef uint64_t wanted        # of bytes, before anything can be cut off
    cdef uint64_t max_bytes

    def __init__(self, max_bytes):
        self.parts = []
        self.held = 0
        self.wanted = 4
        self.max_bytes = max_bytes

    def feed(self, bytes chunk not None):
        """The frames that are whole now. Raises ValueError where one is over max_bytes."""
        cdef const uint8_t* base
        cdef uint64_t at = 0, size, total
        cdef bytes data
        self.parts.append(chunk)
        self.held += len(chunk)
        if self.held < self.wanted:
            return []
        data = chunk if len(self.parts) == 1 else b"".join(self.parts)
        base = <const uint8_t*>PyBytes_AS_STRING(data)
        total = len(data)
        found = []
        self.wanted = 4
        while total - at >= 4:
            size = <uint64_t>base[at] << 24 | <uint64_t>base[at + 1] << 16
            size |= <uint64_t>base[at + 2] << 8 | base[at + 3]
            if size > self.max_bytes:
                raise ValueError(f"a frame is over {self.max_bytes} bytes")
            if total - at - 4 < size:
                self.wanted = size + 4
                break
            found.append(data[at + 4:at + 4 + size])
            at += 4 + size
        self.parts = [data[at:]] if at < total else []
        self.held = total - at
        return found


cdef class Items:
    """Takes a list apart as its bytes come. max_bytes: of one item, and of everything else that is in one piece.

    resource_version and continue_token are there with the first item. is_whole: whether nothing is missing.
    """

    cdef list parts
    cdef uint64_t held
    cdef uint64_t wanted
    cdef uint64_t max_bytes
    cdef uint64_t left          # of the list, where within says that it has begun
    cdef bint begun
    cdef bint within
    cdef bint seen
    cdef readonly str resource_version
    cdef readonly str continue_token

    def __init__(self, max_bytes):
        self.parts = []
        self.held = 0
        self.wanted = 4
        self.max_bytes = max_bytes
        self.resource_version = ""
        self.continue_token = ""

    @property
    def is_whole(self):
        return self.seen and not self.within and self.held == 0

    def feed(self, bytes chunk not None):
        """The bytes of the items that are whole now. Raises ValueError where it is no list."""
        cdef Cursor c
        cdef Field field
        cdef uint64_t total
        cdef bytes data
        self.parts.append(chunk)
        self.held += len(chunk)
        if self.held < self.wanted:
            return []
        data = chunk if len(self.parts) == 1 else b"".join(self.parts)
        c = over(data)
        total = len(data)
        found = []
        if not self.begun:
            if total < 4:
                self.keep(data, 0, 4)
                return found
            if not data.startswith(MAGIC):
                raise ValueError("it does not begin as Kubernetes' protobuf does")
            c.at += 4
            self.begun = True
        while self.step(&c, &field, found):
            pass
        self.keep(data, c.at - <const uint8_t*>PyBytes_AS_STRING(data), self.wanted)
        return found

    cdef int keep(self, bytes data, uint64_t at, uint64_t wanted) except -1:
        self.held = <uint64_t>PyBytes_GET_SIZE(data) - at
        self.parts = [data[at:]] if self.held else []
        self.wanted = wanted
        return 0

    cdef bint step(self, Cursor* c, Field* f, list found) except -1:
        """One field; False where more bytes are needed for it: self.wanted then says how many in all."""
        cdef const uint8_t* start = c.at
        cdef uint64_t key, size = 0
        cdef uint32_t number, kind
        self.wanted = 1
        if self.within and self.left == 0:
            self.within = False
        if c.at == c.end:
            return False
        key = read_varint(c)
        if not c.failed:
            kind = key & 7
            number = <uint32_t>(key >> 3)
            if key >> 32 or number == 0 or kind not in (VARINT, BYTES):
                raise ValueError("its protobuf is broken")
            size = read_varint(c)
        if c.failed:
            c.at = start
            c.failed = False
            if c.end - start >= 20:
                raise ValueError("its protobuf is broken")
            self.wanted = <uint64_t>(c.end - start) + 1
            return False
        if kind == VARINT:
            size = 0
        elif not self.within and number == 2:
            if self.seen:
                raise ValueError("its protobuf has two lists")
            self.seen = self.within = True
            self.left = size
            return True
        elif size > self.max_bytes:
            raise ValueError(f"an item is over {self.max_bytes} bytes")
        if self.within and <uint64_t>(c.at - start) + size > self.left:
            raise ValueError("its protobuf is broken")
        if <uint64_t>(c.end - c.at) < size:
            self.wanted = <uint64_t>(c.at - start) + size
            c.at = start
            return False
        f.data = c.at
        f.end = c.at + size
        f.type = kind
        c.at += size
        if self.within:
            self.left -= <uint64_t>(c.at - start)
            if kind == BYTES and number == 1:
                self.read_metadata(f)
            elif kind == BYTES and number == 2:
                found.append(f.data[:size])
        return True

    cdef int read_metadata(self, const Field* f) except -1:
        """meta/v1 ListMeta."""
        cdef Cursor c = inside(f)
        cdef Field part
        while next_field(&c, &part):
            if part.number == 2:
                self.resource_version = text_of(&part)
            elif part.number == 3:
                self.continue_token = text_of(&part)
        return whole(&c)
