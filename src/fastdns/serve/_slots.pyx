"""Numbers of what plugins have for each thread: see _slots.pxd."""

cdef dict NUMBERS = {}


cdef uint32_t slot_of(str name) except? MAX_SLOTS:
    if name not in NUMBERS:
        if len(NUMBERS) >= MAX_SLOTS:
            raise ValueError(f"{name}: at most {MAX_SLOTS} plugins may have something for each thread")
        NUMBERS[name] = len(NUMBERS)
    return NUMBERS[name]
