"""One status per audience: how far it was fetched, what was held or spent, when it was in sync."""

from collections.abc import Sequence

import msgspec

from mcsync.cache.rows import SQL_IN
from mcsync.cache.store import Store

HELD = "held"  # the key of the trouble that a plan is held


class CutFetch(msgspec.Struct, rename="camel"):
    """A fetch that ran out of time: what it was asked for, when it began, how far it came.

    `reached` is the newest change of the pages it took in, in the order of changes; None when
    it had not come that far.
    """

    since: str | None
    served_at: str | None
    reached: str | None


class HeldPlan(msgspec.Struct, rename="camel"):
    """What of an audience's plan is held, and since when.

    `sizes`: how many people of each kind, by its name; `told`: how many they were when somebody
    was last told of it.
    """

    why: str
    since: str
    sizes: dict[str, int] = {}
    told: dict[str, int] = {}


class KnownTrouble(msgspec.Struct, rename="camel"):
    """Something that is wrong with an audience, since when, and when that was last told.

    `key` is what makes it the same trouble, however it is worded; `told_at` is "" until somebody
    was told. `command` met it; those that `passed` came to their end and have not met it since.
    `stops`: nothing is synced until it is over. Of a held plan `sizes` are how many people of each
    kind were told. Of what comes and goes: when it was `over_at` last, when that was told, and
    when it was `back_at`; "" for never.
    """

    key: str
    kind: str
    message: str
    hint: str
    since: str
    told_at: str = ""
    command: str = "sync"
    stops: bool = True
    passed: list[str] = []
    sizes: dict[str, int] = {}
    over_at: str = ""
    end_told_at: str = ""
    back_at: str = ""

    def as_dict(self) -> dict[str, object]:
        """The trouble as `--json` has it."""
        return {
            "kind": self.kind,
            "message": self.message,
            "hint": self.hint or None,
            "since": self.since,
            "told_at": self.told_at or None,
        }


class LeftOut(msgspec.Struct, rename="camel"):
    """When it was last told that something is left out, and of how many."""

    told_at: str
    count: int


class AudienceStatus(msgspec.Struct, rename="camel"):
    """What the cache remembers of an audience between runs. All times as text, UTC.

    `since` is where the next fetch from Mailchimp begins, None for everything. `is_fetched` is
    False from the beginning of a fetch to its whole end: nothing is judged on half a fetch.
    `served_at`: when Mailchimp began to answer it, by its own clock. `data_synced_at`: when the
    data step was last done. `account_id`: whose audience it is. `rules`: a fingerprint of the
    config by which everybody was judged; `is_strict` while what it has changed may have to wait.
    `gone_interests` are mapped and not at Mailchimp any more, `stopped_interests` left alone
    because their groups are not believed. `interest_names` tells how Mailchimp calls those that
    are mapped. `spent_trust` is the override in the config that a
    complete sync has used up. `left_out`: what was told of values that do not fit,
    and of members that are not understood, by its words. `troubles` are those of the last runs,
    `past_troubles` those that were over within a day; `ended_at`: when a sync last came to its
    end, whatever it held. `snapshot_at`: when both sides were kept, before the first change.
    `done_alone`: how many people of each kind were changed at once, because CiviCRM told of them,
    since a whole plan was last found to be not too much.
    """

    since: str | None = None
    is_fetched: bool = False
    needs_full_fetch: bool = False
    needs_full_scan: bool = True
    fetch_no: int = 0
    fetched_at: str | None = None
    full_fetched_at: str | None = None
    synced_at: str | None = None
    data_synced_at: str | None = None
    is_in_sync: bool = False
    cut: "CutFetch | None" = None
    interest_ids: list[str] = []
    served_at: str | None = None
    account_id: str = ""
    rules: str = ""
    is_strict: bool = False
    gone_interests: list[str] = []
    stopped_interests: list[str] = []
    interest_names: dict[str, str] = {}
    spent_trust: dict[str, str] = {}
    held_plan: HeldPlan | None = None
    left_out: dict[str, LeftOut] = {}
    troubles: list[KnownTrouble] = []
    past_troubles: list[KnownTrouble] = []
    ended_at: str | None = None
    snapshot_at: str | None = None
    done_alone: dict[str, int] = {}


def load_status(store: Store, list_id: str) -> AudienceStatus:
    """The audience's status; a new one when it was never fetched."""
    row = store.query(
        "SELECT data FROM civicrm_mailchimpsync_status WHERE list_id = ?", (list_id,)
    ).fetchone()
    return msgspec.json.decode(row[0], type=AudienceStatus) if row else AudienceStatus()


def save_status(store: Store, list_id: str, status: AudienceStatus) -> None:
    """Keep the audience's status."""
    store.query(
        "INSERT INTO civicrm_mailchimpsync_status (list_id, data) VALUES (?, ?)"
        " ON CONFLICT (list_id) DO UPDATE SET data = excluded.data",
        (list_id, msgspec.json.encode(status).decode()),
    )


def forget_past_troubles(store: Store) -> None:
    """A service's words in them may name anybody. Call inside a transaction."""
    for (list_id,) in store.query("SELECT list_id FROM civicrm_mailchimpsync_status").fetchall():
        status = load_status(store, list_id)
        status.past_troubles = []
        save_status(store, list_id, status)


def demand_full_scan(store: Store, but: Sequence[str]) -> None:
    """Have all audiences but these look at everybody in their group next time.

    They were not there when what had changed in CiviCRM was told. Call inside a transaction.
    """
    rows = store.query("SELECT list_id FROM civicrm_mailchimpsync_status").fetchall()
    for (list_id,) in rows:
        if list_id not in but:
            status = load_status(store, list_id)
            status.needs_full_scan = True
            save_status(store, list_id, status)


def count_unsettled(store: Store, list_id: str) -> int:
    """How many rows of the audience wait to be judged, or have an update under way."""
    row = store.query(
        "SELECT count(*) FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND mark IN ('live', 'redo') AND due = 0",
        (list_id,),
    ).fetchone()
    return int(row[0]) + count_todo(store, list_id)


def count_todo(store: Store, list_id: str) -> int:
    """How many rows of the audience wait to be judged."""
    row = store.query(
        "SELECT count(*) FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ? AND due > 0",
        (list_id,),
    ).fetchone()
    return int(row[0])


def count_subscribed(store: Store, list_id: str) -> int:
    """Members who get mail now, as far as we know."""
    row = store.query(
        "SELECT count(*) FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?"
        f" AND mailchimp_status IN {SQL_IN}",
        (list_id,),
    ).fetchone()
    return int(row[0])
