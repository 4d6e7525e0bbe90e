"""The simulator gives the answers that Mailchimp itself gave in recorded exchanges.

Whole stories are replayed in order, at the recorded times, from the state they began in.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from mailchimp_bedrock import LIST, Bedrock

RECORDED = Path(__file__).parent / "openapi" / "recorded.json"
EXCHANGES = json.loads(RECORDED.read_text())["exchanges"]
SAME = (
    *("title", "status", "detail", "errors", "id", "email_address", "full_name", "email_type"),
    *("merge_fields", "unsubscribe_reason", "source", "list_id", "tags_count", "total_items"),
)


@pytest.fixture
def api() -> Iterator[Bedrock]:
    """An audience with the merge fields of the recorded one, and nobody in it."""
    with Bedrock() as bedrock:
        audience = bedrock.sim.audiences[LIST]
        audience.merge_fields.clear()
        recorded = EXCHANGES["export_destinationMappingOptions"][0]["body"]["merge_fields"]
        for found in sorted(recorded, key=lambda found: found["merge_id"]):
            bedrock.sim.add_merge_field(LIST, found["tag"], found["name"], found["type"])
            made = audience.merge_fields[found["tag"]]
            made.public = found["public"]
        yield bedrock


def ask(api: Bedrock, exchange: dict[str, Any]) -> Any:
    """Put a recorded request to the simulator, at the recorded time."""
    api.clock.now = parsedate_to_datetime(exchange["date"])
    body = None if exchange["method"] in {"GET", "DELETE"} else exchange["request"]
    return api.call(exchange["method"], exchange["path"], body, exchange["query"])


# Links and contact data were dropped from the recordings; marketing permissions come only
# where an audience has its data protection fields switched on, which is not simulated.
NOT_COMPARED = {"_links", "contact", "marketing_permissions"}


def keys(body: Any) -> set[str]:
    """The names in a body that can be compared."""
    return set(body) - NOT_COMPARED


def compare(answer: Any, recorded: Any) -> None:
    """The same names, and the same values where they do not depend on the account."""
    assert keys(answer) == keys(recorded)
    for name in SAME:
        assert answer.get(name) == recorded.get(name), name
    if "tags" in recorded:
        assert {t["name"] for t in answer["tags"]} == {t["name"] for t in recorded["tags"]}
    for name in ("last_changed", "timestamp_opt"):
        if recorded.get(name):
            there = datetime.fromisoformat(recorded[name])
            here = datetime.fromisoformat(answer[name])
            assert abs((here - there).total_seconds()) <= 1, name


def replay(api: Bedrock, exchanges: list[dict[str, Any]]) -> int:
    """Replay a story; returns how many exchanges were compared."""
    for place, exchange in enumerate(exchanges):
        answer = ask(api, exchange)
        where = f"{place}: {exchange['method']} {exchange['path']}"
        assert answer.status_code == exchange["status"], where
        sent = set(answer.headers) - {"Content-Length", "Connection"}
        assert sent == set(exchange["headers"]) - {"Connection"}, where
        if exchange["body"]:
            compare(answer.json(), exchange["body"])
        else:
            assert answer.content == b"", where
    return len(exchanges)


def test_a_story_of_131_calls_that_create_change_rename_tag_archive_and_revive(
    api: Bedrock,
) -> None:
    """What was asked, and answered, stands in openapi/recorded.json."""
    api.sim.settings.fake_addresses = {"person28@example.org"}
    assert replay(api, EXCHANGES["export_exportRecord"]) == 131


@pytest.mark.fact("mailchimp: Writing", "POST un-archives and keeps tags")
def test_a_story_of_an_archived_contact_that_is_posted_again(api: Bedrock) -> None:
    story = [e for e in EXCHANGES["integration_ExportContacts"] if "/members" in e["path"]]
    before = story[1]["body"]
    api.sim.remove_merge_field(LIST, "TICKET")  # had been deleted between the two recordings
    api.sim.import_member(
        LIST,
        before["email_address"],
        "archived",
        "Test2",
        "Plumber",
        tags=["mailchimp people"],
        last_changed=datetime.fromisoformat(before["last_changed"]),
    )
    member = api.sim.audiences[LIST].members[before["id"]]
    member.timestamp_opt = int(datetime.fromisoformat(before["timestamp_opt"]).timestamp())
    member.source = before["source"]
    assert replay(api, story) == 11


@pytest.mark.fact("mailchimp: Members", "many members share a second")
def test_recorded_listings_by_last_changed(api: Bedrock) -> None:
    """Ten members of one second: windows, pages, the page past the end, exclude_fields."""
    story = [e for e in EXCHANGES["import_importRecords"] if e["path"].endswith("/members")]
    api.sim.remove_merge_field(LIST, "TICKET")
    for found in story[0]["body"]["members"]:
        at = datetime.fromisoformat(found["last_changed"])
        values = {tag: value for tag, value in found["merge_fields"].items() if value != ""}
        api.sim.import_member(LIST, found["email_address"], merge_fields=values, last_changed=at)
    assert len({e["query"].get("since_last_changed") for e in story}) == 4
    for exchange in story:
        answer, recorded = ask(api, exchange), exchange["body"]
        assert answer.status_code == exchange["status"]
        body = answer.json()
        assert keys(body) == keys(recorded)
        assert body["total_items"] == recorded["total_items"]
        assert len(body["members"]) == len(recorded["members"])
        for mine, theirs in zip(body["members"], recorded["members"], strict=True):
            assert keys(mine) == keys(theirs)
            assert keys(mine["location"]) == keys(theirs["location"])


def test_recorded_lists(api: Bedrock) -> None:
    exchange = EXCHANGES["import_importRecords"][0]
    assert exchange["path"] == "/lists"
    body, recorded = ask(api, exchange).json(), exchange["body"]
    assert keys(body) == keys(recorded)
    assert keys(body["constraints"]) == keys(recorded["constraints"])
    assert keys(body["lists"][0]) == keys(recorded["lists"][0])
    assert keys(body["lists"][0]["stats"]) == keys(recorded["lists"][0]["stats"])


def test_recorded_merge_fields(api: Bedrock) -> None:
    exchange = EXCHANGES["export_destinationMappingOptions"][0]
    body, recorded = ask(api, exchange).json(), exchange["body"]
    assert keys(body) == keys(recorded)
    for field in body["merge_fields"]:
        del field["_links"]
    assert body["merge_fields"] == recorded["merge_fields"]
