"""The way from mcsync to the simulated services without sockets, and a run that dies on it.

In here a request is answered by the simulator in the same thread, and what mcsync does in
several threads it does in one, in order: what Hypothesis plays twice goes the same way twice.
"""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

import requests
import requests.adapters

from mcsync import http
from mcsync.civicrm import reading
from mcsync.mailchimp import members
from mcsync.pipeline import ahead
from mcsync.sandbox.town import Town
from tests.scenario.matrix_child import is_committing
from tests.scenario.straight import answer, find_no_proxies, servers_of


class Death(BaseException):
    """The process is killed here; nothing that it would do afterwards happens."""


class Mortal:
    """Counts the places where a run may die (before and after each request and each commit).

    It dies at the one with that number, counted from 1, and from then on at every one; None lives.
    """

    def __init__(self, die_at: int | None = None) -> None:
        self.passed = 0
        self.is_dead = False
        self._die_at = die_at

    def pass_point(self) -> None:
        """One more place. Raises Death."""
        self.passed += 1
        if self.passed == self._die_at:
            self.is_dead = True
        if self.is_dead:
            raise Death


@contextmanager
def direct_wire(
    town: Town, mortal: Mortal, before_request: Callable[[], None] | None = None
) -> Iterator[None]:
    """Send what mcsync sends straight to the town; `before_request` is called each time."""
    servers = servers_of(town)

    def send(
        adapter: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **_how: object
    ) -> requests.Response:
        mortal.pass_point()
        if before_request is not None:
            before_request()
        response = answer(servers, adapter, request)
        mortal.pass_point()
        return response

    with (
        patch.object(requests.adapters.HTTPAdapter, "send", send),
        patch.object(requests.sessions, "get_environ_proxies", find_no_proxies),
        patch.object(sqlite3, "connect", partial(_connect, sqlite3.connect, mortal)),
        patch.object(ahead, "AT_ONCE", 1),
        patch.object(http, "ThreadPoolExecutor", AtOnce),
        patch.object(members, "ThreadPoolExecutor", AtOnce),
        patch.object(reading, "ThreadPoolExecutor", AtOnce),
    ):
        yield


class AtOnce(Executor):
    """Does at once what it is given, one after the other."""

    def __init__(self, *_settings: object) -> None:
        super().__init__()

    def submit(self, work, /, *with_what, **more):  # type: ignore[no-untyped-def]
        """Do it, and say what came of it."""
        future: Future[object] = Future()
        try:
            future.set_result(work(*with_what, **more))
        except Exception as error:  # as a thread would keep it; Death goes on its way
            future.set_exception(error)
        return future


def _connect(
    connect: Callable[..., sqlite3.Connection],
    mortal: Mortal,
    path: str,
    *more: object,
    **how: object,
) -> sqlite3.Connection:
    """Open a database whose commits are places to die."""

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *more: object) -> sqlite3.Cursor:
            return self._watched(sql, partial(super().execute, sql, *more))  # type: ignore[arg-type]

        def executemany(self, sql: str, *more: object) -> sqlite3.Cursor:
            return self._watched(sql, partial(super().executemany, sql, *more))  # type: ignore[arg-type]

        def _watched(self, sql: str, run: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
            if not is_committing(sql, self.in_transaction):
                return run()
            mortal.pass_point()
            cursor = run()
            mortal.pass_point()
            return cursor

    if path != ":memory:":
        how.setdefault("factory", Connection)
    return connect(path, *more, **how)
