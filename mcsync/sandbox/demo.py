"""The demo's story: three runs over a town full of differences, told in tables or as data.

`play` is given something that runs `mcsync sync --wait` and tells what it changed; it knows the
simulated services, the cast and the words, and nothing of how a sync is done.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import Console
from rich.table import Table

from mcsync.sandbox.cast import GROUP, INTEREST, LIST, Somebody, settle, stir
from mcsync.sandbox.town import Town
from mcsync.text import SIDES, count_of, text_of_change

_NEXT = {
    "mcsync sandbox": "keeps two such services running, for the real commands",
    "mcsync sandbox act": "has people and staff there do things, in another terminal",
    "mcsync init": "sets up your own",
}


@dataclass(frozen=True, slots=True)
class Deed:
    """One change that a run made: at which side, what, for whom, and why in words."""

    side: str
    field: str
    before: str | None
    after: str | None
    email: str
    why: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One run: what had happened before it, what it did, how many records it wrote."""

    title: str
    happened: Sequence[str]
    deeds: Sequence[Deed]
    writes: int


Sync = Callable[[], Sequence[Deed]]


def play(town: Town, sync: Sync, show: Callable[[Scene], None]) -> list[Scene]:
    """Settle the town, sync, let everybody act, sync, and sync once more to show the quiet."""
    cast = settle(town)
    scenes = [_act(town, "First run: two lists, never synced", _introduce(cast), sync)]
    show(scenes[0])
    happened = stir(town, cast)
    scenes.append(_act(town, "Second run: after people and staff made changes", happened, sync))
    show(scenes[1])
    scenes.append(_act(town, "Third run: nothing has happened since", (), sync))
    show(scenes[2])
    return scenes


def _introduce(cast: Sequence[Somebody]) -> list[str]:
    members = sum(somebody.member != "none" for somebody in cast)
    contacts = sum(somebody.contact != "none" for somebody in cast)
    return [f"{len(cast)} people: {members} members at Mailchimp, {contacts} contacts in CiviCRM"]


def _act(town: Town, title: str, happened: Sequence[str], sync: Sync) -> Scene:
    before = town.writes
    deeds = sync()
    town.clock.advance(minutes=5)
    return Scene(title, tuple(happened), tuple(deeds), town.writes - before)


# --- as data --------------------------------------------------------------------------------------


def describe(scenes: Iterable[Scene]) -> list[dict[str, object]]:
    """The scenes for `--json`."""
    return [
        {
            "title": scene.title,
            "happened": list(scene.happened),
            "writes": scene.writes,
            "changes": [
                {
                    "side": deed.side,
                    "field": deed.field,
                    "before": deed.before,
                    "after": deed.after,
                    "email": deed.email,
                    "why": deed.why,
                }
                for deed in scene.deeds
            ],
        }
        for scene in scenes
    ]


def count_outcome(town: Town) -> dict[str, int]:
    """How both sides stand, read from the services themselves."""
    members = town.mailchimp.members(LIST)
    in_audience = {
        email for email, member in members.items() if member["status"] in ("subscribed", "pending")
    }
    in_group = {
        email.email
        for contact_id in town.civicrm.group_members(GROUP)
        for email in town.civicrm.emails(contact_id)
    }
    return {
        "subscribed_and_in_group": len(in_audience & in_group),
        "only_in_group": len(in_group - in_audience),
        "only_subscribed": len(in_audience - in_group),
    }


# --- in words -------------------------------------------------------------------------------------


def show_scene(console: Console, scene: Scene) -> None:
    """One scene: what had happened, and a table of what was done where and why."""
    console.print()
    console.rule(scene.title, align="left")
    for line in scene.happened:
        console.print(f"  {line}")
    if not scene.deeds:
        console.print("\nBoth sides agree; nothing was written.")
        return
    for side, name in SIDES.items():
        groups = _group([deed for deed in scene.deeds if deed.side == side])
        if not groups:
            continue
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(f"At {name}", no_wrap=True)
        table.add_column("People", justify="right")
        table.add_column("Why", ratio=1)
        table.add_column("Example", no_wrap=True)
        for deeds in groups:
            example = deeds[0].email.partition("@")[0]
            table.add_row(_say_what(deeds[0]), str(len(deeds)), deeds[0].why, example)
        console.print()
        console.print(table)
    console.print(f"\n{count_of(len(scene.deeds), 'change')}.")


def _group(deeds: Sequence[Deed]) -> list[list[Deed]]:
    def kind(deed: Deed) -> tuple[str, ...]:
        return (deed.side, deed.field, deed.before or "", deed.after or "", deed.why)

    return [list(group) for _, group in groupby(sorted(deeds, key=kind), key=kind)]


def _say_what(deed: Deed) -> str:
    field = "Volunteering" if deed.field == INTEREST else deed.field
    return text_of_change(field, deed.before, deed.after)


def show_outcome(console: Console, outcome: Mapping[str, int]) -> None:
    """How both sides stand at the end."""
    console.print()
    console.rule("The result", align="left")
    console.print(f"  {outcome['subscribed_and_in_group']} people are subscribed and in the group.")
    console.print(
        f"  {outcome['only_in_group']} are in the group but may not be mailed: opted out,"
        " deceased or on hold."
    )
    if outcome["only_subscribed"]:
        console.print(f"  {outcome['only_subscribed']} are subscribed but not in the group.")
    console.print()
    console.rule("What to try next", align="left")
    for command, what in _NEXT.items():
        console.print(f"  {command.ljust(max(map(len, _NEXT)))}  {what}", soft_wrap=True)
    console.print()
