"""`mcsync abort`: everything under way is given up, and the next sync puts all right."""

from mcsync.pipeline.abort import abort
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.submit import submit
from tests.scenario.bedrock import Bedrock


def test_a_batch_is_stopped_and_the_next_sync_puts_all_right(bedrock: Bedrock):
    bedrock.town.mailchimp.settings.batch_delay_polls = None  # nothing runs by itself
    contacts = [bedrock.add_contact(f"pebbles{number}@example.org") for number in range(5)]
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    reconcile(run)
    submit(run)
    abort(run)
    batches = store.query("SELECT status FROM civicrm_mailchimpsync_batch").fetchall()
    rows = store.query("SELECT sync_status, sync_reason FROM civicrm_mailchimpsync_cache")
    assert batches == [("aborted",)]
    assert rows.fetchall() == [("fail", "aborted")] * 5
    store.close()
    bedrock.town.mailchimp.settings.batch_delay_polls = 0
    bedrock.pass_time(minutes=5)
    bedrock.sync_until_quiet()
    assert all(bedrock.group_status(contact) == "Added" for contact in contacts)
    members = bedrock.town.mailchimp.members("aaaaaaaaaa")
    assert {str(member["status"]) for member in members.values()} == {"subscribed"}
    assert len(members) == 5


def test_what_is_only_queued_is_given_up_too(bedrock: Bedrock):
    bedrock.add_contact("wilma@example.org")
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    reconcile(run)
    abort(run)
    submit(run)
    store.close()
    assert bedrock.member_status("wilma@example.org") is None
    bedrock.pass_time(minutes=5)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == "subscribed"


def test_what_was_done_before_the_batch_was_stopped_stays_done(bedrock: Bedrock):
    bedrock.add_contact("wilma@example.org")
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    reconcile(run)
    submit(run)  # carried out at once; its result is not read
    abort(run)
    row = store.query("SELECT sync_status, mailchimp_status FROM civicrm_mailchimpsync_cache")
    assert row.fetchall() == [("ok", "subscribed")]
    store.close()
    bedrock.pass_time(minutes=5)
    assert bedrock.sync() == 0
