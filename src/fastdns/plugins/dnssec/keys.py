"""Where keys come from: files, or AWS Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Iterable

from fastdns.dns.signing_keys import Key, load_files, to_key
from fastdns.errors import FastdnsError
from fastdns.plugins.dnssec.config import FILE, KeySource

MISSING_AWS = "aws_secretsmanager needs the package boto3; pip install 'fastdns[aws_secretsmanager]' installs it"
AWS_TIMEOUT_S = 5


def load_keys(sources: Iterable[KeySource]) -> tuple[Key, ...]:
    """The keys, in order. Blocks where a key is in AWS Secrets Manager. Raises FastdnsError."""
    return tuple(load_key(source) for source in sources)


def load_key(source: KeySource) -> Key:
    """One key. Raises FastdnsError."""
    if source.source == FILE:
        return load_files(source.name)
    return to_key(*fetch_secret(source.name), source.name)


def fetch_secret(name: str) -> tuple[str, str]:
    """The two halves of a key in AWS Secrets Manager: JSON with "key" and "private". Raises FastdnsError."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise FastdnsError(MISSING_AWS) from error
    patience = Config(connect_timeout=AWS_TIMEOUT_S, read_timeout=AWS_TIMEOUT_S, retries={"max_attempts": 2})
    try:
        client = boto3.client("secretsmanager", config=patience)
        secret = json.loads(client.get_secret_value(SecretId=name)["SecretString"])
        return str(secret["key"]), str(secret["private"])
    except Exception as error:
        raise FastdnsError(f"the secret {name!r} of AWS Secrets Manager: {error!r:.300}") from error
