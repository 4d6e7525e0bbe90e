"""`mcsync history`: what was changed at either end, when, in which run, for whom and why."""

import csv
import io
import json
import re
from datetime import timedelta

import pytest

from mcsync.cache.trail import forget_history
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.telling import CommandLine, Teller


@pytest.fixture
def runs(bedrock: Bedrock) -> list[str]:
    """Three runs on three days: Betty is subscribed, Wilma unsubscribed, Barney created."""
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.add_contact("betty@example.org")
    found = []
    for day in range(3):
        if day == 1:
            bedrock.town.civicrm.remove_from_group(wilma, GROUP)
        if day == 2:
            bedrock.add_member("barney@example.org")
        bedrock.sync()
        assert bedrock.last_run is not None
        found.append(bedrock.last_run.run_id)
        bedrock.pass_time(days=1)
    return found


def test_every_change_has_time_run_person_before_after_and_reason(
    bedrock: Bedrock, tell: Teller, runs: list[str]
):
    changes = tell.json("history")["changes"]
    assert [c["run"] for c in changes] == sorted((c["run"] for c in changes), key=runs.index), (
        "oldest first"
    )
    (wilma,) = [c for c in changes if c["email"] == "wilma@example.org"]
    assert wilma["at"] == "2026-11-23T06:02:00Z"
    assert (wilma["run"], wilma["list_id"]) == (runs[1], LIST)
    assert (wilma["side"], wilma["field"]) == ("mailchimp", "subscription")
    assert (wilma["before"], wilma["after"]) == ("subscribed", "unsubscribed")
    assert wilma["reason"] == "removed-in-civicrm"
    assert (
        wilma["sentence"] == "they were removed from the group after the last change at Mailchimp"
    )
    made = [(c["side"], c["field"], c["after"]) for c in changes if c["run"] == runs[2]]
    assert ("civicrm", "contact", "created") in made
    assert ("civicrm", "subscription", "Added") in made


def test_by_person_by_run_and_by_time(bedrock: Bedrock, tell: Teller, runs: list[str]):
    def emails(*args: str) -> set[str]:
        return {c["email"] for c in tell.json("history", *args)["changes"]}

    assert emails("wilma@example.org") == {"wilma@example.org"}
    assert emails("Betty@Example.org") == {"betty@example.org"}
    (barney,) = bedrock.town.civicrm.contacts_by_email("barney@example.org")
    assert emails(f"contact:{barney.id}") == {"barney@example.org"}
    assert emails("--run", runs[0]) == {"betty@example.org"}
    assert emails("--since", "2026-11-23", "--until", "2026-11-24") == {"wilma@example.org"}
    assert emails("--since", "2026-11-24T06:03:00Z") == {"barney@example.org"}
    assert emails("--since", "2026-11-24T07:03:00+01:00") == {"barney@example.org"}
    assert emails("--until", "2026-11-23") == {"betty@example.org"}
    assert emails("nobody@example.org") == set()


def test_the_newest_of_them(bedrock: Bedrock, tell: Teller, runs: list[str]):
    everything = tell.json("history")["changes"]
    assert tell.json("history", "--limit", "2")["changes"] == everything[-2:]


def test_lines_of_json_and_csv_tell_the_same(bedrock: Bedrock, tell: Teller, runs: list[str]):
    changes = tell.json("history")["changes"]
    lines = tell("history", "--jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == changes
    rows = list(csv.DictReader(io.StringIO(tell("history", "--csv").out)))
    as_text = [{k: "" if v is None else str(v) for k, v in c.items()} for c in changes]
    assert rows == as_text


def test_a_table_for_people(bedrock: Bedrock, tell: Teller, runs: list[str]):
    out = tell("history", "wilma@example.org").out
    head, line = out.splitlines()
    assert head.split() == ["Time", "Run", "Who", "At", "What", "Why"]
    assert re.split(" {2,}", line) == [
        *("2026-11-23T06:02:00Z", runs[1], "wilma@example.org", "Mailchimp"),
        "subscribed → unsubscribed",
        "they were removed from the group after the last change at Mailchimp",
    ]
    assert tell("history", "nobody@example.org").out == "No changes.\n"


def test_an_interest_is_called_by_its_name(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    planned = CommandLine(bedrock)("sync", "--dry-run").out
    bedrock.sync()
    words = 'interest "Topics: Volunteering": no → yes'
    assert words in tell("history").out
    assert tell.json("history")["changes"][-1]["field"] == VOLUNTEERING
    assert words in planned


def test_the_table_has_the_newest_hundred(bedrock: Bedrock, tell: Teller):
    for number in range(102):
        bedrock.add_contact(f"miner{number}@example.org")
    bedrock.sync()
    *lines, gap, last = tell("history").out.splitlines()
    assert (len(lines), gap) == (101, "")
    assert last == "The newest 100 of 102 changes; --all shows every one."
    assert len(tell("history", "--all").out.splitlines()) == 103
    assert tell("history", "--limit", "2").out.endswith(
        "The newest 2 of 102 changes; --all shows every one.\n"
    )
    assert len(tell("history", "--csv").out.splitlines()) == 103
    assert len(tell.json("history")["changes"]) == 102
    assert tell("history", "--all", "--limit", "2").code == 2


def test_a_name_that_is_a_formula_stays_text_in_a_spreadsheet(bedrock: Bedrock, tell: Teller):
    bedrock.with_data = True
    bedrock.add_both("wilma@example.org")
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.edit_profile(LIST, "wilma@example.org", "=1+1")
    bedrock.sync_until_quiet()
    assert "=1+1" in [c["after"] for c in tell.json("history")["changes"]]
    rows = csv.DictReader(io.StringIO(tell("history", "--csv").out))
    assert "'=1+1" in [row["after"] for row in rows]


def test_one_document_or_lines_but_not_both(bedrock: Bedrock, tell: Teller):
    told = tell("history", "--json", "--csv")
    assert told.code == 2
    assert told.document["error"]["kind"] == "usage-error"
    assert tell("history", "--jsonl", "--json").code == 2


@pytest.mark.parametrize("when", ["yesterday", "2026-13-01", "12", ""])
def test_a_time_that_is_none(bedrock: Bedrock, tell: Teller, when: str):
    told = tell("history", "--since", when)
    assert (told.code, told.out) == (2, "")
    assert "is not a date" in told.err


def test_without_a_cache_there_is_no_history(bedrock: Bedrock, tell: Teller):
    assert tell.json("history")["changes"] == []
    assert tell("history").out == "No changes.\n"


def test_old_history_is_forgotten_to_the_second(bedrock: Bedrock, tell: Teller, runs: list[str]):
    store = bedrock.open_store()
    (wilma,) = [c for c in tell.json("history")["changes"] if c["email"] == "wilma@example.org"]
    from mcsync.cache.times import from_text

    at = from_text(wilma["at"])
    assert forget_history(store, at) == 1
    assert forget_history(store, at) == 0
    assert tell.json("history")["changes"][0] == wilma
    assert forget_history(store, at + timedelta(seconds=1)) == 1
    store.close()
    assert {c["run"] for c in tell.json("history")["changes"]} == {runs[2]}
