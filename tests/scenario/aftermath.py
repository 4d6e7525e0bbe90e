"""What a story has come to: both services, the cache's rows, the mails, and quiet from then on."""

import logging

import pytest

from mcsync.pipeline.fetch import Window
from tests.scenario.bedrock import LIST, Bedrock

_UNSETTLED = """
SELECT r.id, r.sync_status, count(u.id) FROM civicrm_mailchimpsync_cache r
LEFT JOIN civicrm_mailchimpsync_update u ON u.mailchimpsync_cache_id = r.id AND u.completed = 0
GROUP BY r.id HAVING count(u.id) OR r.sync_status NOT IN ('ok', 'fail')
"""
_ROWS = """
SELECT coalesce(mailchimp_email, ''), coalesce(civicrm_contact_id, 0), sync_status, sync_reason
FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ? ORDER BY 1, 2
"""

Row = tuple[str, int, str, str]


def load_rows(bedrock: Bedrock, list_id: str = LIST) -> list[Row]:
    """(address, contact id, sync_status, sync_reason) of each cache row, "" and 0 for none."""
    store = bedrock.open_store()
    try:
        return [tuple(row) for row in store.query(_ROWS, (list_id,)).fetchall()]
    finally:
        store.close()


def row_status(bedrock: Bedrock, email: str, list_id: str = LIST) -> tuple[str, str]:
    """(sync_status, sync_reason) of the one row with this address."""
    [found] = [row for row in load_rows(bedrock, list_id) if row[0] == email]
    return found[2], found[3]


def find_unsettled(bedrock: Bedrock) -> list[tuple[int, str, int]]:
    """(row id, sync_status, open updates) of rows that wait for anything."""
    store = bedrock.open_store()
    try:
        return [tuple(row) for row in store.query(_UNSETTLED).fetchall()]
    finally:
        store.close()


def look_at_both(bedrock: Bedrock) -> tuple[object, ...]:
    """Everything that mcsync could write to, as it stands at both services."""
    town = bedrock.town
    members = [
        {e: (m["status"], m["merge_fields"], m.get("interests")) for e, m in found.items()}
        for found in (town.mailchimp.members(list_id) for list_id in sorted(town.lists))
    ]
    groups = sorted(town.civicrm.store.groups.rows)
    places = {group: sorted(town.civicrm.group_members(group)) for group in groups}
    contacts = [(c.id, c.first_name, c.last_name) for c in town.civicrm.contacts()]
    return members, places, contacts, tuple(bedrock.confirmation_mails)


def settle(bedrock: Bedrock, people: int, name: str = "gazoo") -> list[int]:
    """That many people in agreement since an hour; their contacts."""
    contacts = [bedrock.add_both(f"{name}{number}@example.org") for number in range(people)]
    bedrock.sync()
    assert bedrock.sync() == 0
    bedrock.pass_time(hours=1)
    return contacts


def contact_of(bedrock: Bedrock, email: str) -> int:
    """The id of the one contact with that address."""
    [contact] = bedrock.town.civicrm.contacts_by_email(email)
    return contact.id


def fields_of(bedrock: Bedrock, email: str) -> object:
    """The member's merge fields at Mailchimp."""
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    return member["merge_fields"]


def count_subscribed(bedrock: Bedrock) -> int:
    """How many members are subscribed."""
    members = bedrock.town.mailchimp.members(LIST).values()
    return sum(member["status"] == "subscribed" for member in members)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of since it was last asked."""
    found = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    caplog.clear()
    return found


def assert_in_sync(bedrock: Bedrock) -> None:
    """The last run says of every audience that both sides agree."""
    assert bedrock.last_run is not None
    assert all(report.in_sync for report in bedrock.last_run.reports.values())


def assert_at_peace(bedrock: Bedrock) -> None:
    """Nothing waits, and no run from here on does anything: plain, daily compare, full fetch."""
    assert find_unsettled(bedrock) == []
    before = look_at_both(bedrock)
    assert bedrock.sync() == 0, "a plain run"
    assert_in_sync(bedrock)
    bedrock.pass_time(hours=25)
    assert bedrock.sync() == 0, "a daily compare"
    assert bedrock.sync(window=Window(None)) == 0, "everything fetched"
    assert look_at_both(bedrock) == before
    assert find_unsettled(bedrock) == []
