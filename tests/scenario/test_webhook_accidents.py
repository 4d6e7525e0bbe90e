"""Accidents that webhooks could lead to: told late, told half, or told of what is out of sight."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from mcsync.assemble import build_run
from mcsync.cache.counts import count_webhooks
from mcsync.cache.looks import take_page
from mcsync.cache.webhooks import (
    count_news_of_given_up,
    note_attempts,
    retry_given_up,
    save_events,
)
from mcsync.model import EventKind, Member, WebhookEvent
from mcsync.pipeline import direct
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.handle_webhooks import handle_webhooks
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.sync_contact import sync_contact
from tests.scenario.aftermath import contact_of
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.postal import Post
from tests.scenario.telling import CommandLine

WILMA, FRED, DINO = "wilma@example.org", "fred@example.org", "dino@example.org"
OTHER_LIST, OTHER_GROUP = "bbbbbbbbbb", 777


def contacts_of(bedrock: Bedrock, email: str) -> list[int]:
    return [contact.id for contact in bedrock.town.civicrm.contacts_by_email(email)]


def first_name_of(bedrock: Bedrock, contact_id: int) -> str:
    contact = bedrock.town.civicrm.contact(contact_id)
    assert contact is not None
    return str(contact.first_name)


# --- addresses that changed -----------------------------------------------------------------------


@pytest.mark.parametrize("safety", [{"maxUnsubscribes": None, "maxRemovals": None}, {}])
@pytest.mark.parametrize("is_lost", [False, True])
def test_an_event_of_the_old_address_that_comes_after_the_move_loses_nobody(
    post: Post, bedrock: Bedrock, is_lost: bool, safety: dict[str, object]
):
    bedrock.safety = safety
    wilma = contact_of(bedrock, WILMA)
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, "Willa")
    early = post.collect()
    bedrock.pass_time(seconds=5)
    bedrock.town.mailchimp.change_address(LIST, WILMA, "wilma@example.com")
    late = post.collect()
    post.bring(early)
    assert bedrock.group_status(wilma) == "Added"
    if not is_lost:
        post.bring(late)
    bedrock.sync_until_quiet()
    assert contacts_of(bedrock, "wilma@example.com") == [wilma]
    assert bedrock.group_status(wilma) == "Added"


def test_two_moves_told_one_by_one_lead_to_one_contact(post: Post, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    for old, new in ((WILMA, "w2@example.org"), ("w2@example.org", "w3@example.org")):
        bedrock.town.mailchimp.change_address(LIST, old, new)
        bedrock.pass_time(seconds=3)
    for event in post.collect():
        post.bring([event])
    bedrock.sync_until_quiet()
    assert contacts_of(bedrock, "w3@example.org") == [wilma]
    assert bedrock.group_status(wilma) == "Added"


def test_sync_contact_by_the_old_address_loses_nobody(post: Post, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    bedrock.town.mailchimp.change_address(LIST, WILMA, "wilma@example.com")
    store = bedrock.open_store()
    sync_contact(bedrock.make_run(store), contact_id=wilma)
    store.close()
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(wilma) == "Added"
    assert contacts_of(bedrock, "wilma@example.com") == [wilma]


@pytest.mark.parametrize("told_by", ["webhooks", "sync"])
def test_whoever_signs_up_with_an_address_that_somebody_left_takes_no_row_from_them(
    post: Post, bedrock: Bedrock, told_by: str
):
    wilma = contact_of(bedrock, WILMA)
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, "Wilma")
    bedrock.pass_time(seconds=5)
    bedrock.town.mailchimp.change_address(LIST, WILMA, "wilma@example.com")
    move = post.collect()
    bedrock.pass_time(seconds=5)
    bedrock.town.mailchimp.sign_up(LIST, WILMA, "Pebbles", "Slate")
    if told_by == "webhooks":
        post.bring()
        post.bring(move)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert contacts_of(bedrock, "wilma@example.com") == [wilma]
    assert bedrock.group_status(wilma) == "Added"


def test_two_who_swap_addresses_keep_their_names(post: Post, bedrock: Bedrock):
    mailchimp = bedrock.town.mailchimp
    wilma = contact_of(bedrock, WILMA)
    mailchimp.edit_profile(LIST, WILMA, "Wilma")
    mailchimp.edit_profile(LIST, FRED, "Fred")
    post.bring()
    for old, new in ((WILMA, "t@example.org"), (FRED, WILMA), ("t@example.org", FRED)):
        bedrock.pass_time(seconds=5)
        mailchimp.change_address(LIST, old, new)
    post.bring()
    bedrock.sync_until_quiet()
    assert first_name_of(bedrock, wilma) == "Wilma"


# --- older decisions ------------------------------------------------------------------------------


@pytest.mark.parametrize("leaves_by", ["staff_unsubscribe", "leave"])
def test_what_was_queued_before_somebody_was_archived_is_not_sent(
    post: Post, bedrock: Bedrock, leaves_by: str
):
    bedrock.safety = {}  # the defaults, so that a guard counts who is archived
    getattr(bedrock.town.mailchimp, leaves_by)(LIST, WILMA)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    wilma = contact_of(bedrock, WILMA)
    bedrock.town.civicrm.add_to_group(wilma, GROUP)
    bedrock.pass_time(minutes=1)
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    reconcile(run)
    assert store.query("SELECT count(*) FROM queued_updates").fetchone() == (1,)
    store.close()
    bedrock.pass_time(minutes=1)
    post.collect()
    bedrock.town.mailchimp.staff_archive(LIST, WILMA)
    bedrock.pass_time(minutes=1)
    post.bring([WebhookEvent(EventKind.UNSUBSCRIBE, LIST, WILMA)])
    assert bedrock.member_status(WILMA) == "archived"
    bedrock.sync_until_quiet()
    assert bedrock.member_status(WILMA) == "archived"
    assert bedrock.group_status(wilma) == "Removed"
    assert bedrock.confirmation_mails == []


# --- what is out of sight -------------------------------------------------------------------------


@contextmanager
def list_out_of_sight(bedrock: Bedrock) -> Iterator[None]:
    """As with another account's key: Mailchimp answers 404 to everything about the list."""
    audience = bedrock.town.mailchimp.audiences.pop(LIST)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bedrock.town, "_name", lambda _list_id: "Main audience")
        yield
    bedrock.town.mailchimp.audiences[LIST] = audience


@pytest.mark.parametrize("kind", [EventKind.PROFILE, EventKind.UNSUBSCRIBE])
def test_a_list_that_is_out_of_sight_makes_nobody_vanish(
    post: Post, bedrock: Bedrock, kind: EventKind
):
    bedrock.options = {"interests": {}}  # nothing else is asked of Mailchimp then
    bedrock.sync()
    post.store([WebhookEvent(kind, LIST, WILMA, fired_at="2026-11-22 06:00:00")])
    with list_out_of_sight(bedrock):
        post.handle(raises=False)
    assert post.waiting() == 1
    bedrock.sync()
    assert bedrock.group_status(contact_of(bedrock, WILMA)) == "Added"


def test_a_group_that_was_never_mirrored_waits_for_the_next_sync(post: Post, bedrock: Bedrock):
    wilma, civicrm = contact_of(bedrock, WILMA), bedrock.town.civicrm
    civicrm.add_group("Other", 444)
    bedrock.pass_time(days=10)
    civicrm.add_to_group(wilma, 444)
    bedrock.pass_time(days=1)
    civicrm.remove_from_group(wilma, 444)
    bedrock.pass_time(days=1)
    bedrock.options = {"subscriptionGroup": "444"}
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, interests={VOLUNTEERING: True})
    post.bring()
    assert post.waiting() == 1
    assert bedrock.group_status(wilma, 444) == "Removed"


def test_an_interest_that_was_never_fetched_waits_for_the_next_sync(post: Post, bedrock: Bedrock):
    wilma, donor = contact_of(bedrock, WILMA), "dddddddddd"
    bedrock.town.civicrm.add_group("Donors", 555)
    bedrock.town.civicrm.add_to_group(wilma, 555)
    bedrock.town.mailchimp.add_interest(LIST, "Topics", donor, "Donor")
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, interests={donor: True})
    bedrock.pass_time(days=1)
    bedrock.sync()
    post.collect()
    bedrock.options = {
        "interests": {VOLUNTEERING: str(VOLUNTEERS), donor: "555"},
        "pushOnlyInterests": [donor],
    }
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, interests={VOLUNTEERING: True})
    post.bring()
    bedrock.sync_until_quiet()
    member = bedrock.town.mailchimp.member(LIST, WILMA)
    assert member is not None
    assert member["interests"] == {VOLUNTEERING: True, donor: True}


def test_who_was_deleted_in_the_second_of_her_last_change_is_out(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, "Willa")
    store = bedrock.open_store()
    fetch(bedrock.make_run(store))
    store.close()
    post.collect()
    bedrock.town.mailchimp.staff_delete_permanently(LIST, WILMA)
    post.store()
    bedrock.pass_time(seconds=30)
    bedrock.sync()
    assert bedrock.group_status(contact_of(bedrock, WILMA)) == "Removed"


# --- the others in the queue ----------------------------------------------------------------------


def test_an_audience_in_trouble_does_not_keep_the_others_waiting(post: Post, bedrock: Bedrock):
    bedrock.town.add_audience(OTHER_LIST, "Second", OTHER_GROUP, {})
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    bedrock.town.civicrm.disable_group(OTHER_GROUP)
    people = (f"pebbles{number}@example.org" for number in range(200))
    post.store([WebhookEvent(EventKind.PROFILE, OTHER_LIST, who) for who in people])
    bedrock.town.mailchimp.leave(LIST, WILMA)
    post.store()
    post.handle(raises=False)
    assert bedrock.group_status(contact_of(bedrock, WILMA)) == "Removed"
    assert post.waiting() == 200


def test_an_event_that_fails_each_time_takes_no_other_with_it(
    post: Post, bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
):
    def fail(store: object, list_id: str, members: list[Member], *more: object) -> object:
        if any(member.email == FRED for member in members):
            raise AssertionError("a bug with Fred")
        return take_page(store, list_id, members, *more)  # type: ignore[arg-type]

    wilma = contact_of(bedrock, WILMA)
    bedrock.town.mailchimp.edit_profile(LIST, FRED, "Fredo")
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.bounce(LIST, WILMA)
    post.store()
    with monkeypatch.context() as patched:
        patched.setattr(direct, "take_page", fail)
        for _ in range(5):
            try:
                post.handle()
            except AssertionError:
                continue
    assert bedrock.town.civicrm.emails(wilma)[0].on_hold
    assert post.waiting() == 1


def test_webhooks_of_one_audience_forget_nothing_of_another(post: Post, bedrock: Bedrock):
    town = bedrock.town
    town.add_audience(OTHER_LIST, "Second", OTHER_GROUP, {})
    bedrock.pass_time(minutes=1)
    slate = town.civicrm.add_contact("Mr", "Slate", ["slate@example.org"])
    town.civicrm.add_to_group(slate, OTHER_GROUP)
    town.civicrm.trash(slate)
    bedrock.pass_time(minutes=10)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=10)
    town.civicrm.untrash(slate)
    post.store([WebhookEvent(EventKind.PROFILE, LIST, WILMA)])
    config, store = bedrock.load_config(), bedrock.open_store()
    only = [audience for audience in config.audiences if audience.list_id == LIST]
    handle_webhooks(build_run(config, only, store, clock=town.clock))
    store.close()
    bedrock.sync()
    member = town.mailchimp.member(OTHER_LIST, "slate@example.org")
    assert member is not None
    assert member["status"] == "subscribed"


PLUGIN = """
from mcsync.plugins.hookspec import hookimpl

ASKED = []


@hookimpl
def pre(audience, rows, site):
    return []


@hookimpl
def check_chunk(audience, rows):
    ASKED.extend(row.email for row in rows)
    return []
"""


def test_plugins_are_asked_about_whom_a_webhook_told_of(
    post: Post, bedrock: Bedrock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "asking_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    bedrock.settings = {"data": {"sync": True}, "plugins": ["asking_plugin"]}
    bedrock.with_data = None
    bedrock.add_contact(DINO, group=False)
    bedrock.sync_until_quiet()
    import asking_plugin  # type: ignore[import-not-found]

    asking_plugin.ASKED.clear()
    bedrock.town.mailchimp.sign_up(LIST, DINO, "Dino", "Flintstone")
    post.bring()
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert DINO in asking_plugin.ASKED


# --- what is given up -----------------------------------------------------------------------------


def given_up(bedrock: Bedrock) -> int:
    with closing(bedrock.open_store()) as store:
        found = count_webhooks(store)
    assert found is not None
    return found[1]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    caplog.clear()
    return [text for text in found if "webhook" in text]


def die_over_everything(post: Post, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    def fail(*_: object) -> object:
        raise AssertionError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(direct, "take_page", fail)
        for _ in range(times):
            with suppress(AssertionError):
                post.handle()


def test_what_is_given_up_is_told_once_and_can_be_tried_again_d2(
    post: Post,
    bedrock: Bedrock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    wilma = contact_of(bedrock, WILMA)
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.bounce(LIST, WILMA)
    post.store()
    die_over_everything(post, monkeypatch, 3)
    assert given_up(bedrock) == 1
    assert [text[:21] for text in warnings(caplog)] == ["a webhook is given up"]
    post.handle()
    bedrock.sync()
    assert warnings(caplog) == []
    assert not bedrock.town.civicrm.emails(wilma)[0].on_hold
    with closing(bedrock.open_store()) as store:
        assert retry_given_up(store, bedrock.town.clock()) == 1
    post.handle()
    assert bedrock.town.civicrm.emails(wilma)[0].on_hold
    assert (post.waiting(), given_up(bedrock)) == (0, 0)


def test_what_is_a_week_old_is_given_up_and_not_dropped_silently_d2(
    post: Post, bedrock: Bedrock, caplog: pytest.LogCaptureFixture
):
    post.store([WebhookEvent(EventKind.CLEANED, "zzzzzzzzzz", WILMA)])
    bedrock.pass_time(days=6)
    bedrock.sync()
    assert (post.waiting(), given_up(bedrock), warnings(caplog)) == (1, 0, [])
    bedrock.pass_time(days=2)
    bedrock.sync()
    assert (post.waiting(), given_up(bedrock)) == (1, 1)
    assert len(warnings(caplog)) == 1
    bedrock.sync()
    assert warnings(caplog) == []
    bedrock.pass_time(days=31)
    bedrock.sync()
    assert post.waiting() == 0
    assert "dropped" in warnings(caplog)[0]


def test_it_goes_too_where_only_stages_are_run(
    post: Post, bedrock: Bedrock, mcsync: CommandLine, monkeypatch: pytest.MonkeyPatch
):
    post.store([WebhookEvent(EventKind.CLEANED, LIST, WILMA)])
    die_over_everything(post, monkeypatch, 3)
    bedrock.pass_time(days=36)
    assert mcsync("process-batches").code == 0
    assert given_up(bedrock) == 1
    bedrock.pass_time(days=2)
    assert mcsync("process-batches").code == 0
    assert post.waiting() == 0


def test_one_given_up_after_a_later_one_is_told_too_d2(bedrock: Bedrock):
    events = [WebhookEvent(EventKind.PROFILE, LIST, who) for who in (WILMA, FRED)]
    with closing(bedrock.open_store()) as store:
        save_events(store, events, bedrock.town.clock())
        note_attempts(store, [2], 3)
        assert [count_news_of_given_up(store) for _ in range(2)] == [1, 0]
        note_attempts(store, [1], 3)
        assert [count_news_of_given_up(store) for _ in range(2)] == [1, 0]
        note_attempts(store, [1], -9)
        assert count_webhooks(store) == (1, 1)
