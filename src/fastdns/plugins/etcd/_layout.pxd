"""What rrsets/ keeps of a service: the rdata of a type for private use (services.py: TYPE_SERVICE), under the
name of its key. The zone is the root, whatever zones a block answers.

    ServiceHead | name of the key | host | text | group

Names are in wire form, in the case in which they were written. The name is that of the key: rrsets/ has it in lower
case only. host: 4 or 16 bytes of address, or a name, which host_kind tells. text: the rdata of a TXT record.

What is read is checked: open_service refuses a record whose parts do not lie within it.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.rrsets._layout cimport name_bytes

cdef enum:
    TYPE_SERVICE = 65400

cdef enum HostKind:
    HOST_NONE = 0
    HOST_IPV4 = 1
    HOST_IPV6 = 2
    HOST_NAME = 3

cdef enum:
    FLAG_MAIL = 1
    FLAG_NO_PORT = 2            # no SRV record

cdef packed struct ServiceHead:
    uint64_t key_id             # of the key: several keys may have one name
    uint64_t expires_ns         # of its lease, CLOCK_MONOTONIC; 0: it has no lease
    uint32_t ttl_s              # 0: not said
    uint32_t weight             # 0: not said
    uint16_t port
    uint16_t priority
    uint16_t host_len
    uint16_t text_len
    uint8_t name_len
    uint8_t group_len
    uint8_t host_kind
    uint8_t flags
    uint8_t depth               # slashes in the key
    uint8_t target_strip        # labels that are taken from the left of a target

# A service, and where its parts are.
cdef struct Service:
    const ServiceHead* head
    const uint8_t* name
    const uint8_t* host
    const uint8_t* text
    const uint8_t* group

# Whether a name takes exactly so many bytes.
cdef inline bint is_name(const uint8_t* at, uint32_t size) noexcept nogil:
    return size != 0 and name_bytes(at, size) == size

# Whether this is the rdata of a TXT record, or nothing.
cdef inline bint is_text(const uint8_t* at, uint32_t size) noexcept nogil:
    while size and size > at[0]:
        size -= at[0] + 1
        at += at[0] + 1
    return size == 0

# False where the record is not of this form.
cdef inline bint open_service(const uint8_t* rdata, uint32_t size, Service* s) noexcept nogil:
    cdef const ServiceHead* head = <const ServiceHead*>rdata
    if size < sizeof(ServiceHead) or size != (
            sizeof(ServiceHead) + head.name_len + head.host_len + head.text_len + head.group_len):
        return False
    s.head = head
    s.name = rdata + sizeof(ServiceHead)
    s.host = s.name + head.name_len
    s.text = s.host + head.host_len
    s.group = s.text + head.text_len
    if not is_name(s.name, head.name_len) or not is_text(s.text, head.text_len):
        return False
    if head.host_kind == HOST_NAME:
        return is_name(s.host, head.host_len)
    return head.host_len == (4 if head.host_kind == HOST_IPV4 else 16 if head.host_kind == HOST_IPV6 else 0)
