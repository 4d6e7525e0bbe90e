"""The report: how each audience stands, for people who look rather than read. Only the data.

Every contact of a group stands in one place, so the numbers add up. From the cache alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from mcsync.answers.status import (
    ReasonCount,
    Standing,
    Watched,
    load_standings,
    text_of_reason,
)
from mcsync.cache.audience_status import HELD
from mcsync.cache.bounds import make_rulebook
from mcsync.cache.report_counts import (
    Barred,
    StandCount,
    Stands,
    count_days,
    count_left,
    count_webhooks_by_list,
    load_barred,
)
from mcsync.cache.store import Store
from mcsync.cache.times import from_text_or_none, to_text
from mcsync.model import MemberStatus, Side
from mcsync.reconcile.guards import Kind, find_base
from mcsync.text import count_of, show_length

DAYS = 30
MOST_PEOPLE = (
    1000  # of one reason; a page with more is not read, and `status --reason` has them all
)
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a human: what it is, and the commands that go on from there.

    Where no command is known to help, there is none; the words say what to do then.
    """

    what: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InGroup:
    """The contacts that are Added to the group; all numbers but the first add up to it.

    `subscribed` holds those who share a subscribed address; `asked` have not confirmed yet;
    `waiting` are for a sync, or under way; `other` are left as they are on purpose.
    """

    total: int = 0
    subscribed: int = 0
    asked: int = 0
    waiting: int = 0
    cannot_be_mailed: int = 0
    failed: int = 0
    other: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """How many people mcsync added and removed at each side on one day (UTC)."""

    day: date
    added: Mapping[Side, int]
    removed: Mapping[Side, int]

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        found: dict[str, object] = {"day": self.day.isoformat()}
        for side in Side:
            found[f"added_{side}"] = self.added.get(side, 0)
            found[f"removed_{side}"] = self.removed.get(side, 0)
        return found


@dataclass(frozen=True, slots=True)
class GuardRoom:
    """How much of one kind a sync may change before it is held.

    `most` people `of` those there are, None for any number; `held` are held now.
    """

    kind: Kind
    limit: str
    most: int | None
    of: int
    held: int


@dataclass(frozen=True, slots=True)
class AudienceReport:
    """One audience. `webhooks` are those that wait, and those given up.

    `reasons` tell why contacts of the group cannot be mailed, or failed; `barred` who they are,
    where that was asked.
    """

    standing: Standing
    needs: tuple[Need, ...] = ()
    in_group: InGroup = field(default_factory=InGroup)
    reasons: tuple[ReasonCount, ...] = ()
    barred: tuple[Barred, ...] = ()
    days: tuple[Day, ...] = ()
    guards: tuple[GuardRoom, ...] = ()
    webhooks: tuple[int, int] = (0, 0)

    @property
    def since(self) -> str | None:
        """Since when it fails, or is held; else the last complete sync, or fetch before any."""
        status = self.standing.status
        if self.standing.state == "failing":
            return min(each.since for each in status.troubles if each.stops)
        if status.held_plan is not None:
            return status.held_plan.since
        return status.synced_at or status.fetched_at

    @property
    def members(self) -> dict[str, int]:
        """The members at Mailchimp by their status, of all statuses that there are."""
        return {status.value: self.standing.members.get(status, 0) for status in MemberStatus}

    def as_dict(self) -> dict[str, object]:
        """For `--json`; what `status` tells, too, has the same name."""
        told = self.standing.as_dict()
        same = ("list_id", "name", "group_id", "state", "fetched_at", "synced_at", "synced_age_s")
        return {
            **{name: told[name] for name in same},
            "since": self.since,
            "needs": [asdict(need) for need in self.needs],
            "in_group": asdict(self.in_group),
            "in_group_reasons": [asdict(each) for each in self.reasons],
            "members": self.members,
            "changes": [day.as_dict() for day in self.days],
            **{name: told[name] for name in ("batches", "held_plan", "troubles", "failed_reasons")},
            "guards": [asdict(guard) for guard in self.guards],
            "webhooks_waiting": self.webhooks[0],
            "webhooks_given_up": self.webhooks[1],
        }

    def describe_people(self) -> dict[str, object]:
        """For `--json` with `--people`."""
        return {"people": [asdict(each) for each in self.barred]}


@dataclass(frozen=True, slots=True)
class LeftAudience:
    """An audience of the cache that is no longer in the config; `rows` are the people in it."""

    list_id: str
    rows: int
    synced_at: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `webhooks` are those of no audience in the report: batches', and others'."""

    made_at: datetime
    has_cache: bool
    is_at_work: bool
    has_people: bool
    audiences: tuple[AudienceReport, ...]
    left: tuple[LeftAudience, ...] = ()
    webhooks: tuple[int, int] = (0, 0)

    @property
    def webhooks_waiting(self) -> int:
        """Of all audiences."""
        return self.webhooks[0] + sum(each.webhooks[0] for each in self.audiences)

    @property
    def webhooks_given_up(self) -> int:
        """Of all audiences."""
        return self.webhooks[1] + sum(each.webhooks[1] for each in self.audiences)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What waits for a human, and is no audience's own."""
        found = []
        if not self.has_cache:
            found.append(Need("Nothing has been fetched yet.", ("mcsync fetch",)))
        if self.webhooks_given_up:
            were = count_of(self.webhooks_given_up, "webhook was", "webhooks were")
            retry = "mcsync webhook --retry"
            found.append(Need(f"{were} tried too often and given up.", (retry,)))
        return tuple(found)

    def as_dict(self) -> dict[str, object]:
        """For `--json`, without the audiences."""
        return {
            "made_at": to_text(self.made_at),
            "has_cache": self.has_cache,
            "is_at_work": self.is_at_work,
            "needs": [asdict(need) for need in self.needs],
            "no_longer_in_config": [asdict(each) for each in self.left],
            "webhooks_waiting": self.webhooks_waiting,
            "webhooks_given_up": self.webhooks_given_up,
        }


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked of a report. `known`: the ids of all audiences of the config.

    `is_at_work`: a run is; `days` is how many it tells of; `with_people` has it name people.
    """

    now: datetime
    known: Sequence[str]
    is_at_work: bool = False
    days: int = DAYS
    with_people: bool = False


def load_report(store: Store | None, audiences: Sequence[Watched], asking: Asking) -> Report:
    """The report; `store` is None when there is no cache yet.

    Audiences that are no longer in the config are told where all of the config are asked for.
    """
    webhooks = count_webhooks_by_list(store) if store is not None else {}
    days = _load_days(store, audiences, asking) if store is not None else {}
    found = tuple(
        _load_audience(store, each, asking, days, webhooks)
        for each in load_standings(store, audiences, asking.now, with_stands=True)
    )
    is_whole = len(audiences) == len(asking.known)
    shown = {each.list_id for each in audiences}
    others = [n for list_id, n in webhooks.items() if is_whole and list_id not in shown]
    left = count_left(store, asking.known) if store is not None and is_whole else []
    return Report(
        made_at=asking.now,
        has_cache=store is not None,
        is_at_work=asking.is_at_work,
        has_people=asking.with_people,
        audiences=found,
        left=tuple(LeftAudience(*each) for each in left),
        webhooks=(sum(n for n, _ in others), sum(n for _, n in others)),
    )


def _load_days(
    store: Store, audiences: Iterable[Watched], asking: Asking
) -> dict[str, tuple[Day, ...]]:
    """By audience every day that is asked for, those without changes, too."""
    list_ids = [each.list_id for each in audiences]
    since = asking.now.date() - timedelta(days=asking.days - 1)
    begin = datetime.combine(since, time.min, UTC)
    found = {
        (each.list_id, each.day, each.side, each.is_added): each.count
        for each in count_days(store, list_ids, begin)
    }
    days = [since + timedelta(days=number) for number in range(asking.days)]
    return {
        list_id: tuple(
            Day(
                day,
                {side: found.get((list_id, day, side, True), 0) for side in Side},
                {side: found.get((list_id, day, side, False), 0) for side in Side},
            )
            for day in days
        )
        for list_id in list_ids
    }


def _load_audience(
    store: Store | None,
    standing: Standing,
    asking: Asking,
    days: Mapping[str, tuple[Day, ...]],
    webhooks: Mapping[str, tuple[int, int]],
) -> AudienceReport:
    watched = standing.watched
    if store is None:
        return AudienceReport(standing, guards=tuple(_measure_guards(standing)))
    list_id, group_id = watched.list_id, watched.policy.group_id
    barred = load_barred(store, list_id, group_id, MOST_PEOPLE) if asking.with_people else ()
    return AudienceReport(
        standing=standing,
        needs=tuple(find_needs(standing, asking)),
        in_group=InGroup(standing.in_group, **standing.split),
        reasons=tuple(_sum_reasons(standing.stands)),
        barred=tuple(barred),
        days=days[list_id],
        guards=tuple(_measure_guards(standing)),
        webhooks=webhooks.get(list_id, (0, 0)),
    )


# --- what needs a human ---------------------------------------------------------------------------


def find_needs(standing: Standing, asking: Asking) -> Iterator[Need]:
    """What waits for a human in an audience, the most urgent first."""
    this = f"--list {standing.watched.list_id}"
    for trouble in standing.status.troubles:
        if trouble.key != HELD:
            message = trouble.message.removeprefix(f"{standing.watched.name}: ")
            hint = f" {capital(trouble.hint)}." if trouble.hint else ""
            yield Need(f"{capital(message)}, since {show_minute(trouble.since)}.{hint}")
    held = standing.status.held_plan
    if held is not None:
        yield Need(
            f"Changes are held since {show_minute(held.since)}: {held.why}."
            " Look at the plan; if it is right, force it once.",
            (f"mcsync sync {this} --dry-run", f"mcsync sync {this} --force"),
        )
    yield from _find_delays(standing, asking, this)
    for each in standing.failed:
        people = count_of(each.count, "person", "people")
        show = f" --reason {each.reason}" if each.sentence else ""
        yield Need(
            f"{people} not in sync: {each.sentence or each.reason}.",
            (f"mcsync status {this}{show}",),
        )


def _find_delays(standing: Standing, asking: Asking, this: str) -> Iterator[Need]:
    """What has not come to its end, or not for long."""
    status = standing.status
    is_cut = status.fetch_no > 0 and not status.is_fetched and not asking.is_at_work
    if is_cut and standing.state != "failing":  # else it has been said why
        yield Need(
            "The last fetch did not finish; nothing is changed until one does.",
            (f"mcsync sync {this} -v",),
        )
    if standing.age_s is None and status.fetched_at is not None:
        yield Need("There was no complete sync yet.", (f"mcsync sync {this} --dry-run",))
    elif not status.held_plan and (standing.age_s or 0) > _A_DAY.total_seconds():
        length = show_length(standing.age_s or 0)
        yield Need(f"The last complete sync was {length} ago.", (f"mcsync sync {this} -v",))
    since = standing.waiting_since
    if since is not None and asking.now - since > _A_DAY:
        operations = count_of(standing.operations_waiting, "operation")
        length = show_length((asking.now - since).total_seconds())
        yield Need(
            f"Mailchimp has not carried out {operations} for {length}.",
            (f"mcsync process-batches {this} -v",),
        )


def capital(text: str) -> str:
    """A text that begins a sentence or a line."""
    return text[:1].upper() + text[1:]


def show_minute(at: str | datetime | None) -> str:
    """A time as people read it, in UTC: "2026-11-26 15:04 UTC"; "never" for none."""
    found = from_text_or_none(at) if isinstance(at, str) else at
    return "never" if found is None else found.strftime("%Y-%m-%d %H:%M UTC")


# --- numbers --------------------------------------------------------------------------------------


def _sum_reasons(stands: Iterable[StandCount]) -> Iterator[ReasonCount]:
    """Why people are barred, the most frequent first."""
    barred = [each for each in stands if each.stands is Stands.BARRED]
    for each in sorted(barred, key=lambda each: (-each.count, each.reason or "")):
        code = each.reason or "unknown"
        yield ReasonCount(code, each.count, text_of_reason(code))


def _measure_guards(standing: Standing) -> Iterator[GuardRoom]:
    """The kinds that have a limit, or are held."""
    status = standing.status
    rulebook = make_rulebook(status, standing.watched.safety)
    sizes = status.held_plan.sizes if status.held_plan is not None else {}
    for kind in Kind:
        limit, held = rulebook.limit(kind), sizes.get(kind.value, 0)
        of = find_base(kind, standing.subscribed + standing.pending, standing.in_group)
        if kind is Kind.UNSEEN:
            if held:
                yield GuardRoom(kind, "none", 0, of, held)
        elif limit.number is not None or held:
            yield GuardRoom(kind, str(limit), limit.most(of), of, held)
