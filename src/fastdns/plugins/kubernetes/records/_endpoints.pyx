"""Finds the endpoints of a packed slice by their names. See _layout.pxd for the bytes."""

from libc.stdint cimport uint8_t, uint32_t

from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, MAX_LABEL_BYTES, NAME_FROM_ADDRESS, NO_NAME, SectionView, blob_text, first_with_address,
    has_address, nth_by_name,
)
from fastdns.plugins.kubernetes.records._names cimport compare_lowered, dashed_name


cdef uint32_t endpoint_text(const SectionView* v, uint32_t i, uint8_t* derived,
                            const uint8_t** text) noexcept nogil:
    cdef uint32_t size
    text[0] = derived
    if v.names == NULL or v.names[i] == NAME_FROM_ADDRESS:
        if v.address_len == ADDRESS_IS_NAME:
            return 0
        return dashed_name(v.addresses + <size_t>i * v.address_len, v.address_len, derived)
    if v.names[i] == NO_NAME:
        return 0
    size = blob_text(v, v.names[i], text)
    return size if size <= MAX_LABEL_BYTES else 0


cdef inline int compare_nth(const SectionView* v, uint32_t k, const uint8_t* label) noexcept nogil:
    cdef const uint8_t* text
    cdef uint32_t i = nth_by_name(v, k)
    cdef uint32_t size = blob_text(v, v.names[i], &text)
    return compare_lowered(text, size, label + 1, label[0])


cdef void find_named(const SectionView* v, const uint8_t* label, const uint8_t* address, uint32_t address_len,
                     Named* named) noexcept nogil:
    cdef uint32_t low, high, middle
    named.first_address = 0
    named.end_address = 0
    named.first = 0
    named.end = 0
    if address_len == v.address_len:
        low = first_with_address(v, address)
        high = v.count
        while low < high:
            middle = low + (high - low) // 2
            if has_address(v, middle, address):
                low = middle + 1
            else:
                high = middle
        named.end_address = low
        low = first_with_address(v, address)
        high = named.end_address
        # Of one address, endpoints without a name of their own are the last.
        while v.names != NULL and low < high:
            middle = low + (high - low) // 2
            if v.names[middle] < NAME_FROM_ADDRESS:
                low = middle + 1
            else:
                high = middle
        named.first_address = low
    if v.names == NULL:
        return
    low = 0
    high = v.named_count
    while low < high:
        middle = low + (high - low) // 2
        if compare_nth(v, middle, label) < 0:
            low = middle + 1
        else:
            high = middle
    named.first = low
    high = v.named_count
    while low < high:
        middle = low + (high - low) // 2
        if compare_nth(v, middle, label) <= 0:
            low = middle + 1
        else:
            high = middle
    named.end = low
