"""What reloads, signals and kills leave behind: no process, no descriptor, no memory, no socket."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path
from statistics import median

from fastdns.bench.processes import pss_kib
from tests.integration.faults.corefiles import WHOLE
from tests.integration.faults.load import address_of, name_of
from tests.integration.faults.support import CHAOS_S, SLACK, chance, server
from tests.support import COREFILE, alive, children, occupied, wait_until, zombies

ENDED_S = 1.0 * SLACK


def descriptors(pid: int) -> int:
    """How many a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_reloads_leave_nothing_behind(tmp_path: Path) -> None:
    """No descriptor, no zombie, no memory: in the long form after a thousand."""
    count = 1000 if CHAOS_S else 10
    with server(tmp_path) as fastdns:
        supervisor = fastdns.process.pid
        seen: list[tuple[int, int]] = []
        for turn in range(1, count + 1):
            fastdns.write_corefile(WHOLE[turn % len(WHOLE)](COREFILE).replace("    log\n", ""))
            fastdns.reload(turn)
            if WHOLE[turn % len(WHOLE)] is WHOLE[0]:
                # As it was in the beginning.
                seen.append((descriptors(supervisor), pss_kib(supervisor)[supervisor]))
        # The channels of the last workers are closed when these have ended.
        wait_until(lambda: descriptors(supervisor) <= seen[0][0], 10, "descriptors of earlier workers to be closed")
        assert not zombies(supervisor)
    print(f"{count} reloads: descriptors and KiB of the supervisor {seen[:: max(1, len(seen) // 10)]}")
    if len(seen) > 20:
        # While children come and go, what is shared with them counts for more or less, up to 1 MiB.
        quarter = len(seen) // 4
        early, late = (median(kib for _, kib in some) for some in (seen[quarter : 2 * quarter], seen[-quarter:]))
        assert late < 1.05 * early


def test_signals_while_it_starts(tmp_path: Path) -> None:
    """At any time: it ends, with all its children."""
    choose = chance("signals at the start")
    for _ in range(40 if CHAOS_S else 3):
        number = choose.choice([signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
        with server(tmp_path, wait=False) as fastdns:
            # An interpreter without handlers dies of them, as everybody's.
            wait_until(lambda: children(fastdns.process.pid) or fastdns.process.poll() is not None, 30)
            time.sleep(choose.uniform(0.0, 0.5))
            family = list(children(fastdns.process.pid))
            assert fastdns.stop(number, 10) == 0
            wait_until(lambda family=family: not any(map(alive, family)), 2)
            assert "Traceback" not in fastdns.log


def is_free(port: int) -> bool:
    """Whether another program could have a port for itself, UDP and TCP."""
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with occupied(kind, port=port):
                pass
    except OSError:
        return False
    return True


def test_the_supervisor_is_killed(tmp_path: Path) -> None:
    """All go with it, their sockets are free, and the next one serves on the same ports."""
    with server(tmp_path) as fastdns:
        family = list(children(fastdns.process.pid))
        begun_s = time.monotonic()
        fastdns.process.kill()
        fastdns.process.wait()
        # A process is a zombie once its first thread has ended; its sockets go with the last one.
        wait_until(lambda: not any(map(alive, family)) and is_free(fastdns.port), 10)
        assert time.monotonic() - begun_s < ENDED_S
        fastdns.__enter__()
        assert fastdns.addresses(name_of(7)) == [address_of(7)]
        assert fastdns.addresses(name_of(7), tcp=True) == [address_of(7)]
