"""The reader of pages itself: a page that says something wrong fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.fences import blocks_of
from tests.docs.output import begins_as_shown, has_lines, is_shown
from tests.docs.shell import PageError, Shell, missing, run_block
from tests.docs.statics import problems


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> object:
    if reason := missing():
        pytest.skip(reason)
    with Shell(tmp_path_factory.mktemp("page")) as made:
        yield made


def read(folder: Path, text: str) -> list[object]:
    """The blocks of a page with this text."""
    page = folder / "page.md"
    page.write_text(text)
    return blocks_of(page)


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("a\nb\n", ["a", "b"], True),
        ("a\nb\n", ["a"], False),
        ("a   b\n", ["a b"], True),
        ("took 12 ms\n", ["took … ms"], True),
        ("took 12 s\n", ["took … ms"], False),
        ("a\nb\nc\nd\n", ["a", "…", "d"], True),
        ("a\nd\n", ["a", "…", "d"], True),
        ("a\nb\n", ["…"], True),
        ("", [], True),
        ("x\n", [], False),
        ("a\n\nb\n", ["a", "b", ""], True),
        ("a.b\n", ["a…b"], True),
        ("aXb\n", ["a.b"], False),
    ],
)
def test_output_is_compared(printed: str, shown: list[str], same: bool) -> None:
    assert is_shown(printed, shown) is same


def test_the_beginning_and_lines_of_a_log_are_compared() -> None:
    assert begins_as_shown("a\nb\nc\n", ["a", "b"])
    assert not begins_as_shown("a\nb\nc\n", ["b"])
    assert has_lines("a\nb\nc\n", ["b", "c"])
    assert not has_lines("a\nb\nc\n", ["a", "c"])


GOOD = {
    "output": "```console\n$ echo one two\none two\n```\n",
    "continued": "```console\n$ echo one \\\n    two\none two\n```\n",
    "several": "```console\n$ echo one\none\n$ echo two\ntwo\n```\n",
    "exit code": "```console exit=3\n$ (exit 3)\n```\n",
    "script": "```sh\nfor i in 1 2; do\n  echo $i\ndone\n```\n",
    "file": "```text file=words.txt\none\n```\n\n```console\n$ cat words.txt\none\n```\n",
    "background and log": (
        "```console background\n$ echo up; sleep 0.1; echo later; sleep 60\nup\n```\n\n```text log\nlater\n```\n"
    ),
    "eventually": "```console eventually\n$ echo >>times; wc -l <times | grep -x 3\n3\n```\n",
}
BAD = {
    "misspelt program": ("```console\n$ fastdsn version\n…\n```\n", "exit code 127, 0 expected: fastdsn version"),
    "misspelt subcommand": ("```console\n$ fastdns chekc\n…\n```\n", "exit code 1, 0 expected"),
    "misspelt flag": ("```console\n$ fastdns check -config x\n…\n```\n", "exit code 2, 0 expected"),
    "output differs": ("```console\n$ echo one\ntwo\n```\n", "the page shows:\n    two\n  printed was:\n    one\n"),
    "output is not shown": ("```console\n$ echo one\n```\n", "printed was:\n    one\n"),
    "exit code": ("```console exit=1\n$ true\n```\n", "exit code 0, 1 expected"),
    "script": ("```sh\nfals\n```\n", "exit code 127"),
    "background ends": ("```console background\n$ fastdns demo -dns.prot 1\nup\n```\n", "has ended: fastdns demo"),
    "background shows nothing": ("```console background\n$ sleep 1\n```\n", "how one sees that it runs"),
    "no prompt": ("```console\nls\n```\n", "a console block begins with a command"),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_page_that_is_right_passes(text: str, shell: Shell, tmp_path: Path) -> None:
    for block in read(tmp_path, text):
        run_block(shell, block)


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD)
def test_a_page_that_is_wrong_fails(text: str, says: str, shell: Shell, tmp_path: Path) -> None:
    with pytest.raises((PageError, ValueError)) as caught:
        for block in read(tmp_path, text):
            run_block(shell, block)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        "kubeclt get pods",
        "kubectl gt pods",
        "docker biuld .",
        "docker build -f deploy/Dokcerfile .",
        "make tset",
        "python -m bench.comparre",
        "python -m bench.compare --ruonds 3",
        "fastdns bench -s 127.0.0.1 --pots 53",
        "fastdns bench cluster --servces 3",
        "fastdns demoo",
        "fastdns -config Corefile",
        "kubectl get pods | gerp x",
        "kubectl get 'pods",
    ],
)
def test_a_misspelt_command_that_is_not_run_is_found(command: str, tmp_path: Path) -> None:
    [block] = read(tmp_path, f"```console not-run: needs a cluster\n$ {command}\n```\n")
    assert len(problems(block)) == 1


def test_a_command_that_is_not_run_and_right_is_taken(tmp_path: Path) -> None:
    [block] = read(
        tmp_path,
        "```sh not-run: needs a cluster\nsudo docker build -f deploy/Dockerfile -t x .\nkubectl -n dns get pods\n"
        "FASTDNS_WORKERS=2 fastdns -conf Corefile\nmake build PYTHON=python3.13\n```\n",
    )
    assert problems(block) == []
