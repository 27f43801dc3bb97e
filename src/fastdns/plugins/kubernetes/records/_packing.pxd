"""The record of a Service as bytes. See _layout.pxd."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastdns.plugins.kubernetes.records._layout cimport ServiceHead
from fastdns.plugins.kubernetes.records._ports cimport PortTable

cdef bytes pack_head(int svc_type, list addresses, PortTable* ports, bytes external, bytes exposed)
cdef bytes pack_exposed(list addresses, list names)
cdef bytes head_of(bytes payload)
cdef list split_sections(bytes payload)
cdef bint head_has(const ServiceHead* head, const uint8_t* address, uint32_t size) noexcept nogil
cdef bint endpoints_have(const uint8_t* payload, uint32_t payload_len, const uint8_t* address,
                         uint32_t size) noexcept nogil
cdef set head_addresses(bytes payload)
cdef set exposed_addresses(bytes payload)
cdef bint exposed_has(const uint8_t* payload, uint32_t payload_len, const uint8_t* address,
                      uint32_t size) noexcept nogil
cdef bytes join_record(bytes head, list sections)
