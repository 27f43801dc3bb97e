"""The functions of an expression that say what the query is."""

from libc.stdint cimport uint8_t, uint32_t
from fastdns.dns._networks cimport Prefix
from fastdns.expr._value cimport Run, Value

# In the order of functions.QUERY.
cdef enum QueryFunction:
    Q_TYPE = 0
    Q_NAME = 1
    Q_CLASS = 2
    Q_PROTO = 3
    Q_SIZE = 4
    Q_CLIENT_IP = 5
    Q_PORT = 6
    Q_ID = 7
    Q_OPCODE = 8
    Q_DO = 9
    Q_BUFSIZE = 10
    Q_SERVER_IP = 11
    Q_SERVER_PORT = 12
    Q_METADATA = 13
    Q_INCIDR = 14

# What a function without arguments says of the query.
cdef Value of_query(Run* run, QueryFunction which) noexcept nogil
# False where it is no network in CIDR notation.
cdef bint read_prefix(const uint8_t* text, uint32_t size, Prefix* prefix) noexcept nogil
# Whether the text of an address is in a network. It fails where it is none.
cdef bint text_in_prefix(Run* run, const Value* address, const Prefix* prefix) noexcept nogil
# Whether the client is.
cdef bint client_in_prefix(const Run* run, const Prefix* prefix) noexcept nogil
