"""Queries: from the command line to messages, with the answers that are expected."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass

from fastdns.bench._questions import Questions
from fastdns.bench.errors import BenchUsageError
from fastdns.bench.expected import Expected, as_answer, key_of, read_expected_file
from fastdns.bench.messages import Query, edns, message
from fastdns.bench.population import as_pods_ask, choose, read_population
from fastdns.bench.queryfile import read_queries
from fastdns.bench.search import NDOTS, Search, expand, of_pod
from fastdns.bench.template import DEFAULT_NAMES, from_template


@dataclass(frozen=True, slots=True)
class Asked:
    """All queries of a run, in order, and the expected answers by the key of their query."""

    queries: Sequence[Query]
    questions: Questions
    expected: dict[Query, Expected]
    # Where they come from, for the report.
    source: str


def search_of(how: argparse.Namespace) -> Search | None:
    """The search list that the command line asks for."""
    ndots = NDOTS if how.ndots is None else how.ndots
    if how.pod is not None:
        return of_pod(how.pod, ndots)
    return Search(how.search, ndots) if how.search is not None else None


def read_source(how: argparse.Namespace, expected: Sequence[Expected]) -> tuple[list[Query], str]:
    """The queries, through the search list, and where they come from. Raises BenchError."""
    search = search_of(how)
    if how.corefile is not None:
        population = read_population(how.corefile)
        queries = choose(population, how.kinds)
        if search is not None:
            namespace = search.domains[0].partition(".")[0] if search.domains else ""
            queries = list(expand(as_pods_ask(population, queries, namespace), search, population.existing_name))
        return queries, str(how.corefile)
    if how.template is not None:
        queries = from_template(how.template, how.names or DEFAULT_NAMES, how.seed)
        source = f"template {how.template}"
    elif how.data is None and expected:
        queries, source = [one.query for one in expected], str(how.check)
    else:
        queries, source = read_queries(how.data), str(how.data or "-")
    return (list(expand(queries, search)) if search is not None else queries), source


def read(how: argparse.Namespace) -> Asked:
    """Raises BenchError with file and line, and BenchUsageError."""
    expected = read_expected_file(how.check) if how.check is not None else []
    queries, source = read_source(how, expected)
    if how.shuffle:
        random.Random(how.seed).shuffle(queries)
    options = (how.edns_option,) if how.edns_option is not None else ()
    opt = edns(how.dnssec_ok, options) if how.edns or how.dnssec_ok or options else b""
    try:
        questions = Questions([message(query, opt) for query in queries])
    except ValueError as error:
        # A search list can make names too long.
        raise BenchUsageError(str(error)) from None
    by_key = {key_of(one.query): one for one in expected}
    for number, query in enumerate(queries):
        one = by_key.get(key_of(query)) if by_key else None
        if one is not None:
            questions.expect(number, one.rcode, as_answer(one))
    return Asked(queries, questions, by_key, source)
