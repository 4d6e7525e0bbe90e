"""Several writing requests at once, and no more of them than the site is to have.

Threads only make requests. Who asked for them takes in what they come to, in the order of the
parts, and is the only one who cuts: `items` may be an iterator that reads as it goes.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sized
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from mcsync.civicrm.pace import Pace
from mcsync.civicrm.progress import Progress
from mcsync.errors import McsyncError
from mcsync.http import threads

T = TypeVar("T")


@dataclass(slots=True)
class _Part(Generic[T]):
    items: list[T]
    future: Future[Progress]
    keys: frozenset[Hashable]
    is_learned: bool = False


class Lanes(Generic[T]):
    """Has `write` done with all items, in parts of the pace's size, `connections` at once.

    Two items of one `key` are never under way in two parts. `write` hands errors over as part of
    the progress. Once a part has an error no further one is begun; those under way are waited for,
    and told as well.

    `is_wary`: the first part goes alone, if none of its kind has succeeded in this run, because
    what is in doubt will not be tried again.
    """

    def __init__(
        self,
        write: Callable[[list[T]], Progress],
        items: Iterable[T],
        pace: Pace,
        connections: int,
        key: Callable[[T], Hashable],
        *,
        is_wary: bool = False,
    ) -> None:
        self._write = write
        self._left = len(items) if isinstance(items, Sized) else None
        self._items = iter(items)
        self._pace = pace
        self._connections = connections
        self._key = key
        self._held: list[T] = []
        self._parts: deque[_Part[T]] = deque()
        self._errors: list[McsyncError] = []
        self._is_probing = is_wary and not pace.is_proved

    def run(self) -> Iterator[tuple[list[T], Progress]]:
        """Each part and what became of it, in their order; then the first error is raised."""
        with threads(self._connections, "civicrm-writing") as pool:
            yield from self._run(pool)
        if self._errors:
            raise self._errors[0]

    def _run(self, pool: ThreadPoolExecutor) -> Iterator[tuple[list[T], Progress]]:
        while True:
            self._fill(pool)
            if not self._parts:
                return
            if not self._parts[0].is_learned:
                wait([part.future for part in self._open()], return_when=FIRST_COMPLETED)
            self._learn()
            if self._parts[0].is_learned:
                part = self._parts.popleft()
                yield part.items, part.future.result()

    def _open(self) -> list[_Part[T]]:
        """The parts of which nobody has learned yet that they have ended."""
        return [part for part in self._parts if not part.is_learned]

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        """Begin as many parts as may be under way; one alone after silence, until one succeeds."""
        lanes = 1 if self._is_probing else self._connections
        while (
            not self._errors
            and len(self._open()) < lanes
            and len(self._parts) < 2 * self._connections
        ):
            part = self._held or self._cut()
            keys = frozenset(map(self._key, part))
            if any(keys & other.keys for other in self._open()):
                self._held = part
                return
            self._held = []
            if not part or self._errors:
                return
            self._parts.append(_Part(part, pool.submit(self._write, part), keys))

    def _cut(self) -> list[T]:
        size = self._pace.cut(self._left, self._connections)
        try:
            part = list(islice(self._items, size))
        except McsyncError as error:  # of who reads as it goes
            self._errors.append(error)
            return []
        if self._left is not None:
            self._left -= len(part)
        return part

    def _learn(self) -> None:
        """Take note of what parts came to, in whatever order they end."""
        for part in self._open():
            if not part.future.done():
                continue
            part.is_learned = True
            progress = part.future.result()
            for sent in progress.sent:
                self._pace.learn(sent)
            if any(not sent.is_too_much for sent in progress.sent):
                self._is_probing = False
            elif any(sent.is_silent for sent in progress.sent):
                self._is_probing = True
            if progress.error is not None:
                self._errors.append(progress.error)
