"""EDNS options of a question, as rules change them one after the other."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns.plugins.rewrite._rules cimport Conf, OptionRule
from fastdns.serve._context cimport Context
from fastdns.serve._question cimport Options
from fastdns._wire cimport MAX_SENT_BYTES

# What a rule with ``revert`` has changed: clients are shown what the option was, if there was one.
cdef struct Reverted:
    Reverted* older
    uint16_t code
    bint was_there
    const uint8_t* data
    uint16_t length

# kept: the client's own, with room for a client subnet behind them. sent: those of rules, which upstreams are told.
cdef struct Draft:
    bint begun                  # it has the question's options
    bint changed                # a rule has made others of them
    uint8_t* kept
    uint32_t kept_len
    uint32_t sent_len
    uint8_t sent[MAX_SENT_BYTES]
    Reverted* reverted

# Take the options that the question has, unless that is done. False: there is no room.
cdef bint begin(Context* ctx, Draft* d) noexcept nogil

# Apply a rule to a draft that has begun. False: it does not take. data: what the option is to say.
cdef bint change_option(Context* ctx, Draft* d, const OptionRule* rule, const uint8_t* data,
                        uint32_t length) noexcept nogil

# All options, those for upstreams last, in scratch. False: there is no room.
cdef bint join(Context* ctx, const Draft* d, Options* options) noexcept nogil

# The options that the client is shown: what the reply would repeat of the question, and the codes of local rules.
# In scratch; returns their length, 0 where there is no room.
cdef uint16_t shown(Context* ctx, const Draft* d, const Conf* c, const uint8_t** out) noexcept nogil
