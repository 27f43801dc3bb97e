"""One order of a certificate (RFC 8555), in a process of its own: what it imports and waits for is nobody else's.

The package acme of Certbot speaks with the authority. What the authority looks for in the DNS is presented to all
workers by way of shared memory.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
from collections.abc import Callable
from typing import Any

import requests.adapters
from acme import challenges, client, crypto_util, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy import errors as josepy_errors
from josepy import jwa, jwk

from fastdns import __version__
from fastdns.dns.names import wire_name
from fastdns.errors import FastdnsError
from fastdns.plugins.tls.acme import Acme, host_port, is_address, trusting
from fastdns.plugins.tls.storage import Storage, write, write_json
from fastdns.servertls import ServerTls, made

# Of one request, and of the whole order from the first challenge on.
REQUEST_S = 30
ORDER_S = 180
# A certificate is renewed when so much of its time is over.
RENEWED_AT = 2 / 3

# Answers with records of names, and no others.
Present = Callable[[list[tuple[bytes, bytes]]], None]


def keep(acme: Acme, present: Present) -> bytes:
    """Order a certificate if there is none, or if it is time for the next one.

    Returns JSON: ``ordered``, ``not_after`` and ``renew_at``, in seconds of Unix time; or ``error``. What is not
    expected to fail raises an exception.
    """
    storage = Storage(acme)
    try:
        with storage.locked():
            times = times_of(storage)
            ordered = times is None or datetime.datetime.now(datetime.UTC).timestamp() >= times["renew_at"]
            if ordered:
                order(acme, storage, present)
                times = times_of(storage)
        if times is None:
            raise FastdnsError(f"{storage.certificate}: what the authority has sent is no certificate for its key")
    except (FastdnsError, errors.Error, josepy_errors.Error, OSError, ValueError) as error:
        return json.dumps({"error": said(error)}).encode()
    return json.dumps({"ordered": ordered, **times}).encode()


def said(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, errors.ValidationError):
        failed = [
            f"{authorization.body.identifier.value}: {challenge.error.detail or challenge.error.typ}"
            for authorization in error.failed_authzrs
            for challenge in authorization.body.challenges
            if challenge.error is not None
        ]
        return "; ".join(failed) or "the authority could not validate a domain"
    if isinstance(error, errors.TimeoutError):
        return f"the authority has not finished the order within {ORDER_S} s"
    return " ".join(str(error).split()) or type(error).__name__


def times_of(storage: Storage) -> dict[str, float] | None:
    """Until when the stored certificate is valid, and when it is renewed. None where there is none to be used."""
    try:
        made(ServerTls(str(storage.certificate), str(storage.key)))
        certificate = x509.load_pem_x509_certificate(storage.certificate.read_bytes())
    except (FastdnsError, OSError, ValueError):
        return None
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return {"not_after": ends, "renew_at": begins + (ends - begins) * RENEWED_AT}


def order(acme: Acme, storage: Storage, present: Present) -> None:
    """Order a certificate with a new key, and store both. Raises what acme, requests and the file system do."""
    account_key = account_key_of(storage)
    authority = connect(acme, account_key)
    register(authority, acme, storage)
    key = new_key()
    ordered = authority.new_order(crypto_util.make_csr(key, list(acme.domains)))
    try:
        finished = validated(authority, ordered, account_key, present)
    finally:
        present([])
    # A process that dies in between leaves a pair that does not fit: it orders again.
    write(storage.key, key)
    write(storage.certificate, finished.fullchain_pem.encode())
    issuer = {"url": finished.uri, "ca": acme.url}
    write_json(storage.description, {"sans": sorted(acme.domains), "issuer_data": issuer})


def validated(
    authority: client.ClientV2, ordered: messages.OrderResource, account_key: jwk.JWK, present: Present
) -> messages.OrderResource:
    """Show that the domains are ours, and wait for the certificate."""
    pending = [one for one in ordered.authorizations if one.body.status == messages.STATUS_PENDING]
    chosen = [challenge_of(one) for one in pending]
    names = [
        wire_name(challenge.validation_domain_name(one.body.identifier.value))
        for one, challenge in zip(pending, chosen, strict=True)
    ]
    values = [challenge.validation(account_key).encode() for challenge in chosen]
    present([*zip(names, values, strict=True)])
    for challenge in chosen:
        authority.answer_challenge(challenge, challenge.response(account_key))
    ends = datetime.datetime.now() + datetime.timedelta(seconds=ORDER_S)
    return authority.poll_and_finalize(ordered, ends)


def challenge_of(authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
    """The challenge that is answered over DNS. Raises FastdnsError."""
    for challenge in authorization.body.challenges:
        if isinstance(challenge.chall, challenges.DNS01):
            return challenge
    raise FastdnsError(f"the authority offers no dns-01 challenge for {authorization.body.identifier.value}")


# The authority, and the account there


def connect(acme: Acme, key: jwk.JWK) -> client.ClientV2:
    """A client that has read the authority's directory."""
    if acme.resolver:
        ask_resolver(acme.resolver)
    network = client.ClientNetwork(
        key, alg=algorithm_of(key), user_agent=f"fastdns/{__version__}", timeout=REQUEST_S
    )
    network.session.mount("https://", SystemTrust(acme.ca_root))
    return client.ClientV2(client.ClientV2.get_directory(acme.url, network), network)


class SystemTrust(requests.adapters.HTTPAdapter):  # type: ignore[misc]
    """Connections that trust the system's authorities, in place of those that requests brings, and one's own."""

    def __init__(self, ca_root: str) -> None:
        self.context = trusting(ca_root)
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self.context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self.context, **options)

    def cert_verify(self, *args: Any, **options: Any) -> None:
        """The context knows."""


def ask_resolver(text: str) -> None:
    """Have this process look up hosts with a DNS server, HOST:PORT, in place of the system's."""
    import dns.nameserver
    import dns.resolver

    host, port = host_port(text)
    if not is_address(host):
        host = str(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4][0])
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port)]
    dns.resolver.override_system_resolver(resolver)


def register(authority: client.ClientV2, acme: Acme, storage: Storage) -> None:
    """Have an account with the stored key: a new one, or the one that there is. Its terms are agreed to."""
    contact = (f"mailto:{acme.email}",) if acme.email else ()
    wanted = messages.NewRegistration.from_data(contact=contact, terms_of_service_agreed=True)
    try:
        account = authority.new_account(wanted)
    except errors.ConflictError as known:
        account = messages.RegistrationResource(body=messages.Registration(), uri=known.location)
        authority.net.account = account
    write_json(
        storage.account,
        {"status": "valid", "contact": contact, "termsOfServiceAgreed": True, "location": account.uri},
    )


def account_key_of(storage: Storage) -> jwk.JWK:
    """The key of the account, made and stored where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return jwk.JWK.load(storage.account_key.read_bytes())
    key = new_key()
    write(storage.account_key, key)
    return jwk.JWK.load(key)


def algorithm_of(key: jwk.JWK) -> jwa.JWASignature:
    """How an account's key signs. CoreDNS's keys are of the curve P-256."""
    if isinstance(key, jwk.JWKRSA):
        return jwa.RS256
    sizes = {256: jwa.ES256, 384: jwa.ES384, 521: jwa.ES512}
    return sizes[key.key.key_size]


def new_key() -> bytes:
    """A private key on the curve P-256, in PEM format."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
