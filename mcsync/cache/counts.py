"""How an audience stands, as numbers, and who stands so: only reads."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from mcsync.cache.contacts import BEST_ADDRESS
from mcsync.cache.mirror import count_places
from mcsync.cache.outbox import DIRECT
from mcsync.cache.rows import SQL_IN
from mcsync.cache.store import Store, has_table, json_list
from mcsync.cache.times import from_text, to_text
from mcsync.cache.webhooks import MOST_ATTEMPTS

TOLD_TABLE = "civicrm_mailchimpsync_told_contact"
WEBHOOK_TABLE = "civicrm_mailchimpsync_webhook"


@dataclass(frozen=True, slots=True)
class RowCount:
    """How many rows have a sync status, a reason and a status at Mailchimp in common.

    `place`, where it is asked for, is that of `report_counts` for rows that tell where a contact
    of the group stands.
    """

    sync_status: str
    reason: str | None
    member_status: str | None
    count: int
    place: int | None = None


# Whoever was judged and does not stand as most do: by the index `cache_apart`, in whose words it is
# said, so that nobody looks at all the others; who is due is found by another. A cache that is only
# looked at may lack the first: then it takes longer. Where people are subscribed and all is well,
# the reasons named here are told, and of all others that they are plain.
APART = """
due = 0 AND (mailchimp_status IS NOT 'subscribed' OR mark <> 'ok'
    OR sync_reason = 'other-address-subscribed' OR sync_reason = 'signed-up-despite-opt-out'
    OR sync_reason = 'contact-deleted' OR sync_reason = 'differed-before-the-move'
    OR sync_reason = 'undone')
"""
ODD = (APART, "due > 0")  # one excludes the other
_ODD_ROWS = """
SELECT mailchimp_list_id, sync_status, sync_reason, mailchimp_status, count(*)
FROM civicrm_mailchimpsync_cache
WHERE mailchimp_list_id IN (SELECT value FROM json_each(:lists)) AND {odd}
GROUP BY 1, 2, 3, 4
"""
_ALL_ROWS = """
SELECT mailchimp_list_id, count(*) FROM civicrm_mailchimpsync_cache GROUP BY mailchimp_list_id
"""
_ROWS_OF_ONE = "SELECT count(*) FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?"


def count_rows(store: Store, list_ids: Sequence[str]) -> dict[str, list[RowCount]]:
    """The rows of each audience by how they stand."""
    return count_odd_rows(store, list_ids, _ODD_ROWS, {"lists": json_list(list_ids)})


def count_odd_rows(
    store: Store, list_ids: Iterable[str], sql: str, where: Mapping[str, str]
) -> dict[str, list[RowCount]]:
    """What a statement counts of rows that are `odd`, and the plain rows that are left.

    It has the columns list id, sync status, reason, status at Mailchimp, count, and maybe place.
    """
    counts: Counter[tuple[Any, ...]] = Counter()
    for odd in ODD:
        for list_id, sync_status, reason, status, count, *place in store.query(
            sql.format(odd=odd), where
        ):
            counts[list_id, sync_status, reason, status, *place] += count
    found: dict[str, list[RowCount]] = {list_id: [] for list_id in list_ids}
    for (list_id, sync_status, reason, status, *place), count in counts.items():
        found[list_id].append(RowCount(sync_status, reason, status, count, *place))
    _add_plain_rows(store, found)
    return found


def _add_plain_rows(store: Store, found: Mapping[str, list[RowCount]]) -> None:
    """Add, for each audience, the rows that stand as most do: those that are not among `found`."""
    totals = _count_all_rows(store, list(found))
    for list_id, counts in found.items():
        plain = totals.get(list_id, 0) - sum(each.count for each in counts)
        if plain:
            counts.append(RowCount("ok", None, "subscribed", plain))


def _count_all_rows(store: Store, list_ids: Sequence[str]) -> Mapping[str, int]:
    """How many rows each audience has; to sort them by audience is not needed for one."""
    if len(list_ids) == 1:
        return {list_ids[0]: store.number(_ROWS_OF_ONE, list_ids)}
    return dict(store.query(_ALL_ROWS).fetchall())


def count_added(store: Store, group_id: int) -> int:
    """Contacts that are Added to a group."""
    return count_places(store, [group_id]).get((group_id, "Added"), 0)


@dataclass(frozen=True, slots=True)
class Work:
    """What is decided and not done: by kind, at Mailchimp and in CiviCRM."""

    to_subscribe: int = 0
    to_unsubscribe: int = 0
    to_change: int = 0
    to_add_to_group: int = 0
    to_remove_from_group: int = 0
    to_create: int = 0


_OPEN_UPDATES = """
SELECT json_extract(u.data, '$.status') AS status,
    json_extract(u.data, '$.is_archiving') AS is_archiving
FROM civicrm_mailchimpsync_update u
JOIN civicrm_mailchimpsync_cache r ON r.id = u.mailchimpsync_cache_id
WHERE u.completed = 0 AND r.mailchimp_list_id = :list
"""
_PLANNED_UPDATES = """
SELECT json_extract(c.value, '$.change.status') AS status,
    json_extract(c.value, '$.change.is_archiving') AS is_archiving
FROM civicrm_mailchimpsync_plan p, json_each(p.decision, '$.changes') c
WHERE p.list_id = :list
"""
_COUNT_UPDATES = f"""
SELECT coalesce(sum(status IN {SQL_IN}), 0),
    coalesce(sum(status = 'unsubscribed' OR is_archiving), 0), count(*)
FROM ({_OPEN_UPDATES} UNION ALL {_PLANNED_UPDATES})
"""
_COUNT_PLACES = """
SELECT coalesce(sum(json_extract(w.value, '$.status') = 'Added'), 0),
    coalesce(sum(json_extract(w.value, '$.status') = 'Removed'), 0)
FROM civicrm_mailchimpsync_plan p, json_each(p.decision, '$.group_writes') w
WHERE p.list_id = :list AND json_extract(w.value, '$.group_id') = :group
"""
_COUNT_NEW = """
SELECT count(*) FROM civicrm_mailchimpsync_plan
WHERE list_id = :list AND json_extract(decision, '$.new_contact') IS NOT NULL
"""


def count_work(store: Store, list_id: str, group_id: int) -> Work:
    """What waits in the plan, in the outbox and at Mailchimp; who is created is added, too."""
    where = {"list": list_id, "group": group_id}
    added, left, updates = store.query(_COUNT_UPDATES, where).fetchone()
    places = store.query(_COUNT_PLACES, where).fetchone()
    created = store.number(_COUNT_NEW, where)
    return Work(
        to_subscribe=added,
        to_unsubscribe=left,
        to_change=updates - added - left,
        to_add_to_group=places[0] + created,
        to_remove_from_group=places[1],
        to_create=created,
    )


@dataclass(frozen=True, slots=True)
class FirstSync:
    """What the first sync finds, in people, before any rule has looked at them.

    `to_add` have a contact that was never in the group; `differing` are in at one side and out at
    the other; `may_not_be_mailed` are subscribed.
    """

    to_create: int = 0
    to_add: int = 0
    to_subscribe: int = 0
    differing: int = 0
    may_not_be_mailed: int = 0


_UNOWNED = f"""
SELECT count(*) FROM civicrm_mailchimpsync_cache r
WHERE r.mailchimp_list_id = :list AND r.mailchimp_status IN {SQL_IN}
    AND r.civicrm_contact_id IS NULL AND NOT EXISTS (
        SELECT 1 FROM civicrm_mailchimpsync_email e
        JOIN civicrm_mailchimpsync_contact c ON c.contact_id = e.contact_id AND c.is_deleted = 0
        WHERE e.email_key = r.email_key)
"""
_IS_A_MEMBERS = """
EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e JOIN civicrm_mailchimpsync_cache m
    ON m.email_key = e.email_key AND m.mailchimp_list_id = :list
    WHERE e.contact_id = p.contact_id AND m.mailchimp_status IS NOT NULL)
"""
_OWNED = f"""
WITH p AS (
    SELECT civicrm_contact_id AS contact_id, count(mailchimp_status) AS members,
        count(*) FILTER (WHERE mailchimp_status IN {SQL_IN}) > 0 AS is_in
    FROM civicrm_mailchimpsync_cache
    WHERE mailchimp_list_id = :list AND civicrm_contact_id IS NOT NULL GROUP BY 1)
SELECT count(*) FILTER (WHERE p.is_in AND g.status IS NOT 'Added' AND g.says_in IS NOT 0),
    count(*) FILTER (WHERE p.members = 0 AND g.status = 'Added' AND c.gate_closed_at IS NULL
        AND NOT {_IS_A_MEMBERS}),
    count(*) FILTER (WHERE iif(p.is_in, g.status IS NOT 'Added' AND g.says_in IS 0,
        p.members AND g.status = 'Added' AND c.gate_closed_at IS NULL)),
    count(*) FILTER (WHERE p.is_in AND c.gate_closed_at IS NOT NULL)
FROM p JOIN civicrm_mailchimpsync_contact c ON c.contact_id = p.contact_id AND c.is_deleted = 0
LEFT JOIN civicrm_mailchimpsync_group_contact g
    ON g.contact_id = p.contact_id AND g.group_id = :group
"""
_HAS_UPDATE = """
SELECT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update u
    JOIN civicrm_mailchimpsync_cache r ON r.id = u.mailchimpsync_cache_id
    WHERE r.mailchimp_list_id = :list)
"""


def count_first_sync(store: Store, list_id: str, group_id: int) -> FirstSync | None:
    """What the first sync would do, by what was fetched; None where something is done already."""
    where = {"list": list_id, "group": group_id}
    if store.number(_HAS_UPDATE, where):
        return None
    return FirstSync(store.number(_UNOWNED, where), *store.query(_OWNED, where).fetchone())


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """One batch whose results are not all applied; `batch_id` is Mailchimp's, None if unknown."""

    batch_id: str | None
    status: str
    submitted_at: datetime
    finished_operations: int
    total_operations: int

    @property
    def is_direct(self) -> bool:
        """Whether it is none of Mailchimp's batches, but calls that were made one by one."""
        return self.status == DIRECT

    def as_dict(self) -> dict[str, object]:
        """For `--json`, by the names that the view has."""
        return {
            "batch_id": self.batch_id,
            "status": self.status,
            "submitted_at": to_text(self.submitted_at),
            "finished_operations": self.finished_operations,
            "total_operations": self.total_operations,
        }


def load_waiting_batches(store: Store, list_id: str) -> tuple[WaitingBatch, ...]:
    """Batches that were sent, or may have been, and whose results are not all applied."""
    rows = store.query(
        "SELECT mailchimp_batch_id, status, submitted_at, finished_operations, total_operations"
        " FROM civicrm_mailchimpsync_batch WHERE response_processed < 2 AND mailchimp_list_id = ?"
        " ORDER BY id",
        (list_id,),
    )
    return tuple(WaitingBatch(row[0], row[1], from_text(row[2]), row[3], row[4]) for row in rows)


def count_webhooks(store: Store) -> tuple[int, int] | None:
    """Webhooks that wait to be applied, and those given up; None where there is no such queue."""
    if not has_table(store, WEBHOOK_TABLE):
        return None
    waiting, given_up = store.query(
        "SELECT count(*) FILTER (WHERE attempts < :most),"
        f" count(*) FILTER (WHERE attempts >= :most) FROM {WEBHOOK_TABLE}",
        {"most": MOST_ATTEMPTS},
    ).fetchone()
    return waiting, given_up


def count_told(store: Store) -> int | None:
    """Contacts that CiviCRM told of and nobody looked at yet; None where there is no such queue."""
    if not has_table(store, TOLD_TABLE):
        return None
    return store.number(f"SELECT count(*) FROM {TOLD_TABLE}")


# --- who ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Someone:
    """One row as it stands; `owners` are the contacts that own the address of an unlinked one."""

    row_id: int
    email: str | None
    contact_id: int | None
    owners: tuple[int, ...]
    sync_status: str
    reason: str | None


_SOMEONE = f"""
SELECT r.id, coalesce(r.mailchimp_email, {BEST_ADDRESS.format(contact="r.civicrm_contact_id")}),
    r.civicrm_contact_id,
    (SELECT json_group_array(DISTINCT e.contact_id) FROM civicrm_mailchimpsync_email e
        JOIN civicrm_mailchimpsync_contact c ON c.contact_id = e.contact_id AND c.is_deleted = 0
        WHERE e.email_key = r.email_key AND r.civicrm_contact_id IS NULL),
    r.sync_status, r.sync_reason
FROM civicrm_mailchimpsync_cache r
WHERE r.mailchimp_list_id = ? AND r.sync_reason = ? ORDER BY r.id
"""


def load_people_with_reason(store: Store, list_id: str, reason: str) -> Iterator[Someone]:
    """Whose row was last marked with this reason."""
    for row in store.query(_SOMEONE, (list_id, reason)):
        owners = msgspec.json.decode(row[3], type=tuple[int, ...])
        yield Someone(row[0], row[1], row[2], tuple(sorted(owners)), row[4], row[5])


def sum_counts(counts: Iterable[RowCount]) -> Mapping[str, int]:
    """How many rows have each sync status."""
    found: dict[str, int] = {}
    for each in counts:
        found[each.sync_status] = found.get(each.sync_status, 0) + each.count
    return found
