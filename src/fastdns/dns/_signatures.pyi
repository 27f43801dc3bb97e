from collections.abc import Mapping

class KeyRing:
    """Secrets, by name in lowercased wire form."""

    @property
    def names(self) -> list[bytes]:
        """Of the keys, in order."""
    def __init__(self, secrets: Mapping[bytes, bytes]) -> None: ...
    def verify(self, request: bytes, now_s: float | None = None) -> Signer | None:
        """What the replies to a request are signed with, or None where it is not signed. now_s: seconds since 1970.

        Raises ValueError where its TSIG record is malformed (FORMERR).
        """

class Signer:
    """Signs the messages of a reply, in their order: the first one with all that a TSIG record says, later ones of
    the same stream as RFC 8945 section 5.3.1 has it. Each message is signed."""

    @property
    def error(self) -> int:
        """What the request's signature comes to: 0, or BADSIG, BADKEY, BADTIME."""
    @property
    def size(self) -> int:
        """How many bytes a signature adds to a message."""
    def sign(self, message: bytes, now_s: float | None = None) -> bytes:
        """The next message of the reply, with its TSIG record. Raises ValueError where there is no room for it."""
