"""Whether a text is matched, by one look into a table for each character."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from fastdns.regex._pattern cimport Pattern, next_kind


cdef inline bint look_up(const Pattern* pattern, const uint8_t* text, int32_t size) noexcept nogil:
    """Whether the pattern, which has a table, is found in text."""
    cdef const uint32_t* table = pattern.table
    cdef uint32_t row = pattern.first_row
    cdef int32_t at = 0
    while at < size:
        if row <= pattern.stride:
            return row == pattern.stride
        row = table[row + next_kind(pattern, text, size, &at)]
    if row > pattern.stride:
        row = table[row + pattern.kinds]
    return row == pattern.stride


cdef int build_table(Pattern* pattern) except -1
