"""Explain: why one person is where they are, rule by rule. Only reads the cache.

The same pure rules as in a sync are asked what is right, and what they would do now.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mcsync.answers.advice import SUBSCRIBED, advise
from mcsync.answers.asked import Found, Who, find_who
from mcsync.answers.labels import Labels, load_labels
from mcsync.answers.status import Watched
from mcsync.cache.audience_status import load_status
from mcsync.cache.mirror import only_push_smart_groups
from mcsync.cache.persons import load_persons_of
from mcsync.cache.row_facts import RowFacts, UpdateFacts, load_row_facts, load_updates
from mcsync.cache.store import Store
from mcsync.cache.times import to_text
from mcsync.cache.trail import Asked, Change, find_changes
from mcsync.decision import Decision, Person, Policy, Reason, Undone
from mcsync.model import LONG_AGO, GroupStatus, MemberChange, MemberStatus, Side, show_value
from mcsync.reconcile.agree import Heard, Rule, hear_interest, hear_subscription
from mcsync.reconcile.enforce import decide
from mcsync.reconcile.refused_before import find_refused_data, keep_refused

MOST = 10  # changes and updates shown of one person; `mcsync history` has them all


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that would be written now: at which side, what, and why."""

    side: Side
    what: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Explained:
    """Everything about one person in one audience. `held` tells why their plan is not done.

    The first of `hearings` is about the subscription, the others about interests.
    """

    watched: Watched
    labels: Labels
    found_as: tuple[str, ...]
    person: Person
    rows: tuple[RowFacts, ...]
    hearings: tuple[Heard, ...]
    decision: Decision
    steps: tuple[Step, ...]
    held: str | None
    advice: str
    changes: tuple[Change, ...]
    updates: tuple[UpdateFacts, ...]

    @property
    def undone(self) -> Undone | None:
        """What undo put back last about them, None where it put back nothing."""
        found = self.person.undone.values()
        return max(found, key=lambda each: each.done_at, default=None)

    @property
    def is_settled(self) -> bool:
        """Whether they are subscribed, and nothing is about to change that."""
        return self.advice == SUBSCRIBED


def explain(
    store: Store | None, audiences: Sequence[Watched], who: Who, now: datetime
) -> list[Explained]:
    """Every person who may be meant, in every audience; nobody where none of these knows them."""
    if store is None:
        return []
    answers = [list(_explain_audience(store, watched, who, now)) for watched in audiences]
    # An audience that never had to do with them is told of only when none had.
    concerned = [found for found in answers if any(map(_is_concerned, found))]
    return [explained for found in concerned or answers for explained in found]


def _is_concerned(explained: Explained) -> bool:
    """Whether the audience has a row for the person, or its group ever had them."""
    return bool(explained.rows) or explained.hearings[0].right is not None


def _explain_audience(
    store: Store, watched: Watched, who: Who, now: datetime
) -> Iterator[Explained]:
    meant = find_who(store, watched.list_id, who)
    row_ids = [row_id for each in meant for row_id in each.row_ids]
    contact_ids = [contact_id for each in meant for contact_id in each.contact_ids]
    if not row_ids and not contact_ids:
        return
    status = load_status(store, watched.list_id)
    policy = _adapt_policy(store, watched)
    labels = load_labels(store, [watched.list_id])
    for person in load_persons_of(store, policy, row_ids, now, contact_ids):
        found_as = _find_how(person, meant)
        if not found_as:
            continue
        decision = keep_refused(decide(person, policy), find_refused_data(person))
        ids = [row.row_id for row in person.rows]
        facts = load_row_facts(store, ids)
        yield Explained(
            watched=watched,
            labels=labels,
            found_as=found_as,
            person=person,
            rows=tuple(facts[row_id] for row_id in ids),
            hearings=tuple(_hear(person, policy)),
            decision=decision,
            steps=tuple(_describe_steps(decision, labels)),
            held=status.held_plan.why if status.held_plan else None,
            advice=advise(person, decision, labels.group(policy.group_id)),
            changes=tuple(_load_changes(store, watched, person, facts.values())),
            updates=tuple(load_updates(store, ids, MOST)),
        )


def _adapt_policy(store: Store, watched: Watched) -> Policy:
    """The rules as the next sync has them, as far as the cache can tell.

    Smart groups are push-only, and an override in the config that has not acted yet will.
    """
    spent = load_status(store, watched.list_id).spent_trust
    return replace(
        only_push_smart_groups(store, watched.policy),
        trust={k: s for k, s in watched.trust_override.items() if spent.get(k) != s.value},
    )


def _find_how(person: Person, meant: Iterable[Found]) -> tuple[str, ...]:
    """As what the person was found; empty for somebody who only stands beside them."""
    row_ids = {row.row_id for row in person.rows}
    contact_ids = {person.contact.contact_id} if person.contact else set()
    return tuple(
        each.found_as
        for each in meant
        if row_ids & set(each.row_ids) or contact_ids & set(each.contact_ids)
    )


def _load_changes(
    store: Store, watched: Watched, person: Person, facts: Iterable[RowFacts]
) -> Iterator[Change]:
    asked = Asked(
        list_ids=[watched.list_id],
        row_ids=[row.row_id for row in person.rows],
        contact_ids=[person.contact.contact_id] if person.contact else [],
        emails=[row.email for row in facts if row.email],
        is_of_person=True,
        most=MOST,
    )
    return find_changes(store, asked)


# --- what was said --------------------------------------------------------------------------------


RULES: Mapping[Rule, str] = {
    Rule.NOBODY: "Neither side has ever said anything",
    Rule.ONLY_MAILCHIMP: "Mailchimp decides, because CiviCRM has nothing newer to say",
    Rule.ONLY_CIVICRM: "CiviCRM decides, because Mailchimp has nothing newer to say",
    Rule.SAME: "Both sides agree",
    Rule.MAILCHIMP_LATER: "Mailchimp decides, because it was changed there last",
    Rule.CIVICRM_LATER: "CiviCRM decides, because it was changed there last",
    Rule.TIE: "CiviCRM decides, because both sides changed at the same time",
    Rule.BEFORE: "Nothing has changed since the last decision",
    Rule.TRUST_MAILCHIMP: "Mailchimp decides, because trustOverride says so",
    Rule.TRUST_CIVICRM: "CiviCRM decides, because trustOverride says so",
    Rule.BEFORE_MOVE: "Neither side decides: both are left as they were before mcsync took over",
    Rule.PUSH_ONLY: "CiviCRM always decides about this interest (push-only)",
}


def _hear(person: Person, policy: Policy) -> Iterator[Heard]:
    """What both sides said about the subscription, and about every interest."""
    yield hear_subscription(person, policy)
    for interest_id in policy.interests:
        heard = hear_interest(person, policy, interest_id)
        if heard.right is not None:
            yield heard


# --- what would be done ---------------------------------------------------------------------------


def _describe_steps(decision: Decision, labels: Labels) -> Iterator[Step]:
    """What the decision writes, CiviCRM first as in a sync."""
    new = decision.new_contact
    if new is not None:
        groups = ", ".join(map(labels.group, new.group_ids))
        what = f"create a contact for {new.email} and add it to {groups}"
        yield Step(Side.CIVICRM, what, decision.verdicts[0].reason)
    for write in decision.group_writes:
        group = labels.group(write.group_id)
        verb = _GROUP_VERBS[write.status].format(write.contact_id, group)
        yield Step(Side.CIVICRM, verb, write.reason)
    for email in decision.email_writes:
        verb = f"give contact {email.contact_id} the address {email.email}"
        yield Step(Side.CIVICRM, verb, Reason.ADDRESS)
    for planned in decision.changes:
        verb = text_of_member_change(planned.change, labels)
        yield Step(Side.MAILCHIMP, verb, planned.reason)


_GROUP_VERBS = {
    GroupStatus.ADDED: "add contact {} to {}",
    GroupStatus.REMOVED: "remove contact {} from {}",
    GroupStatus.PENDING: "make contact {} pending in {}",
}
_VERBS = {
    MemberStatus.SUBSCRIBED: "subscribe",
    MemberStatus.PENDING: "send a confirmation mail to",
    MemberStatus.UNSUBSCRIBED: "unsubscribe",
}
_SETS = {True: "add", False: "remove"}


def text_of_member_change(change: MemberChange, labels: Labels) -> str:
    """What an update asks of Mailchimp, in words."""
    if change.is_archiving:
        return f"archive {change.email}"
    told = []
    if change.status is not None:
        told.append(f"{_VERBS.get(change.status, change.status.value)} {change.email}")
    if change.new_email is not None:
        told.append(f"change {change.email} to {change.new_email}")
    told += [f"{_SETS[on]} {labels.interest(key)}" for key, on in change.interests.items()]
    told += [f'set {tag} to "{show_value(value)}"' for tag, value in change.merge_fields.items()]
    told += [f'{_SETS[on]} tag "{tag}"' for tag, on in change.tags.items()]
    return ", ".join(told) or f"change nothing of {change.email}"


def text_of_outcome(update: UpdateFacts) -> tuple[str, str]:
    """What became of an update: a word for it, and a sentence."""
    if not update.is_completed:
        if update.sent_at is None:
            return "queued", "waiting to be sent"
        since = f" since {to_text(update.sent_at)}"
        return "sent", f"sent{since}, result not known yet"
    if update.error is None:
        return "done", "done"
    if update.sent_at is None or update.error in ("aborted", "no result; not done"):
        return "given-up", update.error
    return "refused", f"Mailchimp: {update.error}"


def show_time(at: datetime | None) -> str | None:
    """A time as the cache writes it; None for one that nobody knows."""
    return None if at is None or at == LONG_AGO else to_text(at)
