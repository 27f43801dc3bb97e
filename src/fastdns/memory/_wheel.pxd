"""A wheel of timers: 1024 slots of 8 ms each.

Each thing that is timed has a Timer in it. The things stand in one array, so a timer is named by its place in it.
A timer fires when the wheel comes to its slot, up to 8 ms late. What is due later than one turn (8 s) fires after
that turn; its owner sets it again. Setting a timer again moves it.

    while wheel_turns(wheel, now_ns):
        index = wheel_take(wheel)       # until NO_TIMER: what is due in this slot
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    WHEEL_SLOTS = 1024
    WHEEL_TICK_NS = 8000000
    NO_TIMER = 0xFFFFFFFF

cdef struct Timer:
    uint32_t next                   # in its slot
    uint32_t previous
    uint32_t slot                   # NO_TIMER: it is in none

cdef struct Wheel:
    uint8_t* first                  # the Timer of the array's first element
    size_t stride                   # bytes of an element
    uint64_t at                     # the tick that was last looked at
    uint32_t slots[WHEEL_SLOTS]

cdef inline Timer* timer_at(Wheel* wheel, uint32_t index) noexcept nogil:
    return <Timer*>(wheel.first + index * wheel.stride)

cdef inline void open_wheel(Wheel* wheel, Timer* first, size_t stride, uint64_t now_ns) noexcept nogil:
    cdef uint32_t i
    wheel.first = <uint8_t*>first
    wheel.stride = stride
    wheel.at = now_ns // WHEEL_TICK_NS
    for i in range(WHEEL_SLOTS):
        wheel.slots[i] = NO_TIMER

cdef inline void wheel_remove(Wheel* wheel, uint32_t index) noexcept nogil:
    cdef Timer* timer = timer_at(wheel, index)
    if timer.slot == NO_TIMER:
        return
    if timer.previous == NO_TIMER:
        wheel.slots[timer.slot] = timer.next
    else:
        timer_at(wheel, timer.previous).next = timer.next
    if timer.next != NO_TIMER:
        timer_at(wheel, timer.next).previous = timer.previous
    timer.slot = NO_TIMER

cdef inline void wheel_set(Wheel* wheel, uint32_t index, uint64_t due_ns) noexcept nogil:
    cdef Timer* timer = timer_at(wheel, index)
    cdef uint64_t tick = due_ns // WHEEL_TICK_NS + 1
    cdef uint32_t slot
    if tick <= wheel.at:
        tick = wheel.at + 1
    if tick >= wheel.at + WHEEL_SLOTS:
        tick = wheel.at + WHEEL_SLOTS - 1
    slot = tick & (WHEEL_SLOTS - 1)
    if timer.slot == slot:
        return
    wheel_remove(wheel, index)
    timer.slot = slot
    timer.previous = NO_TIMER
    timer.next = wheel.slots[slot]
    if timer.next != NO_TIMER:
        timer_at(wheel, timer.next).previous = index
    wheel.slots[slot] = index

# Go on to the next slot. False where the wheel has come to now_ns.
cdef inline bint wheel_turns(Wheel* wheel, uint64_t now_ns) noexcept nogil:
    cdef uint64_t tick = now_ns // WHEEL_TICK_NS
    if tick > wheel.at + WHEEL_SLOTS:
        # Nobody has looked for longer than a turn: every slot is due, once.
        wheel.at = tick - WHEEL_SLOTS
    if wheel.at >= tick:
        return False
    wheel.at += 1
    return True

# Take a timer out of the slot that the wheel has come to; NO_TIMER where none is left there.
cdef inline uint32_t wheel_take(Wheel* wheel) noexcept nogil:
    cdef uint32_t index = wheel.slots[wheel.at & (WHEEL_SLOTS - 1)]
    if index != NO_TIMER:
        wheel_remove(wheel, index)
    return index
