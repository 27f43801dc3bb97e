"""Names of native functions: as nm has them, and nothing of files that are none."""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
from pathlib import Path

import pytest

import fastdns._wire as wire
from fastdns.plugins.pprof import symbols
from fastdns.plugins.pprof.symbols import Names, Symbols, read, readable

pytestmark = pytest.mark.native


def test_names_are_those_of_nm() -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("there is no nm")
    file = Path(wire.__file__)
    found = read(file.read_bytes())
    lines = subprocess.run([nm, "-S", "--defined-only", file], capture_output=True, text=True, check=True).stdout
    functions = [line.split() for line in lines.splitlines() if len(line.split()) == 4 and line.split()[2] in "tT"]
    assert len(functions) > 50
    known = set(found.starts)
    assert all(int(start, 16) in known for start, _, _, _ in functions)
    names = {name for _, name in found.functions}
    assert sum(name in names for _, _, _, name in functions) > len(functions) * 0.9


def test_an_address_of_this_process() -> None:
    """By the map of this process: a function of the C library, and what is nowhere."""
    at = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    assert at is not None
    names = Names()
    assert "getpid" in names.function(at)
    assert names.function(at + 1) == names.function(at)
    assert names.function(8) == "0x8"
    assert names.place(0) is None and names.place(1 << 63) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("__pyx_f_7fastdns_5_wire_accept", "fastdns._wire.accept"),
        ("__pyx_f_7fastdns_10transports_4_udp_7HotLoop_serve", "fastdns.transports._udp.HotLoop.serve"),
        ("__pyx_f_7fastdns_10transports_4_udp_run_batches.isra.0", "fastdns.transports._udp.run_batches"),
        ("__pyx_pw_7fastdns_5_wire_1parse", "fastdns._wire.parse"),
        ("__pyx_f_99short", "short"),
        ("__pyx_f_0", "0"),
        ("__pyx_tp_dealloc_7fastdns_5_wire_Reader", "fastdns._wire.Reader"),
        ("sendmmsg", "sendmmsg"),
        ("copy.part.3.cold", "copy"),
        ("a.isra", "a"),
    ],
)
def test_readable(name: str, expected: str) -> None:
    assert readable(name) == expected


@pytest.mark.parametrize("seed", range(20))
def test_what_is_no_such_file_has_no_names(seed: int, tmp_path: Path) -> None:
    """Cut off, or with wrong bytes: no exception leaves symbols_of, and looking up ends."""
    rng = random.Random(seed)
    data = bytearray(Path(wire.__file__).read_bytes())
    if seed % 2:
        del data[rng.randrange(64, len(data)) :]
    for _ in range(rng.randrange(1, 200)):
        data[rng.randrange(4, min(len(data), 4096))] = rng.randrange(256)
    file = tmp_path / "file.so"
    file.write_bytes(data)
    found = symbols.symbols_of(str(file))
    for _ in range(100):
        found.at(rng.randrange(1 << 40))


def test_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    assert symbols.symbols_of("[vdso]") == Symbols()
    assert symbols.symbols_of(str(tmp_path / "missing")) == Symbols()
    assert symbols.symbols_of(str(tmp_path)) == Symbols()
    assert read(b"\x7fELF\x01\x01") == Symbols()
