"""What each pattern finds, and which are refused: the tables have what Go's regexp package says.

They follow its page on syntax (https://pkg.go.dev/regexp/syntax) from top to bottom. Offsets are of bytes, as those
of FindSubmatchIndex.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from fastdns.regex import Regex, RegexError

pytestmark = pytest.mark.native


@dataclass(frozen=True)
class Case:
    """found: begin and end of the first match, then of each group; -1: it takes no part. None: nothing is found."""

    pattern: str
    text: str
    found: tuple[int, ...] | None
    why: str


@dataclass(frozen=True)
class Refused:
    """code and where: of the error that Go gives."""

    pattern: str
    code: str
    where: str
    why: str


CASES = [
    # Single characters.
    Case(".", "\né", (1, 3), "any character but a newline"),
    Case("(?s).", "\n", (0, 1), "with the flag s a newline as well"),
    Case("[xyz]", "ay", (1, 2), "one of these"),
    Case("[^xyz]", "xa", (1, 2), "none of these"),
    Case("[^a]", "\n", (0, 1), "a newline is none of these"),
    Case(r"\d+", "a12b", (1, 3), "Perl's digits"),
    Case(r"\D+", "1ab2", (1, 3), "Perl's non-digits"),
    Case("[[:alpha:]]+", "1aB2", (1, 3), "ASCII letters"),
    Case("[[:^alpha:]]+", "a12b", (1, 3), "all but ASCII letters"),
    Case(r"\pN+", "aⅣ٣b", (1, 6), "a Unicode category of one letter"),
    Case(r"\PN+", "1ab2", (1, 3), "all but that"),
    Case(r"\pL+", "12αβé日3", (2, 11), "letters of any script"),
    Case(r"\PL+", "ab.-c", (2, 4), "all but letters"),
    Case(r"\p{Lu}+", "aÄBc", (1, 4), "a category of two letters"),
    Case(r"\p{^Lu}+", "ABcdE", (2, 4), "negated in the braces"),
    Case(r"\P{^Lu}", "aB", (1, 2), "negated twice"),
    Case(r"\p{Letter}+", "1ab2", (1, 3), "a category by its long name"),
    Case(r"\p{lowercase_letter}", "Ab", (1, 2), "in any case"),
    Case(r"\p{Any}", "a", (0, 1), "all characters"),
    # One after the other, or.
    Case("xy", "axyb", (1, 3), "x, then y"),
    Case("x|y", "ay", (1, 2), "x or y"),
    Case("a|ab", "ab", (0, 1), "the first alternative is preferred, not the longest"),
    Case("(a|ab)(c|bcd)", "abcd", (0, 4, 0, 1, 1, 4), "also where the second would make a longer match"),
    Case("", "abc", (0, 0), "nothing, at the begin"),
    Case("a||b", "b", (0, 0), "an empty alternative"),
    # Repetitions.
    Case("x*", "xxx", (0, 3), "as many as possible"),
    Case("x+", "axx", (1, 3), "at least one"),
    Case("x?", "x", (0, 1), "one or none, rather one"),
    Case("x{2,3}", "xxxx", (0, 3), "two or three"),
    Case("x{2,}", "xxxx", (0, 4), "two or more"),
    Case("x{2}", "xxx", (0, 2), "two"),
    Case("x*?y", "xxy", (0, 3), "as few as possible"),
    Case("x+?", "xx", (0, 1), "one, rather"),
    Case("x??", "x", (0, 0), "none, rather"),
    Case("x{2,3}?", "xxx", (0, 2), "two, rather"),
    Case("x{2,}?", "xxx", (0, 2), "two, rather, without a bound"),
    Case("x{2}?", "xxx", (0, 2), "two, lazily"),
    Case("x{0}y", "xy", (1, 2), "none at all"),
    Case("x{1000}", "x" * 1000, (0, 1000), "the highest count"),
    Case("x{,2}", "x{,2}", (0, 5), "no count: it stands for itself"),
    Case("x{a}", "x{a}", (0, 4), "nor is this"),
    Case("x{01}", "x{01}", (0, 5), "nor with a leading zero"),
    Case("a{", "a{", (0, 2), "nor an open brace"),
    Case("(a*)+", "b", (0, 0, 0, 0), "what may be empty, repeated"),
    Case("(a*)*", "b", (0, 0, 0, 0), "and repeated without need"),
    Case("(a|b)*", "abba", (0, 4, 3, 4), "the last round counts for the group"),
    Case("(?:(a)|b)*", "ab", (0, 2, 0, 1), "a group that the last round did not go through"),
    Case("(|a)*", "aa", (0, 0, 0, 0), "empty rather than a"),
    Case("(|a)+", "aa", (0, 0, 0, 0), "at least once"),
    # Groups.
    Case("a(b)c", "abc", (0, 3, 1, 2), "numbered"),
    Case("(?P<n>b)", "abc", (1, 2, 1, 2), "named"),
    Case("(?<n>b)", "abc", (1, 2, 1, 2), "named, without the P"),
    Case("(?:b)c", "abc", (1, 3), "without a number"),
    Case("(a)|(b)", "b", (0, 1, -1, -1, 0, 1), "one that takes no part"),
    Case("((a)(b))", "ab", (0, 2, 0, 2, 0, 1, 1, 2), "within each other"),
    Case("(?i)ab", "AB", (0, 2), "a flag from here on"),
    Case("(?i:a)b", "Ab", (0, 2), "a flag in the group only"),
    Case("(?i:a)B", "AB", (0, 2), "and none behind it"),
    Case("a(?i)b|c", "aB", (0, 2), "to the end of the parentheses"),
    Case("(?i)a(?-i)b", "AB", None, "a flag taken back"),
    Case("(?im-sU)^a", "b\nA", (2, 3), "several"),
    Case("(?i)k", "K", (0, 3), "the sign of kelvin is a K"),
    Case("(?i)s", "ſ", (0, 2), "the long s is an s"),
    Case("(?i)É", "é", (0, 2), "cases beyond ASCII"),
    Case("(?i)[a-c]+", "ABC", (0, 3), "ranges, too"),
    Case("(?i)[^a]", "A", None, "negated after folding"),
    Case("(?i)ß", "ẞ", (0, 3), "one character for one"),
    Case("(?i)ı", "I", None, "the dotless i has no other case"),
    Case("(?m)^b$", "a\nb\nc", (2, 3), "lines"),
    Case("(?U)a+", "aa", (0, 1), "lazy and greedy swapped"),
    Case("(?U)a+?", "aa", (0, 2), "and back"),
    # Places.
    Case("^a", "ba", None, "the begin of the text"),
    Case("^a", "a\n", (0, 1), "found there"),
    Case("a$", "a\n", None, "the end of the text, not before a newline there"),
    Case("(?m)a$", "a\nb", (0, 1), "the end of a line"),
    Case(r"\Aa", "ab", (0, 1), "the begin, whatever the flags"),
    Case(r"(?m)\Ab", "a\nb", None, "also with m"),
    Case(r"a\z", "ba", (1, 2), "the end"),
    Case(r"(?m)a\z", "a\nb", None, "also with m"),
    Case(r"\bb\b", "a b c", (2, 3), "an ASCII word's edge"),
    Case(r"\Bb\B", "abc", (1, 2), "none"),
    Case(r"\bé", "é", None, "é is no ASCII word"),
    Case("^$", "", (0, 0), "an empty text"),
    Case("^^a", "a", (0, 1), "twice the same place"),
    Case("^*a", "ba", (1, 2), "a place repeated"),
    # Escapes.
    Case(r"\a\f\t\n\r\v", "\x07\x0c\t\n\r\x0b", (0, 6), "control characters"),
    Case(r"\123", "S", (0, 1), "octal"),
    Case(r"\0", "\x00", (0, 1), "a zero byte"),
    Case(r"\01", "\x01", (0, 1), "octal with a zero"),
    Case(r"\x41", "A", (0, 1), "hexadecimal"),
    Case(r"\x{e9}", "é", (0, 2), "a code point"),
    Case("\\.\\-\\_\\\\", "..-_\\", (1, 5), "punctuation stands for itself"),
    Case(r"\Qa.b\E.", "a.bc", (0, 4), "literal text"),
    Case(r"\Qa+", "a+", (0, 2), "literal to the end"),
    Case(r"\Q\E", "a", (0, 0), "literal nothing"),
    Case(r"a\Q\E*", "aa", (0, 2), "a repetition looks past it"),
    # Brackets.
    Case(r"[\d]", "a1", (1, 2), "Perl's class"),
    Case(r"[^\d]", "1a", (1, 2), "without it"),
    Case(r"[\D]", "1a", (1, 2), "its opposite"),
    Case(r"[^\D]", "a1", (1, 2), "without its opposite"),
    Case("[[:word:]-]+", "a_1-.", (0, 4), "a named class and a character"),
    Case(r"[\p{Lu}\d]+", "aB1", (1, 3), "Unicode's and Perl's"),
    Case(r"[\n]", "\n", (0, 1), "an escape"),
    Case("[]a]+", "a]", (0, 2), "] first is itself"),
    Case("[a-]+", "a-", (0, 2), "- last is itself"),
    Case("[-a]+", "a-", (0, 2), "- first is itself"),
    Case("[a-c-e]+", "b-e", (0, 3), "- after a range is itself"),
    Case("[a^]", "^", (0, 1), "^ not first is itself"),
    Case("[.*+?(){}|$]+", "(.*)", (0, 4), "what is special elsewhere"),
    Case(r"[\s\S]", "\n", (0, 1), "all characters"),
    Case("[é-ü]", "ê", (0, 2), "a range beyond ASCII"),
    Case("[[:a]", "a", (0, 1), "no class"),
    Case(r"[^\x00-\x{10FFFF}]", "a", None, "nothing at all"),
    # POSIX classes.
    Case("[[:alnum:]]+", "\t\n !09AFaz_~é\x7f\x01", (4, 10), "alnum"),
    Case("[[:alpha:]]+", "\t\n !09AFaz_~é\x7f\x01", (6, 10), "alpha"),
    Case("[[:ascii:]]+", "\t\n !09AFaz_~é\x7f\x01", (0, 12), "ascii"),
    Case("[[:blank:]]+", "\t\n !09AFaz_~é\x7f\x01", (0, 1), "blank"),
    Case("[[:cntrl:]]+", "\t\n !09AFaz_~é\x7f\x01", (0, 2), "cntrl"),
    Case("[[:digit:]]+", "\t\n !09AFaz_~é\x7f\x01", (4, 6), "digit"),
    Case("[[:graph:]]+", "\t\n !09AFaz_~é\x7f\x01", (3, 12), "graph"),
    Case("[[:lower:]]+", "\t\n !09AFaz_~é\x7f\x01", (8, 10), "lower"),
    Case("[[:print:]]+", "\t\n !09AFaz_~é\x7f\x01", (2, 12), "print"),
    Case("[[:punct:]]+", "\t\n !09AFaz_~é\x7f\x01", (3, 4), "punct"),
    Case("[[:space:]]+", "\t\n !09AFaz_~é\x7f\x01", (0, 3), "space"),
    Case("[[:upper:]]+", "\t\n !09AFaz_~é\x7f\x01", (6, 8), "upper"),
    Case("[[:word:]]+", "\t\n !09AFaz_~é\x7f\x01", (4, 11), "word"),
    Case("[[:xdigit:]]+", "\t\n !09AFaz_~é\x7f\x01", (4, 9), "xdigit"),
    # Texts that are not UTF-8.
    Case(".", "\udcff", (0, 1), "a byte is one character"),
    Case("^.$", "\udcc3", (0, 1), "an unfinished one"),
    Case(r"\x{fffd}", "\udcff", (0, 1), "it reads as U+FFFD"),
    Case("..", "\udcc3(", (0, 2), "two"),
    Case("[^a]", "\udced\udca0\udc80", (0, 1), "a surrogate's bytes are three"),
    # What reads like another syntax's.
    Case(r"\<", "", None, "< stands for itself"),
    Case("[[:alpha:]-z]", "", None, "a class, - and a letter"),
    Case("[[=a=]]", "", None, "no class, but characters and a bracket"),
]

REFUSED = [
    Refused("[[:alpha:]", "missing closing ]", "[[:alpha:]", "a bracket that is not closed"),
    Refused("(", "missing closing )", "(", "not closed"),
    Refused(")", "unexpected )", ")", "not opened"),
    Refused("a)", "unexpected )", "a)", "behind something"),
    Refused("(a", "missing closing )", "(a", "after the begin"),
    Refused("[a", "missing closing ]", "[a", "a bracket"),
    Refused("[", "missing closing ]", "[", "nothing in it"),
    Refused("[]", "missing closing ]", "[]", "] first is itself"),
    Refused("[a\\", "trailing backslash at end of expression", "", "a backslash in it"),
    Refused("*", "missing argument to repetition operator", "*", "nothing to repeat"),
    Refused("|*", "missing argument to repetition operator", "*", "nor here"),
    Refused("(*)", "missing argument to repetition operator", "*", "nor here"),
    Refused("(?i)*", "missing argument to repetition operator", "*", "nor behind flags"),
    Refused("{2}", "missing argument to repetition operator", "{2}", "nor by a count"),
    Refused("a**", "invalid nested repetition operator", "**", "twice"),
    Refused("a*+", "invalid nested repetition operator", "*+", "possessive"),
    Refused("a{2}{3}", "invalid nested repetition operator", "{2}{3}", "two counts"),
    Refused("a*??", "invalid nested repetition operator", "*??", "three"),
    Refused("^**", "invalid nested repetition operator", "**", "of a place"),
    Refused("a{1001}", "invalid repeat count", "{1001}", "a high count"),
    Refused("a{2,1}", "invalid repeat count", "{2,1}", "the lower bound is higher"),
    Refused("a{1,1001}", "invalid repeat count", "{1,1001}", "a high bound"),
    Refused("a{99999999999}", "invalid repeat count", "{99999999999}", "a very high count"),
    Refused("(a{100}){100}", "invalid repeat count", "{100}", "product of counts"),
    Refused("((a{10}){10}){11}", "invalid repeat count", "{11}", "product of three"),
    Refused("\\", "trailing backslash at end of expression", "", "ends with a backslash"),
    Refused(r"\8", "invalid escape sequence", r"\8", "a digit"),
    Refused(r"\1", "invalid escape sequence", r"\1", "a back-reference"),
    Refused(r"(a)\1", "invalid escape sequence", r"\1", "a back-reference to a group"),
    Refused(r"\C", "invalid escape sequence", r"\C", "one byte"),
    Refused(r"\Z", "invalid escape sequence", r"\Z", "Perl's end"),
    Refused(r"\G", "invalid escape sequence", r"\G", "Perl's place"),
    Refused(r"\e", "invalid escape sequence", r"\e", "escape"),
    Refused(r"\h", "invalid escape sequence", r"\h", "horizontal space"),
    Refused(r"\R", "invalid escape sequence", r"\R", "line break"),
    Refused(r"\X", "invalid escape sequence", r"\X", "grapheme"),
    Refused(r"\K", "invalid escape sequence", r"\K", "keep"),
    Refused(r"\N", "invalid escape sequence", r"\N", "not newline"),
    Refused(r"\é", "invalid escape sequence", r"\é", "a letter beyond ASCII"),
    Refused(r"\x", "invalid escape sequence", r"\x", "no digits"),
    Refused(r"\x4", "invalid escape sequence", r"\x4", "one digit"),
    Refused(r"\x{}", "invalid escape sequence", r"\x{}", "no digits in braces"),
    Refused(r"\x{110000}", "invalid escape sequence", r"\x{110000", "beyond Unicode"),
    Refused(r"\x{zz}", "invalid escape sequence", r"\x{z", "no digits at all"),
    Refused(r"\x{41", "invalid escape sequence", r"\x{41", "not closed"),
    Refused("(?=a)", "invalid or unsupported Perl syntax", "(?=", "look ahead"),
    Refused("(?!a)", "invalid or unsupported Perl syntax", "(?!", "negative look ahead"),
    Refused("(?<=a)", "invalid named capture", "(?<=a)", "look behind"),
    Refused("(?<!a)", "invalid named capture", "(?<!a)", "negative look behind"),
    Refused("(?>a)", "invalid or unsupported Perl syntax", "(?>", "atomic"),
    Refused("(?#a)", "invalid or unsupported Perl syntax", "(?#", "a comment"),
    Refused("(?P=n)", "invalid or unsupported Perl syntax", "(?P", "a named back-reference"),
    Refused("(?P>n)", "invalid or unsupported Perl syntax", "(?P", "recursion"),
    Refused("(?R)", "invalid or unsupported Perl syntax", "(?R", "recursion of all"),
    Refused("(?x)a", "invalid or unsupported Perl syntax", "(?x", "the flag x"),
    Refused("(?i-)a", "invalid or unsupported Perl syntax", "(?i-)", "a minus with nothing"),
    Refused("(?--i)a", "invalid or unsupported Perl syntax", "(?--", "two of them"),
    Refused("(?i", "invalid or unsupported Perl syntax", "(?i", "not closed"),
    Refused("(?", "invalid or unsupported Perl syntax", "(?", "a question"),
    Refused("(?P", "invalid or unsupported Perl syntax", "(?P", "the begin of a name"),
    Refused("(?P<n", "invalid named capture", "(?P<n", "a name that is not closed"),
    Refused("(?P<>a)", "invalid named capture", "(?P<>", "an empty name"),
    Refused("(?P<n-m>a)", "invalid named capture", "(?P<n-m>", "a name with a minus"),
    Refused("(?<é>a)", "invalid named capture", "(?<é>", "a name beyond ASCII"),
    Refused("[b-a]", "invalid character class range", "b-a", "a range backwards"),
    Refused(r"[a-\d]", "invalid escape sequence", r"\d", "a range to a class"),
    Refused(r"[\d-z", "missing closing ]", r"[\d-z", "a class is no begin of a range"),
    Refused("[[:foo:]]", "invalid character class range", "[:foo:]", "no such class"),
    Refused(r"\pX", "invalid character class range", r"\pX", "no such category"),
    Refused(r"\p", "invalid character class range", r"\p", "none"),
    Refused(r"\p{", "invalid character class range", r"\p{", "not closed"),
    Refused(r"\p{}", "invalid character class range", r"\p{}", "empty"),
    Refused(r"\p{Foo1}", "invalid character class range", r"\p{Foo1}", "no such script"),
    Refused(r"[\p{Lx}]", "invalid character class range", r"\p{Lx}", "in brackets"),
    Refused("a\udcffb", "invalid UTF-8", "\udcffb", "not UTF-8"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_what_is_found(case: Case) -> None:
    regex = Regex(case.pattern)
    assert regex.search(case.text) == case.found
    assert regex.matches(case.text) == (case.found is not None)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.why)
def test_what_is_refused(case: Refused) -> None:
    with pytest.raises(RegexError) as caught:
        Regex(case.pattern)
    assert (caught.value.code, caught.value.where) == (case.code, case.where)
    assert str(caught.value).startswith(f"error parsing regexp: {case.code}: `{case.where}`")


def test_scripts_are_known_where_their_package_is() -> None:
    pytest.importorskip("regex")
    assert Regex(r"\p{Greek}+").search("abγδ") == (2, 6)
    assert Regex(r"\P{greek}+").search("γab") == (2, 4)
    with pytest.raises(RegexError, match="invalid character class range"):
        Regex(r"\p{Klingon}")


def test_without_their_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(RegexError, match=r"class range: `\\p\{Greek\}` \(.*pip install 'fastdns\[scripts\]'\)"):
        Regex(r"\p{Greek}")
    assert Regex(r"\p{Lu}\p{Any}").matches("Ab")
