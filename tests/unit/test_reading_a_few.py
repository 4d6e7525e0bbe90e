"""Single members are read a few at a time: in order, and a signal waits for nobody."""

import signal
import threading

import pytest

from mcsync.errors import RemoteUnavailable
from mcsync.mailchimp.client import _map_few

PATIENCE_S = 10.0  # only where something is wrong is it waited for so long


def test_a_signal_does_not_wait_for_answers():
    may_end, has_ended = threading.Event(), threading.Event()

    def fetch(key: str) -> None:
        if key == "c":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        may_end.wait(PATIENCE_S)
        has_ended.set()

    try:
        with pytest.raises(KeyboardInterrupt):
            _map_few(fetch, "abcdefgh")
        assert not has_ended.is_set()
    finally:
        may_end.set()


def test_trouble_waits_for_those_under_way_and_begins_no_more():
    begun: list[str] = []
    ended: list[str] = []
    met = threading.Barrier(4)

    def fetch(key: str) -> None:
        begun.append(key)
        met.wait(PATIENCE_S)
        if key == "a":
            raise RemoteUnavailable("it is down")
        ended.append(key)

    with pytest.raises(RemoteUnavailable):
        _map_few(fetch, "abcd")
    assert sorted(ended) == list("bcd")
    assert sorted(begun) == list("abcd")
