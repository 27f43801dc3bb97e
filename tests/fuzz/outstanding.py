"""Questions of many clients to an upstream that answers with damaged replies: each is answered, once."""

from __future__ import annotations

import random
import threading

from tests.fuzz.copies import check_copy
from tests.fuzz.findings import Finding
from tests.fuzz.replies import damaged, exchange
from tests.plugins.forward.engine.support import Asked, Forwarder, Upstream, forward

SERVFAIL = 2


def fuzz_table(count: int, seed: int) -> int:
    """Let an upstream answer count questions with damaged replies, over UDP. Returns how many had an answer.

    Each client gets one reply, which is a message to its question; nothing stays in flight. Raises Finding.
    """
    rng = random.Random(seed)
    corpus = [exchange(rng) for _ in range(min(500, count))]
    by_question = {one.query[12:]: one for one in corpus}
    lock = threading.Lock()

    def script(asked: Asked) -> list[bytes]:
        one = by_question[asked.wire[12:]]
        with lock:
            replies = [damaged(rng, one) for _ in range(rng.randrange(1, 4))]
        return [asked.wire[:2] + reply[2:] for reply in replies]

    answered = 0
    options = {"max_fails": 0, "read_timeout": "100ms", "max_connect_attempts": 1}
    with Upstream(script) as up, Forwarder(forward(up.to, **options)) as forwarder:
        client = forwarder.client()
        for first in range(0, count, 200):
            asked = list({one.query[12:]: one for one in rng.choices(corpus, k=200)}.values())
            for place, one in enumerate(asked):
                client.send(place.to_bytes(2, "big") + one.query[2:])
            missing = set(range(len(asked)))
            while missing:
                try:
                    reply = client.receive_wire(5)
                except TimeoutError:
                    raise Finding(f"{len(missing)} clients have no reply: round {first} of seed {seed}") from None
                place = int.from_bytes(reply[:2], "big")
                if place not in missing:
                    raise Finding(f"a second reply: round {first} of seed {seed}")
                missing.discard(place)
                answered += reply[3] & 0xF != SERVFAIL
                query = asked[place].query
                check_copy(reply[:2] + query[2:], reply, max(512, 1232 if query[11] else 0))
            up.asked.clear()
        try:
            forwarder.settles()
        except AssertionError as error:
            raise Finding(f"{forwarder.out} questions stay in flight: {error}") from None
    return answered
