"""Why forward gets no answer: numbers of its own; those that the server counts by begin at ``first_reason``.

plugin.py has their names and texts, in this order.
"""

cdef enum ForwardReason:
    NONE_YET = 0
    NO_HEALTHY = 1              # no upstream may be asked
    TIMEOUT = 2                 # no upstream has answered in time
    CONNECTION_REFUSED = 3
    MALFORMED = 4               # what came back is no DNS message
    MAX_CONCURRENT = 5          # max_concurrent
    IN_FLIGHT = 6               # the table of questions in flight is full
    STREAM_FAILED = 7           # TCP, TLS or HTTPS have failed
    SEND_FAILED = 8             # the datagram could not be sent
    CLIENT_SHARE = 9            # little room is left in that table, and this client has much of it
    TOO_LONG = 10               # a query that is not forwarded for its length
