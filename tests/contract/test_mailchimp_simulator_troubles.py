"""The simulated Mailchimp in trouble on demand: batches that hang, refusals, damaged archives.

What is shown meanwhile is held against Mailchimp's own description by the client.
"""

import gzip
import json
import tarfile
from typing import Any

import pytest
from mailchimp_bedrock import KEY, LIST, Bedrock, at, fetch, operation, read_archive, subscribe

from mcsync.sandbox.mailchimp import DAMAGES, PROBLEMS, Damage, Problem, typed_hash

WILMA, FRED, BETTY = "wilma@example.org", "fred@example.org", "betty@example.org"
OTHER_LIST = "bbbbbbbbbb"


def batch_of(api: Bedrock, batch_id: str) -> Any:
    """A batch as the API shows it; the address of its results, and links, are left out."""
    fields = ("status", "total_operations", "finished_operations", "errored_operations")
    shown = api.get(f"/batches/{batch_id}")
    return tuple(shown[name] for name in fields)


def status_of(api: Bedrock, email: str) -> object:
    """Somebody's status, None if there is no such member."""
    member = api.sim.member(LIST, email)
    return member and member["status"]


# --- batches that hang ----------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_a_held_batch_hangs_until_it_is_released(api: Bedrock, delay: int) -> None:
    api.sim.settings.batch_delay_polls = delay
    held = api.sim.hold_next_batch()
    batch_id = api.submit(subscribe(WILMA))
    assert held.batch_id == batch_id
    for _ in range(10):
        api.clock.tick(0, hours=6)
        assert batch_of(api, batch_id) == ("pending", 0, 0, 0)
        assert api.sim.run_batches() == 0
    assert status_of(api, WILMA) is None
    held.release()
    assert batch_of(api, batch_id) == ("finished", 1, 1, 0)
    assert status_of(api, WILMA) == "subscribed"
    (result,) = api.results(batch_id)
    assert result["status_code"] == 200


def test_only_the_chosen_batches_hang(api: Bedrock) -> None:
    api.sim.add_audience(OTHER_LIST, "Slate quarry", KEY)
    api.sim.settings.batch_delay_polls = 0
    of_betty = api.sim.hold_next_batch(email=BETTY)
    of_the_quarry = api.sim.hold_next_batch(list_id=OTHER_LIST)
    quarry = operation("GET", f"/lists/{OTHER_LIST}/members", "q")
    ids = [api.submit(each) for each in (subscribe(WILMA), quarry, subscribe(BETTY), quarry)]
    shown = [batch_of(api, batch_id)[0] for batch_id in ids]
    assert shown == ["finished", "pending", "pending", "finished"]
    assert (of_the_quarry.batch_id, of_betty.batch_id) == (ids[1], ids[2])


def test_two_holds_are_for_two_batches(api: Bedrock) -> None:
    held = [api.sim.hold_next_batch(), api.sim.hold_next_batch()]
    ids = [api.submit() for _ in range(3)]
    assert [hold.batch_id for hold in held] == ids[:2]


def test_a_hold_waits_for_its_batch_or_is_taken_back(api: Bedrock) -> None:
    held = api.sim.hold_next_batch()
    assert not held.is_posted
    with pytest.raises(LookupError):
        _ = held.batch_id
    held.release()
    assert batch_of(api, api.submit())[0] == "finished"
    assert not held.is_posted


def test_a_batch_that_was_posted_may_be_held_too(api: Bedrock) -> None:
    api.sim.settings.batch_delay_polls = 3
    batch_id = api.submit(subscribe(WILMA), subscribe(FRED))
    held = api.sim.hold_batch(batch_id, "preprocessing")
    assert [batch_of(api, batch_id) for _ in range(3)] == [("preprocessing", 0, 0, 0)] * 3
    held.finish()
    assert batch_of(api, batch_id) == ("finished", 2, 2, 0)
    with pytest.raises(ValueError, match="finished"):
        api.sim.hold_batch(batch_id)


@pytest.mark.parametrize("status", ["started", "finalizing"])
def test_a_batch_may_hang_with_everything_done(api: Bedrock, status: str) -> None:
    api.sim.settings.batch_delay_polls = 0
    held = api.sim.hold_next_batch()
    batch_id = api.submit(subscribe(WILMA), subscribe("nonsense"))
    assert held.run_operations() == 2
    held.show(status)
    for _ in range(5):
        api.clock.tick(0, hours=1)
        assert batch_of(api, batch_id) == (status, 2, 2, 1)
        shown = api.get(f"/batches/{batch_id}")
        assert (shown["response_body_url"], shown["completed_at"]) == ("", "")
    assert status_of(api, WILMA) == "subscribed"
    held.finish()
    assert batch_of(api, batch_id) == ("finished", 2, 2, 1)
    assert len(api.results(batch_id)) == 2
    assert len([o for o in api.sim.operations if o.batch_id == batch_id]) == 2  # each once


def test_operations_are_carried_out_when_a_test_says_so(api: Bedrock) -> None:
    """Before or after what other people do, and not all at once."""
    api.put(FRED, status="subscribed")
    held = api.sim.hold_next_batch()
    batch_id = api.submit(subscribe(WILMA), operation("DELETE", at(FRED), "f"), subscribe(BETTY))
    api.sim.staff_unsubscribe(LIST, FRED)
    assert held.run_operations(FRED, BETTY) == 2
    api.sim.leave(LIST, BETTY)
    assert batch_of(api, batch_id) == ("started", 3, 2, 0)
    statuses = [status_of(api, email) for email in (WILMA, FRED, BETTY)]
    assert statuses == [None, "archived", "unsubscribed"]
    assert held.run_operations(BETTY) == 0  # done already
    held.finish()
    assert status_of(api, BETTY) == "unsubscribed"
    assert {result["operation_id"] for result in api.results(batch_id)} == {WILMA, "f", BETTY}


def test_an_operation_is_found_by_any_name_of_the_member(api: Bedrock) -> None:
    old_id = typed_hash("FRED@Example.org")
    api.sim.import_member(LIST, "Fred@Example.org", subscriber_id=old_id)
    members = f"/lists/{LIST}/members"
    contact = api.get(f"{members}/fred@example.org")["contact_id"]
    names = [old_id, "FRED@example.org", contact]
    held = api.sim.hold_next_batch()
    body = {"merge_fields": {"FNAME": "Fred"}}
    api.submit(
        *[operation("PATCH", f"{members}/{name}", name, body) for name in names],
        operation("POST", members, "post", {"email_address": FRED, "status": "subscribed"}),
        subscribe(WILMA),
    )
    assert held.run_operations("fred@EXAMPLE.org") == 4


def test_some_number_of_operations(api: Bedrock) -> None:
    held = api.sim.hold_next_batch()
    batch_id = api.submit(*[subscribe(f"pebble{n}@example.org") for n in range(10)])
    assert held.run_operations(most=4) == 4
    assert len(api.sim.members(LIST)) == 4
    assert batch_of(api, batch_id) == ("started", 10, 4, 0)


def test_the_counts_may_be_ahead_or_behind(api: Bedrock) -> None:
    """All finished, it says, although one was not carried out; or still pending, although all."""
    held = api.sim.hold_next_batch("started")
    batch_id = api.submit(subscribe(WILMA), subscribe("nonsense"))
    held.run_operations("nonsense")
    held.show("finalizing", finished=2)
    assert batch_of(api, batch_id) == ("finalizing", 2, 2, 1)
    assert status_of(api, WILMA) is None
    held.show("started", finished=0)
    assert batch_of(api, batch_id) == ("started", 2, 0, 0)
    held.show("pending")
    assert batch_of(api, batch_id) == ("pending", 0, 0, 0)
    held.finish()
    assert batch_of(api, batch_id) == ("finished", 2, 2, 1)


def test_a_hold_knows_only_the_statuses_before_the_end(api: Bedrock) -> None:
    for status in ("finished", "canceled"):
        with pytest.raises(ValueError, match=status):
            api.sim.hold_next_batch(status)
        with pytest.raises(ValueError, match=status):
            api.sim.hold_next_batch().show(status)


def test_a_held_batch_can_be_stopped(api: Bedrock) -> None:
    held = api.sim.hold_next_batch()
    batch_id = api.submit(subscribe(WILMA), subscribe(FRED))
    held.run_operations(FRED)
    api.write("DELETE", f"/batches/{batch_id}")
    assert api.refused("GET", f"/batches/{batch_id}")["status"] == 404
    assert held.run_operations() == 0
    held.finish()
    assert [status_of(api, email) for email in (WILMA, FRED)] == [None, "subscribed"]


def test_somebody_may_act_before_each_operation_of_a_held_batch_too(api: Bedrock) -> None:
    seen: list[object] = []
    api.sim.before_operation = lambda operation: seen.append(operation.operation_id)
    held = api.sim.hold_next_batch()
    api.submit(subscribe(WILMA), subscribe(FRED))
    assert sorted(str(o.operation_id) for o in held.operations) == [FRED, WILMA]
    held.run_operations(FRED)
    assert seen == [FRED]


def test_another_program_of_the_account_posts_batches_too(api: Bedrock) -> None:
    held = api.sim.hold_next_batch()
    batch_id = api.sim.post_batch(KEY, [operation("GET", "/", "theirs")] * 3)
    assert held.batch_id == batch_id
    assert [batch["id"] for batch in api.get("/batches")["batches"]] == [batch_id]
    held.finish()
    assert batch_of(api, batch_id) == ("finished", 3, 3, 0)


# --- refusals -------------------------------------------------------------------------------------


def put(api: Bedrock, email: str, **body: object) -> Any:
    """PUT somebody by a direct call; the JSON of the answer, whatever it is."""
    return api.call("PUT", at(email), {"email_address": email, **body}).json()


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_refusal_there_is_can_be_had_directly_and_in_a_batch(api: Bedrock, name: str) -> None:
    problem = PROBLEMS[name](WILMA)
    refusal = api.sim.refuse(WILMA, problem, times=2)
    answer = api.call("PUT", at(WILMA), {"email_address": WILMA, "status": "subscribed"})
    results = api.run(subscribe(WILMA), subscribe(FRED))
    told = json.loads(results[WILMA]["response"])
    assert answer.status_code == results[WILMA]["status_code"] == problem.status
    for found in (answer.json(), told):
        assert (found["status"], found["title"]) == (problem.status, problem.title)
        assert found["detail"] == problem.detail
    assert told["instance"] == ""
    assert results[FRED]["status_code"] == 200
    assert refusal.hits == 2
    assert status_of(api, WILMA) is None
    assert put(api, WILMA, status="subscribed")["status"] == "subscribed"


def test_a_refusal_tells_its_fields(api: Bedrock) -> None:
    errors = [("PHONE", "Please enter a valid phone number"), ("BORN", "Please enter the date")]
    api.sim.refuse(WILMA, Problem(400, "Invalid Resource", "They were invalid.", errors))
    told = put(api, WILMA, status="subscribed")
    assert [(e["field"], e["message"]) for e in told["errors"]] == errors


def test_somebody_is_refused_for_ever_until_that_is_stopped(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    refusal = api.sim.refuse(WILMA, PROBLEMS["internal-server-error"](WILMA), times=None)
    for _ in range(5):
        assert put(api, WILMA, status="unsubscribed")["status"] == 500
    assert api.member(WILMA)["status"] == "subscribed"  # reading is not refused
    refusal.stop()
    assert put(api, WILMA, status="unsubscribed")["status"] == "unsubscribed"
    assert refusal.hits == 5


def test_reading_somebody_may_be_refused_too(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    forbidden = PROBLEMS["forbidden"](WILMA)
    api.sim.refuse(WILMA, forbidden, times=None, method="GET", list_id=LIST)
    assert api.refused("GET", at(WILMA))["status"] == 403
    assert api.members()["total_items"] == 1  # the listing is about nobody
    assert put(api, WILMA, vip=True)["vip"] is True


def test_refusals_only_in_batches_only_of_direct_calls_and_by_what_is_sent(api: Bedrock) -> None:
    exists = PROBLEMS["member-exists"]
    api.sim.refuse(WILMA, exists(WILMA), times=None, directly=False)
    api.sim.refuse(FRED, exists(FRED), times=None, in_batches=False)
    api.sim.refuse(BETTY, exists(BETTY), times=None, body='"pending"')
    assert put(api, WILMA, status="subscribed")["status"] == "subscribed"
    assert put(api, FRED, status="subscribed")["status"] == 400
    assert put(api, BETTY, status="subscribed")["status"] == "subscribed"
    assert put(api, BETTY, status="pending")["status"] == 400
    codes = {
        key: result["status_code"]
        for key, result in api.run(*map(subscribe, (WILMA, FRED, BETTY))).items()
    }
    assert codes == {WILMA: 400, FRED: 200, BETTY: 200}


def test_a_refusal_is_for_one_audience_if_it_says_so(api: Bedrock) -> None:
    api.sim.add_audience(OTHER_LIST, "Slate quarry", KEY)
    api.sim.refuse(WILMA, PROBLEMS["member-exists"](WILMA), times=None, list_id=OTHER_LIST)
    assert put(api, WILMA, status="subscribed")["status"] == "subscribed"
    body = {"email_address": WILMA, "status": "subscribed"}
    assert api.refused("POST", f"/lists/{OTHER_LIST}/members", body)["title"] == "Member Exists"


def test_a_refused_operation_is_logged_as_such(api: Bedrock) -> None:
    api.sim.refuse(WILMA, PROBLEMS["forbidden"](WILMA))
    api.run(subscribe(WILMA))
    (logged,) = api.sim.operations
    assert (logged.status, logged.title, api.sim.writes) == (403, "Forbidden", 0)


# --- batches that are not accepted ----------------------------------------------------------------


@pytest.mark.fact("mailchimp: Limits", "500 pending batches or events")
@pytest.mark.parametrize("retry_after", ["", "7"])
def test_batches_may_be_refused_with_429(api: Bedrock, retry_after: str) -> None:
    api.sim.refuse_batches(2, retry_after=retry_after)
    for _ in range(2):
        answer = api.call("POST", "/batches", {"operations": [subscribe(WILMA)]})
        assert (answer.status_code, answer.json()["title"]) == (429, "Too Many Requests")
        assert answer.headers.get("Retry-After", "") == retry_after
    assert api.get("/batches")["total_items"] == 0
    assert api.submit(subscribe(WILMA))


def test_a_429_for_batches_may_come_without_json_and_for_ever(api: Bedrock) -> None:
    api.sim.settings.drop_429_body = True
    api.sim.refuse_batches(None, retry_after="1")
    url = f"{api.server.url}/3.0/batches"
    for _ in range(3):
        bare = api.session.post(url, json={"operations": []})
        assert (bare.status_code, bare.content) == (429, b"")
        assert bare.headers["Retry-After"] == "1"
    assert api.get("/batches")["total_items"] == 0  # everything else goes on
    api.sim.refuse_batches(0)
    api.sim.settings.drop_429_body = False
    assert api.submit()


# --- archives that arrive damaged -----------------------------------------------------------------


@pytest.mark.parametrize("how", DAMAGES)
def test_archives_arrive_damaged_some_times_and_are_whole_afterwards(
    api: Bedrock, how: Damage
) -> None:
    api.sim.damage_archives(2, how)
    batch_id = api.submit(*[subscribe(f"pebble{n}@example.org") for n in range(50)])
    for _ in range(2):
        answer = fetch(api.get(f"/batches/{batch_id}")["response_body_url"])
        assert answer.status_code == 200
        with pytest.raises((tarfile.ReadError, EOFError)):
            read_archive(answer.content)
    assert len(api.results(batch_id)) == 50
    assert len(api.results(batch_id)) == 50


def test_the_archive_of_one_batch_may_be_damaged(api: Bedrock) -> None:
    ids = [api.submit(subscribe(WILMA)), api.submit(subscribe(FRED))]
    api.sim.damage_archives(None, "not-gzip", batch_id=ids[1])
    assert len(api.results(ids[0])) == 1
    url = api.get(f"/batches/{ids[1]}")["response_body_url"]
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(fetch(url).content)
