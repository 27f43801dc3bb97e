"""The transports: each moves DNS messages between clients and the chain.

``table`` has a row for each of them. A transport that is served has a file of its own. All stream transports share
``clients``, which bounds what clients may take of a worker.
"""

from collections.abc import Callable
from typing import Any

# Takes the reply to a query that was suspended, or None for no reply. Returns False where the client is gone.
# Over a stream the reply may be several messages (_slow: Messages).
Deliver = Callable[[Any], object]
# Takes a message, the client's address (4 or 16 bytes), its port and a Deliver. Returns the reply, None for no
# reply, or PARKED: then Deliver gets either of these later.
Serve = Callable[[bytes, bytes, int, Deliver], object]
# A client's address as text, and its port.
Peer = tuple[str, int]
