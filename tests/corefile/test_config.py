"""load: blocks, listeners, overlaps, warnings, checksums."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.corefile import Listener, ServerConfig, default_config, load, load_file
from fastdns.corefile.mistakes import Mistakes
from fastdns.errors import CorefileError
from fastdns.plugins.order import available


def read(text: str, **environ: str) -> ServerConfig:
    return load(text, environ=environ)


def test_a_corefile() -> None:
    config = read(
        """# comment
        Example.org 10.0.0.0/23 example.net:1053 {
            whoami
            errors
            debug
        }
        .:1054 {
            bind 127.0.0.1 ::1
        }
        """
    )
    first, second = config.blocks
    assert (first.index, first.file, first.line) == (0, "Corefile", 2)
    assert first.zones == ("example.org.", "0.0.10.in-addr.arpa.", "example.net.", "1.0.10.in-addr.arpa.")
    assert list(first.plugins) == ["debug", "errors", "whoami"]
    assert (second.index, second.line, second.zones) == (1, 7, (".",))
    assert config.listeners == (
        Listener("dns", "", 53, (("example.org.", 0), ("0.0.10.in-addr.arpa.", 0), ("1.0.10.in-addr.arpa.", 0))),
        Listener("dns", "", 1053, (("example.net.", 0),)),
        Listener("dns", "127.0.0.1", 1054, ((".", 1),)),
        Listener("dns", "::1", 1054, ((".", 1),)),
    )
    assert config.debug
    assert config.files == ("Corefile",)
    assert config.source == "Corefile"
    assert config.with_plugin("whoami") == [(first, first.plugins["whoami"])]
    assert pickle.loads(pickle.dumps(config)) == config


def test_blocks_at_one_address_form_one_listener() -> None:
    config = read("a {\n}\nb {\n}\nc:54 {\n}")
    assert [listener.zones for listener in config.listeners] == [(("a.", 0), ("b.", 1)), (("c.", 2),)]
    assert not config.debug


@pytest.mark.parametrize(
    ("text", "listeners"),
    [
        pytest.param("a {\nbind 0.0.0.0\n}", [("0.0.0.0", ["a."], False)], id="one spelling, both families"),
        pytest.param("a {\nbind 0::0\n}", [("::", ["a."], False)], id="the other one"),
        pytest.param(
            "a {\nbind 0.0.0.0\n}\nb {\nbind 0.0.0.0\n}", [("0.0.0.0", ["a.", "b."], False)], id="two blocks"
        ),
        pytest.param(
            "a {\nbind 0.0.0.0\n}\nb {\n}", [("", ["a.", "b."], False)],
            id="spelled and not: they had the same sockets, and one of them no queries",
        ),
        pytest.param(
            "a {\nbind 0.0.0.0 ::\n}", [("0.0.0.0", ["a."], True), ("::", ["a."], True)], id="each its family"
        ),
        pytest.param(
            "a {\nbind 0.0.0.0\n}\na {\nbind ::\n}", [("0.0.0.0", ["a."], True), ("::", ["a."], True)],
            id="a block for each family",
        ),
        pytest.param(
            "a {\nbind 0.0.0.0\n}\na:54 {\nbind ::\n}", [("0.0.0.0", ["a."], False), ("::", ["a."], False)],
            id="other ports",
        ),
        pytest.param(
            "a {\nbind 0.0.0.0\n}\na {\nbind 127.0.0.1\n}",
            [("0.0.0.0", ["a."], False), ("127.0.0.1", ["a."], False)],
            id="one address is its own listener",
        ),
        pytest.param("a {\nbind ::ffff:127.0.0.1\n}", [("127.0.0.1", ["a."], False)], id="IPv4 written as IPv6"),
    ],
)  # fmt: skip
def test_what_stands_for_every_address(text: str, listeners: list[tuple[str, list[str], bool]]) -> None:
    found = [(one.address, [zone for zone, _ in one.zones], one.one_family) for one in read(text).listeners]
    assert found == listeners


def test_the_default_port_is_for_keys_without_one() -> None:
    config = load("a b:1 {\n}", default_port=1053, environ={})
    assert [listener.port for listener in config.listeners] == [1053, 1]


def test_a_block_without_an_address_beside_others() -> None:
    config = read("a {\nbind 127.0.0.1 {\nexcept 127.0.0.1\n}\n}\nb {\n}")
    assert config.warnings == ("plugin/bind: Corefile:4 - no address is left to listen at",)
    assert [listener.zones for listener in config.listeners] == [(("b.", 1),)]
    assert config.blocks[0].plugins["bind"].addresses == ()


def test_no_address_for_any_block() -> None:
    """It ended in a traceback of the workers."""
    with pytest.raises(CorefileError, match=r"^Corefile:3 - .*bind: no address is left to listen at"):
        read("\na {\nbind lo {\nexcept 127.0.0.1 ::1\n}\n}")


@pytest.mark.parametrize("text", ["", "# nothing", "(s) {\nwhoami\n}", "import *.none"])
def test_without_a_block_the_built_in_corefile_is_served(text: str) -> None:
    config = load(text, "/nonexistent/Corefile", default_port=1053, environ={})
    assert config.listeners == (Listener("dns", "", 1053, ((".", 0),)),)
    assert list(config.blocks[0].plugins) == ["log", "whoami"]
    assert config.source == "/nonexistent/Corefile"
    assert config.listeners == default_config(1053).listeners


@dataclass(frozen=True)
class Bad:
    text: str
    error: str
    why: str


BAD = [
    Bad("a {\n}\na {\n}", "Corefile:3 - Error during parsing: cannot serve dns://a.:53 - it is already defined",
        why="a zone in two blocks"),
    Bad(". .:53 {\n}", "cannot serve dns://.:53 - it is already defined", why="a zone twice in a block"),
    Bad("A. {\n}\na:53 {\n}", "cannot serve dns://a.:53 - it is already defined", why="a zone written otherwise"),
    Bad("10.0.0.0/23 {\n}\n10.0.1.0/24 {\n}", "dns://1.0.10.in-addr.arpa.:53 - it is already defined",
        why="a zone within an expanded network"),
    Bad(". {\nbind 127.0.0.1 127.0.0.1\n}", "cannot serve dns://.:53 on 127.0.0.1 - it is already defined",
        why="an address twice"),
    Bad(". {\n}\n. {\nbind 127.0.0.1\n}",
        "cannot serve dns://.:53 on 127.0.0.1 - zone overlap listener capacity with dns://.:53",
        why="bound after unbound"),
    Bad(". {\nbind 127.0.0.1\n}\n. {\n}",
        "cannot serve dns://.:53 - zone overlap listener capacity with dns://.:53 on 127.0.0.1",
        why="unbound after bound"),
    Bad("\n:53 {\n}", "Corefile:2 - Error during parsing: ':53' names a port without a zone", why="only a port"),
    Bad("a. b: {\n}", "expected after the last colon of 'b:'", why="a key without a port after the colon"),
    Bad(".:{$UNSET} {\n}", "expected after the last colon of '.:'", why="an unset port"),
    Bad(", a {\n}", "the zone is empty", why="a comma first"),
    Bad("\nunix://. {\n}", "Corefile:2 - Error during parsing: 'unix://.': the transport unix is not available",
        why="a transport that there is not"),
    Bad(". {\nforword . 192.0.2.1\n}", "Corefile:2 - Error during parsing: unknown directive 'forword'; "
        "did you mean 'forward'?", why="a misspelled plugin"),
    Bad(". {\nwhoami\nready x\nbufsize x\n}", "plugin/bufsize: Corefile:4 - ",
        why="the plugin that runs first is read first"),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.why)
def test_errors(case: Bad) -> None:
    with pytest.raises(CorefileError) as caught:
        read(case.text)
    assert case.error in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(". {\nbind 127.0.0.1\n}\n. {\nbind 127.0.0.2\n}", id="two addresses"),
        pytest.param(". {\nbind 127.0.0.1\n}\n.:54 {\n}", id="two ports"),
        pytest.param(". {\nbind 127.0.0.1\n}\na {\n}", id="two zones"),
    ],
)
def test_the_same_zone_or_address_may_be_used_twice(text: str) -> None:
    assert len(read(text).listeners) == 2


def test_a_plugin_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastdns.plugins.order.is_available", lambda name: name != "grpc")
    with pytest.raises(CorefileError, match=r"plugin/grpc: Corefile:3 - .* not available in this version"):
        load(". {\n\ngrpc\n}")


@pytest.mark.parametrize("name", sorted(available()))
def test_parsers_of_available_plugins_are_pure(name: str) -> None:
    text = f". {{\n{name}\n}}"
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(str(read(text).blocks))
        except CorefileError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_the_place_of_a_directive_is_that_of_its_first_occurrence(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("\nroot /\n")
    config = load(". {\nwhoami\nimport more\n\nloadbalance\nloadbalance\n}", str(tmp_path / "Corefile"), environ={})
    assert config.blocks[0].places == {
        "whoami": (f"{tmp_path}/Corefile", 2),
        "root": (f"{tmp_path}/more", 2),
        "loadbalance": (f"{tmp_path}/Corefile", 5),
    }


def test_empty_imports_and_blocks_without_zones_are_warned_of(tmp_path: Path) -> None:
    config = load("import *.none\n{\n}\na {\n}", str(tmp_path / "Corefile"), environ={})
    assert config.warnings == (
        "No files matching import glob pattern: *.none",
        f"{tmp_path}/Corefile:2 - a server block without a zone is ignored",
    )


def test_files_are_all_that_were_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("whoami")
    path = tmp_path / "Corefile"
    path.write_text(". {\nimport a\nimport a\n}")
    config = load_file(str(path), environ={})
    assert config.files == (str(path), str(tmp_path / "a"))
    assert config.source == str(path)


def test_a_corefile_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CorefileError, match="No such file"):
        load_file(str(tmp_path / "none"))
    with pytest.raises(CorefileError, match="directory"):
        load_file(str(tmp_path))


def test_bytes_outside_utf8_are_read(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    path.write_bytes(b"# \xff\xfe\na {\nwhoami\n}")
    assert load_file(str(path), environ={}).blocks[0].zones == ("a.",)


def test_the_environment_is_that_of_the_process_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTDNS_TEST_PORT", "1053")
    assert load(".:{$FASTDNS_TEST_PORT} {\n}").listeners[0].port == 1053
    with pytest.raises(CorefileError):
        load(".:{$FASTDNS_TEST_PORT} {\n}", environ={})


# Checksums

TEXT = ". {\n    whoami # comment\n    errors\n}\n"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(TEXT, True, id="the same text"),
        pytest.param(TEXT.replace("comment", "another comment"), True, id="a comment"),
        pytest.param(TEXT.replace("    ", "\t"), True, id="spaces"),
        pytest.param("\n" + TEXT, False, id="shifted lines"),
        pytest.param(TEXT.replace(".", "a"), False, id="a key"),
        pytest.param(TEXT.replace("errors", "ready"), False, id="a directive"),
        pytest.param(TEXT.replace("errors", "errors stdout"), False, id="an argument"),
    ],
)
def test_checksum(other: str, same: bool) -> None:
    assert (read(TEXT).sha512 == read(other).sha512) is same


def test_the_checksum_is_that_of_coredns() -> None:
    text = (
        '.:1599 {\n    whoami\n    errors {\n        consolidate 5m "a<b>&" warning\n    }\n    reload 2s 0\n}\n'
        "example.org:1599 {\n   whoami\n}\n"
    )
    assert read(text).sha512 == (  # what CoreDNS 1.14.7 logs for this file
        "3f210347d57f83ff13f480c6ee44bad1d3a52ffe1fecea590765804173d498b4"
        "d4f8d332310fadda95ce355b2bd27f1835bfd3f3deff320cb0fa0bbd3ff37b55"
    )


def test_the_checksum_covers_imported_files_and_the_environment(tmp_path: Path) -> None:
    imported = tmp_path / "a"
    path = tmp_path / "Corefile"
    path.write_text(". {\nimport a\nhealth :{$PORT}\n}")
    sums = set()
    for text, port in [("whoami", "1"), ("errors", "1"), ("\nerrors", "1"), ("errors", "2")]:
        imported.write_text(text)
        sums.add(load_file(str(path), environ={"PORT": port}).sha512)
    assert len(sums) == 4


# Any text

WORDS = st.sampled_from(
    [*sorted(available()), ".", "a:53", "10.0.0.0/25", "{", "}", "\n", "\n", "import", "(s)", "s", "1s", "-1", "5",
     ":80", "ttl", "pods", "fallthrough", "endpoint", "consolidate", "prefer", "read", "except", "[", "\\", '"',
     "{$X}", "tls://a", "forward", "#"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(WORDS, max_size=40).map(" ".join)))
def test_any_text_is_a_config_or_a_corefile_error(text: str) -> None:
    start = time.monotonic()
    for whole in (text, ". {\n" + text + "\n}"):
        try:
            config = load(whole, "/nonexistent/Corefile", environ={"X": "a b{"})
        except CorefileError as error:
            assert str(error)
        else:
            assert config.blocks
    assert time.monotonic() - start < 5.0


@given(st.one_of(st.text(), st.lists(WORDS, max_size=40).map(" ".join)))
def test_who_goes_on_after_mistakes_finds_the_first_one_too(text: str) -> None:
    """Whether mistakes are kept does not change what is a mistake, and reading ends."""
    for whole in (text, ". {\n" + text + "\n}"):
        try:
            load(whole, "/nonexistent/Corefile", environ={"X": "a b{"})
            first = None
        except CorefileError as error:
            first = str(error)
        mistakes = Mistakes(keep=True)
        with mistakes.noted():
            load(whole, "/nonexistent/Corefile", environ={"X": "a b{"}, mistakes=mistakes)
        found = [str(error) for error in mistakes.found]
        assert bool(found) == (first is not None)
        # A later block's key is looked at before an earlier one's options, in both.
        assert first is None or first in found


@given(st.lists(WORDS, max_size=12).map(" ".join), st.sampled_from(sorted(available())))
def test_any_options_are_a_config_or_a_corefile_error(text: str, name: str) -> None:
    try:
        load(f". {{\n{name} {text}\n}}", "/nonexistent/Corefile", environ={})
    except CorefileError as error:
        assert error.line >= 1
