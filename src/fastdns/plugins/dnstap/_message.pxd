"""A dnstap message as protobuf: https://dnstap.info, dnstap.proto.

message_bytes says how long it will be, put_message writes exactly that. Fields stand in the order of their numbers.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

# Message.Type
cdef enum:
    CLIENT_QUERY = 5
    CLIENT_RESPONSE = 6
    FORWARDER_QUERY = 7
    FORWARDER_RESPONSE = 8

# SocketProtocol
cdef enum:
    PROTOCOL_UDP = 1
    PROTOCOL_TCP = 2
    PROTOCOL_DOT = 3
    PROTOCOL_DOH = 4
    PROTOCOL_DOQ = 7

cdef struct Address:
    const uint8_t* bytes            # NULL: it is not known
    uint8_t length                  # 4 or 16
    uint16_t port

cdef struct Message:
    uint8_t type
    uint8_t protocol
    bint is_response
    Address asker
    Address responder
    uint64_t query_ns               # since 1970
    uint64_t response_ns            # of a response
    const uint8_t* msg              # NULL: without the DNS message
    uint32_t msg_len
    const uint8_t* id               # 2 bytes in place of the message's first; NULL: these are right

# What stands around it. head: the fields identity and version, as they are written.
cdef struct Envelope:
    const uint8_t* head
    uint32_t head_len
    const uint8_t* extra
    uint32_t extra_len              # 0: the field is left out

cdef uint32_t inner_bytes(const Message* m) noexcept nogil
# inner: what inner_bytes has said.
cdef uint32_t message_bytes(const Envelope* envelope, uint32_t inner) noexcept nogil
cdef void put_message(const Envelope* envelope, const Message* m, uint32_t inner, uint8_t* out) noexcept nogil
