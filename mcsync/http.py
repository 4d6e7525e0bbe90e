"""One way out to the network: sessions, time-outs, retries, and how many calls at once.

Both adapters speak through `HttpClient`. It knows nothing of either service: what an answer
means is theirs to say, whether it came at all is said here.
"""

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
import tenacity
import urllib3
from urllib3.exceptions import NewConnectionError

from mcsync import __version__
from mcsync.clock import utc_now
from mcsync.errors import ProtocolError, RemoteUnavailable
from mcsync.exchange import (
    ACCEPTED,
    MAX_ANSWER_BYTES,
    BoundedAdapter,
    OutOfBounds,
    TooMuch,
    TooSlow,
    Watch,
    read_body,
    read_pieces,
    watching,
)
from mcsync.text import shorten_ids

log = logging.getLogger("mcsync.http")

RETRIES = 5
UNREACHED_WAIT_S = 2.0  # at most, when nobody is there: likely a mistyped address, told soon
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 130.0  # Mailchimp ends a call itself after 120 s (mailchimp: Limits)
TRANSFER_S = 60.0  # on top of that for the whole answer to come; by then it is a page or two
DOWNLOAD_S = 900.0
LEAST_S = 30.0  # what an answer gets in any case when the time of the run is over meanwhile
DEADLINE_S = 600.0  # for one call with all its retries
LONGEST_WAIT_S = 120.0
# In one answer; the largest we ask for, 10,000 contacts with 80 fields, has half of it. What is
# short as text may be long as Python's objects.
MAX_VALUES = 2_000_000
_BEFORE_NO_VALUE = bytes(set(range(256)) - set(b",[{"))  # after which no value begins
_PLAUSIBLE_YEARS = range(1970, 3000)  # of a `Date`; with the last ones no sum can be done
NEXT_RUN = "nothing is lost; the next run tries again"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; header names are lower-case, the body is already unzipped."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300

    @property
    def is_json(self) -> bool:
        """Whether the answer calls itself JSON, `application/problem+json` included."""
        return "json" in self.headers.get("content-type", "").lower()

    @property
    def date(self) -> datetime | None:
        """The server's own clock, in whole seconds; None when it did not say, or nonsense."""
        at = _read_date(self.headers.get("date", ""))
        return at.astimezone(UTC) if at and at.year in _PLAUSIBLE_YEARS else None

    @property
    def served_at(self) -> datetime:
        """The server's own clock, in whole seconds; ours when it cannot be read."""
        return self.date or utc_now().replace(microsecond=0)

    def decode(self, shape: type[T], max_values: int = MAX_VALUES) -> T:
        """The body as `shape`, numbers and booleans in quotes accepted.

        Raises: ProtocolError when the body is not JSON of that shape; AnswerTooLarge.
        """
        return decode_json(self.body, shape, max_values)


class NoAnswer(RemoteUnavailable):
    """A call got no usable answer.

    `was_sent` is False only when the request surely never left us; `is_timeout` is True when
    the server, or a gateway before it, was too slow; `reply` is what came instead, if anything.
    These are about the last try; `may_have_arrived` is about all of them. A 429 is an answer,
    and says that nothing was done.
    """

    def __init__(
        self,
        message: str,
        *,
        was_sent: bool = True,
        is_timeout: bool = False,
        reply: Reply | None = None,
        is_final: bool = False,
        hint: str = NEXT_RUN,
    ) -> None:
        super().__init__(message, hint=hint)
        self.was_sent = was_sent
        self.is_timeout = is_timeout
        self.reply = reply
        self.is_final = is_final
        self.may_have_arrived = was_sent and not self.is_429

    @property
    def is_429(self) -> bool:
        """Whether we were told to slow down."""
        return self.reply is not None and self.reply.status == 429


class AnswerTooLarge(ProtocolError):
    """An answer is larger than what was asked for can be; asking for less may help."""


def decode_json(body: bytes, shape: type[T], max_values: int = MAX_VALUES) -> T:
    """Decode JSON into `shape`; what is wrong is told by its place, never by its content.

    Raises: ProtocolError; AnswerTooLarge when there are more than so many values in it.
    """
    may_be_too_many = len(body) > 2 * max_values  # a value has two bytes, with its comma or bracket
    if may_be_too_many and len(body.translate(None, _BEFORE_NO_VALUE)) > max_values:
        raise AnswerTooLarge("an answer is larger than any that mcsync asks for")
    try:
        return _decoder_of(shape).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        where = re.search(r"at `[^`]*`", str(error))
        place = f" {where.group()}" if where else ""
        raise ProtocolError(f"an answer is not the JSON that mcsync expects{place}") from None


_decoders: dict[object, msgspec.json.Decoder[Any]] = {}
_making = threading.Lock()


def _decoder_of(shape: type[T]) -> "msgspec.json.Decoder[T]":
    """The decoder for a shape, made once.

    While one thread makes what msgspec has to know of a Struct, another one that decodes the same
    for the first time finds it half made, and the process dies.
    """
    decoder = _decoders.get(shape)
    if decoder is None:
        with _making:
            decoder = _decoders.get(shape)
            if decoder is None:
                decoder = _decoders[shape] = msgspec.json.Decoder(shape, strict=False)
    return decoder


class _Session(requests.Session):
    """Redirects are not followed, so where they lead is not read: it may be no address at all."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


@contextmanager
def threads(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Some threads, to ask at the same time.

    What is under way is waited for, whatever else failed: a write must not arrive after the run's
    end. Only a signal does not wait, as the process ends with it.
    """
    pool = ThreadPoolExecutor(count, name)
    try:
        yield pool
    except (Exception, GeneratorExit):
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


class HttpClient:
    """The calls to one service: at most `max_connections` at once, over kept connections.

    Redirects are never followed, cookies and .netrc are ignored, certificates always checked.
    `service` is what messages call it; `address_key` is where the config has its address.
    `sleep` and `clock` (seconds, monotonic) are for tests. With
    `hides_path` the log has no paths, where these are secrets.

    An answer may take as long as its first byte may, and TRANSFER_S; `ends_at`, a time of `clock`
    or None, is when the run's own time is over: a call that may be repeated is broken off then, but
    `least_s` (None: LEAST_S) after it began at the earliest.
    """

    def __init__(
        self,
        *,
        max_connections: int,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        service: str = "",
        address_key: str = "",
        ends_at: float | None = None,
        least_s: float | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        hides_path: bool = False,
    ) -> None:
        self._ends_at = ends_at
        self._least_s = least_s
        self._hides_path = hides_path
        self._max_answer_bytes = max_answer_bytes
        self._service = service
        self._address_key = address_key
        self._sleep = sleep
        self._clock = clock
        self._slots = threading.BoundedSemaphore(max_connections)
        self._session = _Session()
        self._session.headers["User-Agent"] = f"mcsync/{__version__}"
        self._session.headers["Accept-Encoding"] = ACCEPTED
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _no_auth
        adapter = BoundedAdapter(pool_connections=4, pool_maxsize=max_connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(
        self,
        method: str,
        url: str,
        *,
        is_repeatable: bool,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout_s: float = READ_TIMEOUT_S,
        expects_json: bool = True,
        may_ask_for_less: bool = False,
        waits_for_429: bool = False,
        deadline_s: float = DEADLINE_S,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Reply:
        """Send one request and return its answer, whatever its status below 500 except 429.

        A repeatable call is retried on connection trouble, time-outs, 429, 5xx, and on a body
        that is not JSON with a 2xx or 403 when `expects_json`. One that is not repeatable is
        retried only when it surely never left us: refused, or no address for the host; and
        after a 429 with `waits_for_429`, where that says for sure that nothing was done.
        With `may_ask_for_less` time-outs, 502 and 504 are not retried: the caller asks for less.
        No try begins later than `deadline_s` after the first.

        Raises: NoAnswer (a RemoteUnavailable) when there is no usable answer in the end;
        AnswerTooLarge when one has more than `max_bytes`, ProtocolError when it is odd otherwise.
        """
        request = requests.Request(method, url, headers=headers, params=params, data=data)
        most = min(max_bytes, self._max_answer_bytes)
        may_be_cut = is_repeatable or method == "GET"  # it changes nothing
        bounds = _Bounds(timeout_s, timeout_s + TRANSFER_S, most, may_be_cut)
        attempt = partial(self._attempt, request, bounds, expects_json, None)

        def is_worth_repeating(error: BaseException) -> bool:
            if not isinstance(error, NoAnswer) or error.is_final:
                return False
            if may_ask_for_less and error.is_timeout and error.was_sent:
                return False
            return is_repeatable or not error.was_sent or (waits_for_429 and error.is_429)

        return self._retrying(is_worth_repeating, attempt, deadline_s)

    def download(self, url: str, into: BinaryIO, *, max_bytes: int) -> Reply:
        """Fetch a file without any credentials; a 200's body goes to `into`, others to `body`.

        Retried like a repeatable call, `into` being emptied each time.
        Raises: NoAnswer; ProtocolError when there are more than `max_bytes`.
        """
        request = requests.Request("GET", url, headers={"Accept-Encoding": "identity"})
        bounds = _Bounds(READ_TIMEOUT_S, DOWNLOAD_S, max_bytes, True)
        attempt = partial(self._attempt, request, bounds, False, into)
        return self._retrying(lambda e: isinstance(e, NoAnswer) and not e.is_final, attempt)

    def pause(self, seconds: float) -> None:
        """Wait, for callers that pace themselves."""
        self._sleep(seconds)

    def _retrying(
        self,
        is_worth_repeating: Callable[[BaseException], bool],
        attempt: Callable[[], Reply],
        deadline_s: float = DEADLINE_S,
    ) -> Reply:
        begun = self._clock()
        may_have_arrived = False

        def attempt_once() -> Reply:
            nonlocal may_have_arrived
            try:
                return attempt()
            except NoAnswer as error:
                may_have_arrived |= error.may_have_arrived
                error.may_have_arrived = may_have_arrived
                raise

        def is_enough(state: tenacity.RetryCallState) -> bool:
            wait = state.upcoming_sleep
            next_at = self._clock() + wait
            too_late = next_at - begun > deadline_s or (
                self._ends_at is not None and next_at > self._ends_at
            )
            return state.attempt_number > RETRIES or wait > LONGEST_WAIT_S or too_late

        retrying = tenacity.Retrying(
            sleep=self._sleep,
            retry=tenacity.retry_if_exception(is_worth_repeating),
            wait=_wait_s,
            stop=is_enough,
            reraise=True,
        )
        return retrying(attempt_once)

    def _attempt(
        self,
        request: requests.Request,
        bounds: "_Bounds",
        expects_json: bool,
        into: BinaryIO | None,
    ) -> Reply:
        try:
            host = place_of(request.url)
        except ValueError:
            raise _no_address("the address") from None
        if self._service and into is None:  # files lie elsewhere
            host = f"{self._service} at {host}"
        with self._slots, self._watched(request) as seen:
            begun = self._clock()
            try:
                reply = self._exchange(request, bounds, into)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise _no_answer(host, error, bounds.timeout_s, self._address_key) from None
            except TooSlow as error:
                raise _too_slow(host, self._clock() - begun, error.is_silent) from None
            except TooMuch as error:
                raise AnswerTooLarge(f"{host} sends {error}") from None
            except OutOfBounds as error:
                raise ProtocolError(f"{host} sends {error}") from None
            seen.append(reply.status)
        what = _trouble(reply, expects_json)
        if what:
            slow = reply.status in (502, 504)  # mailchimp: Errors: 502 too is a time-out there
            raise NoAnswer(f"{host} {what}", is_timeout=slow, reply=reply)
        return reply

    def _exchange(
        self, request: requests.Request, bounds: "_Bounds", into: BinaryIO | None
    ) -> Reply:
        prepared = self._session.prepare_request(request)
        settings = self._session.merge_environment_settings(
            prepared.url, {}, stream=True, verify=True, cert=None
        )
        watch = self._begin_watch(bounds)
        timeouts = (min(CONNECT_TIMEOUT_S, watch.left_s), bounds.timeout_s)
        with (
            watching(watch),
            self._session.send(
                prepared, timeout=timeouts, allow_redirects=False, **settings
            ) as response,
        ):
            body = b""
            if into is not None and response.status_code == 200:
                _copy(response, into, bounds.max_bytes)
            else:
                body = read_body(response, min(bounds.max_bytes, self._max_answer_bytes))
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status_code, headers, body)

    def _begin_watch(self, bounds: "_Bounds") -> Watch:
        """The time and the bytes that an exchange gets, beginning now."""
        now = self._clock()
        ends_at = now + bounds.whole_s
        if self._ends_at is not None and bounds.may_be_cut:
            least_s = LEAST_S if self._least_s is None else self._least_s
            ends_at = min(ends_at, max(self._ends_at, now + least_s))
        return Watch(ends_at, bounds.max_bytes, self._clock)

    @contextmanager
    def _watched(self, request: requests.Request) -> Iterator[list[int]]:
        """Tell the log about one attempt; queries and bodies stay out."""
        begun = self._clock()
        seen: list[int] = []
        try:
            yield seen
        finally:
            log.debug(
                "%s %s%s: %s in %.2f s",
                request.method,
                place_of(request.url),
                "/…" if self._hides_path else shorten_ids(urlsplit(request.url).path),
                seen[0] if seen else "no answer",
                self._clock() - begun,
            )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What one exchange may take: seconds of silence, seconds in all, and bytes.

    `may_be_cut`: it may be broken off when the time of the run is over.
    """

    timeout_s: float
    whole_s: float
    max_bytes: int
    may_be_cut: bool


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from taking a password for the host out of .netrc."""
    return request


def _copy(response: requests.Response, into: BinaryIO, max_bytes: int) -> None:
    into.seek(0)
    into.truncate()
    for piece in read_pieces(response, max_bytes):
        into.write(piece)


def _trouble(reply: Reply, expects_json: bool) -> str:
    """What is wrong with an answer that a later try may mend; empty when nothing is."""
    if reply.status == 429:
        return "asks mcsync to slow down (HTTP 429)"
    if reply.status >= 500:
        return f"has a problem (HTTP {reply.status})"
    due = reply.status == 403 or (reply.is_success and reply.status != 204)
    if expects_json and due and not reply.is_json:
        return f"answered HTTP {reply.status} with a page instead of data"
    return ""


def place_of(url: str) -> str:
    """Host and port of an address, for messages; without user and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _no_answer(host: str, error: Exception, timeout_s: float, address_key: str) -> NoAnswer:
    """Our words for a failed exchange; the library's own may quote addresses and signatures."""
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        bad_certificate = "CERTIFICATE_VERIFY_FAILED" in str(error)
        what = "has no valid certificate" if bad_certificate else "broke off the TLS handshake"
        return NoAnswer(f"{host} {what}", is_final=bad_certificate, was_sent=not bad_certificate)
    if isinstance(error, requests.exceptions.ProxyError):
        was_sent = not _is_before_the_proxy(error)
        return NoAnswer(f"{host} cannot be reached through the proxy", was_sent=was_sent)
    if isinstance(error, requests.ConnectTimeout) or _is_unconnected(error):
        hint = f"{NEXT_RUN}; if it keeps happening, check {address_key} in the config"
        return NoAnswer(
            f"{host} cannot be reached", was_sent=False, hint=hint if address_key else NEXT_RUN
        )
    is_timeout = isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError)
    if is_timeout or "timed out" in str(error).lower():
        return NoAnswer(f"{host} did not answer within {timeout_s:.0f} s", is_timeout=True)
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
        return _no_address(host or "the address")
    return NoAnswer(f"{host} closed the connection before answering")


def _too_slow(host: str, took_s: float, is_silent: bool) -> NoAnswer:
    """For an answer that comes, and comes, and is not whole when its time is over; or for none."""
    what = "did not answer within" if is_silent else "had not finished its answer after"
    return NoAnswer(f"{host} {what} {took_s:.0f} s", is_timeout=True, is_final=True)


def _is_before_the_proxy(error: Exception) -> bool:
    """Whether the proxy was not there, or did not make the way that a request was to go."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    cause = getattr(reason, "original_error", None)
    return isinstance(cause, NewConnectionError) or str(cause).startswith("Tunnel connection")


def _no_address(what: str) -> NoAnswer:
    return NoAnswer(f"{what} is not a valid address", is_final=True, was_sent=False)


def _is_unconnected(error: Exception) -> bool:
    """Whether no connection came about: urllib3 then never wrote a byte of the request."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError)


def _wait_s(state: tenacity.RetryCallState) -> float:
    """Seconds until the next try: as `Retry-After` says, else random and ever longer.

    A longer wait than LONGEST_WAIT_S ends the retries instead: coming back sooner than we were
    told would not be obeying.
    """
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, NoAnswer) and error.reply is not None:
        told = _retry_after_s(error.reply)
        if told is not None:
            return told
    was_reached = not isinstance(error, NoAnswer) or error.was_sent
    longest = min(60.0 if was_reached else UNREACHED_WAIT_S, 2.0**state.attempt_number)
    return random.uniform(longest / 2, longest)  # noqa: S311  # spreads load, guards nothing


def _retry_after_s(reply: Reply) -> float | None:
    """`Retry-After` in seconds from the server's own now; None when absent or unreadable."""
    value = reply.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    at = _read_date(value)
    return None if at is None else max(0.0, (at - reply.served_at).total_seconds())


def _read_date(text: str) -> datetime | None:
    """A date of HTTP, aware; None for anything else."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
