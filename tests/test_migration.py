"""``fastdns check`` as the report of a migration: what it says of each line of a Corefile."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import msgspec
import pytest

from fastdns.check import Document, schema
from fastdns.cli import main
from fastdns.differences import VERDICTS
from fastdns.migration import Line
from fastdns.terminal import wants_colour

SHAPES = sorted((Path(__file__).parent / "integration/shapes").iterdir())
ENVIRON = {"MY_HOST_IP": "127.0.0.1", "SITE": "berlin", "INGRESS_IP": "10.60.0.1", "ZONE": "zone.example"}


def report(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Document:
    """What ``check -json`` says, read as the schema has it."""
    assert main(["check", "-json", *words]) == code
    return msgspec.json.decode(capsys.readouterr().out, type=Document)


@pytest.fixture
def corefile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "Corefile"


def written(path: Path) -> dict[int, str]:
    """The lines of a file that say something, by number."""
    lines = enumerate(path.read_text().split("\n"), 1)
    return {number: line for number, line in lines if re.search(r"[^\s{}]", line.split("#")[0])}


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_corefiles_that_people_have(
    shape: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shape)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    said = report(capsys)
    assert said.right
    of_corefile = {line.line: line.text for line in said.lines if line.file == "Corefile"}
    assert of_corefile == written(shape / "Corefile")
    assert said.verdicts["unsupported"] == said.verdicts["error"] == 0
    assert sum(said.verdicts.values()) == len(said.lines)
    for line in said.lines:
        assert line.verdict == max((note.verdict for note in line.notes), key=VERDICTS.index, default="same")
        assert all(note.todo for note in line.notes if note.verdict == "different")


def verdicts(lines: list[Line]) -> dict[int, str]:
    return {line.line: line.verdict for line in lines}


def test_kubeadm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The Corefile that most clusters have: one line asks for a look."""
    monkeypatch.chdir(next(shape for shape in SHAPES if shape.name == "kubeadm"))
    said = report(capsys)
    assert [line.text.split()[0] for line in said.lines if line.verdict == "different"] == ["forward"]
    report(capsys, "-strict", code=3)


def test_options_are_judged_alone(corefile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corefile.write_text(
        '. {\n    log . "{local}"\n    forward . tls://192.0.2.1 {\n        tls_servername a.example\n    }\n'
        "    erratic {\n        drop\n    }\n}\n"
    )
    said = report(capsys)
    assert verdicts(said.lines) == {
        1: "same", 2: "different", 3: "different", 4: "same", 6: "same", 7: "better",
    }  # fmt: skip
    [note] = [note for line in said.lines if line.line == 3 for note in line.notes if "certificate" in note.text]
    assert note.verdict == "different" and "certificate" in note.todo


def test_nothing_different_is_0_with_strict(corefile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corefile.write_text(".:1053 {\n    whoami\n}\n")
    assert verdicts(report(capsys, "-strict").lines) == {1: "same", 2: "same"}


def test_what_is_missing_is_unsupported(
    corefile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a version that does not have it yet.
    monkeypatch.setattr("fastdns.plugins.order.is_available", lambda name: name != "grpc")
    corefile.write_text(". {\n    whoami\n    grpc a {\n        b\n    }\n}\n")
    said = report(capsys, "-strict", code=1)
    assert verdicts(said.lines) == {1: "same", 2: "same", 3: "unsupported", 4: "same"}
    [line] = [line for line in said.lines if line.line == 3]
    [note] = line.notes
    assert (line.file, line.plugin) == ("Corefile", "grpc")
    assert "not available" in note.text and ("remove" in note.todo or "use" in note.todo)


def test_a_transport_that_is_missing(
    corefile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a version that does not have it yet.
    monkeypatch.setattr("fastdns.corefile.config.SERVED_SCHEMES", frozenset({"dns"}))
    corefile.write_text("quic://example.org {\n    whoami\n}\n. {\n    whoami\n}\n")
    assert verdicts(report(capsys, code=1).lines) == {1: "unsupported", 2: "same", 4: "same", 5: "same"}


def test_mistakes_and_old_words(corefile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corefile.write_text(". {\n proxy . 192.0.2.1\n cache -1\n tls {\n acme {\n }\n }\n}\n")
    said = report(capsys, code=1)
    assert verdicts(said.lines) == {1: "same", 2: "error", 3: "error", 4: "better", 5: "error"}
    assert "use forward" in said.lines[1].notes[0].text


def test_what_a_plugin_reads_counts_for_its_line(corefile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corefile.write_text(". {\n    loadbalance weighted weights\n    whoami\n}\n")
    Path("weights").write_text("192.0.2.1 1\n")
    said = report(capsys, code=1)
    assert verdicts(said.lines)[2] == "error"
    assert (said.problems[0].file, said.problems[0].line, said.problems[0].plugin) == ("Corefile", 2, "loadbalance")


def test_broken_grammar(corefile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corefile.write_text("a {\n    whoami\n}\nb {\n    forward . {\n")
    assert verdicts(report(capsys, code=1).lines) == {1: "same", 2: "same", 5: "error"}


def test_imports_and_snippets(corefile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corefile.write_text("(common) {\n    errors\n    loop\n}\na {\n    import common\n    import more\n}\n")
    Path("more").write_text("cache\n")
    said = report(capsys)
    assert [(Path(line.file).name, line.line, line.verdict) for line in said.lines] == [
        ("Corefile", 1, "same"), ("Corefile", 2, "same"), ("Corefile", 3, "better"), ("Corefile", 5, "same"),
        ("Corefile", 6, "same"), ("Corefile", 7, "same"), ("more", 1, "better"),
    ]  # fmt: skip


def test_values_of_the_environment_are_not_shown(
    corefile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORD", "secret-of-mine")
    corefile.write_text(". {\n    chaos {$WORD}\n}\n")
    assert main(["check"]) == 0
    assert main(["check", "-json"]) == 0
    out = capsys.readouterr().out
    assert "chaos {$WORD}" in out
    assert "secret-of-mine" not in out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour(corefile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corefile.write_text(". {\n    loop\n    whoami\n}\n")
    for no_color, term, there in (("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)):
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setenv("NO_COLOR", no_color)
        monkeypatch.setenv("TERM", term)
        assert main(["check"]) == 0
        assert ("\x1b[32mbetter" in sys.stdout.getvalue()) is there
    assert not wants_colour(io.StringIO(), {})


def test_lines_fit_a_terminal(
    corefile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corefile.write_text(". {\n    forward . 192.0.2.1\n}\n")
    assert main(["check"]) == 0
    assert 90 < max(map(len, capsys.readouterr().out.splitlines()[-9:])) <= 100
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["check"]) == 0
    out = sys.stdout.getvalue().splitlines()
    reasons = [line for line in out if line.startswith(" " * 19)]
    assert len(reasons) > 3 and max(map(len, reasons)) <= 60
    assert out[-1].startswith("1 same, 0 better, 1 different, 0 unsupported, 0 error")


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-schema"]) == 0
    out = capsys.readouterr().out
    assert out == f"{schema()}\n"
    document = json.loads(out)["$defs"]["Document"]
    assert set(document["required"]) == set(document["properties"]) == set(Document.__dataclass_fields__)
