"""Which address of the server a message was sent to.

A listener that is bound to one address has it in its Server. On every address, the kernel tells it of each datagram
in a control message. Streams write the same control message (write_arrival), so that a query that waits keeps it.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns.serve._context cimport Context

# The address, size bytes: 4 or 16. NULL: it is not known.
cdef const uint8_t* server_address(const Context* ctx, uint32_t* size) noexcept nogil

# Write the control message of an address of 4 or 16 bytes; there is room for MAX_CONTROL_BYTES. Returns its length.
cdef uint16_t write_arrival(uint8_t* control, const uint8_t* address, uint32_t size) noexcept nogil
