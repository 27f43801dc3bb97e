"""Label selectors as kubectl writes them: ``a=b,c!=d,e in (f,g),h notin (i),j,!k``.

Kubernetes API reference, labels and selectors. The API server evaluates them for its watches; manifests are
filtered here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastdns.errors import SourceError

KEY = r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
REQUIREMENT = re.compile(
    rf"\s*(?:(?P<not>!)\s*(?P<absent>{KEY})"
    rf"|(?P<set_key>{KEY})\s+(?P<set_op>in|notin)\s*\((?P<values>[^()]*)\)"
    rf"|(?P<key>{KEY})\s*(?:(?P<op>==|=|!=)\s*(?P<value>{VALUE}))?)\s*(?:,|$)"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term: labels[key] is in values; with values None, the key exists. negated inverts the term."""

    key: str
    values: frozenset[str] | None
    negated: bool

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether labels satisfy this term; a missing label satisfies every negated one."""
        held = self.key in labels if self.values is None else labels.get(self.key) in self.values
        return held != self.negated


@dataclass(frozen=True, slots=True)
class Selector:
    """Terms that must all hold. text is what the API server is sent."""

    text: str
    requirements: tuple[Requirement, ...]

    def matches(self, labels: dict[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        return all(requirement.matches(labels or {}) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Raises SourceError that quotes what could not be read."""
    requirements = []
    at = 0
    while at < len(text):
        match = REQUIREMENT.match(text, at)
        if match is None or match.end() == at:
            raise SourceError(f"unable to parse the label selector {text!r} at {text[at:].strip()!r}")
        found = match.groupdict()
        if found["absent"]:
            requirements.append(Requirement(found["absent"], None, True))
        elif found["set_op"]:
            values = [value.strip() for value in found["values"].split(",")]
            for value in values:
                if not re.fullmatch(VALUE, value):
                    raise SourceError(f"unable to parse the label selector {text!r}: {value!r} is no label value")
            requirements.append(Requirement(found["set_key"], frozenset(values), found["set_op"] == "notin"))
        elif found["op"]:
            requirements.append(Requirement(found["key"], frozenset([found["value"]]), found["op"] == "!="))
        else:
            requirements.append(Requirement(found["key"], None, False))
        at = match.end()
        if at == len(text) and text.rstrip().endswith(","):
            raise SourceError(f"unable to parse the label selector {text!r}: it ends in a comma")
    return Selector(text, tuple(requirements))
