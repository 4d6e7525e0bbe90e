"""The web side: URL forms of the two CMS, AuthX, form fields, status codes and HTML pages."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal
from urllib.parse import parse_qs, quote

import msgspec

from mcsync.sandbox.civicrm.api import Api
from mcsync.sandbox.civicrm.errors import ApiError, PageError, wrong_type
from mcsync.sandbox.civicrm.users import ANONYMOUS, DEBUG, LOG_IN, User
from mcsync.sandbox.server import Request, Response

Cms = Literal["wordpress", "standalone"]
_API = "civicrm/ajax/api4"
_WHOAMI = "civicrm/authx/id"
_NO_PARAMS = frozenset({"params", "index", "q", "civiwp", "page", "calls", "_authx"})
_ALERT = "SECURITY ALERT: Ajax requests can only be issued by javascript clients, eg. CRM.api4()."
_GET_REFUSED = "SECURITY: All requests that modify the database must be http POST, not GET."
_GUARD = "HTTP 401 Login not permitted. Must satisfy guard (site_key, perm)."
_MAX_URL = 8192  # nginx's default header buffer: 7 KB passed, 15 KB was 414
_COOKIE = {"Set-Cookie": "PHPSESSID=simulated; path=/"}
_CANDIDATES = string.ascii_letters + string.digits


class _Answer(Exception):
    """An answer that ends the request early."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True, slots=True)
class LoggedError:
    """A line of CiviCRM's own log: what an administrator finds under an Error ID."""

    error_id: str
    message: str


@dataclass(frozen=True, slots=True)
class _Login:
    user: User
    flow: str | None


class Endpoint:
    """Turns HTTP requests into API calls; the switches are those of the simulator."""

    def __init__(self, api: Api, cms: Cms) -> None:
        self.api = api
        self.cms = cms
        self.users: dict[str, User] = {}
        self.site_key = "simulated-site-key"
        self.site_url = "https://crm.example.org"
        self.site_name = "Example Society"
        self.clean_urls = True
        self.maintenance = False
        self.database_down = False
        self.hidden_errors = True
        # nginx's default client_max_body_size; passed at about 30,000 addresses.
        self.max_body_bytes = 1_048_576
        self.errors: list[LoggedError] = []

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        try:
            return self._handle(request)
        except _Answer as early:
            return early.response

    def _handle(self, request: Request) -> Response:
        if len(request.path) + len(request.query) > _MAX_URL:
            return _page(414, "<html><head><title>414 Request-URI Too Large</title></head></html>")
        if len(request.body) > self.max_body_bytes:
            return _page(
                413, "<html><head><title>413 Request Entity Too Large</title></head></html>"
            )
        if self.database_down:
            return _page(500, _DATABASE_DOWN)
        path, query = request.path, parse_qs(request.query, keep_blank_values=True)
        if self.cms == "wordpress" and path.startswith("/wp-json"):
            return self._wp_json()
        route = self._route(path, query, request)
        if self.maintenance:
            text = "Temporarily unavailable for maintenance."
            return self._json(503, {"status_code": 503, "status_message": text})
        fields = {**_first(query), **_first(_form(request))}
        login = self._log_in(request, fields)
        if route == _WHOAMI:
            return self._whoami(login)
        self._check_ajax(request, login)
        rest = route.removeprefix(_API).strip("/")
        if not rest:
            return self._multi(request, fields, login.user)
        entity, _, action = rest.partition("/")
        return self._single(request, entity, action, _first(query), fields, login.user)

    # Routes

    def _route(self, path: str, query: Mapping[str, list[str]], request: Request) -> str:
        """The CiviCRM path that a URL means; anything else is answered at once."""
        if self.cms == "standalone":
            route = self._standalone_route(path)
        else:
            route = self._wordpress_route(path, query, request)
        if route != _WHOAMI and route != _API and not route.startswith(_API + "/"):
            raise _Answer(_page(200 if self.cms == "standalone" else 404, _NOT_FOUND))
        return route

    def _standalone_route(self, path: str) -> str:
        if path in ("", "/", "/index.php"):
            headers = {"Location": "/civicrm/home", "Content-Type": _HTML, **_COOKIE}
            raise _Answer(Response(302, b"", headers))
        return path.strip("/")

    def _wordpress_route(self, path: str, query: Mapping[str, list[str]], request: Request) -> str:
        if path.startswith("/wp-admin"):
            target = quote(f"{self.site_url}{request.path}?{request.query}", safe="")
            location = f"{self.site_url}/wp-login.php?redirect_to={target}&reauth=1"
            raise _Answer(Response(302, b"", {"Location": location, "Content-Type": _HTML}))
        is_front = path in ("", "/", "/index.php")
        if is_front and "CiviCRM" in query.get("civiwp", []) + query.get("page", []):
            return query.get("q", [""])[0].strip("/")
        return path.strip("/") if self.clean_urls else ""

    def _wp_json(self) -> Response:
        clock = self.api.store.clock
        hours = clock.offset_minutes / 60
        document = {
            "name": self.site_name,
            "url": self.site_url,
            "gmt_offset": hours if hours % 1 else int(hours),
            "timezone_string": clock.zone_name,
        }
        body = msgspec.json.encode(document)
        return Response(200, body, {"Content-Type": _JSON, "Allow": "GET"})

    # AuthX

    def _log_in(self, request: Request, fields: Mapping[str, str]) -> _Login:
        """Who asks: by X-Civi-Auth, Authorization or the form field `_authx`, else nobody."""
        flows = {
            "xheader": request.headers.get("x-civi-auth"),
            "header": request.headers.get("authorization"),
            "param": fields.get("_authx"),
        }
        flow, credential = next(((f, c) for f, c in flows.items() if c), (None, ""))
        if flow is None or credential is None:
            return _Login(ANONYMOUS, None)
        scheme, _, key = credential.partition(" ")
        if scheme == "Basic":
            text = f'Authentication type "pass" with flow "{flow}" is not allowed'
            raise _Answer(_plain(401, f"HTTP 401 {text} for this principal."))
        user = self.users.get(key)
        if scheme != "Bearer" or user is None:
            raise _Answer(_plain(401, "HTTP 401 Invalid credential"))
        if not user.may(LOG_IN) and request.headers.get("x-civi-key") != self.site_key:
            raise _Answer(_plain(401, _GUARD))
        return _Login(user, flow)

    def _whoami(self, login: _Login) -> Response:
        user = login.user
        document = {
            "contact_id": user.contact_id or None,
            "user_id": user.user_id,
            "flow": login.flow,
            "cred": "api_key" if login.flow else None,
        }
        body = msgspec.json.encode(document)
        return Response(200, body, {"Content-Type": "application/json", **_COOKIE})

    def _check_ajax(self, request: Request, login: _Login) -> None:
        asked = request.headers.get("x-requested-with", "")
        if asked.lower() != "xmlhttprequest" and login.flow != "xheader":
            raise _Answer(self._json(400, {"error_code": 400, "error_message": _ALERT}))

    # Calls

    def _single(
        self,
        request: Request,
        entity: str,
        action: str,
        query: Mapping[str, str],
        fields: Mapping[str, str],
        user: User,
    ) -> Response:
        if request.method == "GET" and not action.startswith(("get", "autocomplete")):
            raise _Answer(self._json(405, {"error_code": 405, "error_message": _GET_REFUSED}))
        try:
            params = _decode_object(fields.get("params", "{}"))
            params = {**{k: v for k, v in query.items() if k not in _NO_PARAMS}, **params}
            index = fields.get("index")
            return self._json(200, self.api.call(entity, action, params, user, _index(index)))
        except PageError as error:
            if self.cms == "wordpress" or error.html_everywhere:
                self._log(error)
                status = 200 if self.cms == "wordpress" else 500
                return _page(status, self._error_page(error.message))
            return self._json(500, self._error(error, user))
        except ApiError as error:
            return self._json(error.status, self._error(error, user))

    def _multi(self, request: Request, fields: Mapping[str, str], user: User) -> Response:
        """Several calls: a list or an object of [entity, action, params, index]."""
        if request.method == "GET":
            raise _Answer(self._json(405, {"error_code": 405, "error_message": _GET_REFUSED}))
        try:
            calls = msgspec.json.decode(fields.get("calls", "null"))
        except msgspec.DecodeError:
            calls = None
        if not isinstance(calls, list | dict):
            page = self._error_page("foreach() argument must be of type array|object")
            return _page(200 if self.cms == "wordpress" else 500, page)
        named = calls if isinstance(calls, dict) else dict(enumerate(calls))
        answers = {name: self._one_of_many(call, user) for name, call in named.items()}
        status = 200 if any("error_code" not in a for a in answers.values()) else 500
        return self._json(status, answers if isinstance(calls, dict) else [*answers.values()])

    def _one_of_many(self, call: Any, user: User) -> dict[str, Any]:
        try:
            if not isinstance(call, list) or len(call) < 2:
                raise wrong_type("Argument #2 ($action) must be of type string")
            params = call[2] if len(call) > 2 and call[2] else {}
            if not isinstance(params, dict):
                raise wrong_type("Argument #3 ($params) must be of type array")
            index = call[3] if len(call) > 3 else None
            return self.api.call(str(call[0]), str(call[1]), params, user, index)
        except ApiError as error:
            return self._error(error, user)

    def _error(self, error: ApiError, user: User) -> dict[str, Any]:
        """The error as this user may see it; the truth goes to the log under its Error ID."""
        error_id = self._log(error)
        if user.may(DEBUG) or not self.hidden_errors:
            return {
                "error_id": error_id,
                "error_code": 0,
                "error_message": error.message,
                "status": error.status,
            }
        text = "Sorry an error occurred and your request was not completed."
        return {
            "error_code": "1",
            "error_message": f"{text} (Error ID: {error_id})",
            "status": error.status,
        }

    def _log(self, error: ApiError) -> str:
        """Write the log's line; its Error ID."""
        pick = self.api.store.random.choice
        error_id = "-".join("".join(pick(_CANDIDATES) for _ in range(4)) for _ in range(3))
        self.errors.append(LoggedError(error_id, error.message))
        return error_id

    def _json(self, status: int, document: Any) -> Response:
        kind = _JSON if self.cms == "wordpress" else "application/json"
        return Response(status, msgspec.json.encode(document), {"Content-Type": kind, **_COOKIE})

    def _error_page(self, message: str) -> str:
        page = _CIVICRM_ERROR.format(message=escape(message, quote=False), home=self.site_url)
        return page if self.cms == "wordpress" else f"<html><body>\n{page}</body>\n</html>"


_JSON = "application/json; charset=UTF-8"
_HTML = "text/html; charset=UTF-8"
_NOT_FOUND = "<!DOCTYPE html>\n<html><head><title>Page not found</title></head></html>"
_DATABASE_DOWN = """<!DOCTYPE html>
<html dir='ltr'>
<head><title>Database Error</title></head>
<body id="error-page">
<div class="wp-die-message"><h1>Error establishing a database connection</h1></div></body>
</html>"""
_CIVICRM_ERROR = """<div id="crm-container" class="crm-container" lang="en" xml:lang="en">
  <div class="crm-fatal">
    <div class="crm-fatal-messages">
      <div class="crm-section crm-error-message">
        {message}
      </div>
      <div class="crm-section crm-return-to-home">
        <a class="btn" href="{home}/" title="Main Menu">Return home</a>
      </div>
    </div>
  </div>
</div>
"""


def _page(status: int, html: str) -> Response:
    return Response(status, html.encode(), {"Content-Type": _HTML, **_COOKIE})


def _plain(status: int, text: str) -> Response:
    return Response(status, text.encode(), {"Content-Type": "text/plain;charset=UTF-8", **_COOKIE})


def _form(request: Request) -> dict[str, list[str]]:
    """The fields of a form body; a JSON body has none, whatever it says."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return {}
    return parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)


def _first(fields: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in fields.items()}


def _decode_object(text: str) -> dict[str, Any]:
    """The `params` field; an empty list is PHP's empty object."""
    try:
        decoded = msgspec.json.decode(text)
    except msgspec.DecodeError:
        decoded = None
    if isinstance(decoded, list) and not decoded:
        return {}
    if not isinstance(decoded, dict):
        raise wrong_type("array_diff_key(): Argument #2 must be of type array, null given")
    return decoded


def _index(text: str | None) -> Any:
    if text is None or not text.startswith("{"):
        return text
    return msgspec.json.decode(text)
