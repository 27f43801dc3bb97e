"""What template counts: sets of labels, and kinds of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.dns import mnemonics

if TYPE_CHECKING:
    from fastdns.corefile.model import ServerConfig
    from fastdns.metrics._labelled import LabelledCounters
    from fastdns.plugins.template.config import Record

# Kinds: of a match, a template that failed, and a text that is no record; beside them stands the class.
MATCH, TEMPLATE_FAILURE, RR_FAILURE = 0, 1, 2
# Classes as a small number, and back. The last is any that has no name.
CLASS_NUMBERS = (1, 2, 3, 4, 254, 255)
OTHER_CLASS = 7


def zone_labels(zone: str) -> tuple[str, ...]:
    """Of matches in a zone of a template."""
    return (zone,)


def record_labels(zone: str, record: Record) -> tuple[str, ...]:
    """Of failures of a record in a zone."""
    return (zone, record.section, record.text)


def register(counters: LabelledCounters, config: ServerConfig) -> None:
    """Number the labels of a configuration, before workers are forked. Raises FastdnsError."""
    for _, options in config.with_plugin("template"):
        for template in options.templates:
            for zone in template.zones:
                counters.number(zone_labels(zone))
                for record in template.records:
                    counters.number(record_labels(zone, record))


def kind_of(what: int, qclass: int) -> int:
    """A kind with a class."""
    return what << 3 | (CLASS_NUMBERS.index(qclass) if qclass in CLASS_NUMBERS else OTHER_CLASS)


def class_name(kind: int) -> str:
    """The class of a kind, as CoreDNS's library calls it."""
    place = kind & 7
    number = CLASS_NUMBERS[place] if place < len(CLASS_NUMBERS) else 0
    return "ANY" if number == 255 else mnemonics.CLASSES.get(number, "")
