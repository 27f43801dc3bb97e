"""What rules that matched do to the reply: its names, TTLs, code and aliases."""

from fastdns.plugins.rewrite._rules cimport Conf, Memory
from fastdns.serve._context cimport Context

# On the way up: the reply is to the question as it came here.
cdef void rewrite_reply(Context* ctx, const Conf* c, Memory* m) noexcept nogil
