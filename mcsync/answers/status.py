"""Standing: how far each audience is in sync, and what stands in the way. Only reads the cache."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches

from mcsync.cache.audience_status import AudienceStatus, load_status
from mcsync.cache.counts import (
    RowCount,
    Someone,
    WaitingBatch,
    Work,
    count_added,
    count_rows,
    count_work,
    load_people_with_reason,
    load_waiting_batches,
    sum_counts,
)
from mcsync.cache.outbox import count_queued
from mcsync.cache.report_counts import StandCount, Stands, count_placed_rows, count_stands
from mcsync.cache.store import Store
from mcsync.cache.times import from_text, to_text_or_none
from mcsync.decision import REASONS, Policy, Reason, SyncStatus
from mcsync.errors import StaleSync, UsageError
from mcsync.model import MemberStatus, Side
from mcsync.safety import USUAL_SAFETY, Safety
from mcsync.text import show_length

# Somebody wants them in and a rule, or Mailchimp, says no: only a human can change that.
CANNOT_SUBSCRIBE = frozenset(
    {
        *(Reason.DECEASED, Reason.OPT_OUT, Reason.DO_NOT_EMAIL, Reason.NO_EMAIL),
        *(Reason.COMPLIANCE, Reason.FORGOTTEN, Reason.CLEANED),
    }
)
IN_GROUP: Mapping[str, str] = {  # how somebody in the group may stand, in words
    "subscribed": "subscribed",
    "asked": "asked to confirm",
    "cannot_be_mailed": "cannot be mailed",
    "failed": "failed",
    "waiting": "waiting",
    "other": "not subscribed for other reasons",
}
_UNSETTLED = (SyncStatus.TODO, SyncStatus.LIVE, SyncStatus.REDO)
# Nothing is wrong; the two sides differ on purpose.
LEFT_ALONE = frozenset(
    {
        *(Reason.OTHER_ADDRESS, Reason.SIGNED_UP_AFTER_GATE, Reason.CONTACT_DELETED),
        Reason.BEFORE_MOVE,
        Reason.UNDONE,
    }
)


@dataclass(frozen=True, slots=True)
class Watched:
    """One audience to be looked at, as the config has it. Nothing here can reach a network."""

    policy: Policy
    name: str
    trust_override: Mapping[str, Side] = field(default_factory=dict)
    safety: Safety = USUAL_SAFETY

    @property
    def list_id(self) -> str:
        """The audience's id at Mailchimp."""
        return self.policy.list_id


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many people stand as they do for one reason."""

    reason: str
    count: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How one audience stands. `age_s` is that of the last complete sync, in seconds.

    `unsettled` are the rows that are to be judged, or whose update is under way; `members` are
    those at Mailchimp, by their status. `stands` tells of the group's contacts where it was asked.
    """

    watched: Watched
    status: AudienceStatus = field(default_factory=AudienceStatus)
    age_s: float | None = None
    subscribed: int = 0
    pending: int = 0
    members: Mapping[str, int] = field(default_factory=dict)
    in_group: int = 0
    to_judge: int = 0
    to_confirm: int = 0
    queued: int = 0
    work: Work = field(default_factory=Work)
    batches: tuple[WaitingBatch, ...] = ()
    cannot_subscribe: tuple[ReasonCount, ...] = ()
    failed: tuple[ReasonCount, ...] = ()
    left_alone: tuple[ReasonCount, ...] = ()
    unsettled: int = 0
    stands: tuple[StandCount, ...] = ()

    @property
    def split(self) -> dict[str, int]:
        """The contacts of the group by how they stand, as IN_GROUP has it; none is 0."""
        sums = dict.fromkeys(IN_GROUP, 0)
        for each in self.stands:
            sums[name_stand(each)] += each.count
        return {name: count for name, count in sums.items() if count}

    @property
    def state(self) -> str:
        """In one word."""
        if any(each.stops for each in self.status.troubles):
            return "failing"
        if self.status.held_plan:
            return "held"
        if self.status.fetched_at is None and self.status.synced_at is None:
            return "never fetched"
        if self.status.synced_at is None:
            return "never synced"
        return "not in sync" if self.unsettled or self.queued else "in sync"

    @property
    def is_in_trouble(self) -> bool:
        """Whether something is held, or a fetch did not finish; a run at work may be at it."""
        is_cut = self.status.fetch_no > 0 and not self.status.is_fetched
        return self.status.held_plan is not None or is_cut

    @property
    def operations_waiting(self) -> int:
        """How many operations the waiting batches hold."""
        return sum(batch.total_operations for batch in self.batches)

    @property
    def waiting_since(self) -> datetime | None:
        """When the oldest waiting batch was sent."""
        return min((batch.submitted_at for batch in self.batches), default=None)

    @property
    def spent_trust(self) -> dict[str, str]:
        """What of the override in the config has acted already."""
        spent = self.status.spent_trust
        override = self.watched.trust_override
        return {key: s.value for key, s in override.items() if spent.get(key) == s.value}

    @property
    def pending_trust(self) -> dict[str, str]:
        """What of the override in the config acts in the next sync."""
        spent = self.spent_trust
        return {k: s.value for k, s in self.watched.trust_override.items() if k not in spent}

    def _describe_held(self) -> dict[str, object] | None:
        held = self.status.held_plan
        return {"why": held.why, "since": held.since, "sizes": held.sizes} if held else None

    def as_dict(self) -> dict[str, object]:
        """For `--json`; names that the stages use, too, mean the same here."""
        since = self.waiting_since
        return {
            "list_id": self.watched.list_id,
            "name": self.watched.name,
            "group_id": self.watched.policy.group_id,
            "state": self.state,
            "in_sync": self.state == "in sync",
            "is_fetched": self.status.is_fetched,
            "fetched_at": self.status.fetched_at,
            "synced_at": self.status.synced_at,
            "synced_age_s": None if self.age_s is None else int(self.age_s),
            "subscribed_at_mailchimp": self.subscribed,
            "pending_at_mailchimp": self.pending,
            "added_in_civicrm": self.in_group,
            "todo": self.to_judge,
            "unsettled": self.unsettled,
            **{name: getattr(self.work, name) for name in Work.__dataclass_fields__},
            "to_confirm": self.to_confirm,
            "updates_queued": self.queued,
            "batches_waiting": len(self.batches),
            "operations_waiting": self.operations_waiting,
            "batches_waiting_since": to_text_or_none(since),
            "batches": [batch.as_dict() for batch in self.batches],
            "cannot_subscribe": sum(each.count for each in self.cannot_subscribe),
            "cannot_subscribe_reasons": _describe(self.cannot_subscribe),
            "failed": sum(each.count for each in self.failed),
            "failed_reasons": _describe(self.failed),
            "left_alone": sum(each.count for each in self.left_alone),
            "left_alone_reasons": _describe(self.left_alone),
            "held_plan": self._describe_held(),
            "troubles": [each.as_dict() for each in self.status.troubles],
            "trust_pending": self.pending_trust,
            "trust_spent": self.spent_trust,
        }


def _describe(counts: Iterable[ReasonCount]) -> list[dict[str, object]]:
    return [
        {"reason": each.reason, "count": each.count, "sentence": each.sentence} for each in counts
    ]


def load_standings(
    store: Store | None,
    audiences: Sequence[Watched],
    now: datetime,
    *,
    with_stands: bool = False,
) -> list[Standing]:
    """How the audiences stand; `store` is None when there is no cache yet.

    `with_stands`: also how everybody in their groups does, which takes twice as long.
    """
    if store is None:
        return [Standing(watched) for watched in audiences]
    groups = {each.list_id: each.policy.group_id for each in audiences}
    counts = count_placed_rows(store, groups) if with_stands else count_rows(store, list(groups))
    standings = [_load_standing(store, each, counts[each.list_id], now) for each in audiences]
    if not with_stands:
        return standings
    return [replace(each, stands=_load_stands(store, each, counts)) for each in standings]


def _load_stands(
    store: Store, standing: Standing, counts: Mapping[str, Sequence[RowCount]]
) -> tuple[StandCount, ...]:
    list_id, group_id = standing.watched.list_id, standing.watched.policy.group_id
    return tuple(count_stands(store, list_id, group_id, standing.in_group, counts[list_id]))


def _load_standing(
    store: Store, watched: Watched, counts: Sequence[RowCount], now: datetime
) -> Standing:
    list_id, group_id = watched.list_id, watched.policy.group_id
    status = load_status(store, list_id)
    by_status = sum_counts(counts)
    unsettled = sum(by_status.get(status, 0) for status in _UNSETTLED)
    failing = [each for each in counts if each.sync_status == SyncStatus.FAIL]
    members = _count_members(counts)
    return Standing(
        watched=watched,
        status=status,
        age_s=_age_s(status.synced_at, now),
        subscribed=members.get(MemberStatus.SUBSCRIBED, 0),
        pending=members.get(MemberStatus.PENDING, 0),
        members=members,
        in_group=count_added(store, group_id),
        to_judge=by_status.get(SyncStatus.TODO, 0),
        to_confirm=by_status.get(SyncStatus.REDO, 0),
        queued=count_queued(store, list_id),
        work=count_work(store, list_id, group_id),
        batches=load_waiting_batches(store, list_id),
        cannot_subscribe=_sum_reasons(c for c in failing if c.reason in CANNOT_SUBSCRIBE),
        failed=_sum_reasons(c for c in failing if c.reason not in CANNOT_SUBSCRIBE | LEFT_ALONE),
        left_alone=_sum_reasons(c for c in counts if _is_left_alone(c)),
        unsettled=unsettled,
    )


def name_stand(each: StandCount) -> str:
    """What somebody who stands so is called in IN_GROUP."""
    if each.stands is not Stands.BARRED:
        return each.stands.value
    if each.reason in CANNOT_SUBSCRIBE:
        return "cannot_be_mailed"
    return "other" if each.reason in LEFT_ALONE else "failed"


def _age_s(at: str | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - from_text(at)).total_seconds())


def _count_members(counts: Iterable[RowCount]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        if each.member_status is not None:
            found[each.member_status] = found.get(each.member_status, 0) + each.count
    return found


def _is_left_alone(each: RowCount) -> bool:
    return each.reason in LEFT_ALONE and each.sync_status in (SyncStatus.OK, SyncStatus.FAIL)


def _sum_reasons(counts: Iterable[RowCount]) -> tuple[ReasonCount, ...]:
    """By reason, the most frequent first."""
    sums: dict[str, int] = {}
    for each in counts:
        code = each.reason or "unknown"
        sums[code] = sums.get(code, 0) + each.count
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ReasonCount(code, count, text_of_reason(code)) for code, count in ordered)


def text_of_reason(code: str | None) -> str:
    """The sentence of a reason, as the cache keeps it; "" for none."""
    return REASONS[Reason(code)] if code in list(Reason) else ""


# --- who, and how old -----------------------------------------------------------------------------


def check_reason(code: str) -> Reason:
    """The reason of this code. Raises: UsageError for one that there is not."""
    wanted = code.strip().lower()
    if wanted in list(Reason):
        return Reason(wanted)
    codes = [reason.value for reason in Reason]
    close = get_close_matches(wanted, codes, 1)
    hint = f"did you mean {close[0]}?" if close else "choose from: " + ", ".join(codes)
    raise UsageError(f'--reason: there is no reason "{code}"', hint=hint)


def find_people(
    store: Store | None, audiences: Sequence[Watched], reason: Reason
) -> Iterator[tuple[Watched, Someone]]:
    """Who stands as they do for this reason."""
    if store is None:
        return
    for watched in audiences:
        for someone in load_people_with_reason(store, watched.list_id, reason.value):
            yield watched, someone


def check_age(standings: Sequence[Standing], max_age_s: float) -> None:
    """Raises: StaleSync naming the audiences whose last complete sync is longer ago."""
    stale = [s for s in standings if s.age_s is None or s.age_s > max_age_s]
    if not stale:
        return
    told = "; ".join(f"{s.watched.name}: {_text_of_age(s.age_s)}" for s in stale)
    raise StaleSync(
        f"{told} (allowed: {show_length(max_age_s)})",
        hint='"mcsync status" shows what is known to be wrong; if that is nothing, see whether cron'
        ' runs, and what "mcsync sync -v" says',
    )


def _text_of_age(age_s: float | None) -> str:
    return "never synced" if age_s is None else f"last complete sync {show_length(age_s)} ago"
