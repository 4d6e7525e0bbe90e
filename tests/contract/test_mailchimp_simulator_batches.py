"""The simulated Mailchimp: batches, their archives, and the webhook that tells of them.

One test per fact known about the real service.
"""

import io
import json
import tarfile
from typing import Any

import pytest
from mailchimp_bedrock import (
    KEY,
    LIST,
    OTHER_KEY,
    Bedrock,
    at,
    fetch,
    operation,
    read_archive,
    subscribe,
)

from mcsync.sandbox.mailchimp import Oddities, Problem

WILMA, FRED = "wilma@example.org", "fred@example.org"
HOOK = "https://hooks.example.org/batches"


def crowd(count: int) -> list[dict[str, object]]:
    """That many operations."""
    return [subscribe(f"pebble{number}@example.org", str(number)) for number in range(count)]


def finished(api: Bedrock, *operations: dict[str, object]) -> str:
    """A batch that ran."""
    batch_id = api.submit(*operations)
    api.sim.run_batches()
    return batch_id


def archive_of(api: Bedrock, batch_id: str) -> bytes:
    """The raw archive."""
    return fetch(api.get(f"/batches/{batch_id}")["response_body_url"]).content


@pytest.mark.fact("mailchimp: Batches", "a fresh batch counts nothing")
def test_a_fresh_batch_is_pending_and_counts_nothing(api: Bedrock) -> None:
    batch = api.write("POST", "/batches", {"operations": [subscribe(WILMA)]})
    assert batch["status"] == "pending"
    counts = [batch[f"{name}_operations"] for name in ("total", "finished", "errored")]
    assert counts == [0, 0, 0]
    assert (batch["completed_at"], batch["response_body_url"]) == ("", "")
    assert len(batch["id"]) == 10
    assert int(batch["id"], 16) >= 0
    assert api.sim.member(LIST, WILMA) is None


def test_the_first_poll_finishes_it_by_default(api: Bedrock) -> None:
    batch_id = api.submit(subscribe(WILMA))
    assert api.get(f"/batches/{batch_id}")["status"] == "finished"
    assert api.member(WILMA)["status"] == "subscribed"


@pytest.mark.fact("mailchimp: Batches", "the order of statuses")
def test_the_statuses_come_in_their_order(api: Bedrock) -> None:
    api.sim.settings.batch_delay_polls = 5
    batch_id = api.submit(*crowd(10))
    polls = [api.get(f"/batches/{batch_id}") for _ in range(6)]
    seen = list(dict.fromkeys(poll["status"] for poll in polls))
    assert seen == ["preprocessing", "started", "finalizing", "finished"]
    assert [poll["finished_operations"] for poll in polls] == [0, 5, 5, 10, 10, 10]
    assert [poll["status"] for poll in polls].index("finished") == 4


def test_none_leaves_it_to_run_batches_and_zero_needs_no_poll(api: Bedrock) -> None:
    api.sim.settings.batch_delay_polls = None
    batch_id = api.submit(subscribe(WILMA))
    assert api.get(f"/batches/{batch_id}")["status"] == "pending"
    assert api.sim.run_batches() == 1
    assert api.get(f"/batches/{batch_id}")["status"] == "finished"
    api.sim.settings.batch_delay_polls = 0
    api.submit(subscribe(FRED))
    assert api.sim.member(LIST, FRED) is not None


@pytest.mark.fact("mailchimp: Batches", "finished is not success")
def test_finished_counts_failures_too(api: Bedrock) -> None:
    batch_id = finished(api, subscribe(WILMA), subscribe("nonsense"))
    batch = api.get(f"/batches/{batch_id}")
    assert (batch["total_operations"], batch["finished_operations"]) == (2, 2)
    assert batch["errored_operations"] == 1


@pytest.mark.fact("mailchimp: Batches", "no order within a batch or between batches")
def test_operations_do_not_run_in_order(api: Bedrock) -> None:
    finished(api, *crowd(30))
    ran = [found.operation_id for found in api.sim.operations]
    assert ran != [str(number) for number in range(30)]
    assert set(ran) == {str(number) for number in range(30)}


@pytest.mark.fact("mailchimp: Batches", "response is parsed twice; 204 is empty or null")
def test_results_are_found_by_operation_id_and_parsed_twice(api: Bedrock) -> None:
    results = api.run(subscribe(WILMA, "w"), subscribe("nonsense", "n"))
    assert results["w"]["status_code"] == 200
    assert json.loads(results["w"]["response"])["email_address"] == WILMA
    problem = json.loads(results["n"]["response"])
    assert (results["n"]["status_code"], problem["status"]) == (400, 400)
    assert problem["instance"] == ""  # reported: empty inside batch results


def test_a_204_result_is_an_empty_string_or_null(api: Bedrock) -> None:
    for number in range(20):
        api.sim.import_member(LIST, f"pebble{number}@example.org")
    operations = [
        operation("DELETE", at(f"pebble{number}@example.org"), str(number)) for number in range(20)
    ]
    results = api.run(*operations)
    assert {result["status_code"] for result in results.values()} == {204}
    assert {result["response"] for result in results.values()} == {"", None}


@pytest.mark.fact("mailchimp: Batches", "archive: gzip tar, ./ first, one or several per file")
def test_the_archive_is_a_gzipped_tar_that_begins_with_its_directory(api: Bedrock) -> None:
    archive = archive_of(api, finished(api, *crowd(40)))
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        entries = tar.getmembers()
        assert entries[0].isdir()
        assert tar.fileobj is not None
        tar.fileobj.seek(0)
        assert tar.fileobj.read(4) == b"./\0\0"
    assert all(
        entry.name.startswith("./") and entry.name.endswith(".json") for entry in entries[1:]
    )


@pytest.mark.fact("mailchimp: Batches", "empty files and []")
def test_files_hold_several_results_and_some_are_empty(api: Bedrock) -> None:
    files = read_archive(archive_of(api, finished(api, *crowd(300))))
    assert None in files
    assert [] in files
    assert len({len(file) for file in files if file}) > 1
    assert sum(len(file) for file in files if file) == 300


def test_the_address_of_the_results_refuses_credentials(api: Bedrock) -> None:
    batch_id = finished(api, subscribe(WILMA))
    url = api.get(f"/batches/{batch_id}")["response_body_url"]
    assert "/3.0/" not in url
    assert fetch(url, Authorization=f"Bearer {KEY}").status_code == 400
    assert fetch(url).status_code == 200


@pytest.mark.fact("mailchimp: Batches", "response_body_url: ten minutes, fresh each time")
def test_each_get_issues_a_new_address_that_expires_after_10_minutes(api: Bedrock) -> None:
    batch_id = finished(api, subscribe(WILMA))
    old = api.get(f"/batches/{batch_id}")["response_body_url"]
    api.clock.tick(599)
    assert fetch(old).status_code == 200
    new = api.get(f"/batches/{batch_id}")["response_body_url"]
    assert new != old
    api.clock.tick(1)
    assert fetch(old).status_code == 403
    assert fetch(new).status_code == 200
    assert fetch(new + "0").status_code == 403


def test_batches_are_kept_for_7_days(api: Bedrock) -> None:
    batch_id = finished(api, subscribe(WILMA))
    api.clock.tick(0, days=7)
    assert api.get(f"/batches/{batch_id}")["status"] == "finished"
    api.clock.tick(1)
    assert api.refused("GET", f"/batches/{batch_id}")["status"] == 404
    assert api.get("/batches")["total_items"] == 0


def test_batches_are_listed_by_tens_for_their_own_account(api: Bedrock) -> None:
    ids = {api.submit(subscribe(WILMA)) for _ in range(12)}
    page = api.get("/batches", fields="batches.id,batches.submitted_at,total_items")
    assert (len(page["batches"]), page["total_items"]) == (10, 12)
    assert {batch["id"] for batch in api.get("/batches", count=1000)["batches"]} == ids
    api.sim.add_account(OTHER_KEY)
    api.session.auth = ("", OTHER_KEY)
    assert api.get("/batches")["total_items"] == 0
    assert api.refused("GET", f"/batches/{ids.pop()}")["status"] == 404


@pytest.mark.fact("mailchimp: Batches", "DELETE /batches")
def test_delete_stops_a_batch_and_its_results_are_gone(api: Bedrock) -> None:
    api.sim.settings.batch_delay_polls = 3
    batch_id = api.submit(*crowd(10))
    api.get(f"/batches/{batch_id}")
    api.write("DELETE", f"/batches/{batch_id}")
    api.sim.run_batches()
    assert len(api.sim.members(LIST)) == 5
    assert api.refused("GET", f"/batches/{batch_id}")["status"] == 404


def test_delete_stops_a_batch_that_is_running(api: Bedrock) -> None:
    batch_id = api.submit(*crowd(10))
    ran: list[object] = []

    def stop_at_the_third(operation: object) -> None:
        ran.append(operation)
        if len(ran) == 3:
            api.write("DELETE", f"/batches/{batch_id}")

    api.sim.before_operation = stop_at_the_third
    api.sim.run_batches()
    assert len(api.sim.members(LIST)) == 3


@pytest.mark.fact("mailchimp: Batches", "operations: path, body as a string, no params")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"params": "count=3"}, "operations.item:0.params"),
        ({"method": "HEAD"}, "operations.item:0.method"),
        ({"path": "lists"}, "operations.item:0.path"),
        ({"operation_id": 7}, "operations.item:0.operation_id"),
    ],
)
def test_a_malformed_operation_refuses_the_whole_batch(
    api: Bedrock, change: dict[str, object], field: str
) -> None:
    body = {"operations": [subscribe(WILMA) | change]}
    assert api.refused("POST", "/batches", body)["errors"][0]["field"] == field


@pytest.mark.fact("mailchimp: Batches", "operations: path, body as a string, no params")
def test_a_nested_body_is_taken_and_fails_alone(api: Bedrock) -> None:
    nested = subscribe(WILMA, "nested") | {"body": {"status": "subscribed"}}
    results = api.run(nested, subscribe(FRED, "fine"))
    codes = {key: result["status_code"] for key, result in results.items()}
    assert codes == {"nested": 400, "fine": 200}


def test_params_are_for_get_and_a_query_in_the_path_for_all(api: Bedrock) -> None:
    """Where `skip_merge_validation` goes in a batched PUT is not known: read as the path only."""
    api.sim.add_merge_field(LIST, "CAVE", "Cave", required=True)
    put = subscribe(WILMA, "params") | {"params": {"skip_merge_validation": "true"}}
    path = subscribe(FRED, "path")
    path["path"] = f"{path['path']}?skip_merge_validation=true"
    listing = operation("GET", f"/lists/{LIST}/members", "listing")
    results = api.run(put, path, listing | {"params": {"count": 0, "fields": "total_items"}})
    assert results["params"]["status_code"] == 400
    assert results["path"]["status_code"] == 200
    assert json.loads(results["listing"]["response"]).keys() == {"total_items"}


def test_a_get_of_members_without_count_walks_all_pages(api: Bedrock) -> None:
    for number in range(2500):
        api.sim.import_member(LIST, f"pebble{number}@example.org")
    listing = operation("GET", f"/lists/{LIST}/members?fields=members.id,total_items", "all")
    listing["path"] += "&sort_field=last_changed"  # type: ignore[operator]
    batch_id = finished(api, listing)
    assert api.get(f"/batches/{batch_id}")["total_operations"] == 3
    results = api.results(batch_id)
    assert [result["operation_id"] for result in results] == ["all"] * 3
    members = [m["id"] for result in results for m in json.loads(result["response"])["members"]]
    assert len(set(members)) == 2500


def test_a_batch_cannot_hold_batches(api: Bedrock) -> None:
    results = api.run(operation("POST", "/batches", "inner", {"operations": []}))
    assert json.loads(results["inner"]["response"])["title"] == "Invalid Action"


def test_an_empty_batch_finishes_without_an_address(api: Bedrock) -> None:
    batch = api.get(f"/batches/{finished(api)}")
    assert (batch["status"], batch["response_body_url"]) == ("finished", "")


def test_the_address_may_be_missing_for_a_while(api: Bedrock) -> None:
    api.sim.oddities = Oddities(unready_polls=2)
    batch_id = api.submit(subscribe(WILMA))
    urls = [bool(api.get(f"/batches/{batch_id}")["response_body_url"]) for _ in range(4)]
    assert urls == [False, False, True, True]


@pytest.mark.fact("mailchimp: Limits", "500 pending batches or events")
def test_501_pending_batches_are_429(api: Bedrock) -> None:
    api.sim.settings.batch_delay_polls = None
    for _ in range(500):
        api.submit()
    assert api.refused("POST", "/batches", {"operations": []})["status"] == 429
    api.sim.run_batches()
    api.submit()


@pytest.mark.parametrize(
    ("oddities", "ids"),
    [
        (Oddities(null_ids=1), [None, "w", "w"]),
        (Oddities(foreign_ids=1), ["not-ours", "w", "w"]),
        (Oddities(missing=1), ["w", "w"]),
        (Oddities(doubled=1), ["w", "w", "w", "w"]),
    ],
    ids=["null", "foreign", "missing", "doubled"],
)
def test_odd_results_can_be_had(api: Bedrock, oddities: Oddities, ids: list[Any]) -> None:
    api.sim.oddities = oddities
    results = api.results(finished(api, *[subscribe(WILMA, "w")] * 3))
    found = [result["operation_id"] for result in results]
    assert sorted(found, key=str) == sorted(ids, key=str)


def test_a_cut_archive_cannot_be_read_to_its_end(api: Bedrock) -> None:
    api.sim.oddities = Oddities(cut_archive=True)
    archive = archive_of(api, finished(api, *crowd(50)))
    with pytest.raises((tarfile.ReadError, EOFError)):
        read_archive(archive)


@pytest.mark.fact("mailchimp: Batches", "a bulk incident is no data")
def test_a_bulk_incident_fails_every_operation_the_same_way(api: Bedrock) -> None:
    api.sim.oddities = Oddities(all_fail=Problem(404, "Resource Not Found", "Not found."))
    results = api.run(*crowd(5))
    assert {result["status_code"] for result in results.values()} == {404}
    assert api.sim.members(LIST) == {}


def test_somebody_may_act_while_a_batch_runs(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.sim.before_operation = lambda _: api.sim.leave(LIST, WILMA)
    body = {"email_address": WILMA, "status": "subscribed"}
    result = api.run(operation("PUT", at(WILMA), "w", body))["w"]
    assert json.loads(result["response"])["title"] == "Member In Compliance State"


def test_writes_and_log_count_operations_not_batches(api: Bedrock) -> None:
    batch_id = finished(api, subscribe(WILMA), subscribe("nonsense"))
    assert api.sim.writes == 1
    logged = {found.operation_id: found for found in api.sim.operations}
    assert logged[WILMA].batch_id == batch_id
    assert logged[WILMA].body == {"email_address": WILMA, "status": "subscribed"}
    assert (logged["nonsense"].status, logged["nonsense"].title) == (400, "Invalid Resource")


# Batch webhooks


@pytest.mark.fact("mailchimp: Batches", "batch webhook: its shape")
def test_a_batch_webhook_tells_the_whole_batch(api: Bedrock) -> None:
    hook = api.write("POST", "/batch-webhooks", {"url": HOOK})
    assert (hook["url"], hook["enabled"], hook["signing_enabled"]) == (HOOK, True, True)
    api.clock.tick(5)
    batch_id = finished(api, subscribe(WILMA))
    (delivery,) = api.sim.deliveries
    assert delivery.url == HOOK
    fields = delivery.fields
    assert fields["type"] == "batch_operation_completed"
    assert fields["fired_at"] == "2021-11-23 22:51:55"
    assert (fields["data[id]"], fields["data[status]"]) == (batch_id, "finished")
    assert fields["data[total_operations]"] == fields["data[finished_operations]"] == "1"
    assert fields["data[completed_at]"] == "2021-11-23T22:51:55+00:00"
    assert fields["data[_links][0][rel]"] == "self"
    assert fetch(fields["data[response_body_url]"]).status_code == 200


@pytest.mark.fact("mailchimp: Batches", "batch webhook: its shape")
def test_batch_webhooks_can_be_read_changed_disabled_and_deleted(api: Bedrock) -> None:
    hook = api.write("POST", "/batch-webhooks", {"url": HOOK})
    path = f"/batch-webhooks/{hook['id']}"
    assert "signing_secret" not in api.get(path)
    api.write("PATCH", path, {"enabled": False})
    finished(api, subscribe(WILMA))
    assert api.sim.deliveries == []
    assert api.get("/batch-webhooks")["webhooks"][0]["enabled"] is False
    api.write("DELETE", path)
    assert api.refused("GET", path)["status"] == 404
    assert api.get("/batch-webhooks")["total_items"] == 0


def test_there_are_at_most_20_batch_webhooks(api: Bedrock) -> None:
    for number in range(20):
        api.write("POST", "/batch-webhooks", {"url": f"{HOOK}/{number}"})
    assert api.refused("POST", "/batch-webhooks", {"url": HOOK})["status"] == 400


@pytest.mark.fact("mailchimp: Limits", "500 pending batches or events")
def test_500_events_nobody_takes_stop_new_batches(api: Bedrock) -> None:
    api.write("POST", "/batch-webhooks", {"url": HOOK})
    api.sim.deliver = lambda url, body, headers: 503
    api.sim.settings.batch_delay_polls = None
    for _ in range(500):
        api.submit()
    api.sim.run_batches()
    assert api.refused("POST", "/batches", {"operations": []})["status"] == 429
