"""One question and its data, for the native program and for Python's evaluator."""

from __future__ import annotations

from fastdns.plugins.template._program import NativeProgram
from fastdns.plugins.template.compile import Names, NotNativeError, compile_tree
from fastdns.plugins.template.evaluate import FailureError, execute
from fastdns.plugins.template.formats import Struct, Unsigned
from fastdns.plugins.template.tree import Tree
from fastdns.regex import Regex
from tests.plugins.template._trial import run

NAME = b"web-10.example.org."
PATTERN = Regex(r"^(?P<host>[a-z]+)-(\d+)(x)?\.")
OFFSETS = PATTERN.search(NAME) or ()
GROUPS = [NAME[begin:end] if begin >= 0 else b"" for begin, end in zip(OFFSETS[::2], OFFSETS[1::2], strict=True)]
KEYS = {b"0": GROUPS[0], b"1": GROUPS[1], b"2": GROUPS[2], b"3": GROUPS[3], b"host": GROUPS[1]}
# By number, as program.FIELDS; those of Match and Group are made of the pattern.
FIELDS = [
    b"example.org.", NAME, b"IN", b"A", b"192.0.2.7", PATTERN.text.encode(), b"", b"", b"Web-10.Example.org.", 1, 1,
]  # fmt: skip
QUESTION = Struct(
    "*dns.Question",
    {"Name": FIELDS[8], "Qtype": Unsigned(1), "Qclass": Unsigned(1)},
    text=b";Web-10.Example.org.\tIN\t A",
)
HEADER = {
    "Id": Unsigned(4711), "Response": False, "Opcode": 0, "Authoritative": False, "Truncated": False,
    "RecursionDesired": True, "RecursionAvailable": False, "Zero": False, "AuthenticatedData": False,
    "CheckingDisabled": False, "Rcode": 0,
}  # fmt: skip
DATA = Struct(
    "*template.templateData",
    {
        "Zone": FIELDS[0], "Name": NAME, "Regex": FIELDS[5], "Match": GROUPS, "Group": KEYS, "Class": b"IN",
        "Type": b"A", "Question": QUESTION, "Remote": FIELDS[4], "Var": {},
        "Message": Struct("*dns.Msg", {**HEADER, "Question": [QUESTION], "Answer": []}),
    },
    {"Meta": (1, lambda name: b"prod" if name == b"kubernetes/client-namespace" else b"")},
)  # fmt: skip


def in_python(tree: Tree) -> bytes | None:
    """The text; None: it fails."""
    try:
        return execute(tree, DATA)
    except FailureError:
        return None


def natively(tree: Tree) -> bytes | None:
    """The same. Raises NotNativeError."""
    names = Names()
    made = compile_tree(tree, names)
    if names.metas:
        raise NotNativeError("values are not part of this")
    program = NativeProgram(made.code, made.constants, names.keys, made.formats)
    return run(program, FIELDS, PATTERN.names, OFFSETS, names.keys)
