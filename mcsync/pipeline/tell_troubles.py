"""The end of a run: its troubles are kept with each audience, and what is news of them is told."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from mcsync.cache.audience_status import (
    HELD,
    AudienceStatus,
    KnownTrouble,
    load_status,
    save_status,
)
from mcsync.cache.times import from_text, to_text
from mcsync.errors import RemoteUnavailable
from mcsync.pipeline.news import Met, Turn, as_met, weigh
from mcsync.pipeline.reconcile import HELD_WORDS
from mcsync.pipeline.run import Run, Task, list_names, with_names
from mcsync.text import count_of, one_line

log = logging.getLogger("mcsync")


@dataclass(frozen=True, slots=True)
class News:
    """One thing to be told of some audiences; `message` is a sentence that names them."""

    turn: Turn
    kind: str
    message: str
    hint: str = ""
    since: str = ""
    audiences: tuple[str, ...] = ()

    @property
    def is_raised(self) -> bool:
        """Whether it is an error's, which is told when that is raised."""
        return self.turn in (Turn.NEW, Turn.AGAIN) and not self.kind.startswith("interest-")

    def as_dict(self) -> dict[str, object]:
        """For `notify.command`."""
        return {
            "turn": self.turn.value,
            "kind": self.kind,
            "audiences": list(self.audiences),
            "message": self.message,
            "hint": self.hint or None,
            "since": self.since or None,
        }


def note_troubles(run: Run, command: str = "sync", *, is_whole: bool = True) -> list[News]:
    """Keep the troubles of each audience with its status; what is to be told of them now.

    Of errors that are raised afterwards this says by `is_news` whether they are told; all else is
    told here. `is_whole`: the run was not cut short. A dry run keeps nothing, and tells all.
    """
    if run.is_dry_run:
        return []
    found: list[tuple[Task, Turn, KnownTrouble]] = []
    for task in run.tasks:
        found += [(task, *each) for each in _weigh_audience(run, task, command, is_whole)]
    told = {(each.message, each.hint) for _, turn, each in found if turn is not Turn.OVER}
    for report in run.reports.values():
        for error in report.troubles:
            error.is_news = (one_line(error.message), one_line(error.hint or "")) in told
    news = [*_sum_up(run, found), *_tell_given_up(run)]
    for each in news:
        if not each.is_raised and each.turn is not Turn.GIVEN_UP:  # these are told one by one
            log.warning("%s", f"{each.message}; {each.hint}" if each.hint else each.message)
    return news


def _weigh_audience(
    run: Run, task: Task, command: str, is_whole: bool
) -> Sequence[tuple[Turn, KnownTrouble]]:
    """The news of one audience; they count as told from here on."""
    report, status = run.report(task), load_status(run.store, task.list_id)
    came_to_end = is_whole and report.error is None
    weighed = weigh(
        status,
        list(_find_troubles(run, task, status)),
        run.clock(),
        command=command,
        is_whole=came_to_end,
        quiet=timedelta(minutes=run.quiet_minutes),
    )
    report.known = status.troubles = weighed.troubles
    # What somebody has decided does not come back: what is held next is another plan.
    status.past_troubles = [e for e in weighed.past if not (run.is_forced and e.key == HELD)]
    told = {trouble.key for turn, trouble in weighed.news if turn is not Turn.OVER}
    if status.held_plan is not None and HELD in told:
        status.held_plan.told = status.held_plan.sizes
    if came_to_end and command == "sync":
        status.ended_at = to_text(run.clock())
    with run.store.atomic():
        save_status(run.store, task.list_id, status)
    return weighed.news


def _find_troubles(run: Run, task: Task, status: AudienceStatus) -> Iterator[Met]:
    report = run.report(task)
    if report.held is not None and status.held_plan is not None:
        held, sizes = report.held, status.held_plan.sizes
        yield Met(HELD, held.kind, held.message, held.hint or "", stops=False, sizes=sizes)
    if report.error is not None:
        yield as_met(report.error)
    for interest_id in status.gone_interests:
        yield Met(
            f"no interest {interest_id}",
            "interest-gone",
            f"{task.name}: Mailchimp has no interest {interest_id}, so it is skipped",
            "remove it from the config",
            stops=False,
        )
    for interest_id, why in run.stopped_interests.get(task.list_id, {}).items():
        yield Met(
            f"stopped interest {interest_id}",
            "interest-stopped",
            f"{task.name}: interest {interest_id} is left alone, because {why}",
            "check that group in CiviCRM; it is synced again once it is in order",
            stops=False,
        )


# --- in words -------------------------------------------------------------------------------------


def _sum_up(run: Run, found: Sequence[tuple[Task, Turn, KnownTrouble]]) -> Iterator[News]:
    """What befell several audiences alike is told once."""
    alike: dict[tuple[Turn, str, str], list[tuple[Task, KnownTrouble]]] = {}
    for task, turn, trouble in found:
        alike.setdefault((turn, trouble.message, trouble.hint), []).append((task, trouble))
    for (turn, message, hint), befallen in alike.items():
        names, trouble = tuple(one_line(task.name) for task, _ in befallen), befallen[0][1]
        since = min(each.since for _, each in befallen)
        if turn is Turn.OVER:
            is_well = not any(run.report(task).known for task, _ in befallen)
            message, hint = _tell_end(trouble, names, since, is_well=is_well), ""
        else:
            message = with_names(message, names, len(run.tasks))
        yield News(turn, trouble.kind, message, hint, since, names)


def _tell_end(trouble: KnownTrouble, names: Sequence[str], since: str, *, is_well: bool) -> str:
    what = trouble.message.removeprefix(f"{names[0]}: ").removesuffix(HELD_WORDS)
    state = "in order again" if is_well else "this is over"
    if trouble.kind == RemoteUnavailable.kind:
        state = "synced again"
    elif trouble.key == HELD:
        state, what = "no longer held", f"the plan {what}"
    return f"{list_names(names)}: {state}; since {from_text(since):%Y-%m-%d %H:%M} UTC: {what}"


def _tell_given_up(run: Run) -> Iterator[News]:
    """What was given up is logged row by row as it happens; here it is only counted."""
    for task in run.tasks:
        count = run.report(task).given_up
        if count:
            what = count_of(count, "change of a person", "people's changes")
            name = one_line(task.name)
            message = f"{name}: {what} {'was' if count == 1 else 'were'} given up"
            hint = f"mcsync status --list {task.list_id}"
            yield News(Turn.GIVEN_UP, "given-up", message, hint, audiences=(name,))
    if run.webhooks_given_up:
        count = run.webhooks_given_up
        message = f"{count_of(count, 'webhook was', 'webhooks were')} given up"
        yield News(Turn.GIVEN_UP, "webhooks-given-up", message, "mcsync webhook --retry")
