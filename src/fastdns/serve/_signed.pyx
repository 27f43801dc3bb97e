"""Signatures of clients' messages: see _signed.pxd."""

from libc.stdint cimport uint8_t

from fastdns.dns._signatures cimport make_signer
from fastdns.serve._context cimport add_memory, find_memory

# Whose memory of a question it is.
cdef uint8_t OWNER


cdef Signing* add_signing(Context* ctx) noexcept nogil:
    return <Signing*>add_memory(ctx, &OWNER, sizeof(Signing))


cdef Signing* find_signing(const Context* ctx) noexcept nogil:
    return <Signing*>find_memory(ctx, &OWNER)


cdef Signer signer_of(const Context* ctx):
    cdef const Signing* signing = find_signing(ctx)
    # The keys are a step's, and steps live as long as their worker.
    return None if signing == NULL else make_signer(signing, None)
