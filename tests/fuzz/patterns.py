"""Random pieces of regular expressions, put together well or badly, and random texts.

A pattern is compiled or refused with a RegexError. The table and the simulation say the same of each text, and what
they find is within it.
"""

from __future__ import annotations

import random

from fastdns.regex import Regex, RegexError
from tests.fuzz.findings import Finding

PIECES = [
    *"abAk.-^$|()[]{}*+?\\,:<>P=!iUsmQEdDwWzBC0157xp\n", "ſ", "é", "日", "(?:", "(?i)", "(?s)", "(?m)", "(?U)",
    "(?-i:", "(?P<n>", "(?<m>", "{2}", "{1,3}", "{2,}", "{0,1}", "{300}", "{1001}", "[[:alpha:]]", "[^", "[a-c]",
    r"\pL", r"\p{Lu}", r"\P{^L}", r"\x41", r"\x{e9}", r"\Q", r"\E", r"\b", r"\B", r"\A", r"\z", r"\101", "(a|b)",
    "(a*)*", ")", ")", "]",
]  # fmt: skip
TEXTS = [*"aabbcAKk-._ \n10x", "é", "日", "ſ", "K"]


def fuzz_patterns(count: int, seed: int) -> int:
    """Compile count patterns and match texts with each; returns how many were taken. Raises Finding."""
    rng = random.Random(seed)
    taken = 0
    for _ in range(count):
        pattern = "".join(rng.choices(PIECES, k=rng.randrange(1, 14)))
        try:
            regex = Regex(pattern)
        except RegexError:
            continue
        taken += 1
        for _ in range(4):
            text = bytearray("".join(rng.choices(TEXTS, k=rng.randrange(40))).encode())
            for _ in range(rng.randrange(3) if text else 0):
                text[rng.randrange(len(text))] = rng.randrange(256)
            check_match(regex, bytes(text))
    return taken


def check_match(regex: Regex, text: bytes) -> None:
    """What must hold of every pattern and text. Raises Finding."""
    found = regex.search(text)
    if regex.matches(text) != (found is not None):
        raise Finding(f"{regex!r} is found and is not, in {text!r}")
    if found is None:
        return
    if len(found) != 2 * (regex.groups + 1):
        raise Finding(f"{regex!r} has {len(found)} offsets")
    for begin, end in zip(found[::2], found[1::2], strict=True):
        if not (begin == end == -1 or found[0] <= begin <= end <= found[1] <= len(text)):
            raise Finding(f"{regex!r} is found at {found} of {text!r}")
