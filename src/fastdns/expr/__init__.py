"""Expressions over queries, in the language of expr-lang as CoreDNS documents it.

``from fastdns.expr import Program`` compiles one when the Corefile is read: a mistake is an error, and so is what
the native code cannot do. Filters and steps evaluate it without the GIL through ``_program.pxd``.

    lexer       text to tokens
    syntax      tokens to a tree
    types, functions, checker   what is known of values before a query comes
    tree        constants are evaluated; networks, patterns and sets are prepared
    _program    the tree in memory, its evaluation, and Python's class
    _message    the evaluation over a message, for Python
    _value      values, and the bounds of an evaluation
    _functions  strings, numbers and arrays
    _query      what the query is
"""

from fastdns.expr._program import Program
from fastdns.expr.errors import ExprError, UnsupportedError

__all__ = ["ExprError", "Program", "UnsupportedError"]
