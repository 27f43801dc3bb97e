"""Reading records: see _records.pxd.

The text is read as CoreDNS's library reads it: class and TTL in either order, both may be missing, parentheses may
enclose new lines, a semicolon begins a comment, only the first record counts. Directives ($INCLUDE, $ORIGIN, …) are
no records.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastdns._wire cimport CLASS_IN, TYPE_MX, TYPE_PTR
from fastdns.dns.mnemonics import CLASSES, TYPES
from fastdns.plugins.template._service cimport put_parameters
from fastdns.plugins.template._words cimport (
    Digits, Reader, Word, at_end, begin_reading, end_base64, is_word, next_word, put, put_address, put_base64,
    put_byte, put_hex, put_name, put_octets, put_short, put_string, read_number, read_time, upper,
)

cdef extern from "arpa/inet.h" nogil:
    enum:
        AF_INET
        AF_INET6

cdef enum:
    MAX_STRING_BYTES = 255
    MAX_RDATA_BYTES = 65535
    DEFAULT_TTL_S = 3600
    MAX_WORD_BYTES = 12             # of a type's or a class's name
    MAX_MNEMONICS = 128
    TYPE_HINFO = 13

LAYOUTS = {
    "A": "4", "AAAA": "6", "NS": "n", "MD": "n", "MF": "n", "CNAME": "n", "MB": "n", "MG": "n", "MR": "n",
    "PTR": "n", "DNAME": "n", "NSAP-PTR": "n", "SOA": "nnltttt", "MINFO": "nn", "RP": "nn", "TALINK": "nn",
    "MX": "hn", "RT": "hn", "AFSDB": "hn", "KX": "hn", "LP": "hn", "SRV": "hhhn", "NAPTR": "hhsssn", "HINFO": "S",
    "TXT": "S", "SPF": "S", "AVC": "S", "NINFO": "S", "RESINFO": "S", "X25": "s", "CAA": "bwo", "URI": "hho",
    "TLSA": "bbbx", "SMIMEA": "bbbx", "SSHFP": "bbx", "DS": "hbbx", "CDS": "hbbx", "DLV": "hbbx", "TA": "hbbx",
    "DNSKEY": "hbbB", "CDNSKEY": "hbbB", "RKEY": "hbbB", "OPENPGPKEY": "B", "DHCID": "B", "ZONEMD": "lbbx",
    "SVCB": "hnv", "HTTPS": "hnv",
}

cdef struct Mnemonic:
    uint8_t text[MAX_WORD_BYTES]
    uint32_t size
    uint16_t number
    const char* layout

cdef Mnemonic types[MAX_MNEMONICS]
cdef Mnemonic classes[8]
cdef uint32_t type_count = 0, class_count = 0
# Of types by number, from 0 on; the rest is looked for.
cdef const char* low_layouts[MAX_MNEMONICS]
memset(low_layouts, 0, sizeof(low_layouts))
_kept = []


cdef void keep(Mnemonic* m, bytes text, uint16_t number, bytes layout):
    memcpy(m.text, <const char*>text, len(text))
    m.size = <uint32_t>len(text)
    m.number = number
    m.layout = NULL if layout is None else <const char*>layout


for _number, _name in TYPES.items():
    # As the library has them: "None" and "Reserved" can never be written, as words are compared in upper case.
    _layout = LAYOUTS[_name].encode() if _name in LAYOUTS else None
    _kept.append(_layout)
    keep(&types[type_count], _name.encode(), _number, _layout)
    if _number < MAX_MNEMONICS:
        low_layouts[<uint32_t>_number] = types[type_count].layout
    type_count += 1
for _number, _name in {**CLASSES, 255: "ANY"}.items():
    keep(&classes[class_count], _name.encode(), _number, None)
    class_count += 1


cdef const char* layout_of(uint16_t rrtype) noexcept nogil:
    cdef uint32_t i
    if rrtype < MAX_MNEMONICS:
        return low_layouts[rrtype]
    for i in range(type_count):
        if types[i].number == rrtype:
            return types[i].layout
    return NULL


cdef bint find_mnemonic(const Word* word, const Mnemonic* known, uint32_t count, const uint8_t* prefix,
                        uint32_t prefix_size, uint16_t* number) noexcept nogil:
    """A name that is known, or the prefix with a number (RFC 3597 section 5)."""
    cdef uint32_t i
    cdef uint64_t value
    cdef Word start, digits
    for i in range(count):
        if is_word(word, known[i].text, known[i].size):
            number[0] = known[i].number
            return True
    if word.size <= prefix_size:
        return False
    start = word[0]
    start.size = prefix_size
    digits.text = word.text + prefix_size
    digits.size = word.size - prefix_size
    if not is_word(&start, prefix, prefix_size) or not read_number(&digits, 0xFFFF, &value):
        return False
    number[0] = <uint16_t>value
    return True


# What a class or a type is called; "" where it has no name, as in CoreDNS.
cdef const uint8_t* mnemonic_of(const Mnemonic* known, uint32_t count, uint16_t number,
                                uint32_t* size) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        if known[i].number == number:
            size[0] = known[i].size
            return known[i].text
    size[0] = 0
    return NULL


cdef const uint8_t* type_text(uint16_t rrtype, uint32_t* size) noexcept nogil:
    return mnemonic_of(types, type_count, rrtype, size)


cdef const uint8_t* class_text(uint16_t rrclass, uint32_t* size) noexcept nogil:
    return mnemonic_of(classes, class_count, rrclass, size)


# ----------------------------------------------------------------------------------------------------- a field


cdef bint put_strings(Reader* r, Written* out, bint two) noexcept nogil:
    """One character-string at least. two: exactly two, of which the second may be left out (HINFO)."""
    cdef Word word
    cdef uint32_t count = 0
    while next_word(r, &word):
        if not put_string(out, &word, not two):
            return False
        count += 1
    if two and count == 1:
        put_byte(out, 0)
        count = 2
    return count > 0 and not r.wrong and (not two or count == 2) and not out.failed


cdef bint put_tag(Written* out, const Word* word) noexcept nogil:
    """RFC 8659 section 4.1: letters and digits."""
    cdef uint32_t i
    if word.quoted or word.size == 0 or word.size > MAX_STRING_BYTES:
        return False
    for i in range(word.size):
        if not (48 <= word.text[i] <= 57 or 65 <= upper(word.text[i]) <= 90):
            return False
    put_byte(out, <uint8_t>word.size)
    put(out, word.text, word.size)
    return not out.failed


cdef inline uint64_t most_of(char field) noexcept nogil:
    return 0xFF if field == b"b" else 0xFFFF if field == b"h" else <uint64_t>0xFFFFFFFF


cdef bint put_field(Reader* r, Written* out, char field, bint two) noexcept nogil:
    cdef Word word
    cdef uint64_t number
    cdef uint32_t seconds
    cdef Digits digits
    if field == b"S":
        return put_strings(r, out, two)
    if field == b"x":
        return put_hex(r, out)
    if field == b"v":
        return put_parameters(r, out)
    if not next_word(r, &word):
        return False
    if field == b"B":
        memset(&digits, 0, sizeof(digits))
        while True:
            if word.quoted or not put_base64(out, &word, &digits):
                return False
            if not next_word(r, &word):
                return not r.wrong and end_base64(out, &digits)
    if field == b"4":
        return put_address(out, &word, AF_INET)
    if field == b"6":
        return put_address(out, &word, AF_INET6)
    if field == b"n":
        return put_name(out, &word)
    if field == b"s":
        return put_string(out, &word, False)
    if field == b"o":
        return put_octets(out, &word)
    if word.quoted:
        return False
    if field == b"w":
        return put_tag(out, &word)
    if field == b"t":
        if not read_time(&word, &seconds):
            return False
        number = seconds
    elif not read_number(&word, most_of(field), &number):
        return False
    if field == b"l" or field == b"t":
        put_short(out, <uint16_t>(number >> 16))
    if field != b"b":
        put_byte(out, number >> 8 & 0xFF)
    put_byte(out, number & 0xFF)
    return not out.failed


cdef inline bint has_compressed_name(uint16_t rrtype) noexcept nogil:
    """RFC 3597 section 4: those of RFC 1035."""
    return 2 <= rrtype <= 9 or rrtype == TYPE_PTR or rrtype == 14 or rrtype == TYPE_MX


cdef Reading put_generic(Reader* r, Written* out, Record* record) noexcept nogil:
    r"""``\# length hex`` (RFC 3597 section 5), behind the first word."""
    cdef Word word
    cdef uint64_t length
    cdef uint32_t begin = out.size
    if not next_word(r, &word) or not read_number(&word, MAX_RDATA_BYTES, &length):
        return WRONG
    if length and not put_hex(r, out):
        return WRONG
    if out.size - begin != length or not at_end(r) or r.depth:
        return WRONG
    record.fixed = out.at + begin
    record.fixed_len = <uint16_t>length
    return READ


cdef Reading put_rdata(Reader* r, Written* out, Record* record) noexcept nogil:
    cdef const char* layout = layout_of(record.rrtype)
    cdef uint32_t begin = out.size, before, named = 0
    cdef bint compressed = has_compressed_name(record.rrtype)
    cdef Reader ahead = r[0]
    cdef Word word
    record.name = NULL
    record.name_len = 0
    record.tail = NULL
    record.tail_len = 0
    if layout == NULL:
        if next_word(&ahead, &word) and not word.quoted and word.size == 2 and memcmp(word.text, b"\\#", 2) == 0:
            r[0] = ahead
            return put_generic(r, out, record)
        return RARE
    while layout[0] != 0:
        before = out.size
        if not put_field(r, out, layout[0], record.rrtype == TYPE_HINFO):
            return TOO_LONG if out.failed else WRONG
        if layout[0] == b"n" and compressed and record.name == NULL:
            record.name = out.at + before
            record.name_len = <uint16_t>(out.size - before)
            named = before
        layout += 1
    if not at_end(r) or r.depth != 0 or r.wrong or out.size - begin > MAX_RDATA_BYTES:
        return WRONG
    if record.name == NULL:
        record.fixed = out.at + begin
        record.fixed_len = <uint16_t>(out.size - begin)
        return READ
    record.fixed = out.at + begin if named > begin else NULL
    record.fixed_len = <uint16_t>(named - begin)
    before = named + record.name_len
    record.tail = out.at + before
    record.tail_len = <uint16_t>(out.size - before)
    return READ


cdef bint read_head(Reader* r, Record* record) noexcept nogil:
    """TTL and class in either order, and the type."""
    cdef Word word
    cdef bint ttl = False, rrclass = False
    record.ttl_s = DEFAULT_TTL_S
    record.rrclass = CLASS_IN
    while next_word(r, &word):
        if word.quoted:
            return False
        if not rrclass and find_mnemonic(&word, classes, class_count, b"CLASS", 5, &record.rrclass):
            rrclass = True
        elif find_mnemonic(&word, types, type_count, b"TYPE", 4, &record.rrtype):
            return True
        elif not ttl and read_time(&word, &record.ttl_s):
            ttl = True
        else:
            return False
    return False


cdef bint is_directive(const Word* word) noexcept nogil:
    return (is_word(word, b"$TTL", 4) or is_word(word, b"$ORIGIN", 7) or is_word(word, b"$INCLUDE", 8)
            or is_word(word, b"$GENERATE", 9))


cdef Reading read_through(Reader* r, Written* out, Record* record) noexcept nogil:
    """A record; r then stands behind it, or before rdata that has no layout."""
    cdef Word word
    cdef uint32_t begin, line
    while True:
        line = r.at
        if not at_end(r):
            break
        if r.wrong or r.at >= r.size:
            return WRONG
        r.at += 1
    # A blank in front of everything would stand for the owner of the record before.
    if r.text[line] == b" " or r.text[line] == b"\t" or not next_word(r, &word) or is_directive(&word):
        return WRONG
    begin = out.size
    if not put_name(out, &word):
        return TOO_LONG if out.failed else WRONG
    record.owner = out.at + begin
    record.owner_len = <uint16_t>(out.size - begin)
    if not read_head(r, record):
        return WRONG
    return put_rdata(r, out, record)


cdef Reading read_record(const uint8_t* text, uint32_t size, Written* out, Record* record) noexcept nogil:
    cdef Reader r
    begin_reading(&r, text, size)
    return read_through(&r, out, record)


cdef Reading read_rdata(const uint8_t* text, uint32_t size, Written* out, Record* record) noexcept nogil:
    cdef Reader r
    begin_reading(&r, text, size)
    return put_rdata(&r, out, record)


# ---------------------------------------------------------------------------------------------------- from Python


cdef tuple parts_of(const Record* record):
    return (
        record.fixed[:record.fixed_len] if record.fixed_len else b"",
        record.name[:record.name_len] if record.name_len else b"",
        record.tail[:record.tail_len] if record.tail_len else b"",
    )


cdef void open_reader(Reader* r, bytes text):
    begin_reading(r, <const uint8_t*>text, <uint32_t>len(text))


cdef int open_written(Written* out, bytearray room) except -1:
    out.at = room
    out.size = 0
    out.room = <uint32_t>len(room)
    out.failed = False
    return 0


def parse_record(bytes text not None):
    """(owner, TTL, type, the three parts of rdata) of a record; owner and rdata in wire form. None: it is none.

    The second part is a name that may be compressed, or empty. Where the type has no layout, bytes stand in the
    place of the parts: the text of the rdata.
    """
    cdef Reader r
    cdef Written out
    cdef Record record
    cdef bytearray room = bytearray(wire_room(<uint32_t>len(text)))
    cdef Reading reading
    open_written(&out, room)
    open_reader(&r, text)
    reading = read_through(&r, &out, &record)
    if reading == WRONG or reading == TOO_LONG:
        return None
    owner = record.owner[:record.owner_len]
    return owner, record.ttl_s, record.rrtype, text[r.at:] if reading == RARE else parts_of(&record)


def parse_rdata(bytes text not None, uint16_t rrtype):
    """The three parts of rdata, as parse_record has them; None: it is none of this type, or that has no layout."""
    cdef Written out
    cdef Record record
    cdef bytearray room = bytearray(wire_room(<uint32_t>len(text)))
    open_written(&out, room)
    record.rrtype = rrtype
    if read_rdata(<const uint8_t*>text, <uint32_t>len(text), &out, &record) != READ:
        return None
    return parts_of(&record)


def parse_head(bytes text not None):
    """(TTL, type, where the text goes on) of what stands behind an owner; None: it does not say a type here."""
    cdef Reader r
    cdef Record record
    open_reader(&r, text)
    if not read_head(&r, &record) or r.depth or r.wrong:
        return None
    return record.ttl_s, record.rrtype, r.at


def has_layout(uint16_t rrtype):
    """Whether the rdata of a type can be read without Python."""
    return layout_of(rrtype) != NULL
