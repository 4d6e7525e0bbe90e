"""A run with nothing to do reads no table from end to end, however many rows it has.

Every statement of a real quiet run is explained by SQLite as it is executed. What is allowed by
name is small whatever the audience: it holds one row per audience or group, or only what waits.
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from tests.scenario.bedrock import VOLUNTEERS, Bedrock

# Tables with a row or two of their own, and temporary ones of what changed in this very run.
SMALL = {
    "sqlite_master": "the schema",
    "_sqlite_migrations": "a row per migration",
    "civicrm_mailchimpsync_reason": "a row per rule",
    "json_each": "a parameter",
    "changed": "who changed in CiviCRM since the last run",
    "d": "the same under its short name",
    "owner": "owners of addresses of rows to do",
    "o": "the same",
    "m": "the same, chosen",
    "temp.changed": "who changed in CiviCRM since the last run",
    "civicrm_mailchimpsync_told_contact": "contacts that CiviCRM told of and nobody looked at",
    "civicrm_mailchimpsync_creation": "contacts that CiviCRM is asked to create",
}
# Indexes that only hold the rows that wait for something, or the few that were trashed.
PARTIAL = {
    "contact_dirty",
    "contact_deleted",
    "group_contact_dirty",
    "cache_due",
    "cache_stray",
    "contact_unseen",
    "cache_data_due",
    "cache_retried",
    "cache_under_way",
    "batch_open",
    "update_open",
    "plan_list",  # a plan is empty once it is carried out
    "webhook_order",  # and so is the queue of webhooks
    # One row per audience, and one per group and status.
    "sqlite_autoindex_civicrm_mailchimpsync_status_1",
}
# Not of the run: bedrock reads the trail of changes afterwards.
BEDROCK_S_OWN = (
    "SELECT list_id, side, field, before, after, reason, cache_id, contact_id, email, group_id,"
    " caused_at, at, run FROM civicrm_mailchimpsync_change WHERE id > ? ORDER BY id"
)
# Two dozen steps through the mirror, each of which ends at the first row that it finds.
LIMITED = "WHERE contact_id >= ? ORDER BY contact_id LIMIT 1"
_SCAN = re.compile(r"SCAN (\S+)(?: USING (?:COVERING )?INDEX (\S+))?")
_SEARCH = re.compile(r"SEARCH (\S+) USING (.*) \((.*)\)")
# All rows of an audience or a group, or all after an id: as good as the whole table.
_WIDE = re.compile(r"(mailchimp_list_id|list_id|group_id|kind)=\?|rowid>\?")


def find_scan(line: str) -> str | None:
    """What a line of a query plan reads from end to end, if anything."""
    scan = _SCAN.match(line)
    if scan and not (scan[1] in SMALL or scan[2] in PARTIAL or scan[1].startswith("(subquery-")):
        return line  # what a subquery reads has lines of its own
    search = _SEARCH.match(line)
    if search is None:
        return None
    index = search[2].rpartition(" ")[2]
    if "AUTOMATIC" in search[2]:
        return line
    if index in PARTIAL or search[1] in (*SMALL, "civicrm_mailchimpsync_place_count"):
        return None
    return line if _WIDE.fullmatch(search[3]) else None


class Explaining(sqlite3.Connection):
    """A connection that has each statement explained before it is executed."""

    plans: dict[str, list[str]]  # by statement; shared by all of a test's connections

    def _explain(self, sql: str, parameters: Any) -> None:
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE TEMP TABLE \w+ AS)", sql, re.I):
            rows = super().execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            self.plans.setdefault(sql, [row[3] for row in rows])

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:  # type: ignore[override]
        self._explain(sql, parameters)
        return super().execute(sql, parameters)

    def executemany(  # type: ignore[override]
        self, sql: str, rows: Iterable[Sequence[Any]]
    ) -> sqlite3.Cursor:
        given = list(rows)
        if given:
            self._explain(sql, given[0])
        return super().executemany(sql, given)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The plans of all statements executed from now on."""
    found: dict[str, list[str]] = {}
    connect = sqlite3.connect
    monkeypatch.setattr(Explaining, "plans", found, raising=False)
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **more: connect(*args, factory=Explaining, **more)
    )
    return found


def populate(bedrock: Bedrock) -> None:
    """People of every kind, so that no table that a quiet run reads is empty."""
    for name in ("fred", "wilma", "barney"):
        contact = bedrock.add_both(f"{name}@example.org")
    bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.add_contact("betty@example.org")
    bedrock.add_member("dino@example.org")
    bedrock.add_member("nobody@example.org", status="unsubscribed")
    bedrock.add_member("gone@example.org", status="archived")
    bedrock.add_both("muted@example.org")


def test_a_quiet_run_reads_no_table_from_end_to_end(bedrock: Bedrock, plans: dict[str, list[str]]):
    populate(bedrock)
    bedrock.sync_until_quiet()
    plans.clear()
    assert bedrock.sync() == 0
    del plans[BEDROCK_S_OWN]
    asked = {sql: lines for sql, lines in plans.items() if not sql.endswith(LIMITED)}
    scans = [(sql, lines) for sql, lines in asked.items() if any(map(find_scan, lines))]
    assert not scans, "\n\n".join(f"{sql}: {lines}" for sql, lines in scans)
    assert len(plans) > 40  # it did run, and was watched


def test_what_is_looked_for_would_be_found(bedrock: Bedrock, plans: dict[str, list[str]]):
    populate(bedrock)
    bedrock.sync_until_quiet()
    plans.clear()
    store = bedrock.open_store()
    for sql in (
        "SELECT count(*) FROM civicrm_mailchimpsync_cache",
        "SELECT * FROM civicrm_mailchimpsync_cache WHERE sync_reason = 'x'",
        "SELECT * FROM civicrm_mailchimpsync_group_contact WHERE group_id = 111",
        "SELECT * FROM civicrm_mailchimpsync_contact WHERE contact_id > 0",
        "SELECT * FROM civicrm_mailchimpsync_contact a"
        " JOIN civicrm_mailchimpsync_contact b USING (first_name)",
    ):
        store.query(sql)
        assert any(map(find_scan, plans[sql])), (sql, plans[sql])
    store.close()
