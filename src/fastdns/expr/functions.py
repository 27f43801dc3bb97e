"""The functions of expressions: what they take and give. The numbers are those of the native code.

A parameter is a letter: s string, i int, n number, a array, m map, x anything, and a few that are several of these;
after a bar, it may be left out; a star repeats the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.expr.types import ANY, ARRAY, BOOL, FLOAT, INT, STRING, STRINGS, Type

KINDS: dict[str, tuple[str, ...]] = {
    "s": ("string",), "i": ("int",), "n": ("int", "float"), "a": ("array",), "m": ("map",), "x": (),
    "c": ("string", "array", "map"), "v": ("int", "float", "string"), "k": ("array", "map"),
    "r": ("int", "float", "array"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Function:
    """parameters: see above. result: None for that of the first argument; "elem" for that of its elements."""

    parameters: str
    result: Type | str | None


# What the query is.
QUERY = {
    "type": Function("", STRING), "name": Function("", STRING), "class": Function("", STRING),
    "proto": Function("", STRING), "size": Function("", INT), "client_ip": Function("", STRING),
    "port": Function("", STRING), "id": Function("", INT), "opcode": Function("", INT), "do": Function("", BOOL),
    "bufsize": Function("", INT), "server_ip": Function("", STRING), "server_port": Function("", STRING),
    "metadata": Function("s", STRING), "incidr": Function("ss", BOOL),
}  # fmt: skip

# Those of the language that take no predicate.
PLAIN = {
    "len": Function("c", INT), "int": Function("v", INT), "float": Function("v", FLOAT),
    "string": Function("x", STRING),
    "trim": Function("s|s", STRING), "trimPrefix": Function("s|s", STRING), "trimSuffix": Function("s|s", STRING),
    "upper": Function("s", STRING), "lower": Function("s", STRING), "split": Function("ss|i", STRINGS),
    "splitAfter": Function("ss|i", STRINGS), "replace": Function("sss|i", STRING), "repeat": Function("si", STRING),
    "indexOf": Function("ss", INT), "lastIndexOf": Function("ss", INT), "hasPrefix": Function("ss", BOOL),
    "hasSuffix": Function("ss", BOOL), "join": Function("a|s", STRING), "abs": Function("n", None),
    "ceil": Function("n", FLOAT), "floor": Function("n", FLOAT), "round": Function("n", FLOAT),
    "max": Function("rr*", ANY), "min": Function("rr*", ANY), "mean": Function("rr*", FLOAT),
    "median": Function("rr*", FLOAT), "first": Function("a", "elem"), "last": Function("a", "elem"),
    "take": Function("ai", None), "reverse": Function("a", ARRAY), "uniq": Function("a", ARRAY),
    "concat": Function("aa*", ARRAY), "flatten": Function("a", ARRAY), "sort": Function("a|s", ARRAY),
    "get": Function("kx", ANY), "keys": Function("m", ARRAY), "values": Function("m", ARRAY),
    "bitand": Function("ii", INT), "bitor": Function("ii", INT), "bitxor": Function("ii", INT),
    "bitnand": Function("ii", INT), "bitshl": Function("ii", INT), "bitshr": Function("ii", INT),
    "bitushr": Function("ii", INT), "bitnot": Function("i", INT),
}  # fmt: skip

# With a predicate, which says bool where nothing else stands.
LOOPS: dict[str, Type | str] = {
    "all": BOOL, "none": BOOL, "any": BOOL, "one": BOOL, "count": INT, "findIndex": INT, "findLastIndex": INT,
    "find": "elem", "findLast": "elem", "filter": "same", "map": "mapped", "sum": "body", "reduce": "body",
    "sortBy": "same",
}  # fmt: skip
ANY_BODY = ("map", "sum", "reduce", "sortBy")

UNSUPPORTED = (
    "groupBy", "toJSON", "fromJSON", "toBase64", "fromBase64", "now", "duration", "date", "timezone", "toPairs",
    "fromPairs",
)  # fmt: skip

# CoreDNS has a function of its own with the name "type".
BUILTINS = {*PLAIN, *LOOPS, *UNSUPPORTED}

QUERY_NUMBERS = {name: number for number, name in enumerate(QUERY)}
PLAIN_NUMBERS = {name: number for number, name in enumerate(PLAIN)}
LOOP_NUMBERS = {name: number for number, name in enumerate(LOOPS)}


def counts(parameters: str) -> tuple[int, int | None]:
    """How many arguments there are at least, and at most; None: any number."""
    least = len(parameters.partition("|")[0])
    if parameters.endswith("*"):
        return least - 2, None
    return least, len(parameters.replace("|", ""))


def parameter(parameters: str, place: int) -> str:
    """The letter for an argument."""
    letters = parameters.replace("|", "").rstrip("*")
    return letters[min(place, len(letters) - 1)]
