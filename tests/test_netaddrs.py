"""This host's addresses, against what the system says itself."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess

import pytest

from fastdns import netaddrs


def test_the_loopback_is_there() -> None:
    assert "127.0.0.1" in netaddrs.interface_addresses()["lo"]


def test_addresses_are_those_of_ip() -> None:
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed")
    output = subprocess.run(["ip", "-o", "address"], capture_output=True, text=True, check=True).stdout
    wanted = {
        (name, address)
        for name, address in re.findall(r"^\d+: (\S+)\s+inet6? ([0-9a-f.:]+)", output, re.MULTILINE)
    }
    found = {
        (name, address.partition("%")[0])
        for name, addresses in netaddrs.interface_addresses().items()
        for address in addresses
    }
    # An interface that is down lists none of its addresses here.
    assert found <= wanted
    assert ("lo", "127.0.0.1") in found


def test_what_others_reach_is_neither_loopback_nor_link_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netaddrs, "ipv4_addresses", lambda: [("lo", "127.0.0.1"), ("eth0", "192.0.2.5")])
    monkeypatch.setattr(
        netaddrs, "ipv6_addresses", lambda: [("lo", "::1"), ("eth0", "fe80::1%eth0"), ("eth0", "2001:db8::5")]
    )
    assert netaddrs.host_addresses() == [
        ipaddress.ip_address("192.0.2.5").packed,
        ipaddress.ip_address("2001:db8::5").packed,
    ]


def test_a_line_of_proc_that_is_none_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interface may be named with a space in it; the server did not start on such a host."""
    lines = [
        "fe800000000000000000000000000001 02 40 20 80     eth0",
        "fe800000000000000000000000000002 03 40 20 80     my lan",
        "nonsense",
        "zz800000000000000000000000000001 02 40 20 80     eth1",
        "20010db8000000000000000000000005 02 40 00 80     eth0",
    ]
    monkeypatch.setattr(netaddrs.Path, "read_text", lambda _: "\n".join(lines))
    assert netaddrs.ipv6_addresses() == [("eth0", "fe80::1%eth0"), ("eth0", "2001:db8::5")]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("FE80::0:1%eth0", "fe80::1%eth0"),
        ("fe80::1", "fe80::1"),
        ("2001:db8::1%eth0", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1%eth0", "192.0.2.1"),
        ("192.0.2.999", None),
        ("%eth0", None),
        ("", None),
    ],
)
def test_canonical_addresses(text: str, canonical: str | None) -> None:
    assert netaddrs.canonical_address(text) == canonical
