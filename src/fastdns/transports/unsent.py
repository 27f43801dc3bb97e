"""How many replies, and how many bytes, a connection has still to send."""

from __future__ import annotations

from collections import deque

# What one write takes in memory beside its bytes until it is sent: its mark, and what the event loop keeps.
WRITE_EXTRA_BYTES = 256


class Unsent:
    """The writes of one connection that the kernel has not taken yet.

    The event loop tells how many bytes are unsent, not which: a write is gone when all of its bytes are.
    """

    __slots__ = ("marks", "sent", "written")

    def __init__(self) -> None:
        # Bytes of all writes, and of those that are gone.
        self.written = self.sent = 0
        # Where each of the other writes ends, and its number of replies.
        self.marks: deque[tuple[int, int]] = deque()

    def add(self, size: int, replies: int) -> None:
        """A write of so many bytes and replies."""
        self.written += size
        self.marks.append((self.written, replies))

    def update(self, unsent_bytes: int) -> None:
        """So many bytes of all writes are unsent now."""
        while self.marks and self.marks[0][0] <= self.written - unsent_bytes:
            self.sent = self.marks.popleft()[0]

    def held_bytes(self) -> int:
        """What the writes take in memory: the event loop frees each as a whole."""
        return self.written - self.sent + len(self.marks) * WRITE_EXTRA_BYTES

    def replies(self, unsent_bytes: int | None = None) -> int:
        """Replies in all writes; with unsent_bytes in those that are not gone, while so many are unsent."""
        if unsent_bytes is None:
            return sum(replies for _, replies in self.marks)
        return sum(replies for end, replies in self.marks if end > self.written - unsent_bytes)

    def clear(self) -> None:
        """The writes are lost."""
        self.marks.clear()
