"""When a zone is signed, and for how long: CoreDNS's rules.

A signed zone is looked at every 5 hours. It is signed again if its SOA record's signatures are over 6 days old, or
end within 7 days. So each signature is renewed three weeks before its end, and a failure leaves time to be seen.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import stat
from typing import IO, Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile

from fastdns.plugins.sign.times import written

DAY_S = 86400
RESIGN_AFTER_S = 6 * DAY_S
EXPIRES_WITHIN_S = 7 * DAY_S
VALID_S = 32 * DAY_S
# Clocks may be set back by so much.
INCEPTION_S = -3 * 3600
MAX_INCEPTION_JITTER_S = 18 * 3600
MAX_EXPIRATION_JITTER_S = 5 * DAY_S
# The signatures of the SOA record stand at the beginning of a zone file.
MAX_RECORDS = 100


def lifetime(now_s: int) -> tuple[int, int]:
    """Inception and expiration of signatures that are made now. Zones signed together are not due together."""
    return (
        now_s + INCEPTION_S - random.randrange(MAX_INCEPTION_JITTER_S),
        now_s + VALID_S + random.randrange(MAX_EXPIRATION_JITTER_S),
    )


def why_sign(file: str, now_s: int) -> tuple[str, int]:
    """Why a zone has to be signed whose signed file is this one; an empty text: it has not to be. And when the
    signatures that it has expire; 0: never."""
    try:
        signatures = soa_signatures(file)
    except OSError as error:
        why = "no such file or directory" if isinstance(error, FileNotFoundError) else error.strerror
        return f"open {file}: {why}", 0
    except Exception as error:
        # What is no zone file is written anew.
        return f"{error!s:.300}" or type(error).__name__, 0
    if not signatures:
        return f"no SOA RRSIG found in first {MAX_RECORDS} records", 0
    reasons = [why_of(inception_s, expiration_s, now_s) for inception_s, expiration_s in signatures]
    return next(filter(None, reasons), ""), min(expiration_s for _, expiration_s in signatures)


def why_of(inception_s: int, expiration_s: int, now_s: int) -> str:
    """Why a signature is to be made anew; or an empty text."""
    if inception_s > now_s:
        return f'inception "{written(inception_s)}" date is in the future: {inception_s - now_s}s'
    if now_s - inception_s > RESIGN_AFTER_S:
        return (
            f'inception "{written(inception_s)}" was more than: {RESIGN_AFTER_S}s ago from {written(now_s)}: '
            f"{now_s - inception_s}s"
        )
    if expiration_s - now_s < EXPIRES_WITHIN_S:
        return (
            f'expiration "{written(expiration_s)}" is less than: {EXPIRES_WITHIN_S}s away from {written(now_s)}: '
            f"{expiration_s - now_s}s"
        )
    return ""


class EnoughError(Exception):
    """No further records are wanted."""


class FirstRecords:
    """What dns.zonefile.Reader writes into: the first records of a file. It plays a dns.transaction.Transaction."""

    def __init__(self) -> None:
        self.count = 0
        self.signatures: list[tuple[int, int]] = []

    @property
    def manager(self) -> FirstRecords:
        return self

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, check: Any) -> None:
        """Its check is of a zone in memory, which there is not."""

    def _set_origin(self, origin: dns.name.Name) -> None:
        """Names matter to nobody here."""

    def add(self, name: dns.name.Name, ttl_s: int, rdata: Any) -> None:
        """One record."""
        if rdata.rdtype == dns.rdatatype.RRSIG and rdata.type_covered == dns.rdatatype.SOA:
            self.signatures.append((rdata.inception, rdata.expiration))
        self.count += 1
        if self.count == MAX_RECORDS:
            raise EnoughError


def open_regular(file: str) -> IO[str]:
    """A file's text. Raises OSError, also if it is no regular file: a pipe would be waited for."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "expected a regular file", file)
    return os.fdopen(fd, encoding="utf-8", errors="surrogateescape")


def soa_signatures(file: str) -> list[tuple[int, int]]:
    """Inception and expiration of the SOA record's signatures that stand among the first records of a zone file.

    Raises OSError, and whatever dnspython says of what is no zone file.
    """
    records = FirstRecords()
    with open_regular(file) as text:
        tokens = dns.tokenizer.Tokenizer(text, file)
        reader = dns.zonefile.Reader(tokens, dns.rdataclass.IN, records, default_ttl=0)  # type: ignore[arg-type]
        reader.current_origin = reader.last_name = dns.name.root
        with contextlib.suppress(EnoughError):
            reader.read()
    return records.signatures
