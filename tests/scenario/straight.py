"""The way from mcsync to the simulated services without sockets.

They take a third of a test's time. What they do to an exchange is for the contract's tests and the
command line's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
import requests.adapters
from urllib3 import HTTPResponse

from mcsync.sandbox.server import LoopbackServer, Request
from mcsync.sandbox.town import Town


@contextmanager
def without_sockets(town: Town) -> Iterator[None]:
    """Send what mcsync sends straight to the town; everybody else is reached as ever."""
    servers = servers_of(town)
    over_sockets = requests.adapters.HTTPAdapter.send

    def send(
        adapter: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **how: Any
    ) -> requests.Response:
        server = servers.get(str(urlsplit(request.url or "").port))
        if server is None or not server.is_serving:
            return over_sockets(adapter, request, **how)
        return answer(servers, adapter, request)

    with (
        patch.object(requests.adapters.HTTPAdapter, "send", send),
        patch.object(requests.sessions, "get_environ_proxies", find_no_proxies),
    ):
        yield


def servers_of(town: Town) -> dict[str, LoopbackServer]:
    """By port."""
    return {str(server.port): server for server in (town.mailchimp_server, town.civicrm_server)}


def find_no_proxies(_url: str, **_how: object) -> dict[str, str]:
    """Looking them up takes as long as the rest of a request."""
    return {}


def answer(
    servers: Mapping[str, LoopbackServer],
    adapter: requests.adapters.HTTPAdapter,
    request: requests.PreparedRequest,
) -> requests.Response:
    """What the service says, as if it had come over a socket."""
    parts = urlsplit(request.url or "")
    server = servers[str(parts.port)]
    body = request.body or b""
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers["host"] = parts.netloc
    given = Request(
        request.method or "GET",
        parts.path,
        parts.query,
        headers,
        body if isinstance(body, bytes) else str(body).encode(),
    )
    answer = server.answer(given)
    if answer is None:
        raise requests.ConnectionError("the connection was dropped")
    raw = HTTPResponse(
        BytesIO(answer.body),
        headers={"Date": server.service.date_header(), **answer.headers},
        status=answer.status,
        preload_content=False,
    )
    return adapter.build_response(request, raw)
