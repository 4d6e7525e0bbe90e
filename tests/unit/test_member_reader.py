"""Reading members to the end while they move: all come, none twice, and the count is proved."""

import random
from datetime import UTC, datetime, timedelta

import pytest

import mcsync.mailchimp.members as members_module
from mcsync.errors import ProtocolError
from mcsync.http import AnswerTooLarge
from mcsync.mailchimp.members import MemberReader, RawPage
from mcsync.mailchimp.wire import WireMember
from mcsync.model import Member, MemberStatus

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


class Audience:
    """Members in the order of their last change; some change at every page that is read."""

    def __init__(self, size: int, seed: int = 0, *, moves: int = 0, same_second: int = 1) -> None:
        self.luck = random.Random(seed)
        self.moves = moves
        self.now = NOW
        begin = NOW - timedelta(days=30)
        self.changed = {i: begin + timedelta(seconds=i // same_second) for i in range(size)}
        self.is_sorted = True

    def fetch(self, offset: int, count: int, _is_patient: bool) -> RawPage:
        for _ in range(self.moves):
            self.now += timedelta(seconds=1)
            self.changed[self.luck.choice(list(self.changed))] = self.now
        order = sorted(self.changed, key=lambda i: (self.changed[i], i))
        if not self.is_sorted:
            order = sorted(self.changed)
        rows = [self.row(i) for i in order[offset : offset + count]]
        return RawPage(rows, len(self.changed), self.now)

    def row(self, i: int) -> WireMember:
        return WireMember(
            f"{i:032x}", f"{i}@example.org", MemberStatus.SUBSCRIBED, self.changed[i].isoformat()
        )


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members_module, "PAGE_SIZE", 40)
    monkeypatch.setattr(members_module, "BORDER", 10)
    monkeypatch.setattr(members_module, "IN_FLIGHT", 0)  # else the order of moves is anybody's


def read(audience: Audience) -> list[Member]:
    reader = MemberReader(audience.fetch, lambda _s: None)
    return [member for page in reader.read() for member in page.members]


@pytest.mark.parametrize("same_second", [1, 7, 500])
def test_of_members_that_hold_still_each_comes_once(same_second: int):
    found = read(Audience(500, same_second=same_second))
    assert sorted(int(m.member_id, 16) for m in found) == list(range(500))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("moves", [1, 3, 8])
def test_of_members_that_move_the_last_state_comes_and_none_twice_as_it_was(moves: int, seed: int):
    audience = Audience(400, seed, moves=moves)
    found = read(audience)
    assert {int(m.member_id, 16) for m in found} == set(range(400))
    assert len({(m.member_id, m.last_changed) for m in found}) == len(found)
    newest = {m.member_id: m.last_changed for m in found}
    late = [i for i, at in audience.changed.items() if newest[f"{i:032x}"] != at]
    # Whoever moved behind the last page while it was read is for the next fetch's overlap.
    assert all(audience.changed[i] > NOW for i in late)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("same_second", [1, 30])
def test_where_too_many_move_at_once_it_steps_back_and_still_nobody_comes_twice(
    seed: int, same_second: int
):
    class Burst(Audience):
        pages = 0

        def fetch(self, offset: int, count: int, is_patient: bool) -> RawPage:
            self.pages += 1
            self.moves = 100 if self.pages in (4, 9) else 0
            return super().fetch(offset, count, is_patient)

    audience = Burst(400, seed, same_second=same_second)
    found = read(audience)
    assert {int(m.member_id, 16) for m in found} == set(range(400))
    assert len({(m.member_id, m.last_changed) for m in found}) == len(found)
    assert audience.pages > 400 // 30 + 2  # it did step back


def test_pages_in_any_order_are_taken_as_they_come():
    audience = Audience(200)
    for i in audience.luck.sample(range(200), 100):
        audience.changed[i] -= timedelta(days=audience.luck.randint(1, 20))
    audience.is_sorted = False
    found = read(audience)
    assert sorted(int(m.member_id, 16) for m in found) == list(range(200))


@pytest.mark.parametrize("same_second", [1, 50])
def test_a_member_that_never_comes_is_missed(same_second: int):
    class Hiding(Audience):
        def fetch(self, offset: int, count: int, is_patient: bool) -> RawPage:
            page = super().fetch(offset, count, is_patient)
            rows = [row for row in page.rows if int(row.id, 16) != 77]
            return RawPage(rows, page.total, page.served_at)

    audience = Hiding(300, same_second=same_second)
    reader = MemberReader(audience.fetch, lambda _s: None)
    with pytest.raises(ProtocolError, match="received 299 of 300"):
        list(reader.read())


def test_who_was_missing_in_one_pass_comes_in_the_next_and_nobody_else_does():
    class Late(Audience):
        begun = 0

        def fetch(self, offset: int, count: int, is_patient: bool) -> RawPage:
            self.begun += offset == 0
            page = super().fetch(offset, count, is_patient)
            hidden = {5, 150} if self.begun < 2 else set()
            rows = [row for row in page.rows if int(row.id, 16) not in hidden]
            return RawPage(rows, page.total, page.served_at)

    found = read(Late(300))
    assert sorted(int(m.member_id, 16) for m in found) == list(range(300))
    assert [int(m.member_id, 16) for m in found[-2:]] == [5, 150]


def test_pages_that_are_too_large_are_asked_for_by_half(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(members_module, "MIN_PAGE_SIZE", 4)
    audience, sizes = Audience(100), []

    def fetch(offset: int, count: int, is_patient: bool) -> RawPage:
        sizes.append(count)
        if count > 11:
            raise AnswerTooLarge("more than 4 MiB")
        return audience.fetch(offset, count, is_patient)

    found = [m for page in MemberReader(fetch, forbid_pauses).read() for m in page.members]
    assert len(found) == 100
    assert sizes[:3] == [40, 20, 10]

    def refuse(_offset: int, _count: int, _is_patient: bool) -> RawPage:
        raise AnswerTooLarge("more than 4 MiB")

    with pytest.raises(AnswerTooLarge):
        list(MemberReader(refuse, forbid_pauses).read())


def forbid_pauses(_seconds: float) -> None:
    raise AssertionError("nobody was too slow")


def test_where_fewer_come_than_were_asked_for_no_pages_pile_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(members_module, "IN_FLIGHT", 4)
    audience, asked = Audience(400), []

    def fetch(offset: int, count: int, is_patient: bool) -> RawPage:
        asked.append(offset)
        return audience.fetch(offset, min(count, 15), is_patient)

    reader = MemberReader(fetch, forbid_pauses)
    assert sum(len(page.members) for page in reader.read()) == 400
    assert asked == sorted(set(asked))
