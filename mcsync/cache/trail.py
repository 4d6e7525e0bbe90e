"""The audit trail: every change that was made at either end, when, for whom and why."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from mcsync.cache.store import Store, column_or_null, json_list
from mcsync.cache.times import from_text, from_text_or_none, to_text, to_text_or_none
from mcsync.decision import Reason
from mcsync.model import Side, email_key


@dataclass(frozen=True, slots=True)
class Change:
    """One change made at one side; `field` is "subscription", an interest id, or a name.

    `run` is the one that decided on it, which may have ended before the change was made; `at` is
    when it was known to be made, by our own clock. `caused_at` is the time of the word that caused
    it, by the service's; None where no word did, or nobody kept it. `group_id`: the group of
    CiviCRM's in which a place was changed; None where nobody kept it.
    """

    list_id: str
    side: Side
    field: str
    before: str | None
    after: str | None
    reason: Reason
    row_id: int | None = None
    contact_id: int | None = None
    email: str | None = None
    group_id: int | None = None
    caused_at: datetime | None = None
    at: datetime | None = None
    run: str = ""


# In the order of the fields; `at` is the same for all that is kept together, and so is `run` but
# for changes that an earlier one decided on.
_COLUMNS = (
    "list_id, side, field, before, after, reason, cache_id, contact_id, email, group_id,"
    " caused_at, at, run"
)
_values_of = attrgetter(*[field.name for field in fields(Change)][:-3])


def note_changes(store: Store, changes: Iterable[Change], run: str, now: datetime) -> None:
    """Keep changes with the person they were made for.

    What a change leaves open about the person is taken from the cache row.
    """
    at = to_text(now)
    store.run_many(
        f"INSERT INTO civicrm_mailchimpsync_change ({_COLUMNS})"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7,"
        "  coalesce(?8,"
        "   (SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache WHERE id = ?7)),"
        "  coalesce(?9, (SELECT mailchimp_email FROM civicrm_mailchimpsync_cache WHERE id = ?7),"
        "   (SELECT email FROM civicrm_mailchimpsync_email WHERE contact_id = ?8"
        "    ORDER BY is_primary DESC, email_id LIMIT 1)),"
        "  ?10, ?11, ?12, ?13",
        [
            (*_values_of(change), to_text_or_none(change.caused_at), at, change.run or run)
            for change in changes
        ],
    )


_AT_ONCE = 10_000  # rows in one transaction: webhooks wait to be stored meanwhile
_FORGET = """
DELETE FROM civicrm_mailchimpsync_change WHERE id IN (
    SELECT id FROM civicrm_mailchimpsync_change WHERE at < ? LIMIT ?)
"""


def forget_history(store: Store, before: datetime) -> int:
    """Drop the changes made before a time; how many that were."""
    count = 0
    while True:
        with store.atomic():
            dropped = store.query(_FORGET, (to_text(before), _AT_ONCE)).rowcount
        count += dropped
        if dropped < _AT_ONCE:
            return count


def find_newest_change(store: Store) -> int:
    """The id of the newest change, 0 where there is none."""
    return store.number("SELECT max(id) FROM civicrm_mailchimpsync_change")


def load_changes(store: Store, after: int = 0) -> list[Change]:
    """The trail, oldest first, or what came into it `after` an id."""
    rows = store.query(
        f"SELECT {_COLUMNS} FROM civicrm_mailchimpsync_change WHERE id > ? ORDER BY id", (after,)
    )
    return [_read_change(row) for row in rows]


def has_change(store: Store, contact_id: int, field: str, email: str, since: str) -> bool:
    """Whether a contact's field was changed for an address since a time, as text."""
    found = store.number(
        "SELECT 1 FROM civicrm_mailchimpsync_change"
        " WHERE at >= ? AND contact_id = ? AND field = ? AND email = ? LIMIT 1",
        (since, contact_id, field, email),
    )
    return bool(found)


def _read_change(row: tuple[Any, ...]) -> Change:
    return replace(
        Change(*row),
        side=Side(row[1]),
        reason=Reason(row[5]),
        caused_at=from_text_or_none(row[10]),
        at=from_text(row[11]),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """Which changes are wanted; what is None or empty does not count. `most`: the newest ones;
    `after`: those that came after one with this id.

    Of a person: those of any of the rows, of any of the contacts, or with any of the addresses.
    """

    list_ids: Sequence[str] = ()
    row_ids: Sequence[int] = ()
    contact_ids: Sequence[int] = ()
    emails: Sequence[str] = ()
    is_of_person: bool = False
    run: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    most: int | None = None
    after: int = 0


_ASKED = """
FROM civicrm_mailchimpsync_change
WHERE list_id IN (SELECT value FROM json_each(:lists))
    AND id > :after AND (:run IS NULL OR run = :run)
    AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
    AND (NOT :is_of_person
        OR cache_id IN (SELECT value FROM json_each(:rows))
        OR contact_id IN (SELECT value FROM json_each(:contacts))
        OR email_key(email) IN (SELECT value FROM json_each(:emails)))
"""


def find_changes(store: Store, asked: Asked) -> Iterator[Change]:
    """The changes asked for, oldest first."""
    where = _where(store, asked)
    columns = _COLUMNS
    for name in ("group_id", "caused_at"):
        there = column_or_null(store, "civicrm_mailchimpsync_change", name)
        columns = columns.replace(name, there)
    columns = f"SELECT {columns} {_ASKED}"
    if asked.most is None:
        yield from map(_read_change, store.conn.execute(f"{columns} ORDER BY id", where))
        return
    newest = store.conn.execute(f"{columns} ORDER BY id DESC LIMIT :most", where).fetchall()
    yield from map(_read_change, reversed(newest))


def count_changes(store: Store, asked: Asked) -> int:
    """How many changes there are of those asked for, whatever `most` says."""
    return int(store.conn.execute(f"SELECT count(*) {_ASKED}", _where(store, asked)).fetchone()[0])


def _where(store: Store, asked: Asked) -> dict[str, object]:
    store.conn.create_function("email_key", 1, lambda text: text and email_key(text))
    return {
        "lists": json_list(asked.list_ids),
        "rows": json_list(asked.row_ids),
        "contacts": json_list(asked.contact_ids),
        "emails": json_list(map(email_key, asked.emails)),
        "is_of_person": asked.is_of_person,
        "run": asked.run,
        "since": to_text_or_none(asked.since),
        "until": to_text_or_none(asked.until),
        "most": asked.most,
        "after": asked.after,
    }
