from collections.abc import Sequence

from fastdns.plugins.kubernetes.answers._options import AnswerOptions
from fastdns.serve._transfers import NativeTransfer

class ClusterTransfer(NativeTransfer):
    """The zones of a kubernetes block; with outside (wire names) zones of Services as they are reached from there.

    nameserver: the labels of the nameserver in these, in wire form. mailbox: those of the mailbox. ttl_s: of their
    records. headless: whether they show endpoints.
    """

    def __init__(
        self,
        options: AnswerOptions,
        *,
        outside: Sequence[bytes] | None = None,
        nameserver: bytes = b"\x02ns\x03dns",
        mailbox: bytes = b"\x0ahostmaster",
        ttl_s: int | None = None,
        headless: bool = False,
    ) -> None: ...
