"""Queries: from the command line to messages, with the answers that are expected."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass

from fastdns.bench import captures
from fastdns.bench._questions import Questions
from fastdns.bench.errors import BenchUsageError
from fastdns.bench.expected import Expected, as_answer, key_of, read_expected_file
from fastdns.bench.messages import Query, edns, message, query_of
from fastdns.bench.population import as_pods_ask, choose, read_population
from fastdns.bench.queryfile import as_text, name_of, parse_queries, read_bytes
from fastdns.bench.search import NDOTS, Search, expand, of_pod
from fastdns.bench.template import DEFAULT_NAMES, from_template
from fastdns.bench.updates import parse_updates


@dataclass(frozen=True, slots=True)
class Asked:
    """All queries of a run, in order, and the expected answers by the key of their query."""

    queries: Sequence[Query]
    questions: Questions
    expected: dict[Query, Expected]
    # Where they come from, for the report.
    source: str


@dataclass(frozen=True, slots=True)
class Source:
    """Queries, and the messages that ask them where these come from a file. text: each query, as -v prints it."""

    name: str
    queries: list[Query]
    messages: list[bytes] | None = None
    # Messages may be any bytes.
    anything: bool = False

    def text(self, number: int) -> str:
        query = self.queries[number]
        return f"{query.name} {query.type}".strip() or f"message {number + 1}"


def search_of(how: argparse.Namespace) -> Search | None:
    """The search list that the command line asks for."""
    ndots = NDOTS if how.ndots is None else how.ndots
    if how.pod is not None:
        return of_pod(how.pod, ndots)
    return Search(how.search, ndots) if how.search is not None else None


def read_file(how: argparse.Namespace, opt: bytes) -> Source:
    """The queries of ``-d``: lines, updates with ``-u``, messages with ``-B``, or a capture. Raises BenchError."""
    file = name_of(how.data)
    data = read_bytes(how.data)
    if how.updates:
        updates = parse_updates(as_text(data), file, opt)
        return Source(file, [Query(one.zone, "") for one in updates], [one.message for one in updates])
    if how.binary:
        messages = captures.read_stream(data, file)
        return Source(file, [query_of(one) for one in messages], messages, anything=True)
    if captures.is_capture(data):
        if opt:
            raise BenchUsageError(f"{file} is a capture: its queries are asked as they are, without -e, -D and -E")
        messages = captures.read_capture(data, file)
        return Source(file, [query_of(one) for one in messages], messages)
    return Source(file, parse_queries(as_text(data), file))


def read_source(how: argparse.Namespace, expected: Sequence[Expected], opt: bytes) -> Source:
    """The queries, through the search list, and where they come from. Raises BenchError."""
    search = search_of(how)
    if how.corefile is not None:
        population = read_population(how.corefile)
        queries = choose(population, how.kinds)
        if search is not None:
            namespace = search.domains[0].partition(".")[0] if search.domains else ""
            queries = list(expand(as_pods_ask(population, queries, namespace), search, population.existing_name))
        return Source(str(how.corefile), queries)
    if how.template is not None:
        queries = from_template(how.template, how.names or DEFAULT_NAMES, how.seed)
        source = Source(f"template {how.template}", queries)
    elif how.data is None and expected:
        source = Source(str(how.check), [one.query for one in expected])
    else:
        source = read_file(how, opt)
    if search is None:
        return source
    if source.messages is not None:
        raise BenchUsageError(f"{source.name} has whole messages: a search list needs lines of NAME TYPE")
    return Source(source.name, list(expand(source.queries, search)))


def read(how: argparse.Namespace) -> Asked:
    """Raises BenchError with file and line, and BenchUsageError."""
    expected = read_expected_file(how.check) if how.check is not None else []
    options = (how.edns_option,) if how.edns_option is not None else ()
    opt = edns(how.dnssec_ok, options) if how.edns or how.dnssec_ok or options else b""
    source = read_source(how, expected, opt)
    order = list(range(len(source.queries)))
    if how.shuffle:
        random.Random(how.seed).shuffle(order)
    queries = [source.queries[number] for number in order]
    try:
        if source.messages is None:
            messages = [message(query, opt) for query in queries]
        else:
            messages = [source.messages[number] for number in order]
        questions = Questions(messages, anything=source.anything)
    except ValueError as error:
        # A search list can make names too long.
        raise BenchUsageError(str(error)) from None
    if how.verbose:
        questions.name_all([source.text(number) for number in order])
    by_key = {key_of(one.query): one for one in expected}
    for number, query in enumerate(queries):
        one = by_key.get(key_of(query)) if by_key else None
        if one is not None:
            questions.expect(number, one.rcode, as_answer(one))
    return Asked(queries, questions, by_key, source.name)
