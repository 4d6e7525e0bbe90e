"""What CiviCRM said of places in groups, and how far we have heard it; `contacts` has the rest.

Rows that changed are marked dirty until `linking` has told every audience; those that are new in
a mirror that is untold are not, for everybody counts as changed then. A place keeps both what is
there now (`status`) and what a human last said (`says_in`, `said_at`), for which the history rows
that we wrote ourselves never count.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from mcsync.cache.store import Store, json_list
from mcsync.cache.times import LONG_AGO_TEXT, to_text
from mcsync.decision import GroupWrite, Policy
from mcsync.model import (
    GroupContact,
    GroupStatus,
    HistoryRow,
)


class GroupState(msgspec.Struct, rename="camel", omit_defaults=True):
    """How far the mirror of one group reaches: its history, and when all of it was compared.

    `title` is as CiviCRM last told it.
    """

    history_id: int = 0
    compared_at: str = ""
    is_smart: bool = False
    title: str = ""


class MirrorState(msgspec.Struct, rename="camel"):
    """How far the mirror reaches, group by group, and up to when contacts were read.

    `is_untold`: it is being filled for the first time, and no audience was told of anything yet.
    """

    groups: dict[int, GroupState] = {}
    modified_at: str = ""
    is_untold: bool = False

    @property
    def smart_group_ids(self) -> set[int]:
        """The mirrored groups that CiviCRM computes."""
        return {group_id for group_id, group in self.groups.items() if group.is_smart}

    def has_compared(self, group_ids: Iterable[int]) -> bool:
        """Whether all of these groups were mirrored as a whole before."""
        known = {group_id for group_id, group in self.groups.items() if group.compared_at}
        return set(group_ids) <= known and bool(self.modified_at)


def load_mirror_state(store: Store) -> MirrorState:
    """Where the last fetch of CiviCRM ended."""
    return store.load_state("mirror", MirrorState)


def only_push_smart_groups(store: Store, policy: Policy) -> Policy:
    """The rules with every smart group push-only: nobody can be added to a computed group."""
    smart = load_mirror_state(store).smart_group_ids
    interests = {
        interest_id: replace(interest, is_push_only=True)
        if interest.group_id in smart
        else interest
        for interest_id, interest in policy.interests.items()
    }
    return replace(policy, interests=interests)


def save_mirror_state(store: Store, state: MirrorState) -> None:
    """Remember where a fetch of CiviCRM ended."""
    store.save_state("mirror", state)


# --- places in groups -----------------------------------------------------------------------------

_APPLY_HISTORY = """
INSERT INTO civicrm_mailchimpsync_group_contact
    (group_id, contact_id, status, history_id, says_in, said_at, said_id, is_dirty)
VALUES (?, ?, nullif(?, 'Deleted'), ?, ?, ?, ?, 1)
ON CONFLICT (group_id, contact_id) DO UPDATE SET
    is_dirty = CASE WHEN excluded.said_id > said_id
            OR (excluded.history_id > history_id AND excluded.status IS NOT status)
        THEN 1 ELSE is_dirty END,
    status = CASE WHEN excluded.history_id > history_id THEN excluded.status ELSE status END,
    says_in = CASE WHEN excluded.said_id > said_id THEN excluded.says_in ELSE says_in END,
    said_at = CASE WHEN excluded.said_id > said_id THEN excluded.said_at ELSE said_at END,
    said_id = max(said_id, excluded.said_id),
    history_id = max(history_id, excluded.history_id)
WHERE excluded.history_id > history_id OR excluded.said_id > said_id
"""


def apply_history(store: Store, rows: Sequence[HistoryRow]) -> None:
    """Take in new history, oldest first. Repeating it is harmless."""
    store.insert_many(_APPLY_HISTORY, _history_rows(rows))


# What a human's row says; a Pending one takes back what they said before.
_SAYS_IN: dict[str, int | None] = {
    GroupStatus.ADDED: 1,
    GroupStatus.REMOVED: 0,
    GroupStatus.DELETED: 0,
    GroupStatus.PENDING: None,
}


def _history_rows(rows: Iterable[HistoryRow]) -> Iterator[tuple[object, ...]]:
    """The values of a history row, without those whose odd status says nothing."""
    for history_id, group_id, contact_id, status, at, is_ours in rows:
        if status in _SAYS_IN:
            says_in = None if is_ours else _SAYS_IN[status]
            said_at = None if says_in is None else to_text(at)
            said_id = 0 if is_ours else history_id
            yield group_id, contact_id, status, history_id, says_in, said_at, said_id


def begin_compare(store: Store) -> None:
    """Make room for everything that CiviCRM has about some groups."""
    store.query("DROP TABLE IF EXISTS temp.seen_place")
    store.query("DROP TABLE IF EXISTS temp.seen_history")
    store.query(
        "CREATE TEMP TABLE seen_place (group_id INTEGER, contact_id INTEGER, status TEXT,"
        " PRIMARY KEY (group_id, contact_id)) WITHOUT ROWID"
    )
    store.query(
        "CREATE TEMP TABLE seen_history (group_id INTEGER, contact_id INTEGER, history_id INTEGER,"
        " status TEXT, said_id INTEGER, says_in INTEGER, said_at TEXT,"
        " PRIMARY KEY (group_id, contact_id)) WITHOUT ROWID"
    )


_SEE_HISTORY = """
INSERT INTO seen_history (group_id, contact_id, status, history_id, says_in, said_at, said_id)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (group_id, contact_id) DO UPDATE SET
    says_in = CASE WHEN excluded.said_id > 0 THEN excluded.says_in ELSE says_in END,
    said_at = CASE WHEN excluded.said_id > 0 THEN excluded.said_at ELSE said_at END,
    said_id = max(said_id, excluded.said_id),
    status = excluded.status,
    history_id = excluded.history_id
"""


def see_history(store: Store, rows: Sequence[HistoryRow]) -> None:
    """One page of the whole history, oldest first."""
    with store.scratch():
        store.insert_many(_SEE_HISTORY, _history_rows(rows))


def see_group_contacts(store: Store, rows: Sequence[GroupContact]) -> None:
    """One page of all group contacts."""
    with store.scratch():
        store.insert_many(
            "INSERT OR REPLACE INTO seen_place (group_id, contact_id, status) VALUES (?, ?, ?)",
            rows,
        )


def see_smart_group(store: Store, group_id: int, contact_ids: Sequence[int]) -> None:
    """One page of a smart group as CiviCRM resolved it."""
    with store.scratch():
        store.insert_many(
            "INSERT OR REPLACE INTO seen_place VALUES (?, ?, 'Added')",
            ((group_id, contact_id) for contact_id in contact_ids),
        )


# What is there is the truth; the history tells who said it, and when. A word is replaced only by a
# newer one: by a history row that a human caused, or because the place is another than we knew and
# no history row leads there. Where nobody knows since when, a place that we meet says in, or out,
# as of the last trace. One that was never there, and one of which the history does not tell how it
# went before we ever saw it, says nothing. Neither does the place of a contact whom CiviCRM does
# not show itself: it is in the trash, or out of our sight. A test holds this against the same rule
# for one contact, in Python.
#
# `p` is what is there (no row: gone), `h` what the history tells, `m` what was known, `c` the
# contact, if it is not shown itself.
_LEADS_THERE = "(h.history_id IS NOT NULL AND (h.status IS 'Added') = (p.status IS 'Added'))"
_LEADS_ANEW = f"({_LEADS_THERE} AND h.history_id <> m.history_id)"
_IS_TOLD = "(h.history_id IS NOT NULL AND h.status IS 'Deleted')"
_IS_HEARD = "coalesce(h.said_id, 0) > m.said_id"
_LAST_ID = "max(coalesce(h.history_id, 0), coalesce(m.history_id, 0))"
# Which word stands: 'h' the history's, 'm' the one known, 'p' what is there now, '' none.
_WHOSE = f"""
CASE
    WHEN :is_smart OR p.status IS 'Pending' THEN ''
    WHEN p.contact_id IS NULL AND m.contact_id IS NULL THEN iif({_IS_TOLD}, 'h', '')
    WHEN p.contact_id IS NULL AND (m.status IS NULL OR {_IS_TOLD} OR c.contact_id IS NOT NULL
            OR iif({_IS_HEARD}, h.says_in, m.says_in) IS 0)
        THEN iif({_IS_HEARD}, 'h', 'm')
    WHEN p.contact_id IS NULL THEN 'p'
    WHEN m.contact_id IS NOT NULL AND (m.status IS p.status OR {_LEADS_ANEW})
        THEN iif({_IS_HEARD}, 'h', 'm')
    WHEN m.contact_id IS NULL AND {_LEADS_THERE} THEN 'h'
    ELSE 'p'
END
"""
_HERE = "group_id = :group AND contact_id > :after AND contact_id <= :last"
_COMPARED = f"""
SELECT contact_id, status, history_id,
    CASE whose WHEN 'h' THEN h_in WHEN 'm' THEN m_in WHEN 'p' THEN status IS 'Added' END AS says_in,
    CASE whose WHEN 'h' THEN h_at WHEN 'm' THEN m_at
        WHEN 'p' THEN iif(is_met, coalesce(h_at, :long_ago), :now) END AS said_at,
    CASE WHEN :is_smart THEN 0 WHEN whose = 'h' THEN h_id WHEN whose = 'm' THEN m_id
        WHEN status IS 'Pending' THEN max(h_id, m_id) ELSE history_id END AS said_id
FROM (
    SELECT k.contact_id AS contact_id, p.status AS status,
        {_WHOSE} AS whose, iif(:is_smart, 0, {_LAST_ID}) AS history_id,
        m.contact_id IS NULL AS is_met,
        h.says_in AS h_in, h.said_at AS h_at, coalesce(h.said_id, 0) AS h_id,
        m.says_in AS m_in, m.said_at AS m_at, coalesce(m.said_id, 0) AS m_id
    FROM (
        SELECT contact_id FROM seen_place WHERE {_HERE}
        UNION SELECT contact_id FROM seen_history WHERE {_HERE}
        UNION SELECT contact_id FROM civicrm_mailchimpsync_group_contact WHERE {_HERE}
            AND (status IS NOT NULL OR :is_smart)
        EXCEPT SELECT contact_id FROM seen_place WHERE {_HERE} AND status = ''
    ) k
    LEFT JOIN seen_place p ON p.group_id = :group AND p.contact_id = k.contact_id
    LEFT JOIN seen_history h ON h.group_id = :group AND h.contact_id = k.contact_id
    LEFT JOIN civicrm_mailchimpsync_group_contact m
        ON m.group_id = :group AND m.contact_id = k.contact_id
    LEFT JOIN civicrm_mailchimpsync_contact c
        ON c.contact_id = k.contact_id AND (c.is_deleted OR c.is_unseen)
)
"""
_TAKE_COMPARED = f"""
INSERT INTO civicrm_mailchimpsync_group_contact
    (group_id, contact_id, status, history_id, says_in, said_at, said_id, is_dirty)
SELECT :group, contact_id, status, history_id, says_in, said_at, said_id, :is_dirty
FROM ({_COMPARED}) WHERE true
ON CONFLICT (group_id, contact_id) DO UPDATE SET
    status = excluded.status, history_id = excluded.history_id, says_in = excluded.says_in,
    said_at = excluded.said_at, said_id = excluded.said_id,
    is_dirty = is_dirty OR excluded.status IS NOT status OR excluded.says_in IS NOT says_in
        OR excluded.said_at IS NOT said_at
WHERE excluded.status IS NOT status OR excluded.says_in IS NOT says_in
    OR excluded.said_at IS NOT said_at OR excluded.history_id <> history_id
    OR excluded.said_id <> said_id
"""


_CHUNK = 5000  # contacts of one group compared in one transaction
_FIND_END = """
SELECT max(contact_id) FROM (
    SELECT contact_id FROM (SELECT contact_id FROM seen_place
        WHERE group_id = :group AND contact_id > :after ORDER BY contact_id LIMIT :chunk)
    UNION SELECT contact_id FROM (SELECT contact_id FROM seen_history
        WHERE group_id = :group AND contact_id > :after ORDER BY contact_id LIMIT :chunk)
    UNION SELECT contact_id FROM (SELECT contact_id FROM civicrm_mailchimpsync_group_contact
        WHERE group_id = :group AND contact_id > :after ORDER BY contact_id LIMIT :chunk)
    ORDER BY contact_id LIMIT :chunk)
"""


def finish_compare(
    store: Store, group_ids: Iterable[int], now: datetime, *, are_smart: bool = False
) -> None:
    """Make the mirror what CiviCRM has about these groups; `now` is CiviCRM's time.

    In chunks, each a transaction: where we die in between, the next compare goes on.
    """
    where: dict[str, object] = {
        "now": to_text(now),
        "long_ago": LONG_AGO_TEXT,
        "is_smart": are_smart,
        "is_dirty": int(not load_mirror_state(store).is_untold),
        "chunk": _CHUNK,
    }
    for group_id in group_ids:
        where |= {"group": group_id, "after": 0}
        while (last := store.value(_FIND_END, where)) is not None:
            with store.atomic():
                store.query(_TAKE_COMPARED, {**where, "last": last})
            where["after"] = last
    with store.scratch():
        store.query("DROP TABLE temp.seen_place")
        store.query("DROP TABLE temp.seen_history")


def count_places(store: Store, group_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """How many contacts stand where, per (group id, status), as the mirror has it."""
    rows = store.query(  # kept by triggers, see `migrations`
        "SELECT group_id, status, n FROM civicrm_mailchimpsync_place_count"
        " WHERE n > 0 AND group_id IN (SELECT value FROM json_each(?))",
        (json_list(group_ids),),
    )
    return {(row[0], row[1]): row[2] for row in rows}


def load_places(store: Store, group_id: int, contact_ids: Sequence[int]) -> dict[int, str]:
    """What these contacts are in a group, as the mirror has it; absent who has no place."""
    rows = store.query(
        "SELECT contact_id, status FROM civicrm_mailchimpsync_group_contact WHERE group_id = ?"
        " AND status IS NOT NULL AND contact_id IN (SELECT value FROM json_each(?))",
        (group_id, json_list(contact_ids)),
    )
    return dict(rows.fetchall())


def note_places(
    store: Store, group_id: int, status: GroupStatus, contact_ids: Iterable[int]
) -> None:
    """Remember what we just wrote ourselves. It says nothing."""
    store.insert_many(
        "INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, status, is_dirty)"
        " VALUES (?, ?, ?, 0)"
        " ON CONFLICT (group_id, contact_id) DO UPDATE SET status = excluded.status",
        ((group_id, contact_id, status.value) for contact_id in contact_ids),
    )


def note_words(store: Store, writes: Iterable[GroupWrite]) -> None:
    """Have every audience hear whose word it was that we carried out.

    For a group that several audiences are about: what is said in one holds in the others.
    """
    store.run_many(
        "UPDATE civicrm_mailchimpsync_group_contact SET says_in = ?1, said_at = ?2, is_dirty = 1"
        " WHERE group_id = ?3 AND contact_id = ?4 AND (said_at IS NULL OR said_at < ?2)",
        (
            (
                write.status is GroupStatus.ADDED,
                to_text(write.caused_at),
                write.group_id,
                write.contact_id,
            )
            for write in writes
        ),
    )
