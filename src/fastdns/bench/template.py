"""Names from a template, so that no cache has them: ``{random}.example.org A``."""

from __future__ import annotations

import random
import re
import string

from fastdns.bench.errors import BenchUsageError
from fastdns.bench.messages import Query, message

LETTERS = string.ascii_lowercase + string.digits
DEFAULT_LENGTH = 12
DEFAULT_NAMES = 10000
MAX_LABEL_BYTES = 63
FIELD = re.compile(r"\{([^{}]*)\}")


def from_template(template: str, count: int, seed: int) -> list[Query]:
    """This many queries of a template. Raises BenchUsageError."""
    words = template.split()
    if len(words) != 2:
        raise BenchUsageError(f"--template: NAME TYPE expected, got {template!r}")
    name, qtype = words
    if set("{}") & set(FIELD.sub("", name)):
        raise BenchUsageError(f"--template: a brace without its counterpart in {name!r}")
    lengths = {field: length_of(field) for field in FIELD.findall(name)}
    rng = random.Random(seed)
    queries = []
    for number in range(count):

        def value(match: re.Match[str], number: int = number) -> str:
            length = lengths[match[1]]
            return str(number) if length is None else "".join(rng.choices(LETTERS, k=length))

        queries.append(Query(FIELD.sub(value, name), qtype.upper()))
    try:
        for query in (queries[0], queries[-1]):
            message(query)
    except ValueError as error:
        raise BenchUsageError(f"--template: {error}") from None
    return queries


def length_of(field: str) -> int | None:
    """The length of a field's random label; None if the field is the number. Raises BenchUsageError."""
    kind, colon, length = field.partition(":")
    if field == "n":
        return None
    if kind == "random" and (not colon or (length.isdecimal() and 0 < int(length) <= MAX_LABEL_BYTES)):
        return int(length) if colon else DEFAULT_LENGTH
    raise BenchUsageError(
        f"--template: {{n}}, {{random}} or {{random:LENGTH}} expected (of 1 to {MAX_LABEL_BYTES}), got {{{field}}}"
    )
