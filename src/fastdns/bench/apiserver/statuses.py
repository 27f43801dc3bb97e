"""The Status objects and plain-text refusals of the API server, word for word as recorded."""

from __future__ import annotations

import base64
import json
from typing import Any

from fastdns.bench.apiserver.kinds import Kind

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Refused(Exception):
    """A request that is refused with a status code and a body."""

    def __init__(
        self,
        code: int,
        body: dict[str, Any] | str,
        *,
        headers: dict[str, str] | None = None,
        known: bool = True,
    ) -> None:
        super().__init__(f"{code}: {body}")
        self.code = code
        self.body = body
        self.headers = dict(headers or {})
        # Whether flow control (priority and fairness) had seen the request, and marks the answer.
        self.known = known
        if isinstance(body, str) or code == 403:
            self.headers["x-content-type-options"] = "nosniff"


def status(
    code: int,
    reason: str,
    message: str,
    *,
    details: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A Status of failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": metadata or {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        **({"details": details} if details else {}),
        "code": code,
    }


def unauthorized() -> Refused:
    return Refused(401, status(401, "Unauthorized", "Unauthorized"), known=False)


def forbidden(user: str, verb: str, kind: Kind, namespace: str) -> Refused:
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    message = (
        f'{kind.plural} is forbidden: User "{user}" cannot {verb} resource "{kind.plural}" '
        f'in API group "{kind.group}" {where}'
    )
    details = {**({"group": kind.group} if kind.group else {}), "kind": kind.plural}
    return Refused(403, status(403, "Forbidden", message, details=details))


def forbidden_path(user: str, verb: str, path: str) -> Refused:
    message = f'forbidden: User "{user}" cannot {verb} path "{path}"'
    return Refused(403, status(403, "Forbidden", message, details={}))


def no_such_path() -> Refused:
    return Refused(404, "404 page not found\n")


def not_found(kind: Kind, name: str) -> Refused:
    details = {"name": name, **({"group": kind.group} if kind.group else {}), "kind": kind.plural}
    return Refused(404, status(404, "NotFound", f'{kind.plural} "{name}" not found', details=details))


def bad_request(message: str) -> Refused:
    return Refused(400, status(400, "BadRequest", message))


def not_acceptable() -> Refused:
    message = "only the following media types are accepted: application/json, application/vnd.kubernetes.protobuf"
    return Refused(406, status(406, "NotAcceptable", message))


def invalid_options(causes: list[tuple[str, str, str]]) -> Refused:
    """422 for list options: each cause is its reason, its message and the field."""
    parts = [f"{field}: {message}" for _, message, field in causes]
    text = parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"
    details = {
        "group": "meta.k8s.io",
        "kind": "ListOptions",
        "causes": [{"reason": reason, "message": message, "field": field} for reason, message, field in causes],
    }
    message = f'ListOptions.meta.k8s.io "" is invalid: {text}'
    return Refused(422, status(422, "Invalid", message, details=details))


def expired_continue(token: str) -> Refused:
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new "
        "list without the continue parameter, or use the continue token in this response to retrieve the "
        "remainder of the results. Continuing with the provided token results in an inconsistent list - "
        "objects that were created, modified, or deleted between the time the first chunk was returned and "
        "now may show up in the list."
    )
    return Refused(410, status(410, "Expired", message, metadata={"continue": token}))


def expired_list() -> Refused:
    message = "The resourceVersion for the provided list is too old."
    return Refused(410, status(410, "Expired", message))


def too_old(message: str) -> dict[str, Any]:
    """The Status in the ERROR event of a watch from before the log."""
    return status(410, "Expired", message)


def too_large_version(asked: int, current: int) -> Refused:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return Refused(504, status(504, "Timeout", message, details=details), headers={"retry-after": "1"})


def too_many(retry_after_s: int) -> Refused:
    text = "Too many requests, please try again later.\n"
    return Refused(429, text, headers={"retry-after": str(retry_after_s)})


def internal(code: int = 500) -> Refused:
    message = "etcdserver: request timed out"
    if code == 503:
        text = "the server is currently unable to handle the request"
        return Refused(503, status(503, "ServiceUnavailable", text))
    details = {"causes": [{"message": message}]}
    return Refused(code, status(code, "InternalError", f"Internal error occurred: {message}", details=details))


def no_watch_list() -> dict[str, Any]:
    """The Status in the ERROR event of a streaming list if the storage is too old for it."""
    message = (
        "a watch stream was requested by the client but the required storage feature RequestWatchProgress "
        "is disabled"
    )
    return status(500, "InternalError", message)


def continue_token(rv: int, start: str) -> str:
    """A token as the API server makes it: base64url JSON without padding."""
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": rv, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def parse_continue(token: str) -> tuple[int, str]:
    """The version (-1: any) and the key that a token continues from."""
    try:
        value = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(value["rv"]), str(value["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from None
