"""People to be judged who differ in nothing that a rule looks at, found by SQL, many at once.

After a first fetch nearly everybody is the same plain case: one member, one contact who owns
the address and may be mailed, and nothing under way. What the rules can still tell apart is
written into the shape below, so that one of the people of a shape is judged for all of them.
Whoever is not plain is left to `people`, and so is every shape whose verdict writes something.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from mcsync.cache.store import Store
from mcsync.model import Policy, RowVerdict

CHUNK = 5000  # rows looked at, and marked, at once

Shape = tuple[str | int | None, ...]

_decode = msgspec.json.Decoder(tuple[int, ...]).decode


@dataclass(frozen=True, slots=True)
class Alike:
    """Rows of people of one shape. It means something only under one and the same policy."""

    shape: Shape
    row_ids: tuple[int, ...]


def load_alike(
    store: Store, policy: Policy, *, asks_plugins: bool = False
) -> Iterator[list[Alike]]:
    """The plain ones among the rows to do, chunk by chunk; rows may be marked meanwhile.

    With `asks_plugins`, rows of which a plugin of the data step wants something are left out.
    """
    sql, parameters = _make_query(policy, asks_plugins=asks_plugins)
    after = 0
    while True:
        last = _find_end(store, policy.list_id, after)
        if last is None:
            return
        rows = store.conn.execute(sql, {**parameters, "after": after, "last": last}).fetchall()
        yield [Alike(tuple(row[1:]), _decode(row[0])) for row in rows]
        after = last


def mark_alike(store: Store, alike: Sequence[int], verdict: RowVerdict, *, with_data: bool) -> None:
    """Mark plain rows with the verdict about one of them; call inside a transaction.

    `with_data`: they were judged with data, too.
    """
    done = ", is_data_due = 0" if with_data else ""
    store.query(
        "UPDATE civicrm_mailchimpsync_cache SET sync_status = ?, sync_reason = ?,"
        f" owned_by = civicrm_contact_id{done} WHERE id IN (SELECT value FROM json_each(?))",
        (
            verdict.sync_status.value,
            verdict.reason.value,
            msgspec.json.encode(alike).decode(),
        ),
    )


def _find_end(store: Store, list_id: str, after: int) -> int | None:
    """The last row of the next chunk; None when nothing is left to do."""
    row = store.query(
        "SELECT max(id) FROM (SELECT id FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND sync_status = 'todo' AND id > ? ORDER BY id LIMIT ?)",
        (list_id, after, CHUNK),
    ).fetchone()
    return None if row[0] is None else int(row[0])


# One row and one contact that belong to each other and to nobody else, where the contact may
# be mailed at the member's address, prefers no other one, could not be subscribed with another
# one, and nothing is under way or remembered that could count: the person has no more sides
# than the shape shows. A test compares with what `decide` says of thousands of random people.
_FROM = """
FROM civicrm_mailchimpsync_cache r
CROSS JOIN civicrm_mailchimpsync_contact c ON c.contact_id = r.civicrm_contact_id
    AND NOT (c.is_deleted OR c.is_deceased OR c.is_opt_out OR c.do_not_email)
LEFT JOIN civicrm_mailchimpsync_group_contact g
    ON g.group_id = :group AND g.contact_id = r.civicrm_contact_id
"""
_WHERE = """
WHERE r.mailchimp_list_id = :list AND r.sync_status = 'todo' AND r.id > :after AND r.id <= :last
  AND r.mailchimp_member_id IS NOT NULL AND r.mailchimp_data IS NOT NULL AND NOT r.is_shared
  AND coalesce(r.refused_at, r.refusal, r.reconfirmed_at, r.lost_contact_id, r.moved_from) IS NULL
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update u
      WHERE u.mailchimpsync_cache_id = r.id AND u.completed = 0)
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_cache o
      WHERE o.civicrm_contact_id = r.civicrm_contact_id AND o.mailchimp_list_id = :list
        AND o.id <> r.id)
  AND EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e WHERE e.email_key = r.email_key
      AND e.contact_id = r.civicrm_contact_id AND NOT e.on_hold AND e.email <> '')
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e WHERE e.email_key = r.email_key
      AND e.contact_id <> r.civicrm_contact_id)
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e
      WHERE e.contact_id = r.civicrm_contact_id AND (e.is_bulkmail OR (e.email_key <> r.email_key
        AND ((r.mailchimp_status IN ('subscribed', 'pending')) IS NOT TRUE
          OR EXISTS (SELECT 1 FROM civicrm_mailchimpsync_cache o
            WHERE o.email_key = e.email_key AND o.mailchimp_list_id = :list)))))
"""
_SAME_NAMES = """
  AND coalesce(json_extract(r.mailchimp_data, '$.first_name'), '') = c.first_name
  AND coalesce(json_extract(r.mailchimp_data, '$.last_name'), '') = c.last_name
"""
_NOT_WANTED = " AND NOT EXISTS (SELECT 1 FROM temp.wanted w WHERE w.row_id = r.id)"


def _make_query(policy: Policy, *, asks_plugins: bool) -> tuple[str, dict[str, object]]:
    """The statement, and its parameters but for the chunk's ends.

    Of times the rules only ask which is later: `_later` is -1, 0 or 1, null where there is none.
    """
    parameters: dict[str, object] = {"list": policy.list_id, "group": policy.group_id}
    said = "json_extract(r.mailchimp_data, '$.\"status@\"')"
    shape = [
        "r.mailchimp_status",
        "json_extract(r.mailchimp_data, '$.gated')",
        "g.status = 'Added'",
        "g.says_in",
        _later(said, "g.said_at"),
    ]
    joins = ""
    for n, (interest_id, interest) in enumerate(policy.interests.items()):
        parameters |= {
            f"value{n}": f'$."interest-{interest_id}"',
            f"at{n}": f'$."interest-{interest_id}@"',
            f"group{n}": interest.group_id,
        }
        at = f"nullif(json_extract(r.mailchimp_data, :at{n}), '')"
        shape += [
            f"iif({at} IS NULL, NULL, coalesce(json_extract(r.mailchimp_data, :value{n}), 0))",
            f"i{n}.status = 'Added'",
            f"i{n}.says_in",
            _later(at, f"i{n}.said_at"),
        ]
        joins += (
            f"LEFT JOIN civicrm_mailchimpsync_group_contact i{n}"
            f" ON i{n}.group_id = :group{n} AND i{n}.contact_id = r.civicrm_contact_id\n"
        )
    where = _WHERE + (_SAME_NAMES if policy.syncs_names else "")
    where += _NOT_WANTED if asks_plugins else ""
    numbers = ", ".join(str(n + 2) for n in range(len(shape)))
    select = f"SELECT json_group_array(r.id), {', '.join(shape)}"
    return f"{select} {_FROM} {joins} {where} GROUP BY {numbers}", parameters


def _later(one: str, other: str) -> str:
    return f"({one} > {other}) - ({one} < {other})"
