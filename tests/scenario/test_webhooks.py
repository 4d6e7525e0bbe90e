"""What Mailchimp tells by webhooks is done at once, once, and by the rules of every run."""

from dataclasses import replace

import pytest

from mcsync.cache.trail import load_changes
from mcsync.errors import RemoteUnavailable
from mcsync.model import EventKind, WebhookEvent
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.reconcile import reconcile
from tests.scenario.aftermath import contact_of
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.postal import Post

WILMA, FRED, DINO = "wilma@example.org", "fred@example.org", "dino@example.org"


def count_rows(bedrock: Bedrock) -> int:
    store = bedrock.open_store()
    try:
        row = store.query("SELECT count(*) FROM civicrm_mailchimpsync_cache").fetchone()
    finally:
        store.close()
    return int(row[0])


# --- each kind ------------------------------------------------------------------------------------


def test_somebody_who_signs_up_becomes_a_contact_in_the_group(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.sign_up(LIST, DINO, "Dino", "Flintstone", [VOLUNTEERING])
    post.bring()
    dino = contact_of(bedrock, DINO)
    assert bedrock.group_status(dino) == "Added"
    assert bedrock.group_status(dino, VOLUNTEERS) == "Added"
    contact = bedrock.town.civicrm.contact(dino)
    assert contact is not None
    assert (contact.first_name, contact.last_name) == ("Dino", "Flintstone")
    assert bedrock.sync() == 0


def test_somebody_who_leaves_is_taken_from_the_group(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.leave(LIST, WILMA)
    post.bring()
    assert bedrock.group_status(contact_of(bedrock, WILMA)) == "Removed"
    assert bedrock.sync() == 0


def test_a_complaint_takes_from_the_group(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.complain(LIST, WILMA)
    post.bring()
    assert bedrock.group_status(contact_of(bedrock, WILMA)) == "Removed"


def test_a_bounced_address_leaves_the_group_and_is_put_on_hold(post: Post, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    bedrock.town.mailchimp.bounce(LIST, WILMA)
    post.bring()
    assert bedrock.group_status(wilma) == "Removed"
    [email] = bedrock.town.civicrm.emails(wilma)
    assert email.on_hold
    assert bedrock.sync() == 0


def test_every_contact_that_owns_a_bounced_address_has_it_on_hold(post: Post, bedrock: Bedrock):
    gazoo = bedrock.add_contact(WILMA.upper(), group=False)
    trashed = bedrock.add_contact(WILMA, group=False)
    bedrock.town.civicrm.trash(trashed)
    bedrock.town.mailchimp.bounce(LIST, WILMA)
    post.bring()
    assert bedrock.town.civicrm.emails(gazoo)[0].on_hold
    assert not bedrock.town.civicrm.emails(trashed)[0].on_hold


def test_after_a_complaint_by_bounce_only_this_persons_address_is_on_hold(
    post: Post, bedrock: Bedrock
):
    wilma = contact_of(bedrock, WILMA)
    gazoo = bedrock.add_contact(WILMA, group=False)
    bedrock.town.mailchimp.bounce(LIST, WILMA, "abuse")
    post.bring()
    assert bedrock.town.civicrm.emails(wilma)[0].on_hold
    assert not bedrock.town.civicrm.emails(gazoo)[0].on_hold


@pytest.mark.parametrize("with_sync", [False, True], ids=["the webhooks alone", "a sync"])
def test_of_how_an_audience_is_set_up_nothing_is_asked_twice(
    post: Post, bedrock: Bedrock, with_sync: bool
):
    bedrock.with_data = True
    bedrock.town.mailchimp.sign_up(LIST, DINO, "Dino", "Flintstone", [VOLUNTEERING])
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, first_name="Wilhelmina")
    bedrock.town.mailchimp.edit_profile(LIST, FRED, first_name="Frederick")
    bedrock.town.mailchimp_server.requests.clear()
    post.store()
    if with_sync:
        bedrock.sync()
    else:
        assert post.handle() == 3
    asked = [f"{e.request.path}?{e.request.query}" for e in bedrock.town.mailchimp_server.requests]
    set_up = [each for each in asked if "/merge-fields" in each or "/interest-" in each]
    assert len(set_up) == len(set(set_up)) == 3
    assert bedrock.group_status(contact_of(bedrock, DINO), VOLUNTEERS) == "Added"


def test_a_repeated_delivery_does_not_undo_that_staff_lifted_the_hold(post: Post, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    bedrock.town.mailchimp.bounce(LIST, WILMA)
    events = post.collect()
    post.bring(events)
    [email] = bedrock.town.civicrm.emails(wilma)
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.update_email(email.id, on_hold=0)
    bedrock.pass_time(minutes=1)
    post.bring(events)
    assert not bedrock.town.civicrm.emails(wilma)[0].on_hold


def test_what_bounced_is_in_the_trail(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.bounce(LIST, WILMA)
    post.bring()
    store = bedrock.open_store()
    held = [change for change in load_changes(store) if change.field == "on_hold"]
    store.close()
    assert [(c.email, c.before, c.after, c.reason.value) for c in held] == [
        (WILMA, "no", "yes", "cleaned-at-mailchimp")
    ]


def test_a_payload_that_says_cleaned_of_somebody_who_is_not_holds_nothing(
    post: Post, bedrock: Bedrock
):
    post.bring([WebhookEvent(EventKind.CLEANED, LIST, WILMA, reason="hard")])
    wilma = contact_of(bedrock, WILMA)
    assert not bedrock.town.civicrm.emails(wilma)[0].on_hold
    assert bedrock.group_status(wilma) == "Added"


def test_an_edited_profile_writes_the_names_without_the_data_step(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, "Willa", "Slaghoople")
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, interests={VOLUNTEERING: True})
    post.bring()
    wilma = contact_of(bedrock, WILMA)
    contact = bedrock.town.civicrm.contact(wilma)
    assert contact is not None
    assert (contact.first_name, contact.last_name) == ("Willa", "Slaghoople")
    assert bedrock.group_status(wilma, VOLUNTEERS) == "Added"
    assert bedrock.sync() == 0


def test_an_edited_profile_gives_the_names_of_the_audiences_own_fields(
    post: Post, bedrock: Bedrock
):
    bedrock.town.mailchimp.add_merge_field(LIST, "VORNAME", "Vorname")
    bedrock.options["nameFields"] = {"first": "VORNAME"}
    bedrock.sync()
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, merge_fields={"VORNAME": "Wilhelmina"})
    post.bring()
    contact = bedrock.town.civicrm.contact(contact_of(bedrock, WILMA))
    assert contact is not None
    assert (contact.first_name, contact.last_name) == ("Wilhelmina", "Flintstone")


def test_a_profile_with_blank_names_overwrites_nothing(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, "Willa", "Slaghoople")
    post.bring()
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, "", "")
    post.bring()
    contact = bedrock.town.civicrm.contact(contact_of(bedrock, WILMA))
    assert contact is not None
    assert (contact.first_name, contact.last_name) == ("Willa", "Slaghoople")


def test_a_sign_up_gives_a_name_only_where_there_is_none(post: Post, bedrock: Bedrock):
    nameless = bedrock.town.civicrm.add_contact("", "", [DINO])
    bedrock.town.mailchimp.sign_up(LIST, DINO, "Dino", "Flintstone")
    pebbles = bedrock.add_contact("pebbles@example.org", group=False)
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.sign_up(LIST, "pebbles@example.org", "Peb", "Rubble")
    post.bring()
    named = bedrock.town.civicrm.contact(nameless)
    kept = bedrock.town.civicrm.contact(pebbles)
    assert named is not None
    assert kept is not None
    assert (named.first_name, named.last_name) == ("Dino", "Flintstone")
    assert (kept.first_name, kept.last_name) == ("Pebbles", "Flintstone")
    assert bedrock.group_status(pebbles) == "Added"


def test_a_changed_address_is_one_row_one_contact_and_two_addresses(post: Post, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    bedrock.town.mailchimp.change_address(LIST, WILMA, "wilma@example.com")
    assert {event.kind for event in post.bag} == {EventKind.UPEMAIL, EventKind.PROFILE}
    post.bring()
    assert {e.email for e in bedrock.town.civicrm.emails(wilma)} == {WILMA, "wilma@example.com"}
    assert contact_of(bedrock, "wilma@example.com") == wilma
    assert bedrock.group_status(wilma) == "Added"
    assert count_rows(bedrock) == 3
    assert bedrock.sync() == 0


def test_a_changed_address_is_followed_without_mailchimps_contact_id(post: Post, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    store = bedrock.open_store()
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET unique_contact = NULL")
    store.close()
    bedrock.town.mailchimp.change_address(LIST, WILMA, "wilma@example.com")
    post.bring()
    assert contact_of(bedrock, "wilma@example.com") == wilma
    assert bedrock.group_status(wilma) == "Added"
    assert count_rows(bedrock) == 3


def test_a_finished_batch_is_taken_in(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.settings.batch_delay_polls = None
    betty = bedrock.add_contact("betty@example.org")
    bedrock.sync()
    assert bedrock.member_status("betty@example.org") is None
    bedrock.town.mailchimp.run_batches()
    assert [event.kind for event in post.bag] == [EventKind.BATCH_COMPLETED]
    post.bring()
    store = bedrock.open_store()
    rows = store.query(
        "SELECT sync_status FROM civicrm_mailchimpsync_cache WHERE civicrm_contact_id = ?",
        (betty,),
    ).fetchall()
    store.close()
    assert rows == [("ok",)]


# --- hints, echoes, strangers ---------------------------------------------------------------------


def test_our_own_writes_are_not_told(post: Post, bedrock: Bedrock):
    bedrock.add_contact("betty@example.org")
    bedrock.sync()
    assert [e.kind for e in post.collect()] == [EventKind.BATCH_COMPLETED]


def test_echoes_of_our_writes_change_nothing(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.audiences[LIST].webhooks["hook"].sources["api"] = True
    bedrock.add_contact("betty@example.org")
    bedrock.town.civicrm.remove_from_group(contact_of(bedrock, FRED), GROUP)
    bedrock.sync()
    before = bedrock.town.writes
    assert {e.kind for e in post.bag} >= {EventKind.SUBSCRIBE, EventKind.UNSUBSCRIBE}
    post.bring()
    assert bedrock.town.writes == before
    assert bedrock.sync() == 0


@pytest.mark.parametrize("kind", [k for k in EventKind if k is not EventKind.BATCH_COMPLETED])
def test_somebody_unknown_is_no_error(post: Post, bedrock: Bedrock, kind: EventKind):
    before = bedrock.town.writes
    post.bring([WebhookEvent(kind, LIST, "nobody@example.org", "never@example.org")])
    assert bedrock.town.writes == before
    assert post.waiting() == 0


def test_a_batch_of_somebody_else_is_no_error(post: Post, bedrock: Bedrock):
    post.bring([WebhookEvent(EventKind.BATCH_COMPLETED, batch_id="0123456789")])
    assert post.waiting() == 0


def test_somebody_who_signed_up_and_left_meanwhile_is_not_created(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.sign_up(LIST, DINO)
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.leave(LIST, DINO)
    post.bring(post.collect()[:1])
    assert bedrock.town.civicrm.contacts_by_email(DINO) == []


def test_doubled_and_repeated_deliveries_make_one_contact(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.sign_up(LIST, DINO, "Dino")
    events = post.collect()
    post.bring(events * 3)
    post.bring(events)
    dino = contact_of(bedrock, DINO)
    assert len(bedrock.town.civicrm.history(dino, GROUP)) == 1
    assert count_rows(bedrock) == 4


def test_unsent_updates_of_somebody_who_left_are_closed(post: Post, bedrock: Bedrock):
    bedrock.town.civicrm.add_to_group(contact_of(bedrock, WILMA), VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    reconcile(run)
    assert store.query("SELECT count(*) FROM queued_updates").fetchone() == (1,)
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.leave(LIST, WILMA)
    post.bring()
    assert store.query("SELECT count(*) FROM queued_updates").fetchone() == (0,)
    store.close()
    assert bedrock.member_status(WILMA) == "unsubscribed"
    bedrock.sync_until_quiet()
    assert bedrock.member_status(WILMA) == "unsubscribed"


# --- guards ---------------------------------------------------------------------------------------


def test_what_a_guard_counts_waits_for_the_next_sync(post: Post, bedrock: Bedrock):
    bedrock.safety = {"maxRemovals": "10%"}
    for number in range(30):
        bedrock.add_both(f"pebbles{number}@example.org")
    bedrock.sync()
    for number in range(20):
        bedrock.town.mailchimp.staff_archive(LIST, f"pebbles{number}@example.org")
    bedrock.pass_time(minutes=1)
    post.bring()
    assert len(bedrock.town.civicrm.group_members(GROUP)) == 33
    with pytest.raises(Exception, match="would remove 20 "):
        bedrock.sync()
    assert len(bedrock.town.civicrm.group_members(GROUP)) == 33
    bedrock.town.mailchimp.leave(LIST, "pebbles25@example.org")
    post.bring()
    assert len(bedrock.town.civicrm.group_members(GROUP)) == 32


# --- the queue ------------------------------------------------------------------------------------


def test_the_next_sync_handles_what_is_left(post: Post, bedrock: Bedrock):
    wilma = contact_of(bedrock, WILMA)
    bedrock.town.mailchimp.bounce(LIST, WILMA)
    bedrock.town.mailchimp.edit_profile(LIST, FRED, "Frederick")
    bedrock.pass_time(minutes=1)
    post.store()
    bedrock.sync()
    assert post.waiting() == 0
    assert bedrock.group_status(wilma) == "Removed"
    assert bedrock.town.civicrm.emails(wilma)[0].on_hold
    fred = bedrock.town.civicrm.contact(contact_of(bedrock, FRED))
    assert fred is not None
    assert fred.first_name == "Frederick"
    assert bedrock.sync() == 0


def test_a_sync_reads_no_member_again_whom_it_has_fetched(post: Post, bedrock: Bedrock):
    for number in range(20):
        bedrock.town.mailchimp.sign_up(LIST, f"pebbles{number}@example.org")
    bedrock.pass_time(minutes=1)
    post.store()
    before = len(bedrock.town.mailchimp_server.requests)
    bedrock.sync()
    paths = [r.request.path for r in bedrock.town.mailchimp_server.requests[before:]]
    assert [path for path in paths if "/members/" in path] == []
    assert len(bedrock.town.civicrm.group_members(GROUP)) == 23


def test_trouble_with_mailchimp_keeps_the_queue(post: Post, bedrock: Bedrock):
    bedrock.town.mailchimp.leave(LIST, WILMA)
    post.store()
    bedrock.town.mailchimp_server.stop()
    for _ in range(7):
        with pytest.raises(RemoteUnavailable):
            post.handle()
    assert post.waiting() == 1


def test_events_before_the_first_fetch_wait_for_it(bedrock: Bedrock):
    post = Post(bedrock)
    bedrock.add_both(WILMA)
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.leave(LIST, WILMA)
    post.store()
    assert post.handle() == 0
    assert post.waiting() == 1
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert post.waiting() == 0
    assert bedrock.group_status(contact_of(bedrock, WILMA)) == "Removed"


def test_an_event_that_kills_whoever_handles_it_is_left_alone_in_the_end(
    post: Post, bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
):
    def die(*_: object, **__: object) -> None:
        raise AssertionError("killed")

    post.store([WebhookEvent(EventKind.PROFILE, LIST, WILMA)])
    with monkeypatch.context() as patched:
        patched.setattr("mcsync.pipeline.handle_webhooks.take_in_members", die)
        for _ in range(3):
            with pytest.raises(AssertionError, match="killed"):
                post.handle()
        assert post.handle() == 0
    assert post.waiting() == 1
    bedrock.pass_time(days=8)
    bedrock.sync()
    assert post.waiting() == 1  # for somebody to have it tried again
    bedrock.pass_time(days=30)
    bedrock.sync()
    assert post.waiting() == 0


def test_an_audience_that_is_no_longer_in_the_config_is_left_alone(post: Post, bedrock: Bedrock):
    post.store([replace(WebhookEvent(EventKind.PROFILE, LIST, WILMA), list_id="dddddddddd")])
    before = bedrock.town.writes
    assert post.handle() == 0
    assert bedrock.town.writes == before
