"""How `mcsync status` looks: a table of the audiences, then what is to be known of each."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from os import kill, name
from typing import TYPE_CHECKING

from mcsync.answers.status import IN_GROUP, ReasonCount, Standing, find_people
from mcsync.cache.audience_status import HELD
from mcsync.cli.tables import show_fields, show_gap, show_heading, show_line, show_table
from mcsync.decision import REASONS, Reason
from mcsync.lock import read_holder
from mcsync.text import count_of, show_length

if TYPE_CHECKING:
    from mcsync.cli.session import Look
    from mcsync.cli.state import State


def answer_status(state: "State", look: "Look", standings: Sequence[Standing]) -> None:
    """Show how the audiences stand, who is at work, and what waits."""
    from mcsync.cache.counts import count_told, count_webhooks

    holder = find_holder(look)
    webhooks = count_webhooks(look.store) if look.store is not None else None
    waiting, given_up = webhooks or (None, None)
    told = count_told(look.store) if look.store is not None else None
    parts = [standing.split for standing in standings]
    state.audiences = [
        {**standing.as_dict(), "in_group": split}
        for standing, split in zip(standings, parts, strict=True)
    ]
    state.answer = {
        "has_cache": look.store is not None,
        "lock_holder": holder,
        "webhooks_waiting": waiting,
        "webhooks_given_up": given_up,
        "contacts_waiting": told,
    }
    if not state.wants_json:
        _show(
            look,
            standings,
            parts,
            (*(webhooks or (0, 0)), told or 0),
            holder,
            with_each=state.verbose > 0,
        )


def find_holder(look: "Look") -> dict[str, object] | None:
    """Who is at work on the cache, and since when; None when nobody is.

    What a killed run left behind does not count.
    """
    holder = read_holder(look.cache)
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 0 or not _is_alive(pid):
        return None
    with suppress(ValueError, TypeError):  # no time, or one without a zone
        age_s = (look.now - datetime.fromisoformat(str(holder.get("since")))).total_seconds()
        return {"pid": pid, "since": str(holder["since"]), "age_s": max(0, int(age_s))}
    return {"pid": pid, "since": None, "age_s": None}


def _is_alive(pid: int) -> bool:
    if name == "nt":
        return True  # there, asking would end it
    try:
        kill(pid, 0)
    except PermissionError:
        return True  # somebody else's
    except (OSError, OverflowError):
        return False
    return True


# --- text -----------------------------------------------------------------------------------------

_COLUMNS = (
    *("audience", "state", "last sync", "subscribed", "in group", "to do"),
    *("cannot be mailed", "failed"),
)
_NUMBERS = range(3, len(_COLUMNS))
_COLOURS = {  # beside the words, which say it all
    "failing": "red",
    "held": "red",
    "in sync": "green",
    **dict.fromkeys(("never fetched", "never synced", "not in sync"), "yellow"),
}


def _show(
    look: "Look",
    standings: Sequence[Standing],
    parts: Sequence[Mapping[str, int]],
    waiting: tuple[int, int, int],
    holder: dict[str, object] | None,
    *,
    with_each: bool,
) -> None:
    show_table(_COLUMNS, [_row(standing) for standing in standings], _NUMBERS, _COLOURS)
    for standing, split in zip(standings, parts, strict=True):
        fields = list(_text_of_audience(standing, split, with_each=with_each))
        if fields:
            show_gap()
            show_heading(f"{standing.watched.name} ({standing.watched.list_id})")
            show_fields(fields)
    closing = list(_close(look, waiting, holder))
    if closing:
        show_gap()
    for line in closing:
        show_line(line)


def _row(standing: Standing) -> tuple[str, ...]:
    barred = sum(each.count for each in standing.cannot_subscribe)
    failed = sum(each.count for each in standing.failed)
    ago = "never" if standing.age_s is None else f"{show_length(standing.age_s)} ago"
    numbers = (standing.subscribed, standing.in_group, standing.unsettled, barred, failed)
    return standing.watched.name, standing.state, ago, *(f"{number:,}" for number in numbers)


def _text_of_audience(
    standing: Standing, split: Mapping[str, int], with_each: bool
) -> Iterator[tuple[str, str]]:
    """What is worth a line, as (name, text), what needs a human first; none if all is well.

    `with_each`: each waiting batch, too, and not only how many there are.
    """
    held = standing.status.held_plan
    if held:
        this = f"mcsync sync --list {standing.watched.list_id}"
        told_at = max((t.told_at for t in standing.status.troubles if t.key == HELD), default="")
        yield "held", f"{held.why}; since {held.since}{_text_of_report(told_at)}"
        yield "", f"to see the plan: {this} --dry-run; if it is right: {this} --force"
    yield from _text_of_troubles(standing)
    if standing.status.fetch_no and not standing.status.is_fetched:
        yield "fetch", "the last fetch did not finish; nothing is changed until one does"
    yield from _text_of_reasons("failed", standing.failed)
    if set(split) - {"subscribed"}:
        told = " + ".join(f"{count:,} {IN_GROUP[kind]}" for kind, count in split.items())
        yield "in group", f"{sum(split.values()):,} = {told}"
    yield from _text_of_work(standing)
    yield from _text_of_batches(standing, with_each)
    yield from _text_of_reasons("cannot be mailed", standing.cannot_subscribe)
    yield from _text_of_reasons("left alone", standing.left_alone)
    for words, trust in (
        ("applies in the next sync", standing.pending_trust),
        ("has been applied; change it to apply it again", standing.spent_trust),
    ):
        if trust:
            told = ", ".join(f"{key}={side}" for key, side in trust.items())
            yield "trustOverride", f"{told}: {words}"


def _text_of_troubles(standing: Standing) -> Iterator[tuple[str, str]]:
    """What the last runs reported, a held plan apart; when that was told last is said, too."""
    for each in standing.status.troubles:
        if each.key == HELD:
            continue
        message = each.message.removeprefix(f"{standing.watched.name}: ")
        yield "trouble", f"{message}; since {each.since}{_text_of_report(each.told_at)}"
        if each.hint:
            yield "", each.hint


def _text_of_report(told_at: str) -> str:
    return f", reported {told_at}" if told_at else ", not reported yet"


def _text_of_batches(standing: Standing, with_each: bool) -> Iterator[tuple[str, str]]:
    if standing.waiting_since is None:
        return
    count, operations = len(standing.batches), standing.operations_waiting
    yield (
        "waiting",
        f"{count_of(count, 'batch', 'batches')} with {count_of(operations, 'operation')} at"
        f" Mailchimp since {_time(standing.waiting_since)}",
    )
    for batch in standing.batches if with_each else ():
        name = f"batch {batch.batch_id}" if batch.batch_id else "batch with no id yet"
        if batch.is_direct:
            name = "direct calls"
        of_all = count_of(batch.total_operations, "operation")
        done, since = f"{batch.finished_operations:,} of {of_all} done", _time(batch.submitted_at)
        yield "", f"{name}: {done}, since {since}"


def _text_of_work(standing: Standing) -> Iterator[tuple[str, str]]:
    work = standing.work
    yield from _text_of_numbers(
        "to add",
        (work.to_subscribe, "at Mailchimp"),
        (work.to_add_to_group, f"to group {standing.watched.policy.group_id}"),
        (work.to_create, "as new contacts in CiviCRM"),
    )
    yield from _text_of_numbers(
        "to remove",
        (work.to_unsubscribe, "at Mailchimp"),
        (work.to_remove_from_group, f"from group {standing.watched.policy.group_id}"),
    )
    yield from _text_of_numbers("to change", (work.to_change, "at Mailchimp"))
    yield from _text_of_numbers("to check", (standing.to_judge, "in the next sync"))
    yield from _text_of_numbers("unsent", (standing.queued, "queued for Mailchimp"))
    yield from _text_of_numbers("to confirm", (standing.to_confirm, "about to be asked by mail"))


def _text_of_numbers(name: str, *numbers: tuple[int, str]) -> Iterator[tuple[str, str]]:
    told = [f"{number:,} {words}" for number, words in numbers if number]
    if told:
        yield name, ", ".join(told)


def _text_of_reasons(name: str, counts: Sequence[ReasonCount]) -> Iterator[tuple[str, str]]:
    for each in counts:
        yield name, f"{each.count:,} {each.reason}: {each.sentence}"
        name = ""


def _close(
    look: "Look", in_queues: tuple[int, int, int], holder: dict[str, object] | None
) -> Iterator[str]:
    if look.store is None:
        yield 'Nothing has been fetched yet. Start with "mcsync fetch", which only reads.'
    waiting, given_up, told = in_queues
    if told:
        yield f"{count_of(told, 'contact')} reported by CiviCRM, waiting to be looked at."
    if waiting:
        yield f"{count_of(waiting, 'webhook')} waiting to be handled."
    if given_up:
        yield (
            f"{count_of(given_up, 'webhook was', 'webhooks were')} given up;"
            ' "mcsync webhook --retry" tries again.'
        )
    if holder is not None:
        age_s = holder["age_s"]
        length = f" for {show_length(age_s)}" if isinstance(age_s, int) else ""
        yield f"A run (process {holder['pid']}) has been at work{length}."


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


# --- people -----------------------------------------------------------------------------------


def answer_people(state: "State", look: "Look", reason: Reason) -> None:
    """List who stands as they do for a reason."""
    found = list(find_people(look.store, look.audiences, reason))
    people = [
        {
            "list_id": watched.list_id,
            "name": watched.name,
            "email": someone.email,
            "contact_id": someone.contact_id,
            "owners": list(someone.owners),
            "row_id": someone.row_id,
            "sync_status": someone.sync_status,
            "reason": someone.reason,
        }
        for watched, someone in found
    ]
    state.answer = {"reason": reason.value, "sentence": REASONS[reason], "people": people}
    if state.wants_json:
        return
    show_line(f"{reason.value}: {REASONS[reason]}")
    if not found:
        show_line("Nobody.")
        return
    show_gap()
    columns = ("audience", "address", "contact", "row", "sync_status")
    rows = []
    for watched, each in found:
        contact = each.contact_id or ", ".join(map(str, each.owners))
        rows.append((watched.name, each.email, contact, each.row_id, each.sync_status))
    show_table(columns, rows, numbers=(3,))
