"""Asking side by side: what the main thread is going to need is asked by others before its turn.

One thread alone, the main one, has the cache and goes from audience to audience. What it will ask
of Mailchimp it says beforehand, in that order; meanwhile others ask, for each account by itself,
so that its connections are always busy and no account waits for another. What went wrong is
raised where the answer is taken. Where nothing else is to be asked the main thread does it, and
there is no other.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Generic, TypeVar, cast

from mcsync.errors import McsyncError

AT_ONCE = 6  # readers of an account, which has as many connections; 1: one after the other
MOST_WAITING = 6000  # members of an account, read and not taken yet; then only who is awaited reads
_LOOK_UP_S = 1.0  # a thread that waits without end hears no Ctrl-C on Windows

T = TypeVar("T")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Wish(Generic[T]):
    """What is going to be asked of an account; `size` says how many members an item is about.

    `read` is called in another thread, with what tells whether its items are awaited: then it may
    ask for several at once. What `is_unsure` may not be wanted in the end: it is read by whoever
    takes it, and not before.
    """

    key: Hashable
    account: str
    read: Callable[[Callable[[], bool]], Iterable[T]]
    size: Callable[[T], int]
    is_unsure: bool = False


def wish_for(
    key: Hashable, account: str, call: Callable[[], A], size: Callable[[A], int] = lambda _: 0
) -> Wish[A]:
    """One question, with one answer."""
    return Wish(key, account, lambda _is_awaited: (call() for _ in range(1)), size)


def begin_to_read(items: Iterator[A]) -> Iterator[A]:
    """The same items, of which the first is read now; what goes wrong is raised in its place."""
    try:
        first = next(items, None)
    except McsyncError as error:
        return _fail(error)
    return items if first is None else chain((first,), items)


def _fail(error: McsyncError) -> Iterator[Any]:
    raise error
    yield


@dataclass(eq=False, slots=True)
class _Reading(Generic[T]):
    """A wish, and what has come of it so far."""

    wish: Wish[T]
    items: deque[T] = field(default_factory=deque)
    has_readers: bool = False
    is_begun: bool = False
    is_taken: bool = False
    is_over: bool = False
    is_dropped: bool = False
    error: BaseException | None = None

    def count_waiting(self) -> int:
        """Of how many members there are answers that nobody took yet."""
        return sum(map(self.wish.size, self.items))

    def drop(self) -> None:
        """Nobody will take it any more; whoever wants it after all asks anew."""
        self.is_begun = self.is_taken = self.is_dropped = True
        self.has_readers = False
        self.items.clear()


@contextmanager
def asking_ahead(wishes: Iterable[Wish[T]]) -> Iterator["Ahead[T]"]:
    """Ask for all of this, as far ahead as may be; what is not taken by the end is dropped.

    Nobody waits for requests that are still under way then.
    """
    ahead = Ahead(wishes)
    try:
        ahead.start()
        yield ahead
    finally:
        ahead.stop()


class Ahead(Generic[T]):
    """The answers, to be taken in the order of the wishes, of each account one after the other.

    To turn to one drops what is left of those before it in its account.
    """

    def __init__(self, wishes: Iterable[Wish[T]]) -> None:
        self._changed = threading.Condition()
        readings = [_Reading(each) for each in wishes]
        self._readings = {reading.wish.key: reading for reading in readings}
        self._awaited: dict[str, _Reading[T]] = {}  # by account
        self._lanes: dict[str, list[_Reading[T]]] = {}  # what readers read, in order
        self._is_over = False
        if AT_ONCE > 1:
            are_one = len({reading.wish.account for reading in readings}) == 1
            sure = [reading for reading in readings if not reading.wish.is_unsure]
            for reading in sure[1:] if are_one else sure:
                reading.has_readers = True
                self._lanes.setdefault(reading.wish.account, []).append(reading)

    def start(self) -> None:
        """Begin to ask."""
        for lane in self._lanes.values():
            for _ in range(min(AT_ONCE, len(lane))):
                threading.Thread(
                    target=self._work, args=(lane,), name="mcsync-ahead", daemon=True
                ).start()

    def stop(self) -> None:
        """Drop what was not taken, and ask nothing more."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    # --- the main thread ----------------------------------------------------------------------

    def wait_for_any(self, keys: Collection[Hashable]) -> Hashable:
        """Of these wishes, of one account each, the first of which something can be taken."""
        readings = [self._readings[key] for key in keys]
        with self._changed:
            for reading in readings:
                self._turn_to(reading)
            while True:
                for reading in readings:
                    if reading.items or reading.is_over or not reading.has_readers:
                        return reading.wish.key
                self._changed.wait(_LOOK_UP_S)

    def take(self, key: Hashable) -> Iterator[T]:
        """The items of a wish as they come; raises what went wrong with it, after them."""
        reading = self._readings[key]
        with self._changed:
            self._turn_to(reading)
            reading.is_taken = True
            is_left = reading.is_dropped or not reading.is_begun
            reading.is_begun = True
        if is_left:
            reading.has_readers = False
            yield from reading.wish.read(lambda: True)
            return
        while True:
            with self._changed:
                while not (reading.items or reading.is_over):
                    self._changed.wait(_LOOK_UP_S)
                if not reading.items:
                    break
                item = reading.items.popleft()
                self._changed.notify_all()
            yield item
        if reading.error is not None:
            raise reading.error

    def answer(self, key: Hashable, call: Callable[[], A]) -> A:
        """The answer to a question; it is asked now where nobody wished for it, or once more."""
        reading = self._readings.get(key)
        if reading is None or reading.is_taken:
            return call()
        return cast(A, next(self.take(key)))

    def _turn_to(self, reading: _Reading[T]) -> None:
        account = reading.wish.account
        if self._awaited.get(account) is not reading:
            for before in self._readings.values():
                if before is reading:
                    break
                if before.wish.account == account and not before.is_dropped:
                    before.drop()  # also one that was passed over: it would keep others' room
            self._awaited[account] = reading
        self._changed.notify_all()

    # --- the others ---------------------------------------------------------------------------

    def _work(self, lane: list[_Reading[T]]) -> None:
        """Read one after the other of an account, until all are begun."""
        while (reading := self._choose(lane)) is not None:
            self._read(lane, reading)

    def _choose(self, lane: list[_Reading[T]]) -> _Reading[T] | None:
        """The next to be read, once there is room for its answers."""
        with self._changed:
            while not self._is_over:
                reading = next((each for each in lane if not each.is_begun), None)
                if reading is None:
                    return None
                if self._has_room(lane):
                    reading.is_begun = True
                    return reading
                self._changed.wait()
        return None

    def _read(self, lane: list[_Reading[T]], reading: _Reading[T]) -> None:
        try:
            for item in reading.wish.read(partial(self._is_awaited, reading)):
                if not self._hand_over(lane, reading, item):
                    return
        except BaseException as error:  # raised where it is taken
            reading.error = error
        finally:
            with self._changed:
                reading.is_over = True
                self._changed.notify_all()

    def _hand_over(self, lane: list[_Reading[T]], reading: _Reading[T], item: T) -> bool:
        """Keep an item until it is taken, and wait for room for more; False if nobody wants any."""
        with self._changed:
            if not reading.is_dropped:
                reading.items.append(item)
                self._changed.notify_all()
            while not (self._is_over or reading.is_dropped or self._has_room(lane)):
                if self._is_awaited(reading) and not reading.items:
                    break
                self._changed.wait()
            return not (self._is_over or reading.is_dropped)

    def _has_room(self, lane: list[_Reading[T]]) -> bool:
        return sum(each.count_waiting() for each in lane if each.items) < MOST_WAITING

    def _is_awaited(self, reading: _Reading[T]) -> bool:
        return self._awaited.get(reading.wish.account) is reading
