"""Labels, domain names and addresses: from the text of an object to bytes, and from an address to a label."""

import socket

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

from fastdns.plugins.kubernetes.records._layout cimport MAX_LABEL_BYTES
from fastdns.errors import SourceError

cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int family, const void* src, char* dst, unsigned int size)
    int inet_pton(int family, const char* src, void* dst)
    enum:
        AF_INET
        AF_INET6


cdef bint is_label(const uint8_t* text, uint32_t size) noexcept nogil:
    cdef uint32_t i
    cdef uint8_t byte
    if not 0 < size <= MAX_LABEL_BYTES or text[0] == 45 or text[size - 1] == 45:
        return False
    for i in range(size):
        byte = text[i]
        if not (97 <= byte <= 122 or 48 <= byte <= 57 or 65 <= byte <= 90 or byte == 45 or byte == 95):
            return False
    return True


cdef uint32_t dashed_name(const uint8_t* address, uint32_t address_len, uint8_t* out) noexcept nogil:
    cdef char text[64]
    cdef uint32_t size = 0
    inet_ntop(AF_INET if address_len == 4 else AF_INET6, address, text, 64)
    while text[size] != 0:
        out[size] = 45 if text[size] == 46 or text[size] == 58 else text[size]
        size += 1
    if address_len == 16 and out[size - 1] == 45:
        # A label may not end in a dash: RFC 1123 section 2.1; CoreDNS appends a zero.
        out[size] = 48
        size += 1
    return size


cdef uint32_t undashed(const uint8_t* text, uint32_t size, uint8_t* address) noexcept nogil:
    cdef char spelled[64]
    cdef uint8_t again[64]
    cdef uint32_t i, family, address_len, first = 0
    if not 0 < size < 46:
        return 0
    for i in range(size):
        # Most names are none of an address: they are told by a letter.
        if not 48 <= text[i] <= 57 and text[i] != 45:
            if not 97 <= text[i] <= 102:
                return 0
            first = 1
    for family in range(first, 2):
        for i in range(size):
            spelled[i] = text[i] if text[i] != 45 else 46 if family == 0 else 58
        spelled[size] = 0
        address_len = 4 if family == 0 else 16
        if inet_pton(AF_INET if family == 0 else AF_INET6, spelled, address) == 1:
            # Only the one spelling that an address gives is a name.
            if dashed_name(address, address_len, again) == size and memcmp(again, text, size) == 0:
                return address_len
            return 0
    return 0


# ----------------------------------------------------------------------------------------- objects of Python

def address_bytes(text: str) -> bytes | None:
    """4 or 16 bytes of an address in text form (IPv4-mapped IPv6 as IPv4), or None."""
    try:
        if ":" not in text:
            return socket.inet_pton(socket.AF_INET, text)
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError, UnicodeEncodeError):
        return None
    if packed[:12] == b"\0\0\0\0\0\0\0\0\0\0\xff\xff":
        return packed[12:]
    return packed


def endpoint_name(address: bytes) -> str:
    """The name of an endpoint without hostname: its address with dashes."""
    cdef uint8_t out[64]
    cdef uint32_t size = dashed_name(<const uint8_t*>address, len(address), out)
    return out[:size].decode()


cdef uint32_t put_label(str text, uint8_t* out) except 0:
    cdef Py_ssize_t size
    cdef const uint8_t* raw = <const uint8_t*>PyUnicode_AsUTF8AndSize(text, &size)
    cdef uint32_t i
    if size > MAX_LABEL_BYTES or not is_label(raw, <uint32_t>size):
        raise SourceError(f"{text[:80]!r} is not a DNS label: 1 to 63 letters, digits, hyphens and underscores "
                          "expected, no hyphen at an end")
    out[0] = <uint8_t>size
    for i in range(<uint32_t>size):
        out[1 + i] = lower(raw[i])
    return 1 + <uint32_t>size


def label(str text not None) -> bytes:
    """One label in wire form, lowercased. Raises SourceError where it is none."""
    cdef uint8_t out[64]
    cdef uint32_t size = put_label(text, out)
    return out[:size]


def wire_name(text: str) -> bytes | None:
    """A domain name in uncompressed wire form, or None where it is none. No escapes: Kubernetes has none."""
    out = bytearray()
    for part in text.removesuffix(".").split("."):
        raw = part.encode()
        if not is_label(raw, len(raw)):
            return None
        out.append(len(raw))
        out += raw
    out.append(0)
    return bytes(out) if len(out) <= 255 else None
