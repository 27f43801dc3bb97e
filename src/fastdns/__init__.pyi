from fastdns.bench.errors import BenchError as BenchError
from fastdns.bench.result import Result as LoadResult
from fastdns.errors import CorefileError as CorefileError
from fastdns.errors import FastdnsError as FastdnsError
from fastdns.library.corefile import CorefileBlock as CorefileBlock
from fastdns.library.corefile import CorefileLine as CorefileLine
from fastdns.library.corefile import parse_corefile as parse_corefile
from fastdns.library.load import measure as measure
from fastdns.library.wire import MessageError as MessageError
from fastdns.library.wire import Query as Query
from fastdns.library.wire import Record as Record
from fastdns.library.wire import Reply as Reply
from fastdns.library.wire import read_query as read_query
from fastdns.library.wire import read_reply as read_reply
from fastdns.library.wire import write_query as write_query
from fastdns.library.wire import write_reply as write_reply

__version__: str
PUBLIC: dict[str, str]

__all__ = [
    "BenchError",
    "CorefileBlock",
    "CorefileError",
    "CorefileLine",
    "FastdnsError",
    "LoadResult",
    "MessageError",
    "Query",
    "Record",
    "Reply",
    "__version__",
    "measure",
    "parse_corefile",
    "read_query",
    "read_reply",
    "write_query",
    "write_reply",
]
