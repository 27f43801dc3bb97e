"""The ports of a Service or a slice: how they are packed, and found again. See _layout.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

# Ports while they are collected; the arrays grow and are used again.
cdef struct PortTable:
    uint32_t count
    uint32_t room
    uint32_t text_len
    uint32_t text_room
    uint32_t left_out           # of them: beyond MAX_OBJECT_PORTS, or their number is none
    uint32_t nameless           # of them: their name is too long for a label
    uint32_t* places            # where each begins in text
    uint8_t* text

# The ports that a question asks for, as a reader of a packed table finds them.
cdef struct PortsWanted:
    const uint8_t* name         # lowercased; any where the length is 0
    const uint8_t* protocol
    uint32_t name_len
    uint32_t protocol_len

cdef void start_ports(PortTable* t) noexcept nogil
# number: -1 where the object gives none. Raises MemoryError.
cdef int add_port(PortTable* t, long number, const uint8_t* protocol, uint32_t protocol_len, const uint8_t* name,
                  uint32_t name_len) except -1 nogil
cdef bytes finish_ports(PortTable* t)
cdef void free_ports(PortTable* t) noexcept nogil
cdef int add_port_objects(PortTable* t, ports) except -1

# How many ports match. numbers (room of them) gets each different number once, the stand-in's not; NULL: none does.
# looks: how many ports may be looked at one by one; what is left of it.
cdef uint32_t matching_ports(const uint8_t* ports, uint32_t ports_len, uint32_t count, const PortsWanted* wanted,
                             uint16_t* numbers, uint32_t room, uint32_t* distinct, uint32_t* looks) noexcept nogil
