"""A small town at Mailchimp for tests: the simulator, a clock, checked HTTP calls."""

import io
import json
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import requests
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from mcsync.sandbox.mailchimp import MailchimpSimulator, subscriber_hash
from mcsync.sandbox.server import LoopbackServer

KEY = "0123456789abcdef-us3"
OTHER_KEY = "fedcba9876543210-us7"
LIST = "a36b032126"
SPEC = Path(__file__).parent / "openapi" / "openapi.relaxed.json"
VENDOR = "https://server.api.mailchimp.com/3.0"


@cache
def specification() -> OpenAPI:
    """Mailchimp's own description, read once."""
    readers = {"application/problem+json": lambda body, **_: json.loads(body)}
    return OpenAPI.from_dict(
        json.loads(SPEC.read_text()),
        config=Config(extra_media_type_deserializers=readers),  # type: ignore[arg-type]
    )


def check_answer(request: requests.PreparedRequest, answer: requests.Response, path: str) -> None:
    """Hold an answer against the description, as if the vendor had given it."""
    asked = requests.Request(request.method, VENDOR + path, headers=dict(request.headers))
    specification().validate_response(
        RequestsOpenAPIRequest(asked), RequestsOpenAPIResponse(answer)
    )


class Clock:
    """A clock that stands until it is told otherwise."""

    def __init__(self) -> None:
        self.now = datetime(2021, 11, 23, 22, 51, 50, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 1, **more: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds, **more)


@cache
def shared_server() -> LoopbackServer:
    """One server for all tests: stopping one takes half a second."""
    return LoopbackServer(MailchimpSimulator()).start()


class Bedrock:
    """One account with one audience, and a client whose every answer is checked."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sim = MailchimpSimulator(self.clock)
        self.sim.add_account(KEY, "Bedrock Gazette")
        self.sim.add_audience(LIST, "Main audience", KEY)
        self.server = shared_server()
        self.session = requests.Session()
        self.session.auth = ("anything", KEY)

    def __enter__(self) -> "Bedrock":
        self.server.service = self.sim
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def call(
        self, method: str, path: str, body: object = None, params: Mapping[str, Any] | None = None
    ) -> requests.Response:
        """One call; `path` begins after `/3.0`."""
        request = requests.Request(method, f"{self.server.url}/3.0{path}", params=params, json=body)
        answer = self.session.send(self.session.prepare_request(request), timeout=10)
        check_answer(answer.request, answer, path)
        return answer

    def get(self, path: str, **params: object) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.call("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def write(self, method: str, path: str, body: object = None, **params: object) -> Any:
        """The JSON of a write that must succeed; None for 204."""
        answer = self.call(method, path, body, params)
        assert answer.status_code in {200, 204}, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: object = None, **params: object) -> Any:
        """The problem document of a call that must fail."""
        answer = self.call(method, path, body, params)
        assert answer.status_code >= 400, answer.text
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        return answer.json()

    def member(self, email: str) -> Any:
        """A member, by GET."""
        return self.get(at(email))

    def put(self, email: str, **body: object) -> Any:
        """PUT a member under its own hash and address."""
        return self.write("PUT", at(email), {"email_address": email, **body})

    def members(self, **params: object) -> Any:
        """The member listing."""
        return self.get(f"/lists/{LIST}/members", **params)

    def submit(self, *operations: dict[str, object]) -> str:
        """Submit a batch; returns its id."""
        return str(self.write("POST", "/batches", {"operations": list(operations)})["id"])

    def results(self, batch_id: str) -> list[Any]:
        """The results of a finished batch, archive and all."""
        url = self.get(f"/batches/{batch_id}")["response_body_url"]
        return [result for file in read_archive(fetch(url).content) for result in file or []]

    def run(self, *operations: dict[str, object]) -> dict[str, Any]:
        """Submit and run operations; their results by operation id."""
        batch_id = self.submit(*operations)
        self.sim.run_batches()
        return {result["operation_id"]: result for result in self.results(batch_id)}


def at(email: str, below: str = "") -> str:
    """The path of a member."""
    return f"/lists/{LIST}/members/{subscriber_hash(email)}{below}"


def operation(method: str, path: str, key: str, body: object = None) -> dict[str, object]:
    """One operation of a batch."""
    made: dict[str, object] = {"method": method, "path": path, "operation_id": key}
    return made if body is None else made | {"body": json.dumps(body)}


def subscribe(email: str, key: str = "") -> dict[str, object]:
    """The operation that subscribes somebody."""
    body = {"email_address": email, "status": "subscribed"}
    return operation("PUT", at(email), key or email, body)


def fetch(url: str, **headers: str) -> requests.Response:
    """GET an address that is not part of the API."""
    return requests.get(url, headers=headers, timeout=10)


def read_archive(archive: bytes) -> list[Any]:
    """The JSON of each file; None for an empty one."""
    files = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for entry in tar.getmembers()[1:]:
            content = tar.extractfile(entry)
            assert content is not None
            text = content.read()
            files.append(json.loads(text) if text else None)
    return files
