"""Asking ahead: who reads when, how far, and where what went wrong comes out."""

import threading
from collections.abc import Callable, Iterator

import pytest

from mcsync.errors import RemoteUnavailable
from mcsync.pipeline import ahead
from mcsync.pipeline.ahead import Wish, asking_ahead, begin_to_read, wish_for

PATIENCE_S = 30.0  # only where something is wrong is it waited for so long


class Account:
    """Tells its pages one by one, and who is being read; `size` members a page."""

    def __init__(self, pages: int = 3, size: int = 10) -> None:
        self.pages, self.size = pages, size
        self.begun: list[str] = []
        self.told: list[tuple[str, int]] = []
        self.readers: set[str] = set()
        self.changed = threading.Condition()

    def wish(self, key: str, account: str = "one") -> Wish[int]:
        return Wish(key, account, lambda _is_awaited: self.read(key), lambda _page: self.size)

    def read(self, key: str) -> Iterator[int]:
        with self.changed:
            self.begun.append(key)
        for page in range(self.pages):
            with self.changed:
                self.told.append((key, page))
                self.readers.add(threading.current_thread().name)
                self.changed.notify_all()
            yield page

    def wait(self, until: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(until, PATIENCE_S), self.told


def count_threads() -> int:
    return sum(thread.name == "mcsync-ahead" for thread in threading.enumerate())


def wait_for_threads_to_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "mcsync-ahead":
            thread.join(PATIENCE_S)
    assert count_threads() == 0


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    wait_for_threads_to_end()


def test_all_come_in_order_whoever_read_them():
    account = Account()
    with asking_ahead(map(account.wish, "abcdefghij")) as asked:
        found = {key: list(asked.take(key)) for key in "abcdefghij"}
    assert found == {key: [0, 1, 2] for key in "abcdefghij"}
    assert sorted(account.begun) == list("abcdefghij")


def test_who_is_alone_is_read_by_the_main_thread():
    account = Account()
    with asking_ahead([account.wish("a")]) as asked:
        assert count_threads() == 0
        assert list(asked.take("a")) == [0, 1, 2]
    assert account.readers == {"MainThread"}


def test_one_after_the_other_is_all_of_it_in_the_main_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ahead, "AT_ONCE", 1)
    account = Account()
    with asking_ahead(map(account.wish, "abc")) as asked:
        for key in "abc":
            assert account.begun == list("abc"[: "abc".index(key)])
            assert list(asked.take(key)) == [0, 1, 2]
    assert account.readers == {"MainThread"}


def test_the_next_ones_are_read_while_nobody_takes_anything():
    account = Account()
    with asking_ahead(map(account.wish, "abcd")):
        account.wait(lambda: len(account.told) == 9)
        assert set(account.begun) == set("bcd")


def test_no_more_waits_than_may(monkeypatch: pytest.MonkeyPatch):
    """Each of the readers may go over the limit by the page it was at; the one awaited goes on."""
    monkeypatch.setattr(ahead, "AT_ONCE", 3)
    monkeypatch.setattr(ahead, "MOST_WAITING", 20)
    account = Account(pages=50)
    keys = [str(number) for number in range(8)]
    with asking_ahead(map(account.wish, keys)) as asked:
        taken = 0
        for key in keys:
            for number, page in enumerate(asked.take(key)):
                assert page == number
                taken += 1
                # Two pages fill it; one more for each reader, and the one that was just taken.
                assert len(account.told) - taken <= 2 + 3 + 1
    assert taken == 400


def test_an_account_does_not_wait_for_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ahead, "MOST_WAITING", 20)
    slow, quick = Account(pages=50), Account()
    wishes = [*(slow.wish(f"slow {n}") for n in range(9)), quick.wish("quick", "other")]
    with asking_ahead(wishes) as asked:
        quick.wait(lambda: len(quick.told) == 2)
        assert list(asked.take("slow 0")) == list(range(50))


def test_of_several_accounts_whoever_has_an_answer_is_next():
    may_answer = threading.Event()

    def read(_is_awaited: object) -> Iterator[int]:
        may_answer.wait(PATIENCE_S)
        yield 0

    quick = Account()
    wishes = [Wish("slow", "one", read, lambda _: 0), quick.wish("quick", "other")]
    with asking_ahead(wishes) as asked:
        for page in asked.take("quick"):
            assert page < 3
            assert asked.wait_for_any(["slow", "quick"]) == "quick"
        may_answer.set()
        assert asked.wait_for_any(["slow"]) == "slow"
        assert next(asked.take("slow")) == 0


def test_what_is_left_of_one_makes_room_when_its_account_turns_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(ahead, "MOST_WAITING", 20)
    account, other = Account(pages=10**9), Account()
    wishes = [*map(account.wish, "abcdefghij"), other.wish("other", "other")]
    with asking_ahead(wishes) as asked:
        for key in "abcdefghij":
            assert asked.wait_for_any([key, "other"]) in (key, "other")
            assert next(asked.take(key)) == 0


def test_who_is_passed_over_holds_nobody_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ahead, "MOST_WAITING", 20)
    account = Account(pages=50)
    keys = [str(number) for number in range(20)]
    with asking_ahead(map(account.wish, keys)) as asked:
        assert list(asked.take("19")) == list(range(50))


def test_who_is_passed_over_takes_no_room(monkeypatch: pytest.MonkeyPatch):
    """Else nobody could begin to read whom the main thread waits for."""
    monkeypatch.setattr(ahead, "AT_ONCE", 2)
    monkeypatch.setattr(ahead, "MOST_WAITING", 20)
    account, other = Account(pages=3), Account()
    wishes = [*map(account.wish, "abcdef"), other.wish("other", "other")]
    with asking_ahead(wishes) as asked:
        account.wait(lambda: len(account.told) >= 2)  # of a, or of a and b: no more has room
        found: list[object] = []
        waiter = threading.Thread(target=lambda: found.append(asked.wait_for_any(["e"])))
        waiter.start()
        waiter.join(PATIENCE_S / 2)
        assert found == ["e"]
        assert list(asked.take("e")) == [0, 1, 2]
        assert "d" not in account.begun, "nor is it asked for"
        assert asked.answer("d", lambda: 7) == 7, "whoever wants it after all, asks anew"
        assert asked.wait_for_any(["b"]) == "b"
        assert list(asked.take("b")) == [0, 1, 2]


def test_only_who_is_awaited_may_ask_for_more_at_once():
    heard: dict[str, list[bool]] = {}
    changed = threading.Event()

    def read(key: str, is_awaited: Callable[[], bool]) -> Iterator[int]:
        heard[key] = [is_awaited()]
        yield 0
        changed.wait(PATIENCE_S)
        heard[key].append(is_awaited())
        yield 1

    def wish(key: str) -> Wish[int]:
        return Wish(key, "one", lambda is_awaited: read(key, is_awaited), lambda _: 0)

    with asking_ahead(map(wish, "abc")) as asked:
        pages = asked.take("b")
        assert next(pages) == 0
        changed.set()
        assert list(pages) == [1]
        assert next(asked.take("c")) == 0
    assert heard["b"] == [False, True]
    assert heard["c"][0] is False


class End(BaseException):
    """Something that no `except Exception` keeps."""


@pytest.mark.parametrize("error", [RemoteUnavailable("gone"), End()], ids=["trouble", "an end"])
def test_what_goes_wrong_is_raised_where_it_is_taken_after_what_came(error: BaseException):
    def read(_is_awaited: object) -> Iterator[int]:
        yield 0
        raise error

    account = Account()
    bad = Wish("bad", "one", read, lambda _: 0)
    with asking_ahead([account.wish("a"), bad, account.wish("b")]) as asked:
        assert list(asked.take("a")) == [0, 1, 2]
        pages = asked.take("bad")
        assert next(pages) == 0
        with pytest.raises(type(error)):
            next(pages)
        assert list(asked.take("b")) == [0, 1, 2]


def test_who_is_left_in_the_middle_is_dropped_with_the_next_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ahead, "MOST_WAITING", 20)
    closed = threading.Event()

    def read(_is_awaited: object) -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    account = Account()
    long = Wish("long", "one", read, lambda _: 10)
    with asking_ahead([account.wish("a"), long, account.wish("b")]) as asked:
        kept = asked.take("long")  # as the traceback of an audience's trouble does
        assert next(kept) == 0
        assert list(asked.take("b")) == [0, 1, 2]
        assert closed.wait(PATIENCE_S)


def test_at_the_end_nobody_goes_on():
    endless = Account(pages=10**9, size=0)
    with pytest.raises(End), asking_ahead(map(endless.wish, "abc")):
        raise End
    wait_for_threads_to_end()


def test_a_question_is_asked_once_and_anew_where_nobody_wished_for_it():
    asked_for: list[str] = []

    def call(name: str) -> str:
        asked_for.append(name)
        return name.upper()

    wishes = [wish_for(name, "one", lambda name=name: call(name)) for name in "abc"]  # type: ignore[misc]
    with asking_ahead(wishes) as asked:
        assert [asked.answer(name, lambda: "?") for name in "abc"] == ["A", "B", "C"]
        assert asked.answer("a", lambda: "again") == "again"
        assert asked.answer("d", lambda: "now") == "now"
    assert sorted(asked_for) == ["a", "b", "c"]


def test_of_what_is_begun_the_first_is_there_and_trouble_comes_in_its_place():
    read: list[int] = []

    def items(last: int) -> Iterator[int]:
        for number in range(last):
            read.append(number)
            yield number
        raise RemoteUnavailable("gone")

    found = begin_to_read(items(3))
    assert read == [0]
    assert [next(found), next(found), next(found)] == [0, 1, 2]
    with pytest.raises(RemoteUnavailable):
        next(found)
    nothing = begin_to_read(items(0))
    with pytest.raises(RemoteUnavailable):
        next(nothing)
    assert list(begin_to_read(iter(()))) == []
