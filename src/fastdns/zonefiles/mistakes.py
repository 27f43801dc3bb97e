"""What a zone file's writer is told of a mistake: dnspython's words, or clearer ones, and what was expected."""

from __future__ import annotations

import re

from fastdns.dns import mnemonics

MAX_TTL = 2**32 - 1
ENTRY = "[OWNER] [TTL] [IN] TYPE RDATA"
DIRECTIVES = {
    "$GENERATE": "$GENERATE START-STOP[/STEP] OWNER [TTL] [IN] TYPE RDATA",
    "$INCLUDE": "$INCLUDE FILE [ORIGIN]",
    "$ORIGIN": "$ORIGIN NAME",
    "$TTL": "$TTL SECONDS",
    "$UNICODE": "$UNICODE 2003 or $UNICODE 2008",
}
# RDATA of the types that people write themselves; of others the RFC of the type says it.
RDATA = {
    "A": "IPV4-ADDRESS", "AAAA": "IPV6-ADDRESS", "CAA": 'FLAGS TAG "VALUE"', "CNAME": "NAME", "DNAME": "NAME",
    "DS": "KEYTAG ALGORITHM DIGEST-TYPE DIGEST", "HTTPS": "PRIORITY TARGET [KEY=VALUE...]", "MX": "PREFERENCE HOST",
    "NAPTR": 'ORDER PREFERENCE "FLAGS" "SERVICES" "REGEXP" REPLACEMENT', "NS": "HOST", "PTR": "NAME",
    "SOA": "MNAME RNAME SERIAL REFRESH RETRY EXPIRE MINIMUM", "SRV": "PRIORITY WEIGHT PORT HOST",
    "SSHFP": "ALGORITHM TYPE FINGERPRINT", "SVCB": "PRIORITY TARGET [KEY=VALUE...]",
    "TLSA": "USAGE SELECTOR MATCHING-TYPE DATA", "TXT": '"TEXT"...',
}  # fmt: skip
KNOWN = frozenset(mnemonics.TYPES.values())
# What dnspython says to words that are missing, or of another kind.
CLEARER = {
    "": "it is malformed",
    "Text input is malformed.": "it is malformed",
    "Text input ended unexpectedly.": "something is missing at its end",
    "expecting an identifier": "a word is missing",
    "expecting an integer": "a number is missing",
    "expecting a string": "a word is missing",
    "RR class is not zone's class": "its class is not IN",
    "Missing default TTL value": "it has no TTL, and no $TTL stands above it",
    "DNS TTL value is not well-formed.": f"the TTL is not 0 to {MAX_TTL}, nor like 1h30m",
    "TTL should be between 0 and 2**32 - 1 (inclusive)": f"the TTL is not 0 to {MAX_TTL}",
    "bad $TTL": "a word is missing",
}
_RAISED = re.compile(r"caught exception <class '[^']*'>: ")
_TYPE = re.compile(r"unknown rdatatype '(.*)'", re.DOTALL)
_REST = re.compile(r'expected EOL or EOF, got \d+ "(.*)"', re.DOTALL)
_DIRECTIVE = re.compile(r"zone file directive '(.*)' is not allowed", re.DOTALL)
_NUMBER = re.compile(r"[-+]?[0-9]")


def said(what: str, entry: str) -> str:
    """What is said of a mistake. what: dnspython's words; entry: the line on which the entry begins."""
    what = _RAISED.sub("", what).strip()
    if match := _DIRECTIVE.fullmatch(what):
        return f"{match[1]} is no directive; expected one of {', '.join(DIRECTIVES)}"
    if match := _TYPE.fullmatch(what):
        what = of_type(match[1].strip())
    elif match := _REST.fullmatch(what):
        what = f"{match[1]!r} is one word too many"
    return f"{CLEARER.get(what, what).removesuffix('.')}; expected {form_of(entry)}"


def of_type(word: str) -> str:
    """What is wrong with a word that stands where a type is expected."""
    if not word:
        return "its type and what follows are missing"
    if _NUMBER.match(word):
        return f"{word!r} is no TTL, which is 0 to {MAX_TTL} seconds or like 1h30m"
    return f"{word!r} is no type of records"


def form_of(entry: str) -> str:
    """How an entry like this one looks."""
    words = entry.split()
    if words and words[0].startswith("$"):
        return DIRECTIVES.get(words[0].upper(), ENTRY)
    # The owner may have the name of a type, too.
    for word in words if entry[:1].isspace() else words[1:]:
        if word.upper() in KNOWN:
            return f"[OWNER] [TTL] [IN] {word.upper()} {RDATA.get(word.upper(), 'RDATA')}"
    return ENTRY
