"""What a client has left of its turn, as native code sees it: see turns.py."""

cdef enum:
    QUERIES = 32                    # of one client, in one turn
    # What has been read together may be served together: so many more, which its next turn has less.
    MOST_AHEAD = 8

cdef class Share:
    """Of a client."""
    cdef public long turn           # that left belongs to
    cdef public long left           # less than 0: taken from the next turn
    # Connections of it had something to say when nothing was left, and were not read.
    cdef public bint passed

cdef class TurnNumber:
    """Of a worker."""
    cdef public long turn
    # How many more queries of a client are served in this turn.
    cdef long left_of(self, Share share) noexcept
