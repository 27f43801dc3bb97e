r"""Go's syntax of regular expressions (https://pkg.go.dev/regexp/syntax): a pattern to a tree of nodes.

What Go's regexp.Compile takes is taken, and what it refuses is refused in its words, so that an error reads as
CoreDNS's does: "error parsing regexp: missing closing ): `(`". The errors test has the table of cases, with Go's
answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from fastdns.regex.classes import ANY, NEWLINE, PERL, POSIX, Ranges, fold, negate, union
from fastdns.regex.unicode import NoScripts, unicode_class

# As in Go: of one count, and of the product of counts within each other.
MAX_REPEAT = 1000
# Of nodes within each other; Go takes 1000. Those who walk a tree do so recursively.
MAX_HEIGHT = 250

# What an assertion looks for, one bit each: all the bits of an instruction must hold.
BEGIN_TEXT = 1
END_TEXT = 2
BEGIN_LINE = 4
END_LINE = 8
WORD_BOUNDARY = 16
NO_WORD_BOUNDARY = 32

_COUNT = re.compile(r"\{(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\}")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_ESCAPES = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_ASSERTIONS = {"A": BEGIN_TEXT, "z": END_TEXT, "b": WORD_BOUNDARY, "B": NO_WORD_BOUNDARY}
_HEX = "0123456789abcdefABCDEF"
_OCTAL = "01234567"


class RegexError(ValueError):
    """A pattern that is none. code: the rule that it breaks; where: the piece that does; hint: what may help."""

    def __init__(self, code: str, where: str, hint: str = "") -> None:
        self.code = code
        self.where = where
        super().__init__(f"error parsing regexp: {code}: `{where}`" + (f" ({hint})" if hint else ""))


@dataclass(frozen=True, slots=True)
class Node:
    """height: of the tree below, itself included."""

    height: int = field(default=1, kw_only=True)


@dataclass(frozen=True, slots=True)
class Empty(Node):
    """Nothing, found everywhere."""


@dataclass(frozen=True, slots=True)
class OneOf(Node):
    """One character of a set, which may be empty: then nothing is found."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Assertion(Node):
    """A place between characters; looks_for is one of the bits above."""

    looks_for: int


@dataclass(frozen=True, slots=True)
class Group(Node):
    """Parentheses whose place is kept under this number, from 1 on."""

    number: int
    inner: Node


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alternatives(Node):
    """One of these; the first that leads to a match is preferred."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat(Node):
    """most is -1 where there is no bound. greedy: more are preferred to fewer. counted: written with braces."""

    inner: Node
    least: int
    most: int
    greedy: bool
    counted: bool


@dataclass(frozen=True, slots=True)
class Flags:
    """What i, m, s and U set."""

    fold_case: bool = False
    multi_line: bool = False
    dot_newline: bool = False
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """tree, and the names of the groups from 0 on; "" where a group has none. Group 0 is the whole."""

    tree: Node
    names: tuple[str, ...]


@dataclass(slots=True)
class Level:
    """An open parenthesis, or the pattern itself: its alternatives so far, and the parts of the one that is read.

    number: of the group; 0: parentheses that only group. flags: to go back to after it.
    """

    number: int
    flags: Flags
    alternatives: list[Node] = field(default_factory=list)
    parts: list[Node] = field(default_factory=list)


def parse(text: str) -> Parsed:
    """Raises RegexError."""
    return Parser(text).parse()


class Parser:
    """Reads one pattern from its begin to its end. at: the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.flags = Flags()
        self.names = [""]
        self.levels = [Level(0, self.flags)]

    def parse(self) -> Parsed:
        """The whole pattern."""
        # A byte of the Corefile that is no UTF-8 comes as half a surrogate pair.
        if (bad := re.search("[\ud800-\udfff]", self.text)) is not None:
            raise RegexError("invalid UTF-8", self.text[bad.start() :])
        # Where the repetition began that was read last, if nothing has been read since.
        last_repeat = -1
        while self.at < len(self.text):
            start = self.at
            last_repeat = start if self.item(last_repeat) else -1
        if len(self.levels) > 1:
            raise RegexError("missing closing )", self.text)
        return Parsed(self.close(self.levels[0]), tuple(self.names))

    def item(self, last_repeat: int) -> bool:
        """The next piece; whether it is a repetition."""
        character = self.text[self.at]
        if character in "*+?":
            self.at += 1
            least, most = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[character]
            self.repeat(self.at - 1, least, most, last_repeat, counted=False)
            return True
        if character == "{" and (count := _COUNT.match(self.text, self.at)):
            self.count(count, last_repeat)
            return True
        if character == "(":
            self.open()
        elif character == ")":
            self.shut()
        elif character == "|":
            self.at += 1
            level = self.levels[-1]
            level.alternatives.append(self.sequence(level.parts))
            level.parts = []
        elif character == "[":
            self.push(OneOf(self.set()))
        elif character == "\\":
            self.escape()
        else:
            self.at += 1
            self.push(self.plain(character))
        return False

    def plain(self, character: str) -> Node:
        """A character that is neither a bracket, nor a backslash, nor a repetition."""
        if character == ".":
            return OneOf(ANY if self.flags.dot_newline else negate(NEWLINE))
        if character == "^":
            return Assertion(BEGIN_LINE if self.flags.multi_line else BEGIN_TEXT)
        if character == "$":
            return Assertion(END_LINE if self.flags.multi_line else END_TEXT)
        return self.literal(ord(character))

    def literal(self, code: int) -> Node:
        """One character, in any case where the flag i is set."""
        return OneOf(self.folded(((code, code),)))

    def folded(self, ranges: Ranges) -> Ranges:
        """ranges, with all cases where the flag i is set."""
        return fold(ranges) if self.flags.fold_case else ranges

    def push(self, node: Node) -> None:
        """One more part of the sequence that is read."""
        self.levels[-1].parts.append(node)

    # Repetitions.

    def count(self, count: re.Match[str], last_repeat: int) -> None:
        """{2}, {2,} or {2,5}."""
        start, self.at = count.span()
        least = int(count[1]) if len(count[1]) < 9 else MAX_REPEAT + 1
        most = least if count[2] is None else -1
        if count[3] is not None:
            most = int(count[3]) if len(count[3]) < 9 else MAX_REPEAT + 1
        if least > MAX_REPEAT or most > MAX_REPEAT or 0 <= most < least:
            raise RegexError("invalid repeat count", self.text[start : self.at])
        self.repeat(start, least, most, last_repeat, counted=True)

    def repeat(self, start: int, least: int, most: int, last_repeat: int, *, counted: bool) -> None:
        """Puts the last part of the sequence into a repetition that is written from start to at."""
        lazy = self.flags.lazy
        if self.text.startswith("?", self.at):
            self.at += 1
            lazy = not lazy
        if last_repeat >= 0:
            raise RegexError("invalid nested repetition operator", self.text[last_repeat : self.at])
        parts = self.levels[-1].parts
        if not parts:
            raise RegexError("missing argument to repetition operator", self.text[start : self.at])
        inner = parts[-1]
        node = Repeat(inner, least, most, not lazy, counted, height=self.above(inner))
        if max(least, most) >= 2 and counted and not _countable(node, MAX_REPEAT):
            raise RegexError("invalid repeat count", self.text[start : self.at])
        parts[-1] = node

    def above(self, *inner: Node) -> int:
        """The height of a node above these."""
        height = 1 + max(one.height for one in inner)
        if height > MAX_HEIGHT:
            raise RegexError("expression nests too deeply", self.text)
        return height

    # Parentheses.

    def open(self) -> None:
        """A parenthesis that opens, with what stands behind its question mark."""
        start = self.at
        if not self.text.startswith("(?", start):
            self.at += 1
            self.group("")
        elif self.text.startswith("(?P<", start) and len(self.text) > start + 4:
            self.named_group(start, start + 4)
        elif self.text.startswith("(?<", start) and len(self.text) > start + 3:
            self.named_group(start, start + 3)
        else:
            self.flag_group(start)

    def group(self, name: str) -> None:
        """What comes is a group with a number."""
        self.levels.append(Level(len(self.names), self.flags))
        self.names.append(name)

    def named_group(self, start: int, name_at: int) -> None:
        """(?P<name> or (?<name>; at name_at the name begins."""
        end = self.text.find(">", start)
        if end < 0:
            raise RegexError("invalid named capture", self.text[start:])
        name = self.text[name_at:end]
        if _NAME.fullmatch(name) is None:
            raise RegexError("invalid named capture", self.text[start : end + 1])
        self.at = end + 1
        self.group(name)

    def flag_group(self, start: int) -> None:
        """(?: or flags, as in (?i) and (?i-s:."""
        names = {"i": "fold_case", "m": "multi_line", "s": "dot_newline", "U": "lazy"}
        flags = self.flags
        on = True
        # Whether a flag stands behind the minus sign.
        lowered = False
        self.at = start + 2
        while self.at < len(self.text):
            character = self.text[self.at]
            self.at += 1
            if character in names:
                flags = replace(flags, **{names[character]: on})
                lowered = not on
            elif character == "-" and on:
                on = False
            elif character in ":)" and (on or lowered):
                if character == ":":
                    self.levels.append(Level(0, self.flags))
                self.flags = flags
                return
            else:
                break
        raise RegexError("invalid or unsupported Perl syntax", self.text[start : self.at])

    def shut(self) -> None:
        """A parenthesis that closes."""
        if len(self.levels) == 1:
            raise RegexError("unexpected )", self.text)
        self.at += 1
        level = self.levels.pop()
        self.flags = level.flags
        inner = self.close(level)
        self.push(Group(level.number, inner, height=self.above(inner)) if level.number else inner)

    def close(self, level: Level) -> Node:
        """The node of all that stands in these parentheses."""
        last = self.sequence(level.parts)
        if not level.alternatives:
            return last
        parts = (*level.alternatives, last)
        return Alternatives(parts, height=self.above(*parts))

    def sequence(self, parts: list[Node]) -> Node:
        """The node of one alternative."""
        if not parts:
            return Empty()
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts), height=self.above(*parts))

    # Backslashes.

    def escape(self) -> None:
        r"""What begins with a backslash outside of brackets."""
        start = self.at
        letter = self.text[start + 1 : start + 2]
        if letter and letter in _ASSERTIONS:
            self.at += 2
            self.push(Assertion(_ASSERTIONS[letter]))
        elif letter == "C":
            raise RegexError("invalid escape sequence", "\\C")
        elif letter == "Q":
            literal, _, _ = self.text[start + 2 :].partition("\\E")
            self.at = min(start + 2 + len(literal) + 2, len(self.text))
            for character in literal:
                self.push(self.literal(ord(character)))
        elif (ranges := self.escaped_set()) is not None:
            self.push(OneOf(ranges))
        else:
            self.push(self.literal(self.escaped_character()))

    def escaped_set(self) -> Ranges | None:
        r"""\d and the like, \pL and \p{Greek}; None: none of these stands here."""
        letter = self.text[self.at + 1 : self.at + 2]
        if letter in ("p", "P"):
            return self.unicode_set(letter == "P")
        if not letter or letter.lower() not in PERL:
            return None
        self.at += 2
        ranges = self.folded(PERL[letter.lower()])
        return negate(ranges) if letter.isupper() else ranges

    def unicode_set(self, negated: bool) -> Ranges:
        r"""\pL, \p{Lu}, \p{^Lu} and with P their opposites."""
        start = self.at
        end = start + 3
        if self.text.startswith("{", start + 2):
            end = self.text.find("}", start) + 1
            if not end:
                raise RegexError("invalid character class range", self.text[start:])
        name = self.text[start + 2 : end].removeprefix("{").removesuffix("}")
        if name.startswith("^"):
            negated = not negated
            name = name[1:]
        try:
            ranges = unicode_class(name)
        except NoScripts:
            raise RegexError(
                "invalid character class range", self.text[start:end],
                "names of scripts need the Python package regex: pip install 'fastdns[scripts]'",
            ) from None  # fmt: skip
        if ranges is None:
            raise RegexError("invalid character class range", self.text[start:end])
        self.at = end
        ranges = self.folded(ranges)
        return negate(ranges) if negated else ranges

    def escaped_character(self) -> int:
        r"""\., \n, \x41, \x{10FFFF}, \012: the code point."""
        start = self.at
        if start + 1 >= len(self.text):
            raise RegexError("trailing backslash at end of expression", "")
        letter = self.text[start + 1]
        self.at += 2
        following = self.text[self.at : self.at + 1]
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter == "0" or (letter in _OCTAL and following and following in _OCTAL):
            digits = letter
            while len(digits) < 3 and (digit := self.text[self.at : self.at + 1]) and digit in _OCTAL:
                digits += digit
                self.at += 1
            return int(digits, 8)
        if letter == "x":
            return self.hexadecimal(start)
        if letter < "\x80" and not letter.isalnum():
            return ord(letter)
        raise RegexError("invalid escape sequence", self.text[start : self.at])

    def hexadecimal(self, start: int) -> int:
        r"""What stands behind \x: two digits, or any number in braces."""
        end = len(self.text)
        if self.at < end and self.text[self.at] == "{":
            code, digits = 0, 0
            self.at += 1
            while self.at < end:
                character = self.text[self.at]
                self.at += 1
                if character == "}" and digits:
                    return code
                if character not in _HEX:
                    break
                code = code * 16 + int(character, 16)
                digits += 1
                if code > 0x10FFFF:
                    break
        else:
            digits_text = self.text[self.at : self.at + 2]
            self.at += len(digits_text)
            if len(digits_text) == 2 and digits_text[0] in _HEX and digits_text[1] in _HEX:
                return int(digits_text, 16)
        raise RegexError("invalid escape sequence", self.text[start : self.at])

    # Brackets.

    def set(self) -> Ranges:
        """[...]: the code points in it."""
        start = self.at
        self.at += 1
        negated = self.text.startswith("^", self.at)
        self.at += negated
        found: list[Ranges] = []
        first = True
        while first or not self.text.startswith("]", self.at):
            first = False
            found.append(self.set_item(start))
        self.at += 1
        ranges = union(*found)
        return negate(ranges) if negated else ranges

    def set_item(self, start: int) -> Ranges:
        """One character, range or class within brackets that began at start."""
        if self.text.startswith("[:", self.at) and (end := self.text.find(":]", self.at + 2)) >= 0:
            return self.posix_set(end)
        if self.text.startswith("\\", self.at) and (ranges := self.escaped_set()) is not None:
            return ranges
        item = self.at
        low = high = self.set_character(start)
        following = self.text[self.at : self.at + 2]
        if len(following) == 2 and following[0] == "-" and following[1] != "]":
            self.at += 1
            high = self.set_character(start)
            if high < low:
                raise RegexError("invalid character class range", self.text[item : self.at])
        return self.folded(((low, high),))

    def posix_set(self, end: int) -> Ranges:
        """[:alpha:] or [:^alpha:]; at end stands the colon that ends it."""
        name = self.text[self.at + 2 : end]
        ranges = POSIX.get(name.removeprefix("^"))
        if ranges is None:
            raise RegexError("invalid character class range", self.text[self.at : end + 2])
        self.at = end + 2
        ranges = self.folded(ranges)
        return negate(ranges) if name.startswith("^") else ranges

    def set_character(self, start: int) -> int:
        """One character within brackets that began at start."""
        if self.at >= len(self.text):
            raise RegexError("missing closing ]", self.text[start:])
        if self.text[self.at] == "\\":
            return self.escaped_character()
        self.at += 1
        return ord(self.text[self.at - 1])


def _countable(node: Node, copies: int) -> bool:
    """Whether counts within each other make this many copies at most."""
    if isinstance(node, Repeat):
        if node.counted:
            most = node.least if node.most < 0 else node.most
            if node.most == 0:
                return True
            if most > copies:
                return False
            copies //= max(most, 1)
        return _countable(node.inner, copies)
    if isinstance(node, Group):
        return _countable(node.inner, copies)
    if isinstance(node, Sequence | Alternatives):
        return all(_countable(part, copies) for part in node.parts)
    return True
