"""What a hosts file says, by hosts(5) and without haste: a plain reader, for comparison."""

from __future__ import annotations

import ipaddress
import re
import socket

A, PTR, AAAA = 1, 12, 28
MAX_SET_RRS, MAX_SET_BYTES = 4096, 65000

Names = dict[bytes, dict[int, list[bytes]]]


def address_of(word: bytes) -> bytes | None:
    """4 or 16 bytes."""
    word = word.partition(b"%")[0]
    if len(word) > 45 or b"\0" in word:
        return None
    try:
        text = word.decode("ascii")
        if ":" not in text:
            return ipaddress.IPv4Address(text).packed
        mapped = ipaddress.IPv6Address(text).ipv4_mapped
        return mapped.packed if mapped else socket.inet_pton(socket.AF_INET6, text)
    except ValueError:
        return None


def name_of(word: bytes) -> bytes | None:
    """In lowercased wire form."""
    if word == b".":
        return b"\0"
    labels = [b""]
    at = 0
    while at < len(word):
        if match := re.compile(rb"\\([0-9]{3})").match(word, at):
            if int(match[1]) > 255:
                return None
            labels[-1] += bytes((int(match[1]),))
            at = match.end()
        elif word[at] == ord("\\"):
            if at + 1 == len(word) or word[at + 1 : at + 2].isdigit():
                return None
            labels[-1] += word[at + 1 : at + 2]
            at += 2
        elif word[at] == ord("."):
            labels.append(b"")
            at += 1
        elif word[at] < 32 or word[at] == 127:
            return None
        else:
            labels[-1] += word[at : at + 1]
            at += 1
    if labels[-1] == b"":
        labels.pop()
    if not labels or any(not 0 < len(label) < 64 for label in labels):
        return None
    wire = b"".join(bytes((len(label),)) + label.lower() for label in labels) + b"\0"
    return wire if len(wire) <= 255 else None


def reverse_of(address: bytes) -> bytes:
    pointer = ipaddress.ip_address(address).reverse_pointer
    return b"".join(bytes((len(label),)) + label.encode() for label in pointer.split(".")) + b"\0"


def read(*texts: bytes) -> tuple[Names, int, int, int]:
    """(name to type to rdata, address records, PTR records, lines that cannot be used)"""
    names: Names = {}
    addresses = pointers = skipped = 0
    for text in texts:
        for line in text.split(b"\n"):
            words = line.partition(b"#")[0].split()
            if not words:
                continue
            address = address_of(words[0])
            found = [name_of(word) for word in words[1:]] if address is not None else []
            skipped += not found or None in found
            for name in found:
                if name is None or address is None:
                    continue
                addresses += 1
                add(names, name, A if len(address) == 4 else AAAA, address)
                if not name.startswith(b"\1*"):
                    pointers += 1
                    add(names, reverse_of(address), PTR, name)
    return names, addresses, pointers, skipped


def add(names: Names, owner: bytes, rrtype: int, rdata: bytes) -> None:
    rrs = names.setdefault(owner, {}).setdefault(rrtype, [])
    if rdata not in rrs:
        rrs.append(rdata)
