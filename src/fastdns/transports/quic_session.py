"""One QUIC connection as qh3 has it, with what this server wants of it. All that depends on qh3's inside is here.

qh3 fixes how many streams a client may have; here a configuration says so. Connections have IDs that tell their
worker, and tokens with which any worker can end them. Clients are asked not to move to other addresses (RFC 9000
section 18.2): the IDs for that are qh3's own, and no worker could tell whose they are. A client whose address
changes without its doing keeps its ID.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qh3._hazmat import Buffer, QuicConnectionCore
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection, QuicConnectionError, QuicConnectionState
from qh3.quic.crypto import derive_key_iv_hp
from qh3.quic.events import ConnectionTerminated
from qh3.quic.packet import QuicErrorCode, pull_quic_transport_parameters, push_quic_transport_parameters
from qh3.quic.tls_bridge import QuicTlsBridge, QuicTlsBridgeError
from qh3.tls import CipherSuite, Epoch, hkdf_expand_label, hkdf_extract

from fastdns.transports.quic_ids import RESET_TOKEN_BYTES, reset_token
from fastdns.transports.socket_names import Address

# qh3 logs what each peer does wrong.
logging.getLogger("quic").setLevel(logging.CRITICAL)

# What transport parameters may take.
PARAMETERS_BYTES = 1024
# A client may have so many IDs of us, and we of it: as few as there can be (RFC 9000 section 18.2).
CONNECTION_IDS = 2
# Which argument of QuicConnectionCore.apply_peer_transport_parameters is the client's reset token.
TOKEN_ARGUMENT = 10
# Of QUIC version 1: RFC 9001 section 5.2.
INITIAL_SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
# Alerts of TLS where client and server cannot agree (RFC 8446 section 6.2), as QUIC has them (RFC 9001
# section 4.8).
NO_COMMON = {0x100 + 40, 0x100 + 70, 0x100 + 120}


@dataclass
class Configuration(QuicConfiguration):  # type: ignore[misc]
    """Of the connections of a listener. max_streams, max_uni_streams: that a client may have open at a time."""

    max_streams: int = 256
    max_uni_streams: int = 0


class Tls(QuicTlsBridge):  # type: ignore[misc]
    """The handshake of a server's session."""

    configuration: Configuration

    def serialize_transport_parameters(self) -> bytes:
        parameters = pull_quic_transport_parameters(Buffer(data=super().serialize_transport_parameters()))
        parameters.initial_max_streams_bidi = self.configuration.max_streams
        parameters.initial_max_streams_uni = self.configuration.max_uni_streams
        parameters.active_connection_id_limit = CONNECTION_IDS
        parameters.disable_active_migration = True
        buffer = Buffer(capacity=PARAMETERS_BYTES)
        push_quic_transport_parameters(buffer, parameters)
        data: bytes = buffer.data
        return data

    def parse_transport_parameters(self, data: bytes, *, from_session_ticket: bool = False):  # type: ignore[no-untyped-def]
        parameters = super().parse_transport_parameters(data, from_session_ticket=from_session_ticket)
        # Of the client's own limit: it gets no more IDs than that.
        parameters.active_connection_id_limit = CONNECTION_IDS
        return parameters


def nothing(*_: object) -> Any:
    """In place of a core's calls."""
    return None


class Session(QuicConnection):  # type: ignore[misc]
    """A server's side of a connection.

    cid: its ID, which clients send. original: the destination of the client's first packet. retried: the ID that a
    Retry has given the client; b"": there was none. nameless: the client has no ID of its own; then cid must be the
    destination of its packets.
    """

    _configuration: Configuration

    def __init__(
        self, configuration: Configuration, cid: bytes, original: bytes, retried: bytes, *, nameless: bool = False
    ) -> None:
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original,
            retry_source_connection_id=retried or None,
        )
        self.host_cid = cid
        self.nameless = nameless
        # Before the first packet is read there is no core.
        self.core_timer: Callable[[], tuple[str, float] | None] = nothing

    @property
    def ending(self) -> bool:
        """Whether either side has closed it."""
        return self._close_event is not None

    @property
    def refused(self) -> str:
        """Why this side has ended the handshake, as metrics/handshakes.py has it; "": it has not."""
        if self._core is None or self._core.state != "closing" or self._close_event is None:
            return ""
        return "no_common" if self._close_event.error_code in NO_COMMON else "malformed"

    @property
    def in_flight(self) -> bool:
        """Whether the client has still to say that it has got what was sent."""
        return self._core is not None and self._core.bytes_in_flight > 0

    # An established connection: what QuicConnection does for each datagram, event and reply, without what it logs.
    # _create_core has the calls that need nothing beside: they raise RuntimeError.

    def unsent_bytes(self) -> int:
        """How many bytes of streams have not been sent for the first time."""
        if self._close_event is not None:
            return 0
        unsent: int = self.core_unsent()
        return unsent

    def take(self, datagrams: list[bytes], sender: Address, now: float) -> None:
        """Take datagrams of an established connection. Raises QuicConnectionError."""
        try:
            self._core.receive_many_datagrams(datagrams, sender, now)
        except RuntimeError as error:
            raise QuicConnectionError(QuicErrorCode.INTERNAL_ERROR, None, str(error)) from error

    def let_pass(self, now: float) -> None:
        """So late it is now, at an established connection. Raises QuicConnectionError."""
        try:
            self._core.handle_timer(now)
        except RuntimeError as error:
            raise QuicConnectionError(QuicErrorCode.INTERNAL_ERROR, None, str(error)) from error

    def note(self, event: tuple[Any, ...]) -> None:
        """Something has happened that concerns QUIC alone, as qh3's core tells it: its name, and what it has."""
        kind = event[0]
        if kind == "crypto_data":
            self.take_crypto(event)
        elif kind == "peer_closed":
            self._close_event = ConnectionTerminated(event[2], event[3], "")
        elif kind == "protocol_error":
            self._close_event = ConnectionTerminated(event[1], event[2], "")
        elif kind == "connection_terminated":
            self._state = QuicConnectionState.TERMINATED

    def take_crypto(self, event: tuple[Any, ...]) -> None:
        """A client has nothing more to say for TLS when the handshake is complete."""
        try:
            self._tls.receive_crypto(Epoch(event[1]), event[3], event[2], version=self._core.version)
        except (QuicTlsBridgeError, ValueError):
            self.close(QuicErrorCode.PROTOCOL_VIOLATION)

    def to_send(self, now: float) -> tuple[Any, ...] | None:
        """The next datagram of a handshake, and where it goes. Raises QuicConnectionError."""
        if self._core is None:
            return None
        try:
            datagram: tuple[Any, ...] | None = self._core.poll_transmit(now)
        except RuntimeError as error:
            # Of a client that has not shown where it is: what is next is more than may be sent to it yet.
            if not self._handshake_complete and "capacity exhausted" in str(error):
                return None
            raise QuicConnectionError(QuicErrorCode.INTERNAL_ERROR, None, str(error)) from error
        return datagram

    def _create_core(self, remote_addr: tuple[str, int], initial_dcid: bytes, now: float) -> None:
        configuration = self._configuration
        self._core = QuicConnectionCore(
            is_client=False,
            version=self._version,
            local_addr=("0.0.0.0", 0),
            remote_addr=remote_addr,
            source_cid=self.host_cid,
            destination_cid=b"" if self.nameless else initial_dcid,
            peer_address_validated=self._retry_source_connection_id is not None,
            active_connection_id_limit=CONNECTION_IDS,
            max_datagram_size=configuration.max_datagram_size,
            probe_datagram_size=False,
            idle_timeout=configuration.idle_timeout,
            ack_delay_exponent=3,
            max_datagram_frame_size=None,
            peer_max_datagram_frame_size=None,
            connection_receive_window=configuration.max_data,
            connection_send_limit=0,
            stream_receive_window=configuration.max_stream_data,
            stream_send_limit_bidi_local=0,
            stream_send_limit_bidi_remote=0,
            stream_send_limit_uni=0,
            max_stream_reassembly=configuration.max_stream_data,
            local_max_streams_bidi=configuration.max_streams,
            local_max_streams_uni=configuration.max_uni_streams,
            peer_max_streams_bidi=0,
            peer_max_streams_uni=0,
            initial_rtt=configuration.initial_rtt,
            max_ack_delay=0.025,
            initial_time=now,
        )
        core = self._core
        # What has happened next; the next datagram and where it goes; bytes for a stream, and whether it ends;
        # when time is to pass, after what that is for.
        self.next_happened, self.next_datagram = core.next_event, core.poll_transmit
        self.core_timer, self.core_unsent = core.get_timer, core.get_send_buffer_size
        self.send_stream = core.send_stream
        if self.nameless:
            self._install_initial_keys(initial_dcid)
        self._applied_transport_parameters = None
        self._pre_handshake_state_replayed = False

    def _call_core(self, operation: Callable[..., Any], *args: Any) -> Any:
        """A client without an ID gets no second one of us: it would use it at once, and no worker could tell whose
        it is or end its connection. qh3 issues IDs as the last thing that it does with transport parameters. Just
        before, it takes up a token for the client's ID, and fails where there is no ID."""
        if not self.nameless or operation.__name__ != "apply_peer_transport_parameters":
            return super()._call_core(operation, *args)
        try:
            operation(*args[:TOKEN_ARGUMENT], bytes(RESET_TOKEN_BYTES), *args[TOKEN_ARGUMENT + 1 :])
        except ValueError as error:
            if "reset token" not in str(error):
                raise
        return None

    def _install_initial_keys(self, cid: bytes) -> None:
        """Those of the destination of the client's first packet (RFC 9001 section 5.2): qh3 takes them for those of
        what it sends to, and that is nothing here."""
        secret = hkdf_extract(256, INITIAL_SALT, cid)
        for direction, label in (("receive", b"client in"), ("send", b"server in")):
            own = hkdf_expand_label(256, secret, label, b"", 32)
            key, iv, hp = derive_key_iv_hp(
                cipher_suite=CipherSuite.AES_128_GCM_SHA256, secret=own, version=self._version
            )
            self._core.install_packet_key(
                direction, int(Epoch.INITIAL), ("aes-128-gcm", "aes-128-ecb"), key, iv, hp, 0, own, self._version
            )

    def _create_tls(self, remote_source_cid: bytes | None) -> QuicTlsBridge:
        self._tls = Tls(
            self._configuration,
            version=self._version,
            local_initial_source_connection_id=self.host_cid,
            # A client may have none, as Go's has: qh3 takes that for one that it does not know.
            remote_initial_source_connection_id=remote_source_cid or b"",
            original_destination_connection_id=self._original_destination_connection_id,
            retry_source_connection_id=self._retry_source_connection_id,
            stateless_reset_token=reset_token(self.host_cid),
            version_change_handler=self._set_version,
        )
        return self._tls
