"""Makes and frees lanes; the rest is in the pxd, for the generator's loop."""

from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free


cdef int make_places(Lane* lane, uint32_t window) noexcept nogil:
    """Make room for this many outstanding queries. Returns -1 without memory; free_lane frees what was made."""
    cdef uint32_t i, places = MIN_PLACES
    while places < 2 * window:
        places *= 2
    lane.window = window
    lane.place_mask = places - 1
    lane.first = lane.last = NO_PLACE
    lane.places = <Place*>calloc(places, sizeof(Place))
    lane.free_ring = <uint16_t*>calloc(places, sizeof(uint16_t))
    if lane.places == NULL or lane.free_ring == NULL:
        return -1
    for i in range(places):
        lane.free_ring[i] = <uint16_t>i
    lane.free_count = places
    return 0


cdef void free_lane(Lane* lane) noexcept nogil:
    free(lane.places)
    free(lane.free_ring)
    free(lane.incoming)
    free(lane.outgoing)
