"""Several requests at once: how many, in what order told, and what an error does to the others."""

import threading
from collections.abc import Callable, Iterable, Iterator

import pytest

from mcsync.civicrm.lanes import Lanes
from mcsync.civicrm.pace import Pace, Sent
from mcsync.civicrm.progress import Progress
from mcsync.errors import McsyncError, ProtocolError, RemoteUnavailable

WAIT_S = 20  # until a test that would hang fails instead
LANES = 4


def done(part: list[int], *sent: Sent) -> Progress:
    return Progress(done={item: item for item in part}, sent=list(sent))


def lanes(
    write: Callable[[list[int]], Progress],
    items: Iterable[int],
    *,
    size: int = 1,
    connections: int = LANES,
    key: Callable[[int], int] = int,
    is_wary: bool = False,
) -> Lanes[int]:
    return Lanes(write, items, Pace(size, size), connections, key, is_wary=is_wary)


def parts(found: Lanes[int]) -> list[list[int]]:
    return [part for part, _ in found.run()]


def until_error(found: Lanes[int]) -> tuple[set[int], McsyncError]:
    """Who was told as done before the error, and the error."""
    told: set[int] = set()
    try:
        for _, progress in found.run():
            told |= progress.done.keys()
    except McsyncError as error:
        return told, error
    raise AssertionError("no error came")


class Counter:
    """Counts who is inside at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.now -= 1


@pytest.mark.parametrize("connections", [1, 2, 4])
def test_as_many_as_allowed_are_under_way_and_no_more(connections: int):
    inside, together = Counter(), threading.Barrier(connections)

    def write(part: list[int]) -> Progress:
        with inside:
            together.wait(WAIT_S)  # all at once, or nobody gets on
            return done(part)

    found = parts(lanes(write, range(3 * connections), connections=connections))
    assert found == [[item] for item in range(3 * connections)]
    assert inside.most == connections


def test_results_come_in_the_order_of_the_parts():
    last = threading.Event()

    def write(part: list[int]) -> Progress:
        if part == [0]:
            assert last.wait(WAIT_S)
        if part == [3]:
            last.set()
        return done(part)

    assert parts(lanes(write, range(6))) == [[item] for item in range(6)]


def test_two_of_one_key_are_never_under_way_at_once():
    inside, nothing = {key: Counter() for key in range(3)}, threading.Event()

    def write(part: list[int]) -> Progress:
        with inside[part[0] % 3]:
            nothing.wait(0.01)  # long enough to meet another, if there could be one
            return done(part)

    items = [0, 3, 6, 1, 2, 9, 4, 12, 15, 5]
    assert parts(lanes(write, items, key=lambda item: item % 3)) == [[item] for item in items]
    assert [counter.most for counter in inside.values()] == [1, 1, 1]


def test_beside_an_error_all_that_is_under_way_is_told_and_nothing_more_is_begun():
    begun: list[int] = []
    together = threading.Barrier(LANES)
    has_failed = threading.Event()

    def write(part: list[int]) -> Progress:
        begun.append(part[0])
        together.wait(WAIT_S)
        if part == [1]:
            has_failed.set()
            return Progress(error=RemoteUnavailable("gone"))
        assert has_failed.wait(WAIT_S)
        return done(part)

    told, error = until_error(lanes(write, range(4)))
    assert isinstance(error, RemoteUnavailable)
    assert told == {0, 2, 3}
    assert sorted(begun) == [0, 1, 2, 3]


def test_no_part_is_begun_once_an_error_is_known():
    begun: list[int] = []

    def write(part: list[int]) -> Progress:
        begun.append(part[0])
        return Progress(error=RemoteUnavailable("gone")) if part == [1] else done(part)

    with pytest.raises(RemoteUnavailable):
        list(lanes(write, range(50), connections=1).run())
    assert begun == [0, 1]


def test_trouble_of_who_reads_as_it_goes_loses_no_result():
    """What is to be written is read while requests are under way, and that may fail."""
    is_read = threading.Event()

    def items() -> Iterator[int]:
        yield from range(2)
        is_read.set()
        raise ProtocolError("unreadable")

    def write(part: list[int]) -> Progress:
        assert is_read.wait(WAIT_S)
        return done(part)

    told, error = until_error(lanes(write, items()))
    assert isinstance(error, ProtocolError)
    assert told == {0, 1}


def test_who_takes_in_the_results_is_the_only_one_who_reads():
    threads = set()

    def items() -> Iterator[int]:
        for item in range(9):
            threads.add(threading.current_thread())
            yield item

    assert len(parts(lanes(done, items()))) == 9
    assert threads == {threading.current_thread()}


def test_whoever_stops_listening_still_has_what_is_under_way_waited_for():
    together, ended = threading.Barrier(LANES), []

    def write(part: list[int]) -> Progress:
        if part[0] < LANES:
            together.wait(WAIT_S)
        ended.append(part[0])
        return done(part)

    found = lanes(write, range(LANES)).run()
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert sorted(ended) == [0, 1, 2, 3]


def test_the_first_goes_alone_where_that_is_wanted():
    inside, alone = Counter(), []

    def write(part: list[int]) -> Progress:
        with inside:
            if part == [0]:
                alone.append(inside.most)
            else:
                together.wait(WAIT_S)
            return done(part, Sent(1, 0.1))

    together = threading.Barrier(LANES)
    assert len(parts(lanes(write, range(1 + LANES), is_wary=True))) == 1 + LANES
    assert alone == [1]
    assert inside.most == LANES


def test_after_silence_one_at_a_time_until_one_succeeds():
    inside, seen = Counter(), {}
    together = threading.Barrier(LANES)

    def write(part: list[int]) -> Progress:
        with inside:
            if part[0] < LANES:
                together.wait(WAIT_S)
            seen[part[0]] = inside.now
            is_silent = part[0] < LANES + 2
            return done(part, Sent(1, 9.0, is_too_much=is_silent, is_silent=is_silent))

    parts(lanes(write, range(LANES + 3)))
    assert [seen[item] for item in range(LANES, LANES + 3)] == [1, 1, 1]


def test_the_size_follows_what_requests_have_come_to():
    pace = Pace(8, 32)
    sizes = []

    def write(part: list[int]) -> Progress:
        sizes.append(len(part))
        return done(part, Sent(len(part), 20.0 if len(part) == 32 else 0.1))

    assert len(list(Lanes(write, iter(range(120)), pace, 1, int).run())) == len(sizes)
    assert sizes == [8, 16, 32, 16, 32, 16]
