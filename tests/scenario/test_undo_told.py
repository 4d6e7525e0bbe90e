"""What `mcsync undo` says, and what the other commands say of it afterwards."""

from contextlib import closing

import pytest

from mcsync.cache.undos import find_cut_undo
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.telling import CommandLine, Teller

UNSUBSCRIBED = "unsubscribed"


@pytest.fixture
def accident(bedrock: Bedrock) -> str:
    """Twelve people whom staff removed by a slip; one of them left since. The run's id."""
    people = [bedrock.add_both(f"p{number}@example.org") for number in range(12)]
    bedrock.sync_until_quiet()
    for contact in people:
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.sync()
    assert bedrock.last_run is not None
    run_id = bedrock.last_run.run_id
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.leave(LIST, "p3@example.org")
    bedrock.sync()
    return run_id


def test_a_dry_run_needs_no_network_and_no_keys(bedrock: Bedrock, accident: str, tell: Teller):
    told = tell("undo", "--dry-run")
    assert told.code == 0
    assert f"Main audience: run {accident}: 11 changes to be put back, 1 left" in told.out
    assert "p0@example.org, p1@example.org, p2@example.org and 8 more" in told.out
    assert "it was changed again since" in told.out
    assert "p3@example.org" in told.out
    assert "undo itself looks at both services first" in told.out
    document = tell.json("undo", "--dry-run", "--full")
    assert document["dry_run"] is True
    assert document["undone_run"] == accident
    (found,) = document["undo"]
    assert (found["put_back"], found["left"]) == (11, 1)
    assert found["left_reasons"] == {"spoke-since": 1}
    assert found["changes"][0]["after"] == "subscribed"
    assert bedrock.member_status("p0@example.org") == UNSUBSCRIBED


def test_undo_and_what_is_told_afterwards(
    bedrock: Bedrock, accident: str, mcsync: CommandLine, tell: Teller
):
    bedrock.safety = {"maxAdditions": 5}
    held = mcsync("undo", "--json")
    assert held.code == 4
    assert held.document["error"]["kind"] == "guard-tripped"
    assert "subscribe 11 people in addition to 0 (limit: 5)" in held.document["error"]["message"]
    assert held.document["undo"][0]["would_be_held"]
    assert bedrock.member_status("p0@example.org") == UNSUBSCRIBED
    done = mcsync("undo", "--force", "--json")
    assert done.code == 0
    assert done.document["undo"][0]["put_back"] == 11
    assert bedrock.member_status("p0@example.org") == "subscribed"
    undo_run = done.document["run"]
    bedrock.sync_until_quiet()
    assert tell.json("status")["audiences"][0]["left_alone_reasons"] == [
        {
            "reason": "undone",
            "count": 11,
            "sentence": "undo put it back, to stay until either side says something newer",
        }
    ]
    history = tell("history")
    assert f"Run {accident} was undone by run {undo_run}." in history.out
    assert f"Run {undo_run} undid run {accident}." in history.out
    assert tell.json("history")["undone"] == {accident: [undo_run]}
    explained = tell("explain", "p0@example.org").out
    assert f"(run {undo_run}), to stay until either side says something newer" in explained
    (person,) = tell.json("explain", "p0@example.org")["people"]
    assert person["undone"]["run"] == undo_run
    assert mcsync("sync").code == 0


def test_an_undo_that_was_held_is_done_by_force(
    bedrock: Bedrock, accident: str, mcsync: CommandLine
):
    bedrock.safety = {"maxAdditions": 5}
    assert mcsync("undo").code == 4
    with closing(bedrock.open_store()) as store:
        assert find_cut_undo(store, accident) is None
    assert mcsync("undo", "--force").code == 0
    assert bedrock.member_status("p0@example.org") == "subscribed"


def test_off_a_terminal_it_tells_what_it_did_and_whom_it_left(accident: str, mcsync: CommandLine):
    told = mcsync("undo", "--run", accident)
    assert (told.code, told.err) == (0, "")
    assert f"Main audience: run {accident}: 11 changes put back, 1 left" in told.out
    assert "p3@example.org" in told.out
    assert mcsync("undo", "--run", accident, "-q").out == ""


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--run", "0badcafe"], 'the history knows no run "0badcafe"'),
        (["nobody@example.org"], "nobody known as nobody@example.org"),
        (["wilma"], '"wilma" is neither an address nor an id'),
    ],
)
def test_what_is_not_known_is_said(accident: str, mcsync: CommandLine, args: list[str], says: str):
    for more in ([], ["--dry-run"]):
        told = mcsync("undo", *args, *more)
        assert told.code == 2
        assert says in told.err
