"""Sets of code points as sorted ranges that neither overlap nor touch: ``((0x30, 0x39), (0x61, 0x7A))``.

Code points go from 0 to 0x10FFFF, surrogates included, as in Go's unicode package.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]

MAX_CODE_POINT = 0x10FFFF
ANY: Ranges = ((0, MAX_CODE_POINT),)
NONE: Ranges = ()
NEWLINE: Ranges = ((10, 10),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))

# Only these characters have other cases: those before and behind are their own.
FIRST_CASED = 0x41
LAST_CASED = 0x1E943

PERL: dict[str, Ranges] = {
    "d": ((48, 57),),
    "s": ((9, 10), (12, 13), (32, 32)),
    "w": WORD,
}
POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": ((48, 57),),
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}


def union(*sets: Iterable[tuple[int, int]]) -> Ranges:
    """What is in any of these ranges, which may overlap and stand in any order."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(one for ranges in sets for one in ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def negate(ranges: Ranges) -> Ranges:
    """Every code point that is not in ranges."""
    gaps: list[tuple[int, int]] = []
    at = 0
    for low, high in ranges:
        if at < low:
            gaps.append((at, low - 1))
        at = high + 1
    if at <= MAX_CODE_POINT:
        gaps.append((at, MAX_CODE_POINT))
    return tuple(gaps)


def fold(ranges: Ranges) -> Ranges:
    """With each character its other cases: what a set means under the flag i."""
    others: list[tuple[int, int]] = []
    for low, high in ranges:
        if low <= FIRST_CASED and high >= LAST_CASED:
            continue
        for code in range(max(low, FIRST_CASED), min(high, LAST_CASED) + 1):
            others += [(other, other) for other in other_cases(code)]
    return union(ranges, others)


def other_cases(code: int) -> tuple[int, ...]:
    """The code points that differ from this one by case only (Unicode's simple case folding), without itself."""
    if code < 128:
        character = chr(code)
        if not character.isalpha():
            return ()
        # U+017F is a long s, U+212A the sign of kelvin.
        return (ord(character.swapcase()), *{"s": (0x17F,), "k": (0x212A,)}.get(character.lower(), ()))
    return _cases().get(code, ())


@functools.cache
def _cases() -> dict[int, tuple[int, ...]]:
    """What other_cases says of each character that has some, from Python's own tables."""
    together: dict[int, set[int]] = {}
    for code in range(FIRST_CASED, LAST_CASED + 1):
        character = chr(code)
        cases = {code}
        for other in (character.lower(), character.upper(), character.title()):
            # Case folding leaves out the dotless i, although its upper case is I.
            if len(other) == 1 and code != 0x131:
                cases.add(ord(other))
        if len(cases) > 1:
            known = set().union(*(together.get(one, {one}) for one in cases))
            for one in known:
                together[one] = known
    return {code: tuple(sorted(cases - {code})) for code, cases in together.items()}
