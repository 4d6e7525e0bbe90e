"""The queue of contacts that CiviCRM told of: once each, and whether there is news of them."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcsync.cache.store import Store
from mcsync.cache.told_contacts import (
    find_mirrored,
    find_with_news,
    forget_told,
    load_told,
    mark_told,
    save_deliveries,
)
from mcsync.cache.webhooks import load_events
from mcsync.model import ContactsTold, EventKind, WebhookEvent

LIST = "aaaaaaaaaa"
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
WILMA, FRED = 7, 8


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two contacts, nothing about them new."""
    with closing(Store(tmp_path / "mcsync.db")) as opened:
        with opened.atomic():
            for contact in (WILMA, FRED):
                opened.query(
                    "INSERT INTO civicrm_mailchimpsync_contact (contact_id, first_name, last_name,"
                    " is_deleted, is_deceased, is_opt_out, do_not_email, modified_at,"
                    " first_name_at, last_name_at, is_dirty)"
                    " VALUES (?, '', '', 0, 0, 0, 0, '', '', '', 0)",
                    (contact,),
                )
        yield opened


def tell(store: Store, *contact_ids: int) -> None:
    save_deliveries(store, [ContactsTold(contact_ids)], NOW)


def test_both_sides_have_their_own_queue(store: Store):
    event = WebhookEvent(EventKind.PROFILE, LIST, "wilma@example.org")
    told = ContactsTold((WILMA, FRED))
    save_deliveries(store, [event, told, event, ContactsTold((FRED,))], NOW)
    assert load_told(store) == {WILMA: 1, FRED: 2}
    assert load_told(store, 1) == {WILMA: 1}
    assert [found.event for found in load_events(store, [LIST], 9)] == [event, event]


def test_who_is_told_of_again_stays(store: Store):
    tell(store, WILMA, FRED)
    told = load_told(store)
    tell(store, FRED)
    with store.atomic():
        forget_told(store, told)
    assert load_told(store) == {FRED: 2}


NEWS = {
    "nothing": ("SELECT 1", []),
    "the contact changed": (
        "UPDATE civicrm_mailchimpsync_contact SET is_dirty = 1 WHERE contact_id = 7",
        [WILMA],
    ),
    "their place changed": (
        "INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, is_dirty)"
        " VALUES (1, 9, 1), (1, 7, 0)",
        [9],
    ),
    "their row is due": (
        "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, civicrm_contact_id, due, mark)"
        " VALUES ('a', 7, 1, 'ok'), ('a', 8, 0, 'ok')",
        [WILMA],
    ),
    "out of our sight": (
        "UPDATE civicrm_mailchimpsync_contact SET is_dirty = 1, is_unseen = contact_id = 8",
        [WILMA],
    ),
}


@pytest.mark.parametrize(("sql", "found"), NEWS.values(), ids=NEWS)
def test_who_has_news(store: Store, sql: str, found: list[int]):
    with store.atomic():
        store.query(sql)
    assert find_with_news(store, [WILMA, FRED, 9, 10]) == found


def test_a_row_with_an_address_of_theirs_is_news(store: Store):
    with store.atomic():
        store.query(
            "INSERT INTO civicrm_mailchimpsync_email (contact_id, email, email_key, is_primary,"
            " is_bulkmail, on_hold) VALUES (7, 'W@x.org', 'w@x.org', 1, 0, 0)"
        )
        store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, email_key, due, mark)"
            " VALUES ('a', 'w@x.org', 2, 'ok')"
        )
    assert find_with_news(store, [WILMA, FRED]) == [WILMA]


def test_whom_the_mirror_knows(store: Store):
    assert find_mirrored(store, [10, FRED, WILMA]) == [WILMA, FRED]
    with store.atomic():
        mark_told(store, [FRED, 10])
    assert find_with_news(store, [WILMA, FRED, 10]) == [FRED]
