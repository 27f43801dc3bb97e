"""The plain lines of a zone file, which are most of a large one: no directive, quoting, escape or parenthesis.

What is read here is a part of what dnspython reads, and comes to the same RRs: tests compare. Everything else, and
everything that is wrong, is left to dnspython (reading.py):

    [OWNER] [TTL] [IN] TYPE RDATA [; comment]       also with IN before TTL

TYPE is A, AAAA, NS, CNAME, PTR, MX, SRV, TXT with strings in quotes, NSEC, or RRSIG with its signature in one word.
Empty lines and comments are passed over.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from fastdns._wire cimport (
    TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_MX, TYPE_NS, TYPE_PTR, TYPE_SRV, TYPE_TXT, put_u16, put_u32,
)
from fastdns.dns._cursor cimport lower
from fastdns.rrsets._draft cimport Buffer, extend

cdef extern from "<arpa/inet.h>" nogil:
    enum: AF_INET6
    int inet_pton(int family, const char* text, void* out)

cdef enum:
    MAX_NAME = 255
    MAX_WORD = 1024
    MAX_RDATA = 4096
    ROW_BYTES = 9
    TYPE_RRSIG = 46
    TYPE_NSEC = 47
    BITMAP_BYTES = 32           # of a window
    WINDOWS = 2
    MAX_TYPES = 48

# A word of a line.
cdef struct Word:
    const uint8_t* at
    uint32_t size

# Where a line is read, up to its end.
cdef struct Line:
    const uint8_t* at
    const uint8_t* end

cdef struct Names:
    const uint8_t* zone
    uint32_t zone_len
    const uint8_t* origin
    uint32_t origin_len


# Types that signed zones have, but for NSEC3: signatures of that are put elsewhere (reading.py).
cdef struct Mnemonic:
    const char* text
    uint32_t size
    uint16_t number

_NUMBERS = {
    b"a": 1, b"ns": 2, b"cname": 5, b"soa": 6, b"ptr": 12, b"hinfo": 13, b"mx": 15, b"txt": 16, b"rp": 17,
    b"afsdb": 18, b"aaaa": 28, b"loc": 29, b"srv": 33, b"naptr": 35, b"cert": 37, b"dname": 39, b"ds": 43,
    b"sshfp": 44, b"rrsig": 46, b"nsec": 47, b"dnskey": 48, b"nsec3param": 51, b"tlsa": 52, b"smimea": 53,
    b"cds": 59, b"cdnskey": 60, b"openpgpkey": 61, b"csync": 62, b"zonemd": 63, b"svcb": 64, b"https": 65,
    b"spf": 99, b"uri": 256, b"caa": 257,
}
cdef Mnemonic MNEMONICS[MAX_TYPES]
cdef uint32_t MNEMONIC_COUNT = <uint32_t>len(_NUMBERS)
assert MNEMONIC_COUNT <= MAX_TYPES
for _i, _name in enumerate(_NUMBERS):
    MNEMONICS[_i] = Mnemonic(<const char*><bytes>_name, <uint32_t>len(_name), _NUMBERS[_name])


cdef inline bint is_plain(uint8_t byte) noexcept nogil:
    """Whether a byte may stand in a word: printable ASCII, but for what means something to a zone file."""
    return 33 <= byte <= 126 and byte != 34 and byte != 36 and byte != 40 and byte != 41 and byte != 59 \
        and byte != 92


cdef inline bint is_blank(uint8_t byte) noexcept nogil:
    return byte == 32 or byte == 9


cdef inline void skip_blanks(Line* line) noexcept nogil:
    while line.at < line.end and is_blank(line.at[0]):
        line.at += 1


cdef bint next_word(Line* line, Word* word) noexcept nogil:
    """The next word, or False where none begins, or it has anything but plain bytes."""
    skip_blanks(line)
    word.at = line.at
    while line.at < line.end and is_plain(line.at[0]):
        line.at += 1
    word.size = <uint32_t>(line.at - word.at)
    return 0 < word.size <= MAX_WORD and (line.at == line.end or is_blank(line.at[0]) or line.at[0] == 59)


cdef bint at_end(Line* line) noexcept nogil:
    """Whether nothing follows but a comment."""
    skip_blanks(line)
    return line.at == line.end or line.at[0] == 59


cdef bint read_number(const Word* word, uint64_t most, uint32_t* value) noexcept nogil:
    cdef uint64_t total = 0
    cdef uint32_t i
    if word.size > 10:
        return False
    for i in range(word.size):
        if not 48 <= word.at[i] <= 57:
            return False
        total = total * 10 + (word.at[i] - 48)
    value[0] = <uint32_t>total
    return total <= most


cdef bint is_word(const Word* word, const char* text, uint32_t size) noexcept nogil:
    cdef uint32_t i
    if word.size != size:
        return False
    for i in range(size):
        if lower(word.at[i]) != <uint8_t>text[i]:
            return False
    return True


cdef uint32_t read_name(const Word* word, const Names* names, uint8_t* out) noexcept nogil:
    """A name in wire form, in out (MAX_NAME bytes). Returns its size; 0 where it is none, or not plain."""
    cdef uint32_t i, label = 0, size = 1
    if word.size == 1 and word.at[0] == 64:
        memcpy(out, names.origin, names.origin_len)
        return names.origin_len
    if word.size == 1 and word.at[0] == 46:
        out[0] = 0
        return 1
    for i in range(word.size):
        if word.at[i] == 64:
            return 0
        if word.at[i] == 46:
            if size - label - 1 == 0 or size - label - 1 > 63:
                return 0
            out[label] = <uint8_t>(size - label - 1)
            label = size
        else:
            if size >= MAX_NAME - 1:
                return 0
            out[size] = word.at[i]
        size += 1
        if size >= MAX_NAME:
            return 0
    if label == size - 1:
        # It ends in a dot.
        out[label] = 0
        return size
    if size - label - 1 > 63 or size + names.origin_len > MAX_NAME:
        return 0
    out[label] = <uint8_t>(size - label - 1)
    memcpy(out + size, names.origin, names.origin_len)
    return size + names.origin_len


cdef bint in_zone(const Names* names, const uint8_t* name, uint32_t size) noexcept nogil:
    cdef uint32_t at = 0, i
    while size > names.zone_len + at:
        at += name[at] + 1
    if size != names.zone_len + at:
        return False
    for i in range(names.zone_len):
        if lower(name[at + i]) != lower(names.zone[i]):
            return False
    return True


cdef uint32_t read_a(Line* line, uint8_t* out) noexcept nogil:
    cdef Word word
    cdef uint32_t i, value = 0, part = 0, digits = 0
    if not next_word(line, &word):
        return 0
    for i in range(word.size + 1):
        if i == word.size or word.at[i] == 46:
            if digits == 0 or part == 4 or value > 255:
                return 0
            out[part] = <uint8_t>value
            part += 1
            value = 0
            digits = 0
        elif 48 <= word.at[i] <= 57 and digits < 3 and not (digits and value == 0):
            value = value * 10 + (word.at[i] - 48)
            digits += 1
        else:
            return 0
    return 4 if part == 4 else 0


cdef uint32_t read_aaaa(Line* line, uint8_t* out) noexcept nogil:
    cdef Word word
    cdef char text[48]
    if not next_word(line, &word) or word.size >= sizeof(text):
        return 0
    memcpy(text, word.at, word.size)
    text[word.size] = 0
    return 16 if inet_pton(AF_INET6, text, out) == 1 else 0


cdef uint32_t read_numbers_and_name(Line* line, uint32_t count, const Names* names, uint8_t* out) noexcept nogil:
    """Numbers of 16 bits, and a name behind them."""
    cdef Word word
    cdef uint32_t i, value = 0, size
    for i in range(count):
        if not next_word(line, &word) or not read_number(&word, 65535, &value):
            return 0
        put_u16(out + 2 * i, <uint16_t>value)
    if not next_word(line, &word):
        return 0
    size = read_name(&word, names, out + 2 * count)
    return 2 * count + size if size else 0


cdef uint32_t read_txt(Line* line, uint8_t* out) noexcept nogil:
    """Strings in quotes, of printable ASCII without escapes."""
    cdef uint32_t size = 0, begins
    while not at_end(line):
        if line.at[0] != 34:
            return 0
        line.at += 1
        begins = size
        size += 1
        while line.at < line.end and line.at[0] != 34:
            if not 32 <= line.at[0] <= 126 or line.at[0] == 92 or size - begins > 255 or size >= MAX_RDATA:
                return 0
            out[size] = line.at[0]
            size += 1
            line.at += 1
        if line.at == line.end or size >= MAX_RDATA:
            return 0
        line.at += 1
        # dnspython wants no blank between strings; other readers do.
        if line.at < line.end and not is_blank(line.at[0]) and line.at[0] != 59:
            return 0
        out[begins] = <uint8_t>(size - begins - 1)
    return size


cdef uint16_t read_type(const Word* word) noexcept nogil:
    """The number of a type; 0: it is not among the mnemonics."""
    cdef uint32_t i
    for i in range(MNEMONIC_COUNT):
        if is_word(word, MNEMONICS[i].text, MNEMONICS[i].size):
            return MNEMONICS[i].number
    return 0


cdef bint read_two_digits(const uint8_t* at, uint32_t least, uint32_t most, uint32_t* value) noexcept nogil:
    if not 48 <= at[0] <= 57 or not 48 <= at[1] <= 57:
        return False
    value[0] = 10 * (at[0] - <uint32_t>48) + at[1] - <uint32_t>48
    return least <= value[0] <= most


cdef bint read_time(const Word* word, uint32_t* value) noexcept nogil:
    """YYYYMMDDHHmmSS (RFC 4034 section 3.2), as Unix time of 32 bits."""
    cdef uint32_t century = 0, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, longest
    cdef uint64_t days, total
    cdef const uint8_t* at = word.at
    if word.size != 14 or not (
            read_two_digits(at, 19, 21, &century) and read_two_digits(at + 2, 0, 99, &year)
            and read_two_digits(at + 4, 1, 12, &month) and read_two_digits(at + 6, 1, 31, &day)
            and read_two_digits(at + 8, 0, 23, &hour) and read_two_digits(at + 10, 0, 59, &minute)
            and read_two_digits(at + 12, 0, 59, &second)):
        return False
    year += 100 * century
    # Until 2106 each fourth year but 2100 has a 29th of February.
    longest = 30 if month in (4, 6, 9, 11) else 31 if month != 2 else 28 + (year % 4 == 0 and year != 2100)
    if year < 1970 or day > longest:
        return False
    # From the first of March of the year 0 on: the day that some years have more is the last one of its year.
    if month < 3:
        year -= 1
        month += 12
    days = <uint64_t>365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1
    total = (days - 719468) * 86400 + hour * 3600 + minute * 60 + second
    value[0] = <uint32_t>total
    return total <= 0xFFFFFFFFu


cdef int digit_of(uint8_t byte) noexcept nogil:
    """Of base64; -1: it is none."""
    if 65 <= byte <= 90:
        return byte - 65
    if 97 <= byte <= 122:
        return byte - 71
    if 48 <= byte <= 57:
        return byte + 4
    return 62 if byte == 43 else 63 if byte == 47 else -1


cdef uint32_t read_base64(const Word* word, uint8_t* out) noexcept nogil:
    """Base64 in one word of at most MAX_WORD characters. Returns its size; 0 where it is none."""
    cdef uint32_t i, size = 0, bits = 0, count = 0, length = word.size
    cdef int digit
    if length % 4 or length == 0:
        return 0
    while length > word.size - 2 and word.at[length - 1] == 61:
        length -= 1
    for i in range(length):
        digit = digit_of(word.at[i])
        if digit < 0:
            return 0
        bits = (bits << 6 | <uint32_t>digit) & 0xFFFF
        count += 6
        if count >= 8:
            count -= 8
            out[size] = <uint8_t>(bits >> count)
            size += 1
    return size


cdef uint32_t read_rrsig(Line* line, const Names* names, uint8_t* out) noexcept nogil:
    cdef Word word
    cdef uint32_t value = 0, size, i
    cdef uint16_t covered
    if not next_word(line, &word):
        return 0
    covered = read_type(&word)
    if covered == 0:
        return 0
    put_u16(out, covered)
    for i in range(2):
        if not next_word(line, &word) or not read_number(&word, 255, &value):
            return 0
        out[2 + i] = <uint8_t>value
    if not next_word(line, &word) or not read_number(&word, 0xFFFFFFFFu, &value):
        return 0
    put_u32(out + 4, value)
    for i in range(2):
        if not next_word(line, &word) or not read_time(&word, &value):
            return 0
        put_u32(out + 8 + 4 * i, value)
    size = read_numbers_and_name(line, 1, names, out + 16)
    if size == 0 or not next_word(line, &word):
        return 0
    size += 16
    value = read_base64(&word, out + size)
    return size + value if value else 0


cdef uint32_t read_nsec(Line* line, const Names* names, uint8_t* out) noexcept nogil:
    cdef Word word
    cdef uint32_t size = read_numbers_and_name(line, 0, names, out)
    cdef uint32_t window, octets
    cdef uint16_t number
    cdef uint8_t bits[WINDOWS * BITMAP_BYTES]
    memset(bits, 0, sizeof(bits))
    if size == 0 or at_end(line):
        return 0
    while not at_end(line):
        if not next_word(line, &word):
            return 0
        number = read_type(&word)
        if number == 0:
            return 0
        bits[number >> 3] |= 0x80 >> (number & 7)
    for window in range(WINDOWS):
        octets = BITMAP_BYTES
        while octets and bits[window * BITMAP_BYTES + octets - 1] == 0:
            octets -= 1
        if octets:
            out[size] = <uint8_t>window
            out[size + 1] = <uint8_t>octets
            memcpy(out + size + 2, bits + window * BITMAP_BYTES, octets)
            size += 2 + octets
    return size


cdef uint32_t read_rdata(Line* line, const Word* word, const Names* names, uint16_t* rrtype,
                         uint8_t* out) noexcept nogil:
    """The rdata of a type: its size; 0 where it is not plain."""
    if is_word(word, b"a", 1):
        rrtype[0] = TYPE_A
        return read_a(line, out)
    if is_word(word, b"aaaa", 4):
        rrtype[0] = TYPE_AAAA
        return read_aaaa(line, out)
    if is_word(word, b"ns", 2):
        rrtype[0] = TYPE_NS
        return read_numbers_and_name(line, 0, names, out)
    if is_word(word, b"cname", 5):
        rrtype[0] = TYPE_CNAME
        return read_numbers_and_name(line, 0, names, out)
    if is_word(word, b"ptr", 3):
        rrtype[0] = TYPE_PTR
        return read_numbers_and_name(line, 0, names, out)
    if is_word(word, b"mx", 2):
        rrtype[0] = TYPE_MX
        return read_numbers_and_name(line, 1, names, out)
    if is_word(word, b"srv", 3):
        rrtype[0] = TYPE_SRV
        return read_numbers_and_name(line, 3, names, out)
    if is_word(word, b"txt", 3):
        rrtype[0] = TYPE_TXT
        return read_txt(line, out)
    if is_word(word, b"rrsig", 5):
        rrtype[0] = TYPE_RRSIG
        return read_rrsig(line, names, out)
    if is_word(word, b"nsec", 4):
        rrtype[0] = TYPE_NSEC
        return read_nsec(line, names, out)
    return 0


# An RR that a line has told.
cdef struct Told:
    uint8_t owner[MAX_NAME]
    uint32_t owner_len          # 0: the line has none, so it is that of the line before
    uint32_t ttl_s
    bint has_ttl
    uint16_t rrtype
    uint8_t rdata[MAX_RDATA]
    uint32_t rdata_len


cdef bint read_line(Line* line, const Names* names, Told* told) noexcept nogil:
    cdef Word word
    cdef bint has_class = False
    told.owner_len = 0
    told.has_ttl = False
    if not is_blank(line.at[0]):
        if not next_word(line, &word):
            return False
        told.owner_len = read_name(&word, names, told.owner)
        if told.owner_len == 0 or not in_zone(names, told.owner, told.owner_len):
            return False
    while True:
        if not next_word(line, &word):
            return False
        if not told.has_ttl and read_number(&word, 0xFFFFFFFFu, &told.ttl_s):
            told.has_ttl = True
        elif not has_class and is_word(&word, b"in", 2):
            has_class = True
        else:
            break
    told.rdata_len = read_rdata(line, &word, names, &told.rrtype, told.rdata)
    return told.rdata_len != 0 and at_end(line)


def simple_lines(const uint8_t[::1] text not None, size_t at, bytes zone not None, bytes origin not None,
                 bytes last_owner not None, long long implicit_ttl_s, uint32_t line, uint32_t most):
    """Read plain lines from a place in the text on, at most so many RRs, up to the first line that is not plain.

    zone, origin, last_owner: in wire form; last_owner empty: there is none in the zone. implicit_ttl_s: of lines
    without a TTL; negative: they are not plain. line: the number of the first line.

    Returns: the place behind, the line there, the RRs in rows (see Draft.add_rows), the line of each (u32), the
    last owner, and the last TTL that a line says, or -1.
    """
    cdef Names names
    cdef Line current
    cdef Told told
    cdef Buffer rows
    cdef Buffer lines
    cdef const uint8_t* start = &text[0] if text.shape[0] else NULL
    cdef const uint8_t* end = start + text.shape[0]
    cdef const uint8_t* next = start + at
    cdef uint8_t owner[MAX_NAME]
    cdef uint32_t owner_len = <uint32_t>len(last_owner), count = 0
    cdef uint8_t* out
    cdef long long last_ttl_s = -1
    cdef uint16_t size
    names.zone = zone
    names.zone_len = <uint32_t>len(zone)
    names.origin = origin
    names.origin_len = <uint32_t>len(origin)
    if owner_len > MAX_NAME or names.origin_len > MAX_NAME or names.zone_len > MAX_NAME:
        raise ValueError("a name has at most 255 bytes")
    memcpy(owner, <const uint8_t*>last_owner, owner_len)
    rows.at = NULL
    rows.size = rows.room = 0
    lines.at = NULL
    lines.size = lines.room = 0
    try:
        while next < end and count < most:
            current.at = next
            current.end = next
            while current.end < end and current.end[0] != 10:
                current.end += 1
            next = current.end + 1 if current.end < end else end
            if current.end > current.at and (current.end - 1)[0] == 13:
                current.end -= 1
            if not at_end(&current):
                current.at = start + at
                if not read_line(&current, &names, &told) or (told.owner_len == 0 and owner_len == 0) \
                        or (not told.has_ttl and implicit_ttl_s < 0):
                    next = start + at
                    break
                if told.has_ttl:
                    last_ttl_s = told.ttl_s
                else:
                    told.ttl_s = <uint32_t>implicit_ttl_s
                if told.owner_len:
                    owner_len = told.owner_len
                    memcpy(owner, told.owner, owner_len)
                size = <uint16_t>told.rdata_len
                out = extend(&rows, ROW_BYTES + owner_len + told.rdata_len)
                out[0] = <uint8_t>owner_len
                memcpy(out + 1, &told.rrtype, 2)
                memcpy(out + 3, &told.ttl_s, 4)
                memcpy(out + 7, &size, 2)
                memcpy(out + ROW_BYTES, owner, owner_len)
                memcpy(out + ROW_BYTES + owner_len, told.rdata, told.rdata_len)
                memcpy(extend(&lines, 4), &line, 4)
                count += 1
            line += 1
            at = next - start
        return (at, line, PyBytes_FromStringAndSize(<char*>rows.at, rows.size),
                PyBytes_FromStringAndSize(<char*>lines.at, lines.size), owner[:owner_len], last_ttl_s)
    finally:
        free(rows.at)
        free(lines.at)
