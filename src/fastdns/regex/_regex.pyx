"""Compiled regular expressions: Python's side of it, and their memory."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from fastdns.regex._pattern cimport MATCH, MAX_CELLS, MAX_SLOTS, NEWLINE, ONE_OF, WORD, Instruction, Pattern
from fastdns.regex._table cimport build_table

from fastdns.regex.program import alphabet, compile_program
from fastdns.regex.syntax import RegexError, parse


cdef void* allocate(size_t count, size_t size) except NULL:
    cdef void* memory = calloc(count if count else 1, size)
    if memory == NULL:
        raise MemoryError
    return memory


cdef int fill(Pattern* pattern, program, kinds) except -1:
    """Instructions and alphabet, to memory of C."""
    cdef uint32_t i, code, kind
    pattern.instructions = <Instruction*>allocate(len(program.instructions), sizeof(Instruction))
    pattern.instruction_count = <uint32_t>len(program.instructions)
    for i, one in enumerate(program.instructions):
        pattern.instructions[i].operation = one.operation
        pattern.instructions[i].next = one.next
        pattern.instructions[i].argument = one.argument
        if one.operation == MATCH or one.operation == ONE_OF:
            pattern.instructions[i].thread = <uint16_t>pattern.thread_count
            pattern.thread_count += 1
    pattern.start = program.start
    pattern.slots = 2 * (program.groups + 1)
    pattern.kinds = kinds.count
    pattern.intervals = <uint32_t>len(kinds.begins)
    pattern.begins = <uint32_t*>allocate(pattern.intervals, sizeof(uint32_t))
    pattern.interval_kinds = <uint16_t*>allocate(pattern.intervals, sizeof(uint16_t))
    for i in range(pattern.intervals):
        pattern.begins[i] = kinds.begins[i]
        pattern.interval_kinds[i] = kinds.kinds[i]
    i = 0
    for code in range(128):
        while i + 1 < pattern.intervals and pattern.begins[i + 1] <= code:
            i += 1
        pattern.ascii[code] = pattern.interval_kinds[i]
    pattern.traits = <uint8_t*>allocate(pattern.kinds, 1)
    for kind in kinds.newline:
        pattern.traits[kind] |= NEWLINE
    for kind in kinds.word:
        pattern.traits[kind] |= WORD
    pattern.member_bytes = (pattern.kinds + 7) // 8
    pattern.members = <uint8_t*>allocate(len(kinds.members) * pattern.member_bytes, 1)
    for i, members in enumerate(kinds.members):
        for kind in members:
            pattern.members[i * pattern.member_bytes + kind // 8] |= <uint8_t>(1 << (kind % 8))
    return 0


cdef class Regex:
    """A pattern in Go's syntax, as regexp.Compile takes it. Raises RegexError, in Go's words.

    text: the pattern. groups: how many it has; names: theirs, from 0 on, "" where a group has none.
    """

    # Not in __init__: there is no Regex without a pattern.
    def __cinit__(self, str text):
        self.text = text
        parsed = parse(text)
        program = compile_program(text, parsed)
        self.names = parsed.names
        self.groups = program.groups
        fill(&self.pattern, program, alphabet(text, program))
        if self.pattern.slots > MAX_SLOTS or (self.pattern.slots - 1) * self.pattern.thread_count > MAX_CELLS:
            raise RegexError("expression too large", text)
        build_table(&self.pattern)

    def __dealloc__(self):
        free(self.pattern.instructions)
        free(self.pattern.begins)
        free(self.pattern.interval_kinds)
        free(self.pattern.traits)
        free(self.pattern.members)
        free(self.pattern.table)

    def matches(self, text):
        """Whether the pattern is found anywhere in text, str or bytes."""
        cdef const uint8_t[::1] data = _encoded(text)
        cdef const uint8_t* begin = &data[0] if data.shape[0] else NULL
        cdef bint found
        with nogil:
            found = matches(&self.pattern, begin, <int32_t>data.shape[0])
        return found

    def search(self, text):
        """Where the pattern is first found in text: begin and end in bytes, then those of each group; or None.

        -1: the group takes no part in the match.
        """
        cdef const uint8_t[::1] data = _encoded(text)
        cdef const uint8_t* begin = &data[0] if data.shape[0] else NULL
        cdef int32_t offsets[MAX_SLOTS]
        cdef bint found
        with nogil:
            found = search(&self.pattern, begin, <int32_t>data.shape[0], offsets)
        return tuple([offsets[i] for i in range(self.pattern.slots)]) if found else None

    @property
    def table_bytes(self):
        """What the table takes that matches looks into; 0: it would be too large, and matching is slower."""
        return self.pattern.table_rows * self.pattern.stride * sizeof(uint32_t)

    def __eq__(self, other):
        return isinstance(other, Regex) and (<Regex>other).text == self.text

    def __hash__(self):
        return hash(self.text)

    def __repr__(self):
        return f"Regex({self.text!r})"

    def __reduce__(self):
        return Regex, (self.text,)


cdef bytes _encoded(text):
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)
    if len(data) > 0x7FFFFFFF:
        raise OverflowError("texts of 2 GiB and more are not searched")
    return data
