"""The simulated Mailchimp: takes HTTP requests, lets people act, shows what is there."""

import base64
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import cast
from urllib.parse import parse_qsl

import msgspec

from mcsync.sandbox.mailchimp import routes
from mcsync.sandbox.mailchimp.batches import Batches, Oddities
from mcsync.sandbox.mailchimp.holds import HeldBatch
from mcsync.sandbox.mailchimp.people import People
from mcsync.sandbox.mailchimp.registrations import read_url
from mcsync.sandbox.mailchimp.state import Account, Operation
from mcsync.sandbox.mailchimp.troubles import WRITES, Damage, Damages, Refusal, Troubles
from mcsync.sandbox.mailchimp.webhooks import Courier, Deliver, Delivery, validate
from mcsync.sandbox.mailchimp.wire import Call, JsonObject, Problem, Reply, invalid, read_json
from mcsync.sandbox.mailchimp.world import Event, LoggedOperation, utc_now
from mcsync.sandbox.server import Request, Response

ROOT = "/3.0"
RESULTS = "/batch-results/"
TRIGGERED = {  # names for the header X-Trigger-Error; more exist
    "APIKeyMissing": (401, "API Key Missing"),
    "APIKeyInvalid": (401, "API Key Invalid"),
    "Forbidden": (403, "Forbidden"),
    "UserDisabled": (403, "User Disabled"),
    "ResourceNotFound": (404, "Resource Not Found"),
    "MethodNotAllowed": (405, "Method Not Allowed"),
    "TooManyRequests": (429, "Too Many Requests"),
    "InternalServerError": (500, "Internal Server Error"),
}


class MailchimpSimulator(People):
    """A stateful Mailchimp for `LoopbackServer`; settings may be changed at any time.

    `clock` gives aware UTC. `deliver` takes webhook payloads and returns the HTTP status;
    `deliver_webhooks` has them really POSTed. `before_answer` is called while a request counts
    as in flight; `validate_url` is how a new webhook's URL is tried.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = utc_now,
        *,
        seed: int = 1,
        deliver: Deliver | None = None,
        deliver_webhooks: bool = False,
    ) -> None:
        super().__init__(clock, seed)
        self.before_answer: Callable[[Request], None] | None = None
        self.validate_url: Callable[[str], int] = validate
        self._courier = Courier(self, deliver, deliver_webhooks)
        self._troubles = Troubles()
        self._batches = Batches(self, self._perform, self._courier, self._troubles)
        self._routes = routes.make_routes(self._batches)

    # Looking and steering

    @property
    def deliveries(self) -> list[Delivery]:
        """All webhook payloads, oldest first."""
        return self._courier.deliveries

    @property
    def deliver(self) -> Deliver | None:
        """What takes webhook payloads."""
        return self._courier.deliver

    @deliver.setter
    def deliver(self, deliver: Deliver | None) -> None:
        self._courier.deliver = deliver

    @property
    def oddities(self) -> Oddities:
        """Troubles in the results of batches."""
        return self._batches.oddities

    @oddities.setter
    def oddities(self, oddities: Oddities) -> None:
        self._batches.oddities = oddities

    @property
    def before_operation(self) -> Callable[[Operation], None] | None:
        """Called before each operation of a batch: a human acting meanwhile."""
        return self._batches.before_operation

    @before_operation.setter
    def before_operation(self, hook: Callable[[Operation], None] | None) -> None:
        self._batches.before_operation = hook

    def run_batches(self) -> int:
        """Run every unfinished batch to its end; returns how many there were."""
        return self._batches.run_all()

    def post_batch(self, api_key: str, operations: Sequence[Mapping[str, object]]) -> str:
        """Another program that uses the account posts a batch; returns its id. Raises Problem."""
        with self.working() as now:
            body = {"operations": list(operations)}
            call = Call(self._account(api_key).api_key, "POST", "/batches", (), {}, body, now)
            shown = self._batches.post(call).payload
        return str(cast(JsonObject, shown)["id"])

    def retry_deliveries(self) -> int:
        """Deliver webhook payloads again that were not taken; returns how many."""
        return self._courier.retry()

    def flush_deliveries(self) -> None:
        """Wait until payloads that are really POSTed have been answered."""
        self._courier.flush()

    def emit(self, event: Event, now: int) -> None:
        """Tell the audience's webhooks."""
        self._courier.event(self.audiences[event.list_id].webhooks, event, now)

    # Troubles

    def hold_next_batch(
        self, status: str = "pending", *, list_id: str = "", email: str = ""
    ) -> HeldBatch:
        """Have the next batch hang as `status`; the next on a list, or about somebody, if named."""
        return self._batches.hold_next(status, list_id, email)

    def hold_batch(self, batch_id: str, status: str = "") -> HeldBatch:
        """Have a batch hang that was posted, as it stands or as `status`.

        KeyError if there is none, ValueError if it is finished.
        """
        return self._batches.hold(batch_id, status)

    def refuse(
        self,
        email: str,
        problem: Problem,
        *,
        times: int | None = 1,
        list_id: str = "",
        method: str = WRITES,
        body: str = "",
        in_batches: bool = True,
        directly: bool = True,
    ) -> Refusal:
        """Have what is asked about somebody refused, so often (None: always), without effect.

        Narrowed by list, by the method (a regular expression; "GET" is for reading the one
        member), by what the body holds (one that is searched for), by the way it comes.
        """
        refusal = Refusal(email, problem, times, list_id, method, body, in_batches, directly)
        self._troubles.refusals.append(refusal)
        return refusal

    def refuse_batches(self, times: int | None = 1, *, retry_after: str = "") -> None:
        """Have so many new batches (None: all) answered 429, `retry_after` as a header if given."""
        self._troubles.batches_refused, self._troubles.retry_after = times, retry_after

    def damage_archives(
        self, times: int | None = 1, how: Damage = "cut", *, batch_id: str = ""
    ) -> None:
        """Have results arrive damaged so often (None: always); whole ones stay behind them."""
        self._troubles.damages.append(Damages(how, times, batch_id))

    # HTTP

    def handle(self, request: Request) -> Response:
        """Answer one request; called from several threads."""
        self.host_url = f"http://{request.headers.get('host', '127.0.0.1')}"
        if request.path.startswith(RESULTS):
            return self._serve_results(request)
        with self.working():
            request_id = self.request_id()
        try:
            account = self._authenticate(request)
            with self._slot(account):
                reply = self._answer(account, request)
        except Problem as problem:
            return self._problem(problem, request, request_id)
        body = b"" if reply.status == 204 else msgspec.json.encode(reply.payload)
        link = f'<{self.base_url}/schema/3.0/{reply.schema}.json>; rel="describedBy"'
        if reply.dashboard:
            link += f', <{reply.dashboard}>; rel="dashboard"'
        headers = _headers("application/json", request, request_id)
        if reply.status != 204:
            headers |= {"Vary": "Accept-Encoding", "Link": link}
        return Response(reply.status, body, headers)

    def _authenticate(self, request: Request) -> Account:
        key = read_key(request.headers.get("authorization", ""))
        if not key:
            raise Problem(401, "API Key Missing", "Your request did not include an API key.")
        account = self.account_of(key)
        if account is None:
            raise Problem(
                401,
                "API Key Invalid",
                "Your API key may be invalid, or you've attempted to access the wrong datacenter.",
            )
        return account

    @contextmanager
    def _slot(self, account: Account) -> Iterator[None]:
        with self.working():
            if account.in_flight >= self.settings.max_connections:
                raise Problem(
                    429,
                    "Too Many Requests",
                    f"You have exceeded the limit of {self.settings.max_connections} "
                    "simultaneous connections.",
                )
            account.in_flight += 1
        try:
            yield
        finally:
            with self.working():
                account.in_flight -= 1

    def _answer(self, account: Account, request: Request) -> Reply:
        if self.settings.latency_s:
            time.sleep(self.settings.latency_s)  # the latency that was asked for
        if self.before_answer is not None:
            self.before_answer(request)
        _trigger(request.headers.get("x-trigger-error", ""))
        method = _method(request)
        if request.path != ROOT and not request.path.startswith(f"{ROOT}/"):
            raise Problem(404, "Resource Not Found", "The requested resource could not be found.")
        path = request.path.removeprefix(ROOT)
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        try:
            body = read_json(request.body)
            reply = self._direct(account.api_key, method, path, query, body)
        except Problem as problem:
            self._log(method, path, request.body, problem.status, problem.title)
            raise
        self._log(method, path, body, reply.status)
        return reply

    def _direct(
        self, api_key: str, method: str, path: str, query: Mapping[str, str], body: object
    ) -> Reply:
        handler, parts = routes.find(self._routes, method, path)
        call = Call(api_key, method, path, parts, query, body, 0)
        if path.startswith("/batches/") and method == "GET":
            self._batches.poll(call)
        elif "webhooks" in path and method in {"POST", "PATCH"}:
            self._try_url(call)
        with self.working() as now:
            self._troubles.check(self.audiences, method, path, body, in_batch=False)
            return handler(self, Call(api_key, method, path, parts, query, body, now))

    def _perform(
        self, api_key: str, method: str, path: str, query: dict[str, str], body: object, now: int
    ) -> Reply:
        handler, parts = routes.find(self._routes, method, path)
        if path.startswith("/batches"):
            raise Problem(400, "Invalid Action", "The action requested was not valid.")
        self._troubles.check(self.audiences, method, path, body, in_batch=True)
        return handler(self, Call(api_key, method, path, parts, query, body, now))

    def _try_url(self, call: Call) -> None:
        if not self.settings.validate_webhooks:
            return
        url = read_url(call)
        status = self.validate_url(url) if url else 200
        if status != 200:
            raise invalid(
                "We couldn't verify the URL is working. Please double check and try again. "
                f"HTTP Code: {status}"
            )

    def _log(self, method: str, path: str, body: object, status: int, title: str = "") -> None:
        if method == "GET" or path.startswith("/batches"):
            return
        with self.working() as now:
            at = datetime.fromtimestamp(now, UTC)
            self.log(LoggedOperation(at, method, path, body, status, title))

    def _problem(self, problem: Problem, request: Request, request_id: str) -> Response:
        headers = _headers("application/problem+json", request, request_id) | problem.headers
        if problem.status == 429 and self.settings.drop_429_body:
            return Response(429, b"", headers | {"Content-Type": "text/html"})
        schema = f"{self.base_url}/schema/3.0/Definitions/ProblemDetailDocument.json"
        headers["Link"] = f'<{schema}>; rel="describedBy"'
        body = msgspec.json.encode(problem.document(request_id))
        return Response(problem.status, body, headers)

    def _serve_results(self, request: Request) -> Response:
        xml = {"Content-Type": "application/xml; charset=UTF-8"}
        if "authorization" in request.headers:
            return Response(400, b"<Error><Code>InvalidArgument</Code></Error>", xml)
        try:
            with self.working() as now:
                archive = self._batches.results(request.query, now)
        except Problem as problem:
            code = b"NoSuchKey" if problem.status == 404 else b"AccessDenied"
            return Response(problem.status, b"<Error><Code>" + code + b"</Code></Error>", xml)
        return Response(200, archive, {"Content-Type": "application/gzip"})


def read_key(authorization: str) -> str:
    """The API key of an Authorization header, "" if there is none."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except ValueError:
        return ""


def _headers(media_type: str, request: Request, request_id: str) -> dict[str, str]:
    headers = {
        "Server": "openresty",
        "Content-Type": f"{media_type}; charset=utf-8",
        "X-Request-Id": request_id,
    }
    if request.headers.get("connection", "").lower() == "close":
        headers["Connection"] = "close"  # recorded from a client that asked for it
    return headers


def _method(request: Request) -> str:
    override = request.headers.get("x-http-method-override", "")
    if override and request.method != "POST":
        raise Problem(422, "Method Override Not Allowed", "Override is allowed on POST only.")
    return override.upper() or request.method


def _trigger(name: str) -> None:
    if name in TRIGGERED:
        status, title = TRIGGERED[name]
        raise Problem(status, title, f"You asked for the error {name}.")
