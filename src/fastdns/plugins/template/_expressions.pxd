"""The expressions of a template in a query: see expressions.py."""

from libc.stdint cimport uint32_t
from fastdns.expr._program cimport Code
from fastdns.expr._value cimport Run
from fastdns.plugins.template._printing cimport Data, Value

cdef enum:
    MAX_TEMPLATE_VARIABLES = 31     # as expressions.py

cdef enum Verdict:
    HOLDS = 0
    NOT_TRUE = 1                # one of the conditions
    FAILED = 2

cdef struct Expressions:
    uint32_t variable_count
    uint32_t condition_count
    const Code** programs       # of the variables, and behind them of the conditions

# What the variables have come to, as templates see it, and whether all conditions are true. They are as good as the
# run. What no template natively reads (numbers with a fraction, arrays, maps) is nothing there.
cdef Verdict evaluate_all(const Expressions* e, const Data* data, Run* run, Value* variables) noexcept nogil
