"""The exceptions of the client of the API server: error responses by status, and missing responses."""

from __future__ import annotations

from fastdns.errors import SourceError


class ApiError(SourceError):
    """An error response of the API server."""

    def __init__(self, code: int, message: str, retry_after_s: float | None = None) -> None:
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        super().__init__(f"{code}: {message}")


class BadRequest(ApiError):
    """400, 405, 406, 415 or 422: the server does not understand the request."""


class Unauthorized(ApiError):
    """401: the credentials are not accepted."""


class Forbidden(ApiError):
    """403: RBAC does not allow it."""


class NotFound(ApiError):
    """404: no such resource."""


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old."""


class TooManyRequests(ApiError):
    """429: the server asks to retry later."""


class ServerError(ApiError):
    """5xx, and every other status without a class."""


class Unreachable(SourceError):
    """No response, or one that ended early."""


class Stalled(Unreachable):
    """No data arrived for too long."""


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
