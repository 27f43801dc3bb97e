r"""The classes that ``\p{NAME}`` names: Unicode's categories, and its scripts.

Categories come from Python's own tables, so their Unicode version is that of the interpreter. Python has no table
of scripts: they come from the package regex, where that is installed.
"""

from __future__ import annotations

import functools
import itertools
import unicodedata

from fastdns.regex.classes import ANY, MAX_CODE_POINT, NONE, Ranges, negate, union

# Names as _canonical makes them; Go takes these beside the names of one and two letters.
ALIASES = {
    "Casedletter": "Lc", "Closepunctuation": "Pe", "Combiningmark": "M", "Connectorpunctuation": "Pc",
    "Control": "Cc", "Currencysymbol": "Sc", "Dashpunctuation": "Pd", "Decimalnumber": "Nd", "Enclosingmark": "Me",
    "Finalpunctuation": "Pf", "Format": "Cf", "Initialpunctuation": "Pi", "Letter": "L", "Letternumber": "Nl",
    "Lineseparator": "Zl", "Lowercaseletter": "Ll", "Mark": "M", "Mathsymbol": "Sm", "Modifierletter": "Lm",
    "Modifiersymbol": "Sk", "Nonspacingmark": "Mn", "Number": "N", "Openpunctuation": "Ps", "Other": "C",
    "Otherletter": "Lo", "Othernumber": "No", "Otherpunctuation": "Po", "Othersymbol": "So",
    "Paragraphseparator": "Zp", "Privateuse": "Co", "Punctuation": "P", "Separator": "Z", "Spaceseparator": "Zs",
    "Spacingmark": "Mc", "Surrogate": "Cs", "Symbol": "S", "Titlecaseletter": "Lt", "Unassigned": "Cn",
    "Uppercaseletter": "Lu", "Cntrl": "Cc", "Digit": "Nd", "Punct": "P",
}  # fmt: skip


class NoScripts(Exception):
    """The name may be that of a script, and the package that knows them is not installed."""


def unicode_class(name: str) -> Ranges | None:
    """The code points of a category or script, whatever the case, spaces and underscores of name; None: no such.

    Raises NoScripts.
    """
    if not name.isascii():
        return None
    canonical = name.translate({ord(one): None for one in "_- "}).capitalize()
    if canonical == "Any":
        return ANY
    if canonical == "Ascii":
        return ((0, 127),)
    if canonical == "Assigned":
        return negate(_category("Cn"))
    found = _category(ALIASES.get(canonical, canonical))
    return found or _script(name)


def _category(name: str) -> Ranges:
    """A category of two letters, a group of them, or nothing. LC is the group of letters that have a case."""
    wanted = ("Lu", "Ll", "Lt") if name == "Lc" else (name,)
    return union((low, high) for category, low, high in _runs() if category.startswith(wanted)) if name else NONE


@functools.cache
def _runs() -> tuple[tuple[str, int, int], ...]:
    """All code points in order: (category, first, last)."""
    runs = []
    start = 0
    for category, group in itertools.groupby(map(unicodedata.category, map(chr, range(MAX_CODE_POINT + 1)))):
        end = start + sum(1 for _ in group)
        runs.append((category, start, end - 1))
        start = end
    return tuple(runs)


def _script(name: str) -> Ranges | None:
    if len(name) < 2 or not name.translate({ord(one): None for one in "_- "}).isalpha():
        return None
    try:
        import regex
    except ImportError:
        raise NoScripts from None
    try:
        pattern = regex.compile(rf"\p{{Script={name}}}+")
    except regex.error:
        return None
    text = "".join(map(chr, range(MAX_CODE_POINT + 1)))
    return tuple((found.start(), found.end() - 1) for found in pattern.finditer(text))
