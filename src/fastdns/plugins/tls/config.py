"""The options of tls: certificate, key, and what is asked of clients."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import one, one_of, read_options, store
from fastdns.servertls import CLIENT_AUTH, ServerTls


def parse(d: Dispenser, block: BlockContext) -> ServerTls:
    """Raises CorefileError. Of several lines in a block the last one counts, as in CoreDNS."""
    found = None
    for _ in d.occurrences():
        files = [block.resolve(file) for file in d.remaining_args()]
        fields = dict.fromkeys(("client_auth", "keylog"), "")
        if not files:
            raise d.error(
                "tls CERT KEY [CA] expected: certificates by ACME are not available in this version of fastdns; "
                "let another program renew the files: they are read again when they change"
            )
        if not 2 <= len(files) <= 3:
            raise d.arg_error("the files of a certificate and its key, and perhaps of authorities")
        read_options(d, OPTIONS, fields)
        found = ServerTls(
            files[0],
            files[1],
            files[2] if len(files) == 3 else "",
            fields["client_auth"] or "nocert",
            block.resolve(fields["keylog"]) if fields["keylog"] else "",
        )
    assert found is not None
    return found


OPTIONS = {"client_auth": store("client_auth", one_of(*CLIENT_AUTH)), "keylog": store("keylog", one)}
