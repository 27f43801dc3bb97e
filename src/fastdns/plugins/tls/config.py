"""The options of tls: certificate and key from files, or by ACME; and what is asked of clients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, one, one_of, read_options, store, words
from fastdns.plugins.tls.acme import LETS_ENCRYPT, Acme, check_resolver, check_url, to_domains
from fastdns.plugins.tls.storage import Storage
from fastdns.servertls import CLIENT_AUTH, ServerTls

# Below the root of the Corefile, as CoreDNS has it.
STORAGE = ".coredns/acme"


@dataclass(frozen=True, slots=True)
class Config:
    """files: what connections are accepted with. acme: how they are obtained; None: others write them."""

    files: ServerTls
    acme: Acme | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError. Of several lines in a block the last one counts, as in CoreDNS."""
    found = None
    for _ in d.occurrences():
        files = [block.resolve(file) for file in d.remaining_args()]
        found = _files(d, block, files) if files else _acme(d, block)
    assert found is not None
    return found


def _files(d: Dispenser, block: BlockContext, files: list[str]) -> Config:
    if not 2 <= len(files) <= 3:
        raise d.arg_error("the files of a certificate and its key, and perhaps of authorities")
    fields = dict.fromkeys(("client_auth", "keylog"), "")
    read_options(d, OPTIONS, fields)
    keylog = block.resolve(fields["keylog"]) if fields["keylog"] else ""
    authority = files[2] if len(files) == 3 else ""
    return Config(ServerTls(files[0], files[1], authority, fields["client_auth"] or "nocert", keylog))


def _acme(d: Dispenser, block: BlockContext) -> Config:
    fields: dict[str, Any] = {"url": LETS_ENCRYPT, "storage": STORAGE}
    read_options(d, ACME_OPTIONS, fields)
    try:
        domains = to_domains(fields.pop("acme", ()))
        check_url(fields["url"])
        check_resolver(fields.get("resolver", ""))
    except ValueError as error:
        raise d.error(str(error)) from None
    for name in ("storage", "ca_root"):
        if fields.get(name):
            fields[name] = str(Path(block.resolve(fields[name])).absolute())
    acme = Acme(domains, **{name: value for name, value in fields.items() if name in Acme.__slots__})
    storage = Storage(acme)
    return Config(ServerTls(str(storage.certificate), str(storage.key), obtained=True), acme)


def _once(option: Option) -> Option:
    """An option that may stand once, as CoreDNS has it with ACME."""

    def read(d: Dispenser, fields: dict[str, Any]) -> None:
        name = d.text
        if f"once {name}" in fields:
            raise d.error(f"ACME option {name!r} can only be specified once")
        fields[f"once {name}"] = True
        option(d, fields)

    return read


OPTIONS = {"client_auth": store("client_auth", one_of(*CLIENT_AUTH)), "keylog": store("keylog", one)}
ACME_OPTIONS = {
    "acme": _once(store("acme", words)),
    "email": _once(store("email", one)),
    "ca": _once(store("url", one)),
    "storage": _once(store("storage", one)),
    "ca_root": _once(store("ca_root", one)),
    "resolver": _once(store("resolver", one)),
}
