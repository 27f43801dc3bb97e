"""What a client has left of its turn: see _shares.pxd."""


cdef class Share:
    """Of a client."""

    def __cinit__(self, *_):
        self.turn = -1


cdef class TurnNumber:
    """Of a worker."""

    cdef long left_of(self, Share share) noexcept:
        if share.turn != self.turn:
            share.turn = self.turn
            share.left = QUERIES + min(0, share.left)
        return share.left

    def allowance(self, Share client not None):
        """How many more queries of a client are served in this turn."""
        return self.left_of(client)
