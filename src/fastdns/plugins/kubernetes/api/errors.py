"""The errors that the client of the API server raises: refusals by their status, and answers that do not arrive."""

from __future__ import annotations

from fastdns.errors import SourceError


class ApiError(SourceError):
    """An answer of the API server that is a refusal."""

    def __init__(self, code: int, message: str, retry_after_s: float | None = None) -> None:
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        super().__init__(f"{code}: {message}")


class BadRequest(ApiError):
    """400, 405, 406, 415 or 422: the server does not know what it was asked."""


class Unauthorized(ApiError):
    """401: the credentials are not accepted, even fresh ones."""


class Forbidden(ApiError):
    """403: RBAC does not allow it."""


class NotFound(ApiError):
    """404: no such resource."""


class Gone(ApiError):
    """410: a resourceVersion or continue token that is too old."""


class TooManyRequests(ApiError):
    """429: later."""


class ServerError(ApiError):
    """5xx, and every code that has no class of its own."""


class Unreachable(SourceError):
    """No answer, or one that broke off."""


class Stalled(Unreachable):
    """Nothing came for too long."""


CLASSES: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: BadRequest,
    406: BadRequest,
    410: Gone,
    415: BadRequest,
    422: BadRequest,
    429: TooManyRequests,
}


def api_error(code: int, message: str, retry_after_s: float | None = None) -> ApiError:
    """The exception for an HTTP status or a Status object."""
    return CLASSES.get(code, ServerError)(code, message, retry_after_s)
