"""Domain names between text and wire form (RFC 1035 section 3.1), for configuration and logs."""

from __future__ import annotations

LENGTHS = [bytes((length,)) for length in range(256)]


def wire_name(text: str) -> bytes:
    """The wire form, in lower case, of a name in presentation form, fully qualified or not. ``\\.`` and ``\\DDD``
    are read as in RFC 1035 section 5.1. Raises ValueError if the text is not a name."""
    return wire_name_as_written(text).lower()


def wire_name_as_written(text: str) -> bytes:
    """``wire_name``, in the case of the text."""
    if "\\" not in text and text not in ("", "."):
        # The fast path: files with a million names are read.
        return joined(text.encode().removesuffix(b".").split(b"."), text)
    labels: list[bytes] = []
    label = bytearray()
    at = 0
    while at < len(text):
        character = text[at]
        if character == ".":
            if label or at < len(text) - 1 or not labels:
                labels.append(bytes(label))
            label.clear()
            at += 1
        elif character == "\\" and text[at + 1 : at + 4].isdecimal() and len(text) >= at + 4:
            label.append(int(text[at + 1 : at + 4]) & 0xFF)
            at += 4
        elif character == "\\" and at + 1 < len(text):
            label += text[at + 1].encode()
            at += 2
        else:
            label += character.encode()
            at += 1
    if label:
        labels.append(bytes(label))
    if labels == [b""]:
        return b"\0"
    return joined(labels, text)


def joined(labels: list[bytes], text: str) -> bytes:
    """The wire form of a name's labels. Raises ValueError with the text if they are not a name."""
    wire = b"".join([LENGTHS[len(one) & 0xFF] + one for one in labels]) + b"\0"
    if len(wire) > 255 or not all(labels) or max(map(len, labels), default=0) > 63:
        raise ValueError(f"{text!r} is not a domain name: labels of 1 to 63 bytes expected, 255 bytes in all")
    return wire


def text_name(wire: bytes) -> str:
    """The presentation form, fully qualified, with CoreDNS's escapes."""
    parts = (
        "".join(
            "\\" + chr(byte) if byte in b". '@;()\"\\" else chr(byte) if 32 <= byte <= 126 else f"\\{byte:03d}"
            for byte in label
        )
        for label in labels_of(wire)
    )
    return ".".join(parts) + "."


def labels_of(wire: bytes) -> list[bytes]:
    """The labels of a name in wire form, without the root."""
    labels = []
    at = 0
    while at < len(wire) and wire[at]:
        labels.append(wire[at + 1 : at + 1 + wire[at]])
        at += 1 + wire[at]
    return labels


def is_in_zone(name: bytes, zone: bytes) -> bool:
    """Whether a name is in a zone; both in wire form and lower case. A label that ends like the zone is no zone."""
    at = 0
    while len(name) - at > len(zone):
        at += 1 + name[at]
    return name[at:] == zone
