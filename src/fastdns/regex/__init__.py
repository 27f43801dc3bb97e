"""Regular expressions with Go's syntax, in linear time: what every plugin uses that takes one in the Corefile.

``from fastdns.regex import Regex`` compiles a pattern when the Corefile is read. Native steps match it without the
GIL through ``_regex.pxd``. Nothing here knows a plugin. Decision 13 says why no library is used.

    syntax     text to a tree of nodes, with Go's errors
    classes    sets of code points: ranges, Perl's and POSIX's classes, case folding
    unicode    the classes of Unicode: categories and scripts
    program    a tree to instructions
    _pattern   instructions in memory, and reading a text
    _table     whether a pattern matches: one look into a table for each character
    _simulation  where it matches, and its groups
    _regex     Python's class, and what native steps call
"""

from fastdns.regex._regex import Regex
from fastdns.regex.syntax import RegexError

__all__ = ["Regex", "RegexError"]
