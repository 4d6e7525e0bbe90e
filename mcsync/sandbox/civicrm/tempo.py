"""A site that takes its time, for benchmarks: as long for a write as was measured on 2 cores.

Measured with CiviCRM 6.17.2 over 1, 2 and 4 connections. New contacts gain nothing from the
fourth, as the cores are busy with two.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs

from mcsync.sandbox.server import Request, Response

LEAST_S = 0.075  # the smallest call
_STEP_S = 0.02
# Records a second, by how many requests are under way; names and addresses were measured over one
# connection, and gain as contacts and group contacts do.
RATES: Mapping[str, Mapping[int, float]] = {
    "Contact.save": {1: 48, 2: 76, 3: 71, 4: 67},
    "Contact.save with ids": {1: 73, 2: 116, 3: 108, 4: 102},
    "GroupContact.save": {1: 240, 2: 358, 3: 407, 4: 457},
    "Email.create": {1: 210, 2: 313, 3: 356, 4: 400},
}


class Tempo:
    """Lets requests take as long as they would; `busy_s` is how long each kind was under way."""

    def __init__(self) -> None:
        self.busy_s: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._since = time.monotonic()
        self._lock = threading.Lock()

    def serve(self, request: Request, handle: Callable[[Request], Response]) -> Response:
        """Answer a request in its time."""
        kind, records = _weigh(request)
        with self._inside(kind):
            begun = time.monotonic()
            response = handle(request)
            self._work(kind, records if response.status == 200 else 0)
            time.sleep(max(0.0, begun + LEAST_S - time.monotonic()))  # what any request takes
        return response

    def _work(self, kind: str, records: float) -> None:
        """Be busy with so many records; how fast that goes depends on who else is."""
        while records > 0:
            begun = time.monotonic()
            together = min(4, self._under_way.total())
            pace = RATES[kind][together] / together
            time.sleep(min(_STEP_S, records / pace))  # as a live site is busy
            records -= pace * (time.monotonic() - begun)

    @contextmanager
    def _inside(self, kind: str) -> Iterator[None]:
        self._count(kind, 1)
        try:
            yield
        finally:
            self._count(kind, -1)

    def _count(self, kind: str, change: int) -> None:
        with self._lock:
            now = time.monotonic()
            for each in +self._under_way:
                self.busy_s[each] += now - self._since  # type: ignore[assignment]
            self._since = now
            self._under_way[kind] += change
            self.most[kind] = max(self.most[kind], self._under_way[kind])


def _weigh(request: Request) -> tuple[str, int]:
    """What a request writes, and how many records; "reading" and 0 for all others."""
    form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
    if "calls" in form:
        names = Counter(f"{call[0]}.{call[1]}" for call in json.loads(form["calls"]))
        kind = next((name for name in names if name in RATES), "reading")
        return kind, names[kind] if kind != "reading" else 0
    kind = ".".join(request.path.split("/")[-2:])
    if kind not in RATES:
        return "reading", 0
    records = json.loads(form["params"])["records"]
    return kind + (" with ids" if "id" in records[0] else ""), len(records)
