"""Forget: erase people from everything that is kept of them here, and at Mailchimp when asked.

First at Mailchimp: when it does not delete somebody nothing is erased here, for what the cache
knows of them is what they are found by when it is tried again. Whoever wants them erased here all
the same leaves Mailchimp out. CiviCRM is never told.
"""

import csv
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from mcsync.cache.audience_status import forget_past_troubles
from mcsync.cache.copies import replace_copies
from mcsync.cache.erase_snapshots import erase_from_snapshot, is_in_snapshots
from mcsync.cache.forgotten import (
    ToHash,
    is_forgotten,
    is_unclean,
    keep_hashes,
    mark_unclean,
    note_forgetting,
)
from mcsync.cache.snapshots import list_snapshots, snapshot_folder
from mcsync.cache.store import Store
from mcsync.cache.times import to_text
from mcsync.cache.traces import (
    AskedFor,
    Traces,
    erase,
    find_open_batch,
    find_owners,
    find_traces,
    is_noted,
)
from mcsync.errors import CacheError, McsyncError, UsageError
from mcsync.model import Member, email_key
from mcsync.pipeline.identity import know_accounts
from mcsync.pipeline.run import Run, Task
from mcsync.text import count_of

log = logging.getLogger("mcsync")


# --- who it is ------------------------------------------------------------------------------------


def find_people(store: Store, wanted: Sequence[AskedFor]) -> list[Traces]:
    """What the cache has of these people, each once, however often somebody is named.

    Who was erased by a command that did not come to its end may be named again.
    Raises: UsageError for nobody, and for an address that is several people's.
    """
    named = {asked.contact_id for asked in wanted if asked.contact_id is not None}
    found: list[Traces] = []
    for asked in wanted:
        owners = set(find_owners(store, asked.email)) if asked.email is not None else set()
        if len(owners) > 1 and owners <= named:
            continue
        if len(owners) > 1:
            raise _several(sorted(owners))
        traces = find_traces(store, asked, named)
        if traces.is_empty and not (_is_known(store, asked) or is_unclean(store)):
            raise nobody(asked)
        same = next((each for each in found if each.meets(traces)), None)
        if same is None:
            found.append(traces)
        else:
            same.join(traces)
    return found


def _is_known(store: Store, asked: AskedFor) -> bool:
    """Whether an address without person stands anywhere, or was forgotten before."""
    if asked.email is None:
        return False
    to_hash = ToHash(emails=frozenset((email_key(asked.email),)))
    return (
        is_forgotten(store, to_hash)
        or is_noted(store, asked.email)
        or is_in_snapshots(store.path, asked.email)
    )


def _several(owners: Sequence[int]) -> UsageError:
    names = ", ".join(f"contact:{contact_id}" for contact_id in owners)
    return UsageError(
        f"{len(owners)} contacts own this address: {names}",
        hint="name those who are to be forgotten by these words; the address goes with the last"
        " of them",
    )


def nobody(asked: AskedFor) -> UsageError:
    """The cache knows of nobody like that."""
    return UsageError(
        f"nobody known as {asked.text}",
        hint="there is nothing to erase: the cache knows everybody who is or was in an audience or"
        " one of its groups",
    )


# --- at Mailchimp ---------------------------------------------------------------------------------


def delete_at_mailchimp(run: Run, people: Sequence[Traces]) -> bool:
    """Delete these people for good in every audience, wherever they are by now.

    False when anybody was not deleted, which the troubles of the run tell: then nothing is to be
    erased here.
    """
    know_accounts(run)
    for task in run.healthy_tasks():
        with run.isolated(task):
            for person in people:
                _delete_person(run, task, person)
    is_done = True
    for report in run.reports.values():
        if report.error is not None:
            is_done = False
            report.error = _with_next_step(report.error)
    return is_done


def _with_next_step(error: McsyncError) -> McsyncError:
    hint = "run it again, or leave out --at-mailchimp to erase them from mcsync alone"
    return type(error)(
        f"{error.message}; nothing was erased from the cache",
        hint=f"{error.hint}; then {hint}" if error.hint else hint,
    )


def _delete_person(run: Run, task: Task, person: Traces) -> None:
    own = [member for member in person.members if member[0] == task.list_id]
    keys = {*person.emails, *(member_id for _, member_id, _ in own if member_id)}
    contacts = {unique_contact for _, _, unique_contact in own if unique_contact}
    answers = {
        **task.mailchimp.fetch_each(task.list_id, sorted(keys)),
        **task.mailchimp.fetch_each_contact(task.list_id, sorted(contacts)),
    }
    if None in answers.values():
        # A list that is not to be seen answers just as one that has no such member.
        task.mailchimp.fetch_audience(task.list_id)
    found = {member.member_id: member for member in answers.values() if member is not None}
    for member_id in _find_strangers(own, found):
        person.emails.discard(email_key(found.pop(member_id).email))
    for member in found.values():
        _take_in(run.store, person, task, member)
        task.mailchimp.delete_permanently(task.list_id, member.member_id)
    person.changed_at = max(person.changed_at, to_text(task.mailchimp.fetch_now()))
    person.living_in.discard(task.list_id)
    if found:
        log.info("%s: %s deleted at Mailchimp", task.name, count_of(len(found), "member"))


def _find_strangers(own: Sequence[tuple[str, str, str]], found: Mapping[str, Member]) -> list[str]:
    """Members who came to an address that the person has left: by their ids at Mailchimp."""
    there = {member.unique_contact for member in found.values()}
    return [
        member_id
        for _, member_id, unique_contact in own
        if unique_contact in there - {""}
        and member_id in found
        and found[member_id].unique_contact not in ("", unique_contact)
    ]


def _take_in(store: Store, person: Traces, task: Task, member: Member) -> None:
    """Where they are now is theirs as well, unless somebody else owns that address."""
    person.members.add((task.list_id, member.member_id, member.unique_contact))
    key = email_key(member.email)
    if not set(find_owners(store, key)) - person.contacts.keys():
        person.emails.add(key)


# --- here -----------------------------------------------------------------------------------------


def forget(
    store: Store,
    people: Sequence[Traces],
    run_id: str,
    now: datetime,
    backups: int,
    *,
    with_mailchimp: bool,
) -> None:
    """Erase people from the cache, its copies and the snapshots beside it; hashes stay.

    By these nobody makes them again. For who holds the lock. Snapshots go first: what is to be
    found there is known from the cache.
    Raises: CacheError, where bytes of what is erased may be left.
    """
    _erase_from_snapshots(store, people)
    with store.atomic():
        for person in people:
            at = max(to_text(now), person.changed_at)
            keep_hashes(store, person.to_hash, at, find_open_batch(store, person.rows))
            erase(store, person)
        forget_past_troubles(store)
        note_forgetting(store, run_id, now, len(people), is_at_mailchimp=with_mailchimp)
        mark_unclean(store, True)
    try:
        store.clean()
        replaced = replace_copies(store, now, backups)
        with store.atomic():
            mark_unclean(store, False)
    except CacheError as error:
        raise CacheError(
            f"they are erased, but files may still have what was deleted: {error.message}",
            hint=f"{error.hint}, then run the same command again",
        ) from error
    if replaced:
        log.info("replaced %s of the cache", count_of(replaced, "copy", "copies"))


def _erase_from_snapshots(store: Store, people: Sequence[Traces]) -> None:
    """Raises: CacheError for one that cannot be written anew; nothing else is erased then."""
    path = store.path
    try:
        for path in list_snapshots(snapshot_folder(store.path)):
            count = erase_from_snapshot(path, people)
            if count:
                log.info("took %s out of %s", count_of(count, "row"), path)
    except (OSError, ValueError, csv.Error) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or "it is not ours"
        raise CacheError(
            f"cannot take anybody out of {path}: {words}; nothing was erased from the cache",
            hint="delete or move that file, and run the same command again",
        ) from error
