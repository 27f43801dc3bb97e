"""Values of a log line as text, as CoreDNS prints them: see _values.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

from fastdns._wire cimport FLAG_AA, FLAG_AD, FLAG_CD, FLAG_QR, FLAG_RA, FLAG_RD, FLAG_TC
from fastdns.dns._texts cimport put_byte, put_bytes, put_decimal


cdef uint8_t* put_duration(uint8_t* out, uint64_t took_ns) noexcept nogil:
    cdef uint64_t rest = took_ns % SECOND_NS
    cdef uint64_t unit = SECOND_NS // 10
    out = put_decimal(out, took_ns // SECOND_NS)
    if rest:
        out = put_byte(out, b".")
    while rest:
        out = put_byte(out, 48 + rest // unit)
        rest %= unit
        unit //= 10
    return put_byte(out, b"s")


cdef uint8_t* put_flags(uint8_t* out, uint16_t flags) noexcept nogil:
    cdef uint8_t* begin = out
    if flags & FLAG_QR:
        out = put_bytes(out, b"qr,", 3)
    if flags & FLAG_AA:
        out = put_bytes(out, b"aa,", 3)
    if flags & FLAG_TC:
        out = put_bytes(out, b"tc,", 3)
    if flags & FLAG_RD:
        out = put_bytes(out, b"rd,", 3)
    if flags & FLAG_RA:
        out = put_bytes(out, b"ra,", 3)
    if flags & FLAG_Z:
        out = put_bytes(out, b"z,", 2)
    if flags & FLAG_AD:
        out = put_bytes(out, b"ad,", 3)
    if flags & FLAG_CD:
        out = put_bytes(out, b"cd,", 3)
    # Without the comma behind the last.
    return out - 1 if out > begin else out


# ------------------------------------------------------------------------------------------------- for tests

def duration_text(uint64_t took_ns):
    """How a duration is written."""
    cdef uint8_t text[32]
    return text[:put_duration(text, took_ns) - text]
