"""A client of the generator: one socket, and the queries that are outstanding on it.

The low bits of a query's ID are its place, the other bits are random. So an answer finds its query without a
search, and an answer to an earlier query does not match. The place that has been free for longest is used first, so
that a second answer still finds the query that the first has answered. Outstanding queries are listed in the order
of sending, which is the order in which they are given up.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    NO_PLACE = 0xFFFF
    MAX_WINDOW = 16384          # queries of one lane, with twice as many places: a bit of each ID stays random
    MIN_PLACES = 64
    GONE = 64                   # queries given up that a lane remembers

cdef enum:
    FREE = 0
    UNDER_WAY = 1
    ANSWERED = 2
    GIVEN_UP = 3

cdef enum:
    CLOSED = 0
    CONNECTING = 1
    HANDSHAKING = 2
    OPEN = 3

cdef struct Place:
    uint64_t due_ns             # the latency of its answer counts from here
    uint64_t sent_ns            # the query is given up a timeout after this
    uint32_t question
    uint16_t before
    uint16_t after
    uint8_t id[2]
    uint8_t state

cdef struct Gone:
    uint32_t question
    uint16_t id
    uint16_t known

cdef struct Lane:
    int fd
    uint8_t state
    uint32_t window
    uint32_t under_way
    uint32_t place_mask
    Place* places
    uint16_t* free_ring         # as many as places
    uint32_t free_head
    uint32_t free_count
    uint16_t first              # outstanding: the query that was sent first, and last
    uint16_t last
    uint32_t gone_count
    Gone gone[GONE]
    # For a connection.
    uint64_t retry_ns           # it is not opened before this time
    uint64_t opening_ns         # it has been opened since
    void* tls                   # OpenSSL's SSL; NULL: none
    void* session               # OpenSSL's SSL_SESSION, to be resumed; NULL: none
    void* http                  # a DohLane; NULL: none
    uint64_t connections
    uint64_t asked              # queries on this connection
    uint64_t heard              # messages that arrived on it
    uint8_t* incoming           # a message that is incomplete
    uint32_t incoming_size
    uint8_t* outgoing
    uint32_t outgoing_size
    uint32_t outgoing_sent


cdef int make_places(Lane* lane, uint32_t window) noexcept nogil
cdef void free_lane(Lane* lane) noexcept nogil


cdef inline uint16_t next_place(const Lane* lane, uint32_t ahead) noexcept nogil:
    """The place of the query that many queries from now; ahead is less than free_count."""
    return lane.free_ring[(lane.free_head + ahead) & lane.place_mask]


cdef inline void take_place(Lane* lane, uint64_t due_ns, uint64_t sent_ns) noexcept nogil:
    """The query at the next place is outstanding."""
    cdef uint16_t at = lane.free_ring[lane.free_head & lane.place_mask]
    cdef Place* place = &lane.places[at]
    lane.free_head += 1
    lane.free_count -= 1
    lane.under_way += 1
    place.state = UNDER_WAY
    place.due_ns = due_ns
    place.sent_ns = sent_ns
    place.after = NO_PLACE
    place.before = lane.last
    if lane.last == NO_PLACE:
        lane.first = at
    else:
        lane.places[lane.last].after = at
    lane.last = at


cdef inline void release_place(Lane* lane, uint16_t at, uint8_t state) noexcept nogil:
    """A query is no longer outstanding."""
    cdef Place* place = &lane.places[at]
    place.state = state
    if place.before == NO_PLACE:
        lane.first = place.after
    else:
        lane.places[place.before].after = place.after
    if place.after == NO_PLACE:
        lane.last = place.before
    else:
        lane.places[place.after].before = place.before
    lane.under_way -= 1
    lane.free_ring[(lane.free_head + lane.free_count) & lane.place_mask] = at
    lane.free_count += 1


cdef inline void remember_gone(Lane* lane, const Place* place) noexcept nogil:
    """A query was given up: its answer may come late."""
    cdef Gone* gone = &lane.gone[lane.gone_count % GONE]
    lane.gone_count += 1
    gone.question = place.question
    gone.id = (<uint16_t>place.id[0] << 8) | place.id[1]
    gone.known = 1
