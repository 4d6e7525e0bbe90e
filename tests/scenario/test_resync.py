"""`mcsync resync`: people are included in the next sync because a human asks for it."""

import sqlite3

import msgspec
import pytest

from mcsync.cache.rows import StoredRefusal, decode_refusals
from mcsync.lock import hold_lock
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.telling import Teller


def rows(bedrock: Bedrock) -> dict[str, str]:
    """Every row's sync status, by address."""
    with sqlite3.connect(bedrock.folder / "mcsync.db") as db:
        return dict(db.execute("SELECT email, sync_status FROM people").fetchall())


def test_given_people_are_judged_again_and_nobody_else(bedrock: Bedrock, tell: Teller):
    wilma = bedrock.add_both("wilma@example.org")
    fred = bedrock.add_both("fred@example.org")
    bedrock.add_both("betty@example.org")
    bedrock.town.civicrm.add_email(wilma, "wilma@work.example.org")
    bedrock.add_member("wilma@work.example.org")
    bedrock.sync_until_quiet()
    told = tell("resync", "Wilma@example.org", f"contact:{fred}")
    assert (told.code, told.out, told.err) == (0, "", ""), "cron hears nothing"
    todo = {email for email, status in rows(bedrock).items() if status == "todo"}
    assert todo == {"wilma@example.org", "wilma@work.example.org", "fred@example.org"}
    audience = tell("resync", "wilma@example.org", "--json").audience
    assert (audience["rows_included"], audience["people_included"]) == (2, 1)
    bedrock.sync()
    assert set(rows(bedrock).values()) == {"ok"}


def test_who_is_named_twice_is_one_person_f6(bedrock: Bedrock, tell: Teller):
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.add_both("betty@example.org")
    bedrock.town.civicrm.add_email(wilma, "wilma@work.example.org")
    bedrock.add_member("wilma@work.example.org")
    bedrock.sync_until_quiet()
    names = ("wilma@example.org", "Wilma@Example.ORG", "wilma@work.example.org")
    audience = tell("resync", *names, f"contact:{wilma}", f"contact:{wilma}", "--json").audience
    assert (audience["rows_included"], audience["people_included"]) == (2, 1)
    todo = {email for email, status in rows(bedrock).items() if status == "todo"}
    assert todo == {"wilma@example.org", "wilma@work.example.org"}
    bedrock.sync()
    assert set(rows(bedrock).values()) == {"ok"}


def refuse_fred(bedrock: Bedrock) -> int:
    """Fred left by himself, staff added him, and Mailchimp refused; his contact id."""
    fred = bedrock.add_both("fred@example.org")
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.town.mailchimp.leave(LIST, "fred@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    bedrock.town.civicrm.add_to_group(fred, GROUP)
    bedrock.sync_until_quiet()
    return fred


def test_what_was_refused_is_tried_again(bedrock: Bedrock, tell: Teller):
    bedrock.options["reconfirm"] = "never"
    refuse_fred(bedrock)
    assert rows(bedrock)["fred@example.org"] == "fail"
    assert bedrock.sync() == 0, "of itself it is not tried again"
    assert tell("resync", "--failed", "--json").audience["rows_included"] == 1
    assert rows(bedrock) == {"fred@example.org": "todo", "wilma@example.org": "ok"}
    assert bedrock.sync() == 1
    assert rows(bedrock)["fred@example.org"] == "fail", "Mailchimp says no again"


def test_nobody_is_mailed_twice_for_one_decision_whoever_asks(bedrock: Bedrock, tell: Teller):
    refuse_fred(bedrock)
    assert bedrock.confirmation_mails == ["fred@example.org"]
    for _ in range(2):
        assert tell("resync", "fred@example.org").code == 0
        bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == ["fred@example.org"]


def test_it_forgets_what_was_refused_but_not_who_was_asked(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("fred@example.org")
    bedrock.sync()
    at = "2026-11-22T05:00:00Z"
    forgotten = StoredRefusal("fred@example.org", "forgotten-email", {"subscribe": at})
    asked = StoredRefusal("old@example.org", "compliance-state", {"subscribe": at})
    with sqlite3.connect(bedrock.folder / "mcsync.db") as db:
        db.execute(
            "UPDATE civicrm_mailchimpsync_cache SET mark = 'fail', refusals = ?2,"
            " reconfirmed_at = ?1",
            (at, msgspec.json.encode([forgotten, asked]).decode()),
        )
    assert tell("resync", "--failed").code == 0
    with sqlite3.connect(bedrock.folder / "mcsync.db") as db:
        row = db.execute(
            "SELECT sync_status, reconfirmed_at, refusals FROM civicrm_mailchimpsync_cache"
        ).fetchone()
    assert row[:2] == ("todo", at)
    assert decode_refusals(row[2]) == [asked]


def test_nothing_is_marked_when_one_of_them_is_unknown(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    told = tell("resync", "wilma@example.org", "nobody@example.org")
    assert told.code == 2
    assert "nobody known as nobody@example.org" in told.err
    assert rows(bedrock) == {"wilma@example.org": "ok"}


@pytest.mark.parametrize("args", [(), ("--failed", "wilma@example.org")])
def test_people_or_all_who_failed(bedrock: Bedrock, tell: Teller, args: tuple[str, ...]):
    bedrock.sync()
    told = tell("resync", *args)
    assert told.code == 2
    assert "name people or give --failed, but not both" in told.err


def test_it_does_not_disturb_a_run(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    with hold_lock(bedrock.folder / "mcsync.db"):
        assert tell("resync", "wilma@example.org").code == 75
    assert rows(bedrock) == {"wilma@example.org": "ok"}
