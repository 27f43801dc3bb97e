"""The command line: flags as CoreDNS spells them, exit codes, and errors that say where."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from fastdns import __version__
from fastdns.cli import SERVE_FLAGS, Flags, main, parse_flags, version_lines
from fastdns.errors import FastdnsError
from fastdns.plugins.order import available
from tests.support import COREFILE, Server, free_port, wait_until

WHOAMI = """\
. {
    bind 127.0.0.1
    whoami
}
"""


# --------------------------------------------------------------------------------------------------- flags


@pytest.mark.parametrize(
    ("words", "values", "rest"),
    [
        ("-conf FILE", {"conf": "FILE"}, []),
        ("-conf=FILE", {"conf": "FILE"}, []),
        ("--conf FILE", {"conf": "FILE"}, []),
        ("--conf=FILE", {"conf": "FILE"}, []),
        ("-conf=", {"conf": ""}, []),
        ("-conf=a=b", {"conf": "a=b"}, []),
        ("-conf -quiet", {"conf": "-quiet"}, []),
        ("-p 5300", {"dns.port": "5300"}, []),
        ("-dns.port=5300", {"dns.port": "5300"}, []),
        ("--dns.port 5300", {"dns.port": "5300"}, []),
        ("-p 1 -dns.port 2", {"dns.port": "2"}, []),
        ("-quiet", {"quiet": "true"}, []),
        ("-quiet=true", {"quiet": "true"}, []),
        ("-quiet=T", {"quiet": "true"}, []),
        ("-quiet=0", {"quiet": "false"}, []),
        ("-quiet false", {"quiet": "true"}, ["false"]),
        ("-pidfile /run/x -quiet", {"pidfile": "/run/x", "quiet": "true"}, []),
        ("-version -plugins", {"version": "true", "plugins": "true"}, []),
        ("-quiet extra -conf FILE", {"quiet": "true"}, ["extra", "-conf", "FILE"]),
        ("-quiet -- -conf", {"quiet": "true"}, ["-conf"]),
        ("-quiet -", {"quiet": "true"}, ["-"]),
        ("", {}, []),
    ],
)
def test_flags_as_go_reads_them(words: str, values: dict[str, str], rest: list[str]) -> None:
    flags = parse_flags(words.split(), SERVE_FLAGS)
    assert (flags.values, flags.rest) == (values, rest)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-cfg FILE", "flag provided but not defined: -cfg"),
        ("---conf FILE", "flag provided but not defined: --conf"),
        ("-conf", "flag needs an argument: -conf"),
        ("-quiet=maybe", "invalid boolean value for flag -quiet"),
        ("check -quiet", "flag provided but not defined: -quiet"),
        ("demo -conf x", "flag provided but not defined: -conf"),
    ],
)
def test_a_wrong_flag_is_2_and_shows_the_usage(
    capsys: pytest.CaptureFixture[str], words: str, says: str
) -> None:
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith(says)
    assert "Usage: fastdns" in err
    assert out == ""


def test_the_default_port() -> None:
    assert Flags().port(53) == 53
    with pytest.raises(FastdnsError):
        Flags({"dns.port": ""}).port(53)


# ---------------------------------------------------------------------------------- what does not serve


@pytest.mark.parametrize("words", ["extra more", "-quiet extra more", "check extra more", "demo extra more"])
def test_a_positional_argument_is_1(capsys: pytest.CaptureFixture[str], words: str) -> None:
    assert main(words.split()) == 1
    hint = "; name the Corefile with -conf" if words.startswith("check") else ""
    assert capsys.readouterr().err == f"fastdns: extra command line arguments: [extra more]{hint}\n"


@pytest.mark.parametrize("words", ["-dns.port x", "-p 65536", "-p -1", "check -p x", "demo -p x"])
def test_a_port_that_is_none_is_1(capsys: pytest.CaptureFixture[str], words: str) -> None:
    """CoreDNS takes any text, and finds no zone in it when it loads: no matter of usage."""
    assert main(words.split()) == 1
    out, err = capsys.readouterr()
    port = words.split()[-1]
    assert err == f'fastdns: invalid value "{port}" for flag -dns.port: a port of 0 to 65535 expected\n'
    assert out == ""


@pytest.mark.parametrize("words", ["-version", "--version", "-version=true", "-quiet -version"])
def test_version(capsys: pytest.CaptureFixture[str], words: str) -> None:
    assert main(words.split()) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"fastdns-{__version__}"
    assert re.fullmatch(r"linux/\w+, python3\.\d+\.\d+\S*, \S*", second)


def test_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-plugins"]) == 0
    assert capsys.readouterr().out.splitlines() == sorted(available())


@pytest.mark.parametrize("words", ["-help", "-h", "--help", "check -h", "demo -help"])
def test_help(capsys: pytest.CaptureFixture[str], words: str) -> None:
    assert main(words.split()) == 0
    assert capsys.readouterr().out.startswith("Usage: fastdns")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("check -h", "Usage: fastdns check"),
        ("help check", "Usage: fastdns check"),
        ("demo --help", "Usage: fastdns demo"),
        ("help demo", "Usage: fastdns demo"),
        ("help", "Usage: fastdns [flags]"),
    ],
)
def test_each_command_has_its_own_help(capsys: pytest.CaptureFixture[str], words: str, says: str) -> None:
    assert main(words.split()) == 0
    assert capsys.readouterr().out.startswith(says)


def test_help_of_bench_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        main(["help", "bench"])
    assert "fastdns bench" in capsys.readouterr().out


def test_help_of_nothing_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "chek"]) == 1
    assert capsys.readouterr().err == (
        "fastdns: no command 'chek': one of check, demo, bench, top, completion, man, help, version expected\n"
    )


def test_a_wrong_flag_of_a_command_shows_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-nope"]) == 2
    assert "Usage: fastdns check" in capsys.readouterr().err


def test_version_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"fastdns-{__version__}\n")


def test_the_package_can_be_run(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "fastdns", "version"], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stdout.splitlines()[0]) == (0, f"fastdns-{__version__}")


WRONG = """\
example.org { # 1
    proxy . 192.0.2.1
    forward . 192.0.2.1 { # 3
        policy rundom
        max_fails x
        expire 10s
    }
    cache 0
}
quic://example.net { # 10
    grpc
    kubernetes {
        upstream
        pods sometimes
    }
}
"""


def test_check_names_every_mistake(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It named the first one only: a Corefile of five mistakes took five rounds."""
    # As in a version that does not have it yet.
    monkeypatch.setattr("fastdns.plugins.order.is_available", lambda name: name != "grpc")
    monkeypatch.setattr("fastdns.corefile.config.SERVED_SCHEMES", frozenset({"dns"}))
    path = tmp_path / "Corefile"
    path.write_text(WRONG)
    assert main(["check", "-conf", str(path)]) == 1
    out, err = capsys.readouterr()
    assert "dns port" not in out and "unsupported      grpc" in out
    lines = [int(re.search(r"Corefile:(\d+) - ", line)[1]) for line in err.splitlines()]  # type: ignore[index]
    assert lines == [2, 4, 5, 8, 10, 11, 13, 14]
    assert "'proxy'; CoreDNS has removed it: use forward" in err


def test_check_for_programs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    path.write_text(WRONG)
    assert main(["check", "-json", "-conf", str(path)]) == 1
    said = json.loads(capsys.readouterr().out)
    assert not said["right"] and said["listeners"] == [] and said["sha512"] is None
    wanted = {"file": str(path), "line": 4, "plugin": "forward"}
    assert any(wanted.items() <= one.items() for one in said["problems"])
    path.write_text(WHOAMI)
    assert main(["check", "--json", "-conf", str(path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["right"] and said["problems"] == []
    assert all(zone["plugins"][-1] == "whoami" for one in said["listeners"] for zone in one["zones"])
    assert said["listeners"]


@pytest.mark.parametrize("words", [[], ["-conf", "absent"], ["-json"]], ids=["none", "named", "for programs"])
def test_an_absent_corefile_is_no_success(tmp_path: Path, words: list[str]) -> None:
    ended = run(tmp_path, "check", *words)
    assert ended.returncode == 1
    assert "no such file" in (ended.stdout if words == ["-json"] else ended.stderr)


def test_nothing_on_standard_input_is_no_success(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["check", "-conf", "stdin"]) == 1
    assert capsys.readouterr().err == "fastdns: stdin: no Corefile in it\n"


def run(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own until it ends."""
    return subprocess.run(
        [sys.executable, "-m", "fastdns.cli", *words],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("command", ["", "check"])
def test_a_missing_corefile_is_1(tmp_path: Path, command: str) -> None:
    ended = run(tmp_path, *command.split(), "-conf", "absent")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.match(r"fastdns: .*absent: no such file", ended.stderr, re.IGNORECASE)
    assert len(ended.stderr.splitlines()) == 1


def test_a_missing_manifest_of_the_demo_is_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["demo", "-manifests", str(tmp_path / "absent")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


BROKEN = [
    pytest.param(". {\n    whoamy\n}\n", ":2", id="an unknown plugin"),
    pytest.param(". {\n    whoami\n", ":1", id="a block without its end"),
    pytest.param(". {\n    errors {\n        stack\n    }\n}\n", ":3", id="an unknown option"),
    pytest.param(".:0x35 {\n    whoami\n}\n", ":1", id="a wrong port"),
    pytest.param(". {\n    grpc\n}\n", ":2", id="a plugin without its arguments"),
]


@pytest.mark.parametrize(("corefile", "line"), BROKEN)
def test_a_broken_corefile_is_1_and_says_where(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corefile: str, line: str
) -> None:
    path = tmp_path / "Corefile"
    path.write_text(corefile)
    assert main(["check", "-conf", str(path)]) == 1
    out, err = capsys.readouterr()
    assert f"{path}{line} - Error during parsing: " in err
    assert "dns port" not in out


def test_a_broken_corefile_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(". {\n    whoamy\n}\n")
    ended = run(tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Corefile:2 - Error during parsing: " in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_check_prints_what_would_be_served(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    corefile = tmp_path / "Corefile"
    corefile.write_text(
        "example.org:5300 example.net {\n    bind 127.0.0.1\n    errors\n    whoami\n}\n.:5300 {\n    whoami\n}\n"
    )
    assert main(["check", f"-conf={corefile}", "-p", "54"]) == 0
    out = capsys.readouterr().out
    assert "dns port 5300 on 127.0.0.1\n" in out
    assert "dns port 54 on 127.0.0.1\n" in out
    assert "dns port 5300 on every address\n" in out
    assert re.search(rf"^  example\.org\.  .*errors.* whoami  \[{re.escape(str(corefile))}:1\]$", out, re.MULTILINE)
    assert re.search(r"^sha512 [0-9a-f]{128}$", out, re.MULTILINE)


def test_check_reads_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(WHOAMI))
    assert main(["check", "-conf", "stdin"]) == 0
    assert "dns port 53 on 127.0.0.1" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(". {\n    whoamy\n}\n"))
    assert main(["check", "-conf", "stdin"]) == 1
    assert "stdin:2 - " in capsys.readouterr().err


def test_check_reads_the_files_that_plugins_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    corefile, weights = tmp_path / "Corefile", tmp_path / "weights"
    corefile.write_text(f". {{\n    loadbalance weighted {weights}\n    whoami\n}}\n")
    assert main(["check", "-conf", str(corefile)]) == 0
    assert capsys.readouterr().out.startswith("[WARNING] plugin/loadbalance: Failed to open weight file:")
    weights.write_text("192.0.2.1 1\n")
    assert main(["check", "-conf", str(corefile)]) == 1
    out, err = capsys.readouterr()
    says = (
        f"missing domain name in weight file {weights}:1: a line with a name alone comes first; the line is "
        "skipped, and no other is left: correct the file, or empty it"
    )
    assert err == f"fastdns: plugin/loadbalance: {corefile}:2 - {says}\n"
    assert f"   2  error            loadbalance weighted {weights}" in out


@pytest.mark.parametrize("option", ["", "kubeconfig /absent", "endpoint https://192.0.2.1\ntls /c /k /a"])
def test_check_needs_no_cluster(tmp_path: Path, option: str) -> None:
    """What only the host that serves has to have is no mistake of the Corefile."""
    (tmp_path / "Corefile").write_text(f"cluster.local {{\n kubernetes {{\n{option}\n}}\n}}\n")
    ended = run(tmp_path, "check", KUBERNETES_SERVICE_HOST="", KUBERNETES_SERVICE_PORT="")
    assert (ended.returncode, ended.stderr) == (0, "")


ODD_NAMES = """\
_tcp.b:DNS_PORT x,y:DNS_PORT q"q:DNS_PORT a:DNS_PORT {
    bind 127.0.0.1
    root /absent
    whoami
}
"""


def test_check_warns_as_the_server_does(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(ODD_NAMES.replace("DNS_PORT", "1053"))
    assert main(["check", "-conf", str(tmp_path / "Corefile")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[WARNING] plugin/root: Root path does not exist: /absent"
    assert [line for line in lines if line.startswith("Warning")] == [
        'Warning: Domain "_tcp.b." does not follow RFC1035 preferred syntax',
        'Warning: Domain "x,y." does not follow RFC1035 preferred syntax',
        'Warning: Domain "q\\"q." does not follow RFC1035 preferred syntax',
    ]


# --------------------------------------------------------------------------------------------- serving


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_at_the_start(tmp_path: Path, quiet: bool) -> None:
    """CoreDNS prints odd names with the zones and without a level, and neither where it is quiet."""
    arguments = ("-pidfile", "pid", *(["-quiet"] if quiet else []))
    with Server(tmp_path, ODD_NAMES, arguments=arguments, workers=1, wait=not quiet) as server:
        at = f"{server.port} on 127.0.0.1"
        wait_until((tmp_path / "pid").exists, 20)
        assert server.log.splitlines() == [
            "[WARNING] plugin/root: Root path does not exist: /absent",
            *([] if quiet else [
                'Warning: Domain "_tcp.b." does not follow RFC1035 preferred syntax',
                f"_tcp.b.:{at}",
                f"a.:{at}",
                'Warning: Domain "q\\"q." does not follow RFC1035 preferred syntax',
                f'q"q.:{at}',
                'Warning: Domain "x,y." does not follow RFC1035 preferred syntax',
                f"x,y.:{at}",
                *version_lines(),
            ]),
        ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("-conf", "Corefile", "-dns.port", "DNS_PORT"),
        ("-conf=Corefile", "-dns.port=DNS_PORT"),
        ("--conf", "Corefile", "--dns.port=DNS_PORT"),
        ("-p", "DNS_PORT"),
        ("-p=DNS_PORT",),
    ],
    ids=" ".join,
)
def test_serves_with_any_spelling(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with Server(tmp_path, WHOAMI, arguments=arguments, workers=1) as server:
        assert server.query("example.org").rcode() == dns.rcode.NOERROR
        assert server.log.splitlines()[:2] == [f".:{server.port} on 127.0.0.1", f"fastdns-{__version__}"]


def test_quiet_and_pidfile(tmp_path: Path) -> None:
    arguments = ("-quiet", "-pidfile", "pid", "-p", "DNS_PORT")
    with Server(tmp_path, WHOAMI, arguments=arguments, workers=1, wait=False) as server:
        pidfile = tmp_path / "pid"
        wait_until(lambda: pidfile.exists() and pidfile.read_text(), 20)
        assert pidfile.read_text() == f"{server.process.pid}\n"
        assert server.query("example.org").rcode() == dns.rcode.NOERROR
        assert server.stop(signal.SIGTERM) == 0
        assert not pidfile.exists()
        assert server.log == "[INFO] SIGTERM: Shutting down servers then terminating\n"


def test_a_pidfile_that_cannot_be_written_is_only_logged(tmp_path: Path) -> None:
    arguments = ("-pidfile", "no/such/folder", "-p", "DNS_PORT")
    with Server(tmp_path, WHOAMI, arguments=arguments, workers=1) as server:
        assert "[ERROR] [pidfile] " in server.log
        assert server.query("example.org").rcode() == dns.rcode.NOERROR


def test_without_a_corefile_whoami_is_served(tmp_path: Path) -> None:
    with Server(tmp_path, "", arguments=("-p", "DNS_PORT"), workers=1, wait=False) as server:
        server.process.kill()
        server.process.wait()
    server.corefile.unlink()
    with server:
        server.wait_for_log("fastdns-", 20)
        reply = server.query("example.org")
        assert (reply.rcode(), len(reply.additional)) == (dns.rcode.NOERROR, 2)


def test_an_empty_corefile_is_no_corefile(tmp_path: Path) -> None:
    with Server(tmp_path, "# nothing\n", arguments=("-p", "DNS_PORT"), workers=1) as server:
        assert server.query("example.org").rcode() == dns.rcode.NOERROR


def test_a_corefile_from_standard_input(tmp_path: Path) -> None:
    server = Server(tmp_path, workers=1)
    with subprocess.Popen(
        [sys.executable, "-m", "fastdns.cli", "-conf", "stdin"],
        cwd=tmp_path,
        env=server.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(server.fill(COREFILE))
        process.stdin.close()
        for line in process.stdout:
            if line.startswith("fastdns-"):
                break
        assert server.addresses() == ["10.96.0.20"]
        process.send_signal(signal.SIGUSR1)
        for line in process.stdout:
            if "Reloading complete" in line:
                break
        assert server.addresses() == ["10.96.0.20"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"FASTDNS_WORKERS": "0"}, "FASTDNS_WORKERS must be 1 to 1024, got '0'"),
        ({"FASTDNS_STORE_MIB": "many"}, "FASTDNS_STORE_MIB must be 1 to 32768, got 'many'"),
        ({"FASTDNS_MAX_TCP_CONNECTIONS": "-1"}, "FASTDNS_MAX_TCP_CONNECTIONS must be 1 to 1000000, got '-1'"),
        ({"FASTDNS_METRICS_MAX_AGE_MS": "x"}, "FASTDNS_METRICS_MAX_AGE_MS must be 0 to 60000, got 'x'"),
        ({"FASTDNS_MAX_HTTP_CONNECTIONS": "0"}, "FASTDNS_MAX_HTTP_CONNECTIONS must be 1 to 65536, got '0'"),
        ({"FASTDNS_MAX_TCP_MIB": "0"}, "FASTDNS_MAX_TCP_MIB must be 1 to 32768, got '0'"),
    ],
)
def test_a_wrong_environment_is_1(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    (tmp_path / "Corefile").write_text(WHOAMI.replace("whoami", "whoami\nprometheus 127.0.0.1:0"))
    ended = run(tmp_path, **environ)
    assert (ended.returncode, ended.stderr) == (1, f"fastdns: {says}\n")


def test_standard_output_that_takes_nothing_is_no_reason_not_to_serve(tmp_path: Path) -> None:
    """It ended with a traceback where the disk of its log was full."""
    port = free_port()
    corefile = tmp_path / "Corefile"
    corefile.write_text(f".:{port} {{\n    bind 127.0.0.1\n    whoami\n}}\n")

    def answers() -> bool:
        with contextlib.suppress(dns.exception.Timeout):
            query = dns.message.make_query("a.example.", "A")
            return dns.query.udp(query, "127.0.0.1", 1, port=port).rcode() == dns.rcode.NOERROR
        return False

    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen([sys.executable, "-m", "fastdns.cli", "-conf", str(corefile)], stdout=full)
    try:
        wait_until(answers, 20)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
