"""The WSGI application that Mailchimp's deliveries come to; any WSGI server can host it.

| answer | to |
|---|---|
| 200 | a payload that is stored now; GET and HEAD, by which Mailchimp looks if we are there |
| 204 | nothing for us: a campaign, an audience that is not in the config |
| 400, 413 | no payload; one over 1 MiB |
| 401 | a wrong secret or signature, before anything is told about the payload |
| 404, 405 | another path, another method |
| 503 | it could not be stored in time; Mailchimp sends it again, for 75 minutes |

Never 410, which has Mailchimp drop the webhook for good. Neither payload, nor query, nor secret
is ever logged.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import unquote_to_bytes

from mcsync.model import WebhookEvent
from mcsync.webhooks.auth import Gate, Proof
from mcsync.webhooks.payload import MAX_BODY, NotAPayload, parse_payload

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIEnvironment

log = logging.getLogger("mcsync")

ENDINGS = ("/webhook", "/batch-webhook")  # a proxy may have taken off what stands before
_GREETING = b"mcsync takes Mailchimp's webhooks here.\n"
_MAX_DIGITS = 18
_AN_HOUR = timedelta(hours=1)


class _Refusal(Exception):
    """A request whose body need not be read, or cannot be; `status` is the answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class WebhookApp:
    """Judges deliveries and has `store` keep them; called from many threads.

    `store` returns whether the event is on the disk. `list_ids` are the audiences we care for.
    `paths` are those of the configured URLs; None is for a server that chose the path already.
    Which of the paths a payload comes to makes no difference: it tells what it is itself.
    `warns`: what is refused is worth a warning, once an hour.
    """

    def __init__(
        self,
        gate: Gate,
        store: Callable[[WebhookEvent], bool],
        list_ids: Collection[str],
        paths: Collection[str] | None,
        clock: Callable[[], datetime],
        *,
        warns: bool = True,
    ) -> None:
        self._gate = gate
        self._store = store
        self._list_ids = frozenset(list_ids)
        self._paths = None if paths is None else {clean_path(path) for path in paths}
        self._clock = clock
        self._refusals = _Refusals(warns)

    def __call__(
        self, request: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        try:
            status = self._answer(request)
        except Exception as error:  # whatever somebody sends, it is told to nobody
            log.error("unexpected failure at a webhook, %s; please report it", type(error).__name__)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        method = request.get("REQUEST_METHOD")
        body = b"" if method == "POST" or status != HTTPStatus.OK else _GREETING
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        if status == HTTPStatus.NO_CONTENT:  # has neither
            headers.clear()
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD, POST"))
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if method == "HEAD" else [body]

    def _answer(self, request: "WSGIEnvironment") -> HTTPStatus:
        if not self._is_ours(request):
            return HTTPStatus.NOT_FOUND
        method = request.get("REQUEST_METHOD")
        if method in ("GET", "HEAD"):
            return HTTPStatus.OK
        if method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        try:
            return self._take(request)
        except _Refusal as refusal:
            return refusal.status

    def _is_ours(self, request: "WSGIEnvironment") -> bool:
        if self._paths is None:
            return True
        path = str(request.get("SCRIPT_NAME", "")) + str(request.get("PATH_INFO", ""))
        path = path.rstrip("/")
        return path in self._paths or path.endswith(ENDINGS)

    def _take(self, request: "WSGIEnvironment") -> HTTPStatus:
        body = read_body(request)
        query = str(request.get("QUERY_STRING", "")).encode("latin-1", "replace")
        proof = Proof(query, str(request.get("HTTP_X_MAILCHIMP_SIGNATURE", "")), body)
        try:
            payload = parse_payload(body)
        except NotAPayload:
            payload = None
        now = self._clock()
        if not self._gate.admits(payload, proof, now):
            self._refusals.tell(self._gate.find_fault(payload, proof), now)
            return HTTPStatus.UNAUTHORIZED
        if payload is None:
            return HTTPStatus.BAD_REQUEST
        if not is_for_us(payload.event, self._list_ids):
            return HTTPStatus.NO_CONTENT
        if not self._store(payload.event):
            return HTTPStatus.SERVICE_UNAVAILABLE
        log.debug("a webhook is stored: %s", payload.type)
        return HTTPStatus.OK


class _Refusals:
    """Tells that webhooks are refused: loud at most once an hour, for anybody may send some."""

    def __init__(self, warns: bool) -> None:
        self._warns = warns
        self._lock = threading.Lock()
        self._told_at: datetime | None = None
        self._since = 0

    def tell(self, fault: str, now: datetime) -> None:
        """Log one more; `fault` is what was wrong, never what it was."""
        with self._lock:
            is_loud = self._warns and (self._told_at is None or now - self._told_at >= _AN_HOUR)
            since = self._since
            self._told_at, self._since = (now, 0) if is_loud else (self._told_at, since + 1)
        if not is_loud:
            log.info("a webhook was refused: its %s is wrong", fault)
            return
        log.warning(
            "a webhook was refused: its %s is wrong%s; if it came from Mailchimp, run"
            ' "mcsync check"',
            fault,
            f" ({since:,} more were refused since the last warning)" if since else "",
        )


def is_for_us(event: WebhookEvent | None, list_ids: Collection[str]) -> TypeGuard[WebhookEvent]:
    """Whether there is an event, of a batch or of an audience that we care for."""
    return event is not None and (bool(event.batch_id) or event.list_id in list_ids)


def clean_path(path: str) -> str:
    """The path of a URL in the form in which WSGI tells it, without a last slash."""
    return unquote_to_bytes(path).decode("latin-1").rstrip("/")


def read_body(request: Mapping[str, object]) -> bytes:
    """The body of a request, however long it says to be: at most 1 MiB is ever read.

    Raises: _Refusal with 400 when its length is nonsense or its end is missing, with 413 when it
    is too long.
    """
    stream: InputStream = request["wsgi.input"]  # type: ignore[assignment]
    told = str(request.get("CONTENT_LENGTH") or "").strip()
    if not told:
        # Without a length there is a body only where the server marks its end, as for chunks.
        return _read_at_most(stream, MAX_BODY + 1) if request.get("wsgi.input_terminated") else b""
    if not (told.isascii() and told.isdecimal()):
        raise _Refusal(HTTPStatus.BAD_REQUEST)
    length = int(told[:_MAX_DIGITS]) if len(told) <= _MAX_DIGITS else MAX_BODY + 1
    if length > MAX_BODY:
        raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    body = _read_at_most(stream, length)
    if len(body) < length:
        raise _Refusal(HTTPStatus.BAD_REQUEST)
    return body


def _read_at_most(stream: "InputStream", size: int) -> bytes:
    """Read so many bytes, fewer only at the end; 413 if that is more than a payload may have."""
    parts, left = [], size
    try:
        while left and (part := stream.read(left)):
            parts.append(part)
            left -= len(part)
    except OSError:  # the sender went away
        raise _Refusal(HTTPStatus.BAD_REQUEST) from None
    body = b"".join(parts)
    if len(body) > MAX_BODY:
        raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return body
