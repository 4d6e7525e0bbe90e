"""`mcsync report`: how each audience stands, as text, as a document and as a page."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest

from mcsync.errors import GuardTripped
from mcsync.lock import hold_lock
from tests.scenario.bedrock import GROUP, LIST, NO_LIMITS, Bedrock
from tests.scenario.telling import Teller

OTHER = "bbbbbbbbbb"
HOSTILE = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "</title></style><img src=x>",
    "Fred & Sons' <b>",
    "a\x00b\x1b[31m\u202ec\ud7ff\ufffe",
)
_H = "{http://www.w3.org/1999/xhtml}"
_SVG = "{http://www.w3.org/2000/svg}"


def write(bedrock: Bedrock, sql: str, *values: object) -> None:
    """Change the cache behind everybody's back."""
    with closing(sqlite3.connect(bedrock.folder / "mcsync.db")) as db, db:
        db.execute(sql, values)


def read_page(tell: Teller, *args: str) -> Element:
    """The page as a browser reads it; html5lib's strict parser finds no error in it."""
    told = tell("report", "--html", "-", *args)
    assert (told.code, told.err) == (0, "")
    page: Element = html5lib.HTMLParser(strict=True).parse(told.out)
    return page


def text_of(node: Element) -> str:
    return " ".join("".join(node.itertext()).split())


def find_table(page: Element, first_column: str) -> dict[str, list[str]]:
    """The rows of the first table of which the first column is called so."""
    for table in page.iter(f"{_H}table"):
        rows = [[text_of(cell) for cell in row] for row in table.iter(f"{_H}tr")]
        if rows[0][0] == first_column:
            return {row[0]: row[1:] for row in rows[1:]}
    raise AssertionError(f"no table of {first_column}")


def needs(page: Element) -> list[str]:
    return [
        text_of(item)
        for node in page.iter(f"{_H}div")
        if node.get("class") == "needs"
        for item in node.iter(f"{_H}li")
    ]


@pytest.fixture
def several(bedrock: Bedrock) -> Bedrock:
    """A group in which somebody stands in every place."""
    for name in ("wilma", "fred", "barney"):
        bedrock.add_both(f"{name}@example.org")
    bedrock.add_member("pebbles@example.org", status="pending")
    bedrock.add_contact("pebbles@example.org")
    bedrock.add_contact("dino@example.org", is_opt_out=True)
    bedrock.add_contact("bamm@example.org", is_deceased=True)
    bedrock.add_contact("hoppy@example.org", do_not_email=True)
    bedrock.add_contact("slate@example.org", do_not_email=True)
    bedrock.sync()
    bedrock.pass_time(days=1)
    bedrock.add_contact("betty@example.org")
    bedrock.sync()
    bedrock.add_contact("gazoo@example.org")
    return bedrock


def audience(tell: Teller, *args: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = tell.json("report", *args)["audiences"]
    return found


# --- numbers --------------------------------------------------------------------------------------


def test_the_numbers_of_the_group_add_up(several: Bedrock, tell: Teller):
    found = audience(tell)
    numbers = found["in_group"]
    assert numbers == {
        "total": 9,
        "subscribed": 4,
        "asked": 1,
        "waiting": 0,
        "cannot_be_mailed": 4,
        "failed": 0,
        "other": 0,
    }
    assert numbers["total"] == sum(numbers.values()) - numbers["total"]
    reasons = {each["reason"]: each["count"] for each in found["in_group_reasons"]}
    assert reasons == {"do-not-email": 2, "opt-out": 1, "deceased": 1}
    assert found["members"]["subscribed"] == 4
    assert found["members"]["pending"] == 1


def test_they_say_what_status_says(several: Bedrock, tell: Teller):
    status, report = tell("status", "--json").audience, audience(tell)
    assert report["in_group"]["total"] == status["added_in_civicrm"]
    assert report["in_group"]["cannot_be_mailed"] == status["cannot_subscribe"]
    assert report["members"]["subscribed"] == status["subscribed_at_mailchimp"]
    for name in ("list_id", "name", "group_id", "state", "synced_at", "synced_age_s"):
        assert report[name] == status[name]


def test_a_contact_with_two_addresses_counts_once(bedrock: Bedrock, tell: Teller):
    both = bedrock.add_both("wilma@example.org")
    bedrock.town.civicrm.add_email(both, "slate@example.org")
    bedrock.add_member("slate@example.org", status="unsubscribed")
    bedrock.sync()
    assert audience(tell)["in_group"] | {"subscribed": 1, "total": 1} == audience(tell)["in_group"]


def test_who_shares_a_subscribed_address_counts_as_subscribed(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("slaghoople@example.org")
    bedrock.add_contact("slaghoople@example.org")
    bedrock.sync()
    numbers = audience(tell)["in_group"]
    assert (numbers["total"], numbers["subscribed"]) == (2, 2)


def test_what_waits_for_the_next_sync(several: Bedrock, tell: Teller):
    write(several, "UPDATE civicrm_mailchimpsync_cache SET due = 1 WHERE mailchimp_status IS NULL")
    numbers = audience(tell)["in_group"]
    assert (numbers["waiting"], numbers["cannot_be_mailed"], numbers["total"]) == (4, 0, 9)


def test_the_changes_of_each_day(several: Bedrock, tell: Teller):
    days = audience(tell)["changes"]
    assert len(days) == 30
    now = several.town.clock().date()
    assert [days[0]["day"], days[-1]["day"]] == [
        (now - timedelta(days=29)).isoformat(),
        now.isoformat(),
    ]
    assert days[-1] == {
        "day": now.isoformat(),
        "added_mailchimp": 1,
        "removed_mailchimp": 0,
        "added_civicrm": 0,
        "removed_civicrm": 0,
    }
    several.pass_time(days=40)
    assert not any(
        sum(n for n in d.values() if isinstance(n, int)) for d in audience(tell)["changes"]
    )


def test_no_more_days_than_the_history_has(several: Bedrock, tell: Teller):
    several.settings["historyDays"] = 7
    assert len(audience(tell)["changes"]) == 7


def test_how_far_the_guards_are(several: Bedrock, tell: Teller):
    assert audience(tell)["guards"] == []
    several.safety = {**NO_LIMITS, "maxUnsubscribes": "10%", "maxRemovals": 100}
    guards = {each["kind"]: each for each in audience(tell)["guards"]}
    assert guards["unsubscribes"] == {
        "kind": "unsubscribes",
        "limit": "10%",
        "most": 9,
        "of": 5,
        "held": 0,
    }
    assert (guards["removals"]["most"], guards["removals"]["of"]) == (100, 9)
    assert set(guards) == {"unsubscribes", "mutes", "removals"}


# --- what needs somebody --------------------------------------------------------------------------


def test_nothing_needs_you_when_all_is_well(several: Bedrock, tell: Teller):
    page = read_page(tell)
    assert needs(page) == []
    assert "Nothing needs you." in text_of(page)
    assert "needs you" not in tell("report").out


def test_what_is_held_comes_first(bedrock: Bedrock, tell: Teller):
    bedrock.safety = {"maxUnsubscribes": "10%", "maxRemovals": None}
    workers = [bedrock.add_both(f"worker{n}@example.org") for n in range(30)]
    bedrock.sync()
    for contact in workers[:12]:
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    held_at = bedrock.town.clock()
    with pytest.raises(GuardTripped):
        bedrock.sync()
    bedrock.pass_time(minutes=5)
    page = read_page(tell)
    (need,) = needs(page)
    assert need.startswith(f"Changes are held since {held_at:%Y-%m-%d %H:%M} UTC: would unsub")
    assert need.endswith(f"mcsync sync --list {LIST} --dry-runmcsync sync --list {LIST} --force")
    row = find_table(page, "People")["Unsubscribed because staff removed them from the group"]
    assert row == ["9", "30", "10%", "12"]
    found = audience(tell)
    assert (found["state"], found["since"]) == ("held", f"{held_at:%Y-%m-%dT%H:%M:%SZ}")


def test_a_sync_that_is_long_ago_and_a_fetch_that_did_not_finish(several: Bedrock, tell: Teller):
    several.pass_time(days=3)
    (need,) = audience(tell)["needs"]
    assert need["what"] == "The last complete sync was 3 days ago."
    write(
        several,
        "UPDATE civicrm_mailchimpsync_status"
        " SET data = json_set(data, '$.isFetched', json('false'))",
    )
    assert [need["what"].partition(";")[0] for need in audience(tell)["needs"]] == [
        "The last fetch did not finish",
        "The last complete sync was 3 days ago.",
    ]
    with hold_lock(several.folder / "mcsync.db"):  # a run is at it
        assert len(audience(tell)["needs"]) == 1
        assert "A run is at work" in text_of(read_page(tell))


def test_what_the_last_runs_reported(several: Bedrock, tell: Teller):
    trouble = {
        "key": "group",
        "kind": "partial-failure",
        "message": "Main audience: group 111 is disabled in CiviCRM",
        "hint": "enable the group",
        "since": "2026-11-21T06:00:00Z",
    }
    write(
        several,
        "UPDATE civicrm_mailchimpsync_status SET data = json_set(data, '$.troubles', json(?))",
        json.dumps([trouble]),
    )
    assert needs(read_page(tell)) == [
        "Group 111 is disabled in CiviCRM, since 2026-11-21 06:00 UTC. Enable the group."
    ]
    found = audience(tell)
    assert (found["state"], found["since"]) == ("failing", trouble["since"])
    assert found["troubles"][0]["kind"] == "partial-failure"
    assert "failing since 2026-11-21 06:00 UTC" in tell("report").out


def test_who_failed_is_told_with_the_command_that_lists_them(several: Bedrock, tell: Teller):
    write(
        several,
        "UPDATE civicrm_mailchimpsync_cache SET sync_reason = 'refused-by-mailchimp'"
        " WHERE sync_reason = 'do-not-email'",
    )
    found = audience(tell)
    assert found["in_group"]["failed"] == 2
    (need,) = found["needs"]
    assert need["what"] == "2 people not in sync: Mailchimp refused the change."
    (command,) = need["commands"]
    told = tell(*command.split()[1:])
    assert told.out.count("@example.org") == 2


def test_a_batch_that_hangs(several: Bedrock, tell: Teller):
    at = several.town.clock() - timedelta(days=2)
    write(
        several,
        "INSERT INTO civicrm_mailchimpsync_batch (mailchimp_list_id, mailchimp_batch_id, status,"
        " submitted_at, total_operations, finished_operations, account)"
        " VALUES (?, 'abc123', 'pending', ?, 5, 2, 'x')",
        LIST,
        f"{at:%Y-%m-%dT%H:%M:%SZ}",
    )
    page = read_page(tell)
    assert needs(page)[0].startswith("Mailchimp has not carried out 5 operations for 2 days.")
    assert find_table(page, "Batch")["abc123"][1] == "2 of 5"


def test_webhooks_that_wait_and_that_were_given_up(several: Bedrock, tell: Teller):
    for list_id, attempts in ((LIST, 0), (LIST, 4), ("", 0), (OTHER, 9)):
        write(
            several,
            "INSERT INTO civicrm_mailchimpsync_webhook (received_at, kind, list_id, email,"
            " old_email, reason, batch_id, fired_at, attempts)"
            " VALUES ('', 'subscribe', ?, '', '', '', '', '', ?)",
            list_id,
            attempts,
        )
    document = tell.json("report")
    assert (document["webhooks_waiting"], document["webhooks_given_up"]) == (2, 2)
    (found,) = document["audiences"]
    assert (found["webhooks_waiting"], found["webhooks_given_up"]) == (1, 1)
    assert needs(read_page(tell)) == [
        "2 webhooks were tried too often and given up.mcsync webhook --retry"
    ]


# --- the page -------------------------------------------------------------------------------------


def test_before_the_first_fetch_it_says_so_and_makes_nothing(bedrock: Bedrock, tell: Teller):
    page = read_page(tell)
    assert needs(page) == ["Nothing has been fetched yet.mcsync fetch"]
    assert "never fetched" in text_of(page)
    document = tell.json("report")
    assert document["has_cache"] is False
    assert document["audiences"][0]["in_group"]["total"] == 0
    assert "never fetched" in tell("report").out
    assert [path.name for path in bedrock.folder.iterdir()] == ["config.json"]


def test_an_empty_audience(bedrock: Bedrock, tell: Teller):
    bedrock.sync()
    page = read_page(tell)
    assert find_table(page, "Contacts") == {"Subscribed": ["0"], "In the group": ["0"]}
    assert "Nobody." in text_of(page)
    assert re.search(r"in the group +0\n", tell("report").out)


def test_an_audience_that_is_no_longer_in_the_config(several: Bedrock, tell: Teller):
    write(
        several,
        "INSERT INTO civicrm_mailchimpsync_status VALUES (?, ?)",
        OTHER,
        '{"syncedAt": "2026-05-03T10:00:00Z"}',
    )
    write(
        several,
        "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, mailchimp_status)"
        " VALUES (?, 'subscribed')",
        OTHER,
    )
    left = {"list_id": OTHER, "rows": 1, "synced_at": "2026-05-03T10:00:00Z"}
    assert tell.json("report")["no_longer_in_config"] == [left]
    page = read_page(tell)
    assert find_table(page, "Contacts")["In the group"] == ["9"]
    assert "2026-05-03 10:00 UTC" in text_of(page)
    assert re.search(f"{OTHER} +1 person", tell("report").out)


def test_drawings_have_words_and_a_table(several: Bedrock, tell: Teller):
    page = read_page(tell)
    drawings = list(page.iter(f"{_SVG}svg"))
    assert len(drawings) == 3
    ids = [node.get("id") for node in page.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    for drawing in drawings:
        assert drawing.get("role") == "img"
        named = (drawing.get("aria-labelledby") or "").split()
        assert named
        assert set(named) <= set(ids)
        assert text_of(next(drawing.iter(f"{_SVG}title")))
    days = find_table(page, "Day")
    today = several.town.clock()
    assert days[f"{today.day} {today:%b}"] == ["1", "0", "0", "0"]
    assert list(days)[-1] == "Total"


def test_the_page_loads_nothing_and_runs_nothing(several: Bedrock, tell: Teller):
    told = tell("report", "--html", "-", "--people")
    page = read_page(tell, "--people")
    names = {node.tag.rpartition("}")[2] for node in page.iter() if isinstance(node.tag, str)}
    assert names & {"script", "link", "img", "iframe", "object", "form", "base", "image"} == set()
    for node in page.iter():
        for name, value in node.attrib.items():
            assert not name.startswith("on")
            assert name != "style"
            assert name not in ("href", "src") or value.startswith("#")
    assert "url(" not in told.out
    assert "@import" not in told.out
    assert "default-src &#x27;none&#x27;" in told.out


def test_people_only_when_asked(several: Bedrock, tell: Teller):
    assert "@example.org" not in tell("report").out
    assert "example.org" not in tell("report", "--html", "-").out
    assert "example.org" not in tell("report", "--json").out
    page = read_page(tell, "--people")
    assert find_table(page, "Name")["Bamm Flintstone"][0] == "bamm@example.org"
    people = audience(tell, "--people")["people"]
    assert [(each["reason"], each["email"]) for each in people] == [
        ("deceased", "bamm@example.org"),
        ("do-not-email", "hoppy@example.org"),
        ("do-not-email", "slate@example.org"),
        ("opt-out", "dino@example.org"),
    ]
    assert "opt-out: contact" in tell("report", "--people").out


def test_too_many_people_are_cut(several: Bedrock, tell: Teller, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mcsync.answers.report.MOST_PEOPLE", 1)
    text = text_of(read_page(tell, "--people"))
    assert "And 1 more: mcsync status --reason do-not-email" in text
    assert "slate@example.org" not in text


def test_hostile_names_are_but_names(bedrock: Bedrock, tell: Teller):
    for number, name in enumerate(HOSTILE):
        bedrock.town.civicrm.add_to_group(
            bedrock.town.civicrm.add_contact(
                name, name, [f"p{number}@example.org"], is_opt_out=True
            ),
            GROUP,
        )
    bedrock.sync()
    bedrock.town.mailchimp.audiences[LIST].name = HOSTILE[2]
    page = read_page(tell, "--people")
    text = text_of(page)
    for name in HOSTILE[:4]:
        assert f"{name} {name}" in text
    assert text_of(next(page.iter(f"{_H}h2"))) == f"{HOSTILE[2]} {LIST}"
    assert not list(page.iter(f"{_H}script"))
    assert not list(page.iter(f"{_H}img"))
    assert all(
        line.isprintable() for line in tell("report", "--html", "-", "--people").out.split("\n")
    )
