"""What a query has waited for: all replies are there when it is served again, by who asked what.

The newest reply is the service's, and lives as long as the call that resumes the query. The ones before it are
copies that the query keeps while it waits once more. Their number is bounded by MAX_REPLAYS, their bytes by
MAX_KEPT_BYTES a query and by KeptReplies.most_bytes a thread.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from fastdns.serve._context cimport Context, KeptReplies, ServiceReply
from fastdns._wire cimport Query

cdef enum:
    MAX_KEPT_BYTES = 262144         # of one query: four of the longest messages

# What makes services answer a question differently, as a number that nobody can aim at.
cdef uint64_t question_of(const Query* q) noexcept nogil

# What a service has said to ctx.q for a request; NULL: it was not asked yet, or is to be asked again: another
# thread was, or there was only no time to wait.
cdef const ServiceReply* find_reply(const Context* ctx, const void* asker) noexcept nogil

# The newest reply to ctx.q that the running step or one behind it has waited for; NULL: none has.
cdef ServiceReply* reply_to(const Context* ctx) noexcept nogil

# Whether ctx.q has come to the running step before, in this query: then it is counted there already.
cdef bint was_here(const Context* ctx) noexcept nogil

# Copy the newest reply, before the query waits once more. False where there is no room.
cdef bint keep_replies(Context* ctx) noexcept nogil

# Give back what a query has kept, from a reply on.
cdef void forget_replies(KeptReplies* kept, ServiceReply* reply) noexcept nogil
