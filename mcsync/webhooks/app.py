"""The WSGI application that Mailchimp's and CiviCRM's deliveries come to, for any WSGI server.

| answer | to |
|---|---|
| 200 | a payload that is stored now; GET and HEAD, by which Mailchimp looks if we are there |
| 204 | nothing for us: a campaign, an audience that is not in the config |
| 400, 413 | no payload; one over 1 MiB |
| 401 | a wrong secret or signature, before anything is told about the payload |
| 404, 405 | another path, another method |
| 503 | it could not be stored in time; Mailchimp sends it again, for 75 minutes |

Never 410, which has Mailchimp drop the webhook for good. Neither payload, nor query, nor secret
is ever logged; of what CiviCRM tells the contacts' ids are.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import unquote_to_bytes

from mcsync.model import ContactsTold, Delivery, WebhookEvent
from mcsync.text import GREETING, HOOK_ENDING
from mcsync.webhooks.auth import Gate, Proof
from mcsync.webhooks.payload import MAX_BODY, NotAPayload, Payload, parse_delivery

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIEnvironment

log = logging.getLogger("mcsync")

ENDINGS = ("/webhook", "/batch-webhook")  # a proxy may have taken off what stands before
_MAX_DIGITS = 18
_AN_HOUR = timedelta(hours=1)
_MOST_SHOWN = 10


class _Refusal(Exception):
    """A request whose body need not be read, or cannot be; `status` is the answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class WebhookApp:
    """Judges deliveries and has `store` keep them; called from many threads.

    `store` returns whether a delivery is on the disk. `list_ids` are the audiences we care for.
    `paths` are those of the configured URLs; None is for a server that chose the path already.
    Which of the paths a payload comes to makes no difference: it tells what it is itself.
    `warns`: what is refused is worth a warning, once an hour.
    """

    def __init__(
        self,
        gate: Gate,
        store: Callable[[Delivery], bool],
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
        self._endings = (*ENDINGS, HOOK_ENDING) if gate.expects_civicrm else ENDINGS
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
        body = b"" if method == "POST" or status != HTTPStatus.OK else GREETING
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
        return path in self._paths or path.endswith(self._endings)

    def _take(self, request: "WSGIEnvironment") -> HTTPStatus:
        body = read_body(request)
        query = str(request.get("QUERY_STRING", "")).encode("latin-1", "replace")
        proof = Proof(query, str(request.get("HTTP_X_MAILCHIMP_SIGNATURE", "")), body)
        try:
            payload = parse_delivery(body)
        except NotAPayload:
            payload = None
        now = self._clock()
        if not self._gate.admits(payload, proof, now):
            is_civicrm = isinstance(payload, ContactsTold)
            self._refusals.tell(self._gate.find_fault(payload, proof), now, is_civicrm=is_civicrm)
            return HTTPStatus.UNAUTHORIZED
        if payload is None:
            return HTTPStatus.BAD_REQUEST
        delivery = payload if isinstance(payload, ContactsTold) else payload.event
        if not is_for_us(delivery, self._list_ids):
            return HTTPStatus.NO_CONTENT
        if not self._store(delivery):
            return HTTPStatus.SERVICE_UNAVAILABLE
        log.debug("%s", text_of_delivery(payload))
        return HTTPStatus.OK


class _Refusals:
    """Tells that webhooks are refused: loud at most once an hour, for anybody may send some."""

    def __init__(self, warns: bool) -> None:
        self._warns = warns
        self._lock = threading.Lock()
        self._told_at: datetime | None = None
        self._since = 0

    def tell(self, fault: str, now: datetime, *, is_civicrm: bool) -> None:
        """Log one more; `fault` is what was wrong, never what it was."""
        what = "what was to be CiviCRM's hook" if is_civicrm else "a webhook"
        with self._lock:
            is_loud = self._warns and (self._told_at is None or now - self._told_at >= _AN_HOUR)
            since = self._since
            self._told_at, self._since = (now, 0) if is_loud else (self._told_at, since + 1)
        if not is_loud:
            log.info("%s was refused: its %s is wrong", what, fault)
            return
        log.warning(
            "%s was refused: its %s is wrong%s; %s",
            what,
            fault,
            f" ({since:,} more were refused since the last warning)" if since else "",
            "compare the address that CiviCRM has with civicrm.hookSecret in the config"
            if is_civicrm
            else 'if it came from Mailchimp, run "mcsync check"',
        )


def is_for_us(delivery: Delivery | None, list_ids: Collection[str]) -> TypeGuard[Delivery]:
    """Whether there is something of a contact, of a batch, or of an audience that we care for."""
    if isinstance(delivery, WebhookEvent):
        return bool(delivery.batch_id) or delivery.list_id in list_ids
    return delivery is not None


def text_of_delivery(payload: Payload | ContactsTold) -> str:
    """What was stored, for the log."""
    if not isinstance(payload, ContactsTold):
        return f"a webhook is stored: {payload.type}"
    shown = ", ".join(map(str, payload.contact_ids[:_MOST_SHOWN]))
    more = len(payload.contact_ids) - _MOST_SHOWN
    return f"CiviCRM told of contact {shown}{f' and {more:,} more' if more > 0 else ''}"


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
