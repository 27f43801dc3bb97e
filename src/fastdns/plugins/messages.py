"""Messages as dnslib has them, whatever bytes are in them.

dnslib's own reader refuses names that are not UTF-8, empty rdata, and rdata of some types whose text it cannot show
(the value of a CAA record). A message of the DNS may hold all of these (RFC 2181 section 11).
"""

from __future__ import annotations

from dnslib import RD, RR, DNSBuffer, DNSHeader, DNSLabel, DNSQuestion, DNSRecord
from dnslib.buffer import BufferError as MessageError

# RFC 1035 section 3.1: 255 bytes in all are at most 127 labels, and as many pointers between them.
MAX_NAME_BYTES = 255
MAX_NAME_PARTS = 254
POINTER = 0xC0
# Types whose rdata may have compressed names (RFC 3597 section 4): these bytes mean nothing elsewhere.
WITH_NAMES = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 17, 18, 21, 24, 26, 30, 33, 35, 36, 39))


class Reader(DNSBuffer):  # type: ignore[misc]
    """A buffer whose names may hold any bytes."""

    offset: int

    def decode_name(self, last: int = -1) -> DNSLabel:
        """The name that begins here. Raises MessageError. last: dnslib's own."""
        labels: list[bytes] = []
        size, begin, behind = 1, self.offset, 0
        for _ in range(MAX_NAME_PARTS):
            length = self.get(1)[0]
            if length >= POINTER:
                target = (length & ~POINTER) << 8 | self.get(1)[0]
                behind = behind or self.offset
                if target >= begin:
                    raise MessageError(f"a pointer at {self.offset - 2} does not point backwards")
                self.offset = begin = target
            elif length == 0:
                self.offset = behind or self.offset
                return DNSLabel(labels)
            else:
                size += 1 + length
                if length > 63 or size > MAX_NAME_BYTES:
                    break
                labels.append(self.get(length))
        raise MessageError(f"a label or a name that ends at {self.offset} is too long")


def read_record(buffer: Reader) -> RR:
    """One RR. What dnslib cannot read of its rdata stays bytes."""
    begin = buffer.offset
    try:
        return RR.parse(buffer)
    except Exception:
        buffer.offset = begin
        name = buffer.decode_name()
        rrtype, rrclass, ttl_s, size = buffer.unpack("!HHIH")
        if rrtype in WITH_NAMES and size:
            raise
        return RR(name, rrtype, rrclass, ttl_s, RD(buffer.get(size)))


def read_message(message: bytes) -> DNSRecord:
    """A message. Raises one of dnslib's exceptions, or another, where it is none."""
    buffer = Reader(message)
    header = DNSHeader.parse(buffer)
    questions = [DNSQuestion.parse(buffer) for _ in range(header.q)]
    sections = ([read_record(buffer) for _ in range(count)] for count in (header.a, header.auth, header.ar))
    answer, authority, additional = sections
    return DNSRecord(header, questions, answer, auth=authority, ar=additional)
