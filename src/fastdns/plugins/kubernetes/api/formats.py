"""The two formats of the API server's responses, JSON and Kubernetes' protobuf, and their parsers.

Both split a list into items and a watch into events as the bytes arrive, so that only one object is in memory.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import msgspec

from fastdns.plugins.kubernetes.api._json_items import JsonItems
from fastdns.plugins.kubernetes.api.protobuf._messages import (
    decode_event,
    decode_name,
    decode_object,
    decode_status,
    split_event,
)
from fastdns.plugins.kubernetes.api.protobuf._streams import Items
from fastdns.plugins.kubernetes.objects import TYPES
from fastdns.plugins.kubernetes.sink import Resource

# The limit on one object and on one event.
MAX_ITEM_BYTES = 16 << 20
# The exceptions of msgspec for invalid bytes, including invalid UTF-8 and too deep nesting.
UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
# Custom resources are JSON only.
PROTOBUF_RESOURCES = frozenset(Resource) - {Resource.IMPORT}

T = TypeVar("T")


class Status(msgspec.Struct):
    """meta/v1 Status, the body of every refusal."""

    message: str = ""
    reason: str = ""
    code: int = 0


class Event(msgspec.Struct, Generic[T], gc=False):
    """One event of a watch."""

    type: str
    object: T


class RawEvent(msgspec.Struct, gc=False):
    """An event whose object could not be decoded."""

    type: str
    object: msgspec.Raw


class Name(msgspec.Struct, gc=False):
    """The fields of an object's metadata that name it. Other fields may be invalid."""

    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""


class Named(msgspec.Struct, gc=False):
    """An object of which only the name is read."""

    metadata: Name


class ListMetadata(msgspec.Struct):
    resourceVersion: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct):
    """A list without its items."""

    metadata: ListMetadata


PAGES = msgspec.json.Decoder(Page)
RAW_EVENTS = msgspec.json.Decoder(RawEvent)
NAMES = msgspec.json.Decoder(Named)
STATUSES = msgspec.json.Decoder(Status)


class Listing(Protocol):
    """A list in parts. metadata may be called when it is complete. Both methods raise UNREADABLE."""

    def feed(self, chunk: bytes) -> list[bytes]: ...

    def metadata(self) -> ListMetadata: ...


class Format(Protocol):
    """The parsers of one resource. All methods but name_of raise UNREADABLE."""

    def listing(self) -> Listing: ...

    def object_of(self, item: bytes) -> Any: ...

    def name_of(self, item: bytes) -> Name: ...

    def event_of(self, line: bytes) -> Event[Any]:
        """An event with its object. An event of type ERROR may have any object."""
        ...

    def raw_event_of(self, line: bytes) -> tuple[str, bytes]:
        """The type of an event, and the bytes of its object, for name_of."""
        ...

    def status_of(self, line: bytes) -> Status:
        """The status in an event of type ERROR."""
        ...


class JsonListing:
    def __init__(self) -> None:
        self._items = JsonItems(MAX_ITEM_BYTES)
        self.feed = self._items.feed

    def metadata(self) -> ListMetadata:
        return PAGES.decode(self._items.rest).metadata


class JsonFormat:
    """JSON: one event per line."""

    def __init__(self, resource: Resource) -> None:
        kind: Any = TYPES[resource]
        self.object_of = msgspec.json.Decoder(kind).decode
        self.event_of = msgspec.json.Decoder(Event[kind]).decode
        self.listing = JsonListing

    def name_of(self, item: bytes) -> Name:
        try:
            return NAMES.decode(item).metadata
        except UNREADABLE:
            return Name()

    def raw_event_of(self, line: bytes) -> tuple[str, bytes]:
        event = RAW_EVENTS.decode(line)
        return event.type, bytes(event.object)

    def status_of(self, line: bytes) -> Status:
        return STATUSES.decode(RAW_EVENTS.decode(line).object)


class ProtobufListing:
    def __init__(self) -> None:
        self._items = Items(MAX_ITEM_BYTES)
        self.feed = self._items.feed

    def metadata(self) -> ListMetadata:
        if not self._items.is_whole:
            raise ValueError("the list ends early")
        return ListMetadata(self._items.resource_version, self._items.continue_token)


class ProtobufFormat:
    """Protobuf: one event per frame."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self.listing = ProtobufListing

    def object_of(self, item: bytes) -> Any:
        return decode_object(self._resource, item)

    def name_of(self, item: bytes) -> Name:
        namespace, name, version = decode_name(item)
        return Name(name, namespace, version)

    def event_of(self, line: bytes) -> Event[Any]:
        return Event(*decode_event(self._resource, line))

    def raw_event_of(self, line: bytes) -> tuple[str, bytes]:
        return split_event(line)

    def status_of(self, line: bytes) -> Status:
        code, message = decode_status(split_event(line)[1])
        return Status(message=message, code=code)


def format_of(resource: Resource, *, is_protobuf: bool) -> Format:
    """The parsers of a resource in one format."""
    return ProtobufFormat(resource) if is_protobuf else JsonFormat(resource)
