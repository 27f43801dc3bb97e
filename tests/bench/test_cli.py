"""``fastdns bench``: its options, exit codes, reports and pages; and that dnsperf counts the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dns.message
import pytest

from fastdns.bench.cli import main
from fastdns.bench.options import LONG_OPTIONS, host_and_port, parse
from fastdns.bench.report import SCHEMA
from tests.bench.servers import answered, label, server_tls, tcp, udp
from tests.support import WEB, Server

FILE = "\n".join(f"n{i}.example {kind}" for i in range(5) for kind in ("A", "AAAA", "TXT")) + "\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "queries"
    path.write_text(FILE)
    return path


def rcode_by_name(message: bytes) -> list[tuple[float, bytes]]:
    """n3 does not exist, of n4 nothing is said."""
    if label(message) == b"n4":
        return []
    return [(0.0, answered(message, rcode=3 if label(message) == b"n3" else 0))]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "fastdns.cli", "bench", *map(str, words)]


def run(*words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), input=stdin, capture_output=True, text=True, timeout=60)


# -------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-l x", "argument -l/--limit: seconds of 0.001 to 1e+07 expected, got 'x'"),
        ("-l nan", "seconds of 0.001 to 1e+07 expected, got 'nan'"),
        ("-q 0", "argument -q/--outstanding: a whole number of 1 to 16777216 expected, got '0'"),
        ("-p 65536", "argument -p/--port: a whole number of 1 to 65535 expected"),
        ("-Q -1", "argument -Q/--rate"),
        ("-m smoke", "-m: one of udp, tcp, dot, doh, doh3, doq expected, got 'smoke'"),
        ("--tls-name a", "--tls-name needs an encrypted transport: -m dot or doh or doh3 or doq"),
        ("-m tcp --resume", "--resume needs an encrypted transport: -m dot or doh or doh3 or doq"),
        ("-m dot --doh-method GET", "--doh-method needs DNS over HTTPS: -m doh or doh3"),
        ("-m doh -O doh-method=PUT", "doh-method: GET or POST expected, got 'PUT'"),
        ("-m doh -O doh-uri=localhost", "doh-uri: https://HOST/PATH expected, got 'localhost'"),
        ("-m dot --tls-cert a", "--tls-cert and --tls-key belong together"),
        ("-f inet5", "argument -f/--family: invalid choice"),
        ("-u --check x", "-u is for a query file: it goes without --corefile, --template and --check"),
        ("-B --template x", "-B is for a query file"),
        ("-B -D", "-B asks messages as they are: it goes without -D"),
        ("-B -u", "-B asks messages as they are: it goes without -u"),
        ("-x 65530", "-x: 16 clients need as many ports, from 65530 to 65535"),
        ("-v --json", "-v prints to standard output: it is for a run without --json and --versus"),
        ("-y key", "argument -y/--tsig: [ALGORITHM:]NAME:SECRET expected, got 'key'"),
        ("-y md5:key:YQ==", "one of hmac-md5, hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512 "),
        ("-y a..b:YQ==", "'a..b' is not a domain name"),
        ("-y key:YQ", "a secret in base64 expected, got 'YQ'"),
        ("-O qps=5", "num-queries-per-conn=VALUE, suppress=VALUE expected, got 'qps=5'"),
        ("-O num-queries-per-conn=0", "num-queries-per-conn: a whole number of 1 to 2147483648 expected, got '0'"),
        ("-O suppress=all", "suppress: one of timeouts, congestion, sendfailed, sockready, unexpected expected"),
        ("-d a --template x", "-d and --template are two sources of queries"),
        ("--kinds srv", "--kinds needs --corefile"),
        ("--names 5", "--names needs --template"),
        ("--rounds 5", "--rounds needs --versus"),
        ("--ndots 5", "--ndots needs --pod or --search"),
        ("--pod a --search b", "--pod and --search are two search lists"),
        ("--queries-per-connection 5", "needs connections: -m tcp or dot or doh or doh3 or doq"),
        ("-T 17", "-T 17 needs at least as many clients: -c 17"),
        ("--versus a=127.0.0.1", "--versus: at least two servers with different names expected"),
        ("--versus a=127.0.0.1 --versus a=127.0.0.2", "--versus: at least two servers with different names"),
        ("--versus a", "NAME=HOST:PORT expected, got 'a'"),
        ("--versus a=:53", "HOST:PORT or [ADDRESS]:PORT expected"),
        ("--versus a=b --versus c=d -s e", "--versus names the servers"),
        ("--versus a=b --versus c=d -S 1", "-S is for a run without --versus"),
        ("--versus a=b --versus c=d --pid e=1", "--pid: NAME=PID with a name of --versus expected, got 'e': a, c"),
        ("--pid a=1", "--pid a=PID: names need --versus"),
        ("--pid x", "PID or NAME=PID expected, got 'x'"),
        ("--pid 1 --pid 2", "--pid: one process for each server"),
        ("--cpus 1-", "CPUs as 0,2-3 expected, got '1-'"),
        ("-E 10", "CODE:HEX expected, got '10'"),
        ("-E 10:xy", "CODE:HEX expected"),
        ("--template x", "--template: NAME TYPE expected, got 'x'"),
        ("-q 1 -T 2 --template {n}.example A", "unrecognized arguments: A"),
        ("nothing", "unrecognized arguments: nothing"),
        ("--limits 5", "unrecognized arguments: --limits 5"),
    ],
)
def test_a_wrong_command_line_is_2(capsys: pytest.CaptureFixture[str], words: str, says: str) -> None:
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastdns bench: ")
    assert says in err
    assert err.endswith("fastdns bench -h lists the options\n")


def test_dnsperfs_long_options_are_ours(capsys: pytest.CaptureFixture[str]) -> None:
    words = "-m tcp -O num-queries-per-conn=7 -O suppress=timeouts,unexpected"
    assert parse(words.split()).queries_per_connection == 7
    assert main(["-H"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {name}: " in said for name in LONG_OPTIONS)


def test_letters_and_long_names_are_the_same() -> None:
    short = "-s ::1 -p 5 -m tcp -f inet6 -d x -l 1 -n 2 -q 3 -Q 4 -c 5 -T 2 -t 6 -e -D -b 7 -S 8 -x 9 -v -W"
    long = (
        "--server ::1 --port 5 --mode tcp --family inet6 --data x --limit 1 --runs 2 --outstanding 3 --rate 4 "
        "--clients 5 --threads 2 --timeout 6 --edns --dnssec-ok --buffer 7 --interval 8 --local-port 9 --verbose "
        "--errors-to-stdout"
    )
    assert vars(parse(short.split())) == vars(parse(long.split()))


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:5353", "127.0.0.1", 5353),
        ("127.0.0.1", "127.0.0.1", 53),
        ("[::1]:5353", "::1", 5353),
        ("[::1]", "::1", 53),
        ("::1", "::1", 53),
        ("dns.example:1", "dns.example", 1),
    ],
)
def test_servers(text: str, host: str, port: int) -> None:
    server = host_and_port(text)
    assert (server.host, server.port) == (host, port)


@pytest.mark.parametrize("text", ["", ":53", "a:", "a:0", "a:65536", "a:b", "[::1", "[::1]53", "[]:53"])
def test_no_servers(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        host_and_port(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "a.example\n",
            ":1 - NAME TYPE expected, got 'a.example' alone (-u reads files of dynamic updates)",
        ),
        ("ok.example A\n\na.example NOPE\n", ":3 - 'NOPE' is not a record type"),
        ("a..example A\n", ":1 - 'a..example' is not a domain name"),
        ("a.example A extra\n", ":1 - NAME TYPE expected, got 'extra' behind it"),
        ("a.example AXFR\n", ":1 - AXFR cannot be asked for here"),
        ("; nothing\n", ": no queries: lines of NAME TYPE expected"),
    ],
)
def test_a_wrong_file_is_1_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    path = tmp_path / "queries"
    path.write_text(text)
    assert main(["-d", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"fastdns bench: {path}{says}")


def test_no_file_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-d", "/nonexistent/queries"]) == 1
    assert capsys.readouterr().err == "fastdns bench: /nonexistent/queries: No such file or directory\n"


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == 0
    said = capsys.readouterr().out
    for option in ("-s", "-p", "-d", "-l", "-n", "-c", "-q", "-Q", "-T", "-m", "-t", "-e", "-D", "-f", "--versus"):
        assert re.search(rf"^  {option}\b", said, re.MULTILINE), option
    assert "Exit codes: 0 after a run" in said
    assert max(map(len, said.splitlines())) <= 116


# ------------------------------------------------------------------------------------------------- reports


def shape(value: Any) -> Any:
    """The keys of a report, and of what kind their values are."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


SPREAD = {"median": "number", "min": "number", "max": "number"}
RCODES = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI", "RCODE12", "RCODE13", "RCODE14", "RCODE15",
]  # fmt: skip
HEAD = {
    "schema": "str",
    "mode": "str",
    "machine": {"cpus": "number", "model": "str", "kernel": "str", "python": "str", "load": ["number"]},
    "interrupted": "bool",
}
OPTIONS = {
    **dict.fromkeys(["transport", "loop", "load", "source"], "str"),
    **dict.fromkeys(
        ["queries", "seconds", "count", "outstanding", "rate", "clients", "processes", "timeout_s", "warm_s"],
        "number",
    ),
    "edns": "bool",
    "dnssec_ok": "bool",
}
COUNTED = ["sent", "answered", "lost", "late", "duplicates", "mismatched", "truncated", "checked", "wrong"]


def test_the_json_of_a_run_keeps_its_shape(data: Path, tmp_path: Path) -> None:
    expected = tmp_path / "expected"
    expected.write_text("n1.example A NOERROR 192.0.2.1\n")
    with udp() as port:
        ended = run("-p", port, "-d", data, "--check", expected, "-q", 4, "-t", 10, "--json", "--pid", os.getpid())
    assert ended.returncode == 1, ended.stderr
    report = json.loads(ended.stdout)
    assert report["schema"] == SCHEMA == "fastdns-bench/1"
    numbers = ["min_us", "mean_us", "stddev_us", "p50_us", "p90_us", "p99_us", "p99.9_us", "p99.99_us", "max_us"]
    assert shape(report) == {
        **HEAD,
        "options": {"server": "str", **OPTIONS},
        "result": {
            **dict.fromkeys(["elapsed_s", "queries_per_second", *COUNTED, "interrupted", "unsent"], "number"),
            **dict.fromkeys(["socket_errors", "stream_errors", "reconnects"], "number"),
            **dict.fromkeys(["query_bytes", "answer_bytes"], "number"),
            "rcodes": dict.fromkeys(RCODES, "number"),
            "latency": {**dict.fromkeys(numbers, "number"), "curve": [["number"]], "hdr": "str"},
            "connections": "NoneType",
            "generator": {"processes": "number", "busy": "number", "cpu_us_per_query": "number"},
        },
        "process": {
            **dict.fromkeys(["cpu_us_per_query", "cpu_s", "pss_kib", "processes"], "number"),
            "cpu_us_per_connection": "NoneType",
        },
        "wrong_answers": [dict.fromkeys(["where", "name", "type", "expected", "got"], "str")],
        "course": [dict.fromkeys(
            ["end_s", "answers_per_second", "sent", "answered", "lost", "p50_us", "p99_us", "max_us"], "number"
        )],
    }  # fmt: skip
    assert (report["result"]["answered"], report["result"]["checked"], report["result"]["wrong"]) == (15, 1, 1)
    assert report["wrong_answers"] == [
        {
            "where": f"{expected}:1",
            "name": "n1.example",
            "type": "A",
            "expected": "NOERROR 192.0.2.1",
            "got": "NOERROR",
        }
    ]


def test_the_json_of_servers_side_by_side_keeps_its_shape(data: Path) -> None:
    with udp() as first, udp() as second:
        ended = run(
            "-d", data, "-n", 2, "-t", 10, "--rounds", 3, "--json", "--pid", f"b={os.getpid()}",
            "--versus", f"a=127.0.0.1:{first}", "--versus", f"b=127.0.0.1:{second}",
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    report = json.loads(ended.stdout)
    figures = ["queries_per_second", "p50_us", "p99_us", "p99.9_us"]
    measured = {"cpu_us_per_query": SPREAD, "pss_kib": SPREAD}
    unknown = dict.fromkeys(measured, "NoneType")
    server = {
        "name": "str",
        "server": "str",
        **dict.fromkeys(figures, SPREAD),
        **dict.fromkeys([*COUNTED, "socket_errors", "stream_errors", "reconnects"], "number"),
        **dict.fromkeys(["set_up_p50_us", "cpu_us_per_connection"], "NoneType"),
        "generator_busy": SPREAD,
        "rcodes": dict.fromkeys(RCODES, "number"),
    }
    none = dict.fromkeys(["set_up_p50_us", "cpu_us_per_connection"], "NoneType")
    of_first = {**dict.fromkeys(figures, SPREAD), **unknown, **none}
    in_round = dict.fromkeys(figures, "number") | none
    assert [shape(one) for one in report["servers"]] == [
        server | unknown | {"pid": "NoneType", "of_first": of_first, "rounds": [in_round | unknown]},
        server | measured | {
            "pid": "number", "of_first": of_first, "rounds": [in_round | dict.fromkeys(measured, "number")],
        },
    ]  # fmt: skip
    assert shape({key: value for key, value in report.items() if key != "servers"}) == {
        **HEAD, "options": OPTIONS, "rounds": "number",
    }  # fmt: skip
    assert [(one["name"], one["answered"], len(one["rounds"])) for one in report["servers"]] == [
        ("a", 90, 3), ("b", 90, 3),
    ]  # fmt: skip
    assert report["servers"][0]["of_first"]["queries_per_second"] == {"median": 1, "min": 1, "max": 1}


def test_text_has_lines_in_one_order_and_none_for_what_did_not_happen(data: Path) -> None:
    def lines(text: str) -> list[str]:
        return [re.sub(r"[ \d.,%]+(ns|us|ms|s)?$", "", line) for line in text.splitlines()[1:]]

    with udp() as good, udp(rcode_by_name) as bad:
        one = run("-p", good, "-d", data, "-t", 10, "-Q", 500)
        other = run("-p", bad, "-d", data, "-t", 0.2, "-Q", 500)
    assert (one.returncode, other.returncode) == (0, 0)
    among = iter(lines(other.stdout))
    assert all(line in among for line in lines(one.stdout))
    assert not re.search(r"^[a-zA-Z ]+ 0( +0\.000%)?$", one.stdout + other.stdout, re.MULTILINE)
    assert "lost" not in one.stdout and "NXDOMAIN" not in one.stdout and "reconnects" not in other.stdout
    assert re.search(r"^answered +12 +80\.000%$", other.stdout, re.MULTILINE)
    assert re.search(r"^NXDOMAIN +3 +25\.000%$", other.stdout, re.MULTILINE)
    assert len({len(line) for line in one.stdout.splitlines() if line.startswith("latency")}) == 1


def test_versus_is_a_table(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with udp() as first, udp(rcode_by_name) as second:
        ended = run(
            "-d", data, "-n", 1, "-t", 0.3, "--rounds", 2, "--warm", 0.05, "--html", page,
            "--versus", f"good=127.0.0.1:{first}", "--versus", f"bad=127.0.0.1:{second}",
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    said = ended.stdout
    assert "2 rounds, interleaved" in said
    assert re.search(r"^counts +sent +answered +lost$", said, re.MULTILINE)
    assert re.search(r"^  good +30 +30 +0$", said, re.MULTILINE)
    assert re.search(r"^  bad +30 +24 +6$", said, re.MULTILINE)
    assert re.search(r"^  bad +NOERROR 18, NXDOMAIN 6$", said, re.MULTILINE)
    assert re.search(r"^  good .* 1\.000 \(1\.000-1\.000\)$", said, re.MULTILINE)
    look_at(page)


class Page(HTMLParser):
    """Every element and every attribute's value."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.values: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.values += [value or "" for name, value in attributes if name != "xmlns"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.values += [value or "" for _, value in attributes]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def look_at(path: Path) -> None:
    """A page is well-formed, has plots, and asks nobody for anything."""
    text = path.read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.seen.count("svg") >= 3
    for plot in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        xml.etree.ElementTree.fromstring(plot)
    asks = [value for value in page.values if re.match(r"(https?:)?//|url\(", value)]
    assert not asks
    assert not {"link", "img", "iframe", "object", "audio", "video"} & set(page.seen)
    assert "://" not in re.sub(r'xmlns="http://www.w3.org/2000/svg"', "", text)


def test_a_page_asks_for_nothing(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with udp(rcode_by_name) as port:
        ended = run("-p", port, "-d", data, "-t", 0.3, "--html", page)
    assert (ended.returncode, ended.stderr) == (0, "")
    look_at(page)
    assert "99.99%" in page.read_text()


def test_a_page_that_cannot_be_written_is_said(data: Path, tmp_path: Path) -> None:
    with udp() as port:
        ended = run("-p", port, "-d", data, "-t", 10, "--html", tmp_path / "no" / "page.html")
    assert ended.returncode == 1
    assert ended.stderr == f"fastdns bench: {tmp_path}/no/page.html: No such file or directory\n"


# --------------------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("words", [[], ["-d", "-"]], ids=["without -d", "-d -"])
def test_queries_come_from_standard_input(words: list[str]) -> None:
    with udp() as port:
        ended = run("-p", port, "-t", 10, "--json", *words, stdin=FILE)
    assert json.loads(ended.stdout)["result"]["answered"] == 15


@pytest.mark.parametrize(("runs", "threads"), [(1, 1), (3, 1), (3, 2)])
def test_n_is_so_often_through_the_file(data: Path, runs: int, threads: int) -> None:
    with udp(rcode_by_name) as port:
        ended = run("-p", port, "-d", data, "-n", runs, "-T", threads, "-t", 0.3, "--json")
    result = json.loads(ended.stdout)["result"]
    assert (result["sent"], result["lost"], result["rcodes"]["NXDOMAIN"]) == (15 * runs, 3 * runs, 3 * runs)


def test_edns_is_asked_with() -> None:
    def opt(message: bytes) -> list[tuple[float, bytes]]:
        # Root, OPT, 4096 bytes, version 0, DO, option 10 of two bytes.
        ends = message.endswith(bytes.fromhex("00 0029 1000 0000 8000 0006 000a 0002 abcd")) and message[11] == 1
        return [(0.0, answered(message, rcode=0 if ends else 1))]

    with udp(opt) as port:
        ended = run("-p", port, "-t", 10, "-D", "-E", "10:abcd", "--json", stdin=FILE)
    assert json.loads(ended.stdout)["result"]["rcodes"]["NOERROR"] == 15


def test_silence_is_1(data: Path) -> None:
    with udp(lambda message: []) as port:
        ended = run("-p", port, "-d", data, "-t", 0.1)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert re.search(r"^lost +15 +100\.000%$", ended.stdout, re.MULTILINE)
    assert "latency" not in ended.stdout and "NOERROR" not in ended.stdout


@pytest.mark.parametrize("mode", ["udp", "tcp"])
def test_nobody_at_the_port_is_1_and_said_at_once(data: Path, mode: str) -> None:
    """Over UDP it was a report of zeros, after all timeouts."""
    with tcp() as port:
        pass
    begun_s = time.monotonic()
    ended = run("-p", port, "-d", data, "-m", mode, "-l", 20)
    said = f"127.0.0.1:{port}: connection refused: no program listens there over {mode.upper()}"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"fastdns bench: {said}\n")
    assert time.monotonic() - begun_s < 15


def test_no_such_process_is_1(data: Path) -> None:
    with udp() as port:
        ended = run("-p", port, "-d", data, "-t", 10, "--pid", 2**22 + 1)
    assert (ended.returncode, ended.stderr) == (1, f"fastdns bench: --pid {2**22 + 1}: there is no such process\n")


def test_ctrl_c_gives_the_report_so_far(data: Path) -> None:
    with udp() as port:
        running = subprocess.Popen(
            command("-p", port, "-d", data, "-Q", 200, "-l", 60, "-S", 0.2),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert running.stderr is not None
        assert "answers/s" in running.stderr.readline()
        # As a terminal does it: to all of them.
        os.killpg(running.pid, signal.SIGINT)
        out, _ = running.communicate(timeout=30)
    assert running.returncode == 0
    assert "ended before its time" in out
    assert "latency p99.99" in out


def test_a_reader_that_has_enough_is_no_traceback(data: Path) -> None:
    with udp() as port:
        running = subprocess.Popen(
            command("-p", port, "-d", data, "-t", 10), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert running.stdout is not None and running.stderr is not None
        running.stdout.close()
        said = running.stderr.read()
        running.wait(30)
    assert said == ""
    assert running.returncode == 1


def test_nothing_of_the_server_is_imported() -> None:
    code = (
        "import sys\nfrom fastdns.bench.cli import main\nmain(sys.argv[1:])\nprint(*sys.modules, file=sys.stderr)"
    )
    with udp() as port:
        words = ["-p", str(port), "-t", "10", "--template", "{random}.example A", "--names", "5"]
        ended = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=True
        )
    loaded = {name for name in ended.stderr.split() if name.startswith("fastdns.")}
    # Declarations of libnghttp2, which is loaded with -m doh.
    small = {"fastdns.transports", "fastdns.transports._nghttp2", "fastdns.children", "fastdns.dns",
             "fastdns.dns.names", "fastdns.errors"}  # fmt: skip
    assert loaded - small == {n for n in loaded if n.startswith("fastdns.bench")}
    assert "fastdns.bench._load" in loaded
    assert not {"yaml", "aiohttp", "kubernetes", "uvloop", "msgspec", "cryptography"} & set(ended.stderr.split())


def endings(said: str) -> list[str]:
    """The lines of -v without their times, sorted."""
    return sorted(re.sub(r" \d+\.\d{6}$", "", line) for line in said.splitlines() if line.startswith("> "))


def test_each_query_that_has_ended_has_a_line(data: Path) -> None:
    with udp(rcode_by_name) as port:
        ended = run("-p", port, "-d", data, "-t", 0.5, "-T", 2, "-v")
    kinds = ("A", "AAAA", "TXT")
    wanted = [f"> {'NXDOMAIN' if i == 3 else 'NOERROR'} n{i}.example {kind}" for i in range(4) for kind in kinds]
    assert endings(ended.stdout) == sorted([*wanted, *(f"> T n4.example {kind}" for kind in kinds)])
    assert "queries sent" in ended.stdout


def test_errors_go_to_standard_output_where_that_is_wanted(tmp_path: Path) -> None:
    ended = run("-d", tmp_path / "none", "-W")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout == f"fastdns bench: {tmp_path}/none: No such file or directory\n"


UPDATES = """\
example.com
require a A 192.0.2.1
add x 3600 A 192.0.2.2
delete w
send
example.org
delete y MX
send
"""
NEEDS_DNSPERF = pytest.mark.skipif(shutil.which("dnsperf") is None, reason="dnsperf is not installed")


@NEEDS_DNSPERF
def test_dnsperf_sends_the_same_messages(tmp_path: Path) -> None:
    """Updates, but that it compresses their names; and messages as they are. Its lines of -v have the same form."""

    def sent() -> list[str]:
        lines = seen.read_text().split()
        seen.unlink()
        return lines

    def plain(message: str) -> bytes:
        return dns.message.from_wire(bytes(2) + bytes.fromhex(message)).to_wire()

    (tmp_path / "updates").write_text(UPDATES)
    messages = [b"\0\0\x01\0\0\1\0\0\0\0\0\0\1a\0\0\x10\0\3", b"\0\0" + b"\xff" * 20, bytes(12)]
    (tmp_path / "stream").write_bytes(b"".join(len(one).to_bytes(2, "big") + one for one in messages))
    seen = tmp_path / "seen"

    def note(message: bytes) -> list[tuple[float, bytes]]:
        with seen.open("a") as file:
            file.write(message[2:].hex() + "\n")
        return [(0.0, message[:2] + b"\xa8\5" + bytes(8))]

    cases = {
        "-u": ["-d", str(tmp_path / "updates"), "-u", "-v"],
        "-B": ["-d", str(tmp_path / "stream"), "-B", "-v"],
    }
    with udp(note) as port:
        for name, words in cases.items():
            words += ["-s", "127.0.0.1", "-p", str(port), "-t", "5", "-q", "1", "-c", "1"]
            theirs = subprocess.run(["dnsperf", *words], capture_output=True, text=True, timeout=60, check=True)
            wanted = sent()
            ours = run(*words)
            got = sent()
            assert len(endings(ours.stdout)) == len(endings(theirs.stdout)) == len(got) == len(wanted), name
            if name == "-u":
                assert [*map(plain, got)] == [*map(plain, wanted)]
                assert endings(ours.stdout) == endings(theirs.stdout)
            else:
                assert got == wanted


@NEEDS_DNSPERF
@pytest.mark.parametrize("mode", ["udp", "tcp", "dot", "doh"])
def test_dnsperf_counts_the_same(data: Path, mode: str) -> None:
    """The same file, twice through, to a server with rcodes of its own; over UDP it loses a fifth."""

    def every(message: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, answered(message, rcode=3 if label(message) == b"n3" else 0))]

    if mode == "doh":
        doh_server = pytest.importorskip("tests.bench.doh_server")
        serve = doh_server.doh(data.parent, doh_server.Ways(answer=every))
    elif mode == "udp":
        serve = udp(rcode_by_name)
    else:
        serve = tcp(every, tls=server_tls(data.parent) if mode == "dot" else None)
    words = ["-s", "127.0.0.1", "-d", str(data), "-n", "2", "-q", "30", "-c", "2", "-t", "1", "-m", mode]
    with serve as port:
        words += ["-p", str(port)]
        theirs = subprocess.run(["dnsperf", *words], capture_output=True, text=True, timeout=60, check=True).stdout
        ours = json.loads(run(*words, "--json").stdout)["result"]

    def said(pattern: str) -> int:
        found = re.search(pattern, theirs)
        return int(found[1]) if found else 0

    assert ours["sent"] == said(r"Queries sent: +(\d+)") == 30
    assert ours["answered"] == said(r"Queries completed: +(\d+)")
    assert ours["lost"] == said(r"Queries lost: +(\d+)") == (6 if mode == "udp" else 0)
    for name in ("NOERROR", "NXDOMAIN", "SERVFAIL"):
        assert ours["rcodes"][name] == said(rf"{name} (\d+)"), theirs
    assert round(ours["query_bytes"] / ours["sent"]) == said(r"request (\d+)")


def test_a_terminal_sees_it_live(data: Path) -> None:
    with udp() as port:
        # After the server was forked, so that it does not keep the other end open.
        terminal, theirs = os.openpty()
        running = subprocess.Popen(
            command("-p", port, "-d", data, "-Q", 100, "-l", 0.7, "-t", 10), stdout=subprocess.PIPE, stderr=theirs
        )
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(terminal, 4096):
                seen += piece
        except OSError:
            pass  # what a terminal says when its last writer has gone
        os.close(terminal)
        out, _ = running.communicate(timeout=30)
    assert running.returncode == 0
    assert b"answers/s" in seen
    assert "█".encode() in seen
    assert b"\x1b" not in out
    assert b"queries sent" in out


def test_the_names_of_a_corefile_exist(tmp_path: Path) -> None:
    """Of a server that serves them; and as pods ask, each row ends with a name that exists."""
    with Server(tmp_path) as server:
        words = ["-p", server.ports["DNS_PORT"], "--corefile", tmp_path / "Corefile", "-t", 10, "--json"]
        plain = json.loads(run(*words).stdout)["result"]
        mixed = json.loads(run(*words, "--pod", "elsewhere", "--kinds", "service").stdout)["result"]
        checked = tmp_path / "expected"
        checked.write_text(f"{WEB} A NOERROR 10.96.0.20\n_http._tcp.{WEB} SRV NOERROR 0 100 80 {WEB}\n")
        right = run("-p", server.ports["DNS_PORT"], "--check", checked, "-t", 10, "--pid", server.process.pid)
        checked.write_text(f"{WEB} A NOERROR 10.96.0.21\n")
        wrong = run("-p", server.ports["DNS_PORT"], "--check", checked, "-t", 10)
    # A, SRV, PTR.
    assert (plain["sent"], plain["rcodes"]["NOERROR"]) == (3, 3)
    # web.shop.elsewhere.svc.cluster.local does not exist, web.shop.svc.cluster.local does; A and AAAA.
    assert (mixed["rcodes"]["NXDOMAIN"], mixed["rcodes"]["NOERROR"]) == (2, 2)
    assert right.returncode == 0, right.stdout
    assert re.search(r"^server processes +4$", right.stdout, re.MULTILINE)
    assert wrong.returncode == 1
    assert (
        f"  {checked}:1: {WEB} A\n    expected  NOERROR 10.96.0.21\n    got       NOERROR; A 10.96.0.20\n"
        in wrong.stdout
    )
