"""The cache's rows: every statement that writes one stands here.

A row has two marks. `due` tells that it is to be judged: 0, or a number that grows with all that
is learned. `mark` tells how it stood when it was last judged, or when a result came in. The
documents' `sync_status` shows both: `todo` while the row is due, else the mark.

    what happens                          due                      mark
    ------------------------------------  -----------------------  -----------------------------
    a row is made                         1                        ok
      because the judge needs one         0                        live
    a look has news, CiviCRM changed,     + 1                      stays
      a rule or a mapping changed,
      a human asks (resync)
    the judge decides                     0, if it is what it was  ok, fail; live or redo while
                                            when the row was read    an update is queued or sent
    the judge has to wait, or a guard     stays                    stays
      holds the plan
    a result: done                        stays, + 1 with news     ok (fail: for the mail gate),
                                                                     live while another is open
    a result: refused                     + 1                      fail
    queued updates are given up by hand   stays; + 1 in the next   fail
                                            fetch
    who shared the address is erased      + 1                      stays

Only `mark_judged` and `mark_plain` ever take a row out of the queue. No row without an open update
is `live` or `redo`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from mcsync.cache.store import Store, json_list
from mcsync.cache.times import to_text
from mcsync.decision import Agreement, Policy, Reason, RowVerdict, SyncStatus, Undone
from mcsync.model import IN, email_key
from mcsync.reconcile.refused_before import is_of_data

TABLE = "civicrm_mailchimpsync_cache"
SQL_IN = str(tuple(sorted(str(status) for status in IN)))  # statuses of whoever is in
Chunk = tuple[int, int]  # row ids, or contact ids, above the one and up to the other
DUE_IDS = f"SELECT id FROM {TABLE} WHERE mailchimp_list_id = :list AND due > 0"

_encode = msgspec.json.Encoder().encode

_UPDATES = f"civicrm_mailchimpsync_update u WHERE u.mailchimpsync_cache_id = {TABLE}.id"
# What an open update makes of a row's mark; null when none is open.
_OPEN_MARK = (
    "(SELECT CASE count(*) WHEN 0 THEN NULL ELSE"
    " iif(max(json_extract(u.data, '$.status') = 'pending'), 'redo', 'live') END"
    f" FROM {_UPDATES} AND u.completed = 0)"
)
_IS_OPEN = f"EXISTS (SELECT 1 FROM {_UPDATES} AND u.completed = 0)"
_THESE = "id IN (SELECT value FROM json_each(?))"


# Who owns the row's address: its contact, if it has it, else who did before.
_OWNER = (
    "iif(EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e"
    " WHERE e.contact_id = civicrm_contact_id AND e.email_key = {key}),"
    " civicrm_contact_id, owned_by)"
)


# --- Mailchimp's half: what a look taught ---------------------------------------------------------

NewRow = tuple[
    str,  # list id
    str | None,  # address, as it is compared
    str | None,  # Mailchimp's member id
    str | None,  # address, as it is spelled
    str | None,  # status
    str | None,  # when changed
    str | None,  # data
    str | None,  # Mailchimp's contact id
    int,  # the fetch that saw the member; 0 for none
    int,  # 1 when there are news
]
LookRow = tuple[*NewRow, int]  # the same, and the row's id
_ADD_STRANGERS = f"""
INSERT INTO {TABLE} (mailchimp_list_id, email_key, mailchimp_member_id, mailchimp_email,
    mailchimp_status, mailchimp_updated, mailchimp_data, unique_contact, seen_fetch, due, mark)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'ok')
ON CONFLICT DO NOTHING
"""
_SAVE_LOOKS = f"""
UPDATE {TABLE} SET
    email_key = ?2,
    is_looked_up = is_looked_up AND email_key IS ?2,
    mailchimp_member_id = ?3,
    mailchimp_email = ?4,
    mailchimp_status = ?5,
    mailchimp_updated = ?6,
    mailchimp_data = ?7,
    unique_contact = ?8,
    civicrm_data = iif(?3 IS NULL, NULL, civicrm_data),
    seen_fetch = max(seen_fetch, ?9),
    is_data_due = max(is_data_due, ?10),
    due = due + ?10
WHERE id = ?11 AND mailchimp_list_id = ?1
"""


def save_looks(store: Store, rows: Sequence[LookRow]) -> None:
    """Keep what looks taught."""
    store.run_many(_SAVE_LOOKS, rows)


def add_strangers(store: Store, rows: Iterable[NewRow]) -> int:
    """Add members who cannot be known; how many were added.

    The others have a row after all: audiences from before 2015 may have an address twice.
    """
    before = store.conn.total_changes
    store.insert_many(_ADD_STRANGERS, rows)
    return store.conn.total_changes - before


def note_seen(store: Store, rows: Sequence[tuple[str, int, int]]) -> None:
    """(when changed, fetch, row id) of members who were seen with nothing new about them."""
    store.run_many(
        f"UPDATE {TABLE} SET mailchimp_updated = ?, seen_fetch = max(seen_fetch, ?) WHERE id = ?",
        rows,
    )


def note_still_there(
    store: Store, list_id: str, whom: Sequence[tuple[str, str]], fetch_no: int
) -> None:
    """(address, Mailchimp's contact id) of members of whom a fetch has seen nothing else."""
    for column, values in zip(
        ("email_key", "unique_contact"), zip(*whom, strict=True), strict=True
    ):
        store.run_many(
            f"UPDATE {TABLE} SET seen_fetch = max(seen_fetch, ?)"
            f" WHERE {column} = ? AND +mailchimp_list_id = ?",
            [(fetch_no, value, list_id) for value in values if value],
        )


# Whoever owns the address that a member leaves may have had no other.
_MARK_LEFT_BEHIND = f"""
UPDATE {TABLE} SET due = due + 1 WHERE id IN (
    SELECT o.id FROM {TABLE} r
    CROSS JOIN civicrm_mailchimpsync_email e ON e.email_key = r.email_key
    CROSS JOIN {TABLE} o ON o.civicrm_contact_id = e.contact_id
        AND +o.mailchimp_list_id = r.mailchimp_list_id
    WHERE r.id IN (SELECT value FROM json_each(?)))
"""


def take_addresses(store: Store, row_ids: Iterable[int]) -> None:
    """These members no longer have the address that we know."""
    ids = list(row_ids)
    store.query(_MARK_LEFT_BEHIND, (json_list(ids),))
    store.run_many(
        f"UPDATE {TABLE} SET moved_from = coalesce(moved_from, email_key), email_key = NULL,"
        " is_looked_up = 0, due = due + 1 WHERE id = ?",
        [(row_id,) for row_id in ids],
    )


def give_addresses(store: Store, keys: Mapping[int, str]) -> None:
    """By row id, the address that a member has moved to."""
    store.run_many(
        f"UPDATE OR IGNORE {TABLE} SET email_key = ? WHERE id = ?",
        [(key, row_id) for row_id, key in keys.items()],
    )


# --- CiviCRM's half: which contact ----------------------------------------------------------------

# The row's own copy of where its contact stands.
_GROUPS_OF = """
(SELECT json_group_object(p.group_id, json_object(
    'status', coalesce(p.status, 'Deleted'), 'date', p.said_at))
FROM civicrm_mailchimpsync_group_contact p
WHERE p.contact_id = {contact} AND +p.group_id IN (SELECT value FROM json_each(:groups)))
"""


def add_row(store: Store, list_id: str, contact_id: int | None) -> int:
    """A new row for a contact that needs one of its own."""
    cursor = store.query(
        f"INSERT INTO {TABLE} (mailchimp_list_id, civicrm_contact_id, mark, due)"
        " VALUES (?, ?, 'live', 0)",
        (list_id, contact_id),
    )
    return int(cursor.lastrowid or 0)


def link_rows(store: Store, contacts: Mapping[int, int]) -> None:
    """Link rows to the contacts that were created for them."""
    store.run_many(
        f"UPDATE {TABLE} SET civicrm_contact_id = ?, lost_contact_id = NULL, lost_at = NULL"
        " WHERE id = ?",
        [(contact_id, row_id) for row_id, contact_id in contacts.items()],
    )


def link_found(
    store: Store, found: str, policy: Policy, where: Mapping[str, object] | None = None
) -> int:
    """Link rows as `found` selects row_id, contact_id, is_shared; how many were linked.

    `found` may ask for the audience's `:group`, and for what `where` has.
    """
    return store.query(
        f"UPDATE {TABLE} SET civicrm_contact_id = m.contact_id, is_shared = m.is_shared,"
        f" civicrm_groups = {_GROUPS_OF.format(contact='m.contact_id')},"
        f" lost_contact_id = NULL, lost_at = NULL FROM ({found}) AS m WHERE {TABLE}.id = m.row_id",
        {"group": policy.group_id, "groups": json_list(policy.group_ids), **(where or {})},
    ).rowcount


_MERGED = (
    "SELECT contact_id FROM civicrm_mailchimpsync_contact"
    " WHERE is_deleted = 1 AND merged_to IS NOT NULL"
)
_FOLLOW_MERGES = f"""
UPDATE {TABLE} SET due = due + 1, civicrm_contact_id = (
    SELECT merged_to FROM civicrm_mailchimpsync_contact
    WHERE contact_id = {TABLE}.civicrm_contact_id)
WHERE mailchimp_list_id = :list AND civicrm_contact_id IN ({_MERGED})
"""
_LOSE_CONTACTS = f"""
UPDATE {TABLE} SET lost_contact_id = civicrm_contact_id, lost_at = :now,
    civicrm_contact_id = NULL, civicrm_groups = NULL, civicrm_data = NULL, due = due + 1
WHERE civicrm_contact_id IN
"""
_LOSE_DELETED = f"""
{_LOSE_CONTACTS} (SELECT contact_id FROM civicrm_mailchimpsync_contact WHERE is_deleted = 1)
  AND mailchimp_list_id = :list
"""


def lose_contacts(store: Store, list_id: str, now: str) -> None:
    """Rows of merged contacts move to the survivor; of trashed and purged ones they lose it."""
    where = {"list": list_id, "now": now}
    store.query(_FOLLOW_MERGES, where)
    store.query(_LOSE_DELETED, where)


def lose_strangers(store: Store, contact_ids: Iterable[int], now: str) -> None:
    """These contact ids mean other people now."""
    sql = f"{_LOSE_CONTACTS} (SELECT value FROM json_each(:ids))"
    store.query(sql, {"now": now, "ids": json_list(contact_ids)})


_NO_LONGER_SHARED = f"""
UPDATE {TABLE} SET is_shared = 0
WHERE mailchimp_list_id = :list AND due > 0 AND id > :after AND id <= :last AND is_shared
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e
    JOIN civicrm_mailchimpsync_contact c ON c.contact_id = e.contact_id AND c.is_deleted = 0
    WHERE e.email_key = {TABLE}.email_key AND e.contact_id <> {TABLE}.civicrm_contact_id)
"""
_DROP_DUPLICATES = f"""
DELETE FROM {TABLE}
WHERE mailchimp_list_id = :list AND mailchimp_member_id IS NULL AND mailchimp_data IS NULL
  AND civicrm_contact_id IN (
    SELECT civicrm_contact_id FROM {TABLE} due
    WHERE mailchimp_list_id = :list AND due > 0 AND id > :after AND id <= :last
      AND EXISTS (SELECT 1 FROM {TABLE} other
        WHERE other.mailchimp_list_id = :list
          AND other.civicrm_contact_id = due.civicrm_contact_id AND other.id <> due.id))
  AND EXISTS (SELECT 1 FROM {TABLE} other
      WHERE other.mailchimp_list_id = :list
        AND other.civicrm_contact_id = {TABLE}.civicrm_contact_id AND other.id <> {TABLE}.id
        AND (other.mailchimp_member_id IS NOT NULL OR other.id < {TABLE}.id))
  AND NOT {_IS_OPEN}
"""


_DROP_EMPTY = f"""
DELETE FROM {TABLE} WHERE mailchimp_list_id = :list AND due > 0 AND id > :after AND id <= :last
  AND civicrm_contact_id IS NULL AND mailchimp_member_id IS NULL AND NOT {_IS_OPEN}
"""


def cleanup_duplicates(store: Store, list_id: str, chunk: Chunk) -> None:
    """cleanupDuplicatesInCache: a contact whose member has a row needs none of its own.

    Rows with neither half go. And an address that only one contact owns any more is shared no
    more. For the due rows of a chunk.
    """
    where = {"list": list_id, "after": chunk[0], "last": chunk[1]}
    store.query(_DROP_EMPTY, where)
    store.query(_NO_LONGER_SHARED, where)
    store.query(_DROP_DUPLICATES, where)


_ADD_CIVI_ONLY = f"""
INSERT INTO {TABLE} (mailchimp_list_id, civicrm_contact_id, civicrm_groups, mark, due)
SELECT :list, g.contact_id, {_GROUPS_OF.format(contact="g.contact_id")}, 'ok', 1
FROM {{source}}
CROSS JOIN civicrm_mailchimpsync_contact c ON c.contact_id = g.contact_id AND c.is_deleted = 0
WHERE g.group_id = :group AND g.status = 'Added'
  AND NOT EXISTS (SELECT 1 FROM {TABLE} r
      WHERE r.civicrm_contact_id = g.contact_id AND r.mailchimp_list_id = :list)
"""
_ADD_EVERYBODY = _ADD_CIVI_ONLY.format(
    source="(SELECT * FROM civicrm_mailchimpsync_group_contact WHERE group_id = :group"
    " AND contact_id > :after AND contact_id <= :last) g"
)
_ADD_CHANGED = _ADD_CIVI_ONLY.format(
    source="(SELECT contact_id FROM temp.changed"
    " WHERE contact_id > :after AND contact_id <= :last) d"
    " CROSS JOIN civicrm_mailchimpsync_group_contact g ON g.contact_id = d.contact_id"
)


def add_civi_only(store: Store, policy: Policy, chunk: Chunk, *, everybody: bool) -> int:
    """addCiviOnly: contacts Added to the group whom Mailchimp does not know; how many.

    For a chunk of contacts: those in `temp.changed`, or everybody. Call inside a transaction.
    """
    where = {"group": policy.group_id, **_where(policy, chunk)}
    return store.query(_ADD_EVERYBODY if everybody else _ADD_CHANGED, where).rowcount


_NOTE_GROUPS = f"""
UPDATE {TABLE} SET civicrm_groups = {_GROUPS_OF.format(contact=f"{TABLE}.civicrm_contact_id")}
WHERE mailchimp_list_id = :list AND due > 0 AND id > :after AND id <= :last
  AND civicrm_contact_id IS NOT NULL
"""


def identify_group_contact_changes(store: Store, policy: Policy, chunk: Chunk) -> None:
    """identifyGroupContactChanges: the rows' own copy of where their contact stands.

    For the due rows of a chunk that have their contact already; the others get it with that.
    """
    store.query(_NOTE_GROUPS, _where(policy, chunk))


def _where(policy: Policy, chunk: Chunk) -> dict[str, object]:
    after, last = chunk
    groups = json_list(policy.group_ids)
    return {"list": policy.list_id, "groups": groups, "after": after, "last": last}


def note_looked_up(store: Store, row_ids: Iterable[int]) -> None:
    """The owners of these rows' addresses are in the mirror now."""
    store.query(f"UPDATE {TABLE} SET is_looked_up = 1 WHERE {_THESE}", (json_list(row_ids),))


def note_all_looked_up(store: Store, list_id: str, chunk: Chunk) -> None:
    """The same for the due rows of a chunk that have no contact."""
    store.query(
        f"UPDATE {TABLE} SET is_looked_up = 1 WHERE mailchimp_list_id = ? AND due > 0"
        " AND id > ? AND id <= ? AND is_looked_up = 0 AND email_key IS NOT NULL"
        " AND civicrm_contact_id IS NULL",
        (list_id, *chunk),
    )


# --- people who are erased ------------------------------------------------------------------------


def erase_rows(store: Store, row_ids: Iterable[int]) -> None:
    """These rows are no more."""
    store.query(f"DELETE FROM {TABLE} WHERE {_THESE}", (json_list(row_ids),))


def leave_rows_to_others(store: Store, row_ids: Iterable[int], contact_ids: Iterable[int]) -> None:
    """Rows of members whose address others own too lose these contacts; so do all other rows."""
    store.query(
        f"UPDATE {TABLE} SET civicrm_contact_id = NULL, lost_contact_id = NULL, lost_at = NULL,"
        " civicrm_groups = NULL, civicrm_data = NULL, is_looked_up = 0, due = due + 1"
        f" WHERE {_THESE}",
        (json_list(row_ids),),
    )
    store.query(
        f"UPDATE {TABLE} SET owned_by = NULL WHERE owned_by IN (SELECT value FROM json_each(?))",
        (json_list(contact_ids),),
    )


def forget_addresses(store: Store, emails: Collection[str]) -> None:
    """Others' rows tell no longer that these addresses, as `email_key` has them, were theirs once.

    Call it when the rows that are at these addresses now are erased.
    """
    keys = json_list(emails)
    store.query(
        f"UPDATE {TABLE} SET moved_from = NULL"
        " WHERE moved_from IN (SELECT value FROM json_each(?))",
        (keys,),
    )
    strays = store.query(
        f"SELECT id, mailchimp_email FROM {TABLE}"
        " WHERE email_key IS NULL AND mailchimp_email IS NOT NULL"
    ).fetchall()
    store.run_many(
        f"UPDATE {TABLE} SET mailchimp_email = NULL WHERE id = ?",
        [(row_id,) for row_id, email in strays if email_key(email) in emails],
    )
    refused = store.column(
        f"SELECT DISTINCT r.id FROM {TABLE} r, json_each(r.refusals) f WHERE r.refusals IS NOT NULL"
        " AND f.value ->> 'email' IN (SELECT value FROM json_each(?))",
        (keys,),
    )
    for row_id in refused:
        rest = [each for each in load_refusals(store, row_id) if each.email not in emails]
        save_refusals(store, row_id, rest)


# --- what was sent, asked and agreed --------------------------------------------------------------


def prepare_address(store: Store, list_id: str, row_id: int, email: str) -> bool:
    """Tell a row the address its member is going to have, so that a look finds the row.

    False when another row has that address already, and is a member or about to become one: then
    both share it. The member's id stays unset until the member exists.
    """
    key = email_key(email)
    taken = store.query(
        f"SELECT id, mailchimp_member_id IS NOT NULL OR {_IS_OPEN} FROM {TABLE}"
        " WHERE mailchimp_list_id = ? AND email_key = ? AND id <> ?",
        (list_id, key, row_id),
    ).fetchone()
    if taken is not None and taken[1]:
        return False
    if taken is not None:  # it was tried with this address once, and nothing came of it
        store.query(
            f"UPDATE {TABLE} SET email_key = NULL, mailchimp_email = NULL WHERE id = ?",
            (taken[0],),
        )
    store.query(
        f"UPDATE {TABLE} SET mailchimp_email = ?1, email_key = ?2,"
        f" owned_by = {_OWNER.format(key='?2')} WHERE id = ?3",
        (email, key, row_id),
    )
    return True


class StoredRefusal(msgspec.Struct, omit_defaults=True):
    """A `Refused` as it is kept: how often, and until when it is not to be tried again.

    `retry_at` is when it may be tried again; empty: never for this wish, or, where it
    `lacks_field`, at once, in another way.
    """

    email: str
    reason: str
    times: dict[str, str] = {}
    prints: dict[str, str] = {}
    count: int = 1
    retry_at: str = ""
    lacks_field: bool = False

    @property
    def parts(self) -> dict[str, str]:
        """What was refused, part by part."""
        return self.times | self.prints

    def is_part_of(self, wished: Mapping[str, str]) -> bool:
        """Whether any of the fingerprints is among these."""
        return not self.prints.items().isdisjoint(wished.items())


Refusals = list[StoredRefusal]
decode_refusals = msgspec.json.Decoder(Refusals).decode


def load_refusals(store: Store, row_id: int) -> Refusals:
    """What was refused of a row."""
    row = store.query(f"SELECT refusals FROM {TABLE} WHERE id = ?", (row_id,)).fetchone()
    return decode_refusals(row[0]) if row is not None and row[0] else []


def save_refusals(store: Store, row_id: int, refusals: Refusals) -> None:
    """Keep what was refused of a row."""
    store.query(
        f"UPDATE {TABLE} SET refusals = ? WHERE id = ?",
        (_encode(refusals).decode() if refusals else None, row_id),
    )


def forget_refused_data(store: Store, row_id: int, wished: Mapping[str, str]) -> None:
    """Of data that were refused keep what is wished still, as `refusals.find_prints` tells it."""
    refusals = load_refusals(store, row_id)
    rest = [r for r in refusals if r.times or not is_of_data(r.prints) or r.is_part_of(wished)]
    if rest != refusals:
        save_refusals(store, row_id, rest)


def note_asked(store: Store, asked: Iterable[tuple[int, str | None]]) -> None:
    """Keep for which words confirmation mails are asked for: (row id, when that was said)."""
    store.run_many(
        f"UPDATE {TABLE} SET reconfirmed_at = ? WHERE id = ?",
        [(decided_at, row_id) for row_id, decided_at in asked],
    )


def note_agreed(
    store: Store, agreements: Iterable[tuple[Iterable[int], Sequence[Agreement]]]
) -> None:
    """Keep what was agreed: (a person's rows, what was agreed about them)."""
    store.run_many(
        f"UPDATE {TABLE} SET agreed = json_patch(coalesce(agreed, '{{}}'), ?) WHERE id = ?",
        [
            (_encode({a.topic: describe_agreed(a) for a in each}).decode(), row_id)
            for row_ids, each in agreements
            if each
            for row_id in row_ids
        ],
    )


def describe_agreed(agreement: Agreement) -> list[object]:
    """An agreement as a row keeps it: [value, time, reason]."""
    agreed = agreement.agreed
    return [agreed.value, to_text(agreed.at), agreed.reason.value]


def note_undone(
    store: Store,
    row_ids: Iterable[int],
    contact_ids: Iterable[int],
    undone: Mapping[str, Undone],
) -> None:
    """Have these rows, and all of these contacts, left alone where undo put something back."""
    patch = {
        topic: (to_text(each.at), each.run, to_text(each.done_at), each.value)
        for topic, each in undone.items()
    }
    store.query(
        f"UPDATE {TABLE} SET undone = json_patch(coalesce(undone, '{{}}'), :patch)"
        " WHERE id IN (SELECT value FROM json_each(:rows))"
        " OR civicrm_contact_id IN (SELECT value FROM json_each(:contacts))",
        {
            "patch": _encode(patch).decode(),
            "rows": json_list(row_ids),
            "contacts": json_list(contact_ids),
        },
    )


def save_data(store: Store, data: Mapping[int, Mapping[str, object]]) -> None:
    """Keep by row id what the data step has sent, and what plugins keep."""
    store.run_many(
        f"UPDATE {TABLE} SET civicrm_data = ? WHERE id = ?",
        [(_encode(each).decode() if each else None, row_id) for row_id, each in data.items()],
    )


# --- the queue, and the marks ---------------------------------------------------------------------


def mark_due(store: Store, row_ids: Iterable[int]) -> None:
    """Have these rows judged."""
    store.query(f"UPDATE {TABLE} SET due = due + 1 WHERE {_THESE}", (json_list(row_ids),))


def mark_names_due(store: Store, list_id: str, contact_ids: Iterable[int]) -> None:
    """Have the rows judged, with data, that these contacts have in audiences other than this."""
    store.query(
        f"UPDATE {TABLE} SET due = due + 1, is_data_due = 1 WHERE civicrm_contact_id IN"
        " (SELECT value FROM json_each(?)) AND mailchimp_list_id <> ?",
        (json_list(contact_ids), list_id),
    )


def mark_shared_due(store: Store, row_id: int) -> None:
    """Have a row judged whose address several contacts own."""
    store.query(
        f"UPDATE {TABLE} SET due = due + 1 WHERE id = ? AND 1 < ("
        "SELECT count(DISTINCT e.contact_id) FROM civicrm_mailchimpsync_email e"
        " CROSS JOIN civicrm_mailchimpsync_contact c"
        "  ON c.contact_id = e.contact_id AND c.is_deleted = 0"
        f" WHERE e.email_key = {TABLE}.email_key)",
        (row_id,),
    )


# A person's rows: linked to the contact, or with an address that the contact owns.
# Nobody is being judged while this is done, so that a mark that is there need not grow.
_MARK_CONCERNED = f"""
UPDATE {TABLE} SET due = max(due, 1), is_data_due = 1 WHERE (due = 0 OR is_data_due = 0) AND id IN (
    SELECT c.id FROM temp.changed d
    CROSS JOIN {TABLE} c ON c.civicrm_contact_id = d.contact_id
    WHERE d.contact_id > :after AND d.contact_id <= :last
    UNION
    SELECT c.id FROM temp.changed d
    CROSS JOIN civicrm_mailchimpsync_email e ON e.contact_id = d.contact_id
    CROSS JOIN {TABLE} c ON c.email_key = e.email_key
    WHERE d.contact_id > :after AND d.contact_id <= :last
)
"""


def mark_concerned(store: Store, after: int, last: int) -> None:
    """Have the rows judged whom the contacts in `temp.changed` concern, in every audience.

    For contacts above `after` up to `last`.
    """
    store.query(_MARK_CONCERNED, {"after": after, "last": last})


def mark_addresses(store: Store, contact_ids: Iterable[int]) -> None:
    """Have the rows judged that have an address of these contacts."""
    store.query(
        f"UPDATE {TABLE} SET due = due + 1 WHERE email_key IN ("
        " SELECT email_key FROM civicrm_mailchimpsync_email"
        " WHERE contact_id IN (SELECT value FROM json_each(?)))",
        (json_list(contact_ids),),
    )


def mark_everyone(store: Store, list_id: str) -> None:
    """Have every row of the audience judged, in transactions of their own."""
    _mark_in_chunks(store, f"{_IN_LIST} AND due = 0", list=list_id)


def mark_data_due(store: Store, list_id: str) -> None:
    """Have every row judged whose names changed since they were last judged with data.

    In transactions of their own.
    """
    _mark_in_chunks(store, f"{_IN_LIST} AND due = 0 AND is_data_due = 1", list=list_id)


def mark_all_audiences(store: Store) -> None:
    """Have every row of every audience judged, with data, in transactions of their own."""
    _mark_in_chunks(store, "(due = 0 OR is_data_due = 0)", "is_data_due = 1,")


_MARK_CHUNK = 20_000  # rows
_IN_LIST = "mailchimp_list_id = :list"


def _mark_in_chunks(store: Store, whom: str, more: str = "", **where: object) -> None:
    ids = f"SELECT id FROM {TABLE} WHERE {whom}"
    for after, last in store.ranges(ids, _MARK_CHUNK, **where):
        with store.atomic():
            store.query(
                f"UPDATE {TABLE} SET {more} due = max(due, 1)"
                f" WHERE {whom} AND id > :after AND id <= :last",
                {**where, "after": after, "last": last},
            )


def mark_wanted(store: Store, row_ids: Iterable[int]) -> None:
    """Have these rows judged, of which a plugin wants something."""
    sql = f"UPDATE {TABLE} SET due = due + 1 WHERE {_THESE} AND due = 0"
    store.query(sql, (json_list(row_ids),))


def mark_refused_due(store: Store, contacts: str, parameters: Sequence[object] = ()) -> None:
    """Have the rows of these contacts (a SELECT) judged of whom anything was refused."""
    store.query(
        f"UPDATE {TABLE} SET due = due + 1 WHERE refusals IS NOT NULL"
        f" AND civicrm_contact_id IN ({contacts})",
        parameters,
    )


BY_CIVICRM = "refused-by-civicrm"
# Given up, or not to be tried again by now.
_IS_WAITING = (
    "({value} ->> 'retry_at' IS NULL OR ({value} ->> 'retry_at' > :now"
    " AND {value} ->> 'retry_at' <= strftime('%Y-%m-%dT%H:%M:%SZ', :now, '+1 day')))"
)
_CIVICRM = "civicrm"  # the part of a refusal that a fingerprint of CiviCRM's writes is


def mark_failed_again(store: Store, list_id: str, now: str) -> None:
    """Have those judged again whose write CiviCRM refused, or whose update was given up by hand.

    What CiviCRM refused is tried again when its pause is over, by our own time, or when that
    lies so far ahead that a clock was wrong.
    """
    store.query(
        f"UPDATE {TABLE} SET due = due + 1 WHERE mailchimp_list_id = :list AND due = 0"
        " AND sync_reason IN ('aborted', 'refused-by-civicrm') AND mark = 'fail'"
        " AND NOT EXISTS (SELECT 1 FROM json_each(refusals)"
        f"  WHERE value ->> 'reason' = '{BY_CIVICRM}' AND {_IS_WAITING.format(value='value')})",
        {"list": list_id, "now": now},
    )


def note_civicrm_refused(store: Store, row_id: int, wish: str, retry_ats: Sequence[str]) -> bool:
    """Count once more that CiviCRM refused what a row needs.

    `wish` is a fingerprint of that: another one begins to count anew. `retry_ats`: until when to
    pause after the first time, the second, and so on. Returns whether it is given up only now.
    """
    refusals = load_refusals(store, row_id)
    prints = {_CIVICRM: wish}
    same = [r for r in refusals if r.reason == BY_CIVICRM and r.prints in ({}, prints)]
    count = 1 + max((r.count for r in same), default=0)
    retry_at = retry_ats[count - 1] if count <= len(retry_ats) else ""
    rest = [refusal for refusal in refusals if refusal.reason != BY_CIVICRM]
    new = StoredRefusal("", BY_CIVICRM, {}, prints, count, retry_at)
    save_refusals(store, row_id, [*rest, new])
    return count == len(retry_ats) + 1


def load_refused_by_civicrm(store: Store, row_ids: Iterable[int], now: str) -> dict[int, str]:
    """By row id, the wish that CiviCRM has refused and that is not to be tried again by now.

    `now` is our own time: a pause that lies too far ahead of it was begun by a wrong clock.
    """
    found = store.query(
        f"SELECT c.id, r.value -> '$.prints' ->> '{_CIVICRM}'"
        f" FROM {TABLE} c CROSS JOIN json_each(c.refusals) r"
        " WHERE c.id IN (SELECT value FROM json_each(:ids)) AND c.refusals IS NOT NULL"
        f" AND r.value ->> 'reason' = '{BY_CIVICRM}' AND {_IS_WAITING.format(value='r.value')}",
        {"ids": json_list(row_ids), "now": now},
    )
    return {row_id: wish for row_id, wish in found.fetchall() if wish}


def is_refused_by_civicrm(store: Store, row_id: int) -> bool:
    """Whether CiviCRM still refuses something that a row needs."""
    return any(refusal.reason == BY_CIVICRM for refusal in load_refusals(store, row_id))


def forget_civicrm_refused(store: Store, row_ids: Iterable[int]) -> None:
    """CiviCRM took what these rows need after all."""
    refused = f"SELECT id FROM {TABLE} WHERE {_THESE} AND refusals IS NOT NULL"
    for row_id in store.column(refused, (json_list(row_ids),)):
        refusals = load_refusals(store, row_id)
        rest = [r for r in refusals if r.reason != BY_CIVICRM]
        if rest != refusals:
            save_refusals(store, row_id, rest)


def mark_for_resync(store: Store, row_ids: Iterable[int]) -> None:
    """Have these rows judged, as if Mailchimp had not refused them, and undo not put them back.

    For which wish a confirmation mail was asked stays: nobody is mailed twice for one.
    """
    store.query(
        f"UPDATE {TABLE} SET due = due + 1, undone = NULL,"
        " refusals = iif(reconfirmed_at IS NULL, NULL, ("
        "  SELECT json_group_array(json(value)) FROM json_each(refusals)"
        "  WHERE json_extract(value, '$.reason') = 'compliance-state'))"
        f" WHERE {_THESE}",
        (json_list(row_ids),),
    )


_MARK_JUDGED = f"""
UPDATE {TABLE} SET
    due = CASE WHEN ?1 = 'todo' THEN max(due, 1) WHEN due = ?4 THEN 0 ELSE due END,
    mark = iif(?1 = 'todo', mark, iif(?1 IN ('live', 'redo'), ?1, coalesce({_OPEN_MARK}, ?1))),
    sync_reason = ?2,
    moved_from = iif(?1 IN ('ok', 'live'), NULL, moved_from),
    owned_by = {_OWNER.format(key=f"{TABLE}.email_key")}
WHERE id = ?3
"""
_DROP_JUDGED = f"""
DELETE FROM {TABLE} WHERE {_THESE} AND due = 0
  AND civicrm_contact_id IS NULL AND mailchimp_member_id IS NULL AND NOT {_IS_OPEN}
"""


def mark_judged(store: Store, verdicts: Iterable[RowVerdict]) -> None:
    """Mark rows with what was decided about them.

    They leave the queue, unless they are to wait, or something was learned meanwhile. Rows with
    neither half go.
    """
    marks = [(v.sync_status.value, v.reason.value, v.row_id, v.due) for v in verdicts]
    store.run_many(_MARK_JUDGED, marks)
    store.query(_DROP_JUDGED, (json_list(mark[2] for mark in marks),))


def mark_plain(
    store: Store, row_ids: Sequence[int], due: int, verdict: RowVerdict, *, with_data: bool
) -> None:
    """Mark plain rows with the verdict about one of them.

    Those of which something was learned since they were read as `due` stay as they are.
    `with_data`: they were judged with data, too. No update of theirs is open.
    """
    done = ", is_data_due = 0" if with_data else ""
    store.query(
        f"UPDATE {TABLE} SET mark = ?, sync_reason = ?, owned_by = civicrm_contact_id,"
        f" due = 0{done} WHERE {_THESE} AND due = ?",
        (verdict.sync_status.value, verdict.reason.value, json_list(row_ids), due),
    )


def mark_settled(store: Store, row_id: int, status: SyncStatus, reason: Reason) -> None:
    """The fate of an update is known. The row stays as due as it was."""
    store.query(
        f"UPDATE {TABLE} SET mark = coalesce({_OPEN_MARK}, ?), sync_reason = ? WHERE id = ?",
        (status.value, reason.value, row_id),
    )


def mark_given_up(store: Store, row_ids: Iterable[int]) -> None:
    """Updates of these rows were given up by hand; the next fetch has them judged again."""
    store.query(
        f"UPDATE {TABLE} SET mark = coalesce({_OPEN_MARK}, 'fail'), sync_reason = 'aborted'"
        f" WHERE {_THESE}",
        (json_list(row_ids),),
    )


def mark_data_wanted(store: Store, row_ids: Iterable[int]) -> None:
    """Have these rows judged with data, whenever that is done next."""
    store.query(f"UPDATE {TABLE} SET is_data_due = 1 WHERE {_THESE}", (json_list(row_ids),))


def note_data_done(store: Store, verdicts: Iterable[RowVerdict]) -> None:
    """These rows were judged with data, unless they are to wait."""
    store.run_many(
        f"UPDATE {TABLE} SET is_data_due = 0 WHERE id = ?",
        [(v.row_id,) for v in verdicts if v.sync_status is not SyncStatus.TODO],
    )
