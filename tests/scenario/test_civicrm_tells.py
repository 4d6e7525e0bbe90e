"""What CiviCRM tells is done at once, once, by the rules of every run, and never in a loop."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mcsync.cache.audience_status import load_status
from mcsync.cache.told_contacts import load_told
from mcsync.errors import GuardTripped
from mcsync.lock import hold_lock
from mcsync.pipeline import handle_told as handle_told_module
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.fetch_civicrm import read_told, take_in_civicrm
from mcsync.pipeline.handle_told import MOST
from mcsync.sandbox.town import Town
from tests.scenario.aftermath import contact_of, find_unsettled, load_rows, look_at_both, settle
from tests.scenario.bedrock import GROUP, LIST, NO_LIMITS, VOLUNTEERS, Bedrock
from tests.scenario.doorway import Doorway
from tests.scenario.straight import without_sockets
from tests.scenario.telling import CommandLine

WILMA, FRED, BETTY = "wilma@example.org", "fred@example.org", "betty@example.org"
OTHER_LIST, OTHER_GROUP = "bbbbbbbbbb", 777


@pytest.fixture
def door(bedrock: Bedrock) -> Doorway:
    """A few people in agreement, and CiviCRM's door."""
    for name in ("wilma", "fred", "barney"):
        bedrock.add_both(f"{name}@example.org")
    door = Doorway(bedrock)
    bedrock.sync_until_quiet()
    return door


def bring(door: Doorway, *contact_ids: int) -> None:
    """Somebody did something a minute ago, and CiviCRM tells of it."""
    door.bedrock.pass_time(minutes=1)
    door.tell(*contact_ids)
    assert door.handle() == len(set(contact_ids))
    assert door.waiting() == set()


def opt_out_unnoticed(bedrock: Bedrock, contact: int) -> None:
    """By SQL, without a new date of change: no increment shows it."""
    bedrock.pass_time(hours=1)
    assert bedrock.sync() == 0
    bedrock.town.civicrm.store.tables["Contact"].rows[contact]["is_opt_out"] = True


# --- the documents' cases -------------------------------------------------------------------------


def test_somebody_added_to_the_group_is_subscribed_at_once(door: Doorway, bedrock: Bedrock):
    betty = bedrock.add_contact(BETTY)
    bring(door, betty)
    assert bedrock.member_status(BETTY) == "subscribed"
    assert bedrock.sync() == 0


@pytest.mark.parametrize("how", ["remove_from_group", "delete_from_group"])
def test_somebody_taken_from_the_group_is_unsubscribed_at_once(
    door: Doorway, bedrock: Bedrock, how: str
):
    wilma = contact_of(bedrock, WILMA)
    getattr(bedrock.town.civicrm, how)(wilma, GROUP)
    bring(door, wilma)
    assert bedrock.member_status(WILMA) == "unsubscribed"
    assert bedrock.sync() == 0


def test_an_interest_group_counts_for_who_is_in_the_subscription_group(
    door: Doorway, bedrock: Bedrock
):
    wilma, stranger = contact_of(bedrock, WILMA), bedrock.add_contact(BETTY, group=False)
    for contact in (wilma, stranger):
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bring(door, wilma, stranger)
    assert bedrock.has_interest(WILMA)
    assert bedrock.member_status(BETTY) is None
    bedrock.town.civicrm.remove_from_group(wilma, VOLUNTEERS)
    bring(door, wilma)
    assert not bedrock.has_interest(WILMA)
    assert bedrock.sync() == 0


def test_who_may_no_longer_be_mailed_is_unsubscribed_at_once(door: Doorway, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    bedrock.town.civicrm.update_contact(wilma, is_opt_out=True)
    bring(door, wilma)
    assert bedrock.member_status(WILMA) == "unsubscribed"
    assert bedrock.group_status(wilma) == "Added"


def test_what_dates_and_history_do_not_show_is_read(door: Doorway, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    opt_out_unnoticed(bedrock, wilma)
    assert bedrock.sync() == 0
    bring(door, wilma)
    assert bedrock.member_status(WILMA) == "unsubscribed"


def test_who_was_merged_away_is_followed_to_the_contact_that_survived(
    door: Doorway, bedrock: Bedrock
):
    bedrock.add_member(BETTY, "unsubscribed")
    betty, twin = (bedrock.add_contact(who, group=False) for who in (BETTY, "b@example.org"))
    bedrock.pass_time(hours=1)
    bedrock.sync()
    civicrm = bedrock.town.civicrm
    changed_at = civicrm.store.tables["Contact"].rows[betty]["modified_date"]
    civicrm.merge(twin, betty)
    civicrm.store.tables["Contact"].rows[betty]["modified_date"] = changed_at
    bring(door, betty)
    assert [row[1] for row in load_rows(bedrock) if row[0] == BETTY] == [twin]


# --- what costs nothing ---------------------------------------------------------------------------


def test_our_own_writes_come_back_and_nothing_is_done(door: Doorway, bedrock: Bedrock):
    bedrock.add_member("dino@example.org")
    bedrock.town.mailchimp.leave(LIST, FRED)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    whom = [contact_of(bedrock, who) for who in ("dino@example.org", FRED)]
    assert [bedrock.group_status(each) for each in whom] == ["Added", "Removed"]
    before, asked = bedrock.town.writes, len(bedrock.town.mailchimp_server.requests)
    bring(door, *whom)
    assert bedrock.town.writes == before
    assert len(bedrock.town.mailchimp_server.requests) == asked  # not even read
    assert find_unsettled(bedrock) == []
    assert bedrock.sync() == 0


def test_who_is_in_no_group_of_ours_is_not_even_read(door: Doorway, bedrock: Bedrock):
    stranger = bedrock.add_contact(BETTY, group=False)
    bedrock.town.civicrm.add_group("Others", 999)
    bedrock.town.civicrm.add_to_group(stranger, 999)
    before = bedrock.town.writes
    bring(door, stranger, 4_000_000_000)
    assert bedrock.town.writes == before
    with closing(bedrock.open_store()) as store:
        sql = "SELECT count(*) FROM civicrm_mailchimpsync_contact WHERE contact_id = ?"
        assert store.number(sql, (stranger,)) == 0
    assert bedrock.sync() == 0


def test_ten_changes_of_one_contact_are_one_sync(door: Doorway, bedrock: Bedrock):
    betty = bedrock.add_contact(BETTY)
    bedrock.pass_time(minutes=1)
    door.tell(*[betty] * 10)
    with closing(bedrock.open_store()) as store:
        assert load_told(store) == {betty: 10}
    asked = len(bedrock.town.mailchimp_server.requests)
    assert door.handle() == 1
    once = len(bedrock.town.mailchimp_server.requests) - asked
    gazoo = bedrock.add_contact("gazoo@example.org")
    bedrock.pass_time(minutes=1)
    asked = len(bedrock.town.mailchimp_server.requests)
    bring(door, gazoo)
    assert once == len(bedrock.town.mailchimp_server.requests) - asked


def test_who_was_forgotten_leaves_the_queue_and_is_not_made_again(
    door: Doorway, bedrock: Bedrock, mcsync: CommandLine
):
    wilma = contact_of(bedrock, WILMA)
    door.tell(wilma)
    assert mcsync("forget", WILMA, "--yes").code == 0
    assert door.waiting() == set()
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    before = bedrock.town.writes
    bring(door, wilma)
    assert bedrock.town.writes == before
    assert WILMA not in [row[0] for row in load_rows(bedrock)]


# --- what is left to the next sync ----------------------------------------------------------------


def test_more_than_a_hundred_are_left_to_the_next_sync(door: Doorway, bedrock: Bedrock):
    betty = bedrock.add_contact(BETTY)
    bedrock.pass_time(minutes=1)
    door.tell(betty, *range(5000, 5000 + MOST))
    assert door.handle() == 0
    assert len(door.waiting()) == MOST + 1
    bedrock.sync()
    assert door.waiting() == set()
    assert bedrock.member_status(BETTY) == "subscribed"


def test_the_next_sync_reads_whom_it_would_not_have_seen(door: Doorway, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    opt_out_unnoticed(bedrock, wilma)
    door.tell(wilma, *range(5000, 5000 + MOST))
    bedrock.sync()
    assert bedrock.member_status(WILMA) == "unsubscribed"


def test_the_next_sync_judges_whom_it_was_told_of(door: Doorway, bedrock: Bedrock):
    door.tell(contact_of(bedrock, WILMA), *range(5000, 5000 + MOST))
    bedrock.sync()
    assert bedrock.last_run is not None
    assert bedrock.last_run.reports[LIST].todo == 1


def test_a_contact_that_is_told_of_while_it_is_read_stays_in_the_queue(
    door: Doorway, bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
):
    wilma = contact_of(bedrock, WILMA)
    door.tell(wilma)
    read: Callable[..., None] = read_told

    def read_slowly(*args: object) -> None:
        read(*args)
        door.tell(wilma)

    with monkeypatch.context() as patched:
        patched.setattr(handle_told_module, "read_told", read_slowly)
        door.handle()
    assert door.waiting() == {wilma}


def test_a_contact_that_is_told_of_while_a_fetch_reads_stays_in_the_queue(
    door: Doorway, bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
):
    wilma, fred = contact_of(bedrock, WILMA), contact_of(bedrock, FRED)
    door.tell(wilma)

    def read_slowly(*args: Any, **how: Any) -> None:
        take_in_civicrm(*args, **how)
        door.tell(wilma, fred)

    with monkeypatch.context() as patched:
        patched.setattr("mcsync.pipeline.fetch.take_in_civicrm", read_slowly)
        bedrock.sync()
    assert door.waiting() == {wilma, fred}


def test_groups_that_only_a_whole_look_shows_are_left_to_the_next_sync(
    door: Doorway, bedrock: Bedrock
):
    betty = bedrock.add_contact(BETTY, group=False)
    bedrock.town.civicrm.sql_set_membership(betty, GROUP, "Added")
    door.tell(betty)
    assert door.handle() == 0
    assert door.waiting() == {betty}
    bedrock.sync()
    assert door.waiting() == set()
    assert bedrock.member_status(BETTY) == "subscribed"


def test_before_the_first_fetch_everybody_waits(bedrock: Bedrock):
    door, betty = Doorway(bedrock), bedrock.add_contact(BETTY)
    door.tell(betty)
    assert door.handle() == 0
    assert door.waiting() == {betty}
    bedrock.sync_until_quiet()
    assert door.waiting() == set()


def test_an_audience_in_trouble_catches_up_later(door: Doorway, bedrock: Bedrock):
    bedrock.town.add_audience(OTHER_LIST, "Second", OTHER_GROUP, {})
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    betty = bedrock.add_contact(BETTY)
    bedrock.town.civicrm.add_to_group(betty, OTHER_GROUP)
    bedrock.town.civicrm.disable_group(OTHER_GROUP)
    bedrock.pass_time(minutes=1)
    door.tell(betty)
    assert door.handle(raises=False) == 1
    assert bedrock.member_status(BETTY) == "subscribed"
    assert bedrock.town.mailchimp.member(OTHER_LIST, BETTY) is None
    bedrock.town.civicrm.enable_group(OTHER_GROUP)
    bedrock.sync_until_quiet()
    member = bedrock.town.mailchimp.member(OTHER_LIST, BETTY)
    assert member is not None
    assert member["status"] == "subscribed"


def test_where_no_audience_can_be_judged_everybody_waits(door: Doorway, bedrock: Bedrock):
    betty = bedrock.add_contact(BETTY)
    bedrock.town.civicrm.disable_group(GROUP)
    bedrock.pass_time(minutes=1)
    door.tell(betty)
    assert door.handle(raises=False) == 0
    assert door.waiting() == {betty}
    bedrock.town.civicrm.enable_group(GROUP)
    assert door.handle() == 1
    assert bedrock.member_status(BETTY) == "subscribed"


# --- guards ---------------------------------------------------------------------------------------


def remove(door: Doorway, *parts: list[int]) -> None:
    """Staff remove these people, a few at a time, and CiviCRM tells at once."""
    for contacts in parts:
        for contact in contacts:
            door.bedrock.town.civicrm.remove_from_group(contact, GROUP)
        bring(door, *contacts)


def count_unsubscribed(bedrock: Bedrock) -> int:
    members = bedrock.town.mailchimp.members(LIST).values()
    return sum(member["status"] == "unsubscribed" for member in members)


def test_removals_that_come_one_by_one_meet_the_guard_too(door: Doorway, bedrock: Bedrock):
    bedrock.safety = {**NO_LIMITS, "maxUnsubscribes": "10%"}
    crowd = settle(bedrock, 20)
    remove(door, crowd[:7], crowd[7:14])
    assert count_unsubscribed(bedrock) == 9  # fewer than ten are always allowed
    with pytest.raises(GuardTripped, match="would unsubscribe 14 of"):
        bedrock.sync()
    remove(door, crowd[14:15])
    assert count_unsubscribed(bedrock) == 9
    bedrock.sync(is_forced=True)
    assert count_unsubscribed(bedrock) == 15
    remove(door, crowd[15:16])
    assert count_unsubscribed(bedrock) == 16


def test_what_a_sync_holds_is_not_done_by_another_way(door: Doorway, bedrock: Bedrock):
    bedrock.safety = {**NO_LIMITS, "maxUnsubscribes": "10%"}
    crowd = settle(bedrock, 20)
    for contact in crowd[:12]:
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    with pytest.raises(GuardTripped):
        bedrock.sync()
    betty = bedrock.add_contact(BETTY)
    bring(door, crowd[0], betty)
    assert count_unsubscribed(bedrock) == 0
    assert bedrock.member_status(BETTY) == "subscribed"  # of another kind


def test_each_sync_begins_to_count_anew(door: Doorway, bedrock: Bedrock):
    bedrock.safety = {**NO_LIMITS, "maxUnsubscribes": "10%"}
    crowd = settle(bedrock, 20)
    for part in (crowd[:6], crowd[6:12]):
        remove(door, part)
        bedrock.sync()
    assert count_unsubscribed(bedrock) == 12
    with closing(bedrock.open_store()) as store:
        assert load_status(store, LIST).done_alone == {}


def test_so_does_the_stage_by_itself(door: Doorway, bedrock: Bedrock, mcsync: CommandLine):
    bedrock.safety = {**NO_LIMITS, "maxUnsubscribes": "10%"}
    crowd = settle(bedrock, 20)
    for part in (crowd[:6], crowd[6:12]):
        remove(door, part)
        for stage in ("fetch", "reconcile"):
            told = mcsync(stage)
            assert (told.code, told.err) == (0, "")
    assert count_unsubscribed(bedrock) == 12


# --- under load, and deaths -----------------------------------------------------------------------


def populate(folder: Path, town: Town) -> tuple[Bedrock, Doorway, list[int], list[int]]:
    """Forty people in agreement; then ten of them, and six new ones, change in CiviCRM."""
    bedrock = Bedrock(town, folder)
    people = settle(bedrock, 40)
    door = Doorway(bedrock)
    bedrock.sync_until_quiet()
    civicrm = town.civicrm
    for contact in people[:3]:
        civicrm.remove_from_group(contact, GROUP)
    civicrm.delete_from_group(people[3], GROUP)
    for contact in people[4:6]:
        civicrm.add_to_group(contact, VOLUNTEERS)
    civicrm.update_contact(people[6], is_opt_out=True)
    civicrm.trash(people[7])
    civicrm.add_email(people[8], "new@example.org", is_bulkmail=True)
    civicrm.remove_from_group(people[9], GROUP)
    civicrm.add_to_group(people[9], GROUP)
    new = [bedrock.add_contact(f"new{number}@example.org") for number in range(6)]
    civicrm.add_to_group(new[0], VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    return bedrock, door, [*people[:10], *new], people


def play(folder: Path, *, told: bool, others: int = 0) -> tuple[object, int]:
    """How both sides end, and how many records were written at either.

    CiviCRM tells in 2,000 requests of who changed, and of `others` in no group of ours, while a
    run holds the lock and the server is restarted in between.
    """
    with Town(datetime(2026, 11, 22, 6, 0, tzinfo=UTC)) as town, without_sockets(town):
        town.mailchimp.settings.batch_delay_polls = 0
        bedrock, door, changed, _ = populate(folder, town)
        before = town.writes
        if told:
            whom = [*changed, *range(5000, 5000 + others)]
            requests = (whom * 2000)[:2000]
            Random(1).shuffle(requests)
            with hold_lock(folder / "mcsync.db"):
                for part in (requests[:900], requests[900:]):
                    with door.open() as desk:
                        door.tell_at(desk, part)
            assert door.waiting() == set(whom)
            assert door.handle() == (0 if others else len(whom))
        bedrock.sync_until_quiet()
        assert door.waiting() == set()
        assert find_unsettled(bedrock) == []
        return look_at_both(bedrock), town.writes - before


@pytest.fixture(scope="module")
def untold(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, int]:
    end, written = play(tmp_path_factory.mktemp("untold"), told=False)
    assert written > 10
    return end, written


@pytest.mark.parametrize("others", [0, 150])
def test_what_comes_in_a_flood_ends_as_the_next_sync_alone_would(
    tmp_path: Path, untold: tuple[object, int], others: int
):
    assert play(tmp_path, told=True, others=others) == untold


class Killed(BaseException):
    """The process is gone; nobody may catch this."""


STEPS = ("take_in_news", "read_told", "find_with_news", "forget_told", "take_in_members", "link")


@pytest.mark.parametrize("step", [*STEPS, "settle"])
def test_who_dies_while_handling_loses_nobody(
    tmp_path: Path, untold: tuple[object, int], monkeypatch: pytest.MonkeyPatch, step: str
):
    with Town(datetime(2026, 11, 22, 6, 0, tzinfo=UTC)) as town, without_sockets(town):
        town.mailchimp.settings.batch_delay_polls = 0
        bedrock, door, changed, _ = populate(tmp_path, town)
        door.tell(*changed)
        done: Callable[..., object] = getattr(handle_told_module, step)

        def die(*args: object, **more: object) -> object:
            done(*args, **more)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(handle_told_module, step, die)
            with pytest.raises(Killed):
                door.handle()
        door.handle()
        bedrock.sync_until_quiet()
        assert door.waiting() == set()
        assert look_at_both(bedrock) == untold[0]


def test_a_fetch_that_dies_before_the_queue_is_emptied_loses_nobody(
    door: Doorway, bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
):
    wilma = contact_of(bedrock, WILMA)
    opt_out_unnoticed(bedrock, wilma)
    door.tell(wilma)

    def die(*_: object) -> None:
        raise Killed

    for name in ("mcsync.pipeline.fetch_civicrm.forget_told", "mcsync.pipeline.fetch.link"):
        with monkeypatch.context() as patched:
            patched.setattr(name, die)
            with pytest.raises(Killed), closing(bedrock.open_store()) as store:
                fetch(bedrock.make_run(store))
        assert door.waiting() == ({wilma} if "forget" in name else set())
    bedrock.sync()
    assert bedrock.member_status(WILMA) == "unsubscribed"
