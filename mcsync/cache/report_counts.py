"""The numbers of the report: where a group's contacts stand, what was changed each day, and so on.

Only reads, and counts in SQL: a report over a million rows takes no longer than a look at them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from mcsync.cache.contacts import BEST_ADDRESS
from mcsync.cache.counts import WEBHOOK_TABLE, RowCount, count_odd_rows
from mcsync.cache.store import Store, has_table, json_list, json_object
from mcsync.cache.times import to_text
from mcsync.cache.webhooks import MOST_ATTEMPTS
from mcsync.model import SUBSCRIPTION, GroupStatus, MemberStatus, Side


class Stands(StrEnum):
    """Where a contact of the group stands at Mailchimp; each stands in one place.

    `BARRED` holds everybody whose row has failed, for whatever reason; `OTHER` those with whom
    nothing is wrong and nothing is to be done.
    """

    SUBSCRIBED = "subscribed"
    ASKED = "asked"
    WAITING = "waiting"
    BARRED = "barred"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class StandCount:
    """How many contacts of the group stand there; the reason is told of those that are barred."""

    stands: Stands
    reason: str | None
    count: int


# Where a row says that its contact stands: the smallest number is the best.
_PLACES = (Stands.SUBSCRIBED, Stands.ASKED, Stands.WAITING, Stands.BARRED, Stands.OTHER)
_PLACE = """
CASE WHEN {r}.mailchimp_status = 'subscribed' THEN 0
    WHEN {r}.mailchimp_status = 'pending' THEN 1
    WHEN {r}.due > 0 OR {r}.mark IN ('live', 'redo') THEN 2
    WHEN {r}.mark = 'fail' THEN 3 ELSE 4 END
"""
_HAS_BETTER_ROW = f"""
EXISTS (SELECT 1 FROM civicrm_mailchimpsync_cache o
    WHERE o.civicrm_contact_id = r.civicrm_contact_id
        AND o.mailchimp_list_id = r.mailchimp_list_id AND o.id <> r.id
        AND ({_PLACE.format(r="o")}, o.id) < ({_PLACE.format(r="r")}, r.id))
"""
# A contact without a row, and one with whom all is well although none of their own addresses is
# subscribed, may share somebody else's. Who has no row, and shares none, has yet to be given one.
_SHARED = """
coalesce((SELECT min(CASE m.mailchimp_status WHEN 'subscribed' THEN 0 WHEN 'pending' THEN 1 END)
    FROM civicrm_mailchimpsync_email e JOIN civicrm_mailchimpsync_cache m
        ON m.email_key = e.email_key AND m.mailchimp_list_id = {list}
    WHERE e.contact_id = {contact}), {else_})
"""
_ROWS = f"""
WITH asked AS MATERIALIZED (SELECT key AS list_id, value AS group_id FROM json_each(:groups))
SELECT r.mailchimp_list_id, r.sync_status, r.sync_reason, r.mailchimp_status, count(*),
    CASE WHEN g.contact_id IS NULL OR {_HAS_BETTER_ROW} THEN NULL
        WHEN {_PLACE.format(r="r")} < 4 THEN {_PLACE.format(r="r")}
        ELSE {_SHARED.format(list="r.mailchimp_list_id", contact="r.civicrm_contact_id", else_=4)}
        END AS place
FROM civicrm_mailchimpsync_cache r CROSS JOIN asked a ON a.list_id = r.mailchimp_list_id
LEFT JOIN civicrm_mailchimpsync_group_contact g ON g.group_id = a.group_id
    AND g.contact_id = r.civicrm_contact_id AND g.status = 'Added'
WHERE {{odd}} GROUP BY 1, 2, 3, 4, place
"""


def count_placed_rows(store: Store, groups: Mapping[str, int]) -> dict[str, list[RowCount]]:
    """What `counts.count_rows` tells, with places; `groups` has the audiences, with their groups.

    Each contact of a group has one row at most that tells their place: the best.
    """
    return count_odd_rows(store, groups, _ROWS, {"groups": json_object(groups)})


_WITHOUT_ROW = f"""
SELECT {_SHARED.format(list=":list", contact="g.contact_id", else_=2)} AS place, count(*)
FROM civicrm_mailchimpsync_group_contact g
WHERE g.group_id = :group AND g.status = 'Added' AND NOT EXISTS (
    SELECT 1 FROM civicrm_mailchimpsync_cache r
    WHERE r.civicrm_contact_id = g.contact_id AND r.mailchimp_list_id = :list)
GROUP BY place
"""


def count_stands(
    store: Store, list_id: str, group_id: int, in_group: int, rows: Iterable[RowCount]
) -> list[StandCount]:
    """The contacts that are Added to the group by where they stand; they add up to `in_group`.

    `rows` are the audience's, with places. Whom no number is told of is plainly subscribed.
    """
    without = store.query(_WITHOUT_ROW, {"list": list_id, "group": group_id}).fetchall()
    counts: Counter[tuple[int, str | None]] = Counter()
    for place, count in without:
        counts[place, None] += count
    for row in rows:
        if row.place is not None:
            barred = _PLACES[row.place] is Stands.BARRED
            counts[row.place, row.reason if barred else None] += row.count
    found = [StandCount(_PLACES[key[0]], key[1], n) for key, n in counts.items() if key[0]]
    subscribed = in_group - sum(each.count for each in found)
    return [StandCount(Stands.SUBSCRIBED, None, subscribed), *found]


@dataclass(frozen=True, slots=True)
class Barred:
    """Somebody in the group who cannot be subscribed."""

    reason: str
    name: str
    email: str | None
    contact_id: int


_BARRED = f"""
SELECT b.reason, trim(coalesce(c.first_name, '') || ' ' || coalesce(c.last_name, '')),
    coalesce(b.mailchimp_email, {BEST_ADDRESS.format(contact="b.contact_id")}), b.contact_id
FROM (SELECT g.contact_id, r.mailchimp_email, r.sync_reason AS reason,
        row_number() OVER (PARTITION BY r.sync_reason ORDER BY g.contact_id) AS number
    FROM civicrm_mailchimpsync_cache r CROSS JOIN civicrm_mailchimpsync_group_contact g
        ON g.group_id = :group AND g.contact_id = r.civicrm_contact_id AND g.status = 'Added'
    WHERE r.mailchimp_list_id = :list AND {_PLACE.format(r="r")} = 3 AND NOT {_HAS_BETTER_ROW}) b
LEFT JOIN civicrm_mailchimpsync_contact c ON c.contact_id = b.contact_id
WHERE b.number <= :most ORDER BY b.reason, b.contact_id
"""


def load_barred(store: Store, list_id: str, group_id: int, most: int) -> Iterator[Barred]:
    """Those whom `count_stands` counts as barred, at most so many for each reason."""
    where = {"list": list_id, "group": group_id, "most": most}
    return (Barred(row[0] or "", *row[1:]) for row in store.query(_BARRED, where))


# --- what was changed -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many people mcsync added at one side on one day (UTC), or removed."""

    list_id: str
    day: date
    side: Side
    is_added: bool
    count: int


_ADDED = json_list((GroupStatus.ADDED, MemberStatus.SUBSCRIBED, MemberStatus.PENDING))
_REMOVED = json_list((GroupStatus.REMOVED, MemberStatus.UNSUBSCRIBED, MemberStatus.ARCHIVED))
# The trail is in the order of time: its rows are read in a row, not each by the index of times.
_DAYS = """
SELECT list_id, substr(at, 1, 10), side, after IN (SELECT value FROM json_each(:added)), count(*)
FROM civicrm_mailchimpsync_change
WHERE id >= (SELECT min(id) FROM civicrm_mailchimpsync_change WHERE at >= :since)
    AND +at >= :since AND list_id IN (SELECT value FROM json_each(:lists)) AND field = :field AND (
    after IN (SELECT value FROM json_each(:added))
    OR after IN (SELECT value FROM json_each(:removed)))
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""


def count_days(store: Store, list_ids: Iterable[str], since: datetime) -> list[DayCount]:
    """What the trail has of people added to audiences and their groups, and removed, since then.

    Who is asked to confirm at Mailchimp counts as added there.
    """
    where = {
        "lists": json_list(list_ids),
        "since": to_text(since),
        "field": SUBSCRIPTION,
        "added": _ADDED,
        "removed": _REMOVED,
    }
    return [
        DayCount(list_id, date.fromisoformat(day), Side(side), bool(is_added), count)
        for list_id, day, side, is_added, count in store.query(_DAYS, where)
    ]


# --- webhooks, and audiences that are left --------------------------------------------------------


def count_webhooks_by_list(store: Store) -> dict[str, tuple[int, int]]:
    """By audience, the webhooks that wait, and those given up; "" has those of batches."""
    if not has_table(store, WEBHOOK_TABLE):
        return {}
    rows = store.query(
        "SELECT list_id, count(*) FILTER (WHERE attempts < :most),"
        f" count(*) FILTER (WHERE attempts >= :most) FROM {WEBHOOK_TABLE} GROUP BY list_id",
        {"most": MOST_ATTEMPTS},
    )
    return {list_id: (waiting, given_up) for list_id, waiting, given_up in rows}


def count_left(store: Store, known: Iterable[str]) -> list[tuple[str, int, str | None]]:
    """Audiences of the cache that are not `known`: (id, rows, last complete sync), by id."""
    rows: Sequence[tuple[str, str | None]] = store.query(
        "SELECT list_id, json_extract(data, '$.syncedAt') FROM civicrm_mailchimpsync_status"
        " WHERE list_id NOT IN (SELECT value FROM json_each(?)) ORDER BY list_id",
        (json_list(known),),
    ).fetchall()
    sql = "SELECT count(*) FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?"
    return [(list_id, store.number(sql, (list_id,)), at) for list_id, at in rows]
