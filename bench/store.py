"""``python -m bench.store``: the memory that the zone store takes, beside what its records use.

Three shapes that once took a hundred times as much, and a day of churn: 10,000 Services of 10 endpoints, of which
each second of the day some change, grow, shrink, go and come.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable

from fastdns.memory._store import Store, Writer
from fastdns.plugins.kubernetes.objects import Endpoint, EndpointSlice, Metadata, Port, Service, ServiceSpec
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.sink import Resource

STORE_BYTES = 512 << 20
MIB = 1 << 20


def service(number: int, address: str) -> Service:
    """A Service of one port."""
    return Service(
        metadata=Metadata(name=f"service-{number}", namespace="bench"),
        spec=ServiceSpec(
            clusterIP=address, clusterIPs=[address], ports=[Port(port=80, protocol="TCP", name="http")]
        ),
    )


def endpoint_slice(name: str, number: int, addresses: list[str]) -> EndpointSlice:
    """An EndpointSlice of a Service."""
    return EndpointSlice(
        metadata=Metadata(name=name, namespace="bench", labels={"kubernetes.io/service-name": f"service-{number}"}),
        addressType="IPv4",
        endpoints=[Endpoint(addresses=[address]) for address in addresses],
        ports=[Port(port=80, protocol="TCP", name="http")],
    )


def address(number: int) -> str:
    """The address of an endpoint."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def one_address(sink: ClusterWriter, count: int) -> None:
    """So many Services with one endpoint each, at the same address."""
    for number in range(count):
        sink.upsert(Resource.SERVICE, service(number, "None"))
        sink.upsert(Resource.SLICE, endpoint_slice(f"slice-{number}", number, ["10.1.2.3"]))


def one_service(sink: ClusterWriter, slices: int) -> None:
    """A headless Service of so many slices of 100 endpoints."""
    sink.upsert(Resource.SERVICE, service(0, "None"))
    for number in range(slices):
        addresses = [address(number * 100 + one) for one in range(100)]
        sink.upsert(Resource.SLICE, endpoint_slice(f"slice-{number}", 0, addresses))


def day_of_churn(sink: ClusterWriter, changes: int, look: Callable[[], None]) -> None:
    """A cluster of 10,000 Services, then so many changes of all sizes, with a flush after each ten."""
    chance = random.Random(1)
    for number in range(10_000):
        sink.upsert(Resource.SERVICE, service(number, "None"))
        addresses = [address(number * 10 + one) for one in range(10)]
        sink.upsert(Resource.SLICE, endpoint_slice(f"slice-{number}", number, addresses))
    sink.flush()
    for change in range(changes):
        number = chance.randrange(10_000)
        one = endpoint_slice(f"slice-{number}", number, [])
        if chance.random() < 0.1:
            sink.delete(Resource.SLICE, one)
        else:
            size = chance.choice((1, 5, 10, 10, 10, 20, 100))
            first = chance.randrange(1 << 20)
            one = endpoint_slice(f"slice-{number}", number, [address(first + each) for each in range(size)])
            sink.upsert(Resource.SLICE, one)
        if change % 10 == 9:
            sink.flush()
        if change % 1000 == 999:
            look()


def measured(name: str, work: Callable[[ClusterWriter, Callable[[], None]], None]) -> dict[str, float | str]:
    """Run work on a store of its own: what is used and taken at its end, and the worst that was seen."""
    store = Store(STORE_BYTES)
    sink = ClusterWriter(Writer(store), 0, ())
    worst = 0.0

    def look() -> None:
        nonlocal worst
        worst = max(worst, store.taken_bytes / store.used_bytes)

    begun = time.process_time()
    work(sink, look)
    # Before anything is given back, as in the midst of a listing; then as after each batch.
    look()
    sink.flush()
    return {
        "shape": name,
        "used_mib": store.used_bytes / MIB,
        "taken_mib": store.taken_bytes / MIB,
        "ratio": store.taken_bytes / store.used_bytes,
        "worst_ratio": worst,
        "cpu_s": time.process_time() - begun,
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--changes", type=int, default=86_400, help="of the day of churn")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [
        measured("6,000 Services, one address", lambda sink, look: one_address(sink, 6000)),
        measured("11,500 Services, one address", lambda sink, look: one_address(sink, 11_500)),
        measured("600 slices of 100", lambda sink, look: one_service(sink, 600)),
        measured("a day of churn", lambda sink, look: day_of_churn(sink, options.changes, look)),
    ]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'shape':30} {'used MiB':>9} {'taken MiB':>10} {'ratio':>6} {'worst':>6} {'CPU s':>6}")
    for row in rows:
        print(
            f"{row['shape']:30} {row['used_mib']:9.2f} {row['taken_mib']:10.2f} {row['ratio']:6.2f} "
            f"{row['worst_ratio']:6.2f} {row['cpu_s']:6.1f}"
        )


if __name__ == "__main__":
    main()
