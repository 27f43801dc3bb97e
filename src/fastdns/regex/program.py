"""A tree of nodes to instructions, as Thompson's construction has them, for the automata of _regex.

Instructions are written from the end of the pattern to its begin, so each knows where to go on. What Go's compiler
prefers where a repetition may be empty is preferred here, too: groups are at the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastdns.regex import syntax
from fastdns.regex.classes import NEWLINE, NONE, WORD, Ranges
from fastdns.regex.syntax import RegexError

# What matching may need of the stack grows with these (_regex.pxd).
MAX_INSTRUCTIONS = 16384
MAX_KINDS = 4096
MAX_MEMBERS_BYTES = 1 << 18

MATCH, ONE_OF, SPLIT, ASSERT, CAPTURE = range(5)


@dataclass(slots=True)
class Instruction:
    """What is done, and where it goes on.

    argument: of ONE_OF the number of a set, of SPLIT the second way, of ASSERT what must hold, of CAPTURE the place
    that keeps the offset: 0 is where the match begins, then come begin and end of each group.
    """

    operation: int
    next: int = 0
    argument: int = 0


@dataclass(slots=True)
class Program:
    """Instructions from start on. sets: what ONE_OF compares with. groups: how many, without the whole match."""

    instructions: list[Instruction]
    start: int
    sets: list[Ranges]
    groups: int
    # Bits of syntax: all that any instruction asserts.
    asserts: int


@dataclass(slots=True)
class Alphabet:
    """Kinds of code points that no set tells apart. The kind of kinds[i] begins at begins[i].

    count: how many there are. members: of each set its kinds. newline, word: the kinds that assertions look at.
    """

    begins: list[int]
    kinds: list[int]
    count: int
    members: list[set[int]]
    newline: set[int]
    word: set[int]


def compile_program(text: str, parsed: syntax.Parsed) -> Program:
    """Raises RegexError where it gets too large."""
    compiler = Compiler(text)
    start = compiler.compile(parsed.tree, compiler.add(MATCH))
    asserts = 0
    for one in compiler.instructions:
        if one.operation == ASSERT:
            asserts |= one.argument
    return Program(compiler.instructions, start, list(compiler.sets), len(parsed.names) - 1, asserts)


@dataclass(slots=True)
class Compiler:
    """Adds the instructions of nodes; each method returns where they start, and goes on at after."""

    text: str
    instructions: list[Instruction] = field(default_factory=list)
    sets: dict[Ranges, int] = field(default_factory=dict)

    def add(self, operation: int, after: int = 0, argument: int = 0) -> int:
        """One more instruction."""
        if len(self.instructions) == MAX_INSTRUCTIONS:
            raise RegexError("expression too large", self.text)
        self.instructions.append(Instruction(operation, after, argument))
        return len(self.instructions) - 1

    def compile(self, node: syntax.Node, after: int) -> int:
        """Any node."""
        match node:
            case syntax.OneOf(ranges):
                return self.add(ONE_OF, after, self.sets.setdefault(ranges, len(self.sets)))
            case syntax.Assertion(looks_for):
                return self.add(ASSERT, after, looks_for)
            case syntax.Group(number, inner):
                end = self.add(CAPTURE, after, 2 * number)
                return self.add(CAPTURE, self.compile(inner, end), 2 * number - 1)
            case syntax.Sequence(parts):
                for part in reversed(parts):
                    after = self.compile(part, after)
                return after
            case syntax.Alternatives(parts):
                start = self.compile(parts[-1], after)
                for part in reversed(parts[:-1]):
                    start = self.split(self.compile(part, after), start, greedy=True)
                return start
            case syntax.Repeat():
                return self.repeat(node, after)
        return after

    def split(self, more: int, after: int, *, greedy: bool) -> int:
        """Two ways: one more of a repetition, or what comes after it."""
        return self.add(SPLIT, more, after) if greedy else self.add(SPLIT, after, more)

    def repeat(self, node: syntax.Repeat, after: int) -> int:
        """x{2,5} is xx(x(x(x)?)?)?, and x{2,} is xx+."""
        inner = _without_idle(node)
        if node.most == 0 or isinstance(inner, syntax.Empty):
            return after
        least = node.least
        start = after
        if node.most < 0:
            start = self.many(inner, after, greedy=node.greedy, may_be_none=least == 0)
            least -= 1
        else:
            for _ in range(node.most - least):
                start = self.split(self.compile(inner, start), after, greedy=node.greedy)
        for _ in range(least):
            start = self.compile(inner, start)
        return start

    def many(self, inner: syntax.Node, after: int, *, greedy: bool, may_be_none: bool) -> int:
        """x* and x+. (x*)* would run in a circle without reading: what may be empty is made (x+)?."""
        loop = self.add(SPLIT)
        body = self.compile(inner, loop)
        one = self.instructions[loop]
        one.next, one.argument = (body, after) if greedy else (after, body)
        if not may_be_none:
            return body
        return self.split(body, after, greedy=greedy) if may_be_empty(inner) else loop


def _without_idle(node: syntax.Repeat) -> syntax.Node:
    """What is repeated, without a repetition in it that says the same once more: (?:x*)* is x*."""
    inner = node.inner
    while isinstance(inner, syntax.Repeat):
        same = (inner.least, inner.most) == (node.least, node.most) and inner.greedy == node.greedy
        if (inner.least, inner.most) == (1, 1) or (same and (node.most < 0 or node.most == 1) and node.least < 2):
            inner = inner.inner
        elif inner.most == 0:
            return syntax.Empty()
        else:
            break
    return inner


def may_be_empty(node: syntax.Node) -> bool:
    """Whether the node can be found without any character."""
    match node:
        case syntax.OneOf():
            return False
        case syntax.Group(_, inner):
            return may_be_empty(inner)
        case syntax.Sequence(parts):
            return all(may_be_empty(part) for part in parts)
        case syntax.Alternatives(parts):
            return any(may_be_empty(part) for part in parts)
        case syntax.Repeat(inner, least):
            return least == 0 or may_be_empty(inner)
    return True


def alphabet(text: str, program: Program) -> Alphabet:
    """The kinds of characters that a program tells apart. Raises RegexError where there are too many of them."""
    lines = NEWLINE if program.asserts & (syntax.BEGIN_LINE | syntax.END_LINE) else NONE
    words = WORD if program.asserts & (syntax.WORD_BOUNDARY | syntax.NO_WORD_BOUNDARY) else NONE
    sets: Sequence[Ranges] = [*program.sets, lines, words]
    begins, kinds, in_sets = _partition(sets)
    members = [set[int]() for _ in sets]
    for kind, holders in enumerate(in_sets):
        for number in holders:
            members[number].add(kind)
    if len(in_sets) > MAX_KINDS or len(sets) * len(in_sets) > 8 * MAX_MEMBERS_BYTES:
        raise RegexError("expression too large", text)
    return Alphabet(begins, kinds, len(in_sets), members[:-2], members[-2], members[-1])


def _partition(sets: Sequence[Ranges]) -> tuple[list[int], list[int], list[frozenset[int]]]:
    """Where each interval begins, its kind, and of each kind the sets that hold it."""
    changes: dict[int, set[int]] = {0: set()}
    for number, ranges in enumerate(sets):
        for low, high in ranges:
            for edge in (low, high + 1):
                changes.setdefault(edge, set()).symmetric_difference_update((number,))
    known: dict[frozenset[int], int] = {}
    begins: list[int] = []
    kinds: list[int] = []
    holders: frozenset[int] = frozenset()
    for at in sorted(changes):
        holders = holders ^ changes[at]
        kind = known.setdefault(holders, len(known))
        if not kinds or kinds[-1] != kind:
            begins.append(at)
            kinds.append(kind)
    return begins, kinds, list(known)
