"""Bad weather before a service: latencies, and now and then a request that goes wrong."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from mcsync.sandbox.mailchimp.simulator import read_key
from mcsync.sandbox.server import Request, Response, Service

LONGEST_S = 0.004  # before an answer
LATE_S = 0.03  # after which what was given up already is done after all
MORE_FOR_WRITES = 4  # they are few
PATIENCE_S = 20.0
HTML = {"Content-Type": "text/html; charset=UTF-8"}

Handle = Callable[[Request], Response]
Trouble = Callable[["Weather", Request], Response | None]


def _answer(status: int, body: bytes = b"<html>", **headers: str) -> Trouble:
    return lambda weather, request: Response(status, body, HTML | headers)


def _drop_after(weather: "Weather", request: Request) -> None:
    weather.service.handle(request)


def _late(answer: Response | None) -> Trouble:
    """The answer comes at once, from what stands before the service, which does it afterwards."""

    def trouble(weather: "Weather", request: Request) -> Response | None:
        weather.do_later(request)
        return answer

    return trouble


def _answer_after(status: int) -> Trouble:
    def trouble(weather: "Weather", request: Request) -> Response:
        weather.service.handle(request)
        return Response(status, b"<html>", HTML)

    return trouble


def _cut(weather: "Weather", request: Request) -> Response:
    """Half of an archive, or of a page."""
    whole = weather.service.handle(request)
    return Response(whole.status, whole.body[: len(whole.body) // 2], whole.headers)


TROUBLES: dict[str, Trouble] = {
    "dropped before": lambda weather, request: None,
    "dropped after": _drop_after,
    "dropped, done later": _late(None),
    "429": _answer(429, b"", **{"Retry-After": "1"}),
    "500": _answer(500),
    "502 after": _answer_after(502),
    "504": _answer(504),
    "504, done later": _late(Response(504, b"<html>", HTML)),
    "page": _answer(200),
}


class Weather:
    """Stands before a service, as a service itself.

    `share` of all requests meet a trouble; from the `ends_after`-th on all of an account do
    (None: of all), until it clears up.
    """

    def __init__(self, service: Service, rng: random.Random) -> None:
        self.service = service
        self.met: Counter[str] = Counter()
        self.share = 0.0
        self._rng = rng
        self._left: int | None = None
        self._account: str | None = None
        self._under_way = 0
        self._changed = threading.Condition()

    def turn_bad(self, share: float, ends_after: int | None, account: str | None) -> None:
        """From now on."""
        with self._changed:
            self.share, self._left, self._account = share, ends_after, account

    def clear_up(self) -> None:
        """From now on nothing goes wrong; waits until nothing is under way any more."""
        with self._changed:
            self.share, self._left = 0.0, None
            assert self._changed.wait_for(lambda: not self._under_way, PATIENCE_S)

    def date_header(self) -> str:
        """The service's own clock."""
        return self.service.date_header()

    def handle(self, request: Request) -> Response:
        """Answer a request, or do not: None drops the connection."""
        with self._changed:
            self._under_way += 1
            delay_s = self._rng.uniform(0, LONGEST_S) if self.share else 0.0
            name, trouble = self._draw(request)
            if trouble is not None:
                self.met[name] += 1
        try:
            time.sleep(delay_s)  # the latency that was asked for
            if trouble is None:
                return self.service.handle(request)
            return trouble(self, request)  # type: ignore[return-value]
        finally:
            self._end()

    def do_later(self, request: Request) -> None:
        """Have the service do it, of which nobody hears."""
        with self._changed:
            self._under_way += 1
            delay_s = self._rng.uniform(0, LATE_S)

        def work() -> None:
            try:
                time.sleep(delay_s)  # as above
                self.service.handle(request)
            finally:
                self._end()

        threading.Thread(target=work, daemon=True).start()

    def _end(self) -> None:
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def _draw(self, request: Request) -> tuple[str, Trouble | None]:
        if self._left is not None:
            self._left -= 1
            if self._left < 0 and self._account in (None, _account_of(request)):
                return "503 from then on", _answer(503)
        is_write = request.path.endswith(("/save", "/batches")) and request.method == "POST"
        if self._rng.random() >= self.share * (MORE_FOR_WRITES if is_write else 1):
            return "", None
        if request.path.startswith("/batch-results/") and self._rng.random() < 0.7:
            return "cut", _cut
        name = self._rng.choice(sorted(TROUBLES))
        return name, TROUBLES[name]


def _account_of(request: Request) -> str | None:
    authorization = request.headers.get("authorization", "")
    return read_key(authorization) if authorization else None
