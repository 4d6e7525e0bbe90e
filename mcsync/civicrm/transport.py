"""APIv4 over HTTP: requests out, checked answers in.

HTTP 200 is not success here, and an error may hide in one element of an answer (civicrm: Answers).
So every answer goes through this module, which believes only JSON with `values`.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from mcsync.civicrm.endpoint import call_url, endpoint, url_templates, whoami_url
from mcsync.errors import McsyncError, ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.http import NEXT_RUN, HttpClient, NoAnswer, Reply, decode_json, place_of
from mcsync.model import Permission
from mcsync.text import MOST_WORDS, fit

log = logging.getLogger("mcsync.civicrm")

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
T_co = TypeVar("T_co", covariant=True)

_URL_HINT = "check civicrm.url in the config: the site's base URL, or its full APIv4 endpoint"
_READING = ("get", "getMergedTo", "checkAccess", "refresh")
_PERMISSIONS = {  # measured (civicrm: Permissions)
    ("Contact", "save"): Permission.ADD,
    ("Contact", "create"): Permission.ADD,
    ("Contact", "update"): Permission.EDIT,
    ("Contact", "get"): Permission.VIEW,
    ("GroupContact", "save"): Permission.EDIT,
    ("Email", "create"): Permission.EDIT,
    ("Email", "update"): Permission.EDIT,
}


class WireAnswer(msgspec.Struct, Generic[T]):
    """An answer, or one element of an answer to several calls; an error has no `values`."""

    values: list[T] | None = None
    error_message: str = ""
    error_code: int | str | None = None
    status: int | str | None = None


class WireTrouble(msgspec.Struct):
    """What stands in an error; maintenance mode uses other keys than the rest."""

    error_message: str = ""
    error_id: str = ""
    status_message: str = ""


class WireWhoami(msgspec.Struct):
    """Who a credential belongs to."""

    contact_id: int | None = None


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One action with its parameters, and the shape of each of its `values`."""

    entity: str
    action: str
    params: Mapping[str, object]
    shape: type[T_co]

    @property
    def is_repeatable(self) -> bool:
        """Whether it only reads, so that to repeat it does no harm."""
        return self.action in _READING


def get(entity: str, shape: type[S], **params: object) -> Call[S]:
    """Read rows of a shape; its fields are those that are asked for."""
    return Call(entity, "get", {"select": shape.__struct_encode_fields__, **params}, shape)


class CallFailed(ProtocolError):
    """CiviCRM carried out a call and says that it failed; the request is over there."""


class TooLarge(ProtocolError):
    """The web server takes no body of that size."""


class Transport:
    """Sends calls to one site, which it finds and logs in to at the first one.

    Safe to use from several threads.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        site_key: str | None,
        http: HttpClient,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._warn = warn or log.warning
        self._templates = url_templates(url)
        self._place = place_of(url) or url
        self.host = f"CiviCRM at {self._place}"
        self._http = http
        self._secrets = (api_key, site_key or "")
        self._headers = {
            "X-Civi-Auth": f"Bearer {api_key}",
            "X-Requested-With": "XMLHttpRequest",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        if site_key:
            self._headers["X-Civi-Key"] = site_key
        self._connecting = threading.Lock()
        self._template: str | None = None
        self._contact_id = 0

    def connect(self, *, is_forced: bool = False) -> int:
        """Find the form of address that works, log in, and tell our own contact id.

        Raises: ProtocolError when nothing there is CiviCRM, RemoteRefused, RemoteUnavailable.
        """
        with self._connecting:
            if self._template is None or is_forced:
                self._contact_id = self._log_in()
            return self._contact_id

    @property
    def found_url(self) -> str | None:
        """The endpoint that works, when it is another than the config's address suggests."""
        if self._template is None or self._template == self._templates[0]:
            return None
        return endpoint(self._template)

    def call(self, call: Call[T]) -> list[T]:
        """Make one call and return its values.

        Raises: CallFailed when CiviCRM says that it failed; NoAnswer when that is not known.
        """
        fields = {"params": call.params}
        reply = self._post(call.entity, call.action, fields, call.is_repeatable)
        return self._values(reply.decode(WireAnswer[call.shape]), call)  # type: ignore[name-defined]

    def call_all(self, calls: Sequence[Call[object]]) -> tuple[list[msgspec.Raw], datetime]:
        """Make several calls in one request: one undecoded answer each, and the server's clock.

        Raises: ProtocolError when the number of answers is not that of the calls.
        """
        wired = [(call.entity, call.action, call.params) for call in calls]
        is_repeatable = all(call.is_repeatable for call in calls)
        reply = self._post("", "", {"calls": wired}, is_repeatable)
        answers = reply.decode(list[msgspec.Raw])
        if len(answers) != len(calls):
            raise ProtocolError(f"{self.host} gave {len(answers)} answers to {len(calls)} calls")
        return answers, reply.served_at

    def read(self, answer: msgspec.Raw, call: Call[T]) -> list[T]:
        """The values of one of several answers.

        Raises: CallFailed, RemoteRefused.
        """
        shape = WireAnswer[call.shape]  # type: ignore[name-defined]
        return self._values(decode_json(bytes(answer), shape), call)

    # --- one request --------------------------------------------------------------------------

    def _log_in(self) -> int:
        for template in self._templates:
            reply = self._send(whoami_url(template), b"", is_repeatable=True, expects_json=False)
            if reply.status == 404 or (reply.is_success and not reply.is_json):
                continue  # another form of address may be right
            self._check(reply, "", "")
            self._remember(template)
            contact_id = reply.decode(WireWhoami).contact_id
            if not contact_id:
                raise RemoteRefused(
                    f"{self.host} does not know whose API key this is",
                    hint="use the API key of a contact that has a user account on the site",
                )
            return contact_id
        raise ProtocolError(
            f"there is no CiviCRM at {self._place}: it answered HTTP {reply.status} and a page",
            hint=f"{_URL_HINT}, for example {endpoint(self._templates[-1])}",
        )

    def _remember(self, template: str) -> None:
        if self._template is None and template != self._templates[0]:
            self._warn(
                "CiviCRM does not answer at clean URLs; set civicrm.url in the config to"
                f" {endpoint(template)}"
            )
        self._template = template

    def _post(
        self, entity: str, action: str, fields: Mapping[str, object], is_repeatable: bool
    ) -> Reply:
        self.connect()
        assert self._template is not None  # noqa: S101  # connect() has set it, or raised
        form = {name: msgspec.json.encode(value).decode() for name, value in fields.items()}
        url = call_url(self._template, entity, action)
        reply = self._send(url, urlencode(form).encode(), is_repeatable=is_repeatable)
        if not entity and _are_failures(reply):
            return reply  # each of several calls failed, and tells why
        self._check(reply, entity, action)
        return reply

    def _send(
        self, url: str, body: bytes, *, is_repeatable: bool, expects_json: bool = True
    ) -> Reply:
        """One POST; its answer, or what its absence means."""
        try:
            return self._http.send(
                "POST",
                url,
                is_repeatable=is_repeatable,
                headers=self._headers,
                data=body,
                expects_json=expects_json,
            )
        except NoAnswer as error:
            if error.reply is not None and _are_failures(error.reply):
                return error.reply
            raise self._told(error) from None

    def _told(self, error: NoAnswer) -> McsyncError:
        """What a 5xx, or a page instead of data, says about the call, as an error to raise."""
        reply = error.reply
        if reply is None or reply.status == 429:
            return error
        words = self._text_of(reply)
        if (refused := self._find_gatekeeper(reply)) is not None:
            return refused
        if reply.status == 503 and reply.is_json:
            return RemoteUnavailable(f"{self.host} is in maintenance mode: {words}", hint=NEXT_RUN)
        if reply.status == 500 and reply.is_json:
            return CallFailed(f"{self.host} says: {words}", hint=_LOG_HINT)
        said = "" if words.startswith("HTTP ") else f": {words}"
        return NoAnswer(f"{error.message}{said}", is_timeout=error.is_timeout, reply=reply)

    def _check(self, reply: Reply, entity: str, action: str) -> None:
        """Raise what a status other than success means."""
        if reply.is_success and reply.is_json:
            return
        if (refused := self._find_gatekeeper(reply)) is not None:
            raise refused
        words = self._text_of(reply)
        if 300 <= reply.status < 400:
            raise ProtocolError(
                f"{self.host} answered with a redirect (HTTP {reply.status})", hint=_URL_HINT
            )
        if reply.status == 401:
            raise RemoteRefused(f"{self.host} refused the API key: {words}", hint=_LOGIN_HINT)
        if reply.status == 403:
            raise self._denied(entity, action, words)
        if reply.status == 413:
            raise TooLarge(f"{self.host} does not accept a request of this size (HTTP 413)")
        raise ProtocolError(f"{self.host} did not accept a request: {words}", hint=_URL_HINT)

    def _find_gatekeeper(self, reply: Reply) -> RemoteRefused | None:
        """What stands before CiviCRM and keeps us from it, if that is who answered."""
        way = "let it pass requests to CiviCRM's API, from this machine's address or from all"
        if reply.status == 401 and reply.headers.get("www-authenticate", "").lower()[:5] == "basic":
            return RemoteRefused(
                f"{self.host} was not reached: the web server in front of it asks for a password"
                " (HTTP Basic Auth)",
                hint=f"mcsync sends none, so {way}",
            )
        is_page = "html" in reply.headers.get("content-type", "")
        if reply.status in (401, 403) and is_page and self._text_of(reply).startswith("HTTP "):
            return RemoteRefused(
                f"{self.host} was not reached: something in front of it, such as a firewall,"
                f" refused the request (HTTP {reply.status} and a page)",
                hint=way,
            )
        return None

    def _text_of(self, reply: Reply) -> str:
        """CiviCRM's own words for an error; the Error ID is part of them."""
        words = fit(_find_words(reply), self._secrets)
        if not reply.is_json and "html" not in reply.headers.get("content-type", ""):
            words = words[:_MOST_PLAIN]
        return words or f"HTTP {reply.status}"

    def _denied(self, entity: str, action: str, words: str) -> RemoteRefused:
        permission = _PERMISSIONS.get((entity, action), Permission.ACCESS)
        what = f"{entity}.{action}" if entity else "a call"
        return RemoteRefused(
            f"{self.host} does not let the API user do {what}: {words}",
            hint=permission.hint,
        )

    def _values(self, answer: WireAnswer[T], call: Call[T]) -> list[T]:
        if answer.values is not None and answer.error_code is None:
            return answer.values
        words = fit(answer.error_message, self._secrets) or "an answer without values"
        if answer.status in (403, "403"):
            raise self._denied(call.entity, call.action, words)
        raise CallFailed(f"{self.host} says about {call.entity}.{call.action}: {words}")


_MOST_PLAIN = 200  # characters of what is neither data nor a page
_LOG_HINT = "CiviCRM's log on the server has more under the Error ID"
_LOGIN_HINT = (
    f'check the API key, and give its user the permission "{Permission.LOG_IN}", '
    "or set civicrm.siteKey in the config"
)


def _are_failures(reply: Reply) -> bool:
    """Whether this is the list of answers to several calls which all failed."""
    return reply.status == 500 and reply.is_json and reply.body.lstrip().startswith(b"[")


def _find_words(reply: Reply) -> str:
    """What an error says, as it stands there."""
    if reply.is_json:
        try:
            trouble = reply.decode(WireTrouble)
        except ProtocolError:
            return ""
        words = trouble.error_message or trouble.status_message
        if trouble.error_id and trouble.error_id not in words:
            mark = f"(Error ID: {trouble.error_id})"
            words = f"{words} {mark}" if len(words) < MOST_WORDS // 2 else f"{mark} {words}"
        return words
    if "html" not in reply.headers.get("content-type", ""):
        return reply.body[:MOST_WORDS].decode("utf-8", "replace").strip()
    _, found, after = reply.body.partition(b'crm-error-message">')
    told = after[: 2 * MOST_WORDS].partition(b"<")[0] if found else b""
    return told.decode("utf-8", "replace").strip()
