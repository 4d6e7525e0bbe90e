"""Caches of released versions: opened, migrated, and synced against the town they were about."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from mcsync.assemble import build_run
from mcsync.cache.store import Store
from mcsync.cache.trail import load_changes
from mcsync.config import load_config
from mcsync.errors import GuardTripped
from mcsync.pipeline.run import Run
from mcsync.pipeline.sync import sync
from mcsync.sandbox.mailchimp.state import subscriber_hash
from mcsync.sandbox.town import Town
from tests.cache.released import VERSIONS, build_cache, load_state, unpack

MAIN, TRUSTEES = "aaaaaaaaaa", "bbbbbbbbbb"
GROUPS = (111, 222, 333)

_ROW = "SELECT count(*) FROM civicrm_mailchimpsync_cache r WHERE "
_UPDATE = "SELECT count(*) FROM civicrm_mailchimpsync_update u WHERE "
_PLACE = "SELECT count(*) FROM civicrm_mailchimpsync_group_contact g WHERE "
# What a cache must hold so that an upgrade is tried on everything, with how much there is of it.
KINDS = {
    "in sync": (f"{_ROW} sync_status = 'ok' AND sync_reason = 'in-agreement'", 30),
    "muted by us": (
        f"{_ROW} json_extract(mailchimp_data, '$.gated') AND sync_reason = 'opt-out'",
        1,
    ),
    "left by themselves": (f"{_ROW} sync_reason = 'left-at-mailchimp'", 1),
    "asked to confirm": (
        f"{_ROW} mailchimp_status = 'pending' AND reconfirmed_at IS NOT NULL AND refusal IS NULL",
        1,
    ),
    "about to be asked": (
        "SELECT count(*) FROM queued_updates q"
        " JOIN civicrm_mailchimpsync_cache r ON r.id = q.row_id"
        " WHERE q.new_status = 'pending' AND r.sync_status = 'redo'",
        1,
    ),
    "forgotten": (f"{_ROW} sync_status = 'fail' AND refusal = 'forgotten-email'", 1),
    "refused for ever": (f"{_ROW} sync_status = 'fail' AND refusal = 'refused-by-mailchimp'", 1),
    "vanished": (f"{_ROW} mailchimp_member_id IS NULL AND mailchimp_data IS NOT NULL", 1),
    "archived": (f"{_ROW} mailchimp_status = 'archived'", 1),
    "cleaned": (f"{_ROW} mailchimp_status = 'cleaned'", 1),
    "lost contact": (f"{_ROW} lost_contact_id IS NOT NULL AND civicrm_contact_id IS NULL", 2),
    "merged contact": (
        "SELECT count(*) FROM civicrm_mailchimpsync_contact WHERE merged_to IS NOT NULL",
        1,
    ),
    "shared address": (f"{_ROW} is_shared = 1", 1),
    "another address is in": (f"{_ROW} sync_reason = 'other-address-subscribed'", 1),
    "ambiguous contact": (f"{_ROW} sync_reason = 'ambiguous-contact'", 1),
    "moved address": (f"{_ROW} moved_from IS NOT NULL AND sync_status = 'todo'", 1),
    "signed up despite an opt-out": (f"{_ROW} sync_reason = 'signed-up-despite-opt-out'", 1),
    "no address to be mailed at": (f"{_ROW} sync_reason = 'no-usable-address'", 1),
    "unknown in CiviCRM, and out": (f"{_ROW} sync_reason = 'unknown-and-not-subscribed'", 1),
    "created by us": (f"{_ROW} sync_reason = 'subscribed-at-mailchimp'", 1),
    "in the group without history": (f"{_PLACE} history_id = 0 AND says_in = 1", 1),
    "trust that acted": (
        "SELECT count(*) FROM civicrm_mailchimpsync_status"
        " WHERE json_extract(data, '$.spentTrust.subscription') = 'mailchimp'",
        1,
    ),
    "and its word": (
        "SELECT count(*) FROM people p JOIN civicrm_mailchimpsync_group_contact g"
        " ON g.contact_id = p.contact_id WHERE p.reason = 'trust-mailchimp' AND g.status = 'Added'"
        " AND g.says_in = 1 AND g.said_at = '2026-11-22T06:01:00Z' AND g.said_id > 60",
        1,
    ),
    "an interest": (f"{_ROW} json_extract(mailchimp_data, '$.interest-cccccccccc') = 1", 1),
    "and its group": (f"{_PLACE} group_id = 222 AND status = 'Added'", 1),
    "data that was sent": (f"{_ROW} civicrm_data IS NOT NULL", 2),
    "updates queued": (f"{_UPDATE} completed = 0 AND mailchimpsync_batch_id IS NULL", 3),
    "updates under way": (f"{_UPDATE} completed = 0 AND mailchimpsync_batch_id IS NOT NULL", 2),
    "updates completed": (f"{_UPDATE} completed = 1 AND error_response IS NULL", 9),
    "updates refused": (f"{_UPDATE} completed = 1 AND error_response IS NOT NULL", 4),
    "a batch under way": (
        "SELECT count(*) FROM waiting_batches WHERE batch_id IS NOT NULL AND status = 'pending'",
        1,
    ),
    "a batch without its id": (
        "SELECT count(*) FROM waiting_batches WHERE batch_id IS NULL AND status = 'claimed'",
        1,
    ),
    "webhooks": ("SELECT count(*) FROM civicrm_mailchimpsync_webhook", 2),
    "a held plan": ("SELECT count(*) FROM audiences WHERE held_because IS NOT NULL", 1),
    "and what it would do": ("SELECT count(*) FROM civicrm_mailchimpsync_plan", 12),
    "the audit trail": ("SELECT count(*) FROM recent_changes", 21),
}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_0_1_0_kept_is_in_its_cache(tmp_path: Path, kind: str):
    sql, count = KINDS[kind]
    path = build_cache(tmp_path / "mcsync.db", "0.1.0")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(sql).fetchone() == (count,)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_released_cache_is_whole_and_stays_so_when_it_is_opened(tmp_path: Path, version: str):
    path = build_cache(tmp_path / "mcsync.db", version)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        people = db.execute("SELECT count(*) FROM civicrm_mailchimpsync_cache").fetchone()
    for _ in range(2):
        with closing(Store(path)) as store:
            assert store.query("PRAGMA integrity_check").fetchone() == ("ok",)
            assert store.query("SELECT count(*) FROM people").fetchone() == people
            wanted = "SELECT (SELECT count(*) FROM civicrm_mailchimpsync_reason) > 20"
            assert store.query(wanted).fetchone() == (1,)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_town_is_as_it_was(town: Town, tmp_path: Path, version: str):
    unpack(town, tmp_path, version)
    state = load_state(version)
    assert town.clock().isoformat() == state["now"]
    told = {each["id"]: each for each in state["mailchimp"]["audiences"]}
    for list_id, audience in told.items():
        assert len(town.mailchimp.members(list_id)) == len(audience["members"])
    people = state["civicrm"]["tables"]["Contact"]["rows"]
    living = [row for row in people if not row.get("is_deleted")]
    assert len(town.civicrm.contacts()) == len(living)
    assert [mail.email for mail in town.mailchimp.confirmation_mails] == [
        "left-and-asked@example.org"
    ]


# --- a sync after the upgrade ---------------------------------------------------------------------

Changes = set[tuple[str, str, str | None]]


def sync_once(town: Town, config_path: Path) -> tuple[Run, Changes]:
    """One `mcsync sync --wait 0`, and a minute; what it changed, as (person, field, new value)."""
    config = load_config(config_path, {})
    with closing(Store(config.cache)) as store:
        run = build_run(config, config.audiences, store, clock=town.clock, sleep=lambda _: None)
        sync(run, wait_s=0)
        changes = load_changes(store, run.newest_change)
    town.clock.advance(minutes=1)
    return run, {(str(c.email).partition("@")[0], c.field, c.after) for c in changes}


def look(town: Town) -> Counter[tuple[object, ...]]:
    """How everybody stands at both services."""
    found: Counter[tuple[object, ...]] = Counter()
    for list_id in (MAIN, TRUSTEES):
        for email, member in town.mailchimp.members(list_id).items():
            tags = member["tags"]
            assert isinstance(tags, list)
            labels = tuple(sorted(tag["name"] for tag in tags))
            found[list_id, email, member["status"], str(member.get("interests")), labels] += 1
    for contact in town.civicrm.contacts():
        places = tuple(town.civicrm.group_status(contact.id, group) for group in GROUPS)
        addresses = tuple(email.email for email in contact.emails)
        found[contact.id, contact.first_name, places, addresses] += 1
    return found


def test_a_sync_after_the_upgrade_does_what_was_under_way_and_nothing_else(
    town: Town, tmp_path: Path
):
    config = unpack(town, tmp_path, "0.1.0")
    town.mailchimp.run_batches()  # Mailchimp worked on while we upgraded
    before = look(town)
    run, changes = sync_once(town, config)
    assert changes == {
        ("unsubscribe-under-way", "subscription", "unsubscribed"),  # done; now it is known
        ("unsubscribe-claimed", "subscription", "unsubscribed"),
        ("subscribe-queued", "subscription", "subscribed"),
        ("subscribe-queued", "first_name", "Subscribe-Queued"),
        ("subscribe-queued", "last_name", "Flintstone"),
        ("left-and-to-be-asked", "subscription", "pending"),
        ("moved-at-mailchimp", "email", "moved-to-here@example.org"),
        ("leaves-by-webhook", "subscription", "Removed"),
        ("in-sync", "first_name", "Pebbles"),
    }
    assert isinstance(run.reports[TRUSTEES].held, GuardTripped), "still held"
    assert [report.error for report in run.reports.values()] == [None, None]
    changed = {str(each) for each in (look(town) - before)}
    assert len(changed) == 5, "two members, and three contacts"
    assert sync_once(town, config)[1] == {("subscribe-queued", "tag CiviCRM: Donor", "yes")}
    settled = look(town)
    assert sync_once(town, config)[1] == set()
    assert look(town) == settled
    assert [mail.email for mail in town.mailchimp.confirmation_mails] == [
        "left-and-asked@example.org",
        "left-and-to-be-asked@example.org",
    ]


def test_while_mailchimp_is_slow_what_is_under_way_is_not_sent_again(town: Town, tmp_path: Path):
    config = unpack(town, tmp_path, "0.1.0")
    town.mailchimp.settings.batch_delay_polls = None
    for _ in range(3):
        _, changes = sync_once(town, config)
        assert not {who for who, _, _ in changes if who.startswith("unsubscribe-")}
    town.mailchimp.run_batches()
    sync_once(town, config)
    for who in ("unsubscribe-under-way", "unsubscribe-claimed"):
        tried = [
            operation
            for operation in town.mailchimp.operations
            if isinstance(operation.body, dict)
            and operation.body.get("status") == "unsubscribed"
            and operation.path.endswith(subscriber_hash(f"{who}@example.org"))
        ]
        assert len(tried) == 1, who
        member = town.mailchimp.member(MAIN, f"{who}@example.org")
        assert member is not None
        assert member["status"] == "unsubscribed"
