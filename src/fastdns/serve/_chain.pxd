"""From bytes to bytes: accept, the server block by longest zone, its chain of steps, write, finish. Sans-IO.

See _context.pxd for what a step sees and may do.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.serve._context cimport Chain, Context, Outcome, ZoneEntry
from fastdns._wire cimport Accept, Query

# A message of a batch that is served soon: what it asks, and whose turn it will be. Steps that look things up have
# the memory fetched meanwhile (see look_ahead); what a step has to know again then is in hashes, 0: nothing.
cdef struct Ahead:
    Accept verdict
    const ZoneEntry* zone       # NULL: no chain will see it, or which one is not known yet
    uint64_t* hashes            # one for each step of a chain that fetches ahead
    Query q

cdef enum:
    MAX_TIMED_STEPS = 64

# When steps of a chain began and ended, by their places: CLOCK_MONOTONIC; 0: it was not its turn. A step whose
# after runs ends with that. Steps behind MAX_TIMED_STEPS have none.
cdef struct StepTimes:
    uint64_t began_ns[MAX_TIMED_STEPS]
    uint64_t ended_ns[MAX_TIMED_STEPS]

# The chain from step first on, there and back.
cdef Outcome run(Context* ctx, const Chain* chain, uint32_t first) noexcept nogil

# The same, and when each of these steps began and ended. A step may run the steps behind it so, and return what
# comes of it.
cdef Outcome run_timed(Context* ctx, const Chain* chain, uint32_t first, StepTimes* times) noexcept nogil

# Fill ctx.reply for ctx.q: the checks that no plugin sees, then the chain of the zone.
cdef Outcome answer(Context* ctx) noexcept nogil

# Run the steps after the one that runs, for the same question, for nobody: the reply under construction is lost
# (call it before filling one). Where the outcome is ANSWERED ctx.reply holds the answer; where it is SUSPENDED
# the running step's after will see the answer when it comes, with ctx.background set.
cdef Outcome run_below(Context* ctx) noexcept nogil

# What run_below left SUSPENDED, from a step on, now that ctx.replies is set. Nothing is written. sent_len: of the
# question, which has no other way to say so.
cdef void serve_background(Context* ctx, const uint8_t* msg, uint32_t length, uint16_t sent_len, const Chain* chain,
                           uint32_t step) noexcept nogil
cdef void report_error(Context* ctx, uint16_t block) noexcept nogil

# The whole way of one message. Returns the reply's bytes in out, 0 for silence, or -1 where it is suspended. room
# is at least 65,535 bytes over TCP and what a UDP reply may ever have otherwise; out must hold it. The caller has
# entered an epoch, and set how the message came and how far it has come (see begin_message).
cdef int32_t serve(Context* ctx, const uint8_t* msg, uint32_t length, uint8_t* out, uint32_t room) noexcept nogil

# Messages of a batch are served in three passes, so that what each waits for from memory comes in while others are
# looked at: look_ahead reads a message and calls ``ahead`` of its chain's steps, look_again calls ``again``, and
# serve_ahead is serve for a message that has been looked at. Hints only: when it is served, a step looks by itself.
cdef void look_ahead(const Context* ctx, const uint8_t* msg, uint32_t length, Ahead* ahead) noexcept nogil
cdef void look_again(const Context* ctx, Ahead* ahead) noexcept nogil
cdef int32_t serve_ahead(Context* ctx, Ahead* ahead, const uint8_t* msg, uint32_t length, uint8_t* out,
                         uint32_t room) noexcept nogil
cdef void count_query(Context* ctx, uint32_t slot, uint16_t rcode, bint by_plugin, uint32_t bytes) noexcept nogil

# How a message came: the one place that fills this in, for each transport and for a query that is served again. It
# comes for the first time; serve_resumed says what it has waited for. ``inside`` and ``entry`` are set by the
# transport that steps in Python ask through.
cdef inline void begin_message(Context* ctx, uint8_t transport, uint64_t received_ns, uint64_t token,
                               const uint8_t* client, uint16_t client_len, uint16_t client_port,
                               const uint8_t* peer, uint16_t peer_len, const uint8_t* control,
                               uint16_t control_len) noexcept nogil:
    ctx.transport = transport
    ctx.received_ns = received_ns
    ctx.token = token
    ctx.client = client
    ctx.client_len = client_len
    ctx.client_port = client_port
    ctx.peer = peer
    ctx.peer_len = peer_len
    ctx.control = control
    ctx.control_len = control_len
    ctx.deadline_ns = 0
    ctx.chosen = NULL
    ctx.replays = 0
    ctx.replies = NULL
    ctx.asked_before = 0
