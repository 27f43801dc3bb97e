"""The engine of the forward plugin: client queries wait here until upstreams have answered.

A client query that needs an upstream is *suspended*: its message and how to reach its client are copied into a
Waiter. Its question becomes an *outstanding query*, or joins an equal one. An outstanding query has up to four
*attempts* out at a time, each at one upstream: over UDP, from a random port with a random ID, or over TCP, TLS or
HTTPS through the event-loop thread. When it ends, each of its waiters is *resumed*: the transport serves the client
query again from its bytes, with the reply in ``ctx.replies``.

    attempt      ends with its reply, a refusal (ICMP), or after the stanza's read timeout. If no reply arrives
                 within the adaptive timeout of the upstream, another upstream is asked as well (hedging), or the
                 same datagram is sent again.
    outstanding  ends with the first good reply. If there is none when the attempts or DEADLINE_NS are used up, it
                 ends with the best of the others (SERVFAIL, truncated), or with an error.
    upstream     is suspect after some silences in a row: others are asked first. It is down after more than
                 max_fails failed probes in a row.

Each serving thread has an engine of its own. It runs without the GIL and without locks, in memory of fixed size.

The modules, from the bottom up; each imports only modules above it in this list:

    _reasons     why there is no answer
    _stanza      what a forward stanza of the Corefile says
    _shared      what all processes know of an upstream
    _health      what one thread knows of an upstream: round-trip time, silences, failed probes
    _sockets     the UDP sockets to one upstream, and when their ports change
    _quotas      how much room a client, a stanza and ``max_concurrent`` leave
    _claims      of all threads of all workers one asks a question; the others follow it
    _streams     the rings to the event-loop thread and back
    _state       the structs: Attempt, Waiter, Outstanding, Upstream, Engine
    _observed    what is asked and answered is told to observers
    _questions   which questions are equal
    _table       outstanding queries by question, attempts by socket and ID
    _selection   which upstream is next, by the stanza's policy
    _attempts    an attempt begins
    _delivery    an outstanding query ends: its waiters are resumed
    _probes      is an upstream well?
    _retries     an attempt has failed or is silent: who is asked next
    _replies     is a reply true, and is it good enough?
    _datagrams   batches of datagrams from and to sockets
    _timers      what is due
    _admission   a client query is suspended, or refused
    _engine      all of it together, as the transports use it
"""
