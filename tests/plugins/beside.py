"""One Corefile, served by fastdns and, where it is on PATH, by CoreDNS: cases, each with what its reply holds.

A test module has a table of cases and one server for all of them::

    COREFILE = '''
    .:DNS_PORT {
        hosts hosts.txt {
            fallthrough
        }
        whoami
    }
    '''
    CASES = [Case("a.example.", answer=["a.example. 3600 IN A 10.0.0.1"], flags="AA", why="an address of the file")]

    @pytest.fixture(scope="module")
    def both(tmp_path_factory):
        with Both(tmp_path_factory.mktemp("hosts"), COREFILE, {"hosts.txt": "10.0.0.1 a.example"}) as both:
            yield both

    @pytest.mark.parametrize("case", CASES, ids=ids)
    def test_answers(both, case):
        both.check(case)

Both.check asks fastdns, and compares with the case; then it asks CoreDNS, and compares with the same. A case with
``coredns`` says why CoreDNS answers otherwise: then it must do so, or the reason is out of date.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from tests.support import Server, free_port, wait_until

COREDNS = shutil.which("coredns")
# What either may take to answer for the first time.
START_S = 10.0


@dataclass(frozen=True)
class Case:
    """A question and everything that its reply holds.

    answer, authority, additional: records in presentation form (``a. 5 IN A 10.0.0.1``), in any order. authority,
    additional None: not compared. rcode "NO REPLY": there is none. flags: of AA, TC, RA, AD and CD those that are
    set. ede: the codes of extended DNS errors. why: what the case shows. coredns: why CoreDNS answers otherwise.
    """

    qname: str
    qtype: str = "A"
    answer: Sequence[str] = ()
    authority: Sequence[str] | None = ()
    additional: Sequence[str] | None = ()
    rcode: str = "NOERROR"
    flags: str | None = None
    ede: Sequence[int] = ()
    why: str = ""
    coredns: str = ""
    qclass: str = "IN"
    tcp: bool = False
    dnssec: bool = False
    edns: Sequence[dns.edns.Option] | None = None
    recursion: bool = True
    client: str = "127.0.0.1"


def ids(case: Case) -> str:
    """Name a case in the list of tests."""
    return f"{case.qname} {case.qtype} {case.why}".strip().replace("/", "-")


def texts(section: Sequence[dns.rrset.RRset]) -> list[str]:
    """The records of a section, sorted."""
    return sorted(
        f"{rrset.name} {rrset.ttl} {dns.rdataclass.to_text(rrset.rdclass)} "
        f"{dns.rdatatype.to_text(rrset.rdtype)} {data}"
        for rrset in section
        for data in rrset
    )


def expected(case: Case) -> dict[str, object]:
    """What summary gives for the reply of a case."""
    said: dict[str, object] = {"rcode": case.rcode}
    if case.rcode != "NO REPLY":
        said["answer"] = sorted(case.answer)
        said["ede"] = list(case.ede)
        if case.authority is not None:
            said["authority"] = sorted(case.authority)
        if case.additional is not None:
            said["additional"] = sorted(case.additional)
        if case.flags is not None:
            said["flags"] = case.flags
    return said


def summary(reply: dns.message.Message | None, case: Case) -> dict[str, object]:
    """What a reply says, as far as a case looks at it."""
    if reply is None:
        return {"rcode": "NO REPLY"}
    said: dict[str, object] = {
        "rcode": dns.rcode.to_text(reply.rcode()),
        "answer": texts(reply.answer),
        "ede": [int(option.code) for option in reply.options if isinstance(option, dns.edns.EDEOption)],
    }
    if case.authority is not None:
        said["authority"] = texts(reply.authority)
    if case.additional is not None:
        said["additional"] = texts(reply.additional)
    if case.flags is not None:
        set_ones = dns.flags.to_text(reply.flags).split()
        said["flags"] = " ".join(flag for flag in ("AA", "TC", "RA", "AD", "CD") if flag in set_ones)
    return said


def has_opt(case: Case) -> bool:
    """Whether the query of a case has an OPT record; an extended DNS error needs one to stand in."""
    return case.dnssec or case.edns is not None or bool(case.ede)


def ask(case: Case, port: int, timeout_s: float = 5.0) -> dns.message.Message | None:
    """The reply to the question of a case; None where there is none within the time."""
    query = dns.message.make_query(
        dns.name.from_text(case.qname),
        case.qtype,
        case.qclass,
        use_edns=0 if has_opt(case) else False,
        want_dnssec=case.dnssec,
        options=list(case.edns or ()) if has_opt(case) else None,
    )
    if not case.recursion:
        query.flags &= ~dns.flags.RD
    server = "::1" if ":" in case.client else "127.0.0.1"
    try:
        if case.tcp:
            return dns.query.tcp(query, server, timeout_s, port, source=case.client, one_rr_per_rrset=True)
        return dns.query.udp(query, server, timeout_s, port, source=case.client, one_rr_per_rrset=True)
    except dns.exception.Timeout:
        return None


class CoreDNS:
    """``with CoreDNS(folder, corefile) as coredns``: started, answering; ended afterwards."""

    def __init__(self, folder: Path, corefile: str) -> None:
        assert COREDNS is not None
        self.port = free_port()
        self.folder = folder
        (folder / "Corefile.coredns").write_text(corefile.replace("DNS_PORT", str(self.port)))
        self.output = folder / "coredns.log"
        self.command = [COREDNS, "-conf", "Corefile.coredns"]

    def __enter__(self) -> CoreDNS:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=output, stderr=output)
        try:
            wait_until(self.listens, START_S, "CoreDNS")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def listens(self) -> bool:
        """Whether it accepts connections."""
        assert self.process.poll() is None, self.output.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
        except OSError:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Both:
    """``with Both(folder, corefile, files) as both``: fastdns, and CoreDNS where there is one, from one Corefile.

    corefile: with DNS_PORT for the port. files: by name, what is in them; they stand in the working directory.
    coredns: what CoreDNS is given in place of the Corefile; None: it is not asked.
    """

    def __init__(
        self, folder: Path, corefile: str, files: Mapping[str, str] | None = None, *, coredns: str | None = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        for name, text in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        self.fastdns = Server(folder, corefile, workers=1, environ=environ)
        asked = COREDNS is not None and coredns is not None
        self.coredns = CoreDNS(folder, coredns or corefile) if asked else None

    def __enter__(self) -> Both:
        self.fastdns.__enter__()
        try:
            if self.coredns is not None:
                self.coredns.__enter__()
        except BaseException:
            self.fastdns.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.fastdns.__exit__(kind, error, trace)
        if self.coredns is not None:
            self.coredns.__exit__(kind, error, trace)

    def check(self, case: Case) -> None:
        """Ask both. Raises AssertionError where a reply is not what the case says."""
        wanted = expected(case)
        # Silence is waited for so long.
        timeout_s = 0.5 if case.rcode == "NO REPLY" else 5.0
        reply = ask(case, self.fastdns.port, timeout_s)
        # RFC 6891 section 7: no OPT record for a client that sent none.
        assert reply is None or reply.edns < 0 or has_opt(case), f"an OPT record in {reply}"
        said = summary(reply, case)
        assert said == wanted, f"fastdns: {said}\nexpected: {wanted}\n{self.fastdns.log}"
        if self.coredns is None:
            return
        theirs = summary(ask(case, self.coredns.port, timeout_s), case)
        if case.coredns:
            assert theirs != wanted, f"CoreDNS answers as fastdns does; the case says: {case.coredns}"
        else:
            assert theirs == wanted, f"CoreDNS: {theirs}\nexpected: {wanted}"

    def eventually(self, case: Case, limit_s: float = 10.0) -> None:
        """Wait until fastdns answers as a case says: after a change of a file, or of a server that it follows."""
        deadline = time.monotonic() + limit_s
        while summary(ask(case, self.fastdns.port), case) != expected(case):
            if time.monotonic() > deadline:
                self.check(case)
            time.sleep(0.02)
