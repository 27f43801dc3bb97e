"""The generator in processes of its own, against servers that lose, repeat, delay, mangle and stall."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.tsig
import pytest

from fastdns.bench import runner
from fastdns.bench._questions import Questions
from fastdns.bench.address import Server
from fastdns.bench.errors import BenchError
from fastdns.bench.exchange import query
from fastdns.bench.messages import Query, edns, message
from fastdns.bench.result import Result
from fastdns.bench.runner import How, part
from fastdns.bench.transport import TlsOptions
from fastdns.bench.tsig import DIGESTS, parse_key
from tests.bench.servers import answered, bound, in_process, label, right, server_tls, tcp, udp
from tests.certificates import write_certificate
from tests.support import children, free_port, wait_until

pytestmark = pytest.mark.native

QUERIES = [query(f"n{i}.example", "AAAA" if i % 2 else "A") for i in range(7)]
ONCE = How(count=70, outstanding=8, clients=2, timeout_s=0.3)
# A server on a busy machine may take its time; what is not about losses waits longer than that.
PATIENT = replace(ONCE, timeout_s=10.0)


def ask(port: int, how: How = PATIENT, host: str = "127.0.0.1", queries: list[bytes] = QUERIES) -> Result:
    return runner.run(Server(host, port), Questions(queries), how).result


def is_whole(result: Result) -> bool:
    """Every query has one end, and every answer is in the histogram."""
    return (
        result.sent == result.answered + result.lost + result.interrupted
        and result.answered == sum(result.rcodes) == sum(count for _, count in result.histogram)
        and result.min_ns <= result.max_ns
        and result.answered * result.min_ns <= result.sum_ns <= result.answered * result.max_ns
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
@pytest.mark.parametrize("serve", [udp, tcp], ids=["udp", "tcp"])
def test_a_right_server_answers_everything(serve: Callable[..., object], host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with serve(address=host.replace("localhost", "127.0.0.1")) as port:  # type: ignore[attr-defined]
        result = ask(port, replace(PATIENT, transport=serve.__name__, family=family), host)
    assert (result.sent, result.answered, result.lost, result.mismatched) == (70, 70, 0, 0)
    assert is_whole(result)
    assert result.query_bytes == sum(map(len, QUERIES)) * 10 == result.answer_bytes


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("serve", [udp, tcp], ids=["udp", "tcp"])
def test_processes_share_the_work(serve: Callable[..., object], processes: int) -> None:
    """Each query is asked as often as one process alone would ask it."""

    def rcode_by_name(message: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, answered(message, rcode=int(label(message)[1:])))]

    with serve(rcode_by_name) as port:  # type: ignore[attr-defined]
        how = replace(PATIENT, processes=processes, clients=3, outstanding=7, transport=serve.__name__)
        result = ask(port, how)
    assert result.rcodes == (10,) * 7 + (0,) * 9
    assert (result.processes, is_whole(result)) == (processes, True)


@pytest.mark.parametrize("whole", [0, 1, 5, 70, 71])
@pytest.mark.parametrize("parts", [1, 2, 7])
def test_parts_make_a_whole(whole: int, parts: int) -> None:
    made = [part(whole, number, parts) for number in range(parts)]
    assert sum(made) == whole
    assert max(made) - min(made) <= 1


def test_lost_queries_are_counted_once_and_hold_nobody_up() -> None:
    with udp(lambda message: [] if label(message) == b"n3" else right(message)) as port:
        result = ask(port, replace(ONCE, timeout_s=1.5, outstanding=32))
    assert (result.sent, result.answered, result.lost) == (70, 60, 10)
    assert is_whole(result)


def test_second_answers_are_duplicates() -> None:
    with udp(lambda message: right(message) * 2) as port:
        result = ask(port)
    assert (result.answered, result.mismatched, result.late) == (70, 0, 0)
    # The last answers' second copies may come after the end.
    assert 70 - 8 <= result.duplicates <= 70


def test_answers_after_the_timeout_are_late() -> None:
    late = [(0.6, b"")]

    def answer(message: bytes) -> list[tuple[float, bytes]]:
        return [(late[0][0], answered(message))] if label(message) == b"n3" else right(message)

    # Queries of the last second wait for those that are lost, so that all late ones come before the end.
    with udp(answer) as port:
        result = ask(port, How(seconds=1.5, outstanding=64, clients=2, timeout_s=0.3, rate=50))
    assert (result.mismatched, result.duplicates) == (0, 0)
    assert result.lost >= 10
    # Those of the first 0.9 s at least have come.
    assert 5 <= result.late <= result.lost
    assert is_whole(result)


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "another ID": lambda message: bytes([message[0] ^ 0x80]) + answered(message)[1:],
    "another question": lambda message: answered(message)[:-6] + b"\0\0" + answered(message)[-4:],
    "no answer but a query": lambda message: message,
    "cut in the question": lambda message: answered(message)[:-1],
    "shorter than a header": lambda message: answered(message)[:11],
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("serve", [udp, tcp], ids=["udp", "tcp"])
def test_what_does_not_fit_answers_nothing(serve: Callable[..., object], wrong: Callable[[bytes], bytes]) -> None:
    with serve(lambda message: [(0.0, wrong(message)), *right(message)]) as port:  # type: ignore[attr-defined]
        result = ask(port, replace(PATIENT, transport=serve.__name__))
    assert (result.answered, result.lost, result.mismatched) == (70, 0, 70)
    assert is_whole(result)


@pytest.mark.parametrize("serve", [udp, tcp], ids=["udp", "tcp"])
def test_long_queries_arrive_whole(serve: Callable[..., AbstractContextManager[int]]) -> None:
    """Over 512 bytes, which are sent in two pieces; among short ones."""
    value = bytes(range(256)) * 4
    long = message(Query("long.example", "A"), edns(options=((65001, value),)))
    short = message(Query("short.example", "A"))

    def answer(asked: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, answered(asked, rcode=0 if asked[2:] in (long[2:], short[2:]) else 1))]

    with serve(answer) as port:
        result = ask(port, replace(PATIENT, transport=serve.__name__), queries=[short, long, long, short, short])
    assert (result.rcodes[0], result.query_bytes) == (70, 14 * (3 * len(short) + 2 * len(long)))


def test_truncated_answers_are_counted() -> None:
    with udp(lambda message: [(0.0, answered(message, flags=0x82))]) as port:
        result = ask(port)
    assert (result.answered, result.truncated) == (70, 70)


# ------------------------------------------------------------------------------------------------ open loop


def over(result: Result, limit_s: float) -> int:
    """How many answers took longer."""
    from fastdns.bench.result import bucket_limit_ns

    return sum(count for bucket, count in result.histogram if bucket_limit_ns(bucket) > limit_s * 1e9)


@pytest.mark.parametrize("outstanding", [None, 4], ids=["as much as is due", "four at a time"])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_stall_is_charged_to_every_query_that_was_due(outstanding: int | None, processes: int) -> None:
    """200 a second, and 0.5 s of silence: 100 queries were due meanwhile, of which 80 waited for over 0.1 s,
    however few could be sent. Counted from when they were sent, four would have waited."""
    how = How(seconds=1.5, rate=200, outstanding=outstanding, clients=2, processes=processes, timeout_s=10.0)
    with udp(stall_s=0.5, after=40) as port:
        result = ask(port, how)
    assert (result.sent + result.unsent, result.lost) == (300, 0)
    assert over(result, 0.1) >= 78
    assert result.max_ns >= 0.48e9
    assert result.percentile_us(99) >= 400_000
    assert is_whole(result)


def test_the_closed_loop_is_not_charged() -> None:
    with udp(stall_s=0.5, after=40) as port:
        result = ask(port, How(count=200, outstanding=4, clients=2, timeout_s=10.0))
    assert over(result, 0.45) <= 4 + 1
    assert result.max_ns >= 0.48e9


def test_what_could_not_be_sent_in_time_is_said() -> None:
    """One at a time and a server that says nothing: 100 were due, and two could be sent."""
    with udp(lambda message: []) as port:
        result = ask(port, How(seconds=0.5, rate=200, outstanding=1, clients=1, timeout_s=0.3))
    assert (result.sent + result.unsent, result.lost) == (100, result.sent)
    assert 1 <= result.sent <= 2


@pytest.mark.parametrize(("rate", "processes"), [(50, 1), (333, 2), (1000, 3)])
def test_a_rate_is_a_count(rate: int, processes: int) -> None:
    with udp() as port:
        result = ask(port, How(seconds=0.6, rate=rate, clients=3, processes=processes, timeout_s=10.0))
    # ceil: the first one is due at once.
    assert result.sent == -(-rate * 6 // 10)
    assert result.answered == result.sent


def test_a_count_ends_an_open_loop() -> None:
    with udp() as port:
        result = ask(port, How(count=30, rate=100, clients=1, timeout_s=10.0))
    assert (result.sent, result.answered, result.unsent) == (30, 30, 0)
    assert result.elapsed_s >= 0.29


# ------------------------------------------------------------------------------------------------------ TCP


def test_answers_in_pieces() -> None:
    with tcp(bytewise=True) as port:
        result = ask(port, replace(PATIENT, transport="tcp"))
    assert (result.answered, result.mismatched, result.reconnects) == (70, 0, 0)


def test_a_connection_that_is_closed_is_made_anew_and_what_was_under_way_is_lost() -> None:
    with tcp(close_after=10) as port:
        result = ask(port, replace(PATIENT, transport="tcp", clients=1))
    assert result.answered + result.lost == 70
    assert result.answered >= 35
    assert result.reconnects >= result.answered // 10 - 1
    assert is_whole(result)


@pytest.mark.parametrize(("limit", "clients"), [(1, 1), (1, 4), (7, 2)])
def test_a_connection_has_so_many_queries(limit: int, clients: int) -> None:
    how = replace(PATIENT, transport="tcp", clients=clients, queries_per_connection=limit)
    with tcp(close_after=limit) as port:
        result = ask(port, how)
    assert (result.answered, result.lost) == (70, 0)
    assert 70 // limit - clients <= result.reconnects <= 70 // limit


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(BenchError, match=f"127.0.0.1:{port}: connection refused"):
            ask(port, replace(ONCE, transport="tcp"))


def test_a_server_that_goes_away_ends_a_run_of_a_count() -> None:
    """It would connect for ever, as nothing could be sent to be lost."""

    def accept_one(served: socket.socket) -> None:
        served.accept()[0].close()
        served.close()
        time.sleep(60)

    with in_process(accept_one, bound(socket.SOCK_STREAM)) as port:
        result = ask(port, replace(ONCE, transport="tcp", clients=1, outstanding=1))
    assert result.sent + result.unsent == 70
    assert (result.answered, result.unsent > 0) == (0, True)


# ------------------------------------------------------------------------------------- signatures, local ports


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("serve", [udp, tcp], ids=["udp", "tcp"])
def test_queries_are_signed(algorithm: str, serve: Callable[..., object]) -> None:
    """dnspython verifies them: with an OPT record and without, short and long."""
    key = parse_key(f"{algorithm}:Key.Example:c2VjcmV0")
    theirs = {"hmac-md5": "HMAC-MD5.SIG-ALG.REG.INT."}.get(algorithm, algorithm)
    ring = {dns.name.from_text("key.example"): dns.tsig.Key("key.example", key.secret, theirs)}

    def verify(message: bytes) -> list[tuple[float, bytes]]:
        try:
            read = dns.message.from_wire(message, keyring=ring)
            right = read.had_tsig and read.tsig[0].fudge == 300 and read.tsig[0].original_id == read.id
        except dns.exception.DNSException:
            right = False
        return [(0.0, answered(message, rcode=0 if right else 9))]

    asked = [*QUERIES, message(Query("a" * 60 + "." + "b" * 60, "TXT"), edns(options=((65001, bytes(400)),)))]
    with serve(verify) as port:  # type: ignore[attr-defined]
        result = ask(port, replace(PATIENT, tsig=key, transport=serve.__name__), queries=asked)
    assert (result.answered, result.rcodes[0]) == (70, 70)
    signature_bytes = 13 + 10 + len(key.algorithm_name) + 10 + key.mac_bytes + 6
    assert result.query_bytes == sum(len(asked[i % 8]) + signature_bytes for i in range(70))


@pytest.mark.parametrize("processes", [1, 2])
def test_clients_have_ports_in_a_row(processes: int) -> None:
    seen = mmap.mmap(-1, 65536)

    def work(served: socket.socket) -> None:
        while True:
            message, client = served.recvfrom(4096)
            seen[client[1]] = 1
            served.sendto(answered(message), client)

    first = free_port(5)
    with in_process(work, bound(socket.SOCK_DGRAM)) as port:
        result = ask(port, replace(PATIENT, local_port=first, clients=5, processes=processes, outstanding=15))
    assert result.answered == 70
    assert [at for at in range(65536) if seen[at]] == list(range(first, first + 5))


def test_a_port_is_used_again_for_the_next_connection() -> None:
    how = replace(PATIENT, transport="tcp", clients=1, queries_per_connection=7, local_port=free_port())
    with tcp(close_after=7) as port:
        result = ask(port, how)
    assert (result.answered, result.lost) == (70, 0)


def test_an_answer_without_the_question_is_one_if_it_refuses() -> None:
    """RFC 2136 section 3.8; and what servers say to what they cannot read."""

    def bare(message: bytes) -> list[tuple[float, bytes]]:
        refuses = label(message)[1] % 2
        return [(0.0, message[:2] + (b"\x81\1" if refuses else b"\x81\0") + bytes(8))]

    with udp(bare) as port:
        result = ask(port, replace(ONCE, count=7))
    assert (result.answered, result.rcodes[1], result.mismatched, result.lost) == (3, 3, 4, 4)


# ------------------------------------------------------------------------------------------------------ TLS


DOT = replace(PATIENT, transport="dot")


@pytest.mark.parametrize("bytewise", [False, True])
def test_over_tls_the_same(tmp_path: Path, bytewise: bool) -> None:
    with tcp(bytewise=bytewise, tls=server_tls(tmp_path)) as port:
        result = ask(port, DOT)
    assert (result.sent, result.answered, result.mismatched, result.reconnects) == (70, 70, 0, 0)
    assert (result.set_ups.count, result.first_connections, result.resumed) == (2, 2, 0)
    assert 0 < result.set_ups.min_ns <= result.set_ups.max_ns <= result.set_ups.sum_ns
    assert is_whole(result)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("resumes", [False, True])
def test_sessions_are_resumed_where_that_is_wanted(
    tmp_path: Path, resumes: bool, version: ssl.TLSVersion
) -> None:
    context = server_tls(tmp_path)
    context.maximum_version = version
    with tcp(tls=context) as port:
        result = ask(port, replace(DOT, queries_per_connection=7, tls=TlsOptions(resumes=resumes)))
    assert (result.answered, result.lost) == (70, 0)
    assert 8 <= result.reconnects <= 10
    assert result.set_ups.count == result.reconnects + 2
    assert result.resumed == (result.reconnects if resumes else 0)


def test_a_certificate_is_verified_where_that_is_wanted(tmp_path: Path) -> None:
    context = server_tls(tmp_path)
    write_certificate(tmp_path, "other")
    right = TlsOptions(name="localhost", authorities=tmp_path / "cert.pem")
    with tcp(tls=context) as port:
        assert ask(port, replace(DOT, tls=right)).answered == 70
        assert ask(port, replace(DOT, tls=replace(right, name="")), "localhost").answered == 70
        for wrong, says in (
            (replace(right, name="elsewhere"), "[Hh]ostname mismatch"),
            (replace(right, name=""), "IP address mismatch"),
            (replace(right, authorities=tmp_path / "othercert.pem"), "self.signed certificate"),
        ):
            with pytest.raises(BenchError, match=f":{port}: TLS: {says}"):
                ask(port, replace(DOT, tls=wrong))


def test_a_server_that_wants_a_certificate_gets_one(tmp_path: Path) -> None:
    context = server_tls(tmp_path)
    write_certificate(tmp_path, "client")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tmp_path / "clientcert.pem")
    files = TlsOptions(certificate=tmp_path / "clientcert.pem", key=tmp_path / "clientkey.pem")
    with tcp(tls=context) as port:
        assert ask(port, replace(DOT, tls=files)).answered == 70
        assert ask(port, replace(DOT, count=7, timeout_s=0.3)).answered == 0


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"authorities": "key.pem"}, "key.pem: certificates in PEM format expected"),
        ({"certificate": "key.pem", "key": "key.pem"}, "key.pem: a certificate in PEM format expected"),
        ({"certificate": "cert.pem", "key": "otherkey.pem"}, "otherkey.pem: the key of .*cert.pem, in PEM "),
        ({"certificate": "none.pem", "key": "key.pem"}, "none.pem: No such file or directory"),
    ],
)
def test_files_that_are_not_what_they_should_be_are_said(
    tmp_path: Path, files: dict[str, str], says: str
) -> None:
    write_certificate(tmp_path)
    write_certificate(tmp_path, "other")
    options = TlsOptions(name="localhost", **{name: tmp_path / file for name, file in files.items()})
    with tcp() as port, pytest.raises(BenchError, match=says):
        ask(port, replace(DOT, tls=options))


def test_a_server_that_speaks_no_tls_is_said() -> None:
    def talk(served: socket.socket) -> None:
        while True:
            served.accept()[0].sendall(b"220 hello\r\n" * 4)

    with in_process(talk, bound(socket.SOCK_STREAM)) as port, pytest.raises(BenchError, match="TLS: wrong version"):
        ask(port, DOT)
    with tcp(lambda message: []) as port, pytest.raises(BenchError, match="Connection timed out"):
        ask(port, replace(DOT, timeout_s=0.2))


# ------------------------------------------------------------------------------------------------ the ends


def test_ctrl_c_gives_what_was_counted() -> None:
    def interrupt() -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    with udp(lambda message: [] if label(message) == b"n3" else right(message)) as port:
        teller = threading.Thread(target=interrupt)
        teller.start()
        outcome = runner.run(
            Server("127.0.0.1", port), Questions(QUERIES), How(seconds=60, outstanding=4, clients=2)
        )
        teller.join()
    assert outcome.interrupted
    assert outcome.result.answered > 0
    assert outcome.result.interrupted == 4
    assert 0.1 < outcome.result.elapsed_s < 30
    assert is_whole(outcome.result)


def test_a_process_that_dies_is_said() -> None:
    def end_it(server: set[int]) -> None:
        wait_until(lambda: set(children(os.getpid())) - server)
        for pid in set(children(os.getpid())) - server:
            os.kill(pid, signal.SIGKILL)

    with udp() as port:
        killer = threading.Thread(target=end_it, args=[set(children(os.getpid()))])
        killer.start()
        with pytest.raises(BenchError, match="a process of the generator has ended: signal 9"):
            ask(port, How(seconds=60))
        killer.join()


def test_the_course_adds_up() -> None:
    with udp() as port:
        told: list[int] = []
        outcome = runner.run(
            Server("127.0.0.1", port), Questions(QUERIES), How(seconds=0.5, rate=200, clients=2, timeout_s=10.0),
            tell=lambda result, interval: told.append(interval.answered), interval_s=0.1,
        )  # fmt: skip
    assert sum(one.answered for one in outcome.course) == outcome.result.answered
    # What is left at the end is no interval of its own if it is shorter than half of one.
    assert 0 < sum(told) <= outcome.result.answered
    assert sum(one.sent for one in outcome.course) == outcome.result.sent
    assert len(outcome.course) >= 3
    ends = [one.end_s for one in outcome.course]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (replace(ONCE, local_address="192.0.2.1"), "Cannot assign requested address"),
        (replace(ONCE, outstanding=1 << 20, clients=1), "outstanding must be 1 to 16384 for each socket"),
        (replace(ONCE, cpus=(4000,)), "Invalid argument"),
    ],
    ids=["an address that is not ours", "more than IDs", "a CPU that is not there"],
)
def test_what_cannot_be_asked_is_said(how: How, says: str) -> None:
    with pytest.raises(BenchError, match=says):
        ask(5353, how)


def test_a_name_that_does_not_resolve_is_said() -> None:
    with pytest.raises(BenchError, match=r"nobody\.invalid:53: "):
        ask(53, ONCE, "nobody.invalid")
