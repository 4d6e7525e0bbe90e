"""What webhooks told, handled: a payload is a hint to look, and each person is synced at once.

A subscribe, unsubscribe, profile, cleaned or upemail has the member read anew and their person
judged by the rules of every run. Besides, an address that was cleaned is put on hold in CiviCRM,
and names that a person edited are written there, with or without the data step.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mcsync.cache.audience_status import load_status
from mcsync.cache.persons import load_persons_of
from mcsync.cache.row_facts import find_rows, load_known_members
from mcsync.cache.store import Store
from mcsync.cache.times import to_text
from mcsync.cache.trail import has_change, note_changes
from mcsync.cache.webhooks import (
    MOST_ATTEMPTS,
    StoredEvent,
    count_news_of_given_up,
    drop_events,
    give_up_events,
    has_events,
    load_events,
    note_attempts,
)
from mcsync.decision import Decision, NameWrite, Person, Reason
from mcsync.errors import McsyncError
from mcsync.model import IN, Email, EventKind, MemberStatus, WebhookEvent, email_key
from mcsync.name_tags import NAME_TAGS
from mcsync.pipeline.batches import settle_direct, take_in_batch
from mcsync.pipeline.carry_out import civicrm_change, write_names
from mcsync.pipeline.direct import find_able, settle, take_in_members
from mcsync.pipeline.fetch import link
from mcsync.pipeline.fetch_civicrm import look_up_owners, read_site, take_contacts, take_in_news
from mcsync.pipeline.first_snapshot import keep_first_snapshot
from mcsync.pipeline.identity import know_accounts
from mcsync.pipeline.reconcile import merge_fields_of
from mcsync.pipeline.run import OutOfTime, Run, Task
from mcsync.reconcile.enforce import decide
from mcsync.reconcile.guards import may_be_done_alone
from mcsync.reconcile.names import add_names
from mcsync.text import count_of

log = logging.getLogger("mcsync.webhooks")

_TRIED_FOR = timedelta(days=7)  # for Mailchimp's own retries 75 minutes would do
_HELD_BEFORE = timedelta(minutes=10)  # how far our clock may be behind Mailchimp's
_LEAVING = (EventKind.UNSUBSCRIBE, EventKind.CLEANED)
_AT_ONCE = 10_000  # events handled together by a sync, which reads members by pages

Events = Sequence[WebhookEvent]


def handle_webhooks(run: Run, limit: int = 200) -> int:
    """Handle the oldest events of the queue, at most `limit`; returns how many were handled.

    Audiences of which something was never fetched or mirrored, and those in trouble, keep theirs;
    all do while CiviCRM's groups changed in a way that only a sync can find out.
    """
    _warn_of_given_up(run)
    if not has_events(run.store):
        return 0
    know_accounts(run)
    settle_direct(run)
    is_up_to_date = take_in_news(run, read_site(run))
    able = find_able(run) if is_up_to_date else []
    stored = load_events(run.store, [task.list_id for task in able], limit)
    with _trying(run, stored):
        _handle_batches(run, stored)
        for task, events in _take_in_all(run, stored, able):
            with run.isolated(task):
                _hold_cleaned(run, task, events)
                settle(run, task, _addresses(events), may_do=_is_free(task))
                _take_names(run, task, events)
    return _finish(run, stored)


def handle_leftovers(run: Run) -> None:
    """What is left of the queue, in a run that has just fetched: everybody is judged by it."""
    _give_up(run)
    able = find_able(run) if has_events(run.store) else []
    while stored := load_events(run.store, [task.list_id for task in able], _AT_ONCE):
        with _trying(run, stored):
            for task, events in _take_in_all(run, stored, able, is_fetched=True):
                with run.isolated(task):
                    _hold_cleaned(run, task, events)
                    _take_names(run, task, events)
        _finish(run, stored)
        able = find_able(run)


# --- the queue ------------------------------------------------------------------------------------


@contextmanager
def _trying(run: Run, stored: Sequence[StoredEvent]) -> Iterator[None]:
    """Count an attempt, unless it ends by what is not the events' fault.

    Theirs may be what we did not foresee, or what kills us. Which one it was is found out by
    trying them one by one from then on.
    """
    run.trying = [found.event_id for found in stored]
    note_attempts(run.store, run.trying, 1)
    try:
        yield
    except BaseException as error:
        if isinstance(error, McsyncError | OutOfTime) or not isinstance(error, Exception):
            note_attempts(run.store, run.trying, -1)  # a signal is no Exception
        run.trying = []
        _warn_of_given_up(run)
        raise
    run.trying = []


def take_back_attempts(store: Store, event_ids: Sequence[int]) -> None:
    """Somebody stopped us in the midst of these events: that says nothing about them."""
    note_attempts(store, event_ids, -1)


def _give_up(run: Run) -> None:
    """What nobody could handle for a week is given up, and tells so.

    People were looked at by every sync meanwhile: what is lost is at most a hold or a name.
    """
    give_up_events(run.store, run.earliest_now() - _TRIED_FOR)
    _warn_of_given_up(run)


def _warn_of_given_up(run: Run) -> None:
    """Warn of events that were given up, once."""
    news = count_news_of_given_up(run.store)
    if news:
        run.webhooks_given_up += news
        log.warning(
            '%s given up after %d attempts or a week; "mcsync webhook --retry" tries again',
            "a webhook is" if news == 1 else f"{news:,} webhooks are",
            MOST_ATTEMPTS,
        )


def _finish(run: Run, stored: Sequence[StoredEvent]) -> int:
    """Drop what was handled; what an audience could not handle stays as it was."""
    able = {task.list_id for task in run.healthy_tasks()}
    done = [s.event_id for s in stored if s.event.list_id in able or not s.event.list_id]
    left = [s.event_id for s in stored if s.event_id not in set(done)]
    note_attempts(run.store, left, -1)
    drop_events(run.store, done)
    if done:
        log.info("%s handled", count_of(len(done), "webhook"))
    return len(done)


def _handle_batches(run: Run, stored: Sequence[StoredEvent]) -> None:
    """Take in batches that have finished; those that are not ours are nothing to us."""
    batch_ids = {s.event.batch_id for s in stored if s.event.kind is EventKind.BATCH_COMPLETED}
    for task in run.healthy_tasks():
        with run.isolated(task):
            for batch_id in sorted(batch_ids):
                take_in_batch(run, task, batch_id)


# --- looking --------------------------------------------------------------------------------------


def _addresses(events: Events) -> list[str]:
    """Every address that was told of, each once, however it was spelled."""
    told = [address for event in events for address in (event.email, event.old_email) if address]
    return list({email_key(address): address for address in told}.values())


def _take_in_all(
    run: Run, stored: Sequence[StoredEvent], able: Sequence[Task], *, is_fetched: bool = False
) -> list[tuple[Task, Events]]:
    """Read the members anew; the events of each audience that has any, and no trouble by that."""
    found: list[tuple[Task, Events]] = []
    for task in able:
        events = [s.event for s in stored if s.event.list_id == task.list_id]
        if events and run.report(task).error is None:
            found.append((task, events))
            with run.isolated(task):
                _take_in(run, task, events, is_fetched=is_fetched)
    if found:
        able = find_able(run)
        link(run, {task.list_id: load_status(run.store, task.list_id) for task in able})
    return [(task, events) for task, events in found if run.report(task).error is None]


def _take_in(run: Run, task: Task, events: Events, *, is_fetched: bool) -> None:
    """Read the members anew; with `is_fetched` only those that the fetch cannot have shown."""
    addresses = _addresses(events)
    if is_fetched:
        shown = _find_shown(run, task, events, addresses)
        addresses = [address for address in addresses if email_key(address) not in shown]
    moves = [(e.old_email, e.email) for e in events if e.kind is EventKind.UPEMAIL]
    take_in_members(run, task, addresses, moves)
    look_up_owners(run, task)


def _find_shown(run: Run, task: Task, events: Events, addresses: Sequence[str]) -> set[str]:
    """Addresses whose members the fetch has shown as they were after their last event.

    Somebody of whom it is told that they left may have been deleted, which no fetch of changes
    shows: they are shown only if they are out.
    """
    members = load_known_members(run.store, task.list_id, addresses)
    leaving = {email_key(event.email) for event in events if event.kind in _LEAVING}
    latest = _find_latest(events)
    return {
        key
        for key, member in members.items()
        if member.updated >= latest[key] and not (key in leaving and member.status in IN)
    }


def _find_latest(events: Events) -> dict[str, str]:
    """When the last event about each address was fired."""
    latest: dict[str, str] = {}
    for event in events:
        # Later than any time where it does not say.
        at = to_text(_fired_at(event) or datetime.max.replace(tzinfo=UTC))
        for key in (email_key(event.email), email_key(event.old_email)):
            latest[key] = max(at, latest.get(key, ""))
    return latest


def _fired_at(event: WebhookEvent) -> datetime | None:
    """When an event was fired, which is told in UTC (mailchimp: Webhooks); None if it is not."""
    try:
        return datetime.strptime(event.fired_at, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_free(task: Task) -> Callable[[Decision], bool]:
    """Whether a decision needs no guard. One by one nobody would ever be too many: what a guard
    counts is left to the next sync, which looks at all of it together.
    """
    return lambda decision: may_be_done_alone(decision, task.safety)


def _load_persons(run: Run, task: Task, events: Events) -> list[Person]:
    row_ids = find_rows(run.store, task.list_id, _addresses(events))
    return load_persons_of(run.store, task.policy, row_ids, run.clock())


# --- cleaned --------------------------------------------------------------------------------------


def _hold_cleaned(run: Run, task: Task, events: Events) -> None:
    """Put addresses that Mailchimp cleaned on hold, on every contact that owns them.

    After a complaint (reason `abuse`) only on the contacts of this person: whoever shares the
    address did not complain. Each delivery counts once: staff may lift a hold again.
    """
    told = {email_key(e.email): e for e in events if e.kind is EventKind.CLEANED}
    members = load_known_members(run.store, task.list_id, told)
    cleaned = [told[key] for key, m in members.items() if m.status == MemberStatus.CLEANED]
    wanted: dict[int, Email] = {}
    for event in cleaned:
        own = _find_own_contacts(run, task, event) if event.reason == "abuse" else None
        for emails in run.civicrm.fetch_owners([event.email]):
            wanted |= {e.email_id: e for e in emails if own is None or e.contact_id in own}
    due = {
        email_id: email
        for email_id, email in wanted.items()
        if not email.on_hold and not _was_held(run, email, told[email_key(email.email)])
    }
    if due:
        _hold(run, task, due)


def _find_own_contacts(run: Run, task: Task, event: WebhookEvent) -> set[int]:
    persons = _load_persons(run, task, [event])
    return {person.contact.contact_id for person in persons if person.contact is not None}


def _was_held(run: Run, email: Email, event: WebhookEvent) -> bool:
    """Whether we did what this delivery asks for; at whatever time, if it tells none."""
    fired_at = _fired_at(event)
    since = to_text(fired_at - _HELD_BEFORE) if fired_at else ""
    return has_change(run.store, email.contact_id, "on_hold", email.email, since)


def _hold(run: Run, task: Task, emails: Mapping[int, Email]) -> None:
    keep_first_snapshot(run, task)
    for result in run.civicrm.hold_emails(sorted(emails)):
        changes = [
            civicrm_change(
                task,
                "on_hold",
                "yes",
                Reason.MAILCHIMP_CLEANED,
                emails[email_id].contact_id,
                before="no",
                email=emails[email_id].email,
            )
            for email_id in result.done
        ]
        with run.store.atomic():
            note_changes(run.store, changes, run.run_id, run.clock())
        for email_id, words in result.failed.items():
            contact_id = emails[email_id].contact_id
            log.warning(
                "%s: the address of contact %d could not be put on hold: %s",
                task.name,
                contact_id,
                words,
            )
    take_contacts(run, sorted({email.contact_id for email in emails.values()}))


# --- names ----------------------------------------------------------------------------------------


def _take_names(run: Run, task: Task, events: Events) -> None:
    """Write into CiviCRM what people called themselves: the later word, as in the data step.

    An edited profile may change a name, a sign-up only give one where there is none.
    """
    told = [e for e in events if e.kind in (EventKind.PROFILE, EventKind.SUBSCRIBE)]
    persons = _load_persons(run, task, told) if told else []
    if not persons:
        return
    tags = {field.tag for field in merge_fields_of(run, task)}
    policy = replace(task.policy, name_tags=NAME_TAGS & tags)
    edited = {email_key(e.email) for e in told if e.kind is EventKind.PROFILE}
    writes: list[NameWrite] = []
    for person in persons:
        may_change = any(email_key(member.email) in edited for member in person.members)
        if may_change or _has_no_name(person):
            writes += add_names(decide(person, task.policy), person, policy).name_writes
    write_names(run, task, writes)


def _has_no_name(person: Person) -> bool:
    contact = person.contact
    return contact is not None and not (contact.contact.first_name or contact.contact.last_name)
