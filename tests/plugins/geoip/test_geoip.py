"""The values of clients, as the query log of fastdns and CoreDNS shows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dns.edns
import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.geoip.databases import open_database
from fastdns.plugins.geoip.values import VALUES
from tests.plugins.beside import Both, Case, ask
from tests.plugins.geoip.writer import CITIES, NETWORKS, database
from tests.plugins.metadata.test_metadata import shown
from tests.support import Server

SHOWN = " ".join(f"{{/geoip/{name}}}" for name in VALUES if not name.startswith("asn/"))
COREFILE = f"""\
example.org:DNS_PORT {{
    bind 127.0.0.1
    metadata
    geoip city.mmdb
    log . "<{{name}} {SHOWN} {{/geoip/other}}>"
    whoami
}}
subnet.org:DNS_PORT {{
    bind 127.0.0.1
    metadata
    geoip city.mmdb {{
        edns-subnet
    }}
    log . "<{{name}} {{/geoip/city/name}} {{/geoip/country/code}}>"
    whoami
}}
asn.org:DNS_PORT {{
    bind 127.0.0.1
    metadata
    geoip asn.mmdb
    log . "<{{name}} {{/geoip/asn/number}} {{/geoip/asn/org}} {{/geoip/city/name}}>"
    whoami
}}
"""
EMPTY = "- - - false - - - - - - - -"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("geoip")
    (folder / "city.mmdb").write_bytes(database(CITIES))
    (folder / "asn.mmdb").write_bytes(database(NETWORKS, kind="GeoLite2-ASN", record_bits=24))
    with Both(folder, COREFILE) as both:
        yield both


def squeezed(text: str) -> str:
    """CoreDNS shows nothing for an empty value."""
    return " ".join(text.replace("-", " ").split())


@pytest.mark.parametrize(
    ("name", "client", "says"),
    [
        ("1.example.org.", "127.0.0.1",
         "Cambridge GB United Kingdom false EU Europe 52.2242 0.1315 Europe/London CB4 ENG,TWH -"),
        ("4.example.org.", "127.0.0.4", "- DE - true - - -0.0000001 - - - - -"),
        ("5.example.org.", "127.0.0.5", EMPTY),
        ("1.asn.org.", "127.0.0.1", "396982 GOOGLE-CLOUD-PLATFORM -"),
    ],
)  # fmt: skip
def test_of_the_client(both: Both, name: str, client: str, says: str) -> None:
    for server in [both.fastdns] if both.coredns is None else [both.fastdns, both.coredns]:
        ask(Case(name, client=client), server.port)
        text = shown(server.output, name)
        assert (text if server is both.fastdns else squeezed(text)) == (
            says if server is both.fastdns else squeezed(says)
        )


@pytest.mark.parametrize(
    ("name", "subnet", "says"),
    [
        ("a.subnet.org.", dns.edns.ECSOption("203.0.113.0", 24), "Zürich CH"),
        ("b.subnet.org.", dns.edns.ECSOption("2001:db8::", 32), "Six"),
        ("c.subnet.org.", dns.edns.ECSOption("192.0.2.0", 24), ""),
        ("d.subnet.org.", None, "Cambridge GB"),
        ("e.example.org.", dns.edns.ECSOption("203.0.113.0", 24), "Cambridge GB"),
    ],
)
def test_of_the_client_subnet(both: Both, name: str, subnet: dns.edns.Option | None, says: str) -> None:
    for server in [both.fastdns] if both.coredns is None else [both.fastdns, both.coredns]:
        ask(Case(name, edns=() if subnet is None else (subnet,)), server.port)
        assert squeezed(shown(server.output, name)).startswith(squeezed(says))


def test_another_database_after_a_reload_and_a_bad_one(tmp_path: Path) -> None:
    """The last good content serves on."""
    view = "view here {\nexpr metadata('geoip/city/name') == 'Here'\n}"
    corefile = f".:DNS_PORT {{\nmetadata\ngeoip city.mmdb\n{view}\nwhoami\n}}\n"
    file = tmp_path / "city.mmdb"
    file.write_bytes(database({"127.0.0.0/8": {"city": {"names": {"en": "There"}}}}))
    with Server(tmp_path, corefile) as server:
        assert server.query("a.").rcode().name == "REFUSED"
        file.write_bytes(database({"127.0.0.0/8": {"city": {"names": {"en": "Here"}}}}))
        server.reload()
        assert server.query("a.").rcode().name == "NOERROR"
        file.write_bytes(b"no database")
        server.send_signal(10)
        server.wait_for_log("failed to open database file")
        assert server.query("a.").rcode().name == "NOERROR"


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("geoip", "one argument"),
        ("geoip a b", "one argument"),
        ("geoip a\ngeoip b", "only once"),
        ("geoip a {\nlanguage de\n}", "unknown option 'language'"),
        ("geoip a {\nedns-subnet on\n}", "no argument"),
    ],
)
def test_errors(lines: str, error: str) -> None:
    with pytest.raises(CorefileError, match=rf"Corefile:[23].*{error}"):
        load(f". {{\n{lines}\n}}\n", environ={})


def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    """A pipe was waited for, and /dev/zero filled the memory."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for file in (str(pipe), "/dev/zero"):
        with pytest.raises(FastdnsError, match=rf"failed to open database file: {file}: it is no regular file"):
            open_database(file)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with pytest.raises(FastdnsError, match=r"failed to open database file: \S*: No such file or directory$"):
        open_database(str(file))
    file.write_bytes(database(CITIES)[:200])
    with pytest.raises(FastdnsError, match="it is no MaxMind DB file"):
        open_database(str(file))
    file.write_bytes(database(CITIES, kind="GeoIP2-Domain"))
    with pytest.raises(FastdnsError, match="does not provide any supported schema"):
        open_database(str(file))
