"""How `mcsync undo` tells what it puts back, and what it leaves, and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcsync.answers.labels import load_labels
from mcsync.cache.undos import find_undo
from mcsync.cli.show_changes import show_kinds
from mcsync.cli.state import State
from mcsync.cli.tables import show_gap, show_heading, show_line, show_table
from mcsync.pipeline.changes import sum_up
from mcsync.text import SIDES, count_of, one_line, text_of_change

if TYPE_CHECKING:
    from mcsync.answers.labels import Labels
    from mcsync.cache.store import Store
    from mcsync.pipeline.changes import Line
    from mcsync.pipeline.undo import Offer, Target

_SHOWN = 3  # people of one kind who are named


def keep_undo(state: State, target: "Target", offers: "Sequence[Offer]") -> None:
    """The answer as part of the document."""
    state.answer["undone_run"] = target.undone_run
    if target.undoing.run:
        state.answer["run"] = target.undoing.run
    state.answer["undo"] = [
        {
            "list_id": offer.list_id,
            "name": offer.name,
            "put_back": len(offer.back),
            "left": len(offer.left),
            "left_reasons": dict(Counter(line.reason for line in offer.left)),
            "would_be_held": "; ".join(offer.held) or None,
            "changes": [line._asdict() for line in offer.back],
            "left_changes": [line._asdict() for line in offer.left],
        }
        for offer in offers
    ]


def show_undo(
    store: "Store",
    target: "Target",
    offers: "Sequence[Offer]",
    *,
    in_full: bool = False,
    is_dry_run: bool = False,
    is_done: bool = False,
) -> None:
    """What is put back, by kinds and with the first few people; then what is left, and why."""
    labels = load_labels(store, [offer.list_id for offer in offers])
    itself = find_undo(store, target.undone_run)
    if itself is not None:
        show_line(
            f"Run {itself.run} was itself an undo, of run {itself.undone_run}: what that did is"
            f" {'done' if is_done else 'to be done'} again."
        )
    for offer in offers:
        verb = "put back" if is_done else "to be put back"
        show_line(
            f"{offer.name}: run {target.undone_run}: {count_of(len(offer.back), 'change')} {verb},"
            f" {len(offer.left):,} left"
        )
        if offer.held:
            show_line(f"{offer.name}: held, for it {'; '.join(offer.held)}; --force passes that")
    if is_dry_run:
        show_line("By what was fetched last: undo itself looks at both services first.")
    for offer in offers:
        if not offer.back and not offer.left:
            continue
        if len(offers) > 1:
            show_gap()
            show_heading(offer.name)
        show_kinds(sum_up(offer.back), labels)
        _show_left(offer.left, labels)
        if in_full:
            _show_all(offer, labels)


def show_refused(store: "Store", offers: "Sequence[Offer]", told: "Mapping[str, int]") -> None:
    """Those who were to be put back and then could not; so many were told before, by audience."""
    labels = load_labels(store, [offer.list_id for offer in offers])
    for offer in offers:
        _show_left(offer.left[told.get(offer.list_id, 0) :], labels)


def _show_left(lines: "Sequence[Line]", labels: "Labels") -> None:
    """One row for what is left for the same reason, with the first few people."""
    if not lines:
        return
    kinds: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], list[str]] = {}
    for line in lines:
        kind = (line.side, line.field, line.why)
        kinds[kind] += 1
        names = first.setdefault(kind, [])
        if len(names) < _SHOWN:
            names.append(_name(line))
    rows = []
    for (side, field, why), count in kinds.most_common():
        names = first[side, field, why]
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        what = f"{SIDES[side]}: {labels.field(field)}"
        rows.append((what, f"{count:,}", f"{why}: {', '.join(names)}{more}"))
    show_gap()
    show_table(("Left as it is", "Changes", "Why, and who"), rows, numbers=[1])


def _show_all(offer: "Offer", labels: "Labels") -> None:
    show_gap()
    for line in offer.back:
        show_line(one_line(f"{_text_of(line, labels)} (put back)"))
    for left in offer.left:
        show_line(one_line(f"{_text_of(left, labels)} (left: {left.why})"))


def _text_of(line: "Line", labels: "Labels") -> str:
    what = text_of_change(labels.field(line.field), line.before, line.after)
    return f"{SIDES[line.side]}: {_name(line)}: {what}"


def _name(line: "Line") -> str:
    return line.email or f"contact {line.contact_id}"
