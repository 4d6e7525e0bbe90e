"""`mcsync status`: how far each audience is in sync, and what stands in the way."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from mcsync.errors import GuardTripped
from mcsync.lock import hold_lock
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.submit import submit
from mcsync.sandbox.server import Fault
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.telling import Teller


def read(bedrock: Bedrock, sql: str) -> list[tuple[object, ...]]:
    """Rows of the cache."""
    with closing(sqlite3.connect(bedrock.folder / "mcsync.db")) as db:
        return db.execute(sql).fetchall()


def write(bedrock: Bedrock, sql: str) -> None:
    """Change the cache behind everybody's back."""
    with closing(sqlite3.connect(bedrock.folder / "mcsync.db")) as db, db:
        db.execute(sql)


def test_before_the_first_fetch_there_is_nothing_and_nothing_is_made(
    bedrock: Bedrock, tell: Teller
):
    told = tell("status")
    assert told.code == 0
    assert "never fetched" in told.out
    assert 'Start with "mcsync fetch"' in told.out
    assert told.err == ""
    assert tell("status", "--json").audience["synced_at"] is None
    assert [path.name for path in bedrock.folder.iterdir()] == ["config.json"]


def test_an_audience_in_sync(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("wilma@example.org")
    bedrock.add_contact("betty@example.org")
    bedrock.sync()
    audience = tell("status", "--json").audience
    assert audience["state"] == "in sync"
    assert audience["in_sync"] is True
    assert audience["synced_age_s"] == 60
    assert (audience["subscribed_at_mailchimp"], audience["added_in_civicrm"]) == (2, 2)
    assert (audience["cannot_subscribe"], audience["failed"], audience["todo"]) == (0, 0, 0)
    told = tell("status")
    (line,) = [line for line in told.out.splitlines() if "Main audience" in line]
    assert " ".join(line.split()) == "Main audience in sync 1 minute ago 2 2 0 0 0"


def test_the_numbers_of_the_group_add_up(bedrock: Bedrock, tell: Teller):
    for name in ("wilma", "fred"):
        bedrock.add_both(f"{name}@example.org")
    pebbles = bedrock.add_both("pebbles@example.org")
    bedrock.sync()
    assert "in group" not in tell("status").out.partition("\n\n")[2], "all are subscribed"
    bedrock.town.mailchimp.leave(LIST, "pebbles@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    bedrock.town.civicrm.add_to_group(pebbles, GROUP)
    bedrock.add_contact("betty@example.org", is_opt_out=True)
    for _ in range(2):
        bedrock.add_contact("rubble@example.org")
    bedrock.sync_until_quiet()
    with closing(bedrock.open_store()) as store:
        bedrock.add_contact("barney@example.org")
        fetch(bedrock.make_run(store))
    audience = tell("status", "--json").audience
    split = {"subscribed": 4, "asked": 1, "cannot_be_mailed": 1, "waiting": 1}
    assert audience["in_group"] == split
    assert audience["added_in_civicrm"] == 7
    told = " ".join(tell("status").out.split())
    assert "in group 7 = 4 subscribed + 1 asked to confirm + 1 cannot be mailed + 1 waiting" in told


def test_what_is_decided_and_not_done_yet(bedrock: Bedrock, tell: Teller):
    gone = [bedrock.add_both(f"{name}@example.org") for name in ("wilma", "fred")]
    bedrock.sync()
    for contact in gone:
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.add_contact("betty@example.org")
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    assert tell("status", "--json").audience["todo"] == 3
    reconcile(run)
    audience = tell("status", "--json").audience
    assert audience["state"] == "not in sync"
    assert (audience["to_subscribe"], audience["to_unsubscribe"]) == (1, 2)
    assert (audience["updates_queued"], audience["batches_waiting"]) == (3, 0)
    bedrock.town.mailchimp.settings.batch_delay_polls = None
    submit(run)
    store.close()
    sent_at = bedrock.town.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    audience = tell("status", "--json").audience
    assert (audience["updates_queued"], audience["batches_waiting"]) == (0, 1)
    assert (audience["operations_waiting"], audience["batches_waiting_since"]) == (3, sent_at)
    out = tell("status").out
    assert "1 batch with 3 operations at Mailchimp since" in out
    words = [line.split() for line in out.splitlines()]
    assert ["to", "add", "1", "at", "Mailchimp"] in words
    assert ["to", "remove", "2", "at", "Mailchimp"] in words


def send_one(bedrock: Bedrock, email: str) -> None:
    """Queue somebody to be subscribed, and send that as far as Mailchimp lets us."""
    bedrock.add_contact(email)
    with closing(bedrock.open_store()) as store:
        run = bedrock.make_run(store)
        fetch(run)
        reconcile(run)
        submit(run)
    bedrock.pass_time(minutes=1)


def test_which_batches_wait_is_told_when_asked_f12(bedrock: Bedrock, tell: Teller):
    bedrock.town.mailchimp.settings.batch_delay_polls = None
    sent_at = [bedrock.town.clock() + timedelta(minutes=each) for each in range(2)]
    send_one(bedrock, "wilma@example.org")
    answer_is_lost = Fault(method="POST", path="/batches", drop="after", times=None)
    bedrock.town.mailchimp_server.faults.append(answer_is_lost)
    send_one(bedrock, "betty@example.org")
    [batch_id] = [row[0] for row in read(bedrock, "SELECT batch_id FROM waiting_batches") if row[0]]
    write(
        bedrock,
        "UPDATE civicrm_mailchimpsync_batch SET status = 'started', finished_operations = 120,"
        " total_operations = 1000 WHERE id = 1",
    )
    assert tell("status", "--json").audience["batches"] == [
        {
            "batch_id": batch_id,
            "status": "started",
            "submitted_at": f"{sent_at[0]:%Y-%m-%dT%H:%M:%SZ}",
            "finished_operations": 120,
            "total_operations": 1000,
        },
        {
            "batch_id": None,
            "status": "claimed",
            "submitted_at": f"{sent_at[1]:%Y-%m-%dT%H:%M:%SZ}",
            "finished_operations": 0,
            "total_operations": 1,
        },
    ]
    assert batch_id not in tell("status").out, "a number is enough, most of the time"
    assert [line.strip() for line in tell("status", "-v").out.splitlines() if " done" in line] == [
        f"batch {batch_id}: 120 of 1,000 operations done, since {sent_at[0]:%Y-%m-%d %H:%M:%SZ}",
        f"batch with no id yet: 0 of 1 operation done, since {sent_at[1]:%Y-%m-%d %H:%M:%SZ}",
    ]


def test_direct_calls_whose_fate_is_not_known_are_no_batch_of_mailchimps(
    bedrock: Bedrock, tell: Teller
):
    bedrock.sync()
    write(
        bedrock,
        "INSERT INTO civicrm_mailchimpsync_batch (mailchimp_list_id, status, account,"
        " submitted_at, total_operations)"
        " VALUES ('aaaaaaaaaa', 'direct', 'x', '2026-11-22T06:00:00Z', 2)",
    )
    (batch,) = tell("status", "--json").audience["batches"]
    assert (batch["batch_id"], batch["status"]) == (None, "direct")
    assert "direct calls: 0 of 2 operations done, since" in tell("status", "-v").out


def test_no_batches_no_lines(bedrock: Bedrock, tell: Teller):
    assert tell("status", "--json").audience["batches"] == [], "before the first fetch"
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    assert tell("status", "--json").audience["batches"] == []
    assert "batch" not in tell("status", "-v").out


def test_what_is_planned_for_civicrm_counts(bedrock: Bedrock, tell: Teller):
    bedrock.sync()
    bedrock.safety = {"maxNewContacts": 5, "maxUnsubscribes": None, "maxRemovals": None}
    for number in range(12):
        bedrock.add_member(f"miner{number}@example.org")
    bedrock.sync(raises=False)
    audience = tell("status", "--json").audience
    assert audience["state"] == "held"
    assert (audience["to_create"], audience["to_add_to_group"]) == (12, 12)
    assert (audience["to_remove_from_group"], audience["to_subscribe"]) == (0, 0)


def test_who_cannot_be_subscribed_is_counted_by_reason_and_listed(bedrock: Bedrock, tell: Teller):
    wilma = bedrock.add_contact("wilma@example.org", is_opt_out=True)
    bedrock.add_contact("betty@example.org", is_opt_out=True)
    bedrock.add_contact("dino@example.org", is_deceased=True)
    bedrock.add_both("fred@example.org")
    bedrock.sync()
    audience = tell("status", "--json").audience
    assert audience["cannot_subscribe"] == 3
    counts = {r["reason"]: r["count"] for r in audience["cannot_subscribe_reasons"]}
    assert counts == {"opt-out": 2, "deceased": 1}
    assert audience["failed"] == 0
    assert "2 opt-out: the contact has opted out of bulk mail in CiviCRM" in tell("status").out
    document = tell.json("status", "--reason", "opt-out")
    found = {(p["email"], p["sync_status"]) for p in document["people"]}
    assert found == {("wilma@example.org", "fail"), ("betty@example.org", "fail")}
    assert wilma in {p["contact_id"] for p in document["people"]}
    assert document["sentence"] == "the contact has opted out of bulk mail in CiviCRM"
    told = tell("status", "--reason", "OPT-OUT")
    assert "wilma@example.org" in told.out
    assert "dino@example.org" not in told.out


def test_contacts_that_nothing_tells_apart_are_listed_with_their_ids(
    bedrock: Bedrock, tell: Teller
):
    bedrock.options["duplicates"] = "skip"
    owners = [bedrock.add_contact("titanic@example.org", group=False) for _ in range(2)]
    bedrock.add_member("titanic@example.org")
    bedrock.sync()
    (person,) = tell.json("status", "--reason", "ambiguous-contact")["people"]
    assert (person["contact_id"], person["owners"]) == (None, owners)
    assert tell("status", "--json").audience["failed_reasons"][0]["reason"] == "ambiguous-contact"
    assert ", ".join(map(str, owners)) in tell("status", "--reason", "ambiguous-contact").out


def test_someone_at_another_address_is_left_alone_and_no_failure(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.town.civicrm.add_email(contact, "wilma@work.example.org")
    bedrock.add_member("wilma@work.example.org")
    bedrock.sync()
    bedrock.town.mailchimp.leave(LIST, "wilma@work.example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    audience = tell("status", "--json").audience
    assert [r["reason"] for r in audience["left_alone_reasons"]] == ["other-address-subscribed"]
    assert (audience["failed"], audience["in_sync"]) == (0, True)


def test_a_reason_that_there_is_not(bedrock: Bedrock, tell: Teller):
    told = tell("status", "--reason", "opt-uot")
    assert (told.code, told.out) == (2, "")
    assert 'no reason "opt-uot"' in told.err
    assert "did you mean opt-out?" in told.err


def test_nobody_for_a_reason(bedrock: Bedrock, tell: Teller):
    bedrock.sync()
    told = tell("status", "--reason", "deceased")
    assert (told.code, told.out.splitlines()[-1]) == (0, "Nobody.")


def test_a_held_plan_is_told_with_its_numbers_until_it_is_carried_out(
    bedrock: Bedrock, tell: Teller
):
    bedrock.safety = {"maxUnsubscribes": "10%", "maxRemovals": None}
    contacts = [bedrock.add_both(f"miner{number}@example.org") for number in range(30)]
    bedrock.sync()
    for contact in contacts[:12]:
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    held_at = bedrock.town.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(GuardTripped):
        bedrock.sync()
    bedrock.pass_time(minutes=5)
    audience = tell("status", "--json").audience
    assert audience["state"] == "held"
    assert "would unsubscribe 12 of 30 subscribed members" in audience["held_plan"]["why"]
    assert audience["held_plan"]["since"] == held_at
    assert (audience["to_unsubscribe"], audience["unsettled"]) == (12, 12)
    assert "would unsubscribe 12" in tell("status").out
    bedrock.sync(is_forced=True)
    audience = tell("status", "--json").audience
    assert (audience["state"], audience["held_plan"]) == ("in sync", None)


def test_an_override_is_pending_then_spent_and_pending_again_when_it_changes(
    bedrock: Bedrock, tell: Teller
):
    bedrock.add_both("wilma@example.org")
    bedrock.options["trustOverride"] = {"subscription": "Mailchimp"}
    assert tell("status", "--json").audience["trust_pending"] == {"subscription": "mailchimp"}
    assert "applies in the next sync" in tell("status").out
    bedrock.sync()
    audience = tell("status", "--json").audience
    assert audience["trust_pending"] == {}
    assert audience["trust_spent"] == {"subscription": "mailchimp"}
    assert "has been applied" in tell("status").out
    bedrock.options["trustOverride"] = {"subscription": "CiviCRM"}
    assert tell("status", "--json").audience["trust_pending"] == {"subscription": "civicrm"}


# --- while a run is going on ----------------------------------------------------------------------


def test_it_works_while_a_run_holds_lock_and_transaction_and_tells_who_it_is(
    bedrock: Bedrock, tell: Teller
):
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    cache = bedrock.folder / "mcsync.db"
    store = bedrock.open_store()
    with hold_lock(cache), store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET due = 1")
        document = tell.json("status")
        assert document["audiences"][0]["todo"] == 0, "what is not committed is not there"
        assert document["lock_holder"]["pid"] == os.getpid()
        assert f"A run (process {os.getpid()}) has been at work" in tell("status").out
    store.close()
    assert tell.json("status")["lock_holder"] is None


def test_a_run_that_was_killed_is_not_at_work(bedrock: Bedrock, tell: Teller):
    bedrock.sync()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    holder = {"pid": process.pid, "since": "2026-11-22T06:00:00+00:00"}
    (bedrock.folder / "mcsync.db.run").write_text(json.dumps(holder))
    assert tell.json("status")["lock_holder"] is None


def test_it_writes_nothing_and_needs_no_leave_to_write(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    cache = bedrock.folder / "mcsync.db"
    before = cache.read_bytes()
    cache.chmod(0o400)
    assert tell("status", "--json").audience["in_sync"] is True
    assert cache.read_bytes() == before


def test_a_cache_of_an_older_mcsync_is_read_as_it_is(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    make_old(bedrock.folder / "mcsync.db")
    assert tell("status", "--json").audience["in_sync"] is True
    assert tell("explain", "wilma@example.org").code == 0
    with sqlite3.connect(bedrock.folder / "mcsync.db") as db:
        names = {row[0] for row in db.execute("SELECT name FROM _sqlite_migrations")}
    assert names == {"m001_first_tables"}, "looking does not migrate"


def make_old(cache: Path) -> None:
    """Undo what came after the first migration."""
    with sqlite3.connect(cache) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
            db.execute(f"DROP VIEW {name}")
        db.execute("DROP TABLE civicrm_mailchimpsync_reason")
        db.execute("DELETE FROM _sqlite_migrations WHERE name <> 'm001_first_tables'")


def test_a_file_of_another_program_is_refused(bedrock: Bedrock, tell: Teller):
    (bedrock.folder / "mcsync.db").write_text("Wilma's recipes, which are no database at all")
    told = tell("status")
    assert (told.code, told.out) == (74, "")
    assert "is not an mcsync cache" in told.err


def test_webhooks_that_wait_are_counted_where_there_is_a_queue(bedrock: Bedrock, tell: Teller):
    bedrock.sync()
    with sqlite3.connect(bedrock.folder / "mcsync.db") as db:
        db.execute("DROP TABLE IF EXISTS civicrm_mailchimpsync_webhook")
    assert tell.json("status")["webhooks_waiting"] is None
    with sqlite3.connect(bedrock.folder / "mcsync.db") as db:
        db.execute("CREATE TABLE civicrm_mailchimpsync_webhook (id INTEGER, attempts INTEGER)")
        db.execute("INSERT INTO civicrm_mailchimpsync_webhook VALUES (1, 0), (2, 2), (3, 3)")
    assert tell.json("status")["webhooks_waiting"] == 2
    assert tell.json("status")["webhooks_given_up"] == 1
    assert "2 webhooks waiting to be handled." in tell("status").out


def test_contacts_that_civicrm_reported_are_counted_while_they_wait(bedrock: Bedrock, tell: Teller):
    bedrock.sync()
    assert tell.json("status")["contacts_waiting"] == 0
    with sqlite3.connect(bedrock.folder / "mcsync.db") as db:
        db.execute("INSERT INTO civicrm_mailchimpsync_told_contact VALUES (7, '', 1), (8, '', 3)")
    assert tell.json("status")["contacts_waiting"] == 2
    assert "2 contacts reported by CiviCRM, waiting to be looked at." in tell("status").out
    with sqlite3.connect(bedrock.folder / "mcsync.db") as db:
        db.execute("DROP TABLE civicrm_mailchimpsync_told_contact")
    assert tell.json("status")["contacts_waiting"] is None


# --- for a monitor --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "code"), [("90s", 5), ("59m", 5), ("61m", 0), ("1h", 0), ("2d", 0), ("0.5h", 5)]
)
def test_the_age_of_the_last_complete_sync_has_an_exit_code_of_its_own(
    bedrock: Bedrock, tell: Teller, age: str, code: int
):
    bedrock.sync()  # and a minute passes
    bedrock.pass_time(minutes=59)
    told = tell("status", "--max-age", age)
    assert told.code == code
    assert "Main audience" in told.out, "the answer is told all the same"
    assert ("last complete sync 1 hour ago" in told.err) == (code == 5)


def test_never_synced_is_too_old_and_json_says_so(bedrock: Bedrock, tell: Teller):
    told = tell("status", "--max-age", "2d", "--json")
    assert told.code == 5
    assert told.document["exit_code"] == 5
    assert told.document["error"]["kind"] == "stale-sync"
    assert "never synced" in told.document["error"]["message"]
    assert told.audience["state"] == "never fetched"


@pytest.mark.parametrize("age", ["1", "h", "-1h", "1 week", "", "1h30m", "99999999d"])
def test_an_age_that_is_none(bedrock: Bedrock, tell: Teller, age: str):
    told = tell("status", "--max-age", age)
    assert (told.code, told.out) == (2, "")
    assert "write 90s, 15m, 1h or 2d" in told.err
