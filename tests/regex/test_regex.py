"""Compiled patterns: their bounds, their memory, and what both ways of matching say."""

from __future__ import annotations

import copy
import pickle
import threading
import time

import pytest

from fastdns.regex import Regex, RegexError

pytestmark = pytest.mark.native

# Only a table of a million rows could tell where the a is that 20 characters follow.
WITHOUT_TABLE = "(a|b)*a(?:a|b){20}c"


def test_groups_and_names() -> None:
    regex = Regex(r"(?P<pod>[a-z]+)-(\d+)(?:x)(?<zone>y)?")
    assert (regex.groups, regex.names) == (3, ("", "pod", "", "zone"))
    assert regex.search("web-12x.") == (0, 7, 0, 3, 4, 6, -1, -1)


def test_texts_are_str_or_bytes() -> None:
    regex = Regex("é")
    assert regex.matches("café") and regex.matches("café".encode()) and not regex.matches(b"caf\xe9")


def test_patterns_with_the_same_text_are_equal() -> None:
    """A reload compares configurations."""
    assert Regex("a+") == Regex("a+") != Regex("a*")
    assert len({Regex("a+"), Regex("a+")}) == 1
    assert pickle.loads(pickle.dumps(Regex("a+"))) == Regex("a+")
    assert copy.deepcopy(Regex("a+")).matches("a")
    assert repr(Regex("a+")) == "Regex('a+')"


def test_a_table_is_as_small_as_the_pattern() -> None:
    assert 0 < Regex(r"^web-[0-9]+\.shop\.svc\.cluster\.local\.$").table_bytes < 4096


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("ab" * 20 + "a" + "b" * 20 + "c", (0, 62, 39, 40)),
        ("ab" * 20 + "b" + "b" * 20 + "c", None),
        ("c" + "a" * 21 + "cc", (1, 23, -1, -1)),
    ],
)
def test_a_pattern_without_a_table_says_the_same(text: str, found: tuple[int, ...] | None) -> None:
    regex = Regex(WITHOUT_TABLE)
    assert not regex.table_bytes
    assert regex.matches(text) == (found is not None)
    assert regex.search(text) == found


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("(((((a{10}){10}){10}b){1}c)d)" * 6, "expression too large"),
        ("|".join(chr(0x4E00 + i) for i in range(4500)), "expression too large"),
        ("(a)" * 1000, "expression too large"),
        ("(" * 300 + ")" * 300, "expression nests too deeply"),
        ("a" + "*(?i)" * 300, "expression nests too deeply"),
    ],
    ids=["instructions", "kinds of characters", "offsets of groups", "parentheses", "repetitions"],
)
def test_what_is_too_large_is_refused(pattern: str, code: str) -> None:
    """Go takes these; here memory of matching and time of compiling are bounded more closely."""
    with pytest.raises(RegexError) as caught:
        Regex(pattern)
    assert (caught.value.code, caught.value.where) == (code, pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(" * 240 + "a" + ")" * 240, "a"),
        ("^" + "a{1000}" * 16, "a" * 16_000),
        ("^" + "x" * 9_999, "x" * 9_999),
        ("^(?:a?){1000}$", "a" * 1000),
        ("^" + "(?:(?:a|b)?c)*" * 100 + "$", "cacbc"),
        ("|".join(f"host{number}.example.com" for number in range(430)), "host429.example.com"),
    ],
    ids=["parentheses", "counts", "characters", "optional parts", "loops", "a list of names"],
)
def test_what_is_nearly_too_large_is_taken(pattern: str, text: str) -> None:
    regex = Regex(pattern)
    assert regex.matches(text) and not regex.matches("y" + text[1:])


def test_memory_of_the_thread_is_enough_for_the_largest() -> None:
    """What matching has on the stack is for the largest patterns that are taken."""
    groups = "(a)" * 80 + "b*"
    found: list[object] = []

    def search() -> None:
        found.append(Regex(groups).search("a" * 80 + "b" * 60_000))
        found.append(Regex("(?:a?){1000}" * 2 + "b").matches("a" * 2000 + "b"))

    before = threading.stack_size(1024 * 1024)
    try:
        thread = threading.Thread(target=search)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert found[0] == (0, 60_080, *(one for i in range(80) for one in (i, i + 1)))
    assert found[1] is True


@pytest.mark.parametrize("pattern", [r"^(\w+)\.(\w+)$", WITHOUT_TABLE])
def test_threads_use_one_pattern_at_once(pattern: str) -> None:
    regex = Regex(pattern)
    texts = ["shop.web", "shop-web", "ab" * 20 + "a" + "b" * 20 + "c"]
    wanted = [regex.search(text) for text in texts]
    wrong: list[str] = []

    def search() -> None:
        for _ in range(100):
            for text, found in zip(texts, wanted, strict=True):
                if regex.search(text) != found or regex.matches(text) != (found is not None):
                    wrong.append(text)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


LONG = 64 * 1024


@pytest.mark.unsanitized("the sanitizer clears the stack with each call: that is what would be measured")
@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * LONG + "!"),
        ("(a+)+$", "a" * LONG),
        ("^(a|aa)+$", "a" * LONG + "!"),
        ("(a*)*b", "a" * LONG),
        ("(.*)(.*)(.*)(.*)(.*)x$", "a" * LONG + "x"),
        ("(x+x+)+y", "x" * LONG),
        ("(?:a?){12}a{12}$", "a" * LONG),
        (WITHOUT_TABLE, "ab" * (LONG // 2)),
        ("(?i)^(([a-z])+.)+[A-Z]([a-z])+$", "a" * LONG),
    ],
)
def test_time_grows_as_the_text_does(pattern: str, text: str) -> None:
    """A sixteenth of the text is the control. Quadratic time would take 256 times as long, exponential for ever."""
    regex = Regex(pattern)

    def least_s(of: str) -> float:
        took = []
        for _ in range(3):
            begun = time.thread_time()
            regex.search(of)
            took.append(time.thread_time() - begun)
        return min(took)

    # What a call costs beside matching is not to count in the control's favour or against it.
    assert least_s(text) <= 64 * max(least_s(text[-LONG // 16 :]), 20e-6)
