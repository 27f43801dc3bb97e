"""Responses of DNS over HTTPS (RFC 8484): their fields and their contents, whatever version of HTTP carries them.

What a request asks is in ``_doh``. Where the server has no reply to a question, the status is 500, as in CoreDNS.
"""

from __future__ import annotations

import functools
import time
from email.utils import formatdate
from http import HTTPStatus

from fastdns.transports._doh import MEDIA_TYPE, fresh_s

# What refusals say, where it is not the status's phrase; as in CoreDNS.
SAID = {HTTPStatus.BAD_REQUEST: "invalid request", HTTPStatus.INTERNAL_SERVER_ERROR: "No response"}
ALLOWED = b"GET, HEAD, POST"

Fields = list[tuple[bytes, bytes]]


@functools.lru_cache(maxsize=1)
def date_of(second: int) -> bytes:
    """The field date (RFC 9110 section 6.6.1)."""
    return formatdate(second, usegmt=True).encode()


def answered(reply: bytes) -> tuple[Fields, bytes]:
    """The response with status 200: a DNS message."""
    return [
        (b"content-type", MEDIA_TYPE),
        (b"cache-control", b"max-age=%d" % fresh_s(reply)),
        (b"content-length", b"%d" % len(reply)),
        (b"date", date_of(int(time.time()))),
    ], reply


def refused(status: int) -> tuple[Fields, bytes]:
    """The response with another status: a line of text for whoever looks."""
    text = (SAID.get(HTTPStatus(status)) or HTTPStatus(status).phrase).encode() + b"\n"
    fields = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-length", b"%d" % len(text)),
        (b"date", date_of(int(time.time()))),
    ]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        fields.append((b"allow", ALLOWED))
    return fields, text
