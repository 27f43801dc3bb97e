"""What a native program is made of: the numbers of its operations, as in _program.pxd.

A program is a list of instructions ``(operation, small, large)`` for a machine with a stack of values, numbered
places for variables, and one text that is printed to:

    TEXT large          print the constant ``large``
    PUSH large          push the constant ``large``
    FIELD small         push a field of the data (Field below)
    GROUP small         push the group with the name ``small``; nothing where the pattern has no such group
    NAMED small         pop a value, push its key with the name ``small``
    META small          push the value of a plugin
    VARIABLE small      push what the expression ``small`` has come to
    LOAD, STORE small   push, or pop into, the place ``small``
    DROP                pop
    PRINT               pop, and print
    INDEX small         pop ``small`` indexes and what they are of
    SLICE small         the same
    LEN, NOT            of one value
    EQ small            the first of the values equals one of the ``small`` others
    NE, LT, LE, GT, GE  of two values
    JUMP large          go on at an instruction
    UNLESS large        pop; go on there if it is not true
    KEEP_TRUE large     if the value on top is true go on there, else pop it; KEEP_FALSE if it is not
    ITERATE small       pop what a range goes over into the places from ``small`` on
    NEXT small, large   the places ``small`` + 2 and 3 get index and element of the next round; none left: go there
    ONE_VARIABLE small  fail if the range at these places goes over a number
    SPRINT, SPRINTLN small      print ``small`` values into a string
    SPRINTF small, large        the same, with the format ``large``
    PARSE_INT           pop text, base and bits
    FAIL                the template fails
"""

from __future__ import annotations

(
    TEXT, PUSH, FIELD, GROUP, NAMED, META, VARIABLE, LOAD, STORE, DROP, PRINT, INDEX, SLICE, LEN, NOT, EQ, NE, LT,
    LE, GT, GE, JUMP, UNLESS, KEEP_TRUE, KEEP_FALSE, ITERATE, NEXT, ONE_VARIABLE, SPRINT, SPRINTLN, SPRINTF,
    PARSE_INT, FAIL,
) = range(33)  # fmt: skip

# Of a query.
FIELDS = (
    "Zone", "Name", "Class", "Type", "Remote", "Regex", "Match", "Group", "Question.Name", "Question.Qtype",
    "Question.Qclass",
)  # fmt: skip

MAX_PLACES = 64
MAX_STACK = 256
MAX_INSTRUCTIONS = 8192

# (literal before, verb, flags, width, precision); -1: none. At the end the verb is empty.
Piece = tuple[bytes, str, int, int, int]
LEFT, ZERO = 1, 2
Instruction = tuple[int, int, int]
