"""The simulated Mailchimp in trouble on demand: refusals, damaged archives.

What is shown meanwhile is held against Mailchimp's own description by the client.
"""

import gzip
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from mailchimp_bedrock import KEY, LIST, Bedrock, at, fetch, operation, read_archive

from mcsync.sandbox.mailchimp import DAMAGES, PROBLEMS, Damage, Problem

WILMA, FRED, BETTY = "wilma@example.org", "fred@example.org", "betty@example.org"
OTHER_LIST = "bbbbbbbbbb"


@pytest.fixture
def api() -> Iterator[Bedrock]:
    """A fresh account."""
    with Bedrock() as bedrock:
        yield bedrock


def subscribe(email: str, key: str = "") -> dict[str, object]:
    """The operation that subscribes somebody."""
    body = {"email_address": email, "status": "subscribed"}
    return operation("PUT", at(email), key or email, body)


def status_of(api: Bedrock, email: str) -> object:
    """Somebody's status, None if there is no such member."""
    member = api.sim.member(LIST, email)
    return member and member["status"]


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
