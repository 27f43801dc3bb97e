"""Pike's simulation: all threads go through the text at once, in the order in which a match of theirs is preferred.

No instruction runs twice between two characters, so the time is bounded by text times instructions. All of its
memory is on the stack and of fixed size: 470 KiB, of which it touches what the pattern needs.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastdns.regex._pattern cimport (
    ASSERT, CAPTURE, EDGE, INSTRUCTION_WORDS, MATCH, MAX_CELLS, MAX_INSTRUCTIONS, MAX_SLOTS, SPLIT, Instruction,
    Pattern, conditions, is_member, next_kind, words_of,
)

# What is still to do of one expansion: an instruction, or where restores is set an offset to put back.
cdef struct Task:
    uint16_t at
    uint16_t restores
    int32_t offset

# One step: the threads that wait for a character, best first, with the offsets of each: where its match begins,
# then begin and end of each group.
cdef struct Step:
    uint16_t threads[MAX_INSTRUCTIONS]
    uint32_t count
    int32_t cells[MAX_CELLS]

cdef struct Expansion:
    uint64_t visited[INSTRUCTION_WORDS]
    # Each SPLIT and each CAPTURE puts one task here, once.
    Task tasks[MAX_INSTRUCTIONS]
    int32_t offsets[MAX_SLOTS]


cdef bint simulate(
    const Pattern* pattern, const uint8_t* text, int32_t size, int32_t* offsets
) noexcept nogil:
    """Whether the pattern is found; the first and preferred match goes to offsets, unless that is NULL.

    offsets: pattern.slots numbers: begin and end of the match, then of each group; -1: it takes no part.
    """
    cdef Expansion expansion
    cdef Step steps[2]
    cdef Step* waiting = &steps[0]
    cdef Step* running = &steps[1]
    cdef uint32_t cells = pattern.slots - 1 if offsets != NULL else 0
    cdef uint32_t kind, before = EDGE, behind, held, i, kept
    cdef int32_t at = 0, here
    cdef bint found = False, at_end
    cdef const Instruction* one
    waiting.count = 0
    while True:
        here = at
        at_end = at == size
        if at_end:
            kind, behind = 0, EDGE
        else:
            kind = next_kind(pattern, text, size, &at)
            behind = pattern.traits[kind]
        held = conditions(before, behind)
        memset(expansion.visited, 0, words_of(pattern) * 8)
        running.count = 0
        for i in range(waiting.count):
            one = &pattern.instructions[waiting.threads[i]]
            memcpy(expansion.offsets, &waiting.cells[one.thread * cells], cells * sizeof(int32_t))
            expand(pattern, &expansion, running, one.next, here, held, cells)
        if not found and (here == 0 or not pattern.anchored):
            memset(expansion.offsets, 0xFF, cells * sizeof(int32_t))
            expansion.offsets[0] = here
            expand(pattern, &expansion, running, pattern.start, here, held, cells)
        kept = 0
        for i in range(running.count):
            one = &pattern.instructions[running.threads[i]]
            if one.operation == MATCH:
                if not cells:
                    return True
                found = True
                offsets[0] = running.cells[one.thread * cells]
                offsets[1] = here
                memcpy(&offsets[2], &running.cells[one.thread * cells + 1], (cells - 1) * sizeof(int32_t))
                # Those that come after it would be preferred less.
                break
            if not at_end and is_member(pattern, one.argument, kind):
                running.threads[kept] = running.threads[i]
                kept += 1
        running.count = kept
        if at_end or (kept == 0 and (found or pattern.anchored)):
            return found
        waiting, running = running, waiting
        before = behind


cdef void expand(
    const Pattern* pattern, Expansion* expansion, Step* step, uint32_t at, int32_t here, uint32_t held,
    uint32_t cells,
) noexcept nogil:
    """Adds to step the threads that an instruction leads to without reading, the preferred ones first.

    The threads that step has already are preferred to these.
    """
    cdef Task* tasks = expansion.tasks
    cdef int32_t* offsets = expansion.offsets
    cdef const Instruction* one
    cdef uint32_t count = 0
    while True:
        while not expansion.visited[at >> 6] >> (at & 63) & 1:
            expansion.visited[at >> 6] |= <uint64_t>1 << (at & 63)
            one = &pattern.instructions[at]
            if one.operation == SPLIT:
                tasks[count].at = one.argument
                tasks[count].restores = 0
                count += 1
            elif one.operation == CAPTURE:
                if cells:
                    tasks[count].at = one.argument
                    tasks[count].restores = 1
                    tasks[count].offset = offsets[one.argument]
                    count += 1
                    offsets[one.argument] = here
            elif one.operation == ASSERT:
                if not held & one.argument:
                    break
            else:
                step.threads[step.count] = <uint16_t>at
                step.count += 1
                memcpy(&step.cells[one.thread * cells], offsets, cells * sizeof(int32_t))
                break
            at = one.next
        while count and tasks[count - 1].restores:
            count -= 1
            offsets[tasks[count].at] = tasks[count].offset
        if not count:
            return
        count -= 1
        at = tasks[count].at
