"""HTTP/3 (RFC 9114) on a QUIC connection of qh3's: what listeners and requests to other servers have in common.

Imported only where HTTP/3 is spoken, because it needs qh3.
"""

from __future__ import annotations

from qh3._hazmat import QpackDecoder
from qh3.h3.connection import ErrorCode, H3Connection, Setting
from qh3.h3.events import H3Event
from qh3.quic.connection import QuicConnectionError
from qh3.quic.events import QuicEvent

# Of the fields of a message together, with 32 bytes for each of them (RFC 9114 section 4.2.2); CoreDNS's.
MAX_HEADER_BYTES = 16 << 10
# Longer ones are read, to be refused; still longer ones end the connection.
MOST_HEADER_BYTES = 64 << 10
# Of a control stream's frame that is not whole.
MAX_CONTROL_BYTES = 16 << 10


class Http3(H3Connection):  # type: ignore[misc]
    """HTTP/3 without pushes, and without a dynamic table (RFC 9204), which would be memory of each connection for a
    few bytes."""

    def _init_connection(self) -> None:
        self._max_table_capacity = self._blocked_streams = 0
        self._max_push_id = None
        self._max_field_section_size = MAX_HEADER_BYTES
        self._max_encoded_field_section_size = MOST_HEADER_BYTES
        self._decoder = QpackDecoder(0, 0, max_field_section_size=MOST_HEADER_BYTES)
        super()._init_connection()

    def _get_local_settings(self) -> dict[int, int]:
        settings: dict[int, int] = super()._get_local_settings()
        # There are no datagrams.
        del settings[Setting.H3_DATAGRAM]
        return settings

    def handle_event(self, event: QuicEvent) -> list[H3Event]:
        """What an event of QUIC's means: nothing if the peer breaks HTTP/3, and then the connection is closed; and
        nothing where the peer has closed the connection right behind it, and HTTP/3 would say something at once."""
        try:
            events: list[H3Event] = super().handle_event(event)
        except QuicConnectionError:
            return []
        except ValueError:
            # A frame ends before what it should have, such as a setting without a value.
            self._is_done = True
            self._quic.close(error_code=ErrorCode.H3_FRAME_ERROR)
            return []
        return events

    @property
    def broken(self) -> bool:
        """Whether the peer has broken HTTP/3."""
        return bool(self._is_done)

    def control_bytes(self, stream: int) -> int:
        """What has come of a frame that is not whole."""
        known = self._stream.get(stream)
        return 0 if known is None else len(known.buffer)

    def drop(self, stream: int) -> None:
        """Forget a request of which nothing more is read or sent."""
        self._stream.pop(stream, None)
