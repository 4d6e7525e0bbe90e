"""Plain people: those to be judged who differ in nothing that a rule looks at, many at once.

After a first fetch nearly everybody is the same plain case: one member, one contact who owns
the address and may be mailed, and nothing under way. What the rules can still tell apart is
written into the shape below, so that one of the people of a shape is judged for all of them.
Whoever is not plain is left to `people`, and so is every shape whose verdict writes something.

A field that the rules read, and that is neither in the shape nor in the condition, would be judged
by somebody else's: a test has the list of all fields, and where each is taken care of.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mcsync.cache.contacts import GATE_FLAGS
from mcsync.cache.rows import DUE_IDS, SQL_IN, TABLE
from mcsync.cache.store import Store
from mcsync.cache.times import to_text
from mcsync.decision import Policy, make_topic

CHUNK = 5000  # rows looked at, and marked, at once

Shape = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Alike:
    """Rows of people of one shape, with one mark. It means something only under one policy."""

    shape: Shape
    row_ids: Sequence[int]
    due: int


def load_alike(
    store: Store, policy: Policy, *, asks_plugins: bool = False
) -> Iterator[list[Alike]]:
    """The plain ones among the due rows, chunk by chunk; rows may be marked meanwhile.

    With `asks_plugins`, rows of which a plugin of the data step wants something are left out.
    """
    sql, parameters = _make_query(policy, asks_plugins=asks_plugins)
    for after, last in store.ranges(DUE_IDS, CHUNK, list=policy.list_id):
        found: dict[tuple[int, Shape], list[int]] = defaultdict(list)
        for row in store.query(sql, {**parameters, "after": after, "last": last}):
            found[row[1], row[2:]].append(row[0])
        yield [Alike(shape, row_ids, due) for (due, shape), row_ids in found.items()]


# One row and one contact that belong to each other and to nobody else, where the contact may
# be mailed at the member's address, prefers no other one, could not be subscribed with another
# one, and nothing is under way or remembered that could count: the person has no more sides
# than the shape shows. A test compares with what `decide` says of thousands of random people.
_FROM = f"""
FROM {TABLE} r
CROSS JOIN civicrm_mailchimpsync_contact c ON c.contact_id = r.civicrm_contact_id
    AND NOT (c.is_deleted OR c.is_unseen OR {" OR ".join(f"c.{flag}" for flag in GATE_FLAGS)})
LEFT JOIN civicrm_mailchimpsync_group_contact g
    ON g.group_id = :group AND g.contact_id = r.civicrm_contact_id
"""
_WHERE = f"""
WHERE r.mailchimp_list_id = :list AND r.due > 0 AND r.id > :after AND r.id <= :last
  AND r.mailchimp_member_id IS NOT NULL AND r.mailchimp_data IS NOT NULL AND NOT r.is_shared
  AND lower(r.mailchimp_email) = r.email_key
  AND coalesce(r.refusals, r.reconfirmed_at, r.lost_contact_id, r.lost_at, r.moved_from,
    r.undone) IS NULL
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update u
      WHERE u.mailchimpsync_cache_id = r.id AND u.completed = 0)
  AND NOT EXISTS (SELECT 1 FROM {TABLE} o
      WHERE o.civicrm_contact_id = r.civicrm_contact_id AND o.mailchimp_list_id = :list
        AND o.id <> r.id)
  AND EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e WHERE e.email_key = r.email_key
      AND e.contact_id = r.civicrm_contact_id)
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e WHERE e.email_key = r.email_key
      AND e.contact_id <> r.civicrm_contact_id)
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e
      WHERE e.contact_id = r.civicrm_contact_id AND (e.is_bulkmail
        OR (e.email_key = r.email_key AND (e.on_hold OR e.email = ''))
        OR (e.email_key <> r.email_key AND ((r.mailchimp_status IN {SQL_IN}) IS NOT TRUE
          OR EXISTS (SELECT 1 FROM {TABLE} o
            WHERE o.email_key = e.email_key AND o.mailchimp_list_id = :list)))))
"""
_SAME_NAMES = """
  AND coalesce(json_extract(r.mailchimp_data, '$.first_name'), '') = c.first_name
  AND coalesce(json_extract(r.mailchimp_data, '$.last_name'), '') = c.last_name
  AND coalesce(json_extract(r.mailchimp_data, '$."first_name!"'),
        json_extract(r.mailchimp_data, '$."last_name!"')) IS NULL
"""
_NOT_WANTED = " AND NOT EXISTS (SELECT 1 FROM temp.wanted w WHERE w.row_id = r.id)"


def _later(one: str, other: str) -> str:
    """Of times the rules only ask which is later: -1, 0 or 1, null where there is none."""
    return f"({one} > {other}) - ({one} < {other})"


def _if_agreed(topic: str, *values: str) -> str:
    """Values that there are only where something was agreed about the topic."""
    is_none = f"r.agreed IS NULL OR json_extract(r.agreed, {topic}) IS NULL"
    return f"iif({is_none}, NULL, json_array({', '.join(values)}))"


_SAID_AT = "json_extract(r.mailchimp_data, '$.\"status@\"')"
_AGREED_AT = "json_extract(r.agreed, :topic || '[1]')"
_SHAPE = (
    "r.mailchimp_status",
    "json_extract(r.mailchimp_data, '$.\"status!\"')",
    "json_extract(r.mailchimp_data, '$.left')",
    f"{_SAID_AT} IS NULL",
    "g.status = 'Added'",
    "g.status IS NULL",
    "g.says_in",
    _later(_SAID_AT, "g.said_at"),
    _if_agreed(
        ":topic",
        "json_extract(r.agreed, :topic || '[0]', :topic || '[2]')",
        _later(_AGREED_AT, _SAID_AT),
        _later(_AGREED_AT, "g.said_at"),
    ),
)
_INTEREST_AT = "json_extract(r.mailchimp_data, :at{n})"
_INTEREST_AGREED_AT = "json_extract(r.agreed, :topic{n} || '[1]')"
_INTEREST_AGREED = _if_agreed(
    ":topic{n}",
    "json_extract(r.agreed, :topic{n} || '[0]')",
    _later(_INTEREST_AGREED_AT, _INTEREST_AT),
)
_PLACE_AGREED = _if_agreed(":topic{n}", _later(_INTEREST_AGREED_AT, "i.said_at"))
# One column, which looks its group up itself: of columns there may be 2,000, of joins only some 60.
_INTEREST = f"""json_array(
    json_extract(r.mailchimp_data, :value{{n}}),
    json_extract(r.mailchimp_data, :said{{n}}),
    {_INTEREST_AT} IS NULL,
    {_INTEREST_AGREED},
    coalesce((SELECT json_array(i.status = 'Added', i.status IS NULL, i.says_in,
            {_later(_INTEREST_AT, "i.said_at")}, {_PLACE_AGREED})
        FROM civicrm_mailchimpsync_group_contact i
        WHERE i.group_id = :group{{n}} AND i.contact_id = r.civicrm_contact_id),
        json_array(NULL, 1, NULL, NULL, NULL)))"""


def _make_query(policy: Policy, *, asks_plugins: bool) -> tuple[str, dict[str, object]]:
    """The statement, and its parameters but for the chunk's ends."""
    topic = make_topic("subscription", policy.group_id)
    parameters: dict[str, object] = {
        "list": policy.list_id,
        "group": policy.group_id,
        "topic": f'$."{topic}"',
    }
    shape = list(_SHAPE)
    for n, (interest_id, interest) in enumerate(policy.interests.items()):
        shape.append(_INTEREST.format(n=n))
        parameters |= {
            f"group{n}": interest.group_id,
            f"value{n}": f'$."interest-{interest_id}"',
            f"at{n}": f'$."interest-{interest_id}@"',
            f"said{n}": f'$."interest-{interest_id}!"',
            f"topic{n}": f'$."{make_topic(interest_id, interest.group_id)}"',
        }
    if policy.moved_at is not None:
        shape += [f"{_SAID_AT} < :moved_at", "g.said_at < :moved_at"]
        parameters["moved_at"] = to_text(policy.moved_at)
    where = _WHERE + (_SAME_NAMES if policy.syncs_names else "")
    where += _NOT_WANTED if asks_plugins else ""
    return f"SELECT r.id, r.due, {', '.join(shape)} {_FROM} {where}", parameters
