"""Guards: a plan that is too large waits for a human, and harms nobody meanwhile."""

from contextlib import closing
from itertools import pairwise

import pytest

from mcsync.cache.audience_status import load_status
from mcsync.errors import GuardTripped
from tests.scenario.aftermath import count_subscribed, settle
from tests.scenario.bedrock import GROUP, LIST, Bedrock

TEN_PERCENT: dict[str, object] = {"maxUnsubscribes": "10%", "maxRemovals": "10%"}


@pytest.fixture
def guarded(bedrock: Bedrock) -> Bedrock:
    bedrock.safety = dict(TEN_PERCENT)
    return bedrock


def test_half_the_group_removed_at_once_is_held_put_back_and_quiet(guarded: Bedrock):
    contacts = settle(guarded, 4000)
    for contact in contacts[:2000]:
        guarded.town.civicrm.remove_from_group(contact, GROUP)
    guarded.pass_time(minutes=1)
    with pytest.raises(GuardTripped, match=r"would unsubscribe 2,000 of 4,000 subscribed members"):
        guarded.sync()
    assert count_subscribed(guarded) == 4000
    guarded.pass_time(hours=1)
    for contact in contacts[:2000]:
        guarded.town.civicrm.add_to_group(contact, GROUP)
    guarded.pass_time(minutes=1)
    assert guarded.sync() == 0
    assert guarded.sync() == 0
    assert count_subscribed(guarded) == 4000


def test_force_carries_out_exactly_the_held_plan_once(guarded: Bedrock):
    contacts = settle(guarded, 60)
    for contact in contacts[:30]:
        guarded.town.civicrm.remove_from_group(contact, GROUP)
    guarded.pass_time(minutes=1)
    with pytest.raises(GuardTripped):
        guarded.sync()
    guarded.sync(is_forced=True)
    statuses = [guarded.member_status(f"gazoo{number}@example.org") for number in range(60)]
    assert statuses == ["unsubscribed"] * 30 + ["subscribed"] * 30
    for contact in contacts[30:45]:
        guarded.town.civicrm.remove_from_group(contact, GROUP)
    guarded.pass_time(minutes=1)
    with pytest.raises(GuardTripped):
        guarded.sync()
    assert count_subscribed(guarded) == 30


def test_a_held_plan_is_news_once_a_day_and_when_it_has_grown_by_a_tenth_b12(guarded: Bedrock):
    contacts = settle(guarded, 60)
    more = {0: contacts[:30], 5: contacts[30:33], 20: [contacts[33]]}  # 30, 33, 34
    news, since = [], set()
    for run in range(4 * 12 + 25):  # three days of cron, every hour
        for contact in more.get(run, ()):
            guarded.town.civicrm.remove_from_group(contact, GROUP)
        guarded.pass_time(minutes=59)
        with pytest.raises(GuardTripped) as held:
            guarded.sync()
        if held.value.is_news:
            news.append((run, held.value.message.split()[4]))
        with closing(guarded.open_store()) as store:
            plan = load_status(store, LIST).held_plan
            assert plan is not None
            since.add(plan.since)
    assert [count for _, count in news] == ["30", "34", "34", "34"]
    assert [number for number, _ in news[:2]] == [0, 20]
    assert all(24 <= later - run <= 25 for (run, _), (later, _) in pairwise(news[1:]))
    assert len(since) == 1
    assert count_subscribed(guarded) == 60


def test_force_takes_what_was_told_and_hardly_more(guarded: Bedrock):
    """Half an office is removed by mistake, between the mail and what the admin does about it."""
    contacts = settle(guarded, 60)
    for contact in contacts[:20]:
        guarded.town.civicrm.remove_from_group(contact, GROUP)
    guarded.pass_time(minutes=1)
    with pytest.raises(GuardTripped, match="would unsubscribe 20"):
        guarded.sync()
    for contact in contacts[20:50]:
        guarded.town.civicrm.remove_from_group(contact, GROUP)
    guarded.pass_time(minutes=1)
    with pytest.raises(GuardTripped, match="would unsubscribe 50") as held:
        guarded.sync(is_forced=True)
    assert held.value.is_news
    assert count_subscribed(guarded) == 60
    guarded.sync(is_forced=True)
    assert count_subscribed(guarded) == 10


def test_people_who_leave_by_themselves_are_never_held(guarded: Bedrock):
    contacts = settle(guarded, 200)
    for number in range(150):
        guarded.town.mailchimp.leave(LIST, f"gazoo{number}@example.org")
    guarded.pass_time(minutes=1)
    guarded.sync_until_quiet()
    removed = [guarded.group_status(contact) for contact in contacts].count("Removed")
    assert removed == 150


def test_archiving_half_the_audience_is_held(guarded: Bedrock):
    contacts = settle(guarded, 60)
    for number in range(30):
        guarded.town.mailchimp.staff_archive(LIST, f"gazoo{number}@example.org")
    guarded.pass_time(minutes=1)
    with pytest.raises(GuardTripped, match="would remove 30 "):
        guarded.sync()
    assert all(guarded.group_status(contact) == "Added" for contact in contacts)


def test_an_import_larger_than_allowed_is_held(guarded: Bedrock):
    settle(guarded, 20)
    guarded.safety["maxAdditions"] = 500
    for number in range(9000):
        guarded.add_contact(f"new{number}@example.org")
    guarded.pass_time(minutes=1)
    with pytest.raises(GuardTripped, match=r"would subscribe 9,000 .*limit: 500"):
        guarded.sync()
    assert count_subscribed(guarded) == 20


def test_new_contacts_may_be_limited(guarded: Bedrock):
    settle(guarded, 20)
    guarded.safety["maxNewContacts"] = 10
    before = len(guarded.town.civicrm.contacts())
    for number in range(11):
        guarded.town.mailchimp.sign_up(LIST, f"new{number}@example.org")
    guarded.pass_time(minutes=1)
    with pytest.raises(GuardTripped, match="would create contacts in CiviCRM for 11 "):
        guarded.sync()
    assert len(guarded.town.civicrm.contacts()) == before


def test_fewer_than_ten_people_are_never_held(guarded: Bedrock):
    contacts = settle(guarded, 12)
    for contact in contacts[:9]:
        guarded.town.civicrm.remove_from_group(contact, GROUP)
    guarded.pass_time(minutes=1)
    guarded.sync_until_quiet()
    assert count_subscribed(guarded) == 3


def test_after_the_cache_is_deleted_the_first_run_is_guarded_too(guarded: Bedrock):
    contacts = settle(guarded, 60)
    for contact in contacts[:30]:
        guarded.town.civicrm.remove_from_group(contact, GROUP)
    for name in ("mcsync.db", "mcsync.db-wal", "mcsync.db-shm"):
        (guarded.folder / name).unlink(missing_ok=True)
    guarded.pass_time(minutes=1)
    with pytest.raises(GuardTripped):
        guarded.sync()
    assert count_subscribed(guarded) == 60
