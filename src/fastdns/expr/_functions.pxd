"""The functions of the language that take no predicate: of strings, numbers and arrays."""

from libc.stdint cimport uint32_t
from fastdns.expr._value cimport Run, Value

# which: the number in functions.PLAIN. The checker has seen to the number of arguments, not to what they are.
cdef Value call_plain(Run* run, uint32_t which, const Value* args, uint32_t count) noexcept nogil
# a..b
cdef Value make_range(Run* run, const Value* first, const Value* last) noexcept nogil
# a[from:to]; ends that are nil are those of the whole.
cdef Value make_slice(Run* run, const Value* whole, const Value* first, const Value* last) noexcept nogil
# a + b of two strings
cdef Value join_two(Run* run, const Value* a, const Value* b) noexcept nogil
# Where a text begins in another one, from a place on; -1: nowhere.
cdef long find_text(Run* run, const Value* text, const Value* part, uint32_t at) noexcept nogil
cdef bint begins_with(const Value* text, const Value* part) noexcept nogil
cdef bint ends_with(const Value* text, const Value* part) noexcept nogil
# Sort items in place by keys, which are moved with them and may be the same array.
cdef void sort_items(Run* run, Value* items, Value* keys, uint32_t count, bint descending) noexcept nogil
# "desc" is True; it fails for what is neither that nor "asc".
cdef bint read_order(Run* run, const Value* order) noexcept nogil
