"""List options: the query of a list or watch, parsed and validated as the API server does it.

Rules: apimachinery's ValidateListOptions, and "Resource versions" of the Kubernetes API concepts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastdns.bench.apiserver.kinds import Kind
from fastdns.bench.apiserver.selectors import BadSelector, parse_fields, parse_labels
from fastdns.bench.apiserver.statuses import bad_request, invalid_options
from fastdns.bench.apiserver.store import Selector

EXACT = "Exact"
NOT_OLDER = "NotOlderThan"
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a list or watch."""

    selector: Selector
    watch: bool
    bookmarks: bool
    initial_events: bool | None
    # None: not given.
    version: int | None
    match: str
    limit: int
    continuation: str
    timeout_s: float | None


def parse(query: Mapping[str, str], kind: Kind, namespace: str, *, streaming: bool = True) -> Options:
    """Parse the options of a request. Raises Refused as the API server refuses them."""
    try:
        labels = parse_labels(query.get("labelSelector", ""))
        fields = parse_fields(query.get("fieldSelector", ""), kind)
    except BadSelector as error:
        raise bad_request(str(error)) from None
    initial = query.get("sendInitialEvents")
    timeout = query.get("timeoutSeconds")
    options = Options(
        selector=Selector(namespace, labels, fields),
        watch=query.get("watch", "") in _TRUE,
        bookmarks=query.get("allowWatchBookmarks", "") in _TRUE,
        initial_events=None if initial is None else initial in _TRUE,
        version=_number(query, "resourceVersion"),
        match=query.get("resourceVersionMatch", ""),
        limit=_number(query, "limit") or 0,
        continuation=query.get("continue", ""),
        timeout_s=float(timeout) if timeout else None,
    )
    causes = _watch_causes(options, streaming) if options.watch else _list_causes(options)
    if causes:
        raise invalid_options(causes)
    if options.continuation and options.version:
        raise bad_request("specifying resource version is not allowed when using continue")
    return options


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdecimal():
        reason = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise bad_request(f'{name}: Invalid value: "{text}": {reason}')
    return int(text)


def _forbidden(field: str, message: str) -> tuple[str, str, str]:
    return "FieldValueForbidden", f"Forbidden: {message}", field


def _unknown_match(match: str) -> tuple[str, str, str]:
    message = f'Unsupported value: "{match}": supported values: "{EXACT}", "{NOT_OLDER}", ""'
    return "FieldValueNotSupported", message, "resourceVersionMatch"


def _list_causes(options: Options) -> list[tuple[str, str, str]]:
    causes = []
    field = "resourceVersionMatch"
    if options.match:
        if options.version is None:
            causes.append(_forbidden(field, f"{field} is forbidden unless resourceVersion is provided"))
        if options.continuation:
            causes.append(_forbidden(field, f"{field} is forbidden for continue"))
        if options.match not in (EXACT, NOT_OLDER):
            causes.append(_unknown_match(options.match))
        if options.match == EXACT and options.version == 0:
            causes.append(_forbidden(field, f'{field} "exact" is forbidden for resourceVersion "0"'))
    if options.initial_events is not None:
        causes.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return causes


def _watch_causes(options: Options, streaming: bool) -> list[tuple[str, str, str]]:
    causes = []
    field = "resourceVersionMatch"
    if options.initial_events is not None:
        if options.match != NOT_OLDER:
            causes.append(_forbidden(field, f"sendInitialEvents requires setting {field} to {NOT_OLDER}"))
        if not streaming:
            message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            causes.append(_forbidden("sendInitialEvents", message))
    elif options.match:
        causes.append(_forbidden(field, f"{field} is forbidden for watch unless sendInitialEvents is provided"))
    if options.match and options.initial_events is None and options.match != NOT_OLDER:
        causes.append(_unknown_match(options.match))
    if options.match and options.continuation:
        causes.append(_forbidden(field, f"{field} is forbidden for continue"))
    return causes
