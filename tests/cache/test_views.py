"""The views for people who open the cache with sqlite3 or Datasette."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mcsync.cache.store import Store
from mcsync.decision import REASONS
from mcsync.docs import read_topic

LIST = "aaaaaaaaaa"
FILL = """
INSERT INTO civicrm_mailchimpsync_cache
    (id, mailchimp_list_id, mailchimp_member_id, mailchimp_email, email_key, mailchimp_status,
     civicrm_contact_id, mark, due, sync_reason) VALUES
    (1, 'aaaaaaaaaa', 'm1', 'Wilma@example.org', 'wilma@example.org', 'subscribed', 11, 'ok', 0,
     'in-agreement'),
    (2, 'aaaaaaaaaa', NULL, NULL, NULL, NULL, 12, 'fail', 0, 'opt-out'),
    (3, 'aaaaaaaaaa', 'm3', 'fred@example.org', 'fred@example.org', 'pending', NULL, 'live', 0,
     NULL),
    (4, 'aaaaaaaaaa', 'm4', 'dino@example.org', 'dino@example.org', 'cleaned', NULL, 'fail', 2,
     'cleaned-address');
INSERT INTO civicrm_mailchimpsync_contact (contact_id, first_name, last_name, is_deleted,
     is_deceased, is_opt_out, do_not_email, modified_at, first_name_at, last_name_at) VALUES
    (11, 'Wilma', 'Flintstone', 0, 0, 0, 0, '', '', ''),
    (12, 'Betty', 'Rubble', 0, 0, 1, 0, '', '', '');
INSERT INTO civicrm_mailchimpsync_email VALUES
    (1, 12, 'held@example.org', 'held@example.org', 0, 1, 1),
    (2, 12, 'betty@example.org', 'betty@example.org', 1, 0, 0);
INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, status) VALUES
    (111, 11, 'Added'), (111, 12, 'Added'), (222, 12, NULL);
INSERT INTO civicrm_mailchimpsync_status VALUES ('aaaaaaaaaa', '{"syncedAt": "2026-11-22T06:00:00Z",
    "heldPlan": {"why": "would unsubscribe 12", "since": "2026-11-22T05:00:00Z"},
    "troubles": [{"message": "M: this is held", "since": "2026-11-22T05:00:00Z", "toldAt": ""},
        {"message": "M: a group is disabled", "since": "2026-11-21T05:00:00Z",
         "toldAt": "2026-11-22T04:00:00Z"}]}');
INSERT INTO civicrm_mailchimpsync_batch (id, mailchimp_list_id, mailchimp_batch_id, status,
     submitted_at, total_operations, response_processed, account) VALUES
    (1, 'aaaaaaaaaa', 'b1', 'finished', '2026-11-22T05:00:00Z', 3, 2, 'x'),
    (2, 'aaaaaaaaaa', 'b2', 'pending', '2026-11-22T06:00:00Z', 2, 0, 'x');
INSERT INTO civicrm_mailchimpsync_update (id, mailchimpsync_cache_id, mailchimpsync_batch_id, data,
     completed, error_response, cause, created_at, completed_at) VALUES
    (1, 1, 1, '{"email": "wilma@example.org", "status": "subscribed"}', 1, 'Forgotten Email: no',
     '{"reason": "added-in-civicrm"}', '2026-11-22T05:00:00Z', '2026-11-22T05:10:00Z'),
    (2, 1, NULL, '{"email": "wilma@example.org"}', 1, 'superseded',
     '{"reason": "data-changed"}', '2026-11-22T05:00:00Z', '2026-11-22T05:10:00Z'),
    (3, 3, NULL, '{"email": "fred@example.org", "status": "pending"}', 0, NULL,
     '{"reason": "compliance-state"}', '2026-11-22T06:00:00Z', NULL),
    (4, 1, 2, '{"email": "wilma@example.org"}', 0, NULL,
     '{"reason": "data-changed"}', '2026-11-22T06:00:00Z', NULL);
INSERT INTO civicrm_mailchimpsync_change
    (at, run, list_id, cache_id, contact_id, email, side, field, before, after, reason) VALUES
    ('2026-11-22T05:00:00Z', 'r1', 'aaaaaaaaaa', 1, 11, 'wilma@example.org', 'civicrm',
     'subscription', NULL, 'Added', 'subscribed-at-mailchimp'),
    ('2026-11-22T06:00:00Z', 'r2', 'aaaaaaaaaa', 1, 11, 'wilma@example.org', 'mailchimp',
     'subscription', 'subscribed', 'unsubscribed', 'removed-in-civicrm');
"""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A cache with a few people in it, as sqlite3 opens it."""
    path = tmp_path / "mcsync.db"
    with closing(Store(path)) as store:
        store.conn.executescript(FILL)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def rows(db: sqlite3.Connection, view: str) -> list[dict[str, object]]:
    return [dict(row) for row in db.execute(f"SELECT * FROM {view}")]  # noqa: S608


def test_people_have_an_address_both_statuses_and_the_sentence_of_their_reason(
    db: sqlite3.Connection,
):
    wilma, betty, fred, _ = sorted(rows(db, "people"), key=lambda row: str(row["row_id"]))
    assert (wilma["email"], wilma["contact_id"]) == ("Wilma@example.org", 11)
    assert (wilma["mailchimp_status"], wilma["civicrm_groups"]) == ("subscribed", "111 Added")
    assert (wilma["first_name"], wilma["last_name"]) == ("Wilma", "Flintstone")
    assert wilma["sentence"] == "both sides agree"
    assert betty["email"] == "betty@example.org", "the one that is not on hold"
    assert betty["civicrm_groups"] == "111 Added, 222 Deleted"
    assert (fred["contact_id"], fred["reason"], fred["sentence"]) == (None, None, None)


def test_who_is_to_be_judged_is_to_do_whatever_they_were(db: sqlite3.Connection):
    statuses = {row["row_id"]: row["sync_status"] for row in rows(db, "people")}
    assert statuses == {1: "ok", 2: "fail", 3: "live", 4: "todo"}


def test_failed_people_are_only_those_who_failed(db: sqlite3.Connection):
    (betty,) = rows(db, "failed_people")
    assert (betty["row_id"], betty["reason"]) == (2, "opt-out")
    assert betty["sentence"] == "the contact has opted out of bulk mail in CiviCRM"


def test_audiences_have_their_numbers(db: sqlite3.Connection):
    (audience,) = rows(db, "audiences")
    assert audience == {
        "list_id": LIST,
        "synced_at": "2026-11-22T06:00:00Z",
        "fetched_at": None,
        "held_because": "would unsubscribe 12",
        "held_since": "2026-11-22T05:00:00Z",
        "troubles": "M: this is held; M: a group is disabled",
        "troubles_since": "2026-11-21T05:00:00Z",
        "troubles_told_at": "2026-11-22T04:00:00Z",
        "people": 4,
        "subscribed": 1,
        "pending": 1,
        "todo": 1,
        "under_way": 1,
        "failed": 1,
    }


def test_waiting_batches_are_those_without_all_results(db: sqlite3.Connection):
    (batch,) = rows(db, "waiting_batches")
    assert (batch["batch_id"], batch["total_operations"]) == ("b2", 2)


def test_queued_updates_are_those_not_sent(db: sqlite3.Connection):
    (update,) = rows(db, "queued_updates")
    assert (update["email"], update["new_status"]) == ("fred@example.org", "pending")
    assert str(update["sentence"]).startswith("they unsubscribed themselves")


def test_refused_updates_have_mailchimps_words_and_not_ours(db: sqlite3.Connection):
    (update,) = rows(db, "refused_updates")
    assert (update["id"], update["error_response"]) == (1, "Forgotten Email: no")


def test_recent_changes_come_newest_first(db: sqlite3.Connection):
    changes = rows(db, "recent_changes")
    assert [change["run"] for change in changes] == ["r2", "r1"]
    assert changes[0]["sentence"] == REASONS_BY_CODE["removed-in-civicrm"]


REASONS_BY_CODE = {reason.value: sentence for reason, sentence in REASONS.items()}


def test_the_sentences_are_those_of_this_mcsync_also_in_an_old_cache(tmp_path: Path):
    path = tmp_path / "mcsync.db"
    with closing(Store(path)) as store, store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_reason SET sentence = 'said otherwise'")
        store.query("INSERT INTO civicrm_mailchimpsync_reason VALUES ('retired', 'gone')")
    with closing(Store(path)) as store:
        kept = store.query("SELECT code, sentence FROM civicrm_mailchimpsync_reason").fetchall()
    assert dict(kept) == REASONS_BY_CODE


def test_every_view_is_in_the_manual(db: sqlite3.Connection):
    page = read_topic("cache")
    names = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'view'")]
    assert names
    assert [name for name in names if f"| `{name}` |" not in page] == []
