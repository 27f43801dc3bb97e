"""What is known of the signature of a client's message: a step verifies it, and others may sign with the same key.

A step that sends several messages, as a transfer does, gets a Signer for them. The last bytes of a reply that the
chain writes are signed by the step that has verified the request.
"""

from fastdns.dns._signatures cimport Signer, Signing
from fastdns.serve._context cimport Context

# What the replies to a message whose signature is right are signed with; NULL: to be filled in by the step that
# verifies, or no room. The message is that of the question which is asked here.
cdef Signing* add_signing(Context* ctx) noexcept nogil

# What a step before has filled in; NULL: the message is not signed, or nobody has looked.
cdef Signing* find_signing(const Context* ctx) noexcept nogil

# For a service, which has the Context while a query is suspended: signs what goes to the client. None: nothing is
# to be signed.
cdef Signer signer_of(const Context* ctx)
