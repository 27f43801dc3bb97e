r"""Regular expressions for native steps.

Compile a Regex when the Corefile is read, keep it, and match by its pattern:

    cdef Regex regex = Regex(r"^web-(\d+)\.")
    cdef const Pattern* pattern = &regex.pattern   # good for as long as regex is
    matches(pattern, name, name_bytes)             # a look into a table for each character
    search(pattern, name, name_bytes, offsets)     # and where: pattern.slots offsets; -1: takes no part

Neither takes the GIL, allocates or locks; all threads may use one pattern at once. The time is bounded by the
text's length times the pattern's. search, and matches without a table, have up to 470 KiB on the stack.
"""

from libc.stdint cimport int32_t, uint8_t

from fastdns.regex._pattern cimport Pattern
from fastdns.regex._simulation cimport simulate
from fastdns.regex._table cimport look_up


cdef inline bint matches(const Pattern* pattern, const uint8_t* text, int32_t size) noexcept nogil:
    """Whether the pattern is found anywhere in text."""
    if pattern.table != NULL:
        return look_up(pattern, text, size)
    return simulate(pattern, text, size, NULL)


cdef inline bint search(const Pattern* pattern, const uint8_t* text, int32_t size, int32_t* offsets) noexcept nogil:
    """The same; if it is found, offsets get pattern.slots numbers: begin and end of the match and of each group."""
    if pattern.table != NULL and not look_up(pattern, text, size):
        return False
    return simulate(pattern, text, size, offsets)


cdef class Regex:
    cdef Pattern pattern
    cdef readonly str text
    cdef readonly int groups
    cdef readonly tuple names
