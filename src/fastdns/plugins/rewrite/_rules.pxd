"""The rules of a block in memory, and what those that matched leave for the reply."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns.plugins.rewrite._replace cimport Replacing
from fastdns.serve._values cimport Value

cdef enum Field:
    NAME = 0
    TYPE = 1
    CLASS = 2
    EDNS0 = 3
    TTL = 4
    CNAME = 5
    RCODE = 6

cdef enum Action:
    SET = 0
    APPEND = 1
    REPLACE = 2
    UNSET = 3

# What an option's data is made of. Those between are texts and numbers of the query.
cdef enum Source:
    FIXED = 0
    QNAME = 1
    QTYPE = 2
    CLIENT_IP = 3
    CLIENT_PORT = 4
    PROTOCOL = 5
    SERVER_IP = 6
    SERVER_PORT = 7
    VALUE = 8
    SUBNET = 9

cdef struct OptionRule:
    Action action
    Source source
    uint16_t code
    bint revert
    const uint8_t* data         # of FIXED
    uint32_t length
    const Value* value          # of VALUE
    uint8_t ipv4_bits           # of SUBNET
    uint8_t ipv6_bits

# What becomes of names in a reply: of owners, or of those in rdata.
cdef struct Answer:
    bint value
    Replacing replacing

cdef struct Rule:
    Field field
    bint stop
    Replacing replacing         # of NAME and CNAME; of TTL and RCODE only what it looks for
    uint16_t number             # of TYPE, CLASS and RCODE: what is replaced, and by what
    uint16_t to
    uint32_t low_s              # of TTL
    uint32_t high_s
    bint puts_back              # of NAME: names at or below the new one get the old one in its place
    uint32_t answer_count       # of NAME
    Answer* answers
    OptionRule option           # of EDNS0

cdef struct Conf:
    uint32_t count
    Rule* rules
    uint32_t local_count        # codes that EDNS0 rules have named: clients are shown these options
    uint16_t* local_codes
    uint16_t first_reason

# A rule that matched and has something to do with the reply, the last one first.
cdef struct Applied:
    Applied* older
    const Rule* rule
    const uint8_t* name         # of puts_back, in wire form: the new name, and the old one
    const uint8_t* old
    uint16_t name_len
    uint16_t old_len

# What the step remembers of a question.
cdef struct Memory:
    Applied* newest
    bint names                  # some rule changes names
    uint16_t qtype              # that was asked below
    bint echoes                 # echo has the options that the client is shown
    const uint8_t* echo
    uint16_t echo_len
    bint other_subnet           # upstreams were told another client subnet than the client's
