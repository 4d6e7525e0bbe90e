"""How `mcsync report` looks: a short text, a page in a file, or the one document."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mcsync.answers.report import (
    DAYS,
    Asking,
    AudienceReport,
    Need,
    Report,
    load_report,
    show_minute,
)
from mcsync.answers.status import IN_GROUP
from mcsync.cli.output import write_answer
from mcsync.cli.report_words import text_of_days, text_of_state
from mcsync.cli.show_status import find_holder
from mcsync.cli.tables import show_fields, show_gap, show_heading, show_line
from mcsync.model import Side
from mcsync.text import SIDES, count_of

if TYPE_CHECKING:
    from mcsync.cli.session import Look
    from mcsync.cli.state import State

log = logging.getLogger("mcsync")


def make_report(state: "State", look: "Look", *, with_people: bool) -> Report:
    """Load what the options ask for."""
    config = state.settings
    known = [each.list_id for each in config.audiences] if config is not None else []
    asking = Asking(
        now=look.now,
        known=known,
        is_at_work=find_holder(look) is not None,
        days=DAYS if config is None else min(DAYS, config.history_days),
        with_people=with_people,
    )
    return load_report(look.store, look.audiences, asking)


def answer_report(state: "State", report: Report, html: Path | None) -> None:
    """Print it, or write the page."""
    state.audiences = [
        each.as_dict() | (each.describe_people() if report.has_people else {})
        for each in report.audiences
    ]
    to_stdout = html == Path("-")
    state.answer = report.as_dict() | {"html": None if html is None or to_stdout else str(html)}
    if html is None:
        if not state.wants_json:
            _show(report)
        return
    from mcsync.cli.report_file import refuse_others, write_report
    from mcsync.cli.report_page import draw_page

    if to_stdout:
        write_answer(draw_page(report).rstrip("\n"))
        return
    refuse_others(html)
    write_report(html, draw_page(report), has_people=report.has_people)
    log.info("the report is in %s", html)


# --- text -----------------------------------------------------------------------------------------


def _show(report: Report) -> None:
    show_line(f"Report of {show_minute(report.made_at)}")
    show_fields(list(_text_of_needs(report.needs)), indent=0)
    for audience in report.audiences:
        watched = audience.standing.watched
        show_gap()
        show_heading(f"{watched.name} ({watched.list_id}): {text_of_state(audience)}")
        show_fields(list(_text_of_audience(audience)))
        _show_people(audience)
    if report.left:
        show_gap()
        show_heading("No longer in the config, and left alone")
        show_fields(
            [(each.list_id, count_of(each.rows, "person", "people")) for each in report.left]
        )


def _text_of_audience(audience: AudienceReport) -> Iterator[tuple[str, str]]:
    yield from _text_of_needs(audience.needs)
    numbers = asdict(audience.in_group)
    parts = [f"{numbers[name]:,} {words}" for name, words in IN_GROUP.items() if numbers[name]]
    equals = f" = {' + '.join(parts)}" if parts else ""
    yield "in the group", f"{audience.in_group.total:,}{equals}"
    name = "because"
    for each in audience.reasons:
        yield name, f"{each.count:,} {each.reason}: {each.sentence}"
        name = ""
    members = [f"{number:,} {status}" for status, number in audience.members.items() if number]
    yield "at Mailchimp", ", ".join(members) or "nobody"
    if audience.days:
        moves = [f"{SIDES[side]} {text_of_days(audience, side)}" for side in Side]
        yield f"{len(audience.days)} days", "; ".join(moves)
    for batch in audience.standing.batches:
        of_all = count_of(batch.total_operations, "operation")
        yield (
            "batch",
            f"{batch.finished_operations:,} of {of_all} done, since"
            + (f" {show_minute(batch.submitted_at)}"),
        )
    waiting, given_up = audience.webhooks
    if waiting or given_up:
        yield "webhooks", f"{waiting:,} waiting, {given_up:,} given up"


def _text_of_needs(needs: Sequence[Need]) -> Iterator[tuple[str, str]]:
    for need in needs:
        yield "needs you", need.what
        yield from (("", command) for command in need.commands)


def _show_people(audience: AudienceReport) -> None:
    for each in audience.barred:
        who = f"{each.name} <{each.email}>" if each.email else each.name or "no address"
        show_line(f"{each.reason}: contact {each.contact_id}, {who}", indent=2)
