"""The plan of an audience: every decision that writes something, kept before its first write."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from mcsync.cache.store import Store
from mcsync.decision import Decision

# Decisions carried out and recorded together: some requests for each of CiviCRM's connections.
CHUNK = 1_000

_decode = msgspec.json.Decoder(Decision).decode
_encode = msgspec.json.Encoder().encode


def forget_plan(store: Store, list_id: str) -> None:
    """Drop what is left of an earlier plan."""
    with store.atomic():
        store.query("DELETE FROM civicrm_mailchimpsync_plan WHERE list_id = ?", (list_id,))


def add_to_plan(
    store: Store, list_id: str, decisions: Iterable[tuple[Decision, frozenset[str]]]
) -> None:
    """Add decisions, each with its kinds."""
    store.insert_many(
        "INSERT INTO civicrm_mailchimpsync_plan (list_id, decision, kinds) VALUES (?, ?, ?)",
        [
            (list_id, _encode(decision).decode(), " ".join(sorted(kinds)))
            for decision, kinds in decisions
        ],
    )


def find_plan_end(store: Store) -> int:
    """The id of the newest decision of any plan, 0 if there is none."""
    return store.number("SELECT max(id) FROM civicrm_mailchimpsync_plan")


def count_plan(store: Store, list_id: str, after: int = 0) -> int:
    """How many decisions there are in a plan, or came into it `after` an id."""
    return store.number(
        "SELECT count(*) FROM civicrm_mailchimpsync_plan WHERE list_id = ? AND id > ?",
        (list_id, after),
    )


def load_plan(
    store: Store, list_id: str, after: int = 0, held: frozenset[str] = frozenset()
) -> Iterator[tuple[tuple[int, Decision], ...]]:
    """The plan in chunks, as (plan id, decision); done ones may be dropped meanwhile.

    Only what was planned `after` an id, if that is given; without the decisions of a kind that
    is `held`.
    """
    sql = (
        "SELECT id, decision, kinds FROM civicrm_mailchimpsync_plan"
        " WHERE list_id = :list AND id > :after ORDER BY id LIMIT :limit"
    )
    for rows in store.pages(sql, CHUNK, after=after, list=list_id):
        free = tuple((row[0], _decode(row[1])) for row in rows if not held & set(row[2].split()))
        if free:
            yield free


def drop_from_plan(store: Store, plan_ids: Sequence[int]) -> None:
    """These decisions are carried out."""
    store.run_many("DELETE FROM civicrm_mailchimpsync_plan WHERE id = ?", [(i,) for i in plan_ids])
