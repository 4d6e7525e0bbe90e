"""A batch that Mailchimp itself told us of, when we never learned its id."""

from mcsync.errors import RemoteUnavailable
from mcsync.pipeline.batches import take_in_batch
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.submit import submit
from mcsync.sandbox.server import Fault
from tests.scenario.bedrock import Bedrock


def test_a_batch_whose_answer_was_lost_is_known_by_what_it_carries(bedrock: Bedrock):
    bedrock.add_contact("wilma@example.org")
    bedrock.town.mailchimp_server.faults.append(
        Fault(method="POST", path="/batches", drop="after", times=None)
    )
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    reconcile(run)
    submit(run)
    [task] = run.tasks
    assert isinstance(run.report(task).error, RemoteUnavailable)
    bedrock.town.mailchimp_server.faults.clear()
    [batch] = task.mailchimp.fetch_batches()
    assert not take_in_batch(run, task, "ffffffffff")  # somebody else's
    assert take_in_batch(run, task, batch.batch_id)
    rows = store.query("SELECT sync_status, mailchimp_status FROM civicrm_mailchimpsync_cache")
    assert rows.fetchall() == [("ok", "subscribed")]
    batches = store.query(
        "SELECT mailchimp_batch_id, response_processed FROM civicrm_mailchimpsync_batch"
    )
    assert batches.fetchall() == [(batch.batch_id, 2)]
    store.close()
    bedrock.pass_time(minutes=5)
    assert bedrock.sync() == 0
